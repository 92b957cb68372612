/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets at run time: added, removed, drained, enabled. Each waits for its turn, changes the
 * overlay, and is answered when every worker serves by it; what could not be built or saved is
 * taken back.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "config/units.h"
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"
#include "rest/target.h"

enum { POLL_MS = 50, WAIT_MAX_MS = 60 * 60 * 1000 };

/* --- finding */

static bool same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

/* And its release. */
static const struct snapshot_target *find_target(const struct service *service, struct str id,
                                                 const struct release **of)
{
    for (uint32_t i = 0; service && i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        for (uint32_t k = 0; k < release->count; k++)
            if (same(release->targets[k].endpoint->id, id)) {
                *of = release;
                return &release->targets[k];
            }
    }
    return NULL;
}

static uint64_t count_in_flight(const struct admin_call *call)
{
    const struct release *release;
    const struct snapshot_target *target =
        find_target(api_service_find(call), call->text, &release);
    uint64_t sum = 0;

    for (unsigned w = 0; target && w < target->endpoint->workers; w++)
        sum += __atomic_load_n(&target->endpoint->locals[w].in_flight, __ATOMIC_RELAXED);
    return sum;
}

struct ids {
    struct admin_call *call;
    const char **names; /* NULL: they are only counted */
    uint32_t count;
};

static void take_id(void *owner, const struct release *release,
                    const struct snapshot_target *target)
{
    struct ids *ids = owner;

    (void)release;
    if (ids->names)
        ids->names[ids->count] = api_service_text(ids->call, target->endpoint->id);
    ids->count++;
}

static void refuse_target(struct admin_call *call, const struct service *service)
{
    struct ids ids = {.call = call};

    service_each_target(service, &ids, take_id);
    ids.names = arena_zero(&call->rest.arena, ids.count, sizeof(*ids.names));
    ids.count = 0;
    service_each_target(service, &ids, take_id);
    api_service_unknown(call, "target", call->text, ids.names, ids.count);
}

/* --- answering */

static void refuse(struct admin_call *call, enum status status, const struct service *service)
{
    switch (status) {
    case E_NOT_FOUND:
        refuse_target(call, service);
        break;
    case E_CONFLICT:
        rest_problem(&call->rest, 409, "target_exists",
                     "The service has a target \"%.*s\" already.", STR_FMT(call->text));
        break;
    case E_INVALID:
        rest_problem(&call->rest, 422, "target_invalid", "The target is not valid.");
        break;
    case E_FULL:
        rest_problem(&call->rest, 422, "too_many_targets", "A service has at most %d targets.",
                     BALANCER_TARGETS_MAX);
        break;
    default:
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
    }
}

static json_t *answer(const struct admin_call *call)
{
    return json_pack("{s:s%,s:s%,s:I,s:I}", "service", call->rest.parts[0].p,
                     call->rest.parts[0].len, "id", call->text.p, call->text.len, "generation",
                     (json_int_t)call->generation, "in_flight", (json_int_t)count_in_flight(call));
}

static void reply(struct admin_call *call)
{
    bool is_added = call->run == api_target_add;

    rest_reply_json(&call->rest, is_added ? 201 : 200, answer(call));
}

static const char *name_change(const struct admin_call *call)
{
    if (call->run == api_target_add)
        return "added";
    if (call->run == api_target_remove)
        return "removed";
    return call->is_on ? "drained" : "enabled";
}

/* What the ledger says of a target. NULL: there is none. */
static json_t *describe(const struct admin_call *call)
{
    const struct release *release;
    const struct snapshot_target *target =
        find_target(api_service_find(call), call->text, &release);
    json_t *json;

    if (!target)
        return NULL;
    json = json_pack("{s:s%,s:s%,s:i,s:i,s:b}", "release", release->id.p, release->id.len,
                     "address", target->endpoint->address.p, target->endpoint->address.len,
                     "weight", (int)target->weight, "priority", (int)target->priority, "drained",
                     target->is_drained);
    if (target->region.len)
        json_object_set_new(json, "region", json_stringn(target->region.p, target->region.len));
    return json;
}

static void note(struct admin_call *call)
{
    const char *action = call->run == api_target_add      ? "target.add"
                         : call->run == api_target_remove ? "target.remove"
                         : call->is_on                    ? "target.drain"
                                                          : "target.enable";
    struct api_change change = {.action = action,
                                .service = call->rest.parts[0],
                                .subject = call->text,
                                .before = call->before,
                                .after = describe(call)};

    call->before = NULL;
    api_changes_note(call->admin, call->actor, &change);
}

static void tell(const struct admin_call *call)
{
    json_t *json = answer(call);
    char *text;

    json_object_set_new(json, "change", json_string(name_change(call)));
    text = json_dumps(json, JSON_COMPACT);
    if (text)
        admin_event(call->admin, "targets", "%s", text);
    free(text);
    json_decref(json);
}

/* --- waiting until a target has no requests */

static void on_poll(uv_timer_t *timer)
{
    api_target_poll(timer->data);
}

static void wait_for(struct admin_call *call)
{
    struct admin *admin = call->admin;

    call->next_waiter = admin->waiters;
    admin->waiters = call;
    uv_timer_start(&admin->poll, on_poll, POLL_MS, POLL_MS);
}

void api_target_poll(struct admin *admin)
{
    uint64_t now = uv_now(&admin->manager->loop.uv);

    for (struct admin_call **at = &admin->waiters; *at;) {
        struct admin_call *call = *at;

        if (call->rest.conn && now < call->deadline_ms && count_in_flight(call)) {
            at = &call->next_waiter;
            continue;
        }
        *at = call->next_waiter;
        reply(call);
    }
    if (!admin->waiters)
        uv_timer_stop(&admin->poll);
}

/* --- changing */

static void on_changed(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    if (!api_service_settle(call, status, generation, diag))
        return;
    note(call);
    tell(call);
    if (call->deadline_ms && count_in_flight(call))
        wait_for(call);
    else
        reply(call);
}

/* What the service has without the API: the targets of the file and those that were found. One that
 * is added takes the place of one that was found, unless that had been removed: then it is back. */
static bool list_base(struct admin_call *call, const struct conf_service *conf,
                      struct conf_service *base)
{
    const struct manager *m = call->admin->manager;
    const struct found_list *found = discovery_list(m->discovery, &conf->discover);
    struct snapshot_overlay view = overlay_view(m->overlay);
    struct conf_target *targets =
        arena_zero(&call->rest.arena, conf->target_count + (found ? found->count : 0),
                   sizeof(*targets));

    *base = *conf;
    base->targets = targets;
    if (targets && conf->target_count)
        memcpy(targets, conf->targets, conf->target_count * sizeof(*targets));
    for (uint32_t i = 0; targets && found && i < found->count; i++) {
        const struct conf_target *target = &found->items[i];

        if (call->run == api_target_add && !view.is_removed(view.owner, conf->name.s, target->id.s))
            continue;
        targets[base->target_count] = *target;
        targets[base->target_count++].release = STR(CONF_STABLE);
    }
    return targets != NULL;
}

static enum status change_overlay(struct admin_call *call, const struct conf_service *conf)
{
    struct overlay *overlay = call->admin->manager->overlay;
    struct conf_service base;

    if (!list_base(call, conf, &base))
        return E_NOMEM;
    if (call->run == api_target_add)
        return overlay_add(overlay, &base, &call->target);
    if (call->run == api_target_remove)
        return overlay_remove(overlay, &base, call->text);
    return overlay_drain(overlay, &base, call->text, call->is_on);
}

/* Whether nobody would be there for requests that its release has a share of. */
static bool is_last_with_share(const struct service *service, struct str id)
{
    for (uint32_t i = 0; service->release_count > 1 && i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        if (release->count == 1 && release->share && same(release->targets[0].endpoint->id, id))
            return true;
    }
    return false;
}

/* Says whose the new target is: by the role that was named, or the stable one. False: it was
 * refused. */
static bool place_target(struct admin_call *call, const struct service *service)
{
    struct str wanted = call->target.release;
    const struct release *release =
        wanted.len ? service_named(service, wanted) : &service->releases[0];

    if (release)
        call->target.release = release->id;
    if (release || service->release_count < SERVICE_RELEASES_MAX)
        return true;
    admin_turn_over(call);
    rest_problem(&call->rest, 422, "too_many_releases", "A service has at most %d releases.",
                 SERVICE_RELEASES_MAX);
    return false;
}

static void change(struct admin_call *call)
{
    const struct service *service = api_service_find(call);
    enum status status;

    if (!service) {
        admin_turn_over(call);
        api_service_refuse(call);
        return;
    }
    if (call->run == api_target_remove && is_last_with_share(service, call->text)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 409, "release_in_use",
                     "\"%.*s\" is the last target of a release that has a share: give its share "
                     "to another release first.",
                     STR_FMT(call->text));
        return;
    }
    if (overlay_control_has(call->admin->manager->overlay, call->rest.parts[0], call->text) &&
        call->run != api_target_drain && call->run != api_target_enable) {
        admin_turn_over(call);
        rest_problem(&call->rest, 409, "controls_target",
                     "\"%.*s\" belongs to a release that control looks after.",
                     STR_FMT(call->text));
        return;
    }
    if (call->run == api_target_add && !place_target(call, service))
        return;
    call->before = describe(call);
    status = change_overlay(call, service->conf);
    if (status) {
        admin_turn_over(call);
        refuse(call, status, service);
        return;
    }
    call->change = (struct manager_change){.kind = CHANGE_TARGETS, .on_done = on_changed};
    manager_change(call->admin->manager, &call->change);
}

/* --- the endpoints */

void api_target_add(struct admin_call *call)
{
    json_t *json = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *wrong =
        json ? target_read(json, &call->rest.arena, &call->target) : "the body is not valid JSON";

    call->text = call->target.id;
    if (wrong)
        rest_problem(&call->rest, json ? 422 : 400, "target_invalid", "%s", wrong);
    else
        admin_turn_take(call, change);
    json_decref(json);
}

void api_target_remove(struct admin_call *call)
{
    call->text = call->rest.parts[1];
    admin_turn_take(call, change);
}

void api_target_drain(struct admin_call *call)
{
    struct str wait = rest_query(&call->rest, "wait", 0);
    uint64_t wait_ms = 0;

    if (wait.p && (units_duration(wait, &wait_ms) || wait_ms > WAIT_MAX_MS)) {
        rest_problem(&call->rest, 400, "query_invalid",
                     "wait is a duration of at most 1h: wait=30s");
        return;
    }
    call->text = call->rest.parts[1];
    call->is_on = true;
    if (wait_ms)
        call->deadline_ms = uv_now(&call->admin->manager->loop.uv) + wait_ms;
    admin_turn_take(call, change);
}

void api_target_enable(struct admin_call *call)
{
    call->text = call->rest.parts[1];
    admin_turn_take(call, change);
}
