/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ACCEPTS_A_TURN = 16, ACCEPTS_AT_END = 4096 /* as many as may wait in a socket */ };

struct listener_socket {
    uv_poll_t poll;
    struct listener *listener;
    int fd;
    bool is_closed;
};

struct listener {
    struct listener_home *home;
    char *bind;
    struct client_door door;
    unsigned count, closing;
    bool is_open;
    struct listener_socket sockets[];
};

/* No place for this connection: say so, where it can be understood, and close before anything is
 * read. */
static void turn_away(const struct listener *listener, int fd)
{
    static const char answer[] = "HTTP/1.1 503 Service Unavailable\r\n"
                                 "Content-Length: 0\r\nConnection: close\r\nRetry-After: 1\r\n"
                                 "X-Sluice-Reason: connection_limit\r\n\r\n";
    struct listener_home *home = listener->home;
    ssize_t sent = 0;

    if (!listener->door.tls)
        sent = send(fd, answer, sizeof(answer) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
    (void)sent; // whoever does not take it gets the close
    shutdown(fd, SHUT_WR);
    close(fd);
    __atomic_store_n(&home->refused, home->refused + 1, __ATOMIC_RELAXED);
}

/* Descriptors ran out: the reserve makes room to answer one connection, so that none waits unseen.
 */
static bool use_reserve(const struct listener *listener, int listen_fd)
{
    struct listener_home *home = listener->home;
    int fd;

    if (home->reserve_fd < 0)
        return false;
    close(home->reserve_fd);
    fd = accept4(listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0)
        turn_away(listener, fd);
    home->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    return fd >= 0;
}

static bool accept_one(struct listener *listener, int listen_fd)
{
    struct listener_home *home = listener->home;
    struct sockaddr_storage peer;
    socklen_t len = sizeof(peer);
    enum status status;
    int fd = accept4(listen_fd, (struct sockaddr *)&peer, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd < 0 && (errno == EMFILE || errno == ENFILE))
        return use_reserve(listener, listen_fd);
    if (fd < 0)
        return errno == ECONNABORTED || errno == EINTR;
    if (len < sizeof(sa_family_t))
        peer.ss_family = AF_UNIX;
    if (home->clients.list->count >= home->connections_max) {
        turn_away(listener, fd);
        return true;
    }
    status = client_open(&home->clients, fd, (struct sockaddr *)&peer, &listener->door);
    if (status == E_FULL)
        turn_away(listener, fd);
    return !status;
}

static void on_ready(uv_poll_t *poll, int failed, int events)
{
    struct listener_socket *socket = poll->data;
    struct loop *loop = socket->listener->home->clients.host->loop;

    (void)events;
    if (failed)
        return;
    loop_enter(loop);
    for (unsigned i = 0; i < ACCEPTS_A_TURN && accept_one(socket->listener, socket->fd); i++)
        ;
    loop_leave(loop);
}

static void on_closed(uv_handle_t *handle)
{
    struct listener_socket *socket = handle->data;

    close(socket->fd);
    socket->is_closed = true;
    __atomic_store_n(&socket->listener->closing, socket->listener->closing - 1, __ATOMIC_RELEASE);
}

static void close_socket(struct listener_socket *socket)
{
    __atomic_store_n(&socket->listener->closing, socket->listener->closing + 1, __ATOMIC_RELAXED);
    uv_close((uv_handle_t *)&socket->poll, on_closed);
}

struct listener *listener_open(struct listener_home *home, const struct listener_spec *spec)
{
    uv_loop_t *uv = &home->clients.host->loop->uv;
    struct listener *listener =
        calloc(1, sizeof(*listener) + spec->count * sizeof(struct listener_socket));

    if (!listener) {
        for (unsigned i = 0; i < spec->count; i++)
            close(spec->fds[i]);
        return NULL;
    }
    listener->home = home;
    listener->bind = spec->bind;
    listener->is_open = true;
    listener->door.http2 = true;
    listener->door.listener = UINT32_MAX;
    listener_set_health(listener, spec->health);
    for (unsigned i = 0; i < spec->count; i++) {
        struct listener_socket *socket = &listener->sockets[listener->count];

        *socket = (struct listener_socket){.listener = listener, .fd = spec->fds[i]};
        socket->poll.data = socket;
        if (uv_poll_init(uv, &socket->poll, socket->fd)) {
            close(socket->fd);
            continue;
        }
        listener->count++;
        uv_poll_start(&socket->poll, UV_READABLE, on_ready);
    }
    return listener;
}

void listener_close(struct listener *listener)
{
    if (!listener->is_open)
        return;
    for (unsigned i = 0; i < listener->count; i++)
        close_socket(&listener->sockets[i]);
    tls_server_unref(&listener->door.tls); // its clients have their own
    __atomic_store_n(&listener->is_open, false, __ATOMIC_RELEASE);
}

void listener_finish(struct listener *listener)
{
    for (unsigned i = 0; listener->is_open && i < listener->count; i++) {
        struct listener_socket *socket = &listener->sockets[i];

        for (unsigned n = 0; n < ACCEPTS_AT_END && accept_one(listener, socket->fd); n++)
            ;
    }
    listener_close(listener);
}

bool listener_is_spent(const struct listener *listener)
{
    return !__atomic_load_n(&listener->is_open, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&listener->closing, __ATOMIC_ACQUIRE) && !listener_clients(listener);
}

void listener_free(struct listener **listener)
{
    if (!*listener)
        return;
    tls_server_unref(&(*listener)->door.tls);
    free((*listener)->bind);
    free(*listener);
    *listener = NULL;
}

const char *listener_bind(const struct listener *listener)
{
    return listener->bind;
}

void listener_set_health(struct listener *listener, const char *health)
{
    snprintf(listener->door.health, sizeof(listener->door.health), "%s", health);
}

void listener_set_door(struct listener *listener, const struct door *door)
{
    struct client_door *ours = &listener->door;

    if (door->tls)
        tls_server_ref(door->tls);
    tls_server_unref(&ours->tls);
    ours->tls = door->tls;
    ours->listener = door->index;
    ours->http2 = door->http2;
    ours->redirect_https = door->redirect_https;
    memcpy(ours->hsts, door->hsts, sizeof(ours->hsts));
    memcpy(ours->cert_header, door->cert_header, sizeof(ours->cert_header));
}

void listener_leave_door(struct listener *listener)
{
    listener->door.listener = UINT32_MAX;
}

bool listener_is_open(const struct listener *listener)
{
    return listener->is_open;
}

uint32_t listener_clients(const struct listener *listener)
{
    return __atomic_load_n(&listener->door.open, __ATOMIC_RELAXED);
}
