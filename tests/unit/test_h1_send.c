/* SPDX-License-Identifier: Apache-2.0
 *
 * The HTTP/1.1 codec over its contract, writing: framing of both roles, what passes through and
 * what does not, and memory that runs out.
 */
#include "test_h1_wire.h"

struct framing {
    const char *request; /* what came in, after "METHOD / " */
    struct head head;
    bool last;
    const char *out; /* head, then the body "hey" where one is allowed */
    bool is_closing;
};

#define REQUEST_11 " / HTTP/1.1\r\n" H "\r\n"

static const struct framing responses[] = {
    {"GET" REQUEST_11,
     {.status = 200, .content_length = 3},
     false,
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhey",
     false},
    {"GET" REQUEST_11,
     {.status = 200, .content_length = -1},
     false,
     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhey\r\n0\r\n\r\n",
     false},
    {"GET" REQUEST_11,
     {.status = 404, .content_length = -1},
     true,
     "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
     false},
    {"HEAD" REQUEST_11,
     {.status = 200, .content_length = 9},
     false,
     "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
     false},
    {"HEAD" REQUEST_11,
     {.status = 200, .content_length = -1},
     true,
     "HTTP/1.1 200 OK\r\n\r\n",
     false},
    {"GET" REQUEST_11,
     {.status = 304, .content_length = 9},
     true,
     "HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n",
     false},
    {"GET" REQUEST_11,
     {.status = 204, .content_length = 0},
     false,
     "HTTP/1.1 204 No Content\r\n\r\n",
     false},
    {"GET" REQUEST_11,
     {.status = 205, .content_length = -1},
     false,
     "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n",
     false},
    {"GET" REQUEST_11,
     {.status = 299, .content_length = 0},
     true,
     "HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
     false},
    {"GET / HTTP/1.0\r\n\r\n",
     {.status = 200, .content_length = -1},
     false,
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhey",
     true},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     {.status = 200, .content_length = -1},
     false,
     "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhey",
     true},
    {"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
     {.status = 200, .content_length = 3},
     false,
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: keep-alive\r\n\r\nhey",
     false},
    {"GET / HTTP/1.1\r\n" H "Connection: close\r\n\r\n",
     {.status = 200, .content_length = 3},
     false,
     "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nhey",
     true},
    {"GET" REQUEST_11,
     {.status = 200, .content_length = 2},
     false,
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhe",
     true},
    {"GET" REQUEST_11,
     {.status = 200, .content_length = 4},
     false,
     "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nhey",
     true},
};

static void responses_are_framed(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(responses); i++) {
        struct rig rig;

        rig_init(&rig, ROLE_SERVER);
        feed(&rig, (struct str){responses[i].request, strlen(responses[i].request)});
        assert_int_equal(h1_codec.head(rig.stream, &responses[i].head, responses[i].last), OK);
        if (!responses[i].last)
            assert_int_equal(h1_codec.body(rig.stream, STR("hey"), true), OK);
        assert_true(rig.stream->sent);
        h1_codec.detach(rig.stream);
        assert_out(&rig, responses[i].out);
        assert_int_equal(rig.wire->wants_close, responses[i].is_closing);
        rig_fini(&rig);
    }
}

static void a_response_passes_through(void **state)
{
    static const char in[] = "HTTP/1.1 200 Fine\r\nA: 1\r\nConnection: x\r\nB:  2 \r\nC: 3\r\n"
                             "Keep-Alive: timeout=1\r\nContent-Length: 3\r\nD: 4\r\n\r\n";
    struct rig rig;
    struct head head;

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(h1_parse_response((struct str){in, sizeof(in) - 1}, &rig.limits, &rig.arena,
                                       &head),
                     REASON_NONE);
    assert_int_equal(head_add(&head, &rig.arena, STR("E"), STR("5")), OK);
    assert_int_equal(head_add(&head, &rig.arena, STR("Bad Name"), STR("x")), OK);
    assert_int_equal(head_add(&head, &rig.arena, STR("Split"), STR("x\r\nEvil: y")), OK);
    assert_int_equal(head_set(&head, &rig.arena, STR("C"), STR("33")), OK);
    rig.stream->close_after = true;
    assert_int_equal(h1_codec.head(rig.stream, &head, false), OK);
    assert_out(&rig, "HTTP/1.1 200 Fine\r\nA: 1\r\nB: 2\r\nC: 33\r\nD: 4\r\nE: 5\r\n"
                     "Content-Length: 3\r\nConnection: close\r\n\r\n");
    rig_fini(&rig);
}

static void requests_are_framed(void **state)
{
    static const struct {
        const char *in, *out;
        bool last;
    } cases[] = {
        {"GET /a?b HTTP/1.1\r\nA: 1\r\nHost: h\r\nTE: trailers\r\nB: 2\r\n\r\n",
         "GET /a?b HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n", true},
        {"GET http://x/? HTTP/1.1\r\nHost: h\r\n\r\n", "GET /? HTTP/1.1\r\nHost: x\r\n\r\n", true},
        {"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", "OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: h\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", true},
        {"DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n",
         "DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", true},
        {"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nhey",
         false},
        {"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n",
         "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhey\r\n0\r\n\r\n",
         false},
        {"GET / HTTP/1.1\r\nHost: h\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
         "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", true},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig;
        struct head head;

        rig_init(&rig, ROLE_CLIENT);
        assert_int_equal(h1_codec.begin(rig.wire, new_stream(&rig)), OK);
        assert_int_equal(h1_parse_request((struct str){cases[i].in, strlen(cases[i].in)},
                                          &rig.limits, &rig.arena, &head),
                         REASON_NONE);
        assert_int_equal(h1_codec.head(rig.stream, &head, cases[i].last), OK);
        if (!cases[i].last)
            assert_int_equal(h1_codec.body(rig.stream, STR("hey"), true), OK);
        assert_true(rig.stream->sent);
        assert_out(&rig, cases[i].out);
        rig_fini(&rig);
    }
}

static void no_target_splits_a_request(void **state)
{
    static const char *const paths[] = {"/a b", "/a\r\nX: y", "/\n", "/#", "/\xff"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
        struct head head = {.method = METHOD_GET, .method_name = STR("GET"), .content_length = -1};
        struct rig rig;

        rig_init(&rig, ROLE_CLIENT);
        assert_int_equal(h1_codec.begin(rig.wire, new_stream(&rig)), OK);
        head.path = (struct str){paths[i], strlen(paths[i])};
        head.authority = STR("a");
        assert_int_equal(h1_codec.head(rig.stream, &head, true), E_INVALID);
        head.path = STR("/");
        head.authority = (struct str){paths[i], strlen(paths[i])};
        assert_int_equal(h1_codec.head(rig.stream, &head, true), E_INVALID);
        assert_null(rig.wire->out);
        rig_fini(&rig);
    }
}

static void large_heads_and_bodies_are_whole(void **state)
{
    static char big[20000], want[60000];
    struct rig rig;
    struct head head = {.status = 200, .content_length = -1};
    int n;

    (void)state;
    memset(big, 'b', sizeof(big));
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(head_add(&head, &rig.arena, STR("A"), (struct str){big, 9000}), OK);
    assert_int_equal(head_add(&head, &rig.arena, STR("B"), (struct str){big, 5000}), OK);
    assert_int_equal(head_add(&head, &rig.arena, STR("C"), (struct str){big, 5000}), OK);
    assert_int_equal(h1_codec.head(rig.stream, &head, false), OK);
    assert_int_equal(h1_codec.body(rig.stream, (struct str){big, sizeof(big)}, true), OK);
    n = snprintf(want, sizeof(want),
                 "HTTP/1.1 200 OK\r\nA: %.9000s\r\nB: %.5000s\r\nC: %.5000s\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n4e20\r\n%.20000s\r\n0\r\n\r\n",
                 big, big, big, big);
    assert_in_range(n, 39000, sizeof(want) - 1);
    assert_int_equal(h1_codec.backlog(rig.stream), n);
    assert_out(&rig, want);
    h1_codec.wrote(rig.wire);
    assert_log(&rig, "H:GET /.D");
    h1_codec.wrote(rig.wire);
    assert_log(&rig, "H:GET /.D");
    rig_fini(&rig);
}

static void interim_heads_and_trailers_go_out(void **state)
{
    struct rig rig;
    struct head interim = {.status = 103, .content_length = -1};
    struct head head = {.status = 200, .content_length = -1};
    struct head trailers = {.content_length = -1};

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(head_add(&interim, &rig.arena, STR("Link"), STR("</a>")), OK);
    assert_int_equal(head_add(&trailers, &rig.arena, STR("X-Sum"), STR("1")), OK);
    assert_int_equal(head_add(&trailers, &rig.arena, STR("Content-Length"), STR("1")), OK);
    assert_int_equal(h1_codec.interim(rig.stream, &interim), OK);
    assert_int_equal(h1_codec.head(rig.stream, &head, false), OK);
    assert_int_equal(h1_codec.body(rig.stream, STR("x"), false), OK);
    assert_int_equal(h1_codec.body(rig.stream, STR(""), false), OK);
    assert_int_equal(h1_codec.trailers(rig.stream, &trailers), OK);
    assert_true(rig.stream->sent);
    assert_out(&rig, "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
                     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                     "1\r\nx\r\n0\r\nX-Sum: 1\r\n\r\n");
    rig_fini(&rig);

    rig_init(&rig, ROLE_SERVER);
    feed(&rig, STR("GET / HTTP/1.0\r\n\r\n"));
    assert_int_equal(h1_codec.interim(rig.stream, &interim), OK);
    assert_out(&rig, "");
    rig_fini(&rig);
}

static void a_wire_without_memory_says_so(void **state)
{
    struct budget budget = {.limit = 1};
    struct rig rig;
    struct head head = {.status = 200, .content_length = 0};

    (void)state;
    rig_init(&rig, ROLE_SERVER);
    rig.outqs.budget = &budget;
    feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n"));
    assert_int_equal(h1_codec.head(rig.stream, &head, true), E_NOMEM);
    assert_false(rig.stream->sent);
    rig_fini(&rig);
    rig_init(&rig, ROLE_SERVER);
    rig.outqs.budget = &budget;
    rig.refuses_open = true;
    assert_int_equal(feed(&rig, STR("GET / HTTP/1.1\r\n" H "\r\n")), E_CLOSED);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(responses_are_framed),
        cmocka_unit_test(a_response_passes_through),
        cmocka_unit_test(requests_are_framed),
        cmocka_unit_test(no_target_splits_a_request),
        cmocka_unit_test(large_heads_and_bodies_are_whole),
        cmocka_unit_test(interim_heads_and_trailers_go_out),
        cmocka_unit_test(a_wire_without_memory_says_so),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
