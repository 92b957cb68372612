/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/prometheus.h"

#include <assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"

enum { FIRST_CAPACITY = 16 * 1024 };

void prometheus_init(struct prometheus *text)
{
    *text = (struct prometheus){0};
}

void prometheus_fini(struct prometheus *text)
{
    free(text->p);
    prometheus_init(text);
}

/* Room for n more bytes at the end; NULL once memory has ended. */
static char *reserve(struct prometheus *text, size_t n)
{
    size_t needed;
    if (text->is_failed)
        return NULL;
    if (n <= text->capacity - text->len)
        return text->p + text->len;
    text->is_failed = true;
    if (__builtin_add_overflow(text->len, n, &needed) || needed > SIZE_MAX / 2)
        return NULL;
    size_t capacity = text->capacity ? text->capacity : FIRST_CAPACITY;
    while (capacity < needed)
        capacity *= 2;
    char *grown = realloc(text->p, capacity);
    if (!grown)
        return NULL;
    text->is_failed = false;
    text->p = grown;
    text->capacity = capacity;
    return text->p + text->len;
}

static void put(struct prometheus *text, struct str s)
{
    char *out = reserve(text, s.len);
    if (!out)
        return;
    text_put(out, s);
    text->len += s.len;
}

static void put_z(struct prometheus *text, const char *s)
{
    put(text, (struct str){s, strlen(s)});
}

/* A label's value: '\\', '"' and the line feed escaped, what is not UTF-8 replaced, as the format
 * asks for both. */
static void put_value(struct prometheus *text, struct str s)
{
    char *out = s.len <= SIZE_MAX / 4 ? reserve(text, s.len * 3) : NULL;
    if (!out)
        return;
    while (s.len) {
        size_t used = text_utf8(s);
        if (!used)
            out = text_put(out, STR("\xef\xbf\xbd"));
        else if (*s.p == '\n')
            out = text_put(out, STR("\\n"));
        else if (*s.p == '"' || *s.p == '\\')
            out = text_put(text_put(out, STR("\\")), (struct str){s.p, 1});
        else
            out = text_put(out, (struct str){s.p, used});
        used += !used;
        s.p += used;
        s.len -= used;
    }
    text->len = (size_t)(out - text->p);
}

/* family + suffix + {labels} + a space */
static void put_series(struct prometheus *text, const char *suffix,
                       const struct prometheus_label *labels)
{
    assert(text->family);
    put_z(text, text->family);
    put_z(text, suffix);
    for (unsigned i = 0; labels && labels[i].name; i++) {
        put(text, i ? STR(",") : STR("{"));
        put_z(text, labels[i].name);
        put(text, STR("=\""));
        put_value(text, labels[i].value);
        put(text, STR("\""));
    }
    put(text, labels && labels[0].name ? STR("} ") : STR(" "));
}

static void put_u64(struct prometheus *text, uint64_t n)
{
    char digits[TEXT_U64_MAX];
    put(text, (struct str){digits, (size_t)(text_u64(digits, n) - digits)});
    put(text, STR("\n"));
}

/* The shortest of 15 and 17 digits that gives the same number back; a point whatever the locale
 * says. */
static void put_double(struct prometheus *text, double value)
{
    char digits[40];
    if (isnan(value) || isinf(value)) {
        put_z(text, isnan(value) ? "NaN\n" : value > 0 ? "+Inf\n" : "-Inf\n");
        return;
    }
    snprintf(digits, sizeof(digits), "%.15g", value);
    if (strtod(digits, NULL) != value)
        snprintf(digits, sizeof(digits), "%.17g", value);
    char *comma = strchr(digits, ',');
    if (comma)
        *comma = '.';
    put_z(text, digits);
    put(text, STR("\n"));
}

void prometheus_family(struct prometheus *text, const char *name, enum prometheus_type type,
                       const char *help)
{
    static const char *const types[] = {" counter\n", " gauge\n", " histogram\n"};
    text->family = name;
    put(text, STR("# HELP "));
    put_z(text, name);
    put(text, STR(" "));
    put_z(text, help);
    put(text, STR("\n# TYPE "));
    put_z(text, name);
    put_z(text, types[type]);
}

void prometheus_u64(struct prometheus *text, const struct prometheus_label *labels, uint64_t value)
{
    put_series(text, "", labels);
    put_u64(text, value);
}

void prometheus_double(struct prometheus *text, const struct prometheus_label *labels, double value)
{
    put_series(text, "", labels);
    put_double(text, value);
}

void prometheus_bucket(struct prometheus *text, const struct prometheus_label *labels, double edge,
                       uint64_t count)
{
    struct prometheus_label all[PROMETHEUS_LABELS + 2] = {0};
    char written[16] = "+Inf", *comma;
    unsigned used = 0;

    for (; labels && labels[used].name; used++) {
        assert(used < PROMETHEUS_LABELS);
        all[used] = labels[used];
    }
    if (!isinf(edge))
        snprintf(written, sizeof(written), "%g", edge);
    comma = strchr(written, ',');
    if (comma)
        *comma = '.';
    all[used] = (struct prometheus_label){"le", {written, strlen(written)}};
    put_series(text, "_bucket", all);
    put_u64(text, count);
}

void prometheus_total(struct prometheus *text, const struct prometheus_label *labels, double sum,
                      uint64_t count)
{
    put_series(text, "_sum", labels);
    put_double(text, sum);
    put_series(text, "_count", labels);
    put_u64(text, count);
}

void prometheus_append(struct prometheus *text, const struct prometheus *other)
{
    put(text, (struct str){other->p, other->len});
    text->is_failed = text->is_failed || other->is_failed;
    text->family = NULL;
}
