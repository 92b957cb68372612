# SPDX-License-Identifier: Apache-2.0
"""Upgrades: WebSockets by a real library, raw tunnels with half-close, and what is not an upgrade."""

import asyncio
import os
import threading

import pytest
import websockets

from lib.wait import QUIET, ms, until

UPGRADE = "GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
SWITCH = "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"


@pytest.fixture
def socket_app():
    """A WebSocket server on a thread of its own that echoes; gives its port."""
    loop = asyncio.new_event_loop()
    ready = threading.Event()
    found = {}

    async def echo(socket):
        async for message in socket:
            await socket.send(message)

    async def main():
        async with websockets.serve(echo, "127.0.0.1", 0, max_size=None) as server:
            found["port"] = server.sockets[0].getsockname()[1]
            found["stop"] = asyncio.Event()
            ready.set()
            await found["stop"].wait()

    thread = threading.Thread(target=lambda: loop.run_until_complete(main()), daemon=True)
    thread.start()
    assert ready.wait(10)
    yield found["port"]
    loop.call_soon_threadsafe(found["stop"].set)
    thread.join(10)
    loop.close()


def test_a_websocket_echoes(gateway, socket_app):
    gw = gateway(f"127.0.0.1:{socket_app}")

    async def talk():
        async with websockets.connect(f"ws://127.0.0.1:{gw.port}/chat", max_size=None) as socket:
            for message in ("hello", b"\0\1\2", "x" * 200_000, os.urandom(1_000_000)):
                await socket.send(message)
                assert await socket.recv() == message
            await (await socket.ping())

    asyncio.run(asyncio.wait_for(talk(), 60))
    assert gw.log("/chat")["status"] == 101


def test_many_websockets_at_once(gateway, socket_app):
    gw = gateway(f"127.0.0.1:{socket_app}", workers=2)

    async def one(n):
        async with websockets.connect(f"ws://127.0.0.1:{gw.port}/{n}") as socket:
            for k in range(20):
                await socket.send(f"{n} {k}")
                assert await socket.recv() == f"{n} {k}"

    async def talk():
        await asyncio.gather(*(one(n) for n in range(40)))

    asyncio.run(asyncio.wait_for(talk(), 60))
    assert gw.get("/plain").status in (400, 426)  # the library's answer to a plain request


# -- raw tunnels


class Tunnel:
    """Both ends of a tunnel through a gateway."""

    def __init__(self, origin, gateway, **options):
        ready = threading.Event()

        @origin.on("/t")
        def take(conn, request):
            self.far, self.request = conn, request
            conn.send(SWITCH)
            ready.set()
            self.done.wait(120)
            return "end"

        self.done = threading.Event()
        self.gw = gateway(origin, **options)
        self.near = self.gw.send(UPGRADE)
        self.reply = self.near.head()
        assert ready.wait(10)


@pytest.fixture
def tunnel(origin, gateway):
    made = []

    def make(**options):
        made.append(Tunnel(origin, gateway, **options))
        return made[-1]

    yield make
    for tunnel in made:
        tunnel.done.set()


def test_the_switch_is_relayed(tunnel):
    t = tunnel()
    assert t.reply.status == 101
    assert t.reply.header("Upgrade") == "echo" and "upgrade" in t.reply.tokens("Connection")
    assert t.request.header("Upgrade") == "echo" and "upgrade" in t.request.tokens("Connection")


def test_bytes_pass_both_ways(tunnel):
    t = tunnel()
    for n in range(5):
        t.near.send(b"to the target %d" % n)
        assert t.far.exactly(15, "bytes").endswith(b"%d" % n)
        t.far.send(b"to the client %d" % n)
        assert t.near.exactly(15, "bytes").endswith(b"%d" % n)


def test_bytes_that_look_like_http_are_left_alone(tunnel):
    t = tunnel()
    data = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\n\n\n\0"
    t.near.send(data)
    assert t.far.exactly(len(data), "bytes") == data
    t.far.send(data)
    assert t.near.exactly(len(data), "bytes") == data


def test_the_client_may_end_its_side_first(tunnel):
    t = tunnel()
    t.near.send(b"last words")
    t.near.half_close()
    assert t.far.to_end() == b"last words"
    t.far.send(b"still here" * 10_000)
    assert t.near.exactly(100_000, "the answer after the half-close") == b"still here" * 10_000
    t.far.close()
    assert t.near.expect_end() == "eof"


def test_the_target_may_end_its_side_first(tunnel):
    t = tunnel()
    t.far.send(b"last words")
    t.far.half_close()
    assert t.near.to_end() == b"last words"
    t.near.send(b"still here" * 10_000)
    assert t.far.exactly(100_000, "bytes after the half-close") == b"still here" * 10_000
    t.near.close()
    assert t.far.wait_end() in ("eof", "reset")


@pytest.mark.parametrize("side", ["near", "far"])
def test_a_reset_ends_both_sides(tunnel, side):
    t = tunnel()
    other = t.far if side == "near" else t.near
    getattr(t, side).reset()
    assert other.wait_end() in ("eof", "reset")
    t.gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")


def test_a_large_exchange_in_both_directions_at_once(tunnel):
    t = tunnel()
    size = 8_000_000
    data = os.urandom(1_000_000) * 8
    for end in (t.near, t.far):
        end.keep_received = False
        threading.Thread(target=end.send, args=(data, 60), daemon=True).start()
    got = {}

    def read(name, end):
        parts, left = [], size
        while left:
            if not end.buffer:
                end.fill("tunnel bytes")
            parts.append(end.buffer[:left])
            left -= len(parts[-1])
            end.buffer = b""
        got[name] = b"".join(parts)

    readers = [threading.Thread(target=read, args=(n, e)) for n, e in (("near", t.near), ("far", t.far))]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(60)
    assert got["near"] == data and got["far"] == data


def test_early_bytes_wait_for_the_101(origin, gateway):
    held = threading.Event()

    @origin.on("/t")
    def take(conn, request):
        assert conn.is_silent(QUIET), conn.buffer  # nothing follows the head before the switch
        held.set()
        conn.send(SWITCH)
        conn.respond_with = conn.exactly(5, "the early bytes")
        conn.send(b"got " + conn.respond_with)
        return "end"

    near = gateway(origin).send(UPGRADE + "early")
    assert near.head().status == 101
    assert near.exactly(9, "the echo") == b"got early"
    assert held.is_set()


def test_early_bytes_after_a_refused_upgrade_are_the_next_request(origin, gateway):
    @origin.on("/t")
    def refuse(conn, request):
        conn.respond(403, b"no")

    near = gateway(origin).send(UPGRADE + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n")
    assert near.reply().status == 403
    assert near.reply().text == "ok"
    assert [r.target for r in origin.heads] == ["/t", "/next"]


def test_the_targets_bytes_right_after_its_101(origin, gateway):
    @origin.on("/t")
    def take(conn, request):
        conn.send(SWITCH + "greetings")
        conn.wait_end()
        return "end"

    near = gateway(origin).send(UPGRADE)
    assert near.head().status == 101
    assert near.exactly(9, "the greeting") == b"greetings"


def test_an_upgrade_that_the_target_ignores(origin, gateway):
    client = gateway(origin).send(UPGRADE)
    assert client.reply().text == "ok"
    assert client.get().text == "ok"


@pytest.mark.parametrize(
    "request_text",
    [
        "GET /t HTTP/1.1\r\nHost: a\r\nUpgrade: echo\r\n\r\n",
        "GET /t HTTP/1.0\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n",
        "GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
    ],
    ids=["not listed in Connection", "HTTP/1.0", "no Upgrade"],
)
def test_what_is_not_an_upgrade(origin, gateway, request_text):
    client = gateway(origin).send(request_text)
    assert client.reply().text in ("ok", "") or client.buffer == b""
    assert all(not r.has("Upgrade") for r in origin.heads)


def test_tunnel_idle_ends_a_silent_tunnel(tunnel):
    t = tunnel(timeouts={"tunnel_idle": ms(700)})
    t.near.send(b"x")
    assert t.far.exactly(1, "a byte") == b"x"
    assert t.near.expect_end() in ("eof", "reset")
    assert t.far.wait_end() in ("eof", "reset")
    assert t.gw.log("/t")["reason"] == "tunnel_idle"


def test_traffic_one_way_keeps_a_tunnel(tunnel):
    t = tunnel(timeouts={"tunnel_idle": ms(900)})
    pause = threading.Event()
    for n in range(8):
        pause.wait(0.25)
        t.far.send(b"tick")
        assert t.near.exactly(4, "a tick") == b"tick"


def test_a_tunnel_is_counted_and_logged(tunnel):
    t = tunnel()
    t.near.send(b"12345")
    t.far.exactly(5, "bytes")
    t.far.send(b"123")
    t.near.exactly(3, "bytes")
    t.gw.wait_metric("sluice_http_requests_in_flight", 1, route="app")
    t.done.set()
    t.near.to_end()
    t.near.close()
    record = t.gw.log("/t")
    assert record["status"] == 101
    assert (record["bytes_in"], record["bytes_out"]) == (5, 3)
    until(lambda: t.gw.metric("sluice_http_requests_total", code="101") == 1, "counted")
