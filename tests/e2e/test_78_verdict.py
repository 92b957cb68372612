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
from lib.wait import DEADLINE, SLOW, ms, until
from test_74_deploy import WAIT, Load, shop  # noqa: F401 (a fixture)

LONG_CANARY = {"strategy": "canary", "steps": [{"share": "50%", "for": "1h"}]}
QUICK_VERDICT = {"errors": {"margin": "20%"}, "latency": "off", "minimum": 20}


class Crowd:
    """Clients of addresses of their own that ask in turns, without end; each for what `paths` says, "/" otherwise."""

    def __init__(self, gw, count=40):
        self.gw, self.paths, self.release = gw, {}, {}
        self.addresses = [f"127.0.7.{n + 1}" for n in range(count)]
        self.counts = Counter()
        self.stopped = threading.Event()
        self.thread = threading.Thread(target=self._run)
        self.thread.start()

    def _run(self):
        clients = {a: Client(("127.0.0.1", self.gw.port), source=a) for a in self.addresses}
        while not self.stopped.is_set():
            for address, client in clients.items():
                path, count = self.paths.get(address, ("/", 1))
                for _ in range(count):
                    reply = client.get(path)
                    self.release[address] = reply.header("X-Sluice-Release")
                    self.counts[path, reply.status] += 1
        for client in clients.values():
            client.close()

    def of(self, release):
        return [a for a, r in list(self.release.items()) if r == release]

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stopped.set()
        self.thread.join()


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
        crowd.paths[crowd.of("2")[0]] = ("/bad", 60)  # more than all others of the canary together
        until(lambda: max(300, seen(s, ident)["new"]["requests"] / 2) < seen(s, ident)["new"]["failures"],
              "most of what the canary gets fails", WAIT)
        verdict = seen(s, ident)
        assert verdict["outcome"] == "unsure" and s.show(ident)["phase"] == "watching", verdict
        for address in crowd.of("2"):
            crowd.paths[address] = ("/bad", 40)
        assert "fail" in s.wait_outcome(ident, "failed")["why"]
    s.serves("stable")


# -- time


def test_one_that_is_slower_goes_back(shop):  # noqa: F811
    s = shop({**LONG_CANARY, "verdict": {"latency": "2x", "latency_margin": ms(20), "minimum": 20}}, assign={"by": "cookie"})
    slow = s.origin("2")

    @slow.on("/")
    def answer(conn, request):
        threading.Event().wait(0.1 * SLOW)
        conn.respond(200, b"2")

    with Load(s.gw) as load:
        ident = begin(s, slow)
        assert "of its requests take up to" in s.wait_outcome(ident, "failed")["why"]
    assert not load.wrong
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


# -- what was compared outlives control

# Long enough in its step for control to be killed there.
WATCHED = {"strategy": "canary", "steps": [{"share": "50%", "for": f"{int(8 * SLOW)}s"}],
           "verdict": {**QUICK_VERDICT, "max_time": "1h"}}


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


# -- requests of our own


def probing(*paths, **verdict):
    return {"strategy": "canary", "steps": [{"share": "10%", "for": "1s"}],
            "verdict": {**QUICK_VERDICT, "max_time": "1h", "probes": {"paths": list(paths), "rate": "80/s"}, **verdict}}


def test_a_service_that_nobody_asks_is_asked_by_us(shop):  # noqa: F811
    s = shop(probing("/up", "/api/x?y=1"))
    asked = []

    def answer(conn, request):
        asked.append((request.target, request.header("User-Agent")))
        conn.respond(200, b"up")

    for origin in (s.made["stable"], s.origin("2")):
        origin.on("/up")(answer)
        origin.on("/api/x")(answer)
    ident = begin(s, s.made["2"])
    s.wait_outcome(ident, "live")
    verdict = s.show(ident)["verdict"]
    for side in ("old", "new"):
        assert verdict[side]["probes"] == verdict[side]["requests"] >= 20 and verdict[side]["failures"] == 0
    assert {a for a in asked if a[1] == "sluice-probe"} == {("/up", "sluice-probe"), ("/api/x?y=1", "sluice-probe")}
    # Nobody but the verdict counts them.
    assert s.gw.metric("sluice_requests_total") == 0
    assert not s.gw.log_file.read_text()


def test_a_bad_release_is_found_by_our_requests(shop):  # noqa: F811
    s = shop(probing("/"))
    done = s.deploy("2", answer=broken)
    assert done.code == 1 and "release stable serves" in done.err, done
    assert s.gw.metric("sluice_requests_total") == 0


def test_enough_clients_need_no_requests_of_ours(shop):  # noqa: F811
    s = shop(probing("/", probes={"paths": ["/"], "rate": "2/s"}))
    with Load(s.gw) as load:
        until(lambda: load.counts["stable"] > 100, "clients", WAIT)
        ident = begin(s, s.origin("2"))
        s.wait_outcome(ident, "live")
    verdict = s.show(ident)["verdict"]
    assert verdict["new"]["probes"] <= 5 < verdict["new"]["requests"]


def probe(gw, body, service="shop", **options):
    reply = gw.admin("POST", f"/api/v1/services/{service}/probe", body, **options)
    return reply.status, reply.json().get("reason")


def test_what_may_be_asked(shop):  # noqa: F811
    s = shop()
    good = {"release": "stable", "path": "/x?y"}
    assert probe(s.gw, good, "other") == (404, "service_not_found")
    assert probe(s.gw, {**good, "release": "9"}) == (404, "release_not_found")
    for wrong in ({"path": "x"}, {"path": ""}, {"path": "/a b"}, {"path": "/\r\nHost: x"}, {"path": "/é"}, {"path": "/#"}, {"path": 7},
                  {"path": "/" + "x" * 2048}, {"release": None}, {"count": 0}, {"count": 101}, {"count": "2"}, {"count": -1}):
        assert probe(s.gw, {**good, **wrong}) == (422, "probe_invalid"), wrong
    for body in ([], "", "{", 7):
        assert probe(s.gw, body) == (422, "probe_invalid"), body
    assert probe(s.gw, good, over_socket=False)[0] in (401, 403)
    assert counted(s.gw) == []
    assert probe(s.gw, {**good, "count": 3}) == (202, None)
    until(lambda: counted(s.gw) and counted(s.gw)[0]["requests"] == 3, "they are counted", WAIT)
    assert (counted(s.gw)[0]["probes"], counted(s.gw)[0]["clients"]) == (3, [])
