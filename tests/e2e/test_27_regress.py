# SPDX-License-Identifier: Apache-2.0
"""Bugs that a review of the data plane found, one test each, so that none of them comes back."""

import os
import socket
import struct
import threading

import pytest

from lib.gateway import IS_SANITIZED, cpu_seconds
from lib.origin import OK
from lib.wait import DEADLINE, QUIET, SLOW, Stopwatch, ms, until

SHORT = 500  # milliseconds, before stretching
EARLY = 0.8 * SHORT / 1000 * SLOW
LATE = SHORT / 1000 * SLOW + 2.0 * SLOW
CHECK = 5.0  # seconds between two looks at a connection's speed, whatever the build
MAY_GROW = (64 if IS_SANITIZED else 3) * 1024 * 1024
UPGRADE = "Connection: upgrade\r\nUpgrade: echo\r\n"
SWITCH = "HTTP/1.1 101 Switching Protocols\r\n" + UPGRADE + "\r\n"


def timed(wait):
    with Stopwatch() as watch:
        found = wait()
    assert EARLY < watch.seconds < LATE, f"after {watch.seconds:.2f} s"
    return found


def in_background(function, *args):
    thread = threading.Thread(target=function, args=args, daemon=True)
    thread.start()
    return thread


def pattern(size):
    """Bytes of which each eight say where they belong."""
    return b"".join(struct.pack(">Q", n) for n in range(size // 8))


# -- heads


def test_a_lone_cr_does_not_spin(origin, gateway):
    gw = gateway(origin, timeouts={"header": ms(SHORT)})
    edge = gw.edge
    before = cpu_seconds(edge)
    client = gw.send("\r")
    assert gw.get().text == "ok"  # by the only worker
    reply = timed(client.reply)
    assert (reply.status, reply.reason) == (408, "header_timeout")
    assert cpu_seconds(edge) - before < EARLY / 2
    gw.wait_metric("sluice_connections_open", 0, listener=f"127.0.0.1:{gw.port}")


def test_a_lone_cr_and_the_rest_of_an_empty_line(origin, gateway):
    client = gateway(origin).send("\r")
    assert client.is_silent(QUIET)
    client.send("\n")
    assert client.get().text == "ok"


def test_a_part_of_a_head_behind_a_whole_request_has_its_time_too(origin, gateway):
    gw = gateway(origin, timeouts={"header": ms(SHORT)})
    client = gw.send("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /part")
    assert client.reply().text == "ok"
    assert timed(client.reply).reason == "header_timeout"
    client.expect_end()
    assert [r.target for r in origin.heads] == ["/"]


@pytest.mark.parametrize("side", ["request", "response"])
def test_heads_may_be_larger_than_64_kib(origin, gateway, side):
    fields = [(f"X-{n}", f"{n}" * 5000) for n in range(10, 20)]  # 10 x 10,000
    origin.on("/big")(lambda conn, request: conn.respond(200, b"big", fields))
    client = gateway(origin, limits={"header_bytes": "128KiB"}).connect()
    reply = client.get("/big", fields if side == "request" else ())
    seen = origin.heads[0] if side == "request" else reply
    assert reply.text == "big"
    assert [f for f in seen.fields if f in fields] == fields
    assert client.get().text == "ok"


# -- tunnels


@pytest.fixture
def tunnel(origins, gateway):
    """Opens a tunnel; gives the gateway, the client's end and the target's."""
    done = threading.Event()

    def make(**options):
        origin, ends, ready = origins(), [], threading.Event()

        @origin.on("/t")
        def take(conn, request):
            ends.append(conn)
            conn.send(SWITCH)
            ready.set()
            done.wait(120)
            return "end"

        gw = gateway(origin, **options)
        near = gw.send(f"GET /t HTTP/1.1\r\nHost: a\r\n{UPGRADE}\r\n")
        assert near.head().status == 101 and ready.wait(DEADLINE)
        return gw, near, ends[0]

    yield make
    done.set()


@pytest.mark.parametrize("end", ["target resets", "target closes", "client closes", "client resets"])
@pytest.mark.parametrize("filters", [[], [{"headers": {"response": {"set": {"X-A": "b"}}}}]], ids=["bare", "filter"])
def test_a_tunnel_outlives_its_target_and_its_filters(tunnel, origins, end, filters):
    """The target leaves the configuration and the chain's snapshot is gone: nothing of them is used at the end."""
    gw, near, far = tunnel(filters=filters)
    edge = gw.edge
    other = origins().answers("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nother")
    gw.change(services={"app": {"targets": [other.address]}}, filters=[])
    for _ in range(2):
        gw.reload()
        assert gw.get().text == "other"
    near.send("still here")
    assert far.exactly(10, "bytes after the reload") == b"still here"
    who, how = end.split()
    first, second = (far, near) if who == "target" else (near, far)
    if how == "resets":
        first.reset()
        assert second.wait_end() in ("eof", "reset")
    else:
        first.half_close()
        second.wait_end()
        second.close()
        first.close()
    gw.wait_metric("sluice_connections_open", 0, listener=f"127.0.0.1:{gw.port}")
    assert gw.log("/t")["status"] == 101
    assert gw.get().text == "other"
    assert gw.edge == edge
    gw.check_reports()


def test_the_tail_of_a_half_closed_tunnel_arrives(origins, gateway, home):
    """The target has ended its side and reads late; the client's last bytes and its end come together.

    What matters is a tail that the kernel has no room for, hence a unix socket, which has little: several of the
    sizes leave such a tail.
    """
    sizes = [1, *range(20_000, 800_000, 20_000)]
    got, go = {}, threading.Event()
    origin = origins(path=f"{home}/target")

    @origin.on("/t")
    def take(conn, request):
        conn.keep_received = False
        size = int(request.header("X-Size"))
        conn.send(SWITCH)
        conn.half_close()
        assert go.wait(60)
        got[size] = conn.to_end(timeout=60)
        return "end"

    gw = gateway(origin)

    def talk(size):
        near = gw.send(f"GET /t HTTP/1.1\r\nHost: a\r\nX-Size: {size}\r\n{UPGRADE}\r\n")
        near.head()
        near.send(data[:size], 60)
        near.half_close()

    data = os.urandom(sizes[-1])
    senders = [in_background(talk, size) for size in sizes]
    origin.wait_heads(len(sizes))
    threading.Event().wait(QUIET)  # the buffers on the way fill
    go.set()
    for sender in senders:
        sender.join(60)
    until(lambda: len(got) == len(sizes), "the end of every tunnel", 60)
    assert {s: len(b) for s, b in got.items() if b != data[:s]} == {}


@pytest.mark.parametrize("is_whole", [False, True], ids=["body under way", "body complete"])
def test_a_switch_before_the_request_is_complete(origin, gateway, is_whole):
    @origin.on("/t")
    def switch(conn, request):
        if is_whole:
            conn.read_body(request)
        conn.send(SWITCH + "bytes")
        conn.wait_end()
        return "end"

    gw = gateway(origin)
    client = gw.send(f"POST /t HTTP/1.1\r\nHost: a\r\n{UPGRADE}Transfer-Encoding: chunked\r\n\r\n")
    client.chunk(b"some")
    if is_whole:
        client.send("0\r\n\r\n")
        assert client.head().status == 101
        assert client.exactly(5, "the target's bytes") == b"bytes"
        return
    reply = client.reply("POST")
    assert (reply.status, reply.reason) == (502, "http_upgrade_failed")
    assert b"bytes" not in client.received
    assert origin.connections[0].wait_ended() in ("eof", "reset")


def test_h2c_is_not_passed_on(origin, gateway):
    fields = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    client = gateway(origin).connect()
    assert client.get("/", fields).text == "ok"
    assert client.get().text == "ok"
    request = origin.heads[0]
    assert not request.has("Upgrade") and not request.has("HTTP2-Settings")
    assert not {"upgrade", "http2-settings"} & set(request.tokens("Connection"))


# -- connections to targets


@pytest.mark.parametrize(
    "method, answer",
    [
        ("GET", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"),
        ("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n"),
        ("GET", "HTTP/1.1 304 Not Modified\r\n\r\n"),
        ("GET", "HTTP/1.1 204 No Content\r\n\r\n"),
        ("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n"),
    ],
    ids=["length", "chunked", "304", "204", "HEAD"],
)
@pytest.mark.parametrize("is_pipelined", [True, False], ids=["pipelined", "in turn"])
def test_bytes_behind_an_answer_are_never_the_next_one(origin, gateway, method, answer, is_pipelined):
    @origin.on("/first")
    def first(conn, request):
        conn.send(answer + "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL")

    second = "GET /second HTTP/1.1\r\nHost: a\r\n\r\n"
    client = gateway(origin).send(f"{method} /first HTTP/1.1\r\nHost: a\r\n\r\n" + second * is_pipelined)
    assert client.reply(method).status in (200, 204, 304)
    if not is_pipelined:
        client.send(second)
    assert client.reply().text == "ok"
    assert b"EVIL" not in client.received
    assert [[r.target for r in c.requests] for c in origin.connections] == [["/first"], ["/second"]]
    assert origin.connections[0].wait_ended() in ("eof", "reset")


def test_a_chunked_body_is_sent_again_whole(origin, gateway):
    """A kept connection dies without a byte after the whole request: the second try gets the terminator too."""

    @origin.on("/put")
    def put(conn, request):
        conn.read_body(request)
        if conn.index == 0:
            conn.close()
            return "end"
        conn.respond(200, b"done")

    client = gateway(origin).connect()
    assert client.get().text == "ok"
    client.request("PUT", "/put", [("Transfer-Encoding", "chunked")])
    origin.wait_heads(2)
    client.chunk(b"hello")
    until(lambda: b"hello" in origin.connections[0].received, "the chunk")
    client.send("0\r\n\r\n")
    assert client.reply("PUT").text == "done"
    assert [r.body for r in origin.requests if r.path == "/put"] == [b"hello", b"hello"]
    assert len(origin.connections) == 2


def test_first_byte_may_be_off(origin, gateway):
    @origin.on("/late")
    def late(conn, request):
        assert conn.is_silent(2 * QUIET)
        conn.send(OK)

    assert gateway(origin, timeouts={"first_byte": "off"}).get("/late").text == "ok"


@pytest.mark.long
def test_a_late_100_is_no_slow_body(origin, gateway):
    @origin.on("/late")
    def late(conn, request):
        assert conn.is_silent(2.4 * CHECK), "the body came without being asked for"
        conn.send("HTTP/1.1 100 Continue\r\n\r\n")
        conn.read_body(request)
        conn.respond(200, b"done")

    client = gateway(origin, timeouts={"body_rate": "1KiB/s"}).connect()
    client.request("POST", "/late", [("Expect", "100-continue"), ("Content-Length", "5")])
    assert client.head(timeout=3 * CHECK + DEADLINE).status == 100
    client.send("hello")
    assert client.reply("POST").text == "done"


@pytest.mark.parametrize("how", ["close", "half-close"])
def test_an_early_413_reaches_the_client(origin, gateway, how):
    """The target answers and goes while the upload is at full speed: writing may fail before the answer is read."""

    @origin.on("/up")
    def up(conn, request):
        conn.keep_received = False
        conn.exactly(int(request.header("X-Take")), "a part of the body")
        conn.respond(413, b"too much", [("Connection", "close")])
        if how == "half-close":
            conn.half_close()
            conn.wait_end()
        conn.close()
        return "end"

    def upload(client):
        try:
            client.send(b"x" * 30_000_000, 60)
        except OSError:
            pass  # an end before the whole body is what is expected

    gw = gateway(origin)
    for n in range(20):
        with gw.connect() as client:
            client.request("POST", "/up", [("Content-Length", "30000000"), ("X-Take", str(n * 70_000))])
            sender = in_background(upload, client)
            reply = client.reply("POST")
            assert (reply.status, reply.text, reply.reason) == (413, "too much", None), f"round {n}"
            client.sock.shutdown(socket.SHUT_RDWR)
            sender.join(DEADLINE)


# -- slow and absent readers


def test_pipelined_answers_of_the_gateways_own_hold_no_memory(origin, gateway):
    gw = gateway(origin)
    gw.get()
    before = gw.resident()
    client = gw.connect(receive_buffer=4096)
    sent = [0]

    def flood():
        try:
            while True:
                client.send(b"GET /.sluice/health HTTP/1.1\r\nHost: a\r\n\r\n" * 100, 60)
                sent[0] += 1
        except (OSError, ValueError):
            pass

    in_background(flood)
    pause = threading.Event()

    def stands():
        was = sent[0]
        pause.wait(QUIET)
        return was and sent[0] == was

    until(stands, "the client held back")
    assert gw.resident() - before < MAY_GROW
    assert gw.get().text == "ok"
    client.reset()


def read_slowly(client, size, pause_s):
    """The next `size` bytes in steps of 32 KiB."""
    pause, got = threading.Event(), bytearray(client.buffer)
    client.buffer = b""
    while len(got) < size:
        assert client.fill("the slow stream", size=32768), f"{client.ended} after {len(got)} bytes"
        got += client.buffer
        client.buffer = b""
        pause.wait(pause_s)
    return bytes(got)


def test_stream_idle_spares_a_slow_reader_and_ends_a_stalled_one(origin, gateway):
    data = pattern(8_000_000)

    @origin.on("/big")
    def big(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
        conn.send(data, 60)

    gw = gateway(origin, timeouts={"stream_idle": ms(300)})
    stalled = gw.connect(receive_buffer=65536).request("GET", "/big")
    slow = gw.connect(receive_buffer=65536).request("GET", "/big")
    assert slow.head().status == 200
    assert read_slowly(slow, len(data), 0.02 * SLOW) == data
    gone = gw.logs(1, lambda r: r.get("reason") in ("client_slow", "stream_idle"), DEADLINE + LATE)
    assert len(gone) == 1
    stalled.wait_end()
    assert len(stalled.received) < len(data)


def test_a_slow_stream_holds_nothing_of_others(origin, gateway):
    """What waits for a slow client stays its own while the worker answers others."""
    data = pattern(12 * 1024 * 1024)
    noise = b"HTTP/1.1 200 OK\r\nContent-Length: 65000\r\n\r\n" + b"Z" * 65000
    stop = threading.Event()

    @origin.on("/big")
    def big(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(data))
        conn.send(data, 60)

    origin.answers(noise)
    gw = gateway(origin, workers=1)
    slow = gw.connect(receive_buffer=4096).request("GET", "/big")
    origin.wait_heads(1)
    answered = []

    def others():
        while not stop.is_set():
            answered.append(gw.get("/", [("Connection", "close")]).body == noise[-65000:])

    threads = [in_background(others) for _ in range(2)]
    try:
        until(lambda: len(answered) > 5, "answers beside the stalled stream")
        assert slow.head().status == 200
        body = read_slowly(slow, len(data), 0.001)
    finally:
        stop.set()
        for thread in threads:
            thread.join(DEADLINE)
    wrong = [n for n in range(0, len(data), 65536) if body[n : n + 65536] != data[n : n + 65536]]
    assert not wrong, f"{len(wrong)} pieces differ, the first at {wrong[0]}; {body.count(b'ZZZZZZZZ')} of others"
    assert all(answered) and len(answered) > 20


@pytest.mark.parametrize("is_whole", [False, True], ids=["cut", "whole"])
def test_a_cut_answer_to_http_10_is_no_clean_end(origin, gateway, is_whole):
    @origin.on("/cut")
    def cut(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        if is_whole:
            conn.send("0\r\n\r\n")
        conn.close()
        return "end"

    client = gateway(origin).send("GET /cut HTTP/1.0\r\nHost: a\r\n\r\n")
    assert client.wait_end() == ("eof" if is_whole else "reset")
    assert not is_whole or client.received.endswith(b"\r\n\r\nhello")


# -- the gate


@pytest.mark.parametrize("leaves", ["long before", "at once"])
def test_a_waiter_that_leaves_keeps_nobody_waiting(origin, gateway, leaves):
    """One place, waiters on two workers, and one leaves, perhaps when it was just told to come: another gets it."""
    free = threading.Semaphore(0)

    @origin.on("/hold")
    def hold(conn, request):
        assert free.acquire(timeout=60)
        conn.send(OK)

    gw = gateway(origin, workers=2, service={"limits": {"concurrency": 1, "queue": 50, "queue_timeout": "60s"}})
    late = 0
    for n in range(1, 61):
        holder = gw.connect().request("GET", "/hold")
        until(lambda: len([r for r in origin.heads if r.path == "/hold"]) == n, "the place taken")
        waiters = [gw.connect().request("GET", "/wait") for _ in range(2)]
        gw.wait_metric("sluice_http_requests_in_flight", 3, route="app")
        keeper, leaver = waiters if n % 2 else reversed(waiters)
        if leaves == "long before":
            leaver.reset()
            gw.wait_metric("sluice_http_requests_in_flight", 2, route="app")
        free.release()
        if leaves == "at once":
            leaver.reset()
        with Stopwatch() as watch:
            assert keeper.reply().text == "ok"
        late += watch.seconds > 0.5
        assert holder.reply().text == "ok"
        holder.close()
        keeper.close()
        gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")
    assert late < 6, f"{late} of 60 waited until something else woke them"  # a busy machine has its pauses
