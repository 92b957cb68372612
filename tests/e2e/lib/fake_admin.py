# SPDX-License-Identifier: Apache-2.0
"""An admin API that answers whatever a test says: names that no configuration lets by, and far too many of them."""

import http.server
import json
import threading


class FakeAdmin:
    """`answers`: path (without its query) -> JSON, or (status, JSON), or bytes, or a function that gives one of these."""

    def __init__(self, port, answers):
        self.answers, self.calls = answers, []
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", port), _Handler)
        self.server.daemon_threads = True
        self.server.fake = self
        self.url = f"http://127.0.0.1:{port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        fake, path = self.server.fake, self.path.partition("?")[0]
        answer = fake.answers.get(path, (404, {"title": "Not found"}))
        fake.calls.append(path)
        if callable(answer):
            answer = answer()
        status, body = answer if isinstance(answer, tuple) else (200, answer)
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        try:
            self.wfile.write(data)
        except OSError:
            pass  # whoever asked is gone

    def log_message(self, *_):
        pass


def status(services=(), **more):
    """What GET /api/v1/status answers of a gateway with which all is well."""
    return {"version": "9.9.9", "uptime_s": 60, "generation": 3, "ready": True, "draining": False,
            "config": {"last_good": False, "last_reload": {"successful": True}}, "services": list(services), **more}


def service(name, targets, **more):
    """One with a single release; targets: [(id, state, reason)]."""
    ups = sum(state == "up" for _, state, _ in targets)
    release = {"id": "stable", "percent": 100.0, "targets": len(targets), "up": ups, "waiting": 0, "balance_mode": "normal"}
    return {"name": name, "mode": "running", "balance_mode": "normal", "waiting": 0, "has_releases": False,
            "releases": [release],
            "targets": [{"id": ident, "release": "stable", "state": state, "reason": reason, "drained": False, "in_flight": 0}
                        for ident, state, reason in targets], **more}


def counters(routes, at, instance=1):
    """What GET /api/v1/counters answers; routes: {name: requests}."""
    return {"instance": instance, "at_ms": at, "releases": [], "latency_edges_us": [1000, 10000], "routes": [
        {"name": name, "requests": n, "codes": {"200": n}, "refused": {}, "in_flight": 0, "latency": [[0, n]],
         "bytes": [0, n]} for name, n in routes.items()]}
