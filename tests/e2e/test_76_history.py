# SPDX-License-Identifier: Apache-2.0
"""What the ledger says of deploys: who, which step, with which counts, how it ended; also when control is killed."""

import os
import signal
import threading

from lib.wait import SLOW, until
from test_74_deploy import WAIT, Load, shop

assert shop  # a fixture


def entries(s, action=None):
    reply = s.gw.admin("GET", "/api/v1/ledger?service=shop&since=0&limit=1000")
    found = reply.json()["entries"] if reply.status == 200 else []
    return [e for e in found if not action or e["action"] == action]


def actions(s):
    return [e["action"] for e in entries(s)]


def wait_action(s, action):
    until(lambda: action in actions(s), f"{action}: {actions(s)}", WAIT)
    return entries(s, action)[-1]


def test_a_good_one(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "1s"}, {"approval": True}],
              "verdict": {"minimum": 20, "max_time": "3s", "on_no_data": "pass"}, "keep": "500ms"})
    with Load(s.gw):
        ident = s.begin("2")
        s.wait(ident, "waiting for approval")
        assert s.gw.cli("approve", ident).code == 0
        s.wait(ident, "done")
    assert actions(s) == ["deploy.begin", "deploy.shift", "deploy.verdict", "deploy.ask", "deploy.approve", "deploy.shift",
                          "deploy.live", "deploy.done"]
    begin, first, verdict, _, approve, second, live, done = entries(s)
    assert {e["subject"] for e in entries(s)} == {ident} and {e["edge"] for e in entries(s)} == {"control"}
    assert (begin["actor"], approve["actor"], live["actor"]) == ("socket", "socket", "control")
    assert begin["before"] == {"release": "stable"}
    assert begin["after"] == {"release": "2", "steps": ["10%", "approval", "100%"]}
    assert (first["after"]["share"], second["after"]["share"]) == ("10%", "100%")
    assert verdict["after"]["verdict"] in ("pass", "not enough data")
    assert verdict["after"]["new"]["requests"] > 0 and verdict["after"]["new"]["failures"] == 0
    assert verdict["after"]["old"]["requests"] > verdict["after"]["new"]["requests"]
    assert (live["before"], live["after"], done["after"]) == ({"release": "stable"}, {"release": "2"}, {"release": "2"})
    lines = s.gw.cli("history", "shop").out
    assert "release 2 begins, in place of stable; by 10%, approval, 100%" in lines, lines
    assert "10% to release 2 at every edge, step 1 of 3" in lines and "done: release 2 serves" in lines, lines
    assert s.gw.cli("history", "--verify").code == 0


def test_a_bad_one(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "20%", "for": "60s"}]})
    with Load(s.gw):
        ident = s.begin("2", answer=lambda conn, request: conn.respond(500, b"bad"))
        s.wait_outcome(ident, "failed")
    assert actions(s) == ["deploy.begin", "deploy.shift", "deploy.verdict", "deploy.fail", "deploy.undone"]
    verdict, back, undone = entries(s)[2:]
    assert verdict["after"]["verdict"] == "fail"
    assert back["actor"] == "control" and back["before"] == {"release": "2", "share": "20%"}
    assert back["after"]["release"] == "stable" and "requests" in back["after"]["why"]
    assert (undone["before"], undone["after"]) == ({"release": "2"}, {"release": "stable"})
    assert "back from release 2 to stable: " in s.gw.cli("history", "shop").out


def test_who_took_it_back(shop):
    s = shop()
    assert s.deploy("2").code == 0
    assert s.gw.cli("rollback", "shop").code == 0
    s.wait("d1", "undone")
    back = entries(s, "deploy.rollback")
    assert [(e["actor"], e["after"]["release"]) for e in back] == [("socket", "stable")]
    ident = s.begin("3", answer=lambda conn, request: conn.respond(500, b"no"))
    s.gw.cli("abort", ident)
    s.wait(ident, "undone")
    ends = [e for e in entries(s) if e["subject"] == ident and e["action"] in ("deploy.abort", "deploy.fail", "deploy.rollback")]
    assert len(ends) == 1


def test_nothing_is_there_twice_or_missing_however_often_control_is_killed(shop):
    s = shop({"keep": "100ms", "bake": "500ms"})
    done = threading.Event()

    def kill():
        while not done.wait(0.4 * SLOW):
            for pid, line in s.gw.members():
                if " control " in line:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        pass

    ident = s.begin("2")
    killer = threading.Thread(target=kill)
    killer.start()
    try:
        until(lambda: s.show(ident)["phase"] not in ("pre", "migrating", "unknown"), "it goes on", WAIT)
    finally:
        done.set()
        killer.join()
    s.wait(ident, "done")
    assert actions(s) == ["deploy.begin", "deploy.shift", "deploy.live", "deploy.done"]
    assert s.gw.cli("history", "--verify").code == 0
    assert wait_action(s, "deploy.done")["after"] == {"release": "2"}
