# SPDX-License-Identifier: Apache-2.0
"""A buffered socket with deadlines, and the HTTP/1.1 message parts that the origin and the client read from it.

The parser is strict and owes nothing to any library: what it takes, every recipient would take the same way.
"""

import re
import socket
import struct
import threading
import time

from .wait import DEADLINE

_TOKEN = re.compile(rb"^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$")
_STATUS = re.compile(rb"^HTTP/1\.([01]) ([1-5][0-9][0-9]) ([\t \x21-\x7e\x80-\xff]*)$")
_DIGITS = re.compile(rb"^[0-9]+$")
_CHUNK = re.compile(rb"^([0-9A-Fa-f]{1,16})(?:[ \t]*;.*)?$")


class Ended(ConnectionError):
    """The other end closed before what was waited for had come. `.got` is what had come."""

    def __init__(self, what, got):
        super().__init__(f"connection ended while waiting for {what}; got {got[:400]!r}")
        self.got = got


class Stream:
    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        self.received = bytearray()  # every byte that ever came
        self.keep_received = True
        self.ended = None  # None, "eof" or "reset"

    # -- bytes

    def fill(self, what, timeout=DEADLINE, size=65536):
        """Reads once; False at the end of the stream."""
        if self.ended:
            return False
        self.sock.settimeout(max(timeout, 0.001))
        try:
            data = self.sock.recv(size)
        except socket.timeout:
            raise AssertionError(
                f"nothing came within {timeout:.1f} s while waiting for {what}; so far {self.buffer[:400]!r}"
            ) from None
        except ConnectionError:
            self.ended = "reset"
            return False
        if not data:
            self.ended = "eof"
            return False
        if self.keep_received:
            self.received += data
        self.buffer += data
        return True

    def until(self, mark, what, timeout=DEADLINE):
        end = time.monotonic() + timeout
        while mark not in self.buffer:
            if not self.fill(what, end - time.monotonic()):
                raise Ended(what, self.buffer)
        at = self.buffer.index(mark) + len(mark)
        data, self.buffer = self.buffer[:at], self.buffer[at:]
        return data

    def exactly(self, size, what, timeout=DEADLINE):
        end = time.monotonic() + timeout
        while len(self.buffer) < size:
            if not self.fill(what, end - time.monotonic()):
                raise Ended(what, self.buffer)
        data, self.buffer = self.buffer[:size], self.buffer[size:]
        return data

    def to_end(self, what="the end of the stream", timeout=DEADLINE):
        end = time.monotonic() + timeout
        while self.fill(what, end - time.monotonic()):
            pass
        data, self.buffer = self.buffer, b""
        return data

    def wait_end(self, timeout=DEADLINE):
        """Waits for the other end to close; "eof" or "reset". Bytes that come meanwhile stay in .buffer."""
        end = time.monotonic() + timeout
        while self.fill("the connection's end", end - time.monotonic()):
            pass
        return self.ended

    def is_silent(self, seconds):
        """True when nothing, not even the end, comes within `seconds`."""
        if self.buffer or self.ended:
            return False
        self.sock.settimeout(seconds)
        try:
            data = self.sock.recv(65536)
        except socket.timeout:
            return True
        except ConnectionError:
            self.ended = "reset"
            return False
        self.ended = self.ended if data else "eof"
        self.received += data
        self.buffer += data
        return False

    def send(self, data, timeout=DEADLINE):
        self.sock.settimeout(timeout)
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data)

    def drip(self, data, pause_s=0.0):
        """Sends one byte a segment."""
        data = data.encode("latin-1") if isinstance(data, str) else data
        wait = threading.Event()
        for i in range(len(data)):
            self.send(data[i : i + 1])
            if pause_s:
                wait.wait(pause_s)

    def half_close(self):
        self.sock.shutdown(socket.SHUT_WR)

    def close(self):
        self.sock.close()

    def reset(self):
        """Closes with RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    # -- message parts

    def fields(self, what, timeout=DEADLINE):
        """Field lines up to and with the empty line: [(name, value)]."""
        lines = []
        end = time.monotonic() + timeout
        while True:
            line = self.until(b"\r\n", what, end - time.monotonic())[:-2]
            if not line:
                return lines
            lines.append(field(line))

    def chunked(self, what, timeout=DEADLINE, on_data=None):
        """A chunked body: (bytes, trailers, sizes of the chunks)."""
        body, sizes = bytearray(), []
        while True:
            line = self.until(b"\r\n", f"a chunk of {what}", timeout)[:-2]
            match = _CHUNK.match(line)
            assert match, f"bad chunk line {line!r} in {what}"
            size = int(match[1], 16)
            if size == 0:
                return bytes(body), self.fields(f"the trailers of {what}", timeout), sizes
            data = self.exactly(size, f"a chunk of {what}", timeout)
            assert self.exactly(2, f"the end of a chunk of {what}", timeout) == b"\r\n"
            sizes.append(size)
            if on_data:
                on_data(data)
            else:
                body += data


def field(line):
    assert b"\r" not in line and b"\n" not in line and b"\0" not in line, f"bad bytes in {line!r}"
    name, colon, value = line.partition(b":")
    assert colon and _TOKEN.match(name), f"bad field line {line!r}"
    return name.decode("ascii"), value.strip(b" \t").decode("latin-1")


def status_line(line):
    match = _STATUS.match(line)
    assert match, f"bad status line {line!r}"
    return int(match[1]), int(match[2]), match[3].decode("latin-1")


def is_digits(text):
    return bool(_DIGITS.match(text.encode("latin-1")))


class Message:
    """What requests and replies share: fields, body, trailers."""

    def __init__(self, fields):
        self.fields = fields
        self.body = b""
        self.trailers = []
        self.chunks = None  # sizes, when chunked
        self.complete = False

    def all(self, name):
        return [v for n, v in self.fields if n.lower() == name.lower()]

    def header(self, name, default=None):
        """The one value of a field; more than one is an error of the sender."""
        values = self.all(name)
        assert len(values) < 2, f"{name} stands {len(values)} times: {values}"
        return values[0] if values else default

    def has(self, name):
        return bool(self.all(name))

    def trailer(self, name, default=None):
        return next((v for n, v in self.trailers if n.lower() == name.lower()), default)

    def tokens(self, name):
        return [t.strip().lower() for v in self.all(name) for t in v.split(",") if t.strip()]
