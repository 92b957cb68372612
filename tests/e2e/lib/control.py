# SPDX-License-Identifier: Apache-2.0
"""The control process alone, with a CA and an edge of the test's own."""

import base64
import json
import os
import signal
import subprocess

from cryptography import x509

from .ca import Ca
from .fake_edge import FakeEdge
from .gateway import BIN
from .wait import DEADLINE, until

LONG = 3 * DEADLINE


def unpack(payload):
    """What a JWS says, without looking at its signature: pebble does."""
    return json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))


def renewal_id(cert):
    """RFC 9773 section 4.1."""
    identity = cert.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    serial = cert.serial_number.to_bytes(cert.serial_number.bit_length() // 8 + 1, "big")
    return ".".join(base64.urlsafe_b64encode(b).rstrip(b"=").decode() for b in (identity, serial))


class Control:
    """`sluice control` with a configuration, a CA and the edge of its state directory."""

    def __init__(self, home, ports, env=None, **acme):
        self.home, self.ports = home, ports
        self.state = os.path.join(home, "state")
        os.makedirs(self.state, exist_ok=True)
        self.http_port, self.tls_port = ports.take(), ports.take()
        self.ca = Ca(home, ports, self.http_port, self.tls_port, env)
        self.edge = FakeEdge(path=os.path.join(self.state, "admin.sock"), http_port=self.http_port,
                             tls_port=self.tls_port)
        self.others = []
        self.acme = {"email": "ops@example.com", "domains": ["a.test"], "directory": self.ca.directory,
                     "ca": self.ca.root, **acme}
        self.file = os.path.join(home, "sluice.yaml")
        self.process = None
        self.write()

    def write(self, **more):
        """The configuration; `more` are top-level keys, `acme` is taken as it is now."""
        config = {
            "state": self.state,
            "listeners": [{"bind": f"127.0.0.1:{self.http_port}"},
                          {"bind": f"127.0.0.1:{self.tls_port}", "tls": {"acme": self.acme}}],
            "services": {"app": {"targets": ["127.0.0.1:1"]}},
            **more,
        }
        with open(self.file, "w", encoding="utf-8") as file:
            json.dump(config, file)

    def start(self, env=None):
        log = open(os.path.join(self.home, "stderr"), "ab")
        # What is preloaded comes before a sanitizer, which wants to be first.
        options = os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0"
        self.process = subprocess.Popen([BIN, "control", self.file], cwd=self.home, stdin=subprocess.DEVNULL,
                                        stderr=log, start_new_session=True,
                                        env={**os.environ, "ASAN_OPTIONS": options, **(env or {})})
        log.close()
        return self

    def end(self, number=signal.SIGTERM):
        os.killpg(self.process.pid, number)
        code = self.process.wait(DEADLINE)
        self.process = None
        return code

    def stderr(self):
        path = os.path.join(self.home, "stderr")
        if not os.path.exists(path):
            return ""
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()

    def said(self, words, timeout=LONG):
        try:
            until(lambda: words in self.stderr(), words, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stderr()}") from None

    def status(self):
        try:
            with open(os.path.join(self.state, "acme", "status.json"), encoding="utf-8") as file:
                return json.load(file)
        except FileNotFoundError:
            return {"sets": [], "edges": []}

    @property
    def folder(self):
        """Where what belongs to the CA is kept."""
        acme = os.path.join(self.state, "acme")
        return next(os.path.join(acme, n) for n in os.listdir(acme) if n.startswith("127.0.0.1"))

    @property
    def set(self):
        return self.status()["sets"][0]

    def leaf(self, domain="a.test", edge=None, other_than=None):
        """Waits for the certificate of a name on an edge."""
        edge = edge or self.edge

        def found():
            leaf = edge.leaf(domain)
            return leaf if leaf and (other_than is None or leaf != other_than) else None

        try:
            return until(found, f"a certificate for {domain}", LONG)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.stderr()}") from None

    def renew(self, domain="a.test"):
        """Asks for a renewal as `sluice cert renew` does."""
        with open(os.path.join(self.state, "acme", "renew", domain), "w", encoding="utf-8"):
            pass

    def close(self):
        if self.process and self.process.poll() is None:
            assert self.end() == 143
        self.ca.close()
        for edge in [self.edge, *self.others]:
            edge.shut()
        assert "Sanitizer" not in self.stderr() and "runtime error" not in self.stderr(), self.stderr()
