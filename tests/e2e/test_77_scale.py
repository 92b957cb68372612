# SPDX-License-Identifier: Apache-2.0
"""Scaling of a service whose instances are processes of this machine: more and fewer by load and by word, asleep and
awake again, and what a killed control, a silent edge, a deploy or an app that does not start changes."""

import os
import signal
import threading
import time

import pytest

from lib.client import Client
from lib.wait import SLOW, stays, until
from test_74_deploy import WAIT, Load
from test_75_deploy_units import Shop

SCALE = {"min": 1, "max": 4, "concurrency": 2, "stable": "3s", "panic": "1s", "down_cooldown": "1s"}
SLEEPY = {**SCALE, "min": 0, "idle": "2s"}


class Scaled(Shop):
    def scale(self):
        reply = self.gw.admin("GET", "/api/v1/control")
        services = reply.json()["services"] if reply.status == 200 else []
        return next((s for s in services if s["service"] == "shop"), {"state": "unknown", "wanted": -1, "ready": -1})

    def wait_state(self, state):
        until(lambda: self.scale()["state"] == state, f"{state}: {self.scale()}", WAIT, self.gw.stderr)

    def wait_units(self, count):
        until(lambda: len(self.apps()) == count, f"{count} run: {self.apps()}, {self.scale()}", WAIT, self.gw.stderr)

    def sleeps(self):
        self.wait_state("asleep")
        self.wait_units(0)


@pytest.fixture
def shop(gateway):
    def make(scale, deploy=None, **options):
        return Scaled(gateway, {"keep": "200ms", "drain": "3s", **(deploy or {})}, instances=1, scale=scale, **options)
    return make


def test_it_grows_under_load_and_shrinks_after(shop):
    s = shop(SCALE)
    assert s.deploy("v1").code == 0
    with Load(s.gw, 8) as load:
        s.wait_units(4)
        until(lambda: s.scale()["ready"] == 4, f"all serve: {s.scale()}", WAIT)
    assert not load.wrong, load.wrong[:3]
    with Load(s.gw, 1) as load:
        s.wait_units(1)
    assert not load.wrong, load.wrong[:3]


def test_it_sleeps_and_a_request_wakes_it(shop):
    s = shop(SLEEPY)
    assert s.deploy("v1").code == 0
    for _ in range(2):
        s.sleeps()
        reply = s.gw.get("/")
        assert (reply.status, reply.text) == (200, "v1"), reply
        assert "cold_start" in reply.header("Server-Timing")
        assert len(s.apps()) == 1
    assert s.scale()["eta_ms"] > 0
