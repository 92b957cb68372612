/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice.shared(name): a dictionary that all workers see, with get, set, add, incr and delete.
 * Times to live are seconds. Scripts that say the same name share it.
 */
#include <math.h>

#include "base/clock.h"
#include "base/text.h"
#include "edge/script/dict.h"
#include "edge/script/script_impl.h"

enum { NAME_MAX_LEN = 64 };

static const char type_name[] = "sluice.shared";

struct shared {
    size_t len;
    char name[NAME_MAX_LEN + 1]; /* with a NUL that ends it also in the key */
};

struct key {
    struct str text;
    char bytes[DICT_KEY_MAX];
};

static struct dict_store *store_of(lua_State *lua)
{
    return script_of(lua)->source.dicts;
}

static uint64_t now_ms(void)
{
    return clock_us() / 1000;
}

static void get_key(lua_State *lua, struct key *key)
{
    const struct shared *shared = luaL_checkudata(lua, 1, type_name);
    struct str name = script_text(lua, 2);
    char *at = key->bytes;

    if (name.len > sizeof(key->bytes) - shared->len)
        luaL_argerror(lua, 2, "the key is too long");
    at = text_put(at, (struct str){shared->name, shared->len});
    at = text_put(at, name);
    key->text = (struct str){key->bytes, (size_t)(at - key->bytes)};
}

/* Seconds, as milliseconds; none: 0. */
static uint64_t get_ttl(lua_State *lua, int i)
{
    lua_Number seconds = luaL_optnumber(lua, i, 0);

    if (!(seconds >= 0 && seconds < 1e9))
        luaL_argerror(lua, i, "no such time");
    return seconds > 0 && seconds < 0.001 ? 1 : (uint64_t)(seconds * 1000);
}

static int get(lua_State *lua)
{
    char room[DICT_VALUE_MAX];
    struct dict_value value;
    struct key key;

    get_key(lua, &key);
    if (dict_get(store_of(lua), key.text, now_ms(), room, &value))
        lua_pushnil(lua);
    else if (value.is_number)
        lua_pushnumber(lua, value.number);
    else
        script_push(lua, value.text);
    return 1;
}

static bool write(lua_State *lua, bool only_new)
{
    struct key key;
    struct dict_write ask = {.now_ms = now_ms(), .only_new = only_new};
    enum status status;

    get_key(lua, &key);
    ask.key = key.text;
    ask.ttl_ms = get_ttl(lua, 4);
    ask.value.is_number = lua_type(lua, 3) == LUA_TNUMBER;
    if (ask.value.is_number)
        ask.value.number = lua_tonumber(lua, 3);
    else
        ask.value.text = script_text(lua, 3);
    status = dict_set(store_of(lua), &ask);
    if (status && status != E_CONFLICT)
        luaL_error(lua, status == E_INVALID ? "the value is too long" : "there is no memory");
    return status == OK;
}

/* set(key, value [, ttl]): nil removes. */
static int set(lua_State *lua)
{
    struct key key;

    if (!lua_isnoneornil(lua, 3)) {
        write(lua, false);
        return 0;
    }
    get_key(lua, &key);
    dict_remove(store_of(lua), key.text, now_ms());
    return 0;
}

/* add(key, value [, ttl]): only where there is none; whether it was added. */
static int add(lua_State *lua)
{
    luaL_checkany(lua, 3);
    lua_pushboolean(lua, write(lua, true));
    return 1;
}

/* incr(key [, by [, ttl]]): the sum. The time to live is set by the first. */
static int incr(lua_State *lua)
{
    struct key key;
    struct dict_write ask = {.now_ms = now_ms(), .value = {.is_number = true}};
    enum status status;
    double sum = 0;

    get_key(lua, &key);
    ask.key = key.text;
    ask.value.number = luaL_optnumber(lua, 3, 1);
    ask.ttl_ms = get_ttl(lua, 4);
    if (!isfinite(ask.value.number))
        return luaL_argerror(lua, 3, "no such number");
    status = dict_add(store_of(lua), &ask, &sum);
    if (status)
        return luaL_error(lua, status == E_CONFLICT ? "the value is a text" : "there is no memory");
    lua_pushnumber(lua, sum);
    return 1;
}

static int delete (lua_State *lua)
{
    struct key key;

    get_key(lua, &key);
    lua_pushboolean(lua, dict_remove(store_of(lua), key.text, now_ms()));
    return 1;
}

static int open_shared(lua_State *lua)
{
    struct str name = script_text(lua, 1);
    struct shared *shared;
    char *end;

    if (!store_of(lua))
        return luaL_error(lua, "there are no shared dictionaries here");
    if (!name.len || name.len > NAME_MAX_LEN || memchr(name.p, 0, name.len))
        return luaL_argerror(lua, 1, "a name has 1 to 64 bytes, none of them NUL");
    shared = lua_newuserdata(lua, sizeof(*shared));
    end = text_put(shared->name, name);
    *end = 0;
    shared->len = name.len + 1;
    luaL_setmetatable(lua, type_name);
    return 1;
}

void script_open_dicts(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"add", add},   {"delete", delete}, {"get", get},
                                         {"incr", incr}, {"set", set},       {NULL, NULL}};

    luaL_newmetatable(lua, type_name);
    lua_newtable(lua);
    luaL_setfuncs(lua, functions, 0);
    lua_setfield(lua, -2, "__index");
    lua_pushliteral(lua, "shared");
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
    lua_pushcfunction(lua, open_shared);
    lua_setfield(lua, -2, "shared");
}
