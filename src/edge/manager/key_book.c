/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/key_book.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* {"version": 1, "keys": [{"hash", "consumer", "tier", "created_ms", "expires_ms"}]}; without tier
 * or expires_ms where there is none. */
struct key_book {
    json_t *root, *before;
    char path[PATH_MAX];
    char error[PATH_MAX + 128];
};

static struct str text_of(const json_t *json)
{
    return (struct str){json_string_value(json), json_string_length(json)};
}

static json_t *list_of(const struct key_book *book)
{
    return json_object_get(book->root, "keys");
}

/* --- entries */

static bool read_entry(const json_t *json, struct key_ring_entry *entry)
{
    const json_t *expires = json_object_get(json, "expires_ms");
    const json_t *tier = json_object_get(json, "tier");

    *entry = (struct key_ring_entry){.consumer = text_of(json_object_get(json, "consumer")),
                                     .tier = text_of(tier),
                                     .expires_ms = expires ? (uint64_t)json_integer_value(expires)
                                                           : UINT64_MAX};
    return entry->consumer.len && json_is_integer(json_object_get(json, "created_ms")) &&
           (!tier || entry->tier.len) &&
           (!expires || (json_is_integer(expires) && json_integer_value(expires) >= 0)) &&
           key_ring_read_hash(text_of(json_object_get(json, "hash")), entry->hash);
}

static bool is_sound(const json_t *root)
{
    const json_t *list = json_object_get(root, "keys"), *json;
    struct key_ring_entry entry;
    size_t i;

    if (json_integer_value(json_object_get(root, "version")) != 1 || !json_is_array(list) ||
        json_array_size(list) > KEY_RING_MAX)
        return false;
    json_array_foreach(list, i, json) if (!read_entry(json, &entry)) return false;
    return true;
}

static json_t *write_entry(const struct key_ring_entry *entry, uint64_t now_ms)
{
    char hash[2 * KEY_RING_HASH + 1];
    json_t *json;

    key_ring_write_hash(entry->hash, hash);
    json = json_pack("{s:s,s:s%,s:I}", "hash", hash, "consumer", entry->consumer.p,
                     entry->consumer.len, "created_ms", (json_int_t)now_ms);
    if (json && entry->tier.len)
        json_object_set_new(json, "tier", json_stringn(entry->tier.p, entry->tier.len));
    if (json && entry->expires_ms != UINT64_MAX)
        json_object_set_new(json, "expires_ms", json_integer((json_int_t)entry->expires_ms));
    return json;
}

/* --- changes */

static bool begin(struct key_book *book)
{
    json_t *copy = json_deep_copy(book->root);

    if (!copy)
        return false;
    json_decref(book->before);
    book->before = book->root;
    book->root = copy;
    return true;
}

enum status key_book_add(struct key_book *book, const struct key_ring_entry *entry, uint64_t now_ms)
{
    json_t *json;

    if (json_array_size(list_of(book)) >= KEY_RING_MAX)
        return E_FULL;
    json = write_entry(entry, now_ms);
    if (!json || !begin(book)) {
        json_decref(json);
        return E_NOMEM;
    }
    return json_array_append_new(list_of(book), json) ? E_NOMEM : OK;
}

enum status key_book_remove(struct key_book *book, struct str id)
{
    const json_t *json;
    size_t i;

    if (id.len != KEY_RING_ID)
        return E_NOT_FOUND;
    json_array_foreach(list_of(book), i, json)
    {
        if (memcmp(json_string_value(json_object_get(json, "hash")), id.p, id.len) != 0)
            continue;
        if (!begin(book))
            return E_NOMEM;
        return json_array_remove(list_of(book), i) ? E_NOMEM : OK;
    }
    return E_NOT_FOUND;
}

void key_book_undo(struct key_book *book)
{
    if (!book->before)
        return;
    json_decref(book->root);
    book->root = book->before;
    book->before = NULL;
}

enum status key_book_save(struct key_book *book)
{
    char *text = json_dumps(book->root, JSON_INDENT(1));
    enum status status;

    if (!text)
        return E_NOMEM;
    status = file_write(book->path, (struct str){text, strlen(text)}, 0600);
    free(text);
    return status;
}

/* --- what is in it */

static json_t *date_json(uint64_t ms)
{
    struct clock_date cache = {0};
    struct str text = clock_rfc3339(&cache, ms);

    return json_stringn(text.p, text.len);
}

json_t *key_book_list(const struct key_book *book)
{
    json_t *out = json_array(), *json, *shown;
    struct key_ring_entry entry;
    size_t i;

    json_array_foreach(list_of(book), i, json)
    {
        if (!read_entry(json, &entry))
            continue;
        shown =
            json_pack("{s:s%,s:s%,s:o}", "id", json_string_value(json_object_get(json, "hash")),
                      (size_t)KEY_RING_ID, "consumer", entry.consumer.p, entry.consumer.len,
                      "created",
                      date_json((uint64_t)json_integer_value(json_object_get(json, "created_ms"))));
        if (shown && entry.tier.len)
            json_object_set_new(shown, "tier", json_stringn(entry.tier.p, entry.tier.len));
        if (shown && entry.expires_ms != UINT64_MAX)
            json_object_set_new(shown, "expires", date_json(entry.expires_ms));
        json_array_append_new(out, shown);
    }
    return out;
}

struct key_ring *key_book_ring(const struct key_book *book)
{
    size_t count = json_array_size(list_of(book));
    struct key_ring_entry *entries = calloc(count + 1, sizeof(*entries));
    struct key_ring *ring = NULL;
    uint32_t filled = 0;

    for (size_t i = 0; entries && i < count; i++)
        filled += read_entry(json_array_get(list_of(book), i), &entries[filled]);
    if (entries)
        ring = key_ring_new(entries, filled);
    free(entries);
    return ring;
}

/* --- life */

static void set_aside(struct key_book *book)
{
    char aside[PATH_MAX + 16];

    snprintf(aside, sizeof(aside), "%s.damaged", book->path);
    snprintf(book->error, sizeof(book->error), "%s is damaged and set aside%s: no keys of it pass",
             book->path, rename(book->path, aside) ? ", which failed" : "");
    json_decref(book->root);
    book->root = NULL;
}

struct key_book *key_book_open(const char *state_dir, const char **error)
{
    struct key_book *book = calloc(1, sizeof(*book));

    *error = NULL;
    if (!book)
        return NULL;
    snprintf(book->path, sizeof(book->path), "%s/keys.json", state_dir);
    if (!access(book->path, F_OK)) {
        book->root = json_load_file(book->path, JSON_REJECT_DUPLICATES, NULL);
        if (!is_sound(book->root))
            set_aside(book);
    }
    if (!book->root)
        book->root = json_pack("{s:i,s:[]}", "version", 1, "keys");
    if (!book->root) {
        free(book);
        return NULL;
    }
    *error = book->error[0] ? book->error : NULL;
    return book;
}

void key_book_close(struct key_book **book)
{
    struct key_book *gone = *book;

    *book = NULL;
    if (!gone)
        return;
    json_decref(gone->root);
    json_decref(gone->before);
    free(gone);
}
