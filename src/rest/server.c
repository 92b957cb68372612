/* SPDX-License-Identifier: Apache-2.0
 *
 * The server and its ports: from a listening descriptor to connections.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rest/impl.h"

enum { BACKLOG = 128, BUFFER = 16 * 1024 };

void rest_server_init(struct rest_server *server, const struct rest_options *options)
{
    *server = (struct rest_server){.options = *options};
    slab_init(&server->slab, BUFFER, NULL);
    uv_timer_init(options->loop, &server->turn);
    server->turn.data = server;
}

static void close_port(struct rest_port **at);

void rest_server_close(struct rest_server *server)
{
    while (server->ports)
        close_port(&server->ports);
    while (server->conns)
        rest_conn_close(server->conns);
    rest_relay_close(server);
    rest_cert_free(&server->cert);
    uv_close((uv_handle_t *)&server->turn, NULL);
}

void rest_server_fini(struct rest_server *server)
{
    while (server->calls)
        rest_call_free(server->calls);
    slab_fini(&server->slab);
}

/* --- ports */

static void on_port_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void close_port(struct rest_port **at)
{
    struct rest_port *port = *at;

    *at = port->next;
    uv_close(&port->uv.any, on_port_closed);
}

static void on_connection(uv_stream_t *stream, int failed)
{
    if (!failed)
        rest_conn_accept(stream->data);
}

static bool open_handle(struct rest_port *port, int fd)
{
    int failed = port->is_unix ? uv_pipe_open(&port->uv.pipe, fd) : uv_tcp_open(&port->uv.tcp, fd);

    if (failed)
        close(fd);
    return !failed && !uv_listen(&port->uv.stream, BACKLOG, on_connection);
}

bool rest_server_listen(struct rest_server *server, const char *bind, unsigned tag, int fd)
{
    uv_loop_t *loop = server->options.loop;
    struct rest_port *port = calloc(1, sizeof(*port));
    int failed;

    if (!port) {
        close(fd);
        return false;
    }
    port->server = server;
    port->tag = tag;
    port->is_unix = !strncmp(bind, "unix:", 5);
    snprintf(port->bind, sizeof(port->bind), "%s", bind);
    failed =
        port->is_unix ? uv_pipe_init(loop, &port->uv.pipe, 0) : uv_tcp_init(loop, &port->uv.tcp);
    if (failed) {
        close(fd);
        free(port);
        return false;
    }
    port->uv.any.data = port;
    port->next = server->ports;
    server->ports = port;
    if (open_handle(port, fd))
        return true;
    close_port(&server->ports);
    return false;
}

void rest_server_unlisten(struct rest_server *server, const char *bind)
{
    for (struct rest_port **at = &server->ports; *at;) {
        if (!strcmp((*at)->bind, bind))
            close_port(at);
        else
            at = &(*at)->next;
    }
}

/* --- TLS */

static void end_old(struct rest_server *server, unsigned tag)
{
    for (struct rest_conn *conn = server->conns, *next; conn; conn = next) {
        next = conn->next;
        if (conn->tag != tag || conn->is_unix)
            continue;
        conn->is_last = conn->close_after = true;
        if (conn->state == REST_STREAM)
            rest_conn_close(conn);
    }
}

void rest_server_secure(struct rest_server *server, unsigned tag, struct str cert, struct str key)
{
    bool was_secure = server->secure_tags >> tag & 1, is_secure = cert.len > 0;

    if (was_secure != is_secure)
        end_old(server, tag);
    server->secure_tags = is_secure ? 1U << tag : 0;
    if (!is_secure) {
        rest_cert_free(&server->cert);
        return;
    }
    if (!server->cert)
        server->cert = rest_cert_new(server->options.loop, server->options.who);
    if (server->cert)
        rest_cert_use(server->cert, cert, key);
    else
        fprintf(stderr, "sluice: %s: out of memory: nobody is served over TLS\n",
                server->options.who);
}

json_t *rest_server_cert_json(const struct rest_server *server)
{
    return server->cert ? rest_cert_json(server->cert) : NULL;
}

void rest_server_retire(struct rest_server *server)
{
    server->is_retired = true;
    while (server->ports)
        close_port(&server->ports);
}

void rest_server_tick(struct rest_server *server)
{
    uint64_t now = uv_now(server->options.loop);

    for (struct rest_conn *conn = server->conns, *next; conn; conn = next) {
        next = conn->next;
        rest_conn_tick(conn, now);
    }
    rest_relay_tick(server, now);
    if (server->cert)
        rest_cert_tick(server->cert);
}
