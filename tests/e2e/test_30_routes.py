# SPDX-License-Identifier: Apache-2.0
"""Routes as a user sees them: which service answers, redirects, own answers, rewriting, 404 and 405."""

import pytest

from lib.wait import SLOW


def named(origins, *names):
    """Origins that answer with their name and the request's target."""
    made = {}
    for name in names:
        origin = made[name] = origins(name=name)

        def script(conn, name=name):
            while request := conn.read():
                conn.respond(200, f"{name} {request.target}".encode())

        origin.script = script
    return made


def house(origins, gateway, routes, *names, **options):
    made = named(origins, *names)
    services = {n: {"targets": [o.address]} for n, o in made.items()}
    return gateway(services=services, routes=routes, **options)


def who(gw, target="/", method="GET", headers=(), host="example.com"):
    with gw.connect() as client:
        reply = client.request(method, target, headers, host=host).reply(method)
        return reply.text.split(" ")[0] if reply.status == 200 else reply.status


def test_hosts(origins, gateway):
    gw = house(
        origins,
        gateway,
        [
            {"hosts": ["a.example.com"], "service": "exact"},
            {"hosts": ["*.example.com"], "service": "wild"},
            {"hosts": ["*.b.example.com"], "service": "deep"},
            {"service": "rest"},
        ],
        "exact", "wild", "deep", "rest",
    )
    for host, want in {
        "a.example.com": "exact",
        "A.EXAMPLE.com": "exact",
        "a.example.com:8080": "exact",
        "c.example.com": "wild",
        "b.example.com": "wild",
        "x.b.example.com": "deep",
        "y.x.b.example.com": "deep",
        "example.com": "rest",
        "aexample.com": "rest",
        "127.0.0.1": "rest",
        "[::1]:80": "rest",
    }.items():
        assert who(gw, host=host) == want, host


def test_paths(origins, gateway):
    gw = house(
        origins,
        gateway,
        [
            {"paths": ["/exact"], "service": "exact"},
            {"paths": ["/v1/*"], "service": "prefix"},
            {"paths": ["/v1/long/*"], "service": "longer"},
            {"paths": [r"~^/item/(\d+)$"], "service": "regex"},
            {"paths": ["/v1/long/one"], "service": "one"},
        ],
        "exact", "prefix", "longer", "regex", "one",
    )
    for path, want in {
        "/exact": "exact",
        "/exact?x=1": "exact",
        "/exact/": 404,
        "/v1": "prefix",
        "/v1/": "prefix",
        "/v1/x/y": "prefix",
        "/v1x": 404,
        "/v1/long": "longer",
        "/v1/long/two": "longer",
        "/v1/longer": "prefix",
        "/v1/long/one": "one",
        "/item/42": "regex",
        "/item/42x": 404,
        "/": 404,
        "/V1/x": 404,
    }.items():
        assert who(gw, path) == want, path


@pytest.mark.parametrize("path", ["/admin/x", "/public/../admin/x", "/public/./../admin/x", "/public/%2e%2e/admin/x", "//admin/x", "/public//../admin/x", "/public/%2E%2E/admin/", "/./admin/x"])
def test_dot_segments_do_not_get_round_a_route(origins, gateway, path):
    gw = house(
        origins, gateway, [{"paths": ["/admin/*"], "respond": {"status": 403, "body": "no"}}, {"service": "public"}], "public"
    )
    assert who(gw, path) == 403


def test_conditions(origins, gateway):
    gw = house(
        origins,
        gateway,
        [
            {"paths": ["/x"], "service": "plain"},
            {"paths": ["/x"], "methods": ["POST"], "service": "post"},
            {"paths": ["/x"], "headers": {"x-beta": "1"}, "service": "beta"},
            {"paths": ["/x"], "headers": {"x-any": "*"}, "service": "any"},
            {"paths": ["/x"], "query": {"v": "2"}, "service": "query"},
            {"paths": ["/x"], "methods": ["POST"], "headers": {"x-beta": "1"}, "query": {"v": "2"}, "service": "all"},
        ],
        "plain", "post", "beta", "any", "query", "all",
    )
    assert who(gw, "/x") == "plain"
    assert who(gw, "/x", "POST") == "post"
    assert who(gw, "/x", headers=[("X-Beta", "1")]) == "beta"
    assert who(gw, "/x", headers=[("X-Beta", "2")]) == "plain"
    assert who(gw, "/x", headers=[("X-Any", "whatever")]) == "any"
    assert who(gw, "/x?a=1&v=2") == "query"
    assert who(gw, "/x?v=%32") == "query"
    assert who(gw, "/x?v=22") == "plain"
    assert who(gw, "/x?v=2", "POST", [("X-Beta", "1")]) == "all"


def test_a_method_that_no_route_takes(origins, gateway):
    gw = house(origins, gateway, [{"paths": ["/x"], "methods": ["GET", "PUT"], "service": "app"}], "app")
    reply = gw.connect().request("POST", "/x").reply("POST")
    assert (reply.status, reply.reason) == (405, "method_not_allowed")
    assert {"get", "put"} <= set(reply.tokens("Allow"))  # RFC 9110 15.5.6
    assert who(gw, "/y", "POST") == 404
    assert who(gw, "/x", "GET") == "app"
    assert gw.connect().request("HEAD", "/x").reply("HEAD").status == 200  # HEAD fits where GET is listed


def test_no_route(origins, gateway):
    gw = house(origins, gateway, [{"hosts": ["only.example"], "service": "app"}], "app")
    reply = gw.get("/")
    assert (reply.status, reply.reason) == (404, "route_not_found")
    gw.wait_metric("sluice_http_requests_refused_total", 1, reason="route_not_found")


def test_the_more_specific_host_falls_back(origins, gateway):
    gw = house(origins, gateway, [{"hosts": ["a.example"], "paths": ["/x"], "service": "one"}, {"service": "rest"}], "one", "rest")
    assert who(gw, "/x", host="a.example") == "one"
    assert who(gw, "/y", host="a.example") == "rest"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(gateway, origin, status):
    gw = gateway(origin, routes=[{"redirect": {"to": "https://new.example${path}", "status": status}}])
    reply = gw.get("/a/b%20c?x=1")
    assert (reply.status, reply.header("Location")) == (status, "https://new.example/a/b%20c")
    assert reply.reason is None
    assert origin.untouched


def test_redirect_variables(gateway, origin):
    gw = gateway(origin, routes=[
        {"paths": ["/all"], "redirect": {"to": "${scheme}://${host}/new${path}?${query}", "status": 302}},
        {"paths": ["/uri"], "redirect": {"to": "https://x.example${uri}", "status": 302}},
    ])
    assert gw.get("/all?a=b&c", host="h.example:8080").header("Location") == "http://h.example/new/all?a=b&c"
    assert gw.get("/uri?q=1").header("Location") == "https://x.example/uri?q=1"
    assert gw.get("/uri").header("Location") == "https://x.example/uri"


def test_respond(gateway, origin):
    gw = gateway(origin, routes=[
        {"paths": ["/robots.txt"], "respond": {"status": 200, "body": "User-agent: *\n"}},
        {"paths": ["/gone"], "respond": {"status": 410, "body": "{}", "content_type": "application/json"}},
        {"paths": ["/empty"], "respond": {"status": 204}},
    ])
    client = gw.connect()
    reply = client.get("/robots.txt")
    assert (reply.status, reply.text) == (200, "User-agent: *\n")
    assert reply.header("Content-Type").startswith("text/plain")
    reply = client.get("/gone")
    assert (reply.status, reply.text, reply.header("Content-Type")) == (410, "{}", "application/json")
    assert client.get("/empty").status == 204
    assert client.request("HEAD", "/robots.txt").reply("HEAD").header("Content-Length") == "14"
    assert client.post("/gone", b"x" * 10_000).status == 410
    assert gw.get("/robots.txt").status == 200
    assert origin.untouched


REWRITES = [
    ({"strip_prefix": "/v1"}, "/v1/users?x=1", "/users?x=1"),
    ({"strip_prefix": "/v1"}, "/v1", "/"),
    ({"strip_prefix": "/v1"}, "/v1/", "/"),
    ({"add_prefix": "/app"}, "/v1/x", "/app/v1/x"),
    ({"strip_prefix": "/v1", "add_prefix": "/v2"}, "/v1/x?y", "/v2/x?y"),
    ({"regex": r"^/v1/(\w+)/(\d+)$", "replace": "/$2/$1"}, "/v1/user/42?k=v", "/42/user?k=v"),
    ({"regex": r"^/v1/other", "replace": "/never"}, "/v1/x", "/v1/x"),
]


@pytest.mark.parametrize("rewrite, path, want", REWRITES)
def test_rewrites(origins, gateway, rewrite, path, want):
    gw = house(origins, gateway, [{"paths": ["/v1/*"], "service": "app", "rewrite": rewrite}], "app")
    assert gw.get(path).text == f"app {want}"


def test_a_route_may_have_timeouts_of_its_own(origin, gateway):
    @origin.on("/slow")
    def slow(conn, request):
        conn.wait_end()
        return "end"

    gw = gateway(origin, routes=[{"paths": ["/slow"], "service": "app", "timeouts": {"first_byte": "300ms"}}])
    assert gw.get("/slow").reason == "http_response_timeout"


def test_routes_explains(origins, gateway):
    gw = house(
        origins,
        gateway,
        [
            {"name": "api", "hosts": ["*.example.com"], "paths": ["/v1/*"], "service": "api"},
            {"name": "rest", "service": "rest"},
            {"name": "post", "paths": ["/v1/*"], "methods": ["POST"], "service": "rest"},
        ],
        "api", "rest",
    )
    done = gw.cli("routes", "--match", "http://a.example.com/v1/x")
    assert done.code == 0, done
    assert done.out.index("api") < done.out.index("rest")
    found = gw.cli("routes", "--match", "http://a.example.com/v1/x", "--json").json()
    text = str(found)
    assert "api" in text and "prefix" in text
    listed = gw.cli("routes", "--json")
    assert listed.code == 0 and "post" in listed.out


@pytest.mark.long
def test_a_hundred_thousand_routes(origins, gateway):
    hosts = [f"h{n}.example.com" for n in range(10_000)]
    routes = [{"hosts": [h], "paths": [f"/p{k}/*"], "service": "app"} for h in hosts for k in range(10)]
    gw = house(origins, gateway, routes, "app", run=False)
    gw.start(ready=False)
    gw.wait_ready(30 * SLOW)  # what it takes is checked by the bench
    assert who(gw, "/p7/x", host="h9999.example.com") == "app"
    assert who(gw, "/p11/x", host="h9999.example.com") == 404
