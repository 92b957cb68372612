/* SPDX-License-Identifier: Apache-2.0
 *
 * The access log's thread and its control. The thread sleeps in two ways: a nap of 50 ms while
 * there is traffic, which a worker ends early only when its ring is more than a quarter full; and,
 * when a nap brought nothing, until the first record. Workers pay one load of `state` for each
 * record, and a system call only to wake.
 */
#include "edge/metric/access.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "edge/metric/access_format.h"
#include "edge/metric/access_ring.h"
#include "edge/metric/access_sink.h"

enum {
    BUFFER_SIZE = 256 * 1024,
    WAKE_ABOVE = ACCESS_RING_SIZE / 4,
    NAP_MS = 50,
    CLOSE_S = 2,
    CANCEL_S = 1,
};

/* `keep`: the share of answers below 400 that is kept, of KEEP_ALL; or nothing at all. */
#define KEEP_ALL (UINT64_C(1) << 32)
#define KEEP_OFF UINT64_MAX

enum thread_state { AWAKE, NAP, IDLE };

/* What the manager wants changed; taken by the thread before its next round. */
struct change {
    bool is_set, has_sink;
    enum conf_log_format format;
    struct access_sink sink; /* owned where has_sink */
};

struct access_log {
    _Alignas(64) uint32_t state; /* enum thread_state */
    int wake_fd, cancel_fd;      /* eventfds; the second ends waiting for a reader */
    uint64_t keep;
    bool is_stopping;
    uint64_t dropped; /* records that could not be written */
    pthread_t thread;
    /* between manager and thread */
    pthread_mutex_t lock;
    struct change change;
    /* the manager's */
    char *path; /* of the sink last wanted; NULL: none */
    enum conf_log_format wanted;
    unsigned ring_count;
    /* the thread's */
    _Alignas(64) struct access_sink sink;
    enum conf_log_format format;
    struct access_format dates;
    bool is_ready;
    size_t used; /* bytes in buffer */
    uint64_t now_us;
    char *buffer; /* BUFFER_SIZE */
    struct access_ring rings[];
};

/* --- worker */

struct access_ring *access_ring(struct access_log *log, unsigned worker)
{
    assert(worker < log->ring_count);
    return &log->rings[worker];
}

/* Marsaglia's xorshift64. */
static uint32_t draw(struct access_ring *ring)
{
    uint64_t x = ring->random;
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    ring->random = x;
    return (uint32_t)(x >> 32);
}

bool access_wants(struct access_ring *ring, uint16_t status)
{
    uint64_t keep = __atomic_load_n(&ring->log->keep, __ATOMIC_RELAXED);
    if (keep == KEEP_OFF)
        return false;
    bool is_sampled = status > 0 && status < 400 && keep != KEEP_ALL;
    return !is_sampled || draw(ring) < keep;
}

/* Only one of all workers makes the system call: the one that changes the state. */
static void wake(struct access_log *log)
{
    if (__atomic_exchange_n(&log->state, AWAKE, __ATOMIC_ACQ_REL) != AWAKE)
        eventfd_write(log->wake_fd, 1);
}

void access_write(struct access_ring *ring, const struct access_record *record)
{
    struct access_log *log = ring->log;
    uint64_t waiting = access_ring_put(ring, record);
    // The compiler must not look at the state before the record is out; for the processor see
    // rest().
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    uint32_t state = __atomic_load_n(&log->state, __ATOMIC_RELAXED);
    if (state == AWAKE)
        return;
    if (state == IDLE || (waiting > WAKE_ABOVE && access_ring_waiting(ring) > WAKE_ABOVE))
        wake(log);
}

/* --- log thread */

static void add_dropped(struct access_log *log, uint64_t records)
{
    __atomic_store_n(&log->dropped, log->dropped + records, __ATOMIC_RELAXED);
}

static void flush(struct access_log *log)
{
    struct str lines = {log->buffer, log->used};
    log->used = 0;
    add_dropped(log, access_sink_write(&log->sink, lines, log->now_us));
    log->is_ready = access_sink_is_ready(&log->sink, log->now_us);
}

static void emit(struct access_log *log, const struct access_entry *entry)
{
    if (log->format == CONF_LOG_OFF)
        return;
    if (log->is_ready && BUFFER_SIZE - log->used < access_format_room(entry))
        flush(log);
    if (!log->is_ready) {
        add_dropped(log, 1);
        access_sink_lose(&log->sink, 1);
        return;
    }
    char *out = log->buffer + log->used;
    char *end = log->format == CONF_LOG_JSON ? access_format_json(&log->dates, entry, out)
                                             : access_format_common(&log->dates, entry, out);
    log->used = (size_t)(end - log->buffer);
}

/* One round over all rings; false when they were empty. */
static bool drain(struct access_log *log)
{
    bool is_any = false;
    log->now_us = clock_us();
    log->is_ready = access_sink_is_ready(&log->sink, log->now_us);
    for (unsigned i = 0; i < log->ring_count; i++) {
        struct access_ring *ring = &log->rings[i];
        uint64_t end = access_ring_end(ring);
        const struct access_entry *entry;
        while ((entry = access_ring_first(ring, end))) {
            emit(log, entry);
            access_ring_next(ring, entry);
            is_any = true;
        }
    }
    flush(log);
    return is_any;
}

static void take_change(struct access_log *log)
{
    pthread_mutex_lock(&log->lock);
    struct change change = log->change;
    log->change = (struct change){0};
    pthread_mutex_unlock(&log->lock);
    if (!change.is_set)
        return;
    log->format = change.format;
    if (change.has_sink)
        access_sink_replace(&log->sink, &change.sink);
}

/* Sleeps after `empty` rounds that brought nothing; true when woken. A record may slip in with a
 * look at `state` from before it was IDLE, as workers use no fence; therefore the first idle sleep
 * is bounded, and the state stays IDLE from it to the second: by then such a record has long been
 * visible, and that round finds it. */
static bool rest(struct access_log *log, unsigned empty)
{
    struct pollfd wake = {.fd = log->wake_fd, .events = POLLIN};
    if (empty < 2)
        __atomic_store_n(&log->state, empty ? IDLE : NAP, __ATOMIC_SEQ_CST);
    int n = poll(&wake, 1, empty < 2 ? NAP_MS : -1);
    if (n > 0) {
        eventfd_t unused;
        eventfd_read(log->wake_fd, &unused);
    }
    if (n > 0 || !empty)
        __atomic_store_n(&log->state, AWAKE, __ATOMIC_RELAXED);
    return n > 0;
}

static void *run(void *owner)
{
    struct access_log *log = owner;
    unsigned empty = 0;
    for (;;) {
        bool is_stopping = __atomic_load_n(&log->is_stopping, __ATOMIC_ACQUIRE);
        take_change(log);
        bool is_any = drain(log);
        if (is_stopping)
            return NULL;
        empty = is_any ? 0 : empty + (empty < 2);
        if (rest(log, empty))
            empty = 0;
    }
}

/* --- manager */

static void set_keep(struct access_log *log, const struct conf_log *conf)
{
    uint64_t keep = conf->sample_ppm * KEEP_ALL / 1000000;
    if (keep > KEEP_ALL)
        keep = KEEP_ALL;
    if (conf->format == CONF_LOG_OFF)
        keep = KEEP_OFF;
    __atomic_store_n(&log->keep, keep, __ATOMIC_RELAXED);
}

/* Hands the thread what is new. `sink` NULL: it keeps its own. */
static void submit(struct access_log *log, struct access_sink *sink)
{
    struct access_sink stale = {.fd = -1};
    pthread_mutex_lock(&log->lock);
    log->change.is_set = true;
    log->change.format = log->wanted;
    if (sink) {
        if (log->change.has_sink)
            stale = log->change.sink;
        log->change.sink = *sink;
        log->change.has_sink = true;
    }
    pthread_mutex_unlock(&log->lock);
    access_sink_close(&stale);
    eventfd_write(log->wake_fd, 1);
}

/* Opens another sink; "off" is none. The old stays when that fails. */
static enum status change_sink(struct access_log *log, struct str path, bool is_off)
{
    struct access_sink sink = {.fd = -1};
    char *copy = NULL;
    if (!is_off) {
        enum status status = access_sink_open(&sink, path);
        copy = status == OK ? strdup(sink.path) : NULL;
        if (!copy) {
            access_sink_close(&sink);
            return status == OK ? E_NOMEM : status;
        }
    }
    free(log->path);
    log->path = copy;
    submit(log, &sink);
    return OK;
}

static bool is_path(const char *path, struct str s)
{
    return path && strlen(path) == s.len && memcmp(path, s.p, s.len) == 0;
}

enum status access_configure(struct access_log *log, const struct conf_log *conf)
{
    bool is_off = conf->format == CONF_LOG_OFF;
    enum conf_log_format before = log->wanted;
    log->wanted = conf->format;
    if (!is_off && is_path(log->path, conf->path.s)) {
        submit(log, NULL);
    } else {
        enum status status = change_sink(log, conf->path.s, is_off);
        if (status != OK) {
            log->wanted = before;
            return status;
        }
    }
    set_keep(log, conf);
    return OK;
}

enum status access_reopen(struct access_log *log)
{
    if (!log->path)
        return OK;
    return change_sink(log, (struct str){log->path, strlen(log->path)}, false);
}

static bool start(struct access_log *log)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int error = pthread_create(&log->thread, NULL, run, log);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0;
}

static void free_log(struct access_log *log)
{
    for (unsigned i = 0; i < log->ring_count; i++)
        access_ring_fini(&log->rings[i]);
    if (log->wake_fd >= 0)
        close(log->wake_fd);
    if (log->cancel_fd >= 0)
        close(log->cancel_fd);
    access_sink_close(&log->sink);
    access_sink_close(&log->change.sink);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log->buffer);
    free(log);
}

static struct access_log *make(unsigned rings)
{
    size_t size = sizeof(struct access_log) + rings * sizeof(struct access_ring);
    struct access_log *log = aligned_alloc(64, size);
    if (!log)
        return NULL;
    memset(log, 0, size);
    log->sink.fd = log->change.sink.fd = -1;
    pthread_mutex_init(&log->lock, NULL);
    log->ring_count = rings;
    log->buffer = malloc(BUFFER_SIZE);
    log->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    log->cancel_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    log->sink.cancel_fd = log->cancel_fd;
    bool is_good = log->buffer && log->wake_fd >= 0 && log->cancel_fd >= 0;
    for (unsigned i = 0; i < rings; i++)
        is_good = access_ring_init(&log->rings[i], log, clock_us() + i) && is_good;
    if (is_good)
        return log;
    free_log(log);
    return NULL;
}

struct access_log *access_open(const struct conf_log *conf, unsigned rings)
{
    assert(rings > 0 && rings <= 4096);
    struct access_log *log = make(rings);
    if (!log)
        return NULL;
    if (access_configure(log, conf) == OK && start(log))
        return log;
    int saved = errno;
    free_log(log);
    errno = saved;
    return NULL;
}

static bool join(struct access_log *log, int seconds)
{
    struct timespec until;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += seconds;
    return pthread_timedjoin_np(log->thread, NULL, &until) == 0;
}

void access_close(struct access_log **log)
{
    struct access_log *closing = *log;
    *log = NULL;
    if (!closing)
        return;
    __atomic_store_n(&closing->is_stopping, true, __ATOMIC_RELEASE);
    eventfd_write(closing->wake_fd, 1);
    bool is_ended = join(closing, CLOSE_S);
    if (!is_ended) {
        dprintf(STDERR_FILENO, "log: %s did not take the last records in %d s\n",
                closing->path ? closing->path : "the sink", CLOSE_S);
        eventfd_write(closing->cancel_fd, 1);
        is_ended = join(closing, CANCEL_S);
    }
    // A thread that a dead disk holds in the kernel keeps its memory: the process is about to end.
    if (is_ended)
        free_log(closing);
}

uint64_t access_dropped(const struct access_log *log)
{
    uint64_t sum = __atomic_load_n(&log->dropped, __ATOMIC_RELAXED);
    for (unsigned i = 0; i < log->ring_count; i++)
        sum += __atomic_load_n(&log->rings[i].dropped, __ATOMIC_RELAXED);
    return sum;
}
