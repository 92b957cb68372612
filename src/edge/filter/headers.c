/* SPDX-License-Identifier: Apache-2.0
 *
 * headers: sets, adds and removes fields of requests and answers. Fields that carry the framing or
 * the way of a message are not to be touched.
 */
#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "config/field.h"
#include "sluice/filter.h"

struct edit {
    struct conf_pairs set, add;
    struct conf_texts remove;
};

struct headers_conf {
    struct edit request, response;
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
    FIELD_END,
};

/* --- checks: a field that could break a message is an error of the configuration, not of a request
 */

static bool is_token(struct str name)
{
    static const char more[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < name.len; i++) {
        char c = name.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alnum && (!c || !strchr(more, c)))
            return false;
    }
    return name.len > 0 && name.len < UINT16_MAX;
}

static bool is_value(struct str value)
{
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.p[i] < 0x20 && value.p[i] != '\t') || value.p[i] == 0x7f)
            return false;
    return true;
}

static bool is_ours(struct str name)
{
    static const char *const ours[] = {
        "connection", "content-length", "transfer-encoding", "host",
        "te",         "trailer",        "upgrade",           "keep-alive"};

    for (size_t i = 0; i < ARRAY_LEN(ours); i++)
        if (strlen(ours[i]) == name.len && !strncasecmp(ours[i], name.p, name.len))
            return true;
    return false;
}

static bool check_name(const struct conf_text *name, struct diag *diag)
{
    if (!is_token(name->s))
        diag_error(diag, name->at, "\"%.*s\" is not a field name", STR_FMT(name->s));
    else if (is_ours(name->s))
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
        if (is_value(pairs->items[i].value.s))
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

/* --- the work */

static bool apply(const struct edit *edit, struct head *head, struct arena *arena)
{
    for (uint32_t i = 0; i < edit->remove.count; i++)
        head_remove_name(head, edit->remove.items[i].s);
    for (uint32_t i = 0; i < edit->set.count; i++)
        if (head_set(head, arena, edit->set.items[i].name.s, edit->set.items[i].value.s))
            return false;
    for (uint32_t i = 0; i < edit->add.count; i++)
        if (head_add(head, arena, edit->add.items[i].name.s, edit->add.items[i].value.s))
            return false;
    return true;
}

static enum verdict on_request(struct visit *visit)
{
    const struct headers_conf *conf = visit->conf;

    if (apply(&conf->request, visit->request, visit->arena))
        return VERDICT_PASS;
    visit->reason = REASON_HEADERS_TOO_LARGE;
    return VERDICT_FAIL;
}

static enum verdict on_response(struct visit *visit)
{
    const struct headers_conf *conf = visit->conf;

    if (apply(&conf->response, visit->response, visit->arena))
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
    .on_request = on_request,
    .on_response = on_response,
};
