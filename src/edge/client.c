/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

enum {
    DRAIN_IDLE_MS = 1000, /* how long a kept connection may still bring a request while draining */
    CHECK_MS = 5000,      /* how often a busy connection's speed is looked at */
    SLOW_CHECKS = 2,      /* readings below the rate in a row that end a slow reader */
};

struct client {
    struct conn conn; /* first */
    struct exchange_host *host;
    struct client_list *list;
    struct client *prev, *next;
    struct exchange_origin origin;
    struct client_door *door; /* borrowed from the listener */
    uint64_t mark_read, mark_acked;
    uint8_t slow_checks;
    bool was_behind; /* output waited at the last check */
    char address[INET6_ADDRSTRLEN];
    _Alignas(16) char wire[];
};

size_t client_size(void)
{
    return sizeof(struct client) + h1_codec.wire_size;
}

static const struct conf *conf_of(const struct client *client)
{
    return client->host->snapshot->rules->conf;
}

static void set_timer(struct client *client, uint64_t ms)
{
    loop_timer_set(client->conn.loop, &client->conn.timer, ms);
}

/* --- speed (timeouts.body_rate): of a body that comes in, and of a reader that takes what we have
 */

static bool is_body_slow(struct client *client, uint64_t least)
{
    uint64_t came = client->conn.read_bytes - client->mark_read;
    const struct exchange *x = client->origin.current;
    bool is_ours = client->conn.was_paused || !client->conn.is_reading; // we did not read

    client->mark_read = client->conn.read_bytes;
    client->conn.was_paused = false;
    return x && !x->down.received && !x->awaits_continue && !is_ours && came < least;
}

static bool is_reader_slow(struct client *client, uint64_t least)
{
    bool is_behind = outq_pending(client->conn.wire->out) > 0;
    uint64_t waiting, acked = is_behind ? conn_acked(&client->conn, &waiting) : 0;
    bool is_slow = is_behind && client->was_behind && acked - client->mark_acked < least;

    client->mark_acked = acked;
    client->was_behind = is_behind;
    client->slow_checks = is_slow ? (uint8_t)(client->slow_checks + 1) : 0;
    return client->slow_checks >= SLOW_CHECKS;
}

static void check_speed(struct client *client)
{
    uint64_t least = conf_of(client)->timeouts.body_rate * CHECK_MS / 1000;
    struct exchange *x = client->origin.current;
    bool body_slow = is_body_slow(client, least), reader_slow = is_reader_slow(client, least);

    set_timer(client, CHECK_MS);
    if (!least || (x && x->is_tunnel))
        return;
    if (reader_slow && x)
        exchange_fail(x, REASON_CLIENT_SLOW);
    else if (reader_slow)
        conn_close(&client->conn, REASON_CLIENT_SLOW);
    else if (body_slow && x)
        exchange_fail(x, REASON_BODY_TIMEOUT);
}

/* The head's time runs from its first byte, whatever else the connection is busy with. */
static void check_head(struct client *client)
{
    uint64_t allowed_ms = conf_of(client)->timeouts.header_ms;
    uint64_t taken_ms = (client->conn.loop->now_us - client->origin.began_us) / 1000;

    if (taken_ms < allowed_ms)
        set_timer(client, allowed_ms - taken_ms);
    else
        client->conn.wire->codec->refuse(client->conn.wire, REASON_HEADER_TIMEOUT);
}

/* --- the connection's callbacks */

static void on_timeout(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    if (conn->wire->is_partial)
        check_head(client);
    else if (conn->is_working || outq_pending(conn->wire->out))
        check_speed(client);
    else
        conn_close(conn, REASON_CLIENT_GONE);
}

static void on_begin(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    client->origin.began_us = conn->loop->now_us;
    set_timer(client, conf_of(client)->timeouts.header_ms);
}

static void on_idle(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    conn->is_working = false;
    client->origin.began_us = 0;
    set_timer(client,
              client->host->is_draining ? DRAIN_IDLE_MS : conf_of(client)->timeouts.idle_ms);
}

static void on_closing(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    if (client->prev)
        client->prev->next = client->next;
    else
        client->list->first = client->next;
    if (client->next)
        client->next->prev = client->prev;
    __atomic_store_n(&client->list->count, client->list->count - 1, __ATOMIC_RELAXED);
    __atomic_store_n(&client->door->open, client->door->open - 1, __ATOMIC_RELAXED);
}

static void on_closed(struct conn *conn)
{
    slab_give(&conn->loop->clients, conn);
}

static const struct conn_ops ops = {
    .on_closing = on_closing,
    .on_closed = on_closed,
    .on_idle = on_idle,
    .on_begin = on_begin,
    .on_timeout = on_timeout,
};

/* --- the codec's one question */

static struct stream *on_open(void *wire_owner)
{
    struct client *client = wire_owner;

    if (!client->origin.began_us || client->conn.is_working)
        client->origin.began_us = client->conn.loop->now_us;
    client->origin.health_path = (struct str){client->door->health, strlen(client->door->health)};
    client->conn.is_working = true;
    client->slow_checks = 0;
    client->mark_read = client->conn.read_bytes;
    client->was_behind = false;
    set_timer(client, CHECK_MS);
    return exchange_open(client->host, &client->origin);
}

static const struct sink sink = {.on_open = on_open};

/* --- beginning and end */

static void set_address(struct client *client, const struct sockaddr *peer)
{
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)peer;
    const void *bytes = NULL;
    size_t len = 0;
    int family = peer->sa_family;

    if (family == AF_INET) {
        bytes = &((const struct sockaddr_in *)peer)->sin_addr;
        len = 4;
    } else if (family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
        bytes = &v6->sin6_addr.s6_addr[12];
        family = AF_INET;
        len = 4;
    } else if (family == AF_INET6) {
        bytes = &v6->sin6_addr;
        len = 8; // a /64 is one client
    }
    if (!bytes || !inet_ntop(family, bytes, client->address, sizeof(client->address)))
        strcpy(client->address, "unix:");
    client->origin.client = (struct str){client->address, strlen(client->address)};
    client->origin.client_hash = bytes ? XXH3_64bits(bytes, len) : 0;
    client->origin.scheme = STR("http");
}

static void enlist(struct client *client, struct client_list *list, struct client_door *door)
{
    client->door = door;
    __atomic_store_n(&door->open, door->open + 1, __ATOMIC_RELAXED);
    client->list = list;
    client->next = list->first;
    if (list->first)
        list->first->prev = client;
    list->first = client;
    __atomic_store_n(&list->count, list->count + 1, __ATOMIC_RELAXED);
}

enum status client_open(const struct client_home *home, int fd, const struct sockaddr *peer,
                        struct client_door *door)
{
    struct loop *loop = home->host->loop;
    struct client *client = slab_take(&loop->clients);
    struct conn *conn = &client->conn;
    bool is_unix = peer->sa_family == AF_UNIX;

    if (!client)
        goto fail;
    memset(client, 0, client_size());
    conn->loop = loop;
    conn->ops = &ops;
    conn->wire = (struct wire *)client->wire;
    conn->wire->sink = &sink;
    conn->wire->owner = conn;
    conn->wire->limits = &home->host->limits;
    client->host = home->host;
    if (conn_init(conn, is_unix)) {
        slab_give(&loop->clients, client);
        goto fail;
    }
    set_address(client, peer);
    enlist(client, home->list, door);
    if (is_unix ? uv_pipe_open(&conn->uv.pipe, fd) : uv_tcp_open(&conn->uv.tcp, fd)) {
        conn_close(conn, REASON_INTERNAL_ERROR);
        goto fail;
    }
    if (conn_start(conn, &h1_codec, ROLE_SERVER)) {
        conn_close(conn, REASON_MEMORY_LIMIT); // closes fd, too
        return E_NOMEM;
    }
    set_timer(client, conf_of(client)->timeouts.header_ms);
    return OK;
fail:
    close(fd);
    return E_NOMEM;
}

void client_drain(struct client_list *list)
{
    for (struct client *client = list->first; client; client = client->next) {
        struct wire *wire = client->conn.wire;

        if (client->conn.is_working || wire->is_partial)
            wire->codec->bye(wire);
        else
            set_timer(client,
                      DRAIN_IDLE_MS); // a request may be on its way: it is answered, with close
    }
}
