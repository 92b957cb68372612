# SPDX-License-Identifier: Apache-2.0
"""A collector of spans: OTLP over HTTP as JSON, held against the schema of the protocol."""

import json
import pathlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jsonschema
import pytest

from .wait import DEADLINE, until

SCHEMA = json.loads((pathlib.Path(__file__).parent / "otlp_traces.schema.json").read_text(encoding="utf-8"))
VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
SERVER, CLIENT, INTERNAL = 2, 3, 1


class Span:
    def __init__(self, told, resource):
        self.trace, self.id, self.parent = told["traceId"], told["spanId"], told.get("parentSpanId")
        self.name, self.kind, self.flags, self.state = told["name"], told["kind"], told["flags"], told.get("traceState")
        self.begun, self.ended = int(told["startTimeUnixNano"]), int(told["endTimeUnixNano"])
        self.attributes = {a["key"]: next(iter(a["value"].values())) for a in told["attributes"]}
        self.is_error = told.get("status", {}).get("code") == 2
        self.resource = resource

    def __repr__(self):
        return f"<{self.name} {self.id} under {self.parent} {(self.ended - self.begun) / 1e6} ms {self.attributes}>"


class Collector:
    """`answers`: what is said to the next requests, a status or a function of the handler; then 200."""

    def __init__(self):
        self.spans, self.bodies, self.headers, self.wrong, self.answers = [], [], [], [], []
        self.lock = threading.Lock()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):
                collector.take(self, self.rfile.read(int(self.headers["Content-Length"])))

            def say(self, status, body=b"{}", headers=()):
                self.send_response(status)
                for name, value in (("Content-Type", "application/json"), ("Content-Length", str(len(body))), *headers):
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

        self.server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=[0.02], daemon=True).start()

    def take(self, handler, body):
        with self.lock:
            answer = self.answers.pop(0) if self.answers else 200
            self.headers.append(dict(handler.headers))
            self.bodies.append(body)
            if handler.path != "/v1/traces" or handler.headers["Content-Type"] != "application/json":
                self.wrong.append((handler.path, dict(handler.headers)))
            told = json.loads(body)
            self.wrong += [f"{e.json_path}: {e.message}" for e in VALIDATOR.iter_errors(told)]
            if answer == 200 or callable(answer):
                self._keep(told)
        if callable(answer):
            answer(handler)
        else:
            handler.say(answer)

    def _keep(self, told):
        for each in told["resourceSpans"]:
            resource = {a["key"]: a["value"]["stringValue"] for a in each["resource"]["attributes"]}
            for scope in each["scopeSpans"]:
                self.spans += [Span(span, resource) for span in scope["spans"]]

    def traces(self):
        """Spans by trace."""
        with self.lock:
            found = {}
            for span in self.spans:
                found.setdefault(span.trace, []).append(span)
            return found

    def roots(self):
        return [s for spans in self.traces().values() for s in spans if s.kind == SERVER]

    def root(self, path, timeout=DEADLINE):
        """The span of the request for this path, once it is here."""
        return until(lambda: next((s for s in self.roots() if s.attributes.get("url.path") == path), None), f"the span of {path}",
                     timeout, lambda: str(self.roots()))

    def below(self, span, kind=None):
        return [s for s in self.traces()[span.trace] if s.parent == span.id and kind in (None, s.kind)]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
        assert not self.wrong, self.wrong[:5]


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.close()
