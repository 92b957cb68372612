/* SPDX-License-Identifier: Apache-2.0
 *
 * What a person sees of the last look, and what keys make of it: a frame of any size, drawn anew
 * each time. Pure.
 */
#ifndef CLI_TOP_VIEW_H
#define CLI_TOP_VIEW_H

#include "cli/top_events.h"
#include "cli/top_keys.h"
#include "cli/top_table.h"

enum top_view {
    TOP_VIEW_ROUTES,
    TOP_VIEW_SERVICES,
    TOP_VIEW_TARGETS, /* these show rows, of the kind of the same number */
    TOP_VIEW_DEPLOYS,
    TOP_VIEW_EVENTS,
    TOP_VIEW_PROBLEMS,
    TOP_VIEWS
};

enum { TOP_FILTER = 64 };

/* What keys change. */
struct top_state {
    enum top_view view;
    struct top_order order[TOP_KINDS];
    size_t first[TOP_VIEWS]; /* row or line that is shown first */
    unsigned page;           /* rows that there was room for, of the last frame */
    char filter[TOP_FILTER];
    bool is_typing; /* the filter */
    bool is_paused, has_help;
};

/* What is to be shown. */
struct top_scene {
    const struct top_look *look; /* NULL: nothing was answered yet */
    const struct top_events *events;
    const char *place; /* of the gateway */
    const char *away;  /* why it does not answer; NULL: it does */
    uint64_t age_ms;   /* of the look */
    double interval_s;
};

/* As people say it: "routes". */
const char *top_view_name(enum top_view view);

void top_view_init(struct top_state *state);
/* False: it ends. */
bool top_view_press(struct top_state *state, const struct top_press *press);
/* Draws all of a frame; keeps the position within what there is. */
void top_view_draw(struct top_frame *frame, struct top_state *state, const struct top_scene *scene);

/* "req/s 120  5xx 0.5% ...": what all routes come to, as much as there is; and what is wrong, in a
 * line whose style is set. Texts are the look's, or are written to `text`. */
enum { TOP_SUMMARY = 600 };
void top_view_traffic(const struct top_look *look, char text[TOP_SUMMARY]);
enum top_style top_view_verdict(const struct top_scene *scene, char text[TOP_SUMMARY]);

#endif
