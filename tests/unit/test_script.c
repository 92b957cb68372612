/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of script/script.c, script_limit.c and script_sandbox.c: what a script can do, what it
 * cannot, and that nothing it does outlasts its time or takes more than its memory.
 */
#include "test_script_rig.h"

#include <luajit-2.1/lualib.h>

/* Wall time that no ended script may take: its budget, and the same again on a busy machine. */
enum { PATIENCE_MS = 10000 };

/* --- loading */

static void assert_refused(struct bench *bench, const char *text, const char *message)
{
    assert_false(load(bench, text));
    assert_string_equal(bench->message, message);
}

static void test_wrong_scripts_are_refused_with_their_line(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, "function on_request()\n  local x = = 1\nend",
                   "x.lua:2: unexpected symbol near '='");
    assert_refused(bench, "\n\nnothing.at_all()",
                   "x.lua:3: attempt to index global 'nothing' (a nil value)");
    assert_refused(bench, "local x = 1",
                   "x.lua: it defines none of on_request, on_body, on_response and on_log");
    assert_refused(bench, "on_request = 7", "x.lua: on_request is no function");
    assert_refused(bench, "error('no')", "x.lua:1: no");
    assert_refused(bench, "error({})", "x.lua: the error is no text but a table");
    assert_refused(bench, "",
                   "x.lua: it defines none of on_request, on_body, on_response and on_log");
}

static void test_a_script_that_does_not_end_is_refused(void **state)
{
    struct bench *bench = *state;

    assert_refused(bench, "local x\nwhile true do end", "x.lua:2: it has used its time");
    assert_int_equal(bench->fault, SCRIPT_TIMEOUT);
    assert_false(load(bench, "local t = {} while true do t[#t + 1] = {} end"));
    assert_int_equal(bench->fault, SCRIPT_MEMORY);
}

static int add_chunk(lua_State *lua, const void *bytes, size_t len, void *owner)
{
    struct bench *bench = owner;

    (void)lua;
    memcpy(bench->logged + bench->memory, bytes, len);
    bench->memory += len;
    return 0;
}

static void test_bytecode_is_refused(void **state)
{
    struct bench *bench = *state;
    lua_State *lua = luaL_newstate();
    size_t len;

    bench->memory = 0;
    assert_int_equal(luaL_loadstring(lua, "on_request = nil"), 0);
    assert_int_equal(lua_dump(lua, add_chunk, bench), 0);
    lua_close(lua);
    len = bench->memory;
    assert_true(len > 4 && !memcmp(bench->logged, "\x1bLJ", 3));
    bench->memory = 4 * 1024 * 1024;
    assert_false(load_text(bench, (struct str){bench->logged, len}));
    assert_non_null(strstr(bench->message, "attempt to load"));
}

/* --- the sandbox */

static void test_what_is_there(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(
        run(bench, "local names = {} for name in pairs(_G) do names[#names + 1] = name end "
                   "table.sort(names) return table.concat(names, ' ')"),
        "_G _VERSION assert bit coroutine dofile error getmetatable ipairs load "
        "loadfile loadstring math next on_request os pairs pcall print rawequal "
        "rawget rawset require select setmetatable sluice string table tonumber "
        "tostring type unpack xpcall");
    assert_string_equal(
        run(bench, "local names = {} for _, t in ipairs({string, table, os}) do "
                   "for name in pairs(t) do names[#names + 1] = name end end "
                   "table.sort(names) return table.concat(names, ' ')"),
        "byte char clock concat date find format gmatch gsub insert len lower match "
        "maxn move remove rep reverse sort sub time upper");
}

static void test_code_cannot_be_loaded(void **state)
{
    static const char *const calls[] = {"load('x = 1')", "loadstring('x = 1')", "loadfile('x')",
                                        "dofile('x')", "require('ffi')"};
    char body[64];

    for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
        snprintf(body, sizeof(body), "local x = %s", calls[i]);
        assert_string_equal(failure(*state, body, SCRIPT_ERROR), "x.lua:1: scripts cannot do that");
    }
    assert_string_equal(run(*state, "return tostring(jit or ffi or io or debug or package or "
                                    "collectgarbage or newproxy or getfenv or string.dump)"),
                        "nil");
}

static void test_the_metatable_of_texts_is_sealed(void **state)
{
    assert_string_equal(run(*state, "return getmetatable('')"), "text");
    assert_string_equal(failure(*state, "setmetatable('', {})", SCRIPT_ERROR),
                        "x.lua:1: bad argument #1 to 'setmetatable' (table expected, got string)");
    assert_string_equal(run(*state, "return ('x'):rep(3)"), "xxx");
}

static void test_a_compiled_script_has_the_same_sandbox(void **state)
{
    struct bench *bench = *state;

    bench->jit = true;
    assert_string_equal(run(bench, "local n = 0 for i = 1, 1e6 do n = n + i % 3 end "
                                   "return n .. tostring(jit or io)"),
                        "1000000nil");
}

static void test_scripts_do_not_see_each_other(void **state)
{
    struct bench *bench = *state;
    struct script *first;

    assert_string_equal(run(bench, "leak = 'x' string.leak = 'y' return leak"), "x");
    first = bench->script;
    bench->script = NULL;
    assert_string_equal(run(bench, "return tostring(leak) .. tostring(string.leak)"), "nilnil");
    script_free(&first);
}

/* --- what replaces the library's own */

static void test_sort_move_and_xpcall_do_as_in_lua(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(run(bench, "local t = {3, 1, 2} table.sort(t) return table.concat(t)"),
                        "123");
    assert_string_equal(run(bench, "local t = {3, 1, 2} table.sort(t, function(a, b) "
                                   "return a > b end) return table.concat(t)"),
                        "321");
    assert_string_equal(run(bench, "return table.concat(table.move({1, 2, 3, 4}, 1, 3, 2))"),
                        "1123");
    assert_string_equal(run(bench, "return table.concat(table.move({1, 2, 3, 4}, 2, 4, 1))"),
                        "2344");
    assert_string_equal(run(bench, "return select(2, xpcall(function() error('a', 0) end, "
                                   "function(e) return e .. 'b' end))"),
                        "ab");
    assert_string_equal(run(bench, "return select('#', xpcall(function(...) return ... end, print, "
                                   "1, nil, 3))"),
                        "4");
}

static void test_patterns_do_as_in_lua(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(run(bench, "return (('hello world'):gsub('o', '0'))"), "hell0 w0rld");
    assert_string_equal(run(bench, "return select(2, ('abc'):gsub('%w', '%0%0'))"), "3");
    assert_string_equal(run(bench, "return (('abc'):gsub('(a)(b)', '%2%1%%'))"), "ba%c");
    assert_string_equal(run(bench, "return (('abc'):gsub('', '-'))"), "-a-b-c-");
    assert_string_equal(run(bench, "return (('abc'):gsub('%w', {a = 1, b = true and 'x'}))"),
                        "1xc");
    assert_string_equal(run(bench, "return (('abc'):gsub('%w', function(c) if c == 'b' then return "
                                   "false end return c:upper() end))"),
                        "AbC");
    assert_string_equal(run(bench, "return (('aaa'):gsub('a', 'b', 2))"), "bba");
    assert_string_equal(run(bench, "return (('aaa'):gsub('^a', 'b'))"), "baa");
    assert_string_equal(run(bench, "local t = {} for k, v in ('a=1, b=2'):gmatch('(%w+)=(%w+)') do "
                                   "t[#t + 1] = k .. v end return table.concat(t, ';')"),
                        "a1;b2");
    assert_string_equal(run(bench, "return table.concat({('x.y'):find('.', 2, true)}, ',')"),
                        "2,2");
    assert_string_equal(run(bench, "return table.concat({('x.y'):find('(%a)', -1)}, ',')"),
                        "3,3,y");
    assert_string_equal(run(bench, "return tostring(('x'):find('x', 3))"), "nil");
    assert_string_equal(run(bench, "return ('key = v'):match('^(%w+)')"), "key");
    assert_string_equal(failure(bench, "local x = ('x'):find('[')", SCRIPT_ERROR),
                        "x.lua:1: malformed pattern (missing ']')");
    assert_string_equal(failure(bench, "local x = ('x'):gsub('x', '%2')", SCRIPT_ERROR),
                        "x.lua:1: invalid capture index");
    assert_string_equal(failure(bench, "local x = ('x'):gsub('x', function() return {} end)",
                                SCRIPT_ERROR),
                        "x.lua:1: invalid replacement value (a table)");
}

static void test_dates(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(run(bench, "return os.date('!%Y-%m-%d %H:%M', 86400 * 365)"),
                        "1971-01-01 00:00");
    assert_string_equal(run(bench, "return os.time({year = 1971, month = 1, day = 1, hour = 0})"),
                        "31536000");
    assert_string_equal(run(bench, "return os.date('!*t', 0).year"), "1970");
    assert_string_equal(run(bench, "return tostring(os.time() > 1.6e9 and os.clock() > 0)"),
                        "true");
    assert_string_equal(failure(bench, "local x = os.date('%c', 1/0)", SCRIPT_ERROR),
                        "x.lua:1: the time is out of range");
    assert_string_equal(failure(bench, "local x = os.date(('%c'):rep(1000))", SCRIPT_ERROR),
                        "x.lua:1: the format is longer than 128 bytes");
    assert_string_equal(failure(bench, "local x = os.time({year = 0/0, month = 1, day = 1})",
                                SCRIPT_ERROR),
                        "x.lua:1: field 'year' is out of range");
}

static void test_print_is_a_line_for_the_log(void **state)
{
    struct bench *bench = *state;

    run(bench, "print('hello')");
    assert_string_equal(bench->logged, "hello");
}

/* --- time */

static void assert_timeout(struct bench *bench, const char *body)
{
    uint64_t began_us = clock_us();

    failure(bench, body, SCRIPT_TIMEOUT);
    assert_string_equal(bench->script->message, "x.lua:1: it has used its time");
    assert_true(clock_us() - began_us < PATIENCE_MS * 1000);
    assert_false(bench->script->is_spent);
}

static void test_loops_end(void **state)
{
    static const char *const bodies[] = {
        "while true do end",
        "repeat until false",
        "for i = 1, math.huge do end",
        "::again:: goto again",
        "local function f() return f() end f()",
        "coroutine.wrap(function() while true do end end)()",
        "while true do coroutine.resume(coroutine.create(function() error('x') end)) end",
        "local c = coroutine.wrap(function() while true do coroutine.yield() end end) "
        "while true do c() end",
        "local t = setmetatable({}, {__index = function(t, k) return t[k + 1] end}) "
        "while true do pcall(function() return t[1] end) end",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_timeout(*state, bodies[i]);
}

static void test_no_pcall_catches_the_end(void **state)
{
    static const char *const bodies[] = {
        "while true do pcall(function() while true do end end) end",
        "pcall(function() while true do end end)",
        "return pcall(function() while true do end end)",
        "xpcall(function() while true do end end, function() while true do end end)",
        "xpcall(error, function() while true do end end)",
        "pcall(pcall, function() while true do end end)",
        "local function f() pcall(f) while true do end end f()",
        "coroutine.wrap(function() pcall(function() while true do end end) end)()",
        "pcall(string.rep, 'x', 10) pcall(string.find, ('a'):rep(3000), ('a*'):rep(20) .. 'b')",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_timeout(*state, bodies[i]);
}

static void test_functions_in_c_end(void **state)
{
    static const char *const bodies[] = {
        "local x = ('a'):rep(3000):find(('a*'):rep(20) .. 'b')",
        "local x = ('a'):rep(3000):match(('a-'):rep(20) .. 'b')",
        "for x in ('a'):rep(3000):gmatch(('.-'):rep(20) .. 'b') do end",
        "local x = ('a'):rep(3000):gsub(('a*'):rep(20) .. 'b', '')",
        "local x = (('('):rep(500000):gsub('%b()', ''))",
        "local s = ('a'):rep(3000) s:gsub('.', function() s:find(('a*'):rep(20) .. 'b') "
        "end)",
        "table.move({}, 1, 2^40, 2)",
        "local t = {} for i = 1, 20000 do t[i] = i end while true do table.concat(t) end",
        "local s = ('x'):rep(500000) while true do local u = s .. 'y' end",
        "local s = ('x'):rep(500000) while true do local u = s:upper() end",
        "local s = ('x'):rep(500000) while true do local u = s:reverse():lower():sub(2) end",
        "local a, b = ('x'):rep(500000), ('x'):rep(500000) .. 'y' while a < b do end",
        "local t = {} for i = 1, 60000 do t[i] = i end while true do table.insert(t, 1, 0) "
        "table.remove(t, 1) end",
        "local t = {} for i = 1, 60000 do t[i] = 60000 - i end while true do "
        "table.sort(t) table.sort(t, function(a, b) return b < a end) end",
        "local s = ('ab'):rep(200000) while true do s:find('b' .. ('ab'):rep(100000) .. 'x', 1, "
        "true) end",
        "while true do ('x'):rep(1000):format() end",
        "while true do sluice.json.decode('[' .. ('1,'):rep(30000) .. '1]') end",
        "local t = {} for i = 1, 9000 do t[i] = 'x' end while true do sluice.json.encode(t) end",
        "while true do sluice.sha256(('x'):rep(500000)) end",
        "local d = sluice.shared('x') while true do d:set('k', ('x'):rep(16000)) end",
    };

    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_timeout(*state, bodies[i]);
}

static void test_a_script_goes_on_after_its_end(void **state)
{
    struct bench *bench = *state;

    assert_true(load(bench, "local n = 0 function on_request() n = n + 1 "
                            "if n % 2 == 1 then while true do end end return n end"));
    for (int i = 0; i < 10; i++) {
        assert_int_equal(call(bench), SCRIPT_TIMEOUT);
        assert_int_equal(call(bench), SCRIPT_OK);
    }
    assert_string_equal(bench->result, "20");
}

/* --- memory */

static void assert_bomb(struct bench *bench, const char *body)
{
    failure(bench, body, SCRIPT_MEMORY);
    assert_string_equal(bench->script->message, "x.lua:1: it has used its memory");
    assert_true(bench->script->used <= bench->memory);
    assert_true(bench->script->is_spent);
}

static void test_memory_has_an_end(void **state)
{
    struct bench *bench = *state;
    static const char *const bodies[] = {
        "local t = {} while true do t[#t + 1] = {} end",
        "local t = {} while true do t[#t + 1] = ('x'):rep(1000) .. #t end",
        "local s = 'x' while true do s = s .. s end",
        "local x = ('x'):rep(1e9)",
        "local t = {} for i = 1, 1e9 do t[i] = i end",
        "local t = {} for i = 1, 1e9 do t['k' .. i] = i end",
        "local t = {} while true do t[#t + 1] = coroutine.create(print) end",
        "local t = {} while true do pcall(function() while true do t[#t + 1] = {} end end) end",
        "local x = pcall(function() local t = {} while true do t[#t + 1] = {} end end)",
        "local x = (('x'):rep(100000):gsub('.', ('y'):rep(1000)))",
        "local x = table.concat({('x'):rep(700000), ('y'):rep(700000)})",
        "local x = ('%s%s'):format(('x'):rep(700000), ('y'):rep(700000))",
        "local x = sluice.json.encode({('x'):rep(170000), ('x'):rep(170000)})",
        "local x = sluice.json.decode('[' .. ('[],'):rep(300000) .. '[]]')",
    };

    bench->time_ms = 1000;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++)
        assert_bomb(bench, bodies[i]);
}

static void test_garbage_is_no_use_of_memory(void **state)
{
    struct bench *bench = *state;

    bench->time_ms = 1000;
    bench->memory = 1024 * 1024;
    assert_true(load(bench,
                     "function on_request() for i = 1, 300 do local s = ('x'):rep(20000 + i) "
                     "end return 'fine' end"));
    for (int i = 0; i < 20; i++)
        if (call(bench))
            fail_msg("%s", bench->script->message);
    assert_string_equal(bench->result, "fine");
}

static void test_deep_recursion_is_an_error(void **state)
{
    struct bench *bench = *state;

    bench->time_ms = 1000;
    failure(bench, "local function f() return 1 + f() end return f()", SCRIPT_ERROR);
    assert_non_null(strstr(bench->script->message, "stack overflow"));
    failure(bench, "local function f(s) return s:gsub('x', f) end return f('x')", SCRIPT_ERROR);
    assert_non_null(strstr(bench->script->message, "stack overflow"));
    failure(bench, "return ('x'):rep(100000):byte(1, -1)", SCRIPT_ERROR);
    failure(bench, "local t = {} for i = 1, 6e4 do t[i] = i end return unpack(t)", SCRIPT_ERROR);
}

static void test_c_cannot_be_nested_too_deep(void **state)
{
    struct bench *bench = *state;

    bench->time_ms = 1000;
    bench->memory = 256 * 1024 * 1024;
    failure(bench, "local function f() return coroutine.wrap(f)() end return f()", SCRIPT_ERROR);
    assert_non_null(strstr(bench->script->message, "stack overflow"));
    failure(bench, "local function f() return (('x'):gsub('x', f)) end return f()", SCRIPT_ERROR);
    assert_non_null(strstr(bench->script->message, "stack overflow"));
    failure(bench, "local function f(a, b) table.sort({1, 2}, f) return a < b end return f(1, 2)",
            SCRIPT_ERROR);
    assert_non_null(strstr(bench->script->message, "stack overflow"));
    failure(bench,
            "local t = setmetatable({}, {__tostring = function(t) return tostring(t) .. '' end}) "
            "return tostring(t)",
            SCRIPT_ERROR);
    assert_non_null(strstr(bench->script->message, "stack overflow"));
}

static void test_odd_calls_are_errors_or_nothing(void **state)
{
    struct bench *bench = *state;
    static const char *const wrong[] = {
        "unpack({}, 1, 1e8)",
        "unpack({}, -2^31, 2^31 - 1)",
        "string.char(256)",
        "string.format('%d', 'x')",
        "table.concat({1}, '', 1, 2^31 - 1)",
        "table.sort({3, 1, 'x', 2})",
        "('x'):gsub('x', function() coroutine.yield() end)",
        "setmetatable(sluice.shared('x'), {})",
        "sluice.json.encode(coroutine.create(print))",
        "error(('x'):rep(100000))",
        "local t = setmetatable({}, {__index = function() error('x') end}) local x = t.y",
        "pairs(nil)",
        "string.find('x')",
        "string.rep()",
        "os.date(7)(1)",
    };
    static const char *const nothing[] = {
        "local x = (''):rep(2^31 - 1) x = ('x'):rep(-1) x = ('x'):rep(0, ('y'):rep(1000))",
        "local x = tonumber(('1'):rep(100000)) x = tonumber(('z'):rep(100000), 36)",
        "local x = (('a'):rep(100000)):find(('a'):rep(50000) .. 'b', 1, true)",
        "setmetatable(_G, {__index = function(t, k) return k end}) _G._G = nil on_request = nil",
        "local x = tostring(setmetatable({}, {__tostring = function() return 'x' end}))",
        "local c = coroutine.create(string.find) coroutine.resume(c, 'x', 'x')",
        "for k in pairs(string) do string[k] = nil end for k in pairs(sluice) do sluice[k] = nil "
        "end",
        "string.format = nil pcall = nil error = nil getmetatable = nil",
    };

    bench->time_ms = 1000;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        failure(bench, wrong[i], SCRIPT_ERROR);
    for (size_t i = 0; i < ARRAY_LEN(nothing); i++)
        run(bench, nothing[i]);
}

static void test_errors_have_file_and_line(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(failure(bench, "\n\nlocal x = nil + 1", SCRIPT_ERROR),
                        "x.lua:3: attempt to perform arithmetic on a nil value");
    assert_string_equal(failure(bench, "\nerror({})", SCRIPT_ERROR),
                        "x.lua: the error is no text but a table");
    assert_int_equal(call(bench), SCRIPT_ERROR);
    assert_string_equal(run(bench, "return 'alive'"), "alive");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)
        TEST(test_wrong_scripts_are_refused_with_their_line),
        TEST(test_a_script_that_does_not_end_is_refused),
        TEST(test_bytecode_is_refused),
        TEST(test_what_is_there),
        TEST(test_code_cannot_be_loaded),
        TEST(test_the_metatable_of_texts_is_sealed),
        TEST(test_a_compiled_script_has_the_same_sandbox),
        TEST(test_scripts_do_not_see_each_other),
        TEST(test_sort_move_and_xpcall_do_as_in_lua),
        TEST(test_patterns_do_as_in_lua),
        TEST(test_dates),
        TEST(test_print_is_a_line_for_the_log),
        TEST(test_loops_end),
        TEST(test_no_pcall_catches_the_end),
        TEST(test_functions_in_c_end),
        TEST(test_a_script_goes_on_after_its_end),
        TEST(test_memory_has_an_end),
        TEST(test_garbage_is_no_use_of_memory),
        TEST(test_deep_recursion_is_an_error),
        TEST(test_c_cannot_be_nested_too_deep),
        TEST(test_odd_calls_are_errors_or_nothing),
        TEST(test_errors_have_file_and_line),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
