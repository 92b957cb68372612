# SPDX-License-Identifier: Apache-2.0
"""Pages in a real browser that fetch from a gateway of another origin: what CORS lets them do, and what it does not."""

import json

from lib.wait import DEADLINE, until

# Tries each fetch in turn, and posts what came of them to the page's own origin.
PAGE = """<!doctype html><title>test</title><script>
(async () => {
  const found = {};
  for (const [name, url, options, field] of %s) {
    try {
      const reply = await fetch(url, options);
      found[name] = {status: reply.status, type: reply.type, text: await reply.text(), url: reply.url,
                     field: reply.headers.get(field)};
    } catch (error) { found[name] = error.name; }
  }
  await fetch('/result', {method: 'POST', body: JSON.stringify(found)});
})();
</script>"""


def page_of(server, browse, cases):
    """What a page of that server finds out: {name: reply, or the error's name}."""
    page = PAGE % json.dumps(cases)
    server.on("/")(lambda conn, request: conn.respond(200, page.encode(), [("Content-Type", "text/html")]))

    @server.on("/result")
    def result(conn, request):
        conn.read_body(request, DEADLINE)
        conn.respond(200, b"ok")

    browse(f"http://{server.address}/")
    (request,) = until(lambda: [r for r in server.requests if r.path == "/result"], "the page's result", 6 * DEADLINE)
    return json.loads(request.body)


def serve(api):
    api.on("/data")(lambda conn, request: conn.respond(
        200, b"data", [("X-Total", "7"), ("X-Secret", "s"), ("Access-Control-Allow-Origin", "http://wrong.example")]))
    api.on("/login")(lambda conn, request: conn.respond(200, b"in", [("Set-Cookie", "session=abc; Path=/")]))
    api.on("/me")(lambda conn, request: conn.respond(200, (request.header("Cookie") or "nobody").encode()))

    @api.on("/thing")
    def thing(conn, request):
        conn.read_body(request, DEADLINE)
        conn.respond(200, request.body + (request.header("X-Token") or "").encode())


def config(page, gone):
    cors = {"origins": [f"http://{page.address}"], "methods": ["GET", "PUT", "POST"], "headers": ["X-Token", "Content-Type"],
            "expose": ["X-Total"], "credentials": True}
    anonymous = [{"cors": {**cors, "credentials": False}}]
    return {
        "filters": [{"cors": cors}, {"body_limit": "1KiB"}],
        "services": {"gone": {"targets": [gone]}},
        "routes": [
            {"paths": ["/anonymous/*"], "service": "app", "rewrite": {"strip_prefix": "/anonymous"}, "filters": anonymous},
            {"paths": ["/moved"], "redirect": {"to": "/data"}},
            {"paths": ["/away"], "redirect": {"to": f"http://{page.address}/"}},
            {"paths": ["/gone"], "service": "gone"},
            {"paths": ["/data", "/login", "/me", "/thing"], "service": "app"},
        ],
    }


def test_pages_of_two_origins(origins, gateway, browse, ports):
    page, evil, api = origins(), origins(), origins()
    serve(api)
    gw = gateway(api, **config(page, f"127.0.0.1:{ports.take()}"))
    at = f"http://127.0.0.1:{gw.port}"
    put = {"method": "PUT", "body": "body", "headers": {"X-Token": "t"}}
    both = [["get", at + "/data", {}, "x-total"], ["put", at + "/thing", put, None]]

    found = page_of(page, browse, both + [
        ["secret", at + "/data", {}, "x-secret"],
        ["put again", at + "/thing", put, None],
        ["delete", at + "/thing", {"method": "DELETE"}, None],
        ["strange field", at + "/thing", {"headers": {"X-Strange": "1"}}, None],
        ["json", at + "/thing", {"method": "POST", "body": "{}", "headers": {"Content-Type": "application/json"}}, None],
        ["login", at + "/login", {"credentials": "include"}, None],
        ["me", at + "/me", {"credentials": "include"}, None],
        ["me without", at + "/me", {"credentials": "omit"}, None],
        ["anonymous with", at + "/anonymous/me", {"credentials": "include"}, None],
        ["anonymous", at + "/anonymous/me", {"credentials": "omit"}, None],
        ["moved", at + "/moved", {}, "x-total"],
        ["away", at + "/away", {}, None],
        ["opaque", at + "/data", {"mode": "no-cors"}, "x-total"],
        ["not found", at + "/nowhere", {}, "x-sluice-reason"],
        ["too large", at + "/thing", {"method": "POST", "body": "x" * 2000}, None],
        ["gone", at + "/gone", {}, None],
    ])
    assert (found["get"]["text"], found["get"]["field"], found["get"]["type"]) == ("data", "7", "cors")
    assert found["secret"]["text"] == "data" and found["secret"]["field"] is None
    assert found["put"]["text"] == found["put again"]["text"] == "bodyt" and found["json"]["text"] == "{}"
    assert found["delete"] == found["strange field"] == "TypeError"
    assert (found["login"]["text"], found["me"]["text"], found["me without"]["text"]) == ("in", "session=abc", "nobody")
    assert (found["anonymous with"], found["anonymous"]["text"]) == ("TypeError", "nobody")
    assert (found["moved"]["text"], found["moved"]["field"], found["moved"]["url"]) == ("data", "7", at + "/data")
    assert found["away"] == "TypeError"  # its own origin, but by way of another: the browser says "null"
    assert (found["opaque"]["type"], found["opaque"]["text"]) == ("opaque", "")
    assert [found[n]["status"] for n in ("not found", "too large", "gone")] == [404, 413, 502]
    seen = [(r.method, r.path) for r in api.heads]
    assert not [s for s in seen if s[0] in ("OPTIONS", "DELETE")] and seen.count(("PUT", "/thing")) == 2
    assert {r.header("Origin") for r in api.heads} == {f"http://{page.address}", None}  # None: the opaque one

    before = len(api.heads)
    assert page_of(evil, browse, both) == {"get": "TypeError", "put": "TypeError"}
    assert [(r.method, r.path) for r in api.heads[before:]] == [("GET", "/data")]  # asked, but not shown
