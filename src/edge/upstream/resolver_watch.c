/* SPDX-License-Identifier: Apache-2.0
 *
 * One watch of the resolver: the questions of a round, what comes of their answers, and when the
 * next round is. An address watch is a round of one name; an SRV watch first asks for the names.
 */
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "edge/upstream/resolver_impl.h"

static const char no_memory[] = "out of memory";
static const char garbage[] = "the answer is garbage";
static const char no_addresses[] = "no addresses";
static const char too_many[] = "more than 4096 addresses or 64 targets: some are left out";

_Static_assert(DNS_RECORDS_MAX == 4096 && RESOLVER_TARGETS_MAX == 64, "as too_many says");

/* --- questions */

static void free_round(struct resolver_round *round)
{
    resolver_query_drop(&round->query);
    for (uint32_t i = 0; i < round->target_count; i++)
        for (unsigned k = 0; k < 2; k++) {
            resolver_query_drop(&round->targets[i].lookups[k].query);
            dns_answer_free(&round->targets[i].lookups[k].answer);
        }
    free(round->targets);
    dns_answer_free(&round->services);
    *round = (struct resolver_round){.pending = 0};
    dns_answer_init(&round->services);
}

static const char *read_reply(struct dns_answer *answer, const struct resolver_query *query,
                              const struct resolver_reply *reply)
{
    enum status status;

    if (reply->problem)
        return reply->problem;
    status = dns_answer_read(answer, reply->bytes, query->type, 0);
    if (!status)
        return answer->count ? NULL : no_addresses;
    dns_answer_free(answer);
    return status == E_NOMEM ? no_memory : garbage;
}

static void on_addresses(struct resolver_query *query, const struct resolver_reply *reply)
{
    struct resolver_watch *watch = query->owner;
    struct resolver_lookup *lookup =
        &watch->round.targets[query->index / 2].lookups[query->index % 2];

    lookup->query = NULL;
    lookup->problem = read_reply(&lookup->answer, query, reply);
    // Aliases alone are an answer, and one without an address.
    lookup->is_negative = reply->is_negative || lookup->problem == no_addresses;
    watch->round.pending--;
}

static void ask_target(struct resolver_watch *watch, uint32_t index)
{
    struct resolver_target *target = &watch->round.targets[index];

    for (unsigned i = 0; i < 2; i++) {
        struct resolver_lookup *lookup = &target->lookups[i];
        struct resolver_query like = {.done = on_addresses,
                                      .owner = watch,
                                      .index = 2 * index + i,
                                      .type = i ? DNS_AAAA : DNS_A};

        dns_answer_init(&lookup->answer);
        lookup->is_asked = watch->ask.type != (i ? RESOLVER_A : RESOLVER_AAAA);
        if (!lookup->is_asked)
            continue;
        lookup->problem =
            resolver_query_start(watch->resolver, &like, target->name, &lookup->query);
        watch->round.pending += lookup->query != NULL;
    }
}

static struct resolver_target *find_target(struct resolver_round *round, struct str name)
{
    for (uint32_t i = 0; i < round->target_count; i++)
        if (round->targets[i].name.len == name.len &&
            !memcmp(round->targets[i].name.p, name.p, name.len))
            return &round->targets[i];
    return NULL;
}

/* The names that services point to, each once: those of the best priority first. */
static bool list_targets(struct resolver_round *round)
{
    struct dns_answer *services = &round->services;

    round->targets = calloc(RESOLVER_TARGETS_MAX, sizeof(*round->targets));
    if (!round->targets)
        return false;
    for (uint32_t i = 0; i < services->count; i++) {
        struct str name = services->records[i].target;

        if (find_target(round, name))
            continue;
        if (round->target_count == RESOLVER_TARGETS_MAX)
            services->is_capped = true;
        else
            round->targets[round->target_count++].name = name;
    }
    return true;
}

static void on_services(struct resolver_query *query, const struct resolver_reply *reply)
{
    struct resolver_watch *watch = query->owner;
    struct resolver_round *round = &watch->round;

    round->query = NULL;
    round->problem = read_reply(&round->services, query, reply);
    if (!round->problem) {
        dns_answer_settle(&round->services);
        if (!list_targets(round))
            round->problem = no_memory;
        for (uint32_t i = 0; i < round->target_count; i++)
            ask_target(watch, i);
    }
    round->pending--;
}

static void begin_services(struct resolver_watch *watch)
{
    struct resolver_query like = {.done = on_services, .owner = watch, .type = DNS_SRV};
    struct resolver_round *round = &watch->round;

    round->problem = resolver_query_start(watch->resolver, &like, watch->ask.name, &round->query);
    round->pending = round->query != NULL;
}

static void begin_addresses(struct resolver_watch *watch)
{
    struct resolver_round *round = &watch->round;
    struct dns_record self = {.port = watch->ask.port};

    round->targets = calloc(1, sizeof(*round->targets));
    if (!round->targets || dns_answer_add(&round->services, &self)) {
        round->problem = no_memory;
        return;
    }
    round->target_count = 1;
    round->targets[0].name = watch->ask.name;
    ask_target(watch, 0);
}

void resolver_watch_begin(struct resolver_watch *watch)
{
    watch->due_ms = RESOLVER_NEVER_MS;
    if (watch->ask.type == RESOLVER_SRV)
        begin_services(watch);
    else
        begin_addresses(watch);
}

bool resolver_watch_is_done(const struct resolver_watch *watch)
{
    return watch->due_ms == RESOLVER_NEVER_MS && !watch->round.pending;
}

/* --- answers */

/* What a round came to. */
struct outcome {
    struct dns_answer fresh;
    const char *problem, *negative; /* of a lookup that failed; of one that found nothing */
    bool has_good;                  /* a lookup found something */
};

static bool is_same(struct str a, struct str b)
{
    return a.len == b.len && (!a.len || !memcmp(a.p, b.p, a.len));
}

/* `address` as an address of `service`. */
static enum status add(struct dns_answer *fresh, const struct dns_record *service,
                       const struct dns_record *address)
{
    struct dns_record record = *address;

    record.port = service->port;
    record.priority = service->priority;
    record.weight = service->weight;
    record.target = service->target;
    if (record.address.any.sa_family == AF_INET)
        record.address.in.sin_port = htons(service->port);
    else
        record.address.in6.sin6_port = htons(service->port);
    return dns_answer_add(fresh, &record);
}

/* The last good ones of a family of a service's name, in place of what could not be asked. */
static enum status add_last(struct dns_answer *fresh, const struct dns_record *service,
                            const struct dns_answer *good, int family)
{
    enum status status = OK;

    for (uint32_t i = 0; i < good->count && !status; i++)
        if (good->records[i].address.any.sa_family == family &&
            is_same(good->records[i].target, service->target))
            status = add(fresh, service, &good->records[i]);
    return status;
}

static enum status add_found(struct dns_answer *fresh, const struct dns_record *service,
                             const struct dns_answer *found)
{
    enum status status = OK;

    for (uint32_t i = 0; i < found->count && !status; i++)
        status = add(fresh, service, &found->records[i]);
    if (found->ttl_s < fresh->ttl_s)
        fresh->ttl_s = found->ttl_s;
    fresh->is_capped = fresh->is_capped || found->is_capped;
    return status;
}

static void note_problem(struct outcome *outcome, const struct resolver_lookup *lookup)
{
    const char **first = lookup->is_negative ? &outcome->negative : &outcome->problem;

    if (!*first)
        *first = lookup->problem;
}

static enum status gather_service(struct outcome *outcome, struct resolver_watch *watch,
                                  const struct dns_record *service)
{
    struct resolver_target *target =
        service->target.p ? find_target(&watch->round, service->target) : watch->round.targets;
    enum status status = OK;

    for (unsigned i = 0; target && i < 2 && !status; i++) {
        struct resolver_lookup *lookup = &target->lookups[i];

        if (!lookup->is_asked)
            continue;
        if (!lookup->problem) {
            outcome->has_good = true;
            status = add_found(&outcome->fresh, service, &lookup->answer);
            continue;
        }
        note_problem(outcome, lookup);
        if (!lookup->is_negative)
            status = add_last(&outcome->fresh, service, &watch->good, i ? AF_INET6 : AF_INET);
    }
    return status;
}

static void gather(struct outcome *outcome, struct resolver_watch *watch)
{
    struct dns_answer *services = &watch->round.services;
    enum status status = OK;

    dns_answer_init(&outcome->fresh);
    outcome->problem = watch->round.problem;
    if (outcome->problem)
        return;
    for (uint32_t i = 0; i < services->count && !status; i++)
        status = gather_service(outcome, watch, &services->records[i]);
    if (status) {
        outcome->problem = no_memory;
        outcome->has_good = false;
    }
    if (services->ttl_s < outcome->fresh.ttl_s)
        outcome->fresh.ttl_s = services->ttl_s;
    outcome->fresh.is_capped = outcome->fresh.is_capped || services->is_capped;
    // The names that the records point to go over to them.
    outcome->fresh.texts = services->texts;
    arena_init(&services->texts, NULL, 0);
    dns_answer_settle(&outcome->fresh);
}

/* --- when again */

static uint64_t retry_ms(const struct resolver_watch *watch)
{
    uint64_t max = RESOLVER_RETRY_MAX_MS, wait = watch->ask.ttl_min_ms;

    if (wait >= max)
        return wait;
    if (wait < RESOLVER_WAIT_MIN_MS)
        wait = RESOLVER_WAIT_MIN_MS;
    for (uint32_t i = 1; i < watch->failures && wait < max; i++)
        wait *= 2;
    return wait < max ? wait : max;
}

static uint64_t ttl_ms(const struct resolver_watch *watch, const struct outcome *outcome)
{
    uint64_t wait = (uint64_t)outcome->fresh.ttl_s * 1000, retry;

    if (wait > watch->ask.ttl_max_ms)
        wait = watch->ask.ttl_max_ms;
    if (wait < watch->ask.ttl_min_ms)
        wait = watch->ask.ttl_min_ms;
    // What failed beside it is not left for as long as that is good.
    retry = watch->ask.ttl_min_ms > RESOLVER_RETRY_MAX_MS ? watch->ask.ttl_min_ms
                                                          : RESOLVER_RETRY_MAX_MS;
    return outcome->problem && wait > retry ? retry : wait;
}

static uint64_t with_jitter(struct resolver *resolver, uint64_t wait_ms)
{
    uint64_t tenth = wait_ms / 10;

    wait_ms += random_below(&resolver->random, (uint32_t)(2 * tenth + 1)) - tenth;
    return wait_ms > RESOLVER_WAIT_MIN_MS ? wait_ms : RESOLVER_WAIT_MIN_MS;
}

/* --- the end of a round */

/* Whether the records are other ones. */
static bool take(struct resolver_watch *watch, struct dns_answer *fresh)
{
    bool is_same_set = dns_answer_equal(&watch->good, fresh);

    dns_answer_free(&watch->good);
    watch->good = *fresh;
    dns_answer_init(fresh);
    return !is_same_set;
}

void resolver_watch_settle(struct resolver_watch *watch)
{
    struct outcome outcome = {.has_good = false};
    const char *problem, *before = watch->problem;
    bool has_news = false;
    uint64_t wait;

    gather(&outcome, watch);
    if (outcome.has_good) {
        problem = outcome.fresh.is_capped ? too_many : NULL;
        watch->failures = 0;
        wait = ttl_ms(watch, &outcome);
        has_news = take(watch, &outcome.fresh);
    } else {
        problem = outcome.problem ? outcome.problem : outcome.negative;
        watch->failures++;
        wait = retry_ms(watch);
    }
    dns_answer_free(&outcome.fresh);
    free_round(&watch->round);
    watch->problem = problem;
    watch->due_ms = uv_now(watch->resolver->loop) + with_jitter(watch->resolver, wait);
    if (has_news || (problem ? !before || strcmp(problem, before) : before != NULL))
        watch->on_answer(watch->owner, watch->good.records, watch->good.count, problem);
}

/* --- life */

struct resolver_watch *resolver_watch(struct resolver *resolver, const struct resolver_ask *ask,
                                      resolver_on_answer *on_answer, void *owner)
{
    struct resolver_watch *watch = calloc(1, sizeof(*watch) + ask->name.len + 1);

    if (!watch)
        return NULL;
    watch->resolver = resolver;
    watch->on_answer = on_answer;
    watch->owner = owner;
    watch->ask = *ask;
    if (ask->name.len)
        memcpy(watch->name, ask->name.p, ask->name.len);
    watch->ask.name = (struct str){watch->name, ask->name.len};
    dns_answer_init(&watch->good);
    dns_answer_init(&watch->round.services);
    watch->link = &resolver->watches;
    watch->next = resolver->watches;
    if (watch->next)
        watch->next->link = &watch->next;
    resolver->watches = watch;
    resolver_wake(resolver);
    return watch;
}

void resolver_unwatch(struct resolver_watch **watch)
{
    struct resolver_watch *gone = *watch;

    *watch = NULL;
    if (!gone)
        return;
    *gone->link = gone->next;
    if (gone->next)
        gone->next->link = gone->link;
    free_round(&gone->round);
    dns_answer_free(&gone->good);
    free(gone);
}
