# SPDX-License-Identifier: Apache-2.0
"""A fleet has one set of API keys: control keeps it, all edges know it, an edge that was away gets it when it is back."""

import hashlib
import json
import os
import signal
import threading

import pytest

from lib.client import Client
from lib.fleet import WAIT, Fleet
from lib.wait import SLOW, Stopwatch, until

pytestmark = pytest.mark.long

KEYS = "/api/v1/keys"
GUARD = {"workers": 2, "filters": [{"api_key": {}}, {"rate_limit": "off"}]}


@pytest.fixture
def fleet(gateway, origins, home):
    made = []

    def make(**options):
        made.append(Fleet(gateway, origins, home, edge=GUARD, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


def door(edge, key):
    """What an edge answers to whoever has that key."""
    return edge.get("/", [("X-API-Key", key)]).status


def doors(fleet, key):
    return [door(edge, key) for edge in fleet.edges]


def add(control, consumer="ann", status=201, **more):
    reply = control.ask("POST", KEYS, {"consumer": consumer, **more})
    assert reply.status == status, reply
    return reply.json()


def listed(control):
    reply = control.ask("GET", KEYS)
    assert reply.status == 200, reply
    return {key["consumer"]: key for key in reply.json()["keys"]}


def ledger(control, action):
    entries = control.ask("GET", "/api/v1/ledger").json()["entries"]
    return [entry for entry in entries if entry["action"] == action]


def child_killed(control):
    control.kill_child()
    until(lambda: control.ask("GET", KEYS).status == 200, "control answers", WAIT)


# -- from its making to its end


def test_a_key_of_all_edges(fleet):
    f = fleet()
    made = add(f.control, tier="gold", expires_in="720h")
    assert set(made) == {"id", "key", "consumer"} and doors(f, made["key"]) == [200] * 3
    other = add(f.control, "bob")
    assert doors(f, other["key"]) == [200] * 3
    shown = listed(f.control)
    assert list(shown) == ["ann", "bob"] and shown["ann"]["tier"] == "gold" and shown["ann"]["source"] == "control"
    for edge in f.edges:
        keys = edge.admin("GET", KEYS).json()["keys"]
        assert [(key["id"], key["source"]) for key in keys] == [(made["id"], "control"), (other["id"], "control")]
        assert edge.admin("DELETE", f"{KEYS}/{made['id']}").json()["reason"] == "key_of_control"
    gone = f.control.ask("DELETE", f"{KEYS}/{made['id']}")
    assert (gone.status, gone.json()) == (200, {"id": made["id"]})
    assert doors(f, made["key"]) == [401] * 3 and doors(f, other["key"]) == [200] * 3
    for name in (made["id"], "x", "0" * 500, "%00"):
        assert f.control.ask("DELETE", f"{KEYS}/{name}").status in (400, 404), name
    told = ledger(f.control, "key.add") + ledger(f.control, "key.revoke")
    assert [(entry["actor"], entry["subject"]) for entry in told] == [
        ("socket", made["id"]), ("socket", other["id"]), ("socket", made["id"])]
    assert told[0]["after"]["consumer"] == "ann" and told[2]["before"]["tier"] == "gold" and told[2]["after"] is None
    secrets = [made["key"], hashlib.sha256(made["key"].encode()).hexdigest()]
    assert not any(secret in json.dumps([told, shown]) for secret in secrets)


def test_wrong_wishes(fleet):
    f = fleet(count=1)
    for body, status in [
        ("", 400), ("{", 400), ("[]", 422), ("{}", 422), ('{"consumer": "a b"}', 422), ('{"consumer": 1}', 422),
        ('{"consumer": "a", "tier": ""}', 422), ('{"consumer": "a", "expires_in": "soon"}', 422),
        ('{"consumer": "a", "key": "x"}', 422),
    ]:
        reply = f.control.ask("POST", KEYS, body)
        assert (reply.status, reply.json()["reason"]) == (status, "key_invalid"), (body, reply)
    assert listed(f.control) == {}


def test_the_command(fleet):
    f = fleet(count=2)
    made = f.control.cli("key", "add", "ann", "--tier", "gold")
    assert made.code == 0 and doors(f, made.out.strip()) == [200] * 2, made
    assert "gold" in f.control.cli("key", "list").out
    ident = listed(f.control)["ann"]["id"]
    f.cables[1].cut()
    gone = f.control.cli("key", "revoke", ident)
    assert gone.code == 4 and f'edge "e1" still lets key {ident} in' in gone.err and "sluice edge forget e1" in gone.err, gone
    assert doors(f, made.out.strip()) == [401, 200]
    again = f.control.cli("key", "revoke", ident)
    assert again.code == 1 and f'There is no key "{ident}".' in again.err, again


# -- edges that are away


def test_an_edge_that_was_cut_off_gets_it_when_it_is_back(fleet):
    f = fleet()
    f.cables[1].cut()
    made = add(f.control, status=202)
    assert [edge["name"] for edge in made["lacking"]] == ["e1"] and made["lacking"][0]["error"]
    assert doors(f, made["key"]) == [200, 401, 200]
    f.cables[1].mend()
    until(lambda: door(f.edges[1], made["key"]) == 200, "it has it", WAIT)
    f.cables[2].cut()
    until(lambda: f.control.ask("GET", "/api/v1/edges").json()["edges"][2]["silent_s"], "it is missed", WAIT)
    assert f.control.cli("edge", "forget", "e2").code == 0
    assert f.control.ask("DELETE", f"{KEYS}/{made['id']}").status == 200  # nobody waits for that one
    assert doors(f, made["key"]) == [401, 401, 200]
    f.cables[2].mend()
    until(lambda: door(f.edges[2], made["key"]) == 401, "its end", WAIT)


def test_edges_restart_while_control_is_gone(fleet):
    f = fleet()
    made, gone = add(f.control), add(f.control, "bob")
    assert f.control.ask("DELETE", f"{KEYS}/{gone['id']}").status == 200
    f.control.kill()
    for edge in f.edges:
        assert os.stat(edge.state / "keys.json").st_mode & 0o777 == 0o600
        assert made["key"] not in (edge.state / "keys.json").read_text()
        edge.stop()
        edge.start()
    assert doors(f, made["key"]) == [200] * 3 and doors(f, gone["key"]) == [401] * 3
    f.control.start()
    assert list(listed(f.control)) == ["ann"]
    later = add(f.control, "eve")
    assert doors(f, later["key"]) == [200] * 3 and doors(f, made["key"]) == [200] * 3


def test_an_edge_that_has_lost_its_state_is_given_it_again(fleet):
    f = fleet(count=2)
    made = add(f.control)
    f.edges[0].stop()
    os.unlink(f.edges[0].state / "keys.json")
    f.edges[0].start()
    until(lambda: door(f.edges[0], made["key"]) == 200, "it has it again", WAIT)


def test_control_dies_between_store_and_push(fleet):
    f = fleet(count=2)
    first = add(f.control)
    for cable in f.cables:
        cable.cut()
    asked = f.control.begin_ask("POST", KEYS, {"consumer": "bob"})
    until(lambda: "bob" in listed(f.control), "the store has it", WAIT)
    child = f.control.child()
    os.kill(child, signal.SIGKILL)
    assert asked() is None  # whoever asked is not told that it is done
    until(lambda: f.control.child() not in (None, child), "another control", WAIT)
    for cable in f.cables:
        cable.mend()
    for edge in f.edges:
        until(lambda: [key["consumer"] for key in edge.admin("GET", KEYS).json()["keys"]] == ["ann", "bob"], "both", WAIT)
    assert doors(f, first["key"]) == [200] * 2 and len(ledger(f.control, "key.add")) == 2


def test_of_two_controls_the_older_one_is_refused(fleet):
    f = fleet(count=2)
    for _ in range(2):
        child_killed(f.control)  # each run has a higher epoch
    made = add(f.control)
    other = f.another_control()
    wrong = add(other, "mallory", status=202)
    assert [edge["error"].split()[0] for edge in wrong["lacking"]] == ["409"] * 2, wrong
    assert doors(f, wrong["key"]) == [401] * 2 and doors(f, made["key"]) == [200] * 2
    later = add(f.control, "bob")
    assert doors(f, later["key"]) == [200] * 2


# -- keys of an edge's own


def test_keys_of_before_stay(fleet):
    f = fleet(count=2)
    own = f.edges[0].admin("POST", KEYS, {"consumer": "old"}).json()
    made = add(f.control)
    assert doors(f, own["key"]) == [200, 401] and doors(f, made["key"]) == [200] * 2
    keys = {key["consumer"]: key["source"] for key in f.edges[0].admin("GET", KEYS).json()["keys"]}
    assert keys == {"old": "edge", "ann": "control"}
    assert f.control.ask("DELETE", f"{KEYS}/{own['id']}").status == 404
    assert f.edges[0].admin("DELETE", f"{KEYS}/{own['id']}").status == 200
    assert doors(f, own["key"]) == [401] * 2 and doors(f, made["key"]) == [200] * 2


def test_a_gateway_that_takes_command(fleet, gateway, origin):
    f = fleet(count=1)
    f.control.close()
    head = gateway(origin, **GUARD)
    own = head.admin("POST", KEYS, {"consumer": "old"}).json()
    head.change(control={"edges": f.links})
    head.reload()
    reply = until(lambda: (r := head.admin("POST", KEYS, {"consumer": "ann"}, timeout=WAIT)).status == 201 and r,
                  "control has read it", WAIT, head.stderr)
    made = reply.json()
    assert [door(edge, made["key"]) for edge in (head, f.edges[0])] == [200] * 2
    assert [door(edge, own["key"]) for edge in (head, f.edges[0])] == [200, 401]
    shown = head.cli("key", "list")
    assert [line.split()[1::len(line.split()) - 2] for line in shown.out.splitlines()[1:]] == [["old", "edge"], ["ann", "control"]]
    assert head.cli("key", "revoke", own["id"]).code == 0 and door(head, own["key"]) == 401
    assert head.cli("key", "revoke", made["id"]).code == 0
    assert [door(edge, made["key"]) for edge in (head, f.edges[0])] == [401] * 2
    unknown = head.cli("key", "revoke", "0" * 12)
    assert unknown.code == 1 and "There is no key" in unknown.err, unknown
    later = head.cli("key", "add", "eve").out.strip()
    head.change(control={"edges": []})  # and gives it up: its keys are its own affair again
    head.reload()
    ident = next(key["id"] for key in head.admin("GET", KEYS).json()["keys"] if key["consumer"] == "eve")
    assert head.admin("DELETE", f"{KEYS}/{ident}").status == 200 and door(head, later) == 401
    assert door(f.edges[0], later) == 200


# -- what an edge takes


def entry(consumer="ann", key="slk_x", **more):
    changed = {"hash": hashlib.sha256(key.encode()).hexdigest(), "consumer": consumer, "created_ms": 1700000000000, **more}
    return {name: value for name, value in changed.items() if value is not None}


def said(edge, status=200, **changes):
    body = {"epoch": 3, "revision": 1, "keys": [entry()], **changes}
    reply = edge.admin("PUT", KEYS, {name: value for name, value in body.items() if value is not None}, timeout=WAIT)
    assert reply.status == status, reply
    return reply.json()


def test_what_control_says_replaces_what_it_said(origin, gateway):
    edge = gateway(origin, role="edge", **GUARD)
    assert said(edge) == {"epoch": 3, "revision": 1, "keys": 1}
    assert door(edge, "slk_x") == 200
    assert said(edge, revision=1, keys=[])["keys"] == 1  # it has that one
    assert said(edge, revision=2, keys=[entry("bob", "slk_y", tier="gold", expires_ms=4102444800000)])["keys"] == 1
    assert (door(edge, "slk_x"), door(edge, "slk_y")) == (401, 200)
    for old in ({"epoch": 2, "revision": 9}, {"epoch": 3, "revision": 1}):
        assert said(edge, 409, **old)["reason"] == "control_superseded"
    edge.stop()
    edge.start()
    assert said(edge, 409, epoch=2, revision=9)["reason"] == "control_superseded" and door(edge, "slk_y") == 200
    assert edge.status()["credentials"]["control"] == {"epoch": 3, "revision": 2, "keys": 1}
    said(edge, epoch=4, revision=1, keys=[entry(expires_ms=1)])
    assert (door(edge, "slk_x"), door(edge, "slk_y")) == (401, 401)
    services = {"epoch": 3, "revision": 1, "targets": [], "split": {"stable": 1}, "stable": "stable"}
    assert edge.admin("PUT", "/api/v1/services/app/releases", services).status == 409  # of services, too


WRONG = [
    {"epoch": 0}, {"epoch": "3"}, {"epoch": None}, {"epoch": 1.5}, {"revision": 0}, {"revision": None}, {"revision": []},
    {"keys": None}, {"keys": {}}, {"keys": "all"}, {"keys": [5]}, {"keys": [{}]}, {"keys": [entry(hash=None)]},
    {"keys": [entry(hash="ab")]}, {"keys": [entry(hash="g" * 64)]}, {"keys": [entry(hash=5)]}, {"keys": [entry(consumer=None)]},
    {"keys": [entry(consumer="")]}, {"keys": [entry(consumer="a b")]}, {"keys": [entry(consumer="a\r\nb")]},
    {"keys": [entry(consumer="a" * 129)]}, {"keys": [entry(tier="")]}, {"keys": [entry(tier=5)]}, {"keys": [entry(created_ms=None)]},
    {"keys": [entry(created_ms=-1)]}, {"keys": [entry(created_ms=2 ** 62)]}, {"keys": [entry(expires_ms=-1)]},
    {"keys": [entry(expires_ms="soon")]}, {"keys": [entry(), entry("bob")]}, {"keys": [entry(), {}]},
]
NONE = ["", "{", "[]", "5", '"keys"', "{}", '{"epoch": 9, "epoch": 9, "revision": 9, "keys": []}', "\x00"]


def test_what_is_no_set_of_keys_changes_nothing(origin, gateway):
    edge = gateway(origin, role="edge", **GUARD)
    said(edge)
    before = edge.admin("GET", KEYS).text
    for wrong in WRONG:
        assert said(edge, 422, **{"revision": 7, **wrong})["reason"] == "keys_invalid", wrong
        assert edge.admin("GET", KEYS).text == before and door(edge, "slk_x") == 200
    for body in NONE:
        reply = edge.admin("PUT", KEYS, body)
        assert (reply.status, reply.json()["reason"]) == (422, "keys_invalid"), (body, reply)
    many = ",".join(f'{{"hash": "{i:064x}", "consumer": "a", "created_ms": 1}}' for i in range(100001))
    assert edge.admin("PUT", KEYS, f'{{"epoch": 9, "revision": 9, "keys": [{many}]}}', timeout=WAIT).status == 422
    with Client(f"unix:{edge.state}/admin.sock") as client:
        client.send(f"PUT {KEYS} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {34 << 20}\r\n\r\n")
        assert client.reply("PUT").status == 413
    assert edge.admin("GET", KEYS).text == before and door(edge, "slk_x") == 200


def test_changes_of_keys_do_not_wait_for_a_tick(origin, gateway):
    edge = gateway(origin, **GUARD)
    made = []

    def make(n):
        made.append(edge.admin("POST", KEYS, {"consumer": f"c{n}"}, timeout=WAIT).status)

    threads = [threading.Thread(target=make, args=[n]) for n in range(40)]
    with Stopwatch() as watch:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(WAIT)
    assert made == [201] * 40
    assert watch.seconds < 5 * SLOW


def test_only_control_gives_keys(origin, gateway):
    tokens = [{"name": "ops", "token": "operate-0123456789", "can": ["operate"]},
              {"name": "control", "token": "deploy-0123456789", "can": ["deploy"]}]
    edge = gateway(origin, role="edge", admin={"tokens": tokens}, **GUARD)
    body = {"epoch": 1, "revision": 1, "keys": []}
    for token, status in ((None, 401), ("operate-0123456789", 403), ("deploy-0123456789", 200)):
        assert edge.admin("PUT", KEYS, body, token=token, over_socket=False).status == status, token


def test_what_cannot_be_written_is_not_taken(origin, gateway):
    edge = gateway(origin, role="edge", **GUARD)
    os.makedirs(edge.state / "keys.json")  # a rename over a folder fails, also for root
    assert said(edge, 500)["reason"] == "state_unwritable" and door(edge, "slk_x") == 401
    os.rmdir(edge.state / "keys.json")
    said(edge)
    assert door(edge, "slk_x") == 200


def test_a_damaged_part_of_control_is_set_aside(origin, gateway):
    edge = gateway(origin, role="edge", run=False, **GUARD)
    os.makedirs(edge.state, exist_ok=True)
    for wrong in (5, {}, {"epoch": 1, "revision": 1}, {"epoch": 0, "revision": 1, "keys": []},
                  {"epoch": 1, "revision": 1, "keys": [{}]}):
        text = json.dumps({"version": 1, "keys": [], "control": wrong})
        (edge.state / "keys.json").write_text(text)
        edge.start()
        assert "damaged" in edge.stderr() and (edge.state / "keys.json.damaged").read_text() == text
        edge.stop()


# -- many


def test_twenty_thousand_keys(fleet):
    f = fleet(count=2)
    f.control.close()
    key = "slk_" + "1" * 40
    many = {hashlib.sha256(str(i).encode()).hexdigest(): entry(f"consumer-{i}", str(i), created_ms=i) for i in range(20000)}
    many[hashlib.sha256(key.encode()).hexdigest()] = entry("last", key, tier="gold", created_ms=20001)
    f.control.fill("api key", {**many, "revision": {"revision": 20001}})
    f.control.start()
    for edge in f.edges:
        until(lambda: edge.status()["credentials"]["api_keys"] == 20001, "all", WAIT)
    assert doors(f, key) == [200] * 2 and doors(f, "19999") == [200] * 2 and doors(f, "20000") == [401] * 2
    made = add(f.control, "one-more")
    assert doors(f, made["key"]) == [200] * 2
    gone = f.control.ask("DELETE", f"{KEYS}/{hashlib.sha256(b'7').hexdigest()[:12]}")
    assert gone.status == 200 and doors(f, "7") == [401] * 2 and doors(f, "8") == [200] * 2
    assert len(f.control.ask("GET", KEYS).json()["keys"]) == 20001
    for edge in f.edges:
        edge.stop()
        edge.start()
    assert doors(f, made["key"]) == [200] * 2
