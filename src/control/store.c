/* SPDX-License-Identifier: Apache-2.0 */
#include "control/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/say.h"
#include "control/store_impl.h"

enum { BACKUP_S = 3600 };

struct store {
    struct store_options options;
    struct store_db db; /* the running job's */
    struct store_job *first, **last, *running;
    unsigned count;
    uv_work_t work;
    struct store_job opening, backup;
    bool is_closing, is_backing_up;
    bool is_write_error;         /* what `error` is of */
    bool is_changed, has_backup; /* as the last job left it */
    unsigned since_backup_s;
    int64_t epoch;
    uint64_t appended;
    char error[STORE_ERROR];
};

/* --- one job after the other */

static void begin(struct store *store);

static void on_work(uv_work_t *work)
{
    struct store *store = work->data;
    struct store_job *job = store->running;
    struct store_db *db = &store->db;

    job->status = db->sql ? OK : store_db_open(db);
    if (!job->status)
        job->work(db, job);
    if (job->status)
        snprintf(job->error, sizeof(job->error), "%s", db->error);
    if (db->is_damaged)
        store_db_close(db);
}

/* A failure is said when it is another one than before, and so is its end. */
static void note(struct store *store, const struct store_job *job)
{
    if (*store->db.note)
        say_line("%s", store->db.note);
    store->db.note[0] = '\0';
    if (job->status && strcmp(job->error, store->error) != 0)
        say_line("%s", job->error);
    if (job->status)
        store->is_write_error = !job->is_reading;
    if (job->status || !store->is_write_error || !job->is_reading) {
        if (!job->status && *store->error)
            say_line("the store works again");
        snprintf(store->error, sizeof(store->error), "%s", job->status ? job->error : "");
    }
    store->epoch = store->db.epoch;
    store->is_changed = store->db.is_changed;
    store->appended = store->db.appended;
}

static void on_done(uv_work_t *work, int cancelled)
{
    struct store *store = work->data;
    struct store_job *job = store->running;

    store->running = NULL;
    if (!cancelled)
        note(store, job);
    job->done(job, cancelled ? E_CLOSED : job->status);
    begin(store);
}

static void begin(struct store *store)
{
    struct store_job *job = store->first;

    if (!job || store->running)
        return;
    store->first = job->next;
    if (!store->first)
        store->last = &store->first;
    store->count--;
    store->running = job;
    store->work.data = store;
    uv_queue_work(store->options.loop, &store->work, on_work, on_done);
}

void store_push(struct store *store, struct store_job *job,
                void (*work)(struct store_db *db, struct store_job *job))
{
    job->work = work;
    job->next = NULL;
    job->error[0] = '\0';
    if (store->is_closing || store->count >= STORE_JOBS_MAX) {
        snprintf(job->error, sizeof(job->error), "%s",
                 store->is_closing ? "control is ending" : "too many calls wait for the store");
        job->done(job, store->is_closing ? E_CLOSED : E_FULL);
        return;
    }
    *store->last = job;
    store->last = &job->next;
    store->count++;
    begin(store);
}

/* --- backups */

static void copy(struct store_db *db, struct store_job *job)
{
    struct store_copy *copy = CONTAINER_OF(job, struct store_copy, job);

    job->status = E_IO;
    if (store_file_name(db->state, ".copy", copy->path))
        job->status = store_file_copy(db, copy->path);
}

void store_copy(struct store *store, struct store_copy *job)
{
    job->job.is_reading = true;
    store_push(store, &job->job, copy);
}

static void back_up(struct store_db *db, struct store_job *job)
{
    char fresh[PATH_MAX], kept[PATH_MAX];

    job->status = E_IO;
    if (!store_file_name(db->state, ".backup.new", fresh) ||
        !store_file_name(db->state, ".backup", kept) || store_file_copy(db, fresh))
        return;
    if (rename(fresh, kept)) {
        snprintf(db->error, sizeof(db->error), "cannot write %.400s: %m", kept);
        return;
    }
    db->is_changed = false;
    job->status = OK;
}

static void on_backed_up(struct store_job *job, enum status status)
{
    struct store *store = CONTAINER_OF(job, struct store, backup);

    (void)status; // it was said; the next one is made in an hour
    store->is_backing_up = false;
    store->since_backup_s = 0;
}

void store_tick(struct store *store)
{
    bool is_due = ++store->since_backup_s >= BACKUP_S && store->is_changed;

    if (!store->epoch || store->is_backing_up || (store->has_backup && !is_due))
        return;
    store->has_backup = true;
    store->is_backing_up = true;
    store_push(store, &store->backup, back_up);
}

/* --- life */

static void open_only(struct store_db *db, struct store_job *job)
{
    (void)db;
    job->status = OK;
}

static void on_opened(struct store_job *job, enum status status)
{
    (void)job;
    (void)status; // it was said, and each further job tries again
}

struct store *store_new(const struct store_options *options)
{
    struct store *store = calloc(1, sizeof(*store));

    if (!store)
        return NULL;
    store->options = *options;
    store->db.state = options->state;
    store->db.lock = options->lock;
    store->last = &store->first;
    store->opening.done = on_opened;
    store->backup.done = on_backed_up;
    store->backup.is_reading = true; // of the database
    store_push(store, &store->opening, open_only);
    return store;
}

void store_close(struct store *store)
{
    store->is_closing = true;
    while (store->first) {
        struct store_job *job = store->first;

        store->first = job->next;
        job->done(job, E_CLOSED);
    }
    store->last = &store->first;
    store->count = 0;
}

void store_free(struct store **store)
{
    struct store *gone = *store;

    *store = NULL;
    if (!gone)
        return;
    store_db_close(&gone->db);
    free(gone);
}

int64_t store_epoch(const struct store *store)
{
    return store->epoch;
}

uint64_t store_appended(const struct store *store)
{
    return store->appended;
}

const char *store_error(const struct store *store)
{
    return *store->error ? store->error : NULL;
}
