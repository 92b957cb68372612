# SPDX-License-Identifier: Apache-2.0
"""A client that sends exactly the bytes it is given and reads replies strictly (RFC 9112)."""

import json
import socket

from .stream import Ended, Message, Stream, is_digits, status_line
from .wait import DEADLINE


class Reply(Message):
    def __init__(self, minor, status, phrase, fields):
        super().__init__(fields)
        self.minor, self.status, self.phrase = minor, status, phrase
        self.interims = []

    @property
    def text(self):
        return self.body.decode("utf-8")

    def json(self):
        return json.loads(self.body)

    @property
    def reason(self):
        """The slug of a refusal; None when the answer is the target's."""
        return self.header("X-Sluice-Reason")

    @property
    def closes(self):
        return "close" in self.tokens("Connection")

    def __repr__(self):
        return f"<Reply {self.status} {self.fields} {self.body[:200]!r}>"


class Client(Stream):
    """One connection to the gateway."""

    def __init__(self, address, timeout=DEADLINE, source=None, receive_buffer=None):
        if isinstance(address, str) and address.startswith("unix:"):
            sock = socket.socket(socket.AF_UNIX)
            target = address[5:]
        else:
            host, port = address
            sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            target = (host, port)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        if source:
            sock.bind((source, 0))
        sock.settimeout(timeout)
        try:
            sock.connect(target)
        except OSError:
            sock.close()
            raise
        super().__init__(sock)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- sending

    def request(self, method="GET", target="/", headers=(), body=None, host="example.com", version="1.1"):
        """Sends a well-formed request; a body gets a Content-Length."""
        lines = [f"{method} {target} HTTP/{version}"]
        if host is not None:
            lines.append(f"Host: {host}")
        lines += [f"{n}: {v}" for n, v in headers]
        if body is not None:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines) + "\r\n\r\n")
        if body:
            self.send(body)
        return self

    def chunk(self, data):
        self.send(b"%x\r\n%b\r\n" % (len(data), data))

    # -- reading

    def head(self, timeout=DEADLINE):
        """The next head, 1xx or final, without its body."""
        minor, status, phrase = status_line(self.until(b"\r\n", "a status line", timeout)[:-2])
        reply = Reply(minor, status, phrase, self.fields("the reply's header", timeout))
        _check_framing(reply)
        return reply

    def reply(self, method="GET", timeout=DEADLINE, on_data=None):
        """The next whole reply; interim ones before it are in .interims."""
        interims = []
        reply = self.head(timeout)
        while reply.status < 200 and reply.status != 101:
            interims.append(reply)
            reply = self.head(timeout)
        reply.interims = interims
        return self.body(reply, method, timeout, on_data)

    def body(self, reply, method="GET", timeout=DEADLINE, on_data=None):
        length = reply.header("Content-Length")
        if method == "HEAD" or reply.status in (101, 204, 304):
            pass
        elif reply.has("Transfer-Encoding"):
            reply.body, reply.trailers, reply.chunks = self.chunked("the reply", timeout, on_data)
        elif length is not None:
            reply.body = self._counted(int(length), timeout, on_data)
        else:
            reply.body = self.to_end("the end of a body delimited by close", timeout)
        reply.complete = True
        return reply

    def _counted(self, left, timeout, on_data):
        if not on_data:
            return self.exactly(left, "the reply's body", timeout)
        while left:
            if not self.buffer and not self.fill("the reply's body", timeout):
                raise Ended("the reply's body", b"")
            data, self.buffer = self.buffer[:left], self.buffer[left:]
            left -= len(data)
            on_data(data)
        return b""

    def get(self, target="/", headers=(), host="example.com", timeout=DEADLINE):
        return self.request("GET", target, headers, host=host).reply(timeout=timeout)

    def post(self, target="/", body=b"", headers=(), host="example.com", timeout=DEADLINE):
        return self.request("POST", target, headers, body, host).reply("POST", timeout=timeout)

    def is_open(self, seconds=0.1):
        """True when the gateway has neither sent a byte nor closed within `seconds`."""
        return self.is_silent(seconds)

    def expect_end(self, timeout=DEADLINE):
        """The gateway closes, and nothing more comes before that."""
        self.wait_end(timeout)
        assert not self.buffer, f"bytes after the last reply: {self.buffer[:300]!r}"
        return self.ended


def _check_framing(reply):
    lengths, codings = reply.all("Content-Length"), reply.all("Transfer-Encoding")
    assert len(lengths) < 2 and len(codings) < 2, f"framing stands twice: {reply.fields}"
    assert not (lengths and codings), f"both kinds of framing: {reply.fields}"
    assert all(is_digits(v) for v in lengths), f"bad Content-Length: {reply.fields}"
    assert all(v.lower() == "chunked" for v in codings), f"bad Transfer-Encoding: {reply.fields}"
    if reply.status < 200 or reply.status == 204:  # RFC 9110 8.6, RFC 9112 6.1
        assert not lengths and not codings, f"framing on {reply.status}: {reply.fields}"
