/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/breaker.h"

#include <string.h>

void breaker_init(struct breaker *breaker, uint64_t now_ms)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED, .since_ms = now_ms};
}

// Empties the slots that time has passed. A jump, also back (another over_ms), empties all.
static void advance(struct breaker *breaker, const struct breaker_rule *rule, uint64_t now_ms)
{
    uint64_t slot_ms = ((uint64_t)rule->over_ms + BREAKER_SLOTS - 1) / BREAKER_SLOTS;
    uint64_t slot = now_ms / (slot_ms ? slot_ms : 1);

    if (slot - breaker->slot >= BREAKER_SLOTS) {
        memset(breaker->slots, 0, sizeof(breaker->slots));
        breaker->slot = slot;
    }
    while (breaker->slot != slot)
        breaker->slots[++breaker->slot % BREAKER_SLOTS] = (struct breaker_sample){0};
}

static struct breaker_sample window(const struct breaker *breaker)
{
    struct breaker_sample sum = {0};

    for (unsigned i = 0; i < BREAKER_SLOTS; i++) {
        sum.requests += breaker->slots[i].requests;
        sum.failures += breaker->slots[i].failures;
        sum.slow += breaker->slots[i].slow;
    }
    return sum;
}

static bool reaches(uint64_t part, uint64_t whole, uint32_t ppm)
{
    return ppm && (unsigned __int128)part * 1000000 >= (unsigned __int128)whole * ppm;
}

static void enter(struct breaker *breaker, enum breaker_state state, uint64_t now_ms)
{
    breaker->state = state;
    breaker->since_ms = now_ms;
    breaker->good = 0;
    memset(breaker->slots, 0, sizeof(breaker->slots));
}

static void open_it(struct breaker *breaker, uint64_t now_ms)
{
    enter(breaker, BREAKER_OPEN, now_ms);
    if (breaker->openings < BREAKER_LONGEST)
        breaker->openings++;
}

static bool note_closed(struct breaker *breaker, const struct breaker_rule *rule,
                        const struct breaker_sample *sample, uint64_t now_ms)
{
    struct breaker_sample *slot, sum;

    advance(breaker, rule, now_ms);
    slot = &breaker->slots[breaker->slot % BREAKER_SLOTS];
    slot->requests += sample->requests;
    slot->failures += sample->failures;
    slot->slow += sample->slow;
    sum = window(breaker);
    if (!sum.requests || sum.requests < rule->minimum)
        return false;
    if (!reaches(sum.failures, sum.requests, rule->errors_ppm) &&
        !reaches(sum.slow, sum.requests, rule->slow_ppm))
        return false;
    if (now_ms - breaker->since_ms >= rule->over_ms)
        breaker->openings = 0;
    open_it(breaker, now_ms);
    return true;
}

static bool note_open(struct breaker *breaker, const struct breaker_rule *rule, uint64_t now_ms)
{
    uint64_t times = UINT64_C(1) << (breaker->openings - 1);

    times = times < BREAKER_LONGEST ? times : BREAKER_LONGEST;
    if (now_ms - breaker->since_ms < times * rule->open_ms)
        return false;
    enter(breaker, BREAKER_HALF_OPEN, now_ms);
    return true;
}

static bool note_half_open(struct breaker *breaker, const struct breaker_rule *rule,
                           const struct breaker_sample *sample, uint64_t now_ms)
{
    if (sample->failures || (rule->slow_ppm && sample->slow)) {
        open_it(breaker, now_ms);
        return true;
    }
    breaker->good += sample->requests;
    if (!breaker->good || breaker->good < rule->trials)
        return false;
    enter(breaker, BREAKER_CLOSED, now_ms);
    return true;
}

bool breaker_note(struct breaker *breaker, const struct breaker_rule *rule,
                  const struct breaker_sample *sample, uint64_t now_ms)
{
    if (!rule->errors_ppm && !rule->slow_ppm) {
        bool was_closed = breaker->state == BREAKER_CLOSED;

        breaker_init(breaker, now_ms);
        return !was_closed;
    }
    switch (breaker->state) {
    case BREAKER_CLOSED:
        return note_closed(breaker, rule, sample, now_ms);
    case BREAKER_OPEN:
        return note_open(breaker, rule, now_ms);
    case BREAKER_HALF_OPEN:
        return note_half_open(breaker, rule, sample, now_ms);
    }
    return false;
}
