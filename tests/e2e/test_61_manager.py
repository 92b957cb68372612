# SPDX-License-Identifier: Apache-2.0
"""The manager: signals to the edge itself, draining to the last byte, what outlives an edge, and what it never says."""

import json
import os
import signal
import subprocess
import threading

import pytest

from lib.gateway import run
from lib.wait import DEADLINE, ms, until
from test_60_reload_upgrade import crasher  # noqa: F401

# -- signals


def hold(origin, path="/slow"):
    """The origin answers on `path` when the event is set."""
    go = threading.Event()

    @origin.on(path)
    def slow(conn, request):
        go.wait(60)
        conn.respond(200, b"slow")

    return go


def is_draining(gw):
    return gw.status()["draining"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_group_lets_requests_finish(origin, gateway, number):
    go = hold(origin)
    gw = gateway(origin, timeouts={"drain": "60s"})
    busy = gw.connect().request("GET", "/slow")
    origin.wait_heads(1)
    os.killpg(gw.pid, number)
    until(lambda: is_draining(gw), "draining")
    go.set()
    assert busy.reply().text == "slow"
    assert gw.wait_exit() == 0


def test_a_second_signal_to_the_edge_ends_it_now(origin, gateway):
    hold(origin)
    gw = gateway(origin, timeouts={"drain": "10m"})
    old = gw.edge
    busy = gw.connect().request("GET", "/slow")
    origin.wait_heads(1)
    os.kill(old, signal.SIGTERM)
    until(lambda: is_draining(gw), "draining")
    os.kill(old, signal.SIGINT)
    busy.wait_end()
    until(lambda: gw.is_ready() and gw.edge != old, "the supervisor has started another")


def test_signals_for_the_supervisor_do_nothing_to_an_edge(origin, gateway):
    gw = gateway(origin)
    edge = gw.edge
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        os.kill(edge, number)
    assert gw.get().text == "ok"
    assert gw.edge == edge and gw.generation == 1


SLOW_NAMES = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
    int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) =
        dlsym(RTLD_NEXT, "getaddrinfo");
    const char *asked = getenv("NAME_ASKED"), *go = getenv("NAME_GO");
    if (asked && go && node && !strcmp(node, "localhost")) {
        close(open(asked, O_WRONLY | O_CREAT, 0600));
        while (access(go, F_OK))
            poll(NULL, 0, 10);
    }
    return next(node, service, hints, list);
}
"""


def test_a_signal_before_the_first_configuration_serves(origin, gateway, home):
    source, library = os.path.join(home, "names.c"), os.path.join(home, "names.so")
    asked, go = os.path.join(home, "asked"), os.path.join(home, "go")
    with open(source, "w") as file:
        file.write(SLOW_NAMES)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    gw = gateway(origin, run=False)
    gw.change(services={"app": {"targets": ["localhost:1"]}})
    env = {"LD_PRELOAD": library, "NAME_ASKED": asked, "NAME_GO": go, "ASAN_OPTIONS": "verify_asan_link_order=0"}
    gw.start(env=env, ready=False)
    until(lambda: os.path.exists(asked), "a name is being resolved")
    os.kill(gw.pid, signal.SIGTERM)
    until(lambda: "stopping" in gw.stderr(), "the supervisor stops")
    with open(go, "w"):
        pass
    assert gw.wait_exit() == 0
    assert "signal=" not in gw.stderr()


# -- draining


def test_what_waits_to_be_accepted_is_answered(origin, gateway):
    gw = gateway(origin, timeouts={"drain": "60s"})
    os.kill(gw.edge, signal.SIGSTOP)
    clients = [gw.connect().request("GET", f"/{n}") for n in range(200)]
    os.kill(gw.pid, signal.SIGTERM)
    until(lambda: "stopping" in gw.stderr(), "the supervisor stops")
    os.kill(gw.edge, signal.SIGCONT)
    assert [client.reply().status for client in clients] == [200] * len(clients)
    assert gw.wait_exit() == 0


def test_a_slow_reader_gets_the_whole_answer_while_draining(origin, gateway):
    size = 8_000_000

    @origin.on("/large")
    def large(conn, request):
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {size}\r\n\r\n")
        conn.send(b"x" * size, 60)

    gw = gateway(origin, timeouts={"drain": "60s"})
    client = gw.connect(receive_buffer=4096).request("GET", "/large")
    head = client.head()
    os.kill(gw.pid, signal.SIGTERM)
    until(lambda: is_draining(gw), "draining")
    assert len(client.body(head).body) == size
    assert gw.wait_exit() == 0


def test_requests_finish_without_a_supervisor(origin, gateway):
    go = hold(origin)
    gw = gateway(origin, timeouts={"drain": "60s"})
    busy = gw.connect().request("GET", "/slow")
    origin.wait_heads(1)
    os.kill(gw.pid, signal.SIGKILL)
    gw.process.wait(DEADLINE)
    until(lambda: "draining" in gw.stderr(), "the edge drains")
    go.set()
    assert busy.reply().text == "slow"
    until(lambda: not gw.members(), "the edge has ended")


# -- a configuration that waits to be confirmed


def put(gw, config, query):
    reply = gw.admin("PUT", "/api/v1/config" + query, json.dumps(config))
    assert reply.status == 200, reply
    return reply


def waits(gw):
    return gw.status()["config"].get("confirm_until_ms")


def test_an_upgrade_goes_on_waiting_for_the_confirmation(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    fresh = {**gw.config, "services": {"app": {"targets": [new.address]}}}
    until_ms = put(gw, fresh, "?confirm=10m").json()["confirm_until_ms"]
    edge = gw.edge
    gw.signal(signal.SIGUSR2)
    until(lambda: gw.is_ready() and edge not in gw.edges(), "the new edge serves")
    gw.get()
    assert new.requests and not old.requests
    assert abs(waits(gw) - until_ms) < 5000
    assert gw.admin("POST", "/api/v1/config/confirm").status == 200
    assert waits(gw) is None
    assert not (gw.state / "unconfirmed.json").exists()
    assert json.loads(gw.file.read_text()) == fresh


def test_the_next_edge_reverts_when_the_time_has_come(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    before = gw.file.read_text()
    put(gw, {**gw.config, "services": {"app": {"targets": [new.address]}}}, f"?confirm={ms(3000)}")
    edge = gw.edge
    os.kill(edge, signal.SIGKILL)
    until(lambda: gw.is_ready() and gw.edge != edge, "another edge")
    until(lambda: gw.file.read_text() == before and waits(gw) is None, "reverted")
    gw.get()
    assert old.requests and not (gw.state / "unconfirmed.json").exists()


def test_a_second_replacement_counts_anew(origins, gateway):
    first, second, third = origins(), origins(), origins()
    gw = gateway(first)
    before = gw.file.read_text()
    put(gw, {**gw.config, "services": {"app": {"targets": [second.address]}}}, "?confirm=1m")
    until_ms = put(gw, {**gw.config, "services": {"app": {"targets": [third.address]}}}, "?confirm=10m").json()[
        "confirm_until_ms"
    ]
    note = json.loads((gw.state / "unconfirmed.json").read_text())
    assert abs(note["deadline_ms"] - until_ms) < 5000
    assert note["old"] == before


# -- the last good configuration


@pytest.mark.long
def test_a_reload_takes_the_users_file_while_the_last_good_one_serves(origins, gateway, crasher):
    old, new = origins(), origins()
    gw = gateway(old, run=False)
    gw.start(env={"LD_PRELOAD": crasher, "CRASH_FILE": str(gw.file), "ASAN_OPTIONS": "verify_asan_link_order=0"})
    kept = gw.state / "last-good" / str(gw.file).lstrip("/")
    until(kept.exists, "this configuration has lasted", 3 * DEADLINE)
    good = gw.config
    gw.change(routes=[{"name": "crash-marker", "service": "app"}])
    os.kill(gw.edge, signal.SIGKILL)
    until(lambda: "last configuration" in gw.stderr() and gw.is_ready(), "the last good configuration", 6 * DEADLINE)
    told = gw.status()["config"]
    assert told["path"] == str(gw.file) and told["last_good"] is True
    gw.write({**good, "services": {"app": {"targets": [new.address]}}})
    assert gw.admin("POST", "/api/v1/reload").status == 200
    told = gw.status()["config"]
    assert told["path"] == str(gw.file) and told["last_good"] is False
    gw.get()
    assert new.requests


# -- listeners


def test_more_listeners_than_there_are_places_fail_the_reload(origin, gateway, ports):
    gw = gateway(origin)
    binds = [{"bind": f"unix:{gw.home}/l{n}.sock"} for n in range(70)]
    before = gw.config
    gw.change(listeners=[*before["listeners"], *binds])
    reply = gw.admin("POST", "/api/v1/reload")
    assert reply.status == 422 and "more than 64 listeners" in reply.text
    assert gw.get().text == "ok"
    gw.write(before)
    assert gw.admin("POST", "/api/v1/reload").status == 200


def test_listeners_may_come_and_go_for_ever(origin, gateway):
    gw = gateway(origin)
    before = gw.config
    for n in range(80):
        gw.write({**before, "listeners": [*before["listeners"], {"bind": f"unix:{gw.home}/l{n}.sock"}]})
        reply = gw.admin("POST", "/api/v1/reload")
        assert reply.status == 200, reply
    assert gw.get().text == "ok"


# -- what is never said

WRONG = {
    "another error on the line": 'admin: {tokens: [{name: a, token: s3cret-word, can: [reads]}]}\n',
    "a key that is misspelt": 'admin: {tokens: [{name: a, tokn: s3cret-word, can: [read]}]}\n',
    "no YAML": 'admin: {tokens: [{name: a, "token": s3cret-word, can: [read}]}\n',
    "of the wrong kind": 'admin: {tokens: [{name: a, token: [s3cret-word], can: [read]}]}\n',
}


@pytest.mark.parametrize("what", WRONG)
def test_a_secret_is_not_quoted(home, what):
    path = os.path.join(home, "wrong.yaml")
    with open(path, "w") as file:
        file.write("services: {a: {targets: ['127.0.0.1:1']}}\n" + WRONG[what])
    done = run("check", path)
    said = done.out + done.err
    assert done.code == 2 and "wrong.yaml:2:" in said
    assert "s3cret" not in said and "***" in said


# -- who may ask


def test_a_token_makes_up_for_a_strange_host(origin, gateway):
    tokens = [{"name": "t", "token": "right-token-of-t", "can": ["read"]}]
    gw = gateway(origin, run=False)
    gw.change(admin={"tokens": tokens}).start()
    strange = {"over_socket": False, "host": "gateway.internal:9900"}
    assert gw.admin("GET", "/api/v1/status", **strange).status == 421
    assert gw.admin("GET", "/api/v1/status", token="wrong-token-of-t", **strange).status == 421
    assert gw.admin("GET", "/api/v1/status", token="right-token-of-t", **strange).status == 200


# -- stopping while everything runs


def test_reloads_under_way_do_not_hinder_the_end(origin, gateway):
    gw = gateway(origin, workers=2)
    calls = [gw.admin for _ in range(4)]

    def reload(call):
        try:
            call("POST", "/api/v1/reload")
        except (OSError, AssertionError):
            pass  # the gateway ends meanwhile

    threads = [threading.Thread(target=reload, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    gw.signal(signal.SIGTERM)
    assert gw.wait_exit() == 0
    for thread in threads:
        thread.join()
