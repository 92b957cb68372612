/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `slo`: objectives of a service, for which an error budget is kept.
 */
#include "config/conf_check.h"
#include "config/conf_table.h"
#include "config/tree.h"
#include "config/units.h"

enum { MILLION = 1000000, LATENCY_MS_MAX = 134 * 1000 };

const uint32_t conf_slo_shares[CONF_SLO_PERCENTILES] = {500000, 900000, 950000, 990000, 999000};

/* "99.9%", or the number alone. */
static bool decode_objective(struct decoder *decoder, const struct field *field,
                             const struct node *node, void *member)
{
    struct str text = node->text;
    uint64_t share = 0;

    (void)field;
    if (text.len && text.p[text.len - 1] != '%')
        text = arena_format(decoder->diag->arena, "%.*s%%", STR_FMT(text));
    if (!text.p || units_share(text, &share))
        return field_wrong(decoder, node, "is not a share, such as 99.9%");
    if (share < MILLION / 2)
        return field_wrong(decoder, node, "is less than 50%");
    if (share == MILLION)
        return field_wrong(decoder, node, "leaves no error budget at all");
    *(uint32_t *)member = (uint32_t)share;
    return true;
}

#define PERCENTILE(key, index, words)                                                              \
    {                                                                                              \
        .name = (key),                                                                             \
        .doc = "How long the head of an answer may take for " words " of requests.",               \
        .type = FIELD_DURATION, .min = 1, .max = LATENCY_MS_MAX,                                   \
        FIELD_AT(struct conf_slo_latency, within_ms[index])                                        \
    }

static const struct field latency_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_slo_latency, at)},
    PERCENTILE("p50", 0, "half"),
    PERCENTILE("p90", 1, "90 %"),
    PERCENTILE("p95", 2, "95 %"),
    PERCENTILE("p99", 3, "99 %"),
    PERCENTILE("p999", 4, "99.9 %"),
    FIELD_END,
};

const struct field conf_slo_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_slo, at)},
    {.name = "availability",
     .doc = "The share of answers that are to be no 5xx: 99.9%.",
     .type = FIELD_CUSTOM,
     .decode = decode_objective,
     .json = "{\"type\":[\"string\",\"number\"]}",
     FIELD_AT(struct conf_slo, availability)},
    {.name = "latency",
     .doc = "One percentile and its bound: `{p99: 300ms}`. Answers that are 5xx, and tunnels, do "
            "not count.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_slo, latency.is_set),
     .fields = latency_fields,
     FIELD_AT(struct conf_slo, latency)},
    {.name = "window",
     .doc = "The time over which the error budget is kept.",
     .standard = "30d",
     .type = FIELD_DURATION,
     .min = UINT64_C(3600) * 1000,
     .max = UINT64_C(90) * 24 * 3600 * 1000,
     FIELD_AT(struct conf_slo, window_ms)},
    FIELD_END,
};

int conf_slo_percentile(const struct conf_slo *slo)
{
    for (int i = 0; i < CONF_SLO_PERCENTILES; i++)
        if (slo->latency.within_ms[i])
            return i;
    return -1;
}

void conf_check_slo(struct diag *diag, const struct conf_slo *slo)
{
    unsigned count = 0;

    for (int i = 0; i < CONF_SLO_PERCENTILES; i++)
        count += slo->latency.within_ms[i] > 0;
    if (slo->latency.is_set && count != 1)
        diag_error(diag, slo->latency.at, "latency has one percentile, such as {p99: 300ms}");
    if (slo->is_set && !slo->availability && !slo->latency.is_set)
        diag_error(diag, slo->at, "an slo without an objective: availability, latency, or both");
}
