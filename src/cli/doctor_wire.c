/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_wire.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"

static enum doctor_dialled dialled_of(int error)
{
    switch (error) {
    case 0:
        return DOCTOR_ACCEPTS;
    case ECONNREFUSED:
    case ECONNRESET:
    case ENOENT: // a unix socket that is not there
        return DOCTOR_REFUSES;
    case EINPROGRESS:
    case ETIMEDOUT:
        return DOCTOR_SILENT;
    default:
        return DOCTOR_UNROUTABLE;
    }
}

/* Begins; -1: it ended at once, with `dialled`. */
static int begin(const struct endpoint_address *address, enum doctor_dialled *dialled)
{
    int fd = socket(address->socket.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int error = 0;

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address->socket, address->len))
        error = errno;
    *dialled = dialled_of(error);
    if (fd >= 0 && (!error || error == EINPROGRESS))
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

static int result_of(int fd)
{
    int error = 0;
    socklen_t len = sizeof(error);

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) ? errno : error;
}

static int left_ms(uint64_t end_us)
{
    uint64_t now_us = clock_us();

    return now_us < end_us ? (int)((end_us - now_us) / 1000) + 1 : 0;
}

/* Notes what ended; how many are still open. */
static unsigned take_ended(struct pollfd *polls, unsigned count, enum doctor_dialled *dialled)
{
    unsigned waiting = 0;

    for (unsigned i = 0; i < count; i++) {
        if (polls[i].fd >= 0 && polls[i].revents) {
            dialled[i] = dialled_of(result_of(polls[i].fd));
            close(polls[i].fd);
            polls[i].fd = -1;
        }
        waiting += polls[i].fd >= 0;
    }
    return waiting;
}

void doctor_wire_dial(const struct endpoint_address *addresses, unsigned count, uint32_t timeout_ms,
                      enum doctor_dialled *dialled)
{
    uint64_t end_us = clock_us() + (uint64_t)timeout_ms * 1000;
    struct pollfd polls[DOCTOR_WIRE_DIALS];
    unsigned waiting;
    int wait_ms;

    for (unsigned i = 0; i < count; i++)
        polls[i] = (struct pollfd){.fd = begin(&addresses[i], &dialled[i]), .events = POLLOUT};
    do {
        wait_ms = left_ms(end_us);
        poll(polls, count, wait_ms);
        waiting = take_ended(polls, count, dialled);
    } while (waiting && wait_ms);
    for (unsigned i = 0; i < count; i++)
        if (polls[i].fd >= 0)
            close(polls[i].fd);
}

static bool wait_for(int fd, short events, uint64_t end_us)
{
    struct pollfd one = {.fd = fd, .events = events};
    int wait_ms = left_ms(end_us);

    return wait_ms && poll(&one, 1, wait_ms) > 0;
}

bool doctor_wire_open(struct doctor_wire *wire, const struct endpoint_address *address,
                      uint32_t timeout_ms)
{
    uint64_t end_us = clock_us() + (uint64_t)timeout_ms * 1000;
    enum doctor_dialled dialled;

    *wire = (struct doctor_wire){.fd = begin(address, &dialled)};
    if (wire->fd >= 0 && wait_for(wire->fd, POLLOUT, end_us) && !result_of(wire->fd))
        return true;
    doctor_wire_close(wire);
    return false;
}

bool doctor_wire_secure(struct doctor_wire *wire, const struct tls_client *client, struct str host,
                        uint32_t timeout_ms, struct tls_look_report *report)
{
    wire->tls = tls_look_open(wire->fd, client, host, timeout_ms, report);
    return wire->tls != NULL;
}

static bool is_later(void)
{
    return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

bool doctor_wire_write(struct doctor_wire *wire, struct str bytes, uint32_t timeout_ms)
{
    uint64_t end_us = clock_us() + (uint64_t)timeout_ms * 1000;

    if (wire->tls)
        return tls_look_write(wire->tls, bytes, timeout_ms);
    while (bytes.len) {
        ssize_t n = send(wire->fd, bytes.p, bytes.len, MSG_NOSIGNAL);

        if (n < 0 && (!is_later() || !wait_for(wire->fd, POLLOUT, end_us)))
            return false;
        if (n > 0)
            bytes = (struct str){bytes.p + n, bytes.len - (size_t)n};
    }
    return true;
}

ssize_t doctor_wire_read(struct doctor_wire *wire, char *to, size_t size, uint32_t timeout_ms)
{
    uint64_t end_us = clock_us() + (uint64_t)timeout_ms * 1000;
    ssize_t n;

    if (wire->tls)
        return tls_look_read(wire->tls, to, size, timeout_ms);
    while ((n = recv(wire->fd, to, size, 0)) < 0) {
        if (!is_later())
            return 0;
        if (!wait_for(wire->fd, POLLIN, end_us))
            return -1;
    }
    return n;
}

void doctor_wire_close(struct doctor_wire *wire)
{
    tls_look_close(&wire->tls);
    if (wire->fd >= 0)
        close(wire->fd);
    wire->fd = -1;
}
