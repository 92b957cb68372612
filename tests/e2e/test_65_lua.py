# SPDX-License-Identifier: Apache-2.0
"""lua: what scripts see and change, what they cannot do, and that none of them harms anybody else."""

import json
import os
import re

import pytest

from lib.client import Client
from lib.wait import SLOW, until

OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-From: target\r\n\r\nhi"
HARMLESS = {"time": "1s"}  # for scripts whose time is not what is looked at, on busy machines


@pytest.fixture
def scripted(origin, gateway):
    """scripted(text, {keys of the filter}, **config): a gateway whose one route has the script, and `/plain` has none."""
    origin.answers(OK)

    def start(text, keys=(), before=(), **options):
        options.setdefault("routes", [{"name": "plain", "paths": ["/plain"], "service": "app"},
                                      {"name": "scripted", "service": "app",
                                       "filters": [*before, {"lua": {"script": "x.lua", **HARMLESS, **dict(keys)}}]}])
        gw = gateway(origin, run=False, log={"why": "100%"}, **options)
        (gw.home / "x.lua").write_text(text)
        return gw.start()
    return start


def why(gw, reply):
    found = gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}")
    assert found.status == 200, found
    return next(f for f in found.json()["filters"] if f["name"] == "lua")


def lines(gw):
    return re.findall(r"^sluice: script: (.*)$", gw.stderr(), re.M)


# --- what a script sees and does

def test_it_sees_the_request(scripted):
    gw = scripted("""
        function on_request(request)
          request:respond(200, {["Content-Type"] = "application/json"}, sluice.json.encode({
            method = request.method, path = request.path, query = request.query, host = request.host,
            scheme = request.scheme, client = request.client, route = request.route, id = request.id,
            header = request:header("x-a"), missing = tostring(request:header("x-none")), all = request:headers()["x-b"],
            cookie = request:cookie("b"), arg = request:arg("q"), no = tostring(request:arg("r")),
            consumer = tostring(request.consumer), asn = tostring(request.asn), nothing = tostring(request.nothing)}))
        end""")
    reply = gw.get("/a/b?q=1%202+3&x", [("X-A", "1"), ("X-B", "2"), ("X-B", "3"), ("Cookie", "a=1; b=2")])
    assert (reply.status, reply.header("Content-Type")) == (200, "application/json")
    assert reply.json() == {
        "method": "GET", "path": "/a/b", "query": "q=1%202+3&x", "host": "example.com", "scheme": "http",
        "client": "127.0.0.1", "route": "scripted", "id": reply.header("X-Request-Id"), "header": "1", "missing": "nil",
        "all": "2, 3", "cookie": "2", "arg": "1 2 3", "no": "nil", "consumer": "nil", "asn": "nil", "nothing": "nil"}


def test_it_changes_fields_of_both(scripted, origin):
    gw = scripted("""
        function on_request(request)
          request:set_header("X-Set", "new")
          request:set_header("X-Gone", nil)
          request:add_header("X-Add", 7)
          request:remove_header("X-Remove")
          request.context.seen = request.path
        end
        function on_response(request, response)
          response:set_header("X-From", "script " .. response:header("x-from") .. response.status)
          response:add_header("X-Seen", request.context.seen)
        end""")
    reply = gw.get("/p", [("X-Set", "old"), ("X-Set", "older"), ("X-Gone", "1"), ("X-Add", "6"), ("X-Remove", "1")])
    seen = origin.requests[0]
    assert seen.all("X-Set") == ["new"] and seen.all("X-Add") == ["6", "7"]
    assert not seen.has("X-Gone") and not seen.has("X-Remove")
    assert reply.text == "hi" and reply.header("X-From") == "script target200" and reply.header("X-Seen") == "/p"


def test_it_answers_itself(scripted, origin):
    gw = scripted("""
        function on_request(request)
          request:respond(418, {["X-Pot"] = "tea", ["X-Number"] = 3}, "short and stout")
        end
        function on_response(request, response)
          response:set_header("X-Own", tostring(response.is_own))
        end""")
    with Client(("127.0.0.1", gw.port)) as client:
        for _ in range(3):  # the connection goes on
            reply = client.get("/")
            assert (reply.status, reply.text, reply.header("X-Pot"), reply.header("X-Number")) == (418, "short and stout", "tea", "3")
            assert reply.header("Content-Type") == "text/plain; charset=utf-8" and reply.header("X-Own") == "true"
    assert not origin.requests
    assert why(gw, reply)["outcome"] == "responded"


@pytest.mark.parametrize("status", [204, 304])
def test_answers_that_have_no_body(scripted, status):
    gw = scripted("function on_request(r) r:respond(%d, nil, 'body') end" % status)
    reply = gw.get("/")
    assert (reply.status, reply.body) == (status, b"")


@pytest.mark.parametrize("call, message", [
    ("request:set_header('Content-Length', '7')", "this field is the gateway's own to set"),
    ("request:set_header('transfer-encoding', 'chunked')", "this field is the gateway's own to set"),
    ("request:add_header('Host', 'evil')", "this field is the gateway's own to set"),
    ("request:remove_header('Connection')", "this field is the gateway's own to set"),
    ("request:set_header('X-A', 'a\\r\\nX-B: b')", "the value has a control character"),
    ("request:set_header('X A', 'a')", "it is not a field name"),
    ("request:set_header('', 'a')", "it is not a field name"),
    ("request:set_header('X-A', {})", "string expected, got table"),
    ("request:respond(200, {['Content-Length'] = '9'}, 'x')", "this field is the gateway's own to set"),
    ("request:respond(200, {['X-A'] = 'a\\nb'})", "the value has a control character"),
    ("request:respond(199)", "a status is 200 to 599"),
    ("request:respond(200, nil, ('x'):rep(900000))", "the request has no room for more text"),
    ("for i = 1, 1e5 do request:add_header('X-A', ('x'):rep(1000)) end", "the request has no room for more text"),
    ("request.path = '/other'", "requests and answers are changed by their functions"),
    ("request.header(1, 'x')", "a request or an answer is expected"),
    ("request.header(sluice.null, 'x')", "a request or an answer is expected"),
    ("request.respond(sluice.shared('x'), 200)", "a request or an answer is expected"),
])
def test_it_cannot_break_a_message(scripted, origin, call, message):
    gw = scripted("function on_request(request)\n  %s\nend" % call)
    reply = gw.get("/")
    assert (reply.status, reply.reason) == (500, "script_error")
    assert not origin.requests
    line, = lines(gw)
    assert line.startswith("x.lua:2: ") and message in line
    assert why(gw, reply)["error"] == line
    assert gw.get("/plain").text == "hi"


def test_what_is_kept_of_a_request_is_empty_afterwards(scripted):
    gw = scripted("""
        local kept
        function on_request(request)
          if kept then return request:respond(200, nil, tostring(pcall(kept.header, kept, "x-a")) .. kept.path) end
          kept = request
        end""")
    assert gw.get("/first").text == "hi"
    reply = gw.get("/second")
    assert reply.status == 500 and "the request is over" in lines(gw)[0]


def test_on_log_has_the_numbers(scripted):
    gw = scripted("""
        function on_log(request, response, numbers)
          print(("%s %s %d %s %s"):format(request.path, response and response:header("x-from") or "none", numbers.status,
                tostring(numbers.bytes), tostring(numbers.time >= 0)))
        end""")
    gw.get("/a")
    assert until(lambda: lines(gw), "a line") == ["/a target 200 2 true"]


def test_requests_that_end_early_are_logged_once(scripted, origin):
    gw = scripted("""
        function on_response(request, response) response:set_header("X-Told", "yes") end
        function on_log(request, response, numbers) print("log " .. numbers.status) end""",
                  before=[{"body_limit": 3}])
    assert gw.post("/", b"too long").header("X-Told") == "yes"
    assert until(lambda: lines(gw), "a line") == ["log 413"]


# --- bodies

ORDER = """
    function on_body(request, body)
      if body == "bad" then return false end
      if body == "swap" then return "swapped " .. request.path end
      if body == "fail" then error("no") end
    end"""


def test_bodies(scripted, origin):
    gw = scripted(ORDER, {"body": "1KiB"})
    assert gw.post("/o", b"good").status == 200 and origin.requests[-1].body == b"good"
    assert gw.post("/o", b"swap").status == 200 and origin.requests[-1].body == b"swapped /o"
    assert gw.post("/o", b"bad").reason == "script_denied"
    assert gw.post("/o", b"fail").reason == "script_error"
    assert gw.post("/o", b"x" * 1025).reason == "body_too_large"
    assert gw.get("/o").status == 200
    assert gw.post("/plain", b"bad").status == 200


def test_bodies_without_a_length(scripted, origin):
    gw = scripted(ORDER, {"body": "1KiB"})

    def chunked(*parts):
        with Client(("127.0.0.1", gw.port)) as client:
            client.request("POST", "/o", [("Transfer-Encoding", "chunked")])
            for part in (*parts, b""):
                client.chunk(part)
            return client.reply("POST")

    assert chunked(b"s", b"wap").status == 200 and origin.requests[-1].body == b"swapped /o"
    assert chunked(b"b", b"ad").reason == "script_denied"
    assert chunked(*[b"x" * 100] * 11).reason == "body_too_large"


# --- what lives beside requests

def test_workers_share_dictionaries(scripted):
    gw = scripted("""
        local d = sluice.shared("hits")
        function on_request(request)
          request:respond(200, nil, tostring(d:incr("n")))
        end""", workers=2)
    seen = sorted(int(gw.get("/").text) for _ in range(40))
    assert seen == list(range(1, 41))
    gw.reload()
    assert gw.get("/").text == "41"


def test_scripts_are_read_again(scripted):
    gw = scripted("function on_request(r) r:respond(200, nil, 'one') end")
    assert gw.get("/").text == "one"
    (gw.home / "x.lua").write_text("function on_request(r) r:respond(200, nil, 'two') end")
    gw.reload()
    assert gw.get("/").text == "two"
    (gw.home / "x.lua").write_text("function on_request(r)\n  r:respond(200,, 'three')\nend")
    reply = gw.admin("POST", "/api/v1/reload")
    assert reply.status >= 400 and "x.lua:2" in reply.text and "unexpected symbol near ','" in reply.text
    assert gw.get("/").text == "two"


@pytest.mark.parametrize("text, place, message", [
    ("function on_request(r)\n  local = 3\nend", "x.lua:2:1", "'<name>' expected near '='"),
    ("on_request = require('ffi')", "x.lua:1:1", "scripts cannot do that"),
    ("while true do end", "x.lua:1:1", "it has used its time"),
    ("local t = {}\nwhile true do t[#t + 1] = {} end", "x.lua:2:1", "it has used its memory"),
    ("-- nothing", "sluice.yaml", "defines none of on_request"),
    ("\x1bLJ\x02", "sluice.yaml", "attempt to load"),
    (None, "sluice.yaml", "cannot read the script x.lua"),
])
def test_what_is_wrong_is_said_by_check(origin, gateway, text, place, message):
    gw = gateway(origin, run=False, filters=[{"lua": {"script": "x.lua", "memory": "256KiB"}}])
    if text is not None:
        (gw.home / "x.lua").write_text(text)
    done = gw.cli("check", str(gw.file))
    assert done.code == 2, done
    assert place in done.err and message in done.err, done.err


@pytest.mark.parametrize("make, message", [
    (lambda path: path.mkdir(), "is not a regular file"),
    (os.mkfifo, "is not a regular file"),
    (lambda path: path.write_text("-" * 300_000), "the script has more than 256 KiB"),
])
def test_what_is_no_script_is_not_read(origin, gateway, make, message):
    gw = gateway(origin, run=False, filters=[{"lua": {"script": "x.lua"}}])
    make(gw.home / "x.lua")
    done = gw.cli("check", str(gw.file))
    assert done.code == 2 and message in done.err, done


@pytest.mark.parametrize("keys, message", [
    ({}, "script"),
    ({"script": ""}, "script"),
    ({"script": "x.lua", "memory": "1KiB"}, "memory"),
    ({"script": "x.lua", "time": "0s"}, "time"),
    ({"script": "x.lua", "time": "2s"}, "time"),
    ({"script": "x.lua", "body": "1MiB"}, "body"),
    ({"script": "x.lua", "jit": "maybe"}, "maybe"),
    ({"script": "x.lua", "sript": "x"}, "did you mean"),
])
def test_wrong_keys(origin, gateway, keys, message):
    gw = gateway(origin, run=False, filters=[{"lua": keys}])
    done = gw.cli("check", str(gw.file))
    assert done.code == 2 and message in done.err, done


def test_a_compiled_script(scripted):
    gw = scripted("function on_request(r) local n = 0 for i = 1, 1e6 do n = n + i % 7 end r:respond(200, nil, '' .. n) end",
                  {"jit": True})
    for _ in range(3):
        assert gw.get("/").text == str(sum(i % 7 for i in range(1, 10**6 + 1)))


# --- services

def test_it_asks_services(scripted, origin, origins):
    users = origins()
    users.answers("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nX-Role: admin\r\n\r\nann")
    gw = scripted("""
        function on_request(request)
          local answer = request:fetch("users", {path = "/who?id=" .. request:arg("id"), method = "POST", body = "please",
                                                 headers = {["X-Why"] = "script"}})
          local second = request:fetch("users")
          request:set_header("X-User", answer.body .. answer.status .. answer.headers["x-role"] .. second.status)
        end""", services={"app": {"targets": [origin.address]}, "users": {"targets": [users.address]}})
    assert gw.get("/?id=7").text == "hi"
    assert origin.requests[0].header("X-User") == "ann200admin200"
    first, second = users.requests
    assert (first.method, first.target, first.body, first.header("X-Why")) == ("POST", "/who?id=7", b"please", "script")
    assert (second.method, second.target) == ("GET", "/")


def test_nobody_waits_for_a_script_that_waits(scripted, origin, origins):
    users = origins()

    @users.on("/")
    def never(conn, request):
        conn.wait_ended()

    gw = scripted("""
        function on_request(request)
          local answer, reason = request:fetch("users", {timeout = 60})
          request:respond(200, nil, tostring(answer) .. reason)
        end
        function on_log(request, response, numbers) print("log " .. request.path .. numbers.status) end""",
                  services={"app": {"targets": [origin.address]}, "users": {"targets": [users.address]}})
    with Client(("127.0.0.1", gw.port)) as client:
        client.request("GET", "/waits")
        users.wait_heads(1)
        assert gw.get("/plain").text == "hi"
        assert not lines(gw)
    assert until(lambda: lines(gw), "its end") == ["log /waits0"]  # the client has gone
    assert gw.get("/plain").text == "hi"


def test_a_fetch_before_a_body(scripted, origin):
    gw = scripted("""
        function on_request(request) request.context.first = request:fetch("app", {path = "/first"}).status end
        function on_body(request, body) return body .. request.context.first end""")
    assert gw.post("/second", b"body").text == "hi"
    assert [(r.target, r.body) for r in origin.requests] == [("/first", b""), ("/second", b"body200")]


@pytest.mark.parametrize("call, text", [
    ("request:fetch('users', {timeout = 0.05})", "nil deadline_exceeded"),
    ("request:fetch('dead')", "nil connection_refused"),
])
def test_services_that_do_not_answer(scripted, origin, origins, ports, call, text):
    users = origins()

    @users.on("/")
    def never(conn, request):
        conn.wait_ended()

    gw = scripted("""
        function on_request(request)
          local answer, reason = %s
          request:respond(200, nil, tostring(answer) .. " " .. reason)
        end""" % call, services={"app": {"targets": [origin.address]}, "users": {"targets": [users.address]},
                                 "dead": {"targets": [f"127.0.0.1:{ports.take()}"]}})
    assert gw.get("/").text == text


@pytest.mark.parametrize("call, message", [
    ("request:fetch('nobody')", "there is no service nobody"),
    ("request:fetch('app', {path = 'x'})", "a path begins with /"),
    ("request:fetch('app', {path = '/a b'})", "a character that has to be escaped"),
    ("request:fetch('app', {path = '/a\\r\\nX: y'})", "a character that has to be escaped"),
    ("request:fetch('app', {method = 'CONNECT'})", "there is no such method"),
    ("request:fetch('app', {headers = {['Content-Length'] = '3'}})", "the field Content-Length cannot be sent"),
    ("request:fetch('app', {headers = {['X-A'] = 'a\\nb'}})", "the field X-A cannot be sent"),
    ("request:fetch('app', {timeout = -1})", "a timeout is 0.001 to 60 seconds"),
    ("request:fetch('app', 7)", "table expected"),
    ("coroutine.wrap(function() request:fetch('app') end)()", "fetch works in on_request alone"),
    ("('x'):gsub('x', function() request:fetch('app') end)", "fetch works in on_request alone"),
    ("coroutine.yield()", "on_request yields, and nothing would go on with it"),
    ("for i = 1, 17 do request:fetch('app') end", "a request may fetch 16 times"),
])
def test_fetches_that_cannot_be(scripted, call, message):
    gw = scripted("function on_request(request)\n  %s\nend" % call)
    assert gw.get("/").reason == "script_error"
    line, = lines(gw)
    assert line.startswith("x.lua:") and message in line
    assert gw.get("/plain").text == "hi"


def test_a_pcall_around_a_fetch(scripted):
    gw = scripted("""
        function on_request(request)
          local good, answer = pcall(function() return request:fetch("app").body end)
          local bad, why = pcall(request.fetch, request, "nobody")
          request:respond(200, nil, tostring(good) .. answer .. tostring(bad))
        end""")
    assert gw.get("/").text == "truehifalse"


# --- scripts that do harm

EVIL = {
    "loop": ("while true do end", "script_timeout"),
    "caught loop": ("while true do pcall(function() while true do end end) end", "script_timeout"),
    "pattern": ("local x = ('a'):rep(5000):find(('a*'):rep(30) .. 'b')", "script_timeout"),
    "caught pattern": ("pcall(string.find, ('a'):rep(5000), ('.-'):rep(30) .. 'b')", "script_timeout"),
    "bomb": ("local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end", "script_memory"),
    "large bomb": ("local s = ('x'):rep(1e9)", "script_memory"),
    "caught bomb": ("pcall(function() local t = {} while true do t[#t + 1] = {} end end)", "script_memory"),
    "error": ("error('no')", "script_error"),
    "recursion": ("local function f() return 1 + f() end f()", "script_error"),
}


@pytest.mark.parametrize("hook", ["on_request", "on_response"])
@pytest.mark.parametrize("kind", EVIL)
def test_evil_scripts_harm_nobody(scripted, hook, kind):
    body, reason = EVIL[kind]
    gw = scripted("function %s(request)\n  if request.path == '/evil' then %s end\nend" % (hook, body),
                  {"time": f"{int(100 * SLOW)}ms" if reason == "script_memory" else "20ms", "memory": "1MiB"})
    edge = gw.edge
    with Client(("127.0.0.1", gw.port)) as client:
        for _ in range(3):
            reply = client.get("/evil")
            assert (reply.status, reply.reason) == (500, reason)
            assert client.get("/good").text == "hi"
            assert client.get("/plain").text == "hi"
    found = lines(gw)
    assert len(found) == 3 and all(line.startswith("x.lua:2: ") for line in found)
    assert gw.edge == edge


def test_an_error_in_every_hook(scripted, origin):
    gw = scripted("""
        function on_request(request) if request.path == "/request" then error("a") end end
        function on_body(request, body) error("b") end
        function on_response(request, response) error("c") end
        function on_log(request, response) error({}) end""")
    assert gw.get("/request").reason == "script_error"
    assert gw.post("/body", b"x").reason == "script_error"
    assert gw.get("/response").reason == "script_error"
    assert gw.get("/plain").text == "hi"
    until(lambda: len(lines(gw)) >= 6, "all lines")
    assert {line.split(": ")[1] for line in lines(gw)} == {"a", "b", "c", "the error is no text but a table"}


def test_a_flood_of_errors_is_a_few_lines(scripted):
    gw = scripted("function on_request(request) error('no') end")
    with Client(("127.0.0.1", gw.port)) as client:
        for _ in range(300):
            assert client.get("/").reason == "script_error"
    assert 10 <= len(lines(gw)) < 300


def test_ordinary_use_goes_on_and_on(scripted, origin):
    """Ten thousand requests on connections that stay open: no leak, no state that is lost."""
    origin.answers(OK)
    gw = scripted("""
        local n = 0
        function on_request(request)
          n = n + 1
          if request:header("x-a") ~= "1" then error("lost") end
          request:respond(200, {["X-N"] = n}, ("%s %s"):format(request.path:gsub("%d", "#"), request.client))
        end
        function on_response(request, response) response:set_header("X-R", "r") end
        function on_log(request, response, numbers) request.context.done = numbers.status end""", {"memory": "512KiB"})
    with Client(("127.0.0.1", gw.port)) as client:
        for i in range(100):
            for _ in range(100):
                client.request("GET", "/p1", [("X-A", "1")])
            for k in range(100):
                reply = client.reply("GET")
                assert (reply.status, reply.text, reply.header("X-N")) == (200, "/p# 127.0.0.1", str(i * 100 + k + 1))
    assert not lines(gw)
    assert why(gw, reply)["memory"] < 256 * 1024


def test_routes_without_scripts_know_nothing_of_them(scripted):
    gw = scripted("function on_request(request) error('no') end")
    reply = gw.get("/plain")
    assert reply.text == "hi"
    found = gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}").json()
    assert "lua" not in json.dumps(found.get("filters", []))
