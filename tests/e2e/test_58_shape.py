# SPDX-License-Identifier: Apache-2.0
"""The shape of requests and answers: how large a body may be on a route, and fields that each request fills."""

import base64
import hmac
import json
import os
import subprocess
import time

import pytest

from lib.pki import Authority
from lib.stream import Ended
from lib.wait import DEADLINE, until

CHUNKED = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def limit(size="1KiB"):
    return [{"body_limit": size}]


# -- body_limit


@pytest.mark.parametrize("size, status", [(0, 200), (1023, 200), (1024, 200), (1025, 413), (10**15, 413)])
def test_a_length_that_is_said(origin, gateway, size, status):
    client = gateway(origin, filters=limit()).connect()
    client.send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n" + ("x" * size if size < 2000 else ""))
    reply = client.reply("POST")
    assert reply.status == status
    if status == 413:
        assert reply.reason == "body_too_large" and origin.untouched
    else:
        assert origin.request.header("Content-Length") == str(size) and len(origin.request.body) == size


@pytest.mark.parametrize("step", [1, 100, 1024])
def test_chunks_up_to_the_limit(origin, gateway, step):
    client = gateway(origin, filters=limit()).send(CHUNKED)
    for _ in range(1024 // step):
        client.chunk(b"x" * step)
    client.chunk(b"x" * (1024 % step)) if 1024 % step else None
    client.send(b"0\r\nX-Sum: 1\r\n\r\n")
    assert client.reply("POST").status == 200
    assert origin.request.body == b"x" * 1024 and origin.request.trailer("X-Sum") == "1"


@pytest.mark.parametrize("step", [1, 300, 1025, 100_000])
def test_chunks_beyond_the_limit(origin, gateway, step):
    gw = gateway(origin, filters=limit())
    client = gw.send(CHUNKED)
    for _ in range(1 + 1024 // step):
        client.chunk(b"x" * step)
    reply = client.reply("POST")
    assert (reply.status, reply.reason, reply.closes) == (413, "body_too_large", True)
    gone = [c.wait_ended() for c in origin.connections]  # it cannot take what it got for the whole
    assert not origin.requests and len(gone) <= 1
    bodies = [bytes(c.received).partition(b"\r\n\r\n")[2] for c in origin.connections]
    assert sum(b.count(b"x") for b in bodies) <= 1024
    assert gw.post("/", b"small").status == 200
    assert gw.metric("sluice_http_requests_refused_total", reason="body_too_large") == 1


def test_the_client_is_not_asked_for_what_is_too_large(origin, gateway):
    client = gateway(origin, filters=limit()).connect()
    client.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2000\r\nExpect: 100-continue\r\n\r\n")
    reply = client.reply("POST")
    assert reply.status == 413 and not reply.interims and origin.untouched


def test_over_http2_without_a_length(origin, gateway, home):
    gw = gateway(origin, filters=limit(), run=False)
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": {"certificates": [Authority(home).leaf("localhost").pair]}}])
    gw.start()
    for size, status in [(1024, 200), (1025, 413), (1_000_000, 413)]:
        body = os.path.join(home, "body")
        with open(body, "wb") as file:
            file.write(b"x" * size)
        done = subprocess.run(["nghttp", "-v", "--no-content-length", "-d", body, f"https://127.0.0.1:{gw.port}/"],
                              capture_output=True, text=True, timeout=60)
        assert f":status: {status}" in done.stdout, (size, done)
    assert [len(r.body) for r in origin.requests] == [1024]


def test_limits_by_route(origin, gateway):
    gw = gateway(origin, filters=limit(), routes=[
        {"paths": ["/large"], "service": "app", "filters": limit("1MiB")},
        {"paths": ["/any"], "service": "app", "filters": [{"body_limit": "off"}]},
        {"paths": ["/none"], "service": "app", "filters": limit("0")},
        {"paths": ["/*"], "service": "app"},
    ])
    sizes = [0, 1, 2000, 2_000_000]
    got = {path: [gw.post(path, b"x" * n).status for n in sizes] for path in ("/", "/large", "/any", "/none")}
    assert got == {"/": [200, 200, 413, 413], "/large": [200, 200, 200, 413], "/any": [200] * 4,
                   "/none": [200, 413, 413, 413]}


def test_what_has_no_body_passes(origin, gateway):
    gw = gateway(origin, filters=limit("0"))
    assert gw.get("/").text == "ok"
    assert gw.send("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").reply("POST").status == 200


def test_a_tunnel_is_no_body(origin, gateway):
    @origin.on("/")
    def switch(conn, request):
        conn.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
        conn.send(conn.exactly(5000, "bytes", DEADLINE))
        return "end"

    client = gateway(origin, filters=limit("0")).connect()
    client.send("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
    assert client.head().status == 101
    client.send(b"y" * 5000)
    assert client.exactly(5000, "the echo") == b"y" * 5000


def test_a_target_that_answers_before_the_limit_is_passed(origin, gateway):
    @origin.on("/")
    def early(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        conn.wait_end()
        return "end"

    client = gateway(origin, filters=limit()).send(CHUNKED)
    client.chunk(b"x")
    until(lambda: client.buffer or client.fill("the answer"), "an answer")
    client.chunk(b"x" * 2000)
    with pytest.raises(Ended):  # the answer is under way: it is broken off
        client.reply("POST")


@pytest.mark.parametrize("written", ["large", "1 KiB", "-1", [], {"size": 1}])
def test_limits_that_are_none(origin, gateway, written):
    gw = gateway(origin, filters=limit(written), run=False)
    done = gw.cli("check", gw.file)
    assert done.code == 2 and "sluice.yaml:" in done.err, done


# -- headers


def test_fields_with_names(origin, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Gone: 1\r\n\r\nok")
    gw = gateway(origin, routes=[{"name": "shop", "paths": ["/*"], "service": "app", "filters": [{"headers": {
        "request": {"set": {"X-Who": "${client_ip}", "X-Way": "${method} ${scheme}://${host}${uri} by ${route}",
                            "X-Id": "${request_id}", "X-User": "${consumer}", "X-Copy": "[${header.x-sent}]"},
                    "add": {"X-Query": "${query}"}},
        "response": {"set": {"X-Gone": "${header.none}", "X-Served": "${route}"}, "add": {"X-Cost": "5${dollar}"}}}}]}])
    reply = gw.get("/a?b=${path}", [("X-Sent", "s"), ("X-User", "root"), ("X-Id", "forged")], host="shop.example:80")
    seen = origin.request
    assert seen.header("X-Who") == "127.0.0.1"
    assert seen.header("X-Way") == "GET http://shop.example/a?b=${path} by shop"  # what is filled in is not filled again
    assert seen.header("X-Id") == seen.header("X-Request-Id") == reply.header("X-Request-Id")
    assert not seen.has("X-User")  # nobody is known, and the client's word is none
    assert (seen.header("X-Copy"), seen.header("X-Query")) == ("[s]", "b=${path}")
    assert (reply.header("X-Served"), reply.header("X-Cost"), reply.has("X-Gone")) == ("shop", "5$", False)
    gw.get("/plain")
    assert not origin.requests[-1].has("X-Query") and not origin.requests[-1].has("X-Copy")


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def token(claims, secret):
    body = b64(b'{"alg":"HS256"}') + b"." + b64(json.dumps(claims).encode())
    return (body + b"." + b64(hmac.digest(secret.encode(), body, "sha256"))).decode()


def test_claims_of_a_verified_token(origin, gateway):
    secret = "s" * 32
    gw = gateway(origin, filters=[{"jwt": {"secret": secret}}, {"headers": {"request": {"set": {
        "X-Sub": "${claim.sub}", "X-Name": "${claim.name}", "X-Evil": "${claim.evil}", "X-None": "${claim.none}"}}}}])
    claims = {"sub": "7", "name": "Zo\u00eb \"Z\"", "evil": "a\r\nX-Admin: 1", "exp": int(time.time()) + 600}
    reply = gw.get("/", [("Authorization", f"Bearer {token(claims, secret)}"), ("X-None", "forged"), ("X-Evil", "forged")])
    assert reply.status == 200, reply
    seen = origin.request
    assert (seen.header("X-Sub"), seen.header("X-Name").encode("latin-1").decode()) == ("7", 'Zo\u00eb "Z"')
    assert not seen.has("X-Evil") and not seen.has("X-None") and not seen.has("X-Admin")


SECURITY = {
    "X-Content-Type-Options": "nosniff", "X-Frame-Options": "SAMEORIGIN",
    "Referrer-Policy": "strict-origin-when-cross-origin", "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
}


def test_the_security_preset(origin, gateway):
    gw = gateway(origin, filters=[{"headers": {"security": True}}],
                 routes=[{"paths": ["/own"], "respond": {"status": 200, "body": "own"}}, {"paths": ["/t/*"], "service": "app"}])
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: Apache/1\r\nX-Powered-By: PHP\r\nX-AspNet-Version: 4\r\n\r\nok")
    for reply in (gw.get("/t/1"), gw.get("/own"), gw.get("/nowhere")):
        assert {n: reply.header(n) for n in SECURITY} == SECURITY, reply
        assert "geolocation=()" in reply.header("Permissions-Policy")
        assert not reply.has("X-Powered-By") and not reply.has("X-AspNet-Version") and not reply.has("Server")
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Frame-Options: DENY\r\nPermissions-Policy: camera=*\r\n\r\nok")
    reply = gw.get("/t/2")  # what the target says itself stands
    assert (reply.header("X-Frame-Options"), reply.header("Permissions-Policy")) == ("DENY", "camera=*")


def test_no_preset_unless_wished(origin, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nServer: Apache/1\r\n\r\nok")
    reply = gateway(origin, filters=[{"headers": {"response": {"set": {"x-a": "b"}}}}]).get("/")
    assert reply.header("Server") == "Apache/1" and not reply.has("X-Frame-Options")


@pytest.mark.parametrize("value, words", [
    ("${pth}", "did you mean ${path}"), ("${claim.}", "there is no ${claim.}"), ("${path", '"${" without "}"'),
    ("${}", "there is no ${}"), ("${path}" * 33, "too many names"), ("${env:NONE_SUCH}", "NONE_SUCH"),
    ("${claim:sub}", "unknown reference"),
])
def test_names_that_are_none(origin, gateway, value, words):
    gw = gateway(origin, filters=[{"headers": {"request": {"set": {"x-a": value}}}}], run=False)
    done = gw.cli("check", gw.file)
    assert done.code == 2 and words in done.err, done
