/* SPDX-License-Identifier: Apache-2.0
 *
 * string.find, match, gmatch and gsub as in Lua 5.1, on a matcher that can be stopped.
 */
#include <string.h>

#include "edge/script/pattern.h"
#include "edge/script/script_impl.h"

static void init(lua_State *lua, struct pattern *m, bool takes_caret)
{
    m->subject = script_text(lua, 1);
    m->text = script_text(lua, 2);
    m->takes_caret = takes_caret;
    m->may_go_on = script_may_go_on;
    m->owner = script_of(lua);
    m->steps = 0;
    m->fault = PATTERN_OK;
}

/* Raises what stopped it. */
static void check(lua_State *lua, const struct pattern *m)
{
    if (m->fault == PATTERN_SPENT)
        script_spend(lua);
    if (m->fault == PATTERN_BAD)
        luaL_error(lua, "%s", m->error);
}

static void push_capture(lua_State *lua, struct pattern *m, unsigned i)
{
    struct str text = STR_NONE;
    size_t position = 0;

    if (!pattern_capture(m, i, &text, &position))
        check(lua, m);
    if (position)
        lua_pushinteger(lua, (lua_Integer)position);
    else
        script_push(lua, text);
}

/* All, or the whole match when there are none and `whole` is wished; how many. */
static int push_captures(lua_State *lua, struct pattern *m, bool whole)
{
    unsigned count = !m->count && whole ? 1 : m->count;

    luaL_checkstack(lua, (int)count, "too many captures");
    for (unsigned i = 0; i < count; i++)
        push_capture(lua, m, i);
    return (int)count;
}

/* The offset that argument 3 names, past the end when it does. */
static size_t offset_of(lua_State *lua, size_t len)
{
    lua_Number at = luaL_optnumber(lua, 3, 1);

    if (at < 0)
        at += (lua_Number)len + 1;
    if (!(at > 1))
        return 0;
    return at > (lua_Number)len + 1 ? len + 1 : (size_t)at - 1;
}

static int push_place(lua_State *lua, size_t start, size_t end)
{
    lua_pushinteger(lua, (lua_Integer)start + 1);
    lua_pushinteger(lua, (lua_Integer)end);
    return 2;
}

static int find_plain(lua_State *lua, const struct pattern *m, size_t from)
{
    const char *hit = memmem(m->subject.p + from, m->subject.len - from, m->text.p, m->text.len);
    size_t start = hit ? (size_t)(hit - m->subject.p) : 0;

    if (hit)
        return push_place(lua, start, start + m->text.len);
    lua_pushnil(lua);
    return 1;
}

static int string_find(lua_State *lua)
{
    struct pattern m;
    size_t from;

    init(lua, &m, true);
    from = offset_of(lua, m.subject.len);
    if (from <= m.subject.len && (lua_toboolean(lua, 4) || pattern_is_plain(m.text)))
        return find_plain(lua, &m, from);
    if (pattern_find(&m, from)) {
        push_place(lua, (size_t)(m.start - m.subject.p), (size_t)(m.end - m.subject.p));
        return 2 + push_captures(lua, &m, false);
    }
    check(lua, &m);
    lua_pushnil(lua);
    return 1;
}

static int string_match(lua_State *lua)
{
    struct pattern m;

    init(lua, &m, true);
    if (pattern_find(&m, offset_of(lua, m.subject.len)))
        return push_captures(lua, &m, true);
    check(lua, &m);
    lua_pushnil(lua);
    return 1;
}

/* --- gmatch: a function with subject, pattern and the offset that comes next */

static int match_next(lua_State *lua)
{
    struct pattern m;
    size_t from = (size_t)lua_tointeger(lua, lua_upvalueindex(3));

    lua_settop(lua, 0);
    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_pushvalue(lua, lua_upvalueindex(2));
    init(lua, &m, false);
    if (!pattern_find(&m, from)) {
        check(lua, &m);
        return 0;
    }
    from = (size_t)(m.end - m.subject.p) + (m.end == m.start); // past an empty match
    lua_pushinteger(lua, (lua_Integer)from);
    lua_replace(lua, lua_upvalueindex(3));
    return push_captures(lua, &m, true);
}

static int string_gmatch(lua_State *lua)
{
    script_text(lua, 1);
    script_text(lua, 2);
    lua_settop(lua, 2);
    lua_pushinteger(lua, 0);
    lua_pushcclosure(lua, match_next, 3);
    return 1;
}

/* --- gsub */

/* A text in which %0 to %9 stand for captures. */
static void add_template(lua_State *lua, struct pattern *m, luaL_Buffer *out)
{
    struct str text = script_text(lua, 3);

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (c == '%' && i + 1 < text.len) {
            c = text.p[++i];
            if (c == '0') {
                luaL_addlstring(out, m->start, (size_t)(m->end - m->start));
                continue;
            }
            if (c >= '1' && c <= '9') {
                push_capture(lua, m, (unsigned)(c - '1'));
                luaL_addvalue(out);
                continue;
            }
        }
        luaL_addchar(out, c);
    }
}

static void push_replacement(lua_State *lua, struct pattern *m, int type)
{
    if (type == LUA_TTABLE) {
        push_capture(lua, m, 0);
        lua_gettable(lua, 3);
        return;
    }
    lua_pushvalue(lua, 3);
    lua_call(lua, push_captures(lua, m, true), 1);
}

static void add_value(lua_State *lua, struct pattern *m, int type, luaL_Buffer *out)
{
    if (type == LUA_TSTRING || type == LUA_TNUMBER) {
        add_template(lua, m, out);
        return;
    }
    push_replacement(lua, m, type);
    if (!lua_toboolean(lua, -1)) {
        lua_pop(lua, 1);
        lua_pushlstring(lua, m->start, (size_t)(m->end - m->start));
    } else if (!lua_isstring(lua, -1)) {
        luaL_error(lua, "invalid replacement value (a %s)", luaL_typename(lua, -1));
    }
    luaL_addvalue(out);
}

static int string_gsub(lua_State *lua)
{
    struct pattern m;
    luaL_Buffer out;
    int type = lua_type(lua, 3);
    size_t at = 0;
    lua_Number count = 0, most;

    script_check_stack(lua);
    init(lua, &m, true);
    most = luaL_optnumber(lua, 4, (lua_Number)m.subject.len + 1);
    if (type != LUA_TNUMBER && type != LUA_TSTRING && type != LUA_TFUNCTION && type != LUA_TTABLE)
        return luaL_argerror(lua, 3, "string/function/table expected");
    luaL_buffinit(lua, &out);
    while (count < most) {
        bool is_match = pattern_match(&m, at);

        check(lua, &m);
        if (is_match) {
            count++;
            add_value(lua, &m, type, &out);
        }
        if (is_match && m.end > m.start)
            at = (size_t)(m.end - m.subject.p);
        else if (at < m.subject.len)
            luaL_addchar(&out, m.subject.p[at++]);
        else
            break;
        if (pattern_is_anchored(&m))
            break;
    }
    luaL_addlstring(&out, m.subject.p + at, m.subject.len - at);
    luaL_pushresult(&out);
    lua_pushnumber(lua, count);
    return 2;
}

void script_open_strings(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"find", string_find},
                                         {"match", string_match},
                                         {"gmatch", string_gmatch},
                                         {"gsub", string_gsub},
                                         {NULL, NULL}};

    lua_getglobal(lua, "string");
    luaL_setfuncs(lua, functions, 0);
    lua_pop(lua, 1);
}
