/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that renew themselves (RFC 8555, RFC 8737, RFC 9773): for each set of domains that
 * listeners name, an order when there is no certificate or its time has come, and the result on
 * every edge. Called by control.c. Owns the sets; what is on disk outlives it. Control's one
 * thread.
 */
#ifndef CONTROL_ACME_H
#define CONTROL_ACME_H

#include "config/conf.h"
#include "control/edges.h"
#include "control/outbound.h"

struct acme; /* private */

struct acme_options {
    struct outbound *outbound;
    struct edges *edges;
};

/* NULL: no memory. */
struct acme *acme_new(const struct acme_options *options);
void acme_free(struct acme **acme);
/* Takes what the listeners of `conf` name now; a set that stays goes on with what it does. A set
 * that cannot be served is said. */
void acme_configure(struct acme *acme, const struct conf *conf);
/* Goes on with what is due; several times a second. */
void acme_tick(struct acme *acme);
/* The state of the edges is another: it stands in the status file too. */
void acme_note_change(struct acme *acme);

#endif
