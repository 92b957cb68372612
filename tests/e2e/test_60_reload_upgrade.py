# SPDX-License-Identifier: Apache-2.0
"""Changing what runs: reload, upgrade, drain, crashes. What runs already is never disturbed."""

import os
import shutil
import signal
import threading

import pytest

from lib.client import Client
from lib.gateway import BIN, run
from lib.load import Load
from lib.wait import DEADLINE, SLOW, ms, stays, until

UPGRADE = "GET /t HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n"
HELD = 3_000_000


class Held:
    """An idle connection, a tunnel and a download that stay open over what a test does."""

    def __init__(self, origin, gw):
        self.go = threading.Event()

        @origin.on("/t")
        def tunnel(conn, request):
            conn.send("HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")
            while conn.buffer or conn.fill("tunnel bytes", 600):
                data, conn.buffer = conn.buffer, b""
                conn.send(data)
            return "end"

        @origin.on("/download")
        def download(conn, request):
            conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {HELD}\r\n\r\n" + "x" * 1000)
            self.go.wait(300)
            conn.send(b"x" * (HELD - 1000), 60)

        self.idle = gw.connect()
        assert self.idle.get().text == "ok"
        self.tunnel = gw.send(UPGRADE)
        assert self.tunnel.head().status == 101
        self.download = gw.connect().request("GET", "/download")
        self.head = self.download.head()
        self.download.until(b"x" * 1000, "the first bytes")

    def echo(self, data=b"still there"):
        self.tunnel.send(data)
        assert self.tunnel.exactly(len(data), "the echo") == data

    def finish(self, is_idle_kept=True):
        self.echo()
        self.go.set()
        assert len(self.download.exactly(HELD - 1000, "the rest")) == HELD - 1000
        if is_idle_kept:
            assert self.idle.get().text == "ok"
        self.tunnel.close()


# -- reload


@pytest.mark.parametrize("how", ["hup", "cli", "api"])
def test_a_reload_takes_the_new_file(origins, gateway, how):
    old, new = origins(), origins()
    gw = gateway(old)
    client = gw.connect()
    assert client.get().text == "ok"
    gw.change(services={"app": {"targets": [new.address]}})
    gw.reload(how)
    assert client.get().text == "ok"  # the same connection, the new target
    assert len(old.requests) == 1 and len(new.requests) == 1
    assert gw.metric("sluice_config_last_reload_successful") == 1
    assert gw.metric("sluice_config_generation") == 2


def test_a_reload_cuts_nothing(origin, gateway):
    gw = gateway(origin, workers=2)
    held = Held(origin, gw)
    pid = gw.edge
    with Load(gw) as load:
        for n in range(10):
            gw.change(routes=[{"name": f"r{n}", "service": "app"}], limits={"body": f"{n + 1}MiB"})
            gw.reload()
            held.echo()
            load.grow(5)
    load.check(50)
    assert gw.edge == pid
    held.finish()


def test_a_reload_that_removes_the_route_lets_what_runs_finish(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old)
    held = Held(old, gw)
    gw.write({**gw.config, "services": {"other": {"targets": [new.address]}}})
    gw.reload()
    assert gw.get().text == "ok" and new.requests
    held.finish()


@pytest.mark.parametrize("how", ["hup", "cli", "api"])
def test_a_bad_file_changes_nothing(origin, gateway, how):
    gw = gateway(origin)
    held = Held(origin, gw)
    gw.change(services={"app": {"balanse": "random"}})
    if how == "hup":
        gw.signal(signal.SIGHUP)
    elif how == "cli":
        done = gw.cli("reload")
        assert done.code in (1, 2), done
        assert "balanse" in done.out + done.err and "balance" in done.out + done.err
    else:
        reply = gw.admin("POST", "/api/v1/reload")
        assert reply.status == 422 and reply.header("Content-Type") == "application/problem+json"
        assert "balanse" in reply.text and "sluice.yaml:" in reply.text  # file:line:col
    until(lambda: gw.metric("sluice_config_last_reload_successful") == 0, "the failure shown")
    assert gw.metric("sluice_config_generation") == 1
    assert gw.get().text == "ok"
    held.finish()
    gw.change(services={"app": {"balanse": None}})
    gw.reload()
    assert gw.metric("sluice_config_last_reload_successful") == 1


def test_reloads_are_counted(origin, gateway):
    gw = gateway(origin)
    gw.reload()
    gw.reload()
    gw.write("nonsense: [")
    assert gw.admin("POST", "/api/v1/reload").status == 422
    found = {dict(k)["result"]: v for k, v in gw.metrics().series("sluice_config_reloads_total").items()}
    assert sorted(v for v in found.values() if v) == [1, 2], found


def test_a_vanished_file_changes_nothing(origin, gateway):
    gw = gateway(origin)
    gw.file.rename(gw.home / "away")
    assert gw.admin("POST", "/api/v1/reload").status == 422
    assert gw.get().text == "ok"
    (gw.home / "away").rename(gw.file)
    gw.reload()


def test_listeners_come_and_go_with_a_reload(origin, gateway, ports):
    gw = gateway(origin)
    more = ports.take()
    first = {"bind": f"127.0.0.1:{gw.port}"}
    kept = gw.connect()
    assert kept.get().text == "ok"
    gw.change(listeners=[first, {"bind": f"127.0.0.1:{more}"}])
    gw.reload()
    with Client(("127.0.0.1", more)) as client:
        assert client.get().text == "ok"
    gw.change(listeners=[first])
    gw.reload()
    until(lambda: is_refused(more), "the listener gone")
    assert kept.get().text == "ok"


def is_refused(port):
    try:
        Client(("127.0.0.1", port), timeout=1).close()
        return False
    except ConnectionRefusedError:
        return True


def test_a_listener_that_cannot_be_opened_fails_the_reload(origin, gateway):
    gw = gateway(origin)
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}"}, {"bind": origin.address}])
    reply = gw.admin("POST", "/api/v1/reload", timeout=30)
    assert reply.status == 422 and origin.address in reply.text
    assert gw.get().text == "ok"


def test_workers_become_more_and_fewer(origin, gateway):
    gw = gateway(origin, workers=4)
    gw.change(workers=1)
    gw.reload()
    for _ in range(60):  # a socket that nobody polls would hang some of these
        assert gw.get().text == "ok"
    gw.change(workers=3)
    gw.reload()
    for _ in range(60):
        assert gw.get().text == "ok"


def test_counters_survive_a_reload(origin, gateway):
    gw = gateway(origin)
    for _ in range(3):
        gw.get()
    gw.reload()
    gw.get()
    gw.wait_metric("sluice_http_requests_total", 4, route="app", code="200")


def test_pools_survive_a_reload(origin, gateway):
    gw = gateway(origin)
    for _ in range(5):
        gw.get()
        gw.reload()
    gw.get()
    assert len(origin.connections) == 1


def test_watch_reloads_when_the_file_changes(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(old, extra=["--watch"])
    gw.get()
    gw.change(services={"app": {"targets": [new.address]}})
    until(lambda: gw.generation == 2, "a reload by itself")
    gw.get()
    assert len(new.requests) == 1
    gw.write("services: [broken")
    until(lambda: gw.metric("sluice_config_last_reload_successful") == 0, "the failure noticed")
    assert gw.get().text == "ok"


def test_watch_sees_included_files(origins, gateway):
    old, new = origins(), origins()
    gw = gateway(run=False)
    part = gw.home / "services.yaml"
    part.write_text(f"services: {{app: {{targets: ['{old.address}']}}}}\n")
    gw.change(include=["services.yaml"]).start(extra=["--watch"])
    assert gw.get().text == "ok"
    part.write_text(f"services: {{app: {{targets: ['{new.address}']}}}}\n")
    until(lambda: gw.generation == 2, "a reload by itself")
    gw.get()
    assert len(new.requests) == 1


# -- draining


def test_term_drains(origin, gateway):
    go = threading.Event()

    @origin.on("/slow")
    def slow(conn, request):
        go.wait(60)
        conn.respond(200, b"slow")

    gw = gateway(origin, timeouts={"drain_delay": ms(700), "drain": "20s"})
    idle = gw.connect()
    assert idle.get().text == "ok"
    busy = gw.connect().request("GET", "/slow")
    origin.wait_heads(2)
    gw.signal(signal.SIGTERM)
    until(lambda: not_ready(gw), "readyz turns 503 first")
    assert gw.get().text == "ok"  # while the delay lasts new connections are served
    until(lambda: is_refused(gw.port), "no new connections")
    assert gw.process.poll() is None
    idle.wait_end()
    go.set()
    reply = busy.reply()
    assert reply.text == "slow" and reply.closes
    assert gw.wait_exit() == 0


def not_ready(gw):
    """readyz says 503, or nothing any more."""
    with Client(("127.0.0.1", gw.admin_port)) as client:
        reply = client.get("/readyz", host=gw.admin_host)
        return reply.status == 503


def test_drain_has_an_end(origin, gateway):
    @origin.on("/forever")
    def forever(conn, request):
        conn.wait_end()
        return "end"

    gw = gateway(origin, timeouts={"drain": ms(500)})
    client = gw.connect().request("GET", "/forever")
    origin.wait_heads(1)
    gw.signal(signal.SIGINT)
    assert gw.wait_exit() == 0
    client.wait_end()


def test_a_second_term_ends_it_now(origin, gateway):
    @origin.on("/forever")
    def forever(conn, request):
        conn.wait_end()
        return "end"

    gw = gateway(origin, timeouts={"drain": "10m"})
    gw.connect().request("GET", "/forever")
    origin.wait_heads(1)
    gw.signal(signal.SIGTERM)
    until(lambda: not_ready(gw), "draining")
    gw.signal(signal.SIGTERM)
    gw.wait_exit()
    until(lambda: not gw.members(), "nothing left")


def test_keep_alive_connections_are_told_while_draining(origin, gateway):
    gw = gateway(origin, timeouts={"drain_delay": "0s", "drain": "20s"})
    go = threading.Event()
    origin.on("/slow")(lambda conn, request: go.wait(60) and conn.respond(200, b"x"))
    busy = gw.connect().request("GET", "/slow")
    origin.wait_heads(1)
    gw.signal(signal.SIGTERM)
    until(lambda: not_ready(gw), "draining")
    go.set()
    assert busy.reply().closes
    assert gw.wait_exit() == 0


# -- crashes


def test_kill_of_the_edge_refuses_no_connect(origin, gateway):
    gw = gateway(origin, workers=2)
    refused, answered = [], []
    stop = threading.Event()

    def knock():
        while not stop.is_set():
            try:
                with Client(("127.0.0.1", gw.port)) as client:
                    if client.get().status == 200:
                        answered.append(1)
            except ConnectionRefusedError as error:
                refused.append(error)
            except (ConnectionError, AssertionError):
                pass  # what was in flight may be lost

    threads = [threading.Thread(target=knock, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    pid = gw.edge
    for _ in range(2):
        until(lambda: len(answered) > 10, "traffic")
        os.kill(gw.edge, signal.SIGKILL)
        pid = until(lambda old=pid: [edge for edge in gw.edges() if edge != old], "a new edge")[-1]
        answered.clear()
        until(lambda: answered, "back at once", 3 * SLOW)
    stop.set()
    for thread in threads:
        thread.join(20)
    assert not refused


def test_the_supervisor_keeps_its_pid_over_crashes(origin, gateway):
    gw = gateway(origin)
    os.kill(gw.edge, signal.SIGABRT)
    until(lambda: gw.is_ready(), "ready again")
    assert gw.get().text == "ok"
    assert gw.process.poll() is None
    assert "exit" in gw.stderr() or "signal" in gw.stderr() or "died" in gw.stderr()


CRASHER = r"""
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static int holds(const char *path, const char *word)
{
    static char text[1 << 16];
    int fd = open(path, O_RDONLY);
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    return n > 0 && (text[n] = 0, strstr(text, word) != NULL);
}
__attribute__((constructor)) static void start(int argc, char **argv)
{
    int is_edge = 0, is_last_good = 0;
    for (int i = 1; i < argc; i++) {
        is_edge |= !strcmp(argv[i], "edge");
        is_last_good |= !strcmp(argv[i], "--last-good");
    }
    const char *file = getenv("CRASH_FILE");
    if (is_edge && !is_last_good && file && holds(file, "crash-marker"))
        abort();
}
"""


@pytest.fixture
def crasher(home):
    """A library that makes the edge abort at start while the file holds a marker."""
    import subprocess

    source, library = os.path.join(home, "crash.c"), os.path.join(home, "crash.so")
    with open(source, "w") as file:
        file.write(CRASHER)
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    return library


@pytest.mark.long
def test_after_a_crash_loop_the_last_good_configuration_serves(origin, gateway, crasher):
    gw = gateway(origin, run=False)
    gw.start(env={"LD_PRELOAD": crasher, "CRASH_FILE": str(gw.file), "ASAN_OPTIONS": "verify_asan_link_order=0"})
    assert gw.get().text == "ok"
    until(lambda: any("last" in p.name for p in gw.state.rglob("*")), "this configuration has lasted", 3 * DEADLINE)
    gw.change(routes=[{"name": "crash-marker", "service": "app"}])
    os.kill(gw.edge, signal.SIGKILL)
    until(lambda: "last" in gw.stderr().lower() and gw.is_ready(), "the last good configuration", 6 * DEADLINE)
    assert gw.get().text == "ok"
    members = " ".join(line for _, line in gw.members())
    assert "--last-good" in members
    assert gw.status()["config"]["last_good"] is True


# -- upgrade


@pytest.mark.parametrize("how", ["signal", "cli"])
def test_an_upgrade_cuts_nothing(origin, gateway, how):
    gw = gateway(origin, workers=2, timeouts={"drain": "60s"})
    held = Held(origin, gw)
    old = gw.edge
    with Load(gw) as load:
        load.grow(20)
        upgrade(gw, how)
        until(lambda: any(p != old for p in gw.edges()), "a new edge")
        load.grow(100)
        assert gw.process.poll() is None  # the same pid
        held.echo()
    load.check(100)
    held.finish(is_idle_kept=False)
    until(lambda: old not in gw.edges(), "the old edge ended")
    assert gw.get().text == "ok"


def upgrade(gw, how):
    if how == "cli":
        done = gw.cli("upgrade")
        assert done.code == 0, done
    else:
        gw.signal(signal.SIGUSR2)


def test_several_upgrades_in_a_row(origin, gateway):
    gw = gateway(origin, timeouts={"drain": "20s"})
    with Load(gw, new_connection_each=True) as load:
        for _ in range(3):
            old = gw.edges()[-1]
            upgrade(gw, "signal")
            until(lambda old=old: (now := gw.edges()) and old not in now, "the old edge replaced")
            load.grow(10)
    load.check(30)


def test_draining_edges_stay_visible(origin, gateway):
    gw = gateway(origin, timeouts={"drain": "60s"})
    held = Held(origin, gw)
    old = gw.edge
    upgrade(gw, "cli")
    until(lambda: any(p != old for p in gw.edges()), "a new edge")
    until(lambda: gw.draining().get(old, {}).get("in_flight") == 2, "status shows the draining one, and what it still does")
    held.finish(is_idle_kept=False)
    until(lambda: not gw.draining(), "and no longer")


def test_at_most_two_generations_drain(origin, gateway):
    gw = gateway(origin, timeouts={"drain": "120s"})
    kept = []
    for _ in range(2):
        old = gw.edges()[-1]
        kept.append(Held(origin, gw))
        upgrade(gw, "cli")
        until(lambda old=old: set(gw.edges()) - {old}, "a new edge")
        until(gw.is_ready, "ready")
        until(lambda old=old: old in gw.draining(), "draining shown")
    done = gw.cli("upgrade")
    assert done.code == 1, done
    reply = gw.admin("POST", "/api/v1/upgrade")
    assert reply.status == 409, reply
    for held in kept:
        held.finish(is_idle_kept=False)


def test_a_new_binary_that_fails_its_check_is_not_taken(origin, gateway):
    gw = gateway(origin, run=False)
    gw.binary = str(gw.home / "sluice")
    shutil.copy(BIN, gw.binary)
    gw.start()
    old = gw.edge
    os.rename(gw.binary, gw.binary + ".old")
    with open(gw.binary, "w") as file:
        file.write("#!/bin/sh\nexit 3\n")
    os.chmod(gw.binary, 0o755)
    done = run("upgrade", cwd=gw.home)
    assert done.code == 1, done
    gw.signal(signal.SIGUSR2)
    stays(lambda: gw.edges() == [old], "the old edge alone")
    assert gw.get().text == "ok"


def test_a_new_binary_is_taken(origin, gateway):
    gw = gateway(origin, run=False)
    gw.binary = str(gw.home / "sluice")
    shutil.copy(BIN, gw.binary)
    gw.start()
    old = gw.edge
    shutil.copy(BIN, gw.binary + ".new")
    os.rename(gw.binary + ".new", gw.binary)
    upgrade(gw, "signal")
    until(lambda: gw.edges() and old not in gw.edges(), "a new edge")
    assert os.readlink(f"/proc/{gw.pid}/exe") == gw.binary
    assert gw.get().text == "ok"


def test_an_upgrade_whose_edge_crashes_at_start_leaves_the_old_one_serving(origin, gateway, crasher):
    gw = gateway(origin, run=False)
    gw.start(env={"LD_PRELOAD": crasher, "CRASH_FILE": str(gw.file), "ASAN_OPTIONS": "verify_asan_link_order=0"})
    held = Held(origin, gw)
    old = gw.edge
    gw.change(routes=[{"name": "crash-marker", "service": "app"}])
    gw.signal(signal.SIGUSR2)
    stays(lambda: old in gw.edges(), "the old edge serves on", 3 * SLOW)
    assert gw.get().text == "ok"
    held.finish()
    gw.change(routes=[{"name": "fine", "service": "app"}])
    upgrade(gw, "signal")
    until(lambda: gw.edges() and old not in gw.edges(), "the next upgrade succeeds")


def test_an_upgrade_beside_another_role_leaves_nothing_alone(origin, gateway):
    gw = gateway(origin)
    held = Held(origin, gw)
    old = gw.edge
    gw.change(role="control", control={"edges": [{"name": "far", "url": "http://127.0.0.1:9", "token": "t" * 32}]})
    upgrade(gw, "signal")
    until(lambda: old in gw.draining(), "a new edge, beside which the old one drains")
    assert "role control" in gw.stderr()
    assert gw.get().text == "ok"
    held.finish(is_idle_kept=False)
    until(lambda: old not in gw.edges(), "the old edge ended")
    gw.signal(signal.SIGTERM)
    gw.process.wait(DEADLINE)


# -- logs


def test_usr1_opens_the_log_anew(origin, gateway):
    gw = gateway(origin)
    gw.get("/before")
    gw.log("/before")
    gw.log_file.rename(gw.home / "rotated")
    gw.get("/between")
    gw.signal(signal.SIGUSR1)
    until(gw.log_file.exists, "a new file")
    gw.get("/after")
    gw.log("/after")
    until(lambda: b"/between" in (gw.home / "rotated").read_bytes() + gw.log_file.read_bytes(), "no line lost")


# -- rights


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop rights")
def test_user_drops_rights(origin, gateway):
    import pwd

    gw = gateway(origin, user="nobody", log={"path": "stdout"}, run=False)
    os.chmod(gw.home.parent, 0o755)
    os.chmod(gw.home, 0o777)
    gw.start()
    assert gw.get().text == "ok"
    uid = pwd.getpwnam("nobody").pw_uid
    with open(f"/proc/{gw.edge}/status") as file:
        uids = next(line for line in file if line.startswith("Uid:")).split()[1:]
    assert set(uids) == {str(uid)}
    gw.change(routes=[{"name": "again", "service": "app"}])
    os.chmod(gw.file, 0o644)
    gw.reload()
    assert gw.get().text == "ok"


def test_edges_end_with_their_supervisor(origin, gateway):
    gw = gateway(origin)
    edge = gw.edge
    os.kill(gw.pid, signal.SIGKILL)
    gw.process.wait(10)
    until(lambda: not os.path.exists(f"/proc/{edge}") or is_zombie(edge), "the edge went too")


def is_zombie(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


