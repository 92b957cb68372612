/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/media.h"

#include <string.h>
#include <strings.h>

static bool is_same(struct str a, struct str b)
{
    return a.len == b.len && !strncasecmp(a.p, b.p, a.len);
}

/* "type" and "subtype" of what stands before the parameters. False: no slash. */
static bool split(struct str s, struct str *type, struct str *subtype)
{
    size_t len = 0, slash = 0;

    while (len < s.len && s.p[len] != ';' && s.p[len] != ' ' && s.p[len] != '\t')
        len++;
    while (slash < len && s.p[slash] != '/')
        slash++;
    if (slash == len)
        return false;
    *type = (struct str){s.p, slash};
    *subtype = (struct str){s.p + slash + 1, len - slash - 1};
    return slash > 0 && subtype->len > 0;
}

/* A star stands for one character or more, at the beginning alone. */
static bool part_fits(struct str pattern, struct str part)
{
    size_t tail;

    if (pattern.p[0] != '*')
        return is_same(pattern, part);
    tail = pattern.len - 1;
    return part.len > tail && !strncasecmp(part.p + part.len - tail, pattern.p + 1, tail);
}

bool media_fits(struct str pattern, struct str type)
{
    struct str wanted, wanted_sub, main, sub;

    return split(pattern, &wanted, &wanted_sub) && split(type, &main, &sub) &&
           part_fits(wanted, main) && part_fits(wanted_sub, sub);
}

static bool is_part(struct str part)
{
    for (size_t i = 0; i < part.len; i++) {
        char c = part.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alnum && !(c == '*' && i == 0) && (!c || !strchr("!#$&^_.+-", c)))
            return false;
    }
    return true;
}

bool media_is_pattern(struct str pattern)
{
    struct str type, subtype;

    return split(pattern, &type, &subtype) && type.len + subtype.len + 1 == pattern.len &&
           is_part(type) && is_part(subtype) &&
           (type.p[0] != '*' || (type.len == 1 && subtype.p[0] == '*'));
}
