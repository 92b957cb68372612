/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/redis_reply.h"

#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

enum { UNREAD_MAX = 64 * 1024 /* bytes */ };

struct redis_parser {
    redisReader *reader;
    struct redis_reply reply;
};

/* --- what hiredis builds objects by: NULL is an error to it, anything else a good object */

static struct redis_reply *reply_of(const redisReadTask *task)
{
    return task->privdata;
}

static void *add_string(const redisReadTask *task, char *text, size_t len)
{
    struct redis_reply *reply = reply_of(task);
    size_t kept = len < REDIS_TEXT_MAX ? len : REDIS_TEXT_MAX - 1;

    if (task->parent)
        return NULL; // a list of texts: not ours
    reply->is_error = task->type == REDIS_REPLY_ERROR;
    reply->is_text = true;
    for (size_t i = 0; i < kept; i++)
        reply->text[i] = (char)(text[i] < 0x20 || text[i] == 0x7f ? '?' : text[i]);
    reply->text[kept] = '\0';
    return reply;
}

static void *add_list(const redisReadTask *task, int count)
{
    struct redis_reply *reply = reply_of(task);

    if (task->parent || count < 0 || count > REDIS_VALUES_MAX)
        return NULL;
    reply->answer.count = (unsigned)count;
    return reply;
}

static void *add_integer(const redisReadTask *task, long long value)
{
    struct redis_reply *reply = reply_of(task);
    int at = task->parent ? task->idx : 0;

    if (at < 0 || at >= REDIS_VALUES_MAX)
        return NULL;
    if (!task->parent)
        reply->answer.count = 1;
    reply->answer.values[at] = value;
    return reply;
}

static void *add_nil(const redisReadTask *task)
{
    return task->parent ? NULL : reply_of(task);
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
    parser->reader->privdata = &parser->reply;
    return parser;
}

void redis_parser_free(struct redis_parser **parser)
{
    if (*parser)
        redisReaderFree((*parser)->reader);
    free(*parser);
    *parser = NULL;
}

bool redis_parser_feed(struct redis_parser *parser, struct str bytes)
{
    return parser->reader->len - parser->reader->pos + bytes.len <= UNREAD_MAX &&
           redisReaderFeed(parser->reader, bytes.p, bytes.len) == REDIS_OK;
}

enum status redis_parser_next(struct redis_parser *parser, const struct redis_reply **reply)
{
    void *object = NULL;

    if (parser->reader->ridx < 0) // between two
        parser->reply = (struct redis_reply){0};
    if (redisReaderGetReply(parser->reader, &object) != REDIS_OK)
        return E_PROTOCOL;
    *reply = &parser->reply;
    return object ? OK : E_AGAIN;
}
