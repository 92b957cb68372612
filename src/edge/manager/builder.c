/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/builder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "edge/manager/certificates.h"
#include "edge/manager/overlay.h"
#include "edge/tls/tls_check.h"

struct builder *builder_new(void)
{
    struct builder *builder = calloc(1, sizeof(*builder));

    if (!builder)
        return NULL;
    arena_init(&builder->arena, NULL, 0);
    arena_init(&builder->loaded_arena, NULL, 0);
    diag_init(&builder->diag, &builder->arena);
    return builder;
}

static void give_up_sockets(struct builder *builder)
{
    for (unsigned i = 0; i < builder->listening_count; i++) {
        struct listening *at = &builder->listening[i];
        enum status status;

        if (!at->is_new)
            continue;
        for (unsigned k = 0; k < at->held; k++)
            close(at->fds[k]);
        status = link_unlisten(builder->link, (struct str){at->bind, strlen(at->bind)});
        (void)
            status; // the supervisor is gone, or keeps a socket nobody polls until the next reload
    }
}

void builder_free(struct builder **builder)
{
    struct builder *b = *builder;

    *builder = NULL;
    if (!b)
        return;
    if (b->listening)
        give_up_sockets(b);
    free(b->listening);
    if (b->snapshot)
        snapshot_free(&b->snapshot);
    rules_unref(&b->rules);
    found_unref(&b->found);
    doors_fini(&b->doors);
    doors_fini(&b->before);
    pushed_fini(&b->pushed);
    arena_reset(&b->arena);
    arena_reset(&b->loaded_arena);
    free(b);
}

/* --- sockets */

static const struct listening *find_running(const struct builder *builder, const char *bind)
{
    for (unsigned i = 0; i < builder->running_count; i++)
        if (!strcmp(builder->running[i].bind, bind))
            return &builder->running[i];
    return NULL;
}

struct wanted {
    struct str bind, health;
    enum listening_kind kind;
    struct span at;
};

/* Workers keep a place for a closed listener while it has clients. */
static bool has_room(struct builder *builder, const struct wanted *wanted, bool runs)
{
    if (builder->listening_count >= builder->listeners_max) {
        diag_error(&builder->diag, wanted->at, "cannot listen: more than %u listeners",
                   builder->listeners_max);
        return false;
    }
    if (runs || wanted->kind != LISTENING_PUBLIC || builder->public_room)
        return true;
    diag_error(&builder->diag, wanted->at,
               "cannot listen: listeners that were closed still have clients; try again when these "
               "are gone");
    return false;
}

static bool listen_on(struct builder *builder, const struct wanted *wanted)
{
    struct listening *to = &builder->listening[builder->listening_count];
    struct link_listen ask = {
        .bind = wanted->bind,
        .count = wanted->kind == LISTENING_PUBLIC ? builder->workers : 1,
        .is_admin = wanted->kind != LISTENING_PUBLIC,
        .uid = builder->uid,
        .gid = builder->gid,
    };
    char error[LINK_ERROR_SIZE] = "the address is too long";

    memset(to, 0, sizeof(*to));
    snprintf(to->bind, sizeof(to->bind), "%.*s", STR_FMT(wanted->bind));
    snprintf(to->health, sizeof(to->health), "%.*s", STR_FMT(wanted->health));
    to->kind = wanted->kind;
    if (wanted->bind.len < sizeof(to->bind)) {
        bool runs = find_running(builder, to->bind) != NULL;

        if (!has_room(builder, wanted, runs))
            return false;
        if (runs) {
            builder->listening_count++;
            return true;
        }
        if (!link_listen(builder->link, &ask, to->fds, &to->held, error)) {
            to->is_new = true;
            builder->public_room -= wanted->kind == LISTENING_PUBLIC;
            builder->listening_count++;
            return true;
        }
    }
    diag_error(&builder->diag, wanted->at, "cannot listen: %s", error);
    return false;
}

static bool listen_admin(struct builder *builder, const struct conf *conf)
{
    const struct conf_admin *admin = &conf->admin;
    struct str unix_path = arena_format(&builder->arena, "unix:%.*s", STR_FMT(admin->socket.s));
    struct wanted tcp = {.bind = admin->bind.text.s,
                         .kind = LISTENING_ADMIN,
                         .at = admin->bind.text.at};
    struct wanted local = {.bind = unix_path, .kind = LISTENING_ADMIN, .at = admin->socket.at};
    struct wanted metrics = {.bind = admin->metrics.text.s,
                             .kind = LISTENING_METRICS,
                             .at = admin->metrics.text.at};
    bool is_good = unix_path.p && listen_on(builder, &local);

    if (admin->bind.text.s.len)
        is_good = listen_on(builder, &tcp) && is_good;
    if (admin->metrics.port)
        is_good = listen_on(builder, &metrics) && is_good;
    return is_good;
}

static bool open_sockets(struct builder *builder, const struct conf *conf)
{
    bool is_good;

    builder->listening = calloc(conf->listener_count + 3, sizeof(struct listening));
    if (!builder->listening)
        return false;
    is_good = listen_admin(builder, conf);
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        struct wanted wanted = {.bind = listener->bind.text.s,
                                .health = listener->health_path.s,
                                .kind = LISTENING_PUBLIC,
                                .at = listener->bind.text.at};

        is_good = listen_on(builder, &wanted) && is_good;
    }
    return is_good;
}

/* --- the log: a path that cannot be written is found before anything changes */

static void check_log(struct builder *builder, const struct conf_log *log)
{
    struct str path = log->path.s;
    int fd;

    if (log->format == CONF_LOG_OFF || !path.len || path.p[0] != '/')
        return;
    fd = open(path.p, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK, 0640);
    if (fd < 0 && errno != ENXIO) { // a pipe without a reader is none of our business
        diag_error(&builder->diag, log->path.at, "cannot open the log: %s", strerror(errno));
        builder->status = E_INVALID;
    }
    if (fd >= 0)
        close(fd);
}

/* --- configuration */

static const char *from_environment(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

static void load(struct builder *builder)
{
    struct conf_world world = {.env = from_environment,
                               .filters = builder->filters,
                               .check_pattern = route_check_pattern,
                               .check_tls = tls_check};
    struct arena *arena = &builder->loaded_arena;
    const struct conf *conf = builder->loaded;

    if (!conf)
        conf = builder->kind == CHANGE_CHECK
                   ? conf_parse(builder->text, builder->path, &world, arena, &builder->diag)
                   : conf_load(builder->path, &world, arena, &builder->diag);
    builder->loaded = NULL;
    if (conf)
        builder->rules = rules_new(conf, &builder->env, arena, &builder->diag);
    arena_reset(arena);
    if (builder->rules)
        check_log(builder, &builder->rules->conf->log);
    if (!builder->rules || builder->diag.errors)
        builder->status = E_INVALID;
}

static void assign_slots(struct builder *builder)
{
    pthread_mutex_lock(builder->stats_lock);
    snapshot_assign_slots(builder->snapshot, builder->stats);
    pthread_mutex_unlock(builder->stats_lock);
}

bool builder_keeps_rules(enum change_kind kind)
{
    return kind == CHANGE_TARGETS || kind == CHANGE_CERTIFICATES;
}

/* What TLS is spoken with. New targets change nothing of it. */
static bool make_doors(struct builder *builder)
{
    const struct conf *conf = builder->rules->conf;
    struct doors_build ask = {
        .conf = conf,
        .tickets = builder->tickets,
        .challenges = builder->challenges,
        .before = &builder->before,
        .keeps_old = builder->kind == CHANGE_CERTIFICATES,
    };

    if (builder->kind == CHANGE_TARGETS) {
        builder->doors = builder->before;
        builder->before = (struct doors){.count = 0};
        return true;
    }
    builder->identity = certificates_identity(conf);
    builder->has_read = true;
    if (!pushed_load(&builder->pushed, builder->state_dir, &builder->diag))
        return false;
    ask.pushed = builder->pushed.list;
    ask.pushed_count = builder->pushed.count;
    return doors_init(&builder->doors, &ask, &builder->diag);
}

/* Where this edge runs, by its configuration or its platform; empty: not known. */
static struct str region_of(const struct conf *conf)
{
    static const char *const names[] = {"FLY_REGION", "RAILWAY_REPLICA_REGION"};

    if (strcmp(conf->region.s.p, "auto") != 0)
        return conf->region.s;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        const char *value = getenv(names[i]);

        if (value && *value)
            return (struct str){value, strlen(value)};
    }
    return STR("");
}

static void build(struct builder *builder)
{
    struct snapshot_overlay view = overlay_view(builder->overlay);
    struct snapshot_build ask = {
        .rules = builder->rules,
        .registry = builder->registry,
        .overlay = &view,
        .found = builder->found,
        .home = builder->home,
        .memory = builder->memory,
        .region = region_of(builder->rules->conf),
        .generation = builder->generation,
        .workers = builder->workers,
        .doors = &builder->doors,
        .challenges = builder->challenges,
    };

    if (!make_doors(builder) ||
        (!builder_keeps_rules(builder->kind) && !open_sockets(builder, builder->rules->conf))) {
        builder->status = E_INVALID;
        return;
    }
    builder->snapshot = snapshot_build(&ask, &builder->diag);
    if (!builder->snapshot) {
        diag_error(&builder->diag, (struct span){0}, "out of memory");
        builder->status = E_NOMEM;
    }
}

/* --- REPLACE: the old text is kept until the new one is known to do */

static void replace(struct builder *builder)
{
    struct str old = STR_NONE;
    enum status status = file_read(builder->path, &builder->arena, &old);

    if (!status)
        status = file_write(builder->path, builder->text, 0);
    if (status) {
        diag_error(&builder->diag, (struct span){0}, "cannot write %s: %s", builder->path,
                   strerror(errno));
        builder->status = E_IO;
        return;
    }
    load(builder);
    if (!builder->status)
        build(builder);
    if (builder->status && file_write(builder->path, old, 0))
        diag_error(&builder->diag, (struct span){0}, "cannot put %s back: %s", builder->path,
                   strerror(errno));
}

static void change_targets(struct builder *builder)
{
    build(builder);
    if (builder->status || !overlay_save(builder->overlay))
        return;
    diag_error(&builder->diag, (struct span){0}, "cannot save the change: %s", strerror(errno));
    builder->status = E_IO;
}

/* --- CERTIFICATES: as with REPLACE */

static void change_certificates(struct builder *builder)
{
    struct str old = STR_NONE, name = builder->name;
    const char *state = builder->state_dir;
    enum status status = OK;

    if (name.p)
        status = pushed_read(state, name, &builder->arena, &old);
    if (status == E_NOT_FOUND)
        status = OK;
    if (name.p && !status)
        status = pushed_write(state, name, builder->text);
    if (status) {
        diag_error(&builder->diag, (struct span){0}, "cannot save the certificate: %s",
                   strerror(errno));
        builder->status = E_IO;
    } else {
        build(builder);
    }
    if (name.p && !status && builder->status && pushed_write(state, name, old))
        diag_error(&builder->diag, (struct span){0}, "cannot put the certificate back: %s",
                   strerror(errno));
    if (old.p)
        explicit_bzero((void *)(uintptr_t)old.p, old.len);
}

void builder_run(struct builder *builder)
{
    switch (builder->kind) {
    case CHANGE_RELOAD:
        load(builder);
        if (!builder->status)
            build(builder);
        break;
    case CHANGE_CHECK:
        load(builder);
        break;
    case CHANGE_REPLACE:
        replace(builder);
        break;
    case CHANGE_TARGETS:
        change_targets(builder);
        break;
    case CHANGE_CERTIFICATES:
        change_certificates(builder);
        break;
    }
    if (builder->status || builder->kind == CHANGE_CHECK)
        return;
    if (!builder_keeps_rules(builder->kind))
        digest_files(builder->rules->conf, builder->digest);
    assign_slots(builder); // nothing can fail from here on, so what runs may lose its own
}
