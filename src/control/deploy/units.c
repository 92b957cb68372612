/* SPDX-License-Identifier: Apache-2.0
 *
 * The units of a service with a provider: as many of each release as are wanted run, what is not
 * wanted any more is stopped once no edge sends it anything, and one that ends by itself is started
 * again, later each time. Compares what the provider lists with what is wanted, over and over, so a
 * restart of control changes nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/clock.h"
#include "base/text.h"
#include "control/deploy/unit.h"
#include "control/say.h"

enum { LIST_MS = 500, IDLE_MS = 3000, BACKOFF_MS = 1000, BACKOFF_MAX_MS = 60 * 1000, SHOWN = 80 };

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- what there is */

static struct unit *find(struct managed *managed, const char *id)
{
    struct unit *unit = managed->units;

    while (unit && strcmp(unit->id, id) != 0)
        unit = unit->next;
    return unit;
}

static struct unit *demand(struct managed *managed, const char *id, const char *release)
{
    struct unit *unit = find(managed, id);

    if (unit)
        return unit;
    unit = calloc(1, sizeof(*unit));
    if (!unit)
        return NULL;
    unit->managed = managed;
    snprintf(unit->id, sizeof(unit->id), "%s", id);
    snprintf(unit->release, sizeof(unit->release), "%s", release);
    unit->next = managed->units;
    managed->units = unit;
    return unit;
}

/* The last line of a text. */
static struct str last_line(struct str text)
{
    const char *end = text.p + text.len, *line;

    if (!text.p)
        return STR("");
    while (end > text.p && (end[-1] == '\n' || end[-1] == '\r'))
        end--;
    for (line = end; line > text.p && line[-1] != '\n'; line--)
        ;
    return (struct str){line, (size_t)(end - line)};
}

/* Why it ended, with the last line that it printed. */
static void explain(struct unit *unit, const struct provider_unit *seen)
{
    struct str more = last_line(seen->tail);
    char how[64], words[SHOWN + 1];

    if (seen->reason)
        more = (struct str){seen->reason, strlen(seen->reason)};
    text_clean(words, sizeof(words), more);
    if (seen->signal)
        snprintf(how, sizeof(how), "was ended by signal %d", seen->signal);
    else if (seen->exit_code >= 0)
        snprintf(how, sizeof(how), "exited with %d", seen->exit_code);
    else
        snprintf(how, sizeof(how), "could not be started");
    snprintf(unit->why, sizeof(unit->why), "it %s%s%s", how, *words ? ": " : "", words);
}

static void take_unit(struct managed *managed, const struct provider_unit *seen)
{
    struct unit *unit = demand(managed, seen->id, seen->release);
    bool is_news;

    if (!unit)
        return;
    is_news = unit->state != seen->state || !*unit->why; // else whoever tried it knows better why
    unit->is_listed = true;
    unit->state = seen->state;
    unit->started_ms = seen->started_ms;
    snprintf(unit->address, sizeof(unit->address), "%s", seen->address ? seen->address : "");
    if (seen->state == PROVIDER_FAILED || seen->state == PROVIDER_STOPPED) {
        if (is_news)
            explain(unit, seen);
    } else if (seen->state == PROVIDER_RUNNING &&
               (int64_t)clock_wall_ms() - seen->started_ms > BACKOFF_MAX_MS) {
        unit->failures = 0;
    }
}

static void drop_gone(struct managed *managed)
{
    for (struct unit **at = &managed->units; *at;) {
        struct unit *unit = *at;

        if (unit->is_listed || unit->is_wanted || unit->is_busy) {
            at = &unit->next;
            continue;
        }
        *at = unit->next;
        free(unit);
    }
}

/* Said once, for as long as it lasts. */
static void note_trouble(struct managed *managed, const char *trouble)
{
    char text[sizeof(managed->trouble)];

    say_into(text, sizeof(text), "%s", trouble ? trouble : "");
    if (*text && strcmp(text, managed->trouble) != 0)
        say_line("units of %s: %s", managed->name, text);
    memcpy(managed->trouble, text, sizeof(text));
}

static void on_listed(void *owner, const struct provider_result *result)
{
    struct managed *managed = owner;

    managed->is_listing = false;
    if (managed->deploys->is_reading) // broken off, and asked again with what is configured now
        return;
    managed->list_ms = now() + (managed->deploy ? LIST_MS : scaler_pause(managed, IDLE_MS));
    note_trouble(managed, result->fault ? result->reason : result->warning);
    managed->is_unlisted = result->fault != PROVIDER_OK;
    if (result->fault) {
        managed->is_listed = false;
        return;
    }
    scaler_kick(managed->deploys->scaler, 0);
    for (struct unit *unit = managed->units; unit; unit = unit->next)
        unit->is_listed = false;
    for (uint32_t i = 0; i < result->unit_count; i++)
        take_unit(managed, &result->units[i]);
    // What was seen to end, and is not known any more, has ended: it may be wanted again by now.
    for (struct unit *unit = managed->units; unit; unit = unit->next)
        if (!unit->is_listed && unit->state == PROVIDER_STOPPING)
            unit->state = PROVIDER_STOPPED;
    managed->is_listed = true;
}

/* --- what is wanted */

/* The same for the same service and release, and for no others. */
static void make_id(const struct managed *managed, const char *release, uint32_t number,
                    char id[PROVIDER_ID_MAX + 1])
{
    uint32_t hash =
        (uint32_t)XXH3_64bits_withSeed(release, strlen(release),
                                       XXH3_64bits(managed->name, strlen(managed->name)));

    snprintf(id, PROVIDER_ID_MAX + 1, "u%08x-%.40s-%u", hash, release, number);
}

uint32_t units_wanted(const struct managed *managed, const char *release, enum deploy_units *units)
{
    const struct deploy *deploy = managed->deploy;
    struct deploy_wants wants;
    uint64_t part = DEPLOY_WHOLE;

    *units = DEPLOY_UNITS_RUN;
    if (!deploy || !managed->instances)
        return managed->instances;
    wants = deploy_wants(&deploy->plan, &deploy->state);
    if (!strcmp(release, deploy->release)) {
        *units = wants.new_units;
        part = wants.new_part;
    } else if (!strcmp(release, deploy->old)) {
        *units = wants.old_units;
        part = wants.old_part;
    }
    if (*units == DEPLOY_UNITS_STOP || !part)
        return 0;
    part = (managed->instances * part + DEPLOY_WHOLE / 2) / DEPLOY_WHOLE;
    return part ? (uint32_t)part : 1;
}

static void want(struct managed *managed)
{
    const char *release;
    json_t *targets;

    for (struct unit *unit = managed->units; unit; unit = unit->next)
        unit->is_wanted = false;
    json_object_foreach(json_object_get(managed->record, "releases"), release, targets)
    {
        enum deploy_units units;
        uint32_t count = units_wanted(managed, release, &units);

        for (uint32_t i = 1; i <= count; i++) {
            char id[PROVIDER_ID_MAX + 1];
            struct unit *unit;

            make_id(managed, release, i, id);
            unit = demand(managed, id, release);
            if (unit)
                unit->is_wanted = true;
            if (unit)
                unit->is_left = units == DEPLOY_UNITS_LEAVE;
        }
    }
}

/* --- doing */

/* Later each time. */
static int64_t pause_after(uint32_t failures)
{
    int64_t pause_ms = BACKOFF_MS;

    for (uint32_t i = 1; i < failures && pause_ms < BACKOFF_MAX_MS; i++)
        pause_ms *= 2;
    return pause_ms;
}

/* `next_ms`: when the same may be asked again; after a failure that is in `pause_ms`, if the
 * platform does not say. */
static void take_end(struct unit *unit, const struct provider_result *result, int64_t *next_ms,
                     int64_t pause_ms)
{
    struct managed *managed = unit->managed;

    unit->is_busy = false;
    managed->list_ms = 0;
    managed->is_listed = false; // what was listed before is not so any more
    if (managed->deploys->is_reading) {
        *next_ms = 0; // it was broken off, and comes to the same when it is asked again
        return;
    }
    unit->is_tried |= result->fault != PROVIDER_TRANSIENT;
    if (!result->fault) {
        scaler_kick(managed->deploys->scaler, 0);
        return;
    }
    say_into(unit->why, sizeof(unit->why), "%s", result->reason ? result->reason : "it failed");
    *next_ms = now() + (result->retry_ms ? result->retry_ms : pause_ms);
    if (result->fault != PROVIDER_TRANSIENT)
        unit->state = PROVIDER_FAILED;
    say_line("unit %s of %s: %s", unit->id, managed->name, unit->why);
}

static void on_started(void *owner, const struct provider_result *result)
{
    struct unit *unit = owner;

    if (!result->fault) // how it was before is over
        unit->state = PROVIDER_STARTING;
    take_end(unit, result, &unit->next_ms, pause_after(unit->failures));
}

static void on_stopped(void *owner, const struct provider_result *result)
{
    struct unit *unit = owner;

    unit->stop_failures = result->fault ? unit->stop_failures + 1 : 0;
    take_end(unit, result, &unit->stop_ms, pause_after(unit->stop_failures));
}

static void start(struct unit *unit)
{
    const json_t *images = json_object_get(unit->managed->record, "images");
    struct provider_spec spec = {
        .id = unit->id,
        .release = unit->release,
        .image = json_string_value(json_object_get(images, unit->release)),
    };

    unit->is_busy = true;
    unit->next_ms = now() + pause_after(unit->failures++);
    unit->managed->provider->start(unit->managed->self, &spec,
                                   (struct provider_call){on_started, unit});
}

static void stop(struct unit *unit, bool is_removed)
{
    struct provider_stop how = {.id = unit->id,
                                .is_removed = is_removed,
                                .may_freeze = !is_removed && !unit->is_wanted};

    unit->is_busy = true;
    unit->managed->provider->stop(unit->managed->self, &how,
                                  (struct provider_call){on_stopped, unit});
}

static bool has_to_restart(const struct unit *unit)
{
    const struct deploy *deploy = unit->managed->deploy;

    return deploy && !strcmp(unit->release, deploy->release) && deploy->state.restarted_ms &&
           unit->started_ms < deploy->state.restarted_ms;
}

/* Edges are told to send it requests. */
static bool is_target(const struct unit *unit)
{
    const json_t *releases = json_object_get(unit->managed->record, "releases"), *target;
    size_t i;

    if (!watch_wants(unit->managed, unit->release))
        return false;
    json_array_foreach(json_object_get(releases, unit->release), i, target)
    {
        const char *address = json_string_value(json_object_get(target, "address"));

        if (address && !strcmp(address, unit->address))
            return true;
    }
    return false;
}

/* One too many of a scaled release, all of whose units would run; of a rolling one the deploy says
 * which go. */
static bool is_spare(const struct unit *unit)
{
    const struct managed *managed = unit->managed;
    const json_t *releases = json_object_get(managed->record, "releases");
    enum deploy_units units;

    return managed->scaled && json_object_get(releases, unit->release) &&
           watch_wants(managed, unit->release) &&
           units_wanted(managed, unit->release, &units) == managed->instances;
}

/* It is to go while its release stays: edges send it nothing new. What goes with all of its release
 * has been waited for by the deploy. */
static bool is_leaving(const struct unit *unit)
{
    const json_t *releases = json_object_get(unit->managed->record, "releases");

    return !unit->is_wanted && unit_runs(unit) && *unit->address &&
           json_object_get(releases, unit->release) && watch_wants(unit->managed, unit->release) &&
           !is_target(unit);
}

/* One goes when no edge has a request of it any more, or they have had their time. */
static bool has_left(struct unit *unit, bool is_live)
{
    const struct conf_service *conf = managed_conf(unit->managed);

    if (!is_live || is_target(unit)) {
        unit->leaving_ms = 0;
        return false;
    }
    if (!unit->leaving_ms)
        unit->leaving_ms = now();
    return !is_leaving(unit) || watch_is_idle(unit->managed, unit->address) ||
           now() - unit->leaving_ms >= (conf ? conf->deploy.drain_ms : 0);
}

/* One that is not wanted; it rests where that helps. */
static void dismiss(struct unit *unit, bool is_live)
{
    bool rests = is_spare(unit) && unit->managed->provider->abilities & PROVIDER_RESTS;

    if (!unit->is_listed || unit->state == PROVIDER_STOPPING ||
        (rests && unit->state == PROVIDER_STOPPED))
        return;
    if (has_left(unit, is_live) && now() >= unit->stop_ms)
        stop(unit, !rests);
}

static void tend(struct unit *unit, bool is_live)
{
    if (unit->is_busy || (unit->is_wanted && unit->is_left))
        return;
    if (unit->is_wanted)
        unit->leaving_ms = 0;
    if (!unit->is_wanted)
        dismiss(unit, is_live);
    else if (unit_runs(unit) && has_to_restart(unit) && now() >= unit->stop_ms)
        stop(unit, false);
    else if (!unit_runs(unit) && now() >= unit->next_ms && unit->state != PROVIDER_STOPPING &&
             !(unit_is_on_probation(unit) && unit->is_tried))
        start(unit);
}

/* --- addresses */

static const json_t *find_target(const json_t *targets, const json_t *id)
{
    const json_t *target;
    size_t i;

    json_array_foreach((json_t *)(uintptr_t)targets, i,
                       target) if (json_equal(json_object_get(target, "id"), id)) return target;
    return NULL;
}

/* Where the units of a release answer; NULL: not all run yet. */
static json_t *addresses(const struct managed *managed, const char *release, uint32_t instances)
{
    json_t *list = json_array();

    for (uint32_t i = 1; i <= instances; i++) {
        char id[PROVIDER_ID_MAX + 1];
        struct unit *unit;

        make_id(managed, release, i, id);
        unit = find((struct managed *)(uintptr_t)managed, id);
        if (!unit || unit->state != PROVIDER_RUNNING || !unit->is_listed || !*unit->address) {
            json_decref(list);
            return NULL;
        }
        json_array_append_new(list, json_pack("{s:o,s:s}", "id", json_sprintf("%s-%u", release, i),
                                              "address", unit->address));
    }
    return list;
}

/* Of a scaled one: those that run, and of the others what was known of them. */
static json_t *addresses_scaled(const struct managed *managed, const char *release,
                                const json_t *before, uint32_t count)
{
    json_t *list = json_array();

    for (uint32_t i = 1; i <= count; i++) {
        char id[PROVIDER_ID_MAX + 1];
        const struct unit *unit;
        json_t *name = json_sprintf("%s-%u", release, i);
        const json_t *known = find_target(before, name);

        make_id(managed, release, i, id);
        unit = find((struct managed *)(uintptr_t)managed, id);
        if (unit && unit->state == PROVIDER_RUNNING && unit->is_listed && *unit->address)
            json_array_append_new(list,
                                  json_pack("{s:O,s:s}", "id", name, "address", unit->address));
        else if (known)
            json_array_append(list, (json_t *)(uintptr_t)known);
        json_decref(name);
    }
    return list;
}

/* NULL: as it was. */
static json_t *addresses_now(const struct managed *managed, const char *release,
                             const json_t *before)
{
    const struct deploy *deploy = managed->deploy;
    bool is_new =
        deploy && !strcmp(release, deploy->release) && deploy->state.phase <= DEPLOY_START;
    enum deploy_units units;
    uint32_t count = units_wanted(managed, release, &units);

    if (managed->scaled && !is_new)
        return addresses_scaled(managed, release, before, count);
    return count ? addresses(managed, release, count) : NULL;
}

json_t *units_leaving(const struct managed *managed, json_t *targets)
{
    json_t *ids = json_array();

    for (const struct unit *unit = managed->units; unit; unit = unit->next) {
        json_t *id;

        if (!is_leaving(unit))
            continue;
        id = json_sprintf("%s%s", unit->release, strrchr(unit->id, '-'));
        json_array_append_new(targets, json_pack("{s:O,s:s,s:s}", "id", id, "address",
                                                 unit->address, "release", unit->release));
        json_array_append_new(ids, id);
    }
    return ids;
}

/* True: edges are to drain others than they were told to. */
static bool note_leaving(struct managed *managed)
{
    uint64_t before = managed->leaving;

    managed->leaving = 0;
    for (const struct unit *unit = managed->units; unit; unit = unit->next)
        if (is_leaving(unit))
            managed->leaving = XXH3_64bits_withSeed(unit->id, strlen(unit->id), managed->leaving);
    return managed->leaving != before;
}

bool units_adopt(struct managed *managed)
{
    json_t *releases = json_object_get(managed->record, "releases"), *targets;
    struct deploy *deploy = managed->deploy;
    bool is_changed = false;
    const char *release;

    if (!managed->self || !managed->is_listed)
        return false;
    json_object_foreach(releases, release, targets)
    {
        json_t *now_at = addresses_now(managed, release, targets);

        if (now_at && !json_equal(now_at, targets)) {
            is_changed = true;
            json_array_clear(targets);
            json_array_extend(targets, now_at);
            if (deploy && !strcmp(release, deploy->release)) {
                json_decref(deploy->targets);
                deploy->targets = json_deep_copy(targets);
            }
        }
        json_decref(now_at);
    }
    return note_leaving(managed) || is_changed;
}

/* --- life */

static void on_unit(void *owner, const struct provider_unit *unit)
{
    struct managed *managed = owner;

    (void)unit;
    managed->list_ms = 0;
    scaler_kick(managed->deploys->scaler, 0);
}

bool units_open(struct managed *managed)
{
    struct provider_env env = {.units = managed->deploys->options.units,
                               .outbound = managed->deploys->options.outbound,
                               .on_unit = on_unit,
                               .owner = managed};
    const struct conf_service *conf = managed_conf(managed);

    managed->provider = conf ? provider_of(conf) : NULL;
    if (managed->provider && !managed->self && managed->provider->open(&env, conf, &managed->self))
        managed->self = NULL;
    return managed->self != NULL;
}

void units_tick(struct managed *managed, int64_t now_ms)
{
    const struct conf_service *conf = managed_conf(managed);
    bool is_live;

    if (!conf || !conf->provider.is_set)
        return;
    if (!units_open(managed))
        return;
    managed->instances = scaler_count(managed, conf_provider_instances(&conf->provider));
    if (managed->is_listed)
        want(managed);
    if (!managed->is_listing && now_ms >= managed->list_ms) {
        managed->is_listing = true;
        managed->provider->list(managed->self, (struct provider_call){on_listed, managed});
        return;
    }
    if (!managed->is_listed)
        return;
    is_live = watch_is_live(managed);
    for (struct unit *unit = managed->units; unit; unit = unit->next)
        tend(unit, is_live);
    if (managed->is_listed)
        drop_gone(managed);
}

void units_close(struct managed *managed)
{
    if (managed->self)
        managed->provider->close(&managed->self);
    managed->self = NULL;
    managed->is_listed = managed->is_listing = managed->is_unlisted =
        false; // whatever ended calls say
}

void units_drop(struct managed *managed)
{
    units_close(managed);
    while (managed->units) {
        struct unit *unit = managed->units;

        managed->units = unit->next;
        free(unit);
    }
}
