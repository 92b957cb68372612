# SPDX-License-Identifier: Apache-2.0
"""gRPC for the tests: a server whose methods are functions of bytes, channels to the gateway, a relay that can be cut,
and a client of single streams that keeps no deadline of its own.

    server = GrpcServer()
    @server.unary("Echo")
    def echo(request, context): return request

All methods are of the service `t.T`; messages are raw bytes.
"""

import queue
import socket
import threading
from concurrent.futures import ThreadPoolExecutor

import grpc
import h2.config
import h2.connection
import h2.events
import pytest

from .wait import DEADLINE

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


def path(name):
    return f"/t.T/{name}"


class GrpcServer(grpc.GenericRpcHandler):
    def __init__(self, tls=None, workers=60):
        self.methods, self.metadata = {}, []
        self.pool = ThreadPoolExecutor(workers)
        self.server = grpc.server(self.pool, (self,), options=[*OPTIONS, ("grpc.so_reuseport", 0)])
        if tls:
            self.port = self.server.add_secure_port("127.0.0.1:0", tls)
        else:
            self.port = self.server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{self.port}"
        self.server.start()

    def service(self, details):
        self.metadata.append(dict(details.invocation_metadata))
        return self.methods.get(details.method)

    def _method(self, make, name):
        def keep(function):
            self.methods[path(name)] = make(function)
            return function

        return keep

    def unary(self, name):
        return self._method(grpc.unary_unary_rpc_method_handler, name)

    def server_stream(self, name):
        return self._method(grpc.unary_stream_rpc_method_handler, name)

    def client_stream(self, name):
        return self._method(grpc.stream_unary_rpc_method_handler, name)

    def both_streams(self, name):
        return self._method(grpc.stream_stream_rpc_method_handler, name)

    def close(self):
        self.server.stop(0).wait(DEADLINE)
        self.pool.shutdown(wait=False)


class GrpcClient:
    """A channel to an address; the four kinds of calls by the name of the method."""

    def __init__(self, address, credentials=None, options=()):
        options = [*OPTIONS, ("grpc.enable_retries", 0), ("grpc.use_local_subchannel_pool", 1), *options]
        if credentials:
            self.channel = grpc.secure_channel(address, credentials, options)
        else:
            self.channel = grpc.insecure_channel(address, options)

    def unary(self, name):
        return self.channel.unary_unary(path(name))

    def server_stream(self, name):
        return self.channel.unary_stream(path(name))

    def client_stream(self, name):
        return self.channel.stream_unary(path(name))

    def both_streams(self, name):
        return self.channel.stream_stream(path(name))

    def close(self):
        self.channel.close()


class Relay:
    """Passes TCP on to an address and keeps what came back; cut() breaks all its connections."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.to = (host, int(port))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        self.sockets, self.came_back = [], bytearray()
        self.lock = threading.Lock()
        self.is_open = True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self.is_open:
            try:
                near, _ = self.listener.accept()
                far = socket.create_connection(self.to)
            except OSError:
                continue
            with self.lock:
                self.sockets += [near, far]
            threading.Thread(target=self._pump, args=(near, far, None), daemon=True).start()
            threading.Thread(target=self._pump, args=(far, near, self.came_back), daemon=True).start()

    def _pump(self, source, sink, kept):
        try:
            while data := source.recv(65536):
                if kept is not None:
                    kept += data
                sink.sendall(data)
        except OSError:
            pass
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        with self.lock:
            for end in self.sockets:
                try:
                    end.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
            self.sockets.clear()

    def close(self):
        self.is_open = False
        self.listener.close()
        self.cut()


class Answer:
    """What one stream got."""

    def __init__(self):
        self.head, self.trailers, self.body = None, None, b""
        self.frames = 0  # of DATA
        self.pong = None
        self.reset = None  # code of a RST_STREAM
        self.is_over = False

    @property
    def status(self):
        """grpc-status, from wherever it stands."""
        return int({**self.head, **(self.trailers or {})}["grpc-status"])


class RawCall:
    """One HTTP/2 stream to the gateway, made of bytes; nothing ends it but the other side or close()."""

    def __init__(self, address, fields, body=b"", end=True, acks=True):
        self.acks = acks  # gives windows back
        host, port = address.rsplit(":", 1)
        self.sock = socket.create_connection((host, int(port)), timeout=DEADLINE)
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()
        base = {":method": "POST", ":scheme": "http", ":path": path("Raw"), ":authority": "example.com", "te": "trailers"}
        self.h2.send_headers(1, [*{**base, **fields}.items()])
        if body or end:
            self.h2.send_data(1, body, end_stream=end)
        self.answer = Answer()
        self.flush()

    def flush(self):
        self.sock.sendall(self.h2.data_to_send())

    def read(self, until=lambda answer: answer.is_over):
        """Reads on until the answer is as wanted; gives it."""
        while not until(self.answer):
            data = self.sock.recv(65536)
            assert data, f"the connection ended: {vars(self.answer)}"
            for event in self.h2.receive_data(data):
                self._take(event)
            self.flush()
        return self.answer

    def _take(self, event):
        answer = self.answer
        if isinstance(event, h2.events.ResponseReceived):
            answer.head = dict(event.headers)
        elif isinstance(event, h2.events.DataReceived):
            answer.body += event.data
            answer.frames += 1
            if self.acks:
                self.h2.acknowledge_received_data(event.flow_controlled_length, 1)
        elif isinstance(event, h2.events.TrailersReceived):
            answer.trailers = dict(event.headers)
        elif isinstance(event, h2.events.PingAckReceived):
            answer.pong = event.ping_data
        elif isinstance(event, h2.events.StreamEnded):
            answer.is_over = True
        elif isinstance(event, h2.events.StreamReset):
            answer.reset, answer.is_over = event.error_code, True

    def close(self):
        self.sock.close()


# -- what the files of tests share


@pytest.fixture
def later():
    """later(thing) closes it at the end, newest first."""
    things = []

    def keep(thing):
        things.append(thing)
        return thing

    yield keep
    for thing in reversed(things):
        thing.close()


def standard(server):
    """The methods that most tests use."""
    server.cancelled = threading.Event()  # a method that waits was given up
    server.waits = threading.Event()

    @server.unary("Echo")
    def echo(request, context):
        return request

    @server.server_stream("Count")
    def count(request, context):
        for i in range(int(request)):
            yield b"%d" % i

    @server.client_stream("Sum")
    def add(requests, context):
        return b"%d" % sum(map(int, requests))

    @server.both_streams("Chat")
    def chat(requests, context):
        for request in requests:
            yield b"re: " + request

    def watch(context):
        gone = threading.Event()

        def give_up():
            server.cancelled.set()
            gone.set()

        if not context.add_callback(give_up):
            give_up()
        return gone

    @server.unary("Hang")
    def hang_at_once(request, context):
        gone = watch(context)
        server.waits.set()
        gone.wait(60)
        return b""

    @server.server_stream("HangLater")
    def hang_later(request, context):
        gone = watch(context)  # first: a method that is given up behind its yield is not gone on with
        yield b"first"
        server.waits.set()
        gone.wait(60)

    return server


def open_gateway(gateway, address, **options):
    options.setdefault("timeouts", {"drain": "2s"})
    service = {"protocol": "h2", **options.pop("service", {})}
    return gateway(address, service=service, **options)


def address_of(gw):
    return f"127.0.0.1:{gw.port}"


def failure(call):
    """The error that a call, or reading its stream, ends in."""
    with pytest.raises(grpc.RpcError) as caught:
        call()
    return caught.value


class Feed:
    """A stream of requests that the test fills."""

    def __init__(self):
        self.queue = queue.Queue()

    def put(self, item):
        self.queue.put(item)

    def end(self):
        self.queue.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        item = self.queue.get()
        if item is None:
            raise StopIteration
        return item
