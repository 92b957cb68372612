/* SPDX-License-Identifier: Apache-2.0
 *
 * What the HTTP/2 codec does not put up with: floods, blocks that do not end or blow up, readers
 * that do not read; and what becomes of it without memory, with signs of life, and in tunnels.
 */
#include "http/h2_impl.h"
#include "test_h2_talk.h"

/* --- raw frames to the server */

enum { LEAST = 1024 }; /* bytes a reader must take between checks */

static void put_frame(struct rig *rig, unsigned type, unsigned flags, uint32_t stream,
                      struct str payload)
{
    char *frame = malloc(9 + payload.len);

    assert_non_null(frame);
    memcpy(frame,
           (const char[]){(char)(payload.len >> 16), (char)(payload.len >> 8), (char)payload.len,
                          (char)type, (char)flags, 0, 0, (char)(stream >> 8), (char)stream},
           9);
    if (payload.len)
        memcpy(frame + 9, payload.p, payload.len);
    feed(&rig->server, frame, 9 + payload.len);
    free(frame);
}

/* What an end says: the error code of its last GOAWAY; -1: there was none. */
static int goaway_of(struct end *end)
{
    size_t len, size;
    char *bytes = take_out(end, &len);
    int code = -1;

    for (size_t at = 0; at + 9 <= len; at += 9 + size) {
        const unsigned char *frame = (const unsigned char *)bytes + at;

        size = (size_t)frame[0] << 16 | (size_t)frame[1] << 8 | frame[2];
        if (frame[3] == NGHTTP2_GOAWAY)
            code = frame[9 + 7];
    }
    free(bytes);
    return code;
}

/* GET of http://a/, as a header block. */
#define GET "\x82\x86\x84\x41\1a"

/* --- floods (DESIGN 7) */

static void flood_pings(struct rig *rig, unsigned i)
{
    (void)i;
    put_frame(rig, NGHTTP2_PING, 0, 0, STR("12345678"));
}

static void flood_settings(struct rig *rig, unsigned i)
{
    (void)i;
    put_frame(rig, NGHTTP2_SETTINGS, 0, 0, STR(""));
}

static void flood_resets(struct rig *rig, unsigned i)
{
    put_frame(rig, NGHTTP2_HEADERS, 5, 1 + 2 * i, STR(GET));
    put_frame(rig, NGHTTP2_RST_STREAM, 0, 1 + 2 * i, STR("\0\0\0\x8"));
}

/* Makes us reset: a window of the stream grows too large. */
static void flood_made_resets(struct rig *rig, unsigned i)
{
    put_frame(rig, NGHTTP2_HEADERS, 5, 1 + 2 * i, STR(GET));
    put_frame(rig, NGHTTP2_WINDOW_UPDATE, 0, 1 + 2 * i, STR("\x7f\xff\xff\xff"));
}

static void flood_empty_data(struct rig *rig, unsigned i)
{
    if (!i)
        put_frame(rig, NGHTTP2_HEADERS, 4, 1, STR(GET));
    put_frame(rig, NGHTTP2_DATA, 0, 1, STR(""));
}

static void flood_windows(struct rig *rig, unsigned i)
{
    if (!i)
        put_frame(rig, NGHTTP2_HEADERS, 4, 1, STR(GET));
    put_frame(rig, NGHTTP2_WINDOW_UPDATE, 0, 1, STR("\0\0\0\1"));
}

static void flood_priorities(struct rig *rig, unsigned i)
{
    (void)i;
    put_frame(rig, NGHTTP2_PRIORITY, 0, 1, STR("\0\0\0\0\0"));
}

static void (*const floods[])(struct rig *, unsigned) = {flood_pings,      flood_settings,
                                                         flood_resets,     flood_made_resets,
                                                         flood_empty_data, flood_windows,
                                                         flood_priorities};

static void floods_end_the_connection(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(floods); i++) {
        struct rig rig;
        unsigned n = 0;
        size_t used;

        rig_open(&rig, 0);
        used = rig.server.budget.used;
        while (!rig.server.wire->wants_close && n < 10000) {
            size_t len;

            floods[i](&rig, n++);
            rig.server.log_len = 0;
            if (n % 16 || rig.server.wire->wants_close)
                continue;
            free(take_out(&rig.server, &len));
        }
        if (n <= 60 || n > H2_GRACE_MAX + 1)
            fail_msg("flood %u: %u frames", i, n);
        assert_int_equal(rig.server.wire->fault, REASON_TOO_MUCH_ABUSE);
        assert_int_equal(goaway_of(&rig.server), NGHTTP2_ENHANCE_YOUR_CALM);
        assert_true(rig.server.budget.used < used + 256 * 1024);
        feed(&rig.server, GET, 5); // whatever still comes is not looked at
        rig_close(&rig);
    }
}

/* Time gives the grace back: as much as that, again and again, is no flood. */
static void grace_comes_back(void **state)
{
    (void)state;
    for (unsigned i = 0; i < ARRAY_LEN(floods); i++) {
        struct rig rig;

        rig_open(&rig, 0);
        for (unsigned n = 0; n < 600; n++) {
            size_t len;

            floods[i](&rig, n);
            rig.server.log_len = 0;
            free(take_out(&rig.server, &len));
            if (n % 25 == 24)
                h2_codec.check(rig.server.wire, LEAST);
        }
        assert_int_equal(rig.server.wire->fault, REASON_NONE);
        assert_false(rig.server.wire->wants_close);
        rig_close(&rig);
    }
}

/* A few bytes that stand for very many: the refused rest of a block is read on, but not for ever.
 */
static void a_block_that_blows_up_ends_the_connection(void **state)
{
    static char block[16000];
    struct rig rig;
    size_t len = sizeof(GET) - 1;

    (void)state;
    rig_open(&rig, 0);
    memcpy(block, GET, len);
    memcpy(block + len, "\x40\1a\x7f\x81\x1e", 6); // a: 4,000 bytes, which go into the table
    memset(block + len + 6, 'v', 4000);
    len += 4006;
    memset(block + len, 0xbe, 1000); // and again
    put_frame(&rig, NGHTTP2_HEADERS, 5, 1, (struct str){block, len + 1000});
    assert_int_equal(rig.server.wire->fault, REASON_TOO_MUCH_ABUSE);
    assert_int_equal(goaway_of(&rig.server), NGHTTP2_ENHANCE_YOUR_CALM);
    rig_close(&rig);
}

/* The connection's owner sees it, and looks after its time. */
static void a_block_that_is_not_whole_is_told(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    put_frame(&rig, NGHTTP2_HEADERS, 1, 1, STR("\x82\x86"));
    assert_true(rig.server.wire->is_partial);
    put_frame(&rig, NGHTTP2_CONTINUATION, 4, 1, STR("\x84\x41\1a"));
    assert_false(rig.server.wire->is_partial);
    assert_log(&rig.server, "1:GET /.");
    put_frame(&rig, NGHTTP2_HEADERS, 1, 3, STR("\x82\x86"));
    assert_true(rig.server.wire->is_partial);
    h2_codec.refuse(rig.server.wire, REASON_HEADER_TIMEOUT);
    assert_true(rig.server.wire->wants_close);
    assert_int_equal(rig.server.wire->fault, REASON_HEADER_TIMEOUT);
    rig_close(&rig);
}

/* --- readers that stand still */

static void a_stream_that_nobody_reads_is_reset(void **state)
{
    struct rig rig;
    struct talk *slow;

    (void)state;
    rig_open(&rig, 0);
    rig.client.holds = true;
    ask(&rig, "GET", "/slow", true);
    pump(&rig);
    slow = rig.client.talks;
    assert_int_equal(answer(rig.server.talks, 200, false), OK);
    assert_int_equal(say(rig.server.talks, 4 * H2_STREAM_WINDOW, true), OK);
    for (unsigned i = 0; i < 5; i++) { // slow, but not still
        pump(&rig);
        h2_codec.check(rig.server.wire, LEAST);
        h2_codec.credit(&slow->stream, H2_STREAM_WINDOW / 2);
    }
    pump(&rig);
    assert_log(&rig.server, "1:GET /slow.");
    for (unsigned i = 0; i <= H2_STALLED_CHECKS; i++)
        h2_codec.check(rig.server.wire, LEAST);
    assert_log(&rig.server, "1X client_slow");
    pump(&rig);
    assert_log(&rig.client, "1:200;1X http_response_incomplete");
    assert_false(rig.server.wire->wants_close);
    assert_int_equal(rig.server.wire->queued, 0);
    rig_close(&rig);
}

/* --- streams at once */

static void streams_are_as_many_as_both_allow(void **state)
{
    struct rig rig;
    struct talk *talk;

    (void)state;
    rig_open(&rig, 0);
    rig.client.wire->streams_max = 3;
    for (unsigned i = 0; i < 3; i++) {
        assert_true(rig.client.wire->has_room);
        ask(&rig, "GET", "/", true);
    }
    assert_false(rig.client.wire->has_room);
    talk = new_talk(&rig.client);
    assert_int_equal(h2_codec.begin(rig.client.wire, &talk->stream), E_AGAIN);
    drop(talk);
    pump(&rig);
    assert_int_equal(rig.server.wire->streams, 3);
    assert_int_equal(answer(rig.server.talks, 200, true), OK);
    let_go(rig.server.talks);
    pump(&rig);
    assert_false(rig.client.wire->has_room); // until its user has let go
    let_go(rig.client.talks);
    assert_true(rig.client.wire->has_room);
    rig.client.wire->streams_max = 1000;
    while (rig.client.wire->has_room)
        ask(&rig, "GET", "/", true);
    assert_int_equal(rig.client.wire->streams, H2_STREAMS_MAX);
    pump(&rig);
    assert_int_equal(rig.server.wire->streams, H2_STREAMS_MAX);
    rig_close(&rig);
}

static void a_request_without_memory_is_refused(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    rig.server.refuses_open = true;
    ask(&rig, "POST", "/", false);
    assert_int_equal(say(rig.client.talks, 1000, false), OK);
    pump(&rig);
    assert_log(&rig.client, "1X refused_stream");
    rig.server.refuses_open = false;
    ask(&rig, "GET", "/", true);
    pump(&rig);
    assert_log(&rig.server, "3:GET /.");
    rig_close(&rig);
}

/* --- signs of life */

static void pings_are_counted_until_they_are_answered(void **state)
{
    struct rig rig;

    (void)state;
    rig_open(&rig, 0);
    h2_codec.ping(rig.client.wire);
    h2_codec.ping(rig.client.wire);
    assert_int_equal(rig.client.wire->unanswered_pings, 2);
    pump(&rig);
    assert_int_equal(rig.client.wire->unanswered_pings, 0);
    rig_close(&rig);
}

/* --- tunnels (RFC 8441) */

static void tunnels_are_handshakes_of_websockets(void **state)
{
    (void)state;
    for (size_t step = 0; step < 2; step++) {
        struct rig rig;
        struct talk *ours;
        struct head *head, reply = {.status = 101, .content_length = -1, .is_upgrade = true};
        char accept[WEBSOCKET_ACCEPT_SIZE];
        const char *key;

        rig_open(&rig, step);
        ours = new_talk(&rig.client);
        head = request(ours, "GET", "/ws");
        head->is_upgrade = true;
        assert_int_equal(head_add(head, &ours->arena, STR("Upgrade"), STR("websocket")), OK);
        assert_int_equal(head_add(head, &ours->arena, STR("Sec-WebSocket-Key"),
                                  STR("dGhlIHNhbXBsZSBub25jZQ==")),
                         OK);
        assert_int_equal(h2_codec.begin(rig.client.wire, &ours->stream), OK);
        assert_int_equal(h2_codec.head(&ours->stream, head, true), OK);
        pump(&rig);
        assert_log(&rig.server, "1:GET /ws.");
        assert_true(rig.server.talks->head->is_upgrade);
        assert_string_equal(field_of(rig.server.talks, "upgrade"), "websocket");
        key = field_of(rig.server.talks, "sec-websocket-key");
        assert_true(websocket_accept((struct str){key, strlen(key)}, accept));
        reply.present = 0;
        assert_int_equal(head_add(&reply, &rig.server.talks->arena, STR("Sec-WebSocket-Accept"),
                                  STR("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")),
                         OK);
        assert_int_equal(h2_codec.head(&rig.server.talks->stream, &reply, false),
                         E_INVALID); // of another key
        assert_int_equal(head_set(&reply, &rig.server.talks->arena, STR("Sec-WebSocket-Accept"),
                                  (struct str){accept, strlen(accept)}),
                         OK);
        assert_int_equal(h2_codec.head(&rig.server.talks->stream, &reply, false), OK);
        h2_codec.tunnel(&rig.server.talks->stream);
        assert_int_equal(say(rig.server.talks, 100, false), OK);
        pump(&rig);
        assert_log(&rig.client, "1:101;");
        assert_string_equal(field_of(ours, "sec-websocket-accept"), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        assert_int_equal(ours->got, 0); // not before it is a tunnel
        h2_codec.tunnel(&ours->stream);
        assert_int_equal(ours->got, 100);
        assert_int_equal(say(ours, 70000, true), OK);
        pump(&rig);
        assert_log(&rig.server, "1[70000.");
        assert_int_equal(say(rig.server.talks, 0, true), OK);
        pump(&rig);
        assert_log(&rig.client, "1[100.");
        let_go(ours);
        let_go(rig.server.talks);
        assert_int_equal(rig.server.wire->streams, 0);
        assert_int_equal(rig.client.wire->streams, 0);
        rig_close(&rig);
    }
}

/* --- without memory */

static bool is_there(const struct end *end, const struct talk *talk)
{
    const struct talk *at = end->talks;

    while (at && at != talk)
        at = at->next;
    return at && at->stream.wire;
}

static struct talk *find_silent(const struct end *end)
{
    struct talk *talk = end->talks;

    while (talk && (talk->said || !talk->stream.wire))
        talk = talk->next;
    return talk;
}

static void talk_a_lot(struct rig *rig)
{
    struct talk *talk;

    for (unsigned i = 0; i < 3; i++) {
        talk = new_talk(&rig->client);
        if (h2_codec.begin(rig->client.wire, &talk->stream)) {
            drop(talk);
            continue;
        }
        if (!h2_codec.head(&talk->stream, request(talk, "POST", "/"), false) &&
            !say(talk, 30000, false) && !say(talk, 30000, true))
            continue;
        if (!is_there(&rig->client, talk))
            continue;
        h2_codec.reset(&talk->stream, REASON_MEMORY_LIMIT);
        drop(talk);
    }
    pump(rig);
    while ((talk = find_silent(&rig->server)))
        if ((answer(talk, 200, false) || say(talk, 90000, true)) && is_there(&rig->server, talk)) {
            h2_codec.reset(&talk->stream, REASON_MEMORY_LIMIT);
            drop(talk);
        }
    pump(rig);
}

/* Each end in turn has so much and no more: streams or the wire end, and nothing is lost. */
static void memory_may_end_at_any_point(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        for (size_t extra = 0; extra < 400000; extra += extra < 20000 ? 500 : 15000) {
            struct rig rig;
            struct end *end;

            rig_open(&rig, 0);
            end = i ? &rig.client : &rig.server;
            end->budget.limit = end->budget.used + extra;
            talk_a_lot(&rig);
            rig_close(&rig);
        }
    }
    for (size_t limit = 1; limit < 40000; limit += 500) {
        struct end end = {.budget = {.limit = limit}};

        end.limits.header_bytes = 4096;
        if (end_open(&end, ROLE_SERVER) == OK) {
            end_close(&end);
            continue;
        }
        free(end.wire);
        slab_fini(&end.outqs);
        heap_fini(&end.heap);
        assert_int_equal(end.budget.used, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_end_the_connection),
        cmocka_unit_test(grace_comes_back),
        cmocka_unit_test(a_block_that_blows_up_ends_the_connection),
        cmocka_unit_test(a_block_that_is_not_whole_is_told),
        cmocka_unit_test(a_stream_that_nobody_reads_is_reset),
        cmocka_unit_test(streams_are_as_many_as_both_allow),
        cmocka_unit_test(a_request_without_memory_is_refused),
        cmocka_unit_test(pings_are_counted_until_they_are_answered),
        cmocka_unit_test(tunnels_are_handshakes_of_websockets),
        cmocka_unit_test(memory_may_end_at_any_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
