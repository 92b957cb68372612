# SPDX-License-Identifier: Apache-2.0
"""A gateway whose service `shop` is scaled: its units are processes of this machine."""

import os
import signal

from test_74_deploy import WAIT
from test_75_deploy_units import Shop

from .wait import SLOW, until

SCALE = {"min": 1, "max": 4, "concurrency": 2, "stable": "3s", "panic": "1s", "down_cooldown": "1s"}
SLEEPY = {**SCALE, "min": 0, "idle": "2s"}
STILL = {"min": 1, "max": 4, "stable": "3s", "panic": "1s", "down_cooldown": "1s"}  # no load says anything


class Scaled(Shop):
    def scale(self):
        reply = self.gw.admin("GET", "/api/v1/control")
        services = reply.json()["services"] if reply.status == 200 else []
        return next((s for s in services if s["service"] == "shop"), {"state": "unknown", "wanted": -1, "ready": -1})

    def wait_state(self, state):
        until(lambda: self.scale()["state"] == state, f"{state}: {self.scale()}", WAIT, self.gw.stderr)

    def wait_units(self, count):
        until(lambda: len(self.apps()) == count, f"{count} run: {self.apps()}, {self.scale()}", WAIT, self.gw.stderr)

    def wait_ready(self, count):
        until(lambda: self.scale()["ready"] == count, f"{count} serve: {self.scale()}", WAIT, self.gw.stderr)

    def sleeps(self):
        self.wait_state("asleep")
        self.wait_units(0)

    def ask(self, verb, body=None):
        return self.gw.admin("POST", f"/api/v1/services/shop/{verb}", body, timeout=WAIT)

    def control(self):
        return next((pid for pid, line in self.gw.members() if " control " in line), None)

    def kill_control(self):
        before = self.control()
        os.kill(before, signal.SIGKILL)
        until(lambda: self.control() not in (None, before), "another control", WAIT)
        until(lambda: self.scale()["state"] != "unknown", "control answers", 30 * SLOW)


def make(gateway, scale, deploy=None, **options):
    return Scaled(gateway, {"keep": "200ms", "drain": "3s", **(deploy or {})}, instances=1, scale=scale, **options)
