# SPDX-License-Identifier: Apache-2.0
"""Every file of tests/malformed, whole and in pieces: refused with its slug, closed, and kept from the target."""

import os
import re

import pytest

from lib.gateway import IS_SANITIZED, ROOT, Gateway
from lib.origin import Origin
from lib.wait import until

FOLDER = ROOT / "tests" / "malformed"
FILES = sorted(FOLDER.glob("*/*.http"))
BODY_SLUGS = ("chunk_invalid", "trailer_invalid", "body_too_large")  # found when the head has gone on
STATUS = {
    match[2]: int(match[1])
    for match in re.finditer(r"^REASON\(\w+, (\d+), \"(\w+)\"", (ROOT / "include/sluice/reason.def").read_text(), re.M)
}


class House:
    """One gateway with small limits, and the origin that must not be reached."""

    def __init__(self, home, ports, later):
        os.makedirs(home)
        self.origin = Origin()
        self.gw = Gateway(home, ports)
        self.gw.write(
            {
                **self.gw.base(),
                "limits": {"uri": 512, "header_bytes": "4KiB", "headers": 32, "body": "1KiB"},
                "services": {"app": {"targets": [self.origin.address]}},
            }
        )
        self.gw.start()
        later(self.origin.close)
        later(self.gw.stop)


def is_late(path):
    """Whether the error stands after the head, which has gone on by then."""
    return path.parent.name in BODY_SLUGS or path.stem == "trailer"


@pytest.fixture
def house(request, shared):
    """One for what must never be seen by the target, one for what is found in a body."""
    path = request.node.callspec.params["path"] if hasattr(request.node, "callspec") else None
    return shared("bodies" if path and is_late(path) else "heads", House)


def pieces(data):
    """The ways in which a file is cut for sending."""
    size = len(data)
    yield [data]
    if IS_SANITIZED:  # slow, and what is split is the release's
        return
    for at in sorted({1, size // 3, size // 2, size - 1} - {0, size}):
        yield [data[:at], data[at:]]
    if size <= 300:
        yield [data[i : i + 1] for i in range(size)]


def refusal(house, parts):
    with house.gw.connect() as client:
        try:
            for part in parts:
                client.send(part)
        except ConnectionError:
            pass  # refused before it was whole
        reply = client.reply("HEAD" if b"".join(parts).startswith(b"HEAD ") else "GET")
        client.expect_end()
        return reply


def name(path):
    return f"{path.parent.name}/{path.stem}"


def test_there_are_enough_files_and_all_are_distinct():
    assert len(FILES) >= 320
    contents = [f.read_bytes() for f in FILES]
    assert len(set(contents)) == len(contents)
    assert {f.parent.name for f in FILES} <= set(STATUS)


@pytest.mark.parametrize("path", FILES, ids=name)
def test_a_malformed_request_is_refused(house, path):
    slug, origin = path.parent.name, house.origin
    for parts in pieces(path.read_bytes()):
        reply = refusal(house, parts)
        how = f"sent in {len(parts)} parts of {[len(p) for p in parts][:4]}"
        assert (reply.status, reply.reason) == (STATUS[slug], slug), how
        assert reply.closes, how
        assert reply.header("Content-Type") == "application/problem+json", how
        assert f"error={proxy_error(slug)}" in reply.header("Proxy-Status"), how
    if not is_late(path):
        assert not origin.heads, "the target saw a request"
    assert not origin.requests, "the target got a whole request"


def proxy_error(slug):
    text = (ROOT / "include/sluice/reason.def").read_text()
    return re.search(rf'"{slug}", "(\w+)"', text)[1]


def test_the_house_still_serves_afterwards(house, shared):
    late = shared("bodies", House)
    for one in (house, late):
        one.gw.change(routes=[{"paths": ["/fine"], "respond": {"status": 200, "body": "fine"}}, {"service": "app"}])
        one.gw.reload()
        assert one.gw.get("/fine").text == "fine"
        assert len(one.gw.edges()) == 1


def test_refusals_are_counted_and_logged(origin, gateway):
    gw = gateway(origin)
    for file in ("host_missing/no_fields", "framing_ambiguous/cl_te_classic", "method_unknown/made_up"):
        with gw.send((FOLDER / f"{file}.http").read_bytes()) as client:
            client.reply()
    for slug in ("host_missing", "framing_ambiguous", "method_unknown"):
        until(lambda s=slug: gw.metric("sluice_http_requests_refused_total", reason=s) == 1, slug)
        record = gw.logs(1, lambda r, s=slug: r.get("reason") == s)[0]
        assert record["status"] == STATUS[slug]


def test_a_body_that_never_ends_is_not_passed_on_as_whole(origin, gateway):
    gw = gateway(origin)
    for head in ("Content-Length: 10", "Transfer-Encoding: chunked"):
        client = gw.send(f"POST /cut HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n3\r\nabc")
        client.half_close()
        assert client.wait_end() in ("eof", "reset")
    records = gw.logs(2, lambda r: r.get("path") == "/cut")
    assert {r["reason"] for r in records} == {"body_incomplete"}
    assert not origin.requests


def test_the_answer_to_a_refusal_survives_what_the_client_goes_on_sending(origin, gateway):
    gw = gateway(origin)
    for _ in range(20):  # a reset would tear the answer out of the client's hands
        client = gw.connect()
        client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n" + b"x" * 500_000)
        assert client.reply().reason == "content_length_invalid"
        client.close()
