# SPDX-License-Identifier: Apache-2.0
"""What stands at <state>/control.sock in place of control, and answers as a test says."""

import os
import socket
import threading

from .stream import Stream
from .wait import DEADLINE


class Asked(Stream):
    """One call that the edge passed on: its head as lines, its body, and the connection to answer on."""

    def __init__(self, sock):
        super().__init__(sock)
        head = self.until(b"\r\n\r\n", "a call's head", DEADLINE).decode()
        self.line, *fields = head[:-4].split("\r\n")
        self.fields = dict(field.split(": ", 1) for field in fields)
        self.body = self.exactly(int(self.fields["Content-Length"]), "a call's body", DEADLINE)


class FakeControl:
    """`answer(asked)` runs on a thread of its own for each call; the connection is closed when it returns."""

    def __init__(self, state, answer):
        self.path, self.answer = os.path.join(state, "control.sock"), answer
        self.asked = []
        if os.path.exists(self.path):
            os.unlink(self.path)
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.bind(self.path)
        self.sock.listen(128)
        self.threads = [threading.Thread(target=self._accept, daemon=True)]
        self.threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
        for thread in self.threads:
            thread.join(DEADLINE)
        os.unlink(self.path)

    def _accept(self):
        while True:
            try:
                peer, _ = self.sock.accept()
            except OSError:
                return
            peer.settimeout(DEADLINE)
            self.threads.append(threading.Thread(target=self._serve, args=(peer,), daemon=True))
            self.threads[-1].start()

    def _serve(self, peer):
        with peer:
            asked = Asked(peer)
            self.asked.append(asked)
            try:
                self.answer(asked)
            except OSError:
                pass  # the edge has gone


def says(text):
    """An answer that is the same for every call."""
    data = text.encode() if isinstance(text, str) else text
    return lambda asked: asked.sock.sendall(data)
