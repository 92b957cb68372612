# SPDX-License-Identifier: Apache-2.0
"""rate_limit: how many requests pass, what the answers say of it, and what it outlives."""

import json
import os
import re
import signal
import threading
import time

from lib.client import Client
from lib.gateway import SLOW
from lib.h2peer import H2Client
from lib.wait import until

OTHER = "127.0.0.2"
HOURLY = {"rate": "20/h"}  # slow enough for no token to come back while a test runs


def limited(gateway, origin, *limits, **options):
    keys = limits[0] if limits else HOURLY
    return gateway(origin, filters=[{"rate_limit": keys}], **options)


def ask(gw, target="/", source=None, headers=(), method="GET"):
    with Client(("127.0.0.1", gw.port), source=source) as client:
        return client.request(method, target, headers).reply(method)


def statuses(gw, count, **options):
    return [ask(gw, **options).status for _ in range(count)]


def at_once(gw, count, source=None):
    """Requests on connections that are open before the first is sent."""
    clients = [Client(("127.0.0.1", gw.port), source=source) for _ in range(count)]
    try:
        for client in clients:
            client.request("GET", "/")
        return [client.reply("GET") for client in clients]
    finally:
        for client in clients:
            client.close()


def numbers(reply):
    return tuple(int(reply.header(f"RateLimit-{n}")) for n in ("Limit", "Remaining", "Reset"))


def test_default_lets_100_a_minute_through(origin, gateway):
    """Nothing of it is in the file, and 105 requests come at once to two workers."""
    gw = gateway(origin, run=False, workers=2)
    text = gw.file.read_text()
    config = json.loads(text)
    config.pop("filters")
    gw.write(json.dumps(config)).start()
    begun = time.monotonic()
    replies = at_once(gw, 105)
    took = time.monotonic() - begun
    passed = [r for r in replies if r.status == 200]
    refused = [r for r in replies if r.status == 429]
    more = int(took / 0.6) + 1  # a token comes every 0.6 s; and one, should two workers make the bucket at once
    assert 100 <= len(passed) <= 100 + more and len(passed) + len(refused) == 105
    assert at_once(gw, 1, OTHER)[0].status == 200
    assert min(numbers(r)[1] for r in passed) == 0
    assert len({numbers(r)[1] for r in passed}) >= 100 - 1  # every one says another number
    for reply in refused:
        assert reply.reason == "rate_limited"
        assert reply.header("Content-Type") == "application/problem+json"
        assert numbers(reply) == (100, 0, 60)
        assert reply.header("RateLimit") == '"100/min";r=0;t=60'
        assert reply.header("RateLimit-Policy") == '"100/min";q=100;w=60'
        assert reply.header("Retry-After") == "1"
    gw.wait_metric("sluice_http_requests_refused_total", len(refused), route="app", reason="rate_limited")


def test_off_is_off(origin, gateway):
    gw = gateway(origin, run=False)
    gw.write(re.sub(r"\s+", " ", json.dumps({**json.loads(gw.file.read_text()), "filters": [{"rate_limit": "off"}]})))
    gw.start()
    replies = [gw.get() for _ in range(110)]
    assert {r.status for r in replies} == {200}
    assert not any(f.lower().startswith("ratelimit") for f, _ in replies[-1].fields)


def test_who_waits_passes(origin, gateway):
    gw = limited(gateway, origin, {"rate": "60/min", "burst": 3})
    while ask(gw).status == 200:
        pass
    reply = ask(gw)
    if reply.status == 429:  # no token came meanwhile
        assert reply.header("Retry-After") == "1"
        until(lambda: ask(gw).status == 200, "a token within Retry-After", 1.2)  # what is refused takes nothing


def test_counts_down(origin, gateway):
    gw = limited(gateway, origin)
    seen = [numbers(ask(gw)) for _ in range(20)]
    assert [(limit, left) for limit, left, _ in seen] == [(20, 19 - i) for i in range(20)]
    assert all(180 * (i + 1) - 60 * SLOW <= reset <= 180 * (i + 1) for i, (_, _, reset) in enumerate(seen))
    assert ask(gw).status == 429
    assert ask(gw, source=OTHER).status == 200


def test_refused_requests_reach_no_target(origin, gateway):
    gw = limited(gateway, origin, {"rate": "3/h"})
    assert statuses(gw, 10) == [200] * 3 + [429] * 7
    assert len(origin.requests) == 3


def test_a_refused_body_is_not_read(origin, gateway):
    gw = limited(gateway, origin, {"rate": "1/h"})
    assert gw.get().status == 200
    assert gw.post("/", b"x" * 1_000_000).status == 429
    assert len(origin.requests) == 1


def test_several_limits(origin, gateway):
    gw = limited(gateway, origin, {"limits": [{"name": "short", "rate": "5/h"}, {"rate": "8/d"}]})
    replies = [ask(gw) for _ in range(7)]
    assert [r.status for r in replies] == [200] * 5 + [429] * 2
    assert replies[-1].header("RateLimit-Policy") == '"short";q=5;w=3600, "8/d";q=8;w=86400'
    assert re.fullmatch(r'"short";r=0;t=3600?\d*, "8/d";r=3;t=\d+', replies[-1].header("RateLimit"))  # 3 are untouched


def test_by_header_and_path(origin, gateway):
    gw = limited(gateway, origin, {"rate": "2/h", "by": ["header:x-key", "path"]})
    assert statuses(gw, 3, headers=[("X-Key", "a")]) == [200, 200, 429]
    assert statuses(gw, 3, headers=[("X-Key", "b")]) == [200, 200, 429]
    assert statuses(gw, 3, headers=[("X-Key", "a")], target="/other?x") == [200, 200, 429]
    assert statuses(gw, 1, headers=[("X-Key", "a")], source=OTHER) == [429]
    assert statuses(gw, 3) == [200, 200, 429]  # without the field its address counts
    assert statuses(gw, 1, source=OTHER) == [200]


def test_by_cookie(origin, gateway):
    gw = limited(gateway, origin, {"rate": "1/h", "by": "cookie:session"})
    assert statuses(gw, 2, headers=[("Cookie", "a=b; session=1")]) == [200, 429]
    assert statuses(gw, 2, headers=[("Cookie", "session=2")]) == [200, 429]


def test_exempt(origin, gateway):
    gw = limited(gateway, origin, {"rate": "1/h", "exempt": [f"{OTHER}/32", "header:x-probe=yes"]})
    assert statuses(gw, 3) == [200, 429, 429]
    assert statuses(gw, 3, source=OTHER) == [200] * 3
    assert statuses(gw, 2, headers=[("X-Probe", "yes")]) == [200] * 2
    assert statuses(gw, 1, headers=[("X-Probe", "no")]) == [429]


def test_what_the_gateway_answers_costs_nothing(origin, gateway):
    routes = [
        {"name": "robots", "paths": ["/robots.txt"], "respond": {"status": 200, "body": "hi"}},
        {"name": "old", "paths": ["/old"], "redirect": {"to": "/new"}},
        {"name": "rest", "service": "app"},
    ]
    gw = limited(gateway, origin, {"rate": "1/h"}, routes=routes)
    assert statuses(gw, 4, target="/robots.txt") == [200] * 4
    assert statuses(gw, 4, target="/old") == [308] * 4
    assert statuses(gw, 4, target="/.sluice/health") == [200] * 4
    assert statuses(gw, 2) == [200, 429]
    assert statuses(gw, 2, target="/robots.txt") == [200] * 2


def test_routes_have_their_own(origin, gateway):
    routes = [
        {"name": "login", "paths": ["/login"], "service": "app", "filters": [{"rate_limit": {"rate": "2/h"}}]},
        {"name": "dear", "paths": ["/dear"], "service": "app", "filters": [{"rate_limit": {"rate": "20/h", "cost": 15}}]},
        {"name": "free", "paths": ["/free"], "service": "app", "filters": [{"rate_limit": "off"}]},
        {"name": "rest", "service": "app"},
    ]
    gw = limited(gateway, origin, routes=routes)
    assert statuses(gw, 3, target="/login") == [200, 200, 429]
    assert statuses(gw, 30, target="/free") == [200] * 30
    assert statuses(gw, 2, target="/dear") == [200, 429]
    assert statuses(gw, 6) == [200] * 5 + [429]  # the dear one took 15 of the same 20


def test_assets_are_given_back(origin, gateway):
    @origin.on("/app.js")
    def asset(conn, request):
        conn.respond(200, b"js", [("Cache-Control", "public, max-age=31536000, immutable")])

    @origin.on("/same")
    def same(conn, request):
        conn.send("HTTP/1.1 304 X\r\nETag: \"1\"\r\n\r\n")

    gw = limited(gateway, origin, {"rate": "2/h"})
    assert statuses(gw, 20, target="/app.js") == [200] * 20
    assert statuses(gw, 20, target="/same") == [304] * 20
    assert numbers(ask(gw, "/app.js"))[1] == 2
    assert statuses(gw, 3) == [200, 200, 429]
    assert statuses(gw, 1, target="/app.js") == [429]  # it takes one before it gives it back


def test_a_client_cannot_forge_an_asset(origin, gateway):
    gw = limited(gateway, origin, {"rate": "2/h"})
    forged = [("Cache-Control", "immutable"), ("If-None-Match", "*")]
    assert statuses(gw, 3, headers=forged) == [200, 200, 429]


def test_preflights_are_free(origin, gateway):
    gw = limited(gateway, origin, {"rate": "1/h"})
    fields = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")]
    assert statuses(gw, 10, method="OPTIONS", headers=fields) == [200] * 10
    assert statuses(gw, 2) == [200, 429]
    assert statuses(gw, 1, method="OPTIONS") == [429]


def test_an_upgrade_costs_one(origin, gateway):
    @origin.on("/t")
    def tunnel(conn, request):
        conn.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
        while conn.buffer or conn.fill("tunnel bytes", 600):
            data, conn.buffer = conn.buffer, b""
            conn.send(data)
        return "end"

    gw = limited(gateway, origin, {"rate": "2/h"})
    with gw.send("GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n") as client:
        reply = client.head()
        assert reply.status == 101 and numbers(reply)[1] == 1
        for _ in range(10):
            client.send(b"more")
            assert client.exactly(4, "the echo") == b"more"
        assert statuses(gw, 2) == [200, 429]


def test_streams_of_one_connection(origin, gateway):
    gw = limited(gateway, origin)
    with H2Client(("127.0.0.1", gw.port)) as client:
        replies = [stream.reply() for stream in [client.request() for _ in range(50)]]
    assert [r.status for r in replies].count(200) == 20
    refused = next(r for r in replies if r.status == 429)
    assert refused.header("retry-after") == "180" and refused.header("ratelimit").startswith('"20/h";r=0;t=')


def test_why_says_the_numbers(origin, gateway):
    gw = limited(gateway, origin, {"rate": "2/h", "cost": 2})
    assert ask(gw).status == 200
    refused = ask(gw)
    why = gw.admin("GET", f"/api/v1/requests/{refused.header('X-Request-Id')}").json()
    limit = next(f for f in why["filters"] if f["name"] == "rate_limit")
    assert limit["outcome"] == "refused"
    assert limit["limits"] == [{"name": "2/h", "burst": 2, "cost": 2, "before": 0, "after": 0,
                                "retry_ms": limit["limits"][0]["retry_ms"]}]
    assert 3_500_000 <= limit["limits"][0]["retry_ms"] <= 3_600_000


def test_dry_run_only_counts(origin, gateway):
    gw = limited(gateway, origin, {"rate": "3/h", "dry_run": True})
    replies = [ask(gw) for _ in range(8)]
    assert {r.status for r in replies} == {200}
    assert replies[-1].header("RateLimit-Limit") is None
    gw.wait_metric("sluice_rate_limit_dry_run_total", 5)
    assert gw.metric("sluice_http_requests_refused_total", reason="rate_limited") == 0


def test_a_target_cannot_say_otherwise(origin, gateway):
    origin.answers("HTTP/1.1 200 X\r\nContent-Length: 2\r\nRateLimit-Remaining: 7777\r\nRateLimit: x\r\n\r\nhi")
    gw = limited(gateway, origin)
    reply = ask(gw)
    assert [v for n, v in reply.fields if n.lower() == "ratelimit-remaining"] == ["19"]
    assert [v for n, v in reply.fields if n.lower() == "ratelimit"] == ['"20/h";r=19;t=180']


def test_outlives_a_reload(origin, gateway):
    gw = limited(gateway, origin)
    assert statuses(gw, 12) == [200] * 12
    gw.change(timeouts={"idle": "33s"})
    gw.reload()
    assert numbers(ask(gw))[1] == 7
    gw.write({**gw.config, "filters": [{"rate_limit": {"rate": "10/h"}}]})
    gw.reload()
    assert numbers(ask(gw))[:2] == (10, 9)  # another limit
    gw.write({**gw.config, "filters": [{"rate_limit": HOURLY}]})
    gw.reload()
    assert numbers(ask(gw))[1] == 6


def test_outlives_an_upgrade_and_a_crash(origin, gateway):
    gw = limited(gateway, origin)
    assert statuses(gw, 12) == [200] * 12
    before = gw.edges()
    gw.signal(signal.SIGUSR2)
    until(lambda: gw.edges() and gw.edges() != before and gw.is_ready(), "the upgraded edge")
    until(lambda: len(gw.edges()) == 1, "the old edge gone")
    assert numbers(ask(gw))[1] == 7
    edge = gw.edge
    os.kill(edge, signal.SIGKILL)
    until(lambda: gw.edges() and gw.edges() != [edge] and gw.is_ready(), "the edge again")
    assert numbers(ask(gw))[1] == 6


def test_two_gateways_know_nothing_of_each_other(origin, gateway):
    one, two = limited(gateway, origin, {"rate": "2/h"}), limited(gateway, origin, {"rate": "2/h"})
    assert statuses(one, 3) == [200, 200, 429]
    assert statuses(two, 3) == [200, 200, 429]


def test_under_load_from_all_sides(origin, gateway):
    """Eight clients of one address and two workers: not one more than there are tokens, but for the one of a race."""
    gw = limited(gateway, origin, {"rate": "200/d"}, workers=2)
    counts = []

    def client():
        with Client(("127.0.0.1", gw.port)) as mine:
            counts.append(sum(mine.get().status == 200 for _ in range(50)))

    threads = [threading.Thread(target=client) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(counts) == 8 and 200 <= sum(counts) <= 201
    gw.wait_metric("sluice_rate_limit_evicted_total", 0)
