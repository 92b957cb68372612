/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice backup FILE`: control's database, copied while it is used; and `sluice restore`, which
 * puts it back while the gateway is stopped: from a file, or from the store that backups go to.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/restore_remote.h"
#include "control/store_restore.h"

static int complain(const char *what, const char *path)
{
    fprintf(stderr, "sluice: cannot write %s%s: %s\n", path, what, strerror(errno));
    return CLIENT_FAILED;
}

static int fetch(const struct client *client, const char *fresh)
{
    int fd = open(fresh, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), code;
    FILE *file = fd < 0 ? NULL : fdopen(fd, "we");

    if (!file) {
        if (fd >= 0)
            close(fd);
        return complain("", fresh);
    }
    code = client_download(client, "/api/v1/backup", file);
    if (!code && (fflush(file) || fsync(fd)))
        code = complain("", fresh);
    fclose(file);
    return code;
}

static int check(const char *fresh)
{
    char error[STORE_RESTORE_ERROR];

    if (!store_restore_check(fresh, error))
        return CLIENT_OK;
    fprintf(stderr, "sluice: what came is not a good backup: %s\n", error);
    return CLIENT_FAILED;
}

/* What was at `path` stays until there is a good one. */
static int back_up(const struct client *client, const char *path)
{
    char *fresh = NULL;
    struct stat file;
    int code;

    if (asprintf(&fresh, "%s.new", path) < 0)
        return CLIENT_FAILED;
    code = fetch(client, fresh);
    if (!code)
        code = check(fresh);
    if (!code && rename(fresh, path))
        code = complain("", path);
    if (code)
        unlink(fresh);
    free(fresh);
    if (!code && !stat(path, &file))
        printf("%s holds what control knows now, in %lld bytes\n", path, (long long)file.st_size);
    return code;
}

int cli_backup(int argc, char **argv)
{
    static const char usage[] = "FILE";
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count == 1)
        return back_up(&client, client.words[0]);
    fprintf(stderr, "usage: sluice backup %s\n", usage);
    return CLIENT_USAGE;
}

/* --- restore */

static const char *usual_state(void)
{
    return access("state", F_OK) && !access("/var/lib/sluice", F_OK) ? "/var/lib/sluice" : "state";
}

static int restore(const char *state, const char *path, const char *name)
{
    char error[STORE_RESTORE_ERROR];

    if (store_restore(state, path, error)) {
        fprintf(stderr, "sluice: %s\n", error);
        return CLIENT_FAILED;
    }
    printf("%s is in the place of %s/control.db; what was there is kept as "
           "control.db.before-restore\n",
           name, state);
    return CLIENT_OK;
}

static int restore_remotely(const char *state, const char *url)
{
    char *path = NULL, name[RESTORE_NAME];
    int code;

    if (asprintf(&path, "%s/control.db.download", state) < 0)
        return CLIENT_FAILED;
    code = restore_fetch(url, path, name);
    if (!code)
        code = restore(state, path, name);
    unlink(path);
    free(path);
    return code;
}

int cli_restore(int argc, char **argv)
{
    static const char usage[] = "FILE | s3://BUCKET/PREFIX | https://ENDPOINT/BUCKET/PREFIX "
                                "[--state DIR]";
    struct client client;
    const char *state;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count != 1) {
        fprintf(stderr, "usage: sluice restore %s\n", usage);
        return CLIENT_USAGE;
    }
    state = client.state ? client.state : usual_state();
    if (restore_is_remote(client.words[0]))
        return restore_remotely(state, client.words[0]);
    return restore(state, client.words[0], client.words[0]);
}
