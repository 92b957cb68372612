/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of the admin API that were not let in, counted. One thread.
 */
#ifndef REST_REFUSED_H
#define REST_REFUSED_H

#include "rest/prometheus.h"

/* Why. */
enum rest_refusal {
    REST_TOKEN_MISSING,
    REST_TOKEN_UNKNOWN,
    REST_FORBIDDEN, /* the token lacks the right */
    REST_CROSS_ORIGIN,
    REST_MISDIRECTED,
    REST_TOO_MANY_TRIES, /* to sign in */
    REST_REFUSALS
};

struct rest_refused {
    uint64_t counts[REST_REFUSALS];
};

/* The family sluice_admin_refused_total. */
void rest_refused_metrics(const struct rest_refused *refused, struct prometheus *text);

#endif
