# SPDX-License-Identifier: Apache-2.0
"""Keys from a URL: fetched off the way of requests, kept fresh, and kept at all when the issuer fails."""

import http.server
import os
import ssl
import threading

import pytest

from lib.pki import Authority
from lib.tokens import Key, bearer, jwks
from lib.wait import DEADLINE, SLOW, until

PATIENCE = DEADLINE + 6 * SLOW  # keys that are not known are fetched for at most every 5 s


class Issuer:
    """Serves its keys at /jwks.json, counts how often it was asked, and fails as told."""

    def __init__(self, port, pair=None):
        self.keys, self.asked, self.status, self.fields = [], 0, 200, {}
        self.body = None  # in place of the keys
        self.go = threading.Event()
        self.go.set()
        issuer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                issuer.asked += 1
                issuer.go.wait(60)
                body = issuer.body if issuer.body is not None else jwks(*issuer.keys).encode()
                self.send_response(issuer.status)
                for name, value in {"Content-Length": str(len(body)), **issuer.fields}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(http.server.ThreadingHTTPServer):
            def handle_error(self, request, client_address):
                """A client that goes away is none of the test's business."""

        self.server = Server(("127.0.0.1", port), Handler)
        if pair:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*pair)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.url = f"http{'s' if pair else ''}://localhost:{port}/jwks.json"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        self.go.set()
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def issuers(ports):
    made = []

    def make(*keys, **options):
        made.append(Issuer(ports.take(), **options))
        made[-1].keys = list(keys)
        return made[-1]

    yield make
    for issuer in made:
        issuer.close()


def jwt(issuer, **options):
    return [{"jwt": {"jwks": issuer.url, **options}}]


def passes(gw, key, claims=None):
    token = key.sign(claims)
    return lambda: gw.get(headers=bearer(token)).status == 200


def test_keys_are_fetched_once_for_many(origin, gateway, issuers):
    key = Key()
    issuer = issuers(key)
    gw = gateway(origin, filters=jwt(issuer))
    until(passes(gw, key), "the keys are there")
    for number in range(20):
        assert gw.get(headers=bearer(key.sign({"sub": str(number)}))).status == 200
    assert issuer.asked == 1


def test_until_the_first_keys_come_requests_are_told_to_wait(origin, gateway, issuers):
    key = Key()
    issuer = issuers(key)
    issuer.go.clear()
    gw = gateway(origin, filters=jwt(issuer))
    reply = gw.get(headers=bearer(key.sign()))
    assert (reply.status, reply.reason) == (503, "keys_unavailable")
    assert int(reply.header("Retry-After")) >= 1 and not reply.has("WWW-Authenticate")
    assert gw.get().status == 401  # who has no token needs no keys
    assert not origin.requests
    issuer.go.set()
    until(passes(gw, key), "the keys have come")


def test_an_unknown_key_is_looked_for(origin, gateway, issuers):
    old, new = Key("ES256", "old"), Key("ES256", "new")
    issuer = issuers(old)
    gw = gateway(origin, filters=jwt(issuer))
    until(passes(gw, old), "the first keys")
    issuer.keys = [new]
    until(passes(gw, new), "the new key", PATIENCE)
    assert gw.get(headers=bearer(old.sign())).status == 401
    asked = issuer.asked
    for number in range(50):  # the issuer is asked for these now and then, not each time
        assert gw.get(headers=bearer(Key("EdDSA", f"no{number}").sign())).status == 401
    assert issuer.asked <= asked + 1 + int(SLOW)


def test_the_last_good_keys_outlive_the_issuer(origin, gateway, issuers):
    key = Key()
    issuer = issuers(key)
    gw = gateway(origin, filters=jwt(issuer))
    until(passes(gw, key), "the keys are there")
    issuer.status = 500
    before, stranger = issuer.asked, Key("ES256", "stranger").sign()
    until(lambda: gw.get(headers=bearer(stranger)).status == 401 and issuer.asked > before, "it is asked again", PATIENCE)
    until(lambda: "answers 500; the last good ones stay" in gw.stderr(), "that is said")
    assert passes(gw, key, {"sub": "another"})()
    gw.change(filters=jwt(issuer, leeway="1m"))
    gw.reload()
    assert passes(gw, key, {"sub": "after a reload"})()


@pytest.mark.parametrize(
    "change, says",
    [
        ({"status": 404}, "answers 404"),
        ({"status": 302, "fields": {"Location": "/else"}}, "answers 302"),
        ({"status": 204, "body": b""}, "answers 204"),
        ({"body": b"<html>"}, "not a set of keys"),
        ({"body": b'{"keys": []}'}, "not a set of keys"),
        ({"body": b'{"keys": [{"kty": "RSA"}]}'}, "not a set of keys"),
        ({"body": b'{"keys": [' + b" " * 300000 + b"]}"}, "cannot be fetched"),
        ({"body": b"{", "fields": {"Content-Length": "100"}}, "cannot be fetched"),
    ],
)
def test_answers_that_are_no_keys(origin, gateway, issuers, change, says):
    key = Key()
    issuer = issuers(key)
    for name, value in change.items():
        setattr(issuer, name, value)
    gw = gateway(origin, filters=jwt(issuer))
    # A body that ends too soon is waited for until the connection closes.
    until(lambda: says in gw.stderr(), "it is said", 15 * SLOW)
    assert gw.get(headers=bearer(key.sign())).reason == "keys_unavailable"
    issuer.status, issuer.fields, issuer.body = 200, {}, None
    until(passes(gw, key), "it is asked again", 15 * SLOW)
    assert "good again" in gw.stderr()


def test_an_issuer_that_is_not_there(origin, gateway, ports):
    gw = gateway(origin, filters=[{"jwt": {"jwks": f"http://127.0.0.1:{ports.take()}/"}}])
    until(lambda: "cannot be fetched" in gw.stderr(), "it is said")
    assert gw.get(headers=bearer(Key().sign())).status == 503


def test_https_is_verified(origin, gateway, issuers, home):
    authority, key = Authority(home), Key()
    leaf = authority.leaf("localhost")
    issuer = issuers(key, pair=(leaf.cert, leaf.key))
    stranger = gateway(origin, filters=jwt(issuer))
    until(lambda: "certificate" in stranger.stderr(), "its certificate is not believed")
    assert stranger.get(headers=bearer(key.sign())).status == 503
    gw = gateway(origin, filters=jwt(issuer), env={"SSL_CERT_FILE": str(authority.file)})
    until(passes(gw, key), "it is believed by its authority")


def test_a_hanging_issuer_holds_nothing_up(origin, gateway, issuers):
    issuer = issuers(Key())
    issuer.go.clear()
    gw = gateway(origin, filters=jwt(issuer))
    until(lambda: issuer.asked, "it is asked")
    gw.change(limits={"headers": 50})
    gw.reload()
    assert gw.get().status == 401
    gw.signal(15)
    assert gw.wait_exit() == 0


def test_plain_http_is_warned_of(origin, gateway):
    from lib.gateway import run

    gw = gateway(origin, filters=[{"jwt": {"jwks": "http://id.example/jwks.json"}}], run=False)
    done = run("check", str(gw.file))
    assert done.code == 0 and "plain http" in done.err
    assert not os.path.exists(gw.log_file)
