# SPDX-License-Identifier: Apache-2.0
"""A service that sleeps when nothing comes, and is woken by the first request: by real control, edge, supervisor and
app, with the deaths of each."""

import fcntl
import json
import os
import selectors
import signal
import socket
import sqlite3
import threading
import time

import pytest

from lib.client import Client
from lib.release_app import APP
from lib.scaled import SLEEPY, make
from lib.wait import SLOW, stays, until
from test_74_deploy import WAIT



@pytest.fixture
def shop(gateway):
    return lambda scale=SLEEPY, **options: make(gateway, scale, **options)


@pytest.fixture
def asleep(shop):
    def made(*words, release="v1", **options):
        s = shop(*words, **options)
        assert s.deploy(release).code == 0
        s.sleeps()
        return s
    return made


class Asking(threading.Thread):
    """One request, from another thread."""

    def __init__(self, gw):
        super().__init__()
        self.gw, self.reply = gw, None
        self.start()

    def run(self):
        with Client(("127.0.0.1", self.gw.port), timeout=WAIT) as client:
            self.reply = client.get("/", timeout=WAIT)

    def answer(self):
        self.join(WAIT)
        assert self.reply, "no answer"
        return self.reply


# -- asleep and awake


def test_it_sleeps_and_a_request_wakes_it(asleep):
    s = asleep()
    for _ in range(2):
        s.sleeps()
        reply = s.gw.get("/", timeout=WAIT)
        assert (reply.status, reply.text) == (200, "v1"), f"{reply}\n{s.gw.stderr()}"
        assert "cold_start" in reply.header("Server-Timing")
        assert len(s.apps()) == 1
    s.wait_state("awake")
    assert s.scale()["eta_ms"] > 0


def test_sporadic_requests_are_all_answered(shop):
    s = shop()
    assert s.deploy("v1").code == 0
    seen = set()
    for number in range(12):
        reply = s.gw.get("/", timeout=WAIT)
        assert (reply.status, reply.text) == (200, "v1"), reply
        seen.add(s.scale()["state"])
        pause = 1.5 + number * 0.15  # about as long as it takes to fall asleep
        until(lambda end=time.monotonic() + pause: time.monotonic() > end, "it is quiet", WAIT)
    until(lambda: s.gw.stderr().count("goes to sleep") >= 2, "it slept between them", WAIT)


def test_one_that_is_wanted_again_while_it_ends(shop):
    s = shop({**SLEEPY, "idle": "1h"})
    assert s.deploy("stubborn").code == 0
    assert s.gw.cli("sleep", "shop").code == 0
    until(lambda: "unit stops" in s.gw.stderr(), "it is told to end", WAIT)
    assert s.gw.get("/", timeout=WAIT).text == "stubborn", s.gw.stderr()
    assert "signal=9" in s.gw.stderr()  # it was another one that answered


def test_words(shop):
    s = shop({**SLEEPY, "idle": "1h"})
    assert s.deploy("v1").code == 0
    assert s.gw.cli("sleep", "shop").code == 0
    s.sleeps()
    assert s.gw.cli("wake", "shop").code == 0
    s.wait_state("awake")
    s.wait_ready(1)
    done = s.gw.cli("sleep", "shop")
    assert done.code == 0 and "shop is asleep" in done.out, done
    s.wait_units(0)
    assert s.gw.cli("scale", "shop", "2").code == 0
    s.wait_ready(2)
    assert s.gw.cli("scale", "shop", "0").code == 0
    s.wait_units(0)
    assert "it is asleep" in s.gw.cli("status").out
    assert s.gw.get("/", timeout=WAIT).text == "v1"


# -- many at once


def test_a_thousand_at_once_boot_one(asleep):
    patient = {**SLEEPY, "stable": "60s", "panic": "20s"}  # one unit may take a while for so many
    s = asleep(patient, limits={"concurrency": 40, "queue": 1000, "queue_timeout": "30s"})
    s.gw.change(trusted_proxies=["127.0.0.0/8"])
    assert s.gw.cli("reload").code == 0
    starts, count, addresses = Counting(s), 1000, 100
    poll = selectors.DefaultSelector()
    for number in range(count):
        client = socket.create_connection(("127.0.0.1", s.gw.port))
        client.sendall(f"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: 10.0.0.{number % addresses}\r\nConnection: close\r\n\r\n".encode())
        poll.register(client, selectors.EVENT_READ)
    answers = []
    end = time.monotonic() + WAIT
    while len(answers) < count and time.monotonic() < end:
        for key, _ in poll.select(1):
            answers.append(key.fileobj.recv(4096).split(b"\r\n")[0])
            poll.unregister(key.fileobj)
            key.fileobj.close()
    assert len(answers) == count and set(answers) == {b"HTTP/1.1 200 OK"}, set(answers)
    assert starts.seen() == 1


class Counting:
    """How many units were started since."""

    def __init__(self, s):
        self.s = s
        self.before = self.count()

    def count(self):
        return self.s.gw.stderr().count("unit runs name=shop")

    def seen(self):
        return self.count() - self.before


def test_scanners_boot_none(asleep):
    s = asleep()
    starts, each = Counting(s), 2500 if SLOW == 1 else 250
    wrong = []

    def scan():
        with Client(("127.0.0.1", s.gw.port)) as client:
            for number in range(each):
                reply = client.get(("/.env", "/wp-login.php", "/.git/config", "/cgi-bin/x")[number % 4])
                if reply.status == 200:
                    wrong.append(reply)

    threads = [threading.Thread(target=scan) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and not starts.seen() and not s.apps()
    assert s.scale()["state"] == "asleep"


# -- deploys


def test_a_deploy_of_one_that_sleeps(asleep):
    s = asleep()
    assert s.deploy("v2").code == 0
    s.serves("v2")
    s.sleeps()
    assert s.gw.get("/", timeout=WAIT).text == "v2"


def test_one_that_sleeps_while_the_release_before_is_warm(shop):
    s = shop(deploy={"keep": "1h"})
    assert s.deploy("v1").code == 0
    assert s.deploy("lazy").code == 0  # takes its time to start
    for _ in range(2):
        s.sleeps()
        assert s.gw.get("/", timeout=WAIT).text == "lazy"
        s.wait_state("awake")
    last = s.gw.admin("GET", "/api/v1/deploys").json()["deploys"][0]
    assert (last["release"], last["phase"], last["why"]) == ("lazy", "live", ""), last


# -- what does not start


def test_starts_that_fail_open_the_circuit(asleep):
    s = asleep()
    app = s.gw.home / "app.py"
    app.write_text("import sys\nsys.exit('no configuration, giving up')\n")
    first = Asking(s.gw)
    s.wait_state("broken")
    reply = first.answer()
    assert (reply.status, reply.reason) == (503, "wake_failed"), reply
    assert "no configuration, giving up" in reply.json()["detail"]
    again = s.gw.get("/")
    assert again.reason == "wake_failed" and 1 <= int(again.header("Retry-After")) <= 10
    assert "cannot be woken: 3 starts in a row have failed" in s.gw.cli("status").out
    app.write_text(APP)
    assert s.gw.cli("wake", "shop").code == 0
    s.wait_state("awake")
    assert s.gw.get("/").text == "v1"


NOT_YET = """
import os, sys
with open(os.path.join(os.path.dirname(sys.argv[0]), "starts"), "a+") as file:
    file.write("x")
    file.seek(0)
    if len(file.read()) < 3:
        sys.exit("not yet")
"""


def test_the_third_start_may_be_the_one(asleep):
    s = asleep()
    (s.gw.home / "app.py").write_text(NOT_YET + APP)
    reply = s.gw.get("/", timeout=WAIT)
    assert (reply.status, reply.text) == (200, "v1"), reply
    assert len((s.gw.home / "starts").read_text()) == 3


def test_a_deploy_mends_what_does_not_start(asleep):
    s = asleep()
    app = s.gw.home / "app.py"
    app.write_text("import sys\nsys.exit('broken')\n")
    Asking(s.gw).answer()
    s.wait_state("broken")
    app.write_text(APP)
    assert s.deploy("v2").code == 0
    s.serves("v2")


# -- deaths


def test_control_dies_while_it_wakes(asleep):
    s = asleep(release="lazy")
    asking = Asking(s.gw)
    s.wait_units(1)
    s.kill_control()
    reply = asking.answer()
    assert (reply.status, reply.text) == (200, "lazy"), reply
    s.wait_state("awake")


def test_a_store_that_is_slow_keeps_nobody_waiting(asleep):
    s = asleep()
    store = sqlite3.connect(s.gw.state / "control.db", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")  # control writes nothing for as long as this lasts
    reply = s.gw.get("/", timeout=WAIT)
    assert (reply.status, reply.text) == (200, "v1"), reply
    (text,), = store.execute("SELECT document FROM documents WHERE kind = 'service'")
    assert json.loads(text)["scale"]["mode"] == "asleep"
    before = s.control()
    os.kill(before, signal.SIGKILL)  # it has told what it never wrote
    store.close()
    until(lambda: s.control() not in (None, before), "another control", WAIT)
    for _ in range(20):
        assert s.gw.get("/", timeout=WAIT).text == "v1"
    s.wait_state("awake")
    s.wait_units(1)


def test_control_dies_while_it_puts_to_sleep(shop):
    s = shop()
    assert s.deploy("v1").code == 0
    s.wait_state("asleep")
    s.kill_control()
    s.sleeps()
    assert s.gw.get("/", timeout=WAIT).text == "v1"


def test_the_edge_dies_while_all_sleeps(asleep):
    s = asleep()
    os.kill(s.gw.edge, signal.SIGKILL)
    until(s.gw.is_ready, "the edge back", WAIT)
    assert s.gw.get("/", timeout=WAIT).text == "v1"


def test_without_control_nobody_waits_for_long(asleep):
    s = asleep()
    with open(s.gw.state / "control.lock") as lock:

        def take():
            control = s.control()
            if control:
                os.kill(control, signal.SIGKILL)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return True
            except OSError:
                return False

        until(take, "no other control can begin", WAIT)
        reply = Asking(s.gw).answer()
        assert (reply.status, reply.reason) == (503, "control_unavailable"), reply
        assert s.gw.get("/").reason == "control_unavailable"
    until(lambda: s.gw.get("/", timeout=WAIT).status == 200, "control is back, and wakes it", WAIT)
