/* SPDX-License-Identifier: Apache-2.0
 *
 * What a terminal sends for keys, as keys. Pure.
 */
#ifndef CLI_TOP_KEYS_H
#define CLI_TOP_KEYS_H

#include "sluice/types.h"

enum top_key {
    TOP_KEY_NONE, /* one that means nothing here */
    TOP_KEY_TEXT, /* a character */
    TOP_KEY_UP,
    TOP_KEY_DOWN,
    TOP_KEY_LEFT,
    TOP_KEY_RIGHT,
    TOP_KEY_PAGE_UP,
    TOP_KEY_PAGE_DOWN,
    TOP_KEY_HOME,
    TOP_KEY_END,
    TOP_KEY_TAB,
    TOP_KEY_BACK_TAB,
    TOP_KEY_ENTER,
    TOP_KEY_ESCAPE,
    TOP_KEY_BACKSPACE,
    TOP_KEY_CLEAR,  /* Ctrl-U */
    TOP_KEY_REDRAW, /* Ctrl-L */
    TOP_KEY_QUIT,   /* Ctrl-C, Ctrl-D */
};

struct top_press {
    enum top_key key;
    char text[5]; /* of TOP_KEY_TEXT: one character in UTF-8 */
};

/* The first key of what was read; gives how many bytes it took, 0: the rest of it is yet to come.
 * `is_all`: nothing came for a while, so nothing belongs to it any more. */
size_t top_keys_next(struct str bytes, bool is_all, struct top_press *press);

#endif
