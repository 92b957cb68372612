/* SPDX-License-Identifier: Apache-2.0
 *
 * sluice.sha256, hmac_sha256, base64, unbase64 and same: what it takes to check a signature and to
 * make one. Digests are raw bytes in lower-case hexadecimal.
 */
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "edge/script/script_impl.h"

#include "base/text.h"

enum { TEXT_MAX = 512 * 1024 };

static struct str bounded(lua_State *lua, int i)
{
    struct str text = script_text(lua, i);

    if (text.len > TEXT_MAX)
        luaL_argerror(lua, i, "the text is longer than 512 KiB");
    return text;
}

static int push_hex(lua_State *lua, const unsigned char *bytes, unsigned count)
{
    char text[2 * EVP_MAX_MD_SIZE];

    text_hex_bytes(text, bytes, count);
    lua_pushlstring(lua, text, 2 * (size_t)count);
    return 1;
}

static int sha256(lua_State *lua)
{
    struct str text = bounded(lua, 1);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;

    if (EVP_Digest(text.p, text.len, bytes, &count, EVP_sha256(), NULL) != 1)
        return luaL_error(lua, "the digest failed");
    return push_hex(lua, bytes, count);
}

/* hmac_sha256(key, text), RFC 2104 */
static int hmac_sha256(lua_State *lua)
{
    struct str key = bounded(lua, 1), text = bounded(lua, 2);
    unsigned char bytes[EVP_MAX_MD_SIZE];
    unsigned count = 0;

    if (!HMAC(EVP_sha256(), key.p, (int)key.len, (const unsigned char *)text.p, text.len, bytes,
              &count))
        return luaL_error(lua, "the digest failed");
    return push_hex(lua, bytes, count);
}

/* In the same time wherever they differ; a comparison with == says by its time how far they agree.
 */
static int same(lua_State *lua)
{
    struct str a = bounded(lua, 1), b = bounded(lua, 2);

    lua_pushboolean(lua, a.len == b.len && CRYPTO_memcmp(a.p, b.p, a.len) == 0);
    return 1;
}

static int base64(lua_State *lua)
{
    struct str text = bounded(lua, 1);
    unsigned char *out = lua_newuserdata(lua, (text.len + 2) / 3 * 4 + 1);
    int len = EVP_EncodeBlock(out, (const unsigned char *)text.p, (int)text.len);

    lua_pushlstring(lua, (const char *)out, (size_t)len);
    return 1;
}

static bool is_alphabet(char c)
{
    return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || c == '+' ||
           c == '/';
}

/* RFC 4648 section 4, with its padding. */
static bool is_base64(struct str text, size_t padding)
{
    for (size_t i = 0; i < text.len - padding; i++)
        if (!is_alphabet(text.p[i]))
            return false;
    return text.len % 4 == 0;
}

/* The bytes; nil when it is not that. */
static int unbase64(lua_State *lua)
{
    struct str text = bounded(lua, 1);
    unsigned char *out = lua_newuserdata(lua, text.len / 4 * 3 + 1);
    size_t padding = 0;

    while (padding < 2 && padding < text.len && text.p[text.len - 1 - padding] == '=')
        padding++;
    if (is_base64(text, padding) &&
        EVP_DecodeBlock(out, (const unsigned char *)text.p, (int)text.len) >= 0)
        lua_pushlstring(lua, (const char *)out, text.len / 4 * 3 - padding);
    else
        lua_pushnil(lua);
    return 1;
}

void script_open_digests(lua_State *lua)
{
    static const luaL_Reg functions[] = {{"base64", base64},     {"hmac_sha256", hmac_sha256},
                                         {"same", same},         {"sha256", sha256},
                                         {"unbase64", unbase64}, {NULL, NULL}};

    luaL_setfuncs(lua, functions, 0);
}
