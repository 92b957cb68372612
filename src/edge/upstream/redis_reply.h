/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies of Redis (RESP2) out of a stream of bytes, without any I/O: hiredis's parser, whose
 * objects are a flat list of items in memory that is used again, and bounded. For redis*.c. One
 * thread.
 */
#ifndef EDGE_UPSTREAM_REDIS_REPLY_H
#define EDGE_UPSTREAM_REDIS_REPLY_H

#include "sluice/types.h"

enum {
    REDIS_VALUES_MAX = 4,
    REDIS_TEXT_MAX = 512,       /* bytes of a text that are kept */
    REDIS_ITEMS_MAX = 64 * 1024 /* of one reply, lists included */
};

enum redis_kind { REDIS_NIL, REDIS_INTEGER, REDIS_TEXT, REDIS_ERROR, REDIS_LIST };

/* One value; those of a list follow it. */
struct redis_item {
    enum redis_kind kind;
    uint32_t count;  /* LIST: values; TEXT, ERROR: bytes that are kept */
    uint32_t offset; /* TEXT, ERROR: see redis_item_text() */
    int64_t number;  /* INTEGER */
};

/* What a script gave: a list of integers. */
struct redis_answer {
    unsigned count;
    int64_t values[REDIS_VALUES_MAX];
};

/* Borrowed from its parser, until the next one. */
struct redis_reply {
    const struct redis_item *items; /* at least one */
    uint32_t count;
    const char *texts;
    bool is_error, is_text;
    bool is_answer;             /* an integer, or a list of at most REDIS_VALUES_MAX of them */
    char text[REDIS_TEXT_MAX];  /* of an error, a status or a string; printable, terminated */
    struct redis_answer answer; /* zero bytes when it is none */
};

/* Of a TEXT or an ERROR. */
static inline struct str redis_item_text(const struct redis_reply *reply,
                                         const struct redis_item *item)
{
    return (struct str){reply->texts + item->offset, item->count};
}

struct redis_parser;

/* NULL: no memory. */
struct redis_parser *redis_parser_new(void);
/* Clears the pointer; NULL is fine. */
void redis_parser_free(struct redis_parser **parser);
/* More bytes. False: no memory, or too many that are no whole value. */
bool redis_parser_feed(struct redis_parser *parser, struct str bytes);
/* The next reply, which stays until the next call. OK; E_AGAIN: more must come; E_PROTOCOL: it is
 * none, or larger than any that is asked for. */
MUST_USE enum status redis_parser_next(struct redis_parser *parser,
                                       const struct redis_reply **reply);

#endif
