/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/worker.h"
#include "edge/errand.h"

#include <assert.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "edge/limit/shared.h"
#include "edge/shape/encoder_pool.h"

enum { LISTENERS_MAX = 64, UPSTREAM_SHARE = 2 };

enum letter_kind {
    LETTER_ADOPT,
    LETTER_LISTEN,
    LETTER_UNLISTEN,
    LETTER_ANNOUNCE,
    LETTER_DRAIN,
    LETTER_STOP,
    LETTER_SAMPLE,
};

struct sample_letter {
    struct letter letter; /* first */
    struct sample sample;
    char text[];
};

struct worker_letter {
    struct letter letter; /* first */
    struct listener_spec spec;
    int fds[];
};

struct worker {
    struct loop loop;
    struct exchange_host host;
    struct encoder_pool encoders;
    struct client_list clients;
    struct listener_home listening;
    pthread_mutex_t listeners_lock; /* taken to change the list, and by other threads to read it */
    struct listener *listeners[LISTENERS_MAX]; /* closed ones stay while clients point at them */
    unsigned listener_count;
    struct mailbox mailbox;
    struct letter stop_letter;
    pthread_t thread;
    uint64_t probed_us;   /* atomic: when the last probe was sent; 0: it has been answered */
    uint64_t lag_us;      /* atomic */
    uint64_t memory_used; /* atomic copy of the budget's, for the manager */
    int cpu;
};

/* --- snapshots */

/* Idle connections of a target that went are closed; those in use end with their exchange. */
static void retire(void *owner, const struct release *release, const struct snapshot_target *target)
{
    struct worker *worker = owner;

    (void)release;
    if (!snapshot_find(worker->host.snapshot, target->endpoint, worker->loop.worker))
        pool_close_idle(&worker->loop, target->endpoint, true);
}

static void close_idle(void *owner, const struct release *release,
                       const struct snapshot_target *target)
{
    struct worker *worker = owner;

    (void)release;
    pool_close_idle(&worker->loop, target->endpoint, true);
}

/* Those that come from now on; connections that there are stay as they are. */
static void set_door(const struct snapshot *snapshot, struct listener *listener)
{
    const char *bind = listener_bind(listener);
    const struct door *door = doors_find(&snapshot->doors, (struct str){bind, strlen(bind)});

    if (door && listener_is_open(listener))
        listener_set_door(listener, door);
    else
        listener_leave_door(listener);
}

static void adopt(struct worker *worker, struct snapshot *snapshot)
{
    const struct conf *conf = snapshot->rules->conf;
    const struct conf_limits *limits = &conf->limits;
    struct snapshot *old = worker->host.snapshot;

    worker->host.snapshot = snapshot;
    worker->host.limits = (struct wire_limits){
        .header_bytes = limits->header_bytes,
        .uri_bytes = limits->uri,
        .headers = (uint16_t)limits->headers,
    };
    shared_use(worker->host.env.shared, conf->has_redis ? &conf->redis : NULL,
               snapshot->doors.redis);
    snapshot_pin(snapshot, worker->loop.worker);
    snapshot_begin(snapshot, worker->loop.worker, worker->loop.now_us / 1000);
    for (unsigned i = 0; i < worker->listener_count; i++)
        if (worker->listeners[i])
            set_door(snapshot, worker->listeners[i]);
    if (old) {
        snapshot_each_target(old, worker, retire);
        snapshot_unpin(old, worker->loop.worker);
    }
    exchange_wake(&worker->host); // what waits may be served by what is new
    if (__atomic_add_fetch(&snapshot->adopted, 1, __ATOMIC_ACQ_REL) == snapshot->workers)
        mailbox_post(snapshot->home, &snapshot->adopted_letter);
}

/* --- listeners */

static struct listener *find_listener(struct worker *worker, const char *bind)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        if (worker->listeners[i] && listener_is_open(worker->listeners[i]) &&
            !strcmp(listener_bind(worker->listeners[i]), bind))
            return worker->listeners[i];
    return NULL;
}

/* Where the next one goes: the place of one that is closed and without clients, or behind the last.
 * NULL: all are taken. */
static struct listener **find_place(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        if (!worker->listeners[i] || listener_is_spent(worker->listeners[i])) {
            listener_free(&worker->listeners[i]);
            return &worker->listeners[i];
        }
    return worker->listener_count < LISTENERS_MAX ? &worker->listeners[worker->listener_count]
                                                  : NULL;
}

static void listen_on(struct worker *worker, struct worker_letter *letter)
{
    struct listener *known = find_listener(worker, letter->spec.bind), **place;

    if (known) {
        listener_set_health(known, letter->spec.health);
        free(letter->spec.bind);
        return;
    }
    letter->spec.fds = letter->fds;
    pthread_mutex_lock(&worker->listeners_lock);
    place = find_place(worker);
    known = place ? listener_open(&worker->listening, &letter->spec) : NULL;
    if (known && worker->host.snapshot)
        set_door(worker->host.snapshot, known);
    if (known)
        *place = known;
    if (known && place == &worker->listeners[worker->listener_count])
        worker->listener_count++;
    pthread_mutex_unlock(&worker->listeners_lock);
    for (unsigned i = 0; !place && i < letter->spec.count; i++)
        close(letter->fds[i]);
    if (!known)
        free(letter->spec.bind);
}

static void unlisten(struct worker *worker, struct worker_letter *letter)
{
    struct listener *known = find_listener(worker, letter->spec.bind);

    if (known)
        listener_finish(known);
    free(letter->spec.bind);
}

static void close_listeners(struct worker *worker)
{
    for (unsigned i = 0; i < worker->listener_count; i++)
        if (worker->listeners[i])
            listener_close(worker->listeners[i]);
}

/* --- letters */

static void drain(struct worker *worker)
{
    worker->host.is_draining = true;
    for (unsigned i = 0; i < worker->listener_count; i++)
        if (worker->listeners[i])
            listener_finish(worker->listeners[i]);
    exchange_wake(&worker->host); // those of paused services wait for nothing now
    client_drain(&worker->clients);
}

static void stop(struct worker *worker)
{
    const struct snapshot *snapshot = worker->host.snapshot;

    close_listeners(worker);
    conn_close_all(&worker->loop);
    errand_cancel_all(&worker->host);
    if (snapshot)
        snapshot_each_target(snapshot, worker, close_idle);
    shared_close(worker->host.env.shared);
    encoder_pool_close(&worker->encoders);
    // The loop ends when the connections are closed; others may wake us until all have ended.
    uv_unref((uv_handle_t *)&worker->mailbox.async);
    uv_unref((uv_handle_t *)&worker->loop.tick);
}

static void read_letter(void *owner, struct letter *letter)
{
    struct worker *worker = owner;
    struct worker_letter *mine = CONTAINER_OF(letter, struct worker_letter, letter);
    bool is_ours = letter->kind != LETTER_ADOPT && letter->kind != LETTER_STOP;

    loop_enter(&worker->loop);
    switch ((enum letter_kind)letter->kind) {
    case LETTER_ADOPT:
        adopt(worker, CONTAINER_OF(letter, struct snapshot_local, letter)->snapshot);
        break;
    case LETTER_LISTEN:
        listen_on(worker, mine);
        break;
    case LETTER_UNLISTEN:
        unlisten(worker, mine);
        break;
    case LETTER_ANNOUNCE:
        worker->host.is_draining = true;
        break;
    case LETTER_DRAIN:
        drain(worker);
        break;
    case LETTER_STOP:
        stop(worker);
        break;
    case LETTER_SAMPLE:
        sample_send(&worker->host, &CONTAINER_OF(letter, struct sample_letter, letter)->sample);
        break;
    }
    loop_leave(&worker->loop);
    if (is_ours)
        free(mine);
}

static void woken(void *owner)
{
    struct worker *worker = owner;
    uint64_t probed = __atomic_exchange_n(&worker->probed_us, 0, __ATOMIC_RELAXED);

    loop_enter(&worker->loop);
    if (probed)
        __atomic_store_n(&worker->lag_us, worker->loop.now_us - probed, __ATOMIC_RELAXED);
    __atomic_store_n(&worker->memory_used, worker->loop.budget.used, __ATOMIC_RELAXED);
    exchange_wake(&worker->host);
    loop_leave(&worker->loop);
}

/* --- the thread */

static void pin(int cpu)
{
    cpu_set_t set;

    if (cpu < 0)
        return;
    CPU_ZERO(&set);
    CPU_SET((unsigned)cpu, &set);
    pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
}

static void *run(void *argument)
{
    struct worker *worker = argument;

    pin(worker->cpu);
    uv_run(&worker->loop.uv, UV_RUN_DEFAULT);
    return NULL;
}

static void name_edge(struct worker *worker, struct str name)
{
    worker->host.via[0] = STR("1.0 sluice");
    worker->host.via[1] = STR("1.1 sluice");
    worker->host.via[2] = STR("2.0 sluice");
    worker->host.edge_name = name;
}

/* False: ids of traces would not differ from those of other workers. */
static bool seed_traces(struct worker *worker)
{
    size_t size = sizeof(worker->host.trace_random);

    return getrandom(worker->host.trace_random, size, 0) == (ssize_t)size;
}

static void fill(struct worker *worker, const struct worker_conf *conf)
{
    worker->cpu = conf->cpu;
    worker->host.loop = &worker->loop;
    worker->host.env = conf->env;
    worker->host.env.loop = &worker->loop;
    worker->host.env.worker = conf->index;
    worker->host.stats = worker->loop.stats = conf->stats;
    worker->host.ring = conf->ring;
    worker->host.traces = seed_traces(worker) ? conf->traces : NULL;
    worker->host.trail = trail_new(); // without memory nothing is remembered
    worker->host.id_prefix = conf->id_prefix;
    worker->host.home = conf->home;
    name_edge(worker, conf->edge_name);
    slab_init(&worker->loop.clients, client_size(), &worker->loop.budget);
    slab_init(&worker->loop.targets, pool_conn_size(), &worker->loop.budget);
    slab_init(&worker->loop.exchanges, exchange_size(), &worker->loop.budget);
    worker->listening = (struct listener_home){
        .clients = {&worker->host, &worker->clients},
        .connections_max = conf->connections_max,
        .reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
    };
    worker->mailbox = (struct mailbox){.read = read_letter, .woken = woken, .owner = worker};
    worker->stop_letter.kind = LETTER_STOP;
    pthread_mutex_init(&worker->listeners_lock, NULL);
}

enum status worker_start(struct worker **worker, const struct worker_conf *conf)
{
    struct worker *w = aligned_alloc(64, (sizeof(*w) + 63) / 64 * 64);

    *worker = NULL;
    if (!w)
        return E_NOMEM;
    memset(w, 0, sizeof(*w));
    if (loop_init(&w->loop, conf->index, conf->memory_limit)) {
        free(w);
        return E_IO;
    }
    fill(w, conf);
    w->host.env.shared = shared_open(&w->loop);
    w->host.env.encoders = &w->encoders;
    encoder_pool_init(&w->encoders, &w->loop);
    if (!w->host.env.shared || mailbox_open(&w->mailbox, &w->loop.uv) ||
        pthread_create(&w->thread, NULL, run, w)) {
        if (w->host.env.shared)
            shared_close(w->host.env.shared);
        loop_fini(&w->loop);
        shared_free(&w->host.env.shared);
        free(w);
        return E_IO;
    }
    *worker = w;
    return OK;
}

void worker_end(struct worker *worker)
{
    mailbox_post(&worker->mailbox, &worker->stop_letter);
}

void worker_join(struct worker *worker)
{
    pthread_join(worker->thread, NULL);
    if (worker->host.snapshot)
        snapshot_unpin(worker->host.snapshot, worker->loop.worker);
    worker->host.snapshot = NULL;
}

void worker_free(struct worker **worker)
{
    struct worker *w = *worker;

    *worker = NULL;
    if (!w)
        return;
    mailbox_close(&w->mailbox);
    loop_fini(&w->loop);
    for (unsigned i = 0; i < w->listener_count; i++)
        listener_free(&w->listeners[i]);
    shared_free(&w->host.env.shared);
    if (w->listening.reserve_fd >= 0)
        close(w->listening.reserve_fd);
    pthread_mutex_destroy(&w->listeners_lock);
    trail_free(&w->host.trail);
    free(w);
}

/* --- from other threads */

static struct worker_letter *new_letter(enum letter_kind kind, unsigned fds)
{
    struct worker_letter *letter = calloc(1, sizeof(*letter) + fds * sizeof(int));

    if (letter)
        letter->letter.kind = (int)kind;
    return letter;
}

static enum status post(struct worker *worker, struct worker_letter *letter)
{
    if (!letter)
        return E_NOMEM;
    mailbox_post(&worker->mailbox, &letter->letter);
    return OK;
}

void worker_adopt(struct worker *worker, struct snapshot *snapshot)
{
    struct snapshot_local *local = &snapshot->locals[worker->loop.worker];

    local->snapshot = snapshot;
    local->letter.kind = LETTER_ADOPT;
    mailbox_post(&worker->mailbox, &local->letter);
}

enum status worker_listen(struct worker *worker, const struct listener_spec *spec)
{
    struct worker_letter *letter = new_letter(LETTER_LISTEN, spec->count);
    char *bind = letter ? strdup(spec->bind) : NULL;

    if (!bind) {
        for (unsigned i = 0; i < spec->count; i++)
            close(spec->fds[i]);
        free(letter);
        return E_NOMEM;
    }
    letter->spec = *spec;
    letter->spec.bind = bind;
    if (spec->count)
        memcpy(letter->fds, spec->fds, spec->count * sizeof(int));
    return post(worker, letter);
}

enum status worker_unlisten(struct worker *worker, const char *bind)
{
    struct worker_letter *letter = new_letter(LETTER_UNLISTEN, 0);

    if (!letter)
        return E_NOMEM;
    letter->spec.bind = strdup(bind);
    if (!letter->spec.bind) {
        free(letter);
        return E_NOMEM;
    }
    return post(worker, letter);
}

enum status worker_announce_drain(struct worker *worker)
{
    return post(worker, new_letter(LETTER_ANNOUNCE, 0));
}

enum status worker_drain(struct worker *worker)
{
    return post(worker, new_letter(LETTER_DRAIN, 0));
}

static struct str put(char **at, struct str text)
{
    struct str copy = {text.p ? *at : NULL, text.len};

    if (text.len)
        memcpy(*at, text.p, text.len);
    *at += text.len;
    return copy;
}

enum status worker_sample(struct worker *worker, const struct sample *sample)
{
    size_t len = sample->service.len + sample->release.len + sample->path.len + sample->query.len;
    struct sample_letter *letter = malloc(sizeof(*letter) + len);
    char *at;

    if (!letter)
        return E_NOMEM;
    at = letter->text;
    letter->letter = (struct letter){.kind = LETTER_SAMPLE};
    letter->sample = (struct sample){.service = put(&at, sample->service),
                                     .release = put(&at, sample->release),
                                     .path = put(&at, sample->path),
                                     .query = put(&at, sample->query),
                                     .count = sample->count};
    mailbox_post(&worker->mailbox, &letter->letter);
    return OK;
}

void worker_wake(struct worker *worker)
{
    mailbox_wake(&worker->mailbox);
}

static enum trust_doubt doubt_of(const struct trust_watch *watch)
{
    if (__atomic_load_n(&watch->run, __ATOMIC_RELAXED) < TRUST_DOUBTFUL)
        return TRUST_DOUBT_NONE;
    return __atomic_load_n(&watch->doubt, __ATOMIC_RELAXED);
}

void worker_read(const struct worker *worker, struct worker_numbers *numbers)
{
    *numbers = (struct worker_numbers){
        .in_flight = __atomic_load_n(&worker->host.in_flight, __ATOMIC_RELAXED),
        .connections = __atomic_load_n(&worker->clients.count, __ATOMIC_RELAXED),
        .connections_max = worker->listening.connections_max,
        .refused = __atomic_load_n(&worker->listening.refused, __ATOMIC_RELAXED),
        .invalid = __atomic_load_n(&worker->loop.invalid, __ATOMIC_RELAXED),
        .memory_used = __atomic_load_n(&worker->memory_used, __ATOMIC_RELAXED),
        .lag_us = __atomic_load_n(&worker->lag_us, __ATOMIC_RELAXED),
        .shared = shared_state(worker->host.env.shared),
        .doubt = doubt_of(&worker->host.watch),
    };
}

struct str worker_shared_reason(const struct worker *worker, char *text)
{
    return shared_reason(worker->host.env.shared, text);
}

struct str worker_recall(const struct worker *worker, struct str id, char *out, uint64_t *when)
{
    return worker->host.trail ? trail_find(worker->host.trail, id, out, when) : STR_NONE;
}

uint64_t worker_faults(const struct worker *worker, enum reason why)
{
    return __atomic_load_n(&worker->clients.faults[why], __ATOMIC_RELAXED);
}

uint32_t worker_clients(struct worker *worker, const char *bind)
{
    uint32_t sum = 0;

    pthread_mutex_lock(&worker->listeners_lock);
    for (unsigned i = 0; i < worker->listener_count; i++)
        if (worker->listeners[i] && !strcmp(listener_bind(worker->listeners[i]), bind))
            sum += listener_clients(worker->listeners[i]);
    pthread_mutex_unlock(&worker->listeners_lock);
    return sum;
}

unsigned worker_listener_room(struct worker *worker)
{
    unsigned room;

    pthread_mutex_lock(&worker->listeners_lock);
    room = LISTENERS_MAX - worker->listener_count;
    for (unsigned i = 0; i < worker->listener_count; i++)
        room += !worker->listeners[i] || listener_is_spent(worker->listeners[i]);
    pthread_mutex_unlock(&worker->listeners_lock);
    return room;
}

void worker_probe(struct worker *worker)
{
    __atomic_store_n(&worker->probed_us, uv_hrtime() / 1000, __ATOMIC_RELAXED);
    mailbox_wake(&worker->mailbox);
}
