# SPDX-License-Identifier: Apache-2.0
"""The supervisor's life with an edge: start, restart, signals, stop."""
import os
import select
import signal
import threading
import time

from conftest import free_port


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def test_edge_gets_its_arguments_environment_and_sockets(make):
    gateway = make(count=3).start()
    start = gateway.expect("start")
    assert start["args"] == ["edge", str(gateway.file), "--watch"]
    assert start["environment"] == ["SLUICE_LINK"]
    assert gateway.expect("ready")["sockets"] == 3
    assert gateway.say("pid") == str(start["pid"])


def test_wrong_config_at_the_first_start_ends_it(make):
    gateway = make(start="exit 2").start()
    assert gateway.wait() == 2


def test_other_failure_at_the_first_start_ends_it(make):
    gateway = make(start="exit 7").start()
    assert gateway.wait() == 1


def test_port_of_another_program_is_named(make, gateway):
    other = make(bind=f"127.0.0.1:{gateway.port}").start()
    refused = other.expect("refused")["answer"]
    assert f"address already in use: another program listens on 127.0.0.1:{gateway.port}" in refused
    assert other.wait() == 1
    assert gateway.say("pid") == str(gateway.edge)


def test_killed_edge_restarts_and_no_client_is_refused(gateway):
    errors, answers = [], set()
    is_over = threading.Event()

    def visit():
        while not is_over.is_set():
            try:
                answers.add(gateway.say("pid"))
            except ConnectionRefusedError as error:
                errors.append(error)
            except OSError:
                pass  # cut in the midst: the process that held it was killed

    visitor = threading.Thread(target=visit)
    visitor.start()
    pids = {gateway.edge}
    for _ in range(3):
        os.kill(gateway.edge, signal.SIGKILL)
        gateway.edge = gateway.expect("ready")["pid"]
        pids.add(gateway.edge)
    is_over.set()
    visitor.join()
    assert not errors
    assert len(pids) == 4
    assert gateway.say("pid") == str(gateway.edge)


def test_client_waits_while_no_edge_runs(gateway):
    gateway.configure(start="kill")
    os.kill(gateway.edge, signal.SIGKILL)
    gateway.expect("start")
    with gateway.connect() as client:
        client.sendall(b"pid\n")
        gateway.configure(start="")
        assert client.makefile("r").readline().strip() == str(gateway.expect("ready")["pid"])


def test_restarts_back_off_and_end_in_the_last_good_config(make):
    gateway = make(start="kill").start()
    times, args = [], []
    for _ in range(5):
        start = gateway.expect("start")
        times.append(time.monotonic())
        args.append(start["args"][-1])
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert gaps[1] >= 0.09 and gaps[2] >= 0.19 and gaps[3] >= 0.39
    assert args == ["--watch"] * 3 + ["--last-good"] * 2
    gateway.expect_log("3 crashes within a minute: the edge starts with the last configuration")


def test_wrong_config_at_a_restart_is_a_crash(gateway):
    gateway.configure(start="exit 2")
    os.kill(gateway.edge, signal.SIGKILL)
    gateway.expect("start")
    gateway.configure(start="")
    assert gateway.expect("ready")["pid"] != gateway.edge


def test_reload_and_reopen_reach_the_edge(gateway):
    gateway.signal(signal.SIGHUP)
    assert gateway.expect("reload", "reopen")["event"] == "reload"
    gateway.signal(signal.SIGUSR1)
    assert gateway.expect("reload", "reopen")["event"] == "reopen"


def test_term_drains_and_ends_with_zero(gateway):
    gateway.signal(signal.SIGTERM)
    drain = gateway.expect("drain")
    assert drain["superseded"] == 0
    assert gateway.wait() == 0
    assert not is_alive(gateway.edge)
    assert "restart" not in gateway.text()


def test_term_while_the_edge_is_down_ends(make):
    gateway = make(start="kill").start()
    for _ in range(4):
        gateway.expect("start")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0


def test_second_signal_does_not_wait(gateway):
    os.kill(gateway.edge, signal.SIGSTOP)
    gateway.signal(signal.SIGTERM)
    gateway.expect_log("edge drains")
    assert gateway.process.poll() is None
    gateway.signal(signal.SIGINT)
    assert gateway.wait() == 0
    assert not is_alive(gateway.edge)


def test_edge_goes_when_the_supervisor_is_killed(gateway):
    watched = os.pidfd_open(gateway.edge)
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    poll = select.poll()
    poll.register(watched)
    assert poll.poll(10000)
    os.close(watched)


def test_unlisten_closes_the_listener(gateway):
    bind = f"127.0.0.1:{free_port()}"
    assert gateway.say(f"listen {bind}").startswith("0 1")
    assert gateway.say(f"unlisten {bind}") == "0"
    assert gateway.say(f"unlisten {bind}") == "-6"  # E_NOT_FOUND


def listens(pid, port):
    """Whether a process has a socket that listens at that port."""
    with open("/proc/net/tcp", encoding="ascii") as file:
        sockets = [line.split() for line in file][1:]
    inodes = {s[9] for s in sockets if s[3] == "0A" and int(s[1].partition(":")[2], 16) == port}
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    return any(f"socket:[{inode}]" in links for inode in inodes)


def test_listener_that_is_gone_from_the_file_closes_with_the_restart(gateway):
    gone = gateway.port
    gateway.port = free_port()
    gateway.configure(bind=f"127.0.0.1:{gateway.port}")
    os.kill(gateway.edge, signal.SIGKILL)
    gateway.edge = gateway.expect("ready")["pid"]
    assert gateway.say("pid") == str(gateway.edge)
    gateway.expect_log("listeners closed count=1")
    assert not listens(gateway.process.pid, gone) and not listens(gateway.edge, gone)  # others may by now
