# SPDX-License-Identifier: Apache-2.0
"""Machines of a network of their own: network namespaces on two bridges, which stand in a namespace too, so that nothing
of this machine's own network is touched. `with space:` a thread is on that machine: so are the sockets it makes, and the
threads and processes it starts, for good."""

import ctypes
import os
import secrets
import subprocess
import threading

import pytest

FRONT, BACK = "10.77.1", "10.77.2"  # where clients and apps are; where control reaches edges
_NEWNET = 0x40000000
_thread = threading.local()


def _enter(space):
    """Takes the calling thread to an open namespace."""
    if ctypes.CDLL(None, use_errno=True).setns(space, _NEWNET):
        raise OSError(ctypes.get_errno(), "setns")
    os.close(space)


def _open(path):
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def _ip(*words):
    done = subprocess.run(["ip", *map(str, words)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"ip {' '.join(map(str, words))}: {done.stderr}"


def need_spaces():
    """Skips where namespaces cannot be made, and says why."""
    name = f"slt-{secrets.token_hex(4)}"
    try:
        done = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("ip is not there: ./dev soak installs iproute2")
    if done.returncode:
        subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        pytest.skip(f"network namespaces cannot be made (root and CAP_NET_ADMIN are needed): {done.stderr.strip()[:200]}")
    subprocess.run(["ip", "netns", "del", name], check=True)


class Space:
    """One machine: its address at the front, and, if it is there, at the back."""

    def __init__(self, network, name, number, has_front, has_back):
        self.network, self.name = network, f"{network.tag}-{name}"
        self.front, self.back = f"{FRONT}.{number}", f"{BACK}.{number}"
        self.ports = {"front": f"f{number}", "back": f"b{number}"}  # the bridges' ends
        _ip("netns", "add", self.name)
        network.spaces.append(self.name)
        _ip("-n", self.name, "link", "set", "lo", "up")
        for bridge, address, is_there in (("front", self.front, has_front), ("back", self.back, has_back)):
            if is_there:
                self._plug(bridge, address)

    def _plug(self, bridge, address):
        port = self.ports[bridge]
        _ip("-n", self.name, "link", "add", bridge, "type", "veth", "peer", "name", port, "netns", self.network.switch)
        _ip("-n", self.network.switch, "link", "set", port, "master", bridge, "up")
        _ip("-n", self.name, "address", "add", f"{address}/24", "dev", bridge)
        _ip("-n", self.name, "link", "set", bridge, "up")

    def also(self, address):
        """Another address at the front."""
        _ip("-n", self.name, "address", "add", f"{address}/24", "dev", "front")

    def __enter__(self):
        if not hasattr(_thread, "before"):
            _thread.before = []
        _thread.before.append(_open("/proc/thread-self/ns/net"))
        _enter(_open(f"/run/netns/{self.name}"))
        return self

    def __exit__(self, *_):
        _enter(_thread.before.pop())

    # -- cuts of the way at the back: nothing is refused or reset, packets vanish

    def unplug(self):
        """The bridge's end of its cable goes down."""
        _ip("-n", self.network.switch, "link", "set", self.ports["back"], "down")

    def plug(self):
        _ip("-n", self.network.switch, "link", "set", self.ports["back"], "up")

    def drop(self):
        """The bridge throws away what comes from it and what goes to it; the cable is in place."""
        port = self.ports["back"]
        self.network.rules(f"add table bridge {port}; add chain bridge {port} forward {{ type filter hook forward priority 0; }};"
                           f"add rule bridge {port} forward iifname {port} counter drop;"
                           f"add rule bridge {port} forward oifname {port} counter drop")

    def pass_on(self):
        self.network.rules(f"delete table bridge {self.ports['back']}")


class Network:
    def __init__(self):
        self.tag, self.spaces = f"sl-{secrets.token_hex(3)}", []
        self.switch = f"{self.tag}-switch"
        try:
            _ip("netns", "add", self.switch)
            self.spaces.append(self.switch)
            for bridge in ("front", "back"):
                _ip("-n", self.switch, "link", "add", bridge, "type", "bridge")
                _ip("-n", self.switch, "link", "set", bridge, "up")
        except BaseException:
            self.close()
            raise

    def add(self, name, number, front=True, back=True):
        return Space(self, name, number, front, back)

    def rules(self, text):
        done = subprocess.run(["ip", "netns", "exec", self.switch, "nft", "-f", "-"], input=text, capture_output=True, text=True,
                              check=False)
        assert done.returncode == 0, f"nft {text}: {done.stderr}"

    def close(self):
        """Whatever runs there ends with it."""
        for name in reversed(self.spaces):
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True, check=False).stdout.split()
            for pid in pids:
                if int(pid) != os.getpid():
                    _kill(int(pid))
            subprocess.run(["ip", "netns", "del", name], capture_output=True, check=False)
        self.spaces.clear()


def _kill(pid):
    try:
        os.kill(pid, 9)
    except ProcessLookupError:
        pass
