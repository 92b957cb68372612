/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/service.h"

#include <string.h>

#include "config/names.h"

_Static_assert((int)CONF_RELEASES_MAX == (int)SPLIT_MAX, "what may be written can be split");

static const char *const balance_names[] = {
    [CONF_LEAST_REQUEST] = "least_request",
    [CONF_ROUND_ROBIN] = "round_robin",
    [CONF_HASH] = "hash",
    [CONF_RANDOM] = "random",
};

/* --- which targets there are */

struct wishes {
    const struct service_build *build;
    const struct conf_service *conf;
    struct snapshot_wish *items;
    uint32_t count, capacity;
    bool is_short; /* of memory */
};

static void add_wish(void *to, const struct snapshot_wish *wish)
{
    struct wishes *wishes = to;

    if (wishes->count == BALANCER_TARGETS_MAX)
        return;
    if (wishes->count == wishes->capacity) {
        uint32_t capacity = wishes->capacity ? wishes->capacity * 2 : 8;
        struct snapshot_wish *items =
            arena_zero(wishes->build->release.arena, capacity, sizeof(*items));

        if (!items) {
            wishes->is_short = true;
            return;
        }
        if (wishes->count)
            memcpy(items, wishes->items, wishes->count * sizeof(*items));
        wishes->items = items;
        wishes->capacity = capacity;
    }
    wishes->items[wishes->count] = *wish;
    if (!wish->target.release.len)
        wishes->items[wishes->count].target.release = STR(CONF_STABLE);
    wishes->count++;
}

static bool is_removed(const struct wishes *wishes, struct str id)
{
    const struct snapshot_overlay *overlay = wishes->build->overlay;

    return overlay && overlay->is_removed(overlay->owner, wishes->conf->name.s, id);
}

static void add_listed(struct wishes *wishes, const struct conf_target *targets, uint32_t count,
                       enum target_source source)
{
    for (uint32_t i = 0; i < count; i++) {
        struct snapshot_wish wish = {.target = targets[i], .source = (uint8_t)source};

        if (!is_removed(wishes, wish.target.id.s))
            add_wish(wishes, &wish);
    }
}

/* One that was found gives way to one of the file with its id. */
static void add_found(struct wishes *wishes, const struct found_list *list)
{
    const struct conf_service *conf = wishes->conf;
    struct arena scratch;
    struct names names;

    arena_init(&scratch, NULL, 0);
    names_init(&names, &scratch, conf->target_count);
    wishes->is_short |= !names.slots;
    for (uint32_t i = 0; names.slots && i < conf->target_count; i++)
        names_put(&names, conf->targets[i].id.s, i);
    for (uint32_t i = 0; names.slots && i < list->count; i++)
        if (names_get(&names, list->items[i].id.s) == NAMES_NONE)
            add_listed(wishes, &list->items[i], 1, TARGET_FOUND);
    arena_reset(&scratch);
}

/* The file's targets less the removed, the added ones, then those found less the removed. */
static void collect(struct wishes *wishes)
{
    const struct snapshot_overlay *overlay = wishes->build->overlay;
    const struct conf_service *conf = wishes->conf;
    const struct found_source *found = NULL;

    if (conf->discover.is_set)
        found = found_of(wishes->build->found, &conf->discover);
    add_listed(wishes, conf->targets, conf->target_count, TARGET_FILE);
    if (overlay)
        overlay->added(overlay->owner, conf->name.s, wishes, add_wish);
    if (found && found->list)
        add_found(wishes, found->list);
    for (uint32_t i = 0; overlay && i < wishes->count; i++)
        wishes->items[i].is_drained =
            overlay->is_drained(overlay->owner, conf->name.s, wishes->items[i].target.id.s);
}

/* One whose source is not known yet is looked for as soon as this is built. */
static bool awaits_targets(const struct service_build *build, const struct conf_service *conf)
{
    const struct found_source *found;

    if (!conf->discover.is_set || !build->found)
        return false;
    found = found_of(build->found, &conf->discover);
    return !found || found->is_awaited;
}

/* --- which releases there are */

struct release *service_release(const struct service *service, struct str id)
{
    for (uint32_t i = 0; i < service->release_count; i++)
        if (str_same(service->releases[i].id, id))
            return &service->releases[i];
    return NULL;
}

struct release *service_named(const struct service *service, struct str name)
{
    struct release *release = service_release(service, name);

    if (release)
        return release;
    if (str_same(name, STR(CONF_STABLE)))
        return &service->releases[0];
    return str_same(name, STR("canary")) && service->release_count == 2 ? &service->releases[1]
                                                                        : NULL;
}

/* False: memory. More than there may be are passed over. */
static bool add_release(struct service *service, struct arena *arena, struct str id)
{
    struct release *release = &service->releases[service->release_count];

    if (service->release_count == SERVICE_RELEASES_MAX || service_release(service, id))
        return true;
    *release = (struct release){.service = service, .id = arena_copy(arena, id)};
    service->release_count++;
    return release->id.p != NULL;
}

/* The one that the API has said to be stable; empty: it has said none. */
static struct str said_stable(const struct service *service, const struct snapshot_overlay *overlay)
{
    return overlay && overlay->stable ? overlay->stable(overlay->owner, service->conf->name.s)
                                      : STR("");
}

/* Those of the file, the stable one where nothing runs now, and those that targets were added to.
 */
static bool list_releases(struct service *service, const struct wishes *wishes)
{
    const struct conf_service *conf = service->conf;
    struct str stable = said_stable(service, wishes->build->overlay);
    struct arena *arena = wishes->build->release.arena;
    bool is_good = true;

    for (uint32_t i = 0; i < conf->release_count; i++)
        is_good &= add_release(service, arena, conf->releases[i].name.s);
    if (!conf->release_count)
        is_good &= add_release(service, arena, STR(CONF_STABLE));
    if (stable.len && !wishes->count)
        is_good &= add_release(service, arena, stable);
    for (uint32_t i = 0; i < wishes->count; i++)
        is_good &= add_release(service, arena, wishes->items[i].target.release);
    return is_good;
}

/* --- the split */

static void add_share(void *to, struct str id, uint32_t share)
{
    struct release *release = service_release(to, id);

    if (release)
        release->share = share;
}

static uint64_t sum_shares(const struct service *service)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < service->release_count; i++)
        sum += service->releases[i].share;
    return sum;
}

/* What the API has set, else the file; shares of releases that there are not count for nothing. */
static void read_shares(struct service *service, const struct snapshot_overlay *overlay)
{
    const struct conf_service *conf = service->conf;

    if (overlay && overlay->split &&
        overlay->split(overlay->owner, conf->name.s, service, add_share) && sum_shares(service)) {
        service->split_source = TARGET_API;
        return;
    }
    for (uint32_t i = 0; i < conf->share_count; i++)
        add_share(service, conf->shares[i].release.s, conf->shares[i].share);
}

/* What was said to be stable, else what is called so, else what has most, else the first. */
static uint32_t find_stable(const struct service *service, const struct snapshot_overlay *overlay)
{
    struct str said = said_stable(service, overlay);
    const struct release *found;
    uint32_t most = 0;

    found = said.len ? service_release(service, said) : NULL;
    if (!found)
        found = service_release(service, STR(CONF_STABLE));
    if (found)
        return (uint32_t)(found - service->releases);
    for (uint32_t i = 1; i < service->release_count; i++)
        if (service->releases[i].share > service->releases[most].share)
            most = i;
    return most;
}

/* The stable one goes to the front, the others keep their order. */
static void put_first(struct service *service, uint32_t index)
{
    struct release stable = service->releases[index];

    memmove(service->releases + 1, service->releases, index * sizeof(stable));
    service->releases[0] = stable;
}

static void split(struct service *service, const struct snapshot_overlay *overlay)
{
    const struct conf_assign *conf = &service->conf->assign;
    uint32_t with_share = 0;

    read_shares(service, overlay);
    put_first(service, find_stable(service, overlay));
    if (!sum_shares(service))
        service->releases[0].share = 1;
    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct release *release = &service->releases[i];

        split_add(&service->split, service->conf->name.s, release->id, release->share);
        with_share += release->share > 0;
    }
    service->is_split = with_share > 1 || !service->releases[0].share;
    service->has_wishes = conf->ask_header.s.len || conf->ask_cookie.s.len ||
                          conf->ask_host.s.len || conf->list_count;
    service->has_releases = service->conf->release_count || service->release_count > 1 ||
                            !str_same(service->releases[0].id, STR(CONF_STABLE));
}

/* --- whether it sleeps */

static bool fill_scale(struct service *service, const struct service_build *build)
{
    const struct snapshot_overlay *overlay = build->overlay;
    const struct conf_service *conf = service->conf;

    service->demand = registry_demand(build->release.registry, conf->name.s);
    if (!service->demand)
        return false;
    if (!conf->scale.is_set) // what control may have said once is of no use
        return true;
    if (overlay && overlay->scale)
        service->scale = overlay->scale(overlay->owner, conf->name.s);
    service->scale.why = arena_copy(build->release.arena, service->scale.why);
    return service->scale.why.p && demand_open(service->demand);
}

/* --- the whole */

static bool fill_releases(struct service *service, const struct wishes *wishes, struct diag *diag)
{
    const struct release_build *build = &wishes->build->release;

    for (uint32_t i = 0; i < service->release_count; i++) {
        struct release *release = &service->releases[i];

        release->gate = registry_gate(build->registry, service->conf->name.s, release->id);
        if (!release->gate || !release_fill(release, build, wishes->items, wishes->count, diag))
            return false;
    }
    return true;
}

bool service_fill(struct service *service, const struct service_build *build, struct diag *diag)
{
    const struct conf_service *conf = service->conf;
    struct wishes wishes = {.build = build, .conf = conf};
    const char *name = balance_names[conf->balance];

    collect(&wishes);
    service->balancer = balancer_find((struct str){name, strlen(name)});
    service->releases =
        arena_zero(build->release.arena, SERVICE_RELEASES_MAX, sizeof(*service->releases));
    if (wishes.is_short || !service->balancer || !service->releases ||
        !list_releases(service, &wishes))
        return false;
    split(service, build->overlay);
    if (!fill_scale(service, build))
        return false;
    service->awaits_targets = awaits_targets(build, conf);
    service->has_caps =
        conf->limits.concurrency || conf->limits.total || conf->limits.adaptive.is_on;
    if (build->overlay && build->overlay->mode)
        service->mode = build->overlay->mode(build->overlay->owner, conf->name.s);
    return fill_releases(service, &wishes, diag);
}

void service_fini(struct service *service)
{
    for (uint32_t i = 0; i < service->release_count; i++)
        release_fini(&service->releases[i]);
}

void service_each_target(const struct service *service, void *owner,
                         void (*each)(void *owner, const struct release *release,
                                      const struct snapshot_target *target))
{
    for (uint32_t i = 0; i < service->release_count; i++)
        for (uint32_t k = 0; k < service->releases[i].count; k++)
            each(owner, &service->releases[i], &service->releases[i].targets[k]);
}

void service_refresh(struct service *service, unsigned worker, uint64_t now_ms)
{
    for (uint32_t i = 0; i < service->release_count; i++)
        if (release_is_stale(&service->releases[i], worker))
            release_refresh(&service->releases[i], worker, now_ms);
}
