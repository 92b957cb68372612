# SPDX-License-Identifier: Apache-2.0
"""What holds for every provider. `bench` has one service named "app" with a provider, whose units run until they
are stopped; a provider is added to PROVIDERS with the fixture that makes such a bench."""
import os
import signal

import pytest

from railway_bench import railway  # noqa: F401 (a fixture)

PROVIDERS = ["process", "fly", "railway"]


@pytest.fixture(params=PROVIDERS)
def bench(request, make, make_fly, railway):  # noqa: F811
    return {"process": lambda: make("listen"), "fly": make_fly, "railway": railway}[request.param]()


@pytest.fixture
def desk(bench):
    return bench.start()


def test_a_start_is_idempotent(desk):
    first = desk.start()
    second = desk.start()
    assert first["fault"] == second["fault"] == "ok"
    assert first["units"][0]["handle"] == second["units"][0]["handle"]
    assert len(desk.list()) == 1


def test_starts_at_once_are_one(desk):
    numbers = [desk.begin("start", id="u1", release="r1") for _ in range(5)]
    handles = {desk.end(number)["units"][0]["handle"] for number in numbers}
    assert len(handles) == 1 and len(desk.list()) == 1


def test_a_listing_says_what_runs(desk):
    assert desk.list() == {}
    desk.start("a", "r1")
    desk.start("b", "r2")
    units = desk.list()
    assert {(u["id"], u["service"], u["release"], u["state"]) for u in units.values()} == {
        ("a", "app", "r1", "running"), ("b", "app", "r2", "running")}
    for unit in units.values():
        assert unit["address"].rsplit(":", 1)[1].isdigit()
        assert 0 < unit["started_ms"] <= unit["since_ms"]


def test_a_stop_of_the_unknown_is_fine(desk):
    answer = desk.stop("nobody")
    assert answer["fault"] == "ok" and answer["units"] == []


def test_a_stop_is_idempotent(desk):
    desk.start()
    for _ in range(2):
        answer = desk.stop()
        assert answer["fault"] == "ok" and answer["units"][0]["state"] == "stopped"
    assert desk.list()["u1"]["state"] == "stopped"


def test_one_that_rests_is_started_again(desk):
    desk.start()
    desk.stop()
    unit = desk.start()["units"][0]
    assert unit["state"] == "running" and unit["restarts"] == 1


def test_one_that_is_removed_is_forgotten(desk):
    desk.start("a")
    desk.start("b")
    desk.stop("b")
    desk.stop("a", remove=True)
    desk.stop("b", remove=True)
    assert desk.list() == {}
    assert desk.start("a", "r2")["units"][0]["restarts"] == 0


def test_an_id_belongs_to_one_release(desk):
    desk.start("a", "r1")
    answer = desk.start("a", "r2")
    assert answer["fault"] == "permanent" and answer["reason"]
    assert desk.list()["a"]["release"] == "r1"


def test_a_listing_after_control_was_killed_says_the_same(bench, desk):
    desk.start("a")
    desk.start("b")
    desk.stop("b")
    before = desk.list()
    os.kill(desk.pid, signal.SIGKILL)
    after = bench.next_desk().list()
    for unit in (*before.values(), *after.values()):
        del unit["tail"]
    assert after == before


def test_a_start_that_was_asked_for_before_a_kill_is_not_done_twice(bench, desk):
    desk.begin("start", id="u1", release="r1")
    os.kill(desk.pid, signal.SIGKILL)
    desk = bench.next_desk()
    assert desk.start()["fault"] == "ok"
    assert len(desk.list()) == 1 and desk.list()["u1"]["restarts"] == 0


def test_every_call_has_one_completion(desk):
    numbers = [desk.begin(call, id=f"u{i % 4}", release="r1", grace_ms=2000, remove=i % 3 == 0)
               for i, call in enumerate(["start", "stop", "list", "log"] * 10)]
    for number in numbers:
        assert desk.end(number)["fault"] in ("ok", "transient", "permanent", "capacity")
    assert len(desk.done) == len(numbers)


@pytest.mark.parametrize("name", ["", "../x", ".x", "-x", "a b", "x" * 64, "a/b", "é"])
def test_ids_and_releases_that_are_none_are_refused(desk, name):
    assert desk.start(name)["fault"] == "permanent"
    assert desk.start("u1", name)["fault"] == "permanent"
    assert desk.stop(name)["fault"] == "permanent"
    assert desk.call("log", id=name)["fault"] == "permanent"
    assert desk.list() == {}


def test_a_log_of_the_unknown_is_refused(desk):
    assert desk.call("log", id="nobody")["fault"] == "permanent"
