/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of validate/jschema*.c: the vectors in tests/unit/json_schema, which have the form of the
 * official JSON-Schema-Test-Suite, and what is bounded.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "edge/validate/jschema.h"

struct rig {
    struct arena arena;
    struct diag diag;
    struct jschema_book book;
    const struct jschema *schema;
};

static uint64_t now_us;

static uint64_t stand_still(void)
{
    return 7;
}

static uint64_t run_on(void)
{
    return now_us += JSCHEMA_PATTERNS_US / 4;
}

static uint64_t cpu_us;

static uint64_t work_on(void)
{
    return cpu_us += JSCHEMA_PATTERNS_US + 1;
}

static struct str text_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void rig_init(struct rig *rig, const char *schema, enum jschema_dialect dialect)
{
    memset(rig, 0, sizeof(*rig));
    arena_init(&rig->arena, NULL, 0);
    diag_init(&rig->diag, &rig->arena);
    rig->book.arena = &rig->arena;
    rig->book.diag = &rig->diag;
    rig->book.root =
        yaml_read(diag_source(&rig->diag, STR("s.json"), text_of(schema)), &rig->arena, &rig->diag);
    assert_non_null(rig->book.root);
    if (dialect == JSCHEMA_2020 && !jschema_read_dialect(&rig->book))
        return;
    if (dialect != JSCHEMA_2020)
        rig->book.dialect = dialect;
    rig->schema = jschema_compile(&rig->book, rig->book.root);
}

static void rig_fini(struct rig *rig)
{
    ecma_free(&rig->book.patterns);
    arena_reset(&rig->arena);
}

static enum jschema_answer judge_with(struct rig *rig, const char *text,
                                      uint64_t (*const clocks[2])(void),
                                      struct jschema_fault *fault)
{
    const struct jschema_ask ask = {&rig->arena, 7, clocks[0], clocks[1]};
    struct doc_fault wrong;
    const struct doc_value *value = doc_read(text_of(text), &rig->arena, 7, &wrong);

    assert_non_null(value);
    return jschema_judge(rig->schema, value, &ask, fault);
}

static enum jschema_answer judge(struct rig *rig, const char *text, struct jschema_fault *fault)
{
    static uint64_t (*const clocks[2])(void) = {stand_still, stand_still};

    return judge_with(rig, text, clocks, fault);
}

/* --- the suite */

static void run_group(const char *file, const json_t *group)
{
    char *schema =
        json_dumps(json_object_get(group, "schema"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
    struct rig rig;
    json_t *test;
    size_t i;

    rig_init(&rig, schema, JSCHEMA_2020);
    if (!rig.schema)
        fail_msg("%s: %s: %s", file, schema, diag_report(&rig.diag).p);
    assert_int_equal(rig.diag.count, 0);
    json_array_foreach(json_object_get(group, "tests"), i, test)
    {
        char *data =
            json_dumps(json_object_get(test, "data"), JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        bool is_valid = json_is_true(json_object_get(test, "valid"));
        struct jschema_fault fault;

        if ((judge(&rig, data, &fault) == JSCHEMA_FITS) != is_valid)
            fail_msg("%s: %s: %s: expected %s", file, schema, data, is_valid ? "valid" : "invalid");
        assert_true(is_valid || fault.keyword);
        free(data);
    }
    rig_fini(&rig);
    free(schema);
}

static size_t run_file(const char *name)
{
    char path[128];
    json_error_t error;
    json_t *groups, *group;
    size_t i, count = 0;

    snprintf(path, sizeof(path), "tests/unit/json_schema/%s.json", name);
    groups = json_load_file(path, 0, &error);
    if (!groups)
        fail_msg("%s: %s", path, error.text);
    json_array_foreach(groups, i, group)
    {
        run_group(name, group);
        count += json_array_size(json_object_get(group, "tests"));
    }
    json_decref(groups);
    return count;
}

static void test_suite(void **state)
{
    static const char *const names[] = {"type",    "enum_const", "numbers", "strings", "arrays",
                                        "objects", "logic",      "ref",     "draft7",  "format"};

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        assert_true(run_file(names[i]) > 10);
}

/* --- what JSON of a library cannot hold */

struct vector {
    const char *schema, *value;
    bool fits;
};

static void run_vectors(const struct vector *vectors, size_t count, enum jschema_dialect dialect)
{
    for (size_t i = 0; i < count; i++) {
        struct jschema_fault fault;
        struct rig rig;

        rig_init(&rig, vectors[i].schema, dialect);
        if (!rig.schema)
            fail_msg("%s: %s", vectors[i].schema, diag_report(&rig.diag).p);
        if ((judge(&rig, vectors[i].value, &fault) == JSCHEMA_FITS) != vectors[i].fits)
            fail_msg("%s of %s", vectors[i].schema, vectors[i].value);
        rig_fini(&rig);
    }
}

static void test_numbers_of_any_size(void **state)
{
    static const struct vector vectors[] = {
        {"{\"maximum\": 1e400}", "1e399", true},
        {"{\"maximum\": 1e400}", "1e401", false},
        {"{\"maximum\": 1e400}", "1e99999999999999999999999", false},
        {"{\"minimum\": 0}", "-1e-99999999999999999999999", false},
        {"{\"minimum\": 0}", "1e-99999999999999999999999", true},
        {"{\"minimum\": 0}", "-0", true},
        {"{\"const\": 0}", "-0.000e5", true},
        {"{\"const\": 100}", "1e2", true},
        {"{\"const\": 100}", "1000E-1", true},
        {"{\"const\": 0.1}", "0.10000000000000000000000000000000000001", false},
        {"{\"type\": \"integer\"}", "1e400", true},
        {"{\"type\": \"integer\"}", "1.50e1", true},
        {"{\"type\": \"integer\"}", "1.5e0", false},
        {"{\"type\": \"integer\"}", "123456789012345678901234567890", true},
        {"{\"type\": \"integer\"}", "1e-400", false},
        {"{\"multipleOf\": 7}", "7e1000000", true},
        {"{\"multipleOf\": 7}", "8e1000000", false},
        {"{\"multipleOf\": 3}", "999999999999999999999999999999", true},
        {"{\"multipleOf\": 3}", "999999999999999999999999999998", false},
        {"{\"multipleOf\": 0.001}", "1e-4", false},
        {"{\"multipleOf\": 0.5}", "1e99999999999999999999", true},
        {"{\"multipleOf\": 999999999}", "999999999000000001", false},
        {"{\"enum\": [9223372036854775808]}", "9223372036854775807", false},
        {"{\"enum\": [9223372036854775808]}", "9223372036854775808.0", true},
        {"{\"uniqueItems\": true}", "[1,10e-1]", false},
        {"{\"minItems\": 99999999999999999999}", "[1]", false},
        {"{\"maxItems\": 1e300}", "[1]", true},
        {"{\"maxLength\": 1e1}", "\"12345678901\"", false},
    };

    (void)state;
    run_vectors(vectors, ARRAY_LEN(vectors), JSCHEMA_2020);
}

static void test_openapi_30(void **state)
{
    static const struct vector vectors[] = {
        {"{\"type\": \"string\", \"nullable\": true}", "null", true},
        {"{\"type\": \"string\", \"nullable\": false}", "null", false},
        {"{\"type\": \"string\"}", "null", false},
        {"{\"minimum\": 3, \"exclusiveMinimum\": true}", "3", false},
        {"{\"minimum\": 3, \"exclusiveMinimum\": false}", "3", true},
        {"{\"maximum\": 3, \"exclusiveMaximum\": true}", "3", false},
        {"{\"required\": [\"id\"], \"properties\": {\"id\": {\"readOnly\": true}}}", "{}", true},
        {"{\"required\": [\"id\"], \"properties\": {\"id\": {}}}", "{}", false},
        {"{\"required\": [\"id\"], \"properties\": {\"id\": {\"$ref\": \"#/x-d\"}}, \"x-d\": "
         "{\"readOnly\": true}}",
         "{}", true},
        {"{\"properties\": {\"a\": {\"$ref\": \"#/x-d\", \"maxLength\": 1}}, \"x-d\": {}}",
         "{\"a\": \"long\"}", true},
        {"{\"discriminator\": {\"propertyName\": \"t\"}, \"xml\": {}, \"example\": 1}", "2", true},
    };

    (void)state;
    run_vectors(vectors, ARRAY_LEN(vectors), JSCHEMA_OPENAPI_30);
}

static void test_yaml(void **state)
{
    static const struct vector vectors[] = {
        {"type: [string, 'null']", "null", true}, {"const: null", "null", true},
        {"const: 'null'", "\"null\"", true},      {"const: yes", "\"yes\"", true},
        {"const: 010", "\"010\"", true},          {"enum: [1, '2', true]", "\"2\"", true},
        {"enum: [1, '2', true]", "2", false},     {"const: {a: [1, ~]}", "{\"a\":[1,null]}", true},
    };

    (void)state;
    run_vectors(vectors, ARRAY_LEN(vectors), JSCHEMA_2020);
}

/* --- where it failed */

static void test_faults(void **state)
{
    static const struct {
        const char *schema, *value, *pointer, *keyword, *name;
    } cases[] = {
        {"{\"type\": \"object\"}", "[]", "", "type", ""},
        {"{\"required\": [\"a\"]}", "{}", "", "required", "a"},
        {"{\"properties\": {\"a\": {\"items\": {\"minimum\": 1}}}}", "{\"a\":[1,2,0]}", "/a/2",
         "minimum", ""},
        {"{\"additionalProperties\": false}", "{\"a/b~c\":1}", "/a~1b~0c", "additionalProperties",
         ""},
        {"{\"additionalProperties\": {\"type\": \"string\"}}", "{\"x\":1}", "/x", "type", ""},
        {"{\"propertyNames\": {\"maxLength\": 1}}", "{\"xy\":1}", "/xy", "propertyNames", ""},
        {"{\"anyOf\": [{\"type\": \"string\"}, {\"items\": {\"type\": \"string\"}, \"type\": "
         "\"array\"}]}",
         "[1]", "", "anyOf", ""},
        {"{\"allOf\": [{}, {\"properties\": {\"a\": {\"not\": {}}}}]}", "{\"a\":1}", "/a", "not",
         ""},
        {"{\"if\": true, \"then\": {\"properties\": {\"a\": {\"const\": 1}}}}", "{\"a\":2}", "/a",
         "const", ""},
        {"{\"dependentRequired\": {\"a\": [\"b\"]}}", "{\"a\":2}", "", "dependentRequired", "b"},
        {"{\"items\": {\"$ref\": \"#/$defs/x\"}, \"$defs\": {\"x\": {\"enum\": [1]}}}", "[1,1,3]",
         "/2", "enum", ""},
        {"{\"items\": false}", "[1]", "/0", "false", ""},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct jschema_fault fault;
        struct rig rig;
        char pointer[JSCHEMA_POINTER_MAX + 1];

        rig_init(&rig, cases[i].schema, JSCHEMA_2020);
        assert_non_null(rig.schema);
        assert_int_equal(judge(&rig, cases[i].value, &fault), JSCHEMA_FAILS);
        snprintf(pointer, sizeof(pointer), "%.*s", (int)fault.pointer_len, fault.pointer);
        assert_string_equal(pointer, cases[i].pointer);
        assert_string_equal(fault.keyword, cases[i].keyword);
        assert_true(str_same(fault.name, text_of(cases[i].name)));
        rig_fini(&rig);
    }
}

static void test_long_pointers_are_cut(void **state)
{
    char value[1024];
    struct jschema_fault fault;
    struct rig rig;

    (void)state;
    memset(value, 'n', sizeof(value));
    memcpy(value, "{\"a\":{\"", 7);
    snprintf(value + 600, sizeof(value) - 600, "\":1}}");
    rig_init(&rig, "{\"additionalProperties\": {\"additionalProperties\": false}}", JSCHEMA_2020);
    assert_int_equal(judge(&rig, value, &fault), JSCHEMA_FAILS);
    assert_int_equal(fault.pointer_len, 2);
    assert_memory_equal(fault.pointer, "/a", 2);
    rig_fini(&rig);
}

/* --- what cannot be compiled */

static const struct {
    const char *schema, *words;
} mistakes[] = {
    {"[]", "s.json:1:1: error: a schema is a map, true or false"},
    {"{\"unevaluatedProperties\": false}",
     "s.json:1:2: error: this keyword is not supported, and would be ignored"},
    {"{\"$dynamicRef\": \"#x\"}",
     "s.json:1:2: error: this keyword is not supported, and would be ignored"},
    {"{\"type\": \"int\"}", "s.json:1:10: error: expected null, boolean, number"},
    {"{\"type\": []}", "s.json:1:10: error: the list is empty"},
    {"{\"minimum\": \"1\"}", "s.json:1:13: error: expected a number"},
    {"{\"minimum\": 01}", "s.json:1:13: error: expected a number"},
    {"{\"minLength\": -1}", "s.json:1:15: error: expected a whole number that is not negative"},
    {"{\"minLength\": 1.5}", "s.json:1:15: error: expected a whole number that is not negative"},
    {"{\"multipleOf\": 0}", "s.json:1:16: error: expected a number above 0 of at most 9 digits"},
    {"{\"multipleOf\": 1.234567891}",
     "s.json:1:16: error: expected a number above 0 of at most 9 digits"},
    {"{\"multipleOf\": -2}", "s.json:1:16: error: expected a number above 0"},
    {"{\"pattern\": \"a(b\"}", "s.json:1:13: error: bad regular expression at character 4"},
    {"{\"patternProperties\": {\"[\": {}}}", "s.json:1:24: error: bad regular expression"},
    {"{\"pattern\": \"\\\\C\"}", "s.json:1:13: error: bad regular expression"},
    {"{\"$ref\": \"other.json\"}", "s.json:1:10: error: only references into this file"},
    {"{\"$ref\": \"#/$defs/none\"}", "s.json:1:10: error: there is nothing of this name"},
    {"{\"$ref\": \"#/%zz\"}", "s.json:1:10: error: there is nothing of this name"},
    {"{\"$ref\": \"#anchor\"}", "s.json:1:10: error: only references into this file"},
    {"{\"$ref\": \"#\"}", "error: this schema refers to itself without an end"},
    {"{\"$defs\": {\"a\": {\"allOf\": [{\"$ref\": \"#/$defs/b\"}]}, \"b\": {\"not\": "
     "{\"$ref\": "
     "\"#/$defs/a\"}}}, \"$ref\": \"#/$defs/a\"}",
     "error: this schema refers to itself without an end"},
    {"{\"allOf\": []}", "s.json:1:11: error: expected a list of schemas"},
    {"{\"allOf\": {}}", "s.json:1:11: error: expected a list of schemas"},
    {"{\"properties\": []}", "s.json:1:16: error: expected a map"},
    {"{\"properties\": {\"a\": 1}}", "s.json:1:22: error: a schema is a map, true or false"},
    {"{\"required\": \"a\"}", "s.json:1:14: error: expected a list"},
    {"{\"required\": [[]]}", "s.json:1:15: error: expected a name"},
    {"{\"enum\": 1}", "s.json:1:10: error: expected a list"},
    {"{\"uniqueItems\": 1}", "s.json:1:17: error: expected true or false"},
    {"{\"contains\": {}, \"minContains\": -1}", "error: expected a whole number"},
    {"{\"dependentRequired\": {\"a\": 1}}", "error: expected a list of names"},
    {"{\"properties\": {\"a\": {\"$id\": \"http://x/\"}}}", "error: $id is supported at the root"},
    {"{\"$schema\": \"http://json-schema.org/draft-03/schema#\"}",
     "s.json:1:13: error: not a dialect that is known here"},
    {"{\"items\": [{}], \"prefixItems\": [{}]}", "error: a list of items and prefixItems"},
    {"{\"format\": 1, \"if\": 1}", "error: a schema is a map, true or false"},
};

static void test_errors(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
        struct rig rig;

        rig_init(&rig, mistakes[i].schema, JSCHEMA_2020);
        assert_null(rig.schema);
        if (!strstr(diag_report(&rig.diag).p, mistakes[i].words))
            fail_msg("%s: %s", mistakes[i].schema, diag_report(&rig.diag).p);
        rig_fini(&rig);
    }
}

static void test_unknown_keywords_are_warned_of(void **state)
{
    struct rig rig;

    (void)state;
    rig_init(&rig, "{\"requird\": [\"a\"], \"x-own\": 1, \"title\": \"t\", \"$comment\": \"c\"}",
             JSCHEMA_2020);
    assert_non_null(rig.schema);
    assert_int_equal(rig.diag.count, 1);
    assert_non_null(strstr(diag_report(&rig.diag).p, "did you mean \"required\"?"));
    rig_fini(&rig);
}

/* --- bounds */

static void test_backtracking_ends(void **state)
{
    struct jschema_fault fault;
    struct rig rig;

    (void)state;
    rig_init(&rig, "{\"pattern\": \"^(a+)+$\"}", JSCHEMA_2020);
    assert_int_equal(judge(&rig, "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", &fault),
                     JSCHEMA_TOO_COMPLEX);
    rig_fini(&rig);
    rig_init(&rig, "{\"not\": {\"items\": {\"pattern\": \"^(a+)+$\"}}}", JSCHEMA_2020);
    assert_int_equal(judge(&rig, "[\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"]", &fault),
                     JSCHEMA_TOO_COMPLEX);
    rig_fini(&rig);
}

static void test_patterns_have_a_time_together(void **state)
{
    static const char few[] = "[\"a\",\"a\",\"a\",\"a\",\"a\"]";
    static const char many[] = "[\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]";
    static uint64_t (*const working[2])(void) = {run_on, work_on};
    static uint64_t (*const waiting[2])(void) = {run_on, stand_still};
    struct jschema_fault fault;
    struct rig rig;

    (void)state;
    rig_init(&rig, "{\"items\": {\"pattern\": \"a\"}}", JSCHEMA_2020);
    assert_int_equal(judge_with(&rig, few, working, &fault), JSCHEMA_FITS);
    assert_int_equal(judge_with(&rig, many, working, &fault), JSCHEMA_TOO_COMPLEX);
    assert_int_equal(judge_with(&rig, many, waiting, &fault), JSCHEMA_FITS);
    rig_fini(&rig);
}

static uint64_t tick(void)
{
    return now_us += 10;
}

static uint64_t had(void)
{
    return now_us;
}

static void *fill(char *to, size_t len)
{
    to[0] = '"';
    memset(to + 1, 'a', len);
    memcpy(to + 1 + len, "\"", 2);
    return to;
}

/* No step of these is many, but each goes through the whole text: by the clocks alone it ends. */
static void test_long_texts_end(void **state)
{
    static const char *const schemas[] = {"{\"pattern\": \"^[a-z]*[a-z]*[0-9]$\"}",
                                          "{\"pattern\": \"[a-z]*[a-z]*[0-9]$\"}",
                                          "{\"not\": {\"pattern\": \"(?:[a-z]+x?)[0-9]\"}}"};
    enum { LONG = 10 * 1000 };
    static uint64_t (*const clocks[2])(void) = {tick, had};
    char *text = malloc(LONG + 3);
    struct jschema_fault fault;
    struct rig rig;

    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < ARRAY_LEN(schemas); i++) {
        uint64_t before_us = now_us;

        rig_init(&rig, schemas[i], JSCHEMA_2020);
        assert_int_equal(judge_with(&rig, fill(text, LONG), clocks, &fault), JSCHEMA_TOO_COMPLEX);
        assert_true(now_us - before_us < 2 * JSCHEMA_PATTERNS_US + 100);
        rig_fini(&rig);
    }
    rig_init(&rig, "{\"pattern\": \"^[a-z]+$\"}", JSCHEMA_2020);
    assert_int_equal(judge_with(&rig, text, clocks, &fault), JSCHEMA_FITS);
    rig_fini(&rig);
    free(text);
}

/* A number is read for each that it is compared with. */
static void test_long_numbers_cost(void **state)
{
    enum { LONG = 1000 * 1000, COUNT = 200 };
    char *text = malloc(LONG + 1), schema[4 * COUNT + 16] = "{\"enum\": [0";
    struct jschema_fault fault;
    struct rig rig;

    (void)state;
    assert_non_null(text);
    memset(text, '7', LONG);
    text[LONG] = '\0';
    for (int i = 0; i < COUNT; i++)
        strcat(schema, ",1");
    strcat(schema, "]}");
    rig_init(&rig, schema, JSCHEMA_2020);
    assert_int_equal(judge(&rig, text, &fault), JSCHEMA_TOO_COMPLEX);
    text[100] = '\0';
    assert_int_equal(judge(&rig, text, &fault), JSCHEMA_FAILS);
    rig_fini(&rig);
    free(text);
}

/* Each level asks both branches again: 2^60 without a bound. */
static void test_steps_end(void **state)
{
    char value[256];
    struct jschema_fault fault;
    struct rig rig;
    size_t n = 0;

    (void)state;
    for (; n < 60; n++)
        value[n] = '[';
    value[n++] = '1';
    for (int i = 0; i < 60; i++)
        value[n++] = ']';
    value[n] = '\0';
    rig_init(&rig,
             "{\"anyOf\": [{\"type\": \"array\", \"items\": {\"$ref\": \"#\"}}, {\"type\": "
             "\"array\", \"items\": {\"$ref\": \"#\"}, \"maxItems\": 1}]}",
             JSCHEMA_2020);
    assert_int_equal(judge(&rig, value, &fault), JSCHEMA_TOO_COMPLEX);
    rig_fini(&rig);
}

static void test_memory_ends(void **state)
{
    static char value[400000];
    struct jschema_ask ask = {.seed = 7, .now_us = stand_still, .cpu_us = stand_still};
    struct jschema_fault fault;
    struct doc_fault wrong;
    struct arena small;
    const struct doc_value *list;
    struct rig rig;
    size_t n = 0;

    (void)state;
    value[n++] = '[';
    for (int i = 0; i < 40000; i++)
        n += (size_t)sprintf(value + n, "%s%d", i ? "," : "", i);
    value[n++] = ']';
    value[n] = '\0';
    rig_init(&rig, "{\"uniqueItems\": true}", JSCHEMA_2020);
    assert_int_equal(judge(&rig, value, &fault), JSCHEMA_FITS);
    list = doc_read(text_of(value), &rig.arena, 7, &wrong);
    arena_init(&small, NULL, 100000);
    ask.scratch = &small;
    assert_int_equal(jschema_judge(rig.schema, list, &ask, &fault), JSCHEMA_TOO_COMPLEX);
    assert_null(doc_read(text_of(value), &small, 7, &wrong));
    assert_int_equal(wrong.problem, DOC_TOO_LARGE);
    arena_reset(&small);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suite),
        cmocka_unit_test(test_numbers_of_any_size),
        cmocka_unit_test(test_openapi_30),
        cmocka_unit_test(test_yaml),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_long_pointers_are_cut),
        cmocka_unit_test(test_errors),
        cmocka_unit_test(test_unknown_keywords_are_warned_of),
        cmocka_unit_test(test_backtracking_ends),
        cmocka_unit_test(test_patterns_have_a_time_together),
        cmocka_unit_test(test_long_texts_end),
        cmocka_unit_test(test_long_numbers_cost),
        cmocka_unit_test(test_steps_end),
        cmocka_unit_test(test_memory_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
