# SPDX-License-Identifier: Apache-2.0
"""An edge's admin API as far as the control process knows it, and what a CA looks at, without the edge."""

import datetime
import hashlib
import http.server
import json
import os
import re
import socketserver
import ssl
import tempfile
import threading

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID, ObjectIdentifier

ACME_IDENTIFIER = ObjectIdentifier("1.3.6.1.5.5.7.1.31")


class FakeEdge:
    """Serves the admin API on a unix socket (or a loopback port), and challenges on `http_port` and `tls_port`."""

    def __init__(self, path=None, port=None, http_port=None, tls_port=None, token=None):
        self.path, self.port, self.token = path, port, token
        self.http_port, self.tls_port = http_port, tls_port
        self.pid, self.generation = 1000, 1
        self.certificates = {}  # name -> (certificate, key) as PEM
        self.challenges = {}  # token -> what was put
        self.ever = {}  # the same, with those that were taken away
        self.calls = []  # (method, path)
        self.refuse = None  # function of (method, path) -> status, or None
        self.servers = []
        self.open()

    def open(self):
        if self.path:
            if os.path.exists(self.path):
                os.unlink(self.path)
            self._serve(_UnixServer(self.path, _Admin))
        else:
            self._serve(_TcpServer(("127.0.0.1", self.port), _Admin))
        if self.http_port:
            self._serve(_TcpServer(("127.0.0.1", self.http_port), _Challenge))
        if self.tls_port:
            self._serve(_TlsServer(("127.0.0.1", self.tls_port), socketserver.BaseRequestHandler))

    def _serve(self, server):
        server.edge = self
        self.servers.append(server)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def shut(self):
        for server in self.servers:
            server.shutdown()
            server.server_close()
        self.servers = []

    def restart(self):
        """Another process that knows nothing."""
        self.shut()
        self.pid += 1
        self.certificates, self.challenges = {}, {}
        self.open()

    def leaf(self, domain):
        """The certificate that has this name, or None."""
        for chain, _ in list(self.certificates.values()):
            cert = x509.load_pem_x509_certificate(chain.encode())
            names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            if domain in names.get_values_for_type(x509.DNSName):
                return cert
        return None

    # -- the API

    def answer(self, method, path, body):
        self.calls.append((method, path))
        refused = self.refuse and self.refuse(method, path)
        if refused:
            return refused, {"detail": "this edge was told to refuse"}
        found = re.fullmatch(r"/api/v1/(certificates|challenges)/([\w.-]+)", path)
        if method == "GET" and path == "/api/v1/status":
            return 200, {"pid": self.pid, "generation": self.generation, "ready": True}
        if method == "GET" and path == "/api/v1/certificates":
            return 200, {"certificates": [self._show(name) for name in list(self.certificates)]}
        if not found:
            return 404, {"detail": f"no {path}"}
        kind, name = found.groups()
        if method == "PUT" and kind == "certificates":
            self.certificates[name] = (body["certificate"], body["key"])
        elif method == "PUT":
            self.challenges[name] = self.ever[name] = body
        elif method == "DELETE":
            (self.challenges if kind == "challenges" else self.certificates).pop(name, None)
        return 200, {}

    def _show(self, name):
        cert = x509.load_pem_x509_certificate(self.certificates[name][0].encode())
        domains = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {
            "name": name,
            "domains": domains.get_values_for_type(x509.DNSName),
            "not_after": cert.not_valid_after.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "issuer": cert.issuer.rfc4514_string(),
            "fingerprint": cert.fingerprint(hashes.SHA256()).hex(),
            "source": "api",
        }


class _TcpServer(http.server.ThreadingHTTPServer):
    daemon_threads = True
    allow_reuse_address = True


class _UnixServer(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True


class _TlsServer(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """tls-alpn-01: RFC 8737 section 3."""

    daemon_threads = True
    allow_reuse_address = True

    def finish_request(self, request, client_address):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.sni_callback = self.choose
        try:
            context.wrap_socket(request, server_side=True).close()
        except OSError:
            pass

    def choose(self, connection, name, _):
        found = next((c for c in list(self.edge.challenges.values())
                      if c["domain"] == name and c["type"] == "tls-alpn-01"), None)
        if not found:
            return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["acme-tls/1"])
        with tempfile.NamedTemporaryFile() as file:
            file.write(_proof(name, found["answer"]))
            file.flush()
            context.load_cert_chain(file.name)
        connection.context = context
        return None


def _proof(domain, answer):
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "challenge")])
    now = datetime.datetime.utcnow()
    digest = b"\x04\x20" + hashlib.sha256(answer.encode()).digest()
    cert = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(1).not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(domain)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(ACME_IDENTIFIER, digest), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return cert.public_bytes(pem) + key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


class _Admin(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def handle_call(self):
        edge = self.server.edge
        text = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if edge.token and self.headers.get("Authorization") != f"Bearer {edge.token}":
            status, out = 401, {"detail": "a token is needed"}
        else:
            status, out = edge.answer(self.command, self.path, json.loads(text) if text else None)
        data = json.dumps(out).encode()
        self.send_response_only(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_PUT = do_DELETE = handle_call

    def log_message(self, *_):
        pass

    def address_string(self):
        return "unix"


class _Challenge(http.server.BaseHTTPRequestHandler):
    """http-01: RFC 8555 section 8.3."""

    def do_GET(self):
        token = self.path.rpartition("/")[2]
        found = self.server.edge.challenges.get(token)
        text = found["answer"].encode() if found and found["type"] == "http-01" else b""
        self.send_response(200 if text else 404)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_):
        pass
