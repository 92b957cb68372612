/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/discovery_name.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/target.h"
#include "sluice/balancer.h"

enum { ADDRESS_SIZE = INET6_ADDRSTRLEN + sizeof("[]:65535") };

struct naming {
    const struct dns_record *records;
    uint32_t count;
    uint16_t heaviest;
    uint8_t *ranks;     /* as records */
    struct arena arena; /* of the texts until they are copied */
    struct conf_target *targets;
    uint32_t target_count;
};

static bool is_usable(const struct dns_record *record)
{
    return record->port && dns_address_len(&record->address);
}

static bool same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

static void write_address(const struct dns_record *record, char out[ADDRESS_SIZE])
{
    bool is_v6 = record->address.any.sa_family == AF_INET6;
    const void *bytes = is_v6 ? (const void *)&record->address.in6.sin6_addr
                              : (const void *)&record->address.in.sin_addr;
    char host[INET6_ADDRSTRLEN] = "";

    inet_ntop(record->address.any.sa_family, bytes, host, sizeof(host));
    snprintf(out, ADDRESS_SIZE, is_v6 ? "[%s]:%u" : "%s:%u", host, record->port);
}

/* --- ids: by host, address and order, so that equal ones are neighbours */

static int compare_addresses(const struct dns_record *a, const struct dns_record *b)
{
    int order = (a->address.any.sa_family > b->address.any.sa_family) -
                (a->address.any.sa_family < b->address.any.sa_family);

    if (!order && a->address.any.sa_family == AF_INET)
        return memcmp(&a->address.in.sin_addr, &b->address.in.sin_addr, sizeof(struct in_addr));
    return order ? order
                 : memcmp(&a->address.in6.sin6_addr, &b->address.in6.sin6_addr,
                          sizeof(struct in6_addr));
}

static int compare_hosts(const struct dns_record *a, const struct dns_record *b)
{
    size_t len = a->target.len < b->target.len ? a->target.len : b->target.len;
    int order = len ? memcmp(a->target.p, b->target.p, len) : 0;

    if (!order)
        order = (a->target.len > b->target.len) - (a->target.len < b->target.len);
    return order ? order : (a->port > b->port) - (a->port < b->port);
}

static int compare(const void *left, const void *right)
{
    const struct dns_record *a = *(const struct dns_record *const *)left;
    const struct dns_record *b = *(const struct dns_record *const *)right;
    int order = compare_hosts(a, b);

    if (!order)
        order = compare_addresses(a, b);
    return order ? order : (a > b) - (a < b); // the better priority first
}

/* The usable ones, sorted, the same host and address once. NULL: memory. */
static const struct dns_record **sort(const struct naming *naming, uint32_t *count)
{
    const struct dns_record **sorted = calloc(naming->count + 1u, sizeof(*sorted));
    uint32_t all = 0;

    *count = 0;
    for (uint32_t i = 0; sorted && i < naming->count; i++)
        if (is_usable(&naming->records[i]))
            sorted[all++] = &naming->records[i];
    if (all)
        qsort(sorted, all, sizeof(*sorted), compare);
    for (uint32_t i = 0; i < all; i++) {
        const struct dns_record *last = *count ? sorted[*count - 1] : NULL;

        if (!last || compare_hosts(last, sorted[i]) || compare_addresses(last, sorted[i]))
            sorted[(*count)++] = sorted[i];
    }
    return sorted;
}

static struct str id_of(struct naming *naming, const struct dns_record *record, bool is_alone,
                        struct str address)
{
    struct str host = address;

    if (!record->target.p)
        return address;
    host.len = (size_t)((const char *)memrchr(address.p, ':', address.len) - address.p);
    if (is_alone)
        return arena_format(&naming->arena, "%.*s:%u", STR_FMT(record->target), record->port);
    return arena_format(&naming->arena, "%.*s:%u@%.*s", STR_FMT(record->target), record->port,
                        STR_FMT(host));
}

/* --- numbers */

static uint32_t weight_of(const struct naming *naming, uint16_t weight)
{
    uint32_t scaled = weight;

    if (naming->heaviest > DISCOVERY_WEIGHT_MAX)
        scaled = (uint32_t)weight * DISCOVERY_WEIGHT_MAX / naming->heaviest;
    return scaled ? scaled : 1;
}

/* How many better priorities there are, for each record; they are sorted by them. */
static bool rank(struct naming *naming)
{
    uint8_t now = 0;
    int32_t last = -1;

    naming->ranks = arena_zero(&naming->arena, naming->count, 1);
    for (uint32_t i = 0; naming->ranks && i < naming->count; i++) {
        int32_t priority = naming->records[i].priority;

        if (!is_usable(&naming->records[i]))
            continue;
        if (last >= 0 && priority != last && now < DISCOVERY_PRIORITY_MAX)
            now++;
        last = priority;
        naming->ranks[i] = now;
    }
    return naming->ranks != NULL;
}

/* --- the list */

static bool add(struct naming *naming, const struct dns_record *record, bool is_alone)
{
    struct conf_target *target = &naming->targets[naming->target_count];
    char text[ADDRESS_SIZE];
    struct str address;

    write_address(record, text);
    address = arena_copy(&naming->arena, (struct str){text, strlen(text)});
    if (!address.p)
        return false;
    target_split(address, &target->address);
    target->id.s = id_of(naming, record, is_alone, address);
    target->region.s = STR("");
    target->weight = weight_of(naming, record->weight);
    target->priority = naming->ranks[record - naming->records];
    naming->target_count++;
    return target->id.s.p != NULL;
}

static bool is_same_service(const struct dns_record *a, const struct dns_record *b)
{
    return same(a->target, b->target) && a->port == b->port;
}

static bool add_all(struct naming *naming)
{
    uint32_t count;
    const struct dns_record **sorted = sort(naming, &count);
    bool is_good = sorted != NULL;

    if (count > BALANCER_TARGETS_MAX)
        count = BALANCER_TARGETS_MAX;
    for (uint32_t i = 0; is_good && i < count; i++) {
        bool is_alone = (!i || !is_same_service(sorted[i - 1], sorted[i])) &&
                        (i + 1 == count || !is_same_service(sorted[i + 1], sorted[i]));

        is_good = add(naming, sorted[i], is_alone);
    }
    free(sorted);
    return is_good;
}

struct found_list *discovery_name(const struct dns_record *records, uint32_t count)
{
    struct naming naming = {.records = records, .count = count};
    struct found_list *list = NULL;

    arena_init(&naming.arena, NULL, 0);
    for (uint32_t i = 0; i < count; i++)
        if (is_usable(&records[i]) && records[i].weight > naming.heaviest)
            naming.heaviest = records[i].weight;
    naming.targets = arena_zero(&naming.arena, count, sizeof(*naming.targets));
    if (naming.targets && rank(&naming) && add_all(&naming))
        list = found_list_new(naming.targets, naming.target_count);
    arena_reset(&naming.arena);
    return list;
}

/* --- regions */

static struct str region_of(const struct conf_address *address,
                            const struct discovery_region *regions, uint32_t count)
{
    char host[INET6_ADDRSTRLEN];
    struct in6_addr in6;

    snprintf(host, sizeof(host), "%.*s", STR_FMT(address->host));
    if (inet_pton(AF_INET6, host, &in6) != 1)
        return STR("");
    for (uint32_t i = 0; i < count; i++)
        if (!memcmp(&regions[i].address, &in6, sizeof(in6)))
            return (struct str){regions[i].region, strlen(regions[i].region)};
    return STR("");
}

struct found_list *discovery_name_regions(const struct found_list *list,
                                          const struct discovery_region *regions, uint32_t count)
{
    struct conf_target *items = calloc(list->count + 1u, sizeof(*items));
    struct found_list *made;

    if (!items)
        return NULL;
    for (uint32_t i = 0; i < list->count; i++) {
        items[i] = list->items[i];
        items[i].region.s = region_of(&items[i].address, regions, count);
    }
    made = found_list_new(items, list->count);
    free(items);
    return made;
}
