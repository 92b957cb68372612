# SPDX-License-Identifier: Apache-2.0
"""A scripted target: a raw-socket server that records exactly what it got and answers as told.

A script is a function of a connection; it runs in a thread of the connection. Without one the origin answers each
request with `origin.answer` (bytes), or with what a function given by `@origin.on(path)` sends.
"""

import socket
import threading
import traceback

from .stream import Ended, Message, Stream
from .wait import DEADLINE, until

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Request(Message):
    def __init__(self, line, fields, raw_head, connection):
        super().__init__(fields)
        self.line = line
        self.method, self.target, self.version = line.split(" ")
        self.raw_head = raw_head
        self.connection = connection

    @property
    def path(self):
        return self.target.partition("?")[0]

    def __repr__(self):
        return f"<Request {self.line!r} {self.fields} {self.body[:200]!r}>"


class Connection(Stream):
    """The origin's end of one connection from the gateway."""

    def __init__(self, origin, sock, index):
        super().__init__(sock)
        self.origin, self.index = origin, index
        self.requests = []

    def read_head(self, timeout=None):
        """The next request without its body; None at the end of the connection."""
        try:
            raw = self.until(b"\r\n\r\n", "a request head", timeout or self.origin.patience)
        except Ended as ended:
            if ended.got:
                self.origin.cut.append(ended.got)
            return None
        lines = Stream(None)
        lines.buffer = raw
        line = lines.until(b"\r\n", "a request line")[:-2].decode("latin-1")
        request = Request(line, lines.fields("the request's header"), raw, self)
        self.requests.append(request)
        self.origin.note(self.origin.heads, request)
        return request

    def read_body(self, request, timeout=DEADLINE, on_data=None):
        if request.has("Transfer-Encoding"):
            assert request.header("Transfer-Encoding").lower() == "chunked", request.fields
            assert not request.has("Content-Length"), request.fields
            request.body, request.trailers, request.chunks = self.chunked("the request", timeout, on_data)
        else:
            request.body = self._counted(int(request.header("Content-Length", "0")), timeout, on_data)
        request.complete = True
        self.origin.note(self.origin.requests, request)
        return request

    def _counted(self, left, timeout, on_data):
        if not on_data:
            return self.exactly(left, "the request's body", timeout)
        while left:
            if not self.buffer and not self.fill("the request's body", timeout):
                raise Ended("the request's body", b"")
            data, self.buffer = self.buffer[:left], self.buffer[left:]
            left -= len(data)
            on_data(data)
        return b""

    def read(self, timeout=None):
        """The next whole request; None at the end of the connection."""
        request = self.read_head(timeout)
        return request and self.read_body(request)

    def wait_ended(self, timeout=DEADLINE):
        """Waits until the thread of this connection has seen its end; "eof" or "reset"."""
        return until(lambda: self.ended, "the end of the gateway's connection", timeout)

    def respond(self, status=200, body=b"", headers=(), phrase="X", version="1.1"):
        lines = [f"HTTP/{version} {status} {phrase}"] + [f"{n}: {v}" for n, v in headers]
        if status >= 200 and status not in (204, 304):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body)


class Origin:
    def __init__(self, host="127.0.0.1", port=0, path=None, name=""):
        self.name = name
        if path:
            self.listener = socket.socket(socket.AF_UNIX)
            self.listener.bind(str(path))
            self.address = f"unix:{path}"
            self.port = 0
        else:
            self.listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
            self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.listener.bind((host, port))
            self.port = self.listener.getsockname()[1]
            self.address = f"[{host}]:{self.port}" if ":" in host else f"{host}:{self.port}"
        self.listener.listen(1024)
        self.answer = OK
        self.script = None
        self.patience = 600.0  # how long an idle connection is waited on
        self.connections, self.heads, self.requests = [], [], []
        self.cut = []  # heads that never became whole
        self.errors = []
        self._handlers = {}
        self._changed = threading.Condition()
        self._accepting = True
        threading.Thread(target=self._accept, daemon=True).start()

    # -- scripting

    def answers(self, data):
        self.answer = data.encode("latin-1") if isinstance(data, str) else data
        return self

    def on(self, path):
        """Decorator: `def f(conn, request)` answers requests for this path; the body is not yet read."""

        def keep(function):
            self._handlers[path] = function
            return function

        return keep

    # -- what was seen

    def note(self, record, item):
        with self._changed:
            record.append(item)
            self._changed.notify_all()

    def wait(self, check, what, timeout=DEADLINE):
        with self._changed:
            if not self._changed.wait_for(check, timeout):
                raise AssertionError(f"origin: did not happen within {timeout:.1f} s: {what}")

    def wait_requests(self, count, timeout=DEADLINE):
        self.wait(lambda: len(self.requests) >= count, f"{count} requests; got {self.requests}", timeout)
        return self.requests

    def wait_heads(self, count, timeout=DEADLINE):
        self.wait(lambda: len(self.heads) >= count, f"{count} request heads; got {self.heads}", timeout)
        return self.heads

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
    def untouched(self):
        """True when no byte of a request ever came."""
        return not any(c.received for c in self.connections)

    # -- life

    def close(self):
        self._accepting = False
        try:
            self.listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.listener.close()
        for conn in list(self.connections):
            try:
                conn.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            conn.close()

    def _accept(self):
        while self._accepting:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            if sock.family != socket.AF_UNIX:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            conn = Connection(self, sock, len(self.connections))
            self.note(self.connections, conn)
            threading.Thread(target=self._run, args=(conn,), daemon=True).start()

    def _run(self, conn):
        try:
            (self.script or self._serve)(conn)
        except (ConnectionError, OSError):
            pass  # the gateway went away: tests look at what they expected instead
        except BaseException:
            if self._accepting:
                self.errors.append(traceback.format_exc())

    def _serve(self, conn):
        while (request := conn.read_head()) is not None:
            handler = self._handlers.get(request.path)
            if not handler:
                conn.read_body(request, self.patience)
                conn.send(self.answer)
            elif handler(conn, request) == "end":
                break
        conn.close()


def wait_until_open(address, timeout=DEADLINE):
    def connect():
        try:
            socket.create_connection(address, timeout=1).close()
            return True
        except OSError:
            return False

    until(connect, f"a listener on {address}", timeout)
