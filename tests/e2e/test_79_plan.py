# SPDX-License-Identifier: Apache-2.0
"""The plan of a deploy: what would be done, and what a canary can show with the traffic that there is."""

import json
import re

import pytest

from lib.wait import SLOW, until
from test_74_deploy import WAIT, Load, shop  # noqa: F401 (a fixture)

CANARY = {"strategy": "canary", "steps": [{"share": "10%", "for": "1s"}, {"approval": True}, {"share": "50%", "for": "0s"}]}
VERDICT = {"errors": {"margin": "20%"}, "latency": "off", "minimum": 20}


def plan(s, *words, release="2", target="127.0.0.1:1"):
    return s.gw.cli("deploy", "shop", "--release", release, "--target", target, "--plan", *words, timeout=WAIT)


def known(s):
    """The plan, once the traffic is known."""
    def look():
        told = json.loads(plan(s, "--json").out)
        return told if told["forecast"]["proposal"] else None

    return until(look, "the traffic is known", WAIT)


def test_a_plan_begins_nothing(shop):  # noqa: F811
    s = shop(CANARY)
    done = plan(s)
    assert done.code == 0 and "nothing is begun: this is the plan (canary)" in done.out, done
    assert "step 1: 10% of the requests" in done.out and "step 2: waits for `sluice approve`" in done.out
    assert "step 4: 100% of the requests" in done.out
    assert s.gw.admin("GET", "/api/v1/deploys").json()["deploys"] == []
    assert set(s.releases()) == {"stable"}
    assert s.begin("2") == "d1"  # no number was spent


def test_what_is_known_of_too_little_traffic(shop):  # noqa: F811
    s = shop({**CANARY, "verdict": {**VERDICT, "max_time": "10m", "on_no_data": "fail"}})
    told = known(s)
    assert told["forecast"]["requests_s"] == 0 and told["forecast"]["proposal"] == "bluegreen"
    assert [step["enough"] for step in told["forecast"]["steps"]] == [False, False]
    text = "\n".join(told["text"])
    assert "--strategy bluegreen" in text and "a step that cannot tell after 600 s fails" in text
    ident = s.begin("2")
    assert any("--strategy bluegreen" in line["text"] for line in s.show(ident)["log"])
    assert s.show(ident)["forecast"]["proposal"] == "bluegreen"


def test_what_is_known_of_enough_traffic(shop):  # noqa: F811
    s = shop({**CANARY, "verdict": {**VERDICT, "max_time": "2h"}})
    with Load(s.gw, 2) as load:
        until(lambda: known(s)["forecast"]["requests_s"] > 20 / SLOW, "some requests a second", WAIT)
        forecast = known(s)["forecast"]
    assert not load.wrong
    assert forecast["proposal"] == "canary" and forecast["failures"] == 0, forecast
    first, second = forecast["steps"]
    assert (first["step"], first["percent"], first["planned_s"], second["step"], second["percent"]) == (1, 10, 7200, 3, 50)
    assert first["requests"] == pytest.approx(forecast["requests_s"] * 720, rel=0.01)
    assert 0 < second["enough_s"] <= first["enough_s"] <= 7200
    line = next(line for line in forecast["text"] if line.startswith("step 1: "))
    assert re.search(r"requests a second, 0 % of them failing: in 2 hours a canary of 10 % has \d+ requests, which show ", line)
    assert any("asks a person" in line for line in forecast["text"])


def test_failures_are_known(shop):  # noqa: F811
    s = shop(CANARY)
    count = iter(range(10 ** 9))
    s.made["stable"].on("/")(lambda conn, request: conn.respond(200 if next(count) % 2 else 500, b""))
    with Load(s.gw, 2):
        until(lambda: 0.2 < known(s)["forecast"]["failures"] < 0.8, "half of them fail", WAIT)


def test_our_own_requests_help(shop):  # noqa: F811
    s = shop({**CANARY, "verdict": {**VERDICT, "max_time": "1h", "probes": {"paths": ["/"], "rate": "20/s"}}})
    forecast = known(s)["forecast"]
    assert forecast["requests_s"] == 0 and forecast["proposal"] == "canary"
    assert [step["requests"] for step in forecast["steps"]] == [36000, 36000]


def test_bluegreen_foresees_nothing(shop):  # noqa: F811
    s = shop()
    told = json.loads(plan(s, "--json").out)
    assert told["forecast"] is None and told["strategy"] == "bluegreen" and len(told["steps"]) == 1
    s.deploy("2")
    assert json.loads(plan(s, "--json", release="3").out)["old"] == "2"  # though stable is warm yet
    assert s.show("d1")["phase"] == "live"


@pytest.mark.parametrize("query, status", [("dry_run=yes", 400), ("dry_run=", 400), ("dry_run=true", 200), ("dry_run=false", 201)])
def test_only_true_is_dry(shop, query, status):  # noqa: F811
    s = shop()
    body = {"service": "shop", "release": "2", "targets": ["127.0.0.1:1"]}
    assert s.gw.admin("POST", f"/api/v1/deploys?{query}", body).status == status
    assert len(s.gw.admin("GET", "/api/v1/deploys").json()["deploys"]) == (status == 201)


def test_a_plan_is_refused_as_a_deploy_is(shop):  # noqa: F811
    s = shop()
    assert "serves already" in plan(s, release="stable").err
    assert "There is no service" in s.gw.cli("deploy", "sohp", "--release", "2", "--target", "127.0.0.1:1", "--plan").err
    begun = s.gw.admin("POST", "/api/v1/deploys", {"service": "shop", "release": "2", "targets": ["127.0.0.1:1"]})
    assert begun.status == 201
    assert "is under way" in plan(s, release="3").err
