/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests of the gateway's own that a release is asked for what it is judged by, where clients ask
 * too little. They go the way of every request from PICK on, through no filter: nobody is limited
 * by them, no log and no route counts them, and nobody outside can send one.
 */
#ifndef EDGE_SAMPLE_H
#define EDGE_SAMPLE_H

#include "edge/exchange_host.h"

enum { SAMPLE_COUNT_MAX = 100, SAMPLE_PATH_MAX = 2048 };

struct sample {
    struct str service, release;
    struct str path, query; /* query: absent, or without its question mark */
    uint32_t count;         /* how often */
};

/* Sends them; what becomes of them is counted. One for which there is no room is not sent. Worker.
 */
void sample_send(struct exchange_host *host, const struct sample *sample);

#endif
