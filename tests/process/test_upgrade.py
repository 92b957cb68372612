# SPDX-License-Identifier: Apache-2.0
"""Replacing the binary in place: what is checked, what is kept, what a bad one does."""
import os
import select
import signal


def ended(pid):
    """Waits until a process that is not our child has gone."""
    try:
        watched = os.pidfd_open(pid)
    except ProcessLookupError:
        return True
    try:
        poll = select.poll()
        poll.register(watched)
        return bool(poll.poll(10000))
    finally:
        os.close(watched)


def test_upgrade_keeps_pid_sockets_and_hands_over(gateway, program):
    gateway.replace_binary(program)
    before = os.stat(f"/proc/{gateway.pid}/exe").st_ino
    gateway.signal(signal.SIGUSR2)
    new, drain = gateway.expect_each("ready", "drain")
    assert drain["pid"] == gateway.edge and drain["superseded"] == 1
    assert new["sockets"] == 2
    assert os.stat(f"/proc/{gateway.pid}/exe").st_ino != before
    assert ended(gateway.edge)
    assert gateway.say("pid") == str(new["pid"])
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0


def test_upgraded_one_still_restarts_its_edge(gateway):
    gateway.signal(signal.SIGUSR2)
    new, _ = gateway.expect_each("ready", "drain")
    os.kill(new["pid"], signal.SIGKILL)
    assert gateway.say("pid") == str(gateway.expect("ready")["pid"])


def test_memory_outlives_edges_and_binaries(gateway, program):
    assert gateway.say("memory tickets-1:4096") == "0 0"
    assert gateway.say("memory tickets-1:4096") == "0 1"
    assert gateway.say("memory other:64") == "0 0"
    assert gateway.say("memory tickets-1:8192").startswith("-7 ")
    assert gateway.say("memory Bad_Name:1").startswith("-5 ")
    os.kill(gateway.edge, signal.SIGKILL)
    gateway.expect("ready")
    assert gateway.say("memory tickets-1:4096") == "0 2"
    gateway.replace_binary(program)
    gateway.signal(signal.SIGUSR2)
    gateway.expect_each("ready", "drain")
    assert gateway.say("memory tickets-1:4096") == "0 3"
    assert gateway.say("memory other:64") == "0 1"


def test_edge_asks_for_the_upgrade_and_is_answered(gateway):
    assert gateway.say("upgrade") == "0"
    assert gateway.expect("ready")["pid"] != gateway.edge


def test_binary_that_fails_its_check_is_refused(gateway, program):
    gateway.replace_binary("exit 3")
    answer = gateway.say("upgrade")
    assert answer.startswith("-5 ") and "`version --handover` with exit code 3" in answer
    gateway.replace_binary("test $1 = version")
    answer = gateway.say("upgrade")
    assert answer.startswith("-5 ") and "`check` with exit code 1" in answer
    assert gateway.say("pid") == str(gateway.edge)
    gateway.replace_binary(program)
    assert gateway.say("upgrade") == "0"


def test_config_that_the_new_binary_refuses_is_told(gateway):
    gateway.configure(note="wrong")
    answer = gateway.say("upgrade")
    assert answer.startswith("-5 ") and "this is wrong" in answer
    assert gateway.say("pid") == str(gateway.edge)


def test_missing_binary_is_refused(gateway):
    gateway.binary.unlink()
    gateway.signal(signal.SIGUSR2)
    gateway.expect_log("upgrade refused: there is no program")
    assert gateway.say("pid") == str(gateway.edge)


def test_new_edge_that_crashes_leaves_the_old_one_serving(gateway):
    gateway.configure(start="kill")
    gateway.signal(signal.SIGUSR2)
    for _ in range(3):
        start = gateway.expect("start")
        assert "--last-good" not in start["args"]
        assert gateway.say("pid") == str(gateway.edge)
    gateway.expect_log("the old one serves on tries=3")
    assert gateway.say("pid") == str(gateway.edge)
    gateway.configure(start="")
    gateway.signal(signal.SIGUSR2)
    assert gateway.expect("ready", "start")["event"] == "start"
    assert gateway.expect("ready")["pid"] != gateway.edge


def test_draining_edges_are_shown_to_the_newest_and_limited(make):
    gateway = make(linger=5).start()
    pids = [gateway.expect("ready")["pid"]]
    for _ in range(2):
        gateway.signal(signal.SIGUSR2)
        pids.append(gateway.expect("ready")["pid"])
        peer = gateway.expect("peer")
        while peer["peer"] != pids[-2] or peer["pid"] != pids[-1]:
            peer = gateway.expect("peer")
        assert peer["in_flight"] == 5
        assert peer["generation"] == len(pids) - 1
    answer = gateway.say("upgrade")
    assert answer.startswith("-7 ") and "drain already" in answer
    os.kill(pids[0], signal.SIGTERM)
    gone = gateway.expect("peer")
    while gone["peer"] > 0:
        gone = gateway.expect("peer")
    assert gone["peer"] == -pids[0] and gone["pid"] == pids[-1]
    assert gateway.say("upgrade") == "0"


def test_stop_ends_draining_edges_too(make):
    gateway = make(linger=1).start()
    old = gateway.expect("ready")["pid"]
    gateway.signal(signal.SIGUSR2)
    gateway.expect("peer")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert ended(old)


def test_stop_gives_up_a_check_that_runs(gateway):
    gateway.replace_binary("exec sleep 60")
    gateway.signal(signal.SIGUSR2)
    gateway.expect_log("checking")
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0


def test_check_that_hangs_is_refused(gateway):
    gateway.replace_binary("exec sleep 60")
    gateway.signal(signal.SIGUSR2)
    gateway.expect_log("took longer than 5 s")
    assert gateway.say("pid") == str(gateway.edge)
