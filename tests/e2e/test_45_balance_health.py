# SPDX-License-Identifier: Apache-2.0
"""Balancing by what is known of targets: ejection, breakers, tiers, slow start, limits, and what answers last."""

import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from lib.client import Client
from lib.health import Events, Steps, checked, numbered, state, target, wait_state
from lib.wait import DEADLINE, QUIET, SLOW, ms, stays, until

OFF = {"consecutive": "off", "errors": "off"}


class Moody:
    """A target that answers each request with `.status`; .count says how many came."""

    def __init__(self, origin, status=200, name="x"):
        self.origin, self.status, self.name = origin, status, name
        self.address = origin.address

        @origin.on("/")
        def answer(conn, request):
            conn.read_body(request)
            conn.respond(self.status() if callable(self.status) else self.status, self.name.encode())

    @property
    def count(self):
        return len(self.origin.heads)


@pytest.fixture
def moody(origins):
    """moody(200, 503, ...): targets named 0, 1, ... that begin with these."""
    return lambda *statuses: [Moody(origins(), s, str(n)) for n, s in enumerate(statuses)]


def in_turn(**more):
    return {"balance": "round_robin", "retry": "off", **more}


def tally(gw, count, **request):
    return Counter(gw.get(**request).text for _ in range(count))


# -- failures in a row


def test_failures_in_a_row_eject(moody, gateway):
    a, b = moody(503, 200)
    gw = gateway([a.address, b.address], service=in_turn(outlier={"consecutive": 3, "errors": "off", "eject": "60s"}))
    events = Events(gw)
    replies = tally(gw, 6)
    assert replies == {"0": 3, "1": 3}
    found = wait_state(gw, a, "ejected")
    assert found["reason"] == "too many failures in a row" and 50_000 < found["ejected_for_ms"] <= 60_000
    assert tally(gw, 10) == {"1": 10}
    events.wait(a, "ejected")
    assert a.count == 3 and events.health[0]["reason"] == "too many failures in a row"
    events.close()


def test_a_good_answer_between_starts_the_count_anew(moody, gateway):
    a, b = moody(200, 200)
    turn = iter(range(1 << 30))
    a.status = lambda: 200 if next(turn) % 3 == 2 else 503
    gw = gateway([a.address, b.address], service=in_turn(outlier={"consecutive": 3, "errors": "off"}))
    tally(gw, 60)
    assert a.count == 30 and state(gw, a) == "up"


@pytest.mark.parametrize("status, counts", [(502, True), (504, True), (500, False), (404, False), (429, False)])
def test_which_answers_are_failures(moody, gateway, status, counts):
    a, b = moody(status, 200)
    gw = gateway([a.address, b.address], service=in_turn(outlier={"consecutive": 3, "errors": "off", "eject": "60s"}))
    tally(gw, 20)
    if counts:
        wait_state(gw, a, "ejected")
    else:
        assert a.count == 10 and state(gw, a) == "up"


@pytest.mark.parametrize("fault", ["refuse", "accept_close", "reset", "hang"])
def test_which_faults_are_failures(origins, faulties, gateway, fault):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    gw = gateway([proxy, b], service=in_turn(outlier={"consecutive": 3, "errors": "off", "eject": "60s"}),
                 timeouts={"first_byte": ms(200)})
    assert tally(gw, 2) == {"0": 1, "1": 1}
    proxy.set(fault)
    until(lambda: gw.get() and state(gw, proxy) == "ejected", "ejection")
    proxy.set("pass")
    assert tally(gw, 6) == {"1": 6}


def test_each_ejection_is_longer_up_to_the_longest(moody, gateway):
    a, b = moody(503, 200)
    first = 1000 * SLOW
    gw = gateway([a.address, b.address], service=in_turn(
        outlier={"consecutive": 1, "errors": "off", "eject": ms(1000), "eject_max": ms(2500)}))
    for least, most in ((0, first), (first, 2 * first), (2 * first, 2.5 * first)):
        until(lambda: gw.get() and state(gw, a) == "ejected", "ejection")
        assert least < target(gw, a)["ejected_for_ms"] + 500 * SLOW and target(gw, a)["ejected_for_ms"] <= most
        wait_state(gw, a, "up", timeout=DEADLINE + 3 * SLOW)


@pytest.mark.parametrize("count, share, out", [(4, "50%", 2), (4, "100%", 3), (2, "100%", 1), (1, "100%", 0)])
def test_how_many_may_be_ejected(moody, gateway, count, share, out):
    made = moody(*[503] * count)
    gw = gateway([m.address for m in made], service=in_turn(
        outlier={"consecutive": 2, "errors": "off", "eject": "60s", "max_ejected": share}))
    tally(gw, 12 * count)

    def ejected():
        return sum(t["state"] == "ejected" for t in gw.targets().values())

    until(lambda: ejected() == out, "ejections")
    tally(gw, 12 * count)
    stays(lambda: ejected() == out, "no more of them")
    before = [m.count for m in made]
    tally(gw, 12)
    assert sum(m.count > n for m, n in zip(made, before)) == count - out


def test_one_that_is_ejected_serves_when_all_others_are_down(origins, moody, gateway):
    (a,) = moody(503)
    b = origins()
    steps = Steps(a.origin), Steps(b)
    gw = gateway([a.address, b], service=in_turn(
        outlier={"consecutive": 1, "errors": "off", "eject": "60s"}, health=checked("/health", fall=1)))
    for each in steps:
        each.step(200)
    until(lambda: gw.get() and state(gw, a) == "ejected", "ejection")
    steps[1].step(500)
    assert state(gw, b) == "down"
    a.status = 200
    assert gw.get().text == "0"


@pytest.mark.parametrize("fault", ["answer", "connection"])
def test_one_that_is_ejected_is_tried_when_all_others_failed_this_request(moody, faulties, gateway, fault):
    a, b = moody(503, 200)
    proxy = faulties(b)
    gw = gateway([a.address, proxy.address], service=in_turn(
        outlier={"consecutive": 1, "errors": "off", "eject": "60s"},
        retry={"retries": 1, "on": ["connect", "503"], "backoff": "1ms"}))
    until(lambda: gw.get() and state(gw, a) == "ejected", "ejection")
    a.status, before = 200, a.count
    assert tally(gw, 5) == {"1": 5} and a.count == before
    b.status = 503
    if fault == "connection":
        proxy.set("refuse")
    assert tally(gw, 5) == {"0": 5}
    assert state(gw, proxy) == "up"  # the last one is never ejected


# -- against the peers


def test_more_failures_than_its_peers_eject(moody, gateway):
    made = moody(200, 200, 200, 200)
    turn = iter(range(1 << 30))
    made[2].status = lambda: 500 if next(turn) % 2 else 200
    gw = gateway([m.address for m in made], service=in_turn(
        outlier={"consecutive": "off", "errors": "3x", "interval": ms(1000), "minimum": 10, "eject": "60s"}))

    def ask():
        tally(gw, 40)
        return state(gw, made[2]) == "ejected"

    until(ask, "ejection")
    assert "more often than its peers" in target(gw, made[2])["reason"]
    assert [state(gw, m) for m in made] == ["up", "up", "ejected", "up"]


def test_few_requests_say_nothing(moody, gateway):
    made = moody(200, 200, 500, 200)
    gw = gateway([m.address for m in made], service=in_turn(
        outlier={"consecutive": "off", "errors": "3x", "interval": ms(1000), "minimum": 50, "eject": "60s"}))
    tally(gw, 120)
    stays(lambda: state(gw, made[2]) == "up", "not judged", 2.5 * SLOW)


@pytest.mark.long
def test_one_that_is_slower_than_its_peers_is_ejected(origins, faulties, gateway):
    made = numbered(origins, 4)
    proxies = faulties(*made)
    for n, proxy in enumerate(proxies):
        proxy.set("delay", seconds=(1 if n == 1 else 0.05) * SLOW)  # what a busy machine adds makes no difference
    gw = gateway(proxies, service=in_turn(
        outlier={**OFF, "latency": "3x", "interval": ms(3000), "minimum": 3, "eject": "60s"}))
    with ThreadPoolExecutor(8) as pool:
        until(lambda: list(pool.map(lambda _: gw.get(), range(16))) and state(gw, proxies[1]) == "ejected", "ejection",
              6 * DEADLINE)
    assert "slower than its peers" in target(gw, proxies[1])["reason"]
    assert all(state(gw, p) == "up" for p in (proxies[0], *proxies[2:]))


# -- breakers

BREAKER = {"errors": "50%", "minimum": 8, "over": "10s", "trials": 3}


def breaking(gateway, moody, **breaker):
    """Two targets, the first of which has failed until its breaker opened."""
    a, b = moody(503, 200)
    gw = gateway([a.address, b.address], service=in_turn(outlier="off", breaker={**BREAKER, **breaker}))
    assert target(gw, a)["breaker"] == "closed"
    tally(gw, 14)
    assert target(gw, a)["breaker"] == "closed"
    tally(gw, 2)
    until(lambda: target(gw, a)["breaker"] == "open", "the breaker opens")
    return a, b, gw


def test_an_open_breaker_lets_nothing_through(gateway, moody):
    a, b, gw = breaking(gateway, moody, open="60s")
    found = target(gw, a)
    assert (found["state"], found["reason"]) == ("ejected", "its breaker is open")
    assert target(gw, b)["breaker"] == "closed"
    assert tally(gw, 20) == {"1": 20} and a.count == 8


def test_good_trials_close_it(gateway, moody):
    a, b, gw = breaking(gateway, moody, open=ms(300))
    a.status = 200
    until(lambda: target(gw, a)["breaker"] == "half_open", "half open")
    assert a.count == 8
    until(lambda: gw.get() and target(gw, a)["breaker"] == "closed", "closed")
    assert a.count >= 8 + 3
    assert tally(gw, 10) == {"0": 5, "1": 5}


def test_no_more_trials_than_it_says(gateway, moody):
    a, b, gw = breaking(gateway, moody, open=ms(300), trials=2)
    go = threading.Event()

    @a.origin.on("/held")
    def held(conn, request):
        go.wait(60)
        conn.respond(200, b"0")

    until(lambda: target(gw, a)["breaker"] == "half_open", "half open")
    clients = [gw.connect().request("GET", "/held") for _ in range(12)]
    b.origin.wait_heads(b.count)
    until(lambda: a.count == 10, "two trials")
    stays(lambda: a.count == 10, "no third one")
    assert target(gw, a)["breaker"] == "half_open"
    go.set()
    assert all(c.reply().status == 200 for c in clients)
    until(lambda: target(gw, a)["breaker"] == "closed", "closed")


def test_a_bad_trial_opens_it_for_longer(gateway, moody):
    a, b, gw = breaking(gateway, moody, open=ms(400))
    opened = time.monotonic()
    until(lambda: target(gw, a)["breaker"] == "half_open", "half open")
    first = time.monotonic() - opened
    until(lambda: gw.get() and target(gw, a)["breaker"] == "open", "open again")
    opened, tried = time.monotonic(), a.count
    assert tried <= 8 + 3
    until(lambda: target(gw, a)["breaker"] == "half_open", "half open again")
    assert time.monotonic() - opened > 1.4 * first
    assert a.count == tried


def test_a_trial_that_its_client_gave_up_is_given_back(gateway, moody):
    a, b, gw = breaking(gateway, moody, open=ms(300), trials=1)

    @a.origin.on("/held")
    def held(conn, request):
        conn.wait_end()
        return "end"

    @b.origin.on("/held")
    def good(conn, request):
        conn.respond(200, b"1")

    until(lambda: target(gw, a)["breaker"] == "half_open", "half open")
    a.status = 200
    clients = []

    def trial():
        clients.append(gw.connect().request("GET", "/held"))
        return clients[-1].is_open(QUIET)  # the one that is not answered

    until(trial, "a trial")
    clients[-1].reset()
    until(lambda: gw.get() and target(gw, a)["breaker"] == "closed", "closed")


def test_slow_answers_open_it(origins, faulties, gateway):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    gw = gateway([proxy, b], service=in_turn(outlier="off", breaker={
        "errors": "off", "slow": ms(100), "slow_share": "50%", "minimum": 4, "open": "60s"}))
    assert tally(gw, 4) == {"0": 2, "1": 2}
    proxy.set("delay", seconds=0.2 * SLOW)
    until(lambda: gw.get() and target(gw, proxy)["breaker"] == "open", "open")
    assert tally(gw, 6) == {"1": 6}


# -- tiers


def dead_ports(ports, count):
    return [f"127.0.0.1:{ports.take()}" for _ in range(count)]


def test_priorities(origins, gateway):
    a, b = numbered(origins, 2)
    steps = Steps(a), Steps(b)
    gw = gateway([{"address": b.address, "priority": 1}, a], service={"health": checked("/health", fall=1)})
    for each in steps:
        each.step(200)
    assert tally(gw, 20) == {"0": 20}
    steps[0].step(500)
    assert tally(gw, 20) == {"1": 20}
    steps[0].step(200)
    assert tally(gw, 20) == {"0": 20}
    assert target(gw, b)["priority"] == 1


@pytest.mark.parametrize("spill, least, most", [("100%", 400, 600), ("75%", 585, 748), ("50%", 1000, 1000)])
def test_what_a_tier_cannot_take_goes_to_the_next(origins, gateway, ports, spill, least, most):
    """Half of the first tier is up: it takes 1/2 over `spill` of all (five sigma either way)."""
    made = numbered(origins, 3)
    far = [{"address": made[2].address, "priority": 1}]
    dead = dead_ports(ports, 2)
    gw = gateway([*made[:2], *dead, *far],
                 service={"balance": "random", "health": checked(fall=1, spill=spill)})
    for of in (*made, *dead):
        wait_state(gw, of, "down" if of in dead else "up")
    with Client(("127.0.0.1", gw.port)) as client:
        found = Counter(client.get().text for _ in range(1000))
    assert least <= found["0"] + found["1"] <= most and found["2"] == 1000 - found["0"] - found["1"]


def test_the_own_region_comes_first(origins, gateway):
    made = numbered(origins, 4)
    steps = [Steps(o) for o in made]
    regions = ["ams", "fra", None, "fra"]
    targets = [{"address": o.address, **({"region": r} if r else {})} for o, r in zip(made, regions)]
    targets[3]["priority"] = 1
    gw = gateway(targets, region="fra", service=in_turn(health=checked("/health", fall=1, spill="50%")))
    for each in steps:
        each.step(200)
    assert tally(gw, 20) == {"1": 10, "2": 10}
    assert target(gw, made[0])["region"] == "ams"
    steps[1].step(500)
    assert tally(gw, 20) == {"2": 20}
    steps[2].step(500)
    assert tally(gw, 20) == {"0": 20}  # farther, but of the first priority
    steps[0].step(500)
    assert tally(gw, 20) == {"3": 20}


def test_without_a_region_of_its_own_all_are_near(origins, gateway):
    made = numbered(origins, 2)
    gw = gateway([{"address": o.address, "region": r} for o, r in zip(made, ("ams", "fra"))], service=in_turn())
    assert tally(gw, 20) == {"0": 10, "1": 10}


# -- coming and going


def test_one_that_came_up_begins_with_little(origins, gateway):
    """A tenth of its half at first (five sigma), all of it in the end."""
    a, b = numbered(origins, 2)
    steps = Steps(a), Steps(b)
    gw = gateway([a, b], service={"balance": "random", "slow_start": "1h", "retry": "off",
                                  "health": checked("/health", fall=1, assume_up=True)})
    for each in steps:
        each.wait()
    with Client(("127.0.0.1", gw.port)) as client:
        even = Counter(client.get().text for _ in range(400))
        assert 150 <= even["1"] <= 250
        steps[1].step(500, 200)
        assert state(gw, b) == "up"
        few = Counter(client.get().text for _ in range(400))
        assert 1 <= few["1"] <= 44, few
    gw.change(services={"app": {"slow_start": "1s"}})
    gw.reload()

    def is_even():
        with Client(("127.0.0.1", gw.port)) as client:
            return Counter(client.get().text for _ in range(200))["1"] > 75

    until(is_even, "its whole share", DEADLINE)


def test_the_only_one_serves_however_new_it_is(origin, gateway):
    steps = Steps(origin)
    gw = gateway(origin, service={"slow_start": "1h", "health": checked("/health")})
    steps.step(200)
    assert tally(gw, 20) == {"ok": 20}


def test_a_drained_target_finishes_what_it_has(origins, gateway):
    a, b = numbered(origins, 2)
    go = threading.Event()

    @a.on("/held")
    def held(conn, request):
        go.wait(60)
        conn.respond(200, b"0")

    @b.on("/held")
    def free(conn, request):
        conn.respond(200, b"1")

    gw = gateway([a, b], service=in_turn(health=checked()))
    for of in (a, b):
        wait_state(gw, of, "up")
    clients = [gw.connect().request("GET", "/held") for _ in range(2)]
    a.wait_heads(1)
    path = f"/api/v1/services/app/targets/{a.address}"
    assert gw.admin("POST", f"{path}/drain").json()["in_flight"] == 1
    assert tally(gw, 10) == {"1": 10}
    assert target(gw, a)["drained"] and target(gw, a)["state"] == "up"
    go.set()
    assert sorted(c.reply().text for c in clients) == ["0", "1"]
    assert gw.admin("POST", f"{path}/enable").status == 200
    assert tally(gw, 10) == {"0": 5, "1": 5}
