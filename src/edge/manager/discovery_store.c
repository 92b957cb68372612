/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/discovery_store.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* {"version": 1, "sources": [{"dns", "type", "port" | "file", "targets": [as in a configuration]}]}
 */

static const char *const types[] = {[CONF_DISCOVER_BOTH] = "both",
                                    [CONF_DISCOVER_A] = "A",
                                    [CONF_DISCOVER_AAAA] = "AAAA",
                                    [CONF_DISCOVER_SRV] = "SRV"};

static bool name_file(const char *state_dir, char *path, size_t size)
{
    return snprintf(path, size, "%s/discovered.json", state_dir) < (int)size;
}

/* --- writing */

static json_t *target_json(const struct conf_target *target)
{
    json_t *json = json_pack("{s:s%,s:s%,s:i}", "id", target->id.s.p, target->id.s.len, "address",
                             target->address.text.s.p, target->address.text.s.len, "weight",
                             (int)target->weight);

    if (target->region.s.len)
        json_object_set_new(json, "region", json_stringn(target->region.s.p, target->region.s.len));
    if (target->priority)
        json_object_set_new(json, "priority", json_integer(target->priority));
    return json;
}

static json_t *source_json(const struct found_source *source)
{
    const struct conf_discover *what = &source->what;
    json_t *targets = json_array();
    json_t *json;

    for (uint32_t i = 0; i < source->list->count; i++)
        json_array_append_new(targets, target_json(&source->list->items[i]));
    json = what->file.s.len ? json_pack("{s:s%}", "file", what->file.s.p, what->file.s.len)
                            : json_pack("{s:s%,s:s,s:i}", "dns", what->dns.s.p, what->dns.s.len,
                                        "type", types[what->type], "port", (int)what->port);
    json_object_set_new(json, "targets", targets);
    return json;
}

enum status discovery_store_save(const char *state_dir, const struct found *found)
{
    json_t *sources = json_array();
    json_t *json = json_pack("{s:i,s:o}", "version", 1, "sources", sources);
    char path[PATH_MAX], *text;
    enum status status = E_NOMEM;

    for (uint32_t i = 0; i < found->count; i++)
        if (found->sources[i].list)
            json_array_append_new(sources, source_json(&found->sources[i]));
    text = json ? json_dumps(json, JSON_INDENT(1)) : NULL;
    if (text && name_file(state_dir, path, sizeof(path)))
        status = file_write(path, (struct str){text, strlen(text)}, 0600);
    free(text);
    json_decref(json);
    return status;
}

/* --- reading */

static struct str text_of(const json_t *json, const char *key)
{
    const json_t *text = json_object_get(json, key);

    return text ? (struct str){json_string_value(text), json_string_length(text)} : STR("");
}

/* By the rules of a configuration. NULL: it breaks them. */
static struct found_list *read_list(const json_t *json)
{
    char *text = json_dumps(json_object_get(json, "targets"), JSON_COMPACT);
    const struct conf_target_list *targets = NULL;
    struct found_list *list = NULL;
    struct arena arena;
    struct diag diag;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    if (text)
        targets =
            conf_targets_parse((struct str){text, strlen(text)}, "discovered.json", &arena, &diag);
    if (targets)
        list = found_list_new(targets->items, targets->count);
    arena_reset(&arena);
    free(text);
    return list;
}

static bool read_source(struct found *found, const json_t *json)
{
    json_int_t port = json_integer_value(json_object_get(json, "port"));
    const char *type = json_string_value(json_object_get(json, "type"));
    struct found_source source = {
        .what = {.is_set = true, .dns.s = text_of(json, "dns"), .file.s = text_of(json, "file")}};
    bool is_good;

    if (!source.what.dns.s.len == !source.what.file.s.len || port < 0 || port > UINT16_MAX)
        return false;
    source.what.port = (uint16_t)port;
    for (size_t i = 0; type && i < ARRAY_LEN(types); i++)
        if (!strcmp(types[i], type))
            source.what.type = (enum conf_discover_type)i;
    source.list = read_list(json);
    is_good = source.list && found_add(found, &source);
    found_list_unref(&source.list);
    return is_good;
}

struct found *discovery_store_load(const char *state_dir)
{
    char path[PATH_MAX];
    json_t *json = NULL, *sources;
    struct found *found;
    bool is_good = true;

    if (name_file(state_dir, path, sizeof(path)) && !access(path, F_OK)) {
        json = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
        is_good = json_integer_value(json_object_get(json, "version")) == 1;
    }
    sources = is_good ? json_object_get(json, "sources") : NULL;
    found = found_new((uint32_t)json_array_size(sources));
    for (size_t i = 0; found && i < json_array_size(sources); i++)
        is_good &= read_source(found, json_array_get(sources, i));
    if (!is_good)
        fprintf(stderr, "sluice: edge: %s is damaged: what it lost is found anew\n", path);
    json_decref(json);
    return found;
}
