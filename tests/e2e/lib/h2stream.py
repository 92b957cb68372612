# SPDX-License-Identifier: Apache-2.0
"""One HTTP/2 stream as a test sees it, from either end, and the engine that keeps the rules for it.

An engine has one reading thread; scripts run on threads of their own and block in read(), send_data() and the waits.
Bytes are credited when a script reads them, so a script that does not read makes the sender wait.
"""

import threading
from collections import deque

from .h2frames import (
    ACK, DATA, END_STREAM, FLOW_CONTROL_ERROR, FRAME, GOAWAY, HEADERS, INITIAL_WINDOW_SIZE, MAX_FRAME_SIZE, NO_ERROR,
    PING, RST_STREAM, SETTINGS, WINDOW, WINDOW_UPDATE, CANCEL, Frames, frame, number, settings, update,
)
from .stream import Message
from .wait import DEADLINE

_HOP_BY_HOP = {"connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"}


class Reset(ConnectionError):
    """The other end reset the stream; `.code` says why. Without a code the whole connection went."""

    def __init__(self, stream, code):
        super().__init__(f"{stream} was reset with {code}")
        self.code = code


class H2Stream(Message):
    def __init__(self, engine, number_of):
        super().__init__([])
        self.engine, self.id = engine, number_of
        self.pseudo, self.interims = {}, []
        self.window = engine.their_window  # what we may send
        self.allowance = engine.our_window  # what the other end may send
        self.pieces = deque()
        self.received = 0  # bytes of body that ever came
        self.code = None  # of a RST_STREAM that came
        self.is_gone = False  # the connection ended
        self.has_head = False
        self.sent = False  # our whole message is out
        self.handler = None  # the script, at a target
        self._owed = 0

    # -- reading

    def wait(self, check, what, timeout=DEADLINE):
        with self.engine.changed:
            if not self.engine.changed.wait_for(check, timeout):
                raise AssertionError(f"stream {self.id}: did not happen within {timeout:.1f} s: {what}")

    @property
    def is_dead(self):
        return self.code is not None or self.is_gone

    def wait_head(self, timeout=DEADLINE):
        self.wait(lambda: self.has_head or self.is_dead, "a final head", timeout)
        if not self.has_head:
            raise Reset(self, self.code)
        return self

    def wait_reset(self, timeout=DEADLINE):
        """The code with which the other end reset the stream."""
        self.wait(lambda: self.is_dead, "a reset", timeout)
        return self.code

    def read(self, timeout=DEADLINE):
        """The next piece of the body; b"" at its end. Raises Reset."""
        self.wait(lambda: self.pieces or self.complete or self.is_dead, "more of the body", timeout)
        with self.engine.changed:
            if self.pieces:
                data = self.pieces.popleft()
            elif self.complete:
                return b""
            else:
                raise Reset(self, self.code)
        self.credit(len(data))
        return data

    def exactly(self, size, timeout=DEADLINE):
        """That many bytes of the body: for tunnels, which have no messages."""
        out = b""
        while len(out) < size:
            data = self.read(timeout)
            assert data, f"stream {self.id} ended after {out[:200]!r}"
            if len(data) > size - len(out):
                with self.engine.changed:
                    self.pieces.appendleft(data[size - len(out) :])
                self._owed -= len(data) - (size - len(out))
                data = data[: size - len(out)]
            out += data
        return out

    def read_body(self, timeout=DEADLINE, on_data=None):
        """The rest of the body, to .body or to `on_data`."""
        while data := self.read(timeout):
            if on_data:
                on_data(data)
            else:
                self.body += data
        return self.body

    def credit(self, size):
        """Lets the other end send so much more, when enough has come together."""
        self._owed += size
        self.engine.owe(size)
        if self._owed >= min(FRAME, max(1, self.engine.our_window // 2)) and not self.complete:
            with self.engine.changed:
                self.allowance += self._owed
            self.engine.send(update(self.id, self._owed))
            self._owed = 0

    # -- writing

    def send_head(self, fields, end=False):
        self.sent = self.sent or end
        self.engine.send_block(self.id, fields, END_STREAM if end else 0)

    def send_data(self, data, end=False, timeout=DEADLINE, size=None):
        """Sends as the windows allow, in frames of at most `size` bytes."""
        self.sent = self.sent or end
        data = memoryview(data)
        at = 0
        while at < len(data):
            room = self._take(min(len(data) - at, size or FRAME), timeout)
            is_last = end and at + room == len(data)
            self.engine.send(frame(DATA, END_STREAM if is_last else 0, self.id, bytes(data[at : at + room])), timeout)
            at += room
        if end and not data:
            self.engine.send(frame(DATA, END_STREAM, self.id))

    def send_trailers(self, fields):
        self.send_head(list(fields), True)

    def reset(self, code=CANCEL):
        self.sent = True
        self.engine.send(frame(RST_STREAM, 0, self.id, number(code)))
        self.engine.drop(self)

    def _take(self, wanted, timeout):
        engine = self.engine
        with engine.changed:
            if not engine.changed.wait_for(lambda: self.is_dead or min(engine.window, self.window) > 0, timeout):
                raise AssertionError(f"stream {self.id}: no window came within {timeout:.1f} s")
            if self.is_dead:
                raise Reset(self, self.code)
            room = min(wanted, engine.window, self.window)
            engine.window -= room
            self.window -= room
        return room

    # -- requests (what a target sees)

    @property
    def method(self):
        return self.pseudo.get(":method")

    @property
    def target(self):
        return self.pseudo.get(":path")

    @property
    def path(self):
        return (self.target or "").partition("?")[0]

    def respond(self, status=200, body=b"", headers=(), trailers=None):
        """A whole answer, with Content-Length unless trailers follow."""
        fields = [(":status", str(status)), *headers]
        if status not in (204, 304) and trailers is None:
            fields.append(("content-length", str(len(body))))
        self.send_head(fields, not body and trailers is None)
        if body:
            self.send_data(body, trailers is None)
        if trailers is not None:
            self.send_trailers(trailers)

    def interim(self, status, headers=()):
        self.send_head([(":status", str(status)), *headers])

    # -- answers (what a client sees)

    @property
    def status(self):
        return int(self.pseudo.get(":status", 0))

    @property
    def reason(self):
        return self.header("x-sluice-reason")

    @property
    def text(self):
        return self.body.decode()

    def reply(self, timeout=DEADLINE, on_data=None):
        """Waits for the whole answer, and is that."""
        self.wait_head(timeout)
        self.read_body(timeout, on_data)
        return self

    def __repr__(self):
        return f"<H2Stream {self.id} {self.pseudo} {self.fields} {self.body[:100]!r}>"


class Engine(Frames):
    """One connection that keeps the rules and finds the other end's breaches; `.broken` holds the first of them."""

    def __init__(self, wire, values=()):
        super().__init__(wire)
        self.changed = threading.Condition()
        self.streams = {}  # all there ever were
        self.values = dict(values)
        self.peer, self.acked = {}, 0
        self.window, self.allowance = WINDOW, WINDOW
        self.their_window, self.our_window = WINDOW, WINDOW
        self.goaways, self.pings = [], []  # what came
        self.answers_pings = True
        self.largest = max(FRAME, self.values.get(MAX_FRAME_SIZE, FRAME))
        self._owed = 0

    def run(self):
        """Reads until the end of the connection; the reading thread's whole life."""
        try:
            while True:
                got = self.read_frame(3600)
                with self.changed:
                    self._take(got)
                    self.changed.notify_all()
        except (ConnectionError, OSError):
            pass
        finally:
            with self.changed:
                self.ended = self.ended or "eof"
                for stream in self.streams.values():
                    stream.is_gone = not stream.complete
                self.changed.notify_all()

    def wait(self, check, what, timeout=DEADLINE):
        with self.changed:
            if not self.changed.wait_for(check, timeout):
                raise AssertionError(f"connection: did not happen within {timeout:.1f} s: {what}")

    def wait_ended(self, timeout=DEADLINE):
        self.wait(lambda: self.ended, "the end of the connection", timeout)
        return self.ended

    def wait_goaway(self, timeout=DEADLINE):
        self.wait(lambda: self.goaways or self.ended, "GOAWAY", timeout)
        assert self.goaways, "the connection ended without GOAWAY"
        return self.goaways[-1]

    @property
    def live(self):
        """Streams on which something is still to be sent by either end."""
        return [s for s in self.streams.values() if not (s.complete and s.sent) and not s.is_dead]

    def owe(self, size):
        self._owed += size
        if self._owed >= FRAME:
            grant, self._owed = self._owed, 0
            self.widen(grant)

    def widen(self, size):
        """More room for the whole connection."""
        with self.changed:
            self.allowance += size
        self.send(update(0, size))

    def goaway(self, last=0, code=NO_ERROR, text=b""):
        self.send(frame(GOAWAY, 0, 0, number(last) + number(code) + text))

    def ping(self, payload=b"sluice-t", timeout=DEADLINE):
        count = len(self.pings)
        self.send(frame(PING, 0, 0, payload))
        self.wait(lambda: self.pings[count:] or self.ended, "a PING's answer", timeout)

    def change(self, values):
        """Sends settings in mid-flight."""
        self.values.update(values)
        self.send(settings(values))

    def drop(self, stream):
        """What was not read of a stream is given back to the connection."""
        with self.changed:
            left = sum(map(len, stream.pieces))
            stream.pieces.clear()
            stream.is_gone = True
            self.changed.notify_all()
        if left:
            self.owe(left)

    # -- what came; on the reading thread, under the lock

    def _take(self, got):
        take = {HEADERS: self._headers, DATA: self._data, RST_STREAM: self._reset, SETTINGS: self._settings,
                PING: self._ping, GOAWAY: self.goaways.append, WINDOW_UPDATE: self._update}.get(got.kind)
        if take:
            take(got)

    def _headers(self, got):
        stream = self.streams.get(got.stream)
        if stream is None:
            stream = self.accept(got)
        check_fields(got.fields)
        pseudo = {n: v for n, v in got.fields if n.startswith(":")}
        fields = [f for f in got.fields if not f[0].startswith(":")]
        if stream.has_head:
            assert not pseudo and got.ends, f"trailers without END_STREAM, or with pseudo-headers: {got}"
            stream.trailers = fields
        elif pseudo.get(":status", "2").startswith("1"):
            stream.interims.append((int(pseudo[":status"]), fields))
            return
        else:
            stream.pseudo, stream.fields, stream.has_head = pseudo, fields, True
        self._moved(stream, got)

    def _data(self, got):
        stream = self.streams[got.stream]
        assert stream.has_head and not stream.complete, f"{got} out of place"
        size = len(got.payload)
        self.allowance -= size
        stream.allowance -= size
        assert self.allowance >= 0 and stream.allowance >= 0, f"{got} overflows a window (RFC 9113 6.9.1)"
        data = got.content
        stream.received += len(data)
        if stream.is_dead:
            self.owe(size)
            return
        if data:
            stream.pieces.append(data)
        if size > len(data):
            stream.credit(size - len(data))
        self._moved(stream, got)

    def _moved(self, stream, got):
        if got.ends:
            stream.complete = True
        self.on_move(stream, got)

    def accept(self, got):
        raise AssertionError(f"a stream that was not opened by us: {got}")

    def on_move(self, stream, got):
        """For roles: a stream has more."""

    def _reset(self, got):
        stream = self.streams.get(got.stream)
        assert stream, f"{got} on an idle stream (RFC 9113 5.1)"
        if stream.code is None:
            stream.code = got.code

    def _settings(self, got):
        if got.flags & ACK:
            self.acked += 1
            self._acknowledged()
            return
        before = self.their_window
        self.peer.update(got.settings)
        self.their_window = self.peer.get(INITIAL_WINDOW_SIZE, WINDOW)
        for stream in self.streams.values():
            stream.window += self.their_window - before
        self.send(settings(flags=ACK))

    def _acknowledged(self):
        before, self.our_window = self.our_window, self.values.get(INITIAL_WINDOW_SIZE, WINDOW)
        for stream in self.streams.values():
            stream.allowance += self.our_window - before

    def _ping(self, got):
        if got.flags & ACK:
            self.pings.append(got)
            return
        self.pings.append(got)
        if self.answers_pings:
            self.send(frame(PING, ACK, 0, got.payload))

    def _update(self, got):
        assert got.increment, f"{got} with a zero increment (RFC 9113 6.9)"
        stream = self.streams.get(got.stream)
        if not got.stream:
            self.window += got.increment
        elif stream:
            stream.window += got.increment
        assert self.window < 1 << 31, f"{got}: FLOW_CONTROL_ERROR ({FLOW_CONTROL_ERROR})"


def check_fields(fields):
    """What a header block of a gateway must keep to (RFC 9113 8.2, 8.3)."""
    is_regular = False
    seen = set()
    for name, value in fields:
        assert name == name.lower(), f"upper case in {name}"
        assert not any(c in "\r\n\0" for c in value) and value.strip(" \t") == value, f"bad value {name}: {value!r}"
        if name.startswith(":"):
            assert not is_regular and name not in seen, f"{name} is out of place in {fields}"
            seen.add(name)
        else:
            is_regular = True
            assert name not in _HOP_BY_HOP, f"connection-specific {name} in {fields}"
            assert name != "te" or value == "trailers", f"te: {value}"
