/* SPDX-License-Identifier: Apache-2.0
 *
 * What a deploy is to do, from what is configured: fixed when it begins, whatever the file says
 * later.
 */
#include <stdlib.h>
#include <string.h>

#include "control/deploy/impl.h"

static void add_step(struct deploy_plan *plan, uint32_t share, uint32_t for_ms)
{
    plan->steps[plan->step_count++] =
        (struct deploy_step){.share = share, .for_ms = for_ms, .is_judged = share < DEPLOY_WHOLE};
}

/* Unit by unit, or by several where there are more than steps may be. */
static void plan_rolling(struct deploy_plan *plan, uint32_t units)
{
    uint32_t count = units < DEPLOY_STEPS_MAX ? units : DEPLOY_STEPS_MAX;

    for (uint32_t i = 1; i < count; i++)
        plan->steps[plan->step_count++] =
            (struct deploy_step){.share = (uint32_t)((uint64_t)DEPLOY_WHOLE * i / count)};
    add_step(plan, DEPLOY_WHOLE, 0);
}

static void plan_canary(struct deploy_plan *plan, const struct conf_deploy *conf)
{
    static const uint32_t usual[] = {50000, 250000, 500000};

    for (uint32_t i = 0; i < conf->step_count && i < CONF_STEPS_MAX; i++) {
        if (conf->steps[i].approval)
            plan->steps[plan->step_count++] = (struct deploy_step){.is_approval = true};
        else
            add_step(plan, conf->steps[i].share_ppm, conf->steps[i].for_ms);
    }
    for (size_t i = 0; !conf->step_count && i < ARRAY_LEN(usual); i++)
        add_step(plan, usual[i], 5 * 60 * 1000);
    add_step(plan, DEPLOY_WHOLE, 0);
}

static json_t *hooks_json(const struct conf_hooks *hooks)
{
    json_t *list = json_array();

    for (uint32_t i = 0; i < hooks->count; i++) {
        const struct conf_hook *hook = &hooks->items[i];
        const struct conf_text *text = hook->run.s.len ? &hook->run : &hook->url;

        json_array_append_new(list,
                              json_pack("{s:s%,s:i}", hook->run.s.len ? "run" : "url", text->s.p,
                                        text->s.len, "timeout_ms", (int)hook->timeout_ms));
    }
    return list;
}

static void plan_hooks(const struct conf_deploy *conf, struct deploy *deploy)
{
    const struct conf_hooks *all[DEPLOY_HOOKS] = {
        [DEPLOY_HOOK_REGRESSION] = &conf->hooks.regression,
        [DEPLOY_HOOK_PRE] = &conf->hooks.pre,
        [DEPLOY_HOOK_MIGRATE] = &conf->hooks.migrate,
        [DEPLOY_HOOK_SMOKE] = &conf->hooks.smoke,
        [DEPLOY_HOOK_POST] = &conf->hooks.post,
    };

    deploy->hooks = json_array();
    for (unsigned i = 0; i < DEPLOY_HOOKS; i++) {
        json_array_append_new(deploy->hooks, hooks_json(all[i]));
        deploy->plan.has_hook[i] = all[i]->count > 0;
    }
}

static enum deploy_manner manner_of(enum conf_strategy strategy)
{
    switch (strategy) {
    case CONF_RECREATE:
        return DEPLOY_STOPS_FIRST;
    case CONF_ROLLING:
        return DEPLOY_ROLLS;
    case CONF_PLATFORM:
        return DEPLOY_PLATFORM;
    default:
        return DEPLOY_SIDE_BY_SIDE;
    }
}

static void plan_times(struct deploy_plan *plan, const struct conf_deploy *conf)
{
    static const enum deploy_no_data no_data[] = {[CONF_NO_DATA_ASK] = DEPLOY_ASK,
                                                  [CONF_NO_DATA_PASS] = DEPLOY_PASS,
                                                  [CONF_NO_DATA_FAIL] = DEPLOY_FAIL};

    plan->on_no_data = no_data[conf->verdict.on_no_data];
    plan->start_ms = conf->start_ms;
    plan->healthy_ms = conf->healthy_ms;
    plan->judge_ms = conf->verdict.max_ms;
    plan->bake_ms = conf->bake_ms;
    plan->drain_ms = conf->drain_ms;
    plan->keep_ms = conf->keep_ms;
}

bool plan_make(struct deploy *deploy, const struct conf_service *service,
               enum conf_strategy strategy, bool is_return)
{
    const struct conf_deploy *conf = &service->deploy;
    struct deploy_plan *plan = &deploy->plan;

    plan->has_units = service->provider.is_set;
    plan->manner = manner_of(strategy);
    plan->has_staging = conf->staging.s.len > 0 && !is_return;
    deploy->staging = strndup(conf->staging.s.len ? conf->staging.s.p : "", conf->staging.s.len);
    plan_times(plan, conf);
    if (plan->has_old && strategy == CONF_ROLLING)
        plan_rolling(plan, deploy->managed->instances);
    else if (plan->has_old && strategy == CONF_CANARY)
        plan_canary(plan, conf);
    else
        add_step(plan, DEPLOY_WHOLE, 0);
    plan_hooks(conf, deploy);
    for (int i = DEPLOY_HOOK_REGRESSION; is_return && i <= DEPLOY_HOOK_MIGRATE; i++)
        plan->has_hook[i] = false;
    deploy->rule = (struct verdict_rule){
        .error_ratio = conf->verdict.error_ratio / 1000.0,
        .error_margin = conf->verdict.error_margin_ppm / 1e6,
        .latency_ratio = conf->verdict.latency_ratio / 1000.0,
        .latency_margin = conf->verdict.latency_margin_ms / 1000.0,
        .minimum = conf->verdict.minimum,
    };
    return deploy->staging && deploy->hooks;
}
