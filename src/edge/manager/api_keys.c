/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys over the API: made (and shown that once), listed, revoked, and those of a whole fleet,
 * which control gives. A change waits for its turn, is written, and then holds for the next request
 * of every worker.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/clock.h"
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"
#include "edge/manager/api_keys.h"
#include "edge/manager/api_wakes.h"
#include "edge/manager/key_book.h"

static struct key_book *book_of(const struct admin_call *call)
{
    return call->admin->manager->key_book;
}

void api_keys_list(struct admin_call *call)
{
    rest_reply_json(&call->rest, 200, json_pack("{s:o}", "keys", key_book_list(book_of(call))));
}

int64_t api_control_epoch(const struct manager *m)
{
    int64_t epoch = overlay_epoch(m->overlay), of_keys = key_book_word(m->key_book).epoch;

    return epoch > of_keys ? epoch : of_keys;
}

static void note(struct admin_call *call, bool is_added)
{
    struct api_change change = {.action = is_added ? "key.add" : "key.revoke",
                                .subject = call->text,
                                .before = call->before,
                                .after = key_book_show(book_of(call), call->text)};

    call->before = NULL;
    api_changes_note(call->admin, call->actor, &change);
}

/* --- answering */

static void reply_put(struct admin_call *call)
{
    struct key_book_word word = key_book_word(book_of(call));

    rest_reply_json(&call->rest, 200,
                    json_pack("{s:I,s:I,s:I}", "epoch", (json_int_t)word.epoch, "revision",
                              (json_int_t)word.revision, "keys",
                              (json_int_t)key_book_count(book_of(call)).control));
}

static void reply_one(struct admin_call *call)
{
    bool is_added = call->run == api_keys_add;

    note(call, is_added);
    admin_event(call->admin, "keys", "{\"change\":\"%s\",\"id\":\"%.*s\"}",
                is_added ? "added" : "revoked", STR_FMT(call->text));
    if (is_added)
        rest_reply_json(&call->rest, 201, json_incref(call->plan));
    else
        rest_reply_json(&call->rest, 200, json_pack("{s:s%}", "id", call->text.p, call->text.len));
}

static void reply(struct admin_call *call)
{
    if (call->run != api_keys_put) {
        reply_one(call);
        return;
    }
    admin_event(call->admin, "keys", "{\"change\":\"replaced\"}");
    reply_put(call);
}

/* --- writing, on a thread of the pool */

/* The turn ends outside of the manager's own queue, so whoever waits is told here. */
static void end_turn(struct admin_call *call)
{
    admin_turn_over(call);
    admin_idle(call->admin);
}

static void on_save(uv_work_t *work)
{
    struct admin_call *call = work->data;

    call->ring = key_book_ring(book_of(call));
    call->status = call->ring ? key_book_save(book_of(call)) : E_NOMEM;
    call->generation = (uint64_t)errno;
}

static void on_saved(uv_work_t *work, int cancelled)
{
    struct admin_call *call = work->data;
    bool is_good = !cancelled && !call->status;

    if (is_good) {
        // The workers look keys up in this one from now on.
        cell_write(&call->admin->manager->key_store->ring, call->ring);
        key_book_settle(book_of(call));
    } else {
        key_ring_free(call->ring);
        key_book_undo(book_of(call));
    }
    end_turn(call);
    if (is_good)
        reply(call);
    else
        rest_problem(&call->rest, 500, "state_unwritable", "The keys could not be written: %s.",
                     strerror(call->status == E_IO ? (int)call->generation : ENOMEM));
}

static void save(struct admin_call *call)
{
    call->work.data = call;
    uv_queue_work(&call->admin->manager->loop.uv, &call->work, on_save, on_saved);
}

static void refuse(struct admin_call *call, enum status status)
{
    admin_turn_over(call);
    if (status == E_NOT_FOUND)
        rest_problem(&call->rest, 404, "key_not_found", "There is no key \"%.*s\".",
                     STR_FMT(call->text));
    else if (status == E_CONFLICT)
        rest_problem(&call->rest, 409, "key_of_control",
                     "Key \"%.*s\" is one of the whole fleet: revoke it where control runs.",
                     STR_FMT(call->text));
    else if (status == E_FULL)
        rest_problem(&call->rest, 422, "too_many_keys", "There are at most %d keys.", API_KEY_MAX);
    else
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
}

/* --- adding */

/* What is asked for stands in the call: consumer and tier in its target's id and region, how long
 * in deadline_ms. */
static void add(struct admin_call *call)
{
    struct key_wish wish = {call->target.id, call->target.region, call->deadline_ms};
    char key[API_KEY_TEXT + 1], id[API_KEY_ID + 1];
    enum status status = E_NOMEM;
    struct key_entry entry;

    if (key_wish_grant(&wish, clock_wall_ms(), key, &entry)) {
        key_entry_id(&entry, id);
        call->plan = key_entry_answer(&entry, key);
        call->text = arena_copy(&call->rest.arena, (struct str){id, API_KEY_ID});
        if (call->plan && call->text.p)
            status = key_book_add(book_of(call), &entry);
    }
    OPENSSL_cleanse(key, sizeof(key));
    if (status)
        refuse(call, status);
    else
        save(call);
}

void api_keys_add(struct admin_call *call)
{
    struct key_wish wish;
    const char *wrong;
    json_t *json;

    if (api_is_in_command(call->admin->manager)) {
        api_pass(call);
        return;
    }
    wrong = key_wish_read((struct str){call->rest.body.p, call->rest.body.len}, &json, &wish);
    if (wrong) {
        rest_problem(&call->rest, json ? 422 : 400, "key_invalid", "%s", wrong);
    } else {
        call->target.id = arena_copy(&call->rest.arena, wish.consumer);
        call->target.region = wish.tier.p ? arena_copy(&call->rest.arena, wish.tier) : STR_NONE;
        call->deadline_ms = wish.expires_in_ms;
        admin_turn_take(call, add);
    }
    json_decref(json);
}

/* --- revoking */

/* A key of the fleet goes where all edges hear of it; one whose control is gone may go here. */
static void end(struct admin_call *call)
{
    const struct manager *m = call->admin->manager;
    bool is_in_command = api_is_in_command(m);
    bool is_any = manager_conf(m)->role == CONF_ROLE_ALL && !is_in_command;
    enum status status;

    call->before = key_book_show(book_of(call), call->text);
    status = key_book_remove(book_of(call), call->text, is_any);
    if (!status) {
        save(call);
    } else if (is_in_command && (status == E_CONFLICT || status == E_NOT_FOUND)) {
        admin_turn_over(call);
        api_pass(call);
    } else {
        refuse(call, status);
    }
}

void api_keys_revoke(struct admin_call *call)
{
    call->text = call->rest.parts[0];
    admin_turn_take(call, end);
}

/* --- those of a fleet */

static void put(struct admin_call *call)
{
    struct key_book_word now = key_book_word(book_of(call));
    int64_t epoch = json_integer_value(json_object_get(call->plan, "epoch"));
    int64_t revision = json_integer_value(json_object_get(call->plan, "revision"));
    int64_t newest = api_control_epoch(call->admin->manager);

    if (epoch < newest || (epoch == now.epoch && revision < now.revision)) {
        admin_turn_over(call);
        rest_problem(&call->rest, 409, "control_superseded",
                     "A later control (epoch %lld, revision %lld) has spoken already.",
                     (long long)newest, (long long)now.revision);
    } else if (epoch == now.epoch && revision == now.revision) {
        admin_turn_over(call);
        reply_put(call);
    } else if (key_book_put(book_of(call), call->plan)) {
        refuse(call, E_NOMEM);
    } else {
        save(call);
    }
}

/* There may be so many that others would wait. */
static void on_read(uv_work_t *work)
{
    struct admin_call *call = work->data;
    const struct buf *body = &call->rest.body;
    json_t *said = json_loadb(body->p ? body->p : "", body->len, JSON_REJECT_DUPLICATES, NULL);
    const char *wrong;

    call->plan = key_book_read(said, &wrong);
    if (!call->plan)
        call->text = (struct str){wrong, strlen(wrong)};
    json_decref(said);
}

static void on_was_read(uv_work_t *work, int cancelled)
{
    struct admin_call *call = work->data;

    if (cancelled)
        refuse(call, E_NOMEM);
    else if (call->plan)
        admin_turn_take(call, put);
    else
        rest_problem(&call->rest, 422, "keys_invalid", "They cannot be taken: %.*s.",
                     STR_FMT(call->text));
}

void api_keys_put(struct admin_call *call)
{
    api_wakes_heard(call->admin);
    call->work.data = call;
    uv_queue_work(&call->admin->manager->loop.uv, &call->work, on_read, on_was_read);
}
