# SPDX-License-Identifier: Apache-2.0
"""Content codings as clients undo them: by Debian's command line tools, and in pieces by the libraries' own decoders."""

import ctypes
import subprocess
import zlib

CODINGS = ("gzip", "br", "zstd")
TOOLS = {"gzip": ["gzip", "-dc"], "br": ["brotli", "-dc"], "zstd": ["zstd", "-dcq"]}


def undo(coding, data):
    """The plain bytes, by the tool; it complains of anything that is cut short or follows behind."""
    done = subprocess.run(TOOLS[coding], input=data, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


class Decoder:
    """What can be read of a stream as far as it has come: feed(data) -> the bytes that are readable now."""

    def __init__(self, coding):
        self.feed = {"gzip": self._gzip, "br": self._br, "zstd": self._zstd}[coding]
        self.zlib = zlib.decompressobj(31)
        self.state = None

    def _gzip(self, data):
        return self.zlib.decompress(data)

    def _br(self, data):
        library = ctypes.CDLL("libbrotlidec.so.1")
        library.BrotliDecoderCreateInstance.restype = ctypes.c_void_p
        self.state = self.state or library.BrotliDecoderCreateInstance(None, None, None)
        given = ctypes.create_string_buffer(data, len(data))
        given_len, given_at = ctypes.c_size_t(len(data)), ctypes.c_void_p(ctypes.addressof(given))
        out, result = b"", 3
        while result == 3:  # needs more room
            room = ctypes.create_string_buffer(65536)
            room_len, room_at = ctypes.c_size_t(65536), ctypes.c_void_p(ctypes.addressof(room))
            result = library.BrotliDecoderDecompressStream(
                ctypes.c_void_p(self.state), ctypes.byref(given_len), ctypes.byref(given_at), ctypes.byref(room_len),
                ctypes.byref(room_at), None)
            assert result, "the stream is broken"
            out += room.raw[: 65536 - room_len.value]
        return out

    def _zstd(self, data):
        class Buffer(ctypes.Structure):
            _fields_ = [("at", ctypes.c_void_p), ("size", ctypes.c_size_t), ("pos", ctypes.c_size_t)]

        library = ctypes.CDLL("libzstd.so.1")
        library.ZSTD_createDStream.restype = ctypes.c_void_p
        library.ZSTD_decompressStream.restype = ctypes.c_size_t
        self.state = self.state or library.ZSTD_createDStream()
        given = ctypes.create_string_buffer(data, len(data))
        source, out = Buffer(ctypes.addressof(given), len(data), 0), b""
        while True:
            room = ctypes.create_string_buffer(65536)
            target = Buffer(ctypes.addressof(room), 65536, 0)
            left = library.ZSTD_decompressStream(ctypes.c_void_p(self.state), ctypes.byref(target), ctypes.byref(source))
            assert not library.ZSTD_isError(ctypes.c_size_t(left)), "the stream is broken"
            out += room.raw[: target.pos]
            if source.pos == source.size and target.pos < target.size:
                return out
