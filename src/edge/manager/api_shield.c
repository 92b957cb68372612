/* SPDX-License-Identifier: Apache-2.0
 *
 * The shield put up for a time, and down. A call waits for its turn, changes the overlay, and is
 * answered when that is saved and every worker acts by it.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "config/units.h"
#include "edge/access/shield.h"
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"

enum { USUAL_MS = 30 * 60 * 1000, MOST_MS = 24 * 60 * 60 * 1000 };

json_t *api_shield_status(const struct manager *m)
{
    uint64_t until_ms = shield_until_ms(m->shield), now_ms = clock_wall_ms();

    if (until_ms <= now_ms)
        return json_pack("{s:b}", "on", 0);
    return json_pack("{s:b,s:I,s:I}", "on", 1, "until_ms", (json_int_t)until_ms, "left_s",
                     (json_int_t)((until_ms - now_ms + 999) / 1000));
}

void api_shield_get(struct admin_call *call)
{
    rest_reply_json(&call->rest, 200, api_shield_status(call->admin->manager));
}

static void tell(struct admin *admin, const char *why)
{
    json_t *json = api_shield_status(admin->manager);
    char *text;

    json_object_set_new(json, "why", json_string(why));
    text = json_dumps(json, JSON_COMPACT);
    if (text)
        admin_event(admin, "shield", "%s", text);
    free(text);
    json_decref(json);
}

void api_shield_tick(struct admin *admin)
{
    struct shield *shield = admin->manager->shield;
    uint64_t until_ms = shield_until_ms(shield);

    if (!until_ms || until_ms > clock_wall_ms())
        return;
    shield_set(shield, 0);
    tell(admin, "expired");
}

/* Until when; an end of it is not told by what is left. */
static json_t *until_json(uint64_t until_ms)
{
    bool is_on = until_ms > clock_wall_ms();

    return is_on ? json_pack("{s:b,s:I}", "on", 1, "until_ms", (json_int_t)until_ms)
                 : json_pack("{s:b}", "on", 0);
}

static void on_changed(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    if (!api_service_settle(call, status, generation, diag))
        return;
    api_changes_note(call->admin, call->actor,
                     &(struct api_change){.action = "shield",
                                          .before = until_json(
                                              shield_until_ms(call->admin->manager->shield)),
                                          .after = until_json(call->deadline_ms)});
    shield_set(call->admin->manager->shield, call->deadline_ms);
    tell(call->admin, "asked");
    rest_reply_json(&call->rest, 200, api_shield_status(call->admin->manager));
}

static void change(struct admin_call *call)
{
    if (call->deadline_ms)
        call->deadline_ms += clock_wall_ms();
    if (overlay_set_shield(call->admin->manager->overlay, call->deadline_ms)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    call->change = (struct manager_change){.kind = CHANGE_TARGETS, .on_done = on_changed};
    manager_change(call->admin->manager, &call->change);
}

/* For how long, in milliseconds; 0: it is to go down. False: the body is not what it may be. */
static bool read_wish(const json_t *json, uint64_t *span_ms)
{
    const json_t *on = json_object_get(json, "on"), *span = json_object_get(json, "for");
    struct str text = {json_string_value(span), json_string_length(span)};

    *span_ms = json_is_true(on) ? USUAL_MS : 0;
    if (!json_is_boolean(on) || json_object_size(json) != (span ? 2 : 1))
        return false;
    if (!span)
        return true;
    return json_is_true(on) && text.p && !units_duration(text, span_ms) && *span_ms >= 1000 &&
           *span_ms <= MOST_MS;
}

void api_shield_set(struct admin_call *call)
{
    json_t *json = json_loadb(call->rest.body.p, call->rest.body.len, JSON_REJECT_DUPLICATES, NULL);
    bool is_good = read_wish(json, &call->deadline_ms);

    json_decref(json);
    if (is_good)
        admin_turn_take(call, change);
    else
        rest_problem(&call->rest, 422, "shield_invalid",
                     "The body is {\"on\": false}, or {\"on\": true, \"for\": \"30m\"} with a "
                     "time from 1s to 24h.");
}
