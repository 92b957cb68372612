# SPDX-License-Identifier: Apache-2.0
"""What waking a service that sleeps adds to its app's own boot time. Like scenarios.py: takes a bench, returns rows."""
import http.client
import json
import os
import socket
import statistics
import time

import proxies
import ready
import tools

# Says when it began, and when it listens; in between it boots, for as long as an app may.
APP = """
import os, socket, time
listener = socket.socket()
listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
listener.bind(("127.0.0.1", int(os.environ["PORT"])))
time.sleep(0.1)
listener.listen(128)
with open("listens.new", "w") as file:
    file.write(f"{time.time():.6f} {os.environ['PORT']}")
os.rename("listens.new", "listens")
while True:
    conn, _ = listener.accept()
    if conn.recv(65536):
        conn.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    conn.close()
"""
LEAST_ROUNDS = 20
PATIENCE_S = 30


class Sleeper(proxies.Sluice):
    """Sluice with one service, whose app control starts; on all cores, as where nothing is compared."""
    cores = set(tools.CORES)

    def config(self):
        self.write("app.py", APP)
        command = f"echo $EPOCHREALTIME >{self.path('began')}; cd {self.folder}; exec /usr/bin/python3 -S app.py"
        process = {"command": ["/bin/bash", "-c", command], "instances": 1, "grace": "1s"}
        if os.geteuid() == 0:
            process["user"] = "root"
        service = {"provider": {"process": process}, "health": {"interval": "1s"},
                   "deploy": {"bake": "0s", "keep": "0s", "drain": "1s"}, "scale": {"min": 0, "max": 1, "idle": "1h"}}
        return json.dumps({"workers": 1, "state": self.path("state"), "log": {"format": "off"}, "filters": [{"rate_limit": "off"}],
                           "listeners": [{"bind": f"127.0.0.1:{self.port}"}],
                           "admin": {"bind": f"127.0.0.1:{tools.free_port()}"}, "services": {"app": service}})

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().split()

    def call(self, method, path, body=None):
        """Of the admin API; the status and what was answered."""
        connection = http.client.HTTPConnection("localhost", timeout=PATIENCE_S)
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.connect(self.path("state/admin.sock"))
        connection.request(method, path, json.dumps(body) if body else None)
        reply = connection.getresponse()
        text = reply.read()
        connection.close()
        return reply.status, json.loads(text)

    def is_gone(self):
        """Nothing of it runs, and the edge knows."""
        with socket.socket() as probe:
            listens = not probe.connect_ex(("127.0.0.1", int(self.read("listens")[1])))
        service = self.call("GET", "/api/v1/status")[1]["services"][0]
        return not listens and service["scale"]["state"] == "asleep"


def await_true(check, what):
    end = time.monotonic() + PATIENCE_S
    while not check():
        if time.monotonic() > end:
            raise tools.BenchError(f"{what} did not happen within {PATIENCE_S} s")
        time.sleep(0.02)


def one(sluice):
    """A wake: its milliseconds from the request to the answer, and those of the app's own boot."""
    sluice.call("POST", "/api/v1/services/app/sleep")
    await_true(sluice.is_gone, "sleep")
    sent = time.time()
    if ready.ask(sluice.port) != 200:
        raise tools.BenchError("the request that woke it was not answered 200")
    answered = time.time()
    boot = float(sluice.read("listens")[0]) - float(sluice.read("began")[0])
    return (answered - sent) * 1000, boot * 1000


def wake(bench):
    """A request for a service that sleeps: milliseconds that waking adds to its app's own boot time."""
    rounds = max(LEAST_ROUNDS, bench.rounds)
    with bench.folder() as folder:
        sluice = Sleeper(folder, 0, {})
        sluice.start()
        try:
            await_true(lambda: sluice.call("POST", "/api/v1/deploys", {"service": "app", "release": "v1"})[0] == 201, "a deploy")
            await_true(lambda: sluice.call("GET", "/api/v1/deploys/d1")[1]["phase"] == "done", "the deploy's end")
            times = [one(sluice) for _ in range(rounds)]
        finally:
            sluice.stop()
    added = sorted(took - boot for took, boot in times)
    return {"sluice": {"median_ms": statistics.median(added), "p95_ms": added[-(-95 * rounds // 100) - 1], "worst_ms": added[-1],
                       "boot_ms": statistics.median(boot for _, boot in times)}}


ALL = {"wake": wake}
