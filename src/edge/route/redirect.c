/* SPDX-License-Identifier: Apache-2.0
 *
 * The Location of a redirect. Called by the exchange when a route redirects; pure. What a client
 * sent can neither end the field nor name another host by a path of two slashes.
 */
#include "edge/route/path.h"
#include "edge/route/route.h"

#include <string.h>

enum { PARTS_MAX = 32 };

struct target {
    struct str parts[PARTS_MAX];
    unsigned count;
};

static bool add(struct target *target, struct str text)
{
    if (!text.len)
        return true;
    if (target->count == PARTS_MAX)
        return false;
    target->parts[target->count++] = text;
    return true;
}

// What a client sent: a blank or control character would end the field or begin another.
static bool add_sent(struct target *target, struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.p[i];

        if (c <= ' ' || c == 0x7f)
            return false;
    }
    return add(target, text);
}

static bool add_uri(struct target *target, const struct head *request)
{
    return add_sent(target, request->path) && (!request->query.p || add(target, STR("?"))) &&
           add_sent(target, request->query);
}

// One name of ${...}; false when its value is unsafe or there is no room.
static bool add_value(struct target *target, struct str name, const struct head *request,
                      struct str scheme)
{
    static const char names[][8] = {"path", "query", "uri", "host", "scheme"};
    unsigned i = 0;

    while (i < ARRAY_LEN(names) &&
           (strlen(names[i]) != name.len || memcmp(names[i], name.p, name.len) != 0))
        i++;
    switch (i) {
    case 0:
        return add_sent(target, request->path);
    case 1:
        return add_sent(target, request->query);
    case 2:
        return add_uri(target, request);
    case 3:
        return add_sent(target, route_path_host(request->authority));
    case 4:
        return add(target, scheme);
    default: // not ours: it stays as written
        return add(target, (struct str){name.p - 2, name.len + 3});
    }
}

static bool expand(struct target *target, struct str to, const struct head *request,
                   struct str scheme)
{
    while (to.len) {
        const char *end = to.p + to.len;
        const char *start = memmem(to.p, to.len, "${", 2);
        const char *close = start ? memchr(start, '}', (size_t)(end - start)) : NULL;

        if (!close)
            return add(target, to);
        if (!add(target, (struct str){to.p, (size_t)(start - to.p)}) ||
            !add_value(target, (struct str){start + 2, (size_t)(close - start) - 2}, request,
                       scheme))
            return false;
        to = (struct str){close + 1, (size_t)(end - close) - 1};
    }
    return true;
}

static struct str join(const struct target *target, struct arena *arena)
{
    size_t len = 0;
    char *p;

    for (unsigned i = 0; i < target->count; i++)
        len += target->parts[i].len;
    p = arena_text(arena, len + 1);
    if (!p)
        return STR_NONE;
    len = 0;
    for (unsigned i = 0; i < target->count; i++) {
        memcpy(p + len, target->parts[i].p, target->parts[i].len);
        len += target->parts[i].len;
    }
    p[len] = '\0';
    return (struct str){p, len};
}

static size_t leading_slashes(struct str text)
{
    size_t n = 0;

    while (n < text.len && (text.p[n] == '/' || (n && text.p[n] == '\\')))
        n++;
    return n;
}

struct str route_redirect(const struct conf_route *route, const struct head *request,
                          struct str scheme, struct arena *arena)
{
    struct target target = {.count = 0};
    struct str to = route->redirect.to.s, text;
    size_t slashes;

    if (!expand(&target, to, request, scheme))
        return STR_NONE;
    text = join(&target, arena);
    slashes = leading_slashes(text);
    // "//host" and "/\host" would be another site (RFC 3986 4.2), which only the file may choose.
    if (slashes > 1 && leading_slashes(to) < 2) {
        size_t skip = slashes - 1;

        memmove((char *)(uintptr_t)text.p + 1, text.p + slashes, text.len - slashes + 1);
        text.len -= skip;
    }
    return text;
}
