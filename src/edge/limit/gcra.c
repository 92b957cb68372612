/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/limit/gcra.h"

enum { NS_A_MS = 1000000 };

enum status gcra_rate_init(struct gcra_rate *rate, uint64_t count, uint64_t period_ms,
                           uint64_t burst)
{
    uint64_t period_ns, interval_ns, span_ns;

    if (!count || !period_ms || !burst ||
        __builtin_mul_overflow(period_ms, (uint64_t)NS_A_MS, &period_ns))
        return E_INVALID;
    interval_ns = period_ns / count + (period_ns % count != 0);
    if (__builtin_mul_overflow(interval_ns, burst, &span_ns) || span_ns > GCRA_SPAN_MAX_NS)
        return E_INVALID;
    *rate = (struct gcra_rate){.burst = burst, .interval_ns = interval_ns, .span_ns = span_ns};
    return OK;
}

struct gcra_answer gcra_ask(const struct gcra_rate *rate, uint64_t tat_ns, uint64_t now_ns,
                            uint64_t cost)
{
    uint64_t debt = tat_ns > now_ns ? tat_ns - now_ns : 0;
    struct gcra_answer answer = {.passes = true};

    if (debt > rate->span_ns) // the clock of another thread, or of another boot
        debt = rate->span_ns;
    if (cost > rate->burst) {
        answer.passes = false;
        answer.retry_ns = GCRA_NEVER;
    } else if (cost * rate->interval_ns > rate->span_ns - debt) {
        answer.passes = false;
        answer.retry_ns = cost * rate->interval_ns - (rate->span_ns - debt);
    } else {
        debt += cost * rate->interval_ns;
    }
    answer.tat_ns = now_ns + debt;
    answer.remaining = (rate->span_ns - debt) / rate->interval_ns;
    answer.reset_ns = debt;
    return answer;
}

void gcra_undo(struct gcra_answer *answer, const struct gcra_rate *rate, uint64_t cost)
{
    uint64_t back_ns = cost * rate->interval_ns, room = rate->burst - answer->remaining;

    answer->remaining += cost < room ? cost : room;
    answer->reset_ns -= back_ns < answer->reset_ns ? back_ns : answer->reset_ns;
}

uint64_t gcra_refund(const struct gcra_rate *rate, uint64_t tat_ns, uint64_t cost)
{
    uint64_t back_ns = cost * rate->interval_ns;

    return tat_ns > back_ns ? tat_ns - back_ns : 0;
}
