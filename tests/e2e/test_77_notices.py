# SPDX-License-Identifier: Apache-2.0
"""Who is told of deploys, rollbacks and health, in which words, how often; and what a receiver that fails changes."""

import os
import signal

import pytest

from lib.inbox import HttpInbox, MailInbox, check_signature
from lib.pki import Authority
from lib.wait import SLOW, stays, until
from test_74_deploy import HEALTH, QUICK, WAIT

SECRET = "the-hook-s-own-secret"
WINDOW = "300ms"


class Told:
    def __init__(self, gateway, origins, notices, **deploy):
        self.origins = origins
        self.stable = self.origin("stable")
        self.gw = gateway(services={"shop": {"targets": [self.stable.address], "health": HEALTH, "deploy": {**QUICK, **deploy}}},
                          notices={"window": WINDOW, **notices}, env={"HOOK_SECRET": SECRET})
        until(lambda: self.gw.admin("GET", "/api/v1/deploys").status == 200, "control answers", WAIT)

    def origin(self, name, status=200):
        made = self.origins()
        made.on("/")(lambda conn, request: conn.respond(status, name.encode()))
        return made

    def deploy(self, release, *words, status=200):
        return self.gw.cli("deploy", "shop", "--release", release, "--target", self.origin(release, status).address, *words,
                           timeout=WAIT)

    def waiting(self):
        """{receiver: (how many notices wait, what went wrong)}"""
        reply = self.gw.admin("GET", "/api/v1/control")
        return {n["name"]: (n["waiting"], n["error"]) for n in reply.json()["notices"]} if reply.status == 200 else {}

    def kill_control(self):
        pid = next(pid for pid, line in self.gw.members() if " control " in line)
        os.kill(pid, signal.SIGKILL)
        until(lambda: any(" control " in line and p != pid for p, line in self.gw.members()), "another control", WAIT)


@pytest.fixture
def inboxes():
    made = []

    def make(kind=HttpInbox, *words, **options):
        made.append(kind(*words, **options))
        return made[-1]

    yield make
    for inbox in made:
        inbox.close()


@pytest.fixture
def told(gateway, origins):
    return lambda notices, **deploy: Told(gateway, origins, notices, **deploy)


def hook(inbox, **more):
    return {"webhook": {"url": inbox.url, "secret": "${env:HOOK_SECRET}", **more}}


LIVE = "shop: release 2 is live at every edge, and serves all. Release stable stays warm."


# -- to whom


def test_all_are_told_of_a_release(told, inboxes, ports):
    slack, own, port = inboxes(), inboxes(), ports.take()
    mail = inboxes(MailInbox, port)
    t = told({"slack": {"url": slack.url}, **hook(own),
              "smtp": {"url": f"smtp://127.0.0.1:{port}", "from": "sluice@example.com", "to": ["a@example.com", "b@example.com"]}})
    assert t.deploy("2").code == 0
    until(lambda: slack.got and own.got and mail.mails, "three messages", WAIT)
    assert slack.messages()[0]["text"] == f"{LIVE}\nNext: sluice rollback shop\n\n"
    headers, body = own.got[0]
    check_signature(SECRET, headers, body)
    assert headers["Content-Type"] == "application/json"
    message = own.messages()[0]
    assert [(n["kind"], n["service"], n["text"], n["next"]) for n in message["notices"]] == [
        ("deploy", "shop", LIVE, "sluice rollback shop")]
    assert message["more"] == 0 and len(message["id"]) == 32
    assert mail.envelopes == [("sluice@example.com", ["a@example.com", "b@example.com"])]
    assert mail.mails[0]["Subject"] == "[sluice] shop: release 2 is live at every edge, and serves all"
    assert mail.mails[0].get_content().splitlines()[:2] == [LIVE, "Next: sluice rollback shop"]
    assert not mail.mails[0].defects
    until(lambda: set(t.waiting().values()) == {(0, None)}, "nothing waits", WAIT)


def test_only_of_what_they_want_to_know(told, inboxes):
    deploys, health = inboxes(), inboxes()
    t = told({"slack": {"url": health.url, "on": ["health"]}, **hook(deploys, on=["rollback"])})
    assert t.deploy("2").code == 0
    assert t.gw.cli("rollback", "shop").code == 0
    until(lambda: deploys.notices(), "a notice", WAIT)
    assert [n["text"] for n in deploys.notices()] == [
        "shop: release 2 was rolled back by socket. It had 100% of the requests; stable serves all of them."]
    stays(lambda: not health.got and len(deploys.notices()) == 1, "nobody else is told")


def test_a_question_and_a_failure(told, inboxes):
    inbox = inboxes()
    t = told(hook(inbox), strategy="canary", steps=[{"approval": True}], hooks={"smoke": []})
    assert t.deploy("2", "--detach").code == 0
    until(lambda: inbox.notices(), "a question", WAIT)
    assert inbox.notices()[0]["text"] == ("shop: the deploy of release 2 waits for a person: waiting for approval. "
                                          "It has 0% of the requests, the rest is with stable.")
    assert inbox.notices()[0]["next"] == "sluice approve d1, or sluice abort d1"
    assert t.gw.cli("abort", "d1").code in (0, 1)
    until(lambda: len(inbox.notices()) == 2, "an end", WAIT)
    assert inbox.notices()[1]["text"].startswith("shop: release 2 was aborted by socket. It had none of the requests; stable")


def test_health(told, inboxes):
    inbox = inboxes()
    t = told(hook(inbox, on=["health"]))
    t.stable.close()
    until(lambda: inbox.notices(), "a notice", WAIT)
    assert inbox.notices()[0]["text"] == "shop: none of its 1 targets is up at this machine. Nothing of it serves there."
    t.kill_control()
    assert t.gw.admin("POST", "/api/v1/services/shop/targets", {"id": "b", "address": t.origin("b").address}).status == 201
    until(lambda: len(inbox.notices()) == 2, "another", WAIT)
    assert inbox.notices()[1]["text"] == "shop: 1 of its 2 targets may be used again at this machine, and serve."
    stays(lambda: len(inbox.notices()) == 2, "none twice")


def test_an_edge_that_is_silent(told, inboxes, gateway, origin):
    inbox = inboxes()
    deploy = {"name": "control", "token": "deploy-token-0123456789", "can": ["deploy"]}
    other = gateway([{"id": "a", "address": origin.address}], role="edge", admin={"tokens": [deploy]})
    t = told(hook(inbox, on=["health"]))
    t.gw.change(control={"edges": [{"name": "cdg1", "url": f"http://{other.admin_host}", "token": deploy["token"]}]})
    assert t.gw.admin("POST", "/api/v1/reload").status == 200
    until(lambda: "cdg1" in str(t.gw.admin("GET", "/api/v1/control").json()["edges"]), "it is known", WAIT)
    os.kill(other.edge, signal.SIGSTOP)
    try:
        until(lambda: inbox.notices(), "a notice", WAIT)
        assert t.gw.admin("POST", "/api/v1/edges/cdg1/forget").status == 200
        entries = t.gw.admin("GET", "/api/v1/ledger").json()["entries"]
        assert [(e["actor"], e["subject"]) for e in entries if e["action"] == "edge.forget"] == [("socket", "cdg1")]
        assert "edge cdg1 is silent, and is not waited for any more" in t.gw.cli("history").out
    finally:
        os.kill(other.edge, signal.SIGCONT)
    assert inbox.notices()[0]["text"].startswith("Edge cdg1 has not answered control for 10 s.")
    until(lambda: len(inbox.notices()) == 2, "another", WAIT)
    assert inbox.notices()[1]["text"] == "Edge cdg1 answers control again."


# -- how often


def test_what_happens_within_the_window_is_one_message(told, inboxes):
    inbox = inboxes()
    t = told({"window": f"{int(8 * SLOW)}s", **hook(inbox)})
    assert t.deploy("2").code == 0
    assert t.gw.cli("rollback", "shop").code == 0
    until(lambda: inbox.got, "a message", WAIT)
    assert [n["kind"] for n in inbox.messages()[0]["notices"]] == ["deploy", "rollback"]


def test_so_many_an_hour_also_when_control_is_killed(told, inboxes):
    inbox = inboxes()
    t = told({"per_hour": 1, **hook(inbox)})
    assert t.deploy("2").code == 0
    until(lambda: inbox.got, "a message", WAIT)
    assert t.gw.cli("rollback", "shop").code == 0
    until(lambda: t.waiting().get("webhook") == (1, None), "one waits", WAIT)
    t.kill_control()
    until(lambda: t.waiting().get("webhook") == (1, None), "it still waits", WAIT)
    stays(lambda: len(inbox.got) == 1, "no more this hour")


# -- what fails


def test_a_receiver_that_fails_is_tried_again_and_holds_up_nothing(told, inboxes):
    inbox = inboxes()
    inbox.answer = lambda: 503 if inbox.refused < 2 else 200
    t = told({"slack": {"url": inbox.url}})
    assert t.deploy("2").code == 0
    until(lambda: inbox.got, "it arrives", WAIT)
    assert inbox.refused == 2
    stays(lambda: len(inbox.got) == 1, "once")
    assert "notices do not arrive by slack: the receiver answers 503" in t.gw.stderr()
    assert "notices arrive by slack again" in t.gw.stderr()
    assert "secret-path" not in t.gw.stderr() and SECRET not in t.gw.stderr()


def test_what_did_not_arrive_outlives_control(told, inboxes):
    inbox = inboxes()
    inbox.answer = lambda: 500
    t = told(hook(inbox))
    assert t.deploy("2").code == 0
    until(lambda: inbox.refused, "it is tried", WAIT)
    assert t.waiting()["webhook"] == (1, "the receiver answers 500")
    t.kill_control()
    inbox.answer = lambda: 200
    until(lambda: inbox.got, "it arrives", WAIT)
    assert [n["text"] for n in inbox.notices()] == [LIVE]
    stays(lambda: len(inbox.got) == 1, "once")


def test_control_that_is_killed_all_the_time_loses_none(told, inboxes):
    inbox = inboxes()
    t = told({"window": "0s", **hook(inbox)}, keep="100ms", bake="100ms")
    for release in ("2", "3", "4"):
        assert t.deploy(release, "--detach").code == 0
        t.kill_control()
        until(lambda: any(f"release {release} is live" in n["text"] for n in inbox.notices()), f"release {release}", WAIT)
        until(lambda: not t.gw.admin("GET", "/api/v1/deploys").status == 503
              and all(d["over"] for d in t.gw.admin("GET", "/api/v1/deploys").json()["deploys"]), "it is over", WAIT)
    # One that was on its way may come twice, and then says so by its id.
    assert len({m["id"] for m in inbox.messages()}) == 3


def test_one_who_is_not_told_any_more(told, inboxes):
    first, second = inboxes(), inboxes()
    first.answer = lambda: 500
    t = told(hook(first))
    assert t.deploy("2").code == 0
    until(lambda: first.refused, "it is tried", WAIT)
    t.gw.change(notices={"webhook": None, "slack": {"url": second.url}, "window": WINDOW})
    assert t.gw.admin("POST", "/api/v1/reload").status == 200
    until(lambda: t.waiting() == {"slack": (0, None)}, "another one", WAIT)
    assert t.gw.cli("rollback", "shop").code == 0
    until(lambda: second.got, "a message", WAIT)
    assert "was rolled back" in second.messages()[0]["text"] and "is live" not in second.messages()[0]["text"]


# -- mail


@pytest.mark.parametrize("scheme, tls", [("smtps", "implicit"), ("smtp", "starttls")])
def test_mail_over_tls_with_a_login(told, inboxes, ports, home, scheme, tls):
    ca, port = Authority(home), ports.take()
    mail = inboxes(MailInbox, port, tls=tls, leaf=ca.leaf("127.0.0.1"), login=("ann", SECRET))
    t = told({"smtp": {"url": f"{scheme}://127.0.0.1:{port}", "from": "sluice@example.com", "to": ["a@example.com"],
                       "user": "ann", "password": "${env:HOOK_SECRET}", "ca": str(ca.file)}})
    assert t.deploy("2").code == 0
    until(lambda: mail.mails, "a mail", WAIT)
    assert LIVE in mail.mails[0].get_content()


@pytest.mark.parametrize("wrong, words", [
    ({"password": "another"}, "Login denied"),
    ({"ca": None}, "certificate"),
    ({"url": "smtp://127.0.0.1:1"}, "connect"),
])
def test_mail_that_is_refused(told, inboxes, ports, home, wrong, words):
    ca, port = Authority(home), ports.take()
    mail = inboxes(MailInbox, port, tls="implicit", leaf=ca.leaf("127.0.0.1"), login=("ann", SECRET))
    smtp = {"url": f"smtps://127.0.0.1:{port}", "from": "sluice@example.com", "to": ["a@example.com"], "user": "ann",
            "password": "${env:HOOK_SECRET}", "ca": str(ca.file), **wrong}
    t = told({"smtp": {k: v for k, v in smtp.items() if v is not None}})
    assert t.deploy("2").code == 0
    until(lambda: words in str(t.waiting().get("smtp", (0, ""))[1]), f"{words}: {t.waiting()}", WAIT)
    assert not mail.mails and SECRET not in t.gw.stderr()


def test_no_mail_goes_to_another_machine_without_tls(told, inboxes, ports):
    port = ports.take()
    mail = inboxes(MailInbox, port)
    # Not written as loopback, though it is.
    t = told({"smtp": {"url": f"smtp://[::ffff:127.0.0.1]:{port}", "from": "sluice@example.com", "to": ["a@example.com"]}})
    assert t.deploy("2").code == 0
    until(lambda: t.waiting().get("smtp", (0, None))[1], "a reason", WAIT)
    assert "SSL" in t.waiting()["smtp"][1] or "STARTTLS" in t.waiting()["smtp"][1], t.waiting()
    assert not mail.mails


def in_memory(pid, words):
    """How often a process has it in its memory, beside the stack, where its environment is."""
    found = 0
    with open(f"/proc/{pid}/maps", encoding="utf-8") as maps, open(f"/proc/{pid}/mem", "rb", 0) as memory:
        for place in (line.split() for line in maps):
            first, last = (int(x, 16) for x in place[0].split("-"))
            if "rw" not in place[1] or place[-1] == "[stack]":
                continue
            try:
                memory.seek(first)
                found += memory.read(last - first).count(words)
            except OSError:
                pass
    return found


@pytest.mark.skipif(SLOW > 1, reason="a sanitizer has terabytes of shadow, and a copy of the environment")
def test_the_edge_does_not_hold_the_secrets(told, inboxes):
    inbox = inboxes()
    t = told(hook(inbox))
    control = next(pid for pid, line in t.gw.members() if " control " in line)
    assert in_memory(control, SECRET.encode())
    assert not in_memory(t.gw.edge, SECRET.encode())
