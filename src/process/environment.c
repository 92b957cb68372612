/* SPDX-License-Identifier: Apache-2.0 */
#include "process/environment.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_internal(const char *entry)
{
    return !strncmp(entry, "SLUICE_LINK=", 12) || !strncmp(entry, "SLUICE_UNITS=", 13) ||
           !strncmp(entry, "SLUICE_HANDOVER=", 16);
}

/* Systemd's words are for the supervisor, and for the one that follows it in the same process. */
static bool is_systemds(const char *entry)
{
    return !strncmp(entry, "NOTIFY_SOCKET=", 14) || !strncmp(entry, "WATCHDOG_", 9);
}

char **environment_new(const char *entry)
{
    size_t count = 0;
    while (environ && environ[count])
        count++;
    char **list = calloc(count + 2, sizeof *list);
    if (!list)
        return NULL;
    size_t used = 0;
    bool is_same_process = entry && !strncmp(entry, "SLUICE_HANDOVER=", 16);
    for (size_t i = 0; i < count; i++)
        if (!is_internal(environ[i]) && (is_same_process || !is_systemds(environ[i])))
            list[used++] = environ[i];
    list[used] = (char *)(uintptr_t)entry;
    return list;
}

static bool is_program(char *path, size_t size, struct str folder, const char *name)
{
    int len = snprintf(path, size, "%.*s/%s", STR_FMT(folder), name);
    return len > 0 && (size_t)len < size && access(path, X_OK) == 0;
}

static bool find_in_path(const char *name, char *path, size_t size)
{
    const char *at = getenv("PATH");
    while (at && *at) {
        struct str folder = {at, strcspn(at, ":")};
        if (is_program(path, size, folder.len ? folder : STR("."), name))
            return true;
        at += folder.len;
        at += *at == ':';
    }
    return false;
}

bool environment_find(const char *argv0, const char *fallback, char *path, size_t size)
{
    if (argv0 && *argv0 && !strchr(argv0, '/') && find_in_path(argv0, path, size))
        return true;
    const char *file = argv0 && strchr(argv0, '/') ? argv0 : fallback;
    int len = snprintf(path, size, "%s", file);
    return len > 0 && (size_t)len < size && access(path, X_OK) == 0;
}
