# SPDX-License-Identifier: Apache-2.0
"""What machines of the fake of Fly.io's API (tests/provider/fake_fly.py) run in tests of the whole program."""

import http.server
import random
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "provider"))
from fake_fly import Fly, live_config  # noqa: E402,F401


class App:
    """What a machine runs: it answers with its release. `never` does not listen, `bad` fails 30 % of its requests."""

    def __init__(self, machine, port):
        release, share = machine.metadata["sluice_release"].encode(), 0.3 if machine.kind == "bad" else 0
        self.server = None
        if machine.kind == "never":
            return

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                self.send_response(500 if random.random() < share else 200)
                self.send_header("Content-Length", str(len(release)))
                self.end_headers()
                self.wfile.write(release)

            def log_message(self, *words):
                pass

        self.server = http.server.ThreadingHTTPServer((machine.ip, port), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
