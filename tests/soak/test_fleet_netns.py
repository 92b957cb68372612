# SPDX-License-Identifier: Apache-2.0
"""Three edges and a control, each on a machine of its own: what is cut off hears nothing any more, and nothing tells it
so. Clients ask all the time, through every edge."""

import contextlib
import http.server
import json
import signal
import ssl
import threading
import time

import pytest

from lib.fleet import WAIT
from lib.fly_app import App, Fly, live_config
from lib.netns import FRONT, need_spaces
from lib.pki import Authority
from lib.redis import Redis
from lib.wait import SLOW, stays, until
from spaced_fleet import ADMIN, SpacedFleet, Visitors

SILENT_S = 10 * SLOW  # in which one that is cut off is named
NAMED_S = SILENT_S + 8 * SLOW  # and in which a deploy says that it waits for it
FLY_TOKEN = "fm2_very-secret"
STEPS = {"strategy": "canary", "steps": [{"share": "50%", "for": "3s"}], "verdict": {"on_no_data": "pass", "max_time": "3s"}}


@pytest.fixture
def fleet(gateway, home):
    need_spaces()
    made = []

    def make(begin=True, **options):
        made.append(SpacedFleet(gateway, home, Authority(home), **options))
        return made[-1].begin_control() if begin else made[-1]

    yield make
    for one in made:
        one.close()


@contextlib.contextmanager
def visitors(fleet, path="/", *numbers):
    """Of these edges, or of all; not one request may fail."""
    with contextlib.ExitStack() as stack:
        all_of_them = [stack.enter_context(Visitors(fleet, number, path)) for number in numbers or range(len(fleet.edges))]
        yield all_of_them
    for each in all_of_them:
        each.check()


def test_control_dies_in_the_middle_of_a_deploy(fleet):
    f = fleet(**STEPS)
    with visitors(f) as crowd:
        ident = f.begin("v2")
        until(lambda: f.show(ident).get("phase") == "watching", "the step", WAIT)
        f.control.kill()
        for each in crowd:
            each.grow()
        f.restart_control()
        f.wait(ident, "live")
        for each in crowd:
            each.expect("v2")


def wait_silent(fleet, number, began):
    until(lambda: fleet.seen(number)["reachable"] is False, "it is named", WAIT)
    assert time.monotonic() - began < SILENT_S, fleet.seen(number)


def wait_held_up(fleet, ident, name):
    fleet.wait(ident, "waits_for_edge")
    assert [(one["edge"], one["silent"]) for one in fleet.show(ident)["waiting_for"]] == [(name, True)], fleet.show(ident)


@pytest.mark.parametrize("cut, mend", [("unplug", "plug"), ("drop", "pass_on")])
def test_an_edge_that_is_cut_off_is_waited_for(fleet, cut, mend):
    f = fleet()
    lost = f.spaces[1]
    until(lambda: f.seen(1)["reachable"], "control reaches it", WAIT)
    with visitors(f) as crowd:
        getattr(lost, cut)()
        began = time.monotonic()
        ident = f.begin("v2")
        wait_silent(f, 1, began)
        wait_held_up(f, ident, "e1")
        assert time.monotonic() - began < NAMED_S
        for each in crowd:  # no edge has switched before all can
            each.expect("stable")
        stays(lambda: f.show(ident)["outcome"] == "waits_for_edge", "it waits", 2)
        getattr(lost, mend)()
        f.wait(ident, "live")
        for each in crowd:
            each.expect("v2")
        assert f.shares(1) == f.shares(0) and f.shares(0)["stable"] == 0, "the old one is warm, on all of them"


def test_an_edge_that_is_cut_off_in_the_middle_of_a_canary_keeps_its_split(fleet):
    f = fleet(**STEPS)
    with visitors(f) as crowd:
        ident = f.begin("v2")
        until(lambda: f.show(ident).get("phase") == "watching", "the step", WAIT)
        half = f.shares(2)
        f.spaces[2].drop()
        wait_silent(f, 2, time.monotonic())
        wait_held_up(f, ident, "e2")
        assert f.shares(2) == half
        crowd[2].texts.clear()
        crowd[2].grow(50)
        assert set(crowd[2].texts) == {"stable", "v2"}, crowd[2].texts
        f.spaces[2].pass_on()
        f.wait(ident, "live")
        for each in crowd:
            each.expect("v2")


class Slow(http.server.ThreadingHTTPServer):
    """An edge that takes what it is told and answers once `answers` is set; `told` is set as soon as it has heard."""

    daemon_threads = True

    def __init__(self, space, leaf):
        self.told, self.answers = threading.Event(), threading.Event()
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(leaf.cert, leaf.key)
        with space:
            super().__init__((space.back, ADMIN), SlowHandler)
        self.socket = tls.wrap_socket(self.socket, server_side=True)
        threading.Thread(target=self.serve_forever, args=[0.05], daemon=True).start()

    def close(self):
        self.answers.set()
        self.shutdown()
        self.server_close()


class SlowHandler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        data = json.dumps(body).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def do_GET(self):
        target = {"id": "t", "release": "v2", "state": "up", "in_flight": 0}
        self.answer({"pid": 1, "generation": 1, "ready": True, "services": [
            {"name": "shop", "control": {"epoch": 0, "revision": 0}, "targets": [target]}]})

    def do_PUT(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.told.set()
        self.server.answers.wait()
        self.answer({})

    def log_message(self, *words):
        pass


def test_an_edge_that_vanishes_while_it_answers_is_named_as_soon(fleet):
    f = fleet(begin=False, count=0)
    space = f.add_space()
    with contextlib.closing(Slow(space, f.authority.leaf(space.back))) as slow:
        f.begin_control()
        ident = f.begin("v2")
        assert slow.told.wait(WAIT)
        space.drop()
        began = time.monotonic()
        wait_held_up(f, ident, "e0")
        assert time.monotonic() - began < NAMED_S
        space.pass_on()
        slow.answers.set()
        until(lambda: f.show(ident)["outcome"] != "waits_for_edge", "it goes on", WAIT)


def test_of_two_controls_the_older_one_is_refused(fleet):
    f = fleet()
    with visitors(f) as crowd:
        f.wait(f.begin("v2"), "live")
        f.control.kill_child()  # each run has a higher epoch
        until(lambda: f.control.ask("GET", "/api/v1/deploys").status == 200, "control answers", WAIT)
        f.wait(f.begin("v3"), "live")
        other = f.another_control()
        done = other.cli("deploy", "--follow", f.begin("v9", other))
        assert done.code == 4 and done.err.count("refuses: 409") == 3, done
        for each in crowd:
            each.expect("v3")
        assert all("v9" not in each.texts for each in crowd)
        f.wait(f.begin("v4"), "live")  # the one that is obeyed goes on
        for each in crowd:
            each.expect("v4")


class Others:
    """What edges and control know of beside each other: a Redis, and a service whose machine is at Fly.io, by its fake, whose
    API is on control's own machine, since a token goes nowhere else without TLS."""

    def __init__(self, home, fleet):
        self.fleet, self.port = fleet, 3000
        self.redis = Redis(home, 6379, options=["--bind", "0.0.0.0", "--protected-mode", "no"])
        for number in range(1, 6):
            fleet.apps.also(self.address(number))
        with fleet.desks[0]:
            self.fly = Fly(token=FLY_TOKEN, live=live_config(), on_start=self.run, address=self.address)
        self.start_redis()

    @staticmethod
    def address(number):
        return f"{FRONT}.{100 + number}"

    def start_redis(self):
        with self.fleet.apps:
            self.redis.start()

    def run(self, machine):
        with self.fleet.apps:
            return App(machine, self.port)

    def parts(self):
        fly = {"app": "shop", "api": self.fly.url, "token": "${env:FLY_API_TOKEN}", "port": self.port}
        boat = {"provider": {"fly": fly}, **self.fleet.usual(start="60s", healthy="20s")}
        limit = {"rate": "10000000/min", "burst": 10000000}
        return {"boat": boat}, {"routes": [{"paths": ["/boat"], "service": "boat"}, {"paths": ["/*"], "service": "shop"}],
                                "redis": {"url": f"redis://{self.fleet.apps.front}:6379"}, "filters": [{"rate_limit": limit}]}

    def deploy(self, release):
        done = self.fleet.control.cli("deploy", "boat", "--release", release, "--image", "registry.fly.io/shop:good")
        assert done.code == 0, done

    def die(self):
        self.fly.die()
        self.redis.kill()

    def close(self):
        self.redis.kill()
        self.fly.close()
        assert not self.fly.wrong, self.fly.wrong


@pytest.fixture
def others(home, monkeypatch):
    monkeypatch.setenv("FLY_API_TOKEN", FLY_TOKEN)
    made = []

    def parts(fleet):
        made.append(Others(home, fleet))
        return made[-1].parts()

    yield parts, made
    for one in made:
        one.close()


def test_edges_restart_while_all_that_they_know_of_is_dead(fleet, others):
    """Control, Redis, and the API of the provider whose machine serves."""
    parts, made = others
    f = fleet(parts=parts)
    f.wait(f.begin("v2"), "live")
    made[0].deploy("b1")
    for edge in f.edges:
        edge.wait_metric("sluice_rate_limit_degraded", 0)
    with visitors(f) as shoppers, visitors(f, "/boat") as sailors:
        f.control.kill()
        made[0].die()
        for edge in f.edges:
            edge.wait_metric("sluice_rate_limit_degraded", 1)
        before = f.edges[0].edges()
        f.edges[0].signal(signal.SIGUSR2)  # another process of the same edge, while its clients ask
        until(lambda: f.edges[0].edges() and not set(f.edges[0].edges()) & set(before), "another edge", WAIT)
        for each in shoppers + sailors:
            each.grow()
    for number, end in ((1, f.edges[1].stop), (2, f.edges[2].kill)):  # told to end, and lost with its machine
        with visitors(f, "/", 0, 3 - number), visitors(f, "/boat", 0, 3 - number):
            end()
            f.start_edge(number)
    with visitors(f) as shoppers, visitors(f, "/boat") as sailors:
        for each in shoppers:
            each.expect("v2")
        for each in sailors:
            each.expect("b1")
        made[0].start_redis()
        f.restart_control()
        f.wait(f.begin("v3"), "live")
        for each in shoppers:
            each.expect("v3")
        for each in sailors:
            each.expect("b1")
