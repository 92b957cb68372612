/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration that waits to be confirmed is kept by POST /api/v1/config/confirm, or taken back
 * when its time is over. Both wait for their turn, so that no other change comes between.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"

enum { RETRY_MS = 10 * 1000 };

static void remove_note(uv_work_t *task)
{
    struct admin_call *call = task->data;

    call->status = confirm_remove(call->admin->manager->state_dir);
    call->generation = call->status ? (uint64_t)errno : 0;
}

static void work(struct admin_call *call, uv_after_work_cb after)
{
    call->work.data = call;
    uv_queue_work(&call->admin->manager->loop.uv, &call->work, remove_note, after);
}

static void end_turn(struct admin_call *call)
{
    admin_turn_over(call);
    admin_idle(call->admin);
}

/* --- kept */

static void on_kept(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;
    uint32_t generation = call->admin->manager->generation;

    if (cancelled || call->status) {
        end_turn(call);
        rest_problem(&call->rest, 500, "state_not_saved", "Cannot remove unconfirmed.json: %s",
                     strerror((int)call->generation));
        return;
    }
    confirm_clear(&call->admin->confirm);
    end_turn(call);
    api_changes_note(
        call->admin, call->actor,
        &(struct api_change){.action = "config.confirm",
                             .after = json_pack("{s:s,s:I}", "sha256", call->admin->manager->digest,
                                                "generation", (json_int_t)generation)});
    admin_event(call->admin, "config", "{\"result\":\"confirmed\",\"generation\":%u}", generation);
    rest_reply_json(&call->rest, 200,
                    json_pack("{s:b,s:I}", "ok", 1, "generation", (json_int_t)generation));
}

static void keep(struct admin_call *call)
{
    if (call->admin->confirm.old) {
        work(call, on_kept);
        return;
    }
    admin_turn_over(call);
    rest_problem(&call->rest, 409, "nothing_to_confirm", "No configuration waits to be confirmed.");
}

void api_config_confirm(struct admin_call *call)
{
    admin_turn_take(call, keep);
}

/* --- taken back */

static void finish(struct admin_call *call)
{
    call->admin->is_reverting = false;
    end_turn(call);
    admin_call_free(call);
}

static void on_noted(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;

    (void)cancelled;
    if (call->status)
        fprintf(stderr, "sluice: edge: cannot remove unconfirmed.json: %s\n",
                strerror((int)call->generation));
    confirm_clear(&call->admin->confirm);
    finish(call);
}

static void on_reverted(struct manager_change *change, enum status status, uint32_t generation,
                        const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);
    struct admin *admin = call->admin;

    if (status) {
        struct str why = diag->count ? diag->entries[0].text : STR("out of memory");

        fprintf(stderr, "sluice: edge: cannot put the old configuration back: %.*s\n",
                STR_FMT(why));
        admin->confirm.deadline_ms = clock_wall_ms() + RETRY_MS;
        finish(call);
        return;
    }
    fprintf(stderr,
            "sluice: edge: nobody confirmed the configuration: the old one is back as "
            "generation %u\n",
            generation);
    admin_note_config(admin, change, STR("nobody confirmed"), "config.revert");
    admin_event(admin, "config", "{\"result\":\"reverted\",\"generation\":%u}", generation);
    work(call, on_noted);
}

static bool is_late(const struct admin *admin)
{
    return admin->confirm.old && clock_wall_ms() >= admin->confirm.deadline_ms;
}

/* The edge before this one may have been told to keep it after this one had read the note. */
static void look_again(uv_work_t *task)
{
    struct admin_call *call = task->data;
    const struct manager *m = call->admin->manager;
    struct confirm noted = {0};

    call->status = confirm_load(m->state_dir, m->options.config, &noted);
    confirm_clear(&noted);
}

static void on_looked(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;
    const struct confirm *confirm = &call->admin->confirm;

    if (cancelled || call->status == E_NOT_FOUND || call->admin->manager->is_stopping) {
        confirm_clear(&call->admin->confirm);
        finish(call);
        return;
    }
    call->change = (struct manager_change){
        .kind = CHANGE_REPLACE,
        .text = {confirm->old, confirm->old_len},
        .on_done = on_reverted,
    };
    manager_change(call->admin->manager, &call->change);
}

static void revert(struct admin_call *call)
{
    if (is_late(call->admin)) {
        call->work.data = call;
        uv_queue_work(&call->admin->manager->loop.uv, &call->work, look_again, on_looked);
        return;
    }
    call->admin->is_reverting = false; // confirmed or replaced meanwhile
    admin_turn_over(call);
    admin_call_free(call);
}

void api_confirm_tick(struct admin *admin)
{
    struct admin_call *call;

    if (admin->is_reverting || admin->manager->is_draining || !is_late(admin))
        return;
    call = admin_call_new(admin);
    if (!call)
        return;
    admin->is_reverting = true;
    admin_turn_take(call, revert);
}
