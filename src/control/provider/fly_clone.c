/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly_clone.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "control/provider/fly_machine.h"

static const char usual_group[] = "app", group_key[] = "fly_process_group";

/* --- which one */

bool fly_clone_is_of_group(const json_t *machine, const struct conf_fly *conf)
{
    const char *group = fly_machine_metadata(machine, group_key);

    return str_same(conf->group.s, *group ? (struct str){group, strlen(group)} : STR(usual_group));
}

bool fly_clone_is_same(const json_t *machine, const struct fly_clone *clone)
{
    return fly_machine_is_ours(machine, clone->service) &&
           !strcmp(fly_machine_metadata(machine, FLY_MACHINE_RELEASE), clone->release);
}

static int fitness(const json_t *machine, const struct fly_clone *clone)
{
    return (fly_clone_is_same(machine, clone) ? 2 : 0) +
           (fly_machine_phase(machine) == FLY_UP ? 1 : 0);
}

const json_t *fly_clone_pick(const json_t *machines, const struct conf_fly *conf,
                             const struct fly_clone *clone)
{
    const json_t *machine, *best = NULL;
    size_t i;

    json_array_foreach(machines, i, machine)
    {
        int more;

        if (!fly_machine_config(machine) || fly_machine_phase(machine) >= FLY_ENDING ||
            !fly_clone_is_of_group(machine, conf))
            continue;
        more = best ? fitness(machine, clone) - fitness(best, clone) : 1;
        if (!more) // both are written alike: RFC 3339, in UTC
            more = strcmp(fly_machine_text(machine, "created_at"),
                          fly_machine_text(best, "created_at"));
        if (more > 0)
            best = machine;
    }
    return best;
}

void fly_clone_source(const json_t *machine, char source[FLY_CLONE_SOURCE_SIZE])
{
    const char *file = fly_machine_text(machine, "file");

    snprintf(source, FLY_CLONE_SOURCE_SIZE, "%s%.80s", *file ? "" : "machine ",
             *file ? file : fly_machine_text(machine, "id"));
}

enum provider_fault fly_clone_check(const json_t *machine, const struct fly_clone *clone,
                                    char why[FLY_CLONE_WHY_SIZE])
{
    const json_t *config = fly_machine_config(machine);
    const json_t *mounts = json_object_get(config, "mounts");
    char source[FLY_CLONE_SOURCE_SIZE];

    fly_clone_source(machine, source);
    if (json_array_size(mounts)) {
        snprintf(why, FLY_CLONE_WHY_SIZE,
                 "%s has a volume at %.40s: a volume belongs to one machine, so none can be "
                 "cloned from it and no two releases can run at once",
                 source, fly_machine_text(json_array_get(mounts, 0), "path"));
        return PROVIDER_UNSUPPORTED;
    }
    if (json_array_size(json_object_get(config, "containers"))) {
        snprintf(why, FLY_CLONE_WHY_SIZE,
                 "%s runs several containers: which of them is the release's is not known", source);
        return PROVIDER_UNSUPPORTED;
    }
    if (*fly_machine_text(config, "schedule")) {
        snprintf(why, FLY_CLONE_WHY_SIZE, "%s runs on a schedule (%.40s): it serves nobody", source,
                 fly_machine_text(config, "schedule"));
        return PROVIDER_UNSUPPORTED;
    }
    if (!clone->image && !*fly_machine_text(config, "image")) {
        snprintf(why, FLY_CLONE_WHY_SIZE, "no image is named, and %s has none", source);
        return PROVIDER_PERMANENT;
    }
    return PROVIDER_OK;
}

/* --- what it is made of */

/* A tag may mean another image by now than the one that runs. */
static json_t *live_image(const json_t *machine)
{
    const json_t *ref = json_object_get(machine, "image_ref");
    const char *registry = fly_machine_text(ref, "registry");
    const char *repository = fly_machine_text(ref, "repository");
    const char *digest = fly_machine_text(ref, "digest");

    if (*registry && *repository && *digest)
        return json_sprintf("%s/%s@%s", registry, repository, digest);
    return json_string(fly_machine_text(fly_machine_config(machine), "image"));
}

/* The map below `key`, made where there is none. NULL: no memory. */
static json_t *map_of(json_t *config, const char *key)
{
    json_t *map = json_object_get(config, key);

    if (!json_is_object(map) && !json_object_set_new(config, key, json_object()))
        map = json_object_get(config, key);
    return map;
}

static bool put(json_t *map, const char *key, const char *text)
{
    return !json_object_set_new(map, key, json_string(text));
}

/* flyctl takes those with its own metadata for its own; the group stays. */
static bool set_metadata(json_t *config, const struct fly_clone *clone)
{
    json_t *map = map_of(config, "metadata"), *value;
    const char *key;
    void *next;

    json_object_foreach_safe(map, next, key, value)
    {
        if (!strncmp(key, "fly_", 4) && strcmp(key, group_key) != 0)
            (void)json_object_del(map, key);
    }
    return map && put(map, FLY_MACHINE_SERVICE, clone->service) &&
           put(map, FLY_MACHINE_UNIT, clone->unit) && put(map, FLY_MACHINE_RELEASE, clone->release);
}

static bool set_env(json_t *config, const struct fly_clone *clone)
{
    json_t *env = map_of(config, "env"), *value;
    const char *key;
    void *next;

    json_object_foreach_safe(env, next, key, value)
    {
        if (!strncmp(key, "SLUICE_DEPLOY_", 14))
            (void)json_object_del(env, key);
    }
    return env && (!clone->env || !json_object_update(env, (json_t *)(uintptr_t)clone->env)) &&
           put(env, "SLUICE_SERVICE", clone->service) && put(env, "SLUICE_UNIT", clone->unit) &&
           put(env, "SLUICE_RELEASE", clone->release);
}

static bool set_stop(json_t *config, const struct fly_clone *clone)
{
    json_t *stop = map_of(config, "stop_config");

    if (stop && !*fly_machine_text(stop, "signal") && !put(stop, "signal", "SIGTERM"))
        return false;
    if (!stop || json_object_get(stop, "timeout"))
        return stop != NULL;
    return !json_object_set_new(stop, "timeout",
                                json_sprintf("%us", (clone->grace_ms + 999) / 1000));
}

/* What would let somebody else send it requests, start it or end it. */
static bool set_alone(json_t *config)
{
    static const char *const dropped[] = {"services", "statics",      "schedule",
                                          "standbys", "auto_destroy", "disable_machine_autostart"};

    for (size_t i = 0; i < ARRAY_LEN(dropped); i++)
        (void)json_object_del(config, dropped[i]);
    return !json_object_set_new(config, "restart", json_pack("{s:s}", "policy", "no")) &&
           !json_object_set_new(map_of(config, "dns"), "skip_registration", json_true());
}

json_t *fly_clone_config(const json_t *machine, const struct fly_clone *clone)
{
    json_t *config = json_deep_copy(fly_machine_config(machine));
    json_t *image = clone->image ? json_string(clone->image) : live_image(machine);

    if (config && !json_object_set_new(config, "image", image) && set_metadata(config, clone) &&
        set_env(config, clone) && set_stop(config, clone) && set_alone(config))
        return config;
    json_decref(config);
    return NULL;
}

/* --- its name */

static bool is_taken(const json_t *machines, const char *name)
{
    const json_t *machine;
    size_t i;

    json_array_foreach(machines, i, machine)
    {
        if (!strcmp(fly_machine_text(machine, "name"), name))
            return true;
    }
    return false;
}

void fly_clone_name(const json_t *machines, const struct fly_clone *clone,
                    char name[FLY_CLONE_NAME_SIZE])
{
    uint32_t hash = 2166136261U; // FNV-1a, as a name has fewer letters than an id
    char word[41];
    size_t len = 0;

    for (const char *c = clone->unit; *c; c++) {
        bool is_plain = (*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9');

        hash = (hash ^ (unsigned char)*c) * 16777619U;
        if (len < sizeof(word) - 1)
            word[len++] = is_plain ? *c : '-';
    }
    word[len] = '\0';
    for (unsigned number = 0; number < 100; number++) {
        snprintf(name, FLY_CLONE_NAME_SIZE, number ? "s-%s-%08x-%u" : "s-%s-%08x", word, hash,
                 number);
        if (!is_taken(machines, name))
            return;
    }
}

/* --- what differs */

struct lines {
    char *text;
    size_t len, size;
};

static void add(struct lines *lines, const char *format, ...) PRINTF(2, 3);

static void add(struct lines *lines, const char *format, ...)
{
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(lines->text + lines->len, lines->size - lines->len, format, args);
    va_end(args);
    if (len > 0)
        lines->len +=
            (size_t)len < lines->size - lines->len ? (size_t)len : lines->size - lines->len - 1;
}

static void add_value(struct lines *lines, const char *path, const json_t *value)
{
    size_t count = json_is_array(value) ? json_array_size(value) : json_object_size(value);

    if (!strncmp(path, "env.", 4))
        add(lines, "(its value)");
    else if (json_is_string(value))
        add(lines, "%.200s", json_string_value(value));
    else if (json_is_integer(value))
        add(lines, "%lld", (long long)json_integer_value(value));
    else if (json_is_boolean(value))
        add(lines, json_is_true(value) ? "true" : "false");
    else
        add(lines, "%zu %s", count, count == 1 ? "entry" : "entries");
}

static void compare(struct lines *lines, const char *path, const json_t *old, const json_t *new);

static void compare_maps(struct lines *lines, const char *path, const json_t *old,
                         const json_t *new)
{
    const char *key;
    json_t *value;
    char inner[160];

    json_object_foreach((json_t *)(uintptr_t)old, key, value)
    {
        snprintf(inner, sizeof(inner), "%.79s%s%.79s", path, *path ? "." : "", key);
        compare(lines, inner, value, json_object_get(new, key));
    }
    json_object_foreach((json_t *)(uintptr_t) new, key, value)
    {
        snprintf(inner, sizeof(inner), "%.79s%s%.79s", path, *path ? "." : "", key);
        if (!json_object_get(old, key))
            compare(lines, inner, NULL, value);
    }
}

static void add_change(struct lines *lines, const char *path, const json_t *old, const json_t *new)
{
    add(lines, "%s: %s", path, !old ? "set to " : !new ? "left out: " : "");
    if (old)
        add_value(lines, path, old);
    if (old && new)
        add(lines, " -> ");
    if (new)
        add_value(lines, path, new);
    add(lines, "\n");
}

/* Recursion: as deep as `old` and `new` both are, which the parser bounds. */
static void compare(struct lines *lines, const char *path, const json_t *old, const json_t *new)
{
    if ((old && new &&json_equal(old, new)) || !strncmp(path, "env.SLUICE_", 11) ||
        !strncmp(path, "metadata.sluice_", 16))
        return;
    if ((!old || json_is_object(old)) && (!new || json_is_object(new)))
        compare_maps(lines, path, old, new);
    else
        add_change(lines, path, old, new);
}

size_t fly_clone_differences(const json_t *machine, const json_t *config, char *text, size_t size)
{
    struct lines lines = {text, 0, size};

    *text = '\0';
    compare(&lines, "", machine ? fly_machine_config(machine) : NULL, config);
    return lines.len;
}
