/* SPDX-License-Identifier: Apache-2.0
 *
 * headers: sets, adds and removes fields of requests and answers, with names in their values that
 * each request fills (edge/shape/template.h). A field of which a name has no value is not there,
 * not even as the client sent it: what the target believes of it, the gateway said. Fields that
 * carry the framing or the way of a message are not to be touched.
 */
#include <string.h>

#include "base/arena.h"
#include "config/field.h"
#include "edge/auth/credential.h"
#include "edge/shape/header_rule.h"
#include "edge/shape/template.h"

struct edit {
    struct conf_pairs set, add;
    struct conf_texts remove;
    /* made by prepare, beside the pairs; NULL: the value has no names in it */
    const struct template **set_values, **add_values;
};

struct headers_conf {
    struct edit request, response;
    bool security;
};

extern const struct filter filter_headers;

static const struct field edit_fields[] = {
    {.name = "set",
     .doc = "Fields to set, in place of those of that name.",
     .type = FIELD_PAIRS,
     FIELD_AT(struct edit, set)},
    {.name = "add",
     .doc = "Fields to add to those there are.",
     .type = FIELD_PAIRS,
     FIELD_AT(struct edit, add)},
    {.name = "remove",
     .doc = "Names of fields to remove.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct edit, remove.items, remove.count)},
    FIELD_END,
};

static const struct field fields[] = {
    {.name = "request",
     .doc = "What is changed before the target gets the request.",
     .type = FIELD_OBJECT,
     .fields = edit_fields,
     FIELD_AT(struct headers_conf, request)},
    {.name = "response",
     .doc = "What is changed before the client gets the answer.",
     .type = FIELD_OBJECT,
     .fields = edit_fields,
     FIELD_AT(struct headers_conf, response)},
    {.name = "security",
     .doc = "Fields that make browsers careful, on answers that do not have them; and none that "
            "says by what software the target is made.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct headers_conf, security)},
    FIELD_END,
};

/* --- checks: a field that could break a message is an error of the configuration, not of a request
 */

static bool check_name(const struct conf_text *name, struct diag *diag)
{
    if (!header_rule_is_name(name->s))
        diag_error(diag, name->at, "\"%.*s\" is not a field name", STR_FMT(name->s));
    else if (header_rule_is_ours(name->s))
        diag_error(diag, name->at, "field \"%.*s\" is the gateway's own to set", STR_FMT(name->s));
    else
        return true;
    return false;
}

static bool check_pairs(const struct conf_pairs *pairs, struct diag *diag)
{
    bool is_good = true;

    for (uint32_t i = 0; i < pairs->count; i++) {
        is_good = check_name(&pairs->items[i].name, diag) && is_good;
        if (header_rule_is_value(pairs->items[i].value.s))
            continue;
        diag_error(diag, pairs->items[i].value.at, "the value has a control character");
        is_good = false;
    }
    return is_good;
}

static bool check_edit(const struct edit *edit, struct diag *diag)
{
    bool is_good = check_pairs(&edit->set, diag);

    is_good = check_pairs(&edit->add, diag) && is_good;
    for (uint32_t i = 0; i < edit->remove.count; i++)
        is_good = check_name(&edit->remove.items[i], diag) && is_good;
    return is_good;
}

static bool check(void *conf, struct span at, struct diag *diag)
{
    const struct headers_conf *headers = conf;
    bool is_good = check_edit(&headers->request, diag);

    (void)at;
    return check_edit(&headers->response, diag) && is_good;
}

/* --- values with names in them */

static bool compile_pairs(const struct conf_pairs *pairs, const struct template ***values,
                          const struct filter_prepare *with)
{
    bool is_good = true;

    *values = arena_zero(with->arena, pairs->count, sizeof(struct template *));
    if (!*values)
        return false;
    for (uint32_t i = 0; i < pairs->count; i++) {
        const struct conf_text *value = &pairs->items[i].value;

        if (!value->s.len || !memmem(value->s.p, value->s.len, "${", 2))
            continue;
        (*values)[i] = template_new(value, with->arena, with->diag);
        is_good = (*values)[i] && is_good;
    }
    return is_good;
}

static bool compile(struct edit *edit, const struct filter_prepare *with)
{
    bool is_good = compile_pairs(&edit->set, &edit->set_values, with);

    return compile_pairs(&edit->add, &edit->add_values, with) && is_good;
}

static bool prepare(void *conf, const struct filter_prepare *with)
{
    struct headers_conf *headers = conf;
    bool is_good = compile(&headers->request, with);

    return compile(&headers->response, with) && is_good;
}

/* Absent in *value: the field is not to be there. False: memory ended. */
static bool fill(const struct conf_pairs *pairs, const struct template **values, uint32_t i,
                 const struct visit *visit, struct str *value)
{
    *value = pairs->items[i].value.s;
    return !values[i] || !template_fill(values[i], visit, value);
}

/* --- the work */

/* What CGI would take for a field of the request is one: "x_user" beside "x-user". */
static void clear(const struct visit *visit, struct head *head, struct str name)
{
    if (head == visit->request)
        credential_clear_field(head, name);
    else
        head_remove_name(head, name);
}

static bool set_all(const struct edit *edit, const struct visit *visit, struct head *head)
{
    for (uint32_t i = 0; i < edit->set.count; i++) {
        struct str name = edit->set.items[i].name.s, value;

        if (!fill(&edit->set, edit->set_values, i, visit, &value))
            return false;
        clear(visit, head, name);
        if (value.p && head_add(head, visit->arena, name, value))
            return false;
    }
    return true;
}

static bool add_all(const struct edit *edit, const struct visit *visit, struct head *head)
{
    for (uint32_t i = 0; i < edit->add.count; i++) {
        struct str value;

        if (!fill(&edit->add, edit->add_values, i, visit, &value))
            return false;
        if (value.p && head_add(head, visit->arena, edit->add.items[i].name.s, value))
            return false;
    }
    return true;
}

static bool apply(const struct edit *edit, const struct visit *visit, struct head *head)
{
    for (uint32_t i = 0; i < edit->remove.count; i++)
        clear(visit, head, edit->remove.items[i].s);
    return set_all(edit, visit, head) && add_all(edit, visit, head);
}

/* What the target says itself stands; HSTS is the listener's, which knows whether there is TLS. */
static bool secure(struct head *head, struct arena *arena)
{
    static const struct {
        struct str name, value;
    } fields_set[] = {
        {STR_INIT("X-Content-Type-Options"), STR_INIT("nosniff")},
        {STR_INIT("X-Frame-Options"), STR_INIT("SAMEORIGIN")},
        {STR_INIT("Referrer-Policy"), STR_INIT("strict-origin-when-cross-origin")},
        {STR_INIT("Permissions-Policy"),
         STR_INIT("camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), "
                  "usb=()")},
        {STR_INIT("Cross-Origin-Opener-Policy"), STR_INIT("same-origin-allow-popups")},
    };
    static const struct str leaks[] = {
        STR_INIT("server"),           STR_INIT("x-powered-by"),
        STR_INIT("x-aspnet-version"), STR_INIT("x-aspnetmvc-version"),
        STR_INIT("x-generator"),      STR_INIT("x-runtime"),
    };

    for (size_t i = 0; i < ARRAY_LEN(leaks); i++)
        head_remove_name(head, leaks[i]);
    for (size_t i = 0; i < ARRAY_LEN(fields_set); i++)
        if (!head_find_name(head, fields_set[i].name) &&
            head_add(head, arena, fields_set[i].name, fields_set[i].value))
            return false;
    return true;
}

static enum verdict on_request(struct visit *visit)
{
    const struct headers_conf *conf = visit->conf;

    if (apply(&conf->request, visit, visit->request))
        return VERDICT_PASS;
    visit->reason = REASON_HEADERS_TOO_LARGE;
    return VERDICT_FAIL;
}

static enum verdict on_response(struct visit *visit)
{
    const struct headers_conf *conf = visit->conf;

    if ((!conf->security || secure(visit->response, visit->arena)) &&
        apply(&conf->response, visit, visit->response))
        return VERDICT_PASS;
    visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
    return VERDICT_FAIL;
}

const struct filter filter_headers = {
    .name = "headers",
    .doc = "Sets, adds and removes fields of requests and answers.",
    .fields = fields,
    .conf_size = sizeof(struct headers_conf),
    .check = check,
    .prepare = prepare,
    .on_request = on_request,
    .on_response = on_response,
};
