# SPDX-License-Identifier: Apache-2.0
"""Targets that fail all the time, in turns: nothing that could be answered goes unanswered, nothing is done twice.

Three targets behind faulty proxies; faults rotate at random over at most two of them, and one that is well stays well
for longer than a request lives before another goes. Meanwhile targets are added, drained and removed through the API.
SLUICE_SOAK_SECONDS is how long (60).
"""

import os
import random
import socket
import threading
import time
from collections import Counter

import pytest

from lib.client import Client
from lib.faulty import FaultyProcess
from lib.h2peer import H2Client
from lib.h2stream import Reset
from lib.loss import lossy_network
from lib.stream import Ended
from lib.wait import DEADLINE, SLOW, until

SECONDS = float(os.environ.get("SLUICE_SOAK_SECONDS", "60"))
CHANGES = int(os.environ.get("SOAK_CHANGES", "1000"))
LIFE = 2.5 * SLOW  # longer than a request tries: four times 500 ms, and what lies between
RETRY = {"retries": 3, "on": ["connect", "reset", "502", "503", "504"], "per_try": "500ms", "budget": "100%"}
SERVICE = {"retry": RETRY, "health": "on"}
TIMEOUTS = {"stream_idle": "2s", "connect": "500ms", "first_byte": "30s"}
BIG = b"".join(b"%07d\n" % n for n in range(20_000))
MODES = {
    "refuse": {}, "accept_close": {}, "reset": {}, "hang": {}, "hang_body": {"after": 4000},
    "reset_body": {"after": 4000}, "drip": {"pause": 0.05}, "delay": {"seconds": 0.7}, "flap": {},
}


class Ledger:
    """A target that does little and forgets nothing: how often each order came."""

    def __init__(self):
        self.orders, self.lock = Counter(), threading.Lock()
        self.requests = 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        buffer = b""
        try:
            while True:
                while b"\r\n\r\n" not in buffer:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                head, _, buffer = buffer.partition(b"\r\n\r\n")
                method, path = head.split(b" ", 2)[:2]
                self._note(method, path)
                length = next((int(v[15:]) for v in head.lower().split(b"\r\n") if v.startswith(b"content-length:")), 0)
                while len(buffer) < length:
                    data = sock.recv(65536)
                    if not data:
                        return
                    buffer += data
                body, buffer = buffer[:length], buffer[length:]
                sock.sendall(answer(path, body))
        except OSError:
            pass
        finally:
            sock.close()

    def _note(self, method, path):
        with self.lock:
            self.requests += 1
            if method == b"POST":
                self.orders[path] += 1

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()


def answer(path, body):
    if path == b"/big":
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(BIG), BIG)
    if path == b"/chunked":
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BIG), BIG)
    said = body or b"ok"
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(said), said)


class Work:
    """Clients of each kind until stop(); what became of their requests in .counts, what must not be in .wrong."""

    def __init__(self, gw, times=1):
        self.gw, self.stopped = gw, threading.Event()
        self.counts, self.wrong, self.lock = Counter(), [], threading.Lock()
        jobs = [("GET", "/small")] * 4 + [("PUT", "/put"), ("GET", "/big"), ("GET", "/chunked"), ("POST", "/order")]
        jobs *= times
        self.threads = [threading.Thread(target=self._http1, args=(n, *job)) for n, job in enumerate(jobs)]
        self.threads += [threading.Thread(target=self._h2, args=(path,)) for path in ("/small", "/big") * times]
        for thread in self.threads:
            thread.daemon = True
            thread.start()

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join(4 * DEADLINE)
        assert not any(t.is_alive() for t in self.threads), "a client hangs"

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    def fail(self, *what):
        with self.lock:
            self.wrong.append((round(time.monotonic(), 2), *what))

    def _judge(self, method, path, status, body, wanted):
        if status == 200 and body == wanted:
            self.count(f"{method} {path} answered")
        elif status == 200:
            self.fail(f"{method} {path}: {len(body)} bytes that are not the answer, and no sign of it")
        elif method == "POST":
            self.count(f"POST refused with {status}")
        else:
            self.fail(f"{method} {path}: {status} {body[:200]}")

    def _http1(self, number, method, path):
        client, n = None, 0
        while not self.stopped.is_set():
            n += 1
            body = b"%d-%d" % (number, n) if method in ("PUT", "POST") else None
            target = f"{path}/{number}-{n}" if method == "POST" else path
            wanted = BIG if path in ("/big", "/chunked") else body or b"ok"
            try:
                client = client or Client(("127.0.0.1", self.gw.port))
                client.keep_received = False
                reply = None
                reply = client.request(method, target, body=body).head(4 * DEADLINE)
                reply = client.body(reply, method)
                self._judge(method, path, reply.status, reply.body, wanted)
                if not reply.closes:
                    continue
            except (ConnectionError, OSError, AssertionError) as error:
                if reply is not None and isinstance(error, Ended):
                    self.count(f"{method} {path} cut")
                else:
                    self.fail(f"{method} {path}: {error!r}"[:400])
            client.close() if client else None
            client = None

    def _h2(self, path):
        client = H2Client(("127.0.0.1", self.gw.port), window=16 << 20)
        wanted = BIG if path == "/big" else b"ok"
        while not self.stopped.is_set():
            stream = client.request("GET", path)
            try:
                stream.wait_head(4 * DEADLINE).read_body()
                self._judge("h2 GET", path, stream.status, stream.body, wanted)
            except Reset as error:
                if stream.has_head and not client.ended:
                    self.count(f"h2 GET {path} cut")
                else:
                    self.fail(f"h2 GET {path}: {error!r}, {client.ended}")
            except AssertionError as error:
                self.fail(f"h2 GET {path}: {error!r}"[:400])
            with client.changed:
                client.streams.pop(stream.id) if stream.complete else None
            if client.ended:
                client = H2Client(("127.0.0.1", self.gw.port), window=16 << 20)
        client.close()


class Churn:
    """Adds, drains and removes a target that is one of the proxies by another name, over and over.

    One that is well: else a request could meet more sick targets than it has tries."""

    def __init__(self, gw, proxies, sick, seconds):
        self.gw, self.proxies, self.sick = gw, proxies, sick
        self.pause, self.changes, self.error = seconds / CHANGES, 0, None
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        try:
            path = "/api/v1/services/app/targets"
            while not self.stopped.is_set():
                name = f"x{self.changes}"
                address = random.choice([p for p in self.proxies if p not in self.sick]).address
                self._ask("POST", path, 201, {"id": name, "address": address})
                self._ask("POST", f"{path}/{name}/drain", 200)
                self._ask("DELETE", f"{path}/{name}", 200)
        except AssertionError as error:
            self.error = error

    def _ask(self, method, path, status, body=None):
        reply = self.gw.admin(method, path, body)
        assert reply.status == status, (method, path, reply)
        self.changes += 1
        self.stopped.wait(self.pause)

    def stop(self):
        self.stopped.set()
        self.thread.join(DEADLINE)
        assert not self.error, self.error


def rotate(gw, proxies, sick, seconds, log, modes=None, life=LIFE):
    """Faults come and go; two targets are well for `life`, and known to be, before one of them is struck."""
    modes = modes or MODES
    end, pause = time.monotonic() + seconds, threading.Event()

    def is_up(proxy):
        return any(t["address"] == proxy.address and t["state"] == "up" for t in gw.targets().values())

    while time.monotonic() < end:
        well = [p for p in proxies if p not in sick]
        if len(sick) < 2:
            proxy = random.choice(well)
            well.remove(proxy)
            until(lambda: any(is_up(other) for other in well), "another one is known to be well", 60 * SLOW)
            mode = random.choice(list(modes))
            sick.append(proxy)
            proxy.set(mode, **modes[mode])
            log.append((round(time.monotonic(), 2), proxies.index(proxy), mode))
            pause.wait(random.uniform(0.5, 2.0) if len(sick) < 2 else random.uniform(1.0, 3.0))
        else:
            proxy = random.choice(sick)
            proxy.set("pass")
            sick.remove(proxy)
            log.append((round(time.monotonic(), 2), proxies.index(proxy), "pass"))
            pause.wait(life)
    for proxy in proxies:
        proxy.set("pass")


@pytest.fixture
def ledgers():
    made = [Ledger() for _ in range(3)]
    yield made
    for ledger in made:
        ledger.close()


@pytest.fixture
def proxies(ledgers):
    made = [FaultyProcess(ledger.address) for ledger in ledgers]
    yield made
    for proxy in made:
        proxy.close()


def start(gateway, targets):
    gw = gateway([t.address for t in targets], workers=2, service=SERVICE, timeouts=TIMEOUTS)
    until(lambda: all(t["state"] == "up" for t in gw.targets().values()), "all are up")
    return gw


def check(work, ledgers, log):
    orders = sum((ledger.orders for ledger in ledgers), Counter())
    doubled = {path: n for path, n in orders.items() if n > 1}
    print(f"\n{sum(ledger.requests for ledger in ledgers)} requests at targets, {sum(work.counts.values())} of clients")
    for what, count in sorted(work.counts.items()):
        print(f"{count:8} {what}")
    print(*log, sep="\n")
    print(len(work.wrong), "wrong:", *work.wrong[:40], sep="\n")
    assert not work.wrong
    assert not doubled, doubled
    assert orders


def test_faults_in_turns(ledgers, proxies, gateway):
    gw = start(gateway, proxies)
    before = gw.edges()
    log, sick, work = [], [], Work(gw)
    churn = Churn(gw, proxies, sick, SECONDS)
    rotate(gw, proxies, sick, SECONDS, log)
    sick.clear()
    until(lambda: churn.changes >= CHANGES or churn.error, "all the changes", 60 * SLOW)
    churn.stop()
    work.stop()
    check(work, ledgers, log)
    assert gw.edges() == before, gw.stderr()[-3000:]
    assert work.counts["GET /big cut"] + work.counts["GET /chunked cut"] > 0 or SECONDS < 30
    until(lambda: all(t["state"] == "up" for t in gw.targets().values()), "all are up again", 90)
    assert gw.get("/small").text == "ok"


# -- a network that loses packets


@pytest.fixture
def lossy():
    with lossy_network() as lose:
        yield lose


def test_packets_that_are_lost(lossy, ledgers, gateway):
    loss = lossy(5)
    gw = start(gateway, ledgers)
    work = Work(gw)
    threading.Event().wait(min(SECONDS, 30))
    work.stop()
    check(work, ledgers, [])
    assert loss.packets() > 100
    assert sum(n for what, n in work.counts.items() if "answered" in what) > 50
