/* SPDX-License-Identifier: Apache-2.0
 *
 * The sending half of the HTTP/2 codec. Heads are handed to nghttp2 by reference where they will be
 * out before their memory goes; body bytes go straight into `out` while windows and `out` have
 * room, and else wait as copies in their stream.
 */
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "base/text.h"
#include "http/grpc.h"
#include "http/h2_impl.h"

#define BIT(id) (UINT64_C(1) << HDR_##id)

enum { OWN_FIELDS_MAX = 7 }; /* pseudo-header fields, te, content-length */

/* What HTTP/2 must not carry (RFC 9113 8.2.2), and what is written from the head itself. */
static const uint64_t framing = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                                BIT(TRANSFER_ENCODING) | BIT(CONTENT_LENGTH) | BIT(TE) |
                                BIT(UPGRADE) | BIT(HOST);

struct outq *h2_out(struct h2 *h2)
{
    if (!h2->wire.out)
        h2->wire.out = outq_take(h2->wire.outqs);
    return h2->wire.out;
}

size_t h2_waiting(const struct h2_half *half)
{
    return outq_pending(half->queue) + half->now.len;
}

/* Trailers that wait for the end of the body. */
struct h2_trailers {
    size_t count;
    nghttp2_nv fields[];
};

/* --- fields */

/* Fields being put together for nghttp2. */
struct list {
    nghttp2_nv *fields;
    size_t count, capacity;
    struct arena *arena; /* for what is not there in lower case */
    uint8_t flags;
    bool is_broken;
};

static void add(struct list *list, struct str name, struct str value, uint8_t flags)
{
    if (list->count == list->capacity) {
        list->is_broken = true;
        return;
    }
    list->fields[list->count++] = (nghttp2_nv){.name = (uint8_t *)(uintptr_t)name.p,
                                               .value = (uint8_t *)(uintptr_t)value.p,
                                               .namelen = name.len,
                                               .valuelen = value.len,
                                               .flags = (uint8_t)(list->flags | flags)};
}

static bool is_lower(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.p[i] >= 'A' && s.p[i] <= 'Z')
            return false;
    return true;
}

/* RFC 9113 8.2.1: names are in lower case. */
static struct str lower(struct list *list, const struct header *header)
{
    struct str name = {header->name, header->name_len};
    char *copy;

    if (header->id != HDR_OTHER)
        return (struct str){head_id_name(header->id), name.len};
    if (is_lower(name))
        return name;
    copy = arena_text(list->arena, name.len);
    if (!copy) {
        list->is_broken = true;
        return name;
    }
    for (size_t i = 0; i < name.len; i++)
        copy[i] = name.p[i] >= 'A' && name.p[i] <= 'Z' ? (char)(name.p[i] | 0x20) : name.p[i];
    return (struct str){copy, name.len};
}

/* No filter can smuggle what no parser would let by. */
static bool is_sound(const struct header *header)
{
    const char *end = header->value + header->value_len;

    if (header->reserved & H1_AS_READ)
        return true;
    if (header->id == HDR_OTHER && !h1_is_token((struct str){header->name, header->name_len}))
        return false;
    return !header->value_len || h1_value_end(header->value, end) == end;
}

static void add_fields(struct list *list, const struct head *head, uint64_t skipped)
{
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];
        struct str value = {header->value, header->value_len};

        if (skipped >> header->id & 1 || !is_sound(header))
            continue;
        // An id is new each time: it would only push others out of the compression table.
        add(list, lower(list, header), value,
            header->id == HDR_X_REQUEST_ID ? NGHTTP2_NV_FLAG_NO_INDEX : 0);
    }
}

static struct str decimal(struct list *list, uint64_t n)
{
    char digits[20], *p = digits + sizeof(digits), *copy;
    size_t len;

    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    len = (size_t)(digits + sizeof(digits) - p);
    copy = arena_text(list->arena, len);
    if (!copy) {
        list->is_broken = true;
        return STR("");
    }
    memcpy(copy, p, len);
    return (struct str){copy, len};
}

static void add_length(struct list *list, const struct head *head)
{
    if (head->content_length >= 0 && head->status != 204)
        add(list, STR("content-length"), decimal(list, (uint64_t)head->content_length), 0);
}

/* By reference when it will be out before its memory can go. */
static struct list begin_list(const struct h2 *h2, const struct stream *stream,
                              const struct head *head)
{
    struct list list = {.capacity = head->count + OWN_FIELDS_MAX, .arena = stream->arena};

    list.fields = arena_alloc(list.arena, list.capacity * sizeof(*list.fields));
    if (!list.fields)
        list.capacity = 0;
    if (!h2->is_busy)
        list.flags = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
    return list;
}

static void fill_response(struct list *list, const struct head *head)
{
    uint16_t status = head->status == 101 ? 200 : head->status;

    add(list, STR(":status"), status == 200 ? STR("200") : decimal(list, status), 0);
    add_fields(list, head, framing);
    if (head->status != 101)
        add_length(list, head);
}

static void fill_request(struct list *list, const struct h2_half *half, const struct head *head)
{
    struct str target = head->path;

    if (head->query.p) {
        char *text = arena_text(list->arena, head->path.len + 1 + head->query.len), *at = text;

        if (!text) {
            list->is_broken = true;
            return;
        }
        at = text_put(at, head->path);
        *at++ = '?';
        at = text_put(at, head->query);
        target = (struct str){text, (size_t)(at - text)};
    }
    add(list, STR(":method"), half->wants_tunnel ? STR("CONNECT") : head->method_name, 0);
    add(list, STR(":scheme"), head->scheme.p ? head->scheme : STR("http"), 0);
    add(list, STR(":authority"), head->authority, 0);
    add(list, STR(":path"), target, 0);
    if (half->wants_tunnel)
        add(list, STR(":protocol"), head_value(head, HDR_UPGRADE), 0);
    add_fields(list, head, framing);
    // gRPC's servers want to see that trailers will pass.
    if (grpc_read_type(head_value(head, HDR_CONTENT_TYPE), NULL))
        add(list, STR("te"), STR("trailers"), 0);
    add_length(list, head);
}

/* --- bodies on their way to nghttp2 */

static int end_body(struct h2_half *half, nghttp2_session *session, uint32_t *flags)
{
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!half->trailers)
        return 0;
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    return nghttp2_submit_trailer(session, half->id, half->trailers->fields, half->trailers->count);
}

/* When our side is out and whoever had the stream is gone, the rest of the other side's is not
 * wanted (RFC 9113 8.1). Not before: nghttp2 sends nothing of a stream that is to be reset. */
int h2_on_sent(nghttp2_session *session, const nghttp2_frame *frame, void *owner)
{
    bool has_end = frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA;
    struct h2 *h2 = owner;
    struct h2_half *half;

    if (!has_end || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) || h2->is_dead)
        return 0;
    half = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!half)
        return 0;
    half->is_sent = true;
    if (half->stream || half->is_remote_done)
        return 0;
    return nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, half->id,
                                     h2->wire.role == ROLE_SERVER ? NGHTTP2_NO_ERROR
                                                                  : NGHTTP2_CANCEL);
}

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *buf, size_t length,
                       uint32_t *flags, nghttp2_data_source *source, void *owner)
{
    struct h2_half *half = source->ptr;
    struct h2 *h2 = owner;
    size_t n = h2_waiting(half);

    (void)id;
    (void)buf;
    if (n && outq_pending(h2->wire.out) >= H2_OUT_MAX)
        return NGHTTP2_ERR_PAUSE;
    if (!n && !half->is_last_given) {
        half->is_deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (n > length)
        n = length;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (n == h2_waiting(half) && half->is_last_given && end_body(half, session, flags))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    return (ssize_t)n;
}

/* Moves bytes of the queue into `out`; both are ours. */
static enum status move(struct h2 *h2, struct h2_half *half, size_t n)
{
    while (n) {
        struct iovec vector;
        size_t len;

        outq_vectors(half->queue, &vector, 1);
        len = vector.iov_len < n ? vector.iov_len : n;
        if (outq_put(h2->wire.out, (struct str){vector.iov_base, len}))
            return E_NOMEM;
        outq_sent(half->queue, len);
        h2->wire.queued -= (uint32_t)len;
        n -= len;
    }
    if (!outq_pending(half->queue))
        outq_give(&half->queue);
    return OK;
}

static enum status put_body(struct h2 *h2, struct h2_half *half, size_t length)
{
    size_t queued = outq_pending(half->queue), from_queue = length < queued ? length : queued;
    struct str rest = {half->now.p, length - from_queue};

    if (from_queue && move(h2, half, from_queue))
        return E_NOMEM;
    if (!rest.len)
        return OK;
    half->now.p += rest.len;
    half->now.len -= rest.len;
    return outq_ref(h2->wire.out, rest);
}

int h2_on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *head,
                    size_t length, nghttp2_data_source *source, void *owner)
{
    struct h2 *h2 = owner;
    struct h2_half *half = source->ptr;
    struct outq *out = h2_out(h2);

    (void)session;
    (void)frame;
    if (!out || outq_put(out, (struct str){(const char *)head, 9}))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    h2->is_torn = true;
    if (put_body(h2, half, length))
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    h2->is_torn = false;
    half->out_bytes += length;
    if (half->is_queue_high && h2_waiting(half) < WIRE_LOW_WATER)
        h2->has_waiting_drain = true;
    if (length)
        h2_expect_updates(h2);
    return 0;
}

/* --- draining */

void h2_drain(struct h2 *h2)
{
    const uint8_t *bytes;
    ssize_t n;

    if (h2->wants_goaway)
        nghttp2_submit_goaway(h2->session, NGHTTP2_FLAG_NONE,
                              nghttp2_session_get_last_proc_stream_id(h2->session),
                              NGHTTP2_NO_ERROR, NULL, 0);
    h2->wants_goaway = false;
    h2->is_busy = true;
    while ((n = nghttp2_session_mem_send(h2->session, &bytes)) > 0) {
        struct outq *out = h2_out(h2);

        if (!out || outq_put(out, (struct str){(const char *)bytes, (size_t)n})) {
            n = NGHTTP2_ERR_NOMEM;
            break;
        }
    }
    h2_leave(h2);
    if (n < 0 && !h2->is_closed)
        h2_die(h2, NGHTTP2_INTERNAL_ERROR, REASON_MEMORY_LIMIT);
}

/* --- codec functions */

static nghttp2_data_provider provider(struct h2_half *half)
{
    nghttp2_data_provider body = {.source.ptr = half, .read_callback = on_read};

    half->has_provider = true;
    return body;
}

static enum status submit_response(struct h2 *h2, struct h2_half *half, const struct list *list,
                                   bool last)
{
    nghttp2_data_provider body = provider(half);

    return nghttp2_submit_response(h2->session, half->id, list->fields, list->count,
                                   last ? NULL : &body)
               ? E_NOMEM
               : OK;
}

static enum status submit_request(struct h2 *h2, struct h2_half *half, const struct list *list,
                                  bool last)
{
    nghttp2_data_provider body = provider(half);
    int32_t id = nghttp2_submit_request(h2->session, NULL, list->fields, list->count,
                                        last ? NULL : &body, half);

    if (id < 0)
        return E_NOMEM;
    half->id = id;
    half->stream->id = (uint32_t)id;
    return OK;
}

/* An upgrade towards the target is an extended CONNECT (RFC 8441), where it takes those. */
static enum status prepare_tunnel(struct h2 *h2, struct h2_half *half, const struct head *head)
{
    struct str key = head_value_name(head, STR("Sec-WebSocket-Key"));

    if (!nghttp2_session_get_remote_settings(h2->session, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL))
        return E_DENIED;
    half->wants_tunnel = true;
    if (key.p && !websocket_accept(key, half->accept))
        return E_INVALID;
    return OK;
}

static enum status queue_head(struct h2 *h2, struct h2_half *half, const struct head *head,
                              bool last)
{
    struct list list = begin_list(h2, half->stream, head);

    if (h2->wire.role == ROLE_SERVER)
        fill_response(&list, head);
    else
        fill_request(&list, half, head);
    if (list.is_broken)
        return E_NOMEM;
    if (h2->wire.role == ROLE_SERVER)
        return submit_response(h2, half, &list, last);
    half->stream->is_head = head->method == METHOD_HEAD;
    return submit_request(h2, half, &list, last);
}

/* The answer to an extended CONNECT must be the one that its key asks for, where there is one. */
static bool is_accepted(const struct h2_half *half, const struct head *head)
{
    struct str accept = head_value_name(head, STR("Sec-WebSocket-Accept"));

    return !half->accept[0] ||
           (accept.len == strlen(half->accept) && !memcmp(accept.p, half->accept, accept.len));
}

static enum status prepare_upgrade(struct h2 *h2, struct h2_half *half, const struct head *head)
{
    if (h2->wire.role == ROLE_CLIENT)
        return head->is_upgrade ? prepare_tunnel(h2, half, head) : OK;
    return head->status == 101 && !is_accepted(half, head) ? E_INVALID : OK;
}

/* The stream stays open behind this head, whatever its sender says of a body. */
static bool opens_tunnel(const struct h2 *h2, const struct h2_half *half, const struct head *head)
{
    return half->wants_tunnel && (h2->wire.role == ROLE_CLIENT || head->status == 101);
}

static bool has_no_body(const struct stream *stream, uint16_t status)
{
    return stream->is_head || status == 204 || status == 205 || status == 304; // RFC 9110 6.4.1
}

enum status h2_head(struct stream *stream, const struct head *head, bool last)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2 = half ? h2_of(stream->wire) : NULL;
    enum status status;

    if (!half || h2->is_dead)
        return E_CLOSED;
    if (half->has_provider)
        return E_INVALID;
    status = prepare_upgrade(h2, half, head);
    last = last && !opens_tunnel(h2, half, head);
    if (!status)
        status = queue_head(h2, half, head, last);
    if (status)
        return status;
    half->is_last_given = stream->sent = last;
    half->is_bodiless = h2->wire.role == ROLE_SERVER && has_no_body(stream, head->status);
    return OK;
}

enum status h2_interim(struct stream *stream, const struct head *head)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2 = half ? h2_of(stream->wire) : NULL;
    struct list list;

    if (!half || h2->is_dead)
        return E_CLOSED;
    if (h2->wire.role != ROLE_SERVER || half->has_provider)
        return E_INVALID;
    list = begin_list(h2, stream, head);
    add(&list, STR(":status"), decimal(&list, head->status), 0);
    add_fields(&list, head, framing);
    if (list.is_broken || nghttp2_submit_headers(h2->session, NGHTTP2_FLAG_NONE, half->id, NULL,
                                                 list.fields, list.count, NULL))
        return E_NOMEM;
    if (!h2->is_busy)
        h2_drain(h2);
    return OK;
}

/* Lets nghttp2 go on with the stream, and sends what may be sent now. */
static enum status go_on(struct h2 *h2, struct h2_half *half)
{
    if (half->is_deferred) {
        half->is_deferred = false;
        if (nghttp2_session_resume_data(h2->session, half->id))
            return E_NOMEM;
    }
    if (!h2->is_busy)
        h2_drain(h2);
    return h2->is_dead ? E_CLOSED : OK;
}

/* What could not go at once waits as a copy. */
static enum status keep_rest(struct h2 *h2, struct h2_half *half)
{
    struct str rest = half->now;

    half->now = STR_NONE;
    if (!rest.len)
        return OK;
    if (!half->queue)
        half->queue = outq_take(h2->wire.outqs);
    if (!half->queue || outq_put(half->queue, rest))
        return E_NOMEM;
    h2->wire.queued += (uint32_t)rest.len;
    half->is_queue_high |= outq_pending(half->queue) >= WIRE_LOW_WATER;
    return OK;
}

enum status h2_body(struct stream *stream, struct str bytes, bool last)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2 = half ? h2_of(stream->wire) : NULL;
    enum status status;

    if (!half || h2->is_dead)
        return E_CLOSED;
    if (!half->has_provider || half->is_last_given)
        return half->is_last_given && !bytes.len ? OK : E_INVALID;
    if (half->is_bodiless)
        bytes.len = 0;
    half->now = bytes;
    half->is_last_given = stream->sent = last;
    if (h2->is_busy) {
        status = keep_rest(h2, half);
        return status ? status : go_on(h2, half);
    }
    h2->held = half;
    status = go_on(h2, half);
    if (h2->held != half)
        return E_CLOSED;
    h2->held = NULL;
    if (status)
        half->now = STR_NONE;
    return status ? status : keep_rest(h2, half);
}

/* A copy of the fields that lives until the body is out. */
static struct h2_trailers *copy_trailers(struct h2 *h2, const struct list *list)
{
    size_t bytes = 0, size = list->count * sizeof(nghttp2_nv);
    struct h2_trailers *copy;
    char *at;

    for (size_t i = 0; i < list->count; i++)
        bytes += list->fields[i].namelen + list->fields[i].valuelen;
    copy = heap_take(h2->wire.heap, sizeof(*copy) + size + bytes);
    if (!copy)
        return NULL;
    copy->count = list->count;
    at = (char *)copy->fields + size;
    for (size_t i = 0; i < list->count; i++) {
        nghttp2_nv field = list->fields[i];

        field.flags = NGHTTP2_NV_FLAG_NONE;
        at = memcpy(at, field.name, field.namelen);
        field.name = (uint8_t *)at;
        at += field.namelen;
        at = memcpy(at, field.value, field.valuelen);
        field.value = (uint8_t *)at;
        at += field.valuelen;
        copy->fields[i] = field;
    }
    return copy;
}

enum status h2_trailers(struct stream *stream, const struct head *trailers)
{
    struct h2_half *half = h2_half_of(stream);
    struct h2 *h2 = half ? h2_of(stream->wire) : NULL;
    struct list list;

    if (!half || h2->is_dead)
        return E_CLOSED;
    if (!half->has_provider || half->is_last_given)
        return E_INVALID;
    list = begin_list(h2, stream, trailers);
    add_fields(&list, trailers, framing | BIT(TRAILER));
    if (list.is_broken)
        return E_NOMEM;
    if (!list.count)
        return h2_body(stream, STR(""), true);
    half->trailers = copy_trailers(h2, &list);
    if (!half->trailers)
        return E_NOMEM;
    half->is_last_given = stream->sent = true;
    return go_on(h2, half);
}
