# SPDX-License-Identifier: Apache-2.0
"""A TCP proxy in front of a target, with faults that are switched while it runs.

    proxy = Faulty(origin.address, ports.take())
    proxy.set("reset_body", after=100)     # from now on, for connections that are open, too
    proxy.set("pass")
    proxy.connections, proxy.requests      # accepted; request heads of HTTP/1.1 that went on to the target

pass         all goes through
refuse       the listener is closed, and so is all that was open
accept_close connections are closed as soon as they are accepted, those that were open at once
reset        the target gets the request; the connection is reset in place of the answer
hang         the target gets the request; nothing of the answer ever comes
hang_body    the head of the answer comes, and `after` bytes more, then nothing ever
reset_body   the same, then a reset
drip         the answer comes in pieces of `size` bytes every `pause` seconds
delay        the answer comes `seconds` later
flap         `refuse` and `pass` turn about, each for `seconds` (1 Hz)

What a fault has caught stays caught when another is set: a connection that hangs does so until its end. One thread and
one selector carry it all; FaultyProcess is the same in a process of its own, which does not share the tests' interpreter.
"""

import heapq
import itertools
import json
import selectors
import socket
import struct
import subprocess
import sys
import threading
import time

from .unread import unread
from .wait import DEADLINE, until

MODES = ("pass", "refuse", "accept_close", "reset", "hang", "hang_body", "reset_body", "drip", "delay", "flap")
_FULL = 256 * 1024  # bytes on their way to one end, above which the other is not read
_HEAD = b" HTTP/1.1\r\n"


class _Side:
    """One socket of a pair; `out` waits to be sent to it."""

    def __init__(self, sock, pair):
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock, self.pair = sock, pair
        self.out, self.ended, self.mask = bytearray(), False, 0


class _Pair:
    def __init__(self, near, far):
        self.near, self.far = _Side(near, self), _Side(far, self)
        self.is_open, self.is_stuck = True, False
        self.later = 0  # bytes of the answer that a timer will send
        self.due = 0.0
        self.head, self.in_body, self.passed = b"", False, 0  # of the answer under way
        self.tail = b""

    def other(self, side):
        return self.far if side is self.near else self.near


class Faulty:
    def __init__(self, to, port=0, host="127.0.0.1"):
        name, _, number = to.rpartition(":")
        self.to, self.host = (name, int(number)), host
        self.mode, self.options = "pass", {}
        self.connections = self.requests = self.resets = 0
        self.bytes_up = self.bytes_down = 0
        self._pairs, self._timers, self._order = set(), [], itertools.count()
        self._selector, self._listener = selectors.DefaultSelector(), None
        self._epoch, self._is_closed = 0, False
        self._wishes, self._lock = [], threading.Lock()
        self._bell, self._ear = socket.socketpair()
        self._ear.setblocking(False)
        self._selector.register(self._ear, selectors.EVENT_READ, None)
        self.port = port
        self._listen()
        self.address = f"{host}:{self.port}"
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    # -- for tests

    def set(self, mode, **options):
        """Switches, and returns when it is done."""
        assert mode in MODES, mode
        self._ask(lambda: self._switch(mode, options))
        return self

    def drop(self):
        """Ends all connections that are open, with FIN."""
        self._ask(self._close_all)

    @property
    def open(self):
        return len(self._pairs)

    def counts(self):
        return {"connections": self.connections, "requests": self.requests, "resets": self.resets,
                "bytes_up": self.bytes_up, "bytes_down": self.bytes_down, "open": self.open}

    def close(self):
        if self._is_closed:
            return
        self._ask(self._end)
        self._thread.join(DEADLINE)
        self._bell.close()
        self._ear.close()
        self._selector.close()

    def _ask(self, wish):
        done = threading.Event()
        with self._lock:
            self._wishes.append((wish, done))
        self._bell.send(b"x")
        assert done.wait(DEADLINE) or self._is_closed, "the proxy's thread is stuck"

    # -- switching; from here on all is on the proxy's thread

    def _switch(self, mode, options):
        self.mode, self.options = mode, options
        self._epoch += 1
        if mode == "flap":
            self._flap(True, self._epoch)
        elif mode == "refuse":
            self._refuse()
        else:
            self._listen()
        if mode == "accept_close":
            self._close_all()

    def _flap(self, is_down, epoch):
        if epoch != self._epoch:
            return
        if is_down:
            self._refuse()
        else:
            self._listen()
        self._after(self.options.get("seconds", 0.5), self._flap, not is_down, epoch)

    def _refuse(self):
        if self._listener:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
        self._close_all()

    def _listen(self):
        if self._listener:
            return
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((self.host, self.port))
        listener.listen(1024)
        listener.setblocking(False)
        self.port = listener.getsockname()[1]
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, listener)

    def _close_all(self):
        for pair in list(self._pairs):
            self._close(pair)

    def _end(self):
        self._is_closed = True
        self._refuse()

    # -- the loop

    def _run(self):
        while not self._is_closed:
            wait = max(0.0, self._timers[0][0] - time.monotonic()) if self._timers else None
            for key, events in self._selector.select(wait):
                if key.data is None:
                    self._grant()
                elif isinstance(key.data, _Side):
                    self._serve(key.data, events)
                elif key.data is self._listener:
                    self._accept()
            now = time.monotonic()
            while self._timers and self._timers[0][0] <= now:
                _, _, call, arguments = heapq.heappop(self._timers)
                call(*arguments)

    def _after(self, seconds, call, *arguments):
        heapq.heappush(self._timers, (time.monotonic() + seconds, next(self._order), call, arguments))

    def _grant(self):
        self._ear.recv(4096)
        with self._lock:
            wishes, self._wishes = self._wishes, []
        for wish, done in wishes:
            wish()
            done.set()

    def _accept(self):
        for _ in range(64):
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            if self.mode == "accept_close":
                near.close()
                continue
            try:
                far = socket.create_connection(self.to, DEADLINE)
            except OSError:
                near.close()
                continue
            pair = _Pair(near, far)
            self._pairs.add(pair)
            self._watch(pair)

    def _watch(self, pair):
        """What is waited for at both ends."""
        for side in (pair.near, pair.far) if pair.is_open else ():
            ahead = len(pair.other(side).out) + (pair.later if side is pair.far else 0)
            mask = selectors.EVENT_READ if not side.ended and ahead < _FULL else 0
            mask |= selectors.EVENT_WRITE if side.out else 0
            if mask == side.mask:
                continue
            if not side.mask:
                self._selector.register(side.sock, mask, side)
            elif not mask:
                self._selector.unregister(side.sock)
            else:
                self._selector.modify(side.sock, mask, side)
            side.mask = mask

    def _close(self, pair, is_reset=False):
        if not pair.is_open:
            return
        pair.is_open = False
        self._pairs.discard(pair)
        self.resets += is_reset
        for side in (pair.near, pair.far):
            if side.mask:
                self._selector.unregister(side.sock)
            if is_reset:
                side.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            side.sock.close()

    # -- bytes

    def _serve(self, side, events):
        pair = side.pair
        if pair.is_open and events & selectors.EVENT_WRITE:
            self._flush(side)
        if pair.is_open and events & selectors.EVENT_READ:
            self._read(side)
        self._watch(pair)

    def _read(self, side):
        pair = side.pair
        try:
            data = side.sock.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            self._close(pair, True)
            return
        if not data:
            side.ended = True
            self._finish(pair)
        elif side is pair.near:
            self._up(pair, data)
        elif not pair.is_stuck:
            self._down(pair, data)

    def _finish(self, pair):
        """One end has said all; a pair that is stuck keeps the gateway waiting whatever its target does."""
        if pair.near.ended and (pair.is_stuck or pair.far.ended):
            self._close(pair)
        elif pair.far.ended and not (pair.is_stuck or pair.near.out or pair.later):
            self._close(pair)
        elif pair.near.ended and not pair.far.out:
            try:
                pair.far.sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._close(pair)

    def _flush(self, side):
        pair = side.pair
        try:
            sent = side.sock.send(side.out)
        except BlockingIOError:
            return
        except OSError:
            self._close(pair, True)
            return
        del side.out[:sent]
        if not side.out and (pair.near.ended or pair.far.ended):
            self._finish(pair)

    def _send(self, side, data):
        if side.pair.is_open and data:
            side.out += data
            self._flush(side)

    def _up(self, pair, data):
        self.bytes_up += len(data)
        seen = pair.tail + data
        self.requests += seen.count(_HEAD)
        pair.tail = seen[-(len(_HEAD) - 1):]
        pair.head, pair.in_body, pair.passed = b"", False, 0
        self._send(pair.far, data)

    def _down(self, pair, data):
        mode = self.mode
        if mode in ("pass", "flap", "refuse", "accept_close") and not pair.later:
            self.bytes_down += len(data)
            self._send(pair.near, data)
        elif mode == "reset":
            self._close(pair, True)
        elif mode == "hang":
            pair.is_stuck = True
        elif mode in ("hang_body", "reset_body"):
            self._cut(pair, data, mode == "reset_body")
        else:
            self._slow(pair, data)

    def _cut(self, pair, data, is_reset):
        after = self.options.get("after", 0)
        if not pair.in_body:
            pair.head += data
            head, mark, data = pair.head.partition(b"\r\n\r\n")
            if not mark:
                return
            pair.in_body = True
            self._send(pair.near, head + mark)
            self.bytes_down += len(head + mark)
        self._send(pair.near, data[: after - pair.passed])
        self.bytes_down += min(len(data), after - pair.passed)
        pair.passed += len(data)
        if pair.passed <= after and not (after == 0 and is_reset):
            return
        if not is_reset:
            pair.is_stuck = True
        elif pair.is_open:
            pair.is_stuck = True
            self._reset_when_read(pair, time.monotonic() + DEADLINE)

    def _reset_when_read(self, pair, end):
        """What went before a reset is read before it: the RST would overtake it."""
        if pair.is_open and (pair.near.out or unread(pair.near.sock)) and time.monotonic() < end:
            self._after(0.005, self._reset_when_read, pair, end)
        else:
            self._close(pair, True)

    def _slow(self, pair, data):
        """In order, each piece when it is due; also what came while another fault held earlier bytes back."""
        size = self.options.get("size", 1) if self.mode == "drip" else len(data)
        pause = self.options.get("pause", 0.02) if self.mode == "drip" else 0.0
        lag = self.options.get("seconds", 0.1) if self.mode == "delay" else 0.0
        due = max(pair.due, time.monotonic() + lag)
        for at in range(0, len(data), size):
            due += pause
            pair.later += len(data[at : at + size])
            heapq.heappush(self._timers, (due, next(self._order), self._release, (pair, data[at : at + size])))
        pair.due = due

    def _release(self, pair, data):
        pair.later -= len(data)
        if not pair.is_open:
            return
        self.bytes_down += len(data)
        self._send(pair.near, data)
        if pair.is_open and pair.far.ended:
            self._finish(pair)
        self._watch(pair)


class FaultyProcess:
    """A Faulty in a process of its own: set() and counts() as there, and set("kill"), which the next one brings back."""

    def __init__(self, to, port=0, wrap=()):
        self.to, self.wrap = to, wrap
        self.address = f"127.0.0.1:{port}"
        self._start()

    def _start(self):
        code = "import sys; sys.path.insert(0, sys.argv.pop(1)); from lib.faulty import main; main()"
        root = __file__.rsplit("/", 2)[0]
        self.process = subprocess.Popen(
            [*self.wrap, sys.executable, "-B", "-c", code, root, self.to, self.address.rpartition(":")[2]],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.address = json.loads(self.process.stdout.readline())["address"]

    def _kill(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.process.stdin.close()
        self.process.stdout.close()

    def _tell(self, *words):
        self.process.stdin.write(json.dumps(words) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def set(self, mode, **options):
        if self.process.poll() is not None:
            self._start()
        if mode == "kill":
            self._kill()
        else:
            self._tell(mode, options)
        return self

    def counts(self):
        return self._tell("counts", {})

    def close(self):
        if self.process.poll() is not None:
            return
        self.process.stdin.close()
        until(lambda: self.process.poll() is not None, "the proxy's end")
        self.process.stdout.close()


def main():
    """ADDRESS PORT; a line of JSON [mode, options] in, one of counts out, until the input ends."""
    proxy = Faulty(sys.argv[1], int(sys.argv[2]))
    print(json.dumps({"address": proxy.address}), flush=True)
    for line in sys.stdin:
        mode, options = json.loads(line)
        if mode != "counts":
            proxy.set(mode, **options)
        print(json.dumps(proxy.counts()), flush=True)
    proxy.close()
