/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/hook.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "control/say.h"

extern char **environ;

struct hook {
    struct hook_options options;
    uv_process_t process;
    uv_pipe_t pipe;
    uv_timer_t timer;
    struct outbound_call *call;
    unsigned open; /* handles */
    bool is_over, has_exited, has_ended, is_late;
    int64_t exit_code;
    int signal;
    char output[HOOK_OUTPUT_MAX], buffer[4096];
    size_t len;
    char why[HOOK_WHY_MAX];
};

static void on_closed(uv_handle_t *handle)
{
    struct hook *hook = handle->data;

    if (!--hook->open)
        free(hook);
}

static void close_all(struct hook *hook)
{
    uv_handle_t *handles[] = {(uv_handle_t *)&hook->process, (uv_handle_t *)&hook->pipe,
                              (uv_handle_t *)&hook->timer};

    hook->is_over = true;
    for (size_t i = 0; i < ARRAY_LEN(handles); i++)
        if (handles[i]->data && !uv_is_closing(handles[i]))
            uv_close(handles[i], on_closed);
}

/* Tells, and goes. */
static void finish(struct hook *hook, const char *why)
{
    struct hook_options options = hook->options;

    if (hook->is_over)
        return;
    hook->is_over = true;
    options.done(options.owner, why, (struct str){hook->output, hook->len});
    close_all(hook);
}

/* --- commands */

/* The last of it is kept. */
static void keep(struct hook *hook, const char *bytes, size_t len)
{
    if (len > HOOK_OUTPUT_MAX / 2)
        len = HOOK_OUTPUT_MAX / 2;
    if (hook->len + len > HOOK_OUTPUT_MAX) {
        size_t drop = hook->len + len - HOOK_OUTPUT_MAX;

        memmove(hook->output, hook->output + drop, hook->len - drop);
        hook->len -= drop;
    }
    memcpy(hook->output + hook->len, bytes, len);
    hook->len += len;
}

static void judge(struct hook *hook)
{
    if (!hook->has_exited || (!hook->has_ended && !hook->is_late))
        return;
    if (hook->is_late)
        snprintf(hook->why, sizeof(hook->why), "it took longer than %u s",
                 hook->options.timeout_ms / 1000);
    else if (hook->signal)
        snprintf(hook->why, sizeof(hook->why), "it was ended by signal %d", hook->signal);
    else if (hook->exit_code)
        snprintf(hook->why, sizeof(hook->why), "it exited with %lld", (long long)hook->exit_code);
    finish(hook, *hook->why ? hook->why : NULL);
}

static void on_exit_of(uv_process_t *process, int64_t code, int number)
{
    struct hook *hook = process->data;

    hook->has_exited = true;
    hook->exit_code = code;
    hook->signal = number;
    kill(-process->pid, SIGKILL); // what it left behind holds the pipe
    judge(hook);
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct hook *hook = handle->data;

    (void)size;
    *buf = uv_buf_init(hook->buffer, sizeof(hook->buffer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct hook *hook = stream->data;

    if (n > 0)
        keep(hook, buf->base, (size_t)n);
    if (n >= 0)
        return;
    hook->has_ended = true;
    uv_read_stop(stream);
    judge(hook);
}

static void on_late(uv_timer_t *timer)
{
    struct hook *hook = timer->data;

    hook->is_late = true;
    kill(-hook->process.pid, SIGKILL);
    judge(hook);
}

/* Ours and those that were given. NULL: no memory. */
static char **make_env(const char *const *more)
{
    size_t count = 0, n = 0;
    char **env;

    while (environ[count])
        count++;
    for (size_t i = 0; more && more[i]; i++)
        count++;
    env = calloc(count + 1, sizeof(*env));
    for (size_t i = 0; env && environ[i]; i++)
        env[n++] = environ[i];
    for (size_t i = 0; env && more && more[i]; i++)
        env[n++] = (char *)(uintptr_t)more[i];
    return env;
}

static int spawn(struct hook *hook, const struct hook_options *options)
{
    char *args[] = {(char *)(uintptr_t) "/bin/sh", (char *)(uintptr_t) "-c",
                    (char *)(uintptr_t)options->run, NULL};
    uv_stdio_container_t stdio[] = {
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&hook->pipe},
        {.flags = UV_INHERIT_FD, .data.fd = STDERR_FILENO},
    };
    uv_process_options_t process = {.exit_cb = on_exit_of,
                                    .file = args[0],
                                    .args = args,
                                    .env = make_env(options->env),
                                    .flags = UV_PROCESS_DETACHED, // a group of its own
                                    .stdio = stdio,
                                    .stdio_count = 3};
    int code = process.env ? uv_spawn(options->loop, &hook->process, &process) : UV_ENOMEM;

    free(process.env);
    return code;
}

static void on_failed(uv_timer_t *timer)
{
    struct hook *hook = timer->data;

    finish(hook, hook->why);
}

static void begin_command(struct hook *hook, const struct hook_options *options)
{
    int code;

    uv_pipe_init(options->loop, &hook->pipe, 0);
    hook->pipe.data = hook;
    hook->process.data = hook;
    hook->open += 2;
    code = spawn(hook, options);
    if (code) {
        snprintf(hook->why, sizeof(hook->why), "it could not be started: %s", uv_strerror(code));
        uv_timer_start(&hook->timer, on_failed, 0, 0);
        return;
    }
    uv_read_start((uv_stream_t *)&hook->pipe, on_alloc, on_read);
    uv_timer_start(&hook->timer, on_late, options->timeout_ms, 0);
}

/* --- URLs */

static void on_reply(void *owner, const struct outbound_reply *reply)
{
    struct hook *hook = owner;

    hook->call = NULL;
    keep(hook, reply->body.p ? reply->body.p : "", reply->body.len);
    if (!reply->status)
        say_into(hook->why, sizeof(hook->why), "%s", reply->error);
    else if (reply->status / 100 != 2)
        snprintf(hook->why, sizeof(hook->why), "it answered %ld", reply->status);
    finish(hook, *hook->why ? hook->why : NULL);
}

static void begin_url(struct hook *hook, const struct hook_options *options)
{
    static const char *const fields[] = {"Content-Type: application/json", NULL};
    struct outbound_request request = {.method = "POST",
                                       .url = options->url,
                                       .fields = fields,
                                       .body = {options->body, strlen(options->body)},
                                       .timeout_ms = options->timeout_ms,
                                       .size_max = HOOK_OUTPUT_MAX,
                                       .is_once = true,
                                       .done = on_reply,
                                       .owner = hook};

    hook->call = outbound_send(options->outbound, &request);
    if (hook->call)
        return;
    snprintf(hook->why, sizeof(hook->why), "out of memory");
    uv_timer_start(&hook->timer, on_failed, 0, 0);
}

struct hook *hook_begin(const struct hook_options *options)
{
    struct hook *hook = calloc(1, sizeof(*hook));

    if (!hook)
        return NULL;
    hook->options = *options;
    uv_timer_init(options->loop, &hook->timer);
    hook->timer.data = hook;
    hook->open = 1;
    if (options->run)
        begin_command(hook, options);
    else
        begin_url(hook, options);
    return hook;
}

void hook_cancel(struct hook **hook)
{
    struct hook *gone = *hook;

    *hook = NULL;
    if (!gone || gone->is_over)
        return;
    outbound_cancel(&gone->call);
    if (gone->process.pid > 0 && !gone->has_exited) {
        kill(-gone->process.pid, SIGKILL);
        waitpid(gone->process.pid, NULL, 0); // at once: nobody asks the loop for it any more
    }
    close_all(gone);
}
