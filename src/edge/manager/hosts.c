/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/manager/hosts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rest/target.h"

struct hosts_look {
    uv_work_t work;
    struct hosts *hosts; /* NULL: they have been closed */
    bool found_others;
    uint32_t count;
    struct endpoint *endpoints[]; /* references */
};

struct hosts {
    uv_loop_t *loop;
    void (*on_change)(void *owner);
    void *owner;
    struct hosts_look *look; /* under way */
    uint64_t looked_ms;
    bool is_suspect;
};

/* --- pure */

bool hosts_is_name(struct str address)
{
    struct conf_address parts;
    struct in_addr in;
    char host[INET_ADDRSTRLEN];

    target_split(address, &parts);
    if (parts.is_unix || memchr(parts.host.p, ':', parts.host.len))
        return false;
    if (parts.host.len >= sizeof(host))
        return true;
    snprintf(host, sizeof(host), "%.*s", STR_FMT(parts.host));
    return inet_pton(AF_INET, host, &in) != 1;
}

static unsigned count_common(const struct endpoint_address *a, unsigned a_count,
                             const struct endpoint_address *b, unsigned b_count)
{
    unsigned common = 0;

    for (unsigned i = 0; i < a_count; i++)
        for (unsigned k = 0; k < b_count; k++)
            if (a[i].len == b[k].len && !memcmp(&a[i].socket, &b[k].socket, a[i].len)) {
                common++;
                break;
            }
    return common;
}

bool hosts_differ(const struct endpoint *endpoint, const struct endpoint_address *addresses,
                  unsigned count)
{
    const struct endpoint_address *now = endpoint->addresses;
    unsigned now_count = endpoint->address_count;
    unsigned common = count_common(addresses, count, now, now_count);

    if (count == ENDPOINT_ADDRESSES_MAX && now_count == ENDPOINT_ADDRESSES_MAX)
        return !common;
    return common != count || count_common(now, now_count, addresses, count) != now_count;
}

/* --- a look */

static void on_work(uv_work_t *work)
{
    struct hosts_look *look = work->data;

    for (uint32_t i = 0; i < look->count && !look->found_others; i++) {
        const struct endpoint *endpoint = look->endpoints[i];
        struct endpoint_address found[ENDPOINT_ADDRESSES_MAX];
        struct conf_address address;
        const char *error;
        unsigned count;

        target_split(endpoint->address, &address);
        if (!endpoint_resolve(&address, found, &count, &error))
            look->found_others = hosts_differ(endpoint, found, count);
    }
}

static void on_done(uv_work_t *work, int cancelled)
{
    struct hosts_look *look = work->data;
    struct hosts *hosts = look->hosts;
    bool is_news = look->found_others && !cancelled;

    for (uint32_t i = 0; i < look->count; i++)
        endpoint_unref(&look->endpoints[i]);
    free(look);
    if (!hosts)
        return;
    hosts->look = NULL;
    if (is_news)
        hosts->on_change(hosts->owner);
}

struct names {
    struct endpoint **endpoints; /* NULL: they are only counted */
    uint32_t count;
};

static void take_name(void *owner, const struct release *release,
                      const struct snapshot_target *target)
{
    struct names *names = owner;

    (void)release;
    if (!hosts_is_name(target->endpoint->address))
        return;
    if (names->endpoints) {
        endpoint_ref(target->endpoint);
        names->endpoints[names->count] = target->endpoint;
    }
    names->count++;
}

static uint32_t collect(const struct snapshot *snapshot, struct endpoint **endpoints)
{
    struct names names = {.endpoints = endpoints};

    snapshot_each_target(snapshot, &names, take_name);
    return names.count;
}

static void begin(struct hosts *hosts, const struct snapshot *snapshot)
{
    uint32_t count = collect(snapshot, NULL);
    struct hosts_look *look =
        count ? calloc(1, sizeof(*look) + count * sizeof(*look->endpoints)) : NULL;

    hosts->looked_ms = uv_now(hosts->loop);
    hosts->is_suspect = false;
    if (!look)
        return;
    look->count = collect(snapshot, look->endpoints);
    look->hosts = hosts;
    hosts->look = look;
    look->work.data = look;
    if (uv_queue_work(hosts->loop, &look->work, on_work, on_done))
        on_done(&look->work, UV_ECANCELED);
}

void hosts_tick(struct hosts *hosts, const struct snapshot *snapshot)
{
    uint64_t ago_ms = uv_now(hosts->loop) - hosts->looked_ms;

    if (!snapshot || hosts->look)
        return;
    if (ago_ms >= HOSTS_AGAIN_MS || (hosts->is_suspect && ago_ms >= HOSTS_SUSPECT_MS))
        begin(hosts, snapshot);
}

void hosts_suspect(struct hosts *hosts, const struct endpoint *endpoint)
{
    hosts->is_suspect |= hosts_is_name(endpoint->address);
}

/* --- life */

struct hosts *hosts_open(uv_loop_t *loop, void (*on_change)(void *owner), void *owner)
{
    struct hosts *hosts = calloc(1, sizeof(*hosts));

    if (!hosts)
        return NULL;
    hosts->loop = loop;
    hosts->on_change = on_change;
    hosts->owner = owner;
    hosts->looked_ms = uv_now(loop);
    return hosts;
}

void hosts_close(struct hosts **hosts)
{
    struct hosts *gone = *hosts;

    *hosts = NULL;
    if (!gone)
        return;
    if (gone->look)
        gone->look->hosts = NULL;
    free(gone);
}
