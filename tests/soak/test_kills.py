# SPDX-License-Identifier: Apache-2.0
"""Control is killed at each of the moments at which it makes something durable, before it is and after it was, in deploys
of a release that is good and of one that never becomes healthy.

The deploy goes on by itself each time and ends as it would have: the new release serves, or the old one; no unit is
started twice, and no client sees anything. SOAK_KILLS is how many kills (500), on SOAK_LANES gateways side by side (6):
most of the time is waited for a control to be started again.
"""

import concurrent.futures
import os
import subprocess

from lib.release_app import APP
from lib.wait import until
from test_deploys import Crowd

KILLS = int(os.environ.get("SOAK_KILLS", "500"))
LANES = int(os.environ.get("SOAK_LANES", "6"))
HERE = os.path.dirname(os.path.abspath(__file__))

# A second one of the same unit would find the first one's lock.
ONCE = """
import fcntl, os, sys
lock = open(os.path.join(os.path.dirname(sys.argv[0]), os.environ["SLUICE_UNIT"] + ".lock"), "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except OSError:
    open(os.path.join(os.path.dirname(sys.argv[0]), "twice"), "a").write(os.environ["SLUICE_UNIT"] + "\\n")
"""


def start(gateway):
    gw = gateway(run=False)
    library, app = gw.home / "kill_at.so", gw.home / "app.py"
    subprocess.run(["cc", "-O1", "-Wall", "-Wextra", "-shared", "-fPIC", "-o", library, os.path.join(HERE, "kill_at.c"), "-ldl"],
                   check=True)
    app.write_text(ONCE + APP)
    process = {"command": ["/usr/bin/python3", "-B", str(app), "${release}"], "instances": 1, "grace": "2s"}
    if os.geteuid() == 0:
        process["user"] = "root"
    deploy = {"strategy": "bluegreen", "healthy": "4s", "bake": "0s", "keep": "0s", "drain": "1s"}
    gw.change(services={"shop": {"provider": {"process": process}, "assign": {"by": "cookie"}, "deploy": deploy,
                                 "health": {"interval": "1s", "fast_interval": "100ms", "fall": 1}}},
              admin={"bind": f"127.0.0.1:{gw.admin_port}"})
    gw.start(env={"LD_PRELOAD": str(library), "KILL_AT_WORD": "control", "KILL_AT_FILE": str(gw.home / "kill_at")})
    until(lambda: gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", 30)
    return gw


def control(gw):
    return next((pid for pid, line in gw.members() if " control " in line), None)


def restart(gw):
    """A control that will be killed where the file says."""
    before = control(gw)
    os.kill(before, 15)
    until(lambda: control(gw) not in (None, before), "another control", 60)


def run(gw, number, release):
    """How the deploy ended, and whether control was killed in it."""
    mark = gw.home / "kill_at.killed"
    mark.unlink(missing_ok=True)
    (gw.home / "kill_at").write_text(f"{1 + number // 4} {'after' if number % 2 else 'before'}")
    restart(gw)
    until(lambda: not (gw.home / "kill_at").exists(), "it knows when it ends", 60)
    done = gw.cli("deploy", "shop", "--release", release, timeout=180)
    until(lambda: gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", 60)
    return done, mark.exists()


def lane(gw, kills_wanted):
    """Kills, deploys and requests."""
    assert gw.cli("deploy", "shop", "--release", "good0", timeout=60).code == 0
    crowd, serving, number, kills, deploys = Crowd(gw, 0.03), "good0", 0, 0, 0
    try:
        while kills < kills_wanted:
            release = f"{'never' if number % 4 > 1 else 'good'}{deploys + 1}"
            done, was_killed = run(gw, number, release)
            deploys, kills = deploys + 1, kills + was_killed
            is_good = release.startswith("good")
            assert done.code == (0 if is_good else 1), f"{number} {done.out}{done.err}{gw.stderr()[-2000:]}"
            serving = release if is_good else serving
            assert {gw.get("/").text for _ in range(5)} == {serving}
            assert not (gw.home / "twice").exists(), (gw.home / "twice").read_text()
            assert not crowd.wrong and not crowd.cut, (number, crowd.wrong[:3], crowd.cut)
            # Beyond the last write of a deploy there is nothing to be killed at: from the first one again.
            number = number + 1 if was_killed or number % 4 != 3 else 0
    finally:
        crowd.stop()
    return kills, deploys, sum(crowd.counts.values())


def test_killed_at_each_write(gateway):
    gateways = [start(gateway) for _ in range(LANES)]
    with concurrent.futures.ThreadPoolExecutor(LANES) as pool:
        lanes = [pool.submit(lane, gw, -(-KILLS // LANES)) for gw in gateways]
        sums = [sum(figures) for figures in zip(*(each.result() for each in lanes))]
    print("\n{} kills in {} deploys, {} requests".format(*sums))
