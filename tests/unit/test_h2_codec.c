/* SPDX-License-Identifier: Apache-2.0
 *
 * Messages over the HTTP/2 codec between a client's and a server's wire, whole and byte by byte:
 * heads, bodies with back-pressure, trailers, interim answers, tunnels.
 */
#include "http/h2_impl.h"
#include "test_h2_talk.h"

enum { BIG = 3 * 1024 * 1024, PIECE = 48 * 1024 };

static void with(struct talk *talk, struct head *head, const char *name, const char *value)
{
    assert_int_equal(head_add(head, &talk->arena, (struct str){name, strlen(name)},
                              (struct str){value, strlen(value)}),
                     OK);
    head->headers[head->count - 1].reserved = H1_AS_READ; // sent as it stands
}

static void send_request(struct rig *rig, struct talk *talk, struct head *head, bool last)
{
    assert_int_equal(h2_codec.begin(rig->client.wire, &talk->stream), OK);
    assert_int_equal(h2_codec.head(&talk->stream, head, last), OK);
    pump(rig);
}

static void finish(struct rig *rig)
{
    while (rig->server.talks)
        let_go(rig->server.talks);
    while (rig->client.talks)
        let_go(rig->client.talks);
    pump(rig);
    assert_int_equal(rig->client.wire->streams, 0);
    assert_int_equal(rig->server.wire->streams, 0);
    assert_true(rig->client.wire->is_idle && rig->server.wire->is_idle);
    assert_false(rig->client.wire->wants_close || rig->server.wire->wants_close);
    rig_close(rig);
}

/* --- heads */

static void a_request_arrives_as_it_was_asked(void **state)
{
    (void)state;
    for (size_t step = 0; step < 2; step++) {
        struct rig rig;
        struct talk *talk;
        struct head *head;

        rig_open(&rig, step);
        talk = new_talk(&rig.client);
        head = request(talk, "PATCH", "/a/b");
        head->query = STR("c=d");
        head->scheme = STR("https");
        head->authority = STR("Example.com:8443");
        head->content_length = 3;
        with(talk, head, "X-Mixed-Case", "Value");
        with(talk, head, "Connection", "close");
        with(talk, head, "Keep-Alive", "3");
        with(talk, head, "Transfer-Encoding", "chunked");
        with(talk, head, "Host", "other");
        with(talk, head, "Expect", "100-continue");
        with(talk, head, "Empty", "");
        send_request(&rig, talk, head, false);
        assert_log(&rig.server, "1:PATCH /a/b;");
        head = rig.server.talks->head;
        assert_memory_equal(head->query.p, "c=d", 3);
        assert_memory_equal(head->authority.p, "Example.com:8443", 16);
        assert_int_equal(head->content_length, 3);
        assert_int_equal(head->method, METHOD_PATCH);
        assert_int_equal(head->minor, HEAD_HTTP2);
        assert_true(head->expects_continue);
        assert_string_equal(field_of(rig.server.talks, "x-mixed-case"), "Value");
        assert_non_null(head_value_name(head, STR("empty")).p);
        assert_int_equal(head->count, 4);
        assert_false(rig.server.talks->stream.received);
        assert_int_equal(say(talk, 3, true), OK);
        pump(&rig);
        assert_log(&rig.server, "1[3.");
        assert_true(rig.server.talks->stream.received && talk->stream.sent);
        assert_int_equal(answer(rig.server.talks, 201, true), OK);
        pump(&rig);
        assert_log(&rig.client, "1:201.");
        finish(&rig);
    }
}

static void crumbs_of_cookies_are_joined(void **state)
{
    struct rig rig;
    struct talk *talk;
    struct head *head;

    (void)state;
    rig_open(&rig, 0);
    talk = new_talk(&rig.client);
    head = request(talk, "GET", "/");
    with(talk, head, "cookie", "a=1");
    with(talk, head, "x", "y");
    with(talk, head, "cookie", "b=2");
    with(talk, head, "cookie", "c=3");
    send_request(&rig, talk, head, true);
    assert_string_equal(field_of(rig.server.talks, "cookie"), "a=1; b=2; c=3");
    assert_int_equal(rig.server.talks->head->count, 2);
    finish(&rig);
}

/* What is refused by the sink's answer, and what nghttp2 resets by itself. */
struct wrong {
    const char *path, *authority, *name, *value;
    unsigned times;
    const char *log; /* the server's */
};

static void wrong_requests_are_refused(void **state)
{
    static char long_path[300], long_value[5000];
    static const struct wrong list[] = {
        {.path = long_path, .log = "1!uri_too_long"},
        {.name = "a", .value = "", .times = 17, .log = "1!too_many_headers"},
        {.name = "a", .value = long_value, .log = "1!headers_too_large"},
        {.name = "a", .value = "b", .times = 16, .log = "1:GET /."},
        {.authority = "user@host", .log = "1!host_invalid"},
        {.authority = "a b", .log = "1X header_value_invalid"},
        {.authority = "", .log = "1X header_value_invalid"},
        {.path = "/a#b", .log = "1!target_invalid"},
        {.path = "a", .log = "1X header_value_invalid"},
        {.path = "*", .log = "1X header_value_invalid"},
        {.name = "expect", .value = "more", .log = "1!expectation_failed"},
        {.name = "x", .value = "a\nb", .log = "1X header_value_invalid"},
        {.name = "x", .value = " a", .log = "1X header_value_invalid"},
        {.name = "x y", .value = "a", .log = "1X header_value_invalid"},
    };

    (void)state;
    memset(long_path, '/', sizeof(long_path) - 1);
    memset(long_value, 'v', sizeof(long_value) - 1);
    for (unsigned i = 0; i < ARRAY_LEN(list); i++) {
        const struct wrong *wrong = &list[i];
        struct rig rig;
        struct talk *talk;
        struct head *head;

        rig_open(&rig, 0);
        talk = new_talk(&rig.client);
        head = request(talk, "GET", wrong->path ? wrong->path : "/");
        if (wrong->authority)
            head->authority = (struct str){wrong->authority, strlen(wrong->authority)};
        for (unsigned n = 0; wrong->name && n < (wrong->times ? wrong->times : 1); n++)
            with(talk, head, wrong->name, wrong->value);
        send_request(&rig, talk, head, true);
        if (strcmp(rig.server.log, wrong->log))
            fail_msg("%u: \"%s\" is not \"%s\"", i, rig.server.log, wrong->log);
        if (rig.server.talks)
            assert_int_equal(answer(rig.server.talks, 400, true), OK);
        pump(&rig);
        finish(&rig);
    }
}

/* A refused block leaves the compression's state whole for the next. */
static void the_next_request_is_read_after_a_refused_one(void **state)
{
    struct rig rig;
    struct talk *talk;
    struct head *head;

    (void)state;
    rig_open(&rig, 0);
    talk = new_talk(&rig.client);
    head = request(talk, "GET", "/");
    for (unsigned i = 0; i < 20; i++)
        with(talk, head, "x-many", "of them");
    send_request(&rig, talk, head, true);
    talk = new_talk(&rig.client);
    head = request(talk, "GET", "/next");
    with(talk, head, "x-many", "of them");
    send_request(&rig, talk, head, true);
    assert_log(&rig.server, "1!too_many_headers3:GET /next.");
    assert_string_equal(field_of(rig.server.talks, "x-many"), "of them");
    while (rig.server.talks) {
        assert_int_equal(answer(rig.server.talks, 400, true), OK);
        let_go(rig.server.talks);
    }
    pump(&rig);
    finish(&rig);
}

/* The arena of a stream is full at each point of its head. */
static void a_full_arena_is_a_refusal(void **state)
{
    (void)state;
    for (size_t limit = 1; limit < 12000; limit += 97) {
        struct rig rig;
        struct talk *talk;
        struct head *head;

        rig_open(&rig, 0);
        rig.server.arena_limit = limit;
        talk = new_talk(&rig.client);
        head = request(talk, "GET", "/");
        for (unsigned i = 0; i < 8; i++)
            with(talk, head, "cookie", "a-crumb-of-some-length=that-needs-room");
        send_request(&rig, talk, head, true);
        if (rig.server.talks && !rig.server.talks->head)
            h2_codec.reset(&rig.server.talks->stream, REASON_MEMORY_LIMIT);
        while (rig.server.talks && !rig.server.talks->stream.wire)
            drop(rig.server.talks);
        pump(&rig);
        finish(&rig);
    }
}

/* --- answers */

static void answers_without_body_have_none(void **state)
{
    static const struct {
        const char *method, *log;
        unsigned status;
    } list[] = {{"HEAD", "1:200;1[0.", 200},
                {"GET", "1:204;1[0.", 204},
                {"GET", "1:304;1[0.", 304},
                {"GET", "1:200;1[5.", 200}};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(list); i++) {
        struct rig rig;

        rig_open(&rig, 0);
        ask(&rig, list[i].method, "/", true);
        pump(&rig);
        assert_int_equal(answer(rig.server.talks, list[i].status, false), OK);
        assert_int_equal(say(rig.server.talks, 5, false), OK);
        assert_int_equal(say(rig.server.talks, 0, true), OK);
        pump(&rig);
        assert_log(&rig.client, list[i].log);
        finish(&rig);
    }
}

static void interim_answers_come_before_the_last(void **state)
{
    struct head interim = {.status = 100};
    struct rig rig;

    (void)state;
    rig_open(&rig, 1);
    ask(&rig, "POST", "/", false);
    assert_int_equal(h2_codec.interim(&rig.client.talks->stream, &interim), E_INVALID);
    pump(&rig);
    assert_int_equal(h2_codec.interim(&rig.server.talks->stream, &interim), OK);
    interim.status = 103;
    assert_int_equal(h2_codec.interim(&rig.server.talks->stream, &interim), OK);
    pump(&rig);
    assert_log(&rig.client, "1~1001~103");
    assert_int_equal(say(rig.client.talks, 10, true), OK);
    pump(&rig);
    assert_int_equal(answer(rig.server.talks, 200, true), OK);
    assert_int_equal(h2_codec.interim(&rig.server.talks->stream, &interim), E_INVALID);
    assert_int_equal(answer(rig.server.talks, 200, true), E_INVALID);
    pump(&rig);
    assert_log(&rig.client, "1:200.");
    finish(&rig);
}

static void trailers_arrive_both_ways(void **state)
{
    (void)state;
    for (size_t step = 0; step < 2; step++) {
        struct rig rig;
        struct talk *ends[2];

        rig_open(&rig, step);
        ends[0] = ask(&rig, "POST", "/", false);
        pump(&rig);
        ends[1] = rig.server.talks;
        assert_int_equal(answer(ends[1], 200, false), OK);
        for (unsigned i = 0; i < 2; i++) {
            struct head trailers;

            assert_int_equal(head_init(&trailers, &ends[i]->arena, 2), OK);
            with(ends[i], &trailers, "X-Sum", "1");
            with(ends[i], &trailers, "Connection", "x-sum");
            with(ends[i], &trailers, "Content-Length", "9");
            assert_int_equal(say(ends[i], 5, false), OK);
            assert_int_equal(h2_codec.trailers(&ends[i]->stream, &trailers), OK);
            assert_int_equal(h2_codec.trailers(&ends[i]->stream, &trailers), E_INVALID);
            assert_int_equal(say(ends[i], 5, true), E_INVALID);
        }
        pump(&rig);
        assert_log(&rig.server, "1:POST /;1[5 T x-sum.");
        assert_log(&rig.client, "1:200;1[5 T x-sum.");
        finish(&rig);
    }
}

/* A gRPC server wants to hear that trailers will pass. */
static void calls_say_that_they_take_trailers(void **state)
{
    struct rig rig;
    struct talk *talk;
    struct head *head;

    (void)state;
    rig_open(&rig, 0);
    talk = new_talk(&rig.client);
    head = request(talk, "POST", "/s/m");
    with(talk, head, "Content-Type", "application/grpc+proto");
    send_request(&rig, talk, head, false);
    assert_string_equal(field_of(rig.server.talks, "te"), "trailers");
    finish(&rig);
}

/* Larger than nghttp2 sends unless told: configurations allow heads of 256 KiB. */
static void large_heads_pass_both_ways(void **state)
{
    static char value[64 * 1024];
    struct rig rig;
    struct talk *talk;
    struct head *head, reply;

    (void)state;
    memset(value, 'v', 60000);
    rig_open_for(&rig, 0, 256 * 1024);
    talk = new_talk(&rig.client);
    head = request(talk, "GET", "/");
    for (unsigned i = 0; i < 3; i++)
        with(talk, head, "x-large", value);
    send_request(&rig, talk, head, true);
    assert_log(&rig.server, "1:GET /.");
    assert_int_equal(head_init(&reply, &rig.server.talks->arena, 4), OK);
    reply.status = 200;
    for (unsigned i = 0; i < 3; i++)
        with(rig.server.talks, &reply, "x-large", value);
    assert_int_equal(h2_codec.head(&rig.server.talks->stream, &reply, true), OK);
    pump(&rig);
    assert_log(&rig.client, "1:200.");
    assert_int_equal(strlen(field_of(talk, "x-large")), 60000);
    finish(&rig);
}

/* --- bodies */

static void large_bodies_pass_both_ways(void **state)
{
    struct rig rig;
    struct talk *talk, *other;

    (void)state;
    rig_open(&rig, 4000);
    talk = ask(&rig, "POST", "/", false);
    pump(&rig);
    other = rig.server.talks;
    assert_int_equal(answer(other, 200, false), OK);
    for (size_t said = 0; said < BIG; said += PIECE) {
        assert_int_equal(say(talk, PIECE, said + PIECE == BIG), OK);
        assert_int_equal(say(other, PIECE, said + PIECE == BIG), OK);
        pump(&rig);
    }
    assert_log(&rig.server, "1:POST /;1[3145728.");
    assert_log(&rig.client, "1:200;1[3145728.");
    finish(&rig);
}

/* A receiver that does not pay gets a window's worth; the rest waits, and goes on when it pays. */
static void unpaid_bytes_make_the_sender_wait(void **state)
{
    struct rig rig;
    struct talk *talk, *other;

    (void)state;
    rig_open(&rig, 0);
    rig.server.holds = true;
    talk = ask(&rig, "POST", "/", false);
    for (unsigned i = 0; i < 8; i++)
        assert_int_equal(say(talk, PIECE, i == 7), OK);
    pump(&rig);
    other = rig.server.talks;
    assert_int_equal(other->owed, H2_STREAM_WINDOW);
    assert_int_equal(h2_codec.backlog(&talk->stream), 8 * PIECE - H2_STREAM_WINDOW);
    assert_int_equal(rig.client.wire->queued, 8 * PIECE - H2_STREAM_WINDOW);
    assert_log(&rig.client, "");
    // another stream is not held up
    ask(&rig, "GET", "/b", true);
    pump(&rig);
    assert_log(&rig.server, "1:POST /;3:GET /b.");
    h2_codec.credit(&other->stream, other->owed);
    pump(&rig);
    assert_log(&rig.client, "1D");
    assert_log(&rig.server, "1[393216.");
    assert_int_equal(rig.client.wire->queued, 0);
    finish(&rig);
}

/* Credit that is never asked for twice, and none for streams that are gone. */
static void the_connections_window_survives_cut_uploads(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    rig.server.holds = true;
    for (unsigned i = 0; i < 12; i++) {
        struct talk *talk = ask(&rig, "POST", "/", false);

        assert_int_equal(say(talk, H2_STREAM_WINDOW, false), OK);
        pump(&rig);
        assert_int_equal(rig.server.talks->got, H2_STREAM_WINDOW);
        if (i % 2) {
            h2_codec.reset(&talk->stream, REASON_CLIENT_GONE);
            drop(talk);
        } else {
            let_go(rig.server.talks);
        }
        pump(&rig);
        assert_null(rig.server.talks);
        assert_null(rig.client.talks);
    }
    finish(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_request_arrives_as_it_was_asked),
        cmocka_unit_test(crumbs_of_cookies_are_joined),
        cmocka_unit_test(wrong_requests_are_refused),
        cmocka_unit_test(the_next_request_is_read_after_a_refused_one),
        cmocka_unit_test(a_full_arena_is_a_refusal),
        cmocka_unit_test(answers_without_body_have_none),
        cmocka_unit_test(interim_answers_come_before_the_last),
        cmocka_unit_test(trailers_arrive_both_ways),
        cmocka_unit_test(calls_say_that_they_take_trailers),
        cmocka_unit_test(large_heads_pass_both_ways),
        cmocka_unit_test(large_bodies_pass_both_ways),
        cmocka_unit_test(unpaid_bytes_make_the_sender_wait),
        cmocka_unit_test(the_connections_window_survives_cut_uploads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
