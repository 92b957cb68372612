/* SPDX-License-Identifier: Apache-2.0 */
#include "control/backups.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/s3.h"
#include "control/say.h"
#include "control/whole_file.h"

enum {
    FIRST_RETRY_MS = 5000,
    LAST_RETRY_MS = 15 * 60 * 1000,
    TRIES_MAX = 8,
    CALL_MS = 10 * 60 * 1000,
    LIST_MAX = 4 * 1024 * 1024,
    SIZE_MAX_MIB = 512,
};

struct backups {
    struct backups_options options;
    struct arena arena; /* of the texts in place and url */
    struct s3_place place;
    char *url; /* NULL: nowhere */
    uint32_t every_ms, keep;
    struct store_copy copy;
    struct whole_file file;
    uv_work_t reading;
    struct outbound_call *call;
    json_t *names;                       /* in the store, while they are listed */
    char token[S3_TOKEN];                /* of the list's next page */
    char last_sha[WHOLE_FILE_SHA];       /* of what is there already */
    char name[S3_NAME];                  /* on its way */
    char kept[S3_NAME], error[S3_ERROR]; /* the newest; of the last try */
    int64_t kept_ms, due_ms;             /* wall clock; monotonic */
    int64_t newest_ms;                   /* Unix, as the newest is named; 0: there is none */
    unsigned tries;
    bool is_busy, is_closed, is_known; /* known: which is the newest */
};

static int64_t monotonic(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- how it went */

static void note(struct backups *backups, const char *action, json_t *after)
{
    journal_note(backups->options.journal,
                 &(struct journal_entry){.action = action, .after = after});
}

static void end(struct backups *backups)
{
    whole_file_free(&backups->file);
    json_decref(backups->names);
    backups->names = NULL;
    backups->is_busy = false;
}

static void fail(struct backups *backups, const char *why)
{
    int64_t wait_ms = (int64_t)FIRST_RETRY_MS << backups->tries;

    if (strcmp(why, backups->error) != 0)
        say_line("the backup to %s fails: %s; it is tried again", backups->url, why);
    if (!*backups->error)
        note(backups, "backup.fail", json_pack("{s:s,s:s}", "url", backups->url, "why", why));
    snprintf(backups->error, sizeof(backups->error), "%s", why);
    if (wait_ms > LAST_RETRY_MS)
        wait_ms = LAST_RETRY_MS;
    if (wait_ms > backups->every_ms)
        wait_ms = backups->every_ms;
    backups->tries += backups->tries < TRIES_MAX;
    backups->due_ms = monotonic() + wait_ms;
    end(backups);
}

static void succeed(struct backups *backups)
{
    if (*backups->error) {
        say_line("the backup to %s works again", backups->url);
        note(backups, "backup.work", json_pack("{s:s}", "url", backups->url));
    }
    backups->error[0] = '\0';
    backups->tries = 0;
    backups->due_ms = monotonic() + backups->every_ms;
    end(backups);
}

/* --- the oldest go */

static void list(struct backups *backups);

/* The oldest of too many, which is taken out; empty: there are no more than may be. What was put a
 * moment ago stays, whatever its name. */
static void take_oldest(struct backups *backups, char name[S3_NAME])
{
    size_t count = json_array_size(backups->names), oldest = count;

    name[0] = '\0';
    if (count <= backups->keep)
        return;
    for (size_t i = 0; i < count; i++) {
        const char *one = json_string_value(json_array_get(backups->names, i));

        if (strcmp(one, backups->kept) != 0 && (!*name || strcmp(one, name) < 0)) {
            snprintf(name, S3_NAME, "%s", one);
            oldest = i;
        }
    }
    json_array_remove(backups->names, oldest);
}

static void on_deleted(void *owner, const struct outbound_reply *reply);

static void delete_next(struct backups *backups)
{
    char name[S3_NAME];
    struct s3_call call = {.method = "DELETE",
                           .name = name,
                           .timeout_ms = CALL_MS,
                           .size_max = LIST_MAX,
                           .done = on_deleted,
                           .owner = backups};

    take_oldest(backups, name);
    if (!*name) {
        succeed(backups);
        return;
    }
    backups->call = s3_send(backups->options.outbound, &backups->place, &call);
    if (!backups->call)
        fail(backups, "out of memory");
}

static void on_deleted(void *owner, const struct outbound_reply *reply)
{
    struct backups *backups = owner;
    char why[S3_ERROR];

    backups->call = NULL;
    if (reply->status / 100 == 2 || reply->status == 404) {
        delete_next(backups);
        return;
    }
    s3_explain(reply, why);
    fail(backups, why);
}

/* A control that is started again and again must not push all older ones out. */
static void resume(struct backups *backups)
{
    int64_t ago_ms = (int64_t)clock_wall_ms() - backups->newest_ms;

    backups->is_known = true;
    succeed(backups);
    if (ago_ms < 0 || ago_ms >= backups->every_ms)
        ago_ms = backups->every_ms;
    backups->due_ms -= ago_ms;
}

static void note_newest(struct backups *backups)
{
    const char *newest = s3_newest(backups->names);

    backups->newest_ms = newest ? s3_name_ms(newest) : 0;
}

static void on_listed(void *owner, const struct outbound_reply *reply)
{
    struct backups *backups = owner;
    char why[S3_ERROR];

    backups->call = NULL;
    if (reply->status != 200) {
        s3_explain(reply, why);
        fail(backups, why);
    } else if (!s3_read_list(reply->body, &backups->place, backups->names, backups->token)) {
        fail(backups, "the store answers with something else than a list");
    } else if (*backups->token) {
        list(backups);
    } else {
        note_newest(backups);
        if (backups->is_known)
            delete_next(backups);
        else
            resume(backups);
    }
}

static void list(struct backups *backups)
{
    struct s3_call call = {.method = "GET",
                           .token = *backups->token ? backups->token : NULL,
                           .timeout_ms = CALL_MS,
                           .size_max = LIST_MAX,
                           .done = on_listed,
                           .owner = backups};

    if (!backups->names)
        backups->names = json_array();
    backups->call = s3_send(backups->options.outbound, &backups->place, &call);
    if (!backups->call)
        fail(backups, "out of memory");
}

/* --- the newest comes */

static void on_put(void *owner, const struct outbound_reply *reply)
{
    struct backups *backups = owner;
    char why[S3_ERROR];

    backups->call = NULL;
    if (reply->status / 100 != 2) {
        s3_explain(reply, why);
        fail(backups, why);
        return;
    }
    memcpy(backups->last_sha, backups->file.sha, sizeof(backups->last_sha));
    memcpy(backups->kept, backups->name, sizeof(backups->kept));
    backups->kept_ms = (int64_t)clock_wall_ms();
    backups->newest_ms = s3_name_ms(backups->name);
    list(backups);
}

/* Later than all that are there, for the last by name is taken for the newest: also where a clock
 * ran ahead once. */
static void make_name(struct backups *backups)
{
    int64_t now_ms = (int64_t)clock_wall_ms(), least_ms = backups->newest_ms + 1000;

    s3_name(now_ms > least_ms ? now_ms : least_ms, backups->name);
    if (!s3_is_name(backups->name)) // after the year 9999
        s3_name(now_ms, backups->name);
}

static void put(struct backups *backups)
{
    struct s3_call call = {.method = "PUT",
                           .name = backups->name,
                           .body = {backups->file.bytes, backups->file.len},
                           .sha256 = backups->file.sha,
                           .timeout_ms = CALL_MS,
                           .size_max = LIST_MAX,
                           .done = on_put,
                           .owner = backups};

    make_name(backups);
    backups->call = s3_send(backups->options.outbound, &backups->place, &call);
    if (!backups->call)
        fail(backups, "out of memory");
}

static void on_read(uv_work_t *work, int cancelled)
{
    struct backups *backups = work->data;

    if (cancelled || backups->is_closed || !backups->url)
        end(backups);
    else if (*backups->file.error)
        fail(backups, backups->file.error);
    else if (!strcmp(backups->file.sha, backups->last_sha))
        succeed(backups);
    else
        put(backups);
}

static void read_file(uv_work_t *work)
{
    struct backups *backups = work->data;

    whole_file_read(&backups->file, (size_t)SIZE_MAX_MIB << 20);
}

static void on_copied(struct store_job *job, enum status status)
{
    struct store_copy *copy = CONTAINER_OF(job, struct store_copy, job);
    struct backups *backups = CONTAINER_OF(copy, struct backups, copy);

    if (status == E_CLOSED || backups->is_closed || !backups->url) {
        end(backups);
        return;
    }
    if (status) {
        fail(backups, job->error);
        return;
    }
    whole_file_open(&backups->file, copy->path);
    unlink(copy->path);
    backups->reading.data = backups;
    uv_queue_work(backups->options.loop, &backups->reading, read_file, on_read);
}

void backups_tick(struct backups *backups, int64_t now_ms)
{
    if (backups->is_busy || !backups->url || now_ms < backups->due_ms ||
        !store_epoch(backups->options.store))
        return;
    backups->is_busy = true;
    backups->token[0] = '\0';
    if (!backups->is_known) {
        list(backups);
        return;
    }
    backups->copy = (struct store_copy){.job = {.done = on_copied}};
    store_copy(backups->options.store, &backups->copy);
}

json_t *backups_json(const struct backups *backups)
{
    if (!backups->url)
        return NULL;
    return json_pack("{s:s,s:s?,s:I,s:s?}", "url", backups->url, "object",
                     *backups->kept ? backups->kept : NULL, "at_ms", (json_int_t)backups->kept_ms,
                     "error", *backups->error ? backups->error : NULL);
}

/* --- life */

struct backups *backups_new(const struct backups_options *options)
{
    struct backups *backups = calloc(1, sizeof(*backups));

    if (!backups)
        return NULL;
    backups->options = *options;
    arena_init(&backups->arena, NULL, 0);
    return backups;
}

/* The same again changes nothing, and does not hurry. */
static bool is_same(const struct backups *backups, const struct conf_backup *conf)
{
    return backups->url && !strcmp(backups->url, conf->url.s.p) &&
           !strcmp(backups->place.region, conf->region.s.p) &&
           !strcmp(backups->place.key, conf->key.s.p) &&
           !strcmp(backups->place.secret, conf->secret.s.p) &&
           !strcmp(backups->place.ca ? backups->place.ca : "", conf->ca.s.len ? conf->ca.s.p : "");
}

static void forget(struct backups *backups)
{
    if (backups->call) {
        outbound_cancel(&backups->call);
        end(backups);
    }
    arena_reset(&backups->arena);
    backups->place = (struct s3_place){.region = NULL};
    backups->url = NULL;
    backups->last_sha[0] = backups->kept[0] = backups->error[0] = '\0';
    backups->due_ms = backups->kept_ms = backups->newest_ms = 0;
    backups->tries = 0;
    backups->is_known = false;
}

static char *copy_of(struct backups *backups, const struct conf_text *text)
{
    return (char *)(uintptr_t)arena_copy(&backups->arena, text->s).p;
}

enum status backups_configure(struct backups *backups, const struct conf_control *conf)
{
    const struct conf_backup *backup = &conf->backup;
    const char *wrong;
    char *url;

    backups->every_ms = backup->every_ms;
    backups->keep = backup->keep;
    if (conf->has_backup && is_same(backups, backup))
        return OK;
    forget(backups);
    if (!conf->has_backup)
        return OK;
    url = copy_of(backups, &backup->url);
    backups->place.region = copy_of(backups, &backup->region);
    backups->place.key = copy_of(backups, &backup->key);
    backups->place.secret = copy_of(backups, &backup->secret);
    backups->place.ca = backup->ca.s.len ? copy_of(backups, &backup->ca) : NULL;
    if (!url || !backups->place.region || !backups->place.key || !backups->place.secret)
        return E_NOMEM;
    wrong = s3_place_read(&backups->place, backup->url.s);
    if (wrong)
        say_line("no backups are made to %s: %s", url, wrong);
    else
        backups->url = url;
    return OK;
}

void backups_close(struct backups *backups)
{
    backups->is_closed = true;
    outbound_cancel(&backups->call);
}

void backups_free(struct backups **backups)
{
    struct backups *gone = *backups;

    *backups = NULL;
    if (!gone)
        return;
    end(gone);
    arena_reset(&gone->arena);
    free(gone);
}
