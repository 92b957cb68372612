# SPDX-License-Identifier: Apache-2.0
"""What apps outlive, and what they do not: edges, control, upgrades and the supervisor's own end."""
import os
import re
import signal
import subprocess

from conftest import APP, ask, is_alive, until


def edge_of(bench):
    return int(re.findall(r"edge started pid=(\d+)", bench.text())[-1])


def test_a_killed_edge_leaves_it_alone(make):
    bench = make("listen")
    desk = bench.start()
    before = desk.start()["units"][0]
    os.kill(edge_of(bench), signal.SIGKILL)
    bench.expect_log("edge ready", count=2)
    assert desk.list()["u1"]["handle"] == before["handle"]
    assert until(lambda: ask(before["address"]), "an answer")


def test_a_killed_control_leaves_it_alone_and_the_next_knows_it(make):
    bench = make("listen")
    desk = bench.start()
    before = desk.start()["units"][0]
    os.kill(desk.pid, signal.SIGKILL)
    desk = bench.next_desk()
    after = desk.list()["u1"]
    assert (after["handle"], after["address"], after["state"]) == (before["handle"], before["address"], "running")
    assert desk.start()["units"][0]["handle"] == before["handle"]
    assert desk.stop()["units"][0]["state"] == "stopped"


def test_what_ends_while_there_is_no_control_is_told_to_the_next(make):
    bench = make("listen")
    desk = bench.start()
    pid = int(desk.start()["units"][0]["handle"])
    os.kill(desk.pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    bench.expect_log("unit died")
    os.kill(desk.pid, signal.SIGKILL)
    assert bench.next_desk().list()["u1"]["signal"] == signal.SIGKILL


def test_an_upgrade_keeps_it(make):
    bench = make("say", "before", "listen", "child", "slow")
    desk = bench.start()
    before = desk.start()["units"][0]
    desk.expect_log("ready")
    desk.start("u2")
    desk.expect_log("ready", "u2")
    desk.stop("u2")
    bench.signal(signal.SIGUSR2)
    bench.expect_log("upgraded")
    desk = bench.next_desk()
    units = desk.list()
    after = units["u1"]
    same = ("handle", "address", "started_ms", "release", "restarts")
    assert [after[key] for key in same] == [before[key] for key in same]
    assert (units["u2"]["state"], units["u2"]["exit_code"]) == ("stopped", 0)
    assert "before" in desk.log() and "before" in desk.log("u2")
    assert until(lambda: ask(before["address"]), "an answer") == int(before["handle"])
    assert desk.start("u3")["units"][0]["address"] not in (before["address"], units["u2"]["address"])
    unit = desk.stop()["units"][0]
    assert unit["state"] == "stopped" and "child has finished" in desk.log()
    assert not is_alive(before["handle"])


def test_a_stop_goes_on_over_an_upgrade(make):
    bench = make("deaf")
    desk = bench.start()
    pid = desk.start()["units"][0]["handle"]
    desk.expect_log("ready")
    desk.begin("stop", id="u1", grace_ms=2000, remove=False)
    desk.expect("u1", "stopping")
    bench.signal(signal.SIGUSR2)
    desk = bench.next_desk()
    unit = desk.stop(grace_ms=5000)["units"][0]
    assert (unit["state"], unit["signal"]) == ("stopped", signal.SIGKILL) and not is_alive(pid)


def test_the_end_of_the_gateway_is_theirs_too_and_graceful(make):
    bench = make("listen")
    desk = bench.start()
    pid = desk.start()["units"][0]["handle"]
    desk.expect_log("ready")
    bench.signal(signal.SIGTERM)
    assert bench.wait() == 0
    assert not is_alive(pid)
    bench.expect_log("sluice: app/r1/u1: ending")
    assert "unit ended name=app/r1/u1 exit=0" in bench.text()


def test_the_end_of_the_gateway_gives_them_the_grace_of_the_configuration(make):
    bench = make("deaf", process={"grace": "400ms"})
    desk = bench.start()
    desk.start()
    desk.expect_log("ready")
    bench.signal(signal.SIGUSR2)
    bench.next_desk()
    bench.signal(signal.SIGTERM)
    assert bench.wait() == 0
    bench.expect_log("did not end in time")
    assert "unit stops name=app/r1/u1" in bench.text() and "grace_ms=400" in bench.text()


def test_a_second_signal_waits_for_nobody(make):
    bench = make("deaf")
    desk = bench.start()
    pid = desk.start()["units"][0]["handle"]
    desk.expect_log("ready")
    bench.signal(signal.SIGTERM)
    bench.expect_log("unit stops")
    bench.signal(signal.SIGTERM)
    assert bench.wait() == 0
    assert not is_alive(pid)


def test_nothing_is_left_of_a_killed_supervisor_when_the_next_one_serves(make):
    bench = make("listen", "child", "deaf")
    desk = bench.start()
    pid = int(desk.start()["units"][0]["handle"])
    child = int(re.search(r"child (\d+)", desk.expect_log("ready")).group(1))
    bench.kill()
    until(lambda: not is_alive(pid), "the app dies with the supervisor")
    assert is_alive(child)  # it was told nothing
    desk = bench.start()
    assert not is_alive(child)
    bench.expect_log("left behind was ended units=1")
    assert desk.list() == {}
    assert desk.start()["units"][0]["restarts"] == 0


def test_leftovers_of_a_living_supervisor_are_not_touched(make):
    bench = make("listen")
    desk = bench.start()
    unit = desk.start()["units"][0]
    driver = bench.process.args[0]
    assert subprocess.run([driver, "unit", bench.file], check=False).returncode == 0
    assert until(lambda: ask(unit["address"]), "an answer") == int(unit["handle"])


def test_records_that_make_no_sense_kill_nobody(make):
    bench = make("listen")
    folder = bench.folder / "state" / "units"
    folder.mkdir(parents=True, mode=0o700)
    boot = open("/proc/sys/kernel/random/boot_id", encoding="ascii").read().strip()
    victim = subprocess.Popen(["/bin/cat"], stdin=subprocess.PIPE, start_new_session=True)
    start = open(f"/proc/{victim.pid}/stat", encoding="ascii").read().rsplit(")", 1)[1].split()[19]
    lines = {"empty": "", "text": "hello\n", "other-boot": f"1 {'0' * 36} 999999 1 {victim.pid} {start}\n",
             "other-start": f"1 {boot} 999999 1 {victim.pid} {int(start) + 1}\n", "init": f"1 {boot} 999999 1 1 0\n",
             "..": None, "negative": f"1 {boot} 999999 1 -1 0\n", "long": "1 " + "x" * 5000}
    for name, text in lines.items():
        if text is not None:
            (folder / name).write_text(text)
    os.chmod(folder, 0o700)
    desk = bench.start()
    assert victim.poll() is None and is_alive(victim.pid)
    assert desk.start()["fault"] == "ok"
    victim.stdin.close()
    victim.wait()


def test_a_folder_of_records_that_others_can_write_is_not_believed(make):
    bench = make("listen")
    folder = bench.folder / "state" / "units"
    folder.mkdir(parents=True)
    os.chmod(folder, 0o777)
    desk = bench.start()
    bench.expect_log("could not be looked for")
    answer = desk.start()
    assert answer["fault"] == "unauthorized" and "units is not the supervisor's alone" in answer["reason"]


def test_more_control_processes_than_one_see_the_same(make):
    """Nothing of a control that was killed in mid-call reaches the next one."""
    bench = make("deaf", services={"other": {"command": [APP, "flood", "2000"]}})
    desk = bench.start()
    for _ in range(3):
        for i in range(4):
            desk.begin("start", service="other", id=f"x{i}", release="r1")
            desk.begin("list")
        os.kill(desk.pid, signal.SIGKILL)
        desk = bench.next_desk()
        assert set(desk.list()) == set()
    for i in range(4):
        assert desk.start(f"x{i}", service="other")["fault"] == "ok"
    assert len(desk.list("other")) == 4
