/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of checks, ejection and breaker of a service, and the hook of what is `on`, `off` or a
 * map.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"

bool conf_switch_decode(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    bool *is_on = member; /* first in each of these structs */

    *is_on = !tree_is_word(node, "off");
    if (!*is_on || tree_is_word(node, "on"))
        return field_decode(decoder, field->fields, NULL, member);
    if (node->kind == NODE_MAP)
        return field_decode(decoder, field->fields, node, member);
    if (node->kind == NODE_SCALAR && !tree_is_null(node))
        return field_wrong(decoder, node, "is neither on nor off nor a map");
    diag_error(decoder->diag, tree_span(node), "expected on, off or a map, got %s",
               tree_noun(node));
    return false;
}

/* --- `status`: "200-399" or a list of such */

static bool read_status(const char **at, const char *end, uint16_t *status)
{
    unsigned n = 0, digits = 0;

    for (; *at < end && **at >= '0' && **at <= '9' && digits < 4; (*at)++, digits++)
        n = n * 10 + (unsigned)(**at - '0');
    *status = (uint16_t)n;
    return digits == 3 && n >= 100 && n <= 599;
}

static bool add_range(struct decoder *decoder, const struct node *node, struct conf_health *health)
{
    const char *at = node->text.p, *end = at + node->text.len;
    struct conf_status_range range = {0};
    bool is_good;

    if (node->kind != NODE_SCALAR) {
        diag_error(decoder->diag, tree_span(node),
                   "expected a status such as 200 or 200-399, got %s", tree_noun(node));
        return false;
    }
    is_good = read_status(&at, end, &range.first);
    range.last = range.first;
    if (is_good && at < end && *at == '-') {
        at++;
        is_good = read_status(&at, end, &range.last);
    }
    if (!is_good || at != end || range.last < range.first)
        return field_wrong(decoder, node,
                           "is not a status such as 200, or a range such as 200-399");
    if (health->status_count == CONF_STATUS_RANGES_MAX)
        return field_wrong(decoder, node, "is one range too many: 8 at most");
    health->statuses[health->status_count++] = range;
    return true;
}

static bool decode_status(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    struct conf_health *health = CONTAINER_OF(member, struct conf_health, statuses);
    bool is_good = true;

    (void)field;
    if (node->kind != NODE_LIST)
        return add_range(decoder, node, health);
    for (const struct node *c = node->child.first; c; c = c->next)
        is_good &= add_range(decoder, c, health);
    if (!node->child.first) {
        diag_error(decoder->diag, tree_span(node), "the list is empty");
        return false;
    }
    return is_good;
}

/* --- tables */

const struct field conf_health_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_health, at)},
    {.name = "path",
     .doc = "What is asked for, by GET; not written: that a connection opens is enough.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_health, path)},
    {.name = "grpc",
     .doc = "Ask grpc.health.v1 for this service name; `\"\"`: for the server as a whole.",
     .type = FIELD_TEXT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_health, has_grpc),
     FIELD_AT(struct conf_health, grpc)},
    {.name = "port",
     .doc = "The port that is asked, where it is not the target's own.",
     .standard = "auto",
     .type = FIELD_INT,
     .flags = FIELD_AUTO,
     .min = 1,
     .max = 65535,
     FIELD_AT(struct conf_health, port)},
    {.name = "status",
     .doc = "Which answers are good: `200`, `200-399`, or a list of such.",
     .standard = "200-399",
     .type = FIELD_CUSTOM,
     .decode = decode_status,
     .json = "{\"anyOf\":[{\"type\":[\"string\",\"integer\"]},{\"type\":\"array\",\"minItems\":1,"
             "\"items\":{\"type\":[\"string\",\"integer\"]}}]}",
     FIELD_AT(struct conf_health, statuses)},
    {.name = "body",
     .doc = "What the first 64 KiB of the answer must contain.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_health, body)},
    {.name = "interval",
     .doc = "Between two checks of a target that is up.",
     .standard = "5s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_health, interval_ms)},
    {.name = "fast_interval",
     .doc = "Between two checks of one that is new, failing or down; after a minute of that, "
            "`interval`.",
     .standard = "250ms",
     .type = FIELD_DURATION,
     .min = 10,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_health, fast_interval_ms)},
    {.name = "timeout",
     .doc = "How long one check may take.",
     .standard = "2s",
     .type = FIELD_DURATION,
     .min = 10,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_health, timeout_ms)},
    {.name = "rise",
     .doc = "Good checks in a row after which a target that was down is up; a new one needs one.",
     .standard = "1",
     .type = FIELD_INT,
     .min = 1,
     .max = 100,
     FIELD_AT(struct conf_health, rise)},
    {.name = "fall",
     .doc = "Bad checks in a row after which it is down.",
     .standard = "3",
     .type = FIELD_INT,
     .min = 1,
     .max = 100,
     FIELD_AT(struct conf_health, fall)},
    {.name = "assume_up",
     .doc = "Whether a new target gets requests before its first check has passed.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_health, assume_up)},
    {.name = "panic",
     .doc = "Below this share of targets that are up, all that ever were known are used.",
     .standard = "off",
     .type = FIELD_SHARE,
     .flags = FIELD_OFF,
     .min = 10000,
     .max = 1000000,
     FIELD_AT(struct conf_health, panic_ppm)},
    {.name = "spill",
     .doc = "Below this share of a tier that is up, what it cannot take goes to the next priority "
            "or region.",
     .standard = "70%",
     .type = FIELD_SHARE,
     .min = 10000,
     .max = 1000000,
     FIELD_AT(struct conf_health, spill_ppm)},
    FIELD_END,
};

const struct field conf_outlier_fields[] = {
    {.name = "consecutive",
     .doc = "Failures in a row, seen by one worker, after which a target is ejected: no "
            "connection, a reset, 502, 503 or 504.",
     .standard = "5",
     .type = FIELD_INT,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 10000,
     FIELD_AT(struct conf_outlier, consecutive)},
    {.name = "errors",
     .doc = "How many times its peers' share of failures ejects a target, if it is also 5 % above.",
     .standard = "3x",
     .type = FIELD_RATIO,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = 100000,
     FIELD_AT(struct conf_outlier, errors_thousandths)},
    {.name = "latency",
     .doc = "How many times the median of its peers' mean latency ejects a target.",
     .standard = "off",
     .type = FIELD_RATIO,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = 100000,
     FIELD_AT(struct conf_outlier, latency_thousandths)},
    {.name = "interval",
     .doc = "How often targets are compared with each other.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 3600000,
     FIELD_AT(struct conf_outlier, interval_ms)},
    {.name = "minimum",
     .doc = "Requests in that time without which a target is not judged.",
     .standard = "50",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_outlier, minimum)},
    {.name = "eject",
     .doc = "How long the first ejection lasts; each further one that much longer.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_outlier, eject_ms)},
    {.name = "eject_max",
     .doc = "How long one lasts at most.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_outlier, eject_max_ms)},
    {.name = "max_ejected",
     .doc = "Of a service's targets, how many may be out by ejection; never the last one.",
     .standard = "50%",
     .type = FIELD_SHARE,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_outlier, max_ejected_ppm)},
    FIELD_END,
};

const struct field conf_breaker_fields[] = {
    {.name = "errors",
     .doc = "The share of failures that opens it.",
     .standard = "50%",
     .type = FIELD_SHARE,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_breaker, errors_ppm)},
    {.name = "slow",
     .doc = "An answer that took longer counts as slow.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_breaker, slow_ms)},
    {.name = "slow_share",
     .doc = "The share of slow ones that opens it.",
     .standard = "50%",
     .type = FIELD_SHARE,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_breaker, slow_ppm)},
    {.name = "over",
     .doc = "The time over which shares are counted.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 3600000,
     FIELD_AT(struct conf_breaker, over_ms)},
    {.name = "minimum",
     .doc = "Requests in that time without which it stays closed.",
     .standard = "20",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000000,
     FIELD_AT(struct conf_breaker, minimum)},
    {.name = "open",
     .doc = "How long it stays open before one request tries again; doubled each time it fails, up "
            "to ten times.",
     .standard = "5s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_breaker, open_ms)},
    {.name = "trials",
     .doc = "Good ones in a row that close it.",
     .standard = "3",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000,
     FIELD_AT(struct conf_breaker, trials)},
    FIELD_END,
};
