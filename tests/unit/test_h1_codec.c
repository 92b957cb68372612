/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/1.1 codec over its contract, reading: events written down as text, for both roles, at
 * every split of the input, and with sinks that end streams in the middle of a call.
 */
#include "test_h1_wire.h"

struct script {
    const char *in;
    const char *log;
    bool is_closing; /* the wire must not be used again */
    bool has_eof;
    const char *method; /* client role; NULL: GET */
};

static void run(enum role role, const struct script *script, size_t split, size_t step)
{
    struct rig rig;
    size_t len = strlen(script->in);

    rig_init(&rig, role);
    rig.answers = role == ROLE_SERVER;
    if (role == ROLE_CLIENT)
        begin(&rig, script->method ? script->method : "GET", false);
    for (size_t at = 0; at < len;) {
        size_t n = at < split ? split - at : step;

        n = n < len - at ? n : len - at;
        assert_int_equal(feed(&rig, (struct str){script->in + at, n}), OK);
        at += n;
    }
    if (script->has_eof)
        h1_codec.eof(rig.wire);
    if (strcmp(rig.log, script->log) != 0)
        fail_msg("\"%s\" split %zu: \"%s\" is not \"%s\"", script->in, split, rig.log, script->log);
    if (rig.stream && rig.stream->wire)
        h1_codec.detach(rig.stream);
    if (rig.wire->wants_close != script->is_closing)
        fail_msg("\"%s\" split %zu: wants_close %d", script->in, split, rig.wire->wants_close);
    assert_int_equal(rig.wire->unpaid, 0);
    rig_fini(&rig);
}

static void run_splits(enum role role, const struct script *scripts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(scripts[i].in);

        for (size_t split = 0; split <= len; split++)
            run(role, &scripts[i], split, len);
        run(role, &scripts[i], 0, 1);
    }
}

static void requests_read_the_same_at_every_split(void **state)
{
    static const struct script scripts[] = {
        {.in = "GET /a HTTP/1.1\r\n" H "\r\n", .log = "H:GET /a."},
        {.in = "\r\nGET /a HTTP/1.1\r\n" H "\r\n", .log = "H:GET /a."},
        {.in = "GET /a HTTP/1.1\r\n" H "\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\nHEAD /c HTTP/1.1\r\n" H
               "\r\n",
         .log = "H:GET /a.H:GET /b.H:HEAD /c."},
        {.in =
             "POST /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nhelloGET /b HTTP/1.1\r\n" H "\r\n",
         .log = "H:POST /a;[hello].H:GET /b."},
        {.in = "POST /a HTTP/1.1\r\n" H "Content-Length: 0\r\n\r\n", .log = "H:POST /a."},
        {.in = "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n"
               "0\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\n",
         .log = "H:PUT /a;[abcde].H:GET /b."},
        {.in = "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n"
               "X-Sum: 1\r\nContent-Length: 5\r\nHost: b\r\nX-Forwarded-User: me\r\n\r\n",
         .log = "H:PUT /a;[a]T:X-Sum"},
        {.in = "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n"
               "Content-Length: 5\r\n\r\n",
         .log = "H:PUT /a;[]."},
        {.in = "GET /a HTTP/1.1\r\n" H "Connection: close\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\n",
         .log = "H:GET /a.",
         .is_closing = true},
        {.in = "GET /a HTTP/1.0\r\n\r\n", .log = "H:GET /a.", .is_closing = true},
        {.in = "GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", .log = "H:GET /a."},
        {.in = "\r", .log = ""},
        {.in = "GET /a HTTP/1.1\r\n" H "\r\n\r", .log = "H:GET /a."},
    };

    (void)state;
    run_splits(ROLE_SERVER, scripts, ARRAY_LEN(scripts));
}

static void bad_requests_are_refused_at_every_split(void **state)
{
    static const struct script scripts[] = {
        {.in = "GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n" H "\r\n",
         .log = "!host_missing",
         .is_closing = true},
        {.in = "\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
         .log = "!request_line_invalid",
         .is_closing = true},
        {.in = "\x16\x03\x01", .log = "!request_line_invalid", .is_closing = true},
        {.in = "GET /a HTTP/1.1\nHost: a\n\n", .log = "!line_ending_invalid", .is_closing = true},
        {.in = "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n3\r\nabcd",
         .log = "H:PUT /a;[abc]!chunk_invalid",
         .is_closing = true},
        {.in = "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\nX : y\r\n\r\n",
         .log = "H:PUT /a;!trailer_invalid",
         .is_closing = true},
        {.in = "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n0\r\n\n",
         .log = "H:PUT /a;!trailer_invalid",
         .is_closing = true},
        {.in =
             "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         .log = "!uri_too_long",
         .is_closing = true},
        {.in = "PUT /a HTTP/1.1\r\n" H "Content-Length: 5\r\n\r\nabc",
         .log = "H:PUT /a;[abc]X:body_incomplete",
         .is_closing = true,
         .has_eof = true},
        {.in = "GET /a HT", .log = "", .is_closing = true, .has_eof = true},
        {.in = "GET /a HTTP/1.1\r\n" H "\r\n",
         .log = "H:GET /a.",
         .is_closing = true,
         .has_eof = true},
    };

    (void)state;
    run_splits(ROLE_SERVER, scripts, ARRAY_LEN(scripts));
}

static void answers_read_the_same_at_every_split(void **state)
{
    static const struct script scripts[] = {
        {.in = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", .log = "H:200 ;[hi]."},
        {.in = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi!",
         .log = "H:200 ;[hi].",
         .is_closing = true},
        {.in = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", .log = "H:200 ."},
        {.in = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", .log = "H:200 .", .method = "HEAD"},
        {.in = "HTTP/1.1 304 N\r\nContent-Length: 9\r\n\r\n", .log = "H:304 ."},
        {.in = "HTTP/1.1 204 N\r\n\r\n", .log = "H:204 ."},
        {.in = "HTTP/1.1 304 N\r\n\r\nHTTP/1.1 200 OK\r\n", .log = "H:304 .", .is_closing = true},
        {.in = "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx",
         .log = "H:200 .",
         .is_closing = true,
         .method = "HEAD"},
        {.in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\nHTTP/1.1 ",
         .log = "H:200 ;[x].",
         .is_closing = true},
        {.in = "HTTP/1.1 205 N\r\n\r\n", .log = "H:205 ."},
        {.in = "HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\nHTTP/1.1 200\r\n"
               "Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\nA: b\r\n\r\n",
         .log = "I:GoI:HintsH:200 ;[x]T:A"},
        {.in = "HTTP/1.1 200 OK\r\n\r\nto the end",
         .log = "H:200 ;[to the end].",
         .is_closing = true,
         .has_eof = true},
        {.in = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhi",
         .log = "H:200 ;[hi]X:http_response_incomplete",
         .is_closing = true,
         .has_eof = true},
        {.in = "HTTP/1.1 2", .log = "X:http_response_incomplete", .is_closing = true, .has_eof = 1},
        {.in = "", .log = "X:connection_terminated", .is_closing = true, .has_eof = true},
        {.in = "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
         .log = "X:http_protocol_error",
         .is_closing = true},
        {.in = "SSH-2.0", .log = "X:http_protocol_error", .is_closing = true},
        {.in = "HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n",
         .log = "X:http_upgrade_failed",
         .is_closing = true},
        {.in = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx",
         .log = "H:200 ;X:http_protocol_error",
         .is_closing = true},
        {.in = "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi",
         .log = "H:200 ;[hi].",
         .is_closing = true},
        {.in = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
         .log = "H:200 ;[hi].",
         .is_closing = true},
    };

    (void)state;
    run_splits(ROLE_CLIENT, scripts, ARRAY_LEN(scripts));
}

static void a_wire_is_used_again(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, ROLE_CLIENT);
    for (int i = 0; i < 3; i++) {
        begin(&rig, "GET", false);
        assert_int_equal(h1_codec.begin(rig.wire, rig.stream), E_AGAIN);
        feed(&rig, STR("HTTP/1.1 200 OK\r\nKeep-Alive: max=3, timeout=7\r\n"
                       "Content-Length: 1\r\n\r\nx"));
        assert_true(rig.stream->received && rig.stream->sent);
        h1_codec.detach(rig.stream);
        drop_stream(&rig);
        assert_true(rig.wire->is_idle && !rig.wire->wants_close);
        assert_int_equal(rig.wire->keep_alive_s, 7);
    }
    feed(&rig, STR("HTTP/1.1 408 Late\r\n\r\n"));
    assert_true(rig.wire->wants_close);
    assert_int_equal(h1_codec.begin(rig.wire, NULL), E_AGAIN);
    rig_fini(&rig);
}

static void bytes_before_the_request_are_no_answer(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, ROLE_CLIENT);
    assert_int_equal(h1_codec.begin(rig.wire, new_stream(&rig)), OK);
    feed(&rig, STR("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"));
    assert_log(&rig, "X:connection_terminated");
    assert_true(rig.wire->wants_close);
    rig_fini(&rig);
}

/* What waits for the rest of an empty line is a head that has begun: it eats nothing, and has its
 * time. */
static void a_lone_cr_is_a_part_of_a_head(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("\r"));
    assert_int_equal(rig.kept.len, 1);
    assert_true(rig.wire->is_partial && !rig.wire->is_idle);
    feed(&rig, STR("\nGET /a HTTP/1.1\r\n" H "\r\n"));
    assert_log(&rig, "H:GET /a.");
    assert_int_equal(rig.kept.len, 0);
    rig_fini(&rig);
}

static void too_many_interim_heads_break_the_stream(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, ROLE_CLIENT);
    begin(&rig, "GET", false);
    for (int i = 0; i < 16; i++)
        feed(&rig, STR("HTTP/1.1 102 P\r\n\r\n"));
    assert_non_null(rig.stream);
    feed(&rig, STR("HTTP/1.1 102 P\r\n\r\n"));
    assert_null(rig.stream);
    rig_fini(&rig);
}

static void oversized_heads_are_refused_before_they_are_whole(void **state)
{
    static char filler[2048];
    struct rig rig;

    (void)state;
    memset(filler, 'x', sizeof(filler));
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET / HTTP/1.1\r\nA: "));
    assert_true(rig.wire->is_partial && !rig.wire->is_idle);
    feed(&rig, (struct str){filler, sizeof(filler)});
    assert_log(&rig, "!headers_too_large");
    assert_int_equal(rig.kept.len, 0);
    assert_out(&rig, "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert_true(rig.wire->wants_close);
    rig_fini(&rig);

    rig_init(&rig, ROLE_CLIENT);
    begin(&rig, "GET", false);
    feed(&rig, STR("HTTP/1.1 200 OK\r\nA: "));
    feed(&rig, (struct str){filler, sizeof(filler)});
    assert_log(&rig, "X:http_response_header_size");
    rig_fini(&rig);
}

static void short_memory_is_answered(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    rig.refuses_open = true;
    feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_log(&rig, "");
    assert_true(rig.wire->wants_close);
    assert_out(&rig, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n"
                     "Connection: close\r\n\r\n");
    rig_fini(&rig);

    rig_init(&rig, ROLE_SERVER);
    rig.arena.limit = 64;
    feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_log(&rig, "!headers_too_large");
    rig_fini(&rig);
}

/* Every event at which a sink may pull the stream, or the wire, from under the codec. */
static void sinks_may_end_anything_anywhere(void **state)
{
    static const char *const requests[] = {
        "PUT /a HTTP/1.1\r\n" H "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n"
        "GET / HTTP/1.1\r\n" H "\r\n",
        "PUT /a HTTP/1.1\r\n" H "Content-Length: 2\r\n\r\nabGET / HTTP/1.1\r\n" H "\r\n",
        "BAD\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n",
    };
    static const char *const answers[] = {
        ("HTTP/1.1 100 G\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
         "1\r\na\r\n0\r\nX: y\r\n\r\n"),
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabcd",
        "HTTP/1.1 200 OK\r\n\r\nabcd",
    };

    (void)state;
    for (int round = 0; round < 12 * 6; round++) {
        char event = "HIBLTF"[round % 6];
        bool is_server = round / 6 % 2;
        const char *in = (is_server ? requests : answers)[round / 12 % 3];
        struct rig rig;

        rig_init(&rig, is_server ? ROLE_SERVER : ROLE_CLIENT);
        *(round < 36 ? &rig.detach_on : &rig.close_on) = event;
        if (!is_server)
            begin(&rig, "GET", false);
        for (size_t i = 0, len = strlen(in); i < len; i += 3)
            feed(&rig, (struct str){in + i, strnlen(in + i, 3)});
        h1_codec.eof(rig.wire);
        rig_fini(&rig);
    }
}

static void one_request_waits_for_another(void **state)
{
    struct rig rig;
    struct head head = {.status = 200, .content_length = 2};

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET /1 HTTP/1.1\r\n" H "\r\nGET /2 HTTP/1.1\r\n" H "\r\n"));
    assert_log(&rig, "H:GET /1.");
    assert_int_equal(rig.kept.len, strlen("GET /2 HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(h1_codec.head(rig.stream, &head, false), OK);
    assert_int_equal(h1_codec.head(rig.stream, &head, false), E_INVALID);
    assert_int_equal(h1_codec.body(rig.stream, STR("ok"), true), OK);
    assert_int_equal(h1_codec.body(rig.stream, STR("no"), true), E_INVALID);
    assert_out(&rig, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    h1_codec.detach(rig.stream);
    assert_int_equal(h1_codec.body(rig.stream, STR("no"), true), E_CLOSED);
    assert_true(rig.wire->is_idle);
    h1_codec.bye(rig.wire);
    assert_true(rig.wire->wants_close);
    feed(&rig, STR(""));
    assert_log(&rig, "H:GET /1.");
    rig_fini(&rig);
}

static void credit_is_counted(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("PUT / HTTP/1.1\r\n" H "Content-Length: 4\r\n\r\n"));
    rig.wire->unpaid = 10;
    h1_codec.credit(rig.stream, 4);
    assert_int_equal(rig.wire->unpaid, 6);
    h1_codec.credit(rig.stream, 100);
    assert_int_equal(rig.wire->unpaid, 0);
    rig_fini(&rig);
}

static void tunnels_carry_bytes_and_half_closes(void **state)
{
    struct rig rig;
    struct head head = {.status = 101, .content_length = -1};

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET /w HTTP/1.1\r\n" H "Connection: upgrade\r\nUpgrade: x\r\n\r\nearly"));
    assert_log(&rig, "H:GET /w.");
    assert_int_equal(rig.kept.len, 5);
    assert_int_equal(head_add(&head, &rig.arena, STR("Upgrade"), STR("x")), OK);
    assert_int_equal(h1_codec.head(rig.stream, &head, false), OK);
    assert_out(&rig, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n"
                     "Connection: upgrade\r\n\r\n");
    assert_false(rig.stream->sent);
    h1_codec.tunnel(rig.stream);
    feed(&rig, STR(" late"));
    assert_int_equal(h1_codec.body(rig.stream, STR("raw"), true), OK);
    assert_out(&rig, "raw");
    assert_false(rig.wire->wants_close);
    h1_codec.eof(rig.wire);
    assert_log(&rig, "H:GET /w.[early late].");
    assert_true(rig.stream->sent && rig.stream->received);
    h1_codec.detach(rig.stream);
    assert_true(rig.wire->wants_close);
    rig_fini(&rig);

    rig_init(&rig, ROLE_CLIENT);
    rig.tunnels = true;
    begin(&rig, "GET", true);
    feed(&rig, STR("HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nfirst"));
    assert_log(&rig, "H:101 ;[first");
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_read_the_same_at_every_split),
        cmocka_unit_test(bad_requests_are_refused_at_every_split),
        cmocka_unit_test(answers_read_the_same_at_every_split),
        cmocka_unit_test(a_wire_is_used_again),
        cmocka_unit_test(bytes_before_the_request_are_no_answer),
        cmocka_unit_test(a_lone_cr_is_a_part_of_a_head),
        cmocka_unit_test(too_many_interim_heads_break_the_stream),
        cmocka_unit_test(oversized_heads_are_refused_before_they_are_whole),
        cmocka_unit_test(short_memory_is_answered),
        cmocka_unit_test(sinks_may_end_anything_anywhere),
        cmocka_unit_test(one_request_waits_for_another),
        cmocka_unit_test(tunnels_carry_bytes_and_half_closes),
        cmocka_unit_test(credit_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
