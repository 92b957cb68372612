# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the HTTP/2 tests: targets that speak it, and a gateway that many tests share."""

import os
import threading

import pytest

from .client import Client
from .gateway import Gateway
from .h2frames import RawClient
from .h2peer import H2Client, H2Origin
from .origin import Origin
from .wait import DEADLINE


GOOD = ("/barrier", "/served", "/x", "/hold", "/cancelled")  # what tests send beside what they are about


@pytest.fixture
def h2origins():
    """Makes HTTP/2 targets: h2origins(values={...}, window=..., tls=context)."""
    made = []

    def make(**options):
        made.append(H2Origin(**options))
        return made[-1]

    yield make
    for origin in made:
        origin.close()
    errors = [e for o in made for e in o.errors]
    assert not errors, "\n".join(errors)


@pytest.fixture
def h2origin(h2origins):
    return h2origins()


class Door:
    """One gateway before an HTTP/1.1 target, for tests that only send frames; made once a session."""

    def __init__(self, home, ports, later):
        os.makedirs(home)
        self.origin = Origin()
        self.open = threading.Event()  # lets /hold answer
        self.open.set()
        self.origin.on("/hold")(self._hold)
        self.origin.on("/big")(self._big)
        self.gw = self._gateway(home, ports)
        later(self.origin.close)
        later(self.gw.stop)

    def _gateway(self, home, ports):
        gw = Gateway(home, ports)
        gw.write({**gw.base(), "services": {"app": {"targets": [self.origin.address]}}})
        return gw.start()

    def _hold(self, conn, request):
        self.open.wait(60)
        conn.read_body(request, 60)
        conn.respond(200, b"held")

    def _big(self, conn, request):
        conn.read_body(request)
        conn.respond(200, bytes(1_000_000))

    @property
    def address(self):
        return "127.0.0.1", self.gw.port

    def raw(self, **options):
        """A raw connection, both ends of which know each other's settings unless start=False."""
        client = RawClient(self.address, **options)
        self.gw.clients.append(client)
        return client.settle() if options.get("start", True) else client

    def h2(self, **options):
        return H2Client(self.address, **options)

    def check_unseen(self, before):
        """The target saw nothing since `before` but what is sent now."""
        with self.raw() as client:
            assert client.get("/barrier").status == 200
        self.origin.wait(lambda: self.origin.heads[before:], "the barrier")
        seen = [r for r in self.origin.heads[before:] if r.path not in GOOD]
        assert not seen, f"the target saw {seen}"


@pytest.fixture
def door(shared):
    made = shared("h2", Door)
    before = made.gw.edges()
    made.open.set()
    yield made
    made.open.set()
    assert made.gw.edges() == before, f"the edge died: {made.gw.stderr()[-2000:]}"


@pytest.fixture
def raw(door):
    """Makes raw connections to the shared gateway, and closes them."""
    made = []

    def make(**options):
        made.append(door.raw(**options))
        return made[-1]

    yield make
    for client in made:
        client.close()


class Both:
    """One way to ask, over either version."""

    def __init__(self, gw, version):
        self.gw, self.version = gw, version
        self.address = "127.0.0.1", gw.port
        self.h2 = H2Client(self.address, window=16 << 20) if version == "h2" else None

    def ask(self, method="GET", path="/", headers=(), body=None, timeout=DEADLINE):
        if self.h2:
            return self.h2.request(method, path, headers, body).reply(timeout)
        with Client(self.address) as client:
            return client.request(method, path, headers, body).reply(method, timeout)

    def get(self, path="/", headers=(), timeout=DEADLINE):
        return self.ask("GET", path, headers, timeout=timeout)

    def together(self, count, path="/", method="GET", timeout=DEADLINE):
        """Asks so often at once; the answers or what went wrong."""
        out = [None] * count

        def one(at):
            try:
                out[at] = self.ask(method, path, timeout=timeout)
            except BaseException as error:
                out[at] = error

        threads = [threading.Thread(target=one, args=(at,), daemon=True) for at in range(count)]
        for thread in threads:
            thread.start()
        return threads, out

    def all(self, count, path="/", method="GET", timeout=DEADLINE):
        threads, out = self.together(count, path, method, timeout)
        for thread in threads:
            thread.join(timeout + 5)
        bad = [r for r in out if not hasattr(r, "status") or r.status != 200]
        assert not bad, bad[:3]
        return out

    def close(self):
        if self.h2:
            self.h2.close()


@pytest.fixture(params=["http1", "h2"])
def ask(request, gateway):
    """Starts a gateway before an HTTP/2 target, and gives a client of it."""
    made = []

    def make(origin, service=None, **options):
        targets = origin if isinstance(origin, list) else [origin]
        gw = gateway([o.address for o in targets], service={"protocol": "h2", **(service or {})}, **options)
        made.append(Both(gw, request.param))
        return made[-1]

    yield make
    for client in made:
        client.close()
