/* SPDX-License-Identifier: Apache-2.0
 *
 * Wrong tokens by whoever signs in, so that guessing is slow: after GUESSES_FREE of them one waits,
 * a second at first, each time twice as long, at most a minute. A quarter of an hour without any
 * forgets them. Bounded: when all places are taken, whoever was wrong longest ago is forgotten.
 * Pure; times are of one monotonic clock, in milliseconds.
 */
#ifndef REST_GUESSES_H
#define REST_GUESSES_H

#include "sluice/types.h"

enum { GUESSES_MAX = 256, GUESSES_FREE = 5 };

struct guess {
    uint64_t who; /* hash of an address */
    uint64_t last_ms;
    uint32_t wrong; /* 0: the place is free */
};

struct guesses {
    struct guess items[GUESSES_MAX];
};

/* How long `who` has to wait until the next try; 0: not at all. */
uint64_t guesses_wait_ms(const struct guesses *guesses, uint64_t who, uint64_t now_ms);
/* It was wrong. */
void guesses_add(struct guesses *guesses, uint64_t who, uint64_t now_ms);
/* It was right: begins anew. */
void guesses_forget(struct guesses *guesses, uint64_t who);

#endif
