/* SPDX-License-Identifier: Apache-2.0
 *
 * validate: requests have to be what a JSON Schema or an OpenAPI document says. A request whose
 * body is judged goes to its target once that is done, or not at all. What is wrong is told by
 * where it stands and by what keyword, never by its value. All that is invalid is 400, which
 * clients of every framework know: 422 is for what the application finds.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "edge/filter/validate_visit.h"
#include "edge/loop.h"
#include "edge/metric/stat.h"
#include "edge/route/path.h"
#include "edge/shape/media.h"

#include "base/clock.h"

enum { SCRATCH_MAX = 1024 * 1024 };

extern const struct filter filter_validate;

bool validate_refuse(struct visit *visit, enum reason why)
{
    const struct validate_conf *conf = visit->conf;
    struct validate_state *state = visit->state;

    state->why = why;
    state->outcome = conf->dry_run ? "would refuse" : "refused";
    if (conf->dry_run) {
        stat_add(&visit->env->loop->invalid, 1);
        return false;
    }
    visit->reason = why;
    visit->detail = state->detail;
    return true;
}

void validate_note(struct visit *visit, struct str subject, const struct jschema_fault *fault)
{
    struct validate_state *state = visit->state;
    struct str keyword = {fault->keyword, strlen(fault->keyword)};

    state->at = arena_copy(visit->arena, (struct str){fault->pointer, fault->pointer_len});
    state->keyword = keyword;
    state->member = fault->name;
    state->detail = arena_format(visit->arena, "%.*s%s%.*s fails \"%.*s\"%s%.*s%s.",
                                 STR_FMT(subject), state->at.len ? " at " : "", STR_FMT(state->at),
                                 STR_FMT(keyword), fault->name.p ? " of \"" : "",
                                 STR_FMT(fault->name), fault->name.p ? "\"" : "");
}

static enum verdict refused(struct visit *visit, enum reason why)
{
    return validate_refuse(visit, why) ? VERDICT_FAIL : VERDICT_PASS;
}

/* --- the body's head */

/* A wish for another protocol may be followed by bytes that are no body. */
static bool has_body(const struct visit *visit)
{
    const struct head *request = visit->request;

    if (!visit->has_body || !request->content_length)
        return false;
    return !request->is_upgrade || request->content_length > 0 || request->chunked;
}

static bool is_json(struct str type)
{
    return media_fits(STR("application/json"), type) || media_fits(STR("*/*+json"), type);
}

static bool is_coded(const struct head *request)
{
    static const struct str name = STR_INIT("content-encoding");

    for (unsigned i = 0; i < request->count; i++) {
        const struct header *field = &request->headers[i];

        if (field->name_len == name.len && !strncasecmp(field->name, name.p, name.len) &&
            (field->value_len != 8 || strncasecmp(field->value, "identity", 8) != 0))
            return true;
    }
    return false;
}

/* The one Content-Type; absent when there is none, or a second that the target may go by. */
static struct str type_of(const struct head *request)
{
    static const struct str name = STR_INIT("content-type");
    struct str type = STR_NONE;
    unsigned count = 0;

    for (unsigned i = 0; i < request->count; i++) {
        const struct header *field = &request->headers[i];

        if (field->name_len != name.len || strncasecmp(field->name, name.p, name.len) != 0)
            continue;
        type = (struct str){field->value, field->value_len};
        count++;
    }
    return count == 1 ? type : STR_NONE;
}

/* Whether a parameter's value, from its equals sign on, is that one. */
static bool is_value(struct str s, struct str wanted)
{
    while (s.len && strchr(" \t=\"", s.p[0]))
        s = (struct str){s.p + 1, s.len - 1};
    return s.len >= wanted.len && !strncasecmp(s.p, wanted.p, wanted.len) &&
           (s.len == wanted.len || strchr("\"; \t", s.p[wanted.len]));
}

/* What is UTF-8 here (RFC 8259 8.1) must not be read in another charset there: in UTF-7 it has
 * other quotes. */
static bool is_in_utf8(struct str type)
{
    static const struct str name = STR_INIT("charset");
    const char *at = memchr(type.p, ';', type.len), *end = type.p + type.len;

    for (; at && (size_t)(end - at) >= name.len; at++) {
        struct str rest = {at + name.len, (size_t)(end - at) - name.len};

        if (!strncasecmp(at, name.p, name.len) && !is_value(rest, STR("utf-8")) &&
            !is_value(rest, STR("us-ascii")))
            return false;
    }
    return true;
}

/* The body is to be gathered and judged by this schema. */
static enum verdict begin_body(struct visit *visit, const struct jschema *schema)
{
    const struct validate_conf *conf = visit->conf;
    struct validate_state *state = visit->state;
    int64_t length = visit->request->content_length;

    if (!is_in_utf8(type_of(visit->request))) {
        state->allow = STR("application/json");
        state->detail = STR("JSON is UTF-8.");
        return refused(visit, REASON_MEDIA_TYPE_UNSUPPORTED);
    }
    if (is_coded(visit->request)) {
        state->allow = STR("identity");
        return refused(visit, REASON_CONTENT_CODING_REFUSED);
    }
    if (length > 0 && (uint64_t)length > conf->body_max)
        return refused(visit, REASON_BODY_TOO_LARGE);
    if (visit->request->is_upgrade) { // what is judged must be all that there is
        state->detail = STR("A request for another protocol has a body.");
        return refused(visit, REASON_BODY_INVALID);
    }
    state->schema = schema;
    state->outcome = "gathering";
    visit->sees_request = true;
    visit->holds_request = !conf->dry_run;
    return VERDICT_PASS;
}

/* --- by a schema */

static bool is_bodiless(enum method method)
{
    return method == METHOD_GET || method == METHOD_HEAD || method == METHOD_DELETE ||
           method == METHOD_OPTIONS || method == METHOD_TRACE;
}

static enum verdict ask_schema(struct visit *visit)
{
    const struct validate_conf *conf = visit->conf;
    struct validate_state *state = visit->state;

    state->is_required = !is_bodiless(visit->request->method);
    if (!has_body(visit)) {
        state->outcome = "no body";
        return state->is_required ? refused(visit, REASON_BODY_MISSING) : VERDICT_PASS;
    }
    if (!is_json(type_of(visit->request))) {
        state->allow = STR("application/json");
        return refused(visit, REASON_MEDIA_TYPE_UNSUPPORTED);
    }
    return begin_body(visit, conf->schema);
}

/* --- by a document */

static struct str list_media(struct visit *visit, const struct openapi_body *body)
{
    struct str text = STR("");

    for (uint32_t i = 0; i < body->count && text.p; i++)
        text = arena_format(visit->arena, "%.*s%s%.*s", STR_FMT(text), i ? ", " : "",
                            STR_FMT(body->media[i].type));
    return text;
}

static enum verdict ask_body(struct visit *visit, const struct openapi_body *body)
{
    struct validate_state *state = visit->state;
    const struct openapi_media *media;
    struct str type = type_of(visit->request);

    state->is_required = body && body->is_required;
    if (!has_body(visit))
        return state->is_required ? refused(visit, REASON_BODY_MISSING) : VERDICT_PASS;
    if (!body)
        return VERDICT_PASS;
    media = openapi_find_media(body, type);
    if (!media) {
        state->allow = list_media(visit, body);
        return refused(visit, REASON_MEDIA_TYPE_UNSUPPORTED);
    }
    if (!media->schema || !is_json(type))
        return VERDICT_PASS;
    return begin_body(visit, media->schema);
}

/* True: they fit. */
static bool judge_parameters(struct visit *visit, const struct openapi_operation *operation,
                             const struct openapi_match *match)
{
    const struct validate_conf *conf = visit->conf;
    struct openapi_fault fault;
    struct arena scratch;
    const struct jschema_ask ask = {&scratch, conf->seed, clock_us, clock_cpu_us};
    struct str subject;
    enum jschema_answer answer;

    if (!operation->count)
        return true;
    arena_init(&scratch, &visit->env->loop->arenas, SCRATCH_MAX);
    answer = openapi_judge(operation, match, visit->request, &ask, &fault);
    arena_reset(&scratch);
    if (answer == JSCHEMA_FITS)
        return true;
    subject =
        arena_format(visit->arena, "The parameter \"%.*s\" in %s", STR_FMT(fault.name), fault.in);
    if (answer == JSCHEMA_FAILS)
        validate_note(visit, subject, &fault.why);
    validate_refuse(visit,
                    answer == JSCHEMA_FAILS ? REASON_PARAMETER_INVALID : REASON_BODY_TOO_COMPLEX);
    return false;
}

static enum verdict ask_operation(struct visit *visit, const struct openapi_match *match)
{
    const struct openapi_operation *operation =
        openapi_method(match->item, visit->request->method_name);
    struct validate_state *state = visit->state;

    state->path = match->path;
    if (!operation && head_is_preflight(visit->request) && !has_body(visit)) {
        state->outcome = "preflight";
        return VERDICT_PASS;
    }
    if (!operation) {
        state->allow = openapi_allow(match->item);
        return refused(visit, REASON_OPERATION_UNKNOWN);
    }
    state->operation = operation->name;
    state->outcome = "valid";
    if (judge_parameters(visit, operation, match))
        return ask_body(visit, operation->body);
    return ((const struct validate_conf *)visit->conf)->dry_run ? VERDICT_PASS : VERDICT_FAIL;
}

static enum verdict ask_document(struct visit *visit)
{
    const struct validate_conf *conf = visit->conf;
    struct validate_state *state = visit->state;
    char buffer[ROUTE_PATH_MAX];
    struct str path = route_path_view(visit->request->path, buffer);
    struct openapi_match match;

    if (path.p && openapi_find(conf->api, path, &match))
        return ask_operation(visit, &match);
    state->outcome = "unknown path";
    return conf->unknown_paths == VALIDATE_PASS ? VERDICT_PASS
                                                : refused(visit, REASON_PATH_UNKNOWN);
}

/* --- hooks */

static enum verdict on_request(struct visit *visit)
{
    const struct validate_conf *conf = visit->conf;

    return conf->api ? ask_document(visit) : ask_schema(visit);
}

/* RFC 9110 15.5.6, 15.5.16: what would do. */
static enum verdict on_response(struct visit *visit)
{
    const struct validate_state *state = visit->state;
    struct str name = state->why == REASON_OPERATION_UNKNOWN        ? STR("Allow")
                      : state->why == REASON_CONTENT_CODING_REFUSED ? STR("Accept-Encoding")
                                                                    : STR("Accept");

    if (visit->is_own && visit->reason && state->allow.len &&
        head_set(visit->response, visit->arena, name, state->allow))
        return VERDICT_FAIL;
    return VERDICT_PASS;
}

static void on_done(struct visit *visit)
{
    struct validate_state *state = visit->state;

    buf_drop(&state->body, &visit->env->loop->partials);
}

/* `,"name":"value"`, or nothing. */
static struct str member(struct visit *visit, const char *name, struct str value)
{
    char *text = value.p ? arena_text(visit->arena, value.len * TEXT_JSON_FACTOR + 1) : NULL;

    if (!text)
        return STR("");
    value = (struct str){text, (size_t)(text_json(text, value) - text)};
    value = arena_format(visit->arena, ",\"%s\":\"%.*s\"", name, STR_FMT(value));
    return value.p ? value : STR("");
}

static struct str describe(struct visit *visit)
{
    const struct validate_state *state = visit->state;
    const char *slug = state->why ? reason_info(state->why)->slug : NULL;
    struct str why = slug ? (struct str){slug, strlen(slug)} : STR_NONE;
    struct str parts[] = {
        member(visit, "why", why),
        member(visit, "path", state->path),
        member(visit, "operation", state->operation),
        member(visit, "pointer", state->at),
        member(visit, "keyword", state->keyword),
        member(visit, "member", state->member),
        member(visit, "detail", state->detail),
    };
    struct str text = arena_format(visit->arena, "\"outcome\":\"%s\"",
                                   state->outcome ? state->outcome : "not asked");

    for (size_t i = 0; i < ARRAY_LEN(parts) && text.p; i++)
        if (parts[i].len)
            text = arena_format(visit->arena, "%.*s%.*s", STR_FMT(text), STR_FMT(parts[i]));
    return text;
}

const struct filter filter_validate = {
    .name = "validate",
    .doc = "Refuses requests that are not what a JSON Schema or an OpenAPI document says.",
    .fields = validate_fields,
    .conf_size = sizeof(struct validate_conf),
    .state_size = sizeof(struct validate_state),
    .check = validate_check,
    .prepare = validate_prepare,
    .dispose = validate_dispose,
    .on_request = on_request,
    .on_response = on_response,
    .on_request_body = validate_take,
    .on_done = on_done,
    .describe = describe,
};
