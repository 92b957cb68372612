# SPDX-License-Identifier: Apache-2.0
"""Checks by gRPC, and of targets that are spoken to over TLS."""

import ssl

import grpc
import pytest

from lib.calls import GrpcServer
from lib.health import checked, wait_state
from lib.pairing import WireOrigin
from lib.pki import Authority

# -- over gRPC

CHECK_METHOD = "/grpc.health.v1.Health/Check"
SERVING, NOT_SERVING = b"\x08\x01", b"\x08\x02"


@pytest.fixture
def server():
    made = GrpcServer()
    yield made
    made.close()


def health_of(server, answer):
    seen = []

    def check(request, context):
        seen.append(request)
        return answer(context) if callable(answer) else answer

    server.methods[CHECK_METHOD] = grpc.unary_unary_rpc_method_handler(check)
    return seen


@pytest.mark.parametrize("name, request_bytes", [("", b""), ("app.v1", b"\x0a\x06app.v1")], ids=["server", "service"])
def test_grpc_serving(server, gateway, name, request_bytes):
    seen = health_of(server, SERVING)
    gw = gateway(server.address, service={"protocol": "h2", "health": checked(grpc=name)})
    assert wait_state(gw, server, "up")["last_check"]["words"] == "grpc.health.v1 says SERVING"
    assert seen[0] == request_bytes


def aborts(code):
    return lambda context: context.abort(code, "no")


@pytest.mark.parametrize("answer, said", [
    (NOT_SERVING, "says NOT_SERVING"),
    (b"", "says UNKNOWN"),
    (b"\x08\x03", "says SERVICE_UNKNOWN"),
    (aborts(grpc.StatusCode.NOT_FOUND), "it does not know this service"),
    (None, "it has no health service"),
], ids=["not serving", "unknown", "service unknown", "not found", "unimplemented"])
def test_grpc_not_serving(server, gateway, answer, said):
    if answer is not None:
        health_of(server, answer)
    gw = gateway(server.address, service={"protocol": "h2", "health": checked(grpc="app.v1")})
    assert said in wait_state(gw, server, "down")["reason"]


def test_grpc_that_begins_to_serve(server, gateway):
    answer = [NOT_SERVING]
    health_of(server, lambda context: answer[0])
    gw = gateway(server.address, service={"protocol": "h2", "health": checked(grpc="", rise=2)})
    wait_state(gw, server, "down")
    answer[0] = SERVING
    wait_state(gw, server, "up")


# -- over TLS


@pytest.fixture
def authority(home):
    return Authority(home)


@pytest.fixture
def secure(authority):
    """A target over TLS whose certificate is for this name, signed by `authority` or another."""
    made = []

    def make(name, by=authority):
        leaf = by.leaf(name)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.cert, leaf.key)
        context.set_alpn_protocols(["http/1.1"])
        made.append(WireOrigin(context))
        return made[-1]

    yield make
    for origin in made:
        origin.close()


@pytest.mark.parametrize("path", [None, "/health"], ids=["connection", "http"])
def test_tls_that_is_trusted(secure, authority, gateway, path):
    origin = secure("app.example")
    tls = {"ca": str(authority.file), "name": "app.example"}
    gw = gateway(origin, service={"health": checked(path), "tls": tls})
    wait_state(gw, origin, "up")
    assert gw.get().text == "ok"


@pytest.mark.parametrize("path", [None, "/health"], ids=["connection", "http"])
@pytest.mark.parametrize("wrong", ["name", "authority"])
def test_tls_that_is_not_trusted(secure, authority, home, gateway, path, wrong):
    origin = secure("app.example" if wrong == "authority" else "other.example",
                    Authority(home, "Another Root") if wrong == "authority" else authority)
    tls = {"ca": str(authority.file), "name": "app.example"}
    gw = gateway(origin, service={"health": checked(path), "tls": tls})
    assert "not trusted, or not for the name" in wait_state(gw, origin, "down")["reason"]
    assert gw.get().status == 503 and not origin.heads


def test_plain_where_tls_is_expected(origin, authority, gateway):
    origin.script = lambda conn: (conn.fill("a hello"), conn.send("HTTP/1.1 400 X\r\n\r\n"), conn.close())
    gw = gateway(origin, service={"health": checked(), "tls": {"ca": str(authority.file), "name": "a.example"}})
    assert "TLS" in wait_state(gw, origin, "down")["reason"]
