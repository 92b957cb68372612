/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as what Redis sends, whole and byte by byte, which must give the same
 * replies, and within their bounds; what they would be as maps of a cluster, hints and masters; and
 * the same bytes as the payload of a token.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/limit/claim.h"
#include "edge/upstream/redis_slots.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { BYTES_MAX = 4096 };

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void check_address(const struct redis_address *address)
{
    require(memchr(address->host, '\0', sizeof(address->host)), "a host's NUL");
    require(address->port, "a port");
}

static void take_range(void *owner, const struct redis_range *range)
{
    unsigned *count = owner;

    ++*count;
    require(range->first <= range->last && range->last < REDIS_SLOTS, "slots");
    check_address(&range->master);
}

static void check_meanings(const struct redis_reply *reply)
{
    struct redis_address address;
    enum redis_hint hint;
    unsigned slot = 0, count = 0;
    bool is_map = !redis_slots_read(reply, NULL, NULL);

    require(is_map == !redis_slots_read(reply, take_range, &count), "the same twice");
    require(count <= reply->count, "a range for each item at most");
    if (!redis_master_read(reply, &address))
        check_address(&address);
    (void)redis_role_is_master(reply);
    if (!redis_hint_read(reply->text, &hint, &slot, &address) && hint != REDIS_STAYS) {
        require(slot < REDIS_SLOTS, "a slot");
        check_address(&address);
    }
}

static void check_reply(const struct redis_reply *reply)
{
    uint64_t values = 1;

    require(memchr(reply->text, '\0', sizeof(reply->text)), "a NUL");
    require(reply->answer.count <= REDIS_VALUES_MAX, "a bound");
    require(reply->is_answer || !reply->answer.count, "no answer is empty");
    require(!reply->is_error || reply->is_text, "an error's text");
    for (uint32_t i = 0; i < reply->count; i++)
        values += reply->items[i].kind == REDIS_LIST ? reply->items[i].count : 0;
    require(reply->count == values, "as many items as lists say");
    check_meanings(reply);
}

static bool is_same_item(const struct redis_reply *a, const struct redis_reply *b, uint32_t i)
{
    const struct redis_item *x = &a->items[i], *y = &b->items[i];
    bool is_text = x->kind == REDIS_TEXT || x->kind == REDIS_ERROR;

    return x->kind == y->kind && x->count == y->count && x->number == y->number &&
           (!is_text || str_same(redis_item_text(a, x), redis_item_text(b, y)));
}

static bool is_same(const struct redis_reply *a, const struct redis_reply *b)
{
    if (a->is_error != b->is_error || a->is_text != b->is_text || strcmp(a->text, b->text) ||
        a->answer.count != b->answer.count || a->count != b->count)
        return false;
    for (uint32_t i = 0; i < a->count; i++)
        if (!is_same_item(a, b, i))
            return false;
    return true;
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

    require(redis_slot(bytes) < REDIS_SLOTS, "a key's slot");
    require(!value.p || (value.p >= bytes.p && value.p + value.len <= bytes.p + bytes.len),
            "a claim within the token");
    check_replies(bytes);
    return 0;
}
