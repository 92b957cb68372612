# SPDX-License-Identifier: Apache-2.0
"""What the verdict on a release goes by, and what is no reason to call it bad."""

import json
import sqlite3
import threading
from collections import Counter

import grpc
import pytest

from lib.calls import GrpcClient, GrpcServer, later, open_gateway  # noqa: F401 (later is a fixture)
from lib.client import Client
from lib.wait import DEADLINE, SLOW, until
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


# -- failures that are in no status code


def counted(gw):
    return gw.admin("GET", "/api/v1/counters").json()["releases"]


@pytest.mark.parametrize("code, is_charged", [("OK", False), ("NOT_FOUND", False), ("INTERNAL", True), ("UNAVAILABLE", True)])
@pytest.mark.parametrize("kind", ["unary", "after messages"])
def test_a_grpc_status_is_charged_once(gateway, later, code, is_charged, kind):  # noqa: F811
    server = later(GrpcServer())
    code = grpc.StatusCode[code]

    @server.unary("End")
    def end(request, context):
        context.set_code(code)
        return request

    @server.server_stream("Ends")
    def ends(request, context):
        yield request
        yield request
        context.set_code(code)

    gw = open_gateway(gateway, server.address)
    client = later(GrpcClient(f"127.0.0.1:{gw.port}"))
    if kind == "unary":
        call = client.unary("End").future(b"x", timeout=DEADLINE)
    else:
        call = client.server_stream("Ends")(b"x", timeout=DEADLINE)
        try:
            assert list(call) == [b"x", b"x"]
        except grpc.RpcError:
            pass
    assert call.code() == code
    until(lambda: counted(gw), "it is counted")
    release, = counted(gw)
    assert (release["requests"], release["failures"]) == (1, int(is_charged))
    assert [n[1:] for n in release["clients"]] == [[1, int(is_charged)]]


# -- control's word


def said(gw, status=200, **changes):
    """Control says what there is; the answer."""
    body = {"epoch": 1, "revision": 1, "targets": [], "split": {"stable": 1}, "stable": "stable", **changes}
    reply = gw.admin("PUT", "/api/v1/services/shop/releases", {k: v for k, v in body.items() if v is not None})
    assert reply.status == status, reply
    return reply.json()


def test_control_says_all_at_once(shop, origins):
    gw = shop()
    new = origins()
    new.on("/")(lambda conn, request: conn.respond(200, b"42"))
    targets = [{"id": "n", "address": new.address, "release": "42"}]
    said(gw, targets=targets, deploy="d1")
    assert set(all_of(gw, 50)) == {"stable"}
    until(lambda: releases(gw)["42"]["up"] == 1, "it is up")
    answer = said(gw, revision=2, targets=targets, split={"stable": 0, "42": 1}, stable="42")
    assert answer["revision"] == 2 and set(all_of(gw, 50)) == {"42"}
    generation = gw.generation
    assert said(gw, revision=2, targets=targets, split={"42": 1}, stable="42")["generation"] == generation == gw.generation
    restart(gw)
    gw.reload()
    assert set(all_of(gw, 50)) == {"42"}
    service = next(s for s in gw.status()["services"] if s["name"] == "shop")
    assert service["control"] == {"epoch": 1, "revision": 2} and gw.targets("shop")["n"]["source"] == "control"
    said(gw, revision=3)
    assert set(all_of(gw, 50)) == {"stable"} and "42" not in releases(gw)


def test_an_older_control_is_refused(shop):
    gw = shop()
    said(gw, epoch=7, revision=5)
    for old in [{"epoch": 6, "revision": 9}, {"epoch": 7, "revision": 4}]:
        assert said(gw, 409, **old)["reason"] == "control_superseded"
    restart(gw)
    assert said(gw, 409, epoch=6, revision=9)["reason"] == "control_superseded"
    said(gw, epoch=8, revision=1)


def test_what_control_takes_away(shop):
    gw = shop()
    stable = gw.origins["stable"].address
    said(gw, removed=[stable], split={"canary": 1}, stable="canary")
    assert stable not in gw.targets("shop") and set(all_of(gw, 20)) == {"canary"}
    said(gw, revision=2)
    assert stable in gw.targets("shop")


def test_people_keep_out_of_a_deploy(shop, origins):
    gw = shop()
    targets = [{"id": "n", "address": origins().address, "release": "42"}]
    said(gw, targets=targets, deploy="d1")
    reply = gw.admin("PUT", "/api/v1/services/shop/split", {"stable": 1, "canary": 1})
    assert refused(reply) == (409, "deploy_runs") and "d1" in reply.json()["detail"]
    path = "/api/v1/services/shop/targets"
    assert refused(gw.admin("DELETE", f"{path}/n")) == (409, "controls_target")
    assert gw.admin("POST", path, {"id": "n", "address": "127.0.0.1:1"}).status == 409
    assert gw.admin("POST", f"{path}/n/drain").status == 200
    said(gw, revision=2, targets=targets)
    assert gw.admin("PUT", "/api/v1/services/shop/split", {"stable": 1, "canary": 1}).status == 200


@pytest.mark.parametrize("wrong", [
    {"epoch": 0}, {"epoch": "1"}, {"epoch": None}, {"revision": -1}, {"deploy": 5}, {"deploy": ""}, {"targets": None},
    {"targets": [{}]}, {"targets": [{"address": "127.0.0.1:1"}]}, {"targets": [5]}, {"removed": 5}, {"removed": [5]},
    {"targets": [{"address": "x", "release": "42"}]}, {"targets": [{"address": "127.0.0.1:1", "release": "a b"}]},
    {"targets": [{"address": "127.0.0.1:1", "release": "42"}] * 2}, {"split": None}, {"split": {}}, {"split": {"43": 1}},
    {"split": {"stable": 0}}, {"split": {"stable": -1}}, {"split": {"stable": 1.5}}, {"stable": "43"}, {"stable": None},
    {"targets": [{"address": f"127.0.0.1:{n}", "release": f"r{n}"} for n in range(1, 8)]},
])
def test_malformed_words_of_control(shop, wrong):
    gw = shop()
    assert said(gw, 422, **wrong)["reason"] == "releases_invalid"
    assert "control" not in gw.status()["services"][0]


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
