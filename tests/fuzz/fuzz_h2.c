/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer driver of the HTTP/2 codec in both roles. The first byte picks role and settings, the
 * next ones what sinks do at each event; then come records of four bytes and a payload: a frame, a
 * run of raw bytes, or an action of our own side (see play()). Checks: no crash, heads within their
 * limits and clean, nothing told of a stream that was let go of, all memory given back.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "base/heap.h"
#include "base/outq.h"
#include "http/websocket.h"
#include "sluice/codec.h"

enum { ACTIONS = 8, TALKS = 160, FIRST_RAW = 0x10, FIRST_ACTION = 0x20 };

struct talk {
    struct stream stream;
    struct arena arena;
    struct run *run;
    struct head *head;
    size_t owed;
    bool has_answered;
};

/* One run over the input. */
struct run {
    struct wire *wire;
    struct budget budget;
    struct slab outqs;
    struct heap heap;
    struct talk *talks[TALKS];
    const uint8_t *actions; /* ACTIONS bytes, used in turn */
    unsigned turn;
    bool is_closed;
};

static const struct wire_limits limits = {.header_bytes = 2048, .uri_bytes = 512, .headers = 32};
static char text[100 * 1024];

static void require(bool is_true, const char *what)
{
    if (is_true)
        return;
    fprintf(stderr, "broken: %s\n", what);
    abort();
}

static uint8_t next_action(struct run *run)
{
    return run->actions[run->turn++ % ACTIONS];
}

/* --- what is done with a stream */

static void drop(struct talk *talk)
{
    for (unsigned i = 0; i < TALKS; i++)
        if (talk->run->talks[i] == talk)
            talk->run->talks[i] = NULL;
    arena_reset(&talk->arena);
    free(talk);
}

static void answer(struct talk *talk, bool last)
{
    struct head head = {.status = last ? 204 : 200, .content_length = -1};

    if (!talk->has_answered)
        talk->has_answered = h2_codec.head(&talk->stream, &head, last) == OK;
}

static void say(struct talk *talk, size_t n, bool last)
{
    char *bytes = malloc(n ? n : 1);
    struct run *run = talk->run;

    require(bytes != NULL, "memory");
    memcpy(bytes, text, n);
    (void)(h2_codec.body(&talk->stream, (struct str){bytes, n}, last) == OK);
    if (run->wire->out && outq_own(run->wire->out))
        require(false, "there is memory");
    free(bytes);
}

static void end_with_trailers(struct talk *talk)
{
    struct head trailers;

    if (head_init(&trailers, &talk->arena, 1) ||
        head_add(&trailers, &talk->arena, STR("X-Sum"), STR("1")))
        return;
    (void)(h2_codec.trailers(&talk->stream, &trailers) == OK);
}

static void open_tunnel(struct talk *talk)
{
    struct head head = {.status = 101, .content_length = -1, .is_upgrade = true};
    char accept[WEBSOCKET_ACCEPT_SIZE];
    struct str key = talk->head ? head_value_name(talk->head, STR("sec-websocket-key")) : STR_NONE;

    if (!talk->head || !talk->head->is_upgrade)
        return;
    if (talk->run->wire->role == ROLE_SERVER) {
        if (!key.p || !websocket_accept(key, accept) || head_init(&head, &talk->arena, 1) ||
            head_add(&head, &talk->arena, STR("Sec-WebSocket-Accept"),
                     (struct str){accept, strlen(accept)}))
            return;
        head.status = 101;
        if (h2_codec.head(&talk->stream, &head, false))
            return;
        talk->has_answered = true;
        if (talk->run->wire->out && outq_own(talk->run->wire->out))
            require(false, "there is memory");
    }
    h2_codec.tunnel(&talk->stream);
}

static void let_go(struct talk *talk)
{
    h2_codec.detach(&talk->stream);
    require(!talk->stream.wire, "let go of");
    drop(talk);
}

static void break_off(struct talk *talk, enum reason why)
{
    h2_codec.reset(&talk->stream, why);
    drop(talk);
}

/* `talk` may be gone after it. */
static void act(struct talk *talk, uint8_t action)
{
    struct run *run = talk->run;

    if (action % 16 < 2)
        answer(talk, action % 2);
    else if (action % 16 < 6)
        say(talk, (size_t)(action >> 4) * (action % 2 ? 1 : 6000), action % 16 < 4);
    else if (action % 16 == 6)
        end_with_trailers(talk);
    else if (action % 16 == 7)
        open_tunnel(talk);
    else if (action % 16 == 8)
        break_off(talk, action & 16 ? REASON_INTERNAL_ERROR : REASON_CLIENT_GONE);
    else if (action % 16 == 9)
        let_go(talk);
    else if (action == 0xfa) {
        run->is_closed = true;
        h2_codec.close(run->wire, REASON_DRAINING);
    } else
        h2_codec.credit(&talk->stream, talk->owed);
}

/* --- the sink */

static struct talk *talk_of(struct stream *stream)
{
    struct talk *talk = CONTAINER_OF(stream, struct talk, stream);

    require(stream->wire != NULL, "only of streams that are held");
    return talk;
}

static struct talk *new_talk(struct run *run)
{
    struct talk *talk = calloc(1, sizeof(*talk));
    unsigned i = 0;

    while (i < TALKS && run->talks[i])
        i++;
    require(i < TALKS && talk, "streams are limited");
    run->talks[i] = talk;
    talk->run = run;
    arena_init(&talk->arena, NULL, 16 * 1024);
    return talk;
}

static void check_head(const struct head *head)
{
    size_t bytes = 0;

    require(head->count <= limits.headers, "number of fields");
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];

        bytes += header->name_len + header->value_len;
        require(header->name_len > 0, "a name");
        require(!memchr(header->name, ':', header->name_len), "no colon in names");
        for (unsigned n = 0; n < header->value_len; n++)
            require(!strchr("\r\n", header->value[n]), "clean values"); // NUL among them
    }
    require(bytes <= 2 * limits.header_bytes, "bytes of fields"); // a tunnel's own are added
}

static struct stream *on_open(void *owner);

static void on_head(struct stream *stream, struct head *head, bool last)
{
    struct talk *talk = talk_of(stream);

    check_head(head);
    require(!last || stream->received, "received");
    talk->head = head;
    if (talk->run->wire->role == ROLE_SERVER)
        require(head->path.len > 0 && head->path.len <= limits.uri_bytes, "a path");
    act(talk, next_action(talk->run));
}

static void on_interim(struct stream *stream, struct head *head)
{
    check_head(head);
    act(talk_of(stream), next_action(talk_of(stream)->run));
}

static void on_body(struct stream *stream, struct str bytes, bool last)
{
    struct talk *talk = talk_of(stream);
    uint8_t action = next_action(talk->run);
    unsigned sum = 0;

    for (size_t i = 0; i < bytes.len; i++) // all of it is there to be read
        sum += (unsigned char)bytes.p[i];
    require(sum <= 255 * bytes.len && (!last || stream->received), "bytes");
    if (action & 128)
        talk->owed += bytes.len;
    else
        h2_codec.credit(stream, bytes.len);
    act(talk, action);
}

static void on_trailers(struct stream *stream, struct head *trailers)
{
    check_head(trailers);
    require(stream->received, "received");
    act(talk_of(stream), next_action(talk_of(stream)->run));
}

static void on_refuse(struct stream *stream, struct head *head, enum reason why)
{
    struct talk *talk = talk_of(stream);
    struct head reply = {.status = reason_info(why)->status, .content_length = 0};

    (void)head;
    talk->has_answered = h2_codec.head(stream, &reply, true) == OK;
    act(talk, next_action(talk->run));
}

static void on_reset(struct stream *stream, enum reason why)
{
    struct talk *talk = CONTAINER_OF(stream, struct talk, stream);

    (void)why;
    require(!stream->wire, "let go of before on_reset");
    drop(talk);
}

static void on_drain(struct stream *stream)
{
    act(talk_of(stream), next_action(talk_of(stream)->run));
}

static const struct sink sink = {on_open,     on_head,   on_interim, on_body,
                                 on_trailers, on_refuse, on_reset,   on_drain};

static struct stream *open_talk(struct run *run)
{
    struct talk *talk = new_talk(run);

    talk->stream = (struct stream){.sink = &sink, .arena = &talk->arena, .owner = talk};
    return &talk->stream;
}

static struct stream *on_open(void *owner)
{
    struct run *run = owner;

    return next_action(run) == 0xfb ? NULL : open_talk(run);
}

/* --- the other end */

static void feed(struct run *run, const void *bytes, size_t len)
{
    char *copy = malloc(len ? len : 1);
    size_t used = 0;

    require(copy != NULL, "memory");
    memcpy(copy, bytes, len);
    (void)(h2_codec.feed(run->wire, (struct str){copy, len}, &used) == OK);
    require(used == len, "all is taken");
    free(copy);
}

static void feed_frame(struct run *run, const uint8_t *record, struct str payload)
{
    uint8_t frame[9 + 255] = {0, 0, (uint8_t)payload.len, record[0], record[1]};

    frame[8] = record[2];
    memcpy(frame + 9, payload.p, payload.len);
    feed(run, frame, 9 + payload.len);
}

static void flush(struct run *run)
{
    h2_codec.pull(run->wire);
    require(outq_pending(run->wire->out) < 1024 * 1024, "what waits is bounded");
    outq_give(&run->wire->out);
    h2_codec.wrote(run->wire);
}

static void ask(struct run *run, uint8_t how)
{
    static const char *const methods[] = {"GET", "HEAD", "POST"};
    struct stream *stream;
    struct head head = {.content_length = -1, .is_upgrade = how & 4};

    if (run->wire->role != ROLE_CLIENT || !run->wire->has_room || run->talks[TALKS - 1])
        return;
    stream = open_talk(run);
    require(h2_codec.begin(run->wire, stream) == OK, "there was room");
    if (head_init(&head, stream->arena, 2))
        return;
    head.method_name = (struct str){methods[how % 3], strlen(methods[how % 3])};
    head.method = how % 3 == 1 ? METHOD_HEAD : METHOD_GET;
    head.path = STR("/");
    head.authority = STR("a");
    head.content_length = -1;
    head.is_upgrade = how & 4;
    if ((how & 4) && head_add(&head, stream->arena, STR("Upgrade"), STR("websocket")))
        return;
    CONTAINER_OF(stream, struct talk, stream)->has_answered = true;
    (void)(h2_codec.head(stream, &head, how % 3 != 2) == OK);
}

/* What our side does of its own accord. */
static void do_action(struct run *run, const uint8_t *record)
{
    struct talk *talk = run->talks[record[2] % TALKS];

    if (record[0] % 8 == 0)
        h2_codec.check(run->wire, 1024);
    else if (record[0] % 8 == 1)
        h2_codec.bye(run->wire);
    else if (record[0] % 8 == 2)
        h2_codec.ping(run->wire);
    else if (record[0] % 8 == 3)
        ask(run, record[1]);
    else if (record[0] == 0xfc)
        h2_codec.eof(run->wire);
    else if (talk && talk->stream.wire)
        act(talk, record[1]);
}

static size_t play_record(struct run *run, const uint8_t *data, size_t size)
{
    size_t len = data[3] < size - 4 ? data[3] : size - 4;

    if (data[0] < FIRST_RAW)
        feed_frame(run, data, (struct str){(const char *)data + 4, len});
    else if (data[0] < FIRST_ACTION)
        feed(run, data + 4, len);
    else
        do_action(run, data);
    if (!run->is_closed && !(data[1] & 0x40))
        flush(run);
    return 4 + (data[0] < FIRST_ACTION ? len : 0);
}

static void open_run(struct run *run, uint8_t settings)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    static const uint8_t connects[] = {0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0, 1};

    run->wire = calloc(1, h2_codec.wire_size);
    require(run->wire != NULL, "memory");
    outq_slab_init(&run->outqs, &run->budget);
    heap_init(&run->heap, &run->budget);
    for (unsigned i = 0; i < HEAP_CLASSES; i++) // nothing is kept, so that ASan sees
        run->heap.kept[i] = HEAP_KEPT_MAX;
    run->wire->sink = &sink;
    run->wire->owner = run;
    run->wire->outqs = &run->outqs;
    run->wire->heap = &run->heap;
    run->wire->limits = &limits;
    run->wire->streams_max = 8;
    require(h2_codec.open(run->wire, settings & 1 ? ROLE_CLIENT : ROLE_SERVER) == OK, "opens");
    if (!(settings & 1))
        feed(run, preface, sizeof(preface) - 1);
    if (!(settings & 2))
        feed(run, connects, sizeof(connects));
    for (uint8_t i = 0; i < (settings & 1 ? 4 : 0); i++)
        ask(run, (uint8_t)((settings >> 2) + i));
    flush(run);
}

static void close_run(struct run *run)
{
    h2_codec.close(run->wire, REASON_DRAINING);
    require(run->wire->streams == 0 && run->wire->queued == 0, "no stream is left");
    for (unsigned i = 0; i < TALKS; i++)
        if (run->talks[i])
            drop(run->talks[i]);
    require(run->outqs.in_use == 0, "all queues are given back");
    slab_fini(&run->outqs);
    heap_fini(&run->heap);
    require(run->budget.used == 0, "all memory is given back");
    free(run->wire);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct run run = {.actions = data + 1};
    size_t at = 1 + ACTIONS;

    if (size < at)
        return 0;
    open_run(&run, data[0]);
    while (at + 4 <= size && !run.is_closed)
        at += play_record(&run, data + at, size - at);
    close_run(&run);
    return 0;
}
