# SPDX-License-Identifier: Apache-2.0
"""Why a request went where it went: GET /api/v1/requests/ID and `sluice why ID`."""

import pytest

from lib.client import Client
from lib.wait import until

ROUTES = [
    {"name": "api", "paths": ["/v1/*"], "service": "app"},
    {"name": "write", "paths": ["/v1/*"], "methods": ["POST"], "service": "app"},
    {"name": "beta", "paths": ["/v1/*"], "headers": {"x-beta": "1"}, "service": "app"},
    {"name": "fixed", "paths": ["/fixed"], "respond": {"status": 200, "body": "x"}},
]


def why(gw, reply):
    found = gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}")
    assert found.status == 200, found
    return found.json()


@pytest.fixture
def told(origin, gateway):
    """told(**config): a gateway that can explain every request."""
    def start(**options):
        log = {"why": "100%", **options.pop("log", {})}
        return gateway(origin, routes=ROUTES, log=log, **options)
    return start


def test_a_good_request(told, origin):
    gw = told(filters=[{"rate_limit": {"rate": "60/min", "burst": 5}}, {"headers": {"request": {"set": {"x-a": "1"}}}}])
    reply = gw.get("/v1/a?q=secret")
    found = why(gw, reply)
    assert (found["status"], found["route"], found["service"], found["target"]) == (200, "api", "app", origin.address)
    assert (found["method"], found["path"], found["host"], found["client"]) == ("GET", "/v1/a", "example.com", "127.0.0.1")
    assert found["generation"] == gw.generation and found["attempts"] == 1
    assert "secret" not in str(found)
    routes = {r["name"]: r for r in found["routes"]}
    assert routes["api"]["fits"] and not routes["write"]["fits"] and "POST" in routes["write"]["why"]
    assert not routes["beta"]["fits"] and "x-beta" in routes["beta"]["why"]
    filters = {f["name"]: f for f in found["filters"]}
    assert filters["headers"]["verdict"] == "pass"
    assert filters["rate_limit"]["limits"][0]["before"] == 5 and filters["rate_limit"]["limits"][0]["after"] == 4
    [target] = found["targets"]
    assert target["id"] == origin.address and target["chosen"] and target["state"] == "up"
    assert found["steps_ms"]["total"] >= found["steps_ms"]["answer"] > 0


def test_refusals_are_always_remembered(told):
    gw = told(filters=[{"rate_limit": {"rate": "1/min", "burst": 1}}, {"headers": {"request": {"set": {"x-a": "1"}}}}], log={"why": "0%"})
    good = gw.get("/v1/a")
    assert gw.admin("GET", f"/api/v1/requests/{good.header('X-Request-Id')}").status == 404
    found = why(gw, gw.get("/v1/b"))
    assert (found["status"], found["reason"]) == (429, "rate_limited")
    verdicts = {f["name"]: f["verdict"] for f in found["filters"]}
    assert (verdicts["rate_limit"], verdicts["headers"]) == ("refuse", "not_asked")
    assert "target" not in found and "targets" not in found
    found = why(gw, gw.get("/nowhere"))
    assert found["reason"] == "route_not_found" and not any(r["fits"] for r in found["routes"])


def test_failed_tries_are_told_of(told, origin, ports):
    dead = f"127.0.0.1:{ports.take()}"
    gw = told(services={"app": {"targets": [dead], "retry": "off"}})
    found = why(gw, gw.get("/v1/a"))
    assert (found["status"], found["reason"], found["target"]) == (502, "connection_refused", dead)
    gw.change(services={"app": {"targets": [dead, origin.address], "retry": {"retries": 1}, "balance": "round_robin"}})
    gw.reload()
    replies = [gw.get("/v1/a") for _ in range(2)]
    assert [r.status for r in replies] == [200, 200]
    tries = [why(gw, r).get("tries", []) for r in replies]
    assert [dead, origin.address] in [[t["target"] for t in these] for these in tries]


def test_a_drained_target_is_told_apart(told, origins, origin):
    other = origins()
    gw = told(services={"app": {"targets": [origin.address, other.address]}})
    assert gw.admin("POST", f"/api/v1/services/app/targets/{other.address}/drain").status == 200
    found = why(gw, gw.get("/v1/a"))
    states = {t["id"]: (t["state"], t["chosen"]) for t in found["targets"]}
    assert states == {origin.address: ("up", True), other.address: ("drained", False)}


def test_floods_of_refusals_leave_failures_remembered(told, ports):
    gw = told(services={"app": {"targets": [f"127.0.0.1:{ports.take()}"], "retry": "off"}})
    failed = gw.get("/v1/a")
    with gw.connect() as client:
        first = client.get("/nowhere")
        for _ in range(200):
            client.get("/nowhere")
    assert why(gw, failed)["status"] == 502
    assert gw.admin("GET", f"/api/v1/requests/{first.header('X-Request-Id')}").status == 404


def test_long_and_strange_requests(told):
    gw = told(filters=[{"headers": {"request": {"set": {"x-a": "1"}}}}])
    found = why(gw, gw.get("/v1/" + "%22%5c%01" * 600))
    assert found["path"].startswith("/v1/%22") and len(found["path"]) <= 512
    with gw.connect() as client:
        reply = client.request("GET", "/v1/x", [("X-Odd", "\x80\xff")], host="a" * 200 + ".example").reply()
    assert why(gw, reply)["host"] == "a" * 200 + ".example"
    with gw.connect() as client:
        client.send(b"GET /v1/x HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n")
        reply = client.reply()
    assert why(gw, reply)["reason"] == "host_invalid"


def test_one_in_so_many(told):
    gw = told(log={"why": "10%"})
    with gw.connect() as client:
        ids = [client.get("/fixed").header("X-Request-Id") for _ in range(300)]
    known = sum(gw.admin("GET", f"/api/v1/requests/{i}").status == 200 for i in ids)
    assert 25 <= known <= 35  # evenly spaced, so within a few of thirty


def test_the_newest_of_an_id_that_was_used_twice(told):
    gw = told(trusted_proxies=["127.0.0.1"])
    for path in ("/v1/a", "/v1/b"):
        reply = gw.get(path, [("X-Request-Id", "mine")])
    assert reply.header("X-Request-Id") == "mine" and why(gw, reply)["path"] == "/v1/b"


def test_tunnels_are_told_of_without_what_they_let_go(told, origin):
    @origin.on("/v1/ws")
    def switch(conn, request):
        conn.send(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        conn.to_end("the end of the tunnel")
        return "end"

    gw = told(filters=[{"headers": {"request": {"set": {"x-a": "1"}}}}])
    with Client(("127.0.0.1", gw.port)) as client:
        head = client.request("GET", "/v1/ws", [("Connection", "upgrade"), ("Upgrade", "x")]).head()
    assert head.status == 101
    until(lambda: gw.admin("GET", f"/api/v1/requests/{head.header('X-Request-Id')}").status == 200, "its end")
    found = why(gw, head)
    assert found["status"] == 101 and "filters" not in found


def test_the_command(told):
    gw = told(filters=[{"rate_limit": {"rate": "1/min", "burst": 1}}])
    gw.get("/v1/a")
    reply = gw.get("/v1/a")
    name = reply.header("X-Request-Id")
    done = gw.cli("why", name)
    assert done.code == 0
    for words in ("GET http://example.com/v1/a", "answered  429 rate_limited", "+ api", "rate_limit       refuse", "time, in ms"):
        assert words in done.out, done.out
    assert gw.cli("why", name, "--json").json()["reason"] == "rate_limited"
    missing = gw.cli("why", "nothing")
    assert missing.code == 1 and "log.why" in missing.err
    assert gw.cli("why").code == 2
