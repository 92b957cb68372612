/* SPDX-License-Identifier: Apache-2.0
 *
 * What a script sees of a request and of its answer: two objects that are empty once the request is
 * over. A script changes fields by the same rules as the headers filter, so that no message can
 * break; texts that it sets are copied into the exchange's arena, of which some is kept back.
 */
#include <string.h>

#include <luajit-2.1/lauxlib.h>

#include "base/arena.h"
#include "edge/filter/lua_visit.h"
#include "edge/shape/header_rule.h"

enum { ARENA_RESERVE = 24 * 1024, REPLY_FIELDS_MAX = 64, STATUS_MIN = 200, STATUS_MAX = 599 };

static const char request_type[] = "sluice.request", response_type[] = "sluice.response";

struct lua_handle {
    struct visit *visit; /* NULL: it is over */
    bool is_response, may_change;
};

enum property {
    NO_PROPERTY,
    METHOD,
    PATH,
    QUERY,
    HOST,
    SCHEME,
    CLIENT,
    ROUTE,
    ID,
    CONSUMER,
    TIER,
    COUNTRY,
    CLAIMS,
    ASN,
    CONTEXT,
    STATUS,
    IS_OWN
};

/* --- handles */

static struct lua_handle *handle_of(lua_State *lua, int i)
{
    struct lua_handle *handle = lua_touserdata(lua, i);

    if (!handle || !lua_getmetatable(lua, i))
        luaL_argerror(lua, i, "a request or an answer is expected");
    lua_getfield(lua, LUA_REGISTRYINDEX, request_type);
    lua_getfield(lua, LUA_REGISTRYINDEX, response_type);
    if (!lua_rawequal(lua, -3, -2) && !lua_rawequal(lua, -3, -1))
        luaL_argerror(lua, i, "a request or an answer is expected");
    lua_pop(lua, 3);
    if (!handle->visit)
        luaL_error(lua, "the request is over");
    return handle;
}

struct visit *lua_object_visit(lua_State *lua)
{
    struct lua_handle *handle = luaL_checkudata(lua, 1, request_type);

    if (!handle->visit)
        luaL_error(lua, "the request is over");
    return handle->visit;
}

static struct head *head_of(const struct lua_handle *handle)
{
    return handle->is_response ? handle->visit->response : handle->visit->request;
}

struct str lua_object_keep(lua_State *lua, struct visit *visit, struct str text)
{
    const struct arena *arena = visit->arena;
    struct str copy = STR_NONE;

    if (!arena->limit || text.len + ARENA_RESERVE <= arena->limit - arena->used)
        copy = arena_copy(visit->arena, text);
    if (!copy.p)
        luaL_error(lua, "the request has no room for more text");
    return copy;
}

/* --- fields */

static int get_header(lua_State *lua)
{
    const struct lua_handle *handle = handle_of(lua, 1);

    script_push(lua, head_value_name(head_of(handle), script_text(lua, 2)));
    return 1;
}

/* Lower-case; one that is longer is cut. */
static void push_name(lua_State *lua, const struct header *header)
{
    char name[256];
    size_t len = header->name_len < sizeof(name) ? header->name_len : sizeof(name);

    for (size_t i = 0; i < len; i++) {
        char c = header->name[i];

        name[i] = c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
    }
    lua_pushlstring(lua, name, len);
}

void lua_object_push_headers(lua_State *lua, const struct head *head)
{
    lua_createtable(lua, 0, head->count);
    for (unsigned i = 0; i < head->count; i++) {
        const struct header *header = &head->headers[i];

        push_name(lua, header);
        lua_pushvalue(lua, -1);
        lua_rawget(lua, -3);
        if (lua_isnil(lua, -1)) {
            lua_pop(lua, 1);
            lua_pushlstring(lua, header->value, header->value_len);
        } else {
            lua_pushliteral(lua, ", ");
            lua_pushlstring(lua, header->value, header->value_len);
            lua_concat(lua, 3);
        }
        lua_rawset(lua, -3);
    }
}

static int get_headers(lua_State *lua)
{
    lua_object_push_headers(lua, head_of(handle_of(lua, 1)));
    return 1;
}

static struct str check_name(lua_State *lua, int i)
{
    struct str name = script_text(lua, i);

    if (!header_rule_is_name(name))
        luaL_argerror(lua, i, "it is not a field name");
    if (header_rule_is_ours(name))
        luaL_argerror(lua, i, "this field is the gateway's own to set");
    return name;
}

static struct str check_value(lua_State *lua, int i)
{
    struct str value = script_text(lua, i);

    if (!header_rule_is_value(value))
        luaL_argerror(lua, i, "the value has a control character");
    return value;
}

static struct lua_handle *changeable(lua_State *lua)
{
    struct lua_handle *handle = handle_of(lua, 1);

    if (!handle->may_change)
        luaL_error(lua, handle->is_response ? "an answer can be changed in on_response alone"
                                            : "a request can be changed in on_request alone");
    return handle;
}

typedef enum status head_change(struct head *head, struct arena *arena, struct str name,
                                struct str value);

static int change(lua_State *lua, head_change *how)
{
    struct lua_handle *handle = changeable(lua);
    struct str name = check_name(lua, 2), value = check_value(lua, 3);
    struct visit *visit = handle->visit;

    name = lua_object_keep(lua, visit, name);
    value = lua_object_keep(lua, visit, value);
    if (how(head_of(handle), visit->arena, name, value))
        luaL_error(lua, "the head has no room for more fields");
    return 0;
}

static int set_header(lua_State *lua)
{
    if (!lua_isnoneornil(lua, 3))
        return change(lua, head_set);
    head_remove_name(head_of(changeable(lua)), check_name(lua, 2));
    return 0;
}

static int add_header(lua_State *lua)
{
    return change(lua, head_add);
}

static int remove_header(lua_State *lua)
{
    head_remove_name(head_of(changeable(lua)), check_name(lua, 2));
    return 0;
}

/* --- what hides in fields and in the query */

static struct str trim(const char *from, const char *to)
{
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (from < to && (to[-1] == ' ' || to[-1] == '\t'))
        to--;
    return (struct str){from, (size_t)(to - from)};
}

/* The value of `name` in "a=b; c=d"; absent: there is none. */
static struct str find_pair(struct str list, char separator, struct str name)
{
    const char *at = list.p, *end = list.p + list.len;

    while (at && at < end) {
        const char *stop = memchr(at, separator, (size_t)(end - at));
        struct str pair = trim(at, stop ? stop : end);

        if (pair.len > name.len && pair.p[name.len] == '=' && !memcmp(pair.p, name.p, name.len))
            return (struct str){pair.p + name.len + 1, pair.len - name.len - 1};
        at = stop ? stop + 1 : NULL;
    }
    return STR_NONE;
}

/* RFC 6265 5.4: cookies come in one field, over HTTP/2 in several. */
static int get_cookie(lua_State *lua)
{
    const struct head *head = lua_object_visit(lua)->request;
    struct str name = script_text(lua, 2), value = STR_NONE;

    for (unsigned i = 0; i < head->count && !value.p; i++) {
        const struct header *header = &head->headers[i];

        if (header->name_len == 6 && !strncasecmp(header->name, "cookie", 6))
            value = find_pair((struct str){header->value, header->value_len}, ';', name);
    }
    script_push(lua, value);
    return 1;
}

static int hex_of(char c)
{
    char lower = (char)(c | 0x20);

    if (c >= '0' && c <= '9')
        return c - '0';
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/* A parameter of the query by its name as written, its value decoded. */
static int get_arg(lua_State *lua)
{
    struct str query = lua_object_visit(lua)->request->query, name = script_text(lua, 2);
    struct str value = query.p ? find_pair(query, '&', name) : STR_NONE;
    luaL_Buffer out;

    if (!value.p) {
        lua_pushnil(lua);
        return 1;
    }
    luaL_buffinit(lua, &out);
    for (size_t i = 0; i < value.len; i++) {
        char c = value.p[i];

        if (c == '%' && i + 2 < value.len && hex_of(value.p[i + 1]) >= 0 &&
            hex_of(value.p[i + 2]) >= 0) {
            c = (char)(hex_of(value.p[i + 1]) << 4 | hex_of(value.p[i + 2]));
            i += 2;
        } else if (c == '+') {
            c = ' ';
        }
        luaL_addchar(&out, c);
    }
    luaL_pushresult(&out);
    return 1;
}

/* --- an answer of the script's own */

static void keep_field(lua_State *lua, struct visit *visit, struct lua_fields *fields)
{
    struct str name, value;

    if (lua_type(lua, -2) != LUA_TSTRING)
        luaL_error(lua, "a field name is a text");
    name = check_name(lua, lua_gettop(lua) - 1);
    lua_pushvalue(lua, -1); // a number becomes text
    value = lua_object_keep(lua, visit, check_value(lua, lua_gettop(lua)));
    lua_pop(lua, 1);
    if (name.len == 12 && !strncasecmp(name.p, "content-type", 12)) {
        visit->reply.content_type = value;
        return;
    }
    if (fields->count == REPLY_FIELDS_MAX)
        luaL_error(lua, "more than %d fields", REPLY_FIELDS_MAX);
    fields->names[fields->count] = lua_object_keep(lua, visit, name);
    fields->values[fields->count++] = value;
}

static void keep_fields(lua_State *lua, struct visit *visit)
{
    struct lua_state *state = visit->state;
    struct lua_fields *fields = &state->fields;

    fields->count = 0;
    if (lua_isnoneornil(lua, 3))
        return;
    luaL_checktype(lua, 3, LUA_TTABLE);
    if (!fields->names) {
        fields->names = arena_alloc(visit->arena, REPLY_FIELDS_MAX * sizeof(*fields->names));
        fields->values = arena_alloc(visit->arena, REPLY_FIELDS_MAX * sizeof(*fields->values));
    }
    if (!fields->names || !fields->values)
        luaL_error(lua, "the request has no room for fields");
    lua_pushnil(lua);
    while (lua_next(lua, 3)) {
        keep_field(lua, visit, fields);
        lua_pop(lua, 1);
    }
}

/* request:respond(status [, headers [, body]]): what the client gets, and no target is asked. */
static int respond(lua_State *lua)
{
    struct lua_handle *handle = changeable(lua);
    lua_Integer status = luaL_checkinteger(lua, 2);
    struct visit *visit = handle->visit;
    struct lua_state *state;
    struct str body = STR("");

    if (handle->is_response)
        return luaL_argerror(lua, 1, "an answer cannot respond");
    if (status < STATUS_MIN || status > STATUS_MAX)
        return luaL_argerror(lua, 2, "a status is 200 to 599");
    if (!lua_isnoneornil(lua, 4))
        body = script_text(lua, 4);
    lua_settop(lua, 4);
    state = visit->state;
    visit->reply = (struct visit_reply){.status = (uint16_t)status,
                                        .content_type = STR("text/plain; charset=utf-8")};
    keep_fields(lua, visit);
    if (status != 204 && status != 205 && status != 304) // RFC 9110 15.3.5, 15.3.6, 15.4.5
        visit->reply.body = lua_object_keep(lua, visit, body);
    if (!visit->reply.body.len)
        visit->reply.content_type = STR_NONE;
    state->replies = true;
    return 0;
}

/* --- properties */

static int push_context(lua_State *lua, struct lua_state *state)
{
    if (!state->context_ref) {
        lua_newtable(lua);
        state->context_ref = luaL_ref(lua, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(lua, LUA_REGISTRYINDEX, state->context_ref);
    return 1;
}

static struct str text_property(const struct visit *visit, enum property which)
{
    const struct head *request = visit->request;

    switch (which) {
    case METHOD:
        return request->method_name;
    case PATH:
        return request->path;
    case QUERY:
        return request->query;
    case HOST:
        return request->authority;
    case SCHEME:
        return visit->caller->scheme;
    case CLIENT:
        return visit->caller->text;
    case ROUTE:
        return visit->route;
    case ID:
        return visit->id;
    case CONSUMER:
        return visit->vars->consumer;
    case TIER:
        return visit->vars->tier;
    case COUNTRY:
        return visit->vars->country;
    case CLAIMS:
        return visit->vars->claims;
    default:
        return STR_NONE;
    }
}

static int push_property(lua_State *lua, const struct lua_handle *handle, enum property which)
{
    const struct visit *visit = handle->visit;

    switch (which) {
    case STATUS:
        lua_pushinteger(lua, visit->response ? visit->response->status : 0);
        return 1;
    case IS_OWN:
        lua_pushboolean(lua, visit->is_own);
        return 1;
    case ASN:
        if (!visit->vars->asn)
            return 0;
        lua_pushnumber(lua, visit->vars->asn);
        return 1;
    case CONTEXT:
        return push_context(lua, visit->state);
    default:
        script_push(lua, text_property(visit, which));
        return 1;
    }
}

/* Upvalue 1 has functions, and the numbers of properties. */
static int index_object(lua_State *lua)
{
    const struct lua_handle *handle;

    lua_settop(lua, 2);
    lua_pushvalue(lua, 2);
    lua_rawget(lua, lua_upvalueindex(1));
    if (lua_type(lua, -1) != LUA_TNUMBER)
        return 1;
    handle = handle_of(lua, 1);
    return push_property(lua, handle, (enum property)lua_tointeger(lua, -1));
}

static int refuse_change(lua_State *lua)
{
    return luaL_error(lua, "requests and answers are changed by their functions; what is to be "
                           "remembered goes into request.context");
}

/* --- furnishing */

struct named {
    const char *name;
    enum property property;
};

static void furnish(lua_State *lua, const char *type, const luaL_Reg *functions,
                    const struct named *properties)
{
    luaL_newmetatable(lua, type);
    lua_newtable(lua);
    luaL_setfuncs(lua, functions, 0);
    for (; properties->name; properties++) {
        lua_pushinteger(lua, (lua_Integer)properties->property);
        lua_setfield(lua, -2, properties->name);
    }
    lua_pushcclosure(lua, index_object, 1);
    lua_setfield(lua, -2, "__index");
    lua_pushcfunction(lua, refuse_change);
    lua_setfield(lua, -2, "__newindex");
    lua_pushstring(lua, type);
    lua_setfield(lua, -2, "__metatable");
    lua_pop(lua, 1);
}

void lua_object_furnish(lua_State *lua)
{
    static const luaL_Reg of_request[] = {{"header", get_header},
                                          {"headers", get_headers},
                                          {"set_header", set_header},
                                          {"add_header", add_header},
                                          {"remove_header", remove_header},
                                          {"cookie", get_cookie},
                                          {"arg", get_arg},
                                          {"respond", respond},
                                          {"fetch", lua_fetch},
                                          {NULL, NULL}};
    static const luaL_Reg of_response[] = {
        {"header", get_header},     {"headers", get_headers},         {"set_header", set_header},
        {"add_header", add_header}, {"remove_header", remove_header}, {NULL, NULL}};
    static const struct named request_properties[] = {
        {"method", METHOD},     {"path", PATH},       {"query", QUERY},     {"host", HOST},
        {"scheme", SCHEME},     {"client", CLIENT},   {"route", ROUTE},     {"id", ID},
        {"consumer", CONSUMER}, {"tier", TIER},       {"country", COUNTRY}, {"claims", CLAIMS},
        {"asn", ASN},           {"context", CONTEXT}, {NULL, NO_PROPERTY}};
    static const struct named response_properties[] = {{"status", STATUS},
                                                       {"is_own", IS_OWN},
                                                       {NULL, NO_PROPERTY}};

    furnish(lua, request_type, of_request, request_properties);
    furnish(lua, response_type, of_response, response_properties);
}

/* --- for the filter */

static void push_handle(lua_State *lua, struct lua_handle **handle, int *ref,
                        const struct lua_handle *as)
{
    if (!*handle) {
        struct lua_handle *fresh = lua_newuserdata(lua, sizeof(*fresh));

        *fresh = *as;
        luaL_setmetatable(lua, as->is_response ? response_type : request_type);
        *ref = luaL_ref(lua, LUA_REGISTRYINDEX);
        *handle = fresh;
    }
    lua_rawgeti(lua, LUA_REGISTRYINDEX, *ref);
}

void lua_object_push_request(lua_State *lua, struct visit *visit)
{
    struct lua_state *state = visit->state;
    const struct lua_handle as = {.visit = visit};

    push_handle(lua, &state->request, &state->request_ref, &as);
}

void lua_object_push_response(lua_State *lua, struct visit *visit)
{
    struct lua_state *state = visit->state;
    const struct lua_handle as = {.visit = visit, .is_response = true};

    if (visit->response)
        push_handle(lua, &state->response, &state->response_ref, &as);
    else
        lua_pushnil(lua);
}

void lua_object_allow(struct lua_state *state, bool request, bool response)
{
    if (state->request)
        state->request->may_change = request;
    if (state->response)
        state->response->may_change = response;
}

static void forget(struct lua_state *state, struct lua_handle **handle, int *ref)
{
    if (*handle)
        (*handle)->visit = NULL;
    if (*ref)
        luaL_unref(state->script->lua, LUA_REGISTRYINDEX, *ref);
    *handle = NULL;
    *ref = 0;
}

void lua_object_forget(struct lua_state *state)
{
    struct lua_handle *none = NULL;

    forget(state, &state->request, &state->request_ref);
    forget(state, &state->response, &state->response_ref);
    forget(state, &none, &state->context_ref);
}
