/* SPDX-License-Identifier: Apache-2.0
 *
 * A wire of the HTTP/1.1 codec on a rig: feeding it, and looking at what it queued.
 */
#ifndef TEST_H1_WIRE_H
#define TEST_H1_WIRE_H

#include "test_h1_sink.h"

static inline void rig_init(struct rig *rig, enum role role)
{
    memset(rig, 0, sizeof(*rig));
    rig->limits = (struct wire_limits){.header_bytes = 1024, .uri_bytes = 64, .headers = 16};
    outq_slab_init(&rig->outqs, NULL);
    arena_init(&rig->arena, NULL, 0);
    rig->wire = calloc(1, h1_codec.wire_size);
    assert_non_null(rig->wire);
    rig->wire->sink = &sink;
    rig->wire->owner = rig;
    rig->wire->outqs = &rig->outqs;
    rig->wire->limits = &rig->limits;
    assert_int_equal(h1_codec.open(rig->wire, role), OK);
}

static inline void rig_fini(struct rig *rig)
{
    h1_codec.close(rig->wire, REASON_CLIENT_GONE);
    drop_stream(rig);
    free(rig->wire);
    arena_reset(&rig->arena);
    assert_int_equal(rig->outqs.in_use, 0);
    slab_fini(&rig->outqs);
}

/* Feeds what was kept and `bytes`, from an allocation of its own; keeps what is not used. */
static inline enum status feed(struct rig *rig, struct str bytes)
{
    size_t len = rig->kept.len + bytes.len;
    char *in = malloc(len ? len : 1);
    size_t used;
    enum status status;

    assert_non_null(in);
    if (rig->kept.len)
        memcpy(in, rig->kept_bytes, rig->kept.len);
    memcpy(in + rig->kept.len, bytes.p, bytes.len);
    status = h1_codec.feed(rig->wire, (struct str){in, len}, &used);
    assert_true(used <= len && len - used <= sizeof(rig->kept_bytes));
    rig->kept.len = len - used;
    memcpy(rig->kept_bytes, in + used, len - used);
    free(in);
    return status;
}

static inline void assert_log(struct rig *rig, const char *want)
{
    if (strcmp(rig->log, want) != 0)
        fail_msg("\"%s\" is not \"%s\"", rig->log, want);
}

/* Takes all that is queued, and compares it. */
static inline void assert_out(struct rig *rig, const char *want)
{
    static char got[128 * 1024];
    struct iovec vectors[16];
    size_t len = 0;
    unsigned n = rig->wire->out ? outq_vectors(rig->wire->out, vectors, 16) : 0;

    for (unsigned i = 0; i < n; i++) {
        assert_true(len + vectors[i].iov_len < sizeof(got));
        memcpy(got + len, vectors[i].iov_base, vectors[i].iov_len);
        len += vectors[i].iov_len;
    }
    got[len] = '\0';
    assert_int_equal(len, outq_pending(rig->wire->out));
    if (len)
        outq_sent(rig->wire->out, len);
    outq_give(&rig->wire->out);
    if (strcmp(got, want) != 0)
        fail_msg("\"%s\" is not \"%s\"", got, want);
}

static inline void begin(struct rig *rig, const char *method, bool is_upgrade)
{
    struct head head;

    assert_int_equal(h1_codec.begin(rig->wire, new_stream(rig)), OK);
    assert_false(rig->wire->is_idle);
    assert_int_equal(head_init(&head, &rig->arena, 0), OK);
    head.method_name = (struct str){method, strlen(method)};
    head.method = strcmp(method, "HEAD") ? METHOD_GET : METHOD_HEAD;
    head.path = STR("/");
    head.authority = STR("a");
    head.is_upgrade = is_upgrade;
    assert_int_equal(h1_codec.head(rig->stream, &head, true), OK);
    outq_give(&rig->wire->out);
}

#define H "Host: a\r\n"

#endif
