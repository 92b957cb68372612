/* SPDX-License-Identifier: Apache-2.0
 *
 * Request bodies that a script wants to see: gathered whole, up to a limit, and only then handed
 * on, or something in their place. The target may have had the head by then: when the script
 * refuses, it sees the request break off.
 */
#include "edge/filter/lua_visit.h"
#include "edge/loop.h"

#include <luajit-2.1/lauxlib.h>

/* What on_body is called with, and what it said. */
struct body_call {
    struct visit *visit;
    struct str body; /* in, and out: in the visit's buffer */
    bool is_denied;
};

enum verdict lua_body_begin(struct visit *visit, enum verdict verdict)
{
    const struct lua_conf *conf = visit->conf;
    int64_t length = visit->request->content_length;

    if (verdict != VERDICT_PASS || !conf->has[SCRIPT_ON_BODY] || !length)
        return verdict;
    if (length > 0 && (uint64_t)length > conf->body) {
        visit->reason = REASON_BODY_TOO_LARGE;
        return VERDICT_FAIL;
    }
    visit->edits_request = true;
    return VERDICT_PASS;
}

static void replace(lua_State *lua, struct body_call *call)
{
    struct lua_state *state = call->visit->state;
    struct slab *slab = &call->visit->env->loop->partials;
    struct str fresh = script_text(lua, -1);

    buf_drop(&state->body, slab);
    if (buf_append(&state->body, slab, fresh))
        luaL_error(lua, "there is no memory for the new body");
    call->body = (struct str){state->body.p, state->body.len};
}

static int call_body(lua_State *lua)
{
    struct body_call *call = lua_touserdata(lua, 1);

    script_push_hook(lua, SCRIPT_ON_BODY);
    lua_object_push_request(lua, call->visit);
    lua_object_allow(call->visit->state, false, false);
    lua_pushlstring(lua, call->body.p ? call->body.p : "", call->body.len);
    lua_call(lua, 2, 1);
    if (lua_type(lua, -1) == LUA_TSTRING)
        replace(lua, call);
    else
        call->is_denied = lua_isboolean(lua, -1) && !lua_toboolean(lua, -1);
    return 0;
}

enum reason lua_body_take(struct visit *visit, const struct piece *piece,
                          const struct body_way *way)
{
    const struct lua_conf *conf = visit->conf;
    struct lua_state *state = visit->state;
    struct body_call call = {.visit = visit};
    struct piece whole = *piece;
    enum script_fault fault;

    if (piece->bytes.len > conf->body - state->body.len)
        return REASON_BODY_TOO_LARGE;
    if (piece->bytes.len && buf_append(&state->body, &visit->env->loop->partials, piece->bytes))
        return REASON_MEMORY_LIMIT;
    if (!piece->last)
        return REASON_NONE;
    call.body = (struct str){state->body.p, state->body.len};
    fault = lua_call_run(visit, call_body, &call);
    if (fault) {
        lua_call_verdict(visit, fault);
        return visit->reason;
    }
    if (call.is_denied) {
        state->outcome = "denied";
        return REASON_SCRIPT_DENIED;
    }
    whole.bytes = call.body.p ? call.body : STR("");
    whole.is_lasting = false;
    return filter_pass_body(way, &whole);
}
