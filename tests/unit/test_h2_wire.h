/* SPDX-License-Identifier: Apache-2.0
 *
 * How bytes go from end to end of test_h2_rig.h: whole or one by one.
 */
#ifndef TEST_H2_WIRE_H
#define TEST_H2_WIRE_H

#include "test_h2_sink.h"

struct rig {
    struct end client, server;
    size_t step; /* bytes fed at once; 0: all */
};

/* Takes what waits to be written, a copy that the caller frees. */
static inline char *take_out(struct end *end, size_t *len)
{
    struct outq *out;
    char *bytes;
    size_t at = 0;

    h2_codec.pull(end->wire);
    if (end->wire->wants_abort)
        outq_give(&end->wire->out);
    out = end->wire->out;
    *len = outq_pending(out);
    bytes = malloc(*len + 1);
    assert_non_null(bytes);
    while (at < *len) {
        struct iovec vector;

        outq_vectors(out, &vector, 1);
        memcpy(bytes + at, vector.iov_base, vector.iov_len);
        at += vector.iov_len;
        outq_sent(out, vector.iov_len);
    }
    outq_give(&end->wire->out);
    h2_codec.wrote(end->wire);
    return bytes;
}

/* From an allocation of its own, so that ASan sees a use after the call. */
static inline void feed(struct end *end, const char *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    size_t used;

    assert_non_null(copy);
    memcpy(copy, bytes, len);
    (void)(h2_codec.feed(end->wire, (struct str){copy, len}, &used) == OK);
    free(copy);
}

static inline bool carry(struct end *from, struct end *to, size_t step)
{
    size_t len, n;
    char *bytes = take_out(from, &len);

    for (size_t at = 0; at < len; at += n) {
        n = step && step < len - at ? step : len - at;
        feed(to, bytes + at, n);
    }
    free(bytes);
    return len > 0;
}

/* Until neither has anything more to say. */
static inline void pump(struct rig *rig)
{
    bool moves = true;

    while (moves) {
        moves = carry(&rig->client, &rig->server, rig->step);
        moves |= carry(&rig->server, &rig->client, rig->step);
    }
}

/* With room for `header_bytes` of a head. */
static inline void rig_open_for(struct rig *rig, size_t step, uint32_t header_bytes)
{
    memset(rig, 0, sizeof(*rig));
    rig->step = step;
    rig->client.limits.header_bytes = rig->server.limits.header_bytes = header_bytes;
    assert_int_equal(end_open(&rig->client, ROLE_CLIENT), OK);
    assert_int_equal(end_open(&rig->server, ROLE_SERVER), OK);
    assert_false(rig->client.wire->has_room);
    pump(rig);
    assert_true(rig->client.wire->has_room);
}

static inline void rig_open(struct rig *rig, size_t step)
{
    rig_open_for(rig, step, 4096);
}

static inline void rig_close(struct rig *rig)
{
    end_close(&rig->client);
    end_close(&rig->server);
}

#endif
