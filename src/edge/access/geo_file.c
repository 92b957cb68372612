/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/geo_file.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file_mark.h"
#include "edge/metric/stat.h"

enum { YIELD_NS = 50 * 1000 };

struct slot {
    const struct geo_db *db; /* atomic: its worker looks at it now */
} __attribute__((aligned(64)));

struct geo_file {
    struct slot slots[STAT_WORKERS_MAX];
    struct geo_db *current; /* atomic */
    uint32_t refs;          /* atomic */
    enum geo_kind kind;
    struct file_mark read, seen; /* before it was read last; at the last look */
    char path[];
};

struct geo_file *geo_file_open(struct str path, enum geo_kind kind, char error[GEO_ERROR_SIZE])
{
    size_t size = (sizeof(struct geo_file) + path.len + 64) & ~(size_t)63;
    struct geo_file *file = aligned_alloc(64, size);

    if (!file) {
        snprintf(error, GEO_ERROR_SIZE, "out of memory");
        return NULL;
    }
    memset(file, 0, size);
    memcpy(file->path, path.p, path.len);
    file->refs = 1;
    file->kind = kind;
    file->read = file->seen = file_mark_of(file->path);
    file->current = geo_db_open(file->path, kind, error);
    if (file->current)
        return file;
    free(file);
    return NULL;
}

void geo_file_ref(struct geo_file *file)
{
    __atomic_fetch_add(&file->refs, 1, __ATOMIC_RELAXED);
}

void geo_file_unref(struct geo_file **file)
{
    struct geo_file *gone = *file;

    *file = NULL;
    if (!gone || __atomic_sub_fetch(&gone->refs, 1, __ATOMIC_ACQ_REL))
        return;
    geo_db_close(&gone->current);
    free(gone);
}

bool geo_file_is(const struct geo_file *file, struct str path, enum geo_kind kind)
{
    return file->kind == kind && str_same((struct str){file->path, strlen(file->path)}, path);
}

/* --- reading again */

/* A lookup takes microseconds, so this is soon over. */
static void wait_for_readers(const struct geo_file *file, const struct geo_db *old)
{
    const struct timespec pause = {.tv_nsec = YIELD_NS};

    for (unsigned i = 0; i < STAT_WORKERS_MAX; i++)
        while (__atomic_load_n(&file->slots[i].db, __ATOMIC_SEQ_CST) == old)
            nanosleep(&pause, NULL);
}

static void read_again(struct geo_file *file)
{
    char error[GEO_ERROR_SIZE];
    struct geo_db *fresh = geo_db_open(file->path, file->kind, error), *old;

    if (!fresh) {
        fprintf(stderr, "sluice: edge: %s: %s; the one that was read before serves on\n",
                file->path, error);
        return;
    }
    old = __atomic_exchange_n(&file->current, fresh, __ATOMIC_SEQ_CST);
    wait_for_readers(file, old);
    geo_db_close(&old);
    fprintf(stderr, "sluice: edge: %s was read again\n", file->path);
}

void geo_file_look(struct geo_file *file)
{
    struct file_mark now = file_mark_of(file->path);

    if (!file_mark_same(&now, &file->read) && file_mark_same(&now, &file->seen)) {
        file->read = now;
        read_again(file);
    }
    file->seen = now;
}

/* --- lookups */

/* Once the slot says so and the database is still the current one, it stays until leave(). */
static const struct geo_db *enter(struct geo_file *file, unsigned worker)
{
    const struct geo_db *db;

    assert(worker < STAT_WORKERS_MAX);
    do {
        db = __atomic_load_n(&file->current, __ATOMIC_SEQ_CST);
        __atomic_store_n(&file->slots[worker].db, db, __ATOMIC_SEQ_CST);
    } while (__atomic_load_n(&file->current, __ATOMIC_SEQ_CST) != db);
    return db;
}

static void leave(struct geo_file *file, unsigned worker)
{
    __atomic_store_n(&file->slots[worker].db, NULL, __ATOMIC_RELEASE);
}

bool geo_file_country(struct geo_file *file, unsigned worker, const uint8_t ip[IP_LEN],
                      char country[GEO_COUNTRY_LEN])
{
    bool is_known = geo_db_country(enter(file, worker), ip, country);

    leave(file, worker);
    return is_known;
}

uint32_t geo_file_asn(struct geo_file *file, unsigned worker, const uint8_t ip[IP_LEN])
{
    uint32_t asn = geo_db_asn(enter(file, worker), ip);

    leave(file, worker);
    return asn;
}
