# SPDX-License-Identifier: Apache-2.0
"""A control of its own and some edges on loopback, each reached through a cable that can be cut."""

import json
import os
import select
import signal
import socket
import sqlite3
import subprocess
import threading

from lib.client import Client
from lib.gateway import BIN, run
from lib.wait import DEADLINE, SLOW, until

TOKEN = "of-control-0123456789"
WAIT = 60 * SLOW


class Cable:
    """Passes connections on to a port of this machine until it is cut: then those there are hang, and new ones too."""

    def __init__(self, to):
        self.to, self.is_cut, self.ends = to, False, []
        self.sock = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.sock.getsockname()[1]
        self.closed = threading.Event()
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def _accept(self):
        while True:
            try:
                near = self.sock.accept()[0]
            except OSError:
                return
            self.ends.append(near)
            if self.is_cut:
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self.to), 5)
            except OSError:
                near.close()
                continue
            self.ends.append(far)
            threading.Thread(target=self._pass, args=(near, far), daemon=True).start()

    def _pass(self, near, far):
        pairs = {near: far, far: near}
        try:
            while not self.closed.is_set():
                for sock in select.select(list(pairs), [], [], 0.2)[0]:
                    if self.is_cut:
                        self.closed.wait()  # neither end hears anything any more
                        return
                    data = sock.recv(65536)
                    if not data:
                        return
                    pairs[sock].sendall(data)
        except (OSError, ValueError):
            pass
        finally:
            near.close()
            far.close()

    def cut(self):
        self.is_cut = True

    def mend(self):
        self.is_cut = False

    def close(self):
        self.closed.set()
        self.sock.close()
        for end in self.ends:
            end.close()


class LoneControl:
    """`sluice run` with `role: control`."""

    def __init__(self, home, services, edges, more=None, **control):
        self.home = home
        os.makedirs(home)
        self.file = os.path.join(home, "sluice.yaml")
        with open(self.file, "w", encoding="utf-8") as file:
            json.dump({"role": "control", "state": "./state", "admin": {"bind": "127.0.0.1:0"}, "services": services,
                       "control": {"edges": edges, **control}, **(more or {})}, file)
        self.start()

    def start(self):
        with open(os.path.join(self.home, "stderr"), "ab") as log:
            self.process = subprocess.Popen([BIN, "run", self.file], cwd=self.home, stdin=subprocess.DEVNULL,
                                            stderr=log, stdout=log, start_new_session=True)
        until(lambda: self.ask("GET", "/api/v1/deploys").status == 200, "control answers", WAIT, self.stderr)

    def stderr(self):
        with open(os.path.join(self.home, "stderr"), encoding="utf-8", errors="replace") as file:
            return file.read()

    def ask(self, method, path, body=None):
        data = None if body is None else body.encode() if isinstance(body, str) else json.dumps(body).encode()
        fields = [] if body is None else [("Content-Type", "application/json")]
        try:
            with Client(f"unix:{self.home}/state/admin.sock") as client:
                return client.request(method, path, fields, data, "localhost").reply(method, timeout=WAIT)
        except OSError:
            return type("Nothing", (), {"status": 0, "text": ""})()

    def begin_ask(self, method, path, body):
        """The same on a thread; what is returned waits for the answer, None if there is none."""
        answers = []

        def call():
            try:
                answers.append(self.ask(method, path, body))
            except AssertionError:
                pass  # the connection ended

        thread = threading.Thread(target=call)
        thread.start()

        def wait():
            thread.join(WAIT)
            return answers[0] if answers and answers[0].status else None

        return wait

    def fill(self, kind, documents):
        """While it does not run: documents of its store."""
        with sqlite3.connect(os.path.join(self.home, "state", "control.db")) as db:
            db.executemany("INSERT INTO documents VALUES (?, ?, 0, ?)",
                           [(kind, ident, json.dumps(value)) for ident, value in documents.items()])
        db.close()

    def cli(self, *words):
        return run(*words, cwd=self.home, timeout=WAIT)

    def child(self):
        done = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(self.process.pid)], capture_output=True, text=True,
                              check=False)
        return next((int(line.split()[0]) for line in done.stdout.splitlines() if " control " in line), None)

    def kill_child(self):
        before = self.child()
        os.kill(before, signal.SIGKILL)
        until(lambda: self.child() not in (None, before), "another control", WAIT)

    def kill(self):
        """All of it, at once, as a machine that is lost."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(DEADLINE)

    def close(self):
        if self.process.poll() is None:
            os.kill(self.process.pid, signal.SIGTERM)
            assert self.process.wait(DEADLINE) == 0, self.stderr()


class Fleet:
    def __init__(self, gateway, origins, home, count=3, releases=(), edge=None, **deploy):
        self.origins, self.home, self.of_edge = origins, home, edge or {}
        health = {"interval": "1s", "fast_interval": "100ms", "fall": 1}
        targets = {"targets": [self.origin("stable").address]} if not releases else {
            "releases": {name: {"targets": [self.origin(name).address]} for name in releases}}
        self.services = {"shop": {**targets, "health": health,
                                  "assign": {"by": "cookie"},
                                  "deploy": {"bake": "200ms", "drain": "2s", "keep": "1h", "healthy": "4s",
                                             "verdict": {"latency": "off"}, **deploy}}}
        self.edges = [self._edge(gateway, i) for i in range(count)]
        self.cables = [Cable(edge.admin_port) for edge in self.edges]
        self.links = [{"name": f"e{i}", "url": f"http://127.0.0.1:{cable.port}", "token": TOKEN}
                      for i, cable in enumerate(self.cables)]
        self.controls = []
        self.control = self.another_control()

    def _edge(self, gateway, number):
        edge = gateway(services=self.services, role="edge", run=False, **self.of_edge)
        edge.change(admin={"bind": f"127.0.0.1:{edge.admin_port}",
                           "tokens": [{"name": f"control{number}", "token": TOKEN, "can": ["operate", "deploy"]}]})
        return edge.start()

    def another_control(self):
        self.controls.append(LoneControl(os.path.join(self.home, f"c{len(self.controls)}"), self.services, self.links))
        return self.controls[-1]

    def origin(self, name):
        made = self.origins()
        made.on("/")(lambda conn, request: conn.respond(200, name.encode()))
        return made

    def begin(self, release, control=None):
        done = (control or self.control).cli("deploy", "shop", "--release", release, "--target",
                                             self.origin(release).address, "--detach")
        assert done.code == 0, done
        return done.out.strip()

    def show(self, ident, control=None):
        reply = (control or self.control).ask("GET", f"/api/v1/deploys/{ident}")
        return reply.json() if reply.status == 200 else {"outcome": "unknown"}

    def wait(self, ident, outcome):
        until(lambda: self.show(ident)["outcome"] == outcome, f"{outcome}: {self.show(ident)}", WAIT)
        return self.show(ident)

    def serve(self, *names):
        """What each edge answers: the name for it, or one for all."""
        for edge, name in zip(self.edges, names * len(self.edges) if len(names) == 1 else names):
            assert {edge.get("/").text for _ in range(10)} == {name}

    def close(self):
        for control in self.controls:
            control.close()
        for cable in self.cables:
            cable.close()
