# SPDX-License-Identifier: Apache-2.0
"""JSON Web Tokens: who passes and with what, what a refusal says, and keys that change while requests come."""

import os
import re
import time

import pytest

from lib.gateway import run
from lib.tokens import SECRET, Key, bearer, hs, jwks
from lib.wait import until

RS256, ES256, EDDSA = Key("RS256", "rsa"), Key("ES256", "ec"), Key("EdDSA", "ed")


def put(path, text):
    """As a careful program writes: beside it, then in its place."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
    os.rename(f"{path}.new", path)
    return str(path)


@pytest.fixture
def guarded(origin, gateway, home):
    """A gateway whose one filter is jwt; with a set of keys in a file unless the test says otherwise."""

    def make(**options):
        if not {"jwks", "secret", "key"} & options.keys():
            options["jwks"] = put(os.path.join(home, "jwks.json"), jwks(RS256, ES256, EDDSA))
        return gateway(origin, filters=[{"jwt": options}])

    return make


def refused(reply, status, reason, **parts):
    """A refusal of one shape, whose challenge has these parameters (RFC 6750 3)."""
    assert (reply.status, reply.reason) == (status, reason), reply
    assert reply.header("Content-Type") == "application/problem+json"
    assert reply.json()["reason"] == reason
    challenge = reply.header("WWW-Authenticate")
    assert challenge.startswith("Bearer "), challenge
    found = dict(re.findall(r'(\w+)="([^"]*)"', challenge))
    assert found.pop("realm") == "sluice"
    assert {k: found.get(k) for k in parts} == parts, challenge
    return found


# -- who passes


@pytest.mark.parametrize("alg", ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"])
def test_every_algorithm_of_a_key_in_pem(guarded, origin, home, alg):
    key = Key(alg)
    gw = guarded(key=put(os.path.join(home, "key.pem"), key.pem()))
    assert gw.get(headers=bearer(key.sign())).status == 200
    assert origin.request.header("Authorization").startswith("Bearer ")
    refused(gw.get(headers=bearer(Key(alg, owner="stranger").sign())), 401, "token_invalid", error="invalid_token")


@pytest.mark.parametrize("alg", ["HS256", "HS384", "HS512"])
def test_a_shared_secret(guarded, alg):
    gw = guarded(secret=SECRET)
    assert gw.get(headers=bearer(hs(alg=alg))).status == 200
    refused(gw.get(headers=bearer(hs(alg=alg, secret=SECRET + "!"))), 401, "token_invalid")


def test_keys_of_a_set(guarded):
    gw = guarded()
    for key in (RS256, ES256, EDDSA):
        assert gw.get(headers=bearer(key.sign())).status == 200
    other = Key("ES256", "ec")
    found = refused(gw.get(headers=bearer(other.sign())), 401, "token_invalid", error="invalid_token")
    assert found["error_description"] == "The token's signature is not valid."
    found = refused(gw.get(headers=bearer(Key("ES256", "other").sign())), 401, "token_invalid")
    assert found["error_description"] == "No key fits the token."


def test_a_public_key_is_no_secret(guarded, home):
    gw = guarded(key=put(os.path.join(home, "key.pem"), RS256.pem()))
    # PyJWT itself will not sign so: the token is made by hand.
    import hashlib
    import hmac

    from lib.tokens import base64url

    body = base64url(b'{"alg":"HS256"}') + "." + base64url(b'{"sub":"root","exp":9999999999}')
    mac = hmac.new(RS256.pem().encode(), body.encode(), hashlib.sha256).digest()
    refused(gw.get(headers=bearer(f"{body}.{base64url(mac)}")), 401, "token_invalid")
    refused(gw.get(headers=bearer(base64url(b'{"alg":"none"}') + "." + body.split(".")[1] + ".")), 401, "token_invalid")


def test_algorithms_can_be_narrowed(guarded):
    gw = guarded(algorithms=["EdDSA", "ES256"])
    assert gw.get(headers=bearer(EDDSA.sign())).status == 200
    found = refused(gw.get(headers=bearer(RS256.sign())), 401, "token_invalid")
    assert found["error_description"] == "The token's algorithm is not allowed here."


# -- without a token


def test_no_token_is_asked_for_one(guarded, origin):
    gw = guarded()
    found = refused(gw.get(), 401, "credentials_missing")
    assert not found  # RFC 6750 3.1: no error when there were no credentials
    refused(gw.get(headers=[("Authorization", "Basic YTpi")]), 401, "credentials_missing")
    assert not origin.requests


def test_optional_lets_no_token_pass_but_no_bad_one(guarded):
    gw = guarded(optional=True)
    assert gw.get().status == 200
    assert gw.get(headers=bearer(ES256.sign())).status == 200
    refused(gw.get(headers=bearer("x.y.z")), 401, "token_invalid")


def test_two_tokens_are_none(guarded):
    gw = guarded(query="access_token")
    good = ES256.sign()
    reply = gw.get(headers=bearer(good) + bearer(good))
    assert refused(reply, 401, "token_invalid")["error_description"] == "The request has more than one token."
    refused(gw.get(f"/?access_token={good}", headers=bearer(good)), 401, "token_invalid")


# -- where it is


@pytest.mark.parametrize("name", ["authorization", "x-token", "cookie"])
def test_what_a_target_would_take_for_the_token_is_one(guarded, name):
    """Targets forgive more than the standards do: a token that they would find is looked at, too."""
    good, bad = hs(), hs(secret="another secret, as long as it has to be")
    if name == "cookie":
        gw = guarded(secret=SECRET, header="off", cookie="session", optional=True)
        odd = [("Cookie", f"session ={bad}")]
        right = [("Cookie", f"session={good}")]
    elif name == "x-token":
        gw = guarded(secret=SECRET, header=name, optional=True)
        odd, right = [("X_Token", bad)], [("X-Token", good)]
    else:
        gw = guarded(secret=SECRET, optional=True)
        odd, right = [("Authorization", f"Bearer\t{bad}")], bearer(good)
    assert gw.get(headers=right).status == 200
    refused(gw.get(headers=odd), 401, "token_invalid")
    refused(gw.get(headers=odd + right), 401, "token_invalid")
    refused(gw.get(headers=right + odd), 401, "token_invalid")


def test_a_name_in_the_query_may_be_encoded(guarded, origin):
    gw = guarded(secret=SECRET, header="off", query="token", optional=True)
    good, bad = hs(), hs(secret="another secret, as long as it has to be")
    assert gw.get(f"/?a=1&%74o%6Ben={good}&toke=2&%74okens=3&%74oken").status == 200
    assert origin.request.target == "/?a=1&toke=2&%74okens=3&%74oken"
    refused(gw.get(f"/?%74oken={bad}"), 401, "token_invalid")
    refused(gw.get(f"/?%74oken={bad}&token={good}"), 401, "token_invalid")
    assert bad[-20:] not in str([r.get("query") for r in gw.logs(3)])


def test_a_token_in_a_cookie(guarded):
    gw = guarded(header="off", cookie="session")
    assert gw.get(headers=[("Cookie", f"a=b; session={ES256.sign()}; c=d")]).status == 200
    refused(gw.get(headers=[("Cookie", f"Session={ES256.sign()}")]), 401, "credentials_missing")
    refused(gw.get(headers=bearer(ES256.sign())), 401, "credentials_missing")


def test_a_token_in_a_header_of_its_own(guarded):
    gw = guarded(header="x-token")
    assert gw.get(headers=[("X-Token", ES256.sign())]).status == 200
    refused(gw.get(headers=bearer(ES256.sign())), 401, "credentials_missing")


def test_a_token_in_the_query_is_seen_by_nobody_else(guarded, origin):
    gw, token = guarded(query="access_token"), ES256.sign()
    assert gw.get(f"/a?x=1&access_token={token}&y=2").status == 200
    assert origin.request.target == "/a?x=1&y=2"
    assert gw.get(f"/b?access_token={token}").status == 200
    assert origin.requests[-1].target == "/b"
    bad = token[:-8] + "AAAAAAAA"
    refused(gw.get(f"/c?access_token={bad}&z=3"), 401, "token_invalid")
    gw.logs(3)
    log = gw.log_file.read_text()
    assert token not in log and bad not in log


# -- what it must say


def test_issuer_and_audience(guarded):
    gw = guarded(issuer="https://id.example", audience=["api", "web"])
    good = {"iss": "https://id.example", "aud": ["web", "x"]}
    assert gw.get(headers=bearer(ES256.sign(good))).status == 200
    assert gw.get(headers=bearer(ES256.sign({**good, "aud": "api"}))).status == 200
    for claims, says in (
        ({"aud": "api"}, "The token is not of the expected issuer."),
        ({**good, "iss": "https://id.example/"}, "The token is not of the expected issuer."),
        ({**good, "aud": "x"}, "The token is not for this audience."),
        ({"iss": "https://id.example"}, "The token is not for this audience."),
    ):
        reply = gw.get(headers=bearer(ES256.sign(claims)))
        assert refused(reply, 401, "token_invalid", error="invalid_token")["error_description"] == says


def test_times_with_leeway(guarded):
    gw, now = guarded(leeway="1m"), int(time.time())
    assert gw.get(headers=bearer(ES256.sign({"exp": now - 30}))).status == 200
    assert gw.get(headers=bearer(ES256.sign({"nbf": now + 30}))).status == 200
    refused(gw.get(headers=bearer(ES256.sign({"exp": now - 90}))), 401, "token_expired", error="invalid_token")
    refused(gw.get(headers=bearer(ES256.sign({"nbf": now + 300}))), 401, "token_invalid")
    refused(gw.get(headers=bearer(ES256.sign({"exp": None}))), 401, "token_invalid")


def test_a_token_without_end_where_that_is_allowed(guarded):
    gw = guarded(expires=False)
    assert gw.get(headers=bearer(ES256.sign({"exp": None}))).status == 200


def test_a_known_token_ends_like_any_other(guarded):
    gw = guarded(leeway="0s")
    token = ES256.sign({"exp": int(time.time()) + 2})
    assert gw.get(headers=bearer(token)).status == 200
    reply = until(lambda: [r for r in [gw.get(headers=bearer(token))] if r.status != 200], "the token ends")[0]
    refused(reply, 401, "token_expired")


def test_scopes(guarded):
    gw = guarded(scopes=["read", "write"])
    assert gw.get(headers=bearer(ES256.sign({"scope": "write a read"}))).status == 200
    assert gw.get(headers=bearer(ES256.sign({"scp": ["read", "write"]}))).status == 200
    for claims in ({}, {"scope": "read"}, {"scope": "readwrite"}, {"scp": ["write"]}):
        reply = gw.get(headers=bearer(ES256.sign(claims)))
        refused(reply, 403, "scope_insufficient", error="insufficient_scope", scope="read write")


def test_required_claims(guarded):
    gw = guarded(claims={"role": ["admin", "root"], "email_verified": "true", "realm.groups": "*"})
    good = {"role": "root", "email_verified": True, "realm": {"groups": ["a"]}}
    assert gw.get(headers=bearer(ES256.sign(good))).status == 200
    for wrong in ({"role": "user"}, {"email_verified": False}, {"realm": {}}):
        reply = gw.get(headers=bearer(ES256.sign({**good, **wrong})))
        refused(reply, 403, "scope_insufficient", error="insufficient_scope")


# -- what the target gets


def test_claims_are_forwarded_and_cannot_be_forged(guarded, origin):
    gw = guarded(forward={"sub": "x-user", "groups": "x-groups", "org.id": "x-org"}, optional=True)
    forged = [("X-User", "root"), ("x-user", "root"), ("X_User", "root"), ("X-Org", "1"), ("x_groups", "admin")]
    assert gw.get(headers=forged).status == 200
    assert not [n for n, _ in origin.request.fields if n.lower().replace("_", "-") in ("x-user", "x-org", "x-groups")]
    token = ES256.sign({"sub": "ann", "groups": ["a", "b"], "org": {"id": 7}})
    for _ in range(2):  # verified, then remembered
        assert gw.get(headers=bearer(token) + forged).status == 200
        request = origin.requests[-1]
        assert [request.header(n) for n in ("x-user", "x-groups", "x-org")] == ["ann", "a,b", "7"]
        assert "root" not in str(request.fields)


def test_forwarded_claims_cannot_be_taken_away(gateway, origin):
    """A client lists them as fields of its connection alone (RFC 9110 7.6.1)."""
    gw = gateway(origin, filters=[{"jwt": {"secret": SECRET, "forward": {"sub": "X-User"}}},
                                  {"headers": {"request": {"set": {"X-Known": "${consumer}"}}}}])
    listed = [("Connection", "X-User, x-known, X-Mine"), ("X-Mine", "1"), ("X-User", "root")]
    assert gw.get(headers=bearer(hs()) + listed).status == 200
    seen = origin.request
    assert (seen.header("X-User"), seen.header("X-Known")) == ("ann", "ann")
    assert not seen.has("X-Mine")


def test_a_claim_that_would_break_a_header_is_refused(guarded, origin):
    gw = guarded(forward={"sub": "x-user"})
    refused(gw.get(headers=bearer(ES256.sign({"sub": "a\r\nX-Admin: 1"}))), 401, "token_invalid")
    assert not origin.requests


# -- keys that change


def test_a_set_in_a_file_is_read_again(guarded, home):
    path, old, new = os.path.join(home, "keys.json"), Key("ES256", "old"), Key("ES256", "new")
    gw = guarded(jwks=put(path, jwks(old)))
    assert gw.get(headers=bearer(old.sign())).status == 200
    refused(gw.get(headers=bearer(new.sign())), 401, "token_invalid")
    put(path, jwks(old, new))
    token = new.sign()
    until(lambda: gw.get(headers=bearer(token)).status == 200, "the new key is known")
    gone = old.sign()
    assert gw.get(headers=bearer(gone)).status == 200
    put(path, jwks(new))
    until(lambda: gw.get(headers=bearer(gone)).status == 401, "what the old key signed is forgotten with it")
    assert gw.get(headers=bearer(token)).status == 200
    assert gw.generation == 1


def test_a_set_that_breaks_leaves_the_last_good_one(guarded, home):
    path, old, new = os.path.join(home, "keys.json"), Key("ES256", "old"), Key("ES256", "new")
    gw = guarded(jwks=put(path, jwks(old)))
    for text in ("{", '{"keys":[]}', '{"keys":[{"kty":"RSA"}]}', ""):
        before = gw.stderr().count("keys.json")
        put(path, text)
        until(lambda: gw.stderr().count("keys.json") > before, "it is said that the set is broken")
        assert gw.get(headers=bearer(old.sign())).status == 200
    os.remove(path)
    assert gw.get(headers=bearer(old.sign())).status == 200
    put(path, jwks(new))
    until(lambda: gw.get(headers=bearer(new.sign())).status == 200, "the mended set")


def test_a_reload_keeps_keys_and_changes_rules(guarded, home):
    path = put(os.path.join(home, "keys.json"), jwks(ES256))
    gw, token = guarded(jwks=path), ES256.sign({"scope": "read"})
    assert gw.get(headers=bearer(token)).status == 200
    gw.change(filters=[{"jwt": {"jwks": path, "scopes": ["write"]}}])
    gw.reload()
    refused(gw.get(headers=bearer(token)), 403, "scope_insufficient")


# -- configurations


@pytest.mark.parametrize(
    "options, says",
    [
        ({}, "one of jwks, secret and key"),
        ({"secret": SECRET, "key": "x.pem"}, "one of jwks, secret and key"),
        ({"secret": "short"}, "at least 32 bytes"),
        ({"secret": "-----BEGIN PUBLIC KEY-----\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}, "no shared secret"),
        ({"jwks": "missing.json"}, "cannot read"),
        ({"key": "missing.pem"}, "cannot read"),
        ({"secret": SECRET, "algorithms": ["none"]}, 'no algorithm named "none"'),
        ({"secret": SECRET, "algorithms": ["hs256"]}, 'no algorithm named "hs256"'),
        ({"secret": SECRET, "algorithms": ["RS256"]}, "no key fits the algorithms"),
        ({"secret": SECRET, "algorithms": []}, "algorithms"),
        ({"secret": SECRET, "forward": {"sub": "a b"}}, "not the name of a field"),
        ({"secret": SECRET, "forward": {"sub": "Host"}}, "the gateway's own"),
        ({"secret": SECRET, "header": "off"}, "nothing says where"),
        ({"secret": SECRET, "claims": ["a"]}, "claims"),
        ({"secret": SECRET, "claims": {"a": {}}}, "expected"),
        ({"secret": SECRET, "realm": 'a"b'}, "realm"),
        ({"secret": SECRET, "issuer": []}, "empty"),
    ],
)
def test_wrong_configurations(gateway, origin, options, says):
    gw = gateway(origin, filters=[{"jwt": options}], run=False)
    done = run("check", str(gw.file), cwd=gw.home)
    assert done.code == 2, done
    assert says in done.err
    assert SECRET not in done.err + done.out


def test_keys_that_cannot_be_used(gateway, origin, home):
    path = os.path.join(home, "keys.json")
    for text in ("", "[]", '{"keys":[]}', '{"keys":[{"kty":"oct","k":"c2hvcnQ"}]}', "x" * 300000):
        put(path, text)
        gw = gateway(origin, filters=[{"jwt": {"jwks": path}}], run=False)
        done = run("check", str(gw.file))
        assert done.code == 2 and "not a key that can be used" in done.err, done
    put(path, RS256.private.private_bytes(*private()).decode())
    gw = gateway(origin, filters=[{"jwt": {"key": path}}], run=False)
    assert "private key" in run("check", str(gw.file)).err


def private():
    from cryptography.hazmat.primitives import serialization as s

    return s.Encoding.PEM, s.PrivateFormat.PKCS8, s.NoEncryption()


def test_nothing_secret_is_ever_said(origin, gateway):
    gw = gateway(origin, filters=[{"jwt": {"secret": "${env:T_SECRET}"}}], env={"T_SECRET": SECRET})
    token = hs()
    assert gw.get(headers=bearer(token)).status == 200
    refused(gw.get(headers=bearer(token[:-3])), 401, "token_invalid")
    gw.logs(2)
    config = gw.admin("GET", "/api/v1/config").text
    said = gw.log_file.read_text() + gw.stderr() + str(gw.status()) + config
    assert "T_SECRET" in config
    assert SECRET not in said and token[:-3] not in said
