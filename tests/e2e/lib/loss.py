# SPDX-License-Identifier: Apache-2.0
"""A network that loses packets.

    with lossy_network() as lose:      # this thread, and what it starts from now on, in a network namespace of its own
        loss = lose(5)                 # every twentieth TCP packet; lose(5, [7001]): of those from and to these ports
        loss.packets()                 # lost so far

They are lost where they come in: whoever sent one believes that it is on its way.
"""

import contextlib
import ctypes
import os
import re
import shutil
import subprocess

import pytest

_CLONE_NEWNET = 0x40000000
_RULES = """
table inet loss {
    chain in {
        type filter hook input priority 0;
        %s
    }
}
"""


class Loss:
    def __init__(self, percent, ports):
        ways = ["meta l4proto tcp"]
        if ports:
            ways = [f"tcp {end} {{ {', '.join(map(str, ports))} }}" for end in ("sport", "dport")]
        rules = _RULES % "\n".join(f"{way} numgen random mod 100 < {percent} counter drop;" for way in ways)
        done = subprocess.run(["nft", "-f", "-"], input=rules, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"nft does not take the rules: {done.stderr.strip()[:200]}")

    def packets(self):
        listed = subprocess.run(["nft", "list", "table", "inet", "loss"], capture_output=True, text=True, check=True)
        return sum(int(n) for n in re.findall(r"counter packets (\d+)", listed.stdout))


@contextlib.contextmanager
def lossy_network():
    for tool in ("ip", "nft"):
        if not shutil.which(tool):
            pytest.skip(f"{tool} is not installed")
    libc = ctypes.CDLL(None, use_errno=True)
    own = os.open("/proc/self/ns/net", os.O_RDONLY)
    if libc.unshare(_CLONE_NEWNET):
        os.close(own)
        pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
    try:
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        yield lambda percent, ports=(): Loss(percent, ports)
    finally:
        libc.setns(own, _CLONE_NEWNET)
        os.close(own)
