# SPDX-License-Identifier: Apache-2.0
"""Targets that are written with a host name: they are followed when the name moves, the system's way."""

import subprocess

import pytest

from lib.load import Load
from lib.wait import DEADLINE, until

NAME = "moved.test"


@pytest.fixture
def hosts(tmp_path):
    """A file that the gateway alone sees as /etc/hosts; needs the right to mount."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no right to mount")
    return tmp_path / "hosts"


def write(file, address):
    file.write_text(f"127.0.0.1 localhost\n{address} {NAME}\n")  # in place: it is mounted


def wrap(file):
    return ("unshare", "-m", "sh", "-c", f'mount --bind {file} /etc/hosts && exec "$@"', "sh")


def test_a_name_that_moves_is_followed(origins, ports, gateway, hosts):
    port = ports.take()
    made = {host: origins(host=host, port=port) for host in ("127.0.0.2", "127.0.0.3")}
    for host, origin in made.items():
        origin.answers(f"HTTP/1.1 200 OK\r\nContent-Length: {len(host)}\r\n\r\n{host}")
    write(hosts, "127.0.0.2")
    service = {"targets": [f"{NAME}:{port}"], "health": {"interval": "1s", "fast_interval": "1s"}}
    gw = gateway(services={"app": service}, wrap=wrap(hosts))
    assert gw.get().text == "127.0.0.2"
    write(hosts, "127.0.0.3")
    made["127.0.0.2"].close()  # the check cannot connect: the name is looked up again
    until(lambda: gw.get().text == "127.0.0.3", "the other address", 2 * DEADLINE)
    assert list(gw.targets()) == [f"{NAME}:{port}"]
    before = gw.generation
    with Load(gw) as load:
        load.grow()
    load.check()
    assert gw.generation == before
