/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/life.h"

#include <string.h>

#include "control/say.h"

enum { PAUSE_MS = 10 * 1000, PAUSE_MAX_MS = 5 * 60 * 1000 };

static const char *const names[LIFE_MODES] = {
    [LIFE_AWAKE] = "awake",
    [LIFE_ASLEEP] = "asleep",
    [LIFE_WAKING] = "waking",
    [LIFE_BROKEN] = "broken",
};

static void turn(struct life *life, enum life_mode mode, int64_t now_ms)
{
    life->mode = mode;
    life->since_ms = now_ms;
    life->is_told = false;
    life->why[0] = '\0';
}

static void wake(struct life *life, const struct life_seen *seen)
{
    turn(life, LIFE_WAKING, seen->now_ms);
    life->is_cold = !seen->is_running;
}

static void note_boot(struct life *life, int64_t took_ms)
{
    memmove(life->boots_ms + 1, life->boots_ms, sizeof(life->boots_ms) - sizeof(*life->boots_ms));
    life->boots_ms[0] = took_ms < 1 ? 1 : took_ms > UINT32_MAX ? UINT32_MAX : (uint32_t)took_ms;
}

static void rise(struct life *life, const struct life_seen *seen)
{
    if (life->mode == LIFE_WAKING && life->is_cold)
        note_boot(life, seen->now_ms - life->since_ms);
    turn(life, LIFE_AWAKE, seen->now_ms);
    life->breaks = 0;
}

static void give_up(struct life *life, const struct life_seen *seen, const char *why)
{
    turn(life, LIFE_BROKEN, seen->now_ms);
    life->breaks++;
    say_into(life->why, sizeof(life->why), "%s", why);
}

static void go_on_waking(struct life *life, const struct life_seen *seen)
{
    char why[LIFE_WHY_MAX];

    if (seen->is_up) {
        rise(life, seen);
    } else if (seen->failures >= LIFE_FAILURES) {
        say_into(why, sizeof(why), "%u starts in a row have failed: %s", (unsigned)seen->failures,
                 seen->failure && *seen->failure ? seen->failure : "nobody says why");
        give_up(life, seen, why);
    } else if (seen->now_ms - life->since_ms >= seen->healthy_ms) {
        say_into(why, sizeof(why), "nothing of it became healthy in %u s%s%s",
                 (unsigned)(seen->healthy_ms / 1000), seen->failure ? ": " : "",
                 seen->failure ? seen->failure : "");
        give_up(life, seen, why);
    }
}

static void stay_broken(struct life *life, const struct life_seen *seen)
{
    if (seen->is_up)
        rise(life, seen);
    else if (seen->is_asked)
        wake(life, seen);
    else if (!life_retry_ms(life, seen->now_ms) && !seen->is_deploying)
        turn(life, LIFE_ASLEEP, seen->now_ms);
}

struct life life_next(const struct life *life, const struct life_seen *seen)
{
    struct life next = *life;

    switch (life->mode) {
    case LIFE_AWAKE:
        if (seen->is_idle && !seen->is_deploying)
            turn(&next, LIFE_ASLEEP, seen->now_ms);
        break;
    case LIFE_ASLEEP:
        if (seen->is_asked || seen->is_deploying || (seen->is_used && !life->is_told))
            wake(&next, seen);
        break;
    case LIFE_WAKING:
        go_on_waking(&next, seen);
        break;
    default:
        stay_broken(&next, seen);
    }
    return next;
}

struct life life_sleep(const struct life *life, int64_t now_ms)
{
    struct life next = *life;

    turn(&next, LIFE_ASLEEP, now_ms);
    next.is_told = true;
    return next;
}

uint32_t life_eta_ms(const struct life *life)
{
    uint32_t longest_ms = 0;

    for (size_t i = 0; i < LIFE_BOOTS; i++)
        if (life->boots_ms[i] > longest_ms)
            longest_ms = life->boots_ms[i];
    return longest_ms;
}

uint32_t life_retry_ms(const struct life *life, int64_t now_ms)
{
    int64_t pause_ms = PAUSE_MS, passed_ms = now_ms - life->since_ms;

    for (uint32_t i = 1; i < life->breaks && pause_ms < PAUSE_MAX_MS; i++)
        pause_ms *= 2;
    if (pause_ms > PAUSE_MAX_MS)
        pause_ms = PAUSE_MAX_MS;
    if (life->mode != LIFE_BROKEN || passed_ms >= pause_ms)
        return 0;
    return (uint32_t)(passed_ms < 0 ? pause_ms : pause_ms - passed_ms);
}

const char *life_name(enum life_mode mode)
{
    return names[mode];
}

bool life_of_name(const char *name, enum life_mode *mode)
{
    for (unsigned i = 0; i < LIFE_MODES; i++)
        if (!strcmp(names[i], name)) {
            *mode = (enum life_mode)i;
            return true;
        }
    return false;
}
