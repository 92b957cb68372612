/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/route/path.h"

#include <string.h>

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The character that "%HH" at p stands for, when it is one that means the same unencoded (RFC
 * 3986 6.2.2.2); else '\0'. */
static char encoded(const char *p, const char *end)
{
    char c;

    if (end - p < 3 || *p != '%' || hex(p[1]) < 0 || hex(p[2]) < 0)
        return '\0';
    c = (char)(hex(p[1]) << 4 | hex(p[2]));
    if ((c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'))
        return c;
    return c == '-' || c == '.' || c == '_' || c == '~' ? c : '\0';
}

static bool is_plain(struct str path)
{
    const char *end = path.p + path.len;

    for (const char *p = path.p; p < end; p++) {
        if (*p == '/' && p + 1 < end && (p[1] == '/' || p[1] == '.'))
            return false;
        if (encoded(p, end))
            return false;
    }
    return true;
}

static size_t decode(struct str path, char *out)
{
    const char *end = path.p + path.len;
    size_t n = 0;

    for (const char *p = path.p; p < end; p++) {
        char c = encoded(p, end);

        out[n++] = c ? c : *p;
        if (c)
            p += 2;
    }
    return n;
}

static size_t merge_slashes(char *path, size_t len)
{
    size_t out = 0;

    for (size_t i = 0; i < len; i++) {
        if (path[i] != '/' || !out || path[out - 1] != '/')
            path[out++] = path[i];
    }
    return out;
}

// RFC 3986 5.2.4, in place. Each turn reads one segment with its leading slash.
static size_t remove_dot_segments(char *path, size_t len)
{
    size_t in = 0, out = 0;

    while (in < len) {
        const char *slash = memchr(path + in + 1, '/', len - in - 1);
        size_t next = slash ? (size_t)(slash - path) : len;
        size_t n = next - in;
        bool is_up = n == 3 && path[in + 1] == '.' && path[in + 2] == '.';

        if (is_up) {
            while (out && path[--out] != '/')
                ;
        }
        if (is_up || (n == 2 && path[in + 1] == '.')) {
            if (next == len) // the last segment leaves its slash
                path[out++] = '/';
        } else {
            memmove(path + out, path + in, n);
            out += n;
        }
        in = next;
    }
    return out;
}

struct str route_path_view(struct str path, char *buffer)
{
    size_t n;

    if (!path.len || path.p[0] != '/' || is_plain(path))
        return path;
    if (path.len > ROUTE_PATH_MAX)
        return STR_NONE;
    n = decode(path, buffer);
    // Merged first, as file systems and most servers read it: in "/a//../b" the dots undo "a".
    n = merge_slashes(buffer, n);
    n = remove_dot_segments(buffer, n);
    return (struct str){buffer, n};
}

struct str route_path_written(const struct conf_path *path, char *buffer)
{
    struct str text = route_path_view(path->text.s, buffer);

    while (path->kind == CONF_PATH_PREFIX && text.len && text.p[text.len - 1] == '/')
        text.len--;
    return text;
}

bool route_path_is_under(struct str path, struct str prefix)
{
    if (!prefix.len)
        return true;
    if (path.len < prefix.len || memcmp(path.p, prefix.p, prefix.len) != 0)
        return false;
    return path.len == prefix.len || path.p[prefix.len] == '/';
}

struct str route_path_host(struct str authority)
{
    size_t n = authority.len;

    while (n && authority.p[n - 1] >= '0' && authority.p[n - 1] <= '9')
        n--;
    // A colon inside brackets is the address's own; outside, digits behind the last are the port.
    if (n && authority.p[n - 1] == ':')
        authority.len = n - 1;
    if (authority.len > 1 && authority.p[authority.len - 1] == '.')
        authority.len--;
    return authority;
}
