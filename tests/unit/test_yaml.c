/* SPDX-License-Identifier: Apache-2.0
 *
 * YAML to nodes: kinds, texts, spans to the byte, surrogate pairs, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/tree.h"

struct bench {
    struct arena arena;
    struct diag diag;
};

static int set_up(void **state)
{
    static struct bench bench;

    arena_init(&bench.arena, NULL, 0);
    diag_init(&bench.diag, &bench.arena);
    *state = &bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    return 0;
}

static struct node *parse(struct bench *bench, struct str text)
{
    const struct source *source = diag_source(&bench->diag, STR("x.yaml"), text);

    return yaml_read(source, &bench->arena, &bench->diag);
}

/* The value of a one-key map {a: ...}. */
static struct node *parse_a(struct bench *bench, struct str text)
{
    struct node *root = parse(bench, text);

    assert_non_null(root);
    assert_int_equal(bench->diag.errors, 0);
    return tree_get(root, STR("a"));
}

static void assert_text(const struct node *node, struct str text)
{
    assert_int_equal(node->kind, NODE_SCALAR);
    assert_int_equal(node->text.len, text.len);
    assert_memory_equal(node->text.p, text.p, text.len);
}

/* The bytes that the span covers. */
static void assert_span(const struct node *node, const char *bytes)
{
    assert_int_equal(node->length, strlen(bytes));
    assert_memory_equal(node->source->text.p + node->offset, bytes, node->length);
}

static void refuses(struct bench *bench, struct str text, const char *place, const char *error)
{
    const struct diag_entry *entry = &bench->diag.entries[bench->diag.count];
    unsigned before = bench->diag.errors;
    struct str at;

    parse(bench, text);
    if (bench->diag.errors == before)
        fail_msg("taken: %.*s", STR_FMT(text));
    at = diag_place(&bench->diag, entry->at);
    assert_string_equal(entry->text.p, error);
    assert_string_equal(at.p, place);
}

static void spans_are_of_the_value(void **state)
{
    struct bench *bench = *state;
    struct node *root = parse(bench, STR("# c\na: plain # d\nb: \"quo\\ted\"\nc: [x, 'it''s']\n"));
    struct node *list = tree_get(root, STR("c"));

    assert_span(tree_get(root, STR("a")), "plain");
    assert_span(tree_get(root, STR("b")), "\"quo\\ted\"");
    assert_text(tree_get(root, STR("b")), STR("quo\ted"));
    assert_int_equal(list->kind, NODE_LIST);
    assert_span(list->child.first, "x");
    assert_span(list->child.last, "'it''s'");
    assert_text(list->child.last, STR("it's"));
}

static void spans_count_bytes(void **state)
{
    struct node *root =
        parse(*state, STR("\xc3\xa9: \xe2\x82\xac\nb: [\xf0\x9f\x98\x80, end]\r\nc: last\n"));

    assert_span(tree_get(root, STR("\xc3\xa9")), "\xe2\x82\xac");
    assert_span(tree_get(root, STR("b"))->child.last, "end");
    assert_span(tree_get(root, STR("c")), "last");
}

static void json_is_yaml(void **state)
{
    struct node *root =
        parse(*state, STR("{\"a\": [1, true, null], \"b\": {\"c\": \"\\u20ac\\/\"}}"));
    struct node *list = tree_get(root, STR("a"));

    assert_text(list->child.first, STR("1"));
    assert_true(tree_is_null(list->child.last));
    assert_text(tree_get(tree_get(root, STR("b")), STR("c")), STR("\xe2\x82\xac/"));
}

static void words_mean_the_same_with_quotes_but_null_does_not(void **state)
{
    struct node *root = parse(*state, STR("a: off\nb: \"off\"\nc: ~\nd: ''\ne:\n"));

    assert_true(tree_is_word(tree_get(root, STR("a")), "off"));
    assert_true(tree_is_word(tree_get(root, STR("b")), "off")); // JSON has no other way to write it
    assert_true(tree_is_null(tree_get(root, STR("c"))));
    assert_false(tree_is_null(tree_get(root, STR("d"))));
    assert_true(tree_is_null(tree_get(root, STR("e"))));
}

static void surrogate_pairs_are_characters(void **state)
{
    struct bench *bench = *state;

    assert_text(parse_a(bench, STR("{\"a\": \"x\\ud83d\\ude00y\"}")), STR("x\xf0\x9f\x98\x80y"));
    assert_text(parse_a(bench, STR("{\"a\": \"\\uD800\\uDC00\\uDBFF\\uDFFF\"}")),
                STR("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"));
    assert_span(parse_a(bench, STR("\"b\": \"\\ud83d\\ude00\"\na: here\n")), "here");
}

static void surrogates_elsewhere_are_text(void **state)
{
    struct bench *bench = *state;

    assert_text(parse_a(bench, STR("a: '\\ud83d\\ude00'\nb: \"\\ud83d\\ude00\"\n")),
                STR("\\ud83d\\ude00"));
    assert_text(parse_a(bench, STR("a: \\uD83D\\uDE00\n")), STR("\\uD83D\\uDE00"));
    assert_text(parse_a(bench, STR("a: \"\\\\ud83d\\\\ude00\"\n")), STR("\\ud83d\\ude00"));
    assert_text(parse_a(bench, STR("# \\ud83d\\ude00\na: \"\\ud83d\\ude01\"\n")),
                STR("\xf0\x9f\x98\x81"));
    assert_text(parse_a(bench, STR("a: \"\\ue03d\\ue600\"\n")), STR("\xee\x80\xbd\xee\x98\x80"));
}

static void half_pairs_are_refused(void **state)
{
    refuses(*state, STR("a: \"\\ud83d\"\n"), "x.yaml:1:7",
            "half of a surrogate pair is no character");
    refuses(*state, STR("a: \"\\ud83d\\ude00\\ue03d\\ue600\"\n"), "x.yaml:1:4",
            "cannot tell surrogate escapes from private-use ones; write the characters");
}

static void refuses_what_is_no_configuration(void **state)
{
    refuses(*state, STR("a: &x 1\n"), "x.yaml:1:4", "anchors and aliases are not allowed");
    refuses(*state, STR("a: 1\nb: *x\n"), "x.yaml:2:4", "anchors and aliases are not allowed");
    refuses(*state, STR("a: !!str 1\n"), "x.yaml:1:4", "tags are not allowed");
    refuses(*state, STR("a: 1\n---\nb: 2\n"), "x.yaml:2:1", "a second document: a file holds one");
    refuses(*state, STR("a: 1\nb:\n\t- c\n"), "x.yaml:3:1", "a tab cannot be used for indentation");
    refuses(*state, STR("a: @b\n"), "x.yaml:1:4", "a value cannot begin with '@'");
    refuses(*state, STR("a: \"b\\0c\"\n"), "x.yaml:1:4", "a value cannot hold a NUL character");
    refuses(*state, STR("[a]: b\n"), "x.yaml:1:1", "a key must be a single value");
    refuses(*state, STR("a: 1\nb: 2\na: 3\n"), "x.yaml:3:1", "key \"a\" is written twice");
    refuses(*state, STR("a: b: c\n"), "x.yaml:1:5", "a key cannot stand here");
    refuses(*state, STR("a: \"b\n"), "x.yaml:1:4", "a quote is never closed");
}

static void duplicates_among_many_are_found(void **state)
{
    struct bench *bench = *state;
    char text[2048];
    size_t len = 0;

    for (int i = 0; i < 100; i++)
        len += (size_t)sprintf(text + len, "k%d: %d\n", i, i);
    len += (size_t)sprintf(text + len, "k42: 1\n");
    refuses(bench, (struct str){text, len}, "x.yaml:101:1", "key \"k42\" is written twice");
    assert_string_equal(bench->diag.entries[0].hint.p, "first on line 43");
}

static void long_keys_are_named(void **state)
{
    static const char *const forms[] = {"%s: 1\n", "a:\n  b:\n    %s: 1\n", "{\"%s\": 1}\n",
                                        "{%s: 1}\n", "x: 1\n%s: 1\n"};
    char key[1300], text[1400];

    memset(key, 'k', sizeof(key) - 1);
    key[sizeof(key) - 1] = '\0';
    for (size_t i = 0; i < ARRAY_LEN(forms); i++) {
        struct bench *bench = *state;
        unsigned count = bench->diag.count;
        struct str s = {text, 0};
        s.len = (size_t)sprintf(text, forms[i], key);
        assert_null(parse(bench, s));
        assert_int_equal(bench->diag.count, count + 1);
        assert_string_equal(bench->diag.entries[count].text.p, "a key is longer than 1,024 bytes");
    }
}

static void depth_is_bounded(void **state)
{
    struct bench *bench = *state;
    char text[200];

    memset(text, '[', sizeof(text));
    assert_null(parse(bench, (struct str){text, sizeof(text)}));
    assert_string_equal(bench->diag.entries[0].text.p, "nested more than 64 deep");
    bench->diag.errors = bench->diag.count = 0;
    memset(text + 64, ']', 64);
    assert_non_null(parse(bench, (struct str){text, 128}));
}

static void bad_bytes_are_placed(void **state)
{
    struct bench *bench = *state;

    assert_null(parse(bench, STR("a: b\nc: \xff\n")));
    assert_string_equal(diag_place(&bench->diag, bench->diag.entries[0].at).p, "x.yaml:2:4");
}

static void an_empty_file_is_an_empty_map(void **state)
{
    struct node *root = parse(*state, STR("# nothing\n"));

    assert_int_equal(root->kind, NODE_MAP);
    assert_null(root->child.first);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(spans_are_of_the_value),
        TEST(spans_count_bytes),
        TEST(json_is_yaml),
        TEST(words_mean_the_same_with_quotes_but_null_does_not),
        TEST(surrogate_pairs_are_characters),
        TEST(surrogates_elsewhere_are_text),
        TEST(half_pairs_are_refused),
        TEST(refuses_what_is_no_configuration),
        TEST(duplicates_among_many_are_found),
        TEST(long_keys_are_named),
        TEST(depth_is_bounded),
        TEST(bad_bytes_are_placed),
        TEST(an_empty_file_is_an_empty_map),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
