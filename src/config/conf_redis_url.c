/* SPDX-License-Identifier: Apache-2.0
 *
 * What a Redis URL says, each part percent-decoded.
 */
#include "config/conf_redis.h"

#include <string.h>

#include "config/units.h"

enum { PORT = 6379, SENTINEL_PORT = 26379, DATABASE_MAX = 65535 };

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

static const char *read_user(struct arena *arena, struct str text, struct conf_redis *redis)
{
    struct str user = cut(&text, ':', false);

    if (!user.p)
        return "has an @ without user:password, or :password, before it";
    if (user.len)
        redis->user = decode_percent(arena, user);
    redis->password = decode_percent(arena, text);
    if (!redis->password.len || (user.len && !redis->user.p))
        return "has a user or password that is empty or wrongly encoded";
    return NULL;
}

static bool read_number(struct str text, uint64_t max, uint64_t *out)
{
    return !units_int(text, out) && *out <= max;
}

/* Takes [v6] off the front of `text`, up to its colon or end. */
static struct str cut_brackets(struct str *text)
{
    struct str host = cut(text, ']', false);

    if (!host.p || (text->len && *text->p != ':'))
        return STR_NONE;
    if (text->len)
        *text = (struct str){text->p + 1, text->len - 1};
    else
        *text = STR_NONE;
    return (struct str){host.p + 1, host.len - 1};
}

static const char *read_place(struct arena *arena, struct str text, uint64_t port,
                              struct conf_redis_place *place)
{
    struct str host = text, rest = STR_NONE;

    if (text.len && *text.p == '[') {
        rest = text;
        host = cut_brackets(&rest);
    } else if (text.len && memchr(text.p, ':', text.len)) {
        rest = text;
        host = cut(&rest, ':', false);
    }
    if (rest.p && (!read_number(rest, UINT16_MAX, &port) || !port))
        return "has a port that is none";
    place->port = (uint16_t)port;
    place->host = host.p ? decode_percent(arena, host) : STR_NONE;
    if (!place->host.len || place->host.len > CONF_REDIS_HOST_MAX ||
        strlen(place->host.p) != place->host.len)
        return "has a host that is none";
    return NULL;
}

static const char *read_places(struct arena *arena, struct str text, struct conf_redis *redis)
{
    uint64_t port = redis->mode == CONF_REDIS_SENTINEL ? SENTINEL_PORT : PORT;
    uint32_t count = 1;

    for (size_t i = 0; i < text.len; i++)
        count += text.p[i] == ',';
    if (count > 1 && redis->mode == CONF_REDIS_SINGLE)
        return "lists several hosts: write redis+cluster:// or redis+sentinel:// for that";
    if (count > CONF_REDIS_PLACES_MAX)
        return "lists more than 32 hosts";
    redis->places = arena_zero(arena, count, sizeof(*redis->places));
    if (!redis->places)
        return "takes too much memory";
    while (redis->place_count < count) {
        struct str one = redis->place_count + 1 < count ? cut(&text, ',', false) : text;
        const char *wrong = read_place(arena, one, port, &redis->places[redis->place_count++]);

        if (wrong)
            return wrong;
    }
    return NULL;
}

/* What stands behind the hosts; absent: nothing does. */
static const char *read_path(struct arena *arena, struct str path, struct conf_redis *redis)
{
    uint64_t database = 0;

    if (redis->mode == CONF_REDIS_SENTINEL) {
        struct str master = path.p ? cut(&path, '/', false) : STR_NONE;

        if (!master.p) {
            master = path;
            path = STR_NONE;
        }
        redis->master = master.len ? decode_percent(arena, master) : STR_NONE;
        if (!redis->master.len)
            return "does not end in /NAME of the master that the sentinels watch";
    }
    if (!path.len)
        return NULL;
    if (!read_number(path, DATABASE_MAX, &database))
        return "has a database that is no number up to 65535";
    if (database && redis->mode == CONF_REDIS_CLUSTER)
        return "names a database: a cluster has only 0";
    redis->database = (uint32_t)database;
    return NULL;
}

/* Takes what says how it is spoken to off the front. */
static bool read_scheme(struct str *url, struct conf_redis *redis)
{
    static const struct {
        struct str text;
        enum conf_redis_mode mode;
        bool is_tls;
    } schemes[] = {
        {STR_INIT("redis://"), CONF_REDIS_SINGLE, false},
        {STR_INIT("rediss://"), CONF_REDIS_SINGLE, true},
        {STR_INIT("redis+sentinel://"), CONF_REDIS_SENTINEL, false},
        {STR_INIT("rediss+sentinel://"), CONF_REDIS_SENTINEL, true},
        {STR_INIT("redis+cluster://"), CONF_REDIS_CLUSTER, false},
        {STR_INIT("rediss+cluster://"), CONF_REDIS_CLUSTER, true},
    };

    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        struct str text = schemes[i].text;

        if (url->len < text.len || memcmp(url->p, text.p, text.len))
            continue;
        *url = (struct str){url->p + text.len, url->len - text.len};
        redis->mode = schemes[i].mode;
        redis->is_tls = schemes[i].is_tls;
        return true;
    }
    return false;
}

const char *conf_redis_read(struct arena *arena, struct str url, struct conf_redis *redis)
{
    struct str rest = url, user, places;
    const char *wrong = NULL;

    if (!read_scheme(&rest, redis))
        return "does not begin with redis://, rediss://, redis[s]+sentinel:// or "
               "redis[s]+cluster://";
    if (!rest.len)
        return "names no host";
    user = cut(&rest, '@', true);
    if (user.p)
        wrong = read_user(arena, user, redis);
    if (wrong)
        return wrong;
    places = rest.len ? cut(&rest, '/', false) : STR_NONE;
    wrong = read_places(arena, places.p ? places : rest, redis);
    return wrong ? wrong : read_path(arena, places.p ? rest : STR_NONE, redis);
}
