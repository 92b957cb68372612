# SPDX-License-Identifier: Apache-2.0
"""The admin API: who may do what, the configuration over it, targets that are added and drained, events."""

import json
import os
import signal
import stat
import threading

import pytest

from lib.client import Client
from lib.wait import DEADLINE, ms, stays, until

TOKENS = [
    {"name": "viewer", "token": "read-token-0123456789", "can": ["read"]},
    {"name": "operator", "token": "operate-token-0123456789", "can": ["operate"]},
    {"name": "deployer", "token": "deploy-token-0123456789", "can": ["deploy"]},
]
VIEW, OPERATE, DEPLOY = (t["token"] for t in TOKENS)


# -- who may do what


def test_health_and_readiness(origin, gateway):
    gw = gateway(origin)
    for over_socket in (True, False):
        assert gw.admin("GET", "/healthz", over_socket=over_socket).status == 200
        assert gw.admin("GET", "/readyz", over_socket=over_socket).status == 200


def test_tcp_without_a_token_may_read_only(origin, gateway):
    gw = gateway(origin)
    for path in ("/metrics", "/api/v1/status", "/api/v1/config"):
        assert gw.admin("GET", path, over_socket=False).status == 200, path
    for method, path in (
        ("POST", "/api/v1/reload"),
        ("PUT", "/api/v1/config"),
        ("POST", "/api/v1/config/confirm"),
        ("POST", "/api/v1/services/app/targets"),
        ("DELETE", f"/api/v1/services/app/targets/{origin.address}"),
        ("POST", f"/api/v1/services/app/targets/{origin.address}/drain"),
    ):
        reply = gw.admin(method, path, over_socket=False)
        assert reply.status == 401, (path, reply)
        assert reply.header("WWW-Authenticate"), path
        assert reply.header("Content-Type") == "application/problem+json"
        assert reply.json()["reason"]
    assert gw.generation == 1


def test_tokens_and_their_rights(origin, gateway):
    gw = gateway(origin, admin={"tokens": TOKENS})

    def reload(token):
        return gw.admin("POST", "/api/v1/reload", token=token, over_socket=False).status

    assert reload(None) == 401
    assert reload("wrong") == 401
    assert reload(OPERATE + "x") == 401
    assert reload(OPERATE[:-1]) == 401
    assert reload(VIEW) == 403
    assert reload(DEPLOY) == 403
    assert reload(OPERATE) == 200
    for token in (VIEW, OPERATE, DEPLOY):  # every right implies reading
        assert gw.admin("GET", "/api/v1/status", token=token, over_socket=False).status == 200
    reply = gw.admin("POST", "/api/v1/reload", token=VIEW, over_socket=False)
    assert reply.json()["reason"] and "operate" in reply.text


def test_tokens_are_never_shown(origin, gateway):
    gw = gateway(origin, admin={"tokens": [{**TOKENS[0], "token": "${env:THE_TOKEN}"}]}, env={"THE_TOKEN": "very-secret-0123456789"})
    for path in ("/api/v1/config", "/api/v1/status", "/metrics"):
        assert "very-secret" not in gw.admin("GET", path).text, path
    assert "${env:THE_TOKEN}" in gw.admin("GET", "/api/v1/config").text
    assert "very-secret" not in gw.stderr()
    assert gw.admin("GET", "/api/v1/status", token="very-secret-0123456789", over_socket=False).status == 200


def test_the_socket_is_the_owners(origin, gateway):
    gw = gateway(origin)
    mode = stat.S_IMODE(os.stat(gw.state / "admin.sock").st_mode)
    assert mode == 0o600


@pytest.mark.parametrize("host", ["evil.example", "evil.example:9900", "localhost.evil.example", "127.0.0.1.evil.example"])
def test_a_rebound_name_is_refused(origin, gateway, host):
    gw = gateway(origin)
    for path in ("/api/v1/status", "/metrics", "/api/v1/config"):
        reply = gw.admin("GET", path, over_socket=False, host=host)
        assert reply.status in (403, 421), (path, reply)


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_loopback_names_are_fine(origin, gateway, name):
    gw = gateway(origin)
    assert gw.admin("GET", "/api/v1/status", over_socket=False, host=f"{name}:{gw.admin_port}").status == 200


def test_cross_site_calls_are_refused(origin, gateway):
    gw = gateway(origin, admin={"tokens": TOKENS})
    for value in ("http://evil.example", "null", f"http://evil.example:{gw.admin_port}"):
        reply = gw.admin("POST", "/api/v1/reload", token=OPERATE, over_socket=False, headers=[("Origin", value)])
        assert reply.status == 403, value
    same = [("Origin", f"http://127.0.0.1:{gw.admin_port}")]
    assert gw.admin("POST", "/api/v1/reload", token=OPERATE, over_socket=False, headers=same).status == 200


def test_what_is_not_there(origin, gateway):
    gw = gateway(origin)
    for method, path, status in (
        ("GET", "/nothing", 404),
        ("GET", "/api/v1/nothing", 404),
        ("GET", "/api/v2/status", 404),
        ("DELETE", "/api/v1/status", 405),
        ("GET", "/api/v1/reload", 405),
        ("POST", "/api/v1/services/none/targets", 404),
        ("DELETE", "/api/v1/services/app/targets/none", 404),
        ("POST", "/api/v1/services/app/targets/none/drain", 404),
    ):
        body = {"address": "127.0.0.1:1"} if path.endswith("none/targets") else None
        reply = gw.admin(method, path, body)
        assert reply.status == status, (method, path, reply)
        assert reply.header("Content-Type") == "application/problem+json"
        assert reply.json()["status"] == status


def test_the_admin_port_speaks_http_properly(origin, gateway):
    gw = gateway(origin)
    with Client(("127.0.0.1", gw.admin_port)) as client:
        for _ in range(3):  # keep-alive
            assert client.get("/healthz", host=gw.admin_host).status == 200
        assert client.request("HEAD", "/healthz", host=gw.admin_host).reply("HEAD").status == 200
        client.send("GET / HTTP/1.1\r\n\r\n")
        assert client.reply().status == 400
    with Client(("127.0.0.1", gw.admin_port)) as client:
        client.drip(f"GET /readyz HTTP/1.1\r\nHost: {gw.admin_host}\r\n\r\n")
        assert client.reply().status == 200


def test_a_body_that_is_too_large_is_refused(origin, gateway):
    gw = gateway(origin)
    with Client(f"unix:{gw.state}/admin.sock") as client:
        client.request("PUT", "/api/v1/config", [("Content-Length", str(10**9))], host="localhost")
        assert client.reply("PUT").status == 413


def test_the_metrics_address_serves_that_alone(origin, gateway, ports):
    port = ports.take()
    gw = gateway(origin, admin={"metrics": f"127.0.0.1:{port}", "tokens": TOKENS})
    with Client(("127.0.0.1", port)) as client:
        assert client.get("/metrics", host="scraper.internal:9901").status == 200
        assert client.get("/healthz", host="10.0.0.1").status == 200
        assert client.get("/api/v1/status").status == 404
        assert client.get("/api/v1/config").status == 404
        assert client.request("POST", "/api/v1/reload", [("Authorization", f"Bearer {OPERATE}")], b"").reply().status in (404, 405)
    assert gw.generation == 1


# -- status


def test_status(origin, gateway):
    gw = gateway(origin, workers=2, service={"targets": [{"id": "one", "address": origin.address, "weight": 3}]})
    status = gw.status()
    text = json.dumps(status)
    assert status["version"] and len(status["workers"]) == 2 and status["ready"]
    assert status["uptime_s"] >= 0 and f"127.0.0.1:{gw.port}" in text
    target = gw.targets()["one"]
    assert target["address"] == origin.address and target["weight"] == 3
    assert target["source"] == "file"


# -- configuration


def put(gw, config, query="", headers=()):
    return gw.admin("PUT", f"/api/v1/config{query}", config if isinstance(config, str) else json.dumps(config), headers=headers, timeout=3 * DEADLINE)


def test_config_can_be_read(origin, gateway):
    gw = gateway(origin)
    assert gw.admin("GET", "/api/v1/config").text == gw.file.read_text()


def test_config_can_be_replaced(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    fresh = {**gw.config, "services": {"app": {"targets": [new.address]}}}
    reply = put(gw, fresh)
    assert reply.status == 200, reply
    assert reply.json()["generation"] == 2
    assert json.loads(gw.file.read_text()) == fresh
    gw.get()
    assert len(new.requests) == 1


def test_config_can_be_only_checked(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    before = gw.file.read_text()
    fresh = {**gw.config, "services": {"app": {"targets": [new.address]}}}
    assert put(gw, fresh, "?dry_run=true").status == 200
    assert gw.file.read_text() == before and gw.generation == 1
    gw.get()
    assert len(old.requests) == 1


@pytest.mark.parametrize("query", ["", "?dry_run=true"])
def test_a_wrong_config_gets_its_diagnostics(origin, gateway, query):
    gw = gateway(origin)
    before = gw.file.read_text()
    reply = put(gw, "workers: many\nservices: {app: {targets: [], balanse: x}}\n", query)
    assert reply.status == 422
    assert reply.header("Content-Type") == "application/problem+json"
    problem = reply.json()
    assert problem["reason"]
    places = [e["at"] for e in problem["errors"]]
    assert len(places) >= 3 and all(p.rpartition(":")[2].isdigit() for p in places)
    assert any(p.endswith(":1:10") for p in places), places
    assert gw.file.read_text() == before and gw.generation == 1


def test_config_with_if_match(origin, gateway):
    gw = gateway(origin)
    tag = gw.admin("GET", "/api/v1/config").header("ETag")
    assert tag
    assert put(gw, gw.config, headers=[("If-Match", '"999"')]).status == 412
    assert gw.generation == 1
    assert put(gw, gw.config, headers=[("If-Match", tag)]).status == 200
    assert put(gw, gw.config, headers=[("If-Match", tag)]).status == 412  # it was used up
    assert gw.generation == 2


def test_an_unconfirmed_config_is_reverted(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    before = gw.file.read_text()
    reply = put(gw, {**gw.config, "services": {"app": {"targets": [new.address]}}}, f"?confirm={ms(1000)}")
    assert reply.status == 200
    gw.get()
    assert len(new.requests) == 1
    until(lambda: gw.file.read_text() == before and gw.generation == 3, "reverted by itself")
    gw.get()
    assert len(old.requests) == 1


def test_a_confirmed_config_stays(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    fresh = {**gw.config, "services": {"app": {"targets": [new.address]}}}
    assert put(gw, fresh, f"?confirm={ms(1500)}").status == 200
    assert gw.admin("POST", "/api/v1/config/confirm").status == 200
    stays(lambda: gw.generation == 2 and json.loads(gw.file.read_text()) == fresh, "it stays", 2.5)
    assert gw.admin("POST", "/api/v1/config/confirm").status in (404, 409)  # nothing waits


def test_an_unconfirmed_config_is_reverted_after_a_crash_too(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    before = gw.file.read_text()
    assert put(gw, {**gw.config, "services": {"app": {"targets": [new.address]}}}, f"?confirm={ms(2000)}").status == 200
    os.killpg(gw.process.pid, signal.SIGKILL)
    gw.process.wait(10)
    gw.start()
    until(lambda: gw.file.read_text() == before, "reverted after the crash")
    until(lambda: gw.get().status == 200 and old.requests, "the old target serves")


# -- targets


def test_a_target_can_be_added_and_removed(origins, gateway):
    first, second = origins(), origins()
    gw = gateway(first, service={"balance": "round_robin"})
    reply = gw.admin("POST", "/api/v1/services/app/targets", {"id": "b", "address": second.address, "weight": 1})
    assert reply.status in (200, 201), reply
    for _ in range(10):
        gw.get()
    assert len(first.requests) == len(second.requests) == 5
    assert gw.targets()["b"]["source"] == "api"
    assert gw.admin("DELETE", "/api/v1/services/app/targets/b").status in (200, 204)
    for _ in range(5):
        gw.get()
    assert len(second.requests) == 5
    assert "b" not in gw.targets()


def test_a_wrong_target_is_refused(origin, gateway):
    gw = gateway(origin)
    for body, status in (
        ({"address": "nonsense"}, (400, 422)),
        ({"address": "127.0.0.1:99999"}, (400, 422)),
        ({}, (400, 422)),
        ("{not json", (400, 422)),
        ({"id": origin.address, "address": origin.address}, (409, 422)),
        ({"id": "x", "address": "127.0.0.1:1", "weight": -1}, (400, 422)),
        ({"id": "x", "address": "127.0.0.1:1", "wieght": 1}, (400, 422)),
    ):
        reply = gw.admin("POST", "/api/v1/services/app/targets", body, headers=[("Content-Type", "application/json")])
        assert reply.status in status, (body, reply)
        assert reply.json()["reason"]
    assert list(gw.targets()) == [origin.address]


def test_draining_a_target_cuts_nothing(origins, gateway):
    first, second = origins(), origins()
    go = threading.Event()

    @first.on("/slow")
    def slow(conn, request):
        go.wait(60)
        conn.respond(200, b"first")

    gw = gateway([{"id": "a", "address": first.address}, {"id": "b", "address": second.address}], service={"balance": "round_robin"})
    waiting = [gw.connect().request("GET", "/slow") for _ in range(2)]
    until(lambda: first.heads, "a request at the first")
    assert gw.admin("POST", "/api/v1/services/app/targets/a/drain").status == 200
    before = len(first.heads)
    for _ in range(6):
        assert gw.get().status == 200
    assert len(first.heads) == before
    assert gw.targets()["a"]["drained"]
    go.set()
    assert {c.reply().status for c in waiting} == {200}
    assert gw.admin("POST", "/api/v1/services/app/targets/a/enable").status == 200
    for _ in range(6):
        gw.get()
    assert len(first.heads) == before + 3


def test_all_targets_drained(origin, gateway):
    gw = gateway([{"id": "a", "address": origin.address}])
    assert gw.admin("POST", "/api/v1/services/app/targets/a/drain").status == 200
    reply = gw.get()
    assert (reply.status, reply.reason) == (503, "destination_unavailable")


def test_changes_survive_a_restart_and_a_reload(origins, gateway):
    first, second = origins(), origins()
    gw = gateway([{"id": "a", "address": first.address}], service={"balance": "round_robin"})
    gw.admin("POST", "/api/v1/services/app/targets", {"id": "b", "address": second.address})
    gw.admin("POST", "/api/v1/services/app/targets/a/drain")

    def is_as_changed():
        targets = gw.targets()
        assert targets["a"]["drained"] and targets["a"]["drained_source"] == "api", targets
        assert targets["b"]["source"] == "api" and not targets["b"]["drained"], targets
        before = len(second.requests)
        for _ in range(4):
            assert gw.get().status == 200
        assert len(second.requests) == before + 4

    is_as_changed()
    gw.reload()
    is_as_changed()
    os.kill(gw.edge, signal.SIGKILL)
    until(gw.is_ready, "the edge back")
    is_as_changed()
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    gw.start()
    is_as_changed()
    gw.admin("DELETE", "/api/v1/services/app/targets/b")
    gw.admin("POST", "/api/v1/services/app/targets/a/enable")
    gw.reload()
    assert list(gw.targets()) == ["a"] and gw.get().status == 200


def test_a_target_of_the_file_cannot_vanish_unnoticed(origins, gateway):
    first, second = origins(), origins()
    gw = gateway([{"id": "a", "address": first.address}, {"id": "b", "address": second.address}])
    reply = gw.admin("DELETE", "/api/v1/services/app/targets/a")
    assert reply.status in (200, 204, 409), reply
    if reply.status == 409:
        assert reply.json()["reason"]
        assert set(gw.targets()) == {"a", "b"}
    else:
        gw.reload()
        assert set(gw.targets()) == {"b"}


# -- events


def test_events_tell_of_changes(origin, gateway):
    gw = gateway(origin)
    with Client(f"unix:{gw.state}/admin.sock") as client:
        client.request("GET", "/api/v1/events", [("Accept", "text/event-stream")], host="localhost")
        head = client.head()
        assert head.status == 200 and head.header("Content-Type").startswith("text/event-stream")
        gw.reload()
        client.until(b"event: config", "an event of the reload")
        gw.write("broken: [")
        gw.admin("POST", "/api/v1/reload")
        client.until(b"event: config", "an event of the failure")


def test_many_event_listeners_that_never_read_are_harmless(origin, gateway):
    gw = gateway(origin)
    clients = []
    for _ in range(20):
        client = Client(f"unix:{gw.state}/admin.sock")
        client.request("GET", "/api/v1/events", host="localhost")
        clients.append(client)
    for _ in range(5):
        gw.reload()
    assert gw.get().text == "ok"
    for client in clients:
        client.close()
