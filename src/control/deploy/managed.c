/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/managed.h"

#include <stdlib.h>
#include <string.h>

#include "control/deploy/impl.h"
#include "control/say.h"

const char managed_kind[] = "service";

struct managed *managed_find(const struct deploys *deploys, const char *service)
{
    struct managed *managed = deploys->managed;

    while (managed && strcmp(managed->name, service) != 0)
        managed = managed->next;
    return managed;
}

struct managed *managed_new(struct deploys *deploys, const char *service)
{
    struct managed *managed = calloc(1, sizeof(*managed));

    if (!managed)
        return NULL;
    managed->deploys = deploys;
    managed->name = strdup(service);
    managed->record =
        json_pack("{s:I,s:{},s:[]}", "revision", (json_int_t)0, "releases", "removed");
    if (!managed->name || !managed->record) {
        json_decref(managed->record);
        free(managed->name);
        free(managed);
        return NULL;
    }
    managed->next = deploys->managed;
    deploys->managed = managed;
    return managed;
}

void managed_free(struct managed *managed)
{
    watch_drop(managed);
    units_drop(managed);
    store_put_free(&managed->put);
    json_decref(managed->record);
    free(managed->scaled);
    free(managed->body);
    free(managed->name);
    free(managed);
}

const struct conf_service *managed_conf(const struct managed *managed)
{
    const struct conf *conf = managed->deploys->conf;
    struct str name = {managed->name, strlen(managed->name)};

    for (uint32_t i = 0; conf && i < conf->service_count; i++)
        if (str_same(conf->services[i].name.s, name))
            return &conf->services[i];
    return NULL;
}

void managed_enter(struct managed *managed, const char *release, const json_t *targets,
                   const char *image)
{
    json_object_set_new(json_object_get(managed->record, "releases"), release,
                        json_deep_copy(targets));
    if (!image)
        return;
    if (!json_object_get(managed->record, "images"))
        json_object_set_new(managed->record, "images", json_object());
    json_object_set_new(json_object_get(managed->record, "images"), release, json_string(image));
}

void managed_forget(struct managed *managed, const char *release)
{
    json_object_del(json_object_get(managed->record, "releases"), release);
    json_object_del(json_object_get(managed->record, "images"), release);
}

static void tell(struct managed *managed)
{
    if (!watch_compose(managed))
        say_line("out of memory: the edges are not told of %s", managed->name);
}

static void on_record_saved(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct managed *managed = CONTAINER_OF(put, struct managed, put);

    managed->is_saving = false;
    store_put_free(put);
    if (status == E_CLOSED)
        return;
    if (status)
        say_line("where %s runs now is not in the store: %s", managed->name, job->error);
    if (managed->told != managed->revision && !managed->deploy) // else the deploy tells
        tell(managed); // requests go where it runs, in any case
}

static void on_kept(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct managed *managed = CONTAINER_OF(put, struct managed, put);

    managed->is_saving = false;
    store_put_free(put);
    if (status && status != E_CLOSED)
        say_line("what %s has cost is not in the store: %s", managed->name, job->error);
}

static void put_record(struct managed *managed,
                       void (*done)(struct store_job *job, enum status status))
{
    managed->put = (struct store_put){.job = {.done = done}};
    if (!store_put_add(&managed->put, managed_kind, managed->name, managed->record)) {
        store_put_free(&managed->put);
        return;
    }
    managed->is_saving = true;
    store_put(managed->deploys->options.store, &managed->put);
}

void managed_keep(struct managed *managed)
{
    if (!managed->is_saving && !managed->deploy && !managed->is_dirty && !managed->is_unsaved)
        put_record(managed, on_kept);
}

/* While it is woken somebody waits, and the disk may take its time: edges are told before the store
 * has it, even before it has what came before. A control that is killed in between is told anew who
 * waits, and starts nothing twice. */
static bool may_change(const struct managed *managed, bool is_urgent)
{
    bool is_split_stored = managed->is_saving && managed->put.job.done != on_record_saved &&
                           managed->put.job.done != on_kept;

    return !managed->is_saving || (is_urgent && !is_split_stored);
}

static void change(struct managed *managed)
{
    managed->is_dirty = false;
    managed->is_unsaved = managed->has_spoken = true;
    managed->revision++;
    json_object_set_new(managed->record, "revision", json_integer((json_int_t)managed->revision));
}

bool managed_is_busy(const struct managed *managed)
{
    bool is_busy = managed->is_saving;

    for (const struct deploy *deploy = managed->deploys->all; deploy; deploy = deploy->next)
        is_busy |= deploy->managed == managed && (deploy->is_saving || deploy->is_unsaved);
    return is_busy;
}

void managed_catch_up(struct managed *managed)
{
    bool is_urgent = scaler_is_waking(managed);

    if (may_change(managed, is_urgent) && (units_adopt(managed) || managed->is_dirty)) {
        change(managed);
        if (is_urgent)
            tell(managed);
    }
    if (!managed->is_unsaved || managed->is_saving)
        return;
    managed->is_unsaved = false;
    put_record(managed, on_record_saved);
}
