/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/api_changes.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "config/units.h"
#include "edge/manager/api_wakes.h"
#include "edge/manager/changes.h"

enum { WAIT_MAX_MS = 60 * 1000, DIGITS_MAX = 18 };

/* --- on the disk, soon */

struct syncing {
    uv_work_t work;
    int fd;
};

static void sync_file(uv_work_t *work)
{
    // What fails is tried again with the next one; the file itself is there.
    (void)!fdatasync(((struct syncing *)work->data)->fd);
}

static void on_synced(uv_work_t *work, int cancelled)
{
    struct syncing *syncing = work->data;

    (void)cancelled;
    close(syncing->fd);
    free(syncing);
}

static void begin_sync(struct admin *admin)
{
    int fd = changes_unsynced(admin->manager->changes);
    struct syncing *syncing = fd < 0 ? NULL : malloc(sizeof(*syncing));

    if (!syncing) {
        if (fd >= 0)
            close(fd);
        return;
    }
    syncing->fd = fd;
    syncing->work.data = syncing;
    if (uv_queue_work(&admin->manager->loop.uv, &syncing->work, sync_file, on_synced))
        on_synced(&syncing->work, UV_ECANCELED);
}

/* --- noting */

static json_t *to_json(struct str text)
{
    json_t *json = text.p ? json_stringn(text.p, text.len) : NULL;

    return json ? json : json_null();
}

static void tell_waiters(struct admin *admin, bool is_over)
{
    uint64_t now = uv_now(&admin->manager->loop.uv);

    for (struct admin_call **at = &admin->change_waiters; *at;) {
        struct admin_call *call = *at;

        if (!is_over && call->rest.conn && now < call->deadline_ms &&
            !changes_wait(admin->manager->changes, call->text, (int64_t)call->generation)) {
            at = &call->next_waiter;
            continue;
        }
        *at = call->next_waiter;
        rest_reply_json(&call->rest, 200,
                        changes_after(admin->manager->changes, call->text,
                                      (int64_t)call->generation));
    }
}

void api_changes_note(struct admin *admin, struct str actor, const struct api_change *change)
{
    json_t *before = change->before ? change->before : json_null();
    json_t *after = change->after ? change->after : json_null();
    json_t *json = NULL;

    if (!json_equal(before, after))
        json = json_pack("{s:I,s:o,s:s,s:o,s:o,s:O,s:O}", "time_ms", (json_int_t)clock_wall_ms(),
                         "actor", to_json(actor), "action", change->action, "service",
                         to_json(change->service), "subject", to_json(change->subject), "before",
                         before, "after", after);
    json_decref(before);
    json_decref(after);
    if (!json)
        return;
    changes_note(admin->manager->changes, json);
    tell_waiters(admin, false);
    begin_sync(admin);
}

void api_changes_tick(struct admin *admin)
{
    changes_tick(admin->manager->changes);
    tell_waiters(admin, false);
    begin_sync(admin);
}

void api_changes_end(struct admin *admin)
{
    tell_waiters(admin, true);
}

/* --- GET: control says what it has by what it asks for */

static bool read_number(struct str text, uint64_t *number)
{
    *number = 0;
    for (size_t i = 0; i < text.len; i++) {
        if (text.p[i] < '0' || text.p[i] > '9' || i == DIGITS_MAX)
            return false;
        *number = *number * 10 + (uint64_t)(text.p[i] - '0');
    }
    return true;
}

void api_changes_get(struct admin_call *call)
{
    struct admin *admin = call->admin;
    struct changes *changes = admin->manager->changes;
    struct str wait = rest_query(&call->rest, "wait", 0);
    uint64_t wait_ms = 0;

    api_wakes_heard(admin);
    call->text = rest_query(&call->rest, "journal", 0);
    if (!read_number(rest_query(&call->rest, "after", 0), &call->generation) ||
        (wait.p && (units_duration(wait, &wait_ms) || wait_ms > WAIT_MAX_MS))) {
        rest_problem(&call->rest, 400, "query_invalid",
                     "after is a number, and wait a duration of at most 60s");
        return;
    }
    changes_acknowledge(changes, call->text, (int64_t)call->generation);
    call->deadline_ms = uv_now(&admin->manager->loop.uv) + wait_ms;
    call->next_waiter = admin->change_waiters;
    admin->change_waiters = call;
    tell_waiters(admin, !wait_ms || admin->manager->is_draining);
}
