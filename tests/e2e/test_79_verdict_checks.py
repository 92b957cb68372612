# SPDX-License-Identifier: Apache-2.0
"""Checks of the team's own beside the verdict: queries of a real Prometheus that scrapes the gateway, and webhooks."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from lib.gateway import refused_port
from lib.prometheus_server import Prometheus
from lib.wait import ms, until
from test_74_deploy import WAIT, Load, shop  # noqa: F401 (a fixture)

# What the gateway itself compares finds nothing wrong with anything here.
EASY = {"errors": {"ratio": "900x", "margin": "50%"}, "latency": "off", "minimum": 20, "max_time": "1h"}
QUICK = {"interval": "200ms", "timeout": "5s"}


def canary(*checks, **verdict):
    return {"strategy": "canary", "steps": [{"share": "50%", "for": "1s"}], "bake": "1s",
            "verdict": {**EASY, **verdict, "checks": [{**QUICK, **check} for check in checks]}}


class Hook:
    """A webhook that answers as the test says: a status, or a status and JSON."""

    def __init__(self, answer=(204, None)):
        self.answer, self.told, hook = answer, [], self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                hook.told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                status, body = hook.answer() if callable(hook.answer) else hook.answer
                data = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server.server_port}/check"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hook():
    made = Hook()
    yield made
    made.close()


@pytest.fixture
def metrics(ports, tmp_path):
    """Where a Prometheus will be; `start` starts it, to read the metrics of a gateway."""
    made = []

    class Place:
        port = ports.take()
        url = f"http://127.0.0.1:{port}"

        def start(self, gw):
            made.append(Prometheus(tmp_path, self.port, f"127.0.0.1:{gw.admin_port}"))
            return made[0]

    yield Place()
    for each in made:
        each.close()


def checks(s, ident="d1"):
    return {c["name"]: c for c in s.show(ident).get("checks", [])}


# -- webhooks


def test_a_hook_that_says_yes(shop, hook):  # noqa: F811
    s = shop(canary({"name": "sales", "url": hook.url}))
    with Load(s.gw) as load:
        done = s.deploy("2")
    assert done.code == 0 and "check sales says yes" in done.out, done
    assert not load.wrong
    assert {t["phase"] for t in hook.told} == {"watching", "baking"}
    first = hook.told[0]
    assert (first["check"], first["deploy"], first["service"], first["release"], first["old"]) == ("sales", "d1", "shop", "2", "stable")
    assert (first["step"], first["percent"], hook.told[-1]["percent"]) == (1, 50, 100)


@pytest.mark.parametrize("answer, why", [
    ((500, None), "check sales says no: it answered 500"), ((404, {"why": "who?"}), "check sales says no: who?"),
    ((200, {"verdict": "bad", "why": "sales are down"}), "check sales says no: sales are down"),
])
def test_a_hook_that_says_no(shop, hook, answer, why):  # noqa: F811
    s = shop(canary({"name": "sales", "url": hook.url}))
    hook.answer = answer
    with Load(s.gw) as load:
        done = s.deploy("2")
    assert done.code == 1 and why in done.err, done
    assert not load.wrong and len(hook.told) >= 3
    s.serves("stable")


def test_only_so_many_in_a_row_count(shop, hook):  # noqa: F811
    s = shop(canary({"name": "sales", "url": hook.url, "failures": 3}, minimum=1000))
    hook.answer = lambda: (200 if len(hook.told) % 3 == 0 else 500, None)
    with Load(s.gw) as load:
        assert s.deploy("2").code == 0
    assert not load.wrong and len(hook.told) > 6


def test_what_is_found_in_the_bake(shop, hook):  # noqa: F811
    s = shop({**canary({"name": "sales", "url": hook.url}), "bake": "1h"})
    with Load(s.gw) as load:
        ident = s.begin("2")
        s.wait(ident, "baking")
        hook.answer = (200, {"verdict": "bad", "why": "sales are down"})
        assert s.wait_outcome(ident, "failed")["why"] == "check sales says no: sales are down"
    assert not load.wrong
    s.serves("stable")


@pytest.mark.parametrize("answer", [
    (200, {"verdict": "unsure", "why": "too early"}), (302, None), (200, {"verdict": "maybe"}), (200, {"verdict": ["bad"]}), (200, {"verdict": None}),
])
def test_a_hook_that_says_nothing_is_no_yes(shop, hook, answer):  # noqa: F811
    s = shop(canary({"name": "sales", "url": hook.url}, minimum=5, max_time=ms(8000)))
    hook.answer = answer
    with Load(s.gw):
        done = s.deploy("2")
    assert done.code == 4, done
    assert "check sales has not said yes" in s.show("d1")["why"]
    assert checks(s)["sales"]["outcome"] == "unknown"
    hook.answer = (200, {"verdict": "good"})
    with Load(s.gw):
        s.wait_outcome("d1", "live")  # it goes on by itself


@pytest.mark.parametrize("on_no_data, code", [("fail", 1), ("pass", 0), ("ask", 4)])
def test_one_that_cannot_be_asked(shop, ports, on_no_data, code):  # noqa: F811
    url = f"http://127.0.0.1:{refused_port(ports)}"
    s = shop(canary({"name": "sales", "url": url}, {"name": "load", "prometheus": url, "query": "up", "min": 1},
                    max_time="2s", on_no_data=on_no_data))
    with Load(s.gw) as load:
        done = s.deploy("2")
    assert done.code == code, done
    assert not load.wrong
    assert any("check sales says nothing: " in line["text"] for line in s.show("d1")["log"])


# -- Prometheus


def test_a_query_that_is_within(shop, metrics):  # noqa: F811
    query = 'sluice_release_requests_total{service="${service}",release=~"${release}|${old}",result="good"}'
    s = shop(canary({"name": "serves", "prometheus": metrics.url, "query": query, "min": 1, "max": 1e9},
                    {"name": "up", "prometheus": metrics.url + "/", "query": "scalar(sum(up))", "min": 1, "max": 1}))
    prometheus = metrics.start(s.gw)
    with Load(s.gw) as load:
        done = s.deploy("2")
    assert done.code == 0, done
    assert not load.wrong
    until(lambda: prometheus.ask('sluice_release_requests_total{release="2"}'), "the series that was asked for", WAIT)


def test_a_query_that_is_not(shop, metrics):  # noqa: F811
    query = 'sluice_release_requests_total{service="${service}",release="${release}",result="failed"}'
    s = shop(canary({"name": "failures", "prometheus": metrics.url, "query": query, "max": 10}))
    metrics.start(s.gw)
    count = iter(range(10 ** 9))
    with Load(s.gw) as load:
        done = s.deploy("2", answer=lambda conn, request: conn.respond(200 if next(count) % 4 else 500, b"2"))
    assert done.code == 1 and "check failures says no: it is " in done.err and "at most 10 is allowed" in done.err, done
    assert not load.wrong  # the safety net
    s.serves("stable")


@pytest.mark.parametrize("query, why", [
    ("sum(", "parse error"), ("absent(up)", "the query finds nothing"), ("up[5m]", "neither a number"), ("0 / 0 * up", "it is no number"),
])
def test_a_query_without_an_answer(shop, metrics, query, why):  # noqa: F811
    s = shop(canary({"name": "odd", "prometheus": metrics.url, "query": query, "max": 1}, max_time="3s"))
    metrics.start(s.gw)
    with Load(s.gw):
        assert s.deploy("2").code == 4
    shown = s.show("d1")
    assert "check odd has not said yes" in shown["why"] and why in shown["why"], shown["why"]
