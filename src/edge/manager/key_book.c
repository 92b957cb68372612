/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/key_book.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

/* {"version": 1, "keys": [ENTRY], "control": {"epoch", "revision", "keys": [ENTRY]}}, with entries
 * as rest/key_json.h has them; `control` is not there before it has spoken. Lists and entries are
 * never changed, only replaced. */
struct key_book {
    json_t *root, *before, *live; /* live: what is shown, since it is written and holds */
    char path[PATH_MAX];
    char error[PATH_MAX + 128];
};

/* Those made here, or control's. */
static json_t *list_of(const json_t *root, bool is_control)
{
    return json_object_get(is_control ? json_object_get(root, "control") : root, "keys");
}

/* --- what is kept */

static const char *check_list(const json_t *list)
{
    const char *wrong = NULL;
    struct key_entry entry;
    const json_t *json;
    size_t i;

    if (!json_is_array(list) || json_array_size(list) > API_KEY_MAX)
        return "\"keys\" is a list, of 100000 at most";
    json_array_foreach(list, i, json) if (!wrong) wrong = key_entry_read(json, &entry);
    return wrong;
}

static const char *check_numbers(const json_t *said)
{
    const json_t *epoch = json_object_get(said, "epoch");
    const json_t *revision = json_object_get(said, "revision");

    if (!json_is_integer(epoch) || json_integer_value(epoch) < 1 || !json_is_integer(revision) ||
        json_integer_value(revision) < 1)
        return "\"epoch\" and \"revision\" are whole numbers from 1 on";
    return NULL;
}

static bool is_sound(const json_t *root)
{
    const json_t *control = json_object_get(root, "control");

    if (control && (check_numbers(control) || check_list(json_object_get(control, "keys"))))
        return false;
    return json_integer_value(json_object_get(root, "version")) == 1 &&
           !check_list(json_object_get(root, "keys"));
}

/* The entries as they are written here, each once. */
static json_t *copy_list(const json_t *list, const char **wrong)
{
    json_t *kept = json_array(), *seen = json_object(), *json;
    char hash[2 * API_KEY_HASH + 1];
    struct key_entry entry;
    size_t i;

    json_array_foreach(list, i, json)
    {
        if (*wrong || (*wrong = key_entry_read(json, &entry)))
            break;
        api_key_write_hash(entry.hash, hash);
        if (json_object_get(seen, hash))
            *wrong = "a key stands twice";
        else if (json_object_set_new(seen, hash, json_true()) ||
                 json_array_append_new(kept, key_entry_write(&entry)))
            *wrong = "out of memory";
    }
    json_decref(seen);
    return kept;
}

json_t *key_book_read(const json_t *said, const char **wrong)
{
    const json_t *list = json_object_get(said, "keys");
    json_t *keys, *kept;

    *wrong = json_is_object(said) ? check_numbers(said) : "the body is a JSON object";
    if (!*wrong && (!json_is_array(list) || json_array_size(list) > API_KEY_MAX))
        *wrong = "\"keys\" is a list, of 100000 at most";
    if (*wrong)
        return NULL;
    keys = copy_list(list, wrong);
    kept = json_pack("{s:O,s:O,s:o}", "epoch", json_object_get(said, "epoch"), "revision",
                     json_object_get(said, "revision"), "keys", keys);
    if (!kept)
        *wrong = "out of memory";
    if (!*wrong)
        return kept;
    json_decref(kept);
    return NULL;
}

/* --- changes */

/* Takes `root` over in place of what there is. */
static enum status change(struct key_book *book, json_t *root)
{
    if (!root)
        return E_NOMEM;
    json_decref(book->before);
    book->before = book->root;
    book->root = root;
    return OK;
}

/* Takes `list` over in place of the one there is. */
static enum status change_list(struct key_book *book, bool is_control, json_t *list)
{
    json_t *root = json_copy(book->root);
    json_t *control = is_control ? json_copy(json_object_get(root, "control")) : NULL;
    bool is_bad = json_object_set_new(is_control ? control : root, "keys", list) ||
                  (is_control && json_object_set(root, "control", control));

    json_decref(control);
    if (!is_bad)
        return change(book, root);
    json_decref(root);
    return E_NOMEM;
}

enum status key_book_add(struct key_book *book, const struct key_entry *entry)
{
    json_t *list;

    if (json_array_size(list_of(book->root, false)) >= API_KEY_MAX)
        return E_FULL;
    list = json_copy(list_of(book->root, false));
    if (!list || json_array_append_new(list, key_entry_write(entry))) {
        json_decref(list);
        return E_NOMEM;
    }
    return change_list(book, false, list);
}

/* Its place in the list; as many as there are: it is not there. */
static size_t find(const json_t *list, struct str id)
{
    size_t count = json_array_size(list);

    if (id.len != API_KEY_ID)
        return count;
    for (size_t i = 0; i < count; i++)
        if (!memcmp(json_string_value(json_object_get(json_array_get(list, i), "hash")), id.p,
                    id.len))
            return i;
    return count;
}

enum status key_book_remove(struct key_book *book, struct str id, bool is_any)
{
    json_t *list = list_of(book->root, false);
    bool is_control = find(list, id) == json_array_size(list);
    size_t at;

    if (is_control)
        list = list_of(book->root, true);
    at = find(list, id);
    if (at == json_array_size(list))
        return E_NOT_FOUND;
    if (is_control && !is_any)
        return E_CONFLICT;
    list = json_copy(list);
    if (!list || json_array_remove(list, at)) {
        json_decref(list);
        return E_NOMEM;
    }
    return change_list(book, is_control, list);
}

enum status key_book_put(struct key_book *book, json_t *control)
{
    json_t *root = json_copy(book->root);

    if (!json_object_set(root, "control", control))
        return change(book, root);
    json_decref(root);
    return E_NOMEM;
}

void key_book_undo(struct key_book *book)
{
    if (!book->before)
        return;
    json_decref(book->root);
    book->root = book->before;
    book->before = NULL;
}

void key_book_settle(struct key_book *book)
{
    json_decref(book->live);
    book->live = json_incref(book->root);
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

struct key_book_word key_book_word(const struct key_book *book)
{
    const json_t *control = json_object_get(book->live, "control");

    return (struct key_book_word){json_integer_value(json_object_get(control, "epoch")),
                                  json_integer_value(json_object_get(control, "revision"))};
}

struct key_book_count key_book_count(const struct key_book *book)
{
    size_t control = json_array_size(list_of(book->live, true));

    return (struct key_book_count){json_array_size(list_of(book->live, false)) + control, control};
}

static json_t *show(const json_t *json, bool is_control)
{
    struct key_entry entry;

    return key_entry_read(json, &entry) ? NULL
                                        : key_entry_show(&entry, is_control ? "control" : "edge");
}

json_t *key_book_list(const struct key_book *book)
{
    json_t *out = json_array(), *json;
    size_t i;

    json_array_foreach(list_of(book->live, false), i, json)
        json_array_append_new(out, show(json, false));
    json_array_foreach(list_of(book->live, true), i, json)
        json_array_append_new(out, show(json, true));
    return out;
}

json_t *key_book_show(const struct key_book *book, struct str id)
{
    for (int is_control = 0; is_control < 2; is_control++) {
        const json_t *list = list_of(book->live, is_control);
        size_t at = find(list, id);

        if (at < json_array_size(list))
            return show(json_array_get(list, at), is_control);
    }
    return NULL;
}

static uint32_t fill(const struct key_book *book, bool is_control, struct key_ring_entry *entries)
{
    struct key_entry entry;
    const json_t *json;
    uint32_t filled = 0;
    size_t i;

    json_array_foreach(list_of(book->root, is_control), i, json)
    {
        if (key_entry_read(json, &entry))
            continue;
        entries[filled] = (struct key_ring_entry){.consumer = entry.consumer,
                                                  .tier = entry.tier,
                                                  .expires_ms = entry.expires_ms};
        memcpy(entries[filled].hash, entry.hash, sizeof(entry.hash));
        filled++;
    }
    return filled;
}

struct key_ring *key_book_ring(const struct key_book *book)
{
    size_t count =
        json_array_size(list_of(book->root, false)) + json_array_size(list_of(book->root, true));
    struct key_ring_entry *entries = calloc(count + 1, sizeof(*entries));
    struct key_ring *ring = NULL;
    uint32_t filled;

    if (!entries)
        return NULL;
    filled = fill(book, false, entries);
    filled += fill(book, true, entries + filled);
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
    key_book_settle(book);
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
    json_decref(gone->live);
    free(gone);
}
