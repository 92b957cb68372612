# SPDX-License-Identifier: Apache-2.0
"""Compression, undone by the tools that users have: the bytes, the head, what is left alone, and that nothing waits."""

import random
import subprocess
import threading

import pytest

from lib.codings import CODINGS, Decoder, undo
from lib.gateway import IS_SANITIZED
from lib.pki import Authority
from lib.stream import Ended
from lib.wait import DEADLINE, QUIET, until

ON = [{"compress": {}}]
TEXT = "text/plain; charset=utf-8"
HTML = b"<p>All work and no play makes Jack a dull boy.</p>\n" * 100


def noise(size):
    return random.Random(size).randbytes(size)


def words(size):
    pick = random.Random(size)
    some = [pick.randbytes(pick.randint(2, 9)).hex().encode() for _ in range(500)]
    out = b""
    while len(out) < size:
        out += b" ".join(pick.choices(some, k=1000)) + b"\n"
    return out[:size]


def head(*fields, status=200, kind=TEXT):
    lines = [f"HTTP/1.1 {status} X"] + ([f"Content-Type: {kind}"] if kind else []) + list(fields)
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def plain(body, *fields, **options):
    return head(f"Content-Length: {len(body)}", *fields, **options) + body


def chunked(body, size, *fields, trailers=b""):
    parts = [body[i : i + size] for i in range(0, len(body), size)]
    return (head("Transfer-Encoding: chunked", *fields) + b"".join(b"%x\r\n%b\r\n" % (len(p), p) for p in parts)
            + b"0\r\n" + trailers + b"\r\n")


def ask(gw, accept="gzip", path="/", more=(), method="GET"):
    fields = ([("Accept-Encoding", accept)] if accept is not None else []) + list(more)
    with gw.connect() as client:
        return client.request(method, path, fields).reply(method, timeout=4 * DEADLINE)


def is_plain(reply, body=HTML):
    return not reply.has("Content-Encoding") and reply.body == body


@pytest.fixture
def gw(origin, gateway):
    origin.answers(plain(HTML))
    return gateway(origin, filters=ON)


# -- the bytes


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("make", [noise, words])
@pytest.mark.parametrize("size", [1, 1024, 40_000, 2_500_000])
@pytest.mark.parametrize("framing", ["length", 100_000, 700])
def test_bytes(origin, gateway, coding, make, size, framing):
    body = make(size)
    origin.answers(plain(body) if framing == "length" else chunked(body, framing))
    reply = ask(gateway(origin, filters=[{"compress": {"min_size": 0}}]), coding)
    assert reply.header("Content-Encoding") == coding and not reply.has("Content-Length")
    assert undo(coding, reply.body) == body
    if make is words and size > 10_000:
        assert len(reply.body) < size / 1.5


@pytest.mark.parametrize("coding, level", [("gzip", 1), ("gzip", 9), ("br", 0), ("br", 8), ("zstd", 1), ("zstd", 11)])
def test_levels(origin, gateway, coding, level):
    body = words(300_000)
    origin.answers(plain(body))
    reply = ask(gateway(origin, filters=[{"compress": {"levels": {coding: level}}}]), coding)
    assert reply.header("Content-Encoding") == coding and undo(coding, reply.body) == body


@pytest.mark.parametrize("version", ["--http1.1", "--http2"])
def test_curl(origin, gateway, home, version):
    body = words(200_000)
    origin.answers(plain(body))
    gw = gateway(origin, filters=ON, run=False)
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": {"certificates": [Authority(home).leaf("localhost").pair]}}])
    gw.start()
    done = subprocess.run(["curl", "-sSk", "--compressed", version, f"https://127.0.0.1:{gw.port}/"], capture_output=True,
                          timeout=60)
    assert done.returncode == 0 and done.stdout == body, done.stderr
    assert "br" in origin.request.header("Accept-Encoding")
    assert gw.log("/")["bytes_out"] < len(body)


def test_small_chunks_that_come_together_are_compressed_together(origin, gateway):
    body = words(30_000)
    origin.answers(chunked(body, 50))
    gw = gateway(origin, filters=ON)
    whole = len(ask(gw, "gzip").body)
    origin.answers(plain(body))
    assert whole < 1.1 * len(ask(gw, "gzip").body)


def test_trailers_stay(origin, gateway):
    origin.answers(chunked(HTML, 1000, "Trailer: X-Sum", trailers=b"X-Sum: 7\r\n"))
    reply = ask(gateway(origin, filters=ON))
    assert undo("gzip", reply.body) == HTML and reply.trailer("X-Sum") == "7"


def test_an_answer_of_the_gateways_own(gateway):
    gw = gateway(routes=[{"paths": ["/*"], "respond": {"status": 200, "body": HTML.decode(), "content_type": "text/html"}}],
                 filters=ON, services={"app": {"targets": ["127.0.0.1:1"]}})
    reply = ask(gw, "br")
    assert undo("br", reply.body) == HTML and reply.header("Vary") == "Accept-Encoding"
    assert is_plain(ask(gw, None))
    bare = ask(gw, "br", method="HEAD")
    assert bare.header("Content-Encoding") == "br" and not bare.body


# -- which coding


@pytest.mark.parametrize("accept, coding", [
    ("gzip", "gzip"), ("br", "br"), ("zstd", "zstd"), ("GZIP", "gzip"), ("x-gzip", "gzip"),
    ("gzip, br, zstd", "br"), ("gzip, zstd", "zstd"), ("gzip, deflate, br, zstd", "br"),
    ("gzip;q=1.0, br;q=0.9", "gzip"), ("br;q=0.5, gzip;q=0.5", "br"), ("br;q=0.001, gzip;q=0", "br"),
    ("br;q=0, gzip", "gzip"), ("*", "br"), ("*;q=0.5, zstd", "zstd"), ("br;q=0, *", "zstd"), ("gzip ; q=0.5", "gzip"),
    (None, None), ("", None), ("identity", None), ("deflate", None), ("gzip;q=0", None), ("*;q=0", None),
    ("identity, gzip;q=0.5", None), ("identity;q=0.5, gzip;q=0.5", "gzip"), ("identity;q=0, gzip", "gzip"),
    ("identity;q=0", None), ("gzip;q=2", None), ("gzip;q=", None), ("gzip;q=0.0001", None), ("gzip;q=-1", None),
    ("gzip;q=.5", None), ("gzip;x=1", None), (",,gzip,,", "gzip"), (";q=1, br", "br"), ("gzip br", None), ("gz", None),
])
def test_what_the_client_accepts(gw, accept, coding):
    reply = ask(gw, accept)
    assert reply.header("Content-Encoding") == coding
    assert reply.header("Vary") == "Accept-Encoding"  # of what is plain as well
    assert (undo(coding, reply.body) if coding else reply.body) == HTML


def test_identity_ruled_out_overrules_the_least_size(origin, gateway):
    origin.answers(plain(b"short"))
    gw = gateway(origin, filters=ON)
    assert is_plain(ask(gw, "gzip"), b"short")
    assert undo("gzip", ask(gw, "gzip, identity;q=0").body) == b"short"


def test_the_order_of_algorithms(origin, gateway):
    origin.answers(plain(HTML))
    gw = gateway(origin, filters=[{"compress": {"algorithms": ["gzip", "zstd"]}}])
    assert ask(gw, "br, zstd, gzip").header("Content-Encoding") == "gzip"
    assert ask(gw, "br, zstd").header("Content-Encoding") == "zstd"
    assert is_plain(ask(gw, "br"))


# -- what is compressed


@pytest.mark.parametrize("kind", [
    "text/html", "TEXT/HTML;charset=x", "text/event-stream", "application/json", "application/problem+json", "image/svg+xml",
    "application/javascript ; a=b", "application/wasm", "font/ttf",
])
def test_types_that_are(origin, gateway, kind):
    origin.answers(plain(HTML, kind=kind))
    assert undo("gzip", ask(gateway(origin, filters=ON)).body) == HTML


@pytest.mark.parametrize("kind", [
    "image/png", "video/mp4", "application/zip", "application/octet-stream", "application/grpc", "application/grpc-web-text",
    "font/woff2", "text", "/html", "text/", "", None, "application/jsonp", "xtext/html",
])
def test_types_that_are_not(origin, gateway, kind):
    origin.answers(plain(HTML, kind=kind))
    reply = ask(gateway(origin, filters=ON))
    assert is_plain(reply) and not reply.has("Vary") and reply.header("Content-Length") == str(len(HTML))


def test_types_by_wish(origin, gateway):
    gw = gateway(origin, filters=[{"compress": {"types": ["application/*+cbor", "model/*"]}}])
    for kind, is_one in [("application/x+cbor", True), ("model/obj", True), ("text/html", False), ("application/+cbor", False)]:
        origin.answers(plain(HTML, kind=kind))
        assert ask(gw).has("Content-Encoding") == is_one, kind


@pytest.mark.parametrize("fields", [
    ["Content-Encoding: br"], ["Content-Encoding: x-own"], ["Cache-Control: max-age=1, no-transform"],
    ["Cache-Control: a", "cache-control: NO-TRANSFORM"], ["Set-Cookie: a=b"], ["Content-Range: bytes 0-1/9"],
])
def test_answers_that_are_left_alone(origin, gateway, fields):
    origin.answers(plain(HTML, "ETag: \"a\"", "Accept-Ranges: bytes", *fields))
    reply = ask(gateway(origin, filters=ON), "gzip")
    assert reply.body == HTML and reply.header("Content-Encoding") != "gzip"
    assert reply.header("ETag") == '"a"' and reply.header("Accept-Ranges") == "bytes"
    assert reply.header("Content-Length") == str(len(HTML))


def test_identity_is_no_coding(origin, gateway):
    origin.answers(plain(HTML, "Content-Encoding: identity"))
    assert undo("gzip", ask(gateway(origin, filters=ON)).body) == HTML


def test_cookies_by_wish(origin, gateway):
    origin.answers(plain(HTML, "Set-Cookie: a=b"))
    gw = gateway(origin, filters=[{"compress": {"cookies": True}}])
    reply = ask(gw)
    assert undo("gzip", reply.body) == HTML and reply.header("Set-Cookie") == "a=b"


@pytest.mark.parametrize("size, is_small", [(1023, True), (1024, False)])
def test_the_least_size(origin, gateway, size, is_small):
    origin.answers(plain(b"x" * size))
    reply = ask(gateway(origin, filters=ON))
    assert reply.has("Content-Encoding") != is_small and reply.header("Vary") == "Accept-Encoding"


@pytest.mark.parametrize("status", [200, 201, 404, 500])
def test_statuses_that_are(origin, gateway, status):
    origin.answers(plain(HTML, status=status))
    reply = ask(gateway(origin, filters=ON))
    assert reply.status == status and undo("gzip", reply.body) == HTML


def test_ranges_are_left_alone(origin, gateway):
    origin.answers(plain(HTML, f"Content-Range: bytes 0-{len(HTML) - 1}/{len(HTML)}", status=206))
    assert is_plain(ask(gateway(origin, filters=ON), more=[("Range", "bytes=0-")]))


def test_answers_without_a_body(origin, gateway):
    gw = gateway(origin, filters=[{"compress": {"min_size": 0}}])
    for answer in (head(status=204), head(status=304), plain(b""), chunked(b"", 1)):
        origin.answers(answer)
        reply = ask(gw)
        assert not reply.body or undo("gzip", reply.body) == b""
        assert reply.body or not reply.has("Content-Encoding")


def test_a_head_says_what_a_get_would(origin, gateway):
    origin.answers(plain(HTML, 'ETag: "a"', "Accept-Ranges: bytes"))
    gw = gateway(origin, filters=ON)
    full = ask(gw)
    origin.answers(head(f"Content-Length: {len(HTML)}", 'ETag: "a"', "Accept-Ranges: bytes"))
    bare = ask(gw, method="HEAD")
    names = ("Content-Encoding", "ETag", "Vary", "Content-Length", "Accept-Ranges", "Content-Type")
    assert [bare.header(n) for n in names] == [full.header(n) for n in names]
    assert full.header("ETag") == 'W/"a"'


# -- the head


def test_what_no_longer_holds_goes(origin, gateway):
    origin.answers(plain(HTML, "Accept-Ranges: bytes", "Content-MD5: x", "Digest: sha-256=x", "Content-Digest: x",
                         "Repr-Digest: x", "Vary: Origin", "X-Kept: 1"))
    reply = ask(gateway(origin, filters=ON))
    for gone in ("Accept-Ranges", "Content-MD5", "Digest", "Content-Digest", "Repr-Digest", "Content-Length"):
        assert not reply.has(gone), gone
    assert reply.all("Vary") == ["Origin, Accept-Encoding"] and reply.header("X-Kept") == "1"


@pytest.mark.parametrize("theirs, ours", [('"a"', 'W/"a"'), ('W/"a"', 'W/"a"'), ("odd", "odd")])
def test_tags(origin, gateway, theirs, ours):
    origin.answers(plain(HTML, f"ETag: {theirs}"))
    gw = gateway(origin, filters=ON)
    assert ask(gw).header("ETag") == ours
    assert ask(gw, None).header("ETag") == theirs


@pytest.mark.parametrize("asked, tag", [('W/"a"', 'W/"a"'), ('"a"', '"a"'), ('"b", W/"a"', 'W/"a"'), ('W/"b"', '"a"')])
def test_a_confirmation_has_the_tag_of_the_copy(origin, gateway, asked, tag):
    origin.answers(head('ETag: "a"', status=304))
    reply = ask(gateway(origin, filters=ON), more=[("If-None-Match", asked)])
    assert (reply.status, reply.header("ETag")) == (304, tag)
    assert reply.header("Vary") == ("Accept-Encoding" if tag[0] == "W" else None)
    assert origin.request.header("If-None-Match") == asked


# -- nothing waits


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("kind", ["text/event-stream", "text/html"])
def test_events_come_as_they_are_made(origin, gateway, coding, kind):
    turn = threading.Semaphore(0)
    events = [b"data: %d\n\n" % n for n in range(5)]

    @origin.on("/events")
    def stream(conn, request):
        conn.read_body(request)
        conn.send(head("Transfer-Encoding: chunked", kind=kind))
        for event in events:
            conn.send(b"%x\r\n%b\r\n" % (len(event), event))
            assert turn.acquire(timeout=DEADLINE)
        conn.send(b"0\r\n\r\n")

    decoder, seen = Decoder(coding), [b""]

    def on_data(data):
        seen[-1] += decoder.feed(data)
        if seen[-1].endswith(b"\n\n"):  # readable before the next one is made
            seen.append(b"")
            turn.release()

    client = gateway(origin, filters=ON).connect()
    client.request("GET", "/events", [("Accept-Encoding", coding)]).reply(on_data=on_data)
    assert seen == [*events, b""]


def test_a_target_that_breaks_off(origin, gateway):
    body = words(100_000)

    @origin.on("/")
    def cut(conn, request):
        conn.read_body(request)
        conn.send(plain(body)[:60_000])
        return "end"

    with pytest.raises(Ended):
        ask(gateway(origin, filters=ON))


PIECE = words(60_000)
PIECES = 800


def test_a_long_answer_to_a_slow_reader(origin, gateway):
    sent = []

    @origin.on("/long")
    def long(conn, request):
        conn.read_body(request)
        conn.send(head("Transfer-Encoding: chunked"))
        for _ in range(PIECES):
            conn.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE), 60)
            sent.append(1)
        conn.send(b"0\r\n\r\n")

    gw = gateway(origin, filters=[{"compress": {"levels": {"gzip": 1}}}])
    ask(gw, path="/")
    before = gw.resident()
    client = gw.connect(receive_buffer=4096)
    client.request("GET", "/long", [("Accept-Encoding", "gzip")])
    pause = threading.Event()

    def stands():
        count = len(sent)
        pause.wait(QUIET)
        return count and len(sent) == count

    until(stands, "the target blocked")
    assert len(sent) < PIECES
    assert gw.resident() - before < (64 if IS_SANITIZED else 4) * 1024 * 1024
    decoder, total = Decoder("gzip"), [0]

    def on_data(data):
        total[0] += len(decoder.feed(data))

    client.reply(timeout=8 * DEADLINE, on_data=on_data)
    assert total[0] == PIECES * len(PIECE)


def test_clients_that_leave(origin, gateway):
    turn = threading.Event()

    @origin.on("/wait")
    def wait(conn, request):
        conn.read_body(request)
        conn.send(head("Transfer-Encoding: chunked") + b"5\r\nhello\r\n")
        turn.wait(DEADLINE)
        conn.send(b"5\r\nworld\r\n0\r\n\r\n")

    gw = gateway(origin, filters=ON)
    clients = [gw.connect() for _ in range(9)]
    for client, coding in zip(clients, CODINGS * 3):
        client.request("GET", "/wait", [("Accept-Encoding", coding)]).head()
    for client in clients:
        client.reset()
    until(lambda: gw.metric("sluice_http_requests_in_flight") == 0, "all of them gone")
    turn.set()
    origin.answers(plain(HTML))
    assert undo("zstd", ask(gw, "zstd").body) == HTML  # and no leak, which a sanitizer would tell


# -- the configuration


@pytest.mark.parametrize("keys, words", [
    ({"algorithms": ["deflate"]}, "is not one of br, zstd, gzip"),
    ({"algorithms": ["br", "gzip", "br"]}, "is written twice"),
    ({"types": ["text"]}, "is not a media type"),
    ({"types": ["*/html"]}, "is not a media type"),
    ({"types": ["text/ht*ml"]}, "is not a media type"),
    ({"types": ["text/html; a=b"]}, "is not a media type"),
    ({"levels": {"gzip": 10}}, "is too large"),
    ({"levels": {"br": 9}}, "is too large"),
    ({"levels": {"zstd": 0}}, "is too small"),
    ({"min_size": "big"}, "is not a size"),
])
def test_what_the_check_refuses(origin, gateway, keys, words):
    gw = gateway(origin, filters=[{"compress": keys}], run=False)
    done = gw.cli("check", gw.file)
    assert done.code == 2 and words in done.err, done
