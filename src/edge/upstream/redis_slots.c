/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/redis_slots.h"

#include <string.h>

#include "config/units.h"

enum { RANGES_MAX = REDIS_SLOTS, NESTED_MAX = 8 };

/* What is left of the items of a reply. */
struct reader {
    const struct redis_reply *reply;
    uint32_t at;
};

static uint16_t crc16(struct str bytes)
{
    uint16_t crc = 0;

    for (size_t i = 0; i < bytes.len; i++) {
        crc = (uint16_t)(crc ^ (uint16_t)((unsigned char)bytes.p[i] << 8));
        for (unsigned bit = 0; bit < 8; bit++)
            crc = (uint16_t)(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    }
    return crc;
}

unsigned redis_slot(struct str key)
{
    const char *open = key.len ? memchr(key.p, '{', key.len) : NULL, *close = NULL;

    if (open)
        close = memchr(open, '}', key.len - (size_t)(open - key.p));
    if (close && close > open + 1)
        key = (struct str){open + 1, (size_t)(close - open - 1)};
    return crc16(key) % REDIS_SLOTS;
}

/* --- items */

static const struct redis_item *take_item(struct reader *reader)
{
    return reader->at < reader->reply->count ? &reader->reply->items[reader->at++] : NULL;
}

static const struct redis_item *take_kind(struct reader *reader, enum redis_kind kind)
{
    const struct redis_item *item = take_item(reader);

    return item && item->kind == kind ? item : NULL;
}

/* Goes past one value with all that is in it. */
static bool skip(struct reader *reader)
{
    uint64_t left = 1;

    while (left) {
        const struct redis_item *item = take_item(reader);

        if (!item)
            return false;
        left += item->kind == REDIS_LIST ? item->count : 0;
        left--;
    }
    return true;
}

static bool take_number(struct reader *reader, int64_t min, int64_t max, int64_t *number)
{
    const struct redis_item *item = take_kind(reader, REDIS_INTEGER);

    if (!item || item->number < min || item->number > max)
        return false;
    *number = item->number;
    return true;
}

/* A host or an address, and nothing that would not be one. */
static bool set_host(struct redis_address *address, struct str text)
{
    if (text.len > REDIS_HOST_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++)
        if (text.p[i] <= 0x20 || text.p[i] >= 0x7f)
            return false;
    memcpy(address->host, text.p, text.len);
    address->host[text.len] = '\0';
    return true;
}

static bool read_port(struct str text, uint16_t *port)
{
    uint64_t number;

    if (!text.len || units_int(text, &number) || !number || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

/* --- CLUSTER SLOTS */

/* [host, port, id, ...]: a master. Since Redis 7 the host is null when it is the one that was
 * asked. */
static bool read_node(struct reader *reader, struct redis_address *address)
{
    const struct redis_item *list = take_kind(reader, REDIS_LIST), *host;
    int64_t port;

    if (!list || list->count < 2 || list->count > NESTED_MAX)
        return false;
    host = take_item(reader);
    if (!host || (host->kind != REDIS_TEXT && host->kind != REDIS_NIL))
        return false;
    if (!set_host(address,
                  host->kind == REDIS_NIL ? STR("") : redis_item_text(reader->reply, host)) ||
        !take_number(reader, 0, UINT16_MAX, &port))
        return false;
    address->port = (uint16_t)port;
    for (uint32_t i = 2; i < list->count; i++)
        if (!skip(reader))
            return false;
    return true;
}

/* [first, last, master, replica...] */
static bool read_range(struct reader *reader, struct redis_range *range)
{
    const struct redis_item *list = take_kind(reader, REDIS_LIST);
    int64_t first, last;

    if (!list || list->count < 3 || !take_number(reader, 0, REDIS_SLOTS - 1, &first) ||
        !take_number(reader, first, REDIS_SLOTS - 1, &last) || !read_node(reader, &range->master))
        return false;
    for (uint32_t i = 3; i < list->count; i++)
        if (!skip(reader))
            return false;
    range->first = (uint16_t)first;
    range->last = (uint16_t)last;
    return true;
}

enum status redis_slots_read(const struct redis_reply *reply,
                             void (*take)(void *owner, const struct redis_range *range),
                             void *owner)
{
    struct reader reader = {reply, 0};
    const struct redis_item *list = take_kind(&reader, REDIS_LIST);
    struct redis_range range;

    if (!list || list->count > RANGES_MAX)
        return E_PROTOCOL;
    for (uint32_t i = 0; i < list->count; i++) {
        if (!read_range(&reader, &range))
            return E_PROTOCOL;
        if (take && range.master.port && strcmp(range.master.host, "?"))
            take(owner, &range);
    }
    return OK;
}

/* --- MOVED and ASK */

static struct str cut_word(const char **at)
{
    const char *from = *at, *to = strchr(from, ' ');
    size_t len = to ? (size_t)(to - from) : strlen(from);

    *at = to ? to + 1 : from + len;
    return (struct str){from, len};
}

/* host:port, where the host may be an IPv6 address without brackets. */
static bool read_address(struct str text, struct redis_address *address)
{
    const char *colon = text.len ? memrchr(text.p, ':', text.len) : NULL;
    struct str host = {text.p, colon ? (size_t)(colon - text.p) : 0};

    return colon && set_host(address, host) && strcmp(address->host, "?") &&
           read_port((struct str){colon + 1, text.len - host.len - 1}, &address->port);
}

enum status redis_hint_read(const char *text, enum redis_hint *hint, unsigned *slot,
                            struct redis_address *address)
{
    struct str word = cut_word(&text);
    uint64_t number;

    *hint = REDIS_STAYS;
    if (str_same(word, STR("MOVED")))
        *hint = REDIS_MOVED;
    else if (str_same(word, STR("ASK")))
        *hint = REDIS_ASK;
    else
        return OK;
    if (units_int(cut_word(&text), &number) || number >= REDIS_SLOTS ||
        !read_address(cut_word(&text), address) || *text)
        return E_PROTOCOL;
    *slot = (unsigned)number;
    return OK;
}

/* --- sentinels */

enum status redis_master_read(const struct redis_reply *reply, struct redis_address *address)
{
    struct reader reader = {reply, 0};
    const struct redis_item *list = take_item(&reader), *host, *port;

    if (list && list->kind == REDIS_NIL)
        return E_NOT_FOUND;
    if (!list || list->kind != REDIS_LIST || list->count != 2)
        return E_PROTOCOL;
    host = take_kind(&reader, REDIS_TEXT);
    port = take_kind(&reader, REDIS_TEXT);
    if (!host || !port || !host->count || !set_host(address, redis_item_text(reply, host)) ||
        !read_port(redis_item_text(reply, port), &address->port))
        return E_PROTOCOL;
    return OK;
}

bool redis_role_is_master(const struct redis_reply *reply)
{
    struct reader reader = {reply, 0};
    const struct redis_item *role;

    if (!take_kind(&reader, REDIS_LIST))
        return false;
    role = take_kind(&reader, REDIS_TEXT);
    return role && str_same(redis_item_text(reply, role), STR("master"));
}
