/* SPDX-License-Identifier: Apache-2.0
 *
 * Content codings and which of them a client wants (RFC 9110 8.4, 12.5.3). Pure.
 */
#ifndef EDGE_SHAPE_CODING_H
#define EDGE_SHAPE_CODING_H

#include "sluice/types.h"

enum coding { CODING_IDENTITY, CODING_GZIP, CODING_BR, CODING_ZSTD, CODING_COUNT };

/* What an Accept-Encoding field says, in thousandths: 0 is "not acceptable". A coding that it does
 * not name is not wanted; identity is acceptable unless ruled out, and then has 1 at least. */
struct coding_wish {
    uint16_t q[CODING_COUNT];
};

/* Reads a field's value; absent: identity alone. What is malformed in it counts as not written. */
struct coding_wish coding_read(struct str accept);
/* The coding with the highest q among `offered`; at equal q the earlier one, and any before
 * identity. Identity when none of them is wanted as much. */
enum coding coding_choose(const struct coding_wish *wish, const enum coding *offered,
                          uint32_t count);
/* The coding of that name, "x-gzip" among them; COUNT: none of ours. */
enum coding coding_find(struct str name);
/* "gzip", "br", "zstd", "identity" */
struct str coding_name(enum coding coding);

#endif
