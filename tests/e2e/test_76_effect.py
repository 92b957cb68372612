# SPDX-License-Identifier: Apache-2.0
"""What a change led to: measured before and after it, said once, also when control is killed meanwhile."""

import os
import signal

import pytest

from lib.wait import SLOW, stays, until
from test_74_deploy import HEALTH, QUICK, WAIT, Load

AFTER = int(5 * SLOW)


class Measured:
    def __init__(self, gateway, origins, **control):
        self.origin = origins()
        self.slow = origins()
        self.slow.on("/")(lambda conn, request: conn.respond(500, b"bad"))
        self.gw = gateway(services={"shop": {"releases": {"stable": {"targets": [self.origin.address]},
                                                          "next": {"targets": [self.slow.address]}},
                                             "split": {"stable": 1, "next": 0}, "health": HEALTH, "deploy": QUICK}},
                          control={"effect_after": f"{AFTER}s", **control})
        until(lambda: self.gw.admin("GET", "/api/v1/ledger").status == 200, "control answers", WAIT)

    def entries(self, action="effect"):
        reply = self.gw.admin("GET", "/api/v1/ledger?since=0&limit=1000")
        return [e for e in (reply.json()["entries"] if reply.status == 200 else []) if e["action"] == action]

    def split(self, **shares):
        assert self.gw.admin("PUT", "/api/v1/services/shop/split", shares).status == 200

    def effects(self, count):
        return until(lambda: self.entries() if len(self.entries()) == count else None, f"{count} effects: {self.entries()}", WAIT)

    def control(self):
        return next((pid for pid, line in self.gw.members() if " control " in line), None)

    def history(self):
        """Until control has counted for long enough to compare."""
        seen = len(self.entries())
        while not (self.entries() and self.entries()[-1]["effect"]["known"]):
            self.gw.admin("POST", "/api/v1/services/shop/pause")
            self.gw.admin("POST", "/api/v1/services/shop/resume")
            seen += 2
            self.effects(seen)


@pytest.fixture
def measured(gateway, origins):
    return lambda **control: Measured(gateway, origins, **control)


def test_before_and_after(measured):
    m = measured()
    with Load(m.gw, 2):
        m.history()
        count = len(m.entries())
        m.split(stable=0, next=1)
        effect = m.effects(count + 1)[-1]
    change = m.entries("service.split")[-1]
    said = effect["effect"]
    assert (effect["of"], effect["service"], effect["actor"], effect["edge"]) == (change["id"], "shop", "control", "control")
    assert effect["subject"] == "service.split" and said["over_ms"] == AFTER * 1000
    assert said["before"]["requests"] > 100 and said["before"]["failures"] == 0
    assert said["after"]["requests"] > 100 and said["after"]["failures"] == said["after"]["requests"]
    assert 0 < said["before"]["p50_us"] <= said["before"]["p95_us"] < 60_000_000
    assert effect["time_ms"] - change["time_ms"] >= AFTER * 1000
    line = m.gw.cli("history", "shop").out.splitlines()[-1]
    assert f"what {change['id']} led to: " in line and "100% failed" in line, line
    assert m.gw.cli("history", "--verify").code == 0


def test_what_was_not_counted_is_not_known(measured):
    m = measured()
    m.split(stable=1, next=1)
    effect = m.effects(1)[0]
    assert effect["effect"] == {"known": False, "why": "control had not counted for long enough before it"}
    assert "is not known: control had not counted" in m.gw.cli("history").out


def test_a_killed_control_forgets_none_and_says_none_twice(measured):
    m = measured()
    m.split(stable=1, next=1)
    m.split(stable=1, next=2)
    until(lambda: len(m.entries("service.split")) == 2, "both in the ledger", WAIT)
    for _ in range(3):
        pid = m.control()
        os.kill(pid, signal.SIGKILL)
        until(lambda: m.control() not in (None, pid), "another control", WAIT)
    effects = m.effects(2)
    assert [e["of"] for e in effects] == [e["id"] for e in m.entries("service.split")]
    pid = m.control()
    os.kill(pid, signal.SIGKILL)
    until(lambda: m.control() not in (None, pid) and m.entries(), "another control", WAIT)
    stays(lambda: len(m.entries()) == 2, "none twice")


def test_a_restarted_edge_does_not_spoil_it(measured):
    m = measured()
    with Load(m.gw, 1):
        m.history()
    edge = m.gw.edge
    os.kill(edge, signal.SIGKILL)
    until(lambda: m.gw.edges() and m.gw.edges() != [edge] and m.gw.is_ready(), "another edge", WAIT)
    count = len(m.entries())
    for _ in range(30):
        assert m.gw.get("/").status == 200
    m.split(stable=2, next=0)
    said = m.effects(count + 1)[-1]["effect"]
    assert said["known"] and said["before"]["requests"] < 1_000_000 and said["after"]["requests"] == 0


def test_off(measured):
    m = measured(effect_after="off")
    m.split(stable=1, next=1)
    until(lambda: m.entries("service.split"), "the change", WAIT)
    stays(lambda: not m.entries(), "nothing is said")
