# SPDX-License-Identifier: Apache-2.0
"""Deploys in a row under load, of apps that are processes: good, crashing on boot, never healthy, failing in one of
twenty, three times slower. Control is killed at a random moment of half of them, the edge in a tenth.

No client sees a failure, but for what was in flight in an edge that was killed; every bad one ends on the old release by
itself, every good one is promoted. SOAK_DEPLOYS is how many (100).
"""

import os
import random
import signal
import threading
import time
from collections import Counter

from lib.client import Client
from lib.release_app import APP
from lib.stream import Ended
from lib.wait import until

DEPLOYS = int(os.environ.get("SOAK_DEPLOYS", "100"))
KINDS = ("good", "crash", "never", "poor", "slow")
THREADS = 6


class Crowd:
    """Clients all the time, each request with a new identity and after a pause; what a killed edge cut is counted apart."""

    def __init__(self, gw, pause_s=0.0):
        self.gw, self.pause_s, self.counts, self.wrong, self.cut = gw, pause_s, Counter(), [], 0
        self.stopped = threading.Event()
        self.threads = [threading.Thread(target=self._run) for _ in range(THREADS)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while not self.stopped.is_set():
            try:
                with Client(("127.0.0.1", self.gw.port), timeout=30) as client:
                    while not self.stopped.wait(self.pause_s):
                        reply = client.get("/", timeout=30)
                        self.counts[reply.text if reply.status == 200 else reply.status] += 1
                        if reply.status != 200:
                            self.wrong.append((time.monotonic(), reply))
            except (Ended, OSError):
                self.cut += 1

    def stop(self):
        self.stopped.set()
        for thread in self.threads:
            thread.join()


def start(gateway):
    gw = gateway(run=False)
    app = gw.home / "app.py"
    app.write_text(APP)
    process = {"command": ["/usr/bin/python3", "-B", str(app), "${release}"], "instances": 2, "grace": "5s"}
    if os.geteuid() == 0:
        process["user"] = "root"
    deploy = {"strategy": "canary", "steps": [{"share": "30%", "for": "1s"}], "healthy": "6s", "bake": "1s", "keep": "1h",
              "drain": "5s", "verdict": {"errors": {"margin": "1%"}, "max_time": "60s", "on_no_data": "fail"}}
    gw.change(services={"shop": {"provider": {"process": process}, "assign": {"by": "cookie"}, "deploy": deploy,
                                 "health": {"interval": "1s", "fast_interval": "100ms"},
                                 "retry": {"retries": 3, "on": ["connect", "reset", "reset_unsent"], "budget": "100%"}}},
              admin={"bind": f"127.0.0.1:{gw.admin_port}"}, workers=2)
    gw.start()
    until(lambda: gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", 30)
    return gw


def kill(gw, what):
    before = next(pid for pid, line in gw.members() if f" {what} " in line)
    os.kill(before, signal.SIGKILL)


def count_cuts(crowd, before):
    """A killed edge costs each client the one request that it had."""
    assert crowd.cut - before <= THREADS, f"{crowd.cut - before} requests were cut by one kill"


def deploy(gw, crowd, release, victim):
    """How it ended. `victim` is killed at a random moment of it."""
    done = gw.cli("deploy", "shop", "--release", release, "--detach", timeout=120)
    assert done.code == 0, done
    ident, cut = done.out.strip(), crowd.cut
    if victim:
        crowd.stopped.wait(random.uniform(0, 5))
        kill(gw, victim)
    done = gw.cli("deploy", "--follow", ident, timeout=300)
    if victim == "edge":
        count_cuts(crowd, cut)
    else:
        assert crowd.cut == cut, f"{crowd.cut - cut} connections were cut in deploy {ident} of {release}, {victim} killed"
    return done


def test_deploys_in_a_row(gateway):
    gw = start(gateway)
    seed = random.randrange(1 << 32)
    print(f"\nseed {seed}")
    random.seed(seed)
    serving, took = "good0", Counter()
    assert gw.cli("deploy", "shop", "--release", serving, timeout=60).code == 0
    crowd = Crowd(gw)
    try:
        for number in range(1, DEPLOYS + 1):
            release = f"{KINDS[number % len(KINDS)]}{number}"
            victim = "edge" if number % 10 == 3 else "control" if number % 2 else None
            begun = time.monotonic()
            done = deploy(gw, crowd, release, victim)
            is_good = release.startswith("good")
            print(f"{number:4} {release:10} {victim or '':8} {time.monotonic() - begun:5.1f} s  {done.out.splitlines()[-1]}")
            assert done.code == (0 if is_good else 1), f"{done.out}{done.err}{gw.stderr()[-3000:]}"
            assert not crowd.wrong, crowd.wrong[:3]
            serving = release if is_good else serving
            took[release.rstrip("0123456789")] += time.monotonic() - begun
    finally:
        crowd.stop()
    print(f"{sum(crowd.counts.values())} requests, {crowd.cut} cut by killed edges; seconds by kind: {dict(took)}")
    assert {gw.get("/").text for _ in range(20)} == {serving}
