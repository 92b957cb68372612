/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of script and by nothing else.
 */
#ifndef EDGE_SCRIPT_SCRIPT_IMPL_H
#define EDGE_SCRIPT_SCRIPT_IMPL_H

#include <luajit-2.1/lauxlib.h>

#include "edge/script/script.h"

/* --- script_limit.c */
/* The allocator of the state; `owner` is the script. */
void *script_allocate(void *owner, void *object, size_t old, size_t size);
/* From now on the call's time is watched; memory, always. */
void script_limit_begin(struct script *script, uint32_t time_ms);
void script_limit_end(struct script *script);
/* Raises an error when calls are nested too deep for the thread's stack. For C that calls Lua. */
void script_check_stack(lua_State *lua);

/* --- what a state is furnished with; each leaves the stack as it was */
void script_open_libraries(lua_State *lua); /* script_sandbox.c */
void script_open_strings(lua_State *lua);   /* script_strings.c: into the table `string` */
void script_open_json(lua_State *lua);      /* script_json.c: json, into the table on top */
void script_open_digests(lua_State *lua);   /* script_digest.c: into the table on top */
void script_open_dicts(lua_State *lua);     /* script_dict.c: into the table on top */

#endif
