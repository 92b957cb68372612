# SPDX-License-Identifier: Apache-2.0
"""Ports for listeners, held by a lock file each, so that tests in parallel never pick the same one.

They lie below the kernel's ephemeral range: a port chosen here is never taken by an outgoing connection.
"""

import contextlib
import fcntl
import os
import random
import socket
import tempfile

_FOLDER = os.path.join(tempfile.gettempdir(), "sluice-test-ports")
_RANGE = range(12000, 32000)


class Ports:
    def __init__(self):
        os.makedirs(_FOLDER, exist_ok=True)
        self._held = []

    def take(self):
        for _ in range(2000):
            port = random.choice(_RANGE)
            lock = os.open(os.path.join(_FOLDER, str(port)), os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _bindable(port)
            except OSError:
                os.close(lock)
                continue
            self._held.append(lock)
            return port
        raise RuntimeError("no free port")

    def release(self):
        while self._held:
            os.close(self._held.pop())


def _bindable(port):
    for family, host in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        with socket.socket(family) as probe:
            probe.bind((host, port))


@contextlib.contextmanager
def blocked(port):
    """Has `port` of loopback taken by somebody, ourselves if nobody else.

    By the way that demos and proxies take a usual port (src/cli/scratch.c): between the look of one of another test and its
    bind() nobody gets in between."""
    with socket.socket(socket.AF_UNIX) as lock, socket.socket() as blocker:
        blocker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            lock.bind(f"\0sluice-port-{port}")
            blocker.bind(("127.0.0.1", port))
            blocker.listen()
        except OSError:
            pass  # somebody else has it, or will have it in a moment, which is as good
        yield
