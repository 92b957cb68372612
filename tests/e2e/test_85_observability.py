# SPDX-License-Identifier: Apache-2.0
"""What deploy/ has for seeing it, with a real Prometheus and a real Alertmanager: no panel and no rule is without data, a
gateway that goes down is one page and one resolution, and strangers add no series.

Three weeks of history are a backfill; all else comes from real gateways and their control. What tables ask of Loki is not
asked here: Loki is not in Debian."""

import base64
import crypt
import math
import os
import random
import socket
import subprocess
import threading
from pathlib import Path

import pytest

from lib.client import Client
from lib.fake_s3 import FakeS3
from lib.inbox import HttpInbox
from lib.pki import Authority
from lib.release_app import APP
from lib.tls import Secure
from lib.wait import DEADLINE, until
from lib.watch import Alertmanager, Watch, asked_by_dashboards, asked_by_rules

SCENARIOS = Path(__file__).parents[2] / "deploy/prometheus/tests"


@pytest.fixture
def opened():
    """Closes what a test opens, the last first."""
    made = []
    yield lambda thing: made.append(thing) or thing
    for thing in reversed(made):
        thing.close()


# Stays at half for long, unless it is said to go all at once.
DEPLOY = {"strategy": "canary", "steps": [{"share": "50%", "for": "1h"}], "bake": "200ms", "drain": "2s", "keep": "1h",
          "verdict": {"latency": "off", "errors": {"ratio": "900x", "margin": "50%"}, "max_time": "2h"}}


def sleepy(gw):
    """A service of processes of this machine that may sleep."""
    app = gw.home / "app.py"
    app.write_text(APP)
    process = {"command": ["/usr/bin/python3", "-B", str(app), "${release}"], "instances": 1, "grace": "2s"}
    if os.geteuid() == 0:
        process["user"] = "root"
    return {"provider": {"process": process}, "health": {"interval": "1s", "fast_interval": "100ms"},
            "scale": {"min": 0, "max": 2, "concurrency": 2, "idle": "1h"},
            "deploy": {"strategy": "bluegreen", "bake": "200ms", "drain": "2s"}}


def login(password):
    return [("Authorization", "Basic " + base64.b64encode(f"ann:{password}".encode()).decode())]


def application(origins):
    app = origins()
    app.on("/web/bad")(lambda conn, request: conn.respond(500, b"no"))
    return app.address


def many_kinds(gateway, origins, ports, home, store):
    """A gateway on which every kind of answer is to be had, whose control keeps objectives and backups."""
    ca = Authority(Path(home))
    gw = gateway(
        run=False,
        control={"backup": {"url": store.url("sluice"), "region": store.region, "key": store.key, "secret": store.secret,
                            "every": "1s"}},
        services={"app": {"targets": [application(origins)], "deploy": DEPLOY, "slo": {"availability": 99.9, "latency": {"p99": "300ms"}}}},
        routes=[{"name": "web", "paths": ["/web/*"], "service": "app"},
                {"name": "night", "paths": ["/night/*"], "service": "night"},
                {"name": "old", "paths": ["/old"], "redirect": {"to": "/web/new", "status": 308}},
                {"name": "few", "paths": ["/few"], "service": "app", "filters": [{"rate_limit": {"rate": "1/min", "burst": 1}}]},
                {"name": "guarded", "paths": ["/guarded"], "service": "app",
                 "filters": [{"basic": {"users": {"ann": crypt.crypt("swordfish", "$2b$05$abcdefghijklmnopqrstuu")}}}]}],
    )
    gw.tls_port = ports.take()
    gw.change(services={"night": sleepy(gw)},
              listeners=[{"bind": f"127.0.0.1:{gw.port}"},
                         {"bind": f"127.0.0.1:{gw.tls_port}", "tls": {"certificates": [ca.leaf("a.example.com").pair]}}])
    gw.start()
    until(lambda: gw.admin("GET", "/metrics/control").status == 200, "control answers", 3 * DEADLINE)
    return gw, ca


def deploy(gw, service, release, *words):
    done = gw.cli("deploy", service, "--release", release, *words, timeout=8 * DEADLINE)
    assert done.code == 0, done


def fail_a_reload(gw):
    """Serves on with what it had; returns what puts the file right."""
    good = gw.config
    gw.write("services: [")
    assert gw.admin("POST", "/api/v1/reload", timeout=4 * DEADLINE).status == 422
    return lambda: gw.write(good)


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
    gw, ca = many_kinds(gateway, origins, ports, home, opened(FakeS3()))
    deploy(gw, "night", "first")
    deploy(gw, "app", "first", "--target", application(origins), "--strategy", "bluegreen")
    deploy(gw, "app", "second", "--target", application(origins), "--detach")
    fail_a_reload(gw)  # so that an alert fires
    watch = opened(Watch(Path(home), ports.take(), [gw.admin_host], gw.admin_host))
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
    inbox = opened(HttpInbox())
    port = ports.take()
    manager = opened(Alertmanager(Path(home), port, inbox.url))
    watch = opened(Watch(Path(home), ports.take(), [gw.admin_host for gw in gateways], gateways[0].admin_host, f"127.0.0.1:{port}"))

    def told(receiver):
        return [m for m in inbox.messages() if m["receiver"] == receiver]

    repair = fail_a_reload(gateways[0])
    until(lambda: b"SluiceReloadFailed" in b"".join(body for _, body in inbox.got), "the reload that failed is told", 10 * DEADLINE)
    repair()
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
    assert {a["labels"]["severity"] for m in told("team") for a in m["alerts"]} == {"warning"}
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
# As deploy/prometheus/README.md says, for one status code a route; and what has no route counts as one.
BOUND = (ROUTES + 1) * (25 + 2) + SERVICES * (28 + 2 * TARGETS) + 60


@pytest.mark.long
def test_series_are_bounded_and_strangers_add_none(gateway, origin):
    targets = [{"id": f"t{k}", "address": origin.address} for k in range(TARGETS)]
    gw = gateway(
        services={f"s{n}": {"targets": targets, "balance": "round_robin"} for n in range(SERVICES)},
        routes=[{"name": f"r{n}", "paths": [f"/r{n}/*"], "service": f"s{n % SERVICES}"} for n in range(ROUTES)],
    )
    pick = random.Random(85)

    def word():
        return "".join(pick.choices("abcdefghijklmnopqrstuvwxyz0123456789", k=12))

    def known(client):
        for n in range(ROUTES):
            assert client.get(f"/r{n}/{word()}", host=f"{word()}.example").status == 200

    def strangers(client, count):
        for _ in range(count // 50):
            for _ in range(50):
                client.request("GET", f"/{word()}/{word()}?{word()}", [("User-Agent", word())], host=f"{word()}.example")
            for _ in range(50):
                assert client.reply().status == 404

    def refused(count):
        until(lambda: gw.metric("sluice_http_requests_refused_total", reason="route_not_found") == count, "counted")

    with Client(("127.0.0.1", gw.port)) as client:
        client.keep_received = False
        known(client)
        strangers(client, 100)
        refused(100)
        before = set(gw.metrics().samples)
        assert ROUTES * 25 < len(before) <= BOUND
        known(client)
        strangers(client, 10_000)
        refused(10_100)
    assert set(gw.metrics().samples) == before


# -- alerts, each in a scenario of its own; lint has them upon a healthy gateway


@pytest.mark.parametrize("path", sorted(SCENARIOS.glob("*.yml")), ids=lambda path: path.stem)
def test_a_scenario_alone(path):
    done = subprocess.run(["promtool", "test", "rules", path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
