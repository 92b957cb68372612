/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/confirm.h"

#include <errno.h>
#include <jansson.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static bool name_file(const char *state_dir, char *path, size_t size)
{
    return snprintf(path, size, "%s/unconfirmed.json", state_dir) < (int)size;
}

/* The same file under any name of it. */
static void resolve(const char *config, char full[PATH_MAX])
{
    if (!realpath(config, full))
        snprintf(full, PATH_MAX, "%s", config);
}

enum status confirm_save(const char *state_dir, const char *config, struct str old,
                         uint64_t deadline_ms)
{
    char path[PATH_MAX], full[PATH_MAX];
    json_t *json;
    char *text;
    enum status status;

    if (!name_file(state_dir, path, sizeof(path))) {
        errno = ENAMETOOLONG;
        return E_IO;
    }
    resolve(config, full);
    json = json_pack("{s:i,s:s,s:I,s:s%}", "version", 1, "config", full, "deadline_ms",
                     (json_int_t)deadline_ms, "old", old.p, old.len);
    text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    status = text ? file_write(path, (struct str){text, strlen(text)}, 0600) : E_NOMEM;
    free(text);
    json_decref(json);
    return status;
}

enum status confirm_remove(const char *state_dir)
{
    char path[PATH_MAX];

    if (!name_file(state_dir, path, sizeof(path)))
        return OK;
    return unlink(path) && errno != ENOENT ? E_IO : OK;
}

static enum status fill(const json_t *json, const char *config, struct confirm *confirm)
{
    const char *of = json_string_value(json_object_get(json, "config"));
    const json_t *old = json_object_get(json, "old");
    json_int_t deadline_ms = json_integer_value(json_object_get(json, "deadline_ms"));
    char full[PATH_MAX];

    resolve(config, full);
    if (!of || !json_is_string(old) || strcmp(of, full))
        return E_NOT_FOUND;
    confirm->old_len = json_string_length(old);
    confirm->old = malloc(confirm->old_len + 1);
    if (!confirm->old)
        return E_NOMEM;
    memcpy(confirm->old, json_string_value(old), confirm->old_len + 1);
    confirm->deadline_ms = deadline_ms > 0 ? (uint64_t)deadline_ms : 0;
    return OK;
}

enum status confirm_load(const char *state_dir, const char *config, struct confirm *confirm)
{
    char path[PATH_MAX];
    json_t *json;
    enum status status;

    if (!name_file(state_dir, path, sizeof(path)) || access(path, F_OK))
        return E_NOT_FOUND;
    json = json_load_file(path, 0, NULL);
    if (!json)
        fprintf(stderr, "sluice: edge: %s is damaged: nothing is put back\n", path);
    status = json ? fill(json, config, confirm) : E_NOT_FOUND;
    json_decref(json);
    return status;
}

bool confirm_revert(const char *state_dir, const char *config, uint64_t now_ms)
{
    struct confirm confirm = {0};
    char full[PATH_MAX];
    bool is_back = false;

    if (confirm_load(state_dir, config, &confirm))
        return false;
    resolve(config, full);
    if (confirm.deadline_ms <= now_ms) {
        is_back = !file_write(full, (struct str){confirm.old, confirm.old_len}, 0);
        if (!is_back)
            fprintf(stderr, "sluice: edge: cannot put the old configuration back: %s: %s\n", full,
                    strerror(errno));
    }
    if (is_back && confirm_remove(state_dir))
        fprintf(stderr, "sluice: edge: cannot remove unconfirmed.json: %s\n", strerror(errno));
    confirm_clear(&confirm);
    return is_back;
}

void confirm_clear(struct confirm *confirm)
{
    free(confirm->old);
    *confirm = (struct confirm){0};
}
