# SPDX-License-Identifier: Apache-2.0
"""Control's part of the admin API: passed on to it by the edge, with who asks, and bounded in every way."""

import os
import signal
import stat
import threading

import pytest

from lib.client import Client
from lib.fake_control import FakeControl, says
from lib.stream import Ended
from lib.wait import DEADLINE, stays, until

PATH = "/api/v1/control"
TOKENS = [{"name": "viewer", "token": "read-token-0123456789", "can": ["read"]},
          {"name": "ci", "token": "deploy-token-0123456789", "can": ["deploy"]}]
OK = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
ENDLESS = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


def control_of(gw):
    """The control process; None while there is none."""
    return next((pid for pid, line in gw.members() if " control " in line), None)


def answers(gw):
    """Waits until control answers."""
    return until(lambda: (reply := gw.admin("GET", PATH)).status == 200 and reply, "an answer of control", 2 * DEADLINE)


@pytest.fixture
def alone(origin, gateway):
    """A gateway without a control of its own."""
    def make(**options):
        gw = gateway(origin, role="edge", **options)
        until(lambda: "nothing to do here" in gw.stderr(), "control's end")
        return gw

    return make


# -- the real one


def test_control_answers_through_the_edge(origin, gateway):
    gw = gateway(origin, admin={"tokens": TOKENS})
    told = answers(gw).json()
    assert told["pid"] == control_of(gw)
    assert told["version"] == gw.status()["version"]
    until(lambda: gw.admin("GET", PATH).json()["edges"] == [
        {"name": "this machine", "reachable": True, "generation": 1, "silent_s": 0, "forgotten": False}], "its edge")
    assert gw.admin("GET", PATH, over_socket=False).status == 200
    assert gw.admin("GET", PATH, over_socket=False, token="wrong-token-0123456789").status == 401
    refused = gw.admin("POST", PATH)
    assert (refused.status, refused.header("Allow")) == (405, "GET, HEAD")
    head = gw.admin("HEAD", PATH)
    assert (head.status, head.body) == (200, b"")


def test_its_socket_is_for_the_edge_alone(origin, gateway):
    gw = gateway(origin)
    answers(gw)
    path = gw.state / "control.sock"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    for headers in ((), [("Sluice-Actor", "socket")], [("Sluice-Actor", "socket"), ("Sluice-Rights", "x")],
                    [("Sluice-Actor", "socket"), ("Sluice-Rights", "0")], [("Sluice-Rights", "15")]):
        with Client(f"unix:{path}") as client:
            assert client.get(PATH, headers, "localhost").status == 403, headers
    with Client(f"unix:{path}") as client:
        assert client.get(PATH, [("Sluice-Actor", "socket"), ("Sluice-Rights", "1")], "localhost").status == 200


def test_a_control_that_dies_is_missed_until_it_is_back(origin, gateway):
    gw = gateway(origin)
    first = answers(gw).json()["pid"]
    os.kill(first, signal.SIGKILL)
    # Whoever asks meanwhile is told so, and nothing else.
    seen = set()

    def is_back():
        reply = gw.admin("GET", PATH)
        seen.add((reply.status, reply.json().get("reason")))
        return reply.status == 200 and reply.json()["pid"] != first

    until(is_back, "another control", 2 * DEADLINE)
    assert seen <= {(200, None), (503, "control_unavailable")}
    assert gw.get("/").status == 200


def test_a_control_that_hangs_holds_nobody(origin, gateway):
    gw = gateway(origin)
    pid = answers(gw).json()["pid"]
    os.kill(pid, signal.SIGSTOP)
    try:
        waiting = [Client(f"unix:{gw.state}/admin.sock", timeout=4 * DEADLINE) for _ in range(24)]
        for client in waiting:
            client.request("GET", PATH, host="localhost")
        refused = gw.admin("GET", PATH)
        assert (refused.status, refused.json()["reason"]) == (503, "control_unavailable")
        assert "as many calls" in refused.json()["detail"]
        assert gw.status()["ready"]
        assert gw.get("/").status == 200
        for client in waiting:
            reply = client.reply(timeout=4 * DEADLINE)
            assert (reply.status, reply.json()["reason"]) == (503, "control_unavailable")
            assert "in time" in reply.json()["detail"]
            client.close()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert answers(gw).json()["pid"] == pid


def test_many_ask_at_once(origin, gateway):
    gw = gateway(origin)
    answers(gw)
    statuses = []

    def ask():
        with Client(f"unix:{gw.state}/admin.sock") as client:
            for _ in range(50):
                statuses.append(client.get(PATH, host="localhost").status)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(4 * DEADLINE)
    assert statuses == [200] * 400


# -- what the edge passes on


def test_there_is_no_control_here(alone):
    gw = alone()
    reply = gw.admin("GET", PATH)
    assert (reply.status, reply.json()["reason"]) == (503, "control_unavailable")
    assert "role: edge" in reply.json()["detail"]
    assert reply.header("Retry-After")
    assert gw.status()["ready"]


def test_control_is_told_who_asks_by_the_edge_alone(alone):
    gw = alone(admin={"tokens": TOKENS})
    lies = [("Sluice-Actor", "token:root"), ("Sluice-Rights", "15"), ("sluice-actor", "x"), ("Cookie", "a=b"),
            ("X-Other", "1"), ("If-Match", '"3"'), ("Idempotency-Key", "k1")]
    with FakeControl(gw.state, says(OK)) as fake:
        for token, over_socket, actor, rights in (
            (None, True, "socket", 2**32 - 1),
            (None, False, "loopback", 1),
            (TOKENS[0]["token"], False, "token:viewer", 1),
            (TOKENS[1]["token"], False, "token:ci", 5),
        ):
            reply = gw.admin("GET", PATH + "?a=b%20c", token=token, over_socket=over_socket, headers=lies)
            assert (reply.status, reply.text) == (200, "{}")
            asked = fake.asked[-1]
            assert asked.line == f"GET {PATH}?a=b%20c HTTP/1.1"
            assert asked.fields == {"Host": "localhost", "Connection": "close", "Content-Length": "0",
                                    "Idempotency-Key": "k1", "If-Match": '"3"', "Sluice-Actor": actor,
                                    "Sluice-Rights": str(rights)}


@pytest.mark.parametrize("answer, words", [
    ("", "ended before it answered"),
    ("HTTP/1.1 200 OK\r\n", "ended before it answered"),
    ("what?\r\n\r\n", "not understood"),
    ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "not understood"),
    ("HTTP/1.1 100 Continue\r\n\r\n", "not understood"),
    ("HTTP/1.1 200 OK\r\nX: " + "x" * 40000 + "\r\n\r\n", "not understood"),
    ("HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", "not understood"),
])
def test_what_is_no_answer_is_refused(alone, answer, words):
    gw = alone()
    with FakeControl(gw.state, says(answer)):
        reply = gw.admin("GET", PATH)
        assert (reply.status, reply.json()["reason"]) == (503, "control_unavailable")
        assert words in reply.json()["detail"]


def test_an_answer_that_breaks_off_breaks_off_here(alone):
    gw = alone()
    with FakeControl(gw.state, says("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")):
        with pytest.raises((Ended, OSError)):
            gw.admin("GET", PATH)
    assert gw.status()["ready"]


def test_answers_and_their_fields_are_passed_on(alone):
    gw = alone()
    answer = ("HTTP/1.1 409 Conflict\r\nContent-Type: application/problem+json\r\nETag: \"7\"\r\nRetry-After: 3\r\n"
              "Set-Cookie: a=b\r\nContent-Length: 15\r\n\r\n{\"reason\":\"no\"}and more")
    with FakeControl(gw.state, says(answer)):
        reply = gw.admin("GET", PATH)
        assert (reply.status, reply.header("ETag"), reply.header("Retry-After")) == (409, '"7"', "3")
        assert reply.header("Content-Type") == "application/problem+json"
        assert not reply.has("Set-Cookie")
        assert reply.json() == {"reason": "no"}


def test_events_come_as_they_are_sent_and_end_with_the_client(alone):
    gw = alone()
    step, gone = threading.Event(), threading.Event()

    def follow(asked):
        asked.sock.sendall(ENDLESS.encode())
        for n in range(3):
            asked.sock.sendall(b"data: %d\n\n" % n)
            assert step.wait(DEADLINE)
            step.clear()
        asked.wait_end(DEADLINE)
        gone.set()

    with FakeControl(gw.state, follow):
        with Client(f"unix:{gw.state}/admin.sock") as client:
            reply = client.request("GET", PATH, host="localhost").head()
            assert reply.header("Content-Type") == "text/event-stream"
            assert reply.closes
            for n in range(3):
                assert client.until(b"\n\n", "an event", DEADLINE) == b"data: %d\n\n" % n
                step.set()
        assert gone.wait(DEADLINE)


def test_no_more_is_read_than_the_client_takes(alone):
    gw = alone()
    size, sent = 32 << 20, []
    piece = bytes(range(256)) * 256

    def pour(asked):
        asked.sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
        for _ in range(size // len(piece)):
            asked.sock.sendall(piece)
            sent.append(len(piece))

    with FakeControl(gw.state, pour):
        with Client(f"unix:{gw.state}/admin.sock") as client:
            client.request("GET", PATH, host="localhost").head()
            # It goes on until all that may wait does, and then no further.
            def is_quiet(last=[-1]):
                before, last[0] = last[0], len(sent)
                return before == last[0] > 0

            until(lambda: is_quiet() and not threading.Event().wait(0.2) and is_quiet(), "a pause")
            assert sum(sent) < size // 4
            stays(lambda: sum(sent) < size // 4, "held back")
            assert client.exactly(size, "the body", 4 * DEADLINE) == piece * (size // len(piece))
    assert gw.status()["ready"]
