# SPDX-License-Identifier: Apache-2.0
"""The scripts in lua/: each does what its first lines say."""

import hashlib
import hmac
import json
import time
from pathlib import Path

import pytest

LUA = Path(__file__).resolve().parents[2] / "lua"
OK = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"


@pytest.fixture
def example(origin, gateway):
    """example(file name, more filters before it, **config): a gateway whose filter it is."""
    origin.answers(OK)

    def start(name, *before, **options):
        keys = {"script": str(LUA / name), "time": "500ms"}  # of a busy machine
        return gateway(origin, filters=[*before, {"lua": keys}], **options)
    return start


def test_every_example_is_tested():
    text = Path(__file__).read_text()
    names = [path.name for path in LUA.glob("*.lua")]
    assert len(names) >= 5 and all(f'"{name}"' in text for name in names)


def test_hello(example, origin):
    gw = example("hello.lua")
    reply = gw.get("/assets/app.0123abcd.js")
    assert reply.header("X-Hello") == "from example.com"
    assert reply.header("Cache-Control") == "public, max-age=31536000, immutable"
    assert not gw.get("/assets/app.js").has("Cache-Control") and not gw.get("/").has("Cache-Control")
    assert origin.requests[0].header("X-Shift") in ("day", "night")


def test_ab_cookie(example, origin):
    gw = example("ab_cookie.lua")
    for _ in range(200):
        reply = gw.get("/")
        group = origin.requests[-1].header("X-Group")
        assert reply.header("Set-Cookie") == f"group={group}; Path=/; Max-Age=2592000; SameSite=Lax"
    groups = [r.header("X-Group") for r in origin.requests]
    assert set(groups) == {"a", "b"} and 10 <= groups.count("b") <= 90  # 40 on average
    for group in "ab":
        reply = gw.get("/", [("Cookie", f"x=1; group={group}")])
        assert origin.requests[-1].header("X-Group") == group and not reply.has("Set-Cookie")
    assert gw.get("/", [("Cookie", "group=evil"), ("X-Group", "evil")]).has("Set-Cookie")
    assert origin.requests[-1].all("X-Group") in (["a"], ["b"])


@pytest.mark.parametrize("day, hour, minute, seconds", [(1, 2, 0, 1800), (1, 2, 29, 60), (1, 2, 30, 0), (1, 1, 59, 0), (2, 2, 10, 0)])
def test_maintenance_window(example, day, hour, minute, seconds):
    gw = example("maintenance_window.lua", run=False)
    script = gw.home / "window.lua"
    moment = f"os = {{date = function() return {{wday = {day}, hour = {hour}, min = {minute}, sec = 0}} end}}\n"
    script.write_text(moment + (LUA / "maintenance_window.lua").read_text())
    gw.change(filters=[{"lua": {"script": str(script), "time": "500ms"}}])
    gw.start()
    assert gw.get("/").status == 200
    reply = gw.post("/", b"x")
    if not seconds:
        assert reply.status == 200
        return
    assert reply.status == 503 and reply.json() == {"reason": "maintenance_window", "seconds": seconds}
    assert reply.header("Retry-After") == str(seconds)


def test_signed_links(example, origin):
    gw = example("signed_links.lua")

    def link(path="/file", expires=None, key=b"change me", signed=None):
        expires = str(int(time.time()) + 600) if expires is None else expires
        signature = hmac.new(key, f"{signed or path}\n{expires}".encode(), hashlib.sha256).hexdigest()
        return f"{path}?expires={expires}&signature={signature}"

    assert gw.get(link()).status == 200
    for target in ("/file", "/file?expires=1&signature=", link(key=b"guess"), link("/other", signed="/file"),
                   link(expires="1"), link(expires="soon"), link(expires="1e99"), link() + "0", link().replace("signature", "s")):
        assert gw.get(target).status == 403, target
    assert len(origin.requests) == 1


def test_json_check(example, origin):
    gw = example("json_check.lua")
    good = {"item": "tea", "count": 2}
    assert gw.post("/", json.dumps(good).encode()).status == 200
    assert json.loads(origin.requests[-1].body) == good
    assert gw.post("/", json.dumps({**good, "price": 0.01}).encode()).status == 200
    assert json.loads(origin.requests[-1].body) == good
    for bad in (b"", b"{", b"[]", b"null", b'"x"', b'{"item":"tea"}', b'{"item":"","count":1}', b'{"item":"tea","count":0}',
                b'{"item":"tea","count":1.5}', b'{"item":"tea","count":101}', b'{"item":7,"count":1}',
                b'{"item":"tea","count":1,"count":999}', b'{"item":"\xff","count":1}'):
        if bad:  # a request without a body has none to look at
            assert gw.post("/", bad).reason == "script_denied", bad
    assert gw.get("/").status == 200


def test_quota(example, origin):
    gw = example("quota.lua", workers=2)
    left = sorted(int(gw.get("/").header("X-Quota-Left")) for _ in range(30))
    assert left == list(range(970, 1000))
    script = gw.home / "quota.lua"
    script.write_text((LUA / "quota.lua").read_text().replace("free = 1000", "free = 32"))
    gw.change(filters=[{"lua": {"script": str(script), "time": "500ms"}}])
    gw.reload()  # what was used is not forgotten
    assert [gw.get("/").status for _ in range(3)] == [200, 200, 429]
    refused = gw.get("/")
    assert refused.header("X-Quota-Left") == "0" and 0 < int(refused.header("Retry-After")) <= 86400
    assert len(origin.requests) == 32


def test_enrich(origin, origins, gateway):
    origin.answers(OK)
    users, asked = origins(), []

    @users.on("/session")
    def session(conn, request):
        asked.append(request.header("X-Session"))
        known = request.header("X-Session") == "s1"
        conn.respond(200 if known else 404, b"ann" if known else b"nobody")

    gw = gateway(services={"app": {"targets": [origin.address]}, "users": {"targets": [users.address]}},
                 routes=[{"name": "r", "service": "app"}], filters=[{"lua": {"script": str(LUA / "enrich.lua"), "time": "500ms"}}])
    for _ in range(3):
        gw.get("/", [("Cookie", "session=s1"), ("X-User", "root")])
        assert origin.requests[-1].all("X-User") == ["ann"]
        gw.get("/", [("Cookie", "session=s2"), ("X-User", "root")])
        assert not origin.requests[-1].has("X-User")
    assert asked == ["s1", "s2"]
    users.close()
    assert gw.get("/", [("Cookie", "session=s3")]).text == "hi"
    assert "users does not answer" in gw.stderr()
