/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `scale`: how many units, by what, at which times and for how much.
 */
#include <string.h>

#include "config/conf_check.h"
#include "config/conf_table.h"
#include "config/tree.h"
#include "config/units.h"

#define HOUR_MS (3600 * 1000U)

/* --- kinds of values */

/* "0.0027": millionths; a price has no unit, for it is only compared with other prices. */
static bool decode_money(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    uint64_t value = 0, scale = CONF_MONEY;
    bool has_point = false, has_digit = false;

    (void)field;
    for (size_t i = 0; i < node->text.len; i++) {
        char c = node->text.p[i];

        if (c == '.' && !has_point) {
            has_point = true;
        } else if (c < '0' || c > '9' || (has_point && scale == 1) || value > UINT32_MAX) {
            has_digit = false;
            break;
        } else {
            has_digit = true;
            value = value * 10 + (uint64_t)(c - '0');
            if (has_point)
                scale /= 10;
        }
    }
    if (!has_digit)
        return field_wrong(decoder, node, "is not an amount such as 0.25");
    *(uint64_t *)member = value * scale;
    return true;
}

static bool take_time(struct str s, uint16_t *minutes)
{
    if (s.len != 5 || s.p[2] != ':')
        return false;
    for (size_t i = 0; i < 5; i++)
        if (i != 2 && (s.p[i] < '0' || s.p[i] > '9'))
            return false;
    *minutes =
        (uint16_t)(((s.p[0] - '0') * 10 + s.p[1] - '0') * 60 + (s.p[3] - '0') * 10 + s.p[4] - '0');
    return s.p[3] < '6' && *minutes <= 24 * 60;
}

static bool decode_time(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    (void)field;
    return take_time(node->text, member) ||
           field_wrong(decoder, node, "is not a time such as 08:30");
}

static bool decode_offset(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    struct str text = node->text;
    uint16_t minutes = 0;

    (void)field;
    if (text.len != 6 || (*text.p != '+' && *text.p != '-') ||
        !take_time((struct str){text.p + 1, 5}, &minutes) || minutes > 14 * 60)
        return field_wrong(decoder, node, "is not an offset such as +02:00");
    *(int16_t *)member = (int16_t)(*text.p == '-' ? -minutes : minutes);
    return true;
}

static int find_day(struct str s)
{
    static const char names[] = "montuewedthufrisatsun";

    for (int i = 0; i < 7; i++)
        if (s.len == 3 && !memcmp(names + i * 3, s.p, 3))
            return i;
    return -1;
}

/* "mon", "mon-fri", or "sat-mon". */
static bool add_days(struct decoder *decoder, const struct node *node, uint8_t *days)
{
    struct str s = node->text;
    bool is_range = s.len == 7 && s.p[3] == '-';
    int from = find_day(is_range ? (struct str){s.p, 3} : s);
    int to = is_range ? find_day((struct str){s.p + 4, 3}) : from;

    if (from < 0 || to < 0)
        return field_wrong(decoder, node, "is no day such as mon, or mon-fri");
    *days |= (uint8_t)(1U << to);
    for (int i = from; i != to; i = (i + 1) % 7)
        *days |= (uint8_t)(1U << i);
    return true;
}

static bool decode_days(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    bool is_good = true;

    (void)field;
    if (node->kind != NODE_LIST)
        return add_days(decoder, node, member);
    for (const struct node *each = node->child.first; each; each = each->next)
        is_good &= add_days(decoder, each, member);
    return is_good;
}

/* --- tables */

static const struct field window_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_scale_window, at)},
    {.name = "days",
     .doc = "On which days it begins: `mon`, `mon-fri`, or a list of such; all where none is said.",
     .type = FIELD_CUSTOM,
     .decode = decode_days,
     .json = "{\"type\":[\"string\",\"array\"],\"items\":{\"type\":\"string\"}}",
     FIELD_AT(struct conf_scale_window, days)},
    {.name = "from",
     .doc = "When it begins.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_REQUIRED,
     .decode = decode_time,
     .json = "{\"type\":\"string\"}",
     FIELD_AT(struct conf_scale_window, from_min)},
    {.name = "to",
     .doc = "When it ends; up to the same or an earlier time: on the next day.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_REQUIRED,
     .decode = decode_time,
     .json = "{\"type\":\"string\"}",
     FIELD_AT(struct conf_scale_window, to_min)},
    {.name = "min",
     .doc = "The least in that time.",
     .type = FIELD_INT,
     .flags = FIELD_REQUIRED,
     .max = CONF_SCALE_MAX,
     FIELD_AT(struct conf_scale_window, min)},
    {.name = "max",
     .doc = "The most in that time.",
     .type = FIELD_INT,
     .flags = FIELD_REQUIRED,
     .min = 1,
     .max = CONF_SCALE_MAX,
     FIELD_AT(struct conf_scale_window, max)},
    FIELD_END,
};

static const struct field window_element = {.name = "",
                                            .type = FIELD_OBJECT,
                                            .fields = window_fields};

#define MONEY(name_, doc_, member_)                                                                \
    {                                                                                              \
        .name = name_, .doc = doc_, .type = FIELD_CUSTOM, .decode = decode_money,                  \
        .json = "{\"type\":\"number\",\"minimum\":0}", FIELD_AT(struct conf_scale, member_)        \
    }

static const struct field budget_fields[] = {
    MONEY("hour", "What its units may cost in an hour, all of them.", budget_hour),
    MONEY("day", "What they may cost in a day of UTC.", budget_day),
    FIELD_END,
};

const struct field conf_scale_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_scale, at)},
    {.name = "min",
     .doc = "The least units that run; 0: none, once it is idle.",
     .standard = "1",
     .type = FIELD_INT,
     .max = CONF_SCALE_MAX,
     FIELD_AT(struct conf_scale, min)},
    {.name = "max",
     .doc = "The most.",
     .standard = "10",
     .type = FIELD_INT,
     .min = 1,
     .max = CONF_SCALE_MAX,
     FIELD_AT(struct conf_scale, max)},
    {.name = "concurrency",
     .doc = "How many requests in flight a unit shall have.",
     .type = FIELD_INT,
     .flags = FIELD_OFF,
     .max = 1000000,
     FIELD_AT(struct conf_scale, concurrency)},
    {.name = "rate",
     .doc = "How many requests a second it shall have.",
     .type = FIELD_INT,
     .flags = FIELD_OFF,
     .max = 1000000,
     FIELD_AT(struct conf_scale, rate)},
    {.name = "idle",
     .doc = "How long there is no request before the last unit goes, where `min` is 0.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 500 * HOUR_MS,
     FIELD_AT(struct conf_scale, idle_ms)},
    {.name = "stable",
     .doc = "The time over which load is averaged.",
     .standard = "60s",
     .type = FIELD_DURATION,
     .min = 2000,
     .max = HOUR_MS,
     FIELD_AT(struct conf_scale, stable_ms)},
    {.name = "panic",
     .doc = "A shorter time, over which a sudden load is seen.",
     .standard = "6s",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = HOUR_MS,
     FIELD_AT(struct conf_scale, panic_ms)},
    {.name = "panic_ratio",
     .doc = "Units needed over that time to those that are ready, which is a sudden load.",
     .standard = "2x",
     .type = FIELD_RATIO,
     .min = 1001,
     .max = 1000000,
     FIELD_AT(struct conf_scale, panic_ratio)},
    {.name = "up_cooldown",
     .doc = "The least time from one growth to the next, but for a sudden load.",
     .standard = "0s",
     .type = FIELD_DURATION,
     .max = 24 * HOUR_MS,
     FIELD_AT(struct conf_scale, up_cooldown_ms)},
    {.name = "down_cooldown",
     .doc = "The least time from any change to fewer.",
     .standard = "60s",
     .type = FIELD_DURATION,
     .max = 24 * HOUR_MS,
     FIELD_AT(struct conf_scale, down_cooldown_ms)},
    {.name = "ceiling",
     .doc = "The most units ever, whatever `schedule` says.",
     .type = FIELD_INT,
     .flags = FIELD_OFF,
     .max = CONF_SCALE_MAX,
     FIELD_AT(struct conf_scale, ceiling)},
    MONEY("price", "What a unit costs in an hour, in any money.", price_hour),
    {.name = "budget",
     .doc = "What they may cost, in the same money; it keeps from growing, and that is told.",
     .type = FIELD_OBJECT,
     .fields = budget_fields},
    {.name = "utc_offset",
     .doc = "Of the times in `schedule`, such as +02:00.",
     .type = FIELD_CUSTOM,
     .decode = decode_offset,
     .json = "{\"type\":\"string\"}",
     FIELD_AT(struct conf_scale, offset_min)},
    {.name = "schedule",
     .doc = "Other bounds at some times of the week; the first that fits counts.",
     .type = FIELD_LIST,
     .element = &window_element,
     FIELD_ITEMS(struct conf_scale, windows, window_count)},
    {.name = "wake",
     .doc = "What becomes of requests while no unit runs.",
     .type = FIELD_OBJECT,
     .fields = conf_wake_fields,
     FIELD_AT(struct conf_scale, wake)},
    FIELD_END,
};

/* --- what goes together */

static void check_windows(struct diag *diag, const struct conf_scale *scale)
{
    if (scale->window_count > CONF_WINDOWS_MAX)
        diag_error(diag, scale->windows[0].at, "more than %d windows", CONF_WINDOWS_MAX);
    for (uint32_t i = 0; i < scale->window_count; i++)
        if (scale->windows[i].min > scale->windows[i].max)
            diag_error(diag, scale->windows[i].at, "min is more than max");
}

void conf_check_scale(struct diag *diag, const struct conf_service *service)
{
    const struct conf_scale *scale = &service->scale;

    if (!scale->is_set)
        return;
    if (!service->provider.is_set) {
        diag_error(diag, scale->at, "nobody runs its units");
        diag_hint(diag, "say `provider`, or leave `scale` out");
    }
    if (scale->min > scale->max)
        diag_error(diag, scale->at, "min is more than max");
    if (scale->panic_ms >= scale->stable_ms)
        diag_error(diag, scale->at, "panic is a shorter time than stable");
    if ((scale->budget_hour || scale->budget_day) && !scale->price_hour)
        diag_error(diag, scale->at, "a budget needs the price of a unit");
    if (!scale->min && service->provider.is_set && service->target_count)
        diag_error(diag, scale->at, "a service with targets of its own never rests: min is 0");
    if (!scale->min && !service->health.is_on) {
        diag_error(diag, scale->at, "nothing tells when a unit that was started is up: min is 0");
        diag_hint(diag, "leave `health: off` out");
    }
    check_windows(diag, scale);
}
