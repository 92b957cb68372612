/* SPDX-License-Identifier: Apache-2.0
 *
 * Calls of scripts. Each worker has a state for each lua filter of the configuration, made when the
 * first request comes; one that has used up its memory is given up, and the next request makes
 * another, while requests that wait hold the old one. What scripts have to say is a line on
 * standard error, a few a second.
 */
#include <stdio.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/clock.h"
#include "base/text.h"
#include "edge/filter/lua_visit.h"
#include "edge/loop.h"

#include <luajit-2.1/lauxlib.h>

enum { LINES_A_SECOND = 10 };

static struct lua_slot *slot_of(const struct visit *visit)
{
    const struct lua_conf *conf = visit->conf;

    return &conf->slots[visit->env->worker];
}

/* --- lines for the log */

static bool may_log(struct lua_slot *slot)
{
    uint64_t second = slot->env->loop->now_us / 1000000;

    if (second != slot->second) {
        if (slot->dropped)
            dprintf(STDERR_FILENO, "sluice: script: %u more lines in a second were dropped\n",
                    slot->dropped);
        slot->second = second;
        slot->lines = slot->dropped = 0;
    }
    if (slot->lines < LINES_A_SECOND)
        slot->lines++;
    else
        slot->dropped++;
    return !slot->dropped;
}

static void log_line(void *owner, struct str line)
{
    char text[SCRIPT_MESSAGE_MAX];
    size_t len = line.len < sizeof(text) ? line.len : sizeof(text);

    if (!may_log(owner))
        return;
    for (size_t i = 0; i < len; i++)
        text[i] = (unsigned char)line.p[i] < 0x20 || line.p[i] == 0x7f ? ' ' : line.p[i];
    dprintf(STDERR_FILENO, "sluice: script: %.*s\n", (int)len, text);
}

/* --- states */

static struct script *make(struct visit *visit, enum script_fault *fault, char *message)
{
    const struct lua_conf *conf = visit->conf;
    struct lua_slot *slot = slot_of(visit);
    struct script_source source = conf->source;

    slot->env = visit->env;
    source.dicts = visit->env->dicts;
    source.seed += visit->env->loop->now_us * visit->env->workers + visit->env->worker;
    source.log = log_line;
    source.log_owner = slot;
    return script_new(&source, fault, message);
}

static void note_fault(struct visit *visit, const char *message)
{
    struct lua_state *state = visit->state;
    struct str line = {message, strlen(message)};

    log_line(slot_of(visit), line);
    if (!state->error.p)
        state->error = arena_copy(visit->arena, line);
}

static struct script *hold(struct visit *visit, enum script_fault *fault)
{
    struct lua_state *state = visit->state;
    struct lua_slot *slot = slot_of(visit);
    char message[SCRIPT_MESSAGE_MAX];

    if (state->script)
        return state->script;
    if (!slot->script)
        slot->script = make(visit, fault, message);
    if (!slot->script) {
        note_fault(visit, message);
        return NULL;
    }
    state->script = slot->script;
    state->script->refs++;
    return state->script;
}

/* --- calls */

enum script_fault lua_call_run(struct visit *visit, lua_CFunction body, void *arg)
{
    struct lua_state *state = visit->state;
    struct lua_slot *slot = slot_of(visit);
    enum script_fault fault = SCRIPT_OK;
    struct script *script = hold(visit, &fault);
    uint64_t began_us;

    if (!script)
        return fault;
    if (script->is_running) { // what it has begun ended a request that it knows
        note_fault(visit, "a script was called while it runs");
        return SCRIPT_ERROR;
    }
    began_us = clock_us();
    fault = script_run(script, body, arg);
    state->took_us += clock_us() - began_us;
    state->calls++;
    if (fault)
        note_fault(visit, script->message);
    if (script->is_spent && slot->script == script)
        slot->script = NULL;
    return fault;
}

void lua_call_go(lua_State *lua, struct visit *visit, int count)
{
    struct lua_state *state = visit->state;

    if (!script_resume(lua, &state->thread, count) || state->errand)
        return;
    script_drop_thread(state->script, &state->thread);
    luaL_error(lua, "%s: on_request yields, and nothing would go on with it",
               state->script->source.name.p);
}

enum verdict lua_call_verdict(struct visit *visit, enum script_fault fault)
{
    static const enum reason reasons[] = {
        [SCRIPT_ERROR] = REASON_SCRIPT_ERROR,
        [SCRIPT_TIMEOUT] = REASON_SCRIPT_TIMEOUT,
        [SCRIPT_MEMORY] = REASON_SCRIPT_MEMORY,
    };
    struct lua_state *state = visit->state;

    if (fault) {
        visit->reason = reasons[fault];
        state->outcome = "failed";
        state->failed = true;
        state->replies = false;
        return VERDICT_FAIL;
    }
    if (state->thread.lua)
        return VERDICT_WAIT;
    state->outcome = state->replies ? "responded" : "passed";
    return state->replies ? VERDICT_REPLY : VERDICT_PASS;
}

void lua_call_end(struct visit *visit)
{
    struct lua_state *state = visit->state;
    struct script *script = state->script;

    if (!script)
        return;
    script_drop_thread(script, &state->thread);
    lua_object_forget(state);
    state->script = NULL;
    script->refs--;
    if (!script->refs && script->is_spent)
        script_free(&script);
}
