/* SPDX-License-Identifier: Apache-2.0 */
#include "process/sockets.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_unix(const struct sockets_bind *bind)
{
    return bind->address.to.any.sa_family == AF_UNIX;
}

static struct sockets_bind **find(struct sockets *sockets, const char *text)
{
    struct sockets_bind **at = &sockets->first;
    while (*at && strcmp((*at)->text, text) != 0)
        at = &(*at)->next;
    return at;
}

/* The number of descriptors that are open: a unix bind lists one many times. */
static uint32_t distinct(const struct sockets_bind *bind)
{
    return is_unix(bind) && bind->count ? 1 : bind->count;
}

/* All zero when there is no such file. */
static struct sockets_file identify(const char *path)
{
    struct stat file;
    if (lstat(path, &file) < 0)
        return (struct sockets_file){0};
    uint64_t seconds = (uint64_t)file.st_ctim.tv_sec, ns = (uint64_t)file.st_ctim.tv_nsec;
    return (struct sockets_file){file.st_dev, file.st_ino, seconds * 1000000000 + ns};
}

static void remove_file(const struct sockets_bind *bind)
{
    const char *path = bind->address.to.path.sun_path;
    struct sockets_file now = identify(path);
    if (now.inode && !memcmp(&now, &bind->file, sizeof now))
        unlink(path);
}

static void drop(struct sockets *sockets, struct sockets_bind **at)
{
    struct sockets_bind *bind = *at;
    *at = bind->next;
    sockets->count--;
    for (uint32_t i = 0; i < distinct(bind); i++)
        close(bind->fds[i]);
    if (is_unix(bind) && bind->count)
        remove_file(bind);
    free(bind);
}

static bool has_port(const struct sockets *sockets, uint16_t port)
{
    for (const struct sockets_bind *bind = sockets->first; bind; bind = bind->next)
        if (bind->count && port && bind_port(&bind->address) == port)
            return true;
    return false;
}

static void explain(enum status status, const char *bind, char *error)
{
    const char *at = strncmp(bind, "unix:", 5) ? bind : bind + 5;
    if (status == E_CONFLICT)
        snprintf(error, LINK_ERROR_SIZE,
                 "%.128s: address already in use: another program listens on %.64s", bind, at);
    else if (status == E_DENIED && strncmp(bind, "unix:", 5) != 0)
        snprintf(error, LINK_ERROR_SIZE,
                 "%.128s: permission denied; ports below 1024 need root or CAP_NET_BIND_SERVICE",
                 bind);
    else if (errno == EEXIST)
        snprintf(error, LINK_ERROR_SIZE, "%.128s: there is a file that is not a socket", bind);
    else
        snprintf(error, LINK_ERROR_SIZE, "%.128s: %s", bind, strerror(errno));
}

static void shrink(struct sockets_bind *bind, uint32_t count)
{
    while (bind->count > count)
        close(bind->fds[--bind->count]);
}

static enum status grow_unix(struct sockets_bind *bind, uint32_t count)
{
    if (!bind->count) {
        enum status status = bind_open(&bind->address, &bind->options, &bind->fds[0]);
        if (status)
            return status;
        bind->count = 1;
        bind->file = identify(bind->address.to.path.sun_path);
    }
    for (; bind->count < count; bind->count++)
        bind->fds[bind->count] = bind->fds[0];
    return OK;
}

static enum status grow(struct sockets_bind *bind, uint32_t count)
{
    if (is_unix(bind))
        return grow_unix(bind, count);
    uint32_t before = bind->count;
    while (bind->count < count) {
        enum status status = bind_open(&bind->address, &bind->options, &bind->fds[bind->count]);
        if (status) {
            int error = errno;
            shrink(bind, before);
            errno = error;
            return status;
        }
        bind->count++;
    }
    return OK;
}

static void add_user(struct sockets_bind *bind, uint32_t generation)
{
    uint32_t *oldest = bind->users;
    for (unsigned i = 0; i < SOCKETS_USERS_MAX; i++) {
        if (bind->users[i] == generation)
            return;
        if (bind->users[i] < *oldest)
            oldest = &bind->users[i];
    }
    *oldest = generation;
}

static bool is_wanted(const struct sockets_bind *bind, const uint32_t *living)
{
    for (; *living; living++)
        for (unsigned i = 0; i < SOCKETS_USERS_MAX; i++)
            if (bind->users[i] == *living)
                return true;
    return false;
}

/* A new entry at the end of the list, with nothing open yet. */
static enum status add(struct sockets *sockets, const struct sockets_ask *ask,
                       struct sockets_bind **at, char *error)
{
    struct bind_address address;
    const char *why = "";
    if (bind_parse(ask->bind, &address, &why)) {
        snprintf(error, LINK_ERROR_SIZE, "%.128s: %s", ask->bind, why);
        return E_INVALID;
    }
    if (sockets->count >= SOCKETS_BINDS_MAX) {
        snprintf(error, LINK_ERROR_SIZE, "more than %d addresses to listen on", SOCKETS_BINDS_MAX);
        return E_FULL;
    }
    // Beside an address of our own on the same port ("127.0.0.1:80" becomes ":80") a probe would
    // find ourselves.
    if (!has_port(sockets, bind_port(&address)) && bind_probe(&address)) {
        explain(E_CONFLICT, ask->bind, error);
        return E_CONFLICT;
    }
    struct sockets_bind *bind = calloc(1, sizeof *bind);
    if (!bind) {
        snprintf(error, LINK_ERROR_SIZE, "out of memory");
        return E_NOMEM;
    }
    snprintf(bind->text, sizeof bind->text, "%s", ask->bind);
    bind->address = address;
    bind->options = ask->options;
    *at = bind;
    sockets->count++;
    return OK;
}

enum status sockets_open(struct sockets *sockets, const struct sockets_ask *ask,
                         const struct sockets_bind **held, char *error)
{
    if (!ask->count || ask->count > LINK_SOCKETS_MAX || strlen(ask->bind) >= LINK_BIND_SIZE) {
        snprintf(error, LINK_ERROR_SIZE, "%.128s: 1 to %d sockets may be asked for", ask->bind,
                 LINK_SOCKETS_MAX);
        return E_INVALID;
    }
    struct sockets_bind **at = find(sockets, ask->bind);
    enum status status = *at ? OK : add(sockets, ask, at, error);
    if (status)
        return status;
    status = grow(*at, ask->count);
    if (status) {
        explain(status, ask->bind, error);
        if (!(*at)->count)
            drop(sockets, at);
        return status;
    }
    add_user(*at, ask->generation);
    *held = *at;
    return OK;
}

enum status sockets_release(struct sockets *sockets, const char *bind, uint32_t generation,
                            const uint32_t *living)
{
    struct sockets_bind **at = find(sockets, bind);
    if (!*at)
        return E_NOT_FOUND;
    for (unsigned i = 0; i < SOCKETS_USERS_MAX; i++)
        if ((*at)->users[i] == generation)
            (*at)->users[i] = 0;
    if (!is_wanted(*at, living))
        drop(sockets, at);
    return OK;
}

unsigned sockets_sweep(struct sockets *sockets, const uint32_t *living)
{
    unsigned closed = 0;
    struct sockets_bind **at = &sockets->first;
    while (*at) {
        if (is_wanted(*at, living)) {
            at = &(*at)->next;
            continue;
        }
        drop(sockets, at);
        closed++;
    }
    return closed;
}

void sockets_fini(struct sockets *sockets)
{
    while (sockets->first)
        drop(sockets, &sockets->first);
}

void sockets_write(const struct sockets *sockets, FILE *out)
{
    for (const struct sockets_bind *bind = sockets->first; bind; bind = bind->next) {
        fprintf(out, "socket %d %u %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %u",
                bind->options.is_admin, bind->options.uid, bind->options.gid, bind->file.device,
                bind->file.inode, bind->file.changed_ns, bind->count);
        for (unsigned i = 0; i < SOCKETS_USERS_MAX; i++)
            fprintf(out, " %u", bind->users[i]);
        for (uint32_t i = 0; i < bind->count; i++)
            fprintf(out, " %d", bind->fds[i]);
        fprintf(out, " %s\n", bind->text);
    }
}

/* The next number of the line, or false. */
static bool take(char **line, uint64_t max, uint64_t *value)
{
    char *end;
    errno = 0;
    *value = strtoull(*line, &end, 10);
    bool is_good = end != *line && !errno && *value <= max;
    *line = end;
    return is_good;
}

static bool read_numbers(struct sockets_bind *bind, char **line)
{
    struct sockets_file *file = &bind->file;
    uint64_t admin, uid, gid, count, value;
    if (!take(line, 1, &admin) || !take(line, UINT32_MAX, &uid) || !take(line, UINT32_MAX, &gid) ||
        !take(line, UINT64_MAX, &file->device) || !take(line, UINT64_MAX, &file->inode) ||
        !take(line, UINT64_MAX, &file->changed_ns) || !take(line, LINK_SOCKETS_MAX, &count) ||
        !count)
        return false;
    bind->options = (struct bind_options){admin != 0, (uid_t)uid, (gid_t)gid};
    for (unsigned i = 0; i < SOCKETS_USERS_MAX; i++) {
        if (!take(line, UINT32_MAX, &value))
            return false;
        bind->users[i] = (uint32_t)value;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!take(line, INT32_MAX, &value))
            return false;
        bind->fds[i] = (int)value;
    }
    bind->count = (uint32_t)count;
    return true;
}

enum status sockets_read(struct sockets *sockets, char *line)
{
    struct sockets_bind *bind = calloc(1, sizeof *bind);
    if (!bind)
        return E_NOMEM;
    bool is_good = read_numbers(bind, &line) && *line++ == ' ' && *line &&
                   strlen(line) < sizeof bind->text && sockets->count < SOCKETS_BINDS_MAX;
    bind->address.len = sizeof bind->address.to;
    // The address comes from the socket itself: names may mean something else by now.
    if (!is_good || getsockname(bind->fds[0], &bind->address.to.any, &bind->address.len) < 0) {
        free(bind);
        return E_INVALID;
    }
    snprintf(bind->text, sizeof bind->text, "%s", line);
    bind->address.is_dual = line[0] == ':' && bind->address.to.any.sa_family == AF_INET6;
    *find(sockets, bind->text) = bind;
    sockets->count++;
    return OK;
}
