/* SPDX-License-Identifier: Apache-2.0 */
#include "control/scale/policy.h"

enum { EVERY_DAY = 0x7f };

static double money(uint64_t millionths)
{
    return (double)millionths / CONF_MONEY;
}

static double seconds(uint32_t ms)
{
    return ms / 1000.0;
}

static struct scale_window window_of(const struct conf_scale *conf, uint32_t index)
{
    const struct conf_scale_window *window = &conf->windows[index];

    return (struct scale_window){
        .days = window->days ? window->days : EVERY_DAY,
        .from_min = window->from_min,
        .to_min = window->to_min,
        .offset_min = conf->offset_min,
        .min = window->min,
        .max = window->max ? window->max : 1,
    };
}

struct scale_policy policy_of(const struct conf_scale *conf,
                              struct scale_window windows[static CONF_WINDOWS_MAX])
{
    uint32_t count = conf->window_count < CONF_WINDOWS_MAX ? conf->window_count : CONF_WINDOWS_MAX;

    for (uint32_t i = 0; i < count; i++)
        windows[i] = window_of(conf, i);
    return (struct scale_policy){
        .limits = {.min = conf->min,
                   .max = conf->max,
                   .windows = windows,
                   .window_count = count,
                   .ceiling = conf->ceiling,
                   .price_hour = money(conf->price_hour),
                   .budget_hour = money(conf->budget_hour),
                   .budget_day = money(conf->budget_day)},
        .concurrency = conf->concurrency,
        .rate = conf->rate,
        .idle_s = seconds(conf->idle_ms),
        .stable_s = seconds(conf->stable_ms),
        .panic_s = seconds(conf->panic_ms),
        .panic_ratio = conf->panic_ratio / 1000.0,
        .up_cooldown_s = seconds(conf->up_cooldown_ms),
        .down_cooldown_s = seconds(conf->down_cooldown_ms),
    };
}
