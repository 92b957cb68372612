# SPDX-License-Identifier: Apache-2.0
"""Control over TLS: as a client of an edge's admin port, and alone, with an admin port of its own."""

import json
import os
import signal
import socket
import stat

import pytest

from lib.client import Client
from lib.gateway import run
from lib.pki import Authority
from lib.wait import DEADLINE, until
from test_74_deploy import HEALTH, QUICK, WAIT
from test_78_admin_tls import DEPLOY, OPERATE, TOKENS, VIEW, Secure, serial, url


@pytest.fixture
def authority(home):
    return Authority(home)


class Fleet:
    """An edge with TLS, and control alone somewhere else, also with TLS."""

    def __init__(self, gateway, authority, origins, ca=None):
        self.stable = origins()
        self.stable.on("/")(lambda conn, request: conn.respond(200, b"stable"))
        self.authority = authority
        services = {"shop": {"targets": [self.stable.address], "health": HEALTH, "assign": {"by": "cookie"}, "deploy": QUICK}}
        self.leaf = authority.leaf("127.0.0.1")
        self.edge = gateway(role="edge", services=services, admin={"tls": self.leaf.pair, "tokens": TOKENS})
        self.control = gateway(run=False)
        self.own = authority.leaf("127.0.0.1")
        self.control.write({**self.control.base(), "role": "control", "services": services,
                            "admin": {"bind": self.control.admin_host, "tls": self.own.pair, "tokens": TOKENS},
                            "control": {"edges": [{"name": "e1", "url": url(self.edge), "token": DEPLOY,
                                                   "ca": str(ca or authority.file)}]}})
        self.control.start()

    def ask(self, path, method="GET", token=VIEW):
        with Secure(self.control, self.authority) as client:
            return client.ask(path, method, token)

    def edges(self):
        return self.ask("/api/v1/edges").json()["edges"]


@pytest.fixture
def fleet(gateway, authority, origins):
    return lambda **options: Fleet(gateway, authority, origins, **options)


def test_control_reaches_an_edge_over_tls_and_deploys_to_it(fleet, origins, authority):
    f = fleet()
    until(lambda: [e["reachable"] for e in f.edges()] == [True], "the edge", 2 * DEADLINE, f.control.stderr)
    fresh = origins()
    fresh.on("/")(lambda conn, request: conn.respond(200, b"two"))
    done = run("deploy", "shop", "--release", "2", "--target", fresh.address, "--admin", url(f.control),
               "--ca", authority.file, "--token", DEPLOY, timeout=WAIT)
    assert done.code == 0, (done, f.control.stderr())
    assert {f.edge.get("/").text for _ in range(20)} == {"two"}


def test_an_edge_that_shows_what_is_not_trusted_gets_nothing(fleet, home):
    os.mkdir(f"{home}/other")
    f = fleet(ca=Authority(f"{home}/other", "Other Root").file)
    until(lambda: "certificate" in f.edges()[0].get("error", ""), "why it is not reached", 2 * DEADLINE)
    assert not f.edges()[0]["reachable"]
    config = json.loads(json.dumps(f.control.config))
    config["control"]["edges"][0]["ca"] = str(f.leaf.cert)  # that very certificate
    f.control.write(config)
    f.control.signal(signal.SIGHUP)
    until(lambda: f.edges()[0]["reachable"], "the edge", 4 * DEADLINE, f.control.stderr)


def test_control_alone_has_the_same_rules(fleet, authority):
    f = fleet()
    gw = f.control
    until(lambda: os.path.exists(gw.state / "admin.sock"), "its socket")
    assert f.ask("/healthz", token=None).text == "ok\n"
    assert f.ask("/readyz", token=None).text == "ready\n"
    for token, status in ((None, 401), ("wrong", 401), (VIEW, 403), (OPERATE, 403), (DEPLOY, 404)):
        assert f.ask("/api/v1/deploys/none/abort", "POST", token).status == status, token
    assert f.ask("/api/v1/control", token=None).status == 200  # loopback may read
    assert f.ask("/api/v1/status").status == 404
    with Secure(gw, authority) as client:
        client.host = "evil.example"
        assert client.ask("/api/v1/control").status == 421
    with Secure(gw, authority) as client:
        assert client.get("/api/v1/control", [("Origin", "https://evil.example")], gw.admin_host).status == 403
        told = [("Sluice-Actor", "socket"), ("Sluice-Rights", "15")]
        assert client.request("POST", "/api/v1/deploys/none/abort", told, b"", gw.admin_host).reply().status == 401
    assert stat.S_IMODE(os.stat(gw.state / "admin.sock").st_mode) == 0o600
    assert gw.admin("POST", "/api/v1/deploys/none/abort").status == 404
    with Client(("127.0.0.1", gw.admin_port)) as client:
        assert client.get("/api/v1/control", host=gw.admin_host).json()["reason"] == "tls_required"


def test_control_alone_follows_its_configuration(fleet, ports, authority):
    f = fleet()
    gw = f.control
    until(lambda: f.ask("/healthz").status == 200, "its port")
    config = json.loads(json.dumps(gw.config))
    old, gw.admin_port = gw.admin_port, ports.take()
    config["admin"] = {"bind": gw.admin_host, "tls": f.own.pair, "tokens": TOKENS[2:]}
    gw.write(config)
    gw.signal(signal.SIGHUP)

    def has_moved():
        try:
            return f.ask("/healthz", token=None).status == 200
        except OSError:
            return False

    until(has_moved, "the new port", 2 * DEADLINE, gw.stderr)
    assert f.ask("/api/v1/control", token=VIEW).status == 401
    assert f.ask("/api/v1/control", token=DEPLOY).status == 200
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", old), DEADLINE)
    fresh = authority.leaf("127.0.0.1").write(f.own.cert, f.own.key)
    until(lambda: serial(gw) == fresh.chain, "the new certificate", 2 * DEADLINE, gw.stderr)
