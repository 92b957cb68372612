/* SPDX-License-Identifier: Apache-2.0
 *
 * What of the standard library a script gets: a list of what is harmless, and nothing else. No io,
 * no loading of code from text or bytecode, no debug, no control of the collector, no environments.
 * Three functions are replaced because C runs them where no hook looks: xpcall, whose handler runs
 * within the hook that ends a script; table.sort, which an order can make quadratic; table.move,
 * whose range has no bound. coroutine.running is not there, since the coroutine that waits for an
 * answer is not the script's to resume. What replaces them is Lua, where instructions are counted.
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <luajit-2.1/lualib.h>

#include "base/clock.h"
#include "edge/script/script_impl.h"

enum { DATE_FORMAT_MAX = 128, DATE_MAX = 512 };

static const char *const globals[] = {"assert",    "error",    "getmetatable", "ipairs",
                                      "next",      "pairs",    "pcall",        "rawequal",
                                      "rawget",    "rawset",   "select",       "setmetatable",
                                      "tonumber",  "tostring", "type",         "unpack",
                                      "coroutine", "table",    "string",       "math",
                                      "bit",       "_G",       "_VERSION",     NULL};
static const char *const tables[] = {"concat", "insert", "maxn", "remove", NULL};
static const char *const coroutines[] = {"create", "isyieldable", "resume", "status",
                                         "wrap",   "yield",       NULL};
static const char *const strings[] = {"byte", "char",    "format", "len",   "lower",
                                      "rep",  "reverse", "sub",    "upper", NULL};

static const char replacements[] =
    "local pcall, sort = pcall, ...\n"
    "local function finish(handler, ok, ...)\n"
    "  if ok then return true, ... end\n"
    "  return false, handler(...)\n"
    "end\n"
    "function xpcall(f, handler, ...) return finish(handler, pcall(f, ...)) end\n"
    "function table.sort(t, less)\n"
    "  if less == nil then return sort(t, function(a, b) return a < b end) end\n"
    "  return sort(t, function(a, b) return less(a, b) end)\n"
    "end\n"
    "function table.move(from, first, last, at, to)\n"
    "  to = to or from\n"
    "  if at > last or at <= first or to ~= from then\n"
    "    for i = 0, last - first do to[at + i] = from[first + i] end\n"
    "  else\n"
    "    for i = last - first, 0, -1 do to[at + i] = from[first + i] end\n"
    "  end\n"
    "  return to\n"
    "end\n";

static bool is_listed(const char *const *names, const char *name)
{
    for (; *names; names++)
        if (!strcmp(*names, name))
            return true;
    return false;
}

/* Removes from the table on top what is not in the list. */
static void prune(lua_State *lua, const char *const *names)
{
    lua_pushnil(lua);
    while (lua_next(lua, -2)) {
        bool stays = lua_type(lua, -2) == LUA_TSTRING && is_listed(names, lua_tostring(lua, -2));

        lua_pop(lua, 1);
        if (stays)
            continue;
        lua_pushvalue(lua, -1);
        lua_pushnil(lua);
        lua_rawset(lua, -4); // a present key may be cleared while the table is walked
    }
}

static void prune_table(lua_State *lua, const char *table, const char *const *names)
{
    lua_getglobal(lua, table);
    prune(lua, names);
    lua_pop(lua, 1);
}

static void open(lua_State *lua, lua_CFunction library, const char *name)
{
    lua_pushcfunction(lua, library);
    lua_pushstring(lua, name);
    lua_call(lua, 1, 0);
}

/* --- os: time, clock and date */

static int os_clock(lua_State *lua)
{
    lua_pushnumber(lua, (double)clock_us() / 1e6);
    return 1;
}

static int member(lua_State *lua, const char *name, int otherwise)
{
    double value;

    lua_getfield(lua, 1, name);
    if (lua_isnil(lua, -1) && otherwise >= 0) {
        lua_pop(lua, 1);
        return otherwise;
    }
    value = lua_tonumber(lua, -1);
    lua_pop(lua, 1);
    if (!(fabs(value) < 1e6))
        luaL_error(lua, "field '%s' is out of range", name);
    return (int)value;
}

/* os.time(): now; os.time{year=, month=, day=, ...}: of a date in UTC. */
static int os_time(lua_State *lua)
{
    struct tm date = {0};

    if (lua_isnoneornil(lua, 1)) {
        lua_pushnumber(lua, (double)(clock_wall_ms() / 1000));
        return 1;
    }
    luaL_checktype(lua, 1, LUA_TTABLE);
    date.tm_year = member(lua, "year", -1) - 1900;
    date.tm_mon = member(lua, "month", -1) - 1;
    date.tm_mday = member(lua, "day", -1);
    date.tm_hour = member(lua, "hour", 12);
    date.tm_min = member(lua, "min", 0);
    date.tm_sec = member(lua, "sec", 0);
    lua_pushnumber(lua, (double)timegm(&date));
    return 1;
}

static void set_number(lua_State *lua, const char *name, int value)
{
    lua_pushinteger(lua, value);
    lua_setfield(lua, -2, name);
}

static int push_fields(lua_State *lua, const struct tm *date)
{
    lua_createtable(lua, 0, 9);
    set_number(lua, "year", date->tm_year + 1900);
    set_number(lua, "month", date->tm_mon + 1);
    set_number(lua, "day", date->tm_mday);
    set_number(lua, "hour", date->tm_hour);
    set_number(lua, "min", date->tm_min);
    set_number(lua, "sec", date->tm_sec);
    set_number(lua, "wday", date->tm_wday + 1);
    set_number(lua, "yday", date->tm_yday + 1);
    lua_pushboolean(lua, date->tm_isdst > 0);
    lua_setfield(lua, -2, "isdst");
    return 1;
}

/* os.date([format [, time]]): "!" at its beginning is UTC, else the machine's zone; "*t" a table.
 */
static int os_date(lua_State *lua)
{
    const char *format = luaL_optstring(lua, 1, "%c");
    double seconds = luaL_optnumber(lua, 2, (double)(clock_wall_ms() / 1000));
    bool is_utc = *format == '!';
    char text[DATE_MAX];
    struct tm date;
    time_t when;

    if (!(fabs(seconds) < 1e11))
        return luaL_error(lua, "the time is out of range");
    if (strlen(format) > DATE_FORMAT_MAX)
        return luaL_error(lua, "the format is longer than %d bytes", DATE_FORMAT_MAX);
    when = (time_t)seconds;
    format += is_utc;
    if (!(is_utc ? gmtime_r(&when, &date) : localtime_r(&when, &date)))
        return luaL_error(lua, "the time is out of range");
    if (!strcmp(format, "*t"))
        return push_fields(lua, &date);
    lua_pushlstring(lua, text, strftime(text, sizeof(text), format, &date));
    return 1;
}

static void open_os(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"clock", os_clock},
                                         {"date", os_date},
                                         {"time", os_time},
                                         {NULL, NULL}};

    lua_newtable(lua);
    luaL_setfuncs(lua, functions, 0);
    lua_setglobal(lua, "os");
}

/* --- print: a line for the log */

static int print(lua_State *lua)
{
    const struct script *script = script_of(lua);
    struct str text = script_text(lua, 1);

    if (script->source.log)
        script->source.log(script->source.log_owner, text);
    return 0;
}

static int deny(lua_State *lua)
{
    return luaL_error(lua, "scripts cannot do that");
}

/* With the library's sort on top, which it takes. */
static void replace(lua_State *lua)
{
    if (luaL_loadbufferx(lua, replacements, sizeof(replacements) - 1, "=sluice", "t"))
        lua_error(lua);
    lua_insert(lua, -2);
    lua_call(lua, 1, 0);
}

/* Only so that a script that asks for it hears why it has not got it. */
static void deny_some(lua_State *lua)
{
    static const char *const names[] = {"load", "loadstring", "loadfile", "dofile", "require"};

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        lua_pushcfunction(lua, deny);
        lua_setglobal(lua, names[i]);
    }
}

static void seed(lua_State *lua)
{
    lua_getglobal(lua, "math");
    lua_getfield(lua, -1, "randomseed");
    lua_pushnumber(lua, (double)(script_of(lua)->source.seed >> 12));
    lua_call(lua, 1, 0);
    lua_pop(lua, 1);
}

/* Texts share one metatable; a script may look at none of it. */
static void seal_texts(lua_State *lua)
{
    lua_pushliteral(lua, "");
    lua_getmetatable(lua, -1);
    lua_pushliteral(lua, "text");
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 2);
}

void script_open_libraries(lua_State *lua)
{
    open(lua, luaopen_base, "");
    open(lua, luaopen_table, LUA_TABLIBNAME);
    open(lua, luaopen_string, LUA_STRLIBNAME);
    open(lua, luaopen_math, LUA_MATHLIBNAME);
    open(lua, luaopen_bit, LUA_BITLIBNAME);
    if (script_of(lua)->source.jit)
        open(lua, luaopen_jit, LUA_JITLIBNAME);
    lua_getglobal(lua, "table");
    lua_getfield(lua, -1, "sort");
    lua_remove(lua, -2);
    prune_table(lua, "_G", globals);
    prune_table(lua, LUA_COLIBNAME, coroutines);
    prune_table(lua, LUA_TABLIBNAME, tables);
    prune_table(lua, LUA_STRLIBNAME, strings);
    replace(lua);
    open_os(lua);
    lua_pushcfunction(lua, print);
    lua_setglobal(lua, "print");
    deny_some(lua);
    seed(lua);
    seal_texts(lua);
}
