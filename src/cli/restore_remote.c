/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/restore_remote.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "cli/client.h"
#include "control/s3.h"

enum { CALL_MS = 10 * 60 * 1000, LIST_MAX = 4 * 1024 * 1024, SIZE_MAX_MIB = 1024 };

_Static_assert((int)RESTORE_NAME == (int)S3_NAME, "names are of one size");

/* One fetch. */
struct fetch {
    uv_loop_t loop;
    struct outbound *outbound;
    struct s3_place place;
    const char *url, *path;
    json_t *names;
    char *name, token[S3_TOKEN];
    int code;
};

bool restore_is_remote(const char *word)
{
    return !strncmp(word, "s3://", 5) || !strncmp(word, "https://", 8) ||
           !strncmp(word, "http://", 7);
}

static void complain(struct fetch *fetch, const char *what, const char *why)
{
    fprintf(stderr, "sluice: cannot %s %s: %s\n", what, fetch->url, why);
    fetch->code = CLIENT_FAILED;
}

static void complain_of(struct fetch *fetch, const char *what, const struct outbound_reply *reply)
{
    char why[S3_ERROR];

    s3_explain(reply, why);
    complain(fetch, what, why);
    if (!reply->status)
        fetch->code = CLIENT_UNREACHABLE;
}

static void ask(struct fetch *fetch, const struct s3_call *call)
{
    if (!s3_send(fetch->outbound, &fetch->place, call))
        complain(fetch, "read", "out of memory");
}

/* --- the one */

static bool write_all(int fd, struct str bytes)
{
    while (bytes.len) {
        ssize_t n = write(fd, bytes.p, bytes.len);

        if (n <= 0)
            return false;
        bytes = (struct str){bytes.p + n, bytes.len - (size_t)n};
    }
    return true;
}

static void keep(struct fetch *fetch, struct str bytes)
{
    int fd;

    unlink(fetch->path); // what an earlier one left
    fd = open(fetch->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0 || !write_all(fd, bytes)) {
        fprintf(stderr, "sluice: cannot write %s: %s\n", fetch->path, strerror(errno));
        fetch->code = CLIENT_FAILED;
    } else {
        fetch->code = CLIENT_OK;
    }
    if (fd >= 0)
        close(fd);
}

static void on_object(void *owner, const struct outbound_reply *reply)
{
    struct fetch *fetch = owner;

    if (reply->status == 200)
        keep(fetch, reply->body);
    else
        complain_of(fetch, "get a backup from", reply);
}

static void get(struct fetch *fetch, const char *name)
{
    struct s3_call call = {.method = "GET",
                           .name = name,
                           .timeout_ms = CALL_MS,
                           .size_max = (uint32_t)SIZE_MAX_MIB << 20,
                           .done = on_object,
                           .owner = fetch};

    snprintf(fetch->name, S3_NAME, "%s", name);
    ask(fetch, &call);
}

/* --- which one */

static void on_list(void *owner, const struct outbound_reply *reply);

static void list(struct fetch *fetch)
{
    struct s3_call call = {.method = "GET",
                           .token = *fetch->token ? fetch->token : NULL,
                           .timeout_ms = CALL_MS,
                           .size_max = LIST_MAX,
                           .done = on_list,
                           .owner = fetch};

    ask(fetch, &call);
}

static void on_list(void *owner, const struct outbound_reply *reply)
{
    struct fetch *fetch = owner;

    if (reply->status != 200)
        complain_of(fetch, "list", reply);
    else if (!s3_read_list(reply->body, &fetch->place, fetch->names, fetch->token))
        complain(fetch, "list", "the store answers with something else than a list");
    else if (*fetch->token)
        list(fetch);
    else if (!json_array_size(fetch->names))
        complain(fetch, "restore from", "there is no backup");
    else
        get(fetch, s3_newest(fetch->names));
}

/* --- the whole */

static const char *env(const char *name, const char *other)
{
    const char *value = getenv(name);

    return value && *value ? value : other;
}

static bool prepare(struct fetch *fetch)
{
    struct str url = {fetch->url, strlen(fetch->url)};
    const char *wrong;

    fetch->place.key = env("AWS_ACCESS_KEY_ID", NULL);
    fetch->place.secret = env("AWS_SECRET_ACCESS_KEY", NULL);
    fetch->place.region = env("AWS_REGION", env("AWS_DEFAULT_REGION", "us-east-1"));
    fetch->place.ca = env("AWS_CA_BUNDLE", NULL);
    if (!fetch->place.key || !fetch->place.secret) {
        fprintf(stderr, "sluice: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and AWS_REGION "
                        "where it is not us-east-1: as key, secret and region of "
                        "`control: {backup}`\n");
        fetch->code = CLIENT_USAGE;
        return false;
    }
    wrong = s3_place_read(&fetch->place, url);
    if (wrong)
        complain(fetch, "read", wrong);
    return !wrong;
}

static void run(struct fetch *fetch)
{
    fetch->outbound = outbound_new(&fetch->loop);
    fetch->names = json_array();
    if (!fetch->outbound || !fetch->names)
        complain(fetch, "read", "out of memory");
    else if (*fetch->place.object)
        get(fetch, fetch->place.object);
    else
        list(fetch);
    uv_run(&fetch->loop, UV_RUN_DEFAULT);
    outbound_close(&fetch->outbound);
    uv_run(&fetch->loop, UV_RUN_DEFAULT);
    json_decref(fetch->names);
}

int restore_fetch(const char *url, const char *path, char name[RESTORE_NAME])
{
    struct fetch fetch = {.url = url, .path = path, .name = name, .code = CLIENT_FAILED};

    signal(SIGPIPE, SIG_IGN);
    if (!prepare(&fetch))
        return fetch.code;
    if (uv_loop_init(&fetch.loop))
        return CLIENT_FAILED;
    run(&fetch);
    uv_loop_close(&fetch.loop);
    return fetch.code;
}
