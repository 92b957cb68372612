# SPDX-License-Identifier: Apache-2.0
"""A `protocol: h2` target: GOAWAY, refused and reset streams, dead connections, PINGs, idle times."""

import threading

import pytest

from lib.h2frames import (
    CANCEL, ENHANCE_YOUR_CALM, INTERNAL_ERROR, NO_ERROR, PROTOCOL_ERROR, REFUSED_STREAM, reset,
)
from lib.h2peer import H2Client
from lib.h2stream import Reset
from lib.stream import Ended
from lib.wait import DEADLINE, ms, stays, until


# -- goaway, refusals, resets


def test_goaway_lets_streams_below_finish_and_retries_those_above(ask, h2origin):
    release = threading.Event()
    first = []

    @h2origin.on("/slow")
    def slow(stream):
        if stream.engine.index:
            stream.respond(200, b"second")
            return
        first.append(stream)
        release.wait(30)
        if stream.id <= stream.engine.kept:
            stream.respond(200, b"first")

    client = ask(h2origin)
    client.get("/")
    threads, out = client.together(6, "/slow")
    until(lambda: len(first) == 6, "six requests on the first connection")
    conn = h2origin.connections[0]
    conn.kept = sorted(s.id for s in first)[2]
    conn.goaway(conn.kept, NO_ERROR)
    h2origin.wait(lambda: len(h2origin.heads) == 10, "those above on a second connection")
    release.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert sorted(r.body for r in out) == [b"first"] * 3 + [b"second"] * 3
    conn.wait_ended()


def test_posts_above_goaway_are_retried_too(ask, h2origin):
    """They were never looked at, so it is safe whatever the method (RFC 9113 8.7)."""

    @h2origin.on("/post")
    def post(stream):
        if stream.engine.index == 0:
            stream.engine.goaway(stream.id - 2, NO_ERROR)
            return
        stream.read_body()
        stream.respond(200, stream.body)

    client = ask(h2origin)
    client.get("/")
    reply = client.ask("POST", "/post", body=b"only once")
    assert (reply.status, reply.body) == (200, b"only once")
    assert len(h2origin.connections) == 2


def test_no_new_stream_follows_goaway(ask, h2origin):
    client = ask(h2origin)
    client.get("/")
    conn = h2origin.connections[0]
    conn.goaway(0x7FFFFFFF, NO_ERROR)
    conn.wait_ended()
    client.all(5)
    assert len(conn.streams) == 1


def test_a_refused_stream_is_retried(ask, h2origin):
    refused = []

    @h2origin.on("/r")
    def answer(stream):
        if not refused:
            refused.append(stream)
            stream.reset(REFUSED_STREAM)
        else:
            stream.read_body()
            stream.respond(200, stream.body)

    client = ask(h2origin)
    reply = client.ask("POST", "/r", body=b"again")
    assert (reply.status, reply.body) == (200, b"again")


def test_a_stream_that_is_always_refused_ends_in_502(ask, h2origin):
    @h2origin.on("/r")
    def answer(stream):
        stream.reset(REFUSED_STREAM)

    reply = ask(h2origin).get("/r")
    assert (reply.status, reply.header("X-Sluice-Reason")) == (502, "refused_stream")
    assert 2 <= len(h2origin.heads) <= 10


def test_a_post_that_was_reset_is_not_sent_twice(ask, h2origin):
    @h2origin.on("/r")
    def answer(stream):
        stream.reset(INTERNAL_ERROR)

    reply = ask(h2origin).ask("POST", "/r", body=b"once")
    assert reply.status == 502
    assert len(h2origin.heads) == 1


@pytest.mark.parametrize("code", [CANCEL, INTERNAL_ERROR, PROTOCOL_ERROR, ENHANCE_YOUR_CALM, NO_ERROR])
def test_a_reset_in_mid_answer_cuts_the_clients(ask, h2origin, code):
    @h2origin.on("/r")
    def answer(stream):
        stream.send_head([(":status", "200"), ("x-a", "1")])
        stream.send_data(b"half")
        stream.reset(code)

    client = ask(h2origin)
    with pytest.raises((Ended, Reset)):
        client.get("/r")
    assert client.get("/").status == 200
    assert len(h2origin.connections) == 1


def test_a_reset_without_error_after_the_answer_is_no_error(ask, h2origin):
    """A target may stop an upload that it does not want, having answered (8.1)."""

    @h2origin.on("/early")
    def answer(stream):
        stream.respond(413, b"too much")
        stream.engine.send(reset(stream.id, NO_ERROR))
        stream.engine.drop(stream)

    client = ask(h2origin)
    for _ in range(3):
        try:
            reply = client.ask("POST", "/early", body=bytes(300_000))
            assert (reply.status, reply.body) == (413, b"too much")
        except (Reset, OSError) as error:
            assert isinstance(error, Reset) and error.code == NO_ERROR or client.version == "http1", error
    assert client.get("/").status == 200
    assert len(h2origin.connections) == 1


def test_an_answer_before_the_upload_is_whole(gateway, h2origin):
    @h2origin.on("/early")
    def answer(stream):
        stream.respond(200, b"enough")
        stream.read_body()

    gw = gateway(h2origin.address, service={"protocol": "h2"})
    with H2Client(("127.0.0.1", gw.port)) as client:
        stream = client.begin("POST", "/early")
        stream.send_data(b"abc")
        assert stream.reply().body == b"enough"


# -- life and death of connections


def test_the_death_of_the_target_in_mid_answer_cuts_the_clients(ask, h2origin):
    @h2origin.on("/die")
    def answer(stream):
        stream.send_head([(":status", "200")])
        stream.send_data(b"half")
        h2origin.cut(stream.engine)

    client = ask(h2origin)
    with pytest.raises((Ended, Reset)):
        client.get("/die")
    assert client.get("/").status == 200


def test_the_death_of_the_target_before_the_answer_is_502(ask, h2origin):
    @h2origin.on("/die")
    def answer(stream):
        h2origin.cut(stream.engine)

    client = ask(h2origin)
    client.get("/")
    reply = client.ask("POST", "/die", body=b"x")
    assert (reply.status, reply.header("X-Sluice-Reason")) == (502, "connection_terminated")
    assert len([r for r in h2origin.heads if r.path == "/die"]) == 1


def test_all_streams_of_a_dead_connection_are_told(ask, h2origin):
    seen = []

    @h2origin.on("/wait")
    def answer(stream):
        seen.append(stream)
        stream.wait_reset(30)

    client = ask(h2origin)
    client.get("/")
    threads, out = client.together(10, "/wait", "POST")
    until(lambda: len(seen) == 10, "ten requests")
    h2origin.cut(h2origin.connections[0])
    for thread in threads:
        thread.join(DEADLINE)
    assert [getattr(r, "status", r) for r in out] == [502] * 10


def test_a_target_that_closes_an_idle_connection(ask, h2origin):
    client = ask(h2origin)
    client.get("/")
    h2origin.cut(h2origin.connections[0])
    for _ in range(5):
        assert client.get("/").status == 200


def test_a_target_that_speaks_http1_is_502(ask, origin):
    client = ask(origin)
    origin.script = lambda conn: (conn.fill("anything"), conn.send("HTTP/1.1 400 Bad\r\nContent-Length: 0\r\n\r\n"),
                                  conn.close())
    assert client.get("/").status == 502


def test_a_target_that_sends_rubbish_is_502(ask, h2origins):
    origin = h2origins()
    origin.script = lambda wire: (wire.recv(10), wire.sendall(b"\x00\x00\x05\x04\x00\x00\x00\x00\x00rubbish!" * 10))
    assert ask(origin).get("/").status == 502


def test_a_target_that_never_says_anything_runs_out_of_time(ask, h2origins):
    done = threading.Event()
    origin = h2origins()
    origin.script = lambda wire: done.wait(60)
    client = ask(origin, timeouts={"connect": ms(700), "first_byte": ms(700)})
    reply = client.get("/", timeout=3 * DEADLINE)
    assert reply.status in (502, 504), reply
    done.set()


def test_pings_keep_watch_over_a_silent_connection(ask, h2origin):
    @h2origin.on("/slow")
    def slow(stream):
        stream.engine.wait(lambda: len(stream.engine.pings) >= 3, "three PINGs", 30)
        stream.respond(200, b"ok")

    client = ask(h2origin, service={"http2": {"ping": ms(300), "ping_timeout": ms(2000)}})
    assert client.get("/slow", timeout=4 * DEADLINE).body == b"ok"


def test_a_connection_whose_pings_go_unanswered_is_dead(ask, h2origin):
    @h2origin.on("/slow")
    def slow(stream):
        if stream.engine.index == 0:
            stream.engine.answers_pings = False
            stream.engine.wait_ended(60)
        else:
            stream.respond(200, b"ok")

    client = ask(h2origin, service={"http2": {"ping": ms(300), "ping_timeout": ms(500)}})
    reply = client.ask("POST", "/slow", body=b"", timeout=4 * DEADLINE)
    assert reply.status in (502, 504), reply
    h2origin.connections[0].wait_ended()
    assert client.get("/").status == 200
    assert len(h2origin.connections) == 2


def test_an_idle_connection_is_closed(ask, h2origin):
    client = ask(h2origin, timeouts={"upstream_idle": ms(500)})
    client.get("/")
    h2origin.connections[0].wait_ended()
    assert client.get("/").status == 200


def test_a_connection_in_use_is_not_idle(ask, h2origin):
    gate = threading.Event()

    @h2origin.on("/slow")
    def slow(stream):
        gate.wait(30)
        stream.respond(200, b"ok")

    client = ask(h2origin, timeouts={"upstream_idle": ms(300)})
    threads, out = client.together(1, "/slow")
    h2origin.wait_heads(1)
    stays(lambda: not h2origin.connections[0].ended, "the connection with a request on it", 1.0)
    gate.set()
    threads[0].join(DEADLINE)
    assert out[0].status == 200


def test_a_reload_keeps_the_connection(ask, h2origin):
    client = ask(h2origin)
    client.get("/")
    client.gw.change(log={"sample": "50%"}).reload()
    client.get("/")
    assert len(h2origin.connections) == 1


def test_two_targets_share_the_load(ask, h2origins):
    one, two = h2origins(), h2origins()
    client = ask([one, two], service={"balance": "round_robin"})
    client.all(20)
    assert len(one.heads) == len(two.heads) == 10
