# SPDX-License-Identifier: Apache-2.0
"""What `sluice why` and GET /api/v1/requests/ID say of each filter that knows clients: which rule failed, and never what
was secret; and what status says of the keys."""

import base64
import crypt
import hashlib
import hmac
import json
import os
import time

import jwt as pyjwt
import pytest

from lib.pki import Authority
from lib.signing import SECRET as SHARED
from lib.signing import sign
from lib.tls import Secure
from lib.tokens import SECRET, Key, jwks
from lib.wait import SLOW, until

LINKS = "a secret for links, of 32 bytes at least"
HASH = crypt.crypt("swordfish", "$2b$05$abcdefghijklmnopqrstuu")


def why(gw, name, request_id):
    """What that filter says, by the API and by the command."""
    def told():
        found = gw.admin("GET", f"/api/v1/requests/{request_id}")
        return found.status == 200 and found
    until(told, "the request is remembered")
    [mine] = [f for f in told().json()["filters"] if f["name"] == name]
    done = gw.cli("why", request_id, "--json")
    assert done.code == 0 and [f for f in json.loads(done.out)["filters"] if f["name"] == name] == [mine]
    words = gw.cli("why", request_id)
    assert words.code == 0 and mine["name"] in words.out
    return mine, words.out


@pytest.fixture
def told(gateway, origin):
    """told(name, conf): ask(secrets, **what to send) -> what the filter said; none of the secrets was."""
    def start(name, conf, **config):
        gw = gateway(origin, filters=[{name: conf}, {"rate_limit": "off"}], log={"why": "100%"}, **config)

        def ask(target="/", headers=(), secrets=()):
            mine, words = why(gw, name, gw.get(target, list(headers)).header("X-Request-Id"))
            for secret in secrets:
                assert secret not in str(mine) + words
            return {k: v for k, v in mine.items() if k != "name"}
        ask.gw = gw
        return ask
    return start


def token(**claims):
    claims = {"sub": "ann", "iss": "us", "aud": "api", "exp": int(time.time()) + 300, "role": "admin", "scope": "read", **claims}
    return pyjwt.encode({k: v for k, v in claims.items() if v is not None}, SECRET, "HS256")


def test_jwt(told):
    ask = told("jwt", {"secret": SECRET, "issuer": "us", "audience": "api", "claims": {"role": "admin", "org.id": "*"},
                       "scopes": ["read", "write"]})
    now = int(time.time())
    good = {"org": {"id": 1}, "scope": "write read"}
    for claims, said in [
        (good, {"token": "good"}),
        ({**good, "exp": now - 100}, {"token": "expired", "claim": "exp"}),
        ({**good, "exp": None}, {"token": "endless", "claim": "exp"}),
        ({**good, "nbf": now + 1000}, {"token": "not_yet_valid", "claim": "nbf"}),
        ({**good, "iss": "secret-issuer"}, {"token": "issuer_wrong", "claim": "iss"}),
        ({**good, "aud": "secret-audience"}, {"token": "audience_wrong", "claim": "aud"}),
        ({**good, "role": "secret-role"}, {"token": "claim_missing", "claim": "role"}),
        ({**good, "org": {}}, {"token": "claim_missing", "claim": "org.id"}),
        ({**good, "scope": "read"}, {"token": "scope_missing", "scope": "write"}),
    ]:
        text = token(**claims)
        verdict = "pass" if said["token"] == "good" else "refuse"
        secrets = [text, text.split(".")[2], SECRET, "secret-", *text.split(".")[:2]]
        assert ask(headers=[("Authorization", "Bearer " + text)], secrets=secrets) == {
            "verdict": verdict, "remembered": False, **said}
    bad = token(**good)[:-4] + "AAAA"
    assert ask(headers=[("Authorization", "Bearer " + bad)], secrets=[bad])["token"] == "signature_invalid"
    assert ask()["token"] == "no_token"
    assert ask(headers=[("Authorization", "Bearer " + token(**good))] * 2)["token"] == "token_twice"


def test_api_key(told):
    keys = [{"hash": hashlib.sha256(key).hexdigest(), "consumer": "ann", **more}
            for key, more in ((b"good key", {}), (b"old key", {"expires": "2020-01-01"}))]
    ask = told("api_key", {"keys": keys, "query": "key"})
    for key, verdict, accepted, expired in (("good key", "pass", True, False), ("old key", "refuse", False, True),
                                            ("no key", "refuse", False, False)):
        said = {"verdict": verdict, "accepted": accepted, "expired": expired}
        assert ask(headers=[("X-Api-Key", key)], secrets=[key, keys[0]["hash"]]) == said
    assert ask("/?a=b&key=hidden", secrets=["hidden"])["accepted"] is False


def test_basic(told):
    def login(name, password):
        return [("Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())]

    ask = told("basic", {"users": {"ann": HASH}})
    secrets = ["swordfish", HASH, login("ann", "swordfish")[0][1][6:]]
    for remembered in (False, True):
        said = {"verdict": "pass", "accepted": True, "remembered": remembered}
        assert ask(headers=login("ann", "swordfish"), secrets=secrets) == said
    for headers in (login("ann", "wrongfish"), login("eve", "swordfish"), []):
        said = {"verdict": "refuse", "accepted": False, "remembered": False}
        assert ask(headers=headers, secrets=[*secrets, "wrongfish"]) == said


def test_forward_auth(told, origins):
    guard = origins()
    guard.answers("HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")
    ask = told("forward_auth", {"url": "http://guard/ask"}, services={"guard": {"targets": [guard.address]}}, routes=[{"service": "app"}])
    said = ask(headers=[("Authorization", "Bearer hidden"), ("Cookie", "sid=hidden")], secrets=["hidden"])
    assert said["answer"] == 403 and said["ms"] >= 0 and said["verdict"] != "pass"


def test_forward_auth_of_the_cache(told, origins):
    guard = origins()
    guard.answers("HTTP/1.1 200 Yes\r\nContent-Length: 0\r\n\r\n")
    ask = told("forward_auth", {"url": "http://guard/ask", "cache": "1h"}, services={"guard": {"targets": [guard.address]}}, routes=[{"service": "app"}])
    assert ask()["answer"] == 200
    assert ask() == {"verdict": "pass", "cached": True}


def test_signed_url(told):
    ask = told("signed_url", {"secrets": [LINKS]})

    def link(seconds=60, secret=LINKS):
        target = f"/x?expires={int(time.time()) + seconds}"
        return target + "&signature=" + hmac.new(secret.encode(), target.encode(), hashlib.sha256).hexdigest()

    for target, word in ((link(), "good"), (link(-5), "expired"), (link(secret="x" * 40), "signature_invalid"),
                         ("/x", "no_signature"), (link() + "&signature=1", "signature_twice")):
        said = {"verdict": "pass" if word == "good" else "refuse", "link": word}
        assert ask(target, secrets=[LINKS, target[-64:] if "signature" in target else LINKS]) == said


def test_hmac(told):
    ask = told("hmac", {"keys": {"ann": {"secret": SHARED}}})
    once = sign(nonce="hidden-nonce")
    for headers, said in ((once, {"signature": "good", "key": "ann"}), (once, {"signature": "replayed", "key": "ann"}),
                          (sign(keyid="hidden-key"), {"signature": "key_unknown"}),
                          (sign(secret="y" * 40), {"signature": "signature_invalid", "key": "ann"}),
                          (sign(created=-1000), {"signature": "expired", "key": "ann"}), ([], {"signature": "no_signature"})):
        verdict = "pass" if said["signature"] == "good" else "refuse"
        digits = headers[-1][1][5:-1] if headers else SHARED
        assert ask(headers=headers, secrets=[SHARED, digits, "hidden"]) == {"verdict": verdict, **said}


def test_mtls(gateway, origin, home):
    ca, people = Authority(home), Authority(home, "People")
    gw = gateway(origin, run=False, filters=[{"mtls": {"allow": ["ann"]}}, {"rate_limit": "off"}], log={"why": "100%"})
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": {
        "certificates": [ca.leaf("a").pair], "client_ca": str(people.file), "client_auth": "optional"}}])
    gw.start()
    for pair, said in ((people.leaf("ann", client=True), {"verdict": "pass", "certificate": "good", "consumer": "ann"}),
                       (people.leaf('e"ve', client=True, san=False), {"verdict": "refuse", "certificate": "not_allowed", "consumer": 'e"ve'}),
                       (None, {"verdict": "refuse", "certificate": "no_certificate"})):
        with Secure(gw.port, "a", pair=pair) as client:
            mine, _ = why(gw, "mtls", client.get("/").headers["X-Request-Id"])
        assert mine == {"name": "mtls", **said}


# -- status


def test_status_knows_the_keys(gateway, origin, origins, home):
    issuer = origins()
    key, path = Key(), os.path.join(home, "keys.json")
    issuer.answers("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
        len(jwks(key)), jwks(key)))
    with open(path, "w", encoding="ascii") as file:
        file.write(jwks(key, Key(kid="k2")))
    url = f"http://us:hidden@{issuer.address}/keys?token=hidden"
    links = {"signed_url": {"secrets": [LINKS, LINKS[::-1]]}}
    gw = gateway(origin, filters=[
        {"jwt": {"jwks": url, "optional": True}}, {"basic": {"users": {"ann": HASH}}},
        {"hmac": {"keys": {"ann": {"secret": SHARED}, "bob": {"secret": SHARED}}}}, {"rate_limit": "off"}],
        routes=[{"name": "file", "paths": ["/file"], "service": "app", "filters": [{"jwt": {"jwks": path}}, links]},
                {"name": "all", "paths": ["/*"], "service": "app"}])

    def sources():
        return {s["name"]: s for s in gw.status()["credentials"]["sources"]}

    shown = f"http://{issuer.address}/keys"
    until(lambda: sources()[shown].get("keys") == 1 and "age_s" in sources()[path], "both have been read")
    assert sources()[shown]["kind"] == "url" and sources()[path]["kind"] == "file" and sources()[path]["keys"] == 2
    assert "error" not in sources()[shown] and sources()[shown]["failures"] == 0
    assert {(f["filter"], f.get("route"), f["keys"]) for f in gw.status()["credentials"]["filters"]} == {
        ("basic", None, 1), ("hmac", None, 2), ("signed_url", "file", 2)}
    assert gw.status()["credentials"]["api_keys"] == 0
    assert gw.admin("POST", "/api/v1/keys", {"consumer": "ann"}).status == 201
    assert gw.status()["credentials"]["api_keys"] == 1

    with open(path, "w", encoding="ascii") as file:
        file.write("{")
    until(lambda: "not a set of keys" in sources()[path].get("error", ""), "word of the bad file", 20 * SLOW)
    assert sources()[path]["keys"] == 2 and sources()[path]["failures"] == 1
    done = gw.cli("status")
    assert f"keys of {path}: 2, read " in done.out and "FAILED: not a set of keys" in done.out
    assert f"keys of {shown}: 1, read " in done.out and "API keys made at run time: 1" in done.out
    assert "hmac of every route knows 2" in done.out and "signed_url of route file knows 2" in done.out
    for secret in ("hidden", LINKS, SHARED, HASH):
        assert secret not in done.out + str(gw.status())
