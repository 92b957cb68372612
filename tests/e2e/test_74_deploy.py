# SPDX-License-Identifier: Apache-2.0
"""Deploys: what becomes of good and bad releases, what people may say on the way, and what a killed control, edge or
hook changes."""

import json
import os
import signal
import subprocess
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from lib.client import Client
from lib.gateway import refused_port, run
from lib.wait import SLOW, until

# What a busy machine makes of times of a few milliseconds is no matter of these tests.
CALM = {"latency": "off"}
QUICK = {"bake": "200ms", "drain": "2s", "keep": "1h", "healthy": "4s", "verdict": CALM}
HEALTH = {"interval": "1s", "fast_interval": "100ms", "fall": 1}
WAIT = 60 * SLOW


class Shop:
    """A gateway with the service `shop`, whose release `stable` is in its file; others as they come."""

    def __init__(self, gateway, origins, deploy, **service):
        self.origins, self.made = origins, {}
        stable = self.origin("stable")
        deploy = {**QUICK, **deploy, "verdict": {**CALM, **deploy.get("verdict", {})}}
        self.gw = gateway(services={"shop": {"targets": [stable.address], "health": HEALTH, "assign": {"by": "cookie"},
                                             "deploy": deploy, **service}})
        until(self.has_control, "control answers", 30 * SLOW)

    def has_control(self):
        return self.gw.admin("GET", "/api/v1/deploys").status == 200

    def origin(self, name, answer=None):
        made = self.origins()
        made.name = name
        made.on("/")(answer or (lambda conn, request: conn.respond(200, name.encode())))
        self.made[name] = made
        return made

    def deploy(self, release, *words, answer=None, target=None, **options):
        target = target or self.origin(release, answer).address
        return self.gw.cli("deploy", "shop", "--release", release, "--target", target, *words, timeout=WAIT, **options)

    def begin(self, release, *words, answer=None):
        done = self.deploy(release, "--detach", *words, answer=answer)
        assert done.code == 0, done
        return done.out.strip()

    def show(self, ident):
        reply = self.gw.admin("GET", f"/api/v1/deploys/{ident}")
        return reply.json() if reply.status == 200 else {"phase": "unknown", "log": [], "outcome": "unknown"}

    def wait(self, ident, phase):
        until(lambda: self.show(ident)["phase"] == phase, phase, WAIT, lambda: str(self.show(ident)))

    def wait_outcome(self, ident, outcome):
        until(lambda: self.show(ident)["outcome"] == outcome, outcome, WAIT, lambda: str(self.show(ident)))
        return self.show(ident)

    def serves(self, name, count=20):
        got = {self.gw.get("/").text for _ in range(count)}
        assert got == {name}, got

    def releases(self):
        service = next(s for s in self.gw.status()["services"] if s["name"] == "shop")
        return {r["id"]: r["share"] for r in service["releases"]}

    def control(self):
        return next(pid for pid, line in self.gw.members() if " control " in line)

    def kill_control(self):
        before = self.control()
        os.kill(before, signal.SIGKILL)
        until(lambda: any(" control " in line and pid != before for pid, line in self.gw.members()), "another control", WAIT)


@pytest.fixture
def shop(gateway, origins):
    return lambda deploy=None, **service: Shop(gateway, origins, deploy or {}, **service)


class Load:
    """Requests all the time; what came."""

    def __init__(self, gw, threads=4):
        self.gw, self.counts, self.wrong = gw, Counter(), []
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        with Client(("127.0.0.1", self.gw.port)) as client:
            while not self.stopped.is_set():
                reply = client.get("/")
                self.counts[reply.text] += 1
                if reply.status != 200:
                    self.wrong.append(reply)

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.stop()


# -- what becomes of releases


def test_a_good_release(shop):
    s = shop()
    with Load(s.gw, 2) as load:
        done = s.deploy("2")
    assert done.code == 0 and "release 2 is live in all workers of all edges; stable stays warm" in done.out, done
    assert not load.wrong
    s.serves("2")
    assert s.releases() == {"2": 1000000, "stable": 0}
    assert s.gw.get("/").header("X-Sluice-Release") == "2"


def test_the_old_one_goes_when_its_time_is_over(shop):
    s = shop({"keep": "500ms"})
    assert s.deploy("2").code == 0
    s.wait("d1", "done")
    until(lambda: s.releases() == {"2": 1, "stable": 0}, "only what the file has is left")
    assert not [t for t in s.gw.targets("shop").values() if t["release"] == "stable"]
    os.kill(s.gw.edge, signal.SIGKILL)
    until(s.gw.is_ready, "the edge back")
    s.serves("2")
    assert s.deploy("3").code == 0
    s.serves("3")
    s.wait("d2", "done")
    until(lambda: set(s.releases()) == {"3", "stable"}, "2 is forgotten")


def test_one_that_never_gets_healthy(shop, ports):
    s = shop({"healthy": "1s"})
    with Load(s.gw, 2) as load:
        done = s.deploy("2", target=f"127.0.0.1:{refused_port(ports)}")
    assert done.code == 1 and "did not become healthy in time" in done.err and "release stable serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"stable"}
    assert set(s.releases()) == {"stable"}


def test_a_canary_that_fails(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "1s"}]})
    with Load(s.gw) as load:
        done = s.deploy("2", answer=lambda conn, request: conn.respond(500, b"bad"))
    assert done.code == 1 and "release stable serves" in done.err, done
    assert not load.wrong and set(load.counts) == {"stable"}  # no client saw any of it
    assert set(s.releases()) == {"stable"}


def test_a_canary_that_is_good(shop):
    verdict = {"errors": {"margin": "20%"}, "latency": "off", "minimum": 20}
    s = shop({"strategy": "canary", "verdict": verdict, "steps": [{"share": "20%", "for": "500ms"}, {"share": "50%", "for": "500ms"}]})
    with Load(s.gw) as load:
        done = s.deploy("2")
    assert done.code == 0 and "step 2 of 3: 50% to release 2" in done.out, done
    assert not load.wrong and load.counts["2"] and load.counts["stable"]
    s.serves("2")


def test_too_few_requests_end_in_a_question(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "0s"}], "verdict": {"max_time": "1s"}})
    done = s.deploy("2")
    assert done.code == 4 and "sluice approve d1" in done.err, done
    assert s.show("d1")["phase"] == "not enough data" and s.releases() == {"stable": 900000, "2": 100000}
    assert s.gw.cli("retry", "d1").code == 0
    assert s.gw.cli("deploy", "--follow", "d1").code == 4
    assert s.gw.cli("approve", "d1").code == 0
    assert s.gw.cli("deploy", "--follow", "d1", timeout=WAIT).code == 0
    s.serves("2")


@pytest.mark.parametrize("answer, code", [("fail", 1), ("pass", 0)])
def test_too_few_requests_as_configured(shop, answer, code):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "0s"}], "verdict": {"max_time": "1s", "on_no_data": answer}})
    assert s.deploy("2").code == code


def test_one_that_fails_after_the_switch(shop):
    s = shop({"keep": "1h"})
    good = threading.Event()
    good.set()
    assert s.deploy("2", answer=lambda conn, request: conn.respond(200 if good.is_set() else 500, b"2")).code == 0
    good.clear()
    with Load(s.gw):
        s.wait("d1", "undone")
    assert "requests of release 2 failed" in s.show("d1")["why"]
    s.serves("stable")


def test_recreate(shop):
    s = shop({"strategy": "recreate"}, hold={"timeout": "20s"})
    assert s.deploy("2").code == 0
    s.serves("2")


# -- hooks


def test_hooks_run_in_their_order(shop):
    s = shop({"hooks": {"pre": ["echo one $SLUICE_SERVICE >> said"], "migrate": [{"run": "echo two $SLUICE_RELEASE >> said"}],
                        "smoke": ["echo three $SLUICE_TARGETS >> said", "echo four >> said"],
                        "post": ["echo five $SLUICE_OLD >> said; echo to be seen"]}})
    done = s.deploy("2")
    assert done.code == 0 and "| to be seen" in done.out, done
    said = next(path for path in (s.gw.home / "said", s.gw.state / "said") if path.exists()).read_text()
    assert said == f"one shop\ntwo 2\nthree {s.made['2'].address}\nfour\nfive stable\n"


@pytest.mark.parametrize("kind, line, why", [
    ("pre", "echo no way; exit 3", "it exited with 3"), ("migrate", "exit 1", "it exited with 1"),
    ("smoke", "kill -9 $$", "it was ended by signal 9"), ("smoke", {"run": "sleep 60", "timeout": "300ms"}, "it took longer"),
])
def test_a_hook_that_fails_ends_it(shop, kind, line, why):
    s = shop({"hooks": {kind: [line]}})
    done = s.deploy("2")
    assert done.code == 1 and f"hook {kind} failed: {why}" in done.err, done
    s.serves("stable")
    assert set(s.releases()) == {"stable"}


def test_the_last_hook_changes_nothing(shop):
    s = shop({"hooks": {"post": ["exit 1"]}})
    assert s.deploy("2").code == 0
    assert "hook post failed" in s.show("d1")["why"]


@pytest.mark.parametrize("status, code", [(204, 0), (500, 1)])
def test_a_webhook(shop, status, code):
    told = []

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(status)
            self.end_headers()

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    s = shop({"hooks": {"smoke": [{"url": f"http://127.0.0.1:{server.server_port}/hook"}]}})
    assert s.deploy("2").code == code
    server.shutdown()
    server.server_close()
    assert [(t["hook"], t["service"], t["release"], t["old"]) for t in told] == [("smoke", "shop", "2", "stable")]


# What is cut after so many bytes is cut within a character; bytes that are none; and a screen's controls.
ODD_WORDS = ("x" + "ж" * 300).encode(), ("ж" * 300).encode(), b"caf\xe9 \xff\xfe", b"\x1b[31mred\x1b[0m", b"a\0b", \
            ("ж" * 3000 + "end").encode(), ("€" * 3000 + "end").encode()


@pytest.mark.parametrize("kind", ["run", "url"])
def test_a_hook_may_say_anything(shop, kind):
    said = [b"\n".join(ODD_WORDS[:-2]), *ODD_WORDS[-2:]]

    class Hook(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(said[int(self.path[1:])])

        def log_message(self, *words):
            pass

    server = HTTPServer(("127.0.0.1", 0), Hook)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    hooks = [f"printf '{''.join(f'{chr(92)}{byte:03o}' for byte in text)}'" for text in said]
    urls = [{"url": f"http://127.0.0.1:{server.server_port}/{number}"} for number in range(len(said))]
    s = shop({"hooks": {"pre": hooks if kind == "run" else urls}})
    done = s.deploy("2")
    server.shutdown()
    server.server_close()
    assert done.code == 0, done
    lines = [line["text"] for line in s.show("d1")["log"]]
    assert "  | x" + "ж" * 199 in lines and "  | " + "ж" * 200 in lines, lines
    assert "  | caf\ufffd \ufffd\ufffd" in lines and "  | ?[31mred?[0m" in lines and "  | a?b" in lines, lines
    assert "  | €" + "€" * 132 in lines and not any("\ufffdж" in line or "\ufffd€" in line for line in lines), lines
    s.kill_control()
    until(s.has_control, "control answers", 30 * SLOW)
    assert [line["text"] for line in s.show("d1")["log"]][:len(lines)] == lines


# -- words


def test_approval(shop):
    s = shop({"strategy": "canary", "steps": [{"approval": True}]})
    assert s.deploy("2").code == 4
    s.serves("stable")
    assert s.gw.cli("approve", "d1").code == 0
    s.wait_outcome("d1", "live")
    s.serves("2")


def test_who_may_not_approve_passes_no_approval(shop):
    tokens = {word: f"{word}-token-0123456789" for word in ("deploy", "approve")}
    s = shop({"strategy": "canary", "steps": [{"approval": True}]})
    s.gw.change(admin={"tokens": [{"name": w, "token": t, "can": ["deploy", w]} for w, t in tokens.items()]})
    s.gw.reload()
    assert s.deploy("2").code == 4

    def promote(word):
        return s.gw.admin("POST", "/api/v1/deploys/d1/promote", over_socket=False, token=tokens[word])

    refused = promote("deploy")
    assert (refused.status, refused.json()["reason"]) == (403, "forbidden") and '"approve"' in refused.json()["detail"]
    s.serves("stable")
    assert promote("approve").status == 200
    s.wait_outcome("d1", "live")


def test_abort(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "1h"}]})
    ident = s.begin("2")
    s.wait(ident, "watching")
    assert s.releases()["2"] == 100000
    assert s.gw.cli("abort", ident).code == 0
    assert s.wait_outcome(ident, "aborted")["why"] == "it was aborted"
    assert set(s.releases()) == {"stable"}
    again = s.gw.cli("abort", ident)
    assert again.code == 1 and "the deploy is over" in again.err


def test_promote(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "1h"}]})
    ident = s.begin("2")
    s.wait(ident, "watching")
    assert s.gw.cli("promote", ident).code == 0
    s.wait_outcome(ident, "live")
    assert s.gw.cli("promote", ident).code == 0  # the warm time is over
    s.wait(ident, "done")


def test_rollback_is_a_split_away(shop):
    s = shop()
    assert s.deploy("2").code == 0
    assert s.gw.cli("rollback", "shop").code == 0
    s.wait_outcome("d1", "rolled_back")
    s.serves("stable")
    again = s.gw.cli("rollback", "shop")
    assert again.code == 1 and "No release of \"shop\" is warm" in again.err, again


def test_the_next_deploy_ends_the_warm_time(shop):
    s = shop()
    assert s.deploy("2").code == 0
    body = {"service": "shop", "release": "3", "targets": [s.origin("3").address]}
    first = s.gw.admin("POST", "/api/v1/deploys", body)
    assert (first.status, first.json()["reason"]) == (409, "deploy_ending")
    s.wait("d1", "done")
    assert s.deploy("3").code == 0
    s.serves("3")


def test_what_is_refused_leaves_the_warm_release(shop):
    s = shop()
    assert s.deploy("2").code == 0
    assert refused(s, release="2") == (409, "release_serves")
    assert refused(s, release="3", targets=["nowhere"]) == (422, "deploy_invalid")
    assert s.show("d1")["phase"] == "live" and "rollback" in s.show("d1")["words"]
    assert s.gw.cli("rollback", "shop").code == 0
    s.wait_outcome("d1", "rolled_back")
    s.serves("stable")


def test_what_people_split_afterwards_stays(shop):
    s = shop({"keep": "100ms"})
    assert s.deploy("2").code == 0
    s.wait("d1", "done")
    other = s.origin("other")
    assert s.gw.cli("target", "add", "shop", other.address, "--release", "other").code == 0
    until(lambda: s.gw.cli("split", "shop", "other=1").code == 0, "the deploy lets go of it", WAIT)
    s.kill_control()
    until(s.has_control, "control answers", WAIT)
    until(lambda: s.show("d1")["outcome"] == "live", "it has read what there was")
    assert s.gw.cli("reload").code == 0
    s.serves("other")


def test_no_way_back_behind_a_breaking_migration(shop):
    s = shop({"hooks": {"migrate": ["true"]}})
    assert s.deploy("2", "--breaking").code == 0
    done = s.gw.cli("rollback", "shop")
    assert done.code == 1 and "its migration is declared breaking" in done.err, done
    s.serves("2")


# -- what is refused before anything is done


@pytest.mark.parametrize("key", ["clé", "ключ", "a\tb"])
def test_a_key_that_cannot_be_kept(shop, key):
    s = shop()
    fields = [("Idempotency-Key", key.encode().decode("latin-1"))]
    for path, body in (("deploys", {"service": "shop", "release": "2", "targets": ["127.0.0.1:1"]}),
                       ("services/shop/rollback", {})):
        reply = s.gw.admin("POST", f"/api/v1/{path}", body, headers=fields)
        assert (reply.status, reply.json()["reason"]) == (400, "idempotency_key_invalid")
    assert s.gw.admin("GET", "/api/v1/deploys").json()["deploys"] == []
    assert s.deploy("2").code == 0


def refused(s, **body):
    reply = s.gw.admin("POST", "/api/v1/deploys", {"service": "shop", "release": "2", "targets": ["127.0.0.1:1"], **body})
    return reply.status, reply.json()["reason"]


def test_conflicts_are_found_at_once(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "1h"}]})
    assert refused(s, service="sohp") == (404, "service_not_found")
    assert refused(s, release="stable") == (409, "release_serves")
    for wrong in ({"release": "a b"}, {"release": 5}, {"targets": []}, {"targets": [5]}, {"targets": ["a b:1"]}, {"service": None}):
        assert refused(s, **wrong) == (422, "deploy_invalid"), wrong
    ident = s.begin("2")
    assert refused(s, release="3") == (409, "deploy_runs")
    s.wait(ident, "watching")
    reply = s.gw.admin("PUT", "/api/v1/services/shop/split", {"stable": 1})
    assert reply.json()["reason"] == "deploy_runs"
    for word, why in [("approve", "nothing waits"), ("retry", "nothing has to be tried")]:
        done = s.gw.cli(word, ident)
        assert done.code == 1 and why in done.err, done
    assert s.gw.cli("abort", "d99").code == 1


def test_the_same_request_again_is_the_same_deploy(shop):
    s = shop()
    body = {"service": "shop", "release": "2", "targets": [s.origin("2").address]}
    first, again = (s.gw.admin("POST", "/api/v1/deploys", body, headers=[("Idempotency-Key", "k1")]).json() for _ in range(2))
    assert first["id"] == again["id"] == "d1"
    assert len(s.gw.admin("GET", "/api/v1/deploys").json()["deploys"]) == 1


def test_only_so_many_are_kept(shop):
    s = shop()
    for number in range(54):
        until(lambda n=number: s.gw.admin("POST", "/api/v1/deploys", {"service": "shop", "release": f"r{n}", "targets": ["127.0.0.1:1"]}
                                          ).status == 201, "it begins", WAIT)
        ident = f"d{number + 1}"
        until(lambda i=ident: s.gw.admin("POST", f"/api/v1/deploys/{i}/abort").status in (200, 409), "it is aborted", WAIT)
        s.wait_outcome(ident, "aborted")
    listed = [d["id"] for d in s.gw.admin("GET", "/api/v1/deploys").json()["deploys"]]
    assert listed[0] == "d54" and 50 <= len(listed) <= 51 and "d1" not in listed
    s.kill_control()
    until(s.has_control, "control answers", WAIT)
    assert [d["id"] for d in s.gw.admin("GET", "/api/v1/deploys").json()["deploys"]] == listed


@pytest.mark.parametrize("words", [[], ["shop"], ["shop", "--target", "127.0.0.1:1"], ["a", "b", "--release", "2"]])
def test_wrong_use_of_the_command(shop, words):
    assert shop().gw.cli("deploy", *words).code == 2


# -- processes that die


@pytest.mark.parametrize("phase", ["waiting for health", "watching", "baking", "live"])
def test_control_that_is_killed_goes_on(shop, ports, phase):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "2s"}], "bake": "2s", "healthy": "30s",
              "verdict": {"max_time": "1s", "on_no_data": "pass"}})
    target = f"127.0.0.1:{refused_port(ports)}" if phase == "waiting for health" else s.origin("2").address
    done = s.gw.cli("deploy", "shop", "--release", "2", "--target", target, "--detach")
    with Load(s.gw, 2) as load:
        s.wait("d1", phase)
        s.kill_control()
        if phase == "waiting for health":
            s.wait("d1", phase)
            assert s.gw.cli("abort", "d1").code == 0
            s.wait_outcome("d1", "aborted")
        else:
            assert s.gw.cli("deploy", "--follow", "d1", timeout=WAIT).code == 0
    assert not load.wrong, load.wrong[:3]
    s.serves("stable" if phase == "waiting for health" else "2")
    assert any("control has restarted" in line["text"] for line in s.show("d1")["log"]), done


def test_a_migration_under_which_control_dies(shop):
    s = shop({"hooks": {"migrate": ["echo run >> runs; test -f ready || sleep 60"]}})
    ident = s.begin("2")
    runs = s.gw.home / "runs"
    until(lambda: runs.exists() or (s.gw.state / "runs").exists(), "the migration runs")
    s.kill_control()
    assert s.wait_outcome(ident, "asks")["why"] == "it is not known how the migration ended"
    place = runs.parent if runs.exists() else s.gw.state
    assert (place / "runs").read_text() == "run\n"  # nobody runs it twice unasked
    (place / "ready").touch()
    assert s.gw.cli("retry", ident).code == 0
    s.wait_outcome(ident, "live")
    assert (place / "runs").read_text() == "run\nrun\n"


def test_an_edge_that_is_killed(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "30%", "for": "2s"}], "verdict": {"max_time": "1s", "on_no_data": "pass"}})
    ident = s.begin("2")
    s.wait(ident, "watching")
    os.kill(s.gw.edge, signal.SIGKILL)
    until(s.gw.is_ready, "the edge back")
    assert s.gw.cli("deploy", "--follow", ident, timeout=WAIT).code == 0
    s.serves("2")


def test_a_command_that_is_interrupted_leaves_the_deploy(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "1h"}]})
    command = subprocess.Popen([s.gw.binary, "deploy", "shop", "--release", "2", "--target", s.origin("2").address],
                               cwd=s.gw.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    until(lambda: s.show("d1")["phase"] == "watching", "it is under way", WAIT)
    command.send_signal(signal.SIGINT)
    out, err = command.communicate(timeout=WAIT)
    assert command.returncode == 0 and "deploy d1 goes on" in err, (out, err)
    assert s.show("d1")["phase"] == "watching"


def test_an_answer_that_was_lost_is_asked_for_again_not_the_deploy(origins):
    gateway, asked = origins(), []

    @gateway.on("/api/v1/deploys")
    def begin(conn, request):
        asked.append(request.header("Idempotency-Key"))
        if len(asked) < 3:
            conn.respond(503, json.dumps({"reason": "control_unavailable", "detail": "lost"}).encode())
        else:
            conn.respond(201, json.dumps({"id": "d7"}).encode())

    words = ("deploy", "shop", "--release", "2", "--target", "127.0.0.1:1", "--detach", "--admin", f"http://{gateway.address}")
    done = run(*words, timeout=WAIT)
    assert (done.code, done.out) == (0, "d7\n"), done
    assert len(asked) == 3 and len(set(asked)) == 1 and len(asked[0]) == 32
    assert run(*words, timeout=WAIT).code == 0
    assert len(set(asked)) == 2  # another deploy is another

    gateway.on("/api/v1/deploys")(lambda conn, request: (asked.append(None), conn.respond(409, b'{"detail": "No, and once is enough."}')))
    del asked[:]
    done = run(*words, timeout=WAIT)
    assert done.code == 1 and "once is enough" in done.err and len(asked) == 1, done
