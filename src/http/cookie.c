/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cookie.h"

#include <string.h>

struct str cookie_next(struct str *left, struct str name)
{
    const char *at = left->p, *end = left->p + left->len;

    while (at && at < end) {
        const char *stop = memchr(at, ';', (size_t)(end - at)), *from = at;
        size_t len = (size_t)((stop ? stop : end) - at);

        at = stop ? stop + 1 : end;
        while (at < end && *at == ' ')
            at++;
        *left = (struct str){at, (size_t)(end - at)};
        if (len > name.len && from[name.len] == '=' && !memcmp(from, name.p, name.len))
            return (struct str){from + name.len + 1, len - name.len - 1};
    }
    return STR_NONE;
}

struct str cookie_value(struct str cookies, struct str name)
{
    return cookie_next(&cookies, name);
}
