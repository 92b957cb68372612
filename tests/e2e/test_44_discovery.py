# SPDX-License-Identifier: Apache-2.0
"""Targets found by DNS: they come, change and stay when the name servers do not. Files are in test_45_discovery_file.py."""

import signal
import threading
from collections import Counter

import pytest

from lib.client import Client
from lib.dns import DnsServer
from lib.load import Load
from lib.wait import QUIET, SLOW, Stopwatch, stays, until

NAME = "app.internal"
PATIENT = 40 * SLOW  # a name server that says nothing is given up after several tries


@pytest.fixture
def dns():
    with DnsServer() as server:
        yield server
    assert not server.errors


def app(port=None, **more):
    """A service that asks often, and takes turns."""
    discover = {"dns": NAME, "type": "A", "ttl_min": "100ms", **more}
    if port:
        discover["port"] = port
    return {"balance": "round_robin", "discover": discover}


def siblings(origins, ports, hosts):
    """Origins on one port of several addresses, which answer with their address."""
    port = ports.take()
    made = {host: origins(host=host, port=port) for host in hosts}
    for host, origin in made.items():
        origin.answers(f"HTTP/1.1 200 OK\r\nContent-Length: {len(host)}\r\n\r\n{host}")
    return port, made


def tally(gw, count):
    return Counter(gw.get().text for _ in range(count))


def discover_of(gw, service="app"):
    return next(s for s in gw.status()["services"] if s["name"] == service)["discover"]


def wait_ids(gw, *ids):
    until(lambda: set(gw.targets()) == set(ids), f"targets {ids}; there are {list(gw.targets())[:5]}")


def wait_problem(gw, problem=True):
    return until(lambda: bool(discover_of(gw).get("problem")) == problem and discover_of(gw), "(no) problem", PATIENT)


# -- what there is


def test_addresses_of_a_name(origins, ports, gateway, dns):
    port, _ = siblings(origins, ports, ["127.0.0.2", "127.0.0.3", "127.0.0.4"])
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.3", "127.0.0.4"], ttl=60)
    gw = gateway(services={"app": app(port)}, resolvers=[dns.address])
    assert tally(gw, 30) == {"127.0.0.2": 10, "127.0.0.3": 10, "127.0.0.4": 10}
    targets = gw.targets()
    assert set(targets) == {f"127.0.0.{n}:{port}" for n in (2, 3, 4)}
    assert {t["source"] for t in targets.values()} == {"discovered"}
    found = discover_of(gw)
    assert (found["source"], found["count"]) == (f"dns {NAME} A", 3) and "problem" not in found
    assert found["changed_ago_s"] >= 0


def test_addresses_of_version_6(origins, gateway, dns):
    origin = origins(host="::1")
    dns.set(NAME, "AAAA", ["::1"], ttl=60)
    gw = gateway(services={"app": app(origin.port, type="AAAA")}, resolvers=[dns.address])
    assert gw.get().text == "ok"
    assert set(gw.targets()) == {f"[::1]:{origin.port}"}


def test_both_versions_and_targets_of_the_file(origins, ports, gateway, dns):
    four, six, fixed = origins(), None, origins()
    six = origins(host="::1", port=four.port)
    dns.set(NAME, "A", ["127.0.0.1"], ttl=60)
    dns.set(NAME, "AAAA", ["::1"], ttl=60)
    service = {**app(four.port, type="both"), "targets": [fixed.address]}
    gw = gateway(services={"app": service}, resolvers=[dns.address])
    wait_ids(gw, f"127.0.0.1:{four.port}", f"[::1]:{four.port}", fixed.address)
    before = len(fixed.requests)
    for _ in range(9):
        assert gw.get().status == 200
    assert len(four.requests) and len(six.requests) and len(fixed.requests) > before
    assert gw.targets()[fixed.address]["source"] == "file"


def test_services_with_ports_and_priorities(origins, gateway, dns):
    near, same, far = origins(), origins(), origins()
    dns.set(NAME, "SRV", [(10, 3, near.port, "a.internal"), (10, 0, same.port, "b.internal"),
                          (70, 1, far.port, "a.internal"), (70, 1, far.port, "c.internal")], ttl=60)
    dns.set("a.internal", "A", ["127.0.0.1"], ttl=60)
    dns.set("b.internal", "A", ["127.0.0.1"], ttl=60)
    dns.set("c.internal", "A", ["127.0.0.8", "127.0.0.9"], ttl=60)
    gw = gateway(services={"app": app(type="SRV")}, resolvers=[dns.address])
    for _ in range(8):
        assert gw.get().status == 200
    assert (len(near.requests), len(same.requests), len(far.requests)) == (6, 2, 0)
    targets = gw.targets()
    assert set(targets) == {f"a.internal:{near.port}", f"b.internal:{same.port}", f"a.internal:{far.port}",
                            f"c.internal:{far.port}@127.0.0.8", f"c.internal:{far.port}@127.0.0.9"}
    assert targets[f"a.internal:{near.port}"]["address"] == near.address
    assert {t.get("priority", 0) for i, t in targets.items() if str(far.port) in i} == {1}


def test_regions_of_machines(gateway, dns, ports):
    dns.set(NAME, "AAAA", ["fdaa::1", "fdaa::2", "fdaa::3"], ttl=60)
    dns.set("vms.app.internal", "TXT", ["148e21 iad,3d8dd9 fra", "unknown ams"])
    dns.set("148e21.vm.app.internal", "AAAA", ["fdaa::1"])
    dns.set("3d8dd9.vm.app.internal", "AAAA", ["fdaa::2"])
    gw = gateway(services={"app": app(3000, type="AAAA")}, resolvers=[dns.address], region="fra")

    def regions():
        return {i: t.get("region") for i, t in gw.targets().items()}

    expected = {"[fdaa::1]:3000": "iad", "[fdaa::2]:3000": "fra", "[fdaa::3]:3000": None}
    until(lambda: regions() == expected, f"regions: {regions()}")


# -- time


def test_a_ttl_is_honoured(origins, gateway, dns):
    origin = origins()
    dns.set(NAME, "A", ["127.0.0.1"], ttl=60)
    gw = gateway(services={"app": app(origin.port)}, resolvers=[dns.address])
    assert gw.get().text == "ok"
    stays(lambda: dns.count(NAME) == 1, "one question", 3 * QUIET)
    gw.change(services={"app": {"discover": {"ttl_max": "200ms"}}})
    gw.reload()
    dns.wait_asked(NAME, times=4)
    assert gw.get().text == "ok"


def test_addresses_come_and_go_under_load(origins, ports, gateway, dns):
    port, made = siblings(origins, ports, [f"127.0.0.{n}" for n in range(2, 6)])
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=0)
    gw = gateway(services={"app": app(port)}, resolvers=[dns.address])
    assert gw.get().status == 200
    wait_ids(gw, f"127.0.0.2:{port}", f"127.0.0.3:{port}")
    with Load(gw) as load:
        load.grow()
        for now in ([2, 3, 4], [3, 4], [4, 5], [2, 3, 4, 5], [2]):
            dns.set(NAME, "A", [f"127.0.0.{n}" for n in now], ttl=0)
            wait_ids(gw, *[f"127.0.0.{n}:{port}" for n in now])
            load.grow()
    load.check(150)
    assert all(origin.requests for origin in made.values())


def test_targets_that_stay_keep_what_is_known_of_them(origins, ports, gateway, dns):
    port, made = siblings(origins, ports, ["127.0.0.2", "127.0.0.3"])
    dns.set(NAME, "A", ["127.0.0.2"], ttl=0)
    gw = gateway(services={"app": app(port)}, resolvers=[dns.address])
    client = gw.connect()
    assert client.get().text == "127.0.0.2"
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=0)
    wait_ids(gw, f"127.0.0.2:{port}", f"127.0.0.3:{port}")
    assert {client.get().text for _ in range(4)} == {"127.0.0.2", "127.0.0.3"}
    assert len(made["127.0.0.2"].connections) == 1
    assert gw.metric("sluice_upstream_requests_total", target=f"127.0.0.2:{port}") == 3


# -- name servers that fail


@pytest.mark.parametrize("how", ["SERVFAIL", "REFUSED", "NXDOMAIN", "garbage", "drop", "empty"])
def test_what_was_found_stays(origins, gateway, dns, how):
    origin = origins()
    dns.set(NAME, "A", ["127.0.0.1"], ttl=0)
    gw = gateway(services={"app": app(origin.port)}, resolvers=[dns.address])
    assert gw.get().text == "ok"
    with Client(f"unix:{gw.state}/admin.sock") as events:
        events.request("GET", "/api/v1/events", host="localhost")
        events.until(b": follow", "the beginning")
        if how == "empty":
            dns.set(NAME, "A", [], ttl=0)
        else:
            dns.fail(NAME, how)
        events.until(b"event: discover", "an event", PATIENT)
        data = events.until(b"\n\n", "its data").decode()
        assert '"service":"app"' in data and '"count":1' in data and '"problem":"' in data
    found = wait_problem(gw)
    assert found["count"] == 1
    assert gw.get().text == "ok"
    gw.reload()
    assert gw.get().text == "ok"
    dns.set(NAME, "A", ["127.0.0.1"], ttl=0)
    wait_problem(gw, False)


def test_a_restart_with_dead_name_servers_serves(origins, ports, gateway, dns):
    port, _ = siblings(origins, ports, ["127.0.0.2", "127.0.0.3"])
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.3"], ttl=60)
    gw = gateway(services={"app": app(port)}, resolvers=[dns.address])
    assert gw.get().status == 200
    until(lambda: (gw.state / "discovered.json").exists(), "the list is kept")
    dns.fail(NAME, "drop")
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    gw.start()
    assert tally(gw, 4) == {"127.0.0.2": 2, "127.0.0.3": 2}
    assert (gw.state / "discovered.json").stat().st_mode & 0o777 == 0o600
    before = gw.edge
    gw.signal(signal.SIGUSR2)
    until(lambda: gw.edges() and before not in gw.edges(), "another edge alone", PATIENT)
    assert tally(gw, 4) == {"127.0.0.2": 2, "127.0.0.3": 2}
    wait_problem(gw)
    dns.set(NAME, "A", ["127.0.0.3"], ttl=60)
    wait_ids(gw, f"127.0.0.3:{port}")


def test_a_damaged_list_is_no_obstacle(origins, gateway, dns):
    origin = origins()
    dns.set(NAME, "A", ["127.0.0.1"], ttl=60)
    gw = gateway(services={"app": app(origin.port)}, resolvers=[dns.address], run=False)
    gw.state.mkdir()
    (gw.state / "discovered.json").write_text('{"version": 1, "sources": [{"dns": "app.internal", "targets": ["x"]}]}')
    gw.start()
    assert gw.get().text == "ok"
    assert "discovered.json is damaged" in gw.stderr()


# -- the beginning


def test_requests_wait_for_the_first_targets(origins, gateway, dns):
    origin = origins()
    dns.fail(NAME, "SERVFAIL")
    service = {**app(origin.port), "health": {"interval": "1s"}}
    gw = gateway(services={"app": service}, resolvers=[dns.address])
    clients = [gw.connect().request() for _ in range(5)]
    dns.wait_asked(NAME)
    stays(lambda: origin.untouched, "nobody is served")
    dns.set(NAME, "A", ["127.0.0.1"], ttl=60)
    assert {client.reply().text for client in clients} == {"ok"}


def test_they_do_not_wait_for_ever(gateway, dns):
    gw = gateway(services={"app": app(3000)}, resolvers=[dns.address])
    with Stopwatch() as watch:
        reply = gw.get(timeout=30 * SLOW)
    assert (reply.status, reply.reason) == (503, "destination_unavailable")
    assert 2 < watch.seconds < 12 * SLOW
    assert gw.get().status == 503
    assert discover_of(gw)["count"] == 0 and discover_of(gw)["problem"]


# -- many


def test_four_thousand_addresses(origins, ports, gateway, dns):
    origin = origins(host="0.0.0.0", port=ports.take())
    many = [f"127.{a}.{b}.1" for a in range(1, 41) for b in range(100)]
    dns.set(NAME, "A", many, ttl=0)
    gw = gateway(services={"app": app(origin.port)}, resolvers=[dns.address])
    assert gw.get().text == "ok"
    until(lambda: discover_of(gw)["count"] == 4000, "all of them", PATIENT)
    until(lambda: len(gw.targets()) == 4000, "all of them serve", PATIENT)
    with Load(gw) as load:
        load.grow()
        dns.set(NAME, "A", many[:3999], ttl=0)
        until(lambda: len(gw.targets()) == 3999, "one less", PATIENT)
        load.grow()
    load.check()


# -- together with the API


def test_the_api_removes_and_drains(origins, ports, gateway, dns):
    port, _ = siblings(origins, ports, ["127.0.0.2", "127.0.0.3", "127.0.0.4"])
    ids = {n: f"127.0.0.{n}:{port}" for n in (2, 3, 4)}
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.3", "127.0.0.4"], ttl=0)
    gw = gateway(services={"app": app(port)}, resolvers=[dns.address])
    assert gw.get().status == 200
    wait_ids(gw, *ids.values())
    assert gw.admin("DELETE", f"/api/v1/services/app/targets/{ids[2]}").status == 200
    assert gw.admin("POST", f"/api/v1/services/app/targets/{ids[3]}/drain").status == 200

    def is_as_changed():
        targets = gw.targets()
        return set(targets) == {ids[3], ids[4]} and targets[ids[3]]["drained"] and tally(gw, 4) == {"127.0.0.4": 4}

    assert is_as_changed()
    gw.reload()
    assert is_as_changed()
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.4"], ttl=0)
    wait_ids(gw, ids[4])
    dns.set(NAME, "A", ["127.0.0.2", "127.0.0.3", "127.0.0.4"], ttl=0)
    wait_ids(gw, ids[3], ids[4])
    assert is_as_changed()
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    gw.start()
    assert is_as_changed()
    # Added as it was found, it is back, and goes when its address does.
    assert gw.admin("POST", "/api/v1/services/app/targets", {"address": ids[2]}).status == 201
    assert gw.targets()[ids[2]]["source"] == "discovered"
    assert gw.admin("POST", f"/api/v1/services/app/targets/{ids[3]}/enable").status == 200
    assert len(tally(gw, 6)) == 3
    assert gw.admin("DELETE", "/api/v1/services/app/targets/127.0.0.9:1").status == 404


def test_one_that_is_added_wins(origins, gateway, dns):
    found, added = origins(), origins()
    target = f"127.0.0.1:{found.port}"
    dns.set(NAME, "A", ["127.0.0.1"], ttl=60)
    gw = gateway(services={"app": app(found.port)}, resolvers=[dns.address])
    assert gw.get().text == "ok"
    reply = gw.admin("POST", "/api/v1/services/app/targets", {"id": target, "address": added.address})
    assert reply.status == 201, reply
    before = len(found.requests)
    assert gw.targets()[target]["source"] == "api" and len(gw.targets()) == 1
    assert gw.get().text == "ok"
    assert len(found.requests) == before and len(added.requests) == 1


# -- reload


def test_a_reload_keeps_watches(origins, gateway, dns):
    origin = origins()
    dns.set(NAME, "A", ["127.0.0.1"], ttl=60)
    gw = gateway(services={"app": app(origin.port), "twin": app(origin.port)}, resolvers=[dns.address],
                 routes=[{"service": "app"}])
    assert gw.get().text == "ok"
    assert dns.count(NAME) == 1
    gw.write({**gw.config, "services": {"other": app(origin.port)}, "routes": [{"service": "other"}]})
    gw.reload()
    assert gw.get().text == "ok"
    assert dns.count(NAME) == 1
    dns.set("second.internal", "A", ["127.0.0.1"], ttl=60)
    gw.write({**gw.config, "services": {"other": app(origin.port, dns="second.internal")}})
    gw.reload()
    assert gw.get().text == "ok"
    assert discover_of(gw, "other")["source"] == "dns second.internal A"


def test_other_name_servers(origins, gateway, dns):
    first, second = origins(), origins()
    with DnsServer() as other:
        dns.set(NAME, "SRV", [(1, 1, first.port, "a.internal")], ttl=60)
        other.set(NAME, "SRV", [(1, 1, second.port, "a.internal")], ttl=60)
        dns.set("a.internal", "A", ["127.0.0.1"], ttl=60)
        other.set("a.internal", "A", ["127.0.0.1"], ttl=60)
        gw = gateway(services={"app": app(type="SRV")}, resolvers=[dns.address])
        assert gw.get().text == "ok" and len(first.requests) == 1
        with Load(gw) as load:
            load.grow()
            gw.change(resolvers=[other.address])
            gw.reload()
            wait_ids(gw, f"a.internal:{second.port}")
            load.grow()
        load.check()
        assert second.requests


def test_a_lookup_under_way_ends_with_the_edge(gateway, dns):
    dns.fail(NAME, "drop")
    gw = gateway(services={"app": app(3000)}, resolvers=[dns.address])
    until(lambda: dns.count(NAME), "a question")
    waiting = threading.Thread(target=gw.stop)
    waiting.start()
    waiting.join(20 * SLOW)
    assert not waiting.is_alive()
