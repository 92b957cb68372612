/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/shape/coding.h"

#include <string.h>
#include <strings.h>

enum { Q_ONE = 1000, Q_UNSAID = UINT16_MAX };

static const struct str names[] = {
    [CODING_IDENTITY] = STR_INIT("identity"),
    [CODING_GZIP] = STR_INIT("gzip"),
    [CODING_BR] = STR_INIT("br"),
    [CODING_ZSTD] = STR_INIT("zstd"),
};

struct str coding_name(enum coding coding)
{
    return names[coding];
}

static bool is_word(struct str s, struct str word)
{
    return s.len == word.len && !strncasecmp(s.p, word.p, s.len);
}

static struct str trim(struct str s)
{
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t')) {
        s.p++;
        s.len--;
    }
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Cuts off what stands before `mark`, trimmed; `s` is the rest behind it. */
static struct str cut(struct str *s, char mark)
{
    const char *at = s->len ? memchr(s->p, mark, s->len) : NULL;
    size_t len = at ? (size_t)(at - s->p) : s->len;
    struct str head = {s->p, len};

    s->p += len + (at != NULL);
    s->len -= len + (at != NULL);
    return trim(head);
}

/* RFC 9110 12.4.2: "0.5", "1", "1.000"; false when it is none. */
static bool read_q(struct str s, uint16_t *q)
{
    unsigned value = 0, unit = Q_ONE;

    if (!s.len || s.len > 5 || (s.p[0] != '0' && s.p[0] != '1') || (s.len > 1 && s.p[1] != '.'))
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (i == 1)
            continue;
        if (s.p[i] < '0' || s.p[i] > '9')
            return false;
        value += (unsigned)(s.p[i] - '0') * unit;
        unit /= 10;
    }
    *q = (uint16_t)value;
    return value <= Q_ONE;
}

/* "gzip;q=0.5". False: malformed. */
static bool read_item(struct str item, struct str *name, uint16_t *q)
{
    *name = cut(&item, ';');
    *q = Q_ONE;
    while (item.len) {
        struct str parameter = cut(&item, ';');

        if (parameter.len < 2 || (parameter.p[0] | 0x20) != 'q' || parameter.p[1] != '=' ||
            !read_q((struct str){parameter.p + 2, parameter.len - 2}, q))
            return false;
    }
    return name->len > 0;
}

enum coding coding_find(struct str name)
{
    unsigned i = 0;

    if (is_word(name, STR("x-gzip"))) // RFC 9110 8.4.1.3
        return CODING_GZIP;
    while (i < CODING_COUNT && !is_word(name, names[i]))
        i++;
    return i;
}

/* Codings that are not named get what "*" says. */
static void fill(struct coding_wish *wish, uint16_t star)
{
    for (unsigned i = 0; i < CODING_COUNT; i++) {
        if (wish->q[i] != Q_UNSAID)
            continue;
        if (i == CODING_IDENTITY)
            wish->q[i] = star ? 1 : 0; // ruled out by "*;q=0" alone; the least wanted else
        else
            wish->q[i] = star == Q_UNSAID ? 0 : star;
    }
}

struct coding_wish coding_read(struct str accept)
{
    struct coding_wish wish;
    uint16_t star = Q_UNSAID;

    for (unsigned i = 0; i < CODING_COUNT; i++)
        wish.q[i] = Q_UNSAID;
    while (accept.len) {
        struct str item = cut(&accept, ','), name;
        enum coding coding;
        uint16_t q;

        if (!read_item(item, &name, &q))
            continue;
        coding = coding_find(name);
        if (coding < CODING_COUNT)
            wish.q[coding] = q;
        else if (is_word(name, STR("*")))
            star = q;
    }
    fill(&wish, star);
    return wish;
}

enum coding coding_choose(const struct coding_wish *wish, const enum coding *offered,
                          uint32_t count)
{
    enum coding best = CODING_IDENTITY;
    uint16_t most = 0;

    for (uint32_t i = 0; i < count; i++) {
        if (wish->q[offered[i]] <= most)
            continue;
        best = offered[i];
        most = wish->q[best];
    }
    return wish->q[CODING_IDENTITY] > most ? CODING_IDENTITY : best;
}
