/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics of a configuration as JSON, and as an error of the API. The server's one thread.
 */
#ifndef REST_REST_DIAG_H
#define REST_REST_DIAG_H

#include "config/diag.h"
#include "rest/rest.h"

/* Answers with a problem: the first error as its detail and `at`, all as `errors`. */
void rest_diag_problem(struct rest_call *call, unsigned status, const char *reason,
                       const struct diag *diag);
/* [{"at", "severity", "message", "hint", "rendered"}], the caller's. */
json_t *rest_diag_json(const struct diag *diag);

#endif
