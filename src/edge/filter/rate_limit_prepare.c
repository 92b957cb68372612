/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiles rate_limit. A bucket's identity is made of what the limit is: whose it is (everybody's,
 * or a route's), rate, burst and what it goes by. So it survives a reload that leaves these alone;
 * and a route whose limit is the same as everybody's draws on the same tokens.
 */
#include <string.h>

#include "base/arena.h"
#include "config/conf.h"
#include "edge/filter/rate_limit_conf.h"
#include "edge/limit/limiter.h"

extern const struct filter filter_rate_limit;

struct work {
    struct arena *arena;
    const struct rate_limit_conf *conf;
    const struct rate_limit_conf *global; /* everybody's; NULL: none */
    struct str scope;                     /* of the route; "": everybody's */
};

/* --- whose it is */

static const struct conf_filter *find(const struct conf_filters *filters, const void *conf)
{
    for (uint32_t i = 0; i < filters->count; i++)
        if (filters->items[i].conf && filters->items[i].conf == conf)
            return &filters->items[i];
    return NULL;
}

static struct str find_scope(const struct conf *conf, const void *own)
{
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];

        if (find(&route->filters, own))
            return route->name.s.len ? route->name.s : route->service.s;
    }
    return STR("");
}

static const struct rate_limit_conf *find_global(const struct conf *conf)
{
    for (uint32_t i = 0; i < conf->filters.count; i++)
        if (conf->filters.items[i].filter == &filter_rate_limit)
            return conf->filters.items[i].conf;
    return NULL;
}

/* --- one limit */

static const struct parts *parts_of(const struct rate_limit_conf *conf,
                                    const struct limit_conf *limit)
{
    return limit->by.count ? &limit->by : &conf->own.by;
}

static uint64_t burst_of(const struct limit_conf *limit)
{
    return limit->burst ? limit->burst : limit->rate.count;
}

static bool are_same(const struct work *work, const struct limit_conf *limit,
                     const struct limit_conf *other)
{
    return limit->rate.count == other->rate.count &&
           limit->rate.period_ms == other->rate.period_ms && burst_of(limit) == burst_of(other) &&
           str_same(parts_of(work->conf, limit)->text, parts_of(work->global, other)->text);
}

static bool is_everybodys(const struct work *work, const struct limit_conf *limit, struct str tier)
{
    const struct rate_limit_conf *global = work->global;

    if (!global)
        return false;
    if (tier.len) {
        for (uint32_t i = 0; i < global->tier_count; i++)
            if (str_same(tier, global->tiers[i].name.s) && are_same(work, limit, &global->tiers[i]))
                return true;
        return false;
    }
    for (uint32_t i = 0; i < global->limit_count; i++)
        if (are_same(work, limit, &global->limits[i]))
            return true;
    return !global->limit_count && are_same(work, limit, &global->own);
}

/* Lengths keep apart what is joined. */
static bool identify(const struct work *work, const struct limit_conf *limit, struct str tier,
                     struct limit *out)
{
    struct str scope = is_everybodys(work, limit, tier) ? STR("") : work->scope;
    struct str text =
        arena_format(work->arena, "%zu:%.*s %zu:%.*s %llu/%llu %llu %.*s", scope.len,
                     STR_FMT(scope), tier.len, STR_FMT(tier), (unsigned long long)limit->rate.count,
                     (unsigned long long)limit->rate.period_ms, (unsigned long long)burst_of(limit),
                     STR_FMT(out->by.text));

    out->id = limiter_id(text);
    return text.p != NULL;
}

static bool add_policy(const struct work *work, const struct limit_conf *limit,
                       const struct limit *made, struct str *policy)
{
    struct str burst = STR("");

    if (made->rate.burst != limit->rate.count)
        burst = arena_format(work->arena, ";burst=%llu", (unsigned long long)made->rate.burst);
    *policy = arena_format(work->arena, "%.*s%s%.*s;q=%llu;w=%llu%.*s", STR_FMT(*policy),
                           policy->len ? ", " : "", STR_FMT(made->label),
                           (unsigned long long)limit->rate.count,
                           (unsigned long long)limit->rate.period_ms / 1000, STR_FMT(burst));
    return burst.p && policy->p;
}

static bool compile(const struct work *work, const struct limit_conf *limit, struct limit_set *set)
{
    struct limit *out = &set->limits[set->count++];
    bool is_named = limit->name.s.p && !set->tier.len;

    if (gcra_rate_init(&out->rate, limit->rate.count, limit->rate.period_ms, burst_of(limit)))
        return false; // checked before
    out->by = *parts_of(work->conf, limit);
    out->name = is_named ? limit->name.s : limit->rate.text;
    out->label = arena_format(work->arena, "\"%.*s\"", STR_FMT(out->name));
    return out->label.p && identify(work, limit, set->tier, out) &&
           add_policy(work, limit, out, &set->policy);
}

static bool make_set(const struct work *work, const struct limit_conf *limits, uint32_t count,
                     struct limit_set *set)
{
    set->policy = STR("");
    set->limits = arena_zero(work->arena, count, sizeof(*set->limits));
    for (uint32_t i = 0; set->limits && i < count; i++)
        if (!compile(work, &limits[i], set))
            return false;
    return set->limits != NULL;
}

static bool make_tiers(const struct work *work, struct rate_limit_conf *conf)
{
    conf->tier_sets = arena_zero(work->arena, conf->tier_count, sizeof(*conf->tier_sets));
    for (uint32_t i = 0; conf->tier_sets && i < conf->tier_count; i++) {
        conf->tier_sets[i].tier = conf->tiers[i].name.s;
        if (!make_set(work, &conf->tiers[i], 1, &conf->tier_sets[i]))
            return false;
    }
    return conf->tier_sets != NULL;
}

/* --- who is exempt */

static void add_exempt(struct exempt *exempt, struct str text)
{
    const char *equal;

    if (text.len > 9 && !memcmp(text.p, "consumer:", 9)) {
        exempt->consumers[exempt->consumer_count++] = (struct str){text.p + 9, text.len - 9};
    } else if (text.len > 7 && !memcmp(text.p, "header:", 7)) {
        struct conf_pair *pair = &exempt->headers[exempt->header_count++];

        equal = memchr(text.p + 8, '=', text.len - 8); // checked before
        pair->name.s = (struct str){text.p + 7, (size_t)(equal - text.p) - 7};
        pair->value.s = (struct str){equal + 1, (size_t)(text.p + text.len - equal) - 1};
    } else {
        exempt->net_count += cidr_parse(text, &exempt->nets[exempt->net_count]);
    }
}

static bool make_exempt(struct arena *arena, struct rate_limit_conf *conf)
{
    uint32_t count = conf->exempt_texts.count;
    struct exempt *exempt = &conf->exempt;

    *exempt = (struct exempt){
        .nets = arena_zero(arena, count, sizeof(*exempt->nets)),
        .consumers = arena_zero(arena, count, sizeof(*exempt->consumers)),
        .headers = arena_zero(arena, count, sizeof(*exempt->headers)),
    };
    if (!exempt->nets || !exempt->consumers || !exempt->headers)
        return false;
    for (uint32_t i = 0; i < count; i++)
        add_exempt(exempt, conf->exempt_texts.items[i].s);
    return true;
}

bool rate_limit_prepare(void *conf, const struct filter_prepare *prepare)
{
    struct rate_limit_conf *all = conf;
    struct work work = {.arena = prepare->arena,
                        .conf = all,
                        .global = find_global(prepare->conf),
                        .scope = find_scope(prepare->conf, all)};
    const struct limit_conf *limits = all->limit_count ? all->limits : &all->own;

    all->usual = (struct limit_set){.tier = STR("")};
    if (make_set(&work, limits, all->limit_count ? all->limit_count : 1, &all->usual) &&
        make_tiers(&work, all) && make_exempt(prepare->arena, all))
        return true;
    diag_error(prepare->diag, prepare->at, "out of memory");
    return false;
}
