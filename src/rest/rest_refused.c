/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/rest_refused.h"

void rest_refused_metrics(const struct rest_refused *refused, struct prometheus *text)
{
    static const struct str words[REST_REFUSALS] = {
        [REST_TOKEN_MISSING] = STR_INIT("token_missing"),
        [REST_TOKEN_UNKNOWN] = STR_INIT("token_unknown"),
        [REST_FORBIDDEN] = STR_INIT("forbidden"),
        [REST_CROSS_ORIGIN] = STR_INIT("cross_origin"),
        [REST_MISDIRECTED] = STR_INIT("misdirected"),
        [REST_TOO_MANY_TRIES] = STR_INIT("too_many_tries"),
    };

    prometheus_family(text, "sluice_admin_refused_total", PROMETHEUS_COUNTER,
                      "Calls of the admin API that were not let in.");
    for (unsigned i = 0; i < REST_REFUSALS; i++) {
        const struct prometheus_label labels[] = {{"reason", words[i]}, {0}};

        prometheus_u64(text, labels, refused->counts[i]);
    }
}
