/* SPDX-License-Identifier: Apache-2.0
 *
 * What all services had of requests and failures over the last minutes, summed over the edges: what
 * the plan of a deploy foresees with. Each edge is asked every few seconds for what is new.
 * Control's one thread.
 */
#ifndef CONTROL_DEPLOY_TRAFFIC_H
#define CONTROL_DEPLOY_TRAFFIC_H

#include "control/edges.h"

enum { TRAFFIC_SPAN_S = 600 };

struct traffic; /* private */

struct traffic_rate {
    double over_s;     /* seen for so long, TRAFFIC_SPAN_S at most; 0: nothing is known */
    double requests_s; /* of clients, a second */
    double failures;   /* share of them */
};

struct traffic_options {
    const struct edges *edges; /* borrowed */
    /* Who else is to have what each edge tells, as GET /api/v1/counters: of releases what is new,
     * of services all. */
    void (*on_counters)(void *owner, const char *edge, const json_t *counters);
    void *owner;
};

/* NULL: no memory. */
struct traffic *traffic_new(const struct traffic_options *options);
/* Asks what is due. */
void traffic_tick(struct traffic *traffic, int64_t now_ms);
struct traffic_rate traffic_of(const struct traffic *traffic, const char *service, int64_t now_ms);
/* Ends all calls; and the rest, for which nothing need be waited. NULL inside is fine. */
void traffic_free(struct traffic **traffic);

/* --- what edges tell, for tests */
/* Takes an answer of /api/v1/counters of an edge. True: it is another process, and must be asked
 * for all again. */
bool traffic_take(struct traffic *traffic, const char *edge, const json_t *counters,
                  int64_t now_ms);

#endif
