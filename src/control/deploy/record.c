/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/record.h"

#include <stdio.h>
#include <string.h>

/* Members that are plain numbers or bools, by name. */
enum kind { BOOL, U32, I64, ENUM };

struct member {
    const char *name;
    enum kind kind;
    size_t offset;
};

#define MEMBER(type, name_, kind_)                                                                 \
    {                                                                                              \
#name_, kind_, offsetof(type, name_)                                                       \
    }

static const struct member step_members[] = {
    MEMBER(struct deploy_step, share, U32),
    MEMBER(struct deploy_step, for_ms, U32),
    MEMBER(struct deploy_step, is_judged, BOOL),
    MEMBER(struct deploy_step, is_approval, BOOL),
};

static const struct member plan_members[] = {
    MEMBER(struct deploy_plan, is_breaking, BOOL), MEMBER(struct deploy_plan, manner, ENUM),
    MEMBER(struct deploy_plan, has_staging, BOOL), MEMBER(struct deploy_plan, has_old, BOOL),
    MEMBER(struct deploy_plan, has_units, BOOL),   MEMBER(struct deploy_plan, on_no_data, ENUM),
    MEMBER(struct deploy_plan, start_ms, U32),     MEMBER(struct deploy_plan, healthy_ms, U32),
    MEMBER(struct deploy_plan, judge_ms, U32),     MEMBER(struct deploy_plan, bake_ms, U32),
    MEMBER(struct deploy_plan, drain_ms, U32),     MEMBER(struct deploy_plan, keep_ms, U32),
};

static const struct member state_members[] = {
    MEMBER(struct deploy_state, phase, ENUM),
    MEMBER(struct deploy_state, way, ENUM),
    MEMBER(struct deploy_state, stuck, ENUM),
    MEMBER(struct deploy_state, step, U32),
    MEMBER(struct deploy_state, since_ms, I64),
    MEMBER(struct deploy_state, step_ms, I64),
    MEMBER(struct deploy_state, is_switched, BOOL),
    MEMBER(struct deploy_state, has_migrated, BOOL),
    MEMBER(struct deploy_state, is_thinned, BOOL),
    MEMBER(struct deploy_state, is_hook_begun, BOOL),
    MEMBER(struct deploy_state, restarted_ms, I64),
    MEMBER(struct deploy_state, extra_ms, U32),
};

static json_t *write(const struct member *members, size_t count, const void *of)
{
    json_t *json = json_object();

    for (size_t i = 0; json && i < count; i++) {
        const char *at = (const char *)of + members[i].offset;
        json_t *value = NULL;

        switch (members[i].kind) {
        case BOOL:
            value = json_boolean(*(const bool *)at);
            break;
        case U32:
            value = json_integer(*(const uint32_t *)at);
            break;
        case I64:
            value = json_integer(*(const int64_t *)at);
            break;
        case ENUM:
            value = json_integer(*(const unsigned *)at);
        }
        json_object_set_new(json, members[i].name, value);
    }
    return json;
}

static bool read(const json_t *json, const struct member *members, size_t count, void *of)
{
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(json, members[i].name);
        char *at = (char *)of + members[i].offset;

        if (members[i].kind == BOOL ? !json_is_boolean(value) : !json_is_integer(value))
            return false;
        if (members[i].kind == BOOL)
            *(bool *)at = json_is_true(value);
        else if (members[i].kind == I64)
            *(int64_t *)at = json_integer_value(value);
        else
            *(uint32_t *)at = (uint32_t)json_integer_value(value);
    }
    return true;
}

_Static_assert(sizeof(enum deploy_phase) == sizeof(uint32_t), "kept as a number");

json_t *record_plan(const struct deploy_plan *plan)
{
    json_t *json = write(plan_members, ARRAY_LEN(plan_members), plan);
    json_t *steps = json_array(), *hooks = json_array();

    for (uint32_t i = 0; i < plan->step_count; i++)
        json_array_append_new(steps, write(step_members, ARRAY_LEN(step_members), &plan->steps[i]));
    for (unsigned i = 0; i < DEPLOY_HOOKS; i++)
        json_array_append_new(hooks, json_boolean(plan->has_hook[i]));
    json_object_set_new(json, "steps", steps);
    json_object_set_new(json, "hooks", hooks);
    return json;
}

bool record_read_plan(const json_t *json, struct deploy_plan *plan)
{
    const json_t *steps = json_object_get(json, "steps");
    const json_t *hooks = json_object_get(json, "hooks");

    memset(plan, 0, sizeof(*plan));
    plan->step_count = (uint32_t)json_array_size(steps);
    if (!plan->step_count || plan->step_count > DEPLOY_STEPS_MAX ||
        json_array_size(hooks) != DEPLOY_HOOKS)
        return false;
    for (uint32_t i = 0; i < plan->step_count; i++)
        if (!read(json_array_get(steps, i), step_members, ARRAY_LEN(step_members), &plan->steps[i]))
            return false;
    for (unsigned i = 0; i < DEPLOY_HOOKS; i++)
        plan->has_hook[i] = json_is_true(json_array_get(hooks, i));
    return read(json, plan_members, ARRAY_LEN(plan_members), plan);
}

json_t *record_state(const struct deploy_state *state)
{
    json_t *json = write(state_members, ARRAY_LEN(state_members), state);

    json_object_set_new(json, "why", json_string(state->why));
    json_object_set_new(json, "actor", json_string(state->actor));
    return json;
}

bool record_read_state(const json_t *json, struct deploy_state *state)
{
    const char *why = json_string_value(json_object_get(json, "why"));
    const char *actor = json_string_value(json_object_get(json, "actor"));

    memset(state, 0, sizeof(*state));
    if (!why || !actor || !read(json, state_members, ARRAY_LEN(state_members), state))
        return false;
    snprintf(state->why, sizeof(state->why), "%s", why);
    snprintf(state->actor, sizeof(state->actor), "%s", actor);
    return state->phase < DEPLOY_PHASES && state->stuck < DEPLOY_PHASES;
}
