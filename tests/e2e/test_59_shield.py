# SPDX-License-Identifier: Apache-2.0
"""The emergency mode: browsers solve a task once, all others may ask little, and it ends by itself."""

import hashlib
import itertools
import json
import os
import re

import pytest

from lib.client import Client
from lib.pki import Authority
from lib.wait import DEADLINE, SLOW, until

PAGE = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8")]
QUICK = {"difficulty": 8}


@pytest.fixture
def house(origin, gateway):
    """A gateway that trusts us on who its clients are, with its shield up unless `up` is false."""
    def make(shield=None, up=True, **options):
        filters = [{"shield": {**QUICK, **(shield or {})}}]
        gw = gateway(origin, filters=filters, trusted_proxies=["127.0.0.1"], **options)
        if up:
            put(gw, True)
        return gw

    return make


def put(gw, on, span=None):
    reply = gw.admin("POST", "/api/v1/shield", {"on": on, **({"for": span} if span else {})})
    assert reply.status == 200, reply
    return reply.json()


def shown(gw):
    return gw.admin("GET", "/api/v1/shield").json()


def page(gw, cookie=None, address="192.0.2.1"):
    """Asks as a browser does."""
    headers = [*PAGE, ("X-Forwarded-For", address)]
    return gw.get("/", headers + ([("Cookie", f"a=b; sluice_shield={cookie}; c=d")] if cookie else []))


def solve(reply, bits=None):
    challenge, wanted = re.search(r"challenge = '([0-9a-f-]+)', bits = (\d+)", reply.text).groups()
    bits = int(wanted) if bits is None else bits
    for number in itertools.count():
        solution = f"{challenge}-{number}"
        if int.from_bytes(hashlib.sha256(solution.encode()).digest(), "big") >> (256 - bits) == 0:
            return solution


def api(gw, times, address="192.0.2.1", path="/", method="GET", headers=()):
    """How many of so many requests of another program get through."""
    replies = [gw.get(path, [("X-Forwarded-For", address), *headers]) if method == "GET" else
               gw.post(path, b"", [("X-Forwarded-For", address), *headers]) for _ in range(times)]
    assert {r.status for r in replies} <= {200, 429}, replies
    return sum(r.status == 200 for r in replies)


# -- what clients see


def test_while_it_is_down_nothing_is_asked_of_anybody(house):
    gw = house(up=False)
    assert shown(gw) == {"on": False}
    assert page(gw).text == "ok" and api(gw, 40) == 40
    assert gw.metric("sluice_shield_up") == 0


def test_a_browser_gets_a_task_and_then_all_it_wants(origin, house):
    gw = house()
    reply = page(gw)
    assert reply.status == 503 and reply.header("Content-Type") == "text/html; charset=utf-8"
    assert reply.header("Cache-Control") == "no-store" and reply.header("X-Sluice-Reason") == "shield_challenge"
    assert reply.has("Retry-After") and not origin.requests
    solution = solve(reply)
    assert all(page(gw, solution).text == "ok" for _ in range(40))
    headers = [("Cookie", f"sluice_shield={solution}"), ("X-Forwarded-For", "192.0.2.1")]
    assert all(gw.post("/", b"", headers).status == 200 for _ in range(40))


def test_what_is_no_solution_gets_the_task_again(house):
    gw = house()
    solution = solve(page(gw))
    challenge, _, number = solution.rpartition("-")
    lazy = next(f"{challenge}-{n}" for n in range(1000)
                if hashlib.sha256(f"{challenge}-{n}".encode()).digest()[0])
    later = f"{int(challenge[:8], 16) + 3600:08x}{challenge[8:]}"
    for wrong in (lazy, challenge, f"{challenge}-", f"{solution}x", f"{later}-{number}", "x" * 4000, "\x80\xff"):
        assert page(gw, wrong).status == 503, wrong
    assert page(gw, solution, "192.0.2.2").status == 503
    assert page(gw, solution).text == "ok"


def test_a_solution_holds_as_long_as_it_is_said(house):
    gw = house({"pass": "3s"})
    solution = solve(page(gw))
    assert page(gw, solution).text == "ok"
    until(lambda: page(gw, solution).status == 503, "the end of it")


def test_other_clients_may_ask_little(house):
    gw = house({"rate": "5/h"})
    assert api(gw, 8) == 5
    refused = gw.get("/", [("X-Forwarded-For", "192.0.2.1")])
    assert refused.status == 429 and refused.header("X-Sluice-Reason") == "shielded"
    assert 0 < int(refused.header("Retry-After")) <= 720
    assert api(gw, 8, "192.0.2.2", method="POST", headers=PAGE) == 5
    assert api(gw, 3, "2001:db8::1") == 3 and api(gw, 3, "2001:db8::2") == 2
    gw.wait_metric("sluice_http_requests_refused_total", 8, reason="shielded")
    put(gw, False)
    assert api(gw, 8) == 8


def test_whom_and_what_it_does_not_concern(origin, gateway):
    gw = gateway(origin, trusted_proxies=["127.0.0.1"], filters=[{"shield": {"rate": "1/h", "exempt": ["192.0.2.0/24"]}}],
                 routes=[{"paths": ["/hook"], "service": "app", "filters": [{"shield": "off"}]}, {"service": "app"}])
    put(gw, True)
    assert page(gw).text == "ok" and api(gw, 5) == 5
    assert api(gw, 5, "198.51.100.1") == 1
    assert api(gw, 5, "198.51.100.1", "/hook") == 5
    assert gw.get("/.sluice/health").status == 200


def test_it_is_there_where_nothing_is_written(origin, gateway):
    gw = gateway(origin)
    put(gw, True)
    assert gw.get("/", PAGE).status == 503
    assert [gw.get("/").status for _ in range(25)] == [200] * 20 + [429] * 5


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_real_browser_solves_the_task(house, origin, browse, home, scheme):
    gw = house({"difficulty": 14}, up=False)
    if scheme == "https":
        leaf = Authority(home).leaf("localhost")
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": {"certificates": [leaf.pair]}}])
        gw.reload()
    put(gw, True)
    browse(f"{scheme}://localhost:{gw.port}/deep?in=there")
    (request, *_) = until(lambda: [r for r in origin.requests if r.path == "/deep"], "the page asked for", 6 * DEADLINE)
    assert request.target == "/deep?in=there" and "sluice_shield=" in request.header("Cookie")


# -- how it is steered


def test_it_comes_down_by_itself(house):
    gw = house(up=False)
    with gw.connect() as client:
        assert put(gw, True, "3s")["left_s"] in (2, 3)
        assert shown(gw)["on"] and gw.metric("sluice_shield_up") == 1
        assert client.get("/", PAGE).status == 503
        until(lambda: not shown(gw)["on"], "its end")
        assert client.get("/", PAGE).text == "ok"
    assert gw.metric("sluice_shield_up") == 0


def test_events_tell_of_it(house):
    gw = house(up=False)
    with events(gw) as stream:
        put(gw, True, "2s")
        assert next_event(stream) == {"on": True, "why": "asked"}
        assert next_event(stream) == {"on": False, "why": "expired"}


def events(gw):
    client = Client(f"unix:{gw.state}/admin.sock")
    client.request("GET", "/api/v1/events", host="localhost")
    client.head()
    return client


def next_event(client):
    while True:
        client.until(b"event: shield", "an event", 10 * SLOW)
        data = client.until(b"\n\n", "its end").partition(b"data: ")[2]
        found = json.loads(data.split(b"\n")[0])
        return {"on": found["on"], "why": found["why"]}


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_it_outlives_the_process(house, end):
    gw = house(up=False)
    before = put(gw, True, "10m")["until_ms"]
    if end == "restart":
        gw.stop()
        gw.start()
    else:
        edge = gw.edge
        os.kill(edge, 9)
        until(lambda: gw.edges() not in ([], [edge]) and gw.is_ready(), "another edge")
    assert shown(gw)["until_ms"] == before
    assert page(gw).status == 503
    put(gw, False)
    assert "shield_until_ms" not in json.loads((gw.state / "edge.json").read_text())


def test_a_reload_changes_nothing_of_it(house):
    gw = house()
    before = shown(gw)["until_ms"]
    solution = solve(page(gw))
    gw.change(filters=[{"shield": {**QUICK, "rate": "3/h"}}])
    gw.reload()
    assert shown(gw)["until_ms"] == before and page(gw, solution).text == "ok" and page(gw).status == 503


def test_the_command(house):
    gw = house(up=False)
    assert "the shield is down" in gw.cli("shield").out
    done = gw.cli("shield", "on", "--for", "45m")
    assert done.code == 0 and re.search(r"up until 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d UTC, for another (2700|2699) s", done.out)
    assert gw.cli("shield", "--json").json()["on"]
    assert "the shield is up for another" in gw.cli("status").out
    assert page(gw).status == 503
    done = gw.cli("shield", "off")
    assert done.code == 0 and done.out == "the shield is down\n"
    assert page(gw).text == "ok"
    for words in (["maybe"], ["on", "off"], ["off", "--for", "3m"], ["on", "--for"]):
        assert gw.cli("shield", *words).code == 2, words
    done = gw.cli("shield", "on", "--for", "soon")
    assert done.code == 1 and "from 1s to 24h" in done.err


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"on": 1}', '{"on": true, "for": 30}', '{"on": true, "for": "0s"}',
                                  '{"on": true, "for": "25h"}', '{"on": false, "for": "3m"}', '{"on": true, "x": 1}',
                                  '{"on": true, "on": true}', '{"on": true'])
def test_calls_that_are_wrong(house, body):
    gw = house(up=False)
    reply = gw.admin("POST", "/api/v1/shield", body)
    assert reply.status == 422 and reply.json()["reason"] == "shield_invalid", reply
    assert shown(gw) == {"on": False}


def test_who_may_only_read_may_not_put_it_up(house):
    gw = house(up=False)
    assert gw.admin("POST", "/api/v1/shield", {"on": True}, over_socket=False).status in (401, 403)
    assert gw.admin("GET", "/api/v1/shield", over_socket=False).json() == {"on": False}


@pytest.mark.parametrize("shield, words", [
    ({"rate": "often"}, '"often" is not'), ({"rate": "1/500d"}, "is too slow a rate"),
    ({"difficulty": 25}, "difficulty"), ({"exempt": ["10.0.0.1/8"]}, '"10.0.0.1/8" is no network'),
    ({"pass": "8d"}, "pass"),
])
def test_what_is_wrong_is_said(origin, gateway, shield, words):
    gw = gateway(origin, filters=[{"shield": shield}], run=False)
    done = gw.cli("check", gw.file)
    assert done.code == 2 and words in done.err, done
