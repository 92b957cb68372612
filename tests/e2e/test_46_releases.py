# SPDX-License-Identifier: Apache-2.0
"""Releases of a service and the split among them: who gets which, what a change at run time does and survives, and
what a release on trial may cost a client."""

import os
import re
import signal
import threading
from collections import Counter

import pytest

from lib.client import Client
from lib.wait import until

CLIENTS = 2000


@pytest.fixture
def shop(origins, gateway):
    """A gateway in front of `stable` and `canary`, each of which says its name."""

    def make(split=None, releases=("stable", "canary"), **service):
        made = {name: origins() for name in releases}
        for name, origin in made.items():
            origin.name = name
            origin.on("/")(lambda conn, request, name=name: conn.respond(200, name.encode()))
        config = {"releases": {name: {"targets": [origin.address]} for name, origin in made.items()}, **service}
        if split:
            config["split"] = split
        gw = gateway(services={"shop": config}, trusted_proxies=["127.0.0.1"])
        gw.origins = made
        return gw

    return make


def refused(reply):
    return reply.status, reply.json()["reason"]


def get(gw, fields):
    return gw.get("/", list(fields.items()))


def address(number):
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def of(gw, number):
    """The release that the client of that number gets."""
    reply = get(gw, {"X-Forwarded-For": address(number)})
    assert reply.status == 200, reply
    assert reply.header("X-Sluice-Release") == reply.text
    return reply.text


def all_of(gw, count=CLIENTS):
    got = []
    with gw.connect() as client:
        for number in range(count):
            reply = client.get("/", list({"X-Forwarded-For": address(number)}.items()))
            assert reply.status == 200, reply
            got.append(reply.text)
    return got


def split(gw, shares, query=""):
    reply = gw.admin("PUT", f"/api/v1/services/shop/split{query}", shares)
    assert reply.status == 200, reply
    return reply.json()


def restart(gw):
    """Kills the edge: the next one knows what the last one knew."""
    os.kill(gw.edge, signal.SIGKILL)
    until(gw.is_ready, "the edge back")


def releases(gw):
    service = next(s for s in gw.status()["services"] if s["name"] == "shop")
    return {r["id"]: r for r in service["releases"]}


# -- shares


def test_without_a_split_all_goes_to_stable(shop):
    gw = shop(releases=("canary", "stable"))
    assert set(all_of(gw, 200)) == {"stable"}
    gw = shop(releases=("41", "42"))
    assert set(all_of(gw, 200)) == {"41"}


def test_shares_are_kept_and_nobody_moves_back(shop):
    gw = shop({"stable": 95, "canary": 5})
    before = all_of(gw)
    assert 60 <= before.count("canary") <= 145  # four and a half standard deviations
    assert before == all_of(gw)
    for canary in (10, 50, 100):
        split(gw, {"stable": 100 - canary, "canary": canary})
        now = all_of(gw)
        share = CLIENTS * canary / 100
        assert abs(now.count("canary") - share) < 100
        assert all(a == "canary" for a, b in zip(now, before, strict=True) if b == "canary")
        before = now


def test_edges_and_workers_agree(shop):
    gw = shop({"stable": 50, "canary": 50})
    for number in range(20):
        got = set()
        for _ in range(6):  # connections, on whichever worker
            got.add(of(gw, number))
        assert len(got) == 1
    before = all_of(gw, 300)
    again = shop({"stable": 50, "canary": 50})
    assert all_of(again, 300) == before


def test_a_plain_service_says_nothing_of_releases(origin, gateway):
    gw = gateway(origin)
    reply = gw.get()
    assert not reply.has("X-Sluice-Release")
    assert gw.metric("sluice_upstream_requests_total", service="app", release="stable") == 1


def test_the_header_is_ours(shop):
    gw = shop()
    gw.origins["stable"].on("/")(lambda conn, request: conn.respond(200, b"x", [("X-Sluice-Release", "mine")]))
    assert gw.get("/").all("X-Sluice-Release") == ["stable"]


# -- who is known by what


def test_by_a_cookie_of_ours(shop):
    gw = shop({"stable": 50, "canary": 50}, assign={"by": "cookie", "max_age": "1h"})
    seen = Counter()
    for _ in range(60):
        first = gw.get("/")
        cookie = re.fullmatch(r"sluice_client=([0-9a-f]{16}); Path=/; HttpOnly; SameSite=Lax; Max-Age=3600",
                              first.header("Set-Cookie"))
        assert cookie, first
        kept = {"Cookie": f"a=b; sluice_client={cookie[1]}"}
        for _ in range(3):
            reply = get(gw, kept)
            assert reply.text == first.text and not reply.has("Set-Cookie")
        seen[first.text] += 1
    assert min(seen["stable"], seen["canary"]) > 5


@pytest.mark.parametrize("wrong", ["", "0000000000000000", "xyz", "g" * 16, "1" * 17, "-123456789abcdef"])
def test_a_cookie_that_is_not_ours_is_replaced(shop, wrong):
    gw = shop({"stable": 50, "canary": 50}, assign={"by": "cookie"})
    reply = get(gw, {"Cookie": f"sluice_client={wrong}"})
    assert reply.status == 200 and reply.has("Set-Cookie")


@pytest.mark.parametrize("by, field", [("header:X-User", "x-user: {}"), ("cookie:session", "cookie: a=1; session={}")])
def test_by_a_header_or_cookie_of_the_app(shop, by, field):
    gw = shop({"stable": 50, "canary": 50}, assign={"by": by})
    name, _, form = field.partition(": ")
    got = {}
    for number in range(60):
        got[number] = {get(gw, {name: form.format(f"u{number}"), "X-Forwarded-For": address(k)}).text
                       for k in range(3)}
        assert len(got[number]) == 1
    assert len(set.union(*got.values())) == 2
    assert len({of(gw, number) for number in range(60)}) == 2  # without it the address


# -- by name


def test_asked_for_by_header(shop):
    gw = shop(assign={"ask_header": "X-Release"})
    assert gw.get("/").text == "stable"
    assert get(gw, {"x-release": "canary"}).text == "canary"
    reply = get(gw, {"x-release": "other"})
    assert (reply.status, reply.reason) == (404, "release_unknown")
    assert gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}").status == 200


def test_asked_for_by_cookie(shop):
    gw = shop(assign={"ask_cookie": "release"})
    assert get(gw, {"Cookie": "release=canary"}).text == "canary"
    assert get(gw, {"Cookie": "release=gone"}).text == "stable"


def test_asked_for_by_host(shop):
    gw = shop(assign={"ask_host": "*.preview.example.com"})
    for host, release in [("canary.preview.example.com", "canary"), ("CANARY.Preview.example.com:8080", "canary"),
                          ("preview.example.com", "stable"), ("canary.preview.example.org", "stable")]:
        assert gw.get("/", host=host).text == release, host
    for host in ("other.preview.example.com", "a.canary.preview.example.com"):
        assert gw.get("/", host=host).reason == "release_unknown", host


def test_the_only_other_one_is_the_canary(shop):
    gw = shop(releases=("41", "42"), split={"41": 100}, assign={"ask_header": "x-release"})
    assert get(gw, {"x-release": "canary"}).text == "42"
    assert get(gw, {"x-release": "stable"}).text == "41"
    split(gw, {"stable": 0, "canary": 100}, "?stable=42")
    assert get(gw, {"x-release": "stable"}).text == "42"


def test_lists(shop):
    lists = [{"release": "gone", "addresses": ["10.0.0.1"]}, {"release": "canary", "addresses": ["10.0.0.0/30"]},
             {"release": "canary", "header": "X-User", "values": ["ann", "bob"]},
             {"release": "canary", "cookie": "beta", "values": ["1"]}]
    gw = shop(assign={"lists": lists})
    assert [of(gw, number) for number in (1, 3, 4)] == ["canary", "canary", "stable"]
    for headers, release in [({"x-user": "bob"}, "canary"), ({"x-user": "bobby"}, "stable"),
                             ({"Cookie": "beta=1"}, "canary"), ({"Cookie": "beta=11"}, "stable")]:
        assert get(gw, headers).text == release, headers


# -- changes at run time


def test_a_change_is_in_all_workers_when_it_is_answered(shop):
    gw = shop({"stable": 100})
    for turn in range(10):
        release = ("canary", "stable")[turn % 2]
        answer = split(gw, {release: 1})
        assert answer["split"][release] == 1 and answer["generation"] == gw.generation
        assert {gw.get("/").text for _ in range(8)} == {release}


def test_a_split_survives_restart_and_reload(shop):
    gw = shop({"stable": 95, "canary": 5})
    split(gw, {"canary": 100}, "?stable=canary")
    gw.reload()
    assert set(all_of(gw, 50)) == {"canary"}
    restart(gw)
    assert set(all_of(gw, 50)) == {"canary"}
    shown = releases(gw)
    assert shown["canary"]["stable"] and shown["canary"]["percent"] == 100 and shown["stable"]["share"] == 0
    reply = gw.admin("DELETE", "/api/v1/services/shop/split")
    assert reply.status == 200 and reply.json()["split"] == {"stable": 95, "canary": 5}
    assert releases(gw)["stable"]["stable"]
    restart(gw)
    assert releases(gw)["canary"]["share"] == 5


@pytest.mark.parametrize("body", ["[]", "{}", '{"stable": -1}', '{"stable": 1.5}', '{"stable": "1"}', '{"stable": 0}',
                                  '{"stable": 1000001}', '{"stable": 1, "stable": 2}', "x", ""])
def test_malformed_splits_are_refused(shop, body):
    gw = shop()
    reply = gw.admin("PUT", "/api/v1/services/shop/split", body)
    assert refused(reply) == (422, "split_invalid"), reply
    assert releases(gw)["stable"]["percent"] == 100


def test_unknown_names_are_named(shop):
    gw = shop()
    reply = gw.admin("PUT", "/api/v1/services/shop/split", {"stable": 1, "canery": 1})
    assert refused(reply) == (404, "release_not_found") and 'did you mean "canary"' in reply.json()["detail"]
    reply = gw.admin("PUT", "/api/v1/services/shop/split?stable=no", {"stable": 1})
    assert refused(reply) == (404, "release_not_found")
    reply = gw.admin("PUT", "/api/v1/services/sohp/split", {"stable": 1})
    assert refused(reply) == (404, "service_not_found")


def test_a_release_that_comes_and_goes(shop, origins):
    gw = shop({"stable": 100})
    new = origins()
    new.on("/")(lambda conn, request: conn.respond(200, b"43"))
    path = "/api/v1/services/shop/targets"
    reply = gw.admin("POST", path, {"id": "n", "address": new.address, "release": "43"})
    assert reply.status == 201, reply
    assert set(all_of(gw, 100)) == {"stable"}  # no share until it gets one
    until(lambda: releases(gw)["43"]["up"] == 1, "it is up")
    split(gw, {"stable": 50, "43": 50})
    assert set(all_of(gw, 100)) == {"stable", "43"}
    reply = gw.admin("DELETE", f"{path}/n")
    assert refused(reply) == (409, "release_in_use")
    split(gw, {"stable": 100})
    assert gw.admin("DELETE", f"{path}/n").status == 200
    assert "43" not in releases(gw)
    assert 'release="43"' not in gw.admin("GET", "/metrics", over_socket=False).text


def test_targets_are_told_apart_over_releases(shop):
    gw = shop()
    canary = gw.origins["canary"]
    path = "/api/v1/services/shop/targets"
    assert gw.admin("POST", path, {"address": canary.address, "release": "stable"}).json()["reason"] == "target_exists"
    for release in ("a b", "", "x" * 65, "ä", 5):
        reply = gw.admin("POST", path, {"address": "127.0.0.1:9", "release": release})
        assert refused(reply) == (422, "target_invalid"), release
    for number in range(6):
        assert gw.admin("POST", path, {"address": f"127.0.0.1:{number + 10}", "release": f"r{number}"}).status == 201
    reply = gw.admin("POST", path, {"address": "127.0.0.1:9", "release": "r6"})
    assert refused(reply) == (422, "too_many_releases")


def test_a_new_target_is_of_the_stable_release(shop, origins):
    gw = shop(releases=("41", "42"), split={"41": 100})
    split(gw, {"42": 100}, "?stable=42")
    more = origins()
    assert gw.admin("POST", "/api/v1/services/shop/targets", {"id": "m", "address": more.address}).status == 201
    assert releases(gw)["42"]["targets"] == 2
    restart(gw)
    assert releases(gw)["42"]["targets"] == 2


def test_splits_under_load_lose_nothing(shop):
    gw = shop({"stable": 100})
    stop, wrong, count = threading.Event(), [], Counter()

    def work():
        with Client(("127.0.0.1", gw.port)) as client:
            while not stop.is_set():
                reply = client.get("/")
                count[reply.text] += 1
                if reply.status != 200:
                    wrong.append(reply)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for turn in range(30):
        split(gw, {"stable": turn % 7, "canary": 3})
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong and count["canary"]


def test_the_command(shop):
    gw = shop({"stable": 95, "canary": 5})
    shown = gw.cli("split", "shop")
    assert re.search(r"stable +95 +95% +1 of 1 +stable", shown.out) and "the file's" in shown.out, shown
    done = gw.cli("split", "shop", "stable=1", "canary=3", "--stable", "canary")
    assert "stable=1" in done.out and "canary is stable" in done.out and "live in all workers" in done.out
    assert [r["percent"] for r in gw.cli("split", "shop", "--json").json()] == [75, 25]
    assert "split by the api: canary 75%, stable 25%" in gw.cli("status").out
    assert gw.cli("split", "shop", "--reset").code == 0
    for words, code in [(["split"], 2), (["split", "shop", "stable"], 2), (["split", "shop", "stable=x"], 2),
                        (["split", "shop", "other=1"], 1), (["split", "sohp"], 1), (["split", "sohp", "stable=1"], 1)]:
        assert gw.cli(*words).code == code, words


# -- the safety net


def failing(gw, release, answer):
    gw.origins[release].on("/")(answer)


@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 599])
def test_what_fails_on_the_canary_is_served_by_stable(shop, status):
    gw = shop({"canary": 100}, **{"health": "off"})
    failing(gw, "canary", lambda conn, request: conn.respond(status, b"broken"))
    reply = gw.get("/")
    assert (reply.status, reply.text, reply.header("X-Sluice-Release")) == (200, "stable", "stable")
    assert len(gw.origins["canary"].heads) == len(gw.origins["stable"].heads) == 1
    gw.wait_metric("sluice_release_rescued_total", 1, service="shop", release="canary")
    gw.wait_metric("sluice_release_requests_total", 1, service="shop", release="canary", result="failed")
    gw.wait_metric("sluice_release_requests_total", 0, service="shop", release="canary", result="good")
    assert not gw.metrics().series("sluice_release_requests_total", service="shop", release="stable")
    assert gw.metric("sluice_upstream_requests_total", release="canary", code=str(status) if status < 505 else "5xx") == 1


def test_a_canary_that_is_gone(shop):
    gw = shop({"canary": 100}, health="off")
    gw.origins["canary"].close()
    assert gw.get("/").text == "stable"
    reply = gw.post("/", b"x")  # nothing of it had left
    assert reply.text == "stable"
    gw.wait_metric("sluice_release_rescued_total", 2, release="canary")


def test_a_canary_that_is_down(shop):
    gw = shop({"canary": 100}, health={"interval": "100ms", "fall": 1})
    gw.origins["canary"].close()
    until(lambda: releases(gw)["canary"]["up"] == 0, "it is seen to be down")
    assert gw.post("/", b"x").text == "stable"
    gw.wait_metric("sluice_release_requests_total", 1, release="canary", result="failed")


def test_a_canary_that_hangs_has_a_part_of_the_time(shop):
    gw = shop({"canary": 100}, health="off", retry={"per_try": "200ms"})
    failing(gw, "canary", lambda conn, request: conn.wait_end())
    assert gw.get("/").text == "stable"


def test_what_may_not_be_said_twice_is_not(shop):
    gw = shop({"canary": 100}, health="off")
    failing(gw, "canary", lambda conn, request: conn.respond(500, b"broken"))
    reply = gw.post("/", b"order")
    assert (reply.status, reply.text, reply.header("X-Sluice-Release")) == (500, "broken", "canary")
    assert not gw.origins["stable"].heads
    gw.wait_metric("sluice_release_requests_total", 1, release="canary", result="failed")


def test_a_body_goes_along(shop):
    gw = shop({"canary": 100}, health="off")
    failing(gw, "canary", lambda conn, request: conn.read_body(request) and conn.respond(500, b"broken"))
    failing(gw, "stable", lambda conn, request: conn.respond(200, conn.read_body(request).body))
    assert gw.connect().request("PUT", "/", [], b"z" * 5000).reply().text == "z" * 5000


def test_off_is_off(shop):
    gw = shop({"canary": 100}, health="off", safety_net=False)
    failing(gw, "canary", lambda conn, request: conn.respond(500, b"broken"))
    assert gw.get("/").status == 500
    assert not gw.origins["stable"].heads


def test_who_asked_for_it_sees_it_fail(shop):
    gw = shop(health="off", assign={"ask_header": "x-release"})
    failing(gw, "canary", lambda conn, request: conn.respond(500, b"broken"))
    assert get(gw, {"x-release": "canary"}).status == 500
    assert not gw.metrics().series("sluice_release_requests_total", release="canary")


def test_stable_has_no_net(shop):
    gw = shop({"stable": 100, "canary": 1}, health="off", assign={"lists": [{"release": "stable",
                                                                             "addresses": ["127.0.0.1"]}]})
    failing(gw, "stable", lambda conn, request: conn.respond(500, b"broken"))
    assert gw.get("/").status == 500
    assert not gw.origins["canary"].heads


def test_stable_fails_too(shop):
    gw = shop({"canary": 100}, health="off")
    for release in ("stable", "canary"):
        failing(gw, release, lambda conn, request, release=release: conn.respond(500, release.encode()))
    reply = gw.get("/")
    assert (reply.status, reply.text) == (500, "stable")
    assert len(gw.origins["canary"].heads) == len(gw.origins["stable"].heads) == 1


def test_why_says_so(shop):
    gw = shop({"canary": 100}, health="off")
    failing(gw, "canary", lambda conn, request: conn.respond(500, b"broken"))
    failing(gw, "stable", lambda conn, request: conn.respond(500, b"as well"))
    told = gw.admin("GET", f"/api/v1/requests/{gw.get('/').header('X-Request-Id')}").json()
    assert told["release"] == "stable" and "safety net" in told["release_by"]
    assert [t["outcome"] for t in told["tries"]] == ["500", "500"]


# -- what releases are judged by


def counters(gw, query=""):
    reply = gw.admin("GET", f"/api/v1/counters{query}")
    assert reply.status == 200, reply
    return reply.json()


def test_counters(shop):
    gw = shop({"canary": 50, "stable": 50}, health="off", safety_net=False)
    failing(gw, "canary", lambda conn, request: conn.respond(500, b"broken"))
    begun = counters(gw)
    assert begun["releases"] == []
    for number in range(200):
        get(gw, {"X-Forwarded-For": address(number)})
    after = counters(gw, f"?since={begun['number']}")
    told = {r["release"]: r for r in after["releases"]}
    canary, stable = told["canary"], told["stable"]
    assert after["instance"] == begun["instance"]
    assert canary["requests"] + stable["requests"] == 200
    assert (canary["failures"], stable["failures"]) == (canary["requests"], 0)
    assert canary["latency"] == [] and sum(n for _, n in stable["latency"]) == stable["requests"]
    for release in (canary, stable):
        groups, requests, failures = zip(*release["clients"], strict=True)
        assert sorted(groups) == list(groups) and set(groups) <= set(range(16)) and len(groups) > 8
        assert (sum(requests), sum(failures)) == (release["requests"], release["failures"])
    assert counters(gw, f"?since={after['number']}")["releases"] == []
    get(gw, {"X-Forwarded-For": address(0)})
    assert len(counters(gw, f"?since={after['number']}")["releases"]) == 1
    assert counters(gw, "?service=other")["releases"] == []
    assert gw.admin("GET", "/api/v1/counters?since=x").json()["reason"] == "query_invalid"


def test_a_client_is_in_one_group_at_every_edge(shop):
    groups = set()
    for _ in range(2):
        gw = shop({"stable": 100, "canary": 0}, health="off")
        for _ in range(5):
            get(gw, {"X-Forwarded-For": address(7)})
        (group, requests, failures), = counters(gw)["releases"][0]["clients"]
        assert (requests, failures) == (5, 0)
        groups.add(group)
    assert len(groups) == 1


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
    {"split": {"stable": 0}}, {"split": {"stable": -1}}, {"split": {"stable": 1.5}}, {"stable": "4 3"}, {"stable": None},
    {"targets": [{"address": f"127.0.0.1:{n}", "release": f"r{n}"} for n in range(1, 8)]},
])
def test_malformed_words_of_control(shop, wrong):
    gw = shop()
    assert said(gw, 422, **wrong)["reason"] == "releases_invalid"
    assert "control" not in gw.status()["services"][0]
