# SPDX-License-Identifier: Apache-2.0
"""What may wake a service and what may not, the page that browsers get meanwhile, and what is told of it all."""

import re
import signal
import threading
from collections import Counter

import pytest

from lib.sleeper import BROWSER, ask, of, refusal, wake
from lib.wait import DEADLINE, Stopwatch, stays, until

LONG = 3 * DEADLINE


# -- what wakes nobody


NOBODY = [
    ("GET", "/", "Googlebot/2.1 (+http://www.google.com/bot.html)"), ("GET", "/", "GPTBot/1.2"),
    ("GET", "/", "Slackbot-LinkExpanding 1.0"), ("GET", "/", "facebookexternalhit/1.1"),
    ("GET", "/", "UptimeRobot/2.0"), ("HEAD", "/", "Pingdom.com_bot_version_1.4"), ("GET", "/", "kube-probe/1.29"),
    ("GET", "/", "GoogleHC/1.0"), ("GET", "/", "ELB-HealthChecker/2.0"), ("GET", "/", "Consul Health Check"),
    ("GET", "/", "sqlmap/1.7"), ("GET", "/", "Mozilla/5.0 zgrab/0.x"), ("GET", "/", "nuclei"),
    ("GET", "/.env", "x"), ("GET", "/api/.env.local", "x"), ("GET", "/.git/config", "x"), ("GET", "/index.php", "x"),
    ("POST", "/vendor/phpunit/src/Util/PHP/eval-stdin.php", "x"), ("GET", "/wp-login.php", "x"),
    ("GET", "/blog/wp-includes/wlwmanifest.xml", "x"), ("POST", "/cgi-bin/luci", "x"), ("GET", "/actuator/env", "x"),
    ("GET", "/.aws/credentials", "x"), ("GET", "/phpmyadmin/", "x"), ("POST", "/boaform/admin/formLogin", "x"),
    ("GET", "/dump.sql", "x"), ("GET", "/robots.txt", "x"), ("GET", "/favicon.ico", "x"), ("HEAD", "/favicon.ico", "x"),
    ("GET", "/apple-touch-icon-precomposed.png", "x"), ("GET", "/sitemap.xml", "x"), ("GET", "/ads.txt", "x"),
    ("GET", "/.well-known/security.txt", "x"), ("GET", "/health", "x"), ("GET", "/healthz", "x"), ("GET", "/up", "x"),
    ("GET", "/api/healthcheck", "x"), ("GET", "/livez", "x"), ("HEAD", "/ready", "x"), ("OPTIONS", "/", "x"),
]
SOMEBODY = [
    ("GET", "/", "Mozilla/5.0 (Windows NT 10.0; Win64; x64) Chrome/120.0"), ("GET", "/", ""), ("HEAD", "/", "curl/8.5"),
    ("GET", "/environment", "x"), ("GET", "/gitter", "x"), ("GET", "/api/health-insurance", "x"), ("GET", "/upload", "x"),
    ("POST", "/api/items", "python-requests/2.31"), ("GET", "/shop/phpbook", "x"), ("GET", "/readers", "x"),
    ("GET", "/.welcome", "x"), ("DELETE", "/items/1", "okhttp/4"), ("POST", "/up", "x"), ("GET", "/", "Mozilla/5.0 (Linux; U; CUBOT X18)"),
]


def test_what_wakes_nobody(sleepy):
    app = sleepy()
    for method, path, agent in NOBODY:
        reply = app.gw.connect().request(method, path, [("User-Agent", agent)]).reply(method)
        assert refusal(reply) == (503, "asleep"), (method, path, agent)
        assert int(reply.header("Retry-After")) >= 60
    preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")]
    assert app.gw.connect().request("OPTIONS", "/x", preflight).reply().reason == "asleep"
    assert app.told == [] and app.wakes()["services"] == []
    app.gw.wait_metric("sluice_wake_requests_total", len(NOBODY) + 1, service="app", result="refused")
    why = app.gw.admin("GET", f"/api/v1/requests/{app.gw.get('/.env').json()['request_id']}").json()
    assert why["reason"] == "asleep" and why["wake"] == {"waited_ms": 0, "refused": "its path: scanners"}
    assert "its path: scanners" in app.gw.cli("why", why["id"]).out


def test_what_wakes_it(sleepy):
    app = sleepy()
    waiting = [(ask(app, path, [("User-Agent", agent)] if agent else (), method), method)
               for method, path, agent in SOMEBODY]
    app.wait_held(len(SOMEBODY))
    wake(app)
    assert [client.reply(method).status for client, method in waiting] == [200] * len(SOMEBODY)


def test_ten_thousand_scanners_wake_nobody(sleepy):
    app = sleepy(workers=2)
    clients = [app.gw.connect() for _ in range(10)]
    got = Counter()
    for start in range(0, 10_000, 500):
        for i, client in enumerate(clients):
            lines = []
            for n in range(start + i * 50, start + i * 50 + 50):
                method, path, agent = NOBODY[n % len(NOBODY)]
                method = "GET" if method == "HEAD" else method
                fields = "Content-Length: 0\r\n" if method == "POST" else ""
                lines.append(f"{method} {path} HTTP/1.1\r\nHost: example.com\r\nUser-Agent: {agent}\r\n"
                             f"X-Forwarded-For: 10.0.{n >> 8}.{n & 255}\r\n{fields}\r\n")
            client.send("".join(lines))
        for client in clients:
            got.update(refusal(client.reply()) for _ in range(50))
    assert got == {(503, "asleep"): 10_000}
    assert app.told == [] and app.wakes()["services"] == []
    assert app.counters["held"] == 0


def test_what_filters_refuse_or_answer_wakes_nobody(sleepy):
    app = sleepy(filters=[{"cors": {"origins": ["https://a.example"]}}, {"access": {"deny": ["10.9.0.0/16"]}},
                          {"basic": {"users": {"ann": "$2b$10$abcdefghijklmnopqrstuuRkXkV5Gx1S2mVb0cT6s2pP5aGqv9iXe"}}}])
    preflight = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")]
    assert app.gw.connect().request("OPTIONS", "/", preflight).reply().status in (200, 204)
    assert app.gw.get("/", of("10.9.0.1")).reason == "address_denied"
    assert app.gw.get("/").status == 401
    assert app.told == [] and app.counters["arrivals"] == 0


def test_the_policy_is_the_configurations(sleepy):
    app = sleepy(wake={"refuse": {"agents": ["~^acme-", "none"], "paths": ["/static/*", "/exact", "~\\.map$"],
                                  "methods": ["HEAD"], "respond": {"status": 204}}})
    for method, path, agent in [("GET", "/", "ACME-probe/1"), ("GET", "/", ""), ("GET", "/static/a.js", "x"),
                                ("GET", "/exact", "x"), ("GET", "/app.js.map", "x"), ("HEAD", "/", "x")]:
        headers = [("User-Agent", agent)] if agent else []
        reply = app.gw.connect().request(method, path, headers).reply(method)
        assert refusal(reply) == (204, "asleep"), (method, path, agent)
    assert app.told == []
    waiting = [ask(app, path, [("User-Agent", "Googlebot")]) for path in ("/.env", "/exactly", "/static")]
    app.wait_held(3)
    wake(app)
    assert [c.reply().status for c in waiting] == [200] * 3


def test_awake_they_are_served_like_others(sleepy):
    app = sleepy()
    app.start()
    app.say("awake", [app.target])
    until(lambda: app.gw.get("/").status == 200, "a target that is up")
    assert [app.gw.get(path, [("User-Agent", "Googlebot")]).status for path in ("/", "/.env", "/healthz")] == [200] * 3


# -- the page


def test_a_browser_gets_a_page_that_asks_again(sleepy):
    app = sleepy(state=None)
    app.say("asleep", eta_ms=20_000)
    reply = app.gw.get("/shop", BROWSER)
    assert refusal(reply) == (503, "waking")
    assert reply.header("Content-Type").startswith("text/html") and reply.header("Cache-Control") == "no-store"
    assert 15 <= int(reply.header("Retry-After")) <= 20
    assert re.search(r'<meta http-equiv="refresh" content="([1-9]|10)">', reply.text)
    assert re.search(r"about (1\d|20) more seconds", reply.text)
    assert 'lang="en"' in reply.text and 'role="status"' in reply.text and "<title>" in reply.text
    for foreign in ("<script", "<style", "style=", "src=", "href=", "http:", "https:"):
        assert foreign not in reply.text
    told = app.wait_told()
    assert told[0]["name"] == "app" and told[0]["held"] == 0 and told[0]["asked_ms"] > 0
    app.gw.get("/shop", BROWSER)  # what asks again is no news
    stays(lambda: len(app.told) == 1, "told once")
    wake(app, eta_ms=20_000)
    until(lambda: app.gw.get("/shop", BROWSER).status == 200, "the app itself")
    app.gw.wait_metric("sluice_http_requests_refused_total", app.gw.metric(
        "sluice_wake_requests_total", service="app", result="page"), reason="waking")


def test_a_real_browser_ends_at_the_app_by_itself(sleepy, browse):
    app = sleepy()
    browse(f"http://127.0.0.1:{app.gw.port}/shop")
    app.wait_told()
    until(lambda: app.gw.metric("sluice_wake_requests_total", service="app", result="page"), "the page was given")
    origin = wake(app)
    origin.wait(lambda: any(r.path == "/shop" for r in origin.requests), "the browser asks again", LONG)


@pytest.mark.parametrize("eta", [None, 0, 3001])
def test_it_is_for_starts_that_take_long_or_nobody_knows_how_long(sleepy, eta):
    app = sleepy(state=None)
    app.say("asleep", **({} if eta is None else {"eta_ms": eta}))
    reply = app.gw.get("/", BROWSER)
    assert refusal(reply) == (503, "waking")
    assert ("about" in reply.text) == bool(eta)


@pytest.mark.parametrize("headers, method", [
    (BROWSER, "POST"), ([("Accept", "*/*")], "GET"), ([("Accept", "application/json")], "GET"), ([], "GET"),
    ([*BROWSER, ("Sec-Fetch-Mode", "cors")], "GET"), ([*BROWSER, ("Sec-Fetch-Mode", "no-cors")], "GET")])
def test_others_wait(sleepy, headers, method):
    app = sleepy()
    waiting = ask(app, "/", headers, method, b"" if method == "POST" else None)
    app.wait_held(1)
    wake(app)
    assert waiting.reply(method).text == "ok"


@pytest.mark.parametrize("how", ["quick", "off", "above"])
def test_browsers_wait_where_it_is_quick_or_there_is_no_page(sleepy, how):
    app = sleepy(wake={"quick": {}, "off": {"page": False}, "above": {"page_after": "1h"}}[how], state=None)
    app.say("asleep", eta_ms=2000 if how == "quick" else 60_000)
    waiting = ask(app, "/", [*BROWSER, ("Sec-Fetch-Mode", "navigate")])
    app.wait_held(1)
    wake(app)
    assert waiting.reply().text == "ok"


# -- what is told


def test_counters_tell_what_is_asked_of_services(sleepy):
    app = sleepy()
    go = threading.Event()
    waiting = [ask(app, "/slow") for _ in range(3)]
    app.wait_held(3)
    assert app.counters == {"service": "app", "arrivals": 3, "in_flight": 0, "held": 3}
    app.gw.get("/.env")  # passes all filters, and asks
    origin = app.start()  # nobody knows of it yet

    @origin.on("/slow")
    def slow(conn, request):
        go.wait(LONG)
        conn.respond(200, b"done")

    app.say("waking", [app.target])
    origin.wait_heads(3)
    assert app.counters == {"service": "app", "arrivals": 4, "in_flight": 3, "held": 0}
    app.say("asleep")  # also of what is no longer a target
    assert app.counters["in_flight"] == 3
    go.set()
    assert [c.reply().text for c in waiting] == ["done"] * 3
    until(lambda: app.counters["in_flight"] == 0, "none in flight")
    assert app.gw.admin("GET", "/api/v1/counters?service=other").json()["services"] == []


def test_a_poll_waits_as_long_as_it_says(sleepy):
    app = sleepy(hears=False)
    number = app.wakes()["number"]
    with Stopwatch() as watch:
        assert app.wakes(after=number, wait=1) == {"number": number, "services": []}
    assert 0.9 < watch.seconds < DEADLINE
    assert app.wakes(after=number, wait="200ms")["number"] == number
    for query in ("after=x", "after=-1", "after=1&wait=31", "after=1&wait=1h", "after=1&wait=x",
                  "after=99999999999999999999"):
        reply = app.gw.admin("GET", f"/api/v1/wakes?{query}")
        assert (reply.status, reply.json()["reason"]) == (400, "query_invalid"), query
    assert app.gw.admin("GET", "/api/v1/wakes", over_socket=False).status == 401


@pytest.mark.parametrize("scale", [
    5, "asleep", [], {}, {"state": "drowsy"}, {"state": 1}, {"state": "asleep", "eta_ms": -1},
    {"state": "asleep", "eta_ms": "5"}, {"state": "broken", "retry_ms": 1.5}, {"state": "broken", "why": 5}])
def test_words_that_mean_nothing(sleepy, scale):
    app = sleepy(hears=False)
    body = {**app.body(), "scale": scale}
    reply = app.gw.admin("PUT", "/api/v1/services/app/releases", body)
    assert (reply.status, reply.json()["reason"]) == (422, "releases_invalid") and "scale" in reply.json()["detail"]
    assert app.scale["state"] == "asleep"


def test_large_numbers_are_taken(sleepy):
    app = sleepy(hears=False)
    app.say("broken", retry_ms=2**62, eta_ms=2**62)
    assert app.gw.get("/").reason == "wake_failed"


def test_a_damaged_file_is_set_aside(sleepy):
    app = sleepy(hears=False)
    app.gw.signal(signal.SIGTERM)
    assert app.gw.wait_exit() == 0
    file = app.gw.state / "edge.json"
    file.write_text(file.read_text().replace("asleep", "astray"))
    app.gw.start()
    assert (app.gw.state / "edge.json.damaged").exists()
    assert app.scale["state"] == "awake"
