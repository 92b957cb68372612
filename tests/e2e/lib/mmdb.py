# SPDX-License-Identifier: Apache-2.0
"""Writes MaxMind DB files (maxmind.github.io/MaxMind-DB, version 2.0), for tests that need small ones.

    write(path, {"192.0.2.0/24": country("DE"), "2001:db8::/32": country("FR")})

Networks hold one another as they may: the most specific one wins. IPv4 stands in a tree of IPv6, below ::/96.
"""

import ipaddress
import os
import struct

MARKER = b"\xab\xcd\xefMaxMind.com"


def country(code):
    return {"continent": {"code": "XX"}, "country": {"iso_code": code, "names": {"en": f"Land of {code}"}}}


def asn(number):
    return {"autonomous_system_number": number, "autonomous_system_organization": "Example"}


def _head(kind, size):
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = (kind if kind <= 7 else 0) << 5
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    return bytes([first | 30]) + extended + struct.pack(">H", size - 285)


def encode(value):
    if isinstance(value, dict):
        return _head(7, len(value)) + b"".join(encode(k) + encode(v) for k, v in value.items())
    if isinstance(value, list):
        return _head(11, len(value)) + b"".join(map(encode, value))
    if isinstance(value, str):
        return _head(2, len(value.encode())) + value.encode()
    digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return _head(6 if value < 1 << 32 else 9, len(digits)) + digits


def _small(number):
    """Of 16 bits, as the format wants some of its metadata."""
    digits = number.to_bytes((number.bit_length() + 7) // 8, "big")
    return _head(5, len(digits)) + digits


class _Tree:
    def __init__(self):
        self.nodes = [[None, None]]  # a node's number, ("data", offset), or None

    def insert(self, network, offset):
        bits = int(network.network_address)
        length = network.prefixlen + (96 if network.version == 4 else 0)
        node = 0
        for at in range(length - 1):
            record = self.nodes[node][bits >> (127 - at) & 1]
            if not isinstance(record, int):
                self.nodes.append([record, record])
                self.nodes[node][bits >> (127 - at) & 1] = len(self.nodes) - 1
            node = self.nodes[node][bits >> (127 - at) & 1]
        self.nodes[node][bits >> (128 - length) & 1] = ("data", offset)

    def bytes(self):
        count, out = len(self.nodes), []
        for node in self.nodes:
            for record in node:
                number = count if record is None else record if isinstance(record, int) else count + 16 + record[1]
                out.append(number.to_bytes(4, "big"))
        return b"".join(out)


def build(records, kind="Test"):
    """{network: what is known of it} as the bytes of a file."""
    tree, data, offsets = _Tree(), b"", {}
    for text in sorted(records, key=lambda text: ipaddress.ip_network(text).prefixlen):
        known = encode(records[text])
        if known not in offsets:
            offsets[known] = len(data)
            data += known
        tree.insert(ipaddress.ip_network(text), offsets[known])
    meta = {
        "node_count": encode(len(tree.nodes)), "record_size": _small(32), "ip_version": _small(6),
        "database_type": encode(kind), "languages": encode(["en"]), "binary_format_major_version": _small(2),
        "binary_format_minor_version": _small(0), "build_epoch": _head(9, 4) + struct.pack(">I", 1700000000),
        "description": encode({"en": "for tests"}),
    }
    tail = _head(7, len(meta)) + b"".join(encode(k) + v for k, v in meta.items())
    return tree.bytes() + bytes(16) + data + MARKER + tail


def write(path, records):
    """In one go, as one that is updated is put in place."""
    fresh = f"{path}.new"
    with open(fresh, "wb") as file:
        file.write(build(records))
    os.rename(fresh, path)
    return str(path)
