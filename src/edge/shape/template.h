/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of the configuration with ${names} in them that each request fills: ${client_ip},
 * ${request_id}, ${route}, ${method}, ${scheme}, ${host}, ${path}, ${query}, ${uri}, ${consumer},
 * ${tier}, ${country}, ${asn}, ${header.NAME} of the request, ${claim.NAME} of a verified token,
 * and ${dollar}. Compiled once, immutable then; any thread.
 */
#ifndef EDGE_SHAPE_TEMPLATE_H
#define EDGE_SHAPE_TEMPLATE_H

#include "config/conf_text.h"
#include "sluice/filter.h"

struct template; /* private */

/* NULL with an error in `diag` when a name is not known or not ended. In `arena`; what is written
 * is borrowed. */
const struct template *template_new(const struct conf_text *text, struct arena *arena,
                                    struct diag *diag);
/* The text for this request, in its arena or borrowed from the template. *out is absent when one of
 * its names has no value, or one that would break a field. E_NOMEM: the arena is at its limit. */
MUST_USE enum status template_fill(const struct template *template, const struct visit *visit,
                                   struct str *out);

#endif
