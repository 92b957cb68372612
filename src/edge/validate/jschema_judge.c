/* SPDX-License-Identifier: Apache-2.0
 *
 * Asks a compiled schema about a value. What it may cost is bounded in steps, in depth, in memory
 * and, for patterns, in time: past a bound there is no answer but that.
 */
#include <string.h>

#include "edge/validate/jschema_impl.h"

enum { FEW_ITEMS = 8, FEW_MEMBERS = 256 };

/* Where in the value it is. */
struct place {
    const struct place *up;
    struct str name; /* absent: an item */
    uint32_t index;
};

struct run {
    const struct jschema_ask *ask;
    struct jschema_fault *fault;
    const struct place *place;
    uint64_t steps, looked_us, patterns_us, cpu_from_us;
    unsigned depth;
    bool is_watched; /* cpu_from_us is set */
    unsigned quiet;  /* a branch is only tried: that it fails is nothing to tell of */
    bool is_over;
};

static bool judge(struct run *run, const struct jschema *schema, const struct doc_value *value);

static bool spend(struct run *run, uint64_t n)
{
    run->is_over |= run->steps <= n;
    run->steps -= run->is_over ? run->steps : n;
    return !run->is_over;
}

/* --- telling */

static char *put_token(char *out, const char *end, struct str name)
{
    for (size_t i = 0; i < name.len; i++) {
        bool is_escaped = name.p[i] == '~' || name.p[i] == '/';

        if (end - out < 2)
            return NULL;
        if (is_escaped)
            *out++ = '~';
        *out++ = name.p[i] == '~' ? '0' : name.p[i] == '/' ? '1' : name.p[i];
    }
    return out;
}

static char *put_index(char *out, const char *end, uint32_t index)
{
    char digits[10];
    size_t n = 0;

    do
        digits[n++] = (char)('0' + index % 10);
    while (index /= 10);
    if ((size_t)(end - out) < n)
        return NULL;
    while (n)
        *out++ = digits[--n];
    return out;
}

/* What does not fit whole is left out, with all below it. */
static void put_pointer(const struct place *place, struct jschema_fault *fault)
{
    const struct place *chain[DOC_DEPTH_MAX + 1];
    const char *end = fault->pointer + sizeof(fault->pointer);
    size_t depth = 0;
    char *out = fault->pointer;

    for (; place && depth < ARRAY_LEN(chain); place = place->up)
        chain[depth++] = place;
    while (depth-- && end - out > 1) {
        char *at = out;

        *at++ = '/';
        at = chain[depth]->name.p ? put_token(at, end, chain[depth]->name)
                                  : put_index(at, end, chain[depth]->index);
        if (!at)
            break;
        out = at;
    }
    fault->pointer_len = (size_t)(out - fault->pointer);
}

/* The first and innermost counts. */
static bool fail(struct run *run, const char *keyword, struct str name)
{
    if (run->quiet || run->is_over || run->fault->keyword)
        return false;
    run->fault->keyword = keyword;
    run->fault->name = name;
    put_pointer(run->place, run->fault);
    return false;
}

static bool judge_at(struct run *run, const struct jschema *schema, const struct doc_value *value,
                     struct place place)
{
    bool fits;

    if (!schema)
        return true;
    place.up = run->place;
    run->place = &place;
    fits = judge(run, schema, value);
    run->place = place.up;
    return fits;
}

static bool try(struct run *run, const struct jschema *schema, const struct doc_value *value)
{
    bool fits;

    run->quiet++;
    fits = judge(run, schema, value);
    run->quiet--;
    return fits;
}

/* --- any value */

static bool check_never(struct run *run, const struct jschema_rule *rule,
                        const struct doc_value *value)
{
    (void)run, (void)rule, (void)value;
    return false;
}

static bool check_ref(struct run *run, const struct jschema_rule *rule,
                      const struct doc_value *value)
{
    return judge(run, rule->schema, value);
}

static bool check_type(struct run *run, const struct jschema_rule *rule,
                       const struct doc_value *value)
{
    struct decimal number;

    if (value->type != DOC_NUMBER || !(rule->types & JSCHEMA_INTEGER))
        return rule->types >> value->type & 1;
    spend(run, value->len / DOC_BYTES_A_STEP);
    number = decimal_read(doc_text(value));
    return (rule->types >> DOC_NUMBER & 1) || decimal_is_integer(&number);
}

static bool is_equal(struct run *run, const struct doc_value *a, const struct doc_value *b)
{
    bool is_so = doc_equal(a, b, &run->steps);

    run->is_over |= !run->steps;
    return is_so;
}

static bool check_enum(struct run *run, const struct jschema_rule *rule,
                       const struct doc_value *value)
{
    const struct doc_value *at = rule->value->first;

    while (at && !is_equal(run, at, value))
        at = at->next;
    return at;
}

static bool check_const(struct run *run, const struct jschema_rule *rule,
                        const struct doc_value *value)
{
    return is_equal(run, rule->value, value);
}

/* --- numbers */

static bool check_number(struct run *run, const struct jschema_rule *rule,
                         const struct doc_value *value)
{
    struct decimal number = decimal_read(doc_text(value));
    int order = decimal_compare(&number, &rule->number);

    spend(run, value->len / DOC_BYTES_A_STEP);
    switch (rule->kind) {
    case RULE_MINIMUM:
        return order >= 0;
    case RULE_MAXIMUM:
        return order <= 0;
    case RULE_EXCLUSIVE_MINIMUM:
        return order > 0;
    case RULE_EXCLUSIVE_MAXIMUM:
        return order < 0;
    default:
        return decimal_divides(&rule->number, &number);
    }
}

/* --- texts */

/* In code points: RFC 8259 section 1. */
static uint32_t count_characters(const struct doc_value *value)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < value->len; i++)
        count += (value->text[i] & 0xc0) != 0x80;
    return count;
}

static bool check_length(struct run *run, const struct jschema_rule *rule,
                         const struct doc_value *value)
{
    uint32_t count = value->len;

    if (count > rule->count || rule->kind == RULE_MIN_LENGTH) {
        spend(run, count / DOC_BYTES_A_STEP);
        count = count_characters(value);
    }
    return rule->kind == RULE_MIN_LENGTH ? count >= rule->count : count <= rule->count;
}

/* The clock also runs while the thread is kept from the processor: past the limit, the thread's own
 * time counts from then on. */
static bool is_out_of_time(void *owner)
{
    struct run *run = owner;
    uint64_t now_us = run->ask->now_us(), cpu_us;

    run->patterns_us += now_us - run->looked_us;
    run->looked_us = now_us;
    if (run->patterns_us <= JSCHEMA_PATTERNS_US)
        return false;
    cpu_us = run->ask->cpu_us();
    run->patterns_us = 0;
    if (!run->is_watched)
        run->cpu_from_us = cpu_us;
    run->is_watched = true;
    return cpu_us - run->cpu_from_us > JSCHEMA_PATTERNS_US;
}

static bool matches(struct run *run, const struct ecma *pattern, struct str text)
{
    const struct ecma_watch watch = {is_out_of_time, run};
    enum ecma_answer answer;

    run->looked_us = run->ask->now_us();
    answer = ecma_match(pattern, text, &watch);
    spend(run, text.len / DOC_BYTES_A_STEP);
    run->is_over |= answer == ECMA_TOO_LONG || is_out_of_time(run);
    return answer == ECMA_FITS;
}

static bool check_pattern(struct run *run, const struct jschema_rule *rule,
                          const struct doc_value *value)
{
    return matches(run, rule->pattern, doc_text(value));
}

static bool check_format(struct run *run, const struct jschema_rule *rule,
                         const struct doc_value *value)
{
    spend(run,
          value->type == DOC_TEXT || value->type == DOC_NUMBER ? value->len / DOC_BYTES_A_STEP : 0);
    return value->type != rule->format->type || rule->format->fits(doc_text(value));
}

/* --- how many */

static bool check_count(struct run *run, const struct jschema_rule *rule,
                        const struct doc_value *value)
{
    bool is_least = rule->kind == RULE_MIN_ITEMS || rule->kind == RULE_MIN_PROPERTIES;

    (void)run;
    return is_least ? value->len >= rule->count : value->len <= rule->count;
}

/* --- lists */

static bool is_unique_few(struct run *run, const struct doc_value *list)
{
    for (const struct doc_value *a = list->first; a; a = a->next)
        for (const struct doc_value *b = a->next; b; b = b->next)
            if (is_equal(run, a, b))
                return false;
    return true;
}

struct unique_slot {
    const struct doc_value *value;
    uint64_t hash;
};

static bool is_unique_many(struct run *run, const struct doc_value *list)
{
    struct unique_slot *slots;
    size_t size = 2 * FEW_ITEMS;

    while (size < 2 * (size_t)list->len)
        size *= 2;
    slots = arena_zero(run->ask->scratch, size, sizeof(*slots));
    run->is_over |= !slots;
    for (const struct doc_value *at = list->first; at && !run->is_over; at = at->next) {
        uint64_t hash = doc_hash(at, run->ask->seed, &run->steps);
        size_t i = hash & (size - 1);

        for (; slots[i].value; i = (i + 1) & (size - 1))
            if (slots[i].hash == hash && is_equal(run, slots[i].value, at))
                return false;
        slots[i] = (struct unique_slot){at, hash};
        spend(run, 1);
    }
    return true;
}

static bool check_unique(struct run *run, const struct jschema_rule *rule,
                         const struct doc_value *value)
{
    (void)rule;
    return value->len <= FEW_ITEMS ? is_unique_few(run, value) : is_unique_many(run, value);
}

static bool check_items(struct run *run, const struct jschema_rule *rule,
                        const struct doc_value *value)
{
    const struct jschema_items *items = rule->items;
    struct place place = {.index = 0};

    for (const struct doc_value *at = value->first; at; at = at->next, place.index++) {
        const struct jschema *schema =
            place.index < items->prefix.count ? items->prefix.items[place.index] : items->rest;

        if (!judge_at(run, schema, at, place))
            return false;
    }
    return true;
}

static bool check_contains(struct run *run, const struct jschema_rule *rule,
                           const struct doc_value *value)
{
    uint32_t count = 0;

    for (const struct doc_value *at = value->first; at && !run->is_over; at = at->next)
        count += try(run, rule->contains->schema, at);
    return count >= rule->contains->least && count <= rule->contains->most;
}

/* --- maps */

static const struct jschema_member *find_member(const struct jschema_members *members,
                                                struct str name)
{
    uint32_t low = 0, high = members->count;

    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        int order = jschema_compare_names(name, members->members[middle].name);

        if (!order)
            return &members->members[middle];
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    return NULL;
}

/* `is_alone` is cleared when a pattern speaks of it. */
static bool check_families(struct run *run, const struct jschema_members *members,
                           const struct doc_value *value, bool *is_alone)
{
    struct place place = {.name = doc_name(value)};

    for (uint32_t i = 0; i < members->family_count; i++) {
        const struct jschema_family *family = &members->families[i];

        spend(run, 1);
        if (!matches(run, family->pattern, place.name))
            continue;
        *is_alone = false;
        if (!judge_at(run, family->schema, value, place))
            return false;
    }
    return true;
}

static bool check_member(struct run *run, const struct jschema_members *members,
                         const struct doc_value *value, const struct jschema_member *member)
{
    struct place place = {.name = doc_name(value)};
    bool is_alone = !member || !member->schema;

    if (member && !judge_at(run, member->schema, value, place))
        return false;
    if (!check_families(run, members, value, &is_alone))
        return false;
    if (!is_alone || !members->others)
        return true;
    if (members->others->count == 1 && members->others->rules->kind == RULE_NEVER) {
        place.up = run->place;
        run->place = &place;
        fail(run, "additionalProperties", STR_NONE);
        run->place = place.up;
        return false;
    }
    return judge_at(run, members->others, value, place);
}

static bool lacks(struct run *run, const struct jschema_members *members, const uint8_t *seen)
{
    for (uint32_t i = 0; i < members->count; i++)
        if (members->members[i].is_required && !seen[i])
            fail(run, "required", members->members[i].name);
    return false;
}

static bool check_members(struct run *run, const struct jschema_rule *rule,
                          const struct doc_value *value)
{
    const struct jschema_members *members = rule->members;
    uint8_t few[FEW_MEMBERS] = {0}, *seen = few;
    uint32_t required = 0;

    if (members->count > FEW_MEMBERS)
        seen = arena_zero(run->ask->scratch, members->count, 1);
    run->is_over |= !seen;
    for (const struct doc_value *at = value->first; at && !run->is_over; at = at->next) {
        const struct jschema_member *member = find_member(members, doc_name(at));

        if (!spend(run, 1) || !check_member(run, members, at, member))
            return false;
        if (!member)
            continue;
        seen[member - members->members] = 1;
        required += member->is_required;
    }
    return run->is_over || required == members->required_count || lacks(run, members, seen);
}

static bool check_names(struct run *run, const struct jschema_rule *rule,
                        const struct doc_value *value)
{
    for (const struct doc_value *at = value->first; at; at = at->next) {
        struct doc_value name = {.text = at->name, .len = at->name_len, .type = DOC_TEXT};
        struct place place = {.up = run->place, .name = doc_name(at)};
        bool fits = try(run, rule->schema, &name);

        if (fits)
            continue;
        run->place = &place;
        fail(run, "propertyNames", STR_NONE);
        run->place = place.up;
        return false;
    }
    return true;
}

static bool check_needs(struct run *run, const struct jschema_rule *rule,
                        const struct doc_value *value)
{
    for (uint32_t i = 0; i < rule->dependencies->count; i++) {
        const struct jschema_dependency *dependency = &rule->dependencies->items[i];

        if (!spend(run, value->len) || !doc_find(value, dependency->name))
            continue;
        for (uint32_t j = 0; j < dependency->count && spend(run, value->len); j++)
            if (!doc_find(value, dependency->needs[j]))
                return fail(run, "dependentRequired", dependency->needs[j]);
    }
    return true;
}

static bool check_dependents(struct run *run, const struct jschema_rule *rule,
                             const struct doc_value *value)
{
    for (uint32_t i = 0; i < rule->dependencies->count; i++) {
        const struct jschema_dependency *dependency = &rule->dependencies->items[i];

        if (spend(run, value->len) && doc_find(value, dependency->name) &&
            !judge(run, dependency->schema, value))
            return false;
    }
    return true;
}

/* --- schemas together */

static bool check_all(struct run *run, const struct jschema_rule *rule,
                      const struct doc_value *value)
{
    for (uint32_t i = 0; i < rule->list.count; i++)
        if (!judge(run, rule->list.items[i], value))
            return false;
    return true;
}

/* Of oneOf a second one is looked for. */
static bool check_choice(struct run *run, const struct jschema_rule *rule,
                         const struct doc_value *value)
{
    unsigned count = 0, most = rule->kind == RULE_ONE_OF ? 2 : 1;

    for (uint32_t i = 0; i < rule->list.count && count < most; i++)
        count += try(run, rule->list.items[i], value);
    return count == 1;
}

static bool check_not(struct run *run, const struct jschema_rule *rule,
                      const struct doc_value *value)
{
    return !try(run, rule->schema, value);
}

static bool check_when(struct run *run, const struct jschema_rule *rule,
                       const struct doc_value *value)
{
    const struct jschema_if *when = rule->when;
    const struct jschema *branch = try(run, when->condition, value) ? when->then : when->otherwise;

    return !branch || judge(run, branch, value);
}

/* --- the table */

static const struct check {
    const char *keyword;
    int type; /* of the values that it speaks of; -1: of all */
    bool (*fits)(struct run *run, const struct jschema_rule *rule, const struct doc_value *value);
} checks[RULE_KINDS] = {
    [RULE_NEVER] = {"false", -1, check_never},
    [RULE_REF] = {"$ref", -1, check_ref},
    [RULE_TYPE] = {"type", -1, check_type},
    [RULE_ENUM] = {"enum", -1, check_enum},
    [RULE_CONST] = {"const", -1, check_const},
    [RULE_MINIMUM] = {"minimum", DOC_NUMBER, check_number},
    [RULE_MAXIMUM] = {"maximum", DOC_NUMBER, check_number},
    [RULE_EXCLUSIVE_MINIMUM] = {"exclusiveMinimum", DOC_NUMBER, check_number},
    [RULE_EXCLUSIVE_MAXIMUM] = {"exclusiveMaximum", DOC_NUMBER, check_number},
    [RULE_MULTIPLE_OF] = {"multipleOf", DOC_NUMBER, check_number},
    [RULE_MIN_LENGTH] = {"minLength", DOC_TEXT, check_length},
    [RULE_MAX_LENGTH] = {"maxLength", DOC_TEXT, check_length},
    [RULE_PATTERN] = {"pattern", DOC_TEXT, check_pattern},
    [RULE_FORMAT] = {"format", -1, check_format},
    [RULE_MIN_ITEMS] = {"minItems", DOC_LIST, check_count},
    [RULE_MAX_ITEMS] = {"maxItems", DOC_LIST, check_count},
    [RULE_UNIQUE_ITEMS] = {"uniqueItems", DOC_LIST, check_unique},
    [RULE_ITEMS] = {"items", DOC_LIST, check_items},
    [RULE_CONTAINS] = {"contains", DOC_LIST, check_contains},
    [RULE_MIN_PROPERTIES] = {"minProperties", DOC_MAP, check_count},
    [RULE_MAX_PROPERTIES] = {"maxProperties", DOC_MAP, check_count},
    [RULE_MEMBERS] = {"properties", DOC_MAP, check_members},
    [RULE_PROPERTY_NAMES] = {"propertyNames", DOC_MAP, check_names},
    [RULE_DEPENDENT_REQUIRED] = {"dependentRequired", DOC_MAP, check_needs},
    [RULE_DEPENDENT_SCHEMAS] = {"dependentSchemas", DOC_MAP, check_dependents},
    [RULE_ALL_OF] = {"allOf", -1, check_all},
    [RULE_ANY_OF] = {"anyOf", -1, check_choice},
    [RULE_ONE_OF] = {"oneOf", -1, check_choice},
    [RULE_NOT] = {"not", -1, check_not},
    [RULE_IF] = {"if", -1, check_when},
};

static bool judge(struct run *run, const struct jschema *schema, const struct doc_value *value)
{
    bool fits = true;

    run->is_over |= run->depth >= JSCHEMA_DEPTH_MAX;
    run->depth++;
    for (uint32_t i = 0; i < schema->count && fits; i++) {
        const struct jschema_rule *rule = &schema->rules[i];
        const struct check *check = &checks[rule->kind];

        if (!spend(run, 1))
            fits = false;
        else if (check->type < 0 || check->type == (int)value->type)
            fits = check->fits(run, rule, value) || fail(run, check->keyword, STR_NONE);
    }
    run->depth--;
    return fits && !run->is_over;
}

enum jschema_answer jschema_judge(const struct jschema *schema, const struct doc_value *value,
                                  const struct jschema_ask *ask, struct jschema_fault *fault)
{
    struct run run = {.ask = ask, .fault = fault, .steps = JSCHEMA_STEPS_MAX};
    bool fits;

    fault->keyword = NULL;
    fault->name = STR_NONE;
    fault->pointer_len = 0;
    fits = judge(&run, schema, value);
    if (run.is_over)
        return JSCHEMA_TOO_COMPLEX;
    return fits ? JSCHEMA_FITS : JSCHEMA_FAILS;
}
