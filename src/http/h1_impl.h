/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the HTTP/1.1 codec share: character classes, the parser's and the wire's state.
 * Private to src/http; method_parse and h1_host_is_valid serve the other HTTP version too.
 */
#ifndef HTTP_H1_IMPL_H
#define HTTP_H1_IMPL_H

#include "http/h1.h"

struct outq;
/* Character classes (RFC 9110 section 5.6.2, RFC 3986). */
enum {
    H1_TOKEN = 1,
    H1_VALUE = 2,  /* in a field value: visible, SP, HTAB, obs-text */
    H1_TARGET = 4, /* in a request target; % is looked at again */
    H1_HOST = 8,   /* in a reg-name; neither the comma nor % */
    H1_DIGIT = 16,
    H1_HEX = 32,
};

extern const uint8_t h1_class[256];

/* Is c in any of these classes? */
static inline bool h1_is(char c, unsigned class)
{
    return h1_class[(unsigned char)c] & class;
}

/* Bits of header.reserved. */
enum {
    H1_AS_READ = 1, /* stands in memory as "name: value\r\n", checked by the parser */
    H1_DOOMED = 2,  /* about to be removed */
};
enum { H1_METHOD_MAX = 32, H1_OPTIONS_MAX = 64, H1_INTERIM_MAX = 16 };
/* First byte at or after p that no field value may have; `end` when there is none. */
const char *h1_value_end(const char *p, const char *end);
bool h1_is_token(struct str s);
bool h1_equal_fold(struct str a, struct str b);
/* Next element of a comma list without its white space; empty ones are skipped. False at the end.
 */
bool h1_list_next(struct str *list, struct str *item);
/* Digits only, at least one, at most INT64_MAX; -1 otherwise. */
int64_t h1_decimal(struct str s);

/* METHOD_OTHER for what is not registered. */
enum method method_parse(struct str text);
/* The usual phrase of a status; empty for unknown ones. */
struct str h1_phrase(uint16_t status);

/* One parse of a head. */
struct h1_parse {
    struct head *head;
    struct arena *arena;
    const struct wire_limits *limits;
    const char *p, *end; /* what is left; end[-1] is LF */
    bool is_request, is_trailer;
    bool has_close, has_keep_alive, has_upgrade; /* options of Connection */
    unsigned options;
};

/* Fills form, path, query and, where the target has it, authority. */
enum reason h1_target_parse(struct head *head, struct str target);
/* uri-host [":" port] (RFC 9110 section 7.2), not empty. */
bool h1_host_is_valid(struct str host);
/* Takes note of a field that means something to the codec. */
enum reason h1_field_note(struct h1_parse *parse, const struct header *header);
/* What the fields together must fulfil. */
enum reason h1_field_check(struct h1_parse *parse);
/* A trailer section with its closing empty line; fields that must not stand there are left out. */
enum reason h1_parse_trailers(struct str block, const struct wire_limits *limits,
                              struct arena *arena, struct head *head);
/* Why the incomplete request head `in` is refused already; REASON_NONE: wait for more. */
enum reason h1_partial_check(struct str in, const struct wire_limits *limits);

enum h1_read {
    H1_READ_HEAD,
    H1_READ_LENGTH,
    H1_READ_CHUNKED,
    H1_READ_TRAILERS,
    H1_READ_TO_CLOSE,
    H1_READ_TUNNEL,
    H1_READ_DONE,    /* the message is in, its stream still attached */
    H1_READ_HOLD,    /* after a 101, before codec->tunnel: bytes wait */
    H1_READ_SWALLOW, /* nothing means anything any more */
    H1_READ_CLOSED,
    H1_READ_COUNT
};

enum h1_write {
    H1_WRITE_HEAD,
    H1_WRITE_NONE, /* no body may follow the head */
    H1_WRITE_LENGTH,
    H1_WRITE_CHUNKED,
    H1_WRITE_TO_CLOSE,
    H1_WRITE_TUNNEL,
    H1_WRITE_DONE,
};

struct h1 {
    struct wire wire;
    struct stream *stream; /* borrowed; NULL: none attached */
    struct chunked chunked;
    size_t scanned;   /* of an incomplete head or trailer section */
    uint64_t in_left; /* of a body with a length */
    uint64_t out_left;
    uint32_t next_id;
    uint8_t read;     /* enum h1_read */
    uint8_t write;    /* enum h1_write */
    uint8_t minor;    /* of the request that came in */
    uint8_t interims; /* seen for this request */
    bool is_closing;  /* the connection ends with this message */
    bool is_leaving;  /* bye was called */
    bool is_high;     /* the backlog was above the low-water mark */
    bool has_skipped; /* the one empty line before a request */
    bool has_answer;  /* a byte of the answer came */
    bool asked_upgrade, asked_connect;
};

/* How a head that goes out is framed. */
struct h1_frame {
    int64_t length; /* Content-Length; -1: none */
    enum h1_write mode;
    bool is_close, is_keep_alive, is_upgrade;
};

/* Whether method, target and authority have no byte that could split the request line. */
bool h1_can_write(const struct head *head);
enum status h1_write_request(struct outq *out, const struct head *head, struct h1_frame frame);
enum status h1_write_response(struct outq *out, const struct head *head, struct h1_frame frame);
enum status h1_write_trailers(struct outq *out, const struct head *trailers);

/* The codec's own functions that live outside h1.c. */
void h1_refuse(struct wire *wire, enum reason why);
enum status h1_feed(struct wire *wire, struct str in, size_t *used);
enum status h1_head(struct stream *stream, const struct head *head, bool last);
enum status h1_interim(struct stream *stream, const struct head *head);
enum status h1_body(struct stream *stream, struct str bytes, bool last);
enum status h1_trailers(struct stream *stream, const struct head *trailers);
void h1_detach(struct stream *stream);

/* Ties a stream to the wire. */
void h1_attach(struct h1 *h1, struct stream *stream);
/* Lets go of the stream, ends the wire, and tells the sink. */
void h1_reset(struct h1 *h1, enum reason why);
bool h1_put_bare_503(struct h1 *h1); /* needs next to no memory; false: not even that */
/* wire->out, taken when needed; NULL past the budget. */
struct outq *h1_out(struct h1 *h1);

#endif
