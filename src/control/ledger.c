/* SPDX-License-Identifier: Apache-2.0 */
#include "control/ledger.h"

#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

const char *ledger_origin(void)
{
    return "0000000000000000000000000000000000000000000000000000000000000000";
}

static bool has_fraction(const json_t *json)
{
    const char *name;
    json_t *value;
    bool found = json_is_real(json);
    size_t i;

    json_array_foreach(json, i, value) found |= has_fraction(value);
    if (json_is_object(json))
        json_object_foreach((json_t *)(uintptr_t)json, name, value) found |= has_fraction(value);
    return found;
}

/* RFC 8785 3.2.2.2: what is escaped by number has lower-case digits. */
static void lower_escapes(char *text)
{
    for (; *text; text++) {
        if (*text != '\\')
            continue;
        text++;
        for (int i = 1; *text == 'u' && i <= 4 && text[i]; i++)
            if (text[i] >= 'A' && text[i] <= 'F')
                text[i] |= 0x20;
    }
}

char *ledger_canonical(const json_t *json)
{
    char *text = has_fraction(json)
                     ? NULL
                     : json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

    if (text)
        lower_escapes(text);
    return text;
}

/* --- hashes */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *hex, unsigned char bytes[LEDGER_HASH])
{
    if (strlen(hex) != LEDGER_HEX)
        return false;
    for (size_t i = 0; i < LEDGER_HASH; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        bytes[i] = (unsigned char)(high << 4 | low);
    }
    return true;
}

static bool digest(const unsigned char previous[LEDGER_HASH], const char *text,
                   unsigned char out[LEDGER_HASH])
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool is_good = context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) &&
                   EVP_DigestUpdate(context, previous, LEDGER_HASH) &&
                   EVP_DigestUpdate(context, text, strlen(text)) &&
                   EVP_DigestFinal_ex(context, out, NULL);

    EVP_MD_CTX_free(context);
    return is_good;
}

bool ledger_hash(const json_t *entry, const char *previous, char hash[LEDGER_HEX + 1])
{
    json_t *bare = json_copy((json_t *)(uintptr_t)entry);
    unsigned char before[LEDGER_HASH], bytes[LEDGER_HASH];
    char *text = NULL;
    bool is_good = false;

    if (bare) {
        json_object_del(bare, "previous");
        json_object_del(bare, "hash");
        text = ledger_canonical(bare);
    }
    if (text && read_hex(previous, before) && digest(before, text, bytes)) {
        *text_hex_bytes(hash, bytes, LEDGER_HASH) = '\0';
        is_good = true;
    }
    free(text);
    json_decref(bare);
    return is_good;
}

const char *ledger_walk(struct ledger_walk *walk, const json_t *entry)
{
    const char *previous = json_string_value(json_object_get(entry, "previous"));
    const char *told = json_string_value(json_object_get(entry, "hash"));
    json_int_t id = json_integer_value(json_object_get(entry, "id"));
    char hash[LEDGER_HEX + 1];

    if (id != walk->last + 1)
        return id > walk->last ? "entries before it are missing" : "it is not in order";
    if (!previous || strcmp(previous, walk->last ? walk->head : ledger_origin()) != 0)
        return "it does not follow the entry before it";
    if (!told || !ledger_hash(entry, previous, hash) || strcmp(hash, told) != 0)
        return "it is not what was written: its hash is another";
    walk->last = id;
    memcpy(walk->head, hash, sizeof(hash));
    return NULL;
}
