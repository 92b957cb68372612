/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "edge/manager/api.h"

enum { BACKLOG = 128, BUFFER = 16 * 1024, EVENT_MAX = 4 * 1024 };

struct admin *admin_open(struct manager *manager)
{
    struct admin *admin = calloc(1, sizeof(*admin));

    if (!admin)
        return NULL;
    admin->manager = manager;
    admin->last_turn = &admin->turns;
    slab_init(&admin->slab, BUFFER, NULL);
    if (uv_timer_init(&manager->loop.uv, &admin->poll)) {
        free(admin);
        return NULL;
    }
    admin->poll.data = admin;
    return admin;
}

static void close_port(struct admin_port **at);

void admin_close(struct admin *admin)
{
    while (admin->ports)
        close_port(&admin->ports);
    while (admin->conns)
        admin_conn_close(admin->conns);
    uv_close((uv_handle_t *)&admin->poll, NULL);
}

void admin_free(struct admin **admin)
{
    struct admin *gone = *admin;

    *admin = NULL;
    if (!gone)
        return;
    while (gone->calls)
        admin_call_free(gone->calls); // nobody will answer them any more
    confirm_clear(&gone->confirm);
    api_counters_fini(&gone->counters);
    slab_fini(&gone->slab);
    free(gone);
}

/* --- ports */

static void on_port_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_port(struct admin_port **at)
{
    struct admin_port *port = *at;

    *at = port->next;
    uv_close(&port->uv.any, on_port_closed);
}

static void on_connection(uv_stream_t *stream, int failed)
{
    if (!failed)
        admin_conn_accept(stream->data);
}

static bool open_handle(struct admin_port *port, int fd)
{
    int failed = port->is_unix ? uv_pipe_open(&port->uv.pipe, fd) : uv_tcp_open(&port->uv.tcp, fd);

    if (failed)
        close(fd);
    return !failed && !uv_listen(&port->uv.stream, BACKLOG, on_connection);
}

static bool listen_on(struct admin *admin, const struct listening *listening, int fd)
{
    uv_loop_t *loop = &admin->manager->loop.uv;
    struct admin_port *port = calloc(1, sizeof(*port));
    int failed;

    if (!port) {
        close(fd);
        return false;
    }
    port->admin = admin;
    port->kind = listening->kind;
    port->is_unix = !strncmp(listening->bind, "unix:", 5);
    memcpy(port->bind, listening->bind, sizeof(port->bind));
    failed =
        port->is_unix ? uv_pipe_init(loop, &port->uv.pipe, 0) : uv_tcp_init(loop, &port->uv.tcp);
    if (failed) {
        close(fd);
        free(port);
        return false;
    }
    port->uv.any.data = port;
    port->next = admin->ports;
    admin->ports = port;
    if (open_handle(port, fd))
        return true;
    close_port(&admin->ports);
    return false;
}

void admin_listen(struct admin *admin, const struct listening *listening)
{
    for (unsigned i = 0; i < listening->held; i++)
        if (!listen_on(admin, listening, listening->fds[i]))
            fprintf(stderr, "sluice: edge: cannot serve the admin API on %s\n", listening->bind);
}

void admin_unlisten(struct admin *admin, const struct listening *listening)
{
    for (struct admin_port **at = &admin->ports; *at;) {
        if (!strcmp((*at)->bind, listening->bind))
            close_port(at);
        else
            at = &(*at)->next;
    }
}

void admin_retire(struct admin *admin)
{
    admin->is_retired = true;
    while (admin->ports)
        close_port(&admin->ports);
}

/* --- events and time */

void admin_event(struct admin *admin, const char *kind, const char *format, ...)
{
    char data[EVENT_MAX];
    va_list args;
    int len;

    va_start(args, format);
    len = vsnprintf(data, sizeof(data), format, args);
    va_end(args);
    if (len > 0 && len < (int)sizeof(data))
        events_tell(admin, kind, (struct str){data, (size_t)len});
}

void admin_tick(struct admin *admin)
{
    uint64_t now = uv_now(&admin->manager->loop.uv);

    for (struct admin_conn *conn = admin->conns, *next; conn; conn = next) {
        next = conn->next;
        admin_conn_tick(conn, now);
    }
    events_tick(admin);
    api_confirm_tick(admin);
    api_shield_tick(admin);
    admin_idle(admin);
}

bool admin_revert_unconfirmed(const char *state_dir, const char *config)
{
    return confirm_revert(state_dir, config, clock_wall_ms());
}

void admin_resume(struct admin *admin)
{
    const struct manager *m = admin->manager;
    enum status status = confirm_load(m->state_dir, m->options.config, &admin->confirm);

    if (status == E_NOMEM)
        fprintf(stderr, "sluice: edge: out of memory: the configuration that waits to be confirmed "
                        "is kept\n");
}
