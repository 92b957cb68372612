/* SPDX-License-Identifier: Apache-2.0
 *
 * HTTP Message Signatures: the examples of RFC 9421, sections 2 and B.2.5, and what is refused of
 * Signature-Input, Signature and Content-Digest.
 */
#include "edge/auth/signature.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/auth/content_digest.h"
#include "base/mac.h"
#include "edge/auth/sf.h"

#define DIGEST                                                                                     \
    "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWX"   \
    "vJwew==:"

static struct str str_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

struct bench {
    struct arena arena;
    struct head head;
    struct signature_message message;
    struct signature_set set;
    struct signature signature;
};

static void add(struct bench *bench, const char *name, const char *value)
{
    struct str copy = arena_copy(&bench->arena, str_of(value));

    assert_int_equal(head_add(&bench->head, &bench->arena, str_of(name), copy), OK);
}

/* The test request of appendix B.2, or another target. */
static void begin(struct bench *bench, const char *path, const char *query)
{
    *bench = (struct bench){.message = {.scheme = STR("https"), .authority = STR("example.com")}};
    arena_init(&bench->arena, NULL, 0);
    assert_int_equal(head_init(&bench->head, &bench->arena, 8), OK);
    bench->message.head = &bench->head;
    bench->head.method = METHOD_POST;
    bench->head.method_name = STR("POST");
    bench->head.path = str_of(path);
    bench->head.query = query ? str_of(query) : STR_NONE;
    bench->head.authority = STR("example.com");
    bench->head.content_length = 18;
    add(bench, "Host", "example.com");
    add(bench, "Date", "Tue, 20 Apr 2021 02:07:55 GMT");
    add(bench, "Content-Type", "application/json");
    add(bench, "Content-Digest", DIGEST);
    add(bench, "Content-Length", "18");
}

static void end(struct bench *bench)
{
    arena_reset(&bench->arena);
}

static enum signature_fault read_one(struct bench *bench, const char *input)
{
    char text[3000];
    enum signature_fault fault;

    snprintf(text, sizeof(text), "sig=%s", input);
    add(bench, "Signature-Input", text);
    add(bench, "Signature", "sig=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:");
    fault = signature_set_read(&bench->set, &bench->head, &bench->arena);
    return fault ? fault : signature_read(&bench->signature, &bench->set, 0);
}

static void assert_base(struct bench *bench, const char *input, const char *want)
{
    struct str base = STR_NONE;

    assert_int_equal(read_one(bench, input), SIGNATURE_NONE);
    assert_int_equal(signature_base(&bench->signature, &bench->message, &bench->arena, &base),
                     SIGNATURE_NONE);
    if (!str_same(base, str_of(want)))
        fail_msg("made:\n%.*s\nwanted:\n%s", STR_FMT(base), want);
}

/* --- examples of the standard */

static void test_hmac_of_appendix_b(void **unused)
{
    static const char secret[] =
        "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
    struct bench bench;
    uint8_t key[64], sum[MAC_SIZE];
    struct mac *mac;
    struct str base;

    (void)unused;
    begin(&bench, "/foo", "param=Value&Pet=dog");
    assert_base(&bench,
                "(\"date\" \"@authority\" \"content-type\");created=1618884473;"
                "keyid=\"test-shared-secret\"",
                "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n"
                "\"@authority\": example.com\n"
                "\"content-type\": application/json\n"
                "\"@signature-params\": (\"date\" \"@authority\" \"content-type\")"
                ";created=1618884473;keyid=\"test-shared-secret\"");
    assert_int_equal(sf_bytes(STR(secret), key, sizeof(key)), 64);
    mac = mac_new((struct str){(const char *)key, sizeof(key)});
    assert_non_null(mac);
    assert_int_equal(signature_base(&bench.signature, &bench.message, &bench.arena, &base), 0);
    assert_true(mac_sum(mac, &base, 1, sum));
    assert_true(bench.signature.has_bytes && mac_same(sum, bench.signature.bytes));
    assert_int_equal(bench.signature.created, 1618884473);
    assert_true(str_same(bench.signature.keyid, STR("test-shared-secret")));
    sum[31] ^= 1;
    assert_false(mac_same(sum, bench.signature.bytes));
    mac_free(&mac);
    end(&bench);
}

static void test_base_of_section_2_5(void **unused)
{
    struct bench bench;

    (void)unused;
    begin(&bench, "/foo", "param=Value&Pet=dog");
    assert_base(&bench,
                "(\"@method\" \"@authority\" \"@path\" \"content-digest\" \"content-length\" "
                "\"content-type\");created=1618884473;keyid=\"test-key-rsa-pss\"",
                "\"@method\": POST\n\"@authority\": example.com\n\"@path\": /foo\n"
                "\"content-digest\": " DIGEST "\n\"content-length\": 18\n"
                "\"content-type\": application/json\n"
                "\"@signature-params\": (\"@method\" \"@authority\" \"@path\" \"content-digest\" "
                "\"content-length\" \"content-type\");created=1618884473;"
                "keyid=\"test-key-rsa-pss\"");
    end(&bench);
}

static const struct {
    const char *name, *value, *again; /* a field, once or twice */
    const char *component, *want;
} field_rows[] = {
    {"X-OWS-Header", "Leading and trailing whitespace.", NULL, "\"x-ows-header\"",
     "Leading and trailing whitespace."},
    {"Cache-Control", "max-age=60", "must-revalidate", "\"cache-control\"",
     "max-age=60, must-revalidate"},
    {"Example-Dict", "a=1,    b=2;x=1;y=2,   c=(a   b   c)", NULL, "\"example-dict\"",
     "a=1,    b=2;x=1;y=2,   c=(a   b   c)"},
    {"X-Empty-Header", "", NULL, "\"x-empty-header\"", ""},
    {"Example-Header", "value, with, lots", "of, commas", "\"example-header\"",
     "value, with, lots, of, commas"},
    {"Example-Header", "value, with, lots", "of, commas", "\"example-header\";bs",
     ":dmFsdWUsIHdpdGgsIGxvdHM=:, :b2YsIGNvbW1hcw==:"},
    {"Example-Header", "value, with, lots, of, commas", NULL, "\"example-header\";bs",
     ":dmFsdWUsIHdpdGgsIGxvdHMsIG9mLCBjb21tYXM=:"},
};

static void test_fields_of_section_2_1(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(field_rows); i++) {
        char input[100], want[300];
        struct bench bench;

        begin(&bench, "/", NULL);
        add(&bench, field_rows[i].name, field_rows[i].value);
        if (field_rows[i].again)
            add(&bench, field_rows[i].name, field_rows[i].again);
        snprintf(input, sizeof(input), "(%s)", field_rows[i].component);
        snprintf(want, sizeof(want), "%s: %s\n\"@signature-params\": %s", field_rows[i].component,
                 field_rows[i].want, input);
        assert_base(&bench, input, want);
        end(&bench);
    }
}

static const struct {
    const char *path, *query, *component, *want;
} derived_rows[] = {
    {"/path", "param=value", "\"@method\"", "POST"},
    {"/path", "param=value", "\"@target-uri\"", "https://example.com/path?param=value"},
    {"/path", "param=value", "\"@authority\"", "example.com"},
    {"/path", "param=value", "\"@scheme\"", "https"},
    {"/path", "param=value", "\"@request-target\"", "/path?param=value"},
    {"/path", NULL, "\"@request-target\"", "/path"},
    {"/path", "", "\"@request-target\"", "/path?"},
    {"/path", "param=value", "\"@path\"", "/path"},
    {"/path", "param=value&foo=bar&baz=bat%2Dman", "\"@query\"",
     "?param=value&foo=bar&baz=bat%2Dman"},
    {"/path", "queryString", "\"@query\"", "?queryString"},
    {"/path", NULL, "\"@query\"", "?"},
    {"/path", "param=value&foo=bar&baz=batman&qux=", "\"@query-param\";name=\"baz\"", "batman"},
    {"/path", "param=value&foo=bar&baz=batman&qux=", "\"@query-param\";name=\"qux\"", ""},
    {"/path", "a=b&flag&c=d", "\"@query-param\";name=\"flag\"", ""},
    {"/parameters",
     "var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20="
     "something",
     "\"@query-param\";name=\"var\"", "this%20is%20a%20big%0Amultiline%20value"},
    {"/parameters", "var=1&bar=with+plus+whitespace", "\"@query-param\";name=\"bar\"",
     "with%20plus%20whitespace"},
    {"/parameters", "fa%C3%A7ade%22%3A%20=something",
     "\"@query-param\";name=\"fa%C3%A7ade%22%3A%20\"", "something"},
    {"/path", "x=%7e%2a%zz%4", "\"@query-param\";name=\"x\"", "%7E*%25zz%254"},
};

static void test_derived_components_of_section_2_2(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(derived_rows); i++) {
        char input[100], want[300];
        struct bench bench;

        begin(&bench, derived_rows[i].path, derived_rows[i].query);
        snprintf(input, sizeof(input), "(%s)", derived_rows[i].component);
        snprintf(want, sizeof(want), "%s: %s\n\"@signature-params\": %s", derived_rows[i].component,
                 derived_rows[i].want, input);
        assert_base(&bench, input, want);
        end(&bench);
    }
}

static const struct {
    const char *scheme, *authority, *want;
} authorities[] = {
    {"https", "EXAMPLE.com:443", "example.com"},
    {"http", "example.com:80", "example.com"},
    {"http", "example.com:443", "example.com:443"},
    {"https", "example.com:8443", "example.com:8443"},
    {"https", "[::1]:443", "[::1]"},
};

static void test_authority_is_made_plain(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(authorities); i++) {
        struct bench bench;
        char want[100];

        begin(&bench, "/", NULL);
        bench.message.scheme = str_of(authorities[i].scheme);
        bench.message.authority = str_of(authorities[i].authority);
        snprintf(want, sizeof(want), "\"@authority\": %s\n\"@signature-params\": (\"@authority\")",
                 authorities[i].want);
        assert_base(&bench, "(\"@authority\")", want);
        end(&bench);
    }
}

static void test_forms_of_the_target(void **unused)
{
    struct bench bench;

    (void)unused;
    begin(&bench, "/path", "param=value");
    bench.head.form = TARGET_ABSOLUTE;
    bench.head.scheme = STR("http");
    assert_base(&bench, "(\"@request-target\")",
                "\"@request-target\": http://example.com/path?param=value\n"
                "\"@signature-params\": (\"@request-target\")");
    end(&bench);
    begin(&bench, "*", NULL);
    bench.head.form = TARGET_ASTERISK;
    assert_base(&bench, "(\"@request-target\" \"@target-uri\")",
                "\"@request-target\": *\n\"@target-uri\": https://example.com\n"
                "\"@signature-params\": (\"@request-target\" \"@target-uri\")");
    end(&bench);
}

static void test_lists_are_written_again_as_there_is_one_way_to(void **unused)
{
    struct bench bench;

    (void)unused;
    begin(&bench, "/", NULL);
    assert_base(&bench, "(  \"date\"   \"host\" ); created=5;a=?1;b;  c=?0;nonce=\"x\\\"y\"",
                "\"date\": Tue, 20 Apr 2021 02:07:55 GMT\n\"host\": example.com\n"
                "\"@signature-params\": (\"date\" \"host\");created=5;a;b;c=?0;nonce=\"x\\\"y\"");
    end(&bench);
    begin(&bench, "/", NULL);
    assert_base(&bench, "()", "\"@signature-params\": ()");
    end(&bench);
}

/* --- what is refused */

static const struct {
    const char *input;
    enum signature_fault fault;
} inputs[] = {
    {"", SIGNATURE_SYNTAX},
    {"1", SIGNATURE_SYNTAX},
    {"(", SIGNATURE_SYNTAX},
    {"(\"date\"", SIGNATURE_SYNTAX},
    {"(\"date)", SIGNATURE_SYNTAX},
    {"(date)", SIGNATURE_SYNTAX},
    {"(\"date\"\"host\")", SIGNATURE_SYNTAX},
    {"(\"date\"\t\"host\")", SIGNATURE_SYNTAX},
    {"(\"Date\")", SIGNATURE_SYNTAX},
    {"(\"\")", SIGNATURE_SYNTAX},
    {"(\"da te\")", SIGNATURE_SYNTAX},
    {"(\"da\\\"te\")", SIGNATURE_SYNTAX},
    {"(\"date\" \"date\")", SIGNATURE_SYNTAX},
    {"(\"date\";bs \"date\";bs)", SIGNATURE_SYNTAX},
    {"(\"@query-param\";name=\"a\" \"@query-param\";name=\"a\")", SIGNATURE_SYNTAX},
    {"(\"@signature-params\")", SIGNATURE_SYNTAX},
    {"(\"date\");created=1;created=1", SIGNATURE_SYNTAX},
    {"(\"date\");keyid=\"a\";keyid=\"a\"", SIGNATURE_SYNTAX},
    {"(\"date\");created=\"1\"", SIGNATURE_SYNTAX},
    {"(\"date\");created=1.5", SIGNATURE_SYNTAX},
    {"(\"date\");created=-1", SIGNATURE_SYNTAX},
    {"(\"date\");created=01", SIGNATURE_SYNTAX},
    {"(\"date\");created=1234567890123456", SIGNATURE_SYNTAX},
    {"(\"date\");created=", SIGNATURE_SYNTAX},
    {"(\"date\");created", SIGNATURE_SYNTAX},
    {"(\"date\");alg=hmac-sha256", SIGNATURE_SYNTAX},
    {"(\"date\");keyid=a", SIGNATURE_SYNTAX},
    {"(\"date\");A=1", SIGNATURE_SYNTAX},
    {"(\"date\") x", SIGNATURE_SYNTAX},
    {"(\"date\"),", SIGNATURE_SYNTAX},
    {"(\"date\"),,b=()", SIGNATURE_SYNTAX},
    {"(\"date\"), sig=(\"date\")", SIGNATURE_SYNTAX},
    {"(\"date\");x=@1", SIGNATURE_SYNTAX},
    {"(\"date\");x=%\"a\"", SIGNATURE_SYNTAX},
    {"(\"date\";sf)", SIGNATURE_COMPONENT},
    {"(\"date\";key=\"a\")", SIGNATURE_COMPONENT},
    {"(\"date\";tr)", SIGNATURE_COMPONENT},
    {"(\"@method\";req)", SIGNATURE_COMPONENT},
    {"(\"@method\";bs)", SIGNATURE_COMPONENT},
    {"(\"date\";bs=?0)", SIGNATURE_COMPONENT},
    {"(\"date\";bs;bs)", SIGNATURE_COMPONENT},
    {"(\"@query-param\";name=a)", SIGNATURE_COMPONENT},
    {"(\"date\";unknown=1)", SIGNATURE_COMPONENT},
};

static void test_inputs_that_are_refused(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(inputs); i++) {
        struct bench bench;
        enum signature_fault fault;

        begin(&bench, "/", "a=1");
        fault = read_one(&bench, inputs[i].input);
        if (fault != inputs[i].fault)
            fail_msg("%s: %s", inputs[i].input, signature_word(fault));
        end(&bench);
    }
}

static const struct {
    const char *component;
    enum signature_fault fault;
} bases[] = {
    {"\"x-absent\"", SIGNATURE_ABSENT_FIELD},
    {"\"@status\"", SIGNATURE_COMPONENT},
    {"\"@unknown\"", SIGNATURE_COMPONENT},
    {"\"@query-param\"", SIGNATURE_COMPONENT},
    {"\"@query-param\";name=\"b\"", SIGNATURE_ABSENT_FIELD},
    {"\"@query-param\";name=\"a\"", SIGNATURE_ABSENT_FIELD}, /* there twice, once encoded */
    {"\"x-twin\"", SIGNATURE_ABSENT_FIELD},                  /* and x_twin */
};

static void test_components_that_a_request_lacks(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(bases); i++) {
        struct bench bench;
        char input[100];
        struct str base;

        begin(&bench, "/", "a=1&%61=2");
        add(&bench, "X-Twin", "1");
        add(&bench, "x_twin", "2");
        snprintf(input, sizeof(input), "(%s)", bases[i].component);
        assert_int_equal(read_one(&bench, input), SIGNATURE_NONE);
        assert_int_equal(signature_base(&bench.signature, &bench.message, &bench.arena, &base),
                         bases[i].fault);
        end(&bench);
    }
}

static void test_too_much(void **unused)
{
    char text[2900] = "(";
    struct bench bench;

    (void)unused;
    for (unsigned i = 0; i < SIGNATURE_COMPONENTS_MAX + 1; i++)
        snprintf(text + strlen(text), 20, "\"a%u\" ", i);
    strcat(text, ")");
    begin(&bench, "/", NULL);
    assert_int_equal(read_one(&bench, text), SIGNATURE_SYNTAX);
    end(&bench);
    // Where it is cut there could be an end: it is malformed all the same.
    strcpy(text, "(\"date\");nonce=\"");
    memset(text + strlen(text), 'x', SIGNATURE_PARAMS_MAX - 17);
    strcpy(text + SIGNATURE_PARAMS_MAX - 1, "\"");
    begin(&bench, "/", NULL);
    assert_int_equal(read_one(&bench, text), SIGNATURE_NONE);
    end(&bench);
    strcat(text, ";a");
    begin(&bench, "/", NULL);
    assert_int_equal(read_one(&bench, text), SIGNATURE_SYNTAX);
    end(&bench);
}

static const struct {
    const char *input, *signature;
    enum signature_fault fault;
} sets[] = {
    {NULL, NULL, SIGNATURE_ABSENT},
    {"a=()", NULL, SIGNATURE_LABEL},
    {NULL, "a=:YQ==:", SIGNATURE_LABEL},
    {"a=()", "", SIGNATURE_SYNTAX},
    {"", "a=:YQ==:", SIGNATURE_SYNTAX},
    {"a=()", "a=YQ==", SIGNATURE_SYNTAX},
    {"a=()", "a=:YQ==", SIGNATURE_SYNTAX},
    {"a=()", "a=:YQ==:, a=:YQ==:", SIGNATURE_SYNTAX},
    {"a=()", "a=:YQ==:;x", SIGNATURE_SYNTAX},
    {"A=()", "A=:YQ==:", SIGNATURE_SYNTAX},
    {"a=(),b=(),c=(),d=(),e=(),f=(),g=(),h=(),i=()", "a=:YQ==:", SIGNATURE_SYNTAX},
    {"a=()", "b=:YQ==:", SIGNATURE_NONE}, /* to be told of a: it has no signature */
    {"a=(), b=()", "b=:YQ==:,\ta=:YQ==:", SIGNATURE_NONE},
};

static void test_sets_of_signatures(void **unused)
{
    struct arena arena;

    (void)unused;
    arena_init(&arena, NULL, 0);
    for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
        struct signature_set set;
        struct head head;
        enum signature_fault fault;

        assert_int_equal(head_init(&head, &arena, 2), OK);
        if (sets[i].input)
            assert_int_equal(head_add(&head, &arena, STR("signature-input"), str_of(sets[i].input)),
                             OK);
        if (sets[i].signature)
            assert_int_equal(head_add(&head, &arena, STR("SIGNATURE"), str_of(sets[i].signature)),
                             OK);
        fault = signature_set_read(&set, &head, &arena);
        if (fault != sets[i].fault)
            fail_msg("row %zu: %s", i, signature_word(fault));
    }
    arena_reset(&arena);
}

/* Bytes that are no HMAC-SHA-256 are read, and never good. */
static void test_signatures_of_other_sizes(void **unused)
{
    static const char *const digits[] = {"",
                                         "YQ==",
                                         "YQ",
                                         "YR==",
                                         "a b=",
                                         "pxcQw6G3AjtMBQjwo8XzkZ"
                                         "f_bws5LelbaMk5rGIGtE8="};
    struct bench bench;

    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(digits); i++) {
        char text[100];

        begin(&bench, "/", NULL);
        snprintf(text, sizeof(text), "sig=:%s:", digits[i]);
        add(&bench, "Signature-Input", "sig=()");
        add(&bench, "Signature", text);
        assert_int_equal(signature_set_read(&bench.set, &bench.head, &bench.arena), 0);
        assert_int_equal(signature_read(&bench.signature, &bench.set, 0), SIGNATURE_NONE);
        assert_false(bench.signature.has_bytes);
        end(&bench);
    }
}

static void test_what_a_signature_covers(void **unused)
{
    struct bench bench;

    (void)unused;
    begin(&bench, "/", NULL);
    assert_int_equal(read_one(&bench, "(\"@target-uri\" \"date\";bs)"), SIGNATURE_NONE);
    assert_true(signature_covers(&bench.signature, STR("@path")));
    assert_true(signature_covers(&bench.signature, STR("@query")));
    assert_true(signature_covers(&bench.signature, STR("@authority")));
    assert_true(signature_covers(&bench.signature, STR("date")));
    assert_false(signature_covers(&bench.signature, STR("@method")));
    assert_false(signature_covers(&bench.signature, STR("host")));
    end(&bench);
}

/* --- digests (RFC 9530, appendix B) */

#define SUM256 "sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:"

static const struct {
    const char *value;
    bool is_read, is_it; /* of {"hello": "world"} and a line feed, but for the last ones */
} digests[] = {
    {DIGEST, true, true},
    {SUM256, true, true},
    {SUM256 ", " DIGEST, true, true},
    {"md5=:YQ==:, " SUM256, true, true},
    {SUM256 ";a=1", true, true},
    {"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPA=:", true, false},
    {"sha-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPA=:, " DIGEST, true, false},
    {SUM256 ", " SUM256, false, false},
    {SUM256 ",", false, false},
    {"", false, false},
    {"md5=:YQ==:", false, false},
    {"sha-256=:YQ==:", false, false},
    {"sha-256=\"X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=\"", false, false},
    {"sha-256", false, false},
    {"sha-256=", false, false},
    {"SHA-256=:X48E9qOokqqrvdts8nOJRJN3OWDUoyWxBf7kbu9DBPE=:", false, false},
    {"a=1,b=1,c=1,d=1,e=1,f=1,g=1,h=1," SUM256, false, false},
};

static void test_digests(void **unused)
{
    (void)unused;
    for (size_t i = 0; i < ARRAY_LEN(digests); i++) {
        struct content_digest digest;
        bool is_read = content_digest_read(str_of(digests[i].value), &digest);
        const char *content = "{\"hello\": \"world\"}";

        if (is_read != digests[i].is_read)
            fail_msg("%s", digests[i].value);
        if (is_read && content_digest_is(&digest, str_of(content)) != digests[i].is_it)
            fail_msg("%s: of the content?", digests[i].value);
        assert_false(is_read && content_digest_is(&digest, STR("")));
    }
    assert_false(content_digest_read(STR_NONE, &(struct content_digest){.has_256 = false}));
}

/* --- HMAC-SHA-256 (RFC 4231) */

static void test_mac(void **unused)
{
    static const char want[] = "\x5b\xdc\xc1\x46\xbf\x60\x75\x4e\x6a\x04\x24\x26\x08\x95\x75\xc7"
                               "\x5a\x00\x3f\x08\x9d\x27\x39\x83\x9d\xec\x58\xb9\x64\xec\x38\x43";
    static const char large[] = "\x60\xe4\x31\x59\x1e\xe0\xb6\x7f\x0d\x8a\x26\xaa\xcb\xf5\xb7\x7f"
                                "\x8e\x0b\xc6\x21\x37\x28\xc5\x14\x05\x46\x04\x0f\x0e\xe3\x7f\x54";
    const struct str parts[] = {STR("what do ya "), STR(""), STR("want for nothing?")};
    const struct str message = STR("Test Using Larger Than Block-Size Key - Hash Key First");
    struct mac *mac = mac_new(STR("Jefe"));
    uint8_t sum[MAC_SIZE];
    char key[131];

    (void)unused;
    assert_true(mac_sum(mac, parts, 3, sum));
    assert_memory_equal(sum, want, MAC_SIZE);
    mac_free(&mac);
    assert_null(mac);
    mac_free(&mac);
    memset(key, 0xaa, sizeof(key));
    mac = mac_new((struct str){key, sizeof(key)});
    assert_true(mac_sum(mac, &message, 1, sum));
    assert_memory_equal(sum, large, MAC_SIZE);
    mac_free(&mac);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hmac_of_appendix_b),
        cmocka_unit_test(test_base_of_section_2_5),
        cmocka_unit_test(test_fields_of_section_2_1),
        cmocka_unit_test(test_derived_components_of_section_2_2),
        cmocka_unit_test(test_authority_is_made_plain),
        cmocka_unit_test(test_forms_of_the_target),
        cmocka_unit_test(test_lists_are_written_again_as_there_is_one_way_to),
        cmocka_unit_test(test_inputs_that_are_refused),
        cmocka_unit_test(test_components_that_a_request_lacks),
        cmocka_unit_test(test_too_much),
        cmocka_unit_test(test_sets_of_signatures),
        cmocka_unit_test(test_signatures_of_other_sizes),
        cmocka_unit_test(test_what_a_signature_covers),
        cmocka_unit_test(test_digests),
        cmocka_unit_test(test_mac),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
