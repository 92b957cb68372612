/* SPDX-License-Identifier: Apache-2.0
 *
 * First what the load needs, then what time and knowledge allow, then bounds, then words.
 */
#include "control/scale/decide.h"

#include <math.h>
#include <stdio.h>

#define KNOWN_PART 0.9   /* of the stable window, that must be known before anything shrinks */
#define REPLICAS_MAX 1e6 /* nobody has more, and it fits the type */
#define DRAINS 2.0       /* panic windows that a backlog has after waking, before it is a panic */

/* All that a decision is made from. */
struct view {
    const struct scale_policy *policy;
    const struct scale_now *now;
    const struct scale_state *state;
    struct scale_bounds bounds;
    struct scale_load stable, panic;
    uint32_t by_stable, by_panic; /* replicas that the load of those windows needs */
    double panic_until_s;
};

/* --- need */

/* As few as hold that load with so much for each; 0: not asked. */
static double share_out(double load, double each)
{
    return each > 0 ? ceil(load / each - 1e-9) : 0;
}

/* Whether what is in flight is, or may be, what was held while no replica was ready. */
static bool is_backlog(const struct view *view)
{
    return !view->now->ready ||
           view->now->now_s - view->now->woken_s < DRAINS * view->policy->panic_s;
}

/* Requests that are in flight, or would be: of a backlog, those that arrive in the time that one
 * takes (Little's law). Else what is held counts too, but for what arrives while a replica boots.
 */
static double concurrency_of(const struct view *view, const struct scale_load *load)
{
    double boots = view->now->is_starting ? load->rate * view->now->boot_s : 0;

    if (is_backlog(view))
        return load->rate * view->now->service_s;
    return load->in_flight + fmax(0, load->held - boots);
}

static uint32_t need_of(const struct view *view, const struct scale_load *load)
{
    double flight = share_out(concurrency_of(view, load), view->policy->concurrency);
    double flow = share_out(load->rate, view->policy->rate);

    return (uint32_t)fmin(fmax(flight, flow), REPLICAS_MAX);
}

static uint32_t most(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

static struct view look(const struct scale_policy *policy, const struct scale_now *now,
                        const struct scale_state *state)
{
    struct view view = {
        .policy = policy,
        .now = now,
        .state = state,
        .bounds = scale_bounds_at(&policy->limits, now->now_s, now->spent_day),
        .stable = scale_load_over(&now->samples, now->now_s, policy->stable_s),
        .panic = scale_load_over(&now->samples, now->now_s, policy->panic_s),
        .panic_until_s = state->panic_until_s,
    };

    view.by_stable = need_of(&view, &view.stable);
    view.by_panic = need_of(&view, &view.panic);
    if (view.by_panic >= policy->panic_ratio * most(now->ready, 1))
        view.panic_until_s = now->now_s + policy->stable_s;
    return view;
}

static bool is_panic(const struct view *view)
{
    return view->now->now_s < view->panic_until_s;
}

/* --- what time and knowledge allow */

static void settle(struct scale_decision *decision, uint32_t wanted, enum scale_reason reason)
{
    decision->wanted = wanted;
    decision->reason = reason;
}

static void choose_more(const struct view *view, struct scale_decision *decision)
{
    double since_s = view->now->now_s - view->state->grown_s;

    if (is_panic(view))
        settle(decision, decision->needed, SCALE_PANIC);
    else if (since_s < view->policy->up_cooldown_s)
        settle(decision, view->state->wanted, SCALE_COOLS);
    else
        settle(decision, decision->needed, SCALE_GROWS);
}

/* At most half of them at once. */
static void choose_fewer(const struct view *view, struct scale_decision *decision)
{
    double since_s = view->now->now_s - view->state->changed_s;
    uint32_t wanted = view->state->wanted;

    if (is_panic(view))
        settle(decision, wanted, SCALE_PANIC);
    else if (view->stable.known_s < KNOWN_PART * view->policy->stable_s)
        settle(decision, wanted, SCALE_UNKNOWN);
    else if (since_s < view->policy->down_cooldown_s)
        settle(decision, wanted, SCALE_COOLS);
    else if (!decision->needed)
        settle(decision, 0, SCALE_IDLE);
    else
        settle(decision, most(decision->needed, (wanted + 1) / 2), SCALE_SHRINKS);
}

/* What the load says; where nobody said what a replica shall have, what there is stays. */
static uint32_t needed_by_load(const struct view *view)
{
    bool is_asked = view->policy->concurrency > 0 || view->policy->rate > 0;

    return most(is_asked ? view->by_stable : view->state->wanted, 1);
}

/* The last one goes when all of the idle time is known to have been so, since it was woken last. */
static bool may_sleep(const struct view *view)
{
    return !view->bounds.min && view->now->now_s - view->now->woken_s >= view->policy->idle_s &&
           scale_load_is_idle(&view->now->samples, view->now->now_s, view->policy->idle_s);
}

static void choose(const struct view *view, struct scale_decision *decision)
{
    uint32_t wanted = view->state->wanted;

    if (!wanted && view->panic.held <= 0) {
        settle(decision, 0, SCALE_ASLEEP);
        return;
    }
    decision->needed = may_sleep(view) ? 0 : needed_by_load(view);
    if (is_panic(view))
        decision->needed = most(decision->needed, view->by_panic);
    if (!wanted)
        settle(decision, decision->needed, SCALE_WAKES);
    else if (decision->needed > wanted)
        choose_more(view, decision);
    else if (decision->needed < wanted)
        choose_fewer(view, decision);
    else
        settle(decision, wanted, is_panic(view) ? SCALE_PANIC : SCALE_STEADY);
}

/* What there is may stay up to `hold`; more comes only up to `grow`. */
static void bound(const struct view *view, struct scale_decision *decision)
{
    uint32_t old = view->state->wanted, hold = view->bounds.hold;
    uint32_t highest = most(view->bounds.grow, old < hold ? old : hold);

    if (decision->wanted < view->bounds.min)
        settle(decision, view->bounds.min, SCALE_FLOOR);
    else if (decision->wanted > highest)
        settle(decision, highest, SCALE_CAPPED);
}

/* --- words */

enum { PART_LEN = 96 };

static void say_load(const struct view *view, char text[static PART_LEN])
{
    bool is_short = is_panic(view);
    const struct scale_load *load = is_short ? &view->panic : &view->stable;

    (void)snprintf(text, PART_LEN, "%.3g in flight, %.3g held, %.3g a second over %.0f s",
                   load->in_flight, load->held, load->rate,
                   is_short ? view->policy->panic_s : view->policy->stable_s);
}

static void say_cooling(const struct view *view, bool is_growth, char text[static PART_LEN])
{
    const struct scale_state *state = view->state;
    double since_s = view->now->now_s - (is_growth ? state->grown_s : state->changed_s);
    double needed_s = is_growth ? view->policy->up_cooldown_s : view->policy->down_cooldown_s;

    (void)snprintf(text, PART_LEN, "changed %.0f s ago, again after %.0f", since_s, needed_s);
}

static void say_cap(const struct view *view, char text[static PART_LEN])
{
    static const char *const names[] = {
        [SCALE_BY_MAX] = "max",
        [SCALE_BY_WINDOW] = "max of the schedule",
        [SCALE_BY_CEILING] = "the ceiling",
        [SCALE_BY_HOUR] = "the budget of an hour",
        [SCALE_BY_DAY] = "the budget of the day",
    };
    const struct scale_limits *limits = &view->policy->limits;

    if (view->bounds.by == SCALE_BY_DAY)
        (void)snprintf(text, PART_LEN, "%s allows no more (%.2f of %.2f are spent)",
                       names[SCALE_BY_DAY], view->now->spent_day, limits->budget_day);
    else
        (void)snprintf(text, PART_LEN, "%s allows no more", names[view->bounds.by]);
}

/* What held it back, or moved it. */
static void say_reason(const struct view *view, const struct scale_decision *decision,
                       char text[static PART_LEN])
{
    static const char *const plain[] = {
        [SCALE_STEADY] = "as many as there are", [SCALE_GROWS] = "more are started",
        [SCALE_PANIC] = "in a panic none goes",  [SCALE_SHRINKS] = "some go, half at most",
        [SCALE_IDLE] = "idle for long enough",   [SCALE_ASLEEP] = "asleep, and nobody waits",
        [SCALE_WAKES] = "somebody waits",        [SCALE_FLOOR] = "min allows no fewer",
    };

    if (decision->reason == SCALE_UNKNOWN)
        (void)snprintf(text, PART_LEN, "only %.0f of %.0f s are known, so none goes",
                       view->stable.known_s, view->policy->stable_s);
    else if (decision->reason == SCALE_COOLS)
        say_cooling(view, decision->needed > view->state->wanted, text);
    else if (decision->reason == SCALE_CAPPED)
        say_cap(view, text);
    else
        (void)snprintf(text, PART_LEN, "%s%s", plain[decision->reason],
                       decision->reason == SCALE_FLOOR && view->bounds.is_window
                           ? ", by the schedule"
                           : "");
}

static void say(const struct view *view, struct scale_decision *decision)
{
    char load[PART_LEN], reason[PART_LEN];

    say_load(view, load);
    say_reason(view, decision, reason);
    (void)snprintf(decision->why, SCALE_WHY_LEN, "%s: %u needed, from %u to %u: %s", load,
                   decision->needed, view->state->wanted, decision->wanted, reason);
}

/* --- */

struct scale_state scale_begin(uint32_t running, double now_s)
{
    return (struct scale_state){.wanted = running, .changed_s = now_s};
}

struct scale_decision scale_decide(const struct scale_policy *policy, const struct scale_now *now,
                                   const struct scale_state *state)
{
    const struct view view = look(policy, now, state);
    struct scale_decision decision = {.next = *state};

    choose(&view, &decision);
    bound(&view, &decision);
    say(&view, &decision);
    decision.next.wanted = decision.wanted;
    decision.next.panic_until_s = view.panic_until_s;
    if (decision.wanted != state->wanted)
        decision.next.changed_s = now->now_s;
    if (decision.wanted > state->wanted)
        decision.next.grown_s = now->now_s;
    return decision;
}
