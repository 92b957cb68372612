/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `provider: {fly}`, and what goes together in them.
 */
#include <string.h>

#include "config/conf_check.h"
#include "config/conf_url.h"

enum { APP_LEN_MAX = 63, REGION_LEN_MAX = 31, REGIONS_MAX = 32, GRACE_MAX_S = 300 };

static const char *const rests[] = {"stop", "suspend", NULL};

const struct field conf_fly_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_fly, at)},
    {.name = "app",
     .doc = "The app whose machines they are; a service has one of its own.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_fly, app)},
    {.name = "region",
     .doc = "Where new machines are made, in turn; the next one where there is no room. Not "
            "written: where the machine runs that is cloned.",
     .type = FIELD_LIST,
     .flags = FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct conf_fly, regions.items, regions.count)},
    {.name = "token",
     .doc = "A deploy token of the app, with or without the word `FlyV1` or `Bearer`; best as "
            "`${env:NAME}`, which only control puts in.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_fly, token)},
    {.name = "api",
     .doc = "The Machines API: `https://`, or `http://` on loopback and to `_api.internal`.",
     .standard = "https://api.machines.dev",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_fly, api)},
    {.name = "like",
     .doc = "What a new machine is made like: `live`, one that the app has, or the path of a "
            "fly.toml. "
            "It is read for each new release as flyctl reads it; services, statics, checks and "
            "restarts are the gateway's, and what it does not say is as in what is live.",
     .standard = "live",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_fly, like)},
    {.name = "group",
     .doc = "The process group of the app that is cloned; machines of others are left alone.",
     .standard = "app",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_fly, group)},
    {.name = "port",
     .doc = "Where the app listens in its machine, on `::`.",
     .standard = "8080",
     .type = FIELD_INT,
     .min = 1,
     .max = 65535,
     FIELD_AT(struct conf_fly, port)},
    {.name = "grace",
     .doc = "From the signal of `stop_config`, SIGTERM where there is none, to the kill.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = GRACE_MAX_S * 1000U,
     FIELD_AT(struct conf_fly, grace_ms)},
    {.name = "instances",
     .doc = "How many run, where nothing else says so.",
     .standard = "1",
     .type = FIELD_INT,
     .min = 1,
     .max = 64,
     FIELD_AT(struct conf_fly, instances)},
    {.name = "rest",
     .doc =
         "What becomes of a machine that goes to sleep: `stop`; or `suspend`, from which it wakes "
         "sooner, with what it had in memory, a clock that is behind for seconds and connections "
         "that are none any more. One that Fly cannot suspend is stopped, as the plan says.",
     .standard = "stop",
     .type = FIELD_ENUM,
     .words = rests,
     FIELD_AT(struct conf_fly, rest)},
    FIELD_END,
};

/* What stands in a path of the API as it is. */
static bool is_plain(struct str s, size_t len_max)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];

        if ((c < 'a' || c > 'z') && (c < '0' || c > '9') && (c != '-' || !i))
            return false;
    }
    return s.len > 0 && s.len <= len_max;
}

/* The token goes with each request. */
static void check_api(struct diag *diag, const struct conf_text *api)
{
    if (!api->s.len || !conf_check_text(diag, api))
        return;
    if (!conf_url_begins(api->s, "https://") && !conf_url_begins(api->s, "http://")) {
        diag_error(diag, api->at, "the url of the API begins with https:// or http://");
    } else if (conf_url_begins(api->s, "http://") &&
               !conf_url_begins(api->s, "http://_api.internal:") &&
               !conf_url_is_near(api->s, "http://")) {
        diag_error(diag, api->at,
                   "the token goes to the API: without TLS only on loopback and to _api.internal");
        diag_hint(diag, "write https://");
    } else if (api->s.p[api->s.len - 1] == '/') {
        diag_error(diag, api->at, "the url of the API ends without a slash and without /v1");
    }
}

static void check_regions(struct diag *diag, const struct conf_texts *regions)
{
    if (regions->count > REGIONS_MAX)
        diag_error(diag, regions->items[REGIONS_MAX].at, "more than %d regions", REGIONS_MAX);
    for (uint32_t i = 0; i < regions->count; i++) {
        const struct conf_text *region = &regions->items[i];

        if (region->s.len && !is_plain(region->s, REGION_LEN_MAX))
            diag_error(diag, region->at, "\"%.*s\" is no region of Fly.io", STR_FMT(region->s));
        for (uint32_t k = 0; k < i; k++)
            if (str_same(region->s, regions->items[k].s))
                conf_check_twice(diag, "region", region, &regions->items[k]);
    }
}

/* Machines are told apart by the app, and the API's limits are those of an app. */
static void check_alone(struct diag *diag, const struct conf *conf,
                        const struct conf_service *service)
{
    for (const struct conf_service *other = conf->services; other != service; other++)
        if (other->provider.fly.is_set &&
            str_same(other->provider.fly.app.s, service->provider.fly.app.s))
            diag_error(diag, service->provider.fly.app.at,
                       "app \"%.*s\" is that of service \"%.*s\" already",
                       STR_FMT(service->provider.fly.app.s), STR_FMT(other->name.s));
}

void conf_check_fly(struct diag *diag, const struct conf *conf, const struct conf_service *service)
{
    const struct conf_fly *fly = &service->provider.fly;

    if (!fly->is_set)
        return;
    if (fly->app.s.len && !is_plain(fly->app.s, APP_LEN_MAX))
        diag_error(diag, fly->app.at, "an app's name has a-z, 0-9 and \"-\", %d of them at most",
                   APP_LEN_MAX);
    else if (fly->app.s.len)
        check_alone(diag, conf, service);
    check_regions(diag, &fly->regions);
    check_api(diag, &fly->api);
    conf_check_text(diag, &fly->token);
    conf_check_text(diag, &fly->group);
    conf_check_text(diag, &fly->like);
}
