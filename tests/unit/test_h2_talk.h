/* SPDX-License-Identifier: Apache-2.0
 *
 * What both ends of test_h2_wire.h say: requests, answers, bodies.
 */
#ifndef TEST_H2_TALK_H
#define TEST_H2_TALK_H

#include "test_h2_wire.h"

/* A request's head to fill further. */
static inline struct head *request(struct talk *talk, const char *method, const char *path)
{
    struct head *head = arena_alloc(&talk->arena, sizeof(*head));

    assert_non_null(head);
    assert_int_equal(head_init(head, &talk->arena, 4), OK);
    head->method_name = (struct str){method, strlen(method)};
    head->method = strcmp(method, "HEAD") ? METHOD_POST : METHOD_HEAD;
    head->path = (struct str){path, strlen(path)};
    head->authority = STR("example.com");
    head->content_length = -1;
    return head;
}

static inline struct talk *ask(struct rig *rig, const char *method, const char *path, bool last)
{
    struct talk *talk = new_talk(&rig->client);

    assert_int_equal(h2_codec.begin(rig->client.wire, &talk->stream), OK);
    assert_int_equal(h2_codec.head(&talk->stream, request(talk, method, path), last), OK);
    return talk;
}

static inline enum status answer(struct talk *talk, unsigned status, bool last)
{
    struct head *head = arena_alloc(&talk->arena, sizeof(*head));

    assert_non_null(head);
    assert_int_equal(head_init(head, &talk->arena, 4), OK);
    head->status = (uint16_t)status;
    head->content_length = -1;
    return h2_codec.head(&talk->stream, head, last);
}

/* `n` bytes of the pattern, gone once the call is over, as a read buffer would be. */
static inline enum status say(struct talk *talk, size_t n, bool last)
{
    char *bytes = malloc(n ? n : 1);
    struct end *end = talk->end;
    enum status status;

    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++)
        bytes[i] = pattern(talk->said + i);
    talk->said += n;
    status = h2_codec.body(&talk->stream, (struct str){bytes, n}, last); // `talk` may be gone
    if (outq_own(end->wire->out)) {
        h2_codec.close(end->wire, REASON_MEMORY_LIMIT);
        status = E_NOMEM;
    }
    free(bytes);
    return status;
}

static inline void let_go(struct talk *talk)
{
    h2_codec.detach(&talk->stream);
    assert_null(talk->stream.wire);
    drop(talk);
}

#endif
