# SPDX-License-Identifier: Apache-2.0
"""The faults of test_fault_bench.py, all of them at once with a name server that changes its mind and dies.

The targets are found by SRV records. The answer names all three targets, in any order and weight, or two of which one
is well; in between the name server fails in every way there is, and the last good answer has to do."""

import random
import threading
import time

import pytest

from lib.dns import DnsServer
from lib.wait import until
from test_fault_bench import SECONDS, SERVICE, TIMEOUTS, Work, check, ledgers, proxies, rotate  # noqa: F401

NAME = "app.internal"
FAILURES = ("SERVFAIL", "REFUSED", "NXDOMAIN", "drop", "garbage")


class Namer:
    """Says another thing of the name every now and then."""

    def __init__(self, dns, proxies, sick, log):
        self.dns, self.proxies, self.sick, self.log = dns, proxies, sick, log
        self.changes, self.failures, self.error = 0, 0, None
        self.stopped = threading.Event()
        self.say(proxies)
        self.thread = threading.Thread(target=self._run, daemon=True)

    def say(self, proxies):
        ports = [int(proxy.address.rpartition(":")[2]) for proxy in proxies]
        self.log.append((round(time.monotonic(), 2), [self.proxies.index(p) for p in proxies], "named"))
        self.dns.set(NAME, "SRV", [(1, random.choice((1, 2)), port, "t.internal") for port in ports], ttl=1)
        self.changes += 1

    def _run(self):
        try:
            while not self.stopped.wait(random.uniform(0.3, 1.5)):
                if random.random() < 0.4:
                    self.dns.fail(NAME, random.choice(FAILURES))
                    self.failures += 1
                else:
                    self.say(self._some())
        except AssertionError as error:
            self.error = error

    def _some(self):
        """All, or all but one that is sick: one that is well is never taken away from requests that count on it."""
        gone = random.choice([*self.sick, None])
        return random.sample([p for p in self.proxies if p is not gone], len(self.proxies) - (gone is not None))

    def stop(self):
        self.stopped.set()
        self.thread.join(10)
        assert not self.error, self.error
        self.say(self.proxies)


@pytest.fixture
def dns():
    with DnsServer() as server:
        server.set("t.internal", "A", ["127.0.0.1"], ttl=1)
        yield server


def test_faults_in_turns_with_names_that_change_and_die(ledgers, proxies, gateway, dns):
    sick, log = [], []
    namer = Namer(dns, proxies, sick, log)
    service = {**SERVICE, "discover": {"dns": NAME, "type": "SRV", "ttl_min": "100ms"}}
    gw = gateway(services={"app": service}, resolvers=[dns.address], workers=2, timeouts=TIMEOUTS)
    until(lambda: len(gw.targets()) == 3 and all(t["state"] == "up" for t in gw.targets().values()), "all are up")
    before, work = gw.edges(), Work(gw)
    namer.thread.start()
    rotate(gw, proxies, sick, SECONDS, log)
    sick.clear()
    namer.stop()
    work.stop()
    print(f"\n{namer.changes} changes of the name, {namer.failures} failures of its server")
    check(work, ledgers, log)
    assert gw.edges() == before, gw.stderr()[-3000:]
    until(lambda: len(gw.targets()) == 3 and all(t["state"] == "up" for t in gw.targets().values()), "all again", 90)
