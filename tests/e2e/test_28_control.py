# SPDX-License-Identifier: Apache-2.0
"""The control process alone: ACME against pebble, with edges of the test's own that show what they are given."""

import contextlib
import glob
import json
import os
import signal
import threading
import time

import pytest

from lib.control import LONG, Control, renewal_id, unpack
from lib.fake_edge import FakeEdge
from lib.gateway import run
from lib.wait import DEADLINE, stays, until

pytestmark = pytest.mark.long


@pytest.fixture
def control(home, ports):
    made = []

    def make(start=True, **options):
        made.append(Control(home, ports, **options))
        return made[-1].start() if start else made[-1]

    yield make
    for one in made:
        one.close()


def test_a_certificate_by_http_01_is_on_the_edge(control):
    c = control()
    leaf = c.leaf()
    assert c.ca.orders == 1
    until(lambda: not c.edge.challenges, "the challenge's end")
    assert [body["type"] for body in c.edge.ever.values()] == ["http-01"]
    until(lambda: c.set["state"] == "good", "the state")
    assert c.set["not_after"].startswith(leaf.not_valid_after.strftime("%Y-%m-%dT%H:%M:%S"))
    assert c.set["next"] < c.set["not_after"]


# -- challenges


def test_a_certificate_by_tls_alpn_01(control):
    c = control(challenge="tls-alpn-01")
    c.leaf()
    assert [body["type"] for body in c.edge.ever.values()] == ["tls-alpn-01"]


def test_what_http_01_cannot_prove_tls_alpn_01_does_in_a_new_order(control):
    c = control(start=False)
    c.edge.http_port = None  # nothing answers there
    c.edge.shut()
    c.edge.open()
    c.start()
    c.leaf()
    assert c.ca.orders == 2
    assert [body["type"] for body in c.edge.ever.values()] == ["http-01", "tls-alpn-01"]
    assert "now by tls-alpn-01" in c.stderr()
    c.renew()
    until(lambda: c.ca.orders >= 3, "a renewal", LONG, c.stderr)
    until(lambda: len(c.edge.ever) >= 3, "its challenge", LONG, c.stderr)
    assert list(c.edge.ever.values())[2]["type"] == "tls-alpn-01"  # remembered


def test_several_names_in_one_certificate(control):
    c = control(domains=["B.test", "a.test", "c.test"])
    leaf = c.leaf("c.test")
    assert c.edge.leaf("a.test") == c.edge.leaf("b.test") == leaf
    assert c.ca.orders == 1
    assert len(c.edge.ever) == 3


def test_nonces_that_are_refused_are_replaced(control):
    c = control(env={"PEBBLE_WFE_NONCEREJECT": "20"}, domains=["a.test", "b.test"])
    leaf = c.leaf()
    assert leaf


# -- edges


def test_several_edges_cost_one_order(control, ports):
    c = control(start=False)
    tokens = ["edge-token-0123456789", None]
    c.others = [FakeEdge(port=ports.take(), token=tokens[0]),
                FakeEdge(path=os.path.join(c.home, "second.sock"), token=tokens[1])]
    c.write(control={"edges": [
        {"name": "cdg1", "url": f"http://127.0.0.1:{c.others[0].port}/", "token": tokens[0]},
        {"name": "fra1", "url": f"unix:{c.others[1].path}"},
    ]})
    c.start()
    leaf = c.leaf()
    for edge in c.others:
        assert c.leaf(edge=edge) == leaf
        assert edge.ever == c.edge.ever
    assert c.ca.orders == 1


def test_every_edge_has_the_answer_before_the_ca_is_told(control, ports):
    c = control(start=False)
    other = FakeEdge(port=ports.take())
    c.others = [other]
    c.write(control={"edges": [{"name": "cdg1", "url": f"http://127.0.0.1:{other.port}"}]})
    seen = []
    c.ca.hooks.append(lambda call: seen.append((len(c.edge.ever), len(other.ever)))
                      if "/chalZ/" in call.path else None)
    c.start()
    c.leaf()
    assert seen == [(1, 1)]


def test_an_edge_that_is_gone_is_named_and_gets_all_later(control, ports):
    c = control(start=False)
    other = FakeEdge(port=ports.take())
    other.shut()
    c.others = [other]
    c.write(control={"edges": [{"name": "cdg1", "url": f"http://127.0.0.1:{other.port}"}]})
    c.start()
    leaf = c.leaf()
    c.said("edge cdg1 does not take what it is given")
    until(lambda: {e["name"]: e["reachable"] for e in c.status()["edges"]}
          == {"this machine": True, "cdg1": False}, "the status")
    other.open()
    assert c.leaf(edge=other) == leaf
    c.said("edge cdg1 answers again")
    assert c.ca.orders == 1


def test_an_edge_that_refuses_certificates_holds_up_nobody(control, ports):
    c = control(start=False)
    other = FakeEdge(port=ports.take())
    other.refuse = lambda method, path: 422 if method == "PUT" else None
    c.others = [other]
    c.write(control={"edges": [{"name": "cdg1", "url": f"http://127.0.0.1:{other.port}"}]})
    c.start()
    c.leaf()
    until(lambda: any("told to refuse" in e.get("error", "") for e in c.status()["edges"]), "the status", LONG)
    puts = sum(method == "PUT" for method, _ in other.calls)
    stays(lambda: sum(method == "PUT" for method, _ in other.calls) <= puts + 2, "no storm of pushes")


def test_a_restarted_edge_gets_its_certificate_again(control):
    c = control()
    leaf = c.leaf()
    c.edge.restart()
    assert c.leaf() == leaf
    assert c.ca.orders == 1


def test_what_the_edge_has_is_not_pushed_again(control):
    c = control()
    c.leaf()
    until(lambda: not c.edge.challenges, "the order's end")
    c.end()
    puts = sum(method == "PUT" for method, _ in c.edge.calls)
    lists = sum(path == "/api/v1/certificates" for _, path in c.edge.calls)
    c.start()
    until(lambda: sum(path == "/api/v1/certificates" for _, path in c.edge.calls) > lists, "a look")
    stays(lambda: sum(method == "PUT" for method, _ in c.edge.calls) == puts, "nothing pushed")
    assert c.ca.orders == 1


# -- renewals


def test_a_window_in_the_past_renews_at_once_and_names_what_it_replaces(control):
    c = control(start=False)
    first, payloads = [], []

    def windows(identity):
        first[:] = first or [identity]
        now = time.time()
        return (now - 3600, now - 1800) if identity == first[0] else (now + 86400, now + 2 * 86400)

    c.ca.windows = windows
    c.ca.hooks.append(lambda call: payloads.append(json.loads(call.body)["payload"])
                      if call.path == "/order-plz" else None)
    c.start()
    old = c.leaf()
    new = c.leaf(other_than=old)
    assert new.not_valid_after >= old.not_valid_after
    until(lambda: "window" in c.set and c.set["state"] == "good", "the window of the new one", LONG)
    assert c.ca.orders == 2
    texts = [unpack(p) for p in payloads]
    assert "replaces" not in texts[0] and texts[1]["replaces"] == first[0]
    assert first[0] == renewal_id(old)
    stays(lambda: c.ca.orders == 2, "no third order")


def test_a_replacement_that_the_ca_refuses_is_ordered_without(control):
    c = control(start=False)
    c.ca.windows = lambda identity: (time.time() + 86400, time.time() + 2 * 86400)
    seen = []

    def hook(call):
        if call.path != "/order-plz":
            return None
        seen.append("replaces" in unpack(json.loads(call.body)["payload"]))
        if not seen[-1]:
            return None
        body = {"type": "urn:ietf:params:acme:error:alreadyReplaced", "detail": "it was"}
        return 409, {"Content-Type": "application/problem+json"}, json.dumps(body).encode()

    c.ca.hooks.append(hook)
    c.start()
    old = c.leaf()
    c.renew()
    c.leaf(other_than=old)
    assert seen == [False, True, False]


def test_a_ca_that_always_says_now_costs_few_orders(control):
    c = control(start=False)
    c.ca.windows = lambda identity: (time.time() - 3600, time.time() - 1800)
    c.start()
    old = c.leaf()
    c.leaf(other_than=old)
    until(lambda: c.set["state"] == "good", "the state", LONG)
    stays(lambda: c.ca.orders == 2, "the third is held back", 2)


def test_a_renewal_gets_over_an_outage_of_the_ca(control):
    c = control()
    old = c.leaf()
    until(lambda: c.set["state"] == "good", "the end of the order")
    c.ca.shut()
    c.renew()
    until(lambda: "cannot be reached" in c.set.get("error", ""), "the error", LONG)
    assert c.edge.leaf("a.test") == old
    assert c.set["state"] == "failed"
    c.ca.open()
    c.renew()
    c.leaf(other_than=old)
    until(lambda: "error" not in c.set, "the error's end")


def test_an_outage_in_mid_order_is_waited_out_and_the_order_goes_on(control):
    c = control(start=False)
    down = threading.Event()

    def hook(call):
        if "/finalize-order/" in call.path and not down.is_set():
            return 503, {}, b"down"
        return None

    c.ca.hooks.append(hook)
    c.start()
    until(lambda: "status 503" in c.set.get("error", "") if c.status()["sets"] else False, "the error", LONG)
    down.set()
    c.leaf()
    assert c.ca.orders == 1
    c.said("is taken up again")


# -- restarts


@pytest.mark.parametrize("place", ["/order-plz", "/authZ/", "/chalZ/", "/finalize-order/", "/certZ/"])
def test_killed_in_mid_order_it_goes_on(control, place):
    c = control(start=False)
    killed = threading.Event()

    def hook(call):
        if place in call.path and not killed.is_set():
            killed.set()
            answer = c.ca._forward(call)
            os.killpg(c.process.pid, signal.SIGKILL)
            return answer
        return None

    c.ca.hooks.append(hook)
    c.start()
    assert killed.wait(LONG)
    c.process.wait(DEADLINE)
    c.start()
    c.leaf()
    until(lambda: c.set["state"] == "good", "the state", LONG)
    assert c.ca.orders == (2 if place == "/order-plz" else 1)
    assert not [n for n in os.listdir(c.folder) if n.endswith(".order.json")]


def test_an_order_that_the_ca_forgot_is_begun_anew(control):
    c = control(start=False)
    c.ca.refuse("/finalize-order/", "serverInternal", "not now", status=500, times=1)
    c.start()
    until(lambda: c.status()["sets"] and "error" in c.set, "the error", LONG)
    c.ca.refuse("/my-order/", "malformed", "no such order", status=404, times=1)
    c.renew()
    c.leaf()
    assert c.ca.orders == 2


def test_the_account_is_kept_and_one_that_is_lost_is_made_anew(control):
    c = control()
    old = c.leaf()
    c.end()
    c.start()
    c.renew()
    old = c.leaf(other_than=old)
    assert c.ca.count("/sign-me-up") == 1
    c.ca.refuse("/order-plz", "accountDoesNotExist", "who?", status=400, times=1)
    c.renew()
    c.leaf(other_than=old)
    assert c.ca.count("/sign-me-up") == 2


def test_there_is_one_by_lock(control):
    c = control()
    c.leaf()
    second = run("control", c.file, cwd=c.home)
    assert second.code == 1 and "another control process" in second.err


def test_nothing_to_do_for_an_edge_alone(control):
    c = control(start=False)
    c.write(role="edge")
    assert run("control", c.file, cwd=c.home).code == 0


def test_files_are_private(control):
    c = control()
    c.leaf()
    acme = os.path.join(c.state, "acme")
    assert os.stat(acme).st_mode & 0o777 == 0o700
    for folder, _, names in os.walk(acme):
        for name in names:
            assert os.stat(os.path.join(folder, name)).st_mode & 0o777 == 0o600, name


# -- what goes wrong


def test_the_words_of_the_ca_are_shown(control):
    c = control(start=False)
    c.ca.refuse("/order-plz", "rejectedIdentifier", "not for you", subproblems=[
        {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it",
         "identifier": {"type": "dns", "value": "a.test"}}])
    c.start()
    words = "rejectedIdentifier: not for you - a.test: caa: CAA forbids it"
    c.said(words)
    until(lambda: c.status()["sets"] and words in c.set.get("error", ""), "the status")
    assert c.set["failures"] == 1 and c.set["state"] == "failed"
    shown = run("cert", "--admin", f"unix:{c.edge.path}", cwd=c.home)
    assert shown.code == 0 and words in shown.out
    stays(lambda: c.ca.count("/order-plz") == 1, "no second try within a minute", 2)


def test_a_validation_that_fails_is_told_with_both_challenges(control):
    c = control(start=False)
    c.edge.http_port = c.edge.tls_port = None
    c.edge.shut()
    c.edge.open()
    c.start()
    c.said("no certificate for a.test")
    error = until(lambda: c.set.get("error"), "the error")
    assert "a.test by http-01: " in error and "; then a.test by tls-alpn-01: " in error
    assert c.ca.orders == 2
    stays(lambda: c.ca.orders == 2, "no third order within a minute", 2)


def test_a_rate_limit_is_heeded_over_a_restart(control):
    c = control(start=False)

    def hook(call):
        if call.path != "/order-plz":
            return None
        body = {"type": "urn:ietf:params:acme:error:rateLimited", "detail": "too many"}
        return 429, {"Content-Type": "application/problem+json", "Retry-After": "7200"}, json.dumps(body).encode()

    c.ca.hooks.append(hook)
    c.start()
    c.said("rateLimited: too many; next try in 7")
    c.end()
    c.start()
    stays(lambda: c.ca.count("/order-plz") == 1, "no second try", 2)


def test_no_edge_no_order_told(control):
    c = control(start=False)
    c.edge.shut()
    c.start()
    c.said("no edge takes the answer to the CA's challenge")
    assert c.ca.count("/chalZ/") == 0
    c.edge.open()
    c.renew()
    c.leaf()
    assert c.ca.orders == 1


def test_what_is_no_acme_directory_is_told(control):
    c = control(start=False)
    c.ca.hooks.append(lambda call: (200, {}, b"<html>") if call.path == "/dir" else None)
    c.start()
    c.said("is no ACME directory")


def test_a_ca_with_another_certificate_is_not_trusted(control):
    c = control(start=False)
    c.acme["ca"] = "/etc/ssl/certs/ca-certificates.crt"
    c.write()
    c.start()
    c.said("the CA cannot be reached: ")
    assert not c.ca.calls


def _shifted(days):
    """The environment of a process whose clock is wrong, without the wrapper, which leaves a semaphore of its own number
    behind when it is killed, and refuses to begin where another one of that number did."""
    for left in glob.glob("/dev/shm/*faketime_s*_*"):
        if not os.path.exists("/proc/" + left.rsplit("_", 1)[1]):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(left)
    return {"LD_PRELOAD": glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")[0], "FAKETIME": f"{days:+d}d"}


@pytest.mark.parametrize("years", [-6, 6])
def test_a_clock_that_is_wrong_is_said_and_orders_no_storm(control, years):
    """By its own clock each certificate is over, or not yet valid, when it comes."""
    wrong = _shifted(years * 365)
    c = control(start=False)
    c.start(wrong)
    leaf = c.leaf()
    c.said("the clock of this machine is")
    assert ("ahead of" if years > 0 else "behind") in c.stderr()
    assert abs(c.set["skew_ms"] / 1000 + years * 365 * 86400) < 60
    until(lambda: c.set["state"] == "good", "the order's end", LONG)
    c.end()
    c.start(wrong)
    until(lambda: c.ca.count("/dir") > 1, "a look at the CA's clock")
    stays(lambda: c.ca.orders == 1, "no second order", 2)
    c.edge.restart()
    assert c.leaf() == leaf
    c.end()
    c.start()  # the clock was set right
    until(lambda: c.set["skew_ms"] == 0, "the time")
    stays(lambda: c.ca.orders == 1, "no second order", 1)


def test_a_chain_for_other_names_is_not_served(control):
    c = control(start=False)
    with open(c.ca.cert, "rb") as file:
        chain = file.read()
    c.ca.hooks.append(lambda call: (200, {"Content-Type": "application/pem-certificate-chain"}, chain)
                      if "/certZ/" in call.path else None)
    c.start()
    c.said("what the CA issued cannot be used: the certificate is for another key")
    assert not c.edge.certificates


# -- configuration


def test_a_new_configuration_is_taken_when_the_edge_has_it(control):
    c = control()
    c.leaf()
    seen = []
    c.ca.hooks.append(lambda call: seen.append(c.edge.leaf("a.test") is not None) if "/certZ/" in call.path else None)
    c.acme["domains"] = ["b.test"]
    c.write()
    c.edge.generation += 1
    c.leaf("b.test")
    assert seen == [True]  # the old one serves until the new one is there
    until(lambda: not c.edge.leaf("a.test"), "the old one's end")
    assert [s["domains"] for s in c.status()["sets"]] == [["b.test"]]


def test_another_ca_for_the_same_names_takes_the_place_of_the_first(control):
    c = control()
    old = c.leaf()
    until(lambda: c.set["state"] == "good", "the end of the order")
    c.acme["directory"] = c.ca.directory + "?other"
    c.ca.hooks.append(lambda call: setattr(call, "path", call.path.replace("?other", "")))
    c.write()
    c.edge.generation += 1
    new = c.leaf(other_than=old)
    until(lambda: c.set["state"] == "good", "the end of the order")
    stays(lambda: c.edge.leaf("a.test") == new and len(c.edge.certificates) == 1, "the new one serves")


def test_a_wrong_configuration_leaves_all_as_it_is(control):
    c = control()
    old = c.leaf()
    until(lambda: c.set["state"] == "good", "the end of the order")
    with open(c.file, "w", encoding="utf-8") as file:
        file.write("services: [")
    c.edge.generation += 1
    c.renew()
    c.leaf(other_than=old)


def test_the_same_names_on_two_listeners_are_one_certificate(control, ports):
    c = control(start=False)
    listeners = [{"bind": f"127.0.0.1:{p}", "tls": {"acme": c.acme}} for p in (ports.take(), ports.take())]
    c.write(listeners=listeners)
    c.start()
    c.leaf()
    until(lambda: c.set["state"] == "good", "the state", LONG)
    assert c.ca.orders == 1 and len(c.status()["sets"]) == 1


# -- the command line


def test_the_command_lists_and_renews(control):
    c = control()
    old = c.leaf()
    until(lambda: c.set["state"] == "good", "the state")
    admin = ("--admin", f"unix:{c.edge.path}")
    listed = run("cert", *admin, cwd=c.home)
    assert listed.code == 0 and "a.test" in listed.out and "good" in listed.out
    shown = run("cert", "--json", *admin, cwd=c.home).json()
    assert shown["certificates"][0]["domains"] == ["a.test"]
    assert shown["acme"]["sets"][0]["state"] == "good"
    wrong = run("cert", "renew", "a.tset", *admin, cwd=c.home)
    assert wrong.code == 1 and 'did you mean "a.test"?' in wrong.err
    assert run("cert", "renew", "a.test", *admin, cwd=c.home).code == 0
    c.leaf(other_than=old)
    c.end()
    gone = run("cert", "renew", "a.test", *admin, cwd=c.home)
    assert gone.code == 3 and "does not run" in gone.err
