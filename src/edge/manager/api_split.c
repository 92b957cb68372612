/* SPDX-License-Identifier: Apache-2.0
 *
 * The split of a service among its releases. Each call waits for its turn, changes the overlay, and
 * is answered when every worker splits by it; what could not be built or saved is taken back.
 */
#include <string.h>

#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"

/* What a call asks for, with names resolved. */
struct plan {
    struct overlay_share shares[SERVICE_RELEASES_MAX];
    uint32_t count;
    struct str stable; /* empty: as it was */
};

/* --- answering */

/* {"stable": 90, "canary": 10}; NULL: the service is gone. */
static json_t *split_json(const struct service *service)
{
    json_t *split = service ? json_object() : NULL;

    for (uint32_t i = 0; split && i < service->release_count; i++) {
        struct str id = service->releases[i].id;

        json_object_setn_new(split, id.p, id.len, json_integer(service->releases[i].share));
    }
    return split;
}

/* What the ledger says of it. */
static json_t *describe(const struct service *service)
{
    if (!service)
        return NULL;
    return json_pack("{s:o,s:s%}", "split", split_json(service), "stable",
                     service->releases[0].id.p, service->releases[0].id.len);
}

static void note(struct admin_call *call)
{
    struct api_change change = {.action = "service.split",
                                .service = call->rest.parts[0],
                                .before = call->before,
                                .after = describe(api_service_find(call))};

    call->before = NULL;
    api_changes_note(call->admin, call->actor, &change);
}

static json_t *answer(const struct admin_call *call)
{
    const struct service *service = api_service_find(call);
    return json_pack("{s:s%,s:o*,s:s%,s:I}", "service", call->rest.parts[0].p,
                     call->rest.parts[0].len, "split", split_json(service), "stable",
                     service ? service->releases[0].id.p : "",
                     service ? service->releases[0].id.len : (size_t)0, "generation",
                     (json_int_t)call->generation);
}

static void on_changed(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    if (!api_service_settle(call, status, generation, diag))
        return;
    note(call);
    api_service_end(call, "split", answer(call));
}

/* --- what is asked */

static void refuse_release(struct admin_call *call, const struct service *service, struct str name)
{
    const char *names[SERVICE_RELEASES_MAX];

    admin_turn_over(call);
    for (uint32_t i = 0; i < service->release_count; i++)
        names[i] = api_service_text(call, service->releases[i].id);
    api_service_unknown(call, "release", name, names, service->release_count);
}

static void refuse_shares(struct admin_call *call)
{
    admin_turn_over(call);
    rest_problem(&call->rest, 422, "split_invalid",
                 "The body is a JSON object of releases and their shares, whole numbers to %d of "
                 "which one is not 0: {\"stable\": 90, \"canary\": 10}.",
                 CONF_SHARE_MAX);
}

/* The share of each release; those that are not named get none. False: it was refused. */
static bool read_shares(struct admin_call *call, const struct service *service, json_t *json,
                        struct plan *plan)
{
    bool is_said[SERVICE_RELEASES_MAX] = {false};
    const char *key;
    uint64_t sum = 0;
    json_t *value;

    plan->count = service->release_count;
    for (uint32_t i = 0; i < plan->count; i++)
        plan->shares[i] = (struct overlay_share){.release = service->releases[i].id};
    json_object_foreach(json, key, value)
    {
        struct str name = {key, strlen(key)};
        const struct release *release = service_named(service, name);
        json_int_t share = json_integer_value(value);

        if (!json_is_integer(value) || share < 0 || share > CONF_SHARE_MAX ||
            (release && is_said[release - service->releases])) {
            refuse_shares(call);
            return false;
        }
        if (!release) {
            refuse_release(call, service, name);
            return false;
        }
        is_said[release - service->releases] = true;
        plan->shares[release - service->releases].share = (uint32_t)share;
        sum += (uint64_t)share;
    }
    if (!sum)
        refuse_shares(call);
    return sum > 0;
}

static void keep_shares(const struct service *service, struct plan *plan)
{
    plan->count = service->release_count;
    for (uint32_t i = 0; i < plan->count; i++)
        plan->shares[i] = (struct overlay_share){.release = service->releases[i].id,
                                                 .share = service->releases[i].share};
}

static bool read_stable(struct admin_call *call, const struct service *service, struct plan *plan)
{
    struct str name = rest_query(&call->rest, "stable", 0);
    const struct release *release = name.len ? service_named(service, name) : NULL;

    plan->stable = release ? release->id : STR("");
    if (name.len && !release)
        refuse_release(call, service, name);
    return release || !name.len;
}

/* False: it was refused. */
static bool read_plan(struct admin_call *call, const struct service *service, struct plan *plan)
{
    json_t *json;
    bool is_good;

    if (!read_stable(call, service, plan))
        return false;
    if (!call->rest.body.len && plan->stable.len) {
        keep_shares(service, plan);
        return true;
    }
    json = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                      JSON_REJECT_DUPLICATES, NULL);
    is_good = json_is_object(json);
    if (!is_good)
        refuse_shares(call);
    is_good = is_good && read_shares(call, service, json, plan);
    json_decref(json);
    return is_good;
}

/* --- changing */

static void change(struct admin_call *call)
{
    const struct service *service = api_service_find(call);
    struct plan plan = {.stable = STR("")};
    struct overlay_split split;
    struct str deploy;

    if (!service) {
        admin_turn_over(call);
        api_service_refuse(call);
        return;
    }
    deploy = overlay_control(call->admin->manager->overlay, call->rest.parts[0]).deploy;
    if (deploy.len) {
        admin_turn_over(call);
        rest_problem(&call->rest, 409, "deploy_runs",
                     "Deploy %.*s of this service runs, and the split is its own: promote or abort "
                     "it.",
                     STR_FMT(deploy));
        return;
    }
    if (call->run == api_split_put && !read_plan(call, service, &plan))
        return;
    call->before = describe(service);
    split = (struct overlay_split){plan.shares, plan.count, plan.stable};
    if (overlay_set_split(call->admin->manager->overlay, call->rest.parts[0], &split)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    call->change = (struct manager_change){.kind = CHANGE_TARGETS, .on_done = on_changed};
    manager_change(call->admin->manager, &call->change);
}

void api_split_get(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;

    if (!api_service_find(call)) {
        api_service_refuse(call);
        return;
    }
    call->generation = m->snapshot->generation;
    rest_reply_json(&call->rest, 200, answer(call));
}

/* Where control has several edges it is one of all of them. */
static void begin(struct admin_call *call)
{
    if (api_is_in_command(call->admin->manager))
        api_pass(call);
    else
        admin_turn_take(call, change);
}

void api_split_put(struct admin_call *call)
{
    begin(call);
}

void api_split_reset(struct admin_call *call)
{
    begin(call);
}
