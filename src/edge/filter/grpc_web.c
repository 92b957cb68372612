/* SPDX-License-Identifier: Apache-2.0
 *
 * grpc_web: lets a browser speak to gRPC targets (grpc/doc/PROTOCOL-WEB.md). Requests of
 * application/grpc-web and grpc-web-text become application/grpc; of the answer, trailers become
 * the last frame of the body. What the gateway itself answers is in this form already, see
 * exchange_reply.c. Requests of other types, and targets that speak gRPC-Web, are left alone.
 */
#include "base/arena.h"
#include "http/grpc.h"
#include "http/grpc_web.h"
#include "sluice/filter.h"

enum { BUFFER = 4 * 1024 - 4 }; /* below what an out queue copies anyway */

struct web_state {
    enum grpc_kind kind; /* of the request; GRPC_NONE: it is not ours */
    bool answers_text;   /* the client wants base64 */
    bool has_status;     /* grpc-status is in the answer's head */
    bool is_foreign;     /* the answer is no gRPC: its body is dropped */
    struct grpc_web_decoder decoder;
    struct grpc_web_encoder encoder;
    struct grpc_web_frames asked, answered;
};

extern const struct filter filter_grpc_web;

/* --- the request */

/* A client may ask for another form than its own; that of the request is the default. */
static bool wants_text(const struct head *request, enum grpc_kind kind)
{
    enum grpc_kind accepted = grpc_read_type(head_value(request, HDR_ACCEPT), NULL);

    return accepted == GRPC_WEB_TEXT || (accepted != GRPC_WEB && kind == GRPC_WEB_TEXT);
}

static bool set_type(struct visit *visit, struct head *head, const char *name, struct str rest)
{
    struct str type = arena_format(visit->arena, "%s%.*s", name, STR_FMT(rest));

    return type.p && !head_set(head, visit->arena, STR("content-type"), type);
}

static enum verdict on_request(struct visit *visit)
{
    struct web_state *state = visit->state;
    struct str rest;

    state->kind = grpc_read_type(head_value(visit->request, HDR_CONTENT_TYPE), &rest);
    if (state->kind != GRPC_WEB && state->kind != GRPC_WEB_TEXT) {
        state->kind = GRPC_NONE;
        return VERDICT_PASS;
    }
    state->answers_text = wants_text(visit->request, state->kind);
    visit->edits_request = true;
    if (set_type(visit, visit->request, "application/grpc", rest))
        return VERDICT_PASS;
    visit->reason = REASON_HEADERS_TOO_LARGE;
    return VERDICT_FAIL;
}

static enum reason pass_message(struct web_state *state, const struct piece *piece,
                                const struct body_way *way)
{
    if (!grpc_web_follow(&state->asked, piece->bytes) ||
        (piece->last && !grpc_web_is_between(&state->asked)))
        return REASON_GRPC_FRAME_INVALID;
    return filter_pass_body(way, piece);
}

static enum reason decode(struct web_state *state, const struct piece *piece,
                          const struct body_way *way)
{
    struct piece end = {.bytes = STR(""), .trailers = piece->trailers, .last = true};
    struct str text = piece->bytes;

    while (text.len) {
        char bytes[BUFFER];
        int len = grpc_web_decode(&state->decoder, &text, bytes, sizeof(bytes));
        struct piece out = {.bytes = {bytes, (size_t)len}};
        enum reason why = len < 0 ? REASON_GRPC_WEB_TEXT_INVALID : REASON_NONE;

        if (len > 0)
            why = pass_message(state, &out, way);
        if (why)
            return why;
    }
    if (!piece->last)
        return REASON_NONE;
    if (!grpc_web_is_whole(&state->decoder))
        return REASON_GRPC_WEB_TEXT_INVALID;
    return pass_message(state, &end, way);
}

static enum reason on_request_body(struct visit *visit, const struct piece *piece,
                                   const struct body_way *way)
{
    struct web_state *state = visit->state;

    if (state->kind == GRPC_WEB_TEXT)
        return decode(state, piece, way);
    return pass_message(state, piece, way);
}

/* --- the answer */

static const char *answer_type(const struct web_state *state)
{
    return state->answers_text ? "application/grpc-web-text" : "application/grpc-web";
}

static bool add_status(struct visit *visit, struct head *head, enum grpc_status status,
                       struct str message)
{
    struct str number = arena_format(visit->arena, "%d", (int)status);
    struct str text = grpc_encode_message(visit->arena, message);

    return number.p && text.p && !head_set(head, visit->arena, STR("grpc-status"), number) &&
           !head_set(head, visit->arena, STR("grpc-message"), text);
}

/* An answer that is no gRPC, as those of a proxy before the target are: what it means is said in
 * the head, and its body, which the client cannot read, is dropped. */
static bool translate(struct visit *visit)
{
    struct web_state *state = visit->state;
    struct head *head = visit->response;
    unsigned status = head->status;
    struct str message =
        arena_format(visit->arena, "The target answered with HTTP %u and no gRPC.", status);

    state->is_foreign = true;
    head->status = 200;
    head->phrase = STR_NONE;
    head_remove_name(head, STR("content-encoding"));
    return message.p && set_type(visit, head, answer_type(state), STR("+proto")) &&
           add_status(visit, head, grpc_map_http(status), message);
}

static enum verdict on_response(struct visit *visit)
{
    struct web_state *state = visit->state;
    struct str rest;
    enum grpc_kind kind = grpc_read_type(head_value(visit->response, HDR_CONTENT_TYPE), &rest);
    bool is_good;

    if (visit->is_own || !state->kind || kind == GRPC_WEB || kind == GRPC_WEB_TEXT)
        return VERDICT_PASS;
    visit->edits_response = true;
    state->has_status = head_find_name(visit->response, STR("grpc-status"));
    if (kind == GRPC_PLAIN)
        is_good = set_type(visit, visit->response, answer_type(state), rest);
    else
        is_good = translate(visit);
    if (is_good)
        return VERDICT_PASS;
    visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
    return VERDICT_FAIL;
}

/* Base64 is padded where a message ends, so that the client has the whole of it at once. */
static enum reason encode(struct web_state *state, struct str bytes, const struct body_way *way)
{
    bool is_whole = grpc_web_is_between(&state->answered);

    do {
        char text[BUFFER];
        int len = grpc_web_encode(&state->encoder, &bytes, text, sizeof(text) - 4);
        struct piece out = {.bytes = {text, 0}};
        enum reason why;

        if (!bytes.len && is_whole)
            len += grpc_web_pad(&state->encoder, text + len);
        out.bytes.len = (size_t)len;
        why = len ? filter_pass_body(way, &out) : REASON_NONE;
        if (why)
            return why;
    } while (bytes.len);
    return REASON_NONE;
}

static enum reason pass_answer(struct web_state *state, const struct piece *piece,
                               const struct body_way *way)
{
    struct piece out = {.bytes = piece->bytes, .is_lasting = piece->is_lasting};

    if (!out.bytes.len)
        return REASON_NONE;
    if (state->answers_text)
        return encode(state, out.bytes, way);
    return filter_pass_body(way, &out);
}

/* The trailers as a frame; NULL bytes: memory ended. A target that forgot them is found out. */
static struct str last_frame(struct visit *visit, const struct head *trailers)
{
    struct head made;

    if (trailers)
        return grpc_web_trailers(visit->arena, trailers);
    if (head_init(&made, visit->arena, 2) ||
        !add_status(visit, &made, GRPC_INTERNAL,
                    STR("The target's answer ended without trailers.")))
        return STR_NONE;
    return grpc_web_trailers(visit->arena, &made);
}

static enum reason end_answer(struct visit *visit, const struct piece *piece,
                              const struct body_way *way)
{
    const struct piece end = {.bytes = STR(""), .last = true};
    struct web_state *state = visit->state;
    struct piece frame = {.bytes = STR("")};
    enum reason why;

    if (!grpc_web_is_between(&state->answered))
        return REASON_HTTP_RESPONSE_INCOMPLETE; // the frame would be taken for part of a message
    if (piece->trailers || !state->has_status)
        frame.bytes = last_frame(visit, piece->trailers);
    if (!frame.bytes.p)
        return REASON_MEMORY_LIMIT;
    why = pass_answer(state, &frame, way);
    return why ? why : filter_pass_body(way, &end);
}

static enum reason on_response_body(struct visit *visit, const struct piece *piece,
                                    const struct body_way *way)
{
    const struct piece end = {.bytes = STR(""), .last = true};
    struct web_state *state = visit->state;
    enum reason why;

    if (state->is_foreign)
        return piece->last ? filter_pass_body(way, &end) : REASON_NONE;
    if (!grpc_web_follow(&state->answered, piece->bytes))
        return REASON_HTTP_PROTOCOL_ERROR;
    why = pass_answer(state, piece, way);
    return why || !piece->last ? why : end_answer(visit, piece, way);
}

const struct filter filter_grpc_web = {
    .name = "grpc_web",
    .doc = "Lets browsers speak gRPC-Web, also as text, to targets that speak gRPC.",
    .state_size = sizeof(struct web_state),
    .on_request = on_request,
    .on_response = on_response,
    .on_request_body = on_request_body,
    .on_response_body = on_response_body,
};
