/* SPDX-License-Identifier: Apache-2.0
 *
 * Lua patterns (Lua 5.1 manual, 5.4.1) by a matcher of our own, since that of the library cannot be
 * stopped: one that goes back again and again asks every few thousand steps whether it may go on.
 * Pure but for that question; any thread.
 */
#ifndef EDGE_SCRIPT_PATTERN_H
#define EDGE_SCRIPT_PATTERN_H

#include "sluice/types.h"

enum {
    PATTERN_CAPTURES_MAX = 32,
    PATTERN_DEPTH_MAX = 200,   /* items of a pattern that wait for what follows them */
    PATTERN_STEPS_ASKED = 2048 /* characters looked at between two questions */
};

enum pattern_fault {
    PATTERN_OK,
    PATTERN_BAD,  /* the pattern is malformed: see `error` */
    PATTERN_SPENT /* may_go_on said no */
};

struct pattern_capture {
    const char *start; /* in the subject */
    ptrdiff_t len;     /* or one of the private marks: see pattern_capture_text() */
};

struct pattern {
    struct str subject, text; /* borrowed */
    bool takes_caret;         /* '^' at the beginning is an anchor */
    bool (*may_go_on)(void *owner);
    void *owner;
    /* set by pattern_match() */
    enum pattern_fault fault;
    const char *error; /* of PATTERN_BAD: one sentence, static */
    const char *start, *end;
    unsigned count; /* of captures */
    struct pattern_capture captures[PATTERN_CAPTURES_MAX];
    /* private */
    unsigned depth, steps;
};

/* Finds the first match that begins at `from` (an offset of the subject) or later; false when there
 * is none, or with a fault. */
bool pattern_find(struct pattern *pattern, size_t from);
/* Whether it matches right at `from`. */
bool pattern_match(struct pattern *pattern, size_t from);
/* The pattern begins with an anchor. */
bool pattern_is_anchored(const struct pattern *pattern);
/* The text has no character that is special in patterns. */
bool pattern_is_plain(struct str text);

/* After a match: capture `i`, counted from 0; without captures, 0 is the whole match. A position
 * capture has *position, counted from 1, else it is 0. False with PATTERN_BAD: there is none. */
bool pattern_capture(struct pattern *pattern, unsigned i, struct str *text, size_t *position);

#endif
