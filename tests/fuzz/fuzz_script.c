/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: a pattern and a subject, apart at the first zero byte. The matcher may look at
 * nothing outside them, must end when it is told to, and must find what it says it found.
 */
#include <assert.h>
#include <string.h>

#include "edge/script/pattern.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { QUESTIONS_MAX = 20 };

static bool may_go_on(void *owner)
{
    unsigned *left = owner;

    return *left && --*left;
}

static void check_captures(struct pattern *pattern)
{
    const char *end = pattern->subject.p + pattern->subject.len;

    for (unsigned i = 0; i == 0 || i < pattern->count; i++) {
        struct str text;
        size_t position;

        if (!pattern_capture(pattern, i, &text, &position))
            return;
        assert(position <= pattern->subject.len + 1);
        assert(text.p >= pattern->subject.p && text.p + text.len <= end);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *zero = size ? memchr(data, 0, size) : NULL;
    size_t len = zero ? (size_t)(zero - data) : size;
    unsigned left = QUESTIONS_MAX;
    struct pattern pattern = {
        .text = {(const char *)data, len},
        .subject = {(const char *)data + len, size - len},
        .takes_caret = size % 2,
        .may_go_on = may_go_on,
        .owner = &left,
    };

    if (pattern_find(&pattern, 0))
        check_captures(&pattern);
    else
        assert(pattern.fault != PATTERN_BAD || pattern.error);
    return 0;
}
