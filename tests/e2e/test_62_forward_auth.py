# SPDX-License-Identifier: Apache-2.0
"""forward_auth: a service is asked whether a request may pass; its yes, its no, its silence."""

import threading

import pytest

from lib.pki import Authority
from lib.tls import Secure
from lib.wait import until


@pytest.fixture
def guarded(origin, origins, gateway):
    """guarded(auth keys, **config): (gateway, the service that is asked)."""
    def start(auth=(), **options):
        guard = origins()
        services = {"app": {"targets": [origin.address]}, "auth": {"targets": [guard.address], **options.pop("guard", {})}}
        keys = {"url": "http://auth/verify?for=edge", **dict(auth)}
        gw = gateway(services=services, routes=[{"name": "r", "service": "app"}],
                     filters=[{"forward_auth": keys}], **options)
        return gw, guard
    return start


def test_a_yes_passes_with_what_it_says(guarded, origin):
    gw, guard = guarded({"forward": ["X-User", "X-Groups"]})
    guard.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-User: ann\r\nX-Other: no\r\n\r\nok")
    sent = [("Cookie", "sid=1"), ("Authorization", "Bearer t"), ("X-User", "root"), ("X-Groups", "admin"), ("X-Secret", "s")]
    assert gw.post("/a/b?c=d", b"body", sent).status == 200
    asked, request = guard.requests[0], origin.requests[0]
    assert (asked.method, asked.target) == ("GET", "/verify?for=edge")
    assert asked.header("X-Forwarded-Method") == "POST" and asked.header("X-Forwarded-Uri") == "/a/b?c=d"
    assert asked.header("X-Forwarded-Host") == "example.com" and asked.header("X-Forwarded-Proto") == "http"
    assert asked.header("X-Forwarded-For") == "127.0.0.1" and asked.header("Host") == "auth"
    assert asked.header("Cookie") == "sid=1" and asked.header("Authorization") == "Bearer t"
    assert not asked.has("X-Secret") and asked.body == b""
    assert request.all("X-User") == ["ann"] and not request.has("X-Groups") and not request.has("X-Other")
    assert request.body == b"body"


def test_all_fields_of_a_name_are_put_in(guarded, origin):
    gw, guard = guarded({"forward": ["X-Group", "X-Empty"], "cache": "1h"})
    guard.answers("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX-Group: a\r\nx-group: b, c\r\nX-Empty:\r\nX-GROUP: \r\n"
                  "X-Empty: 1\r\n\r\n")
    for _ in range(2):  # the second time of the cache
        assert gw.get("/x", [("X-Group", "root"), ("X_Group", "root"), ("X-Empty", "root")]).status == 200
        request = origin.requests[-1]
        assert request.all("X-Group") == ["a", "b, c", ""] and request.all("X-Empty") == ["", "1"]
        assert not request.has("X_Group")
    assert len(guard.requests) == 1


@pytest.mark.parametrize("status", [401, 403, 302, 404, 429])
def test_a_no_is_the_clients(guarded, origin, status):
    gw, guard = guarded()
    guard.answers(f"HTTP/1.1 {status} X\r\nContent-Length: 5\r\nContent-Type: text/x\r\nLocation: /login\r\n"
                  "WWW-Authenticate: Bearer\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nKeep-Alive: timeout=9\r\n\r\nsorry")
    reply = gw.get("/x")
    assert (reply.status, reply.text) == (status, "sorry")
    assert reply.header("Location") == "/login" and reply.header("WWW-Authenticate") == "Bearer"
    assert reply.header("Content-Type") == "text/x" and reply.all("Set-Cookie") == ["a=1", "b=2"]
    assert not reply.has("Keep-Alive")
    assert not origin.requests


@pytest.mark.parametrize("answer", ["HTTP/1.1 500 X\r\nContent-Length: 0\r\n\r\n", "HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n",
                                    "rubbish\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort"])
def test_in_doubt_nobody_comes_in(guarded, origin, answer):
    gw, guard = guarded(guard={"retry": "off"})

    @guard.on("/verify")
    def say(conn, request):
        conn.send(answer.encode())
        return "end"

    reply = gw.get("/x")
    assert (reply.status, reply.reason) == (503, "auth_unavailable")
    assert not origin.requests


def test_nobody_answers(guarded, origin, ports):
    gw, guard = guarded({"timeout": "300ms"}, guard={"retry": "off"})
    guard.script = lambda conn: conn.to_end("the end")
    assert gw.get("/x").reason == "auth_unavailable"
    guard.close()
    assert gw.get("/x").reason == "auth_unavailable"
    gw.change(services={"auth": {"targets": [f"127.0.0.1:{ports.take()}"]}})
    gw.reload()
    assert gw.get("/x").reason == "auth_unavailable"
    assert not origin.requests


def test_one_that_is_retried_goes_to_another_target(guarded, origin, origins, ports):
    gw, guard = guarded()
    gw.change(services={"auth": {"targets": [f"127.0.0.1:{ports.take()}", guard.address], "balance": "round_robin"}})
    gw.reload()
    assert [gw.get("/x").status for _ in range(4)] == [200] * 4


def test_a_yes_is_kept_for_the_same_question(guarded, origin):
    gw, guard = guarded({"cache": "1h", "forward": ["X-User"]})
    guard.answers("HTTP/1.1 204 OK\r\nX-User: ann\r\n\r\n")
    for _ in range(3):
        assert gw.get("/a", [("Cookie", "sid=1")]).status == 200
    assert len(guard.requests) == 1 and [r.header("X-User") for r in origin.requests] == ["ann"] * 3
    for change in ({"target": "/a?b"}, {"headers": [("Cookie", "sid=2")]}, {"host": "other.example", "headers": [("Cookie", "sid=1")]}):
        before = len(guard.requests)
        assert gw.get(**{"target": "/a", "headers": [("Cookie", "sid=1")], **change}).status == 200
        assert len(guard.requests) == before + 1, change
    assert gw.post("/a", b"", [("Cookie", "sid=1")]).status == 200
    assert len(guard.requests) == 5


def test_a_yes_to_one_client_is_no_yes_to_another(guarded, origin):
    gw, guard = guarded({"cache": "1h"})

    @guard.on("/verify")
    def judge(conn, request):
        conn.respond(200 if request.header("X-Forwarded-For") == "127.0.0.1" else 403)

    assert [gw.get("/a").status for _ in range(2)] == [200, 200] and len(guard.heads) == 1
    with gw.connect(source="127.0.0.2") as client:
        assert client.get("/a").status == 403
    assert len(origin.requests) == 2


def test_a_yes_to_https_is_no_yes_to_http(guarded, origin):
    gw, guard = guarded({"cache": "1h"}, trusted_proxies=["127.0.0.1"])

    @guard.on("/verify")
    def judge(conn, request):
        is_good = request.header("X-Forwarded-Proto") == "https" and request.header("X-Forwarded-Host") == "a.example"
        conn.respond(200 if is_good else 403)

    def ask(proto, host):
        return gw.get("/a", [("X-Forwarded-For", "192.0.2.9"), ("X-Forwarded-Proto", proto), ("X-Forwarded-Host", host)]).status

    assert [ask("https", "a.example"), ask("http", "a.example"), ask("https", "b.example")] == [200, 403, 403]


def test_a_client_cannot_have_what_it_says_removed(guarded, origin):
    gw, guard = guarded({"forward": ["X-User"]})
    guard.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-User: ann\r\n\r\nok")
    assert gw.get("/a", [("Connection", "keep-alive, X-User, X-Mine"), ("X-Mine", "1"), ("X-User", "root")]).status == 200
    assert origin.requests[0].all("X-User") == ["ann"] and not origin.requests[0].has("X-Mine")


def test_nobody_makes_up_a_certificate_for_it(origin, origins, gateway, home):
    guard, leaf = origins(), Authority(home).leaf("a.example.com")
    people = Authority(home, "People")
    gw = gateway(run=False, services={"app": {"targets": [origin.address]}, "auth": {"targets": [guard.address]}},
                 routes=[{"name": "r", "service": "app"}],
                 filters=[{"forward_auth": {"url": "http://auth/verify", "send": ["X-Subject"]}}, {"mirror": {"service": "auth"}}])
    tls = {"certificates": [leaf.pair], "client_ca": str(people.file), "client_auth": "optional", "client_header": "X-Subject"}
    gw.change(listeners=[{"bind": f"127.0.0.1:{gw.port}", "tls": tls}])
    gw.start()
    with Secure(gw.port, "a.example.com") as client:
        assert client.get("/x", headers={"X-Subject": "CN=root"}).status == 200
    until(lambda: len(guard.requests) == 2, "a question and a copy")
    assert [r.all("X-Subject") for r in guard.requests] == [[], []]
    with Secure(gw.port, "a.example.com", pair=people.leaf("alice", client=True)) as client:
        assert client.get("/x", headers={"X-Subject": "CN=root"}).status == 200
    until(lambda: len(guard.requests) == 4, "a question and a copy")
    assert [r.all("X-Subject") for r in guard.requests[2:]] == [["CN=alice"]] * 2
    assert origin.requests[-1].all("X-Subject") == ["CN=alice"]


def test_a_no_is_not_kept(guarded):
    gw, guard = guarded({"cache": "1h"})
    guard.answers("HTTP/1.1 401 X\r\nContent-Length: 0\r\n\r\n")
    assert gw.get("/a").status == 401
    guard.answers("HTTP/1.1 200 X\r\nContent-Length: 0\r\n\r\n")
    assert gw.get("/a").status == 200


def test_a_client_that_goes_away_while_it_is_asked(guarded, origin):
    gw, guard = guarded()
    go = threading.Event()

    @guard.on("/verify")
    def wait(conn, request):
        go.wait(30)
        conn.respond(200)

    client = gw.connect().request("GET", "/x")
    until(lambda: guard.heads, "a question")
    client.close()
    until(lambda: not gw.status()["workers"][0]["in_flight"], "its end")
    go.set()
    assert gw.get("/y").status == 200
    assert [r.target for r in origin.requests] == ["/y"]


def test_a_body_waits_while_it_is_asked(guarded, origin):
    gw, guard = guarded()
    body = bytes(range(256)) * 4096  # 1 MiB
    assert gw.post("/x", body).status == 200
    assert origin.requests[0].body == body


def test_an_answer_that_is_long(guarded, origin):
    gw, guard = guarded()
    guard.answers("HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n" + "x" * 300000)
    assert [gw.get("/x").status for _ in range(3)] == [200] * 3
    guard.answers("HTTP/1.1 403 X\r\nContent-Length: 300000\r\n\r\n" + "x" * 300000)
    reply = gw.get("/x")
    assert (reply.status, reply.body) == (403, b"")


def test_a_reload_while_it_is_asked(guarded, origin):
    gw, guard = guarded()
    go = threading.Event()

    @guard.on("/verify")
    def wait(conn, request):
        go.wait(30)
        conn.respond(200)

    client = gw.connect().request("GET", "/x")
    until(lambda: guard.heads, "a question")
    gw.change(filters=[{"rate_limit": "off"}])
    gw.reload()
    go.set()
    assert client.reply().status == 200
    gw.change(services={"auth": None})
    gw.reload()


def test_a_stop_while_it_is_asked(guarded, origin):
    gw, guard = guarded(timeouts={"drain": "300ms"})
    guard.script = lambda conn: conn.to_end("the end")
    gw.connect().request("GET", "/x")
    until(lambda: guard.connections, "a question")
    gw.stop()


@pytest.mark.parametrize("keys, words", [
    ({}, "url"), ({"url": "https://auth/x"}, "does not begin with http://"), ({"url": "http://nobody/x"}, 'no service named "nobody"'),
])
def test_what_cannot_be_asked(gateway, origin, keys, words):
    gw = gateway(origin, run=False, filters=[{"forward_auth": keys}])
    done = gw.cli("check", gw.file)
    assert done.code == 2 and words in done.err, done
