# SPDX-License-Identifier: Apache-2.0
"""A `protocol: h2` target: messages arrive whole, and exchanges share connections as far as the target allows."""

import threading

import pytest

from lib.h2frames import CANCEL, MAX_CONCURRENT_STREAMS
from lib.h2peer import H2Client
from lib.h2stream import Reset
from lib.stream import Ended
from lib.wait import DEADLINE, ms, until


# -- messages


def test_a_request_arrives_as_it_should(ask, h2origin):
    client = ask(h2origin)
    reply = client.get("/path?query=1", [("x-mine", "1"), ("accept", "*/*")])
    assert (reply.status, reply.body) == (200, b"ok")
    request = h2origin.request  # whose fields the target's end has checked
    assert request.pseudo == {":method": "GET", ":scheme": "http", ":path": "/path?query=1",
                              ":authority": "example.com"}
    assert request.header("x-mine") == "1" and request.header("x-forwarded-for") == "127.0.0.1"
    assert not request.has("host")


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND"])
def test_methods(ask, h2origin, method):
    assert ask(h2origin).ask(method, "/").status == 200
    assert h2origin.request.method == method


@pytest.mark.parametrize("status", [200, 204, 304, 404, 500])
def test_answers_with_and_without_body(ask, h2origin, status):
    @h2origin.on("/x")
    def answer(stream):
        stream.respond(status, b"" if status in (204, 304) else b"body", [("x-theirs", "1")])

    reply = ask(h2origin).get("/x")
    assert (reply.status, reply.body) == (status, b"" if status in (204, 304) else b"body")
    assert reply.header("x-theirs") == "1"


def test_head_of_something_with_a_length(ask, h2origin):
    @h2origin.on("/x")
    def answer(stream):
        stream.send_head([(":status", "200"), ("content-length", "12345")], True)

    reply = ask(h2origin).ask("HEAD", "/x")
    assert (reply.status, reply.header("content-length"), reply.body) == (200, "12345", b"")


def test_a_304_with_the_length_of_what_it_stands_for(ask, h2origin):
    @h2origin.on("/x")
    def answer(stream):
        stream.send_head([(":status", "304"), ("content-length", "12345"), ("etag", '"e"')], True)

    reply = ask(h2origin).get("/x")
    assert (reply.status, reply.header("etag")) == (304, '"e"')


def test_a_body_with_and_without_length(ask, h2origin):
    client = ask(h2origin)
    client.ask("POST", "/known", body=b"abc")
    client.ask("POST", "/nothing", body=b"")
    known, nothing = h2origin.wait_requests(2)
    assert known.body == b"abc" and nothing.body == b""
    if client.version == "http1":
        assert known.header("content-length") == "3"


def test_a_chunked_request_and_its_trailers(gateway, h2origin):
    gw = gateway(h2origin.address, service={"protocol": "h2"})
    with gw.connect() as client:
        client.send("POST /t HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
        client.chunk(b"abc")
        client.send("0\r\nX-Sum: 42\r\n\r\n")
        assert client.reply().status == 200
    request = h2origin.request
    assert request.body == b"abc" and request.trailers == [("x-sum", "42")]
    assert not request.has("transfer-encoding")


def test_trailers_of_an_http2_request(gateway, h2origin):
    gw = gateway(h2origin.address, service={"protocol": "h2"})
    with H2Client(("127.0.0.1", gw.port)) as client:
        stream = client.begin("POST", "/t")
        stream.send_data(b"abc")
        stream.send_trailers([("x-sum", "42")])
        assert stream.reply().status == 200
    assert h2origin.request.trailers == [("x-sum", "42")]


def test_trailers_of_an_answer(ask, h2origin):
    @h2origin.on("/t")
    def answer(stream):
        stream.respond(200, b"abc", trailers=[("x-sum", "42"), ("grpc-status", "0")])

    reply = ask(h2origin).get("/t", [("te", "trailers")])
    assert reply.body == b"abc"
    assert [(n.lower(), v) for n, v in reply.trailers] == [("x-sum", "42"), ("grpc-status", "0")]
    assert h2origin.heads[0].header("te") in (None, "trailers")


def test_trailers_only(gateway, h2origin):
    @h2origin.on("/t")
    def answer(stream):
        stream.send_head([(":status", "200"), ("content-type", "application/grpc"), ("grpc-status", "5")], True)

    gw = gateway(h2origin.address, service={"protocol": "h2"})
    with H2Client(("127.0.0.1", gw.port)) as client:
        reply = client.post("/t", b"x", [("content-type", "application/grpc"), ("te", "trailers")])
        assert (reply.status, reply.header("grpc-status"), reply.body) == (200, "5", b"")


def test_interim_answers(ask, h2origin):
    @h2origin.on("/i")
    def answer(stream):
        stream.interim(103, [("link", "</a.css>")])
        stream.interim(103, [("link", "</b.css>")])
        stream.respond(200, b"ok")

    client = ask(h2origin)
    reply = client.get("/i")
    assert reply.body == b"ok"
    seen = [(s, dict(f)) for s, f in reply.interims] if client.h2 else \
        [(i.status, {"link": i.header("link")}) for i in reply.interims]
    assert seen == [(103, {"link": "</a.css>"}), (103, {"link": "</b.css>"})]


def test_expect_continue(gateway, h2origin):
    @h2origin.on("/e")
    def answer(stream):
        stream.interim(100)
        stream.read_body()
        stream.respond(200, stream.body)

    gw = gateway(h2origin.address, service={"protocol": "h2"})
    with gw.connect() as client:
        client.send("POST /e HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n")
        assert client.head().status == 100
        client.send("abc")
        assert client.reply().body == b"abc"


def test_cookies_of_http1_arrive(gateway, h2origin):
    gw = gateway(h2origin.address, service={"protocol": "h2"})
    gw.get("/c", [("Cookie", "a=1; b=2; c=3")])
    assert "; ".join(h2origin.request.all("cookie")) == "a=1; b=2; c=3"


def test_connection_fields_of_http1_are_removed(gateway, h2origin):
    gw = gateway(h2origin.address, service={"protocol": "h2"})
    gw.get("/c", [("Connection", "keep-alive, X-Hop"), ("Keep-Alive", "timeout=5"), ("X-Hop", "1"), ("X-Stays", "2"),
                  ("TE", "trailers, deflate")])
    request = h2origin.request
    assert request.header("x-stays") == "2" and not request.has("x-hop")


def test_an_answer_that_breaks_the_rules_is_502(ask, h2origin):
    bad = {
        "/upper": [(":status", "200"), ("X-Upper", "1")],
        "/connection": [(":status", "200"), ("connection", "close")],
        "/none": [("x-a", "1")],
        "/two": [(":status", "200"), (":status", "200")],
        "/word": [(":status", "abc")],
        "/value": [(":status", "200"), ("x-a", "b\r\nx-c: d")],
        "/request": [(":status", "200"), (":path", "/")],
        "/switch": [(":status", "101")],
    }
    for path, fields in bad.items():
        h2origin.on(path)(lambda stream, f=fields: stream.send_head(f, True))
    client = ask(h2origin)
    for path in bad:
        reply = client.get(path)
        assert reply.status == 502, (path, reply)
        assert reply.header("X-Sluice-Reason") in ("http_protocol_error", "connection_terminated"), (path, reply)
    assert client.get("/").status == 200


def test_an_answer_longer_or_shorter_than_it_said_is_visibly_broken(ask, h2origin):
    @h2origin.on("/short")
    def short(stream):
        stream.send_head([(":status", "200"), ("content-length", "10")])
        stream.send_data(b"abc", True)

    @h2origin.on("/long")
    def long(stream):
        stream.send_head([(":status", "200"), ("content-length", "2")])
        stream.send_data(b"abc", True)

    client = ask(h2origin)
    for path in ("/short", "/long"):
        try:
            reply = client.get(path)
            assert reply.status == 502, (path, reply)
        except (Ended, Reset):
            pass  # cut, which is visible too
    assert client.get("/").status == 200


# -- sharing


def test_exchanges_share_one_connection(ask, h2origin):
    gate = threading.Event()

    @h2origin.on("/slow")
    def slow(stream):
        gate.wait(30)
        stream.respond(200, b"ok")

    client = ask(h2origin)
    assert client.get("/").status == 200  # the target's settings are known
    threads, out = client.together(40, "/slow")
    h2origin.wait_heads(41)
    gate.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert [r.status for r in out] == [200] * 40
    assert len(h2origin.connections) == 1


def test_a_first_burst_needs_few_connections(ask, h2origin):
    """40 requests before the first connection is up."""
    client = ask(h2origin)
    client.all(40)
    assert len(h2origin.connections) <= 4, f"{len(h2origin.connections)} connections for 40 requests"


def test_each_worker_has_a_connection_of_its_own(gateway, h2origin):
    gw = gateway(h2origin.address, service={"protocol": "h2"}, workers=2)
    for _ in range(60):
        assert gw.get("/").status == 200
    assert 1 <= len(h2origin.connections) <= 2


def test_the_targets_limit_of_streams_is_kept(ask, h2origins):
    """A second connection is opened when the first is full."""
    gate = threading.Event()
    origin = h2origins(values={MAX_CONCURRENT_STREAMS: 4})

    @origin.on("/slow")
    def slow(stream):
        assert len(stream.engine.live) <= 4, "more streams than allowed"
        gate.wait(30)
        stream.respond(200, b"ok")

    client = ask(origin)
    assert client.get("/").status == 200
    threads, out = client.together(10, "/slow")
    origin.wait_heads(11)
    gate.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert [getattr(r, "status", r) for r in out] == [200] * 10
    assert 3 <= len(origin.connections) <= 5


def test_a_target_that_allows_no_streams_now_is_not_asked(ask, h2origins):
    origin = h2origins(values={MAX_CONCURRENT_STREAMS: 0})
    client = ask(origin, timeouts={"connect": ms(1000), "first_byte": ms(1000)})
    reply = client.get("/", timeout=3 * DEADLINE)
    assert reply.status in (502, 503, 504), reply
    assert not origin.heads


def test_a_limit_that_is_lowered_is_kept(ask, h2origins):
    gate = threading.Event()
    origin = h2origins(values={MAX_CONCURRENT_STREAMS: 100})

    @origin.on("/slow")
    def slow(stream):
        gate.wait(30)
        stream.respond(200, b"ok")

    client = ask(origin)
    assert client.get("/").status == 200
    conn = origin.connections[0]
    conn.change({MAX_CONCURRENT_STREAMS: 2})
    until(lambda: conn.acked == 2, "the acknowledgement")
    threads, out = client.together(6, "/slow")
    origin.wait_heads(7)
    assert len(conn.live) <= 2
    gate.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert [getattr(r, "status", r) for r in out] == [200] * 6


def test_the_gateways_own_limit_of_streams(ask, h2origin):
    gate = threading.Event()

    @h2origin.on("/slow")
    def slow(stream):
        gate.wait(30)
        stream.respond(200, b"ok")

    client = ask(h2origin, service={"http2": {"streams": 3}})
    client.get("/")
    threads, out = client.together(9, "/slow")
    h2origin.wait_heads(10)
    assert all(len(c.live) <= 3 for c in h2origin.connections)
    gate.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert [getattr(r, "status", r) for r in out] == [200] * 9


def test_a_cancelled_request_cancels_its_stream_alone(gateway, h2origin):
    gate = threading.Event()
    resets = []

    @h2origin.on("/slow")
    def slow(stream):
        if gate.wait(0):
            stream.respond(200, b"ok")
        else:
            resets.append(stream.wait_reset(30))

    gw = gateway(h2origin.address, service={"protocol": "h2"})
    for ask_one in (lambda: gw.connect().request("GET", "/slow"), None):
        with H2Client(("127.0.0.1", gw.port)) as client:
            before = len(h2origin.heads)
            if ask_one:
                raw = ask_one()
                h2origin.wait_heads(before + 1)
                raw.close()
            else:
                stream = client.request("GET", "/slow")
                h2origin.wait_heads(before + 1)
                stream.reset(CANCEL)
            until(lambda b=before: len(resets) > (b > 0), "a reset at the target")
            assert client.get("/").status == 200
    assert resets == [CANCEL, CANCEL] and len(h2origin.connections) == 1
