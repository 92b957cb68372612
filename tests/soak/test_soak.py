# SPDX-License-Identifier: Apache-2.0
"""The long ones, run by `./dev soak`: hours of an operator's life in minutes. The suite has short forms of each."""

import asyncio
import contextlib
import hashlib
import os
import re
import signal
import subprocess
import threading

import websockets

from lib.client import Client
from lib.load import Load
from lib.wait import DEADLINE, SLOW, until

UPGRADE = "GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
RELOADS = int(os.environ.get("SOAK_RELOADS", "200"))
UPGRADES = int(os.environ.get("SOAK_UPGRADES", "20"))
KILLS = int(os.environ.get("SOAK_KILLS", "30"))
SLOW_CONNECTIONS = int(os.environ.get("SOAK_CONNECTIONS", "5000"))
GIGABYTES = float(os.environ.get("SOAK_GIGABYTES", "10"))


class Wrk:
    """A constant load by wrk; its own count of what failed."""

    def __init__(self, gw, seconds):
        self.process = subprocess.Popen(
            ["wrk", "-t", "1", "-c", "32", "-d", f"{seconds}s", "--timeout", "20s", f"http://127.0.0.1:{gw.port}/load"],
            stdout=subprocess.PIPE,
            text=True,
        )

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        total = int(re.search(r"(\d+) requests in", out)[1])
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
        errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
        return total, int(bad[1]) if bad else 0, [int(n) for n in errors.groups()] if errors else [0] * 4


class WebSocket:
    """A WebSocket through the gateway to a server of the library, which is pinged all the time."""

    def __init__(self):
        self.loop = asyncio.new_event_loop()
        self.ready, self.opened, self.stop_event = threading.Event(), threading.Event(), None
        self.echoes, self.error, self.port = 0, None, 0
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        asyncio.run_coroutine_threadsafe(self._serve(), self.loop)
        assert self.ready.wait(20)

    async def _serve(self):
        async def echo(socket):
            async for message in socket:
                await socket.send(message)

        server = await websockets.serve(echo, "127.0.0.1", 0, ping_interval=None)
        self.port = server.sockets[0].getsockname()[1]
        self.ready.set()

    def open(self, port, host="ws.example"):
        self.stop_event = asyncio.Event()
        self.task = asyncio.run_coroutine_threadsafe(self._talk(port, host), self.loop)
        assert self.opened.wait(20)

    async def _talk(self, port, host):
        try:
            async with websockets.connect(f"ws://{host}:{port}/ws", host="127.0.0.1", port=port, ping_interval=None) as socket:
                self.opened.set()
                while not self.stop_event.is_set():
                    await socket.send(str(self.echoes))
                    assert await asyncio.wait_for(socket.recv(), 20 * SLOW) == str(self.echoes)
                    self.echoes += 1
                    with contextlib.suppress(asyncio.TimeoutError):  # paced, and ended at once
                        await asyncio.wait_for(self.stop_event.wait(), 0.02)
        except Exception as error:
            self.error = repr(error)

    def finish(self):
        self.loop.call_soon_threadsafe(self.stop_event.set)
        self.task.result(30)
        assert self.error is None and self.echoes > 0, self.error


class Download:
    """A download that advances slowly for as long as the test lasts."""

    PIECE = b"0123456789abcdef" * 64

    def __init__(self, origin, gw):
        self.end = threading.Event()
        self.sent = 0

        @origin.on("/download")
        def download(conn, request):
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not self.end.wait(0.05):
                conn.send(b"%x\r\n%b\r\n" % (len(self.PIECE), self.PIECE))
                self.sent += len(self.PIECE)
            conn.send("0\r\n\r\n")

        self.got = 0
        self.client = gw.connect().request("GET", "/download")
        self.client.keep_received = False
        self.thread = threading.Thread(target=self._read, daemon=True)
        self.thread.start()
        self.reply = None

    def _read(self):
        self.reply = self.client.reply(timeout=60 * SLOW, on_data=self._count)

    def _count(self, data):
        self.got += len(data)

    def finish(self):
        assert self.thread.is_alive(), "the download was cut"
        self.end.set()
        self.thread.join(30)
        assert self.reply and self.reply.complete and self.got == self.sent > 0


def house(origin, gateway, web_socket, **options):
    return gateway(
        workers=2,
        services={"app": {"targets": [origin.address]}, "ws": {"targets": [f"127.0.0.1:{web_socket.port}"]}},
        routes=[{"name": "ws", "hosts": ["ws.example"], "service": "ws"}, {"name": "app", "service": "app"}],
        timeouts={"drain": "1h"},
        **options,
    )


def test_reloads_under_load(origin, gateway):
    """200 reloads in a row: not one request fails, neither the WebSocket nor the download is cut."""
    web_socket = WebSocket()
    gw = house(origin, gateway, web_socket)
    web_socket.open(gw.port)
    download = Download(origin, gw)
    wrk = Wrk(gw, 3600)
    before = gw.resident()
    with Load(gw) as load:
        for n in range(RELOADS):
            gw.change(limits={"body": f"{n + 1}MiB"}, routes=[*gw.config["routes"][:2], {"name": f"r{n % 7}", "paths": [f"/r{n}"], "service": "app"}])
            gw.reload(("api", "hup", "cli")[n % 3])
    total, bad, errors = wrk.stop()
    load.check(100)
    assert total > 1000 and bad == 0 and errors == [0, 0, 0, 0], (total, bad, errors)
    web_socket.finish()
    download.finish()
    assert gw.resident() - before < 64 << 20
    assert gw.generation == RELOADS + 1


def test_upgrades_under_load(origin, gateway):
    """20 upgrades in a row under a load that opens connections all the time, with a WebSocket and a download open.

    A draining edge lives as long as its tunnels, so each upgrade waits for the one before to have drained; the
    WebSocket and the download of the first generation stay in their edge throughout.
    """
    web_socket = WebSocket()
    gw = house(origin, gateway, web_socket)
    web_socket.open(gw.port)
    download = Download(origin, gw)
    first = gw.edge
    with Load(gw, clients=3) as load, Load(gw, clients=3, new_connection_each=True) as fresh:
        for _ in range(UPGRADES):
            old = gw.edges()[-1]
            done = gw.cli("upgrade")
            assert done.code == 0, done
            until(lambda old=old: set(gw.edges()) - {old} and gw.is_ready(), "the new edge", 3 * DEADLINE)
            if old != first:
                until(lambda old=old: old not in gw.edges(), "the old edge drained", 6 * DEADLINE)
            load.grow(20)
            fresh.grow(20)
    load.check(100)
    fresh.check(100)
    assert first in gw.edges()
    web_socket.finish()
    download.finish()
    until(lambda: len(gw.edges()) == 1, "the first edge ended")


def test_kills_under_load(origin, gateway):
    """kill -9 of the edge, over and over: no connect is refused, and it is back at once."""
    gw = gateway(origin, workers=2)
    refused, answered, stop = [], [0], threading.Event()

    def knock():
        while not stop.is_set():
            try:
                with Client(("127.0.0.1", gw.port), timeout=30) as client:
                    if client.get(timeout=30).status == 200:
                        answered[0] += 1
            except ConnectionRefusedError as error:
                refused.append(error)
            except (ConnectionError, AssertionError):
                pass

    threads = [threading.Thread(target=knock, daemon=True) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in range(KILLS):
        goal = answered[0] + 20
        until(lambda goal=goal: answered[0] > goal, "traffic", 3 * DEADLINE)
        edges = gw.edges()
        os.kill(edges[-1], signal.SIGKILL)
        until(lambda edges=edges: set(gw.edges()) - set(edges), "a new edge", 3 * DEADLINE)
    stop.set()
    for thread in threads:
        thread.join(60)
    assert not refused
    assert gw.get().status == 200


def test_slow_connections(origin, gateway):
    """5,000 connections at a byte a second in head, body and reading: memory bounded, each ended by its timeout."""

    @origin.on("/big")
    def big(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 500000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536, 120)

    gw = gateway(origin, timeouts={"header": "10s", "body_rate": "1KiB/s", "stream_idle": "15s"})
    gw.get()
    before = gw.resident()
    clients = []
    for n in range(SLOW_CONNECTIONS):
        client = Client(("127.0.0.1", gw.port), receive_buffer=4096)
        client.keep_received = False
        kind = n % 3
        if kind == 0:
            client.send("GET / HTTP/1.1\r\nHost: a\r\nX")
        elif kind == 1:
            client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n")
        elif n % 30 == 2:
            client.request("GET", "/big")  # each holds an origin thread: a tenth of the readers does
        else:
            client.send("GET / HTT")
        clients.append((kind, client))
    peak = gw.resident() - before
    assert peak < SLOW_CONNECTIONS * 100 * 1024 * (4 if SLOW > 1 else 1), peak
    pause = threading.Event()
    for _ in range(12):
        for kind, client in clients:
            if kind < 2:
                try:
                    client.send(b"z")
                except OSError:
                    pass
        for _ in range(10):
            assert gw.get().text == "ok"
        pause.wait(1)
    gw.wait_metric("sluice_connections_open", 0, 120 * SLOW, listener=f"127.0.0.1:{gw.port}")
    for _, client in clients:
        client.close()
    m = gw.metrics()
    assert m.sum("sluice_http_requests_refused_total", reason="header_timeout") > 0
    assert m.sum("sluice_http_requests_refused_total", reason="body_timeout") > 0


def test_ten_gigabytes_each_way(origin, gateway):
    """A download and an upload through peers that pause now and then: constant memory, every byte right."""
    piece = os.urandom(1 << 20)
    count = int(GIGABYTES * 1024)
    want = hashlib.blake2b()
    for _ in range(count):
        want.update(piece)

    @origin.on("/down")
    def down(conn, request):
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {count << 20}\r\n\r\n")
        for _ in range(count):
            conn.send(piece, 300)

    @origin.on("/up")
    def up(conn, request):
        conn.keep_received = False
        got, seen = hashlib.blake2b(), [0]

        def take(data):
            got.update(data)
            seen[0] += len(data)
            if seen[0] >> 28 != (seen[0] - len(data)) >> 28:
                threading.Event().wait(0.2)

        conn.read_body(request, 300, on_data=take)
        conn.respond(200, got.hexdigest().encode())

    gw = gateway(origin, timeouts={"stream_idle": "5m"})
    gw.get()
    before, peak = gw.resident(), [0]
    stop = threading.Event()

    def watch():
        while not stop.wait(0.2):
            peak[0] = max(peak[0], gw.resident() - before)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    got, seen = hashlib.blake2b(), [0]

    def take(data):
        got.update(data)
        seen[0] += len(data)
        if seen[0] >> 28 != (seen[0] - len(data)) >> 28:
            threading.Event().wait(0.2)

    client = gw.connect()
    client.keep_received = False
    client.request("GET", "/down").reply(timeout=300, on_data=take)
    assert got.hexdigest() == want.hexdigest()
    client.request("POST", "/up", [("Content-Length", str(count << 20))])
    for _ in range(count):
        client.send(piece, 300)
    assert client.reply("POST", timeout=300).text == want.hexdigest()
    stop.set()
    watcher.join()
    assert peak[0] < (64 if SLOW > 1 else 4) << 20, f"{peak[0]} bytes more at the peak"
