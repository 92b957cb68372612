/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly_machine.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"

enum { STUCK_MS = 5 * 60 * 1000, STUCK_UPDATE_MS = 10 * 60 * 1000 };

/* --- what is written in it */

const char *fly_machine_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

const json_t *fly_machine_config(const json_t *machine)
{
    const json_t *config = json_object_get(machine, "config");

    return json_is_object(config) ? config : NULL;
}

const char *fly_machine_metadata(const json_t *machine, const char *key)
{
    const json_t *config = fly_machine_config(machine);

    if (!config)
        config = json_object_get(machine, "incomplete_config");
    return fly_machine_text(json_object_get(config, "metadata"), key);
}

static bool is_in(const json_t *machine, const char *state)
{
    return !strcmp(fly_machine_text(machine, "state"), state);
}

bool fly_machine_is_created(const json_t *machine)
{
    return is_in(machine, "created");
}

bool fly_machine_is_cut(const json_t *machine)
{
    return !strcmp(fly_machine_text(machine, "host_status"), "unreachable");
}

enum fly_phase fly_machine_phase(const json_t *machine)
{
    static const struct {
        const char *state;
        enum fly_phase phase;
    } phases[] = {
        {"started", FLY_UP},           {"stopped", FLY_DOWN},          {"suspended", FLY_DOWN},
        {"stopping", FLY_GOING_DOWN},  {"suspending", FLY_GOING_DOWN}, {"failed", FLY_BROKEN},
        {"launch_failed", FLY_ENDING}, {"destroying", FLY_ENDING},     {"destroyed", FLY_GONE},
        {"replaced", FLY_GONE},        {"migrated", FLY_GONE},
    };
    // created, starting, restarting, updating, replacing, and what is new
    enum fly_phase phase = FLY_GOING_UP;

    for (size_t i = 0; i < ARRAY_LEN(phases); i++)
        if (is_in(machine, phases[i].state))
            phase = phases[i].phase;
    return phase < FLY_BROKEN && fly_machine_is_cut(machine) ? FLY_BROKEN : phase;
}

bool fly_machine_is_suspended(const json_t *machine)
{
    return fly_machine_phase(machine) == FLY_DOWN && is_in(machine, "suspended");
}

bool fly_machine_is_ours(const json_t *machine, const char *service)
{
    return *fly_machine_metadata(machine, FLY_MACHINE_UNIT) &&
           !strcmp(fly_machine_metadata(machine, FLY_MACHINE_SERVICE), service);
}

/* More is better. */
static int use_of(const json_t *machine)
{
    static const int uses[] = {
        [FLY_UP] = 6,     [FLY_GOING_UP] = 5, [FLY_GOING_DOWN] = 4, [FLY_DOWN] = 3,
        [FLY_BROKEN] = 2, [FLY_ENDING] = 1,   [FLY_GONE] = 0};

    return uses[fly_machine_phase(machine)];
}

static bool is_unit(const json_t *machine, const char *service, const char *unit)
{
    return fly_machine_is_ours(machine, service) &&
           !strcmp(fly_machine_metadata(machine, FLY_MACHINE_UNIT), unit);
}

/* Dates are written alike: RFC 3339, in UTC. */
static bool is_better(const json_t *machine, const json_t *than)
{
    int more = than ? use_of(machine) - use_of(than) : 1;

    return more > 0 || (!more && strcmp(fly_machine_text(machine, "created_at"),
                                        fly_machine_text(than, "created_at")) > 0);
}

json_t *fly_machine_find(const json_t *machines, const char *service, const char *unit,
                         bool with_ending)
{
    int least = with_ending ? 1 : 2;
    json_t *machine, *found = NULL;
    size_t i;

    json_array_foreach(machines, i, machine)
    {
        if (is_unit(machine, service, unit) && use_of(machine) >= least &&
            is_better(machine, found))
            found = machine;
    }
    return found;
}

json_t *fly_machine_spare(const json_t *machines, const char *service, const char *unit)
{
    const json_t *used = fly_machine_find(machines, service, unit, false);
    json_t *machine;
    size_t i;

    json_array_foreach(machines, i, machine)
    {
        if (machine != used && is_unit(machine, service, unit) && !fly_machine_is_cut(machine) &&
            fly_machine_phase(machine) < FLY_ENDING)
            return machine;
    }
    return NULL;
}

bool fly_machine_is_automatic(const json_t *machine)
{
    const json_t *service, *stop;
    size_t i;

    json_array_foreach(json_object_get(fly_machine_config(machine), "services"), i, service)
    {
        stop = json_object_get(service, "autostop");
        if (json_is_true(stop) || json_is_true(json_object_get(service, "autostart")) ||
            (json_is_string(stop) && strcmp(json_string_value(stop), "off") != 0))
            return true;
    }
    return false;
}

/* --- its events; the API gives the newest ones, in no order that is promised */

static int64_t at_of(const json_t *event)
{
    return json_integer_value(json_object_get(event, "timestamp"));
}

static bool is_start(const json_t *event)
{
    return !strcmp(fly_machine_text(event, "type"), "start") &&
           !strcmp(fly_machine_text(event, "status"), "started");
}

static const json_t *exit_of(const json_t *event)
{
    const json_t *ended = json_object_get(json_object_get(event, "request"), "exit_event");

    return json_is_object(ended) ? ended : NULL;
}

struct story {
    int64_t started_ms, since_ms, ended_ms;
    uint32_t starts;
    const json_t *ended; /* the last exit */
    const json_t *last;  /* event */
};

static void read_story(const json_t *machine, struct story *story)
{
    const json_t *event;
    size_t i;

    *story = (struct story){0};
    json_array_foreach(json_object_get(machine, "events"), i, event)
    {
        int64_t at_ms = at_of(event);

        if (at_ms >= story->since_ms) {
            story->since_ms = at_ms;
            story->last = event;
        }
        if (is_start(event)) {
            story->starts++;
            story->started_ms = at_ms > story->started_ms ? at_ms : story->started_ms;
        }
        if (exit_of(event) && at_ms >= story->ended_ms) {
            story->ended_ms = at_ms;
            story->ended = exit_of(event);
        }
    }
}

/* "2026-11-22T20:29:48Z", with or without a fraction; 0: it is none. */
static int64_t unix_ms(const char *text)
{
    struct tm parts = {0};

    return strptime(text, "%Y-%m-%dT%H:%M:%S", &parts) ? (int64_t)timegm(&parts) * 1000 : 0;
}

int64_t fly_machine_ended_ms(const json_t *machine)
{
    struct story story;

    read_story(machine, &story);
    return story.ended_ms;
}

int64_t fly_machine_still_ms(const json_t *machine)
{
    struct story story;

    read_story(machine, &story);
    if (!story.since_ms)
        story.since_ms = unix_ms(fly_machine_text(machine, "updated_at"));
    return story.since_ms ? (int64_t)clock_wall_ms() - story.since_ms : 0;
}

bool fly_machine_is_stuck(const json_t *machine)
{
    enum fly_phase phase = fly_machine_phase(machine);
    bool is_update = is_in(machine, "updating") || is_in(machine, "replacing");

    return (phase == FLY_GOING_UP || phase == FLY_GOING_DOWN) &&
           fly_machine_still_ms(machine) > (is_update ? STUCK_UPDATE_MS : STUCK_MS);
}

/* --- in the words of the contract */

static void show_end(struct fly_view *view, const struct story *story)
{
    struct provider_unit *unit = &view->unit;
    const json_t *ended = story->ended;
    bool is_asked = json_is_true(json_object_get(ended, "requested_stop"));
    json_int_t signal = json_integer_value(json_object_get(ended, "signal"));

    if (!ended)
        return;
    if (signal <= 0)
        signal = json_integer_value(json_object_get(ended, "guest_signal"));
    unit->signal = signal > 0 && signal < 128 ? (int)signal : 0;
    // The code is left out when it is 0.
    unit->exit_code = (int)json_integer_value(json_object_get(ended, "exit_code"));
    if (!unit->exit_code)
        unit->exit_code = (int)json_integer_value(json_object_get(ended, "guest_exit_code"));
    if (story->started_ms && story->ended_ms > story->started_ms)
        unit->lived_ms = (uint64_t)(story->ended_ms - story->started_ms);
    if (json_is_true(json_object_get(ended, "oom_killed"))) {
        snprintf(view->reason, sizeof(view->reason), "it had no memory left");
        unit->state = PROVIDER_FAILED;
    } else if (!is_asked && (unit->exit_code || unit->signal)) {
        unit->state = PROVIDER_FAILED;
    }
}

static void show_broken(struct fly_view *view, const json_t *machine, const struct story *story)
{
    bool is_cut = fly_machine_is_cut(machine);

    view->unit.state = PROVIDER_FAILED;
    view->unit.fault = is_cut ? PROVIDER_TRANSIENT : PROVIDER_PERMANENT;
    if (is_cut)
        snprintf(view->reason, sizeof(view->reason), "the host of machine %s cannot be reached",
                 fly_machine_text(machine, "id"));
    else
        snprintf(view->reason, sizeof(view->reason), "machine %s failed (%s)",
                 fly_machine_text(machine, "id"), fly_machine_text(story->last, "type"));
}

static void show_address(struct fly_view *view, const json_t *machine, uint16_t port)
{
    const char *ip = fly_machine_text(machine, "private_ip");
    bool is_v6 = strchr(ip, ':') != NULL;

    if (!*ip || view->unit.state > PROVIDER_STOPPING)
        return;
    snprintf(view->address, sizeof(view->address), is_v6 ? "[%.45s]:%u" : "%.45s:%u", ip, port);
    view->unit.address = view->address;
}

void fly_machine_view(const json_t *machine, uint16_t port, struct fly_view *view)
{
    static const enum provider_state states[] = {
        [FLY_GOING_UP] = PROVIDER_STARTING,   [FLY_UP] = PROVIDER_RUNNING,
        [FLY_GOING_DOWN] = PROVIDER_STOPPING, [FLY_DOWN] = PROVIDER_STOPPED,
        [FLY_BROKEN] = PROVIDER_FAILED,       [FLY_ENDING] = PROVIDER_STOPPING,
        [FLY_GONE] = PROVIDER_STOPPED,
    };
    enum fly_phase phase = fly_machine_phase(machine);
    struct provider_unit *unit = &view->unit;
    struct story story;

    read_story(machine, &story);
    *view =
        (struct fly_view){.unit = {.id = fly_machine_metadata(machine, FLY_MACHINE_UNIT),
                                   .service = fly_machine_metadata(machine, FLY_MACHINE_SERVICE),
                                   .release = fly_machine_metadata(machine, FLY_MACHINE_RELEASE),
                                   .handle = fly_machine_text(machine, "id"),
                                   .region = fly_machine_text(machine, "region"),
                                   .state = states[phase],
                                   .exit_code = -1,
                                   .restarts = story.starts ? story.starts - 1 : 0,
                                   .started_ms = story.started_ms,
                                   .since_ms = story.since_ms}};
    if (!unit->started_ms)
        unit->started_ms = unix_ms(fly_machine_text(machine, "created_at"));
    if (unit->since_ms < unit->started_ms)
        unit->since_ms = unit->started_ms;
    if (phase == FLY_DOWN)
        show_end(view, &story);
    else if (phase == FLY_BROKEN)
        show_broken(view, machine, &story);
    show_address(view, machine, port);
    unit->reason = *view->reason ? view->reason : NULL;
}

/* --- its log */

static size_t put_event(const json_t *event, char *text, size_t size)
{
    const json_t *ended = exit_of(event);
    struct clock_date date = {0};
    struct str at = clock_rfc3339(&date, (uint64_t)at_of(event));
    int len = snprintf(text, size, "%.*s %.40s %.40s by %.40s", STR_FMT(at),
                       fly_machine_text(event, "type"), fly_machine_text(event, "status"),
                       fly_machine_text(event, "source"));
    size_t used = len < 0 ? 0 : (size_t)len < size ? (size_t)len : size - 1;

    if (ended) {
        len = snprintf(text + used, size - used, ", code %d, signal %d%s%s",
                       (int)json_integer_value(json_object_get(ended, "exit_code")),
                       (int)json_integer_value(json_object_get(ended, "signal")),
                       json_is_true(json_object_get(ended, "oom_killed")) ? ", no memory left" : "",
                       json_is_true(json_object_get(ended, "requested_stop")) ? ", as asked" : "");
        used += len < 0 ? 0 : (size_t)len < size - used ? (size_t)len : size - used - 1;
    }
    if (used + 1 < size)
        text[used++] = '\n';
    return used;
}

/* The first that is later than `after`, or of those at the same time one further on. */
static const json_t *next_event(const json_t *events, const json_t *after)
{
    const json_t *event, *found = NULL;
    bool is_past = !after;
    size_t i;

    // Within one time the API's order is turned round, as it shows the newest first.
    for (i = json_array_size(events); i-- > 0;) {
        event = json_array_get(events, i);
        if (event == after)
            is_past = true;
        else if ((!after || at_of(event) > at_of(after) ||
                  (at_of(event) == at_of(after) && is_past)) &&
                 (!found || at_of(event) < at_of(found)))
            found = event;
    }
    return found;
}

size_t fly_machine_log(const json_t *machine, char *text, size_t size)
{
    const json_t *events = json_object_get(machine, "events");
    size_t used = 0;

    for (const json_t *event = next_event(events, NULL); event; event = next_event(events, event))
        used += put_event(event, text + used, size - used);
    return used;
}
