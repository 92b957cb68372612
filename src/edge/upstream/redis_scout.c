/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/redis_scout.h"

#include <stdio.h>
#include <string.h>

enum {
    SOON_MS = 250, /* between two questions at least */
    RETRY_MIN_MS = 100,
    RETRY_MAX_MS = 2000, /* between two rounds that nobody answered */
};

static uint64_t in_ms(const struct redis_scout *scout, uint32_t ms)
{
    return scout->loop->now_us + (uint64_t)ms * 1000;
}

/* The next one is asked at once, unless all have been. */
static void go_on(struct redis_scout *scout, const char *why)
{
    struct redis_address ignored;

    snprintf(scout->why, sizeof(scout->why), "%s:%u: %s", scout->address.host, scout->address.port,
             why);
    scout->is_asking = false;
    scout->next++;
    scout->due_us = scout->loop->now_us;
    scout->on_fail(scout->owner);
    if (scout->choose(scout->owner, scout->next, &ignored))
        return;
    if (!scout->was_told)
        fprintf(stderr, "sluice: edge: redis: nobody says who is to be asked: %s\n", scout->why);
    scout->was_told = true;
    scout->next = 0;
    scout->attempt++;
    scout->due_us = in_ms(scout, scout->retry_ms);
    scout->retry_ms = scout->retry_ms * 2 < RETRY_MAX_MS ? scout->retry_ms * 2 : RETRY_MAX_MS;
}

static void on_down(void *owner, const char *why)
{
    struct redis_scout *scout = owner;

    scout->link = NULL;
    go_on(scout, why);
}

static void on_reply(struct redis_ask *ask, const struct redis_reply *reply)
{
    struct redis_scout *scout = (struct redis_scout *)ask;
    const char *wrong;

    scout->is_asking = false;
    if (!reply)
        return; // on_down comes
    wrong = reply->is_error ? reply->text : scout->take(scout->owner, reply);
    if (wrong) {
        redis_link_fail(scout->link, wrong);
        return;
    }
    scout->was_told = false;
    scout->why[0] = '\0';
    scout->retry_ms = RETRY_MIN_MS;
    scout->due_us = in_ms(scout, scout->period_ms);
}

static void put_question(struct redis_scout *scout)
{
    struct str question = {scout->question, scout->question_len};

    scout->ask.on_reply = on_reply;
    if (redis_link_ask(scout->link, &scout->ask, question)) {
        redis_link_fail(scout->link, "cannot ask");
        return;
    }
    scout->is_asking = true;
    scout->is_eager = false;
    scout->asked_us = scout->loop->now_us;
}

static void on_up(void *owner)
{
    put_question(owner);
}

static void open_link(struct redis_scout *scout)
{
    struct redis_link_home home = {scout->loop, scout, on_up, on_down};

    if (!scout->choose(scout->owner, scout->next, &scout->address)) {
        scout->next = 0; // those who were there have become fewer
        return;
    }
    scout->link = redis_link_open(&home, &scout->manner, &scout->address, scout->attempt);
    if (!scout->link)
        go_on(scout, "cannot connect");
}

bool redis_scout_begin(struct redis_scout *scout, const struct str *words, unsigned count)
{
    scout->question_len = redis_encode(scout->question, sizeof(scout->question), words, count);
    scout->retry_ms = RETRY_MIN_MS;
    scout->due_us = scout->asked_us = 0;
    scout->next = scout->attempt = 0;
    scout->is_asking = scout->is_eager = scout->was_told = false;
    scout->why[0] = '\0';
    if (scout->question_len)
        open_link(scout);
    return scout->question_len != 0;
}

void redis_scout_hurry(struct redis_scout *scout)
{
    scout->is_eager = true;
}

void redis_scout_doubt(struct redis_scout *scout)
{
    if (scout->link && redis_link_is_up(scout->link))
        redis_link_fail(scout->link, "it names one that is no master");
}

void redis_scout_look(struct redis_scout *scout)
{
    uint64_t now_us = scout->loop->now_us;
    bool is_due = now_us >= scout->due_us;

    if (scout->is_eager && now_us >= scout->asked_us + SOON_MS * UINT64_C(1000))
        is_due |= scout->link != NULL;
    if (!scout->link && is_due)
        open_link(scout);
    else if (scout->link && is_due && redis_link_is_up(scout->link) && !scout->is_asking)
        put_question(scout);
    else if (scout->link)
        redis_link_look(scout->link);
}

void redis_scout_end(struct redis_scout *scout)
{
    redis_link_close(&scout->link);
}
