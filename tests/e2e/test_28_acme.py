# SPDX-License-Identifier: Apache-2.0
"""ACME end to end: the real gateway, its control process and pebble; what requests feel of it, which is nothing."""

import os
import signal
import threading
import time

import pytest

from lib.ca import Ca
from lib.tls import Secure
from lib.wait import DEADLINE, until

LONG = 4 * DEADLINE


@pytest.fixture
def site(gateway, origin, home, ports):
    """site({acme}, **config): a gateway with a plain and a TLS listener, and the CA that looks at them."""
    made = []

    def start(acme=None, listener=None, **options):
        gw = gateway(origin, run=False, **options)
        gw.tls_port = ports.take()
        folder = os.path.join(home, f"ca{len(made)}")
        os.makedirs(folder)
        gw.ca = Ca(folder, ports, gw.port, gw.tls_port)
        made.append(gw.ca)
        tls = {"acme": {"email": "ops@example.com", "domains": ["a.test"], "directory": gw.ca.directory,
                        "ca": gw.ca.root, **(acme or {})}}
        gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", **(listener or {})},
                             {"bind": f"127.0.0.1:{gw.tls_port}", "tls": tls}])
        return gw.start()

    yield start
    for ca in made:
        ca.close()


def issuer(gw, name="a.test"):
    with Secure(gw.tls_port, name) as client:
        return client.certificate.issuer.rfc4514_string()


def serial(gw, name="a.test"):
    with Secure(gw.tls_port, name) as client:
        return client.serial


def is_issued(gw, name="a.test"):
    try:
        return "Pebble" in issuer(gw, name)
    except OSError:
        return False


def wait_issued(gw, name="a.test"):
    try:
        until(lambda: is_issued(gw, name), f"a certificate for {name}", LONG)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{gw.stderr()[-4000:]}") from None
    return serial(gw, name)


def controls(gw):
    return [pid for pid, line in gw.members() if " control " in line]


def renew(gw, name="a.test"):
    done = gw.cli("cert", "renew", name)
    assert done.code == 0, done


class Traffic:
    """Requests over TLS and plain, without end, until the block does; none may fail."""

    def __init__(self, gw):
        self.gw, self.errors, self.count = gw, [], 0
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self):
        while not self.is_over.is_set():
            try:
                with Secure(self.gw.tls_port, "a.test") as client:
                    assert client.get("/").status == 200
                assert self.gw.get("/").status == 200
                self.count += 1
            except (OSError, AssertionError) as error:
                self.errors.append(repr(error))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        if not _[0]:
            assert not self.errors, self.errors[:3]
            assert self.count


# -- orders


@pytest.mark.parametrize("challenge", ["http-01", "tls-alpn-01"])
def test_a_certificate_comes_by_itself(site, challenge):
    gw = site({"challenge": challenge})
    assert serial(gw)  # one of its own serves until then
    wait_issued(gw)
    with Secure(gw.tls_port, "a.test") as client:
        assert client.get("/").status == 200
    assert gw.ca.orders == 1
    listed = gw.cli("cert")
    assert listed.code == 0 and "a.test" in listed.out and "Pebble" in listed.out
    until(lambda: gw.cli("cert", "--json").json()["acme"]["sets"][0]["state"] == "good", "the state")


def test_several_names(site):
    gw = site({"domains": ["b.test", "a.test"]})
    assert wait_issued(gw, "a.test") == wait_issued(gw, "b.test")
    assert gw.ca.orders == 1


def test_a_listener_that_redirects_answers_the_ca(site):
    gw = site({"challenge": "http-01"}, listener={"redirect_https": True})
    wait_issued(gw)
    assert gw.get("/").status in (301, 308)


def test_a_second_edge_gets_the_same_certificate(site, gateway, origin, ports):
    token = "edge-token-0123456789"
    other = gateway(origin, run=False, admin={"tokens": [{"name": "control", "token": token, "can": ["deploy"]}]},
                    role="edge")
    other.tls_port = ports.take()
    other.change(listeners=[{"bind": f"127.0.0.1:{other.tls_port}", "tls": {"acme": {
        "email": "ops@example.com", "domains": ["a.test"]}}}])
    other.start()
    gw = site(control={"edges": [
        {"name": "other", "url": f"http://127.0.0.1:{other.admin_port}", "token": token}]})
    assert wait_issued(gw) == wait_issued(other)
    assert gw.ca.orders == 1
    until(lambda: not controls(other), "no control process for an edge alone")


# -- what requests feel


def test_a_renewal_by_the_cas_window_under_load(site):
    gw = site()
    old = wait_issued(gw)
    first = []

    def windows(identity):
        first[:] = first or [identity]
        now = time.time()
        return (now - 3600, now - 1800) if identity == first[0] else (now + 86400, now + 2 * 86400)

    gw.ca.windows = windows
    with Traffic(gw):
        for pid in controls(gw):  # the window is asked for at the start
            os.kill(pid, signal.SIGKILL)
        until(lambda: serial(gw) != old, "the new certificate", LONG)
    assert gw.ca.orders == 2


def test_control_killed_in_mid_order_is_felt_by_nobody(site):
    gw = site()
    old = wait_issued(gw)
    killed = threading.Event()

    def hook(call):
        if "/finalize-order/" in call.path and not killed.is_set():
            killed.set()
            answer = gw.ca._forward(call)
            for pid in controls(gw):
                os.kill(pid, signal.SIGKILL)
            return answer
        return None

    gw.ca.hooks.append(hook)
    with Traffic(gw):
        renew(gw)
        until(lambda: serial(gw) != old, "the new certificate", LONG)
    assert killed.is_set()
    assert gw.ca.orders == 2


def test_an_edge_that_is_killed_serves_the_certificate_again(site):
    gw = site()
    old = wait_issued(gw)
    control, edge = controls(gw), gw.edge
    os.kill(edge, signal.SIGKILL)
    until(lambda: gw.is_ready() and gw.edges() and gw.edges() != [edge], "another edge", LONG)
    assert wait_issued(gw) == old
    assert controls(gw) == control
    assert gw.ca.orders == 1


def test_an_outage_of_the_ca_is_felt_by_nobody(site):
    gw = site()
    old = wait_issued(gw)
    gw.ca.shut()
    with Traffic(gw):
        renew(gw)
        until(lambda: "cannot be reached" in gw.cli("cert").out, "the error", LONG)
        gw.ca.open()
        renew(gw)
        until(lambda: serial(gw) != old, "the new certificate", LONG)


def test_upgrade_replaces_control_and_keeps_the_certificate(site):
    gw = site()
    old = wait_issued(gw)
    before, edge = controls(gw), gw.edge
    done = gw.cli("upgrade")
    assert done.code == 0, done
    until(lambda: controls(gw) and controls(gw) != before, "another control process", LONG)
    until(lambda: edge not in gw.edges(), "the old edge's end", LONG)
    assert len(controls(gw)) == 1
    assert wait_issued(gw) == old
    renew(gw)
    until(lambda: serial(gw) != old, "a renewal", LONG)


def test_reload_takes_a_new_domain(site):
    gw = site()
    wait_issued(gw)
    listeners = gw.config["listeners"]
    listeners[1]["tls"]["acme"]["domains"] = ["c.test"]
    gw.change(listeners=listeners)
    gw.reload()
    wait_issued(gw, "c.test")


def test_stop_is_quick_while_an_order_is_under_way(site):
    gw = site()
    wait_issued(gw)
    hold = threading.Event()
    gw.ca.hooks.append(lambda call: hold.wait(LONG) and None if "/order-plz" in call.path else None)
    renew(gw)
    until(lambda: gw.cli("cert", "--json").json()["acme"]["sets"][0]["state"] == "ordering", "an order")
    start = time.monotonic()
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    assert time.monotonic() - start < DEADLINE / 2
    hold.set()
