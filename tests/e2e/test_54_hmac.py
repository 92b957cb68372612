# SPDX-License-Identifier: Apache-2.0
"""Requests that are signed with a shared secret (RFC 9421): what passes, once, and what does not."""

import base64
import itertools
import os
import signal
import threading

import pytest

from lib.gateway import run
from lib.h2peer import H2Client
from lib.signing import SECRET, digest, sign
from lib.wait import until

KEYS = {"ann": {"secret": SECRET, "consumer": "Ann & Co", "tier": "gold"}, "bob": {"secret": SECRET[::-1]}}
count = itertools.count()


def guarded(gateway, origin, more=(), config=None, **options):
    filters = [{"hmac": {"keys": KEYS, **options}}, *more, {"rate_limit": "off"}]
    return gateway(origin, filters=filters, log={"why": "100%"}, **(config or {}))


@pytest.fixture
def gw(gateway, origin):
    return guarded(gateway, origin, [{"headers": {"request": {"set": {"x-who": "${consumer}", "x-tier": "${tier}"}}}}])


def fresh(**options):
    """Signed, unlike any before."""
    return sign(nonce=f"n{next(count)}", **options)


def send(gw, method="GET", target="/", headers=(), body=None, **options):
    with gw.connect() as client:
        return client.request(method, target, headers, body, **options).reply(method)


def said(gw, reply):
    """What the filter says of a request, for `sluice why`."""
    def told():
        found = gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}")
        return found.status == 200 and found
    until(told, "the request is remembered")
    [mine] = [f for f in told().json()["filters"] if f["name"] == "hmac"]
    return mine


def refused(gw, reply, word, reason="signature_invalid"):
    assert (reply.status, reply.reason) == (401, reason), (reply, said(gw, reply))
    assert said(gw, reply)["signature"] == word
    assert reply.header("WWW-Authenticate").startswith('Signature realm="sluice", error_description="')
    assert reply.header("Accept-Signature").startswith('sig=("@method" "@')
    assert reply.header("Content-Type") == "application/problem+json"


# -- what passes


def test_signed_requests_pass(gw, origin):
    for headers in (sign(), sign(alg="hmac-sha256", nonce="x"), sign(expires=4102444800, tag="app")):
        assert gw.get("/", headers).status == 200
    assert [origin.requests[-1].header(n) for n in ("x-who", "x-tier")] == ["Ann & Co", "gold"]
    assert gw.get("/", sign(keyid="bob", secret=SECRET[::-1])).status == 200
    assert [origin.requests[-1].header(n) for n in ("x-who", "x-tier")] == ["bob", None]
    assert said(gw, gw.get("/", fresh())) == {"name": "hmac", "verdict": "pass", "signature": "good", "key": "ann"}


@pytest.mark.parametrize("target", ["/", "/?", "/a%20b/%7Ec?x=%41&y", "/a//b/../c?a=b?c=d", "/" + "x" * 2000])
def test_targets_as_they_are(gw, origin, target):
    assert send(gw, "GET", target, fresh(target=target)).status == 200
    assert origin.requests[-1].target == target


def test_an_absolute_target(gw):
    components = ("@method", "@target-uri", "@request-target", "@scheme")
    headers = sign(target="/x?y=1", components=components[:2])
    assert send(gw, "GET", "http://EXAMPLE.com:80/x?y=1", headers, host="example.com:80").status == 200


def test_every_component(gw, origin):
    fields = [("X-A", "1"), ("x-b", "  two  words\t"), ("X-A", "2,3"), ("Empty", "")]
    components = ("x-a", "x-b", "empty", "@scheme", "@request-target", "@target-uri", "@method", "host")
    target = "/a?b=c"
    headers = [("Host", "example.com"), *fields]
    signed = sign(target=target, headers=headers, components=components)[1:]
    assert send(gw, "GET", target, signed).status == 200, said(gw, send(gw, "GET", target, signed))


def test_bodies(gw, origin):
    for n, body in enumerate((b"", b"x", b"hello " * 1000, os.urandom(300000))):
        headers = fresh(method="POST", body=body)
        assert send(gw, "POST", "/", headers, body).status == 200
        assert origin.requests[-1].body == body and origin.requests[-1].header("Content-Length") == str(len(body))


def test_both_digests(gw, origin):
    body = b'{"hello": "world"}\n'
    given = [("Content-Digest", digest(body, "sha-512")), ("Content-Digest", digest(body))]
    headers = fresh(method="POST", headers=given, components=("@method", "@target-uri", "content-digest"))
    assert send(gw, "POST", "/", headers, body).status == 200


def test_a_body_in_chunks_and_trailers(gw, origin):
    body = b"hello world" * 5000
    with gw.connect() as client:
        lines = [f"{n}: {v}" for n, v in fresh(method="PUT", body=body)]
        client.send("\r\n".join(["PUT / HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked", *lines]) + "\r\n\r\n")
        for at in range(0, len(body), 7000):
            client.chunk(body[at:at + 7000])
        client.send("0\r\nX-Tail: 1\r\n\r\n")
        assert client.reply().status == 200
    assert origin.requests[-1].body == body


def test_an_empty_body_of_unknown_length_needs_no_digest(gw):
    with gw.connect() as client:
        lines = [f"{n}: {v}" for n, v in fresh(method="POST")]
        client.send("\r\n".join(["POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked", *lines]) + "\r\n\r\n")
        client.send("0\r\n\r\n")
        assert client.reply().status == 200


def test_a_body_that_waits_to_be_asked_for(gw, origin):
    for sent, status in ((b"hello", 200), (b"hellO", 401)):
        with gw.connect() as client:
            headers = [("Expect", "100-continue"), ("Content-Length", "5"), *fresh(method="POST", body=b"hello")]
            client.request("POST", "/", headers)
            assert client.head().status == 100  # the gateway's own word: the target is not asked before
            client.send(sent)
            assert client.reply().status == status
    assert origin.request.body == b"hello" and not origin.request.has("Expect")


def test_over_http2(gw, origin):
    with H2Client(("127.0.0.1", gw.port)) as client:
        headers = [(n.lower(), v) for n, v in fresh(method="POST", target="/h2?a=1", body=b"hello")]
        assert client.post("/h2?a=1", b"hello", headers).status == 200
        again = client.post("/h2?a=1", b"hello", headers)
        assert again.status == 401
        headers = [(n.lower(), v) for n, v in fresh(method="POST", target="/h2?a=1", body=b"hello")]
        assert client.post("/h2?a=1", b"hellO", headers).status == 401
    assert len(origin.requests) == 1


def test_cookies_in_crumbs(gw):
    headers = fresh(target="/", headers=[("cookie", "a=1; b=2")], components=("@method", "@target-uri", "cookie"))
    crumbs = [("cookie", "a=1"), ("cookie", "b=2"), *[(n.lower(), v) for n, v in headers[1:]]]
    with H2Client(("127.0.0.1", gw.port)) as client:
        assert client.get("/", crumbs).status == 200


def test_a_secret_in_base64_and_from_a_file(gateway, origin, home, monkeypatch):
    secret = os.urandom(64)
    path = os.path.join(home, "secret")
    with open(path, "w", encoding="ascii") as file:
        file.write(base64.b64encode(secret).decode())
    gw = guarded(gateway, origin, keys={"ann": {"secret": "${file:" + path + "}", "encoding": "base64"}})
    assert gw.get("/", sign(secret=secret)).status == 200
    refused(gw, gw.get("/", sign(secret=base64.b64encode(secret))), "signature_invalid")


# -- one good signature of several


def both(first, second):
    """Two signatures in the same fields."""
    names = [n for n, _ in first]
    assert names == [n for n, _ in second]
    return [(n, f"{a}, {b}") if n.startswith("Signature") else (n, a) for (n, a), (_, b) in zip(first, second)]


def test_one_of_several_suffices(gw):
    good = lambda label: fresh(label=label)  # noqa: E731
    wrong = lambda label: fresh(label=label, secret="another secret that nobody here knows")  # noqa: E731
    foreign = lambda label: fresh(label=label, alg="ed25519")  # noqa: E731
    for bad in (wrong, foreign):
        assert gw.get("/", both(good("a"), bad("b"))).status == 200
        assert gw.get("/", both(bad("a"), good("b"))).status == 200
        assert gw.get("/", bad("a") + good("b")).status == 200  # as fields of their own
    refused(gw, gw.get("/", both(foreign("a"), wrong("b"))), "signature_invalid")


def test_labels_that_are_there_twice(gw, origin):
    refused(gw, gw.get("/", both(fresh(), fresh())), "malformed")
    refused(gw, gw.get("/", fresh() + fresh()), "malformed")
    assert not origin.requests


def test_a_tag(gateway, origin):
    gw = guarded(gateway, origin, tag="app")
    assert gw.get("/", fresh(tag="app")).status == 200
    refused(gw, gw.get("/", fresh(tag="other")), "tag_wrong")
    reply = gw.get("/", fresh())
    refused(gw, reply, "tag_wrong")
    assert reply.header("Accept-Signature").endswith(';created;keyid;alg="hmac-sha256";tag="app"')


# -- replays


def test_none_passes_twice(gw, origin):
    headers, other = fresh(), fresh()
    assert [gw.get("/", headers).status for _ in range(2)] == [200, 401]
    refused(gw, gw.get("/", headers), "replayed", "signature_replayed")
    assert gw.get("/", other).status == 200
    # The nonce counts, whatever else is signed; and those of other keys are others.
    refused(gw, gw.get("/", sign(nonce="once", created=-5)) if gw.get("/", sign(nonce="once")).status == 200 else None,
            "replayed", "signature_replayed")
    assert gw.get("/", sign(nonce="once", keyid="bob", secret=SECRET[::-1])).status == 200


def test_without_a_nonce_the_signature_itself_counts(gw):
    headers = sign(created=-3)
    assert [gw.get("/", headers).status for _ in range(3)] == [200, 401, 401]
    assert gw.get("/", sign(created=-30)).status == 200  # another second, whenever it is


def test_a_replay_outlives_reload_and_edge(gw):
    headers = fresh()
    assert gw.get("/", headers).status == 200
    gw.reload()
    assert gw.get("/", headers).status == 401
    os.kill(gw.edge, signal.SIGKILL)

    def is_back():
        try:
            return gw.get("/", fresh()).status == 200
        except OSError:
            return False
    until(is_back, "another edge serves")
    refused(gw, gw.get("/", headers), "replayed", "signature_replayed")


def test_of_many_at_once_one_passes(gateway, origin):
    gw = guarded(gateway, origin, config={"workers": 2})
    for _ in range(5):
        headers, got = fresh(), []
        threads = [threading.Thread(target=lambda: got.append(gw.get("/", headers).status)) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(got) == [200] + [401] * 11


def test_a_nonce_can_be_asked_for(gateway, origin):
    gw = guarded(gateway, origin, nonce=True)
    assert gw.get("/", fresh()).status == 200
    reply = gw.get("/", sign())
    refused(gw, reply, "nonce_missing")
    assert ";nonce;" in reply.header("Accept-Signature")
    refused(gw, gw.get("/", sign(nonce="")), "nonce_missing")
    refused(gw, gw.get("/", sign(nonce="x" * 257)), "nonce_missing")


# -- times


def test_times(gateway, origin):
    gw = guarded(gateway, origin, window="60s", skew="10s")
    for created in (-50, 0, 5):
        assert gw.get("/", fresh(created=created)).status == 200
    refused(gw, gw.get("/", fresh(created=-61)), "expired", "signature_expired")
    refused(gw, gw.get("/", fresh(created=30)), "created_in_future")
    refused(gw, gw.get("/", fresh(created=10**12)), "created_in_future")
    refused(gw, gw.get("/", fresh(created=None)), "created_missing")
    refused(gw, gw.get("/", fresh(expires=1)), "expired", "signature_expired")
    refused(gw, gw.get("/", fresh(params=';created=999999999999999;keyid="ann"')), "created_in_future")
    refused(gw, gw.get("/", fresh(created=-61, expires=4102444800)), "expired", "signature_expired")


# -- what was changed on the way


def test_changed_requests(gw, origin):
    target, body = "/pay?to=ann&sum=1", b"one"
    fields = [("X-Sum", "1")]
    components = ("@method", "@authority", "@path", "@query", "x-sum")

    def made():
        return fresh(method="POST", target=target, headers=fields, body=body, components=components)

    def changed(name, value):
        return [(n, value if n == name else v) for n, v in made()]

    for options in (
        {"method": "PUT"},
        {"host": "other.example.com"},
        {"host": "example.com:8080"},
        {"target": "/pay?to=bob&sum=1"},
        {"target": "/pay?sum=1&to=ann"},
        {"target": "/pay?to=ann&sum=1&"},
        {"target": "/pay?to=ann&sum=%31"},
        {"target": "/pay"},
        {"target": "/Pay?to=ann&sum=1"},
        {"target": "/./pay?to=ann&sum=1"},
        {"target": "//pay?to=ann&sum=1"},
        {"headers": changed("X-Sum", "2")},
        {"headers": changed("X-Sum", "1, 1")},
        {"headers": made() + [("x-sum", "1")]},
        {"headers": changed("Content-Digest", digest(b"two"))},
    ):
        sent = {"method": "POST", "target": target, "headers": made(), "body": body, **options}
        refused(gw, send(gw, **sent), "signature_invalid")
    refused(gw, send(gw, "POST", target, [f for f in made() if f[0] != "X-Sum"], body), "field_absent")
    refused(gw, send(gw, "POST", target, [f for f in made() if f[0] != "Content-Digest"], body), "digest_malformed")
    # What a target may take for a signed field, and is not signed.
    refused(gw, send(gw, "POST", target, [*made(), ("x_sum", "2")], body), "field_absent")
    assert not origin.requests
    assert send(gw, "POST", target, made(), body).status == 200


def test_a_signed_host_is_the_one_that_the_target_sees(gateway, origin):
    """An absolute target names another, and wins (RFC 9112 section 3.2.2)."""
    gw = guarded(gateway, origin, components=["@method", "@path", "host"])

    def ask(target):
        fields = fresh(headers=[("Host", "example.com")], components=("@method", "@path", "host"))
        with gw.connect() as client:
            client.send("\r\n".join([f"GET {target} HTTP/1.1", *(f"{n}: {v}" for n, v in fields)]) + "\r\n\r\n")
            return client.reply()

    for target in ("http://other.example.com/", "http://example.com:8080/"):
        refused(gw, ask(target), "field_absent")
    assert not origin.heads
    assert ask("/").status == ask("http://EXAMPLE.com/").status == 200


def test_requests_with_wrong_bodies_never_arrive(gw, origin):
    body = b"x" * 50000
    for other in (body[:-1] + b"y", body[:-1], body + b"x", b"", b"y"):
        reply = send(gw, "POST", "/", fresh(method="POST", body=body), other)
        refused(gw, reply, "digest_wrong")
        assert ('"content-digest"' in reply.header("Accept-Signature")) == bool(other)
    with gw.connect() as client:  # without a length
        lines = [f"{n}: {v}" for n, v in fresh(method="POST", body=body)]
        client.send("\r\n".join(["POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked", *lines]) + "\r\n\r\n")
        client.chunk(body)
        client.chunk(b"more")
        client.send("0\r\n\r\n")
        refused(gw, client.reply(), "digest_wrong")
    refused(gw, gw.get("/", fresh(body=b"there is none")), "digest_wrong")
    assert not origin.heads and not origin.requests


def test_bodies_that_nobody_signed(gw, origin):
    refused(gw, send(gw, "POST", "/", fresh(method="POST"), b"x"), "digest_missing")
    with gw.connect() as client:
        lines = [f"{n}: {v}" for n, v in fresh(method="POST")]
        client.send("\r\n".join(["POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked", *lines]) + "\r\n\r\n")
        client.chunk(b"x")
        client.send("0\r\n\r\n")
        refused(gw, client.reply(), "digest_missing")
    # A digest that is there, and not signed, is none.
    refused(gw, send(gw, "POST", "/", [("Content-Digest", digest(b"x")), *fresh(method="POST")], b"x"), "digest_missing")
    assert not origin.requests


def test_a_body_that_is_too_large(gateway, origin):
    gw = guarded(gateway, origin, max_body="1KiB")
    body = b"x" * 1025
    reply = send(gw, "POST", "/", fresh(method="POST", body=body), body)
    assert (reply.status, reply.reason) == (413, "body_too_large")
    with gw.connect() as client:
        lines = [f"{n}: {v}" for n, v in fresh(method="POST", body=body)]
        client.send("\r\n".join(["POST / HTTP/1.1", "Host: example.com", "Transfer-Encoding: chunked", *lines]) + "\r\n\r\n")
        client.chunk(body)
        assert client.reply().status == 413
    assert send(gw, "POST", "/", fresh(method="POST", body=body[1:]), body[1:]).status == 200
    assert len(origin.requests) == 1


def test_digests_can_be_left_out(gateway, origin):
    gw = guarded(gateway, origin, digest=False)
    assert send(gw, "POST", "/", fresh(method="POST"), b"x").status == 200
    refused(gw, send(gw, "POST", "/", fresh(method="POST", body=b"y"), b"x"), "digest_wrong")


# -- attacks


def test_what_must_be_signed(gateway, origin):
    gw = guarded(gateway, origin, components=["@method", "@path", "x-tenant"])
    tenant = [("X-Tenant", "1")]
    assert gw.get("/", fresh(headers=tenant, components=("x-tenant", "@path", "@method"))).status == 200
    assert gw.get("/", fresh(headers=tenant, components=("x-tenant", "@target-uri", "@method"))).status == 200
    for components in (("@method", "@path"), ("x-tenant", "@path"), ("x-tenant", "@method", "@request-target"), ()):
        refused(gw, gw.get("/", fresh(headers=tenant, components=components)), "component_missing")
    # Asked for, signed, and not there.
    refused(gw, gw.get("/", fresh(components=("x-tenant", "@path", "@method"))), "field_absent")


BAD_INPUTS = [
    ("malformed", "sig"),
    ("malformed", "sig="),
    ("malformed", "sig=()x"),
    ("malformed", "sig=(\"@method\""),
    ("malformed", "sig=(\"@method\" \"@method\");created=1;keyid=\"ann\""),
    ("malformed", "sig=(@method);created=1;keyid=\"ann\""),
    ("malformed", "sig=(\"@method\");created=1;created=2;keyid=\"ann\""),
    ("malformed", "sig=(\"@method\");created=\"1\";keyid=\"ann\""),
    ("malformed", "sig=(\"@METHOD\");created=1;keyid=\"ann\""),
    ("malformed", "sig=(\"@signature-params\");created=1;keyid=\"ann\""),
    ("malformed", "sig=" + "(" * 5000),
    ("malformed", "sig=(" + " ".join(f'"a{n}"' for n in range(40)) + ")"),
    ("malformed", "sig=();" + ";".join(f"a{n}" for n in range(2000))),
    ("malformed", ", ".join(f"s{n}=()" for n in range(30))),
    ("malformed", "sig=(),"),
    ("label_missing", "other=(\"@method\");created=1;keyid=\"ann\""),
    ("key_unknown", "sig=(\"@method\");created=1"),
    ("key_unknown", "sig=(\"@method\");created=1;keyid=\"\""),
    ("key_unknown", "sig=(\"@method\");created=1;keyid=\"an\""),
    ("key_unknown", "sig=(\"@method\");created=1;keyid=\"ann \""),
    ("key_unknown", "sig=(\"@method\");created=1;keyid=\"ANN\""),
    ("key_unknown", "sig=(\"@method\");created=1;keyid=\"" + "a" * 1500 + "\""),
    ("alg_denied", "sig=(\"@method\");created=1;keyid=\"ann\";alg=\"none\""),
    ("alg_denied", "sig=(\"@method\");created=1;keyid=\"ann\";alg=\"\""),
    ("alg_denied", "sig=(\"@method\");created=1;keyid=\"ann\";alg=\"HMAC-SHA256\""),
    ("alg_denied", "sig=(\"@method\");created=1;keyid=\"ann\";alg=\"rsa-v1_5-sha256\""),
    ("component_unsupported", "sig=(\"@method\";req);created=1;keyid=\"ann\""),
    ("component_unsupported", "sig=(\"host\";sf);created=1;keyid=\"ann\""),
    ("component_unsupported", "sig=(\"host\";key=\"a\");created=1;keyid=\"ann\""),
    ("component_unsupported", "sig=(\"host\";tr);created=1;keyid=\"ann\""),
]


def test_bad_inputs(gw, origin):
    for word, value in BAD_INPUTS:
        headers = [("Signature-Input", value), ("Signature", "sig=:" + "A" * 43 + "=:")]
        refused(gw, gw.get("/", headers), word)
    assert not origin.requests


def test_bad_signatures(gw, origin):
    good = fresh()
    digits = good[-1][1][5:-1]
    for word, value in [
        ("malformed", ""),
        ("malformed", "sig"),
        ("malformed", "sig=" + digits),
        ("malformed", "sig=:" + digits),
        ("malformed", f"sig=:{digits}:, sig=:{digits}:"),
        ("malformed", "sig=\"" + digits + "\""),
        ("label_missing", f"gis=:{digits}:"),
        ("signature_invalid", "sig=::"),
        ("signature_invalid", "sig=:" + digits[:-2] + ":"),
        ("signature_invalid", "sig=:" + digits[:-4] + ":"),
        ("signature_invalid", "sig=:" + base64.b64encode(base64.b64decode(digits)[:16]).decode() + ":"),
        ("signature_invalid", "sig=:" + digits[:-1] + "AAAA=:"),
        ("signature_invalid", "sig=:" + base64.b64encode(base64.b64decode(digits) * 2).decode() + ":"),
        ("signature_invalid", "sig=:" + "A" * 20000 + ":"),
        ("signature_invalid", "sig=:" + "A" * 43 + "=:"),
    ]:
        refused(gw, gw.get("/", [good[0], ("Signature", value)]), word)
    refused(gw, gw.get("/", good[:1]), "label_missing")
    refused(gw, gw.get("/", good[1:]), "label_missing")
    refused(gw, gw.get("/"), "no_signature", "credentials_missing")
    assert not origin.requests
    assert gw.get("/", good).status == 200


def test_white_space_is_not_signed(gw):
    made = fresh()
    spread = made[0][1].replace("(", "(   ").replace('" "', '"   "').replace(";", ";  ")
    assert gw.get("/", [("Signature-Input", "  " + spread + "  "), made[1]]).status == 200


def test_it_may_be_optional(gateway, origin):
    gw = guarded(gateway, origin, optional=True)
    assert gw.get("/").status == 200
    assert send(gw, "POST", "/", (), b"x").status == 200
    refused(gw, gw.get("/", fresh(keyid="eve")), "key_unknown")


def test_an_upgrade_is_signed_too(gw, origin):
    origin.answers("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
    wish = [("Connection", "upgrade"), ("Upgrade", "echo")]
    for headers in (fresh(), fresh(body=b"")):
        with gw.connect() as client:
            assert client.request("GET", "/", [*wish, *headers]).head().status == 101
    refused(gw, gw.get("/", [*wish, *fresh(body=b"x")]), "digest_wrong")


# -- what is said


def test_nothing_secret_is_said(gw):
    headers = fresh()
    gw.get("/", headers)
    gw.get("/", headers)
    gw.get("/", fresh(secret="x" * 32))
    gw.logs(3)
    everything = gw.log_file.read_text() + gw.stderr() + str(gw.status())
    for word in (SECRET, SECRET[::-1], headers[-1][1][5:-1]):
        assert word not in everything


@pytest.mark.parametrize(
    "options, says",
    [
        ({}, "keys"),
        ({"keys": {}}, "1 to 4096 keys"),
        ({"keys": {"a": {}}}, "secret"),
        ({"keys": {"a": {"secret": "short"}}}, "32 to 96 bytes"),
        ({"keys": {"a": {"secret": "c2hvcnQ=" * 5, "encoding": "base64"}}}, "32 to 96 bytes, in base64"),
        ({"keys": {"a": {"secret": SECRET, "encoding": "hex"}}}, "encoding"),
        ({"keys": {'a"b': {"secret": SECRET}}}, "without quotes"),
        ({"keys": KEYS, "components": ["Date"]}, "lower case"),
        ({"keys": KEYS, "components": ["@status"]}, "component"),
        ({"keys": KEYS, "components": []}, "empty"),
        ({"keys": KEYS, "window": "0s"}, "window"),
        ({"keys": KEYS, "window": "25h"}, "window"),
        ({"keys": KEYS, "realm": 'a"b'}, "without quotes"),
    ],
)
def test_wrong_configurations(gateway, origin, options, says):
    made = gateway(origin, filters=[{"hmac": options}], run=False)
    done = run("check", str(made.file))
    assert done.code == 2 and says in done.err, done
    assert SECRET not in done.err and "c2hvcnQ" not in done.err
