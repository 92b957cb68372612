/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice.json: decode(text) and encode(value), RFC 8259 in both directions, right between text and
 * the script's memory so that its limits hold. Numbers are doubles, null is sluice.null, and an
 * array that was decoded is one again when it is encoded, also when it is empty.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "edge/script/script_impl.h"

enum {
    DEPTH_MAX = 64,
    NUMBER_MAX = 64,  /* bytes */
    SPEND_EVERY = 256 /* values between two looks at the clock */
};

static const char array_name[] = "sluice.array";

struct reader {
    lua_State *lua;
    const char *start, *at, *end;
    unsigned depth, values;
};

static void read_value(struct reader *r);

static void fail(const struct reader *r, const char *why)
{
    lua_pushfstring(r->lua, "%s at byte %d", why, (int)(r->at - r->start) + 1);
    lua_error(r->lua);
}

static char peek(const struct reader *r)
{
    return r->at < r->end ? *r->at : 0;
}

static void skip_space(struct reader *r)
{
    while (r->at < r->end && (*r->at == ' ' || *r->at == '\t' || *r->at == '\n' || *r->at == '\r'))
        r->at++;
}

static bool take(struct reader *r, char c)
{
    skip_space(r);
    if (peek(r) != c || r->at >= r->end)
        return false;
    r->at++;
    return true;
}

static void take_word(struct reader *r, struct str word)
{
    if ((size_t)(r->end - r->at) < word.len || memcmp(r->at, word.p, word.len) != 0)
        fail(r, "there is no value");
    r->at += word.len;
}

/* --- numbers */

static void take_digits(struct reader *r)
{
    const char *from = r->at;

    while (peek(r) >= '0' && peek(r) <= '9')
        r->at++;
    if (r->at == from)
        fail(r, "a digit is missing");
}

static void read_number(struct reader *r)
{
    const char *from = r->at;
    char text[NUMBER_MAX + 1];
    size_t len;

    r->at += peek(r) == '-';
    if (peek(r) == '0')
        r->at++;
    else
        take_digits(r);
    if (peek(r) == '.') {
        r->at++;
        take_digits(r);
    }
    if ((peek(r) | 0x20) == 'e') {
        r->at++;
        r->at += peek(r) == '+' || peek(r) == '-';
        take_digits(r);
    }
    len = (size_t)(r->at - from);
    if (len > NUMBER_MAX)
        fail(r, "a number is too long");
    memcpy(text, from, len);
    text[len] = 0;
    lua_pushnumber(r->lua, strtod(text, NULL));
    if (!isfinite(lua_tonumber(r->lua, -1)))
        fail(r, "a number is too large");
}

/* --- texts */

static unsigned read_hex(struct reader *r)
{
    unsigned value = 0;

    for (int i = 0; i < 4; i++) {
        char c = peek(r), lower = (char)(c | 0x20);

        if (c >= '0' && c <= '9')
            value = value * 16 + (unsigned)(c - '0');
        else if (lower >= 'a' && lower <= 'f')
            value = value * 16 + (unsigned)(lower - 'a' + 10);
        else
            fail(r, "an escape is malformed");
        r->at++;
    }
    return value;
}

static void add_utf8(luaL_Buffer *out, unsigned code)
{
    if (code < 0x80) {
        luaL_addchar(out, (char)code);
        return;
    }
    if (code < 0x800) {
        luaL_addchar(out, (char)(0xc0 | code >> 6));
    } else if (code < 0x10000) {
        luaL_addchar(out, (char)(0xe0 | code >> 12));
        luaL_addchar(out, (char)(0x80 | (code >> 6 & 0x3f)));
    } else {
        luaL_addchar(out, (char)(0xf0 | code >> 18));
        luaL_addchar(out, (char)(0x80 | (code >> 12 & 0x3f)));
        luaL_addchar(out, (char)(0x80 | (code >> 6 & 0x3f)));
    }
    luaL_addchar(out, (char)(0x80 | (code & 0x3f)));
}

/* RFC 8259 section 7: outside the basic plane there are two, and one alone is no character. */
static void read_unicode(struct reader *r, luaL_Buffer *out)
{
    unsigned code = read_hex(r), low;

    if (code >= 0xdc00 && code <= 0xdfff)
        fail(r, "a surrogate stands alone");
    if (code >= 0xd800 && code <= 0xdbff) {
        if (r->end - r->at < 2 || r->at[0] != '\\' || r->at[1] != 'u')
            fail(r, "a surrogate stands alone");
        r->at += 2;
        low = read_hex(r);
        if (low < 0xdc00 || low > 0xdfff)
            fail(r, "a surrogate stands alone");
        code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
    }
    add_utf8(out, code);
}

static void read_escape(struct reader *r, luaL_Buffer *out)
{
    static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
    char c = peek(r);
    const char *name = c ? strchr(names, c) : NULL;

    if (c == 'u') {
        r->at++;
        read_unicode(r, out);
        return;
    }
    if (!name)
        fail(r, "an escape is malformed");
    else
        luaL_addchar(out, meanings[name - names]);
    r->at++;
}

/* How many bytes at `at` stand for themselves. */
static size_t plain_run(const struct reader *r)
{
    const char *at = r->at;

    while (at < r->end && *at != '"' && *at != '\\' && (unsigned char)*at >= 0x20) {
        size_t len = text_utf8((struct str){at, (size_t)(r->end - at)});

        if (!len)
            fail(r, "a text is not UTF-8");
        at += len;
    }
    return (size_t)(at - r->at);
}

static void read_text(struct reader *r)
{
    luaL_Buffer out;
    size_t run;

    r->at++;
    run = plain_run(r);
    if (r->at + run < r->end && r->at[run] == '"') { // most have no escapes
        lua_pushlstring(r->lua, r->at, run);
        r->at += run + 1;
        return;
    }
    luaL_buffinit(r->lua, &out);
    for (;;) {
        run = plain_run(r);
        luaL_addlstring(&out, r->at, run);
        r->at += run;
        if (peek(r) == '"' || peek(r) != '\\')
            break;
        r->at++;
        read_escape(r, &out);
    }
    if (peek(r) != '"')
        fail(r, "a text does not end");
    r->at++;
    luaL_pushresult(&out);
}

/* --- arrays and objects */

static void enter(struct reader *r)
{
    r->at++;
    if (++r->depth > DEPTH_MAX)
        fail(r, "it is nested too deep");
    luaL_checkstack(r->lua, 8, "nested too deep");
    lua_newtable(r->lua);
}

static void mark_array(lua_State *lua)
{
    lua_getfield(lua, LUA_REGISTRYINDEX, array_name);
    lua_setmetatable(lua, -2);
}

static void read_array(struct reader *r)
{
    int count = 0;

    enter(r);
    mark_array(r->lua);
    while (!take(r, ']')) {
        if (count && !take(r, ','))
            fail(r, "',' or ']' is missing");
        read_value(r);
        lua_rawseti(r->lua, -2, ++count);
    }
    r->depth--;
}

/* Names that come twice would mean one thing here and another at the target. */
static void check_name(struct reader *r)
{
    lua_pushvalue(r->lua, -1);
    lua_rawget(r->lua, -3);
    if (!lua_isnil(r->lua, -1))
        fail(r, "a name comes twice");
    lua_pop(r->lua, 1);
}

static void read_object(struct reader *r)
{
    bool has_some = false;

    enter(r);
    while (!take(r, '}')) {
        if (has_some && !take(r, ','))
            fail(r, "',' or '}' is missing");
        skip_space(r);
        if (peek(r) != '"')
            fail(r, "a name is missing");
        read_text(r);
        check_name(r);
        if (!take(r, ':'))
            fail(r, "':' is missing");
        read_value(r);
        lua_rawset(r->lua, -3);
        has_some = true;
    }
    r->depth--;
}

static void read_value(struct reader *r)
{
    if (++r->values % SPEND_EVERY == 0)
        script_spend(r->lua);
    skip_space(r);
    switch (peek(r)) {
    case '{':
        read_object(r);
        return;
    case '[':
        read_array(r);
        return;
    case '"':
        read_text(r);
        return;
    case 't':
        take_word(r, STR("true"));
        lua_pushboolean(r->lua, 1);
        return;
    case 'f':
        take_word(r, STR("false"));
        lua_pushboolean(r->lua, 0);
        return;
    case 'n':
        take_word(r, STR("null"));
        lua_pushlightuserdata(r->lua, NULL);
        return;
    default:
        if (peek(r) != '-' && (peek(r) < '0' || peek(r) > '9'))
            fail(r, "there is no value");
        read_number(r);
    }
}

static int read_all(lua_State *lua)
{
    struct str text = script_text(lua, 1);
    struct reader r = {.lua = lua, .start = text.p, .at = text.p, .end = text.p + text.len};

    read_value(&r);
    skip_space(&r);
    if (r.at < r.end)
        fail(&r, "something follows");
    return 1;
}

/* decode(text): the value; or nil and what is wrong with the text. */
static int decode(lua_State *lua)
{
    script_text(lua, 1);
    lua_settop(lua, 1);
    lua_pushcfunction(lua, read_all);
    lua_insert(lua, 1);
    if (!lua_pcall(lua, 1, 1, 0))
        return 1;
    script_spend(lua); // the end of time or memory is no matter of the text
    lua_pushnil(lua);
    lua_insert(lua, -2);
    return 2;
}

/* --- encode: the text grows in a userdata at a place of its own on the stack */

enum { WRITER_AT = 2, WRITER_FIRST = 256 };

struct writer {
    lua_State *lua;
    char *p;
    size_t len, size;
    unsigned depth, values;
};

static void write_value(struct writer *w);

/* Room for `n` more bytes. */
static char *room(struct writer *w, size_t n)
{
    size_t size = w->size ? w->size : WRITER_FIRST;
    char *fresh;

    if (n > SCRIPT_OBJECT_MAX)
        luaL_error(w->lua, "the text is too long");
    while (size - w->len < n)
        size *= 2;
    if (size > w->size) {
        fresh = lua_newuserdata(w->lua, size);
        if (w->len)
            memcpy(fresh, w->p, w->len);
        lua_replace(w->lua, WRITER_AT);
        w->p = fresh;
        w->size = size;
    }
    return w->p + w->len;
}

static void put(struct writer *w, struct str text)
{
    text_put(room(w, text.len), text);
    w->len += text.len;
}

static void write_text(struct writer *w, struct str text)
{
    char *out = room(w, text.len * TEXT_JSON_FACTOR + 2), *at = out;

    *at++ = '"';
    at = text_json(at, text);
    *at++ = '"';
    w->len += (size_t)(at - out);
}

static void write_number(struct writer *w, double number)
{
    char text[40];
    int len = snprintf(text, sizeof(text), "%.14g", number);

    if (!isfinite(number))
        luaL_error(w->lua, "a number is not finite");
    if (strtod(text, NULL) < number || strtod(text, NULL) > number)
        len = snprintf(text, sizeof(text), "%.17g", number);
    put(w, (struct str){text, (size_t)len});
}

static bool is_array(lua_State *lua)
{
    bool is_marked = false;

    if (lua_objlen(lua, -1))
        return true;
    if (lua_getmetatable(lua, -1)) {
        lua_getfield(lua, LUA_REGISTRYINDEX, array_name);
        is_marked = lua_rawequal(lua, -1, -2);
        lua_pop(lua, 2);
    }
    return is_marked;
}

static void write_array(struct writer *w)
{
    size_t count = lua_objlen(w->lua, -1);

    put(w, STR("["));
    for (size_t i = 1; i <= count; i++) {
        if (i > 1)
            put(w, STR(","));
        lua_rawgeti(w->lua, -1, (int)i);
        write_value(w);
        lua_pop(w->lua, 1);
    }
    put(w, STR("]"));
}

static void write_name(struct writer *w)
{
    if (lua_type(w->lua, -1) == LUA_TSTRING)
        write_text(w, script_text(w->lua, -1));
    else
        luaL_error(w->lua, "a name is no text but a %s", luaL_typename(w->lua, -1));
}

static void write_object(struct writer *w)
{
    bool has_some = false;

    put(w, STR("{"));
    lua_pushnil(w->lua);
    while (lua_next(w->lua, -2)) {
        if (has_some)
            put(w, STR(","));
        has_some = true;
        lua_pushvalue(w->lua, -2);
        write_name(w);
        lua_pop(w->lua, 1);
        put(w, STR(":"));
        write_value(w);
        lua_pop(w->lua, 1);
    }
    put(w, STR("}"));
}

static void write_table(struct writer *w)
{
    if (++w->depth > DEPTH_MAX)
        luaL_error(w->lua, "it is nested too deep, or in itself");
    luaL_checkstack(w->lua, 8, "nested too deep");
    if (is_array(w->lua))
        write_array(w);
    else
        write_object(w);
    w->depth--;
}

/* The value on top, which stays. */
static void write_value(struct writer *w)
{
    if (++w->values % SPEND_EVERY == 0)
        script_spend(w->lua);
    switch (lua_type(w->lua, -1)) {
    case LUA_TTABLE:
        write_table(w);
        return;
    case LUA_TSTRING:
        write_text(w, script_text(w->lua, -1));
        return;
    case LUA_TNUMBER:
        write_number(w, lua_tonumber(w->lua, -1));
        return;
    case LUA_TBOOLEAN:
        put(w, lua_toboolean(w->lua, -1) ? STR("true") : STR("false"));
        return;
    case LUA_TLIGHTUSERDATA:
        if (!lua_touserdata(w->lua, -1)) {
            put(w, STR("null"));
            return;
        }
        break;
    default:
        break;
    }
    luaL_error(w->lua, "a %s has no form in JSON", luaL_typename(w->lua, -1));
}

static int encode(lua_State *lua)
{
    struct writer w = {.lua = lua};

    luaL_checkany(lua, 1);
    lua_settop(lua, 1);
    lua_pushnil(lua); // its place: WRITER_AT
    lua_pushvalue(lua, 1);
    write_value(&w);
    lua_pushlstring(lua, w.p, w.len);
    return 1;
}

void script_open_json(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"decode", decode}, {"encode", encode}, {NULL, NULL}};

    luaL_newmetatable(lua, array_name);
    lua_pushliteral(lua, "array");
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
    lua_newtable(lua);
    luaL_setfuncs(lua, functions, 0);
    lua_setfield(lua, -2, "json");
    lua_pushlightuserdata(lua, NULL);
    lua_setfield(lua, -2, "null");
}
