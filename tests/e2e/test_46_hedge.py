# SPDX-License-Identifier: Apache-2.0
"""Hedging: a request whose answer is late is said to another target, too, and the first good answer counts."""

import threading

import pytest

from lib.wait import until

HEDGE = "50ms"
RETRY = {"hedge": HEDGE, "budget": "100%", "on": ["connect"]}


class Pair:
    """Two targets; the first one to be asked is late until it is let go."""

    def __init__(self, origins):
        self.go = threading.Event()
        self.first, self.second = None, None
        self.both = origins(), origins()
        self.lock = threading.Lock()
        self.late = lambda conn: conn.respond(200, b"late")
        self.quick = lambda conn: conn.respond(200, b"quick")
        for origin in self.both:
            origin.on("/x")(lambda conn, request, origin=origin: self.answer(origin, conn, request))

    def answer(self, origin, conn, request):
        conn.read_body(request)
        with self.lock:
            is_first = self.first is None
            if is_first:
                self.first = origin
            else:
                self.second = origin
        if is_first:
            self.go.wait(60)
            return self.late(conn)
        return self.quick(conn)

    def asked(self):
        return sum(len([r for r in origin.heads if r.path == "/x"]) for origin in self.both)


@pytest.fixture
def pair(origins):
    made = Pair(origins)
    yield made
    made.go.set()


@pytest.fixture
def hedged(gateway, pair):
    return lambda **retry: gateway(list(pair.both), service={"balance": "round_robin", "retry": {**RETRY, **retry}})


def test_the_quicker_answer_counts_and_the_late_one_is_broken_off(hedged, pair):
    gw = hedged()
    assert gw.get("/x").text == "quick"
    assert pair.asked() == 2
    pair.go.set()
    until(lambda: pair.first.connections[0].ended, "the late one's connection ends")
    record = gw.log("/x")
    assert record["attempts"] == 2 and [t["outcome"] for t in record["tries"]] == ["hedged", "200"], record
    until(lambda: all(t["in_flight"] == 0 for t in gw.targets().values()), "nothing in flight")


def test_an_answer_in_time_is_not_hedged(hedged, pair):
    gw = hedged(hedge="30s")
    pair.go.set()
    assert gw.get("/x").text == "late"
    assert pair.asked() == 1


def test_the_late_one_may_still_win(hedged, pair):
    held = threading.Event()

    def never(conn):
        pair.go.set()
        held.wait(60)
        conn.respond(200, b"never")

    pair.quick = never
    gw = hedged()
    assert gw.get("/x").text == "late"
    held.set()
    until(lambda: all(t["in_flight"] == 0 for t in gw.targets().values()), "nothing in flight")


def test_a_post_is_said_once(hedged, pair):
    gw = hedged()
    timer = threading.Timer(0.5, pair.go.set)
    timer.start()
    assert gw.post("/x", b"body").text == "late"
    timer.join()
    assert pair.asked() == 1


def test_a_put_is_said_again_whole(hedged, pair):
    gw = hedged()
    with gw.connect() as client:
        client.send(b"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello")
        assert client.reply().text == "quick"
    assert [r.body for r in pair.second.requests] == [b"hello"]


def test_without_budget_nothing_is_hedged(hedged, pair):
    gw = hedged(budget="0%", budget_floor=0)
    timer = threading.Timer(0.5, pair.go.set)
    timer.start()
    assert gw.get("/x").text == "late"
    timer.join()
    assert pair.asked() == 1


def test_when_the_first_breaks_off_the_second_goes_on_alone(hedged, pair):
    answer = threading.Event()

    def wait(conn):
        pair.go.set()
        answer.wait(60)
        conn.respond(200, b"second")

    def reset(conn):
        conn.reset()
        answer.set()
        return "end"

    pair.late, pair.quick = reset, wait
    gw = hedged()
    assert gw.get("/x").text == "second"
    assert pair.asked() == 2


def test_a_bad_answer_of_the_second_does_not_count(hedged, pair):
    def fail(conn):
        conn.respond(503, b"no")
        pair.go.set()

    pair.quick = fail
    gw = hedged()
    assert gw.get("/x").text == "late"


def test_one_target_alone_is_not_asked_twice(gateway, origin):
    go = threading.Event()

    @origin.on("/x")
    def late(conn, request):
        go.wait(60)
        conn.respond(200, b"late")

    gw = gateway(origin, service={"retry": RETRY})
    timer = threading.Timer(0.5, go.set)
    timer.start()
    assert gw.get("/x").text == "late"
    timer.join()
    assert len(origin.heads) == 1


def test_a_client_that_leaves_takes_both_with_it(hedged, pair):
    gw = hedged()
    held = threading.Event()
    pair.quick = lambda conn: held.wait(60) and None
    with gw.connect() as client:
        client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        until(lambda: pair.asked() == 2, "both are asked")
    until(lambda: all(t["in_flight"] == 0 for t in gw.targets().values()), "nothing in flight")
    held.set()
