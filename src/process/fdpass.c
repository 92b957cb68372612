/* SPDX-License-Identifier: Apache-2.0 */
#include "process/fdpass.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(FDPASS_MAX * sizeof(int))];
};

static enum status status_of_errno(void)
{
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
        return E_AGAIN;
    if (errno == EPIPE || errno == ECONNRESET || errno == ENOTCONN)
        return E_CLOSED;
    return E_IO;
}

enum status fdpass_send(int sock, struct str data, const int *fds, unsigned count)
{
    assert(count <= FDPASS_MAX);
    union control control = {0};
    struct iovec part = {.iov_base = (void *)(uintptr_t)data.p, .iov_len = data.len};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (count) {
        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(head), fds, count * sizeof(int));
    }
    return sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? status_of_errno() : OK;
}

/* Keeps the first `capacity` descriptors of one control message, closes the rest. */
static unsigned keep(const struct cmsghdr *head, int *fds, unsigned have, unsigned capacity)
{
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; i++) {
        int fd;
        memcpy(&fd, CMSG_DATA(head) + i * sizeof(int), sizeof fd);
        if (have < capacity)
            fds[have++] = fd;
        else
            close(fd);
    }
    return have;
}

static enum status refuse(int *fds, unsigned *count, enum status why)
{
    for (unsigned i = 0; i < *count; i++)
        close(fds[i]);
    *count = 0;
    return why;
}

enum status fdpass_receive(int sock, void *data, size_t size, int *fds, unsigned *count)
{
    unsigned capacity = *count;
    union control control;
    struct iovec part = {.iov_base = data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    *count = 0;
    ssize_t got = recvmsg(sock, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (got < 0)
        return status_of_errno();
    for (struct cmsghdr *head = CMSG_FIRSTHDR(&message); head; head = CMSG_NXTHDR(&message, head))
        if (head->cmsg_level == SOL_SOCKET && head->cmsg_type == SCM_RIGHTS)
            *count = keep(head, fds, *count, capacity);
    if (!got)
        return refuse(fds, count, E_CLOSED);
    if (message.msg_flags & MSG_CTRUNC) {
        errno = EMFILE;
        return refuse(fds, count, E_IO);
    }
    if ((size_t)got != size || message.msg_flags & MSG_TRUNC)
        return refuse(fds, count, E_PROTOCOL);
    return OK;
}
