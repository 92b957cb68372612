/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/script/script.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "edge/script/script_impl.h"

/* The collector keeps close behind what is used: a ceiling is near. */
enum { GC_PAUSE = 150, GC_STEP = 2000 };

struct loading {
    struct script *script;
    struct str text;
};

struct script *script_of(lua_State *lua)
{
    void *owner;

    lua_getallocf(lua, &owner);
    return owner;
}

/* --- errors */

/* What was thrown may be anything, and making text of it may fail for want of memory. */
static void note_error(struct script *script, lua_State *lua)
{
    const char *text = lua_type(lua, -1) == LUA_TSTRING ? lua_tostring(lua, -1) : NULL;

    if (script->message[0])
        return;
    if (script->fault == SCRIPT_MEMORY)
        snprintf(script->message, SCRIPT_MESSAGE_MAX, "%s: it has used its memory",
                 script->source.name.p);
    else if (script->fault == SCRIPT_TIMEOUT)
        snprintf(script->message, SCRIPT_MESSAGE_MAX, "%s: it has used its time",
                 script->source.name.p);
    else if (text && !strncmp(text, script->source.name.p, script->source.name.len))
        snprintf(script->message, SCRIPT_MESSAGE_MAX, "%s", text);
    else if (text) // of a function in C that was the last thing to be called
        snprintf(script->message, SCRIPT_MESSAGE_MAX, "%s: %s", script->source.name.p, text);
    else
        snprintf(script->message, SCRIPT_MESSAGE_MAX, "%s: the error is no text but a %s",
                 script->source.name.p, lua_typename(lua, lua_type(lua, -1)));
}

enum script_fault script_run(struct script *script, lua_CFunction body, void *arg)
{
    int status;

    assert(!script->is_running);
    script_limit_begin(script, script->source.time_ms);
    status = lua_cpcall(script->lua, body, arg);
    script_limit_end(script);
    if (status == LUA_ERRMEM && !script->fault)
        script->fault = SCRIPT_MEMORY;
    if (status && !script->fault)
        script->fault = SCRIPT_ERROR;
    if (script->fault)
        note_error(script, script->lua);
    lua_settop(script->lua, 0);
    script->is_spent |= script->fault == SCRIPT_MEMORY;
    return script->fault;
}

/* --- coroutines */

struct script_idle script_take_thread(lua_State *lua)
{
    struct script *script = script_of(lua);
    struct script_idle thread;

    if (script->idle_count)
        return script->idle[--script->idle_count];
    thread.lua = lua_newthread(lua);
    thread.ref = luaL_ref(lua, LUA_REGISTRYINDEX);
    return thread;
}

void script_drop_thread(struct script *script, struct script_idle *thread)
{
    if (thread->lua)
        luaL_unref(script->lua, LUA_REGISTRYINDEX, thread->ref);
    *thread = (struct script_idle){NULL, LUA_NOREF};
}

static void give_back(struct script *script, struct script_idle *thread)
{
    if (script->idle_count == SCRIPT_IDLE_MAX) {
        script_drop_thread(script, thread);
        return;
    }
    lua_settop(thread->lua, 0);
    script->idle[script->idle_count++] = *thread;
    *thread = (struct script_idle){NULL, LUA_NOREF};
}

bool script_resume(lua_State *lua, struct script_idle *thread, int count)
{
    struct script *script = script_of(lua);
    int status;

    script->running = thread->lua;
    status = lua_resume(thread->lua, count);
    script->running = lua;
    if (status == LUA_YIELD)
        return true;
    if (!status) {
        give_back(script, thread);
        return false;
    }
    if (status == LUA_ERRMEM && !script->fault)
        script->fault = SCRIPT_MEMORY;
    note_error(script, thread->lua);
    script_drop_thread(script, thread);
    return luaL_error(lua, "%s", script->message) != 0;
}

/* --- texts */

struct str script_text(lua_State *lua, int i)
{
    struct str text;

    text.p = luaL_checklstring(lua, i, &text.len);
    return text;
}

void script_push(lua_State *lua, struct str text)
{
    if (text.p)
        lua_pushlstring(lua, text.p, text.len);
    else
        lua_pushnil(lua);
}

/* --- loading */

static void keep_hooks(struct script *script, lua_State *lua)
{
    static const char *const names[SCRIPT_HOOKS] = {
        [SCRIPT_ON_REQUEST] = "on_request",
        [SCRIPT_ON_BODY] = "on_body",
        [SCRIPT_ON_RESPONSE] = "on_response",
        [SCRIPT_ON_LOG] = "on_log",
    };
    bool has_any = false;

    for (size_t i = 0; i < SCRIPT_HOOKS; i++) {
        lua_getglobal(lua, names[i]);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            continue;
        }
        if (!lua_isfunction(lua, -1))
            luaL_error(lua, "%s: %s is no function", script->source.name.p, names[i]);
        script->hooks[i] = luaL_ref(lua, LUA_REGISTRYINDEX);
        has_any = true;
    }
    if (!has_any)
        luaL_error(lua, "%s: it defines none of on_request, on_body, on_response and on_log",
                   script->source.name.p);
}

static int load_body(lua_State *lua)
{
    struct loading *loading = lua_touserdata(lua, 1);
    struct script *script = loading->script;
    const char *name;

    lua_pushboolean(lua, 1); // the first luaL_unref() allocates, later ones do not
    luaL_unref(lua, LUA_REGISTRYINDEX, luaL_ref(lua, LUA_REGISTRYINDEX));
    script_open_libraries(lua);
    script_open_strings(lua);
    lua_newtable(lua);
    script_open_json(lua);
    script_open_digests(lua);
    script_open_dicts(lua);
    if (script->source.furnish)
        script->source.furnish(lua);
    lua_setglobal(lua, "sluice");
    name = lua_pushfstring(lua, "@%s", script->source.name.p);
    if (luaL_loadbufferx(lua, loading->text.p, loading->text.len, name, "t")) // no bytecode
        lua_error(lua);
    lua_call(lua, 0, 0);
    keep_hooks(script, lua);
    return 0;
}

void script_push_hook(lua_State *lua, enum script_hook hook)
{
    const struct script *script = script_of(lua);

    if (script->hooks[hook] == LUA_NOREF)
        lua_pushnil(lua);
    else
        lua_rawgeti(lua, LUA_REGISTRYINDEX, script->hooks[hook]);
}

static enum script_fault load(struct script *script, struct str text)
{
    struct loading loading = {script, text};
    enum script_fault fault;
    uint32_t time_ms = script->source.time_ms;

    lua_gc(script->lua, LUA_GCSETPAUSE, GC_PAUSE);
    lua_gc(script->lua, LUA_GCSETSTEPMUL, GC_STEP);
    script->source.time_ms = SCRIPT_LOAD_MS;
    fault = script_run(script, load_body, &loading);
    script->source.time_ms = time_ms;
    return fault;
}

struct script *script_new(const struct script_source *source, enum script_fault *fault,
                          char *message)
{
    struct script *script = calloc(1, sizeof(*script));

    *fault = SCRIPT_MEMORY;
    snprintf(message, SCRIPT_MESSAGE_MAX, "%s: there is no memory for it", source->name.p);
    if (!script)
        return NULL;
    script->source = *source;
    script->source.text = STR_NONE;
    for (size_t i = 0; i < SCRIPT_HOOKS; i++)
        script->hooks[i] = LUA_NOREF;
    script->lua = lua_newstate(script_allocate, script);
    if (script->lua) {
        *fault = load(script, source->text);
        memcpy(message, script->message, SCRIPT_MESSAGE_MAX);
    }
    if (*fault)
        script_free(&script);
    return script;
}

void script_free(struct script **script)
{
    if (!*script)
        return;
    if ((*script)->lua)
        lua_close((*script)->lua);
    free(*script);
    *script = NULL;
}
