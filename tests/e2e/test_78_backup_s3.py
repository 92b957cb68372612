# SPDX-License-Identifier: Apache-2.0
"""Control's database in a store that speaks S3: put there when it has changed, the oldest taken away, and put back."""

import hashlib
import os
import re
import signal
import sqlite3

import pytest

from lib.fake_s3 import FakeS3, sign
from lib.gateway import run
from lib.wait import SLOW, stays, until

WAIT = 40 * SLOW
NAME = re.compile(r"control-\d{8}T\d{6}Z\.db")


@pytest.fixture
def store():
    made = FakeS3()
    yield made
    made.close()


@pytest.fixture
def kept(gateway, origin):
    """Starts a gateway whose backups go to a store: kept(store, every="1s")."""
    def make(store, prefix="sluice/prod", **more):
        backup = {"url": store.url(prefix), "region": store.region, "key": store.key, "secret": "${env:BACKUP_SECRET}",
                  "every": "1s", **more}
        gw = gateway([{"id": "a", "address": origin.address}], control={"backup": backup}, env={"BACKUP_SECRET": store.secret})
        until(lambda: status(gw), "control answers", WAIT)
        return gw
    return make


def status(gw):
    reply = gw.admin("GET", "/api/v1/control")
    return reply.json().get("backup") if reply.status == 200 else None


def change(gw, count=1):
    for n in range(count):
        assert gw.admin("POST", f"/api/v1/services/app/targets/a/{'enable' if n % 2 else 'drain'}").status == 200


def ledger(gw, action=None):
    reply = gw.admin("GET", "/api/v1/ledger?since=0&limit=1000")
    found = reply.json()["entries"] if reply.status == 200 else []
    return [e for e in found if not action or e["action"] == action]


def in_store(store, words):
    """Whether the newest backup has an entry with these words: SQLite keeps them as they are."""
    return bool(store.objects) and words.encode() in store.objects[max(store.objects)]


def test_the_signature_is_what_amazon_publishes():
    headers = {"host": "examplebucket.s3.amazonaws.com", "range": "bytes=0-9", "x-amz-date": "20130524T000000Z",
               "x-amz-content-sha256": hashlib.sha256(b"").hexdigest()}
    request = ("GET", "/test.txt", "", headers, headers["x-amz-content-sha256"])
    assert sign("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", request, "20130524/us-east-1/s3/aws4_request", "20130524T000000Z",
                sorted(headers)) == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"


def test_what_changes_is_put_there_and_what_does_not_is_not(kept, store):
    gw = kept(store)
    change(gw)
    until(lambda: in_store(store, "target.drain"), "a backup with the change", WAIT)
    assert all(path.startswith("backups/sluice/prod/") and NAME.fullmatch(path.rsplit("/", 1)[1]) for path in store.objects)
    newest = store.names()[-1]
    until(lambda: status(gw) and status(gw)["object"] and status(gw)["error"] is None, f"{status(gw)}", WAIT)
    puts = [c for c in store.calls if c[0] == "PUT"]
    stays(lambda: [c for c in store.calls if c[0] == "PUT"] == puts, "nothing has changed", 3)
    assert status(gw)["object"] == newest
    assert store.secret not in gw.stderr() and store.secret not in str(ledger(gw))


def test_one_command_puts_it_back_elsewhere(kept, store, home):
    gw = kept(store)
    change(gw, 3)
    until(lambda: len(ledger(gw)) == 3, "in the ledger", WAIT)
    entries = ledger(gw)
    until(lambda: in_store(store, "target.enable"), "a backup with the changes", WAIT)
    until(lambda: status(gw)["object"] == store.names()[-1], "it is known", WAIT)
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    state = os.path.join(home, "elsewhere")
    os.makedirs(state)
    done = run("restore", store.url("sluice/prod"), "--state", state, env=store.env())
    assert done.code == 0 and store.names()[-1] in done.out, done
    assert sorted(n for n in os.listdir(state) if "download" in n) == []
    assert os.stat(os.path.join(state, "control.db")).st_mode & 0o77 == 0
    with sqlite3.connect(os.path.join(state, "control.db")) as db:
        assert [row[0] for row in db.execute("SELECT hash FROM ledger ORDER BY id")] == [e["hash"] for e in entries]
    db.close()
    # One that is named, by its whole URL.
    named = run("restore", store.url(f"sluice/prod/{store.names()[0]}"), "--state", state, env=store.env())
    assert named.code == 0 and store.names()[0] in named.out, named


def test_the_oldest_go(kept, store):
    old = [f"backups/sluice/prod/control-2025010{n}T000000Z.db" for n in range(1, 8)]
    others = ["backups/sluice/prod/control-notes.txt", "backups/sluice/production/control-20250101T000000Z.db",
              "backups/control-20250101T000000Z.db"]
    store.objects = {path: b"old" for path in old + others}
    store.page = 3  # the list has several pages
    gw = kept(store, keep=3)
    change(gw)
    until(lambda: len([p for p in store.objects if p.startswith("backups/sluice/prod/control-2")]) == 3, "three", WAIT)
    assert all(path in store.objects for path in others) and old[0] not in store.objects
    assert not [c for c in store.calls if c[0] == "DELETE" and c[1] in others]


def test_a_clock_that_ran_ahead_costs_no_backup(kept, store):
    ahead = [f"backups/sluice/prod/control-2099010{n}T000000Z.db" for n in range(1, 4)]
    store.objects = {path: b"old" for path in ahead}
    gw = kept(store, keep=3)
    change(gw)
    until(lambda: in_store(store, "target.drain"), f"the last by name has the change: {store.names()}", WAIT)
    until(lambda: status(gw)["object"] == store.names()[-1] and len(store.objects) == 3, "the oldest has gone", WAIT)
    assert store.names()[-1].startswith("control-20990103T0000") and ahead[0] not in store.objects


def test_a_name_after_which_there_is_none(kept, store):
    last = "backups/sluice/prod/control-99991231T235959Z.db"
    store.objects = {last: b"old"}
    gw = kept(store, keep=1)
    change(gw)
    until(lambda: last not in store.objects, f"what is put is not what goes: {store.names()}", WAIT)
    until(lambda: in_store(store, "target.drain"), "the next ones are named as ever", WAIT)


def test_a_restart_does_not_make_another_one_before_its_time(kept, store):
    gw = kept(store, every="1h")
    until(lambda: status(gw) and status(gw)["object"], "the first one", WAIT)
    until(lambda: status(gw)["error"] is None and ("GET", "backups/") in store.calls, "it is done", WAIT)
    pid = next(pid for pid, line in gw.members() if " control " in line)
    lists = store.calls.count(("GET", "backups/"))
    os.kill(pid, signal.SIGKILL)
    change(gw)
    until(lambda: store.calls.count(("GET", "backups/")) > lists and status(gw), "another control has looked", WAIT)
    stays(lambda: len([c for c in store.calls if c[0] == "PUT"]) == 1, "no other backup", 2)


def test_a_store_that_fails_is_tried_again_and_said(kept, store):
    store.fail = lambda method, path: (503, "SlowDown")
    gw = kept(store)
    change(gw)
    until(lambda: status(gw)["error"], "an error", WAIT)
    assert status(gw)["error"] == "the store answers 503, SlowDown: Told so & not otherwise"
    until(lambda: ledger(gw, "backup.fail"), "an entry", WAIT)
    store.fail = None
    until(lambda: ledger(gw, "backup.work"), "it works again", WAIT)
    assert len(ledger(gw, "backup.fail")) == 1
    until(lambda: in_store(store, "target.drain"), "a backup", WAIT)
    assert "the backup to" in gw.cli("history").out and gw.cli("history", "--verify").code == 0


@pytest.mark.parametrize("wrong, code", [
    ({"key": "AKIDOTHER"}, "InvalidAccessKeyId"),
    ({"secret": "another"}, "SignatureDoesNotMatch"),
    ({"region": "us-east-1"}, "AuthorizationHeaderMalformed"),
])
def test_a_wrong_login_is_named(kept, store, wrong, code):
    gw = kept(store, **wrong)
    until(lambda: code in (status(gw)["error"] or ""), f"{code}: {status(gw)}", WAIT)
    assert not store.objects and store.secret not in gw.stderr()


def test_names_that_need_care(kept, store):
    gw = kept(store, prefix="a/bc+d~e!f")
    change(gw)
    until(lambda: in_store(store, "target.drain"), f"a backup: {status(gw)}", WAIT)
    assert store.names() and all(path.startswith("backups/a/bc+d~e!f/control-") for path in store.objects)


# -- the command


def restore(store, url, state, **env):
    return run("restore", url, "--state", str(state), env={**store.env(), **env})


def test_what_cannot_be_restored(store, tmp_path):
    empty = restore(store, store.url("none"), tmp_path)
    assert empty.code == 1 and "there is no backup" in empty.err, empty
    store.objects["backups/x/control-20250101T000000Z.db"] = b"this is no database"
    broken = restore(store, store.url("x"), tmp_path)
    assert broken.code == 1 and not (tmp_path / "control.db").exists(), broken
    named = restore(store, store.url("x/control-20240101T000000Z.db"), tmp_path)
    assert named.code == 1 and "NoSuchKey" in named.err, named
    denied = restore(store, store.url("x"), tmp_path, AWS_SECRET_ACCESS_KEY="another")
    assert denied.code == 1 and "SignatureDoesNotMatch" in denied.err and "another" not in denied.err, denied
    bare = restore(store, store.url("x"), tmp_path, AWS_ACCESS_KEY_ID="")
    assert bare.code == 2 and "AWS_ACCESS_KEY_ID" in bare.err, bare
    gone = restore(store, "http://127.0.0.1:1/backups/x", tmp_path)
    assert gone.code == 3, gone
    for url in ("s3://", "s3://B", "https://host", "https:///bucket", "s3://bucket/a?b", "https://me:pw@host/bucket"):
        wrong = restore(store, url, tmp_path)
        assert wrong.code == 1 and "cannot read" in wrong.err, wrong
    assert not [n for n in os.listdir(tmp_path) if "download" in n]
