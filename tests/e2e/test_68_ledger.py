# SPDX-License-Identifier: Apache-2.0
"""The ledger: who changed what on the edge, once each, over kills, full disks and damage; backups; what is tampered with."""

import json
import os
import resource
import signal
import sqlite3
import subprocess
import threading

import pytest

from lib.gateway import BIN
from lib.wait import DEADLINE, stays, until

LONG = 3 * DEADLINE
TOKENS = [{"name": "viewer", "token": "read-token-0123456789", "can": ["read"]},
          {"name": "ci", "token": "operate-token-0123456789", "can": ["operate"]}]
TARGET = "/api/v1/services/app/targets/a"


def control_of(gw):
    """The control process; None while there is none."""
    return next((pid for pid, line in gw.members() if " control " in line), None)


def ledger(gw, query="limit=1000"):
    reply = gw.admin("GET", f"/api/v1/ledger?{query}")
    return reply.json()["entries"] if reply.status == 200 else None


def wait_entries(gw, count, timeout=LONG):
    """Waits until the ledger has so many entries, and returns them."""
    return until(lambda: (found := ledger(gw)) and len(found) >= count and found, f"{count} entries", timeout,
                 lambda: f"{ledger(gw)}\n{gw.stderr()[-2000:]}")


def toggle(gw, times, first=0):
    """So many changes of the target, whose order can be told from the ledger."""
    for n in range(first, first + times):
        assert gw.admin("POST", f"{TARGET}/{'enable' if n % 2 else 'drain'}").status == 200


def check_toggles(entries, times):
    assert [e["action"] for e in entries] == ["target.drain", "target.enable"] * (times // 2)
    assert [e["id"] for e in entries] == list(range(1, times + 1))


def kill_control(gw):
    """Kills it, and keeps it from coming back too soon: gives the process that is gone."""
    pid = until(lambda: control_of(gw), "a control")
    os.kill(pid, signal.SIGKILL)
    until(lambda: control_of(gw) != pid, "its end")
    return pid


@pytest.fixture
def gw(origin, gateway):
    made = gateway([{"id": "a", "address": origin.address}], admin={"tokens": TOKENS})
    until(lambda: ledger(made) is not None, "control", LONG, made.stderr)
    return made


# -- what is in it


def test_changes_and_who_made_them(gw):
    ci = TOKENS[1]["token"]
    assert gw.admin("POST", f"{TARGET}/drain", token=ci, over_socket=False).status == 200
    assert gw.admin("POST", f"{TARGET}/enable").status == 200
    assert gw.admin("POST", "/api/v1/services/app/targets", {"id": "b", "address": "127.0.0.1:1", "weight": 3}).status == 201
    assert gw.admin("DELETE", "/api/v1/services/app/targets/b").status == 200
    assert gw.admin("POST", "/api/v1/services/app/pause").status == 200
    assert gw.admin("POST", "/api/v1/services/app/resume").status == 200
    assert gw.admin("POST", "/api/v1/shield", {"on": True, "for": "10m"}).status == 200
    assert gw.admin("POST", "/api/v1/shield", {"on": False}).status == 200
    assert gw.admin("POST", "/api/v1/reload", token=ci, over_socket=False).status == 200
    entries = wait_entries(gw, 9)
    assert [(e["actor"], e["action"], e["service"], e["subject"]) for e in entries] == [
        ("token:ci", "target.drain", "app", "a"),
        ("socket", "target.enable", "app", "a"),
        ("socket", "target.add", "app", "b"),
        ("socket", "target.remove", "app", "b"),
        ("socket", "service.mode", "app", None),
        ("socket", "service.mode", "app", None),
        ("socket", "shield", None, None),
        ("socket", "shield", None, None),
        ("token:ci", "config.reload", None, None),
    ]
    assert (entries[0]["before"]["drained"], entries[0]["after"]["drained"]) == (False, True)
    assert entries[2]["before"] is None and entries[2]["after"]["weight"] == 3
    assert entries[3]["after"] is None and entries[3]["before"]["address"] == "127.0.0.1:1"
    assert [(e["before"]["mode"], e["after"]["mode"]) for e in entries[4:6]] == [("running", "paused"), ("paused", "running")]
    assert entries[6]["after"]["on"] is True and entries[7]["after"] == {"on": False}
    assert [e["time_ms"] for e in entries] == sorted(e["time_ms"] for e in entries)
    assert all(e["edge"] == "this machine" and e["effect"] is None for e in entries)


def test_configurations_are_told_apart_by_their_digest(gw):
    digests = [subprocess.run(["sha256sum", gw.file], capture_output=True, text=True, check=True).stdout.split()[0]]
    text = gw.admin("GET", "/api/v1/config").text
    for n, query in enumerate(("", "?confirm=60s")):
        assert gw.admin("PUT", f"/api/v1/config{query}", text + "\n" * (n + 1)).status == 200
        digests.append(subprocess.run(["sha256sum", gw.file], capture_output=True, text=True, check=True).stdout.split()[0])
    assert gw.admin("POST", "/api/v1/config/confirm").status == 200
    assert gw.admin("PUT", "/api/v1/config", "services: nonsense\n").status == 422
    assert gw.admin("PUT", "/api/v1/config?dry_run=true", text).status == 200
    os.kill(gw.pid, signal.SIGHUP)
    entries = wait_entries(gw, 4)
    assert [(e["actor"], e["action"]) for e in entries] == [
        ("socket", "config.replace"), ("socket", "config.try"), ("socket", "config.confirm"), ("signal", "config.reload")]
    assert [e["before"]["sha256"] for e in entries[:2]] == digests[:2]
    assert [e["after"]["sha256"] for e in entries] == [digests[1], digests[2], digests[2], digests[2]]
    assert len(set(digests)) == 3


def test_what_nobody_confirmed_is_taken_back_in_it_too(gw):
    text = gw.admin("GET", "/api/v1/config").text
    assert gw.admin("PUT", "/api/v1/config?confirm=1s", text + "\n").status == 200
    entries = wait_entries(gw, 2)
    assert [(e["actor"], e["action"]) for e in entries] == [("socket", "config.try"), ("nobody confirmed", "config.revert")]
    assert entries[0]["before"]["sha256"] == entries[1]["after"]["sha256"]


def test_keys_are_in_it_and_what_opens_is_not(gw):
    made = gw.admin("POST", "/api/v1/keys", {"consumer": "ann", "tier": "gold", "expires_in": "720h"}).json()
    assert gw.admin("DELETE", f"/api/v1/keys/{made['id']}").status == 200
    added, revoked = wait_entries(gw, 2)
    assert (added["action"], added["subject"], added["before"]) == ("key.add", made["id"], None)
    assert added["after"]["consumer"] == "ann" and added["after"]["tier"] == "gold"
    assert (revoked["action"], revoked["before"], revoked["after"]) == ("key.revoke", added["after"], None)
    # Neither the key nor a token is anywhere that control or the journal keeps.
    secrets = [made["key"].encode(), *(t["token"].encode() for t in TOKENS)]
    for name in os.listdir(gw.state):
        if name.startswith(("control.db", "changes")):
            data = (gw.state / name).read_bytes()
            assert not any(secret in data for secret in secrets), name


def test_what_was_refused_or_changes_nothing_is_not_in_it(gw):
    assert gw.admin("POST", "/api/v1/services/app/targets/none/drain").status == 404
    assert gw.admin("POST", f"{TARGET}/drain", token=TOKENS[0]["token"], over_socket=False).status == 403
    assert gw.admin("POST", f"{TARGET}/enable").status == 200
    assert gw.admin("POST", "/api/v1/services/app/resume").status == 200
    toggle(gw, 1)
    assert [e["action"] for e in wait_entries(gw, 1)] == ["target.drain"]


def test_questions(gw):
    toggle(gw, 4)
    wait_entries(gw, 4)
    assert [e["id"] for e in ledger(gw, "since=2")] == [3, 4]
    assert [e["id"] for e in ledger(gw, "limit=3")] == [2, 3, 4]
    assert [e["id"] for e in ledger(gw, "since=0&limit=3")] == [1, 2, 3]
    assert gw.admin("GET", "/api/v1/ledger?since=0&limit=3").json()["more"] is True
    assert len(ledger(gw, "service=app")) == 4
    assert ledger(gw, "service=other") == []
    for query in ("since=x", "since=-1", "since=", "limit=0", "limit=1001", "limit=x", "service=" + "x" * 200,
                  "since=99999999999999999999"):
        reply = gw.admin("GET", f"/api/v1/ledger?{query}")
        assert (reply.status, reply.json()["reason"]) == (400, "query_invalid"), query
    assert gw.admin("GET", "/api/v1/ledger", over_socket=False).status == 200
    for query in ("after=x", "wait=x", "wait=2h", "after=99999999999999999999"):
        assert gw.admin("GET", f"/api/v1/changes?{query}").status == 400, query
    assert gw.admin("GET", "/api/v1/changes", over_socket=False).status == 401


# -- the command


def test_history(gw):
    toggle(gw, 2)
    wait_entries(gw, 2)
    done = gw.cli("history")
    lines = done.out.splitlines()
    assert done.code == 0 and len(lines) == 3, done
    assert lines[0].split() == ["ID", "TIME", "WHO", "WHAT", "SERVICE", "SUBJECT", "CHANGE"]
    words = lines[1].split()
    assert [words[0], *words[2:6]] == ["1", "socket", "target.drain", "app", "a"]
    assert lines[1].endswith("drained false -> true")
    assert [e["id"] for e in gw.cli("history", "app", "--json").json()["entries"]] == [1, 2]
    assert gw.cli("history", "other", "--json").json()["entries"] == []
    assert [e["id"] for e in gw.cli("history", "--since", "1", "--json").json()["entries"]] == [2]
    assert [e["id"] for e in gw.cli("history", "--limit", "1", "--json").json()["entries"]] == [2]
    for wrong in (["a", "b"], ["--verify", "app"], ["--what"]):
        assert gw.cli("history", *wrong).code == 2, wrong
    assert gw.cli("history", "--since", "x").code == 1
    good = gw.cli("history", "--verify")
    assert good.code == 0 and good.out.startswith("2 entries, each as it was written"), good


@pytest.mark.parametrize("change, broken, words", [
    ("UPDATE ledger SET actor = 'somebody' WHERE id = 3", 3, "its hash is another"),
    ("UPDATE ledger SET after = '{}' WHERE id = 1", 1, "its hash is another"),
    ("UPDATE ledger SET after = 'no JSON' WHERE id = 5", 5, "its hash is another"),
    ("DELETE FROM ledger WHERE id = 2", 3, "missing"),
    ("UPDATE ledger SET time_ms = time_ms + 1 WHERE id = 4", 4, "its hash is another"),
    ("UPDATE ledger SET hash = previous WHERE id = 2", 2, "its hash is another"),
])
def test_what_is_tampered_with_is_named(gw, change, broken, words):
    toggle(gw, 6)
    wait_entries(gw, 6)
    with sqlite3.connect(gw.state / "control.db", timeout=DEADLINE) as db:
        db.execute("DROP TRIGGER ledger_stays")
        db.execute("DROP TRIGGER ledger_keeps")
        assert db.execute(change).rowcount == 1
    db.close()
    done = gw.cli("history", "--verify")
    assert done.code == 1 and f"entry {broken} " in done.err and words in done.err, done
    told = gw.cli("history", "--verify", "--json")
    assert told.code == 1 and told.json()["broken"]["id"] == broken
    assert gw.cli("history").code == 0


# -- control away


def test_what_happens_while_control_is_killed_is_there_afterwards_once_each(gw):
    toggle(gw, 10)
    kill_control(gw)
    toggle(gw, 10, 10)
    check_toggles(wait_entries(gw, 20), 20)
    assert gw.cli("history", "--verify").code == 0


def test_control_killed_again_and_again_while_changes_are_made(gw):
    done = threading.Event()

    def kill():
        while not done.is_set():
            pid = control_of(gw)
            if pid:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            done.wait(0.05)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        toggle(gw, 60)
    finally:
        done.set()
        killer.join(DEADLINE)
    check_toggles(wait_entries(gw, 60, 2 * LONG), 60)
    stays(lambda: len(ledger(gw)) == 60, "no more")
    assert gw.cli("history", "--verify").code == 0


def test_a_change_never_waits_for_control(gw):
    pid = control_of(gw)
    os.kill(pid, signal.SIGSTOP)
    try:
        toggle(gw, 20)
    finally:
        os.kill(pid, signal.SIGCONT)
    check_toggles(wait_entries(gw, 20), 20)


def test_an_edge_that_is_killed_keeps_what_control_has_not(gw):
    pid = control_of(gw)
    os.kill(pid, signal.SIGSTOP)
    edge = gw.edge
    toggle(gw, 4)
    os.kill(edge, signal.SIGKILL)
    until(lambda: gw.edges() and gw.edges() != [edge] and gw.is_ready(), "another edge", LONG)
    toggle(gw, 2, 4)
    os.kill(pid, signal.SIGCONT)
    check_toggles(wait_entries(gw, 6), 6)


def test_over_an_upgrade_none_is_lost(gw):
    toggle(gw, 2)
    assert gw.cli("upgrade").code == 0
    toggle(gw, 2, 2)
    entries = wait_entries(gw, 5)
    assert sorted(e["action"] for e in entries) == sorted(["target.drain", "target.enable"] * 2 + ["upgrade"])
    assert gw.cli("history", "--verify").code == 0
    assert gw.admin("GET", "/api/v1/control").json()["epoch"] == 2


# -- edges of other machines


def test_one_ledger_for_several_edges(origin, gateway):
    deploy = {"name": "control", "token": "deploy-token-0123456789", "can": ["deploy"]}
    other = gateway([{"id": "a", "address": origin.address}], role="edge", admin={"tokens": [deploy, TOKENS[0]]})
    toggle(other, 2)  # before anybody listened
    own = gateway([{"id": "a", "address": origin.address}],
                  control={"edges": [{"name": "cdg1", "url": f"http://{other.admin_host}", "token": deploy["token"]}]})
    toggle(own, 1)
    entries = wait_entries(own, 3)
    toggle(other, 1, 2)
    entries = wait_entries(own, 4)
    assert sorted((e["edge"], e["action"]) for e in entries) == [
        ("cdg1", "target.drain"), ("cdg1", "target.drain"), ("cdg1", "target.enable"), ("this machine", "target.drain")]
    assert own.cli("history", "--verify").code == 0
    # One that may only read is told nothing, and that is said.
    own.change(control={"edges": [{"name": "cdg1", "url": f"http://{other.admin_host}", "token": TOKENS[0]["token"]}]})
    assert own.admin("POST", "/api/v1/reload").status == 200
    until(lambda: "edge cdg1 does not tell what is changed on it (403)" in own.stderr(), "a sentence", LONG)


# -- disks


def test_a_full_disk_stops_the_ledger_and_nothing_else(gw):
    toggle(gw, 2)
    wait_entries(gw, 2)
    pid = control_of(gw)
    # The write-ahead log cannot grow any more.
    size = os.stat(gw.state / "control.db-wal").st_size
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    toggle(gw, 40, 2)
    until(lambda: "cannot write" in gw.stderr(), "a sentence", LONG)
    told = gw.admin("GET", "/api/v1/control").json()
    assert "control.db" in told["store_error"]
    assert len(ledger(gw)) < 42  # reading goes on
    assert gw.get("/").status in (200, 503)
    assert control_of(gw) == pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    check_toggles(wait_entries(gw, 42), 42)
    assert gw.admin("GET", "/api/v1/control").json()["store_error"] is None
    assert gw.cli("history", "--verify").code == 0


def test_a_damaged_database_is_set_aside(gw):
    toggle(gw, 2)
    wait_entries(gw, 2)
    until(lambda: (gw.state / "control.db.backup").exists(), "a backup")
    before = gw.admin("GET", "/api/v1/control").json()["epoch"]
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    with open(gw.state / "control.db", "r+b") as file:
        file.write(b"\xa5" * 8192)
    gw.start()
    until(lambda: ledger(gw) is not None, "control", LONG)
    assert "control.db was damaged" in gw.stderr()
    assert (gw.state / "control.db.damaged").exists()
    assert gw.admin("GET", "/api/v1/control").json()["epoch"] == before + 1
    toggle(gw, 1)
    until(lambda: any(e["action"] == "target.drain" for e in ledger(gw)), "it goes on", LONG)
    assert gw.cli("history", "--verify").code == 0


# -- backups


def test_backup_and_restore(gw):
    toggle(gw, 4)
    wait_entries(gw, 4)
    kept = gw.home / "kept.db"
    done = gw.cli("backup", str(kept))
    assert done.code == 0 and str(kept) in done.out, done
    assert os.stat(kept).st_mode & 0o777 == 0o600
    toggle(gw, 2, 4)
    wait_entries(gw, 6)
    state = ("--state", str(gw.state))
    running = gw.cli("restore", str(kept), *state)
    assert running.code == 1 and "stop the gateway" in running.err, running
    epoch = gw.admin("GET", "/api/v1/control").json()["epoch"]
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    broken = gw.home / "broken.db"
    broken.write_bytes(kept.read_bytes()[:5000])
    assert gw.cli("restore", str(broken), *state).code == 1
    assert gw.cli("restore", str(gw.home / "none.db"), *state).code == 1
    assert gw.cli("restore", *state).code == 2
    done = gw.cli("restore", str(kept), *state)
    assert done.code == 0 and (gw.state / "control.db.before-restore").exists(), done
    gw.start()
    check_toggles(wait_entries(gw, 4), 4)
    assert gw.admin("GET", "/api/v1/control").json()["epoch"] > epoch


def test_a_backup_is_whole_while_changes_are_made(gw):
    done = threading.Event()
    made = []

    def change():
        while not done.is_set():
            toggle(gw, 1, len(made))
            made.append(1)

    changer = threading.Thread(target=change)
    changer.start()
    try:
        for n in range(5):
            assert gw.cli("backup", str(gw.home / f"b{n}")).code == 0
    finally:
        done.set()
        changer.join(DEADLINE)
    for n in range(5):
        with sqlite3.connect(gw.home / f"b{n}") as db:
            assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        db.close()


def test_a_backup_that_cannot_be_made_leaves_the_old_one(gw):
    kept = gw.home / "kept.db"
    kept.write_text("the old one")
    limited = subprocess.run([BIN, "backup", str(kept), "--admin", f"unix:{gw.state}/admin.sock"], capture_output=True,
                             text=True, timeout=LONG, check=False, preexec_fn=lambda: (
                                 signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
                                 resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))))
    assert limited.returncode == 1 and limited.stderr, limited
    assert kept.read_text() == "the old one"
    assert gw.cli("backup", str(gw.home / "no" / "such")).code == 1
    assert gw.cli("backup").code == 2
    assert gw.admin("GET", "/api/v1/backup", token=TOKENS[0]["token"], over_socket=False).status == 403
    assert json.loads(gw.admin("GET", "/api/v1/control").body)["store_error"] is None
