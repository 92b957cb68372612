/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/redis_reply.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNREAD_MAX = 64 * 1024,  /* bytes */
    TEXTS_MAX = 1024 * 1024, /* bytes of all texts of one reply */
    ITEMS_KEPT = 64,         /* more are freed after their reply */
    TEXTS_KEPT = 1024,
};

struct redis_parser {
    redisReader *reader;
    struct redis_reply reply;
    struct redis_item *items;
    char *texts;
    uint32_t item_count, item_room;
    uint32_t text_len, text_room;
};

/* --- what hiredis builds objects by: NULL is an error to it, anything else a good object */

static void *add_item(const redisReadTask *task, const struct redis_item *item)
{
    struct redis_parser *parser = task->privdata;
    uint32_t room = parser->item_room ? parser->item_room : ITEMS_KEPT;
    struct redis_item *items = parser->items;

    if (parser->item_count == REDIS_ITEMS_MAX)
        return NULL;
    if (parser->item_count == parser->item_room) {
        room *= parser->item_room ? 2 : 1;
        items = realloc(items, room * sizeof(*items));
        if (!items)
            return NULL;
        parser->items = items;
        parser->item_room = room;
    }
    items[parser->item_count++] = *item;
    return parser;
}

static bool make_room(struct redis_parser *parser, uint32_t len)
{
    uint32_t room = parser->text_room ? parser->text_room : TEXTS_KEPT;
    char *texts;

    if (len > TEXTS_MAX - parser->text_len)
        return false;
    while (room < parser->text_len + len)
        room *= 2;
    if (room == parser->text_room)
        return true;
    texts = realloc(parser->texts, room);
    if (!texts)
        return false;
    parser->texts = texts;
    parser->text_room = room;
    return true;
}

static void *add_string(const redisReadTask *task, char *text, size_t len)
{
    struct redis_parser *parser = task->privdata;
    uint32_t kept = len < REDIS_TEXT_MAX ? (uint32_t)len : REDIS_TEXT_MAX - 1;
    struct redis_item item = {.kind = task->type == REDIS_REPLY_ERROR ? REDIS_ERROR : REDIS_TEXT,
                              .count = kept,
                              .offset = parser->text_len};

    if (!make_room(parser, kept))
        return NULL;
    memcpy(parser->texts + parser->text_len, text, kept);
    parser->text_len += kept;
    return add_item(task, &item);
}

static void *add_list(const redisReadTask *task, int count)
{
    struct redis_item item = {.kind = REDIS_LIST, .count = (uint32_t)count};

    return count < 0 || count > REDIS_ITEMS_MAX ? NULL : add_item(task, &item);
}

static void *add_integer(const redisReadTask *task, long long value)
{
    struct redis_item item = {.kind = REDIS_INTEGER, .number = value};

    return add_item(task, &item);
}

static void *add_nil(const redisReadTask *task)
{
    struct redis_item item = {.kind = REDIS_NIL};

    return add_item(task, &item);
}

static void free_nothing(void *object)
{
    (void)object;
}

static const redisReplyObjectFunctions functions = {
    .createString = add_string,
    .createArray = add_list,
    .createInteger = add_integer,
    .createNil = add_nil,
    .freeObject = free_nothing,
};

/* --- the parser */

struct redis_parser *redis_parser_new(void)
{
    struct redis_parser *parser = calloc(1, sizeof(*parser));

    if (!parser)
        return NULL;
    parser->reader = redisReaderCreateWithFunctions((redisReplyObjectFunctions *)&functions);
    if (!parser->reader) {
        free(parser);
        return NULL;
    }
    parser->reader->privdata = parser;
    return parser;
}

void redis_parser_free(struct redis_parser **parser)
{
    struct redis_parser *gone = *parser;

    *parser = NULL;
    if (!gone)
        return;
    redisReaderFree(gone->reader);
    free(gone->items);
    free(gone->texts);
    free(gone);
}

bool redis_parser_feed(struct redis_parser *parser, struct str bytes)
{
    return parser->reader->len - parser->reader->pos + bytes.len <= UNREAD_MAX &&
           redisReaderFeed(parser->reader, bytes.p, bytes.len) == REDIS_OK;
}

/* Between two replies: memory that a large one took is given back. */
static void begin(struct redis_parser *parser)
{
    parser->item_count = parser->text_len = 0;
    if (parser->item_room > ITEMS_KEPT) {
        free(parser->items);
        parser->items = NULL;
        parser->item_room = 0;
    }
    if (parser->text_room > TEXTS_KEPT) {
        free(parser->texts);
        parser->texts = NULL;
        parser->text_room = 0;
    }
}

static bool read_answer(const struct redis_item *items, uint32_t count, struct redis_answer *answer)
{
    const struct redis_item *first = items;
    struct redis_answer read = {0};

    if (first->kind == REDIS_LIST) {
        first++;
        count--;
    } else if (first->kind != REDIS_INTEGER) {
        return false;
    }
    if (count > REDIS_VALUES_MAX)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (first[i].kind != REDIS_INTEGER)
            return false;
        read.values[read.count++] = first[i].number;
    }
    *answer = read;
    return true;
}

static void finish(struct redis_parser *parser)
{
    struct redis_reply *reply = &parser->reply;
    const struct redis_item *first = parser->items;
    struct str text;

    reply->items = parser->items;
    reply->count = parser->item_count;
    reply->texts = parser->texts;
    reply->is_error = first->kind == REDIS_ERROR;
    reply->is_text = first->kind == REDIS_TEXT || reply->is_error;
    reply->text[0] = '\0';
    reply->answer = (struct redis_answer){0};
    reply->is_answer = read_answer(first, reply->count, &reply->answer);
    if (!reply->is_text)
        return;
    text = redis_item_text(reply, first);
    for (size_t i = 0; i < text.len; i++)
        reply->text[i] = (char)(text.p[i] < 0x20 || text.p[i] >= 0x7f ? '?' : text.p[i]);
    reply->text[text.len] = '\0';
}

enum status redis_parser_next(struct redis_parser *parser, const struct redis_reply **reply)
{
    void *object = NULL;

    if (parser->reader->ridx < 0)
        begin(parser);
    if (redisReaderGetReply(parser->reader, &object) != REDIS_OK)
        return E_PROTOCOL;
    if (!object)
        return E_AGAIN;
    finish(parser);
    *reply = &parser->reply;
    return OK;
}
