# SPDX-License-Identifier: Apache-2.0
"""What operators see: metrics that are right to the last request, and one log line a request."""

import json
import os
import re
import threading

import pytest

from lib.wait import QUIET, SLOW, Stopwatch, ms, until

FAMILIES = {
    "sluice_http_requests_total": "counter",
    "sluice_http_request_duration_seconds": "histogram",
    "sluice_http_requests_in_flight": "gauge",
    "sluice_http_bytes_total": "counter",
    "sluice_http_requests_refused_total": "counter",
    "sluice_upstream_requests_total": "counter",
    "sluice_upstream_duration_seconds": "histogram",
    "sluice_upstream_connections_open": "gauge",
    "sluice_upstream_retries_total": "counter",
    "sluice_connections_open": "gauge",
    "sluice_connections_limit": "gauge",
    "sluice_memory_limit_bytes": "gauge",
    "sluice_config_generation": "gauge",
    "sluice_config_reloads_total": "counter",
    "sluice_config_last_reload_successful": "gauge",
    "sluice_log_dropped_total": "counter",
    "sluice_worker_loop_lag_seconds": None,
    "sluice_build_info": "gauge",
    "process_cpu_seconds_total": "counter",
    "process_resident_memory_bytes": "gauge",
    "process_virtual_memory_bytes": "gauge",
    "process_open_fds": "gauge",
    "process_max_fds": "gauge",
    "process_start_time_seconds": "gauge",
}


def test_all_families_are_there(origin, gateway):
    gw = gateway(origin, routes=[{"name": "web", "paths": ["/w/*"], "service": "app"}])
    gw.get("/w/1")
    gw.get("/none")
    until(lambda: gw.metric("sluice_http_requests_total") >= 1, "counted")
    metrics = gw.metrics()
    for name, kind in FAMILIES.items():
        assert name in metrics.types, name
        assert kind is None or metrics.types[name] == kind, name
        assert metrics.helps.get(name), name
    assert gw.admin("GET", "/metrics", over_socket=False).header("Content-Type").startswith("text/plain; version=0.0.4")


def test_known_traffic_is_counted_exactly(origins, gateway):
    app, other = origins(), origins()
    app.answers("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n" + "x" * 100)
    app.on("/forbidden")(lambda conn, request: conn.respond(403))
    app.on("/odd")(lambda conn, request: conn.respond(599))
    gw = gateway(
        workers=2,
        routes=[
            {"name": "web", "paths": ["/w/*", "/forbidden", "/odd"], "service": "app"},
            {"paths": ["/unnamed"], "service": "other"},
            {"name": "own", "paths": ["/own"], "respond": {"status": 201, "body": "hello"}},
        ],
        services={"app": {"targets": [{"id": "a1", "address": app.address}]}, "other": {"targets": [other.address]}},
    )
    for n in range(7):
        assert gw.get(f"/w/{n}").status == 200
    for _ in range(2):
        gw.post("/w/post", b"y" * 50)
    gw.get("/forbidden")
    gw.get("/odd")
    for _ in range(3):
        gw.get("/unnamed")
    for _ in range(4):
        gw.get("/own")
    for _ in range(5):
        gw.get("/missing")
    until(lambda: gw.metric("sluice_http_requests_refused_total", reason="route_not_found") == 5, "the last one counted")
    m = gw.metrics()
    assert m.one("sluice_http_requests_total", route="web", code="200") == 9
    assert m.one("sluice_http_requests_total", route="web", code="403") == 1
    assert m.one("sluice_http_requests_total", route="web", code="5xx") == 1
    assert m.one("sluice_http_requests_total", route="other", code="200") == 3  # unnamed: the service's name
    assert m.one("sluice_http_requests_total", route="own", code="201") == 4
    assert m.sum("sluice_http_requests_total", code="404") == 5
    assert m.one("sluice_http_bytes_total", route="web", direction="in") == 100
    assert m.one("sluice_http_bytes_total", route="web", direction="out") == 900
    assert m.one("sluice_http_bytes_total", route="own", direction="out") == 20
    assert m.sum("sluice_http_requests_in_flight") == 0
    assert m.one("sluice_http_request_duration_seconds_count", route="web") == 11
    assert m.one("sluice_http_request_duration_seconds_bucket", route="web", le="+Inf") == 11
    assert m.one("sluice_upstream_requests_total", service="app", target="a1", code="200") == 9
    assert m.sum("sluice_upstream_requests_total", service="other", target=other.address) == 3
    assert m.one("sluice_upstream_duration_seconds_count", service="app") == 11
    assert m.sum("sluice_upstream_retries_total") == 0


def test_histograms_are_cumulative_and_in_seconds(origin, gateway):
    @origin.on("/slow")
    def slow(conn, request):
        threading.Event().wait(0.12)
        conn.respond(200, b"x")

    gw = gateway(origin)
    gw.get("/")
    gw.get("/slow")
    gw.wait_metric("sluice_http_request_duration_seconds_count", 2, route="app")
    m = gw.metrics()
    buckets = sorted((float(dict(k)["le"]), v) for k, v in m.series("sluice_http_request_duration_seconds_bucket", route="app").items())
    values = [v for _, v in buckets]
    assert values == sorted(values) and buckets[-1] == (float("inf"), 2)
    assert dict(buckets)[0.1] <= 1
    assert 0.12 <= m.one("sluice_http_request_duration_seconds_sum", route="app") < 2 * SLOW


def test_in_flight_and_connections(origin, gateway):
    go = threading.Event()
    origin.on("/held")(lambda conn, request: go.wait(60) and conn.respond(200, b"x"))
    gw = gateway(origin)
    listener = f"127.0.0.1:{gw.port}"
    clients = [gw.connect().request("GET", "/held") for _ in range(4)]
    idle = gw.connect()
    idle.get()
    gw.wait_metric("sluice_http_requests_in_flight", 4, route="app")
    gw.wait_metric("sluice_connections_open", 5, listener=listener)
    gw.wait_metric("sluice_upstream_connections_open", 4, service="app", state="active")
    go.set()
    for client in clients:
        client.reply()
    gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")
    gw.wait_metric("sluice_upstream_connections_open", 5, service="app", state="idle")
    for client in (*clients, idle):
        client.close()
    gw.wait_metric("sluice_connections_open", 0, listener=listener)


def test_labels_come_from_configured_names_only(origin, gateway):
    gw = gateway(origin)
    for n in range(20):
        gw.get(f"/path{n}", [("User-Agent", f"agent{n}")], host=f"host{n}.example")
        gw.connect().request(f"METHOD{n}").reply()
    text = gw.metrics().text
    assert not re.search(r"path\d|host\d|agent\d|METHOD\d", text)


def test_series_of_removed_routes_go(origin, gateway):
    gw = gateway(origin, routes=[{"name": "old", "service": "app"}])
    gw.get()
    gw.wait_metric("sluice_http_requests_total", 1, route="old", code="200")
    gw.change(routes=[{"name": "new", "service": "app"}])
    gw.reload()
    gw.get()
    gw.wait_metric("sluice_http_requests_total", 1, route="new", code="200")
    assert not gw.metrics().series("sluice_http_requests_total", route="old")


def test_names_with_quotes_are_escaped(origin, gateway):
    name = 'we"b\\x'
    gw = gateway(origin, routes=[{"name": name, "service": "app"}])
    reply = gw.get()
    assert reply.status == 200
    gw.wait_metric("sluice_http_requests_total", 1, route=name, code="200")


def test_more_targets_than_labels(origin, gateway):
    targets = [{"id": f"t{n}", "address": origin.address} for n in range(80)]
    gw = gateway(targets, service={"balance": "round_robin"})
    for _ in range(80):
        gw.get()
    gw.wait_metric("sluice_upstream_requests_total", 80, service="app")
    labels = {dict(k)["target"] for k in gw.metrics().series("sluice_upstream_requests_total", service="app")}
    assert "other" in labels and len(labels) <= 65


# -- the access log


def test_a_log_line(origin, gateway):
    @origin.on("/a/b")
    def answer(conn, request):
        conn.read_body(request)
        conn.respond(201, b"x" * 321)

    gw = gateway([{"id": "one", "address": origin.address}], routes=[{"name": "web", "service": "app"}])
    reply = gw.post("/a/b?c=d", b"y" * 123, [("User-Agent", 'a "quoted" \\ agent'), ("Referer", "http://r.example/")])
    record = gw.log("/a/b")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["time"])
    want = {
        "id": reply.header("X-Request-Id"),
        "client": "127.0.0.1",
        "method": "POST",
        "host": "example.com",
        "path": "/a/b",
        "query": "c=d",
        "route": "web",
        "service": "app",
        "target": "one",
        "status": 201,
        "bytes_in": 123,
        "bytes_out": 321,
        "protocol": "HTTP/1.1",
        "generation": 1,
        "user_agent": 'a "quoted" \\ agent',
        "referer": "http://r.example/",
    }
    assert {k: record.get(k) for k in want} == want
    assert "reason" not in record and record.get("attempts", 1) == 1
    assert 0 < record["duration_ms"] < 5000 * SLOW


def test_a_log_line_of_a_refusal(origin, gateway):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    gw.get("/x")
    record = gw.log("/x")
    assert (record["status"], record["reason"]) == (404, "route_not_found")
    assert "target" not in record or not record["target"]


def test_the_log_tells_where_time_went(origin, gateway):
    @origin.on("/slow")
    def slow(conn, request):
        pause = threading.Event()
        pause.wait(0.2)
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n1")
        pause.wait(0.3)
        conn.send("2")

    gw = gateway(origin)
    assert gw.get("/slow").text == "12"
    record = gw.log("/slow")
    assert 190 <= record["answer_ms"] <= 290 * SLOW
    assert 280 <= record["relay_ms"] <= 390 * SLOW
    assert record["duration_ms"] >= record["answer_ms"] + record["relay_ms"] - 1
    parts = [v for k, v in record.items() if k.endswith("_ms") and k != "duration_ms"]
    assert sum(parts) <= record["duration_ms"] + 5


def test_a_slow_head_is_told(origin, gateway):
    gw = gateway(origin)
    client = gw.send("GET /head HTTP/1.1\r\n")
    assert client.is_open(QUIET)
    client.send("Host: a\r\n\r\n")
    client.reply()
    assert gw.log("/head")["head_ms"] >= QUIET * 900


@pytest.mark.parametrize("text", ["caf\xe9", "tab\there", "\xff\xfe", "</script>", "\xc3\xa9"])
def test_odd_bytes_in_fields_are_valid_json(origin, gateway, text):
    gw = gateway(origin)
    gw.get("/odd", [("User-Agent", text)])
    record = gw.log("/odd")
    assert isinstance(record["user_agent"], str) and record["user_agent"]


def test_very_long_values_are_cut(origin, gateway):
    gw = gateway(origin)
    gw.get("/long", [("User-Agent", "a" * 10_000)])
    assert 1000 <= len(gw.log("/long")["user_agent"]) <= 2048


def test_every_request_has_one_line(origin, gateway):
    gw = gateway(origin, workers=3)
    clients = [gw.connect() for _ in range(20)]
    for n in range(25):
        for k, client in enumerate(clients):
            client.request("GET", f"/{k}/{n}")
        for client in clients:
            client.reply()
    records = gw.logs(500)
    assert len(records) == 500
    assert len({r["path"] for r in records}) == 500


def test_common_format(origin, gateway):
    gw = gateway(origin, log={"format": "common"})
    gw.get("/c?x=1", [("User-Agent", "ua"), ("Referer", "ref")])
    until(lambda: gw.log_file.exists() and gw.log_file.read_text().endswith("\n"), "a line")
    line = gw.log_file.read_text()
    assert re.fullmatch(r'127\.0\.0\.1 - - \[\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\] "GET /c\?x=1 HTTP/1\.1" 200 2 "ref" "ua"\n', line)


def test_log_off(origin, gateway):
    gw = gateway(origin, log={"format": "off"})
    gw.get()
    gw.stop()
    assert not gw.log_file.exists() or not gw.log_file.read_bytes()


def test_log_to_stdout(origin, gateway):
    gw = gateway(origin, log={"path": "stdout"})
    gw.get("/out")
    until(lambda: "/out" in (gw.home / "stdout").read_text(), "a line")
    assert json.loads((gw.home / "stdout").read_text().splitlines()[-1])["path"] == "/out"


def test_sampling_keeps_what_matters(origin, gateway):
    origin.on("/bad")(lambda conn, request: conn.respond(500))
    gw = gateway(origin, log={"sample": "10%"})
    client = gw.connect()
    for _ in range(400):
        client.get("/good")
    for _ in range(20):
        client.get("/bad")
    gw.logs(20, lambda r: r["path"] == "/bad")
    good = len([r for r in gw.logs(0) if r["path"] == "/good"])
    assert 10 <= good <= 90


def test_nothing_is_lost_at_the_end(origin, gateway):
    gw = gateway(origin)
    client = gw.connect()
    for n in range(50):
        client.get(f"/{n}")
    gw.stop()
    assert len(gw.logs(50)) == 50


def test_a_log_reader_that_stalls_does_not_stall_requests(origin, gateway):
    gw = gateway(origin, run=False, log={"path": "stdout"})
    read_end, write_end = os.pipe()
    gw.start(stdout=write_end)
    os.close(write_end)
    client = gw.connect()
    long = [("User-Agent", "u" * 1900), ("Referer", "r" * 1900)]
    with Stopwatch() as watch:
        for _ in range(1000):  # some 4 MB, more than the pipe and the ring hold
            assert client.get("/", long).text == "ok"
    assert watch.seconds < 20 * SLOW
    until(lambda: gw.metric("sluice_log_dropped_total") > 0, "drops counted")
    os.set_blocking(read_end, False)
    os.close(read_end)  # and now the reader is gone altogether
    assert client.get("/", long).text == "ok"
    assert gw.get().text == "ok"
    assert len(gw.edges()) == 1


def test_loop_lag_is_exported(origin, gateway):
    gw = gateway(origin, workers=2)
    workers = {dict(k).get("worker") for k in gw.metrics().samples_of("sluice_worker_loop_lag_seconds")}
    assert {"0", "1"} <= workers


def test_stalled_scrapes_are_harmless(origin, gateway):
    from lib.client import Client

    gw = gateway(origin)
    stuck = [Client(("127.0.0.1", gw.admin_port), receive_buffer=2048) for _ in range(10)]
    for client in stuck:
        client.send(f"GET /metrics HTTP/1.1\r\nHost: {gw.admin_host}\r\n\r\n" * 50)
    assert gw.get().text == "ok"
    assert gw.metric("sluice_config_generation") == 1
    for client in stuck:
        client.close()


def test_first_byte_reason_is_on_the_metric(origin, gateway):
    @origin.on("/never")
    def never(conn, request):
        conn.wait_end()
        return "end"

    gw = gateway(origin, timeouts={"first_byte": ms(200)})
    assert gw.get("/never").status == 504
    gw.wait_metric("sluice_http_requests_refused_total", 1, route="app", reason="http_response_timeout")
    gw.wait_metric("sluice_http_requests_total", 1, route="app", code="504")
