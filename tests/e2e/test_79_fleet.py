# SPDX-License-Identifier: Apache-2.0
"""Three edges and a control of its own: a switch counts when every edge has it, one that is cut off serves on, is waited
for or given up, and comes back with the right split; of two controls the older one is refused."""

import os
import signal

import pytest

from lib.fleet import Fleet
from lib.wait import SLOW, until
from test_74_deploy import WAIT, Load

pytestmark = pytest.mark.long


@pytest.fixture
def fleet(gateway, origins, home):
    made = []

    def make(**options):
        made.append(Fleet(gateway, origins, home, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_switch_is_one_of_all_edges(fleet):
    f = fleet()
    f.serve("stable")
    with Load(f.edges[0], 1) as load:
        done = f.control.cli("deploy", "shop", "--release", "v2", "--target", f.origin("v2").address)
    assert done.code == 0 and "live in all workers of all edges" in done.out, done
    assert not load.wrong, load.wrong[:3]
    f.serve("v2")
    assert f.control.cli("rollback", "shop").code == 0
    f.serve("stable")
    listed = f.control.cli("edge", "list")
    assert listed.code == 0 and [line.split()[:2] for line in listed.out.splitlines()[1:]] == [
        ["e0", "answers"], ["e1", "answers"], ["e2", "answers"]], listed


def test_an_edge_that_is_cut_off_is_waited_for(fleet):
    f = fleet()
    f.cables[1].cut()
    with Load(f.edges[1], 1) as load:
        done = f.control.cli("deploy", "shop", "--release", "v2", "--target", f.origin("v2").address)
    assert done.code == 4 and "edge \"e1\" does not answer" in done.err and "sluice edge forget" in done.err, done
    assert not load.wrong and set(load.counts) == {"stable"}
    until(lambda: f.edges[1].is_ready(), "it serves on")
    f.cables[1].mend()
    f.wait("d1", "live")
    f.serve("v2")


def test_one_that_is_given_up_comes_back_with_the_right_split(fleet):
    f = fleet()
    answering = f.control.cli("edge", "forget", "e2")
    assert answering.code == 1 and "it answers" in answering.err, answering
    f.cables[2].cut()
    ident = f.begin("v2")
    f.wait(ident, "waits_for_edge")
    assert f.control.cli("edge", "forget", "e2").code == 0
    f.wait(ident, "live")
    f.serve("v2", "v2", "stable")
    f.control.kill_child()  # it remembers
    until(lambda: f.control.ask("GET", "/api/v1/edges").status == 200, "control answers", WAIT)
    until(lambda: f.control.ask("GET", "/api/v1/edges").json()["edges"][2]["forgotten"], "it is forgotten still", WAIT)
    ident = f.begin("v3")
    f.wait(ident, "live")
    f.cables[2].mend()
    until(lambda: not f.control.ask("GET", "/api/v1/edges").json()["edges"][2]["forgotten"], "it is waited for again", WAIT)
    until(lambda: f.edges[2].get("/").text == "v3", "the right split", WAIT)
    f.serve("v3")


def test_control_is_killed_in_the_middle(fleet):
    f = fleet(strategy="canary", steps=[{"share": "50%", "for": "2s"}], verdict={"on_no_data": "pass", "max_time": "2s"})
    with Load(f.edges[0], 1) as load:
        ident = f.begin("v2")
        until(lambda: f.show(ident).get("phase") == "watching", "the step", WAIT)
        f.control.kill_child()
        f.wait(ident, "live")
    assert not load.wrong
    f.serve("v2")


def test_of_two_controls_the_older_one_is_refused(fleet):
    f = fleet()
    ident = f.begin("v2")
    f.wait(ident, "live")
    for _ in range(2):
        f.control.kill_child()  # each run has a higher epoch
        until(lambda: f.control.ask("GET", "/api/v1/deploys").status == 200, "control answers", WAIT)
    ident = f.begin("v3")
    f.wait(ident, "live")
    other = f.another_control()
    begun = f.begin("v9", other)
    done = other.cli("deploy", "--follow", begun)
    assert done.code == 4 and done.err.count("refuses: 409") == 3, done
    f.serve("v3")


def test_edges_restart_while_control_is_gone(fleet):
    f = fleet()
    ident = f.begin("v2")
    f.wait(ident, "live")
    f.control.kill()
    for edge in f.edges[:2]:
        edge.stop()
        edge.start()
    f.serve("v2")
    pid = next(pid for pid, line in f.edges[2].members() if " edge " in line)
    with Load(f.edges[0], 1) as load:
        os.kill(pid, signal.SIGKILL)
        until(lambda: any(" edge " in line and other != pid for other, line in f.edges[2].members()), "another edge", 20 * SLOW)
        until(f.edges[2].is_ready, "it serves", WAIT)
        f.serve("v2")
    assert not load.wrong
    f.control.start()
    f.wait(ident, "live")
    ident = f.begin("v3")
    f.wait(ident, "live")
    f.serve("v3")
