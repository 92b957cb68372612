/* SPDX-License-Identifier: Apache-2.0
 *
 * The edge's end of the link. Each question opens a socket pair of its own and sends one end along:
 * the answer comes back there, so nothing is shared but the request socket, on which a datagram is
 * one atomic write. No state, no lock; every function may be called from any thread, those that
 * wait not from a loop's.
 */
#include "process/link.h"

#include "process/fdpass.h"
#include "process/link_wire.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LISTEN_WAIT_MS = 5000, UPGRADE_WAIT_MS = 15000 };

struct answers {
    int fd;
    int64_t until_ms;
};

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static bool is_link_end(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

bool link_inherit(struct link *link)
{
    const char *text = getenv("SLUICE_LINK");
    char end;
    bool is_good = text &&
                   sscanf(text, "%9d,%9d%c", &link->request_fd, &link->notice_fd, &end) == 2 &&
                   is_link_end(link->request_fd) && is_link_end(link->notice_fd);
    unsetenv("SLUICE_LINK");
    if (!is_good) {
        *link = (struct link){-1, -1};
        return false;
    }
    fcntl(link->request_fd, F_SETFD, FD_CLOEXEC);
    fcntl(link->notice_fd, F_SETFD, FD_CLOEXEC);
    fcntl(link->notice_fd, F_SETFL, O_NONBLOCK);
    return true;
}

static bool is_ready(int fd, short events, int64_t until_ms)
{
    struct pollfd wait = {.fd = fd, .events = events};
    for (;;) {
        int64_t left = until_ms - now_ms();
        int n = poll(&wait, 1, left > 0 ? (int)left : 0);
        if (n >= 0 || errno != EINTR)
            return n > 0;
    }
}

static struct str bytes_of(const struct link_message *message)
{
    return (struct str){(const char *)message, sizeof *message};
}

static enum status tell(const struct link *link, enum link_kind kind, uint64_t value)
{
    struct link_message message = {.magic = LINK_MAGIC, .kind = kind, .value = value};
    return fdpass_send(link->request_fd, bytes_of(&message), NULL, 0);
}

static enum status ask(const struct link *link, const struct link_message *message,
                       struct answers *answers)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
        return E_IO;
    enum status status;
    do {
        status = fdpass_send(link->request_fd, bytes_of(message), &pair[1], 1);
    } while (status == E_AGAIN && is_ready(link->request_fd, POLLOUT, answers->until_ms));
    close(pair[1]);
    if (status)
        close(pair[0]);
    else
        answers->fd = pair[0];
    return status;
}

/* The next message of the answer; its own status once it came whole. *count as in fdpass_receive().
 */
static enum status await(const struct answers *answers, struct link_answer *answer, int *fds,
                         unsigned *count)
{
    if (!is_ready(answers->fd, POLLIN, answers->until_ms)) {
        *count = 0;
        return E_AGAIN;
    }
    enum status status = fdpass_receive(answers->fd, answer, sizeof *answer, fds, count);
    if (status)
        return status;
    if (answer->magic != LINK_MAGIC || answer->status > 0 || answer->total > LINK_SOCKETS_MAX)
        return E_PROTOCOL;
    answer->error[LINK_ERROR_SIZE - 1] = '\0';
    return (enum status)answer->status;
}

/* The supervisor's own words, or ours when it could not say any. */
static void explain(enum status status, const struct link_answer *answer, char *error)
{
    const char *words = answer->error;
    if (answer->magic != LINK_MAGIC || !*words) {
        words = status == E_CLOSED     ? "the supervisor is gone"
                : status == E_AGAIN    ? "the supervisor does not answer"
                : status == E_PROTOCOL ? "the supervisor speaks another protocol"
                                       : strerror(errno);
    }
    snprintf(error, LINK_ERROR_SIZE, "%s", status ? words : "");
}

static enum status put_bind(struct link_message *message, struct str bind)
{
    if (bind.len >= LINK_BIND_SIZE)
        return E_INVALID;
    memcpy(message->bind, bind.p, bind.len);
    message->bind_len = (uint32_t)bind.len;
    return OK;
}

static enum status gather(const struct answers *answers, struct link_answer *answer, int *fds,
                          unsigned *held)
{
    do {
        unsigned count = LINK_SOCKETS_MAX - *held;
        enum status status = await(answers, answer, fds + *held, &count);
        *held += count;
        if (status)
            return status;
        if (!count || *held > answer->total)
            return E_PROTOCOL;
    } while (*held < answer->total);
    return OK;
}

enum status link_listen(const struct link *link, const struct link_listen *ask_for, int *fds,
                        unsigned *held, char *error)
{
    struct answers answers = {.fd = -1, .until_ms = now_ms() + LISTEN_WAIT_MS};
    struct link_answer answer = {0};
    struct link_message message = {.magic = LINK_MAGIC,
                                   .kind = LINK_LISTEN,
                                   .count = ask_for->count,
                                   .is_admin = ask_for->is_admin,
                                   .uid = ask_for->uid,
                                   .gid = ask_for->gid};
    *held = 0;
    if (put_bind(&message, ask_for->bind)) {
        snprintf(error, LINK_ERROR_SIZE, "the address to bind is too long");
        return E_INVALID;
    }
    enum status status = ask(link, &message, &answers);
    if (!status) {
        status = gather(&answers, &answer, fds, held);
        close(answers.fd);
    }
    explain(status, &answer, error);
    while (status && *held)
        close(fds[--*held]);
    return status;
}

enum status link_unlisten(const struct link *link, struct str bind)
{
    struct answers answers = {.fd = -1, .until_ms = now_ms() + LISTEN_WAIT_MS};
    struct link_answer answer = {0};
    struct link_message message = {.magic = LINK_MAGIC, .kind = LINK_UNLISTEN};
    unsigned none = 0;
    enum status status = put_bind(&message, bind);
    if (!status)
        status = ask(link, &message, &answers);
    if (status)
        return status;
    status = await(&answers, &answer, NULL, &none);
    close(answers.fd);
    return status;
}

enum status link_ready(const struct link *link, uint32_t generation)
{
    return tell(link, LINK_READY, generation);
}

enum status link_report(const struct link *link, uint64_t in_flight)
{
    return tell(link, LINK_REPORT, in_flight);
}

enum status link_upgrade(const struct link *link, char *error)
{
    struct answers answers = {.fd = -1, .until_ms = now_ms() + UPGRADE_WAIT_MS};
    struct link_answer answer = {0};
    struct link_message message = {.magic = LINK_MAGIC, .kind = LINK_UPGRADE};
    unsigned none = 0;
    enum status status = ask(link, &message, &answers);
    if (!status) {
        status = await(&answers, &answer, NULL, &none);
        close(answers.fd);
    }
    explain(status, &answer, error);
    return status;
}

enum status link_memory(const struct link *link, struct str name, uint64_t size, int *fd,
                        char *error)
{
    struct answers answers = {.fd = -1, .until_ms = now_ms() + LISTEN_WAIT_MS};
    struct link_answer answer = {0};
    struct link_message message = {.magic = LINK_MAGIC, .kind = LINK_MEMORY, .value = size};
    unsigned count = 1;
    *fd = -1;
    enum status status = put_bind(&message, name);
    if (!status)
        status = ask(link, &message, &answers);
    if (!status) {
        status = await(&answers, &answer, fd, &count);
        close(answers.fd);
        if (!status && count != 1)
            status = E_PROTOCOL;
    }
    if (status && *fd >= 0) {
        close(*fd);
        *fd = -1;
    }
    explain(status, &answer, error);
    return status;
}

enum status link_read(const struct link *link, struct notice *notice)
{
    struct link_notice wire;
    unsigned none = 0;
    enum status status = fdpass_receive(link->notice_fd, &wire, sizeof wire, NULL, &none);
    if (status)
        return status;
    if (wire.magic != LINK_MAGIC || wire.kind > NOTICE_PEER)
        return E_PROTOCOL;
    *notice = (struct notice){.kind = (enum notice_kind)wire.kind,
                              .peer_pid = wire.peer_pid,
                              .peer_generation = wire.peer_generation,
                              .in_flight = wire.in_flight,
                              .is_superseded = wire.is_superseded != 0};
    return OK;
}
