# SPDX-License-Identifier: Apache-2.0
"""The provider `process`, from the contract through control's link and the supervisor to real apps."""
import json
import os
import re
import signal

import pytest

from conftest import APP, ask, has_in_memory, is_alive, until


def line_with(log, word):
    return json.loads(next(line for line in log.splitlines() if word in line))


def children_in(log):
    return [int(pid) for pid in re.findall(r"child (\d+)", log)]


def test_it_serves_where_the_listing_says(make):
    desk = make("listen").start()
    unit = desk.start()["units"][0]
    assert (unit["state"], unit["restarts"], unit["exit_code"], unit["signal"]) == ("running", 0, -1, 0)
    assert until(lambda: ask(unit["address"]), "an answer") == int(unit["handle"])
    assert desk.list()["u1"]["address"] == unit["address"]


def test_its_environment_is_what_is_given_and_no_more(make):
    bench = make("env", process={"env": {"MODE": "${env:TEST_SECRET}", "LANG": "xx"}, "port_env": "LISTEN_ON"})
    desk = bench.start(TEST_SECRET="hush", HOME="/nowhere")
    unit = desk.start(env={"SLUICE_DEPLOY_COMMIT": "abc=1"})["units"][0]
    desk.expect_log("ready")
    env = line_with(desk.log(), "MODE")
    assert env.pop("PATH") and env.pop("HOME") != "/nowhere"
    env.pop("LC_CTYPE", None)  # Python's own doing
    assert env == {"MODE": "hush", "LANG": "xx", "LISTEN_ON": unit["address"].split(":")[1],
                   "SLUICE_SERVICE": "app", "SLUICE_RELEASE": "r1", "SLUICE_UNIT": "u1",
                   "SLUICE_DEPLOY_COMMIT": "abc=1"}


def test_secrets_of_its_environment_are_in_no_other_process(make):
    bench = make()
    secret = bench.folder / "secret"
    secret.write_text("very-hush-hush")
    bench.configure({"app": {"command": [APP, "length", "MODE"], "env": {"MODE": "${file:%s}" % secret}}})
    desk = bench.start()
    app = int(desk.start()["units"][0]["handle"])
    desk.expect_log("length 14\nready")
    assert has_in_memory(app, b"very-hush-hush")
    assert not any(has_in_memory(pid, b"very-hush-hush") for pid in (desk.pid, bench.process.pid))


def test_release_stands_in_the_command_and_the_directory(make):
    bench = make()
    (bench.folder / "r-1").mkdir()
    bench.configure({"app": {"command": [APP, "limits", "say", "${release}-${release}", "say", "${other}"],
                             "directory": str(bench.folder) + "/${release}"}})
    desk = bench.start()
    desk.start(release="r-1")
    log = desk.expect_log("ready")
    assert "r-1-r-1\n${other}\n" in log
    assert line_with(log, "cwd")["cwd"] == str(bench.folder / "r-1")


def test_user_limits_and_streams(make):
    process = {"limits": {"files": 64, "memory": "512MiB"}}
    if os.getuid() == 0:
        process["user"] = "nobody"
    desk = make("limits", process=process).start()
    answer = desk.start()
    if os.getuid() == 0 and answer["fault"] != "ok":
        pytest.skip("the tree cannot be read by nobody")
    seen = line_with(desk.expect_log("ready"), "files")
    assert seen["files"] == [64, 64] and seen["data"] == [512 << 20] * 2
    assert seen["session"] and seen["stdin"] == "/dev/null" and seen["privileges"] == "1"
    assert seen["fds"] == ["0", "1", "2", "3"]  # the last is the folder that is listed
    if os.getuid() == 0:
        assert seen["uid"] == 65534 and 0 not in seen["groups"] and seen["gid"] == 65534


def test_its_output_is_kept_and_shown_with_its_name(make):
    bench = make("say", "hello \x1b[1mworld", "say", "x" * 5000)
    desk = bench.start()
    desk.start()
    log = desk.expect_log("ready")
    assert log.startswith("hello \x1b[1mworld\n" + "x" * 5000 + "\n")
    bench.expect_log("sluice: app/r1/u1: hello ?[1mworld\n")
    bench.expect_log("sluice: app/r1/u1: " + "x" * 3000)
    assert desk.list()["u1"]["tail"].endswith("ready\n")


def test_a_flood_is_bounded_where_it_is_shown_and_the_newest_is_kept(make):
    bench = make("flood", "60000")
    desk = bench.start()
    desk.start()
    log = desk.expect_log("ready")
    assert "line 59999\n" in log and len(log) == 64 * 1024
    shown = sum("app/r1/u1: line " in line for line in bench.text().splitlines())
    assert 1000 < shown < 60000


def test_stop_is_graceful(make):
    desk = make("listen").start()
    desk.start()
    desk.expect_log("ready")
    unit = desk.stop()["units"][0]
    assert (unit["state"], unit["exit_code"], unit["signal"], unit["address"]) == ("stopped", 0, 0, None)
    assert "ending" in desk.log()


def test_one_that_is_deaf_is_killed_after_its_grace(make):
    bench = make("deaf")
    desk = bench.start()
    pid = int(desk.start()["units"][0]["handle"])
    desk.expect_log("ready")
    unit = desk.stop(grace_ms=300)["units"][0]
    assert (unit["state"], unit["exit_code"], unit["signal"]) == ("stopped", -1, signal.SIGKILL)
    assert not is_alive(pid) and unit["lived_ms"] >= 300
    bench.expect_log("did not end in time")


def test_without_a_grace_that_of_the_configuration_counts(make):
    bench = make("deaf", process={"grace": "150ms"})
    desk = bench.start()
    desk.start()
    desk.expect_log("ready")
    assert desk.stop(grace_ms=0)["units"][0]["signal"] == signal.SIGKILL
    assert "grace_ms=150" in bench.text()


def test_a_second_stop_may_be_in_more_of_a_hurry(make):
    desk = make("deaf").start()
    desk.start()
    desk.expect_log("ready")
    first = desk.begin("stop", id="u1", grace_ms=600000, remove=False)
    desk.expect("u1", "stopping")
    assert desk.stop(grace_ms=1)["units"][0]["signal"] == signal.SIGKILL
    assert desk.end(first)["fault"] == "ok"


def test_what_it_started_has_the_rest_of_the_grace(make):
    desk = make("child", "slow").start()
    desk.start()
    log = desk.expect_log("ready")
    desk.stop()
    assert "child has finished" in desk.log()
    assert not is_alive(children_in(log)[0])


@pytest.mark.parametrize("words", [("child", "deaf"), ("bomb",)])
def test_children_end_with_it(make, words):
    desk = make(*words).start()
    desk.start()
    expected = 32 if words == ("bomb",) else 1
    until(lambda: len(children_in(desk.log())) == expected, "all children")
    children = children_in(desk.log())
    desk.stop(grace_ms=200)
    assert not any(is_alive(pid) for pid in children)


def test_children_of_one_that_dies_end_at_once(make):
    desk = make("child", "deaf").start()
    pid = int(desk.start()["units"][0]["handle"])
    children = children_in(desk.expect_log("ready"))
    os.kill(pid, signal.SIGKILL)
    assert desk.expect("u1", "failed")["signal"] == signal.SIGKILL
    until(lambda: not is_alive(children[0]), "the child's end")


def test_crash_on_boot_is_told_and_nobody_restarts_it(make):
    bench = make("say", "no database", "exit", "7")
    desk = bench.start()
    assert desk.start()["fault"] == "ok"
    unit = desk.expect("u1", "failed")
    assert (unit["exit_code"], unit["signal"], unit["fault"]) == (7, 0, "ok")
    assert unit["tail"] == "no database\n"
    bench.expect_log("unit died name=app/r1/u1 exit=7")
    assert desk.list()["u1"]["state"] == "failed"
    assert bench.text().count("unit died") == 1


def test_one_that_ends_by_itself_with_0_has_stopped(make):
    desk = make("exit", "0").start()
    desk.start()
    assert desk.expect("u1", "stopped")["exit_code"] == 0


@pytest.mark.parametrize("process, fault, words", [
    ({"command": ["/nowhere/app"]}, "permanent", "cannot execute /nowhere/app: No such file"),
    ({"command": [APP], "directory": "/nowhere"}, "permanent", "cannot go to its directory /nowhere"),
    ({"command": [APP], "env": {"A": "${env:NOT_THERE}"}}, "permanent", "`sluice check` says why"),
])
def test_what_cannot_be_started_is_said(make, process, fault, words):
    bench = make()
    bench.configure({"app": process})
    desk = bench.start()
    answer = desk.start()
    assert answer["fault"] == fault and words in answer["reason"]
    assert desk.list()["u1"]["state"] == "failed"
    bench.expect_log("unit cannot be started name=app/r1/u1")


@pytest.mark.parametrize("what", ["file", "folder", "folder above", "owner"])
def test_what_others_can_write_gives_root_no_commands(make, what):
    if os.getuid() != 0:
        pytest.skip("not root")
    bench = make("listen")
    desk = bench.start()
    path = {"file": bench.file, "folder": bench.folder, "folder above": bench.folder.parent, "owner": bench.file}[what]
    mode = path.stat().st_mode
    os.chown(path, 65534, 0) if what == "owner" else os.chmod(path, mode | 0o020)
    answer = desk.start()
    assert answer["fault"] == "unauthorized" and f"can write to {path}" in answer["reason"]
    os.chown(path, 0, 0)
    os.chmod(path, mode)
    assert desk.start()["fault"] == "ok"


def test_root_has_to_be_said(make):
    if os.getuid() != 0:
        pytest.skip("not root")
    bench = make("listen", user="root", process={"user": None})
    bench.file.write_text(bench.file.read_text().replace(', "user": null', ""))
    answer = bench.start().start()
    assert answer["fault"] == "unauthorized" and "as root" in answer["reason"]


def test_a_command_of_the_newest_configuration_is_run(make):
    bench = make("say", "first")
    desk = bench.start()
    desk.start()
    desk.expect_log("first")
    bench.configure({"app": {"command": [APP, "say", "second"]}})
    desk.stop()
    desk.start()
    assert "first" in desk.expect_log("second")


def test_ports_are_never_given_twice(make):
    desk = make("listen").start()
    units = [desk.start(f"u{i}")["units"][0] for i in range(8)]
    assert len({unit["address"] for unit in units}) == 8
    for unit in units:
        assert until(lambda address=unit["address"]: ask(address), "an answer") == int(unit["handle"])
    desk.stop("u0", remove=True)
    assert desk.start("u0")["units"][0]["address"] not in {unit["address"] for unit in units}


def test_services_are_told_apart(make):
    desk = make("listen", services={"other": {"command": [APP]}}).start()
    desk.start("a")
    desk.start("b", service="other")
    assert set(desk.list()) == {"a"} and set(desk.list("other")) == {"b"}
    answer = desk.start("a", service="other")
    assert answer["fault"] == "permanent" and "service app" in answer["reason"]


def test_a_long_listing_comes_whole(make):
    desk = make("deaf").start()
    numbers = [desk.begin("start", id=f"u{i}", release="r1") for i in range(40)]
    assert all(desk.end(number)["fault"] == "ok" for number in numbers)
    assert len(desk.list()) == 40


def test_images_are_not_for_processes(make):
    desk = make().start()
    answer = desk.start(image="registry/app:1")
    assert answer["fault"] == "unsupported" and "images" in answer["reason"]


@pytest.mark.parametrize("env", [{"LD_PRELOAD": "x"}, {"SLUICE_UNIT": "x"}, {"SLUICE_DEPLOY_": "x"},
                                 {"SLUICE_DEPLOY_A": "x" * 5000}])
def test_a_deploy_sets_its_own_variables_alone(make, env):
    desk = make().start()
    assert desk.start(env=env)["fault"] in ("unsupported", "permanent")
    assert desk.list() == {}


def test_messages_that_are_not_understood_hurt_nobody(make):
    bench = make("listen")
    desk = bench.start()
    desk.start()
    for size in (0, 1, 4391, 4392, 4393, 8192):
        desk.tell(call="raw", text="nonsense", size=size)
    assert desk.list()["u1"]["state"] == "running"
    bench.expect_log("not understood")


def test_a_link_that_ends_completes_what_is_under_way(make):
    bench = make("deaf")
    desk = bench.start()
    desk.start()
    desk.expect_log("ready")
    number = desk.begin("stop", id="u1", grace_ms=600000, remove=False)
    desk.expect("u1", "stopping")
    desk.tell(call="cut")
    for answer in (desk.end(number), desk.start("u2"), desk.call("list")):
        assert answer["fault"] == "transient" and answer["reason"] == "the supervisor is gone"
    os.kill(desk.pid, signal.SIGKILL)
    desk = bench.next_desk()
    assert {unit["state"] for unit in desk.list().values()} == {"stopping"}
    assert desk.stop(grace_ms=1)["units"][0]["state"] == "stopped"


def test_close_completes_what_is_under_way(make):
    desk = make("deaf").start()
    desk.start()
    desk.expect_log("ready")
    number = desk.begin("stop", id="u1", grace_ms=600000, remove=False)
    desk.expect("u1", "stopping")
    desk.tell(call="close", service="app")
    assert desk.end(number)["fault"] == "transient"
