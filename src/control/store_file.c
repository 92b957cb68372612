/* SPDX-License-Identifier: Apache-2.0
 *
 * Databases as files: whole copies, whether one is whole, and the places where they stand.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "control/store_impl.h"

bool store_file_name(const char *state, const char *suffix, char path[PATH_MAX])
{
    return snprintf(path, PATH_MAX, "%s/control.db%s", state, suffix) < PATH_MAX;
}

void store_file_set_aside(const char *state, const char *suffix)
{
    static const char *const beside[] = {"", "-wal", "-shm"};
    char from[PATH_MAX], to[PATH_MAX], text[64];

    for (size_t i = 0; i < ARRAY_LEN(beside); i++) {
        snprintf(text, sizeof(text), "%s%s", suffix, beside[i]);
        if (store_file_name(state, beside[i], from) && store_file_name(state, text, to) &&
            rename(from, to) && errno == ENOENT)
            unlink(to); // of an older one
    }
}

enum status store_file_check(struct store_db *db)
{
    sqlite3_stmt *statement = NULL;
    const unsigned char *found = NULL;
    enum status status = OK;

    if (sqlite3_prepare_v2(db->sql, "PRAGMA quick_check(1)", -1, &statement, NULL) ||
        sqlite3_step(statement) != SQLITE_ROW) {
        status = store_db_fail(db, "cannot check");
    } else {
        found = sqlite3_column_text(statement, 0);
        if (!found || strcmp((const char *)found, "ok") != 0) {
            snprintf(db->error, sizeof(db->error), "%s/control.db is damaged: %s", db->state,
                     found ? (const char *)found : "");
            db->is_damaged = true;
            status = E_IO;
        }
    }
    sqlite3_finalize(statement);
    return status;
}

/* --- copies */

static enum status fail(char error[STORE_ERROR], const char *what, const char *path,
                        const char *why)
{
    snprintf(error, STORE_ERROR, "%s %s: %s", what, path, why);
    return E_IO;
}

static enum status sync_file(const char *path, char error[STORE_ERROR])
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool is_good = fd >= 0 && !fsync(fd);
    enum status status = is_good ? OK : fail(error, "cannot write", path, strerror(errno));

    if (fd >= 0)
        close(fd);
    return status;
}

/* All pages at once, into a file that is nobody else's. */
static enum status copy(sqlite3 *from, const char *to, char error[STORE_ERROR])
{
    int fd = open(to, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600), code;
    sqlite3_backup *backup;
    sqlite3 *sql = NULL;
    enum status status = OK;

    if (fd < 0)
        return fail(error, "cannot write", to, strerror(errno));
    close(fd);
    code = sqlite3_open_v2(to, &sql, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);
    backup = code ? NULL : sqlite3_backup_init(sql, "main", from, "main");
    if (backup) {
        sqlite3_backup_step(backup, -1);
        code = sqlite3_backup_finish(backup);
        // One file that is whole by itself.
        if (!code)
            code = sqlite3_exec(sql, "PRAGMA journal_mode = DELETE", NULL, NULL, NULL);
    }
    if (code || !backup)
        status = fail(error, "cannot write", to, sqlite3_errmsg(sql));
    sqlite3_close(sql);
    if (!status)
        status = sync_file(to, error);
    if (status)
        unlink(to);
    return status;
}

enum status store_file_copy(struct store_db *db, const char *to)
{
    return copy(db->sql, to, db->error);
}

static sqlite3 *open_to_read(const char *path, char error[STORE_ERROR])
{
    sqlite3 *sql = NULL;

    if (!sqlite3_open_v2(path, &sql, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL))
        return sql;
    enum status status = fail(error, "cannot open", path, sqlite3_errmsg(sql));

    (void)status;
    sqlite3_close(sql);
    return NULL;
}

enum status store_file_duplicate(const char *from, const char *to, char error[STORE_ERROR])
{
    sqlite3 *sql = open_to_read(from, error);
    enum status status = sql ? copy(sql, to, error) : E_IO;

    sqlite3_close(sql);
    return status;
}

/* Whether the one answer of a statement is this text. */
static bool says(sqlite3 *sql, const char *question, const char *answer)
{
    sqlite3_stmt *statement = NULL;
    const unsigned char *found = NULL;
    bool is_it;

    if (!sqlite3_prepare_v2(sql, question, -1, &statement, NULL) &&
        sqlite3_step(statement) == SQLITE_ROW)
        found = sqlite3_column_text(statement, 0);
    is_it = found && !strcmp((const char *)found, answer);
    sqlite3_finalize(statement);
    return is_it;
}

int64_t store_file_epoch(const char *path)
{
    char error[STORE_ERROR];
    sqlite3 *sql = open_to_read(path, error);
    sqlite3_stmt *statement = NULL;
    int64_t epoch = 0;

    if (sql && !sqlite3_prepare_v2(sql, "SELECT epoch FROM meta", -1, &statement, NULL) &&
        sqlite3_step(statement) == SQLITE_ROW)
        epoch = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(sql);
    return epoch;
}

bool store_file_is_good(const char *path, char error[STORE_ERROR])
{
    sqlite3 *sql = open_to_read(path, error);
    char ours[16];
    bool is_good;

    if (!sql)
        return false;
    snprintf(ours, sizeof(ours), "%d", STORE_APPLICATION);
    is_good = says(sql, "PRAGMA quick_check(1)", "ok") && says(sql, "PRAGMA application_id", ours);
    sqlite3_close(sql);
    if (!is_good)
        snprintf(error, STORE_ERROR, "%s is no whole database of sluice's", path);
    return is_good;
}
