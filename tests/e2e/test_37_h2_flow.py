# SPDX-License-Identifier: Apache-2.0
"""Flow control through the gateway, with HTTP/2 on either side or both: a slow end slows the other one, memory
stays what it was, and every byte arrives."""

import hashlib
import random
import threading

import pytest

from lib.client import Client
from lib.h2flood import Memory
from lib.h2frames import INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE
from lib.h2peer import H2Client
from lib.wait import DEADLINE, QUIET, until

BODY = random.Random(4).randbytes(8 << 20)
SUM = hashlib.sha256(BODY).digest()
FLAT = 4 << 20  # what a few streams may hold in all
ROUTES = [("h2", "h2"), ("http1", "h2"), ("h2", "http1")]


class Way:
    """A client of one version, a gateway, a target of one version."""

    def __init__(self, gateway, origins, h2origins, pair, values=()):
        self.client_version, version = pair
        self.origin = h2origins(values=values) if version == "h2" else origins()
        self.gw = gateway(self.origin.address, service={"protocol": version}, timeouts={"body_rate": "off"})
        self.is_h2 = version == "h2"

    def on(self, path, serve):
        """serve(read, write) answers: read() gives pieces and b"" at the end, write(data) sends."""

        def over_h2(stream):
            stream.send_head([(":status", "200")])
            serve(lambda: stream.read(120), lambda data: stream.send_data(data, timeout=120))
            stream.send_data(b"", True)

        def over_h1(conn, request):
            conn.keep_received = False
            conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            serve(_reader(conn, request), lambda data: conn.send(b"%x\r\n%b\r\n" % (len(data), data), 120))
            conn.send("0\r\n\r\n")

        self.origin.on(path)(over_h2 if self.is_h2 else over_h1)

    def client(self, **options):
        address = "127.0.0.1", self.gw.port
        return H2Client(address, **options) if self.client_version == "h2" else Client(address, **options)


def _reader(conn, request):
    """The body of an HTTP/1.1 request piece by piece."""
    pieces, more = [], threading.Semaphore(0)

    def gather():
        def keep(data):
            pieces.append(data)
            more.release()

        conn.read_body(request, 120, on_data=keep)
        keep(b"")

    threading.Thread(target=gather, daemon=True).start()

    def read():
        assert more.acquire(timeout=120)
        return pieces.pop(0)

    return read


@pytest.fixture(params=ROUTES, ids=[f"{a} to {b}" for a, b in ROUTES])
def way(request, gateway, origins, h2origins):
    return lambda **options: Way(gateway, origins, h2origins, request.param, **options)


def upload(client, path, body, timeout=60):
    if isinstance(client, H2Client):
        stream = client.begin("POST", path)
        stream.send_data(body, True, timeout=timeout)
        return stream.reply(timeout)
    client.keep_received = False
    sender = threading.Thread(target=client.request, args=("POST", path, (), body), daemon=True)
    sender.start()
    reply = client.reply("POST", timeout)
    sender.join(timeout)
    return reply


def download(client, path, on_data, timeout=60):
    if isinstance(client, H2Client):
        return client.request("GET", path).reply(timeout, on_data)
    client.keep_received = False
    return client.request("GET", path).reply("GET", timeout, on_data)


def test_a_large_upload_arrives(way):
    one = way()
    got = hashlib.sha256()

    def serve(read, write):
        while data := read():
            got.update(data)

    one.on("/up", serve)
    with one.client() as client:
        assert upload(client, "/up", BODY).status == 200
    assert got.digest() == SUM


def test_a_large_download_arrives(way):
    one = way()
    one.on("/down", lambda read, write: [write(BODY[i : i + 50_000]) for i in range(0, len(BODY), 50_000)])
    got = hashlib.sha256()
    with one.client() as client:
        assert download(client, "/down", got.update).status == 200
    assert got.digest() == SUM


def test_large_bodies_both_ways_at_once(gateway, h2origin):
    @h2origin.on("/echo")
    def echo(stream):
        stream.send_head([(":status", "200")])
        while data := stream.read(60):
            stream.send_data(data, timeout=60)
        stream.send_data(b"", True)

    gw = gateway(h2origin.address, service={"protocol": "h2"}, timeouts={"body_rate": "off"})
    got = hashlib.sha256()
    with H2Client(("127.0.0.1", gw.port)) as client:
        stream = client.begin("POST", "/echo")
        sender = threading.Thread(target=stream.send_data, args=(BODY, True, 60), daemon=True)
        sender.start()
        stream.reply(60, got.update)
        sender.join(60)
    assert got.digest() == SUM


@pytest.mark.parametrize("window", [1, 100, 16_384])
def test_a_target_with_small_windows_gets_the_upload(gateway, h2origins, window):
    origin = h2origins(values={INITIAL_WINDOW_SIZE: window})
    body = BODY[: window * 200]
    gw = gateway(origin.address, service={"protocol": "h2"}, timeouts={"body_rate": "off"})
    with Client(("127.0.0.1", gw.port)) as client:
        assert upload(client, "/up", body).status == 200
    assert origin.request.body == body


@pytest.mark.parametrize("window", [1, 100, 16_384])
def test_a_client_with_small_windows_gets_the_download(gateway, h2origin, window):
    body = BODY[: window * 200]

    @h2origin.on("/down")
    def down(stream):
        stream.respond(200, body)

    gw = gateway(h2origin.address, service={"protocol": "h2"}, timeouts={"body_rate": "off"})
    with H2Client(("127.0.0.1", gw.port), values={INITIAL_WINDOW_SIZE: window}) as client:
        assert client.get("/down", timeout=60).body == body


def test_large_frames_of_the_target(gateway, h2origins):
    origin = h2origins(values={MAX_FRAME_SIZE: 1 << 20, INITIAL_WINDOW_SIZE: 1 << 20}, window=1 << 20)
    gw = gateway(origin.address, service={"protocol": "h2"})
    with Client(("127.0.0.1", gw.port)) as client:
        assert upload(client, "/up", BODY[: 1 << 20]).status == 200
    assert origin.request.body == BODY[: 1 << 20]


def stalls(progress):
    """Waits until `progress()` no longer moves; gives where it stands."""
    pause = threading.Event()

    def stands():
        before = progress()
        pause.wait(QUIET)
        return before and progress() == before and before

    return until(stands, "the sender blocked", 2 * DEADLINE)


def test_a_client_that_does_not_read_makes_the_target_wait(way):
    one = way()
    size, sent, got = 64 << 20, [0], [0]
    piece = BODY[: 1 << 16]

    def serve(read, write):
        for _ in range(size // len(piece)):
            write(piece)
            sent[0] += len(piece)

    one.on("/down", serve)
    one.gw.get("/")
    with Memory(one.gw.edge, FLAT), one.client(receive_buffer=65536) as client:
        if isinstance(client, H2Client):
            stream = client.request("GET", "/down")
            stream.wait_head()
        else:
            client.keep_received = False
            client.request("GET", "/down")
        assert stalls(lambda: sent[0]) < size / 4, "the target was not slowed"

        def count(data):
            got[0] += len(data)

        if isinstance(client, H2Client):
            stream.reply(120, count)
        else:
            client.reply("GET", 120, count)
    assert got[0] == size


def test_a_target_that_does_not_read_makes_the_client_wait(way):
    one = way()
    size, sent, got, go = 64 << 20, [0], [0], threading.Event()
    piece = BODY[: 1 << 16]

    def serve(read, write):
        go.wait(120)
        while data := read():
            got[0] += len(data)

    one.gw.get("/")
    if one.is_h2:
        one.on("/up", serve)
    else:  # the socket itself must not be read
        @one.origin.on("/up")
        def up(conn, request):
            conn.keep_received = False
            go.wait(120)
            conn.read_body(request, 120, on_data=lambda data: got.__setitem__(0, got[0] + len(data)))
            conn.respond(200, b"")

    with Memory(one.gw.edge, FLAT), one.client() as client:
        def send(write):
            for _ in range(size // len(piece)):
                write(piece)
                sent[0] += len(piece)

        if isinstance(client, H2Client):
            stream = client.begin("POST", "/up", [("content-length", str(size))])
            write = lambda data: stream.send_data(data, timeout=120)  # noqa: E731
        else:
            client.send(f"POST /up HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n")
            write = lambda data: client.send(data, 120)  # noqa: E731
        sender = threading.Thread(target=send, args=(write,), daemon=True)
        sender.start()
        assert stalls(lambda: sent[0]) < size / 2, "the client was not slowed"
        go.set()
        sender.join(120)
        if isinstance(client, H2Client):
            stream.send_data(b"", True)
            assert stream.reply(60).status == 200
        else:
            assert client.reply("POST", 60).status == 200
    assert got[0] == size


def test_a_stream_that_stalls_does_not_stall_its_neighbours(gateway, h2origin):
    """All share one connection to the target: one client that does not read must not stop the others."""

    @h2origin.on("/big")
    def big(stream):
        stream.send_head([(":status", "200")])
        stream.send_data(bytes(32 << 20), True, timeout=120)

    @h2origin.on("/small")
    def small(stream):
        stream.respond(200, BODY[:200_000])

    gw = gateway(h2origin.address, service={"protocol": "h2"}, timeouts={"body_rate": "off"})
    address = "127.0.0.1", gw.port
    with H2Client(address) as stalled, Client(address, receive_buffer=4096) as other, H2Client(address) as client:
        streams = [stalled.request("GET", "/big") for _ in range(3)]
        other.request("GET", "/big")
        for stream in streams:
            stream.wait_head()
        for _ in range(20):
            assert client.get("/small").body == BODY[:200_000]
    assert len(h2origin.connections) <= 2


def test_an_upload_that_stalls_does_not_stall_its_neighbours(gateway, h2origins):
    h2origin = h2origins(window=1 << 20)  # the target leaves room for others
    go = threading.Event()

    @h2origin.on("/slow")
    def slow(stream):
        go.wait(60)
        stream.read_body(60)
        stream.respond(200, b"ok")

    @h2origin.on("/echo")
    def echo(stream):
        stream.respond(200, stream.read_body())

    gw = gateway(h2origin.address, service={"protocol": "h2"}, timeouts={"body_rate": "off"})
    with H2Client(("127.0.0.1", gw.port)) as client:
        stalled = client.begin("POST", "/slow")
        threading.Thread(target=_quietly, args=(stalled,), daemon=True).start()
        h2origin.wait_heads(1)
        with H2Client(("127.0.0.1", gw.port)) as other:
            for _ in range(10):
                assert other.post("/echo", BODY[:20_000]).body == BODY[:20_000]
        go.set()
        assert stalled.reply(60).status == 200


def _quietly(stream):
    stream.send_data(bytes(120_000), True, timeout=60)


def test_window_of_cancelled_answers_is_given_back_to_the_target(gateway, h2origin):
    """Answers that nobody wants any more must not eat the connection's window."""
    started = []

    @h2origin.on("/big")
    def big(stream):
        stream.send_head([(":status", "200")])
        started.append(stream)
        stream.send_data(bytes(8 << 20), True, timeout=30)

    gw = gateway(h2origin.address, service={"protocol": "h2"}, timeouts={"body_rate": "off"})
    for at in range(30):
        with H2Client(("127.0.0.1", gw.port)) as client:
            stream = client.request("GET", "/big")
            stream.wait_head()
            until(lambda n=at: len(started) > n, "the target began")
    with H2Client(("127.0.0.1", gw.port)) as client:
        assert client.request("GET", "/").reply().status == 200
        got = [0]
        client.request("GET", "/big").reply(60, lambda data: got.__setitem__(0, got[0] + len(data)))
        assert got[0] == 8 << 20
    assert len(h2origin.connections) == 1
