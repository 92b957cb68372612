/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a service's `provider`, and what goes together in them.
 */
#include <pwd.h>
#include <string.h>

#include "config/conf_check.h"

enum { COMMAND_MAX = 64, ENV_MAX = 256, USER_LEN_MAX = 63 };

static const struct field limit_fields[] = {
    {.name = "files",
     .doc = "Open files of each process; `auto`: as many as the gateway may have.",
     .standard = "auto",
     .type = FIELD_INT,
     .flags = FIELD_AUTO,
     .min = 16,
     .max = 1048576,
     FIELD_AT(struct conf_process, limits.files)},
    {.name = "memory",
     .doc = "Memory for data of each process (RLIMIT_DATA); past it an allocation fails.",
     .standard = "off",
     .type = FIELD_SIZE,
     .flags = FIELD_OFF,
     .min = 1 << 20,
     FIELD_AT(struct conf_process, limits.memory)},
    FIELD_END,
};

static const struct field process_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_process, at)},
    {.name = "command",
     .doc =
         "The program and its arguments, run without a shell and in the foreground; `${release}` "
         "is the release's id.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct conf_process, command.items, command.count)},
    {.name = "directory",
     .doc = "Where it runs; `${release}` as in `command`. Not written: where the gateway does.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_process, directory)},
    {.name = "user",
     .doc = "Who it runs as; root only when it says so. Not written: `user` of the gateway.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_process, user)},
    {.name = "env",
     .doc = "Its environment, beside PATH, HOME, LANG, the port and SLUICE_SERVICE, SLUICE_RELEASE "
            "and SLUICE_UNIT. `${env:NAME}` and `${file:/path}` are read where it is started, in "
            "no other process.",
     .type = FIELD_PAIRS,
     .flags = FIELD_SECRET,
     FIELD_AT(struct conf_process, env)},
    {.name = "port_env",
     .doc = "The variable that tells it the port on 127.0.0.1 to listen on.",
     .standard = "PORT",
     .type = FIELD_TEXT,
     .flags = FIELD_OFF,
     FIELD_AT(struct conf_process, port_env)},
    {.name = "grace",
     .doc = "From SIGTERM, which goes to all its processes, to SIGKILL.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 1,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_process, grace_ms)},
    {.name = "limits",
     .doc = "What each of its processes may use.",
     .type = FIELD_OBJECT,
     .fields = limit_fields},
    {.name = "instances",
     .doc = "How many run, where nothing else says so.",
     .standard = "1",
     .type = FIELD_INT,
     .min = 1,
     .max = 64,
     FIELD_AT(struct conf_process, instances)},
    FIELD_END,
};

const struct field conf_provider_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_provider, at)},
    {.name = "process",
     .doc = "Instances are processes on this machine; they outlive a restart and an upgrade of the "
            "gateway's parts.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_provider, process.is_set),
     .fields = process_fields,
     FIELD_AT(struct conf_provider, process)},
    {.name = "fly",
     .doc = "Instances are machines of an app at Fly.io, which are reached over its private "
            "network.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_provider, fly.is_set),
     .fields = conf_fly_fields,
     FIELD_AT(struct conf_provider, fly)},
    {.name = "railway",
     .doc = "A release is a deployment of a service at Railway, which is reached over its private "
            "network.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_provider, railway.is_set),
     .fields = conf_railway_fields,
     FIELD_AT(struct conf_provider, railway)},
    FIELD_END,
};

/* Of an environment variable (POSIX.1-2017, 8.1). */
static bool is_variable(struct str s)
{
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i];
        bool is_letter = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
        if (!is_letter && (c < '0' || c > '9' || !i))
            return false;
    }
    return s.len > 0;
}

static void check_variable(struct diag *diag, const struct conf_text *name)
{
    if (!is_variable(name->s))
        diag_error(diag, name->at, "\"%.*s\" is not a name for an environment variable",
                   STR_FMT(name->s));
    else if (name->s.len >= 7 && !memcmp(name->s.p, "SLUICE_", 7))
        diag_error(diag, name->at, "names that begin with SLUICE_ are set by the gateway");
}

static void check_env(struct diag *diag, const struct conf_process *process)
{
    if (process->env.count > ENV_MAX)
        diag_error(diag, process->env.items[ENV_MAX].name.at, "more than %d variables", ENV_MAX);
    for (uint32_t i = 0; i < process->env.count; i++) {
        const struct conf_text *name = &process->env.items[i].name;

        check_variable(diag, name);
        if (name->s.len && str_same(name->s, process->port_env.s))
            diag_error(diag, name->at, "\"%.*s\" is set to the port; see port_env",
                       STR_FMT(name->s));
    }
    if (process->port_env.s.len)
        check_variable(diag, &process->port_env);
}

static void check_command(struct diag *diag, const struct conf_process *process)
{
    if (process->command.count > COMMAND_MAX)
        diag_error(diag, process->command.items[COMMAND_MAX].at, "more than %d words", COMMAND_MAX);
}

static void check_user(struct diag *diag, const struct conf_text *user)
{
    char name[USER_LEN_MAX + 1];

    if (!user->s.len || !conf_check_text(diag, user))
        return;
    if (user->s.len <= USER_LEN_MAX) {
        memcpy(name, user->s.p, user->s.len);
        name[user->s.len] = '\0';
        if (getpwnam(name))
            return;
    }
    diag_error(diag, user->at, "there is no user \"%.*s\" on this machine", STR_FMT(user->s));
}

void conf_check_provider(struct diag *diag, const struct conf_service *service)
{
    const struct conf_provider *provider = &service->provider;

    if (!provider->is_set)
        return;
    if (service->discover.is_set)
        diag_error(diag, service->discover.at, "\"discover\" does not go with a provider");
    if (provider->process.is_set + provider->fly.is_set + provider->railway.is_set > 1) {
        diag_error(diag, provider->at, "a service has one provider");
    } else if (!provider->process.is_set && !provider->fly.is_set && !provider->railway.is_set) {
        diag_error(diag, provider->at, "the provider is not named");
        diag_hint(diag, "write provider: {process: {command: [...]}}");
    }
    if (!provider->process.is_set)
        return;
    check_command(diag, &provider->process);
    check_env(diag, &provider->process);
    conf_check_text(diag, &provider->process.directory);
    check_user(diag, &provider->process.user);
}

uint32_t conf_provider_instances(const struct conf_provider *provider)
{
    if (provider->process.is_set)
        return provider->process.instances;
    if (provider->fly.is_set)
        return provider->fly.instances;
    return provider->railway.is_set ? 1 : 0;
}
