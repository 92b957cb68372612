/* SPDX-License-Identifier: Apache-2.0
 *
 * cors: which pages of other origins may read answers (Fetch standard, 3.2 "CORS protocol").
 * Preflights are answered here and do not reach the target; on every other answer, refusals of the
 * gateway's own among them, the permission stands or does not, and what the target says of it is
 * replaced. A request from an origin that is not let in passes without permission: CORS decides
 * what a page may read, not who may ask.
 */
#include <string.h>

#include "base/text.h"
#include "config/field.h"
#include "edge/shape/origin.h"
#include "edge/shape/vary.h"
#include "sluice/filter.h"

enum { ORIGIN_SHOWN = 200 }; /* bytes of one that `why` shows */

struct cors_conf {
    struct conf_texts origins, methods, headers, expose;
    uint64_t max_age_ms;
    bool credentials, private_network;
    /* made by prepare */
    struct origin_list *list;
    struct str method_text, header_text, expose_text, age_text; /* absent: mirrored, or not sent */
};

struct cors_state {
    bool is_known; /* the rest is set */
    bool is_preflight, is_let_in;
    struct str origin; /* absent: none, or more than one */
};

extern const struct filter filter_cors;

static const struct field fields[] = {
    {.name = "origins",
     .doc = "Who may read answers: `https://app.example.com`, `https://*.example.com`, `~regex` "
            "over the whole origin, `null`, or `*` for all.",
     .type = FIELD_LIST,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     .element = &field_text_element,
     FIELD_ITEMS(struct cors_conf, origins.items, origins.count)},
    {.name = "methods",
     .doc = "Methods that pages may use, `*` for all; none written: GET, HEAD, POST, PUT, PATCH "
            "and DELETE.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct cors_conf, methods.items, methods.count)},
    {.name = "headers",
     .doc = "Request fields that pages may set, `*` for all; none written: all.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct cors_conf, headers.items, headers.count)},
    {.name = "expose",
     .doc = "Fields of answers that pages may read beside the harmless ones.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct cors_conf, expose.items, expose.count)},
    {.name = "credentials",
     .doc = "Whether pages may send cookies and read what comes for them.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct cors_conf, credentials)},
    {.name = "max_age",
     .doc = "How long a browser may keep the answer to a preflight.",
     .standard = "10m",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     FIELD_AT(struct cors_conf, max_age_ms)},
    {.name = "private_network",
     .doc =
         "Whether pages of public sites may ask, though the gateway stands in a private network.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct cors_conf, private_network)},
    FIELD_END,
};

/* --- the configuration */

static bool is_any(const struct conf_texts *texts)
{
    for (uint32_t i = 0; i < texts->count; i++)
        if (str_same(texts->items[i].s, STR("*")))
            return true;
    return false;
}

static bool check_tokens(const struct conf_texts *texts, const char *noun, struct diag *diag)
{
    bool is_good = true;

    for (uint32_t i = 0; i < texts->count; i++) {
        if (text_is_token(texts->items[i].s))
            continue;
        diag_error(diag, texts->items[i].at, "\"%.*s\" is not a %s", STR_FMT(texts->items[i].s),
                   noun);
        is_good = false;
    }
    return is_good;
}

/* Fetch 3.2.5: browsers refuse "*" for requests with credentials, and every site would be let into
 * each user's account if the origin were mirrored instead. */
static bool check_any(const struct cors_conf *cors, struct diag *diag)
{
    const struct conf_texts *of[] = {&cors->origins, &cors->expose};
    bool is_good = true;

    for (size_t i = 0; cors->credentials && i < ARRAY_LEN(of); i++) {
        for (uint32_t j = 0; j < of[i]->count; j++) {
            if (!str_same(of[i]->items[j].s, STR("*")))
                continue;
            diag_error(diag, of[i]->items[j].at, "\"*\" cannot go with credentials: true");
            diag_hint(diag, i ? "name the fields" : "name the origins that are trusted");
            is_good = false;
        }
    }
    return is_good;
}

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct cors_conf *cors = conf;
    bool is_good = check_tokens(&cors->methods, "method", diag);

    (void)at;
    is_good = check_tokens(&cors->headers, "field name", diag) && is_good;
    is_good = check_tokens(&cors->expose, "field name", diag) && is_good;
    return check_any(cors, diag) && is_good;
}

/* "a, b, c"; absent when there are none, or when memory ends. */
static struct str join(const struct conf_texts *texts, struct arena *arena)
{
    size_t len = 0;
    char *start, *at;

    for (uint32_t i = 0; i < texts->count; i++)
        len += texts->items[i].s.len + 2;
    at = start = len ? arena_text(arena, len) : NULL;
    if (!start)
        return STR_NONE;
    for (uint32_t i = 0; i < texts->count; i++) {
        at = text_put(at, i ? STR(", ") : STR(""));
        at = text_put(at, texts->items[i].s);
    }
    return (struct str){start, (size_t)(at - start)};
}

static bool prepare(void *conf, const struct filter_prepare *with)
{
    struct cors_conf *cors = conf;

    cors->age_text = arena_format(with->arena, "%llu", (unsigned long long)cors->max_age_ms / 1000);
    cors->expose_text = join(&cors->expose, with->arena);
    if (!is_any(&cors->headers))
        cors->header_text = join(&cors->headers, with->arena);
    if (!cors->methods.count)
        cors->method_text = STR("GET, HEAD, POST, PUT, PATCH, DELETE");
    else if (!is_any(&cors->methods))
        cors->method_text = join(&cors->methods, with->arena);
    cors->list = origin_list_new(&cors->origins, with->arena, with->diag);
    return cors->list && cors->age_text.p;
}

static void dispose(void *conf)
{
    struct cors_conf *cors = conf;

    origin_list_fini(cors->list);
}

/* --- the request */

static const struct str wanted_method = STR_INIT("access-control-request-method"),
                        wanted_headers = STR_INIT("access-control-request-headers"),
                        wanted_network = STR_INIT("access-control-request-private-network");

/* The one Origin field; two are none (Fetch 3.1: it has one value). */
static struct str find_origin(const struct head *request)
{
    const struct header *first = head_find(request, HDR_ORIGIN);
    unsigned count = 0;

    for (unsigned i = 0; first && i < request->count; i++)
        count += request->headers[i].id == HDR_ORIGIN;
    return count == 1 ? (struct str){first->value, first->value_len} : STR_NONE;
}

static void look(struct visit *visit)
{
    const struct cors_conf *cors = visit->conf;
    struct cors_state *state = visit->state;

    if (state->is_known)
        return;
    state->is_known = true;
    state->origin = find_origin(visit->request);
    state->is_let_in = state->origin.p && origin_list_fits(cors->list, state->origin);
    state->is_preflight = head_is_preflight(visit->request);
}

static enum verdict on_request(struct visit *visit)
{
    struct cors_state *state = visit->state;

    look(visit);
    if (!state->is_preflight)
        return VERDICT_PASS;
    if (state->is_let_in) {
        visit->reply = (struct visit_reply){.status = 204};
        return VERDICT_REPLY;
    }
    visit->reason = REASON_CORS_DENIED;
    return VERDICT_FAIL;
}

/* --- the answer */

static bool set(struct visit *visit, struct str name, struct str value)
{
    return !head_set(visit->response, visit->arena, name, value);
}

static void remove_theirs(struct head *response)
{
    static const struct str theirs[] = {
        STR_INIT("access-control-allow-origin"),
        STR_INIT("access-control-allow-credentials"),
        STR_INIT("access-control-allow-methods"),
        STR_INIT("access-control-allow-headers"),
        STR_INIT("access-control-expose-headers"),
        STR_INIT("access-control-max-age"),
        STR_INIT("access-control-allow-private-network"),
    };

    for (size_t i = 0; i < ARRAY_LEN(theirs); i++)
        head_remove_name(response, theirs[i]);
}

/* What is mirrored is a list of tokens or nothing: a preflight may hold anything else. */
static struct str mirror_list(const struct head *request)
{
    struct str value = head_value_name(request, wanted_headers);

    for (size_t i = 0; i < value.len; i++)
        if (value.p[i] != ' ' && value.p[i] != ',' && !text_is_token((struct str){value.p + i, 1}))
            return STR_NONE;
    return value;
}

static struct str mirror_method(const struct head *request)
{
    struct str value = head_value_name(request, wanted_method);

    return text_is_token(value) ? value : STR_NONE;
}

/* Fetch 3.2.3: what a preflight asks for is answered whether or not it is in the lists; the browser
 * compares, and names what is missing. */
static bool answer_preflight(struct visit *visit)
{
    const struct cors_conf *cors = visit->conf;
    struct str methods = cors->method_text, headers = cors->header_text;

    if (!methods.p)
        methods = mirror_method(visit->request);
    if (!headers.p)
        headers = mirror_list(visit->request);
    if (methods.len && !set(visit, STR("Access-Control-Allow-Methods"), methods))
        return false;
    if (headers.len && !set(visit, STR("Access-Control-Allow-Headers"), headers))
        return false;
    if (cors->private_network &&
        str_same(head_value_name(visit->request, wanted_network), STR("true")) &&
        !set(visit, STR("Access-Control-Allow-Private-Network"), STR("true")))
        return false;
    return set(visit, STR("Access-Control-Max-Age"), cors->age_text);
}

static bool permit(struct visit *visit)
{
    const struct cors_conf *cors = visit->conf;
    const struct cors_state *state = visit->state;
    struct str origin = cors->list->takes_any ? STR("*") : state->origin;

    if (!set(visit, STR("Access-Control-Allow-Origin"), origin))
        return false;
    if (cors->credentials && !set(visit, STR("Access-Control-Allow-Credentials"), STR("true")))
        return false;
    if (state->is_preflight)
        return answer_preflight(visit);
    return !cors->expose_text.p ||
           set(visit, STR("Access-Control-Expose-Headers"), cors->expose_text);
}

/* Fetch 3.2.5 "CORS protocol and HTTP caches": an answer that would differ for another origin says
 * so also where there was none. */
static bool vary(struct visit *visit)
{
    const struct cors_conf *cors = visit->conf;
    const struct cors_state *state = visit->state;
    const struct str names[] = {STR("Origin"), STR("Access-Control-Request-Method"),
                                STR("Access-Control-Request-Headers"),
                                STR("Access-Control-Request-Private-Network")};
    size_t from = cors->list->takes_any, to = 1;

    if (state->is_preflight)
        to = cors->private_network ? 4 : 3;
    for (size_t i = from; i < to; i++)
        if (vary_add(visit->response, visit->arena, names[i]))
            return false;
    return true;
}

static enum verdict on_response(struct visit *visit)
{
    const struct cors_conf *cors = visit->conf;
    const struct cors_state *state = visit->state;

    look(visit);
    remove_theirs(visit->response);
    if (vary(visit) && (!(cors->list->takes_any || state->is_let_in) || permit(visit)))
        return VERDICT_PASS;
    visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
    return VERDICT_FAIL;
}

static struct str describe(struct visit *visit)
{
    const struct cors_state *state = visit->state;
    struct str origin = state->origin;
    char *start, *at;

    origin.len = origin.len < ORIGIN_SHOWN ? origin.len : ORIGIN_SHOWN;
    at = start = arena_text(visit->arena, origin.len * TEXT_JSON_FACTOR + 64);
    if (!start)
        return STR_NONE;
    at = text_put(at, STR("\"origin\":\""));
    at = text_json(at, origin);
    at = text_put(at, state->is_let_in ? STR("\",\"let_in\":true") : STR("\",\"let_in\":false"));
    at = text_put(at,
                  state->is_preflight ? STR(",\"preflight\":true") : STR(",\"preflight\":false"));
    return (struct str){start, (size_t)(at - start)};
}

const struct filter filter_cors = {
    .name = "cors",
    .doc = "Says which pages of other origins may read answers, and answers their preflights.",
    .fields = fields,
    .conf_size = sizeof(struct cors_conf),
    .state_size = sizeof(struct cors_state),
    .check = check,
    .prepare = prepare,
    .dispose = dispose,
    .on_request = on_request,
    .on_response = on_response,
    .describe = describe,
};
