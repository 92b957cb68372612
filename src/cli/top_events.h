/* SPDX-License-Identifier: Apache-2.0
 *
 * What GET /api/v1/events sends, taken apart (server-sent events, as the HTML standard has them)
 * and put into words; the last ones are kept. Pure but for what it allocates.
 */
#ifndef CLI_TOP_EVENTS_H
#define CLI_TOP_EVENTS_H

#include "sluice/types.h"

enum { TOP_EVENTS = 500, TOP_EVENT_TEXT = 240, TOP_EVENT_KIND = 16, TOP_EVENT_LINE = 16 * 1024 };

struct top_event {
    uint64_t wall_ms; /* when it came */
    char kind[TOP_EVENT_KIND];
    char text[TOP_EVENT_TEXT];
};

struct top_events {
    struct top_event ring[TOP_EVENTS];
    size_t count;              /* since the beginning */
    char line[TOP_EVENT_LINE]; /* that is not whole yet; what is longer is cut */
    size_t line_len;
    char kind[TOP_EVENT_KIND]; /* of the event that is being read */
    char text[TOP_EVENT_TEXT];
};

/* NULL: no memory; free() it. */
struct top_events *top_events_new(void);
/* Takes bytes of the stream as they come. */
void top_events_feed(struct top_events *events, struct str bytes, uint64_t wall_ms);
/* The stream begins anew: what was not whole is dropped. */
void top_events_break(struct top_events *events);
/* How many are kept, and the one that came `back` before the last; it lives until the next is fed.
 */
size_t top_events_kept(const struct top_events *events);
const struct top_event *top_events_at(const struct top_events *events, size_t back);

#endif
