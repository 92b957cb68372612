# SPDX-License-Identifier: Apache-2.0
"""CORS, by the checks that the Fetch standard has browsers make: who gets permission, for what, and what caches learn."""

from pathlib import Path

import pytest

from lib.fetch import cors_check, listed, preflight, preflight_check
from lib.tokens import SECRET

APP = "https://app.example.com"
EVIL = "https://evil.example"
VARY_PREFLIGHT = ["Origin", "Access-Control-Request-Method", "Access-Control-Request-Headers"]
PERMISSIONS = ["Origin", "Credentials", "Methods", "Headers", "Private-Network"]


def cors(**keys):
    return [{"cors": {"origins": [APP], **keys}}]


def ask(gw, origin=None, path="/", headers=(), **options):
    return gw.get(path, [("Origin", origin), *headers] if origin else headers, **options)


def permissions(reply):
    """Every field of a permission that there is."""
    names = [f"access-control-allow-{p}".lower() for p in PERMISSIONS]
    names += ["access-control-expose-headers", "access-control-max-age"]
    return {n: v for n, v in reply.fields if n.lower() in names}


# -- whose pages

WRITTEN = ["https://app.example.com", "http://localhost:3000", "https://*.shop.example", "https://*.dev.example:8443",
           "~https://pr-[0-9]+[.]preview[.]example", "http://[::1]:5173"]

LET_IN = ["https://app.example.com", "http://localhost:3000", "https://a.shop.example", "https://a.b.shop.example",
          "https://x.dev.example:8443", "https://pr-17.preview.example", "http://[::1]:5173"]

KEPT_OUT = [
    "https://evil.example", "http://app.example.com", "https://app.example.com:8443", "https://app.example.com/",
    "https://App.example.com", "https://app.example.com.evil.example", "https://evilapp.example.com",
    "https://shop.example", "https://.shop.example", "http://a.shop.example", "https://a.shop.example:444",
    "https://evil.example#.shop.example", "https://evil.example/.shop.example", "https://user@x.shop.example",
    "https://a.shop.example.evil.example", "https://x.dev.example", "https://pr-17.preview.example.evil.example",
    "https://evil.example?https://pr-17.preview.example", "https://pr-.preview.example", "null", "*", "", "https://",
    "https://app.example.com, https://app.example.com", "https://app.example.com https://evil.example",
]


@pytest.fixture
def many(origin, gateway):
    return gateway(origin, filters=[{"cors": {"origins": WRITTEN}}])


@pytest.mark.parametrize("page", LET_IN)
def test_origins_that_are_let_in(many, page):
    reply = many.get("/", [("Origin", page)])
    assert reply.all("Access-Control-Allow-Origin") == [page] and cors_check(reply, page, False)
    assert reply.all("Vary") == ["Origin"]
    assert preflight_check(preflight(many, page), page, "PUT")


@pytest.mark.parametrize("page", KEPT_OUT)
def test_origins_that_are_kept_out(many, origin, page):
    reply = many.get("/", [("Origin", page)])
    assert reply.status == 200 and reply.text == "ok"  # who may ask is not CORS's to say
    assert not permissions(reply)
    assert reply.all("Vary") == ["Origin"]
    seen = len(origin.requests)
    asked = preflight(many, page)
    assert (asked.status, asked.reason) == (403, "cors_denied")
    assert not permissions(asked)
    assert asked.all("Vary") == [", ".join(VARY_PREFLIGHT)]
    assert len(origin.requests) == seen


def test_two_origins_are_none(many):
    reply = many.get("/", [("Origin", APP), ("Origin", APP)])
    assert not permissions(reply)
    asked = preflight(many, APP, more=[("Origin", EVIL)])
    assert asked.status == 403 and not permissions(asked)


def test_null_only_when_written(origin, gateway):
    gw = gateway(origin, filters=[{"cors": {"origins": ["null", APP]}}])
    assert cors_check(ask(gw, "null"), "null", False)
    assert not permissions(ask(gw, "NULL"))


def test_no_origin_gets_no_permission_but_vary(many):
    reply = many.get("/")
    assert not permissions(reply) and reply.all("Vary") == ["Origin"]


def test_any_origin(origin, gateway):
    gw = gateway(origin, filters=[{"cors": {"origins": ["*"], "expose": ["X-Total"]}}])
    for page in (APP, EVIL, "null", None):
        reply = ask(gw, page)
        assert permissions(reply) == {"Access-Control-Allow-Origin": "*", "Access-Control-Expose-Headers": "X-Total"}
        assert not reply.has("Vary")  # the same for all
    assert not cors_check(ask(gw, APP), APP, credentials=True)
    asked = preflight(gw, EVIL)
    assert preflight_check(asked, EVIL, "PUT")
    assert asked.all("Vary") == [", ".join(VARY_PREFLIGHT[1:])]


# -- the table of "CORS protocol and credentials" (Fetch 3.2.6)


@pytest.mark.parametrize("credentials, written, is_shared", [
    (False, {"origins": ["*"]}, True),
    (False, {"origins": [APP]}, True),
    (False, {"origins": [APP], "credentials": True}, True),
    (True, {"origins": ["*"]}, False),
    (True, {"origins": [APP]}, False),
    (True, {"origins": [APP], "credentials": True}, True),
    (True, {"origins": ["https://*.example.com"], "credentials": True}, True),
])
def test_credentials(origin, gateway, credentials, written, is_shared):
    gw = gateway(origin, filters=[{"cors": written}])
    assert cors_check(ask(gw, APP), APP, credentials) == is_shared
    asked = preflight(gw, APP, headers=["X-A"])
    assert preflight_check(asked, APP, "PUT", ["X-A"], credentials) == is_shared


# -- preflights


@pytest.mark.parametrize("written, method, headers, is_good", [
    ({}, "PUT", [], True),
    ({}, "DELETE", ["Authorization", "Content-Type", "X-Any"], True),
    ({}, "PURGE", [], False),
    ({"methods": ["*"]}, "PURGE", [], True),
    ({"methods": ["PUT"]}, "PUT", [], True),
    ({"methods": ["PUT"]}, "DELETE", [], False),
    ({"methods": ["PUT"]}, "POST", ["X-A"], True),  # safelisted methods need no leave
    ({"headers": ["X-A"]}, "PUT", ["x-a"], True),
    ({"headers": ["X-A"]}, "PUT", ["X-A", "X-B"], False),
    ({"headers": ["*"]}, "PUT", ["Authorization"], True),
])
@pytest.mark.parametrize("credentials", [False, True])
def test_methods_and_headers(origin, gateway, written, method, headers, is_good, credentials):
    gw = gateway(origin, filters=cors(credentials=credentials, **written))
    asked = preflight(gw, APP, method, headers)
    assert asked.status == 204 and not asked.body and not asked.has("Content-Type")
    assert preflight_check(asked, APP, method, headers, credentials) == is_good
    assert asked.all("Vary") == [", ".join(VARY_PREFLIGHT)]
    assert origin.untouched


def test_how_long_a_preflight_is_kept(origin, gateway):
    gw = gateway(origin, filters=cors(), routes=[
        {"paths": ["/off"], "service": "app", "filters": cors(max_age="off")},
        {"paths": ["/day"], "service": "app", "filters": cors(max_age="24h")},
        {"paths": ["/*"], "service": "app"},
    ])
    kept = {path: preflight(gw, APP, path=path).header("Access-Control-Max-Age") for path in ("/", "/off", "/day")}
    assert kept == {"/": "600", "/off": "0", "/day": "86400"}
    assert not ask(gw, APP).has("Access-Control-Max-Age")


def test_private_network_access(origin, gateway):
    network = [("Access-Control-Request-Private-Network", "true")]
    gw = gateway(origin, filters=cors(private_network=True),
                 routes=[{"paths": ["/no"], "service": "app", "filters": cors()}, {"paths": ["/*"], "service": "app"}])
    granted = preflight(gw, APP, more=network)
    assert granted.header("Access-Control-Allow-Private-Network") == "true"
    assert listed(granted, "Vary")[-1] == "Access-Control-Request-Private-Network"
    assert not preflight(gw, APP).has("Access-Control-Allow-Private-Network")
    assert not preflight(gw, APP, path="/no", more=network).has("Access-Control-Allow-Private-Network")
    assert not permissions(preflight(gw, EVIL, more=network))


@pytest.mark.parametrize("headers", [
    [],
    [("Origin", APP)],
    [("Access-Control-Request-Method", "PUT")],
    [("Origin", APP), ("Access-Control-Request-Headers", "x-a")],
])
def test_options_that_are_no_preflight_reach_the_target(origin, gateway, headers):
    origin.answers("HTTP/1.1 200 OK\r\nAllow: GET, OPTIONS\r\nContent-Length: 0\r\n\r\n")
    with gateway(origin, filters=cors()).connect() as client:
        reply = client.request("OPTIONS", "/", headers).reply("OPTIONS")
    assert reply.header("Allow") == "GET, OPTIONS"
    assert origin.request.method == "OPTIONS"


def test_a_get_with_the_fields_of_a_preflight_is_none(origin, gateway):
    reply = ask(gateway(origin, filters=cors()), APP, headers=[("Access-Control-Request-Method", "PUT")])
    assert reply.text == "ok" and origin.request.method == "GET"


@pytest.mark.parametrize("name, value", [
    ("Access-Control-Request-Headers", "x-a;b"), ("Access-Control-Request-Headers", 'x-a, "b"'),
    ("Access-Control-Request-Headers", "x\u00e9"), ("Access-Control-Request-Headers", "<script>"),
    ("Access-Control-Request-Headers", "x:y"), ("Access-Control-Request-Headers", ""),
])
def test_what_is_no_list_of_names_is_not_said_again(origin, gateway, name, value):
    gw = gateway(origin, filters=cors())
    asked = preflight(gw, APP, more=[(name, value)])
    assert asked.status == 204 and not asked.has("Access-Control-Allow-Headers")


@pytest.mark.parametrize("method", ["", "P U T", "PUT, DELETE, *", "<>"])
def test_a_method_that_is_none_gets_nothing(origin, gateway, method):
    asked = preflight(gateway(origin, filters=cors(methods=["*"])), APP, method)
    assert asked.status == 204 and not preflight_check(asked, APP, "PUT")


def test_a_preflight_with_a_body_leaves_the_connection_in_order(origin, gateway):
    client = gateway(origin, filters=cors()).connect()
    fields = [("Origin", APP), ("Access-Control-Request-Method", "PUT")]
    assert client.request("OPTIONS", "/", fields, b"x" * 100).reply("OPTIONS").status == 204
    assert client.get("/next").text == "ok"  # what is left of a body is never read as the next request
    assert [r.path for r in origin.requests] == ["/next"]


# -- routes


def test_a_preflight_goes_where_its_request_would(origin, gateway):
    gw = gateway(origin, routes=[
        {"paths": ["/a"], "methods": ["PUT"], "service": "app", "filters": cors()},
        {"paths": ["/b"], "methods": ["PUT"], "service": "app"},
    ])
    asked = preflight(gw, APP, path="/a")
    assert asked.status == 204 and preflight_check(asked, APP, "PUT")
    assert preflight(gw, APP, "DELETE", path="/a").status == 405
    refused = preflight(gw, APP, path="/b")  # nobody answers it here, and the route takes no OPTIONS
    assert (refused.status, refused.reason) == (405, "method_not_allowed")
    assert origin.untouched


def test_a_route_replaces_or_drops_the_policy(origin, gateway):
    other = "https://other.example"
    gw = gateway(origin, filters=cors(), routes=[
        {"paths": ["/other"], "service": "app", "filters": [{"cors": {"origins": [other]}}]},
        {"paths": ["/none"], "service": "app", "filters": [{"cors": "off"}]},
        {"paths": ["/moved"], "redirect": {"to": "https://new.example/"}},
        {"paths": ["/*"], "service": "app"},
    ])
    assert cors_check(ask(gw, APP), APP, False)
    assert not permissions(ask(gw, APP, "/other")) and cors_check(ask(gw, other, "/other"), other, False)
    assert not permissions(ask(gw, APP, "/none"))
    moved = ask(gw, APP, "/moved")
    assert moved.status == 308 and cors_check(moved, APP, False)  # Fetch 4.4: a redirect is checked, too
    assert preflight(gw, APP, path="/moved").status == 204  # and a preflight must not be redirected


# -- answers


def test_what_the_target_says_of_it_is_replaced(origin, gateway):
    origin.answers("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nAccess-Control-Allow-Origin: *\r\naccess-control-allow-origin: x\r\n"
                   "Access-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: *\r\n"
                   "Access-Control-Allow-Methods: *\r\nAccess-Control-Allow-Headers: *\r\nAccess-Control-Max-Age: 9\r\n"
                   "Access-Control-Allow-Private-Network: true\r\n\r\nhi")
    gw = gateway(origin, filters=cors(expose=["X-Total", "ETag"]))
    assert permissions(ask(gw, APP)) == {
        "Access-Control-Allow-Origin": APP, "Access-Control-Expose-Headers": "X-Total, ETag"}
    assert not permissions(ask(gw, EVIL)) and not permissions(ask(gw))


@pytest.mark.parametrize("theirs, ours", [
    ("Accept", "Accept, Origin"), ("accept-encoding,  ORIGIN", "accept-encoding,  ORIGIN"), ("*", "*"), ("", "Origin"),
    ("Accept\r\nVary: Cookie", "Accept, Cookie, Origin"), ("Originator", "Originator, Origin"),
])
def test_vary_is_added_to(origin, gateway, theirs, ours):
    origin.answers(f"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nVary: {theirs}\r\n\r\nhi")
    assert ask(gateway(origin, filters=cors()), APP).all("Vary") == [ours]


def test_refusals_can_be_read_by_the_page(origins, gateway):
    gone, app = origins(), origins()
    app.on("/forbidden")(lambda conn, request: conn.respond(403))
    gw = gateway(
        app, services={"gone": {"targets": [gone.address]}}, limits={"body": "1KiB"},
        filters=cors(credentials=True) + [{"body_limit": "100"}],
        routes=[{"paths": ["/gone"], "service": "gone"}, {"paths": ["/read"], "methods": ["GET"], "service": "app"},
                {"paths": ["/forbidden", "/post"], "service": "app"}])
    gone.close()
    replies = {
        502: ask(gw, APP, "/gone"), 404: ask(gw, APP, "/nowhere"), 403: ask(gw, APP, "/forbidden"),
        405: gw.post("/read", b"", [("Origin", APP)]), 413: gw.post("/post", b"x" * 200, [("Origin", APP)]),
    }
    for status, reply in replies.items():
        assert reply.status == status
        assert cors_check(reply, APP, credentials=True), reply
        assert reply.all("Vary") == ["Origin"]
    early = gw.post("/post", b"x" * 2000, [("Origin", APP)])  # refused before the route is known
    assert early.status == 413 and cors_check(early, APP, credentials=True)
    assert not permissions(ask(gw, EVIL, "/nowhere"))


# path: the filter that refuses there, the status
REFUSING = {
    "/access": ({"access": {"deny": ["127.0.0.0/8"]}}, 403),
    "/rate": ({"rate_limit": {"rate": "1/h", "burst": 1}}, 429),
    "/jwt": ({"jwt": {"secret": SECRET}}, 401),
    "/key": ({"api_key": {}}, 401),
    "/basic": ({"basic": {"users": {"ann": "$2b$05$abcdefghijklmnopqrstuuFfB9bTMpOVXU5DYTA6u0XO2g0Uo7Ley"}}}, 401),
    "/forward": ({"forward_auth": {"url": "http://auth/verify"}}, 401),
    "/link": ({"signed_url": {"secrets": [SECRET]}}, 403),
    "/hmac": ({"hmac": {"keys": {"ann": {"secret": SECRET}}}}, 401),
    "/mtls": ({"mtls": {}}, 401),
    "/shield": ({"shield": {"rate": "1/h"}}, 429),
    "/validate": ({"validate": {"schema": "schema.json"}}, 400),
    "/limit": ({"body_limit": "2"}, 413),
    "/plain": ({"decompress": {}}, 400),
    "/lua": ({"lua": {"script": "wrong.lua"}}, 500),
}


def in_folder(filter_, folder, names):
    """With the whole paths of files."""
    return {name: {k: str(Path(folder, v)) if str(v) in names else v for k, v in keys.items()} if isinstance(keys, dict) else keys
            for name, keys in filter_.items()}


def test_refusals_of_every_filter_can_be_read_by_the_page(origins, gateway, home):
    auth, app = origins(), origins()
    auth.on("/verify")(lambda conn, request: conn.respond(401))
    written = {"schema.json": '{"type": "object"}', "wrong.lua": "function on_request(request) error('no') end"}
    for name, text in written.items():
        Path(home, name).write_text(text)
    routes = [{"paths": [path], "service": "app", "filters": [in_folder(filter_, home, written)]}
              for path, (filter_, _) in REFUSING.items()]
    gw = gateway(app, services={"auth": {"targets": [auth.address]}}, routes=routes,
                 filters=[*cors(credentials=True), {"shield": {"exempt": ["127.0.0.0/8"]}}])
    assert gw.cli("shield", "on", "--for", "5m").code == 0
    assert gw.get("/shield").status == gw.get("/rate").status == 200  # the ones of the hour
    for path, (_, status) in REFUSING.items():
        reply = gw.post(path, b"[1]", [("Origin", APP), ("Content-Type", "application/json"), ("Content-Encoding", "gzip")]
                        if path == "/plain" else [("Origin", APP), ("Content-Type", "application/json")])
        assert reply.status == status, (path, reply)
        assert cors_check(reply, APP, credentials=True), (path, reply)
        assert "Origin" in listed(reply, "Vary"), (path, reply)
    assert [r.target for r in app.requests] == ["/shield", "/rate"]


# -- the configuration


@pytest.mark.parametrize("keys, words", [
    ({}, "origins"),
    ({"origins": []}, "origins"),
    ({"origins": ["*"], "credentials": True}, '"*" cannot go with credentials'),
    ({"origins": [APP], "expose": ["*"], "credentials": True}, '"*" cannot go with credentials'),
    ({"origins": ["https://a.example/"]}, "an origin has no path"),
    ({"origins": ["https://a.example/x"]}, "an origin has no path"),
    ({"origins": ["https://a.example:443"]}, "leave it out here"),
    ({"origins": ["http://a.example:80"]}, "leave it out here"),
    ({"origins": ["https://A.example"]}, "lower case"),
    ({"origins": ["a.example"]}, "is not an origin"),
    ({"origins": ["https://"]}, "is not an origin"),
    ({"origins": ["https://a*.example"]}, "is not an origin"),
    ({"origins": ["https://*."]}, "is not an origin"),
    ({"origins": ["https://*.a.*"]}, "is not an origin"),
    ({"origins": ["https://a.example:0"]}, "is not an origin"),
    ({"origins": ["https://a.example:65536"]}, "is not an origin"),
    ({"origins": ["https://a.example:"]}, "is not an origin"),
    ({"origins": ["://a.example"]}, "is not an origin"),
    ({"origins": ["ht/tp://a.example"]}, "is not an origin"),
    ({"origins": ["https://[::1"]}, "is not an origin"),
    ({"origins": ["~(a"]}, "bad regular expression"),
    ({"origins": ["~a)|(?:b"]}, "bad regular expression"),
    ({"origins": ["~"]}, "is not an origin"),
    ({"origins": [""]}, "is empty"),
    ({"origins": [APP], "methods": ["GET POST"]}, "is not a method"),
    ({"origins": [APP], "headers": ["X-A:"]}, "is not a field name"),
    ({"origins": [APP], "expose": ["X A"]}, "is not a field name"),
    ({"origins": [APP], "max_age": "soon"}, "max_age"),
    ({"origin": [APP]}, 'did you mean "origins"'),
])
def test_what_the_check_refuses(origin, gateway, keys, words):
    gw = gateway(origin, filters=[{"cors": keys}], run=False)
    done = gw.cli("check", gw.file)
    assert done.code == 2 and words in done.err, done
