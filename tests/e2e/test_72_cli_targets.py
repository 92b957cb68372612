# SPDX-License-Identifier: Apache-2.0
"""The command on targets and services while they run: their state, watched or not, pausing and maintenance."""

import os
import pty
import re
import signal
import subprocess

import pytest

from lib.gateway import refused_port
from lib.wait import DEADLINE, until

FAST = {"interval": "1s", "fast_interval": "200ms"}


class Watch:
    """`sluice target list --watch`, piped or on a terminal."""

    def __init__(self, gw, *words, terminal=False):
        self.text = b""
        self.read, write = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen([gw.binary, "target", "list", *words, "--watch"], cwd=gw.home,
                                        stdin=subprocess.DEVNULL, stdout=write, stderr=subprocess.PIPE)
        os.close(write)
        os.set_blocking(self.read, False)

    def more(self):
        try:
            self.text += os.read(self.read, 65536)
        except OSError:  # nothing yet; or, of a terminal, nothing any more
            pass
        return self.text

    def wait(self, check, what):
        until(lambda: check(self.more()), f"{what}: {self.text[-2000:]}")

    def end(self, number=None):
        """The exit code."""
        if number:
            self.process.send_signal(number)
        try:
            return self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.process.stderr.close()
            os.close(self.read)


def line_of(text, word):
    found = [line for line in text.splitlines() if re.search(rf"\b{re.escape(word)}\b", line)]
    assert len(found) == 1, text
    return found[0]


@pytest.fixture
def mixed(origin, gateway, ports):
    """One target that is up and one that is down."""
    gw = gateway([{"id": "good", "address": origin.address}, {"id": "bad", "address": f"127.0.0.1:{refused_port(ports)}"}],
                 service={"health": FAST})
    until(lambda: [gw.targets()[i]["state"] for i in ("good", "bad")] == ["up", "down"], "both are checked")
    return gw


def test_the_list_says_how_targets_are(mixed):
    done = mixed.cli("target", "list", "app")
    assert done.code == 0, done
    assert re.search(r"\bup\s+\d+s\s+0 ", line_of(done.out, "good")), done
    bad = line_of(done.out, "bad")
    assert re.search(r"\bdown\s+\d+s\s+0 ", bad) and "refused" in bad, done
    assert mixed.cli("target", "drain", "app", "good").code == 0
    assert re.search(r"\bdrained\b", line_of(mixed.cli("target", "list").out, "good"))
    found = mixed.cli("target", "list", "app", "--json").json()
    assert {t["id"]: t["state"] for t in found[0]["targets"]} == {"good": "up", "bad": "down"}
    assert mixed.cli("target", "list", "ap").code == 1


def test_metrics_of_targets(mixed, origins):
    def up():
        found = mixed.metrics().series("sluice_upstream_target_up", service="app", release="stable")
        return {dict(labels)["target"]: value for labels, value in found.items()}

    assert up() == {"good": 1, "bad": 0}
    assert mixed.cli("target", "remove", "app", "bad").code == 0
    assert up() == {"good": 1}
    for n in range(70):
        assert mixed.admin("POST", "/api/v1/services/app/targets", {"id": f"t{n}", "address": f"127.0.0.1:{n + 1}"}).status == 201
    assert len(up()) == 64


def test_regions_and_priorities(origin, gateway):
    gw = gateway(origin)
    assert gw.cli("target", "add", "app", "127.0.0.1:1", "--id", "far", "--region", "fra", "--priority", "2", "--weight", "3").code == 0
    far = gw.targets()["far"]
    assert (far["region"], far["priority"], far["weight"], far["source"]) == ("fra", 2, 3, "api")
    line = line_of(gw.cli("target", "list", "app").out, "far")
    assert "region fra" in line and "priority 2" in line and "weight 3" in line and "from api" in line
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    gw.start()
    assert gw.targets()["far"]["priority"] == 2
    for wrong in (["--priority", "16"], ["--priority", "many"], ["--weight", "0"], ["--region", "${env:HOME}"]):
        done = gw.cli("target", "add", "app", "127.0.0.1:2", *wrong)
        assert done.code == 1 and done.err, wrong
    assert "far" in gw.targets() and len(gw.targets()) == 2


# -- watching


def test_watching_into_a_pipe(mixed):
    watch = Watch(mixed, "app")
    watch.wait(lambda text: text.count(b"IN FLIGHT") >= 2, "drawn twice")
    assert b"\033" not in watch.text and b"good" in watch.text
    assert mixed.cli("target", "drain", "app", "good").code == 0
    watch.wait(lambda text: b"drained" in text, "the change is shown")
    assert watch.end(signal.SIGINT) == 0


def test_watching_on_a_terminal(mixed):
    watch = Watch(mixed, terminal=True)
    watch.wait(lambda text: text.count(b"\033[H\033[2J") >= 2, "drawn twice")
    assert watch.end(signal.SIGINT) == 0


def test_watching_ends_when_the_gateway_goes(mixed):
    watch = Watch(mixed)
    watch.wait(lambda text: b"good" in text, "drawn")
    mixed.signal(signal.SIGTERM)
    assert mixed.wait_exit() == 0
    assert watch.end() == 3


def test_watching_what_is_not_there(mixed):
    assert Watch(mixed, "none").end() == 1


# -- services


def test_pause_resume_and_maintenance(origin, gateway):
    gw = gateway(origin, service={"maintenance": {"body": "soon"}})
    done = gw.cli("pause", "app")
    assert done.code == 0 and "app is paused" in done.out, done
    client = gw.connect().request("GET", "/")
    until(lambda: "1 request waits" in gw.cli("status").out, "the one that waits")
    assert re.search(r"\bpaused, by the api\b", gw.cli("status").out)
    assert gw.cli("resume", "app", "--json").json()["mode"] == "running"
    assert client.reply().text == "ok"
    assert gw.cli("maintenance", "app", "on").code == 0
    assert gw.get().text == "soon"
    assert "maintenance" in gw.cli("status").out
    assert gw.cli("maintenance", "app", "off").code == 0
    assert gw.get().text == "ok"
    assert "maintenance" not in gw.cli("status").out


def test_status_says_how_targets_are(mixed):
    out = mixed.cli("status").out
    assert re.search(r"^app +good +up ", out, re.M) and re.search(r"^ +bad +down ", out, re.M)


@pytest.mark.parametrize("words, code", [
    (["pause"], 2), (["pause", "a", "b"], 2), (["resume"], 2), (["maintenance", "app"], 2),
    (["maintenance", "app", "maybe"], 2), (["pause", "app", "--nonsense"], 2),
    (["pause", "ap"], 1), (["resume", "ap"], 1), (["maintenance", "ap", "on"], 1),
])
def test_wrong_use(origin, gateway, words, code):
    done = gateway(origin).cli(*words)
    assert done.code == code and done.err
    assert code == 2 or 'did you mean "app"?' in done.err


def test_help_names_them(origin, gateway):
    out = gateway(origin, run=False).cli("help").out
    for command in ("pause", "resume", "maintenance"):
        assert re.search(rf"^  sluice {command} +SERVICE", out, re.M)


@pytest.mark.parametrize("words", [["pause", "app"], ["resume", "app"], ["maintenance", "app", "on"], ["target", "list", "--watch"]])
def test_a_gateway_that_is_not_there(origin, gateway, words):
    assert gateway(origin, run=False).cli(*words).code == 3
