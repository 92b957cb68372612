# SPDX-License-Identifier: Apache-2.0
"""gRPC with the library that people use, on both sides of the gateway: every kind of call, errors, deadlines,
cancellation, what breaks, and what the gateway itself says."""

import os
import struct
import threading

import grpc
import pytest

from lib.calls import (  # noqa: F401 (later is a fixture)
    Feed, GrpcClient, GrpcServer, RawCall, Relay, address_of, failure, later, open_gateway, standard,
)
from lib.wait import DEADLINE, SLOW, until

Code = grpc.StatusCode
SHORT_S = 0.3 * SLOW
SHORT = f"{int(SHORT_S * 1000)}m"  # as grpc-timeout


@pytest.fixture
def server(later):
    return later(standard(GrpcServer()))


@pytest.fixture
def gw(gateway, server):
    return open_gateway(gateway, server.address)


@pytest.fixture
def client(gw, later):
    return later(GrpcClient(address_of(gw)))


# -- every kind of call


def test_unary_with_metadata(client, server):
    @server.unary("Meta")
    def meta(request, context):
        seen = dict(context.invocation_metadata())
        context.send_initial_metadata([("x-initial", "1"), ("x-bytes-bin", b"\0\xff")])
        context.set_trailing_metadata([("x-final", "2"), ("x-more-bin", bytes(range(256)))])
        return seen["x-mine"].encode() + seen["x-mine-bin"]

    sent = [("x-mine", "hi"), ("x-mine-bin", b"\xfe\0")]
    reply, call = client.unary("Meta").with_call(b"", metadata=sent, timeout=DEADLINE)
    assert reply == b"hi\xfe\0"
    initial, final = dict(call.initial_metadata()), dict(call.trailing_metadata())
    assert (initial["x-initial"], initial["x-bytes-bin"]) == ("1", b"\0\xff")
    assert (final["x-final"], final["x-more-bin"]) == ("2", bytes(range(256)))
    assert call.code() == Code.OK
    assert initial["x-request-id"] and "2.0" in initial["via"]


def test_a_stream_from_the_server(client):
    assert list(client.server_stream("Count")(b"1000", timeout=DEADLINE)) == [b"%d" % i for i in range(1000)]


def test_a_stream_from_the_client(client):
    reply = client.client_stream("Sum")((b"%d" % i for i in range(1000)), timeout=DEADLINE)
    assert int(reply) == sum(range(1000))


def test_streams_in_both_directions_take_turns(client):
    feed = Feed()
    call = client.both_streams("Chat")(feed, timeout=DEADLINE)
    for i in range(100):
        feed.put(b"%d" % i)
        assert next(call) == b"re: %d" % i
    feed.end()
    assert not list(call)
    assert call.code() == Code.OK


def test_messages_pass_before_the_call_is_over(client, server):
    turn = threading.Semaphore(0)

    @server.server_stream("Turns")
    def turns(request, context):
        for i in range(3):
            yield b"%d" % i
            assert turn.acquire(timeout=DEADLINE)

    call = client.server_stream("Turns")(b"", timeout=DEADLINE)
    for i in range(3):
        assert next(call) == b"%d" % i
        turn.release()
    assert not list(call)


def test_empty_messages_and_an_empty_stream(client):
    assert client.unary("Echo")(b"", timeout=DEADLINE) == b""
    assert client.client_stream("Sum")(iter(()), timeout=DEADLINE) == b"0"
    assert not list(client.server_stream("Count")(b"0", timeout=DEADLINE))


@pytest.mark.parametrize("kind", ["unary", "both_streams"])
def test_large_messages(client, kind):
    body = os.urandom(5 * 1024 * 1024)
    if kind == "unary":
        assert client.unary("Echo")(body, timeout=4 * DEADLINE) == body
    else:
        replies = list(client.both_streams("Chat")(iter([body] * 3), timeout=4 * DEADLINE))
        assert replies == [b"re: " + body] * 3


def test_many_calls_on_one_channel(client, server):
    together = threading.Barrier(50)

    @server.unary("Together")
    def wait_for_all(request, context):
        together.wait(DEADLINE)
        return request

    calls = [client.unary("Together").future(b"%d" % i, timeout=2 * DEADLINE) for i in range(50)]
    assert [c.result() for c in calls] == [b"%d" % i for i in range(50)]


def test_a_server_that_answers_early(client, server):
    @server.client_stream("Early")
    def early(requests, context):
        return next(requests)

    feed = Feed()
    feed.put(b"one")
    call = client.client_stream("Early").future(feed, timeout=DEADLINE)
    assert call.result() == b"one"
    feed.end()
    assert client.unary("Echo")(b"next", timeout=DEADLINE) == b"next"


def test_an_early_answer_comes_whole_before_the_rest_is_refused(gw, server, later):
    @server.client_stream("Early")
    def early(requests, context):
        context.set_trailing_metadata([("x-final", "here")])
        return next(requests)

    fields = {":path": "/t.T/Early", "content-type": "application/grpc"}
    answer = later(RawCall(address_of(gw), fields, b"\0\0\0\0\3one", end=False)).read(lambda a: a.reset is not None)
    assert (answer.body, answer.status, answer.trailers["x-final"]) == (b"\0\0\0\0\3one", 0, "here")
    assert answer.reset == 0  # RFC 9113 8.1


def test_a_refusal_comes_whole_before_the_rest_is_refused(gateway, server, later):
    gw = open_gateway(gateway, server.address, routes=[{"paths": ["/only"], "service": "app"}])
    call = later(RawCall(address_of(gw), {"content-type": "application/grpc"}, b"", end=False))
    answer = call.read(lambda a: a.reset is not None)
    assert (answer.head[":status"], answer.status, answer.reset) == ("200", 12, 0)


# -- errors of the server


def test_an_error_without_a_message(client, server):
    @server.unary("Fail")
    def fail(request, context):
        context.abort(Code.NOT_FOUND, "100 %\nnot here: \xe9")

    error = failure(lambda: client.unary("Fail")(b"", timeout=DEADLINE))
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "100 %\nnot here: \xe9")


def test_an_error_in_mid_stream(client, server):
    @server.server_stream("FailLater")
    def fail(request, context):
        yield b"one"
        yield b"two"
        context.set_trailing_metadata([("x-why", "because")])
        context.abort(Code.DATA_LOSS, "lost")

    call, got = client.server_stream("FailLater")(b"", timeout=DEADLINE), []
    error = failure(lambda: got.extend(iter(lambda: next(call), None)) or [got.append(m) for m in call])
    assert (error.code(), error.details()) == (Code.DATA_LOSS, "lost")
    assert dict(error.trailing_metadata())["x-why"] == "because"


def test_a_server_that_breaks_off_without_a_status(client, server, gw):
    @server.server_stream("Break")
    def break_off(request, context):
        yield b"one"
        context.cancel()

    call = client.server_stream("Break")(b"", timeout=DEADLINE)
    assert next(call) == b"one"
    error = failure(lambda: next(call))
    assert error.code() in (Code.CANCELLED, Code.UNAVAILABLE), error
    assert client.unary("Echo")(b"after", timeout=DEADLINE) == b"after"


def test_a_method_that_the_server_does_not_know(client):
    assert failure(lambda: client.unary("Nowhere")(b"", timeout=DEADLINE)).code() == Code.UNIMPLEMENTED


# -- deadlines and cancellation


@pytest.mark.parametrize("name", ["Hang", "HangLater"])
def test_the_clients_deadline(client, server, name):
    def call():
        return list(client.server_stream(name)(b"", timeout=SHORT_S))

    assert failure(call).code() == Code.DEADLINE_EXCEEDED
    assert server.cancelled.wait(DEADLINE)


FORGET = [{"headers": {"request": {"remove": ["grpc-timeout"]}}}]  # the server does not learn of it


def test_the_gateway_keeps_the_deadline(gateway, server, later):
    gw = open_gateway(gateway, server.address, filters=FORGET)
    fields = {":path": "/t.T/Hang", "content-type": "application/grpc", "grpc-timeout": SHORT}
    answer = later(RawCall(address_of(gw), fields, b"\0\0\0\0\0")).read()
    assert (answer.head[":status"], answer.status, answer.trailers) == ("200", 4, None)
    assert answer.head["content-type"] == "application/grpc"
    assert answer.head["x-sluice-reason"] == "deadline_exceeded"
    assert server.cancelled.wait(DEADLINE)
    assert (gw.log("/t.T/Hang")["status"], gw.log("/t.T/Hang")["reason"]) == (504, "deadline_exceeded")


def test_the_gateway_keeps_the_deadline_in_mid_answer(gateway, server, later):
    gw = open_gateway(gateway, server.address, filters=FORGET)
    fields = {":path": "/t.T/HangLater", "content-type": "application/grpc", "grpc-timeout": SHORT}
    answer = later(RawCall(address_of(gw), fields, b"\0\0\0\0\0")).read()
    assert answer.body == b"\0\0\0\0\5first"
    assert (answer.status, answer.trailers["x-sluice-reason"]) == (4, "deadline_exceeded")
    assert answer.reset is None
    assert server.cancelled.wait(DEADLINE)
    assert gw.log("/t.T/HangLater")["reason"] == "deadline_exceeded"


def test_a_deadline_while_the_request_still_comes(gateway, server, later):
    gw = open_gateway(gateway, server.address, filters=FORGET)
    fields = {":path": "/t.T/Sum", "content-type": "application/grpc", "grpc-timeout": SHORT}
    answer = later(RawCall(address_of(gw), fields, b"\0\0\0\0\1" + b"1", end=False)).read()
    assert answer.status == 4


def test_the_deadline_passes_in_the_queue(gateway, server, later):
    limits = {"concurrency": 1, "queue": 10, "queue_timeout": "60s"}
    gw = open_gateway(gateway, server.address, service={"limits": limits})
    first = later(GrpcClient(address_of(gw))).unary("Hang").future(b"", timeout=10 * DEADLINE)
    assert server.waits.wait(DEADLINE)
    fields = {":path": "/t.T/Echo", "content-type": "application/grpc", "grpc-timeout": SHORT}
    answer = later(RawCall(address_of(gw), fields, b"\0\0\0\0\0")).read()
    assert (answer.status, answer.head["x-sluice-reason"]) == (4, "deadline_exceeded")
    assert len(server.metadata) == 1
    first.cancel()


@pytest.mark.parametrize("name", ["Hang", "HangLater"])
def test_the_client_gives_up(client, server, gw, name):
    call = client.server_stream(name)(b"", timeout=10 * DEADLINE)
    assert server.waits.wait(DEADLINE)
    call.cancel()
    assert server.cancelled.wait(DEADLINE)
    assert call.code() == Code.CANCELLED
    assert gw.log(f"/t.T/{name}")["reason"] == "client_gone"
    assert client.unary("Echo")(b"after", timeout=DEADLINE) == b"after"


def test_a_client_that_gives_up_harms_no_other(client, server):
    feed = Feed()
    chat = client.both_streams("Chat")(feed, timeout=10 * DEADLINE)
    for i in range(20):
        call = client.server_stream("HangLater")(b"", timeout=10 * DEADLINE)
        assert next(call) == b"first"
        call.cancel()
        feed.put(b"%d" % i)
        assert next(chat) == b"re: %d" % i
    feed.end()
    assert not list(chat)


# -- what breaks


def test_the_server_dies_in_mid_stream(gateway, server, later):
    relay = later(Relay(server.address))
    gw = open_gateway(gateway, relay.address)
    client = later(GrpcClient(address_of(gw)))
    call = client.server_stream("HangLater")(b"", timeout=10 * DEADLINE)
    assert next(call) == b"first"
    relay.cut()
    error = failure(lambda: next(call))
    assert error.code() == Code.UNAVAILABLE
    assert "http_response_incomplete" in error.details()
    assert client.unary("Echo")(b"again", timeout=DEADLINE) == b"again"


def test_the_server_dies_before_it_answers(gateway, server, later):
    relay = later(Relay(server.address))
    gw = open_gateway(gateway, relay.address)
    client = later(GrpcClient(address_of(gw)))
    call = client.unary("Hang").future(b"", timeout=10 * DEADLINE)
    assert server.waits.wait(DEADLINE)
    relay.cut()
    error = call.exception()
    assert (error.code(), "connection_terminated" in error.details()) == (Code.UNAVAILABLE, True)


# -- what the gateway says


def test_no_route(gateway, server, later):
    gw = open_gateway(gateway, server.address, routes=[{"paths": ["/t.T/Echo"], "service": "app"}])
    client = later(GrpcClient(address_of(gw)))
    assert client.unary("Echo")(b"x", timeout=DEADLINE) == b"x"
    error = failure(lambda: client.unary("Sum")(b"", timeout=DEADLINE))
    assert error.code() == Code.UNIMPLEMENTED
    assert error.details().startswith("No route matches this request. (route_not_found, request ")
    until(lambda: gw.metric("sluice_http_requests_refused_total", reason="route_not_found") == 1, "counted")
    assert gw.metric("sluice_http_requests_total", code="404") == 1


def test_the_target_is_down(gateway, ports, later):
    gw = open_gateway(gateway, f"127.0.0.1:{ports.take()}")
    client = later(GrpcClient(address_of(gw)))
    error = failure(lambda: client.unary("Echo")(b"", timeout=DEADLINE))
    assert (error.code(), "connection_refused" in error.details()) == (Code.UNAVAILABLE, True)


@pytest.mark.parametrize("kind", ["unary", "client_stream"])
def test_the_body_is_too_large(gateway, server, later, kind):
    @server.client_stream("Swallow")
    def swallow(requests, context):
        return b"%d" % sum(map(len, requests))

    gw = open_gateway(gateway, server.address, limits={"body": "64KiB"})
    client = later(GrpcClient(address_of(gw)))
    big = b"1" * 40_000

    def call():
        if kind == "unary":
            return client.unary("Echo")(big * 3, timeout=DEADLINE)
        return client.client_stream("Swallow")(iter([big] * 3), timeout=DEADLINE)

    error = failure(call)
    assert (error.code(), "body_too_large" in error.details()) == (Code.RESOURCE_EXHAUSTED, True)
    assert client.unary("Echo")(b"small", timeout=DEADLINE) == b"small"


def test_a_server_that_is_slower_than_the_gateway_waits(gateway, server, later):
    gw = open_gateway(gateway, server.address, timeouts={"first_byte": f"{int(SHORT_S * 1000)}ms"})
    client = later(GrpcClient(address_of(gw)))
    error = failure(lambda: client.unary("Hang")(b"", timeout=10 * DEADLINE))
    assert (error.code(), "http_response_timeout" in error.details()) == (Code.DEADLINE_EXCEEDED, True)
    assert server.cancelled.wait(DEADLINE)


# -- connections


def test_keep_alive_pings_are_answered(gateway, server, later):
    gw = open_gateway(gateway, server.address)
    relay = later(Relay(address_of(gw)))
    options = [("grpc.keepalive_time_ms", 200), ("grpc.keepalive_timeout_ms", int(DEADLINE * 1000)),
               ("grpc.http2.max_pings_without_data", 0), ("grpc.keepalive_permit_without_calls", 1),
               ("grpc.http2.min_time_between_pings_ms", 200)]
    client = later(GrpcClient(relay.address, options=options))
    feed = Feed()
    call = client.both_streams("Chat")(feed, timeout=10 * DEADLINE)
    feed.put(b"1")
    assert next(call) == b"re: 1"
    ack = b"\0\0\x08\x06\x01\0\0\0\0"
    until(lambda: relay.came_back.count(ack) >= 5, "answers to five pings", 3 * DEADLINE)
    feed.put(b"2")
    assert next(call) == b"re: 2"
    feed.end()
    assert not list(call)


@pytest.mark.parametrize("how", ["api", "hup"])
def test_a_reload_under_running_streams(gw, client, server, later, how):
    feed = Feed()
    chat = client.both_streams("Chat")(feed, timeout=10 * DEADLINE)
    feed.put(b"before")
    assert next(chat) == b"re: before"
    for i in range(3):
        gw.change(routes=[{"paths": ["/gone"], "respond": {"status": 404}}, {"service": "app"}], timeouts={"idle": f"{60 + i}s"})
        gw.reload(how)
        feed.put(b"%d" % i)
        assert next(chat) == b"re: %d" % i
        assert client.unary("Echo")(b"new", timeout=DEADLINE) == b"new"
    feed.end()
    assert not list(chat)
    assert chat.code() == Code.OK


def test_an_upgrade_under_a_running_stream(gateway, server, later):
    gw = open_gateway(gateway, server.address, timeouts={"drain": "60s"})
    client, feed = later(GrpcClient(address_of(gw))), Feed()
    chat = client.both_streams("Chat")(feed, timeout=10 * DEADLINE)
    feed.put(b"old")
    assert next(chat) == b"re: old"
    before = gw.edge
    assert gw.cli("upgrade").code == 0
    until(lambda: before in gw.draining(), "the old edge drains")
    for i in range(3):
        feed.put(b"%d" % i)
        assert next(chat) == b"re: %d" % i
        assert client.unary("Echo")(b"new", timeout=DEADLINE) == b"new"  # by a connection to the new edge
    feed.end()
    assert not list(chat)
    assert chat.code() == Code.OK
    until(lambda: before not in gw.edges(), "the old edge is gone")


def test_a_long_stream_of_small_messages(client):
    count = 5000
    replies = client.both_streams("Chat")((b"%d" % i for i in range(count)), timeout=8 * DEADLINE)
    assert sum(1 for _ in replies) == count


def test_a_reader_that_was_behind_owns_up_all_at_once(gw, later):
    """It answers each of many small DATA frames with WINDOW_UPDATEs, late and in one piece: no flood."""
    fields = {":path": "/t.T/Count", "content-type": "application/grpc"}
    call = later(RawCall(address_of(gw), fields, b"\0\0\0\0\0043000", acks=False))
    answer = call.read()
    assert (answer.status, answer.frames > 450) == (0, True)
    for stream in (0, 1):
        call.sock.sendall(struct.pack(">HBBBII", 0, 4, 8, 0, stream, 1) * answer.frames)
    call.h2.ping(b"12345678")
    call.flush()
    answer.is_over = False
    assert call.read(lambda a: a.pong).pong == b"12345678"


# -- gRPC-Web over HTTP/2


@pytest.mark.parametrize("kind", ["application/grpc-web", "application/grpc-web-text"])
def test_a_browsers_call_over_http2(gateway, server, later, kind):
    gw = open_gateway(gateway, server.address, filters=[{"grpc_web": {}}])
    text = "text" in kind
    fields = {":path": "/t.T/Echo", "content-type": kind}
    answer = later(RawCall(address_of(gw), fields, b"AAAAAAJoaQ==" if text else b"\0\0\0\0\2hi")).read()
    assert (answer.head[":status"], answer.head["content-type"], answer.trailers) == ("200", kind, None)
    start = b"AAAAAAJoaQ==gAAAA" if text else b"\0\0\0\0\2hi\x80\0\0\0"
    assert answer.body.startswith(start)
    assert text or b"grpc-status: 0\r\n" in answer.body


def test_a_browsers_call_over_http1(gateway, server):
    gw = open_gateway(gateway, server.address, filters=[{"grpc_web": {}}])
    reply = gw.post("/t.T/Count", b"\0\0\0\0\1" + b"3", [("Content-Type", "application/grpc-web")])
    assert reply.body.startswith(b"\0\0\0\0\x010" b"\0\0\0\0\x011" b"\0\0\0\0\x012" b"\x80\0\0\0")
    assert b"grpc-status: 0\r\n" in reply.body


def test_a_browsers_call_that_fails(gateway, server, later):
    gw = open_gateway(gateway, server.address, filters=[{"grpc_web": {}}])
    fields = {":path": "/t.T/Nowhere", "content-type": "application/grpc-web+proto"}
    answer = later(RawCall(address_of(gw), fields, b"\0\0\0\0\0")).read()
    assert (answer.status, answer.head["content-type"], answer.body) == (12, "application/grpc-web", b"")


def test_a_browsers_call_that_the_gateway_refuses(gateway, ports, later):
    gw = open_gateway(gateway, f"127.0.0.1:{ports.take()}", filters=[{"grpc_web": {}}])
    answer = later(RawCall(address_of(gw), {"content-type": "application/grpc-web-text"}, b"AAAAAAA=")).read()
    assert (answer.head[":status"], answer.status) == ("200", 14)
    assert answer.head["content-type"] == "application/grpc-web-text"
