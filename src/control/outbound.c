/* SPDX-License-Identifier: Apache-2.0 */
#include "control/outbound.h"

#include <curl/curl.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "config/conf_url.h"

enum { CONNECT_MS = 5000, HOSTS_MAX = 16, PROBE_S = 2, GONE_MS = 6000 };

/* One account's at a platform. */
struct account {
    struct account *next;
    uint64_t key;
    struct pace pace;
};

struct outbound {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;
    struct outbound_call *calls;
    struct account *accounts;
    bool is_closing;
};

struct outbound_call {
    struct outbound *outbound;
    struct outbound_call *next, **link;
    CURL *easy;
    struct curl_slist *fields, *recipients;
    char *mail; /* what is sent by SMTP */
    size_t mail_len, mail_at;
    char *body;
    size_t len, size_max;
    char error[CURL_ERROR_SIZE];
    void (*done)(void *owner, const struct outbound_reply *reply);
    void *owner;
};

/* One descriptor that curl watches; frees itself when closed. */
struct watch {
    uv_poll_t poll;
    struct outbound *outbound;
    curl_socket_t fd;
};

/* --- the end of a call */

static void free_call(struct outbound_call *call)
{
    curl_slist_free_all(call->fields);
    curl_slist_free_all(call->recipients);
    free(call->mail);
    free(call->body);
    free(call);
}

static void unlink_call(struct outbound_call *call)
{
    *call->link = call->next;
    if (call->next)
        call->next->link = call->link;
}

static void remove_call(struct outbound_call *call)
{
    unlink_call(call);
    curl_multi_remove_handle(call->outbound->multi, call->easy);
    curl_easy_cleanup(call->easy);
}

void outbound_cancel(struct outbound_call **call)
{
    if (!*call)
        return;
    remove_call(*call);
    free_call(*call);
    *call = NULL;
}

static struct str field(CURL *easy, const char *name)
{
    struct curl_header *header;

    if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &header))
        return STR_NONE;
    return (struct str){header->value, strlen(header->value)};
}

static int64_t unix_ms(struct str text)
{
    time_t at = text.p ? curl_getdate(text.p, NULL) : -1;

    return at > 0 ? (int64_t)at * 1000 : 0;
}

/* RFC 9110 section 10.2.3: seconds, or a date. */
static int64_t retry_ms(struct str text, int64_t date_ms)
{
    char *end;
    int64_t at_ms;
    long seconds;

    if (!text.p)
        return 0;
    seconds = strtol(text.p, &end, 10);
    if (end != text.p && !*end)
        return seconds > 0 && seconds < 100L * 86400 ? (int64_t)seconds * 1000 : 0;
    at_ms = unix_ms(text);
    date_ms = date_ms ? date_ms : (int64_t)clock_wall_ms();
    return at_ms > date_ms ? at_ms - date_ms : 0;
}

static void finish(struct outbound_call *call, CURLcode code)
{
    struct outbound_reply reply = {.error = NULL};

    if (!code) {
        curl_easy_getinfo(call->easy, CURLINFO_RESPONSE_CODE, &reply.status);
        reply.nonce = field(call->easy, "Replay-Nonce");
        reply.location = field(call->easy, "Location");
        reply.cursor = field(call->easy, "Fly-Next-Cursor");
        reply.date_ms = unix_ms(field(call->easy, "Date"));
        reply.retry_ms = retry_ms(field(call->easy, "Retry-After"), reply.date_ms);
        reply.body = call->body ? (struct str){call->body, call->len} : STR("");
    } else {
        reply.error = *call->error ? call->error : curl_easy_strerror(code);
    }
    // The reply's texts belong to the easy handle, and `done` may start or cancel other calls.
    unlink_call(call);
    curl_multi_remove_handle(call->outbound->multi, call->easy);
    call->done(call->owner, &reply);
    curl_easy_cleanup(call->easy);
    free_call(call);
}

static void reap(struct outbound *outbound)
{
    CURLMsg *message;
    int left;

    while (!outbound->is_closing && (message = curl_multi_info_read(outbound->multi, &left))) {
        struct outbound_call *call = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &call);
        finish(call, code);
    }
}

/* --- curl's sockets and timer on the loop */

static void on_poll(uv_poll_t *poll, int failed, int events)
{
    struct watch *watch = poll->data;
    struct outbound *outbound = watch->outbound;
    int flags = failed ? CURL_CSELECT_ERR : 0, running;

    if (events & UV_READABLE)
        flags |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        flags |= CURL_CSELECT_OUT;
    curl_multi_socket_action(outbound->multi, watch->fd, flags, &running);
    reap(outbound);
}

static void on_watch_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static struct watch *add_watch(struct outbound *outbound, curl_socket_t fd)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    if (!watch)
        return NULL;
    if (uv_poll_init(outbound->loop, &watch->poll, fd)) {
        free(watch);
        return NULL;
    }
    watch->poll.data = watch;
    watch->outbound = outbound;
    watch->fd = fd;
    curl_multi_assign(outbound->multi, fd, watch);
    return watch;
}

static int on_socket(CURL *easy, curl_socket_t fd, int what, void *owner, void *of_fd)
{
    struct outbound *outbound = owner;
    struct watch *watch = of_fd;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watch) {
            curl_multi_assign(outbound->multi, fd, NULL);
            uv_poll_stop(&watch->poll);
            uv_close((uv_handle_t *)&watch->poll, on_watch_closed);
        }
        return 0;
    }
    if (!watch)
        watch = add_watch(outbound, fd);
    return watch && !uv_poll_start(&watch->poll, events, on_poll) ? 0 : -1;
}

static void on_timer(uv_timer_t *timer)
{
    struct outbound *outbound = timer->data;
    int running;

    curl_multi_socket_action(outbound->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    reap(outbound);
}

static int on_timeout(CURLM *multi, long timeout_ms, void *owner)
{
    struct outbound *outbound = owner;

    (void)multi;
    if (outbound->is_closing)
        return 0;
    if (timeout_ms < 0)
        uv_timer_stop(&outbound->timer);
    else
        uv_timer_start(&outbound->timer, on_timer, (uint64_t)timeout_ms, 0);
    return 0;
}

struct outbound *outbound_new(uv_loop_t *loop)
{
    struct outbound *outbound = calloc(1, sizeof(*outbound));

    if (!outbound)
        return NULL;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(outbound->multi = curl_multi_init())) {
        free(outbound);
        return NULL;
    }
    outbound->loop = loop;
    uv_timer_init(loop, &outbound->timer);
    outbound->timer.data = outbound;
    curl_multi_setopt(outbound->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(outbound->multi, CURLMOPT_SOCKETDATA, outbound);
    curl_multi_setopt(outbound->multi, CURLMOPT_TIMERFUNCTION, on_timeout);
    curl_multi_setopt(outbound->multi, CURLMOPT_TIMERDATA, outbound);
    curl_multi_setopt(outbound->multi, CURLMOPT_MAXCONNECTS, (long)HOSTS_MAX);
    return outbound;
}

uv_loop_t *outbound_loop(const struct outbound *outbound)
{
    return outbound->loop;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void outbound_close(struct outbound **outbound)
{
    struct outbound *gone = *outbound;

    *outbound = NULL;
    if (!gone)
        return;
    gone->is_closing = true;
    while (gone->calls) {
        struct outbound_call *call = gone->calls;

        outbound_cancel(&call);
    }
    while (gone->accounts) {
        struct account *account = gone->accounts;

        gone->accounts = account->next;
        free(account);
    }
    curl_multi_cleanup(gone->multi);
    curl_global_cleanup();
    uv_close((uv_handle_t *)&gone->timer, on_timer_closed);
}

/* --- what goes with calls */

struct pace *outbound_pace(struct outbound *outbound, uint64_t key, const struct pace *fresh)
{
    struct account *account = outbound->accounts;

    while (account && account->key != key)
        account = account->next;
    if (account)
        return &account->pace;
    account = calloc(1, sizeof(*account));
    if (!account)
        return NULL;
    *account = (struct account){.next = outbound->accounts, .key = key, .pace = *fresh};
    outbound->accounts = account;
    return &account->pace;
}

/* --- a new call */

static size_t on_bytes(char *bytes, size_t size, size_t count, void *owner)
{
    struct outbound_call *call = owner;
    size_t n = size * count;
    char *grown;

    if (n > call->size_max - call->len)
        return 0;
    grown = realloc(call->body, call->len + n + 1);
    if (!grown)
        return 0;
    memcpy(grown + call->len, bytes, n);
    call->body = grown;
    call->len += n;
    grown[call->len] = '\0';
    return n;
}

static bool add_line(struct curl_slist **lines, const char *line)
{
    struct curl_slist *longer = curl_slist_append(*lines, line);

    *lines = longer ? longer : *lines;
    return longer != NULL;
}

static bool set_fields(struct outbound_call *call, const struct outbound_request *request)
{
    bool is_good = true;

    // A body is sent at once, without asking first whether it is wanted. What is taken away so
    // would be signed all the same, though it is not sent.
    if (!request->sign)
        is_good = add_line(&call->fields, "Expect:");
    for (const char *const *line = request->fields; is_good && line && *line; line++)
        is_good = add_line(&call->fields, *line);
    return is_good && !curl_easy_setopt(call->easy, CURLOPT_HTTPHEADER, call->fields);
}

/* An edge that has vanished resets nothing, and an answer may be waited for much longer than it is
 * given to acknowledge what it was sent, or that it is still there (RFC 5482, RFC 9293 section
 * 3.8.4). */
static int watch_peer(void *owner, curl_socket_t fd, curlsocktype purpose)
{
    unsigned gone_ms = GONE_MS;
    int is_on = 1, probe_s = PROBE_S;

    (void)owner;
    (void)purpose;
    // Those that a unix socket does not know are of no use to it either.
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &is_on, sizeof(is_on));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &probe_s, sizeof(probe_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &probe_s, sizeof(probe_s));
    (void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &gone_ms, sizeof(gone_ms));
    return CURL_SOCKOPT_OK;
}

static bool set_near(CURL *easy)
{
    return !curl_easy_setopt(easy, CURLOPT_PROXY, "") &&
           !curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L) &&
           !curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, watch_peer);
}

static bool set_target(CURL *easy, const struct outbound_request *request)
{
    const char *protocols = request->mail ? "smtp,smtps" : "http,https";
    bool is_good = !curl_easy_setopt(easy, CURLOPT_URL, request->url) &&
                   !curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, protocols);

    if (request->socket)
        is_good = is_good && !curl_easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, request->socket);
    if (request->ca)
        is_good = is_good && !curl_easy_setopt(easy, CURLOPT_CAINFO, request->ca) &&
                  !curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
    // What an old connection lost is sent again by curl; on a new one it never is.
    if (request->is_once)
        is_good = is_good && !curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
    if (request->is_near)
        is_good = is_good && set_near(easy);
    return is_good;
}

static bool set_message(CURL *easy, const struct outbound_request *request)
{
    bool is_good = !curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method);

    if (!strcmp(request->method, "HEAD"))
        is_good = is_good && !curl_easy_setopt(easy, CURLOPT_NOBODY, 1L);
    if (request->body.p)
        is_good = is_good &&
                  !curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)request->body.len) &&
                  !curl_easy_setopt(easy, CURLOPT_COPYPOSTFIELDS, request->body.p);
    return is_good;
}

/* --- e-mail */

static size_t on_room(char *room, size_t size, size_t count, void *owner)
{
    struct outbound_call *call = owner;
    size_t left = call->mail_len - call->mail_at, n = size * count < left ? size * count : left;

    memcpy(room, call->mail + call->mail_at, n);
    call->mail_at += n;
    return n;
}

static bool set_recipients(struct outbound_call *call, const struct outbound_mail *mail)
{
    for (const char *const *to = mail->to; *to; to++)
        if (!add_line(&call->recipients, *to))
            return false;
    return !curl_easy_setopt(call->easy, CURLOPT_MAIL_RCPT, call->recipients);
}

static bool set_login(CURL *easy, const char *user, const char *password)
{
    return !curl_easy_setopt(easy, CURLOPT_USERNAME, user) &&
           !curl_easy_setopt(easy, CURLOPT_PASSWORD, password);
}

/* smtp:// to anywhere else must become TLS before anything is said (RFC 3207). */
static long tls_of(const char *url)
{
    struct str s = {url, strlen(url)};

    return conf_url_is_near(s, "smtp://") ? CURLUSESSL_TRY : CURLUSESSL_ALL;
}

static bool set_mail(struct outbound_call *call, const struct outbound_request *request)
{
    const struct outbound_mail *mail = request->mail;
    CURL *easy = call->easy;

    call->mail = strndup(request->body.p, request->body.len);
    call->mail_len = request->body.len;
    curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_room);
    curl_easy_setopt(easy, CURLOPT_READDATA, call);
    curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L);
    return call->mail && !curl_easy_setopt(easy, CURLOPT_USE_SSL, tls_of(request->url)) &&
           !curl_easy_setopt(easy, CURLOPT_MAIL_FROM, mail->from) && set_recipients(call, mail) &&
           (!mail->user || set_login(easy, mail->user, mail->password));
}

/* --- HTTP */

/* https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html */
static bool set_sign(CURL *easy, const struct outbound_sign *sign)
{
    char scope[160];

    if (snprintf(scope, sizeof(scope), "aws:amz:%s:s3", sign->region) >= (int)sizeof(scope))
        return false;
    return !curl_easy_setopt(easy, CURLOPT_AWS_SIGV4, scope) &&
           set_login(easy, sign->key, sign->secret);
}

static bool set_http(struct outbound_call *call, const struct outbound_request *request)
{
    return set_message(call->easy, request) && set_fields(call, request) &&
           (!request->sign || set_sign(call->easy, request->sign));
}

static bool set_up(struct outbound_call *call, const struct outbound_request *request)
{
    CURL *easy = call->easy;

    curl_easy_setopt(easy, CURLOPT_PRIVATE, call);
    curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, call->error);
    curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    // A name that nobody resolves must not hold the loop when its call ends.
    curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(easy, CURLOPT_WRITEDATA, call);
    curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)request->timeout_ms);
    curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, (long)CONNECT_MS);
    return !curl_easy_setopt(easy, CURLOPT_USERAGENT, "sluice/" SLUICE_VERSION) &&
           set_target(easy, request) &&
           (request->mail ? set_mail(call, request) : set_http(call, request));
}

struct outbound_call *outbound_send(struct outbound *outbound,
                                    const struct outbound_request *request)
{
    struct outbound_call *call = calloc(1, sizeof(*call));

    if (!call)
        return NULL;
    call->easy = curl_easy_init();
    call->outbound = outbound;
    call->size_max = request->size_max;
    call->done = request->done;
    call->owner = request->owner;
    if (!call->easy || !set_up(call, request) ||
        curl_multi_add_handle(outbound->multi, call->easy)) {
        curl_easy_cleanup(call->easy);
        free_call(call);
        return NULL;
    }
    call->link = &outbound->calls;
    call->next = outbound->calls;
    if (call->next)
        call->next->link = &call->next;
    outbound->calls = call;
    return call;
}
