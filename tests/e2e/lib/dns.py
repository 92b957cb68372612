# SPDX-License-Identifier: Apache-2.0
"""A scriptable name server: UDP and TCP on one ephemeral port of 127.0.0.1, each in a thread.

    with DnsServer() as dns:
        dns.set("app.internal", "A", ["127.0.0.2"], ttl=1)
        dns.set("_http._tcp.app.internal", "SRV", [(10, 5, 8080, "b.internal")])
        dns.set("vms.app.internal", "TXT", ["148e21 iad"])
        dns.fail("app.internal", "SERVFAIL")     # "REFUSED", "NXDOMAIN", "drop", "garbage"; set() mends it
        gw = gateway(resolvers=[dns.address])

A name that was never set does not exist; one that was, of another type, has no data. An answer longer than a datagram
may be is cut, with the client sent to TCP.
"""

import ipaddress
import socket
import struct
import threading

from .wait import until

TYPES = {"A": 1, "CNAME": 5, "TXT": 16, "AAAA": 28, "SRV": 33}
NAMES = {number: name for name, number in TYPES.items()}
CODES = {"SERVFAIL": 2, "NXDOMAIN": 3, "REFUSED": 5}
DATAGRAM_MAX = 1232  # bytes; clients that do not say by EDNS what they take get 512
TRUNCATED = 0x0200


def _labels(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".") if label) + b"\0"


def _data(kind, value):
    if kind in ("A", "AAAA"):
        return ipaddress.ip_address(value).packed
    if kind == "SRV":
        return struct.pack(">3H", *value[:3]) + _labels(value[3])
    if kind == "TXT":
        text = value.encode()
        parts = [text[at:at + 255] for at in range(0, len(text), 255)] or [b""]
        return b"".join(bytes([len(part)]) + part for part in parts)
    return _labels(value)


class Question:
    """The question of a message, and what of the message goes into its answer."""

    def __init__(self, message):
        self.id, self.flags, count, _, _, extra = struct.unpack(">6H", message[:12])
        assert count == 1, message
        at, labels = 12, []
        while message[at]:
            labels.append(message[at + 1:at + 1 + message[at]].decode("latin-1"))
            at += 1 + message[at]
        self.name = ".".join(labels).lower()
        self.type, _ = struct.unpack(">2H", message[at + 1:at + 5])
        self.raw = message[12:at + 5]
        opt = message[at + 5:]
        self.has_edns = extra > 0 and len(opt) >= 11 and opt[:3] == b"\0\0\x29"
        self.datagram = struct.unpack(">H", opt[3:5])[0] if self.has_edns else 512


class DnsServer:
    def __init__(self, host="127.0.0.1"):
        self.records = {}  # (name, type) -> (list of data, seconds)
        self.failures = {}  # name -> what happens
        self.asked = []  # (name, type, "udp" or "tcp"), in order
        self.errors = []
        self._changed = threading.Condition()
        self._udp, self._tcp = self._bind(host)
        self.host, self.port = self._udp.getsockname()
        self._is_open = True
        for serve in (self._serve_udp, self._serve_tcp):
            threading.Thread(target=serve, daemon=True).start()

    @staticmethod
    def _bind(host):
        for _ in range(50):
            tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            try:
                tcp.bind((host, 0))
                udp.bind(tcp.getsockname())
                tcp.listen()
                return udp, tcp
            except OSError:
                tcp.close()
                udp.close()
        raise RuntimeError("no port for both UDP and TCP")

    @property
    def address(self):
        return f"{self.host}:{self.port}"

    @property
    def queries(self):
        """How many questions came."""
        return len(self.asked)

    def count(self, name, kind=None):
        """How many of them for this name, of one type or of all."""
        return sum(1 for n, k, _ in list(self.asked) if n == name.lower() and kind in (None, k))

    def set(self, name, kind, values, ttl=1):
        """What is answered from now on; an empty list: the name exists, and has no such records."""
        with self._changed:
            self.records[name.lower(), TYPES[kind]] = ([_data(kind, value) for value in values], ttl)
            self.failures.pop(name.lower(), None)

    def remove(self, name):
        """The name does not exist any more."""
        with self._changed:
            self.records = {key: value for key, value in self.records.items() if key[0] != name.lower()}
            self.failures.pop(name.lower(), None)

    def fail(self, name, how):
        """How questions for this name end until the next set(): SERVFAIL, REFUSED, NXDOMAIN, drop, garbage."""
        assert how in CODES or how in ("drop", "garbage"), how
        with self._changed:
            self.failures[name.lower()] = how

    def mend(self, name):
        """Takes fail() back."""
        with self._changed:
            self.failures.pop(name.lower(), None)

    def wait_asked(self, name, times=1, kind=None):
        """Until that many more questions for the name have come."""
        before = self.count(name, kind)
        until(lambda: self.count(name, kind) >= before + times, f"{times} questions for {name}")

    def close(self):
        self._is_open = False
        for sock in (self._udp, self._tcp):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # an unconnected datagram socket says so, and wakes its reader all the same
            sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    # -- answers

    def answer(self, message, way):
        """Bytes, or None for silence."""
        question = Question(message)
        with self._changed:
            self.asked.append((question.name, NAMES.get(question.type, str(question.type)), way))
            failure = self.failures.get(question.name)
            found = self.records.get((question.name, question.type))
            exists = any(name == question.name for name, _ in self.records)
        if failure == "drop":
            return None
        if failure == "garbage":
            return self._message(question, 0, 3, b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f")
        if failure:
            return self._message(question, CODES[failure])
        if not exists:
            return self._message(question, CODES["NXDOMAIN"])
        data, ttl = found or ([], 0)
        records = b"".join(b"\xc0\x0c" + struct.pack(">2HIH", question.type, 1, ttl, len(d)) + d for d in data)
        reply = self._message(question, 0, len(data), records)
        if way == "udp" and len(reply) > min(question.datagram, DATAGRAM_MAX):
            return self._message(question, TRUNCATED)
        return reply

    @staticmethod
    def _message(question, flags, count=0, records=b""):
        extra = b"\0\0\x29\x04\xd0\0\0\0\0\0\0" if question.has_edns else b""
        head = struct.pack(">6H", question.id, 0x8080 | question.flags & 0x0100 | flags, 1, count, 0, bool(extra))
        return head + question.raw + records + extra

    # -- sockets

    def _serve_udp(self):
        while self._is_open:
            try:
                message, peer = self._udp.recvfrom(4096)
            except OSError:
                return
            if not message:
                continue
            self._try(lambda m=message, p=peer: self._reply_udp(m, p))

    def _reply_udp(self, message, peer):
        reply = self.answer(message, "udp")
        if reply is not None:
            self._udp.sendto(reply, peer)

    def _serve_tcp(self):
        while self._is_open:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            threading.Thread(target=self._serve_connection, args=(connection,), daemon=True).start()

    def _serve_connection(self, connection):
        with connection, connection.makefile("rb") as file:
            while True:
                try:
                    head = file.read(2)
                    message = file.read(struct.unpack(">H", head)[0]) if len(head) == 2 else b""
                except OSError:
                    return
                if not message:
                    return
                self._try(lambda m=message: self._reply_tcp(connection, m))

    def _reply_tcp(self, connection, message):
        reply = self.answer(message, "tcp")
        if reply is not None:
            connection.sendall(struct.pack(">H", len(reply)) + reply)

    def _try(self, deed):
        try:
            deed()
        except (OSError, AssertionError, struct.error, IndexError) as error:
            if self._is_open:
                self.errors.append(repr(error))
