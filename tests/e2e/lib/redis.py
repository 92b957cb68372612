# SPDX-License-Identifier: Apache-2.0
"""A real redis-server on a port of its own, and a server that answers as a test says."""

import os
import signal
import socket
import subprocess
import threading

from .wait import DEADLINE, until


def command(*words):
    out = b"*%d\r\n" % len(words)
    for word in words:
        data = word if isinstance(word, bytes) else str(word).encode()
        out += b"$%d\r\n%s\r\n" % (len(data), data)
    return out


class Redis:
    def __init__(self, home, port, password=None, options=()):
        self.port, self.password = port, password
        words = ["--port", port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", home]
        self.words = [*map(str, words), *(["--requirepass", password] if password else []), *options]
        self.process = None

    @property
    def url(self):
        user = f":{self.password}@" if self.password else ""
        return f"redis://{user}127.0.0.1:{self.port}"

    def start(self):
        self.process = subprocess.Popen(["redis-server", *self.words], stdout=subprocess.DEVNULL,
                                        stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        until(self.is_up, "redis")
        return self

    def is_up(self):
        try:
            return self.ask("PING").startswith(b"+PONG")
        except OSError:
            return False

    def ask(self, *words):
        """The first bytes of the answer to a command."""
        with socket.create_connection(("127.0.0.1", self.port), DEADLINE) as sock:
            if self.password:
                sock.sendall(command("AUTH", self.password))
                assert sock.recv(100) == b"+OK\r\n"
            sock.sendall(command(*words))
            return sock.recv(65536)

    def keys(self):
        return [k for k in self.ask("KEYS", "*").split(b"\r\n") if k.startswith(b"sl:")]

    def pause(self):
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self):
        os.kill(self.process.pid, signal.SIGCONT)

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(DEADLINE)
            self.process = None


class FakeRedis:
    """Greets as Redis does, then answers each script call with `answer` (bytes; None: not at all)."""

    def __init__(self, port, greeting=b"$40\r\n" + b"a" * 40 + b"\r\n", answer=None):
        self.port, self.greeting, self.answer = port, greeting, answer
        self.connections = self.calls = 0
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self):
        return f"redis://127.0.0.1:{self.port}"

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with sock:
            seen = b""
            try:
                while data := sock.recv(65536):
                    seen += data
                    if b"SCRIPT" in seen and b"return {n, math.ceil(debt)}\r\n" in seen:
                        seen = seen.split(b"return {n, math.ceil(debt)}\r\n", 1)[1]
                        sock.sendall(self.greeting)
                    for _ in range(seen.count(b"EVALSHA")):
                        self.calls += 1
                        if self.answer is not None:
                            sock.sendall(self.answer)
                    if b"EVALSHA" in seen:
                        seen = b""
            except OSError:
                pass

    def close(self):
        self.listener.close()
