# SPDX-License-Identifier: Apache-2.0
"""All at once: the faults of test_fault_bench.py and targets that are killed, names that change and die, a network that
loses packets between the gateway and its targets, and some 2,000 requests a second.

What a lost packet costs is a fifth of a second, or a whole one where a connection is begun; the service is given the
patience for it that its operator would give it."""

import re
import signal
import subprocess

import pytest

from lib.faulty import FaultyProcess
from lib.wait import SLOW, until
from test_fault_bench import MODES, SECONDS, SERVICE, Work, check, ledgers, lossy, rotate  # noqa: F401
from test_fault_names import NAME, Namer, dns  # noqa: F401

CLIENTS = 240
PAUSE_MS = 80  # of a client between two requests, on the average
LIFE = 6 * SLOW  # what nearly all requests need at most: four tries, and a connection that is begun twice
RETRY = {**SERVICE["retry"], "retries": 7, "per_try": "700ms"}
TIMEOUTS = {"stream_idle": "5s", "connect": "4s", "first_byte": "30s"}
SCRIPT = """
function delay() return math.random(%d, %d) end
function response(status, headers, body)
    if status ~= 200 or body ~= "ok" then print("wrong:", status, headers["X-Sluice-Reason"], #body) end
end
""" % (PAUSE_MS // 2, PAUSE_MS * 3 // 2)


class Crowd:
    """Clients by wrk that pause between their requests, so that more of them wait when targets are slow."""

    def __init__(self, gw, home):
        script = f"{home}/crowd.lua"
        with open(script, "w") as file:
            file.write(SCRIPT)
        self.process = subprocess.Popen(
            ["wrk", "-t", "1", "-c", str(CLIENTS), "-d", "3600s", "--timeout", "60s", "-s", script,
             f"http://127.0.0.1:{gw.port}/small"], stdout=subprocess.PIPE, text=True)

    def stop(self):
        """Requests answered, and a line for each that was not as it should be."""
        self.process.send_signal(signal.SIGINT)
        out, _ = self.process.communicate(timeout=60)
        return int(re.search(r"(\d+) requests in", out)[1]), re.findall(r"wrong:.*|Socket errors:.*", out)


@pytest.fixture
def proxies(lossy, ledgers, ports):  # noqa: F811
    made = [FaultyProcess(ledger.address, ports.take()) for ledger in ledgers]
    yield made
    for proxy in made:
        proxy.close()


def test_all_faults_at_once_on_a_network_that_loses_packets(lossy, ledgers, proxies, gateway, home, dns):  # noqa: F811
    loss = lossy(5, [proxy.address.rpartition(":")[2] for proxy in proxies])
    sick, log = [], []
    namer = Namer(dns, proxies, sick, log)
    service = {"retry": RETRY, "health": "on", "discover": {"dns": NAME, "type": "SRV", "ttl_min": "100ms"}}
    gw = gateway(services={"app": service}, resolvers=[dns.address], workers=2, timeouts=TIMEOUTS)
    until(lambda: len(gw.targets()) == 3 and all(t["state"] == "up" for t in gw.targets().values()), "all are up")
    before, work, crowd = gw.edges(), Work(gw, 3), Crowd(gw, home)
    namer.thread.start()
    rotate(gw, proxies, sick, SECONDS, log, {**MODES, "kill": {}}, LIFE)
    answered, wrong = crowd.stop()
    sick.clear()
    namer.stop()
    work.stop()
    print(f"\n{answered / SECONDS:.0f} requests a second of the crowd, {loss.packets()} packets lost, {len(log)} turns, "
          f"{namer.changes} changes of the name, {namer.failures} failures of its server")
    work.wrong += wrong
    check(work, ledgers, log)
    assert loss.packets() > 100 and answered > 100 * SECONDS
    assert gw.edges() == before, gw.stderr()[-3000:]
    until(lambda: len(gw.targets()) == 3 and all(t["state"] == "up" for t in gw.targets().values()), "all again", 90)
