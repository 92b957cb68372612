/* SPDX-License-Identifier: Apache-2.0
 *
 * Edges that a person has given up: nothing waits for them until they answer again, which is kept
 * in the store.
 */
#include <string.h>

#include "base/clock.h"
#include "control/edges_impl.h"
#include "control/say.h"

const char edges_forgotten_kind[] = "forgotten edge";

static struct edge *find(const struct edges *edges, const char *name)
{
    for (uint32_t i = 0; i < edges->count; i++)
        if (!strcmp(edges->items[i].name, name))
            return (struct edge *)(uintptr_t)&edges->items[i];
    return NULL;
}

static void on_list(struct store_job *job, enum status status)
{
    struct store_list *list = CONTAINER_OF(job, struct store_list, job);
    struct edges *edges = CONTAINER_OF(list, struct edges, list);
    const char *name;
    json_t *record;

    if (status) // they are waited for, which is safe
        return;
    json_object_foreach(list->documents, name, record) edges_forget(edges, name);
    json_decref(list->documents);
}

void edges_read_forgotten(struct edges *edges)
{
    edges->list = (struct store_list){.job = {.done = on_list}, .kind = edges_forgotten_kind};
    store_list(edges->options.store, &edges->list);
}

bool edges_is_waited_for(const struct edges *edges, uint32_t index)
{
    return !edges->items[index].is_forgotten;
}

int64_t edges_silent_ms(const struct edges *edges, uint32_t index, int64_t now_ms)
{
    int64_t since_ms = edges->items[index].silent_ms;

    return since_ms ? now_ms - since_ms : 0;
}

const char *edges_refuse_forget(const struct edges *edges, const char *name)
{
    const struct edge *edge = find(edges, name);

    if (!edge)
        return "there is no edge of that name";
    return edge->silent_ms ? NULL : "it answers: take it out of the configuration instead";
}

void edges_forget(struct edges *edges, const char *name)
{
    struct edge *edge = find(edges, name);

    json_object_set_new(edges->forgotten, name, json_integer((json_int_t)clock_wall_ms()));
    if (!edge)
        return;
    edge->is_forgotten = true;
    say_line("edge %s is not waited for until it answers again", name);
}

static void on_removed(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct edges *edges = CONTAINER_OF(put, struct edges, put);

    edges->is_putting = false;
    if (!status)
        json_object_del(edges->forgotten, put->documents[0].id);
    store_put_free(put);
}

void edges_remember(struct edges *edges)
{
    for (uint32_t i = 0; i < edges->count; i++) {
        struct edge *edge = &edges->items[i];

        if (edge->pid && !edge->silent_ms && edge->is_forgotten) {
            edge->is_forgotten = false;
            say_line("edge %s answers again, and is waited for", edge->name);
        }
        if (edge->is_forgotten || edges->is_putting || !edge->pid ||
            !json_object_get(edges->forgotten, edge->name))
            continue;
        edges->put = (struct store_put){.job = {.done = on_removed}};
        edges->is_putting = store_put_add(&edges->put, edges_forgotten_kind, edge->name, NULL);
        if (edges->is_putting)
            store_put(edges->options.store, &edges->put);
    }
}
