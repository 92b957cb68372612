/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/health.h"

void health_init(struct health *health, const struct health_rule *rule, uint64_t now_ms)
{
    *health = (struct health){
        .state = rule->assume_up ? HEALTH_UP : HEALTH_UNKNOWN,
        .last_passed = rule->assume_up,
        .since_ms = now_ms,
    };
}

// Results against the state that change it.
static uint32_t needed(enum health_state state, const struct health_rule *rule, bool passed)
{
    uint32_t wanted = passed ? rule->rise : rule->fall;

    return wanted && !(passed && state == HEALTH_UNKNOWN) ? wanted : 1;
}

bool health_note(struct health *health, const struct health_rule *rule, bool passed,
                 uint64_t now_ms)
{
    enum health_state wanted = passed ? HEALTH_UP : HEALTH_DOWN;

    health->last_passed = passed;
    if (health->state == wanted) {
        health->in_row = 0;
        return false;
    }
    if (++health->in_row < needed(health->state, rule, passed))
        return false;
    health->state = wanted;
    health->in_row = 0;
    health->since_ms = now_ms;
    return true;
}

static bool is_at_leisure(const struct health *health, uint64_t now_ms)
{
    if (health->in_row || health->state == HEALTH_UNKNOWN)
        return false;
    return health->state == HEALTH_UP ||
           (now_ms > health->since_ms && now_ms - health->since_ms > HEALTH_DEAD_MS);
}

uint32_t health_delay_ms(const struct health *health, const struct health_rule *rule,
                         uint64_t now_ms, uint64_t random)
{
    uint32_t fast = rule->fast_ms < rule->interval_ms ? rule->fast_ms : rule->interval_ms;
    uint64_t base = is_at_leisure(health, now_ms) ? rule->interval_ms : fast;
    uint64_t tenth = base / 10;
    uint64_t delay = base - tenth + ((random >> 32) * (2 * tenth + 1) >> 32);

    if (!delay)
        return 1;
    return delay < UINT32_MAX ? (uint32_t)delay : UINT32_MAX;
}
