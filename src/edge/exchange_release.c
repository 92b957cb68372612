/* SPDX-License-Identifier: Apache-2.0
 *
 * Which release of its service a request gets (the beginning of PICK): one that it asks for, one
 * that a list gives its client, else its share of the split. And what a release on trial is charged
 * with: the first try of each request counts, and one that fails may go to the stable one.
 */
#include "edge/exchange_impl.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/random.h"
#include "base/text.h"
#include "http/cookie.h"
#include "http/grpc.h"

static struct release *stable_of(const struct exchange *x)
{
    return &x->service->releases[0];
}

/* --- by name */

/* The first label of a host under `pattern`, "*.example.com"; absent: it is another host. */
static struct str label_of(struct str host, struct str pattern)
{
    const char *port = memrchr(host.p, ':', host.len);
    size_t len = port && host.p[host.len - 1] != ']' ? (size_t)(port - host.p) : host.len;
    size_t tail = pattern.len - 1;

    if (len <= tail || strncasecmp(host.p + len - tail, pattern.p + 1, tail) != 0)
        return STR_NONE;
    return (struct str){host.p, len - tail};
}

/* The release that a label of a host means, which has no case (RFC 4343). */
static struct release *find_label(const struct service *service, struct str label)
{
    char name[CONF_RELEASE_ID_MAX];

    for (uint32_t i = 0; i < service->release_count; i++) {
        struct str id = service->releases[i].id;

        if (id.len == label.len && !strncasecmp(id.p, label.p, id.len))
            return &service->releases[i];
    }
    for (size_t i = 0; i < label.len && i < sizeof(name); i++)
        name[i] = (char)tolower((unsigned char)label.p[i]);
    return label.len <= sizeof(name) ? service_named(service, (struct str){name, label.len}) : NULL;
}

/* The release that the request asks for. False: it asks for none. */
static bool find_asked(const struct exchange *x, const struct conf_assign *assign,
                       struct release **release)
{
    struct str name = STR_NONE;

    if (assign->ask_host.s.len && x->request->authority.len)
        name = label_of(x->request->authority, assign->ask_host.s);
    if (name.p) {
        *release = find_label(x->service, name);
        return true;
    }
    if (assign->ask_header.s.len)
        name = head_value_name(x->request, assign->ask_header.s);
    *release = name.p ? service_named(x->service, name) : NULL;
    return name.p != NULL;
}

static struct release *find_cookie(const struct exchange *x, const struct conf_assign *assign)
{
    struct str name = STR_NONE;

    if (assign->ask_cookie.s.len)
        name = cookie_value(head_value(x->request, HDR_COOKIE), assign->ask_cookie.s);
    return name.p ? service_named(x->service, name) : NULL;
}

static bool is_listed(const struct exchange *x, const struct conf_assign_list *list)
{
    struct str value;

    if (list->address_count)
        return cidr_list_has(list->addresses, list->address_count, x->caller->ip);
    value = list->header.s.len ? head_value_name(x->request, list->header.s)
                               : cookie_value(head_value(x->request, HDR_COOKIE), list->cookie.s);
    for (uint32_t i = 0; value.p && i < list->value_count; i++)
        if (str_same(value, list->values[i].s))
            return true;
    return false;
}

static struct release *find_listed(const struct exchange *x, const struct conf_assign *assign)
{
    struct release *release = NULL;

    for (uint32_t i = 0; !release && i < assign->list_count; i++)
        if (is_listed(x, &assign->lists[i]))
            release = service_named(x->service, assign->lists[i].release.s);
    return release;
}

/* --- by share */

static uint64_t client_of_cookie(struct exchange *x, const struct conf_assign *assign)
{
    struct str cookies = head_value(x->request, HDR_COOKIE);
    uint64_t id;

    if (!text_read_hex16(cookie_value(cookies, assign->cookie.s), &id))
        id = 0;
    if (!id && !x->new_client) // anew for each request, until its client has kept one
        x->new_client = random_mix(x->host->loop->now_us ^ random_mix(x->host->id_next)) | 1;
    return id ? id : x->new_client;
}

/* The same on every worker, edge and day. */
static uint64_t client_key(struct exchange *x)
{
    const struct conf_assign *assign = &x->service->conf->assign;
    struct str text = STR_NONE;

    if (assign->by == CONF_ASSIGN_COOKIE)
        return client_of_cookie(x, assign);
    if (assign->by == CONF_ASSIGN_HEADER)
        text = head_value_name(x->request, assign->by_name);
    else if (assign->by == CONF_ASSIGN_OTHER_COOKIE)
        text = cookie_value(head_value(x->request, HDR_COOKIE), assign->by_name);
    return text.p ? XXH3_64bits(text.p, text.len) : x->caller->hash;
}

/* --- the choice */

static enum reason assign(struct exchange *x)
{
    const struct conf_assign *conf = &x->service->conf->assign;

    x->is_on_trial = false;
    x->release_by = EXCHANGE_BY_WISH;
    if (find_asked(x, conf, &x->release))
        return x->release ? REASON_NONE : REASON_RELEASE_UNKNOWN;
    x->release = find_cookie(x, conf);
    if (x->release)
        return REASON_NONE;
    x->release_by = EXCHANGE_BY_LIST;
    x->release = find_listed(x, conf);
    if (x->release)
        return REASON_NONE;
    x->release_by = EXCHANGE_BY_SPLIT;
    x->release = stable_of(x);
    if (x->service->is_split) {
        x->release = &x->service->releases[split_pick(&x->service->split, client_key(x))];
        x->is_on_trial = x->release != stable_of(x);
    }
    return REASON_NONE;
}

enum reason exchange_assign_release(struct exchange *x)
{
    if (x->is_sample && !x->is_picked)
        return REASON_NONE;
    if (x->service->is_split || x->service->has_wishes)
        return assign(x);
    x->release = stable_of(x);
    x->is_on_trial = false;
    return REASON_NONE;
}

void exchange_renew_release(struct exchange *x, const struct release *before)
{
    x->release = before ? service_release(x->service, before->id) : NULL;
    if (!before || (x->release && x->release->count && (x->release->share || !x->is_on_trial)))
        return;
    if (assign(x)) // what it asked for is gone
        x->release = stable_of(x);
}

/* --- what it is charged with */

static void charge_client(const struct exchange *x, struct stat_release *stat, bool is_bad)
{
    struct stat_client *client;

    if (!x->caller->hash)
        return;
    client = &stat->clients[stat_client_group(x->service_name, x->caller->hash)];
    if (!x->is_charged)
        stat_add(&client->requests, 1);
    if (is_bad)
        stat_add(&client->failures, 1);
}

/* Who asked for a release, or is on a list, is not one of its share, and no like of those on the
 * stable one. */
void exchange_charge(struct exchange *x, bool is_bad, uint64_t us)
{
    struct stat_release *stat;

    if (!x->release || x->release_by != EXCHANGE_BY_SPLIT || x->is_charged_bad ||
        (x->is_charged && !is_bad))
        return;
    stat = stats_release(x->host->stats, x->host->loop->worker,
                         __atomic_load_n(&x->release->slot, __ATOMIC_RELAXED));
    if (!x->is_charged) {
        stat_add(&stat->requests, 1);
        stat_add(&stat->samples, x->is_sample);
    }
    if (is_bad)
        stat_add(&stat->failures, 1);
    else
        stat_add(&stat->latency[latency_bucket(us)], 1);
    charge_client(x, stat, is_bad);
    x->is_charged = true;
    x->is_charged_bad = is_bad;
}

bool exchange_is_bad_grpc(const struct exchange *x, const struct head *head)
{
    return x->grpc_type.p && grpc_is_failure(head_value_name(head, STR("grpc-status")));
}

/* --- the safety net */

bool exchange_may_net(const struct exchange *x, bool is_unsent)
{
    if (!x->is_on_trial || !x->service->conf->has_safety_net ||
        x->attempts >= EXCHANGE_ATTEMPTS_MAX)
        return false;
    return is_unsent || (x->can_replay && method_is_idempotent(x->request->method));
}

void exchange_net(struct exchange *x)
{
    struct stat_release *stat = stats_release(x->host->stats, x->host->loop->worker,
                                              __atomic_load_n(&x->release->slot, __ATOMIC_RELAXED));

    stat_add(&stat->rescued, 1);
    if (!x->is_charged)
        exchange_charge(x, true, 0);
    x->is_charged = x->is_charged_bad =
        true; // what comes of it on the stable one is not a first try
    x->is_on_trial = false;
    x->release = stable_of(x);
    x->release_by = EXCHANGE_BY_NET;
    x->netted_us = x->host->loop->now_us;
}

/* --- what the client is told */

enum status exchange_say_release(struct exchange *x)
{
    const struct conf_assign *conf = &x->service->conf->assign;

    if (!x->service->has_releases || !x->release)
        return OK;
    if (head_set(x->response, &x->arena, STR("X-Sluice-Release"), x->release->id))
        return E_NOMEM;
    return x->new_client ? exchange_give_cookie(x, conf->cookie.s, x->new_client, conf->max_age_ms)
                         : OK;
}
