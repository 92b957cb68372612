/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/railway_state.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

const char railway_mark[] = "SLUICE_HOLDS";

enum { HOLD_TEXT = 2 * PROVIDER_ID_MAX + 48 };

int64_t railway_time(const char *text)
{
    struct tm date = {.tm_isdst = 0};
    int ms = 0;

    if (!text || sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3d", &date.tm_year, &date.tm_mon,
                        &date.tm_mday, &date.tm_hour, &date.tm_min, &date.tm_sec, &ms) < 6)
        return 0;
    date.tm_year -= 1900;
    date.tm_mon -= 1;
    return (int64_t)timegm(&date) * 1000 + ms;
}

static const char *text_at(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* --- units in the variable: "UNIT=RELEASE@BEFORE*STARTS", newest first, a space between */

static void read_holds(struct railway_service *service, const char *text)
{
    struct railway_hold hold;
    int used;

    while (service->hold_count < RAILWAY_HOLDS) {
        long long before;

        used = 0;
        if (sscanf(text, " %63[A-Za-z0-9_.-]=%63[A-Za-z0-9_.-]@%lld*%u%n", hold.unit, hold.release,
                   &before, &hold.starts, &used) != 4 ||
            !used)
            return;
        hold.before_ms = before;
        service->holds[service->hold_count++] = hold;
        text += used;
    }
}

char *railway_mark_text(const struct railway_hold *holds, uint32_t count)
{
    char *text = calloc(count + 1, HOLD_TEXT);
    size_t len = 0;

    // An empty value would take the variable away, and what is taken away is deployed.
    if (text && !count)
        memcpy(text, "-", 2);
    for (uint32_t i = 0; text && i < count; i++)
        len +=
            (size_t)snprintf(text + len, HOLD_TEXT, "%s%s=%s@%lld*%u", i ? " " : "", holds[i].unit,
                             holds[i].release, (long long)holds[i].before_ms, holds[i].starts);
    return text;
}

/* --- deployments */

static enum railway_life life_of(const char *status, bool is_stopped)
{
    static const struct {
        const char *status;
        enum railway_life life;
    } lives[] = {
        {"INITIALIZING", RAILWAY_COMING}, {"DEPLOYING", RAILWAY_COMING},
        {"SUCCESS", RAILWAY_SERVING},     {"SLEEPING", RAILWAY_ASLEEP},
        {"REMOVING", RAILWAY_LEAVING},    {"REMOVED", RAILWAY_GONE},
        {"SKIPPED", RAILWAY_GONE},        {"CANCELLED", RAILWAY_GONE},
        {"FAILED", RAILWAY_FAILED},       {"CRASHED", RAILWAY_CRASHED},
    };

    for (size_t i = 0; i < ARRAY_LEN(lives); i++)
        if (!strcmp(status, lives[i].status))
            return is_stopped && lives[i].life == RAILWAY_SERVING ? RAILWAY_HALTED : lives[i].life;
    return RAILWAY_WAITING;
}

static void read_deployment(struct railway_service *service, const json_t *node)
{
    struct railway_deployment *deployment = &service->deployments[service->deployment_count];
    const char *since = text_at(node, "statusUpdatedAt");

    *deployment = (struct railway_deployment){
        .life = life_of(text_at(node, "status"),
                        json_is_true(json_object_get(node, "deploymentStopped"))),
        .created_ms = railway_time(text_at(node, "createdAt")),
        .since_ms = railway_time(*since ? since : text_at(node, "updatedAt")),
    };
    snprintf(deployment->id, sizeof(deployment->id), "%s", text_at(node, "id"));
    snprintf(deployment->status, sizeof(deployment->status), "%s", text_at(node, "status"));
    snprintf(deployment->image, sizeof(deployment->image), "%s",
             text_at(json_object_get(node, "meta"), "image"));
    if (deployment->since_ms < deployment->created_ms)
        deployment->since_ms = deployment->created_ms;
    if (*deployment->id && deployment->created_ms)
        service->deployment_count++;
}

static int newest_first(const void *a, const void *b)
{
    const struct railway_deployment *one = a, *other = b;

    return (one->created_ms < other->created_ms) - (one->created_ms > other->created_ms);
}

static bool read_deployments(struct railway_service *service, const json_t *list)
{
    const json_t *edges = json_object_get(list, "edges"), *edge;
    size_t i;

    if (!json_is_array(edges))
        return false;
    json_array_foreach(edges, i, edge)
    {
        if (service->deployment_count < RAILWAY_DEPLOYMENTS)
            read_deployment(service, json_object_get(edge, "node"));
    }
    qsort(service->deployments, service->deployment_count, sizeof(service->deployments[0]),
          newest_first);
    return true;
}

/* --- a look */

/* Where it answers within the environment; a name that is not told is made as Railway makes it. */
static void read_domain(struct railway_service *service, const char *domain)
{
    size_t len = 0;

    if (*domain) {
        snprintf(service->domain, sizeof(service->domain), "%s", domain);
        return;
    }
    for (; service->name[len]; len++) {
        int c = tolower((unsigned char)service->name[len]);

        service->domain[len] = (char)(isalnum(c) ? c : '-');
    }
    snprintf(service->domain + len, sizeof(service->domain) - len, ".railway.internal");
}

static void read_volume(struct railway_service *service, const json_t *environment)
{
    const json_t *volumes = json_object_get(environment, "volumeInstances"), *edge;
    size_t i;

    json_array_foreach(json_object_get(volumes, "edges"), i, edge)
    {
        const json_t *node = json_object_get(edge, "node");

        if (!strcmp(text_at(node, "serviceId"), service->id))
            snprintf(service->volume, sizeof(service->volume), "%s", text_at(node, "mountPath"));
    }
}

/* The answers of the two services have the same names, but for the first letter. */
static const json_t *answer(const json_t *data, uint32_t number, const char *name)
{
    char key[32];

    snprintf(key, sizeof(key), "%c%s", 'a' + (int)number, name);
    return json_object_get(data, key);
}

static bool read_service(struct railway_service *service, const json_t *data, uint32_t number)
{
    const json_t *variables = answer(data, number, "Variables");
    const json_t *environment = json_object_get(data, "environment");
    const json_t *services = json_object_get(json_object_get(environment, "config"), "services");

    service->instance = answer(data, number, "Instance");
    if (!json_is_object(variables) || !json_is_object(service->instance))
        return false;
    snprintf(service->name, sizeof(service->name), "%s", text_at(service->instance, "serviceName"));
    read_domain(service, text_at(variables, "RAILWAY_PRIVATE_DOMAIN"));
    read_holds(service, text_at(variables, railway_mark));
    service->config = json_object_get(services, service->id);
    read_volume(service, environment);
    return read_deployments(service, answer(data, number, "Deployments"));
}

static bool is_own(const char *name)
{
    return !strncmp(name, "RAILWAY_", 8) || !strncmp(name, "SLUICE_", 7) || !strcmp(name, "PORT");
}

static void compare(struct railway_state *state, const json_t *one, const json_t *other)
{
    size_t len = strlen(state->uneven);
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)one, name, value)
    {
        if (is_own(name) || json_object_get(other, name) ||
            len + strlen(name) + 3 > sizeof(state->uneven))
            continue;
        len += (size_t)snprintf(state->uneven + len, sizeof(state->uneven) - len, "%s%s",
                                len ? ", " : "", name);
    }
}

bool railway_state_read(struct railway_state *state, const struct conf_railway *conf, json_t *data)
{
    const json_t *a = answer(data, 0, "Variables"), *b = answer(data, 1, "Variables");
    bool is_good = true;

    *state = (struct railway_state){.count = conf->services.count, .data = data};
    state->is_full = json_object_get(data, "environment") != NULL;
    for (uint32_t i = 0; i < state->count; i++) {
        state->services[i].id = conf->services.items[i].s.p;
        is_good &= read_service(&state->services[i], data, i);
    }
    if (is_good && state->count > 1) {
        compare(state, a, b);
        compare(state, b, a);
    }
    json_object_del(data, "aVariables");
    json_object_del(data, "bVariables");
    return is_good;
}

void railway_state_free(struct railway_state *state)
{
    json_decref(state->data);
    *state = (struct railway_state){.data = NULL};
}

/* --- units */

struct railway_place railway_find(const struct railway_state *state, const char *unit)
{
    for (uint32_t i = 0; i < state->count; i++)
        for (uint32_t k = 0; k < state->services[i].hold_count; k++)
            if (!strcmp(state->services[i].holds[k].unit, unit))
                return (struct railway_place){&state->services[i], k};
    return (struct railway_place){.service = NULL};
}

static bool is_of(struct railway_place place, const struct railway_deployment *deployment)
{
    const struct railway_hold *hold = &place.service->holds[place.at];

    return deployment->created_ms > hold->before_ms &&
           (!place.at || deployment->created_ms <= hold[-1].before_ms);
}

static bool runs(const struct railway_deployment *deployment)
{
    return deployment->life >= RAILWAY_WAITING && deployment->life <= RAILWAY_HALTED;
}

/* What serves counts more than what is about to, and this more than what has ended. */
static int weight(const struct railway_deployment *deployment)
{
    switch (deployment->life) {
    case RAILWAY_SERVING:
    case RAILWAY_ASLEEP:
        return 5;
    case RAILWAY_WAITING:
    case RAILWAY_COMING:
        return 4;
    case RAILWAY_HALTED:
        return 3;
    case RAILWAY_LEAVING:
        return 2;
    default:
        return 1;
    }
}

const struct railway_deployment *railway_current(struct railway_place place)
{
    const struct railway_deployment *best = NULL;

    for (uint32_t i = 0; i < place.service->deployment_count; i++) {
        const struct railway_deployment *deployment = &place.service->deployments[i];

        if (is_of(place, deployment) && (!best || weight(deployment) > weight(best)))
            best = deployment;
    }
    return best;
}

const struct railway_deployment *railway_running(struct railway_place place)
{
    for (uint32_t i = 0; i < place.service->deployment_count; i++)
        if (is_of(place, &place.service->deployments[i]) && runs(&place.service->deployments[i]))
            return &place.service->deployments[i];
    return NULL;
}

bool railway_is_taken(const struct railway_service *service, const char *unit)
{
    for (uint32_t i = 0; i < service->hold_count; i++)
        if (strcmp(service->holds[i].unit, unit) != 0 &&
            railway_running((struct railway_place){service, i}))
            return true;
    return false;
}

const struct railway_deployment *railway_stranger(const struct railway_service *service)
{
    for (uint32_t i = 0; i < service->deployment_count; i++) {
        const struct railway_deployment *deployment = &service->deployments[i];
        bool is_known = false;

        for (uint32_t k = 0; k < service->hold_count; k++)
            is_known |= is_of((struct railway_place){service, k}, deployment);
        if (!is_known && runs(deployment))
            return deployment;
    }
    return NULL;
}

int64_t railway_newest_ms(const struct railway_service *service)
{
    return service->deployment_count ? service->deployments[0].created_ms : 0;
}

/* --- for others */

static const enum provider_state states[] = {
    [RAILWAY_NONE] = PROVIDER_STOPPED,     [RAILWAY_WAITING] = PROVIDER_STARTING,
    [RAILWAY_COMING] = PROVIDER_STARTING,  [RAILWAY_SERVING] = PROVIDER_RUNNING,
    [RAILWAY_ASLEEP] = PROVIDER_RUNNING,   [RAILWAY_HALTED] = PROVIDER_STOPPED,
    [RAILWAY_LEAVING] = PROVIDER_STOPPING, [RAILWAY_GONE] = PROVIDER_STOPPED,
    [RAILWAY_FAILED] = PROVIDER_FAILED,    [RAILWAY_CRASHED] = PROVIDER_FAILED,
};

static void show_deployment(struct railway_shown *shown, struct railway_place place,
                            const struct railway_deployment *deployment)
{
    struct provider_unit *unit = &shown->unit;

    unit->state = states[deployment->life];
    unit->handle = deployment->id;
    unit->started_ms = deployment->created_ms;
    unit->since_ms = deployment->since_ms;
    if (unit->state == PROVIDER_STOPPED || unit->state == PROVIDER_FAILED)
        unit->lived_ms = (uint64_t)(deployment->since_ms - deployment->created_ms);
    if (deployment->life == RAILWAY_FAILED)
        unit->fault = PROVIDER_PERMANENT;
    if (deployment->life == RAILWAY_SERVING)
        return;
    snprintf(shown->reason, sizeof(shown->reason), "deployment %s of %s is %s", deployment->id,
             place.service->name, deployment->status);
    unit->reason = shown->reason;
}

void railway_show(struct railway_shown *shown, struct railway_place place,
                  const struct conf_service *service)
{
    const struct railway_hold *hold = &place.service->holds[place.at];
    const struct railway_deployment *deployment = railway_current(place);

    shown->unit = (struct provider_unit){
        .id = hold->unit,
        .service = service->name.s.p,
        .release = hold->release,
        .state = PROVIDER_STOPPED,
        .exit_code = -1,
        .restarts = hold->starts ? hold->starts - 1 : 0,
    };
    if (!deployment)
        return;
    show_deployment(shown, place, deployment);
    if (shown->unit.state == PROVIDER_RUNNING || shown->unit.state == PROVIDER_STARTING) {
        snprintf(shown->address, sizeof(shown->address), "%s:%u", place.service->domain,
                 (unsigned)service->provider.railway.port);
        shown->unit.address = shown->address;
    }
}
