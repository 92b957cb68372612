/* SPDX-License-Identifier: Apache-2.0
 *
 * Frees itself once libuv has closed its handles, so that the next one need not wait for that.
 */
#include "edge/upstream/redis_link.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    OUT_MAX = 1024 * 1024, /* bytes that may wait for the socket */
    VECTORS = 16,
    HANDLES = 2,
    GREETINGS_MAX = 4,
    COMMAND_MAX = 4096,
};

enum greeting { GREETING_PLAIN, GREETING_ROLE, GREETING_SCRIPT };

enum link_state { LINK_CONNECTING, LINK_SHAKING, LINK_GREETING, LINK_UP, LINK_DEAD };

struct redis_link {
    uv_tcp_t tcp;
    uv_prepare_t turn; /* runs while something waits to be written */
    uv_connect_t connecting;
    uv_getaddrinfo_t resolving;
    uv_write_t writing;
    struct redis_link_home home;
    struct redis_manner manner; /* its tls a reference */
    struct redis_address address;
    struct redis_parser *parser;
    struct tls_link tls; /* ssl NULL: none */
    struct outq *out;    /* in the plain */
    struct redis_ask *first, **last;
    uint64_t began_us;
    size_t writing_len;
    unsigned attempt, handles; /* that are open */
    enum greeting greetings[GREETINGS_MAX];
    unsigned greeting_count, greeted;
    enum link_state state;
    bool is_resolving, is_writing;
    char sha[REDIS_SHA_LEN];
};

const char redis_no_master[] = "it is no master";

size_t redis_encode(char *to, size_t size, const struct str *words, unsigned count)
{
    int head = snprintf(to, size, "*%u\r\n", count);
    size_t len = (size_t)head;

    for (unsigned i = 0; i < count && len < size; i++) {
        len += (size_t)snprintf(to + len, size - len, "$%zu\r\n", words[i].len);
        if (len >= size || words[i].len + 2 >= size - len)
            return 0;
        if (words[i].len)
            memcpy(to + len, words[i].p, words[i].len);
        memcpy(to + len + words[i].len, "\r\n", 2);
        len += words[i].len + 2;
    }
    return len < size ? len : 0;
}

/* --- its end */

static void free_link(struct redis_link *link)
{
    if (link->handles || link->is_resolving)
        return;
    if (link->tls.ssl)
        tls_link_fini(&link->tls);
    outq_give(&link->out);
    redis_parser_free(&link->parser);
    tls_client_unref(&link->manner.tls);
    free(link);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct redis_link *link = handle->data;

    link->handles--;
    free_link(link);
}

static void fail_asks(struct redis_link *link)
{
    struct redis_ask *ask = link->first;

    link->first = NULL;
    link->last = &link->first;
    while (ask) {
        struct redis_ask *next = ask->next;

        ask->on_reply(ask, NULL);
        ask = next;
    }
}

static void end(struct redis_link *link)
{
    link->state = LINK_DEAD;
    if (link->is_resolving)
        uv_cancel((uv_req_t *)&link->resolving);
    uv_close((uv_handle_t *)&link->turn, on_handle_closed);
    uv_close((uv_handle_t *)&link->tcp, on_handle_closed);
    fail_asks(link);
}

void redis_link_fail(struct redis_link *link, const char *why)
{
    if (link->state == LINK_DEAD)
        return;
    end(link);
    link->home.on_down(link->home.owner, why);
}

void redis_link_close(struct redis_link **link)
{
    struct redis_link *gone = *link;

    *link = NULL;
    if (gone && gone->state != LINK_DEAD)
        end(gone);
}

/* --- writing */

static void on_turn(uv_prepare_t *turn);
static void flush(struct redis_link *link);

static struct outq **socket_queue(struct redis_link *link)
{
    return link->tls.ssl ? &link->tls.out : &link->out;
}

static void on_written(uv_write_t *request, int failed)
{
    struct redis_link *link = request->data;

    link->is_writing = false;
    if (link->state == LINK_DEAD)
        return;
    loop_enter(link->home.loop);
    if (failed) {
        redis_link_fail(link, uv_strerror(failed));
    } else {
        outq_sent(*socket_queue(link), link->writing_len);
        flush(link);
    }
    loop_leave(link->home.loop);
}

static void write_later(struct redis_link *link)
{
    struct iovec vectors[VECTORS];
    unsigned n = outq_vectors(*socket_queue(link), vectors, VECTORS);

    link->writing_len = 0;
    for (unsigned i = 0; i < n; i++)
        link->writing_len += vectors[i].iov_len;
    link->writing.data = link;
    link->is_writing = true;
    if (!uv_write(&link->writing, (uv_stream_t *)&link->tcp, (const uv_buf_t *)vectors, n,
                  on_written))
        return;
    link->is_writing = false;
    redis_link_fail(link, "cannot write");
}

/* Whether it went on and more is there. */
static bool write_some(struct redis_link *link)
{
    struct outq *queue = *socket_queue(link);
    struct iovec vectors[VECTORS];
    unsigned n = outq_vectors(queue, vectors, VECTORS);
    int written = uv_try_write((uv_stream_t *)&link->tcp, (const uv_buf_t *)vectors, n);

    if (written < 0 && written != UV_EAGAIN) {
        redis_link_fail(link, uv_strerror(written));
        return false;
    }
    if (written > 0)
        outq_sent(queue, (size_t)written);
    if (!outq_pending(queue))
        return false;
    if (written > 0)
        return true;
    write_later(link);
    return false;
}

/* Plain bytes become ciphertext. */
static bool fill_queue(struct redis_link *link)
{
    if (!link->tls.ssl)
        return outq_pending(link->out) > 0;
    if (link->tls.is_open && outq_pending(link->out) && tls_link_write(&link->tls, link->out)) {
        redis_link_fail(link, "cannot encrypt");
        return false;
    }
    return outq_pending(link->tls.out) > 0;
}

static void flush(struct redis_link *link)
{
    while (link->state != LINK_DEAD && !link->is_writing && fill_queue(link))
        while (write_some(link))
            ;
    if (link->state == LINK_DEAD)
        return;
    if (!outq_pending(link->out))
        outq_give(&link->out);
    if (link->tls.ssl && !outq_pending(link->tls.out))
        outq_give(&link->tls.out);
}

static void on_turn(uv_prepare_t *turn)
{
    struct redis_link *link = turn->data;

    uv_prepare_stop(turn);
    loop_enter(link->home.loop);
    flush(link);
    loop_leave(link->home.loop);
}

static enum status queue(struct redis_link *link, struct str bytes)
{
    if (outq_pending(link->out) + bytes.len > OUT_MAX)
        return E_FULL;
    if (!link->out)
        link->out = outq_take(&link->home.loop->outqs);
    if (!link->out)
        return E_NOMEM;
    return outq_put(link->out, bytes);
}

enum status redis_link_ask(struct redis_link *link, struct redis_ask *ask, struct str command)
{
    enum status status = queue(link, command);

    if (status)
        return status;
    if (!link->is_writing)
        uv_prepare_start(&link->turn, on_turn);
    ask->asked_us = link->home.loop->now_us;
    ask->next = NULL;
    *link->last = ask;
    link->last = &ask->next;
    return OK;
}

/* --- the greeting */

static struct str str_of(const char *text)
{
    return text ? (struct str){text, strlen(text)} : STR_NONE;
}

static bool say(struct redis_link *link, enum greeting kind, const struct str *words,
                unsigned count)
{
    char command[COMMAND_MAX];
    size_t len = redis_encode(command, sizeof(command), words, count);

    link->greetings[link->greeting_count++] = kind;
    return len && !queue(link, (struct str){command, len});
}

static bool say_all(struct redis_link *link)
{
    const struct redis_manner *manner = &link->manner;
    char database[16];
    struct str auth[3] = {STR("AUTH")}, load[3] = {STR("SCRIPT"), STR("LOAD"), manner->script};
    struct str role = STR("ROLE"), choose[2] = {STR("SELECT"), {database, 0}};
    unsigned words = 1;

    if (manner->user)
        auth[words++] = str_of(manner->user);
    if (manner->password)
        auth[words++] = str_of(manner->password);
    choose[1].len = (size_t)snprintf(database, sizeof(database), "%u", manner->database);
    return (words == 1 || say(link, GREETING_PLAIN, auth, words)) &&
           (!manner->database || say(link, GREETING_PLAIN, choose, 2)) &&
           (!manner->wants_master || say(link, GREETING_ROLE, &role, 1)) &&
           (!manner->script.len || say(link, GREETING_SCRIPT, load, 3));
}

static void rise(struct redis_link *link)
{
    link->state = LINK_UP;
    link->home.on_up(link->home.owner);
}

static void greet(struct redis_link *link)
{
    link->state = LINK_GREETING;
    if (!say_all(link))
        redis_link_fail(link, "cannot greet");
    else if (!link->greeting_count)
        rise(link);
    if (link->state != LINK_DEAD)
        flush(link);
}

static void take_greeting(struct redis_link *link, const struct redis_reply *reply)
{
    enum greeting kind = link->greetings[link->greeted++];

    if (reply->is_error) {
        redis_link_fail(link, reply->text);
        return;
    }
    if (kind == GREETING_ROLE && !redis_role_is_master(reply)) {
        redis_link_fail(link, redis_no_master);
        return;
    }
    if (kind == GREETING_SCRIPT && (!reply->is_text || strlen(reply->text) != REDIS_SHA_LEN)) {
        redis_link_fail(link, "it does not know scripts");
        return;
    }
    if (kind == GREETING_SCRIPT)
        memcpy(link->sha, reply->text, REDIS_SHA_LEN);
    if (link->greeted == link->greeting_count)
        rise(link);
}

/* --- reading */

static void take_reply(struct redis_link *link, const struct redis_reply *reply)
{
    struct redis_ask *ask = link->first;

    if (!ask) {
        redis_link_fail(link, "an answer that nobody asked for");
        return;
    }
    link->first = ask->next;
    if (!link->first)
        link->last = &link->first;
    ask->on_reply(ask, reply);
}

static void take_replies(struct redis_link *link)
{
    const struct redis_reply *reply;
    enum status status = OK;

    while (link->state >= LINK_GREETING && link->state != LINK_DEAD && !status) {
        status = redis_parser_next(link->parser, &reply);
        if (status)
            break;
        if (link->state == LINK_GREETING)
            take_greeting(link, reply);
        else
            take_reply(link, reply);
    }
    if (status == E_PROTOCOL)
        redis_link_fail(link, "not the protocol of Redis");
}

/* False: it has ended. */
static bool shake(struct redis_link *link, struct str *in)
{
    enum status status = tls_link_shake(&link->tls, in);
    char why[256];

    flush(link); // an alert, too
    if (link->state == LINK_DEAD || status == E_AGAIN)
        return false;
    if (status) {
        snprintf(why, sizeof(why), "TLS: %s",
                 link->tls.error ? link->tls.error : "it does not speak it");
        redis_link_fail(link, why);
        return false;
    }
    greet(link);
    return link->state != LINK_DEAD;
}

/* All of it is fed before replies are taken, since who gets them may use the loop's buffers. What
 * ends it, after what came before has been taken; NULL: nothing. */
static const char *decrypt(struct redis_link *link, struct str in)
{
    struct loop *loop = link->home.loop;
    ssize_t n = 1;

    while (n > 0) {
        n = tls_link_read(&link->tls, &in, loop->tls.plain, TLS_PLAIN_BUFFER);
        if (n > 0 && !redis_parser_feed(link->parser, (struct str){loop->tls.plain, (size_t)n}))
            return "an answer that is too long";
    }
    if (n < 0)
        return link->tls.error ? link->tls.error : "broken TLS";
    return link->tls.got_bye ? "it closed the connection" : NULL;
}

static void take_bytes(struct redis_link *link, struct str bytes)
{
    const char *wrong = NULL;

    if (link->tls.ssl && !link->tls.is_open && !shake(link, &bytes))
        return;
    if (link->tls.ssl)
        wrong = decrypt(link, bytes);
    else if (!redis_parser_feed(link->parser, bytes))
        wrong = "an answer that is too long";
    take_replies(link);
    if (wrong)
        redis_link_fail(link, wrong);
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    const struct redis_link *link = handle->data;

    (void)size;
    *buf = uv_buf_init(link->home.loop->read_buffer, LOOP_READ_BUFFER);
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct redis_link *link = stream->data;

    if (link->state == LINK_DEAD || !len)
        return;
    loop_enter(link->home.loop);
    if (len < 0)
        redis_link_fail(link, len == UV_EOF ? "it closed the connection" : uv_strerror((int)len));
    else
        take_bytes(link, (struct str){buf->base, (size_t)len});
    loop_leave(link->home.loop);
}

/* --- connecting */

static bool begin_tls(struct redis_link *link)
{
    SSL *ssl = tls_client_ssl(link->manner.tls, str_of(link->address.host));
    struct loop *loop = link->home.loop;

    return ssl && !tls_link_init(&link->tls, &loop->tls, ssl, false, &loop->outqs);
}

static void speak(struct redis_link *link)
{
    struct str nothing = STR_NONE;

    uv_tcp_nodelay(&link->tcp, 1);
    if (uv_read_start((uv_stream_t *)&link->tcp, give_room, on_read)) {
        redis_link_fail(link, "cannot read");
    } else if (!link->manner.tls) {
        greet(link);
    } else if (begin_tls(link)) {
        link->state = LINK_SHAKING;
        (void)shake(link, &nothing);
    } else {
        redis_link_fail(link, "TLS: out of memory");
    }
}

static void on_connect(uv_connect_t *request, int failed)
{
    struct redis_link *link = request->data;

    if (link->state == LINK_DEAD)
        return;
    loop_enter(link->home.loop);
    if (failed)
        redis_link_fail(link, uv_strerror(failed));
    else
        speak(link);
    loop_leave(link->home.loop);
}

static int connect_to(struct redis_link *link, const struct sockaddr *address)
{
    link->connecting.data = link;
    return uv_tcp_connect(&link->connecting, &link->tcp, address, on_connect);
}

static const struct addrinfo *choose(const struct addrinfo *found, unsigned attempt)
{
    const struct addrinfo *chosen = found;
    unsigned count = 0;

    for (const struct addrinfo *at = found; at; at = at->ai_next)
        count++;
    for (unsigned left = attempt % count; left; left--)
        chosen = chosen->ai_next;
    return chosen;
}

static void on_resolved(uv_getaddrinfo_t *request, int failed, struct addrinfo *found)
{
    struct redis_link *link = request->data;

    link->is_resolving = false;
    if (link->state == LINK_DEAD) {
        free_link(link);
    } else {
        loop_enter(link->home.loop);
        if (!failed)
            failed = connect_to(link, choose(found, link->attempt)->ai_addr);
        if (failed)
            redis_link_fail(link, uv_strerror(failed));
        loop_leave(link->home.loop);
    }
    uv_freeaddrinfo(found);
}

static int look_up(struct redis_link *link)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char port[8];
    int failed;

    snprintf(port, sizeof(port), "%u", link->address.port);
    link->resolving.data = link;
    failed = uv_getaddrinfo(&link->home.loop->uv, &link->resolving, on_resolved, link->address.host,
                            port, &hints);
    link->is_resolving = !failed;
    return failed;
}

static int start(struct redis_link *link)
{
    const struct redis_address *address = &link->address;
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;

    if (!uv_ip4_addr(address->host, address->port, &v4))
        return connect_to(link, (const struct sockaddr *)&v4);
    if (!uv_ip6_addr(address->host, address->port, &v6))
        return connect_to(link, (const struct sockaddr *)&v6);
    return look_up(link);
}

struct redis_link *redis_link_open(const struct redis_link_home *home,
                                   const struct redis_manner *manner,
                                   const struct redis_address *address, unsigned attempt)
{
    struct redis_link *link = calloc(1, sizeof(*link));

    if (!link)
        return NULL;
    link->parser = redis_parser_new();
    if (!link->parser || uv_tcp_init(&home->loop->uv, &link->tcp)) {
        redis_parser_free(&link->parser);
        free(link);
        return NULL;
    }
    uv_prepare_init(&home->loop->uv, &link->turn); // cannot fail
    link->tcp.data = link->turn.data = link;
    link->handles = HANDLES;
    link->home = *home;
    link->manner = *manner;
    if (manner->tls)
        tls_client_ref(manner->tls);
    link->address = *address;
    link->attempt = attempt;
    link->last = &link->first;
    link->began_us = home->loop->now_us;
    if (!start(link))
        return link;
    end(link);
    return NULL;
}

/* --- for its user */

bool redis_link_is_up(const struct redis_link *link)
{
    return link->state == LINK_UP;
}

const char *redis_link_sha(const struct redis_link *link)
{
    return link->sha;
}

void redis_link_look(struct redis_link *link)
{
    uint64_t now_us = link->home.loop->now_us, overdue_us = REDIS_OVERDUE_MS * UINT64_C(1000);
    uint64_t since_us = link->began_us;

    if (link->state == LINK_UP)
        since_us = link->first ? link->first->asked_us : now_us;
    if (link->state != LINK_DEAD && now_us - since_us > overdue_us)
        redis_link_fail(link, "it does not answer");
}
