# SPDX-License-Identifier: Apache-2.0
"""What control knows, for Prometheus: a scrape of its own, that says when control is gone by failing."""

import os
import signal

from lib.client import Client
from lib.prometheus import Metrics
from lib.wait import DEADLINE, until
from test_67_control_api import TOKENS, control_of
from test_74_deploy import shop  # noqa: F401 (a fixture)

WAIT = 3 * DEADLINE


def scrape(gw, **more):
    reply = gw.admin("GET", "/metrics/control", **more)
    return Metrics(reply.body.decode()) if reply.status == 200 else None


def known(gw):
    return until(lambda: scrape(gw), "control's metrics", WAIT)


def value(metrics, name, **labels):
    """Of the one series with these labels; None: there is none."""
    found = list(metrics.series(name, **labels).values())
    assert len(found) <= 1, found
    return found[0] if found else None


def test_control_says_how_it_is(origin, gateway):
    gw = gateway(origin, admin={"tokens": TOKENS})
    metrics = known(gw)
    assert metrics.types["sluice_control_edge_reachable"] == "gauge"
    until(lambda: value(scrape(gw), "sluice_control_edge_reachable", edge="this machine") == 1, "its edge", WAIT)
    assert value(metrics, "sluice_control_info", version=gw.status()["version"]) == 1
    assert value(metrics, "sluice_control_store_failed") == 0
    until(lambda: value(scrape(gw), "sluice_control_epoch") >= 1, "its epoch", WAIT)
    assert "sluice_backup_failing" not in metrics.types and "process_open_fds" in metrics.types
    assert scrape(gw, over_socket=False)
    assert gw.admin("GET", "/metrics/control", over_socket=False, token="wrong-token-0123456789").status == 401
    assert scrape(gw, over_socket=False, token=TOKENS[0]["token"])


def test_without_a_token_at_the_address_of_metrics(origin, gateway, ports):
    port = ports.take()
    gw = gateway(origin, admin={"metrics": f"127.0.0.1:{port}", "tokens": TOKENS})
    known(gw)
    with Client(("127.0.0.1", port)) as client:
        reply = client.get("/metrics/control")
        assert reply.status == 200 and b"sluice_control_info" in reply.body
        assert client.get("/api/v1/control").status == 404


def test_a_control_that_is_gone_is_a_scrape_that_fails(origin, gateway):
    gw = gateway(origin)
    known(gw)
    os.kill(control_of(gw), signal.SIGSTOP)
    try:
        reply = gw.admin("GET", "/metrics/control", timeout=60)
        assert (reply.status, reply.json()["reason"]) == (503, "control_unavailable")
        assert gw.admin("GET", "/metrics").status == 200
    finally:
        os.kill(control_of(gw), signal.SIGCONT)
    known(gw)


def test_objectives_are_told(origin, gateway):
    gw = gateway(origin, services={"app": {"targets": [origin.address], "slo": {"availability": 99.5, "latency": {"p95": "1s"}}}})
    known(gw)
    for _ in range(10):
        assert gw.get("/").status == 200
    until(lambda: value(scrape(gw), "sluice_slo_requests_total", service="app", slo="availability") == 10, "ten", WAIT)
    metrics = scrape(gw)
    assert value(metrics, "sluice_slo_bad_requests_total", service="app", slo="availability") == 0
    assert value(metrics, "sluice_slo_objective_ratio", service="app", slo="latency") == 0.95
    assert value(metrics, "sluice_slo_budget_remaining_ratio", service="app", slo="latency") == 1
    assert value(metrics, "sluice_slo_window_seconds", service="app") == 30 * 24 * 3600


def test_calls_that_were_not_let_in_are_counted(origin, gateway):
    gw = gateway(origin, admin={"tokens": TOKENS})
    gw.admin("GET", "/api/v1/status", over_socket=False, token="wrong-token-0123456789")
    gw.admin("POST", "/api/v1/reload", over_socket=False)
    gw.admin("POST", "/api/v1/reload", over_socket=False, token=TOKENS[0]["token"])
    metrics = gw.metrics()
    for reason, count in (("token_unknown", 1), ("token_missing", 1), ("forbidden", 1), ("cross_origin", 0), ("misdirected", 0)):
        assert value(metrics, "sluice_admin_refused_total", reason=reason) == count, reason


def test_deploys_are_counted(shop):  # noqa: F811
    s = shop({"strategy": "bluegreen"})

    def ended(result):
        return value(known(s.gw), "sluice_deploys_total", service="shop", result=result)

    assert s.deploy("2").code == 0
    assert ended("promoted") == 1 and ended("failed") == 0
    metrics = known(s.gw)
    assert value(metrics, "sluice_deploy_running", service="shop") == 0
    assert value(metrics, "sluice_deploy_last_end_timestamp_seconds", service="shop") > 1.7e9
    assert s.gw.admin("POST", "/api/v1/services/shop/rollback").status in (200, 202)
    until(lambda: ended("rolled_back") == 1, "counted", WAIT)
    assert s.deploy("3", target="127.0.0.1:1").code == 1
    until(lambda: ended("failed") == 1, "counted", WAIT)
    shares = s.gw.metrics().series("sluice_split_share_ratio", service="shop")
    assert sum(shares.values()) == 1
