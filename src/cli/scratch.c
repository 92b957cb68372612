/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/scratch.h"

#include <errno.h>
#include <ftw.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "process/bind.h"

enum { PORTS_TRIED = 100, WALK_FDS = 16 };

/* --- the directory */

static const struct passwd *edge_user(void)
{
    return geteuid() ? NULL : getpwnam("sluice");
}

/* Absolute, short, and without anything that a shell or YAML would want quoted. */
static bool is_usable(const char *base)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+";
    size_t room = SCRATCH_PATH_SIZE - sizeof("/sluice-command-XXXXXX");

    return base && base[0] == '/' && strlen(base) <= room && strspn(base, plain) == strlen(base) &&
           !access(base, W_OK | X_OK);
}

/* The edge of a root that becomes another user may not pass root's own directories. */
static const char *find_base(void)
{
    const char *runtime = getenv("XDG_RUNTIME_DIR"), *temporary = getenv("TMPDIR");

    if (edge_user())
        return "/tmp";
    if (is_usable(runtime))
        return runtime;
    return is_usable(temporary) ? temporary : "/tmp";
}

/* Only what an upgrade hands over counts: the variable alone may be somebody else's. */
static bool inherit(struct scratch *scratch)
{
    const char *path = getenv("SLUICE_SCRATCH");
    struct stat found;

    if (!getenv("SLUICE_HANDOVER") || !path || strlen(path) >= sizeof(scratch->path))
        return false;
    if (lstat(path, &found) || !S_ISDIR(found.st_mode))
        return false;
    memcpy(scratch->path, path, strlen(path) + 1);
    return true;
}

static bool make(struct scratch *scratch, const char *command)
{
    const struct passwd *user = edge_user();

    snprintf(scratch->path, sizeof(scratch->path), "%s/sluice-%s-XXXXXX", find_base(), command);
    if (!mkdtemp(scratch->path)) {
        fprintf(stderr, "sluice %s: cannot make a directory %s: %s\n", command, scratch->path,
                strerror(errno));
        return false;
    }
    // The edge's user makes its files there, and cannot put another in the place of root's.
    if ((user && (chown(scratch->path, 0, user->pw_gid) || chmod(scratch->path, 01770))) ||
        setenv("SLUICE_SCRATCH", scratch->path, 1)) {
        fprintf(stderr, "sluice %s: cannot use %s: %s\n", command, scratch->path, strerror(errno));
        rmdir(scratch->path);
        return false;
    }
    return true;
}

static void block_signals(void)
{
    static const int served[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(served); i++)
        sigaddset(&set, served[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    // `sluice demo | head` is no reason to leave the directory behind.
    signal(SIGPIPE, SIG_IGN);
}

bool scratch_open(struct scratch *scratch, const char *command)
{
    *scratch = (struct scratch){.path = ""};
    block_signals();
    scratch->is_inherited = inherit(scratch);
    if (!scratch->is_inherited && !make(scratch, command))
        return false;
    snprintf(scratch->config, sizeof(scratch->config), "%s/sluice.yaml", scratch->path);
    return true;
}

static int remove_one(const char *path, const struct stat *stat, int kind, struct FTW *place)
{
    (void)stat;
    (void)kind;
    (void)place;
    if (remove(path))
        fprintf(stderr, "sluice: cannot remove %s: %s\n", path, strerror(errno));
    return 0;
}

void scratch_close(const struct scratch *scratch)
{
    nftw(scratch->path, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

bool scratch_write(const struct scratch *scratch, struct str text)
{
    const struct passwd *user = edge_user();

    if (!file_write(scratch->config, text, 0600) &&
        (!user || (!chown(scratch->config, 0, user->pw_gid) && !chmod(scratch->config, 0640))))
        return true;
    fprintf(stderr, "sluice: cannot write %s: %s\n", scratch->config, strerror(errno));
    return false;
}

/* --- ports */

/* Between the look and the supervisor's own bind() another demo could take the port. The name of an
 * abstract socket is a lock that needs no file, and the kernel frees it with the process. */
static bool lock_port(uint16_t port)
{
    struct sockaddr_un name = {.sun_family = AF_UNIX};
    int len = snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "sluice-port-%u", port);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);

    if (fd < 0)
        return false;
    if (!bind(fd, (struct sockaddr *)&name, size))
        return true; // stays open: it is the lock
    close(fd);
    return false;
}

static bool is_free(uint16_t port)
{
    struct bind_address address;
    const char *why;
    char text[32];

    snprintf(text, sizeof(text), "127.0.0.1:%u", port);
    return !bind_parse(text, &address, &why) && !bind_probe(&address);
}

uint16_t scratch_port(uint16_t first)
{
    for (uint32_t port = first; port < first + (uint32_t)PORTS_TRIED && port <= UINT16_MAX; port++)
        if (is_free((uint16_t)port) && lock_port((uint16_t)port))
            return (uint16_t)port;
    return 0;
}
