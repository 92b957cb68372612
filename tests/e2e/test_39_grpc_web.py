# SPDX-License-Identifier: Apache-2.0
"""gRPC-Web: calls of browsers, in binary and as text, towards a target that speaks gRPC; over HTTP/1.1 on both sides,
where each byte is in the test's hands. What the gateway itself answers to gRPC calls is here, too."""

import base64
import re
import struct
import threading
import urllib.parse

import pytest

from lib.gateway import IS_SANITIZED, full_listener
from lib.wait import DEADLINE, QUIET, SLOW, ms, until

WEB = [{"grpc_web": {}}]
SHORT = f"{int(150 * SLOW)}m"  # a grpc-timeout
OK_TRAILERS = "grpc-status: 0\r\ngrpc-message: \r\nX-Sum: 7\r\n"


def message(data, flag=0):
    return struct.pack(">BI", flag, len(data)) + data


def answer(*chunks, trailers=OK_TRAILERS, kind="application/grpc+proto", status=200, head=""):
    """A target's answer in chunks, with trailers."""
    body = b"".join(b"%x\r\n%b\r\n" % (len(c), c) for c in chunks)
    start = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n{head}Transfer-Encoding: chunked\r\n\r\n"
    return start.encode() + body + b"0\r\n" + trailers.encode() + b"\r\n"


def frames(body):
    """[(flag, bytes)] of a binary body."""
    found = []
    while body:
        flag, length = struct.unpack(">BI", body[:5])
        assert len(body) >= 5 + length, body
        found.append((flag, body[5 : 5 + length]))
        body = body[5 + length :]
    return found


def plain(text):
    """The bytes of base64 that may be padded anywhere."""
    assert len(text) % 4 == 0, text
    parts = re.findall(rb"[^=]+=*", text)
    return b"".join(base64.b64decode(part, validate=True) for part in parts)


def fields(frame):
    """The trailers of the frame that has them."""
    flag, data = frame
    assert flag == 0x80, frame
    return dict(line.split(": ", 1) for line in data.decode().split("\r\n")[:-1])


def call(gw, body, kind="application/grpc-web+proto", headers=(), path="/pkg.Service/Call"):
    return gw.post(path, body, [("Content-Type", kind), *headers])


def status(reply):
    assert reply.status == 200, reply
    return int(reply.header("grpc-status"))


def text_of(reply):
    return urllib.parse.unquote(reply.header("grpc-message"))


# -- translation


def test_a_binary_call(origin, gateway):
    origin.answers(answer(message(b"one"), message(b"two")))
    reply = call(gateway(origin, filters=WEB), message(b"hello"), headers=[("X-Meta", "a")])
    assert (reply.status, reply.header("Content-Type")) == (200, "application/grpc-web+proto")
    assert not reply.trailers
    assert frames(reply.body)[:2] == [(0, b"one"), (0, b"two")]
    assert fields(frames(reply.body)[2]) == {"grpc-status": "0", "grpc-message": "", "x-sum": "7"}
    seen = origin.request
    assert (seen.header("Content-Type"), seen.header("X-Meta")) == ("application/grpc+proto", "a")
    assert seen.body == message(b"hello")
    assert seen.header("Transfer-Encoding") == "chunked"


@pytest.mark.parametrize("size", [0, 1, 2, 3, 1000, 65536, 300_000])
def test_a_call_as_text(origin, gateway, size):
    body = message(bytes(i * 7 & 255 for i in range(size)))
    origin.answers(answer(body, body))
    reply = call(gateway(origin, filters=WEB), base64.b64encode(body), "application/grpc-web-text+proto")
    assert reply.header("Content-Type") == "application/grpc-web-text+proto"
    assert origin.request.body == body
    got = frames(plain(reply.body))
    assert [f[1] for f in got[:2]] == [body[5:]] * 2
    assert fields(got[2])["grpc-status"] == "0"


@pytest.mark.parametrize("step", [1, 2, 3, 5, 7])
def test_text_in_any_pieces(origin, gateway, step):
    first, second = message(b"ab"), message(b"c" * 10)
    origin.answers(answer(message(b"ok")))
    text = base64.b64encode(first) + base64.b64encode(second)  # padding in the middle
    client = gateway(origin, filters=WEB).send(
        "POST /a HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web-text\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    for at in range(0, len(text), step):
        client.chunk(text[at : at + step])
    client.send(b"0\r\n\r\n")
    assert client.reply("POST").status == 200
    assert origin.request.body == first + second


def test_a_stream_of_answers_comes_as_it_is_made(origin, gateway):
    turn = threading.Semaphore(0)

    @origin.on("/stream")
    def stream(conn, request):
        conn.read_body(request)
        conn.send(answer().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        for part in (b"a", b"bb", b"ccc"):
            data = message(part)
            conn.send(b"%x\r\n%b\r\n" % (len(data), data))
            assert turn.acquire(timeout=DEADLINE)
        conn.send(b"0\r\ngrpc-status: 0\r\n\r\n")

    client = gateway(origin, filters=WEB).connect()
    body, seen = base64.b64encode(message(b"x")), []

    def on_data(data):
        seen.append(frames(plain(data)))  # each message is whole, padded, and there before the next is made
        turn.release()

    client.request("POST", "/stream", [("Content-Type", "application/grpc-web-text")], body).reply(on_data=on_data)
    assert seen[:3] == [[(0, b"a")], [(0, b"bb")], [(0, b"ccc")]]
    assert fields(seen[3][0]) == {"grpc-status": "0"}


def test_accept_asks_for_the_other_form(origin, gateway):
    origin.answers(answer(message(b"x")))
    gw = gateway(origin, filters=WEB)
    reply = call(gw, message(b"y"), headers=[("Accept", "application/grpc-web-text")])
    assert reply.header("Content-Type") == "application/grpc-web-text+proto"
    assert frames(plain(reply.body))[0] == (0, b"x")


def test_trailers_only(origin, gateway):
    origin.answers(
        "HTTP/1.1 200 OK\r\nContent-Type: application/grpc\r\ngrpc-status: 5\r\ngrpc-message: gone\r\nContent-Length: 0\r\n\r\n"
    )
    reply = call(gateway(origin, filters=WEB), message(b""))
    assert (status(reply), text_of(reply), reply.body) == (5, "gone", b"")
    assert reply.header("Content-Type") == "application/grpc-web"


def test_an_answer_that_is_no_grpc(origin, gateway):
    origin.answers("HTTP/1.1 503 Busy\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>")
    gw = gateway(origin, filters=WEB)
    reply = call(gw, message(b""), path="/html")
    assert (status(reply), reply.body) == (14, b"")
    assert "503" in text_of(reply)
    assert gw.log("/html")["status"] == 503


def test_a_target_that_forgets_its_trailers(origin, gateway):
    origin.answers(answer(message(b"x"), trailers=""))
    reply = call(gateway(origin, filters=WEB), message(b""))
    assert fields(frames(reply.body)[1])["grpc-status"] == "13"


def test_exposed_headers_stay(origin, gateway):
    expose = "access-control-expose-headers: grpc-status, grpc-message\r\n"
    origin.answers(answer(message(b"x"), head=expose))
    reply = call(gateway(origin, filters=WEB), message(b""))
    assert reply.header("Access-Control-Expose-Headers") == "grpc-status, grpc-message"


@pytest.mark.parametrize("kind", ["application/grpc", "application/json", "text/plain"])
def test_other_requests_are_left_alone(origin, gateway, kind):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
    reply = call(gateway(origin, filters=WEB), b"\xff\xff", kind)
    assert (reply.body, reply.header("Content-Length")) == (b"{}", "2")
    assert (origin.request.body, origin.request.header("Content-Type")) == (b"\xff\xff", kind)


def test_without_the_filter_nothing_is_translated(origin, gateway):
    origin.answers(answer(b"AAAA", kind="application/grpc-web-text"))
    reply = call(gateway(origin), b"AAAA", "application/grpc-web-text")
    assert (origin.request.body, reply.body) == (b"AAAA", b"AAAA")


# -- back-pressure: what filters make of a body is held back like the body itself

PIECE = message(bytes(range(256)) * 255 + b"x" * 251)  # 64 KiB with its prefix
PIECES = 800
MAY_GROW = (64 if IS_SANITIZED else 4) * 1024 * 1024


def stalls(count):
    """Waits until the list no longer grows; how long it is then."""
    pause = threading.Event()

    def stands():
        before = len(count)
        pause.wait(QUIET)
        return before and len(count) == before

    until(stands, "the sender blocked")
    return len(count)


def test_a_long_answer_to_a_slow_reader(origin, gateway):
    sent = []

    @origin.on("/long")
    def long(conn, request):
        conn.read_body(request)
        conn.send(answer().partition(b"\r\n\r\n")[0] + b"\r\n\r\n")
        for _ in range(PIECES):
            conn.send(b"%x\r\n%b\r\n" % (len(PIECE), PIECE), 60)
            sent.append(1)
        conn.send(b"0\r\ngrpc-status: 0\r\n\r\n")

    gw = gateway(origin, filters=WEB)
    before = gw.resident()
    client = gw.connect(receive_buffer=65536)
    client.request("POST", "/long", [("Content-Type", "application/grpc-web-text")], b"AAAAAAA=")
    assert stalls(sent) < PIECES / 2
    assert gw.resident() - before < MAY_GROW
    body = plain(client.reply(timeout=60).body)
    assert body[: len(PIECE) * PIECES] == PIECE * PIECES
    assert fields(frames(body[len(PIECE) * PIECES :])[0]) == {"grpc-status": "0"}


def test_a_long_request_to_a_slow_target(origin, gateway):
    sent, go, got = [], threading.Event(), []

    @origin.on("/long")
    def long(conn, request):
        conn.keep_received = False
        assert go.wait(60)
        conn.read_body(request, on_data=got.append)
        conn.send(answer())

    gw = gateway(origin, filters=WEB)
    before = gw.resident()
    client = gw.send("POST /long HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc-web-text\r\n"
                     "Transfer-Encoding: chunked\r\n\r\n")

    def upload():
        text = base64.b64encode(PIECE)
        for _ in range(PIECES):
            client.chunk(text)
            sent.append(1)
        client.send(b"0\r\n\r\n")

    thread = threading.Thread(target=upload, daemon=True)
    thread.start()
    assert stalls(sent) < PIECES / 2
    assert gw.resident() - before < MAY_GROW
    go.set()
    assert client.reply("POST", timeout=60).status == 200
    assert b"".join(got) == PIECE * PIECES
    thread.join(10)


# -- what clients do wrong

BAD = {
    "no base64": ("application/grpc-web-text", b"AAAA!AAA", 3, "grpc_web_text_invalid"),
    "half a group": ("application/grpc-web-text", b"AAAAA", 3, "grpc_web_text_invalid"),
    "a cut message in text": ("application/grpc-web-text", b"AAAAAAJh", 13, "grpc_frame_invalid"),
    "a cut message": ("application/grpc-web", b"\0\0\0\0\2a", 13, "grpc_frame_invalid"),
    "a cut prefix": ("application/grpc-web", b"\0\0\0", 13, "grpc_frame_invalid"),
    "an unknown flag": ("application/grpc-web", b"\x80\0\0\0\0", 13, "grpc_frame_invalid"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_body(origin, gateway, name):
    kind, body, want, slug = BAD[name]
    gw = gateway(origin, filters=WEB)
    reply = call(gw, body, kind, path="/bad")
    assert (status(reply), reply.reason) == (want, slug)
    assert reply.header("Content-Type") == kind
    assert (gw.log("/bad")["status"], gw.log("/bad")["reason"]) == (400, slug)
    assert not origin.requests
    assert call(gw, message(b""), path="/good").status == 200


# -- the gateway's own answers, to gRPC and gRPC-Web alike

KINDS = {
    "application/grpc": "application/grpc",
    "application/grpc+proto": "application/grpc",
    "application/grpc-web+proto": "application/grpc-web+proto",
    "application/grpc-web-text": "application/grpc-web-text",
}


@pytest.mark.parametrize("kind", KINDS)
def test_no_route(origin, gateway, kind):
    gw = gateway(origin, routes=[{"paths": ["/only"], "service": "app"}], filters=WEB)
    reply = call(gw, b"", kind)
    assert (status(reply), reply.reason, reply.body) == (12, "route_not_found", b"")
    assert reply.header("Content-Type") == KINDS[kind]
    assert "route_not_found" in text_of(reply) and reply.header("X-Request-Id") in text_of(reply)
    assert "destination_not_found" in reply.header("Proxy-Status")
    assert gw.log("/pkg.Service/Call")["status"] == 404
    until(lambda: gw.metric("sluice_http_requests_total", code="404") == 1, "counted as what it is")
    assert gw.metric("sluice_http_requests_refused_total", reason="route_not_found") == 1


def test_the_target_is_down(gateway, ports):
    gw = gateway(f"127.0.0.1:{ports.take()}")
    reply = call(gw, b"", "application/grpc")
    assert (status(reply), reply.reason) == (14, "connection_refused")


def test_the_body_is_too_large(origin, gateway):
    gw = gateway(origin, limits={"body": "1KiB"}, filters=WEB)
    for kind in ("application/grpc", "application/grpc-web"):
        reply = call(gw, message(b"x" * 2000), kind)
        assert (status(reply), reply.reason) == (8, "body_too_large")


def test_the_target_dies_before_it_answers(origin, gateway):
    @origin.on("/die")
    def die(conn, request):
        conn.read_body(request)
        return "end"

    reply = call(gateway(origin), message(b""), "application/grpc", path="/die")
    assert (status(reply), reply.reason) == (14, "connection_terminated")


def test_the_target_is_slow(origin, gateway):
    @origin.on("/slow")
    def slow(conn, request):
        conn.read_body(request)
        conn.wait_end()

    gw = gateway(origin, timeouts={"first_byte": ms(100)})
    reply = call(gw, message(b""), "application/grpc", path="/slow")
    assert (status(reply), reply.reason) == (4, "http_response_timeout")


def test_a_redirect_and_a_fixed_answer(gateway, origin):
    gw = gateway(origin, routes=[
        {"paths": ["/old"], "redirect": {"to": "http://b.example${path}"}},
        {"paths": ["/fixed"], "respond": {"status": 403, "body": "no"}},
        {"paths": ["/grpc"], "respond": {"status": 200, "body": "x", "content_type": "application/grpc"}},
        {"service": "app"},
    ])
    assert status(call(gw, b"", "application/grpc", path="/old")) == 2
    reply = call(gw, b"", "application/grpc", path="/fixed")
    assert (status(reply), reply.reason, reply.body) == (7, None, b"")
    assert call(gw, b"", "application/grpc", path="/grpc").body == b"x"


def test_the_health_path_is_no_call(origin, gateway):
    assert call(gateway(origin), b"", "application/grpc", path="/.sluice/health").text == "ok\n"


# -- deadlines


@pytest.mark.parametrize("kind", KINDS)
def test_the_deadline_passes_before_the_answer(origin, gateway, kind):
    @origin.on("/slow")
    def slow(conn, request):
        conn.read_body(request)
        conn.wait_end()

    gw = gateway(origin, filters=WEB)
    reply = call(gw, message(b"") if "text" not in kind else b"AAAAAAA=", kind, [("grpc-timeout", SHORT)],
                 "/slow")
    assert (status(reply), reply.reason) == (4, "deadline_exceeded")
    assert reply.header("Content-Type") == KINDS[kind]
    assert gw.log("/slow")["status"] == 504
    origin.connections[0].wait_ended()


def test_the_deadline_passes_while_it_connects(gateway):
    port, held = full_listener()
    reply = call(gateway(f"127.0.0.1:{port}", timeouts={"connect": "60s"}), message(b""), "application/grpc",
                 [("grpc-timeout", SHORT)])
    assert (status(reply), reply.reason) == (4, "deadline_exceeded")
    for end in held:
        end.close()


def stuck(origin, data):
    """An answer that begins with `data` and never ends."""

    @origin.on("/stuck")
    def serve(conn, request):
        conn.read_body(request)
        conn.send(answer().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b"%x\r\n%b\r\n" % (len(data), data))
        conn.wait_end()


def test_the_deadline_passes_in_mid_answer(origin, gateway):
    stuck(origin, message(b"part"))
    gw = gateway(origin)
    reply = call(gw, message(b""), "application/grpc", [("grpc-timeout", SHORT)], "/stuck")
    assert reply.body == message(b"part")
    trailers = dict(reply.trailers)
    assert (trailers["grpc-status"], trailers["x-sluice-reason"]) == ("4", "deadline_exceeded")
    assert gw.log("/stuck")["reason"] == "deadline_exceeded"


def test_the_deadline_passes_in_mid_answer_to_a_browser(origin, gateway):
    stuck(origin, message(b"part"))
    gw = gateway(origin, filters=WEB)
    reply = call(gw, message(b""), headers=[("grpc-timeout", SHORT)], path="/stuck")
    assert frames(reply.body)[0] == (0, b"part")
    assert fields(frames(reply.body)[1])["grpc-status"] == "4"


def test_a_cut_message_is_not_glued_to_trailers(origin, gateway):
    stuck(origin, message(b"part")[:-1])
    gw = gateway(origin, filters=WEB)
    client = gw.connect().request("POST", "/stuck", [("Content-Type", "application/grpc-web"),
                                                     ("grpc-timeout", SHORT)], message(b""))
    assert client.head().status == 200
    assert client.wait_end() in ("reset", "eof")
    assert b"grpc-status" not in client.buffer and not client.buffer.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("value", ["", "soon", "100", "1000000000S", "-1S", "1s"])
def test_a_timeout_that_is_none_is_passed_on(origin, gateway, value):
    origin.answers(answer(message(b"x")))
    reply = call(gateway(origin), message(b""), "application/grpc", [("grpc-timeout", value)])
    assert frames(reply.body) == [(0, b"x")]
    assert origin.request.header("grpc-timeout") == value


def test_the_target_breaks_off_in_mid_answer(origin, gateway):
    @origin.on("/cut")
    def cut(conn, request):
        conn.read_body(request)
        conn.send(answer().partition(b"\r\n\r\n")[0] + b"\r\n\r\n" + b"6\r\n" + message(b"p") + b"\r\n")
        return "end"

    gw = gateway(origin)
    reply = call(gw, message(b""), "application/grpc", path="/cut")
    assert reply.body == message(b"p")
    assert dict(reply.trailers)["grpc-status"] == "14"
    assert gw.log("/cut")["reason"] == "http_response_incomplete"
