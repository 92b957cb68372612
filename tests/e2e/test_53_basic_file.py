# SPDX-License-Identifier: Apache-2.0
"""Users in a file of htpasswd's form: which lines are good, and what happens when it changes."""

import base64
import crypt
import os
import subprocess
import time

import pytest

from lib.gateway import run
from lib.wait import SLOW, until

QUICK = crypt.crypt("swordfish", "$2y$05$abcdefghijklmnopqrstuu")
YESCRYPT = crypt.crypt("swordfish", "$y$j75$saltsaltsalt$")
SHA512 = crypt.crypt("swordfish", "$6$saltsalt$")
PATIENCE = 20 * SLOW


def login(name, password="swordfish"):
    return [("Authorization", "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode())]


class Users:
    def __init__(self, home):
        self.path = os.path.join(home, "users")

    def write(self, *lines, end="\n"):
        """Puts the lines into the file, at once."""
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write("".join(line + end for line in lines))
        os.rename(self.path + ".new", self.path)
        return self


@pytest.fixture
def users(home):
    return Users(home)


def guarded(gateway, origin, file, **options):
    filters = [{"basic": {"file": file.path, **options}}, {"headers": {"request": {"set": {"x-who": "${consumer}"}}}},
               {"rate_limit": "off"}]
    return gateway(origin, filters=filters)


def test_every_kind_of_hash(origin, gateway, users):
    users.write("# people", "", "ann:" + QUICK, "bob:" + YESCRYPT, "cyd:" + SHA512 + ":Cyd", "dée:" + QUICK, end="\r\n")
    gw = guarded(gateway, origin, users)
    for name in ("ann", "bob", "cyd", "dée", "ann"):
        assert gw.get("/", login(name)).status == 200
        assert origin.requests[-1].header("x-who") == name.encode().decode("latin-1")
    for name in ("eve", "Ann", "an", "anna", "# people", ""):
        assert gw.get("/", login(name)).status == 401
    assert gw.get("/", login("ann", "wrong")).status == 401


def test_users_of_both(origin, gateway, users):
    users.write("ann:" + crypt.crypt("other", "$2b$05$abcdefghijklmnopqrstuu"), "bob:" + QUICK)
    gw = guarded(gateway, origin, users, users={"ann": QUICK})
    assert gw.get("/", login("ann")).status == 200  # the configuration's counts
    assert gw.get("/", login("ann", "other")).status == 401
    assert gw.get("/", login("bob")).status == 200


def test_a_changed_file_counts_by_itself(origin, gateway, users):
    users.write("ann:" + QUICK)
    gw = guarded(gateway, origin, users)
    assert gw.get("/", login("ann")).status == 200  # remembered from here on
    users.write("bob:" + QUICK)
    until(lambda: gw.get("/", login("bob")).status == 200, "the new file counts", PATIENCE)
    assert gw.get("/", login("ann")).status == 401
    users.write("bob:" + crypt.crypt("marlin", "$2b$05$abcdefghijklmnopqrstuu"))
    until(lambda: gw.get("/", login("bob", "marlin")).status == 200, "another password", PATIENCE)
    assert gw.get("/", login("bob")).status == 401
    assert gw.stderr().count("was read again: 1 users") == 2


@pytest.mark.parametrize("lines, says", [
    (["ann:" + QUICK, "eve:$apr1$saltsalt$qjXMvbEw8oaL.CzflDtaK/"], ":2: it is apr1 (MD5)"),
    (["ann:" + QUICK, "", "eve:swordfish"], ":3: it is plain text"),
    (["ann:{SHA}jGl25bVBBBW96Qi9Te4V37Fnqchz/Eu4qB9vKrRIqRg="], ":1: it is SHA-1"),
    (["ann:$1$saltsalt$qjXMvbEw8oaL.CzflDtaK/"], ":1: it is MD5"),
    (["ann:rl0uE0G1tDoZA"], ":1: it is plain text, or of a method"),
    (["ann:" + QUICK[:-1]], ":1: it is damaged"),
    (["ann:" + QUICK.replace("$05$", "$20$")], ":1: it would take seconds"),
    (["ann"], ":1: this is not NAME:HASH"),
    ([":" + QUICK], ":1: a user's name has 1 to 256 bytes"),
    (["a" * 300 + ":" + QUICK], ":1: a user's name has 1 to 256 bytes"),
    (["a\tb:" + QUICK], ":1: a user's name has no colon"),
    (["ann:"], ":1: it is plain text"),
    (["ann:" + QUICK, "ann:" + YESCRYPT], 'the user "ann" is there twice'),
    (["# nobody"], "there are no users in it"),
    ([], "there are no users in it"),
])
def test_files_that_cannot_be_used(origin, gateway, users, lines, says):
    users.write(*lines)
    made = gateway(origin, filters=[{"basic": {"file": users.path}}], run=False)
    done = run("check", str(made.file))
    assert done.code == 2 and says in done.err and "sluice.yaml:" in done.err, done
    for secret in (QUICK, QUICK[:-1], "swordfish", "qjXMvbEw8oaL", "jGl25bVBBBW96", "rl0uE0G1tDoZA"):
        assert secret not in done.err


def test_no_file(origin, gateway, users, home):
    for path, says in ((users.path, "No such file"), (home, "it is not a file"), ("", "empty")):
        made = gateway(origin, filters=[{"basic": {"file": path}}], run=False)
        done = run("check", str(made.file))
        assert done.code == 2 and says in done.err, done


def test_what_cannot_be_used_leaves_the_users_as_they_were(origin, gateway, users):
    users.write("ann:" + QUICK)
    gw = guarded(gateway, origin, users)
    users.write("bob:" + QUICK, "eve:swordfish")
    until(lambda: "the users that were read before stay" in gw.stderr(), "word of the bad file", PATIENCE)
    assert ":2: it is plain text" in gw.stderr() and "swordfish" not in gw.stderr()
    assert gw.get("/", login("ann")).status == 200
    assert gw.get("/", login("bob")).status == 401
    os.unlink(users.path)
    until(lambda: "cannot be read: No such file" in gw.stderr(), "word of the file that is gone", PATIENCE)
    assert gw.get("/", login("ann")).status == 200
    users.write("bob:" + QUICK)
    until(lambda: gw.get("/", login("bob")).status == 200, "a good file counts again", PATIENCE)


@pytest.mark.parametrize("lines", [(), ("# nobody", "")])
def test_who_is_taken_out_last_is_out(origin, gateway, users, lines):
    users.write("ann:" + QUICK)
    gw = guarded(gateway, origin, users)
    assert gw.get("/", login("ann")).status == 200
    users.write(*lines)
    until(lambda: gw.get("/", login("ann")).status == 401, "nobody is left", PATIENCE)
    assert gw.get("/", login("")).status == gw.get("/", login("", "")).status == 401
    users.write("bob:" + QUICK)
    until(lambda: gw.get("/", login("bob")).status == 200, "somebody is there again", PATIENCE)


def test_a_change_while_requests_run(origin, gateway, users):
    users.write(*(f"user{n}:{QUICK}" for n in range(2000)))
    gw = guarded(gateway, origin, users)
    seen = set()
    until_time = time.monotonic() + 4
    round_ = 0
    with gw.connect() as client:
        while time.monotonic() < until_time:
            if round_ % 50 == 0:
                users.write(*(f"user{n}:{QUICK}" for n in range(2000)), f"more{round_}:{QUICK}")
            round_ += 1
            seen.add(client.request("GET", "/", login(f"user{round_ % 40}")).reply().status)
    assert seen == {200}


def test_a_file_that_htpasswd_has_made(origin, gateway, users):
    subprocess.run(["htpasswd", "-cbB", "-C", "5", users.path, "ann", "swordfish"], check=True, capture_output=True)
    assert guarded(gateway, origin, users).get("/", login("ann")).status == 200
