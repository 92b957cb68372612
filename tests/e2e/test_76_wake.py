# SPDX-License-Identifier: Apache-2.0
"""A service of which nothing runs: who waits, who wakes it, who is answered at once, and what becomes of those that
wait. Control is the test's own; edge, clients and app are real."""

import json
import os
import signal
import threading
from collections import Counter

import pytest

from lib.h2peer import H2Client
from lib.sleeper import BROWSER, ask, cold_ms, of, refusal, wake
from lib.wait import DEADLINE, QUIET, SLOW, Stopwatch, ms, stays, until
from lib.websocket import TEXT, accept_of, echo, message, new_key, read

LONG = 3 * DEADLINE


# -- waiting and waking


def test_a_request_waits_for_the_unit_that_it_wakes(sleepy):
    app = sleepy()
    waiting = ask(app, "/first")
    assert app.wait_told() == [{"name": "app", "held": 1, "asked_ms": app.told[0][0]["asked_ms"]}]
    assert waiting.is_open(QUIET)
    origin = wake(app)
    reply = waiting.reply()
    assert (reply.status, reply.text) == (200, "ok")
    assert QUIET * 1000 <= cold_ms(reply) <= DEADLINE * 1000
    assert [r.path for r in origin.requests] == ["/first"]
    record = app.gw.log("/first")
    assert record["cold_start_ms"] >= QUIET * 1000 and record["status"] == 200
    assert app.gw.get("/second").header("Server-Timing") is None
    assert "cold_start_ms" not in app.gw.log("/second")
    app.say("awake", [app.target])
    assert app.gw.get("/third").text == "ok"
    assert app.scale == {"state": "awake", "held": 0}


@pytest.mark.parametrize("workers", [1, 4])
def test_a_thousand_at_once_wake_it_once_and_are_all_answered(sleepy, workers):
    app = sleepy(workers=workers)
    waiting = [ask(app, f"/{n}", of(f"10.0.0.{n % 100}")) for n in range(1000)]
    app.wait_held(1000)
    assert len(app.told) == 1
    assert app.gw.metric("sluice_wake_queue", service="app") == 1000
    origin = wake(app)
    replies = [client.reply(timeout=LONG) for client in waiting]
    assert Counter(r.status for r in replies) == {200: 1000}
    assert all(cold_ms(r) > 0 for r in replies)
    assert sorted(int(r.path[1:]) for r in origin.requests) == list(range(1000))
    assert len(app.told) == 1
    assert app.gw.metric("sluice_wake_queue", service="app") == 0
    app.gw.wait_metric("sluice_wake_requests_total", 1000, service="app", result="served")


def test_they_do_not_overrun_what_has_just_started(sleepy):
    # A connection is tried again by the kernel after one, three and seven seconds: an app that gets no processor for a
    # second is not what this is about, and a crowd that comes all at once would need more than that.
    app = sleepy(workers=2, service={"retry": "off"}, timeouts={"connect": "8s"})
    waiting = [ask(app, f"/{n}", of(f"10.0.0.{n % 100}")) for n in range(600)]
    app.wait_held(600)
    origin = wake(app)
    origin.listener.listen(64)  # who connects beyond that is heard after a second, or never
    replies = [client.reply(timeout=LONG) for client in waiting]
    assert Counter(r.status for r in replies) == {200: 600}


def test_they_leave_in_fair_order_and_one_at_a_time(sleepy):
    app = sleepy(service={"limits": {"concurrency": 1, "queue": 0}})
    waiting = []
    for n in range(6):  # the first client has four, two others one each
        address = "10.0.0.1" if n < 4 else f"10.0.0.{n}"
        waiting.append(ask(app, f"/{n}", of(address)))
        app.wait_held(n + 1)
    origin = wake(app)
    assert [c.reply(timeout=LONG).text for c in waiting] == ["ok"] * 6
    order = [int(r.path[1:]) for r in origin.requests]
    assert sorted(order) == list(range(6))
    assert order.index(4) < order.index(3) and order.index(5) < order.index(3), order


def test_the_release_may_be_another_one_then(sleepy):
    app = sleepy()
    waiting = ask(app)
    app.wait_told()
    app.say("waking", [app.target], release="r42")
    app.start()
    reply = waiting.reply()
    assert (reply.status, reply.header("X-Sluice-Release")) == (200, "r42")


def test_units_that_are_told_of_before_they_listen(sleepy):
    app = sleepy()
    waiting = [ask(app, f"/{n}") for n in range(3)]
    app.wait_held(3)
    app.say("waking", [app.target])
    stays(lambda: app.scale["held"] == 3, "nothing listens there yet")
    assert app.status["targets"][0]["state"] == "unknown"
    app.start()
    assert [c.reply().text for c in waiting] == ["ok"] * 3


def test_what_comes_while_it_wakes_waits_too(sleepy):
    app = sleepy()
    app.say("waking", [app.target])
    waiting = ask(app)
    assert app.wait_told()[0]["held"] == 1
    app.start()
    assert waiting.reply().text == "ok"


def test_one_that_is_not_up_when_the_service_is_awake_is_asked_on(sleepy, origins):
    late, answered, is_up = origins(), threading.Semaphore(0), threading.Event()

    @late.on("/up")
    def answer(conn, request):
        threading.Event().wait(0.15 * SLOW)  # longer than it is waited for before the connection is there
        conn.respond(200 if is_up.is_set() else 503, b"")
        answered.release()

    app = sleepy(service={"health": {"path": "/up", "interval": ms(200), "fast_interval": ms(200)}})
    first = app.start()
    app.say("waking", [app.target, late.address])
    for _ in range(12):  # the longer it takes, the longer are the pauses
        assert answered.acquire(timeout=DEADLINE)
    app.say("awake", [app.target, late.address])  # in such a pause
    is_up.set()
    until(lambda: [t["state"] for t in app.status["targets"]] == ["up", "up"], "both are up", more=lambda: repr(app.status))
    assert first.requests


def test_a_wake_that_comes_to_nothing_is_asked_for_again(sleepy):
    app = sleepy()
    waiting = ask(app)
    app.wait_told()
    app.say("waking", [app.target])
    app.say("asleep")
    assert app.wait_told(2)[0]["held"] == 1
    wake(app)
    assert waiting.reply().text == "ok"


def test_awake_at_once(sleepy):
    app = sleepy()
    waiting = ask(app)
    app.wait_told()
    app.start()
    app.say("awake", [app.target])
    assert waiting.reply().text == "ok"


def test_each_time_it_sleeps_it_is_woken_anew(sleepy):
    app = sleepy()
    first = ask(app)
    app.wait_told()
    wake(app)
    assert first.reply().text == "ok"
    app.say("awake", [app.target])
    app.say("asleep")
    assert app.wakes()["services"] == []
    second = ask(app)
    app.wait_told(2)
    app.say("waking", [app.target])
    assert second.reply().text == "ok"


def test_bodies_wait_too_and_are_read_no_further(sleepy):
    app = sleepy(wake={"queue_bytes": "1MiB"})
    body = os.urandom(8 * 1024 * 1024)
    client = app.gw.connect()
    sender = threading.Thread(target=lambda: client.request("POST", "/upload", body=body))
    sender.start()
    app.wait_told()
    assert client.is_open(QUIET)
    assert sender.is_alive()
    origin = wake(app)
    assert client.reply("POST", timeout=LONG).text == "ok"
    sender.join(DEADLINE)
    assert origin.request.body == body


def test_streams_of_http2_wait(sleepy):
    app = sleepy()
    with H2Client(("127.0.0.1", app.gw.port)) as client:
        streams = [client.request("GET", f"/{n}") for n in range(4)]
        app.wait_held(4)
        streams[1].reset()
        app.wait_held(3)
        origin = wake(app)
        assert [s.reply().status for s in streams if s is not streams[1]] == [200] * 3
    assert sorted(r.path for r in origin.requests) == ["/0", "/2", "/3"]


def test_websockets_wait(sleepy):
    app = sleepy()
    client = ask(app, "/ws", [("Connection", "upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
                              ("Sec-WebSocket-Key", new_key()), *BROWSER])
    app.wait_told()
    origin = app.start()  # nobody knows of it yet

    @origin.on("/ws")
    def serve(conn, request):
        conn.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: websocket\r\n"
                  f"Sec-WebSocket-Accept: {accept_of(request.header('Sec-WebSocket-Key'))}\r\n\r\n")
        echo(lambda n: conn.exactly(n, "a message"), conn.send)
        return "end"

    app.say("waking", [app.target])
    reply = client.head()
    assert reply.status == 101 and cold_ms(reply) > 0
    client.send(message(TEXT, b"hello", is_masked=True))
    assert read(lambda n: client.exactly(n, "an echo"))[:2] == (TEXT, b"hello")


def test_a_client_that_leaves(sleepy):
    app = sleepy(wake={"queue": 1})
    leaver = ask(app, "/left")
    app.wait_held(1)
    leaver.reset()
    app.wait_held(0)
    assert app.gw.log("/left")["status"] == 499
    app.gw.wait_metric("sluice_wake_requests_total", 1, service="app", result="dropped")
    stayer = ask(app, "/stays")
    app.wait_told(2)
    origin = wake(app)
    assert stayer.reply().text == "ok"
    assert [r.path for r in origin.requests] == ["/stays"]


# -- bounds


def test_a_client_may_have_so_many(sleepy):
    app = sleepy(wake={"per_client": 2}, workers=2)
    waiting = [ask(app, "/", of(address)) for address in ("10.0.0.1", "10.0.0.1", "2001:db8::1", "2001:db8::2")]
    app.wait_held(4)
    for address in ("10.0.0.1", "2001:db8::3"):
        reply = app.gw.get("/", of(address))
        assert refusal(reply) == (503, "wake_queue_full") and int(reply.header("Retry-After")) >= 1
        assert reply.json()["detail"] == "too many requests of this client wait"
    waiting += [ask(app, "/", of(address)) for address in ("10.0.0.2", "2001:db8:0:1::1")]
    app.wait_held(6)
    wake(app)
    assert [c.reply().text for c in waiting] == ["ok"] * 6
    app.gw.wait_metric("sluice_wake_requests_total", 2, service="app", result="full")


def test_the_queue_may_be_full(sleepy):
    app = sleepy(wake={"queue": 3})
    waiting = []
    for n in range(3):
        waiting.append(ask(app, f"/{n}", of("10.0.0.1")))
        app.wait_held(n + 1)
    reply = app.gw.get("/more", of("10.0.0.1"))
    assert refusal(reply) == (503, "wake_queue_full") and reply.json()["detail"] == "the queue is full"
    other = ask(app, "/other", of("10.0.0.3"))  # who has many there makes room
    assert refusal(waiting[2].reply()) == (503, "wake_queue_full")
    wake(app)
    assert [c.reply().text for c in (*waiting[:2], other)] == ["ok"] * 3


def test_bodies_may_take_so_much(sleepy):
    app = sleepy(wake={"queue_bytes": "20KiB"})
    waiting = ask(app, "/fits", method="POST", body=b"x" * 15_000)
    app.wait_held(1)
    reply = app.gw.post("/more", b"x" * 15_000)
    assert refusal(reply) == (503, "wake_queue_full")
    app.wait_held(1)
    late = app.gw.connect().request("POST", "/late", [("Content-Length", "15000")])
    app.wait_held(2)
    late.send(b"x" * 15_000)
    assert refusal(late.reply("POST")) == (503, "wake_queue_full")
    origin = wake(app)
    assert waiting.reply("POST").text == "ok"
    assert origin.request.body == b"x" * 15_000
    more = app.gw.post("/after", b"x" * 15_000)  # what was counted is given back
    assert more.text == "ok"


def test_a_body_that_came_first_is_refused_and_counted_once(sleepy, origins):
    guard, may_pass = origins(), threading.Event()
    app = sleepy(wake={"queue_bytes": "1KiB"})
    app.gw.change(services={"auth": {"targets": [guard.address]}}, routes=[{"name": "r", "service": "app"}],
                  filters=[{"forward_auth": {"url": "http://auth/"}}])
    app.gw.reload()

    @guard.on("/")
    def judge(conn, request):
        may_pass.wait(LONG)
        conn.respond(200, b"")

    client = ask(app, "/large", method="POST", body=b"x" * 4000)
    guard.wait_heads(1)
    may_pass.set()
    reply = client.reply("POST")
    assert refusal(reply) == (503, "wake_queue_full") and reply.json()["detail"] == "their bodies are too large"
    app.gw.wait_metric("sluice_wake_requests_total", 1, service="app", result="full")


def test_waiting_has_an_end(sleepy):
    app = sleepy(wake={"deadline": ms(500)}, state=None)
    app.say("asleep", eta_ms=9000)
    with Stopwatch() as watch:
        reply = app.gw.get("/late")
    assert refusal(reply) == (503, "wake_timeout")
    assert 0.4 * SLOW < watch.seconds < 4 * SLOW
    assert 9 - watch.seconds <= int(reply.header("Retry-After")) <= 9
    assert app.gw.log("/late")["cold_start_ms"] >= 400 * SLOW
    assert app.scale["held"] == 0
    app.gw.wait_metric("sluice_wake_requests_total", 1, service="app", result="timeout")


def test_the_end_stays_the_same_over_a_change_of_release(sleepy):
    app = sleepy(wake={"deadline": ms(1000)})
    with Stopwatch() as watch:
        waiting = ask(app)
        app.wait_told()
        for n in range(5):
            app.say("waking", [app.target], release=f"r{n}")
        reply = waiting.reply()
    assert refusal(reply) == (503, "wake_timeout") and watch.seconds < 4 * SLOW


# -- units that fail, and no control


def test_broken(sleepy):
    app = sleepy()
    waiting = ask(app, "/held")
    app.wait_told()
    app.say("broken", why='it exits with "no configuration"', retry_ms=30_000)
    for reply in (waiting.reply(), app.gw.get("/new"), app.gw.get("/page", BROWSER)):
        assert refusal(reply) == (503, "wake_failed")
        assert 25 <= int(reply.header("Retry-After")) <= 31
    assert app.gw.get("/new").json()["detail"] == 'it exits with "no configuration"'
    scale = app.scale
    assert scale["state"] == "broken" and 20_000 < scale["retry_ms"] <= 30_000 and scale["held"] == 0
    assert app.wakes()["services"] == []
    app.gw.wait_metric("sluice_wake_requests_total", 4, service="app", result="failed")
    app.say("asleep")
    again = ask(app)
    app.wait_told(2)
    wake(app)
    assert again.reply().text == "ok"


def test_without_control_nobody_is_left_to_wait(sleepy):
    app = sleepy(wake={"deadline": "10m"})
    waiting = [ask(app, f"/{n}") for n in range(3)]
    app.wait_held(3)
    app.wait_told()
    app.deaf()
    with Stopwatch() as watch:
        replies = [c.reply(timeout=20 + LONG) for c in waiting]
    assert [refusal(r) for r in replies] == [(503, "control_unavailable")] * 3
    assert watch.seconds < 20 + DEADLINE
    with Stopwatch() as watch:
        reply = app.gw.get("/new")
    assert refusal(reply) == (503, "control_unavailable") and int(reply.header("Retry-After")) >= 1
    assert watch.seconds < 2 * SLOW
    app.gw.wait_metric("sluice_wake_requests_total", 4, service="app", result="unavailable")
    app.listen()  # it is back
    late = ask(app)
    app.wait_told(2)
    wake(app)
    assert late.reply().text == "ok"


# -- the edge's own life


def test_a_reload_leaves_them_waiting(sleepy):
    app = sleepy()
    waiting = ask(app)
    app.wait_told()
    app.gw.change(timeouts={"drain": "3s"})
    app.gw.reload()
    assert app.scale == {"state": "asleep", "held": 1} and waiting.is_open(QUIET)
    wake(app)
    assert waiting.reply().text == "ok"


def test_a_restart_of_the_edge_keeps_it_asleep(sleepy):
    app = sleepy(state=None)
    app.say("asleep", eta_ms=1500)
    held = ask(app)
    app.wait_told()
    before = app.wakes()["number"]
    os.kill(app.gw.edge, signal.SIGKILL)
    until(app.gw.is_ready, "the edge back")
    held.expect_end()
    assert app.scale == {"state": "asleep", "held": 0, "eta_ms": 1500}
    assert app.wakes(after=before, wait=30)["number"] > before  # at once: it is another edge
    again = ask(app)
    until(lambda: app.wakes()["services"], "somebody asks")
    wake(app)
    assert again.reply().text == "ok"


def test_broken_stays_so_over_a_restart(sleepy):
    app = sleepy(state="broken", hears=False)
    app.say("broken", why="no disk", retry_ms=600_000)
    app.gw.signal(signal.SIGTERM)
    assert app.gw.wait_exit() == 0
    kept = json.loads((app.gw.state / "edge.json").read_text())["services"]["app"]["control"]["scale"]
    assert kept["state"] == "broken" and kept["why"] == "no disk" and kept["retry_at_ms"] > 0
    app.gw.start()
    reply = app.gw.get("/")
    assert refusal(reply) == (503, "wake_failed") and 500 < int(reply.header("Retry-After")) <= 601


@pytest.mark.parametrize("number", [signal.SIGUSR2, signal.SIGTERM])
def test_those_that_wait_in_an_edge_that_ends_are_told(sleepy, number):
    app = sleepy(timeouts={"drain": "30s"})
    waiting = ask(app)
    app.wait_told()
    app.gw.signal(number)
    reply = waiting.reply()
    assert refusal(reply) == (503, "draining") and reply.header("Retry-After")
    if number == signal.SIGTERM:
        assert app.gw.wait_exit() == 0
        return
    until(lambda: len(app.gw.edges()) == 1, "the old one gone")
    again = ask(app)
    until(lambda: app.wakes()["services"], "somebody asks the new one")
    wake(app)
    assert again.reply().text == "ok"


def test_a_service_that_is_removed(sleepy, origin):
    app = sleepy()
    waiting = ask(app)
    app.wait_told()
    app.gw.write({**app.gw.config, "services": {"other": {"targets": [origin.address]}}})
    app.gw.reload()
    assert refusal(waiting.reply()) == (503, "destination_unavailable")


def test_what_no_longer_scales_does_not_sleep(sleepy):
    app = sleepy()
    waiting = ask(app)
    app.wait_told()
    services = {"app": {k: v for k, v in app.gw.config["services"]["app"].items() if k != "scale"}}
    app.gw.write({**app.gw.config, "services": services})
    app.gw.reload()
    assert refusal(waiting.reply()) == (503, "destination_unavailable")
    assert "scale" not in app.status


def test_maintenance_and_pause_come_first(sleepy):
    app = sleepy()
    for verb in ("maintenance", "pause"):
        assert app.gw.admin("POST", f"/api/v1/services/app/{verb}", {"on": True}).status == 200
        if verb == "maintenance":
            assert refusal(app.gw.get("/")) == (503, "maintenance")
    waiting = ask(app)
    until(lambda: app.status["waiting"] == 1, "one that waits for the pause's end")
    assert app.told == []
    assert app.gw.admin("POST", "/api/v1/services/app/resume", {}).status == 200
    app.wait_told()
    wake(app)
    assert waiting.reply().text == "ok"
