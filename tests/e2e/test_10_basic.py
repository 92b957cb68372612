# SPDX-License-Identifier: Apache-2.0
"""The first things anyone tries: one target behind the door, bodies both ways, every kind of address."""

import os

import pytest
import requests

from lib.wait import until


def test_a_request_goes_through(origin, gateway):
    origin.answers("HTTP/1.1 201 Made\r\nContent-Length: 5\r\nX-App: yes\r\n\r\nhello")
    reply = gateway(origin).get("/a/b?c=d&e")
    assert (reply.status, reply.text, reply.header("X-App")) == (201, "hello", "yes")
    assert origin.request.line == "GET /a/b?c=d&e HTTP/1.1"
    assert origin.request.header("Host") == "example.com"


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "PURGE"])
def test_methods_are_forwarded(origin, gateway, method):
    gw = gateway(origin)
    reply = gw.connect().request(method, "/x").reply(method)
    assert reply.status == 200
    assert origin.request.method == method


@pytest.mark.parametrize("size", [0, 1, 1000, 16384, 65536, 1_000_000])
def test_bodies_arrive_as_they_were_sent(origin, gateway, size):
    body = os.urandom(size)

    @origin.on("/echo")
    def echo(conn, request):
        conn.read_body(request)
        conn.respond(200, request.body)

    gw = gateway(origin)
    reply = gw.post("/echo", body)
    assert reply.body == body
    assert origin.request.header("Content-Length") == str(size)


def test_a_real_client_library(origin, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 8\r\n\r\n{\"a\": 1}")
    gw = gateway(origin)
    with requests.Session() as session:
        for _ in range(3):
            assert session.get(f"http://127.0.0.1:{gw.port}/").json() == {"a": 1}
        assert session.post(f"http://127.0.0.1:{gw.port}/", data={"x": "y"}).status_code == 200
    assert origin.requests[3].body == b"x=y"


def test_status_phrase_and_unknown_status_pass(origin, gateway):
    origin.answers("HTTP/1.1 299 Something Odd\r\nContent-Length: 0\r\n\r\n")
    reply = gateway(origin).get()
    assert (reply.status, reply.phrase) == (299, "Something Odd")


def test_fields_keep_order_case_and_repetition(origin, gateway):
    origin.answers(
        "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nx-LOWER: 1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n"
        "X-Bytes: \xe9\xff\r\nX-Empty:\r\n\r\n"
    )
    reply = gateway(origin).get(headers=[("Accept", "a"), ("x-Two", "1"), ("Accept", "b"), ("X-Raw", "caf\xe9")])
    seen = [f for f in reply.fields if f[0] in ("Set-Cookie", "x-LOWER", "X-Bytes", "X-Empty")]
    assert seen == [("Set-Cookie", "a=1"), ("x-LOWER", "1"), ("Set-Cookie", "b=2"), ("X-Bytes", "\xe9\xff"), ("X-Empty", "")]
    sent = [f for f in origin.request.fields if f[0] in ("Accept", "x-Two", "X-Raw")]
    assert sent == [("Accept", "a"), ("x-Two", "1"), ("Accept", "b"), ("X-Raw", "caf\xe9")]


def test_a_target_on_a_unix_socket(origins, gateway, home):
    origin = origins(path=os.path.join(home, "app.sock"))
    assert gateway(origin).get().text == "ok"
    assert origin.request.method == "GET"


def test_a_target_on_ipv6(origins, gateway):
    origin = origins(host="::1")
    assert gateway(origin).get().text == "ok"


def test_a_target_by_name(origin, gateway):
    assert gateway(f"localhost:{origin.port}").get().text == "ok"


def test_a_listener_on_every_family(origin, gateway, ports):
    port, only_v6 = ports.take(), ports.take()
    gw = gateway(origin, listeners=[{"bind": f":{port}"}, {"bind": f"[::1]:{only_v6}"}])
    from lib.client import Client

    for address in (("127.0.0.1", port), ("::1", port), ("::1", only_v6)):
        with Client(address) as client:
            assert client.get().text == "ok", address
    with pytest.raises(OSError):
        Client(("127.0.0.1", only_v6))
    assert gw.is_ready()


def test_a_listener_on_a_unix_socket(origin, gateway, home):
    from lib.client import Client

    path = os.path.join(home, "front.sock")
    gateway(origin, listeners=[{"bind": f"unix:{path}"}])
    with Client(f"unix:{path}") as client:
        assert client.get().text == "ok"
        assert client.get().text == "ok"


def test_several_workers_serve_many_connections(origin, gateway):
    gw = gateway(origin, workers=3)
    clients = [gw.connect() for _ in range(60)]
    for _ in range(3):
        for client in clients:
            client.request()
        assert all(c.reply().text == "ok" for c in clients)
    until(lambda: gw.metric("sluice_http_requests_total", route="app", code="200") == 180, "180 counted")


@pytest.mark.parametrize("path", ["/.sluice/health", "/up"])
def test_the_listeners_own_health_path(origin, gateway, path):
    gw = gateway(origin, routes=[{"hosts": ["only.example.org"], "service": "app"}])
    if path != "/.sluice/health":
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "health_path": path}])
        gw.reload()
    assert gw.get(path).status == 200  # before routes: no route takes this host
    assert gw.get("/other").status == 404
    assert not origin.heads


@pytest.mark.parametrize("keep, seen", [("keep", "example.com"), ("target", None), ("app.internal", "app.internal")])
def test_the_host_that_the_target_sees(origin, gateway, keep, seen):
    gateway(origin, service={"host": keep}).get()
    assert origin.request.header("Host") == (seen or origin.address)
    assert origin.request.header("X-Forwarded-Host") == "example.com"
