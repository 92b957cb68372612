# SPDX-License-Identifier: Apache-2.0
"""Whose a request is when several filters of a route can tell: the first that does says consumer and tier, both."""

import base64
import crypt
import hashlib

import pytest

from lib.signing import SECRET as SHARED
from lib.signing import sign
from lib.tokens import SECRET

import jwt as pyjwt
import time

HASH = crypt.crypt("swordfish", "$2b$05$abcdefghijklmnopqrstuu")

FILTERS = {
    "jwt": {"secret": SECRET, "cookie": "token", "header": "off", "optional": True},
    "api_key": {"keys": [{"hash": hashlib.sha256(b"a key").hexdigest(), "consumer": "key", "tier": "gold"},
                         {"hash": hashlib.sha256(b"plain").hexdigest(), "consumer": "plain"}], "optional": True},
    "basic": {"users": {"password": HASH}},
    "hmac": {"keys": {"ann": {"secret": SHARED, "consumer": "signature", "tier": "silver"}}, "optional": True},
}

TOKEN = ("Cookie", "token=" + pyjwt.encode({"sub": "token", "exp": int(time.time()) + 3600}, SECRET, "HS256"))
NOBODY = ("Cookie", "token=" + pyjwt.encode({"exp": int(time.time()) + 3600, "role": "x"}, SECRET, "HS256"))
KEY, PLAIN = ("X-Api-Key", "a key"), ("X-Api-Key", "plain")
LOGIN = ("Authorization", "Basic " + base64.b64encode(b"password:swordfish").decode())


def signed():
    return sign(nonce=str(time.monotonic_ns()))


@pytest.fixture
def who(gateway, origin):
    """who(filters, headers): the consumer and the tier that the target is told, with these filters in this order."""
    gateways = {}

    def ask(order, *headers):
        if order not in gateways:
            named = [{name: FILTERS[name]} for name in order.split()]
            told = {"headers": {"request": {"set": {"x-who": "${consumer}", "x-tier": "${tier}"}}}}
            gateways[order] = gateway(origin, filters=[*named, told, {"rate_limit": "off"}])
        reply = gateways[order].get("/", list(headers))
        assert reply.status == 200, reply
        return origin.requests[-1].header("x-who"), origin.requests[-1].header("x-tier")
    return ask


def test_the_first_that_knows(who):
    assert who("jwt api_key", TOKEN, KEY) == ("token", None)  # no tier: the key's is another's
    assert who("api_key jwt", TOKEN, KEY) == ("key", "gold")
    assert who("jwt api_key", KEY) == ("key", "gold")
    assert who("jwt api_key", TOKEN) == ("token", None)
    assert who("jwt api_key") == (None, None)


def test_a_tier_is_not_added_to_another(who):
    assert who("api_key hmac", PLAIN, *signed()) == ("plain", None)
    assert who("hmac api_key", PLAIN, *signed()) == ("signature", "silver")
    assert who("hmac api_key", KEY) == ("key", "gold")


def test_who_waits_is_in_the_order_as_well(who):
    assert who("basic api_key", LOGIN, KEY) == ("password", None)
    assert who("api_key basic", LOGIN, KEY) == ("key", "gold")
    assert who("api_key basic", LOGIN) == ("password", None)


def test_a_token_that_names_nobody_is_no_identity(who):
    assert who("jwt api_key", NOBODY, KEY) == ("key", "gold")


def test_all_must_pass_whoever_it_is(gateway, origin):
    gw = gateway(origin, filters=[{"api_key": FILTERS["api_key"]}, {"basic": FILTERS["basic"]}, {"rate_limit": "off"}])
    assert gw.get("/", [KEY]).status == 401
    assert gw.get("/", [("X-Api-Key", "wrong"), LOGIN]).status == 401
    assert not origin.requests


def test_limits_go_by_the_same_identity(gateway, origin):
    limit = {"rate_limit": {"rate": "1/min", "burst": 1, "by": "consumer",
                            "tiers": {"gold": {"rate": "100/min", "burst": 50, "by": "consumer"}}}}
    gw = gateway(origin, filters=[{"rate_limit": "off"}, {"jwt": FILTERS["jwt"]}, {"api_key": FILTERS["api_key"]}],
                 routes=[{"name": "all", "paths": ["/*"], "service": "app", "filters": [limit]}])
    assert [gw.get("/", [KEY]).status for _ in range(3)] == [200, 200, 200]
    assert [gw.get("/", [TOKEN, KEY]).status for _ in range(2)] == [200, 429]  # the token's, without a tier
