/* SPDX-License-Identifier: Apache-2.0
 *
 * Targets that start while somebody waits for them: asked over and over, by a clock that is finer
 * than the wheel's.
 */
#include "edge/manager/checks_impl.h"

enum { PART = 64, LEAST_MS = 3, MOST_MS = 25 };

static uint64_t now_ms(const struct checks *checks)
{
    return uv_now(&checks->home.loop->uv);
}

/* So that no more than one part in 64 is lost of the time that it takes to start. */
static uint64_t pause_ms(const struct check *check)
{
    uint64_t part_ms = (now_ms(check->checks) - check->hurried_ms) / PART;

    return part_ms < LEAST_MS ? LEAST_MS : part_ms > MOST_MS ? MOST_MS : part_ms;
}

static void on_hurry(uv_timer_t *timer);

static void wait_until(struct checks *checks, uint64_t due_ms)
{
    uint64_t now = now_ms(checks), pause = due_ms > now ? due_ms - now : 0;

    if (!uv_is_active((uv_handle_t *)&checks->hurry) || uv_timer_get_due_in(&checks->hurry) > pause)
        uv_timer_start(&checks->hurry, on_hurry, pause, 0);
}

static void look(struct checks *checks, struct check *check)
{
    if (!check_is_hurried(check) || !check->due_ms || check->probe)
        return;
    if (check->due_ms > now_ms(checks)) {
        wait_until(checks, check->due_ms);
        return;
    }
    check->due_ms = 0;
    check_ask(check);
}

static void on_hurry(uv_timer_t *timer)
{
    struct checks *checks = timer->data;

    loop_enter(checks->home.loop);
    for (struct check_group *group = checks->groups; group; group = group->next)
        for (struct check *check = group->first; check; check = check->next)
            look(checks, check);
    loop_leave(checks->home.loop);
}

void check_hurry(struct check *check)
{
    if (check->checks->is_closing)
        return;
    check->due_ms = now_ms(check->checks) + pause_ms(check);
    wait_until(check->checks, check->due_ms);
}

void check_begin_hurry(struct check *check)
{
    check->hurried_ms = now_ms(check->checks);
    check->due_ms = 0;
}

void checks_open_hurry(struct checks *checks)
{
    uv_timer_init(&checks->home.loop->uv, &checks->hurry);
    checks->hurry.data = checks;
}

void checks_close_hurry(struct checks *checks)
{
    uv_close((uv_handle_t *)&checks->hurry, NULL);
}
