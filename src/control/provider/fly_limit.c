/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/fly_limit.h"

#include <string.h>

/* A little slower than published, since requests may be closer to each other when they arrive. */
enum { PERIOD_MS = 1050, BURST = 3, READ_PERIOD_MS = 210, READ_BURST = 10 };

static uint64_t key_of(enum fly_action action, const char *subject)
{
    uint64_t hash = 14695981039346656037U ^ (uint64_t)action; // FNV-1a

    while (*subject) {
        hash ^= (unsigned char)*subject++;
        hash *= 1099511628211U;
    }
    return hash ? hash : 1;
}

static int64_t period_of(enum fly_action action)
{
    return action == FLY_GET ? READ_PERIOD_MS : PERIOD_MS;
}

static int64_t slack_of(enum fly_action action)
{
    return (action == FLY_GET ? READ_BURST : BURST) * period_of(action);
}

void fly_limit_init(struct fly_limit *limit, int64_t now_ms)
{
    memset(limit, 0, sizeof(*limit));
    limit->opened_ms = now_ms;
}

/* That of the key, or one that is free or says no more than a free one. NULL: all are in use. */
static struct fly_limit_row *find(struct fly_limit *limit, uint64_t key, int64_t now_ms)
{
    struct fly_limit_row *spare = NULL;

    for (uint32_t i = 0; i < FLY_LIMIT_ROWS; i++) {
        struct fly_limit_row *row = &limit->rows[i];

        if (row->key == key)
            return row;
        if (!row->key || row->next_ms <= now_ms)
            spare = row;
    }
    return spare;
}

int64_t fly_limit_take(struct fly_limit *limit, enum fly_action action, const char *subject,
                       int64_t now_ms)
{
    uint64_t key = key_of(action, subject);
    struct fly_limit_row *row = find(limit, key, now_ms);
    int64_t period_ms = period_of(action), slack_ms = slack_of(action), next_ms;

    if (!row)
        return period_ms;
    next_ms = row->key == key ? row->next_ms : limit->opened_ms + slack_ms;
    if (next_ms < now_ms)
        next_ms = now_ms;
    if (next_ms - now_ms > slack_ms - period_ms)
        return next_ms - now_ms - (slack_ms - period_ms);
    row->key = key;
    row->next_ms = next_ms + period_ms;
    return 0;
}

void fly_limit_done(struct fly_limit *limit, enum fly_action action, const char *subject,
                    int64_t now_ms)
{
    uint64_t key = key_of(action, subject);
    struct fly_limit_row *row = find(limit, key, now_ms);

    if (row && row->key == key && row->next_ms < now_ms + period_of(action))
        row->next_ms = now_ms + period_of(action);
}
