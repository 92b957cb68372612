/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer driver of HTTP Message Signatures. The input is the values of Signature-Input,
 * Signature and Content-Digest, and then a path, a query and a field, a NUL behind each. Checks: no
 * crash; what is read keeps its limits; a base is made of lines, the last one of which is the list
 * as it was written again; read once more from there it is the same.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/auth/content_digest.h"
#include "edge/auth/signature.h"

enum { PARTS = 6, ROOM = 512 * 1024 };

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static struct str cut(struct str *rest)
{
    const char *end = rest->len ? memchr(rest->p, '\0', rest->len) : NULL;
    struct str part = {rest->p, end ? (size_t)(end - rest->p) : rest->len};

    *rest = (struct str){rest->p + part.len + (end != NULL), rest->len - part.len - (end != NULL)};
    return part;
}

static void add(struct head *head, struct arena *arena, struct str name, struct str value)
{
    if (!value.len)
        return;
    for (size_t i = 0; i < value.len; i++) // as the parser of heads lets it through
        if (value.p[i] == '\r' || value.p[i] == '\n')
            return;
    require(!head_add(head, arena, name, value), "memory");
}

/* The list that was written again is what it was. */
static void read_again(const struct signature *signature)
{
    static struct signature again;
    struct signature_set set = {.count = 1};

    set.items[0].input = signature->params;
    set.items[0].digits = STR("");
    require(signature_read(&again, &set, 0) != SIGNATURE_SYNTAX, "what was written can be read");
    require(str_same(again.params, signature->params), "and is the same");
    require(again.count == signature->count, "with the same components");
}

static void make_base(const struct signature *signature, const struct head *head,
                      struct arena *arena)
{
    struct signature_message message = {head, STR("https"), head->authority};
    struct str base, params = signature->params;
    size_t lines = 0;

    if (signature_base(signature, &message, arena, &base))
        return;
    for (size_t i = 0; i < base.len; i++)
        lines += base.p[i] == '\n';
    require(lines == signature->count, "a line for each component");
    require(base.len >= params.len && !memcmp(base.p + base.len - params.len, params.p, params.len),
            "and the list behind them");
}

static void ask(const struct head *head, struct arena *arena)
{
    static struct signature signature;
    struct signature_set set;
    enum signature_fault fault = signature_set_read(&set, head, arena);

    require(signature_word(fault) && signature_sentence(fault), "a refusal has words");
    if (fault)
        return;
    require(set.count > 0 && set.count <= SIGNATURE_LABELS_MAX, "a set has signatures");
    for (unsigned i = 0; i < set.count; i++) {
        fault = signature_read(&signature, &set, i);
        if (fault == SIGNATURE_LABEL)
            continue;
        require(fault != SIGNATURE_SYNTAX, "what is in a set can be read");
        require(signature.count <= SIGNATURE_COMPONENTS_MAX, "few components");
        require(signature.params.len <= SIGNATURE_PARAMS_MAX, "and little text");
        read_again(&signature);
        if (!fault)
            make_base(&signature, head, arena);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str rest = {(const char *)data, size}, parts[PARTS];
    struct content_digest digest;
    struct arena arena;
    struct head head;

    if (!size || size > 20000)
        return 0;
    for (size_t i = 0; i < PARTS; i++)
        parts[i] = cut(&rest);
    arena_init(&arena, NULL, ROOM);
    require(!head_init(&head, &arena, 8), "memory");
    head.method_name = STR("POST");
    head.authority = STR("Example.com:443");
    head.path = parts[3].len ? parts[3] : STR("/");
    head.query = parts[4].len ? parts[4] : STR_NONE;
    for (size_t i = 3; i < 5; i++) // targets have none
        if (parts[i].len && memchr(parts[i].p, '\n', parts[i].len))
            head.path = STR("/"), head.query = STR_NONE;
    add(&head, &arena, STR("Signature-Input"), parts[0]);
    add(&head, &arena, STR("Signature"), parts[1]);
    add(&head, &arena, STR("Content-Digest"), parts[2]);
    add(&head, &arena, STR("X-A"), parts[5]);
    add(&head, &arena, STR("x-a"), parts[2]);
    ask(&head, &arena);
    if (content_digest_read(parts[2], &digest))
        require(digest.has_256 || digest.has_512, "a digest that is read can be checked");
    (void)content_digest_is(&digest, parts[5]);
    arena_reset(&arena);
    return 0;
}
