/* SPDX-License-Identifier: Apache-2.0
 *
 * The configuration over the API: read, checked, replaced, kept or taken back. A replacement that
 * waits for a confirmation is written down with the old text before it happens, so that a crash
 * takes it back too.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "config/units.h"
#include "edge/manager/api.h"

enum { CONFIRM_MAX_MS = 24 * 60 * 60 * 1000 };

static const char *state_dir(const struct admin *admin)
{
    return admin->manager->state_dir;
}

/* Blocking work on a thread of the pool, then `after` on the loop. The thread touches the call's
 * arena, text, owned and status alone. */
static void work(struct admin_call *call, uv_work_cb on_thread, uv_after_work_cb after)
{
    call->work.data = call;
    uv_queue_work(&call->admin->manager->loop.uv, &call->work, on_thread, after);
}

/* The turn ends outside of the manager's own queue, so whoever waits is told here. */
static void end_turn(struct admin_call *call)
{
    admin_turn_over(call);
    admin_idle(call->admin);
}

/* --- GET */

static void read_file(uv_work_t *task)
{
    struct admin_call *call = task->data;

    call->status = file_read(call->admin->manager->options.config, &call->rest.arena, &call->text);
    if (call->status)
        call->generation = (uint64_t)errno;
}

/* A token that stands in the file itself is not for those who may only read. */
static void mask(char *text, size_t len, struct str secret)
{
    char *at = secret.len ? memmem(text, len, secret.p, secret.len) : NULL;

    while (at) {
        memset(at, '*', secret.len);
        at = memmem(at, len - (size_t)(at - text), secret.p, secret.len);
    }
}

static void on_read(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;
    const struct manager *m = call->admin->manager;
    const struct conf_admin *conf = &manager_conf(m)->admin;

    if (cancelled || call->status) {
        rest_problem(&call->rest, 500, "config_unreadable", "Cannot read %s: %s", m->options.config,
                     strerror((int)call->generation));
        return;
    }
    for (uint32_t i = 0; i < conf->token_count && !(call->can >> CONF_CAN_OPERATE & 1); i++)
        mask((char *)(uintptr_t)call->text.p, call->text.len, conf->tokens[i].token.s);
    rest_field(&call->rest, "ETag", "\"%u\"", m->generation);
    rest_reply(&call->rest, 200, "text/yaml; charset=utf-8", call->text);
}

void api_config_get(struct admin_call *call)
{
    work(call, read_file, on_read);
}

/* --- reload and check */

static void refuse_change(struct admin_call *call, enum status status, const struct diag *diag)
{
    if (status == E_INVALID)
        rest_diag_problem(&call->rest, 422, "config_invalid", diag);
    else if (status == E_IO)
        rest_diag_problem(&call->rest, 409, "config_read_only", diag);
    else
        rest_diag_problem(&call->rest, 503, "not_changed", diag);
}

static void on_reloaded(struct manager_change *change, enum status status, uint32_t generation,
                        const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    if (!status)
        admin_note_config(call->admin, change, call->actor, "config.reload");
    if (status)
        refuse_change(call, status, diag);
    else
        rest_reply_json(&call->rest, 200,
                        json_pack("{s:b,s:I,s:o}", "ok", 1, "generation", (json_int_t)generation,
                                  "warnings", rest_diag_json(diag)));
}

static void on_checked(struct manager_change *change, enum status status, uint32_t generation,
                       const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);

    (void)generation;
    if (status)
        refuse_change(call, status, diag);
    else
        rest_reply_json(&call->rest, 200,
                        json_pack("{s:b,s:o}", "ok", 1, "warnings", rest_diag_json(diag)));
}

void api_reload(struct admin_call *call)
{
    call->change = (struct manager_change){.kind = CHANGE_RELOAD, .on_done = on_reloaded};
    manager_change(call->admin->manager, &call->change);
}

/* --- PUT: call->deadline_ms is how long to wait for the confirmation, 0: no need */

static void remove_unconfirmed(uv_work_t *task)
{
    struct admin_call *call = task->data;

    call->status = confirm_remove(state_dir(call->admin));
    if (call->status)
        fprintf(stderr, "sluice: edge: cannot remove unconfirmed.json: %s\n", strerror(errno));
}

static void reply_replaced(struct admin_call *call)
{
    const struct confirm *confirm = &call->admin->confirm;
    json_t *json = json_pack("{s:b,s:I}", "ok", 1, "generation", (json_int_t)call->generation);

    if (confirm->old)
        json_object_set_new(json, "confirm_until_ms",
                            json_integer((json_int_t)confirm->deadline_ms));
    rest_field(&call->rest, "ETag", "\"%llu\"", (unsigned long long)call->generation);
    rest_reply_json(&call->rest, 200, json);
}

/* What waited for a confirmation was replaced by something that needs none. */
static void on_settled(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;

    (void)cancelled;
    confirm_clear(&call->admin->confirm);
    end_turn(call);
    reply_replaced(call);
}

static void on_forgotten(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;

    (void)cancelled;
    end_turn(call);
    admin_call_free(call);
}

static void forget(struct admin_call *call)
{
    if (!call->admin->confirm.old) {
        work(call, remove_unconfirmed, on_forgotten);
        return;
    }
    admin_turn_over(call); // a later change has a note of its own in its place
    admin_call_free(call);
}

/* A replacement failed: the note about it goes. */
static void forget_note(struct admin *admin)
{
    struct admin_call *call = admin_call_new(admin);

    if (call)
        admin_turn_take(call, forget);
}

static void begin_waiting(struct admin_call *call)
{
    struct confirm *confirm = &call->admin->confirm;

    if (!confirm->old) {
        confirm->old = call->owned;
        confirm->old_len = call->text.len;
        call->owned = NULL;
    }
    confirm->deadline_ms = clock_wall_ms() + call->deadline_ms;
}

static void on_replaced(struct manager_change *change, enum status status, uint32_t generation,
                        const struct diag *diag)
{
    struct admin_call *call = CONTAINER_OF(change, struct admin_call, change);
    bool is_noted = call->deadline_ms && !call->admin->confirm.old;

    call->generation = generation;
    if (!status)
        admin_note_config(call->admin, change, call->actor,
                          call->deadline_ms ? "config.try" : "config.replace");
    if (status) {
        admin_turn_over(call);
        if (is_noted)
            forget_note(call->admin);
        refuse_change(call, status, diag);
    } else if (!call->deadline_ms && call->admin->confirm.old) {
        work(call, remove_unconfirmed, on_settled);
    } else {
        if (call->deadline_ms)
            begin_waiting(call);
        admin_turn_over(call);
        reply_replaced(call);
    }
}

static void replace(struct admin_call *call)
{
    call->change = (struct manager_change){
        .kind = CHANGE_REPLACE,
        .text = {call->rest.body.p ? call->rest.body.p : "", call->rest.body.len},
        .on_done = on_replaced,
    };
    manager_change(call->admin->manager, &call->change);
}

/* The file as it is now, in call->owned too. */
static enum status keep_old(uv_work_t *task)
{
    struct admin_call *call = task->data;

    read_file(task);
    if (call->status)
        return call->status;
    call->owned = malloc(call->text.len + 1);
    if (!call->owned)
        return E_NOMEM;
    memcpy(call->owned, call->text.p, call->text.len + 1);
    return OK;
}

/* The old text, kept and written down. While another one waits, its old text stays the one to go
 * back to, and only the time is new; nobody changes it while this call has its turn. */
static void note_old(uv_work_t *task)
{
    struct admin_call *call = task->data;
    const struct confirm *waiting = &call->admin->confirm;
    const char *config = call->admin->manager->options.config;

    if (waiting->old)
        call->text = (struct str){waiting->old, waiting->old_len};
    else
        call->status = keep_old(task);
    if (call->status)
        return;
    call->status = confirm_save(state_dir(call->admin), config, call->text,
                                clock_wall_ms() + call->deadline_ms);
    if (call->status)
        call->generation = (uint64_t)errno;
}

static void on_noted(uv_work_t *task, int cancelled)
{
    struct admin_call *call = task->data;

    if (cancelled || call->status || call->admin->manager->is_stopping) {
        end_turn(call);
        rest_problem(&call->rest, 500, "state_not_saved",
                     "Cannot note the old configuration, so nothing was changed: %s",
                     strerror((int)call->generation));
        return;
    }
    replace(call);
}

/* RFC 9110 13.1.1: one of the tags in the list, or any. */
static bool is_current(struct admin_call *call)
{
    struct str wanted = head_value_name(&call->rest.head, STR("if-match"));
    struct str tag = arena_format(&call->rest.arena, "\"%u\"", call->admin->manager->generation);

    if (!wanted.p || (wanted.len == 1 && *wanted.p == '*'))
        return true;
    return tag.p && head_list_has(wanted, tag);
}

static void put(struct admin_call *call)
{
    if (!is_current(call)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 412, "precondition_failed",
                     "The configuration has changed since: its generation is %u.",
                     call->admin->manager->generation);
    } else if (call->deadline_ms) {
        work(call, note_old, on_noted);
    } else {
        replace(call);
    }
}

static bool is_true(struct str word)
{
    uint64_t value = 0;

    return word.p && !units_bool(word, &value) && value;
}

void api_config_put(struct admin_call *call)
{
    struct str confirm = rest_query(&call->rest, "confirm", 0),
               dry_run = rest_query(&call->rest, "dry_run", 0);
    uint64_t value;

    if (dry_run.p && units_bool(dry_run, &value)) {
        rest_problem(&call->rest, 400, "query_invalid", "dry_run is true or false");
        return;
    }
    if (confirm.p && (units_duration(confirm, &call->deadline_ms) || !call->deadline_ms ||
                      call->deadline_ms > CONFIRM_MAX_MS)) {
        rest_problem(&call->rest, 400, "query_invalid",
                     "confirm is a duration of at most 24h: confirm=60s");
        return;
    }
    if (!is_true(dry_run)) {
        admin_turn_take(call, put);
        return;
    }
    call->change = (struct manager_change){
        .kind = CHANGE_CHECK,
        .text = {call->rest.body.p ? call->rest.body.p : "", call->rest.body.len},
        .on_done = on_checked,
    };
    manager_change(call->admin->manager, &call->change);
}
