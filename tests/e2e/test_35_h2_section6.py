# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 section 6: what each kind of frame must keep to."""

import pytest

from lib.h2frames import (
    ACK, CANCEL, CONTINUATION, DATA, ENABLE_PUSH, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, FRAME, FRAME_SIZE_ERROR,
    GOAWAY, HEADERS, HEADER_TABLE_SIZE, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, PADDED, PING, PREFACE, PRIORITY,
    PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM, SETTINGS, STREAM_CLOSED, WINDOW, WINDOW_UPDATE, WITH_PRIORITY, frame,
    literal, number, priority, request_fields, reset, settings, update,
)

GET = literal(*request_fields(path="/served"))
POST = literal(*request_fields("POST", "/served"))
MAX = (1 << 31) - 1


def body_of(door, path):
    return next(r for r in door.origin.requests if r.path == path).body


def take(client, stream, size):
    got = 0
    while got < size:
        got += len(client.wait(client.of(stream, DATA), f"{size - got} more bytes").payload)
    return got


# -- stream 0, or not: 6.1 to 6.10


@pytest.mark.parametrize("bad", [
    frame(DATA, END_STREAM, 0, b"abc"),
    frame(HEADERS, END_HEADERS | END_STREAM, 0, GET),
    frame(PRIORITY, 0, 0, priority(1)),
    frame(RST_STREAM, 0, 0, number(CANCEL)),
    frame(CONTINUATION, END_HEADERS, 0, GET),
    frame(SETTINGS, 0, 1, b""),
    frame(PING, 0, 1, bytes(8)),
    frame(GOAWAY, 0, 1, bytes(8)),
], ids=["data on 0", "headers on 0", "priority on 0", "rst_stream on 0", "continuation on 0", "settings on 1",
        "ping on 1", "goaway on 1"])
def test_a_frame_on_the_wrong_kind_of_stream_is_a_connection_error(raw, bad):
    client = raw()
    client.request("POST", "/x", end=False)
    client.send(bad)
    client.expect_goaway(PROTOCOL_ERROR)


# -- 6.1 DATA, 6.2 HEADERS: padding


@pytest.mark.parametrize("pad", [0, 1, 255])
def test_padding_is_removed(door, raw, pad):
    client = raw()
    path = f"/padded-{pad}"
    block = literal(*request_fields("POST", path))
    client.raw_headers(1, bytes([pad]) + block + bytes(pad), END_HEADERS | PADDED)
    client.frame(DATA, PADDED, 1, bytes([pad]) + b"abc" + bytes(pad))
    client.frame(DATA, PADDED, 1, bytes([pad]) + bytes(pad))
    client.frame(DATA, PADDED | END_STREAM, 1, bytes([pad]) + b"def" + bytes(pad))
    assert client.reply(1).status == 200
    assert body_of(door, path) == b"abcdef"


def test_padding_and_priority_together(raw):
    client = raw()
    flags = END_HEADERS | END_STREAM | PADDED | WITH_PRIORITY
    client.raw_headers(1, b"\x04" + priority(0) + GET + bytes(4), flags)
    assert client.reply(1).status == 200


@pytest.mark.parametrize("payload", [b"\x04abc", b"\x05abcd", b"\xff", b"\x01"])
def test_padding_longer_than_data_is_a_connection_error(door, raw, payload):
    before = len(door.origin.requests)
    client = raw()
    stream = client.request("POST", "/x", end=False)
    client.frame(DATA, PADDED | END_STREAM, stream, payload)
    client.expect_goaway(PROTOCOL_ERROR)
    assert not [r for r in door.origin.requests[before:] if r.path == "/x"]


@pytest.mark.parametrize(("payload", "flags"), [
    (b"\xff" + GET, PADDED), (bytes([len(GET) + 1]) + GET, PADDED),
    (bytes([len(GET) + 1]) + priority(0) + GET, PADDED | WITH_PRIORITY),
])
def test_padding_longer_than_headers_is_a_connection_error(door, raw, payload, flags):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, payload, END_HEADERS | END_STREAM | flags)
    client.expect_goaway(PROTOCOL_ERROR)
    door.check_unseen(before)


@pytest.mark.parametrize("kind", [DATA, HEADERS])
def test_a_padded_frame_without_the_length_of_its_padding_is_a_connection_error(raw, kind):
    client = raw()
    client.raw_headers(1, POST, END_HEADERS)
    client.frame(kind, PADDED | END_STREAM | (END_HEADERS if kind == HEADERS else 0), 1 if kind == DATA else 3, b"")
    client.expect_goaway(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


def test_padding_counts_for_flow_control(door, raw):
    """What was padding comes back as window too, or an upload of padded frames would stall (6.9.1)."""
    client = raw()
    stream = client.request("POST", "/padding-counts", end=False)
    room = {0: WINDOW, stream: client.peer.get(INITIAL_WINDOW_SIZE, WINDOW)}
    for _ in range(1000):
        while min(room.values()) < 257:
            got = client.wait(lambda f: f.kind == WINDOW_UPDATE, "a window for more padding")
            room[got.stream] += got.increment
        client.frame(DATA, PADDED, stream, b"\xff" + b"x" + bytes(255))
        room = {k: v - 257 for k, v in room.items()}
    client.data(stream, b"", True)
    assert client.reply(stream).status == 200
    assert body_of(door, "/padding-counts") == b"x" * 1000


@pytest.mark.parametrize("ending", ["data", "empty data", "headers", "trailers"])
def test_each_way_to_end_a_request(door, raw, ending):
    client = raw()
    path = f"/ends-with-{ending.replace(' ', '-')}"
    stream = client.request("POST", path, end=ending == "headers")
    if ending != "headers":
        client.frame(DATA, END_STREAM if ending == "data" else 0, stream, b"abc")
    if ending == "empty data":
        client.frame(DATA, END_STREAM, stream)
    elif ending == "trailers":
        client.send_block(stream, [("x-trailer", "1")])
    assert client.reply(stream).status == 200
    assert body_of(door, path) == (b"" if ending == "headers" else b"abc")


# -- 6.3 PRIORITY (its size: section 4.2), 6.4 RST_STREAM


def test_a_reset_cancels_the_request_at_the_target(door, raw):
    client = raw()
    door.open.clear()
    before = len(door.origin.heads)
    stream = client.request("GET", "/hold")
    conn = door.origin.wait_heads(before + 1)[-1].connection
    client.send(reset(stream))
    conn.ended or conn.fill("the gateway lets go of the target")
    assert conn.ended
    client.expect_served()


# -- 6.5 SETTINGS


def test_each_settings_frame_is_acknowledged_once(raw):
    client = raw()
    for _ in range(3):
        client.send(settings({INITIAL_WINDOW_SIZE: WINDOW}))
    client.ping()
    assert client.acked == 4


def test_an_acknowledgement_with_content_is_a_connection_error(raw):
    client = raw()
    client.frame(SETTINGS, ACK, 0, bytes(6))
    client.expect_goaway(FRAME_SIZE_ERROR)


@pytest.mark.parametrize(("values", "codes"), [
    ({ENABLE_PUSH: 2}, (PROTOCOL_ERROR,)),
    ({ENABLE_PUSH: 0xFFFFFFFF}, (PROTOCOL_ERROR,)),
    ({INITIAL_WINDOW_SIZE: 1 << 31}, (FLOW_CONTROL_ERROR,)),
    ({INITIAL_WINDOW_SIZE: 0xFFFFFFFF}, (FLOW_CONTROL_ERROR,)),
    ({MAX_FRAME_SIZE: FRAME - 1}, (PROTOCOL_ERROR,)),
    ({MAX_FRAME_SIZE: 0}, (PROTOCOL_ERROR,)),
    ({MAX_FRAME_SIZE: 1 << 24}, (PROTOCOL_ERROR,)),
    ({8: 2}, (PROTOCOL_ERROR,)),
], ids=["push 2", "push large", "window 2^31", "window 2^32-1", "frame 16383", "frame 0", "frame 2^24", "connect 2"])
@pytest.mark.parametrize("when", ["first", "later"])
def test_a_value_out_of_range_is_a_connection_error(raw, values, codes, when):
    client = raw(start=False)
    if when == "first":
        client.send(PREFACE + settings(values))
    else:
        client.start().settle()
        client.send(settings(values))
    client.expect_goaway(*codes)


def test_the_last_value_of_a_setting_counts(raw):
    client = raw(values=[(INITIAL_WINDOW_SIZE, 1), (INITIAL_WINDOW_SIZE, 10)])
    stream = client.request("GET", "/big")
    assert take(client, stream, 10) == 10
    client.ping()
    assert not any(client.of(stream, DATA)(f) for f in client.inbox)


def test_the_server_never_says_that_it_takes_pushes(raw):
    client = raw()
    assert client.peer.get(ENABLE_PUSH, 0) == 0  # 6.5.2: a server must not send 1
    assert client.peer.get(MAX_FRAME_SIZE, FRAME) >= FRAME
    assert client.peer.get(INITIAL_WINDOW_SIZE, WINDOW) <= MAX


def test_settings_with_many_values_are_taken(raw):
    client = raw()
    client.send(settings([(HEADER_TABLE_SIZE, 4096)] * 20))
    client.ping()
    client.expect_served()


def test_a_client_that_never_acknowledges_is_served_or_told(raw):
    """6.5.3 allows SETTINGS_TIMEOUT, after some time; not at once."""
    client = raw(start=False)
    client.answers = False
    client.start()
    client.expect_served()


# -- 6.6 PUSH_PROMISE


@pytest.mark.parametrize("stream", [0, 1, 3])
def test_a_push_of_the_client_is_a_connection_error(raw, stream):
    client = raw()
    client.request("POST", "/x", end=False)
    client.frame(PUSH_PROMISE, END_HEADERS, stream, number(2) + GET)
    client.expect_goaway(PROTOCOL_ERROR)


# -- 6.7 PING


def test_a_ping_is_answered_with_the_same_bytes(raw):
    client = raw()
    for payload in (b"abcdefgh", bytes(8), b"\xff" * 8):
        client.ping(payload)


def test_the_answer_to_a_ping_is_not_answered(raw):
    client = raw()
    client.frame(PING, ACK, 0, b"answered")
    client.ping(b"question")
    assert not any(f.kind == PING and f.payload == b"answered" for f in client.inbox)


# -- 6.8 GOAWAY


def test_goaway_with_debug_data_is_taken(raw):
    client = raw()
    stream = client.request("POST", "/served", end=False)
    client.frame(GOAWAY, 0, 0, number(MAX - 1) + number(0) + b"debug" * 100)
    client.data(stream, b"abc", True)
    assert client.reply(stream).status == 200


# -- 6.9 WINDOW_UPDATE


def test_a_zero_increment_on_the_connection_is_a_connection_error(raw):
    client = raw()
    client.send(update(0, 0))
    client.expect_goaway(PROTOCOL_ERROR)


def test_a_zero_increment_on_a_stream_is_a_stream_error(raw):
    client = raw()
    stream = client.request("GET", "/big")
    client.head(stream)
    client.send(update(stream, 0))
    if client.expect_reset(stream, PROTOCOL_ERROR) == "stream":
        client.send(update(0, 1 << 20))
        client.expect_served()


def test_a_window_of_the_connection_beyond_the_maximum_is_a_connection_error(raw):
    client = raw()
    client.send(update(0, MAX))
    client.expect_goaway(FLOW_CONTROL_ERROR)


def test_a_window_of_a_stream_beyond_the_maximum_is_a_stream_error(raw):
    client = raw()
    stream = client.request("POST", "/x", end=False)
    client.send(update(stream, MAX))
    if client.expect_reset(stream, FLOW_CONTROL_ERROR) == "stream":
        client.expect_served()


def test_windows_up_to_the_maximum_are_taken(raw):
    client = raw()
    client.send(update(0, MAX - WINDOW))
    stream = client.request("POST", "/served", end=False)
    client.send(update(stream, MAX - WINDOW))
    client.data(stream, b"abc", True)
    assert client.reply(stream).status == 200
    client.expect_served()


def test_a_window_of_one_byte_moves_one_byte(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 1})
    stream = client.request("GET", "/big")
    for _ in range(20):
        got = client.wait(client.of(stream, DATA), "one byte")
        assert len(got.payload) == 1
        client.send(update(stream, 1))


def test_a_changed_initial_window_changes_streams_under_way(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 0})
    stream = client.request("GET", "/big")
    client.head(stream)
    client.ping()
    assert not any(client.of(stream, DATA)(f) for f in client.inbox)
    client.send(settings({INITIAL_WINDOW_SIZE: 100}))
    assert take(client, stream, 100) == 100
    client.send(settings({INITIAL_WINDOW_SIZE: 150}))
    assert take(client, stream, 50) == 50


def test_a_window_may_become_negative(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 1000})
    stream = client.request("GET", "/big")
    assert take(client, stream, 1000) == 1000
    client.send(settings({INITIAL_WINDOW_SIZE: 400}))  # the window is -600 now
    client.send(update(stream, 600))  # 0
    client.ping()
    assert not any(client.of(stream, DATA)(f) for f in client.inbox), "data on a window that is not positive"
    client.send(update(stream, 1))
    assert len(client.wait(client.of(stream, DATA), "one byte").payload) == 1


def test_settings_do_not_change_the_connections_window(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 1 << 20})
    stream = client.request("GET", "/big")
    assert take(client, stream, WINDOW) == WINDOW
    client.send(settings({INITIAL_WINDOW_SIZE: 1 << 21}))
    client.ping()
    assert not any(client.of(stream, DATA)(f) for f in client.inbox)


def test_an_initial_window_that_overflows_a_stream_is_a_connection_error(raw):
    client = raw()
    stream = client.request("POST", "/x", end=False)
    client.send(update(stream, MAX - WINDOW))
    client.send(settings({INITIAL_WINDOW_SIZE: WINDOW + 1}))
    client.expect_goaway(FLOW_CONTROL_ERROR)


def test_an_empty_answer_needs_no_window(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 0})
    stream = client.request("HEAD", "/served")
    assert client.reply(stream).status == 200


def test_an_empty_body_of_unknown_length_ends_once_there_is_a_window(door, raw):
    """It may even end without one (6.9.1)."""

    @door.origin.on("/chunked-nothing")
    def nothing(conn, request):
        conn.read_body(request)
        conn.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n")

    client = raw(values={INITIAL_WINDOW_SIZE: 0})
    stream = client.request("GET", "/chunked-nothing")
    client.send(update(stream, 1))
    reply = client.reply(stream)
    assert (reply.status, reply.body) == (200, b"")


# -- 6.10 CONTINUATION


def test_continuation_after_the_end_of_a_block_is_a_connection_error(raw):
    client = raw()
    client.raw_headers(1, POST, END_HEADERS)
    client.frame(CONTINUATION, END_HEADERS, 1, literal(("x-more", "1")))
    client.expect_goaway(PROTOCOL_ERROR, STREAM_CLOSED)


def test_continuation_after_data_is_a_connection_error(raw):
    client = raw()
    client.raw_headers(1, POST, END_HEADERS)
    client.frame(DATA, 0, 1, b"abc")
    client.frame(CONTINUATION, END_HEADERS, 1, literal(("x-more", "1")))
    client.expect_goaway(PROTOCOL_ERROR, STREAM_CLOSED)


def test_trailers_in_continuations(door, raw):
    client = raw()
    stream = client.request("POST", "/trailers-cut", end=False)
    client.data(stream, b"abc")
    block = literal(("x-one", "1"), ("x-two", "2"))
    client.frame(HEADERS, END_STREAM, stream, block[:4])
    client.frame(CONTINUATION, 0, stream, block[4:9])
    client.frame(CONTINUATION, END_HEADERS, stream, block[9:])
    assert client.reply(stream).status == 200
    seen = next(r for r in door.origin.requests if r.path == "/trailers-cut")
    assert (seen.trailer("x-one"), seen.trailer("x-two")) == ("1", "2")
