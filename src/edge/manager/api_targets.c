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
#include "edge/manager/target.h"

enum { POLL_MS = 50, WAIT_MAX_MS = 60 * 60 * 1000 };

/* --- finding */

static bool same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

static const struct service *find_service(const struct admin_call *call)
{
    const struct snapshot *snapshot = call->admin->manager->snapshot;

    for (uint32_t i = 0; snapshot && i < snapshot->service_count; i++)
        if (same(snapshot->services[i].conf->name.s, call->parts[0]))
            return &snapshot->services[i];
    return NULL;
}

static const struct snapshot_target *find_target(const struct service *service, struct str id)
{
    for (uint32_t i = 0; service && i < service->count; i++)
        if (same(service->targets[i].endpoint->id, id))
            return &service->targets[i];
    return NULL;
}

static uint64_t count_in_flight(const struct admin_call *call)
{
    const struct snapshot_target *target = find_target(find_service(call), call->text);
    uint64_t sum = 0;

    for (unsigned w = 0; target && w < target->endpoint->workers; w++)
        sum += __atomic_load_n(&target->endpoint->locals[w].in_flight, __ATOMIC_RELAXED);
    return sum;
}

/* --- not found: with the nearest name there is */

static void refuse_unknown(struct admin_call *call, const char *reason, struct str word,
                           const char *const *names, size_t count)
{
    const char *near = names ? diag_nearest(word, names, count) : NULL;
    const char *what = strcmp(reason, "service_not_found") ? "target" : "service";

    admin_problem(call, 404, reason, "There is no %s \"%.*s\"%s%s%s", what, STR_FMT(word),
                  near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : ".");
}

static const char *terminated(struct admin_call *call, struct str text)
{
    struct str copy = arena_copy(&call->arena, text);

    return copy.p ? copy.p : "";
}

static void refuse_service(struct admin_call *call)
{
    const struct snapshot *snapshot = call->admin->manager->snapshot;
    uint32_t count = snapshot ? snapshot->service_count : 0;
    const char **names = arena_zero(&call->arena, count, sizeof(*names));

    for (uint32_t i = 0; names && i < count; i++)
        names[i] = terminated(call, snapshot->services[i].conf->name.s);
    refuse_unknown(call, "service_not_found", call->parts[0], names, count);
}

static void refuse_target(struct admin_call *call, const struct service *service)
{
    const char **names = arena_zero(&call->arena, service->count, sizeof(*names));

    for (uint32_t i = 0; names && i < service->count; i++)
        names[i] = terminated(call, service->targets[i].endpoint->id);
    refuse_unknown(call, "target_not_found", call->text, names, service->count);
}

/* --- answering */

static void refuse(struct admin_call *call, enum status status, const struct service *service)
{
    switch (status) {
    case E_NOT_FOUND:
        refuse_target(call, service);
        break;
    case E_CONFLICT:
        admin_problem(call, 409, "target_exists", "The service has a target \"%.*s\" already.",
                      STR_FMT(call->text));
        break;
    case E_INVALID:
        admin_problem(call, 422, "target_invalid", "The target is not valid.");
        break;
    case E_FULL:
        admin_problem(call, 422, "too_many_targets", "A service has at most %d targets.",
                      BALANCER_TARGETS_MAX);
        break;
    default:
        admin_problem(call, 503, "memory_limit", "Out of memory.");
    }
}

static json_t *answer(const struct admin_call *call)
{
    return json_pack("{s:s%,s:s%,s:I,s:I}", "service", call->parts[0].p, call->parts[0].len, "id",
                     call->text.p, call->text.len, "generation", (json_int_t)call->generation,
                     "in_flight", (json_int_t)count_in_flight(call));
}

static void reply(struct admin_call *call)
{
    bool is_added = call->run == api_target_add;

    admin_reply_json(call, is_added ? 201 : 200, answer(call));
}

static const char *name_change(const struct admin_call *call)
{
    if (call->run == api_target_add)
        return "added";
    if (call->run == api_target_remove)
        return "removed";
    return call->is_drain ? "drained" : "enabled";
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

        if (call->conn && now < call->deadline_ms && count_in_flight(call)) {
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

    if (status)
        overlay_undo(call->admin->manager->overlay);
    admin_turn_over(call);
    if (status) {
        admin_problem_diag(call, status == E_IO ? 500 : 503,
                           status == E_IO ? "state_not_saved" : "not_changed", diag);
        return;
    }
    call->generation = generation;
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
        arena_zero(&call->arena, conf->target_count + (found ? found->count : 0), sizeof(*targets));

    *base = *conf;
    base->targets = targets;
    if (targets && conf->target_count)
        memcpy(targets, conf->targets, conf->target_count * sizeof(*targets));
    for (uint32_t i = 0; targets && found && i < found->count; i++) {
        const struct conf_target *target = &found->items[i];

        if (call->run != api_target_add || view.is_removed(view.owner, conf->name.s, target->id.s))
            targets[base->target_count++] = *target;
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
        return overlay_add(overlay, &base, call->text, call->target.address,
                           (uint32_t)call->target.weight);
    if (call->run == api_target_remove)
        return overlay_remove(overlay, &base, call->text);
    return overlay_drain(overlay, &base, call->text, call->is_drain);
}

static void change(struct admin_call *call)
{
    const struct service *service = find_service(call);
    enum status status;

    if (!service) {
        admin_turn_over(call);
        refuse_service(call);
        return;
    }
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

/* What is wrong with the target of the body; NULL: nothing. */
static const char *check_members(struct admin_call *call, json_t *json)
{
    static const char *const known[] = {"id", "address", "weight"};
    const json_t *id = json_object_get(json, "id"), *weight = json_object_get(json, "weight");
    const char *key;
    json_t *value;

    if (!json_is_object(json))
        return "the body is a JSON object: {\"id\": \"b\", \"address\": \"127.0.0.1:3000\"}";
    json_object_foreach(json, key, value)
    {
        const char *near = diag_nearest((struct str){key, strlen(key)}, known, ARRAY_LEN(known));

        if (strcmp(key, "id") && strcmp(key, "address") && strcmp(key, "weight"))
            return arena_format(&call->arena, "unknown key \"%s\"%s%s%s", key,
                                near ? "; did you mean \"" : "", near ? near : "",
                                near ? "\"?" : "")
                .p;
    }
    if (!json_is_string(json_object_get(json, "address")))
        return "\"address\" is needed, as text: \"127.0.0.1:3000\"";
    if ((id && !json_is_string(id)) || (weight && !json_is_integer(weight)))
        return "\"id\" is text and \"weight\" a whole number";
    return NULL;
}

/* The same for what the members say. */
static const char *check_values(struct admin_call *call, json_t *json)
{
    const json_t *address = json_object_get(json, "address"), *id = json_object_get(json, "id");
    const json_t *weight = json_object_get(json, "weight");
    struct target_text target = {.weight = weight ? json_integer_value(weight) : 1};
    struct diag diag;
    const struct diag_entry *first = diag.entries;

    target.address = arena_copy(&call->arena, (struct str){json_string_value(address),
                                                           json_string_length(address)});
    target.id =
        id ? arena_copy(&call->arena, (struct str){json_string_value(id), json_string_length(id)})
           : target.address;
    if (!target.address.p || !target.id.p)
        return "out of memory";
    diag_init(&diag, &call->arena);
    if (!target_check(&target, &diag))
        return diag.count ? terminated(call, first->text) : "the target is not valid";
    call->text = target.id;
    call->target = target;
    return NULL;
}

void api_target_add(struct admin_call *call)
{
    json_t *json =
        json_loadb(call->body.p ? call->body.p : "", call->body.len, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = json ? check_members(call, json) : "the body is not valid JSON";

    if (!wrong)
        wrong = check_values(call, json);
    if (wrong)
        admin_problem(call, json ? 422 : 400, "target_invalid", "%s", wrong);
    else
        admin_turn_take(call, change);
    json_decref(json);
}

void api_target_remove(struct admin_call *call)
{
    call->text = call->parts[1];
    admin_turn_take(call, change);
}

void api_target_drain(struct admin_call *call)
{
    struct str wait = admin_query(call, "wait", 0);
    uint64_t wait_ms = 0;

    if (wait.p && (units_duration(wait, &wait_ms) || wait_ms > WAIT_MAX_MS)) {
        admin_problem(call, 400, "query_invalid", "wait is a duration of at most 1h: wait=30s");
        return;
    }
    call->text = call->parts[1];
    call->is_drain = true;
    if (wait_ms)
        call->deadline_ms = uv_now(&call->admin->manager->loop.uv) + wait_ms;
    admin_turn_take(call, change);
}

void api_target_enable(struct admin_call *call)
{
    call->text = call->parts[1];
    admin_turn_take(call, change);
}
