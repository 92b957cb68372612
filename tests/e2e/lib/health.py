# SPDX-License-Identifier: Apache-2.0
"""Health as tests see it: targets whose checks are answered one at a time, states in `status`, events as they come.

    steps = Steps(origin)                      # GET /health waits for steps.step(status)
    gw = gateway(origin, service={"health": checked("/health")})
    steps.step(200)                            # this check is answered, and the result has been noted
    assert state(gw, origin) == "up"
"""

import json
import queue
import threading

from .client import Client
from .wait import DEADLINE, until

CHECK = {"interval": "100ms", "fast_interval": "20ms", "timeout": "60s"}
AGENT = "sluice-health"


def checked(path=None, **more):
    """The `health` of a service, with short pauses and patience for slow builds."""
    return {**CHECK, **({"path": path} if path else {}), **more}


def name_of(target):
    return target if isinstance(target, str) else target.address


def target(gw, of, service="app"):
    """What status says of one target."""
    return gw.targets(service)[name_of(of)]


def state(gw, of, service="app"):
    return target(gw, of, service)["state"]


def wait_state(gw, of, wanted, service="app", timeout=DEADLINE):
    """Waits until a target is in that state, and returns what status says of it."""

    def reached():
        found = target(gw, of, service)
        return found if found["state"] == wanted else None

    try:
        return until(reached, f"{name_of(of)} is {wanted}", timeout)
    except AssertionError as error:
        raise AssertionError(f"{error}; it is {target(gw, of, service)}") from None


def numbered(origins, count):
    """Origins that answer with their number."""
    made = [origins() for _ in range(count)]
    for n, origin in enumerate(made):
        origin.answers(f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}")
    return made


def asked(origin):
    """Requests that were no checks."""
    return [h for h in origin.heads if h.header("User-Agent") != AGENT]


class Steps:
    """Checks of a path are answered by the test: the status of each is given by step()."""

    def __init__(self, origin, path="/health"):
        self.origin, self.path = origin, path
        self.answers, self.begun = queue.Queue(), 0
        self.changed = threading.Condition()
        origin.on(path)(self._answer)

    def _answer(self, conn, request):
        conn.read_body(request)
        with self.changed:
            self.begun += 1
            self.changed.notify_all()
        status = self.answers.get()
        if not conn.is_silent(0.001):  # a check that was given up: the answer is the next one's
            self.answers.put(status)
            return "end"
        conn.respond(status, b"health")
        return None

    def wait(self, count=1):
        """Waits until so many checks have come in."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.begun >= count, DEADLINE), f"{self.begun} checks, not {count}"

    def step(self, *statuses):
        """Answers one check after the other; the next has begun when this returns, so all were noted."""
        for status in statuses:
            before = self.begun
            self.answers.put(status)
            self.wait(before + 1 if before else 2)


class Events:
    """Follows the events of a gateway; .health is the list of those of targets."""

    def __init__(self, gw):
        self.client = Client(f"unix:{gw.state}/admin.sock")
        self.client.request("GET", "/api/v1/events", [("Accept", "text/event-stream")], host="localhost")
        assert self.client.head().status == 200
        self.client.until(b": follow\n\n", "the first comment")
        self.all, self.changed = [], threading.Condition()
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self):
        try:
            while True:
                block = self.client.until(b"\n\n", "an event", 3600).decode()
                fields = dict(line.split(": ", 1) for line in block.strip().split("\n") if not line.startswith(":"))
                if fields:
                    with self.changed:
                        self.all.append((fields["event"], json.loads(fields["data"])))
                        self.changed.notify_all()
        except (ConnectionError, OSError, AssertionError):
            pass

    @property
    def health(self):
        return [data for kind, data in self.all if kind == "health"]

    def states(self, of):
        """The states that a target went through."""
        return [e["state"] for e in self.health if e["target"] == name_of(of)]

    def wait(self, of, *states):
        """Waits until a target has gone through these, no others."""
        with self.changed:
            self.changed.wait_for(lambda: len(self.states(of)) >= len(states), DEADLINE)
        assert self.states(of) == list(states), self.all

    def close(self):
        self.client.close()
