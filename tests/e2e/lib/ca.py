# SPDX-License-Identifier: Apache-2.0
"""A certificate authority: pebble, its DNS, and before it a proxy that counts, changes and breaks what passes.

The proxy also adds what Debian's pebble does not have: renewal information (RFC 9773).
"""

import datetime
import email.utils
import http.client
import http.server
import json
import os
import socket
import ssl
import subprocess
import threading
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from .wait import DEADLINE, until

PROBLEM = "application/problem+json"


def make_server_certificate(folder):
    """A root and a certificate for 127.0.0.1 and localhost: (root, chain, key) as paths."""
    now = datetime.datetime.utcnow()

    def build(name, key, issuer, issuer_key, is_ca):
        names = [x509.DNSName("localhost"), x509.IPAddress(__import__("ipaddress").ip_address("127.0.0.1"))]
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=3650))
            .not_valid_after(now + datetime.timedelta(days=3650 * 4))
            .add_extension(x509.BasicConstraints(is_ca, None), critical=True)
        )
        if not is_ca:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(issuer_key, hashes.SHA256())

    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root = build("test root", root_key, "test root", root_key, True)
    leaf = build("localhost", key, "test root", root_key, False)
    paths = [os.path.join(folder, name) for name in ("ca-root.pem", "ca-cert.pem", "ca-key.pem")]
    pem = serialization.Encoding.PEM
    texts = (
        root.public_bytes(pem),
        leaf.public_bytes(pem),
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
    )
    for path, text in zip(paths, texts):
        with open(path, "wb") as file:
            file.write(text)
    return paths


class Ca:
    """pebble behind the proxy. `directory` and `root` are for the configuration of a gateway."""

    def __init__(self, folder, ports, http_port, tls_port, env=None):
        self.folder, self.ports = folder, ports
        self.root, self.cert, self.key = make_server_certificate(folder)
        self.api, self.management = ports.take(), ports.take()
        self.port = ports.take()
        self.calls = []  # (method, path, answer's status) of what passed the proxy
        self.hooks = []  # hook(call) -> None, or (status, fields, body) in place of pebble's answer
        self.windows = None  # function of a certificate's id -> (start, end) in Unix seconds; None: no ARI
        self.clock_offset = 0  # seconds, of the Date field
        self.processes = []
        self.proxy = None
        try:
            self._start_dns()
            self._start_pebble(http_port, tls_port, env or {})
            self.open()
        except BaseException:
            self.close()
            raise

    @property
    def directory(self):
        return f"https://127.0.0.1:{self.port}/dir"

    # -- processes

    def _run(self, *words, env=None):
        log = open(os.path.join(self.folder, "ca.log"), "ab")
        self.processes.append(
            subprocess.Popen(words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, env={**os.environ, **(env or {})})
        )

    def _start_dns(self):
        self.dns = self.ports.take()
        self._run(
            "pebble-challtestsrv", "-dns01", f"127.0.0.1:{self.dns}", "-http01", "", "-https01", "", "-tlsalpn01", "",
            "-management", f"127.0.0.1:{self.ports.take()}", "-defaultIPv6", "",
        )

    def _start_pebble(self, http_port, tls_port, env):
        path = os.path.join(self.folder, "pebble.json")
        with open(path, "w", encoding="utf-8") as file:
            json.dump({"pebble": {
                "listenAddress": f"127.0.0.1:{self.api}", "managementListenAddress": f"127.0.0.1:{self.management}",
                "certificate": self.cert, "privateKey": self.key, "httpPort": http_port, "tlsPort": tls_port,
                "externalAccountBindingRequired": False,
            }}, file)
        self._run("pebble", "-config", path, "-dnsserver", f"127.0.0.1:{self.dns}",
                  env={"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0", "PEBBLE_AUTHZREUSE": "0", **env})
        until(self._serves, "pebble", 4 * DEADLINE)

    def _serves(self):
        if self.processes[-1].poll() is not None:
            with open(os.path.join(self.folder, "ca.log"), encoding="utf-8", errors="replace") as file:
                raise AssertionError(f"pebble ended: {file.read()[-2000:]}")
        return _is_open(self.api)

    # -- the proxy's life: closing it is an outage of the CA

    def open(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.cert, self.key)
        self.proxy = _Server(("127.0.0.1", self.port), _Handler)
        self.proxy.ca = self
        self.proxy.context = context
        threading.Thread(target=self.proxy.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def shut(self):
        if self.proxy:
            self.proxy.shutdown()
            self.proxy.server_close()
            self.proxy.cut()
        self.proxy = None

    def close(self):
        self.shut()
        for process in self.processes:
            process.kill()
            process.wait()

    # -- what happened

    def count(self, part, status=None):
        """Calls whose path has this part."""
        return sum(part in path and status in (None, got) for _, path, got in list(self.calls))

    @property
    def orders(self):
        return self.count("/order-plz", 201)

    def refuse(self, part, kind, detail, status=403, times=1 << 30, **more):
        """Answers calls whose path has `part` with a problem, so many times."""
        left = [times]

        def hook(call):
            if part not in call.path or left[0] <= 0:
                return None
            left[0] -= 1
            body = {"type": f"urn:ietf:params:acme:error:{kind}", "detail": detail, "status": status, **more}
            return status, {"Content-Type": PROBLEM}, json.dumps(body).encode()

        self.hooks.append(hook)

    # -- what the proxy does with a call

    def answer(self, call):
        found = next((a for a in (hook(call) for hook in list(self.hooks)) if a), None)
        if not found and call.path.startswith("/renewal/") and self.windows:
            found = self._window(call.path[len("/renewal/"):])
        status, fields, body = found or self._forward(call)
        if call.path == "/dir" and self.windows and status == 200:
            body = json.dumps({**json.loads(body), "renewalInfo": f"https://127.0.0.1:{self.port}/renewal"}).encode()
        if found and "Replay-Nonce" not in fields:
            fields = {**fields, "Replay-Nonce": self._nonce()}
        self.calls.append((call.command, call.path, status))
        return status, {**fields, "Date": email.utils.formatdate(time.time() + self.clock_offset, usegmt=True)}, body

    def _window(self, identity):
        start, end = (time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(t)) for t in self.windows(identity))
        body = {"suggestedWindow": {"start": start, "end": end}}
        return 200, {"Content-Type": "application/json", "Retry-After": "1"}, json.dumps(body).encode()

    def _upstream(self):
        context = ssl.create_default_context(cafile=self.root)
        return http.client.HTTPSConnection("127.0.0.1", self.api, context=context, timeout=30)

    def _nonce(self):
        upstream = self._upstream()
        upstream.request("HEAD", "/nonce-plz")
        nonce = upstream.getresponse().getheader("Replay-Nonce")
        upstream.close()
        return nonce

    def _forward(self, call):
        upstream = self._upstream()
        kept = {k: v for k, v in call.headers.items() if k.lower() not in ("connection", "host")}
        upstream.request(call.command, call.path, call.body or None, {**kept, "Host": f"127.0.0.1:{self.port}"})
        reply = upstream.getresponse()
        body = reply.read()
        fields = {k: v for k, v in reply.getheaders()
                  if k.lower() not in ("content-length", "connection", "date", "transfer-encoding")}
        upstream.close()
        return reply.status, fields, body


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *args):
        self.open_sockets = set()
        super().__init__(*args)

    def finish_request(self, request, client_address):
        self.open_sockets.add(request)
        try:
            wrapped = self.context.wrap_socket(request, server_side=True)
            self.open_sockets.add(wrapped)
            self.RequestHandlerClass(wrapped, client_address, self)
        except OSError:
            pass

    def cut(self):
        for sock in list(self.open_sockets):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def handle_error(self, request, client_address):
        pass


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    body = b""

    def handle_call(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status, fields, body = self.server.ca.answer(self)
        self.send_response_only(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_GET = do_POST = do_HEAD = handle_call

    def log_message(self, *_):
        pass


def _is_open(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False
