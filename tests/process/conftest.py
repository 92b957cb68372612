# SPDX-License-Identifier: Apache-2.0
"""A supervisor with a fake edge, for the tests beside this file. Builds its program with gcc."""
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading

import pytest

HERE = pathlib.Path(__file__).parent
ROOT = HERE.parent.parent
WAIT = 10


@pytest.fixture(scope="session")
def program(tmp_path_factory):
    path = tmp_path_factory.mktemp("program") / "sluice"
    sources = [str(p) for p in sorted((ROOT / "src/process").glob("*.c"))]
    flags = os.environ.get("PROCESS_TEST_CFLAGS", "-O1 -g").split()
    subprocess.run(["gcc", "-std=gnu17", "-D_GNU_SOURCE", *flags, "-I", ROOT / "include", "-I",
                    ROOT / "src", HERE / "fake_main.c", *sources, "-o", path], check=True)
    return path


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Gateway:
    """One supervisor. `expect` takes the next event of a kind and drops others before it."""

    def __init__(self, folder, program, **conf):
        self.port = free_port()
        self.folder = folder
        self.binary = folder / "sluice"
        shutil.copy(program, self.binary)
        self.file = folder / "conf.json"
        self.conf = {"bind": f"127.0.0.1:{self.port}", "count": 2, **conf}
        self.configure()
        self.events = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.events.bind(str(folder / "events"))
        self.events.settimeout(WAIT)
        self.lines = []
        self.has_line = threading.Condition()
        self.process = None

    def configure(self, **conf):
        self.conf.update(conf)
        temporary = self.file.with_suffix(".new")
        temporary.write_text(json.dumps(self.conf))
        temporary.rename(self.file)

    def replace_binary(self, source):
        """A new file under the old name. `source` is a path, or a shell script's text."""
        temporary = self.folder / "sluice.new"
        if isinstance(source, str):
            temporary.write_text("#!/bin/sh\n" + source)
            temporary.chmod(0o755)
        else:
            shutil.copy(source, temporary)
        temporary.rename(self.binary)

    def start(self):
        env = {**{k: v for k, v in os.environ.items() if k != "SLUICE_BIN"}, "FAKE_EDGE": str(HERE / "fake_edge.py"),
               "FAKE_EVENTS": str(self.folder / "events")}
        self.process = subprocess.Popen([self.binary, "run", self.file], env=env,
                                        stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.read_log, daemon=True).start()
        return self

    def read_log(self):
        for line in self.process.stderr:
            with self.has_line:
                self.lines.append(line)
                self.has_line.notify_all()

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def next_event(self):
        return json.loads(self.events.recv(65536))

    def expect(self, *kinds):
        while True:
            event = self.next_event()
            if event["event"] in kinds:
                return event

    def expect_each(self, *kinds):
        """The first event of each kind, in whatever order two processes tell of them."""
        found = {}
        while len(found) < len(kinds):
            event = self.expect(*kinds)
            found.setdefault(event["event"], event)
        return [found[kind] for kind in kinds]

    def connect(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=WAIT)

    def say(self, line):
        with self.connect() as client:
            client.sendall(line.encode() + b"\n")
            return client.makefile("r").readline().strip()

    def wait(self):
        return self.process.wait(WAIT)

    def text(self):
        with self.has_line:
            return "".join(self.lines)

    def expect_log(self, words):
        with self.has_line:
            found = self.has_line.wait_for(lambda: any(words in line for line in self.lines), WAIT)
        assert found, f"{words!r} is not in:\n{self.text()}"

    def close(self):
        if self.process and self.process.poll() is None:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGINT)
            self.process.wait(WAIT)
        self.events.close()
        assert "Sanitizer" not in self.text() and "runtime error" not in self.text()


@pytest.fixture
def make(tmp_path, program):
    made = []

    def new(**conf):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(Gateway(folder, program, **conf))
        return made[-1]

    yield new
    for gateway in made:
        gateway.close()


@pytest.fixture
def gateway(make):
    """One that serves already."""
    served = make().start()
    served.edge = served.expect("ready")["pid"]
    return served
