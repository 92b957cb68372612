/* SPDX-License-Identifier: Apache-2.0 */
#include "control/store_restore.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/lock.h"
#include "control/store_impl.h"

_Static_assert((int)STORE_RESTORE_ERROR == (int)STORE_ERROR, "sentences are of one size");

enum status store_restore_check(const char *path, char error[STORE_RESTORE_ERROR])
{
    struct store_db db = {.state = path};
    enum status status;

    if (access(path, R_OK)) {
        snprintf(error, STORE_ERROR, "cannot read %s: %s", path, strerror(errno));
        return E_IO;
    }
    if (!store_file_is_good(path, error))
        return E_INVALID;
    if (sqlite3_open_v2(path, &db.sql, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL)) {
        snprintf(error, STORE_ERROR, "cannot open %s: %s", path, sqlite3_errmsg(db.sql));
        sqlite3_close(db.sql);
        return E_IO;
    }
    status = store_db_knows(&db) ? store_ledger_verify(&db) : E_INVALID;
    if (status)
        snprintf(error, STORE_ERROR, "%s", db.error);
    store_db_close(&db);
    return status;
}

/* Who runs control must be able to open what root restored. */
static void give(const char *state, const char *path)
{
    struct stat folder;

    if (!stat(state, &folder) && geteuid() == 0 && chown(path, folder.st_uid, folder.st_gid))
        fprintf(stderr, "sluice: cannot give %s to the owner of %s: %s\n", path, state,
                strerror(errno));
}

/* The run after this one takes the next epoch above what the lock's file has. */
static enum status raise_epoch(int lock, const char *path, char error[STORE_ERROR])
{
    int64_t held = lock_epoch(lock), kept = store_file_epoch(path);

    if (!lock_set_epoch(lock, (held > kept ? held : kept) + 1))
        return OK;
    snprintf(error, STORE_ERROR, "cannot write control.lock: %s", strerror(errno));
    return E_IO;
}

static enum status put(const char *state, const char *path, int lock, char error[STORE_ERROR])
{
    char fresh[PATH_MAX], place[PATH_MAX];
    enum status status = E_IO;

    if (!store_file_name(state, ".restore", fresh) || !store_file_name(state, "", place))
        return E_IO;
    status = store_file_duplicate(path, fresh, error);
    if (!status)
        status = raise_epoch(lock, path, error);
    if (status)
        return status;
    give(state, fresh);
    store_file_set_aside(state, ".before-restore");
    if (!rename(fresh, place))
        return OK;
    snprintf(error, STORE_ERROR, "cannot put %.400s in its place: %s", fresh, strerror(errno));
    return E_IO;
}

enum status store_restore(const char *state, const char *path, char error[STORE_RESTORE_ERROR])
{
    enum status status = store_restore_check(path, error);
    char lock_path[PATH_MAX];
    int lock = -1;

    if (status)
        return status;
    status = lock_take(state, &lock);
    if (status == E_CONFLICT)
        snprintf(error, STORE_ERROR, "control runs with %s: stop the gateway first", state);
    else if (status)
        snprintf(error, STORE_ERROR, "cannot lock %s: %s", state, strerror(errno));
    if (status)
        return status;
    status = put(state, path, lock, error);
    if (snprintf(lock_path, sizeof(lock_path), "%s/control.lock", state) < (int)sizeof(lock_path))
        give(state, lock_path);
    close(lock);
    return status;
}
