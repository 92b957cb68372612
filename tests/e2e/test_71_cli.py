# SPDX-License-Identifier: Apache-2.0
"""The command: what it prints, in words and in JSON, and its exit codes."""

import json
import os
import re
import signal
import subprocess

import jsonschema
import pytest

from lib.client import Client
from lib.gateway import BIN, ROOT, run
from lib.origin import wait_until_open
from lib.ports import blocked
from lib.wait import DEADLINE, until

BAD = """\
workers: lots
listeners:
  - bind: "127.0.0.1:80"
    helth_path: /x
services:
  app:
    targets: ["127.0.0.1:3000"]
    balance: fastest
routes:
  - hosts: [a.example]
    service: ap
"""


# -- without a gateway


def test_version():
    done = run("version")
    assert done.code == 0 and re.search(r"\d+\.\d+\.\d+", done.out)
    assert run("version", "--json").json()["version"] in done.out


@pytest.mark.parametrize("words", [[], ["help"], ["--help"]])
def test_help_lists_the_commands(words):
    done = run(*words)
    assert done.code == (0 if words else 2)
    for command in ("run", "proxy", "demo", "check", "schema", "reload", "upgrade", "status", "routes", "target", "version"):
        assert re.search(rf"\b{command}\b", done.out + done.err), command


def test_an_unknown_command():
    done = run("relaod")
    assert done.code == 2 and "reload" in done.err


@pytest.mark.parametrize("words", [["check"], ["check", "a", "b", "c"], ["run", "--nonsense"], ["target"], ["target", "fly", "app"], ["proxy"]])
def test_wrong_use(words, home):
    done = run(*words, cwd=home)
    assert done.code == 2 and done.err


def test_check_of_a_good_file(home):
    path = os.path.join(home, "a.yaml")
    with open(path, "w") as file:
        file.write("services: {app: {targets: ['127.0.0.1:3000']}}\n")
    done = run("check", path)
    assert done.code == 0 and "ok" in done.out
    assert run("check", path, "--json").code == 0


def test_check_tells_everything_that_is_wrong(home):
    path = os.path.join(home, "bad.yaml")
    with open(path, "w") as file:
        file.write(BAD)
    done = run("check", path)
    assert done.code == 2
    for place in ("1:10", "4:5", "8:14", "11:14"):
        assert f"bad.yaml:{place}: error:" in done.err, (place, done)
    assert "    helth_path: /x" in done.err and "^" in done.err
    for hint in ("health_path", "app"):
        assert f'did you mean "{hint}"' in done.err, done
    done = run("check", path, "--json")
    assert done.code == 2
    errors = done.json()[0]["diagnostics"]
    assert [e["at"] for e in errors] == [f"{path}:{p}" for p in ("1:10", "4:5", "8:14", "11:14")]


def test_check_of_a_file_that_is_not_there(home):
    done = run("check", f"{home}/none.yaml")
    assert done.code == 2 and "none.yaml" in done.err


def test_check_finds_a_bad_pattern(home):
    path = os.path.join(home, "p.yaml")
    with open(path, "w") as file:
        file.write("services: {app: {targets: ['127.0.0.1:1']}}\nroutes: [{paths: ['~^/(x'], service: app}]\n")
    done = run("check", path)
    assert done.code == 2 and "p.yaml:2:" in done.err


@pytest.mark.parametrize("name", ["minimal", "full", "fly", "railway"])
def test_the_examples_load_and_fit_the_schema(name):
    import yaml

    env = {"PORT": "8080", "SLUICE_CI_TOKEN": "0123456789abcdef0123"}
    text = (ROOT / "conf" / f"{name}.yaml").read_text()
    for variable in re.findall(r"\$\{env:(\w+)\}", text):
        env.setdefault(variable, "0123456789abcdef0123")
    assert run("check", ROOT / "conf" / f"{name}.yaml", env=env).code == 0
    jsonschema.validate(yaml.load(text, yaml_1_2(yaml)), json.loads(run("schema").out))


def yaml_1_2(yaml):
    """A loader for which, as for editors, `on` and `off` are words."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:bool" or first in "tTfF"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    return Loader


def test_the_schema_is_current_and_valid():
    schema = json.loads(run("schema").out)
    assert schema == json.loads((ROOT / "conf" / "sluice.schema.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"servises": {}}, schema)


def test_the_reference_text():
    done = run("schema", "--reference")
    assert done.code == 0
    for key in ("first_byte", "health_path", "queue_timeout", "hash_by"):
        assert key in done.out


@pytest.mark.parametrize(
    "text, hint",
    [
        ("workers: lots\n", "workers"),
        ("admin: {bind: '0.0.0.0:9900'}\nservices: {a: {targets: ['127.0.0.1:1']}}\n", "token"),
        ("services: {}\n", ""),
    ],
)
def test_run_with_a_wrong_file_ends_at_once(home, text, hint):
    path = os.path.join(home, "w.yaml")
    with open(path, "w") as file:
        file.write(text)
    done = run("run", path, cwd=home)
    assert done.code == 2 and hint in done.err


def test_run_on_a_port_in_use_says_so(origin, gateway):
    gw = gateway(origin, listeners=[{"bind": origin.address}], run=False)
    gw.start(ready=False)
    assert gw.wait_exit() != 0
    assert "in use" in gw.stderr() and origin.address in gw.stderr()


@pytest.mark.parametrize("command", [["status"], ["reload"], ["upgrade"], ["target", "list", "app"]])
def test_a_gateway_that_is_not_there(home, command):
    done = run(*command, cwd=home)
    assert done.code == 3 and done.err


# -- with one


def test_status_in_words_and_json(origin, gateway):
    gw = gateway(origin)
    done = gw.cli("status")
    assert done.code == 0 and "app" in done.out and origin.address in done.out
    assert gw.cli("status", "--json").json()["version"]


def test_commands_over_tcp_with_a_token(origin, gateway):
    token = "operate-token-0123456789"
    gw = gateway(origin, admin={"tokens": [{"name": "op", "token": token, "can": ["operate"]}]})
    url = f"http://127.0.0.1:{gw.admin_port}"
    assert gw.cli("status", "--admin", url).code == 0
    assert gw.cli("reload", "--admin", url).code == 1
    assert gw.cli("reload", "--admin", url, "--token", token).code == 0
    assert gw.cli("reload", env={"SLUICE_ADMIN": url, "SLUICE_TOKEN": token}).code == 0
    assert gw.generation == 3


def test_target_commands(origins, gateway):
    first, second = origins(), origins()
    gw = gateway([{"id": "a", "address": first.address}])
    assert gw.cli("target", "add", "app", second.address).code == 0
    targets = next(s["targets"] for s in gw.cli("target", "list", "app", "--json").json() if s["name"] == "app")
    assert len(targets) == 2
    added = next(t["id"] for t in targets if t["id"] != "a")
    assert second.address in gw.cli("target", "list", "app").out
    assert gw.cli("target", "drain", "app", "a").code == 0
    for _ in range(4):
        gw.get()
    assert len(second.requests) == 4
    assert gw.cli("target", "enable", "app", "a").code == 0
    assert gw.cli("target", "remove", "app", added).code == 0
    assert gw.cli("target", "drain", "app", "none").code == 1
    assert gw.cli("target", "list", "none").code == 1
    assert list(gw.targets()) == ["a"]


def test_reload_prints_what_is_wrong(origin, gateway):
    gw = gateway(origin)
    gw.write(BAD)
    done = gw.cli("reload")
    assert done.code in (1, 2)
    assert "sluice.yaml:4:5" in done.err + done.out


class Foreground:
    """A command that serves until it is told to end."""

    def __init__(self, *words, cwd):
        self.process = subprocess.Popen(
            [BIN, *words], cwd=cwd, stdin=subprocess.DEVNULL, stdout=open(f"{cwd}/out", "wb"), stderr=subprocess.STDOUT, start_new_session=True
        )
        self.file = f"{cwd}/out"

    def text(self):
        with open(self.file, errors="replace") as file:
            return file.read()

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            assert self.process.wait(DEADLINE + 35) == 0, self.text()
        finally:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)


def test_proxy_without_a_file(origin, home, ports):
    port = ports.take()
    proxy = Foreground("proxy", "--from", f"127.0.0.1:{port}", "--to", origin.address, cwd=home)
    try:
        wait_until_open(("127.0.0.1", port))
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/x").text == "ok"
    finally:
        proxy.end()
    assert origin.requests[-1].target == "/x"


def test_demo(home):
    demo = Foreground("demo", cwd=home)
    try:
        until(lambda: len(re.findall(r"127\.0\.0\.1:(\d+)|localhost:(\d+)", demo.text())) >= 2, f"what to try printed: {demo.text()}")
        port = int(next(a or b for a, b in re.findall(r"127\.0\.0\.1:(\d+)|localhost:(\d+)", demo.text())))
        wait_until_open(("127.0.0.1", port))
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/", host="localhost").status == 200
    finally:
        demo.end()


def test_demo_takes_no_port_that_is_in_use(home):
    with blocked(8080):
        takes_another_port(home)


def takes_another_port(home):
    demo = Foreground("demo", cwd=home)
    try:
        until(lambda: "8081" in demo.text() or re.search(r"127\.0\.0\.1:80[89]\d", demo.text()), "another port named")
        port = int(re.search(r"(?:127\.0\.0\.1|localhost):(80(?!80)\d\d)", demo.text())[1])
        wait_until_open(("127.0.0.1", port))
        with Client(("127.0.0.1", port)) as client:
            assert client.get("/", host="localhost").status == 200
        assert "8080" in demo.text()  # it says why
    finally:
        demo.end()
