/* SPDX-License-Identifier: Apache-2.0
 *
 * Decoding of single values, for field.c alone: numbers with units, texts, words, addresses. Each
 * fills the member and returns true, or reports one error and returns false. The node is a scalar
 * and not broken.
 */
#ifndef CONFIG_FIELD_SCALAR_H
#define CONFIG_FIELD_SCALAR_H

#include "config/field.h"

/* By field->type: BOOL, INT, DURATION, SIZE, RATE, SHARE or RATIO, within min and max. */
bool field_scalar_number(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member);
/* A struct conf_text; `off` where the field allows it is the empty text. */
bool field_scalar_text(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member);
/* The index of one of field->words. */
bool field_scalar_enum(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member);
/* A struct conf_address; FIELD_AUTO: the host may be left out. */
bool field_address(struct decoder *decoder, const struct field *field, const struct node *node,
                   void *member);

/* A number of this type as it would be written: "5s", "16KiB". In `arena`. */
struct str field_scalar_format(struct arena *arena, enum field_type type, uint64_t value);

#endif
