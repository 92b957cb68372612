# SPDX-License-Identifier: Apache-2.0
"""Keys and tokens as an issuer has them, made by PyJWT: what the gateway verifies another program has signed."""

import base64
import functools
import json
import time

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

SECRET = "a secret of sixty-four bytes, which is enough for each of the HS"

CURVES = {"ES256": ec.SECP256R1, "ES384": ec.SECP384R1, "ES512": ec.SECP521R1}
NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@functools.cache
def rsa_key(owner):
    """One for all algorithms: to make one takes longer than most of the tests."""
    return rsa.generate_private_key(65537, 2048)


class Key:
    """A private key for one algorithm, with a name. Keys of RSA are the same when their owner is."""

    def __init__(self, alg="ES256", kid="k1", owner="issuer"):
        self.alg, self.kid = alg, kid
        if alg in CURVES:
            self.private = ec.generate_private_key(CURVES[alg]())
        elif alg == "EdDSA":
            self.private = ed25519.Ed25519PrivateKey.generate()
        else:
            self.private = rsa_key(owner)
        self.public = self.private.public_key()

    def sign(self, claims=None, alg=None, **more):
        """A token that is good for five minutes, unless the claims say otherwise; None leaves one out."""
        claims = {"sub": "ann", "exp": int(time.time()) + 300, **(claims or {})}
        claims = {k: v for k, v in claims.items() if v is not None}
        return jwt.encode(claims, self.private, algorithm=alg or self.alg, headers={"kid": self.kid, **more})

    def pem(self):
        return self.public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ).decode()

    def jwk(self):
        common = {"kid": self.kid, "use": "sig", "alg": self.alg}
        if self.alg in CURVES:
            numbers, size = self.public.public_numbers(), (self.public.key_size + 7) // 8
            x, y = (base64url(n.to_bytes(size, "big")) for n in (numbers.x, numbers.y))
            return {"kty": "EC", "crv": NAMES[self.public.curve.name], "x": x, "y": y, **common}
        if self.alg == "EdDSA":
            raw = self.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
            return {"kty": "OKP", "crv": "Ed25519", "x": base64url(raw), **common}
        return {**json.loads(get_default_algorithms()["RS256"].to_jwk(self.public)), "key_ops": ["verify"], **common}


def jwks(*keys):
    return json.dumps({"keys": [key.jwk() for key in keys]})


def hs(claims=None, alg="HS256", secret=SECRET):
    claims = {"sub": "ann", "exp": int(time.time()) + 300, **(claims or {})}
    return jwt.encode({k: v for k, v in claims.items() if v is not None}, secret, algorithm=alg)


def bearer(token):
    return [("Authorization", f"Bearer {token}")]
