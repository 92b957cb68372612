# SPDX-License-Identifier: Apache-2.0
"""API keys: made, listed and revoked while the gateway runs, written in the file, and never seen again."""

import datetime
import hashlib
import os
import re

import pytest

from lib.gateway import run
from lib.wait import until

KEY = "slk_" + "0123456789" * 4
KEYS = "/api/v1/keys"


def sha256(key):
    return hashlib.sha256(key.encode()).hexdigest()


def written(consumer="ann", key=KEY, **more):
    return {"hash": sha256(key), "consumer": consumer, **more}


def guarded(gateway, origin, **options):
    return gateway(origin, filters=[{"api_key": options}, {"rate_limit": "off"}])


def ask(gw, key):
    return gw.get(headers=[("X-API-Key", key)])


def refused(reply, reason="credentials_invalid"):
    assert (reply.status, reply.reason) == (401, reason), reply
    assert reply.header("WWW-Authenticate") == 'ApiKey realm="sluice"'
    assert reply.header("Content-Type") == "application/problem+json"


def add(gw, **body):
    reply = gw.admin("POST", KEYS, {"consumer": "ann", **body})
    assert reply.status == 201, reply
    return reply.json()


# -- keys of the file


def test_keys_of_the_file(origin, gateway):
    gw = guarded(gateway, origin, keys=[written(), written("bob", "another key", tier="gold")])
    assert ask(gw, KEY).status == 200
    assert ask(gw, "another key").status == 200
    refused(gw.get(), "credentials_missing")
    for key in (KEY[:-1], KEY + "0", KEY.upper(), sha256(KEY), "", " ", "slk_", "*", "%00", "x" * 8000):
        reply = ask(gw, key)
        assert reply.status == 401, key
    assert len(origin.requests) == 2


def test_keys_of_the_file_end(origin, gateway):
    day = datetime.timedelta(days=1)
    today = datetime.datetime.now(datetime.timezone.utc)
    keys = [
        written("a", "a", expires=(today - day).strftime("%Y-%m-%d")),
        written("b", "b", expires=(today + 2 * day).strftime("%Y-%m-%d")),
        written("c", "c", expires=(today - day).strftime("%Y-%m-%dT%H:%M:%SZ")),
    ]
    gw = guarded(gateway, origin, keys=keys)
    refused(ask(gw, "a"))
    assert ask(gw, "b").status == 200
    refused(ask(gw, "c"))


def test_where_a_key_may_be(origin, gateway):
    gw = guarded(gateway, origin, keys=[written()], header="authorization", query="key", cookie="key")
    assert gw.get(headers=[("Authorization", f"Bearer {KEY}")]).status == 200
    assert gw.get(headers=[("Cookie", f"a=b;key={KEY}")]).status == 200
    assert gw.get(f"/x?key={KEY}&a=1").status == 200
    assert origin.requests[-1].target == "/x?a=1"
    refused(gw.get(f"/?key={KEY}", headers=[("Cookie", f"key={KEY}")]))
    refused(gw.get(f"/?key={KEY}&key={KEY}"))
    refused(gw.get(headers=[("X-API-Key", KEY)]), "credentials_missing")
    gw.logs(6)
    assert KEY not in gw.log_file.read_text()


def test_optional_keys(origin, gateway):
    gw = guarded(gateway, origin, keys=[written()], optional=True)
    assert gw.get().status == 200
    assert ask(gw, KEY).status == 200
    refused(ask(gw, "wrong"))


# -- keys made at run time


def test_a_key_from_its_making_to_its_end(origin, gateway):
    gw = guarded(gateway, origin)
    made = add(gw, tier="gold")
    assert re.fullmatch(r"slk_[0-9a-f]{40}", made["key"]) and made["consumer"] == "ann"
    assert made["id"] == sha256(made["key"])[:12]
    assert ask(gw, made["key"]).status == 200
    other = add(gw, consumer="bob")
    assert ask(gw, other["key"]).status == 200
    shown = gw.admin("GET", KEYS)
    assert [(k["id"], k["consumer"], k.get("tier")) for k in shown.json()["keys"]] == [
        (made["id"], "ann", "gold"),
        (other["id"], "bob", None),
    ]
    assert made["key"] not in shown.text and sha256(made["key"]) not in shown.text
    assert gw.admin("DELETE", f"{KEYS}/{made['id']}").status == 200
    refused(ask(gw, made["key"]))
    assert ask(gw, other["key"]).status == 200
    assert gw.admin("DELETE", f"{KEYS}/{made['id']}").json()["reason"] == "key_not_found"


def test_keys_outlive_a_restart_and_a_reload(origin, gateway):
    gw = guarded(gateway, origin)
    made, gone = add(gw), add(gw)
    gw.admin("DELETE", f"{KEYS}/{gone['id']}")
    gw.reload()
    assert ask(gw, made["key"]).status == 200
    path = os.path.join(gw.home, "state", "keys.json")
    assert os.stat(path).st_mode & 0o777 == 0o600
    with open(path) as file:
        assert made["key"] not in file.read()
    gw.stop()
    gw.start()
    assert ask(gw, made["key"]).status == 200
    refused(ask(gw, gone["key"]))


def test_a_key_that_ends_by_itself(origin, gateway):
    gw = guarded(gateway, origin)
    made = add(gw, expires_in="2s")
    assert ask(gw, made["key"]).status == 200
    until(lambda: ask(gw, made["key"]).status == 401, "it ends")
    assert gw.admin("GET", KEYS).json()["keys"][0]["expires"]


@pytest.mark.parametrize(
    "body, status",
    [
        ("", 400),
        ("{", 400),
        ("[]", 422),
        ("{}", 422),
        ('{"consumer": ""}', 422),
        ('{"consumer": "a b"}', 422),
        ('{"consumer": "a\\nb"}', 422),
        ('{"consumer": 1}', 422),
        ('{"consumer": "' + "a" * 129 + '"}', 422),
        ('{"consumer": "a", "consumer": "b"}', 400),
        ('{"consumer": "a", "tier": ""}', 422),
        ('{"consumer": "a", "expires_in": "soon"}', 422),
        ('{"consumer": "a", "expires_in": 60}', 422),
        ('{"consumer": "a", "expires_in": "0s"}', 422),
        ('{"consumer": "a", "expires_in": "876601h"}', 422),
        ('{"consumer": "a", "expires_in": "4000000000000h"}', 422),
        ('{"consumer": "a", "expires_in": "18446744073709551615ms"}', 422),
        ('{"consumer": "a", "key": "slk_mine"}', 422),
    ],
)
def test_wrong_wishes(origin, gateway, body, status):
    gw = guarded(gateway, origin)
    reply = gw.admin("POST", KEYS, body)
    assert (reply.status, reply.json()["reason"]) == (status, "key_invalid"), reply
    assert gw.admin("GET", KEYS).json()["keys"] == []


def test_ids_that_are_none(origin, gateway):
    gw = guarded(gateway, origin)
    add(gw)
    for name in ("x", "0" * 12, "%00", "..", "*", "0" * 500):
        assert gw.admin("DELETE", f"{KEYS}/{name}").status in (400, 404), name
    assert len(gw.admin("GET", KEYS).json()["keys"]) == 1


def test_only_who_may_operate_makes_keys(origin, gateway):
    tokens = [{"name": "eye", "token": "look-only-0123456789", "can": ["read"]}]
    gw = gateway(origin, filters=[{"api_key": {}}], admin={"tokens": tokens})
    body = {"consumer": "a"}
    assert gw.admin("POST", KEYS, body, token="look-only-0123456789", over_socket=False).status == 403
    assert gw.admin("POST", KEYS, body, over_socket=False).status in (401, 403)
    assert gw.admin("GET", KEYS, token="look-only-0123456789", over_socket=False).status == 200


def test_a_state_that_cannot_be_written_makes_no_key(origin, gateway):
    gw = guarded(gateway, origin)
    path = os.path.join(gw.home, "state", "keys.json")
    os.makedirs(path)  # a rename over a folder fails, also for root
    reply = gw.admin("POST", KEYS, {"consumer": "a"})
    assert (reply.status, reply.json()["reason"]) == (500, "state_unwritable"), reply
    assert gw.admin("GET", KEYS).json()["keys"] == []
    os.rmdir(path)
    assert ask(gw, add(gw)["key"]).status == 200


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 2, "keys": []}', '{"version": 1, "keys": [{"hash": "x"}]}'])
def test_a_damaged_file_is_set_aside(origin, gateway, text):
    gw = gateway(origin, filters=[{"api_key": {}}], run=False)
    folder = os.path.join(gw.home, "state")
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "keys.json"), "w") as file:
        file.write(text)
    gw.start()
    assert "damaged" in gw.stderr()
    with open(os.path.join(folder, "keys.json.damaged")) as file:
        assert file.read() == text
    assert ask(gw, add(gw)["key"]).status == 200


# -- the command


def test_the_command(origin, gateway):
    gw = guarded(gateway, origin)
    made = gw.cli("key", "add", "ann", "--tier", "gold", "--expires", "720h")
    assert made.code == 0, made
    key = made.out.strip()
    assert ask(gw, key).status == 200
    listed = gw.cli("key", "list")
    assert "ann" in listed.out and "gold" in listed.out and key not in listed.out
    name = gw.cli("key", "list", "--json").json()["keys"][0]["id"]
    assert gw.cli("key", "revoke", name).code == 0
    refused(ask(gw, key))
    assert gw.cli("key", "revoke", name).code == 1
    for words in ((), ("add",), ("revoke",), ("list", "x"), ("make", "ann")):
        assert gw.cli("key", *words).code == 2, words


@pytest.mark.parametrize(
    "options, says",
    [
        ({"keys": [{"consumer": "a"}]}, "hash"),
        ({"keys": [{"hash": "00" * 32}]}, "consumer"),
        ({"keys": [{"hash": "00" * 31, "consumer": "a"}]}, "not a SHA-256"),
        ({"keys": [{"hash": KEY, "consumer": "a"}]}, "not a SHA-256"),
        ({"keys": [{"hash": "zz" * 32, "consumer": "a"}]}, "not a SHA-256"),
        ({"keys": [written(expires="soon")]}, "no day or second"),
        ({"keys": [written(expires="2027-13-01")]}, "no day or second"),
        ({"header": "off"}, "nothing says where"),
        ({"header": "a b"}, "not the name of a field"),
        ({"realm": '"'}, "realm"),
    ],
)
def test_wrong_configurations(gateway, origin, options, says):
    gw = gateway(origin, filters=[{"api_key": options}], run=False)
    done = run("check", str(gw.file))
    assert done.code == 2 and says in done.err, done
    assert KEY not in done.err
