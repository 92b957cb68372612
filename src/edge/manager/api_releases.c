/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's word on a service: the targets of its releases, the split among them, and which is
 * stable, and whether units of it run, all at once. It is obeyed when it comes from the present
 * control (by a rising epoch), kept for the edge's own restart, and answered when every worker
 * serves by it; said again it changes nothing.
 */
#include <string.h>

#include "base/clock.h"
#include "edge/manager/api.h"
#include "edge/manager/api_keys.h"
#include "edge/manager/api_wakes.h"

enum { TARGETS_MAX = 4096 };

/* What a call says, checked. */
struct plan {
    json_t *control; /* as the overlay keeps it; owned */
    struct overlay_share shares[SERVICE_RELEASES_MAX];
    struct overlay_split split;
    struct str ids[SERVICE_RELEASES_MAX]; /* of all releases there will be */
    uint32_t id_count;
};

/* --- answering */

static json_t *answer(const struct admin_call *call)
{
    const struct rest_call *rest = &call->rest;
    struct overlay_control control = overlay_control(call->admin->manager->overlay, rest->parts[0]);

    return json_pack("{s:s%,s:I,s:I,s:I}", "service", rest->parts[0].p, rest->parts[0].len, "epoch",
                     (json_int_t)control.epoch, "revision", (json_int_t)control.revision,
                     "generation", (json_int_t)call->generation);
}

static void on_changed(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    if (!api_service_settle(call, status, generation, diag))
        return;
    api_wakes_look(call->admin); // who waits may be news to it
    api_service_end(call, "releases", answer(call));
}

/* --- what is said; each gives what is wrong with it, or NULL */

static const char *take_id(struct plan *plan, struct str id)
{
    for (uint32_t i = 0; i < plan->id_count; i++)
        if (str_same(plan->ids[i], id))
            return NULL;
    if (plan->id_count == SERVICE_RELEASES_MAX)
        return "a service has at most 8 releases";
    plan->ids[plan->id_count++] = id;
    return NULL;
}

static bool is_known(const struct plan *plan, struct str id)
{
    for (uint32_t i = 0; i < plan->id_count; i++)
        if (str_same(plan->ids[i], id))
            return true;
    return false;
}

static bool has_target(const json_t *list, struct str id)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *has = json_object_get(json_array_get(list, i), "id");

        if (str_same(id, (struct str){json_string_value(has), json_string_length(has)}))
            return true;
    }
    return false;
}

static const char *read_targets(struct admin_call *call, const json_t *list, struct plan *plan)
{
    struct arena *arena = &call->rest.arena;
    json_t *kept = json_array();
    const char *wrong = NULL;

    json_object_set_new(plan->control, "targets", kept);
    if (!json_is_array(list) || json_array_size(list) > TARGETS_MAX)
        return "\"targets\" is a list, of 4096 at most";
    for (size_t i = 0; !wrong && i < json_array_size(list); i++) {
        struct target_text target;

        wrong = target_read(json_array_get(list, i), arena, &target);
        if (!wrong && !target.release.len)
            wrong = "a target of control's says its release";
        if (!wrong && has_target(kept, target.id))
            wrong = "a target stands twice";
        if (!wrong)
            wrong = take_id(plan, target.release);
        if (!wrong && json_array_append_new(kept, target_json(&target)))
            wrong = "out of memory";
    }
    return wrong;
}

/* Of targets: those of the file's that control has taken away, or of its own that get nothing new.
 */
static const char *read_ids(const json_t *json, const char *key, struct plan *plan)
{
    const json_t *list = json_object_get(json, key);
    json_t *kept = json_array();

    json_object_set_new(plan->control, key, kept);
    if (list && !json_is_array(list))
        return "\"removed\" and \"drained\" are lists of ids";
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)) ||
            json_array_append(kept, json_array_get(list, i)))
            return "\"removed\" and \"drained\" are lists of ids";
    return NULL;
}

static const char *read_split(const json_t *split, const json_t *stable, struct plan *plan)
{
    const char *key;
    json_t *value;
    uint64_t sum = 0;

    plan->split.stable = (struct str){json_string_value(stable), json_string_length(stable)};
    if (!conf_release_is_id(plan->split.stable))
        return "\"stable\" is a release's id";
    if (take_id(plan, plan->split.stable)) // one that has been stopped has no target
        return "a service has at most 8 releases";
    if (!json_is_object(split) || json_object_size(split) > SERVICE_RELEASES_MAX)
        return "\"split\" is an object of releases and their shares";
    json_object_foreach((json_t *)(uintptr_t)split, key, value)
    {
        struct str id = {key, strlen(key)};
        json_int_t share = json_integer_value(value);

        if (!is_known(plan, id))
            return "the split has a release that there is not";
        if (!json_is_integer(value) || share < 0 || share > CONF_SHARE_MAX)
            return "a share is a whole number to 1000000";
        plan->shares[plan->split.count++] = (struct overlay_share){id, (uint32_t)share};
        sum += (uint64_t)share;
    }
    plan->split.shares = plan->shares;
    return sum ? NULL : "nobody has a share";
}

static const char *read_numbers(const json_t *json, struct plan *plan)
{
    static const char *const keys[] = {"epoch", "revision"};
    json_t *deploy = json_object_get(json, "deploy");

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        json_t *number = json_object_get(json, keys[i]);

        if (!json_is_integer(number) || json_integer_value(number) < 1)
            return "\"epoch\" and \"revision\" are whole numbers from 1 on";
        json_object_set(plan->control, keys[i], number);
    }
    if (deploy && !json_is_null(deploy)) {
        if (!json_string_length(deploy))
            return "\"deploy\" is text or null";
        json_object_set(plan->control, "deploy", deploy);
    }
    return NULL;
}

static const char *read_scale(const json_t *said, struct plan *plan)
{
    json_t *kept;

    if (!said || json_is_null(said))
        return NULL;
    kept = overlay_scale_read(said, clock_wall_ms());
    if (!kept || json_object_set_new(plan->control, "scale", kept))
        return "\"scale\" has a \"state\", which is awake, asleep, waking or broken, and may have "
               "\"eta_ms\", \"retry_ms\" and \"why\"";
    return NULL;
}

/* The releases that the file has stay, whatever control says. */
static const char *take_file_ids(const struct conf_service *conf, struct plan *plan)
{
    const char *wrong = NULL;

    for (uint32_t i = 0; !wrong && i < conf->release_count; i++)
        wrong = take_id(plan, conf->releases[i].name.s);
    return wrong || conf->release_count ? wrong : take_id(plan, STR(CONF_STABLE));
}

static const char *read_plan(struct admin_call *call, const json_t *json,
                             const struct conf_service *conf, struct plan *plan)
{
    const char *wrong = json_is_object(json) ? NULL : "the body is a JSON object";

    if (!wrong)
        wrong = read_numbers(json, plan);
    if (!wrong)
        wrong = take_file_ids(conf, plan);
    if (!wrong)
        wrong = read_targets(call, json_object_get(json, "targets"), plan);
    if (!wrong)
        wrong = read_scale(json_object_get(json, "scale"), plan);
    if (!wrong)
        wrong = read_ids(json, "removed", plan);
    if (!wrong)
        wrong = read_ids(json, "drained", plan);
    if (!wrong)
        wrong = read_split(json_object_get(json, "split"), json_object_get(json, "stable"), plan);
    return wrong;
}

/* --- changing */

/* False: it was refused, or is so already and was answered. */
static bool is_news(struct admin_call *call, const struct plan *plan)
{
    const struct overlay *overlay = call->admin->manager->overlay;
    struct overlay_control now = overlay_control(overlay, call->rest.parts[0]);
    int64_t epoch = json_integer_value(json_object_get(plan->control, "epoch"));
    int64_t revision = json_integer_value(json_object_get(plan->control, "revision"));
    int64_t newest = api_control_epoch(call->admin->manager);
    bool is_old = epoch < newest || (epoch == now.epoch && revision < now.revision);

    if (!is_old && (epoch != now.epoch || revision != now.revision))
        return true;
    admin_turn_over(call);
    if (is_old) {
        rest_problem(&call->rest, 409, "control_superseded",
                     "A later control (epoch %lld, revision %lld) has spoken already.",
                     (long long)newest, (long long)now.revision);
        return false;
    }
    call->generation = call->admin->manager->snapshot->generation;
    rest_reply_json(&call->rest, 200, answer(call));
    return false;
}

static void begin(struct admin_call *call, const struct plan *plan)
{
    if (!is_news(call, plan))
        return;
    if (overlay_set_control(call->admin->manager->overlay, call->rest.parts[0], plan->control,
                            &plan->split)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    call->change = (struct manager_change){.kind = CHANGE_TARGETS, .on_done = on_changed};
    manager_change(call->admin->manager, &call->change);
}

static void change(struct admin_call *call)
{
    const struct service *service = api_service_find(call);
    struct plan plan = {.control = json_object()};
    const char *wrong;
    json_t *json;

    if (!service) {
        json_decref(plan.control);
        admin_turn_over(call);
        api_service_refuse(call);
        return;
    }
    json = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                      JSON_REJECT_DUPLICATES, NULL);
    wrong = read_plan(call, json, service->conf, &plan);
    if (wrong) {
        admin_turn_over(call);
        rest_problem(&call->rest, 422, "releases_invalid", "It cannot be taken: %s.", wrong);
    } else {
        begin(call, &plan);
    }
    json_decref(plan.control);
    json_decref(json);
}

void api_releases_put(struct admin_call *call)
{
    api_wakes_heard(call->admin);
    admin_turn_take(call, change);
}
