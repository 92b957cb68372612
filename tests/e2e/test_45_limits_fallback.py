# SPDX-License-Identifier: Apache-2.0
"""A cookie that keeps a client on its target, limits with a fair queue, and what answers when no target can."""

import ctypes
import threading
import time
from collections import Counter

import pytest

from lib.client import Client
from lib.h2peer import H2Client
from lib.health import Steps, checked, name_of, numbered, state, target, wait_state
from lib.wait import DEADLINE, QUIET, SLOW, stays, until


def in_turn(**more):
    return {"balance": "round_robin", "retry": "off", **more}


def tally(gw, count, **request):
    return Counter(gw.get(**request).text for _ in range(count))


# -- sticky


def cookie_of(of, name="sluice_target"):
    """The Cookie field of a client that was sent to this target: 16 hex digits of XXH3 of its id."""
    try:
        digest = ctypes.CDLL("libxxhash.so.0").XXH3_64bits
    except (OSError, AttributeError):
        pytest.skip("libxxhash.so.0 with XXH3 is not here to make a cookie with")
    digest.restype, digest.argtypes = ctypes.c_uint64, [ctypes.c_char_p, ctypes.c_size_t]
    text = name_of(of).encode()
    return f"{name}={digest(text, len(text)):016x}"


@pytest.mark.parametrize("balance", ["round_robin", "least_request", "random", "hash"])
def test_a_client_stays_on_its_target(origins, gateway, balance):
    made = numbered(origins, 3)
    gw = gateway(made, service=in_turn(sticky="on", balance=balance))
    for n, origin in enumerate(made):
        assert tally(gw, 10, headers=[("Cookie", cookie_of(origin))]) == {str(n): 10}
        assert tally(gw, 4, headers=[("Cookie", f"a=b; {cookie_of(origin)}; c=d")]) == {str(n): 4}


def test_the_name_of_the_cookie(origins, gateway):
    made = numbered(origins, 3)
    gw = gateway(made, service=in_turn(sticky={"cookie": "mine"}))
    assert tally(gw, 9, headers=[("Cookie", cookie_of(made[2], "mine"))]) == {"2": 9}
    assert len(tally(gw, 9, headers=[("Cookie", cookie_of(made[2]))])) == 3


def test_over_http2_where_cookies_come_in_pieces(origins, gateway):
    made = numbered(origins, 3)
    gw = gateway(made, service=in_turn(sticky="on"))
    with H2Client(("127.0.0.1", gw.port)) as client:
        fields = [("cookie", "a=b"), ("cookie", cookie_of(made[1])), ("cookie", "c=d")]
        assert {client.get("/", fields).body for _ in range(6)} == {b"1"}


@pytest.mark.parametrize("value", ["", "0", "0" * 16, "f" * 16, "x" * 16, "f" * 17, "f" * 5000, "-" + "1" * 15])
def test_a_cookie_that_is_no_targets_means_nothing(origins, gateway, value):
    gw = gateway(numbered(origins, 3), service=in_turn(sticky="on"))
    assert tally(gw, 9, headers=[("Cookie", f"sluice_target={value}")]) == {"0": 3, "1": 3, "2": 3}


def test_one_whose_target_is_gone_is_sent_to_another(origins, gateway):
    made = numbered(origins, 3)
    steps = [Steps(o) for o in made]
    gw = gateway(made, service=in_turn(sticky="on", health=checked("/health", fall=1)))
    for each in steps:
        each.step(200)
    headers = [("Cookie", cookie_of(made[1]))]
    assert tally(gw, 6, headers=headers) == {"1": 6}
    steps[1].step(500)
    assert tally(gw, 6, headers=headers) == {"0": 3, "2": 3}
    steps[1].step(200)
    assert tally(gw, 6, headers=headers) == {"1": 6}
    assert gw.admin("POST", f"/api/v1/services/app/targets/{made[1].address}/drain").status == 200
    assert tally(gw, 6, headers=headers) == {"0": 3, "2": 3}
    assert gw.admin("DELETE", f"/api/v1/services/app/targets/{made[1].address}").status == 200
    assert tally(gw, 6, headers=headers) == {"0": 3, "2": 3}


def test_one_whose_target_fails_is_tried_elsewhere(origins, faulties, gateway):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    gw = gateway([proxy, b], service={"sticky": "on", "outlier": "off"})
    headers = [("Cookie", cookie_of(proxy))]
    assert gw.get(headers=headers).text == "0"
    proxy.set("refuse")
    assert gw.post("/", b"x", headers).text == "1"
    proxy.set("pass")
    assert gw.get(headers=headers).text == "0"


# -- limits


class Held:
    """Targets that hold their requests until .go is set, or let() lets one through; .order is whose came."""

    def __init__(self, *origins):
        self.gate, self.changed = threading.Semaphore(0), threading.Condition()
        self.inside, self.most, self.order = 0, 0, []
        for origin in origins:
            origin.on("/held")(self._hold)

    def _hold(self, conn, request):
        conn.read_body(request)
        with self.changed:
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.order.append(request.header("X-Forwarded-For"))
            self.changed.notify_all()
        self.gate.acquire(timeout=120)
        with self.changed:
            self.inside -= 1
        conn.respond(200, b"held")

    def wait(self, count):
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.order) >= count, DEADLINE), self.order

    def let(self, count=1):
        self.gate.release(count)


LIMITS = {"queue": 200, "queue_timeout": "60s"}


@pytest.mark.parametrize("workers", [1, 3])
def test_a_total_is_for_all_targets_and_workers(origins, gateway, workers):
    made = origins(), origins()
    held = Held(*made)
    gw = gateway(made, workers=workers, service={"limits": {**LIMITS, "total": 3}})
    clients = [gw.connect().request("GET", "/held") for _ in range(12)]
    held.wait(3)
    stays(lambda: len(held.order) == 3, "three at once")
    for n in range(9):
        held.let()
        held.wait(4 + n)
    held.let(3)
    assert all(c.reply().text == "held" for c in clients)
    assert held.most == 3 and sum(len(o.heads) for o in made) == 12


def test_total_and_concurrency_together(origins, gateway):
    made = origins(), origins()
    held = [Held(o) for o in made]
    gw = gateway(made, service={"limits": {**LIMITS, "total": 3, "concurrency": 2}})
    clients = [gw.connect().request("GET", "/held") for _ in range(10)]
    until(lambda: sum(h.inside for h in held) == 3, "three")
    for h in held:
        h.let(10)
    assert all(c.reply().text == "held" for c in clients)
    assert max(h.most for h in held) == 2


def from_address(gw, address, path="/held"):
    client = Client(("127.0.0.1", gw.port), source=address)
    gw.clients.append(client)
    return client.request("GET", path)


def test_one_client_with_many_waiting_does_not_starve_others(origin, gateway):
    """Eight that ask once come early though forty of one client were there before; two may share a place with it."""
    held = Held(origin)
    gw = gateway(origin, service={"limits": {**LIMITS, "concurrency": 1}})
    clients = [from_address(gw, "127.0.0.1")]
    held.wait(1)
    clients += [from_address(gw, "127.0.0.1") for _ in range(40)]
    others = [f"127.0.1.{n}" for n in range(1, 9)]
    assert all(c.is_open(0.01) for c in clients)
    clients += [from_address(gw, address) for address in others]
    assert clients[-1].is_open(QUIET)
    for n in range(len(clients) - 1):
        held.let()
        held.wait(2 + n)
    held.let()
    assert all(c.reply().text == "held" for c in clients)
    early = set(held.order[1:20]) & set(others)
    assert len(early) >= 6, held.order


def test_a_full_queue_makes_room_at_the_cost_of_who_has_most(origin, gateway):
    held = Held(origin)
    gw = gateway(origin, service={"limits": {**LIMITS, "concurrency": 1, "queue": 6}})
    first = from_address(gw, "127.0.0.1")
    held.wait(1)
    many = [from_address(gw, "127.0.0.1") for _ in range(6)]
    assert all(c.is_open(QUIET / 6) for c in many)
    assert from_address(gw, "127.0.0.1").reply().reason == "queue_full"  # the same client: its own are before it
    other = from_address(gw, "127.0.1.1")
    refused = many[-1].reply()
    assert (refused.status, refused.reason) == (503, "queue_full")
    assert other.is_open(QUIET)
    held.let(100)
    assert all(c.reply().text == "held" for c in (first, other, *many[:-1]))


def test_an_adaptive_limit_is_shown_and_kept(origin, gateway):
    held = Held(origin)
    gw = gateway(origin, workers=2, service={"limits": {**LIMITS, "adaptive": {"min": 3, "max": 3}}})
    until(lambda: target(gw, origin).get("limit") == 3, "the limit in status")
    clients = [gw.connect().request("GET", "/held") for _ in range(6)]
    held.wait(3)
    stays(lambda: len(held.order) == 3, "three at once")
    held.let(100)
    assert all(c.reply().text == "held" for c in clients)


def test_an_adaptive_limit_shrinks_when_answers_become_slow(origin, faulties, gateway):
    proxy = faulties(origin)
    gw = gateway(proxy, service={"limits": {**LIMITS, "adaptive": {"min": 2, "max": 30}}})
    until(lambda: target(gw, proxy).get("limit") == 20, "the first limit")
    stop = threading.Event()

    def load():
        with Client(("127.0.0.1", gw.port)) as client:
            client.keep_received = False
            while not stop.is_set():
                assert client.get(timeout=4 * DEADLINE).text == "ok"

    threads = [threading.Thread(target=load, daemon=True) for _ in range(24)]
    for thread in threads:
        thread.start()
    quick = time.monotonic() + 3 * SLOW  # thirty looks: the first ten are the mean that later ones are held against
    until(lambda: time.monotonic() > quick and len(origin.heads) > 300, "a mean of quick answers", 4 * DEADLINE)
    proxy.set("delay", seconds=0.2 * SLOW)
    until(lambda: target(gw, proxy)["limit"] <= 12, "fewer at once", 4 * DEADLINE)
    assert target(gw, proxy)["limit"] >= 2
    stop.set()
    for thread in threads:
        thread.join(4 * DEADLINE)


def test_without_an_adaptive_limit_none_is_shown(origin, gateway):
    gw = gateway(origin, service={"limits": {"concurrency": 5}})
    assert gw.get().text == "ok"
    assert "limit" not in target(gw, origin)


# -- what answers last


def two_services(gateway, first, second, **more):
    return gateway(services={
        "app": {"targets": [name_of(first)], "outlier": "off", "fallback": "spare", **more},
        "spare": {"targets": [name_of(second)]},
    }, routes=[{"name": "all", "service": "app"}])


def test_another_service_answers_while_none_of_its_targets_can(origins, gateway):
    a, b = numbered(origins, 2)
    steps = Steps(a)
    gw = two_services(gateway, a, b, health=checked("/health", fall=1))
    steps.step(200)
    assert tally(gw, 4) == {"0": 4}
    steps.step(500)
    assert state(gw, a) == "down"
    reply = gw.post("/order", b"body")
    assert (reply.status, reply.text, reply.reason) == (200, "1", None)
    assert [r.body for r in b.requests] == [b"body"]
    record = gw.log("/order")
    assert record["service"] == "spare" and record["target"] == b.address
    steps.step(200)
    assert tally(gw, 4) == {"0": 4}


def test_another_service_answers_what_was_refused_everywhere(origins, faulties, gateway):
    """Not checked, and no connection: the request never left, so the other service gets it, whatever its method."""
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    gw = two_services(gateway, proxy, b)
    assert gw.post("/", b"x").text == "0"
    proxy.set("refuse")
    assert gw.post("/", b"x").text == "1" and gw.get("/").text == "1"
    proxy.set("reset")
    assert gw.post("/", b"x").status == 502  # it may have been done


def test_when_the_other_service_cannot_either(gateway, ports):
    gw = two_services(gateway, f"127.0.0.1:{ports.take()}", f"127.0.0.1:{ports.take()}")
    assert gw.get().status in (502, 503)


RESPOND = {"respond": {"status": 503, "body": "{\"busy\": true}", "content_type": "application/json"}}


@pytest.mark.parametrize("is_checked", [True, False])
def test_a_fixed_answer(gateway, ports, is_checked):
    dead = f"127.0.0.1:{ports.take()}"
    gw = gateway(dead, service={"fallback": RESPOND, "health": checked(fall=1) if is_checked else "off"})
    if is_checked:
        wait_state(gw, dead, "down")
    for reply in (gw.get("/x"), gw.post("/x", b"body")):
        assert (reply.status, reply.json()) == (503, {"busy": True})
        assert reply.header("Content-Type") == "application/json"
        assert reply.reason == "destination_unavailable"
    assert gw.get(headers=[("Accept", "text/html")]).json() == {"busy": True}
    gw.logs(2, lambda r: r["path"] == "/x" and r["status"] == 503)


def test_a_fixed_answer_may_be_a_good_one(gateway, ports):
    gw = gateway(f"127.0.0.1:{ports.take()}", service={"fallback": {"respond": {"status": 200, "body": "later"}}})
    with Client(("127.0.0.1", gw.port)) as client:
        for _ in range(3):
            assert client.get().text == "later"
        assert client.request("HEAD").reply("HEAD").header("Content-Length") == "5"


def test_it_does_not_answer_for_a_target_that_is_there(origins, gateway):
    origin = origins()
    origin.answers("HTTP/1.1 503 Sorry\r\nContent-Length: 4\r\n\r\nmine")
    gw = gateway(origin, service={"fallback": RESPOND, "outlier": "off"})
    assert gw.get().text == "mine"
