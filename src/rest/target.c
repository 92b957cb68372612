/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/target.h"

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

/* --- as somebody sends it */

static bool is_known(const char *key, const char *const *known, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!strcmp(key, known[i]))
            return true;
    return false;
}

/* What is wrong with a member of a target's description; NULL: nothing. */
static const char *check_member(struct arena *arena, const char *key, const json_t *value)
{
    static const char *const known[] = {"id", "address", "weight", "region", "priority", "release"};
    bool is_number = !strcmp(key, "weight") || !strcmp(key, "priority");
    const char *near;

    if (!is_known(key, known, ARRAY_LEN(known))) {
        near = diag_nearest((struct str){key, strlen(key)}, known, ARRAY_LEN(known));
        return arena_format(arena, "unknown key \"%s\"%s%s%s", key, near ? "; did you mean \"" : "",
                            near ? near : "", near ? "\"?" : "")
            .p;
    }
    if (is_number)
        return json_is_integer(value) ? NULL : "\"weight\" and \"priority\" are whole numbers";
    return json_string_length(value) ? NULL
                                     : "\"id\", \"address\", \"region\" and \"release\" are text";
}

static const char *check_members(struct arena *arena, const json_t *json)
{
    const char *key, *wrong = NULL;
    json_t *value;

    if (!json_is_object(json))
        return "the body is a JSON object: {\"id\": \"b\", \"address\": "
               "\"127.0.0.1:3000\"}";
    json_object_foreach((json_t *)(uintptr_t)json, key, value) if (!wrong) wrong =
        check_member(arena, key, value);
    if (!wrong && !json_object_get(json, "address"))
        return "\"address\" is needed, as text: \"127.0.0.1:3000\"";
    return wrong;
}

/* In the arena; absent: it has none, or memory ended. */
static struct str copy_member(struct arena *arena, const json_t *json, const char *key)
{
    const json_t *value = json_object_get(json, key);

    return value ? arena_copy(arena,
                              (struct str){json_string_value(value), json_string_length(value)})
                 : STR_NONE;
}

const char *target_read(const json_t *json, struct arena *arena, struct target_text *target)
{
    const char *wrong = check_members(arena, json);
    const json_t *weight = json_object_get(json, "weight");
    struct diag diag;

    if (wrong)
        return wrong;
    *target = (struct target_text){
        .id = copy_member(arena, json, json_object_get(json, "id") ? "id" : "address"),
        .address = copy_member(arena, json, "address"),
        .region = copy_member(arena, json, "region"),
        .release = copy_member(arena, json, "release"),
        .weight = weight ? json_integer_value(weight) : 1,
        .priority = json_integer_value(json_object_get(json, "priority")),
    };
    if (!target->address.p || !target->id.p ||
        (json_object_get(json, "region") && !target->region.p) ||
        (json_object_get(json, "release") && !target->release.p))
        return "out of memory";
    diag_init(&diag, arena);
    if (target_check(target, &diag))
        return NULL;
    return diag.count ? arena_copy(arena, diag.entries[0].text).p : "the target is not valid";
}
