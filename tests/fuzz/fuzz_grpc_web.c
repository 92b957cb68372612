/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver of gRPC-Web: any bytes as the body of a request in one of the two forms, which what
 * comes out is then the body of the answer to. Checks: how a body is cut makes no difference, what
 * gets by is a sequence of whole messages, and the answer says the same, with the trailers behind.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/filter/chain.h"
#include "http/grpc_web.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BODY_MAX = 1 << 13 };

struct output {
    char bytes[BODY_MAX * 2 + 256];
    size_t len;
    bool last;
};

struct run {
    struct arena arena;
    struct head request, response, trailers;
    struct conf_filter item;
    struct chain_walk walk;
    struct output *out;
};

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static enum reason end(void *owner, const struct piece *piece)
{
    struct output *out = ((struct run *)owner)->out;

    require(!out->last, "something follows the last piece");
    require(out->len + piece->bytes.len <= sizeof(out->bytes), "more comes out than may");
    memcpy(out->bytes + out->len, piece->bytes.p, piece->bytes.len);
    out->len += piece->bytes.len;
    out->last = piece->last;
    return REASON_NONE;
}

static const struct chain_ends ends = {.request = end, .response = end};

static void add(struct run *run, struct head *head, struct str name, struct str value)
{
    require(!head_add(head, &run->arena, name, value), "memory");
}

static void begin(struct run *run, bool is_text)
{
    const struct conf_filters none = {NULL, 0}, all = {&run->item, 1};
    struct visit *visit, common = {.arena = &run->arena, .request = &run->request};

    memset(run, 0, sizeof(*run));
    arena_init(&run->arena, NULL, 0);
    for (size_t i = 0; filter_registry[i]; i++)
        if (!strcmp(filter_registry[i]->name, "grpc_web"))
            run->item = (struct conf_filter){.filter = filter_registry[i], .conf = ""};
    require(!head_init(&run->request, &run->arena, 2) &&
                !head_init(&run->response, &run->arena, 2) &&
                !head_init(&run->trailers, &run->arena, 2),
            "memory");
    add(run, &run->request, STR("content-type"),
        is_text ? STR("application/grpc-web-text") : STR("application/grpc-web"));
    add(run, &run->response, STR("content-type"), STR("application/grpc"));
    add(run, &run->trailers, STR("grpc-status"), STR("0"));
    run->walk.ends = &ends;
    run->walk.owner = run;
    require(!chain_start(&run->walk, chain_build(&all, &none, &run->arena), &common), "memory");
    require(chain_request(&run->walk, &visit) == VERDICT_PASS, "the request passes");
    require(chain_response(&run->walk, &run->response, false, &visit) == VERDICT_PASS,
            "the answer passes");
}

/* Pieces of `step` bytes, each in memory of its own so that a read past its end is found. */
static enum reason send(struct run *run, struct str body, size_t step, bool is_answer)
{
    enum reason why = REASON_NONE;

    for (size_t at = 0; !why && at < body.len + !body.len; at += step) {
        size_t len = body.len - at < step ? body.len - at : step;
        bool is_last = at + step >= body.len;
        char *copy = malloc(len ? len : 1);
        struct piece piece = {.bytes = {copy, len}, .last = is_last};

        require(copy, "memory");
        memcpy(copy, body.p + at, len);
        piece.trailers = is_answer && is_last ? &run->trailers : NULL;
        why = is_answer ? chain_response_body(&run->walk, &piece)
                        : chain_request_body(&run->walk, &piece);
        free(copy);
    }
    return why;
}

static void decode(struct output *out)
{
    struct grpc_web_decoder decoder = {0};
    struct str text = {out->bytes, out->len};
    size_t len = 0;

    while (text.len) { // what is written never passes what is read
        int more = grpc_web_decode(&decoder, &text, out->bytes + len, 64);

        require(more >= 0, "the answer is base64");
        len += (size_t)more;
    }
    require(grpc_web_is_whole(&decoder), "the answer is whole base64");
    out->len = len;
}

static void check_answer(struct run *run, const struct output *messages, size_t step, bool is_text)
{
    static const char trailers[] = "\x80\0\0\0\x10grpc-status: 0\r\n";
    struct output *answer = calloc(1, sizeof(*answer));

    require(answer, "memory");
    run->out = answer;
    require(!send(run, (struct str){messages->bytes, messages->len}, step, true), "whole messages");
    require(answer->last, "the answer ends");
    if (is_text)
        decode(answer);
    require(answer->len == messages->len + sizeof(trailers) - 1, "the answer has its length");
    require(!memcmp(answer->bytes, messages->bytes, messages->len), "the answer is what was said");
    require(!memcmp(answer->bytes + messages->len, trailers, sizeof(trailers) - 1), "trailers");
    free(answer);
}

static void check(struct str body, size_t step, bool is_text)
{
    struct output *whole = calloc(1, sizeof(*whole)), *cut = calloc(1, sizeof(*cut));
    struct run first, second;
    enum reason why;

    require(whole && cut, "memory");
    begin(&first, is_text);
    begin(&second, is_text);
    first.out = whole;
    second.out = cut;
    why = send(&first, body, body.len + 1, false);
    // of two faults the one that is found first is told
    require(!why == !send(&second, body, step, false), "how it is cut makes no difference");
    require(why ? !whole->last && !cut->last : whole->last && cut->last,
            "its end comes when it may");
    if (!why) {
        require(whole->len == cut->len && !memcmp(whole->bytes, cut->bytes, cut->len),
                "nor to bytes");
        check_answer(&first, whole, step, is_text);
    }
    chain_end(&first.walk);
    chain_end(&second.walk);
    arena_reset(&first.arena);
    arena_reset(&second.arena);
    free(whole);
    free(cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > BODY_MAX)
        return 0;
    check((struct str){(const char *)data + 2, size - 2}, (size_t)data[1] + 1, data[0] & 1);
    return 0;
}
