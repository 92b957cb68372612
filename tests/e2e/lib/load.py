# SPDX-License-Identifier: Apache-2.0
"""A constant load of whole requests, of which none may fail."""

import threading

from .client import Client


class Load:
    """`with Load(gw) as load: ...` keeps `clients` busy; .check() says that not one request failed.

    A connection that the gateway ends politely (Connection: close, or the end of an idle one before a byte of an
    answer) is opened anew, as every client does; anything else is a failure.
    """

    def __init__(self, gw, clients=4, path="/load", new_connection_each=False):
        self.address, self.path, self.new_each = ("127.0.0.1", gw.port), path, new_connection_each
        self.done, self.failures = 0, []
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(clients)]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _run(self):
        client = None
        while not self._stop.is_set():
            try:
                client = client or Client(self.address)
                client.keep_received = False
                reply = self._one(client)
                if reply is None or reply.closes or self.new_each:
                    client.close()
                    client = None
                if reply is not None:
                    self._count(reply)
            except Exception as error:  # every kind of failure counts
                self.failures.append(repr(error))
                client = None
        if client:
            client.close()

    def _one(self, client):
        """A reply; None when the connection had been ended before this request reached anyone."""
        is_fresh = not hasattr(client, "used")
        client.used = True
        try:
            client.request("GET", self.path)
            client.until(b"HTTP/1.1 ", "a status line")
        except ConnectionError:
            if is_fresh:
                raise
            return None
        client.buffer = b"HTTP/1.1 " + client.buffer
        return client.reply()

    def _count(self, reply):
        with self._lock:
            self.done += 1
        if reply.status != 200:
            self.failures.append(repr(reply))

    def grow(self, more=30):
        """Waits until that many more requests were answered."""
        from .wait import until

        goal = self.done + more
        until(lambda: self.done >= goal or self.failures, f"{more} more answers")

    def check(self, at_least=1):
        assert not self.failures, f"{len(self.failures)} failed: {self.failures[:5]}"
        assert self.done >= at_least, f"only {self.done} requests"
