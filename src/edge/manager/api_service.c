/* SPDX-License-Identifier: Apache-2.0
 *
 * What the endpoints under /services/ share: finding the service, saying that there is none, and
 * the end of a change of what the API keeps.
 */
#include <stdlib.h>
#include <string.h>

#include "edge/manager/api.h"

static const struct snapshot *snapshot_of(const struct admin_call *call)
{
    return call->admin->manager->snapshot;
}

const struct service *api_service_find(const struct admin_call *call)
{
    return snapshot_of(call) ? snapshot_service(snapshot_of(call), call->rest.parts[0]) : NULL;
}

const char *api_service_text(struct admin_call *call, struct str text)
{
    struct str copy = arena_copy(&call->rest.arena, text);

    return copy.p ? copy.p : "";
}

void api_service_unknown(struct admin_call *call, const char *what, struct str word,
                         const char *const *names, size_t count)
{
    const char *near = names ? diag_nearest(word, names, count) : NULL;
    struct str reason = arena_format(&call->rest.arena, "%s_not_found", what);

    rest_problem(&call->rest, 404, reason.p ? reason.p : "not_found",
                 "There is no %s \"%.*s\"%s%s%s", what, STR_FMT(word),
                 near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ".");
}

void api_service_refuse(struct admin_call *call)
{
    const struct snapshot *snapshot = snapshot_of(call);
    uint32_t count = snapshot ? snapshot->service_count : 0;
    const char **names = arena_zero(&call->rest.arena, count, sizeof(*names));

    for (uint32_t i = 0; names && i < count; i++)
        names[i] = api_service_text(call, snapshot->services[i].conf->name.s);
    api_service_unknown(call, "service", call->rest.parts[0], names, count);
}

bool api_service_settle(struct admin_call *call, enum status status, uint32_t generation,
                        const struct diag *diag)
{
    if (status)
        overlay_undo(call->admin->manager->overlay);
    admin_turn_over(call);
    call->generation = generation;
    if (!status)
        return true;
    rest_diag_problem(&call->rest, status == E_IO ? 500 : 503,
                      status == E_IO ? "state_not_saved" : "not_changed", diag);
    return false;
}

void api_service_end(struct admin_call *call, const char *event, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_COMPACT) : NULL;

    if (text)
        admin_event(call->admin, event, "%s", text);
    free(text);
    rest_reply_json(&call->rest, 200, json);
}
