/* SPDX-License-Identifier: Apache-2.0
 *
 * Control's part of a service: the targets of its releases, which of the file's it has taken away,
 * and by which of its words that is so.
 */
#include <string.h>

#include "edge/manager/overlay_impl.h"

/* {"epoch": 7, "revision": 12, "deploy": "d3", "targets": [{id, address, release, ...}], "removed":
 * [id]}; `deploy` is not there while none runs. */

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

bool overlay_control_is_sound(const json_t *control)
{
    const json_t *deploy = json_object_get(control, "deploy");
    const json_t *targets = json_object_get(control, "targets");
    const json_t *removed = json_object_get(control, "removed");

    if (!control)
        return true;
    if (json_integer_value(json_object_get(control, "epoch")) < 1 ||
        json_integer_value(json_object_get(control, "revision")) < 1 ||
        (deploy && !json_string_length(deploy)) || !json_is_array(targets) ||
        !json_is_array(removed))
        return false;
    for (size_t i = 0; i < json_array_size(targets); i++)
        if (!is_target(json_array_get(targets, i)))
            return false;
    for (size_t i = 0; i < json_array_size(removed); i++)
        if (!json_is_string(json_array_get(removed, i)))
            return false;
    return true;
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

bool overlay_control_removes(const struct overlay *overlay, struct str service, struct str id)
{
    const json_t *control = overlay_part(overlay, service, "control");

    return overlay_find(json_object_get(control, "removed"), id) >= 0 ||
           overlay_find(json_object_get(control, "targets"), id) >= 0;
}
