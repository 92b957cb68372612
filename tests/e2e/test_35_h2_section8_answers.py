# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 section 8 the other way: what clients get in frames, from an HTTP/1.1 target."""

import pytest

from lib.h2frames import DATA, HEADERS, NO_ERROR, RST_STREAM, STREAM_CLOSED, request_fields, update
from lib.h2stream import check_fields
from lib.wait import until


@pytest.fixture
def answer(door, raw):
    """Lets the target answer with these bytes; gives what a client gets."""

    def make(data, method="GET", more=(), **options):
        path = f"/answer-{len(door.origin.heads)}"

        @door.origin.on(path)
        def script(conn, request):
            conn.read_body(request)
            conn.send(data)
            if options.get("ends"):
                conn.close()
                return "end"
            return None

        client = raw()
        stream = client.request(method, path, more)
        if options.get("raw"):
            return client, stream
        reply = client.reply(stream)
        check_fields(reply.fields)
        return reply

    return make


def test_connection_fields_of_the_target_are_dropped(answer):
    reply = answer("HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\n"
                   "X-Kept: 2\r\nProxy-Connection: keep-alive\r\n"
                   "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n")
    assert reply.body == b"ok"
    assert reply.header("x-kept") == "2" and not reply.has("x-hop")  # check_fields saw to the rest


def test_names_are_lower_case(answer):
    reply = answer("HTTP/1.1 200 OK\r\nX-MiXeD: Value\r\nContent-Length: 2\r\n\r\nok")
    assert ("x-mixed", "Value") in reply.fields
    assert reply.header("content-length") == "2"


@pytest.mark.parametrize("status", [200, 201, 301, 404, 418, 500, 599])
def test_any_status_arrives(answer, status):
    assert answer(f"HTTP/1.1 {status} Whatever\r\nContent-Length: 2\r\n\r\nok").status == status


@pytest.mark.parametrize("data", [
    "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 304 Not\r\nETag: \"x\"\r\nContent-Length: 100\r\n\r\n",
    "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n",
])
def test_an_answer_without_body_ends_its_stream(answer, data):
    assert answer(data).body == b""


@pytest.mark.parametrize("framing", ["Content-Length: 100\r\n", "Transfer-Encoding: chunked\r\n", ""])
def test_head_has_no_body(answer, framing):
    reply = answer(f"HTTP/1.1 200 OK\r\n{framing}\r\n", "HEAD")
    assert (reply.status, reply.body) == (200, b"")
    assert reply.header("content-length") == ("100" if "Length" in framing else None)


def test_several_cookies_stay_apart(answer):
    reply = answer("HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2, 3\r\nContent-Length: 2\r\n\r\nok")
    assert reply.all("set-cookie") == ["a=1", "b=2, 3"]


def test_interim_answers_arrive(answer):
    reply = answer("HTTP/1.1 103 Early\r\nLink: </a.css>\r\n\r\nHTTP/1.1 103 Early\r\nLink: </b.css>\r\n\r\n"
                   "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    assert [i.status for i in reply.interims] == [103, 103]
    assert [i.header("link") for i in reply.interims] == ["</a.css>", "</b.css>"]
    assert reply.body == b"ok"


def test_a_switch_of_protocols_never_arrives(answer):
    """101 does not exist in HTTP/2 (8.6)."""
    reply = answer("HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    assert reply.status == 502


def test_trailers_arrive(answer):
    reply = answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 42\r\nX-End: y\r\n\r\n")
    assert reply.body == b"ok"
    assert reply.trailers == [("x-sum", "42"), ("x-end", "y")]


def test_trailers_after_nothing_arrive(answer):
    reply = answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 42\r\n\r\n")
    assert reply.body == b"" and reply.trailers == [("x-sum", "42")]


def test_a_body_that_ends_with_the_connection_arrives(answer):
    assert answer("HTTP/1.0 200 OK\r\n\r\nto the end", ends=True).body == b"to the end"


@pytest.mark.parametrize("framing", ["Content-Length: 100\r\n\r\n", "Transfer-Encoding: chunked\r\n\r\n5\r\n"])
def test_an_answer_that_was_cut_is_reset(answer, framing):
    client, stream = answer(f"HTTP/1.1 200 OK\r\n{framing}hello", ends=True, raw=True)
    while (got := client.wait(client.of(stream, HEADERS, DATA, RST_STREAM), "a reset")).kind != RST_STREAM:
        assert not got.ends, "a cut answer was made to look whole"
    assert got.code != NO_ERROR
    client.expect_served()


def test_an_answer_of_a_broken_target_is_502(answer):
    reply = answer("HTTP/1.1 2OO OK\r\n\r\n")
    assert (reply.status, reply.reason) == (502, "http_protocol_error")


def test_expect_continue(door, raw):
    @door.origin.on("/expect")
    def expect(conn, request):
        conn.send("HTTP/1.1 100 Continue\r\n\r\n")
        conn.read_body(request)
        conn.respond(200, b"ok")

    client = raw()
    client.send_block(1, request_fields("POST", "/expect", more=[("expect", "100-continue")]), 0)
    assert client.head(1).field(":status") == "100"
    client.data(1, b"abc", True)
    assert client.reply(1).status == 200
    assert door.origin.requests[-1].body == b"abc"


def test_an_answer_before_the_request_is_whole(door, raw):
    """The rest of the upload is refused without an error, or taken and thrown away (8.1)."""

    @door.origin.on("/early")
    def early(conn, request):
        conn.respond(413, b"too much", [("Connection", "close")])
        conn.close()
        return "end"

    client = raw()
    stream = client.request("POST", "/early", end=False)
    client.data(stream, bytes(1000))
    reply = client.reply(stream)
    assert (reply.status, reply.body) == (413, b"too much")
    client.data(stream, bytes(1000))
    client.data(stream, bytes(1000), True)
    client.expect_served()
    for got in client.inbox:
        if client.of(stream, RST_STREAM)(got):
            assert got.code in (NO_ERROR, STREAM_CLOSED), got


def test_streams_are_answered_as_they_are_ready(door, raw):
    door.open.clear()
    client = raw()
    slow = client.request("GET", "/hold")
    quick = [client.request("GET", "/served") for _ in range(10)]
    for stream in reversed(quick):
        assert client.reply(stream).status == 200
    assert not any(client.of(slow, HEADERS)(f) for f in client.inbox)
    door.open.set()
    assert client.reply(slow).body == b"held"


def test_big_answers_share_the_connection(raw):
    client = raw(values={4: 20_000})
    client.send(update(0, 1 << 24))
    streams = [client.request("GET", "/big") for _ in range(4)]
    begun = [client.wait(lambda f, s=s: f.stream == s and f.kind == DATA, "data") for s in streams]
    for data in begun:
        client.send(update(data.stream, len(data.payload)))
    got = dict.fromkeys(streams, 0)
    while max(got.values()) < 500_000:
        data = client.wait(lambda f: f.kind == DATA, "data")
        got[data.stream] += len(data.payload)
        client.send(update(data.stream, len(data.payload)))
    assert min(got.values()) > 50_000, f"one stream has starved the others: {got}"


def test_requests_of_a_cancelled_client_are_cancelled_at_the_target(door, raw):
    door.open.clear()
    before = len(door.origin.heads)
    client = raw()
    for _ in range(5):
        client.request("GET", "/hold")
    conns = [r.connection for r in door.origin.wait_heads(before + 5)[before:]]
    client.close()
    for conn in conns:
        until(lambda c=conn: c.ended or not c.is_silent(0.05), "the target's connection ends")
