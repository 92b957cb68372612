/* SPDX-License-Identifier: Apache-2.0
 *
 * The ledger in the store: what edges tell is appended, hashed, once each, and what control did;
 * and it is read.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/ledger.h"
#include "control/store_impl.h"

enum { TEXT_MAX = 512, VERIFY_PAGE = 500 };

static const char ours[] = "control";

static enum status no_memory(struct store_db *db)
{
    snprintf(db->error, sizeof(db->error), "out of memory");
    return E_IO;
}

/* --- feeds */

static void read_feed(struct store_db *db, struct store_job *job)
{
    struct store_feed *feed = CONTAINER_OF(job, struct store_feed, job);
    sqlite3_stmt *statement = store_db_statement(db, STORE_FEED_GET);
    int code;

    job->status = E_IO;
    if (!statement)
        return;
    sqlite3_bind_text(statement, 1, feed->edge, -1, SQLITE_STATIC);
    code = sqlite3_step(statement);
    feed->journal[0] = '\0';
    feed->seq = 0;
    if (code == SQLITE_ROW) {
        snprintf(feed->journal, sizeof(feed->journal), "%s", sqlite3_column_text(statement, 0));
        feed->seq = sqlite3_column_int64(statement, 1);
    }
    job->status = code == SQLITE_ROW || code == SQLITE_DONE ? OK : store_db_fail(db, "cannot read");
    sqlite3_reset(statement);
}

static enum status write_feed(struct store_db *db, const struct store_feed *feed)
{
    sqlite3_stmt *statement = store_db_statement(db, STORE_FEED_SET);

    if (!statement)
        return E_IO;
    sqlite3_bind_text(statement, 1, feed->edge, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, feed->journal, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, feed->seq);
    return store_db_run(db, STORE_FEED_SET);
}

/* --- appending */

/* The end of the chain. */
struct head {
    int64_t id;
    char hash[LEDGER_HEX + 1];
};

static enum status read_head(struct store_db *db, struct head *head)
{
    sqlite3_stmt *statement = store_db_statement(db, STORE_LEDGER_HEAD);
    int code = statement ? sqlite3_step(statement) : SQLITE_ERROR;

    head->id = 0;
    snprintf(head->hash, sizeof(head->hash), "%s", ledger_origin());
    if (code == SQLITE_ROW) {
        head->id = sqlite3_column_int64(statement, 0);
        snprintf(head->hash, sizeof(head->hash), "%s", sqlite3_column_text(statement, 1));
    }
    if (statement)
        sqlite3_reset(statement);
    if (code == SQLITE_ROW || code == SQLITE_DONE)
        return OK;
    return statement ? store_db_fail(db, "cannot read") : E_IO;
}

/* What an edge says is taken as it is, but in measure: an edge that is wrong holds up no other. */
static json_t *take_text(const json_t *change, const char *name, const char *otherwise)
{
    json_t *value = json_object_get(change, name);

    if (json_is_string(value) && json_string_length(value) <= TEXT_MAX)
        return json_incref(value);
    return otherwise ? json_string(otherwise) : json_null();
}

static json_t *take_value(const json_t *change, const char *name)
{
    json_t *value = json_object_get(change, name);
    char *text = value ? ledger_canonical(value) : NULL;

    free(text);
    return text ? json_incref(value) : json_null();
}

/* What something led to is for control alone to say. */
static json_t *make_entry(const json_t *change, const char *edge, int64_t id)
{
    json_int_t time_ms = json_integer_value(json_object_get(change, "time_ms"));
    json_t *effect = edge ? json_null() : take_value(change, "effect");
    json_t *of = edge ? json_null() : take_value(change, "of");

    return json_pack("{s:I,s:I,s:o,s:o,s:o,s:o,s:s,s:o,s:o,s:o,s:o}", "id", (json_int_t)id,
                     "time_ms", time_ms, "actor", take_text(change, "actor", "unknown"), "action",
                     take_text(change, "action", "unknown"), "service",
                     take_text(change, "service", NULL), "subject",
                     take_text(change, "subject", NULL), "edge", edge ? edge : ours, "before",
                     take_value(change, "before"), "after", take_value(change, "after"), "effect",
                     effect, "of", of);
}

static void bind_text(sqlite3_stmt *statement, int at, const json_t *entry, const char *name)
{
    const json_t *value = json_object_get(entry, name);

    if (json_is_string(value))
        sqlite3_bind_text(statement, at, json_string_value(value), (int)json_string_length(value),
                          SQLITE_STATIC);
}

static bool bind_json(sqlite3_stmt *statement, int at, const json_t *entry, const char *name)
{
    const json_t *value = json_object_get(entry, name);
    char *text;

    if (json_is_null(value))
        return true;
    text = ledger_canonical(value);
    return text && !sqlite3_bind_text(statement, at, text, -1, free);
}

static enum status insert(struct store_db *db, const json_t *entry, const struct head *head,
                          const char *hash)
{
    sqlite3_stmt *statement = store_db_statement(db, STORE_LEDGER_ADD);
    const json_t *of = json_object_get(entry, "of");

    if (!statement)
        return E_IO;
    sqlite3_bind_int64(statement, 1, json_integer_value(json_object_get(entry, "id")));
    sqlite3_bind_int64(statement, 2, json_integer_value(json_object_get(entry, "time_ms")));
    bind_text(statement, 3, entry, "actor");
    bind_text(statement, 4, entry, "action");
    bind_text(statement, 5, entry, "service");
    bind_text(statement, 6, entry, "subject");
    bind_text(statement, 7, entry, "edge");
    if (!bind_json(statement, 8, entry, "before") || !bind_json(statement, 9, entry, "after") ||
        !bind_json(statement, 10, entry, "effect"))
        return no_memory(db);
    if (json_is_integer(of))
        sqlite3_bind_int64(statement, 11, json_integer_value(of));
    sqlite3_bind_text(statement, 12, head->hash, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 13, hash, -1, SQLITE_STATIC);
    return store_db_run(db, STORE_LEDGER_ADD);
}

/* `edge` NULL: it is control's own. */
static enum status add(struct store_db *db, const json_t *change, const char *edge,
                       struct head *head)
{
    json_t *entry = make_entry(change, edge, head->id + 1);
    char hash[LEDGER_HEX + 1];
    enum status status;

    if (!entry || !ledger_hash(entry, head->hash, hash))
        status = no_memory(db);
    else
        status = insert(db, entry, head, hash);
    json_decref(entry);
    if (status)
        return status;
    head->id++;
    memcpy(head->hash, hash, sizeof(hash));
    return OK;
}

/* What the edge could not keep while nobody listened is missed in the ledger too. */
static enum status add_gap(struct store_db *db, const char *edge, int64_t count, struct head *head)
{
    json_t *change =
        json_pack("{s:I,s:s,s:s,s:{s:I}}", "time_ms", (json_int_t)clock_wall_ms(), "actor",
                  "control", "action", "ledger.gap", "after", "changes", (json_int_t)count);
    enum status status = change ? add(db, change, edge, head) : no_memory(db);

    json_decref(change);
    return status;
}

static enum status add_all(struct store_db *db, struct store_append *append,
                           struct store_feed *feed)
{
    struct head head;
    json_t *change;
    size_t i;
    enum status status = read_head(db, &head);

    json_array_foreach(append->changes, i, change)
    {
        int64_t seq = json_integer_value(json_object_get(change, "seq"));

        if (status || seq <= feed->seq)
            continue;
        if (seq > feed->seq + 1)
            status = add_gap(db, append->edge, seq - feed->seq - 1, &head);
        if (!status)
            status = add(db, change, append->edge, &head);
        feed->seq = seq;
    }
    return status;
}

static void append(struct store_db *db, struct store_job *job)
{
    struct store_append *append = CONTAINER_OF(job, struct store_append, job);
    struct store_feed feed = {.seq = 0};
    enum status status = store_db_begin(db);

    if (!status) {
        snprintf(feed.edge, sizeof(feed.edge), "%s", append->edge);
        read_feed(db, &feed.job);
        status = feed.job.status;
        // Another journal begins anew.
        if (strcmp(feed.journal, append->journal) != 0)
            feed.seq = 0;
        snprintf(feed.journal, sizeof(feed.journal), "%s", append->journal);
        if (!status)
            status = add_all(db, append, &feed);
        if (!status)
            status = write_feed(db, &feed);
        status = store_db_end(db, status);
    }
    if (!status) {
        db->appended += json_array_size(append->changes);
        append->seq = feed.seq;
        db->is_changed = true;
    }
    job->status = status;
}

enum status store_ledger_add(struct store_db *db, const json_t *entries)
{
    struct head head;
    const json_t *entry;
    size_t i;
    enum status status = json_array_size(entries) ? read_head(db, &head) : OK;

    json_array_foreach(entries, i, entry) if (!status) status = add(db, entry, NULL, &head);
    return status;
}

/* --- reading */

static json_t *text_json(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    json_t *json = text ? json_string(text) : json_null();

    return json ? json : json_null(); // somebody put something else there
}

static json_t *value_json(sqlite3_stmt *statement, int column)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    json_t *json = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

    return json ? json : text_json(statement, column);
}

static json_t *number_json(sqlite3_stmt *statement, int column)
{
    return sqlite3_column_type(statement, column) == SQLITE_NULL
               ? json_null()
               : json_integer(sqlite3_column_int64(statement, column));
}

static json_t *entry_json(sqlite3_stmt *statement)
{
    static const char *const names[] = {"id",      "time_ms",  "actor",  "action", "service",
                                        "subject", "edge",     "before", "after",  "effect",
                                        "of",      "previous", "hash"};
    static const char kinds[] = "nnttttt"
                                "vvv"
                                "ntt";
    json_t *entry = json_object();

    for (int i = 0; i < (int)ARRAY_LEN(names); i++)
        json_object_set_new(entry, names[i],
                            kinds[i] == 'n'   ? number_json(statement, i)
                            : kinds[i] == 't' ? text_json(statement, i)
                                              : value_json(statement, i));
    return entry;
}

static enum status fetch(struct store_db *db, struct store_read *read)
{
    static const enum store_statement ways[2][2] = {{STORE_LEDGER_SINCE, STORE_LEDGER_NEWEST},
                                                    {STORE_LEDGER_SINCE_OF,
                                                     STORE_LEDGER_NEWEST_OF}};

    bool is_newest = read->since < 0, is_of_service = *read->service;
    sqlite3_stmt *statement = store_db_statement(db, ways[is_of_service][is_newest]);
    int code;

    if (!statement)
        return E_IO;
    sqlite3_bind_int64(statement, 1, read->since);
    if (is_of_service)
        sqlite3_bind_text(statement, 2, read->service, -1, SQLITE_STATIC);
    sqlite3_bind_int64(statement, 3, (int64_t)read->limit + 1);
    read->entries = json_array();
    read->has_more = false;
    while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
        if (json_array_size(read->entries) == read->limit)
            read->has_more = true;
        else if (is_newest)
            json_array_insert_new(read->entries, 0, entry_json(statement));
        else
            json_array_append_new(read->entries, entry_json(statement));
    }
    sqlite3_reset(statement);
    if (code == SQLITE_DONE)
        return OK;
    json_decref(read->entries);
    read->entries = NULL;
    return store_db_fail(db, "cannot read");
}

static void read_entries(struct store_db *db, struct store_job *job)
{
    job->status = fetch(db, CONTAINER_OF(job, struct store_read, job));
}

enum status store_ledger_verify(struct store_db *db)
{
    struct store_read read = {.limit = VERIFY_PAGE};
    struct ledger_walk walk = {0};
    enum status status = OK;
    json_t *entry;
    size_t i;

    do {
        read.since = walk.last;
        status = fetch(db, &read);
        if (status)
            return status;
        json_array_foreach(read.entries, i, entry)
        {
            const char *wrong = status ? NULL : ledger_walk(&walk, entry);

            if (!wrong)
                continue;
            snprintf(db->error, sizeof(db->error), "entry %lld of the ledger: %s",
                     (long long)json_integer_value(json_object_get(entry, "id")), wrong);
            status = E_INVALID;
        }
        json_decref(read.entries);
    } while (!status && read.has_more);
    return status;
}

/* --- jobs */

void store_append(struct store *store, struct store_append *job)
{
    store_push(store, &job->job, append);
}

void store_feed(struct store *store, struct store_feed *feed)
{
    feed->job.is_reading = true;
    store_push(store, &feed->job, read_feed);
}

void store_read(struct store *store, struct store_read *read)
{
    read->job.is_reading = true;
    store_push(store, &read->job, read_entries);
}
