# SPDX-License-Identifier: Apache-2.0
"""Who the client is: whose word is taken, by platform, by trusted proxies, by the PROXY protocol; and what is spoofed."""

import re
import socket
import ssl
import struct

import pytest

from lib.client import Client
from lib.h2frames import RawClient
from lib.pki import Authority
from lib.stream import Ended
from lib.tls import context
from lib.wait import until

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
CLOUD = "173.245.48.7"  # one of Cloudflare's
FAKE = "6.6.6.6"


def v2(source, destination="192.0.2.1", command=0x21, tail=b""):
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    to = "2001:db8::1" if ":" in source else destination
    body = socket.inet_pton(family, source) + socket.inet_pton(family, to) + struct.pack(">HH", 4711, 80) + tail
    return SIGNATURE + struct.pack(">BBH", command, 0x21 if ":" in source else 0x11, len(body)) + body


def told(origin, gw, headers=(), **options):
    """What the target is told of a request with these headers."""
    with Client(("127.0.0.1", gw.port), **options) as client:
        assert client.get("/", headers).status == 200
    return origin.requests[-1]


def client_of(origin, gw, headers=(), **options):
    request = told(origin, gw, headers, **options)
    return request.header("X-Forwarded-For")


# -- platforms

SPOOFS = [("X-Forwarded-For", FAKE), ("X-Real-IP", FAKE), ("Fly-Client-IP", FAKE), ("CF-Connecting-IP", FAKE),
          ("True-Client-IP", FAKE), ("X-Client-IP", FAKE), ("X-Cluster-Client-IP", FAKE), ("Forwarded", f"for={FAKE}"),
          ("X-Forwarded-Proto", "https"), ("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Port", "1"),
          ("X-Forwarded-Ssl", "on"), ("X-Forwarded-Scheme", "https"), ("X-Forwarded-Prefix", "/evil"),
          ("X-Forwarded-Server", "evil")]


def test_nobody_is_believed_by_default(origin, gateway):
    gw = gateway(origin)
    request = told(origin, gw, [*SPOOFS, ("X-Request-Id", "spoofed")])
    assert request.all("X-Forwarded-For") == ["127.0.0.1"]
    assert request.all("X-Forwarded-Proto") == ["http"] and request.all("X-Forwarded-Host") == ["example.com"]
    assert request.header("X-Request-Id") != "spoofed"
    for name, _ in SPOOFS:
        assert name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host") or not request.all(name), name


PRESETS = {
    "fly": ("fly", {"Fly-Client-IP"}),
    "railway": ("railway", {"X-Real-IP"}),
    "cloudflare behind fly": (["cloudflare", "fly"], {"Fly-Client-IP", "CF-Connecting-IP"}),
}


@pytest.mark.parametrize("preset", PRESETS)
def test_a_platform_says_who_the_client_is(origin, gateway, preset):
    platform, names = PRESETS[preset]
    gw = gateway(origin, platform=platform)
    good = [(n, "192.0.2.9" if n != "Fly-Client-IP" or len(names) == 1 else CLOUD) for n in names]
    spoofs = [s for s in SPOOFS if s[0] not in names and not s[0].startswith("X-Forwarded-")]
    request = told(origin, gw, [*good, *spoofs, ("X-Forwarded-For", FAKE), ("X-Forwarded-Proto", "https")])
    assert request.all("X-Forwarded-For") == ["192.0.2.9"]
    assert request.all("X-Forwarded-Proto") == ["https"]
    for name, _ in spoofs:
        assert not request.all(name), name
    assert all(request.header(n) for n in names)
    assert gw.logs(1)[0]["client"] == "192.0.2.9"


@pytest.mark.parametrize("preset", PRESETS)
def test_others_headers_mean_nothing(origin, gateway, preset):
    platform, names = PRESETS[preset]
    gw = gateway(origin, platform=platform)
    assert client_of(origin, gw, [s for s in SPOOFS if s[0] not in names]) == "127.0.0.1"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_header_twice_is_nobodys_word(origin, gateway, preset):
    platform, names = PRESETS[preset]
    gw = gateway(origin, platform=platform)
    assert client_of(origin, gw, [(n, FAKE) for n in names] * 2) == "127.0.0.1"


def test_cloudflare_is_believed_by_its_addresses_alone(origin, gateway):
    gw = gateway(origin, platform="cloudflare")
    assert client_of(origin, gw, [("CF-Connecting-IP", FAKE)]) == "127.0.0.1"
    gw.change(trusted_proxies=["127.0.0.1"])
    gw.reload()
    told_by = [("X-Forwarded-For", CLOUD), ("CF-Connecting-IP", "192.0.2.9")]
    assert client_of(origin, gw, told_by) == "192.0.2.9"
    assert client_of(origin, gw, [("X-Forwarded-For", "192.0.2.1"), ("CF-Connecting-IP", FAKE)]) == "192.0.2.1"


@pytest.mark.parametrize("env, header", [({"FLY_APP_NAME": "shop"}, "Fly-Client-IP"),
                                         ({"RAILWAY_ENVIRONMENT_ID": "x"}, "X-Real-IP")], ids=["fly", "railway"])
def test_auto_finds_the_platform(origin, gateway, env, header):
    gw = gateway(origin, env=env)
    assert client_of(origin, gw, [(header, "192.0.2.9")]) == "192.0.2.9"
    listening = next(a for a in gw.status()["listeners"] if a["kind"] == "public")["client_address"]
    assert header in listening


def test_a_listener_of_its_own_tls_believes_no_platform(origin, gateway, home):
    leaf = Authority(home).leaf("a.example.com")
    gw = gateway(origin, run=False, platform="fly")
    bind = {"bind": f"127.0.0.1:{gw.port}", "tls": {"certificates": [leaf.pair]}}
    gw.change(listeners=[bind])
    gw.start()

    def ask():
        with socket.create_connection(("127.0.0.1", gw.port)) as plain:
            with context().wrap_socket(plain, server_hostname="a.example.com") as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nFly-Client-IP: 192.0.2.9\r\n\r\n")
                assert sock.recv(99).startswith(b"HTTP/1.1 200")
        return origin.requests[-1].header("X-Forwarded-For")

    assert ask() == "127.0.0.1"
    gw.change(listeners=[{**bind, "platform": "fly"}])
    gw.reload()
    assert ask() == "192.0.2.9"


# -- proxies of one's own


def test_forwarded_for_is_read_from_the_right(origin, gateway):
    gw = gateway(origin, trusted_proxies=["127.0.0.0/8", "10.0.0.0/8", "2001:db8:1::/48"])
    for header, client in [(f"{FAKE}, 192.0.2.9", "192.0.2.9"), (f"{FAKE}, 192.0.2.9, 10.1.2.3", "192.0.2.9"),
                           (f"{FAKE}, 2001:db8:2::9, 2001:db8:1::5", "2001:db8:2::9"), ("10.0.0.1", "10.0.0.1"),
                           (f"{FAKE}, unknown", "127.0.0.1"), (f"{FAKE}, 192.0.2.9:1234", "192.0.2.9"),
                           (f"{FAKE},", "127.0.0.1"), ("," * 3000, "127.0.0.1"), ("10.0.0.1," * 900 + "10.0.0.2", "10.0.0.1")]:
        assert client_of(origin, gw, [("X-Forwarded-For", header)]) == client, header


def test_what_a_trusted_proxy_says_is_kept(origin, gateway):
    gw = gateway(origin, trusted_proxies=["127.0.0.1"])
    with gw.connect() as client:
        reply = client.get("/x", [("X-Request-Id", "abc-1"), ("X-Forwarded-Proto", "https"),
                                  ("X-Forwarded-Host", "shop.example"), ("X-Forwarded-Port", "443"),
                                  ("X-Forwarded-For", "192.0.2.9")])
    assert reply.header("X-Request-Id") == "abc-1"
    request = origin.requests[-1]
    assert request.all("X-Request-Id") == ["abc-1"] and request.all("X-Forwarded-Host") == ["shop.example"]
    assert request.all("X-Forwarded-Proto") == ["https"] and request.header("X-Forwarded-Port") == "443"
    assert gw.log("/x")["id"] == "abc-1"


def test_connection_cannot_strip_what_is_said(origin, gateway):
    gw = gateway(origin, platform="fly")
    request = told(origin, gw, [("Fly-Client-IP", "192.0.2.9"), ("Connection", "Fly-Client-IP, X-Forwarded-For")])
    assert request.header("X-Forwarded-For") == "192.0.2.9" and request.header("Fly-Client-IP") == "192.0.2.9"


def test_an_https_redirect_behind_a_platforms_tls_does_not_loop(origin, gateway):
    gw = gateway(origin, run=False, platform="fly")
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "redirect_https": True}])
    gw.start()
    said = [("Fly-Client-IP", "192.0.2.9"), ("X-Forwarded-Proto", "http")]
    reply = gw.get("/a?b", said, host="shop.example")
    assert (reply.status, reply.header("Location")) == (308, "https://shop.example/a?b")
    assert gw.get("/a?b", [said[0], ("X-Forwarded-Proto", "https")]).status == 200
    assert gw.get("/a?b", [("X-Forwarded-Proto", "https")]).status == 308  # no word without an address


def test_all_see_the_same_client_over_http2(origin, gateway):
    gw = gateway(origin, platform="fly")
    client = RawClient(("127.0.0.1", gw.port))
    answer = client.get("/", more=[("fly-client-ip", "192.0.2.9"), ("x-forwarded-for", FAKE)])
    assert answer.status == 200
    client.close()
    assert origin.requests[-1].all("X-Forwarded-For") == ["192.0.2.9"]


# -- the PROXY protocol


@pytest.fixture
def proxied(origin, gateway):
    def start(version="any", listener=None, **options):
        gw = gateway(origin, run=False, **options)
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "proxy_protocol": version, **(listener or {})}])
        return gw.start(ready=True)

    return start


HEADERS = {
    "v1": (b"PROXY TCP4 192.0.2.9 192.0.2.1 4711 80\r\n", "192.0.2.9"),
    "v1 of version 6": (b"PROXY TCP6 2001:db8::9 2001:db8::1 4711 80\r\n", "2001:db8::9"),
    "v1 unknown": (b"PROXY UNKNOWN\r\n", "127.0.0.1"),
    "v2": (v2("192.0.2.9"), "192.0.2.9"),
    "v2 of version 6": (v2("2001:db8::9"), "2001:db8::9"),
    "v2 with more": (v2("192.0.2.9", tail=b"\x04\0\x80" + bytes(128)), "192.0.2.9"),
    "v2 local": (v2("192.0.2.9", command=0x20), "127.0.0.1"),
}


@pytest.mark.parametrize("name", HEADERS)
def test_proxy_header(origin, proxied, name):
    header, expected = HEADERS[name]
    gw = proxied()
    for pieces in ([header + b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"], [header, b"GET /1 HTTP/1.1\r\nHost: a\r\n\r\n"],
                   [header[:3], header[3:13], header[13:] + b"GET /1 HT", b"TP/1.1\r\nHost: a\r\n\r\n"]):
        with gw.connect() as client:
            for piece in pieces:
                client.send(piece)
            assert client.reply().status == 200
            assert client.get("/2").status == 200  # the connection goes on like any other
        assert [r.header("X-Forwarded-For") for r in origin.requests[-2:]] == [expected] * 2
    record = gw.logs(1)[0]
    assert record["client"] == expected


def refused(gw, sent):
    with gw.connect() as client:
        client.send(sent)
        with pytest.raises(Ended) as ended:
            client.reply()
        assert not ended.value.got


REFUSED = {
    "none": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "bad address": b"PROXY TCP4 192.0.2.900 192.0.2.1 4711 80\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "too long": b"PROXY UNKNOWN " + b"x" * 200,
    "a later version": SIGNATURE + b"\x31\x11\0\x0c" + bytes(12),
    "short addresses": SIGNATURE + b"\x21\x21\0\x0c" + bytes(12),
    "too much": SIGNATURE + b"\x21\x11\xff\xff" + bytes(5000),
    "tls": b"\x16\x03\x01\0\x05\x01\0\0\x01\0",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_proxy_header_ends_the_connection(origin, proxied, name):
    gw = proxied()
    refused(gw, REFUSED[name])
    assert not origin.requests
    gw.wait_metric("sluice_connections_aborted_total", 1, reason="proxy_header_invalid")
    with gw.connect() as client:
        client.send(HEADERS["v2"][0])
        assert client.get().status == 200


def test_a_proxy_header_vouches_for_no_field(origin, proxied):
    gw = proxied()
    with gw.connect() as client:
        client.send(HEADERS["v2"][0])
        assert client.get("/", SPOOFS).status == 200
    request = origin.requests[-1]
    assert request.all("X-Forwarded-For") == ["192.0.2.9"] and request.all("X-Forwarded-Proto") == ["http"]
    for name, _ in SPOOFS:
        assert name in ("X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host") or not request.all(name), name


def test_only_the_version_that_is_asked_for(proxied):
    gw = proxied("v1")
    refused(gw, HEADERS["v2"][0] + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "proxy_protocol": "v2"}])
    gw.reload()
    refused(gw, HEADERS["v1"][0] + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")


def test_a_proxy_header_of_an_untrusted_peer_is_refused(origin, proxied):
    gw = proxied("any", {"trusted_proxies": ["127.0.0.2", "10.0.0.0/8"]})
    refused(gw, HEADERS["v2"][0] + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    gw.wait_metric("sluice_connections_aborted_total", 1, reason="proxy_header_denied")
    assert not origin.requests
    with gw.connect(source="127.0.0.2") as client:
        client.send(HEADERS["v2"][0])
        assert client.get().status == 200
    assert origin.requests[-1].header("X-Forwarded-For") == "192.0.2.9"


def test_a_proxy_header_where_none_is_asked_for(origin, gateway):
    gw = gateway(origin)
    for header in ("v1", "v2"):
        with gw.connect() as client:
            client.send(HEADERS[header][0] + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            assert client.reply().status == 400
    assert not origin.requests


def test_a_proxy_header_before_tls(origin, gateway, home):
    leaf = Authority(home).leaf("a.example.com")
    gw = gateway(origin, run=False)
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "proxy_protocol": "v2", "tls": {"certificates": [leaf.pair]}}])
    gw.start()
    with socket.create_connection(("127.0.0.1", gw.port)) as plain:
        plain.sendall(v2("2001:db8::9"))
        with context().wrap_socket(plain, server_hostname="a.example.com") as sock:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: a.example.com\r\nX-Forwarded-For: 6.6.6.6\r\n\r\n")
            assert sock.recv(99).startswith(b"HTTP/1.1 200")
    request = origin.requests[-1]
    assert (request.header("X-Forwarded-For"), request.header("X-Forwarded-Proto")) == ("2001:db8::9", "https")


def test_a_proxy_header_that_never_ends_is_not_waited_for(proxied):
    gw = proxied(timeouts={"header": "300ms"})
    for start in (b"", b"PROXY TCP4 192", SIGNATURE):
        with gw.connect() as client:
            client.send(start)
            with pytest.raises(Ended):
                client.reply()


def test_a_proxy_header_and_then_proxies(origin, proxied):
    """A load balancer of bytes in front of one of HTTP."""
    gw = proxied("v2", trusted_proxies=["127.0.0.0/8", "10.0.0.0/8"])
    with gw.connect() as client:
        client.send(v2("10.0.0.7"))
        assert client.get("/", [("X-Forwarded-For", f"{FAKE}, 192.0.2.9")]).status == 200
    assert origin.requests[-1].header("X-Forwarded-For") == "192.0.2.9"


# -- what is said of it


def test_check_says_whose_word_is_believed(gateway, origin):
    gw = gateway(origin, run=False, platform=["cloudflare", "fly"], trusted_proxies=["10.0.0.0/8"])
    done = gw.cli("check", gw.file)
    assert done.code == 0
    assert re.search(r"client's address is X-Forwarded-For of 1 trusted network, .*CF-Connecting-IP .*Fly-Client-IP", done.out)
    assert "Fly-Client-IP" in gw.cli("check", gw.file, "--json").json()[0]["listeners"][0]["client_address"]


def test_traffic_that_shows_a_forgotten_proxy_is_told_of(origin, gateway):
    gw = gateway(origin)
    assert gw.status()["warnings"] == []
    with gw.connect() as client:
        for _ in range(205):
            assert client.get("/", [("X-Forwarded-For", "192.0.2.9")]).status == 200
    until(lambda: gw.status()["warnings"], "a warning")
    assert "trusted_proxies" in gw.status()["warnings"][0]
    assert "WARNING: all requests count as one client" in gw.cli("status").out
    gw.change(trusted_proxies=["127.0.0.1"])
    gw.reload()
    assert gw.get("/", [("X-Forwarded-For", "192.0.2.9")]).status == 200
    until(lambda: not gw.status()["warnings"], "no warning")


def test_trust_changes_with_a_reload_on_connections_that_stay(origin, gateway):
    gw = gateway(origin)
    with gw.connect() as client:
        assert client.get("/", [("X-Forwarded-For", "192.0.2.9")]).status == 200
        gw.change(trusted_proxies=["127.0.0.1"])
        gw.reload()
        assert client.get("/", [("X-Forwarded-For", "192.0.2.9")]).status == 200
    assert [r.header("X-Forwarded-For") for r in origin.requests] == ["127.0.0.1", "192.0.2.9"]
