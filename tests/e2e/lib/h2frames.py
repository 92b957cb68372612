# SPDX-License-Identifier: Apache-2.0
"""HTTP/2 frames over a socket, for peers that break the rules on purpose (RFC 9113).

`Frames` sends whatever it is given and reads strictly; `RawClient` adds awaiting with deadlines. Both owe nothing
to an HTTP/2 library but HPACK.
"""

import struct
import threading
import time

import hpack

from .client import Reply
from .stream import Ended, Stream
from .wait import DEADLINE
from .wire import connect

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, PRIORITY, RST_STREAM, SETTINGS, PUSH_PROMISE, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32
(NO_ERROR, PROTOCOL_ERROR, INTERNAL_ERROR, FLOW_CONTROL_ERROR, SETTINGS_TIMEOUT, STREAM_CLOSED, FRAME_SIZE_ERROR,
 REFUSED_STREAM, CANCEL, COMPRESSION_ERROR, CONNECT_ERROR, ENHANCE_YOUR_CALM, INADEQUATE_SECURITY,
 HTTP_1_1_REQUIRED) = range(14)
(HEADER_TABLE_SIZE, ENABLE_PUSH, MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE,
 MAX_HEADER_LIST_SIZE) = range(1, 7)
ENABLE_CONNECT_PROTOCOL = 8  # RFC 8441
WINDOW, FRAME = 65535, 16384  # what holds before any SETTINGS

_NAMES = ("DATA HEADERS PRIORITY RST_STREAM SETTINGS PUSH_PROMISE PING GOAWAY WINDOW_UPDATE CONTINUATION").split()


def frame(kind, flags=0, stream=0, payload=b"", length=None, reserved=0):
    """The bytes of a frame; `length` may lie."""
    size = len(payload) if length is None else length
    return struct.pack(">BHBBI", size >> 16, size & 0xFFFF, kind, flags, stream | reserved << 31) + payload


def settings(values=(), flags=0):
    """A SETTINGS frame of a dict, or of pairs where one setting stands twice."""
    pairs = values.items() if isinstance(values, dict) else values
    return frame(SETTINGS, flags, 0, b"".join(struct.pack(">HI", k, v) for k, v in pairs))


def number(value):
    return struct.pack(">I", value)


def update(stream, increment):
    return frame(WINDOW_UPDATE, 0, stream, number(increment))


def reset(stream, code=CANCEL):
    return frame(RST_STREAM, 0, stream, number(code))


def priority(depends_on, weight=16, exclusive=0):
    """The five bytes of a priority."""
    return struct.pack(">IB", depends_on | exclusive << 31, weight - 1)


def request_fields(method="GET", path="/", authority="example.com", scheme="http", more=()):
    return [(":method", method), (":scheme", scheme), (":path", path), (":authority", authority), *more]


def literal(*fields):
    """A header block without any state: each field a literal that is not indexed, whatever bytes it has."""
    out = bytearray()
    for name, value in fields:
        out.append(0)
        for text in (name, value):
            data = text.encode("latin-1") if isinstance(text, str) else text
            out += _prefixed(len(data), 7) + data
    return bytes(out)


def _prefixed(value, bits):
    """An HPACK integer (RFC 7541 5.1)."""
    limit = (1 << bits) - 1
    if value < limit:
        return bytes([value])
    out, value = [limit], value - limit
    while value >= 128:
        out.append(value % 128 | 128)
        value //= 128
    return bytes([*out, value])


class Frame:
    """What came: kind, flags, stream, payload; for a whole header block also its fields."""

    def __init__(self, kind, flags, stream, payload):
        self.kind, self.flags, self.stream, self.payload = kind, flags, stream, payload
        self.fields = None

    @property
    def ends(self):
        return self.kind in (DATA, HEADERS) and bool(self.flags & END_STREAM)

    @property
    def content(self):
        """The payload without padding and priority."""
        data = self.payload
        if self.kind in (DATA, HEADERS) and self.flags & PADDED:
            assert data[0] < len(data), f"padding is longer than {self}"
            data = data[1 : len(data) - data[0]]
        return data[5:] if self.kind == HEADERS and self.flags & WITH_PRIORITY else data

    @property
    def code(self):
        at = {RST_STREAM: 0, GOAWAY: 4}[self.kind]
        return struct.unpack_from(">I", self.payload, at)[0]

    @property
    def last(self):
        """GOAWAY: the last stream that was or may be dealt with."""
        assert self.kind == GOAWAY
        return struct.unpack_from(">I", self.payload)[0] & 0x7FFFFFFF

    @property
    def increment(self):
        assert self.kind == WINDOW_UPDATE
        return struct.unpack(">I", self.payload)[0] & 0x7FFFFFFF

    @property
    def settings(self):
        assert self.kind == SETTINGS and len(self.payload) % 6 == 0
        return dict(struct.iter_unpack(">HI", self.payload))

    def field(self, name):
        return next((v for n, v in self.fields or () if n == name), None)

    def __repr__(self):
        name = _NAMES[self.kind] if self.kind < 10 else f"type {self.kind}"
        code = f" code {self.code}" if self.kind in (RST_STREAM, GOAWAY) else ""
        more = f" {self.fields}" if self.fields else f" {self.payload[:40]!r}" if self.payload else ""
        return f"<{name} flags {self.flags:#x} stream {self.stream}{code}{more}>"


class Frames(Stream):
    """Frames in and out. Header blocks are decoded as they come, whoever wants them: their order is a state."""

    def __init__(self, wire):
        super().__init__(wire)
        self.keep_received = False
        self.encoder, self.decoder = hpack.Encoder(), hpack.Decoder()
        self.sending = threading.RLock()  # blocks go out in the order in which they were encoded
        self.largest = FRAME  # what we allow the other end

    def send(self, data, timeout=DEADLINE):
        self.sock.sendall(data.encode("latin-1") if isinstance(data, str) else data, timeout)

    def block(self, fields):
        return self.encoder.encode(fields)

    def send_block(self, stream, fields, flags=END_STREAM, size=FRAME):
        """A header block as HEADERS and as many CONTINUATIONs as it needs."""
        with self.sending:
            data = self.block(fields)
            parts = [data[i : i + size] for i in range(0, len(data), size)] or [b""]
            out = b""
            for i, part in enumerate(parts):
                kind, flag = (CONTINUATION, 0) if i else (HEADERS, flags)
                out += frame(kind, flag | (END_HEADERS if i == len(parts) - 1 else 0), stream, part)
            self.send(out)

    def read_frame(self, timeout=DEADLINE):
        """The next frame; CONTINUATIONs are joined to their HEADERS. Raises Ended at the connection's end."""
        got = self._one(timeout)
        if got.kind != HEADERS:
            assert got.kind not in (CONTINUATION, PUSH_PROMISE), f"out of place: {got}"
            return got
        data, flags = got.content, got.flags
        while not flags & END_HEADERS:
            more = self._one(timeout)
            assert (more.kind, more.stream) == (CONTINUATION, got.stream), f"{more} within a header block"
            data, flags = data + more.payload, more.flags
        got.fields = [(str(n), str(v)) for n, v in self.decoder.decode(data)]
        return got

    def _one(self, timeout):
        high, low, kind, flags, stream = struct.unpack(">BHBBI", self.exactly(9, "a frame", timeout))
        size = high << 16 | low
        assert size <= self.largest, f"a frame of {size} bytes, type {kind}; {self.largest} are allowed"
        assert not stream >> 31, "the reserved bit is set (RFC 9113 4.1)"
        return Frame(kind, flags, stream, self.exactly(size, f"a frame of type {kind}", timeout))


class RawClient(Frames):
    """One connection to a server. Frames that were read and not asked for yet wait in `inbox`."""

    def __init__(self, address, start=True, values=(), **options):
        super().__init__(connect(address, **options))
        self.inbox = []
        self.peer = {}  # the server's settings
        self.acked = 0  # settings of ours that were acknowledged
        self.answers = True  # acknowledge SETTINGS and PING
        self.next_stream = 1
        if start:
            self.start(values)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- sending

    def start(self, values=()):
        self.send(PREFACE + settings(values))
        return self

    def settle(self):
        """Waits until both ends know each other's settings."""
        self.wait(lambda f: f.kind == SETTINGS and not f.flags & ACK, "the server's SETTINGS")
        self.wait(lambda f: f.kind == SETTINGS and f.flags & ACK, "the acknowledgement of ours")
        return self

    def frame(self, kind, flags=0, stream=0, payload=b"", **lies):
        self.send(frame(kind, flags, stream, payload, **lies))
        return self

    def stream(self):
        """The number of the next stream."""
        self.next_stream += 2
        return self.next_stream - 2

    def request(self, method="GET", path="/", more=(), body=None, end=None, stream=None, **pseudo):
        """Begins a request and gives its stream; with a body (bytes that fit the windows) sends that too."""
        stream = self.stream() if stream is None else stream
        is_last = body is None if end is None else end and body is None
        self.send_block(stream, request_fields(method, path, more=more, **pseudo), END_STREAM if is_last else 0)
        if body is not None:
            self.data(stream, body, end is not False)
        return stream

    def data(self, stream, data, end=False):
        parts = [data[i : i + FRAME] for i in range(0, len(data), FRAME)] or [b""]
        for i, part in enumerate(parts):
            self.frame(DATA, END_STREAM if end and i == len(parts) - 1 else 0, stream, part)
        return self

    def send_block(self, stream, fields, flags=END_STREAM, size=FRAME):
        super().send_block(self._use(stream), fields, flags, size)

    def raw_headers(self, stream, block, flags=END_HEADERS | END_STREAM):
        return self.frame(HEADERS, flags, self._use(stream), block)

    def _use(self, stream):
        self.next_stream = max(self.next_stream, stream + 2 - (stream + 1) % 2)
        return stream

    # -- awaiting

    def pump(self, timeout=DEADLINE):
        """Reads one frame into the inbox, acknowledging what has to be."""
        got = self.read_frame(timeout)
        if got.kind == SETTINGS:
            self._settings(got)
        elif got.kind == PING and not got.flags & ACK and self.answers:
            self.frame(PING, ACK, 0, got.payload)
        self.inbox.append(got)
        return got

    def _settings(self, got):
        if got.flags & ACK:
            self.acked += 1
            return
        self.peer.update(got.settings)
        if self.answers:
            self.send(settings(flags=ACK))

    def wait(self, check, what, timeout=DEADLINE):
        """The first frame that fits, taken out of the inbox."""
        end = time.monotonic() + timeout
        at = 0
        while True:
            while at < len(self.inbox):
                if check(self.inbox[at]):
                    return self.inbox.pop(at)
                at += 1
            try:
                self.pump(end - time.monotonic())
            except ConnectionError as error:
                raise Ended(f"{what}; had come: {self.inbox[-8:]}", str(error).encode()) from None
            except AssertionError as error:
                raise AssertionError(f"{error}; waiting for {what}; had come: {self.inbox[-8:]}") from None

    def until_end(self, timeout=DEADLINE):
        """Reads until the server has closed; "eof" or "reset"."""
        end = time.monotonic() + timeout
        try:
            while True:
                self.pump(end - time.monotonic())
        except ConnectionError:
            return self.ended

    def of(self, stream, *kinds):
        return lambda f: f.stream == stream and f.kind in kinds

    def head(self, stream, timeout=DEADLINE):
        return self.wait(self.of(stream, HEADERS), f"a header block of stream {stream}", timeout)

    def reply(self, stream, timeout=DEADLINE):
        """The whole answer on a stream. Windows are not widened: raise them before for more than 64 KiB."""
        head = self.head(stream, timeout)
        interims = []
        while (head.field(":status") or "").startswith("1"):
            interims.append(Reply(2, int(head.field(":status")), "", head.fields))
            head = self.head(stream, timeout)
        reply = Reply(2, int(head.field(":status")), "", [f for f in head.fields if f[0] != ":status"])
        reply.interims = interims
        last = head
        while not last.ends:
            last = self.wait(self.of(stream, DATA, HEADERS, RST_STREAM), f"more of stream {stream}", timeout)
            assert last.kind != RST_STREAM, f"{last} in the answer"
            if last.kind == DATA:
                reply.body += last.content
            else:
                reply.trailers = last.fields
        reply.complete = True
        return reply

    def get(self, path="/", more=(), **pseudo):
        return self.reply(self.request("GET", path, more, **pseudo))

    def ping(self, payload=b"12345678", timeout=DEADLINE):
        """A round trip: what was sent before it has been dealt with."""
        self.frame(PING, 0, 0, payload)
        return self.wait(lambda f: f.kind == PING and f.flags & ACK and f.payload == payload, "PING's answer", timeout)

    # -- judging

    def expect_goaway(self, *codes):
        """A connection error: GOAWAY with one of these codes, and the end (RFC 9113 5.4.1)."""
        got = self.wait(lambda f: f.kind == GOAWAY, f"GOAWAY with {codes}")
        assert got.code in codes, f"{got}, not one of {codes}"
        assert got.stream == 0
        self.until_end()
        return got

    def expect_reset(self, stream, *codes):
        """A stream error, or the connection error that it may be taken for (5.4.2); which of the two."""
        got = self.wait(lambda f: f.kind == GOAWAY or self.of(stream, RST_STREAM)(f), f"RST_STREAM with {codes}")
        assert got.code in codes, f"{got}, not one of {codes}"
        if got.kind == GOAWAY:
            self.until_end()
            return "connection"
        return "stream"

    def expect_malformed(self, stream):
        """What a malformed request may get: 4xx, RST_STREAM or GOAWAY with PROTOCOL_ERROR (8.1.1)."""
        got = self.wait(lambda f: f.kind == GOAWAY or self.of(stream, HEADERS, RST_STREAM)(f), "a refusal")
        if got.kind == HEADERS:
            assert got.field(":status")[0] == "4", got
            return "answer"
        assert got.code == PROTOCOL_ERROR, got
        return "connection" if got.kind == GOAWAY else "stream"

    def expect_served(self, path="/"):
        """The connection is usable: a further request is answered."""
        reply = self.get(path)
        assert reply.status == 200, reply
        return reply
