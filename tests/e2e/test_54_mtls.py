# SPDX-License-Identifier: Apache-2.0
"""Certificates of clients as their identity: made by openssl, shown over HTTP/1.1 and HTTP/2, and never believed from
anywhere but the connection itself."""

import datetime
import socket
import ssl
import subprocess
from types import SimpleNamespace

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from lib.client import Client
from lib.gateway import run
from lib.h2peer import H2Client
from lib.pki import Authority, Leaf, new_key
from lib.tls import Secure, context
from lib.wait import until


def openssl(*words, stdin=""):
    return subprocess.run(["openssl", *map(str, words)], input=stdin, capture_output=True, text=True, check=True).stdout


class People:
    """A root of openssl's making, whose leaves are for clients."""

    def __init__(self, home, name="People"):
        self.home, self.count, self.name = home, 0, name
        self.file, self.key = f"{home}/{name}.pem", f"{home}/{name}.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 9, "-subj",
                f"/CN={name}", "-keyout", self.key, "-out", self.file)

    def leaf(self, subject="/CN=ann", san=None, days=9, multi=False):
        self.count += 1
        stem = f"{self.home}/{self.name}-{self.count}"
        more = ["-multivalue-rdn"] if multi else []
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-utf8", *more, "-subj",
                subject, "-keyout", stem + ".key", "-out", stem + ".csr")
        with open(stem + ".ext", "w", encoding="utf-8") as file:
            file.write("extendedKeyUsage=clientAuth\n" + (f"subjectAltName={san}\n" if san else ""))
        openssl("x509", "-req", "-in", stem + ".csr", "-CA", self.file, "-CAkey", self.key, "-days", days, "-extfile",
                stem + ".ext", "-CAcreateserial", "-out", stem + ".pem")
        print_of = openssl("x509", "-noout", "-fingerprint", "-sha256", "-in", stem + ".pem").strip().partition("=")[2]
        return SimpleNamespace(cert=stem + ".pem", key=stem + ".key", print=print_of)


@pytest.fixture
def people(home):
    return People(home)


@pytest.fixture
def ca(home):
    return Authority(home)


@pytest.fixture
def guarded(gateway, origin, ca, people):
    """guarded(**mtls): a gateway whose listener asks for certificates, and whose target is told whose they are."""
    def start(listener=None, tls=None, config=None, **options):
        gw = gateway(origin, run=False, log={"why": "100%"}, **(config or {}), filters=[
            {"mtls": options}, {"headers": {"request": {"set": {"x-who": "${consumer}", "x-tier": "${tier}"}}}},
            {"rate_limit": "off"}])
        tls = {"certificates": [ca.leaf("a.example.com").pair], "client_ca": people.file, "client_auth": "optional",
               **(tls or {})}
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": tls, **(listener or {})}])
        return gw.start()
    return start


def ask(gw, pair, headers=None, **options):
    with Secure(gw.port, "a.example.com", pair=pair, **options) as client:
        return client.get("/", headers=headers)


def refused(answer, status, reason):
    assert (answer.status, answer.headers["X-Sluice-Reason"]) == (status, reason), answer.body
    assert answer.headers["WWW-Authenticate"] == ('ClientCertificate realm="sluice"' if status == 401 else None)
    assert answer.headers["Content-Type"] == "application/problem+json"


def said(gw, answer):
    def told():
        found = gw.admin("GET", f"/api/v1/requests/{answer.headers['X-Request-Id']}")
        return found.status == 200 and found
    until(told, "the request is remembered")
    [mine] = [f for f in told().json()["filters"] if f["name"] == "mtls"]
    return mine


SAN = "DNS:One.example.com,DNS:two.example.com,URI:spiffe://example.com/ann,email:ann@example.com,IP:127.0.0.1"


def test_each_kind_of_name(guarded, origin, people):
    leaf = people.leaf("/O=Example/CN=Ann Ö", SAN)
    gw = guarded(tier="gold")
    for kind, name in [("cn", "Ann Ö"), ("dns", "one.example.com"), ("uri", "spiffe://example.com/ann"),
                       ("email", "ann@example.com"), ("fingerprint", leaf.print.replace(":", "").lower())]:
        gw.change(filters=[{"mtls": {"consumer": kind, "tier": "gold"}}, gw.config["filters"][1], {"rate_limit": "off"}])
        gw.reload()
        answer = ask(gw, leaf)
        assert answer.status == 200
        request = origin.requests[-1]
        assert (request.header("x-who"), request.header("x-tier")) == (name.encode().decode("latin-1"), "gold")
        assert said(gw, answer) == {"name": "mtls", "verdict": "pass", "certificate": "good", "consumer": name}


def test_without_a_certificate(guarded, origin):
    gw = guarded()
    answer = ask(gw, None)
    refused(answer, 401, "credentials_missing")
    assert said(gw, answer)["certificate"] == "no_certificate"
    assert not origin.requests


def test_fields_are_no_certificates(guarded, origin, people):
    gw = guarded(tls={"client_header": "X-Client-Subject"}, config={"trusted_proxies": ["127.0.0.0/8"]})
    for name in ("X-Client-Subject", "X-Client-Cert", "X-SSL-Client-S-DN", "Client-Cert", "X-Forwarded-Client-Cert"):
        refused(ask(gw, None, {name: "CN=ann", "X-Forwarded-For": "192.0.2.1"}), 401, "credentials_missing")
    assert not origin.requests
    assert ask(gw, people.leaf(), {"X-Forwarded-For": "192.0.2.1", "X-Client-Subject": "CN=eve"}).status == 200
    assert origin.requests[-1].header("X-Client-Subject") == "CN=ann" and origin.requests[-1].header("x-who") == "ann"


def test_a_proxy_header_is_no_certificate(guarded, origin, people):
    gw = guarded(listener={"proxy_protocol": "v1"})
    for pair, status in ((None, 401), (people.leaf(), 200)):
        plain = socket.create_connection(("127.0.0.1", gw.port))
        plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.8 1000 443\r\n")
        with context(pair=pair).wrap_socket(plain, server_hostname="a.example.com") as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nConnection: close\r\n\r\n")
            assert sock.recv(12) == b"HTTP/1.1 %d" % status
    assert origin.requests[-1].header("X-Forwarded-For") == "192.0.2.7"


def test_plain_connections_have_none(gateway, origin, guarded, people):
    gw = guarded()
    port = gw.ports.take()
    gw.change(listeners=[*gw.config["listeners"], {"bind": f"127.0.0.1:{port}"}])
    gw.reload()
    with Client(("127.0.0.1", port)) as client:
        reply = client.request("GET", "/").reply()
        assert (reply.status, reply.reason) == (401, "credentials_missing")


def test_allowed_names(guarded, people):
    gw = guarded(allow=["ann", "bob"])
    assert ask(gw, people.leaf("/CN=bob")).status == 200
    for subject in ("/CN=eve", "/CN=Ann", "/CN=ann ", "/CN=ann.example.com", "/O=ann/CN=eve"):
        answer = ask(gw, people.leaf(subject))
        refused(answer, 403, "certificate_denied")
        assert said(gw, answer)["certificate"] == "not_allowed"


def test_several_names_of_which_one_is_allowed(guarded, origin, people):
    gw = guarded(consumer="dns", allow=["TWO.example.com"])
    assert ask(gw, people.leaf("/CN=x", SAN)).status == 200
    assert origin.requests[-1].header("x-who") == "two.example.com"
    refused(ask(gw, people.leaf("/CN=two.example.com", "DNS:three.example.com")), 403, "certificate_denied")


def test_fingerprints(guarded, people):
    ann, bob, eve = people.leaf(), people.leaf("/CN=bob"), people.leaf()
    gw = guarded(fingerprints=[ann.print, bob.print.replace(":", "").lower()])
    assert [ask(gw, who).status for who in (ann, bob, eve)] == [200, 200, 403]
    gw.change(filters=[{"mtls": {"fingerprints": [ann.print], "allow": ["bob"]}}, {"rate_limit": "off"}])
    gw.reload()
    assert [ask(gw, who).status for who in (ann, bob, eve)] == [200, 200, 403]


@pytest.mark.parametrize("subject, san, consumer", [
    ("/O=Example", None, "cn"),
    ("/CN=ann/CN=eve", None, "cn"),
    ("/CN=ann", None, "dns"),
    ("/CN=ann", "DNS:a.example.com", "uri"),
    ("/CN=ann", "DNS:a.example.com", "email"),
    ("/CN=ann", "IP:127.0.0.1", "dns"),
])
def test_certificates_without_the_name(guarded, people, subject, san, consumer):
    gw = guarded(consumer=consumer)
    answer = ask(gw, people.leaf(subject, san))
    refused(answer, 403, "certificate_denied")
    assert said(gw, answer)["certificate"] == "no_name"


def test_certificates_of_others(guarded, origin, home):
    gw = guarded()
    strangers = People(home, "Strangers")
    with pytest.raises((ssl.SSLError, ConnectionError)):
        ask(gw, strangers.leaf())
    assert not origin.requests


def test_over_http2(guarded, origin, people):
    gw = guarded(allow=["ann"])
    for leaf, status in ((people.leaf(), 200), (people.leaf("/CN=eve"), 403), (None, 401)):
        options = {"context": context(pair=leaf, alpn=["h2"]), "name": "a.example.com"}
        with H2Client(("127.0.0.1", gw.port), **options) as client:
            asked = [client.request("GET", f"/{n}", authority="a.example.com", scheme="https") for n in range(3)]
            assert [stream.reply().status for stream in asked] == [status] * 3
    assert len(origin.requests) == 3


def test_resumed_sessions(guarded, people):
    gw = guarded()
    leaf = people.leaf()
    made = context(pair=leaf)
    with Secure(gw.port, "a.example.com", made=made) as client:
        assert client.get("/").status == 200
        session = client.session
    with Secure(gw.port, "a.example.com", made=made, session=session) as client:
        assert client.reused and client.get("/").status == 200


def test_one_connection_many_requests(guarded, origin, people):
    gw = guarded()
    with Secure(gw.port, "a.example.com", pair=people.leaf()) as client:
        for _ in range(20):
            assert client.get("/").status == 200
        gw.change(filters=[{"mtls": {"allow": ["bob"]}}, {"rate_limit": "off"}])
        gw.reload()
        until(lambda: client.get("/").status == 403, "the same connection under the new configuration")


def test_routes_of_their_own(guarded, origin, people):
    gw = guarded(optional=True)
    gw.change(routes=[{"name": "in", "paths": ["/in"], "service": "app", "filters": [{"mtls": {}}]},
                      {"name": "all", "paths": ["/*"], "service": "app", "filters": [{"mtls": "off"}]}])
    gw.reload()
    with Secure(gw.port, "a.example.com") as client:
        assert [client.get(path).status for path in ("/in", "/out")] == [401, 200]


def test_it_may_be_optional(guarded, people):
    gw = guarded(optional=True, allow=["ann"])
    assert [ask(gw, pair).status for pair in (None, people.leaf(), people.leaf("/CN=eve"))] == [200, 200, 403]


def test_a_certificate_that_ends_while_its_connection_lives(guarded, home, people):
    gw = guarded()
    with open(people.file, "rb") as file:
        root = x509.load_pem_x509_certificate(file.read())
    with open(people.key, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    own = new_key()
    now = datetime.datetime.now(datetime.timezone.utc).replace(tzinfo=None)
    made = (x509.CertificateBuilder().subject_name(x509.Name.from_rfc4514_string("CN=ann")).issuer_name(root.subject)
            .public_key(own.public_key()).serial_number(5).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(seconds=6)).sign(key, hashes.SHA256()))
    with Secure(gw.port, "a.example.com", pair=Leaf(made, own, [], home, "short")) as client:
        assert client.get("/").status == 200
        until(lambda: client.get("/").status == 401, "the certificate has ended")


def test_authorities_that_change_while_a_connection_lives(guarded, home, people):
    gw = guarded()
    others = People(home, "Others")
    both = f"{home}/both.pem"
    with open(both, "w", encoding="utf-8") as file:
        for one in (others, people):
            with open(one.file, encoding="utf-8") as part:
                file.write(part.read())

    def trust(file):
        [listener] = gw.config["listeners"]
        gw.change(listeners=[{**listener, "tls": {**listener["tls"], **file}}])
        gw.reload()

    def status():
        return client.get("/").status

    with Secure(gw.port, "a.example.com", pair=people.leaf()) as client:
        assert status() == 200
        trust({"client_ca": both})  # one more
        assert status() == 200
        trust({"client_ca": others.file})
        until(lambda: status() == 401, "the connection's certificate is nobody's")
        trust({"client_ca": both})
        until(lambda: status() == 200, "and somebody's again")


@pytest.mark.parametrize(
    "options, says",
    [
        ({"consumer": "ip"}, "consumer"),
        ({"allow": []}, "empty"),
        ({"fingerprints": ["ab:cd"]}, "fingerprint"),
        ({"fingerprints": ["g" * 64]}, "fingerprint"),
        ({"consumer": "fingerprint", "allow": ["ann"]}, "`fingerprints`"),
        ({"realm": 'a"b'}, "realm"),
    ],
)
def test_wrong_configurations(gateway, origin, ca, people, options, says):
    made = gateway(origin, filters=[{"mtls": options}], run=False)
    tls = {"certificates": [ca.leaf("a").pair], "client_ca": people.file}
    made.change(listeners=[{"bind": f"127.0.0.1:{made.port}", "tls": tls}])
    done = run("check", str(made.file))
    assert done.code == 2 and says in done.err, done


def test_a_configuration_in_which_nobody_passes(gateway, origin):
    made = gateway(origin, filters=[{"mtls": {}}], run=False)
    done = run("check", str(made.file))
    assert done.code == 0 and "warning: no listener asks clients for a certificate" in done.err, done
