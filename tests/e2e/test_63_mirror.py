# SPDX-License-Identifier: Apache-2.0
"""mirror: copies of requests go to another service; nobody waits for its answers."""

import threading

import pytest

from lib.h2frames import RawClient
from lib.wait import until


@pytest.fixture
def mirrored(origin, origins, gateway):
    """mirrored(keys, **config): (gateway, the service that gets copies)."""
    def start(keys=(), shadow=(), **options):
        copy = origins()
        gw = gateway(services={"app": {"targets": [origin.address]}, "shadow": {"targets": [copy.address], **dict(shadow)}},
                     routes=[{"name": "r", "service": "app"}], filters=[{"mirror": {"service": "shadow", **dict(keys)}}], **options)
        return gw, copy
    return start


def test_a_copy_of_everything(mirrored, origin):
    gw, copy = mirrored()
    assert gw.post("/a?b=c", b"hello", [("Cookie", "x=1"), ("X-Forwarded-For", "6.6.6.6")]).status == 200
    until(lambda: copy.requests, "a copy")
    one, two = origin.requests[0], copy.requests[0]
    assert (two.method, two.target, two.body) == ("POST", "/a?b=c", b"hello")
    for name in ("Host", "Cookie", "X-Forwarded-For", "X-Forwarded-Host", "Content-Length"):
        assert two.header(name) == one.header(name), name
    assert one.header("Content-Length") == "5"  # the length of what is only looked at stays
    gw.wait_metric("sluice_upstream_requests_total", 1, service="shadow", code="200")
    assert gw.metric("sluice_http_requests_total", route="r") == 1


def test_without_a_body(mirrored, origin):
    gw, copy = mirrored()
    assert gw.get("/x").status == 200
    client = RawClient(("127.0.0.1", gw.port))
    assert client.get("/y").status == 200
    assert client.reply(client.request("POST", "/z", body=b"abc")).status == 200
    client.close()
    until(lambda: len(copy.requests) == 3, "copies")
    assert sorted((r.target, r.body) for r in copy.requests) == [("/x", b""), ("/y", b""), ("/z", b"abc")]


def test_chunked_bodies(mirrored, origin):
    gw, copy = mirrored()
    with gw.connect() as client:
        client.send(b"POST /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        for n in range(5):
            client.chunk(b"part%d" % n)
        client.send(b"0\r\n\r\n")
        assert client.reply().status == 200
    until(lambda: copy.requests, "a copy")
    assert copy.requests[0].body == origin.requests[0].body == b"part0part1part2part3part4"


def test_large_bodies_have_no_copy(mirrored, origin):
    gw, copy = mirrored({"body": "1KiB"})
    assert gw.post("/large", b"x" * 1025).status == 200
    with gw.connect() as client:
        client.send(b"POST /chunked HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.chunk(b"x" * 1000)
        client.chunk(b"x" * 1000)
        client.send(b"0\r\n\r\n")
        assert client.reply().status == 200
    assert gw.post("/small", b"x" * 1024).status == 200
    until(lambda: copy.requests, "a copy")
    assert [r.target for r in copy.requests] == ["/small"]
    assert [len(r.body) for r in origin.requests] == [1025, 2000, 1024]


@pytest.mark.parametrize("how", ["hangs", "is gone", "is cut", "is long"])
def test_what_becomes_of_copies_is_nobodys_concern(mirrored, origin, how):
    gw, copy = mirrored({"timeout": "500ms"}, {"retry": "off"})
    if how == "hangs":
        copy.script = lambda conn: conn.to_end("the end")
    elif how == "is gone":
        copy.close()
    elif how == "is cut":
        copy.answers("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc")
    else:
        copy.answers("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + "x" * 300000)
    with gw.connect() as client:
        for n in range(40):
            assert client.post(f"/{n}", b"body").status == 200
    until(lambda: not gw.status()["workers"][0]["in_flight"], "the end of all copies")
    assert len(origin.requests) == 40


def test_copies_under_way_are_bounded(mirrored, origin):
    gw, copy = mirrored({"timeout": "60s"}, {"retry": "off"})
    copy.script = lambda conn: conn.to_end("the end")
    with gw.connect() as client:
        for _ in range(300):
            assert client.get("/x").status == 200
    assert gw.status()["workers"][0]["in_flight"] <= 257
    gw.change(timeouts={"drain": "300ms"})


def test_a_share(mirrored):
    gw, copy = mirrored({"share": "20%"})
    with gw.connect() as client:
        for _ in range(500):
            assert client.get("/x").status == 200
    until(lambda: not gw.status()["workers"][0]["in_flight"], "the end of all copies")
    assert 55 <= len(copy.requests) <= 145  # 100 expected, five sigma is 45


def test_what_is_refused_has_no_copy(mirrored, origin):
    gw, copy = mirrored()
    gw.change(filters=[{"basic": {"users": {"ann": "$2b$05$abcdefghijklmnopqrstuu5s2v8.iXieOjg/.AySBTTZIIVFJeBui"}}}, {"mirror": {"service": "shadow"}}])
    gw.reload()
    assert gw.post("/x", b"body").status == 401
    until(lambda: not gw.status()["workers"][0]["in_flight"], "the end")
    assert not copy.requests and not origin.requests


def test_a_client_that_goes_away_in_its_body(mirrored, origin):
    gw, copy = mirrored()
    client = gw.connect()
    client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nabc")
    until(lambda: origin.heads, "its head")
    client.close()
    until(lambda: not gw.status()["workers"][0]["in_flight"], "its end")
    assert not copy.requests


def test_a_client_that_goes_away_before_its_body(mirrored, origin):
    gw, copy = mirrored()
    client = RawClient(("127.0.0.1", gw.port))
    client.request("POST", "/x", end=False)
    until(lambda: origin.heads, "its head")
    client.close()
    until(lambda: not gw.status()["workers"][0]["in_flight"], "its end")
    assert not copy.requests


def test_a_body_that_turns_out_empty(mirrored, origin, origins):
    gw, copy = mirrored()
    guard = origins()
    gw.change(services={"auth": {"targets": [guard.address]}},
              filters=[{"forward_auth": {"url": "http://auth/verify"}}, {"mirror": {"service": "shadow"}}])
    gw.reload()
    go = threading.Event()

    @guard.on("/verify")
    def wait(conn, request):
        go.wait(30)
        conn.respond(200)

    with RawClient(("127.0.0.1", gw.port)) as client:
        for name in ("/while it is asked", "/after"):
            path = name.replace(" ", "-")
            stream = client.request("POST", path, end=False)
            until(lambda: len(guard.heads) > (path == "/after"), "a question")
            if path == "/after":
                until(lambda: len(origin.heads) == 2, "its head")
            client.data(stream, b"", True)
            client.ping()
            go.set()
            assert client.reply(stream).status == 200
    until(lambda: len(copy.requests) == 2, "copies")
    assert [(r.target, r.body) for r in copy.requests] == [("/while-it-is-asked", b""), ("/after", b"")]


def test_a_reload_and_a_stop_while_copies_are_under_way(mirrored, origin):
    gw, copy = mirrored({"timeout": "60s"}, timeouts={"drain": "300ms"})
    go = threading.Event()
    copy.script = lambda conn: go.wait(30)
    for _ in range(3):
        assert gw.get("/x").status == 200
    gw.change(services={"shadow": None}, filters=[])
    gw.reload()
    assert gw.get("/y").status == 200
    gw.stop()
    go.set()


def test_a_service_that_is_not_there(gateway, origin):
    gw = gateway(origin, run=False, filters=[{"mirror": {"service": "nobody"}}])
    done = gw.cli("check", gw.file)
    assert done.code == 2 and 'no service named "nobody"' in done.err
