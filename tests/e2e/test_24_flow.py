# SPDX-License-Identifier: Apache-2.0
"""Back-pressure: a slow end slows the other one, and memory stays what it was."""

import hashlib
import threading

import pytest

from lib.gateway import IS_SANITIZED
from lib.wait import QUIET, until

SIZE = 200 * 1024 * 1024
PIECE = bytes(range(256)) * 256  # 64 KiB
MAY_GROW = (64 if IS_SANITIZED else 3) * 1024 * 1024  # the kernel's buffers do not count as ours


def digest():
    whole = hashlib.blake2b()
    for _ in range(SIZE // len(PIECE)):
        whole.update(PIECE)
    return whole.hexdigest()


def stalls(progress):
    """Waits until `progress()` no longer moves; gives where it stands."""
    pause = threading.Event()

    def stands():
        before = progress()
        pause.wait(QUIET)
        return before and progress() == before and before

    return until(stands, "the sender blocked")


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_a_big_download_to_a_slow_reader(origin, gateway, framing):
    sent = [0]

    @origin.on("/big")
    def big(conn, request):
        head = {"length": f"Content-Length: {SIZE}\r\n", "chunked": "Transfer-Encoding: chunked\r\n", "close": ""}
        conn.send(f"HTTP/1.1 200 OK\r\n{head[framing]}\r\n")
        piece = b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if framing == "chunked" else PIECE
        for _ in range(SIZE // len(PIECE)):
            conn.send(piece, 120)
            sent[0] += len(PIECE)
        if framing == "chunked":
            conn.send("0\r\n\r\n")
        conn.close()
        return "end"

    gw = gateway(origin)
    gw.get("/")
    before = gw.resident()
    client = gw.connect(receive_buffer=65536).request("GET", "/big")
    client.keep_received = False
    stood = stalls(lambda: sent[0])
    assert stood < SIZE / 4, "the origin was not slowed"
    assert gw.resident() - before < MAY_GROW
    got = hashlib.blake2b()
    reply = client.reply(timeout=120, on_data=got.update)
    assert reply.status == 200
    assert got.hexdigest() == digest()
    assert gw.resident() - before < MAY_GROW


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_a_big_upload_to_a_slow_origin(origin, gateway, framing):
    go = threading.Event()
    got = hashlib.blake2b()

    @origin.on("/big")
    def big(conn, request):
        conn.keep_received = False
        go.wait(120)
        conn.read_body(request, 120, on_data=got.update)
        conn.respond(200, b"done")

    gw = gateway(origin, timeouts={"body_rate": "off"})
    gw.get("/")
    before = gw.resident()
    client = gw.connect()
    sent = [0]

    def upload():
        is_chunked = framing == "chunked"
        client.request("POST", "/big", [("Transfer-Encoding", "chunked") if is_chunked else ("Content-Length", str(SIZE))])
        for _ in range(SIZE // len(PIECE)):
            client.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE) if is_chunked else PIECE, 120)
            sent[0] += len(PIECE)
        if is_chunked:
            client.send("0\r\n\r\n", 120)

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    stood = stalls(lambda: sent[0])
    assert stood < SIZE / 4, "the client was not slowed"
    assert gw.resident() - before < MAY_GROW
    go.set()
    thread.join(120)
    assert client.reply("POST", timeout=60).text == "done"
    assert got.hexdigest() == digest()
    assert gw.resident() - before < MAY_GROW


def test_a_slow_tunnel_holds_no_memory(origin, gateway):
    sent = [0]

    @origin.on("/t")
    def flood(conn, request):
        conn.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n")
        while True:
            conn.send(PIECE, 120)
            sent[0] += len(PIECE)

    gw = gateway(origin)
    gw.get("/")
    before = gw.resident()
    client = gw.connect(receive_buffer=65536)
    client.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n")
    assert client.head().status == 101
    stalls(lambda: sent[0])
    assert gw.resident() - before < MAY_GROW
    client.close()
    gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")


def test_a_stalled_download_does_not_hold_up_others(origin, gateway):
    @origin.on("/big")
    def big(conn, request):
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {SIZE}\r\n\r\n")
        for _ in range(SIZE // len(PIECE)):
            conn.send(PIECE, 120)

    gw = gateway(origin)
    stalled = [gw.connect(receive_buffer=4096).request("GET", "/big") for _ in range(20)]
    origin.wait_heads(20)
    for _ in range(50):
        assert gw.get("/").text == "ok"
    for client in stalled:
        client.close()
    gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")


def test_a_pipelining_client_that_never_reads_is_held_back(origin, gateway):
    origin.answers(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100_000)
    gw = gateway(origin)
    gw.get("/")
    before = gw.resident()
    client = gw.connect(receive_buffer=4096)
    sent = [0]

    def flood():
        try:
            while True:
                client.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n" * 100, 60)
                sent[0] += 100
        except (OSError, ValueError):
            pass

    threading.Thread(target=flood, daemon=True).start()
    stalls(lambda: sent[0])
    assert gw.resident() - before < MAY_GROW
    assert len(origin.requests) < 400
    client.reset()
