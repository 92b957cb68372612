/* SPDX-License-Identifier: Apache-2.0
 *
 * Single-threaded, one libuv loop. Invariant: a connection works on one request at a time, and what
 * comes after it waits in its buffer; reading pauses while there is no room or too much to write.
 */
#include "cli/demo_app.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include "base/arena.h"
#include "base/text.h"
#include "cli/demo_process.h"
#include "http/h1.h"

enum {
    IN_SIZE = 32 * 1024,
    BACKLOG_MAX = 256 * 1024,
    HEADERS_MAX = 200,
    LISTEN_BACKLOG = 128,
    SLOW_MS = 500,
    SLOW_MAX_MS = 60000,
};

struct server {
    uv_loop_t loop;
    uv_tcp_t listener;
    const char *name;
    struct demo_manner manner;
    uint64_t requests;
};

enum phase { PHASE_HEAD, PHASE_DELAY, PHASE_BODY, PHASE_TRAILERS, PHASE_CLOSE };

struct client {
    uv_tcp_t tcp;
    uv_timer_t delay;
    struct server *server;
    struct arena arena; /* of one request */
    struct str answer;  /* after a delay; in the arena */
    enum phase phase;
    unsigned writes, handles; /* not yet completed; not yet closed */
    bool is_ending;           /* the connection closes after this request */
    bool is_echo, is_chunked, has_ended;
    uint64_t left; /* of a body with a length */
    struct chunked chunked;
    size_t in_len, scanned;
    char in[IN_SIZE];
};

struct writing {
    uv_write_t req;
    struct client *client;
    char bytes[];
};

struct reply {
    unsigned status;
    const char *type;
    struct str body;
};

static void pump(struct client *client);

/* --- the end of a connection */

static void on_closed(uv_handle_t *handle)
{
    struct client *client = handle->data;

    if (--client->handles)
        return;
    arena_reset(&client->arena);
    free(client);
}

static void close_client(struct client *client)
{
    client->phase = PHASE_CLOSE;
    if (uv_is_closing((uv_handle_t *)&client->tcp))
        return;
    uv_close((uv_handle_t *)&client->tcp, on_closed);
    uv_close((uv_handle_t *)&client->delay, on_closed);
}

/* --- writing */

static void on_written(uv_write_t *req, int status)
{
    struct writing *writing = CONTAINER_OF(req, struct writing, req);
    struct client *client = writing->client;

    free(writing);
    client->writes--;
    if (status)
        close_client(client);
    else
        pump(client);
}

static void put(struct client *client, struct str bytes)
{
    struct writing *writing = malloc(sizeof(*writing) + bytes.len);
    uv_buf_t buf;

    if (!writing) {
        close_client(client);
        return;
    }
    writing->client = client;
    memcpy(writing->bytes, bytes.p, bytes.len);
    buf = uv_buf_init(writing->bytes, (unsigned)bytes.len);
    if (uv_write(&writing->req, (uv_stream_t *)&client->tcp, &buf, 1, on_written)) {
        free(writing);
        close_client(client);
        return;
    }
    client->writes++;
}

/* --- answers */

/* No body where none may stand: RFC 9110 15.3.5, 15.4.5. */
static struct str make_answer(struct client *client, const struct head *head,
                              const struct reply *reply)
{
    bool is_bodiless = reply->status == 204 || reply->status == 304;
    char length[48] = "";

    if (!is_bodiless)
        snprintf(length, sizeof(length), "Content-Length: %zu\r\n", reply->body.len);
    return arena_format(&client->arena,
                        "HTTP/1.1 %u Demo\r\nServer: demo-%s\r\nContent-Type: %s\r\n%s"
                        "Connection: %s\r\n\r\n%.*s",
                        reply->status, client->server->name, reply->type, length,
                        client->is_ending ? "close" : "keep-alive",
                        is_bodiless || head->method == METHOD_HEAD ? 0 : (int)reply->body.len,
                        reply->body.p ? reply->body.p : "");
}

static struct reply show_page(struct client *client, const struct head *head)
{
    struct server *server = client->server;

    (void)head;
    return (
        struct reply){200, "text/html; charset=utf-8",
                      arena_format(&client->arena,
                                   "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">"
                                   "<title>Demo app %s</title></head><body><h1>Demo app %s</h1>"
                                   "<p>Process %d, request %llu of its life.</p></body></html>\n",
                                   server->name, server->name, (int)getpid(),
                                   (unsigned long long)server->requests)};
}

static char *put_pair(char *out, const struct header *header, bool is_first)
{
    out = text_put(out, is_first ? STR("\n  [\"") : STR(",\n  [\""));
    out = text_json(out, (struct str){header->name, header->name_len});
    out = text_put(out, STR("\", \""));
    out = text_json(out, (struct str){header->value, header->value_len});
    return text_put(out, STR("\"]"));
}

static struct reply show_headers(struct client *client, const struct head *head)
{
    size_t room = 256 + strlen(client->server->name) + head->path.len * TEXT_JSON_FACTOR;
    char *start, *out;

    for (unsigned i = 0; i < head->count; i++)
        room += 16 +
                TEXT_JSON_FACTOR * ((size_t)head->headers[i].name_len + head->headers[i].value_len);
    start = out = arena_text(&client->arena, room);
    if (!start)
        return (struct reply){.status = 503, .type = "text/plain"};
    out += sprintf(out, "{\"app\": \"%s\", \"method\": \"%.*s\", \"path\": \"",
                   client->server->name, STR_FMT(head->method_name));
    out = text_put(text_json(out, head->path), STR("\", \"headers\": ["));
    for (unsigned i = 0; i < head->count; i++)
        out = put_pair(out, &head->headers[i], !i);
    out = text_put(out, STR("\n]}\n"));
    return (struct reply){200, "application/json", {start, (size_t)(out - start)}};
}

static struct reply show_status(struct client *client, const struct head *head)
{
    unsigned long status = strtoul(head->path.p + strlen("/status/"), NULL, 10);
    bool is_known = status >= 200 && status <= 599;

    return (struct reply){is_known ? (unsigned)status : 400, "text/plain; charset=utf-8",
                          arena_format(&client->arena, "app %s: %s\n", client->server->name,
                                       is_known ? "the status you asked for"
                                                : "200 to 599 can be asked for")};
}

static struct reply show_text(struct client *client, const struct head *head)
{
    return (struct reply){200, "text/plain; charset=utf-8",
                          arena_format(&client->arena, "app %s: %.*s %.*s\n", client->server->name,
                                       STR_FMT(head->method_name), STR_FMT(head->path))};
}

static struct reply find_reply(struct client *client, const struct head *head)
{
    static const struct {
        struct str path;
        bool is_prefix;
        struct reply (*show)(struct client *client, const struct head *head);
    } pages[] = {
        {STR_INIT("/"), false, show_page},
        {STR_INIT("/headers"), false, show_headers},
        {STR_INIT("/status/"), true, show_status},
        {STR_INIT(""), true, show_text},
    };
    size_t i = 0;

    while (head->path.len < pages[i].path.len ||
           (!pages[i].is_prefix && head->path.len != pages[i].path.len) ||
           memcmp(head->path.p, pages[i].path.p, pages[i].path.len) != 0)
        i++;
    return pages[i].show(client, head);
}

/* Milliseconds that /slow waits; 0 for other paths. */
static uint64_t delay_ms(struct str path, struct str query)
{
    unsigned long ms = SLOW_MS;

    if (path.len != 5 || memcmp(path.p, "/slow", 5) != 0)
        return 0;
    if (query.len > 3 && !memcmp(query.p, "ms=", 3))
        ms = strtoul(query.p + 3, NULL, 10);
    return ms < SLOW_MAX_MS ? ms : SLOW_MAX_MS;
}

static void on_delay(uv_timer_t *timer)
{
    struct client *client = timer->data;

    client->phase = PHASE_BODY;
    put(client, client->answer);
    pump(client);
}

static bool fails(const struct server *server)
{
    return server->manner.fails_each && server->requests % server->manner.fails_each == 0;
}

static struct reply fail(struct client *client)
{
    return (struct reply){500, "text/plain; charset=utf-8",
                          arena_format(&client->arena, "app %s: a fault of this release\n",
                                       client->server->name)};
}

static void answer(struct client *client, const struct head *head)
{
    struct reply reply = fails(client->server) ? fail(client) : find_reply(client, head);
    uint64_t ms = delay_ms(head->path, head->query) + client->server->manner.delay_ms;

    client->phase = PHASE_BODY;
    client->answer = make_answer(client, head, &reply);
    if (!client->answer.p)
        close_client(client);
    else if (!ms)
        put(client, client->answer);
    else if (!uv_timer_start(&client->delay, on_delay, ms, 0))
        client->phase = PHASE_DELAY;
}

/* The same framing back: RFC 9112 6. */
static void begin_echo(struct client *client, const struct head *head)
{
    struct str type = head_value(head, HDR_CONTENT_TYPE);
    char framing[48] = "Transfer-Encoding: chunked";
    struct str text;

    if (!head->chunked)
        snprintf(framing, sizeof(framing), "Content-Length: %llu",
                 (unsigned long long)client->left);
    text = arena_format(&client->arena,
                        "%sHTTP/1.1 200 Demo\r\nServer: demo-%s\r\nContent-Type: %.*s\r\n%s\r\n"
                        "Connection: %s\r\n\r\n",
                        head->expects_continue ? "HTTP/1.1 100 Continue\r\n\r\n" : "",
                        client->server->name, type.p ? (int)type.len : 24,
                        type.p ? type.p : "application/octet-stream", framing,
                        client->is_ending ? "close" : "keep-alive");
    client->phase = PHASE_BODY;
    if (text.p)
        put(client, text);
    else
        close_client(client);
}

/* --- reading. Each step eats from `in`; false: it needs more, or has to wait */

static void refuse(struct client *client, enum reason why)
{
    const struct head none = {.method = METHOD_GET};
    const struct reason_info *info = reason_info(why);
    struct reply reply = {info->status,
                          "text/plain; charset=utf-8",
                          {info->text, strlen(info->text)}};

    client->is_ending = true;
    client->phase = PHASE_CLOSE;
    client->answer = make_answer(client, &none, &reply);
    if (client->answer.p)
        put(client, client->answer);
}

static bool read_head(struct client *client, struct str *in)
{
    static const struct wire_limits limits = {IN_SIZE, IN_SIZE, HEADERS_MAX};
    struct head head;
    enum reason why;
    size_t len = h1_head_length(*in, &client->scanned);

    if (!len && in->len < IN_SIZE)
        return false;
    arena_reset(&client->arena);
    client->scanned = 0;
    why = len ? h1_parse_request(arena_copy(&client->arena, (struct str){in->p, len}), &limits,
                                 &client->arena, &head)
              : REASON_HEADERS_TOO_LARGE;
    in->p += len;
    in->len -= len;
    if (why) {
        refuse(client, why);
        return true;
    }
    client->server->requests++;
    client->is_ending = head.wants_close;
    client->is_chunked = head.chunked;
    client->chunked = (struct chunked){0};
    client->left = head.content_length > 0 ? (uint64_t)head.content_length : 0;
    client->is_echo =
        head.method == METHOD_POST && head.path.len == 5 && !memcmp(head.path.p, "/echo", 5);
    if (client->is_echo)
        begin_echo(client, &head);
    else
        answer(client, &head);
    return true;
}

static void echo(struct client *client, struct str data)
{
    char size[TEXT_HEX_MAX + 2], *end;

    if (!client->is_echo || !data.len)
        return;
    if (client->is_chunked) {
        end = text_put(text_hex(size, data.len), STR("\r\n"));
        put(client, (struct str){size, (size_t)(end - size)});
    }
    put(client, data);
    if (client->is_chunked)
        put(client, STR("\r\n"));
}

static void end_request(struct client *client)
{
    if (client->is_echo && client->is_chunked)
        put(client, STR("0\r\n\r\n"));
    if (client->phase != PHASE_CLOSE)
        client->phase = client->is_ending ? PHASE_CLOSE : PHASE_HEAD;
}

static bool read_chunks(struct client *client, struct str *in)
{
    struct str data = STR_NONE;

    switch (chunked_next(&client->chunked, in, &data)) {
    case CHUNK_DATA:
        echo(client, data);
        return true;
    case CHUNK_TRAILERS:
        client->phase = PHASE_TRAILERS;
        return true;
    case CHUNK_BAD:
        close_client(client);
        return true;
    default:
        return false;
    }
}

static bool read_body(struct client *client, struct str *in)
{
    struct str data = *in;

    if (client->is_chunked)
        return read_chunks(client, in);
    if (data.len > client->left)
        data.len = (size_t)client->left;
    echo(client, data);
    client->left -= data.len;
    in->p += data.len;
    in->len -= data.len;
    if (!client->left)
        end_request(client);
    return !client->left;
}

/* Trailers mean nothing here: read over. */
static bool read_trailers(struct client *client, struct str *in)
{
    bool is_empty = in->len >= 2 && !memcmp(in->p, "\r\n", 2);
    size_t len = is_empty ? 2 : in->len > 2 ? h1_head_length(*in, &client->scanned) : 0;

    if (!len && in->len == IN_SIZE)
        close_client(client);
    if (!len)
        return false;
    client->scanned = 0;
    in->p += len;
    in->len -= len;
    end_request(client);
    return true;
}

static bool step(struct client *client, struct str *in)
{
    if (client->tcp.write_queue_size > BACKLOG_MAX)
        return false;
    switch (client->phase) {
    case PHASE_HEAD:
        return in->len && read_head(client, in);
    case PHASE_BODY:
        return read_body(client, in);
    case PHASE_TRAILERS:
        return read_trailers(client, in);
    default:
        return false;
    }
}

static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct client *client = handle->data;

    (void)hint;
    *buf = uv_buf_init(client->in + client->in_len, (unsigned)(IN_SIZE - client->in_len));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct client *client = stream->data;

    (void)buf;
    if (n > 0)
        client->in_len += (size_t)n;
    else if (n == UV_EOF)
        client->has_ended = true; // what was asked for is still answered
    else if (n < 0)
        close_client(client);
    pump(client);
}

/* All that can be done now; then reads on, waits, or closes. */
static void pump(struct client *client)
{
    struct str in = {client->in, client->in_len};
    bool is_over, can_read;

    if (uv_is_closing((uv_handle_t *)&client->tcp))
        return;
    while (step(client, &in))
        ;
    memmove(client->in, in.p, in.len);
    client->in_len = in.len;
    if (uv_is_closing((uv_handle_t *)&client->tcp))
        return;
    is_over = client->phase == PHASE_CLOSE || (client->has_ended && client->phase != PHASE_DELAY);
    if (is_over && !client->writes) {
        close_client(client);
        return;
    }
    can_read = !is_over && !client->has_ended && client->phase != PHASE_DELAY &&
               client->in_len < IN_SIZE && client->tcp.write_queue_size <= BACKLOG_MAX;
    if (can_read)
        uv_read_start((uv_stream_t *)&client->tcp, on_alloc, on_read);
    else
        uv_read_stop((uv_stream_t *)&client->tcp);
}

/* --- the process */

static void on_connection(uv_stream_t *listener, int status)
{
    struct server *server = listener->data;
    struct client *client = status ? NULL : calloc(1, sizeof(*client));

    if (!client)
        return;
    client->server = server;
    client->handles = 2;
    client->tcp.data = client->delay.data = client;
    arena_init(&client->arena, NULL, 0);
    uv_timer_init(&server->loop, &client->delay);
    uv_tcp_init(&server->loop, &client->tcp);
    if (uv_accept(listener, (uv_stream_t *)&client->tcp)) {
        close_client(client);
        return;
    }
    uv_tcp_nodelay(&client->tcp, 1);
    pump(client);
}

int demo_app_serve(const struct demo_app *app)
{
    struct server server = {.name = app->name, .manner = app->manner};

    if (uv_loop_init(&server.loop) || uv_tcp_init(&server.loop, &server.listener) ||
        uv_tcp_open(&server.listener, app->fd))
        return 1;
    server.listener.data = &server;
    if (uv_listen((uv_stream_t *)&server.listener, LISTEN_BACKLOG, on_connection))
        return 1;
    return uv_run(&server.loop, UV_RUN_DEFAULT);
}

enum status demo_app_open(struct demo_app *app, const char *name, uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(address);
    int error;

    *app = (struct demo_app){.name = name, .fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    if (app->fd < 0)
        return E_IO;
    if (!bind(app->fd, (struct sockaddr *)&address, len) && !listen(app->fd, LISTEN_BACKLOG) &&
        !getsockname(app->fd, (struct sockaddr *)&address, &len)) {
        app->port = ntohs(address.sin_port);
        return OK;
    }
    error = errno;
    close(app->fd);
    errno = error;
    return E_IO;
}

static int run(void *subject)
{
    return demo_app_serve(subject);
}

enum status demo_app_start(struct demo_app *app)
{
    enum status status = demo_process_start(
        &(struct demo_process){.name = "sluice-demo-app", .run = run, .subject = app});
    int error = errno;

    close(app->fd);
    app->fd = -1;
    errno = error;
    return status;
}
