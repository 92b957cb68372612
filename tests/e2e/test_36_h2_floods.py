# SPDX-License-Identifier: Apache-2.0
"""Floods: the abuser is cut, memory stays flat, and a neighbour on another connection is served throughout."""

import threading

import pytest

from lib.gateway import full_listener
from lib.h2flood import Abuser, Memory, Neighbour
from lib.h2frames import (
    COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, FRAME, GOAWAY, HEADERS,
    INITIAL_WINDOW_SIZE, INTERNAL_ERROR, MAX_CONCURRENT_STREAMS, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR,
    REFUSED_STREAM, RST_STREAM, SETTINGS, STREAM_CLOSED, RawClient, frame, literal, number, priority, request_fields,
    reset, settings, update,
)
from lib.wait import DEADLINE, ms, until

CALM = (ENHANCE_YOUR_CALM,)
SLOW = literal(*request_fields(path="/slow"))
POST = literal(*request_fields("POST", "/slow"))
LAST = END_HEADERS | END_STREAM


class Scene:
    """A gateway, a neighbour that is served all the while, and a watch on memory."""

    def __init__(self, gateway, origin):
        @origin.on("/slow")
        def slow(conn, request):
            conn.wait_end(60)
            return "end"

        self.later = threading.Event()

        @origin.on("/later")
        def later(conn, request):
            self.later.wait(60)
            conn.respond(200, b"now")

        self.origin = origin
        self.gw = gateway(origin)
        with RawClient(self.address) as client:  # what is allocated once has been
            client.settle()
            for _ in range(50):
                client.expect_served()
        self.neighbour = Neighbour(self.gw).__enter__()
        self.memory = Memory(self.gw.edge).__enter__()
        self.abusers = []

    @property
    def address(self):
        return "127.0.0.1", self.gw.port

    def abuser(self, **options):
        self.abusers.append(Abuser(self.address, **options))
        return self.abusers[-1]

    def end(self, kind=None):
        self.neighbour.__exit__(kind)
        for abuser in self.abusers:
            abuser.close()
        if not kind:
            self.memory.__exit__(None)
            assert len(self.gw.edges()) == 1 and self.gw.edge == self.memory.pid, "the edge was restarted"


@pytest.fixture
def scene(gateway, origin):
    made = Scene(gateway, origin)
    yield made
    made.end()


def streams(count):
    return range(1, 2 * count, 2)


# -- floods that end in a cut


def test_rapid_reset(scene):
    """CVE-2023-44487: requests that are cancelled at once."""
    abuser = scene.abuser()
    abuser.flood(frame(HEADERS, LAST, s, SLOW) + reset(s) for s in streams(5000))
    abuser.expect_cut(*CALM)


def test_what_was_cut_is_counted_by_reason(scene):
    abuser = scene.abuser()
    abuser.flood(frame(HEADERS, LAST, s, SLOW) + reset(s) for s in streams(5000))
    abuser.expect_cut(*CALM)
    scene.gw.wait_metric("sluice_connections_aborted_total", 1, reason="too_much_abuse")
    with RawClient(scene.address) as broken:
        broken.settle()
        broken.send(frame(HEADERS, END_HEADERS | END_STREAM, 1, b"\xff" * 20))  # no HPACK
        broken.expect_goaway(COMPRESSION_ERROR)
    scene.gw.wait_metric("sluice_connections_aborted_total", 1, reason="frame_invalid")


def test_rapid_reset_in_big_batches(scene):
    abuser = scene.abuser()
    batch = 100
    whole = [frame(HEADERS, LAST, s, SLOW) + reset(s) for s in streams(5000)]
    abuser.flood(b"".join(whole[i : i + batch]) for i in range(0, len(whole), batch))
    abuser.expect_cut(*CALM)


def test_rapid_reset_does_not_flood_the_target(scene):
    abuser = scene.abuser()
    abuser.flood(b"".join(frame(HEADERS, LAST, s, SLOW) + reset(s) for s in streams(5000)) for _ in range(1))
    abuser.expect_cut(*CALM)
    assert len([r for r in scene.origin.heads if r.path == "/slow"]) <= 2000


MADE = {
    "window overflow": lambda s: frame(HEADERS, LAST, s, SLOW) + update(s, (1 << 31) - 1),
    "zero increment": lambda s: frame(HEADERS, LAST, s, SLOW) + update(s, 0),
    "data after the end": lambda s: frame(HEADERS, LAST, s, SLOW) + frame(DATA, 0, s, b"x"),
    "headers after the end": lambda s: frame(HEADERS, LAST, s, SLOW) + frame(HEADERS, LAST, s, literal(("x-a", "1"))),
    "malformed request": lambda s: frame(HEADERS, LAST, s, SLOW + literal(("connection", "close"))),
    "wrong length": lambda s: frame(HEADERS, END_HEADERS, s, POST + literal(("content-length", "1")))
    + frame(DATA, END_STREAM, s, b"xy"),
    "priority of the wrong size": lambda s: frame(HEADERS, LAST, s, SLOW) + frame(PRIORITY, 0, s, b"1234"),
}


@pytest.mark.parametrize("made", MADE.values(), ids=MADE)
def test_made_you_reset(scene, made):
    """CVE-2025-8671: the client provokes the server's own resets, and the target works for nothing."""
    abuser = scene.abuser()
    abuser.flood(made(s) for s in streams(5000))
    codes = (*CALM, PROTOCOL_ERROR, STREAM_CLOSED, FLOW_CONTROL_ERROR, 6)  # a connection error at once is fine too
    abuser.expect_cut(*codes)


def test_continuation_flood(scene):
    """CVE-2024-27316: a header block without end."""
    abuser = scene.abuser()
    abuser.send(frame(HEADERS, END_STREAM, 1, SLOW))
    piece = literal(*((f"x-{i}", "y" * 100) for i in range(100)))
    sent = abuser.flood(frame(CONTINUATION, 0, 1, piece) for _ in range(20_000))
    assert sent < 20_000
    abuser.expect_cut(*CALM, PROTOCOL_ERROR, INTERNAL_ERROR, 9)


def test_empty_continuation_flood(scene):
    abuser = scene.abuser()
    abuser.send(frame(HEADERS, END_STREAM, 1, SLOW))
    few = b"".join(frame(CONTINUATION, 0, 1) for _ in range(100))
    sent = abuser.flood(few for _ in range(20_000))  # 18 MB: more than lies in the kernel on the way
    assert sent < 20_000
    abuser.expect_cut(*CALM, PROTOCOL_ERROR, INTERNAL_ERROR)


def test_a_value_that_goes_on_over_continuations(scene):
    """One field whose length claims more than is allowed."""
    abuser = scene.abuser()
    abuser.send(frame(HEADERS, END_STREAM, 1, SLOW + b"\x00\x01x\x7f\x81\xff\xff\x07"))  # 16 MiB of value
    abuser.flood(frame(CONTINUATION, 0, 1, b"y" * 8192) for _ in range(2_000))
    abuser.expect_cut(*CALM, PROTOCOL_ERROR, INTERNAL_ERROR, 9)


def bomb():
    """An entry of 4,000 bytes in the table, and a block of references to it: 64 MB in 16 KB."""
    entry = b"\x40\x01x\x7f" + b"\xa1\x1e" + b"a" * 4000
    return entry, b"\xbe" * (FRAME - len(SLOW))


def test_an_hpack_bomb_is_refused(scene):
    """Refused as too large, again and again, until the abuser is cut or goes away."""
    abuser = scene.abuser()
    entry, references = bomb()
    abuser.send(frame(HEADERS, LAST, 1, literal(*request_fields()) + entry))
    abuser.flood(frame(HEADERS, LAST, s, SLOW + references) for s in range(3, 4000, 2))
    until(lambda: abuser.came[HEADERS] + abuser.came[RST_STREAM] > 1 or abuser.ended, "a reaction")
    assert not [r for r in scene.origin.heads if r.path == "/slow"]


PIECES = {
    "ping": lambda: b"".join(frame(PING, 0, 0, number(i) * 2) for i in range(100)),
    "ping answers": lambda: frame(PING, 1, 0, bytes(8)) * 100,
    "settings": lambda: settings() * 100,
    "settings with values": lambda: settings([(INITIAL_WINDOW_SIZE, 65535)] * 100) * 10,
    "settings answers": lambda: settings(flags=1) * 100,
    "priority": lambda: b"".join(frame(PRIORITY, 0, s, priority(0)) for s in streams(100)),
    "window updates of the connection": lambda: update(0, 1) * 100,
    "unknown frames": lambda: frame(0x42, 0, 0, b"") * 100,
}


@pytest.mark.parametrize("piece", PIECES.values(), ids=PIECES)
def test_a_flood_of_control_frames(scene, piece):
    abuser = scene.abuser()
    data = piece()
    abuser.flood(data for _ in range(5_000))
    abuser.expect_cut(*CALM, PROTOCOL_ERROR)


@pytest.mark.parametrize("piece", [PIECES["ping"], PIECES["settings"]], ids=["ping", "settings"])
def test_a_flood_whose_answers_are_not_read(scene, piece):
    """CVE-2019-9512, 9515: what waits to be written must not grow."""
    abuser = scene.abuser(reads=False, receive_buffer=4096)
    abuser.answers = False
    data = piece()
    abuser.flood(data for _ in range(5_000))
    abuser.expect_cut(*CALM, PROTOCOL_ERROR)


FRAMES = {
    "empty data": lambda s: frame(DATA, 0, s) * 100,
    "padded empty data": lambda s: frame(DATA, PADDED, s, b"\0") * 100,
    "window updates of a stream": lambda s: update(s, 1) * 100,
    "priority of one stream": lambda s: frame(PRIORITY, 0, s, priority(0)) * 100,
}


@pytest.mark.parametrize("piece", FRAMES.values(), ids=FRAMES)
def test_a_flood_on_one_stream(scene, piece):
    """CVE-2019-9518 and kin: frames that carry nothing, on a request that stays open."""
    abuser = scene.abuser()
    abuser.send(frame(HEADERS, END_HEADERS, 1, POST))
    data = piece(1)
    abuser.flood(data for _ in range(5_000))
    abuser.expect_cut(*CALM, PROTOCOL_ERROR, FLOW_CONTROL_ERROR)


def test_empty_trailers_and_requests_of_no_size(scene):
    """Complete small requests are no flood by themselves: they are answered, not cut."""
    with RawClient(scene.address) as client:
        client.settle()
        for _ in range(1000):
            client.expect_served()


# -- too much at once


def test_a_header_list_over_the_limit_is_431_or_reset_and_counted(scene):
    with RawClient(scene.address) as client:
        client.settle()
        stream = client.request("GET", "/large", [(f"x-{i}", "y" * 1000) for i in range(40)])
        got = client.wait(lambda f: f.kind == GOAWAY or client.of(stream, HEADERS, RST_STREAM)(f), "a refusal")
        if got.kind == HEADERS:
            assert got.field(":status") == "431"
            assert got.field("x-sluice-reason") == "headers_too_large"
        if got.kind != GOAWAY:
            client.expect_served()
    refused = lambda: scene.gw.metrics().sum("sluice_http_requests_refused_total")  # noqa: E731
    until(lambda: refused() >= 1, "the refusal is counted")
    assert not [r for r in scene.origin.heads if r.path == "/large"]


def test_too_many_fields_are_431_or_reset(scene):
    with RawClient(scene.address) as client:
        client.settle()
        stream = client.request("GET", "/many", [(f"x-{i}", "") for i in range(500)])
        got = client.wait(lambda f: f.kind == GOAWAY or client.of(stream, HEADERS, RST_STREAM)(f), "a refusal")
        assert got.kind != HEADERS or got.field(":status") == "431", got
    assert not [r for r in scene.origin.heads if r.path == "/many"]


def test_too_large_trailers_never_reach_the_target(scene):
    with RawClient(scene.address) as client:
        client.settle()
        stream = client.request("POST", "/trailers", body=b"abc", end=False)
        client.send_block(stream, [(f"x-{i}", "y" * 1000) for i in range(40)])
        got = client.wait(lambda f: f.kind == GOAWAY or client.of(stream, HEADERS, RST_STREAM)(f), "a refusal")
        assert got.kind != HEADERS or got.field(":status")[0] == "4", got
    assert not [r for r in scene.origin.requests if r.path == "/trailers"]


def first_flight(scene, count, path="/slow"):
    """Requests sent with the preface, before the client can know the limit; the limit, once it came."""
    client = RawClient(scene.address, start=False)
    block = literal(*request_fields(path=path))
    client.send(PREFACE + settings() + b"".join(frame(HEADERS, LAST, s, block) for s in streams(count)))
    client.wait(lambda f: f.kind == SETTINGS, "SETTINGS, the server's first frame")
    return client, client.peer[MAX_CONCURRENT_STREAMS]


def test_a_thousand_streams_at_once(scene):
    """What is over the limit is refused, or its sender cut; it is never queued."""
    client, limit = first_flight(scene, 1000)
    refused = 0
    while refused < 1000 - limit:
        got = client.wait(lambda f: f.kind in (RST_STREAM, GOAWAY), f"{1000 - limit} refusals, not {refused}")
        if got.kind == GOAWAY:
            assert got.code in (ENHANCE_YOUR_CALM, PROTOCOL_ERROR), got
            break
        assert got.code == REFUSED_STREAM, got
        refused += 1
    assert len([r for r in scene.origin.heads if r.path == "/slow"]) <= limit
    client.close()


def test_a_few_streams_too_many_are_refused_alone(scene):
    """A polite client cannot know the limit in its first flight: the rest of it is served (5.1.2)."""
    with RawClient(scene.address) as knowing:
        limit = knowing.settle().peer[MAX_CONCURRENT_STREAMS]
    client, _ = first_flight(scene, limit + 20, "/later")
    for s in streams(limit + 20)[limit:]:
        assert client.wait(client.of(s, RST_STREAM), f"a refusal of stream {s}").code == REFUSED_STREAM
    scene.later.set()
    for s in streams(limit):
        assert client.reply(s).body == b"now"
    assert len([r for r in scene.origin.heads if r.path == "/later"]) == limit
    client.close()


def test_requests_that_wait_for_the_target_are_bounded_in_memory(gateway, origins):
    """Many streams with bodies that nobody reads: 100 connections that each fill every window."""
    port, held = full_listener()
    gw = gateway([f"127.0.0.1:{port}"], timeouts={"connect": "60s", "body_rate": "off"},
                 limits={"memory": "64MiB"})
    clients = []
    with Memory(gw.edge, 64 << 20):
        for _ in range(20):
            client = RawClient(("127.0.0.1", gw.port)).settle()
            clients.append(client)
            _fill(client)
        for client in clients:
            client.close()
    for sock in held:
        sock.close()


def _fill(client):
    own = client.peer.get(INITIAL_WINDOW_SIZE, 65535)
    client.ping()
    whole = 65535 + sum(f.increment for f in client.inbox if f.kind == 8 and f.stream == 0)
    try:
        while whole >= own:
            stream = client.request("POST", "/", end=False)
            client.data(stream, bytes(own))
            whole -= own
        client.ping()
    except ConnectionError:
        pass  # refused for want of memory, which is right too


# -- readers that do not read


@pytest.mark.long
@pytest.mark.parametrize("window", [0, 1])
def test_a_reader_without_window_runs_out_of_time(gateway, origin, window):
    """CVE-2019-9511 and 9517: a big answer, no window for it."""

    @origin.on("/big")
    def big(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536, 60)

    gw = gateway(origin, timeouts={"body_rate": "1KiB/s", "idle": ms(1000), "stream_idle": ms(1000)})
    gw.get("/")
    with Neighbour(gw), Memory(gw.edge, 16 << 20), RawClient(("127.0.0.1", gw.port),
                                                            values={INITIAL_WINDOW_SIZE: window}) as client:
        client.settle()
        stalled = [client.request("GET", "/big") for _ in range(50)]
        for stream in stalled:
            until(lambda s=stream: _is_over(client, s), f"stream {stream} was cut", 3 * DEADLINE)
    gw.wait_metric("sluice_http_requests_in_flight", 0, route="app")


def _is_over(client, stream):
    """Reset, or the connection is gone."""
    try:
        client.wait(lambda f: f.kind == GOAWAY or client.of(stream, RST_STREAM)(f), "a cut", 3 * DEADLINE)
    except ConnectionError:
        pass
    return True


@pytest.mark.long
def test_a_reader_of_one_byte_at_a_time_runs_out_of_time(gateway, origin):
    @origin.on("/big")
    def big(conn, request):
        conn.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n")
        while True:
            conn.send(b"x" * 65536, 60)

    gw = gateway(origin, timeouts={"body_rate": "10KiB/s", "stream_idle": ms(60_000)})
    with RawClient(("127.0.0.1", gw.port), values={INITIAL_WINDOW_SIZE: 1}) as client:
        client.settle()
        stream = client.request("GET", "/big")
        pause = threading.Event()

        def is_cut():
            try:
                client.ping()
                client.send(update(stream, 1))
            except ConnectionError:
                return True
            pause.wait(0.05)
            return any(f.kind == GOAWAY or client.of(stream, RST_STREAM)(f) for f in client.inbox)

        until(is_cut, "the slow reader was cut", 4 * DEADLINE)


@pytest.mark.long
def test_a_connection_without_requests_is_idle_in_spite_of_its_pings(gateway, origin):
    """PINGs keep no connection for ever when nothing is asked on it."""
    gw = gateway(origin, timeouts={"idle": ms(1000)})
    client = RawClient(("127.0.0.1", gw.port)).settle()
    pause = threading.Event()

    def is_over():
        try:
            client.ping()
        except ConnectionError:
            return True
        pause.wait(0.1)
        return False

    until(is_over, "the idle connection ends", 2 * DEADLINE)
    assert all(f.code == 0 for f in client.inbox if f.kind == GOAWAY)
    client.close()


def test_a_preface_that_never_comes_whole_runs_out_of_time(gateway, origin):
    gw = gateway(origin, timeouts={"header": ms(500)})
    with gw.connect() as client:
        client.send(PREFACE[:20])
        client.wait_end()


def test_a_header_block_that_never_ends_runs_out_of_time(gateway, origin):
    gw = gateway(origin, timeouts={"header": ms(500)})
    with RawClient(("127.0.0.1", gw.port)) as client:
        client.settle()
        client.frame(HEADERS, END_STREAM, 1, SLOW)
        client.until_end()
    assert not origin.heads


def test_an_upload_that_stops_runs_out_of_time(gateway, origin):
    gw = gateway(origin, timeouts={"body_rate": "10KiB/s"})
    with RawClient(("127.0.0.1", gw.port)) as client:
        client.settle()
        stream = client.request("POST", "/", end=False)
        client.data(stream, b"abc")
        got = client.wait(lambda f: f.kind == GOAWAY or client.of(stream, HEADERS, RST_STREAM)(f), "a timeout",
                          3 * DEADLINE)
        assert got.kind != HEADERS or got.field(":status") == "408", got
        if got.kind != GOAWAY:
            client.expect_served()
    assert not [r for r in origin.requests if r.method == "POST"]


