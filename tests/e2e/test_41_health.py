# SPDX-License-Identifier: Apache-2.0
"""Active health checks: what is asked, what the answer is worth, and what becomes of requests meanwhile."""

import selectors
import socket
import threading
import time
from collections import Counter

import pytest

from lib.health import AGENT, Events, Steps, asked, checked, numbered, state, target, wait_state
from lib.wait import DEADLINE, QUIET, SLOW, ms, stays, until

HELD = {"timeout": "60s"}


# -- a connection is enough


def test_a_target_that_listens_is_up(origin, gateway):
    gw = gateway(origin, service={"health": checked()})
    assert gw.get().text == "ok"
    found = wait_state(gw, origin, "up")
    assert found["last_check"]["passed"] and "connection" in found["last_check"]["words"]
    assert len(asked(origin)) == len(origin.heads) == 1


def test_checks_are_on_when_nothing_is_said(origins, faulties, gateway):
    a, b = numbered(origins, 2)
    proxy = faulties(b)
    proxy.set("refuse")
    gw = gateway([a, proxy], service={"health": "on", "balance": "round_robin"})
    assert wait_state(gw, proxy, "down")["last_check"]["passed"] is False
    assert {gw.get().text for _ in range(6)} == {"0"}


def test_one_that_stops_to_listen_gets_nothing_until_it_is_back(origins, faulties, gateway):
    a, b = numbered(origins, 2)
    proxy = faulties(b)
    gw = gateway([a, proxy], service={"health": checked(), "balance": "round_robin"})
    for of in (a, proxy):
        wait_state(gw, of, "up")
    assert {gw.get().text for _ in range(4)} == {"0", "1"}
    proxy.set("refuse")
    down = wait_state(gw, proxy, "down")
    assert down["reason"] == down["last_check"]["words"] == f"connection refused: nothing listens on {proxy.address}"
    assert [gw.get().text for _ in range(6)] == ["0"] * 6
    assert gw.metric("sluice_upstream_retries_total", service="app") == 0  # not tried at all
    proxy.set("pass")
    wait_state(gw, proxy, "up")
    assert Counter(gw.get().text for _ in range(6)) == {"0": 3, "1": 3}


def test_all_down_is_said_at_once(origin, faulties, gateway):
    proxy = faulties(origin)
    gw = gateway(proxy, service={"health": checked(fall=1), "hold": HELD})
    wait_state(gw, proxy, "up")
    proxy.set("refuse")
    wait_state(gw, proxy, "down")
    reply = gw.get()
    assert (reply.status, reply.reason) == (503, "destination_unavailable")
    assert reply.header("Retry-After") and "error=" in reply.header("Proxy-Status")
    proxy.set("pass")
    until(lambda: gw.get().status == 200, "serving again")


def test_another_port_is_asked(origins, gateway):
    app, side = origins(), origins()
    steps = Steps(side)
    gw = gateway(app, service={"health": checked("/health", port=side.port, fall=1)})
    steps.step(200)
    assert gw.get().text == "ok"
    steps.step(500)
    assert state(gw, app) == "down"
    assert not asked(side) and all(h.path == "/" for h in app.heads)


# -- over HTTP


def test_what_is_asked(origin, gateway):
    gw = gateway(origin, service={"health": checked("/health?deep=1")})
    wait_state(gw, origin, "up")
    check = origin.wait_requests(1)[0]
    assert (check.method, check.target) == ("GET", "/health?deep=1")
    assert check.header("User-Agent") == AGENT
    assert check.header("X-Forwarded-Proto") == "https"  # an app that forces HTTPS would answer with a redirect
    assert not check.has("Content-Length") and not check.has("Transfer-Encoding")
    assert check.header("Host") == origin.address


@pytest.mark.parametrize("host, seen", [("keep", "app.example"), ("target", None), ("inner.example", "inner.example")])
def test_which_host_is_asked_for(origin, gateway, host, seen):
    gw = gateway(origin, service={"health": checked("/health"), "host": host},
                 routes=[{"name": "r", "hosts": ["*.wild.example", "app.example"], "service": "app"}])
    wait_state(gw, origin, "up")
    assert origin.wait_requests(1)[0].header("Host") == (seen or origin.address)


@pytest.mark.parametrize("wanted, status, is_good", [
    (None, 200, True), (None, 302, True), (None, 399, True), (None, 404, False), (None, 500, False),
    (204, 204, True), (204, 200, False), ("200-299", 301, False),
    ([200, "401-403"], 402, True), ([200, "401-403"], 404, False),
])
def test_which_answers_are_good(origin, gateway, wanted, status, is_good):
    @origin.on("/health")
    def answer(conn, request):
        conn.read_body(request)
        conn.respond(status, b"" if status == 204 else b"x")

    more = {} if wanted is None else {"status": wanted}
    gw = gateway(origin, service={"health": checked("/health", **more)})
    found = wait_state(gw, origin, "up" if is_good else "down")
    assert found["last_check"]["passed"] is is_good
    assert found["last_check"]["words"].startswith(f"answered {status} to GET /health")


BIG = 64 * 1024


@pytest.mark.parametrize("pieces, is_good", [
    ([b'{"status": "fine"}'], True),
    ([b'{"status": "fi', b'ne"}'], True),
    ([b'{"status": "poor"}'], False),
    ([b""], False),
    ([b"x" * (BIG - 4), b"fine", b"y" * 100], True),
    ([b"x" * (BIG - 3), b"fine", b"y" * 100], False),
], ids=["there", "in two pieces", "not there", "empty", "just within 64 KiB", "just beyond"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_what_the_body_must_contain(origin, gateway, pieces, is_good, is_chunked):
    @origin.on("/health")
    def answer(conn, request):
        conn.read_body(request)
        if is_chunked:
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            conn.send(b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in pieces if p) + b"0\r\n\r\n")
            return
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {sum(map(len, pieces))}\r\n\r\n")
        for piece in pieces:
            conn.send(piece)

    gw = gateway(origin, service={"health": checked("/health", body="fine")})
    found = wait_state(gw, origin, "up" if is_good else "down")
    assert is_good or 'without "fine" in it' in found["reason"]


def answers_with(status, headers=()):
    def answer(conn, request):
        conn.read_body(request)
        conn.respond(status, b"x", headers)

    return answer


@pytest.mark.parametrize("status, headers, said", [
    (404, (), "it lives: is the path right?"),
    (401, (), "wants to know who asks"),
    (403, (), "wants to know who asks"),
    (308, [("Location", "https://elsewhere.example/health")], "a redirect to https://elsewhere.example/health"),
    (302, (), "a redirect"),
    (500, (), "answered 500 to GET /health"),
])
def test_an_answer_that_can_never_pass_is_told_in_words(origin, gateway, status, headers, said):
    origin.on("/health")(answers_with(status, headers))
    gw = gateway(origin, service={"health": checked("/health", status=200)})
    found = wait_state(gw, origin, "down")
    assert found["reason"] == found["last_check"]["words"]
    assert f"answered {status} to GET /health" in found["reason"] and said in found["reason"]


@pytest.mark.parametrize("answer, said", [
    (b"SSH-2.0-OpenSSH_9.2\r\n", "not HTTP"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nab", "cut short"),
    (b"", "closed before an answer"),
], ids=["another protocol", "cut short", "nothing"])
def test_answers_that_are_none_are_told_in_words(origin, gateway, answer, said):
    def script(conn):
        conn.read_head()
        conn.send(answer)
        conn.close()

    origin.script = script
    gw = gateway(origin, service={"health": checked("/health", body="abcd")})
    assert said in wait_state(gw, origin, "down")["reason"]


def test_a_wrong_port_is_told_in_words(gateway, ports):
    dead = f"127.0.0.1:{ports.take()}"
    gw = gateway(dead, service={"health": checked("/health")})
    assert wait_state(gw, dead, "down")["reason"] == f"connection refused: nothing listens on {dead}"


def test_one_that_does_not_answer_in_time(origin, gateway):
    never = threading.Event()

    @origin.on("/health")
    def hang(conn, request):
        never.wait(60)
        return "end"

    gw = gateway(origin, service={"health": checked("/health", timeout=ms(200))})
    found = wait_state(gw, origin, "down")
    assert "connected, but no answer within" in found["reason"]
    assert found["last_check"]["took_ms"] >= 200 * SLOW
    never.set()


def test_one_that_drips_its_answer_does_not_outlive_the_time(origin, faulties, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + "x" * 5000)
    proxy = faulties(origin)
    proxy.set("drip", pause=0.01)
    gw = gateway(proxy, service={"health": checked("/health", timeout=ms(300), body="fine")})
    found = wait_state(gw, proxy, "down")
    assert found["last_check"]["passed"] is False and "within" in found["reason"]


# -- rise and fall


def test_rise_and_fall_count_in_a_row(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"health": checked("/health", rise=2, fall=3)})
    events = Events(gw)
    steps.wait()
    assert state(gw, origin) == "unknown"
    steps.step(200)  # from unknown one is enough
    assert state(gw, origin) == "up"
    steps.step(500, 500, 200, 500, 500)
    assert state(gw, origin) == "up"
    steps.step(500)
    assert state(gw, origin) == "down"
    steps.step(200, 500, 200)
    assert state(gw, origin) == "down"
    steps.step(200)
    assert state(gw, origin) == "up"
    events.wait(origin, "up", "down", "up")
    last = events.health[1]
    assert (last["service"], last["target"]) == ("app", origin.address) and "answered 500" in last["reason"]
    events.close()


def test_a_new_one_may_fail_as_often_as_any(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"health": checked("/health", fall=3)})
    steps.step(500, 500)
    found = target(gw, origin)
    assert found["state"] == "unknown" and "answered 500" in found["reason"]
    steps.step(500)
    assert state(gw, origin) == "down"


def test_a_failing_one_is_asked_more_often(origin, gateway):
    statuses = [200]

    @origin.on("/health")
    def answer(conn, request):
        conn.read_body(request)
        conn.respond(statuses[0])

    gw = gateway(origin, service={"health": checked("/health", interval="1h", fall=1)})
    wait_state(gw, origin, "up")
    stays(lambda: len(origin.heads) == 1, "one check an hour")
    gw.change(services={"app": {"health": {"interval": "100ms"}}})
    statuses[0] = 500
    gw.reload()
    wait_state(gw, origin, "down")
    gw.change(services={"app": {"health": {"interval": "1h"}}})
    gw.reload()
    origin.wait_heads(len(origin.heads) + 10)  # by fast_interval
    statuses[0] = 200
    wait_state(gw, origin, "up")


# -- what becomes of requests


def test_a_new_target_gets_nothing_before_its_first_pass(origins, gateway):
    a, b = numbered(origins, 2)
    steps_a, steps_b = Steps(a), Steps(b)
    gw = gateway([a, b], service={"health": checked("/health"), "balance": "round_robin"})
    steps_a.step(200)
    steps_b.wait()
    assert (state(gw, a), state(gw, b)) == ("up", "unknown")
    assert [gw.get().text for _ in range(20)] == ["0"] * 20
    assert not asked(b)
    steps_b.step(200)
    assert Counter(gw.get().text for _ in range(20)) == {"0": 10, "1": 10}


def test_a_target_that_is_added_gets_requests_with_its_first_pass(origins, gateway):
    a, b = numbered(origins, 2)
    steps_a, steps_b = Steps(a), Steps(b)
    gw = gateway(a, service={"health": checked("/health"), "balance": "round_robin"})
    steps_a.step(200)
    assert gw.admin("POST", "/api/v1/services/app/targets", {"id": "b", "address": b.address}).status == 201
    steps_b.wait()
    assert [gw.get().text for _ in range(20)] == ["0"] * 20
    assert (state(gw, a), gw.targets()["b"]["state"]) == ("up", "unknown")
    steps_b.step(200)
    assert Counter(gw.get().text for _ in range(20)) == {"0": 10, "1": 10}


def test_requests_that_wait_are_served_the_moment_it_passes(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, workers=2, service={"health": checked("/health"), "hold": HELD})
    waiting = [gw.connect().request("GET", f"/{n}") for n in range(8)]
    posted = gw.connect().request("POST", "/post", body=b"body")
    assert all(c.is_open(QUIET / 8) for c in waiting)
    assert not asked(origin)
    began = time.monotonic()
    steps.answers.put(200)
    for client in (*waiting, posted):
        assert client.reply().text == "ok"
    assert time.monotonic() - began < 2 * SLOW
    assert Counter(h.path for h in asked(origin)) == {**{f"/{n}": 1 for n in range(8)}, "/post": 1}
    assert next(r for r in origin.requests if r.path == "/post").body == b"body"
    assert gw.log("/post")["queue_ms"] > 0


def test_requests_that_wait_are_refused_the_moment_it_is_down(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"health": checked("/health", fall=3), "hold": HELD})
    client = gw.connect().request()
    steps.step(500, 500)
    assert client.is_open(QUIET)
    steps.step(500)
    reply = client.reply()
    assert (reply.status, reply.reason) == (503, "destination_unavailable")


def test_how_many_wait_and_how_long(origin, gateway):
    Steps(origin)
    gw = gateway(origin, service={"health": checked("/health"), "hold": {"requests": 1, "timeout": ms(400)}})
    first = gw.connect().request("GET", "/first")
    assert first.is_open(QUIET / 4)
    assert gw.get("/second").reason == "queue_full"
    reply = first.reply()
    assert (reply.status, reply.reason) == (503, "queue_timeout")


def test_assume_up(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"health": checked("/health", assume_up=True, fall=1)})
    steps.wait()
    assert gw.get().text == "ok"
    found = target(gw, origin)
    assert (found["state"], found["reason"]) == ("up", "it is assumed") and "last_check" not in found
    steps.step(500)
    assert state(gw, origin) == "down"
    assert gw.get().status == 503


def test_no_checks(origin, gateway):
    gw = gateway(origin, service={"health": "off"})
    found = target(gw, origin)
    assert (found["state"], found["reason"]) == ("up", "it is not checked") and "last_check" not in found
    stays(lambda: not origin.connections, "nobody asks")
    assert gw.get().text == "ok"


def test_checks_that_are_switched_off_and_on(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"health": checked("/health", fall=1)})
    steps.step(500)
    assert gw.get().status == 503
    gw.change(services={"app": {"health": None}})
    gw.change(services={"app": {"health": "off"}})
    gw.reload()
    assert state(gw, origin) == "up" and gw.get().text == "ok"
    begun = steps.begun
    stays(lambda: steps.begun == begun, "no more checks")
    gw.change(services={"app": {"health": checked("/health", fall=1)}})
    gw.reload()
    steps.wait(begun + 1)
    steps.step(500)
    assert state(gw, origin) == "down"


# -- what is known is kept


@pytest.mark.parametrize("how", ["reload", "target"])
def test_what_is_known_is_kept(origins, gateway, how):
    a, b, c = numbered(origins, 3)
    steps = [Steps(o) for o in (a, b, c)]
    gw = gateway([a, b], service={"health": checked("/health", fall=1), "balance": "round_robin"})
    steps[0].step(200)
    steps[1].step(500)
    events = Events(gw)
    if how == "reload":
        gw.change(limits={"body": "1MiB"})
        gw.reload()
    else:
        assert gw.admin("POST", "/api/v1/services/app/targets", {"id": "c", "address": c.address}).status == 201
    assert (state(gw, a), state(gw, b)) == ("up", "down")
    assert target(gw, b)["last_check"]["words"].startswith("answered 500")
    assert [gw.get().text for _ in range(10)] == ["0"] * 10
    assert not events.states(a) and not events.states(b)
    steps[1].step(200)
    wait_state(gw, b, "up")
    events.close()


def test_failures_in_a_row_are_kept_over_a_reload(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"health": checked("/health", fall=3)})
    steps.step(200, 500, 500)
    gw.change(limits={"body": "1MiB"})
    before = steps.begun
    gw.reload()
    steps.wait(before + 1)  # the one under way was given up, and is no result
    steps.step(500)
    assert state(gw, origin) == "down"


def test_a_check_that_asks_for_something_else_begins_at_once(origin, gateway):
    origin.on("/good")(answers_with(200))
    origin.on("/bad")(answers_with(500))
    gw = gateway(origin, service={"health": checked("/good", interval="1h", fall=1)})
    wait_state(gw, origin, "up")
    gw.change(services={"app": {"health": {"path": "/bad"}}})
    gw.reload()
    wait_state(gw, origin, "down")


@pytest.mark.parametrize("how", ["api", "file"])
def test_a_target_that_is_removed_is_left_alone(origins, faulties, gateway, how):
    a, b = numbered(origins, 2)
    proxy = faulties(b)
    gw = gateway([a, proxy], service={"health": checked(interval="100ms"), "balance": "round_robin"})
    for of in (a, proxy):
        wait_state(gw, of, "up")
    assert {gw.get().text for _ in range(4)} == {"0", "1"}
    assert gw.metrics().series("sluice_upstream_requests_total", target=proxy.address)
    until(lambda: proxy.connections >= 4, "checks")
    if how == "api":
        assert gw.admin("DELETE", f"/api/v1/services/app/targets/{proxy.address}").status == 200
    else:
        gw.change(services={"app": {"targets": [a.address]}})
        gw.reload()
    assert set(gw.targets()) == {a.address}
    until(lambda: not proxy.open, "its connections are closed")
    seen = proxy.connections
    stays(lambda: proxy.connections == seen, "no more checks", 3 * QUIET)
    until(lambda: not gw.metrics().series("sluice_upstream_requests_total", target=proxy.address), "its series is gone")
    assert [gw.get().text for _ in range(4)] == ["0"] * 4


def test_a_removed_target_whose_check_is_under_way(origins, gateway):
    a, b = numbered(origins, 2)
    steps = Steps(b)
    gw = gateway(a, service={"health": checked("/health")})
    wait_state(gw, a, "up")
    assert gw.admin("POST", "/api/v1/services/app/targets", {"id": "b", "address": b.address}).status == 201
    steps.wait()
    assert gw.admin("DELETE", "/api/v1/services/app/targets/b").status == 200
    assert b.connections[0].wait_end() in ("eof", "reset")
    assert set(gw.targets()) == {a.address}


# -- many targets


class Door:
    """Notes when connections come, takes them and lets them go."""

    def __init__(self):
        self.times, self.open = [], True
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.listener.setblocking(False)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self):
        selector = selectors.DefaultSelector()
        selector.register(self.listener, selectors.EVENT_READ)
        while self.open:
            selector.select(0.1)
            try:
                while True:
                    self.listener.accept()[0].close()
                    self.times.append(time.monotonic())
            except OSError:
                pass
        self.listener.close()


def test_checks_of_many_targets_are_spread(gateway):
    """All begin together; the next ones come up to a tenth of the interval sooner or later than it says."""
    count, interval = 200, 1.5 * SLOW
    door = Door()
    gw = gateway([{"id": f"t{n}", "address": door.address} for n in range(count)],
                 service={"health": checked(interval=ms(1500))})
    until(lambda: len(door.times) >= 2 * count, "two rounds of checks", DEADLINE + 2 * interval)
    second = door.times[count : 2 * count]
    assert 0.85 * interval < second[0] - door.times[0] < interval
    assert second[-1] - second[0] > 0.1 * interval
    bins = Counter(int((t - second[0]) / (0.02 * interval)) for t in second)
    assert max(bins.values()) < count / 2, bins  # 20 in each, were it perfect
    assert all(t["state"] == "up" for t in gw.targets().values())
    door.open = False
