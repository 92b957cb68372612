/* SPDX-License-Identifier: Apache-2.0
 *
 * What the files of the lua filter know of each other: the compiled configuration, and what a
 * script and one request have to do with each other.
 */
#ifndef EDGE_FILTER_LUA_VISIT_H
#define EDGE_FILTER_LUA_VISIT_H

#include "base/buf.h"
#include "config/field.h"
#include "edge/script/script.h"
#include "sluice/filter.h"

struct errand;

enum { LUA_BODY_STANDARD = 64 * 1024, LUA_FETCHES_MAX = 16 };

/* Of one worker. */
struct lua_slot {
    struct script *script;   /* NULL: the next request makes it */
    uint64_t second;         /* of the lines that were logged */
    unsigned lines, dropped; /* in it */
    const struct filter_env *env;
};

struct lua_conf {
    struct conf_text script;
    uint64_t memory, body;
    uint32_t time_ms;
    bool jit;
    /* made by lua_conf_prepare() */
    struct script_source source;
    bool has[SCRIPT_HOOKS];
    struct lua_slot *slots; /* one a worker */
};

struct lua_handle;

/* Fields that an answer of the script's own gets. */
struct lua_fields {
    struct str *names, *values;
    unsigned count;
};

struct lua_state {
    struct script *script; /* held until on_done; NULL: not asked yet */
    struct lua_handle *request, *response;
    int request_ref, response_ref, context_ref; /* references; 0: none */
    struct script_idle thread;                  /* waits for its errand */
    struct errand *errand;
    unsigned fetches;
    bool replies; /* visit->reply is set */
    bool failed;  /* no more is asked of the script than on_log */
    struct lua_fields fields;
    struct buf body;
    uint64_t began_us; /* of the visit */
    /* for describe */
    unsigned calls;
    uint64_t took_us;
    const char *outcome;
    struct str error; /* in the visit's arena */
};

/* --- lua_conf.c: the filter's fields and hooks of that name, see sluice/filter.h */
extern const struct field lua_conf_fields[];
bool lua_conf_check(void *conf, struct span at, struct diag *diag);
bool lua_conf_prepare(void *conf, const struct filter_prepare *with);
void lua_conf_dispose(void *conf);

/* --- lua_call.c */
/* Runs a body within the limits of the visit's script, which is made if it is not there. What went
 * wrong is logged and kept for describe. */
enum script_fault lua_call_run(struct visit *visit, lua_CFunction body, void *arg);
/* In a body: begins on_request, or goes on with it, with `count` values on the coroutine. */
void lua_call_go(lua_State *lua, struct visit *visit, int count);
/* What on_request has come to, if it waits for nothing. */
enum verdict lua_call_verdict(struct visit *visit, enum script_fault fault);
/* The visit has no more calls to make. */
void lua_call_end(struct visit *visit);

/* --- lua_body.c */
/* What on_request said, after the length of the body was looked at if it is to be seen. */
enum verdict lua_body_begin(struct visit *visit, enum verdict verdict);
enum reason lua_body_take(struct visit *visit, const struct piece *piece,
                          const struct body_way *way);

/* --- lua_object.c */
/* Furnishes a state with what requests and answers are; for script_source.furnish. */
void lua_object_furnish(lua_State *lua);
/* Pushes the request of a visit, and its answer or nil. In a body. */
void lua_object_push_request(lua_State *lua, struct visit *visit);
void lua_object_push_response(lua_State *lua, struct visit *visit);
/* Pushes a table of all fields, by lower-case name; several of one name are joined (RFC 9110 5.3).
 */
void lua_object_push_headers(lua_State *lua, const struct head *head);
/* Which of the two may be changed now. */
void lua_object_allow(struct lua_state *state, bool request, bool response);
/* The visit goes: what the script has kept of it is empty from now on. */
void lua_object_forget(struct lua_state *state);
/* The visit of the request at argument 1; raises an error when it is over. */
struct visit *lua_object_visit(lua_State *lua);
/* A copy in the visit's arena; raises an error when there is no more room. */
struct str lua_object_keep(lua_State *lua, struct visit *visit, struct str text);

/* --- lua_fetch.c: request:fetch() */
int lua_fetch(lua_State *lua);

#endif
