# SPDX-License-Identifier: Apache-2.0
"""Rate limits shared through a Redis that is spoken to over TLS, and what is said when it cannot be."""

import socket
import threading
from pathlib import Path

import pytest

from lib.client import Client
from lib.gateway import run
from lib.pki import Authority
from lib.redis import Redis
from lib.redis_fleet import tls_options
from lib.shared_limits import at_once, degraded, reason, share, statuses
from lib.wait import until


@pytest.fixture
def roots(home):
    return Authority(home)


@pytest.fixture
def serve(home, ports, roots):
    """A Redis over TLS: with .url, and its plain port for the test itself."""
    made = []

    def make(*names, clients="no"):
        port = ports.take()
        redis = Redis(home, ports.take(), options=tls_options(port, roots.leaf(*names).pair, roots.file, clients))
        redis.tls_port = port
        redis.tls_url = f"rediss://127.0.0.1:{port}"
        made.append(redis.start())
        return redis

    yield make
    for redis in made:
        redis.kill()


def test_two_share_over_tls(origin, gateway, serve, roots):
    redis = serve("127.0.0.1")
    gateways = [share(gateway, origin, redis.tls_url, tls={"ca": str(roots.file)}) for _ in range(2)]
    replies = at_once(gateways, 105)
    assert (replies.count(200), replies.count(429)) == (100, 5)
    assert len(redis.keys()) == 1
    said = gateways[0].status()["rate_limits"]
    assert said["redis"] == {"mode": "single", "endpoints": [f"127.0.0.1:{redis.tls_port}"], "tls": True}


def test_name_and_sni(origin, gateway, serve, roots):
    redis = serve("cache.example.com")
    wrong = share(gateway, origin, redis.tls_url, up=False, tls={"ca": str(roots.file)})
    until(lambda: "IP address mismatch" in reason(wrong), "what is wrong")
    assert statuses(wrong, 3) == [200] * 3
    right = share(gateway, origin, redis.tls_url, tls={"ca": str(roots.file), "name": "cache.example.com"})
    assert statuses(right, 1) == [200]
    unchecked = share(gateway, origin, redis.tls_url, tls={"verify": False})
    assert statuses(unchecked, 1) == [200]
    assert len(redis.keys()) == 1


def test_roots_that_did_not_sign_it(origin, gateway, serve, home):
    redis = serve("127.0.0.1")
    other = Authority(home, name="Other Root")
    gw = share(gateway, origin, redis.tls_url, up=False, tls={"ca": str(other.file)})
    until(lambda: "self-signed certificate in certificate chain" in reason(gw), "what is wrong")
    assert at_once([gw], 105).count(200) == 100
    assert degraded(gw) == 1
    assert "self-signed certificate in certificate chain" in gw.stderr()
    with Client(f"unix:{gw.state}/admin.sock") as client:
        client.request("GET", "/api/v1/events", host="localhost")
        client.until(b"\r\n\r\n", "the head of the events")
        redis.kill()
        client.until(b"connection refused", "the event of another reason")


def test_certificates_of_its_own(origin, gateway, serve, roots):
    redis = serve("127.0.0.1", clients="yes")
    own = roots.leaf("gateway", client=True)
    without = share(gateway, origin, redis.tls_url, up=False, tls={"ca": str(roots.file)})
    until(lambda: "certificate required" in reason(without), "what is wrong")
    assert statuses(without, 2) == [200] * 2
    with_one = share(gateway, origin, redis.tls_url, tls={"ca": str(roots.file), **own.pair})
    assert statuses(with_one, 2) == [200] * 2
    assert len(redis.keys()) == 1


def test_tls_to_one_that_speaks_none(origin, gateway, serve, roots):
    redis = serve("127.0.0.1")
    gw = share(gateway, origin, f"rediss://127.0.0.1:{redis.port}", up=False, tls={"ca": str(roots.file)})
    until(lambda: reason(gw).startswith(f"127.0.0.1:{redis.port}: "), "a reason")
    assert statuses(gw, 3) == [200] * 3
    plain = share(gateway, origin, f"redis://127.0.0.1:{redis.tls_port}", up=False)
    until(lambda: reason(plain).startswith(f"127.0.0.1:{redis.tls_port}: "), "a reason")
    assert statuses(plain, 3) == [200] * 3


def test_a_handshake_that_never_ends(origin, gateway, ports, roots):
    listener = socket.create_server(("127.0.0.1", ports.take()))
    port = listener.getsockname()[1]
    gw = share(gateway, origin, f"rediss://127.0.0.1:{port}", up=False, tls={"ca": str(roots.file)})
    assert statuses(gw, 10) == [200] * 10
    until(lambda: "it does not answer" in reason(gw), "that it gives up")
    listener.close()


def test_it_comes_back(origin, gateway, serve, roots):
    redis = serve("127.0.0.1")
    gw = share(gateway, origin, redis.tls_url, tls={"ca": str(roots.file)})
    assert statuses(gw, 5) == [200] * 5
    redis.kill()
    gw.wait_metric("sluice_rate_limit_degraded", 1)
    assert statuses(gw, 5) == [200] * 5
    redis.start()
    gw.wait_metric("sluice_rate_limit_degraded", 0)
    assert statuses(gw, 5) == [200] * 5
    assert len(redis.keys()) == 1


def test_records_in_pieces(origin, gateway, ports, serve, roots):
    """Between the two is one that passes few bytes on at a time."""
    redis = serve("127.0.0.1")
    listener = socket.create_server(("127.0.0.1", ports.take()))

    def pump(source, target):
        try:
            while data := source.recv(4096):
                for i in range(0, len(data), 7):
                    target.sendall(data[i:i + 7])
        except OSError:
            pass

    def accept():
        while True:
            try:
                near, _ = listener.accept()
            except OSError:
                return
            far = socket.create_connection(("127.0.0.1", redis.tls_port))
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=pump, args=(near, far), daemon=True).start()
            threading.Thread(target=pump, args=(far, near), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    gw = share(gateway, origin, f"rediss://127.0.0.1:{listener.getsockname()[1]}", tls={"ca": str(roots.file)})
    assert statuses(gw, 101) == [200] * 100 + [429]
    assert degraded(gw) == 0
    listener.close()


def test_other_roots_after_a_reload(origin, gateway, serve, roots, home):
    redis = serve("127.0.0.1")
    other = Authority(home, name="Other Root")
    gw = share(gateway, origin, redis.tls_url, up=False, tls={"ca": str(other.file)})
    until(lambda: "self-signed certificate in certificate chain" in reason(gw), "what is wrong")
    gw.change(redis={"url": redis.tls_url, "tls": {"ca": str(roots.file)}})
    gw.reload()
    until(lambda: gw.status()["rate_limits"]["shared"] == "up", "the shared limits")
    assert statuses(gw, 2) == [200] * 2 and len(redis.keys()) == 1


def test_files_that_are_not_there(home):
    file = Path(home) / "wrong.yaml"
    file.write_text("services: {app: {targets: ['127.0.0.1:3000']}}\n"
                    "redis:\n"
                    "  url: rediss://127.0.0.1\n"
                    "  tls: {ca: none.pem, cert: none.pem, key: none.key}\n")
    done = run("check", str(file))
    assert done.code == 2
    assert 'wrong.yaml:4:13: error: cannot read "none.pem"' in done.err
    assert 'wrong.yaml:4:29: error: cannot read "none.pem"' in done.err
