# SPDX-License-Identifier: Apache-2.0
"""Traces: what targets and the collector are told of requests, and what becomes of spans when the collector fails."""

import json
import os
import re
import signal
import threading

import pytest

from lib.collector import CLIENT, INTERNAL, SERVER
from lib.fleet import Fleet, LoneControl
from lib.gateway import refused_port
from lib.h2peer import H2Client
from lib.wait import DEADLINE, SLOW, ms, stays, until

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE, ASKER = PARENT[3:35], PARENT[36:52]
LONG = 4 * DEADLINE


def parts(origin, n=-1):
    """Of the traceparent that a target was told: trace, span, flags."""
    text = origin.requests[n].header("traceparent")
    found = re.fullmatch(r"00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])", text or "")
    assert found, text
    return found.groups()


def tried_twice(collector):
    return until(lambda: next((r for r in collector.roots() if r.attributes["sluice.attempts"] == "2"), None), "one was tried twice", LONG)


def on(origin, path, status, wait=lambda: None):
    """It answers with that status, after a wait."""
    origin.on(path)(lambda conn, request: (conn.read_body(request), wait(), conn.respond(status, path.encode())))


@pytest.fixture
def traced(gateway, collector):
    """A gateway that sends its spans there. Its clients are trusted proxies unless `trusted` says otherwise."""

    def make(services, traces=None, trusted=True, **more):
        return gateway(services=services, traces={"endpoint": collector.url, "sample": "0%", **(traces or {})},
                       **({"trusted_proxies": ["127.0.0.1"]} if trusted else {}), **more)

    return make


# -- what is told


def test_a_retried_request(traced, collector, origins):
    bad, good = origins(), origins()
    on(bad, "/", 503)
    gw = traced({"app": {"targets": [{"id": "bad", "address": bad.address}, {"id": "good", "address": good.address}],
                         "balance": "round_robin", "retry": {"on": ["503"], "backoff": "10ms"}}})
    reply = until(lambda: (got := gw.get("/", [("traceparent", PARENT), ("tracestate", "a=1,b=2")])) and bad.requests and got, "it is tried twice")
    assert reply.status == 200
    root = tried_twice(collector)
    assert (root.trace, root.parent, root.kind, root.flags, root.state) == (TRACE, ASKER, SERVER, 0x301, "a=1,b=2")
    assert root.name == "GET app" and not root.is_error and root.resource["service.name"] == "sluice"
    told = root.attributes
    assert told["http.request.method"] == "GET" and told["http.response.status_code"] == "200" and told["sluice.attempts"] == "2"
    assert told["sluice.request_id"] == reply.header("X-Request-Id") and told["sluice.service"] == "app"
    assert told["sluice.target"] == "good" and told["client.address"] == "127.0.0.1" and told["url.scheme"] == "http"
    first, second = collector.below(root, CLIENT)
    assert (first.attributes["sluice.target"], second.attributes["sluice.target"]) == ("bad", "good")
    assert first.attributes["http.response.status_code"] == "503" and first.is_error and first.attributes["error.type"] == "503"
    assert second.attributes["http.request.resend_count"] == "1" and not second.is_error
    assert parts(bad) == (TRACE, first.id, "01") and parts(good) == (TRACE, second.id, "01")
    assert good.requests[-1].header("tracestate") == "a=1,b=2"
    assert root.begun <= first.begun < first.ended <= second.begun < second.ended <= root.ended
    for one in (first, second):
        steps = collector.below(one)
        assert {s.kind for s in steps} == {INTERNAL} and {"connect", "answer"} <= {s.name for s in steps}, steps
        assert all(one.begun <= s.begun <= s.ended <= one.ended for s in steps), (one, steps)
    spans = collector.traces()[TRACE]
    assert len({s.id for s in spans}) == len(spans)
    record = gw.logs(1, lambda r: r.get("span_id") == root.id)[0]
    assert record["trace_id"] == TRACE and record["id"] == reply.header("X-Request-Id")


def test_a_target_that_refuses_connections_is_a_try(traced, collector, origin, ports):
    gw = traced({"app": {"targets": [{"id": "away", "address": f"127.0.0.1:{refused_port(ports)}"},
                                     {"id": "here", "address": origin.address}], "balance": "round_robin"}}, {"sample": "100%"})
    assert gw.get("/").status == gw.get("/").status == 200
    first, second = collector.below(tried_twice(collector), CLIENT)
    assert first.attributes["error.type"] == "connection_refused" and first.is_error
    assert [s.name for s in collector.below(first)] in ([], ["connect"])
    assert second.attributes["sluice.target"] == "here"


def test_a_hedged_request(traced, collector, origins):
    late, quick = origins(), origins()
    let_go = threading.Event()
    on(late, "/", 200, lambda: let_go.wait(LONG))
    gw = traced({"app": {"targets": [{"id": "late", "address": late.address}, {"id": "quick", "address": quick.address}],
                         "balance": "round_robin", "retry": {"hedge": "50ms", "budget": "100%"}}}, {"sample": "100%"})
    try:
        until(lambda: late.requests or gw.get("/").status != 200, "the late one is asked", LONG)
        root = tried_twice(collector)
    finally:
        let_go.set()
    first, second = sorted(collector.below(root, CLIENT), key=lambda s: s.begun)
    assert (first.attributes["sluice.target"], second.attributes["sluice.target"]) == ("late", "quick")
    assert first.attributes["sluice.outcome"] == "hedged" and not first.is_error and not second.is_error
    assert {parts(late)[1], parts(quick)[1]} == {first.id, second.id} and second.begun < first.ended


def test_without_a_parent_a_trace_begins(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%", "service": "front door"}, trusted=False)
    assert gw.get("/one").status == gw.get("/two").status == 200
    one, two = collector.root("/one"), collector.root("/two")
    assert one.parent is None and one.flags == 0x101 and one.trace != two.trace and one.resource["service.name"] == "front door"
    assert parts(origin, 0) == (one.trace, collector.below(one, CLIENT)[0].id, "01")


def test_over_http2(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    with H2Client(("127.0.0.1", gw.port)) as client:
        assert client.get("/h2", headers=[("traceparent", PARENT)]).status == 200
    root = collector.root("/h2")
    assert (root.parent, root.attributes["network.protocol.version"]) == (ASKER, "2")
    assert parts(origin)[0] == TRACE


@pytest.mark.parametrize("told", [
    "", "00", PARENT.upper(), PARENT + "-00", "ff" + PARENT[2:], PARENT[:-1], PARENT.replace("-", "_"), "00-" + "0" * 32 + PARENT[35:],
    PARENT[:36] + "0" * 16 + "-01", PARENT[:53] + "0g", " ".join([PARENT, PARENT]), "0x" + PARENT[2:], PARENT[:3] + "g" + PARENT[4:]])
def test_what_is_no_parent(traced, collector, origin, told):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/", [("traceparent", told), ("tracestate", "a=1")]).status == 200
    root = collector.root("/")
    assert root.parent is None and root.trace != TRACE and root.state is None
    assert origin.request.header("tracestate") is None and parts(origin)[0] == root.trace


def test_two_parents_are_none(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/", [("traceparent", PARENT), ("traceparent", PARENT)]).status == 200
    assert collector.root("/").parent is None
    assert len([1 for name, _ in origin.request.fields if name.lower() == "traceparent"]) == 1


def test_a_later_version_is_read_as_far_as_it_is_known(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}})
    assert gw.get("/", [("traceparent", "cc" + PARENT[2:] + "-what-may-come")]).status == 200
    assert collector.root("/").trace == TRACE and parts(origin)[0] == TRACE


def test_without_traces_all_of_it_is_passed_on(gateway, origin):
    gw = gateway(services={"app": {"targets": [origin.address]}})
    assert gw.get("/", [("traceparent", PARENT), ("tracestate", "a=1")]).status == 200
    assert (origin.request.header("traceparent"), origin.request.header("tracestate")) == (PARENT, "a=1")
    assert gw.get("/2").status == 200 and origin.requests[1].header("traceparent") is None
    assert "trace_id" not in gw.log("/")


# -- which are kept


def test_what_fails_or_is_slow_is_always_kept(traced, collector, origin):
    slow_ms = 300
    on(origin, "/bad", 500)
    on(origin, "/slow", 200, lambda: threading.Event().wait(slow_ms * 1.5 * SLOW / 1000))
    gw = traced({"app": {"targets": [origin.address]}}, {"slow": ms(slow_ms)},
                routes=[{"name": "all", "paths": ["/*"], "service": "app"},
                        {"name": "closed", "paths": ["/closed"], "service": "app", "filters": [{"access": {"deny": ["0.0.0.0/0"]}}]}])
    assert [gw.get(path).status for path in ("/good", "/closed", "/nowhere/../good", "/bad", "/slow")] == [200, 403, 200, 500, 200]
    bad, slow = collector.root("/bad"), collector.root("/slow")
    assert bad.is_error and bad.attributes["error.type"] == "500" and bad.flags == 0x100
    assert not slow.is_error and slow.ended - slow.begun >= slow_ms * 1e6
    assert parts(origin)[2] == "00" and parts(origin)[0] == slow.trace
    assert {r.attributes["url.path"] for r in collector.roots()} == {"/bad", "/slow"}


def test_a_refusal_of_the_gateways_own(traced, collector, ports):
    gw = traced({"app": {"targets": [f"127.0.0.1:{refused_port(ports)}"], "retry": "off"}})
    reply = gw.get("/")
    root = collector.root("/")
    assert reply.status == 502 and root.attributes["sluice.reason"] == reply.reason == root.attributes["error.type"]


@pytest.mark.parametrize("trusted", [True, False])
def test_only_who_is_trusted_decides_what_is_sampled(traced, collector, origin, trusted):
    asked = traced({"app": {"targets": [origin.address]}}, {"sample": "0%"}, trusted=trusted)
    unasked = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"}, trusted=trusted)
    assert asked.get("/asked", [("traceparent", PARENT)]).status == 200
    assert parts(origin) == (TRACE, parts(origin)[1], "01" if trusted else "00")
    assert unasked.get("/unasked", [("traceparent", PARENT[:-2] + "00")]).status == 200
    assert parts(origin)[2] == ("00" if trusted else "01")
    collector.root("/asked" if trusted else "/unasked")
    stays(lambda: len(collector.roots()) == 1, "nothing else is kept", 2 * SLOW)


def test_a_share_is_sampled(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "20%"})
    with gw.connect() as client:
        for n in range(600):
            assert client.get(f"/{n}").status == 200
    told = [parts(origin, n)[2] for n in range(600)].count("01")
    assert 70 <= told <= 170  # of 120: five standard deviations
    until(lambda: len(collector.roots()) == told, "those are kept", LONG, lambda: f"{len(collector.roots())} of {told}")


def test_it_is_turned_on_and_off_by_a_reload(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/on").status == 200
    collector.root("/on")
    traces = gw.config.pop("traces")
    gw.write(gw.config)
    gw.reload()
    assert gw.get("/off").status == 200 and origin.requests[1].header("traceparent") is None
    gw.change(traces=traces)
    gw.reload()
    until(lambda: gw.get("/again").status == 200 and any(r.attributes["url.path"] == "/again" for r in collector.roots()), "again", LONG)
    assert "/off" not in {r.attributes["url.path"] for r in collector.roots()}


def test_what_a_client_says_of_itself_is_only_text(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    agent = 'a"b\\c\x01\xff' + "x" * 3000
    assert gw.get("/%22%5c", [("User-Agent", agent.replace("\x01", "\t"))]).status == 200
    assert collector.root("/%22%5c").attributes["user_agent.original"].startswith('a"b\\c\t')


# -- a collector that fails


def control(gw):
    """Its word, once there is one."""
    return until(lambda: gw.admin("GET", "/api/v1/control").json().get("traces"), "control answers", LONG)


def counted(gw, name, **labels):
    lines = gw.admin("GET", "/metrics/control").text
    text = name + ("{" + ",".join(f'{k}="{v}"' for k, v in labels.items()) + "}" if labels else "")
    return next(float(line.rpartition(" ")[2]) for line in lines.splitlines() if line.startswith(text + " "))


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_what_may_be_sent_again_is(traced, collector, origin, status):
    collector.answers = [status, lambda handler: handler.say(200)]
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/").status == 200
    until(lambda: control(gw)["error"] == f"it answers {status}", "it is said", LONG)
    root = collector.root("/", LONG)
    until(lambda: control(gw)["error"] is None, "it is well again", LONG)
    assert len(collector.roots()) == 1 and control(gw)["exported"] == len(collector.traces()[root.trace])
    assert control(gw)["dropped"] == control(gw)["waiting"] == 0
    assert f"does not take spans: it answers {status}" in gw.stderr() and "takes spans again" in gw.stderr()


def test_how_long_to_wait_the_collector_says(traced, collector, origin):
    collector.answers = [lambda handler: handler.say(503, headers=[("Retry-After", "3600")])]
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/").status == 200
    until(lambda: control(gw)["error"], "it is said", LONG)
    stays(lambda: len(collector.bodies) == 1, "it is not asked again", 3)


@pytest.mark.parametrize("status", [400, 401, 404, 500])
def test_what_may_not_be_sent_again_is_dropped(traced, collector, origin, status):
    collector.answers = [status]
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/lost").status == 200
    until(lambda: control(gw)["dropped"] > 0, "it is dropped", LONG)
    assert counted(gw, "sluice_spans_dropped_total", reason="refused") == control(gw)["dropped"] and counted(gw, "sluice_spans_failing") == 1
    assert gw.get("/next").status == 200
    collector.root("/next", LONG)
    assert {r.attributes["url.path"] for r in collector.roots()} == {"/next"}
    until(lambda: counted(gw, "sluice_spans_failing") == 0, "it is well again", LONG)


def test_what_is_rejected_of_a_batch_is_counted(traced, collector, origin):
    collector.answers = [lambda handler: handler.say(200, b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"too old"}}')]
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/").status == 200
    until(lambda: control(gw)["dropped"] == 1, "one is", LONG)
    assert control(gw)["exported"] == len(collector.spans) - 1


@pytest.mark.parametrize("say", [b"", b"nonsense", b"[]", b'{"partialSuccess":7}', b"{" * 100000])
def test_whatever_it_says_with_200_it_has_taken_them(traced, collector, origin, say):
    collector.answers = [lambda handler: handler.say(200, say)]
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/").status == 200
    collector.root("/")
    until(lambda: control(gw)["exported"] == len(collector.spans) or control(gw)["error"], "they are taken", LONG)
    if len(say) < 1000:
        assert control(gw)["error"] is None


def test_one_that_says_nothing_holds_up_no_request(traced, collector, origin):
    let_go = threading.Event()
    collector.answers = [lambda handler: let_go.wait(LONG)]
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    try:
        with gw.connect() as client:
            for n in range(300):
                assert client.get(f"/{n}").status == 200
        until(lambda: control(gw)["waiting"] > 300, "they wait", LONG)
    finally:
        let_go.set()
    until(lambda: len(collector.roots()) >= 300 and not control(gw)["waiting"], "all come", 10 * LONG, lambda: str(control(gw)))


def test_one_that_is_away_gets_them_later(traced, collector, origin, ports):
    port = refused_port(ports)
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%", "endpoint": f"http://127.0.0.1:{port}/"})
    assert gw.get("/early").status == 200
    until(lambda: control(gw)["error"], "it is said", LONG)
    assert control(gw)["endpoint"] == f"http://127.0.0.1:{port}/v1/traces"
    gw.change(traces={"endpoint": collector.url, "headers": {"X-Key": "secret-of-ours"}})
    gw.reload()
    collector.root("/early", LONG)
    assert collector.headers[0]["X-Key"] == "secret-of-ours"
    assert "secret-of-ours" not in gw.stderr() + gw.cli("status").out


def test_a_control_that_is_killed_goes_on(traced, collector, origin):
    gw = traced({"app": {"targets": [origin.address]}}, {"sample": "100%"})
    assert gw.get("/before").status == 200
    collector.root("/before")
    os.kill(next(pid for pid, line in gw.members() if " control " in line), signal.SIGKILL)
    assert gw.get("/meanwhile").status == 200
    collector.root("/meanwhile", LONG)


class Traced(Fleet):
    def another_control(self):
        self.controls.append(LoneControl(os.path.join(self.home, "c"), self.services, self.links, more={"traces": self.of_edge["traces"]}))
        return self.controls[-1]


def test_spans_of_all_edges(gateway, origins, home, collector):
    fleet = Traced(gateway, origins, home, count=2, edge={"traces": {"endpoint": collector.url, "sample": "100%"}})
    try:
        assert [edge.get(f"/{n}").status for n, edge in enumerate(fleet.edges)] == [200, 200]
        assert [collector.root(f"/{n}", LONG).resource["service.instance.id"] for n in range(2)] == ["e0", "e1"]
        fleet.cables[0].cut()
        assert [edge.get(f"/later{n}").status for n, edge in enumerate(fleet.edges)] == [200, 200]
        collector.root("/later1", LONG)
        fleet.cables[0].mend()
        collector.root("/later0", 4 * LONG)
    finally:
        fleet.close()


def spans_after(gw, number):
    about, spans = gw.admin("GET", f"/api/v1/spans?after={number}").text.splitlines()
    return json.loads(about) | {"spans": json.loads(spans)}


def test_an_answer_that_is_lost_on_the_way_loses_no_spans(gateway, origin):
    """Asked as control does; until a batch is known to be there, it is given again."""
    gw = gateway(role="edge", services={"app": {"targets": [origin.address]}}, traces={"endpoint": "http://127.0.0.1:9", "sample": "100%"})
    ask = lambda after: spans_after(gw, after)  # noqa: E731
    assert ask(0)["spans"] == []
    assert gw.get("/1").status == 200
    first = until(lambda: (got := ask(0))["spans"] and got, "it is there")
    assert gw.get("/2").status == 200
    assert ask(0)["spans"] == first["spans"] and ask(first["number"] - 1)["number"] == first["number"]
    second = until(lambda: (got := ask(first["number"]))["spans"] and got, "the next one")
    assert second["number"] > first["number"] and second["count"] == len(second["spans"])
    assert {a["value"]["stringValue"] for s in second["spans"] for a in s["attributes"] if a["key"] == "url.path"} == {"/2"}
    assert ask(second["number"])["spans"] == []
    bad = gw.admin("GET", "/api/v1/spans?after=x")
    assert (bad.status, bad.json()["reason"]) == (400, "query_invalid")


def test_what_nobody_fetches_is_dropped_and_counted(gateway, origin):
    gw = gateway(role="edge", services={"app": {"targets": [origin.address]}}, traces={"endpoint": "http://127.0.0.1:9", "sample": "100%"})
    agent = "x" * 2000
    with gw.connect() as client:
        until(lambda: [client.get("/", [("User-Agent", agent)]).status for _ in range(100)] and gw.metric("sluice_traces_dropped_total") > 0,
              "it is full", LONG)
        assert client.get("/").status == 200
    first = spans_after(gw, 0)
    assert first["more"] and first["dropped"] == gw.metric("sluice_traces_dropped_total")


# -- what is wrong in the file


@pytest.mark.parametrize("traces, words", [
    ({}, 'key "endpoint" is missing'),
    ({"endpoint": "collector:4318"}, "the endpoint begins with https:// or http://"),
    ({"endpoint": "http://c:4318/?a=b"}, "without ? or #"),
    ({"endpoint": "http://c", "headers": {"a b": "c"}}, "this is no name of a header"),
    ({"endpoint": "http://c", "sample": "200%"}, "more than 100%")])
def test_what_is_wrong_is_said(gateway, origin, traces, words):
    gw = gateway(run=False)
    gw.change(services={"app": {"targets": [origin.address]}}, traces=traces)
    done = gw.cli("check", str(gw.file))
    assert done.code == 2 and words in done.err, done
