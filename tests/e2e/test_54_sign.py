# SPDX-License-Identifier: Apache-2.0
"""X-Sluice-Signature: a target that shares a key knows what came through the gateway, and what came round it."""

import hashlib
import hmac
import re
import time

import pytest

from lib.h2fixtures import h2origin, h2origins  # noqa: F401 (fixtures)
from lib.wait import DEADLINE, ms, until

KEY = "a key that target and gateway share"


def is_signed(request, key=KEY, client=None):
    """As a target checks it."""
    found = re.fullmatch(r"t=([0-9]+),v1=([0-9a-f]{64})", request.header("X-Sluice-Signature") or "")
    if not found or abs(int(found[1]) - time.time()) > DEADLINE:
        return False
    who = request.header("X-Forwarded-For") if client is None else client
    text = "\n".join([found[1], who, request.method, request.target])
    return hmac.compare_digest(hmac.new(key.encode(), text.encode(), hashlib.sha256).hexdigest(), found[2])


@pytest.fixture
def gw(gateway, origin):
    return gateway(origin, service={"sign": {"key": KEY}})


@pytest.mark.parametrize("method, target", [("GET", "/"), ("GET", "/?"), ("POST", "/a%20b?x=1&y"), ("DELETE", "/" + "x" * 2000)])
def test_requests_are_signed(gw, origin, method, target):
    with gw.connect() as client:
        assert client.request(method, target).reply(method).status == 200
    request = origin.requests[-1]
    assert (request.method, request.target) == (method, target) and is_signed(request)
    assert not is_signed(request, client="192.0.2.1") and not is_signed(request, key=KEY[::-1])


def test_what_a_client_says_does_not_stay(gw, origin):
    gw.get("/", [("X-Sluice-Signature", "t=1,v1=00"), ("x-sluice-signature", "mine")])
    assert len([n for n, _ in origin.requests[-1].fields if n.lower() == "x-sluice-signature"]) == 1
    assert is_signed(origin.requests[-1])


def test_the_path_that_the_target_sees(gateway, origin):
    gw = gateway(origin, service={"sign": {"key": KEY}}, routes=[{"paths": ["/api/*"], "service": "app", "rewrite": {"strip_prefix": "/api"}}])
    gw.get("/api/users?q=1")
    assert origin.requests[-1].target == "/users?q=1" and is_signed(origin.requests[-1])


def test_the_client_that_a_trusted_proxy_names(gateway, origin):
    gw = gateway(origin, service={"sign": {"key": KEY}}, trusted_proxies=["127.0.0.1"])
    gw.get("/", [("X-Forwarded-For", "2001:db8::7")])
    assert is_signed(origin.requests[-1], client="2001:db8::7")


def test_a_second_try_is_signed_too(gateway, origin, origins):
    other = origins()
    seen = []

    def answer(conn, request):
        seen.append(request)
        conn.respond(503 if len(seen) == 1 else 200, b"")

    for each in (origin, other):
        each.on("/")(answer)
    gw = gateway([origin, other], service={"sign": {"key": KEY}, "retry": {"retries": 1, "on": ["503"]}})
    assert gw.get("/").status == 200
    assert len(seen) == 2 and all(is_signed(r) for r in seen)


def test_health_checks_are_signed(gateway, origin):
    gw = gateway(origin, service={"sign": {"key": KEY}, "health": {"path": "/up?deep=1", "interval": ms(200)}})
    until(lambda: any(r.path == "/up" for r in origin.requests), "it is checked")
    assert all(is_signed(r, client="-") for r in origin.requests if r.path == "/up")
    assert "app" in gw.cli("doctor", gw.file).out
    assert all(is_signed(r, client="-") for r in origin.requests if r.path == "/up")


def test_a_key_that_changes(gw, origin):
    gw.change(services={"app": {**gw.config["services"]["app"], "sign": {"key": KEY[::-1] + "2"}}})
    gw.reload()
    gw.get("/")
    assert is_signed(origin.requests[-1], key=KEY[::-1] + "2")


def test_without_it_nothing_is_signed(gateway, origin):
    gateway(origin).get("/")
    assert origin.requests[-1].header("X-Sluice-Signature") is None


def test_http2_targets(gateway, h2origin):
    gw = gateway([h2origin.address], service={"sign": {"key": KEY}, "protocol": "h2"})
    assert gw.get("/x?y").status == 200
    assert is_signed(h2origin.request)


@pytest.mark.parametrize("sign, says", [({}, 'key'), ({"key": "short"}, "at least 32 bytes"), ({"key": ""}, "empty"), ({"key": KEY, "keys": 1}, "unknown key")])
def test_what_cannot_be(gateway, sign, says):
    gw = gateway(["127.0.0.1:1"], service={"sign": sign}, run=False)
    done = gw.cli("check", gw.file)
    assert done.code == 2 and says in done.err, done
