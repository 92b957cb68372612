# SPDX-License-Identifier: Apache-2.0
"""Which fields pass, which end here, and which the gateway writes (RFC 9110 section 7.6, INTERFACE "Headers")."""

import re

import pytest


def seen(origin, gateway, *headers, **options):
    """What the target saw of one request with these fields."""
    gateway(origin).get(headers=list(headers), **options)
    return origin.request


# -- hop by hop


@pytest.mark.parametrize(
    "name, value",
    [
        ("Keep-Alive", "timeout=5"),
        ("Proxy-Connection", "keep-alive"),
        ("TE", "trailers"),
        ("Upgrade", "h2c"),
    ],
)
def test_hop_by_hop_fields_of_a_request_end_here(origin, gateway, name, value):
    request = seen(origin, gateway, (name, value), ("X-Stays", "1"))
    assert not request.has(name)
    assert request.has("X-Stays")


def test_what_connection_lists_ends_here(origin, gateway):
    request = seen(origin, gateway, ("Connection", "X-One, keep-alive"), ("connection", "x-TWO"), ("x-one", "1"), ("X-Two", "2"), ("X-Three", "3"))
    assert not request.has("X-One") and not request.has("X-Two")
    assert request.header("X-Three") == "3"
    assert not set(request.tokens("Connection")) & {"x-one", "x-two"}


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Request-Id", "Via", "Host", "Content-Length"])
def test_connection_cannot_remove_what_the_gateway_says(origin, gateway, name):
    client = gateway(origin).connect()
    client.request("POST", "/", [("Connection", f"close, {name}")], body=b"abc")
    assert client.reply("POST").text == "ok"
    assert origin.request.header(name)
    assert origin.request.body == b"abc"


def test_hop_by_hop_fields_of_an_answer_end_here(origin, gateway):
    origin.answers(
        "HTTP/1.1 200 OK\r\nConnection: X-Hop, keep-alive\r\nX-Hop: 1\r\nKeep-Alive: timeout=5\r\n"
        "Proxy-Connection: keep-alive\r\nX-Stays: 1\r\nUpgrade: h2c\r\nContent-Length: 0\r\n\r\n"
    )
    reply = gateway(origin).get()
    for name in ("X-Hop", "Keep-Alive", "Proxy-Connection", "Upgrade"):
        assert not reply.has(name), name
    assert reply.header("X-Stays") == "1"


# -- what the gateway says to the target


def test_the_chain_of_proxies(origin, gateway):
    assert re.fullmatch(r"1\.1 \S+", seen(origin, gateway).header("Via"))


def test_via_is_appended_to(origin, gateway):
    via = ", ".join(seen(origin, gateway, ("Via", "1.0 fred, 1.1 p.example.net")).all("Via"))
    assert re.fullmatch(r"1\.0 fred, 1\.1 p\.example\.net, 1\.1 \S+", via)


def test_via_names_the_version_that_came(origin, gateway):
    gateway(origin).connect().request(version="1.0").reply()
    assert origin.request.header("Via").startswith("1.0 ")


def test_the_client_is_named(origin, gateway):
    request = seen(origin, gateway, host="shop.example.com:8443")
    assert request.header("X-Forwarded-For") == "127.0.0.1"
    assert request.header("X-Forwarded-Proto") == "http"
    assert request.header("X-Forwarded-Host") == "shop.example.com:8443"


def test_ipv6_clients_are_named(origin, gateway, ports):
    from lib.client import Client

    port = ports.take()
    gateway(origin, listeners=[{"bind": f":{port}"}])
    for address, name in ((("::1", port), "::1"), (("127.0.0.1", port), "127.0.0.1")):
        with Client(address) as client:
            client.get()
        assert origin.requests[-1].header("X-Forwarded-For") == name


def test_claims_of_untrusted_clients_are_replaced(origin, gateway):
    request = seen(
        origin,
        gateway,
        ("X-Forwarded-For", "1.2.3.4"),
        ("x-forwarded-for", "5.6.7.8"),
        ("X-Forwarded-Proto", "https"),
        ("X-FORWARDED-HOST", "evil.example"),
        ("X-Request-Id", "mine"),
    )
    assert request.all("X-Forwarded-For") == ["127.0.0.1"]
    assert request.all("X-Forwarded-Proto") == ["http"]
    assert request.all("X-Forwarded-Host") == ["example.com"]
    assert request.header("X-Request-Id") != "mine"


def test_every_request_has_an_id(origin, gateway):
    gw = gateway(origin)
    client = gw.connect()
    ids = [client.get(f"/{n}").header("X-Request-Id") for n in range(50)]
    assert all(ids) and len(set(ids)) == 50
    assert [r.header("X-Request-Id") for r in origin.requests] == ids
    assert {r["id"] for r in gw.logs(50)} == set(ids)


def test_a_refusal_has_an_id_too(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    reply = gw.get("/other")
    assert reply.header("X-Request-Id") == gw.log("/other")["id"]


# -- forms of the target


def test_absolute_form_beats_host(origin, gateway):
    client = gateway(origin).send(b"GET http://real.example:81/p?q HTTP/1.1\r\nHost: other.example\r\n\r\n")
    assert client.reply().text == "ok"
    assert origin.request.line == "GET /p?q HTTP/1.1"  # RFC 9112 3.2.2
    assert origin.request.header("Host") == "real.example:81"


def test_absolute_form_is_what_routes_see(origin, gateway):
    gw = gateway(origin, routes=[{"hosts": ["real.example"], "service": "app"}])
    assert gw.send(b"GET http://real.example/ HTTP/1.1\r\nHost: no.example\r\n\r\n").reply().status == 200
    assert gw.send(b"GET http://no.example/ HTTP/1.1\r\nHost: real.example\r\n\r\n").reply().status == 404


def test_absolute_form_without_a_path(origin, gateway):
    gateway(origin).send(b"GET http://a.example HTTP/1.1\r\nHost: a.example\r\n\r\n").reply()
    assert origin.request.target == "/"


def test_absolute_form_with_a_query_alone(origin, gateway):
    gateway(origin).send(b"GET http://a.example?x=1 HTTP/1.1\r\nHost: a.example\r\n\r\n").reply()
    assert origin.request.target == "/?x=1"


def test_options_of_the_whole_server(origin, gateway):
    client = gateway(origin).send(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n")
    assert client.reply("OPTIONS").status == 200
    assert origin.request.line == "OPTIONS * HTTP/1.1"


@pytest.mark.parametrize("target", ["example.com:443", "127.0.0.1:22", "[::1]:80"])
def test_connect_is_refused(origin, gateway, target):
    client = gateway(origin).send(f"CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\r\n")
    reply = client.reply()
    assert reply.status in (405, 501) and reply.reason in ("method_not_allowed", "method_unknown")
    assert origin.untouched


@pytest.mark.parametrize("target", ["/a%20b", "/a%2Fb", "/;p=1", "/a//b", "/a?b?c", "/?", "/a|b", '/{x}', "/~u/*'()!$&+,=:@", "/a?x[]=1&y=^`"])
def test_targets_pass_as_they_came(origin, gateway, target):
    gateway(origin).get(target)
    assert origin.request.target == target


@pytest.mark.parametrize("host", ["a", "A.Example.COM", "a.example:8080", "127.0.0.1:80", "[::1]", "[2001:db8::1]:8080", "under_score.example", "xn--nxasmq6b.example"])
def test_hosts_pass_as_they_came(origin, gateway, host):
    assert seen(origin, gateway, host=host).header("Host") == host


# -- the gateway's own answers


def test_refusals_speak_json_to_programs(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    reply = gw.get("/x", [("Accept", "application/json")])
    assert reply.header("Content-Type") == "application/problem+json"
    problem = reply.json()
    assert (problem["status"], problem["reason"]) == (404, "route_not_found")
    assert problem["title"] and isinstance(problem["title"], str)
    assert reply.header("X-Sluice-Reason") == "route_not_found"
    assert re.search(r"\w+\s*;.*error=destination_not_found", reply.header("Proxy-Status"))


def test_refusals_speak_html_to_browsers(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    reply = gw.get('/x"<script>', [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")])
    if reply.reason == "target_invalid":
        reply = gw.get("/x", [("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")])
    assert reply.header("Content-Type").startswith("text/html")
    assert reply.header("X-Sluice-Reason") == "route_not_found"
    assert "<html" in reply.text.lower() and "404" in reply.text
    assert "<script>" not in reply.text


def test_refusals_without_an_accept_field_are_json(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    assert gw.get("/x").json()["reason"] == "route_not_found"
    assert gw.get("/x", [("Accept", "*/*")]).json()["reason"] == "route_not_found"


def test_a_refused_head_has_no_body(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    client = gw.connect()
    reply = client.request("HEAD", "/x").reply("HEAD")
    assert (reply.status, reply.reason) == (404, "route_not_found")
    assert client.get("/only").text == "ok"  # and the connection goes on


def test_a_refusal_by_route_keeps_the_connection(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    client = gw.connect()
    for _ in range(3):
        assert client.get("/x").status == 404
        assert client.get("/only").text == "ok"


@pytest.mark.parametrize("size", [10, 10_000, 5_000_000])
def test_a_refused_body_ends_the_connection_or_is_read(gateway, origin, size):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}])
    client = gw.connect()
    reply = client.post("/x", b"b" * size)
    assert reply.status == 404
    if reply.closes:
        client.expect_end()
    else:
        assert client.get("/only").text == "ok"
    assert len(origin.heads) == (0 if reply.closes else 1)


def test_own_answers_have_a_date(gateway, origin):
    gw = gateway(origin, routes=[{"paths": ["/r"], "respond": {"status": 200, "body": "hi"}}])
    for path in ("/r", "/x"):
        date = gw.get(path).header("Date")
        assert re.fullmatch(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT", date)


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_target_of_another_scheme_is_misdirected(origin, gateway, scheme):
    client = gateway(origin).send(f"GET {scheme}://a.example/ HTTP/1.1\r\nHost: a.example\r\n\r\n".encode())
    reply = client.reply()
    assert (reply.status, reply.reason) == (421, "misdirected")  # RFC 9110 15.5.20
    assert not origin.heads


def test_an_answer_of_our_own_reads_a_small_body_away(origin, gateway):
    client = gateway(origin, routes=[{"paths": ["/here"], "service": "app"}]).connect()
    for body in (b"x", b"y" * 60_000):
        reply = client.request("POST", "/not-here", body=body).reply()
        assert (reply.status, reply.closes) == (404, False)
    assert client.get("/here").text == "ok"
    reply = client.request("POST", "/not-here", body=b"z" * 100_000).reply()
    assert (reply.status, reply.closes) == (404, True)


def test_an_upgrade_that_is_required_is_named(origin, gateway):
    origin.answers("HTTP/1.1 426 Upgrade Required\r\nUpgrade: echo/2\r\nConnection: upgrade\r\nContent-Length: 0\r\n\r\n")
    reply = gateway(origin).get()
    assert reply.status == 426 and reply.header("Upgrade") == "echo/2"
    assert "upgrade" in reply.tokens("Connection")
