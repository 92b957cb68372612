/* SPDX-License-Identifier: Apache-2.0
 *
 * Path templates (OpenAPI 4.8.2) as a tree of segments: of those at one place texts come before
 * parameters, so that concrete paths go first.
 */
#include <string.h>

#include "edge/validate/openapi_impl.h"

static struct str next_segment(struct str *path)
{
    const char *slash = memchr(path->p, '/', path->len);
    struct str segment = {path->p, slash ? (size_t)(slash - path->p) : path->len};

    path->p += segment.len;
    path->len -= segment.len;
    return segment;
}

/* --- building */

static bool is_literal(const struct openapi_segment *segment)
{
    return segment->count == 0 || (segment->count == 1 && !segment->parts[0].is_parameter);
}

static bool add_part(struct openapi_segment *segment, struct str text, bool is_parameter)
{
    if (is_parameter && segment->count && segment->parts[segment->count - 1].is_parameter)
        return false; // nothing tells them apart
    if (text.len || is_parameter)
        segment->parts[segment->count++] = (struct openapi_part){text, is_parameter};
    return text.len || !is_parameter;
}

static bool read_parts(struct jschema_book *book, struct openapi_segment *segment)
{
    struct str left = segment->text;

    segment->parts = arena_zero(book->arena, left.len + 1, sizeof(*segment->parts));
    if (!segment->parts)
        return false;
    while (left.len) {
        const char *open = memchr(left.p, '{', left.len);
        const char *close = open ? memchr(open, '}', left.len - (size_t)(open - left.p)) : NULL;
        size_t literal = open ? (size_t)(open - left.p) : left.len;

        if (open && !close)
            return false;
        add_part(segment, (struct str){left.p, literal}, false);
        if (!open)
            return true;
        if (!add_part(segment, (struct str){open + 1, (size_t)(close - open - 1)}, true))
            return false;
        left = (struct str){close + 1, (size_t)(left.p + left.len - close - 1)};
    }
    return true;
}

static struct openapi_segment *find_child(const struct openapi_segment *parent, struct str text)
{
    struct openapi_segment *at = parent->first;

    while (at && !str_same(at->text, text))
        at = at->next;
    return at;
}

static struct openapi_segment *add_child(struct jschema_book *book, struct openapi_segment *parent,
                                         struct str text)
{
    struct openapi_segment *fresh = arena_zero(book->arena, 1, sizeof(*fresh));
    struct openapi_segment **at = &parent->first;

    if (!fresh)
        return NULL;
    fresh->text = text;
    if (!read_parts(book, fresh))
        return NULL;
    while (!is_literal(fresh) && *at)
        at = &(*at)->next;
    fresh->next = *at;
    *at = fresh;
    return fresh;
}

bool openapi_add_path(struct jschema_book *book, struct openapi *api, const struct node *key,
                      struct openapi_item *item)
{
    struct openapi_segment *at = &api->root;
    struct str path = item->path;
    unsigned values = 0;

    for (size_t i = 0; i < path.len; i++)
        values += path.p[i] == '{';
    if (!path.len || path.p[0] != '/')
        return jschema_wrong(book, key, "a path begins with a slash");
    if (values > OPENAPI_VALUES_MAX)
        return jschema_wrong(book, key, "a path has at most 16 parameters");
    while (path.len) {
        struct openapi_segment *child;
        struct str text;

        path = (struct str){path.p + 1, path.len - 1}; // the slash
        text = next_segment(&path);
        child = find_child(at, text);
        at = child ? child : add_child(book, at, text);
        if (!at)
            return jschema_wrong(book, key, "this is no path template");
    }
    if (at->item)
        return jschema_wrong(book, key, "the same path stands twice");
    at->item = item;
    return true;
}

/* --- finding */

/* Takes the text that a parameter has, up to what follows it in the template: the shortest. */
static bool take_value(const struct openapi_segment *segment, uint32_t i, struct str *left,
                       struct str *value)
{
    const struct openapi_part *after = i + 1 < segment->count ? &segment->parts[i + 1] : NULL;
    const char *end = left->p + left->len;

    if (after && i + 2 == segment->count) // it has to end so
        end -= left->len > after->text.len ? after->text.len : 0;
    else if (after && left->len)
        end = memmem(left->p + 1, left->len - 1, after->text.p, after->text.len);
    if (!left->len || !end)
        return false;
    *value = (struct str){left->p, (size_t)(end - left->p)};
    *left = (struct str){end, left->len - value->len};
    return true;
}

static bool fits(const struct openapi_segment *segment, struct str text,
                 struct openapi_match *match)
{
    for (uint32_t i = 0; i < segment->count; i++) {
        const struct openapi_part *part = &segment->parts[i];
        struct openapi_value *value = &match->values[match->count];

        if (part->is_parameter) {
            if (match->count == OPENAPI_VALUES_MAX || !take_value(segment, i, &text, &value->text))
                return false;
            value->name = part->text;
            match->count++;
        } else {
            if (text.len < part->text.len || memcmp(text.p, part->text.p, part->text.len) != 0)
                return false;
            text = (struct str){text.p + part->text.len, text.len - part->text.len};
        }
    }
    return !text.len;
}

/* Each segment of the tree is looked at once at most: how deep it stands says by which of the
 * path's. */
static bool find(const struct openapi_segment *parent, struct str path, struct openapi_match *match)
{
    unsigned count = match->count;
    struct str text;

    if (!path.len) {
        match->item = parent->item;
        return parent->item;
    }
    path = (struct str){path.p + 1, path.len - 1};
    text = next_segment(&path);
    for (const struct openapi_segment *at = parent->first; at; at = at->next) {
        match->count = count;
        if (fits(at, text, match) && find(at, path, match))
            return true;
    }
    match->count = count;
    return false;
}

bool openapi_find(const struct openapi *api, struct str path, struct openapi_match *match)
{
    *match = (struct openapi_match){0};
    for (uint32_t i = 0; i < api->base_count; i++) {
        struct str base = api->bases[i];
        struct str rest = {path.p + base.len, path.len - base.len};

        if (path.len <= base.len || (base.len && memcmp(path.p, base.p, base.len) != 0) ||
            rest.p[0] != '/')
            continue;
        if (!find(&api->root, rest, match))
            continue;
        match->path = match->item->path;
        return true;
    }
    return false;
}
