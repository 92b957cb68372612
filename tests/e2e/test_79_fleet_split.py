# SPDX-License-Identifier: Apache-2.0
"""A fleet has one split of a service: it is said to control, holds at every edge before it is answered, waits for an edge
that is away, outlives control, and is what the next deploy begins from."""

import os
import signal

import pytest

from lib.fleet import WAIT, Fleet
from lib.wait import until

pytestmark = pytest.mark.long

SPLIT = "/api/v1/services/shop/split"


@pytest.fixture
def fleet(gateway, origins, home):
    made = []

    def make(releases=("stable", "canary"), **options):
        made.append(Fleet(gateway, origins, home, releases=releases, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def service(edge):
    return next(one for one in edge.status()["services"] if one["name"] == "shop")


def shares(fleet):
    """How each edge splits."""
    return [{one["id"]: one["percent"] for one in service(edge)["releases"] if one["share"]} for edge in fleet.edges]


def put(control, body, status=200, query=""):
    reply = control.ask("PUT", SPLIT + query, body)
    assert reply.status == status, reply
    return reply.json()


def test_a_split_of_all_edges(fleet):
    f = fleet()
    assert put(f.control, {"stable": 90, "canary": 10}) == {
        "service": "shop", "split": {"stable": 90, "canary": 10}, "stable": "stable"}
    assert shares(f) == [{"stable": 90, "canary": 10}] * 3
    assert put(f.control, {"canary": 1}, query="?stable=canary")["split"] == {"canary": 1, "stable": 0}
    f.serve("canary")
    assert [service(edge)["releases"][0]["id"] for edge in f.edges] == ["canary"] * 3
    assert f.control.ask("GET", SPLIT).json() == {"service": "shop", "split": {"canary": 1, "stable": 0}, "stable": "canary"}
    reply = f.control.ask("DELETE", SPLIT)
    assert (reply.status, reply.json()["split"], reply.json()["stable"]) == (200, {"stable": 1, "canary": 0}, "stable")
    f.serve("stable")
    assert put(f.control, None, query="?stable=canary") == {  # who is stable, and nothing else
        "service": "shop", "split": {"canary": 0, "stable": 1}, "stable": "canary"}
    f.serve("stable")
    entries = [entry for entry in f.control.ask("GET", "/api/v1/ledger").json()["entries"] if entry["action"] == "service.split"]
    assert [(entry["actor"], entry["service"]) for entry in entries] == [("socket", "shop")] * 4
    assert entries[0]["before"] == {"split": {"stable": 1, "canary": 0}, "stable": "stable"}
    assert entries[0]["after"] == {"split": {"stable": 90, "canary": 10}, "stable": "stable"}
    assert entries[1]["before"] == entries[0]["after"]


def test_names_and_bodies_that_are_none(fleet):
    f = fleet(count=1)
    put(f.control, {"stable": 3, "canary": 1})
    for body in ("", "{", "[]", "{}", '{"stable": 0}', '{"stable": -1}', '{"stable": 1.5}', '{"stable": "1"}',
                 '{"stable": 1000001}', '{"stable": 1, "stable": 2}', "5"):
        assert put(f.control, body, 422)["reason"] == "split_invalid", body
    refused = put(f.control, {"stable": 1, "canery": 1}, 404)
    assert refused["reason"] == "release_not_found" and 'did you mean "canary"?' in refused["detail"]
    assert put(f.control, {"stable": 1}, 404, "?stable=no")["reason"] == "release_not_found"
    for method in ("GET", "PUT", "DELETE"):
        reply = f.control.ask(method, "/api/v1/services/shup/split", {"stable": 1} if method == "PUT" else None)
        assert (reply.status, reply.json()["reason"]) == (404, "service_not_found") and '"shop"?' in reply.json()["detail"]
    assert shares(f) == [{"stable": 75, "canary": 25}]


def test_what_was_never_deployed_is_not_split(fleet, gateway):
    f = fleet(count=1)
    f.control.close()
    head = gateway(services={"jobs": {"provider": {"process": {"command": ["sleep", "9"]}}}}, control={"edges": f.links})
    reply = until(lambda: (r := head.admin("PUT", "/api/v1/services/jobs/split", {"stable": 1})).status != 503 and r,
                  "control has begun", WAIT, head.stderr)
    assert (reply.status, reply.json()["reason"]) == (409, "nothing_runs"), reply


def test_the_command(fleet):
    f = fleet(count=2)
    done = f.control.cli("split", "shop", "stable=3", "canary=1")
    assert done.code == 0 and done.out == "shop: stable=3 canary=1, stable is stable; it is live in all workers of all edges\n", done
    assert shares(f) == [{"stable": 75, "canary": 25}] * 2
    assert f.control.cli("split", "shop").out == "shop: stable=3 canary=1, stable is stable\n"
    f.cables[1].cut()
    done = f.control.cli("split", "shop", "--reset")
    assert done.code == 4 and 'edge "e1" does not split so yet' in done.err and "sluice edge forget e1" in done.err, done
    unknown = f.control.cli("split", "shop", "blue=1")
    assert unknown.code == 1 and 'There is no release "blue".' in unknown.err, unknown


def test_an_edge_that_is_away_gets_the_last_one(fleet):
    f = fleet()
    put(f.control, {"stable": 1})
    f.cables[1].cut()
    answer = put(f.control, {"canary": 1}, 202)
    assert [edge["name"] for edge in answer["lacking"]] == ["e1"] and answer["lacking"][0]["error"]
    assert answer["split"] == {"stable": 0, "canary": 1}
    f.serve("canary", "stable", "canary")
    f.cables[1].mend()
    until(lambda: f.edges[1].get("/").text == "canary", "it has it", WAIT)
    f.serve("canary")


def test_it_outlives_control_and_restarts(fleet):
    f = fleet()
    put(f.control, {"canary": 1})
    f.control.kill()
    for edge in f.edges:
        edge.stop()
        edge.start()
    f.serve("canary")
    f.control.start()
    assert f.control.ask("GET", SPLIT).json()["split"] == {"stable": 0, "canary": 1}
    f.serve("canary")
    put(f.control, {"stable": 1})
    f.serve("stable")


def test_control_dies_between_store_and_push(fleet):
    f = fleet(count=2)
    put(f.control, {"stable": 1})
    for cable in f.cables:
        cable.cut()
    asked = f.control.begin_ask("PUT", SPLIT, {"canary": 1})
    until(lambda: f.control.ask("GET", SPLIT).json()["split"]["canary"], "it is said", WAIT)
    until(lambda: len(f.control.ask("GET", "/api/v1/ledger").json()["entries"]) == 2, "the store has it", WAIT)
    child = f.control.child()
    os.kill(child, signal.SIGKILL)
    assert asked() is None
    until(lambda: f.control.child() not in (None, child), "another control", WAIT)
    for cable in f.cables:
        cable.mend()
    until(lambda: shares(f) == [{"canary": 100}] * 2, "both have it", WAIT)


def test_of_two_controls_the_older_one_is_refused(fleet):
    f = fleet(count=2)
    f.control.kill_child()  # each run has a higher epoch
    until(lambda: f.control.ask("GET", "/api/v1/deploys").status == 200, "control answers", WAIT)
    put(f.control, {"stable": 3, "canary": 1})
    other = f.another_control()
    answer = put(other, {"canary": 1}, 202)
    assert [edge["error"].split()[0] for edge in answer["lacking"]] == ["409"] * 2, answer
    assert shares(f) == [{"stable": 75, "canary": 25}] * 2
    put(f.control, {"stable": 1, "canary": 1})
    assert shares(f) == [{"stable": 50, "canary": 50}] * 2


# -- and deploys


def test_a_deploy_begins_from_it(fleet):
    f = fleet(count=2, strategy="canary", steps=[{"share": "50%", "for": "100ms"}, {"approval": True}],
              verdict={"on_no_data": "pass", "max_time": "1s"})
    put(f.control, {"stable": 60, "canary": 40})
    ident = f.begin("v2")
    f.wait(ident, "asks")
    assert shares(f) == [{"v2": 50, "stable": 30, "canary": 20}] * 2
    refused = put(f.control, {"stable": 1}, 409)
    assert refused["reason"] == "deploy_runs" and f"Deploy {ident} " in refused["detail"]
    assert f.control.ask("DELETE", SPLIT).status == 409
    assert f.control.cli("abort", ident).code == 0
    f.wait(ident, "aborted")
    assert shares(f) == [{"stable": 60, "canary": 40}] * 2  # as if it had not been
    ident = f.begin("v3")
    f.wait(ident, "asks")
    assert f.control.cli("approve", ident).code == 0
    f.wait(ident, "live")
    assert shares(f) == [{"v3": 100}] * 2
    assert f.control.cli("promote", ident).code == 0  # nothing is kept warm any more
    until(lambda: f.show(ident)["phase"] == "done", "its end", WAIT)
    assert f.control.ask("GET", SPLIT).json() == {"service": "shop", "split": {"v3": 1, "canary": 0, "stable": 0}, "stable": "v3"}
    put(f.control, {"v3": 3, "canary": 1})
    assert shares(f) == [{"v3": 75, "canary": 25}] * 2
    assert f.control.ask("DELETE", SPLIT).json()["split"] == {"v3": 1, "canary": 0, "stable": 0}
    f.serve("v3")


def test_what_has_all_requests_is_what_a_deploy_replaces(fleet):
    f = fleet(count=1)
    put(f.control, {"canary": 1})
    ident = f.begin("v2")
    f.wait(ident, "live")
    assert any("in place of canary" in line["text"] for line in f.show(ident)["log"]), f.show(ident)
    f.serve("v2")
    assert f.control.cli("rollback", "shop").code == 0
    f.serve("canary")
    assert f.control.ask("GET", SPLIT).json()["split"] == {"stable": 0, "canary": 1}


# -- in command beside its own edge


def test_a_gateway_that_takes_command(fleet, gateway):
    f = fleet(count=1)
    f.control.close()
    head = gateway(services=f.services)
    reply = head.admin("PUT", SPLIT, {"stable": 1, "canary": 1})
    assert reply.status == 200 and "generation" in reply.json()  # its own affair
    head.change(control={"edges": f.links})
    head.reload()
    reply = until(lambda: (r := head.admin("PUT", SPLIT, {"stable": 1, "canary": 3}, timeout=WAIT)).status == 200 and r,
                  "control has read it", WAIT, head.stderr)
    assert reply.json() == {"service": "shop", "split": {"stable": 1, "canary": 3}, "stable": "stable"}
    f.edges.append(head)
    assert shares(f) == [{"stable": 25, "canary": 75}] * 2
    shown = head.cli("split", "shop")
    assert "canary" in shown.out and "75" in shown.out, shown
    assert head.cli("split", "shop", "stable=1").code == 0
    assert shares(f) == [{"stable": 100}] * 2
    assert head.admin("GET", SPLIT).json()["split"] == {"stable": 1, "canary": 0}
