# SPDX-License-Identifier: Apache-2.0
"""The real program as a process group of its own: config file in, ports out, and no sanitizer report at the end."""

import copy
import json
import os
import re
import signal
import socket
import subprocess
import time
from pathlib import Path

from .client import Client
from .prometheus import Metrics
from .wait import DEADLINE, SLOW, until

ROOT = Path(__file__).resolve().parents[3]
BIN = os.environ.get("SLUICE_BIN") or str(ROOT / "build" / "release" / "sluice")
IS_SANITIZED = SLOW > 1
_REPORT = re.compile(r"(ERROR: \w+Sanitizer|runtime error:|WARNING: ThreadSanitizer|[Aa]ssertion .*failed)")


def merge(base, more):
    """`more` over `base`, deep for maps; a value of None removes the key."""
    out = copy.deepcopy(base)
    for key, value in more.items():
        if value is None:
            out.pop(key, None)
        elif isinstance(value, dict) and isinstance(out.get(key), dict):
            out[key] = merge(out[key], value)
        else:
            out[key] = copy.deepcopy(value)
    return out


class Finished:
    """What a command of the CLI left."""

    def __init__(self, done):
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr

    def json(self):
        return json.loads(self.out)

    def __repr__(self):
        return f"<exit {self.code}\n--- out\n{self.out}\n--- err\n{self.err}>"


def run(*words, cwd=None, env=None, timeout=20 * SLOW, binary=None, stdin=None):
    """Runs the program to its end."""
    done = subprocess.run(
        [binary or BIN, *map(str, words)],
        cwd=cwd,
        env={**os.environ, **(env or {})},
        capture_output=True,
        text=True,
        timeout=timeout,
        input=stdin,
    )
    assert not _REPORT.search(done.stderr), done.stderr
    return Finished(done)


class Gateway:
    def __init__(self, home, ports, binary=None):
        self.home = Path(home)
        self.ports = ports
        self.binary = binary or BIN
        self.port, self.admin_port = ports.take(), ports.take()
        self.file = self.home / "sluice.yaml"
        self.log_file = self.home / "access.log"
        self.state = self.home / "state"
        self.process = None
        self.clients = []
        self._stderr = None
        self.config = {}

    # -- configuration

    def base(self):
        return {
            "workers": 1,
            "state": "./state",
            "listeners": [{"bind": f"127.0.0.1:{self.port}"}],
            "admin": {"bind": f"127.0.0.1:{self.admin_port}"},
            "timeouts": {"drain": "2s"},
            "log": {"path": str(self.log_file), "format": "json"},
        }

    def write(self, config):
        """Writes the whole configuration (a dict, as JSON, which is YAML too; or text as it is), atomically."""
        self.config = config
        text = config if isinstance(config, str) else json.dumps(_unlimited(_unchecked(config)), indent=2)
        fresh = self.file.with_suffix(".new")
        fresh.write_text(text)
        fresh.rename(self.file)
        return self

    def change(self, **parts):
        """The present configuration with `parts` merged in, written."""
        return self.write(merge(self.config, parts))

    # -- life

    def start(self, env=None, wrap=(), extra=(), ready=True, preexec=None, stdout=None):
        """Starts `sluice run FILE`; `wrap` goes before it, `extra` after it."""
        self._stderr = open(self.home / "stderr", "ab")
        self.process = subprocess.Popen(
            [*wrap, self.binary, "run", str(self.file), *extra],
            cwd=self.home,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=open(self.home / "stdout", "ab") if stdout is None else stdout,
            stderr=self._stderr,
            start_new_session=True,
            preexec_fn=preexec,
        )
        if ready:
            self.wait_ready()
        return self

    def wait_ready(self, timeout=DEADLINE):
        try:
            until(self._ready_or_dead, "readiness", timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}; stderr: {self.stderr()[-3000:]}") from None
        return self

    def _ready_or_dead(self):
        code = self.process.poll()
        assert code is None, f"exit {code} instead of serving\n{self.stderr()}"
        return self.is_ready()

    def is_ready(self):
        address = f"unix:{self.state}/admin.sock" if self.has_admin_tls else ("127.0.0.1", self.admin_port)
        try:
            with Client(address, timeout=1) as client:
                return client.get("/readyz", host=self.admin_host, timeout=2 * SLOW).status == 200
        except (OSError, AssertionError):
            return False

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        os.kill(self.process.pid, number)

    def wait_exit(self, timeout=DEADLINE):
        return self.process.wait(timeout)

    def stop(self, timeout=DEADLINE + 5):
        """TERM; must end with 0, leave no process behind and no report of a sanitizer."""
        for client in self.clients:
            client.close()
        if self.process is None:
            return
        try:
            if self.process.poll() is None:
                self.signal(signal.SIGTERM)
                code = self.process.wait(timeout)
                assert code == 0, f"exit {code} after TERM\n{self.stderr()}"
            until(lambda: not self.members(), f"no process left, but: {self.members()}")
        finally:
            self.kill()
            self._stderr.close()
        self.check_reports()

    def kill(self):
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.process.wait(10)

    def check_reports(self):
        found = _REPORT.search(self.stderr())
        assert not found, self.stderr()[max(0, found.start() - 200) :][:6000]

    def stderr(self):
        path = self.home / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def members(self):
        """[(pid, command line)] of the living processes of the group."""
        found = []
        for entry in os.listdir("/proc"):
            if not entry.isdigit():
                continue
            try:
                stat = Path(f"/proc/{entry}/stat").read_text()
                line = Path(f"/proc/{entry}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            state, _, group = stat.rpartition(")")[2].split()[:3]
            if int(group) == self.process.pid and state != "Z":
                found.append((int(entry), line))
        return found

    def edges(self):
        """Process ids of the edge processes, oldest first."""
        return sorted(
            (pid for pid, line in self.members() if pid != self.process.pid and " edge " in line),
            key=lambda pid: _started(pid),
        )

    @property
    def edge(self):
        edges = self.edges()
        assert len(edges) == 1, self.members()
        return edges[0]

    def resident(self):
        """Bytes of memory of its own in the whole group (without shared libraries)."""
        return sum(_private(pid) for pid, _ in self.members())

    def threads(self, pid):
        names = []
        for task in Path(f"/proc/{pid}/task").iterdir():
            try:
                names.append((task / "comm").read_text().strip())
            except OSError:
                pass
        return names

    # -- clients

    def connect(self, **options):
        """A raw connection to the first listener."""
        client = Client(("127.0.0.1", self.port), **options)
        self.clients.append(client)
        return client

    def send(self, data):
        """A new connection on which `data` was sent."""
        client = self.connect()
        client.send(data)
        return client

    def get(self, target="/", headers=(), **options):
        with Client(("127.0.0.1", self.port)) as client:
            return client.get(target, headers, **options)

    def post(self, target="/", body=b"", headers=(), **options):
        with Client(("127.0.0.1", self.port)) as client:
            return client.post(target, body, headers, **options)

    # -- admin

    @property
    def has_admin_tls(self):
        return isinstance(self.config, dict) and bool(self.config.get("admin", {}).get("tls"))

    @property
    def admin_host(self):
        return f"127.0.0.1:{self.admin_port}"

    def admin(self, method, path, body=None, token=None, headers=(), over_socket=True, host=None, timeout=DEADLINE):
        """One call of the admin API: over the unix socket (all rights) or over TCP. `body`: JSON or text."""
        address = f"unix:{self.state}/admin.sock" if over_socket else ("127.0.0.1", self.admin_port)
        fields = list(headers)
        data = None
        if body is not None:
            is_text = isinstance(body, str)
            data = (body if is_text else json.dumps(body)).encode()
            if not any(n.lower() == "content-type" for n, _ in fields):
                fields.append(("Content-Type", "application/yaml" if is_text else "application/json"))
        elif method in ("POST", "PUT"):
            data = b""
        if token:
            fields.append(("Authorization", f"Bearer {token}"))
        host = host or ("localhost" if over_socket else self.admin_host)
        with Client(address) as client:
            return client.request(method, path, fields, data, host).reply(method, timeout=timeout)

    def status(self):
        reply = self.admin("GET", "/api/v1/status")
        assert reply.status == 200, reply
        return reply.json()

    def targets(self, service="app"):
        """{id: target} of a service, as status shows them."""
        return {t["id"]: t for t in _service(self.status(), service)["targets"]}

    def draining(self):
        """{pid: what is known} of older edges that still have something to do."""
        return {e["pid"]: e for e in self.status()["draining_edges"]}

    def metrics(self):
        reply = self.admin("GET", "/metrics", over_socket=self.has_admin_tls)
        assert reply.status == 200, reply
        return Metrics(reply.text)

    def metric(self, name, **labels):
        return self.metrics().sum(name, **labels)

    def wait_metric(self, name, value, timeout=DEADLINE, **labels):
        """The series with these labels, of which there must be one at least, add up to exactly `value`."""
        def reached():
            found = self.metrics().series(name, **labels)
            return found and sum(found.values()) == value

        try:
            until(reached, name, timeout)
        except AssertionError:
            found = self.metrics().series(name)
            raise AssertionError(f"{name}{labels} is not {value}: {found}") from None

    @property
    def generation(self):
        return int(self.metric("sluice_config_generation"))

    def reload(self, how="api"):
        """Reads the file again and waits until the new generation serves."""
        before = self.generation
        if how == "hup":
            self.signal(signal.SIGHUP)
        elif how == "cli":
            done = self.cli("reload")
            assert done.code == 0, done
        else:
            reply = self.admin("POST", "/api/v1/reload", timeout=4 * DEADLINE)
            assert reply.status == 200, reply
        until(lambda: self.generation > before, "a new generation")

    def cli(self, *words, env=None, timeout=20 * SLOW, stdin=None):
        return run(*words, cwd=self.home, env=env, timeout=timeout, binary=self.binary, stdin=stdin)

    # -- access log

    def logs(self, count=1, where=lambda r: True, timeout=DEADLINE):
        """Access log records, once at least `count` fit `where`."""
        until(lambda: len(self._records(where)) >= count, f"{count} log records; {self._log_tail()}", timeout)
        return self._records(where)

    def log(self, path, timeout=DEADLINE):
        """The one record of a path."""
        found = self.logs(1, lambda r: r.get("path") == path, timeout)
        assert len(found) == 1, found
        return found[0]

    def _records(self, where):
        if not self.log_file.exists():
            return []
        lines = self.log_file.read_bytes().split(b"\n")[:-1]
        return [r for r in map(json.loads, lines) if where(r)]

    def _log_tail(self):
        return self.log_file.read_bytes()[-2000:] if self.log_file.exists() else "no log file"


def _unchecked(config):
    """A service that says nothing of `health` is not checked: scripted origins count what comes to them."""
    services = config.get("services")
    if not isinstance(services, dict):
        return config
    quiet = {name: {"health": "off", **service} if isinstance(service, dict) else service
             for name, service in services.items()}
    return {**config, "services": quiet}


def _unlimited(config):
    """A configuration that says nothing of `rate_limit` for all routes has none: tests ask often."""
    filters = config.get("filters", [])
    if not isinstance(filters, list) or any(isinstance(f, dict) and "rate_limit" in f for f in filters):
        return config
    return {**config, "filters": [{"rate_limit": "off"}, *filters]}


def _service(status, name):
    services = status["services"]
    if isinstance(services, dict):
        return services[name]
    return next(s for s in services if s["name"] == name)


def _started(pid):
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]), pid
    except OSError:
        return 0, pid


def _private(pid):
    try:
        text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except OSError:
        return 0
    kib = re.findall(r"^(?:Private_Clean|Private_Dirty|Swap):\s+(\d+) kB", text, re.M)
    return sum(map(int, kib)) * 1024


def cpu_seconds(pid):
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def refused_port(ports):
    """A port on which nothing listens."""
    return ports.take()


def full_listener():
    """A listening socket whose queue is full, so that further connects hang; and what fills it."""
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(0)
    held = [listener]
    for _ in range(8):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(listener.getsockname())
        held.append(filler)
    return listener.getsockname()[1], held


def now():
    return time.monotonic()
