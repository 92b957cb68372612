# SPDX-License-Identifier: Apache-2.0
"""Machines at Fly.io, by a fake of its API that misbehaves: what a new machine is made of, what a plan says, and that
no fault leaves a machine too many."""
import os
import signal
import time

import pytest

from conftest import SLOW, until
from fake_fly import live_config

IMAGE = "registry.fly.io/shop:"


@pytest.fixture
def bench(make_fly):
    return make_fly()


@pytest.fixture
def desk(bench):
    return bench.start()


def only(answer):
    assert answer["fault"] == "ok", answer
    (unit,) = answer["units"]
    return unit


def is_settled(bench, units):
    """The machines that are there are those of `units`, and the one that fly deployed."""
    assert sorted(bench.fly.ours()) == sorted(units)
    assert len([m for m in bench.fly.machines.values() if m.state != "destroyed"]) == len(units) + 1


# --- what a new machine is made of

def test_a_machine_is_a_clone_that_only_we_reach(desk, bench):
    unit = only(desk.start("u.1_A", "r1", image=IMAGE + "new", env={"SLUICE_DEPLOY_STEP": "2"}))
    machine = bench.fly.one()
    config, live = machine.config, live_config()
    assert unit["handle"] == machine.id and unit["region"] == "cdg" and unit["address"] == f"[{machine.ip}]:8080"
    assert config["image"] == IMAGE + "new"
    assert "services" not in config
    assert config["restart"] == {"policy": "no"} and config["dns"] == {"skip_registration": True}
    assert config["stop_config"] == {"signal": "SIGTERM", "timeout": "10s"}
    assert config["guest"] == live["guest"] and config["checks"] == live["checks"]
    assert config["env"] == {**live["env"], "SLUICE_DEPLOY_STEP": "2", "SLUICE_SERVICE": "app", "SLUICE_RELEASE": "r1",
                             "SLUICE_UNIT": "u.1_A"}
    assert config["metadata"] == {"fly_process_group": "app", "sluice_service": "app", "sluice_unit": "u.1_A",
                                  "sluice_release": "r1"}


def test_what_the_live_one_says_of_its_end_stays(make_fly):
    stop = {"signal": "SIGQUIT", "timeout": "25s"}
    bench = make_fly({"live": live_config(stop_config=stop)}, grace="3s", port=3000, region=["ams", "cdg"])
    unit = only(bench.start().start())
    machine = bench.fly.one()
    assert machine.config["stop_config"] == stop and machine.config["image"] == live_config()["image"]
    assert unit["address"].endswith("]:3000") and machine.region in ("ams", "cdg")


def test_the_next_unit_is_like_those_of_its_release(desk, bench):
    desk.start("a", "r1")
    bench.fly.one().config["env"]["EXTRA"] = "1"
    bench.fly.add(live_config(env={"LATER": "1"})).created += 5  # seconds
    desk.start("b", "r1")
    desk.start("c", "r2")
    ours = bench.fly.ours()
    assert ours["b"].config["env"]["EXTRA"] == "1"
    assert ours["c"].config["env"].get("LATER") == "1"  # the newest that runs, of another release


def test_machines_of_other_groups_are_left_alone(make_fly):
    bench = make_fly({"live": live_config(group="worker")})
    desk = bench.start()
    answer = desk.start()
    assert answer["fault"] == "permanent" and "no machine of group app" in answer["reason"]
    bench.fly.add(live_config(env={"WEB": "1"}))
    only(desk.start())
    assert bench.fly.one().config["env"]["WEB"] == "1"


@pytest.mark.parametrize("more, words", [
    ({"mounts": [{"path": "/data", "volume": "vol_1"}]}, "has a volume at /data"),
    ({"schedule": "daily"}, "runs on a schedule (daily)"),
    ({"containers": [{"name": "one", "image": "x"}]}, "runs several containers")])
def test_what_cannot_be_cloned_is_refused_in_words(make_fly, more, words):
    bench = make_fly({"live": live_config(**more)})
    desk = bench.start()
    for answer in (desk.call("plan", release="r1", image=IMAGE + "new"), desk.start()):
        assert answer["fault"] == "unsupported" and words in answer["reason"], answer
    is_settled(bench, [])


# --- plans

def test_a_plan_shows_what_differs(desk, bench):
    answer = desk.call("plan", release="r1", image=IMAGE + "new", old="r0")
    assert answer["fault"] == "ok" and not bench.fly.ours()
    lines = answer["log"].splitlines()
    assert f"image: {IMAGE}good -> {IMAGE}new" in lines
    assert "services: left out: 1 entry" in lines
    assert "restart.policy: on-failure -> no" in lines
    assert "dns.skip_registration: set to true" in lines
    assert "production" not in answer["log"]
    answer = desk.call("plan", release="r1")
    assert "no image is named" in answer["log"] and "image:" not in answer["log"]


def test_a_plan_minds_the_port(make_fly):
    answer = make_fly(port=3000).start().call("plan", release="r1")
    assert answer["fault"] == "ok" and "is on port 3000" in answer["log"]


@pytest.mark.parametrize("key, value", [("autostop", "stop"), ("autostop", True), ("autostop", "suspend"), ("autostart", True)])
def test_a_plan_refuses_what_fly_would_stop_under_load(make_fly, key, value):
    live = live_config()
    live["services"][0][key] = value
    answer = make_fly({"live": live}).start().call("plan", release="r1", image=IMAGE + "new")
    assert answer["fault"] == "permanent" and "autostop or autostart on" in answer["reason"]


def test_a_plan_for_an_app_that_is_none(make_fly):
    answer = make_fly(app="other").start().call("plan", release="r1")
    assert answer["fault"] == "permanent" and "knows no app other" in answer["reason"]


def test_a_plan_with_a_token_that_is_refused(make_fly):
    answer = make_fly(token="FlyV1 fm2_old").start().call("plan", release="r1")
    assert answer["fault"] == "unauthorized" and "refuses the token (401: unauthorized)" in answer["reason"]
    assert "fm2" not in answer["reason"]


def test_a_plan_for_an_app_without_machines(make_fly):
    answer = make_fly({"live": None}).start().call("plan", release="r1", image=IMAGE + "new")
    assert answer["fault"] == "permanent" and "deploy it once with fly" in answer["reason"]


def test_a_listing_warns_when_fly_may_stop_it_again(desk, bench):
    desk.start()
    assert desk.call("list")["warning"] is None
    bench.fly.one().config["services"] = [{"internal_port": 8080, "autostop": "stop"}]
    assert "autostop or autostart on again" in desk.call("list")["warning"]


# --- answers that are lost, late and wrong

@pytest.mark.parametrize("kind", ["lost", "cut"])
@pytest.mark.parametrize("action", ["create", "list", "wait", "get"])
def test_a_start_whose_answers_are_lost_makes_one_machine(desk, bench, action, kind):
    bench.fly.cue(action, kind=kind)
    assert only(desk.start())["state"] == "running"
    is_settled(bench, ["u1"])


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_create_that_fails_is_looked_after_before_it_is_tried_again(desk, bench, status):
    bench.fly.cue("create", status, {"error": "internal"})
    assert only(desk.start())["state"] == "running"
    is_settled(bench, ["u1"])
    assert bench.fly.count("list") == 2


def test_a_create_that_never_succeeds_ends(desk, bench):
    bench.fly.cue("create", 500, {"error": "out of order"}, times=99)
    answer = desk.start()
    assert answer["fault"] == "transient" and "500: out of order" in answer["reason"]
    is_settled(bench, [])


def test_a_create_that_was_lost_with_control(desk, bench):
    bench.fly.cue("create", kind="lost", times=1)
    desk.begin("start", id="u1", release="r1")
    until(lambda: bench.fly.count("create"), "a create")
    os.kill(desk.pid, signal.SIGKILL)
    assert only(bench.next_desk().start())["state"] == "running"
    is_settled(bench, ["u1"])


@pytest.mark.parametrize("kind", ["lost", "cut"])
@pytest.mark.parametrize("action", ["lease", "stop", "unlease", "wait", "get", "delete", "list"])
def test_a_removal_whose_answers_are_lost_leaves_none(desk, bench, action, kind):
    desk.start()
    bench.fly.cue(action, kind=kind)
    desk.patience = 60 * SLOW  # a lease whose nonce is lost ends by itself
    answer = desk.stop(remove=True)
    assert answer["fault"] == "ok", answer
    is_settled(bench, [])


def kill_at(bench, desk, number, call, **more):
    """Control is killed at a request of a call, which is done all the same; another one takes its place."""
    left = [number]

    def on_request():
        left[0] -= 1
        if not left[0]:
            bench.fly.on_request = None
            os.kill(desk.pid, signal.SIGKILL)

    bench.fly.on_request = on_request
    with pytest.raises(KeyError):
        desk.end(desk.begin(call, **more))
    return bench.next_desk()


@pytest.mark.parametrize("number", range(1, 5))
def test_a_start_is_one_whenever_control_is_killed(desk, bench, number):
    desk = kill_at(bench, desk, number, "start", id="u1", release="r1")
    assert only(desk.start())["state"] == "running"
    is_settled(bench, ["u1"])


@pytest.mark.parametrize("number", range(1, 11))
def test_a_removal_is_whole_whenever_control_is_killed(desk, bench, number):
    desk.start()
    desk = kill_at(bench, desk, number, "stop", id="u1", grace_ms=2000, remove=True)
    desk.patience = 60 * SLOW  # the lease of the one that was killed ends by itself
    assert desk.stop(remove=True)["fault"] == "ok"
    is_settled(bench, [])


def test_a_server_that_is_down_for_a_while(desk, bench):
    bench.fly.cue("list", 503, {"error": "try later"}, times=3)
    assert desk.list() == {}


def test_a_throttle_is_heeded(desk, bench):
    bench.fly.cue("create", 429, {"error": "rate limit exceeded"}, headers={"Retry-After": "3"})
    began = time.monotonic()
    only(desk.start())
    assert time.monotonic() - began >= 3
    assert bench.fly.count("create") == 2
    is_settled(bench, ["u1"])


def test_a_throttle_for_long_is_passed_on(desk, bench):
    bench.fly.cue("list", 429, headers={"Retry-After": "120"})
    answer = desk.call("list")
    assert answer["fault"] == "transient" and "429" in answer["reason"]


def test_many_at_once_keep_to_the_rates(desk, bench):
    numbers = [desk.begin("start", id=f"u{i}", release="r1") for i in range(8)]
    assert {only(desk.end(number))["state"] for number in numbers} == {"running"}
    numbers = [desk.begin("stop", id=f"u{i}", grace_ms=2000, remove=True) for i in range(8)]
    assert {desk.end(number)["fault"] for number in numbers} == {"ok"}
    is_settled(bench, [])


@pytest.mark.parametrize("body", [
    {"machines": []}, [1, None, "x", {}, []], [{"id": 7, "state": [], "config": "x", "events": {}}], "text", None, 1e9,
    [{"id": "m", "state": "started", "config": {"metadata": {"sluice_unit": "u1", "sluice_service": "app"},
                                                "services": 1, "env": []},
      "events": [7, {"timestamp": "x", "request": 3}, {"timestamp": -9e18, "request": {"exit_event": {"exit_code": "x"}}}],
      "private_ip": "x" * 500, "created_at": "yesterday"}]])
def test_answers_of_another_shape(desk, bench, body):
    bench.fly.cue("list", 200, body, times=9)
    assert desk.call("list")["fault"] in ("ok", "transient")
    assert desk.call("log", id="u1")["fault"] in ("ok", "transient", "permanent")
    assert desk.call("plan", release="r1")["fault"] in ("ok", "transient", "permanent")


def test_a_list_of_several_pages(make_fly):
    bench = make_fly({"page": 2})
    desk = bench.start()
    for unit in ("a", "b", "c", "d"):
        desk.start(unit)
    assert sorted(desk.list()) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("cursor", ["a+b/{}==", "{}%2B&state=stopped#x ;", "{}" + "z" * 900], ids=["base64", "query", "long"])
def test_a_cursor_may_be_any_text(make_fly, cursor):
    bench = make_fly({"page": 1})
    bench.fly.cursor = cursor
    desk = bench.start()
    for unit in ("a", "b"):
        assert only(desk.start(unit))["state"] == "running"
    assert sorted(desk.list()) == ["a", "b"]


@pytest.mark.parametrize("body, cursors", [
    ([], ["a", "a"]), ([], ["z" * 5000]), ([{}] * 4097, ["a"]), ([], [f"c{i}" for i in range(70)])],
    ids=["again", "long", "many", "endless"])
def test_a_list_without_end_is_no_list(desk, bench, body, cursors):
    """What was not seen whole would be taken for gone, and made again."""
    desk.patience = 120 * SLOW
    for cursor in cursors:
        bench.fly.cue("list", 200, body, headers={"fly-next-cursor": cursor})
    answer = desk.start()
    assert answer["fault"] == "transient" and "list of machines does not end" in answer["reason"]
    assert not bench.fly.count("create")


# --- tokens

@pytest.mark.parametrize("requests", [0, 1, 2, 3])
def test_a_token_that_is_revoked_on_the_way(bench, requests):
    desk = bench.start()
    token, bench.fly.stop_after = bench.fly.token, requests
    answer = desk.start()
    assert answer["fault"] == "unauthorized" and "refuses the token" in answer["reason"], answer
    assert desk.call("list")["fault"] == "unauthorized"
    bench.fly.token, bench.fly.stop_after = token, None
    assert only(desk.start())["state"] == "running"
    is_settled(bench, ["u1"])


# --- room

def test_the_next_region_where_there_is_no_room(make_fly):
    bench = make_fly(region=["ams", "cdg"])
    desk = bench.start()
    bench.fly.full = {"ams"}
    for unit in ("u1", "u2"):
        assert only(desk.start(unit))["region"] == "cdg"


def test_no_room_anywhere_is_said_and_not_asked_for_again(make_fly):
    bench = make_fly(region=["ams", "cdg"])
    desk = bench.start()
    bench.fly.full = {"ams", "cdg"}
    answer = desk.start()
    assert answer["fault"] == "capacity" and "insufficient resources" in answer["reason"]
    assert bench.fly.count("create") == 2
    is_settled(bench, [])


# --- machines that end, hang and go

def test_one_that_crashes_says_how(desk, bench):
    unit = only(desk.start(image=IMAGE + "crash"))
    until(lambda: bench.fly.one().state == "stopped", "it ends")
    unit = desk.list()["u1"]
    assert (unit["state"], unit["exit_code"], unit["signal"], unit["fault"]) == ("failed", 3, 0, "ok")
    assert unit["address"] is None and unit["lived_ms"] > 0
    assert "code 3" in desk.log() and "start started by flyd" in desk.log()


def test_one_without_memory_says_so(desk, bench):
    desk.start(image=IMAGE + "oom")
    until(lambda: bench.fly.one().state == "stopped", "it ends")
    unit = desk.list()["u1"]
    assert (unit["state"], unit["signal"], unit["reason"]) == ("failed", 9, "it had no memory left")


def test_one_that_could_not_be_started(desk, bench):
    answer = desk.start(image=IMAGE + "broken")
    assert answer["fault"] == "permanent" and f"machine {bench.fly.one().id} failed" in answer["reason"]
    bench.fly.one().config["image"] = IMAGE + "good"
    old = bench.fly.one().id
    assert only(desk.start())["handle"] != old  # another in its place
    is_settled(bench, ["u1"])


def test_one_that_hears_no_signal_is_killed(desk, bench):
    desk.start(image=IMAGE + "deaf")
    unit = only(desk.stop(grace_ms=1000))
    assert (unit["state"], unit["signal"]) == ("stopped", 9)


def test_one_that_starts_and_starts_can_be_removed(desk, bench):
    desk.begin("start", id="u1", release="r1", image=IMAGE + "stuck")
    until(lambda: bench.fly.ours() and bench.fly.one().state == "starting", "it starts")
    assert desk.list()["u1"]["state"] == "starting"
    os.kill(desk.pid, signal.SIGKILL)
    assert bench.next_desk().stop(remove=True)["fault"] == "ok"
    is_settled(bench, [])


@pytest.fixture
def aged(desk, bench):
    """A unit in a state that it has been in for as long."""
    def new(state, seconds, image="good"):
        desk.start()
        machine = bench.fly.one()
        machine.config["image"] = IMAGE + image
        machine.state = state
        machine.age(seconds)
        desk.patience = 80 * SLOW
        return machine
    return new


def test_one_that_rests_before_its_first_start_is_started(desk, bench):
    desk.patience = 60 * SLOW
    assert only(desk.start(image=IMAGE + "resting"))["state"] == "running"
    assert bench.fly.count("start") == bench.fly.count("create") == 1


def test_one_that_rests_for_long_is_started_at_once(desk, bench, aged):
    aged("created", 1000, "resting")
    assert only(desk.start())["state"] == "running"
    assert bench.fly.count("start") == 1 and not bench.fly.count("delete")


@pytest.mark.parametrize("state, seconds", [("starting", 310), ("restarting", 310), ("updating", 610), ("stopping", 310),
                                            ("created", 310)])
def test_one_that_is_stuck_is_replaced(desk, bench, aged, state, seconds):
    old = aged(state, seconds)
    assert only(desk.start())["handle"] != old.id
    is_settled(bench, ["u1"])


@pytest.mark.parametrize("state, seconds", [("starting", 200), ("updating", 400)])
def test_one_that_is_not_yet_stuck_is_waited_for(desk, bench, aged, state, seconds):
    old = aged(state, seconds)
    old.to("started", 1.0)
    assert only(desk.start())["handle"] == old.id


@pytest.mark.parametrize("state, seconds", [("created", 0), ("starting", 310), ("stopping", 310)])
def test_a_rest_that_comes_to_nothing_is_an_end(desk, bench, aged, state, seconds):
    aged(state, seconds)
    assert desk.stop(grace_ms=1)["fault"] == "ok"
    is_settled(bench, [])


def test_one_that_is_suspended_is_started(desk, bench):
    desk.start()
    bench.fly.one().state = "suspended"
    assert desk.list()["u1"]["state"] == "stopped"
    assert only(desk.start())["state"] == "running"


def test_one_that_is_not_quite_down_yet_is_started_a_little_later(desk, bench):
    desk.start()
    desk.stop()
    bench.fly.cue("start", 412, {"error": "failed_precondition: machine still active, refusing to start"}, times=2)
    assert only(desk.start())["state"] == "running"
    assert bench.fly.count("start") == 3


def test_one_that_is_stopping_is_not_started(desk, bench):
    desk.start()
    bench.fly.one().state = "stopping"
    answer = desk.start()
    assert answer["fault"] == "transient" and "stopping" in answer["reason"]


def test_one_that_somebody_destroyed_is_made_anew(desk, bench):
    desk.start()
    bench.fly.one().destroy()
    until(lambda: not bench.fly.ours(), "it is gone")
    assert desk.list() == {}
    assert desk.stop()["fault"] == "ok"
    assert only(desk.start())["state"] == "running"
    is_settled(bench, ["u1"])


def test_one_whose_host_is_gone_is_replaced(desk, bench):
    desk.start()
    lost = bench.fly.one()
    lost.host_status = "unreachable"
    unit = desk.list()["u1"]
    assert unit["state"] == "failed" and "host of machine" in unit["reason"]
    assert only(desk.start())["handle"] != lost.id
    is_settled(bench, ["u1"])


def test_one_whose_host_does_nothing_any_more_is_replaced(desk, bench):
    desk.start()
    lost = bench.fly.one()
    lost.host_status, bench.fly.cut_status = "unreachable", 503
    unit = only(desk.start())
    assert unit["handle"] == bench.fly.one().id != lost.id and unit["state"] == "running"
    assert only(desk.start())["handle"] == unit["handle"]
    assert desk.list()["u1"]["handle"] == unit["handle"]
    lost.host_status = "ok"  # and it runs
    answer = desk.call("list")
    assert only(answer)["handle"] == unit["handle"]
    assert f"machine {lost.id} is one too many of unit u1" in answer["warning"]
    until(lambda: lost.state == "destroyed", "it is destroyed")
    assert bench.fly.one().id == unit["handle"] and bench.fly.one().state == "started"
    is_settled(bench, ["u1"])


def test_one_too_many_that_does_not_go_is_tried_again(desk, bench):
    desk.start()
    spare = bench.fly.add({**bench.fly.one().config}, state="stopped")
    bench.fly.cue("delete", 422, {"error": "out of order"})
    assert "one too many" in desk.call("list")["warning"]
    until(lambda: bench.fly.count("unlease"), "it failed")
    assert spare.state == "stopped"
    until(lambda: not desk.call("list")["warning"], "it is destroyed")
    is_settled(bench, ["u1"])


def test_a_removal_ends_what_its_host_still_can_end(desk, bench):
    desk.start()
    lost = bench.fly.one()
    lost.host_status, bench.fly.cut_status = "unreachable", 503
    answer = desk.stop(remove=True)
    assert answer["fault"] == "transient" and "503" in answer["reason"]
    bench.fly.cut_status = 0
    assert desk.stop(remove=True)["fault"] == "ok"
    is_settled(bench, [])


def test_a_lease_that_another_holds_is_waited_for(desk, bench):
    desk.start()
    bench.fly.hold(bench.fly.one(), "flyctl", 3.0)
    assert desk.stop(remove=True)["fault"] == "ok"
    is_settled(bench, [])


@pytest.mark.parametrize("action, more", [("start", {}), ("stop", {}), ("delete", {"remove": True})])
def test_a_fault_leaves_no_lease(desk, bench, action, more):
    desk.start()
    if action == "start":
        desk.stop()
    call = desk.start if action == "start" else desk.stop
    bench.fly.cue(action, 422, {"error": "out of order"})
    answer = call(**more)
    assert answer["fault"] == "permanent" and "422: out of order" in answer["reason"]
    assert call(**more)["fault"] == "ok"
    assert not bench.fly.in_the_way


def test_a_fault_is_said_before_the_lease_is_given_back(desk, bench):
    desk.start()
    bench.fly.cue("stop", 422, {"error": "out of order"})
    bench.fly.cue("unlease", 503, times=3)
    assert desk.stop()["fault"] == "permanent"
    assert bench.fly.count("unlease") < 3
    number = desk.begin("stop", id="u1", grace_ms=1000, remove=True)
    desk.tell(call="close", service="app")  # in the midst of it
    assert "control is ending" in desk.end(number)["reason"]


def test_a_lease_is_not_waited_for_as_long_as_the_api_likes(desk, bench):
    desk.start()
    bench.fly.cue("lease", 409, {"error": "aborted: lease currently held by flyctl"}, times=2, headers={"Retry-After": "86400"})
    desk.patience = 60 * SLOW
    answer = desk.stop()
    assert answer["fault"] == "transient" and "held by another" in answer["reason"]


def test_a_close_ends_what_is_under_way(desk, bench):
    number = desk.begin("start", id="u1", release="r1", image=IMAGE + "stuck")
    until(lambda: bench.fly.ours(), "it is made")
    desk.tell(call="close", service="app")
    assert desk.end(number)["fault"] == "transient"
