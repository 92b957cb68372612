# SPDX-License-Identifier: Apache-2.0
"""Names and passwords: who passes, what a browser is told, and that checks, which take long, hold nobody else up."""

import base64
import crypt
import os
import subprocess
import threading

import pytest

from lib.gateway import run
from lib.wait import SLOW, until

QUICK = crypt.crypt("swordfish", "$2b$05$abcdefghijklmnopqrstuu")
SLOW_HASH = crypt.crypt("swordfish", "$2b$11$abcdefghijklmnopqrstuu")
YESCRYPT = crypt.crypt("swordfish", "$y$j75$saltsaltsalt$")


def sha512():
    words = ["openssl", "passwd", "-6", "-salt", "saltsalt", "swordfish"]
    return subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()


def login(name, password):
    return [("Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())]


def guarded(gateway, origin, users=None, **options):
    return gateway(origin, filters=[{"basic": {"users": users or {"ann": QUICK}, **options}}, {"rate_limit": "off"}])


def refused(reply, reason):
    assert (reply.status, reply.reason) == (401, reason), reply
    assert reply.header("WWW-Authenticate") == 'Basic realm="sluice", charset="UTF-8"'
    assert reply.header("Content-Type") == "application/problem+json"


@pytest.mark.parametrize("hashed", [QUICK, QUICK.replace("$2b", "$2y"), QUICK.replace("$2b", "$2a"), YESCRYPT, sha512()])
def test_every_kind_of_hash(origin, gateway, hashed):
    gw = guarded(gateway, origin, {"ann": hashed})
    for _ in range(2):
        assert gw.get(headers=login("ann", "swordfish")).status == 200
    refused(gw.get(headers=login("ann", "Swordfish")), "credentials_invalid")
    refused(gw.get(headers=login("bob", "swordfish")), "credentials_invalid")
    refused(gw.get(), "credentials_missing")
    assert len(origin.requests) == 2


def test_names_and_passwords_of_all_letters(origin, gateway):
    users = {"Zoë": crypt.crypt("pässwörd:with:colons", "$2b$05$abcdefghijklmnopqrstuu")}
    gw = guarded(gateway, origin, users)
    assert gw.get(headers=login("Zoë", "pässwörd:with:colons")).status == 200
    refused(gw.get(headers=login("zoë", "pässwörd:with:colons")), "credentials_invalid")


@pytest.mark.parametrize(
    "value",
    [
        "Basic",
        "Basic ",
        "Basic YW5u",  # no colon
        "Basic YW5uOnN3b3JkZmlzaA",  # no padding
        "Basic YW5uOnN3b3JkZmlzaA=",
        "Basic YW5uOnN3b3JkZmlzaA===",
        "Basic YW5uOnN3b3JkZmlzaA==x",
        "Basic YW5uOnN3b3JkZmlzaB==",  # spare bits
        "Basic YW5uOnN3 b3JkZmlzaA==",
        "Basic Og==",
        "Basic " + base64.b64encode(b"ann:swordfish\x00").decode(),
        "Basic " + base64.b64encode(b"ann:sword\nfish").decode(),
        "Basic " + base64.b64encode(b"ann:" + b"a" * 300).decode(),
        "Basic " + "A" * 8000,
        "Basic ====",
        "Bearer YW5uOnN3b3JkZmlzaA==",
        "YW5uOnN3b3JkZmlzaA==",
        "Basic\tYW5uOnN3b3JkZmlzaA==",
    ],
)
def test_malformed_credentials(origin, gateway, value):
    gw = guarded(gateway, origin)
    reply = gw.get(headers=[("Authorization", value)])
    assert reply.status == 401 and reply.has("WWW-Authenticate")
    assert not origin.requests
    assert gw.get(headers=login("ann", "swordfish")).status == 200


def test_two_credentials_are_none(origin, gateway):
    gw = guarded(gateway, origin)
    refused(gw.get(headers=login("ann", "swordfish") * 2), "credentials_invalid")


def test_what_was_right_is_quick_the_second_time(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH})
    with gw.connect() as client:
        begun = gw.metric("process_cpu_seconds_total")
        assert client.get(headers=login("ann", "swordfish")).status == 200
        checked = gw.metric("process_cpu_seconds_total")
        for _ in range(10):
            assert client.get(headers=login("ann", "swordfish")).status == 200
        known = gw.metric("process_cpu_seconds_total")
        assert known - checked < (checked - begun) * 5  # ten without a check cost less than five with one


def test_a_check_holds_no_other_request_up(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH, "eve": QUICK}, realm="a place")
    assert gw.get(headers=login("eve", "swordfish")).status == 200
    slow = [gw.connect().request("GET", "/", login("ann", f"wrong{n}")) for n in range(4)]
    assert gw.get(headers=login("eve", "swordfish")).status == 200
    for client in slow:
        reply = client.reply()
        assert reply.status == 401 and 'realm="a place"' in reply.header("WWW-Authenticate")


def test_unknown_users_take_as_long(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH})

    def spent(name):
        begun = gw.metric("process_cpu_seconds_total")
        for number in range(5):
            assert gw.get(headers=login(name, f"wrong{number}")).status == 401
        return gw.metric("process_cpu_seconds_total") - begun

    there, not_there = spent("ann"), spent("nobody")
    assert there / 2 < not_there < there * 2


def test_a_flood_of_checks_is_refused_and_ends(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH, "eve": QUICK})
    clients = [gw.connect().request("GET", "/", login("ann", f"wrong{n}")) for n in range(40)]
    replies = [client.reply() for client in clients]
    full = [r for r in replies if r.status == 503]
    assert full and {r.status for r in replies} == {401, 503}
    assert all(r.reason == "password_checks_full" and r.has("Retry-After") for r in full)
    until(lambda: gw.get(headers=login("eve", "swordfish")).status == 200, "others are served again")


def test_clients_that_go_away_while_they_wait(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH})
    for number in range(30):
        client = gw.connect().request("GET", "/", login("ann", f"wrong{number}"))
        client.close()
    until(lambda: gw.get(headers=login("ann", "swordfish")).status == 200, "the queue is empty again", 20 * SLOW)
    gw.reload()
    assert gw.get(headers=login("ann", "swordfish")).status == 200


def test_an_edge_that_ends_while_passwords_are_checked(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH})
    client = gw.connect().request("GET", "/", login("ann", "swordfish"))
    gw.signal(15)
    assert client.reply().status in (200, 503)
    assert gw.wait_exit() == 0


def test_many_at_once_with_one_password_need_one_check(origin, gateway):
    gw = guarded(gateway, origin, {"ann": SLOW_HASH}, realm="x")
    replies = []

    def ask():
        replies.append(gw.get(headers=login("ann", "swordfish")).status)

    threads = [threading.Thread(target=ask) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert replies == [200] * 6


def test_a_reload_with_another_hash_ends_the_old_password(origin, gateway):
    gw = guarded(gateway, origin)
    assert gw.get(headers=login("ann", "swordfish")).status == 200
    fresh = crypt.crypt("marlin", "$2b$05$abcdefghijklmnopqrstuu")
    gw.change(filters=[{"basic": {"users": {"ann": fresh}}}, {"rate_limit": "off"}])
    gw.reload()
    refused(gw.get(headers=login("ann", "swordfish")), "credentials_invalid")
    assert gw.get(headers=login("ann", "marlin")).status == 200


@pytest.mark.parametrize(
    "options, says",
    [
        ({}, "users"),
        ({"users": {}}, "no users"),
        ({"users": {"ann": "swordfish"}}, "cannot be used"),
        ({"users": {"ann": "$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/"}}, "cannot be used"),
        ({"users": {"ann": QUICK[:-1]}}, "damaged"),
        ({"users": {"ann": QUICK.replace("$05$", "$20$")}}, "seconds"),
        ({"users": {"a:b": QUICK}}, "colon"),
        ({"users": {"ann": QUICK}, "realm": 'a"b'}, "realm"),
        ({"users": ["ann"]}, "expected a map"),
    ],
)
def test_wrong_configurations(gateway, origin, options, says):
    gw = gateway(origin, filters=[{"basic": options}], run=False)
    done = run("check", str(gw.file))
    assert done.code == 2 and says in done.err, done
    assert "swordfish" not in done.err and "qjXMvbEw8oaL" not in done.err


def test_passwords_are_never_said(origin, gateway, home):
    gw = guarded(gateway, origin)
    gw.get(headers=login("ann", "swordfish"))
    gw.get(headers=login("ann", "wrongfish"))
    gw.logs(2)
    said = gw.log_file.read_text() + gw.stderr() + str(gw.status())
    for word in ("swordfish", "wrongfish", QUICK, login("ann", "swordfish")[0][1][6:]):
        assert word not in said
    assert os.path.exists(gw.log_file)
