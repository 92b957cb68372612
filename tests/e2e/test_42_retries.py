# SPDX-License-Identifier: Apache-2.0
"""Other tries: of what, on which target, how often; and that nothing is ever done twice that must not be."""

import threading
import time
from collections import Counter

import pytest

from lib.client import Client
from lib.faulty import MODES
from lib.h2frames import INTERNAL_ERROR, REFUSED_STREAM
from lib.h2peer import H2Client
from lib.h2stream import Reset
from lib.health import name_of, numbered
from lib.stream import Ended
from lib.wait import DEADLINE, QUIET, SLOW, Stopwatch, ms, stays, until

ALL = ["connect", "refused_stream", "reset_unsent", "reset", "429", "500", "502", "503", "504"]
SAFE = ["connect", "refused_stream", "reset_unsent"]
EARLY = ["refuse", "accept_close", "reset", "hang"]  # nothing of an answer leaves


def service(retry=None, **more):
    """In turn, and nothing but tries says what is thought of targets."""
    made = {"balance": "round_robin", "outlier": "off", **more}
    return made if retry is None else {**made, "retry": retry}


def eager(**more):
    return {"retries": 3, "on": ALL, "backoff": "1ms", "backoff_max": "1ms", "budget": "100%", "budget_floor": 1000,
            "per_try": ms(300), **more}


def ordered(first, *others):
    """Targets of which the first gets every first try, as near as makes no difference."""
    return [{"address": name_of(first), "weight": 1000}, *others]


def failing(origin, status):
    """Counts what comes, and answers so."""
    origin.answers(f"HTTP/1.1 {status} Sorry\r\nContent-Length: 5\r\n\r\nsorry")
    return origin


def times_seen(*origins):
    """How often each path came to any of the targets."""
    return Counter(h.path for o in origins for h in o.heads)


# -- by default


@pytest.mark.parametrize("method", ["GET", "PUT", "POST"])
def test_no_connection_is_tried_elsewhere_whatever_the_method(origins, faulties, gateway, method):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    proxy.set("refuse")
    gw = gateway(ordered(proxy, b), service=service())
    for n in range(6):
        with Client(("127.0.0.1", gw.port)) as client:
            assert client.request(method, f"/{n}", body=b"body").reply(method).text == "1"
    assert len(b.requests) == 6 and all(r.body == b"body" for r in b.requests) and not a.heads
    assert gw.metric("sluice_upstream_retries_total", service="app") == 6


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("fault", ["accept_close", "reset"])
def test_what_was_sent_is_not_tried_again(origins, faulties, gateway, fault, method):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    proxy.set(fault)
    gw = gateway([proxy, b], service=service())
    replies = []
    for n in range(6):
        with Client(("127.0.0.1", gw.port)) as client:
            replies.append(client.request(method, f"/{n}", body=b"x").reply(method))
    assert Counter(r.status for r in replies) == {200: 3, 502: 3}
    assert {r.reason for r in replies if r.status == 502} == {"connection_terminated"}
    assert len(b.heads) == 3 and all(n == 1 for n in times_seen(a, b).values())


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_is_an_answer(origins, gateway, status):
    a, b = origins(), origins()
    failing(a, status)
    gw = gateway([a, b], service=service())
    replies = [gw.get(f"/{n}") for n in range(4)]
    assert Counter(r.status for r in replies) == {status: 2, 200: 2}
    assert all(r.reason is None and r.text == "sorry" for r in replies if r.status == status)
    assert all(n == 1 for n in times_seen(a, b).values())


@pytest.mark.parametrize("method, tries", [("GET", 2), ("POST", 1)])
def test_a_kept_connection_that_dies_is_replaced_once(origin, faulties, gateway, method, tries):
    proxy = faulties(origin)
    gw = gateway(proxy, service=service())
    assert gw.get("/first").status == 200
    proxy.set("reset")
    with Client(("127.0.0.1", gw.port)) as client:
        reply = client.request(method, "/x", body=b"").reply(method)
    assert (reply.status, reply.reason) == (502, "connection_terminated")
    origin.wait_heads(1 + tries)
    assert times_seen(origin)["/x"] == tries and proxy.connections == tries


# -- refused streams of HTTP/2


def refusing(origin, code, times):
    """The first `times` streams of /x are reset."""
    left = [times]

    @origin.on("/x")
    def answer(stream):
        stream.read_body()
        left[0] -= 1
        if left[0] >= 0:
            stream.reset(code)
        else:
            stream.respond(200, b"done")

    return origin


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_refused_stream_is_sent_again(h2origin, gateway, method):
    refusing(h2origin, REFUSED_STREAM, 1)
    gw = gateway(h2origin.address, service=service(protocol="h2"))
    with H2Client(("127.0.0.1", gw.port)) as client:
        reply = client.request(method, "/x", body=b"the body").reply()
    assert (reply.status, reply.body) == (200, b"done")
    assert [h.body for h in h2origin.wait_heads(2)] == [b"the body"] * 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_stream_that_breaks_is_not(h2origin, gateway, method):
    refusing(h2origin, INTERNAL_ERROR, 1)
    gw = gateway(h2origin.address, service=service(protocol="h2"))
    reply = gw.get("/x") if method == "GET" else gw.post("/x", b"x")
    assert reply.status == 502 and len(h2origin.heads) == 1


def test_a_stream_that_is_refused_for_ever_ends(h2origin, gateway):
    refusing(h2origin, REFUSED_STREAM, 1000)
    gw = gateway(h2origin.address, service=service({"retries": 3}, protocol="h2"))
    assert gw.post("/x", b"x").status in (502, 503)
    assert len(h2origin.heads) == 4


# -- never twice


@pytest.mark.parametrize("method", ["POST", "PATCH"])
@pytest.mark.parametrize("fault", MODES)
def test_what_is_not_idempotent_is_never_doubled(origins, faulties, gateway, fault, method):
    """Every cause is allowed, one of two targets has the fault: each request comes to a target once at most."""
    made = numbered(origins, 2)
    proxies = faulties(*made)
    gw = gateway(proxies, service=service(eager()), timeouts={"stream_idle": ms(300)})
    for _ in range(2):  # kept connections
        assert gw.get("/warm").status == 200
    proxies[0].set(fault, **({"seconds": 2 * 0.3 * SLOW} if fault == "delay" else {}))
    answered = set()
    for n in range(8):
        with Client(("127.0.0.1", gw.port)) as client:
            try:
                if client.request(method, f"/{n}", body=b"order").reply(method).status == 200:
                    answered.add(f"/{n}")
            except Ended:
                pass  # cut in the body
    gw.logs(8, lambda r: r["path"] != "/warm")
    seen = times_seen(*made)
    del seen["/warm"]
    assert max(seen.values()) == 1, seen
    assert len(answered) >= 4 and answered <= set(seen)


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_order_that_was_refused_is_not_placed_elsewhere(origins, gateway, status):
    a, b = failing(origins(), status), origins()
    gw = gateway([a, b], service=service(eager()))
    for n in range(4):
        gw.post(f"/{n}", b"order")
    assert times_seen(a, b) == {f"/{n}": 1 for n in range(4)}


# -- elsewhere


@pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("fault", [*EARLY, "drip", "delay"])
def test_what_is_idempotent_goes_to_another_target(origins, faulties, gateway, fault, method):
    made = numbered(origins, 2)
    proxies = faulties(*made)
    gw = gateway(ordered(*proxies), service=service(eager(per_try=ms(1000))))  # a busy machine makes it of the other one
    options = {"delay": {"seconds": 2 * SLOW}, "drip": {"pause": 0.1 * SLOW}}
    proxies[0].set(fault, **options.get(fault, {}))
    for n in range(2):
        with Client(("127.0.0.1", gw.port)) as client:
            reply = client.request(method, f"/{n}", body=b"body").reply(method)
            assert reply.status == 200 and (method == "HEAD" or reply.text == "1")
    assert [r.body for r in made[1].requests] == [b"body"] * 2
    assert max(times_seen(made[0]).values(), default=0) <= 1
    assert [r["attempts"] for r in gw.logs(2)] == [2] * 2


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_an_answer_that_is_none_goes_to_another_target(origins, gateway, status):
    a, b = failing(origins(), status), origins()
    gw = gateway(ordered(a, b), service=service(eager(on=[str(status)])))
    for n in range(4):
        reply = gw.get(f"/{n}")
        assert (reply.status, reply.text) == (200, "ok")
    assert len(a.heads) == 4 and len(b.heads) == 4


def test_other_causes_than_those_named_are_no_reason(origins, gateway):
    a, b = failing(origins(), 503), origins()
    gw = gateway([a, b], service=service(eager(on=["502", "504", "reset"])))
    assert Counter(gw.get().status for _ in range(4)) == {503: 2, 200: 2}


def test_a_kept_connection_that_breaks_is_broken_off_too(origins, faulties, gateway):
    """`reset` is enough to try elsewhere what a kept connection ended with."""
    made = numbered(origins, 2)
    proxies = faulties(*made)
    gw = gateway(ordered(*proxies), service=service(eager(on=["reset"])))
    assert gw.get("/warm").text == "0"
    proxies[0].set("reset")
    assert gw.get("/x").text == "1"
    assert gw.post("/x", b"").status == 502


def test_another_tier_comes_before_the_same_target_again(origins, gateway):
    a, b = failing(origins(), 503), origins()
    gw = gateway([a, {"address": b.address, "priority": 1}], service=service(eager(retries=1, on=["503"])))
    for n in range(4):
        assert gw.get(f"/{n}").text == "ok"
    assert times_seen(a, b) == {f"/{n}": 2 for n in range(4)}


@pytest.mark.parametrize("retries", [0, 1, 3])
def test_how_many_other_tries_there_are(origins, gateway, retries):
    made = [failing(origins(), 503) for _ in range(5)]
    gw = gateway(made, service=service(eager(retries=retries)))
    reply = gw.get("/x")
    assert (reply.status, reply.text, reply.reason) == (503, "sorry", None)  # the last answer is the answer
    assert sorted(len(o.heads) for o in made) == [0] * (4 - retries) + [1] * (retries + 1)
    assert gw.log("/x").get("attempts", 1) == retries + 1


def test_the_same_target_again_when_there_is_no_other(origin, gateway):
    left = [2]

    @origin.on("/x")
    def answer(conn, request):
        conn.read_body(request)
        left[0] -= 1
        conn.respond(503 if left[0] >= 0 else 200, b"x")

    gw = gateway(origin, service=service(eager()))
    assert gw.get("/x").status == 200
    assert len(origin.heads) == 3


def test_no_connection_is_tried_on_every_target(origins, gateway, ports):
    origin = origins()
    dead = [f"127.0.0.1:{ports.take()}" for _ in range(6)]
    gw = gateway([*dead, origin], service=service({"retries": 0}))
    for n in range(7):
        assert gw.post(f"/{n}", b"x").text == "ok"
    assert times_seen(origin) == {f"/{n}": 1 for n in range(7)}
    assert max(r.get("attempts", 1) for r in gw.logs(7)) == 7


def test_none_at_all(origins, faulties, gateway):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    gw = gateway([proxy, b], service=service("off"))
    for _ in range(2):
        assert gw.get("/warm").status == 200
    proxy.set("reset")  # the kept connection, too
    assert Counter(gw.get("/x").status for _ in range(2)) == {200: 1, 502: 1}
    proxy.set("refuse")
    replies = [gw.get("/x") for _ in range(4)]
    assert Counter(r.status for r in replies) == {200: 2, 502: 2}
    assert gw.metric("sluice_upstream_retries_total", service="app") == 0
    assert all(r.get("attempts", 1) == 1 for r in gw.logs(8))


# -- time


def test_each_try_has_its_time(origins, faulties, gateway):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    proxy.set("hang")
    gw = gateway(ordered(proxy, b), service=service(eager(per_try=ms(400))))
    with Stopwatch() as watch:
        assert gw.get("/x").text == "1"
    assert 0.4 * SLOW <= watch.seconds < 0.4 * SLOW + DEADLINE / 2
    assert gw.log("/x")["attempts"] == 2


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_the_time_of_a_try_ends_it_also_without_another(origin, faulties, gateway, method):
    proxy = faulties(origin)
    proxy.set("hang")
    gw = gateway(proxy, service=service({"on": SAFE, "per_try": ms(200)}))
    reply = gw.get("/x") if method == "GET" else gw.post("/x", b"x")
    assert (reply.status, reply.reason) == (504, "http_response_timeout")
    assert len(origin.heads) == 1


def test_pauses_grow_to_their_longest(origin, gateway):
    times = []

    @origin.on("/x")
    def answer(conn, request):
        conn.read_body(request)
        times.append(time.monotonic())
        conn.respond(503, b"x")

    gw = gateway(origin, service=service(eager(retries=4, backoff="100ms", backoff_max="200ms")))
    assert gw.get("/x").status == 503
    gaps = [b - a for a, b in zip(times, times[1:])]
    assert len(gaps) == 4
    for gap, least, most in zip(gaps, (0.05, 0.1, 0.1, 0.1), (0.1, 0.2, 0.2, 0.2)):
        assert least - 0.005 <= gap <= most + 0.3 * SLOW, gaps


def test_there_is_no_pause_before_another_connection(origin, gateway, ports):
    dead = [f"127.0.0.1:{ports.take()}" for _ in range(4)]
    gw = gateway([*dead, origin], service=service({"backoff": "20s", "backoff_max": "20s"}))
    for _ in range(5):
        assert gw.get(timeout=DEADLINE).text == "ok"


def test_a_client_that_leaves_in_a_pause(origin, gateway):
    failing(origin, 503)
    gw = gateway(origin, service=service(eager(backoff="60s", backoff_max="60s")))
    client = gw.connect().request("GET", "/left")
    origin.wait_requests(1)
    assert client.is_open(QUIET)
    client.reset()
    gw.log("/left")
    stays(lambda: len(origin.heads) == 1, "no other try")


def test_a_target_that_comes_in_a_pause_may_serve(origins, gateway):
    a, b = failing(origins(), 503), origins()
    gw = gateway(a, service=service(eager(backoff=ms(1500), backoff_max=ms(1500))))
    client = gw.connect().request("PUT", "/x", body=b"body")
    a.wait_requests(1)
    gw.change(services={"app": {"targets": [b.address]}})
    gw.reload()
    assert client.reply("PUT").text == "ok"
    assert b.request.body == b"body" and len(a.heads) == 1


# -- bodies


@pytest.mark.parametrize("is_slow", [False, True], ids=["at once", "in pieces"])
@pytest.mark.parametrize("size, is_replayed", [(1024, True), (1025, False), (20_000, False)])
def test_a_body_is_replayed_up_to_its_limit(origins, faulties, gateway, size, is_replayed, is_slow):
    a, b = numbered(origins, 2)
    proxy = faulties(a)
    gw = gateway(ordered(proxy, b), service=service(eager(body="1KiB", on=["reset"], per_try="off")))
    proxy.set("reset")
    body = bytes(n % 251 for n in range(size))
    with Client(("127.0.0.1", gw.port)) as client:
        client.request("PUT", "/x", [("Content-Length", str(size))])
        for at in range(0, size, 700 if is_slow else size):
            if is_slow:
                a.wait_heads(1)
            client.send(body[at : at + (700 if is_slow else size)])
        reply = client.reply("PUT")
    if is_replayed:
        assert reply.text == "1"
        assert [r.body for r in b.requests if r.path == "/x"] == [body]
    else:
        assert (reply.status, reply.reason) == (502, "connection_terminated")
        assert "/x" not in times_seen(b)
    assert times_seen(a)["/x"] == 1


def test_a_body_that_still_comes_goes_on_to_the_next(origins, gateway):
    """The first target answers 503 to the head; what came of the body is said again, the rest follows."""
    a, b = origins(), origins()

    @a.on("/x")
    def refuse(conn, request):
        conn.respond(503, b"sorry")
        return "end"

    gw = gateway(ordered(a, b), service=service(eager(on=["503"])))
    client = gw.connect().request("PUT", "/x", [("Transfer-Encoding", "chunked")])
    client.chunk(b"first, ")
    b.wait_heads(1)
    client.chunk(b"second")
    client.send("0\r\n\r\n")
    assert client.reply("PUT").text == "ok"
    assert b.request.body == b"first, second"


# -- the budget


def test_failures_everywhere_are_not_multiplied(origins, gateway):
    """All fail: other tries are a fifth of all requests, whatever `retries` says."""
    count, clients = 2000, 8
    made = [failing(origins(), 503) for _ in range(3)]
    gw = gateway(made, workers=2, service=service({"retries": 7, "on": ["503"], "backoff": "1ms", "backoff_max": "1ms",
                                                   "budget": "20%", "budget_floor": 0}))

    def ask():
        with Client(("127.0.0.1", gw.port)) as client:
            client.keep_received = False
            for _ in range(count // clients):
                assert client.get().status == 503
                done.append(1)

    done = []
    threads = [threading.Thread(target=ask, daemon=True) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60 * SLOW)
    assert len(done) == count
    sent = sum(len(o.heads) for o in made)
    assert 1.1 * count < sent < 1.25 * count
    assert gw.metric("sluice_upstream_retries_total", service="app") == sent - count


def test_some_are_always_allowed(origin, gateway):
    failing(origin, 503)
    gw = gateway(origin, service=service({"retries": 1, "on": ["503"], "backoff": "1ms", "backoff_max": "1ms",
                                          "budget": "0%", "budget_floor": 1}))
    for _ in range(50):
        assert gw.get().status == 503
    assert 50 < len(origin.heads) <= 50 + 10 * (1 + SLOW)  # one a second, counted over ten


# -- what has begun is never begun anew


def cut_bodies(origin):
    """Long answers of each framing; the body's bytes say where they are."""
    body = b"".join(b"%07d\n" % n for n in range(5000))

    @origin.on("/length")
    def length(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    @origin.on("/chunked")
    def chunked(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))

    @origin.on("/close")
    def close(conn, request):
        conn.read_body(request)
        conn.send(b"HTTP/1.1 200 OK\r\n\r\n" + body)
        return "end"

    return body


@pytest.mark.parametrize("fault", ["reset_body", "hang_body"])
@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize("version", ["http1", "h2"])
def test_a_cut_body_is_visibly_cut(origins, faulties, gateway, version, framing, fault):
    a, b = origins(), origins()
    body = cut_bodies(a)
    cut_bodies(b)
    proxies = faulties(a, b)
    for proxy in proxies:
        proxy.set(fault, after=1000)
    gw = gateway(proxies, service=service(eager()), timeouts={"stream_idle": ms(400)})
    if version == "http1":
        client = gw.connect().request("GET", f"/{framing}")
        with pytest.raises(Ended):
            client.reply()
        assert client.wait_end()
        head, _, got = bytes(client.received).partition(b"\r\n\r\n")
        assert b" 200 " in head and not got.endswith(b"0\r\n\r\n") and len(got) < 2000
    else:
        with H2Client(("127.0.0.1", gw.port)) as client:
            stream = client.request("GET", f"/{framing}")
            with pytest.raises(Reset):
                stream.reply()
            assert stream.status == 200 and not stream.complete
            assert stream.received < 2000 and body.startswith(bytes(stream.body))
            assert not client.ended  # the stream alone
    assert times_seen(a, b) == {f"/{framing}": 1}
    assert gw.log(f"/{framing}").get("attempts", 1) == 1


def test_a_head_that_promises_nothing_is_no_answer_yet(origins, gateway):
    """An interim answer has left for the client: the final one may still come from another target."""
    a, b = origins(), origins()

    @a.on("/x")
    def hint(conn, request):
        conn.read_body(request)
        conn.send("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n")
        conn.reset()
        return "end"

    gw = gateway(ordered(a, b), service=service(eager(on=["reset"])))
    reply = gw.get("/x")
    assert reply.text == "ok" and [i.status for i in reply.interims] == [103]
    until(lambda: len(b.requests) == 1, "the other target")
