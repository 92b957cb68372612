# SPDX-License-Identifier: Apache-2.0
"""How the dashboard looks, in three widths and both themes, and that axe-core finds no barrier in any state of it. Pictures
go to build/screenshots."""

import pytest

from lib.dashboard import ALL, EVERY, Steady, begin, drain_button, look_at, shop, sign_in, three, url  # noqa: F401
from lib.wait import until
from test_74_deploy import Load


@pytest.fixture
def busy(origins, gateway, ports):
    """A gateway of which there is much to see, good and bad."""
    releases = {"v41": {"targets": [{"id": f"v41-{n}", "address": origins().address} for n in range(3)]},
                "v42": {"targets": [{"id": "v42-0", "address": origins().address}, {"id": "v42-1", "address": f"127.0.0.1:{ports.take()}"}]}}
    app = origins()
    app.on("/broken")(lambda conn, request: conn.respond(500, b"broken"))
    gw = gateway(workers=2, admin={"tokens": EVERY},
                 services={"shop": {"releases": releases, "split": {"v41": 90, "v42": 10}, "health": {"interval": "1s", "fall": 1}},
                           "search": {"targets": [{"id": "only", "address": app.address}]},
                           "payments-of-a-name-that-is-long": {"targets": [f"127.0.0.1:{ports.take()}"], "health": {"interval": "1s", "fall": 1}}},
                 routes=[{"name": "shop", "paths": ["/*"], "service": "shop"}, {"name": "search", "paths": ["/search", "/broken"], "service": "search"},
                         {"name": "closed", "paths": ["/closed"], "service": "search", "filters": [{"access": {"deny": ["0.0.0.0/0"]}}]},
                         {"name": "pay", "paths": ["/pay/*"], "service": "payments-of-a-name-that-is-long"}])
    gw.admin("POST", "/api/v1/services/shop/targets/v41-2/drain")
    return gw


def test_no_barriers_and_how_it_looks(busy, pages):
    page = pages(url(busy))
    with Steady(busy, "/", "/search", "/broken", "/closed", "/pay/x"):
        page.wait_text("things need you", "#banner-title")
        page.wait_text("v42-1 (", "#problems")
        page.wait_text("address_denied", "#refusals")
        look_at(page, "reading")
        sign_in(page, ALL)
        page.wait_seen(drain_button("v41-0", service="shop"))
        look_at(page, "signed-in")
        page.click(drain_button("v41-0", service="shop"))
        page.wait_seen("#dialog")
        look_at(page, "dialog")
        page.click("#dialog-no")
        page.click('[aria-label="Split shop"]')
        page.wait_seen("#dialog")
        look_at(page, "split")
        page.click("#dialog-no")
        page.js(f"location.hash = '#why={busy.get('/broken').header('X-Request-Id')}'")
        page.wait_text("Routes that were looked at", "#why-answer")
        look_at(page, "why")
    assert page.faults == []


def test_no_barriers_where_there_is_nothing_to_see(three, pages):
    page = pages(url(three))
    page.wait_text("All is well", "#banner-title")
    look_at(page, "well")
    page.click("#sign")
    page.wait_seen("#dialog")
    page.type("wrong")
    page.click("#dialog-yes")
    page.wait_seen("#dialog-error")
    look_at(page, "wrong-token")
    page.click("#dialog-no")
    page.rewrite("*/api/v1/session", lambda session: session | {"page": "another", "can": []})
    page.wait_seen("#locked")
    look_at(page, "locked")
    page.leave_as_is()
    page.wait_seen("#locked", False)
    three.stop()
    page.wait_seen("#away")
    look_at(page, "away")
    assert page.faults == []


def test_no_barriers_in_a_deploy(shop, pages):
    made = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1h"}, {"approval": True}, {"share": "60%", "for": "1h"}]}, instances=1)
    page = pages(url(made.gw))
    with Load(made.gw, 2):
        begin(made, "v2")
        page.wait_text("Verdict: ", "#running")
        sign_in(page, ALL)
        page.wait_seen("#running button")
        look_at(page, "deploy")
    assert page.faults == []


def test_the_theme_is_kept(three, pages):
    page = pages(url(three))
    page.wait_text("serving", "#state")
    ground = lambda: page.js("getComputedStyle(document.body).backgroundColor")  # noqa: E731
    light = ground()
    page.js("(s => { s.value = 'dark'; s.dispatchEvent(new Event('change')); })(document.getElementById('theme'))")
    dark = ground()
    assert dark != light
    page.open(url(three))
    until(lambda: ground() == dark, "it is dark again")
    page.js("(s => { s.value = 'auto'; s.dispatchEvent(new Event('change')); })(document.getElementById('theme'))")
    assert ground() == light
    page.theme("dark")
    assert ground() == dark
