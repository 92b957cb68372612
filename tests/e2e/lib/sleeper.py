# SPDX-License-Identifier: Apache-2.0
"""Control's part in sleep and wake, played by the test over the admin API of a real edge."""

import re
import socket
import threading

import pytest

from .client import Client
from .gateway import merge
from .wait import DEADLINE, until

WAIT_S = 5
BROWSER = [("Accept", "text/html,application/xhtml+xml;q=0.9"), ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64)")]
SLEEPY = {
    "provider": {"process": {"command": ["/bin/false"], "user": "nobody"}},
    # None of these times is waited for while the service wakes.
    "health": {"interval": "60s", "fast_interval": "60s", "rise": 3},
    "scale": {"min": 0},
}


class Sleeper:
    """Says how service `name` is, and hears who asks for it as control does: by a long poll."""

    def __init__(self, gw, name="app", epoch=1):
        self.gw, self.name, self.epoch, self.revision = gw, name, epoch, 0
        self.told = []  # answers that came before their time was over
        self.number = 0
        self._thread = self._client = None
        self._is_over = threading.Event()

    # -- speaking

    def body(self, state=None, targets=(), release=None, **scale):
        self.revision += 1
        release = release or "stable"
        body = {"epoch": self.epoch, "revision": self.revision, "stable": release, "split": {release: 1},
                "targets": [{"id": f"u{i}", "address": t, "release": release} for i, t in enumerate(targets)],
                "removed": []}
        if state:
            body["scale"] = {"state": state, **scale}
        return body

    def say(self, state=None, targets=(), release=None, **scale):
        reply = self.gw.admin("PUT", f"/api/v1/services/{self.name}/releases", self.body(state, targets, release, **scale))
        assert reply.status == 200, (reply, reply.text)
        return reply.json()

    # -- hearing

    def wakes(self, after=0, wait=0):
        reply = self.gw.admin("GET", f"/api/v1/wakes?after={after}&wait={wait}")
        assert reply.status == 200, reply
        return reply.json()

    def listen(self):
        """Polls from now on, until deaf()."""
        self.number = self.wakes()["number"]
        self._is_over.clear()
        self._thread = threading.Thread(target=self._poll, daemon=True)
        self._thread.start()
        return self

    def _poll(self):
        while not self._is_over.is_set():
            try:
                self._client = Client(f"unix:{self.gw.state}/admin.sock", timeout=DEADLINE + WAIT_S)
                with self._client as client:
                    answer = client.get(f"/api/v1/wakes?after={self.number}&wait={WAIT_S}", host="localhost",
                                        timeout=DEADLINE + WAIT_S).json()
            except (OSError, AssertionError):
                self._is_over.wait(0.05)  # the edge is not there just now
                continue
            if answer["number"] != self.number:
                self.told.append(answer["services"])
            self.number = answer["number"]

    def deaf(self):
        """As if control were killed."""
        self._is_over.set()
        try:
            self._client.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # between two calls
        self._thread.join(DEADLINE)

    def wait_told(self, count=1):
        until(lambda: len(self.told) >= count, f"told {count} times", more=lambda: repr(self.told))
        return self.told[count - 1]

    # -- looking

    @property
    def status(self):
        return next(s for s in self.gw.status()["services"] if s["name"] == self.name)

    @property
    def scale(self):
        return self.status["scale"]

    def wait_held(self, count):
        until(lambda: self.scale["held"] == count, f"{count} that wait", more=lambda: repr(self.scale))

    @property
    def counters(self):
        services = self.gw.admin("GET", "/api/v1/counters").json()["services"]
        return next(s for s in services if s["service"] == self.name)


@pytest.fixture
def sleepy(gateway, ports, origins):
    """A gateway with a service that sleeps, and who plays control; `app.start()` runs its unit."""
    made = []

    def make(wake=None, service=None, state="asleep", hears=True, **options):
        config = merge(SLEEPY, merge({"scale": {"wake": wake or {}}}, service or {}))
        gw = gateway(role="edge", trusted_proxies=["127.0.0.1"], services={"app": config}, **options)
        app = Sleeper(gw)
        port = ports.take()
        app.target = f"127.0.0.1:{port}"
        app.start = lambda: origins(port=port)
        if state:
            app.say(state)
        if hears:
            made.append(app.listen())
        return app

    yield make
    for app in made:
        app.deaf()


def of(address):
    return [("X-Forwarded-For", address)]


def ask(app, path="/", headers=(), method="GET", body=None):
    """A request that is left waiting."""
    return app.gw.connect().request(method, path, headers, body)


def wake(app, **scale):
    """Its unit is on its way, and there: the origin."""
    app.say("waking", [app.target], **scale)
    return app.start()


def cold_ms(reply):
    return float(re.fullmatch(r"cold_start;dur=([0-9.]+)", reply.header("Server-Timing")).group(1))


def refusal(reply):
    return reply.status, reply.reason
