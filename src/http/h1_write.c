/* SPDX-License-Identifier: Apache-2.0
 *
 * Heads and trailers into an out queue, in one pass. Fields that still stand in memory as the
 * parser checked them are copied by the run, others piece by piece after a look at their bytes: no
 * filter can split a message. What frames the message is written from the frame alone, never from
 * the fields.
 */
#include <assert.h>
#include <string.h>

#include "base/outq.h"
#include "http/h1_impl.h"

#define BIT(id) (UINT64_C(1) << HDR_##id)

static const uint64_t framing = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                                BIT(TRANSFER_ENCODING) | BIT(CONTENT_LENGTH) | BIT(TE);

/* Writes into the room that a queue reserved; takes more when it is used up. */
struct pen {
    struct outq *out;
    char *start, *at, *end;
    bool is_broken;
};

static void commit(struct pen *pen)
{
    if (pen->at > pen->start)
        outq_commit(pen->out, (size_t)(pen->at - pen->start));
    pen->start = pen->at = pen->end = NULL;
}

static void put_slow(struct pen *pen, const char *p, size_t n)
{
    commit(pen);
    if (pen->is_broken)
        return;
    if (n > OUTQ_RESERVE) {
        pen->is_broken = outq_put(pen->out, (struct str){p, n}) != OK;
        return;
    }
    pen->start = pen->at = outq_reserve(pen->out, OUTQ_RESERVE);
    pen->is_broken = !pen->start;
    if (pen->is_broken)
        return;
    pen->end = pen->start + OUTQ_RESERVE;
    memcpy(pen->at, p, n);
    pen->at += n;
}

static inline void put(struct pen *pen, const char *p, size_t n)
{
    if (n > (size_t)(pen->end - pen->at)) {
        put_slow(pen, p, n);
        return;
    }
    if (!n)
        return;
    memcpy(pen->at, p, n);
    pen->at += n;
}

static inline void put_str(struct pen *pen, struct str s)
{
    put(pen, s.p, s.len);
}

#define PUT_LIT(pen, lit) put(pen, lit, sizeof(lit) - 1)

static enum status finish(struct pen *pen)
{
    commit(pen);
    return pen->is_broken ? E_NOMEM : OK;
}

static void put_number(struct pen *pen, uint64_t n)
{
    char digits[20];
    char *p = digits + sizeof(digits);

    do {
        *--p = (char)('0' + n % 10);
        n /= 10;
    } while (n);
    put(pen, p, (size_t)(digits + sizeof(digits) - p));
}

/* Whether the bytes "name: value\r\n" stand around the field's pointers as they were parsed. */
static bool is_as_read(const struct header *header)
{
    const char *name_end = header->name + header->name_len;
    const char *value_end = header->value + header->value_len;

    return (header->reserved & H1_AS_READ) && header->value == name_end + 2 && name_end[0] == ':' &&
           name_end[1] == ' ' && value_end[0] == '\r' && value_end[1] == '\n';
}

static void put_field(struct pen *pen, const struct header *header)
{
    const char *value_end = header->value + header->value_len;

    if (!h1_is_token((struct str){header->name, header->name_len}) ||
        (header->value_len && h1_value_end(header->value, value_end) != value_end))
        return;
    put(pen, header->name, header->name_len);
    PUT_LIT(pen, ": ");
    put(pen, header->value, header->value_len);
    PUT_LIT(pen, "\r\n");
}

static void put_fields(struct pen *pen, const struct head *head, uint64_t skipped)
{
    struct str run = {0};

    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];
        bool is_skipped = skipped >> header->id & 1;
        size_t line_len = (size_t)header->name_len + header->value_len + 4;

        if (!is_skipped && run.len && header->name == run.p + run.len && is_as_read(header)) {
            run.len += line_len;
            continue;
        }
        put_str(pen, run);
        run.len = 0;
        if (is_skipped)
            continue;
        if (is_as_read(header))
            run = (struct str){header->name, line_len};
        else
            put_field(pen, header);
    }
    put_str(pen, run);
}

static void put_framing(struct pen *pen, const struct h1_frame *frame)
{
    if (frame->length >= 0) {
        PUT_LIT(pen, "Content-Length: ");
        put_number(pen, (uint64_t)frame->length);
        PUT_LIT(pen, "\r\n");
    }
    if (frame->mode == H1_WRITE_CHUNKED)
        PUT_LIT(pen, "Transfer-Encoding: chunked\r\n");
    if (frame->is_upgrade && frame->is_close)
        PUT_LIT(pen, "Connection: upgrade, close\r\n");
    else if (frame->is_upgrade)
        PUT_LIT(pen, "Connection: upgrade\r\n");
    else if (frame->is_close)
        PUT_LIT(pen, "Connection: close\r\n");
    else if (frame->is_keep_alive)
        PUT_LIT(pen, "Connection: keep-alive\r\n");
}

static uint64_t skipped_fields(const struct h1_frame *frame)
{
    uint64_t skipped = framing;

    if (!frame->is_upgrade)
        skipped |= BIT(UPGRADE);
    if (frame->mode != H1_WRITE_CHUNKED)
        skipped |= BIT(TRAILER);
    return skipped;
}

static void put_status_line(struct pen *pen, const struct head *head)
{
    struct str phrase = head->phrase.len ? head->phrase : h1_phrase(head->status);
    char digits[3] = {(char)('0' + head->status / 100), (char)('0' + head->status / 10 % 10),
                      (char)('0' + head->status % 10)};

    if (head->status == 200 && phrase.len == 2 && !memcmp(phrase.p, "OK", 2)) {
        PUT_LIT(pen, "HTTP/1.1 200 OK\r\n");
        return;
    }
    PUT_LIT(pen, "HTTP/1.1 "); // RFC 9110 6.2: our version, whatever the client's
    put(pen, digits, sizeof(digits));
    PUT_LIT(pen, " ");
    if (phrase.len && h1_value_end(phrase.p, phrase.p + phrase.len) == phrase.p + phrase.len)
        put_str(pen, phrase);
    PUT_LIT(pen, "\r\n");
}

enum status h1_write_response(struct outq *out, const struct head *head, struct h1_frame frame)
{
    struct pen pen = {.out = out};

    assert(head->status >= 100 && head->status <= 599);
    put_status_line(&pen, head);
    put_fields(&pen, head, skipped_fields(&frame));
    put_framing(&pen, &frame);
    PUT_LIT(&pen, "\r\n");
    return finish(&pen);
}

static bool is_clean(struct str s)
{
    for (size_t i = 0; i < s.len; i++)
        if (!h1_is(s.p[i], H1_TARGET))
            return false;
    return true;
}

bool h1_can_write(const struct head *head)
{
    return h1_is_token(head->method_name) && is_clean(head->path) && is_clean(head->query) &&
           is_clean(head->authority);
}

static void put_target(struct pen *pen, const struct head *head)
{
    if (head->method == METHOD_CONNECT) { // RFC 9112 3.2.3
        put_str(pen, head->authority);
        return;
    }
    put_str(pen, head->path);
    if (head->query.p) {
        PUT_LIT(pen, "?");
        put_str(pen, head->query);
    }
}

enum status h1_write_request(struct outq *out, const struct head *head, struct h1_frame frame)
{
    struct pen pen = {.out = out};

    put_str(&pen, head->method_name);
    PUT_LIT(&pen, " ");
    put_target(&pen, head);
    PUT_LIT(&pen, " HTTP/1.1\r\nHost: ");
    put_str(&pen, head->authority);
    PUT_LIT(&pen, "\r\n");
    put_fields(&pen, head, skipped_fields(&frame) | BIT(HOST) | BIT(EXPECT));
    if (head->expects_continue)
        PUT_LIT(&pen, "Expect: 100-continue\r\n");
    put_framing(&pen, &frame);
    PUT_LIT(&pen, "\r\n");
    return finish(&pen);
}

enum status h1_write_trailers(struct outq *out, const struct head *trailers)
{
    struct pen pen = {.out = out};

    PUT_LIT(&pen, "0\r\n"); // RFC 9112 7.1.2
    put_fields(&pen, trailers, framing | BIT(UPGRADE) | BIT(TRAILER) | BIT(HOST));
    PUT_LIT(&pen, "\r\n");
    return finish(&pen);
}
