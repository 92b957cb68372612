# SPDX-License-Identifier: Apache-2.0
"""Targets: how one is picked, how connections to it are kept, retried and bounded."""

import threading
from collections import Counter

import pytest

from lib.client import Client
from lib.gateway import full_listener
from lib.wait import QUIET, ms, stays, until


def several(origins, count, **options):
    """Origins that answer with their number."""
    made = [origins(**options) for _ in range(count)]
    for n, origin in enumerate(made):
        origin.answers(f"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n{n}")
    return made


def tally(gw, count, **request):
    return Counter(gw.get(**request).text for _ in range(count))


# -- picking


def test_round_robin_is_even(origins, gateway):
    gw = gateway(several(origins, 3), service={"balance": "round_robin"})
    assert tally(gw, 30) == {"0": 10, "1": 10, "2": 10}


def test_round_robin_by_weight(origins, gateway):
    made = several(origins, 2)
    gw = gateway([{"address": made[0].address, "weight": 3}, made[1]], service={"balance": "round_robin"})
    assert tally(gw, 40) == {"0": 30, "1": 10}


def test_random_by_weight(origins, gateway):
    made = several(origins, 2)
    gw = gateway([{"address": made[0].address, "weight": 4}, made[1]], service={"balance": "random"})
    found = tally(gw, 500)
    assert 350 <= found["0"] <= 450  # 400 expected, five sigma is 45


def test_least_request_avoids_the_busy_one(origins, gateway):
    made = several(origins, 2)
    go = threading.Event()

    @made[0].on("/")
    def stuck(conn, request):
        go.wait(60)
        conn.respond(200, b"0")

    gw = gateway(made)
    waiting = [gw.connect().request() for _ in range(8)]
    until(lambda: made[0].heads, "one request stuck")
    assert len(made[0].heads) < 8
    more = tally_until_answered(gw, 10)
    assert more["1"] == 10
    go.set()
    for client in waiting:
        assert client.reply().status == 200


def tally_until_answered(gw, count):
    """Ten answers while one target is stuck: requests that it got are not waited for."""
    answered, tries = Counter(), 0
    while sum(answered.values()) < count and tries < 50:
        tries += 1
        client = gw.connect().request()
        try:
            answered[client.reply(timeout=QUIET).text] += 1
        except AssertionError:
            continue
    assert tries <= count + 6, "the stuck target kept getting requests"
    return answered


@pytest.mark.parametrize(
    "by, make",
    [
        ("header:X-User", lambda n: {"headers": [("x-user", f"u{n}")]}),
        ("cookie:sid", lambda n: {"headers": [("Cookie", f"a=b; sid=u{n}; z=1")]}),
        ("path", lambda n: {"target": f"/user/{n}"}),
    ],
    ids=["header", "cookie", "path"],
)
def test_hash_keeps_a_key_on_its_target(origins, gateway, by, make):
    gw = gateway(several(origins, 4), service={"balance": "hash", "hash_by": by})
    first = [gw.get(**make(n)).text for n in range(80)]
    assert [gw.get(**make(n)).text for n in range(80)] == first
    spread = Counter(first)
    assert len(spread) == 4 and max(spread.values()) < 45


def test_hash_moves_few_keys_when_a_target_goes(origins, gateway):
    made = several(origins, 4)
    gw = gateway(made, service={"balance": "hash", "hash_by": "header:X-User"})
    keys = [[("X-User", f"u{n}")] for n in range(100)]
    before = [gw.get(headers=k).text for k in keys]
    gw.change(services={"app": {"targets": [o.address for o in made[:3]]}})
    gw.reload()
    after = [gw.get(headers=k).text for k in keys]
    moved = sum(a != b for a, b in zip(after, before) if b != "3")
    assert moved <= 15  # a Maglev table moves up to 5 % of the others' keys: five sigma of a hundred


def test_hash_by_client_address(origins, gateway):
    gw = gateway(several(origins, 4), service={"balance": "hash", "hash_by": "client_ip"})
    seen = {}
    for n in range(1, 31):
        for _ in range(2):
            with Client(("127.0.0.1", gw.port), source=f"127.0.0.{n}") as client:
                seen.setdefault(n, set()).add(client.get().text)
    assert all(len(s) == 1 for s in seen.values())
    assert len(set.union(*seen.values())) >= 3


# -- connections to targets


def test_connections_are_kept_and_the_youngest_used_first(origin, gateway):
    gate = threading.Barrier(3)

    @origin.on("/together")
    def together(conn, request):
        gate.wait(20)
        conn.respond(200, b"x")

    gw = gateway(origin)
    clients = [gw.connect().request("GET", "/together") for _ in range(3)]
    for client in clients:
        client.reply()
    assert len(origin.connections) == 3
    before = [len(c.requests) for c in origin.connections]
    for _ in range(5):
        gw.get()
    grown = [len(c.requests) - b for c, b in zip(origin.connections, before)]
    assert sorted(grown) == [0, 0, 5]  # LIFO: one stays warm, the others may go idle
    gw.wait_metric("sluice_upstream_connections_open", 3, service="app", state="idle")


def test_idle_connections_are_closed_after_their_time(origin, gateway):
    gw = gateway(origin, timeouts={"upstream_idle": ms(400)})
    gw.get()
    assert origin.connections[0].wait_ended() == "eof"
    assert gw.get().text == "ok"
    assert len(origin.connections) == 2


def test_the_targets_own_keep_alive_time_is_obeyed(origin, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nKeep-Alive: timeout=1\r\nContent-Length: 2\r\n\r\nok")
    gw = gateway(origin, timeouts={"upstream_idle": "60s"})
    gw.get()
    assert origin.connections[0].wait_ended(timeout=4) == "eof"  # before the target would
    assert gw.get().text == "ok"
    assert len(origin.connections) == 2


def test_the_number_of_idle_connections_is_bounded(origin, gateway):
    gate = threading.Barrier(6)

    @origin.on("/together")
    def together(conn, request):
        gate.wait(20)
        conn.respond(200, b"x")

    gw = gateway(origin, service={"pool": {"idle_connections": 2}})
    clients = [gw.connect().request("GET", "/together") for _ in range(6)]
    for client in clients:
        client.reply()
    until(lambda: sum(c.ended is None and c.sock.fileno() >= 0 for c in origin.connections) <= 2, "four closed")
    assert gw.get().text == "ok"


def test_a_connection_is_not_kept_past_its_age(origin, gateway):
    gw = gateway(origin, service={"pool": {"max_age": ms(500)}}, timeouts={"upstream_idle": "60s"})
    pause = threading.Event()

    def serve():
        assert gw.get().text == "ok"
        pause.wait(0.1)
        return len(origin.connections) >= 3

    until(serve, "new connections though the old ones were busy")


def test_no_connection_is_kept_when_pooling_is_off(origin, gateway):
    gw = gateway(origin, service={"pool": {"idle_connections": 0}})
    for _ in range(3):
        assert gw.get().text == "ok"
    assert len(origin.connections) == 3


# -- retrying what is safe


def dies_on_second(conn):
    """Serves one request a connection; the second one is read and not answered."""
    request = conn.read()
    if request:
        conn.respond(200, str(conn.index).encode())
        if conn.read_head():
            conn.close()


def test_a_dead_kept_connection_is_not_noticed_by_a_get(origin, gateway):
    origin.script = dies_on_second
    gw = gateway(origin)
    for _ in range(6):
        assert gw.get().status == 200
    assert gw.metric("sluice_upstream_retries_total", service="app") >= 1


def test_a_post_on_a_dead_kept_connection_is_not_doubled(origin, gateway):
    origin.script = dies_on_second
    gw = gateway(origin)
    assert gw.get().status == 200
    reply = gw.post("/order", b"one")
    orders = [h for h in origin.heads if h.target == "/order"]
    assert len(orders) == 1
    assert (reply.status, reply.reason) == (502, "connection_terminated")


def test_a_target_that_closed_while_idle_costs_nothing(origin, gateway):
    def script(conn):
        conn.read()
        conn.respond(200, b"x")
        conn.close()  # without Connection: close

    origin.script = script
    gw = gateway(origin)
    for n in range(10):
        reply = gw.post("/", b"data") if n % 2 else gw.get()
        assert reply.status == 200
        until(lambda: gw.metric("sluice_upstream_connections_open", service="app") == 0, "the close was seen")
    assert len(origin.requests) == 10


def test_a_request_with_a_streamed_body_is_not_replayed(origin, gateway):
    origin.script = dies_on_second
    gw = gateway(origin)
    gw.get()
    client = gw.connect().request("PUT", "/stream", [("Transfer-Encoding", "chunked")])
    client.chunk(b"first part")
    until(lambda: origin.connections[0].sock.fileno() < 0, "the target closed")
    try:
        client.chunk(b"second part")
        client.send("0\r\n\r\n")
    except ConnectionError:
        pass
    assert client.reply("PUT").status in (200, 502)
    whole = [r.body for r in origin.requests if r.target == "/stream"]
    assert whole in ([], [b"first partsecond part"])  # the whole of it or nothing


def test_nothing_is_retried_once_the_answer_began(origin, gateway):
    def script(conn):
        conn.read()
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        conn.close()

    origin.script = script
    client = gateway(origin).connect().request()
    assert client.head().status == 200
    assert client.to_end() == b"half"
    assert len(origin.heads) == 1


def test_a_refused_target_is_passed_over(origin, gateway, ports):
    dead = [f"127.0.0.1:{ports.take()}" for _ in range(2)]
    gw = gateway([*dead, origin], service={"balance": "round_robin"})
    for n in range(12):
        reply = gw.post("/", b"body") if n % 2 else gw.get()
        assert reply.text == "ok"
    assert len(origin.requests) == 12
    assert gw.metric("sluice_upstream_retries_total", service="app") > 0
    assert any(r.get("attempts", 1) > 1 for r in gw.logs(12))


def test_all_targets_refuse(gateway, ports):
    gw = gateway([f"127.0.0.1:{ports.take()}" for _ in range(2)])
    reply = gw.get()
    assert (reply.status, reply.reason) == (502, "connection_refused")
    assert "error=connection_refused" in reply.header("Proxy-Status")
    assert gw.post("/", b"x").reason == "connection_refused"


def test_a_unix_socket_that_is_not_there(gateway, home):
    assert gateway(f"unix:{home}/nobody.sock").get().reason in ("connection_refused", "destination_unroutable")


def test_a_name_that_does_not_resolve(gateway):
    gw = gateway("no-such-host.invalid:80")
    assert gw.get().status in (502, 503)
    assert gw.get().reason in ("dns_error", "destination_unavailable")


def test_a_target_that_hangs_on_connect_is_passed_over(origin, gateway):
    port, held = full_listener()
    gw = gateway([f"127.0.0.1:{port}", origin], service={"balance": "round_robin"}, timeouts={"connect": ms(300)})
    for _ in range(4):
        reply = gw.get()
        assert reply.text == "ok" or reply.reason == "connection_timeout"
    assert len(origin.requests) >= 2
    for sock in held:
        sock.close()


# -- a cap on what a target is asked at once


class Gated:
    """An origin whose answers wait for .go."""

    def __init__(self, origin):
        self.origin, self.go = origin, threading.Event()

        self.inside = self.most = 0

        @origin.on("/held")
        def held(conn, request):
            conn.read_body(request)
            self.inside += 1
            self.most = max(self.most, self.inside)
            self.go.wait(60)
            self.inside -= 1
            conn.respond(200, b"held")


def test_the_cap_and_its_queue(origin, gateway):
    gated = Gated(origin)
    gw = gateway(origin, service={"limits": {"concurrency": 1, "queue": 2, "queue_timeout": "30s"}})
    first = gw.connect().request("GET", "/held")
    origin.wait_heads(1)
    queued = [gw.connect().request("GET", "/held") for _ in range(2)]
    for client in queued:
        assert client.is_open(QUIET)
    reply = gw.get("/held")
    assert (reply.status, reply.reason) == (503, "queue_full")
    assert int(reply.header("Retry-After")) >= 1
    stays(lambda: len(origin.heads) == 1, "one at a time")
    gated.go.set()
    for client in (first, *queued):
        assert client.reply().text == "held"
    assert gated.most == 1


def test_waiting_in_the_queue_has_a_deadline(origin, gateway):
    gated = Gated(origin)
    gw = gateway(origin, service={"limits": {"concurrency": 1, "queue": 5, "queue_timeout": ms(300)}})
    first = gw.connect().request("GET", "/held")
    origin.wait_heads(1)
    reply = gw.get("/late")
    assert (reply.status, reply.reason) == (503, "queue_timeout")
    assert reply.header("Retry-After")
    assert gw.log("/late")["queue_ms"] >= 250
    gated.go.set()
    assert first.reply().text == "held"
    assert gw.get("/").text == "ok"


def test_a_client_that_leaves_the_queue_frees_its_place(origin, gateway):
    gated = Gated(origin)
    gw = gateway(origin, service={"limits": {"concurrency": 1, "queue": 1, "queue_timeout": "30s"}})
    first = gw.connect().request("GET", "/held")
    origin.wait_heads(1)
    leaver = gw.connect().request("GET", "/left")
    assert leaver.is_open(QUIET)
    leaver.reset()
    gw.log("/left")
    stayer = gw.connect().request("GET", "/stays")
    assert stayer.is_open(QUIET)
    gated.go.set()
    assert first.reply().text == "held"
    assert stayer.reply().text == "ok"
    assert "/left" not in [h.target for h in origin.heads]


def test_the_cap_holds_across_workers(origin, gateway):
    lock, inside, most = threading.Lock(), [0], [0]

    @origin.on("/")
    def busy(conn, request):
        with lock:
            inside[0] += 1
            most[0] = max(most[0], inside[0])
        threading.Event().wait(0.01)
        with lock:
            inside[0] -= 1
        conn.respond(200, b"x")

    gw = gateway(origin, workers=4, service={"limits": {"concurrency": 3, "queue": 200, "queue_timeout": "30s"}})
    clients = [gw.connect() for _ in range(60)]
    for _ in range(3):
        for client in clients:
            client.request()
        assert all(c.reply(timeout=40).status == 200 for c in clients)
    assert 1 < most[0] <= 3


def test_the_cap_is_per_target(origins, gateway):
    made = several(origins, 2)
    gates = [Gated(o) for o in made]
    gw = gateway(made, service={"limits": {"concurrency": 1, "queue": 0}})
    clients = [gw.connect().request("GET", "/held") for _ in range(2)]
    for origin in made:
        origin.wait_heads(1)
    assert gw.get("/held").reason == "queue_full"
    for gate in gates:
        gate.go.set()
    assert all(c.reply().text == "held" for c in clients)


def test_a_cancelled_request_gives_its_place_back(origin, gateway):
    gated = Gated(origin)
    gw = gateway(origin, service={"limits": {"concurrency": 1, "queue": 1, "queue_timeout": "30s"}})
    client = gw.connect().request("GET", "/held")
    origin.wait_heads(1)
    client.reset()
    assert gw.get("/").text == "ok"
    gated.go.set()


def test_tunnels_count_against_the_cap(origin, gateway):
    @origin.on("/t")
    def take(conn, request):
        conn.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        conn.wait_end()
        return "end"

    gw = gateway(origin, service={"limits": {"concurrency": 1, "queue": 0}})
    tunnel = gw.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
    assert tunnel.head().status == 101
    assert gw.get("/").reason == "queue_full"
    tunnel.close()
    until(lambda: gw.get("/").status == 200, "the place was given back")
