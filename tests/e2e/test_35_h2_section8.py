# SPDX-License-Identifier: Apache-2.0
"""RFC 9113 section 8: HTTP in frames. Malformed requests are refused and never reach the target."""

import pytest

from lib.h2frames import (
    DATA, END_STREAM, GOAWAY, HEADERS, PROTOCOL_ERROR, RST_STREAM, STREAM_CLOSED, literal, request_fields,
)

METHOD, SCHEME, PATH, AUTHORITY = (":method", "GET"), (":scheme", "http"), (":path", "/bad"), (":authority", "a")
WHOLE = [METHOD, SCHEME, PATH, AUTHORITY]


def head(path="/bad", method="GET", more=()):
    return request_fields(method, path, more=more)


def seen(door, path):
    """The one request that the target got for this path."""
    found = [r for r in door.origin.requests if r.path == path]
    assert len(found) == 1, found
    return found[0]


def refused(door, raw, fields):
    """Sends a header block that ends its stream; it must be refused, and the connection stay usable unless cut."""
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, literal(*fields))
    if client.expect_malformed(1) != "connection":
        client.expect_served("/served")
    door.check_unseen(before)


# -- 8.2.1 field validity

NAMES = {
    "upper case": b"X-Upper", "one upper case letter": b"x-uppeR", "empty": b"", "space": b"x a", "tab": b"x\ta",
    "colon at the end": b"x:", "colon within": b"x:a", "NUL": b"x\0a", "CR LF": b"x\r\na", "LF": b"x\na",
    "DEL": b"x\x7f", "above ASCII": b"x\xc3\xa4", "parenthesis": b"x(a)", "quote": b'x"', "slash": b"x/a",
    "equals": b"x=a",
}
VALUES = {
    "NUL": b"a\0b", "NUL at the start": b"\0a", "CR": b"a\rb", "LF": b"a\nb", "CR LF": b"a\r\nx-injected: 1",
    "LF at the end": b"a\n", "space at the start": b" a", "tab at the start": b"\ta", "space at the end": b"a ",
    "tab at the end": b"a\t", "only a space": b" ",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_a_field_name_with_a_forbidden_character_is_malformed(door, raw, name):
    refused(door, raw, [*WHOLE, (name, "1")])


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_a_field_value_with_a_forbidden_character_is_malformed(door, raw, value):
    refused(door, raw, [*WHOLE, ("x-value", value)])


@pytest.mark.parametrize("value", [b"", b"a b", b"a\tb", b"\xc3\xa4", b"\x80\xff", b"a" * 5000])
def test_values_that_are_allowed_arrive_unchanged(door, raw, value):
    path = f"/value-{len(value)}-{value[:2].hex()}"
    client = raw()
    client.raw_headers(1, literal(*head(path), ("x-value", value)))
    assert client.reply(1).status == 200
    assert seen(door, path).header("x-value").encode("latin-1") == value


# -- 8.2.2 connection-specific fields

CONNECTION = [
    ("connection", "close"), ("connection", "keep-alive"), ("connection", "x-y"), ("keep-alive", "timeout=5"),
    ("proxy-connection", "keep-alive"), ("transfer-encoding", "chunked"), ("transfer-encoding", "identity"),
    ("upgrade", "websocket"), ("upgrade", "h2c"), ("te", "gzip"), ("te", "trailers, deflate"), ("te", "trailers;q=0.5"),
]


@pytest.mark.parametrize("field", CONNECTION, ids=[f"{n} {v}" for n, v in CONNECTION])
def test_a_connection_specific_field_is_malformed(door, raw, field):
    refused(door, raw, [*WHOLE, field])


def test_transfer_encoding_beside_content_length_is_malformed(door, raw):
    before = len(door.origin.heads)
    client = raw()
    more = [("content-length", "3"), ("transfer-encoding", "chunked")]
    client.send_block(1, head(method="POST", more=more), 0)
    client.data(1, b"0\r\n\r\nGET /smuggled HTTP/1.1\r\n\r\n", True)
    client.expect_malformed(1)
    door.check_unseen(before)


def test_te_trailers_is_allowed(raw):
    assert raw().get("/served", [("te", "trailers")]).status == 200


# -- 8.2.3 cookies


@pytest.mark.parametrize("crumbs", [["a=1"], ["a=1", "b=2", "c=3"], ["a=1; b=2", "c=3"]])
def test_cookie_crumbs_are_joined_for_http1(door, raw, crumbs):
    path = f"/cookies-{len(crumbs)}-{len(crumbs[0])}"
    client = raw()
    assert client.get(path, [("x-before", "1"), *(("cookie", c) for c in crumbs), ("x-after", "2")]).status == 200
    assert seen(door, path).all("cookie") == ["; ".join(crumbs)]


def test_a_thousand_cookie_crumbs(door, raw):
    """As many as fit the limits arrive joined; else the request is refused as too large."""
    client = raw()
    stream = client.request("GET", "/crumbs", [("cookie", f"c{i}=x") for i in range(1000)])
    got = client.wait(client.of(stream, HEADERS, RST_STREAM), "an answer")
    if got.kind == HEADERS and got.field(":status") == "200":
        assert seen(door, "/crumbs").header("cookie").count("; ") == 999
    else:
        assert got.kind == RST_STREAM or got.field(":status") == "431", got


# -- 8.3 pseudo-headers

PSEUDO = {
    "no method": [SCHEME, PATH, AUTHORITY],
    "no scheme": [METHOD, PATH, AUTHORITY],
    "no path": [METHOD, SCHEME, AUTHORITY],
    "nothing": [],
    "no pseudo-headers": [("host", "a"), ("accept", "*/*")],
    "two methods": [METHOD, METHOD, SCHEME, PATH, AUTHORITY],
    "two different methods": [METHOD, (":method", "POST"), SCHEME, PATH, AUTHORITY],
    "two schemes": [METHOD, SCHEME, SCHEME, PATH, AUTHORITY],
    "two paths": [METHOD, SCHEME, PATH, (":path", "/other"), AUTHORITY],
    "two authorities": [*WHOLE, (":authority", "b")],
    "unknown pseudo-header": [*WHOLE, (":unknown", "1")],
    "status in a request": [*WHOLE, (":status", "200")],
    "upper case": [(":Method", "GET"), SCHEME, PATH, AUTHORITY],
    "bare colon": [*WHOLE, (":", "x")],
    "method after a field": [SCHEME, PATH, AUTHORITY, ("x-a", "1"), METHOD],
    "authority after a field": [METHOD, SCHEME, PATH, ("x-a", "1"), AUTHORITY],
    "again after a field": [*WHOLE, ("x-a", "1"), METHOD],
    "protocol without CONNECT": [*WHOLE, (":protocol", "websocket")],
}
METHODS = ["", "G T", "GET /", "G\0T", "G\r\nT", "GET\t", "(GET)", "get?"]
PATHS = ["", "bad", "http://a/bad", "*", "/a b", "/a\tb", "/a\0b", "/a\r\nb", "/a\nb", "/a\x7f", "/a#b",
         "/a HTTP/1.1\r\nx: y", "?a=b", "/\xe4"]
SCHEMES = ["", "ht tp", "http\0", "1http", "http:", "http://a/x?"]
AUTHORITIES = ["a b", "a\0", "a/b", "a\r\nx: y", "user@a", "user:pass@a", "a:port", "a:99999", "a,b", "a?b",
               "a#b", "[::1", "\xe4"]


@pytest.mark.parametrize("fields", PSEUDO.values(), ids=PSEUDO)
def test_wrong_pseudo_headers_are_malformed(door, raw, fields):
    refused(door, raw, fields)


@pytest.mark.parametrize("method", METHODS, ids=map(repr, METHODS))
def test_a_method_that_is_no_token_is_refused(door, raw, method):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, literal((":method", method), SCHEME, PATH, AUTHORITY))
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(1, HEADERS, RST_STREAM)(f), "a refusal")
    assert got.kind != HEADERS and got.code == PROTOCOL_ERROR or got.field(":status") in ("400", "501"), got
    door.check_unseen(before)


def test_an_unknown_method_is_not_implemented(door, raw):
    before = len(door.origin.heads)
    client = raw()
    assert client.reply(client.request("MADEUP", "/bad")).status == 501
    door.check_unseen(before)


@pytest.mark.parametrize("path", PATHS, ids=map(repr, PATHS))
def test_a_path_that_is_no_path_is_refused(door, raw, path):
    refused(door, raw, [METHOD, SCHEME, (":path", path), AUTHORITY])


@pytest.mark.parametrize("scheme", SCHEMES, ids=map(repr, SCHEMES))
def test_a_scheme_that_is_none_is_refused(door, raw, scheme):
    refused(door, raw, [METHOD, (":scheme", scheme), PATH, AUTHORITY])


@pytest.mark.parametrize("authority", AUTHORITIES, ids=map(repr, AUTHORITIES))
def test_an_authority_that_is_none_is_refused(door, raw, authority):
    refused(door, raw, [METHOD, SCHEME, PATH, (":authority", authority)])


def test_options_of_everything(door, raw):
    client = raw()
    stream = client.request("OPTIONS", "*")
    got = client.head(stream)
    assert got.field(":status") in ("200", "204", "404"), got  # an answer, of the target's or the gateway's own


# -- 8.3.1 :authority and Host


def test_the_authority_becomes_host(door, raw):
    client = raw()
    client.get("/authority", authority="shop.example:8080")
    assert seen(door, "/authority").header("host") == "shop.example:8080"


def test_host_alone_is_the_authority(door, raw):
    client = raw()
    client.raw_headers(1, literal(METHOD, SCHEME, (":path", "/host-alone"), ("host", "shop.example")))
    assert client.reply(1).status == 200
    assert seen(door, "/host-alone").header("host") == "shop.example"


def test_equal_host_and_authority_are_one(door, raw):
    client = raw()
    client.get("/host-equal", [("host", "example.com")])
    assert seen(door, "/host-equal").all("host") == ["example.com"]


def test_a_host_other_than_the_authority_never_wins(door, raw):
    before = len(door.origin.heads)
    client = raw()
    stream = client.request("GET", "/host-differs", [("host", "evil.example")])
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(stream, HEADERS, RST_STREAM)(f), "a reaction")
    if got.kind == HEADERS and got.field(":status") == "200":
        assert seen(door, "/host-differs").all("host") == ["example.com"]
        return
    assert got.kind == HEADERS and got.field(":status")[0] == "4" or got.code == PROTOCOL_ERROR, got
    door.check_unseen(before)


def test_two_hosts_are_refused(door, raw):
    refused(door, raw, [METHOD, SCHEME, PATH, ("host", "a"), ("host", "b")])


def test_neither_host_nor_authority_is_refused(door, raw):
    refused(door, raw, [METHOD, SCHEME, PATH])


def test_an_empty_authority_is_refused(door, raw):
    refused(door, raw, [METHOD, SCHEME, PATH, (":authority", "")])


# -- 8.1.1 Content-Length

LENGTHS = ["-1", "+3", "3 ", "0x3", "3,3", "3, 4", "", "99999999999999999999999", "3.0"]


@pytest.mark.parametrize("length", LENGTHS, ids=map(repr, LENGTHS))
def test_a_content_length_that_is_no_number_is_malformed(door, raw, length):
    before = len(door.origin.requests)
    client = raw()
    client.send_block(1, head(method="POST", more=[("content-length", length)]), 0)
    client.data(1, b"abc", True)
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(1, HEADERS, RST_STREAM)(f), "a reaction")
    if length == "3,3" and got.kind == HEADERS and got.field(":status") == "200":
        return  # equal values may be read as one (RFC 9110 8.6)
    assert got.kind == HEADERS and got.field(":status")[0] == "4" or got.code == PROTOCOL_ERROR, got
    assert not door.origin.requests[before:]


def test_two_content_lengths_are_malformed(door, raw):
    before = len(door.origin.requests)
    client = raw()
    client.send_block(1, head(method="POST", more=[("content-length", "3"), ("content-length", "4")]), 0)
    client.data(1, b"abc", True)
    client.expect_malformed(1)
    assert not door.origin.requests[before:]


@pytest.mark.parametrize(("length", "body"), [(5, b"abc"), (2, b"abc"), (0, b"abc"), (1, b"")])
@pytest.mark.parametrize("ending", ["data", "empty data", "trailers"])
def test_a_body_of_another_length_is_malformed(door, raw, length, body, ending):
    """The target may have got the beginning, but never takes it for a whole request."""
    client = raw()
    path = f"/length-{length}-{len(body)}-{ending.replace(' ', '-')}"
    client.send_block(1, head(path, "POST", [("content-length", str(length))]), 0)
    client.frame(DATA, END_STREAM if ending == "data" else 0, 1, body)
    if ending == "empty data":
        client.frame(DATA, END_STREAM, 1)
    elif ending == "trailers":
        client.send_block(1, [("x-trailer", "1")])
    if client.expect_malformed(1) != "connection":
        client.expect_served("/served")
    assert not [r for r in door.origin.requests if r.path == path]


def test_a_length_without_a_body_is_malformed(door, raw):
    refused(door, raw, head(method="POST", more=[("content-length", "5")]))


def test_the_right_length_arrives(door, raw):
    client = raw()
    client.send_block(1, head("/length-right", "POST", [("content-length", "6")]), 0)
    client.data(1, b"abc")
    client.data(1, b"def", True)
    assert client.reply(1).status == 200
    request = seen(door, "/length-right")
    assert (request.header("content-length"), request.body) == ("6", b"abcdef")


def test_a_length_of_nothing_arrives(door, raw):
    client = raw()
    client.send_block(1, head("/length-zero", "POST", [("content-length", "0")]))
    assert client.reply(1).status == 200
    assert seen(door, "/length-zero").body == b""


# -- 8.1 the sequence of frames


def test_data_before_headers_is_an_error(raw):
    client = raw()
    client.data(1, b"abc", True)
    client.expect_goaway(PROTOCOL_ERROR)


def test_a_second_header_block_without_end_is_malformed(door, raw):
    client = raw()
    client.send_block(1, head("/second-block", "POST"), 0)
    client.data(1, b"abc")
    client.send_block(1, [("x-trailer", "1")], 0)
    client.expect_malformed(1)
    assert not [r for r in door.origin.requests if r.path == "/second-block"]


def test_data_after_trailers_is_an_error(door, raw):
    door.open.clear()
    client = raw()
    client.send_block(1, head("/hold", "POST"), 0)
    client.data(1, b"abc")
    client.send_block(1, [("x-trailer", "1")])
    client.data(1, b"more", True)
    client.expect_reset(1, STREAM_CLOSED, PROTOCOL_ERROR)


TRAILERS = {
    "method": [(":method", "GET")], "path": [(":path", "/")], "status": [(":status", "200")],
    "after a field": [("x-a", "1"), (":path", "/")], "upper case": [("X-A", "1")],
    "connection": [("connection", "close")], "transfer-encoding": [("transfer-encoding", "chunked")],
    "CR LF": [("x-a", "1\r\nx-b: 2")], "NUL": [("x-a", "\0")],
    "colon": [("x:a", "1")],
}


@pytest.mark.parametrize("fields", TRAILERS.values(), ids=TRAILERS)
def test_wrong_trailers_are_malformed(door, raw, fields):
    client = raw()
    path = f"/trailers-{len(door.origin.heads)}"
    client.send_block(1, head(path, "POST"), 0)
    client.data(1, b"abc")
    client.raw_headers(1, literal(*fields))
    if client.expect_malformed(1) != "connection":
        client.expect_served("/served")
    assert not [r for r in door.origin.requests if r.path == path]


TWO = {"x-checksum": "42", "x-other": "b"}


def test_trailers_arrive_as_trailers(door, raw):
    client = raw()
    client.send_block(1, head("/trailers-good", "POST"), 0)
    client.data(1, b"abc")
    client.send_block(1, list(TWO.items()))
    assert client.reply(1).status == 200
    request = seen(door, "/trailers-good")
    assert request.body == b"abc" and {n.lower(): v for n, v in request.trailers} == TWO


@pytest.mark.parametrize("field", ["content-length", "host", "transfer-encoding", "te"])
def test_trailers_that_frame_or_route_do_not_become_headers(door, raw, field):
    client = raw()
    path = f"/trailer-{field}"
    client.send_block(1, head(path, "POST"), 0)
    client.data(1, b"abc")
    client.send_block(1, [(field, "3")])
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(1, HEADERS, RST_STREAM)(f), "a reaction")
    if got.kind == HEADERS and got.field(":status") == "200":
        assert not seen(door, path).trailer(field)


# -- 8.5 CONNECT

CONNECT = (":method", "CONNECT")
CONNECTS = {
    "scheme and path": [CONNECT, SCHEME, PATH, AUTHORITY],
    "path": [CONNECT, PATH, AUTHORITY],
    "scheme": [CONNECT, SCHEME, AUTHORITY],
    "no authority": [CONNECT],
    "protocol alone": [CONNECT, (":protocol", "websocket"), AUTHORITY],
    "protocol without path": [CONNECT, (":protocol", "websocket"), SCHEME, AUTHORITY],
    "protocol without scheme": [CONNECT, (":protocol", "websocket"), PATH, AUTHORITY],
    "two protocols": [CONNECT, (":protocol", "websocket"), (":protocol", "websocket"), SCHEME, PATH, AUTHORITY],
    "protocol after a field": [CONNECT, SCHEME, PATH, AUTHORITY, ("x-a", "1"), (":protocol", "websocket")],
}


@pytest.mark.parametrize("fields", CONNECTS.values(), ids=CONNECTS)
def test_a_malformed_connect_is_refused(door, raw, fields):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, literal(*fields), 4)
    client.expect_malformed(1)
    door.check_unseen(before)


def test_a_plain_connect_is_refused(door, raw):
    """A gateway is no forward proxy."""
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, literal(CONNECT, (":authority", "example.com:443")), 4)
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(1, HEADERS, RST_STREAM)(f), "a refusal")
    assert got.kind != HEADERS or got.field(":status")[0] in "45", got
    door.check_unseen(before)


def test_an_unknown_protocol_of_connect_is_refused(door, raw):
    before = len(door.origin.heads)
    client = raw()
    client.raw_headers(1, literal(CONNECT, (":protocol", "made-up"), SCHEME, PATH, AUTHORITY), 4)
    got = client.wait(lambda f: f.kind == GOAWAY or client.of(1, HEADERS, RST_STREAM)(f), "a refusal")
    assert got.kind != HEADERS or got.field(":status")[0] in "45", got
    door.check_unseen(before)


def test_the_connect_protocol_is_announced(raw):
    assert raw().peer.get(8) == 1  # RFC 8441 section 3
