/* SPDX-License-Identifier: Apache-2.0
 *
 * Why a request went where it went, as JSON for `sluice why`: written when it ends, for refusals
 * and failures, and for a sample of the rest. A part that finds no more room is left out whole.
 */
#include "edge/exchange_impl.h"

#include <string.h>

#include "base/text.h"

enum {
    ROUTES_MAX = 8,         /* that are told of */
    ROUTES_TRIED_MAX = 256, /* more routes than this are not walked through */
    TARGETS_MAX = 24,
    TEXT_MAX = 512,     /* of one value */
    FULL_A_SECOND = 200 /* with routes and targets; others are told in short */
};

struct note {
    char *start, *at, *end;
    bool is_full; /* the part that is being written did not fit */
};

static char *room(struct note *note, size_t most)
{
    note->is_full |= (size_t)(note->end - note->at) < most;
    return note->is_full ? NULL : note->at;
}

static void put(struct note *note, struct str text)
{
    if (room(note, text.len))
        note->at = text_put(note->at, text);
}

/* "text" with its quotes. */
static void put_text(struct note *note, struct str text)
{
    if (text.len > TEXT_MAX)
        text.len = TEXT_MAX;
    put(note, STR("\""));
    if (room(note, text.len * TEXT_JSON_FACTOR))
        note->at = text_json(note->at, text);
    put(note, STR("\""));
}

static void put_member(struct note *note, struct str name, struct str text)
{
    if (!text.p)
        return;
    put(note, STR(",\""));
    put(note, name);
    put(note, STR("\":"));
    put_text(note, text);
}

static void put_number(struct note *note, struct str name, uint64_t number)
{
    put(note, STR(",\""));
    put(note, name);
    put(note, STR("\":"));
    if (room(note, TEXT_U64_MAX))
        note->at = text_u64(note->at, number);
}

static void put_ms(struct note *note, struct str name, uint64_t us)
{
    put(note, STR("\""));
    put(note, name);
    put(note, STR("\":"));
    if (room(note, TEXT_MILLI_MAX))
        note->at = text_milli(note->at, us);
}

/* Takes a part back that did not fit; what follows may be smaller. */
static void settle(struct note *note, char *before)
{
    if (note->is_full)
        note->at = before;
    note->is_full = false;
}

static struct str word(const char *text)
{
    return (struct str){text, strlen(text)};
}

/* --- parts */

static void put_request(struct note *note, const struct exchange *x)
{
    const struct head *request = x->request;

    put(note, STR("{\"id\":"));
    put_text(note, x->id);
    put_number(note, STR("time_ms"),
               loop_wall_ms(x->host->loop) - (x->host->loop->now_us - x->began_us) / 1000);
    put_member(note, STR("client"), x->caller->text);
    if (!str_same(x->caller->text, x->origin->peer.text))
        put_member(note, STR("peer"), x->origin->peer.text);
    if (request) {
        put_member(note, STR("method"), request->method_name);
        put_member(note, STR("scheme"), x->caller->scheme);
        put_member(note, STR("host"), request->authority);
        put_member(note, STR("path"), x->path);
    }
    put_number(note, STR("status"), x->status);
    if (x->reason) {
        put_member(note, STR("reason"), word(reason_info(x->reason)->slug));
        put_member(note, STR("words"), word(reason_info(x->reason)->text));
    }
    put_number(note, STR("generation"), x->generation);
    put_number(note, STR("attempts"), x->attempts);
}

static void put_steps(struct note *note, const struct exchange *x)
{
    static const struct str names[ACCESS_PHASES] = {
        [ACCESS_HEAD] = STR_INIT("head"),     [ACCESS_ASK] = STR_INIT("ask"),
        [ACCESS_QUEUE] = STR_INIT("queue"),   [ACCESS_CONNECT] = STR_INIT("connect"),
        [ACCESS_ANSWER] = STR_INIT("answer"), [ACCESS_RELAY] = STR_INIT("relay"),
    };

    put(note, STR(",\"steps_ms\":{"));
    put_ms(note, STR("total"), x->host->loop->now_us - x->began_us);
    for (unsigned i = 0; i < ACCESS_PHASES; i++) {
        if (!x->phase_us[i])
            continue;
        put(note, STR(","));
        put_ms(note, names[i], x->phase_us[i]);
    }
    put(note, STR("}"));
}

static void put_filter(struct note *note, const struct exchange *x, unsigned i)
{
    static const struct str verdicts[] = {
        [VERDICT_PASS] = STR_INIT("pass"),
        [VERDICT_REPLY] = STR_INIT("reply"),
        [VERDICT_WAIT] = STR_INIT("wait"),
        [VERDICT_FAIL] = STR_INIT("refuse"),
    };
    const struct filter *filter = x->walk.chain->links[i].filter;
    struct visit *visit = &x->walk.visits[i];
    struct str more = filter->describe ? filter->describe(visit) : STR_NONE;

    put(note, i ? STR(",{\"name\":") : STR("{\"name\":"));
    put_text(note, word(filter->name));
    put_member(note, STR("verdict"), i < x->walk.at ? verdicts[visit->verdict] : STR("not_asked"));
    if (more.len) {
        put(note, STR(","));
        put(note, more);
    }
    put(note, STR("}"));
}

static void put_filters(struct note *note, const struct exchange *x)
{
    if (!x->snapshot || !x->walk.chain || !x->walk.visits) // a tunnel's are gone
        return;
    put(note, STR(",\"filters\":["));
    for (unsigned i = 0; i < x->walk.chain->count; i++)
        put_filter(note, x, i);
    put(note, STR("]"));
}

static void put_tries(struct note *note, const struct exchange *x)
{
    if (!x->tries || !x->tries->text.len)
        return;
    put(note, STR(",\"tries\":["));
    put(note, x->tries->text);
    put(note, STR("]"));
}

/* Its service slept. */
static void put_sleep(struct note *note, const struct exchange *x)
{
    if (!x->unwoken.kind && !x->slept_us)
        return;
    put(note, STR(",\"wake\":{"));
    put_ms(note, STR("waited_ms"), x->cold_us);
    put_member(note, STR("refused"), x->detail);
    put(note, STR("}"));
}

/* The routes whose host could apply, the best first, and why they do not fit. */
static void put_routes(struct note *note, struct exchange *x)
{
    const struct rules *rules = x->snapshot->rules;
    struct route_explained found[ROUTES_MAX];
    struct head head;
    uint32_t count;

    if (!x->request || !x->path.p || rules->conf->route_count > ROUTES_TRIED_MAX)
        return;
    head = *x->request;
    head.path = x->path;
    count = route_explain(rules->table, &head, &x->arena, found, ROUTES_MAX);
    put(note, STR(",\"routes\":["));
    for (uint32_t i = 0; i < count && i < ROUTES_MAX; i++) {
        put(note, i ? STR(",{\"name\":") : STR("{\"name\":"));
        put_text(note, rules->list[found[i].index].label);
        put(note, found[i].fits ? STR(",\"fits\":true") : STR(",\"fits\":false"));
        put_member(note, STR("why"), found[i].why);
        put(note, STR("}"));
    }
    put(note, STR("]"));
}

static struct str state_of(const struct snapshot_target *target)
{
    static const struct str names[] = {
        [STANDING_UP] = STR_INIT("up"),           [STANDING_EJECTED] = STR_INIT("ejected"),
        [STANDING_DOWN] = STR_INIT("down"),       [STANDING_UNKNOWN] = STR_INIT("unknown"),
        [STANDING_DRAINED] = STR_INIT("drained"),
    };
    uint32_t standing = __atomic_load_n(&target->endpoint->standing, __ATOMIC_RELAXED);

    return names[target->is_drained ? STANDING_DRAINED : standing];
}

/* Which release, and why that one. */
static void put_release(struct note *note, const struct exchange *x)
{
    static const struct str by[] = {
        [EXCHANGE_BY_SPLIT] = STR_INIT("its share of the split"),
        [EXCHANGE_BY_WISH] = STR_INIT("the request asked for it"),
        [EXCHANGE_BY_LIST] = STR_INIT("a list has the client"),
        [EXCHANGE_BY_NET] = STR_INIT("another release failed: the safety net"),
    };

    if (!x->release_id.len)
        return;
    put_member(note, STR("release"), x->release_id);
    put_member(note, STR("release_by"), by[x->release_by]);
}

/* The targets as they stand now; whether one could be had then, its tries say. */
static void put_targets(struct note *note, const struct exchange *x)
{
    const struct release *release = x->release;
    const struct balancer_target *ours;

    if (!release || (x->walk.chain && x->walk.at < x->walk.chain->count))
        return;
    put_member(note, STR("balance"), word(release->service->balancer->name));
    put(note, STR(",\"targets\":["));
    ours = release->locals[x->host->loop->worker].targets;
    for (uint32_t i = 0; i < release->count && i < TARGETS_MAX; i++) {
        const struct endpoint *endpoint = release->targets[i].endpoint;
        bool is_it = x->target_id.len && str_same(x->target_id, endpoint->id);

        put(note, i ? STR(",{\"id\":") : STR("{\"id\":"));
        put_text(note, endpoint->id);
        put(note, is_it ? STR(",\"chosen\":true") : STR(",\"chosen\":false"));
        put_member(note, STR("state"), state_of(&release->targets[i]));
        put_number(note, STR("tier"), release->targets[i].tier);
        put_number(note, STR("load"), ours[i].load);
        put(note, STR("}"));
    }
    put(note, STR("]"));
}

/* --- which, and how much of it */

/* One in so many, evenly: a step of the golden ratio for each request. */
static bool is_sampled(struct exchange_host *host)
{
    uint64_t ppm = host->snapshot->rules->conf->log.why_ppm;

    host->sampled += UINT32_C(2654435769);
    return host->sampled < ppm * UINT32_MAX / 1000000;
}

static bool may_be_full(struct exchange_host *host)
{
    uint64_t second = host->loop->now_us / 1000000;

    if (second != host->full_second) {
        host->full_second = second;
        host->full_notes = 0;
    }
    return host->full_notes++ < FULL_A_SECOND;
}

static enum trail_kind kind_of(const struct exchange *x)
{
    if (!x->reason && x->status < 500)
        return TRAIL_GOOD;
    return x->reason && x->status < 499 ? TRAIL_REFUSED : TRAIL_FAILED;
}

static void compose(struct note *note, struct exchange *x)
{
    static void (*const parts[])(struct note *, const struct exchange *) = {put_steps, put_filters,
                                                                            put_sleep, put_tries};
    char *before;

    put_request(note, x);
    put_member(note, STR("route"), x->route_label);
    put_member(note, STR("service"), x->service_name);
    put_release(note, x);
    put_member(note, STR("target"), x->target_id);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        before = note->at;
        parts[i](note, x);
        settle(note, before);
    }
    if (!x->snapshot || !may_be_full(x->host))
        return;
    before = note->at;
    put_targets(note, x);
    settle(note, before);
    before = note->at;
    put_routes(note, x);
    settle(note, before);
}

void exchange_keep_why(struct exchange *x)
{
    enum trail_kind kind = kind_of(x);
    char text[TRAIL_TEXT_MAX];
    struct note note = {.start = text, .at = text, .end = text + sizeof(text) - 1};

    if (!x->host->trail || (kind == TRAIL_GOOD && !is_sampled(x->host)))
        return;
    compose(&note, x);
    *note.at++ = '}';
    trail_keep(x->host->trail, kind, x->id, (struct str){text, (size_t)(note.at - text)});
}
