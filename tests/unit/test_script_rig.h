/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of script/script*.c run on: a script from its text, whose on_request is called
 * without a request, and the text that it returns.
 */
#ifndef TEST_SCRIPT_RIG_H
#define TEST_SCRIPT_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <luajit-2.1/lauxlib.h>

#include "base/clock.h"
#include "edge/script/dict.h"
#include "edge/script/script.h"

enum { RESULT_MAX = 1024 };

struct bench {
    struct dict_store *dicts;
    struct script *script;
    enum script_fault fault; /* of loading it */
    char message[SCRIPT_MESSAGE_MAX];
    char result[RESULT_MAX];
    char logged[RESULT_MAX];
    size_t memory; /* for load() */
    uint32_t time_ms;
    bool jit;
};

static inline int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    bench->memory = 4 * 1024 * 1024;
    bench->time_ms = 20;
    bench->dicts = dict_open(1024 * 1024);
    return 0;
}

static inline int remove_bench(void **state)
{
    struct bench *bench = *state;

    script_free(&bench->script);
    dict_close(&bench->dicts);
    free(bench);
    return 0;
}

static inline void note_line(void *owner, struct str line)
{
    struct bench *bench = owner;

    snprintf(bench->logged, sizeof(bench->logged), "%.*s", STR_FMT(line));
}

static inline bool load_text(struct bench *bench, struct str text)
{
    const struct script_source source = {.name = STR("x.lua"),
                                         .text = text,
                                         .memory_max = bench->memory,
                                         .time_ms = bench->time_ms,
                                         .jit = bench->jit,
                                         .dicts = bench->dicts,
                                         .log = note_line,
                                         .log_owner = bench};

    script_free(&bench->script);
    bench->script = script_new(&source, &bench->fault, bench->message);
    return bench->script != NULL;
}

static inline bool load(struct bench *bench, const char *text)
{
    return load_text(bench, (struct str){text, strlen(text)});
}

/* A function of the script's in a coroutine, as the filter runs it. */
static inline int return_text(lua_State *lua)
{
    struct bench *bench = lua_touserdata(lua, lua_upvalueindex(2));

    lua_pushvalue(lua, lua_upvalueindex(1));
    lua_call(lua, 0, 1);
    if (lua_isstring(lua, -1))
        snprintf(bench->result, RESULT_MAX, "%s", lua_tostring(lua, -1));
    return 0;
}

static inline int call_body(lua_State *lua)
{
    struct bench *bench = lua_touserdata(lua, 1);
    struct script_idle thread = script_take_thread(lua);

    script_push_hook(lua, SCRIPT_ON_REQUEST);
    lua_pushlightuserdata(lua, bench);
    lua_pushcclosure(lua, return_text, 2);
    lua_xmove(lua, thread.lua, 1);
    assert_false(script_resume(lua, &thread, 0));
    return 0;
}

static inline enum script_fault call(struct bench *bench)
{
    bench->result[0] = 0;
    return script_run(bench->script, call_body, bench);
}

/* What `body` returns as the body of on_request. */
static inline const char *run(struct bench *bench, const char *body)
{
    char text[4096];

    snprintf(text, sizeof(text), "function on_request() %s end", body);
    if (!load(bench, text))
        fail_msg("%s", bench->message);
    if (call(bench))
        fail_msg("%s", bench->script->message);
    return bench->result;
}

/* The same of one that fails. */
static inline const char *failure(struct bench *bench, const char *body, enum script_fault fault)
{
    char text[4096];

    snprintf(text, sizeof(text), "function on_request() %s end", body);
    if (!load(bench, text))
        fail_msg("%s", bench->message);
    if (call(bench) != fault)
        fail_msg("%s: fault %d, not %d: %s", body, (int)bench->script->fault, (int)fault,
                 bench->script->message);
    return bench->script->message;
}

#endif
