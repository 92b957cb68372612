/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents in the store: JSON under a kind and an id, written all or nothing.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/store_impl.h"

static enum status write_one(struct store_db *db, const struct store_document *document)
{
    enum store_statement which = document->text ? STORE_DOCUMENT_PUT : STORE_DOCUMENT_DROP;
    sqlite3_stmt *statement = store_db_statement(db, which);

    if (!statement)
        return E_IO;
    sqlite3_bind_text(statement, 1, document->kind, -1, SQLITE_STATIC);
    sqlite3_bind_text(statement, 2, document->id, -1, SQLITE_STATIC);
    if (document->text) {
        sqlite3_bind_int64(statement, 3, (int64_t)clock_wall_ms());
        sqlite3_bind_text(statement, 4, document->text, -1, SQLITE_STATIC);
    }
    return store_db_run(db, which);
}

static void write_all(struct store_db *db, struct store_job *job)
{
    struct store_put *put = CONTAINER_OF(job, struct store_put, job);
    enum status status = store_db_begin(db);

    if (status) {
        job->status = status;
        return;
    }
    for (uint32_t i = 0; !status && i < put->count; i++)
        status = write_one(db, &put->documents[i]);
    if (!status)
        status = store_ledger_add(db, put->entries);
    job->status = store_db_end(db, status);
    db->is_changed |= !job->status;
    if (!job->status)
        db->appended += json_array_size(put->entries);
}

void store_put_free(struct store_put *put)
{
    for (uint32_t i = 0; i < put->count; i++)
        free(put->documents[i].text);
    put->count = 0;
    json_decref(put->entries);
    put->entries = NULL;
}

bool store_put_add(struct store_put *put, const char *kind, const char *id, const json_t *json)
{
    struct store_document *document = &put->documents[put->count];

    if (put->count == STORE_DOCUMENTS_MAX)
        return false;
    *document = (struct store_document){.kind = kind};
    snprintf(document->id, sizeof(document->id), "%s", id);
    document->text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    if (json && !document->text)
        return false;
    put->count++;
    return true;
}

void store_put(struct store *store, struct store_put *put)
{
    store_push(store, &put->job, write_all);
}

static void read_all(struct store_db *db, struct store_job *job)
{
    struct store_list *list = CONTAINER_OF(job, struct store_list, job);
    sqlite3_stmt *statement = store_db_statement(db, STORE_DOCUMENT_LIST);
    int code = SQLITE_ERROR;

    job->status = E_IO;
    if (!statement)
        return;
    list->documents = json_object();
    sqlite3_bind_text(statement, 1, list->kind, -1, SQLITE_STATIC);
    while ((code = sqlite3_step(statement)) == SQLITE_ROW)
        json_object_set_new(list->documents, (const char *)sqlite3_column_text(statement, 0),
                            json_loads((const char *)sqlite3_column_text(statement, 1), 0, NULL));
    job->status = code == SQLITE_DONE ? OK : store_db_fail(db, "cannot read");
    sqlite3_reset(statement);
    if (job->status) {
        json_decref(list->documents);
        list->documents = NULL;
    }
}

void store_list(struct store *store, struct store_list *list)
{
    list->job.is_reading = true;
    store_push(store, &list->job, read_all);
}
