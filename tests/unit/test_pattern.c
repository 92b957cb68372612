/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of script/pattern.c: against what LuaJIT's own library does, for patterns written by hand
 * and for very many made at random; and that a pattern that goes back for ever is stopped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <luajit-2.1/lauxlib.h>
#include <luajit-2.1/lualib.h>

#include "base/random.h"
#include "edge/script/pattern.h"

enum { RANDOM_CASES = 200000, ANSWER_MAX = 4096 };

struct bench {
    lua_State *lua;
    int find; /* its string.find, on its stack */
};

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    bench->lua = luaL_newstate();
    luaL_openlibs(bench->lua);
    lua_getglobal(bench->lua, "string");
    lua_getfield(bench->lua, -1, "find");
    bench->find = lua_gettop(bench->lua);
    return 0;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    lua_close(bench->lua);
    free(bench);
    return 0;
}

static void put(char *out, const char *format, ...)
{
    size_t len = strlen(out);
    va_list args;

    va_start(args, format);
    vsnprintf(out + len, ANSWER_MAX - len, format, args);
    va_end(args);
}

/* "3 5 (text) (@position)", "nil", or "error: ...", as string.find() has it. */
static void say_theirs(struct bench *bench, struct str subject, struct str text, char *out)
{
    lua_State *lua = bench->lua;

    *out = 0;
    lua_pushvalue(lua, bench->find);
    lua_pushlstring(lua, subject.p, subject.len);
    lua_pushlstring(lua, text.p, text.len);
    if (lua_pcall(lua, 2, LUA_MULTRET, 0)) {
        put(out, "error: %s", lua_tostring(lua, -1));
    } else if (lua_isnil(lua, bench->find + 1)) {
        put(out, "nil");
    } else {
        put(out, "%d %d", (int)lua_tointeger(lua, bench->find + 1),
            (int)lua_tointeger(lua, bench->find + 2));
        for (int i = bench->find + 3; i <= lua_gettop(lua); i++) {
            bool is_position = lua_type(lua, i) == LUA_TNUMBER;

            put(out, is_position ? " (@%s)" : " (%s)", lua_tostring(lua, i));
        }
    }
    lua_settop(lua, bench->find);
}

static void say_captures(struct pattern *pattern, char *out)
{
    for (unsigned i = 0; i < pattern->count; i++) {
        struct str capture;
        size_t position;

        if (!pattern_capture(pattern, i, &capture, &position)) {
            *out = 0;
            put(out, "error: %s", pattern->error);
            return;
        }
        if (position)
            put(out, " (@%zu)", position);
        else
            put(out, " (%.*s)", STR_FMT(capture));
    }
}

static void say_ours(struct str subject, struct str text, char *out)
{
    struct pattern pattern = {.subject = subject, .text = text, .takes_caret = true};

    *out = 0;
    if (pattern_find(&pattern, 0)) {
        put(out, "%d %d", (int)(pattern.start - subject.p) + 1, (int)(pattern.end - subject.p));
        say_captures(&pattern, out);
    } else {
        put(out, pattern.fault ? "error: %s" : "nil", pattern.error);
    }
}

static void compare(struct bench *bench, struct str subject, struct str text)
{
    char ours[ANSWER_MAX], theirs[ANSWER_MAX];

    if (pattern_is_plain(text))
        return;
    say_ours(subject, text, ours);
    say_theirs(bench, subject, text, theirs);
    if (strcmp(ours, theirs) != 0 &&
        !(!strncmp(ours, "error", 5) && !strncmp(theirs, "error", 5))) // words may differ
        fail_msg("\"%.*s\" in \"%.*s\": %s, not %s", STR_FMT(text), STR_FMT(subject), ours, theirs);
}

static struct str word(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void test_known_patterns_match_as_in_lua(void **state)
{
    static const char *const subjects[] = {"",         "hello world", "key = value",     "aaaab",
                                           "(a(b)c)d", "2026-11-28",  "THE (quick) fox", "x%y[z]",
                                           "abcabc",   "a,b,,c",      "\t tab \n"};
    static const char *const patterns[] = {"^(%w+)%s*=%s*(%w+)$",
                                           "a-b",
                                           "a*b",
                                           "%b()",
                                           "(%d+)-(%d+)-(%d+)",
                                           "%f[%a]%a+",
                                           "()l+()",
                                           "^",
                                           "$",
                                           "[^,]*",
                                           "([^,]*),?",
                                           "(.)%1",
                                           "(a(b)c)",
                                           "[%w_-]+",
                                           "[]]",
                                           "[^]]+",
                                           "[a-]",
                                           "%%",
                                           "%[z%]",
                                           ".-",
                                           "(abc)%1",
                                           "%u%l?",
                                           "a?a?a?aaa",
                                           "[%",
                                           "[a",
                                           "(",
                                           ")",
                                           "%",
                                           "%1",
                                           "%b",
                                           "%bx",
                                           "%f",
                                           "%fa",
                                           "(()",
                                           "[]",
                                           "[^]",
                                           "a**",
                                           "^*",
                                           "$a",
                                           "a$b",
                                           "%D+",
                                           "%S+",
                                           "[%D]",
                                           "[a-c-e]",
                                           "%x+%p",
                                           "(a*(.)%w(%s*))",
                                           "%z",
                                           "%G",
                                           "[^%s]+$",
                                           "((a)(b)c)()"};

    for (size_t s = 0; s < ARRAY_LEN(subjects); s++)
        for (size_t p = 0; p < ARRAY_LEN(patterns); p++)
            compare(*state, word(subjects[s]), word(patterns[p]));
}

static size_t make_text(uint64_t *seed, const char *const *parts, uint32_t count, char *out)
{
    uint32_t length = random_below(seed, 9);
    size_t len = 0;

    for (uint32_t i = 0; i < length; i++) {
        const char *part = parts[random_below(seed, count)];

        memcpy(out + len, part, strlen(part));
        len += strlen(part);
    }
    out[len] = 0;
    return len;
}

static void test_random_patterns_match_as_in_lua(void **state)
{
    static const char *const subjects[] = {"a", "b", "c", "ab", "1", " ", "(", ")", "%", "-", "A"};
    static const char *const patterns[] = {"a",    "b",    "c",     ".",     "%a", "%d", "%s", "%A",
                                           "[ab]", "[^a]", "[a-c]", "(",     ")",  "()", "*",  "+",
                                           "-",    "?",    "%b()",  "%f[a]", "%1", "%2", "^",  "$",
                                           "[",    "]",    "%",     "%w",    "%)", "[%a"};
    char subject[64], text[64];
    uint64_t seed = 42;

    for (unsigned i = 0; i < RANDOM_CASES; i++) {
        size_t subject_len = make_text(&seed, subjects, ARRAY_LEN(subjects), subject);
        size_t text_len = make_text(&seed, patterns, ARRAY_LEN(patterns), text);

        compare(*state, (struct str){subject, subject_len}, (struct str){text, text_len});
    }
}

/* --- what would not end */

static bool go_on(void *owner)
{
    unsigned *left = owner;

    return *left && --*left;
}

static void assert_stopped(const char *piece, unsigned times, const char *text)
{
    size_t len = strlen(piece);
    char *subject = malloc(len * times + 1);
    unsigned left = 100;
    struct pattern pattern = {.text = word(text), .may_go_on = go_on, .owner = &left};

    for (unsigned i = 0; i < times; i++)
        memcpy(subject + i * len, piece, len);
    pattern.subject = (struct str){subject, len * times};
    assert_false(pattern_find(&pattern, 0));
    assert_int_equal(pattern.fault, PATTERN_SPENT);
    assert_int_equal(left, 0);
    free(subject);
}

static void test_patterns_that_go_back_for_ever_are_stopped(void **state)
{
    (void)state;
    assert_stopped("a", 3000, "a*a*a*a*a*b");
    assert_stopped("a", 3000, "a-a-a-a-a-b");
    assert_stopped("a", 3000, ".-.-.-.-.-.-x");
    assert_stopped("a", 3000, "(a*)(a*)(a*)%3%2%1b");
    assert_stopped("(", 30000, "%b()");
    assert_stopped("x ", 30000, "%f[%a].-%f[%d]");
    assert_stopped("a", 60, "a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?a?b");
}

static void test_depth_is_bounded(void **state)
{
    char subject[1024], text[1024];
    struct pattern pattern = {.subject = {subject, 512}, .text = {text, 1000}};

    (void)state;
    memset(subject, 'a', sizeof(subject));
    for (size_t i = 0; i < 500; i++)
        memcpy(text + 2 * i, "a?", 2);
    assert_false(pattern_find(&pattern, 0));
    assert_int_equal(pattern.fault, PATTERN_BAD);
    assert_string_equal(pattern.error, "pattern too complex");
}

static void test_bytes_may_be_zero(void **state)
{
    struct pattern pattern = {.subject = STR("a\0b\0c"), .text = STR("b%zc")};

    (void)state;
    assert_true(pattern_find(&pattern, 0));
    assert_int_equal(pattern.start - pattern.subject.p, 2);
    pattern.text = STR("\0b");
    assert_true(pattern_find(&pattern, 0));
    assert_int_equal(pattern.start - pattern.subject.p, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_known_patterns_match_as_in_lua, make_bench,
                                        remove_bench),
        cmocka_unit_test_setup_teardown(test_random_patterns_match_as_in_lua, make_bench,
                                        remove_bench),
        cmocka_unit_test(test_patterns_that_go_back_for_ever_are_stopped),
        cmocka_unit_test(test_depth_is_bounded),
        cmocka_unit_test(test_bytes_may_be_zero),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
