/* SPDX-License-Identifier: Apache-2.0
 *
 * A Lua script in a state of its own: its globals, its memory ceiling and the time its functions
 * may take. Knows nothing of HTTP: what a script gets to see is put into the state by its user,
 * whose code runs by script_run(). A fault ends what runs, whatever the script catches, and leaves
 * the state usable; after SCRIPT_MEMORY it should be given up (`is_spent`). One thread at a time.
 */
#ifndef EDGE_SCRIPT_SCRIPT_H
#define EDGE_SCRIPT_SCRIPT_H

#include <luajit-2.1/lua.h>

#include "sluice/types.h"

enum {
    SCRIPT_OBJECT_MAX = 1024 * 1024, /* bytes of one string, or of one part of a table */
    SCRIPT_TEXT_MAX = 256 * 1024,    /* bytes of a script */
    SCRIPT_LOAD_MS = 100,            /* that the script itself may take, before its functions */
    SCRIPT_IDLE_MAX = 16,            /* coroutines kept for the next ones */
    SCRIPT_MESSAGE_MAX = 512
};

enum script_fault {
    SCRIPT_OK,
    SCRIPT_ERROR,
    SCRIPT_TIMEOUT,
    SCRIPT_MEMORY,
};

enum script_hook {
    SCRIPT_ON_REQUEST,
    SCRIPT_ON_BODY,
    SCRIPT_ON_RESPONSE,
    SCRIPT_ON_LOG,
    SCRIPT_HOOKS
};

struct dict_store;

struct script_source {
    struct str name; /* as messages have it; terminated */
    struct str text;
    size_t memory_max;        /* bytes */
    uint32_t time_ms;         /* of the processor's time that one call may take */
    bool jit;                 /* compiled code cannot be stopped: time is not watched */
    struct dict_store *dicts; /* borrowed; NULL: sluice.shared() is an error */
    uint64_t seed;            /* of math.random */
    /* What the script finds beside the standard library is put here, before it runs; on the stack
     * there is the table `sluice`. NULL: nothing. May raise errors. */
    void (*furnish)(lua_State *lua);
    /* A line that the script wants logged. NULL: nowhere. */
    void (*log)(void *owner, struct str line);
    void *log_owner;
};

struct script_idle {
    lua_State *lua;
    int ref;
};

struct script {
    lua_State *lua;
    lua_State *running;          /* it, or the coroutine that was resumed last; NULL: neither */
    struct script_source source; /* of text nothing is kept */
    int hooks[SCRIPT_HOOKS];     /* references of its functions; LUA_NOREF: it has none */
    unsigned refs;               /* kept by its user */
    size_t used;                 /* bytes of the state */
    unsigned large;              /* objects in it that take the processor long */
    size_t collected;            /* bytes that the last full collection left */
    uint64_t deadline_us, cpu_end_us; /* cpu_end 0: the deadline has not passed */
    uint32_t time_ms;                 /* of the call that runs */
    uintptr_t stack;                  /* of the thread, where the call began */
    bool is_running, is_spent;
    enum script_fault fault; /* of the call that runs or ran */
    char message[SCRIPT_MESSAGE_MAX];
    struct script_idle idle[SCRIPT_IDLE_MAX];
    unsigned idle_count;
};

/* Loads it and runs it once. NULL: `*fault`, and what is wrong in `message` of SCRIPT_MESSAGE_MAX
 * bytes, which begins "NAME:LINE: " where there is a line. */
struct script *script_new(const struct script_source *source, enum script_fault *fault,
                          char *message);
/* Clears the pointer; NULL is fine. */
void script_free(struct script **script);

/* Calls `body` with `arg` as a light userdata at 1, within the script's limits. In a fault,
 * script->message says what is wrong. Not from within a body. */
enum script_fault script_run(struct script *script, lua_CFunction body, void *arg);

/* --- for bodies, and for functions that are furnished */

struct script *script_of(lua_State *lua);
/* Pushes a function of the script, or nil. */
void script_push_hook(lua_State *lua, enum script_hook hook);
/* A coroutine with an empty stack; the body may raise an error afterwards, then it is lost. */
struct script_idle script_take_thread(lua_State *lua);
/* Resumes it with `count` values from its stack. True: it has yielded; else it has ended and is
 * given back. Raises its error, if it ends in one. */
bool script_resume(lua_State *lua, struct script_idle *thread, int count);
void script_drop_thread(struct script *script, struct script_idle *thread);
/* Raises the fault if the call has used its time. For loops in C. */
void script_spend(lua_State *lua);
/* The same as a question; the caller has to raise it then by script_spend(). */
bool script_may_go_on(void *script);
/* Argument `i` as text; raises an error when it is neither text nor number. */
struct str script_text(lua_State *lua, int i);
void script_push(lua_State *lua, struct str text);

#endif
