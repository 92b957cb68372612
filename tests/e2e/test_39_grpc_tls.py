# SPDX-License-Identifier: Apache-2.0
"""gRPC with TLS on either side of the gateway, or on both."""

import os

import grpc
import pytest

from lib.calls import (  # noqa: F401 (later is a fixture)
    Feed, GrpcClient, GrpcServer, address_of, failure, later, open_gateway, standard,
)
from lib.pki import Authority
from lib.wait import DEADLINE

Code = grpc.StatusCode
NAME = "calls.example.com"


@pytest.fixture(params=["tls-plain", "plain-tls", "tls-tls"])
def sides(request):
    """(is the client's side TLS, is the target's)."""
    return tuple(side == "tls" for side in request.param.split("-"))


@pytest.fixture
def authority(home):
    return Authority(home)


def server_credentials(authority):
    leaf = authority.leaf(NAME, "127.0.0.1")
    return grpc.ssl_server_credentials([(leaf.key_text.encode(), leaf.chain.encode())])


@pytest.fixture
def server(later, authority, sides):  # noqa: F811
    return later(standard(GrpcServer(tls=server_credentials(authority) if sides[1] else None)))


@pytest.fixture
def gw(gateway, server, authority, sides, ports):
    options = {}
    if sides[1]:
        options["service"] = {"tls": {"ca": str(authority.file), "name": NAME}}
    gw = open_gateway(gateway, server.address, run=False, **options)
    if sides[0]:
        tls = {"certificates": [authority.leaf(NAME).pair]}
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": tls}])
    return gw.start()


@pytest.fixture
def client(gw, later, authority, sides):  # noqa: F811
    if not sides[0]:
        return later(GrpcClient(address_of(gw)))
    credentials = grpc.ssl_channel_credentials(authority.pem.encode())
    return later(GrpcClient(address_of(gw), credentials, [("grpc.ssl_target_name_override", NAME)]))


def test_calls_of_every_kind(client):
    body = os.urandom(1024 * 1024)
    assert client.unary("Echo")(body, timeout=4 * DEADLINE) == body
    assert list(client.server_stream("Count")(b"100", timeout=DEADLINE)) == [b"%d" % i for i in range(100)]
    assert client.client_stream("Sum")(iter([b"1", b"2"]), timeout=DEADLINE) == b"3"
    feed = Feed()
    call = client.both_streams("Chat")(feed, timeout=DEADLINE)
    for i in range(20):
        feed.put(b"%d" % i)
        assert next(call) == b"re: %d" % i
    feed.end()
    assert not list(call)


def test_large_messages_come_whole(client):
    """Records end anywhere in a read: what is left of one waits inside TLS while the bytes before it are on their way."""
    for _ in range(24):
        body = os.urandom(1024 * 1024)
        assert client.unary("Echo")(body, timeout=4 * DEADLINE) == body


def test_errors_and_cancellation(client, server):
    @server.unary("Fail")
    def fail(request, context):
        context.abort(Code.NOT_FOUND, "nothing")

    error = failure(lambda: client.unary("Fail")(b"", timeout=DEADLINE))
    assert (error.code(), error.details()) == (Code.NOT_FOUND, "nothing")
    call = client.server_stream("HangLater")(b"", timeout=10 * DEADLINE)
    assert next(call) == b"first"
    call.cancel()
    assert server.cancelled.wait(DEADLINE)


def test_many_calls_at_once(client):
    calls = [client.unary("Echo").future(b"%d" % i, timeout=4 * DEADLINE) for i in range(50)]
    assert [c.result() for c in calls] == [b"%d" % i for i in range(50)]


def test_a_target_that_is_not_trusted(gateway, later, home):  # noqa: F811
    os.mkdir(os.path.join(home, "other"))
    trusted, other = Authority(home), Authority(os.path.join(home, "other"))
    server = later(standard(GrpcServer(tls=server_credentials(other))))
    gw = open_gateway(gateway, server.address, service={"tls": {"ca": str(trusted.file), "name": NAME}})
    error = failure(lambda: later(GrpcClient(address_of(gw))).unary("Echo")(b"", timeout=DEADLINE))
    assert (error.code(), "tls_certificate_error" in error.details()) == (Code.UNAVAILABLE, True)
