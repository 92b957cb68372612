/* SPDX-License-Identifier: Apache-2.0
 *
 * How streams and wires of the HTTP/2 codec end: early answers, streams let go of and reset at each
 * stage, from inside and from outside of a sink's calls, wires that close under their sinks.
 */
#include "http/h2_impl.h"
#include "test_h2_talk.h"

enum { BIG = 300 * 1024 };

static struct head *with(struct talk *talk, struct head *head, const char *name, const char *value)
{
    assert_int_equal(head_add(head, &talk->arena, (struct str){name, strlen(name)},
                              (struct str){value, strlen(value)}),
                     OK);
    return head;
}

static struct talk *ask_tunnel(struct rig *rig)
{
    struct talk *talk = new_talk(&rig->client);
    struct head *head = request(talk, "GET", "/ws");

    head->method = METHOD_GET;
    head->is_upgrade = true;
    with(talk, head, "Upgrade", "websocket");
    assert_int_equal(h2_codec.begin(rig->client.wire, &talk->stream), OK);
    assert_int_equal(h2_codec.head(&talk->stream, head, true), OK);
    return talk;
}

/* --- answers before the request is whole (RFC 9113 8.1) */

/* A client is through with a stream when it has the answer. */
static void leave_when_received(struct talk *talk, char event)
{
    if (event != 'X' && talk->stream.received)
        let_go(talk);
}

static void answer_without_body(struct talk *talk, char event)
{
    if (event != 'H' && event != 'F')
        return;
    assert_int_equal(answer(talk, 204, true), OK);
    let_go(talk);
}

static void answer_with_body(struct talk *talk, char event)
{
    if (event != 'H' && event != 'F')
        return;
    assert_int_equal(answer(talk, 400, false), OK);
    assert_int_equal(say(talk, 5, true), OK);
    let_go(talk);
}

static void end_with_trailers(struct talk *talk)
{
    struct head trailers;

    assert_int_equal(head_init(&trailers, &talk->arena, 1), OK);
    assert_int_equal(h2_codec.trailers(&talk->stream, with(talk, &trailers, "Grpc-Status", "0")),
                     OK);
}

static void answer_with_trailers(struct talk *talk, char event)
{
    if (event != 'H')
        return;
    assert_int_equal(answer(talk, 200, false), OK);
    assert_int_equal(say(talk, 5, false), OK);
    end_with_trailers(talk);
    let_go(talk);
}

static void expect_early(void (*hook)(struct talk *, char), bool is_inside, const char *want)
{
    for (size_t step = 0; step < 2; step++) {
        struct rig rig;

        rig_open(&rig, step);
        rig.client.hook = leave_when_received;
        rig.server.hook = is_inside ? hook : NULL;
        ask(&rig, "POST", "/a", false);
        pump(&rig);
        assert_log(&rig.server, "1:POST /a;");
        if (!is_inside)
            hook(rig.server.talks, 'H');
        pump(&rig);
        assert_log(&rig.client, want);
        assert_int_equal(rig.server.wire->streams, 0);
        assert_int_equal(rig.client.wire->streams, 0);
        rig_close(&rig);
    }
}

static void early_answers_arrive_whole(void **state)
{
    (void)state;
    expect_early(answer_without_body, false, "1:204.");
    expect_early(answer_without_body, true, "1:204.");
    expect_early(answer_with_body, false, "1:400;1[5.");
    expect_early(answer_with_body, true, "1:400;1[5.");
    expect_early(answer_with_trailers, false, "1:200;1[5 T grpc-status.");
    expect_early(answer_with_trailers, true, "1:200;1[5 T grpc-status.");
}

/* Longer than the server takes. */
static struct talk *ask_too_much(struct rig *rig)
{
    static char path[300];
    struct talk *talk = new_talk(&rig->client);

    memset(path, '/', sizeof(path) - 1);
    assert_int_equal(h2_codec.begin(rig->client.wire, &talk->stream), OK);
    assert_int_equal(h2_codec.head(&talk->stream, request(talk, "GET", path), true), OK);
    return talk;
}

static void refusals_arrive_whole(void **state)
{
    (void)state;
    for (unsigned is_inside = 0; is_inside < 2; is_inside++) {
        struct rig rig;

        rig_open(&rig, 0);
        rig.server.hook = is_inside ? answer_with_body : NULL;
        ask_too_much(&rig);
        pump(&rig);
        assert_log(&rig.server, "1!uri_too_long");
        if (!is_inside) {
            // answered, and not let go of until later
            assert_int_equal(answer(rig.server.talks, 400, false), OK);
            assert_int_equal(say(rig.server.talks, 5, true), OK);
            pump(&rig);
            assert_log(&rig.server, "");
            let_go(rig.server.talks);
        }
        pump(&rig);
        assert_log(&rig.client, "1:400;1[5.");
        let_go(rig.client.talks);
        assert_int_equal(rig.server.wire->streams, 0);
        rig_close(&rig);
    }
}

/* --- tunnels */

static void accept_tunnel(struct talk *talk)
{
    const char *key = field_of(talk, "sec-websocket-key");
    char accept[WEBSOCKET_ACCEPT_SIZE];
    struct head head = {.status = 101, .content_length = -1, .is_upgrade = true};

    assert_true(websocket_accept((struct str){key, strlen(key)}, accept));
    with(talk, &head, "Sec-WebSocket-Accept", accept);
    assert_int_equal(h2_codec.head(&talk->stream, &head, false), OK);
    h2_codec.tunnel(&talk->stream);
}

/* What is in flight to a tunnel that is refused is given back to the connection: else a few of
 * them would close its window for good. */
static void early_bytes_of_refused_tunnels_are_paid(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    rig.client.hook = leave_when_received;
    for (unsigned i = 0; i < 8; i++) {
        struct talk *talk = ask_tunnel(&rig);

        assert_int_equal(say(talk, 200 * 1024, false), OK);
        pump(&rig);
        assert_int_equal(answer(rig.server.talks, 403, true), OK);
        let_go(rig.server.talks);
        pump(&rig);
        assert_null(rig.client.talks);
    }
    rig.client.hook = NULL;
    rig.server.log_len = 0;
    ask(&rig, "POST", "/a", false);
    assert_int_equal(say(rig.client.talks, BIG, true), OK);
    pump(&rig);
    assert_log(&rig.server, "17:POST /a;17[307200.");
    rig_close(&rig);
}

static void leave_at_body(struct talk *talk, char event)
{
    if (event == 'B')
        let_go(talk);
}

static void close_at_body(struct talk *talk, char event)
{
    if (event == 'B')
        h2_codec.close(talk->end->wire, REASON_DRAINING);
}

/* A tunnel that opens is given what came early; its sink may end it, or all, then and there. */
static void tunnels_end_in_their_first_bytes(void **state)
{
    void (*const hooks[])(struct talk *, char) = {leave_at_body, close_at_body};

    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(hooks); i++) {
        struct rig rig;
        struct talk *talk;

        rig_open(&rig, 0);
        talk = ask_tunnel(&rig);
        assert_int_equal(say(talk, 50000, false), OK);
        pump(&rig);
        rig.server.hook = hooks[i];
        talk = rig.server.talks;
        accept_tunnel(talk);
        pump(&rig);
        assert_null(rig.server.talks);
        rig_close(&rig);
    }
}

/* --- one stream's event ends another */

static struct talk *other_of(struct talk *talk)
{
    struct talk *other = talk->end->talks;

    while (other && (other == talk || !other->stream.wire))
        other = other->next;
    return other;
}

static void leave_others(struct talk *talk, char event)
{
    while ((event == 'D' || event == 'X') && other_of(talk))
        let_go(other_of(talk));
}

static void reset_others(struct talk *talk, char event)
{
    struct talk *other;

    while ((event == 'D' || event == 'X') && (other = other_of(talk))) {
        h2_codec.reset(&other->stream, REASON_INTERNAL_ERROR);
        drop(other);
    }
}

static void close_wire(struct talk *talk, char event)
{
    if (event == 'D' || event == 'X')
        h2_codec.close(talk->end->wire, REASON_DRAINING);
}

/* Three answers that wait for windows; all has been said of them when `is_last`. */
static void open_three(struct rig *rig, bool is_last)
{
    rig_open(rig, 0);
    rig->client.holds = true;
    for (unsigned i = 0; i < 3; i++) {
        ask(rig, "GET", "/a", true);
        pump(rig);
        assert_int_equal(answer(rig->server.talks, 200, false), OK);
        assert_int_equal(say(rig->server.talks, BIG, is_last), OK);
    }
    pump(rig);
    for (struct talk *talk = rig->server.talks; talk; talk = talk->next)
        assert_int_equal(h2_codec.backlog(&talk->stream), BIG - H2_STREAM_WINDOW);
}

static void (*const enders[])(struct talk *, char) = {leave_others, reset_others, close_wire};

static void a_drained_stream_ends_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_LEN(enders); i++) {
        struct rig rig;

        open_three(&rig, i % 2);
        rig.server.hook = enders[i / 2];
        for (struct talk *talk = rig.client.talks; talk; talk = talk->next)
            h2_codec.credit(&talk->stream, talk->owed);
        pump(&rig);
        rig_close(&rig);
    }
}

static void a_stalled_stream_ends_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2 * ARRAY_LEN(enders); i++) {
        struct rig rig;

        open_three(&rig, i % 2);
        rig.server.hook = enders[i / 2];
        for (unsigned n = 0; n < 4; n++)
            h2_codec.check(rig.server.wire, 1024);
        pump(&rig);
        rig_close(&rig);
    }
}

static void a_broken_wire_ends_others(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 3 * ARRAY_LEN(enders); i++) {
        struct rig rig;

        open_three(&rig, i % 2);
        rig.server.hook = enders[i / 3];
        if (i % 3 == 0)
            h2_codec.eof(rig.server.wire);
        else if (i % 3 == 1)
            h2_codec.refuse(rig.server.wire, REASON_HEADER_TIMEOUT);
        else
            feed(&rig.server, "\0\0\1\6\0\0\0\0\0x", 10); // a PING of one byte
        pump(&rig);
        rig_close(&rig);
    }
}

/* --- the wire closes, or the stream ends, inside any event */

static char when;
static bool closes;

static void end_here(struct talk *talk, char event)
{
    if (event != when)
        return;
    if (closes)
        h2_codec.close(talk->end->wire, REASON_DRAINING);
    else if (event != 'X')
        let_go(talk);
}

/* One of everything: interim and final heads, bodies and trailers both ways, a refusal, a reset. */
static void play(struct rig *rig)
{
    struct head interim = {.status = 103};
    struct talk *talk = ask(rig, "POST", "/a", false);

    (void)!say(talk, 1000, false);
    if (talk->stream.wire)
        end_with_trailers(talk);
    pump(rig);
    talk = rig->server.talks;
    if (talk && talk->stream.wire) {
        (void)!h2_codec.interim(&talk->stream, &interim);
        (void)!answer(talk, 200, false);
        (void)!say(talk, 1000, false);
        if (talk->stream.wire)
            end_with_trailers(talk);
    }
    pump(rig);
    if (!rig->client.wire->has_room)
        return;
    talk = ask_too_much(rig);
    pump(rig);
    if (talk == rig->client.talks && talk->stream.wire) {
        h2_codec.reset(&talk->stream, REASON_CLIENT_GONE);
        drop(talk);
    }
    pump(rig);
}

static void any_event_may_be_the_last(void **state)
{
    static const char events[] = "HIBLTFXD";

    (void)state;
    for (unsigned i = 0; i < 4 * (sizeof(events) - 1); i++) {
        struct rig rig;

        when = events[i / 4];
        closes = i % 2;
        rig_open(&rig, i % 3);
        (i % 4 < 2 ? &rig.client : &rig.server)->hook = end_here;
        play(&rig);
        rig_close(&rig);
    }
}

/* --- what the client's end is told */

/* A request that never left is one to send again, not a broken answer. */
static void a_goaway_before_the_request_left(void **state)
{
    struct rig rig;
    size_t len;
    char *bytes;

    (void)state;
    rig_open(&rig, 0);
    h2_codec.bye(rig.server.wire);
    h2_codec.bye(rig.server.wire);
    bytes = take_out(&rig.server, &len);
    ask(&rig, "GET", "/a", true);
    feed(&rig.client, bytes, len);
    free(bytes);
    assert_false(rig.client.wire->has_room);
    pump(&rig);
    assert_log(&rig.client, "1X refused_stream");
    assert_true(rig.client.wire->wants_close);
    rig_close(&rig);
}

static void a_goaway_refuses_what_is_past_it(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    ask(&rig, "GET", "/a", true);
    pump(&rig);
    h2_codec.bye(rig.server.wire);
    pump(&rig);
    assert_false(rig.client.wire->has_room);
    assert_int_equal(h2_codec.begin(rig.client.wire, &new_talk(&rig.client)->stream), E_AGAIN);
    drop(rig.client.talks);
    assert_int_equal(answer(rig.server.talks, 200, true), OK);
    let_go(rig.server.talks);
    h2_codec.bye(rig.server.wire);
    h2_codec.bye(rig.server.wire);
    pump(&rig);
    assert_log(&rig.client, "1:200.");
    assert_false(rig.client.wire->wants_close);
    let_go(rig.client.talks);
    pump(&rig);
    assert_true(rig.client.wire->wants_close);
    assert_true(rig.server.wire->wants_close);
    rig_close(&rig);
}

static void a_late_request_is_refused_by_the_goaway(void **state)
{
    struct rig rig;
    size_t len;
    char *bytes;

    (void)state;
    rig_open(&rig, 0);
    ask(&rig, "GET", "/a", true);
    pump(&rig);
    h2_codec.bye(rig.server.wire);
    h2_codec.bye(rig.server.wire);
    ask(&rig, "GET", "/b", true);
    bytes = take_out(&rig.client, &len);
    carry(&rig.server, &rig.client, 0); // the GOAWAY passes it on its way
    feed(&rig.server, bytes, len);
    free(bytes);
    pump(&rig);
    assert_log(&rig.client, "3X refused_stream");
    assert_log(&rig.server, "1:GET /a.");
    assert_false(rig.client.wire->wants_close);
    rig_close(&rig);
}

/* What is taken up before the GOAWAY is out must not be refused by it. */
static void a_goaway_names_the_last_stream_there_is(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    ask(&rig, "GET", "/a", true);
    pump(&rig);
    ask(&rig, "GET", "/b", true);
    h2_codec.bye(rig.server.wire);
    h2_codec.bye(rig.server.wire);
    pump(&rig);
    assert_log(&rig.client, "");
    assert_log(&rig.server, "1:GET /a.3:GET /b.");
    rig_close(&rig);
}

/* The numbers of streams come to an end (RFC 9113 5.1.1): another connection must be opened. */
static void stream_numbers_run_out(void **state)
{
    struct rig rig;
    struct talk *talk;

    (void)state;
    rig_open(&rig, 0);
    assert_int_equal(nghttp2_session_set_next_stream_id(h2_of(rig.client.wire)->session, INT32_MAX),
                     0);
    ask(&rig, "GET", "/a", true);
    talk = new_talk(&rig.client);
    assert_int_equal(h2_codec.begin(rig.client.wire, &talk->stream), E_AGAIN);
    drop(talk);
    assert_false(rig.client.wire->has_room);
    pump(&rig);
    assert_int_equal(answer(rig.server.talks, 200, true), OK);
    let_go(rig.server.talks);
    pump(&rig);
    assert_log(&rig.client, "2147483647:200.");
    let_go(rig.client.talks);
    assert_true(rig.client.wire->wants_close);
    rig_close(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(early_answers_arrive_whole),
        cmocka_unit_test(refusals_arrive_whole),
        cmocka_unit_test(early_bytes_of_refused_tunnels_are_paid),
        cmocka_unit_test(tunnels_end_in_their_first_bytes),
        cmocka_unit_test(a_drained_stream_ends_others),
        cmocka_unit_test(a_stalled_stream_ends_others),
        cmocka_unit_test(a_broken_wire_ends_others),
        cmocka_unit_test(any_event_may_be_the_last),
        cmocka_unit_test(a_goaway_before_the_request_left),
        cmocka_unit_test(a_goaway_refuses_what_is_past_it),
        cmocka_unit_test(a_late_request_is_refused_by_the_goaway),
        cmocka_unit_test(a_goaway_names_the_last_stream_there_is),
        cmocka_unit_test(stream_numbers_run_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
