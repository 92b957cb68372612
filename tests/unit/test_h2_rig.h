/* SPDX-License-Identifier: Apache-2.0
 *
 * Two wires of the HTTP/2 codec, a client's and a server's, in memory; what their sinks are told is
 * written down, and a hook of the test does what it likes at each event. Bodies are a pattern that
 * the receiver checks.
 */
#ifndef TEST_H2_RIG_H
#define TEST_H2_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/outq.h"
#include "sluice/codec.h"

struct talk;

/* One end of the connection. */
struct end {
    struct wire *wire;
    struct budget budget;
    struct slab outqs;
    struct heap heap;
    struct wire_limits limits;
    struct talk *talks; /* newest first */
    char log[4096];
    size_t log_len, arena_limit;
    bool refuses_open; /* on_open returns NULL */
    bool holds;        /* bodies are not paid */
    void (*hook)(struct talk *talk, char event);
};

/* One message pair at one end; on the heap, so that ASan sees a use after its end. */
struct talk {
    struct stream stream;
    struct arena arena;
    struct end *end;
    struct talk *next;
    struct head *head; /* the other end's */
    size_t said, got, owed;
};

static inline void note(struct end *end, const char *format, ...)
{
    size_t room = sizeof(end->log) - end->log_len;
    va_list values;
    int n;

    va_start(values, format);
    n = vsnprintf(end->log + end->log_len, room, format, values);
    va_end(values);
    assert_true(n >= 0 && (size_t)n < room);
    end->log_len += (size_t)n;
}

static inline struct talk *talk_of(struct stream *stream)
{
    return CONTAINER_OF(stream, struct talk, stream);
}

static inline void drop(struct talk *talk)
{
    struct talk **at = &talk->end->talks;

    while (*at != talk)
        at = &(*at)->next;
    *at = talk->next;
    arena_reset(&talk->arena);
    free(talk);
}

/* The body's byte at `i`. */
static inline char pattern(size_t i)
{
    return (char)('a' + i % 23);
}

static inline void tell(struct talk *talk, char event)
{
    if (talk->end->hook)
        talk->end->hook(talk, event);
}

/* The value of the other end's field, as a text of the arena; "" when it is absent. */
static inline const char *field_of(struct talk *talk, const char *name)
{
    struct str value = head_value_name(talk->head, (struct str){name, strlen(name)});

    return value.p ? arena_format(&talk->arena, "%.*s", STR_FMT(value)).p : "";
}

static inline void assert_log(struct end *end, const char *want)
{
    if (strcmp(end->log, want) != 0)
        fail_msg("\"%s\" is not \"%s\"", end->log, want);
    end->log_len = 0;
    end->log[0] = '\0';
}

/* The bytes of the heap's and the queues' free lists go, too: what is left is in use. */
static inline void end_close(struct end *end)
{
    h2_codec.close(end->wire, REASON_DRAINING);
    while (end->talks)
        drop(end->talks);
    free(end->wire);
    assert_int_equal(end->outqs.in_use, 0);
    slab_fini(&end->outqs);
    heap_fini(&end->heap);
    assert_int_equal(end->budget.used, 0);
}

#endif
