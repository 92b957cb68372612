# SPDX-License-Identifier: Apache-2.0
"""Ports for listeners, held by a lock file each, so that tests in parallel never pick the same one.

They lie below the kernel's ephemeral range: a port chosen here is never taken by an outgoing connection.
"""

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
