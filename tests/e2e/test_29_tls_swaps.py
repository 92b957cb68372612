# SPDX-License-Identifier: Apache-2.0
"""Certificates change under load, and no request is lost; TLS over a unix socket."""

import re
import subprocess

import pytest

from lib.pki import Authority
from lib.tls import Secure
from lib.wait import SLOW

SWAPS = 100 if SLOW == 1 else 20


@pytest.fixture
def ca(home):
    return Authority(home)


def start_load(port, requests):
    return subprocess.Popen(
        ["h2load", "-n", str(requests), "-c", "4", "-m", "8", f"https://127.0.0.1:{port}/"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.long
def test_certificates_are_swapped_and_reloaded_under_load(gateway, origin, ca):
    gw = gateway(origin, run=False, workers=2)
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": {"acme": {
        "email": "ops@example.com", "domains": ["a.example.com"], "directory": "https://127.0.0.1:1/"}}}])
    gw.start()
    leaves = [ca.leaf("a.example.com") for _ in range(4)]
    rounds = 0
    load = start_load(gw.port, 6000)
    for i in range(SWAPS):
        leaf = leaves[i % len(leaves)]
        if load.poll() is not None:
            assert_all_came(load, 6000)
            rounds += 1
            load = start_load(gw.port, 6000)
        reply = gw.admin("PUT", "/api/v1/certificates/a", {"certificate": leaf.chain, "key": leaf.key_text})
        assert reply.status == 200, reply
        with Secure(gw.port, "a.example.com", ca=ca) as client:
            assert client.serial == leaf.serial
        if i % 10 == 0:
            gw.reload()
    assert_all_came(load, 6000)


def assert_all_came(load, requests):
    text, _ = load.communicate(timeout=120 * SLOW)
    found = re.search(r"requests: \d+ total, \d+ started, \d+ done, (\d+) succeeded, (\d+) failed, (\d+) errored", text)
    assert found and found.groups() == (str(requests), "0", "0"), text


def test_a_unix_socket_speaks_tls(gateway, origin, ca, home):
    leaf = ca.leaf("a.example.com")
    gw = gateway(origin, run=False)
    path = f"{home}/s.sock"
    gw.change(listeners=[{"bind": f"unix:{path}", "tls": {"certificates": [leaf.pair]}}])
    gw.start()
    done = subprocess.run(
        ["curl", "-sS", "--cacert", ca.file, "--unix-socket", path, "-o", "/dev/null", "-w", "%{http_code}",
         "https://a.example.com/"], capture_output=True, text=True, timeout=20 * SLOW)
    assert done.stdout == "200", done
