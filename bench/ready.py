# SPDX-License-Identifier: Apache-2.0
"""How soon a target that becomes ready gets its first request. Like scenarios.py: takes a bench, returns rows."""
import contextlib
import http.client
import socket
import statistics
import threading
import time

import proxies
import tools

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
ASKED_EVERY_S = 0.002
PATIENCE_S = 30
CHECKED = ("sluice", "haproxy")  # that check targets; haproxy as often as it does by itself


def ask(port):
    """The status of one request; 0: no answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status
    except (OSError, http.client.HTTPException):
        return 0
    finally:
        connection.close()


def ask_until(port, status):
    """The time when it was answered first."""
    end = time.monotonic() + PATIENCE_S
    while ask(port) != status:
        if time.monotonic() > end:
            raise tools.BenchError(f"no {status} within {PATIENCE_S} s")
        time.sleep(ASKED_EVERY_S)
    return time.monotonic()


def serve(listener):
    with contextlib.suppress(OSError):
        while True:
            conn, _ = listener.accept()
            with conn, contextlib.suppress(OSError):
                if conn.recv(65536):
                    conn.sendall(ANSWER)


def one(bench, name):
    """Milliseconds from the moment the target listens to the first answer that comes from it."""
    with bench.folder() as folder, socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        with proxies.running(name, folder, listener.getsockname()[1], {"check": True}) as proxy:
            ask_until(proxy.port, 503)  # it knows that the target is down
            listener.listen(128)
            begun = time.monotonic()
            thread = threading.Thread(target=serve, args=(listener,), daemon=True)
            thread.start()
            took = ask_until(proxy.port, 200) - begun
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()
    return took * 1000


def ready(bench):
    """From the moment a target that was down listens until a request reaches it, in milliseconds."""
    rows = {}
    for name in (n for n in bench.names if n in CHECKED):
        times = [one(bench, name) for _ in range(max(5, bench.rounds))]
        rows[name] = {"median_ms": statistics.median(times), "worst_ms": max(times)}
    return rows


ALL = {"ready": ready}
