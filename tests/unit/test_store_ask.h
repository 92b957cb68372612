/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of the store ask of it, and do to its files behind its back.
 */
#ifndef TEST_STORE_ASK_H
#define TEST_STORE_ASK_H

#include "test_store_rig.h"

/* Changes numbered from `first` on, as edge "e" tells them. */
static inline enum status append_from(struct rig *rig, const char *journal, int first, int count)
{
    rig->append = (struct store_append){.job = {.done = on_done}, .changes = json_array()};
    snprintf(rig->append.edge, STORE_NAME, "e");
    snprintf(rig->append.journal, STORE_NAME, "%s", journal);
    for (int i = first; i < first + count; i++)
        json_array_append_new(rig->append.changes,
                              json_pack("{s:i,s:i,s:s,s:s,s:s,s:n,s:n,s:{s:i}}", "seq", i,
                                        "time_ms", 1000 + i, "actor", "ann", "action", "target.add",
                                        "service", i % 2 ? "odd" : "even", "subject", "before",
                                        "after", "n", i));
    rig->status = E_AGAIN;
    store_append(rig->store, &rig->append);
    run_loop(rig);
    json_decref(rig->append.changes);
    return rig->status;
}

/* What was read is gone with the next call. */
static inline json_t *entries(struct rig *rig, const char *service, int64_t since, uint32_t limit)
{
    json_decref(rig->read.entries);
    rig->read = (struct store_read){.job = {.done = on_done}, .since = since, .limit = limit};
    snprintf(rig->read.service, STORE_NAME, "%s", service);
    rig->status = E_AGAIN;
    store_read(rig->store, &rig->read);
    run_loop(rig);
    return rig->read.entries;
}

static inline void forget(struct rig *rig)
{
    json_decref(rig->read.entries);
    rig->read.entries = NULL;
}

/* How many there are; the chain holds. */
static inline size_t count_good(struct rig *rig)
{
    json_t *list = entries(rig, "", 0, 1000), *entry;
    struct ledger_walk walk = {0};
    size_t i;

    assert_int_equal(rig->status, OK);
    json_array_foreach(list, i, entry) assert_null(ledger_walk(&walk, entry));
    i = json_array_size(list);
    forget(rig);
    return i;
}

static inline int run_sql(const char *path, const char *text)
{
    sqlite3 *sql;
    int code;

    assert_int_equal(sqlite3_open(path, &sql), SQLITE_OK);
    code = sqlite3_exec(sql, text, NULL, NULL, NULL);
    sqlite3_close(sql);
    return code;
}

static inline void name(const struct rig *rig, const char *suffix, char path[192])
{
    snprintf(path, 192, "%s%s", rig->path, suffix);
}
static inline bool is_there(const struct rig *rig, const char *suffix)
{
    char path[192];
    name(rig, suffix, path);
    return !access(path, F_OK);
}

static inline void back_up(struct rig *rig)
{
    store_tick(rig->store);
    run_loop(rig);
    assert_true(is_there(rig, ".backup"));
}

/* Over the whole of the file, or from a page on. */
static inline void damage(const struct rig *rig, const char *suffix, off_t from)
{
    char path[192], junk[3 * 4096];
    int fd;

    name(rig, suffix, path);
    memset(junk, 0xa5, sizeof(junk));
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, junk, sizeof(junk), from), sizeof(junk));
    close(fd);
}

#endif
