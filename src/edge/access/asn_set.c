/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/asn_set.h"

#include <stdlib.h>
#include <strings.h>

enum { ASN_DIGITS_MAX = 10 };

static bool parse_asn(struct str text, uint32_t *asn)
{
    uint64_t number = 0;

    *asn = 0;
    if (str_same(text, STR("unknown")))
        return true;
    if (text.len > 2 && strncasecmp(text.p, "as", 2) == 0)
        text = (struct str){text.p + 2, text.len - 2};
    if (!text.len || text.len > ASN_DIGITS_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9')
            return false;
        number = number * 10 + (uint64_t)(text.p[i] - '0');
    }
    *asn = (uint32_t)number;
    return number && number <= UINT32_MAX;
}

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

bool asn_set_read(struct asn_set *set, const struct conf_texts *texts, struct arena *arena,
                  struct diag *diag)
{
    bool is_good = true;

    set->count = texts->count;
    set->items = arena_zero(arena, texts->count, sizeof(*set->items));
    if (!set->items)
        return false;
    for (uint32_t i = 0; i < texts->count; i++) {
        if (parse_asn(texts->items[i].s, &set->items[i]))
            continue;
        diag_error(diag, texts->items[i].at, "\"%.*s\" is no autonomous system",
                   STR_FMT(texts->items[i].s));
        diag_hint(diag, "write its number, as in AS64496, or unknown");
        is_good = false;
    }
    if (set->count)
        qsort(set->items, set->count, sizeof(*set->items), compare);
    return is_good;
}

bool asn_set_has(const struct asn_set *set, uint32_t asn)
{
    return set->count && bsearch(&asn, set->items, set->count, sizeof(asn), compare);
}
