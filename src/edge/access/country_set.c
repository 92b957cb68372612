/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/country_set.h"

#include <strings.h>

/* 0 to 675; -1: no code. */
static int index_of(const char *code)
{
    int first = (code[0] | 0x20) - 'a', second = (code[1] | 0x20) - 'a';

    if (first < 0 || first > 25 || second < 0 || second > 25)
        return -1;
    return first * 26 + second;
}

static bool add_country(struct country_set *set, const struct conf_text *text, struct diag *diag)
{
    bool is_britain = text->s.len == 2 && strncasecmp(text->s.p, "uk", 2) == 0;
    int index = text->s.len == 2 && !is_britain ? index_of(text->s.p) : -1;

    if (str_same(text->s, STR("unknown"))) {
        set->has_unknown = true;
        return true;
    }
    if (index >= 0) {
        set->bits[index / 64] |= UINT64_C(1) << index % 64;
        return true;
    }
    diag_error(diag, text->at, "\"%.*s\" is no code of a country", STR_FMT(text->s));
    if (is_britain)
        diag_hint(diag, "did you mean \"GB\"?");
    else
        diag_hint(diag, "write two letters (ISO 3166-1 alpha-2), or unknown");
    return false;
}

bool country_set_read(struct country_set *set, const struct conf_texts *texts, struct diag *diag)
{
    bool is_good = true;

    *set = (struct country_set){.has_unknown = false};
    for (uint32_t i = 0; i < texts->count; i++)
        is_good = add_country(set, &texts->items[i], diag) && is_good;
    return is_good;
}

bool country_set_has(const struct country_set *set, const char *country)
{
    int index = country ? index_of(country) : -1;

    if (index < 0)
        return set->has_unknown;
    return set->bits[index / 64] >> index % 64 & 1;
}
