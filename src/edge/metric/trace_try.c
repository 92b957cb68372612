/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/metric/trace_try.h"

#include <string.h>

#include "base/text.h"

struct packed {
    uint64_t span;
    uint32_t begun_us, ended_us, sent_us, answered_us;
    uint16_t status;
    uint8_t target_len, outcome_len;
    uint32_t is_given_up;
};

_Static_assert(sizeof(struct packed) == TRACE_TRY_MAX - 2 * TRACE_TRY_TEXT_MAX, "no holes");

static struct str cut(struct str text)
{
    return (struct str){text.p, text.len < TRACE_TRY_TEXT_MAX ? text.len : TRACE_TRY_TEXT_MAX};
}

char *trace_try_put(char *out, const struct trace_try *try)
{
    struct str target = cut(try->target), outcome = cut(try->outcome);
    struct packed packed = {.span = try->span,
                            .begun_us = try->begun_us,
                            .ended_us = try->ended_us,
                            .sent_us = try->sent_us,
                            .answered_us = try->answered_us,
                            .status = try->status,
                            .is_given_up = try->is_given_up,
                            .target_len = (uint8_t)target.len,
                            .outcome_len = (uint8_t)outcome.len};

    memcpy(out, &packed, sizeof(packed));
    return text_put(text_put(out + sizeof(packed), target), outcome);
}

bool trace_try_take(struct str *rest, struct trace_try *try)
{
    struct packed packed;
    const char *texts;

    if (rest->len < sizeof(packed))
        return false;
    memcpy(&packed, rest->p, sizeof(packed));
    if (rest->len - sizeof(packed) < (size_t)packed.target_len + packed.outcome_len)
        return false;
    texts = rest->p + sizeof(packed);
    *try = (struct trace_try){.span = packed.span,
                              .begun_us = packed.begun_us,
                              .ended_us = packed.ended_us,
                              .sent_us = packed.sent_us,
                              .answered_us = packed.answered_us,
                              .status = packed.status,
                              .is_given_up = packed.is_given_up != 0,
                              .target = {texts, packed.target_len},
                              .outcome = {texts + packed.target_len, packed.outcome_len}};
    rest->len -= sizeof(packed) + packed.target_len + packed.outcome_len;
    rest->p = texts + packed.target_len + packed.outcome_len;
    return true;
}
