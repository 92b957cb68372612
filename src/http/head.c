/* SPDX-License-Identifier: Apache-2.0
 *
 * The field table of a message head: lookups, changes, and what a hop must not pass on. Entries
 * keep their order; `present` never lacks the bit of a field that is there.
 */
#include "sluice/head.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"
#include "http/h1_impl.h"

#define BIT(id) (UINT64_C(1) << HDR_##id)

/* RFC 9110 7.6.1 */
static const uint64_t hop_by_hop = BIT(CONNECTION) | BIT(KEEP_ALIVE) | BIT(PROXY_CONNECTION) |
                                   BIT(TE) | BIT(TRANSFER_ENCODING) | BIT(UPGRADE);

/* Never removed because Connection lists them: the gateway sets them itself. */
static const uint64_t own = BIT(HOST) | BIT(VIA) | BIT(X_REQUEST_ID) | BIT(CONTENT_LENGTH) |
                            BIT(X_FORWARDED_FOR) | BIT(X_FORWARDED_PROTO) | BIT(X_FORWARDED_HOST) |
                            BIT(X_REAL_IP) | BIT(FORWARDED) | BIT(FLY_CLIENT_IP) |
                            BIT(CF_CONNECTING_IP);

_Static_assert(HDR_COUNT <= 64, "head.present has a bit for each id");

enum status head_init(struct head *head, struct arena *arena, uint16_t capacity)
{
    *head = (struct head){.content_length = -1};
    if (!capacity)
        return OK;
    head->headers = arena_alloc(arena, capacity * sizeof(struct header));
    if (!head->headers)
        return E_NOMEM;
    head->capacity = capacity;
    return OK;
}

static bool is_named(const struct header *header, enum header_id id, struct str name)
{
    if (id)
        return header->id == id;
    return !header->id && header->name_len == name.len &&
           !strncasecmp(header->name, name.p, name.len);
}

static struct header *find(const struct head *head, enum header_id id, struct str name)
{
    for (unsigned i = 0; i < head->count; i++)
        if (is_named(&head->headers[i], id, name))
            return &head->headers[i];
    return NULL;
}

struct header *head_find(const struct head *head, enum header_id id)
{
    if (id == HDR_OTHER || !(head->present >> id & 1))
        return NULL;
    return find(head, id, STR_NONE);
}

struct header *head_find_name(const struct head *head, struct str name)
{
    enum header_id id = head_id(name);

    return id ? head_find(head, id) : find(head, HDR_OTHER, name);
}

static struct str value_of(const struct header *header)
{
    return header ? (struct str){header->value, header->value_len} : STR_NONE;
}

struct str head_value(const struct head *head, enum header_id id)
{
    return value_of(head_find(head, id));
}

struct str head_value_name(const struct head *head, struct str name)
{
    return value_of(head_find_name(head, name));
}

static enum status grow(struct head *head, struct arena *arena)
{
    unsigned capacity = head->capacity ? head->capacity * 2u : 16;
    struct header *headers;

    if (capacity > UINT16_MAX)
        return E_NOMEM;
    headers = arena_alloc(arena, capacity * sizeof(*headers));
    if (!headers)
        return E_NOMEM;
    if (head->count)
        memcpy(headers, head->headers, head->count * sizeof(*headers));
    head->headers = headers;
    head->capacity = (uint16_t)capacity;
    return OK;
}

static bool fill(struct header *header, struct str name, struct str value)
{
    if (!name.len || name.len > UINT16_MAX || value.len > UINT32_MAX)
        return false;
    *header = (struct header){.name = name.p,
                              .value = value.p,
                              .value_len = (uint32_t)value.len,
                              .name_len = (uint16_t)name.len,
                              .id = (uint8_t)head_id(name)};
    return true;
}

enum status head_add(struct head *head, struct arena *arena, struct str name, struct str value)
{
    if (head->count == head->capacity && grow(head, arena))
        return E_NOMEM;
    if (!fill(&head->headers[head->count], name, value))
        return E_INVALID;
    head->present |= UINT64_C(1) << head->headers[head->count].id;
    head->count++;
    return OK;
}

/* Removes matching fields from index `from` on. */
static unsigned remove_from(struct head *head, unsigned from, enum header_id id, struct str name)
{
    unsigned kept = from;
    unsigned gone;

    for (unsigned i = from; i < head->count; i++)
        if (!is_named(&head->headers[i], id, name))
            head->headers[kept++] = head->headers[i];
    gone = head->count - kept;
    head->count = (uint16_t)kept;
    return gone;
}

enum status head_set(struct head *head, struct arena *arena, struct str name, struct str value)
{
    struct header *first = head_find_name(head, name);

    if (!first)
        return head_add(head, arena, name, value);
    if (!fill(first, name, value))
        return E_INVALID;
    remove_from(head, (unsigned)(first - head->headers) + 1, first->id, name);
    return OK;
}

unsigned head_remove(struct head *head, enum header_id id)
{
    if (id == HDR_OTHER || !(head->present >> id & 1))
        return 0;
    head->present &= ~(UINT64_C(1) << id);
    return remove_from(head, 0, id, STR_NONE);
}

unsigned head_remove_all(struct head *head, uint64_t ids)
{
    unsigned removed = 0;

    for (ids &= head->present; ids; ids &= ids - 1)
        removed += head_remove(head, (enum header_id)__builtin_ctzll(ids));
    return removed;
}

unsigned head_remove_name(struct head *head, struct str name)
{
    enum header_id id = head_id(name);

    return id ? head_remove(head, id) : remove_from(head, 0, HDR_OTHER, name);
}

bool head_list_has(struct str value, struct str token)
{
    struct str item;

    while (h1_list_next(&value, &item))
        if (h1_equal_fold(item, token))
            return true;
    return false;
}

bool head_is_preflight(const struct head *request)
{
    return request->method == METHOD_OPTIONS && head_find(request, HDR_ORIGIN) &&
           head_find_name(request, STR("access-control-request-method"));
}

static void doom(struct head *head, struct str name)
{
    for (unsigned i = 0; i < head->count; i++)
        if (is_named(&head->headers[i], HDR_OTHER, name))
            head->headers[i].reserved |= H1_DOOMED;
}

/* Marks the fields that one Connection value lists; returns the ids among them. */
static uint64_t mark_listed(struct head *head, struct str value)
{
    uint64_t ids = 0;
    struct str item;

    while (h1_list_next(&value, &item)) {
        enum header_id id = head_id(item);

        if (id)
            ids |= UINT64_C(1) << id;
        else if (!h1_equal_fold(item, STR("close")))
            doom(head, item);
    }
    return ids & ~own;
}

void head_strip_hop_by_hop(struct head *head, bool keep_upgrade)
{
    uint64_t gone = hop_by_hop;
    unsigned kept = 0;

    if (!(head->present & hop_by_hop))
        return;
    if (head->present & BIT(CONNECTION))
        for (unsigned i = 0; i < head->count; i++)
            if (head->headers[i].id == HDR_CONNECTION)
                gone |= mark_listed(head, value_of(&head->headers[i]));
    if (keep_upgrade)
        gone &= ~BIT(UPGRADE);
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];

        if (!(gone >> header->id & 1) && !(header->reserved & H1_DOOMED))
            head->headers[kept++] = *header;
    }
    head->count = (uint16_t)kept;
    head->present &= ~gone;
}
