# SPDX-License-Identifier: Apache-2.0
"""TLS listeners: which certificate for which name, who may come in, what survives reloads, upgrades and bad files."""

import os
import signal
import ssl
import stat
import subprocess
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.hashes import Hash

from lib.h2frames import RawClient
from lib.pki import Authority, now
from lib.tls import Secure, context, s_client
from lib.wait import DEADLINE, SLOW, until

ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")


@pytest.fixture
def ca(home):
    return Authority(home)


@pytest.fixture
def secure(gateway, origin):
    """secure({tls}, **config): a gateway whose one listener speaks TLS, with an origin behind it."""

    def start(tls, listener=None, **options):
        gw = gateway(origin, run=False, **options)
        bind = f"127.0.0.1:{gw.port}"
        gw.change(listeners=[{"bind": bind, "tls": tls, **(listener or {})}])
        return gw.start()

    return start


def shown(gw, name=None, **options):
    """Serial number of the certificate that is shown for a name."""
    with Secure(gw.port, name, **options) as client:
        return client.serial


def retls(gw, tls, **listener):
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": tls, **listener}])


# -- names


def test_a_request_over_tls(secure, origin, ca):
    leaf = ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair]})
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        with Secure(gw.port, "a.example.com", ca=ca, low=version, high=version) as client:
            answer = client.get("/x")
            assert answer.status == 200
            assert client.get("/y").status == 200
    with pytest.raises(ssl.SSLCertVerificationError):
        Secure(gw.port, "b.example.com", ca=ca)


def test_curl_takes_it(secure, origin, ca):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair]})
    for version in ("--http1.1", "--http2"):
        done = subprocess.run(
            ["curl", "-sS", version, "--cacert", ca.file, "--resolve", f"a.example.com:{gw.port}:127.0.0.1",
             "-o", "/dev/null", "-w", "%{http_code} %{http_version}", f"https://a.example.com:{gw.port}/"],
            capture_output=True, text=True, timeout=20 * SLOW)
        assert done.stdout == ("200 2" if version == "--http2" else "200 1.1"), done


def test_each_name_has_its_certificate(secure, ca):
    first, wild, exact = ca.leaf("first.example.com"), ca.leaf("*.example.com"), ca.leaf("exact.example.com")
    gw = secure({"certificates": [first.pair, wild.pair, exact.pair]})
    assert shown(gw, "first.example.com") == first.serial
    assert shown(gw, "EXACT.example.com") == exact.serial
    assert shown(gw, "any.example.com") == wild.serial
    assert shown(gw, "two.any.example.com") == first.serial
    assert shown(gw, "unknown.example.net") == first.serial
    assert shown(gw) == first.serial


def test_unknown_names_may_be_refused(secure, ca):
    leaf = ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair], "unknown_name": "reject"})
    assert shown(gw, "a.example.com") == leaf.serial
    assert shown(gw) == leaf.serial
    _, text = s_client(gw.port, "-servername", "b.example.com")
    assert "unrecognized name" in text


def test_both_key_types_for_one_name(secure, ca):
    rsa, ec = ca.leaf("a.example.com", kind="rsa"), ca.leaf("a.example.com")
    gw = secure({"certificates": [rsa.pair, ec.pair]})
    for sigalgs, kind in (("RSA-PSS+SHA256", "RSA"), ("ECDSA+SHA256", "ECDSA")):
        _, text = s_client(gw.port, "-servername", "a.example.com", "-sigalgs", sigalgs)
        assert f"Peer signature type: {'RSA-PSS' if kind == 'RSA' else 'ECDSA'}" in text, text


def test_the_oldest_version_is_as_configured(secure, ca):
    leaf = ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair], "min_version": "1.3"})
    with Secure(gw.port) as client:
        assert client.version == "TLSv1.3"
    with pytest.raises(ssl.SSLError, match="(?i)protocol.version"):
        Secure(gw.port, high=ssl.TLSVersion.TLSv1_2)
    retls(gw, {"certificates": [leaf.pair]})
    gw.reload()
    with Secure(gw.port, high=ssl.TLSVersion.TLSv1_2) as client:
        assert client.version == "TLSv1.2"


def test_protocols_are_agreed_on(secure, ca):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair]})
    with Secure(gw.port, alpn=["http/1.1", "h2"]) as client:
        assert client.alpn == "h2"
    with Secure(gw.port, alpn=["http/1.1"]) as client:
        assert client.alpn == "http/1.1"
    with pytest.raises(ssl.SSLError, match="(?i)no.application.protocol"):
        Secure(gw.port, alpn=["smb"])
    retls(gw, {"certificates": [ca.leaf("a.example.com").pair]}, http2=False)
    gw.reload()
    with Secure(gw.port, alpn=["h2", "http/1.1"]) as client:
        assert client.alpn == "http/1.1"


def test_strict_transport_security(secure, origin, ca):
    leaf = ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair], "hsts": {"max_age": "8760h", "subdomains": True, "preload": True}})
    with Secure(gw.port, "a.example.com") as client:
        assert client.get().headers["strict-transport-security"] == "max-age=31536000; includeSubDomains; preload"


def test_a_plain_listener_leads_to_https(gateway, origin, ca):
    leaf = ca.leaf("a.example.com")
    gw = gateway(origin, run=False)
    tls_port = gw.ports.take()
    gw.change(listeners=[
        {"bind": f"127.0.0.1:{gw.port}", "redirect_https": True},
        {"bind": f"127.0.0.1:{tls_port}", "tls": {"certificates": [leaf.pair]}},
    ])
    gw.start()
    reply = gw.get("/x?y=1", host="a.example.com")
    assert reply.status in (301, 308)
    assert reply.header("Location").startswith("https://a.example.com")
    assert reply.header("Location").endswith("/x?y=1")
    assert gw.get("/.sluice/health").status == 200
    assert not origin.requests
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}"}])
    gw.reload()
    assert gw.get("/x").status == 200


# -- clients' certificates


def test_clients_must_show_a_certificate(secure, origin, ca, home):
    people, strangers = Authority(home, "People"), Authority(home, "Strangers")
    alice, mallory = people.leaf("alice", client=True), strangers.leaf("mallory", client=True)
    gw = secure({"certificates": [ca.leaf("a.example.com").pair], "client_ca": str(people.file),
                 "client_header": "X-Client-Subject"})
    with Secure(gw.port, "a.example.com", pair=alice) as client:
        assert client.get("/alice").status == 200
    assert origin.request.header("X-Client-Subject") == "CN=alice"
    for pair in (None, mallory):
        with pytest.raises((ssl.SSLError, ConnectionError)):
            with Secure(gw.port, "a.example.com", pair=pair) as client:
                client.get("/")
    assert len(origin.requests) == 1


def test_clients_may_show_a_certificate(secure, origin, ca, home):
    people = Authority(home, "People")
    gw = secure({"certificates": [ca.leaf("a.example.com").pair], "client_ca": str(people.file),
                 "client_auth": "optional", "client_header": "X-Client-Subject"})
    with Secure(gw.port, "a.example.com") as client:
        # Nobody makes up a subject for himself, nor under a name that CGI cannot tell from it.
        for name in ("X-Client-Subject", "X_Client_Subject", "x-client_subject"):
            assert client.get("/", headers={name: "CN=root"}).status == 200
    assert "root" not in str([r.fields for r in origin.requests])
    with Secure(gw.port, "a.example.com", pair=people.leaf("alice", client=True)) as client:
        assert client.get("/").status == 200
    assert origin.requests[-1].header("X-Client-Subject") == "CN=alice"


# -- coalescing (RFC 9113 9.1.1)


def test_a_connection_carries_only_names_that_its_certificate_answers_for(secure, ca):
    pairs = [ca.leaf("a.example.com", "*.shared.example.com").pair, ca.leaf("b.example.com").pair]
    gw = secure({"certificates": pairs})

    def ask(name, authority):
        with RawClient(("127.0.0.1", gw.port), context=context(ca=ca, alpn=["h2"]), name=name) as client:
            return client.get(authority=authority)

    assert ask("a.example.com", "a.example.com").status == 200
    assert ask("a.example.com", "x.shared.example.com:443").status == 200
    assert ask("x.shared.example.com", "A.Example.com").status == 200
    refused = ask("a.example.com", "b.example.com")
    assert refused.status == 421 and refused.header("x-sluice-reason") == "misdirected"
    with Secure(gw.port, "a.example.com") as client:  # HTTP/1.1 does not coalesce: who asks so means it
        assert client.get("/", host="b.example.com").status == 200


# -- tickets


def resumed(gw, made, session):
    """(whether the session was resumed, the next session)."""
    with Secure(gw.port, "a.example.com", made=made, session=session) as client:
        assert client.get("/").status == 200
        return client.reused, client.session


def test_a_resumed_connection_brings_the_next_ticket(secure, ca):
    """RFC 8446 C.4: a client uses each ticket once."""
    gw = secure({"certificates": [ca.leaf("a.example.com").pair]})
    made = context(low=ssl.TLSVersion.TLSv1_3)
    _, first = resumed(gw, made, None)
    reused, second = resumed(gw, made, first)
    assert reused and second.id != first.id


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_outlive_workers_reloads_and_edges(secure, origin, ca, version):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair]}, workers=2)
    made = context(low=version, high=version)
    reused, session = resumed(gw, made, None)
    assert not reused
    for _ in range(8):  # whichever worker it comes to
        reused, session = resumed(gw, made, session)
        assert reused
    gw.reload()
    reused, session = resumed(gw, made, session)
    assert reused
    before = gw.edge
    os.kill(before, signal.SIGKILL)
    until(lambda: gw.edges() and before not in gw.edges() and gw.is_ready(), "another edge")
    reused, session = resumed(gw, made, session)
    assert reused
    before = gw.edge
    assert gw.admin("POST", "/api/v1/upgrade").status in (200, 202)
    until(lambda: before not in gw.edges() and gw.is_ready(), "the upgrade")
    reused, session = resumed(gw, made, session)
    assert reused


def test_keys_of_tickets_turn(secure, origin, ca):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair], "ticket_rotation": "1s"})
    made = context()
    _, session = resumed(gw, made, None)

    def is_forgotten():
        return not resumed(gw, made, session)[0]

    until(is_forgotten, "a session whose key is gone", 3 + DEADLINE)


def test_tickets_may_be_off(secure, origin, ca):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair], "ticket_rotation": "off"})
    made = context()
    _, session = resumed(gw, made, None)
    assert not session or not resumed(gw, made, session)[0]


# -- files


def errors_of(gw):
    return [c["error"] for c in gw.status()["certificates"] if "error" in c]


def test_changed_files_are_read_again(secure, origin, ca):
    leaf, next_leaf = ca.leaf("a.example.com"), ca.leaf("a.example.com", "b.example.com")
    gw = secure({"certificates": [leaf.pair]})
    with Secure(gw.port, "a.example.com") as kept:
        assert kept.get("/1").status == 200
        next_leaf.write(leaf.cert, leaf.key)
        until(lambda: shown(gw) == next_leaf.serial, "the new certificate")
        assert kept.get("/2").status == 200  # nobody noticed
    assert gw.metric("sluice_certificate_expiry_timestamp_seconds", domain="b.example.com") > 0


def test_a_bad_new_pair_keeps_the_old_one(secure, origin, ca):
    leaf, other = ca.leaf("a.example.com"), ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair]})
    leaf.key.write_text(other.key_text)  # does not belong to the certificate
    until(lambda: errors_of(gw), "word of the bad pair")
    assert "does not belong to the certificate" in errors_of(gw)[0]
    until(lambda: "does not belong to the certificate; the old certificate goes on" in gw.stderr(), "the word on stderr")
    assert shown(gw) == leaf.serial
    assert "NEW FILES ARE BAD" in gw.cli("status", "sluice.yaml").out or "NEW FILES ARE BAD" in gw.cli("status").out
    other.write(leaf.cert, leaf.key)
    until(lambda: shown(gw) == other.serial, "the good pair")
    assert not errors_of(gw)
    leaf.cert.unlink()
    until(lambda: errors_of(gw), "word of the missing file")
    assert shown(gw) == other.serial
    assert gw.admin("POST", "/api/v1/reload").status == 422
    assert shown(gw) == other.serial


def test_events_tell_of_certificates(secure, ca):
    leaf = ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair]})
    with subprocess.Popen(["curl", "-sN", "--unix-socket", str(gw.state / "admin.sock"), "http://localhost/api/v1/events"],
                          stdout=subprocess.PIPE, text=True) as events:
        assert events.stdout.readline() == ": follow\n"
        leaf.cert.write_text("rubbish")
        lines = []
        while not (lines and lines[-1].startswith("data:") and "event: certificate" in lines[-2]):
            lines.append(events.stdout.readline().strip())
        assert '"result":"failure"' in lines[-1] and "no certificate in PEM" in lines[-1]
        ca.leaf("a.example.com").write(leaf.cert, leaf.key)
        while not (lines[-1].startswith("data:") and '"success"' in lines[-1]):
            lines.append(events.stdout.readline().strip())
        events.kill()


def test_a_reload_changes_what_is_spoken(secure, origin, ca):
    leaf, other = ca.leaf("a.example.com"), ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair]})
    with Secure(gw.port, "a.example.com") as kept:
        kept.get("/1")
        retls(gw, {"certificates": [other.pair]})
        gw.reload()
        assert shown(gw) == other.serial
        assert kept.get("/2").status == 200
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}"}])
        gw.reload()
        assert gw.get("/plain").status == 200
        assert kept.get("/3").status == 200
    retls(gw, {"certificates": [leaf.pair]})
    gw.reload()
    assert shown(gw) == leaf.serial


def test_check_says_what_is_wrong(gateway, origin, ca, home):
    good, other = ca.leaf("a.example.com"), ca.leaf("b.example.com")
    old = ca.leaf("a.example.com", begin_days=-9, days=-1)
    early = ca.leaf("a.example.com", begin_days=2)
    gw = gateway(origin, run=False)

    def check(pair, **tls):
        retls(gw, {"certificates": [pair], **tls})
        return gw.cli("check", "sluice.yaml")

    assert check(good.pair).code == 0
    for pair, text, key in (
        ({**good.pair, "cert": "none.pem"}, 'cannot read "none.pem": No such file or directory', "cert"),
        ({**good.pair, "key": str(other.key)}, "the key does not belong to the certificate", "key"),
        ({**good.pair, "cert": str(other.key)}, "no certificate in PEM can be read", "cert"),
        (old.pair, f"the certificate expired on {old.x509.not_valid_after:%Y-%m-%d}", "cert"),
    ):
        done = check(pair)
        assert done.code == 2, (text, done)
        assert f"error: {text}" in done.err or text in done.err, (text, done)
        line = next(n for n, l in enumerate(gw.file.read_text().split("\n"), 1) if f'"{key}"' in l)
        assert f"sluice.yaml:{line}:" in done.err
    done = check(early.pair)
    assert done.code == 0 and "warning: the certificate is not valid before" in done.err
    done = check(good.pair, client_ca=str(good.key))
    assert done.code == 2 and "no roots in PEM can be read" in done.err
    assert "PRIVATE" not in done.err


def test_a_start_with_a_bad_certificate_is_refused(gateway, origin, ca):
    gw = gateway(origin, run=False)
    retls(gw, {"certificates": [{**ca.leaf("a").pair, "cert": "none.pem"}]})
    gw.start(ready=False)
    assert gw.wait_exit() == 2
    assert 'cannot read "none.pem"' in gw.stderr()


def test_an_expired_certificate_does_not_keep_the_gateway_down(secure, origin, ca):
    leaf, old = ca.leaf("a.example.com"), ca.leaf("a.example.com", begin_days=-9, days=-1)
    gw = secure({"certificates": [leaf.pair]})
    old.write(leaf.cert, leaf.key)
    until(lambda: errors_of(gw), "word of the expired pair")
    assert shown(gw) == leaf.serial
    os.kill(gw.edge, signal.SIGKILL)

    def serves_again():
        try:
            return shown(gw) == old.serial
        except OSError:
            return False

    until(serves_again, "an edge that serves what there is", 4 * DEADLINE)
    assert gw.status()["certificates"][0]["state"] == "expired"
    assert "EXPIRED" in gw.cli("status").out
    leaf.write(leaf.cert, leaf.key)
    until(lambda: shown(gw) == leaf.serial, "the good pair")


# -- pushed certificates


def acme(*domains):
    return {"acme": {"email": "ops@example.com", "domains": list(domains), "directory": "https://127.0.0.1:1/"}}


def push(gw, name, leaf):
    return gw.admin("PUT", f"/api/v1/certificates/{name}", {"certificate": leaf.chain, "key": leaf.key_text})


def listed(gw):
    return {c["name"] or c["source"]: c for c in gw.admin("GET", "/api/v1/certificates").json()["certificates"]}


def test_a_self_signed_one_serves_until_one_is_pushed(secure, origin, ca):
    gw = secure(acme("a.example.com", "b.example.com"))
    with Secure(gw.port, "b.example.com") as client:
        assert client.common_name == "Sluice self-signed"
        names = client.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["a.example.com", "b.example.com"]
        assert client.get("/").status == 200
        first = client.serial
    gw.reload()
    assert shown(gw) == first  # made once
    assert not gw.metrics().series("sluice_certificate_expiry_timestamp_seconds")
    leaf = ca.leaf("a.example.com", "b.example.com")
    reply = push(gw, "site-1.example", leaf)
    assert reply.status == 200, reply
    assert reply.json()["listeners"] == [f"127.0.0.1:{gw.port}"]
    assert shown(gw, "a.example.com", ca=ca) == leaf.serial
    found = listed(gw)["site-1.example"]
    assert found["domains"] == ["a.example.com", "b.example.com"]
    assert found["source"] == "pushed" and found["fingerprint"] == leaf.fingerprint
    assert found["issuer"] == "CN=Test Root"
    assert found["not_after"].startswith(leaf.x509.not_valid_after.strftime("%Y-%m-%dT%H:%M:%S"))
    assert "PRIVATE" not in gw.admin("GET", "/api/v1/certificates").text
    expiry = gw.metric("sluice_certificate_expiry_timestamp_seconds", domain="a.example.com")
    assert abs(expiry - now().timestamp() - 90 * 86400) < 600
    folder = gw.state / "certificates"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(f.stat().st_mode) for f in folder.iterdir()] == [0o600]
    gw.stop()
    gw.start()
    assert shown(gw, "b.example.com", ca=ca) == leaf.serial  # kept
    assert gw.admin("DELETE", "/api/v1/certificates/site-1.example").status == 200
    with Secure(gw.port, "b.example.com") as client:
        assert client.common_name == "Sluice self-signed"
    assert not gw.metrics().series("sluice_certificate_expiry_timestamp_seconds")
    assert not list(folder.iterdir())
    assert gw.admin("DELETE", "/api/v1/certificates/site-1.example").status == 404


def test_a_pushed_one_is_replaced_under_load(secure, origin, ca):
    gw = secure(acme("a.example.com"), workers=2)
    for _ in range(5):
        leaf = ca.leaf("a.example.com")
        assert push(gw, "a", leaf).status == 200
        for _ in range(4):
            assert shown(gw, "a.example.com", ca=ca) == leaf.serial


def test_what_is_pushed_must_be_good(secure, ca):
    gw = secure(acme("a.example.com"))
    leaf, other = ca.leaf("a.example.com"), ca.leaf("a.example.com")
    for name in (".hidden", "a%2fb", "..", "a%20b", "x" * 201):
        assert push(gw, name, leaf).status in (400, 404), name
    for body, status in (
        ("{", 400),
        ({}, 422),
        ({"certificate": leaf.chain}, 422),
        ({"certificate": leaf.chain, "key": other.key_text}, 422),
        ({"certificate": "x", "key": leaf.key_text}, 422),
        ({"certificate": leaf.chain, "key": leaf.key_text, "more": 1}, 422),
    ):
        reply = gw.admin("PUT", "/api/v1/certificates/a", body)
        assert reply.status == status, (body, reply)
        assert reply.json()["reason"] == "certificate_invalid"
    assert push(gw, "a", ca.leaf("a.example.com", begin_days=-9, days=-1)).status == 422
    assert push(gw, "other", ca.leaf("other.example.com")).json()["listeners"] == []
    assert listed(gw)["other"]["listeners"] == []
    assert shown(gw, "other.example.com") == listed_serial(gw)
    for path in ("certificates/a", "challenges/a"):
        assert gw.admin("PUT", f"/api/v1/{path}", {}, over_socket=False).status == 401


def listed_serial(gw):
    with Secure(gw.port) as client:
        assert client.common_name == "Sluice self-signed"
        return client.serial


# -- challenges


def put_challenge(gw, token, kind, domain, answer):
    return gw.admin("PUT", f"/api/v1/challenges/{token}", {"type": kind, "domain": domain, "answer": answer})


def test_tls_alpn_01(secure, origin, ca):
    leaf = ca.leaf("a.example.com")
    gw = secure({"certificates": [leaf.pair], **acme("a.example.com")}, workers=2)
    with pytest.raises(ssl.SSLError):
        Secure(gw.port, "a.example.com", alpn=["acme-tls/1"])
    assert put_challenge(gw, "tok_1", "tls-alpn-01", "A.example.com", "tok_1.thumb").status == 200
    digest = Hash(hashes.SHA256())
    digest.update(b"tok_1.thumb")
    for _ in range(4):  # every worker has it
        with Secure(gw.port, "a.example.com", alpn=["acme-tls/1"]) as client:
            assert client.alpn == "acme-tls/1"
            names = client.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            assert list(names) == [x509.DNSName("a.example.com")]
            identifier = client.certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
            assert identifier.critical
            assert identifier.value.value == b"\x04\x20" + digest.copy().finalize()
    assert shown(gw, "a.example.com", alpn=["http/1.1"]) == leaf.serial
    assert gw.admin("DELETE", "/api/v1/challenges/tok_1").status == 200
    with pytest.raises(ssl.SSLError):
        Secure(gw.port, "a.example.com", alpn=["acme-tls/1"])
    assert gw.admin("DELETE", "/api/v1/challenges/tok_1").status == 404


def test_http_01(gateway, origin):
    gw = gateway(origin, run=False, workers=2)
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "redirect_https": True}])
    gw.start()
    assert put_challenge(gw, "tok-2", "http-01", "a.example.com", "tok-2.thumb").status == 200
    for _ in range(4):
        reply = gw.get("/.well-known/acme-challenge/tok-2", host="a.example.com")
        assert reply.status == 200 and reply.text == "tok-2.thumb"
    assert gw.get("/.well-known/acme-challenge/tok-3", host="a.example.com").text != "tok-2.thumb"
    assert not origin.requests
    assert gw.admin("DELETE", "/api/v1/challenges/tok-2").status == 200
    assert gw.get("/.well-known/acme-challenge/tok-2", host="a.example.com").text != "tok-2.thumb"


def test_bad_challenges_are_refused(gateway, origin):
    gw = gateway(origin)
    assert put_challenge(gw, "a.b", "http-01", "a.example.com", "x").status == 400
    assert put_challenge(gw, "a" * 257, "http-01", "a.example.com", "x").status == 400
    for kind, domain, answer in (
        ("dns-01", "a.example.com", "x"),
        ("http-01", "", "x"),
        ("http-01", "*.example.com", "x"),
        ("http-01", "a.example.com", ""),
        ("http-01", "a.example.com", "x y"),
        ("http-01", "a.example.com", "x" * 513),
        ("http-01", 7, "x"),
    ):
        reply = put_challenge(gw, "a", kind, domain, answer)
        assert reply.status == 422, (kind, domain, answer)
        assert reply.json()["reason"] == "challenge_invalid"


# -- sight


def test_what_expires_stands_out(secure, ca):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair, ca.leaf("b.example.com", days=3).pair,
                                  ca.leaf("b.example.com", kind="rsa", days=2).pair]})
    found = {c["domains"][0] + " " + c["key_type"]: c for c in gw.status()["certificates"]}
    assert found["a.example.com ecdsa"]["state"] == "valid"
    assert found["b.example.com ecdsa"]["state"] == "expires_soon"
    assert found["a.example.com ecdsa"]["listeners"] == [f"127.0.0.1:{gw.port}"]
    text = gw.cli("status").out
    assert "a.example.com (file, ecdsa), until" in text
    assert text.count("EXPIRES SOON") == 2
    # Of two for one name that which ends first.
    expiry = gw.metric("sluice_certificate_expiry_timestamp_seconds", domain="b.example.com")
    assert abs(expiry - time.time() - 2 * 86400) < 600
