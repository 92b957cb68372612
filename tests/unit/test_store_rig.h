/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in a directory of its own, and what its tests do with it: jobs are done when the call
 * returns.
 */
#ifndef TEST_STORE_RIG_H
#define TEST_STORE_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/ledger.h"
#include "control/lock.h"
#include "control/store.h"

struct rig {
    uv_loop_t loop;
    char dir[64], path[128];
    int lock;
    struct store *store;
    struct store_append append;
    struct store_read read;
    enum status status; /* of the job that was told last */
};

static struct rig *current; /* whose job runs */

static inline void on_done(struct store_job *job, enum status status)
{
    (void)job;
    current->status = status;
}

static inline void run_loop(struct rig *rig)
{
    current = rig;
    uv_run(&rig->loop, UV_RUN_DEFAULT);
}

static inline void open_store(struct rig *rig)
{
    assert_int_equal(lock_take(rig->dir, &rig->lock), OK);
    rig->store = store_new(&(struct store_options){&rig->loop, rig->dir, rig->lock});
    assert_non_null(rig->store);
    run_loop(rig);
}

static inline void close_store(struct rig *rig)
{
    store_close(rig->store);
    run_loop(rig);
    store_free(&rig->store);
    close(rig->lock);
}

static inline int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof(*rig));

    snprintf(rig->dir, sizeof(rig->dir), P_tmpdir "/sluice-store-XXXXXX");
    if (!mkdtemp(rig->dir) || uv_loop_init(&rig->loop))
        return -1;
    snprintf(rig->path, sizeof(rig->path), "%s/control.db", rig->dir);
    open_store(rig);
    *state = rig;
    return 0;
}

static inline int tear_down(void **state)
{
    struct rig *rig = *state;
    char command[128];

    if (rig->store)
        close_store(rig);
    snprintf(command, sizeof(command), "rm -rf %s", rig->dir);
    assert_int_equal(system(command), 0);
    assert_int_equal(uv_loop_close(&rig->loop), 0);
    free(rig);
    return 0;
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
