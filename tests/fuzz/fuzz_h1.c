/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer driver of the HTTP/1.1 codec. The first byte picks the role, the second where the input
 * is split. Checks: no crash, nothing used that was not fed, the same events whole and split, and
 * that llhttp (strict) accepts each request head that we accept and frames it alike.
 */
#include <llhttp/llhttp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/outq.h"
#include "http/h1.h"

/* One run over the input. */
struct run {
    struct wire *wire;
    struct slab outqs;
    struct arena arena;
    struct stream stream;
    unsigned char actions; /* what the sink does besides reading */
    uint64_t hash;         /* of all events; bodies count by their bytes alone */
};

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static void mix(struct run *run, const void *bytes, size_t n)
{
    const unsigned char *p = bytes;

    for (size_t i = 0; i < n; i++)
        run->hash = (run->hash ^ p[i]) * UINT64_C(0x100000001b3);
}

static void mix_head(struct run *run, const struct head *head)
{
    for (unsigned i = 0; head && i < head->count; i++) {
        mix(run, head->headers[i].name, head->headers[i].name_len);
        mix(run, head->headers[i].value, head->headers[i].value_len);
    }
}

static void answer(struct run *run)
{
    struct head head = {.status = 200, .content_length = -1};

    if (run->wire->role != ROLE_SERVER || !run->stream.wire)
        return;
    if (h1_codec.head(&run->stream, &head, false) == OK)
        (void)(h1_codec.body(&run->stream, STR("hello"), true) == OK);
    h1_codec.detach(&run->stream);
    arena_reset(&run->arena);
}

static struct stream *on_open(void *owner)
{
    struct run *run = owner;

    require(!run->stream.wire, "one stream at a time");
    arena_reset(&run->arena);
    return &run->stream;
}

static void on_head(struct stream *stream, struct head *head, bool last)
{
    struct run *run = stream->owner;

    mix(run, last ? "H." : "H;", 2);
    mix_head(run, head);
    if (head->is_upgrade && (run->actions & 1))
        h1_codec.tunnel(stream);
    if (last)
        answer(run);
}

static void on_interim(struct stream *stream, struct head *head)
{
    mix(stream->owner, "I", 1);
    mix_head(stream->owner, head);
}

static void on_body(struct stream *stream, struct str bytes, bool last)
{
    struct run *run = stream->owner;

    mix(run, bytes.p, bytes.len);
    h1_codec.credit(stream, bytes.len);
    if (!last)
        return;
    mix(run, "L", 1);
    answer(run);
}

static void on_trailers(struct stream *stream, struct head *trailers)
{
    mix(stream->owner, "T", 1);
    mix_head(stream->owner, trailers);
    answer(stream->owner);
}

static void on_refuse(struct stream *stream, struct head *head, enum reason why)
{
    struct head reply = {.status = reason_info(why)->status, .content_length = 0};

    (void)head;
    mix(stream->owner, "R", 1);
    if (h1_codec.head(stream, &reply, true) == OK)
        require(stream->sent, "a refusal is whole");
    h1_codec.detach(stream);
}

static void on_reset(struct stream *stream, enum reason why)
{
    (void)why;
    require(!stream->wire, "let go of before on_reset");
    mix(stream->owner, "X", 1);
}

static void on_drain(struct stream *stream)
{
    (void)stream;
}

static const struct sink sink = {on_open,     on_head,   on_interim, on_body,
                                 on_trailers, on_refuse, on_reset,   on_drain};
static const struct wire_limits limits = {.header_bytes = 2048, .uri_bytes = 512, .headers = 32};

static void ask(struct run *run, const char *method)
{
    struct head head = {.content_length = -1, .is_upgrade = run->actions & 2};

    head.method_name = (struct str){method, strlen(method)};
    head.method = *method == 'H' ? METHOD_HEAD : METHOD_GET;
    head.path = STR("/");
    head.authority = STR("a");
    require(h1_codec.begin(run->wire, &run->stream) == OK, "a new wire takes a stream");
    require(h1_codec.head(&run->stream, &head, true) == OK, "and a head");
}

/* Offers bytes from `at` up to `end`, as a connection does; how many were used in all. */
static size_t offer(struct run *run, struct str in, size_t at, size_t end)
{
    size_t used = 0;
    char *copy = malloc(end - at ? end - at : 1);

    require(copy != NULL, "memory");
    memcpy(copy, in.p + at, end - at);
    if (h1_codec.feed(run->wire, (struct str){copy, end - at}, &used) != OK)
        used = end - at;
    require(used <= end - at, "uses only what it was given");
    free(copy);
    outq_give(&run->wire->out);
    h1_codec.wrote(run->wire);
    return at + used;
}

static uint64_t play(struct str in, enum role role, unsigned char actions, size_t split)
{
    struct run run = {.hash = UINT64_C(0xcbf29ce484222325), .actions = actions};
    size_t at;

    run.wire = calloc(1, h1_codec.wire_size);
    require(run.wire != NULL, "memory");
    outq_slab_init(&run.outqs, NULL);
    arena_init(&run.arena, NULL, 1 << 20);
    run.stream = (struct stream){.sink = &sink, .arena = &run.arena, .owner = &run};
    run.wire->sink = &sink;
    run.wire->owner = &run;
    run.wire->outqs = &run.outqs;
    run.wire->limits = &limits;
    require(h1_codec.open(run.wire, role) == OK, "opens");
    if (role == ROLE_CLIENT)
        ask(&run, actions & 4 ? "HEAD" : "GET");
    at = offer(&run, in, 0, split < in.len ? split : in.len);
    require(split - at <= limits.header_bytes || at >= split || run.stream.wire,
            "what waits is bounded");
    offer(&run, in, at, in.len);
    h1_codec.eof(run.wire);
    h1_codec.close(run.wire, REASON_DRAINING);
    require(run.outqs.in_use == 0, "all queues are given back");
    arena_reset(&run.arena);
    slab_fini(&run.outqs);
    free(run.wire);
    return run.hash;
}

static int on_complete(llhttp_t *parser)
{
    *(bool *)parser->data = true;
    return HPE_PAUSED;
}

/* The methods of llhttp; it refuses others that we forward. */
static bool is_known_to_both(const struct head *head)
{
    static const char *const names[] = {
#define NAME(number, name, string) #string,
        HTTP_METHOD_MAP(NAME)
#undef NAME
    };

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strlen(names[i]) == head->method_name.len &&
            !memcmp(names[i], head->method_name.p, head->method_name.len))
            return true;
    return false;
}

static void check_head(struct str block, const struct head *head)
{
    llhttp_settings_t settings;
    llhttp_t parser;
    bool is_whole = false;
    int64_t length = head->content_length;

    if (!is_known_to_both(head))
        return;
    llhttp_settings_init(&settings);
    settings.on_headers_complete = on_complete;
    llhttp_init(&parser, HTTP_REQUEST, &settings);
    parser.data = &is_whole;
    llhttp_execute(&parser, block.p, block.len);
    if (!is_whole)
        fprintf(stderr, "llhttp: %s\n", llhttp_get_error_reason(&parser));
    require(is_whole, "llhttp accepts what we accept");
    require(!!(parser.flags & F_CHUNKED) == head->chunked, "chunked for both");
    require(!!(parser.flags & F_CONTENT_LENGTH) == (length >= 0), "a length for both");
    require(length < 0 || parser.content_length == (uint64_t)length, "the same length");
}

/* llhttp takes a space after a length, but no tab, which is white space as well (RFC 9110 5.6.3).
 * What we accept has tabs nowhere but where a space may stand. */
static void blank_tabs(char *text, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (text[i] == '\t')
            text[i] = ' ';
}

static void compare(struct str in)
{
    struct arena arena;
    struct head head;
    size_t scanned = 0;
    char *copy;

    in.len = h1_head_length(in, &scanned);
    if (!in.len)
        return;
    arena_init(&arena, NULL, 0);
    copy = arena_text(&arena, in.len);
    require(copy != NULL, "memory");
    memcpy(copy, in.p, in.len);
    in.p = copy;
    if (h1_parse_request(in, &limits, &arena, &head) == REASON_NONE) {
        blank_tabs(copy, in.len);
        check_head(in, &head);
    }
    arena_reset(&arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str in = {(const char *)data + 2, size - 2};
    enum role role;
    uint64_t whole;

    if (size < 2)
        return 0;
    role = data[0] & 8 ? ROLE_CLIENT : ROLE_SERVER;
    whole = play(in, role, data[0], in.len);
    if (in.len < limits.header_bytes)
        require(play(in, role, data[0], data[1]) == whole, "a split changes nothing");
    compare(in);
    return 0;
}
