/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as what Redis sends, whole and byte by byte, which must give the same
 * replies, and within their bounds; and the same bytes as the payload of a token.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/limit/claim.h"
#include "edge/upstream/redis_reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 4096 };

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void check_reply(const struct redis_reply *reply)
{
    require(memchr(reply->text, '\0', sizeof(reply->text)), "a NUL");
    require(reply->answer.count <= REDIS_VALUES_MAX, "a bound");
    require(!reply->is_error || reply->is_text, "an error's text");
}

static bool is_same(const struct redis_reply *a, const struct redis_reply *b)
{
    return a->is_error == b->is_error && a->is_text == b->is_text && !strcmp(a->text, b->text) &&
           a->answer.count == b->answer.count &&
           !memcmp(a->answer.values, b->answer.values, a->answer.count * sizeof(int64_t));
}

/* The next reply of one that gets its bytes one by one. */
static enum status drip(struct redis_parser *parser, struct str *bytes,
                        const struct redis_reply **reply)
{
    enum status status = redis_parser_next(parser, reply);

    while (status == E_AGAIN && bytes->len) {
        require(redis_parser_feed(parser, (struct str){bytes->p++, 1}), "room for a byte");
        bytes->len--;
        status = redis_parser_next(parser, reply);
    }
    return status;
}

static void check_replies(struct str bytes)
{
    struct redis_parser *whole = redis_parser_new(), *cut = redis_parser_new();
    const struct redis_reply *a = NULL, *b = NULL;
    enum status status = OK;

    require(whole && cut && redis_parser_feed(whole, bytes), "parsers");
    while (!status) {
        status = redis_parser_next(whole, &a);
        require(drip(cut, &bytes, &b) == status, "the same end");
        if (!status) {
            check_reply(a);
            require(is_same(a, b), "the same reply");
        }
    }
    redis_parser_free(&whole);
    redis_parser_free(&cut);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str bytes = {(const char *)data, size < BYTES_MAX ? size : BYTES_MAX};
    struct str value = claim_value(bytes, STR("sub"));

    require(!value.p || (value.p >= bytes.p && value.p + value.len <= bytes.p + bytes.len),
            "a claim within the token");
    check_replies(bytes);
    return 0;
}
