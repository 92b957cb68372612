/* SPDX-License-Identifier: Apache-2.0
 *
 * The small shapes that every part of the configuration speaks: a text with its place, lists and
 * pairs of them, an address. Filled by conf_load(), immutable afterwards, in the arena of the conf;
 * spans point into sources of the diag that was given to conf_load(). Safe to read from any thread.
 */
#ifndef CONFIG_CONF_TEXT_H
#define CONFIG_CONF_TEXT_H

#include "config/diag.h"

enum { CONF_AUTO = 0 }; /* a number that was written `auto` */

/* A text with the place it was written at, for checks that look across the file. */
struct conf_text {
    struct str s;
    struct span at;
};

struct conf_texts {
    struct conf_text *items;
    uint32_t count;
};

struct conf_pair {
    struct conf_text name, value;
};

struct conf_pairs {
    struct conf_pair *items;
    uint32_t count;
};

/* host:port, [v6]:port, :port, unix:/path */
struct conf_address {
    struct conf_text text; /* as written */
    struct str host;       /* name or address without brackets; empty for ":port"; path for unix */
    uint16_t port;         /* 0 for unix */
    bool is_unix;
};

#endif
