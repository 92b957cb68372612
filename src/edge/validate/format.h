/* SPDX-License-Identifier: Apache-2.0
 *
 * The values of `format` (JSON Schema Validation 7.3, OpenAPI) that are asserted here; others are
 * annotations. Pure; any thread.
 */
#ifndef EDGE_VALIDATE_FORMAT_H
#define EDGE_VALIDATE_FORMAT_H

#include "edge/validate/doc.h"

struct format {
    const char *name;
    bool (*fits)(struct str text);
    enum doc_type type; /* of the values that it speaks of; others fit */
};

/* NULL: it is not asserted. */
const struct format *format_find(struct str name);

#endif
