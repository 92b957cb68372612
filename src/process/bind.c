/* SPDX-License-Identifier: Apache-2.0 */
#include "process/bind.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { BACKLOG = 4096, DEFER_SECONDS = 1, NAME_SIZE = 256 };

static enum status parse_unix(const char *path, struct bind_address *address, const char **why)
{
    size_t len = strlen(path);
    if (!len || len >= sizeof address->to.path.sun_path) {
        *why = len ? "the path is longer than 107 bytes" : "a path is missing after unix:";
        return E_INVALID;
    }
    address->to.path.sun_family = AF_UNIX;
    memcpy(address->to.path.sun_path, path, len + 1);
    address->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
    return OK;
}

static bool parse_port(const char *text, uint16_t *port)
{
    uint32_t value = 0;
    size_t len = strlen(text);
    if (!len || len > 5 || strspn(text, "0123456789") != len)
        return false;
    for (; *text; text++)
        value = value * 10 + (uint32_t)(*text - '0');
    *port = (uint16_t)value;
    return value <= UINT16_MAX;
}

static void set_any(struct bind_address *address, uint16_t port)
{
    *address = (struct bind_address){.len = sizeof address->to.v6, .is_dual = true};
    address->to.v6.sin6_family = AF_INET6;
    address->to.v6.sin6_addr = in6addr_any;
    address->to.v6.sin6_port = htons(port);
}

static enum status look_up(const char *host, const char *port, struct bind_address *address,
                           const char **why)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error == EAI_NONAME) {
        hints.ai_flags = 0;
        error = getaddrinfo(host, port, &hints, &found);
    }
    if (error || found->ai_addrlen > sizeof address->to) {
        *why = error ? gai_strerror(error) : "an address of an unknown kind";
        if (found)
            freeaddrinfo(found);
        return E_INVALID;
    }
    memcpy(&address->to, found->ai_addr, found->ai_addrlen);
    address->len = found->ai_addrlen;
    freeaddrinfo(found);
    return OK;
}

enum status bind_parse(const char *text, struct bind_address *address, const char **why)
{
    *address = (struct bind_address){0};
    if (!strncmp(text, "unix:", 5))
        return parse_unix(text + 5, address, why);
    const char *colon = strrchr(text, ':');
    uint16_t port;
    *why = "not host:port, [v6]:port, :port or unix:/path";
    if (!colon || !parse_port(colon + 1, &port))
        return E_INVALID;
    size_t len = (size_t)(colon - text);
    if (!len) {
        set_any(address, port);
        return OK;
    }
    bool is_bracketed = text[0] == '[' && len > 2 && colon[-1] == ']';
    if (len >= NAME_SIZE || (!is_bracketed && memchr(text, ':', len)))
        return E_INVALID;
    char host[NAME_SIZE];
    size_t skip = is_bracketed ? 1 : 0;
    snprintf(host, sizeof host, "%.*s", (int)(len - 2 * skip), text + skip);
    return look_up(host, colon + 1, address, why);
}

uint16_t bind_port(const struct bind_address *address)
{
    if (address->to.any.sa_family == AF_INET)
        return ntohs(address->to.v4.sin_port);
    return address->to.any.sa_family == AF_INET6 ? ntohs(address->to.v6.sin6_port) : 0;
}

static enum status status_of_errno(void)
{
    if (errno == EADDRINUSE)
        return E_CONFLICT;
    return errno == EACCES || errno == EPERM ? E_DENIED : E_IO;
}

static enum status refuse(int fd)
{
    int error = errno;
    if (fd >= 0)
        close(fd);
    errno = error;
    return status_of_errno();
}

static bool set(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof value) == 0;
}

static int open_socket(const struct bind_address *address)
{
    int family = address->to.any.sa_family;
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || family == AF_UNIX)
        return fd;
    bool is_set = set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
    if (family == AF_INET6)
        is_set = is_set && set(fd, IPPROTO_IPV6, IPV6_V6ONLY, !address->is_dual);
    if (is_set)
        return fd;
    close(fd);
    return -1;
}

static int open_and_bind(const struct bind_address *address, bool is_shared)
{
    int fd = open_socket(address);
    if (fd < 0)
        return -1;
    if ((!is_shared || set(fd, SOL_SOCKET, SO_REUSEPORT, 1)) &&
        bind(fd, &address->to.any, address->len) == 0)
        return fd;
    int error = errno;
    close(fd);
    errno = error;
    return -1;
}

static bool has_no_ipv6(const struct bind_address *address)
{
    return address->is_dual && (errno == EAFNOSUPPORT || errno == EADDRNOTAVAIL);
}

static void use_ipv4(struct bind_address *address)
{
    uint16_t port = address->to.v6.sin6_port;
    *address = (struct bind_address){.len = sizeof address->to.v4};
    address->to.v4.sin_family = AF_INET;
    address->to.v4.sin_addr.s_addr = htonl(INADDR_ANY);
    address->to.v4.sin_port = port;
}

enum status bind_probe(const struct bind_address *address)
{
    if (address->to.any.sa_family == AF_UNIX || !bind_port(address))
        return OK;
    struct bind_address probed = *address;
    int fd = open_and_bind(&probed, false);
    if (fd < 0 && has_no_ipv6(&probed)) {
        use_ipv4(&probed);
        fd = open_and_bind(&probed, false);
    }
    if (fd < 0)
        return errno == EADDRINUSE ? E_CONFLICT : OK;
    // A socket bound by another with SO_REUSEADDR but not listening shows only here.
    bool is_taken = listen(fd, 1) < 0 && errno == EADDRINUSE;
    close(fd);
    return is_taken ? E_CONFLICT : OK;
}

static enum status open_tcp(struct bind_address *address, const struct bind_options *options,
                            int *fd)
{
    int sock = open_and_bind(address, true);
    if (sock < 0 && has_no_ipv6(address)) {
        use_ipv4(address);
        sock = open_and_bind(address, true);
    }
    if (sock < 0)
        return status_of_errno();
    if (!set(sock, IPPROTO_TCP, TCP_NODELAY, 1) ||
        (!options->is_admin && !set(sock, IPPROTO_TCP, TCP_DEFER_ACCEPT, DEFER_SECONDS)) ||
        listen(sock, BACKLOG) < 0)
        return refuse(sock);
    union bind_sockaddr got;
    socklen_t len = sizeof got;
    if (!bind_port(address) && getsockname(sock, &got.any, &len) == 0)
        address->to = got;
    *fd = sock;
    return OK;
}

/* A file of a server that died is removed; one that somebody listens on, or that is no socket, is
 * not. */
static enum status clear_stale(const struct bind_address *address)
{
    const char *path = address->to.path.sun_path;
    struct stat file;
    if (lstat(path, &file) < 0)
        return OK;
    errno = EEXIST;
    if (!S_ISSOCK(file.st_mode))
        return E_IO;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return E_IO;
    bool is_stale = connect(fd, &address->to.any, address->len) < 0 && errno == ECONNREFUSED;
    close(fd);
    if (!is_stale)
        return E_CONFLICT;
    return unlink(path) == 0 ? OK : status_of_errno();
}

/* By descriptor, since whoever may write the folder could put a link in the place of the name. */
static bool give_to(const char *path, const struct bind_options *options)
{
    int fd = open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC);
    struct stat file;
    if (fd < 0)
        return false;
    bool is_given = fstat(fd, &file) == 0 && S_ISSOCK(file.st_mode);
    if (is_given && (file.st_uid != options->uid || file.st_gid != options->gid))
        is_given = fchownat(fd, "", options->uid, options->gid, AT_EMPTY_PATH) == 0;
    int error = errno;
    close(fd);
    errno = error;
    return is_given;
}

static enum status open_unix(const struct bind_address *address, const struct bind_options *options,
                             int *fd)
{
    enum status status = clear_stale(address);
    if (status)
        return status;
    int sock = open_socket(address);
    if (sock < 0)
        return E_IO;
    // The mode is right from the first moment on: a later chmod would be too late, and follow
    // links.
    mode_t before = umask(options->is_admin ? 0177 : 0111);
    int bound = bind(sock, &address->to.any, address->len);
    umask(before);
    if (bound < 0)
        return refuse(sock);
    if (!give_to(address->to.path.sun_path, options) || listen(sock, BACKLOG) < 0) {
        int error = errno;
        unlink(address->to.path.sun_path);
        errno = error;
        return refuse(sock);
    }
    *fd = sock;
    return OK;
}

enum status bind_open(struct bind_address *address, const struct bind_options *options, int *fd)
{
    if (address->to.any.sa_family == AF_UNIX)
        return open_unix(address, options, fd);
    return open_tcp(address, options, fd);
}
