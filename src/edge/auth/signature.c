/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/signature.h"

#include <assert.h>

#include "base/text.h"
#include "edge/auth/sf.h"

static const struct {
    const char *word, *sentence;
} faults[] = {
#define FAULT(id, word, sentence) [SIGNATURE_##id] = {word, sentence},
    SIGNATURE_FAULTS(FAULT)
#undef FAULT
};

const char *signature_word(enum signature_fault fault)
{
    assert(fault < SIGNATURE_FAULT_COUNT);
    return faults[fault].word;
}

const char *signature_sentence(enum signature_fault fault)
{
    assert(fault < SIGNATURE_FAULT_COUNT);
    return faults[fault].sentence;
}

/* --- one signature, written again as it is signed (section 2.3) while it is read */

struct reading {
    struct sf sf;
    struct signature *out;
    char *at; /* in out->text */
};

static void put(struct reading *reading, struct str text)
{
    reading->at = text_put(reading->at, text);
}

/* ";name" or ";name=value": one that is true has no value (RFC 9651 section 4.1.1.2). */
static void put_parameter(struct reading *reading, struct str key, const struct sf_item *item)
{
    put(reading, STR(";"));
    put(reading, key);
    if (item->type == SF_BOOLEAN && item->number)
        return;
    put(reading, STR("="));
    put(reading, item->raw);
}

static bool take_component_parameter(struct signature_component *component, struct str key,
                                     const struct sf_item *item)
{
    bool is_query = str_same(component->name, STR("@query-param"));

    if (is_query && str_same(key, STR("name")) && item->type == SF_STRING && !component->param.p) {
        component->param = item->text;
        return true;
    }
    if (!str_same(key, STR("bs")) || item->type != SF_BOOLEAN || !item->number ||
        component->is_bytes || component->name.p[0] == '@')
        return false;
    component->is_bytes = true;
    return true;
}

/* Lower case, and neither quotes nor backslashes; nor what is signed of all signatures (2.3). */
static bool is_component_name(struct str name)
{
    for (size_t i = 0; i < name.len; i++)
        if ((name.p[i] >= 'A' && name.p[i] <= 'Z') || name.p[i] == '\\' || name.p[i] <= ' ')
            return false;
    return name.len > 0 && !str_same(name, STR("@signature-params"));
}

static bool has_component(const struct signature *signature, struct str text)
{
    for (unsigned i = 0; i < signature->count; i++)
        if (str_same(signature->components[i].text, text))
            return true;
    return false;
}

/* False: malformed. *is_known false: there is a parameter that is not supported. */
static bool read_component(struct reading *reading, bool *is_known)
{
    struct signature *out = reading->out;
    struct signature_component component = {.is_bytes = false};
    struct sf_item item;
    struct str key;
    const char *start = reading->at;

    if (!sf_item(&reading->sf, &item) || item.type != SF_STRING || !is_component_name(item.text))
        return false;
    component.name = item.text;
    put(reading, item.raw);
    while (sf_take(&reading->sf, ';')) {
        if (!sf_parameter(&reading->sf, &key, &item))
            return false;
        *is_known &= take_component_parameter(&component, key, &item);
        put_parameter(reading, key, &item);
    }
    component.text = (struct str){start, (size_t)(reading->at - start)};
    if (out->count == SIGNATURE_COMPONENTS_MAX || has_component(out, component.text))
        return false;
    out->components[out->count++] = component;
    return true;
}

static bool read_components(struct reading *reading, bool *is_known)
{
    struct sf *sf = &reading->sf;

    if (!sf_take(sf, '('))
        return false;
    put(reading, STR("("));
    for (sf_skip_spaces(sf); !sf_take(sf, ')'); sf_skip_spaces(sf)) {
        if (reading->out->count) {
            if (sf->at[-1] != ' ')
                return false;
            put(reading, STR(" "));
        }
        if (!read_component(reading, is_known))
            return false;
    }
    put(reading, STR(")"));
    return true;
}

static bool take_text(struct str *to, const struct sf_item *item)
{
    if (to->p || item->type != SF_STRING)
        return false;
    *to = item->text;
    return true;
}

static bool take_time(bool *has, int64_t *to, const struct sf_item *item)
{
    if (*has || item->type != SF_INTEGER || item->number < 0)
        return false;
    *has = true;
    *to = item->number;
    return true;
}

/* Others than these are signed, and mean nothing to us. */
static bool take_parameter(struct signature *out, struct str key, const struct sf_item *item)
{
    if (str_same(key, STR("created")))
        return take_time(&out->has_created, &out->created, item);
    if (str_same(key, STR("expires")))
        return take_time(&out->has_expires, &out->expires, item);
    if (str_same(key, STR("keyid")))
        return take_text(&out->keyid, item);
    if (str_same(key, STR("alg")))
        return take_text(&out->alg, item);
    if (str_same(key, STR("nonce")))
        return take_text(&out->nonce, item);
    if (str_same(key, STR("tag")))
        return take_text(&out->tag, item);
    return true;
}

/* False: malformed, or too long. `out` is filled then as far as it goes. */
static bool read_input(struct sf *sf, struct signature *out, bool *is_known)
{
    struct reading reading = {.sf = *sf, .out = out, .at = out->text};
    struct sf_item item;
    struct str key;

    *is_known = true;
    if (sf->end - sf->at > SIGNATURE_PARAMS_MAX) // what is written is no longer than what is read
        reading.sf.end = sf->at + SIGNATURE_PARAMS_MAX;
    if (!read_components(&reading, is_known))
        return false;
    while (sf_take(&reading.sf, ';')) {
        if (!sf_parameter(&reading.sf, &key, &item) || !take_parameter(out, key, &item))
            return false;
        put_parameter(&reading, key, &item);
    }
    out->params = (struct str){out->text, (size_t)(reading.at - out->text)};
    sf->at = reading.sf.at;
    return true;
}

enum signature_fault signature_read(struct signature *signature, const struct signature_set *set,
                                    unsigned index)
{
    struct str input = set->items[index].input, digits = set->items[index].digits;
    struct sf sf = {input.p, input.p + input.len};
    bool is_known;

    signature->count = 0;
    signature->has_created = signature->has_expires = false;
    signature->keyid = signature->alg = signature->nonce = signature->tag = STR_NONE;
    signature->label = set->items[index].label;
    if (!digits.p)
        return SIGNATURE_LABEL;
    if (!read_input(&sf, signature, &is_known))
        return SIGNATURE_SYNTAX;
    signature->has_bytes = sf_bytes(digits, signature->bytes, sizeof(signature->bytes)) ==
                           (int)sizeof(signature->bytes);
    return is_known ? SIGNATURE_NONE : SIGNATURE_COMPONENT;
}

/* --- all of them: two dictionaries with the same keys (sections 4.1 and 4.2) */

static bool read_label(struct sf *sf, struct str *label)
{
    return sf_key(sf, label) && sf_take(sf, '=');
}

static bool read_inputs(struct signature_set *set, struct str value)
{
    struct sf sf = sf_begin(value);
    struct signature scratch;
    bool is_known;

    while (!sf_is_end(&sf)) {
        const char *start;
        struct str label;

        scratch.count = 0;
        scratch.has_created = scratch.has_expires = false;
        scratch.keyid = scratch.alg = scratch.nonce = scratch.tag = STR_NONE;
        if (set->count == SIGNATURE_LABELS_MAX || !read_label(&sf, &label))
            return false;
        for (unsigned i = 0; i < set->count; i++)
            if (str_same(set->items[i].label, label))
                return false;
        start = sf.at;
        if (!read_input(&sf, &scratch, &is_known))
            return false;
        set->items[set->count].label = label;
        set->items[set->count].input = (struct str){start, (size_t)(sf.at - start)};
        set->items[set->count++].digits = STR_NONE;
        if (!sf_next(&sf))
            return false;
    }
    return set->count > 0;
}

static bool note_digits(struct signature_set *set, struct str label, struct str digits)
{
    for (unsigned i = 0; i < set->count; i++) {
        if (!str_same(set->items[i].label, label))
            continue;
        if (set->items[i].digits.p)
            return false;
        set->items[i].digits = digits;
    }
    return true;
}

static bool read_signatures(struct signature_set *set, struct str value)
{
    struct sf sf = sf_begin(value);
    unsigned count = 0;

    while (!sf_is_end(&sf)) {
        struct sf_item item;
        struct str label;

        if (++count > SIGNATURE_LABELS_MAX || !read_label(&sf, &label) || !sf_item(&sf, &item) ||
            item.type != SF_BYTES || !note_digits(set, label, item.text) || !sf_next(&sf))
            return false;
    }
    return count > 0;
}

enum signature_fault signature_set_read(struct signature_set *set, const struct head *head,
                                        struct arena *arena)
{
    bool is_good, is_all_good;
    struct str inputs = sf_value(head, STR("signature-input"), arena, &is_good);
    struct str signatures = sf_value(head, STR("signature"), arena, &is_all_good);

    set->count = 0;
    if (!is_good || !is_all_good)
        return SIGNATURE_MEMORY;
    if (!inputs.p && !signatures.p)
        return SIGNATURE_ABSENT;
    if (!inputs.p || !signatures.p)
        return SIGNATURE_LABEL;
    if (!read_inputs(set, inputs) || !read_signatures(set, signatures))
        return SIGNATURE_SYNTAX;
    return SIGNATURE_NONE;
}

bool signature_covers(const struct signature *signature, struct str name)
{
    static const struct str parts[] = {STR_INIT("@scheme"), STR_INIT("@authority"),
                                       STR_INIT("@path"), STR_INIT("@query")};
    bool is_part = false;

    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        is_part |= str_same(name, parts[i]);
    for (unsigned i = 0; i < signature->count; i++) {
        struct str covered = signature->components[i].name;

        if (str_same(covered, name) || (is_part && str_same(covered, STR("@target-uri"))))
            return true;
    }
    return false;
}
