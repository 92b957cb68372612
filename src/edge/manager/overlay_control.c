/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's part of a service: the targets of its releases, which of the file's it has taken away,
 * and by which of its words that is so.
 */
#include <string.h>

#include "edge/manager/overlay_impl.h"

enum { JSON_TIME_MAX = 24 * 3600 * 1000 }; /* of what is told in milliseconds */

/* {"epoch": 7, "revision": 12, "deploy": "d3", "targets": [{id, address, release, ...}], "removed":
 * [id], "drained": [id], "scale": {"state": "broken", "eta_ms": 2500, "why": "...", "retry_at_ms":
 * 1700000000000}}; `deploy` is not there while none runs, nor is `scale` while the service is
 * awake, and of that what is not known. */

static struct str text_of(const json_t *json)
{
    return (struct str){json_string_value(json), json_string_length(json)};
}

static bool is_target(const json_t *target)
{
    struct arena arena;
    struct target_text text;
    bool is_good;

    arena_init(&arena, NULL, 0);
    is_good = json_object_get(target, "id") && json_object_get(target, "release") &&
              !target_read(target, &arena, &text);
    arena_reset(&arena);
    return is_good;
}

/* --- units */

static const char *const states[] = {
    [SERVICE_AWAKE] = "awake",
    [SERVICE_ASLEEP] = "asleep",
    [SERVICE_WAKING] = "waking",
    [SERVICE_BROKEN] = "broken",
};

const char *overlay_scale_word(enum service_state state)
{
    return states[state];
}

/* False: there is no such state. */
static bool read_state(const json_t *said, enum service_state *state)
{
    const char *word = json_string_value(json_object_get(said, "state"));

    for (size_t i = 0; word && i < ARRAY_LEN(states); i++)
        if (!strcmp(word, states[i])) {
            *state = (enum service_state)i;
            return true;
        }
    return false;
}

static bool is_time(const json_t *said, const char *key)
{
    const json_t *number = json_object_get(said, key);

    return !number || (json_is_integer(number) && json_integer_value(number) >= 0);
}

static bool is_scale(const json_t *said)
{
    const json_t *why = json_object_get(said, "why");
    enum service_state state;

    return json_is_object(said) && read_state(said, &state) && is_time(said, "eta_ms") &&
           is_time(said, "retry_ms") && is_time(said, "retry_at_ms") &&
           (!why || json_is_string(why));
}

json_t *overlay_scale_read(const json_t *said, uint64_t now_ms)
{
    json_int_t retry_ms = json_integer_value(json_object_get(said, "retry_ms"));
    json_t *kept = is_scale(said) ? json_copy((json_t *)(uintptr_t)said) : NULL;

    json_object_del(kept, "retry_ms");
    json_object_del(kept, "retry_at_ms");
    if (retry_ms > JSON_TIME_MAX)
        retry_ms = JSON_TIME_MAX;
    if (kept && retry_ms)
        json_object_set_new(kept, "retry_at_ms", json_integer((json_int_t)now_ms + retry_ms));
    return kept;
}

struct service_scale overlay_scale(const struct overlay *overlay, struct str service)
{
    const json_t *kept = json_object_get(overlay_part(overlay, service, "control"), "scale");
    struct str why = text_of(json_object_get(kept, "why"));
    struct service_scale scale = {
        .eta_ms = (uint64_t)json_integer_value(json_object_get(kept, "eta_ms")),
        .retry_ms = (uint64_t)json_integer_value(json_object_get(kept, "retry_at_ms")),
        .why = why.p ? why : STR(""),
    };

    if (!read_state(kept, &scale.state))
        scale.state = SERVICE_AWAKE;
    return scale;
}

/* --- the whole */

static bool are_ids(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return true;
}

bool overlay_control_is_sound(const json_t *control)
{
    const json_t *deploy = json_object_get(control, "deploy");
    const json_t *targets = json_object_get(control, "targets");
    const json_t *removed = json_object_get(control, "removed");
    const json_t *drained = json_object_get(control, "drained");
    const json_t *scale = json_object_get(control, "scale");

    if (!control)
        return true;
    if (scale && !is_scale(scale))
        return false;
    if (json_integer_value(json_object_get(control, "epoch")) < 1 ||
        json_integer_value(json_object_get(control, "revision")) < 1 ||
        (deploy && !json_string_length(deploy)) || !json_is_array(targets) ||
        !json_is_array(removed))
        return false;
    for (size_t i = 0; i < json_array_size(targets); i++)
        if (!is_target(json_array_get(targets, i)))
            return false;
    return are_ids(removed) && (!drained || (json_is_array(drained) && are_ids(drained)));
}

struct overlay_control overlay_control(const struct overlay *overlay, struct str service)
{
    const json_t *control = overlay_part(overlay, service, "control");
    struct str deploy = text_of(json_object_get(control, "deploy"));

    return (struct overlay_control){
        .epoch = json_integer_value(json_object_get(control, "epoch")),
        .revision = json_integer_value(json_object_get(control, "revision")),
        .deploy = deploy.p ? deploy : STR(""),
    };
}

int64_t overlay_epoch(const struct overlay *overlay)
{
    return json_integer_value(json_object_get(overlay->root, "epoch"));
}

bool overlay_control_has(const struct overlay *overlay, struct str service, struct str id)
{
    const json_t *control = overlay_part(overlay, service, "control");

    return overlay_find(json_object_get(control, "targets"), id) >= 0;
}

enum status overlay_set_control(struct overlay *overlay, struct str service, json_t *control,
                                const struct overlay_split *split)
{
    json_t *epoch = json_object_get(control, "epoch"), *entry;
    enum status status = OK;

    if (!overlay_remember(overlay))
        return E_NOMEM;
    entry = overlay_entry(overlay, service);
    if (!entry || json_object_set(entry, "control", control) ||
        json_object_set(overlay->root, "epoch", epoch))
        status = E_NOMEM;
    if (!status)
        status = overlay_put_split(overlay, service, split);
    return overlay_settle(overlay, status);
}

void overlay_control_tell(const struct overlay *overlay, struct str service, void *to,
                          void (*add)(void *to, const struct snapshot_wish *wish))
{
    const json_t *control = overlay_part(overlay, service, "control");
    const json_t *targets = json_object_get(control, "targets");

    for (size_t i = 0; i < json_array_size(targets); i++) {
        struct snapshot_wish wish = overlay_wish(json_array_get(targets, i), TARGET_CONTROL);

        add(to, &wish);
    }
}

bool overlay_control_drains(const struct overlay *overlay, struct str service, struct str id)
{
    const json_t *control = overlay_part(overlay, service, "control");

    return overlay_find(json_object_get(control, "drained"), id) >= 0;
}

bool overlay_control_removes(const struct overlay *overlay, struct str service, struct str id)
{
    const json_t *control = overlay_part(overlay, service, "control");

    return overlay_find(json_object_get(control, "removed"), id) >= 0 ||
           overlay_find(json_object_get(control, "targets"), id) >= 0;
}
