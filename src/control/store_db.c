/* SPDX-License-Identifier: Apache-2.0
 *
 * The database opened: its settings, its tables by numbered migrations, its statements, and
 * sentences about what fails.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/lock.h"
#include "control/store_impl.h"

enum { BUSY_MS = 5000 };

/* Each brings the tables one version further (PRAGMA user_version); none is ever changed. The
 * ledger only grows: not even we can change what is in it. */
static const char *const migrations[] = {
    "CREATE TABLE meta (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL) STRICT;"
    "INSERT INTO meta VALUES (1, 0);"
    "CREATE TABLE feeds (edge TEXT PRIMARY KEY, journal TEXT NOT NULL, seq INTEGER NOT NULL)"
    " STRICT, WITHOUT ROWID;"
    "CREATE TABLE ledger (id INTEGER PRIMARY KEY, time_ms INTEGER NOT NULL, actor TEXT NOT NULL,"
    " action TEXT NOT NULL, service TEXT, subject TEXT, edge TEXT NOT NULL, before TEXT,"
    " after TEXT, effect TEXT, of INTEGER REFERENCES ledger (id), previous TEXT NOT NULL,"
    " hash TEXT NOT NULL) STRICT;"
    "CREATE INDEX ledger_service ON ledger (service, id);"
    "CREATE TRIGGER ledger_stays BEFORE UPDATE ON ledger BEGIN"
    " SELECT RAISE(ABORT, 'the ledger only grows'); END;"
    "CREATE TRIGGER ledger_keeps BEFORE DELETE ON ledger BEGIN"
    " SELECT RAISE(ABORT, 'the ledger only grows'); END;",
    "CREATE TABLE documents (kind TEXT NOT NULL, id TEXT NOT NULL, changed_ms INTEGER NOT NULL,"
    " document TEXT NOT NULL, PRIMARY KEY (kind, id)) STRICT, WITHOUT ROWID;",
};
enum { VERSION = (int)ARRAY_LEN(migrations) };

#define LEDGER                                                                                     \
    "SELECT id, time_ms, actor, action, service, subject, edge, before, after, effect, of, "       \
    "previous, hash FROM ledger "

static const char *const statements[] = {
    [STORE_BEGIN] = "BEGIN IMMEDIATE",
    [STORE_COMMIT] = "COMMIT",
    [STORE_ROLLBACK] = "ROLLBACK",
    [STORE_EPOCH_GET] = "SELECT epoch FROM meta",
    [STORE_EPOCH_SET] = "UPDATE meta SET epoch = ?1",
    [STORE_FEED_GET] = "SELECT journal, seq FROM feeds WHERE edge = ?1",
    [STORE_FEED_SET] = "INSERT INTO feeds VALUES (?1, ?2, ?3) ON CONFLICT (edge) DO UPDATE SET "
                       "journal = excluded.journal, seq = excluded.seq",
    [STORE_LEDGER_HEAD] = "SELECT id, hash FROM ledger ORDER BY id DESC LIMIT 1",
    [STORE_LEDGER_ADD] =
        "INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
    [STORE_LEDGER_SINCE] = LEDGER "WHERE id > ?1 ORDER BY id LIMIT ?3",
    [STORE_LEDGER_NEWEST] = LEDGER "WHERE id > ?1 ORDER BY id DESC LIMIT ?3",
    [STORE_LEDGER_SINCE_OF] = LEDGER "WHERE service = ?2 AND id > ?1 ORDER BY id LIMIT ?3",
    [STORE_LEDGER_NEWEST_OF] = LEDGER "WHERE service = ?2 AND id > ?1 ORDER BY id DESC LIMIT ?3",
    [STORE_DOCUMENT_PUT] =
        "INSERT INTO documents VALUES (?1, ?2, ?3, ?4) ON CONFLICT (kind, id) DO UPDATE SET "
        "changed_ms = excluded.changed_ms, document = excluded.document",
    [STORE_DOCUMENT_DROP] = "DELETE FROM documents WHERE kind = ?1 AND id = ?2",
    [STORE_DOCUMENT_LIST] = "SELECT id, document FROM documents WHERE kind = ?1",
};

/* --- what fails */

static const char *explain(sqlite3 *sql)
{
    int system = sqlite3_system_errno(sql);

    switch (sqlite3_errcode(sql)) {
    case SQLITE_FULL:
        return "the disk is full";
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        return "another program holds it";
    case SQLITE_READONLY:
    case SQLITE_PERM:
        return "it may not be written";
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
        return system ? strerror(system) : sqlite3_errmsg(sql);
    default:
        return sqlite3_errmsg(sql);
    }
}

enum status store_db_fail(struct store_db *db, const char *what)
{
    int code = sqlite3_errcode(db->sql);

    snprintf(db->error, sizeof(db->error), "%s %s/control.db: %s", what, db->state,
             explain(db->sql));
    db->is_damaged |= code == SQLITE_CORRUPT || code == SQLITE_NOTADB;
    return E_IO;
}

/* --- statements */

sqlite3_stmt *store_db_statement(struct store_db *db, enum store_statement which)
{
    sqlite3_stmt **at = &db->prepared[which];

    if (!*at &&
        sqlite3_prepare_v3(db->sql, statements[which], -1, SQLITE_PREPARE_PERSISTENT, at, NULL)) {
        enum status status = store_db_fail(db, "cannot use");

        (void)status;
        return NULL;
    }
    sqlite3_reset(*at);
    sqlite3_clear_bindings(*at);
    return *at;
}

enum status store_db_run(struct store_db *db, enum store_statement which)
{
    sqlite3_stmt *statement = db->prepared[which];
    int code = sqlite3_step(statement);
    enum status status = code == SQLITE_DONE ? OK : store_db_fail(db, "cannot write");

    sqlite3_reset(statement);
    return status;
}

enum status store_db_begin(struct store_db *db)
{
    return store_db_statement(db, STORE_BEGIN) ? store_db_run(db, STORE_BEGIN) : E_IO;
}

enum status store_db_end(struct store_db *db, enum status status)
{
    if (!status)
        status = store_db_statement(db, STORE_COMMIT) ? store_db_run(db, STORE_COMMIT) : E_IO;
    // Some failures have rolled back already.
    if (status && !sqlite3_get_autocommit(db->sql) && store_db_statement(db, STORE_ROLLBACK))
        sqlite3_step(db->prepared[STORE_ROLLBACK]);
    if (status && db->prepared[STORE_ROLLBACK])
        sqlite3_reset(db->prepared[STORE_ROLLBACK]);
    return status;
}

/* --- opening */

/* The first number that a statement gives; `otherwise` when there is none. */
static int64_t ask(struct store_db *db, const char *text, int64_t otherwise)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = otherwise;

    if (!sqlite3_prepare_v2(db->sql, text, -1, &statement, NULL) &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static enum status run_text(struct store_db *db, const char *text)
{
    return sqlite3_exec(db->sql, text, NULL, NULL, NULL) ? store_db_fail(db, "cannot change") : OK;
}

static enum status migrate_to(struct store_db *db, int version)
{
    char text[128];
    enum status status = run_text(db, "BEGIN IMMEDIATE");

    snprintf(text, sizeof(text), "PRAGMA user_version = %d; PRAGMA application_id = %d; COMMIT",
             version, STORE_APPLICATION);
    if (!status)
        status = run_text(db, migrations[version - 1]);
    if (!status)
        status = run_text(db, text);
    if (status)
        sqlite3_exec(db->sql, "ROLLBACK", NULL, NULL, NULL);
    return status;
}

bool store_db_knows(struct store_db *db)
{
    int64_t version = ask(db, "PRAGMA user_version", -1);

    if (version < 0) {
        enum status status = store_db_fail(db, "cannot read");

        return status == OK;
    }
    if (version > VERSION)
        snprintf(db->error, sizeof(db->error),
                 "the database is of a newer version of sluice: its tables are number %lld, and "
                 "this one knows %d",
                 (long long)version, VERSION);
    return version <= VERSION;
}

static enum status migrate(struct store_db *db)
{
    int64_t version = ask(db, "PRAGMA user_version", -1);
    enum status status = store_db_knows(db) ? OK : E_IO;

    while (!status && version < VERSION)
        status = migrate_to(db, (int)++version);
    return status;
}

/* Nobody else may read it; what SQLite puts beside it is as it is. */
static enum status create(struct store_db *db, const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd >= 0) {
        close(fd);
        return OK;
    }
    snprintf(db->error, sizeof(db->error), "cannot open %.400s: %s", path, strerror(errno));
    return E_IO;
}

static enum status open_file(struct store_db *db)
{
    static const char settings[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; "
                                   "PRAGMA trusted_schema = OFF; PRAGMA foreign_keys = ON; "
                                   "PRAGMA temp_store = MEMORY";
    char path[PATH_MAX];

    if (!store_file_name(db->state, "", path) || create(db, path))
        return E_IO;
    if (sqlite3_open_v2(path, &db->sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL))
        return store_db_fail(db, "cannot open");
    sqlite3_extended_result_codes(db->sql, 0);
    sqlite3_busy_timeout(db->sql, BUSY_MS);
    return sqlite3_exec(db->sql, settings, NULL, NULL, NULL) ? store_db_fail(db, "cannot open")
                                                             : OK;
}

/* Of a file that is damaged, or that is gone while there is a backup. */
static enum status recover(struct store_db *db)
{
    char backup[PATH_MAX], path[PATH_MAX], why[STORE_ERROR];
    bool was_there, is_kept;

    if (!store_file_name(db->state, ".backup", backup) || !store_file_name(db->state, "", path))
        return E_IO;
    was_there = !access(path, F_OK);
    is_kept = store_file_is_good(backup, why);
    if (was_there)
        store_file_set_aside(db->state, ".damaged");
    if (is_kept && store_file_duplicate(backup, path, why)) {
        snprintf(db->error, sizeof(db->error), "%s", why);
        return E_IO;
    }
    snprintf(db->note, sizeof(db->note), "%.300s%s%s: control goes on with %s", path,
             was_there ? " was damaged, and is kept as control.db.damaged" : "",
             was_there ? "" : " was gone", is_kept ? "the newest backup" : "an empty one");
    return OK;
}

static bool is_missing(const struct store_db *db)
{
    char path[PATH_MAX], backup[PATH_MAX];

    return store_file_name(db->state, "", path) && store_file_name(db->state, ".backup", backup) &&
           access(path, F_OK) && !access(backup, F_OK);
}

static enum status open_good(struct store_db *db)
{
    enum status status = open_file(db);

    if (!status)
        status = store_file_check(db);
    return status;
}

/* The epoch rises once in each run, above all that there ever was. */
static enum status begin_epoch(struct store_db *db)
{
    sqlite3_stmt *statement;
    int64_t known = ask(db, "SELECT epoch FROM meta", 0), held = lock_epoch(db->lock);
    int64_t epoch = db->epoch ? db->epoch : (known > held ? known : held) + 1;
    enum status status = store_db_begin(db);

    statement = status ? NULL : store_db_statement(db, STORE_EPOCH_SET);
    if (!statement)
        return E_IO;
    sqlite3_bind_int64(statement, 1, epoch);
    status = store_db_end(db, store_db_run(db, STORE_EPOCH_SET));
    if (!status && lock_set_epoch(db->lock, epoch)) {
        snprintf(db->error, sizeof(db->error), "cannot write %s/control.lock: %s", db->state,
                 strerror(errno));
        status = E_IO;
    }
    if (!status)
        db->epoch = epoch;
    return status;
}

enum status store_db_open(struct store_db *db)
{
    enum status status = is_missing(db) ? recover(db) : OK;

    db->is_damaged = false;
    if (!status)
        status = open_good(db);
    if (status && db->is_damaged) {
        store_db_close(db);
        status = recover(db);
        if (!status)
            status = open_good(db);
    }
    if (!status)
        status = migrate(db);
    if (!status)
        status = begin_epoch(db);
    if (status)
        store_db_close(db);
    return status;
}

void store_db_close(struct store_db *db)
{
    for (size_t i = 0; i < STORE_STATEMENTS; i++) {
        sqlite3_finalize(db->prepared[i]);
        db->prepared[i] = NULL;
    }
    sqlite3_close(db->sql);
    db->sql = NULL;
    db->is_damaged = false;
}
