/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of validate/openapi*.c: which operation a request is, and its parameters.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "edge/validate/openapi.h"

struct rig {
    struct arena arena;
    struct diag diag;
    struct jschema_book book;
    const struct openapi *api;
};

static uint64_t stand_still(void)
{
    return 0;
}

static struct str text_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

static void rig_init(struct rig *rig, const char *document, struct str base)
{
    memset(rig, 0, sizeof(*rig));
    arena_init(&rig->arena, NULL, 0);
    diag_init(&rig->diag, &rig->arena);
    rig->book.arena = &rig->arena;
    rig->book.diag = &rig->diag;
    rig->book.root = yaml_read(diag_source(&rig->diag, STR("api.yaml"), text_of(document)),
                               &rig->arena, &rig->diag);
    assert_non_null(rig->book.root);
    rig->api = openapi_compile(&rig->book, base);
}

static void rig_fini(struct rig *rig)
{
    ecma_free(&rig->book.patterns);
    arena_reset(&rig->arena);
}

static void rig_good(struct rig *rig, const char *document, struct str base)
{
    rig_init(rig, document, base);
    if (!rig->api)
        fail_msg("%s", diag_report(&rig->diag).p);
}

/* --- paths */

#define DOCUMENT(rest) "openapi: 3.1.0\ninfo: {title: t, version: '1'}\n" rest

static const char *find(struct rig *rig, const char *path, struct openapi_match *match)
{
    if (!openapi_find(rig->api, text_of(path), match))
        return NULL;
    return arena_copy(&rig->arena, match->path).p;
}

static void test_paths(void **state)
{
    static const char document[] = DOCUMENT("paths:\n"
                                            "  /: {get: {}}\n"
                                            "  /users/{id}: {get: {}}\n"
                                            "  /users/me: {get: {}}\n"
                                            "  /users/{name}/posts: {get: {}}\n"
                                            "  /users/me/likes: {get: {}}\n"
                                            "  /files/{name}.{kind}: {get: {}}\n"
                                            "  /at/v{n}x: {get: {}}\n"
                                            "  /slash/: {get: {}}\n");
    static const struct {
        const char *path, *found;
    } cases[] = {
        {"/", "/"},
        {"/users/7", "/users/{id}"},
        {"/users/me", "/users/me"},
        {"/users/me/posts", "/users/{name}/posts"},
        {"/users/me/likes", "/users/me/likes"},
        {"/users/you/likes", NULL},
        {"/users/", NULL},
        {"/users", NULL},
        {"/users/7/", NULL},
        {"/Users/7", NULL},
        {"/files/a.b", "/files/{name}.{kind}"},
        {"/files/a.b.c", "/files/{name}.{kind}"},
        {"/files/a", NULL},
        {"/files/.b", NULL},
        {"/files/a.", NULL},
        {"/at/v1x", "/at/v{n}x"},
        {"/at/v1x2x", "/at/v{n}x"},
        {"/at/vx", NULL},
        {"/at/v", NULL},
        {"/slash/", "/slash/"},
        {"/slash", NULL},
        {"*", NULL},
    };
    struct openapi_match match;
    struct rig rig;

    (void)state;
    rig_good(&rig, document, STR_NONE);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const char *found = find(&rig, cases[i].path, &match);

        if (!found != !cases[i].found || (found && strcmp(found, cases[i].found) != 0))
            fail_msg("%s is %s", cases[i].path, found ? found : "nothing");
    }
    find(&rig, "/at/v1x2x", &match);
    assert_int_equal(match.count, 1);
    assert_true(str_same(match.values[0].text, STR("1x2")));
    find(&rig, "/users/me/posts", &match);
    assert_int_equal(match.count, 1);
    assert_true(str_same(match.values[0].name, STR("name")));
    rig_fini(&rig);
}

static void test_bases(void **state)
{
    static const struct {
        const char *servers, *base, *good, *bad;
    } cases[] = {
        {"", NULL, "/a", "/v1/a"},
        {"servers: [{url: /v1}]\n", NULL, "/v1/a", "/a"},
        {"servers: [{url: /v1/}]\n", NULL, "/v1/a", "/v1//a"},
        {"servers: [{url: 'https://x.org'}]\n", NULL, "/a", "/x.org/a"},
        {"servers: [{url: 'https://x.org/v1'}]\n", NULL, "/v1/a", "/v1"},
        {"servers: [{url: 'https://{h}.x.org/{v}', variables: {h: {default: a}, v: {default: "
         "v2}}}]\n",
         NULL, "/v2/a", "/v1/a"},
        {"servers: [{url: /v1}, {url: /v2}]\n", NULL, "/v2/a", "/v3/a"},
        {"servers: [{url: /v1}]\n", "/shop/", "/shop/a", "/v1/a"},
        {"servers: [{url: /v1}]\n", "/", "/a", "/v1/a"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        char document[512];
        struct openapi_match match;
        struct rig rig;

        snprintf(document, sizeof(document), DOCUMENT("%spaths: {/a: {get: {}}}\n"),
                 cases[i].servers);
        rig_good(&rig, document, cases[i].base ? text_of(cases[i].base) : STR_NONE);
        assert_non_null(find(&rig, cases[i].good, &match));
        assert_null(find(&rig, cases[i].bad, &match));
        rig_fini(&rig);
    }
}

static void test_methods(void **state)
{
    struct openapi_match match;
    struct rig rig;

    (void)state;
    rig_good(&rig, DOCUMENT("paths: {/a: {get: {}, post: {operationId: make}}, /b: {head: {}}}\n"),
             STR_NONE);
    find(&rig, "/a", &match);
    assert_true(str_same(openapi_method(match.item, STR("POST"))->name, STR("make")));
    assert_ptr_equal(openapi_method(match.item, STR("HEAD")),
                     openapi_method(match.item, STR("GET")));
    assert_null(openapi_method(match.item, STR("PUT")));
    assert_null(openapi_method(match.item, STR("post")));
    assert_true(str_same(openapi_allow(match.item), STR("GET, HEAD, POST")));
    find(&rig, "/b", &match);
    assert_null(openapi_method(match.item, STR("GET")));
    assert_true(str_same(openapi_allow(match.item), STR("HEAD")));
    rig_fini(&rig);
}

/* --- parameters */

static const char parameters[] = DOCUMENT(
    "components:\n"
    "  parameters:\n"
    "    limit: {name: limit, in: query, schema: {type: integer, minimum: 1, maximum: 100}}\n"
    "paths:\n"
    "  /p/{id}:\n"
    "    parameters:\n"
    "    - {name: id, in: path, required: true, schema: {type: integer}}\n"
    "    - {name: x, in: query, schema: {type: string}}\n"
    "    get:\n"
    "      parameters:\n"
    "      - {$ref: '#/components/parameters/limit'}\n"
    "      - {name: x, in: query, schema: {type: boolean}}\n"
    "      - {name: tags, in: query, schema: {type: array, items: {type: string, maxLength: 3}, "
    "maxItems: 2}}\n"
    "      - {name: ids, in: query, explode: false, schema: {type: array, items: {type: "
    "integer}}}\n"
    "      - {name: pipes, in: query, style: pipeDelimited, schema: {type: array, items: {type: "
    "integer}}}\n"
    "      - {name: either, in: query, schema: {type: [integer, string], maxLength: 2, maximum: "
    "50}}\n"
    "      - {name: flag, in: query, allowEmptyValue: true, schema: {type: integer}}\n"
    "      - {name: json, in: query, content: {application/json: {schema: {type: object, required: "
    "[a]}}}}\n"
    "      - {name: X-Key, in: header, required: true, schema: {type: string, format: uuid}}\n"
    "      - {name: X-List, in: header, schema: {type: array, items: {type: integer}}}\n"
    "      - {name: Accept, in: header, required: true, schema: {type: integer}}\n"
    "      - {name: c, in: cookie, schema: {type: integer}}\n");

struct ask {
    const char *path, *query, *name, *value;
    const char *in, *at, *keyword; /* where and why it fails; NULL: it does not */
};

static void check(struct rig *rig, const struct ask *ask)
{
    const struct jschema_ask with = {&rig->arena, 7, stand_still, stand_still};
    const struct openapi_operation *operation;
    struct openapi_fault fault;
    struct openapi_match match;
    struct head head;
    enum jschema_answer answer;

    assert_int_equal(head_init(&head, &rig->arena, 4), OK);
    head.query = ask->query ? text_of(ask->query) : STR_NONE;
    if (!ask->name || strcmp(ask->name, "X-Key") != 0)
        assert_int_equal(head_add(&head, &rig->arena, STR("x-key"),
                                  STR("2eb8aa08-aa98-11ea-b4aa-73b441d16380")),
                         OK);
    if (ask->name)
        assert_int_equal(head_add(&head, &rig->arena, text_of(ask->name), text_of(ask->value)), OK);
    assert_true(openapi_find(rig->api, text_of(ask->path), &match));
    operation = openapi_method(match.item, STR("GET"));
    answer = openapi_judge(operation, &match, &head, &with, &fault);
    if (answer != (ask->keyword ? JSCHEMA_FAILS : JSCHEMA_FITS))
        fail_msg("%s?%s: %d %s", ask->path, ask->query ? ask->query : "", answer,
                 answer ? fault.why.keyword : "");
    if (!ask->keyword)
        return;
    assert_string_equal(fault.why.keyword, ask->keyword);
    assert_string_equal(fault.in, ask->in);
    assert_true(str_same(fault.name, text_of(ask->at)));
}

static const struct ask asks[] = {
    {"/p/7", NULL, NULL, NULL, NULL, NULL, NULL},
    {"/p/x", NULL, NULL, NULL, "path", "id", "type"},
    {"/p/7.0", NULL, NULL, NULL, NULL, NULL, NULL},
    {"/p/%37", NULL, NULL, NULL, NULL, NULL, NULL},
    {"/p/%zz", NULL, NULL, NULL, "path", "id", "encoding"},
    {"/p/%ff", NULL, NULL, NULL, "path", "id", "encoding"},
    {"/p/07", NULL, NULL, NULL, "path", "id", "type"},
    {"/p/1", "limit=1&&other=%20", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "limit=0", NULL, NULL, "query", "limit", "minimum"},
    {"/p/1", "limit=101", NULL, NULL, "query", "limit", "maximum"},
    {"/p/1", "limit=", NULL, NULL, "query", "limit", "type"},
    {"/p/1", "limit", NULL, NULL, "query", "limit", "type"},
    {"/p/1", "l%69mit=x", NULL, NULL, "query", "limit", "type"},
    {"/p/1", "limit=1&limit=2", NULL, NULL, "query", "limit", "repeated"},
    {"/p/1", "limit=%31%30", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "limit=5;x=1", NULL, NULL, "query", "limit", "type"},
    {"/p/1", "z=%", NULL, NULL, "query", "x", "encoding"},
    {"/p/1", "x=true", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "x=yes", NULL, NULL, "query", "x", "type"},
    {"/p/1", "x=1", NULL, NULL, "query", "x", "type"},
    {"/p/1", "tags=a&tags=b", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "tags=a&tags=b&tags=c", NULL, NULL, "query", "tags", "maxItems"},
    {"/p/1", "tags=1&tags=long", NULL, NULL, "query", "tags", "maxLength"},
    {"/p/1", "ids=1,2,3", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "ids=1%2C2", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "ids=1,x", NULL, NULL, "query", "ids", "type"},
    {"/p/1", "ids=1&ids=2", NULL, NULL, "query", "ids", "repeated"},
    {"/p/1", "pipes=1|2", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "pipes=1%7Cx", NULL, NULL, "query", "pipes", "type"},
    {"/p/1", "either=12", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "either=99", NULL, NULL, NULL, NULL, NULL}, // as a text
    {"/p/1", "either=123", NULL, NULL, "query", "either", "maximum"},
    {"/p/1", "either=ab", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "either=abc", NULL, NULL, "query", "either", "maxLength"},
    {"/p/1", "flag", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "flag=x", NULL, NULL, "query", "flag", "type"},
    {"/p/1", "json=%7B%22a%22%3A1%7D", NULL, NULL, NULL, NULL, NULL},
    {"/p/1", "json={}", NULL, NULL, "query", "json", "required"},
    {"/p/1", "json={", NULL, NULL, "query", "json", "content"},
    {"/p/1", NULL, "X-Key", "no", "header", "X-Key", "format"},
    {"/p/1", NULL, "X-List", "1, 2 ,3", NULL, NULL, NULL},
    {"/p/1", NULL, "x-list", "1,x", "header", "X-List", "type"},
    {"/p/1", NULL, "X-List", "\xff", "header", "X-List", "encoding"},
    {"/p/1", NULL, "Cookie", "a=1; c=2", NULL, NULL, NULL},
    {"/p/1", NULL, "Cookie", "c=x", "cookie", "c", "type"},
    {"/p/1", NULL, "Cookie", "c=1; c=x", "cookie", "c", "repeated"},
    {"/p/1", NULL, "Cookie", "c=1;c=1;c=1", "cookie", "c", "repeated"},
    {"/p/1", NULL, "x-key", "2eb8aa08-aa98-11ea-b4aa-73b441d16380", "header", "X-Key", "repeated"},
};

static void test_parameters(void **state)
{
    static const struct ask none = {"/p/1", NULL, "X-Key", "", "header", "X-Key", "format"};
    struct rig rig;

    (void)state;
    rig_good(&rig, parameters, STR_NONE);
    for (size_t i = 0; i < ARRAY_LEN(asks); i++)
        check(&rig, &asks[i]);
    check(&rig, &none);
    rig_fini(&rig);
}

/* --- bodies */

static void test_media(void **state)
{
    static const char document[] = DOCUMENT(
        "paths: {/a: {post: {requestBody: {content: {application/json: {schema: {type: object}}, "
        "'text/*': {}, 'application/vnd.a+json; charset=utf-8': {}}}}}, /b: {post: {requestBody: "
        "{$ref: '#/components/requestBodies/any'}}}}\n"
        "components: {requestBodies: {any: {required: true, content: {'*/*': {}}}}}\n");
    static const struct {
        const char *type;
        bool is_taken;
    } cases[] = {
        {"application/json", true},   {"Application/JSON; charset=utf-8", true},
        {"text/plain", true},         {"application/vnd.a+json", true},
        {"application/xml", false},   {"", false},
        {"application/json2", false}, {"json", false},
    };
    const struct openapi_body *body;
    struct openapi_match match;
    struct rig rig;

    (void)state;
    rig_good(&rig, document, STR_NONE);
    find(&rig, "/a", &match);
    body = openapi_method(match.item, STR("POST"))->body;
    assert_false(body->is_required);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        assert_int_equal(openapi_find_media(body, text_of(cases[i].type)) != NULL,
                         cases[i].is_taken);
    find(&rig, "/b", &match);
    body = openapi_method(match.item, STR("POST"))->body;
    assert_true(body->is_required);
    assert_non_null(openapi_find_media(body, STR("image/png")));
    assert_null(openapi_find_media(body, STR("")));
    rig_fini(&rig);
}

/* --- errors */

static void test_errors(void **state)
{
    static const struct {
        const char *document, *words;
    } cases[] = {
        {"swagger: '2.0'", "expected a document with openapi: 3.0.x or 3.1.x"},
        {"[]", "expected a document with openapi"},
        {"openapi: 3.2.0", "api.yaml:1:10: error: expected a document with openapi"},
        {"openapi: 3.0.0", "expected a map of paths"},
        {"openapi: 3.0.0\npaths: []", "api.yaml:2:8: error: expected a map of paths"},
        {"openapi: 3.0.0\npaths: {a: {}}", "api.yaml:2:9: error: a path begins with a slash"},
        {"openapi: 3.0.0\npaths: {'/{a}{b}': {}}", "this is no path template"},
        {"openapi: 3.0.0\npaths: {'/{a': {}}", "this is no path template"},
        {"openapi: 3.0.0\npaths: {/a: {fetch: {}}}", "api.yaml:2:14: error: not supported here"},
        {"openapi: 3.0.0\npaths: {/a: {get: []}}", "expected a map"},
        {"openapi: 3.0.0\npaths: {/a: {$ref: 'x.yaml'}}", "only references into this file"},
        {"openapi: 3.0.0\npaths: {/a: {$ref: '#/paths/~1a'}}", "too many references"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{in: query}]}}}",
         "a parameter has a name"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: body}]}}}",
         "a parameter is in path, query, header or cookie"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: query, style: deepObject, "
         "schema: {type: object}}]}}}",
         "parameters that are objects are supported as content alone"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: query, style: deepObject, "
         "schema: {}}]}}}",
         "this style is not supported: form is"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: path, style: matrix}]}}}",
         "this style is not supported: simple is"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: query, content: {a/b: "
         "{}}}]}}}",
         "only application/json is supported here"},
        {"openapi: 3.0.0\npaths: {/a: {get: {parameters: [{name: a, in: query, schema: {type: "
         "int}}]}}}",
         "expected null, boolean, number"},
        {"openapi: 3.0.0\npaths: {/a: {post: {requestBody: {}}}}", "expected a map of media types"},
        {"openapi: 3.0.0\npaths: {/a: {post: {requestBody: {content: {json: {}}}}}}",
         "this is no media type"},
        {"openapi: 3.0.0\npaths: {/a: {post: {servers: [{url: /b}]}}}",
         "servers are supported at the root alone"},
        {"openapi: 3.0.0\nservers: [{}]\npaths: {}", "a server has a url"},
        {"openapi: 3.0.0\nservers: [{url: '/{v}'}]\npaths: {}", "a variable without a default"},
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct rig rig;

        rig_init(&rig, cases[i].document, STR_NONE);
        assert_null(rig.api);
        if (!strstr(diag_report(&rig.diag).p, cases[i].words))
            fail_msg("%s: %s", cases[i].document, diag_report(&rig.diag).p);
        rig_fini(&rig);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),   cmocka_unit_test(test_bases),
        cmocka_unit_test(test_methods), cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_media),   cmocka_unit_test(test_errors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
