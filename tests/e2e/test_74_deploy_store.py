# SPDX-License-Identifier: Apache-2.0
"""Deploys while control's store cannot be written: nothing new is begun, and what is bad goes back."""

import random
import sqlite3
import threading

import pytest

from lib.wait import until
from test_74_deploy import WAIT, Load, shop  # noqa: F401


def test_a_word_while_the_store_fails(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "10%", "for": "1h"}, {"share": "50%", "for": "1h"}]})
    ident = s.begin("2")
    s.wait(ident, "watching")
    store = sqlite3.connect(s.gw.state / "control.db", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    said = s.gw.admin("POST", f"/api/v1/deploys/{ident}/promote", timeout=WAIT)
    assert (said.status, said.json()["reason"]) == (503, "store_failed"), said
    assert "What was said to the deploy is done once it can be written" in said.json()["detail"]
    store.close()
    until(lambda: s.show(ident)["step"] == 2, "it is", WAIT)
    assert s.gw.cli("abort", ident).code == 0
    s.wait_outcome(ident, "aborted")
    s.serves("stable")


def test_a_bad_one_goes_back_while_the_store_fails(shop):
    s = shop({"strategy": "canary", "steps": [{"share": "50%", "for": "1h"}], "verdict": {"errors": {"margin": "1%"}, "minimum": 20}},
             safety_net=False)
    is_bad = threading.Event()
    ident = s.begin("2", answer=lambda conn, request: conn.respond(500 if is_bad.is_set() else 200, b"2"))
    s.wait(ident, "watching")
    until(lambda: not s.show(ident)["waiting_for"], "the edge has it, and all is written", WAIT)
    store = sqlite3.connect(s.gw.state / "control.db", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    is_bad.set()
    with Load(s.gw):
        until(lambda: s.releases()["2"] == 0, "it has no share any more", WAIT, lambda: str(s.show(ident)))
    s.serves("stable")
    store.close()
    s.wait_outcome(ident, "failed")


@pytest.mark.parametrize("by", ["its requests", "its health", "a person"])
def test_a_bad_one_goes_back_while_its_next_step_cannot_be_written(shop, by):
    s = shop({"strategy": "canary", "steps": [{"share": "40%", "for": "1h"}, {"share": "60%", "for": "1h"}],
              "verdict": {"errors": {"margin": "1%"}, "minimum": 20}}, safety_net=False)
    is_bad, lots = threading.Event(), random.Random(1)
    bad = lambda: is_bad.is_set() and lots.random() < 0.2  # noqa: E731 - it takes the verdict to tell
    ident = s.begin("2", answer=lambda conn, request: conn.respond(500 if bad() else 200, b"2"))
    s.wait(ident, "watching")
    until(lambda: not s.show(ident)["waiting_for"], "the edge has it, and all is written", WAIT)
    store = sqlite3.connect(s.gw.state / "control.db", isolation_level=None)
    store.execute("BEGIN IMMEDIATE")
    with Load(s.gw):
        assert s.gw.cli("promote", ident).code == 1
        shown = s.show(ident)
        assert shown["step"] == 2 and "nothing new is begun until it is back" in shown["log"][-1]["text"], shown
        if by == "its requests":
            is_bad.set()
        elif by == "its health":
            s.made["2"].close()
        else:
            assert s.gw.cli("abort", ident).code == 1  # for it is not written
        until(lambda: s.releases()["2"] == 0, "it has no share any more", WAIT, lambda: str(s.show(ident)))
    s.serves("stable")
    store.close()
    s.wait_outcome(ident, "aborted" if by == "a person" else "failed")
