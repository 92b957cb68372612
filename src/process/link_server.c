/* SPDX-License-Identifier: Apache-2.0 */
#include "process/link_server.h"

#include "process/fdpass.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void link_server_close(struct link *link)
{
    close_fd(&link->request_fd);
    close_fd(&link->notice_fd);
}

enum status link_server_open(struct link_pair *pair)
{
    enum { TYPE = SOCK_SEQPACKET | SOCK_CLOEXEC };
    int request[2], notice[2];
    if (socketpair(AF_UNIX, TYPE, 0, request) < 0)
        return E_IO;
    if (socketpair(AF_UNIX, TYPE, 0, notice) < 0) {
        close(request[0]);
        close(request[1]);
        return E_IO;
    }
    pair->ours = (struct link){request[0], notice[0]};
    pair->theirs = (struct link){request[1], notice[1]};
    return OK;
}

/* The text goes into log lines and path names: no control characters, so also no end in its midst.
 */
static bool is_sound(const struct link_message *message)
{
    if (message->magic != LINK_MAGIC || message->bind_len >= LINK_BIND_SIZE)
        return false;
    for (uint32_t i = 0; i < message->bind_len; i++)
        if ((unsigned char)message->bind[i] < 0x20 || message->bind[i] == 0x7f)
            return false;
    return message->kind >= LINK_LISTEN && message->kind < LINK_KINDS;
}

enum status link_server_receive(const struct link *link, struct link_request *request)
{
    unsigned count = 1;
    request->reply_fd = -1;
    enum status status = fdpass_receive(link->request_fd, &request->message,
                                        sizeof request->message, &request->reply_fd, &count);
    if (status || !count)
        request->reply_fd = -1;
    if (status)
        return status;
    if (!is_sound(&request->message)) {
        link_server_answer(&request->reply_fd, E_PROTOCOL, "the supervisor does not know this");
        return E_PROTOCOL;
    }
    request->message.bind[request->message.bind_len] = '\0';
    return OK;
}

void link_server_answer(int *reply_fd, enum status status, const char *error)
{
    if (*reply_fd < 0)
        return;
    struct link_answer answer = {.magic = LINK_MAGIC, .status = status};
    snprintf(answer.error, sizeof answer.error, "%s", error ? error : "");
    struct str bytes = {(const char *)&answer, sizeof answer};
    // An asker that waits no more has closed its end: nobody is there to be told of a failure.
    (void)!fdpass_send(*reply_fd, bytes, NULL, 0);
    close_fd(reply_fd);
}

void link_server_answer_sockets(int *reply_fd, const int *fds, unsigned count)
{
    if (*reply_fd < 0)
        return;
    struct link_answer answer = {.magic = LINK_MAGIC, .total = count};
    struct str bytes = {(const char *)&answer, sizeof answer};
    for (unsigned sent = 0; sent < count;) {
        unsigned batch = count - sent < LINK_BATCH ? count - sent : LINK_BATCH;
        if (fdpass_send(*reply_fd, bytes, fds + sent, batch))
            break;
        sent += batch;
    }
    close_fd(reply_fd);
}

enum status link_server_notify(const struct link *link, const struct notice *notice)
{
    struct link_notice wire = {.magic = LINK_MAGIC,
                               .kind = notice->kind,
                               .peer_pid = notice->peer_pid,
                               .peer_generation = notice->peer_generation,
                               .in_flight = notice->in_flight,
                               .is_superseded = notice->is_superseded};
    if (link->notice_fd < 0)
        return E_CLOSED;
    return fdpass_send(link->notice_fd, (struct str){(const char *)&wire, sizeof wire}, NULL, 0);
}
