/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/overlay_impl.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* {"version": 1, "services": {NAME: {"added": [{id, address, weight, region, priority, release}],
 * "removed": [id], "drained": [id], "mode": "paused", "split": {RELEASE: share}, "stable":
 * RELEASE, "control": as in overlay_control.c}}, "epoch": of the last control, "shield_until_ms":
 * 1700000000000}; of a service, and of region and priority, what is not there is as usual. */
static const char *const mode_names[] = {
    [SERVICE_PAUSED] = "paused", [SERVICE_MAINTENANCE] = "maintenance"};

/* --- asking */

json_t *overlay_part(const struct overlay *overlay, struct str service, const char *kind)
{
    json_t *services = json_object_get(overlay->root, "services");

    return json_object_get(json_object_getn(services, service.p, service.len), kind);
}

static struct str text_of(const json_t *json)
{
    return (struct str){json_string_value(json), json_string_length(json)};
}

static bool same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

int overlay_find(const json_t *list, struct str id)
{
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        if (same(text_of(json_is_object(item) ? json_object_get(item, "id") : item), id))
            return (int)i;
    }
    return -1;
}

static bool has(const struct overlay *overlay, struct str service, const char *kind, struct str id)
{
    return overlay_find(overlay_part(overlay, service, kind), id) >= 0;
}

static const struct conf_target *in_file(const struct conf_service *base, struct str id)
{
    for (uint32_t i = 0; i < base->target_count; i++)
        if (same(base->targets[i].id.s, id))
            return &base->targets[i];
    return NULL;
}

/* --- a file */

static bool is_text_list(const json_t *list)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (!json_is_string(json_array_get(list, i)))
            return false;
    return !list || json_is_array(list);
}

static bool is_valid(const struct target_text *target)
{
    struct arena arena;
    struct diag diag;
    bool is_good;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    is_good = target_check(target, &diag);
    arena_reset(&arena);
    return is_good;
}

static struct target_text target_of(const json_t *json)
{
    return (struct target_text){
        .id = text_of(json_object_get(json, "id")),
        .address = text_of(json_object_get(json, "address")),
        .region = text_of(json_object_get(json, "region")),
        .release = text_of(json_object_get(json, "release")),
        .weight = json_integer_value(json_object_get(json, "weight")),
        .priority = json_integer_value(json_object_get(json, "priority")),
    };
}

static bool is_target(const json_t *json)
{
    const json_t *region = json_object_get(json, "region");
    const json_t *priority = json_object_get(json, "priority");
    const json_t *release = json_object_get(json, "release");
    struct target_text target = target_of(json);

    if (!target.id.p || !target.address.p || !json_is_integer(json_object_get(json, "weight")) ||
        (region && !target.region.len) || (release && !target.release.len) ||
        (priority && !json_is_integer(priority)))
        return false;
    return is_valid(&target);
}

static enum service_mode mode_of(const json_t *mode)
{
    for (int i = SERVICE_PAUSED; i <= SERVICE_MAINTENANCE; i++)
        if (json_is_string(mode) && !strcmp(json_string_value(mode), mode_names[i]))
            return (enum service_mode)i;
    return SERVICE_RUNS;
}

static bool is_split(json_t *split)
{
    const char *release;
    json_int_t sum = 0;
    json_t *share;

    json_object_foreach(split, release, share)
    {
        json_int_t n = json_integer_value(share);

        if (!json_is_integer(share) || n < 0 || n > CONF_SHARE_MAX ||
            !conf_release_is_id((struct str){release, strlen(release)}))
            return false;
        sum += n;
    }
    return !split || (json_is_object(split) && sum > 0);
}

static bool is_service(const json_t *service)
{
    const json_t *added = json_object_get(service, "added");
    const json_t *mode = json_object_get(service, "mode");
    const json_t *stable = json_object_get(service, "stable");

    if (!json_is_object(service) || (added && !json_is_array(added)) || (mode && !mode_of(mode)) ||
        (stable && !conf_release_is_id(text_of(stable))) ||
        !is_split(json_object_get(service, "split")) ||
        !overlay_control_is_sound(json_object_get(service, "control")))
        return false;
    for (size_t i = 0; i < json_array_size(added); i++)
        if (!is_target(json_array_get(added, i)))
            return false;
    return is_text_list(json_object_get(service, "removed")) &&
           is_text_list(json_object_get(service, "drained"));
}

static bool is_sound(const json_t *root)
{
    json_t *services = json_object_get(root, "services");
    json_t *shield = json_object_get(root, "shield_until_ms");
    const char *name;
    json_t *service;

    if (json_integer_value(json_object_get(root, "version")) != 1 || !json_is_object(services) ||
        (shield && json_integer_value(shield) <= 0))
        return false;
    json_object_foreach(services, name, service) if (!is_service(service)) return false;
    return true;
}

static json_t *new_root(void)
{
    return json_pack("{s:i,s:{}}", "version", 1, "services");
}

static void set_aside(struct overlay *overlay)
{
    char aside[PATH_MAX + 16];
    bool is_gone;

    snprintf(aside, sizeof(aside), "%s.damaged", overlay->path);
    is_gone = rename(overlay->path, aside) != 0;
    snprintf(overlay->error, sizeof(overlay->error),
             "%s is damaged: what the API changed is lost%s%s", overlay->path,
             is_gone ? "" : ", the file is kept with the ending ", is_gone ? "" : ".damaged");
}

struct overlay *overlay_open(const char *state_dir, const char **error)
{
    struct overlay *overlay = calloc(1, sizeof(*overlay));

    if (!overlay)
        return NULL;
    snprintf(overlay->path, sizeof(overlay->path), "%s/edge.json", state_dir);
    if (!access(overlay->path, F_OK)) {
        overlay->root = json_load_file(overlay->path, JSON_REJECT_DUPLICATES, NULL);
        if (!is_sound(overlay->root))
            set_aside(overlay);
    }
    if (*overlay->error || !overlay->root) {
        json_decref(overlay->root);
        overlay->root = new_root();
    }
    if (!overlay->root) {
        free(overlay);
        return NULL;
    }
    *error = *overlay->error ? overlay->error : NULL;
    return overlay;
}

void overlay_close(struct overlay **overlay)
{
    struct overlay *gone = *overlay;

    *overlay = NULL;
    if (!gone)
        return;
    json_decref(gone->root);
    json_decref(gone->before);
    free(gone);
}

enum status overlay_save(struct overlay *overlay)
{
    char *text;
    enum status status;

    if (!overlay->is_unsaved)
        return OK;
    text = json_dumps(overlay->root, JSON_INDENT(2));
    if (!text)
        return E_NOMEM;
    status = file_write(overlay->path, (struct str){text, strlen(text)}, 0600);
    free(text);
    overlay->is_unsaved = status != OK;
    return status;
}

/* --- changes */

bool overlay_remember(struct overlay *overlay)
{
    json_t *copy = json_deep_copy(overlay->root);

    if (!copy)
        return false;
    json_decref(overlay->before);
    overlay->before = copy;
    overlay->was_unsaved = overlay->is_unsaved;
    overlay->is_unsaved = true;
    return true;
}

void overlay_undo(struct overlay *overlay)
{
    if (!overlay->before)
        return;
    json_decref(overlay->root);
    overlay->root = overlay->before;
    overlay->before = NULL;
    overlay->is_unsaved = !overlay->is_unsaved || overlay->was_unsaved;
}

/* Gives back what `parent` has under that name, made if it is not there; NULL: memory. */
static json_t *demand(json_t *parent, struct str name, json_t *(*make)(void))
{
    json_t *child = json_object_getn(parent, name.p, name.len);

    if (child)
        return child;
    if (json_object_setn_new(parent, name.p, name.len, make()))
        return NULL;
    return json_object_getn(parent, name.p, name.len);
}

json_t *overlay_entry(struct overlay *overlay, struct str service)
{
    return demand(json_object_get(overlay->root, "services"), service, json_object);
}

/* Appends to one of a service's lists; takes the item over. */
static enum status put(struct overlay *overlay, struct str service, const char *kind, json_t *item)
{
    json_t *entry = overlay_entry(overlay, service);
    json_t *list = entry ? demand(entry, (struct str){kind, strlen(kind)}, json_array) : NULL;

    if (!list) {
        json_decref(item);
        return E_NOMEM;
    }
    return json_array_append_new(list, item) ? E_NOMEM : OK;
}

void overlay_drop(struct overlay *overlay, struct str service, const char *kind)
{
    json_t *services = json_object_get(overlay->root, "services");
    json_t *entry = json_object_getn(services, service.p, service.len);

    json_object_del(entry, kind);
    if (!json_object_size(entry))
        json_object_deln(services, service.p, service.len);
}

static void take(struct overlay *overlay, struct str service, const char *kind, struct str id)
{
    json_t *list = overlay_part(overlay, service, kind);
    int at = overlay_find(list, id);

    if (at < 0)
        return;
    json_array_remove(list, (size_t)at);
    if (!json_array_size(list))
        overlay_drop(overlay, service, kind);
}

enum status overlay_settle(struct overlay *overlay, enum status status)
{
    if (status)
        overlay_undo(overlay);
    return status;
}

static bool exists(const struct overlay *overlay, const struct conf_service *base, struct str id)
{
    struct str service = base->name.s;

    return has(overlay, service, "added", id) || overlay_control_has(overlay, service, id) ||
           (in_file(base, id) && !has(overlay, service, "removed", id));
}

static bool is_as(const struct conf_target *file, const struct target_text *target)
{
    return same(file->address.text.s, target->address) && file->weight == target->weight &&
           same(file->region.s, target->region) && same(file->release, target->release) &&
           file->priority == target->priority;
}

enum status overlay_add(struct overlay *overlay, const struct conf_service *base,
                        const struct target_text *target)
{
    const struct conf_target *file = in_file(base, target->id);
    struct str service = base->name.s;
    json_t *item;

    if (exists(overlay, base, target->id))
        return E_CONFLICT;
    if (!is_valid(target))
        return E_INVALID;
    if (base->target_count + json_array_size(overlay_part(overlay, service, "added")) >=
        BALANCER_TARGETS_MAX)
        return E_FULL;
    if (!overlay_remember(overlay))
        return E_NOMEM;
    if (file && is_as(file, target)) {
        take(overlay, service, "removed", target->id); // the file's own one, back again
        return OK;
    }
    item = target_json(target);
    return overlay_settle(overlay, item ? put(overlay, service, "added", item) : E_NOMEM);
}

enum status overlay_remove(struct overlay *overlay, const struct conf_service *base, struct str id)
{
    struct str service = base->name.s;
    enum status status = OK;

    if (!exists(overlay, base, id))
        return E_NOT_FOUND;
    if (!overlay_remember(overlay))
        return E_NOMEM;
    take(overlay, service, "added", id);
    take(overlay, service, "drained", id);
    if (in_file(base, id) && !has(overlay, service, "removed", id))
        status = put(overlay, service, "removed", json_stringn(id.p, id.len));
    return overlay_settle(overlay, status);
}

enum status overlay_drain(struct overlay *overlay, const struct conf_service *base, struct str id,
                          bool drained)
{
    struct str service = base->name.s;
    enum status status = OK;

    if (!exists(overlay, base, id))
        return E_NOT_FOUND;
    if (!overlay_remember(overlay))
        return E_NOMEM;
    if (!drained)
        take(overlay, service, "drained", id);
    else if (!has(overlay, service, "drained", id))
        status = put(overlay, service, "drained", json_stringn(id.p, id.len));
    return overlay_settle(overlay, status);
}

enum status overlay_set_mode(struct overlay *overlay, struct str service, enum service_mode mode)
{
    json_t *entry;

    if (!overlay_remember(overlay))
        return E_NOMEM;
    if (mode == SERVICE_RUNS) {
        overlay_drop(overlay, service, "mode");
        return OK;
    }
    entry = overlay_entry(overlay, service);
    return overlay_settle(overlay, !entry || json_object_set_new(entry, "mode",
                                                                 json_string(mode_names[mode]))
                                       ? E_NOMEM
                                       : OK);
}

static json_t *split_json(const struct overlay_share *shares, uint32_t count)
{
    json_t *split = json_object();

    for (uint32_t i = 0; split && i < count; i++)
        if (json_object_setn_new(split, shares[i].release.p, shares[i].release.len,
                                 json_integer(shares[i].share))) {
            json_decref(split);
            return NULL;
        }
    return split;
}

enum status overlay_put_split(struct overlay *overlay, struct str service,
                              const struct overlay_split *split)
{
    json_t *entry;

    if (!split->count) {
        overlay_drop(overlay, service, "split");
        overlay_drop(overlay, service, "stable");
        return OK;
    }
    entry = overlay_entry(overlay, service);
    if (!entry || json_object_set_new(entry, "split", split_json(split->shares, split->count)) ||
        (split->stable.len &&
         json_object_set_new(entry, "stable", json_stringn(split->stable.p, split->stable.len))))
        return E_NOMEM;
    return OK;
}

enum status overlay_set_split(struct overlay *overlay, struct str service,
                              const struct overlay_split *split)
{
    if (!overlay_remember(overlay))
        return E_NOMEM;
    return overlay_settle(overlay, overlay_put_split(overlay, service, split));
}

enum status overlay_set_shield(struct overlay *overlay, uint64_t until_ms)
{
    json_t *until = json_integer((json_int_t)until_ms);

    if (!overlay_remember(overlay)) {
        json_decref(until);
        return E_NOMEM;
    }
    if (until_ms)
        return overlay_settle(overlay, json_object_set_new(overlay->root, "shield_until_ms", until)
                                           ? E_NOMEM
                                           : OK);
    json_decref(until);
    json_object_del(overlay->root, "shield_until_ms");
    return OK;
}

uint64_t overlay_shield(const struct overlay *overlay)
{
    return (uint64_t)json_integer_value(json_object_get(overlay->root, "shield_until_ms"));
}

/* --- a build asks */

struct snapshot_wish overlay_wish(const json_t *json, enum target_source source)
{
    struct target_text target = target_of(json);
    struct snapshot_wish wish = {.source = (uint8_t)source};

    wish.target.id.s = target.id;
    wish.target.release = target.release;
    wish.target.weight = json_object_get(json, "weight") ? (uint32_t)target.weight : 1;
    wish.target.region.s = target.region.len ? target.region : STR("");
    wish.target.priority = (uint32_t)target.priority;
    target_split(target.address, &wish.target.address);
    return wish;
}

static void tell_added(void *owner, struct str service, void *to,
                       void (*add)(void *to, const struct snapshot_wish *wish))
{
    const json_t *list = overlay_part(owner, service, "added");

    for (size_t i = 0; i < json_array_size(list); i++) {
        struct snapshot_wish wish = overlay_wish(json_array_get(list, i), TARGET_API);

        add(to, &wish);
    }
    overlay_control_tell(owner, service, to, add);
}

/* An added target takes the place of one in the file that got the same id later. */
static bool tell_removed(void *owner, struct str service, struct str id)
{
    return has(owner, service, "removed", id) || has(owner, service, "added", id) ||
           overlay_control_removes(owner, service, id);
}

static bool tell_drained(void *owner, struct str service, struct str id)
{
    return has(owner, service, "drained", id) || overlay_control_drains(owner, service, id);
}

static enum service_mode tell_mode(void *owner, struct str service)
{
    return mode_of(overlay_part(owner, service, "mode"));
}

static bool tell_split(void *owner, struct str service, void *to,
                       void (*add)(void *to, struct str release, uint32_t share))
{
    json_t *split = overlay_part(owner, service, "split"), *share;
    const char *release;

    json_object_foreach(split, release, share)
        add(to, (struct str){release, strlen(release)}, (uint32_t)json_integer_value(share));
    return split != NULL;
}

static struct service_scale tell_scale(void *owner, struct str service)
{
    return overlay_scale(owner, service);
}

static struct str tell_stable(void *owner, struct str service)
{
    struct str id = text_of(overlay_part(owner, service, "stable"));

    return id.p ? id : STR("");
}

struct snapshot_overlay overlay_view(struct overlay *overlay)
{
    return (struct snapshot_overlay){
        .owner = overlay,
        .added = tell_added,
        .is_removed = tell_removed,
        .is_drained = tell_drained,
        .mode = tell_mode,
        .split = tell_split,
        .scale = tell_scale,
        .stable = tell_stable,
    };
}
