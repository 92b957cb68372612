/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_link.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "process/fdpass.h"

static bool is_link(int fd)
{
    int type = 0;
    socklen_t size = sizeof type;
    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_SEQPACKET;
}

int unit_link_inherit(void)
{
    const char *text = getenv("SLUICE_UNITS");
    int fd = -1;
    char end;
    bool is_good = text && sscanf(text, "%9d%c", &fd, &end) == 1 && is_link(fd);
    unsetenv("SLUICE_UNITS");
    if (!is_good)
        return -1;
    fcntl(fd, F_SETFD, FD_CLOEXEC);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

enum status unit_link_ask(int fd, const struct unit_ask *ask)
{
    if (!unit_is_ask(ask))
        return E_INVALID;
    return fdpass_send(fd, (struct str){(const char *)ask, sizeof *ask}, NULL, 0);
}

enum status unit_link_read(int fd, struct unit_message *message)
{
    ssize_t got = recv(fd, message, sizeof *message, MSG_DONTWAIT | MSG_TRUNC);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return E_AGAIN;
    if (got <= 0)
        return E_CLOSED;
    if ((size_t)got > sizeof *message || !unit_is_message(message, (size_t)got))
        return E_PROTOCOL;
    return OK;
}
