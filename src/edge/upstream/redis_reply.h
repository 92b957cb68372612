/* SPDX-License-Identifier: Apache-2.0
 *
 * Replies of Redis out of a stream of bytes: hiredis's parser with objects that take no memory,
 * since no reply that we ask for is long, and one that is has to be refused anyway. For redis.c
 * alone. One thread.
 */
#ifndef EDGE_UPSTREAM_REDIS_REPLY_H
#define EDGE_UPSTREAM_REDIS_REPLY_H

#include "edge/upstream/redis.h"

enum { REDIS_TEXT_MAX = 128 };

struct redis_reply {
    bool is_error, is_text;
    char text[REDIS_TEXT_MAX];  /* of an error, a status or a string; cut, terminated */
    struct redis_answer answer; /* of a list, or of a single integer */
};

struct redis_parser;

/* NULL: no memory. */
struct redis_parser *redis_parser_new(void);
/* Clears the pointer; NULL is fine. */
void redis_parser_free(struct redis_parser **parser);
/* More bytes. False: no memory, or too many that are no whole reply. */
bool redis_parser_feed(struct redis_parser *parser, struct str bytes);
/* The next reply, which stays until the next call. OK; E_AGAIN: more must come; E_PROTOCOL: it is
 * none of those that a script gives. */
MUST_USE enum status redis_parser_next(struct redis_parser *parser,
                                       const struct redis_reply **reply);

#endif
