/* SPDX-License-Identifier: Apache-2.0
 *
 * The parameters of a request: found, decoded, read as what their schemas want, and judged.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "edge/validate/decimal.h"
#include "edge/validate/openapi_impl.h"
#include "http/cookie.h"

struct pair {
    struct str name, value; /* decoded; value absent: there is no '=' */
};

struct texts {
    struct str *items;
    uint32_t count;
};

struct query {
    struct pair *pairs;
    uint32_t count;
    bool is_bad; /* it cannot be decoded */
};

struct params {
    const struct openapi_match *match;
    const struct head *request;
    const struct jschema_ask *ask;
    struct openapi_fault *fault;
    struct query query;
};

/* --- decoding */

static int hex(char c)
{
    char lower = (char)(c | 0x20);

    if (c >= '0' && c <= '9')
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

static bool is_utf8(struct str s)
{
    while (s.len) {
        size_t len = text_utf8(s);

        if (!len)
            return false;
        s = (struct str){s.p + len, s.len - len};
    }
    return true;
}

/* Absent when it is malformed or no UTF-8, or memory ends. `plus`: what a '+' means. */
static struct str decode(struct arena *arena, struct str s, char plus)
{
    char *out = arena_text(arena, s.len + 1);
    size_t n = 0;

    if (!out)
        return STR_NONE;
    for (size_t i = 0; i < s.len; i++) {
        char c = s.p[i] == '+' ? plus : s.p[i];

        if (c == '%') {
            if (s.len - i < 3 || hex(s.p[i + 1]) < 0 || hex(s.p[i + 2]) < 0)
                return STR_NONE;
            c = (char)(hex(s.p[i + 1]) << 4 | hex(s.p[i + 2]));
            i += 2;
        }
        out[n++] = c;
    }
    s = (struct str){out, n};
    return is_utf8(s) ? s : STR_NONE;
}

static struct str take_until(struct str *left, char delimiter)
{
    const char *end = left->len ? memchr(left->p, delimiter, left->len) : NULL;
    struct str taken = {left->p, end ? (size_t)(end - left->p) : left->len};
    size_t gone = taken.len + (end != NULL);

    *left = (struct str){left->p + gone, left->len - gone};
    return taken;
}

static uint32_t count_items(struct str s, char delimiter)
{
    uint32_t count = 1;

    for (size_t i = 0; i < s.len; i++)
        count += s.p[i] == delimiter;
    return count;
}

static void read_query(struct params *params)
{
    struct str left = params->request->query;
    struct query *query = &params->query;
    struct arena *arena = params->ask->scratch;

    if (!left.len)
        return;
    query->pairs = arena_zero(arena, count_items(left, '&'), sizeof(*query->pairs));
    query->is_bad = !query->pairs;
    while (left.len && !query->is_bad) {
        struct str value = take_until(&left, '&'), name;
        bool has_value = value.len && memchr(value.p, '=', value.len);
        struct pair *pair = &query->pairs[query->count];

        if (!value.len)
            continue;
        name = take_until(&value, '=');
        pair->name = decode(arena, name, ' ');
        pair->value = has_value ? decode(arena, value, ' ') : STR("");
        query->is_bad |= !pair->name.p || !pair->value.p;
        query->count++;
    }
}

/* --- finding: all texts that stand under the name */

static bool add(struct params *params, struct texts *texts, struct str text)
{
    if (!text.p)
        return false;
    if (!texts->items) {
        uint32_t most = 1U + params->query.count + params->request->count;

        texts->items = arena_zero(params->ask->scratch, most, sizeof(*texts->items));
        if (!texts->items)
            return false;
    }
    texts->items[texts->count++] = text;
    return true;
}

static bool find_header(struct params *params, struct str name, struct texts *texts)
{
    for (unsigned i = 0; i < params->request->count; i++) {
        const struct header *field = &params->request->headers[i];
        struct str value = {field->value, field->value_len};

        if (field->name_len == name.len && !strncasecmp(field->name, name.p, name.len) &&
            (!is_utf8(value) || !add(params, texts, value)))
            return false;
    }
    return true;
}

/* Two are enough to know that it is repeated. */
static bool find_cookies(struct params *params, struct str name, struct texts *texts)
{
    for (unsigned i = 0; i < params->request->count; i++) {
        const struct header *field = &params->request->headers[i];
        struct str left = {field->value, field->value_len}, text;

        if (field->id != HDR_COOKIE)
            continue;
        while (texts->count < 2 && (text = cookie_next(&left, name)).p)
            if (!is_utf8(text) || !add(params, texts, text))
                return false;
    }
    return true;
}

/* False: what stands there cannot be read. */
static bool find(struct params *params, const struct openapi_parameter *parameter,
                 struct texts *texts)
{
    switch (parameter->in) {
    case IN_HEADER:
        return find_header(params, parameter->name, texts);
    case IN_QUERY:
        for (uint32_t i = 0; i < params->query.count; i++)
            if (str_same(params->query.pairs[i].name, parameter->name) &&
                !add(params, texts, params->query.pairs[i].value))
                return false;
        return !params->query.is_bad;
    case IN_PATH:
        for (unsigned i = 0; i < params->match->count; i++)
            if (str_same(params->match->values[i].name, parameter->name))
                return add(params, texts,
                           decode(params->ask->scratch, params->match->values[i].text, '+'));
        return true;
    case IN_COOKIE:
        return find_cookies(params, parameter->name, texts);
    }
    return false;
}

/* --- reading as what the schema wants */

static struct doc_value scalar(struct str text, enum doc_type type)
{
    struct doc_value value = {.text = text.p, .len = (uint32_t)text.len};

    value.type = type & 7U;
    if (type == DOC_BOOL)
        value.len = text.p[0] == 't';
    return value;
}

static bool may_be(struct str text, enum doc_type type)
{
    if (type == DOC_NUMBER)
        return text.len && decimal_scan(text) == text.len;
    if (type == DOC_BOOL)
        return str_same(text, STR("true")) || str_same(text, STR("false"));
    return type == DOC_TEXT;
}

/* The type that a text is read as first. */
static enum doc_type guess(struct str text, const struct jschema *schema)
{
    unsigned types = schema ? jschema_types(schema) : 1U << DOC_TEXT;

    if ((types >> DOC_NUMBER & 1) && may_be(text, DOC_NUMBER))
        return DOC_NUMBER;
    if ((types >> DOC_BOOL & 1) && may_be(text, DOC_BOOL))
        return DOC_BOOL;
    return DOC_TEXT;
}

static enum jschema_answer judge_scalar(struct params *params,
                                        const struct openapi_parameter *parameter, struct str text)
{
    enum doc_type type = guess(text, parameter->schema);
    struct doc_value value = scalar(text, type);
    struct jschema_fault second;
    enum jschema_answer answer =
        jschema_judge(parameter->schema, &value, params->ask, &params->fault->why);

    if (answer != JSCHEMA_FAILS || type == DOC_TEXT ||
        !(jschema_types(parameter->schema) >> DOC_TEXT & 1))
        return answer;
    value = scalar(text, DOC_TEXT); // "12" may as well be meant as a text
    answer = jschema_judge(parameter->schema, &value, params->ask, &second);
    return answer;
}

static bool add_item(struct params *params, const struct jschema *schema, struct doc_value *list,
                     struct str text)
{
    struct doc_value *item = arena_alloc(params->ask->scratch, sizeof(*item));

    if (!item)
        return false;
    *item = scalar(text, guess(text, schema));
    item->next = list->first; // turned round at the end
    list->first = item;
    list->len++;
    return true;
}

static void reverse(struct doc_value *list)
{
    struct doc_value *at = list->first;

    list->first = NULL;
    while (at) {
        struct doc_value *next = at->next;

        at->next = list->first;
        list->first = at;
        at = next;
    }
}

static struct str trim(struct str s)
{
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct str){s.p + 1, s.len - 1};
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool split(struct params *params, const struct openapi_parameter *parameter, struct str text,
                  struct doc_value *list)
{
    const struct jschema *items = jschema_items(parameter->schema);
    bool is_good = true;

    for (uint32_t left = count_items(text, parameter->delimiter); left && is_good; left--) {
        struct str item = take_until(&text, parameter->delimiter);

        is_good = add_item(params, items, list, parameter->in == IN_HEADER ? trim(item) : item);
    }
    return is_good;
}

static enum jschema_answer judge_list(struct params *params,
                                      const struct openapi_parameter *parameter,
                                      const struct texts *texts)
{
    struct doc_value list = {.type = DOC_LIST};
    bool is_good = true;

    for (uint32_t i = 0; i < texts->count && is_good; i++) {
        if (parameter->is_spread)
            is_good = add_item(params, jschema_items(parameter->schema), &list, texts->items[i]);
        else
            is_good = split(params, parameter, texts->items[i], &list);
    }
    if (!is_good)
        return JSCHEMA_TOO_COMPLEX;
    reverse(&list);
    return jschema_judge(parameter->schema, &list, params->ask, &params->fault->why);
}

static enum jschema_answer fail(struct params *params, const char *keyword)
{
    params->fault->why.keyword = keyword;
    return JSCHEMA_FAILS;
}

static enum jschema_answer judge_json(struct params *params,
                                      const struct openapi_parameter *parameter, struct str text)
{
    struct doc_fault fault;
    const struct doc_value *value = doc_read(text, params->ask->scratch, params->ask->seed, &fault);

    if (!value)
        return fault.problem == DOC_TOO_LARGE ? JSCHEMA_TOO_COMPLEX : fail(params, "content");
    if (!parameter->schema)
        return JSCHEMA_FITS;
    return jschema_judge(parameter->schema, value, params->ask, &params->fault->why);
}

/* A parameter that is no list and stands twice may be either at the target. */
static enum jschema_answer judge(struct params *params, const struct openapi_parameter *parameter)
{
    bool may_repeat = parameter->is_list && (parameter->is_spread || parameter->in == IN_HEADER);
    struct texts texts = {NULL, 0};

    if (!find(params, parameter, &texts))
        return fail(params, "encoding");
    if (!texts.count)
        return parameter->is_required ? fail(params, "required") : JSCHEMA_FITS;
    if (texts.count > 1 && !may_repeat)
        return fail(params, "repeated");
    if (!texts.items[0].len && parameter->may_be_empty)
        return JSCHEMA_FITS;
    if (parameter->is_json)
        return judge_json(params, parameter, texts.items[0]);
    if (!parameter->schema)
        return JSCHEMA_FITS;
    return parameter->is_list ? judge_list(params, parameter, &texts)
                              : judge_scalar(params, parameter, texts.items[0]);
}

enum jschema_answer openapi_judge(const struct openapi_operation *operation,
                                  const struct openapi_match *match, const struct head *request,
                                  const struct jschema_ask *ask, struct openapi_fault *fault)
{
    static const char *const places[] = {"path", "query", "header", "cookie"};
    struct params params = {.match = match, .request = request, .ask = ask, .fault = fault};
    enum jschema_answer answer = JSCHEMA_FITS;

    if (operation->count)
        read_query(&params);
    for (uint32_t i = 0; i < operation->count && answer == JSCHEMA_FITS; i++) {
        const struct openapi_parameter *parameter = &operation->parameters[i];

        fault->why = (struct jschema_fault){.keyword = NULL};
        fault->name = parameter->name;
        fault->in = places[parameter->in];
        answer = judge(&params, parameter);
    }
    return answer;
}
