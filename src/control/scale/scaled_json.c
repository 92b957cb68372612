/* SPDX-License-Identifier: Apache-2.0
 *
 * A scaled service as JSON: for the store, which gets it back, for edges, and for people.
 */
#include <stdio.h>
#include <string.h>

#include "control/scale/scaled.h"

/* --- for the store */

static json_t *boots_json(const struct life *life)
{
    json_t *boots = json_array();

    for (size_t i = 0; i < LIFE_BOOTS; i++)
        json_array_append_new(boots, json_integer(life->boots_ms[i]));
    return boots;
}

json_t *scaled_record(const struct scaled *scaled)
{
    const struct life *life = &scaled->life;

    return json_pack("{s:s,s:I,s:b,s:b,s:I,s:o,s:s,s:I,s:f,s:f,s:f,s:f,s:I,s:f,s:I}", "mode",
                     life_name(life->mode), "since_ms", (json_int_t)life->since_ms, "is_cold",
                     life->is_cold, "is_told", life->is_told, "breaks", (json_int_t)life->breaks,
                     "boots_ms", boots_json(life), "why", life->why, "wanted",
                     (json_int_t)scaled->state.wanted, "grown_s", scaled->state.grown_s,
                     "changed_s", scaled->state.changed_s, "panic_until_s",
                     scaled->state.panic_until_s, "service_s", scaled->service_s, "growth_ms",
                     (json_int_t)scaled->growth_ms, "spent", scaled->purse.spent, "spent_at_ms",
                     (json_int_t)scaled->purse.at_ms);
}

static double number(const json_t *record, const char *name)
{
    double value = json_number_value(json_object_get(record, name));

    return value > 0 ? value : 0;
}

static uint32_t whole(const json_t *json)
{
    json_int_t value = json_integer_value(json);

    return value < 0 || value > UINT32_MAX ? 0 : (uint32_t)value;
}

static bool read_life(struct life *life, const json_t *record)
{
    const char *mode = json_string_value(json_object_get(record, "mode"));
    const char *why = json_string_value(json_object_get(record, "why"));
    const json_t *boots = json_object_get(record, "boots_ms");

    if (!mode || !life_of_name(mode, &life->mode))
        return false;
    life->since_ms = json_integer_value(json_object_get(record, "since_ms"));
    life->is_cold = json_is_true(json_object_get(record, "is_cold"));
    life->is_told = json_is_true(json_object_get(record, "is_told"));
    life->breaks = whole(json_object_get(record, "breaks"));
    for (size_t i = 0; i < LIFE_BOOTS; i++)
        life->boots_ms[i] = whole(json_array_get(boots, i));
    snprintf(life->why, sizeof(life->why), "%s", why ? why : "");
    return true;
}

bool scaled_of_record(struct scaled *scaled, const json_t *record)
{
    memset(scaled, 0, sizeof(*scaled));
    if (!read_life(&scaled->life, record))
        return false;
    scaled->state = (struct scale_state){
        .wanted = whole(json_object_get(record, "wanted")),
        .grown_s = number(record, "grown_s"),
        .changed_s = number(record, "changed_s"),
        .panic_until_s = number(record, "panic_until_s"),
    };
    scaled->service_s = number(record, "service_s");
    scaled->growth_ms = whole(json_object_get(record, "growth_ms"));
    scaled->purse = (struct purse){
        .at_ms = json_integer_value(json_object_get(record, "spent_at_ms")),
        .spent = number(record, "spent"),
    };
    return true;
}

/* --- for edges */

json_t *scaled_word(const struct scaled *scaled, int64_t now_ms)
{
    const struct life *life = &scaled->life;

    return json_pack("{s:s,s:I,s:s,s:I}", "state", life_name(life->mode), "eta_ms",
                     (json_int_t)life_eta_ms(life), "why", life->why, "retry_ms",
                     (json_int_t)life_retry_ms(life, now_ms));
}

/* --- for people */

json_t *scaled_json(const struct scaled *scaled, int64_t now_ms)
{
    const struct life *life = &scaled->life;
    json_t *json =
        json_pack("{s:s,s:I,s:I,s:I,s:I,s:s,s:f}", "state", life_name(life->mode), "since_ms",
                  (json_int_t)life->since_ms, "wanted", (json_int_t)scaled->state.wanted, "ready",
                  (json_int_t)scaled->ready, "eta_ms", (json_int_t)life_eta_ms(life), "why",
                  life->mode == LIFE_BROKEN ? life->why : scaled->why, "spent_day",
                  scaled->purse.spent);

    if (life->mode == LIFE_BROKEN)
        json_object_set_new(json, "retry_ms", json_integer(life_retry_ms(life, now_ms)));
    return json;
}
