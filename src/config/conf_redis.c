/* SPDX-License-Identifier: Apache-2.0
 *
 * The key `redis`: redis://[[user]:password@]host[:port][/database], each part percent-decoded.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"
#include "config/units.h"

enum { PORT = 6379, DATABASE_MAX = 65535 };

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Absent: no memory, or a percent sign without two digits. */
static struct str decode_percent(struct arena *arena, struct str text)
{
    char *out = arena_text(arena, text.len + 1), *at = out;

    for (size_t i = 0; out && i < text.len; i++) {
        int high = -1, low = -1;

        if (text.p[i] == '%' && i + 2 < text.len) {
            high = hex_digit(text.p[i + 1]);
            low = hex_digit(text.p[i + 2]);
        }
        if (text.p[i] == '%' && (high < 0 || low < 0))
            return STR_NONE;
        *at++ = high < 0 ? text.p[i] : (char)(high * 16 + low);
        i += high < 0 ? 0 : 2;
    }
    if (out)
        *at = '\0';
    return out ? (struct str){out, (size_t)(at - out)} : STR_NONE;
}

/* Cuts what stands before the first, or last, `c` off `text`; absent: there is no such character.
 */
static struct str cut(struct str *text, char c, bool is_last)
{
    const char *at = is_last ? memrchr(text->p, c, text->len) : memchr(text->p, c, text->len);
    struct str before = STR_NONE;

    if (!at)
        return before;
    before = (struct str){text->p, (size_t)(at - text->p)};
    *text = (struct str){at + 1, text->len - before.len - 1};
    return before;
}

static bool read_user(struct arena *arena, struct str text, struct conf_redis *redis)
{
    struct str user = cut(&text, ':', false);

    if (user.len)
        redis->user = decode_percent(arena, user);
    redis->password = decode_percent(arena, text);
    return user.p && redis->password.len && (!user.len || redis->user.p);
}

static bool read_number(struct str text, uint64_t max, uint64_t *out)
{
    return !units_int(text, out) && *out <= max;
}

static bool read_host(struct arena *arena, struct str text, struct conf_redis *redis)
{
    struct str host = text, port = STR_NONE;
    uint64_t number = PORT;

    if (text.len && *text.p == '[') {
        host = cut(&text, ']', false);
        if (!host.p)
            return false;
        host = (struct str){host.p + 1, host.len - 1};
        if (text.len && *text.p != ':')
            return false;
        port = text.len ? (struct str){text.p + 1, text.len - 1} : STR_NONE;
    } else if (memchr(text.p, ':', text.len)) {
        host = cut(&text, ':', false);
        port = text;
    }
    if (port.p && (!read_number(port, UINT16_MAX, &number) || !number))
        return false;
    redis->port = (uint16_t)number;
    redis->host = decode_percent(arena, host);
    return redis->host.len && strlen(redis->host.p) == redis->host.len;
}

static bool read_url(struct arena *arena, struct str url, struct conf_redis *redis)
{
    static const struct str scheme = STR_INIT("redis://");
    struct str rest = {url.p + scheme.len, url.len - scheme.len}, user, place;
    uint64_t database = 0;

    user = cut(&rest, '@', true);
    if (user.p && !read_user(arena, user, redis))
        return false;
    place = cut(&rest, '/', false);
    if (place.p && rest.len && !read_number(rest, DATABASE_MAX, &database))
        return false;
    redis->database = (uint32_t)database;
    return read_host(arena, place.p ? place : rest, redis);
}

static bool decode_url(struct decoder *decoder, const struct field *field, const struct node *node,
                       void *member)
{
    struct conf_redis *redis = CONTAINER_OF((struct conf_text *)member, struct conf_redis, url);
    struct str text = node->text;

    (void)field;
    if (!field_text(decoder, node, &redis->url))
        return false;
    if (text.len > 9 && !memcmp(text.p, "rediss://", 9))
        return field_wrong(decoder, node, "is over TLS, which this version does not support here");
    if (text.len > 8 && !memcmp(text.p, "redis://", 8) &&
        read_url(decoder->arena, redis->url.s, redis))
        return true;
    return field_wrong(decoder, node, "is not redis://[[user]:password@]host[:port][/database]");
}

const struct field conf_redis_fields[] = {
    {.name = "url",
     .doc = "redis://[[user]:password@]host[:port][/database]. Rate limits are shared by all "
            "gateways that name the same; best with `${env:NAME}`, when there is a password.",
     .type = FIELD_CUSTOM,
     .flags = FIELD_REQUIRED | FIELD_SECRET,
     .decode = decode_url,
     FIELD_AT(struct conf_redis, url)},
    FIELD_END,
};
