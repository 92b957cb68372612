/* SPDX-License-Identifier: Apache-2.0
 *
 * The sink of test_h2_rig.h, and the opening of an end with it. In the log: "1:GET /a." a head and
 * the message's end with it, "1:GET /a;" a head with more to come, "1[5." the end of a body of 5
 * bytes, "1T x." trailers, "1!slug" a refusal, "1X slug" a reset, "1D" room again.
 */
#ifndef TEST_H2_SINK_H
#define TEST_H2_SINK_H

#include "test_h2_rig.h"

static inline struct talk *new_talk(struct end *end);

static inline struct stream *on_open(void *owner)
{
    struct end *end = owner;

    return end->refuses_open ? NULL : &new_talk(end)->stream;
}

static inline void on_head(struct stream *stream, struct head *head, bool last)
{
    struct talk *talk = talk_of(stream);

    talk->head = head;
    if (head->status)
        note(talk->end, "%u:%u%c", stream->id, head->status, last ? '.' : ';');
    else
        note(talk->end, "%u:%.*s %.*s%c", stream->id, STR_FMT(head->method_name),
             STR_FMT(head->path), last ? '.' : ';');
    tell(talk, 'H');
}

static inline void on_interim(struct stream *stream, struct head *head)
{
    note(talk_of(stream)->end, "%u~%u", stream->id, head->status);
    tell(talk_of(stream), 'I');
}

static inline void on_body(struct stream *stream, struct str bytes, bool last)
{
    struct talk *talk = talk_of(stream);

    for (size_t i = 0; i < bytes.len; i++)
        if (bytes.p[i] != pattern(talk->got + i))
            fail_msg("byte %zu is wrong", talk->got + i);
    talk->got += bytes.len;
    if (last)
        note(talk->end, "%u[%zu.", stream->id, talk->got);
    if (talk->end->holds)
        talk->owed += bytes.len;
    else
        h2_codec.credit(stream, bytes.len);
    tell(talk, last ? 'L' : 'B');
}

static inline void on_trailers(struct stream *stream, struct head *trailers)
{
    note(talk_of(stream)->end, "%u[%zu T", stream->id, talk_of(stream)->got);
    for (unsigned i = 0; i < trailers->count; i++)
        note(talk_of(stream)->end, " %.*s", trailers->headers[i].name_len,
             trailers->headers[i].name);
    note(talk_of(stream)->end, ".");
    tell(talk_of(stream), 'T');
}

static inline void on_refuse(struct stream *stream, struct head *head, enum reason why)
{
    (void)head;
    note(talk_of(stream)->end, "%u!%s", stream->id, reason_info(why)->slug);
    tell(talk_of(stream), 'F');
}

static inline void on_reset(struct stream *stream, enum reason why)
{
    struct talk *talk = talk_of(stream);

    assert_null(stream->wire);
    note(talk->end, "%uX %s", stream->id, reason_info(why)->slug);
    tell(talk, 'X');
    drop(talk);
}

static inline void on_drain(struct stream *stream)
{
    note(talk_of(stream)->end, "%uD", stream->id);
    tell(talk_of(stream), 'D');
}

static const struct sink sink = {on_open,     on_head,   on_interim, on_body,
                                 on_trailers, on_refuse, on_reset,   on_drain};

static inline struct talk *new_talk(struct end *end)
{
    struct talk *talk = calloc(1, sizeof(*talk));

    assert_non_null(talk);
    talk->end = end;
    talk->next = end->talks;
    end->talks = talk;
    arena_init(&talk->arena, NULL, end->arena_limit);
    talk->stream = (struct stream){.sink = &sink, .arena = &talk->arena, .owner = talk};
    return talk;
}

static inline enum status end_open(struct end *end, enum role role)
{
    end->limits.uri_bytes = 256;
    end->limits.headers = 16;
    outq_slab_init(&end->outqs, &end->budget);
    heap_init(&end->heap, &end->budget);
    for (unsigned i = 0; i < HEAP_CLASSES; i++) // nothing is kept, so that ASan sees
        end->heap.kept[i] = HEAP_KEPT_MAX;
    end->wire = calloc(1, h2_codec.wire_size);
    assert_non_null(end->wire);
    end->wire->sink = &sink;
    end->wire->owner = end;
    end->wire->outqs = &end->outqs;
    end->wire->heap = &end->heap;
    end->wire->limits = &end->limits;
    end->wire->streams_max = 100;
    return h2_codec.open(end->wire, role);
}

#endif
