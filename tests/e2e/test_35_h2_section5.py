# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 section 5: stream states and numbers, concurrency, flow control, priorities, errors.

/hold answers only once `door.open` is set: until then its streams are half-closed (remote).
"""

import pytest

from lib.gateway import full_listener
from lib.h2frames import (
    ACK, CANCEL, CONTINUATION, DATA, END_HEADERS, END_STREAM, FLOW_CONTROL_ERROR, GOAWAY, HEADERS,
    INITIAL_WINDOW_SIZE, MAX_CONCURRENT_STREAMS, PING, PRIORITY, PROTOCOL_ERROR, REFUSED_STREAM, RST_STREAM, SETTINGS,
    STREAM_CLOSED, WINDOW, WINDOW_UPDATE, WITH_PRIORITY, RawClient, frame, literal, number, priority, request_fields,
    reset, settings, update,
)
from lib.wait import QUIET, until

GET = literal(*request_fields(path="/served"))
POST = literal(*request_fields("POST", "/served"))


def held(door, client):
    """A stream whose request is whole and whose answer is waited for."""
    door.open.clear()
    before = len(door.origin.heads)
    stream = client.request("GET", "/hold")
    door.origin.wait_heads(before + 1)
    return stream


# -- 5.1 idle


@pytest.mark.parametrize("bad", [
    frame(DATA, END_STREAM, 1, b"abc"),
    frame(RST_STREAM, 0, 1, number(CANCEL)),
    update(1, 100),
    frame(CONTINUATION, END_HEADERS, 1, GET),
], ids=["data", "rst_stream", "window_update", "continuation"])
def test_a_frame_on_an_idle_stream_is_a_connection_error(door, raw, bad):
    before = len(door.origin.heads)
    client = raw()
    client.send(bad)
    client.expect_goaway(PROTOCOL_ERROR)
    door.check_unseen(before)


def test_priority_on_an_idle_stream_is_no_error(raw):
    client = raw()
    client.frame(PRIORITY, 0, 7, priority(0))
    client.expect_served()


# -- 5.1 half-closed (remote)


def test_data_on_a_half_closed_stream_is_a_stream_error(door, raw):
    client = raw()
    stream = held(door, client)
    client.data(stream, b"too late", True)
    if client.expect_reset(stream, STREAM_CLOSED) == "stream":
        client.expect_served()


def test_headers_on_a_half_closed_stream_are_a_stream_error(door, raw):
    client = raw()
    stream = held(door, client)
    client.send_block(stream, [("x-late", "1")])
    if client.expect_reset(stream, STREAM_CLOSED) == "stream":
        client.expect_served()


def test_continuation_on_a_half_closed_stream_is_a_connection_error(door, raw):
    client = raw()
    stream = held(door, client)
    client.frame(CONTINUATION, END_HEADERS, stream, b"")
    client.expect_goaway(PROTOCOL_ERROR, STREAM_CLOSED)


def test_what_is_allowed_on_a_half_closed_stream(door, raw):
    client = raw()
    stream = held(door, client)
    client.send(update(stream, 1000))
    client.frame(PRIORITY, 0, stream, priority(0))
    client.ping()
    door.open.set()
    assert client.reply(stream).body == b"held"


def test_a_half_closed_stream_can_be_reset(door, raw):
    client = raw()
    stream = held(door, client)
    client.send(reset(stream))
    client.expect_served()
    assert not any(client.of(stream, HEADERS, DATA)(f) for f in client.inbox)


# -- 5.1 closed


@pytest.fixture
def closed(door, raw):
    """A connection and a stream of it that both ends have ended."""
    client = raw()
    stream = client.request("GET", "/served")
    client.reply(stream)
    return client, stream


@pytest.mark.parametrize("how", ["data", "headers"])
def test_a_message_on_a_closed_stream_never_counts(door, closed, how):
    """An error, or ignored as what was under way: never a new request (5.1, 5.1.1)."""
    client, stream = closed
    before = len(door.origin.heads)
    if how == "data":
        client.data(stream, b"late", True)
    else:
        client.raw_headers(stream, literal(*request_fields(path="/again")))
    client.frame(PING, 0, 0, b"afterall")
    got = client.wait(lambda f: f.kind in (GOAWAY, RST_STREAM) or f.kind == PING and f.flags & ACK, "a reaction")
    assert got.kind == PING or got.code in (STREAM_CLOSED, PROTOCOL_ERROR), got
    door.check_unseen(before)


@pytest.mark.parametrize("late", [
    lambda s: update(s, 100), lambda s: reset(s, CANCEL), lambda s: frame(PRIORITY, 0, s, priority(0)),
], ids=["window_update", "rst_stream", "priority"])
def test_what_may_arrive_on_a_closed_stream_is_ignored(closed, late):
    client, stream = closed
    client.send(late(stream))
    client.expect_served()


@pytest.mark.parametrize("how", ["data", "headers"])
def test_a_message_on_a_stream_that_the_client_reset(door, raw, how):
    client = raw()
    before = len(door.origin.requests)
    stream = client.request("POST", "/cancelled", end=False)
    client.send(reset(stream))
    if how == "data":
        client.data(stream, b"late", True)
    else:
        client.send_block(stream, [("x-late", "1")])
    client.frame(PING, 0, 0, b"afterall")
    got = client.wait(lambda f: f.kind in (GOAWAY, RST_STREAM) or f.kind == PING and f.flags & ACK, "a reaction")
    assert got.kind == PING or got.code in (STREAM_CLOSED, PROTOCOL_ERROR), got
    assert not [r for r in door.origin.requests[before:] if r.path == "/cancelled"]


def test_what_was_under_way_when_the_server_reset_is_ignored(raw):
    """The client cannot know yet that its stream is gone."""
    client = raw()
    stream = client.stream()
    client.send_block(stream, [*request_fields("POST"), ("connection", "close")], 0)
    client.data(stream, b"more", False)
    client.send(update(stream, 1))
    client.send_block(stream, [("x-trailer", "1")])
    if client.expect_malformed(stream) != "connection":
        client.expect_served()


def test_data_on_reset_streams_is_given_back_to_the_connection(raw):
    """It counts against the connection's window, so it must come back (5.1, 6.9)."""
    client = raw()
    for _ in range(8):
        stream = client.stream()
        client.send_block(stream, [*request_fields("POST"), ("connection", "close")], 0)
        client.data(stream, bytes(16384))
        if client.expect_malformed(stream) == "connection":
            return  # a fresh connection has a fresh window
    client.ping()
    given = WINDOW + sum(f.increment for f in client.inbox if f.kind == WINDOW_UPDATE and f.stream == 0)
    assert given - 8 * 16384 >= 16384, f"{given} bytes were allowed in all, {8 * 16384} are spent"


def test_a_cancelled_upload_is_given_back_to_the_connection(door, raw):
    """The target does not read, the client cancels: what lay in between must not be lost."""
    client = raw()
    for _ in range(3):
        door.open.clear()
        before = len(door.origin.heads)
        stream = client.request("POST", "/hold", end=False)
        client.data(stream, bytes(40_000))
        door.origin.wait_heads(before + 1)
        client.send(reset(stream))
        client.ping()
        door.open.set()
        until(lambda s=stream: _room(client, 40_000), "the window came back")


def _room(client, spent):
    client.ping()
    given = sum(f.increment for f in client.inbox if f.kind == WINDOW_UPDATE and f.stream == 0)
    client.given = getattr(client, "given", 0)
    enough = WINDOW + given - client.given - spent >= 40_000
    if enough:
        client.given += spent
    return enough


# -- 5.1.1 stream numbers


@pytest.mark.parametrize("stream", [2, 4, 1000])
def test_an_even_stream_number_is_a_connection_error(door, raw, stream):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(stream, GET)
    client.expect_goaway(PROTOCOL_ERROR)
    door.check_unseen(before)


def test_a_smaller_stream_number_is_a_connection_error(door, raw):
    client = raw()
    client.raw_headers(5, GET)
    assert client.reply(5).status == 200
    before = len(door.origin.heads)
    client.raw_headers(3, GET)
    client.expect_goaway(PROTOCOL_ERROR, STREAM_CLOSED)
    door.check_unseen(before)


def test_skipped_stream_numbers_are_closed(door, raw):
    """Opening 7 closes 1, 3 and 5: frames on them find no idle stream."""
    client = raw()
    client.raw_headers(7, GET)
    assert client.reply(7).status == 200
    before = len(door.origin.heads)
    client.data(5, b"abc", True)
    client.frame(PING, 0, 0, b"afterall")
    got = client.wait(lambda f: f.kind in (GOAWAY, RST_STREAM) or f.kind == PING and f.flags & ACK, "a reaction")
    assert got.kind == PING or got.code in (STREAM_CLOSED, PROTOCOL_ERROR), got
    door.check_unseen(before)


def test_a_large_stream_number_is_taken(raw):
    client = raw()
    client.raw_headers(0x7FFFFFFD, GET)
    assert client.reply(0x7FFFFFFD).status == 200
    client.raw_headers(0x7FFFFFFF, GET)
    assert client.reply(0x7FFFFFFF).status == 200
    client.ping()


def test_headers_on_stream_0_are_a_connection_error(raw):
    client = raw()
    client.frame(HEADERS, END_HEADERS | END_STREAM, 0, GET)
    client.expect_goaway(PROTOCOL_ERROR)


# -- 5.1.2 concurrency


def test_streams_beyond_the_limit_are_refused(door, raw):
    client = raw()
    limit = client.peer.get(MAX_CONCURRENT_STREAMS)
    assert limit and 100 <= limit <= 1000, f"SETTINGS_MAX_CONCURRENT_STREAMS is {limit} (at least 100, 6.5.2)"
    door.open.clear()
    streams = [client.request("GET", "/hold") for _ in range(limit)]
    over = client.request("GET", "/over")
    if client.expect_reset(over, REFUSED_STREAM, PROTOCOL_ERROR) == "connection":
        return  # 5.4.1 allows that too
    door.open.set()
    for stream in streams:
        assert client.reply(stream).status == 200
    assert not [r for r in door.origin.heads if r.path == "/over"]
    client.expect_served()


def test_an_answered_stream_makes_room(door, raw):
    client = raw()
    for _ in range(client.peer[MAX_CONCURRENT_STREAMS] + 5):
        client.expect_served("/served")


# -- 5.2 flow control


def test_the_window_of_a_stream_is_kept(raw):
    client = raw()
    client.send(update(0, 1 << 20))
    stream = client.request("GET", "/big")
    got = _take(client, stream, WINDOW)
    assert got == WINDOW
    client.ping()
    assert not any(client.of(stream, DATA)(f) for f in client.inbox), "more than the window"
    client.send(update(stream, 1))
    assert _take(client, stream, 1) == 1
    client.send(update(stream, 1_000_000))
    assert _take(client, stream, 1_000_000 - WINDOW - 1) == 1_000_000 - WINDOW - 1


def test_the_window_of_the_connection_is_kept(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 1 << 20})
    first, second = client.request("GET", "/big"), client.request("GET", "/big")
    total = 0
    while total < WINDOW:
        total += len(client.wait(lambda f: f.kind == DATA, "data").payload)
    assert total == WINDOW
    client.ping()
    assert not any(f.kind == DATA for f in client.inbox), "more than the connection's window"
    client.send(update(0, 2_000_000))
    client.wait(lambda f: f.ends and f.stream == first, "the end of the first")
    client.wait(lambda f: f.ends and f.stream == second, "the end of the second")


def test_one_stalled_stream_does_not_stall_another(raw):
    client = raw(values={INITIAL_WINDOW_SIZE: 100})
    stalled = client.request("GET", "/big")
    assert _take(client, stalled, 100) == 100
    for _ in range(5):
        client.expect_served()


def test_uploads_are_given_new_windows(door, raw):
    """A client that keeps to the windows can send any size."""
    client = raw()
    size = 1_000_000
    stream = client.request("POST", "/upload", end=False)
    left, streams, whole = size, client.peer.get(INITIAL_WINDOW_SIZE, WINDOW), WINDOW
    whole += sum(f.increment for f in client.inbox if f.kind == WINDOW_UPDATE)
    client.inbox = [f for f in client.inbox if f.kind != WINDOW_UPDATE]
    while left:
        room = min(left, streams, whole, 16384)
        if room:
            client.frame(DATA, END_STREAM if room == left else 0, stream, bytes(room))
            left, streams, whole = left - room, streams - room, whole - room
            continue
        got = client.wait(lambda f: f.kind == WINDOW_UPDATE, f"a window for the last {left} bytes")
        streams += got.increment * (got.stream == stream)
        whole += got.increment * (got.stream == 0)
    assert client.reply(stream).status == 200
    assert len(next(r for r in door.origin.requests if r.path == "/upload").body) == size


@pytest.mark.parametrize("where", ["stream", "connection"])
def test_more_data_than_the_window_is_a_flow_control_error(gateway, where):
    """The target never accepts, so nothing is passed on and no window comes back."""
    port, held_sockets = full_listener()
    gw = gateway(f"127.0.0.1:{port}", timeouts={"connect": "60s", "body_rate": "off"})
    with RawClient(("127.0.0.1", gw.port)) as client:
        client.settle()
        client.ping()
        own = client.peer.get(INITIAL_WINDOW_SIZE, WINDOW)
        whole = WINDOW + sum(f.increment for f in client.inbox if f.kind == WINDOW_UPDATE and f.stream == 0)
        _overflow(client, own, own if where == "stream" else whole)
        got = client.wait(lambda f: f.kind in (GOAWAY, RST_STREAM), "an error")
        assert got.code == FLOW_CONTROL_ERROR, got
        assert got.kind == GOAWAY or where == "stream", got
    for sock in held_sockets:
        sock.close()


def _overflow(client, own, limit):
    """Sends one frame more than `limit`; on several streams when that is more than one of them may."""
    stream, room, left = client.request("POST", "/", end=False), own, limit
    while left > 0:
        size = min(16384, room, left)
        client.frame(DATA, 0, stream, bytes(size))
        left, room = left - size, room - size
        if not room and left:
            stream, room = client.request("POST", "/", end=False), own
    client.frame(DATA, 0, stream, b"x")


def _take(client, stream, size):
    """How much of the body of a stream came, until there were `size` bytes."""
    got = 0
    while got < size:
        got += len(client.wait(client.of(stream, DATA), f"{size - got} more bytes").payload)
    return got


# -- 5.3 priorities: deprecated, and ignored without harm


def test_priorities_are_ignored(raw):
    client = raw()
    client.frame(PRIORITY, 0, 1, priority(3))
    client.frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 3, priority(1, 256, exclusive=1) + GET)
    client._use(3)
    assert client.reply(3).status == 200
    client.frame(PRIORITY, 0, 3, priority(0, 1))
    client.expect_served()


@pytest.mark.parametrize("how", ["priority", "headers"])
def test_a_stream_that_depends_on_itself_is_ignored_or_a_stream_error(raw, how):
    """RFC 7540 5.3.1 asked for PROTOCOL_ERROR, RFC 9113 dropped the rule; the connection lives either way."""
    client = raw()
    if how == "priority":
        stream = client.request("POST", "/served", end=False)
        client.frame(PRIORITY, 0, stream, priority(stream))
        client.data(stream, b"abc", True)
    else:
        stream = client._use(1)
        client.frame(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, priority(1) + GET)
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(stream, HEADERS, RST_STREAM)(f), "a reaction")
    assert got.kind == HEADERS and got.field(":status") == "200" or got.code == PROTOCOL_ERROR, got
    if got.kind != GOAWAY:
        client.expect_served()


# -- 5.4 errors


def test_a_connection_error_names_the_last_stream_and_ends(door, raw):
    client = raw()
    client.raw_headers(5, GET)
    assert client.reply(5).status == 200
    client.frame(PING, 0, 0, bytes(3))
    assert client.expect_goaway(6).last == 5  # FRAME_SIZE_ERROR


def test_a_connection_error_cuts_the_streams_under_way(door, raw):
    client = raw()
    held(door, client)
    client.frame(PING, 0, 0, bytes(3))
    client.expect_goaway(6)
    with door.raw() as other:
        other.expect_served()


def test_a_reset_of_the_client_gets_no_reset_in_answer(door, raw):
    client = raw()
    stream = held(door, client)
    client.send(reset(stream))
    client.ping()
    assert not any(client.of(stream, RST_STREAM)(f) for f in client.inbox)  # 5.4.2: it could go on for ever


def test_an_unknown_error_code_is_no_special_case(door, raw):
    client = raw()
    stream = held(door, client)
    client.send(reset(stream, 0xDEADBEEF))
    client.expect_served()


def test_the_clients_goaway_lets_streams_finish(door, raw):
    client = raw()
    stream = held(door, client)
    client.frame(GOAWAY, 0, 0, number(0) + number(0) + b"bye")
    client.ping()
    door.open.set()
    assert client.reply(stream).body == b"held"


def test_the_clients_goaway_with_an_unknown_code_is_taken(door, raw):
    client = raw()
    stream = held(door, client)
    client.frame(GOAWAY, 0, 0, number(0) + number(0xDEADBEEF))
    door.open.set()
    assert client.reply(stream).body == b"held"


# -- 5.5 extensions


def test_an_unknown_setting_is_ignored(raw):
    client = raw(values={0x99: 7, 0xFFFF: 0xFFFFFFFF})
    client.send(settings({0x1234: 1}))
    client.wait(lambda f: f.kind == SETTINGS and f.flags & ACK, "an acknowledgement")
    client.expect_served()


def test_silence_is_no_error(raw):
    client = raw()
    client.ping()
    assert client.is_silent(QUIET)
    client.expect_served()
