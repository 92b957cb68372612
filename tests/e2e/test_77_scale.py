# SPDX-License-Identifier: Apache-2.0
"""Scaling of a service whose instances are processes of this machine: more and fewer by load, by word and by what is
allowed, and what a killed control, a silent edge and a deploy change."""

import pytest

from lib.scaled import SCALE, STILL, make
from lib.wait import stays, until
from test_74_deploy import WAIT, Load


@pytest.fixture
def shop(gateway):
    return lambda scale, **options: make(gateway, scale, **options)


def test_it_grows_under_load_and_shrinks_after(shop):
    s = shop(SCALE)
    assert s.deploy("v1").code == 0
    with Load(s.gw, 8) as load:
        s.wait_units(4)
        s.wait_ready(4)
    assert not load.wrong, load.wrong[:3]
    with Load(s.gw, 1) as load:
        s.wait_units(1)
    assert not load.wrong, load.wrong[:3]


# -- by word


def test_a_number_that_is_set(shop):
    s = shop(STILL)
    assert s.deploy("v1").code == 0
    done = s.gw.cli("scale", "shop", "3")
    assert done.code == 0 and "shop is awake: 1 of 3 units are up" in done.out, done
    s.wait_ready(3)
    assert len(s.apps()) == 3
    until(lambda: "from 1 to 3 units: somebody said so" in s.gw.cli("history", "shop").out, "the ledger", WAIT)
    assert "it is awake: 3 of 3 units are up" in s.gw.cli("status").out
    before = set(s.apps())
    s.kill_control()
    stays(lambda: s.scale()["wanted"] == 3 and set(s.apps()) == before, "a control that starts anew shrinks nothing", 4)
    with Load(s.gw, 2) as load:
        assert s.gw.cli("scale", "shop", "1").code == 0
        s.wait_units(1)
    assert not load.wrong, load.wrong[:3]


def test_one_too_many_goes_when_its_own_requests_end(shop):
    """However many the others have, and long before `drain` is over."""
    s = shop(STILL, deploy={"drain": "1h"})
    assert s.deploy("v1").code == 0
    assert s.gw.cli("scale", "shop", "3").code == 0
    s.wait_ready(3)
    with Load(s.gw, 6) as load:
        assert s.gw.cli("scale", "shop", "1").code == 0
        s.wait_units(1)
    assert not load.wrong, load.wrong[:3]


def refusal(reply):
    return reply.status, reply.json()["reason"]


def test_what_is_refused(shop):
    s = shop(STILL)
    assert refusal(s.ask("scale", {"replicas": 2})) == (409, "nothing_runs")
    assert s.deploy("v1").code == 0
    assert refusal(s.gw.admin("POST", "/api/v1/services/none/wake")) == (404, "service_not_found")
    for body in (None, {}, [], {"replicas": "2"}, {"replicas": 1.5}, {"replicas": -1}, {"replicas": 2, "more": 1}, {"replicas": 10**12}):
        assert refusal(s.ask("scale", body)) == (422, "scale_invalid"), body
    assert refusal(s.ask("scale", {"replicas": 5})) == (422, "scale_out_of_bounds")
    assert refusal(s.ask("scale", {"replicas": 0})) == (422, "scale_out_of_bounds")
    assert refusal(s.ask("sleep")) == (422, "scale_out_of_bounds")
    done = s.gw.cli("scale", "shop", "9")
    assert done.code == 1 and "`max` allows no more than 4 units" in done.err, done
    assert s.gw.cli("wake", "shop").code == 0  # it is
    for words in (["scale", "shop"], ["scale", "shop", "many"], ["wake"], ["sleep", "a", "b"]):
        assert s.gw.cli(*words).code == 2, words
    s.gw.change(services={"shop": {"scale": None}})
    assert s.gw.cli("reload").code == 0
    until(lambda: refusal(s.ask("wake")) == (409, "not_scaled") if s.ask("wake").status != 200 else False, "it is not scaled", WAIT)


# -- by what is allowed


def test_a_ceiling_is_acted_on_and_told(shop):
    s = shop({**SCALE, "ceiling": 2})
    assert s.deploy("v1").code == 0
    with Load(s.gw, 8):
        s.wait_ready(2)
        until(lambda: "gets no more units" in s.gw.stderr() and "the ceiling allows no more" in s.gw.stderr(), "it is told", WAIT)
        stays(lambda: len(s.apps()) == 2, "there are two")


def test_a_budget_is_acted_on(shop):
    s = shop({**SCALE, "price": 1, "budget": {"hour": 2.5}})
    assert s.deploy("v1").code == 0
    with Load(s.gw, 8):
        s.wait_ready(2)
        until(lambda: "the budget of an hour allows no more" in s.scale()["why"], "it is told", WAIT)
        assert s.scale()["spent_day"] > 0
    done = s.gw.cli("scale", "shop", "3")
    assert done.code == 1 and "the budget of an hour" in done.err, done


def test_a_schedule_has_bounds_of_its_own(shop):
    s = shop({**SCALE, "schedule": [{"from": "00:00", "to": "24:00", "min": 2, "max": 3}, {"from": "00:00", "to": "00:00", "min": 2, "max": 3}]})
    assert s.deploy("v1").code == 0
    s.wait_ready(2)
    assert refusal(s.ask("scale", {"replicas": 1})) == (422, "scale_out_of_bounds")
    with Load(s.gw, 8):
        s.wait_ready(3)


# -- what is not known


def test_nothing_shrinks_while_an_edge_is_silent(shop, ports):
    s = shop(SCALE)
    assert s.deploy("v1").code == 0
    assert s.gw.cli("scale", "shop", "2").code == 0
    s.wait_ready(2)
    s.gw.change(control={"edges": [{"name": "far", "url": f"http://127.0.0.1:{ports.take()}"}]})
    assert s.gw.cli("reload").code == 0
    until(lambda: any(e["name"] == "far" for e in s.gw.admin("GET", "/api/v1/control").json()["edges"]), "it is known", WAIT)
    assert s.ask("scale", {"replicas": 3}).status == 200
    s.wait_units(3)
    stays(lambda: s.scale()["wanted"] == 3, "all stay", 6)
    assert "are known, so none goes" in s.scale()["why"]
    done = s.gw.cli("edge", "forget", "far")
    assert done.code == 0, done
    s.wait_units(1)


# -- beside a deploy, and a control that dies


def test_a_deploy_has_as_many_of_the_new_one(shop):
    s = shop(STILL, deploy={"keep": "2s"})
    assert s.deploy("v1").code == 0
    assert s.gw.cli("scale", "shop", "3").code == 0
    s.wait_ready(3)
    with Load(s.gw, 2) as load:
        assert s.deploy("v2").code == 0
        s.runs("v1", "v1", "v1", "v2", "v2", "v2")
        s.runs("v2", "v2", "v2")
    assert not load.wrong, load.wrong[:3]
    s.serves("v2")


def test_control_dies_while_it_shrinks(shop):
    s = shop(SCALE)
    assert s.deploy("v1").code == 0
    assert s.ask("scale", {"replicas": 3}).status == 200
    s.wait_ready(3)
    with Load(s.gw, 1) as load:
        until(lambda: s.scale()["wanted"] < 3, "it shrinks", WAIT)
        s.kill_control()
        s.wait_units(1)
    assert not load.wrong, load.wrong[:3]
