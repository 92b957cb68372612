/* SPDX-License-Identifier: Apache-2.0
 *
 * A sink that writes down what a codec tells it, and does what a test asks at an event.
 */
#ifndef TEST_H1_SINK_H
#define TEST_H1_SINK_H

#include "test_h1_rig.h"

static inline struct stream *on_open(void *owner)
{
    struct rig *rig = owner;

    if (rig->refuses_open)
        return NULL;
    drop_stream(rig);
    return new_stream(rig);
}

static inline void on_head(struct stream *stream, struct head *head, bool last)
{
    struct rig *rig = stream->owner;
    char status[8];

    snprintf(status, sizeof(status), "%u ", head->status);
    note(rig, "H:", head->status ? (struct str){status, strlen(status)} : head->method_name);
    if (!head->status)
        note(rig, " ", head->path);
    note(rig, last ? "." : ";", STR(""));
    if (rig->tunnels && head->is_upgrade)
        h1_codec.tunnel(stream);
    act(rig, 'H');
    if (last)
        answer(rig);
}

static inline void on_interim(struct stream *stream, struct head *head)
{
    note(stream->owner, "I:", head->phrase);
    act(stream->owner, 'I');
}

static inline void on_body(struct stream *stream, struct str bytes, bool last)
{
    struct rig *rig = stream->owner;

    if (!rig->is_in_body)
        note(rig, "[", STR(""));
    rig->is_in_body = true;
    note(rig, "", bytes);
    if (last)
        end_body(rig);
    if (last)
        note(rig, ".", STR(""));
    h1_codec.credit(stream, bytes.len);
    act(rig, last ? 'L' : 'B');
    if (last)
        answer(rig);
}

static inline void on_trailers(struct stream *stream, struct head *trailers)
{
    struct rig *rig = stream->owner;

    end_body(rig);
    for (unsigned i = 0; i < trailers->count; i++)
        note(rig, "T:", (struct str){trailers->headers[i].name, trailers->headers[i].name_len});
    act(rig, 'T');
    answer(rig);
}

static inline void on_refuse(struct stream *stream, struct head *head, enum reason why)
{
    struct rig *rig = stream->owner;
    const char *slug = reason_info(why)->slug;
    struct head reply = {.status = 400, .content_length = 0};

    (void)head;
    end_body(rig);
    note(rig, "!", (struct str){slug, strlen(slug)});
    if (h1_codec.head(stream, &reply, true) == OK)
        h1_codec.detach(stream);
    act(rig, 'F');
}

static inline void on_reset(struct stream *stream, enum reason why)
{
    struct rig *rig = stream->owner;
    const char *slug = reason_info(why)->slug;

    assert_null(stream->wire);
    end_body(rig);
    note(rig, "X:", (struct str){slug, strlen(slug)});
    drop_stream(rig);
}

static inline void on_drain(struct stream *stream)
{
    note(stream->owner, "D", STR(""));
}

static const struct sink sink = {on_open,     on_head,   on_interim, on_body,
                                 on_trailers, on_refuse, on_reset,   on_drain};

static inline struct stream *new_stream(struct rig *rig)
{
    rig->stream = calloc(1, sizeof(*rig->stream));
    assert_non_null(rig->stream);
    *rig->stream = (struct stream){.sink = &sink, .arena = &rig->arena, .owner = rig};
    return rig->stream;
}

#endif
