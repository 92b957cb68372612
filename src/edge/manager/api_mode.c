/* SPDX-License-Identifier: Apache-2.0
 *
 * A service paused, resumed, or in maintenance. Each call waits for its turn, changes the overlay,
 * and is answered when every worker acts by it; what could not be built or saved is taken back.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"

const char *api_mode_name(enum service_mode mode)
{
    static const char *const names[] = {[SERVICE_RUNS] = "running",
                                        [SERVICE_PAUSED] = "paused",
                                        [SERVICE_MAINTENANCE] = "maintenance"};

    return names[mode];
}

static json_t *answer(const struct admin_call *call)
{
    return json_pack("{s:s%,s:s,s:I}", "service", call->rest.parts[0].p, call->rest.parts[0].len,
                     "mode", api_mode_name(call->mode), "generation", (json_int_t)call->generation);
}

static void tell(const struct admin_call *call)
{
    json_t *json = answer(call);
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text)
        admin_event(call->admin, "mode", "%s", text);
    free(text);
    json_decref(json);
}

static json_t *mode_json(enum service_mode mode)
{
    return json_pack("{s:s}", "mode", api_mode_name(mode));
}

static void note(struct admin_call *call)
{
    struct api_change change = {.action = "service.mode",
                                .service = call->rest.parts[0],
                                .before = call->before,
                                .after = mode_json(call->mode)};

    call->before = NULL;
    api_changes_note(call->admin, call->actor, &change);
}

static void on_changed(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    if (!api_service_settle(call, status, generation, diag))
        return;
    note(call);
    tell(call);
    rest_reply_json(&call->rest, 200, answer(call));
}

/* What the service is in after the call: what ends pausing does not end maintenance, but `resume`
 * ends both. */
static enum service_mode wanted(const struct admin_call *call, enum service_mode now)
{
    if (call->run == api_mode_resume)
        return SERVICE_RUNS;
    if (call->is_on)
        return call->run == api_mode_pause ? SERVICE_PAUSED : SERVICE_MAINTENANCE;
    return now == (call->run == api_mode_pause ? SERVICE_PAUSED : SERVICE_MAINTENANCE)
               ? SERVICE_RUNS
               : now;
}

static void change(struct admin_call *call)
{
    const struct service *service = api_service_find(call);

    if (!service) {
        admin_turn_over(call);
        api_service_refuse(call);
        return;
    }
    call->mode = wanted(call, service->mode);
    call->before = mode_json(service->mode);
    if (overlay_set_mode(call->admin->manager->overlay, call->rest.parts[0], call->mode)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    call->change = (struct manager_change){.kind = CHANGE_TARGETS, .on_done = on_changed};
    manager_change(call->admin->manager, &call->change);
}

/* Whether the body is what it may be: nothing, or {"on": true|false}. */
static bool read_body(struct admin_call *call)
{
    json_t *json, *on;
    bool is_good;

    call->is_on = true;
    if (!call->rest.body.len)
        return true;
    json = json_loadb(call->rest.body.p, call->rest.body.len, JSON_REJECT_DUPLICATES, NULL);
    on = json_object_get(json, "on");
    is_good = json_is_object(json) && json_object_size(json) == (on ? 1 : 0) &&
              (!on || json_is_boolean(on));
    call->is_on = !on || json_is_true(on);
    json_decref(json);
    return is_good;
}

static void begin(struct admin_call *call)
{
    if (read_body(call))
        admin_turn_take(call, change);
    else
        rest_problem(&call->rest, 422, "mode_invalid",
                     "The body is empty, or {\"on\": true|false}.");
}

void api_mode_pause(struct admin_call *call)
{
    begin(call);
}

void api_mode_resume(struct admin_call *call)
{
    if (read_body(call) && !call->is_on)
        rest_problem(&call->rest, 422, "mode_invalid", "To pause a service, ask for /pause.");
    else
        begin(call);
}

void api_mode_maintenance(struct admin_call *call)
{
    begin(call);
}
