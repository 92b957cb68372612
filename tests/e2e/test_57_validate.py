# SPDX-License-Identifier: Apache-2.0
"""Requests that have to be what a JSON Schema or an OpenAPI document says."""

import gzip
import json
import random

import jsonschema
import pytest

from lib.gateway import IS_SANITIZED
from lib.h2peer import H2Client
from lib.wait import until

ORDER = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["id", "items"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "items": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/item"}},
        "note": {"type": "string", "pattern": "^([a-z]+)+$"},
    },
    "additionalProperties": False,
    "$defs": {"item": {"type": "object", "required": ["sku"], "properties": {"sku": {"type": "string"}}}},
}
GOOD = b'{ "id" : 1.0, "items":[ {"sku":"\\u00e4"} ] }\n'
JSON = [("Content-Type", "application/json")]
JSON_H2 = [("content-type", "application/json")]
MIB = 1024 * 1024

API = """
openapi: 3.0.3
info: {title: shop, version: "1"}
servers: [{url: "https://shop.example.com/v1"}]
paths:
  /orders:
    get:
      operationId: listOrders
      parameters:
      - {name: limit, in: query, required: true, schema: {type: integer, maximum: 100}}
      - {name: X-Tenant, in: header, schema: {type: string, pattern: "^[a-z]+$"}}
      - {name: shop, in: cookie, schema: {type: integer}}
    post:
      operationId: addOrder
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: "#/components/schemas/Order"}}
          text/csv: {}
  /orders/{id}:
    parameters: [{name: id, in: path, required: true, schema: {type: integer}}]
    get: {}
    patch:
      requestBody: {content: {application/merge-patch+json: {schema: {type: object}}}}
    delete: {}
components:
  schemas:
    Order:
      type: object
      required: [id, total]
      properties:
        id: {type: string, readOnly: true}
        total: {type: number, minimum: 0, exclusiveMinimum: true}
        note: {type: string, nullable: true}
"""


@pytest.fixture
def files(home):
    """Writes a file and gives its path."""

    def write(name, content):
        path = f"{home}/{name}"
        with open(path, "w", encoding="utf-8") as file:
            file.write(content if isinstance(content, str) else json.dumps(content))
        return path

    return write


@pytest.fixture
def by_schema(origin, gateway, files):
    def make(schema=ORDER, before=(), after=(), **keys):
        path = files("order.json", schema)
        return gateway(origin, filters=[*before, {"validate": {"schema": path, **keys}}, *after])

    return make


@pytest.fixture
def by_api(origin, gateway, files):
    def make(document=API, **keys):
        return gateway(origin, filters=[{"validate": {"openapi": files("api.yaml", document), **keys}}])

    return make


def refusal(reply):
    return reply.status, reply.reason


def detail(reply):
    return reply.json().get("detail")


# --- bodies


@pytest.mark.parametrize("step", [None, 1, 7])
def test_good_bodies_reach_the_target_byte_for_byte(origin, by_schema, step):
    gw = by_schema()
    if step is None:
        assert gw.post("/", GOOD, JSON).status == 200
        assert origin.request.header("Content-Length") == str(len(GOOD))
    else:
        client = gw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        for at in range(0, len(GOOD), step):
            client.chunk(GOOD[at : at + step])
        client.send(b"0\r\nX-Trailer: kept\r\n\r\n")
        assert client.reply("POST").status == 200
        assert ("X-Trailer", "kept") in list(origin.request.trailers)
    assert origin.request.body == GOOD


def test_byte_by_byte_with_a_length(origin, by_schema):
    client = by_schema().send(f"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: {len(GOOD)}\r\n\r\n")
    for at in range(len(GOOD)):
        assert origin.untouched
        client.send(GOOD[at : at + 1])
    assert client.reply("POST").status == 200 and origin.request.body == GOOD


@pytest.mark.parametrize(
    "body, reason, words",
    [
        (b'{"id": 0, "items": [{"sku": "a"}]}', "body_invalid", 'The body at /id fails "minimum".'),
        (b'{"id": 1, "items": [{"sku": "a"}, {"sku": 7}]}', "body_invalid", 'The body at /items/1/sku fails "type".'),
        (b'{"id": 1, "items": [{}]}', "body_invalid", 'The body at /items/0 fails "required" of "sku".'),
        (b'{"id": 1, "items": [{"sku": ""}], "a/b": 1}', "body_invalid", 'The body at /a~1b fails "additionalProperties".'),
        (b"[]", "body_invalid", 'The body fails "type".'),
        (b"{", "body_malformed", "The body is not JSON at byte 2: a name is missing."),
        (b"{} {}", "body_malformed", "The body is not JSON at byte 4: something follows."),
        (b'{"id": 1, "id": 1}', "body_malformed", "The body is not JSON at byte 15: a name comes twice."),
        (b'{"id": 01}', "body_malformed", "The body is not JSON at byte 8: a number is malformed."),
        (b'"\xff"', "body_malformed", "The body is not JSON at byte 2: a text is not UTF-8."),
        (b"\xef\xbb\xbf{}", "body_malformed", "The body is not JSON at byte 1: there is no value."),
        (b'{"\\ud800": 1}', "body_malformed", None),
        (b"[" * 65 + b"]" * 65, "body_too_complex", None),
        (b"[" * 200_000, "body_too_complex", None),
        (b'{"id": 1, "items": [{"sku": "a"}], "note": "' + b"a" * 40 + b'!"}', "body_too_complex", None),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_bodies_never_reach_it(origin, by_schema, body, reason, words):
    gw = by_schema()
    client = gw.connect()
    reply = client.post("/", body, JSON)
    assert refusal(reply) == (400, reason)
    if words:
        assert detail(reply) == words
    assert reply.header("Content-Type") == "application/problem+json"
    assert origin.untouched and not origin.connections
    assert gw.post("/", GOOD, JSON).status == 200


def test_values_are_never_told(origin, by_schema):
    gw = by_schema()
    reply = gw.post("/", b'{"id": "hunter2", "items": [{"sku": 1}]}', JSON)
    why = gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}").text
    assert b"hunter2" not in reply.body and "hunter2" not in why and origin.untouched


def test_numbers_of_any_size(origin, by_schema):
    gw = by_schema({"properties": {"n": {"minimum": 10, "multipleOf": 3}}})
    for text, is_good in [("3e400", True), ("1e400", False), ("9" * 5000, True), ("-1e999999999999", False), ("12.000", True)]:
        assert gw.post("/", b'{"n": %b}' % text.encode(), JSON).status == (200 if is_good else 400)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH"])
def test_a_missing_body(origin, by_schema, method):
    gw = by_schema()
    for head in ("", "Content-Length: 0\r\n", "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n"):
        client = gw.send(f"{method} / HTTP/1.1\r\nHost: a\r\n{head}\r\n" + ("0\r\n\r\n" if "chunked" in head else ""))
        assert refusal(client.reply(method)) == (400, "body_missing")
    assert origin.untouched


def test_methods_without_a_body(origin, by_schema):
    gw = by_schema()
    assert gw.get("/").status == 200 and len(origin.requests) == 1
    reply = gw.connect().request("GET", "/", JSON, b"{}").reply()
    assert refusal(reply) == (400, "body_invalid")
    reply = gw.connect().request("DELETE", "/", JSON, GOOD).reply()
    assert reply.status == 200 and origin.requests[1].body == GOOD


@pytest.mark.parametrize("types", [[], ["text/plain"], ["application/json", "application/json"], ["application/jsonx"], [""],
                                   *[[f"application/json; a=b; Charset{c}"] for c in ("=utf-7", '= "UTF-16"', "=utf-8;charset=utf-7", "*=utf-7", "=utf-8x")]])
def test_other_media_types(origin, by_schema, types):
    reply = by_schema().post("/", GOOD, [("Content-Type", t) for t in types])
    assert refusal(reply) == (415, "media_type_unsupported") and reply.header("Accept") == "application/json"
    assert origin.untouched


def test_types_that_are_json(origin, by_schema):
    gw = by_schema()
    for name in ("application/json; charset=utf-8", "application/json;x=y ;charset=\"UTF-8\" ; z", "APPLICATION/JSON", "application/problem+json"):
        assert gw.post("/", GOOD, [("Content-Type", name)]).status == 200


@pytest.mark.parametrize("is_chunked", [False, True])
def test_large_bodies(origin, by_schema, is_chunked):
    gw = by_schema({"type": "array"}, max_body="64KiB")
    at_limit = b"[" + b" " * (64 * 1024 - 2) + b"]"
    for body, status in ((at_limit, 200), (at_limit + b" ", 413)):
        if is_chunked:
            client = gw.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.chunk(body)
            client.send(b"0\r\n\r\n")
            reply = client.reply("POST")
        else:
            reply = gw.post("/", body, JSON)
        assert reply.status == status
    assert reply.reason == "body_too_large" and len(origin.requests) == 1


def test_a_mebibyte(origin, by_schema):
    """More than any window or buffer, so credit is given while it is gathered."""
    gw = by_schema({"items": {"type": "string", "maxLength": 1000}})
    body = json.dumps(["x" * 1000] * 1000).encode()
    assert gw.post("/", body, JSON).status == 200 and origin.request.body == body
    with H2Client(("127.0.0.1", gw.port)) as client:
        assert client.request("POST", "/", JSON_H2, body).reply().status == 200
        assert origin.requests[1].body == body
        assert client.request("POST", "/", JSON_H2, body[:-1] + b", 1]").reply().status == 400
    assert len(origin.requests) == 2


def test_http2(origin, by_schema):
    gw = by_schema()
    with H2Client(("127.0.0.1", gw.port)) as client:
        assert client.request("POST", "/", JSON_H2, GOOD).reply().status == 200
        reply = client.request("POST", "/", JSON_H2, b"[]").reply()
        assert reply.status == 400 and reply.header("x-sluice-reason") == "body_invalid"
        assert client.request("POST", "/", JSON_H2, GOOD).reply().status == 200
    assert [r.body for r in origin.requests] == [GOOD, GOOD]


@pytest.mark.parametrize("is_good", [True, False])
def test_expect_continue(origin, by_schema, is_good):
    """The gateway asks for the body itself: the target is not asked before it is good."""
    body = GOOD if is_good else b"[]"
    client = by_schema().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n"
                              f"Content-Length: {len(body)}\r\n\r\n")
    assert client.head().status == 100 and origin.untouched
    client.send(body)
    reply = client.reply("POST")
    assert not reply.interims
    if is_good:
        assert reply.status == 200 and origin.request.body == body and not origin.request.has("Expect")
    else:
        assert refusal(reply) == (400, "body_invalid") and origin.untouched


def test_refusals_before_the_body_is_asked_for(origin, by_schema):
    client = by_schema(max_body="1KiB").send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                                             "Expect: 100-continue\r\nContent-Length: 2000\r\n\r\n")
    assert client.head().status == 413 and origin.untouched


def test_clients_that_go_away_while_it_is_gathered(origin, by_schema):
    gw = by_schema()
    for tail in (b"", b'{"id"'):
        client = gw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n" + tail)
        client.close()
    gw.logs(2, lambda r: r["status"] in (400, 499))
    assert origin.untouched and gw.post("/", GOOD, JSON).status == 200


def test_slow_bodies_end(origin, gateway, files):
    gw = gateway(origin, filters=[{"validate": {"schema": files("o.json", ORDER)}}], timeouts={"body_rate": "1KiB/s"})
    client = gw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{")
    assert refusal(client.reply("POST")) == (408, "body_timeout") and origin.untouched


def test_connections_are_kept(origin, by_schema):
    client = by_schema().connect()
    for _ in range(3):
        assert client.post("/", GOOD, JSON).status == 200
    reply = client.post("/", b"[]", JSON)
    assert reply.status == 400
    assert reply.closes or client.post("/", GOOD, JSON).status == 200


# --- with other filters


@pytest.mark.parametrize("coding", ["gzip", "br", "identity, gzip"])
def test_compressed_bodies_need_decompress(origin, by_schema, coding):
    reply = by_schema().post("/", gzip.compress(GOOD), [*JSON, ("Content-Encoding", coding)])
    assert refusal(reply) == (415, "content_coding_refused") and reply.header("Accept-Encoding") == "identity"
    assert origin.untouched


def test_decompressed_bodies(origin, by_schema):
    gw = by_schema(before=[{"decompress": {"ratio": "2000x"}}])
    fields = [*JSON, ("Content-Encoding", "gzip")]
    assert gw.post("/", gzip.compress(GOOD), fields).status == 200 and origin.request.body == GOOD
    assert refusal(gw.post("/", gzip.compress(b"[]"), fields)) == (400, "body_invalid")
    assert refusal(gw.post("/", gzip.compress(b" " * 3 * MIB), fields)) == (413, "body_too_large")
    assert gw.post("/", GOOD, [*JSON, ("Content-Encoding", "identity")]).status == 200
    assert len(origin.requests) == 2


def test_a_script_may_see_it_too(origin, by_schema, files):
    script = files("s.lua", "function on_body(request, body) return body .. ' ' end")
    gw = by_schema(after=[{"lua": {"script": script}}])
    assert gw.post("/", GOOD, JSON).status == 200 and origin.request.body == GOOD + b" "
    assert gw.post("/", b"[]", JSON).status == 400 and len(origin.requests) == 1


def test_refusals_can_be_read_by_pages(origin, by_schema):
    gw = by_schema(before=[{"cors": {"origins": ["https://a.example"]}}])
    reply = gw.post("/", b"[]", [*JSON, ("Origin", "https://a.example")])
    assert reply.status == 400 and reply.header("Access-Control-Allow-Origin") == "https://a.example"


def test_retries_have_the_whole_body(origins, gateway, files, faulties):
    """One that was gathered can be said again to another target."""
    good, dead = origins(), origins()
    dead.close()
    gw = gateway([dead, good], filters=[{"validate": {"schema": files("o.json", ORDER)}}],
                 service={"balance": "round_robin"})
    for _ in range(4):
        assert gw.post("/", GOOD, JSON).status == 200
    assert [r.body for r in good.requests] == [GOOD] * 4


@pytest.mark.parametrize("framing", ["Content-Length: 2\r\n\r\n[]", "Transfer-Encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n"])
def test_a_wish_for_another_protocol_is_no_way_around(origin, by_schema, framing):
    client = by_schema().send("POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n"
                              "Connection: upgrade\r\nUpgrade: other\r\n" + framing)
    assert client.reply("POST").status == 400 and origin.untouched


# --- on trial


def test_dry_run_only_counts(origin, by_schema):
    gw = by_schema(dry_run=True, max_body="1KiB")
    replies = [gw.post("/", body, JSON) for body in (GOOD, b"[]", b"{", b"[" + b" " * 2000 + b"]")]
    assert [r.status for r in replies] == [200] * 4
    assert [r.body for r in origin.requests] == [GOOD, b"[]", b"{", b"[" + b" " * 2000 + b"]"]
    assert gw.post("/", GOOD).status == 200 and gw.connect().request("POST", "/").reply("POST").status == 200
    gw.wait_metric("sluice_validate_dry_run_total", 5)


def test_dry_run_holds_nothing_back(origin, by_schema):
    gw = by_schema(dry_run=True)
    client = gw.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
    origin.wait_heads(1)
    client.chunk(b"[]" * 1000)
    client.send(b"0\r\n\r\n")
    assert client.reply("POST").status == 200 and origin.request.body == b"[]" * 1000
    gw.wait_metric("sluice_validate_dry_run_total", 1)


def test_why(origin, by_schema):
    gw = by_schema()
    reply = gw.post("/", b'{"id": 1, "items": [{}]}', JSON)
    why = gw.admin("GET", f"/api/v1/requests/{reply.header('X-Request-Id')}").json()
    filter_ = next(f for f in why["filters"] if f["name"] == "validate")
    assert why["reason"] == "body_invalid"
    assert {k: filter_[k] for k in ("verdict", "outcome", "why", "pointer", "keyword", "member")} == {
        "verdict": "refuse", "outcome": "refused", "why": "body_invalid", "pointer": "/items/0", "keyword": "required", "member": "sku"}
    gw.wait_metric("sluice_http_requests_refused_total", 1, reason="body_invalid")


# --- OpenAPI


@pytest.mark.parametrize(
    "method, target, fields, body, status, reason",
    [
        ("GET", "/v1/orders?limit=5", [], None, 200, None),
        ("HEAD", "/v1/orders?limit=5", [], None, 200, None),
        ("GET", "/v1/orders", [], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders?limit=101", [], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders?limit=5&limit=101", [], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders?limit=5", [("X-Tenant", "A")], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders?limit=5", [("X-Tenant", "a"), ("Cookie", "a=b; shop=1")], None, 200, None),
        ("GET", "/v1/orders?limit=5", [("Cookie", "shop=1"), ("Cookie", "shop=x")], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders/7", [], None, 200, None),
        ("GET", "/v1/orders/%37", [], None, 200, None),
        ("GET", "/v1/%6frders/7", [], None, 200, None),
        ("GET", "/v1//orders/./7", [], None, 200, None),
        ("GET", "/v1/x/../orders/y", [], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders/x", [], None, 400, "parameter_invalid"),
        ("GET", "/v1/orders/", [], None, 400, "path_unknown"),
        ("GET", "/orders?limit=5", [], None, 404, "path_unknown"),
        ("GET", "/v1/orders/7/8", [], None, 404, "path_unknown"),
        ("PUT", "/v1/orders", JSON, b"{}", 405, "operation_unknown"),
        ("POST", "/v1/orders", JSON, b'{"total": 5, "note": null}', 200, None),
        ("POST", "/v1/orders", JSON, b'{"total": 0}', 400, "body_invalid"),
        ("POST", "/v1/orders", JSON, b"{}", 400, "body_invalid"),
        ("POST", "/v1/orders", JSON, None, 400, "body_missing"),
        ("POST", "/v1/orders", [("Content-Type", "text/csv")], b"anything", 200, None),
        ("POST", "/v1/orders", [("Content-Type", "text/plain")], b"{}", 415, "media_type_unsupported"),
        ("PATCH", "/v1/orders/1", [("Content-Type", "application/merge-patch+json")], b"{}", 200, None),
        ("PATCH", "/v1/orders/1", [("Content-Type", "application/merge-patch+json")], b"[]", 400, "body_invalid"),
        ("PATCH", "/v1/orders/1", JSON, b"{}", 415, "media_type_unsupported"),
        ("PATCH", "/v1/orders/1", [], None, 200, None),
    ],
)
def test_requests_of_an_api(origin, by_api, method, target, fields, body, status, reason):
    reply = by_api().connect().request(method, target, fields, body).reply(method)
    if reason == "path_unknown":
        status = 404
    assert refusal(reply) == (status, reason)
    if status == 200:
        assert origin.request.body == (body or b"") and target.split("?")[0] == origin.request.path
    else:
        assert origin.untouched


def test_what_would_do_is_said(by_api):
    gw = by_api()
    assert gw.post("/v1/orders/7", b"{}", JSON).header("Allow") == "GET, HEAD, DELETE, PATCH"
    reply = gw.post("/v1/orders", b"{}", [("Content-Type", "a/b")])
    assert reply.header("Accept") == "application/json, text/csv"
    assert detail(gw.get("/v1/orders?limit=secret")) == 'The parameter "limit" in query fails "type".'
    assert detail(gw.get("/v1/orders")) == 'The parameter "limit" in query fails "required".'


def test_preflights_pass(origin, by_api):
    gw = by_api()
    fields = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT")]
    assert gw.connect().request("OPTIONS", "/v1/orders", fields).reply("OPTIONS").status == 200
    assert refusal(gw.connect().request("OPTIONS", "/v1/orders").reply("OPTIONS")) == (405, "operation_unknown")


def test_unknown_paths_may_pass(origin, by_api):
    gw = by_api(unknown_paths="pass", base_path="/shop")
    assert gw.get("/v1/orders").status == 200
    assert gw.get("/shop/orders").status == 400
    assert gw.post("/shop/orders", b"[]", JSON).status == 400
    assert gw.post("/shop/../shop/orders", b"[]", JSON).status == 400
    assert len(origin.requests) == 1


def test_an_api_on_trial(origin, by_api):
    gw = by_api(dry_run=True)
    assert [gw.get(t).status for t in ("/x", "/v1/orders", "/v1/orders?limit=1")] == [200] * 3
    assert gw.post("/v1/orders", b"[]", JSON).status == 200 and gw.post("/v1/orders/1", b"").status == 200
    gw.wait_metric("sluice_validate_dry_run_total", 4)
    assert len(origin.requests) == 5


def test_openapi_31_in_json(origin, by_api):
    document = {"openapi": "3.1.0", "info": {}, "paths": {"/a": {"post": {"requestBody": {"content": {"application/json": {
        "schema": {"type": ["object", "null"], "propertyNames": {"maxLength": 2}}}}}}}}}
    gw = by_api(document)
    for body, status in ((b"null", 200), (b'{"ab": 1}', 200), (b'{"abc": 1}', 400), (b"[]", 400)):
        assert gw.post("/a", body, JSON).status == status


def test_a_document_is_read_again_on_reload(by_api, files):
    gw = by_api()
    assert gw.get("/v1/new").status == 404
    files("api.yaml", API.replace("/orders:", "/new:"))
    gw.reload()
    until(lambda: gw.get("/v1/new?limit=1").status == 200, "the new path")


# --- configurations


@pytest.mark.parametrize(
    "name, text, words",
    [
        ("schema", '{\n  "type": "object",\n  "unevaluatedProperties": false\n}', "s:3:3: error: this keyword is not supported"),
        ("schema", '{"minimum": "x"}', "s:1:13: error: expected a number"),
        ("schema", '{"a": 1, "a": 2}', 's:1:10: error: key "a"'),
        ("schema", '{"pattern": "("}', "s:1:13: error: bad regular expression"),
        ("schema", '{"$ref": "x.json"}', "s:1:10: error: only references into this file are followed"),
        ("schema", '{"$ref": "#"}', "error: this schema refers to itself without an end"),
        ("schema", "{", "error:"),
        ("schema", None, "cannot read s: No such file"),
        ("openapi", "swagger: '2.0'", "s:1:1: error: expected a document with openapi: 3.0.x or 3.1.x"),
        ("openapi", "openapi: 3.0.0\npaths:\n  /a:\n    get: {parameters: [{name: a}]}", "s:4:24: error: a parameter is in path"),
    ],
)
def test_errors_of_files(gateway, files, name, text, words):
    gw = gateway(None, run=False, routes=[{"respond": {"body": "x"}, "filters": [{"validate": {name: "s"}}]}])
    if text is not None:
        (gw.home / "s").write_text(text)
    done = gw.cli("check", str(gw.file))
    assert done.code == 2 and words in done.err, done


@pytest.mark.parametrize(
    "options, words",
    [
        ({}, "expected one of schema and openapi"),
        ({"schema": "a", "openapi": "b"}, "expected one of schema and openapi"),
        ({"schema": "a", "base_path": "/x"}, "base_path goes with openapi"),
        ({"openapi": "a", "base_path": "x"}, "a path begins with a slash"),
        ({"schema": "."}, "it is not a regular file"),
        ({"schema": "a", "max_body": "17MiB"}, "max_body"),
    ],
)
def test_errors_of_options(gateway, options, words):
    gw = gateway(None, run=False, routes=[{"respond": {"body": "x"}, "filters": [{"validate": options}]}])
    done = gw.cli("check", str(gw.file))
    assert done.code == 2 and words in done.err, done


# --- schemas and values at random, against the reference of Debian

NAMES = ["a", "b", "c", "long name", "ä"]
SCALARS = [None, True, False, 0, 1, -1, 2, 7, 10, 1.5, -0.5, 1e30, "", "a", "ab", "abc", "ä", "\U0001f600x", "12"]


def make_value(pick, depth):
    kind = pick.random()
    if depth == 0 or kind < 0.5:
        return pick.choice(SCALARS)
    if kind < 0.75:
        return [make_value(pick, depth - 1) for _ in range(pick.randint(0, 4))]
    return {name: make_value(pick, depth - 1) for name in pick.sample(NAMES, pick.randint(0, 4))}


def make_schema(pick, depth):
    if pick.random() < 0.05:
        return pick.random() < 0.7
    types = ["null", "boolean", "number", "integer", "string", "array", "object"]

    def below():
        return make_schema(pick, depth - 1)

    def number():
        return pick.choice([0, 1, 2, 1.5, -1, 10])

    simple = {
        "type": lambda: pick.choice([pick.choice(types), pick.sample(types, 3)]),
        "enum": lambda: [v for v in (make_value(pick, 1) for _ in range(4)) if not isinstance(v, (bool, list, dict))] or ["a"],
        "minimum": number, "maximum": number, "exclusiveMinimum": number, "exclusiveMaximum": number,
        "multipleOf": lambda: pick.choice([1, 2, 0.5]),
        "minLength": lambda: pick.randint(0, 3), "maxLength": lambda: pick.randint(0, 3),
        "pattern": lambda: pick.choice(["a", "^a", "b$", "^[a-c]+$", "^.{2}$"]),
        "minItems": lambda: pick.randint(0, 2), "maxItems": lambda: pick.randint(0, 3),
        "minProperties": lambda: pick.randint(0, 2), "maxProperties": lambda: pick.randint(0, 3),
        "required": lambda: pick.sample(NAMES, pick.randint(0, 2)),
        "dependentRequired": lambda: {pick.choice(NAMES): pick.sample(NAMES, 1)},
        "$ref": lambda: "#/$defs/" + pick.choice("xy"),
    }
    deep = {
        "properties": lambda: {name: below() for name in pick.sample(NAMES, 2)},
        "patternProperties": lambda: {pick.choice(["^a", "b", "."]): below()},
        "additionalProperties": below, "items": below, "contains": below, "not": below, "if": below, "then": below, "else": below,
        "propertyNames": lambda: {"maxLength": pick.randint(0, 3)},
        "prefixItems": lambda: [below() for _ in range(2)],
        "allOf": lambda: [below() for _ in range(2)], "anyOf": lambda: [below() for _ in range(2)],
        "oneOf": lambda: [below() for _ in range(2)],
        "dependentSchemas": lambda: {pick.choice(NAMES): below()},
    }
    table = {**simple, **(deep if depth else {})}
    schema = {key: table[key]() for key in pick.sample(sorted(table), pick.randint(1, 3))}
    return schema


def make_root(pick):
    schema = make_schema(pick, 3)
    root = schema if isinstance(schema, dict) else {"not": {}} if not schema else {}
    leaf = {"x": {"type": ["string", "integer"]}, "y": {"items": {"$ref": "#/$defs/y"}, "maxItems": 2}}
    return {**root, "$defs": leaf}


@pytest.mark.parametrize("seed", range(4))
def test_against_the_reference(origin, gateway, files, seed):
    """As many schemas as routes of one gateway; each value gets the verdict that python3-jsonschema has."""
    pick = random.Random(seed)
    schemas = [make_root(pick) for _ in range(10 if IS_SANITIZED else 40)]
    routes = [{"paths": [f"/{i}"], "respond": {"body": "ok"}, "filters": [{"validate": {"schema": files(f"{i}.json", schema)}}]}
              for i, schema in enumerate(schemas)]
    gw = gateway(None, routes=routes)
    client = gw.connect()
    seen = {200: 0, 400: 0}
    for i, schema in enumerate(schemas):
        reference = jsonschema.Draft202012Validator(schema)
        for _ in range(30):
            value = make_value(pick, 3)
            reply = client.post(f"/{i}", json.dumps(value).encode(), JSON)
            expected = 200 if reference.is_valid(value) else 400
            assert reply.status == expected, (schema, value, reply)
            seen[reply.status] += 1
            if reply.closes:
                client = gw.connect()
    assert min(seen.values()) > 50, seen
