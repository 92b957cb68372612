/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/discovery_fly.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TTL_MS = 60000 };

struct machine {
    struct discovery_fly *fly;
    char id[DNS_FLY_ID_MAX + 1];
    struct discovery_region place;
    struct resolver_watch *watch; /* until its address is known */
    bool is_used, is_known;
};

struct discovery_fly {
    struct resolver *resolver;
    struct resolver_text *text;
    void (*on_regions)(void *owner);
    void *owner;
    struct machine machines[DISCOVERY_FLY_MACHINES_MAX];
    char app[DNS_NAME_MAX];
};

static const struct str suffix = STR_INIT(".internal");

/* The label before the last one; absent: the name is none of Fly's. */
static struct str app_of(struct str name)
{
    const char *dot;

    if (name.len && name.p[name.len - 1] == '.')
        name.len--;
    if (name.len <= suffix.len || memcmp(name.p + name.len - suffix.len, suffix.p, suffix.len) != 0)
        return STR_NONE;
    name.len -= suffix.len;
    dot = memrchr(name.p, '.', name.len);
    if (dot)
        name = (struct str){dot + 1, (size_t)(name.p + name.len - dot - 1)};
    return name.len ? name : STR_NONE;
}

bool discovery_fly_is_meant(struct str name, const struct dns_record *records, uint32_t count)
{
    if (!app_of(name).p)
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (records[i].address.any.sa_family == AF_INET6 &&
            !memcmp(&records[i].address.in6.sin6_addr, "\xfd\xaa", 2))
            return true;
    return false;
}

/* --- one machine's address */

static void on_address(void *owner, const struct dns_record *records, uint32_t count,
                       const char *problem)
{
    struct machine *machine = owner;

    (void)problem; // it is asked for again with the next change
    if (count) {
        machine->place.address = records[0].address.in6.sin6_addr;
        machine->is_known = true;
    }
    resolver_unwatch(&machine->watch);
    if (machine->is_known)
        machine->fly->on_regions(machine->fly->owner);
}

static void locate(struct machine *machine)
{
    char name[DNS_NAME_MAX + DNS_FLY_ID_MAX + sizeof(".vm..internal")];
    struct resolver_ask ask = {.type = RESOLVER_AAAA, .ttl_min_ms = TTL_MS, .ttl_max_ms = TTL_MS};
    int len = snprintf(name, sizeof(name), "%s.vm.%s.internal", machine->id, machine->fly->app);

    ask.name = (struct str){name, (size_t)len};
    if (!machine->is_known && !machine->watch)
        machine->watch = resolver_watch(machine->fly->resolver, &ask, on_address, machine);
}

/* --- which machines there are */

/* The place of a machine that is known, or of a new one. NULL: there are too many. */
static struct machine *find(struct discovery_fly *fly, struct str id)
{
    struct machine *free_place = NULL;

    for (unsigned i = 0; i < DISCOVERY_FLY_MACHINES_MAX; i++) {
        struct machine *machine = &fly->machines[i];

        if (machine->is_used && strlen(machine->id) == id.len && !memcmp(machine->id, id.p, id.len))
            return machine;
        if (!machine->is_used && !free_place)
            free_place = machine;
    }
    return free_place;
}

static void forget(struct machine *machine)
{
    resolver_unwatch(&machine->watch);
    machine->is_used = machine->is_known = false;
}

static bool is_among(const struct machine *machine, const struct dns_fly_machine *found,
                     uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (found[i].id.len == strlen(machine->id) &&
            !memcmp(found[i].id.p, machine->id, found[i].id.len))
            return true;
    return false;
}

static void note(struct discovery_fly *fly, const struct dns_fly_machine *found)
{
    struct machine *machine = find(fly, found->id);

    if (!machine)
        return;
    machine->fly = fly;
    machine->is_used = true;
    snprintf(machine->id, sizeof(machine->id), "%.*s", STR_FMT(found->id));
    snprintf(machine->place.region, sizeof(machine->place.region), "%.*s", STR_FMT(found->region));
    locate(machine);
}

static void on_text(void *owner, struct str text, const char *problem)
{
    struct discovery_fly *fly = owner;
    struct dns_fly_machine found[DISCOVERY_FLY_MACHINES_MAX];
    uint32_t count;

    fly->text = NULL;
    if (problem)
        return;
    count = dns_fly_parse(text, found, DISCOVERY_FLY_MACHINES_MAX);
    for (unsigned i = 0; i < DISCOVERY_FLY_MACHINES_MAX; i++)
        if (fly->machines[i].is_used && !is_among(&fly->machines[i], found, count))
            forget(&fly->machines[i]);
    for (uint32_t i = 0; i < count; i++)
        note(fly, &found[i]);
}

void discovery_fly_ask(struct discovery_fly *fly)
{
    char name[DNS_NAME_MAX + sizeof("vms..internal")];
    int len = snprintf(name, sizeof(name), "vms.%s.internal", fly->app);

    if (!fly->text)
        fly->text = resolver_text(fly->resolver, (struct str){name, (size_t)len}, on_text, fly);
}

uint32_t discovery_fly_regions(const struct discovery_fly *fly, struct discovery_region *regions)
{
    uint32_t count = 0;

    for (unsigned i = 0; i < DISCOVERY_FLY_MACHINES_MAX; i++)
        if (fly->machines[i].is_used && fly->machines[i].is_known)
            regions[count++] = fly->machines[i].place;
    return count;
}

/* --- life */

struct discovery_fly *discovery_fly_open(struct resolver *resolver, struct str name,
                                         void (*on_regions)(void *owner), void *owner)
{
    struct discovery_fly *fly = calloc(1, sizeof(*fly));

    if (!fly)
        return NULL;
    fly->resolver = resolver;
    fly->on_regions = on_regions;
    fly->owner = owner;
    snprintf(fly->app, sizeof(fly->app), "%.*s", STR_FMT(app_of(name)));
    return fly;
}

void discovery_fly_close(struct discovery_fly **fly)
{
    struct discovery_fly *gone = *fly;

    *fly = NULL;
    if (!gone)
        return;
    resolver_forget(&gone->text);
    for (unsigned i = 0; i < DISCOVERY_FLY_MACHINES_MAX; i++)
        resolver_unwatch(&gone->machines[i].watch);
    free(gone);
}
