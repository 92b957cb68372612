/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver's part that speaks with c-ares: the channel, its sockets on the loop, and queries. A
 * channel's sockets live as long as its queries, so each lookup has a port of its own to be
 * answered at, which is half of what a forger has to guess (RFC 5452 section 4).
 */
#include <ares.h>
#include <arpa/nameser.h>
#include <stdlib.h>
#include <string.h>

#include "edge/upstream/resolver_impl.h"

enum { TIMEOUT_MS = 2000, TRIES = 2 };

/* A socket of c-ares; frees itself when closed. */
struct resolver_poll {
    uv_poll_t handle;
    struct resolver *resolver;
    struct resolver_poll *next, **link;
    ares_socket_t fd;
};

/* --- sockets */

static void on_poll(uv_poll_t *handle, int failed, int events)
{
    struct resolver_poll *poll = handle->data;
    struct resolver *resolver = poll->resolver;
    ares_socket_t readable = events & UV_READABLE || failed ? poll->fd : ARES_SOCKET_BAD;
    ares_socket_t writable = events & UV_WRITABLE || failed ? poll->fd : ARES_SOCKET_BAD;

    ares_process_fd(resolver->channel, readable, writable);
    resolver_pump(resolver);
}

static void on_poll_closed(uv_handle_t *handle)
{
    struct resolver_poll *poll = handle->data;

    resolver_handle_closed(poll->resolver);
    free(poll);
}

static struct resolver_poll *add_poll(struct resolver *resolver, ares_socket_t fd)
{
    struct resolver_poll *poll = calloc(1, sizeof(*poll));

    if (!poll)
        return NULL;
    if (uv_poll_init(resolver->loop, &poll->handle, fd)) {
        free(poll);
        return NULL;
    }
    poll->handle.data = poll;
    poll->resolver = resolver;
    poll->fd = fd;
    poll->link = &resolver->polls;
    poll->next = resolver->polls;
    if (poll->next)
        poll->next->link = &poll->next;
    resolver->polls = poll;
    resolver->handles++;
    return poll;
}

static void remove_poll(struct resolver_poll *poll)
{
    *poll->link = poll->next;
    if (poll->next)
        poll->next->link = poll->link;
    uv_poll_stop(&poll->handle);
    uv_close((uv_handle_t *)&poll->handle, on_poll_closed);
}

/* Called before c-ares closes a socket, with neither. A socket that cannot be watched is one that
 * never answers: the query's time limit is the end of it. */
static void on_socket(void *owner, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = owner;
    struct resolver_poll *poll = resolver->polls;

    while (poll && poll->fd != fd)
        poll = poll->next;
    if (!readable && !writable) {
        if (poll)
            remove_poll(poll);
        return;
    }
    if (!poll)
        poll = add_poll(resolver, fd);
    if (poll)
        uv_poll_start(&poll->handle, (readable ? UV_READABLE : 0) | (writable ? UV_WRITABLE : 0),
                      on_poll);
}

/* --- the channel */

/* The servers are named, not a file's. */
static bool has_list(const struct resolver *resolver)
{
    return resolver->servers && resolver->path != resolver->servers;
}

static ares_channel make_channel(struct resolver *resolver, int flags)
{
    struct ares_options options = {.flags = ARES_FLAG_EDNS | ARES_FLAG_NOALIASES | flags,
                                   .timeout = TIMEOUT_MS,
                                   .tries = TRIES,
                                   .sock_state_cb = on_socket,
                                   .sock_state_cb_data = resolver,
                                   .resolvconf_path = (char *)(uintptr_t)resolver->path};
    int mask = ARES_OPT_FLAGS | ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_NOROTATE |
               ARES_OPT_SOCK_STATE_CB | ARES_OPT_RESOLVCONF;
    ares_channel channel;

    if (ares_init_options(&channel, &options, mask))
        return NULL;
    if (has_list(resolver) && !resolver_servers_set(channel, resolver->servers)) {
        ares_destroy(channel);
        return NULL;
    }
    return channel;
}

/* With several servers a SERVFAIL or a refusal has c-ares ask the next, and forget what the answer
 * was. Where there is no next one it is told to pass that answer on. */
bool resolver_channel_open(struct resolver *resolver)
{
    ares_channel channel;

    // Before it is read: a change in between is seen as one by the next lookup.
    if (stat(resolver->path, &resolver->file))
        resolver->file = (struct stat){.st_size = 0};
    channel = make_channel(resolver, 0);
    if (channel && resolver_servers_count(channel) == 1) {
        ares_destroy(channel);
        channel = make_channel(resolver, ARES_FLAG_NOCHECKRESP);
    }
    if (!channel)
        return false;
    resolver->is_single = resolver_servers_count(channel) == 1;
    resolver->channel = channel;
    return true;
}

void resolver_channel_close(struct resolver *resolver)
{
    ares_destroy(resolver->channel);
    resolver->channel = NULL;
}

static bool has_changed(const struct resolver *resolver)
{
    const struct stat *was = &resolver->file;
    struct stat is;

    // A file that is just being replaced is no reason to forget the servers.
    return !stat(resolver->path, &is) && (is.st_mtim.tv_sec != was->st_mtim.tv_sec ||
                                          is.st_mtim.tv_nsec != was->st_mtim.tv_nsec ||
                                          is.st_ino != was->st_ino || is.st_size != was->st_size);
}

static void renew(struct resolver *resolver)
{
    ares_channel old = resolver->channel;

    // The queries of the old one are sent again by the new one.
    if (resolver_channel_open(resolver))
        ares_destroy(old);
}

uint64_t resolver_channel_wait(const struct resolver *resolver)
{
    struct timeval tv;

    if (!ares_timeout(resolver->channel, NULL, &tv))
        return RESOLVER_NEVER_MS;
    return (uint64_t)tv.tv_sec * 1000 + ((uint64_t)tv.tv_usec + 999) / 1000;
}

void resolver_channel_tick(struct resolver *resolver)
{
    ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

/* --- queries */

static void add_unsent(struct resolver_query *query)
{
    struct resolver *resolver = query->resolver;

    query->is_sent = false;
    query->next = NULL;
    query->link = resolver->unsent_end;
    *resolver->unsent_end = query;
    resolver->unsent_end = &query->next;
}

static void remove_unsent(struct resolver_query *query)
{
    *query->link = query->next;
    if (query->next)
        query->next->link = query->link;
    else
        query->resolver->unsent_end = query->link;
}

const char *resolver_query_start(struct resolver *resolver, const struct resolver_query *like,
                                 struct str name, struct resolver_query **query)
{
    struct resolver_query *fresh;

    *query = NULL;
    if (!name.len || name.len >= sizeof(fresh->name) || memchr(name.p, '\0', name.len))
        return "the name is no DNS name";
    fresh = malloc(sizeof(*fresh));
    if (!fresh)
        return "out of memory";
    *fresh = *like;
    fresh->resolver = resolver;
    memcpy(fresh->name, name.p, name.len);
    fresh->name[name.len] = '\0';
    add_unsent(fresh);
    *query = fresh;
    return NULL;
}

void resolver_query_drop(struct resolver_query **query)
{
    struct resolver_query *gone = *query;

    *query = NULL;
    if (!gone)
        return;
    // c-ares cannot take back a single query: it ends in time, and nobody hears of it.
    gone->done = NULL;
    if (gone->is_sent)
        return;
    remove_unsent(gone);
    free(gone);
}

static const char *problem_of(int status, const struct resolver_query *query)
{
    switch (status) {
    case ARES_SUCCESS:
        return NULL;
    case ARES_ENODATA:
        return query->type == DNS_TXT ? "no text" : "no addresses";
    case ARES_ENOTFOUND:
        return "no such name";
    case ARES_ESERVFAIL:
        return "the name server failed (SERVFAIL)";
    case ARES_EREFUSED:
        return "the name server refused (REFUSED)";
    case ARES_ETIMEOUT:
        return "no name server answered in time";
    case ARES_ECONNREFUSED:
        return query->resolver->is_single
                   ? "no name server can be reached"
                   : "every name server failed (SERVFAIL), refused or cannot be reached";
    case ARES_EBADNAME:
        return "the name is no DNS name";
    case ARES_ENOMEM:
        return "out of memory";
    case ARES_EFORMERR:
    case ARES_ENOTIMP:
        return "the name server does not take the question (FORMERR, NOTIMP)";
    case ARES_EBADRESP:
        return "the answer is garbage";
    default:
        return "the lookup failed";
    }
}

static void on_reply(void *owner, int status, int timeouts, unsigned char *bytes, int len)
{
    struct resolver_query *query = owner;
    struct resolver_reply reply = {.problem = problem_of(status, query),
                                   .is_negative =
                                       status == ARES_ENODATA || status == ARES_ENOTFOUND};

    (void)timeouts;
    if (query->done && status == ARES_EDESTRUCTION) {
        add_unsent(query);
        return;
    }
    if (bytes && len > 0)
        reply.bytes = (struct str){(const char *)bytes, (size_t)len};
    if (query->done)
        query->done(query, &reply);
    free(query);
}

void resolver_channel_send(struct resolver *resolver)
{
    int type;

    if (!resolver->unsent)
        return;
    if (!has_list(resolver) && has_changed(resolver))
        renew(resolver);
    while (resolver->unsent) {
        struct resolver_query *query = resolver->unsent;

        remove_unsent(query);
        query->is_sent = true;
        type = (int)query->type;
        if (strchr(query->name, '.'))
            ares_query(resolver->channel, query->name, ns_c_in, type, on_reply, query);
        else
            ares_search(resolver->channel, query->name, ns_c_in, type, on_reply, query);
    }
}
