/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/pushed.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

static const char suffix[] = ".pem";

bool pushed_is_name(struct str name)
{
    if (!name.len || name.len > PUSHED_NAME_MAX || name.p[0] == '.')
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i], letter = (char)(c | 0x20);

        if (!(letter >= 'a' && letter <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_' &&
            c != '.')
            return false;
    }
    return true;
}

static bool path_of(const char *state_dir, struct str name, char path[PATH_MAX])
{
    errno = ENAMETOOLONG;
    return snprintf(path, PATH_MAX, "%s/certificates%s%.*s%s", state_dir, name.len ? "/" : "",
                    STR_FMT(name), name.len ? suffix : "") < PATH_MAX;
}

enum status pushed_read(const char *state_dir, struct str name, struct arena *arena,
                        struct str *text)
{
    char path[PATH_MAX];

    return path_of(state_dir, name, path) ? file_read(path, arena, text) : E_IO;
}

enum status pushed_write(const char *state_dir, struct str name, struct str text)
{
    char path[PATH_MAX];

    if (!path_of(state_dir, STR(""), path) || file_make_directory(path) ||
        !path_of(state_dir, name, path))
        return E_IO;
    if (text.p)
        return file_write(path, text, 0600);
    return unlink(path) && errno != ENOENT ? E_IO : OK;
}

/* --- all of them */

static int is_file(const struct dirent *entry)
{
    size_t len = strlen(entry->d_name), end = sizeof(suffix) - 1;

    return len > end && !strcmp(entry->d_name + len - end, suffix) &&
           pushed_is_name((struct str){entry->d_name, len - end});
}

static bool add(struct pushed *pushed, const char *state_dir, struct str name, struct diag *diag)
{
    struct tls_pushed *to = &pushed->list[pushed->count];
    struct certificate_error error;
    struct arena arena;
    struct str text = STR_NONE;
    bool is_read;

    arena_init(&arena, NULL, 0);
    is_read = !pushed_read(state_dir, name, &arena, &text);
    if (is_read)
        to->certificate = certificate_parse(text, text, &error);
    if (!to->certificate)
        diag_warn(diag, (struct span){0}, "%s/certificates/%.*s%s: %s", state_dir, STR_FMT(name),
                  suffix, is_read ? error.text : strerror(errno));
    else
        pushed->count++;
    if (text.p)
        explicit_bzero((void *)(uintptr_t)text.p, text.len);
    arena_reset(&arena);
    if (!to->certificate)
        return true; // the others go on
    to->name = arena_copy(&pushed->arena, name);
    return to->name.p != NULL;
}

bool pushed_load(struct pushed *pushed, const char *state_dir, struct diag *diag)
{
    struct dirent **found = NULL;
    char path[PATH_MAX];
    bool is_good = true;
    int count;

    *pushed = (struct pushed){.count = 0};
    arena_init(&pushed->arena, NULL, 0);
    if (!path_of(state_dir, STR(""), path))
        return true;
    count = scandir(path, &found, is_file, alphasort);
    if (count <= 0) {
        free(found);
        return true; // no folder, or nothing in it
    }
    pushed->list = arena_zero(&pushed->arena, (size_t)count, sizeof(*pushed->list));
    is_good = pushed->list != NULL;
    for (int i = 0; i < count; i++) {
        struct str name = {found[i]->d_name, strlen(found[i]->d_name) - sizeof(suffix) + 1};

        is_good = is_good && add(pushed, state_dir, name, diag);
        free(found[i]);
    }
    free(found);
    return is_good;
}

void pushed_fini(struct pushed *pushed)
{
    for (uint32_t i = 0; i < pushed->count; i++) {
        struct certificate *certificate =
            (struct certificate *)(uintptr_t)pushed->list[i].certificate;

        certificate_free(&certificate);
    }
    arena_reset(&pushed->arena);
    *pushed = (struct pushed){.count = 0};
}
