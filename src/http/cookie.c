/* SPDX-License-Identifier: Apache-2.0 */
#include "http/cookie.h"

#include <string.h>

struct str cookie_value(struct str cookies, struct str name)
{
    const char *at = cookies.p, *end = cookies.p + cookies.len;

    while (at && at < end) {
        const char *stop = memchr(at, ';', (size_t)(end - at));
        size_t len = (size_t)((stop ? stop : end) - at);

        if (len > name.len && at[name.len] == '=' && !memcmp(at, name.p, name.len))
            return (struct str){at + name.len + 1, len - name.len - 1};
        at = stop ? stop + 1 : end;
        while (at < end && *at == ' ')
            at++;
    }
    return STR_NONE;
}
