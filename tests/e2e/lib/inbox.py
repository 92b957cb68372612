# SPDX-License-Identifier: Apache-2.0
"""Who gets notices: an HTTP receiver, and a mail server that wants what a test says."""

import email
import email.policy
import hashlib
import hmac
import json
import ssl
import threading
import warnings
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult


class HttpInbox:
    """Keeps what is POSTed to it: [(headers, body)]; `answer` gives the status of the next one."""

    def __init__(self):
        self.got, self.refused, self.answer = [], 0, lambda: 200
        inbox = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                status = inbox.answer()
                if status == 200:
                    inbox.got.append((dict(self.headers), body))
                else:
                    inbox.refused += 1
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}/hooks/T0-secret-path"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def messages(self):
        return [json.loads(body) for _, body in list(self.got)]

    def notices(self):
        """Of a webhook's messages; one that comes again is known by its id."""
        return [n for message in {m["id"]: m for m in self.messages()}.values() for n in message["notices"]]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def check_signature(secret, headers, body):
    """As a receiver would."""
    parts = dict(part.split("=", 1) for part in headers["Sluice-Signature"].split(","))
    mac = hmac.new(secret.encode(), f"{parts['t']}.".encode() + body, hashlib.sha256).hexdigest()
    assert hmac.compare_digest(mac, parts["v1"])


class MailInbox:
    """A mail server: `tls` None, "implicit" or "starttls"; with `login` (user, password) it takes nothing without."""

    def __init__(self, port, tls=None, leaf=None, login=None):
        self.mails, self.envelopes, self.login = [], [], login
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(leaf.cert, leaf.key)
        options = {"authenticator": self.authenticate, "auth_required": bool(login), "auth_require_tls": tls == "starttls"}
        if tls == "starttls":
            options |= {"tls_context": context, "require_starttls": True}

        class Server(Controller):
            def factory(self):
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # a login without TLS is what some tests are about
                    return SMTP(self.handler, **options)

        self.server = Server(self, hostname="127.0.0.1", port=port, ssl_context=context if tls == "implicit" else None)
        self.server.start()

    def authenticate(self, server, session, envelope, mechanism, data):
        return AuthResult(success=(data.login.decode(), data.password.decode()) == self.login, handled=False)

    async def handle_DATA(self, server, session, envelope):
        self.mails.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        self.envelopes.append((envelope.mail_from, envelope.rcpt_tos))
        return "250 OK"

    def close(self):
        self.server.stop()
