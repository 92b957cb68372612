/* SPDX-License-Identifier: Apache-2.0
 *
 * The field table of a head, field name ids, methods, and the table of reasons.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "sluice/head.h"
#include "sluice/reason.h"

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static struct str in(struct arena *arena, const char *s)
{
    return arena_copy(arena, text(s));
}

static void add(struct head *head, struct arena *arena, const char *name, const char *value)
{
    assert_int_equal(head_add(head, arena, in(arena, name), in(arena, value)), OK);
}

static void assert_str(struct str s, const char *want)
{
    assert_non_null(s.p);
    assert_int_equal(s.len, strlen(want));
    assert_memory_equal(s.p, want, s.len);
}

/* Every byte at `at`: only the letter itself, in either case, keeps the id. */
static void check_variants(char *name, size_t len, size_t at, enum header_id id)
{
    char was = name[at];

    for (unsigned c = 0; c < 256; c++) {
        bool is_same = (char)c == was || (was >= 'a' && was <= 'z' && (char)c == was - 32);

        name[at] = (char)c;
        if (is_same != (head_id((struct str){name, len}) == id))
            fail_msg("byte %u at %zu of a name of id %d", c, at, id);
    }
    name[at] = was;
}

static void every_name_has_its_id(void **state)
{
    static const struct {
        const char *name;
        enum header_id id;
    } names[] = {
#define HEADER(header, lower) {lower, HDR_##header},
#include "sluice/header.def"
#undef HEADER
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t len = strlen(names[i].name);
        char copy[64];

        memcpy(copy, names[i].name, len);
        assert_int_equal(head_id((struct str){copy, len}), names[i].id);
        assert_string_equal(head_id_name(names[i].id), names[i].name);
        for (size_t at = 0; at < len; at++)
            check_variants(copy, len, at, names[i].id);
    }
    assert_int_equal(head_id(STR("")), HDR_OTHER);
    assert_int_equal(head_id(STR("x-forwarded-proto-")), HDR_OTHER);
    assert_int_equal(head_id(STR("accept-encoding")), HDR_OTHER);
}

static void fields_are_found_set_and_removed(void **state)
{
    struct arena arena;
    struct head head;

    (void)state;
    arena_init(&arena, NULL, 0);
    assert_int_equal(head_init(&head, &arena, 1), OK);
    add(&head, &arena, "X-A", "1");
    add(&head, &arena, "Cookie", "c");
    add(&head, &arena, "x-a", "2");
    add(&head, &arena, "Via", "v");
    add(&head, &arena, "X-B", "");
    assert_int_equal(head.count, 5);
    assert_str(head_value_name(&head, STR("X-a")), "1");
    assert_str(head_value(&head, HDR_COOKIE), "c");
    assert_str(head_value_name(&head, STR("COOKIE")), "c");
    assert_str(head_value_name(&head, STR("x-b")), "");
    assert_null(head_value(&head, HDR_HOST).p);
    assert_null(head_find_name(&head, STR("x-c")));
    assert_null(head_find(&head, HDR_OTHER));
    assert_true(head.present >> HDR_VIA & 1);

    assert_int_equal(head_set(&head, &arena, STR("X-A"), STR("3")), OK);
    assert_int_equal(head.count, 4);
    assert_str(head_value_name(&head, STR("x-a")), "3");
    assert_ptr_equal(head_find_name(&head, STR("x-a")), &head.headers[0]);
    assert_int_equal(head_set(&head, &arena, STR("X-New"), STR("n")), OK);
    assert_int_equal(head.count, 5);

    assert_int_equal(head_remove(&head, HDR_COOKIE), 1);
    assert_int_equal(head_remove(&head, HDR_COOKIE), 0);
    assert_false(head.present >> HDR_COOKIE & 1);
    assert_int_equal(head_remove_name(&head, STR("VIA")), 1);
    assert_int_equal(head_remove_name(&head, STR("x-B")), 1);
    assert_int_equal(head.count, 2);
    assert_str((struct str){head.headers[1].name, head.headers[1].name_len}, "X-New");
    assert_int_equal(head_add(&head, &arena, STR(""), STR("v")), E_INVALID);
    arena_reset(&arena);
}

static void a_full_arena_is_reported(void **state)
{
    struct arena arena;
    struct head head;
    enum status status = OK;
    int added = 0;

    (void)state;
    arena_init(&arena, NULL, 65536 + 4096);
    assert_int_equal(head_init(&head, &arena, 0), OK);
    while (status == OK && added < 10000) {
        status = head_add(&head, &arena, STR("a"), STR("b"));
        added += status == OK;
    }
    assert_int_equal(status, E_NOMEM);
    assert_int_equal(head.count, added);
    arena_reset(&arena);
}

static void hop_by_hop_fields_go(void **state)
{
    struct arena arena;
    struct head head;

    (void)state;
    arena_init(&arena, NULL, 0);
    assert_int_equal(head_init(&head, &arena, 4), OK);
    add(&head, &arena, "X-Secret", "1");
    add(&head, &arena, "Connection", "close, x-secret , X-Forwarded-For,host,cookie,via");
    add(&head, &arena, "X-Forwarded-For", "10.0.0.1");
    add(&head, &arena, "Host", "a");
    add(&head, &arena, "Keep-Alive", "timeout=5");
    add(&head, &arena, "Proxy-Connection", "keep-alive");
    add(&head, &arena, "TE", "trailers");
    add(&head, &arena, "Transfer-Encoding", "chunked");
    add(&head, &arena, "Upgrade", "websocket");
    add(&head, &arena, "Connection", "upgrade,X-Late");
    add(&head, &arena, "X-Late", "1");
    add(&head, &arena, "Cookie", "c");
    add(&head, &arena, "Via", "v");
    add(&head, &arena, "X-Kept", "k");
    head_strip_hop_by_hop(&head, true);
    assert_int_equal(head.count, 5);
    assert_non_null(head_find(&head, HDR_HOST));
    assert_non_null(head_find(&head, HDR_X_FORWARDED_FOR));
    assert_non_null(head_find(&head, HDR_UPGRADE));
    assert_non_null(head_find(&head, HDR_VIA));
    assert_non_null(head_find_name(&head, STR("x-kept")));
    assert_null(head_find(&head, HDR_COOKIE));
    head_strip_hop_by_hop(&head, false);
    assert_null(head_find(&head, HDR_UPGRADE));
    assert_int_equal(head.count, 4);
    head_strip_hop_by_hop(&head, false);
    assert_int_equal(head.count, 4);
    arena_reset(&arena);
}

static void lists_are_searched(void **state)
{
    (void)state;
    assert_true(head_list_has(STR("a, Upgrade ,b"), STR("upgrade")));
    assert_true(head_list_has(STR(",,\tx"), STR("x")));
    assert_false(head_list_has(STR("upgrades, up grade"), STR("upgrade")));
    assert_false(head_list_has(STR(""), STR("x")));
    assert_false(head_list_has(STR(" , ,"), STR("")));
}

static void methods_know_what_may_be_repeated(void **state)
{
    (void)state;
    assert_true(method_is_idempotent(METHOD_GET));
    assert_true(method_is_idempotent(METHOD_PUT));
    assert_true(method_is_idempotent(METHOD_DELETE));
    assert_false(method_is_idempotent(METHOD_POST));
    assert_false(method_is_idempotent(METHOD_PATCH));
    assert_false(method_is_idempotent(METHOD_CONNECT));
    assert_false(method_is_idempotent(METHOD_EXTENSION));
    assert_false(method_is_idempotent(METHOD_OTHER));
}

static void reasons_are_complete_and_unique(void **state)
{
    (void)state;
    assert_int_equal(reason_info(REASON_NONE)->status, 0);
    assert_string_equal(reason_info(REASON_HOST_MISSING)->slug, "host_missing");
    for (int i = 1; i < REASON_COUNT; i++) {
        const struct reason_info *info = reason_info((enum reason)i);

        assert_in_range(info->status, 400, 599);
        assert_true(*info->slug && *info->proxy_error && *info->text);
        for (int other = 1; other < i; other++)
            assert_string_not_equal(info->slug, reason_info((enum reason)other)->slug);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_name_has_its_id),
        cmocka_unit_test(fields_are_found_set_and_removed),
        cmocka_unit_test(a_full_arena_is_reported),
        cmocka_unit_test(hop_by_hop_fields_go),
        cmocka_unit_test(lists_are_searched),
        cmocka_unit_test(methods_know_what_may_be_repeated),
        cmocka_unit_test(reasons_are_complete_and_unique),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
