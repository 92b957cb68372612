/* SPDX-License-Identifier: Apache-2.0
 *
 * The queue of changes: one is built at a time, then published, then told when every worker serves
 * by it.
 */
#include "edge/manager/manager_impl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "edge/manager/admin.h"

void manager_print(const struct diag *diag)
{
    for (unsigned i = 0; i < diag->count; i++) {
        struct str text = diag_render(diag, &diag->entries[i]);

        fprintf(stderr, "%.*s", STR_FMT(text));
    }
}

struct builder *manager_new_builder(struct manager *m, enum change_kind kind)
{
    struct builder *builder = builder_new();

    if (!builder)
        return NULL;
    builder->kind = kind;
    builder->path = m->options.config;
    builder->filters = m->filters;
    builder->registry = m->registry;
    builder->memory = m->memory;
    builder->overlay = m->overlay;
    builder->state_dir = m->state_dir;
    builder->tickets = m->tickets;
    builder->challenges = m->challenges;
    if (!manager_give_found(m, builder) ||
        (m->snapshot && !doors_copy(&builder->before, &m->snapshot->doors))) {
        builder_free(&builder);
        return NULL;
    }
    builder->link = m->options.link;
    builder->running = m->listeners;
    builder->running_count = m->listener_count;
    builder->listeners_max = MANAGER_LISTENERS_MAX;
    builder->public_room = MANAGER_LISTENERS_MAX;
    for (unsigned w = 0; w < m->worker_count; w++) {
        unsigned room = worker_listener_room(m->workers[w]);

        builder->public_room = room < builder->public_room ? room : builder->public_room;
    }
    builder->home = &m->home;
    builder->env = (struct filter_env){.workers = m->worker_count, .keys = m->key_store};
    builder->stats = m->stats;
    builder->stats_lock = &m->stats_lock;
    builder->workers = m->worker_count;
    builder->generation = m->generation + 1;
    if (kind == CHANGE_RELOAD && m->loaded) {
        builder->loaded = m->loaded;
        builder->loaded_arena = m->loaded_arena;
        arena_init(&m->loaded_arena, NULL, 0);
        m->loaded = NULL;
    }
    builder->uid = getuid();
    builder->gid = getgid();
    if (builder_keeps_rules(kind)) {
        builder->rules = m->rules;
        __atomic_fetch_add(&m->rules->refs, 1, __ATOMIC_RELAXED);
    }
    return builder;
}

/* --- sockets: by difference, by bind */

static struct listening *find(struct listening *list, unsigned count, const char *bind)
{
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(list[i].bind, bind))
            return &list[i];
    return NULL;
}

/* Each socket has exactly one worker that polls it: with more sockets than workers some get
 * several. */
static void share_out(struct manager *m, const struct listening *listening)
{
    for (unsigned w = 0; w < m->worker_count; w++) {
        int fds[LINK_SOCKETS_MAX];
        struct listener_spec spec = {.bind = (char *)(uintptr_t)listening->bind, .fds = fds};
        enum status status;

        memcpy(spec.health, listening->health, sizeof(spec.health));
        for (unsigned i = w; listening->is_new && i < listening->held; i += m->worker_count)
            fds[spec.count++] = listening->fds[i];
        status = worker_listen(m->workers[w], &spec);
        if (status)
            fprintf(stderr, "sluice: edge: out of memory for listener %s\n", listening->bind);
    }
}

static void stop_listening(struct manager *m, struct listening *gone)
{
    enum status status;

    if (gone->kind != LISTENING_PUBLIC)
        admin_unlisten(m->admin, gone);
    for (unsigned w = 0; gone->kind == LISTENING_PUBLIC && w < m->worker_count; w++)
        if (worker_unlisten(m->workers[w], gone->bind))
            return;
    status = link_unlisten(m->options.link, (struct str){gone->bind, strlen(gone->bind)});
    if (status)
        fprintf(stderr, "sluice: edge: the supervisor keeps %s open\n", gone->bind);
}

static void apply_listening(struct manager *m, struct builder *builder)
{
    for (unsigned i = 0; i < m->listener_count; i++)
        if (!find(builder->listening, builder->listening_count, m->listeners[i].bind))
            stop_listening(m, &m->listeners[i]);
    m->listener_count = 0;
    for (unsigned i = 0; i < builder->listening_count && i < MANAGER_LISTENERS_MAX; i++) {
        struct listening *at = &builder->listening[i];

        if (at->kind == LISTENING_PUBLIC)
            share_out(m, at);
        else if (at->is_new)
            admin_listen(m->admin, at);
        at->is_new = false;
        m->listeners[m->listener_count++] = *at;
    }
    free(builder->listening);
    builder->listening = NULL;
}

/* --- publishing */

static void use_log(struct manager *m, const struct conf *conf)
{
    if (access_configure(m->log, &conf->log))
        fprintf(stderr, "sluice: edge: cannot open the log %.*s: the old one goes on\n",
                STR_FMT(conf->log.path.s));
}

void manager_publish(struct manager *m, struct builder *builder)
{
    m->snapshot = builder->snapshot;
    builder->snapshot = NULL;
    m->generation = m->snapshot->generation;
    m->live_snapshots++;
    rules_unref(&m->rules);
    m->rules = builder->rules;
    builder->rules = NULL;
    snapshot_commit(m->snapshot, m->registry);
    for (unsigned w = 0; w < m->worker_count; w++)
        worker_adopt(m->workers[w], m->snapshot);
    checks_adopt(m->checks, m->snapshot);
    if (builder_keeps_rules(builder->kind))
        return;
    if (m->is_ready)
        m->runs_last_good = false; // the user's own file again
    admin_secure(m->admin, &manager_conf(m)->admin);
    apply_listening(m, builder);
    use_log(m, manager_conf(m));
    discovery_follow(m->discovery, manager_conf(m));
    m->lasted_ms = 0;
    manager_watch_files(m);
}

/* --- the queue */

static void next(struct manager *m);

static void count(struct manager *m, const struct manager_change *change, bool is_good)
{
    if (change->kind == CHANGE_CHECK || builder_keeps_rules(change->kind))
        return;
    m->last_reload_good = is_good;
    if (is_good)
        m->reloads_good++;
    else
        m->reloads_bad++;
}

static void tell(struct manager *m, const struct manager_change *change, bool is_good)
{
    if (change->kind == CHANGE_RELOAD || change->kind == CHANGE_REPLACE)
        admin_event(m->admin, "config", "{\"result\":\"%s\",\"generation\":%u}",
                    is_good ? "success" : "failure", m->generation);
}

static void note_digest(struct manager *m, const struct builder *builder, char was[DIGEST_TEXT])
{
    bool is_another = !builder_keeps_rules(builder->kind) && builder->kind != CHANGE_CHECK;

    memcpy(was, m->digest, DIGEST_TEXT);
    if (is_another && !builder->status)
        memcpy(m->digest, builder->digest, DIGEST_TEXT);
}

static void finish(struct manager *m, enum status status)
{
    struct manager_change *change = m->first;
    struct builder *builder = m->building;
    char was[DIGEST_TEXT];

    m->building = NULL;
    m->is_publishing = false;
    m->first = change->next;
    if (!m->first)
        m->last = &m->first;
    count(m, change, !status);
    tell(m, change, !status);
    certificates_built(m, builder, change);
    note_digest(m, builder, was);
    change->was = was;
    change->is = m->digest;
    change->on_done(change, status, m->generation, &builder->diag);
    builder_free(&builder);
    next(m);
    admin_idle(m->admin);
}

void manager_abandon(struct manager *m)
{
    if (m->building && m->is_publishing)
        finish(m, E_CLOSED);
    next(m);
}

static void on_built(uv_work_t *work, int cancelled)
{
    struct manager *m = work->loop->data;
    struct builder *builder = m->building;

    free(work);
    if (cancelled || m->is_stopping || (m->is_drained && !builder_keeps_rules(builder->kind)))
        builder->status = E_CLOSED; // the workers are gone, or take no listener any more
    if (builder->status || builder->kind == CHANGE_CHECK) {
        finish(m, builder->status);
        return;
    }
    m->is_publishing = true; // finished by the ADOPTED letter
    manager_publish(m, builder);
}

static void on_build(uv_work_t *work)
{
    builder_run(work->data);
}

/* The first in the queue cannot be begun. */
static void refuse(struct manager *m, enum status status)
{
    static const struct diag no_diag;
    struct manager_change *change = m->first;

    m->first = change->next;
    if (!m->first)
        m->last = &m->first;
    change->on_done(change, status, m->generation, &no_diag);
}

static bool start(struct manager *m, const struct manager_change *change)
{
    uv_work_t *work = calloc(1, sizeof(*work));

    m->building = work ? manager_new_builder(m, change->kind) : NULL;
    if (!m->building) {
        free(work);
        return false;
    }
    m->building->text = change->text;
    m->building->name = change->name;
    work->data = m->building;
    uv_queue_work(&m->loop.uv, work, on_build, on_built);
    return true;
}

static void next(struct manager *m)
{
    while (m->first && !m->building) {
        if (m->is_stopping)
            refuse(m, E_CLOSED);
        else if (!start(m, m->first))
            refuse(m, E_NOMEM);
    }
}

void manager_change(struct manager *m, struct manager_change *change)
{
    change->next = NULL;
    *m->last = change;
    m->last = &change->next;
    next(m);
}

void manager_take_letter(void *owner, struct letter *letter)
{
    struct manager *m = owner;
    struct snapshot *gone;

    if (letter->kind == SNAPSHOT_ADOPTED) {
        if (m->is_publishing && letter == &m->snapshot->adopted_letter)
            finish(m, OK);
        return;
    }
    gone = CONTAINER_OF(letter, struct snapshot, gone_letter);
    m->live_snapshots--;
    if (gone == m->snapshot) { // the workers have ended, and the API is asked about it yet
        m->is_snapshot_left = true;
        return;
    }
    snapshot_free(&gone);
}

/* --- a reload nobody waits for */

struct reload {
    struct manager_change change;
    struct manager *manager;
    struct str actor;
};

static void on_reloaded(struct manager_change *change, enum status status, uint32_t generation,
                        const struct diag *diag)
{
    struct reload *reload = CONTAINER_OF(change, struct reload, change);

    manager_print(diag);
    if (!status)
        admin_note_config(reload->manager->admin, change, reload->actor, "config.reload");
    if (status)
        fprintf(stderr, "sluice: edge: the configuration was not changed: generation %u goes on\n",
                generation);
    else
        fprintf(stderr, "sluice: edge: generation %u is live\n", generation);
    free(reload);
}

void manager_reload(struct manager *m, const char *why)
{
    struct reload *reload = calloc(1, sizeof(*reload));

    if (!reload || m->is_draining) {
        free(reload);
        return;
    }
    fprintf(stderr, "sluice: edge: reload (%s)\n", why);
    reload->manager = m;
    reload->actor = (struct str){why, strlen(why)};
    reload->change = (struct manager_change){.kind = CHANGE_RELOAD, .on_done = on_reloaded};
    manager_change(m, &reload->change);
}
