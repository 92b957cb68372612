# SPDX-License-Identifier: Apache-2.0
"""Signs requests as a client would (HTTP Message Signatures, RFC 9421, hmac-sha256): written after the standard, and
sharing nothing with the gateway."""

import base64
import hashlib
import hmac
import time

SECRET = "a secret that two of them share, no more"
COMPONENTS = ("@method", "@authority", "@path", "@query")


def digest(body, name="sha-256"):
    """A Content-Digest (RFC 9530)."""
    kind = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}[name]
    return f"{name}=:{base64.b64encode(kind(body).digest()).decode()}:"


def value_of(component, method, target, host, scheme, headers):
    path, mark, query = target.partition("?")
    derived = {"@method": method, "@authority": host, "@path": path, "@query": "?" + query, "@scheme": scheme,
               "@target-uri": f"{scheme}://{host}{target}", "@request-target": target}
    if component in derived:
        return derived[component]
    return ", ".join(v.strip() for n, v in headers if n.lower() == component)


def sign(method="GET", target="/", headers=(), body=None, host="example.com", scheme="http", secret=SECRET,
         components=COMPONENTS, created=0, label="sig", params=None, **more):
    """The request's fields with its signature behind them. `created` is seconds from now, None: without it; further
    parameters as they are given, `params` in place of all. Strings are quoted."""
    fields = list(headers)
    components = list(components)
    if body is not None:
        fields.append(("Content-Digest", digest(body)))
        components.append("content-digest")
    if params is None:
        given = {} if created is None else {"created": int(time.time()) + created}
        given.update({"keyid": "ann", **more})
        params = "".join(f';{n}="{v}"' if isinstance(v, str) else f";{n}={v}" for n, v in given.items() if v is not None)
    listed = "(" + " ".join(f'"{c}"' for c in components) + ")" + params
    lines = [f'"{c}": {value_of(c, method, target, host, scheme, fields)}' for c in components]
    base = "\n".join(lines + [f'"@signature-params": {listed}'])
    key = secret if isinstance(secret, bytes) else secret.encode()
    made = base64.b64encode(hmac.new(key, base.encode("latin-1"), hashlib.sha256).digest()).decode()
    return fields + [("Signature-Input", f"{label}={listed}"), ("Signature", f"{label}=:{made}:")]
