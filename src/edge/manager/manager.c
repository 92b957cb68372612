/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/manager_impl.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/user.h"
#include "edge/access/shield.h"
#include "edge/auth/replay.h"
#include "edge/limit/limiter.h"
#include "edge/script/dict.h"
#include "edge/manager/admin.h"
#include "edge/manager/changes.h"
#include "edge/manager/traces.h"
#include "edge/tls/tls_check.h"
#include "process/limits.h"

enum {
    DESCRIPTOR_RESERVE = 64 + CHECKS_PROBES_MAX, /* logs, loops, admin, files being read; checks */
    CONNECTION_COST =
        64 * 1024, /* bytes of memory a busy connection may take, ours and the kernel's */
    EXIT_WRONG_CONFIG = 2,
};

/* --- small questions */

const struct conf *manager_conf(const struct manager *m)
{
    return m->rules->conf;
}

uint64_t manager_in_flight(const struct manager *m)
{
    uint64_t sum = 0;

    for (unsigned w = 0; w < m->worker_count; w++) {
        struct worker_numbers numbers;

        worker_read(m->workers[w], &numbers);
        sum += numbers.in_flight;
    }
    return sum;
}

uint64_t manager_connections(const struct manager *m)
{
    uint64_t sum = 0;

    for (unsigned w = 0; w < m->worker_count; w++) {
        struct worker_numbers numbers;

        worker_read(m->workers[w], &numbers);
        sum += numbers.connections;
    }
    return sum;
}

enum shared_state manager_shared(const struct manager *m)
{
    enum shared_state worst = SHARED_NONE;

    for (unsigned w = 0; w < m->worker_count; w++) {
        struct worker_numbers numbers;

        worker_read(m->workers[w], &numbers);
        worst = numbers.shared > worst ? numbers.shared : worst;
    }
    return worst;
}

struct str manager_shared_reason(const struct manager *m, char *text)
{
    struct str reason = STR("");

    for (unsigned w = 0; w < m->worker_count && !reason.len; w++)
        reason = worker_shared_reason(m->workers[w], text);
    return reason;
}

/* --- what this process is and may use */

static void name_edge(struct manager *m)
{
    const char *platform = getenv("FLY_MACHINE_ID");
    size_t len = 0;
    char host[64] = "edge";

    if (!platform)
        platform = getenv("RAILWAY_REPLICA_ID");
    if (!platform && !gethostname(host, sizeof(host) - 1))
        platform = host;
    for (const char *at = platform ? platform : host; *at && *at != '.' && len < 16; at++)
        if (strchr("abcdefghijklmnopqrstuvwxyz0123456789", *at | 0x20))
            m->edge_name[len++] = *at;
    if (!len)
        strcpy(m->edge_name, "edge");
}

/* Half of the memory there is may go to connections; the rest is the kernel's, the configuration's
 * and the apps'. */
static void derive_limits(struct manager *m, const struct conf *conf)
{
    uint32_t descriptors = limits_descriptors();
    uint32_t by_descriptors =
        descriptors > 4 * DESCRIPTOR_RESERVE
            ? (descriptors - DESCRIPTOR_RESERVE) / 2 // one for the client, one for the target
            : descriptors / 4;
    uint64_t by_memory;

    m->memory_max = conf->limits.memory ? conf->limits.memory : limits_memory() / 2;
    by_memory = m->memory_max / CONNECTION_COST;
    m->connections_max = by_memory < by_descriptors ? (uint32_t)by_memory : by_descriptors;
    if (conf->limits.connections && conf->limits.connections < by_descriptors)
        m->connections_max = conf->limits.connections;
    if (conf->limits.connections > by_descriptors)
        fprintf(stderr, "sluice: edge: connections limited to %u by %u file descriptors\n",
                by_descriptors, descriptors);
    if (m->connections_max < m->worker_count)
        m->connections_max = m->worker_count;
    fprintf(stderr, "sluice: edge: workers=%u connections=%u memory=%llu MiB descriptors=%u\n",
            m->worker_count, m->connections_max, (unsigned long long)(m->memory_max >> 20),
            descriptors);
}

static void count_workers(struct manager *m, const struct conf *conf)
{
    m->worker_count = conf->workers ? conf->workers : limits_workers();
    if (m->worker_count > STAT_WORKERS_MAX)
        m->worker_count = STAT_WORKERS_MAX;
}

/* False when it cannot become the user of the configuration; that was said. */
static bool drop_privileges(const struct conf *conf)
{
    char name[64];
    struct user user;

    snprintf(name, sizeof(name), "%.*s", STR_FMT(conf->user.s));
    if (user_find(name, conf->user.at.source != NULL, &user)) {
        fprintf(stderr, "sluice: edge: there is no user \"%s\"\n", name);
        return false;
    }
    if (user_become(&user, conf->state.s.p, -1)) {
        fprintf(stderr, "sluice: edge: cannot become user %s: %s\n", name, strerror(errno));
        return false;
    }
    return true;
}

/* --- the first configuration */

static const char *from_environment(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

static const struct conf *load(const char *path, const struct filter *const *filters,
                               struct arena *arena, bool is_last_good)
{
    struct conf_world world = {.env = from_environment,
                               .filters = filters,
                               .check_pattern = route_check_pattern,
                               .check_tls = tls_check};
    const struct conf *conf;
    struct diag diag;

    if (is_last_good)
        world.check_tls = NULL; // it lasted: what has expired since is told, and serves
    diag_init(&diag, arena);
    conf = conf_load(path, &world, arena, &diag);
    manager_print(&diag);
    return conf;
}

/* What the last process left: a configuration that nobody confirmed in time is taken back, and
 * after crashes the one that lasted is used. Both lie in the state directory, whose name the file
 * itself says. */
static const struct conf *recover(struct manager *m, const struct conf *conf, char *path,
                                  size_t size)
{
    char state[PATH_MAX] = "./state";
    bool is_other = false;

    if (conf)
        snprintf(state, sizeof(state), "%.*s", STR_FMT(conf->state.s));
    if (admin_revert_unconfirmed(state, m->options.config)) {
        fprintf(stderr, "sluice: edge: the last configuration was not confirmed in time: the one "
                        "before it is back\n");
        is_other = true;
    }
    if (m->options.last_good && manager_last_good(state, m->options.config, path, size)) {
        fprintf(stderr, "sluice: edge: starting with the last configuration that lasted: %s\n",
                path);
        m->runs_last_good = is_other = true;
    }
    if (!is_other)
        return conf;
    arena_reset(&m->loaded_arena);
    return load(path, m->filters, &m->loaded_arena, m->runs_last_good);
}

static bool open_state(struct manager *m, const struct conf *conf)
{
    const char *error = NULL;

    if (file_make_directory(conf->state.s.p)) {
        fprintf(stderr, "sluice: edge: cannot make the state directory %s: %s\n", conf->state.s.p,
                strerror(errno));
        return false;
    }
    snprintf(m->state_dir, sizeof(m->state_dir), "%.*s", STR_FMT(conf->state.s));
    m->overlay = overlay_open(conf->state.s.p, &error);
    if (error)
        fprintf(stderr, "sluice: edge: %s\n", error);
    m->changes = changes_open(conf->state.s.p, &error);
    if (error)
        fprintf(stderr, "sluice: edge: %s\n", error);
    return m->overlay && m->changes;
}

/* --- starting */

static void wake_worker(void *owner, unsigned worker)
{
    struct manager *m = owner;

    worker_wake(m->workers[worker]);
}

/* The n-th CPU this process may run on. */
static int cpu_of(unsigned n)
{
    cpu_set_t set;

    if (limits_has_quota() || sched_getaffinity(0, sizeof(set), &set))
        return -1;
    for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
        if (CPU_ISSET((unsigned)cpu, &set) && n-- == 0)
            return cpu;
    return -1;
}

static bool start_workers(struct manager *m)
{
    uint64_t prefix = 0;

    if (getrandom(&prefix, 5, 0) < 0)
        prefix = clock_us();
    for (unsigned w = 0; w < m->worker_count; w++) {
        struct worker_conf conf = {
            .index = w,
            .stats = m->stats,
            .ring = access_ring(m->log, w),
            .traces = traces_ring(m->traces, w),
            .home = &m->home,
            .env = manager_env(m),
            .edge_name = {m->edge_name, strlen(m->edge_name)},
            .id_prefix = prefix << 8 | w,
            .memory_limit = m->memory_max / m->worker_count,
            .connections_max = (m->connections_max + m->worker_count - 1) / m->worker_count,
            .cpu = cpu_of(w),
        };

        if (worker_start(&m->workers[w], &conf))
            return false;
    }
    return true;
}

static void on_second(uv_timer_t *timer)
{
    struct manager *m = timer->data;
    uint64_t now = clock_us(), late = now - m->ticked_us;

    m->lag_us = m->ticked_us && late > 1000000 ? late - 1000000 : 0;
    m->ticked_us = now;
    for (unsigned w = 0; w < m->worker_count; w++)
        worker_probe(m->workers[w]);
    if (m->is_ready)
        manager_keep_last_good(m);
    certificates_tick(m);
    manager_tick_discovery(m);
    manager_tick_stores(m);
    admin_tick(m->admin);
}

/* A worker has something to say of a target. */
static void on_woken(void *owner)
{
    struct manager *m = owner;

    if (m->checks)
        checks_look(m->checks);
    if (m->keys)
        keys_tick(m->keys);
    if (m->admin)
        admin_look(m->admin);
}

static bool open_loop(struct manager *m)
{
    uv_timer_t *timers[] = {&m->second, &m->drain_timer, &m->settle};

    m->last = &m->first;
    m->home = (struct mailbox){.read = manager_take_letter, .woken = on_woken, .owner = m};
    pthread_mutex_init(&m->stats_lock, NULL);
    if (loop_init(&m->loop, 0, 0))
        return false;
    m->has_loop = true;
    slab_init(&m->loop.targets, pool_conn_size(), &m->loop.budget);
    m->loop.uv.data = m;
    for (unsigned i = 0; i < ARRAY_LEN(timers); i++) {
        uv_timer_init(&m->loop.uv, timers[i]);
        timers[i]->data = m;
    }
    uv_timer_start(&m->second, on_second, 1000, 1000);
    return !mailbox_open(&m->home, &m->loop.uv) && !manager_watch_notices(m);
}

static void wake_workers(void *owner)
{
    struct manager *m = owner;

    for (unsigned w = 0; w < m->worker_count; w++)
        worker_wake(m->workers[w]);
}

static void on_target_change(void *owner, const struct endpoint *endpoint, const char *state,
                             const char *words)
{
    struct manager *m = owner;
    json_t *json =
        json_pack("{s:s%,s:s%,s:s,s:s}", "service", endpoint->service.p, endpoint->service.len,
                  "target", endpoint->id.p, endpoint->id.len, "state", state, "reason", words);
    char *text = json_dumps(json, JSON_COMPACT);

    if (text && m->admin)
        admin_event(m->admin, "health", "%s", text);
    free(text);
    json_decref(json);
}

/* Without it a restart begins with nothing known: no reason not to start. */
static struct health_memory *open_memory(struct manager *m)
{
    char error[LINK_ERROR_SIZE] = "no memory";
    int fd = -1;

    if (link_memory(m->options.link, STR(HEALTH_MEMORY_NAME), HEALTH_MEMORY_SIZE, &fd, error))
        fprintf(stderr, "sluice: edge: the health of targets will not outlive this process: %s\n",
                error);
    return health_memory_open(fd);
}

static void on_unreached(void *owner, const struct endpoint *endpoint)
{
    struct manager *m = owner;

    if (m->hosts)
        hosts_suspect(m->hosts, endpoint);
}

static bool open_checks(struct manager *m)
{
    struct checks_home home = {.loop = &m->loop,
                               .owner = m,
                               .wake_workers = wake_workers,
                               .on_change = on_target_change,
                               .on_unreached = on_unreached};

    home.news = registry_news(m->registry);
    home.memory = m->memory = open_memory(m);
    m->checks = checks_open(&home);
    return m->checks != NULL;
}

/* Everything a worker needs, sized by the first configuration. */
static bool open_plane(struct manager *m, const struct conf *conf)
{
    count_workers(m, conf);
    derive_limits(m, conf);
    m->stats = stats_new(m->worker_count);
    m->own_stats = m->loop.stats = stats_new(1);
    m->registry = registry_new(m->worker_count, wake_worker, m);
    m->traces = traces_open(m->worker_count);
    m->log = access_open(&conf->log, m->worker_count);
    if (!m->log)
        fprintf(stderr, "sluice: edge: cannot open the log %.*s: %s\n", STR_FMT(conf->log.path.s),
                strerror(errno));
    return m->stats && m->own_stats && m->registry && m->log && m->traces && open_checks(m) &&
           manager_open_stores(m) && certificates_open(m) && manager_open_discovery(m) &&
           start_workers(m);
}

/* Becomes ready when the first snapshot is served by all workers. */
static void on_first(struct manager_change *change, enum status status, uint32_t generation,
                     const struct diag *diag)
{
    struct manager *m = CONTAINER_OF(change, struct manager, first_change);

    if (m->is_stopping)
        return; // a signal came first
    manager_print(diag);
    if (status) {
        m->exit_code = EXIT_WRONG_CONFIG;
        uv_stop(&m->loop.uv);
        return;
    }
    m->reloads_good = 0; // it was no reload
    m->is_ready = true;
    if (link_ready(m->options.link, generation))
        fprintf(stderr, "sluice: edge: the supervisor does not answer\n");
}

static void begin(struct manager *m)
{
    m->first_change = (struct manager_change){.kind = CHANGE_RELOAD, .on_done = on_first};
    m->last_reload_good = true;
    manager_change(m, &m->first_change);
}

/* --- the end */

static void on_walk(uv_handle_t *handle, void *argument)
{
    (void)argument;
    if (!uv_is_closing(handle))
        uv_close(handle, NULL);
}

static void end_workers(struct manager *m)
{
    for (unsigned w = 0; w < m->worker_count; w++)
        worker_end(m->workers[w]);
    for (unsigned w = 0; w < m->worker_count; w++)
        worker_join(m->workers[w]);
}

/* What is neither a thread nor a handle; also after a start that failed half-way. */
static void free_plane(struct manager *m)
{
    if (m->log)
        access_close(&m->log);
    traces_close(&m->traces);
    rules_unref(&m->rules);
    keys_free(&m->keys);
    key_book_close(&m->key_book);
    key_store_free(&m->key_store);
    if (m->registry)
        registry_free(&m->registry);
    if (m->stats)
        stats_free(&m->stats);
    if (m->own_stats)
        stats_free(&m->own_stats);
    checks_free(&m->checks);
    health_memory_close(&m->memory);
    limiter_close(&m->limiter);
    replay_close(&m->replay);
    shield_free(&m->shield);
    dict_close(&m->dicts);
    manager_close_discovery(m);
    if (m->overlay)
        overlay_close(&m->overlay);
    changes_close(&m->changes);
    certificates_close(m);
}

/* Workers wake each other until all have ended, and are asked for numbers until the loop has. */
static void close_all(struct manager *m)
{
    m->is_stopping = true;
    uv_timer_stop(&m->second);
    checks_close(m->checks);
    keys_close(m->keys);
    end_workers(m);
    uv_run(&m->loop.uv, UV_RUN_NOWAIT); // snapshots come home
    manager_abandon(m);
    admin_close(m->admin);
    manager_unwatch_files(m);
    manager_close_discovery(m);
    mailbox_close(&m->home);
    uv_walk(&m->loop.uv, on_walk, NULL);
    while (uv_run(&m->loop.uv, UV_RUN_DEFAULT))
        ; // a stop that was asked for twice
    if (m->is_snapshot_left)
        snapshot_free(&m->snapshot);
    for (unsigned w = 0; w < m->worker_count; w++)
        worker_free(&m->workers[w]);
    admin_free(&m->admin);
}

/* After a start that failed there may be handles and no threads; after a stop there is nothing
 * left. */
static void close_loop(struct manager *m)
{
    if (!m->has_loop)
        return;
    uv_walk(&m->loop.uv, on_walk, NULL);
    loop_fini(&m->loop);
}

static int serve(struct manager *m)
{
    m->admin = admin_open(m);
    if (!m->admin)
        return 1;
    admin_resume(m->admin);
    begin(m);
    uv_run(&m->loop.uv, UV_RUN_DEFAULT);
    close_all(m);
    return m->exit_code;
}

/* Reads the file to learn what this process needs before any thread starts; the first build goes on
 * with it. */
static bool prepare(struct manager *m)
{
    char path[PATH_MAX];
    const struct conf *conf;

    arena_init(&m->loaded_arena, NULL, 0);
    snprintf(path, sizeof(path), "%s", m->options.config);
    conf = recover(m, load(path, m->filters, &m->loaded_arena, m->options.last_good), path,
                   sizeof(path));
    m->loaded = conf;
    return conf && open_state(m, conf) && drop_privileges(conf) && open_loop(m) &&
           open_plane(m, conf);
}

int manager_run(const struct manager_options *options, const struct filter *const *filters)
{
    // What HUP, USR1 and USR2 ask for comes as notices of the supervisor.
    static const int ignored[] = {SIGPIPE, SIGHUP, SIGUSR1, SIGUSR2};
    struct manager *m = calloc(1, sizeof(*m));
    int code = EXIT_WRONG_CONFIG;

    if (!m)
        return 1;
    for (size_t i = 0; i < ARRAY_LEN(ignored); i++)
        signal(ignored[i], SIG_IGN);
    m->options = *options;
    m->filters = filters;
    m->started_ms = clock_wall_ms();
    name_edge(m);
    if (prepare(m))
        code = serve(m);
    close_loop(m);
    free_plane(m);
    arena_reset(&m->loaded_arena);
    free(m);
    return code;
}
