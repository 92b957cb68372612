# SPDX-License-Identifier: Apache-2.0
"""Clients over TLS: what was shown and agreed on, and requests over it."""

import http.client
import socket
import ssl
import subprocess

from cryptography import x509
from cryptography.x509.oid import NameOID

from .wait import DEADLINE, SLOW


def context(ca=None, pair=None, alpn=None, low=None, high=None):
    """A client's. Without `ca` anything is taken."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = ca is not None
    made.verify_mode = ssl.CERT_REQUIRED if ca else ssl.CERT_NONE
    if ca:
        made.load_verify_locations(ca.file)
    if pair:
        made.load_cert_chain(pair.cert, pair.key)
    if alpn:
        made.set_alpn_protocols(alpn)
    if low:
        made.minimum_version = low
    if high:
        made.maximum_version = high
    return made


class Secure:
    """A connection to 127.0.0.1:port (or a unix socket) that asked for `name` (None: for none)."""

    def __init__(self, port, name=None, session=None, made=None, **options):
        made = made or context(**options)
        plain = socket.create_connection(("127.0.0.1", port), DEADLINE)
        try:
            self.sock = made.wrap_socket(plain, server_hostname=name, session=session)
        except BaseException:
            plain.close()
            raise
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.sock.close()

    @property
    def certificate(self):
        return x509.load_der_x509_certificate(self.sock.getpeercert(True))

    @property
    def common_name(self):
        return self.certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value

    @property
    def serial(self):
        return self.certificate.serial_number

    @property
    def alpn(self):
        return self.sock.selected_alpn_protocol()

    @property
    def version(self):
        return self.sock.version()

    @property
    def reused(self):
        return self.sock.session_reused

    @property
    def session(self):
        return self.sock.session

    def get(self, path="/", host=None, headers=None):
        """The answer, read; .status, .headers and .body."""
        connection = http.client.HTTPConnection(host or self.name or "example.com")
        connection.sock = self.sock
        connection.request("GET", path, headers={"Host": host or self.name or "example.com", **(headers or {})})
        answer = connection.getresponse()
        answer.body = answer.read()
        return answer


def s_client(port, *words, stdin=""):
    """What `openssl s_client` prints, and its exit status."""
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", *words],
        input=stdin, capture_output=True, text=True, timeout=20 * SLOW,
    )
    return done.returncode, done.stdout + done.stderr
