# SPDX-License-Identifier: Apache-2.0
"""A store that speaks as much of S3 as backups need, and believes no signature that it has not computed itself, by
https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html."""

import hashlib
import hmac
import re
import threading
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, quote, unquote, urlsplit
from xml.sax.saxutils import escape


def sign(secret, request, scope, stamp, names):
    """The signature of (method, path, query, {name: value}, hash of the body)."""
    method, path, query, headers, payload = request
    pairs = sorted((quote(k, safe="-_.~"), quote(v, safe="-_.~")) for k, v in parse_qsl(query, keep_blank_values=True))
    canonical = "\n".join([
        method, quote(unquote(path), safe="/-_.~"), "&".join(f"{k}={v}" for k, v in pairs),
        *(f"{n}:{' '.join(headers.get(n, '').split())}" for n in names), "", ";".join(names), payload])
    text = "\n".join(["AWS4-HMAC-SHA256", stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()])
    key = f"AWS4{secret}".encode()
    for word in scope.split("/"):
        key = hmac.new(key, word.encode(), hashlib.sha256).digest()
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()


class FakeS3:
    """`objects`: {path: bytes}, the bucket's name first."""

    def __init__(self, bucket="backups", region="eu-test-1", key="AKIDEXAMPLE", secret="wJalrXUtnFEMI/K7MDENG+bPxRfiCY"):
        self.bucket, self.region, self.key, self.secret = bucket, region, key, secret
        self.objects, self.calls, self.page = {}, [], 1000
        self.fail = None  # function of (method, path) -> (status, code), or None
        self.skew = 0  # seconds that its clock is off
        store = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                url = urlsplit(self.path)
                path = unquote(url.path).lstrip("/")
                store.calls.append((self.command, path))
                status, reply = store.refuse(self, url, body) or store.serve(self.command, path, url.query, body)
                self.send_response(status)
                self.send_header("Content-Length", str(len(reply)))
                self.end_headers()
                self.wfile.write(reply)

            do_GET = do_PUT = do_DELETE = answer

            def log_message(self, *words):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, prefix=""):
        return f"{self.endpoint}/{self.bucket}{'/' if prefix else ''}{prefix}"

    def names(self):
        return sorted(path.rsplit("/", 1)[-1] for path in self.objects)

    def env(self):
        """For `sluice restore`."""
        return {"AWS_ACCESS_KEY_ID": self.key, "AWS_SECRET_ACCESS_KEY": self.secret, "AWS_REGION": self.region}

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # -- what it says

    @staticmethod
    def error(status, code):
        return status, f'<?xml version="1.0"?><Error><Code>{code}</Code><Message>Told so &amp; not otherwise</Message></Error>'.encode()

    def refuse(self, handler, url, body):
        failed = self.fail and self.fail(handler.command, unquote(url.path).lstrip("/"))
        if failed:
            return self.error(*failed)
        headers = {k.lower(): v for k, v in handler.headers.items()}
        field = re.fullmatch(r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8}/([^/]+)/s3/aws4_request), ?"
                             r"SignedHeaders=([^,]+), ?Signature=([0-9a-f]{64})", headers.get("authorization", ""))
        if not field:
            return self.error(403, "MissingAuthenticationToken")
        key, scope, region, names, signature = field.groups()
        payload, stamp = headers.get("x-amz-content-sha256", ""), headers.get("x-amz-date", "")
        if key != self.key:
            return self.error(403, "InvalidAccessKeyId")
        if region != self.region:
            return self.error(400, "AuthorizationHeaderMalformed")
        if payload != hashlib.sha256(body).hexdigest():
            return self.error(400, "XAmzContentSHA256Mismatch")
        if not {"host", "x-amz-date", "x-amz-content-sha256"} <= set(names.split(";")):
            return self.error(403, "AccessDenied")
        sent = datetime.strptime(stamp, "%Y%m%dT%H%M%SZ").replace(tzinfo=timezone.utc).timestamp()
        if abs(sent - datetime.now(timezone.utc).timestamp() - self.skew) > 900 or not scope.startswith(stamp[:8]):
            return self.error(403, "RequestTimeTooSkewed")
        request = (handler.command, url.path, url.query, headers, payload)
        if signature != sign(self.secret, request, scope, stamp, names.split(";")):
            return self.error(403, "SignatureDoesNotMatch")
        return None

    def serve(self, method, path, query, body):
        if path.rstrip("/") == self.bucket and method == "GET":
            return self.list(dict(parse_qsl(query)))
        if not path.startswith(f"{self.bucket}/"):
            return self.error(404, "NoSuchBucket")
        if method == "PUT":
            self.objects[path] = body
            return 200, b""
        if method == "DELETE":
            self.objects.pop(path, None)
            return 204, b""
        return (200, self.objects[path]) if path in self.objects else self.error(404, "NoSuchKey")

    def list(self, query):
        assert query["list-type"] == "2"
        keys = sorted(p.split("/", 1)[1] for p in self.objects)
        keys = [k for k in keys if k.startswith(query.get("prefix", "")) and k > query.get("continuation-token", "")]
        more = len(keys) > self.page
        keys = keys[:self.page]
        text = "".join(f"<Contents><Key>{escape(k)}</Key><Size>1</Size></Contents>" for k in keys)
        token = f"<NextContinuationToken>{escape(keys[-1])}</NextContinuationToken>" if more else ""
        return 200, (f'<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
                     f"<IsTruncated>{str(more).lower()}</IsTruncated>{token}{text}</ListBucketResult>").encode()
