/* SPDX-License-Identifier: Apache-2.0
 *
 * decompress: request bodies in gzip, br or zstd (RFC 9110 8.4) reach the target plain, so that it
 * need not know the codings, nor fear them: what grows beyond a size, or by more than a ratio, is
 * refused where it passes that, and what came of it went to a request that breaks off.
 */
#include <strings.h>

#include "base/arena.h"
#include "config/field.h"
#include "edge/loop.h"
#include "edge/shape/decoder.h"
#include "sluice/filter.h"

enum { RATIO_FROM = 64 * 1024 }; /* bytes; what is smaller harms nobody, however well it packs */

struct decompress_conf {
    uint64_t size;
    uint32_t ratio; /* thousandths */
};

struct decompress_state {
    struct decoder_stream *decoder;
    uint64_t in, out;
    bool is_whole;   /* the stream has ended */
    bool is_unknown; /* refused for its coding */
};

extern const struct filter filter_decompress;

static const struct field fields[] = {
    {.name = "size",
     .doc = "Bytes of a body once it is plain.",
     .standard = "10MiB",
     .type = FIELD_SIZE,
     .min = 1,
     FIELD_AT(struct decompress_conf, size)},
    {.name = "ratio",
     .doc = "By how much a body may grow; below 64KiB by any.",
     .standard = "100x",
     .type = FIELD_RATIO,
     .min = 1000,
     FIELD_AT(struct decompress_conf, ratio)},
    FIELD_END,
};

static enum verdict refuse(struct visit *visit, enum reason why)
{
    visit->reason = why;
    return VERDICT_FAIL;
}

/* The one coding there is; COUNT for others, and for several. */
static enum coding read_coding(const struct head *request)
{
    static const struct str name = STR_INIT("content-encoding");
    struct str value = head_value_name(request, name);
    unsigned count = 0;

    for (unsigned i = 0; value.p && i < request->count; i++) {
        const struct header *field = &request->headers[i];

        count += field->name_len == name.len && !strncasecmp(field->name, name.p, name.len);
    }
    if (count > 1)
        return CODING_COUNT;
    return value.len ? coding_find(value) : CODING_IDENTITY;
}

static enum verdict on_request(struct visit *visit)
{
    struct decompress_state *state = visit->state;
    struct head *request = visit->request;
    enum coding coding = read_coding(request);

    if (coding == CODING_IDENTITY)
        return VERDICT_PASS;
    // What follows a wish for another protocol may be a body all the same, or none: not to be told.
    state->is_unknown = coding == CODING_COUNT || request->is_upgrade;
    if (state->is_unknown)
        return refuse(visit, REASON_CONTENT_CODING_UNKNOWN);
    head_remove_name(request, STR("content-encoding"));
    state->decoder = decoder_new(coding, &visit->env->loop->heap);
    if (!state->decoder)
        return refuse(visit, REASON_MEMORY_LIMIT);
    head_remove_name(request, STR("content-digest")); // RFC 9530 2: of the coded bytes
    head_remove_name(request, STR("content-md5"));
    head_remove(request, HDR_CONTENT_LENGTH); // filters behind this one go by what is plain
    request->content_length = -1;
    visit->edits_request = true;
    return VERDICT_PASS;
}

/* RFC 9110 15.5.16: which ones would do. */
static enum verdict on_response(struct visit *visit)
{
    const struct decompress_state *state = visit->state;

    if (visit->is_own && state->is_unknown &&
        head_set(visit->response, visit->arena, STR("Accept-Encoding"), STR("gzip, br, zstd")))
        return refuse(visit, REASON_MEMORY_LIMIT);
    return VERDICT_PASS;
}

static enum reason judge(const struct decompress_conf *conf, const struct decompress_state *state)
{
    if (state->out > conf->size)
        return REASON_BODY_TOO_LARGE;
    if (state->out > RATIO_FROM && state->out / conf->ratio * 1000 > state->in)
        return REASON_BODY_GROWS;
    return REASON_NONE;
}

static enum reason decode(struct visit *visit, struct str bytes, const struct body_way *way)
{
    struct decompress_state *state = visit->state;
    enum decoder_state now = DECODER_FULL;

    while (now == DECODER_FULL) {
        char plain[DECODER_OUT];
        struct piece out = {.bytes = {plain, 0}};
        enum reason why;

        now = decoder_run(state->decoder, &bytes, plain, &out.bytes.len);
        if (now == DECODER_WRONG)
            return REASON_CONTENT_CODING_INVALID;
        state->out += out.bytes.len;
        why = judge(visit->conf, state);
        if (!why && out.bytes.len)
            why = filter_pass_body(way, &out);
        if (why)
            return why;
    }
    state->is_whole = now == DECODER_ENDED;
    return bytes.len ? REASON_CONTENT_CODING_INVALID : REASON_NONE; // behind the end
}

static enum reason on_request_body(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way)
{
    const struct piece end = {.bytes = STR(""), .trailers = piece->trailers, .last = true};
    struct decompress_state *state = visit->state;
    enum reason why = REASON_NONE;

    state->in += piece->bytes.len;
    if (piece->bytes.len)
        why = decode(visit, piece->bytes, way);
    if (why || !piece->last)
        return why;
    if (state->in && !state->is_whole)
        return REASON_CONTENT_CODING_INVALID;
    decoder_free(&state->decoder);
    return filter_pass_body(way, &end);
}

static void on_done(struct visit *visit)
{
    struct decompress_state *state = visit->state;

    decoder_free(&state->decoder);
}

static struct str describe(struct visit *visit)
{
    const struct decompress_state *state = visit->state;

    return arena_format(visit->arena, "\"bytes_in\":%llu,\"bytes_out\":%llu",
                        (unsigned long long)state->in, (unsigned long long)state->out);
}

const struct filter filter_decompress = {
    .name = "decompress",
    .doc = "Hands compressed request bodies to the target plain, and refuses those that grow too "
           "much.",
    .fields = fields,
    .conf_size = sizeof(struct decompress_conf),
    .state_size = sizeof(struct decompress_state),
    .on_request = on_request,
    .on_response = on_response,
    .on_request_body = on_request_body,
    .on_done = on_done,
    .describe = describe,
};
