# SPDX-License-Identifier: Apache-2.0
"""What targets have answered, as GET /api/v1/counters?targets=true tells it: summed over the workers, and bounded."""

import pytest

from lib.wait import until

SLOTS = 64  # of a service; what is beyond shares one


def counters(gw, query="?targets=true"):
    reply = gw.admin("GET", f"/api/v1/counters{query}")
    assert reply.status == 200, reply
    return reply.json()


def test_what_a_target_has_answered(origins, gateway):
    a, b = origins(), origins()
    b.on("/")(lambda conn, request: conn.send(b"HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"))
    gw = gateway([{"id": "a", "address": a.address}, {"id": "b", "address": b.address}], workers=2,
                 service={"balance": "round_robin"})
    assert "targets" not in counters(gw, "") and "targets" not in counters(gw, "?targets=false&routes=true")
    assert counters(gw)["targets"] == [] and counters(gw)["targets_total"] == 0
    for _ in range(20):
        gw.get("/")

    def told():
        found = {t["target"]: t for t in counters(gw)["targets"]}
        return found if sum(t["requests"] for t in found.values()) == 20 else None

    found = until(told, "20 answers")
    assert set(found) == {"a", "b"}
    assert set(found["a"]["codes"]) == {"200"} and set(found["b"]["codes"]) == {"500"}
    for ident, target in found.items():
        assert (target["service"], target["release"], target["retries"]) == ("app", "stable", 0)
        assert sum(count for _, count in target["latency"]) == target["requests"]
        assert gw.metric("sluice_upstream_requests_total", target=ident) == target["requests"]
    told = counters(gw)
    assert max(bucket for t in told["targets"] for bucket, _ in t["latency"]) <= len(told["latency_edges_us"])


def test_many_targets_are_bounded(origin, gateway):
    many = SLOTS + 10
    gw = gateway([{"id": f"t{n}", "address": origin.address} for n in range(many)], service={"balance": "round_robin"})
    for _ in range(2 * many):
        gw.get("/")
    told = until(lambda: (t := counters(gw)) and sum(x["requests"] for x in t["targets"]) == 2 * many and t, "all answers")
    assert len(told["targets"]) == told["targets_total"] == SLOTS + 1
    assert {t["target"] for t in told["targets"]} == {f"t{n}" for n in range(SLOTS)} | {"other"}


@pytest.mark.parametrize("word", ["", "maybe", "1", "%ff"])
def test_a_wrong_word_is_refused(origin, gateway, word):
    reply = gateway(origin).admin("GET", f"/api/v1/counters?targets={word}")
    assert (reply.status, reply.json()["reason"]) == (400, "query_invalid")
