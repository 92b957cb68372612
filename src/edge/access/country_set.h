/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of countries (ISO 3166-1 alpha-2), as people write them. `unknown` stands for an address of
 * which nothing is known. Immutable once read; any thread.
 */
#ifndef EDGE_ACCESS_COUNTRY_SET_H
#define EDGE_ACCESS_COUNTRY_SET_H

#include "config/conf_text.h"

enum { COUNTRY_SET_WORDS = 26 * 26 / 64 + 1 };

struct country_set {
    uint64_t bits[COUNTRY_SET_WORDS];
    bool has_unknown;
};

/* False with errors in `diag`. */
bool country_set_read(struct country_set *set, const struct conf_texts *texts, struct diag *diag);
/* `country`: two capitals; NULL: not known. */
bool country_set_has(const struct country_set *set, const char *country);

#endif
