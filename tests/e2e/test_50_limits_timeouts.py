# SPDX-License-Identifier: Apache-2.0
"""Every timeout means what its name says, and every limit refuses what is past it and nothing before it."""

import threading

import pytest

from lib.client import Client
from lib.gateway import full_listener
from lib.wait import DEADLINE, SLOW, Stopwatch, ms, until

SHORT = 500  # milliseconds, before stretching
EARLY = 0.8 * SHORT / 1000 * SLOW
LATE = SHORT / 1000 * SLOW + 2.0 * SLOW  # timers are coarse, machines are busy


def timed(wait):
    with Stopwatch() as watch:
        found = wait()
    assert EARLY < watch.seconds < LATE, f"after {watch.seconds:.2f} s"
    return found


# -- timeouts


def test_a_head_that_does_not_end(origin, gateway):
    gw = gateway(origin, timeouts={"header": ms(SHORT)})
    client = gw.send("GET / HTTP/1.1\r\nHost: a\r\nX-Slow")
    reply = timed(client.reply)
    assert (reply.status, reply.reason, reply.closes) == (408, "header_timeout", True)
    client.expect_end()
    assert origin.untouched
    gw.wait_metric("sluice_http_requests_refused_total", 1, reason="header_timeout")


def test_a_head_that_comes_byte_by_byte_forever(origin, gateway):
    gw = gateway(origin, timeouts={"header": ms(SHORT)})
    client = gw.connect()
    threading.Thread(target=drip_forever, args=(client, b"GET / HTTP/1.1\r\nHost: a\r\n"), daemon=True).start()
    assert timed(client.reply).reason == "header_timeout"  # each byte does not start the time anew


def drip_forever(client, start):
    pause = threading.Event()
    try:
        client.send(start)
        while True:
            client.send(b"x")
            pause.wait(0.02)
    except (OSError, ValueError):
        pass


def test_a_connection_that_sends_nothing(origin, gateway):
    gw = gateway(origin, timeouts={"header": ms(SHORT), "idle": ms(SHORT)})
    client = gw.connect()
    client.wait_end(LATE + 2)
    assert not client.buffer or b"408" in client.buffer
    gw.wait_metric("sluice_connections_open", 0, listener=f"127.0.0.1:{gw.port}")


def test_an_idle_connection_is_closed_quietly(origin, gateway):
    gw = gateway(origin, timeouts={"idle": ms(SHORT)})
    client = gw.connect()
    assert client.get().text == "ok"
    assert timed(client.expect_end) == "eof"


def test_idle_starts_anew_with_each_request(origin, gateway):
    gw = gateway(origin, timeouts={"idle": ms(1200)})
    client = gw.connect()
    pause = threading.Event()
    for _ in range(6):
        assert client.get().text == "ok"
        pause.wait(0.4 * SLOW)
    assert client.get().text == "ok"


def test_the_second_head_has_its_time_too(origin, gateway):
    gw = gateway(origin, timeouts={"header": ms(SHORT)})
    client = gw.connect()
    assert client.get().text == "ok"
    client.send("GET / HT")
    assert timed(client.reply).reason == "header_timeout"


@pytest.mark.long
def test_a_body_that_stops_coming(origin, gateway):
    gw = gateway(origin, timeouts={"body_rate": "100KiB/s"})
    client = gw.send("POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nsome")
    reply = client.reply(timeout=20 * SLOW)
    assert (reply.status, reply.reason, reply.closes) == (408, "body_timeout", True)
    client.expect_end()
    assert not origin.requests


@pytest.mark.long
def test_a_body_below_the_rate(origin, gateway):
    gw = gateway(origin, timeouts={"body_rate": "100KiB/s"})
    client = gw.connect()
    start = b"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n"
    threading.Thread(target=drip_forever, args=(client, start), daemon=True).start()
    assert client.reply(timeout=20 * SLOW).reason == "body_timeout"


def test_a_body_above_the_rate_may_take_its_time(origin, gateway):
    gw = gateway(origin, timeouts={"body_rate": "1KiB/s", "header": ms(SHORT)})
    client = gw.connect().request("POST", "/", [("Content-Length", str(40 * 1024))])
    pause = threading.Event()
    for _ in range(20):
        client.send(b"x" * 2048)
        pause.wait(0.1)
    assert client.reply().text == "ok"


def test_a_slow_target_is_not_the_clients_fault(origin, gateway):
    go = threading.Event()

    @origin.on("/up")
    def up(conn, request):
        go.wait(60)
        conn.read_body(request)
        conn.respond(200, b"done")

    gw = gateway(origin, timeouts={"body_rate": "10MiB/s"})
    client = gw.connect()
    body = b"x" * 20_000_000
    threading.Thread(target=lambda: client.request("POST", "/up", body=body), daemon=True).start()
    origin.wait_heads(1)
    assert client.is_silent(3 * SLOW), client.buffer[:300]  # back-pressure made the body slow
    go.set()
    assert client.reply(timeout=30 * SLOW).text == "done"


def test_a_target_that_does_not_answer(origin, gateway):
    @origin.on("/never")
    def never(conn, request):
        conn.read_body(request)
        conn.saw_end = conn.wait_end()
        return "end"

    gw = gateway(origin, timeouts={"first_byte": ms(SHORT)})
    client = gw.connect()
    client.request("GET", "/never")
    reply = timed(client.reply)
    assert (reply.status, reply.reason) == (504, "http_response_timeout")
    until(lambda: hasattr(origin.connections[0], "saw_end"), "the target's request cancelled")
    assert client.get("/").text == "ok"  # the client's connection goes on
    assert len(origin.connections) == 2  # and the target's is not used again


def test_first_byte_counts_from_the_whole_request(origin, gateway):
    gw = gateway(origin, timeouts={"first_byte": ms(SHORT), "body_rate": "off"})
    client = gw.connect().request("POST", "/", [("Content-Length", "4")])
    pause = threading.Event()
    for byte in (b"a", b"b", b"c", b"d"):
        pause.wait(0.25 * SLOW)
        client.send(byte)
    assert client.reply().text == "ok"


def test_a_target_that_accepts_no_connection(gateway):
    port, held = full_listener()
    gw = gateway(f"127.0.0.1:{port}", timeouts={"connect": ms(SHORT)})
    client = gw.connect().request()
    reply = timed(client.reply)
    assert (reply.status, reply.reason) == (504, "connection_timeout")
    for sock in held:
        sock.close()


def test_an_answer_that_goes_silent(origin, gateway):
    @origin.on("/stall")
    def stall(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
        conn.wait_end()
        return "end"

    gw = gateway(origin, timeouts={"stream_idle": ms(SHORT)})
    client = gw.connect().request("GET", "/stall")
    assert client.head().status == 200
    assert timed(client.to_end) == b"half"
    assert gw.log("/stall")["reason"] == "stream_idle"


def test_a_client_that_stops_reading(origin, gateway):
    @origin.on("/big")
    def big(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536, 60)

    gw = gateway(origin, timeouts={"stream_idle": ms(SHORT)})
    gw.connect(receive_buffer=4096).request("GET", "/big")
    record = gw.log("/big", timeout=DEADLINE + LATE)
    assert record["reason"] in ("client_slow", "stream_idle")
    gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")


def test_an_answer_that_trickles_goes_on(origin, gateway):
    @origin.on("/trickle")
    def trickle(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        conn.drip(b"0123456789", 0.2 * SLOW)

    gw = gateway(origin, timeouts={"stream_idle": ms(SHORT), "first_byte": ms(SHORT)})
    assert gw.get("/trickle").text == "0123456789"


# -- limits


def test_a_body_up_to_the_limit(origin, gateway):
    gw = gateway(origin, limits={"body": "1KiB"})
    assert gw.post("/", b"x" * 1024).text == "ok"
    assert gw.post("/", b"x" * 1025).reason == "body_too_large"
    client = gw.connect().request("POST", "/", [("Transfer-Encoding", "chunked")])
    client.chunk(b"y" * 1000)
    client.chunk(b"z" * 24)
    client.send("0\r\n\r\n")
    assert client.reply().text == "ok"


def test_a_chunked_body_past_the_limit_is_cut_off(origin, gateway):
    gw = gateway(origin, limits={"body": "1KiB"})
    client = gw.connect().request("POST", "/up", [("Transfer-Encoding", "chunked")])
    client.chunk(b"y" * 1000)
    origin.wait_heads(1)
    client.chunk(b"z" * 25)
    reply = client.reply()
    assert (reply.status, reply.reason, reply.closes) == (413, "body_too_large", True)
    assert not origin.requests
    assert origin.connections[0].wait_ended() in ("eof", "reset")


def test_headers_up_to_the_limits(origin, gateway):
    gw = gateway(origin, limits={"uri": 256, "header_bytes": "4KiB", "headers": 20})
    assert gw.get("/" + "a" * 255).status == 200
    assert gw.get("/" + "a" * 256).reason == "uri_too_long"
    assert gw.get(headers=[(f"X-{n}", "v") for n in range(19)]).status == 200
    assert gw.get(headers=[(f"X-{n}", "v") for n in range(20)]).reason == "too_many_headers"
    head = len("GET / HTTP/1.1\r\nHost: example.com\r\nX: \r\n\r\n")
    assert gw.get(headers=[("X", "v" * (4096 - head))]).status == 200
    assert gw.get(headers=[("X", "v" * (4097 - head))]).reason == "headers_too_large"


def test_the_default_limits_take_what_browsers_send(origin, gateway):
    gw = gateway(origin)
    fields = [("Cookie", "k=" + "v" * 8000), ("User-Agent", "x" * 300), *((f"Sec-{n}", "y" * 40) for n in range(40))]
    assert gw.get("/?" + "q" * 7000, fields).status == 200


def test_connections_past_the_limit_get_a_503(origin, gateway):
    gw = gateway(origin, limits={"connections": 10})
    held = [gw.connect() for _ in range(10)]
    for client in held:
        assert client.get().text == "ok"
    with Client(("127.0.0.1", gw.port)) as client:
        client.request()
        reply = client.reply()
        assert (reply.status, reply.reason) == (503, "connection_limit")
        assert reply.header("Retry-After") and reply.closes
        client.expect_end()
    assert all(c.get().text == "ok" for c in held)  # nothing else is disturbed
    held[0].close()
    until(lambda: gw.get().status == 200, "room for a new one")


def test_the_health_path_is_answered_before_limits(origin, gateway):
    gw = gateway(origin, limits={"body": "1KiB"}, service={"limits": {"concurrency": 1, "queue": 0}})
    origin.on("/held")(lambda conn, request: conn.wait_end() and "end")
    held = gw.connect().request("GET", "/held")
    origin.wait_heads(1)
    assert gw.get("/.sluice/health").status == 200
    held.close()


def test_memory_past_the_limit_is_refused_not_killed(origin, gateway):
    @origin.on("/held")
    def hold(conn, request):
        conn.wait_end()
        return "end"

    gw = gateway(origin, limits={"memory": "16MiB", "connections": 4000})
    fields = [("X-Pad", "p" * 30_000)]
    replies, clients = [], []
    for _ in range(900):
        try:
            client = gw.connect().request("GET", "/held", fields)
        except OSError:
            break
        clients.append(client)
        if not client.is_silent(0.002):
            replies.append(client)
            if len(replies) >= 5:
                break
    assert replies, "27 MB of heads fitted into 16 MiB"
    for client in replies:
        reply = client.reply()
        assert reply.status == 503 and reply.reason in ("memory_limit", "connection_limit", None)
    for client in clients:
        client.close()
    until(lambda: gw.get().status == 200, "serving again", 3 * DEADLINE)
    assert len(gw.edges()) == 1


@pytest.mark.long
@pytest.mark.parametrize("part", ["head", "body", "reading"])
def test_slow_connections_end_by_their_timeouts(origin, gateway, part):
    """The short form of the soak: 200 connections at a few bytes a second, beside normal traffic."""

    @origin.on("/big")
    def big(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 50000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536, 60)

    gw = gateway(origin, timeouts={"header": ms(1000), "body_rate": "1KiB/s", "stream_idle": ms(1000)})
    clients = [gw.connect(receive_buffer=4096) for _ in range(200)]
    for client in clients:
        if part == "head":
            client.send("GET / HTTP/1.1\r\nHo")
        elif part == "body":
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\nx")
        else:
            client.request("GET", "/big")
    for _ in range(20):
        assert gw.get().text == "ok"
    gw.wait_metric("sluice_connections_open", 0, 40 * SLOW, listener=f"127.0.0.1:{gw.port}")
    for client in clients:
        client.close()
