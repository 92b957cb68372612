/* SPDX-License-Identifier: Apache-2.0
 *
 * request:fetch(service, options): a script asks one of the gateway's services, and waits for the
 * answer without anybody else waiting: its coroutine yields, the request waits, and both go on when
 * the answer is there. In on_request alone.
 */
#include <string.h>

#include <luajit-2.1/lauxlib.h>

#include "edge/filter/lua_visit.h"
#include "edge/shape/header_rule.h"
#include "sluice/errand.h"

enum {
    FIELDS_MAX = 32,
    TARGET_MAX = 4096,       /* bytes of path and query */
    ANSWER_MAX = 256 * 1024, /* bytes of an answer's body */
    TIMEOUT_MS = 5000,       /* unless it is said */
    TIMEOUT_MAX_MS = 60000
};

/* Of one fetch; texts lie on the stack of the coroutine until it is sent. */
struct question {
    struct head head;
    struct errand_ask ask;
};

struct answer_call {
    struct visit *visit;
    const struct errand_answer *answer;
};

/* --- the question, from the table at 3 */

/* A member that is text, which stays on the stack; absent: there is none. */
static struct str text_member(lua_State *lua, const char *name)
{
    lua_getfield(lua, 3, name);
    if (lua_isnil(lua, -1))
        return STR_NONE;
    if (!lua_isstring(lua, -1))
        luaL_error(lua, "'%s' is no text", name);
    return script_text(lua, -1);
}

static void take_method(lua_State *lua, struct head *head)
{
    static const struct {
        const char *name;
        enum method method;
    } methods[] = {{"GET", METHOD_GET},        {"HEAD", METHOD_HEAD},   {"POST", METHOD_POST},
                   {"PUT", METHOD_PUT},        {"PATCH", METHOD_PATCH}, {"DELETE", METHOD_DELETE},
                   {"OPTIONS", METHOD_OPTIONS}};
    struct str name = text_member(lua, "method");

    if (!name.p)
        name = STR("GET");
    head->method_name = name;
    for (size_t i = 0; i < ARRAY_LEN(methods); i++)
        if (str_same(name, (struct str){methods[i].name, strlen(methods[i].name)}))
            head->method = methods[i].method;
    if (!head->method)
        luaL_error(lua, "there is no such method");
}

/* RFC 9112 3.2.1, strictly: nothing that another parser could read otherwise. */
static void take_target(lua_State *lua, struct head *head)
{
    struct str path = text_member(lua, "path");
    const char *mark;

    if (!path.p)
        path = STR("/");
    if (!path.len || path.p[0] != '/' || path.len > TARGET_MAX)
        luaL_error(lua, "a path begins with / and has at most %d bytes", TARGET_MAX);
    for (size_t i = 0; i < path.len; i++)
        if ((unsigned char)path.p[i] <= 0x20 || (unsigned char)path.p[i] >= 0x7f ||
            strchr("\"#<>\\^`{|}", path.p[i]))
            luaL_error(lua, "the path has a character that has to be escaped");
    mark = memchr(path.p, '?', path.len);
    head->path = path;
    if (!mark)
        return;
    head->path.len = (size_t)(mark - path.p);
    head->query = (struct str){mark + 1, path.len - head->path.len - 1};
}

static void take_fields(lua_State *lua, struct visit *visit, struct head *head)
{
    lua_getfield(lua, 3, "headers");
    if (lua_isnil(lua, -1))
        return;
    if (!lua_istable(lua, -1))
        luaL_error(lua, "'headers' is no table");
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        struct str name, value;

        if (lua_type(lua, -2) != LUA_TSTRING || lua_type(lua, -1) != LUA_TSTRING)
            luaL_error(lua, "'headers' has names and values that are texts");
        name = script_text(lua, -2);
        value = script_text(lua, -1);
        if (!header_rule_is_name(name) || header_rule_is_ours(name) || !header_rule_is_value(value))
            luaL_error(lua, "the field %s cannot be sent", name.p);
        if (head->count == FIELDS_MAX || head_add(head, visit->arena, name, value))
            luaL_error(lua, "there is no room for more fields");
        lua_pop(lua, 1);
    }
}

static uint32_t take_timeout(lua_State *lua)
{
    lua_Number seconds;

    lua_getfield(lua, 3, "timeout");
    if (lua_isnil(lua, -1))
        return TIMEOUT_MS;
    seconds = lua_tonumber(lua, -1);
    if (!(seconds >= 0.001 && seconds <= TIMEOUT_MAX_MS / 1000.0))
        luaL_error(lua, "a timeout is 0.001 to %d seconds", TIMEOUT_MAX_MS / 1000);
    return (uint32_t)(seconds * 1000);
}

static void make(lua_State *lua, struct visit *visit, struct question *question)
{
    struct head *head = &question->head;
    struct str service = script_text(lua, 2);

    luaL_checkstack(lua, 16, "too deep");
    if (lua_isnoneornil(lua, 3)) {
        lua_settop(lua, 2);
        lua_newtable(lua);
    }
    luaL_checktype(lua, 3, LUA_TTABLE);
    if (head_init(head, visit->arena, FIELDS_MAX))
        luaL_error(lua, "the request has no room for another");
    take_method(lua, head);
    take_target(lua, head);
    take_fields(lua, visit, head);
    head->authority = service;
    question->ask = (struct errand_ask){.service = service,
                                        .head = head,
                                        .body = text_member(lua, "body"),
                                        .timeout_ms = take_timeout(lua),
                                        .body_max = ANSWER_MAX};
}

/* --- the answer */

static void push_answer(lua_State *lua, const struct errand_answer *answer)
{
    lua_createtable(lua, 0, 4);
    lua_pushinteger(lua, answer->status);
    lua_setfield(lua, -2, "status");
    lua_object_push_headers(lua, answer->head);
    lua_setfield(lua, -2, "headers");
    lua_pushlstring(lua, answer->body.p, answer->body.len);
    lua_setfield(lua, -2, "body");
    lua_pushboolean(lua, answer->is_cut);
    lua_setfield(lua, -2, "is_cut");
}

/* The answer; or nil and the slug of the reason why there is none. */
static int go_on(lua_State *lua)
{
    const struct answer_call *call = lua_touserdata(lua, 1);
    const struct errand_answer *answer = call->answer;
    struct lua_state *state = call->visit->state;
    int count = 1;

    if (answer->reason || !answer->head) {
        lua_pushnil(lua);
        lua_pushstring(lua, reason_info(answer->reason)->slug);
        count = 2;
    } else {
        push_answer(lua, answer);
    }
    lua_xmove(lua, state->thread.lua, count);
    lua_call_go(lua, call->visit, count);
    return 0;
}

static void on_answer(void *owner, const struct errand_answer *answer)
{
    struct visit *visit = owner;
    struct lua_state *state = visit->state;
    struct answer_call call = {visit, answer};
    enum script_fault fault;

    state->errand = NULL;
    fault = lua_call_run(visit, go_on, &call);
    visit->verdict = lua_body_begin(visit, lua_call_verdict(visit, fault));
    if (visit->verdict != VERDICT_WAIT)
        filter_resume(visit);
}

int lua_fetch(lua_State *lua)
{
    struct visit *visit = lua_object_visit(lua);
    struct lua_state *state = visit->state;
    struct caller caller = *visit->caller;
    struct question question;

    if (state->thread.lua != lua || state->errand || !lua_isyieldable(lua))
        return luaL_error(lua, "fetch works in on_request alone, in no coroutine or callback");
    if (++state->fetches > LUA_FETCHES_MAX)
        return luaL_error(lua, "a request may fetch %d times", LUA_FETCHES_MAX);
    make(lua, visit, &question);
    if (!caller.host.p)
        caller.host = visit->request->authority;
    question.ask.caller = &caller;
    state->errand = errand_send(visit->env, &question.ask, on_answer, visit);
    if (!state->errand)
        return luaL_error(lua, "there is no service %s", question.ask.service.p);
    return lua_yield(lua, 0);
}
