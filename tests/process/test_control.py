# SPDX-License-Identifier: Apache-2.0
"""The control process beside the edge: its life is its own, and no edge and no client feels it."""
import os
import signal

from test_upgrade import ended


def test_it_starts_once_an_edge_serves(make):
    gateway = make(control="stay").start()
    edge = gateway.expect("ready")
    control = gateway.expect("control")
    assert control["args"] == ["control", str(gateway.file)]
    assert control["environment"] == ["SLUICE_UNITS"]
    assert gateway.say("pid") == str(edge["pid"])


def test_it_is_not_started_for_an_edge_that_never_serves(make):
    gateway = make(control="stay", start="exit 2").start()
    assert gateway.wait() == 2
    assert "control started" not in gateway.text()


def test_one_with_nothing_to_do_rests_until_a_reload(make):
    gateway = make().start()
    gateway.expect("control")
    gateway.expect_log("control has nothing to do here")
    gateway.signal(signal.SIGHUP)
    gateway.expect("control")


def test_one_that_dies_is_restarted_later_and_later_and_the_edge_stays(make):
    gateway = make(control="exit 7").start()
    edge = gateway.expect("ready")["pid"]
    for _ in range(4):
        gateway.expect("control")
    for delay in (100, 200):
        gateway.expect_log(f"exit=7 restart_in_ms={delay}")
    assert gateway.say("pid") == str(edge)


def test_killed_one_comes_back(make):
    gateway = make(control="stay").start()
    first = gateway.expect("control")["pid"]
    os.kill(first, signal.SIGKILL)
    assert gateway.expect("control")["pid"] != first
    gateway.expect_log("control died")


def test_an_edge_that_dies_leaves_it_alone(make):
    gateway = make(control="stay").start()
    control = gateway.expect("control")["pid"]
    os.kill(int(gateway.say("pid")), signal.SIGKILL)
    gateway.expect("ready")
    assert not os.kill(control, 0)
    assert gateway.text().count("control started") == 1


def test_upgrade_replaces_it(make):
    gateway = make(control="stay").start()
    old = gateway.expect("control")["pid"]
    gateway.signal(signal.SIGUSR2)
    new = gateway.expect("control")["pid"]
    assert new != old and ended(old)
    gateway.expect_log("upgraded")


def test_refused_upgrade_leaves_it_alone(make):
    gateway = make(control="stay").start()
    control = gateway.expect("control")["pid"]
    gateway.replace_binary("exit 3")
    assert gateway.say("upgrade").startswith("-5 ")
    assert not os.kill(control, 0)


def test_stop_ends_it_and_does_not_wait_for_it(make):
    gateway = make(control="stay").start()
    control = gateway.expect("control")["pid"]
    os.kill(control, signal.SIGSTOP)  # it would not hear that it is to end
    gateway.signal(signal.SIGTERM)
    assert gateway.wait() == 0
    assert ended(control)


def test_it_dies_with_the_supervisor(make):
    gateway = make(control="stay").start()
    control = gateway.expect("control")["pid"]
    gateway.signal(signal.SIGKILL)
    gateway.wait()
    assert ended(control)
