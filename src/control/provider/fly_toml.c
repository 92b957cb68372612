/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly_toml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "control/provider/fly_machine.h"
#include "control/provider/fly_words.h"

static const char usual_group[] = "app", usual_size[] = "shared-cpu-1x";

/* What is being made, and what stands against it: `fault` is set once. */
struct making {
    const json_t *toml;
    const char *name, *group;
    bool is_default; /* what is of no group is of this one */
    json_t *config;
    enum provider_fault fault;
    char *why;
};

static void refuse(struct making *making, enum provider_fault fault, const char *format, ...)
    PRINTF(3, 4);

static void refuse(struct making *making, enum provider_fault fault, const char *format, ...)
{
    int len = snprintf(making->why, FLY_TOML_WHY_SIZE, "%.80s: ", making->name);
    va_list args;

    if (len < 0 || making->fault)
        return;
    va_start(args, format);
    vsnprintf(making->why + len, FLY_TOML_WHY_SIZE - (size_t)len, format, args);
    va_end(args);
    making->fault = fault;
}

/* Takes `value`, NULL: no memory. */
static void put(struct making *making, json_t *map, const char *key, json_t *value)
{
    if (json_object_set_new(map, key, value))
        refuse(making, PROVIDER_TRANSIENT, "out of memory");
}

/* --- what is of the group */

/* A table that may be written once in place of a list of one. */
static const json_t *item_of(const json_t *list, size_t i)
{
    return json_is_object(list) ? (i ? NULL : list) : json_array_get(list, i);
}

static bool names_group(const json_t *item, const char *group)
{
    const json_t *names = json_object_get(item, "processes"), *name;
    size_t i;

    json_array_foreach(names, i, name)
    {
        if (json_is_string(name) && !strcmp(json_string_value(name), group))
            return true;
    }
    return false;
}

static bool names_none(const json_t *item)
{
    return !json_array_size(json_object_get(item, "processes"));
}

static bool is_of_group(const struct making *making, const json_t *item)
{
    return names_group(item, making->group) || (making->is_default && names_none(item));
}

/* The next of the group at or behind `*i`; NULL: there is no other. */
static const json_t *next_of(const struct making *making, const char *key, size_t *i)
{
    const json_t *list = json_object_get(making->toml, key), *item;

    while ((item = item_of(list, (*i)++))) {
        if (is_of_group(making, item))
            return item;
    }
    return NULL;
}

/* As flyctl has it: "app" where there is one, or none is named; else the first by name. */
static const char *default_group(const json_t *groups)
{
    const char *first = NULL, *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)groups, name, value)
    {
        if (!strcmp(name, usual_group))
            return usual_group;
        if (!first || strcmp(name, first) < 0)
            first = name;
    }
    return first ? first : usual_group;
}

static void find_group(struct making *making)
{
    const json_t *groups = json_object_get(making->toml, "processes");
    const char *usual = default_group(groups);

    making->is_default = !strcmp(usual, making->group);
    if (json_object_size(groups) ? !json_object_get(groups, making->group) : !making->is_default)
        refuse(making, PROVIDER_PERMANENT,
               "it has no process group \"%.40s\" (but \"%.40s\"): see `group` of the provider",
               making->group, usual);
}

/* --- env, init, stop_config */

/* Numbers and the like are text in the end, as flyctl has them. */
static json_t *text_of(const json_t *value)
{
    char text[64];

    if (json_is_string(value))
        return json_incref((json_t *)(uintptr_t)value);
    if (json_is_integer(value))
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(value));
    else if (json_is_real(value))
        snprintf(text, sizeof(text), "%.15g", json_real_value(value));
    else
        snprintf(text, sizeof(text), "%s", json_is_true(value) ? "true" : "false");
    return json_string(text);
}

static void make_env(struct making *making)
{
    const json_t *written = json_object_get(making->toml, "env");
    const json_t *region = json_object_get(making->toml, "primary_region");
    json_t *env = json_object(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)written, key, value)
    {
        if (json_is_object(value) || json_is_array(value))
            refuse(making, PROVIDER_PERMANENT, "env.%.80s is no text", key);
        else
            put(making, env, key, text_of(value));
    }
    put(making, env, "FLY_PROCESS_GROUP", json_string(making->group));
    if (region)
        put(making, env, "PRIMARY_REGION", text_of(region));
    put(making, making->config, "env", env);
}

/* Sets `to` of `map` to what is at `key` of `from`, or takes it away. */
static void carry(struct making *making, json_t *map, const char *to, const json_t *from,
                  const char *key)
{
    json_t *value = json_object_get(from, key);

    if (value)
        put(making, map, to, json_incref(value));
    else
        (void)json_object_del(map, to);
}

/* The map at `key`, made where there is none. */
static json_t *map_of(struct making *making, const char *key)
{
    if (!json_is_object(json_object_get(making->config, key)))
        put(making, making->config, key, json_object());
    return json_object_get(making->config, key);
}

static void make_init(struct making *making)
{
    const json_t *experimental = json_object_get(making->toml, "experimental");
    const char *line = fly_machine_text(json_object_get(making->toml, "processes"), making->group);
    json_t *init = map_of(making, "init"), *words;

    carry(making, init, "cmd", experimental, "cmd");
    carry(making, init, "entrypoint", experimental, "entrypoint");
    carry(making, init, "exec", experimental, "exec");
    carry(making, init, "swap_size_mb", making->toml, "swap_size_mb");
    if (json_object_get(experimental, "machine_config"))
        refuse(making, PROVIDER_UNSUPPORTED,
               "experimental.machine_config is not read: use the "
               "provider's `like: live`");
    if (!*line)
        return;
    words = fly_words(line);
    if (words)
        put(making, init, "cmd", words);
    else
        refuse(making, PROVIDER_PERMANENT, "processes.%.40s: a quote is not closed", making->group);
}

static void make_stop(struct making *making)
{
    const json_t *timeout = json_object_get(making->toml, "kill_timeout");
    json_t *stop = json_object();

    carry(making, stop, "signal", making->toml, "kill_signal");
    if (json_is_integer(timeout))
        put(making, stop, "timeout", json_sprintf("%llds", (long long)json_integer_value(timeout)));
    else
        carry(making, stop, "timeout", making->toml, "kill_timeout");
    put(making, making->config, "stop_config", stop);
}

/* --- guest */

/* The one that names the group, else one that names none. */
static const json_t *find_vm(const struct making *making)
{
    const json_t *list = json_object_get(making->toml, "vm"), *item, *best = NULL;

    for (size_t i = 0; (item = item_of(list, i)); i++) {
        if (names_group(item, making->group))
            return item;
        if (!best && (names_none(item) || is_of_group(making, item)))
            best = item;
    }
    return best;
}

/* "shared-cpu-2x", "performance-4x"; those with a GPU are written out. */
static void set_size(struct making *making, json_t *guest, const char *size)
{
    bool is_shared = !strncmp(size, "shared-", 7), is_fast = !strncmp(size, "performance-", 12);
    const char *number = size + (is_shared ? 7 : is_fast ? 12 : strlen(size));
    char *end;
    long cpus;

    if (!strncmp(number, "cpu-", 4))
        number += 4;
    cpus = strtol(number, &end, 10);
    if (cpus < 1 || cpus > 64 || strcmp(end, "x") != 0) {
        refuse(making, PROVIDER_UNSUPPORTED,
               "vm.size \"%.40s\" is not known here: write cpu_kind, cpus and memory", size);
        return;
    }
    put(making, guest, "cpu_kind", json_string(is_shared ? "shared" : "performance"));
    put(making, guest, "cpus", json_integer(cpus));
    put(making, guest, "memory_mb", json_integer(cpus * (is_shared ? 256 : 2048)));
}

/* 512, "512", "512mb", "1gb", "1.5GiB"; megabytes, 0: it is none of these. */
static long memory_mb(const json_t *memory)
{
    char text[32], *end;
    double number;

    snprintf(text, sizeof(text), "%s", json_is_string(memory) ? json_string_value(memory) : "");
    if (json_is_integer(memory))
        snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(memory));
    number = strtod(text, &end);
    end += strspn(end, " ");
    if (!strcasecmp(end, "g") || !strcasecmp(end, "gb") || !strcasecmp(end, "gib"))
        number *= 1024;
    else if (*end && strcasecmp(end, "m") && strcasecmp(end, "mb") && strcasecmp(end, "mib"))
        return 0;
    return number >= 1 && number < 1 << 24 ? (long)number : 0;
}

static void make_guest(struct making *making)
{
    static const char *const written_out[] = {"cpu_kind",           "cpus",          "memory_mb",
                                              "host_dedication_id", "gpu_kind",      "gpus",
                                              "kernel_args",        "persist_rootfs"};
    const json_t *vm = find_vm(making), *memory = json_object_get(vm, "memory");
    const char *size = fly_machine_text(vm, "size");
    json_t *guest = json_object();

    if (!vm) { // what `fly scale` said is what is live
        json_decref(guest);
        return;
    }
    set_size(making, guest, *size ? size : usual_size);
    carry(making, guest, "host_dedication_id", making->toml, "host_dedication_id");
    if (memory && memory_mb(memory))
        put(making, guest, "memory_mb", json_integer(memory_mb(memory)));
    else if (memory)
        refuse(making, PROVIDER_PERMANENT, "vm.memory is no size, such as \"512mb\"");
    for (size_t i = 0; i < ARRAY_LEN(written_out); i++) {
        if (json_object_get(vm, written_out[i]))
            carry(making, guest, written_out[i], vm, written_out[i]);
    }
    put(making, making->config, "guest", guest);
}

/* --- files, mounts, metrics, services */

static void make_files(struct making *making)
{
    json_t *files = json_array();
    const json_t *item;

    for (size_t i = 0; (item = next_of(making, "files", &i));) {
        json_t *file = json_object();

        carry(making, file, "guest_path", item, "guest_path");
        carry(making, file, "raw_value", item, "raw_value");
        carry(making, file, "secret_name", item, "secret_name");
        if (json_array_append_new(files, file))
            refuse(making, PROVIDER_TRANSIENT, "out of memory");
    }
    put(making, making->config, "files", files);
}

/* Whoever clones it refuses them. */
static void make_mounts(struct making *making)
{
    size_t i = 0;
    const json_t *mount = next_of(making, "mounts", &i);

    (void)json_object_del(making->config, "mounts");
    if (mount)
        put(making, making->config, "mounts",
            json_pack("[{s:s}]", "path", fly_machine_text(mount, "destination")));
}

static void make_metrics(struct making *making)
{
    size_t i = 0;
    const json_t *item = next_of(making, "metrics", &i);
    json_t *metrics = item ? json_deep_copy(item) : NULL;

    (void)json_object_del(making->config, "metrics");
    (void)json_object_del(metrics, "processes");
    if (item)
        put(making, making->config, "metrics", metrics);
}

/* Where it listens is all that is taken of them. */
static void make_services(struct making *making)
{
    static const char *const keys[] = {"http_service", "services"};
    json_t *services = json_array();

    for (size_t k = 0; k < ARRAY_LEN(keys); k++) {
        const json_t *item;

        for (size_t i = 0; (item = next_of(making, keys[k], &i));) {
            json_t *port = json_object_get(item, "internal_port");

            if (json_array_append_new(services, json_pack("{s:O}", "internal_port",
                                                          port ? port : json_null())))
                refuse(making, PROVIDER_TRANSIENT, "out of memory");
        }
    }
    put(making, making->config, "services", services);
}

/* --- the whole */

/* The machine around its configuration, with what Fly resolved of the live one's image where the
 * file names no other. */
static json_t *wrap(struct making *making, const json_t *live)
{
    const json_t *build = json_object_get(making->toml, "build");
    bool has_region = json_object_get(making->toml, "primary_region") != NULL;
    json_t *machine = json_pack("{s:s}", "file", making->name);

    if (json_object_get(build, "image"))
        carry(making, making->config, "image", build, "image");
    else
        carry(making, machine, "image_ref", live, "image_ref");
    carry(making, machine, "region", has_region ? making->toml : live,
          has_region ? "primary_region" : "region");
    carry(making, machine, "app", making->toml, "app");
    carry(making, machine, "release_command", json_object_get(making->toml, "deploy"),
          "release_command");
    put(making, machine, "config", json_incref(making->config));
    return machine;
}

json_t *fly_toml_machine(const struct fly_toml_ask *ask, enum provider_fault *fault,
                         char why[FLY_TOML_WHY_SIZE])
{
    struct making making = {.toml = ask->toml, .name = ask->name, .group = ask->group, .why = why};
    json_t *machine;

    making.config = ask->live ? json_deep_copy(fly_machine_config(ask->live)) : json_object();
    find_group(&making);
    make_env(&making);
    make_init(&making);
    make_stop(&making);
    make_guest(&making);
    make_files(&making);
    make_mounts(&making);
    make_metrics(&making);
    make_services(&making);
    put(&making, map_of(&making, "metadata"), "fly_process_group", json_string(ask->group));
    (void)json_object_del(making.config, "checks");
    machine = wrap(&making, ask->live);
    json_decref(making.config);
    *fault = making.fault;
    if (!making.fault)
        return machine;
    json_decref(machine);
    return NULL;
}
