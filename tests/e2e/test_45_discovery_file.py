# SPDX-License-Identifier: Apache-2.0
"""Targets listed in a file of their own, which is watched."""

import json
import os
import signal
from collections import Counter

import pytest

from lib.client import Client
from lib.load import Load
from lib.wait import QUIET, stays, until


def several(origins, count):
    made = [origins() for _ in range(count)]
    for n, origin in enumerate(made):
        origin.answers(f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}")
    return made


def replace(path, text):
    """In one step, as a careful writer does."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.rename(path)


def listing(*found):
    return json.dumps([o if isinstance(o, dict) else o.address for o in found])


@pytest.fixture
def listed(gateway):
    """A gateway whose targets are in the file targets.yaml beside its configuration."""

    def make(text, **service):
        gw = gateway(run=False, services={"app": {"balance": "round_robin", "discover": {"file": "targets.yaml"}, **service}})
        gw.targets_file = gw.home / "targets.yaml"
        if text is not None:
            gw.targets_file.write_text(text)
        return gw.start()

    return make


def discover_of(gw):
    return gw.status()["services"][0]["discover"]


def wait_ids(gw, *ids):
    until(lambda: set(gw.targets()) == set(ids), f"targets {ids}")


def wait_problem(gw, *words):
    return until(lambda: all(w in discover_of(gw).get("problem", "") for w in words) and discover_of(gw), f"problem {words}")


def tally(gw, count):
    return Counter(gw.get().text for _ in range(count))


@pytest.mark.parametrize("form", ["list", "map", "yaml"])
def test_targets_of_a_file(origins, listed, form):
    first, second = several(origins, 2)
    targets = [{"id": "a", "address": first.address, "weight": 3, "region": "fra"}, second.address]
    text = json.dumps(targets if form == "list" else {"targets": targets})
    if form == "yaml":
        text = f"# by hand\ntargets:\n  - {{id: a, address: '{first.address}', weight: 3, region: fra}}\n  - {second.address}\n"
    gw = listed(text)
    assert tally(gw, 8) == {"0": 6, "1": 2}
    assert (discover_of(gw)["source"], discover_of(gw)["count"]) == ("file targets.yaml", 2)
    a = gw.targets()["a"]
    assert (a["source"], a["weight"], a["region"]) == ("discovered", 3, "fra")


def test_it_is_watched(origins, listed):
    made = several(origins, 3)
    gw = listed(listing(made[0]))
    assert gw.get().text == "0"
    with Load(gw) as load:
        for now in ((0, 1), (1,), (1, 2), (0, 1, 2), (2,)):
            replace(gw.targets_file, listing(*[made[n] for n in now]))
            wait_ids(gw, *[made[n].address for n in now])
            load.grow(10)
        gw.targets_file.write_text(listing(made[0], made[2]))  # in place
        wait_ids(gw, made[0].address, made[2].address)
        load.grow(10)
    load.check(50)


def test_half_a_file_is_not_read(origins, listed):
    made = several(origins, 2)
    gw = listed(listing(made[0]))
    assert gw.get().text == "0"
    with open(gw.targets_file, "w") as file:
        file.write("targets:\n")
        file.flush()
        file.write(f"  - {made[0].address}\n  - {made[1].address}\n")
    wait_ids(gw, made[0].address, made[1].address)
    assert "discover:" not in gw.stderr()


@pytest.mark.parametrize("text, words", [
    ("- 127.0.0.1:1\n- 127.0.0.1\n", ["targets.yaml:2:3", "has no port"]),
    ("targets: [{address: '127.0.0.1:1', wieght: 3}]", ["targets.yaml:1:", "wieght"]),
    ("- 127.0.0.1:1\n- 127.0.0.1:1\n", ["targets.yaml:2:3", "written twice"]),
    ("- ${env:HOME}:80\n", ["targets.yaml:1:3"]),
    ("[", ["targets.yaml:"]),
    ("just words", ["targets.yaml:1:1", "expected a list"]),
    ("targets: []", ["targets.yaml:1:10", "empty"]),
    ("", ["targets.yaml:1:1", "lists no targets"]),
    (None, ["targets.yaml", "No such file"]),
], ids=["address", "key", "twice", "env", "syntax", "words", "none", "empty", "gone"])
def test_a_broken_one_changes_nothing(origin, origins, listed, text, words):
    gw = listed(listing(origin))
    assert gw.get().text == "ok"
    with Client(f"unix:{gw.state}/admin.sock") as events:
        events.request("GET", "/api/v1/events", host="localhost")
        events.until(b": follow", "the beginning")
        if text is None:
            gw.targets_file.unlink()
        else:
            replace(gw.targets_file, text)
        events.until(b"event: discover", "an event")
    assert wait_problem(gw, *words)["count"] == 1
    assert gw.get().text == "ok"
    other = origins()
    replace(gw.targets_file, listing(other))
    wait_ids(gw, other.address)
    assert "problem" not in discover_of(gw)
    assert gw.get().text == "ok" and other.requests


def test_requests_wait_for_a_file_that_comes(origin, listed):
    gw = listed(None)
    clients = [gw.connect().request() for _ in range(3)]
    stays(lambda: origin.untouched, "nobody is served")
    replace(gw.targets_file, listing(origin))
    assert {c.reply().text for c in clients} == {"ok"}


def test_a_restart_without_the_file_serves(origin, listed):
    gw = listed(listing({"id": "a", "address": origin.address, "priority": 2, "weight": 7, "region": "ams"}))
    assert gw.get().text == "ok"
    until(lambda: (gw.state / "discovered.json").exists(), "the list is kept")
    gw.targets_file.unlink()
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    gw.start()
    assert gw.get().text == "ok"
    a = gw.targets()["a"]
    assert (a["priority"], a["weight"], a["region"]) == (2, 7, "ams")
    wait_problem(gw, "No such file")


def test_a_folder_that_is_swapped(origins, listed):
    """As Kubernetes does it: the file is a link into a folder that is replaced as a whole."""
    made = several(origins, 2)
    gw = listed(listing(made[0]))
    assert gw.get().text == "0"
    for n in (0, 1):
        (gw.home / f"v{n}").mkdir()
        (gw.home / f"v{n}" / "targets.yaml").write_text(listing(made[n]))
    (gw.home / "now").symlink_to("v0")
    gw.targets_file.unlink()
    gw.targets_file.symlink_to("now/targets.yaml")
    stays(lambda: gw.get().text == "0", "the same list", QUIET)
    (gw.home / "next").symlink_to("v1")
    os.rename(gw.home / "next", gw.home / "now")
    wait_ids(gw, made[1].address)
    assert gw.get().text == "1"
