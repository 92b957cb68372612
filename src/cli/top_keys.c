/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_keys.h"

#include <string.h>

#include "base/text.h"

enum { ESCAPE = 0x1b, SEQUENCE_MAX = 16 };

static enum top_key of_letter(char letter)
{
    static const struct {
        char letter;
        enum top_key key;
    } keys[] = {{'A', TOP_KEY_UP},    {'B', TOP_KEY_DOWN},    {'C', TOP_KEY_RIGHT},
                {'D', TOP_KEY_LEFT},  {'H', TOP_KEY_HOME},    {'F', TOP_KEY_END},
                {'M', TOP_KEY_ENTER}, {'Z', TOP_KEY_BACK_TAB}};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].letter == letter)
            return keys[i].key;
    return TOP_KEY_NONE;
}

/* CSI number ~, as the keys above the arrows send it. */
static enum top_key of_number(char first)
{
    static const struct {
        char digit;
        enum top_key key;
    } keys[] = {{'1', TOP_KEY_HOME}, {'4', TOP_KEY_END},     {'7', TOP_KEY_HOME},
                {'8', TOP_KEY_END},  {'5', TOP_KEY_PAGE_UP}, {'6', TOP_KEY_PAGE_DOWN}};

    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (keys[i].digit == first)
            return keys[i].key;
    return TOP_KEY_NONE;
}

/* ESC [ parameters letter (ECMA-48 5.4), or ESC O letter. 0: not whole yet. */
static size_t sequence(struct str bytes, bool is_all, enum top_key *key)
{
    size_t at = 2;

    if (bytes.p[1] == '[')
        while (at < bytes.len && at < SEQUENCE_MAX && bytes.p[at] >= 0x20 && bytes.p[at] < 0x40)
            at++;
    if (at == bytes.len)
        return is_all ? bytes.len : 0;
    if (bytes.p[at] == '~')
        *key = at == 3 ? of_number(bytes.p[2]) : TOP_KEY_NONE;
    else
        *key = of_letter(bytes.p[at]);
    return at + 1;
}

static enum top_key of_control(char c)
{
    switch (c) {
    case '\t':
        return TOP_KEY_TAB;
    case '\r':
    case '\n':
        return TOP_KEY_ENTER;
    case '\b':
    case 0x7f:
        return TOP_KEY_BACKSPACE;
    case 'U' & 0x1f:
        return TOP_KEY_CLEAR;
    case 'L' & 0x1f:
        return TOP_KEY_REDRAW;
    case 'C' & 0x1f:
    case 'D' & 0x1f:
        return TOP_KEY_QUIT;
    default:
        return TOP_KEY_NONE;
    }
}

/* One character that is no control. */
static size_t character(struct str bytes, bool is_all, struct top_press *press)
{
    size_t len = text_utf8(bytes);

    // What may be the beginning of one waits for its rest.
    if (!len && !is_all && bytes.len < 4 && (unsigned char)bytes.p[0] >= 0xc2)
        return 0;
    if (!len)
        return 1;
    press->key = TOP_KEY_TEXT;
    memcpy(press->text, bytes.p, len);
    press->text[len] = '\0';
    return len;
}

size_t top_keys_next(struct str bytes, bool is_all, struct top_press *press)
{
    *press = (struct top_press){.key = TOP_KEY_NONE};
    if (!bytes.len)
        return 0;
    if (*bytes.p == ESCAPE && bytes.len == 1 && !is_all)
        return 0;
    if (*bytes.p == ESCAPE && bytes.len > 1 && (bytes.p[1] == '[' || bytes.p[1] == 'O'))
        return sequence(bytes, is_all, &press->key);
    if (*bytes.p == ESCAPE) {
        press->key = TOP_KEY_ESCAPE;
        return 1;
    }
    if ((unsigned char)*bytes.p < 0x20 || *bytes.p == 0x7f) {
        press->key = of_control(*bytes.p);
        return 1;
    }
    return character(bytes, is_all, press);
}
