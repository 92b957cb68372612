# SPDX-License-Identifier: Apache-2.0
"""Every kind of client before every kind of target, through one gateway: plain or TLS, HTTP/1.1 or HTTP/2."""

import functools
import ssl
import tempfile

from . import websocket
from .client import Client
from .h2frames import ENABLE_CONNECT_PROTOCOL
from .h2peer import H2Client, H2Origin
from .origin import Origin
from .pki import Authority
from .stream import Stream
from .wait import DEADLINE
from .wire import Wire, connect

CLIENTS = ["http1", "h2", "https-http1", "https-h2"]
TARGETS = ["http1", "h2c", "https-http1", "https-h2"]
PATIENT = {"body_rate": "off", "connect": "30s"}  # a target in Python takes its time for many handshakes at once


class Certificates:
    """An authority, the gateway's certificate and the target's, both for 127.0.0.1."""

    def __init__(self):
        self.folder = tempfile.TemporaryDirectory(prefix="sl-")
        self.authority = Authority(self.folder.name)
        self.front = self.authority.leaf("127.0.0.1", "localhost", "example.com")
        self.back = self.authority.leaf("127.0.0.1", "localhost", kind="rsa")

    def server(self, *alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.back.cert, self.back.key)
        context.set_alpn_protocols(list(alpn))
        return context

    def client(self, *alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(self.authority.file)
        context.set_alpn_protocols(list(alpn))
        return context


@functools.cache
def certificates():
    """Those of all pairings of this process: to make a key of RSA takes longer than most of the tests."""
    return Certificates()


class WireOrigin(Origin):
    """An HTTP/1.1 target over TLS, or that sends in pieces."""

    def __init__(self, tls=None, piece=0):
        self.tls, self.piece = tls, piece
        super().__init__()

    def _run(self, conn):
        try:
            conn.sock = Wire(conn.sock, self.tls, server_side=True, piece=self.piece)
        except OSError:  # the handshake failed, as some tests want it to
            conn.ended = "eof"
            return
        super()._run(conn)


class WireClient(Client):
    """The strict HTTP/1.1 client, over TLS or in pieces."""

    def __init__(self, address, **options):
        Stream.__init__(self, connect(address, **options))


class Pairing:
    """`gateway` and `ports` are the fixtures; `piece` cuts what both ends send."""

    def __init__(self, gateway, ports, pair, piece=0):
        self.client_kind, self.target_kind = pair
        self.piece = piece
        self.certificates = certificates()
        self.origin = self._origin()
        self.tls_port = ports.take()
        self.gw = gateway(self.origin.address, service=self._service(), run=False, timeouts=PATIENT)
        listeners = [*self.gw.config["listeners"],
                     {"bind": f"127.0.0.1:{self.tls_port}", "tls": {"certificates": [self.certificates.front.pair]}}]
        self.gw.change(listeners=listeners).start()
        self._scripts()

    def close(self):
        self.origin.close()
        assert not self.origin.errors, "\n".join(self.origin.errors)

    def _origin(self):
        tls = {"https-http1": ("http/1.1",), "https-h2": ("h2", "http/1.1")}.get(self.target_kind)
        context = self.certificates.server(*tls) if tls else None
        if "http1" in self.target_kind:
            return WireOrigin(context, self.piece)
        return H2Origin(values={ENABLE_CONNECT_PROTOCOL: 1}, tls=context, piece=self.piece)

    def _service(self):
        service = {"protocol": {"http1": "http1", "h2c": "h2"}.get(self.target_kind, "auto")}
        if self.target_kind.startswith("https"):
            service["tls"] = {"ca": str(self.certificates.authority.file), "name": "localhost"}
        return service

    # -- the client's end

    @property
    def is_tls(self):
        return self.client_kind.startswith("https")

    @property
    def is_h2(self):
        return self.client_kind.endswith("h2")

    @property
    def address(self):
        return "127.0.0.1", self.tls_port if self.is_tls else self.gw.port

    @property
    def url(self):
        return f"{'https' if self.is_tls else 'http'}://127.0.0.1:{self.address[1]}"

    def connect(self):
        options = {"piece": self.piece}
        if self.is_tls:
            options["context"] = self.certificates.client("h2" if self.is_h2 else "http/1.1")
            options["name"] = "localhost"
        made = (H2Client if self.is_h2 else WireClient)(self.address, **options)
        if self.is_tls:
            assert made.sock.alpn == ("h2" if self.is_h2 else "http/1.1")
        return made

    def ask(self, method="GET", path="/", body=None, trailers=None, timeout=DEADLINE):
        """One request on a connection of its own."""
        with self.connect() as client:
            if self.is_h2:
                return self._ask_h2(client, (method, path, body, trailers), timeout)
            if trailers is None:
                return client.request(method, path, body=body).reply(method, timeout)
            client.send(f"{method} {path} HTTP/1.1\r\nHost: a\r\nTE: trailers\r\nConnection: TE\r\n"
                        "Transfer-Encoding: chunked\r\n\r\n")
            client.chunk(body)
            client.send("0\r\n" + "".join(f"{n}: {v}\r\n" for n, v in trailers) + "\r\n")
            return client.reply(method, timeout)

    @staticmethod
    def _ask_h2(client, request, timeout):
        method, path, body, trailers = request
        if trailers is None:
            return client.request(method, path, (), body).reply(timeout)
        stream = client.begin(method, path, [("te", "trailers")])
        stream.send_data(body)
        stream.send_trailers(trailers)
        return stream.reply(timeout)

    # -- the target's end

    def _scripts(self):
        if isinstance(self.origin, H2Origin):
            self.origin.on("/echo")(_echo_h2)
            self.origin.on("/ws")(_socket_h2)
        else:
            self.origin.on("/echo")(_echo_h1)
            self.origin.on("/ws")(_socket_h1)


def _echo_h2(stream):
    """Gives back body and trailers."""
    stream.read_body(60)
    stream.respond(200, stream.body, trailers=[("x-echo", "1"), *stream.trailers])


def _echo_h1(conn, request):
    conn.read_body(request, 60)
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-echo\r\n\r\n"
    chunk = b"%x\r\n%b\r\n" % (len(request.body), request.body) if request.body else b""
    trailers = "".join(f"{n}: {v}\r\n" for n, v in [("x-echo", "1"), *request.trailers])
    conn.send(head.encode() + chunk + b"0\r\n" + trailers.encode() + b"\r\n", 60)


def _socket_h2(stream):
    assert stream.pseudo.get(":protocol") == "websocket", stream.pseudo
    assert stream.header("sec-websocket-version") == "13"
    stream.send_head([(":status", "200")])
    websocket.echo(lambda n: stream.exactly(n, 60), stream.send_data)
    stream.send_data(b"", True)


def _socket_h1(conn, request):
    assert request.method == "GET" and request.header("Upgrade").lower() == "websocket", request
    assert request.header("Sec-WebSocket-Version") == "13"
    accept = websocket.accept_of(request.header("Sec-WebSocket-Key"))
    conn.send(f"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
              f"Sec-WebSocket-Accept: {accept}\r\n\r\n")
    websocket.echo(lambda n: conn.exactly(n, "a message", 60), conn.send)
    conn.close()
    return "end"
