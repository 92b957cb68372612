/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/dns_fly.h"

#include <string.h>

/* Up to the first `c`, which goes too; all of it when there is none. */
static struct str cut(struct str *from, char c)
{
    const char *at = from->len ? memchr(from->p, c, from->len) : NULL;
    size_t n = at ? (size_t)(at - from->p) : from->len, gone = at ? n + 1 : n;
    struct str piece = {from->p, n};

    *from = (struct str){from->p + gone, from->len - gone};
    return piece;
}

static struct str trim(struct str s)
{
    while (s.len && s.p[0] == ' ')
        s = (struct str){s.p + 1, s.len - 1};
    while (s.len && s.p[s.len - 1] == ' ')
        s.len--;
    return s;
}

static bool is_word(struct str s, size_t max)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-'))
            return false;
    }
    return s.len > 0 && s.len <= max;
}

uint32_t dns_fly_parse(struct str text, struct dns_fly_machine *machines, uint32_t max)
{
    uint32_t count = 0;

    while (text.len && count < max) {
        struct str region = trim(cut(&text, ',')), id = cut(&region, ' ');

        region = trim(region);
        if (is_word(id, DNS_FLY_ID_MAX) && is_word(region, DNS_FLY_REGION_MAX))
            machines[count++] = (struct dns_fly_machine){id, region};
    }
    return count;
}
