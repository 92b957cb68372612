/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /api/v1/backup: a whole copy of the database, made while it is used, as it is read from the
 * disk. The copy has no name any more when it is sent.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "control/control_api_impl.h"
#include "rest/stream.h"

enum { PIECE = 64 * 1024 };

static void send_next(struct control_call *call);

static void end(struct control_call *call, bool is_whole)
{
    close(call->fd);
    free(call->piece);
    rest_end(&call->rest, is_whole);
}

static void on_piece(uv_fs_t *reading)
{
    struct control_call *call = CONTAINER_OF(reading, struct control_call, reading);
    ssize_t n = reading->result;

    uv_fs_req_cleanup(reading);
    call->is_reading = false;
    if (n <= 0 || !call->rest.conn) {
        end(call, !n);
        return;
    }
    call->at += n;
    if (rest_send(&call->rest, (struct str){call->piece, (size_t)n}) && !rest_is_full(&call->rest))
        send_next(call);
}

static void send_next(struct control_call *call)
{
    uv_buf_t room = uv_buf_init(call->piece, PIECE);

    call->is_reading = true;
    if (uv_fs_read(call->api->options.loop, &call->reading, call->fd, &room, 1, call->at,
                   on_piece)) {
        call->is_reading = false;
        end(call, false);
    }
}

static void on_room(struct rest_call *rest)
{
    struct control_call *call = CONTAINER_OF(rest, struct control_call, rest);

    if (!call->is_reading)
        send_next(call);
}

/* What is being read ends the call when it is there. */
static void on_gone(struct rest_call *rest)
{
    struct control_call *call = CONTAINER_OF(rest, struct control_call, rest);

    if (!call->is_reading)
        end(call, false);
}

static void begin(struct control_call *call, int64_t size)
{
    call->piece = malloc(PIECE);
    if (!call->piece) {
        close(call->fd);
        rest_problem(&call->rest, 503, "memory_limit", "Out of memory.");
        return;
    }
    call->rest.on_room = on_room;
    call->rest.on_gone = on_gone;
    if (!call->rest.conn)
        end(call, false);
    else if (rest_begin(&call->rest, 200, STR("application/vnd.sqlite3"), size))
        send_next(call);
}

static void on_copied(struct store_job *job, enum status status)
{
    struct store_copy *copy = CONTAINER_OF(job, struct store_copy, job);
    struct control_call *call = CONTAINER_OF(copy, struct control_call, job.copy);
    struct stat file;

    if (status) {
        control_api_fail(call, job);
        return;
    }
    call->fd = open(copy->path, O_RDONLY | O_CLOEXEC);
    unlink(copy->path);
    if (call->fd >= 0 && !fstat(call->fd, &file)) {
        begin(call, (int64_t)file.st_size);
        return;
    }
    rest_problem(&call->rest, 503, "store_failed", "Cannot read %s: %s.", copy->path,
                 strerror(errno));
}

void control_api_backup(struct control_call *call)
{
    call->job.copy = (struct store_copy){.job = {.done = on_copied}};
    store_copy(call->api->options.store, &call->job.copy);
}
