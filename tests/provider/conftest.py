# SPDX-License-Identifier: Apache-2.0
"""A supervisor whose control hands calls on to a provider (driver.c), for the tests beside this file."""
import itertools
import json
import os
import pathlib
import queue
import signal
import socket
import subprocess
import sys
import threading

import pytest

from fake_fly import Fly, live_config

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests/e2e"))
from lib.memory import has_in_memory  # noqa: E402,F401 (for the tests beside this file)
from lib.wait import DEADLINE as WAIT, SLOW, until  # noqa: E402

APP = str(HERE / "app.py")
DRIVER = os.environ.get("PROVIDER_DRIVER", str(ROOT / "build/release/tests/provider_driver"))


def is_alive(pid):
    """Whether a process runs that may be nobody's child; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Desk:
    """The control process: `call` waits for the completion, `begin` and `end` take it apart."""

    patience = WAIT

    def __init__(self, bench, connection):
        self.bench, self.connection, self.pid = bench, connection, None
        self.numbers = itertools.count(1)
        self.done, self.has_done = {}, threading.Condition()
        self.events = queue.Queue()
        self.is_gone = self.is_twice = False

    def greet(self, lines):
        """Its first words, which news may come before."""
        while self.pid is None:
            message = json.loads(lines.readline())
            self.pid = message.get("pid")
            if "unit" in message:
                self.events.put(message["unit"])

    def read(self, lines):
        try:
            for line in lines:
                self.take(json.loads(line))
        except ConnectionResetError:
            pass  # killed with words of ours unread
        with self.has_done:
            self.is_gone = True
            self.has_done.notify_all()

    def take(self, message):
        if "event" in message:
            self.events.put(message["unit"])
            return
        with self.has_done:
            self.is_twice |= message["n"] in self.done
            self.done[message["n"]] = message
            self.has_done.notify_all()

    def tell(self, **message):
        self.connection.sendall((json.dumps(message) + "\n").encode())

    def begin(self, call, service="app", **more):
        number = next(self.numbers)
        self.tell(n=number, call=call, service=service, **more)
        return number

    def end(self, number):
        with self.has_done:
            assert self.has_done.wait_for(lambda: number in self.done or self.is_gone, self.patience), self.bench.text()
            assert not self.is_twice, "a call was completed twice"
            return self.done[number]

    def call(self, call, service="app", **more):
        return self.end(self.begin(call, service, **more))

    def start(self, unit="u1", release="r1", service="app", **more):
        return self.call("start", service, id=unit, release=release, **more)

    def stop(self, unit="u1", grace_ms=int(5000 * SLOW), remove=False, service="app", **more):
        return self.call("stop", service, id=unit, grace_ms=grace_ms, remove=remove, **more)

    def list(self, service="app"):
        answer = self.call("list", service)
        assert answer["fault"] == "ok", answer
        return {unit["id"]: unit for unit in answer["units"]}

    def log(self, unit="u1", service="app"):
        return self.call("log", service, id=unit)["log"]

    def expect_log(self, words, unit="u1", service="app"):
        return until(lambda: words in self.log(unit, service) and self.log(unit, service), f"{words!r} in the log")

    def expect(self, unit, state):
        """The first news that says so; others before it are dropped."""
        while True:
            view = self.events.get(timeout=WAIT)
            if view["id"] == unit and view["state"] == state:
                return view


class Bench:
    """`services` are those of the configuration: a name, and the map below `process`."""

    def __init__(self, folder, services, **more):
        self.folder, self.env = folder, {}
        self.file = folder / "conf.yaml"
        self.configure(services, **more)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(folder / "driver"))
        self.listener.listen()
        self.listener.settimeout(WAIT)
        self.lines, self.has_line = [], threading.Condition()
        self.process = None

    def configure(self, services, **more):
        conf = {"state": str(self.folder / "state"), **more,
                "routes": [{"paths": [f"/{name}"], "service": name} for name in services],
                "services": {name: {"provider": self.provider_of(keys)} for name, keys in services.items()}}
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(conf))
        temporary.rename(self.file)

    @staticmethod
    def provider_of(keys):
        if os.getuid() == 0:
            keys.setdefault("user", "root")
        return {"process": keys}

    def start(self, **env):
        """The supervisor, and its control."""
        self.process = subprocess.Popen(
            [DRIVER, "run", self.file], env={**os.environ, "DRIVER_SOCKET": str(self.folder / "driver"), **env},
            stderr=subprocess.PIPE)
        threading.Thread(target=self.read_log, args=[self.process], daemon=True).start()
        return self.next_desk()

    def next_desk(self):
        connection, _ = self.listener.accept()
        lines = connection.makefile("r", encoding="utf-8")
        desk = Desk(self, connection)
        desk.greet(lines)
        threading.Thread(target=desk.read, args=[lines], daemon=True).start()
        return desk

    def read_log(self, process):
        for line in process.stderr:
            with self.has_line:
                self.lines.append(line.decode(errors="replace"))
                self.has_line.notify_all()

    def text(self):
        with self.has_line:
            return "".join(self.lines)

    def expect_log(self, words, count=1):
        with self.has_line:
            found = self.has_line.wait_for(lambda: sum(words in line for line in self.lines) >= count, WAIT)
        assert found, f"{words!r} is not in:\n{self.text()}"

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """As the kernel or a clumsy person would."""
        self.signal(signal.SIGKILL)
        self.process.wait(WAIT)

    def wait(self):
        return self.process.wait(WAIT)

    def close(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGINT)
            self.process.wait(WAIT)
        self.listener.close()
        assert "Sanitizer" not in self.text() and "runtime error" not in self.text(), self.text()


class FlyBench(Bench):
    """Its service's machines are those of `fly`, a fake; `services` are the maps below `fly`."""

    def __init__(self, folder, fly, **keys):
        self.fly = fly
        super().__init__(folder, {"app": {"app": fly.app, "api": fly.url, "token": "${env:FLY_TOKEN}", **keys}})

    @staticmethod
    def provider_of(keys):
        return {"fly": keys}

    def next_desk(self):
        desk = super().next_desk()
        desk.patience = 5 * WAIT  # requests take their turn, one a second
        return desk

    def start(self, **env):
        return super().start(FLY_TOKEN=self.fly.token, **env)

    def close(self):
        super().close()
        assert self.fly.token is None or self.fly.token not in self.text()


@pytest.fixture
def make_fly(tmp_path):
    """A bench whose fake, with machines as `fly` says, has seen nothing wrong in the end; `keys` go to the provider."""
    made = []

    def new(fly=None, **keys):
        folder = tmp_path / f"fly{len(made)}"
        folder.mkdir()
        fake = Fly(**{"live": live_config(), **(fly or {})})
        made.append(FlyBench(folder, fake, **keys))
        return made[-1]

    yield new
    for bench in made:
        bench.close()
        bench.fly.close()
        assert not bench.fly.wrong, bench.fly.wrong


@pytest.fixture
def make(tmp_path):
    made = []

    def new(*words, **more):
        """One whose service `app` does what `words` say; `process` adds keys, `services` more services."""
        process = {"command": [APP, *words], **more.pop("process", {})}
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Bench(folder, {"app": process, **more.pop("services", {})}, **more))
        return made[-1]

    yield new
    for bench in made:
        bench.close()


def ask(address, timeout=WAIT):
    """The pid that answers there; None: nobody does."""
    host, port = address.rsplit(":", 1)
    try:
        with socket.create_connection((host, int(port)), timeout=timeout) as client:
            client.sendall(b"who\n")
            return int(client.makefile().readline())
    except (ConnectionError, ValueError):
        return None
