# SPDX-License-Identifier: Apache-2.0
"""Every pairing of client {http1, h2} and target {http1, h2}, plain and TLS, by the programs that people use and by
our own ends, with writes of one byte and of 64 KiB."""

import asyncio
import random
import re
import ssl
import subprocess

import pytest
import websockets

from lib import websocket
from lib.pairing import CLIENTS, TARGETS, Pairing
from lib.wait import DEADLINE, SLOW, until

BODY = random.Random(5).randbytes(1 << 20)
ALL = [(c, t) for c in CLIENTS for t in TARGETS]
PIECES = [0, 1, 65536]


@pytest.fixture
def pairing(gateway, ports):
    """pairing((client, target), piece=...)."""
    made = []

    def make(pair, **options):
        made.append(Pairing(gateway, ports, pair, **options))
        return made[-1]

    yield make
    for one in made:
        one.gw.stop()
        one.close()


@pytest.fixture(params=ALL, ids=[f"{c} to {t}" for c, t in ALL])
def one(request, pairing):
    return pairing(request.param)


def run(*words, timeout=60 * SLOW):
    done = subprocess.run(words, capture_output=True, timeout=timeout, check=False)
    assert done.returncode == 0, (words, done.stdout[-500:], done.stderr[-1000:])
    return done.stdout


# -- our own ends


def test_a_get(one):
    reply = one.ask()
    assert (reply.status, reply.body) == (200, b"ok")


def test_a_post_of_1_mib_and_its_echo(one):
    reply = one.ask("POST", "/echo", BODY, timeout=60)
    assert reply.status == 200 and reply.body == BODY


def test_trailers_both_ways(one):
    reply = one.ask("POST", "/echo", b"abc", [("x-sum", "42")])
    assert reply.body == b"abc"
    assert [(n.lower(), v) for n, v in reply.trailers] == [("x-echo", "1"), ("x-sum", "42")]


def test_the_scheme_that_the_target_sees(one):
    one.ask("GET", "/scheme")
    (request,) = until(lambda: [r for r in one.origin.requests if r.path == "/scheme"],
                       "the target has the request")
    assert request.header("x-forwarded-proto") == ("https" if one.is_tls else "http")


@pytest.mark.parametrize("piece", PIECES[1:])
@pytest.mark.parametrize("pair", ALL, ids=[f"{c} to {t}" for c, t in ALL])
def test_bodies_and_trailers_in_pieces(pairing, pair, piece):
    one = pairing(pair, piece=piece)
    body = BODY if piece > 1 else BODY[:3000]
    reply = one.ask("POST", "/echo", body, [("x-sum", "42")], timeout=60)
    assert reply.status == 200 and reply.body == body
    assert [(n.lower(), v) for n, v in reply.trailers] == [("x-echo", "1"), ("x-sum", "42")]


# -- WebSocket


class Socket:
    """The client's end, by Upgrade or by extended CONNECT."""

    def __init__(self, one):
        self.client = one.connect()
        if one.is_h2:
            assert self.client.settle().peer.get(8) == 1, "extended CONNECT is not offered (RFC 8441)"
            stream = self.client.tunnel("/ws", headers=[("sec-websocket-version", "13"), ("origin", "http://a")])
            assert stream.wait_head(DEADLINE).status == 200, stream
            self.exactly, self.send = stream.exactly, stream.send_data
        else:
            key = websocket.new_key()
            reply = self.client.request("GET", "/ws", upgrade(key)).head()
            assert reply.status == 101, reply
            assert reply.header("Sec-WebSocket-Accept") == websocket.accept_of(key)
            self.exactly = lambda size: self.client.exactly(size, "a message", 60)
            self.send = self.client.send

    def talk(self, *messages):
        for data in messages:
            self.send(websocket.message(websocket.BINARY, data, True))
            assert websocket.read(self.exactly) == (websocket.BINARY, data, False)

    def close(self):
        self.send(websocket.message(websocket.CLOSE, b"\x03\xe8", True))
        assert websocket.read(self.exactly) == (websocket.CLOSE, b"\x03\xe8", False)
        self.client.close()


@pytest.mark.parametrize("piece", PIECES)
@pytest.mark.parametrize("pair", ALL, ids=[f"{c} to {t}" for c, t in ALL])
def test_a_websocket_echoes(pairing, pair, piece):
    one = pairing(pair, piece=piece)
    socket = Socket(one)
    socket.talk(b"hello", b"", b"x" * 200, BODY[:1000] if piece == 1 else BODY[:300_000])
    socket.close()


@pytest.mark.parametrize("pair", [p for p in ALL if p[0].endswith("h2")], ids=lambda p: " to ".join(p))
def test_websockets_beside_requests_on_one_connection(pairing, pair):
    one = pairing(pair)
    with one.connect() as client:
        client.settle()
        tunnels = [client.tunnel("/ws", headers=[("sec-websocket-version", "13")]) for _ in range(5)]
        for at, tunnel in enumerate(tunnels):
            assert tunnel.wait_head().status == 200
            tunnel.send_data(websocket.message(websocket.TEXT, b"%d" % at, True))
            assert client.get("/").status == 200
        for at, tunnel in reversed(list(enumerate(tunnels))):
            assert websocket.read(tunnel.exactly) == (websocket.TEXT, b"%d" % at, False)


@pytest.mark.parametrize("pair", [p for p in ALL if p[1].endswith("http1")], ids=lambda p: " to ".join(p))
def test_a_target_that_does_not_know_websockets(pairing, pair):
    """It answers 200 as to any GET; that never looks like an open tunnel: no 101, no 2xx to extended CONNECT."""
    one = pairing(pair)
    with one.connect() as client:
        if one.is_h2:
            stream = client.settle().tunnel("/", headers=[("sec-websocket-version", "13")])
            assert stream.wait_head().status >= 300, stream
        else:
            assert client.request("GET", "/", upgrade()).reply().body == b"ok"


@pytest.mark.parametrize("pair", ALL, ids=[f"{c} to {t}" for c, t in ALL])
def test_a_target_that_refuses_a_websocket(pairing, pair):
    one = pairing(pair)

    @one.origin.on("/no")
    def refuse(end, request=None):
        end.respond(403, b"not for you")

    with one.connect() as client:
        if one.is_h2:
            reply = client.settle().tunnel("/no", headers=[("sec-websocket-version", "13")]).reply()
        else:
            reply = client.request("GET", "/no", upgrade()).reply()
        assert (reply.status, reply.body) == (403, b"not for you")


def upgrade(key=None):
    return [("Connection", "Upgrade"), ("Upgrade", "websocket"), ("Sec-WebSocket-Version", "13"),
            ("Sec-WebSocket-Key", key or websocket.new_key())]


@pytest.mark.parametrize("pair", [p for p in ALL if p[0].endswith("http1")], ids=lambda p: " to ".join(p))
def test_a_websocket_by_a_library(pairing, pair):
    one = pairing(pair)
    context = one.certificates.client() if one.is_tls else None
    if context:
        context = ssl.create_default_context(cafile=one.certificates.authority.file)

    async def talk():
        scheme = "wss" if one.is_tls else "ws"
        url = f"{scheme}://localhost:{one.address[1]}/ws"
        async with websockets.connect(url, ssl=context, max_size=None,
                                      host="127.0.0.1", compression=None) as socket:
            for message in ("hello", b"\0\1", "x" * 200_000):
                await socket.send(message)
                assert await socket.recv() == message

    asyncio.run(asyncio.wait_for(talk(), 30 * SLOW))


# -- the programs that people use


def curl(one, *words):
    version = {"http1": ["--http1.1"], "h2": ["--http2-prior-knowledge"], "https-http1": ["--http1.1"],
               "https-h2": ["--http2"]}[one.client_kind]
    return run("curl", "-sS", "--fail", "--max-time", "50", "--cacert", str(one.certificates.authority.file), *version,
               *words)


def test_curl_gets(one):
    out = curl(one, "-w", "%{http_version} %{response_code}", f"{one.url}/")
    assert out.decode() == f"ok{'2' if one.is_h2 else '1.1'} 200"


def test_curl_posts_1_mib(one, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(BODY)
    assert curl(one, "--data-binary", f"@{file}", f"{one.url}/echo") == BODY


def test_curl_uploads_without_a_length(one, tmp_path):
    file = tmp_path / "body"
    file.write_bytes(BODY)
    chunked = [] if one.is_h2 else ["-H", "Transfer-Encoding: chunked"]
    assert curl(one, "-X", "POST", *chunked, "-T", str(file), f"{one.url}/echo") == BODY


@pytest.mark.parametrize("pair", [p for p in ALL if p[0].endswith("h2")], ids=lambda p: " to ".join(p))
def test_nghttp_gets(pairing, pair):
    one = pairing(pair)
    urls = [f"{one.url}/{i}" for i in range(20)]
    assert run("nghttp", "--no-verify-peer", *urls) == b"ok" * 20


@pytest.mark.parametrize("pair", [p for p in ALL if p[0].endswith("h2")], ids=lambda p: " to ".join(p))
def test_nghttp_posts_with_trailers(pairing, pair, tmp_path):
    one = pairing(pair)
    file = tmp_path / "body"
    file.write_bytes(BODY)
    words = ["--no-verify-peer", "--no-content-length", "-d", str(file), "--trailer", "x-sum: 42"]
    assert run("nghttp", *words, f"{one.url}/echo") == BODY
    assert next(r for r in one.origin.requests if r.path == "/echo").trailer("x-sum") == "42"


def test_h2load_loses_none(one):
    count = 3000
    version = ["--h1"] if not one.is_h2 else ["-m", "16"]
    out = run("h2load", "-n", str(count), "-c", "8", *version, f"{one.url}/").decode()
    numbers = re.search(r"requests: (\d+) total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed", out)
    assert numbers and numbers.groups() == (str(count), str(count), "0"), out
    assert f"status codes: {count} 2xx" in out, out
