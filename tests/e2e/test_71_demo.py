# SPDX-License-Identifier: Apache-2.0
"""`sluice demo` and `sluice proxy`: what they print works as typed, and nothing of them is left at the end. Deploys of
the demo's store, and what a terminal shows of them."""

import json
import os
import re
import signal
import subprocess

import pytest

from lib.client import Client
from lib.gateway import _REPORT, BIN, run
from lib.ports import blocked
from lib.terminal import Terminal
from lib.wait import DEADLINE, SLOW, until

DEPLOY = 90 * SLOW  # seconds that one of the store may take


class Foreground:
    """A command that serves until it is told to end, in a session of its own with a TMPDIR of its own."""

    def __init__(self, home, name, *words):
        self.home = os.path.join(home, name)
        self.scratch = os.path.join(self.home, "t")
        os.makedirs(self.scratch)
        env = {k: v for k, v in os.environ.items() if k not in ("XDG_RUNTIME_DIR", "SLUICE_SCRATCH", "SLUICE_ADMIN")}
        self.out = open(os.path.join(self.home, "out"), "w+")
        self.process = subprocess.Popen(
            [BIN, *words], cwd=self.home, env={**env, "TMPDIR": self.scratch}, stdin=subprocess.DEVNULL,
            stdout=self.out, stderr=subprocess.STDOUT, start_new_session=True,
        )

    def text(self):
        with open(self.out.name, errors="replace") as file:
            return file.read()

    def has_ended(self):
        return self.process.poll() is not None

    def wait_ready(self, count=1):
        until(lambda: self.has_ended() or self.text().count("edge ready") >= count, f"readiness: {self.text()}")
        assert not self.has_ended(), self.text()
        return self

    def find(self, pattern):
        found = re.search(pattern, self.text())
        assert found, (pattern, self.text())
        return found[1]

    @property
    def port(self):
        return int(self.find(r"gateway on http://127\.0\.0\.1:(\d+)/"))

    @property
    def admin_port(self):
        return int(self.find(r"dashboard: http://127\.0\.0\.1:(\d+)/"))

    def commands(self):
        """Every line that is meant to be typed."""
        return re.findall(r"^  (\S.*)$", self.text(), re.M)

    def get(self, target):
        with Client(("127.0.0.1", self.port)) as client:
            return client.get(target, host=f"127.0.0.1:{self.port}")

    def members(self):
        """Processes of the session, without zombies."""
        found = []
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as file:
                    fields = file.read().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[3]) == self.process.pid and fields[0] != "Z":
                found.append(int(entry))
        return found

    def store_apps(self):
        """{pid: release} of the store's processes, which are children of the supervisor in sessions of their own."""
        found = {}
        for entry in filter(str.isdigit, os.listdir("/proc")):
            try:
                with open(f"/proc/{entry}/stat") as file:
                    parent = int(file.read().rpartition(")")[2].split()[1])
                with open(f"/proc/{entry}/cmdline") as file:
                    words = file.read().split("\0")
            except OSError:
                continue
            if parent == self.process.pid and words[1:2] == ["demo-app"]:
                found[int(entry)] = words[2]
        return found

    def end(self, number=signal.SIGINT):
        """As a terminal would: to the whole group. Nothing may be left."""
        apps = self.store_apps()
        try:
            if not self.has_ended():
                os.killpg(self.process.pid, number)
            assert self.process.wait(DEADLINE + 10) == 0, self.text()
            until(lambda: not self.members(), "no process left")
            assert not [pid for pid in apps if os.path.exists(f"/proc/{pid}")]
            assert os.listdir(self.scratch) == []
            assert not _REPORT.search(self.text()), self.text()
        finally:
            self.kill()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait()
        self.out.close()


@pytest.fixture
def foreground(home):
    made = []

    def start(*words):
        made.append(Foreground(home, f"f{len(made)}", *words))
        return made[-1]

    yield start
    for process in made:
        process.kill()


@pytest.fixture
def demo(foreground):
    started = foreground("demo").wait_ready()
    yield started
    started.end()


@pytest.fixture
def store(demo):
    """A demo whose store serves its first release; gives what runs a command on it."""
    until(lambda: "Release v1 of store is live" in demo.text(), f"v1: {demo.text()}", DEPLOY)
    env = {"SLUICE_ADMIN": demo.find(r"SLUICE_ADMIN=(\S+)")}
    demo.cli = lambda *words: run(*words, env=env, timeout=DEPLOY)
    demo.env = env
    return demo


def typed(command, code=0):
    """What a person's shell makes of a line."""
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=DEPLOY)
    assert done.returncode == code, (command, done)
    return done.stdout


# -- demo

EXPECTED = {
    r"curl http://\S+:\d+/ ": r"Demo app (one|two)",
    r"curl http://\S+/api/headers": r'"app": "two".*"path": "/headers".*"X-Forwarded-For"',
    r"curl -d hello \S+/echo": r"^hello$",
    r"curl 'http://\S+/slow\?ms=\d+'": r"GET /slow",
    r"curl -i http://\S+/status/503": r"^HTTP/1.1 503 .*app (one|two)",
    r"curl -i http://\S+/old": r"^HTTP/1.1 308 .*Location: /\?from=/old",
    r"curl http://\S+/robots\.txt": r"User-agent: \*\nDisallow: /api/",
    r"curl http://\S+/metrics": r'sluice_http_requests_total\{route="shop",code="200"\} \d',
    r"\S+ status$": r"shop .*\bone\b",
    r"\S+ routes --match http": r"=> api ",
    r"\S+ target drain shop one": r"generation \d+ is live",
    r"\S+ target enable shop one": r"generation \d+ is live",
    r"\S+ reload": r"generation \d+ is live",
    r"tail \S+/access.log": r'"path":"/',
    r"curl \S+/store/x": r"^app v1: GET /x$",
    r"\S+ deploy store --release v2": r"20% to release v2.*50% to release v2.*release v2 is live",
    r"\S+ deploy store --release bad": r"20% to release bad.*release bad is gone; v2 serves",
    r"\S+ rollback store": r"release v1 is live|v1 serves",
    r"\S+ history store": r"deploy",
}


@pytest.mark.long
def test_every_printed_line_works_as_typed(store):
    demo = store
    lines = demo.commands()
    export = next(line for line in lines if line.startswith("export "))
    left = dict(EXPECTED)
    for line in lines:
        if line == export:
            continue
        pattern = next((p for p in left if re.match(p, line)), None)
        assert pattern, f"nothing is known of: {line}"
        wanted = left.pop(pattern)
        if "tail" in line:
            until(lambda: re.search(wanted, typed(line), re.S), wanted)
            continue
        said = typed(line if line.startswith("curl") else f"{export}\n{line}", code=1 if "release bad" in line else 0)
        assert re.search(wanted, said, re.S), (line, said)
    assert not left
    reply = typed(f"curl -s http://127.0.0.1:{demo.admin_port}/")
    assert "<html" in reply.lower()


def test_two_demos_at_once(foreground):
    demos = [foreground("demo"), foreground("demo")]
    for one in demos:
        one.wait_ready()
    assert demos[0].port != demos[1].port and demos[0].admin_port != demos[1].admin_port
    assert "is in use" in demos[0].text() + demos[1].text()
    for one in demos:
        assert one.get("/").status == 200
    demos[0].end(signal.SIGINT)
    assert demos[1].get("/").status == 200
    demos[1].end(signal.SIGTERM)


def test_demo_shares_the_work_and_drains(demo):
    def names():
        return {re.search(r"app (\w+)", demo.get("/x").text)[1] for _ in range(20)}

    env = {"SLUICE_ADMIN": demo.find(r"SLUICE_ADMIN=(\S+)")}
    assert names() == {"one", "two"}
    assert run("target", "drain", "shop", "one", env=env).code == 0
    assert names() == {"two"}


def test_demo_reloads_its_file(demo):
    env = {"SLUICE_ADMIN": demo.find(r"SLUICE_ADMIN=(\S+)")}
    path = demo.find(r"after a change of (\S+)")
    assert run("check", path).code == 0
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("Disallow: /api/", "Disallow: /all"))
    assert run("reload", env=env).code == 0
    assert "Disallow: /all" in demo.get("/robots.txt").text


def test_demo_survives_an_upgrade(demo):
    env = {"SLUICE_ADMIN": demo.find(r"SLUICE_ADMIN=(\S+)")}
    before = demo.text().count("gateway on"), os.listdir(demo.scratch)
    assert run("upgrade", env=env).code == 0
    demo.wait_ready(2)
    assert demo.get("/x").text.startswith("app ")
    assert (demo.text().count("gateway on"), os.listdir(demo.scratch)) == before


def test_demo_refuses_words():
    assert run("demo", "now").code == 2
    assert run("demo", "--deploys", "now").code == 2


def test_all_go_when_the_supervisor_is_killed(foreground):
    demo = foreground("demo").wait_ready()
    until(lambda: demo.store_apps(), "an app of the store", DEPLOY)
    until(lambda: len(demo.members()) >= 6, "supervisor, edge, control, two apps and visitors")
    apps = demo.store_apps()
    os.kill(demo.process.pid, signal.SIGKILL)
    demo.process.wait()
    until(lambda: not demo.members() and not any(os.path.exists(f"/proc/{pid}") for pid in apps), "no process left")


# -- deploys of the demo


@pytest.mark.long
def test_a_good_and_a_bad_release_by_themselves(foreground):
    demo = foreground("demo", "--deploys")
    until(lambda: demo.has_ended() or demo.text().count("(exit ") == 2, f"both: {demo.text()}", 3 * DEPLOY)
    text = demo.text()
    good, bad = text[text.index("$ sluice") :].split("(exit ")[:2]
    assert "release v2 is live" in good and re.search(r"^0\)", bad), text
    assert "release bad is gone; v2 serves" in bad and "release v2 serves" in bad, text
    # By the verdict; or so many failed in a row that its one target was ejected.
    assert "of its requests" in bad or "none of its targets is up" in bad, text
    assert "supervisor:" not in text
    until(lambda: set(demo.store_apps().values()) == {"v2"}, f"v2 alone: {demo.store_apps()}", DEPLOY)
    assert demo.get("/store/x").text == "app v2: GET /x\n"
    demo.end()


def test_a_release_that_does_not_come_up(store):
    done = store.cli("deploy", "store", "--release", "crash")
    assert done.code == 1 and "no configuration, giving up" in done.err and "release v1 serves" in done.err, done
    assert set(store.store_apps().values()) == {"v1"}


def test_an_upgrade_keeps_the_store(store):
    apps = store.store_apps()
    assert store.cli("upgrade").code == 0
    store.wait_ready(2)
    assert store.store_apps() == apps
    assert store.get("/store/x").text == "app v1: GET /x\n"
    assert store.text().count("Release v1 of store is live") == 1


@pytest.mark.parametrize("words", [["x"], [], ["x", "y"]])
def test_the_store_is_not_started_by_hand(words):
    done = run("demo-app", *words, env={"PORT": ""})
    assert done.code == 2 and "not by hand" in done.err


# -- what a terminal shows of a deploy


@pytest.fixture
def watched(store):
    """`sluice deploy` in a terminal, once it is drawn."""
    made = []

    def start(release, columns=100, pattern=r"step 1 of 3 .*20% .*watching"):
        terminal = Terminal([BIN, "deploy", "store", "--release", release], store.env, columns)
        made.append(terminal)
        terminal.wait(pattern)
        return terminal

    yield start
    for terminal in made:
        terminal.close()


def test_a_terminal_shows_both_releases(watched):
    terminal = watched("v2")
    terminal.wait(r"p50 ms +p90 ms +p99 ms")
    terminal.wait(r"v1 +80% +\d+ +0 ")
    terminal.wait(r"v2 +20% +[1-9]\d* +0 +0\.00% +\d+\.\d")
    terminal.wait(r"verdict: ")
    assert terminal.end(DEPLOY) == 0
    screen = terminal.screen()
    assert "release v2 is live" in screen
    assert not re.search(r"^  (step|in this step|verdict)", screen, re.M)  # what is drawn is rubbed out at the end


def test_a_narrow_terminal_is_drawn_on_cleanly(watched):
    terminal = watched("v2", columns=30, pattern=r"step 1 of 3  \[#")
    terminal.type("\x03")
    terminal.wait("d: let it go on")
    terminal.type("\x03")
    assert terminal.end() == 0
    assert "step 1 of 3  [" not in terminal.screen()


def test_ctrl_c_asks_and_an_abort_goes_back(store, watched):
    terminal = watched("v2")
    terminal.type("\x03")
    terminal.wait("a: abort it")
    terminal.type("k")
    until(lambda: "a: abort it" not in terminal.screen(), "the question is gone")
    terminal.type("\x03")
    terminal.wait("a: abort it")
    terminal.type("a")
    assert terminal.end(DEPLOY) == 1
    assert "release v1 serves" in terminal.screen()
    assert "aborted" in terminal.screen() and "rolling back" in terminal.screen()
    assert terminal.echoes()
    assert store.get("/store/x").text == "app v1: GET /x\n"


@pytest.mark.parametrize("keys", ["\x03", "d"])
def test_ctrl_c_detaches_and_the_deploy_goes_on(store, watched, keys):
    terminal = watched("v2")
    terminal.type("\x03")
    terminal.wait("a: abort it")
    terminal.type(keys)
    assert terminal.end() == 0
    ident = re.search(r"sluice deploy --follow (\w+) shows it again", terminal.screen())[1]
    assert terminal.echoes()
    assert store.cli("deploy", "--follow", ident).code == 0
    assert store.get("/store/x").text == "app v2: GET /x\n"


def test_deploy_explains_itself():
    done = run("deploy", "--help")
    assert done.code == 0 and "usage: sluice deploy SERVICE" in done.out and "Ctrl-C" in done.out and not done.err


# -- the app itself, without the gateway between


@pytest.fixture
def app(demo):
    with Client(("127.0.0.1", int(demo.find(r"one \(port (\d+)\)")))) as client:
        yield client


def test_app_answers_a_pipeline_in_order(app):
    app.send(
        b"GET /slow?ms=100 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"
        b"GET /status/204 HTTP/1.1\r\nHost: a\r\n\r\n"
        b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nt: u\r\n\r\n"
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    )
    assert app.reply().text == "app one: GET /slow\n"
    assert app.reply("POST").text == "abc"
    assert app.reply().status == 204
    assert app.reply("POST").text == "app one: POST /x\n"
    assert "request 5 of its life" in app.reply().text
    assert app.expect_end() == "eof"


@pytest.mark.parametrize("is_chunked", [False, True])
def test_app_streams_a_large_body_back(app, is_chunked):
    data = os.urandom(3_000_000)
    got = bytearray()
    if is_chunked:
        app.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    else:
        app.send(b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % len(data))
    reply = None
    for at in range(0, len(data), 60_000):
        part = data[at : at + 60_000]
        app.chunk(part) if is_chunked else app.send(part)
        reply = reply or app.head()
        if not is_chunked:
            got += app.exactly(len(part), "the echo", DEADLINE)
    if is_chunked:
        app.send(b"0\r\n\r\n")
        got += app.body(reply, "POST").body
    assert bytes(got) == data
    assert app.get("/after", host="a").status == 200


def test_app_headers_as_json(app):
    seen = app.get('/headers', [("X-Odd", 'a"b\\c')], host="a").json()
    assert seen["app"] == "one" and ["X-Odd", 'a"b\\c'] in seen["headers"]


@pytest.mark.parametrize("head, status", [(b"GET /\x01 HTTP/1.1\r\nHost: a\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nX: " + b"a" * 40000, 431)])
def test_app_refuses_what_is_malformed(app, head, status):
    app.send(head)
    assert app.head().status == status


# -- proxy


def test_proxy_tells_where_it_goes(foreground, origin, ports):
    port = ports.take()
    proxy = foreground("proxy", "--from", f"127.0.0.1:{port}", "--to", origin.address).wait_ready()
    admin = proxy.find(r"admin port (http://\S+);")
    assert f"127.0.0.1:{port} -> {origin.address};" in proxy.text()
    with Client(("127.0.0.1", port)) as client:
        assert client.get("/x").text == "ok"
    env = {"SLUICE_ADMIN": proxy.find(r"export SLUICE_ADMIN=(\S+)")}
    assert run("status", "--admin", admin).code == 0
    assert run("upgrade", env=env).code == 0
    proxy.wait_ready(2)
    with Client(("127.0.0.1", port)) as client:
        assert client.get("/y").text == "ok"
    proxy.end()


def test_proxy_to_several(foreground, origins, ports):
    port, admin, targets = ports.take(), ports.take(), [origins(), origins()]
    words = [w for t in targets for w in ("--to", t.address)]
    proxy = foreground("proxy", "--from", f"127.0.0.1:{port}", *words, "--admin", f"127.0.0.1:{admin}").wait_ready()
    with Client(("127.0.0.1", admin)) as client:
        status = json.loads(client.get("/api/v1/status", host=f"127.0.0.1:{admin}").text)
    assert {t["address"] for s in status["services"] for t in s["targets"]} == {t.address for t in targets}
    proxy.end(signal.SIGTERM)


def test_proxy_and_ports_in_use(foreground, origin, ports):
    done = run("proxy", "--from", origin.address, "--to", "127.0.0.1:1")
    assert done.code == 1 and f"{origin.address} is in use" in done.err
    done = run("proxy", "--from", f"127.0.0.1:{ports.take()}", "--to", "127.0.0.1:1", "--admin", origin.address)
    assert done.code == 1 and f"--admin: {origin.address} is in use" in done.err
    with blocked(9900):
        proxy = foreground("proxy", "--from", f"127.0.0.1:{ports.take()}", "--to", origin.address).wait_ready()
        assert re.search(r"port 9900 is in use: the admin port is 99\d\d", proxy.text())
        proxy.end()


@pytest.mark.parametrize(
    "words, said",
    [
        (["--from", ":8085"], "usage"),
        (["--from", "x", "--to", "127.0.0.1:1"], '--from: "x" has no port'),
        (["--from", ":8085", "--to", "3000"], '--to: "3000" has no port'),
        (["--from", ":8085", "--to", "127.0.0.1:99999"], "out of range"),
        (["--from", ":8085", "--to", 'a"b:1'], "is not host:port"),
        (["--from", ":8085", "--to", "127.0.0.1:1", "--admin", "0.0.0.0:9977"], "--admin: "),
        (["--from", ":8085", "--too", "127.0.0.1:1"], '"--too"'),
    ],
)
def test_proxy_with_a_wrong_address(words, said, home):
    done = run("proxy", *words, env={"TMPDIR": home, "XDG_RUNTIME_DIR": ""})
    assert done.code == 2 and said in done.err
    assert os.listdir(home) == []
