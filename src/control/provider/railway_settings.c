/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/railway_settings.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char regions_key[] = "multiRegionConfig";

bool railway_image(const struct conf_railway *conf, const char *release, const char *image,
                   char out[RAILWAY_IMAGE_MAX])
{
    static const char mark[] = "${release}";
    const char *from = image ? image : conf->image.s.p, *at;
    size_t len = 0;

    out[0] = '\0';
    if (!from || !*from)
        return false;
    while (len < RAILWAY_IMAGE_MAX && !image && (at = strstr(from, mark))) {
        len += (size_t)snprintf(out + len, RAILWAY_IMAGE_MAX - len, "%.*s%s", (int)(at - from),
                                from, release);
        from = at + sizeof(mark) - 1;
    }
    if (len < RAILWAY_IMAGE_MAX)
        len += (size_t)snprintf(out + len, RAILWAY_IMAGE_MAX - len, "%s", from);
    return len < RAILWAY_IMAGE_MAX;
}

/* --- what is sent */

static json_t *live_regions(const struct railway_service *service)
{
    return json_object_get(json_object_get(service->config, "deploy"), regions_key);
}

/* A region that is there and not wanted is taken away by null. */
static json_t *regions(const struct conf_railway *conf, const struct railway_service *service)
{
    json_t *live = live_regions(service), *wanted, *value;
    const char *name;

    if (!conf->region_count)
        return json_is_object(live) ? json_deep_copy(live) : NULL;
    wanted = json_object();
    json_object_foreach(live, name, value) json_object_set_new(wanted, name, json_null());
    for (uint32_t i = 0; i < conf->region_count; i++)
        json_object_set_new(wanted, conf->regions[i].name.s.p,
                            json_pack("{s:i}", "numReplicas", (int)conf->regions[i].replicas));
    return wanted;
}

/* Those that we have no word for. */
static void keep(json_t *input, const struct railway_service *service)
{
    json_t *command = json_object_get(service->instance, "startCommand");
    json_t *before = json_object_get(service->instance, "preDeployCommand");

    if (json_is_string(command))
        json_object_set(input, "startCommand", command);
    if (json_is_string(before))
        json_object_set_new(input, "preDeployCommand", json_pack("[O]", before));
    else if (json_is_array(before) && json_array_size(before))
        json_object_set(input, "preDeployCommand", before);
}

json_t *railway_settings(const struct conf_railway *conf, const struct railway_service *service,
                         const char *image)
{
    static const char *const restarts[] = {[CONF_RESTART_ON_FAILURE] = "ON_FAILURE",
                                           [CONF_RESTART_ALWAYS] = "ALWAYS",
                                           [CONF_RESTART_NEVER] = "NEVER"};
    const char *path = conf->health_path.s.len ? conf->health_path.s.p : NULL;
    json_t *input =
        json_pack("{s:{s:s},s:s?,s:i,s:i,s:i,s:b,s:s}", "source", "image", image, "healthcheckPath",
                  path, "healthcheckTimeout", (int)(conf->health_ms / 1000), "overlapSeconds",
                  (int)(conf->overlap_ms / 1000), "drainingSeconds", (int)(conf->drain_ms / 1000),
                  "sleepApplication", 0, "restartPolicyType", restarts[conf->restart]);
    json_t *where = regions(conf, service);

    if (input && where)
        json_object_set_new(input, regions_key, where);
    if (input && conf->restart == CONF_RESTART_ON_FAILURE)
        json_object_set_new(input, "restartPolicyMaxRetries", json_integer(conf->restarts));
    if (input)
        keep(input, service);
    return input;
}

/* --- what is read back */

/* Nothing, the empty text and false are the same: not set. */
static bool is_unset(const json_t *value)
{
    return !value || json_is_null(value) || json_is_false(value) ||
           (json_is_string(value) && !json_string_length(value));
}

static bool is_same(const json_t *is, const json_t *wanted)
{
    if (is_unset(is) && is_unset(wanted))
        return true;
    if (json_is_string(is) && json_is_array(wanted)) // of one command
        return json_array_size(wanted) == 1 && json_equal(is, json_array_get(wanted, 0));
    return json_equal(is, wanted);
}

struct lines {
    char *out;
    size_t len, size;
};

static void say(struct lines *lines, const char *name, const json_t *is, const json_t *wanted)
{
    size_t room = lines->len < lines->size ? lines->size - lines->len : 0;
    char *from = is ? json_dumps(is, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    char *to = json_dumps(wanted, JSON_ENCODE_ANY | JSON_COMPACT);

    lines->len +=
        (size_t)snprintf(room ? lines->out + lines->len : NULL, room, "%s%s: %s -> %s",
                         lines->len ? "\n" : "", name, from ? from : "null", to ? to : "null");
    free(from);
    free(to);
}

/* How many replicas there are in each region. */
static void compare_regions(struct lines *lines, const struct railway_service *service,
                            json_t *wanted)
{
    const json_t *live = live_regions(service);
    const char *name;
    json_t *value;

    json_object_foreach(wanted, name, value)
    {
        const json_t *is = json_object_get(json_object_get(live, name), "numReplicas");
        const json_t *shall = json_object_get(value, "numReplicas");
        char what[96];

        snprintf(what, sizeof(what), "replicas in %s", name);
        if (!is_same(is, shall))
            say(lines, what, is, shall ? shall : value);
    }
}

size_t railway_difference(const struct railway_service *service, const json_t *wanted, char *out,
                          size_t size)
{
    struct lines lines = {.out = out, .size = size};
    const char *name;
    json_t *value;

    if (size)
        out[0] = '\0';
    json_object_foreach((json_t *)(uintptr_t)wanted, name, value)
    {
        const json_t *is = json_object_get(service->instance, name);

        if (!strcmp(name, regions_key)) {
            compare_regions(&lines, service, value);
            continue;
        }
        if (!strcmp(name, "source")) {
            is = json_object_get(is, "image");
            value = json_object_get(value, "image");
        }
        if (!is_same(is, value))
            say(&lines, name, is, value);
    }
    return lines.len;
}
