# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 sections 3.4 (preface) and 4 (frames, their size, header compression), frame by frame."""

import pytest

from lib.h2frames import (
    ACK, COMPRESSION_ERROR, CONTINUATION, DATA, END_HEADERS, END_STREAM, FRAME, FRAME_SIZE_ERROR, GOAWAY, HEADERS,
    HEADER_TABLE_SIZE, MAX_FRAME_SIZE, PADDED, PING, PREFACE, PRIORITY, PROTOCOL_ERROR, PUSH_PROMISE, RST_STREAM,
    SETTINGS, WINDOW_UPDATE, frame, literal, number, priority, request_fields, settings, update,
)
from lib.wait import until

GET = literal(*request_fields())


# -- 3.4 the preface


def test_the_servers_first_frame_is_settings(raw):
    client = raw(start=False)
    client.start()
    first = client.pump()
    assert first.kind == SETTINGS and not first.flags & ACK and first.stream == 0


def test_the_clients_settings_are_acknowledged(raw):
    raw()  # which waits for that


def test_an_empty_settings_frame_completes_the_preface(raw):
    client = raw(start=False)
    client.send(PREFACE + settings())
    client.settle()
    client.expect_served()


def test_requests_may_follow_the_preface_at_once(raw):
    client = raw(start=False)
    client.send(PREFACE + settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET))
    assert client.reply(1).status == 200


def test_the_preface_and_a_request_byte_by_byte(raw):
    client = raw(start=False)
    client.drip(PREFACE + settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET))
    assert client.reply(1).status == 200


@pytest.mark.parametrize("at", [1, 3, 14, 16, 18, 23, 24, 25, 33, 40])
def test_the_preface_in_two_pieces(raw, at):
    client = raw(start=False)
    data = PREFACE + settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET)
    client.send(data[:at])
    assert client.is_silent(0.05) or at >= 24, "an answer to half a preface"
    client.send(data[at:])
    assert client.reply(1).status == 200


@pytest.mark.parametrize("bad", [
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\rX",
    b"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n",
    b"PRI * HTTP/2.1\r\n\r\nSM\r\n\r\n",
    b"PRI / HTTP/2.0\r\n\r\nSM\r\n\r\n",
], ids=["last byte", "SM", "version", "target"])
def test_a_wrong_preface_ends_the_connection(door, raw, bad):
    before = len(door.origin.heads)
    client = raw(start=False)
    client.send(bad + settings() + frame(HEADERS, END_HEADERS | END_STREAM, 1, GET))
    client.wait_end()
    door.check_unseen(before)


@pytest.mark.parametrize("first", [
    frame(PING, 0, 0, bytes(8)),
    frame(HEADERS, END_HEADERS | END_STREAM, 1, GET),
    update(0, 100),
    frame(GOAWAY, 0, 0, bytes(8)),
    settings(flags=ACK),
], ids=["ping", "headers", "window_update", "goaway", "settings ack"])
def test_a_first_frame_other_than_settings_is_a_connection_error(door, raw, first):
    before = len(door.origin.heads)
    client = raw(start=False)
    client.send(PREFACE + first)
    client.expect_goaway(PROTOCOL_ERROR)
    door.check_unseen(before)


def test_http1_is_served_on_the_same_port(door):
    assert door.gw.get("/served").status == 200


def test_an_upgrade_to_h2c_is_answered_in_http1(door):
    headers = [("Connection", "Upgrade, HTTP2-Settings"), ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABkAAQAAP__")]
    reply = door.gw.get("/upgrade-h2c", headers)
    assert reply.status == 200 and not reply.interims
    seen = next(r for r in door.origin.heads if r.path == "/upgrade-h2c")
    assert not seen.has("HTTP2-Settings") and not seen.has("Upgrade"), seen.fields  # RFC 9113 3.1: they are obsolete


def test_a_listener_without_http2_refuses_the_preface(origin, gateway):
    gw = gateway(origin, run=False)
    gw.config["listeners"][0]["http2"] = False
    gw.write(gw.config).start()
    with gw.connect() as client:
        client.send(PREFACE + settings())
        assert client.head().status in (400, 501, 505)
        client.wait_end()
    assert not origin.heads
    assert gw.get("/").status == 200


# -- 4.1 the frame format


@pytest.mark.parametrize("stream", [0, 1, 2, 999])
def test_a_frame_of_unknown_type_is_ignored(raw, stream):
    client = raw()
    client.frame(0x42, 0xFF, stream, b"\xff" * 100)
    client.frame(0xFF, 0, stream, b"")
    client.expect_served()


def test_a_frame_of_unknown_type_within_a_request_is_ignored(raw):
    client = raw()
    stream = client.request("POST", "/served", body=b"ab", end=False)
    client.frame(0x42, 0xFF, stream, b"whatever")
    client.data(stream, b"cd", True)
    assert client.reply(stream).status == 200


def test_undefined_flags_are_ignored(door, raw):
    client = raw()
    client.frame(PING, 0xFE, 0, b"undefine")
    client.wait(lambda f: f.kind == PING and f.flags == ACK and f.payload == b"undefine", "an answer to the PING")
    client.frame(SETTINGS, 0xFE, 0, b"")
    client.frame(WINDOW_UPDATE, 0xFF, 0, number(1000))
    client.raw_headers(1, GET, END_HEADERS | END_STREAM | 0xD2 & ~0x28)
    assert client.reply(1).status == 200
    client.raw_headers(3, literal(*request_fields("POST")), END_HEADERS | 0xC2)
    client.frame(DATA, END_STREAM | 0xF6 & ~PADDED, 3, b"abc")
    assert client.reply(3).status == 200
    client.expect_served()


def test_the_reserved_bit_is_ignored(raw):
    client = raw()
    client.frame(PING, 0, 0, b"reserved", reserved=1)
    client.wait(lambda f: f.kind == PING and f.flags & ACK, "an answer to the PING")
    client.frame(HEADERS, END_HEADERS, 1, literal(*request_fields("POST")), reserved=1)
    client.frame(WINDOW_UPDATE, 0, 1, number(1 << 31 | 10), reserved=1)
    client.frame(DATA, END_STREAM, 1, b"abc", reserved=1)
    assert client.reply(1).status == 200


def test_a_reserved_bit_does_not_make_a_window_update_large(raw):
    client = raw()
    client.frame(WINDOW_UPDATE, 0, 0, number(1 << 31 | 1))
    client.expect_served()


# -- 4.2 the frame size


def test_a_frame_of_the_largest_size_is_taken(door, raw):
    client = raw()
    stream = client.request("POST", "/largest", end=False)
    client.frame(DATA, END_STREAM, stream, b"x" * FRAME)
    assert client.reply(stream).status == 200
    assert next(r for r in door.origin.requests if r.path == "/largest").body == b"x" * FRAME
    stream = client.stream()
    block = literal(*request_fields(path="/served"))
    size = FRAME - len(block) - len(literal(("x-long", ""))) - 3  # two more for the length of the value
    block += literal(("x-long", "y" * (size + 1)))
    assert len(block) == FRAME
    client.raw_headers(stream, block)
    assert client.reply(stream).status == 200


def test_data_beyond_the_largest_size_is_an_error(raw):
    client = raw()
    stream = client.request("POST", "/x", end=False)
    client.frame(DATA, END_STREAM, stream, b"x" * (FRAME + 1))
    if client.expect_reset(stream, FRAME_SIZE_ERROR) == "stream":
        client.expect_served()


@pytest.mark.parametrize("kind", [HEADERS, SETTINGS, PING, GOAWAY, PUSH_PROMISE])
def test_state_changing_frames_beyond_the_largest_size_are_connection_errors(raw, kind):
    client = raw()
    stream = 0 if kind in (SETTINGS, PING, GOAWAY) else 1
    client.frame(kind, END_HEADERS if stream else 0, stream, bytes(FRAME + 2))
    allowed = (FRAME_SIZE_ERROR, PROTOCOL_ERROR) if kind == PUSH_PROMISE else (FRAME_SIZE_ERROR,)
    client.expect_goaway(*allowed)


def test_a_continuation_beyond_the_largest_size_is_a_connection_error(raw):
    client = raw()
    client.raw_headers(1, GET, END_STREAM)
    client.frame(CONTINUATION, END_HEADERS, 1, literal(("x-long", "y" * FRAME)))
    client.expect_goaway(FRAME_SIZE_ERROR)


def test_an_unknown_frame_beyond_the_largest_size_is_an_error(raw):
    client = raw()
    client.frame(0x42, 0, 0, bytes(FRAME + 1))
    client.expect_goaway(FRAME_SIZE_ERROR)


def test_a_frame_that_claims_16_mib_is_refused_before_it_came(raw):
    client = raw()
    stream = client.request("POST", "/x", end=False)
    client.frame(DATA, 0, stream, b"", length=(1 << 24) - 1)
    client.expect_reset(stream, FRAME_SIZE_ERROR)


@pytest.mark.parametrize(("kind", "stream", "payload"), [
    (PING, 0, bytes(7)), (PING, 0, bytes(9)), (PING, 0, b""),
    (RST_STREAM, 1, bytes(3)), (RST_STREAM, 1, bytes(5)),
    (WINDOW_UPDATE, 0, bytes(3)), (WINDOW_UPDATE, 0, bytes(5)), (WINDOW_UPDATE, 1, bytes(5)),
    (SETTINGS, 0, bytes(5)), (SETTINGS, 0, bytes(7)), (GOAWAY, 0, bytes(7)),
])
def test_a_frame_of_the_wrong_size_is_a_connection_error(raw, kind, stream, payload):
    client = raw()
    client.request("POST", "/x", end=False)
    client.frame(kind, 0, stream, payload)
    client.expect_goaway(FRAME_SIZE_ERROR)


@pytest.mark.parametrize("size", [4, 6])
def test_a_priority_frame_of_the_wrong_size_is_an_error(raw, size):
    client = raw()
    stream = client.request("POST", "/x", end=False)
    client.frame(PRIORITY, 0, stream, bytes(size))
    if client.expect_reset(stream, FRAME_SIZE_ERROR) == "stream":
        client.expect_served()


def test_headers_too_short_for_their_priority_are_a_connection_error(raw):
    client = raw()
    client.frame(HEADERS, END_HEADERS | END_STREAM | 0x20, 1, bytes(4))
    client.expect_goaway(FRAME_SIZE_ERROR, PROTOCOL_ERROR)


def test_answers_keep_to_the_clients_frame_size(raw):
    client = raw(values={MAX_FRAME_SIZE: FRAME, 4: 1 << 20})
    client.send(update(0, 1 << 20))
    assert len(client.get("/big").body) == 1_000_000  # the reader checks each frame


def test_a_larger_frame_size_of_the_client_is_allowed(raw):
    client = raw(values={MAX_FRAME_SIZE: (1 << 24) - 1, 4: 1 << 20})
    client.largest = (1 << 24) - 1
    client.send(update(0, 1 << 20))
    assert len(client.get("/big").body) == 1_000_000


# -- 4.3 header compression


@pytest.mark.parametrize("block", [
    b"\x80",
    b"\xbe",
    b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x00\x03abc",
    b"\x00\x83\xff\xff\xff\x00",
    b"\x00\x81\x00\x00",
    b"\x3f\xe2\x1f",
    b"\x82\x20",
    b"\x40\x7f\xff\xff\xff\x7fabc",
], ids=["index 0", "index beyond the tables", "endless integer", "no value", "huffman EOS", "huffman padding",
        "table larger than allowed", "table size not first", "string beyond the block"])
def test_a_block_that_cannot_be_decoded_is_a_connection_error(door, raw, block):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, block)
    client.expect_goaway(COMPRESSION_ERROR)
    door.check_unseen(before)


def test_a_block_that_cannot_be_decoded_in_trailers_is_a_connection_error(raw):
    client = raw()
    client.request("POST", "/hold", body=b"a", end=False)
    client.raw_headers(1, b"\xbe\xff")
    client.expect_goaway(COMPRESSION_ERROR)


@pytest.mark.parametrize("between", [
    frame(PING, 0, 0, bytes(8)),
    settings(),
    update(0, 1),
    frame(PRIORITY, 0, 1, priority(0)),
    frame(HEADERS, END_HEADERS | END_STREAM, 3, GET),
    frame(DATA, END_STREAM, 1, b"abc"),
    frame(RST_STREAM, 0, 1, number(8)),
    frame(CONTINUATION, END_HEADERS, 3, b""),
    frame(0x42, 0, 1, b"unknown"),
], ids=["ping", "settings", "window_update", "priority", "headers", "data", "rst_stream", "continuation elsewhere",
        "unknown"])
def test_a_frame_within_a_header_block_is_a_connection_error(door, raw, between):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, GET[:5], END_STREAM)
    client.send(between)
    client.frame(CONTINUATION, END_HEADERS, 1, GET[5:])
    client.expect_goaway(PROTOCOL_ERROR)
    door.check_unseen(before)


def test_a_block_in_many_continuations_is_one_block(door, raw):
    client = raw()
    block = literal(*request_fields(path="/pieces", more=[("x-a", "1"), ("x-b", "2")]))
    cut = [block[i : i + 5] for i in range(0, len(block), 5)]  # as few as the budget of any server allows
    client.raw_headers(1, cut[0], END_STREAM)
    for piece in cut[1:4]:
        client.frame(CONTINUATION, 0, 1, piece)
    client.frame(CONTINUATION, END_HEADERS, 1, b"".join(cut[4:]))
    assert client.reply(1).status == 200
    seen = next(r for r in door.origin.heads if r.path == "/pieces")
    assert (seen.header("x-a"), seen.header("x-b")) == ("1", "2")


def test_an_empty_headers_frame_before_continuation(raw):
    client = raw()
    client.raw_headers(1, b"", END_STREAM)
    client.frame(CONTINUATION, END_HEADERS, 1, GET)
    assert client.reply(1).status == 200


def test_the_block_of_a_refused_request_still_counts(door, raw):
    """The table that both ends share goes on from a request that was malformed."""
    client = raw()
    stream = client.stream()
    client.send_block(stream, [*request_fields(), ("x-kept", "in the table"), ("connection", "close")])
    client.expect_malformed(stream)
    assert client.get("/after-refused", [("x-kept", "in the table")]).status == 200
    seen = next(r for r in door.origin.heads if r.path == "/after-refused")
    assert seen.header("x-kept") == "in the table"


def test_the_block_of_trailers_counts(door, raw):
    client = raw()
    stream = client.request("POST", "/trailed", body=b"a", end=False)
    client.send_block(stream, [("x-trailed", "in the table too")])
    assert client.reply(stream).status == 200
    assert client.get("/after-trailed", [("x-trailed", "in the table too")]).status == 200
    seen = next(r for r in door.origin.heads if r.path == "/after-trailed")
    assert seen.header("x-trailed") == "in the table too"


def test_the_clients_table_size_is_obeyed(raw):
    client = raw(values={HEADER_TABLE_SIZE: 0})
    client.decoder.max_allowed_table_size = 0
    for _ in range(3):
        client.expect_served()  # the decoder refuses an entry in a table of nothing


def test_a_smaller_table_in_mid_flight_is_obeyed(raw):
    client = raw()
    client.expect_served()
    client.send(settings({HEADER_TABLE_SIZE: 64}))
    until(lambda: client.pump() and client.acked == 2, "the second acknowledgement")
    client.decoder.max_allowed_table_size = 64
    for _ in range(3):
        client.expect_served()


def test_a_table_size_update_at_the_start_of_a_block_is_taken(raw):
    client = raw()
    client.raw_headers(1, b"\x20\x3f\xe1\x1f" + GET)  # 0, then 4096
    assert client.reply(1).status == 200
    client.expect_served()
