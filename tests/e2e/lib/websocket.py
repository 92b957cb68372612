# SPDX-License-Identifier: Apache-2.0
"""Just enough of WebSocket (RFC 6455) for an echo at either end, over whatever gives `exactly` and a way to send."""

import base64
import hashlib
import os
import struct

TEXT, BINARY, CLOSE = 1, 2, 8
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


def new_key():
    return base64.b64encode(os.urandom(16)).decode()


def accept_of(key):
    return base64.b64encode(hashlib.sha1((key + _GUID).encode()).digest()).decode()


def message(kind, data, is_masked=False):
    """One whole message as bytes; clients mask."""
    size, mask = len(data), 0x80 if is_masked else 0
    head = bytes([0x80 | kind])
    if size < 126:
        head += bytes([mask | size])
    elif size < 1 << 16:
        head += bytes([mask | 126]) + struct.pack(">H", size)
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", size)
    if not is_masked:
        return head + data
    key = os.urandom(4)
    return head + key + _masked(data, key)


def _masked(data, key):
    whole = (key * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(whole, "big")).to_bytes(len(data), "big")


def read(exactly):
    """The next message: (kind, data, whether it was masked)."""
    first, second = exactly(2)
    size = second & 0x7F
    if size == 126:
        size = struct.unpack(">H", exactly(2))[0]
    elif size == 127:
        size = struct.unpack(">Q", exactly(8))[0]
    if not second & 0x80:
        return first & 0xF, exactly(size) if size else b"", False
    key = exactly(4)
    return first & 0xF, _masked(exactly(size), key) if size else b"", True


def echo(exactly, send):
    """A server: gives back each message until the client closes."""
    while True:
        kind, data, is_masked = read(exactly)
        assert is_masked, "a client must mask (RFC 6455 5.1)"
        send(message(kind, data))
        if kind == CLOSE:
            return
