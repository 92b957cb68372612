# SPDX-License-Identifier: Apache-2.0
"""The dashboard in a real browser: what one sees, what one may do and is asked about first, and what it makes of a gateway
that goes away, is another one, or has thousands of targets."""

from lib.client import Client
from lib.dashboard import ALL, DEPLOY, EVERY, OPERATE, Steady, begin, drain_button, is_named, shop, sign_in, three, url  # noqa: F401
from lib.scaled import SLEEPY
from lib.scaled import make as make_scaled
from lib.wait import DEADLINE, SLOW, stays, until
from test_74_deploy import WAIT, Load
from test_78_admin_tls import TOKENS


# -- what one sees


def test_live_numbers(three, pages):
    page = pages(url(three))
    page.wait_text("All is well: 3 targets are up", "#banner-title")
    assert page.text("#state") == "serving" and page.text("#who") == "reading only"
    rate = "#routes tbody tr td"
    with Steady(three, "/", "/closed"):
        page.wait_text(lambda text: text not in ("", "0", "-"), rate)
        first = page.text(rate)
        page.wait_text(lambda text: text != first, rate)  # it is live
        page.wait_text("address_denied", "#refusals")
        assert "front" in page.text("#routes tbody") and "closed" in page.text("#routes tbody")
        label = page.js("document.querySelector('#charts svg').getAttribute('aria-label')")
        assert label.startswith("Requests per second over the last 10 minutes: ") and "at most" in label
        until(lambda: "L" in page.js("document.querySelector('#charts .curve').getAttribute('d')"), "a line is drawn", 3 * DEADLINE)
    page.wait_text(lambda text: text == "0", rate)  # and it falls again
    assert page.faults == []


def test_failures_are_said_first(three, pages):
    page = pages(url(three))
    with Steady(three, "/broken"):
        page.wait_text("Route front fails 100 % of its requests", "#problems")
        assert page.js("document.querySelector('#banner').dataset.level") == "bad"
    page.wait_text("All is well", "#banner-title")
    assert page.faults == []


def test_a_target_that_goes_down_and_an_event_of_it(origins, gateway, pages):
    stays_up, goes = origins(), origins()
    gw = gateway([{"id": "good", "address": stays_up.address}, {"id": "bad", "address": goes.address}],
                 service={"health": {"interval": "1s", "fall": 1}})
    page = pages(url(gw))
    page.wait_text("All is well: 2 targets are up", "#banner-title")
    goes.close()
    page.wait_text("1 of 2 targets of app is out: bad", "#problems")
    page.wait_text("bad of app is down", "#event-list")
    assert page.text("#services tbody tr").split()[:2] == ["bad", "down"]  # it comes first
    assert page.faults == []


def test_a_failed_reload_and_what_changed_in_the_file(three, pages):
    page = pages(url(three))
    sign_in(page, OPERATE)
    is_named(page, "operator")
    good = three.config
    three.write(good | {"services": {"app": {"targets": "nonsense"}}})
    page.click("#config-actions button")
    page.click("#dialog-yes")
    page.wait_text("sluice.yaml:", "#dialog-error")  # the API's own words, with the place
    page.click("#dialog-no")
    page.wait_text("The last reload of", "#problems")
    page.wait_text("nonsense", "#config-diff")
    assert "not in use until it is reloaded" in page.text("#config-diff h3")
    three.write(good | {"timeouts": {**good["timeouts"], "drain": "3s"}})
    page.click("#config-actions button")
    page.click("#dialog-yes")
    page.wait_text("Generation 2 serves.", "#said")
    page.wait_text("All is well", "#banner-title")
    page.wait_text("3s", "#config-diff .added")
    shown = page.js("document.body.textContent")
    assert '"token": "********"' in shown and not [t["token"] for t in EVERY if t["token"] in shown]
    assert page.faults == []


def test_why_a_request_went_where_it_went(three, pages):
    ident = three.get("/broken").header("X-Request-Id")
    page = pages(url(three, f"/#why={ident}"))  # as a link from elsewhere
    page.wait_text("front", "#why-answer")
    assert "500" in page.text("#why-answer") and "app" in page.text("#why-answer")
    page.js("document.getElementById('why-id').select()")
    page.type("no-such-id")
    page.click("#why-form button")
    page.wait_text("Nothing is remembered of a request", "#why-answer")
    assert page.faults == []


# -- what one may do


def test_without_a_token_one_looks_only(three, pages):
    page = pages(url(three))
    page.wait_seen("#services tbody tr")
    assert not page.is_seen(drain_button("a")) and not page.is_seen("#config-actions button")
    assert page.text("#sign") == "Sign in"
    for token in ("wrong", "'\"><script>alert(1)</script>"):
        sign_in(page, token)
        page.wait_text("The token is not known.", "#dialog-error")
        page.click("#dialog-no")
    assert page.text("#who") == "reading only" and page.faults == []


def test_a_target_is_drained_and_enabled(three, pages):
    page = pages(url(three))
    sign_in(page, OPERATE)
    is_named(page, "operator")
    page.wait_seen(drain_button("b"))
    page.click(drain_button("b"))
    page.wait_text("gives b", "#dialog-body")
    assert "2 other targets stay up" in page.text("#dialog-body") and not three.targets()["b"]["drained"]
    page.click("#dialog-no")  # who cancels has changed nothing
    assert not three.targets()["b"]["drained"]
    page.click(drain_button("b"))
    page.click("#dialog-yes")
    page.wait_text("b of app gets no new requests since generation", "#said")
    assert three.targets()["b"]["drained"]
    page.wait_seen(drain_button("b", "Enable"))
    page.click(drain_button("b", "Enable"))
    page.click("#dialog-yes")
    page.wait_text("b of app is back", "#said")
    assert not three.targets()["b"]["drained"]
    page.click("#sign")  # signs out
    page.wait_text("reading only", "#who")
    page.wait_seen(drain_button("b"), False)
    assert page.faults == []


def test_pausing_and_maintenance(three, pages):
    page = pages(url(three))
    sign_in(page, OPERATE)
    page.click('[aria-label="Pause app"]')
    page.click("#dialog-yes")
    page.wait_text("app is paused: its requests wait.", "#problems")
    page.click('[aria-label="Resume app"]')
    page.click("#dialog-yes")
    page.wait_text("All is well", "#banner-title")
    page.click('[aria-label="Maintenance app"]')
    page.click("#dialog-yes")
    page.wait_text("app is in maintenance", "#problems")
    assert three.get("/").status == 503 and page.faults == []


def test_a_split(origins, gateway, pages):
    releases = {"stable": {"targets": [origins().address]}, "canary": {"targets": [origins().address]}}
    gw = gateway(services={"app": {"releases": releases, "split": {"stable": 90, "canary": 10}}}, admin={"tokens": EVERY})
    page = pages(url(gw))
    page.wait_text("stable (stable): 90 %", ".shares")
    sign_in(page, DEPLOY)
    page.click('[aria-label="Split app"]')
    page.wait_text("stable gets 90 %", "#dialog-body")
    page.js("[...document.querySelectorAll('#dialog-body input')].forEach(i => { i.value = 50; i.dispatchEvent(new Event('input')); })")
    page.wait_text("So stable gets 50 % and canary gets 50 %.", "#dialog-body")
    page.js("document.querySelector('#dialog-body input').value = 0")
    page.js("document.querySelectorAll('#dialog-body input')[1].value = 0")
    page.click("#dialog-yes")
    page.wait_seen("#dialog-error")  # the API's words against it
    page.js("[...document.querySelectorAll('#dialog-body input')].forEach(i => { i.value = 50; })")
    page.click("#dialog-yes")
    page.wait_text("stable (stable): 50 %", ".shares")
    assert page.faults == []


def test_by_keyboard_alone(three, pages):
    page = pages(url(three))
    page.wait_seen("#services tbody tr")
    page.key("Tab")
    assert page.focused() == "Skip to what runs"
    page.tab_to("Sign in")
    page.key("Enter")
    page.wait_seen("#dialog input")
    page.type(OPERATE)
    page.key("Enter")
    is_named(page, "operator")
    page.wait_seen(drain_button("a"))
    page.tab_to("Drain a of app")
    outline = page.js("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid"  # one sees where one is
    page.key("Enter")
    page.wait_seen("#dialog")
    page.key("Escape")
    page.wait_seen("#dialog", False)
    assert page.focused() == "Drain a of app"  # back where one was
    page.key(" ")
    page.wait_seen("#dialog")
    until(lambda: page.focused() == "Drain it", "the button that does it", DEADLINE)
    page.key("Enter")
    until(lambda: three.targets()["a"]["drained"], "a is drained")
    until(lambda: page.focused() == "Enable a of app", "the focus stays", 2 * DEADLINE, page.focused)
    assert page.faults == []


# -- deploys


def test_a_canary_is_promoted_and_gone_back_from(shop, pages):
    made = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1h"}]}, instances=1)
    page = pages(url(made.gw))
    page.wait_text("v1", "#past")
    with Load(made.gw, 2) as load:
        ident = begin(made, "v2")
        page.wait_text("shop: v1 to v2", "#running")
        page.wait_text("v2 has 30 %", "#running")
        page.wait_text("Verdict: ", "#running")
        until(lambda: int(page.text("#running tbody tr:nth-child(2) td:nth-child(3)").replace(",", "") or 0) > 20, "counts grow", WAIT)
        assert not page.is_seen("#running button")  # nobody is signed in
        sign_in(page, ALL)
        page.click(f'[aria-label="Promote deploy {ident} of shop"]')
        page.wait_text("The step that runs now ends", "#dialog-body")
        page.click("#dialog-yes")
        until(lambda: made.show(ident)["outcome"] == "live", "v2 is live", WAIT, lambda: f"{page.text('#dialog')} {made.show(ident)}")
        page.wait_text("No deploy runs.", "#running")
        page.click('[aria-label="Roll back shop from v2 to v1"]')
        page.click("#dialog-yes")
        until(lambda: made.stable("shop") == "v1", "v1 serves again", WAIT)
    assert not load.wrong, load.wrong[:3]
    made.serves("v1")
    assert page.faults == []


def test_a_canary_that_fails_is_rolled_back(shop, pages):
    made = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1h"}]}, instances=1)
    page = pages(url(made.gw))
    with Load(made.gw, 2):
        ident = begin(made, "bad")
        page.wait_text(f"Deploy {ident} of shop to bad failed: ", "#problems", WAIT)
    page.wait_text("failed", "#past")
    made.serves("v1")
    assert page.faults == []


def test_a_deploy_that_waits_for_a_person_says_so(shop, pages):
    made = shop({"strategy": "canary", "steps": [{"approval": True}, {"share": "50%", "for": "1s"}]}, instances=1)
    page = pages(url(made.gw))
    ident = begin(made, "v2")
    page.wait_text(f"Deploy {ident} of shop to v2 waits for a person", "#problems")
    sign_in(page, DEPLOY)  # who may deploy may not approve
    page.wait_seen(f'[aria-label="Abort deploy {ident} of shop"]')
    assert not page.is_seen(f'[aria-label="Approve deploy {ident} of shop"]')
    page.click("#sign")
    page.wait_text("reading only", "#who")
    sign_in(page, ALL)
    page.click(f'[aria-label="Approve deploy {ident} of shop"]')
    page.click("#dialog-yes")
    until(lambda: made.show(ident)["phase"] != "waiting for approval", "it goes on", WAIT)
    page.click(f'[aria-label="Abort deploy {ident} of shop"]')
    page.click("#dialog-yes")
    page.wait_text("aborted", "#past", WAIT)
    assert page.faults == []


# -- a gateway that goes, comes back, and is another


def test_a_gateway_that_goes_away_and_comes_back(three, pages):
    page = pages(url(three))
    page.wait_text("serving", "#state")
    three.stop()
    page.wait_text("The gateway does not answer since", "#away")
    assert "What is shown is of" in page.text("#away") and page.text("#state") == "not reachable"
    assert page.text("#banner-title") == "What is wrong now is not known"
    assert page.text("#services tbody tr")  # what was known stays
    three.start()
    page.wait_text("serving", "#state")
    page.wait_seen("#away", False)
    with Steady(three):
        page.wait_text(lambda text: text not in ("", "0", "-"), "#routes tbody tr td")
    page.wait_text("front", "#routes")
    assert page.faults == []


def test_a_gateway_of_another_version(three, pages):
    page = pages(url(three))
    page.wait_text("serving", "#state")
    assert not page.is_seen("#other")
    page.rewrite("*/api/v1/session", lambda session: {**session, "page": "another", "version": "9.9.9"})
    page.wait_text("another version of this page by now (it is 9.9.9)", "#other")
    before = page.js("performance.timeOrigin")
    page.leave_as_is()
    page.click("#anew")
    until(lambda: page.js("performance.timeOrigin") != before, "it is loaded anew")
    page.wait_text("serving", "#state")
    assert not page.is_seen("#other") and page.faults == []


def test_from_elsewhere_without_a_token(three, pages):
    """Whoever may not even read sees how to sign in, and nothing else."""
    page = pages("about:blank")
    page.rewrite("*/api/v1/session", lambda session: {k: v for k, v in session.items() if k not in ("version", "actor")} | {"can": []})
    page.open(url(three))
    page.wait_seen("#locked")
    assert not page.is_seen("#parts") and not page.is_seen("#banner") and not page.text("#facts")
    assert not [u for _, u in page.answered if "/api/v1/status" in u]
    page.leave_as_is()
    page.click("#locked-sign")
    page.type(OPERATE)
    page.click("#dialog-yes")
    page.wait_text("serving", "#state")
    page.wait_seen("#locked", False)
    assert page.faults == []


def test_a_session_that_ends_under_the_page(three, pages):
    page = pages(url(three))
    sign_in(page, OPERATE)
    page.wait_seen(drain_button("a"))
    page.click(drain_button("a"))
    three.change(admin={"tokens": TOKENS[:1]})
    three.reload()
    page.click("#dialog-yes")
    page.wait_text("Without a token only reading is allowed", "#dialog-error")
    page.click("#dialog-no")
    page.wait_text("reading only", "#who")
    assert not three.targets()["a"]["drained"] and page.faults == []


# -- much of it, and for long


def test_five_thousand_targets(gateway, ports, pages):
    gone = ports.take()
    services = {name: {"targets": [{"id": f"{name}-{n}", "address": f"127.0.0.1:{gone}"} for n in range(2500)]} for name in ("left", "right")}
    gw = gateway(services=services, routes=[{"paths": ["/*"], "service": "left"}], admin={"tokens": EVERY})
    size = len(gw.admin("GET", "/api/v1/status?targets=25").body)
    assert size < 100_000 < len(gw.admin("GET", "/api/v1/status").body)
    page = pages(url(gw))
    page.wait_text("2,475 more are not shown; those not up come first.", "#services")
    assert page.js("document.querySelectorAll('tbody tr').length") < 100
    took = page.js("new Promise(done => { const begun = performance.now(); let worst = 0, last = begun; const next = () => {"
                   " const now = performance.now(); worst = Math.max(worst, now - last); last = now;"
                   " if (now - begun > 5000) done(worst); else setTimeout(next, 0); }; next(); })")
    assert took < 500 * SLOW, took  # ms in which nothing else could be done, over two looks
    page.click('[aria-label="Page through the targets of right"]')
    page.wait_text("1 to 100 of 2,500, those not up first.", "#services")
    page.click('[aria-label="Targets of right after these"]')
    page.wait_text("101 to 200 of 2,500", "#services")
    assert "right-150" in page.text("#services") and "left-0" in page.text("#services")
    page.click('[aria-label="Close the targets of right"]')
    page.wait_text(lambda text: "101 to 200" not in text, "#services")
    assert page.faults == []


def test_many_routes_and_services(gateway, ports, pages):
    gone = f"127.0.0.1:{ports.take()}"
    names = [f"s{n}" for n in range(60)]
    gw = gateway(services={name: {"targets": [gone]} for name in names},
                 routes=[{"name": f"r{n}", "paths": [f"/{n}"], "respond": {"status": 204}} for n in range(50)]
                 + [{"paths": [f"/{name}/*"], "service": name} for name in names])
    with Client(("127.0.0.1", gw.port)) as client:
        for n in range(50):
            client.get(f"/{n}")
    page = pages(url(gw))
    page.wait_text("40 more services are not shown", "#services")
    page.wait_text("30 more routes are not shown.", "#routes")
    page.js("document.getElementById('route-filter').focus()")
    page.type("r42")
    page.wait_text(lambda text: "r42" in text and "r41" not in text, "#routes tbody")
    page.js("document.getElementById('service-filter').focus()")
    page.type("s59")
    page.wait_text(lambda text: "s59" in text and "s58" not in text, "#service-list")
    assert page.faults == []


def test_a_tab_in_the_background(three, pages):
    page = pages(url(three))
    page.wait_text("serving", "#state")
    asked = lambda: sum("/api/v1/status" in u for _, u in page.answered)  # noqa: E731
    page.hide(True)
    before = asked()
    until(lambda: asked() > before, "it asks once more", 2 * DEADLINE)
    before = asked()
    stays(lambda: asked() == before, "it asks seldom", 4)
    three.admin("POST", "/api/v1/services/app/targets/c/drain")
    page.hide(False)
    page.wait_text("2 up, 1 drained", "#services")  # it catches up
    assert page.faults == []


def test_an_hour_needs_no_more_memory(three, pages):
    """As many answers as come in an hour: what is kept of them is bounded."""
    page = pages(url(three))
    kept = page.js("""import('/page/series.js').then(({Series}) => {
        const series = new Series();
        for (let i = 0; i < 1800; i++) {
            const routes = [...Array(300).keys()].map(n => ({name: `r${i < 900 ? n : n + 300}`, requests: i, codes: {200: i}, refused: {},
                in_flight: 0, latency: [[3, i]], bytes: [0, 0]}));
            series.add({instance: 1, at_ms: i * 2000, routes, routes_total: 300, latency_edges_us: [1, 2, 3, 4, 5],
                release_latency_edges_us: [1], releases: []});
        }
        return [series.snapshots.length, series.total.points.length, series.courses.size,
                Math.max(...[...series.courses.values()].map(course => course.points.length)), series.now.total.rate];
    })""")
    assert kept[0] <= 16 and 290 <= kept[1] <= 400 and kept[2] <= 240 and kept[3] <= 400
    assert kept[4] == 150  # each of 300 routes has one in two seconds


# -- what one look says of the rest


def test_each_trouble_has_its_sentence(three, pages):
    """What is hard to bring about here is written into the gateway's answer on its way to the page."""
    page = pages("about:blank")
    soon, past = "2026-11-30T00:00:00Z", "2020-01-01T00:00:00Z"
    certificate = {"name": "", "not_before": past, "fingerprint": "f", "source": "file", "issuer": "i", "key_type": "ec", "listeners": []}

    def worse(status):
        for worker in status["workers"]:
            worker.update(connections=worker["connections_max"], lag_ms=250.0)
        return status | {
            "warnings": ["Clients seem to come by a proxy that is not trusted."], "shield": {"on": True, "left_s": 600},
            "rate_limits": {"shared": "degraded", "redis": {"reason": "connection refused"}},
            "certificates": [{**certificate, "domains": ["old.test"], "state": "expired", "not_after": past},
                             {**certificate, "fingerprint": "g", "domains": ["new.test"], "state": "expires_soon", "not_after": soon}],
            "config": status["config"] | {"last_good": True, "confirm_until_ms": 1_900_000_000_000}}

    page.rewrite("*/api/v1/status*", worse)
    page.open(url(three))
    page.wait_text("Rate limits are each gateway's own, since Redis does not answer: connection refused.", "#problems")
    said = page.text("#problems")
    for words in ("The certificate for old.test has expired", "The certificate for new.test expires soon", "Connections are 100 %",
                  "1 worker is behind by up to 250 ms", "not trusted", "the last configuration that lasted", "waits to be confirmed",
                  "The shield is up for another 10 min"):
        assert words in said, (words, said)
    levels = page.js("[...document.querySelectorAll('#problems .level')].map(e => e.textContent)")
    assert levels == sorted(levels, key=["Problem", "Warning", "Note"].index) and len(set(levels)) == 3
    assert page.faults == []


def test_error_budgets(origin, gateway, pages):
    origin.on("/broken")(lambda conn, request: conn.respond(500, b"broken"))
    gw = gateway(origin, service={"slo": {"availability": "99%", "window": "1d"}})
    page = pages(url(gw))
    page.wait_text("availability: 99 % over 24 h", "#slo")
    with Steady(gw, "/broken"):
        page.wait_text("app has no error budget left for availability of 99 %", "#problems", WAIT)
    assert page.faults == []


def test_a_service_that_sleeps_is_woken(gateway, pages):
    made = make_scaled(gateway, SLEEPY)
    made.gw.change(admin={"tokens": EVERY})
    made.gw.reload()
    assert made.deploy("v1").code == 0
    made.sleeps()
    page = pages(url(made.gw))
    page.wait_text("asleep", "#scaling")
    assert "No target of shop" not in page.text("#problems")  # that is as it should be
    sign_in(page, OPERATE)
    page.click('[aria-label="Wake shop"]')
    page.click("#dialog-yes")
    page.wait_text("awake", "#scaling")
    page.wait_text("1 of 1", "#scaling")
    assert page.faults == []


# -- control alone


def test_the_page_of_control_alone(origin, gateway, pages):
    edge = gateway(origin, role="edge", admin={"tokens": TOKENS})
    gw = gateway(run=False)
    gw.write({**gw.base(), "role": "control", "services": edge.config["services"], "admin": {"bind": gw.admin_host, "tokens": TOKENS},
              "control": {"edges": [{"name": "e1", "url": url(edge, ""), "token": DEPLOY}]}})
    gw.start()
    page = pages(url(gw))
    page.wait_text("control", "#state")
    page.wait_text("e1", "#edges")
    page.wait_text("answers", "#edges")
    assert not page.is_seen("#traffic") and page.is_seen("#deploys")
    edge.stop()
    page.wait_text("Control does not reach edge e1", "#problems", WAIT)
    assert page.faults == []
