/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of script/script_json.c and script_digest.c, through a script.
 */
#include "test_script_rig.h"

static const char *decode(struct bench *bench, const char *json)
{
    char body[2048];

    snprintf(body, sizeof(body),
             "local v, e = sluice.json.decode([==[%s]==]) "
             "return v == nil and 'wrong: ' .. e or sluice.json.encode(v)",
             json);
    return run(bench, body);
}

static void test_values_come_back(void **state)
{
    static const char *const texts[] = {
        "null", "true",  "false", "0",  "-1",         "1.5",  "1e+20",
        "\"\"", "\"x\"", "[]",    "{}", "[1,[2,[]]]", "[{}]", "{\"a\":[null,{\"b\":true}]}",
        "0.1"};

    for (size_t i = 0; i < ARRAY_LEN(texts); i++)
        assert_string_equal(decode(*state, texts[i]), texts[i]);
}

static void test_forms_that_mean_the_same(void **state)
{
    assert_string_equal(decode(*state, " [ 1 , 2 ]\n"), "[1,2]");
    assert_string_equal(decode(*state, "{ \"a\" : 1 }"), "{\"a\":1}");
    assert_string_equal(decode(*state, "1.0"), "1");
    assert_string_equal(decode(*state, "-0"), "-0");
    assert_string_equal(decode(*state, "100000000000000000000"), "1e+20");
    assert_string_equal(decode(*state, "0.30000000000000004"), "0.30000000000000004");
    assert_string_equal(decode(*state, "\"\\u0041\\n\\/\""), "\"A\\n/\"");
    assert_string_equal(decode(*state, "\"\\ud83d\\ude00\\u00e9\\u20ac\""),
                        "\"\xf0\x9f\x98\x80\xc3\xa9\xe2\x82\xac\"");
}

static void test_what_is_no_json_is_refused(void **state)
{
    static const struct {
        const char *text, *why;
    } cases[] = {
        {"", "wrong: there is no value at byte 1"},
        {"nul", "wrong: there is no value at byte 1"},
        {"[1,]", "wrong: there is no value at byte 4"},
        {"[1 2]", "wrong: ',' or ']' is missing at byte 4"},
        {"[1", "wrong: ',' or ']' is missing at byte 3"},
        {"{\"a\"}", "wrong: ':' is missing at byte 5"},
        {"{\"a\":1,}", "wrong: a name is missing at byte 8"},
        {"{a:1}", "wrong: a name is missing at byte 2"},
        {"{\"a\":1,\"a\":2}", "wrong: a name comes twice at byte 11"},
        {"\"a", "wrong: a text does not end at byte 3"},
        {"\"a\nb\"", "wrong: a text does not end at byte 3"},
        {"\"\\x\"", "wrong: an escape is malformed at byte 3"},
        {"\"\\u12g4\"", "wrong: an escape is malformed at byte 6"},
        {"\"\\ud800\"", "wrong: a surrogate stands alone at byte 8"},
        {"\"\\udc00\"", "wrong: a surrogate stands alone at byte 8"},
        {"\"\\ud800\\u0041\"", "wrong: a surrogate stands alone at byte 14"},
        {"\"\xff\"", "wrong: a text is not UTF-8 at byte 2"},
        {"\"\xc3\"", "wrong: a text is not UTF-8 at byte 2"},
        {"01", "wrong: something follows at byte 2"},
        {"1.", "wrong: a digit is missing at byte 3"},
        {".5", "wrong: there is no value at byte 1"},
        {"1e", "wrong: a digit is missing at byte 3"},
        {"-", "wrong: a digit is missing at byte 2"},
        {"1e999", "wrong: a number is too large at byte 6"},
        {"NaN", "wrong: there is no value at byte 1"},
        {"[] []", "wrong: something follows at byte 4"},
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_string_equal(decode(*state, cases[i].text), cases[i].why);
}

static void test_depth_is_bounded(void **state)
{
    assert_string_equal(run(*state, "return select(2, sluice.json.decode(('['):rep(1000)))"),
                        "it is nested too deep at byte 66");
    assert_string_equal(
        run(*state,
            "return (sluice.json.encode(sluice.json.decode(('['):rep(64) .. (']'):rep(64))))"
            ":sub(1, 3)"),
        "[[[");
    assert_non_null(
        strstr(failure(*state, "local t = {} t.t = t sluice.json.encode(t)", SCRIPT_ERROR),
               "it is nested too deep, or in itself"));
}

static void test_what_has_no_form_is_refused(void **state)
{
    assert_non_null(strstr(failure(*state, "local x = sluice.json.encode({print})", SCRIPT_ERROR),
                           "a function has no form in JSON"));
    assert_non_null(strstr(failure(*state, "local x = sluice.json.encode(0/0)", SCRIPT_ERROR),
                           "a number is not finite"));
    assert_non_null(
        strstr(failure(*state, "local x = sluice.json.encode({[1.5] = 1})", SCRIPT_ERROR),
               "a name is no text but a number"));
    assert_string_equal(run(*state, "return sluice.json.encode('\\255\\0\"')"),
                        "\"\\ufffd\\u0000\\\"\"");
}

static void test_large_texts(void **state)
{
    struct bench *bench = *state;

    bench->time_ms = 1000;
    assert_string_equal(run(bench, "local t = {} for i = 1, 20000 do t[i] = 'text ' .. i end "
                                   "local json = sluice.json.encode(t) "
                                   "return #json .. ' ' .. sluice.json.decode(json)[20000]"),
                        "248895 text 20000");
}

static void test_digests(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(run(bench, "return sluice.sha256('abc')"), // FIPS 180-2, B.1
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_string_equal( // RFC 4231, 4.3
        run(bench, "return sluice.hmac_sha256('Jefe', 'what do ya want for nothing?')"),
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    assert_string_equal(run(bench, "local b = sluice.base64 return b('') .. b('f') .. b('fo') .. "
                                   "b('foo') .. b('foob')"), // RFC 4648, 10
                        "Zg==Zm8=Zm9vZm9vYg==");
    assert_string_equal(run(bench,
                            "local u = sluice.unbase64 return u('') .. u('Zg==') .. u('Zm8=') "
                            ".. u('Zm9v') .. u('Zm9vYg==')"),
                        "ffofoofoob");
    assert_string_equal(run(bench, "local u, n = sluice.unbase64, 0 for _, s in ipairs({'Z', 'Zg', "
                                   "'Zg=', 'Zg=a', 'Z===', '====', 'Zg-_', ' Zg=', 'Zg==\\n'}) do "
                                   "if u(s) == nil then n = n + 1 end end return n"),
                        "9");
    assert_string_equal(run(bench, "local s = sluice.same return tostring(s('ab', 'ab')) .. "
                                   "tostring(s('ab', 'ac')) .. tostring(s('ab', 'abc'))"),
                        "truefalsefalse");
}

static void test_shared_dictionaries(void **state)
{
    struct bench *bench = *state;

    assert_string_equal(run(bench,
                            "local d = sluice.shared('a') d:set('k', 'v') d:set('n', 4) "
                            "return d:get('k') .. d:get('n') .. d:incr('n') .. d:incr('m', 3) "
                            ".. tostring(d:get('none'))"),
                        "v453nil");
    assert_string_equal(run(bench, "local d = sluice.shared('a') return d:get('k') .. "
                                   "tostring(sluice.shared('b'):get('k'))"),
                        "vnil");
    assert_string_equal(run(bench,
                            "local d = sluice.shared('a') local first, second = d:add('x', 1), "
                            "d:add('x', 2) d:set('k', nil) return tostring(first) .. "
                            "tostring(second) .. d:get('x') .. tostring(d:get('k')) .. "
                            "tostring(d:delete('x')) .. tostring(d:delete('x'))"),
                        "truefalse1niltruefalse");
    assert_non_null(
        strstr(failure(bench, "local d = sluice.shared('a') d:set('t', 'x') d:incr('t')",
                       SCRIPT_ERROR),
               "the value is a text"));
    assert_non_null(
        strstr(failure(bench, "sluice.shared('a'):set(('k'):rep(300), 1)", SCRIPT_ERROR),
               "the key is too long"));
    assert_non_null(
        strstr(failure(bench, "sluice.shared('a'):set('k', ('v'):rep(20000))", SCRIPT_ERROR),
               "the value is too long"));
    assert_non_null(strstr(failure(bench, "sluice.shared('a'):set('k', {})", SCRIPT_ERROR),
                           "string expected, got table"));
    assert_non_null(
        strstr(failure(bench, "sluice.shared('a'):set('k', 1, -1)", SCRIPT_ERROR), "no such time"));
    assert_non_null(
        strstr(failure(bench, "sluice.shared('a\\0b')", SCRIPT_ERROR), "none of them NUL"));
    assert_non_null(strstr(failure(bench, "sluice.shared('a').get({}, 'k')", SCRIPT_ERROR),
                           "sluice.shared expected, got table"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, make_bench, remove_bench)
        TEST(test_values_come_back),
        TEST(test_forms_that_mean_the_same),
        TEST(test_what_is_no_json_is_refused),
        TEST(test_depth_is_bounded),
        TEST(test_what_has_no_form_is_refused),
        TEST(test_large_texts),
        TEST(test_digests),
        TEST(test_shared_dictionaries),
#undef TEST
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
