# SPDX-License-Identifier: Apache-2.0
"""A machine that has run out: of disk, of descriptors, of memory, of processors. A clear reason, nothing else disturbed."""

import os
import resource
import signal
import threading

import pytest

from lib.client import Client
from lib.gateway import IS_SANITIZED
from lib.wait import DEADLINE, SLOW, until


def test_a_full_disk_is_reported_once_and_counted(origin, gateway):
    gw = gateway(origin, log={"path": "/dev/full"})
    client = gw.connect()
    for _ in range(50):
        assert client.get().text == "ok"
    until(lambda: gw.metric("sluice_log_dropped_total") == 50, "drops counted")
    for _ in range(50):
        assert client.get().text == "ok"
    until(lambda: gw.metric("sluice_log_dropped_total") == 100, "all drops counted")
    lines = [line for line in gw.stderr().splitlines() if "No space left" in line]
    assert len(lines) == 1 and "/dev/full" in lines[0]


def test_a_log_that_cannot_be_opened_fails_the_start(origin, gateway):
    gw = gateway(origin, log={"path": "/nonexistent/dir/access.log"}, run=False)
    gw.start(ready=False)
    assert gw.wait_exit() in (1, 2)
    assert "/nonexistent/dir/access.log" in gw.stderr()


def test_a_log_that_cannot_be_opened_fails_the_reload(origin, gateway):
    gw = gateway(origin)
    gw.change(log={"path": "/nonexistent/dir/access.log"})
    assert gw.admin("POST", "/api/v1/reload").status == 422
    gw.get("/still")
    gw.log("/still")


def test_a_log_pipe_that_is_gone(origin, gateway):
    gw = gateway(origin, run=False, log={"path": "stdout"})
    read_end, write_end = os.pipe()
    gw.start(stdout=write_end)
    os.close(write_end)
    os.close(read_end)
    for _ in range(20):
        assert gw.get().text == "ok"
    until(lambda: gw.metric("sluice_log_dropped_total") > 0, "drops counted")
    assert gw.stderr().count("Broken pipe") == 1
    assert len(gw.edges()) == 1


def descriptors(count):
    return lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (count, count))


def test_descriptors_run_out(origin, gateway):
    """More clients than descriptors: the rest get a 503, those that are in are served, and nothing spins."""
    gw = gateway(origin, preexec=descriptors(150))
    held, refused = [], 0
    for _ in range(220):
        client = gw.connect()
        try:
            reply = client.get(timeout=DEADLINE)
        except ConnectionError:
            refused += 1
            continue
        if reply.status == 200:
            held.append(client)
        else:
            assert (reply.status, reply.reason) == (503, "connection_limit"), reply
            refused += 1
    assert held and refused
    assert all(c.get().text == "ok" for c in held[:20])
    assert gw.metric("sluice_config_generation") == 1  # the admin port has its reserve
    gw.reload()
    for client in gw.clients:
        client.close()
    until(lambda: gw.get().status == 200, "serving again")
    assert len(gw.edges()) == 1


def test_the_descriptor_limit_is_raised_and_reported(origin, gateway):
    gw = gateway(origin, preexec=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (256, 4096)))
    assert gw.metric("process_max_fds") == 4096
    with open(f"/proc/{gw.edge}/limits") as file:
        assert next(line for line in file if "open files" in line).split()[3] == "4096"


def test_many_targets_that_are_all_dead(gateway, ports):
    gw = gateway([f"127.0.0.1:{ports.take()}" for _ in range(20)])
    for _ in range(30):
        assert gw.get().status == 502
    assert gw.metric("sluice_upstream_connections_open") == 0


def test_a_state_directory_that_cannot_be_written(origin, gateway):
    gw = gateway(origin, state="/proc/nothing", run=False)
    gw.start(ready=False)
    code = gw.process.poll() if gw.process.poll() is not None else None
    until(lambda: gw.process.poll() is not None or gw.is_ready(), "an end or service")
    if gw.process.poll() is not None:
        assert gw.process.poll() in (1, 2) and "/proc/nothing" in gw.stderr(), code


def test_junk_on_every_port_is_harmless(origin, gateway):
    gw = gateway(origin)
    junk = [b"", b"\0" * 100, os.urandom(5000), b"\r\n" * 1000, b"GET", b"\x16\x03\x01" + os.urandom(200), b"A" * 100_000]
    for port in (gw.port, gw.admin_port):
        for data in junk:
            with Client(("127.0.0.1", port)) as client:
                try:
                    client.send(data)
                    client.half_close()
                    client.wait_end()
                except ConnectionError:
                    pass
    assert gw.get().text == "ok" and gw.is_ready()
    assert len(gw.edges()) == 1


def test_a_stopped_edge_serves_again_when_it_goes_on(origin, gateway):
    gw = gateway(origin)
    client = gw.connect()
    client.get()
    os.kill(gw.edge, signal.SIGSTOP)
    client.request()
    os.kill(gw.edge, signal.SIGCONT)
    assert client.reply().text == "ok"


# -- a small machine


class Group:
    """A control group of half a processor and 128 MiB, version 1 or 2."""

    NAME = f"sluice-test-{os.getpid()}"
    ROOT = "/sys/fs/cgroup"

    def __init__(self):
        self.folders = []
        if os.path.exists(f"{self.ROOT}/cgroup.controllers"):
            self._make(self.ROOT, {"cpu.max": "50000 100000", "memory.max": str(128 << 20)})
        else:
            self._make(f"{self.ROOT}/cpu", {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "50000"})
            self._make(f"{self.ROOT}/memory", {"memory.limit_in_bytes": str(128 << 20)})

    def _make(self, parent, values):
        folder = f"{parent}/{self.NAME}"
        os.mkdir(folder)
        self.folders.append(folder)
        for name, value in values.items():
            with open(f"{folder}/{name}", "w") as file:
                file.write(value)

    def join(self):
        for folder in self.folders:
            with open(f"{folder}/cgroup.procs", "w") as file:
                file.write(str(os.getpid()))

    def killed(self):
        """How often the kernel had to kill for memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                try:
                    with open(f"{folder}/{name}") as file:
                        found = [line.split()[1] for line in file if line.startswith("oom_kill ")]
                except OSError:
                    continue
                if found:
                    return int(found[0])
        return 0

    def remove(self):
        for folder in self.folders:
            until(lambda f=folder: removed(f), f"{folder} empty")


def removed(folder):
    try:
        os.rmdir(folder)
    except OSError:
        return not os.path.exists(folder)
    return True


def can_make_groups():
    try:
        group = Group()
    except OSError:
        return False
    group.remove()
    return True


@pytest.fixture
def small_machine():
    group = Group()
    yield group
    group.remove()


if os.geteuid() == 0 and can_make_groups():

    def test_half_a_processor_and_128_mib(small_machine, origins, gateway):
        """One worker, a connection limit of its own finding, and shedding instead of dying."""
        origin = origins()
        gates = threading.Event()

        @origin.on("/held")
        def held(conn, request):
            conn.read_head(timeout=600) if gates.wait(120) else None
            return "end"

        gw = gateway(origin, workers=None, preexec=small_machine.join)
        status = gw.status()
        assert len(status["workers"]) == 1
        assert 0 < status["limits"]["connections"] < 20_000
        assert 0 < status["limits"]["memory"] < 128 << 20
        answers, clients = [], []
        fields = [("X-Pad", "p" * 20_000)]
        for _ in range(3000 if not IS_SANITIZED else 300):
            try:
                client = gw.connect().request("GET", "/held", fields)
            except OSError:
                break
            clients.append(client)
            if not client.is_silent(0.001):
                answers.append(client.reply().status)
                if len(answers) > 20:
                    break
        assert set(answers) <= {503}, answers
        if not IS_SANITIZED:
            assert answers, "60 MB of heads and as many connections, and nothing was shed"
        assert small_machine.killed() == 0
        assert len(gw.edges()) == 1
        gates.set()
        for client in clients:
            client.close()
        until(lambda: gw.get().status == 200, "serving again", 4 * DEADLINE * SLOW)
        gw.stop()
