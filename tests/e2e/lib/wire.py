# SPDX-License-Identifier: Apache-2.0
"""A connected socket, plain or TLS, for one reading thread and several writing ones.

Python's own SSL sockets must not be read and written by two threads at once; here a lock guards the TLS state alone,
and no thread waits for the network while it holds that. `piece` cuts what is sent into segments of that many bytes.
"""

import socket
import ssl
import threading

from .wait import DEADLINE


class Wire:
    def __init__(self, sock, context=None, server_side=False, name=None, piece=0):
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.piece = sock, piece
        self._writer = sock.dup()  # a deadline of its own
        self._writing, self._state = threading.Lock(), threading.Lock()
        self.tls = None
        self.settimeout(DEADLINE)
        if context:
            self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
            self.tls = context.wrap_bio(self._in, self._out, server_side=server_side, server_hostname=name)
            self._handshake()

    @property
    def family(self):
        return self.sock.family

    @property
    def alpn(self):
        return self.tls and self.tls.selected_alpn_protocol()

    def settimeout(self, seconds):
        self.sock.settimeout(seconds)
        self._writer.settimeout(seconds)

    def setsockopt(self, *option):
        self.sock.setsockopt(*option)

    def recv(self, size):
        if not self.tls:
            return self.sock.recv(size)
        while True:
            with self._state:
                data = self._decrypted(size)
            if data is not None:
                return data
            self._pull()

    def sendall(self, data, timeout=None):
        with self._writing:
            if timeout is not None:
                self._writer.settimeout(timeout)
            if self.tls:
                with self._state:
                    self.tls.write(data)
                    data = self._out.read()
            self._push(data)

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self._writer.close()
        self.sock.close()

    def _decrypted(self, size):
        """Bytes, b"" at the end, None when more must come first."""
        try:
            return self.tls.read(size)
        except ssl.SSLWantReadError:
            return None
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""

    def _pull(self):
        raw = self.sock.recv(65536)
        with self._state:
            if raw:
                self._in.write(raw)
            else:
                self._in.write_eof()

    def _push(self, data):
        step = self.piece or len(data) or 1
        for at in range(0, len(data), step):
            self._writer.sendall(data[at : at + step])

    def _handshake(self):
        while True:
            try:
                self.tls.do_handshake()
                self._push(self._out.read())
                return
            except ssl.SSLWantReadError:
                self._push(self._out.read())
                self._pull()
            except ssl.SSLError:
                self._push(self._out.read())
                raise


def connect(address, receive_buffer=None, **options):
    """A Wire to (host, port)."""
    host, port = address
    sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.settimeout(DEADLINE)
    try:
        sock.connect((host, port))
        return Wire(sock, **options)
    except OSError:
        sock.close()
        raise
