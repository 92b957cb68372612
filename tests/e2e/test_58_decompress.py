# SPDX-License-Identifier: Apache-2.0
"""Request bodies that come compressed: plain at the target, and refused where they are bombs or broken."""

import functools
import gzip
import random
import subprocess

import pytest

from lib.codings import CODINGS
from lib.gateway import IS_SANITIZED
from lib.wait import until

TOOLS = {"gzip": ["gzip", "-c"], "br": ["brotli", "-c", "-q", "5"], "zstd": ["zstd", "-cq"]}
MIB = 1024 * 1024


def do(coding, data, *options):
    done = subprocess.run(TOOLS[coding] + list(options), input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


@functools.cache
def words(size):
    pick = random.Random(size)
    some = [pick.randbytes(pick.randint(4, 12)).hex().encode() for _ in range(200)]
    return b" ".join(pick.choices(some, k=size // 9 + 1))[:size]


def on(**keys):
    return [{"decompress": keys}]


def post(gw, body, coding, step=None, more=()):
    """One request, chunked in pieces of `step` bytes if given."""
    fields = [("Content-Encoding", coding), *more]
    if not step:
        return gw.post("/", body, fields)
    lines = "".join(f"{n}: {v}\r\n" for n, v in fields)
    client = gw.send(f"POST / HTTP/1.1\r\nHost: a\r\n{lines}Transfer-Encoding: chunked\r\n\r\n")
    for at in range(0, len(body), step):
        client.chunk(body[at : at + step])
    client.send(b"0\r\n\r\n")
    return client.reply("POST")


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("size", [0, 1, 50_000, 3_000_000])
@pytest.mark.parametrize("step", [None, 7, 1000])
def test_bodies_reach_the_target_plain(origin, gateway, coding, size, step):
    plain = words(size)
    packed = do(coding, plain)
    if step == 7 and len(packed) > 20_000:
        packed, plain = do(coding, words(30_000)), words(30_000)
    gw = gateway(origin, filters=on())
    assert post(gw, packed, coding, step, [("Content-Digest", "x"), ("X-Kept", "1")]).status == 200
    seen = origin.request
    assert seen.body == plain and seen.header("X-Kept") == "1"
    assert not seen.has("Content-Encoding") and not seen.has("Content-Digest")


def test_names_of_codings(origin, gateway):
    gw = gateway(origin, filters=on())
    for name in ("x-gzip", "GZIP"):
        assert post(gw, gzip.compress(b"hello"), name).status == 200
    assert post(gw, b"hello", "identity").status == 200 and gw.post("/", b"hello").status == 200
    assert [r.body for r in origin.requests] == [b"hello"] * 4
    assert origin.requests[2].header("Content-Length") == "5"


@pytest.mark.parametrize("name", ["deflate", "compress", "gzip, gzip", "gzip, identity", "gz", "*", "br;q=1", ","])
def test_codings_that_are_unknown(origin, gateway, name):
    reply = post(gateway(origin, filters=on()), b"hello", name)
    assert (reply.status, reply.reason, reply.header("Accept-Encoding")) == (415, "content_coding_unknown", "gzip, br, zstd")
    assert origin.untouched


@pytest.mark.parametrize("first", ["gzip", "identity", ""])
def test_a_coding_twice(origin, gateway, first):
    """A target may go by the second."""
    reply = post(gateway(origin, filters=on()), gzip.compress(b"a"), first, more=[("Content-Encoding", "gzip")])
    assert reply.status == 415 and origin.untouched


@pytest.mark.parametrize("step", [None, 10])
def test_a_wish_for_another_protocol_is_no_way_around(origin, gateway, step):
    gw = gateway(origin, filters=on())
    reply = post(gw, gzip.compress(b"hello"), "gzip", step, [("Connection", "upgrade"), ("Upgrade", "other")])
    assert reply.status == 415 and origin.untouched


def test_several_members_are_one_body(origin, gateway):
    gw = gateway(origin, filters=on())
    for coding in ("gzip", "zstd"):
        for step in (None, 1, 5):
            assert post(gw, do(coding, b"one ") + do(coding, b"") + do(coding, b"two"), coding, step).status == 200
    assert {r.body for r in origin.requests} == {b"one two"}


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("harm", ["cut", "cut early", "behind", "garbage", "plain", "flipped"])
@pytest.mark.parametrize("step", [None, 100])
def test_broken_bodies(origin, gateway, coding, harm, step):
    packed = do(coding, words(20_000))
    body = {"cut": packed[:-1], "cut early": packed[:5], "behind": packed + b"\x01\x02\x03\x04\x05\x06", "plain": words(5000),
            "garbage": random.Random(1).randbytes(5000),
            "flipped": packed[:10] + bytes(b ^ 0xff for b in packed[10:200]) + packed[200:]}[harm]
    gw = gateway(origin, filters=on())
    reply = post(gw, body, coding, step)
    assert (reply.status, reply.reason) in [(400, "content_coding_invalid"), (413, "body_grows"), (413, "body_too_large")]
    for conn in origin.connections:
        conn.wait_ended()  # the target cannot take what it got for the whole
    assert not origin.requests
    assert post(gw, packed, coding).status == 200


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("step", [None, 50])
def test_bombs(origin, gateway, coding, step):
    gw = gateway(origin, filters=on(ratio="100x", size="50MiB"))
    before = gw.resident()
    reply = post(gw, do(coding, bytes(40 * MIB)), coding, step)
    assert (reply.status, reply.reason) == (413, "body_grows")
    for conn in origin.connections:
        conn.wait_ended()
        assert len(conn.received) < 12 * MIB
    assert not origin.requests
    until(lambda: gw.resident() - before < (256 if IS_SANITIZED else 16) * MIB, "memory is given back")


@pytest.mark.parametrize("coding", CODINGS)
def test_the_size_of_what_is_plain(origin, gateway, coding):
    gw = gateway(origin, filters=on(size="1MiB"))
    assert post(gw, do(coding, words(MIB)), coding).status == 200
    reply = post(gw, do(coding, words(MIB + 1)), coding)
    assert (reply.status, reply.reason) == (413, "body_too_large")
    assert [len(r.body) for r in origin.requests] == [MIB]


@pytest.mark.parametrize("coding", CODINGS)
def test_small_bodies_may_grow_by_any_ratio(origin, gateway, coding):
    assert post(gateway(origin, filters=on(ratio="1x")), do(coding, bytes(60_000)), coding).status == 200
    assert origin.request.body == bytes(60_000)


def test_windows_that_are_too_large(origin, gateway):
    gw = gateway(origin, filters=on(size="1GiB", ratio="100000x"))
    assert post(gw, do("zstd", words(9_000_000), "--long=24"), "zstd").reason == "content_coding_invalid"
    assert post(gw, do("zstd", words(9_000_000), "--long=23"), "zstd").status == 200


def test_a_limit_behind_it_counts_what_is_plain(origin, gateway):
    gw = gateway(origin, filters=on() + [{"body_limit": "10KiB"}])
    assert post(gw, gzip.compress(bytes(10_240)), "gzip").status == 200
    assert post(gw, gzip.compress(bytes(10_241)), "gzip").status == 413


@pytest.mark.parametrize("keys", [{"size": 0}, {"ratio": "0.5x"}, {"ratio": 100}, {"sise": "1MiB"}])
def test_what_the_check_refuses(origin, gateway, keys):
    gw = gateway(origin, filters=on(**keys), run=False)
    assert gw.cli("check", gw.file).code == 2
