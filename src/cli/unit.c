/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice unit FILE SERVICE RELEASE ID PORT [NAME=VALUE ...]`: the process that the supervisor
 * starts and that becomes an app, by `provider: {process}` of the service in FILE; here alone the
 * secrets of its environment are read. `sluice unit FILE` ends what an earlier supervisor left
 * behind. Not for people.
 */
#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "cli/cli.h"
#include "config/conf.h"
#include "process/report.h"
#include "process/unit_exec.h"
#include "process/unit_record.h"
#include "process/unit_wire.h"
#include "sluice/filter.h"

enum { ARG_FILE = 1, ARG_SERVICE, ARG_RELEASE, ARG_ID, ARG_PORT, ARG_WORDS };
enum { ENV_FIXED = 8 }; /* words beside those of the configuration and of the deploy */

static const char default_path[] = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

struct start {
    struct arena arena;
    const struct conf *conf;
    const struct conf_process *process;
    char **words; /* of the command line, see ARG_ */
    int word_count;
    struct passwd *user; /* NULL: who we are */
};

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

static const struct conf *load(const char *path, bool expands, struct arena *arena)
{
    const struct conf_world world = {.env = get_env,
                                     .filters = filter_registry,
                                     .expands_process_env = expands};
    struct diag diag;

    arena_init(arena, NULL, 0);
    diag_init(&diag, arena);
    return conf_load(path, &world, arena, &diag);
}

/* --- the environment and the command */

/* "a", "b" and "c" in one text that ends. */
static char *join(struct arena *arena, struct str a, struct str b, struct str c)
{
    char *text = arena_text(arena, a.len + b.len + c.len + 1);

    if (!text)
        unit_exec_fail(E_NOMEM, "out of memory");
    memcpy(text, a.p, a.len);
    if (b.len)
        memcpy(text + a.len, b.p, b.len);
    if (c.len)
        memcpy(text + a.len + b.len, c.p, c.len);
    text[a.len + b.len + c.len] = '\0';
    return text;
}

static struct str of(const char *text)
{
    return (struct str){text, strlen(text)};
}

/* Each ${release} by the release's id. */
static char *put_release(struct start *start, struct str text)
{
    static const char mark[] = "${release}";
    struct str release = of(start->words[ARG_RELEASE]);
    const char *at;

    while ((at = memmem(text.p, text.len, mark, sizeof(mark) - 1))) {
        size_t before = (size_t)(at - text.p);
        struct str rest = {at + sizeof(mark) - 1, text.len - before - sizeof(mark) + 1};
        char *whole = join(&start->arena, (struct str){text.p, before}, release, rest);

        text = of(whole);
    }
    return join(&start->arena, text, STR_NONE, STR_NONE);
}

static char **list_argv(struct start *start)
{
    const struct conf_texts *command = &start->process->command;
    char **argv = arena_zero(&start->arena, command->count + 1, sizeof(*argv));

    for (uint32_t i = 0; argv && i < command->count; i++)
        argv[i] = put_release(start, command->items[i].s);
    return argv;
}

struct env {
    struct start *start;
    char **words;
    uint32_t count;
};

static void add(struct env *env, struct str name, struct str value)
{
    char *word = join(&env->start->arena, name, STR("="), value);

    env->words[env->count++] = word;
}

static bool is_written(const struct conf_pairs *pairs, const char *name)
{
    for (uint32_t i = 0; i < pairs->count; i++)
        if (str_same(pairs->items[i].name.s, of(name)))
            return true;
    return false;
}

/* What the configuration does not say. */
static void add_default(struct env *env, const char *name, const char *value)
{
    if (!is_written(&env->start->process->env, name))
        add(env, of(name), of(value));
}

static const char *home_of(const struct start *start)
{
    const struct passwd *user = start->user ? start->user : getpwuid(geteuid());

    return user && user->pw_dir ? user->pw_dir : "/";
}

/* Whatever else is in our own environment is not the app's. */
static char **list_env(struct start *start)
{
    const struct conf_process *process = start->process;
    uint32_t words = (uint32_t)(start->word_count - ARG_WORDS);
    struct env env = {.start = start};
    const char *path = getenv("PATH"), *lang = getenv("LANG");

    env.words =
        arena_zero(&start->arena, process->env.count + words + ENV_FIXED, sizeof(*env.words));
    if (!env.words)
        return NULL;
    for (uint32_t i = 0; i < process->env.count; i++)
        add(&env, process->env.items[i].name.s, process->env.items[i].value.s);
    add_default(&env, "PATH", path ? path : default_path);
    add_default(&env, "HOME", home_of(start));
    add_default(&env, "LANG", lang ? lang : "C.UTF-8");
    if (process->port_env.s.len)
        add(&env, process->port_env.s, of(start->words[ARG_PORT]));
    add(&env, STR("SLUICE_SERVICE"), of(start->words[ARG_SERVICE]));
    add(&env, STR("SLUICE_RELEASE"), of(start->words[ARG_RELEASE]));
    add(&env, STR("SLUICE_UNIT"), of(start->words[ARG_ID]));
    for (uint32_t i = 0; i < words; i++)
        env.words[env.count++] = start->words[ARG_WORDS + i];
    return env.words;
}

/* --- who it runs as */

/* What names commands for root to run must not be another's to write; nor a folder on the way to
 * it, in which it could be replaced. */
static void check_owner(const char *path, const char *file)
{
    struct stat found;

    if (stat(path, &found))
        unit_exec_fail(E_IO, "cannot look at %s: %s", path, strerror(errno));
    if (found.st_uid || (found.st_mode & (S_IWGRP | S_IWOTH) && !(found.st_mode & S_ISVTX)))
        unit_exec_fail(E_DENIED,
                       "root takes no commands from %s, since others than root can write to %s",
                       file, path);
}

static void check_file(const char *file)
{
    char path[PATH_MAX];

    if (!realpath(file, path))
        unit_exec_fail(E_IO, "cannot look at %s: %s", file, strerror(errno));
    while (*path) {
        check_owner(path, file);
        *strrchr(path, '/') = '\0';
    }
    check_owner("/", file);
}

static void check_files(const struct conf *conf)
{
    char file[PATH_MAX];

    for (uint32_t i = 0; !geteuid() && i < conf->file_count; i++) {
        snprintf(file, sizeof(file), "%.*s", STR_FMT(conf->files[i]));
        check_file(file);
    }
}

static void find_user(struct start *start)
{
    const struct conf_text *wanted = &start->process->user;
    char name[64];

    if (!wanted->s.len && geteuid())
        return;
    snprintf(name, sizeof(name), "%.*s", STR_FMT(wanted->s.len ? wanted->s : start->conf->user.s));
    start->user = getpwnam(name);
    if (!start->user)
        unit_exec_fail(E_INVALID, "there is no user \"%s\": write one in provider.process", name);
    if (!wanted->s.len && !start->user->pw_uid)
        unit_exec_fail(E_DENIED, "it would run as root: only when provider.process says so");
    if (geteuid() && start->user->pw_uid != geteuid())
        unit_exec_fail(E_DENIED, "only root can start it as user \"%s\"", name);
    if (geteuid())
        start->user = NULL;
}

/* --- the start */

static const struct conf_process *find_process(const struct conf *conf, const char *service)
{
    for (uint32_t i = 0; i < conf->service_count; i++)
        if (str_same(conf->services[i].name.s, of(service)) &&
            conf->services[i].provider.process.is_set)
            return &conf->services[i].provider.process;
    unit_exec_fail(E_NOT_FOUND, "the configuration has no provider: {process} for service %s",
                   service);
}

static void keep_record(const struct start *start)
{
    struct unit_record record;
    const char *state = start->conf->state.s.p;
    enum status status = file_make_directory(state);

    if (!status)
        status = unit_record_self(&record);
    if (!status)
        status = unit_record_write(state, start->words[ARG_ID], &record);
    if (status == E_DENIED)
        unit_exec_fail(E_DENIED, "%s/units is not the supervisor's alone", state);
    if (status)
        unit_exec_fail(E_IO, "cannot write to %s/units: %s", state, strerror(errno));
}

static _Noreturn void become(struct start *start)
{
    const struct conf_process *process = start->process;
    struct unit_exec exec = {.files = process->limits.files,
                             .memory = process->limits.memory,
                             .grace_ms = process->grace_ms};

    check_files(start->conf);
    find_user(start);
    exec.argv = list_argv(start);
    exec.env = list_env(start);
    if (!exec.argv || !exec.env)
        unit_exec_fail(E_NOMEM, "out of memory");
    if (process->directory.s.len)
        exec.directory = put_release(start, process->directory.s);
    if (start->user) {
        exec.user = start->user->pw_name;
        exec.uid = start->user->pw_uid;
        exec.gid = start->user->pw_gid;
    }
    keep_record(start);
    unit_exec_run(&exec);
}

static bool are_words(char **argv)
{
    return unit_is_name(argv[ARG_SERVICE], UNIT_SERVICE_SIZE) &&
           unit_is_id(argv[ARG_RELEASE], UNIT_RELEASE_SIZE) &&
           unit_is_id(argv[ARG_ID], UNIT_ID_SIZE);
}

static int sweep(const char *file)
{
    struct arena arena;
    const struct conf *conf = load(file, false, &arena);
    int ended = conf ? unit_record_sweep(conf->state.s.p) : 0;

    if (ended > 0)
        report_line("what an earlier gateway left behind was ended units=%d", ended);
    if (ended < 0)
        report_line("what an earlier gateway left behind cannot be ended state=%s",
                    conf->state.s.p);
    arena_reset(&arena);
    return ended < 0;
}

int cli_unit(int argc, char **argv)
{
    struct start start = {.words = argv, .word_count = argc};

    if (argc == 2)
        return sweep(argv[ARG_FILE]);
    if (argc < ARG_WORDS || !unit_exec_begin() || !are_words(argv)) {
        fprintf(stderr, "sluice unit: started by `sluice run`, not by hand\n");
        return 2;
    }
    start.conf = load(argv[ARG_FILE], true, &start.arena);
    if (!start.conf)
        unit_exec_fail(E_INVALID, "%s cannot be used; `sluice check` says why", argv[ARG_FILE]);
    start.process = find_process(start.conf, argv[ARG_SERVICE]);
    become(&start);
}
