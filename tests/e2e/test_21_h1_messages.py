# SPDX-License-Identifier: Apache-2.0
"""Message framing in both directions (RFC 9112 sections 6 and 7), bodiless answers, trailers, interim answers, Expect."""

import threading

import pytest

from lib.stream import Ended
from lib.wait import QUIET, stays

HELLO = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


def reply_to(origin, gateway, answer, method="GET", close=False):
    """One request whose answer is `answer`; the client stays connected for a second one."""

    def script(conn):
        while conn.read():
            conn.send(answer if isinstance(answer, bytes) else answer.encode("latin-1"))
            if close:
                conn.close()
                return

    origin.script = script
    client = gateway(origin).connect()
    return client.request(method).reply(method), client


# -- requests


def test_a_chunked_request_is_forwarded_in_chunks(origin, gateway):
    client = gateway(origin).connect()
    client.request("POST", "/", [("Transfer-Encoding", "chunked")])
    for part in (b"one", b"two" * 1000, b"x"):
        client.chunk(part)
    client.send("0\r\n\r\n")
    assert client.reply().text == "ok"
    assert origin.request.body == b"one" + b"two" * 1000 + b"x"
    assert origin.request.header("Transfer-Encoding") == "chunked"


def test_chunks_are_framed_anew(origin, gateway):
    client = gateway(origin).connect()
    client.request("POST", "/", [("Transfer-Encoding", "CHUNKED")])
    client.send("0005;a=b;c=\"d;e\"\r\nhello\r\n000\r\n\r\n")
    assert client.reply().text == "ok"
    assert origin.request.body == b"hello"
    assert b";" not in origin.request.connection.received.split(b"\r\n\r\n", 1)[1]  # extensions end here


def test_a_chunk_passes_before_the_next_comes(origin, gateway):
    first = threading.Event()

    @origin.on("/stream")
    def stream(conn, request):
        conn.read_body(request, on_data=lambda data: first.set() if data == b"first" else None)
        conn.respond(200, b"done")

    client = gateway(origin).connect()
    client.request("POST", "/stream", [("Transfer-Encoding", "chunked")])
    client.chunk(b"first")
    assert first.wait(10)
    client.chunk(b"second")
    client.send("0\r\n\r\n")
    assert client.reply().text == "done"


def test_request_trailers_pass(origin, gateway):
    client = gateway(origin).connect()
    client.request("POST", "/", [("Transfer-Encoding", "chunked"), ("Trailer", "X-Sum")])
    client.send("3\r\nabc\r\n0\r\nX-Sum: 7\r\nContent-Length: 99\r\nHost: evil\r\nX-Forwarded-For: 9.9.9.9\r\n\r\n")
    assert client.reply().text == "ok"
    assert origin.request.trailers == [("X-Sum", "7")]  # framing and routing fields are dropped there


def test_a_post_without_a_body_says_so(origin, gateway):
    client = gateway(origin).connect()
    assert client.request("POST").reply().text == "ok"
    assert origin.request.header("Content-Length") == "0"


def test_a_get_without_a_body_has_no_framing(origin, gateway):
    gateway(origin).get()
    assert not origin.request.has("Content-Length") and not origin.request.has("Transfer-Encoding")


def test_a_get_with_a_body(origin, gateway):
    assert gateway(origin).connect().request("GET", "/", body=b"why not").reply().text == "ok"
    assert origin.request.body == b"why not"


# -- answers


def test_a_chunked_answer(origin, gateway):
    reply, client = reply_to(origin, gateway, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2;x\r\nab\r\n3\r\ncde\r\n0\r\n\r\n")
    assert reply.text == "abcde" and reply.chunks
    assert client.get().text == "abcde"


def test_answer_trailers_pass(origin, gateway):
    reply, client = reply_to(
        origin,
        gateway,
        "HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\nX-Sum: 1\r\nX-Two: 2\r\n\r\n",
    )
    assert reply.trailers == [("X-Sum", "1"), ("X-Two", "2")]
    assert client.get().text == "ab"


def test_an_answer_delimited_by_close(origin, gateway):
    reply, client = reply_to(origin, gateway, "HTTP/1.1 200 OK\r\n\r\nuntil the end", close=True)
    assert reply.text == "until the end"
    assert reply.chunks and not reply.closes  # the client's connection needs not close for it
    assert client.get().text == "until the end"


@pytest.mark.parametrize("keep", ["", "Connection: keep-alive\r\n"])
def test_an_http10_target(origin, gateway, keep):
    reply, client = reply_to(origin, gateway, f"HTTP/1.0 200 OK\r\n{keep}Content-Length: 3\r\n\r\nold", close=not keep)
    assert (reply.text, reply.minor) == ("old", 1)
    assert client.get().text == "old"
    assert len(origin.connections) == (1 if keep else 2)


def test_an_http10_target_delimited_by_close(origin, gateway):
    reply, client = reply_to(origin, gateway, "HTTP/1.0 200 OK\r\n\r\nold", close=True)
    assert reply.text == "old"
    assert client.get().text == "old"


@pytest.mark.parametrize("length", ["Content-Length: 1234\r\n", "Transfer-Encoding: chunked\r\n", ""])
def test_head_has_no_body(origin, gateway, length):
    reply, client = reply_to(origin, gateway, f"HTTP/1.1 200 OK\r\n{length}ETag: x\r\n\r\n", "HEAD")
    assert reply.body == b"" and reply.header("ETag") == "x"
    if "1234" in length:
        assert reply.header("Content-Length") == "1234"
    assert client.request("HEAD").reply("HEAD").status == 200
    assert client.is_open()


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(origin, gateway, status):
    reply, client = reply_to(origin, gateway, f"HTTP/1.1 {status} X\r\nETag: x\r\n\r\n")
    assert reply.status == status and reply.header("ETag") == "x"
    assert client.get().status == status
    assert client.is_open()


def test_a_304_keeps_its_length(origin, gateway):
    reply, client = reply_to(origin, gateway, "HTTP/1.1 304 Not Modified\r\nContent-Length: 77\r\n\r\n")
    assert reply.header("Content-Length") == "77"  # RFC 9110 8.6
    assert client.get().status == 304


def test_a_204_loses_its_length(origin, gateway):
    reply, client = reply_to(origin, gateway, "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
    assert not reply.has("Content-Length")
    assert client.get().status == 204


def test_a_205_is_empty(origin, gateway):
    reply, client = reply_to(origin, gateway, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
    assert reply.status == 205 and reply.header("Content-Length") == "0" and reply.body == b""
    assert client.get().status == 205


def test_a_target_may_leave_out_the_phrase(origin, gateway):
    reply, _ = reply_to(origin, gateway, "HTTP/1.1 200\r\nContent-Length: 1\r\n\r\nx")
    assert reply.text == "x"


def test_bytes_after_an_answer_never_reach_a_client(origin, gateway):
    reply, client = reply_to(origin, gateway, HELLO + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
    assert reply.text == "hello"
    assert client.get().text == "hello"
    assert len(origin.connections) == 2  # the first was not used again


def test_a_body_after_a_head_request_never_reaches_a_client(origin, gateway):
    evil = HELLO.replace(b"hello", b"evil!")

    def script(conn):
        while request := conn.read():
            conn.send(HELLO[:-5] + evil if request.method == "HEAD" else HELLO)

    origin.script = script
    client = gateway(origin).connect()
    for _ in range(3):
        assert client.request("HEAD").reply("HEAD").status == 200
        assert client.post("/", b"x").text == "hello"


def test_an_answer_that_nobody_asked_for(origin, gateway):
    def script(conn):
        if conn.index == 0:
            conn.send(HELLO.replace(b"hello", b"early"))
        while conn.read():
            conn.send(HELLO)

    origin.script = script
    client = gateway(origin).connect()
    for _ in range(3):
        reply = client.get()
        assert reply.status == 502 or reply.text in ("hello", "early")
        if reply.text == "early":
            break  # indistinguishable from an early answer to the first request
    assert client.get().text == "hello"


# -- interim answers and Expect


def test_early_hints_are_passed_on(origin, gateway):
    reply, _ = reply_to(
        origin,
        gateway,
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: 1\r\n\r\n"
        b"HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\n" + HELLO,
    )
    assert [i.status for i in reply.interims] == [103, 103]
    assert reply.interims[0].header("Link") == "</a.css>; rel=preload"
    assert not reply.interims[0].has("X-Hop")
    assert reply.text == "hello"


def test_early_hints_pass_before_the_answer(origin, gateway):
    go = threading.Event()

    @origin.on("/")
    def hints(conn, request):
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n")
        go.wait(30)
        conn.respond(200, b"late")

    client = gateway(origin).connect().request()
    assert client.head().status == 103
    go.set()
    assert client.reply().text == "late"


def test_endless_interim_answers_are_cut(origin, gateway):
    reply, _ = reply_to(origin, gateway, b"HTTP/1.1 103 Early Hints\r\n\r\n" * 100 + HELLO)
    assert (reply.status, reply.reason) == (502, "http_protocol_error")


def test_expect_is_forwarded_and_its_continue_relayed(origin, gateway):
    @origin.on("/up")
    def up(conn, request):
        assert request.header("Expect") == "100-continue"
        assert conn.is_silent(QUIET)  # the body waits for the word
        conn.send("HTTP/1.1 100 Continue\r\n\r\n")
        conn.read_body(request)
        conn.respond(200, request.body)

    client = gateway(origin).connect()
    client.request("POST", "/up", [("Expect", "100-continue"), ("Content-Length", "4")])
    assert client.head().status == 100
    client.send("body")
    assert client.reply().text == "body"


def test_expect_with_an_early_refusal(origin, gateway):
    @origin.on("/up")
    def up(conn, request):
        conn.respond(403, b"no", [("Connection", "close")])
        return "end"

    client = gateway(origin).connect()
    client.request("POST", "/up", [("Expect", "100-continue"), ("Content-Length", "1000000")])
    reply = client.reply()
    assert (reply.status, reply.text, reply.interims) == (403, "no", [])


def test_expect_whose_body_comes_at_once(origin, gateway):
    client = gateway(origin).connect()
    client.request("POST", "/", [("Expect", "100-continue")], body=b"impatient")
    assert client.reply().text == "ok"
    assert origin.request.body == b"impatient"


def test_expect_of_an_http10_client_is_ignored(origin, gateway):
    client = gateway(origin).connect()
    client.request("POST", "/", [("Expect", "100-continue")], body=b"x", version="1.0")
    assert client.reply().text == "ok"


def test_another_expectation_fails(origin, gateway):
    client = gateway(origin).connect().request("POST", "/", [("Expect", "tea")], body=b"x")
    reply = client.reply()
    assert (reply.status, reply.reason) == (417, "expectation_failed")
    assert origin.untouched


def test_an_early_final_answer_while_the_body_still_comes(origin, gateway):
    @origin.on("/up")
    def up(conn, request):
        conn.exactly(10, "the first bytes")
        conn.respond(413, b"too much", [("Connection", "close")])
        conn.wait_end()
        return "end"

    client = gateway(origin).connect()
    client.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 1000)
    reply = client.reply()
    assert (reply.status, reply.text) == (413, "too much")
    assert reply.closes  # the rest of the body is not worth reading
    try:
        client.wait_end()
    except AssertionError:
        client.send(b"x" * 100_000)
        client.wait_end()


def test_an_early_answer_to_a_body_that_ends_keeps_the_connection(origin, gateway):
    @origin.on("/up")
    def up(conn, request):
        conn.respond(200, b"early")
        conn.read_body(request)

    client = gateway(origin).connect()
    client.request("POST", "/up", [("Content-Length", "10")])
    origin.wait_heads(1)
    head = client.head()
    client.send(b"0123456789")
    assert client.body(head).text == "early"
    if head.closes:
        client.expect_end()
    else:
        assert client.get().text == "ok"


# -- targets that answer badly

BAD = {
    "nonsense": b"hello there\r\n\r\n",
    "tls": b"\x15\x03\x01\x00\x02\x02\x16" + b"\r\n\r\n",
    "http2": b"HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n",
    "http09": b"<html>hi</html>\r\n\r\n",
    "status_word": b"HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n",
    "status_two_digits": b"HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n",
    "status_four_digits": b"HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n",
    "status_too_low": b"HTTP/1.1 099 X\r\nContent-Length: 0\r\n\r\n",
    "status_too_high": b"HTTP/1.1 600 X\r\nContent-Length: 0\r\n\r\n",
    "two_spaces": b"HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n",
    "bare_lf": b"HTTP/1.1 200 OK\nContent-Length: 0\n\n",
    "bare_lf_in_header": b"HTTP/1.1 200 OK\r\nA: b\nContent-Length: 0\r\n\r\n",
    "bare_cr": b"HTTP/1.1 200 OK\r\nA: b\rc\r\nContent-Length: 0\r\n\r\n",
    "nul": b"HTTP/1.1 200 OK\r\nA: b\0c\r\nContent-Length: 0\r\n\r\n",
    "folded": b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\nContent-Length: 0\r\n\r\n",
    "space_before_colon": b"HTTP/1.1 200 OK\r\nContent-Length : 0\r\n\r\n",
    "empty_name": b"HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n",
    "length_and_chunked": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "length_negative": b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    "length_signed": b"HTTP/1.1 200 OK\r\nContent-Length: +3\r\n\r\nabc",
    "length_twice": b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "length_huge": b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
    "coding_unknown": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "coding_not_chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\n",
    "coding_in_http10": b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def bad_targets(shared):
    """One gateway for all of them: the path says how the target answers."""
    from lib.gateway import Gateway
    from lib.origin import Origin

    def make(home, ports, later):
        import os

        origin = Origin()
        os.makedirs(home)
        gw = Gateway(home, ports)
        gw.write({**gw.base(), "services": {"app": {"targets": [origin.address]}}}).start()
        later(origin.close)
        later(gw.stop)

        def script(conn):
            request = conn.read()
            conn.send(BAD[request.target[1:]])
            conn.wait_end()

        origin.script = script
        return gw

    return shared("bad targets", make)


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_answer_is_not_passed_on(bad_targets, kind):
    client = bad_targets.connect().request("GET", f"/{kind}")
    reply = client.reply()
    assert (reply.status, reply.reason) == (502, "http_protocol_error")
    assert client.is_open() or reply.closes


def test_an_answer_head_that_is_too_large(origin, gateway):
    reply, _ = reply_to(origin, gateway, b"HTTP/1.1 200 OK\r\n" + b"X-Pad: %b\r\n" % (b"x" * 1000) * 400 + b"\r\n")
    assert (reply.status, reply.reason) == (502, "http_response_header_size")


@pytest.mark.parametrize("how", ["close", "reset"])
def test_no_answer_at_all(origin, gateway, how):
    def script(conn):
        conn.read()
        conn.close() if how == "close" else conn.reset()

    origin.script = script
    reply = gateway(origin).post("/", b"x")
    assert (reply.status, reply.reason) == (502, "connection_terminated")
    assert len(origin.requests) == 1


def test_half_an_answer_head(origin, gateway):
    reply, _ = reply_to(origin, gateway, b"HTTP/1.1 200 OK\r\nContent-", close=True)
    assert (reply.status, reply.reason) == (502, "http_response_incomplete")


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n",
    ],
    ids=["length", "between_chunks", "in_a_chunk", "before_the_end", "bad_size", "bare_lf"],
)
def test_a_cut_answer_never_looks_whole(origin, gateway, answer):
    def script(conn):
        conn.read()
        conn.send(answer)
        conn.half_close()
        conn.wait_end()

    origin.script = script
    gw = gateway(origin)
    client = gw.connect().request("GET", "/cut")
    try:
        reply = client.reply()
        assert reply.status == 502, f"looked whole: {reply}"
    except Ended:
        pass  # the connection was cut, which is how HTTP/1.1 says it
    assert gw.log("/cut")["reason"] in ("http_response_incomplete", "http_protocol_error")


def test_a_protocol_switch_that_nobody_asked_for(origin, gateway):
    reply, _ = reply_to(origin, gateway, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n")
    assert (reply.status, reply.reason) == (502, "http_upgrade_failed")


def test_good_requests_go_on_after_bad_answers(origin, gateway):
    answers = iter([b"junk\r\n\r\n", HELLO, BAD["folded"], HELLO])

    def script(conn):
        while conn.read():
            conn.send(next(answers))

    origin.script = script
    client = gateway(origin).connect()
    assert [client.get().status for _ in range(4)] == [502, 200, 502, 200]
    stays(lambda: client.ended is None, "open")
