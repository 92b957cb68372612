# SPDX-License-Identifier: Apache-2.0
"""Deploys of a service whose instances are machines at Fly.io, by a fake of its API (tests/provider/fake_fly.py) whose
machines answer on loopback addresses: no fault leaves a machine too many, and the published rates are kept to."""

import os
import random
import signal

import pytest

from lib.fly_app import App, Fly, live_config
from lib.wait import SLOW, until
from test_74_deploy import HEALTH, QUICK, WAIT, Load

IMAGE = "registry.fly.io/shop:"
TOKEN = "fm2_very-secret"


class Shop:
    def __init__(self, gateway, ports, deploy, live=None, fly=None, **service):
        port = ports.take()
        block = random.randrange(1, 250)
        self.fly = Fly(token=TOKEN, live=live or live_config(), on_start=lambda machine: App(machine, port),
                       address=lambda number: f"127.{block}.0.{number}")
        self.gw = gateway(run=False)
        keys = {"app": "shop", "api": self.fly.url, "token": "${env:FLY_API_TOKEN}", "port": port, "instances": 2, "grace": "2s", **(fly or {})}
        self.gw.change(services={"shop": {"provider": {"fly": keys}, "health": HEALTH, "assign": {"by": "cookie"},
                                          "deploy": {**QUICK, "start": "60s", "healthy": "20s", **deploy}, **service}},
                       admin={"bind": f"127.0.0.1:{self.gw.admin_port}"})
        self.gw.start(env={"FLY_API_TOKEN": TOKEN})
        until(self.has_control, "control answers", 30 * SLOW)

    def has_control(self):
        return self.gw.admin("GET", "/api/v1/deploys").status == 200

    def deploy(self, release, *words, image="good", timeout=WAIT):
        return self.gw.cli("deploy", "shop", "--release", release, "--image", IMAGE + image, *words, timeout=timeout)

    def show(self, ident):
        return self.gw.admin("GET", f"/api/v1/deploys/{ident}").json()

    def serves(self, name):
        got = {self.gw.get("/").text for _ in range(20)}
        assert got == {name}, got

    def releases(self):
        return sorted(m.metadata["sluice_release"] for m in self.fly.ours().values())

    def runs(self, *releases):
        """Those and no others, and the edge knows where."""
        until(lambda: self.releases() == sorted(releases), f"{releases} run", WAIT, lambda: str(self.releases()))
        addresses = {f"{m.ip}:{self.gw.config['services']['shop']['provider']['fly']['port']}" for m in self.fly.ours().values()}
        until(lambda: {t["address"] for t in self.gw.targets("shop").values()} == addresses, "the edge knows them", WAIT,
              lambda: str((self.gw.targets("shop"), addresses)))

    def rests(self, *states):
        until(lambda: sorted(m.state for m in self.fly.ours().values()) == sorted(states), f"machines are {states}", WAIT,
              lambda: str([m.state for m in self.fly.ours().values()]) + self.gw.stderr()[-2000:])

    def kill_control(self):
        before = next(pid for pid, line in self.gw.members() if " control " in line)
        os.kill(before, signal.SIGKILL)
        until(lambda: any(" control " in line and pid != before for pid, line in self.gw.members()), "another control", WAIT)


@pytest.fixture
def shop(gateway, ports):
    made = []

    def new(deploy=None, **options):
        made.append(Shop(gateway, ports, deploy or {}, **options))
        return made[-1]

    yield new
    for each in made:
        each.gw.stop()
        each.fly.close()
        assert not each.fly.wrong, each.fly.wrong
        assert TOKEN not in each.gw.stderr()


def test_releases_follow_each_other(shop):
    s = shop({"keep": "300ms"})
    done = s.deploy("v1")
    assert done.code == 0, done
    s.serves("v1")
    with Load(s.gw, 2) as load:
        done = s.deploy("v2")
        assert done.code == 0, done
        s.runs("v2", "v2")
    assert not load.wrong, load.wrong[:3]
    s.serves("v2")
    log = [line["text"] for line in s.show("d1")["log"]]
    assert any("services: left out: 1 entry" in line for line in log), log
    assert TOKEN not in s.gw.admin("GET", "/api/v1/config").text + s.gw.admin("GET", "/api/v1/status").text


@pytest.mark.parametrize("is_another_file", [False, True])
def test_a_generation_that_comes_while_fly_is_asked(shop, is_another_file):
    """Nothing is broken off for it; for another file the plan is made anew."""
    s = shop()

    def meanwhile():
        s.fly.on_request = None
        if is_another_file:
            s.gw.change(timeouts={"drain": "3s"})
        s.gw.reload()
        until(lambda: s.gw.admin("GET", "/api/v1/edges").json()["edges"][0]["generation"] == s.gw.generation, "control knows", WAIT)

    s.fly.on_request = meanwhile
    done = s.deploy("v1")
    assert done.code == 0 and s.fly.on_request is None, done
    assert "control is ending" not in s.gw.stderr()
    s.serves("v1")


@pytest.mark.parametrize("image, why", [
    ("crash", "it exited with 3"), ("oom", "it had no memory left"), ("broken", "failed (launch_failed)"),
    ("never", "did not become healthy in time")])
def test_one_that_does_not_come_up(shop, image, why):
    s = shop({"healthy": "3s"})
    assert s.deploy("v1").code == 0
    with Load(s.gw, 2) as load:
        done = s.deploy("v2", image=image)
    assert done.code == 1 and why in done.err and "release v1 serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"v1"}
    s.runs("v1", "v1")


def test_one_that_fails_its_requests(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1s"}]})
    assert s.deploy("v1").code == 0
    with Load(s.gw) as load:
        done = s.deploy("v2", image="bad")
    assert done.code == 1 and "release v1 serves" in done.err, done
    assert not load.wrong
    s.runs("v1", "v1")


FAULTS = {
    "the answer to a create is lost": [("create", 0, None, 1, "lost")],
    "both are": [("create", 0, None, 2, "lost")],
    "a create fails": [("create", 500, {"error": "internal"}, 1, "refuse")],
    "a throttle": [("create", 429, {"error": "rate limit exceeded"}, 2, "refuse"), ("list", 429, None, 2, "refuse")],
    "the API is away": [("any", 503, None, 3, "refuse")],
    "a stop is lost": [("stop", 0, None, 1, "lost"), ("delete", 0, None, 1, "lost")],
    "a removal fails": [("delete", 500, {"error": "internal"}, 2, "refuse")],
    "waits end early": [("wait", 408, {"error": "deadline_exceeded: currently starting"}, 3, "refuse")],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_faults_of_the_platform(shop, faults):
    s = shop({"keep": "300ms"})
    assert s.deploy("v1").code == 0
    for fault in faults:
        s.fly.cue(fault[0], fault[1], fault[2], fault[3], fault[4])
    with Load(s.gw, 2) as load:
        done = s.deploy("v2", timeout=2 * WAIT)
        assert done.code == 0, done
        s.runs("v2", "v2")
    assert not load.wrong, load.wrong[:3]


def test_no_room(shop):
    s = shop()
    assert s.deploy("v1").code == 0
    s.fly.full = {"cdg"}
    done = s.deploy("v2")
    assert done.code == 1 and "insufficient resources in cdg" in done.err and "release v1 serves" in done.err, done
    s.runs("v1", "v1")
    s.serves("v1")


@pytest.mark.parametrize("at", ["create", "wait"])
def test_control_is_killed_on_the_way(shop, at):
    s = shop({"keep": "300ms"})
    assert s.deploy("v1").code == 0
    before = s.fly.count(at)
    assert s.deploy("v2", "--detach").code == 0
    until(lambda: s.fly.count(at) > before, f"a {at}", WAIT)
    s.kill_control()
    with Load(s.gw, 2) as load:
        s.runs("v2", "v2")
    assert not load.wrong, load.wrong[:3]


def test_a_token_that_is_revoked_half_way(shop):
    s = shop()
    assert s.deploy("v1").code == 0
    before = s.fly.count("create")
    assert s.deploy("v2", "--detach").code == 0
    until(lambda: s.fly.count("create") > before, "a create", WAIT)
    s.fly.token = None
    until(lambda: "refuses the token" in s.show("d2")["why"], "it says why", WAIT, lambda: str(s.show("d2")))
    s.serves("v1")
    s.fly.token = TOKEN
    until(lambda: s.show("d2")["outcome"] == "failed", "it is over", WAIT, lambda: str(s.show("d2")))
    s.runs("v1", "v1")  # what had been made of v2 goes


@pytest.mark.parametrize("more, why", [
    ({"mounts": [{"path": "/data", "volume": "vol_1"}]}, "has a volume at /data"),
    ({"services": [{"internal_port": 8080, "autostop": True, "autostart": True}]}, "autostop or autostart on")])
def test_a_plan_that_is_refused(shop, more, why):
    s = shop(live=live_config(**more))
    done = s.deploy("v1")
    assert done.code == 1 and why in done.err, done
    assert not s.fly.ours() and s.gw.admin("GET", "/api/v1/deploys").json()["deploys"] == []


SLEEPY = {"min": 0, "max": 2, "concurrency": 2, "stable": "3s", "panic": "1s", "down_cooldown": "1s", "idle": "2s"}


@pytest.mark.long
def test_it_sleeps_with_what_it_has_in_memory_and_goes_on(shop):
    s = shop({"keep": "300ms"}, scale=SLEEPY, fly={"rest": "suspend", "instances": 1})
    assert s.deploy("v1").code == 0
    for number in range(1, 3):
        s.rests("suspended")
        reply = s.gw.get("/", timeout=WAIT)
        assert (reply.status, reply.text) == (200, "v1"), reply
        assert "cold_start" in reply.header("Server-Timing")
        assert s.fly.one().resumes == number
    s.rests("suspended")
    s.kill_control()
    until(s.has_control, "control answers", WAIT)
    assert s.gw.get("/", timeout=WAIT).text == "v1"
    assert s.fly.one().resumes == 3 and not s.fly.count("stop")


@pytest.mark.long
def test_what_fly_does_not_suspend_is_stopped_and_wakes_all_the_same(shop):
    s = shop({"keep": "300ms"}, scale=SLEEPY, fly={"rest": "suspend", "instances": 1})
    assert s.deploy("v1").code == 0
    s.fly.cue("suspend", 400, {"error": "suspend is not supported"}, times=99)
    for _ in range(2):
        s.rests("stopped")
        assert s.gw.get("/", timeout=WAIT).text == "v1"
    s.rests("stopped")
    until(lambda: "could not be suspended, and is stopped" in s.gw.stderr(), "it is said", WAIT)
    assert s.gw.stderr().count("could not be suspended") == 1
