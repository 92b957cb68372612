# SPDX-License-Identifier: Apache-2.0
"""Rate limits shared through a cluster of Redis: each key at its master, and wherever it goes from there."""

import threading

import pytest

from lib.pki import Authority
from lib.redis_fleet import FLEET, Cluster, Table, short, slots
from lib.shared_limits import Load, ask, degraded, reason, share, statuses, wait_up
from lib.wait import stays, until

ANSWER = b"*2\r\n:1\r\n:1000\r\n"


@pytest.fixture
def clusters(home, ports):
    made = []

    def make(**options):
        made.append(Cluster(home, ports, **options))
        return made[-1].start()

    yield make
    for cluster in made:
        cluster.kill()


@pytest.fixture
def tables(ports):
    made = []

    def make(**answers):
        made.append(Table(ports.take(), {key.replace("_", " "): value for key, value in answers.items()}))
        return made[-1]

    yield make
    for table in made:
        table.close()


def by_user(gateway, origin, url, **keys):
    return share(gateway, origin, url, by="header:X-User", **keys)


def as_user(user):
    return [("X-User", user)]


def users_of(gw, cluster):
    """One user for each of the three masters, who has asked once; and the key of each: (user, key) by node."""
    found = {}
    for i in range(60):
        before = cluster.keys()
        assert ask(gw, headers=as_user(f"u{i}")).status == 200
        fresh = {key: node for key, node in cluster.keys().items() if key not in before}
        assert len(fresh) == 1
        for key, node in fresh.items():
            found.setdefault(node, (f"u{i}", key))
        if len(found) == 3:
            return found
    raise AssertionError("all keys are at the same nodes")


def test_keys_at_all_nodes(origin, gateway, clusters):
    cluster = clusters()
    gateways = [by_user(gateway, origin, cluster.url) for _ in range(2)]
    said = gateways[0].status()["rate_limits"]
    assert said["shared"] == "up" and said["redis"]["mode"] == "cluster" and len(said["redis"]["endpoints"]) == 3
    for user, _ in users_of(gateways[0], cluster).values():
        passed = [s for gw in gateways for s in statuses(gw, 53, headers=as_user(user))]
        assert passed.count(200) == 99 and set(passed) == {200, 429}


def test_one_seed_and_passwords(origin, gateway, clusters):
    cluster = clusters(password="s3cret")
    url = f"redis+cluster://:s3cret@127.0.0.1:1,127.0.0.1:{cluster.nodes[2].port}"
    gw = by_user(gateway, origin, url)
    assert len(users_of(gw, cluster)) == 3
    wrong = by_user(gateway, origin, url.replace("s3cret", "wrong"), up=False)
    until(lambda: "WRONGPASS" in wrong.stderr(), "what is wrong")
    assert statuses(wrong, 2) == [200] * 2 and degraded(wrong) == 1


def test_what_redis_6_has_is_enough(origin, gateway, clusters):
    cluster = clusters()
    for node in cluster.nodes:
        commands = ["+auth", "+cluster|slots", "+script|load", "+evalsha", "+time", "+get", "+set", "+asking"]
        assert node.ask("ACL", "SETUSER", "edge", "on", ">s3cret", "~sl:*", "-@all", *commands) == b"+OK\r\n"
    gw = by_user(gateway, origin, cluster.url.replace("//", "//edge:s3cret@"))
    assert len(users_of(gw, cluster)) == 3


def test_over_tls(origin, gateway, home, ports):
    """Nodes say TLS ports of theirs, and each is checked."""
    roots = Authority(home)
    cluster = Cluster(home, ports, tls=roots)
    try:
        cluster.start()
        url = cluster.url
        gateways = [by_user(gateway, origin, url, tls={"ca": str(roots.file)}) for _ in range(2)]
        for user, _ in users_of(gateways[0], cluster).values():
            passed = [s for gw in gateways for s in statuses(gw, 53, headers=as_user(user))]
            assert passed.count(200) == 99
        other = Authority(home, name="Other Root")
        wrong = by_user(gateway, origin, url, up=False, tls={"ca": str(other.file)})
        until(lambda: "self-signed certificate in certificate chain" in reason(wrong), "what is wrong")
        assert statuses(wrong, 2) == [200] * 2
    finally:
        cluster.kill()


def test_a_slot_moves(origin, gateway, clusters):
    """While it is on its way (ASK) and when it has come (MOVED) the same count goes on."""
    cluster = clusters()
    gateways = [by_user(gateway, origin, cluster.url) for _ in range(2)]
    users = users_of(gateways[0], cluster)
    source, target = cluster.nodes[0], cluster.nodes[1]
    user, key = users[source]
    slot = int(source.ask("CLUSTER", "KEYSLOT", key)[1:])
    load = Load(gateways, headers=as_user(user))
    for _ in range(30):
        load.ask()
    assert target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", cluster.id(source)) == b"+OK\r\n"
    assert source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", cluster.id(target)) == b"+OK\r\n"
    for _ in range(20):
        load.ask()  # it is still there
    assert source.ask("MIGRATE", "127.0.0.1", target.port, key, 0, 5000) == b"+OK\r\n"
    for _ in range(20):
        load.ask()  # the source sends them on, each time
    assert source.ask("GET", key).startswith(b"-ASK")
    for node in (target, source, cluster.nodes[2]):
        assert node.ask("CLUSTER", "SETSLOT", slot, "NODE", cluster.id(target)) == b"+OK\r\n"
    for _ in range(40):
        load.ask()
    load.check()
    assert load.statuses == [200] * 99 + [429] * 11
    assert [degraded(gw) for gw in gateways] == [0, 0]
    assert key in target.keys() and key not in source.keys()


def test_one_node_is_killed(origin, gateway, clusters):
    """Its keys alone are each gateway's own from then on."""
    cluster = clusters()
    gateways = [by_user(gateway, origin, cluster.url) for _ in range(2)]
    users = users_of(gateways[0], cluster)
    dead, alive = cluster.nodes[0], cluster.nodes[1]
    dead.kill()
    loads = {node: Load(gateways, headers=as_user(users[node][0])) for node in (dead, alive)}
    for _ in range(230):
        for load in loads.values():
            load.ask()
    for load in loads.values():
        load.check()
    assert loads[alive].statuses.count(200) == 99
    assert 100 <= loads[dead].statuses.count(200) <= 200
    for gw in gateways:
        gw.wait_metric("sluice_rate_limit_degraded", 1)
        assert f"127.0.0.1:{dead.port}: " in reason(gw)


def test_open_for_the_keys_of_a_dead_node_alone(origin, gateway, clusters):
    cluster = clusters()
    gw = by_user(gateway, origin, cluster.url, rate="3/h", on_store_down="open")
    users = users_of(gw, cluster)
    cluster.nodes[0].kill()
    gw.wait_metric("sluice_rate_limit_degraded", 1)
    assert statuses(gw, 6, headers=as_user(users[cluster.nodes[0]][0])) == [200] * 6
    assert statuses(gw, 6, headers=as_user(users[cluster.nodes[1]][0])) == [200] * 2 + [429] * 4


def test_closed_for_the_keys_of_a_dead_node_alone(origin, gateway, clusters):
    cluster = clusters()
    gw = by_user(gateway, origin, cluster.url, on_store_down="closed")
    users = users_of(gw, cluster)
    cluster.nodes[0].kill()
    gw.wait_metric("sluice_rate_limit_degraded", 1)
    assert statuses(gw, 3, headers=as_user(users[cluster.nodes[0]][0])) == [503] * 3
    assert statuses(gw, 3, headers=as_user(users[cluster.nodes[1]][0])) == [200] * 3


def test_one_node_is_stopped(origin, gateway, clusters):
    """It takes bytes and says nothing: the others' keys do not wait for it."""
    cluster = clusters()
    gateways = [by_user(gateway, origin, cluster.url, store_wait="50ms") for _ in range(2)]
    users = users_of(gateways[0], cluster)
    still, alive = cluster.nodes[0], cluster.nodes[1]
    still.pause()
    try:
        loads = {node: Load(gateways, headers=as_user(users[node][0])) for node in (still, alive)}
        for _ in range(220):
            for load in loads.values():
                load.ask()
        for load in loads.values():
            load.check()
        assert set(loads[still].statuses) == {200, 429}
        assert 99 <= loads[alive].statuses.count(200) <= 110
    finally:
        still.go_on()


def test_a_replica_takes_over(origin, gateway, clusters):
    cluster = clusters(replica=True)
    gateways = [by_user(gateway, origin, cluster.url) for _ in range(2)]
    master = cluster.nodes[0]
    user, key = users_of(gateways[0], cluster)[master]
    load = Load(gateways, headers=as_user(user))
    for _ in range(40):
        load.ask()
    until(lambda: key in cluster.replica.keys(), "that the replica has it, too")
    master.kill()
    load.until(lambda: degraded(gateways[0]) == 1, "that it is missed", FLEET)
    load.until(lambda: b"role:master" in cluster.replica.ask("INFO", "replication"), "a new master", FLEET)
    for gw in gateways:
        load.until(lambda gw=gw: degraded(gw) == 0, "the new map", FLEET)
    for _ in range(180):
        load.ask()
    load.check()
    assert 99 <= load.statuses.count(200) <= 200
    fresh = [s for gw in gateways for s in statuses(gw, 52, headers=as_user(f"{user}x"))]
    assert fresh.count(200) == 100  # whoever has that key


def test_one_that_is_late_sends_on_and_leaves(origin, gateway, tables):
    """Its last slots move while a request waits: nobody asks it again, and nothing is late any more."""
    new = tables(EVALSHA=ANSWER)
    has_moved = threading.Event()

    def send_on(_words):
        threading.Event().wait(0.3)  # for longer than the request
        has_moved.set()
        return b"-MOVED 1 127.0.0.1:%d\r\n" % new.port

    old = tables(EVALSHA=send_on)
    new.answers["CLUSTER SLOTS"] = old.answers["CLUSTER SLOTS"] = lambda _words: (
        slots((0, 16383, new.port)) if has_moved.is_set() else slots((0, 0, new.port), (1, 16383, old.port)))
    gw = by_user(gateway, origin, f"redis+cluster://127.0.0.1:{new.port}", store_wait="50ms")
    assert ask(gw, headers=as_user("a")).status == 200
    until(lambda: new.count("EVALSHA") == 1, "the call that was sent on")
    until(lambda: degraded(gw) == 0 and not reason(gw), "that all is well")
    stays(lambda: degraded(gw) == 0, "all well")


def test_not_a_cluster(origin, gateway, tables):
    table = tables(CLUSTER_SLOTS=b"-ERR This instance has cluster support disabled\r\n", EVALSHA=ANSWER)
    gw = share(gateway, origin, f"redis+cluster://127.0.0.1:{table.port}", up=False)
    until(lambda: "cluster support disabled" in reason(gw), "what is wrong")
    assert statuses(gw, 2) == [200] * 2
    gw.change(redis={"url": f"redis://127.0.0.1:{table.port}"})
    gw.reload()
    wait_up(gw)


NODE = b"*3\r\n$9\r\n127.0.0.1\r\n:1\r\n$2\r\nid\r\n"


@pytest.mark.parametrize("answer", [
    b"*0\r\n", b"+OK\r\n", b":1\r\n", b"$-1\r\n", b"*-1\r\n", b"*1\r\n*0\r\n", b"*1\r\n*2\r\n:0\r\n:1\r\n",
    b"*1\r\n*3\r\n:0\r\n:16384\r\n" + NODE, b"*1\r\n*3\r\n:-1\r\n:5\r\n" + NODE, b"*1\r\n*3\r\n:6\r\n:5\r\n" + NODE,
    b"*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n:1\r\n:1\r\n", b"*1\r\n*3\r\n:0\r\n:5\r\n*2\r\n$1\r\nh\r\n:65536\r\n",
    b"*1000000000\r\n", b"*60000\r\n" + b"*0\r\n" * 60000, b"$99999999999\r\nx", b"hello\r\n", b"x" * 100000,
    b"*1\r\n" * 20, b"*1\r\n*3\r\n:0\r\n:16383\r\n*3\r\n$1\r\n?\r\n:1\r\n$2\r\nid\r\n", None,
], ids=short)
def test_malformed_maps(origin, gateway, tables, answer):
    """Each is refused, with a reason, and the next is asked."""
    bad = tables(CLUSTER_SLOTS=answer)
    good = tables(CLUSTER_SLOTS=lambda words: slots((0, 16383, good.port)), EVALSHA=ANSWER)
    gw = share(gateway, origin, f"redis+cluster://127.0.0.1:{bad.port}", up=False)
    until(lambda: f"127.0.0.1:{bad.port}: " in reason(gw), "a reason")
    assert statuses(gw, 3) == [200] * 3
    gw.change(redis={"url": f"redis+cluster://127.0.0.1:{bad.port},127.0.0.1:{good.port}"})
    gw.reload()
    wait_up(gw)
    assert statuses(gw, 2) == [200] * 2 and good.count("EVALSHA") == 2


@pytest.mark.parametrize("error", [
    b"-MOVED\r\n", b"-MOVED 1\r\n", b"-MOVED x 127.0.0.1:1\r\n", b"-MOVED 99999 127.0.0.1:1\r\n", b"-MOVED 1 127.0.0.1\r\n",
    b"-MOVED 1 127.0.0.1:0\r\n", b"-MOVED 1 127.0.0.1:99999\r\n", b"-MOVED 1 ?:1\r\n", b"-MOVED 1 127.0.0.1:1\r\n",
    b"-MOVED 1 :1\r\n", b"-MOVED 1 no-such-host.invalid:1\r\n", b"-MOVED 1 " + b"h" * 400 + b":1\r\n",
    b"-ASK 1\r\n", b"-ASK 1 127.0.0.1:1\r\n", b"-ASK 1 127.0.0.1:99999\r\n", b"-TRYAGAIN\r\n",
    b"-CLUSTERDOWN Hash slot not served\r\n", b"-NOSCRIPT no\r\n", b"-READONLY no\r\n", b"-LOADING yes\r\n",
], ids=short)
def test_malformed_hints(origin, gateway, tables, error):
    """They fail the call, and the gateway's own count decides."""
    table = tables(CLUSTER_SLOTS=lambda words: slots((0, 16383, table.port)), EVALSHA=error)
    gw = share(gateway, origin, f"redis+cluster://127.0.0.1:{table.port}")
    load = Load([gw])
    for _ in range(8):
        load.ask()
    load.check()
    assert set(load.statuses) == {200}
    assert table.count("EVALSHA") >= 1


@pytest.mark.parametrize("word", ["MOVED", "ASK"])
def test_endless_hints(origin, gateway, tables, word):
    """Two nodes send on to each other: a call goes only so far."""
    def to(other):
        return lambda words: f"-{word} 5 127.0.0.1:{other().port}\r\n".encode()

    one = tables(CLUSTER_SLOTS=lambda words: slots((0, 8000, one.port), (8001, 16383, two.port)),
                 EVALSHA=to(lambda: two))
    two = tables(CLUSTER_SLOTS=lambda words: slots((0, 8000, one.port), (8001, 16383, two.port)),
                 EVALSHA=to(lambda: one))
    gw = share(gateway, origin, f"redis+cluster://127.0.0.1:{one.port}")
    load = Load([gw])
    for _ in range(10):
        load.ask()
    load.check()
    assert set(load.statuses) == {200}
    assert one.count("EVALSHA") + two.count("EVALSHA") <= 40
    assert one.count("ASKING") + two.count("ASKING") == (30 if word == "ASK" else 0)


def test_maps_are_not_asked_for_too_often(origin, gateway, tables):
    """Each call is sent on, and says that the map is old."""
    table = tables(CLUSTER_SLOTS=lambda words: slots((0, 16383, table.port)), EVALSHA=b"-MOVED 7 127.0.0.1:1\r\n")
    gw = share(gateway, origin, f"redis+cluster://127.0.0.1:{table.port}")
    begun = table.count("CLUSTER")
    load = Load([gw])
    stays(lambda: load.ask(), "answers", 1.0)
    load.check()
    assert table.count("CLUSTER") - begun <= 8


def test_slots_that_nobody_serves(origin, gateway, tables):
    table = tables(CLUSTER_SLOTS=lambda words: slots((0, 5, table.port)), EVALSHA=ANSWER)
    gw = share(gateway, origin, f"redis+cluster://127.0.0.1:{table.port}", up=False)
    until(lambda: "does not serve all slots" in reason(gw), "what is wrong")
    assert statuses(gw, 3) == [200] * 3
    assert degraded(gw) == 1
