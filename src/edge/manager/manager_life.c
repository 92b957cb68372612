/* SPDX-License-Identifier: Apache-2.0
 *
 * What comes from outside the API: the supervisor's notices, changed files, draining; and the
 * configuration that lasted, kept for the day an edge crashes again and again.
 */
#include "edge/manager/manager_impl.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "edge/manager/admin.h"

enum { DRAIN_TICK_MS = 100, LASTED_MS = 10000, WATCH_SETTLE_MS = 200 };

/* --- draining */

static void finish(struct manager *m)
{
    uv_timer_stop(&m->drain_timer);
    m->is_stopping = true;
    uv_stop(&m->loop.uv);
}

static void on_drain_tick(uv_timer_t *timer)
{
    struct manager *m = timer->data;
    uint64_t in_flight = manager_in_flight(m);
    uint64_t now = clock_us() / 1000;
    enum status status = link_report(m->options.link, in_flight);

    (void)status; // without a supervisor nobody wants to know
    // A request may be over while its answer still waits to be sent.
    if (now < m->drain_deadline_ms && (in_flight || manager_connections(m)))
        return;
    if (in_flight)
        fprintf(stderr, "sluice: edge: %llu requests did not end in time\n",
                (unsigned long long)in_flight);
    finish(m);
}

/* Nobody accepts any more, and nobody will: without this the supervisor's copies would let clients
 * wait in the backlog rather than be refused. */
static void give_up_listeners(struct manager *m)
{
    for (unsigned i = 0; i < m->listener_count; i++) {
        const char *bind = m->listeners[i].bind;
        enum status status = OK;

        if (m->listeners[i].kind == LISTENING_PUBLIC)
            status = link_unlisten(m->options.link, (struct str){bind, strlen(bind)});
        if (status == E_CLOSED)
            return; // gone, and its sockets with it
        if (status)
            fprintf(stderr, "sluice: edge: the supervisor keeps %s open\n", bind);
    }
}

static void on_delay_over(uv_timer_t *timer)
{
    struct manager *m = timer->data;

    for (unsigned w = 0; w < m->worker_count; w++)
        if (worker_drain(m->workers[w]))
            fprintf(stderr, "sluice: edge: out of memory while draining\n");
    m->is_drained = true;
    if (m->admin)
        admin_end(m->admin);
    if (m->is_final)
        give_up_listeners(m);
    m->drain_deadline_ms = clock_us() / 1000 + manager_conf(m)->timeouts.drain_ms;
    uv_timer_start(timer, on_drain_tick, DRAIN_TICK_MS, DRAIN_TICK_MS);
}

void manager_drain(struct manager *m, uint32_t delay_ms)
{
    if (m->is_draining)
        return;
    m->is_draining = true;
    if (!m->rules) { // nothing was ever served
        finish(m);
        return;
    }
    fprintf(stderr, "sluice: edge: draining, %llu requests in flight\n",
            (unsigned long long)manager_in_flight(m));
    if (m->admin)
        admin_event(m->admin, "drain", "{\"in_flight\":%llu}",
                    (unsigned long long)manager_in_flight(m));
    for (unsigned w = 0; w < m->worker_count; w++)
        if (worker_announce_drain(m->workers[w]))
            break;
    uv_timer_start(&m->drain_timer, on_delay_over, delay_ms, 0);
}

/* --- notices */

static void note_peer(struct manager *m, const struct notice *notice)
{
    bool is_gone = notice->peer_pid < 0;
    int32_t pid = is_gone ? -notice->peer_pid : notice->peer_pid;
    struct manager_peer *free_place = NULL;

    for (unsigned i = 0; i < MANAGER_PEERS_MAX; i++) {
        struct manager_peer *peer = &m->peers[i];

        if (!peer->pid)
            free_place = peer;
        if (peer->pid == pid || (is_gone && peer->generation == notice->peer_generation)) {
            free_place = peer;
            break;
        }
    }
    if (is_gone)
        admin_event(m->admin, "peer", "{\"pid\":%d,\"generation\":%u,\"gone\":true}", (int)pid,
                    notice->peer_generation);
    if (free_place)
        *free_place = is_gone
                          ? (struct manager_peer){0}
                          : (struct manager_peer){pid, notice->peer_generation, notice->in_flight};
}

static uint32_t drain_delay_ms(const struct manager *m)
{
    return m->rules ? manager_conf(m)->timeouts.drain_delay_ms : 0;
}

/* A signal to all of us may have come first. */
static void take_drain(struct manager *m, bool is_superseded)
{
    if (is_superseded) {
        admin_retire(m->admin); // whoever asks now asks the newer edge
        discovery_retire(m->discovery);
    } else {
        m->is_final = true;
    }
    if (m->is_final && m->is_drained)
        give_up_listeners(m);
    manager_drain(m, is_superseded ? 0 : drain_delay_ms(m));
}

static void take_notice(struct manager *m, const struct notice *notice)
{
    switch (notice->kind) {
    case NOTICE_DRAIN:
        take_drain(m, notice->is_superseded);
        break;
    case NOTICE_RELOAD:
        manager_reload(m, "signal");
        break;
    case NOTICE_REOPEN:
        if (access_reopen(m->log))
            fprintf(stderr, "sluice: edge: cannot reopen the log: %s\n", strerror(errno));
        break;
    case NOTICE_PEER:
        note_peer(m, notice);
        break;
    case NOTICE_NONE:
        break;
    }
}

static void on_notice(uv_poll_t *poll, int failed, int events)
{
    struct manager *m = poll->data;
    struct notice notice;
    enum status status;

    (void)failed;
    (void)events;
    while (!(status = link_read(m->options.link, &notice)))
        take_notice(m, &notice);
    if (status == E_AGAIN)
        return;
    uv_poll_stop(poll); // the supervisor is gone: finish what runs
    manager_drain(m, 0);
}

/* Ctrl-C reaches the whole group, and TERM comes when the supervisor dies. The first one means what
 * its notice means, and may come beside it; the second means now. */
static void on_signal(uv_signal_t *watch, int number)
{
    struct manager *m = watch->data;

    (void)number;
    if (m->is_signaled) {
        fprintf(stderr, "sluice: edge: stopping at once\n");
        finish(m);
        return;
    }
    m->is_signaled = true;
    manager_drain(m, drain_delay_ms(m));
}

static bool watch_signal(struct manager *m, uv_signal_t *watch, int number)
{
    if (uv_signal_init(&m->loop.uv, watch))
        return false;
    watch->data = m;
    return !uv_signal_start(watch, on_signal, number);
}

enum status manager_watch_notices(struct manager *m)
{
    if (uv_poll_init(&m->loop.uv, &m->notices, m->options.link->notice_fd))
        return E_IO;
    m->notices.data = m;
    if (uv_poll_start(&m->notices, UV_READABLE, on_notice))
        return E_IO;
    return watch_signal(m, &m->term, SIGTERM) && watch_signal(m, &m->interrupt, SIGINT) ? OK : E_IO;
}

/* --- changed files: editors write in several steps, so wait until it is quiet */

static void on_settled(uv_timer_t *timer)
{
    manager_reload(timer->data, "file changed");
}

static bool is_ours(const struct manager *m, const char *name)
{
    const struct conf *conf = manager_conf(m);
    size_t len = strlen(name);
    const char *slash = strrchr(m->options.config, '/');

    if (!strcmp(slash ? slash + 1 : m->options.config, name))
        return true; // conf has the copies while what lasted is served

    for (uint32_t i = 0; i < conf->file_count; i++) {
        struct str file = conf->files[i];

        if (file.len > len && file.p[file.len - len - 1] == '/' &&
            !memcmp(file.p + file.len - len, name, len))
            return true;
    }
    return false;
}

static void on_file(uv_fs_event_t *watch, const char *name, int events, int failed)
{
    struct manager *m = watch->loop->data;

    (void)events;
    if (!failed && name && is_ours(m, name))
        uv_timer_start(&m->settle, on_settled, WATCH_SETTLE_MS, 0);
}

static void on_unwatched(uv_handle_t *handle)
{
    free(handle);
}

void manager_unwatch_files(struct manager *m)
{
    for (unsigned i = 0; i < m->watch_count; i++)
        uv_close((uv_handle_t *)m->watches[i], on_unwatched);
    m->watch_count = 0;
}

/* The folder is watched rather than the file, since editors put a new file in the old one's place.
 */
static void watch_folder(struct manager *m, struct str file)
{
    uv_fs_event_t *watch;
    char folder[PATH_MAX];
    char *slash;

    snprintf(folder, sizeof(folder), "%.*s", STR_FMT(file));
    slash = strrchr(folder, '/');
    if (!slash || m->watch_count == MANAGER_WATCHES_MAX)
        return;
    *slash = '\0';
    watch = calloc(1, sizeof(*watch));
    if (!watch)
        return;
    uv_fs_event_init(&m->loop.uv, watch);
    m->watches[m->watch_count++] = watch;
    uv_fs_event_start(watch, on_file, *folder ? folder : "/", 0);
}

void manager_watch_files(struct manager *m)
{
    const struct conf *conf = manager_conf(m);
    char full[PATH_MAX];

    if (!m->options.watch)
        return;
    manager_unwatch_files(m);
    if (m->runs_last_good && realpath(m->options.config, full))
        watch_folder(m, (struct str){full, strlen(full)});
    for (uint32_t i = 0; i < conf->file_count; i++)
        watch_folder(m, conf->files[i]);
}

/* --- the configuration that lasted: copies of its files below <state>/last-good, by absolute path
 */

static bool kept_path(const char *state_dir, struct str file, char *path, size_t size)
{
    return snprintf(path, size, "%s/last-good%.*s", state_dir, STR_FMT(file)) < (int)size;
}

static enum status keep_file(const char *state_dir, struct str file, struct arena *arena)
{
    char source[PATH_MAX], copy[PATH_MAX];
    struct str text;
    char *slash;
    enum status status;

    if (!kept_path(state_dir, file, copy, sizeof(copy)))
        return E_INVALID;
    snprintf(source, sizeof(source), "%.*s", STR_FMT(file));
    status = file_read(source, arena, &text);
    slash = strrchr(copy, '/');
    *slash = '\0';
    if (!status)
        status = file_make_directory(copy);
    *slash = '/';
    return status ? status : file_write(copy, text, 0600);
}

/* The rules stay for as long as the copying takes. */
struct keeping {
    uv_work_t work;
    struct rules *rules;
};

static void keep(uv_work_t *work)
{
    const struct conf *conf = ((struct keeping *)work->data)->rules->conf;
    struct arena arena;

    arena_init(&arena, NULL, 0);
    for (uint32_t i = 0; i < conf->file_count; i++)
        if (keep_file(conf->state.s.p, conf->files[i], &arena))
            fprintf(stderr, "sluice: edge: cannot keep a copy of %.*s: %s\n",
                    STR_FMT(conf->files[i]), strerror(errno));
    arena_reset(&arena);
}

static void on_kept(uv_work_t *work, int cancelled)
{
    struct keeping *keeping = work->data;

    (void)cancelled;
    rules_unref(&keeping->rules);
    free(keeping);
}

void manager_keep_last_good(struct manager *m)
{
    uint64_t now = clock_us() / 1000;
    struct keeping *keeping;

    if (!m->lasted_ms)
        m->lasted_ms = now;
    if (m->lasted_ms == UINT64_MAX || now - m->lasted_ms < LASTED_MS || m->runs_last_good)
        return;
    m->lasted_ms = UINT64_MAX; // once for each configuration
    keeping = calloc(1, sizeof(*keeping));
    if (!keeping)
        return;
    keeping->rules = m->rules;
    __atomic_fetch_add(&m->rules->refs, 1, __ATOMIC_RELAXED);
    keeping->work.data = keeping;
    if (uv_queue_work(&m->loop.uv, &keeping->work, keep, on_kept))
        on_kept(&keeping->work, UV_ECANCELED);
}

bool manager_last_good(const char *state_dir, const char *config, char *path, size_t size)
{
    char full[PATH_MAX];
    FILE *file;

    if (!realpath(config, full) ||
        !kept_path(state_dir, (struct str){full, strlen(full)}, path, size))
        return false;
    file = fopen(path, "re");
    if (file)
        fclose(file);
    return file != NULL;
}
