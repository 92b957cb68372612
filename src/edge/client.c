/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/client.h"

#include <string.h>
#include <unistd.h>

#include "base/ip.h"
#include "edge/proxy_protocol.h"
#include "edge/tls/tls_peer.h"
#include "edge/trust.h"

/* RFC 9113 3.4 */
static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum {
    SUBJECT_MAX = 1024,
    SLIM_MS = 5000,       /* idle time after which a TLS connection gives its buffers back */
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
    uint64_t checked_us, mark_acked;
    struct tls_server *tls; /* a reference; NULL: plain */
    char *subject;          /* of its certificate, owned; NULL: none */
    struct tls_peer *peer;  /* all of that, owned; NULL: nobody has asked */
    uint8_t slow_checks;
    bool was_behind; /* output waited at the last check */
    char address[IP_TEXT_MAX];
    _Alignas(16) char wire[];
};

size_t client_size(void)
{
    size_t h1 = h1_codec.wire_size, h2 = h2_codec.wire_size;

    return sizeof(struct client) + (h1 > h2 ? h1 : h2);
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

/* Looks at one request that has run for an interval at least. */
static bool is_body_slow(struct exchange *x, uint64_t least, bool is_paused)
{
    uint64_t now_us = x->host->loop->now_us, came = x->bytes_in - x->checked_in;
    bool is_ours = is_paused || x->was_behind || x->owed_down; // we did not take it

    if (now_us - x->checked_us < CHECK_MS * UINT64_C(1000))
        return false;
    x->checked_us = now_us;
    x->checked_in = x->bytes_in;
    x->was_behind = false;
    return !x->is_tunnel && !x->down.received && !x->awaits_continue && !is_ours && came < least;
}

/* One that is broken off may take others of its connection with it: the list is walked anew. */
static void check_bodies(struct client *client, uint64_t least)
{
    bool is_paused = client->conn.was_paused || !client->conn.is_reading;
    struct exchange *x;

    client->conn.was_paused = false;
    for (x = client->origin.first; x; x = x->next)
        x->is_slow = is_body_slow(x, least, is_paused);
    do {
        for (x = client->origin.first; x && !x->is_slow; x = x->next)
            ;
        if (x) {
            x->is_slow = false;
            exchange_fail(x, REASON_BODY_TIMEOUT);
        }
    } while (x);
}

static bool is_reader_slow(struct client *client, uint64_t least)
{
    bool is_behind = conn_pending(&client->conn) > 0;
    uint64_t waiting, acked = is_behind ? conn_acked(&client->conn, &waiting) : 0;
    bool is_slow = is_behind && client->was_behind && acked - client->mark_acked < least;

    client->mark_acked = acked;
    client->was_behind = is_behind;
    client->slow_checks = is_slow ? (uint8_t)(client->slow_checks + 1) : 0;
    return client->slow_checks >= SLOW_CHECKS;
}

static bool has_tunnel(const struct client *client)
{
    const struct exchange *x = client->origin.first;

    while (x && !x->is_tunnel)
        x = x->next;
    return x;
}

static void check_speed(struct client *client)
{
    struct wire *wire = client->conn.wire;
    uint64_t now_us = client->conn.loop->now_us;
    uint64_t least = conf_of(client)->timeouts.body_rate * CHECK_MS / 1000;

    if (now_us - client->checked_us < CHECK_MS * UINT64_C(1000))
        return;
    client->checked_us = now_us;
    if (least && is_reader_slow(client, least) && !has_tunnel(client)) {
        conn_reset(&client->conn, REASON_CLIENT_SLOW);
        return;
    }
    if (wire->codec->check)
        wire->codec->check(wire, (uint32_t)(least < UINT32_MAX ? least : UINT32_MAX));
    if (least)
        check_bodies(client, least);
    conn_touch(&client->conn);
}

/* The head's time runs from its first byte, whatever else the connection is busy with. */
static void check_head(struct client *client)
{
    uint64_t allowed_ms = conf_of(client)->timeouts.header_ms;
    uint64_t taken_ms = (client->conn.loop->now_us - client->origin.began_us) / 1000;

    if (taken_ms < allowed_ms)
        set_timer(client, allowed_ms - taken_ms < CHECK_MS ? allowed_ms - taken_ms : CHECK_MS);
    else
        client->conn.wire->codec->refuse(client->conn.wire, REASON_HEADER_TIMEOUT);
    conn_touch(&client->conn);
}

/* --- the connection's callbacks */

/* An idle connection first gets slim, then it is closed. */
static void end_idle(struct client *client)
{
    struct conn *conn = &client->conn;
    uint32_t idle_ms = conf_of(client)->timeouts.idle_ms;

    if (conn->tls && !conn->tls->is_slim && !client->host->is_draining && idle_ms > SLIM_MS) {
        tls_link_slim(conn->tls);
        conn->tls->is_slim = true;
        set_timer(client, idle_ms - SLIM_MS);
        return;
    }
    conn->wire->codec->bye(conn->wire);
    if (!conn->wire->wants_close)
        set_timer(client, DRAIN_IDLE_MS);
    conn_touch(conn);
}

static void on_timeout(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    if (!conn->wire->codec &&
        (conn->tls || conn->awaits_preface || !conn->partial.len || conn_speak(conn, &h1_codec))) {
        conn_close(conn, REASON_HEADER_TIMEOUT);
        return;
    }
    conn_resume(conn);
    if (conn->is_closing)
        return;
    if (!conn->wire->is_partial && !conn->is_working && !conn_pending(conn)) {
        end_idle(client);
        return;
    }
    set_timer(client, CHECK_MS);
    if (conn->is_working || conn_pending(conn))
        check_speed(client);
    if (!conn->is_closing && conn->wire->is_partial)
        check_head(client);
}

static void on_begin(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    client->origin.began_us = conn->loop->now_us;
    set_timer(client, conf_of(client)->timeouts.header_ms);
}

static uint64_t idle_time(const struct client *client)
{
    uint32_t idle_ms = conf_of(client)->timeouts.idle_ms;

    if (client->host->is_draining)
        return DRAIN_IDLE_MS;
    return client->conn.tls && idle_ms > SLIM_MS ? SLIM_MS : idle_ms;
}

static void on_idle(struct conn *conn)
{
    struct client *client = (struct client *)conn;

    conn->is_working = false;
    client->origin.began_us = 0;
    set_timer(client, idle_time(client));
}

static void on_closing(struct conn *conn)
{
    struct client *client = (struct client *)conn;
    uint64_t *faults = &client->list->faults[conn->wire->fault];

    if (conn->wire->fault)
        stat_add(faults, 1);
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
    struct client *client = (struct client *)conn;

    tls_server_unref(&client->tls);
    heap_give(&conn->loop->heap, client->subject);
    tls_peer_free(&client->peer);
    slab_give(&conn->loop->clients, conn);
}

/* --- who it is */

static void set_peer(struct client *client)
{
    struct caller *peer = &client->origin.peer;

    peer->text = STR("unix:");
    if (!ip_is_none(peer->ip))
        peer->text = (struct str){client->address, ip_print(peer->ip, client->address)};
    peer->hash = ip_hash(peer->ip);
}

static enum status refuse(struct client *client, enum reason why)
{
    client->conn.wire->fault = why;
    return E_DENIED;
}

static const struct conf_listener *listener_of(const struct client *client)
{
    const struct conf *conf = conf_of(client);
    uint32_t index = client->door->listener;

    return index < conf->listener_count ? &conf->listeners[index] : NULL;
}

/* The PROXY header (see edge/proxy_protocol.h): from now on its sender's client is the peer. */
static enum status on_preface(struct conn *conn, struct str in, size_t *used)
{
    static const unsigned versions[] = {0, PROXY_V1, PROXY_V2, PROXY_V1 | PROXY_V2};
    struct client *client = (struct client *)conn;
    const struct conf_listener *listener = listener_of(client);
    struct proxy_header header;
    enum status status;

    if (!listener || !trust_takes_proxy(conf_of(client), listener, client->origin.peer.ip))
        return refuse(client, REASON_PROXY_HEADER_DENIED);
    status = proxy_header_read(in, versions[listener->proxy_protocol], &header, used);
    if (status == E_AGAIN)
        return status;
    if (status)
        return refuse(client, REASON_PROXY_HEADER_INVALID);
    if (header.is_local)
        return OK;
    memcpy(client->origin.peer.ip, header.ip, IP_LEN);
    set_peer(client);
    return OK;
}

static bool wants_preface(const struct client *client)
{
    const struct conf_listener *listener = listener_of(client);

    return listener && listener->proxy_protocol;
}

/* --- what it speaks */

static const struct codec *on_first(struct conn *conn, struct str in)
{
    struct client *client = (struct client *)conn;
    size_t len = sizeof(preface) - 1, n = in.len < len ? in.len : len;

    if (!client->door->http2 || memcmp(in.p, preface, n) != 0)
        return &h1_codec;
    return n == len ? &h2_codec : NULL;
}

static void take_subject(struct client *client)
{
    char text[SUBJECT_MAX];
    size_t len = tls_link_subject(client->conn.tls, text, sizeof(text));

    client->subject = len ? heap_take(&client->conn.loop->heap, len) : NULL;
    if (!client->subject)
        return;
    memcpy(client->subject, text, len);
    client->origin.cert_subject = (struct str){client->subject, len};
}

static const struct peer_cert *peer_cert(struct exchange_origin *origin)
{
    struct client *client = CONTAINER_OF(origin, struct client, origin);

    if (!client->peer)
        client->peer = tls_peer_new(client->conn.tls, client->tls);
    if (!client->peer)
        return NULL;
    tls_peer_look(client->peer, client->conn.tls, client->door->tls);
    return tls_peer_cert(client->peer);
}

static struct str host_part(struct str authority)
{
    const char *end = authority.p + authority.len,
               *colon = memrchr(authority.p, ':', authority.len);

    if (colon && colon + strspn(colon + 1, "0123456789") + 1 >= end)
        authority.len = (size_t)(colon - authority.p);
    return authority;
}

/* A client may send a request for another name over this connection only where the same certificate
 * answers for it (RFC 9113 9.1.1). */
static bool is_ours(const struct exchange_origin *origin, struct str authority)
{
    const struct client *client = CONTAINER_OF(origin, const struct client, origin);
    struct str name = tls_link_name(client->conn.tls);

    return !name.p || tls_server_is_same(client->tls, name, host_part(authority));
}

static void on_secure(struct conn *conn)
{
    struct client *client = (struct client *)conn;
    struct str alpn = tls_link_alpn(conn->tls);
    bool is_h2 = alpn.len == 2 && !memcmp(alpn.p, "h2", 2);

    client->origin.peer.scheme = STR("https");
    take_subject(client);
    client->origin.peer_cert = peer_cert;
    if (is_h2)
        client->origin.is_ours = is_ours;
    if (conn_speak(conn, is_h2 ? &h2_codec : &h1_codec))
        return;
    set_timer(client, conf_of(client)->timeouts.header_ms);
}

static void on_insecure(struct conn *conn, enum reason why)
{
    (void)why;
    conn->wire->fault = REASON_TLS_PROTOCOL_ERROR;
}

static const struct conn_ops ops = {
    .on_preface = on_preface,
    .on_first = on_first,
    .on_secure = on_secure,
    .on_insecure = on_insecure,
    .on_closing = on_closing,
    .on_closed = on_closed,
    .on_idle = on_idle,
    .on_begin = on_begin,
    .on_timeout = on_timeout,
};

/* --- the codec's one question */

static struct str text_of(const char *text)
{
    return (struct str){text, strlen(text)};
}

/* The listener's settings may change while the connection lives. */
static void take_door(struct client *client)
{
    struct exchange_origin *origin = &client->origin;
    const struct client_door *door = client->door;

    origin->listener = door->listener;
    origin->health_path = text_of(door->health);
    origin->redirect_https = door->redirect_https && !client->conn.tls;
    origin->hsts = client->conn.tls ? text_of(door->hsts) : STR("");
    origin->cert_header = text_of(door->cert_header);
}

static struct stream *on_open(void *wire_owner)
{
    struct client *client = wire_owner;

    if (!client->origin.began_us || client->conn.is_working)
        client->origin.began_us = client->conn.loop->now_us;
    take_door(client);
    if (!client->conn.is_working || !client->conn.wire->codec->is_shared) {
        client->slow_checks = 0;
        client->was_behind = false;
        client->checked_us = client->conn.loop->now_us;
        set_timer(client, CHECK_MS);
    }
    client->conn.is_working = true;
    return exchange_open(client->host, &client->origin);
}

static const struct sink sink = {.on_open = on_open};

/* --- beginning and end */

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

static enum status secure(struct client *client)
{
    SSL *ssl;

    if (!client->door->tls)
        return OK;
    client->tls = client->door->tls;
    tls_server_ref(client->tls);
    ssl = SSL_new(tls_server_context(client->tls));
    return ssl ? conn_secure(&client->conn, ssl, ROLE_SERVER) : E_NOMEM;
}

enum status client_open(const struct client_home *home, int fd, const struct sockaddr *peer,
                        struct client_door *door)
{
    struct loop *loop = home->host->loop;
    struct client *client = slab_take(&loop->clients);
    bool is_unix = peer->sa_family == AF_UNIX;
    struct conn *conn;

    if (!client)
        return E_FULL;
    memset(client, 0, client_size());
    conn = &client->conn;
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
    ip_of(peer, client->origin.peer.ip);
    client->origin.peer.scheme = STR("http");
    set_peer(client);
    enlist(client, home->list, door);
    conn->awaits_preface = wants_preface(client);
    if (is_unix ? uv_pipe_open(&conn->uv.pipe, fd) : uv_tcp_open(&conn->uv.tcp, fd)) {
        conn_close(conn, REASON_INTERNAL_ERROR);
        goto fail;
    }
    if (secure(client) || conn_start(conn, NULL, ROLE_SERVER)) {
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
        struct conn *conn = &client->conn;
        const struct codec *codec = conn->wire->codec;

        if (codec && (conn->is_working || conn->wire->is_partial || codec->is_shared)) {
            codec->bye(conn->wire);
            conn_touch(conn);
        }
        if (!conn->is_working && !conn->wire->is_partial)
            set_timer(client,
                      DRAIN_IDLE_MS); // a request may be on its way: it is answered, with close
    }
}
