/* SPDX-License-Identifier: Apache-2.0
 *
 * Structured fields (RFC 9651), as far as signatures and digests need them, and strictly: a number
 * has one spelling, and decimals, dates and display strings are not read. What was read can be
 * written again as it stood. Pure; any thread.
 */
#ifndef EDGE_AUTH_SF_H
#define EDGE_AUTH_SF_H

#include "base/arena.h"
#include "sluice/head.h"

/* What is left of a value. */
struct sf {
    const char *at, *end;
};

enum sf_type { SF_BOOLEAN, SF_INTEGER, SF_STRING, SF_TOKEN, SF_BYTES };

struct sf_item {
    enum sf_type type;
    int64_t number;  /* of an integer; 1 and 0 of a boolean */
    struct str text; /* between the quotes, with its escapes; the token; the digits of bytes */
    struct str raw;  /* all of it, as it stands */
};

/* All fields of that name as one value (section 4.2): in `arena` when there are several. Absent:
 * there is none; *is_good false: memory. */
struct str sf_value(const struct head *head, struct str name, struct arena *arena, bool *is_good);

/* Without the spaces at its ends. */
struct sf sf_begin(struct str value);
bool sf_is_end(const struct sf *sf);
/* Eats `c` if it is next. */
bool sf_take(struct sf *sf, char c);
/* Spaces; and spaces and tabs. */
void sf_skip_spaces(struct sf *sf);
void sf_skip_white(struct sf *sf);
/* False, here and below: it is not well-formed, or not of what is read here. */
bool sf_key(struct sf *sf, struct str *key);
bool sf_item(struct sf *sf, struct sf_item *item);
/* A parameter behind its ";": without a value it is true. */
bool sf_parameter(struct sf *sf, struct str *key, struct sf_item *item);
/* What stands between the members of a list or dictionary: false when it is neither that nor the
 * end. A comma behind the last member is none. */
bool sf_next(struct sf *sf);

/* The bytes of SF_BYTES' digits into `out`, which has room for `size`; how many, -1: they are not
 * base64 with its padding and no spare bits (RFC 4648 section 4), or too many. */
int sf_bytes(struct str digits, uint8_t *out, size_t size);

#endif
