/* SPDX-License-Identifier: Apache-2.0
 *
 * What a script may take. Memory is counted by the state's allocator, and its end is latched: no
 * pcall() goes on after it. Time is looked at every few hundred instructions of the interpreter; a
 * call that is past its time by the clock may still have been kept from the processor, so from then
 * on the thread's own time counts. Functions in C that could take long ask by themselves or are
 * bounded by the size of objects; while there are large ones the clock is looked at much more
 * often.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "edge/script/script_impl.h"

enum {
    LARGE = 64 * 1024, /* bytes of an object whose copying takes microseconds */
    INSTRUCTIONS_USUAL = 250,
    INSTRUCTIONS_LARGE = 20,
    STACK_MAX = 1024 * 1024 /* bytes of the thread's stack, by calls from C to Lua and again */
};

static void on_count(lua_State *lua, lua_Debug *where);

static void watch(struct script *script, int instructions)
{
    if (script->is_running && !script->source.jit)
        lua_sethook(script->lua, on_count, LUA_MASKCOUNT, instructions);
}

static const char *words(const struct script *script)
{
    return script->fault == SCRIPT_MEMORY ? "it has used its memory" : "it has used its time";
}

/* Where it is: in the nearest function of the script's. Allocates nothing. */
static void note_place(struct script *script, lua_State *lua)
{
    lua_Debug where;

    for (int level = 0; !script->message[0] && lua_getstack(lua, level, &where); level++)
        if (lua_getinfo(lua, "Sl", &where) && where.currentline > 0 && where.source[0] == '@')
            snprintf(script->message, sizeof(script->message), "%s:%d: %s", where.short_src,
                     where.currentline, words(script));
}

/* The fault is looked at before the next instruction, and every one after it. */
static void latch(struct script *script, enum script_fault fault)
{
    if (!script->fault)
        script->fault = fault;
    watch(script, 1);
}

/* The library will raise an error that knows no place. Compiled code does not keep up its frames.
 */
static void *refuse(struct script *script)
{
    latch(script, SCRIPT_MEMORY);
    if (script->running && !script->source.jit)
        note_place(script, script->running);
    return NULL;
}

void *script_allocate(void *owner, void *object, size_t old, size_t size)
{
    struct script *script = owner;
    bool grows = size > old;
    void *fresh;

    if (!size) {
        script->used -= old;
        script->large -= old >= LARGE;
        free(object);
        return NULL;
    }
    if (grows && (size > SCRIPT_OBJECT_MAX || size - old > script->source.memory_max ||
                  script->used > script->source.memory_max - (size - old)))
        return refuse(script);
    fresh = realloc(object, size);
    if (!fresh && !grows)
        return object; // the library counts on it
    if (!fresh)
        return refuse(script);
    script->used = script->used - old + size;
    script->large = script->large - (object && old >= LARGE) + (size >= LARGE);
    if (grows && size >= LARGE)
        watch(script, 1);
    return fresh;
}

/* --- time */

bool script_may_go_on(void *owner)
{
    struct script *script = owner;

    if (script->fault)
        return false;
    if (script->source.jit || !script->is_running || clock_us() < script->deadline_us)
        return true;
    if (!script->cpu_end_us)
        script->cpu_end_us = clock_cpu_us() + (uint64_t)script->time_ms * 1000;
    if (clock_cpu_us() < script->cpu_end_us)
        return true;
    latch(script, SCRIPT_TIMEOUT);
    return false;
}

static void throw_fault(struct script *script, lua_State *lua)
{
    note_place(script, lua);
    lua_pushnil(lua);
    lua_error(lua);
}

/* Garbage is no reason to refuse memory: what is left of it is looked for in time. */
static void collect(struct script *script, lua_State *lua)
{
    size_t full = script->source.memory_max - script->source.memory_max / 4;

    if (script->used < full || script->used - full / 8 < script->collected)
        return;
    lua_gc(lua, LUA_GCCOLLECT, 0);
    script->collected = script->used;
}

void script_check_stack(lua_State *lua)
{
    uintptr_t here = (uintptr_t)__builtin_frame_address(0), began = script_of(lua)->stack;

    if ((began > here ? began - here : here - began) > STACK_MAX)
        luaL_error(lua, "stack overflow");
}

static void on_count(lua_State *lua, lua_Debug *where)
{
    struct script *script = script_of(lua);

    (void)where;
    if (!script_may_go_on(script))
        throw_fault(script, lua);
    script_check_stack(lua);
    collect(script, lua);
    watch(script, script->large ? INSTRUCTIONS_LARGE : INSTRUCTIONS_USUAL);
}

void script_spend(lua_State *lua)
{
    struct script *script = script_of(lua);

    if (!script_may_go_on(script))
        throw_fault(script, lua);
}

void script_limit_begin(struct script *script, uint32_t time_ms)
{
    script->is_running = true;
    script->running = script->lua;
    script->stack = (uintptr_t)__builtin_frame_address(0);
    script->fault = SCRIPT_OK;
    script->message[0] = 0;
    script->time_ms = time_ms;
    script->cpu_end_us = 0;
    script->deadline_us = clock_us() + (uint64_t)time_ms * 1000;
    watch(script, script->large ? INSTRUCTIONS_LARGE : INSTRUCTIONS_USUAL);
}

void script_limit_end(struct script *script)
{
    script->is_running = false;
    script->running = NULL;
}
