/* SPDX-License-Identifier: Apache-2.0
 *
 * Which entry of the owner's table a call is for.
 */
#include <string.h>

#include "rest/impl.h"

static const char *const method_names[] = {
    [METHOD_GET] = "GET, HEAD",
    [METHOD_PUT] = "PUT",
    [METHOD_POST] = "POST",
    [METHOD_DELETE] = "DELETE",
};

/* Up to the next slash, which is left out. */
static struct str next_segment(struct str *path)
{
    const char *slash;
    struct str segment;

    path->p++;
    path->len--;
    slash = path->len ? memchr(path->p, '/', path->len) : NULL;
    segment = (struct str){path->p, slash ? (size_t)(slash - path->p) : path->len};
    path->p += segment.len;
    path->len -= segment.len;
    return segment;
}

static bool fits(const char *pattern, struct str path, struct str parts[REST_PARTS])
{
    struct str left = {pattern, strlen(pattern)};
    unsigned stars = 0;

    while (left.len && path.len) {
        struct str want = next_segment(&left), have = next_segment(&path);

        if (want.len == 1 && *want.p == '*' && have.len)
            parts[stars++] = have;
        else if (want.len != have.len || (want.len && memcmp(want.p, have.p, want.len)))
            return false;
    }
    return !left.len && !path.len;
}

bool rest_path_fits(struct rest_call *call, const struct rest_place *place)
{
    return call->head.form != TARGET_ASTERISK && fits(place->path, call->head.path, call->parts);
}

static bool fits_method(const struct rest_place *place, enum method method)
{
    return place->method == method || (place->method == METHOD_GET && method == METHOD_HEAD);
}

static void refuse(struct rest_call *call, struct str allowed)
{
    if (allowed.len) {
        rest_field(call, "Allow", "%.*s", STR_FMT(allowed));
        rest_problem(call, 405, "method_not_allowed", "This path takes %.*s.", STR_FMT(allowed));
    } else {
        rest_problem(call, 404, "not_found", "There is no %.*s here.", STR_FMT(call->head.path));
    }
}

const void *rest_find(struct rest_call *call, const struct rest_table *table)
{
    struct str allowed = STR_NONE;

    for (size_t i = 0; i < table->count; i++) {
        const struct rest_place *at =
            (const void *)((const char *)table->places + i * table->stride);

        if (!(at->tags >> call->tag & 1) || !rest_path_fits(call, at))
            continue;
        if (fits_method(at, call->head.method)) {
            for (unsigned part = 0; part < REST_PARTS; part++)
                call->parts[part] = rest_decode(call, call->parts[part], false);
            return at;
        }
        allowed = arena_format(&call->arena, "%.*s%s%s", STR_FMT(allowed), allowed.len ? ", " : "",
                               method_names[at->method]);
    }
    refuse(call, allowed);
    return NULL;
}
