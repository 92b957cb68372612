/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/target.h"

#include <stdlib.h>
#include <string.h>

/* A secret has no place in a target, and nobody may read one by way of an error. */
static bool has_reference(struct str text)
{
    return text.len && memmem(text.p, text.len, "${", 2) != NULL;
}

static const char *no_environment(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return NULL;
}

static bool parse(const char *text, struct diag *diag)
{
    static const struct filter *const no_filters[] = {NULL};
    struct conf_world world = {.env = no_environment, .filters = no_filters};
    struct str all = {text, strlen(text)};

    return conf_parse(all, "target", &world, diag->arena, diag) != NULL;
}

json_t *target_json(const struct target_text *target)
{
    json_t *json =
        json_pack("{s:s%,s:s%,s:I}", "id", target->id.p, target->id.len, "address",
                  target->address.p, target->address.len, "weight", (json_int_t)target->weight);

    if (!json)
        return NULL;
    if ((target->release.len &&
         json_object_set_new(json, "release",
                             json_stringn(target->release.p, target->release.len))) ||
        (target->region.len &&
         json_object_set_new(json, "region", json_stringn(target->region.p, target->region.len))) ||
        (target->priority &&
         json_object_set_new(json, "priority", json_integer(target->priority)))) {
        json_decref(json);
        return NULL;
    }
    return json;
}

bool target_check(const struct target_text *target, struct diag *diag)
{
    struct target_text plain = *target;
    struct span nowhere = {0};
    json_t *json;
    char *text;
    bool is_good;

    if (has_reference(target->id) || has_reference(target->address) ||
        has_reference(target->region)) {
        diag_error(diag, nowhere, "a target has no ${} in its id, address or region");
        return false;
    }
    if (target->release.len && !conf_release_is_id(target->release)) {
        diag_error(diag, nowhere,
                   "a release's id has letters, digits and \"._-\", %d of them at most",
                   CONF_RELEASE_ID_MAX);
        return false;
    }
    plain.release = STR("");
    json = json_pack("{s:{s:{s:[o]}}}", "services", "service", "targets", target_json(&plain));
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (!text)
        diag_error(diag, nowhere, "id, address and region are UTF-8 text");
    is_good = text && parse(text, diag);
    free(text);
    json_decref(json);
    return is_good;
}

static uint16_t read_port(const char *p, const char *end)
{
    unsigned port = 0;

    for (; p < end && *p >= '0' && *p <= '9'; p++)
        port = port * 10 + (unsigned)(*p - '0');
    return (uint16_t)port;
}

void target_split(struct str address, struct conf_address *parts)
{
    const char *end = address.p + address.len;
    const char *colon = memrchr(address.p, ':', address.len);

    *parts = (struct conf_address){.text.s = address, .host = address};
    if (address.len > 5 && !memcmp(address.p, "unix:", 5)) {
        parts->is_unix = true;
        parts->host = (struct str){address.p + 5, address.len - 5};
        return;
    }
    if (!colon)
        return;
    parts->port = read_port(colon + 1, end);
    parts->host.len = (size_t)(colon - address.p);
    if (parts->host.len >= 2 && address.p[0] == '[')
        parts->host = (struct str){address.p + 1, parts->host.len - 2};
}
