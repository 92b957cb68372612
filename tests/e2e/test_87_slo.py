# SPDX-License-Identifier: Apache-2.0
"""Objectives of services: what counts towards them, what is left of the error budget, and that nothing of it is lost."""

import os
import signal
import threading

import pytest

from lib.wait import DEADLINE, SLOW, stays, until

WAIT = 3 * DEADLINE
LATE = int(600 * SLOW)  # ms; what answers at once is never so late


class Kept:
    """A gateway with two services, of which `shop` has objectives."""

    def __init__(self, gateway, origins, slo, **more):
        self.origin, self.other = origins(), origins()
        self.slo = slo
        self.gw = gateway(routes=[{"paths": ["/other/*"], "service": "other"}, {"paths": ["/*"], "service": "shop"}],
                          services=self.services(slo, **more))
        until(lambda: self.gw.admin("GET", "/api/v1/slo").status == 200, "control answers", WAIT)

    def services(self, slo, **more):
        return {"shop": {"targets": [self.origin.address], "slo": slo, **more}, "other": {"targets": [self.other.address]}}

    def told(self):
        reply = self.gw.admin("GET", "/api/v1/slo")
        return reply.json()["services"] if reply.status == 200 else {}

    def goal(self, name="availability"):
        return next((g for g in self.told().get("shop", {"objectives": []})["objectives"] if g["slo"] == name), None)

    def counts(self, name="availability"):
        goal = self.goal(name)
        return goal and (goal["requests"], goal["bad"])

    def expect(self, requests, bad, name="availability"):
        until(lambda: self.counts(name) == (requests, bad), f"{requests} requests, {bad} bad", WAIT, lambda: str(self.told()))

    def ledger(self):
        reply = self.gw.admin("GET", "/api/v1/ledger?since=0&limit=1000")
        return [e for e in reply.json()["entries"] if e["action"] == "budget.slo"] if reply.status == 200 else []

    def pid(self, word):
        return next((pid for pid, line in self.gw.members() if f" {word} " in line), None)

    def restart(self, word, number):
        before = self.pid(word)
        os.kill(before, number)
        until(lambda: self.pid(word) not in (None, before), f"another {word}", WAIT)
        until(lambda: self.goal() is not None, "control answers again", WAIT)


@pytest.fixture
def kept(gateway, origins):
    return lambda slo=None, **more: Kept(gateway, origins, slo or {"availability": "90%"}, **more)


def test_what_clients_get_counts(kept):
    k = kept()
    k.origin.on("/bad")(lambda conn, request: conn.respond(500))
    k.origin.on("/missing")(lambda conn, request: conn.respond(404))
    k.other.on("/other/bad")(lambda conn, request: conn.respond(500))
    for path, status in [("/", 200)] * 15 + [("/missing", 404)] * 3 + [("/bad", 500)] * 2 + [("/other/bad", 500)] * 4:
        assert k.gw.get(path).status == status
    k.expect(20, 2)
    goal = k.goal()
    assert goal["objective"] == pytest.approx(0.9) and goal["budget_left"] == pytest.approx(0)
    assert all(goal["burn"][span] == pytest.approx(1) for span in ("5m", "1h", "6h"))
    assert list(k.told()) == ["shop"] and k.told()["shop"]["window_s"] == 30 * 24 * 3600
    stays(lambda: k.counts() == (20, 2), "the same")


def test_refusals_of_the_gateway_count_where_they_are_its_fault(kept):
    k = kept()
    k.origin.close()
    for _ in range(4):
        assert k.gw.get("/").status in (502, 503)
    k.gw.change(services=k.services(k.slo), filters=[{"access": {"deny": ["127.0.0.1"]}}])
    k.gw.reload()
    for _ in range(3):
        assert k.gw.get("/").status == 403
    k.expect(7, 4)


def test_late_answers(kept):
    k = kept({"latency": {"p50": f"{LATE}ms"}})
    def be_slow():
        threading.Event().wait(1.5 * LATE / 1000)

    def slow(conn, request):
        be_slow()
        conn.respond(200, b"late")

    def body(conn, request):
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n")
        be_slow()
        conn.send(b"body")

    def bad(conn, request):
        be_slow()
        conn.respond(500)

    for path, handler in (("/slow", slow), ("/body", body), ("/bad", bad)):
        k.origin.on(path)(handler)
    for path in ("/", "/", "/slow", "/body", "/bad"):
        k.gw.get(path)
    k.expect(4, 1, "latency")  # a 5xx is no answer in time, and none too late
    goal = k.goal("latency")
    assert goal["threshold_ms"] == LATE and goal["objective"] == pytest.approx(0.5)
    assert goal["budget_left"] == pytest.approx(0.5) and k.goal() is None


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "ended"])
def test_a_restart_of_control_loses_nothing(kept, number):
    k = kept()
    for _ in range(10):
        k.gw.get("/")
    k.expect(10, 0)
    k.restart("control", number)
    k.expect(10, 0)
    for _ in range(5):
        k.gw.get("/")
    k.expect(15, 0)


def test_another_edge_counts_on(kept):
    k = kept()
    for _ in range(10):
        k.gw.get("/")
    k.expect(10, 0)
    k.restart("edge", signal.SIGKILL)
    until(lambda: k.gw.get("/").status == 200, "it serves again", WAIT)
    until(lambda: k.counts() and k.counts()[0] > 10, "more than before", WAIT)
    stays(lambda: k.counts()[0] > 10, "and not less")


def test_objectives_come_and_go_with_the_configuration(kept):
    k = kept()
    k.gw.get("/")
    k.expect(1, 0)
    k.gw.change(services=k.services({"availability": "99.9%", "latency": {"p99": "1s"}, "window": "7d"}))
    k.gw.reload()
    until(lambda: k.goal("latency"), "the new objectives", WAIT)
    k.expect(1, 0)
    assert k.goal()["objective"] == pytest.approx(0.999) and k.told()["shop"]["window_s"] == 7 * 24 * 3600
    k.gw.change(services={"shop": {"slo": None}})
    k.gw.reload()
    until(lambda: k.told() == {}, "none", WAIT)


def test_people_are_told_when_a_budget_ends(kept):
    k = kept({"availability": "50%"})
    k.origin.on("/bad")(lambda conn, request: conn.respond(500))

    def ask(path, count):
        for _ in range(count):
            k.gw.get(path)

    ask("/", 60)
    ask("/bad", 20)
    k.expect(80, 20)
    assert not k.ledger()  # half of it is left
    ask("/bad", 20)
    k.expect(100, 40)
    until(lambda: len(k.ledger()) == 1, "told that little is left", WAIT)
    ask("/bad", 40)
    k.expect(140, 80)
    until(lambda: len(k.ledger()) == 2, "told that nothing is left", WAIT)
    low, spent = k.ledger()
    assert "three quarters of the error budget of shop for availability is used: 40 of 100 requests were 5xx" in low["after"]["text"]
    assert "all of the error budget" in spent["after"]["text"] and spent["subject"] == "availability"
    k.restart("control", signal.SIGTERM)
    ask("/bad", 1)
    k.expect(141, 81)
    stays(lambda: len(k.ledger()) == 2, "not told again")
    shown = k.gw.cli("status").out
    assert "availability 50% over 30 days: ERROR BUDGET OVERSPENT by 14.9% (81 of 141 requests were bad)" in shown
