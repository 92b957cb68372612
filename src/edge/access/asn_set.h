/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of autonomous systems, as people write them. `unknown` stands for an address of which
 * nothing is known. Immutable once read; any thread.
 */
#ifndef EDGE_ACCESS_ASN_SET_H
#define EDGE_ACCESS_ASN_SET_H

#include "config/conf_text.h"

struct asn_set {
    uint32_t *items; /* sorted; 0: unknown */
    uint32_t count;
};

/* Each is a number, with or without "AS" before it. False with errors, or when memory ends. */
bool asn_set_read(struct asn_set *set, const struct conf_texts *texts, struct arena *arena,
                  struct diag *diag);
bool asn_set_has(const struct asn_set *set, uint32_t asn);

#endif
