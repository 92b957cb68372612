/* SPDX-License-Identifier: Apache-2.0 */
#include "control/journal.h"

#include <stdlib.h>

#include "base/clock.h"

enum { WAITING_MAX = 1000, RETRY_MS = 1000 };

struct journal {
    struct store *store;
    struct store_put put;
    json_t *waiting; /* NULL: none */
    json_int_t missed;
    int64_t retry_ms; /* monotonic */
    bool is_storing;
};

static json_t *or_null(json_t *value)
{
    return value ? value : json_null();
}

bool journal_add(json_t **entries, const struct journal_entry *entry)
{
    json_t *json =
        json_pack("{s:I,s:s,s:s,s:s?,s:s?,s:o,s:o}", "time_ms", (json_int_t)clock_wall_ms(),
                  "actor", entry->actor ? entry->actor : "control", "action", entry->action,
                  "service", entry->service, "subject", entry->subject, "before",
                  or_null(entry->before), "after", or_null(entry->after));

    if (!*entries)
        *entries = json_array();
    return !json_array_append_new(*entries, json);
}

struct journal *journal_new(struct store *store)
{
    struct journal *journal = calloc(1, sizeof(*journal));

    if (journal)
        journal->store = store;
    return journal;
}

/* What could not be written comes before what was said since. */
static void take_back(struct journal *journal)
{
    json_array_extend(journal->put.entries, journal->waiting);
    json_decref(journal->waiting);
    journal->waiting = journal->put.entries;
    journal->put.entries = NULL;
    journal->retry_ms = (int64_t)(clock_us() / 1000) + RETRY_MS;
}

static void on_put(struct store_job *job, enum status status)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    struct journal *journal = CONTAINER_OF(put, struct journal, put);

    journal->is_storing = false;
    if (status)
        take_back(journal);
    store_put_free(put);
}

static void add_gap(struct journal *journal)
{
    json_t *after = json_pack("{s:I}", "changes", journal->missed);

    if (journal_add(&journal->waiting,
                    &(struct journal_entry){.action = "ledger.gap", .after = after}))
        journal->missed = 0;
}

void journal_tick(struct journal *journal, int64_t now_ms)
{
    if (journal->is_storing || now_ms < journal->retry_ms || !journal->waiting)
        return;
    if (journal->missed)
        add_gap(journal);
    journal->put = (struct store_put){.job = {.done = on_put}, .entries = journal->waiting};
    journal->waiting = NULL;
    journal->is_storing = true;
    store_put(journal->store, &journal->put);
}

void journal_note(struct journal *journal, const struct journal_entry *entry)
{
    if (json_array_size(journal->waiting) < WAITING_MAX) {
        if (!journal_add(&journal->waiting, entry))
            journal->missed++;
    } else {
        json_decref(entry->before);
        json_decref(entry->after);
        journal->missed++;
    }
    journal_tick(journal, (int64_t)(clock_us() / 1000));
}

void journal_free(struct journal **journal)
{
    struct journal *gone = *journal;

    *journal = NULL;
    if (!gone)
        return;
    store_put_free(&gone->put);
    json_decref(gone->waiting);
    free(gone);
}
