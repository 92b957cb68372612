/* SPDX-License-Identifier: Apache-2.0
 *
 * When a certificate is renewed, and when what failed is tried again. Pure: times are Unix
 * milliseconds and come in; chance is a hash of what the caller gives, so that asking again gives
 * the same answer. Any thread.
 */
#ifndef CONTROL_ACME_SCHEDULE_H
#define CONTROL_ACME_SCHEDULE_H

#include "sluice/types.h"

struct acme_window {
    int64_t start_ms, end_ms; /* end 0: the CA named none (RFC 9773) */
};

struct acme_life {
    int64_t not_before_ms, not_after_ms;
    struct acme_window window;
    uint64_t seed; /* the same for the same certificate, another for another */
};

enum acme_failure {
    ACME_FAILURE_REFUSED,    /* the CA, or what it looked at, said no: tries are counted there */
    ACME_FAILURE_UNREACHABLE /* the CA was not reached: a try costs nobody anything */
};

/* When to renew: a random time in the window (RFC 9773 section 4.2); without one, where a third of
 * the life is left (half, when it is under ten days), earlier by up to a tenth of that. */
int64_t acme_schedule_renewal(const struct acme_life *life);

/* How long to wait after `failures` failures in a row (from 1): 1, 10, 100 minutes and a day, or
 * from seconds to an hour where the CA was not reached; longer by up to a tenth, and at least
 * `retry_after_ms`, which counts to two days. */
int64_t acme_schedule_retry_ms(enum acme_failure failure, uint32_t failures, int64_t retry_after_ms,
                               uint64_t seed);

/* When to ask for the window again: what the CA says, from a minute to a day; it says nothing (0):
 * six hours. */
int64_t acme_schedule_window_ms(int64_t retry_after_ms);

/* How long an order is held back after the one before it, when `streak` orders in a row were due
 * within a quarter of a certificate's life: so a clock or a CA that is wrong costs few. */
int64_t acme_schedule_hold_ms(uint32_t streak);

/* Whether the clocks differ by so much that one of them is wrong. */
bool acme_schedule_is_skewed(int64_t difference_ms);

#endif
