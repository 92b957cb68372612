/* SPDX-License-Identifier: Apache-2.0
 *
 * compress: answers in the content coding that the client likes best (RFC 9110 8.4), made as they
 * come. What the encoder keeps back goes out when the target pauses, so that neither first bytes
 * nor events wait for more. Answers that set cookies are left alone unless wished otherwise: in
 * what is compressed together, the length tells secrets to who may add to it (BREACH).
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "config/field.h"
#include "edge/shape/encoder_pool.h"
#include "edge/shape/media.h"
#include "edge/shape/vary.h"
#include "sluice/filter.h"

struct levels {
    uint32_t gzip, br, zstd;
};

struct compress_conf {
    struct conf_texts algorithms, types;
    uint64_t min_size;
    struct levels levels;
    bool cookies;
    enum coding offered[CODING_COUNT]; /* made by check, in order of preference */
    uint32_t offered_count;
};

struct compress_state {
    bool is_read; /* the wish is */
    struct coding_wish wish;
    enum coding coding; /* of the answer; IDENTITY: left alone */
    struct encoder *encoder;
    uint64_t in, out;
};

extern const struct filter filter_compress;

static const struct field level_fields[] = {
    {.name = "gzip",
     .doc = "1 to 9.",
     .standard = "5",
     .type = FIELD_INT,
     .min = 1,
     .max = ENCODER_GZIP_MAX,
     FIELD_AT(struct levels, gzip)},
    {.name = "br",
     .doc = "0 to 8.",
     .standard = "4",
     .type = FIELD_INT,
     .max = ENCODER_BR_MAX,
     FIELD_AT(struct levels, br)},
    {.name = "zstd",
     .doc = "1 to 11.",
     .standard = "3",
     .type = FIELD_INT,
     .min = 1,
     .max = ENCODER_ZSTD_MAX,
     FIELD_AT(struct levels, zstd)},
    FIELD_END,
};

static const struct field fields[] = {
    {.name = "algorithms",
     .doc = "Codings to offer, the one to take first when a client likes several as much; none "
            "written: br, zstd, gzip.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct compress_conf, algorithms.items, algorithms.count)},
    {.name = "types",
     .doc = "Media types to compress, as `text/*` or `application/*+json`; none written: text, "
            "JSON, XML, JavaScript, WebAssembly, and fonts and images that are not compressed.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct compress_conf, types.items, types.count)},
    {.name = "min_size",
     .doc = "Bytes below which an answer is left alone, where its length is known.",
     .standard = "1KiB",
     .type = FIELD_SIZE,
     FIELD_AT(struct compress_conf, min_size)},
    {.name = "levels",
     .doc = "How hard each coding tries.",
     .type = FIELD_OBJECT,
     .fields = level_fields,
     FIELD_AT(struct compress_conf, levels)},
    {.name = "cookies",
     .doc = "Whether answers that set cookies are compressed, too.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct compress_conf, cookies)},
    FIELD_END,
};

/* --- the configuration */

static const enum coding codings[] = {CODING_BR, CODING_ZSTD, CODING_GZIP};

static bool read_algorithm(struct compress_conf *conf, const struct conf_text *text,
                           struct diag *diag)
{
    for (size_t i = 0; i < ARRAY_LEN(codings); i++) {
        if (!str_same(coding_name(codings[i]), text->s))
            continue;
        for (uint32_t j = 0; j < conf->offered_count; j++) {
            if (conf->offered[j] != codings[i])
                continue;
            diag_error(diag, text->at, "\"%.*s\" is written twice", STR_FMT(text->s));
            return false;
        }
        conf->offered[conf->offered_count++] = codings[i];
        return true;
    }
    diag_error(diag, text->at, "\"%.*s\" is not one of br, zstd, gzip", STR_FMT(text->s));
    return false;
}

static bool check(void *conf, struct span at, struct diag *diag)
{
    struct compress_conf *compress = conf;
    bool is_good = true;

    (void)at;
    for (uint32_t i = 0; i < compress->algorithms.count; i++)
        is_good = read_algorithm(compress, &compress->algorithms.items[i], diag) && is_good;
    if (!compress->algorithms.count) {
        memcpy(compress->offered, codings, sizeof(codings));
        compress->offered_count = ARRAY_LEN(codings);
    }
    for (uint32_t i = 0; i < compress->types.count; i++) {
        const struct conf_text *type = &compress->types.items[i];

        if (media_is_pattern(type->s))
            continue;
        diag_error(diag, type->at, "\"%.*s\" is not a media type", STR_FMT(type->s));
        is_good = false;
    }
    return is_good;
}

/* --- what is compressed */

static bool is_worth_it(const struct compress_conf *conf, struct str type)
{
    static const struct str usual[] = {
        STR_INIT("text/*"),
        STR_INIT("application/json"),
        STR_INIT("application/*+json"),
        STR_INIT("application/x-ndjson"),
        STR_INIT("application/javascript"),
        STR_INIT("application/xml"),
        STR_INIT("application/*+xml"),
        STR_INIT("application/wasm"),
        STR_INIT("application/x-yaml"),
        STR_INIT("application/vnd.ms-fontobject"),
        STR_INIT("font/ttf"),
        STR_INIT("font/otf"),
        STR_INIT("image/svg+xml"),
        STR_INIT("image/bmp"),
        STR_INIT("image/x-icon"),
        STR_INIT("image/vnd.microsoft.icon"),
    };

    if (!type.len)
        return false;
    for (uint32_t i = 0; i < conf->types.count; i++)
        if (media_fits(conf->types.items[i].s, type))
            return true;
    for (size_t i = 0; !conf->types.count && i < ARRAY_LEN(usual); i++)
        if (media_fits(usual[i], type))
            return true;
    return false;
}

static bool has_listed(const struct head *head, struct str name, struct str token)
{
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];

        if (header->name_len == name.len && !strncasecmp(header->name, name.p, name.len) &&
            head_list_has((struct str){header->value, header->value_len}, token))
            return true;
    }
    return false;
}

/* Whether such an answer may be compressed for anybody. */
static bool may_be(const struct compress_conf *conf, const struct head *answer)
{
    struct str coding = head_value_name(answer, STR("content-encoding"));
    unsigned status = answer->status;

    if (status < 200 || status == 204 || status == 205 || status == 206 || status == 304)
        return false;
    if (coding.len && !str_same(coding, coding_name(CODING_IDENTITY)))
        return false;
    if (head_find_name(answer, STR("content-range")) ||
        has_listed(answer, STR("cache-control"), STR("no-transform"))) // RFC 9111 5.2.2.6
        return false;
    if (!conf->cookies && head_find(answer, HDR_SET_COOKIE))
        return false;
    return is_worth_it(conf, head_value(answer, HDR_CONTENT_TYPE));
}

static void read_wish(struct visit *visit)
{
    struct compress_state *state = visit->state;

    if (!state->is_read)
        state->wish = coding_read(head_value_name(visit->request, STR("accept-encoding")));
    state->is_read = true;
}

/* Before filters that change the field for the target. */
static enum verdict on_request(struct visit *visit)
{
    read_wish(visit);
    return VERDICT_PASS;
}

static enum coding choose(struct visit *visit)
{
    const struct compress_conf *conf = visit->conf;
    const struct compress_state *state = visit->state;
    int64_t length = visit->response->content_length;
    bool is_small = length >= 0 && (uint64_t)length < conf->min_size;

    if (!length || (visit->is_bodiless && visit->request->method != METHOD_HEAD))
        return CODING_IDENTITY;
    if (is_small && state->wish.q[CODING_IDENTITY])
        return CODING_IDENTITY;
    return coding_choose(&state->wish, conf->offered, conf->offered_count);
}

/* --- the head */

/* RFC 9110 8.8.1: another coding is another representation; that both mean the same a weak tag
 * says. */
static bool weaken(struct visit *visit)
{
    struct str tag = head_value_name(visit->response, STR("etag"));

    if (!tag.len || tag.p[0] != '"')
        return true;
    tag = arena_format(visit->arena, "W/%.*s", STR_FMT(tag));
    return tag.p && !head_set(visit->response, visit->arena, STR("ETag"), tag);
}

/* What is said of the bytes no longer holds. */
static bool change_head(struct visit *visit, enum coding coding)
{
    static const struct str gone[] = {STR_INIT("accept-ranges"), STR_INIT("content-md5"),
                                      STR_INIT("digest"), STR_INIT("content-digest"),
                                      STR_INIT("repr-digest")};

    for (size_t i = 0; i < ARRAY_LEN(gone); i++)
        head_remove_name(visit->response, gone[i]);
    return weaken(visit) &&
           !head_set(visit->response, visit->arena, STR("Content-Encoding"), coding_name(coding));
}

static unsigned level_of(const struct compress_conf *conf, enum coding coding)
{
    if (coding == CODING_GZIP)
        return conf->levels.gzip;
    return coding == CODING_BR ? conf->levels.br : conf->levels.zstd;
}

/* False: the head is to go on as it was. */
static bool start(struct visit *visit, enum coding coding)
{
    const struct compress_conf *conf = visit->conf;
    struct compress_state *state = visit->state;
    struct encoder_pool *pool = visit->env->encoders;

    encoder_pool_give(pool, &state->encoder); // of an answer that another filter refused
    state->coding = CODING_IDENTITY;
    if (coding == CODING_IDENTITY)
        return false;
    if (!visit->is_bodiless) {
        state->encoder = encoder_pool_take(pool, coding, level_of(conf, coding),
                                           visit->response->content_length);
        if (!state->encoder)
            return false; // memory is short: the plain answer needs none
    }
    state->coding = coding;
    return true;
}

/* RFC 9110 15.4.5: what confirms a copy has the fields that it came with. It was compressed when
 * the client names it by a weak tag where the target's is a strong one. */
static bool confirm(struct visit *visit)
{
    struct str tag = head_value_name(visit->response, STR("etag"));
    struct str known = head_value_name(visit->request, STR("if-none-match"));
    const char *found = tag.len && known.len ? memmem(known.p, known.len, tag.p, tag.len) : NULL;

    if (!found || tag.p[0] != '"' || found - known.p < 2 || memcmp(found - 2, "W/", 2) != 0)
        return true;
    return weaken(visit) && !vary_add(visit->response, visit->arena, STR("Accept-Encoding"));
}

static bool tell(struct visit *visit)
{
    const struct compress_conf *conf = visit->conf;
    enum coding coding = CODING_IDENTITY;
    bool is_candidate = may_be(conf, visit->response);

    read_wish(visit);
    if (visit->response->status == 304)
        return confirm(visit);
    if (is_candidate)
        coding = choose(visit);
    if (is_candidate && vary_add(visit->response, visit->arena, STR("Accept-Encoding")))
        return false;
    if (!start(visit, coding))
        return true;
    visit->edits_response = true;
    return change_head(visit, coding);
}

static enum verdict on_response(struct visit *visit)
{
    if (tell(visit))
        return VERDICT_PASS;
    visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
    return VERDICT_FAIL;
}

/* --- the body */

static enum encoder_wish wish_of(const struct piece *piece)
{
    if (piece->last)
        return ENCODER_END;
    return piece->pauses ? ENCODER_FLUSH : ENCODER_MORE;
}

static enum reason encode(struct compress_state *state, const struct piece *piece,
                          const struct body_way *way)
{
    struct str left = piece->bytes;
    bool is_done = false;

    while (!is_done) {
        char bytes[ENCODER_OUT];
        int len = encoder_run(state->encoder, wish_of(piece), &left, bytes, &is_done);
        struct piece made = {.bytes = {bytes, (size_t)len}};
        enum reason why;

        if (len < 0)
            return REASON_MEMORY_LIMIT;
        state->out += (size_t)len;
        why = len ? filter_pass_body(way, &made) : REASON_NONE;
        if (why)
            return why;
    }
    return REASON_NONE;
}

static enum reason on_response_body(struct visit *visit, const struct piece *piece,
                                    const struct body_way *way)
{
    struct compress_state *state = visit->state;
    const struct piece end = {.bytes = STR(""), .trailers = piece->trailers, .last = true};
    enum reason why;

    if (!state->encoder) // to a HEAD, or it has ended
        return filter_pass_body(way, piece);
    state->in += piece->bytes.len;
    why = encode(state, piece, way);
    if (why || !piece->last)
        return why;
    encoder_pool_give(visit->env->encoders, &state->encoder);
    return filter_pass_body(way, &end);
}

static void on_done(struct visit *visit)
{
    struct compress_state *state = visit->state;

    encoder_pool_give(visit->env->encoders, &state->encoder);
}

static struct str describe(struct visit *visit)
{
    const struct compress_state *state = visit->state;

    return arena_format(visit->arena, "\"coding\":\"%.*s\",\"bytes_in\":%llu,\"bytes_out\":%llu",
                        STR_FMT(coding_name(state->coding)), (unsigned long long)state->in,
                        (unsigned long long)state->out);
}

const struct filter filter_compress = {
    .name = "compress",
    .doc = "Compresses answers by gzip, br or zstd, as the client accepts them.",
    .fields = fields,
    .conf_size = sizeof(struct compress_conf),
    .state_size = sizeof(struct compress_state),
    .check = check,
    .on_request = on_request,
    .on_response = on_response,
    .on_response_body = on_response_body,
    .on_done = on_done,
    .describe = describe,
};
