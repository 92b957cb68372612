# SPDX-License-Identifier: Apache-2.0
"""Certificates for tests: an authority, and leaves of either key type, valid or not, as files in PEM."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0)


def new_key(kind="ec"):
    """A private key: ec (P-256), ec384, rsa (2,048 bits), ed25519."""
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP384R1() if kind == "ec384" else ec.SECP256R1())


def key_pem(key):
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def cert_pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def _name(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _general(name):
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _hash(key):
    return None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()


class Leaf:
    """A certificate with its key: .chain and .key_text in PEM; .cert and .key, the paths of files that hold them."""

    def __init__(self, certificate, key, issuers, folder, stem):
        self.x509, self.private = certificate, key
        self.chain = "".join(cert_pem(c) for c in (certificate, *issuers))
        self.key_text = key_pem(key)
        self.cert, self.key = Path(folder) / f"{stem}.pem", Path(folder) / f"{stem}.key"
        self.write(self.cert, self.key)

    def write(self, cert, key):
        """Puts the pair into these files; each is replaced at once."""
        for path, text in ((Path(cert), self.chain), (Path(key), self.key_text)):
            fresh = path.with_name(path.name + ".new")
            fresh.write_text(text)
            fresh.rename(path)
        return self

    @property
    def pair(self):
        """As a listener's `certificates` wants it."""
        return {"cert": str(self.cert), "key": str(self.key)}

    @property
    def fingerprint(self):
        return self.x509.fingerprint(hashes.SHA256()).hex()

    @property
    def serial(self):
        return self.x509.serial_number


class Authority:
    """A root in `folder`; .file is its certificate. With `parent` an intermediate, whose chain leaves carry."""

    def __init__(self, folder, name="Test Root", kind="ec", parent=None):
        self.folder = Path(folder)
        self.name, self.parent = name, parent
        self.key = new_key(kind)
        self.count = 0
        issuer = parent or self
        builder = self._builder(_name(name), _name(issuer.name), self.key.public_key(), now() - DAY, now() + 3650 * DAY)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        builder = builder.add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        self.x509 = builder.sign(issuer.key, _hash(issuer.key))
        self.pem = cert_pem(self.x509)
        self.file = self.folder / f"{name.lower().replace(' ', '-')}.pem"
        self.file.write_text(self.pem)

    @staticmethod
    def _builder(subject, issuer, public, begin, end):
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(begin.replace(tzinfo=None))
            .not_valid_after(end.replace(tzinfo=None))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        )

    @property
    def chain(self):
        return [] if self.parent is None else [self.x509, *self.parent.chain]

    def leaf(self, *names, kind="ec", days=90, begin_days=-1, common_name=None, client=False, key=None, san=True):
        """A leaf for DNS names and addresses, valid from `begin_days` until `days` from now."""
        self.count += 1
        key = key or new_key(kind)
        subject = _name(common_name or (names[0] if names else "nobody"))
        begin, end = now() + begin_days * DAY, now() + days * DAY
        builder = self._builder(subject, _name(self.name), key.public_key(), begin, end)
        if names and san:
            builder = builder.add_extension(x509.SubjectAlternativeName([_general(n) for n in names]), critical=False)
        usage = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        certificate = builder.sign(self.key, _hash(self.key))
        stem = f"{self.file.stem}-{self.count}"
        return Leaf(certificate, key, self.chain, self.folder, stem)


def _usage(**on):
    off = dict.fromkeys(
        ("digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
         "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(**{**off, **on})
