/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer driver of validation. The input is up to the first NUL a schema or, when it begins with
 * "openapi", a document; what follows is a body, and for a document also a path and a query.
 * Checks: no crash, and it ends; a fault is told with a keyword; equal values are equal both ways
 * and have one hash; a text is judged the same twice.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/validate/openapi.h"

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static uint64_t stand_still(void)
{
    return 0;
}

static void check_equal(const struct doc_value *a, const struct doc_value *b)
{
    uint64_t steps = 1000000;
    bool is_equal = doc_equal(a, b, &steps), is_back;

    is_back = doc_equal(b, a, &steps);
    if (!steps)
        return;
    require(is_equal == is_back, "equality goes both ways");
    require(!is_equal || doc_hash(a, 5, &steps) == doc_hash(b, 5, &steps), "equals have one hash");
}

static void judge(const struct jschema *schema, struct str text, struct arena *arena)
{
    const struct jschema_ask ask = {arena, 5, stand_still, stand_still};
    struct jschema_fault fault, again;
    struct doc_fault wrong;
    const struct doc_value *value = doc_read(text, arena, 5, &wrong);
    enum jschema_answer answer;

    require(value || (wrong.problem && wrong.words && wrong.offset <= text.len), "a fault is told");
    if (!value)
        return;
    answer = jschema_judge(schema, value, &ask, &fault);
    require(answer != JSCHEMA_FAILS || fault.keyword, "a failure has a keyword");
    require(fault.pointer_len <= JSCHEMA_POINTER_MAX, "a pointer has its room");
    require(jschema_judge(schema, value, &ask, &again) == answer, "an answer is one");
    check_equal(value, value);
    if (value->type == DOC_LIST && value->len > 1)
        check_equal(value->first, value->first->next);
}

static void ask_operation(const struct openapi_operation *operation,
                          const struct openapi_match *match, const struct head *head,
                          struct arena *arena)
{
    const struct jschema_ask ask = {arena, 5, stand_still, stand_still};
    struct openapi_fault fault;

    if (openapi_judge(operation, match, head, &ask, &fault) == JSCHEMA_FAILS)
        require(fault.why.keyword && fault.in && fault.name.p, "a parameter is named");
}

static void ask_body(const struct openapi_body *body, struct str text, struct arena *arena)
{
    const struct openapi_media *media =
        body ? openapi_find_media(body, STR("application/json")) : NULL;

    if (media && media->schema)
        judge(media->schema, text, arena);
}

static void ask_api(const struct openapi *api, struct str text, struct arena *arena)
{
    static const struct str methods[] = {STR_INIT("GET"), STR_INIT("POST"), STR_INIT("HEAD")};
    const char *end = text.len ? memchr(text.p, '\n', text.len) : NULL;
    struct str path = {text.p, end ? (size_t)(end - text.p) : text.len};
    struct openapi_match match;
    struct head head;

    if (head_init(&head, arena, 4) || head_add(&head, arena, STR("x-a"), path) ||
        head_add(&head, arena, STR("cookie"), path))
        return;
    head.query = (struct str){text.p + path.len, text.len - path.len};
    if (!path.len || path.p[0] != '/' || !openapi_find(api, path, &match))
        return;
    require(match.count <= OPENAPI_VALUES_MAX, "values have their room");
    for (size_t i = 0; i < ARRAY_LEN(methods); i++) {
        const struct openapi_operation *operation = openapi_method(match.item, methods[i]);

        if (!operation)
            continue;
        ask_operation(operation, &match, &head, arena);
        ask_body(operation->body, text, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *start = (const char *)data, *nul = size ? memchr(start, 0, size) : NULL;
    struct str file = {start, nul ? (size_t)(nul - start) : size};
    struct str text = {nul ? nul + 1 : "", nul ? size - file.len - 1 : 0};
    struct arena arena, scratch;
    struct diag diag;
    struct jschema_book book = {.arena = &arena, .diag = &diag};
    const struct source *source;

    arena_init(&arena, NULL, 0);
    arena_init(&scratch, NULL, 16 * 1024 * 1024);
    diag_init(&diag, &arena);
    source = diag_source(&diag, STR("file"), file);
    book.root = yaml_read(source, &arena, &diag);
    if (book.root && file.len > 7 && !memcmp(file.p, "openapi", 7)) {
        const struct openapi *api = openapi_compile(&book, STR_NONE);

        require(api || diag.errors, "an error is told");
        if (api)
            ask_api(api, text, &scratch);
    } else if (book.root && jschema_read_dialect(&book)) {
        const struct jschema *schema = jschema_compile(&book, book.root);

        require(schema || diag.errors, "an error is told");
        if (schema)
            judge(schema, text, &scratch);
    }
    ecma_free(&book.patterns);
    arena_reset(&scratch);
    arena_reset(&arena);
    return 0;
}
