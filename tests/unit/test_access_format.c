/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of access_format.c and access_ring.c: lines as they must be, and records that go round.
 */
#include "test_access_rig.h"

#include "edge/metric/access_format.h"

/* --- formats */

static char *format_one(const struct access_record *record, bool is_json)
{
    struct access_ring ring;
    struct access_format format = {0};
    assert_true(access_ring_init(&ring, NULL, 1));
    access_ring_put(&ring, record);
    const struct access_entry *entry = access_ring_first(&ring, access_ring_end(&ring));
    assert_non_null(entry);
    char *line = malloc(access_format_room(entry) + 1);
    char *end = is_json ? access_format_json(&format, entry, line)
                        : access_format_common(&format, entry, line);
    assert_true((size_t)(end - line) <= access_format_room(entry));
    *end = '\0';
    access_ring_next(&ring, entry);
    access_ring_fini(&ring);
    return line;
}

static void assert_line(const struct access_record *record, bool is_json, const char *expected)
{
    char *line = format_one(record, is_json);
    assert_string_equal(line, expected);
    free(line);
}

static void test_json_line(void **state)
{
    (void)state;
    struct access_record record = record_of(42);
    assert_line(&record, true,
                "{\"time\":\"2026-11-22T20:29:48.123Z\",\"id\":\"id1\",\"client\":\"192.0.2.1\","
                "\"method\":\"GET\",\"host\":\"a.example\",\"path\":\"/x\",\"route\":\"api\","
                "\"service\":\"shop\",\"target\":\"127.0.0.1:1\",\"status\":200,\"bytes_in\":0,"
                "\"bytes_out\":42,\"duration_ms\":1.234,\"answer_ms\":1.000,"
                "\"protocol\":\"HTTP/1.1\",\"generation\":7}\n");
}

static void test_json_line_with_everything(void **state)
{
    (void)state;
    struct access_record record = record_of(0);
    for (unsigned i = 0; i < ACCESS_PHASES; i++)
        record.phase_us[i] = i + 1;
    record.status = 502;
    record.reason = REASON_CONNECTION_REFUSED;
    record.attempts = 3;
    record.minor = 20;
    record.query = STR("");
    record.user_agent = STR("a \"b\"\n\xff");
    record.referer = STR("http://r/");
    assert_line(&record, true,
                "{\"time\":\"2026-11-22T20:29:48.123Z\",\"id\":\"id1\",\"client\":\"192.0.2.1\","
                "\"method\":\"GET\",\"host\":\"a.example\",\"path\":\"/x\",\"query\":\"\","
                "\"route\":\"api\",\"service\":\"shop\",\"target\":\"127.0.0.1:1\",\"status\":502,"
                "\"reason\":\"connection_refused\",\"bytes_in\":0,\"bytes_out\":0,"
                "\"duration_ms\":1.234,\"head_ms\":0.001,\"ask_ms\":0.002,\"queue_ms\":0.003,"
                "\"connect_ms\":0.004,\"answer_ms\":0.005,\"relay_ms\":0.006,\"attempts\":3,"
                "\"protocol\":\"HTTP/2\",\"generation\":7,\"user_agent\":\"a \\\"b\\\"\\n\\ufffd\","
                "\"referer\":\"http://r/\"}\n");
}

static void test_common_line(void **state)
{
    (void)state;
    struct access_record record = record_of(0);
    record.query = STR("q=1");
    record.user_agent = STR("x\"\n\x80");
    assert_line(&record, false,
                "192.0.2.1 - - [22/Nov/2026:20:29:48 +0000] \"GET /x?q=1 HTTP/1.1\" 200 - \"-\" "
                "\"x\\\"\\x0a\\x80\"\n");
}

/* The largest record there can be, of the bytes that grow most, stays within the room that is
 * foretold. */
static void test_long_strings_are_cut(void **state)
{
    (void)state;
    char wild[5000];
    memset(wild, 0xff, sizeof(wild));
    struct str s = {wild, sizeof(wild)};
    struct access_record record = record_of(UINT64_MAX);
    record.request_id = record.client = record.method = record.host = record.path = s;
    record.query = record.route = record.service = record.target = record.user_agent = s;
    record.referer = record.tries = record.release = s;
    char *line = format_one(&record, true);
    unsigned replaced = 0;
    for (const char *at = line; (at = strstr(at, "\\ufffd")); at++)
        replaced++;
    assert_int_equal(replaced, ACCESS_TRIES * ACCESS_TEXT_MAX); // the tries are ours, and escaped
    assert_int_equal(count_lines(line), 1);
    free(line);
}

/* --- ring */

/* Records of changing length go round and round; each comes out as it went in. */
static void test_ring_wraps(void **state)
{
    (void)state;
    struct access_ring ring;
    char pad[ACCESS_TEXT_MAX];
    memset(pad, 'p', sizeof(pad));
    assert_true(access_ring_init(&ring, NULL, 1));
    uint64_t read = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        struct access_record record = record_of(i);
        record.referer = (struct str){pad, i * 37 % sizeof(pad)};
        access_ring_put(&ring, &record);
        while (i + 1 - read > (i == 19999 ? 0 : 100)) {
            const struct access_entry *entry = access_ring_first(&ring, access_ring_end(&ring));
            assert_non_null(entry);
            assert_int_equal(entry->bytes_out, read);
            assert_int_equal(entry->lens[ACCESS_REFERER], read * 37 % sizeof(pad));
            access_ring_next(&ring, entry);
            read++;
        }
    }
    assert_int_equal(ring.dropped, 0);
    assert_true(ring.head > 4 * (uint64_t)ACCESS_RING_SIZE);
    assert_null(access_ring_first(&ring, access_ring_end(&ring)));
    assert_int_equal(access_ring_waiting(&ring), 0);
    access_ring_fini(&ring);
}

static void test_full_ring_drops(void **state)
{
    (void)state;
    struct access_ring ring;
    assert_true(access_ring_init(&ring, NULL, 1));
    struct access_record record = record_of(1);
    uint64_t put = 0;
    for (; !ring.dropped; put++)
        assert_true(access_ring_put(&ring, &record) <= ACCESS_RING_SIZE);
    assert_true(put > ACCESS_RING_SIZE / 512);
    access_ring_put(&ring, &record);
    assert_int_equal(ring.dropped, 2);
    uint64_t read = 0, end = access_ring_end(&ring);
    for (const struct access_entry *entry; (entry = access_ring_first(&ring, end)); read++)
        access_ring_next(&ring, entry);
    assert_int_equal(read, put - 1);
    access_ring_put(&ring, &record);
    assert_int_equal(ring.dropped, 2);
    access_ring_fini(&ring);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_line),   cmocka_unit_test(test_json_line_with_everything),
        cmocka_unit_test(test_common_line), cmocka_unit_test(test_long_strings_are_cut),
        cmocka_unit_test(test_ring_wraps),  cmocka_unit_test(test_full_ring_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
