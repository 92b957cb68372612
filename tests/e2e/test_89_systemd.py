# SPDX-License-Identifier: Apache-2.0
"""What systemd is told: when it serves, also after an upgrade in place, and when it stops; and by whom."""

import contextlib
import os
import socket

import pytest

from lib.wait import DEADLINE, until

WAIT = 3 * DEADLINE


class Systemd:
    """The socket that NOTIFY_SOCKET names; who says what."""

    def __init__(self, name):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind("\0" + name[1:] if name.startswith("@") else name)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        self.socket.setblocking(False)
        self.name, self.told = name, []

    def hear(self):
        while True:
            try:
                data, more, _, _ = self.socket.recvmsg(4096, socket.CMSG_SPACE(12))
            except BlockingIOError:
                return self.told
            pid = int.from_bytes(more[0][2][:4], "little")
            self.told.append((pid, data.decode().split("\n")))

    def wait(self, line, count=1):
        return until(lambda: [pid for pid, lines in self.hear() if line in lines][count - 1:count], line, WAIT)[0]


@pytest.fixture
def systemd(tmp_path):
    made = []

    def make(name=None):
        made.append(Systemd(name or str(tmp_path / "notify")))
        return made[-1]

    yield make
    for one in made:
        one.socket.close()


def environment(pid):
    with open(f"/proc/{pid}/environ", "rb") as file:
        return file.read()


@pytest.mark.parametrize("is_abstract", [False, True], ids=["path", "abstract"])
def test_it_says_when_it_serves_and_when_it_stops(gateway, origin, systemd, is_abstract):
    s = systemd(f"@sluice-test-{os.getpid()}" if is_abstract else None)
    gw = gateway(origin, run=False)
    gw.start(env={"NOTIFY_SOCKET": s.name, "WATCHDOG_USEC": "1"})
    assert s.wait("READY=1") == gw.process.pid
    assert gw.get("/").status == 200
    until(lambda: {"edge", "control"} <= {line.split()[1] for _, line in gw.members()}, "both run", WAIT)
    looked_at = set()
    for pid, line in gw.members():
        with contextlib.suppress(FileNotFoundError):  # what starts apps ends at once: there are none
            words = environment(pid) if pid != gw.process.pid else b""
            assert b"NOTIFY_SOCKET" not in words and b"WATCHDOG_USEC" not in words, line
            looked_at.add(line.split()[1])
    assert {"edge", "control"} <= looked_at
    assert gw.cli("upgrade").code == 0
    assert s.wait("READY=1", 2) == gw.process.pid
    gw.stop()
    assert s.wait("STOPPING=1") == gw.process.pid
    assert {pid for pid, _ in s.hear()} == {gw.process.pid}


@pytest.mark.parametrize("name", ["/none/such", "vsock:2:1", "", "@", "/" + "x" * 200])
def test_nobody_who_listens_is_no_trouble(gateway, origin, name):
    gw = gateway(origin, run=False)
    gw.start(env={"NOTIFY_SOCKET": name})
    assert gw.get("/").status == 200
