# SPDX-License-Identifier: Apache-2.0
"""Clients that look a little like a flood and are none: none of them may be cut."""

import hashlib
import random
import threading

from lib.h2frames import INITIAL_WINDOW_SIZE, PING, frame, number
from lib.h2peer import H2Client


def client_of(gw, **options):
    return H2Client(("127.0.0.1", gw.port), **options).settle()


def test_a_browser_that_cancels_some_streams(gateway, origin):
    """Pages of 30 requests, of which every third is cancelled, as by a user who clicks on."""

    @origin.on("/image")
    def image(conn, request):
        conn.read_body(request)
        conn.respond(200, bytes(20_000))

    gw = gateway(origin)
    with client_of(gw, window=1 << 20) as client:
        for _ in range(20):
            asked = [client.request("GET", "/image") for _ in range(30)]
            for stream in asked[::3]:
                stream.reset()
            for at, stream in enumerate(asked):
                if at % 3:
                    assert len(stream.reply().body) == 20_000
        assert not client.goaways


def test_a_search_that_cancels_each_key_stroke(gateway, origin):
    """One request after another, each cancelled by the next, with a whole one now and then."""

    @origin.on("/suggest")
    def suggest(conn, request):
        conn.wait_end(60)
        return "end"

    gw = gateway(origin)
    with client_of(gw) as client:
        for _ in range(10):
            for _ in range(8):
                client.request("GET", "/suggest").reset()
            assert client.get("/whole").status == 200
        assert not client.goaways


def test_a_download_with_many_window_updates(gateway, origin):
    size = 8 << 20
    body = random.Random(1).randbytes(size)

    @origin.on("/down")
    def down(conn, request):
        conn.read_body(request)
        conn.respond(200, body)

    gw = gateway(origin)
    with client_of(gw, values={INITIAL_WINDOW_SIZE: 4096}) as client:  # an update each 2 KiB
        got = hashlib.sha256()
        client.request("GET", "/down").reply(timeout=60, on_data=got.update)
        assert got.digest() == hashlib.sha256(body).digest()
        assert not client.goaways and client.get("/").status == 200


def test_an_upload_in_small_frames(gateway, origin):
    size, seen = 4 << 20, hashlib.sha256()

    @origin.on("/up")
    def up(conn, request):
        conn.read_body(request, 60, on_data=seen.update)
        conn.respond(200, b"ok")

    gw = gateway(origin)
    body = random.Random(2).randbytes(size)
    with client_of(gw) as client:
        stream = client.begin("POST", "/up")
        stream.send_data(body, True, timeout=60, size=1000)
        assert stream.reply(timeout=60).status == 200
        assert seen.digest() == hashlib.sha256(body).digest()
        assert not client.goaways


def test_several_uploads_and_downloads_at_once(gateway, origin):
    body = random.Random(3).randbytes(1 << 20)

    @origin.on("/echo")
    def echo(conn, request):
        conn.read_body(request, 60)
        conn.respond(200, request.body)

    gw = gateway(origin)
    failures = []

    def one(client):
        try:
            stream = client.begin("POST", "/echo")
            stream.send_data(body, True, timeout=60)
            assert stream.reply(timeout=60).body == body
        except BaseException as error:
            failures.append(error)

    with client_of(gw) as client:
        threads = [threading.Thread(target=one, args=(client,)) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(120)
        assert not failures, failures[:3]
        assert not client.goaways


def test_pings_beside_data(gateway, origin):
    """As gRPC measures the bandwidth: a PING for each burst of data."""

    @origin.on("/rpc")
    def rpc(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        conn.read_body(request, 60, on_data=lambda data: conn.send(b"%x\r\n%b\r\n" % (len(data), data)))
        conn.send("0\r\n\r\n")

    gw = gateway(origin)
    with client_of(gw) as client:
        stream = client.begin("POST", "/rpc")
        for at in range(500):
            message = b"message %06d" % at
            stream.send_data(message)
            client.send(frame(PING, 0, 0, number(at) * 2))
            assert stream.exactly(len(message)) == message
        stream.send_data(b"", True)
        assert stream.read() == b""
        assert not client.goaways
        client.wait(lambda: len(client.pings) >= 500, "an answer to each PING")


def test_a_keep_alive_ping_now_and_then_on_a_quiet_stream(gateway, origin):
    let_go = threading.Event()

    @origin.on("/quiet")
    def quiet(conn, request):
        let_go.wait(60)
        conn.respond(200, b"at last")

    gw = gateway(origin)
    with client_of(gw) as client:
        stream = client.request("GET", "/quiet")
        for _ in range(30):
            client.ping()
        let_go.set()
        assert stream.reply().body == b"at last"
        assert not client.goaways


def test_a_chat_of_small_data_frames(gateway, origin):
    """10,000 frames of one byte: small, and none of them empty."""

    @origin.on("/chat")
    def chat(conn, request):
        conn.read_body(request, 60)
        conn.respond(200, str(len(request.body)).encode())

    gw = gateway(origin)
    with client_of(gw) as client:
        stream = client.begin("POST", "/chat")
        stream.send_data(b"c" * 10_000, True, timeout=60, size=1)
        assert stream.reply(timeout=60).body == b"10000"
        assert not client.goaways
