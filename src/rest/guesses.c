/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/guesses.h"

enum { FIRST_MS = 1000, MOST_MS = 60 * 1000, DOUBLINGS = 6, FORGET_MS = 15 * 60 * 1000 };

static bool is_old(const struct guess *guess, uint64_t now_ms)
{
    return !guess->wrong || now_ms - guess->last_ms >= FORGET_MS;
}

uint64_t guesses_wait_ms(const struct guesses *guesses, uint64_t who, uint64_t now_ms)
{
    for (unsigned i = 0; i < GUESSES_MAX; i++) {
        const struct guess *guess = &guesses->items[i];
        uint32_t over;
        uint64_t span_ms, passed_ms;

        if (guess->who != who || is_old(guess, now_ms) || guess->wrong < GUESSES_FREE)
            continue;
        over = guess->wrong - GUESSES_FREE;
        span_ms = over >= DOUBLINGS ? MOST_MS : (uint64_t)FIRST_MS << over;
        passed_ms = now_ms - guess->last_ms;
        return passed_ms < span_ms ? span_ms - passed_ms : 0;
    }
    return 0;
}

/* Its place; else the one that is missed least. */
static struct guess *place(struct guesses *guesses, uint64_t who, uint64_t now_ms)
{
    struct guess *best = &guesses->items[0];

    for (unsigned i = 0; i < GUESSES_MAX; i++) {
        struct guess *guess = &guesses->items[i];

        if (guess->wrong && guess->who == who)
            return guess;
        if (is_old(best, now_ms))
            continue;
        if (is_old(guess, now_ms) || guess->last_ms < best->last_ms)
            best = guess;
    }
    return best;
}

void guesses_add(struct guesses *guesses, uint64_t who, uint64_t now_ms)
{
    struct guess *guess = place(guesses, who, now_ms);

    if (guess->who != who || is_old(guess, now_ms))
        *guess = (struct guess){.who = who};
    guess->wrong += guess->wrong < GUESSES_FREE + DOUBLINGS;
    guess->last_ms = now_ms;
}

void guesses_forget(struct guesses *guesses, uint64_t who)
{
    for (unsigned i = 0; i < GUESSES_MAX; i++)
        if (guesses->items[i].who == who)
            guesses->items[i] = (struct guess){0};
}
