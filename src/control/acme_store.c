/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_store.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/random.h"

/* --- folders and paths */

static uint64_t hash(struct str s)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < s.len; i++)
        sum = random_mix(sum ^ (unsigned char)s.p[i]);
    return sum;
}

/* Only what is harmless in a file's name; the hash tells apart what looks the same. */
static struct str host_of(struct arena *arena, struct str url)
{
    const char *at = memmem(url.p, url.len, "://", 3);
    size_t skip = at ? (size_t)(at - url.p) + 3 : 0;
    struct str host = {url.p + skip, url.len - skip};
    char *text = arena_text(arena, host.len + 1);

    if (!text)
        return STR_NONE;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.p[i];
        bool is_plain = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
                        c == '.' || c == '-';

        if (c == '/' || i == 100)
            host.len = i;
        else
            text[i] = is_plain ? c : '_';
    }
    text[host.len] = '\0';
    return (struct str){text, host.len};
}

struct str acme_store_folder(struct arena *arena, struct str state, struct str directory)
{
    struct str host = host_of(arena, directory), folder;
    struct str parent = arena_format(arena, "%.*s/acme", STR_FMT(state));

    // Each by itself: what is made on the way to a folder is open to others.
    if (!host.p || !parent.p || file_make_directory(parent.p))
        return STR_NONE;
    folder = arena_format(arena, "%.*s/acme/%.*s-%08x", STR_FMT(state), STR_FMT(host),
                          (unsigned)(hash(directory) & 0xffffffff));
    if (!folder.p || file_make_directory(folder.p))
        return STR_NONE;
    return folder;
}

struct path {
    char text[PATH_MAX];
};

static bool make_path(struct path *path, struct str folder, struct str name, const char *kind)
{
    int len = snprintf(path->text, sizeof(path->text), "%.*s/%.*s%s", STR_FMT(folder),
                       STR_FMT(name), kind);

    if (len > 0 && len < (int)sizeof(path->text))
        return true;
    errno = ENAMETOOLONG;
    return false;
}

/* --- JSON in files; the objects are the caller's */

static enum status read_json(const struct path *path, json_t **json)
{
    struct arena arena;
    struct str text;
    enum status status;

    arena_init(&arena, NULL, 0);
    status = file_read(path->text, &arena, &text);
    *json = status ? NULL : json_loadb(text.p, text.len, 0, NULL);
    arena_reset(&arena);
    return status || *json ? status : E_INVALID;
}

/* Takes `json`, which is NULL when memory ended. */
static enum status write_json(const struct path *path, json_t *json)
{
    char *text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    enum status status = E_NOMEM;

    json_decref(json);
    if (text)
        status = file_write(path->text, (struct str){text, strlen(text)}, 0600);
    free(text);
    return status;
}

static struct str take(struct arena *arena, const json_t *json, const char *name)
{
    const json_t *value = json_object_get(json, name);
    struct str text = {json_string_value(value), json_string_length(value)};

    return text.p && text.len ? arena_copy(arena, text) : STR_NONE;
}

static int64_t number(const json_t *json, const char *name)
{
    return (int64_t)json_integer_value(json_object_get(json, name));
}

/* Of a text that may be absent. */
static json_t *to_json(struct str s)
{
    return json_stringn(s.p ? s.p : "", s.len);
}

/* --- the account */

enum status acme_store_read_account(struct arena *arena, struct str folder,
                                    struct acme_account *account)
{
    struct path path;
    json_t *json;
    enum status status;

    if (!make_path(&path, folder, STR("account"), ".json"))
        return E_IO;
    status = read_json(&path, &json);
    if (status)
        return status;
    *account = (struct acme_account){take(arena, json, "key"), take(arena, json, "url"),
                                     take(arena, json, "email")};
    json_decref(json);
    return account->key.p ? OK : E_INVALID;
}

enum status acme_store_write_account(struct str folder, const struct acme_account *account)
{
    struct path path;

    if (!make_path(&path, folder, STR("account"), ".json"))
        return E_IO;
    return write_json(&path, json_pack("{s:o,s:o,s:o}", "url", to_json(account->url), "email",
                                       to_json(account->email), "key", to_json(account->key)));
}

/* --- the order under way */

enum status acme_store_read_journal(struct arena *arena, struct str folder, struct str name,
                                    struct acme_journal *journal)
{
    struct path path;
    json_t *json;
    enum status status;

    if (!make_path(&path, folder, name, ".order.json"))
        return E_IO;
    status = read_json(&path, &json);
    if (status)
        return status;
    *journal = (struct acme_journal){take(arena, json, "key"), take(arena, json, "url"),
                                     number(json, "created_ms")};
    json_decref(json);
    return journal->key.p ? OK : E_INVALID;
}

enum status acme_store_write_journal(struct str folder, struct str name,
                                     const struct acme_journal *journal)
{
    struct path path;

    if (!make_path(&path, folder, name, ".order.json"))
        return E_IO;
    return write_json(&path,
                      json_pack("{s:o,s:I,s:o}", "url", to_json(journal->url), "created_ms",
                                (json_int_t)journal->created_ms, "key", to_json(journal->key)));
}

void acme_store_remove_journal(struct str folder, struct str name)
{
    struct path path;

    if (make_path(&path, folder, name, ".order.json"))
        unlink(path.text);
}

/* --- what became of the tries */

enum status acme_store_read_progress(struct arena *arena, struct str folder, struct str name,
                                     struct acme_progress *progress)
{
    struct path path;
    json_t *json;
    struct str error;
    enum status status;

    *progress = (struct acme_progress){.failures = 0};
    if (!make_path(&path, folder, name, ".state.json"))
        return E_IO;
    status = read_json(&path, &json);
    if (status)
        return status;
    progress->failure = number(json, "failure") == ACME_FAILURE_UNREACHABLE
                            ? ACME_FAILURE_UNREACHABLE
                            : ACME_FAILURE_REFUSED;
    progress->failures = (uint32_t)number(json, "failures");
    progress->streak = (uint32_t)number(json, "streak");
    progress->next_ms = number(json, "next_ms");
    progress->issued_ms = number(json, "issued_ms");
    progress->error_ms = number(json, "error_ms");
    progress->by_alpn = take(arena, json, "by_alpn");
    error = take(arena, json, "error");
    snprintf(progress->error, sizeof(progress->error), "%.*s", STR_FMT(error));
    json_decref(json);
    return OK;
}

enum status acme_store_write_progress(struct str folder, struct str name,
                                      const struct acme_progress *progress)
{
    struct path path;
    struct str error = {progress->error, strlen(progress->error)};

    if (!make_path(&path, folder, name, ".state.json"))
        return E_IO;
    return write_json(&path,
                      json_pack("{s:i,s:I,s:I,s:I,s:I,s:I,s:o,s:o}", "failure",
                                (int)progress->failure, "failures", (json_int_t)progress->failures,
                                "streak", (json_int_t)progress->streak, "next_ms",
                                (json_int_t)progress->next_ms, "issued_ms",
                                (json_int_t)progress->issued_ms, "error_ms",
                                (json_int_t)progress->error_ms, "by_alpn",
                                to_json(progress->by_alpn), "error", to_json(error)));
}

/* --- certificates */

enum status acme_store_read_pair(struct arena *arena, struct str folder, struct str name,
                                 struct str *pair)
{
    struct path path;

    if (!make_path(&path, folder, name, ".pem"))
        return E_IO;
    return file_read(path.text, arena, pair);
}

enum status acme_store_write_pair(struct str folder, struct str name, struct str pair)
{
    struct path path;

    return make_path(&path, folder, name, ".pem") ? file_write(path.text, pair, 0600) : E_IO;
}
