/* SPDX-License-Identifier: Apache-2.0
 *
 * See field_scalar.h.
 */
#include "config/field_scalar.h"

#include <assert.h>
#include <string.h>

#include "config/tree.h"
#include "config/units.h"

enum { SHOWN_MAX = 80, WORDS_MAX = 32 };

/* What may be said of a secret: where it came from, if it was not written here. */
static struct str origin_of(const struct node *node)
{
    struct str raw = STR_NONE;

    if (!node->source)
        return raw;
    raw = (struct str){node->source->text.p + node->offset, node->length};
    if (raw.len > 1 && (raw.p[0] == '"' || raw.p[0] == '\'')) {
        raw.p++;
        raw.len -= 2;
    }
    return memmem(raw.p, raw.len, "${", 2) ? raw : STR_NONE;
}

bool field_wrong(struct decoder *decoder, const struct node *node, const char *text)
{
    struct str shown = node->is_secret ? origin_of(node) : node->text;
    int len = shown.len > SHOWN_MAX ? SHOWN_MAX : (int)shown.len;
    struct span at = tree_span(node);

    if (!node->is_secret)
        diag_error(decoder->diag, at, "\"%.*s\" %s", len, shown.p, text);
    else if (shown.p)
        diag_error(decoder->diag, at, "the value %s (from %.*s)", text, len, shown.p);
    else
        diag_error(decoder->diag, at, "the value %s", text);
    return false;
}

bool field_text(struct decoder *decoder, const struct node *node, struct conf_text *out)
{
    if (node->is_broken)
        return false;
    if (node->kind != NODE_SCALAR || tree_is_null(node)) {
        diag_error(decoder->diag, tree_span(node), "expected a text, got %s", tree_noun(node));
        return false;
    }
    out->at = tree_span(node);
    out->s = arena_copy(decoder->arena, node->text);
    if (!out->s.p)
        diag_error(decoder->diag, out->at, "out of memory");
    return out->s.p != NULL;
}

static const struct number {
    const char *(*parse)(struct str s, uint64_t *out);
} numbers[] = {
    [FIELD_BOOL] = {units_bool},   [FIELD_INT] = {units_int},   [FIELD_DURATION] = {units_duration},
    [FIELD_SIZE] = {units_size},   [FIELD_RATE] = {units_rate}, [FIELD_SHARE] = {units_share},
    [FIELD_RATIO] = {units_ratio},
};

static const struct {
    enum field_type type;
    const char *name;
    uint64_t factor;
} steps[] = {
    {FIELD_DURATION, "h", 3600000}, {FIELD_DURATION, "m", 60000},   {FIELD_DURATION, "s", 1000},
    {FIELD_DURATION, "ms", 1},      {FIELD_SIZE, "GiB", 1 << 30},   {FIELD_SIZE, "MiB", 1 << 20},
    {FIELD_SIZE, "KiB", 1 << 10},   {FIELD_RATE, "GiB/s", 1 << 30}, {FIELD_RATE, "MiB/s", 1 << 20},
    {FIELD_RATE, "KiB/s", 1 << 10}, {FIELD_SHARE, "%", 10000},      {FIELD_RATIO, "x", 1000},
};

struct str field_scalar_format(struct arena *arena, enum field_type type, uint64_t value)
{
    for (size_t i = 0; i < ARRAY_LEN(steps); i++)
        if (steps[i].type == type && value % steps[i].factor == 0 && value)
            return arena_format(arena, "%llu%s", (unsigned long long)(value / steps[i].factor),
                                steps[i].name);
    return arena_format(arena, "%llu", (unsigned long long)value);
}

static uint64_t largest(const struct field *field)
{
    if (field->max)
        return field->max;
    return field->size && field->size < 8 ? (1ULL << (field->size * 8)) - 1 : UINT64_MAX;
}

static void store(void *member, size_t size, uint64_t value)
{
    switch (size) {
    case 0:
        break;
    case sizeof(bool):
        *(bool *)member = value != 0;
        break;
    case sizeof(uint16_t):
        *(uint16_t *)member = (uint16_t)value;
        break;
    case sizeof(uint32_t):
        *(uint32_t *)member = (uint32_t)value;
        break;
    default:
        assert(size == sizeof(uint64_t));
        *(uint64_t *)member = value;
    }
}

static bool out_of_range(struct decoder *decoder, const struct field *field,
                         const struct node *node, bool is_large)
{
    uint64_t limit = is_large ? largest(field) : field->min;
    struct str text = field_scalar_format(decoder->diag->arena, field->type, limit);

    field_wrong(decoder, node, is_large ? "is too large" : "is too small");
    diag_hint(decoder->diag, "at %s %.*s", is_large ? "most" : "least", STR_FMT(text));
    return false;
}

bool field_scalar_number(struct decoder *decoder, const struct field *field,
                         const struct node *node, void *member)
{
    uint64_t value = 0;
    const char *wrong;

    if ((field->flags & FIELD_OFF && tree_is_word(node, "off")) ||
        (field->flags & FIELD_AUTO && tree_is_word(node, "auto"))) {
        store(member, field->size, 0);
        return true;
    }
    wrong = numbers[field->type].parse(node->text, &value);
    if (wrong)
        return field_wrong(decoder, node, wrong);
    if (field->type != FIELD_BOOL && (value < field->min || value > largest(field)))
        return out_of_range(decoder, field, node, value > largest(field));
    store(member, field->size, value);
    return true;
}

bool field_scalar_text(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member)
{
    struct conf_text *text = member;

    if (field->flags & FIELD_OFF && tree_is_word(node, "off")) {
        *text = (struct conf_text){STR(""), tree_span(node)};
        return true;
    }
    if (field->flags & FIELD_NONEMPTY && !node->text.len)
        return field_wrong(decoder, node, "is empty");
    return field_text(decoder, node, text);
}

static int find_word(const char *const *words, struct str s)
{
    for (int i = 0; words && words[i]; i++)
        if (s.len == strlen(words[i]) && memcmp(s.p, words[i], s.len) == 0)
            return i;
    return -1;
}

static void hint_words(struct decoder *decoder, const struct field *field, const struct node *node)
{
    char list[256] = "";
    size_t count = 0, len = 0;
    const char *nearest;

    while (field->words[count])
        count++;
    nearest = node->is_secret ? NULL : diag_nearest(node->text, field->words, count);
    if (nearest) {
        diag_hint(decoder->diag, "did you mean \"%s\"?", nearest);
        return;
    }
    for (size_t i = 0; i < count && len + strlen(field->words[i]) + 3 < sizeof(list); i++) {
        if (i)
            len = (size_t)(stpcpy(list + len, ", ") - list);
        len = (size_t)(stpcpy(list + len, field->words[i]) - list);
    }
    diag_hint(decoder->diag, count > 1 ? "one of %s" : "it can only be %s", list);
}

bool field_scalar_enum(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member)
{
    int index = find_word(field->words, node->text);

    if (index >= 0) {
        store(member, field->size, (uint64_t)index);
        return true;
    }
    field_wrong(decoder, node, "is not a choice here");
    hint_words(decoder, field, node);
    return false;
}
