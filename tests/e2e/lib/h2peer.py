# SPDX-License-Identifier: Apache-2.0
"""The two comfortable ends of HTTP/2: a scripted target and a client of many streams at once.

    origin = H2Origin(values={MAX_CONCURRENT_STREAMS: 4})
    @origin.on("/slow")
    def slow(stream):            # on a thread of its own; stream.engine is the connection
        stream.read_body()
        stream.respond(200, b"done", trailers=[("x-sum", "1")])

Without a script each request is answered with `origin.answer` once it is whole.
"""

import socket
import threading
import traceback

from .h2frames import (
    DATA, END_HEADERS, END_STREAM, HEADERS, PREFACE, WINDOW, frame, literal, request_fields, settings, update,
)
from .h2stream import Engine, H2Stream, Reset
from .wait import DEADLINE
from .wire import Wire, connect

PSEUDO = {":method", ":scheme", ":path", ":authority", ":protocol"}


class H2Client(Engine):
    """A connection to a server; requests are streams that are awaited one by one or all together."""

    def __init__(self, address, values=(), window=0, **options):
        super().__init__(connect(address, **options), values)
        self.next_stream = 1
        self.send(PREFACE + settings(self.values) + (update(0, window) if window else b""))
        self.allowance += window
        self.thread = threading.Thread(target=self._reading, daemon=True)
        self.broken = None
        self.thread.start()

    def _reading(self):
        try:
            self.run()
        except BaseException:
            self.broken = traceback.format_exc()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        assert not self.broken, self.broken

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.thread.join(DEADLINE)
        super().close()

    def settle(self):
        """Waits until both ends know each other's settings."""
        self.wait(lambda: self.acked and self.peer or self.ended, "settings")
        return self

    def open(self, fields, end=True):
        """Begins a stream with these fields."""
        with self.sending:
            stream = H2Stream(self, self.next_stream)
            self.next_stream += 2
            self.streams[stream.id] = stream
            stream.send_head(fields, end)
        return stream

    def request(self, method="GET", path="/", headers=(), body=None, **pseudo):
        """Begins a request; a body (maybe empty) is sent as the windows allow, None ends with the head."""
        stream = self.open(request_fields(method, path, more=headers, **pseudo), body is None)
        try:
            if body is not None:
                stream.send_data(body, True)
        except Reset as error:
            if error.code != 0 or not stream.complete:
                raise
            # It was answered whole before it had the body, and wants no more of it (RFC 9113 8.1).
        return stream

    def begin(self, method="POST", path="/", headers=(), **pseudo):
        """Begins a request whose body follows."""
        return self.open(request_fields(method, path, more=headers, **pseudo), False)

    def tunnel(self, path="/", protocol="websocket", headers=(), authority="example.com", scheme="http"):
        """Extended CONNECT (RFC 8441)."""
        fields = [(":method", "CONNECT"), (":protocol", protocol), (":scheme", scheme), (":path", path),
                  (":authority", authority), *headers]
        return self.open(fields, False)

    def get(self, path="/", headers=(), timeout=DEADLINE, **pseudo):
        return self.request("GET", path, headers, **pseudo).reply(timeout)

    def post(self, path="/", body=b"", headers=(), timeout=DEADLINE):
        return self.request("POST", path, headers, body).reply(timeout)


class TargetEngine(Engine):
    """The target's end of one connection from the gateway."""

    def __init__(self, origin, wire, index):
        super().__init__(wire, origin.values)
        self.origin, self.index = origin, index
        self.highest = 0

    def serve(self):
        assert self.exactly(len(PREFACE), "the preface") == PREFACE
        self.send(settings(self.values))
        if self.origin.window:
            self.widen(self.origin.window)
        self.run()

    def accept(self, got):
        assert got.stream % 2 and got.stream > self.highest, f"{got} after stream {self.highest} (RFC 9113 5.1.1)"
        self.highest = got.stream
        stream = self.streams[got.stream] = H2Stream(self, got.stream)
        return stream

    def on_move(self, stream, got):
        if got.kind == HEADERS and not stream.trailers:
            self._begin(stream)
        if not stream.handler:
            self._gather(stream, got)
        if stream.complete:
            self.origin.note(self.origin.requests, stream)

    def _begin(self, stream):
        assert set(stream.pseudo) <= PSEUDO and stream.method, f"pseudo-headers {stream.pseudo}"
        stream.handler = self.origin.handlers.get(stream.path)
        self.origin.note(self.origin.heads, stream)
        if stream.handler:
            threading.Thread(target=self._script, args=(stream,), daemon=True).start()

    def _gather(self, stream, got):
        """No script: the body is taken as it comes, and the answer is the same for all."""
        while stream.pieces:
            data = stream.pieces.popleft()
            stream.body += data
            stream.credit(len(data))
        if stream.complete:
            stream.sent = True
            status, fields, body = self.origin.answer
            head = literal((":status", str(status)), ("content-length", str(len(body))), *fields)
            last = END_STREAM if not body or stream.method == "HEAD" else 0
            out = frame(HEADERS, END_HEADERS | last, stream.id, head)
            if not last:
                self.window -= len(body)
                out += frame(DATA, END_STREAM, stream.id, body)
            self.send(out)

    def _script(self, stream):
        try:
            stream.handler(stream)
        except (Reset, ConnectionError, OSError):
            pass  # the gateway went away: tests look at what they expected instead
        except BaseException:
            self.origin.fail()


class H2Origin:
    """Listens on a port of its own. `values`: settings; `window`: what the connection's window is raised by."""

    def __init__(self, values=(), window=0, tls=None, piece=0, port=0):
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listener.bind(("127.0.0.1", port))
        self.listener.listen(1024)
        self.port = self.listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self.values, self.window, self.tls, self.piece = dict(values), window, tls, piece
        self.answer = (200, (), b"ok")  # status, fields, body (small)
        self.script = None  # takes the whole connection: script(wire)
        self.connections, self.heads, self.requests = [], [], []
        self.errors = []
        self.handlers = {}
        self._changed = threading.Condition()
        self._accepting = True
        threading.Thread(target=self._accept, daemon=True).start()

    def on(self, path):
        """Decorator: `def f(stream)` answers requests for this path."""

        def keep(function):
            self.handlers[path] = function
            return function

        return keep

    def note(self, record, item):
        with self._changed:
            record.append(item)
            self._changed.notify_all()

    def fail(self):
        if self._accepting:
            self.errors.append(traceback.format_exc())

    def wait(self, check, what, timeout=DEADLINE):
        with self._changed:
            if not self._changed.wait_for(check, timeout):
                raise AssertionError(f"origin: did not happen within {timeout:.1f} s: {what}")

    def wait_heads(self, count, timeout=DEADLINE):
        self.wait(lambda: len(self.heads) >= count, f"{count} request heads; got {self.heads}", timeout)
        return self.heads

    def wait_requests(self, count, timeout=DEADLINE):
        self.wait(lambda: len(self.requests) >= count, f"{count} requests; got {self.requests}", timeout)
        return self.requests

    def wait_connections(self, count, timeout=DEADLINE):
        self.wait(lambda: len(self.connections) >= count, f"{count} connections", timeout)
        return self.connections

    @property
    def request(self):
        """The one request that came."""
        self.wait_requests(1)
        assert len(self.requests) == 1, self.requests
        return self.requests[0]

    @property
    def live_connections(self):
        return [c for c in self.connections if not c.ended]

    def close(self):
        self._accepting = False
        self.stop_listening()
        for engine in list(self.connections):
            self.cut(engine)

    def stop_listening(self):
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()

    @staticmethod
    def cut(engine):
        try:
            engine.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _accept(self):
        while self._accepting:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._run, args=(sock,), daemon=True).start()

    def _run(self, sock):
        wire = None
        try:
            wire = Wire(sock, self.tls, server_side=True, piece=self.piece)
            if self.script:
                self.script(wire)
                return
            engine = TargetEngine(self, wire, len(self.connections))
            self.note(self.connections, engine)
            engine.serve()
        except (ConnectionError, OSError):
            pass
        except BaseException:
            self.fail()
        finally:
            if wire:
                wire.close()


def windows(size):
    """How much to raise the connection's window by so that `size` bytes fit at once."""
    return max(0, size - WINDOW)
