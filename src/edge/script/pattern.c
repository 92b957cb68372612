/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/script/pattern.h"

#include <string.h>

enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 };

/* Where a walk stands: in the subject, and in the pattern. */
struct place {
    const char *s, *p;
};

static const char *match_here(struct pattern *m, const char *s, const char *p);

static const char *subject_end(const struct pattern *m)
{
    return m->subject.p + m->subject.len;
}

static const char *text_end(const struct pattern *m)
{
    return m->text.p + m->text.len;
}

/* The pattern's character, 0 behind its end. */
static unsigned char at(const struct pattern *m, const char *p)
{
    return p < text_end(m) ? (unsigned char)*p : 0;
}

static const char *bad(struct pattern *m, const char *why)
{
    m->fault = PATTERN_BAD;
    m->error = why;
    return NULL;
}

static void spend(struct pattern *m, size_t steps)
{
    m->steps += steps > PATTERN_STEPS_ASKED ? PATTERN_STEPS_ASKED : (unsigned)steps;
    if (m->steps < PATTERN_STEPS_ASKED)
        return;
    m->steps = 0;
    if (!m->fault && m->may_go_on && !m->may_go_on(m->owner))
        m->fault = PATTERN_SPENT;
}

/* --- single characters: ASCII alone, whatever the locale */

static bool is_punctuation(unsigned char c)
{
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

static bool is_alpha(unsigned char c)
{
    return (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_space(unsigned char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* False also for a letter that names no class. */
static bool in_class(unsigned char c, unsigned char lower, bool *is_class)
{
    *is_class = true;
    switch (lower) {
    case 'a':
        return is_alpha(c);
    case 'c':
        return c < 0x20 || c == 0x7f;
    case 'd':
        return is_digit(c);
    case 'g':
        return c > 0x20 && c < 0x7f;
    case 'l':
        return c >= 'a' && c <= 'z';
    case 'p':
        return is_punctuation(c);
    case 's':
        return is_space(c);
    case 'u':
        return c >= 'A' && c <= 'Z';
    case 'w':
        return is_alpha(c) || is_digit(c);
    case 'x':
        return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
    case 'z':
        return c == 0;
    default:
        *is_class = false;
        return false;
    }
}

static bool fits_class(unsigned char c, unsigned char name)
{
    bool is_class, fits;

    if (!is_alpha(name))
        return c == name;
    fits = in_class(c, name | 0x20, &is_class);
    if (!is_class)
        return c == name;
    return (name & 0x20) ? fits : !fits; // %A is what is not %a
}

/* `p` at '[', `close` at its ']'. */
static bool fits_set(unsigned char c, const char *p, const char *close)
{
    bool wanted = p[1] != '^';

    p += !wanted;
    while (++p < close) {
        if (*p == '%') {
            p++;
            if (fits_class(c, (unsigned char)*p))
                return wanted;
        } else if (p[1] == '-' && p + 2 < close) {
            if ((unsigned char)p[0] <= c && c <= (unsigned char)p[2])
                return wanted;
            p += 2;
        } else if ((unsigned char)*p == c) {
            return wanted;
        }
    }
    return !wanted;
}

static const char *set_end(struct pattern *m, const char *p)
{
    p++;
    p += at(m, p) == '^';
    do { // a ']' at once is one of the set
        if (p >= text_end(m))
            return bad(m, "malformed pattern (missing ']')");
        if (*p++ == '%' && p < text_end(m))
            p++;
    } while (at(m, p) != ']');
    return p + 1;
}

/* Behind the single character, class or set at `p`. */
static const char *single_end(struct pattern *m, const char *p)
{
    if (*p == '[')
        return set_end(m, p);
    if (*p == '%' && p + 1 >= text_end(m))
        return bad(m, "malformed pattern (ends with '%')");
    return p + 1 + (*p == '%');
}

static bool fits(struct pattern *m, const char *s, const char *p, const char *end)
{
    if (s >= subject_end(m))
        return false;
    switch (*p) {
    case '.':
        return true;
    case '%':
        return fits_class((unsigned char)*s, (unsigned char)p[1]);
    case '[':
        return fits_set((unsigned char)*s, p, end - 1);
    default:
        return *s == *p;
    }
}

/* --- repetitions; `end` is behind the single item, at its '*', '+' or '-' */

static const char *expand_most(struct pattern *m, struct place from, const char *end)
{
    size_t count = 0;

    while (fits(m, from.s + count, from.p, end)) {
        count++;
        spend(m, 1);
        if (m->fault)
            return NULL;
    }
    for (;;) {
        const char *match = match_here(m, from.s + count, end + 1);

        if (match || m->fault || !count)
            return match;
        count--;
    }
}

static const char *expand_least(struct pattern *m, struct place from, const char *end)
{
    for (;;) {
        const char *match = match_here(m, from.s, end + 1);

        if (match || m->fault || !fits(m, from.s, from.p, end))
            return match;
        from.s++;
    }
}

/* --- captures */

static const char *open_capture(struct pattern *m, struct place from, ptrdiff_t mark)
{
    const char *match;

    if (m->count >= PATTERN_CAPTURES_MAX)
        return bad(m, "too many captures");
    m->captures[m->count++] = (struct pattern_capture){from.s, mark};
    match = match_here(m, from.s, from.p);
    if (!match)
        m->count--;
    return match;
}

static const char *close_capture(struct pattern *m, struct place from)
{
    const char *match;
    unsigned i = m->count;

    while (i > 0 && m->captures[i - 1].len != CAPTURE_OPEN)
        i--;
    if (!i)
        return bad(m, "invalid pattern capture");
    m->captures[i - 1].len = from.s - m->captures[i - 1].start;
    match = match_here(m, from.s, from.p);
    if (!match)
        m->captures[i - 1].len = CAPTURE_OPEN;
    return match;
}

/* What `%1` to `%9` stand for again. */
static const char *match_again(struct pattern *m, const char *s, unsigned char digit)
{
    unsigned i = digit - (unsigned)'1'; // '0' wraps
    const struct pattern_capture *capture;
    size_t len;

    if (i >= m->count || m->captures[i].len == CAPTURE_OPEN)
        return bad(m, "invalid capture index");
    capture = &m->captures[i];
    if (capture->len < 0) // a position: as long as nothing can be
        return NULL;
    len = (size_t)capture->len;
    spend(m, len / 16);
    if ((size_t)(subject_end(m) - s) < len || memcmp(capture->start, s, len) != 0)
        return NULL;
    return s + len;
}

/* --- %bxy and %f[set] */

static const char *match_balance(struct pattern *m, const char *s, const char *p)
{
    size_t depth = 1;

    if (p + 1 >= text_end(m))
        return bad(m, "unbalanced pattern");
    if (s >= subject_end(m) || *s != p[0])
        return NULL;
    while (++s < subject_end(m) && !m->fault) {
        spend(m, 1);
        if (*s == p[1] && --depth == 0)
            return s + 1;
        if (*s == p[0] && p[0] != p[1])
            depth++;
    }
    return NULL;
}

/* True: the frontier is here, and place->p behind it. */
static bool match_frontier(struct pattern *m, struct place *place)
{
    const char *set = place->p + 2, *end;
    unsigned char before = place->s == m->subject.p ? 0 : (unsigned char)place->s[-1];
    unsigned char here = place->s < subject_end(m) ? (unsigned char)*place->s : 0;

    if (at(m, set) != '[') {
        bad(m, "missing '[' after '%f' in pattern");
        return false;
    }
    end = set_end(m, set);
    place->p = end;
    return end && !fits_set(before, set, end - 1) && fits_set(here, set, end - 1);
}

/* --- one item after the other: true to go on at *place, false with *match (NULL: none) */

static bool take_single(struct pattern *m, struct place *place, const char **match)
{
    const char *end = single_end(m, place->p);
    bool is_there;

    if (!end)
        return false;
    is_there = fits(m, place->s, place->p, end);
    switch (at(m, end)) {
    case '?':
        *match = is_there ? match_here(m, place->s + 1, end + 1) : NULL;
        place->p = end + 1;
        return !*match;
    case '+':
        *match = NULL;
        if (is_there)
            *match = expand_most(m, (struct place){place->s + 1, place->p}, end);
        return false;
    case '*':
        *match = expand_most(m, *place, end);
        return false;
    case '-':
        *match = expand_least(m, *place, end);
        return false;
    default:
        place->s++;
        place->p = end;
        return is_there;
    }
}

static bool take_escape(struct pattern *m, struct place *place, const char **match)
{
    unsigned char what = at(m, place->p + 1);

    if (what == 'f')
        return match_frontier(m, place);
    if (what == 'b') {
        place->s = match_balance(m, place->s, place->p + 2);
        place->p += 4;
        return place->s != NULL;
    }
    if (!is_digit(what))
        return take_single(m, place, match);
    place->s = match_again(m, place->s, what);
    place->p += 2;
    return place->s != NULL;
}

static bool take(struct pattern *m, struct place *place, const char **match)
{
    const char *p = place->p;
    bool is_position;

    if (p == text_end(m)) {
        *match = place->s;
        return false;
    }
    switch (*p) {
    case '(':
        is_position = at(m, p + 1) == ')';
        *match = open_capture(m, (struct place){place->s, p + 1 + is_position},
                              is_position ? CAPTURE_POSITION : CAPTURE_OPEN);
        return false;
    case ')':
        *match = close_capture(m, (struct place){place->s, p + 1});
        return false;
    case '%':
        return take_escape(m, place, match);
    case '$':
        if (p + 1 != text_end(m))
            return take_single(m, place, match);
        *match = place->s == subject_end(m) ? place->s : NULL;
        return false;
    default:
        return take_single(m, place, match);
    }
}

static const char *match_here(struct pattern *m, const char *s, const char *p)
{
    struct place place = {s, p};
    const char *match = NULL;

    if (++m->depth > PATTERN_DEPTH_MAX)
        bad(m, "pattern too complex");
    while (!m->fault && take(m, &place, &match))
        spend(m, 1);
    spend(m, 1);
    m->depth--;
    return m->fault ? NULL : match;
}

/* --- public */

bool pattern_is_anchored(const struct pattern *pattern)
{
    return pattern->takes_caret && pattern->text.len && pattern->text.p[0] == '^';
}

bool pattern_is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] && strchr("^$*+?.([%-", text.p[i]))
            return false;
    return true;
}

bool pattern_match(struct pattern *pattern, size_t from)
{
    pattern->fault = PATTERN_OK;
    pattern->count = pattern->depth = 0;
    pattern->start = pattern->subject.p + from;
    pattern->end =
        match_here(pattern, pattern->start, pattern->text.p + pattern_is_anchored(pattern));
    return pattern->end != NULL;
}

bool pattern_find(struct pattern *pattern, size_t from)
{
    for (; from <= pattern->subject.len; from++) {
        if (pattern_match(pattern, from))
            return true;
        if (pattern->fault || pattern_is_anchored(pattern))
            return false;
    }
    return false;
}

bool pattern_capture(struct pattern *pattern, unsigned i, struct str *text, size_t *position)
{
    const struct pattern_capture *capture = &pattern->captures[i];

    *position = 0;
    if (i >= pattern->count) {
        *text = (struct str){pattern->start, (size_t)(pattern->end - pattern->start)};
        if (i)
            bad(pattern, "invalid capture index");
        return !i;
    }
    if (capture->len == CAPTURE_OPEN) {
        bad(pattern, "unfinished capture");
        return false;
    }
    if (capture->len == CAPTURE_POSITION)
        *position = (size_t)(capture->start - pattern->subject.p) + 1;
    *text = (struct str){capture->start, *position ? 0 : (size_t)capture->len};
    return true;
}
