# SPDX-License-Identifier: Apache-2.0
"""What the verdict on a release goes by, and what is no reason to call it bad."""

import json
import sqlite3
import threading
from collections import Counter

import pytest

from lib.client import Client
from lib.wait import SLOW, until
from test_74_deploy import WAIT, Load, shop  # noqa: F401 (a fixture)

LONG_CANARY = {"strategy": "canary", "steps": [{"share": "50%", "for": "1h"}]}
QUICK_VERDICT = {"errors": {"margin": "20%"}, "latency": "off", "minimum": 20}


class Crowd:
    """Clients of addresses of their own that ask all the time; each for what `paths` says, "/" otherwise."""

    def __init__(self, gw, count=40):
        self.gw, self.paths, self.release = gw, {}, {}
        self.addresses = [f"127.0.7.{n + 1}" for n in range(count)]
        self.counts = Counter()
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run, args=(self.addresses[n::4],)) for n in range(4)]
        for thread in self.threads:
            thread.start()

    def _run(self, addresses):
        clients = {a: Client(("127.0.0.1", self.gw.port), source=a) for a in addresses}
        while not self.stopped.is_set():
            for address, client in clients.items():
                path, count = self.paths.get(address, ("/", 1))
                for _ in range(count):
                    reply = client.get(path)
                    self.release[address] = reply.header("X-Sluice-Release")
                    self.counts[path, reply.status] += 1
                self.stopped.wait(0.003)  # so that one in a loop is heard among them
        for client in clients.values():
            client.close()

    def of(self, release):
        return [a for a, r in self.release.items() if r == release]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def broken(conn, request):
    conn.respond(500, b"broken")


def begin(s, origin):
    """A canary whose step is live."""
    done = s.gw.cli("deploy", "shop", "--release", origin.name, "--target", origin.address, "--detach", timeout=WAIT)
    assert done.code == 0, done
    ident = done.out.strip()
    s.wait(ident, "watching")
    return ident


def seen(s, ident):
    return s.show(ident).get("verdict", {"new": {"requests": 0, "failures": 0}, "outcome": ""})


# -- clients


def test_one_client_in_a_loop_fails_no_release(shop):  # noqa: F811
    s = shop({**LONG_CANARY, "verdict": QUICK_VERDICT}, assign={"by": "client_ip"}, safety_net=False)
    for origin in (s.made["stable"], s.origin("2")):
        origin.on("/bad")(broken)
    ident = begin(s, s.made["2"])
    with Crowd(s.gw) as crowd:
        until(lambda: len(crowd.of("2")) > 5, "clients of the canary", WAIT)
        crowd.paths[crowd.of("2")[0]] = ("/bad", 300)  # more than all others of the canary together
        until(lambda: seen(s, ident)["new"]["failures"] > 1500, "it fails", WAIT)
        verdict = seen(s, ident)
        assert verdict["outcome"] == "unsure" and s.show(ident)["phase"] == "watching", verdict
        assert verdict["new"]["failures"] * 2 > verdict["new"]["requests"]
        for address in crowd.of("2"):
            crowd.paths[address] = ("/bad", 40)
        assert "fail" in s.wait_outcome(ident, "failed")["why"]
    s.serves("stable")


# -- what was compared outlives control

WATCHED = {"strategy": "canary", "steps": [{"share": "50%", "for": "1s"}],
           "verdict": {**QUICK_VERDICT, "minimum": int(3000 / SLOW), "max_time": "1h"}}


def stored(s, ident):
    """What the store has of a deploy."""
    with sqlite3.connect(f"file:{s.gw.state / 'control.db'}?mode=ro", uri=True) as db:
        text, = db.execute("select document from documents where kind = 'deploy' and id = ?", [ident]).fetchone()
    return json.loads(text)


def kept(s, ident):
    return (stored(s, ident)["evidence"] or {"counts": [0] * 4})["counts"]


def test_a_killed_control_goes_on_with_what_was_compared(shop):  # noqa: F811
    s = shop(WATCHED)
    with Load(s.gw) as load:
        ident = begin(s, s.origin("2"))
        until(lambda: kept(s, ident)[2] > 200, "there is something in the store", WAIT)
        before = kept(s, ident)
        s.kill_control()
        until(s.has_control, "control answers", WAIT)
        until(lambda: s.show(ident)["phase"] != "unknown", "it has read the store", WAIT)
        after = s.show(ident)["verdict"]
        assert [after["old"]["requests"], after["new"]["requests"]] >= [before[0], before[2]]
        s.wait_outcome(ident, "live")
        counts = kept(s, ident)
    log = [line["text"] for line in s.show(ident)["log"]]
    assert any("were compared so far, and count on" in line for line in log), log
    assert counts[0] > before[0] and counts[2] > before[2] and not load.wrong


def test_evidence_that_is_damaged_begins_anew(shop):  # noqa: F811
    s = shop(WATCHED)
    with Load(s.gw):
        ident = begin(s, s.origin("2"))
        until(lambda: kept(s, ident)[2] > 50, "there is something in the store", WAIT)
    s.gw.stop()
    with sqlite3.connect(s.gw.state / "control.db") as db:
        record = stored(s, ident)
        record["evidence"]["verdict"]["cells"][1] = -1
        db.execute("update documents set document = ? where kind = 'deploy' and id = ?", [json.dumps(record), ident])
    s.gw.start()
    until(s.has_control, "control answers", WAIT)
    until(lambda: s.show(ident)["phase"] == "watching", "it goes on", WAIT)
    assert any("cannot be read from the store: it begins anew" in line["text"] for line in s.show(ident)["log"])
    assert seen(s, ident)["new"]["requests"] == 0
    with Load(s.gw) as load:
        s.wait_outcome(ident, "live")
    assert not load.wrong
