# SPDX-License-Identifier: Apache-2.0
"""Machines at Fly.io that go to sleep with what they hold in memory: what can be suspended and what cannot, and that a
suspend that comes to nothing ends in a stop."""
import os
import signal

import pytest

from conftest import SLOW, until
from fake_fly import live_config
from test_fly import is_settled, kill_at, only

TOO_MUCH = {"cpu_kind": "shared", "cpus": 1, "memory_mb": 4096}
GPU = {"cpu_kind": "performance", "cpus": 8, "memory_mb": 2048, "gpu_kind": "a10"}


@pytest.fixture
def bench(make_fly):
    return make_fly(rest="suspend")


@pytest.fixture
def desk(bench):
    desk = bench.start()
    only(desk.start())
    return desk


def freeze(desk, **more):
    answer = desk.stop(freeze=True, **more)
    assert only(answer)["state"] == "stopped"
    return answer


def test_one_that_goes_to_sleep_wakes_where_it_was(desk, bench):
    assert freeze(desk)["warning"] is None
    assert bench.fly.one().state == "suspended" and not bench.fly.count("stop")
    assert desk.list()["u1"]["address"] is None
    assert only(desk.start())["state"] == "running"
    assert bench.fly.one().resumes == 1
    is_settled(bench, ["u1"])


def test_one_that_sleeps_already_stays_so(desk, bench):
    freeze(desk)
    freeze(desk)
    assert bench.fly.one().state == "suspended" and bench.fly.count("suspend") == 1


def test_one_that_is_to_begin_anew_is_stopped(desk, bench):
    assert only(desk.stop())["state"] == "stopped"
    assert bench.fly.one().state == "stopped" and not bench.fly.count("suspend")
    desk.start()
    freeze(desk)
    desk.stop()  # what it held goes
    assert bench.fly.one().state == "stopped"
    desk.start()
    assert not bench.fly.one().resumes


def test_one_that_is_to_begin_anew_while_it_is_suspended(desk, bench):
    bench.fly.stop_s = 1.0
    number = desk.begin("stop", id="u1", grace_ms=5000, remove=False, freeze=True)
    until(lambda: bench.fly.one().state == "suspending", "it is on its way")
    os.kill(desk.pid, signal.SIGKILL)
    assert number
    after = bench.next_desk()
    after.patience = 60 * SLOW  # the lease of the one that was killed ends by itself
    assert only(after.stop())["state"] == "stopped"
    assert bench.fly.one().state == "stopped"


def test_one_that_sleeps_is_removed(desk, bench):
    freeze(desk)
    assert desk.stop(remove=True)["fault"] == "ok"
    is_settled(bench, [])


def test_nothing_is_suspended_unless_it_is_wished(make_fly):
    bench = make_fly()
    desk = bench.start()
    desk.start()
    assert freeze(desk)["warning"] is None
    assert bench.fly.one().state == "stopped" and not bench.fly.count("suspend")
    assert "suspended" not in desk.call("plan", release="r1")["log"]


@pytest.mark.parametrize("more, why", [
    ({"guest": TOO_MUCH}, "it has 4096 MB of memory, and Fly suspends up to 2048"),
    ({"init": {"swap_size_mb": 512}}, "it has swap"),
    ({"guest": GPU}, "it has a GPU")])
def test_what_cannot_be_suspended_is_said_by_the_plan_and_stopped(make_fly, more, why):
    bench = make_fly({"live": live_config(**more)}, rest="suspend")
    desk = bench.start()
    assert f"what goes to sleep is stopped, not suspended: {why}\n" in desk.call("plan", release="r1")["log"]
    desk.start()
    assert freeze(desk)["warning"] is None
    assert bench.fly.one().state == "stopped" and not bench.fly.count("suspend")


def test_a_plan_says_nothing_of_what_can_be_suspended(bench):
    assert "suspended" not in bench.start().call("plan", release="r1")["log"]


@pytest.mark.parametrize("status, error", [(400, "suspend is not supported"), (422, "machine has no snapshot room")])
def test_one_that_fly_refuses_to_suspend_is_stopped(desk, bench, status, error):
    bench.fly.cue("suspend", status, {"error": error}, times=2)
    words = f"could not be suspended, and is stopped: Fly.io says {status}: {error}"
    assert words in freeze(desk)["warning"]
    assert bench.fly.one().state == "stopped" and bench.fly.count("stop") == 1
    assert not bench.fly.in_the_way
    first = desk.call("list")["warning"]
    assert words in first
    desk.start()
    freeze(desk)
    assert desk.call("list")["warning"] == first  # it is said once
    desk.start()
    assert freeze(desk)["warning"] is None
    assert desk.call("list")["warning"] is None


def test_one_that_is_in_no_state_for_it_is_stopped(desk, bench):
    bench.fly.cue("suspend", 412, {"error": "failed_precondition: unable to suspend machine"})
    assert "and is stopped: it stays started" in freeze(desk)["warning"]
    assert bench.fly.one().state == "stopped"


def test_one_that_stays_up_is_stopped(desk, bench):
    bench.fly.suspends_to = "started"
    desk.patience = 60 * SLOW
    assert "and is stopped: it stays started" in freeze(desk)["warning"]
    assert bench.fly.one().state == "stopped"


def test_one_that_ends_on_its_way_is_told_of(desk, bench):
    bench.fly.suspends_to = "stopped"
    assert "and is stopped: it ended on its way" in freeze(desk)["warning"]
    assert only(desk.start())["state"] == "running"


@pytest.mark.parametrize("kind", ["lost", "cut"])
@pytest.mark.parametrize("action", ["lease", "suspend", "unlease", "wait", "get", "list"])
def test_a_suspend_whose_answers_are_lost(desk, bench, action, kind):
    bench.fly.cue(action, kind=kind)
    desk.patience = 60 * SLOW  # a lease whose nonce is lost ends by itself
    freeze(desk)
    assert bench.fly.one().state == "suspended"
    assert desk.call("list")["warning"] is None


@pytest.mark.parametrize("status", [500, 503, 429])
def test_a_suspend_that_fails_for_a_while(desk, bench, status):
    bench.fly.cue("suspend", status, {"error": "try later"}, times=2)
    freeze(desk)
    assert bench.fly.one().state == "suspended" and bench.fly.count("suspend") == 3


def test_a_suspend_that_never_succeeds_is_a_stop(desk, bench):
    bench.fly.cue("suspend", 500, {"error": "internal"}, times=99)
    desk.patience = 120 * SLOW
    assert "it stays started" in freeze(desk)["warning"]
    assert bench.fly.one().state == "stopped"


@pytest.mark.parametrize("number", range(1, 7))
def test_a_suspend_is_whole_whenever_control_is_killed(desk, bench, number):
    desk = kill_at(bench, desk, number, "stop", id="u1", grace_ms=2000, remove=False, freeze=True)
    desk.patience = 60 * SLOW  # the lease of the one that was killed ends by itself
    freeze(desk)
    assert bench.fly.one().state == "suspended" and not bench.fly.count("stop")
    assert only(desk.start())["state"] == "running"
    is_settled(bench, ["u1"])


def test_a_token_that_is_revoked_before_it_sleeps(desk, bench):
    token, bench.fly.token = bench.fly.token, None
    assert desk.stop(freeze=True)["fault"] == "unauthorized"
    bench.fly.token = token
    freeze(desk)
    assert bench.fly.one().state == "suspended"


def test_one_that_somebody_destroyed_needs_no_sleep(desk, bench):
    bench.fly.one().destroy()
    until(lambda: not bench.fly.ours(), "it is gone")
    assert desk.stop(freeze=True)["fault"] == "ok"


def test_a_lease_that_another_holds_is_waited_for(desk, bench):
    bench.fly.hold(bench.fly.one(), "flyctl", 3.0)
    freeze(desk)
    assert bench.fly.one().state == "suspended"
