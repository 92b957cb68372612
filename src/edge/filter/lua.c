/* SPDX-License-Identifier: Apache-2.0
 *
 * lua: a script of the operator's that sees requests, their bodies and their answers. It says what
 * it wants in on_request(request), on_body(request, body), on_response(request, response) and
 * on_log(request, response, numbers), each where it defines it. A script that fails is a 500 with
 * the reason; nothing else is disturbed.
 */
#include "base/arena.h"
#include "base/text.h"
#include "config/field.h"
#include "edge/filter/lua_visit.h"
#include "edge/loop.h"
#include "sluice/errand.h"

#include <luajit-2.1/lauxlib.h>

extern const struct filter filter_lua;

/* --- the request */

static int call_request(lua_State *lua)
{
    struct visit *visit = lua_touserdata(lua, 1);
    struct lua_state *state = visit->state;

    state->thread = script_take_thread(lua);
    script_push_hook(lua, SCRIPT_ON_REQUEST);
    lua_object_push_request(lua, visit);
    lua_object_allow(state, true, false);
    lua_xmove(lua, state->thread.lua, 2);
    lua_call_go(lua, visit, 1);
    return 0;
}

static enum verdict on_request(struct visit *visit)
{
    const struct lua_conf *conf = visit->conf;
    struct lua_state *state = visit->state;
    enum script_fault fault;

    state->began_us = visit->env->loop->now_us;
    state->outcome = "passed";
    if (!conf->has[SCRIPT_ON_REQUEST])
        return lua_body_begin(visit, VERDICT_PASS);
    fault = lua_call_run(visit, call_request, visit);
    return lua_body_begin(visit, lua_call_verdict(visit, fault));
}

/* --- the answer */

static int call_response(lua_State *lua)
{
    struct visit *visit = lua_touserdata(lua, 1);

    script_push_hook(lua, SCRIPT_ON_RESPONSE);
    lua_object_push_request(lua, visit);
    lua_object_push_response(lua, visit);
    lua_object_allow(visit->state, false, true);
    lua_call(lua, 2, 0);
    return 0;
}

static bool add_own(struct visit *visit)
{
    const struct lua_state *state = visit->state;
    const struct lua_fields *fields = &state->fields;

    for (unsigned i = 0; state->replies && visit->is_own && i < fields->count; i++)
        if (head_set(visit->response, visit->arena, fields->names[i], fields->values[i]))
            return false;
    return true;
}

static enum verdict on_response(struct visit *visit)
{
    const struct lua_conf *conf = visit->conf;
    struct lua_state *state = visit->state;
    enum script_fault fault = SCRIPT_OK;

    if (!add_own(visit)) {
        visit->reason = REASON_HTTP_RESPONSE_HEADER_SIZE;
        return VERDICT_FAIL;
    }
    if (conf->has[SCRIPT_ON_RESPONSE] && !state->failed)
        fault = lua_call_run(visit, call_response, visit);
    lua_object_allow(state, false, false);
    if (!fault || visit->is_own) // the gateway's own answer goes out, and passes the other filters
        return VERDICT_PASS;
    return lua_call_verdict(visit, fault);
}

/* --- the end */

static void set_number(lua_State *lua, const char *name, double value)
{
    lua_pushnumber(lua, value);
    lua_setfield(lua, -2, name);
}

static int call_log(lua_State *lua)
{
    struct visit *visit = lua_touserdata(lua, 1);
    const struct lua_state *state = visit->state;
    uint64_t began_us = state->began_us ? state->began_us : visit->env->loop->now_us;

    script_push_hook(lua, SCRIPT_ON_LOG);
    lua_object_push_request(lua, visit);
    lua_object_push_response(lua, visit);
    lua_createtable(lua, 0, 3);
    set_number(lua, "status", visit->response ? visit->response->status : 0);
    set_number(lua, "time", (double)(visit->env->loop->now_us - began_us) / 1e6);
    if (visit->response && visit->response->content_length >= 0)
        set_number(lua, "bytes", (double)visit->response->content_length);
    lua_call(lua, 3, 0);
    return 0;
}

static void on_done(struct visit *visit)
{
    const struct lua_conf *conf = visit->conf;
    struct lua_state *state = visit->state;

    errand_cancel(&state->errand);
    buf_drop(&state->body, &visit->env->loop->partials);
    lua_object_allow(state, false, false);
    if (conf->has[SCRIPT_ON_LOG])
        lua_call_run(visit, call_log, visit);
    lua_call_end(visit);
}

/* --- why */

static struct str describe(struct visit *visit)
{
    const struct lua_conf *conf = visit->conf;
    const struct lua_state *state = visit->state;
    char *text =
        arena_text(visit->arena, (conf->script.s.len + state->error.len) * TEXT_JSON_FACTOR + 1);
    char *name_end, *end;

    if (!text)
        return STR_NONE;
    name_end = text_json(text, conf->script.s);
    end = text_json(name_end, state->error);
    return arena_format(visit->arena,
                        "\"script\":\"%.*s\",\"outcome\":\"%s\",\"calls\":%u,\"us\":%llu,"
                        "\"memory\":%zu%s%.*s%s",
                        (int)(name_end - text), text, state->outcome ? state->outcome : "not asked",
                        state->calls, (unsigned long long)state->took_us,
                        state->script ? state->script->used : 0,
                        state->error.p ? ",\"error\":\"" : "", (int)(end - name_end), name_end,
                        state->error.p ? "\"" : "");
}

const struct filter filter_lua = {
    .name = "lua",
    .doc = "Asks a Lua script about each request and its answer.",
    .fields = lua_conf_fields,
    .conf_size = sizeof(struct lua_conf),
    .state_size = sizeof(struct lua_state),
    .check = lua_conf_check,
    .prepare = lua_conf_prepare,
    .dispose = lua_conf_dispose,
    .on_request = on_request,
    .on_response = on_response,
    .on_request_body = lua_body_take,
    .on_done = on_done,
    .describe = describe,
};
