# SPDX-License-Identifier: Apache-2.0
"""What the tests of the dashboard share: gateways to look at, and what a person does in a page."""

import threading

import pytest
from test_75_deploy_units import Shop
from test_78_admin_tls import TOKENS

from .client import Client
from .gateway import ROOT
from .wait import DEADLINE

OPERATE, DEPLOY = TOKENS[1]["token"], TOKENS[2]["token"]
ALL = "all-rights-token-0123456789"
EVERY = [*TOKENS, {"name": "anna", "token": ALL, "can": ["operate", "deploy", "approve"]}]
AXE = ROOT / "build/axe/node_modules/axe-core/axe.min.js"
SCREENSHOTS = ROOT / "build/screenshots"
WIDTHS = (390, 820, 1440)
LOOKED_AT = {(390, "light"), (1440, "light"), (1440, "dark")}  # for barriers; in between nothing else is shown


def url(gw, path="/"):
    return f"http://{gw.admin_host}{path}"


def drain_button(target, word="Drain", service="app"):
    return f'[aria-label="{word} {target} of {service}"]'


def sign_in(page, token):
    page.click("#sign")
    page.wait_seen("#dialog input")
    page.type(token)
    page.click("#dialog-yes")


def is_named(page, name):
    page.wait_text(f"{name}: ", "#who")


def barriers(page):
    """What axe-core finds, in a line each."""
    if not AXE.exists():
        pytest.skip(f"axe-core is not in {AXE.parents[2].relative_to(ROOT)}: `./dev test e2e` installs it with npm")
    if not page.js("Boolean(window.axe)"):
        page.call("Runtime.evaluate", expression=AXE.read_text())
    found = page.js("axe.run(document, {resultTypes: ['violations']}).then(r => r.violations.map(v =>"
                    " `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 160) + ' ' + (n.any[0]?.message || '')).join(' | ')}`))")
    return found


class Steady:
    """Requests, one after the other, until the end of the block."""

    def __init__(self, gw, *paths):
        self.gw, self.paths, self.done = gw, paths or ("/",), threading.Event()

    def __enter__(self):
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()
        return self

    def _run(self):
        with Client(("127.0.0.1", self.gw.port)) as client:
            while not self.done.wait(0.02):
                for path in self.paths:
                    client.get(path)

    def __exit__(self, *_):
        self.done.set()
        self.thread.join(DEADLINE)


@pytest.fixture
def three(origins, gateway):
    """A gateway with three targets, all up, and two routes."""
    made = [origins() for _ in range(3)]
    for one in made:
        one.on("/broken")(lambda conn, request: conn.respond(500, b"broken"))
    targets = [{"id": name, "address": one.address} for name, one in zip("abc", made, strict=True)]
    return gateway(targets, service={"health": {"interval": "1s"}}, admin={"tokens": EVERY},
                   routes=[{"name": "front", "paths": ["/*"], "service": "app"},
                           {"name": "closed", "paths": ["/closed"], "service": "app", "filters": [{"access": {"deny": ["0.0.0.0/0"]}}]}])


@pytest.fixture
def shop(gateway):
    """A service whose units are processes of this machine, with v1 live."""
    def make(deploy, **options):
        made = Shop(gateway, deploy, **options)
        made.gw.change(admin={"tokens": EVERY})
        made.gw.reload()
        assert made.deploy("v1").code == 0
        return made

    return make


def begin(made, release):
    done = made.deploy(release, "--detach")
    assert done.code == 0, done
    return done.out.strip()


def look_at(page, name):
    """In three widths and both themes: no barrier, nothing that is wider than the window, and a picture of it."""
    for theme in ("light", "dark"):
        page.theme(theme)
        for width in WIDTHS:
            page.size(width)
            wide = page.js("document.documentElement.scrollWidth")
            page.screenshot(str(SCREENSHOTS / f"{name}-{width}-{theme}.png"), whole=not page.is_seen("#dialog"))
            assert wide <= width, (name, width, wide)
            found = barriers(page) if (width, theme) in LOOKED_AT else []
            assert not found, (name, width, theme, found)
    page.theme("light")
    page.size(WIDTHS[-1])
