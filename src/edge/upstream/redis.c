/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection at a time. Its handles live in a link of their own, which frees itself once libuv
 * has closed it, so that the next connection need not wait for that.
 */
#include "edge/upstream/redis.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/upstream/redis_reply.h"

enum {
    LOOK_MS = 100,            /* between two looks whether answers are overdue */
    OVERDUE_US = 1000 * 1000, /* a connection that answers later than this is given up */
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 2000,
    OUT_MAX = 1024 * 1024, /* bytes that may wait for the socket */
    READ_SIZE = 16 * 1024,
    GREETINGS_MAX = 3, /* AUTH, SELECT, SCRIPT LOAD */
    SHA_LEN = 40,
};

struct bytes {
    char *p;
    size_t len, size;
};

struct link {
    uv_tcp_t tcp;
    uv_connect_t connecting;
    uv_getaddrinfo_t resolving;
    uv_write_t writing;
    struct redis *redis; /* NULL: it is given up */
    struct redis_parser *parser;
    struct bytes out, sending; /* waits for the end of the turn; is libuv's */
    uint64_t began_us;
    unsigned greetings; /* answers to those that are still to come */
    bool is_open, is_resolving, is_closed;
    char in[READ_SIZE];
};

struct redis {
    struct redis_home home;
    struct loop *loop; /* of home */
    struct link *link; /* NULL: none */
    uv_timer_t timer;
    uv_prepare_t turn; /* runs while something waits to be written */
    struct redis_call *first, **last;
    unsigned calls;
    uint32_t retry_ms;
    bool is_used, is_closed, was_told;
    char sha[SHA_LEN];
    char *url, *host, *user, *password; /* copies */
    uint16_t port;
    uint32_t database;
};

/* --- bytes */

static bool add_bytes(struct bytes *bytes, struct str more)
{
    size_t size = bytes->size ? bytes->size : 1024;
    char *p;

    if (bytes->len + more.len > OUT_MAX)
        return false;
    while (size < bytes->len + more.len)
        size *= 2;
    p = size > bytes->size ? realloc(bytes->p, size) : bytes->p;
    if (!p)
        return false;
    bytes->p = p;
    bytes->size = size > bytes->size ? size : bytes->size;
    memcpy(p + bytes->len, more.p, more.len);
    bytes->len += more.len;
    return true;
}

/* A command as the protocol wants it: a list of strings. */
static bool add_word(struct bytes *bytes, struct str word)
{
    char head[32];
    int len = snprintf(head, sizeof(head), "$%zu\r\n", word.len);

    return add_bytes(bytes, (struct str){head, (size_t)len}) && add_bytes(bytes, word) &&
           add_bytes(bytes, STR("\r\n"));
}

static bool add_command(struct bytes *bytes, const struct str *words, unsigned count)
{
    size_t before = bytes->len;
    char head[32];
    int len = snprintf(head, sizeof(head), "*%u\r\n", count);
    bool is_good = add_bytes(bytes, (struct str){head, (size_t)len});

    for (unsigned i = 0; is_good && i < count; i++)
        is_good = add_word(bytes, words[i]);
    if (!is_good)
        bytes->len = before;
    return is_good;
}

/* --- a link's end */

static void free_link(struct link *link)
{
    if (!link->is_closed || link->is_resolving)
        return;
    redis_parser_free(&link->parser);
    free(link->out.p);
    free(link->sending.p);
    free(link);
}

static void on_link_closed(uv_handle_t *handle)
{
    struct link *link = handle->data;

    link->is_closed = true;
    free_link(link);
}

static void fail_calls(struct redis *redis)
{
    struct redis_call *call = redis->first;

    redis->first = NULL;
    redis->last = &redis->first;
    redis->calls = 0;
    while (call) {
        struct redis_call *next = call->next;

        call->on_answer(call, NULL);
        call = next;
    }
}

static void on_timer(uv_timer_t *timer);

/* Lets go of the connection; `why` is said once until it is good again; NULL: nobody cares. */
static void drop(struct redis *redis, const char *why)
{
    struct link *link = redis->link;

    if (!link)
        return;
    redis->link = NULL;
    link->redis = NULL;
    uv_prepare_stop(&redis->turn);
    if (link->is_resolving)
        uv_cancel((uv_req_t *)&link->resolving);
    uv_close((uv_handle_t *)&link->tcp, on_link_closed);
    if (why && !redis->was_told)
        fprintf(stderr, "sluice: edge: redis at %s: %s\n", redis->host, why);
    redis->was_told |= why != NULL;
    fail_calls(redis);
    redis->home.on_change(redis->home.owner);
    if (!redis->is_used || redis->is_closed)
        return;
    uv_timer_start(&redis->timer, on_timer, redis->retry_ms, LOOK_MS);
    redis->retry_ms = redis->retry_ms * 2 < RETRY_MAX_MS ? redis->retry_ms * 2 : RETRY_MAX_MS;
}

/* --- writing */

static void on_turn(uv_prepare_t *turn);

static void on_written(uv_write_t *request, int failed)
{
    struct link *link = request->data;
    struct redis *redis = link->redis;

    link->sending.len = 0;
    if (!redis)
        return;
    loop_enter(redis->loop);
    if (failed)
        drop(redis, uv_strerror(failed));
    else if (link->out.len)
        uv_prepare_start(&redis->turn, on_turn);
    loop_leave(redis->loop);
}

static void write_rest(struct link *link, size_t from)
{
    struct bytes sent = link->sending;
    uv_buf_t buf;

    link->sending = link->out;
    link->out = (struct bytes){.p = sent.p, .size = sent.size};
    buf = uv_buf_init(link->sending.p + from, (unsigned)(link->sending.len - from));
    link->writing.data = link;
    if (uv_write(&link->writing, (uv_stream_t *)&link->tcp, &buf, 1, on_written))
        drop(link->redis, "cannot write");
}

static void on_turn(uv_prepare_t *turn)
{
    struct redis *redis = turn->data;
    struct link *link = redis->link;
    uv_buf_t buf;
    int done;

    uv_prepare_stop(turn);
    if (!link || !link->is_open || !link->out.len || link->sending.len)
        return;
    buf = uv_buf_init(link->out.p, (unsigned)link->out.len);
    done = uv_try_write((uv_stream_t *)&link->tcp, &buf, 1);
    if (done == (int)link->out.len) {
        link->out.len = 0;
        return;
    }
    loop_enter(redis->loop);
    if (done < 0 && done != UV_EAGAIN)
        drop(redis, uv_strerror(done));
    else
        write_rest(link, done > 0 ? (size_t)done : 0);
    loop_leave(redis->loop);
}

/* --- reading */

/* AUTH, SELECT, SCRIPT LOAD: the last one's answer is the script's name. */
static void take_greeting(struct redis *redis, const struct redis_reply *reply)
{
    struct link *link = redis->link;

    if (reply->is_error) {
        drop(redis, reply->text);
        return;
    }
    if (--link->greetings)
        return;
    if (!reply->is_text || strlen(reply->text) != SHA_LEN) {
        drop(redis, "it does not know scripts");
        return;
    }
    memcpy(redis->sha, reply->text, SHA_LEN);
    link->is_open = true;
    if (redis->was_told)
        fprintf(stderr, "sluice: edge: redis at %s: connected\n", redis->host);
    redis->was_told = false;
    redis->retry_ms = RETRY_MIN_MS;
    redis->home.on_change(redis->home.owner);
}

static void take_answer(struct redis *redis, const struct redis_reply *reply)
{
    struct redis_call *call = redis->first;

    if (!call) {
        drop(redis, "an answer that nobody asked for");
        return;
    }
    redis->first = call->next;
    if (!redis->first)
        redis->last = &redis->first;
    redis->calls--;
    if (!reply->is_error) {
        call->on_answer(call, &reply->answer);
        return;
    }
    call->on_answer(call, NULL);
    if (redis->link) // the script is gone, it is full, loading or a replica now: begin again
        drop(redis, reply->text);
}

static void take_replies(struct redis *redis)
{
    const struct redis_reply *reply;
    enum status status = OK;

    while (redis->link && !status) {
        struct link *link = redis->link;

        status = redis_parser_next(link->parser, &reply);
        if (status)
            break;
        if (link->greetings)
            take_greeting(redis, reply);
        else
            take_answer(redis, reply);
    }
    if (redis->link && status == E_PROTOCOL)
        drop(redis, "not the protocol of Redis");
}

static void give_room(uv_handle_t *handle, size_t size, uv_buf_t *buf)
{
    struct link *link = handle->data;

    (void)size;
    *buf = uv_buf_init(link->in, sizeof(link->in));
}

static void on_read(uv_stream_t *stream, ssize_t len, const uv_buf_t *buf)
{
    struct link *link = stream->data;
    struct redis *redis = link->redis;

    if (!redis || !len)
        return;
    loop_enter(redis->loop);
    if (len < 0)
        drop(redis, len == UV_EOF ? "it closed the connection" : uv_strerror((int)len));
    else if (!redis_parser_feed(link->parser, (struct str){buf->base, (size_t)len}))
        drop(redis, "an answer that is too long");
    else
        take_replies(redis);
    loop_leave(redis->loop);
}

/* --- connecting */

static struct str str_of(const char *text)
{
    return text ? (struct str){text, strlen(text)} : STR_NONE;
}

static bool greet(struct redis *redis, struct link *link)
{
    char database[16];
    struct str auth[3] = {STR("AUTH")}, load[3] = {STR("SCRIPT"), STR("LOAD"), redis->home.script};
    struct str choose[2] = {STR("SELECT"), {database, 0}};
    unsigned words = 1;

    if (redis->user)
        auth[words++] = str_of(redis->user);
    if (redis->password)
        auth[words++] = str_of(redis->password);
    if (words > 1 && !add_command(&link->out, auth, words))
        return false;
    choose[1].len = (size_t)snprintf(database, sizeof(database), "%u", redis->database);
    if (redis->database && !add_command(&link->out, choose, 2))
        return false;
    link->greetings = 1U + (words > 1) + (redis->database != 0);
    return add_command(&link->out, load, 3);
}

static void on_connect(uv_connect_t *request, int failed)
{
    struct link *link = request->data;
    struct redis *redis = link->redis;
    uv_buf_t buf;
    bool is_good;

    if (!redis)
        return;
    loop_enter(redis->loop);
    if (failed) {
        drop(redis, uv_strerror(failed));
    } else {
        uv_tcp_nodelay(&link->tcp, 1);
        is_good =
            greet(redis, link) && !uv_read_start((uv_stream_t *)&link->tcp, give_room, on_read);
        buf = uv_buf_init(link->out.p, (unsigned)link->out.len);
        if (!is_good || uv_try_write((uv_stream_t *)&link->tcp, &buf, 1) != (int)link->out.len)
            drop(redis, "cannot greet");
        else
            link->out.len = 0;
    }
    loop_leave(redis->loop);
}

static void connect_to(struct redis *redis, const struct sockaddr *address)
{
    struct link *link = redis->link;
    int failed;

    link->connecting.data = link;
    failed = uv_tcp_connect(&link->connecting, &link->tcp, address, on_connect);
    if (failed)
        drop(redis, uv_strerror(failed));
}

static void on_resolved(uv_getaddrinfo_t *request, int failed, struct addrinfo *found)
{
    struct link *link = request->data;
    struct redis *redis = link->redis;

    link->is_resolving = false;
    if (!redis) {
        free_link(link);
    } else {
        loop_enter(redis->loop);
        if (failed)
            drop(redis, uv_strerror(failed));
        else
            connect_to(redis, found->ai_addr);
        loop_leave(redis->loop);
    }
    uv_freeaddrinfo(found);
}

static void look_up(struct redis *redis)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct link *link = redis->link;
    char port[8];
    int failed;

    snprintf(port, sizeof(port), "%u", redis->port);
    link->resolving.data = link;
    failed =
        uv_getaddrinfo(&redis->loop->uv, &link->resolving, on_resolved, redis->host, port, &hints);
    link->is_resolving = !failed;
    if (failed)
        drop(redis, uv_strerror(failed));
}

static void connect_anew(struct redis *redis)
{
    struct link *link = calloc(1, sizeof(*link));
    struct sockaddr_in6 v6;
    struct sockaddr_in v4;

    if (!link)
        return; // at the next look
    link->parser = redis_parser_new();
    if (!link->parser || uv_tcp_init(&redis->loop->uv, &link->tcp)) {
        redis_parser_free(&link->parser);
        free(link);
        return;
    }
    link->tcp.data = link;
    link->redis = redis;
    link->began_us = redis->loop->now_us;
    redis->link = link;
    if (!uv_ip4_addr(redis->host, redis->port, &v4))
        connect_to(redis, (const struct sockaddr *)&v4);
    else if (!uv_ip6_addr(redis->host, redis->port, &v6))
        connect_to(redis, (const struct sockaddr *)&v6);
    else
        look_up(redis);
}

static void on_timer(uv_timer_t *timer)
{
    struct redis *redis = timer->data;
    const struct link *link = redis->link;
    uint64_t now_us;

    loop_enter(redis->loop);
    now_us = redis->loop->now_us;
    if (!link)
        connect_anew(redis);
    else if (!link->is_open && now_us - link->began_us > OVERDUE_US)
        drop(redis, "it does not answer");
    else if (redis->first && now_us - redis->first->sent_us > OVERDUE_US)
        drop(redis, "it does not answer");
    loop_leave(redis->loop);
}

/* --- for its user */

struct redis *redis_open(const struct redis_home *home)
{
    struct redis *redis = calloc(1, sizeof(*redis));

    if (!redis)
        return NULL;
    redis->home = *home;
    redis->loop = home->loop;
    redis->last = &redis->first;
    uv_timer_init(&redis->loop->uv, &redis->timer); // neither can fail
    uv_prepare_init(&redis->loop->uv, &redis->turn);
    redis->timer.data = redis->turn.data = redis;
    return redis;
}

static char *copy(struct str text)
{
    return text.p ? strndup(text.p, text.len) : NULL;
}

static void forget(struct redis *redis)
{
    free(redis->url);
    free(redis->host);
    free(redis->user);
    free(redis->password);
    redis->url = redis->host = redis->user = redis->password = NULL;
}

void redis_use(struct redis *redis, const struct conf_redis *conf)
{
    if (conf ? redis->url && str_same(str_of(redis->url), conf->url.s) : !redis->url)
        return;
    redis->is_used = false;
    drop(redis, NULL);
    uv_timer_stop(&redis->timer);
    forget(redis);
    redis->was_told = false;
    if (!conf)
        return;
    redis->url = copy(conf->url.s);
    redis->host = copy(conf->host);
    redis->user = copy(conf->user);
    redis->password = copy(conf->password);
    redis->port = conf->port;
    redis->database = conf->database;
    redis->retry_ms = RETRY_MIN_MS;
    redis->is_used = redis->url && redis->host && !redis->is_closed;
    if (!redis->is_used)
        return;
    connect_anew(redis);
    uv_timer_start(&redis->timer, on_timer, LOOK_MS, LOOK_MS);
}

bool redis_is_up(const struct redis *redis)
{
    return redis->link && redis->link->is_open;
}

enum status redis_ask(struct redis *redis, struct redis_call *call, struct str key,
                      const struct str *arguments, unsigned count)
{
    struct str words[4 + 8] = {STR("EVALSHA"), {redis->sha, SHA_LEN}, STR("1"), key};
    struct link *link = redis->link;

    if (!redis_is_up(redis))
        return E_CLOSED;
    if (redis->calls == REDIS_CALLS_MAX || count > ARRAY_LEN(words) - 4)
        return E_FULL;
    for (unsigned i = 0; i < count; i++)
        words[4 + i] = arguments[i];
    if (!add_command(&link->out, words, 4 + count))
        return E_NOMEM;
    if (!link->sending.len)
        uv_prepare_start(&redis->turn, on_turn);
    call->sent_us = redis->loop->now_us;
    call->next = NULL;
    *redis->last = call;
    redis->last = &call->next;
    redis->calls++;
    return OK;
}

void redis_close(struct redis *redis)
{
    if (redis->is_closed)
        return;
    redis->is_closed = true;
    drop(redis, NULL);
    uv_close((uv_handle_t *)&redis->timer, NULL);
    uv_close((uv_handle_t *)&redis->turn, NULL);
}

void redis_free(struct redis **redis)
{
    if (*redis)
        forget(*redis);
    free(*redis);
    *redis = NULL;
}
