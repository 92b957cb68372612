/* SPDX-License-Identifier: Apache-2.0
 *
 * API keys over the API: made (and shown that once), listed, revoked. A change waits for its turn,
 * is written, and then holds for the next request of every worker.
 */
#include <errno.h>
#include <openssl/crypto.h>
#include <string.h>

#include "base/clock.h"
#include "config/units.h"
#include "edge/manager/api.h"
#include "edge/manager/api_changes.h"
#include "edge/manager/key_book.h"

enum { NAME_MAX_BYTES = 128 };
#define EXPIRES_MAX_MS (UINT64_C(876600) * 3600 * 1000) /* a century */

static struct key_book *book_of(const struct admin_call *call)
{
    return call->admin->manager->key_book;
}

void api_keys_list(struct admin_call *call)
{
    rest_reply_json(&call->rest, 200, json_pack("{s:o}", "keys", key_book_list(book_of(call))));
}

/* --- writing, on a thread of the pool */

static void on_save(uv_work_t *work)
{
    struct admin_call *call = work->data;

    call->status = key_book_save(book_of(call));
    call->generation = (uint64_t)errno;
}

/* The workers look keys up in a fresh ring from now on. */
static bool publish(const struct admin_call *call)
{
    struct key_ring *ring = key_book_ring(book_of(call));

    if (!ring)
        return false;
    cell_write(&call->admin->manager->key_store->ring, ring);
    return true;
}

/* What may be shown of a key. NULL: there is none. */
static json_t *describe(const struct admin_call *call)
{
    json_t *list = key_book_list(book_of(call)), *key, *found = NULL;
    size_t i;

    json_array_foreach(list, i, key)
    {
        const char *id = json_string_value(json_object_get(key, "id"));

        if (!found && id && str_same(call->text, (struct str){id, strlen(id)}))
            found = json_incref(key);
    }
    json_decref(list);
    return found;
}

static void note(struct admin_call *call, bool is_added)
{
    struct api_change change = {.action = is_added ? "key.add" : "key.revoke",
                                .subject = call->text,
                                .before = call->before,
                                .after = describe(call)};

    call->before = NULL;
    api_changes_note(call->admin, call->actor, &change);
}

static void reply(struct admin_call *call)
{
    bool is_added = call->run == api_keys_add;

    note(call, is_added);

    admin_event(call->admin, "keys", "{\"change\":\"%s\",\"id\":\"%.*s\"}",
                is_added ? "added" : "revoked", STR_FMT(call->text));
    if (is_added)
        rest_reply_json(&call->rest, 201,
                        json_pack("{s:s%,s:s,s:s%}", "id", call->text.p, call->text.len, "key",
                                  call->owned, "consumer", call->target.id.p, call->target.id.len));
    else
        rest_reply_json(&call->rest, 200, json_pack("{s:s%}", "id", call->text.p, call->text.len));
}

static void on_saved(uv_work_t *work, int cancelled)
{
    struct admin_call *call = work->data;
    bool is_good = !cancelled && !call->status && publish(call);

    if (!is_good)
        key_book_undo(book_of(call));
    admin_turn_over(call);
    if (is_good)
        reply(call);
    else
        rest_problem(&call->rest, 500, "state_unwritable", "The key could not be written: %s.",
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
    else if (status == E_FULL)
        rest_problem(&call->rest, 422, "too_many_keys", "There are at most %d keys.", KEY_RING_MAX);
    else
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
}

/* --- adding */

/* What is asked for stands in the call: consumer and tier in its target's id and region, how long
 * in deadline_ms. */
static void add(struct admin_call *call)
{
    struct key_ring_entry entry = {.consumer = call->target.id,
                                   .tier = call->target.region,
                                   .expires_ms = UINT64_MAX};
    char key[KEY_RING_TEXT + 1], hash[2 * KEY_RING_HASH + 1];
    enum status status = E_NOMEM;

    if (call->deadline_ms)
        entry.expires_ms = clock_wall_ms() + call->deadline_ms;
    if (key_ring_make(key)) {
        call->owned = strdup(key);
        key_ring_hash((struct str){key, KEY_RING_TEXT}, entry.hash);
        key_ring_write_hash(entry.hash, hash);
        call->text = arena_copy(&call->rest.arena, (struct str){hash, KEY_RING_ID});
        if (call->owned && call->text.p)
            status = key_book_add(book_of(call), &entry, clock_wall_ms());
    }
    OPENSSL_cleanse(key, sizeof(key));
    if (status)
        refuse(call, status);
    else
        save(call);
}

/* A name that can stand in logs and fields. */
static bool is_name(const json_t *json)
{
    const char *text = json_string_value(json);
    size_t len = json_string_length(json);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] <= 0x20 || text[i] == 0x7f)
            return false;
    return len > 0 && len <= NAME_MAX_BYTES;
}

static const char *check_member(struct admin_call *call, const char *key, const json_t *value)
{
    struct str text = {json_string_value(value), json_string_length(value)};

    if (!strcmp(key, "consumer") || !strcmp(key, "tier")) {
        struct str *to = *key == 'c' ? &call->target.id : &call->target.region;

        if (!is_name(value))
            return "\"consumer\" and \"tier\" are names without spaces, at most 128 bytes";
        *to = arena_copy(&call->rest.arena, text);
        return to->p ? NULL : "out of memory";
    }
    if (strcmp(key, "expires_in") != 0)
        return "the members are consumer, tier and expires_in";
    if (!text.p || units_duration(text, &call->deadline_ms) || !call->deadline_ms ||
        call->deadline_ms > EXPIRES_MAX_MS)
        return "\"expires_in\" is a duration, a century at most: \"720h\"";
    return NULL;
}

static const char *check_members(struct admin_call *call, json_t *json)
{
    const char *key, *wrong = NULL;
    json_t *value;

    if (!json_is_object(json))
        return "the body is a JSON object: {\"consumer\": \"ann\", \"tier\": \"gold\", "
               "\"expires_in\": \"720h\"}";
    json_object_foreach(json, key, value) if (!wrong) wrong = check_member(call, key, value);
    if (!wrong && !call->target.id.p)
        return "\"consumer\" is needed: whose key it is";
    return wrong;
}

void api_keys_add(struct admin_call *call)
{
    json_t *json = json_loadb(call->rest.body.p ? call->rest.body.p : "", call->rest.body.len,
                              JSON_REJECT_DUPLICATES, NULL);
    const char *wrong = json ? check_members(call, json) : "the body is not valid JSON";

    if (wrong)
        rest_problem(&call->rest, json ? 422 : 400, "key_invalid", "%s", wrong);
    else
        admin_turn_take(call, add);
    json_decref(json);
}

/* --- revoking */

static void end(struct admin_call *call)
{
    enum status status;

    call->before = describe(call);
    status = key_book_remove(book_of(call), call->text);

    if (status)
        refuse(call, status);
    else
        save(call);
}

void api_keys_revoke(struct admin_call *call)
{
    call->text = call->rest.parts[0];
    admin_turn_take(call, end);
}
