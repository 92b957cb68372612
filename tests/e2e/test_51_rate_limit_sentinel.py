# SPDX-License-Identifier: Apache-2.0
"""Rate limits shared through a Redis that sentinels watch: they say who is the master, and follow when it changes."""

import pytest

from lib.pki import Authority
from lib.redis import Redis
from lib.redis_fleet import FLEET, Table, TlsTable, Watched, short, tls_options
from lib.shared_limits import Load, at_once, degraded, reason, share, statuses, wait_up
from lib.wait import until

MASTER = b"*2\r\n$9\r\n127.0.0.1\r\n$5\r\n%d\r\n"
NAME = "SENTINEL get-master-addr-by-name"


@pytest.fixture
def watch(home, ports):
    made = []

    def make(**options):
        made.append(Watched(home, ports, **options))
        return made[-1].start()

    yield make
    for watched in made:
        watched.kill()


@pytest.fixture
def redis(home, ports):
    server = Redis(home, ports.take()).start()
    yield server
    server.kill()


@pytest.fixture
def tables(ports):
    made = []

    def make(**answers):
        made.append(Table(ports.take(), {key.replace("_", " "): value for key, value in answers.items()}))
        return made[-1]

    yield make
    for table in made:
        table.close()


def test_a_failover(origin, gateway, watch):
    """The master is killed while requests come: never a 5xx, nobody waits, at most twice the limit in all."""
    watched = watch()
    gateways = [share(gateway, origin, watched.url) for _ in range(2)]
    said = gateways[0].status()["rate_limits"]["redis"]
    assert said["mode"] == "sentinel" and said["master"] == "shop" and len(said["endpoints"]) == 3
    load = Load(gateways)
    for _ in range(60):
        load.ask()
    assert set(load.statuses) == {200}
    watched.redises[0].kill()
    load.until(lambda: degraded(gateways[0]) == 1, "that it is missed", FLEET)
    load.until(lambda: watched.sentinels[0].master() == watched.redises[1].port, "a failover", FLEET)
    for gw in gateways:
        load.until(lambda gw=gw: degraded(gw) == 0, "the new master", FLEET)
    for _ in range(150):
        load.ask()
    load.check()
    assert 100 <= load.statuses.count(200) <= 200
    assert load.statuses[-20:] == [429] * 20
    load.until(watched.redises[1].keys, "what is given out again is asked of the new one", FLEET)
    source = "127.0.0.2"
    assert [s for gw in gateways for s in statuses(gw, 51, source=source)].count(200) == 100  # shared again


def test_a_switch_while_the_old_one_lives(origin, gateway, watch):
    watched = watch()
    gateways = [share(gateway, origin, watched.url) for _ in range(2)]
    load = Load(gateways)
    for _ in range(20):
        load.ask()
    assert watched.sentinels[0].ask("SENTINEL", "FAILOVER", "shop") == b"+OK\r\n"
    load.until(lambda: all(s.master() == watched.redises[1].port for s in watched.sentinels), "a failover", FLEET)
    load.until(lambda: not any(degraded(gw) for gw in gateways) and watched.redises[1].keys(), "the new one", FLEET)
    for _ in range(220):
        load.ask()
    load.check()
    assert 100 <= load.statuses.count(200) <= 200


def test_passwords(origin, gateway, watch):
    watched = watch(password="m@ster", sentinel_password="w@tch")
    url = watched.url.replace("m@ster", "m%40ster")
    gateways = [share(gateway, origin, url, sentinel={"password": "w@tch"}) for _ in range(2)]
    assert at_once(gateways, 105).count(200) == 100
    wrong = share(gateway, origin, url, up=False, sentinel={"password": "none"})
    until(lambda: "WRONGPASS" in reason(wrong), "what is wrong")
    without = share(gateway, origin, url, up=False)
    until(lambda: "NOAUTH" in reason(without), "what is wrong")
    assert statuses(wrong, 2) + statuses(without, 2) == [200] * 4
    until(lambda: "WRONGPASS" in wrong.stderr(), "the same in the log, once all have been asked")
    assert "m%40ster" not in wrong.stderr()


def test_over_tls(origin, gateway, home, ports):
    """Sentinels and master are checked; the master takes TLS alone, under the port that they name."""
    roots = Authority(home)
    port, plain = ports.take(), ports.take()
    master = Redis(home, plain, options=tls_options(port, roots.leaf("127.0.0.1").pair, roots.file)).start()
    table = TlsTable(ports.take(), {NAME: MASTER % port}, roots.leaf("127.0.0.1"))
    try:
        url = f"rediss+sentinel://127.0.0.1:{table.port}/shop"
        gateways = [share(gateway, origin, url, tls={"ca": str(roots.file)}) for _ in range(2)]
        assert at_once(gateways, 105).count(200) == 100 and len(master.keys()) == 1
        wrong = share(gateway, origin, url, up=False)
        until(lambda: "self-signed certificate in certificate chain" in reason(wrong)
              or "unable to get local issuer" in reason(wrong), "what is wrong")
        assert statuses(wrong, 2) == [200] * 2
    finally:
        table.close()
        master.kill()


def test_sentinels_that_are_gone(origin, gateway, watch):
    """The first in the list is gone at first, then all are: the master is known already."""
    watched = watch()
    watched.sentinels[0].kill()
    gw = share(gateway, origin, watched.url)
    assert statuses(gw, 5) == [200] * 5
    for sentinel in watched.sentinels:
        sentinel.kill()
    load = Load([gw])
    for _ in range(95):
        load.ask()
    assert load.statuses == [200] * 95 and degraded(gw) == 0
    assert statuses(gw, 1) == [429]


def test_a_name_that_they_do_not_know(origin, gateway, watch):
    watched = watch()
    gw = share(gateway, origin, watched.url.replace("/shop", "/other"), up=False)
    until(lambda: "it knows no master of that name" in reason(gw), "what is wrong")
    assert statuses(gw, 2) == [200] * 2
    gw.change(redis={"url": watched.url})
    gw.reload()
    wait_up(gw)


@pytest.mark.parametrize("answer", [
    b"*-1\r\n", b"$-1\r\n", b"+OK\r\n", b":1\r\n", b"*0\r\n", b"*1\r\n$1\r\nh\r\n", b"*2\r\n$1\r\nh\r\n$1\r\n0\r\n",
    b"*2\r\n$1\r\nh\r\n$5\r\n65536\r\n", b"*2\r\n$0\r\n\r\n$1\r\n1\r\n", b"*2\r\n:1\r\n:1\r\n", b"*2\r\n*0\r\n*0\r\n",
    b"-ERR unknown command\r\n", b"-MOVED 1 127.0.0.1:1\r\n", b"*1000000000\r\n", b"$99999999999\r\nx", b"hello\r\n",
    b"*2\r\n$300\r\n" + b"h" * 300 + b"\r\n$1\r\n1\r\n", b"x" * 100000, None,
], ids=short)
def test_malformed_sentinels(origin, gateway, tables, redis, answer):
    """Each is refused, with a reason, and the next is asked."""
    bad, good = tables(**{NAME: answer}), tables(**{NAME: MASTER % redis.port})
    gw = share(gateway, origin, f"redis+sentinel://127.0.0.1:{bad.port}/m", up=False)
    until(lambda: f"127.0.0.1:{bad.port}: " in reason(gw), "a reason")
    assert statuses(gw, 3) == [200] * 3
    assert redis.keys() == []
    gw.change(redis={"url": f"redis+sentinel://127.0.0.1:{bad.port},127.0.0.1:{good.port}/m"})
    gw.reload()
    wait_up(gw)
    assert statuses(gw, 2) == [200] * 2 and len(redis.keys()) == 1


@pytest.mark.parametrize("role", [b"*1\r\n$5\r\nslave\r\n", b"*0\r\n", b"+master\r\n", b"-NOPERM\r\n", b"*1000000000\r\n"])
def test_one_that_is_no_master(origin, gateway, tables, redis, role):
    """An old sentinel names it: the next is asked."""
    false = tables(ROLE=role)
    old, new = tables(**{NAME: MASTER % false.port}), tables(**{NAME: MASTER % redis.port})
    gw = share(gateway, origin, f"redis+sentinel://127.0.0.1:{old.port}/m", up=False)
    until(lambda: f"127.0.0.1:{false.port}: " in reason(gw), "a reason")
    assert statuses(gw, 3) == [200] * 3
    assert false.count("EVALSHA") == 0
    if b"slave" in role:
        gw.change(redis={"url": f"redis+sentinel://127.0.0.1:{old.port},127.0.0.1:{new.port}/m"})
        gw.reload()
        wait_up(gw)
        assert statuses(gw, 2) == [200] * 2
