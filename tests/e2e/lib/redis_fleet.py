# SPDX-License-Identifier: Apache-2.0
"""Several real Redis: over TLS, a master with replicas and sentinels, a cluster; and servers that answer by a table."""

import socket
import ssl
import subprocess
import threading
from pathlib import Path

from .redis import Redis
from .wait import DEADLINE, SLOW, until

FLEET = 4 * DEADLINE  # elections take their time on a busy machine


def tls_options(port, pair, ca, clients="no"):
    """For a Redis that listens on `port` over TLS beside its plain port."""
    return ["--tls-port", str(port), "--tls-cert-file", pair["cert"], "--tls-key-file", pair["key"],
            "--tls-ca-cert-file", str(ca), "--tls-auth-clients", clients]


class Sentinel(Redis):
    def __init__(self, home, port, master, password=None, master_password=None):
        super().__init__(home, port, password)
        lines = [f"port {port}", "bind 127.0.0.1", f"dir {home}",
                 f"sentinel monitor shop 127.0.0.1 {master} 2",
                 f"sentinel down-after-milliseconds shop {int(600 * SLOW)}",
                 f"sentinel failover-timeout shop {int(4000 * SLOW)}"]
        if master_password:
            lines.append(f"sentinel auth-pass shop {master_password}")
        if password:
            lines += [f"requirepass {password}", f"sentinel sentinel-pass {password}"]
        file = Path(home) / f"sentinel-{port}.conf"
        file.write_text("\n".join(lines) + "\n")
        self.words = [str(file), "--sentinel"]

    def master(self):
        return int(self.ask("SENTINEL", "get-master-addr-by-name", "shop").split(b"\r\n")[4])

    def knows(self, replicas, sentinels):
        said = self.ask("SENTINEL", "MASTER", "shop").split(b"\r\n")
        number = {key: int(said[said.index(key) + 2]) for key in (b"num-slaves", b"num-other-sentinels")}
        return number == {b"num-slaves": replicas, b"num-other-sentinels": sentinels}


class Watched:
    """A master, a replica, and three sentinels that agree on both."""

    def __init__(self, home, ports, password=None, sentinel_password=None):
        self.password = password
        master, replica = ports.take(), ports.take()
        auth = ["--masterauth", password] if password else []
        self.redises = [Redis(home, master, password, auth),
                        Redis(home, replica, password, [*auth, "--replicaof", f"127.0.0.1 {master}"])]
        self.sentinels = [Sentinel(home, ports.take(), master, sentinel_password, password) for _ in range(3)]

    def start(self):
        for server in [*self.redises, *self.sentinels]:
            server.start()
        for sentinel in self.sentinels:
            until(lambda s=sentinel: s.knows(1, 2), "sentinels that know each other", FLEET)
        until(lambda: b"state=online" in self.redises[0].ask("INFO", "replication"), "a replica in step", FLEET)
        return self

    @property
    def url(self):
        user = f":{self.password}@" if self.password else ""
        places = ",".join(f"127.0.0.1:{s.port}" for s in self.sentinels)
        return f"redis+sentinel://{user}{places}/shop"

    def wait_master(self, redis):
        until(lambda: all(s.master() == redis.port for s in self.sentinels if s.process), "another master", FLEET)

    def kill(self):
        for server in [*self.sentinels, *self.redises]:
            server.kill()


class Cluster:
    """Three masters, and a replica of the first if wanted."""

    def __init__(self, home, ports, replica=False, password=None, tls=None):
        self.home, self.password, self.tls = home, password, tls
        self.nodes = [self._node(home, ports) for _ in range(4 if replica else 3)]
        self.replica = self.nodes[3] if replica else None

    def _node(self, home, ports):
        port = ports.take()
        options = ["--cluster-enabled", "yes", "--cluster-port", ports.take(), "--cluster-config-file",
                   f"nodes-{port}.conf", "--cluster-node-timeout", int(1500 * SLOW),
                   "--cluster-require-full-coverage", "no", "--dbfilename", f"{port}.rdb"]
        if self.password:
            options += ["--masterauth", self.password]
        if not self.tls:
            return Redis(home, port, self.password, list(map(str, options)))
        tls_port = ports.take()
        own = self.tls.leaf("127.0.0.1", client=True).pair  # for the others
        options += [*tls_options(tls_port, self.tls.leaf("127.0.0.1").pair, self.tls.file), "--tls-cluster", "yes",
                    "--tls-client-cert-file", own["cert"], "--tls-client-key-file", own["key"]]
        node = Redis(home, port, self.password, list(map(str, options)))
        node.tls_port = tls_port
        return node

    def start(self):
        for node in self.nodes:
            node.start()
        places = [f"127.0.0.1:{n.tls_port if self.tls else n.port}" for n in self.nodes]
        self._cli("create", *places[:3], "--cluster-yes")
        self._wait(3)
        if self.replica:
            self._cli("add-node", places[3], places[0], "--cluster-slave", "--cluster-master-id",
                      self.id(self.nodes[0]))
            until(lambda: b"master_link_status:up" in self.replica.ask("INFO", "replication"), "a replica", FLEET)
            self._wait(4)
        return self

    def _wait(self, count):
        known = b"cluster_known_nodes:%d\r\n" % count
        for node in self.nodes[:count]:
            until(lambda n=node: known in n.ask("CLUSTER", "INFO") and b"cluster_state:ok" in n.ask("CLUSTER", "INFO"),
                  "a cluster", FLEET)

    def _cli(self, *words):
        auth = ["-a", self.password, "--no-auth-warning"] if self.password else []
        auth += ["--tls", "--cacert", str(self.tls.file)] if self.tls else []
        done = subprocess.run(["redis-cli", *auth, "--cluster", *words], capture_output=True, text=True, timeout=60 * SLOW,
                              check=False)
        assert done.returncode == 0, done.stdout + done.stderr

    @property
    def url(self):
        user = f":{self.password}@" if self.password else ""
        if self.tls:
            return f"rediss+cluster://{user}" + ",".join(f"127.0.0.1:{n.tls_port}" for n in self.nodes[:3])
        return f"redis+cluster://{user}" + ",".join(f"127.0.0.1:{n.port}" for n in self.nodes[:3])

    def id(self, node):
        return node.ask("CLUSTER", "MYID").split(b"\r\n")[1].decode()

    def keys(self):
        """Key -> the master that has it."""
        return {key: node for node in self.nodes[:3] if node.process for key in node.keys()}

    def kill(self):
        for node in self.nodes:
            node.kill()


class Table:
    """Answers each command by its first two words, or its first; a callable is asked; None: silence."""

    SHA = b"$40\r\n" + b"a" * 40 + b"\r\n"

    def __init__(self, port, answers):
        self.port = port
        self.answers = {"SCRIPT LOAD": self.SHA, "ROLE": b"*3\r\n$6\r\nmaster\r\n:0\r\n*0\r\n", **answers}
        self.asked = []
        self.listener = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self._accept, daemon=True).start()

    def count(self, word):
        return sum(line[0] == word for line in self.asked)

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _secure(self, sock):
        return sock

    def _serve(self, sock):
        try:
            with self._secure(sock) as sock, sock.makefile("rb") as lines:
                while words := self._command(lines):
                    self.asked.append(words)
                    answer = self.answers.get(" ".join(words[:2]), self.answers.get(words[0], b"+OK\r\n"))
                    answer = answer(words) if callable(answer) else answer
                    if answer is not None:
                        sock.sendall(answer)
        except (OSError, ValueError):
            pass

    @staticmethod
    def _command(lines):
        head = lines.readline()
        if not head:
            return None
        words = []
        for _ in range(int(head[1:])):
            length = int(lines.readline()[1:])
            words.append(lines.read(length + 2)[:-2].decode())
        return words

    def close(self):
        self.listener.close()


class TlsTable(Table):
    """The same over TLS."""

    def __init__(self, port, answers, leaf):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(leaf.cert, leaf.key)
        super().__init__(port, answers)

    def _secure(self, sock):
        return self.context.wrap_socket(sock, server_side=True)


def slots(*ranges):
    """An answer to CLUSTER SLOTS: (first, last, port)."""
    out = b"*%d\r\n" % len(ranges)
    for first, last, port in ranges:
        out += b"*3\r\n:%d\r\n:%d\r\n*3\r\n$9\r\n127.0.0.1\r\n:%d\r\n$2\r\nid\r\n" % (first, last, port)
    return out


def short(answer):
    """A test's name for one of its answers."""
    return repr(answer)[:24]
