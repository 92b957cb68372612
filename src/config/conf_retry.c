/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of what a service does about failures: other tries, sticking to a target, holding
 * requests, answers of last resort; and of where its targets are found.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"

/* --- `on`: words to bits */

static const struct {
    const char *word;
    uint32_t bit;
} causes[] = {
    {"connect", CONF_RETRY_CONNECT},
    {"refused_stream", CONF_RETRY_REFUSED_STREAM},
    {"reset_unsent", CONF_RETRY_RESET_UNSENT},
    {"reset", CONF_RETRY_RESET},
    {"500", CONF_RETRY_500},
    {"502", CONF_RETRY_502},
    {"503", CONF_RETRY_503},
    {"504", CONF_RETRY_504},
    {"429", CONF_RETRY_429},
};

static bool add_cause(struct decoder *decoder, const struct node *node, uint32_t *bits)
{
    const char *words[ARRAY_LEN(causes)], *nearest;

    if (node->kind != NODE_SCALAR) {
        diag_error(decoder->diag, tree_span(node), "expected a word, got %s", tree_noun(node));
        return false;
    }
    for (size_t i = 0; i < ARRAY_LEN(causes); i++) {
        words[i] = causes[i].word;
        if (node->text.len != strlen(words[i]) || memcmp(node->text.p, words[i], node->text.len))
            continue;
        *bits |= causes[i].bit;
        return true;
    }
    field_wrong(decoder, node, "is not a cause for another try");
    nearest = node->is_secret ? NULL : diag_nearest(node->text, words, ARRAY_LEN(words));
    if (nearest)
        diag_hint(decoder->diag, "did you mean \"%s\"?", nearest);
    else
        diag_hint(decoder->diag, "one of connect, refused_stream, reset_unsent, reset, 429, 500, "
                                 "502, 503, 504");
    return false;
}

static bool decode_on(struct decoder *decoder, const struct field *field, const struct node *node,
                      void *member)
{
    uint32_t *bits = member;
    bool is_good = true;

    (void)field;
    *bits = CONF_RETRY_CONNECT | CONF_RETRY_REFUSED_STREAM | CONF_RETRY_RESET_UNSENT;
    if (!node->source && node->kind == NODE_SCALAR)
        return true; // the default
    *bits = 0;
    if (node->kind != NODE_LIST) {
        diag_error(decoder->diag, tree_span(node), "expected a list, got %s", tree_noun(node));
        return false;
    }
    for (const struct node *c = node->child.first; c; c = c->next)
        is_good &= add_cause(decoder, c, bits);
    return is_good;
}

const struct field conf_retry_fields[] = {
    {.name = "retries",
     .doc = "Other tries of a request that was sent; one that never left is tried on others, up to "
            "16 in all.",
     .standard = "1",
     .type = FIELD_INT,
     .max = 7,
     FIELD_AT(struct conf_retry, retries)},
    {.name = "on",
     .doc =
         "Why: `connect`, `refused_stream` and `reset_unsent` are safe for any request; `reset`, "
         "`429`, `500`, `502`, `503` and `504` are for idempotent methods only.",
     .standard = "[connect, refused_stream, reset_unsent]",
     .type = FIELD_CUSTOM,
     .decode = decode_on,
     .json = "{\"type\":\"array\",\"items\":{\"type\":[\"string\",\"integer\"]}}",
     FIELD_AT(struct conf_retry, on)},
    {.name = "budget",
     .doc = "Other tries of what was sent, at most, as a share of all requests over 10 s.",
     .standard = "20%",
     .type = FIELD_SHARE,
     .max = 1000000,
     FIELD_AT(struct conf_retry, budget_ppm)},
    {.name = "budget_floor",
     .doc = "Other tries a second that are always allowed.",
     .standard = "3",
     .type = FIELD_INT,
     .max = 100000,
     FIELD_AT(struct conf_retry, budget_floor)},
    {.name = "per_try",
     .doc = "How long one try waits for the head of an answer.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_retry, per_try_ms)},
    {.name = "backoff",
     .doc = "Before the second try of what was sent, doubled each time, with jitter.",
     .standard = "25ms",
     .type = FIELD_DURATION,
     .min = 1,
     .max = 60000,
     FIELD_AT(struct conf_retry, backoff_ms)},
    {.name = "backoff_max",
     .doc = "Its longest.",
     .standard = "250ms",
     .type = FIELD_DURATION,
     .min = 1,
     .max = 60000,
     FIELD_AT(struct conf_retry, backoff_max_ms)},
    {.name = "body",
     .doc = "Bytes of a request's body that are kept for another try.",
     .standard = "64KiB",
     .type = FIELD_SIZE,
     .max = 16 * 1024 * 1024,
     FIELD_AT(struct conf_retry, body)},
    {.name = "hedge",
     .doc = "How late an answer must be for another target to get the request, too; the first good "
            "answer counts. For idempotent methods, within the budget.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_retry, hedge_ms)},
    FIELD_END,
};

const struct field conf_sticky_fields[] = {
    {.name = "cookie",
     .doc = "The cookie that names a client's target.",
     .standard = "sluice_target",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_sticky, cookie)},
    {.name = "max_age",
     .doc = "How long a browser keeps it; `off`: for its session.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_sticky, max_age_ms)},
    FIELD_END,
};

const struct field conf_answer_fields[] = {
    {.name = "status",
     .doc = "The status of the answer.",
     .standard = "503",
     .type = FIELD_INT,
     .min = 200,
     .max = 599,
     FIELD_AT(struct conf_answer, status)},
    {.name = "body",
     .doc = "The body of the answer.",
     .standard = "",
     .type = FIELD_TEXT,
     FIELD_AT(struct conf_answer, body)},
    {.name = "content_type",
     .doc = "Its Content-Type.",
     .standard = "text/plain; charset=utf-8",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_answer, content_type)},
    FIELD_END,
};

const struct field conf_fallback_fields[] = {
    {.name = "respond",
     .doc = "A fixed answer.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_fallback, respond.is_set),
     .fields = conf_answer_fields,
     FIELD_AT(struct conf_fallback, respond)},
    FIELD_END,
};

bool conf_fallback_decode(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    struct conf_fallback *fallback = member;

    if (node->kind == NODE_MAP)
        return field_decode(decoder, field->fields, node, fallback);
    return field_text(decoder, node, &fallback->service);
}

const struct field conf_hold_fields[] = {
    {.name = "requests",
     .doc = "How many may wait in each worker.",
     .standard = "1000",
     .type = FIELD_INT,
     .max = 1000000,
     FIELD_AT(struct conf_hold, requests)},
    {.name = "timeout",
     .doc = "How long one waits.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .min = 1,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_hold, timeout_ms)},
    FIELD_END,
};

const struct field conf_adaptive_fields[] = {
    {.name = "min",
     .doc = "The lowest limit.",
     .standard = "4",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_adaptive, min)},
    {.name = "max",
     .doc = "The highest.",
     .standard = "1000",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_adaptive, max)},
    {.name = "tolerance",
     .doc = "How many times its long-term mean the latency may be before the limit shrinks.",
     .standard = "1.5x",
     .type = FIELD_RATIO,
     .min = 1000,
     .max = 10000,
     FIELD_AT(struct conf_adaptive, tolerance_thousandths)},
    FIELD_END,
};

const struct field conf_target_limit_fields[] = {
    {.name = "concurrency",
     .doc = "Requests at once for each target, over all workers.",
     .standard = "off",
     .type = FIELD_INT,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_target_limits, concurrency)},
    {.name = "total",
     .doc = "Requests at once for the service, over all workers.",
     .standard = "off",
     .type = FIELD_INT,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_target_limits, total)},
    {.name = "queue",
     .doc = "Requests that may wait in each worker for a target to be free.",
     .standard = "200",
     .type = FIELD_INT,
     .max = 1000000,
     FIELD_AT(struct conf_target_limits, queue)},
    {.name = "queue_timeout",
     .doc = "How long one waits.",
     .standard = "2s",
     .type = FIELD_DURATION,
     .min = 1,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_target_limits, queue_timeout_ms)},
    {.name = "adaptive",
     .doc = "A limit for each target that follows its latency: `off`, `on`, or a map.",
     .standard = "off",
     .type = FIELD_CUSTOM,
     .decode = conf_switch_decode,
     .fields = conf_adaptive_fields,
     .json = CONF_SWITCH_JSON,
     FIELD_AT(struct conf_target_limits, adaptive)},
    FIELD_END,
};

static const char *const discover_types[] = {"both", "A", "AAAA", "SRV", NULL};

const struct field conf_discover_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_discover, at)},
    {.name = "dns",
     .doc = "A name whose addresses are the targets.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_discover, dns)},
    {.name = "file",
     .doc = "A file that lists targets, in YAML or JSON as `targets` does; it is watched.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_discover, file)},
    {.name = "port",
     .doc = "The port of targets found by `dns`; SRV says its own.",
     .standard = "auto",
     .type = FIELD_INT,
     .flags = FIELD_AUTO,
     .min = 1,
     .max = 65535,
     FIELD_AT(struct conf_discover, port)},
    {.name = "type",
     .doc = "What is asked for: `A`, `AAAA`, `both`, or `SRV`.",
     .standard = "both",
     .type = FIELD_ENUM,
     .words = discover_types,
     FIELD_AT(struct conf_discover, type)},
    {.name = "ttl_min",
     .doc = "An answer is not asked for again sooner, whatever its TTL.",
     .standard = "1s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_discover, ttl_min_ms)},
    {.name = "ttl_max",
     .doc = "Nor later.",
     .standard = "60s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_discover, ttl_max_ms)},
    FIELD_END,
};
