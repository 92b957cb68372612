/* SPDX-License-Identifier: Apache-2.0
 *
 * See diag.h. Called by everything that reads the configuration; owns nothing but what lies in the
 * arena.
 */
#include "config/diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { QUOTE_MAX = 160, WORD_MAX = 64 };

void diag_init(struct diag *diag, struct arena *arena)
{
    *diag = (struct diag){.arena = arena};
}

const struct source *diag_source(struct diag *diag, struct str name, struct str text)
{
    struct source *source = arena_zero(diag->arena, 1, sizeof(*source));

    if (!source)
        return NULL;
    source->name = arena_copy(diag->arena, name);
    source->text = arena_copy(diag->arena, text);
    source->index = diag->sources++;
    return source->name.p && source->text.p ? source : NULL;
}

/* Cut at a length no sentence needs and without control characters: no value can flood or steer a
 * terminal. */
PRINTF(2, 0) static struct str format_text(struct diag *diag, const char *format, va_list args)
{
    char text[1024];
    int n = vsnprintf(text, sizeof(text), format, args);

    if (n < 0)
        n = 0;
    if ((size_t)n >= sizeof(text))
        n = sizeof(text) - 1;
    for (int i = 0; i < n; i++)
        if ((unsigned char)text[i] < 0x20 || text[i] == 0x7f)
            text[i] = '?';
    return arena_copy(diag->arena, (struct str){text, (size_t)n});
}

static void add(struct diag *diag, enum severity severity, struct span at, struct str text)
{
    if (severity == SEVERITY_ERROR)
        diag->errors++;
    if (diag->count == DIAG_MAX) {
        diag->dropped++;
        return;
    }
    diag->entries[diag->count++] = (struct diag_entry){severity, at, text, STR_NONE};
}

void diag_error(struct diag *diag, struct span at, const char *format, ...)
{
    struct str text = STR_NONE;
    va_list args;

    va_start(args, format);
    if (diag->count < DIAG_MAX)
        text = format_text(diag, format, args);
    va_end(args);
    add(diag, SEVERITY_ERROR, at, text);
}

void diag_warn(struct diag *diag, struct span at, const char *format, ...)
{
    struct str text = STR_NONE;
    va_list args;

    va_start(args, format);
    if (diag->count < DIAG_MAX)
        text = format_text(diag, format, args);
    va_end(args);
    add(diag, SEVERITY_WARNING, at, text);
}

void diag_hint(struct diag *diag, const char *format, ...)
{
    va_list args;

    if (!diag->count || diag->dropped)
        return;
    va_start(args, format);
    diag->entries[diag->count - 1].hint = format_text(diag, format, args);
    va_end(args);
}

void diag_hide(struct diag *diag, struct span at)
{
    struct diag_secret *secret = arena_zero(diag->arena, 1, sizeof(*secret));

    if (!secret)
        return; // out of memory is all that will be said
    *secret = (struct diag_secret){at, diag->secrets};
    diag->secrets = secret;
}

static size_t offset_of(struct span at)
{
    return at.offset < at.source->text.len ? at.offset : at.source->text.len;
}

uint32_t diag_line(struct span at)
{
    const char *p, *end;
    uint32_t line = 1;

    if (!at.source)
        return 0;
    p = at.source->text.p;
    end = p + offset_of(at);
    while ((p = memchr(p, '\n', (size_t)(end - p)))) {
        line++;
        p++;
    }
    return line;
}

static const char *line_start(struct span at)
{
    const char *text = at.source->text.p;
    const char *newline = memrchr(text, '\n', offset_of(at));

    return newline ? newline + 1 : text;
}

/* Characters of UTF-8 in [p, end): continuation bytes do not count. */
static size_t count_characters(const char *p, const char *end)
{
    size_t n = 0;

    for (; p < end; p++)
        n += (*p & 0xc0) != 0x80;
    return n;
}

/* The same for a part of a text; none of one that memory did not last for. */
static size_t count_between(struct str text, size_t from, size_t to)
{
    return to <= text.len ? count_characters(text.p + from, text.p + to) : 0;
}

struct str diag_place(const struct diag *diag, struct span at)
{
    size_t column;

    if (!at.source)
        return STR_NONE;
    column = count_characters(line_start(at), at.source->text.p + offset_of(at)) + 1;
    return arena_format(diag->arena, "%.*s:%u:%zu", STR_FMT(at.source->name), diag_line(at),
                        column);
}

static int compare(const void *a, const void *b)
{
    const struct span *x = &((const struct diag_entry *)a)->at;
    const struct span *y = &((const struct diag_entry *)b)->at;

    if (!x->source || !y->source)
        return (x->source != NULL) - (y->source != NULL);
    if (x->source != y->source)
        return x->source->index < y->source->index ? -1 : 1;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Insertion keeps entries of one place in the order in which they were found. */
void diag_sort(struct diag *diag)
{
    for (unsigned i = 1; i < diag->count; i++) {
        struct diag_entry entry = diag->entries[i];
        unsigned j = i;
        for (; j > 0 && compare(&diag->entries[j - 1], &entry) > 0; j--)
            diag->entries[j] = diag->entries[j - 1];
        diag->entries[j] = entry;
    }
}

/* A line as it may be shown on a terminal: no control characters, tabs as one space. */
static struct str clean(struct arena *arena, const char *p, size_t len)
{
    char *out = arena_text(arena, len + 1);

    if (!out)
        return STR("");
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)p[i] < 0x20 || p[i] == 0x7f ? ' ' : p[i];
    return (struct str){out, len};
}

/* Asterisks over the part of [begin, end) of the quote that is secret; offsets in the source. */
static void mask(struct str quote, size_t from, size_t begin, size_t end)
{
    size_t to = from + quote.len;

    begin = begin < from ? from : begin;
    end = end > to ? to : end;
    if (begin < end)
        memset((char *)(uintptr_t)quote.p + (begin - from), '*', end - begin);
}

static void hide(const struct diag *diag, const struct source *source, size_t from,
                 struct str quote)
{
    for (const struct diag_secret *at = diag->secrets; at; at = at->next)
        if (at->at.source == source)
            mask(quote, from, at->at.offset, (size_t)at->at.offset + at->at.length);
}

static struct str repeat(struct arena *arena, char c, size_t n)
{
    char *out = arena_text(arena, n + 1);

    if (!out)
        return STR("");
    memset(out, c, n);
    return (struct str){out, n};
}

/* The quoted line, cut around the span where it is very long, and the caret line below it. */
static struct str render_quote(const struct diag *diag, const struct diag_entry *entry)
{
    const struct source *source = entry->at.source;
    const char *begin = line_start(entry->at), *end = source->text.p + source->text.len;
    const char *at = source->text.p + offset_of(entry->at);
    const char *newline = memchr(at, '\n', (size_t)(end - at));
    size_t under = entry->at.length, column;
    struct str quote, pad, caret;

    end = newline ? newline : end;
    if (end > at && end[-1] == '\r')
        end--;
    if (at - begin > QUOTE_MAX / 2)
        begin = at - QUOTE_MAX / 2;
    while (begin < at && (*begin & 0xc0) == 0x80)
        begin++;
    if (end - begin > QUOTE_MAX)
        end = begin + QUOTE_MAX;
    while (end > at && (*end & 0xc0) == 0x80)
        end--;
    if (end < at)
        end = at;
    if (under > (size_t)(end - at))
        under = (size_t)(end - at);
    quote = clean(diag->arena, begin, (size_t)(end - begin));
    hide(diag, source, (size_t)(begin - source->text.p), quote);
    column = count_between(quote, 0, (size_t)(at - begin));
    under = count_between(quote, (size_t)(at - begin), (size_t)(at - begin) + under);
    pad = repeat(diag->arena, ' ', column);
    caret = repeat(diag->arena, '~', under ? under - 1 : 0);
    return arena_format(diag->arena, "%5u | %.*s\n      | %.*s^%.*s%s%.*s\n", diag_line(entry->at),
                        STR_FMT(quote), STR_FMT(pad), STR_FMT(caret), entry->hint.p ? " " : "",
                        STR_FMT(entry->hint));
}

struct str diag_render(const struct diag *diag, const struct diag_entry *entry)
{
    const char *severity = entry->severity == SEVERITY_ERROR ? "error" : "warning";
    struct str place = diag_place(diag, entry->at), quote;

    if (!place.p)
        return arena_format(diag->arena, "%s: %.*s%s%.*s\n", severity, STR_FMT(entry->text),
                            entry->hint.p ? "; " : "", STR_FMT(entry->hint));
    quote = render_quote(diag, entry);
    return arena_format(diag->arena, "%.*s: %s: %.*s\n%.*s", STR_FMT(place), severity,
                        STR_FMT(entry->text), STR_FMT(quote));
}

struct str diag_report(struct diag *diag)
{
    struct str parts[DIAG_MAX + 1], all;
    size_t len = 0, at = 0;
    char *out;

    diag_sort(diag);
    for (unsigned i = 0; i < diag->count; i++)
        parts[i] = diag_render(diag, &diag->entries[i]);
    parts[diag->count] =
        diag->dropped ? arena_format(diag->arena, "\u2026and %u more\n", diag->dropped) : STR("");
    for (unsigned i = 0; i <= diag->count; i++)
        len += parts[i].len;
    out = arena_text(diag->arena, len + 1);
    if (!out)
        return STR_NONE;
    for (unsigned i = 0; i <= diag->count; i++) {
        if (parts[i].len)
            memcpy(out + at, parts[i].p, parts[i].len);
        at += parts[i].len;
    }
    out[len] = '\0';
    all = (struct str){out, len};
    return all;
}

static unsigned least(unsigned a, unsigned b)
{
    return a < b ? a : b;
}

/* Damerau-Levenshtein by three rows (optimal string alignment); both at most WORD_MAX long. */
static unsigned distance(struct str a, struct str b)
{
    unsigned rows[3][WORD_MAX + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (unsigned j = 0; j <= b.len; j++)
        above[j] = j;
    for (unsigned i = 1; i <= a.len; i++) {
        unsigned *spare = before;
        row[0] = i;
        for (unsigned j = 1; j <= b.len; j++) {
            bool is_same = a.p[i - 1] == b.p[j - 1];
            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + !is_same);
            if (i > 1 && j > 1 && a.p[i - 1] == b.p[j - 2] && a.p[i - 2] == b.p[j - 1])
                row[j] = least(row[j], before[j - 2] + 1);
        }
        before = above;
        above = row;
        row = spare;
    }
    return above[b.len];
}

const char *diag_nearest(struct str word, const char *const *names, size_t count)
{
    unsigned best = (unsigned)(word.len < 3 ? 1 : word.len / 3) + 1;
    const char *nearest = NULL;

    if (!word.len || word.len > WORD_MAX)
        return NULL;
    for (size_t i = 0; i < count; i++) {
        struct str name = {names[i], strlen(names[i])};
        unsigned d;
        if (name.len > WORD_MAX)
            continue;
        d = distance(word, name);
        if (d < best) {
            best = d;
            nearest = names[i];
        }
    }
    return nearest;
}
