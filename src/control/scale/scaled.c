/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/scaled.h"

#include <math.h>
#include <stdio.h>

#define ASKED_S 0.01 /* that a request has waited when it is told of, before it is counted */
#define OLD_PART 0.8 /* of what was known of a request's time, at each look */

enum { LOOK_MAX_MS = 10 * 1000 }; /* from one look to the next, which come every second */

static double seconds(int64_t ms)
{
    return (double)ms / 1000;
}

void scaled_begin(struct scaled *scaled, uint32_t running, int64_t now_ms)
{
    *scaled = (struct scaled){.state = scale_begin(running, seconds(now_ms)),
                              .life = {.mode = LIFE_AWAKE, .since_ms = now_ms}};
}

/* --- the clock */

static void move(double *at_s, double by_s)
{
    if (*at_s > 0)
        *at_s += by_s;
}

static void move_all(struct scaled *scaled, int64_t by_ms)
{
    scaled->life.since_ms += by_ms;
    if (scaled->grew_ms)
        scaled->grew_ms += by_ms;
    move(&scaled->state.grown_s, seconds(by_ms));
    move(&scaled->state.changed_s, seconds(by_ms));
    move(&scaled->state.panic_until_s, seconds(by_ms));
    move(&scaled->woken_s, seconds(by_ms));
}

/* Where the clock was set, what lies before is as long ago as it was. */
static void follow_clock(struct scaled *scaled, int64_t now_ms)
{
    int64_t passed_ms = scaled->looked_ms ? now_ms - scaled->looked_ms : 0;

    if (passed_ms < 0 || passed_ms > LOOK_MAX_MS)
        move_all(scaled, passed_ms);
    if (scaled->life.since_ms > now_ms) // set back while nobody looked
        move_all(scaled, now_ms - scaled->life.since_ms);
    scaled->looked_ms = now_ms;
}

/* --- deciding */

/* By Little's law, where targets answer. */
static void learn(struct scaled *scaled, const struct scale_policy *policy, double now_s)
{
    struct scale_samples samples = scale_ring_view(&scaled->ring);
    struct scale_load load = scale_load_over(&samples, now_s, policy->stable_s);
    double service_s = load.rate > 0 ? load.in_flight / load.rate : 0;

    if (scaled->life.mode != LIFE_AWAKE || service_s <= 0)
        return;
    scaled->service_s = scaled->service_s > 0
                            ? scaled->service_s * OLD_PART + service_s * (1 - OLD_PART)
                            : service_s;
}

static double boot_s(const struct scaled *scaled)
{
    uint32_t boot_ms = scaled->growth_ms ? scaled->growth_ms : life_eta_ms(&scaled->life);

    return seconds(boot_ms);
}

/* A deploy has both releases at this number, and must not lose any on its way. */
static bool may_take(const struct scaled *scaled, const struct scale_decision *decision,
                     const struct scaled_now *now)
{
    bool is_fewer = decision->wanted < scaled->state.wanted;

    if (scaled->life.mode == LIFE_BROKEN)
        return false;
    return !is_fewer || (scaled->life.mode == LIFE_AWAKE && !now->is_deploying);
}

/* One that sleeps is woken by the bounds too, but not by load: that who waits now is told at once,
 * and what is counted is of before. */
static bool take(struct scaled *scaled, const struct scale_decision *decision,
                 const struct scaled_now *now)
{
    uint32_t before = scaled->state.wanted;
    bool is_changed = decision->wanted != before;

    if (!may_take(scaled, decision, now))
        return false;
    if (scaled->life.mode == LIFE_ASLEEP) {
        scaled->is_asked |= decision->reason == SCALE_FLOOR;
        return false;
    }
    if (decision->wanted > before)
        scaled->grew_ms = now->now_ms;
    if (decision->wanted)
        scaled->state = decision->next;
    scaled->state.panic_until_s = decision->next.panic_until_s;
    return is_changed;
}

/* How long it takes until more of them are up. */
static void measure(struct scaled *scaled, const struct scaled_now *now)
{
    scaled->ready = now->ready;
    if (!scaled->grew_ms || scaled->life.mode != LIFE_AWAKE || now->ready < scaled->state.wanted)
        return;
    scaled->growth_ms = (uint32_t)fmin((double)(now->now_ms - scaled->grew_ms), UINT32_MAX);
    scaled->grew_ms = 0;
}

static struct scale_decision ask(const struct scaled *scaled, const struct scale_policy *policy,
                                 const struct scaled_now *now)
{
    const struct scale_now facts = {
        .now_s = seconds(now->now_ms),
        .ready = now->ready,
        .boot_s = boot_s(scaled),
        .service_s = scaled->service_s,
        .woken_s = scaled->woken_s,
        .spent_day = scaled->purse.spent,
        .is_starting = now->ready < scaled->state.wanted,
        .samples = scale_ring_view(&scaled->ring),
    };

    return scale_decide(policy, &facts, &scaled->state);
}

bool scaled_decide(struct scaled *scaled, const struct scale_policy *policy,
                   const struct scaled_now *now)
{
    struct scale_decision decision;

    follow_clock(scaled, now->now_ms);
    measure(scaled, now);
    learn(scaled, policy, seconds(now->now_ms));
    decision = ask(scaled, policy, now);
    scaled->reason = decision.reason;
    snprintf(scaled->why, sizeof(scaled->why), "%s", decision.why);
    if (!decision.wanted && scaled->life.mode == LIFE_AWAKE && !now->is_deploying)
        return scaled_live(scaled, &(struct life_seen){.now_ms = now->now_ms, .is_idle = true});
    return take(scaled, &decision, now);
}

/* --- its life */

bool scaled_live(struct scaled *scaled, const struct life_seen *seen)
{
    double now_s = seconds(seen->now_ms);
    struct life next;

    follow_clock(scaled, seen->now_ms);
    next = life_next(&scaled->life, seen);
    if (next.mode == scaled->life.mode)
        return false;
    scaled->life = next;
    scaled->is_asked = false;
    if (next.mode != LIFE_AWAKE)
        scaled->ready = 0;
    if (next.mode == LIFE_AWAKE)
        scaled->woken_s = now_s;
    if (next.mode == LIFE_WAKING || next.mode == LIFE_AWAKE) {
        if (!scaled->state.wanted)
            scaled->state = (struct scale_state){.wanted = 1, .grown_s = now_s, .changed_s = now_s};
    } else if (!seen->is_deploying) {
        scaled->state = (struct scale_state){.changed_s = now_s};
    }
    return true;
}

void scaled_ask(struct scaled *scaled, uint32_t held, int64_t now_ms)
{
    struct scale_sample sample = {.at_s = seconds(now_ms),
                                  .span_s = ASKED_S,
                                  .held = held ? held : 1,
                                  .is_partial = true};

    if (scaled->life.mode != LIFE_ASLEEP)
        return;
    scale_ring_add(&scaled->ring, &sample);
    scaled->is_asked = true;
}

void scaled_sleep(struct scaled *scaled, int64_t now_ms)
{
    follow_clock(scaled, now_ms);
    scaled->life = life_sleep(&scaled->life, now_ms);
    scaled->state = (struct scale_state){.changed_s = seconds(now_ms)};
    scaled->is_asked = false;
    scaled->ready = 0;
}

void scaled_set(struct scaled *scaled, uint32_t replicas, int64_t now_ms)
{
    bool is_more = replicas > scaled->state.wanted;

    follow_clock(scaled, now_ms);
    scaled->state.wanted = replicas;
    scaled->state.changed_s = seconds(now_ms);
    if (is_more)
        scaled->state.grown_s = seconds(now_ms);
    if (scaled->life.mode == LIFE_AWAKE)
        scaled->grew_ms = is_more ? now_ms : scaled->grew_ms;
    else
        scaled->is_asked = scaled->life.mode != LIFE_WAKING;
}
