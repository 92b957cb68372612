/* SPDX-License-Identifier: Apache-2.0
 *
 * One source of targets: its watch, and what comes of the answers. An answer that is none leaves
 * the last good list as it is.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/manager/discovery_impl.h"

enum {
    AWAITED_MS = 5000,       /* how long requests wait for the first targets */
    REGIONS_AGAIN_MS = 30000 /* until machines that could not be placed are looked for again */
};

static uint64_t now_of(const struct discovery_source *source)
{
    return uv_now(source->discovery->home.loop);
}

static bool is_same_text(const char *a, const char *b)
{
    return a && b ? !strcmp(a, b) : a == b;
}

/* --- what was found */

static void tell(const struct discovery_source *source)
{
    const struct discovery_home *home = &source->discovery->home;
    struct discovery_view view = {.what = &source->what,
                                  .count = source->list ? source->list->count : 0,
                                  .problem = source->problem};

    home->on_news(home->owner, &view);
}

/* Takes `list` over; NULL: the last good one stands. */
static void note(struct discovery_source *source, struct found_list *list, const char *problem)
{
    bool is_other = list && !found_list_equal(list, source->list);
    bool is_news = is_other || !is_same_text(problem, source->problem);
    char *words = problem ? strdup(problem) : NULL;

    free(source->problem);
    source->problem = words;
    if (is_other) {
        found_list_unref(&source->list);
        source->list = list;
        source->changed_ms = now_of(source);
        source->is_awaited = false;
        discovery_changed(source->discovery, false);
    } else {
        found_list_unref(&list);
    }
    if (is_news)
        tell(source);
}

/* --- by DNS */

static struct found_list *with_regions(const struct discovery_source *source,
                                       const struct found_list *list)
{
    struct discovery_region regions[DISCOVERY_FLY_MACHINES_MAX];
    uint32_t count = discovery_fly_regions(source->fly, regions);

    return discovery_name_regions(list, regions, count);
}

static void on_regions(void *owner)
{
    struct discovery_source *source = owner;

    if (source->list)
        note(source, with_regions(source, source->list), source->problem);
}

static void ask_regions(struct discovery_source *source)
{
    if (!source->fly)
        source->fly =
            discovery_fly_open(source->discovery->resolver, source->what.dns.s, on_regions, source);
    source->asked_ms = now_of(source);
    if (source->fly)
        discovery_fly_ask(source->fly);
}

static void on_answer(void *owner, const struct dns_record *records, uint32_t count,
                      const char *problem)
{
    struct discovery_source *source = owner;
    struct found_list *list = count ? discovery_name(records, count) : NULL;
    struct found_list *placed = NULL;

    if (count && !list)
        problem = "out of memory";
    if (list && !list->count) {
        found_list_unref(&list);
        problem = "no addresses";
    }
    if (list && discovery_fly_is_meant(source->what.dns.s, records, count))
        ask_regions(source);
    if (list && source->fly)
        placed = with_regions(source, list);
    if (placed) {
        found_list_unref(&list);
        list = placed;
    }
    note(source, list, problem);
}

static void watch_name(struct discovery_source *source)
{
    static const enum resolver_type types[] = {[CONF_DISCOVER_BOTH] = RESOLVER_BOTH,
                                               [CONF_DISCOVER_A] = RESOLVER_A,
                                               [CONF_DISCOVER_AAAA] = RESOLVER_AAAA,
                                               [CONF_DISCOVER_SRV] = RESOLVER_SRV};
    struct resolver *resolver = source->discovery->resolver;
    struct resolver_ask ask = {.name = source->what.dns.s,
                               .port = source->what.port,
                               .type = types[source->what.type],
                               .ttl_min_ms = source->what.ttl_min_ms,
                               .ttl_max_ms = source->what.ttl_max_ms};

    if (!source->watch && resolver)
        source->watch = resolver_watch(resolver, &ask, on_answer, source);
    if (!source->watch)
        note(source, NULL, resolver ? "out of memory" : "\"resolvers\" are no DNS servers");
}

/* --- by file */

static void on_read(void *owner, struct found_list *list, const char *problem)
{
    note(owner, found_list_ref(list), problem);
}

static void watch_file(struct discovery_source *source)
{
    const char *config = source->discovery->home.config, *slash = strrchr(config, '/');
    struct str file = source->what.file.s;
    char path[PATH_MAX];

    if (source->file)
        return;
    if (file.p[0] == '/' || !slash)
        snprintf(path, sizeof(path), "%.*s", STR_FMT(file));
    else
        snprintf(path, sizeof(path), "%.*s/%.*s", (int)(slash - config), config, STR_FMT(file));
    source->file = discovery_file_watch(source->discovery->home.loop, path, on_read, source);
    if (!source->file)
        note(source, NULL, "out of memory");
}

/* --- life */

struct discovery_source *discovery_source_new(struct discovery *discovery,
                                              const struct conf_discover *what)
{
    struct discovery_source *source = calloc(1, sizeof(*source));

    if (!source)
        return NULL;
    arena_init(&source->arena, NULL, 0);
    source->discovery = discovery;
    source->what = *what;
    source->what.dns.s = arena_copy(&source->arena, what->dns.s);
    source->what.file.s = arena_copy(&source->arena, what->file.s);
    source->begun_ms = now_of(source);
    if (!source->what.dns.s.p || !source->what.file.s.p)
        discovery_source_free(&source);
    return source;
}

void discovery_source_stop(struct discovery_source *source)
{
    resolver_unwatch(&source->watch);
    discovery_fly_close(&source->fly);
    discovery_file_unwatch(&source->file);
}

void discovery_source_free(struct discovery_source **source)
{
    struct discovery_source *gone = *source;

    *source = NULL;
    discovery_source_stop(gone);
    found_list_unref(&gone->list);
    free(gone->problem);
    arena_reset(&gone->arena);
    free(gone);
}

void discovery_source_start(struct discovery_source *source)
{
    if (source->what.file.s.len)
        watch_file(source);
    else
        watch_name(source);
}

static bool lacks_regions(const struct discovery_source *source)
{
    if (source->list->count > DISCOVERY_FLY_MACHINES_MAX)
        return false;
    for (uint32_t i = 0; i < source->list->count; i++)
        if (!source->list->items[i].region.s.len)
            return true;
    return false;
}

void discovery_source_tick(struct discovery_source *source)
{
    uint64_t now = now_of(source);

    if (source->is_awaited && now - source->begun_ms >= AWAITED_MS) {
        source->is_awaited = false;
        discovery_changed(source->discovery, true);
    }
    if (source->fly && source->list && now - source->asked_ms >= REGIONS_AGAIN_MS &&
        lacks_regions(source))
        ask_regions(source);
}
