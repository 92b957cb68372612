# SPDX-License-Identifier: Apache-2.0
"""Signing in to the admin port by cookie, and the files of the page: who gets a session, what it may do, when it ends, and
whose calls are refused. At the edge and at control alone."""

import json
import re

import pytest

from lib.client import Client
from lib.pki import Authority
from lib.wait import DEADLINE, until
from test_78_admin_tls import DEPLOY, OPERATE, TOKENS, VIEW, Secure

SESSION = "/api/v1/session"
FREE = 5  # wrong tokens that cost nothing


class Browser:
    """What a browser would send: the cookie it was given, and its page's origin."""

    def __init__(self, gw, connect=None, source=None):
        self.gw, self.cookie = gw, None
        self.connect = connect or (lambda: Client(("127.0.0.1", gw.admin_port), source=source))
        self.origin = f"{'https' if connect else 'http'}://{gw.admin_host}"

    def ask(self, method, path, body=None, headers=(), origin=True, host=None):
        fields = [*headers]
        if self.cookie:
            fields.append(("Cookie", self.cookie))
        if origin and method != "GET":
            fields.append(("Origin", self.origin if origin is True else origin))
        data = body if isinstance(body, (bytes, type(None))) else json.dumps(body).encode()
        if data is None and method in ("POST", "PUT"):
            data = b""
        with self.connect() as client:
            return client.request(method, path, fields, data, host or self.gw.admin_host).reply(method)

    def sign_in(self, token, **options):
        reply = self.ask("POST", SESSION, {"token": token}, **options)
        if reply.status == 200:
            self.cookie = reply.header("Set-Cookie").partition(";")[0]
        return reply

    def who(self, **options):
        reply = self.ask("GET", SESSION, **options)
        assert reply.status == 200, reply
        return reply.json()

    def may(self, path="/api/v1/reload"):
        return self.ask("POST", path).status


@pytest.fixture
def gw(origin, gateway):
    return gateway(origin, admin={"tokens": TOKENS})


@pytest.fixture
def browser(gw):
    return Browser(gw)


# -- who is who


def test_without_a_token_one_reads_on_loopback(browser):
    who = browser.who()
    assert (who["signed_in"], who["actor"], who["can"]) == (False, "loopback", ["read"])
    assert who["role"] == "edge" and who["version"] and who["has_tokens"]
    assert browser.may() == 401


@pytest.mark.parametrize("token, can", [(VIEW, ["read"]), (OPERATE, ["read", "operate"]), (DEPLOY, ["read", "deploy"])])
def test_a_token_gets_its_rights(browser, token, can):
    reply = browser.sign_in(token)
    assert reply.status == 200 and reply.json()["can"] == can and reply.json()["signed_in"]
    who = browser.who()
    assert who["can"] == can and who["actor"] == f"token:{who['name']}" and who["until_ms"] > 0
    assert browser.may() == (200 if "operate" in can else 403)
    if "operate" not in can:
        assert "operate" in browser.ask("POST", "/api/v1/reload").json()["detail"]


def test_the_cookie(browser):
    value, *attributes = browser.sign_in(OPERATE).header("Set-Cookie").split("; ")
    assert re.fullmatch(rf"sluice_session_{browser.gw.admin_port}=[0-9a-f]{{96}}", value)
    assert set(attributes) == {"Path=/", "HttpOnly", "SameSite=Strict", "Max-Age=43200"}
    assert OPERATE not in value
    other = Browser(browser.gw)
    assert other.sign_in(OPERATE).header("Set-Cookie") != value  # each sign-in has its own


def test_a_wrong_token(browser):
    reply = browser.sign_in("wrong")
    assert (reply.status, reply.json()["reason"]) == (401, "unauthorized") and not reply.header("Set-Cookie")
    assert browser.who()["can"] == ["read"]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'"x"', b"{}", {"token": 1}, {"token": None}, {"token": "a", "b": 1},
                                  b'{"token":"a","token":"b"}', b'{"token":"\\ud800"}', b"\xff\xfe", b'{"token":"a\\u0000b"}'])
def test_bodies_that_are_none(browser, body):
    reply = browser.ask("POST", SESSION, body)
    assert (reply.status, reply.json()["reason"]) == (400, "body_invalid"), reply
    assert browser.sign_in(VIEW).status == 200  # that was no guess


def test_an_empty_token_and_a_long_one(browser):
    for token in ("", "x" * 60_000, OPERATE + " ", "é" * 10):
        assert browser.sign_in(token).status == 401, token[:10]
    reply = browser.ask("POST", SESSION, b'{"token":"' + b"x" * 70_000 + b'"}')
    assert reply.status == 413


def broken(cookie):
    """What is nearly the cookie."""
    name, value = cookie.split("=")
    flipped = value[:-1] + ("0" if value[-1] != "0" else "1")
    later = value[:16] + f"{int(value[16:32], 16) + 1:016x}" + value[32:]
    past = value[:16] + f"{1:016x}" + value[32:]
    return [f"{name}={v}" for v in ("", "x", flipped, later, past, value[:-1], value + "0", value.upper(), "0" * 96, "f" * 96, "é" * 48,
                                    value[:16] + "f" * 16 + value[32:])] + [f"sluice_session_1={value}", value, ";;;", f"x{name}={value}"]


def test_cookies_that_are_none(browser):
    browser.sign_in(OPERATE)
    good = browser.cookie
    for browser.cookie in broken(good):
        assert browser.who()["can"] == ["read"] and browser.may() == 401, browser.cookie
    for browser.cookie in (good, f"a=b; {good}; c=d", f"{broken(good)[2]}; {good}"):
        assert browser.may() == 200, browser.cookie


# -- its end


def test_signing_out(browser):
    browser.sign_in(OPERATE)
    kept = browser.cookie
    reply = browser.ask("DELETE", SESSION)
    assert reply.status == 200 and reply.json()["can"] == ["read"] and not reply.json()["signed_in"]
    assert "Max-Age=0" in reply.header("Set-Cookie")
    browser.cookie = kept  # whoever has copied it has nothing
    assert browser.may() == 401 and not browser.who()["signed_in"]
    browser.cookie = None
    assert browser.ask("DELETE", SESSION).status == 200


def test_a_token_that_leaves_the_configuration_takes_its_sessions_along(browser):
    gw, other = browser.gw, Browser(browser.gw)
    browser.sign_in(OPERATE)
    other.sign_in(DEPLOY)
    gw.change(admin={"tokens": [t for t in TOKENS if t["token"] != OPERATE]})
    gw.reload()
    assert browser.may() == 401 and browser.who()["can"] == ["read"]
    assert other.who()["can"] == ["read", "deploy"]
    gw.change(admin={"tokens": [{**t, "can": ["operate"]} if t["token"] == DEPLOY else t for t in TOKENS]})
    gw.reload()
    assert other.who()["can"] == ["read", "operate"] and other.may() == 200


def test_a_session_outlives_a_restart(browser):
    browser.sign_in(OPERATE)
    browser.gw.stop()
    browser.gw.start()
    assert browser.who()["signed_in"] and browser.may() == 200


# -- calls that others make in one's name


def test_a_change_by_cookie_needs_the_origin(browser):
    browser.sign_in(OPERATE)
    for origin in (False, "null", "http://evil.example", f"http://127.0.0.1:{browser.gw.port}", f"http://localhost:{browser.gw.admin_port}"):
        reply = browser.ask("POST", "/api/v1/reload", origin=origin)
        assert (reply.status, reply.json()["reason"]) == (403, "cross_origin"), (origin, reply)
        assert browser.ask("DELETE", SESSION, origin=origin).status == 403
    assert browser.who()["signed_in"] and browser.gw.generation == 1
    assert browser.ask("POST", "/api/v1/reload").status == 200


def test_nobody_is_signed_in_from_elsewhere(browser):
    reply = browser.sign_in(OPERATE, origin="http://evil.example")
    assert reply.status == 403 and not reply.header("Set-Cookie")


def test_a_name_that_leads_here(browser):
    """A page of evil.example that has its name lead here sees nothing; whoever has a token may use any name."""
    host = f"evil.example:{browser.gw.admin_port}"
    assert browser.who(host=host)["can"] == [] and "version" not in browser.who(host=host)
    for path in ("/api/v1/status", "/metrics", "/api/v1/events"):
        assert browser.ask("GET", path, host=host).status == 421
    assert browser.ask("GET", "/", host=host).status == 200  # the page alone, which is everybody's
    browser.origin = f"http://{host}"
    assert browser.sign_in("wrong", host=host).status == 401
    assert browser.sign_in(VIEW, host=host).status == 200
    assert browser.ask("GET", "/api/v1/status", host=host).status == 200


# -- guesses


def test_guesses_are_slowed(browser):
    for _ in range(FREE):
        assert browser.sign_in("wrong").status == 401
    reply = browser.sign_in(OPERATE)
    assert (reply.status, reply.json()["reason"]) == (429, "too_many_tries") and not reply.header("Set-Cookie")
    assert int(reply.header("Retry-After")) == 1
    elsewhere = Browser(browser.gw, source="127.0.0.2")
    assert elsewhere.sign_in(OPERATE).status == 200  # counted by address
    assert until(lambda: browser.sign_in(OPERATE).status == 200, "the wait is over")
    assert browser.sign_in("wrong").status == 401  # and it begins anew


def test_guesses_from_many_addresses_are_bounded(browser):
    for n in range(300):
        assert Browser(browser.gw, source=f"127.0.{n // 250 + 1}.{n % 250 + 1}").sign_in("wrong").status == 401
    assert browser.sign_in(OPERATE).status == 200


# -- TLS, and control alone


def test_over_tls_the_cookie_is_secure(origin, gateway, home):
    leaf = Authority(home).leaf("127.0.0.1")
    gw = gateway(origin, admin={"tls": leaf.pair, "tokens": TOKENS})
    browser = Browser(gw, connect=lambda: Secure(gw))
    assert "Secure" in browser.sign_in(OPERATE).header("Set-Cookie").split("; ")
    assert browser.may() == 200


@pytest.fixture
def control(origin, gateway):
    edge = gateway(origin, role="edge", admin={"tokens": TOKENS})
    gw = gateway(run=False)
    gw.write({**gw.base(), "role": "control", "services": edge.config["services"],
              "admin": {"bind": gw.admin_host, "tokens": TOKENS},
              "control": {"edges": [{"name": "e1", "url": f"http://{edge.admin_host}", "token": DEPLOY}]}})
    gw.start()
    return gw


def test_control_alone_has_the_same_page_and_sessions(control):
    browser = Browser(control)
    assert browser.ask("GET", "/").text.startswith("<!doctype html>")
    assert browser.ask("GET", "/page/app.js").status == 200
    assert (browser.who()["role"], browser.who()["can"]) == ("control", ["read"])
    assert browser.sign_in("wrong").status == 401
    assert browser.may() == 401
    browser.sign_in(OPERATE)
    assert browser.may() == 200 and browser.who()["can"] == ["read", "operate"]
    assert browser.ask("POST", "/api/v1/reload", origin=False).status == 403
    control.change(admin={"tokens": TOKENS[2:]})
    assert browser.may() == 200
    until(lambda: not browser.who()["signed_in"], "the session's end")
    assert browser.may() == 401


# -- the page's files

POLICY = {"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
          "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"}
ROOM = 150 * 1024


def files(browser):
    """{path: reply} of all that the page loads, the page first."""
    found, wanted = {}, ["/"]
    while wanted:
        path = wanted.pop(0)
        if path in found:
            continue
        found[path] = reply = browser.ask("GET", path)
        assert reply.status == 200, (path, reply)
        wanted += re.findall(r'(?:src|href)="(/page/[^"]+)"', reply.text)
        wanted += [f"/page/{name}" for name in re.findall(r'from "\./([^"]+)"', reply.text)]
    return found


def test_the_pages_files(browser):
    types = {"html": "text/html; charset=utf-8", "css": "text/css; charset=utf-8", "js": "text/javascript; charset=utf-8"}
    found = files(browser)
    assert len(found) > 3 and sum(len(reply.body) for reply in found.values()) < ROOM
    for path, reply in found.items():
        assert reply.header("Content-Type") == types[path.rpartition(".")[2] if "." in path else "html"], path
        assert set(reply.header("Content-Security-Policy").split("; ")) == POLICY
        assert reply.header("Cache-Control") == "no-cache" and reply.header("X-Content-Type-Options") == "nosniff"
        assert reply.header("Referrer-Policy") == "no-referrer"
    assert "@PAGE_TAG@" not in found["/"].text and f'content="{browser.who()["page"]}"' in found["/"].text


def test_files_that_are_known_are_not_sent_again(browser):
    for path in files(browser):
        tag = browser.ask("GET", path).header("ETag")
        for known in (tag, f"W/{tag}", f'"x", {tag}', "*"):
            with Client(("127.0.0.1", browser.gw.admin_port)) as client:
                client.request("GET", path, [("If-None-Match", known)], host=browser.gw.admin_host)
                head = client.head(DEADLINE)
                assert (head.status, head.header("ETag"), head.header("Cache-Control")) == (304, tag, "no-cache")
                assert client.get("/healthz", host=browser.gw.admin_host).status == 200  # no body came between
        assert browser.ask("GET", path, headers=[("If-None-Match", '"other"')]).status == 200
        assert browser.ask("HEAD", path).status == 200


def test_files_that_are_not_there(browser):
    for path in ("/page/", "/page/none.js", "/page/../app.js", "/page/embed.cmake", "/page/%2e%2e%2fapp.js", "/page/app.js/x"):
        assert browser.ask("GET", path).status in (400, 404), path
    assert browser.ask("POST", "/").status == 405


# -- a part of the status


def test_of_many_targets_the_worst_come_first(gateway, ports):
    """Whoever looks gets as many targets as it asks for; those that are not up before those that are."""
    live, gone = ports.take(), f"127.0.0.1:{ports.take()}"
    targets = [{"id": f"t{n}", "address": f"127.0.0.1:{live}"} for n in range(8)] + [{"id": "last", "address": gone}]
    gw = gateway(targets, service={"health": {"interval": "1s", "timeout": "500ms"}})
    health = {"drained": 1, "down": 8}
    gw.admin("POST", "/api/v1/services/app/targets/t3/drain")

    def part(query):
        reply = gw.admin("GET", f"/api/v1/status?{query}")
        assert reply.status == 200, reply
        return reply.json()["services"]

    until(lambda: part("targets=0")[0]["target_states"] == health, "all are checked")
    assert part("targets=0")[0]["targets"] == []
    assert [t["id"] for t in part("targets=3")[0]["targets"]] == ["t0", "t1", "t2"]
    assert [t["id"] for t in part("targets=3&skip=7&service=app")[0]["targets"]] == ["t7", "last"]
    assert part("targets=3&service=none") == []
    assert len(gw.status()["services"][0]["targets"]) == 9
    for query in ("targets=x", "targets=", "skip=-1&targets=1"):
        assert gw.admin("GET", f"/api/v1/status?{query}").json()["reason"] == "query_invalid"


def test_those_that_are_up_come_last(origins, gateway, ports):
    up, gone = origins(), f"127.0.0.1:{ports.take()}"
    targets = [{"id": "a", "address": up.address}, {"id": "b", "address": gone}, {"id": "c", "address": up.address}]
    gw = gateway(targets, service={"health": {"interval": "1s"}})

    def ids(query):
        service = gw.admin("GET", f"/api/v1/status?{query}").json()["services"][0]
        return service["target_states"] == {"up": 2, "down": 1} and [t["id"] for t in service["targets"]]

    assert until(lambda: ids("targets=9"), "all are checked") == ["b", "a", "c"]
    assert ids("targets=1") == ["b"] and ids("targets=2&skip=1") == ["a", "c"]
