/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `provider: {railway}`, and what goes together in them.
 */
#include <string.h>

#include "config/conf_check.h"
#include "config/conf_url.h"

enum { ID_LEN_MAX = 63, REGION_LEN_MAX = 63, REGIONS_MAX = 16, REPLICAS_MAX = 50 };

static const char *const token_words[] = {"project", "account", NULL};
static const char *const plan_words[] = {"free", "hobby", "pro", NULL};
static const char *const restart_words[] = {"on_failure", "always", "never", NULL};

static const struct field region_fields[] = {
    {.name = "replicas",
     .doc = "How many replicas of a release run there.",
     .standard = "1",
     .type = FIELD_INT,
     .min = 1,
     .max = REPLICAS_MAX,
     FIELD_AT(struct conf_railway_region, replicas)},
    FIELD_END,
};

const struct field conf_railway_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_railway, at)},
    {.name = "project",
     .doc = "Its id.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_railway, project)},
    {.name = "environment",
     .doc = "Its id.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_railway, environment)},
    {.name = "services",
     .doc =
         "Ids of services. A service of Railway has one release at a time, so two of them, which "
         "releases take in turn, are needed to run the old one beside the new one; with one it "
         "is `strategy: platform`.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct conf_railway, services.items, services.count)},
    {.name = "token",
     .doc = "Best as `${env:NAME}`, which only control puts in.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_railway, token)},
    {.name = "token_type",
     .doc = "`project`: of one environment; `account`: of an account or a workspace.",
     .standard = "project",
     .type = FIELD_ENUM,
     .words = token_words,
     FIELD_AT(struct conf_railway, token_type)},
    {.name = "plan",
     .doc = "What Railway lets the account ask: 100, 1000 or 10000 requests an hour.",
     .standard = "hobby",
     .type = FIELD_ENUM,
     .words = plan_words,
     FIELD_AT(struct conf_railway, plan)},
    {.name = "api",
     .doc = "The GraphQL API: `https://`, or `http://` on loopback.",
     .standard = "https://backboard.railway.com/graphql/v2",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_railway, api)},
    {.name = "image",
     .doc = "What a release runs unless its deploy names an image; `${release}` is the release's "
            "id.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_railway, image)},
    {.name = "port",
     .doc = "Where the app listens, on `::`; it is told by the variable PORT.",
     .standard = "8080",
     .type = FIELD_INT,
     .min = 1,
     .max = 65535,
     FIELD_AT(struct conf_railway, port)},
    {.name = "regions",
     .doc = "Where replicas run. Not written: as it is set at Railway.",
     .type = FIELD_MAP,
     .fields = region_fields,
     .name_offset = offsetof(struct conf_railway_region, name),
     FIELD_ITEMS(struct conf_railway, regions, region_count)},
    {.name = "health_path",
     .doc = "What Railway asks of a new deployment until it says 200; `off`: it is live at once.",
     .standard = "off",
     .type = FIELD_TEXT,
     .flags = FIELD_OFF,
     FIELD_AT(struct conf_railway, health_path)},
    {.name = "health_timeout",
     .doc = "The most that this may take.",
     .standard = "5m",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_railway, health_ms)},
    {.name = "overlap",
     .doc = "How long the old deployment of a service runs on beside the new one.",
     .standard = "20s",
     .type = FIELD_DURATION,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_railway, overlap_ms)},
    {.name = "drain",
     .doc = "From SIGTERM to SIGKILL.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_railway, drain_ms)},
    {.name = "restart",
     .doc = "When Railway restarts what ended by itself.",
     .standard = "on_failure",
     .type = FIELD_ENUM,
     .words = restart_words,
     FIELD_AT(struct conf_railway, restart)},
    {.name = "restarts",
     .doc = "How often, with `on_failure`; it has crashed then.",
     .standard = "10",
     .type = FIELD_INT,
     .max = 100,
     FIELD_AT(struct conf_railway, restarts)},
    {.name = "deadline",
     .doc = "The most that a deployment may take to get where it shall be.",
     .standard = "15m",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 24 * 3600 * 1000U,
     FIELD_AT(struct conf_railway, deadline_ms)},
    {.name = "timeout",
     .doc = "The most that one call of the API may take.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 300 * 1000U,
     FIELD_AT(struct conf_railway, timeout_ms)},
    FIELD_END,
};

static bool is_plain(struct str s, size_t len_max)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');

        if (!is_letter && (c < '0' || c > '9') && c != '-' && c != '_')
            return false;
    }
    return s.len > 0 && s.len <= len_max;
}

static void check_id(struct diag *diag, const struct conf_text *id)
{
    if (id->s.len && !is_plain(id->s, ID_LEN_MAX))
        diag_error(diag, id->at, "\"%.*s\" is no id of Railway", STR_FMT(id->s));
}

/* The token goes with each request. */
static void check_api(struct diag *diag, const struct conf_text *api)
{
    if (!api->s.len || !conf_check_text(diag, api))
        return;
    if (!conf_url_begins(api->s, "https://") && !conf_url_begins(api->s, "http://")) {
        diag_error(diag, api->at, "the url of the API begins with https:// or http://");
    } else if (conf_url_begins(api->s, "http://") && !conf_url_is_near(api->s, "http://")) {
        diag_error(diag, api->at, "the token goes to the API: without TLS only on loopback");
        diag_hint(diag, "write https://");
    }
}

/* One service of Railway has one release at a time: it cannot be shared. */
static void check_alone(struct diag *diag, const struct conf *conf,
                        const struct conf_service *service, const struct conf_text *id)
{
    for (const struct conf_service *other = conf->services; other != service; other++) {
        const struct conf_texts *taken = &other->provider.railway.services;

        for (uint32_t i = 0; other->provider.railway.is_set && i < taken->count; i++)
            if (str_same(taken->items[i].s, id->s))
                diag_error(diag, id->at, "\"%.*s\" is one of service \"%.*s\" already",
                           STR_FMT(id->s), STR_FMT(other->name.s));
    }
}

static void check_services(struct diag *diag, const struct conf *conf,
                           const struct conf_service *service)
{
    const struct conf_texts *ids = &service->provider.railway.services;

    if (ids->count > CONF_RAILWAY_SERVICES)
        diag_error(diag, ids->items[CONF_RAILWAY_SERVICES].at, "more than a pair of services");
    for (uint32_t i = 0; i < ids->count; i++) {
        check_id(diag, &ids->items[i]);
        check_alone(diag, conf, service, &ids->items[i]);
        for (uint32_t k = 0; k < i; k++)
            if (str_same(ids->items[i].s, ids->items[k].s))
                conf_check_twice(diag, "service", &ids->items[i], &ids->items[k]);
    }
}

static void check_regions(struct diag *diag, const struct conf_railway *railway)
{
    uint32_t sum = 0;

    if (railway->region_count > REGIONS_MAX)
        diag_error(diag, railway->regions[REGIONS_MAX].name.at, "more than %d regions",
                   REGIONS_MAX);
    for (uint32_t i = 0; i < railway->region_count; i++) {
        const struct conf_text *name = &railway->regions[i].name;

        if (!is_plain(name->s, REGION_LEN_MAX))
            diag_error(diag, name->at, "\"%.*s\" is no region of Railway", STR_FMT(name->s));
        sum += railway->regions[i].replicas;
    }
    if (sum > REPLICAS_MAX)
        diag_error(diag, railway->at, "more than %d replicas in all", REPLICAS_MAX);
}

/* A unit more would take the service that the next release needs. */
static void check_scale(struct diag *diag, const struct conf_scale *scale)
{
    uint32_t max = scale->max;

    if (!scale->is_set)
        return;
    for (uint32_t i = 0; i < scale->window_count; i++)
        max = scale->windows[i].max > max ? scale->windows[i].max : max;
    if (max <= 1)
        return;
    diag_error(diag, scale->at, "at Railway a release is one deployment, not up to %u", max);
    diag_hint(diag, "write max: 1, and how many replicas it has in `regions`");
}

void conf_check_railway(struct diag *diag, const struct conf *conf,
                        const struct conf_service *service)
{
    const struct conf_railway *railway = &service->provider.railway;

    if (!railway->is_set)
        return;
    check_id(diag, &railway->project);
    check_id(diag, &railway->environment);
    check_services(diag, conf, service);
    check_api(diag, &railway->api);
    check_regions(diag, railway);
    check_scale(diag, &service->scale);
    conf_check_text(diag, &railway->token);
    conf_check_text(diag, &railway->image);
    if (conf_check_text(diag, &railway->health_path) && railway->health_path.s.len &&
        railway->health_path.s.p[0] != '/')
        diag_error(diag, railway->health_path.at, "a path begins with a slash");
}
