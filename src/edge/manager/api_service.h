/* SPDX-License-Identifier: Apache-2.0
 *
 * What the endpoints of a service share. Manager thread.
 */
#ifndef EDGE_MANAGER_API_SERVICE_H
#define EDGE_MANAGER_API_SERVICE_H

#include "edge/manager/admin_impl.h"

/* That of the path; NULL: there is none. */
const struct service *api_service_find(const struct admin_call *call);
/* Refuses the call for there is none, naming the nearest that there is. */
void api_service_refuse(struct admin_call *call);
/* The same for a `what` ("service", "target" or "release") of which there are `names`. */
void api_service_unknown(struct admin_call *call, const char *what, struct str word,
                         const char *const *names, size_t count);
/* A change of the overlay has come to its end, and so has the call's turn. False: it was taken
 * back, and the call refused. */
bool api_service_settle(struct admin_call *call, enum status status, uint32_t generation,
                        const struct diag *diag);
/* Terminated, in the call's arena. */
const char *api_service_text(struct admin_call *call, struct str text);

/* The end of a change that is live: whoever follows events is told, and the call answered. Takes
 * `json` over. */
void api_service_end(struct admin_call *call, const char *event, json_t *json);

/* --- api_services.c */
/* What of it is wanted: {0} is all. */
struct api_services_part {
    struct str service;     /* absent: of all */
    bool is_part;           /* of each service not all targets, but so many of them, */
    uint64_t targets, skip; /* after the first few; those that are not up come first */
};
/* What status shows of services. */
json_t *api_services_status(const struct manager *m, const struct api_services_part *asked);

#endif
