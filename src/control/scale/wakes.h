/* SPDX-License-Identifier: Apache-2.0
 *
 * Which sleeping services somebody waits for: a call that waits at each edge until there is news,
 * and the next one. An edge out of reach is asked again in a second. Control's one thread.
 */
#ifndef CONTROL_SCALE_WAKES_H
#define CONTROL_SCALE_WAKES_H

#include "control/edges.h"

struct wakes; /* private */

/* Somebody who waits for a service at an edge, or asked. */
struct wakes_ask {
    const char *service;
    uint32_t edge;    /* index */
    uint32_t held;    /* requests that wait; 0: none does */
    int64_t asked_ms; /* Unix, by the edge's clock: the first that asked since it sleeps there */
};

struct wakes_options {
    struct edges *edges; /* borrowed, and outlives it */
    void (*on_wake)(void *owner, const struct wakes_ask *ask);
    void *owner;
};

/* NULL: no memory. */
struct wakes *wakes_new(const struct wakes_options *options);
/* Begins what is due at `now_ms`, monotonic. */
void wakes_tick(struct wakes *wakes, int64_t now_ms);
void wakes_free(struct wakes **wakes);

#endif
