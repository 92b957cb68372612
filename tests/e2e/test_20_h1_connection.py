# SPDX-License-Identifier: Apache-2.0
"""Connections of clients: keep-alive, pipelining, HTTP/1.0, and requests that arrive in pieces."""

import pytest

from lib.wait import until

GET = b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n"


def echo_path(conn, request):
    conn.read_body(request)
    conn.respond(200, b"" if request.method == "HEAD" else request.target.encode() + b" " + request.body)


def script_echo(conn):
    while (request := conn.read_head()) is not None:
        echo_path(conn, request)


def test_keep_alive_serves_many_requests(origin, gateway):
    client = gateway(origin).connect()
    for _ in range(20):
        reply = client.get()
        assert reply.text == "ok" and not reply.closes
    assert client.is_open()
    assert len(origin.connections) == 1  # and the target's connection is used again, too


def test_connection_close_is_obeyed_and_said(origin, gateway):
    client = gateway(origin).connect()
    assert client.get(headers=[("Connection", "close")]).closes
    assert client.expect_end() == "eof"
    assert "close" not in origin.request.tokens("Connection")  # hop by hop: the target's connection stays


def test_a_target_that_closes_does_not_close_the_client(origin, gateway):
    def script(conn):
        conn.read()
        conn.respond(200, b"bye", [("Connection", "close")])
        conn.close()

    origin.script = script
    client = gateway(origin).connect()
    for n in range(3):
        reply = client.get()
        assert reply.text == "bye" and not reply.closes
    assert len(origin.connections) == 3


def test_pipelined_requests_are_answered_in_order(origin, gateway):
    origin.script = script_echo
    client = gateway(origin).connect()
    client.send(b"".join(GET % n for n in range(10)))
    for n in range(10):
        assert client.reply().text == f"/{n} "
    assert client.is_open()


def test_pipelined_bodies_and_kinds_are_kept_apart(origin, gateway):
    origin.script = script_echo
    client = gateway(origin).connect()
    client.send(
        b"POST /0 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello"
        b"HEAD /1 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /2 HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
        b"GET /3 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"PUT /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 37\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nxy"
        b"DELETE /5 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        b"GET /never HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert client.reply().text == "/0 hello"
    assert client.reply("HEAD").body == b""
    assert client.reply().text == "/2 abc"
    assert client.reply().text == "/3 "
    assert client.reply().text == "/4 GET /smuggled HTTP/1.1\r\nHost: b\r\n\r\nxy"
    last = client.reply()
    assert last.text == "/5 " and last.closes
    client.expect_end()
    assert [r.target for r in origin.requests] == ["/0", "/1", "/2", "/3", "/4", "/5"]


def test_pipelined_slow_answer_is_not_overtaken(origin, gateway):
    import threading

    go = threading.Event()

    @origin.on("/slow")
    def slow(conn, request):
        conn.read_body(request)
        go.wait(30)
        conn.respond(200, b"slow")

    client = gateway(origin).connect()
    client.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n" + GET % 1)
    origin.wait_heads(1)
    assert client.is_open()
    go.set()
    assert client.reply().text == "slow"
    assert client.reply().text == "ok"


def test_pipelined_refusal_ends_the_connection_after_earlier_answers(origin, gateway):
    client = gateway(origin).connect()
    client.send(GET % 0 + b"GET / HTTP/1.1\r\n\r\n" + GET % 2)
    assert client.reply().text == "ok"
    refusal = client.reply()
    assert (refusal.status, refusal.reason, refusal.closes) == (400, "host_missing", True)
    client.expect_end()
    assert [r.target for r in origin.requests] == ["/0"]


def test_two_hundred_pipelined_at_once(origin, gateway):
    origin.script = script_echo
    client = gateway(origin).connect()
    client.send(b"".join(GET % n for n in range(200)))
    for n in range(200):
        assert client.reply().text == f"/{n} "


def test_one_byte_at_a_time(origin, gateway):
    origin.script = script_echo
    client = gateway(origin).connect()
    client.drip(b"POST /drip HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nabcd\r\n2;x=y\r\nef\r\n0\r\nT: 1\r\n\r\n")
    assert client.reply().text == "/drip abcdef"
    assert origin.request.trailer("T") == "1"


def test_split_at_every_place(origin, gateway):
    origin.script = script_echo
    message = b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nxyz"
    client = gateway(origin).connect()
    for at in range(1, len(message)):
        client.send(message[:at])
        client.send(message[at:])
        assert client.reply().text == "/p xyz", at


def test_an_answer_in_single_bytes(origin, gateway):
    @origin.on("/")
    def drip(conn, request):
        conn.drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-T: 1\r\n\r\n")

    reply = gateway(origin).connect().get()
    assert reply.text == "abc" and reply.trailer("X-T") == "1"


def test_one_empty_line_before_a_request_is_skipped(origin, gateway):
    client = gateway(origin).connect()
    client.send(b"\r\n" + GET % 0)  # RFC 9112 2.2
    assert client.reply().text == "ok"
    client.send(b"\r\n" + GET % 1)
    assert client.reply().text == "ok"


# -- HTTP/1.0 clients


def test_http10_closes_by_default(origin, gateway):
    client = gateway(origin).connect().request(version="1.0")
    reply = client.reply()
    assert reply.text == "ok"
    assert client.expect_end() == "eof"
    assert origin.request.version == "HTTP/1.1"


def test_http10_keep_alive_when_asked(origin, gateway):
    client = gateway(origin).connect()
    for _ in range(3):
        reply = client.request(version="1.0", headers=[("Connection", "keep-alive")]).reply()
        assert reply.text == "ok"
        assert reply.tokens("Connection") == ["keep-alive"]
    assert client.is_open()


def test_http10_without_a_host(origin, gateway):
    client = gateway(origin).connect().request(version="1.0", host=None)
    assert client.reply().text == "ok"
    assert len(origin.request.all("Host")) == 1  # HTTP/1.1 to the target needs one


def test_http10_gets_no_chunks(origin, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: 1\r\n\r\n")
    client = gateway(origin).connect().request(version="1.0", headers=[("Connection", "keep-alive")])
    reply = client.reply()
    assert not reply.has("Transfer-Encoding") and not reply.has("Content-Length")
    assert reply.text == "abcde"  # delimited by close


def test_http10_gets_no_interim_answers(origin, gateway):
    origin.answers("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    reply = gateway(origin).connect().request(version="1.0").reply()
    assert reply.interims == [] and reply.text == "ok"


def test_http10_post(origin, gateway):
    reply = gateway(origin).connect().request("POST", "/", body=b"data", version="1.0").reply()
    assert reply.text == "ok" and origin.request.body == b"data"


# -- the end of a connection


def test_a_half_closed_client_counts_as_gone(origin, gateway):
    @origin.on("/wait")
    def wait(conn, request):
        conn.read_body(request)
        conn.wait_end()
        return "end"

    gw = gateway(origin)
    client = gw.connect().request("GET", "/wait")
    origin.wait_requests(1)
    client.half_close()
    assert origin.connections[0].wait_ended()
    client.expect_end()
    assert gw.log("/wait")["reason"] == "client_gone"


def test_a_client_that_leaves_cancels_its_request(origin, gateway):
    @origin.on("/wait")
    def wait(conn, request):
        conn.read_body(request)
        conn.ended_by_gateway = conn.wait_end()
        return "end"

    gw = gateway(origin)
    client = gw.connect().request("GET", "/wait")
    origin.wait_requests(1)
    client.reset()
    until(lambda: hasattr(origin.connections[0], "ended_by_gateway"), "the upstream request cancelled")
    record = gw.log("/wait")
    assert (record["status"], record["reason"]) == (499, "client_gone")
    gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")


def test_a_client_that_leaves_in_the_middle_of_an_answer(origin, gateway):
    @origin.on("/endless")
    def endless(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            conn.send(b"1000\r\n" + b"x" * 4096 + b"\r\n")

    gw = gateway(origin)
    client = gw.connect().request("GET", "/endless")
    client.exactly(200_000, "some of the body")
    client.close()
    record = gw.log("/endless")
    assert record["reason"] == "client_gone"
    assert gw.get("/").text == "ok"


def test_a_client_that_leaves_in_the_middle_of_a_body(origin, gateway):
    gw = gateway(origin)
    client = gw.send(b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nonly this")
    origin.wait_heads(1)
    client.reset()
    assert origin.connections[0].origin is origin
    gw.log("/up")
    assert not origin.requests  # never a complete request


@pytest.mark.parametrize("how", ["eof", "reset"])
def test_an_idle_client_may_leave(origin, gateway, how):
    gw = gateway(origin)
    clients = [gw.connect() for _ in range(5)]
    for client in clients:
        assert client.get().text == "ok"
        client.close() if how == "eof" else client.reset()
    gw.wait_metric("sluice_connections_open", 0, listener=f"127.0.0.1:{gw.port}")
    assert len(gw.logs(5)) == 5
