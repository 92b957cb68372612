/* SPDX-License-Identifier: Apache-2.0
 *
 * One wire and its stream under test, with a log of what its sink was told (test_h1_sink.h).
 */
#ifndef TEST_H1_RIG_H
#define TEST_H1_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/arena.h"
#include "base/outq.h"
#include "http/h1.h"

/* One wire, the stream on it, and what its sink does. */
struct rig {
    struct wire *wire;
    struct slab outqs;
    struct wire_limits limits;
    struct stream *stream; /* heap, so that ASan sees a use after its end */
    struct arena arena;
    char log[2048];
    size_t log_len;
    bool is_in_body;
    bool refuses_open; /* on_open returns NULL */
    bool answers;      /* server: a request that is in is answered and detached */
    char detach_on;    /* detach and free the stream at this event */
    char close_on;     /* close the wire at it */
    bool tunnels;      /* codec->tunnel at a head that asks for an upgrade, or a 101 */
    struct str kept;   /* fed bytes that were not used */
    char kept_bytes[4096];
};

static inline void note(struct rig *rig, const char *what, struct str s)
{
    size_t room = sizeof(rig->log) - rig->log_len;
    int n = snprintf(rig->log + rig->log_len, room, "%s%.*s", what, STR_FMT(s));

    assert_true(n >= 0 && (size_t)n < room);
    rig->log_len += (size_t)n;
}

static inline void drop_stream(struct rig *rig)
{
    if (rig->stream) {
        free(rig->stream);
        rig->stream = NULL;
        arena_reset(&rig->arena);
    }
}

static inline void act(struct rig *rig, char event)
{
    if (rig->close_on == event)
        h1_codec.close(rig->wire, REASON_DRAINING);
    if (rig->detach_on == event && rig->stream) {
        h1_codec.detach(rig->stream);
        drop_stream(rig);
    }
}

static inline void end_body(struct rig *rig)
{
    if (rig->is_in_body)
        note(rig, "]", STR(""));
    rig->is_in_body = false;
}

static inline void answer(struct rig *rig)
{
    struct head head;

    if (!rig->answers || !rig->stream)
        return;
    assert_int_equal(head_init(&head, &rig->arena, 0), OK);
    head.status = 204;
    assert_int_equal(h1_codec.head(rig->stream, &head, true), OK);
    h1_codec.detach(rig->stream);
    drop_stream(rig);
}

static inline struct stream *new_stream(struct rig *rig);

#endif
