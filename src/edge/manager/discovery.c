/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/discovery.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/manager/discovery_impl.h"
#include "edge/manager/discovery_store.h"

/* --- keeping, on a thread of the pool */

struct discovery_saving {
    uv_work_t work;
    struct discovery *discovery; /* NULL: it has been closed */
    struct found *found;         /* a reference */
    enum status status;
    int error;
    char state_dir[PATH_MAX];
};

static void save(struct discovery *discovery);

static void on_save(uv_work_t *work)
{
    struct discovery_saving *saving = work->data;

    saving->status = discovery_store_save(saving->state_dir, saving->found);
    saving->error = saving->status == E_IO ? errno : ENOMEM;
}

static void on_saved(uv_work_t *work, int cancelled)
{
    struct discovery_saving *saving = work->data;
    struct discovery *discovery = saving->discovery;

    if (!cancelled && saving->status)
        fprintf(stderr, "sluice: edge: cannot keep what was found in %s/discovered.json: %s\n",
                saving->state_dir, strerror(saving->error));
    found_unref(&saving->found);
    free(saving);
    if (!discovery)
        return;
    discovery->saving = NULL;
    if (discovery->is_unsaved)
        save(discovery);
}

static void save(struct discovery *discovery)
{
    struct discovery_saving *saving;

    if (discovery->saving || discovery->is_retired)
        return;
    saving = calloc(1, sizeof(*saving));
    if (!saving)
        return;
    saving->found = discovery_found(discovery);
    saving->discovery = discovery;
    saving->work.data = saving;
    snprintf(saving->state_dir, sizeof(saving->state_dir), "%s", discovery->home.state_dir);
    if (!saving->found || uv_queue_work(discovery->home.loop, &saving->work, on_save, on_saved)) {
        found_unref(&saving->found);
        free(saving);
        return;
    }
    discovery->saving = saving;
    discovery->is_unsaved = false;
}

void discovery_changed(struct discovery *discovery, bool is_saved)
{
    if (!is_saved) {
        discovery->is_unsaved = true;
        save(discovery);
    }
    discovery->home.on_change(discovery->home.owner);
}

void discovery_retire(struct discovery *discovery)
{
    discovery->is_retired = true;
}

/* --- asking */

static struct discovery_source *find(const struct discovery *discovery,
                                     const struct conf_discover *what)
{
    struct discovery_source *source = discovery->sources;

    while (source && !found_is_same(&source->what, what))
        source = source->next;
    return source;
}

struct found *discovery_found(struct discovery *discovery)
{
    struct discovery_source *source;
    struct found *found;
    uint32_t count = 0;

    for (source = discovery->sources; source; source = source->next)
        count++;
    found = found_new(count);
    for (source = discovery->sources; found && source; source = source->next) {
        struct found_source item = {.what = source->what,
                                    .list = source->list,
                                    .is_awaited = source->is_awaited};

        if (!found_add(found, &item))
            found_unref(&found);
    }
    return found;
}

const struct found_list *discovery_list(const struct discovery *discovery,
                                        const struct conf_discover *what)
{
    const struct discovery_source *source = what->is_set ? find(discovery, what) : NULL;

    return source ? source->list : NULL;
}

bool discovery_see(const struct discovery *discovery, const struct conf_discover *what,
                   struct discovery_view *view)
{
    const struct discovery_source *source = find(discovery, what);

    if (!source)
        return false;
    *view = (struct discovery_view){.what = &source->what,
                                    .count = source->list ? source->list->count : 0,
                                    .problem = source->problem,
                                    .changed_ago_ms =
                                        source->changed_ms
                                            ? uv_now(discovery->home.loop) - source->changed_ms
                                            : 0};
    return true;
}

/* --- what is looked for */

static struct discovery_source *add(struct discovery *discovery, const struct conf_discover *what)
{
    struct discovery_source *source = discovery_source_new(discovery, what);

    if (!source)
        return NULL;
    source->next = discovery->sources;
    discovery->sources = source;
    return source;
}

static void want(struct discovery *discovery, const struct conf_discover *what)
{
    struct discovery_source *source = find(discovery, what);

    if (!source) {
        source = add(discovery, what);
        if (!source)
            return; // the next reload tries again
        source->is_awaited = true;
    }
    if (!source->is_wanted && (source->what.ttl_min_ms != what->ttl_min_ms ||
                               source->what.ttl_max_ms != what->ttl_max_ms)) {
        discovery_source_stop(source);
        source->what.ttl_min_ms = what->ttl_min_ms;
        source->what.ttl_max_ms = what->ttl_max_ms;
    }
    source->is_wanted = true; // of several services the first says how often
}

static void drop_unwanted(struct discovery *discovery)
{
    for (struct discovery_source **at = &discovery->sources; *at;) {
        struct discovery_source *source = *at;

        if (source->is_wanted) {
            at = &source->next;
            continue;
        }
        *at = source->next;
        discovery->is_unsaved = true;
        discovery_source_free(&source);
    }
}

/* --- name servers */

/* Joined by commas, the caller's; *is_good: false when memory ended. NULL: the system's. */
static char *join(const struct conf_texts *resolvers, bool *is_good)
{
    size_t size = 1;
    char *list, *end;

    *is_good = true;
    if (!resolvers->count)
        return NULL;
    for (uint32_t i = 0; i < resolvers->count; i++)
        size += resolvers->items[i].s.len + 1;
    end = list = malloc(size);
    *is_good = list != NULL;
    for (uint32_t i = 0; list && i < resolvers->count; i++)
        end += sprintf(end, "%s%.*s", i ? "," : "", STR_FMT(resolvers->items[i].s));
    return list;
}

static bool has_names(const struct discovery *discovery)
{
    const struct discovery_source *source = discovery->sources;

    while (source && !source->what.dns.s.len)
        source = source->next;
    return source != NULL;
}

static void close_resolver(struct discovery *discovery)
{
    for (struct discovery_source *source = discovery->sources; source; source = source->next)
        if (source->what.dns.s.len)
            discovery_source_stop(source);
    resolver_close(&discovery->resolver);
    free(discovery->servers);
    discovery->servers = NULL;
}

static void use_servers(struct discovery *discovery, const struct conf *conf)
{
    bool is_good;
    char *servers = join(&conf->resolvers, &is_good);
    bool is_same = servers && discovery->servers ? !strcmp(servers, discovery->servers)
                                                 : servers == discovery->servers;

    if (!is_good)
        return; // those there are go on
    if (discovery->resolver && is_same && has_names(discovery)) {
        free(servers);
        return;
    }
    close_resolver(discovery);
    discovery->servers = servers;
    if (has_names(discovery))
        discovery->resolver = resolver_open(discovery->home.loop, servers);
}

void discovery_follow(struct discovery *discovery, const struct conf *conf)
{
    struct discovery_source *source;

    for (source = discovery->sources; source; source = source->next)
        source->is_wanted = false;
    for (uint32_t i = 0; i < conf->service_count; i++)
        if (conf->services[i].discover.is_set)
            want(discovery, &conf->services[i].discover);
    drop_unwanted(discovery);
    use_servers(discovery, conf);
    for (source = discovery->sources; source; source = source->next)
        discovery_source_start(source);
    if (discovery->is_unsaved)
        save(discovery);
}

void discovery_tick(struct discovery *discovery)
{
    for (struct discovery_source *source = discovery->sources; source; source = source->next)
        discovery_source_tick(source);
}

/* --- life */

struct discovery *discovery_open(const struct discovery_home *home)
{
    struct discovery *discovery = calloc(1, sizeof(*discovery));
    struct found *found = discovery ? discovery_store_load(home->state_dir) : NULL;

    if (!found) {
        free(discovery);
        return NULL;
    }
    discovery->home = *home;
    for (uint32_t i = 0; i < found->count; i++) {
        struct discovery_source *source = add(discovery, &found->sources[i].what);

        if (source)
            source->list = found_list_ref(found->sources[i].list);
    }
    found_unref(&found);
    return discovery;
}

void discovery_close(struct discovery **discovery)
{
    struct discovery *gone = *discovery;

    *discovery = NULL;
    if (!gone)
        return;
    if (gone->saving)
        gone->saving->discovery = NULL;
    close_resolver(gone);
    while (gone->sources) {
        struct discovery_source *source = gone->sources;

        gone->sources = source->next;
        discovery_source_free(&source);
    }
    free(gone);
}
