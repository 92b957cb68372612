# SPDX-License-Identifier: Apache-2.0
"""A service that is paused, resumed, or in maintenance: what waits, what goes on, what is answered in its place."""

import json
import os
import signal
import threading

import pytest

from lib.client import Client
from lib.gateway import refused_port
from lib.h2peer import H2Client
from lib.wait import DEADLINE, QUIET, SLOW, Stopwatch, ms, until
from lib.websocket import TEXT, accept_of, echo, message, new_key, read

PAGE = "<!doctype html><title>back soon</title>"


class Service:
    """One service of a running gateway, as the admin API sees it."""

    def __init__(self, gw, name="app"):
        self.gw, self.name = gw, name

    def ask(self, verb, body=None):
        return self.gw.admin("POST", f"/api/v1/services/{self.name}/{verb}", body)

    def set(self, verb, body=None):
        reply = self.ask(verb, body)
        assert reply.status == 200, reply
        assert reply.json()["service"] == self.name and reply.json()["generation"] == self.gw.generation
        assert reply.json()["mode"] == self.status["mode"]
        return reply.json()["mode"]

    @property
    def status(self):
        return next(s for s in self.gw.status()["services"] if s["name"] == self.name)

    def wait(self, count):
        until(lambda: self.status["waiting"] == count, f"{count} that wait")

    def hold(self, path):
        """A request that waits; whoever came before it waits already."""
        before = self.status["waiting"]
        client = self.gw.connect().request("GET", path)
        self.wait(before + 1)
        return client


@pytest.fixture
def held(origin, gateway):
    """A gateway whose service is paused, with these options."""

    def make(**options):
        service = Service(gateway(origin, **options))
        assert service.set("pause") == "paused"
        return service

    return make


# -- pause and resume


def test_requests_wait_until_the_service_is_resumed(held, origin):
    app = held()
    waiting = [app.hold(f"/{n}") for n in range(5)]
    assert origin.untouched
    assert app.set("resume") == "running"
    assert all(c.reply().text == "ok" for c in waiting)
    assert sorted(r.path for r in origin.requests) == [f"/{n}" for n in range(5)]
    assert app.status["waiting"] == 0
    assert app.gw.log("/0")["queue_ms"] > 0


def test_one_target_at_a_time_serves_them_in_order(held, origin):
    app = held(service={"limits": {"concurrency": 1, "queue": 1, "queue_timeout": "30s"}})
    waiting = [app.hold(f"/{n}") for n in range(8)]
    app.set("resume")
    assert all(c.reply().text == "ok" for c in waiting)
    assert [r.path for r in origin.requests] == [f"/{n}" for n in range(8)]


def test_all_workers_let_go(held, origin):
    app = held(workers=4)
    waiting = [app.gw.connect().request("GET", "/") for _ in range(40)]
    app.wait(40)
    app.set("resume")
    assert all(c.reply().text == "ok" for c in waiting)
    assert len(origin.requests) == 40


def test_bodies_wait_too(held, origin):
    app = held()
    client = app.gw.connect().request("POST", "/up", body=b"x" * 100_000)
    app.wait(1)
    app.set("resume")
    assert client.reply("POST").text == "ok"
    assert origin.request.body == b"x" * 100_000


def test_streams_of_http2_wait(held, origin):
    app = held()
    with H2Client(("127.0.0.1", app.gw.port)) as client:
        streams = [client.request("GET", f"/{n}") for n in range(4)]
        app.wait(4)
        streams[1].reset()
        app.wait(3)
        app.set("resume")
        assert [s.reply().status for s in streams if s is not streams[1]] == [200] * 3
    assert sorted(r.path for r in origin.requests) == ["/0", "/2", "/3"]


def test_what_is_in_flight_goes_on(origin, gateway):
    go = threading.Event()

    @origin.on("/slow")
    def slow(conn, request):
        go.wait(60)
        conn.respond(200, b"finished")

    gw = gateway(origin)
    first = gw.connect().request("GET", "/slow")
    origin.wait_heads(1)
    app = Service(gw)
    app.set("pause")
    second = app.hold("/")
    go.set()
    assert first.reply().text == "finished"
    assert second.is_open(QUIET)
    app.set("resume")
    assert second.reply().text == "ok"


def test_tunnels_stay(origin, gateway):
    @origin.on("/ws")
    def serve(conn, request):
        conn.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Accept: {accept_of(request.header('Sec-WebSocket-Key'))}\r\n\r\n")
        echo(lambda n: conn.exactly(n, "a message"), conn.send)
        return "end"

    gw = gateway(origin)
    client = gw.connect().request("GET", "/ws", [("Connection", "upgrade"), ("Upgrade", "websocket"),
                                                 ("Sec-WebSocket-Version", "13"), ("Sec-WebSocket-Key", new_key())])
    assert client.head().status == 101
    for verb in ("pause", "maintenance", "resume"):
        Service(gw).set(verb)
        client.send(message(TEXT, verb.encode(), is_masked=True))
        assert read(lambda n: client.exactly(n, "an echo"))[:2] == (TEXT, verb.encode())


def test_a_client_that_leaves_while_it_waits(held, origin):
    app = held(service={"hold": {"requests": 1}})
    leaver = app.hold("/left")
    leaver.reset()
    app.wait(0)
    assert app.gw.log("/left")["status"] == 499
    stayer = app.hold("/stays")
    app.set("resume")
    assert stayer.reply().text == "ok"
    assert [r.path for r in origin.requests] == ["/stays"]


# -- limits of waiting


def test_the_queue_may_be_full(held):
    app = held(service={"hold": {"requests": 2}})
    waiting = [app.hold("/") for _ in range(2)]
    reply = app.gw.get("/more")
    assert (reply.status, reply.reason) == (503, "queue_full") and reply.header("Retry-After")
    app.gw.wait_metric("sluice_http_requests_refused_total", 1, reason="queue_full")
    app.set("resume")
    assert all(c.reply().text == "ok" for c in waiting)


def test_no_queue_at_all(held):
    assert held(service={"hold": {"requests": 0}}).gw.get().reason == "queue_full"


@pytest.mark.parametrize("version", ["http1", "h2"])
def test_waiting_has_an_end(held, version):
    app = held(service={"hold": {"timeout": ms(500)}})
    with Stopwatch() as watch:
        if version == "h2":
            with H2Client(("127.0.0.1", app.gw.port)) as client:
                reply = client.get("/late")
                reason = reply.header("X-Sluice-Reason")
        else:
            reply = app.gw.get("/late")
            reason = reply.reason
    assert (reply.status, reason) == (503, "queue_timeout") and reply.header("Retry-After")
    assert 0.4 * SLOW < watch.seconds < 3 * SLOW
    assert app.gw.log("/late")["queue_ms"] >= 400 * SLOW
    assert app.status["waiting"] == 0


def test_what_waits_for_a_place_waits_on_when_paused(origin, gateway):
    go = threading.Event()

    @origin.on("/slow")
    def slow(conn, request):
        go.wait(60)
        conn.respond(200, b"finished")

    gw = gateway(origin, service={"limits": {"concurrency": 1, "queue": 2, "queue_timeout": ms(500)}})
    app = Service(gw)
    first = gw.connect().request("GET", "/slow")
    origin.wait_heads(1)
    second = app.hold("/second")
    app.set("pause")
    assert second.is_open(0.7 * SLOW)
    go.set()
    assert first.reply().text == "finished"
    app.set("resume")
    assert second.reply().text == "ok"


def test_paused_while_no_target_is_up(gateway, ports):
    gw = gateway(f"127.0.0.1:{refused_port(ports)}", service={"health": {"interval": "1s", "fast_interval": "200ms"}})
    app = Service(gw)
    until(lambda: app.status["targets"][0]["state"] == "down", "the target is down")
    assert app.status["balance_mode"] == "none" and "503" in app.status["balance_words"]
    assert gw.metrics().one("sluice_upstream_target_up", service="app") == 0
    app.set("pause")
    waiting = app.hold("/")
    assert waiting.is_open(QUIET)
    app.set("resume")
    reply = waiting.reply()
    assert (reply.status, reply.reason) == (503, "destination_unavailable")


# -- durable


def test_it_stays_so_over_reloads_crashes_and_restarts(held, origin):
    app = held(service={"hold": {"timeout": "60s"}})
    gw = app.gw
    waiting = app.hold("/waits")
    gw.reload()
    assert app.status["mode"] == "paused" and app.status["mode_source"] == "api"
    assert waiting.is_open(QUIET)
    assert app.set("pause") == "paused"  # it is already
    app.set("resume")
    assert waiting.reply().text == "ok"
    app.set("pause")
    os.kill(gw.edge, signal.SIGKILL)
    until(gw.is_ready, "the edge back")
    until(lambda: app.status["mode"] == "paused", "still paused")
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    assert json.loads((gw.state / "edge.json").read_text())["services"]["app"] == {"mode": "paused"}
    gw.start()
    waiting = app.hold("/after")
    app.set("resume")
    assert waiting.reply().text == "ok"
    assert json.loads((gw.state / "edge.json").read_text())["services"] == {}


def test_a_state_that_cannot_be_saved_changes_nothing(origin, gateway):
    gw = gateway(origin)
    app = Service(gw)
    file = gw.state / "edge.json"
    file.mkdir()
    reply = app.ask("pause")
    assert (reply.status, reply.json()["reason"]) == (500, "state_not_saved")
    assert app.status["mode"] == "running" and gw.get().text == "ok"
    file.rmdir()
    assert app.set("pause") == "paused"


def test_what_waits_for_a_service_that_is_removed(held, origin):
    app = held()
    gw = app.gw
    waiting = app.hold("/")
    gw.write({**gw.config, "services": {"other": {"targets": [origin.address]}}})
    gw.reload()
    reply = waiting.reply()
    assert (reply.status, reply.reason) == (503, "destination_unavailable")
    assert gw.get().text == "ok"


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_what_waits_in_an_edge_that_ends(held, number):
    app = held(timeouts={"drain": "30s"})
    waiting = app.hold("/")
    app.gw.signal(number)
    reply = waiting.reply()
    assert (reply.status, reply.reason, reply.closes) == (503, "draining", True)
    assert reply.header("Retry-After")
    if number == signal.SIGTERM:
        assert app.gw.wait_exit() == 0
        return
    until(lambda: len(app.gw.edges()) == 1, "the old one gone")
    waiting = app.hold("/")
    app.set("resume")
    assert waiting.reply().text == "ok"


# -- maintenance


def test_maintenance_answers_in_its_place(origin, gateway):
    gw = gateway(origin, service={"maintenance": {"status": 503, "body": PAGE, "content_type": "text/html"}})
    app = Service(gw)
    assert app.set("maintenance", {"on": True}) == "maintenance"
    for headers in ([], [("Accept", "text/html")]):
        reply = gw.get("/page", headers)
        assert (reply.status, reply.reason, reply.text) == (503, "maintenance", PAGE)
        assert reply.header("Content-Type") == "text/html" and int(reply.header("Retry-After")) >= 1
    with H2Client(("127.0.0.1", gw.port)) as client:
        reply = client.get("/h2")
        assert (reply.status, reply.body) == (503, PAGE.encode())
        call = client.post("/pkg.App/Call", headers=[("content-type", "application/grpc"), ("te", "trailers")])
        assert (call.status, call.header("grpc-status"), call.body) == (200, "14", b"")
    assert gw.log("/h2")["reason"] == "maintenance"
    gw.wait_metric("sluice_http_requests_refused_total", 4, reason="maintenance")
    assert origin.untouched
    assert app.set("maintenance", {"on": False}) == "running"
    assert gw.get().text == "ok"


@pytest.mark.parametrize("accept, start", [("text/html", b"<!doctype html>"), ("*/*", b"{")])
def test_maintenance_without_a_page_gets_that_of_refusals(origin, gateway, accept, start):
    gw = gateway(origin, service={"maintenance": {"status": 500}})
    Service(gw).set("maintenance")
    reply = gw.get("/", [("Accept", accept)])
    assert (reply.status, reply.reason) == (500, "maintenance")
    assert reply.body.startswith(start) and b"500" in reply.body and reply.header("Retry-After")


def test_maintenance_with_nothing_to_say(origin, gateway):
    gw = gateway(origin, service={"maintenance": {"status": 204}})
    Service(gw).set("maintenance")
    reply = gw.get()
    assert (reply.status, reply.body, reply.reason) == (204, b"", "maintenance")


def test_what_waits_gets_the_answer_of_maintenance(held, origin):
    app = held(service={"maintenance": {"body": "soon"}})
    waiting = [app.hold("/") for _ in range(3)]
    app.set("maintenance")
    assert [(c.reply().text) for c in waiting] == ["soon"] * 3
    assert origin.untouched


def test_what_ends_one_mode_does_not_end_the_other(origin, gateway):
    app = Service(gateway(origin))
    assert app.set("maintenance", {"on": False}) == "running"
    assert app.set("pause") == "paused"
    assert app.set("maintenance", {"on": False}) == "paused"
    assert app.set("maintenance") == "maintenance"
    assert app.set("pause", {"on": False}) == "maintenance"
    assert app.set("resume") == "running"
    assert app.set("resume", {"on": True}) == "running"


def test_platforms_checks_are_answered(origin, gateway, ports):
    port = ports.take()
    gw = gateway(origin, listeners=[{"bind": f"127.0.0.1:{port}", "health_path": "/up"}])
    for verb in ("pause", "maintenance"):
        Service(gw).set(verb)
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/up").status == 200


# -- who may


def test_wrong_calls(origin, gateway):
    gw = gateway(origin)
    for body in ({"on": 1}, {"off": True}, [], "{"):
        reply = Service(gw).ask("pause", body)
        assert (reply.status, reply.json()["reason"]) == (422, "mode_invalid"), body
    assert Service(gw).ask("resume", {"on": False}).status == 422
    reply = Service(gw, "ap").ask("pause")
    assert (reply.status, reply.json()["reason"]) == (404, "service_not_found")
    assert 'did you mean "app"?' in reply.json()["detail"]
    assert gw.admin("GET", "/api/v1/services/app/pause").status == 405
    assert gw.admin("POST", "/api/v1/services/app/pause", over_socket=False).status == 401
    assert gw.generation == 1


def test_it_is_an_event(origin, gateway):
    gw = gateway(origin)
    with Client(f"unix:{gw.state}/admin.sock") as client:
        client.request("GET", "/api/v1/events", host="localhost")
        assert client.head().status == 200
        Service(gw).set("pause")
        client.until(b"event: mode", "an event", DEADLINE)
        assert b'"mode":"paused"' in client.until(b"\n\n", "its data", DEADLINE)
