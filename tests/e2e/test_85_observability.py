# SPDX-License-Identifier: Apache-2.0
"""What deploy/ has for seeing it, with a real Prometheus and a real Alertmanager: no panel and no rule is without data, a
gateway that goes down is one page and one resolution, and strangers add no series.

Metrics of control, and of refused admin calls, come from lib/watch.py's ControlMetrics; three weeks of history are a backfill.
All else is a real gateway's. What tables ask of Loki is not asked here: Loki is not in Debian."""

import base64
import crypt
import math
import random
import socket
import threading
from pathlib import Path

import pytest

from lib.client import Client
from lib.inbox import HttpInbox
from lib.pki import Authority
from lib.sleeper import SLEEPY
from lib.tls import Secure
from lib.wait import DEADLINE, until
from lib.watch import Alertmanager, ControlMetrics, Watch, asked_by_dashboards, asked_by_rules


@pytest.fixture
def opened():
    """Closes what a test opens, the last first."""
    made = []
    yield lambda thing: made.append(thing) or thing
    for thing in reversed(made):
        thing.close()


def login(password):
    return [("Authorization", "Basic " + base64.b64encode(f"ann:{password}".encode()).decode())]


def many_kinds(gateway, origins, ports, home):
    """A gateway on which every kind of answer is to be had."""
    good, canary = origins(), origins()
    for origin in (good, canary):
        origin.on("/web/bad")(lambda conn, request: conn.respond(500, b"no"))
    ca = Authority(Path(home))
    gw = gateway(
        run=False,
        role="edge",
        services={"app": {"releases": {"stable": {"targets": [good.address]}, "canary": {"targets": [canary.address]}},
                          "split": {"stable": 90, "canary": 10}},
                  "night": SLEEPY},
        routes=[{"name": "web", "paths": ["/web/*"], "service": "app"},
                {"name": "night", "paths": ["/night/*"], "service": "night"},
                {"name": "old", "paths": ["/old"], "redirect": {"to": "/web/new", "status": 308}},
                {"name": "few", "paths": ["/few"], "service": "app", "filters": [{"rate_limit": {"rate": "1/min", "burst": 1}}]},
                {"name": "guarded", "paths": ["/guarded"], "service": "app",
                 "filters": [{"basic": {"users": {"ann": crypt.crypt("swordfish", "$2b$05$abcdefghijklmnopqrstuu")}}}]}],
    )
    gw.tls_port = ports.take()
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}"},
                         {"bind": f"127.0.0.1:{gw.tls_port}", "tls": {"certificates": [ca.leaf("a.example.com").pair]}}])
    gw.start()
    return gw, ca


class Mixed:
    """A mixed load, as long as the block lasts."""

    def __init__(self, gw, ca):
        self.gw, self.ca, self.errors = gw, ca, []
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._is_over.set()
        self._thread.join(4 * DEADLINE)

    def _run(self):
        try:
            while not self._is_over.wait(0.1):
                self._round()
        except (OSError, AssertionError) as error:
            self.errors.append(error)

    def _round(self):
        gw = self.gw
        with gw.connect() as client:
            for n in range(10):
                assert client.get(f"/web/{n}").status == 200
            assert client.get("/old").status == 308
            assert client.get("/nowhere").status == 404
            assert client.get("/web/bad").status == 500
            client.get("/few")
            assert client.get("/guarded", login("sword")).status == 401
            assert client.post("/web/post", b"x" * 100).status == 200
        with Secure(gw.tls_port, "a.example.com", ca=self.ca) as client:
            assert client.get("/web/tls").status == 200
        with socket.create_connection(("127.0.0.1", gw.tls_port), DEADLINE) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            while stranger.recv(4096):
                pass


@pytest.mark.long
def test_every_panel_and_every_rule_has_data(gateway, origins, ports, home, opened):
    gw, ca = many_kinds(gateway, origins, ports, home)
    control = opened(ControlMetrics())
    watch = opened(Watch(Path(home), ports.take(), [gw.admin_host], control.address))
    waiting = asked_by_dashboards() | asked_by_rules()
    assert len(waiting) > 150

    def all_have():
        for query in list(waiting):
            if any(map(math.isfinite, watch.ask(query) or [])):
                del waiting[query]
        return not waiting

    with Mixed(gw, ca) as load:
        until(lambda: load.errors or all_have(), "every query has data", 10 * DEADLINE,
              lambda: "\n".join(f"{where}: {query}" for query, where in waiting.items()))
    assert not load.errors


@pytest.mark.long
def test_gateways_that_go_down_are_one_page_and_one_resolution(gateway, origin, ports, home, opened):
    gateways = [gateway(origin), gateway(origin)]
    inbox, control = opened(HttpInbox()), opened(ControlMetrics())
    port = ports.take()
    manager = opened(Alertmanager(Path(home), port, inbox.url))
    watch = opened(Watch(Path(home), ports.take(), [gw.admin_host for gw in gateways], control.address, f"127.0.0.1:{port}"))

    def told(receiver):
        return [m for m in inbox.messages() if m["receiver"] == receiver]

    until(lambda: told("record"), "that a deploy runs is told", 10 * DEADLINE)
    assert not told("page")
    for gw in gateways:
        gw.kill()
    until(lambda: told("page"), "a page", 10 * DEADLINE, lambda: repr(inbox.messages()))
    for gw in gateways:  # well within the interval of the group
        gw.start()
    until(lambda: len(told("page")) > 1, "its resolution", 10 * DEADLINE)
    down, up = told("page")
    both = {gw.admin_host for gw in gateways}
    for message, status in ((down, "firing"), (up, "resolved")):
        assert message["status"] == status
        assert {a["status"] for a in message["alerts"]} == {status}
        assert {a["labels"]["alertname"] for a in message["alerts"]} == {"SluiceGatewayDown"}
        assert {a["labels"]["instance"] for a in message["alerts"]} == both
    assert "does not answer" in down["alerts"][0]["annotations"]["summary"]
    assert [h["Authorization"] for h, body in inbox.got if b'"receiver":"page"' in body] == ["Bearer s3cret"] * 2
    assert {a["labels"]["severity"] for m in told("record") for a in m["alerts"]} == {"info"}
    assert watch.process.poll() is None and manager.process.poll() is None


def alert(name, severity, **labels):
    return {"alertname": name, "severity": severity, **labels}


SHOP, EDGE1, EDGE2 = {"service": "shop"}, {"instance": "edge1:9900"}, {"instance": "edge2:9900"}
# (alert, its receiver, is it silenced by another of these)
TOLD = [
    (alert("SluiceServiceDown", "critical", **SHOP, **EDGE2), "page", False),
    (alert("SluiceReleaseFails", "warning", **SHOP, release="canary"), "team", True),
    (alert("SluiceSloBurnsFast", "critical", **SHOP, slo="latency"), "page", False),
    (alert("SluiceDeployRuns", "info", **SHOP), "record", False),
    (alert("SluiceReleaseFails", "warning", service="cart", release="canary"), "team", False),
    (alert("SluiceGatewayDown", "critical", **EDGE1), "page", False),
    (alert("SluiceConnectionsRefused", "critical", **EDGE1), "page", True),
    (alert("SluiceReloadFailed", "warning", **EDGE1), "team", True),
    (alert("SluiceReloadFailed", "warning", **EDGE2), "team", False),
    (alert("SluiceConnectionsRefused", "critical", **EDGE2), "page", False),
    (alert("SluiceMemoryNearLimit", "warning", **EDGE2), "team", True),
    (alert("SluiceLoopLag", "warning", **EDGE2), "team", False),
    (alert("SluiceErrorRate", "warning", route="shop"), "team", False),
]


def test_who_is_told_and_what_is_silenced(ports, home, opened):
    manager = opened(Alertmanager(Path(home), ports.take(), opened(HttpInbox()).url))
    manager.call("alerts", [{"labels": labels} for labels, _, _ in TOLD])
    until(lambda: len(manager.call("alerts")) == len(TOLD), "all are there")
    found = {frozenset(a["labels"].items()): a for a in manager.call("alerts")}
    for labels, receiver, is_silenced in TOLD:
        one = found[frozenset(labels.items())]
        assert [r["name"] for r in one["receivers"]] == [receiver], labels
        assert bool(one["status"]["inhibitedBy"]) == is_silenced, labels


ROUTES, SERVICES, TARGETS = 500, 50, 2
# As deploy/prometheus/README.md says: of a route, of a service, of the gateway itself.
AT_FIRST = ROUTES * 25 + SERVICES * (28 + TARGETS) + 60


@pytest.mark.long
def test_series_are_bounded_and_strangers_add_none(gateway, origin):
    gw = gateway(
        services={f"s{n}": {"targets": [{"id": f"t{k}", "address": origin.address} for k in range(TARGETS)]} for n in range(SERVICES)},
        routes=[{"name": f"r{n}", "paths": [f"/r{n}/*"], "service": f"s{n % SERVICES}"} for n in range(ROUTES)],
    )
    assert ROUTES * 25 < len(gw.metrics().samples) <= AT_FIRST
    pick = random.Random(85)

    def word():
        return "".join(pick.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=12))

    def strangers(client, count):
        for _ in range(count // 50):
            for _ in range(50):
                client.request("GET", f"/{word()}/{word()}?{word()}", [("User-Agent", word())], host=f"{word()}.example")
            for _ in range(50):
                assert client.reply().status == 404

    with Client(("127.0.0.1", gw.port)) as client:
        client.keep_received = False
        strangers(client, 100)
        until(lambda: gw.metric("sluice_http_requests_refused_total", reason="route_not_found") == 100, "counted")
        before = set(gw.metrics().samples)
        strangers(client, 10_000)
        for n in range(ROUTES):  # known ones, with paths that nobody has seen
            assert client.get(f"/r{n}/{word()}").status == 200
    until(lambda: gw.metric("sluice_http_requests_refused_total", reason="route_not_found") == 10_100, "counted")
    added = {(name, labels) for name, labels in set(gw.metrics().samples) - before}
    assert all(name == "sluice_http_requests_total" or name == "sluice_upstream_requests_total" for name, _ in added), added
    assert len(added) <= ROUTES + SERVICES * TARGETS
