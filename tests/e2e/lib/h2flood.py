# SPDX-License-Identifier: Apache-2.0
"""What the flood tests share: an abuser whose answers are read beside its sending, a polite neighbour, and the
memory of a process at its worst."""

import re
import threading
from collections import Counter
from pathlib import Path

from .gateway import IS_SANITIZED
from .h2frames import GOAWAY, RST_STREAM, RawClient
from .h2peer import H2Client
from .wait import DEADLINE, until

MAY_GROW = 8 << 20
PACE = 0.002  # seconds between two requests of a neighbour: it is to notice, not to be a load of its own
SANITIZERS_COST = 8  # times: what is freed stays in quarantine for a while


class Abuser(RawClient):
    """Counts what comes by kind and keeps nothing but the last GOAWAY. `reads=False` never reads until it is cut."""

    def __init__(self, address, reads=True, **options):
        super().__init__(address, **options)
        self.settle()
        self.inbox.clear()
        self.came, self.goaway, self.codes = Counter(), None, Counter()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._drain, daemon=True)
        if reads:
            self._thread.start()

    def _drain(self):
        try:
            while True:
                got = self.pump(60)
                self.inbox.clear()
                self.came[got.kind] += 1
                if got.kind == GOAWAY:
                    self.goaway = got
                elif got.kind == RST_STREAM:
                    self.codes[got.code] += 1
        except (AssertionError, ConnectionError, OSError, ValueError):
            self._ended.set()

    def flood(self, pieces):
        """Sends until the server cuts; how many pieces were sent."""
        sent = 0
        try:
            for piece in pieces:
                if self.goaway or self._ended.is_set():
                    break
                self.send(piece)
                sent += 1
        except OSError:
            pass  # closed, or no longer read
        return sent

    def expect_cut(self, *codes):
        """The connection is over, and GOAWAY said why unless the end was a reset."""
        if not self._thread.is_alive() and not self._ended.is_set():
            self._thread.start()
        assert self._ended.wait(DEADLINE), f"not cut; came {self.came}, {self.goaway}"
        assert self.ended, f"not closed; came {self.came}, {self.goaway}"
        if self.goaway:
            assert self.goaway.code in codes, f"{self.goaway}, not one of {codes}"
        else:
            assert self.ended == "reset", "the connection ended without a word"
        return self.goaway

    def close(self):
        try:
            self.sock.shutdown(2)
        except OSError:
            pass
        if self._thread.is_alive():
            self._thread.join(DEADLINE)
        super().close()


class Neighbour:
    """`with Neighbour(gw) as n:` asks on a connection of its own all the while; none of its requests may fail."""

    def __init__(self, gw):
        self.client = H2Client(("127.0.0.1", gw.port))
        self.done, self.failure = 0, None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        try:
            while not self._stop.is_set():
                reply = self.client.get("/neighbour")
                assert reply.status == 200, reply
                self.done += 1
                self._stop.wait(PACE)
        except BaseException as error:
            self.failure = error

    def __enter__(self):
        self._thread.start()
        self.grow(3)
        return self

    def grow(self, more):
        goal = self.done + more
        until(lambda: self.done >= goal or self.failure, f"{more} more answers for the neighbour")
        assert not self.failure, f"the neighbour noticed: {self.failure!r}"

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self.grow(5)
        finally:
            self._stop.set()
            self._thread.join(DEADLINE)
            self.client.close()
        assert kind or not self.failure, f"the neighbour noticed: {self.failure!r}"


class Memory:
    """`with Memory(pid):` fails when the resident memory of the process was at its worst more than `most` above
    what it was at first."""

    def __init__(self, pid, most=MAY_GROW):
        self.pid, self.most = pid, most * SANITIZERS_COST if IS_SANITIZED else most

    def _bytes(self, name):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.M)[1]) * 1024

    def __enter__(self):
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")  # the peak begins anew
        self.before = self._bytes("VmRSS")
        return self

    @property
    def grown(self):
        return self._bytes("VmHWM") - self.before

    def __exit__(self, kind, *_):
        assert kind or self.grown <= self.most, f"memory grew by {self.grown >> 10} KiB, {self.most >> 10} are allowed"
