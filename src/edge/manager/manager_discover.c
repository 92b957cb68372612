/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that change by themselves: what discovery finds and what host names come to. However much
 * of it there is, one change at a time waits in the queue; what comes while it waits goes with it.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "edge/manager/admin.h"
#include "edge/manager/manager_impl.h"

/* --- a change for all that is new */

static void on_refreshed(struct manager_change *change, enum status status, uint32_t generation,
                         const struct diag *diag)
{
    struct manager *m = CONTAINER_OF(change, struct manager, refresh);

    (void)generation;
    m->is_refreshing = false;
    if (status && status != E_CLOSED) {
        manager_print(diag);
        m->needs_refresh = true; // at the next tick
        return;
    }
    if (!status && m->needs_refresh)
        manager_refresh(m);
}

void manager_refresh(struct manager *m)
{
    m->needs_refresh = true;
    if (m->is_refreshing || m->is_stopping)
        return;
    m->is_refreshing = true;
    m->refresh = (struct manager_change){.kind = CHANGE_TARGETS, .on_done = on_refreshed};
    manager_change(m, &m->refresh);
}

bool manager_give_found(struct manager *m, struct builder *builder)
{
    builder->found = discovery_found(m->discovery);
    if (m->first == &m->refresh)
        m->needs_refresh = false; // it has all that is known
    return builder->found != NULL;
}

/* --- what is heard */

static void on_change(void *owner)
{
    manager_refresh(owner);
}

static void tell(struct manager *m, struct str service, const struct discovery_view *view)
{
    json_t *json = json_pack("{s:s%,s:I}", "service", service.p, service.len, "count",
                             (json_int_t)view->count);
    char *text;

    if (view->problem) {
        json_object_set_new(json, "problem", json_string(view->problem));
        fprintf(stderr, "sluice: edge: service %.*s: discover: %s; %u targets stay\n",
                STR_FMT(service), view->problem, view->count);
    }
    text = json_dumps(json, JSON_COMPACT);
    if (text)
        admin_event(m->admin, "discover", "%s", text);
    free(text);
    json_decref(json);
}

static void on_news(void *owner, const struct discovery_view *view)
{
    struct manager *m = owner;
    const struct conf *conf = manager_conf(m);

    for (uint32_t i = 0; i < conf->service_count; i++)
        if (conf->services[i].discover.is_set &&
            found_is_same(&conf->services[i].discover, view->what))
            tell(m, conf->services[i].name.s, view);
}

/* --- life */

bool manager_open_discovery(struct manager *m)
{
    struct discovery_home home = {.loop = &m->loop.uv,
                                  .config = m->options.config,
                                  .state_dir = m->state_dir,
                                  .owner = m,
                                  .on_change = on_change,
                                  .on_news = on_news};

    m->discovery = discovery_open(&home);
    m->hosts = hosts_open(&m->loop.uv, on_change, m);
    return m->discovery && m->hosts;
}

void manager_tick_discovery(struct manager *m)
{
    discovery_tick(m->discovery);
    hosts_tick(m->hosts, m->snapshot);
    if (m->needs_refresh)
        manager_refresh(m);
}

void manager_close_discovery(struct manager *m)
{
    discovery_close(&m->discovery);
    hosts_close(&m->hosts);
}
