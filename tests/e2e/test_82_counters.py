# SPDX-License-Identifier: Apache-2.0
"""What routes have answered, as GET /api/v1/counters?routes=true tells it: summed over the workers, and bounded."""

import pytest

from lib.client import Client
from lib.wait import until

SHOWN = 1000


def counters(gw, query="?routes=true"):
    reply = gw.admin("GET", f"/api/v1/counters{query}")
    assert reply.status == 200, reply
    return reply.json()


def route(gw, name):
    return {r["name"]: r for r in counters(gw)["routes"]}.get(name)


@pytest.fixture
def shop(origin, gateway):
    """Two named routes on two workers."""
    origin.on("/slow")(lambda conn, request: None)  # no answer
    return gateway(origin, workers=2, routes=[
        {"name": "shop", "paths": ["/shop/*", "/slow"], "service": "app"},
        {"name": "fixed", "paths": ["/fixed"], "respond": {"status": 404, "body": "none"}},
        {"name": "small", "paths": ["/small"], "service": "app", "filters": [{"body_limit": "1KiB"}]},
    ])


def test_routes_are_told_when_asked_for(shop):
    assert "routes" not in counters(shop, "") and "routes" not in counters(shop, "?routes=false")
    told = counters(shop)
    assert told["routes"] == [] and told["routes_total"] == 0
    assert "releases" in told and "services" in told


def test_what_a_route_has_answered(shop):
    for _ in range(12):  # a connection each, so that both workers have some
        assert shop.get("/shop/a").status == 200
    for _ in range(3):
        assert shop.get("/fixed").status == 404
    assert shop.post("/small", b"x" * 2000).status == 413
    told = until(lambda: (r := route(shop, "shop")) and r["requests"] == 12 and r, "12 requests")
    assert told["codes"] == {"200": 12} and told["refused"] == {} and told["in_flight"] == 0
    assert sum(count for _, count in told["latency"]) == 12
    assert told["bytes"][0] == 0 and told["bytes"][1] > 0
    fixed = until(lambda: route(shop, "fixed"), "the fixed answers")
    assert (fixed["requests"], fixed["codes"], fixed["bytes"]) == (3, {"404": 3}, [0, 12])
    small = until(lambda: route(shop, "small"), "the refused one")
    assert small["refused"] == {"body_too_large": 1} and small["codes"] == {"413": 1}


def test_the_same_as_the_metrics(shop):
    for _ in range(5):
        shop.get("/shop/a")
    until(lambda: (r := route(shop, "shop")) and r["requests"] == 5, "5 requests")
    assert shop.metric("sluice_http_requests_total", route="shop", code="200") == 5
    assert shop.metric("sluice_http_bytes_total", route="shop", direction="out") == route(shop, "shop")["bytes"][1]


def test_the_edges_of_buckets_need_no_constant(shop):
    told = counters(shop)
    edges, finer = told["latency_edges_us"], told["release_latency_edges_us"]
    for one in (edges, finer):
        assert one == sorted(set(one)) and one[0] > 0
    assert edges[-1] == 30_000_000 and finer[-1] > 100_000_000
    shop.get("/shop/a")
    told = until(lambda: (r := route(shop, "shop")) and r["requests"] and r, "a request")
    ((bucket, count),) = told["latency"]
    assert count == 1 and 0 <= bucket <= len(edges)


def test_what_is_in_flight(shop):
    with Client(("127.0.0.1", shop.port)) as client:
        client.request("GET", "/slow")
        until(lambda: (r := route(shop, "shop")) and r["in_flight"] == 1, "one in flight")
    until(lambda: route(shop, "shop")["in_flight"] == 0, "none in flight")


def test_a_route_that_is_gone_is_not_told(origin, shop):
    shop.get("/fixed")
    until(lambda: route(shop, "fixed"), "the route")
    shop.change(routes=[r for r in shop.config["routes"] if r["name"] != "fixed"])
    shop.reload()
    until(lambda: route(shop, "fixed") is None, "the route gone")


def test_many_routes_are_bounded(origin, gateway):
    many = SHOWN + 20
    gw = gateway(origin, routes=[{"name": f"r{n}", "paths": [f"/{n}"], "respond": {"status": 204}} for n in range(many)])
    with Client(("127.0.0.1", gw.port)) as client:
        for n in range(many):
            assert client.get(f"/{n}").status == 204
    told = until(lambda: (t := counters(gw))["routes_total"] == many and t, "all routes")
    assert len(told["routes"]) == SHOWN


@pytest.mark.parametrize("word", ["", "maybe", "1", "true%20", "%ff"])
def test_a_wrong_word_is_refused(shop, word):
    reply = shop.admin("GET", f"/api/v1/counters?routes={word}")
    assert (reply.status, reply.json()["reason"]) == (400, "query_invalid")
