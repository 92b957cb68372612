# SPDX-License-Identifier: Apache-2.0
"""What comes to a TLS listener and is no TLS: it ends in an alert, is counted, and hurts nobody else."""

import os
import socket

import pytest

from lib.pki import Authority
from lib.tls import Secure
from lib.wait import DEADLINE


@pytest.fixture
def ca(home):
    return Authority(home)


@pytest.fixture
def secure(gateway, origin):
    def start(tls):
        gw = gateway(origin, run=False)
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": tls}])
        return gw.start()

    return start


BROKEN = {
    "no record": b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
    "an unknown kind of record": b"\x63\x03\x03\x00\x05hello",
    "a hello that is none": b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00",
    "a record over the size there may be": b"\x16\x03\x01\xff\xff" + b"\x01" * 2000,
}


@pytest.mark.parametrize("first", BROKEN.values(), ids=BROKEN)
def test_a_broken_handshake_ends_in_an_alert_and_is_counted(secure, ca, first):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair]})
    with socket.create_connection(("127.0.0.1", gw.port), DEADLINE) as client:
        client.sendall(first)
        answer = b"".join(iter(lambda: client.recv(4096), b""))
    assert not answer or answer[0] == 21, "an alert (RFC 8446 6) or nothing"
    gw.wait_metric("sluice_connections_aborted_total", 1, reason="tls_protocol_error")
    with Secure(gw.port, "a.example.com", ca=ca) as other:
        assert other.get("/x").status == 200


def test_a_broken_record_after_the_handshake_ends_in_an_alert_and_is_counted(secure, ca):
    gw = secure({"certificates": [ca.leaf("a.example.com").pair]})
    with Secure(gw.port, "a.example.com", ca=ca) as client:
        assert client.get("/x").status == 200
        raw = socket.socket(fileno=os.dup(client.sock.fileno()))
        raw.settimeout(DEADLINE)
        with raw:
            raw.sendall(b"\x17\x03\x03\x00\x20" + b"\x00" * 32)  # its tag does not fit (RFC 8446 5.2)
            answer = b"".join(iter(lambda: raw.recv(4096), b""))
    assert answer[:1] in (b"\x17", b"\x15"), "an alert, sealed in TLS 1.3"
    gw.wait_metric("sluice_connections_aborted_total", 1, reason="tls_protocol_error")
