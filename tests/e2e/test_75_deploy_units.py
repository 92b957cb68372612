# SPDX-License-Identifier: Apache-2.0
"""Deploys of a service whose instances are processes of this machine: releases that start, crash, hang and fail, and
what a killed app, control, edge or supervisor changes."""

import os
import signal

import pytest

from lib.release_app import APP
from lib.wait import SLOW, until
from test_74_deploy import CALM, HEALTH, QUICK, WAIT, Load


class Shop:
    def __init__(self, gateway, deploy, instances=2, more=None, **service):
        self.gw = gateway(run=False)
        app = self.gw.home / "app.py"
        app.write_text(APP)
        process = {"command": ["/usr/bin/python3", "-B", str(app), "${release}"], "instances": instances, "grace": "2s"}
        if os.geteuid() == 0:
            process["user"] = "root"
        usual = {"provider": {"process": process}, "health": HEALTH, "assign": {"by": "cookie"}}
        services = {name: {**usual, "deploy": {**QUICK, "healthy": "20s"}, **keys} for name, keys in (more or {}).items()}
        services["shop"] = {**usual, "deploy": {**QUICK, "healthy": "20s", **deploy}, **service}
        self.gw.change(services=services, routes=[{"paths": ["/*"], "service": "shop"}],
                       admin={"bind": f"127.0.0.1:{self.gw.admin_port}"})
        self.gw.start()
        until(lambda: self.gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", 30 * SLOW)

    def deploy(self, release, *words):
        return self.gw.cli("deploy", "shop", "--release", release, *words, timeout=WAIT)

    def show(self, ident):
        return self.gw.admin("GET", f"/api/v1/deploys/{ident}").json()

    def stable(self, service):
        """The release that gets all."""
        releases = next(one for one in self.gw.status()["services"] if one["name"] == service)["releases"]
        return max(releases, key=lambda one: one["share"])["id"]

    def serves(self, name):
        got = {self.gw.get("/").text for _ in range(20)}
        assert got == {name}, got

    def apps(self):
        """{pid: release} of the app's processes."""
        found = {}
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            try:
                with open(f"/proc/{pid}/cmdline", "rb") as file:
                    words = file.read().decode().split("\0")
            except OSError:
                continue
            if len(words) > 3 and words[2] == str(self.gw.home / "app.py"):
                found[pid] = words[3]
        return found

    def runs(self, *releases):
        until(lambda: sorted(self.apps().values()) == sorted(releases), f"{releases} run: {self.apps()}", WAIT)

    def kill(self, what):
        before = next(pid for pid, line in self.gw.members() if f" {what} " in line)
        os.kill(before, signal.SIGKILL)
        until(lambda: any(f" {what} " in line and pid != before for pid, line in self.gw.members()), f"another {what}", WAIT)
        until(self.gw.is_ready, "it serves", WAIT)


@pytest.fixture
def shop(gateway):
    return lambda deploy=None, **options: Shop(gateway, deploy or {}, **options)


def test_releases_follow_each_other(shop):
    s = shop({"keep": "300ms"})
    assert s.gw.get("/").reason == "destination_unavailable"
    assert s.deploy("v1").code == 0
    s.serves("v1")
    with Load(s.gw, 2) as load:
        assert s.deploy("v2").code == 0
        s.runs("v2", "v2")  # what served before is stopped when its time is over
    assert not load.wrong, load.wrong[:3]
    s.serves("v2")
    s.gw.stop()
    assert not s.apps()


@pytest.mark.parametrize("release, why", [
    ("crash", "it exited with 1: no configuration, giving up"), ("never", "did not become healthy in time"),
    ("dies", "it exited with 1: \ufffd x" + "ж" * 37)])
def test_one_that_does_not_come_up(shop, release, why):
    s = shop({"healthy": "2s"} if release == "never" else {})
    assert s.deploy("v1").code == 0
    with Load(s.gw, 2) as load:
        done = s.deploy(release)
    assert done.code == 1 and why in done.err and "release v1 serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"v1"}
    s.runs("v1", "v1")


def test_one_that_fails_its_requests(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1s"}]})
    assert s.deploy("v1").code == 0
    with Load(s.gw) as load:
        done = s.deploy("bad")
    assert done.code == 1 and "release v1 serves" in done.err, done.out + done.err
    assert not load.wrong
    s.runs("v1", "v1")


def test_the_old_one_stays_warm_until_it_is_gone_back_to(shop):
    s = shop()
    assert s.deploy("v1").code == 0 and s.deploy("v2").code == 0
    s.runs("v1", "v1", "v2", "v2")
    assert s.gw.cli("rollback", "shop").code == 0
    s.runs("v1", "v1")
    s.serves("v1")


def test_going_back_further_than_the_warm_one(shop):
    s = shop({"keep": "100ms", "hooks": {"pre": ["test ! -e gate"]}}, instances=1)
    for release in ("v1", "v2", "v3"):
        assert s.deploy(release).code == 0
        s.runs(release)
    (s.gw.home / "gate").touch()  # what prepares a new release is not for one that has served
    with Load(s.gw, 2) as load:
        assert s.gw.cli("rollback", "shop", timeout=WAIT).code == 0
        s.runs("v2")
        done = s.gw.cli("rollback", "shop", "--release", "v1", timeout=WAIT)
        assert done.code == 0, done
    assert not load.wrong, load.wrong[:3]
    s.serves("v1")
    done = s.gw.cli("rollback", "shop", "--release", "v0")
    assert done.code == 1 and "is not known any more" in done.err, done


def test_no_way_back_over_a_breaking_migration_further_down(shop):
    s = shop({"keep": "100ms", "hooks": {"migrate": ["true"]}}, instances=1)
    assert s.deploy("v1").code == 0 and s.deploy("v2", "--breaking").code == 0
    s.runs("v2")
    assert s.deploy("v3").code == 0
    s.runs("v3")
    done = s.gw.cli("rollback", "shop", "--release", "v1")
    assert done.code == 1 and "v2 came with a migration declared breaking" in done.err, done
    assert s.gw.cli("rollback", "shop", timeout=WAIT).code == 0
    s.serves("v2")


def test_an_app_that_is_killed_comes_back(shop):
    s = shop(retry={"retries": 3, "on": ["connect", "reset", "reset_unsent"], "budget": "100%"})
    assert s.deploy("v1").code == 0
    with Load(s.gw, 2) as load:
        gone = min(s.apps())
        os.kill(gone, signal.SIGKILL)
        until(lambda: len(s.apps()) == 2 and gone not in s.apps(), "it runs again", WAIT)
        until(lambda: all(t["state"] == "up" for t in s.gw.targets("shop").values()) and len(s.gw.targets("shop")) == 2,
              "it serves again", WAIT)
    assert not load.wrong, load.wrong[:3]


@pytest.mark.parametrize("what", ["control", "edge"])
def test_a_process_that_dies_ends_no_app(shop, what):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "3s"}], "verdict": {**CALM, "max_time": "1s", "on_no_data": "pass"}})
    assert s.deploy("v1").code == 0
    ident = s.deploy("v2", "--detach").out.strip()
    until(lambda: s.show(ident)["phase"] == "watching", "it is under way", WAIT)
    before = s.apps()
    s.kill(what)
    assert s.gw.cli("deploy", "--follow", ident, timeout=WAIT).code == 0
    assert set(before) <= set(s.apps())
    s.serves("v2")


def test_a_supervisor_that_dies_leaves_nothing_twice(shop):
    s = shop()
    assert s.deploy("v1").code == 0
    before = set(s.apps())
    os.kill(s.gw.process.pid, signal.SIGKILL)
    s.gw.process.wait(10)
    until(lambda: not s.gw.members(), "all are gone", WAIT)
    s.gw.start()
    s.runs("v1", "v1")
    assert not before & set(s.apps())
    until(lambda: s.gw.get("/").status == 200, "it serves again", WAIT)
    s.serves("v1")


def test_a_stop_under_load_is_a_drain(shop):
    s = shop({"keep": "100ms"}, instances=1)
    assert s.deploy("v1").code == 0
    with Load(s.gw, 3) as load:
        for number in range(2, 4):
            assert s.deploy(f"v{number}").code == 0
            s.runs(f"v{number}")
    assert not load.wrong, load.wrong[:3]


def test_recreate_leaves_a_gap_and_goes_back(shop):
    s = shop({"strategy": "recreate", "healthy": "2s"}, instances=1, hold={"timeout": "20s"})
    assert s.deploy("v1").code == 0
    done = s.deploy("never")
    assert done.code == 1 and "release v1 serves" in done.err, done.out + done.err
    s.serves("v1")
    assert s.deploy("v2").code == 0
    s.serves("v2")
    s.runs("v2")


def test_rolling_goes_unit_by_unit(shop):
    s = shop({"strategy": "rolling", "healthy": "3s"}, instances=3)
    assert s.deploy("v1").code == 0
    with Load(s.gw, 2) as load:
        done = s.deploy("v2")
    assert done.code == 0, done
    assert not load.wrong, load.wrong[:3]
    assert set(load.counts) == {"v1", "v2"}
    log = [line["text"] for line in s.show(s.gw.admin("GET", "/api/v1/deploys").json()["deploys"][0]["id"])["log"]]
    assert [line for line in log if line.startswith("step")] == [
        "step 1 of 3: 33.33% to release v2", "step 2 of 3: 66.67% to release v2", "step 3 of 3: 100% to release v2"], log
    s.runs("v2", "v2", "v2")
    with Load(s.gw, 2) as load:
        done = s.deploy("never")
    assert done.code == 1 and "release v2 serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"v2"}
    s.runs("v2", "v2", "v2")


def hold(s, count):
    """Requests that are never made twice, and wait for let_go()."""
    clients = [s.gw.connect().request("POST", "/hold") for _ in range(count)]
    until(lambda: sum(t["in_flight"] for t in s.gw.targets("shop").values()) == count, "they are with the app", WAIT)
    return clients


def drained(s):
    """By whom, and whether it has requests yet."""
    return {(t["drained_source"], t["in_flight"] > 0) for t in s.gw.targets("shop").values() if t["drained"]}


def let_go(s):
    (s.gw.home / "go").touch()


def test_a_unit_that_goes_may_end_its_requests(shop):
    """Though the app ends at once when it is told, with what it has."""
    s = shop({"strategy": "rolling", "drain": "10m"}, instances=2)
    assert s.deploy("v1").code == 0
    clients = hold(s, 4)
    ident = s.deploy("v2", "--detach").out.strip()
    until(lambda: s.show(ident)["step"] == 2, "one has taken over", WAIT, lambda: str(s.show(ident)))
    until(lambda: drained(s) == {("control", True)}, "edges are told to drain it", WAIT, lambda: str(s.gw.targets("shop")))
    s.runs("v1", "v1", "v2", "v2")
    let_go(s)
    assert [client.reply().text for client in clients] == ["v1"] * 4
    s.runs("v2", "v2")
    until(lambda: s.show(ident)["outcome"] == "live", "it is live", WAIT, lambda: str(s.show(ident)))
    assert not any(t["drained"] for t in s.gw.targets("shop").values())


def test_one_that_does_not_end_is_not_waited_for_for_ever(shop):
    s = shop({"strategy": "rolling", "drain": "1s"}, instances=2)
    assert s.deploy("v1").code == 0
    clients = hold(s, 4)
    assert s.deploy("v2").code == 0
    s.runs("v2", "v2")
    assert {client.reply().status for client in clients} == {502}


def test_a_release_goes_to_staging_first(shop):
    s = shop({"staging": "stage", "hooks": {"regression": ["test $SLUICE_RELEASE != odd"]}}, instances=1, more={"stage": {}})
    done = s.deploy("v1")
    assert done.code == 0, done
    assert s.stable("stage") == s.stable("shop") == "v1"
    done = s.deploy("crash")
    assert done.code == 1 and "on staging" in done.err and "giving up" in done.err, done
    done = s.deploy("odd")
    assert done.code == 1 and "hook regression failed" in done.err, done
    assert (s.stable("stage"), s.stable("shop")) == ("odd", "v1")  # it is well there, as far as it is known
    s.serves("v1")


def test_a_release_that_staging_has_in_its_file_is_not_waited_for(shop, origins):
    releases = {name: {"targets": [origins().address]} for name in ("stable", "v1")}
    s = shop({"staging": "stage"}, instances=1, more={"stage": {"releases": releases}})
    done = s.deploy("v1")
    assert done.code == 1 and "on staging: Release v1 is one of the configuration's" in done.err, done
    assert s.deploy("v2").code == 0


def test_it_is_said_what_staging_waits_for(shop):
    gate = {**QUICK, "healthy": "20s", "hooks": {"pre": ["until test -e gate; do sleep 0.05; done"]}}
    s = shop({"staging": "stage"}, instances=1, more={"stage": {"deploy": gate}})
    assert s.gw.cli("deploy", "stage", "--release", "v0", "--detach").code == 0
    ident = s.deploy("v1", "--detach").out.strip()

    def said():
        return [line["text"] for line in s.show(ident)["log"] if "waits: on staging: Deploy d1 of release v0 is under way" in line["text"]]

    until(said, "it is said", WAIT, lambda: str(s.show(ident)))
    (s.gw.home / "gate").touch()
    done = s.gw.cli("deploy", "--follow", ident, timeout=WAIT)
    assert done.code == 0 and len(set(said())) == len(said()), done
    assert s.stable("stage") == s.stable("shop") == "v1"


@pytest.mark.parametrize("words, why", [
    (["--strategy", "platform"], "No platform switches releases of \"shop\" by itself: it is run by process"),
    (["--strategy", "best"], "\"strategy\" is bluegreen, canary, recreate, rolling or platform"),
    (["--image", "app:1"], "Nobody runs images for \"shop\""),
])
def test_what_the_platform_cannot_do_is_refused_before_anything_is_done(shop, words, why):
    s = shop()
    done = s.deploy("v1", *words)
    assert done.code == 1 and why in done.err, done
    assert not s.apps()
