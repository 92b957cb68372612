/* SPDX-License-Identifier: Apache-2.0 */
#include "rest/key_json.h"

#include <string.h>

#include "base/clock.h"
#include "config/units.h"

enum { NAME_MAX_BYTES = 128 };
#define EXPIRES_MAX_MS (UINT64_C(876600) * 3600 * 1000) /* a century */
#define TIME_MAX_MS INT64_C(253402300799999)            /* of the year 9999 */

static struct str text_of(const json_t *json)
{
    return (struct str){json_string_value(json), json_string_length(json)};
}

/* A name that can stand in logs and fields. */
static bool is_name(const json_t *json)
{
    struct str text = text_of(json);

    for (size_t i = 0; i < text.len; i++)
        if ((unsigned char)text.p[i] <= 0x20 || text.p[i] == 0x7f)
            return false;
    return text.len > 0 && text.len <= NAME_MAX_BYTES;
}

static bool is_time(const json_t *json)
{
    return json_is_integer(json) && json_integer_value(json) >= 0 &&
           json_integer_value(json) <= TIME_MAX_MS;
}

/* --- entries */

const char *key_entry_read(const json_t *json, struct key_entry *entry)
{
    const json_t *created = json_object_get(json, "created_ms");
    const json_t *expires = json_object_get(json, "expires_ms");
    const json_t *consumer = json_object_get(json, "consumer");
    const json_t *tier = json_object_get(json, "tier");

    if (!json_is_object(json))
        return "a key is a JSON object";
    if (!api_key_read_hash(text_of(json_object_get(json, "hash")), entry->hash))
        return "\"hash\" is a SHA-256 in 64 hexadecimal digits";
    if (!is_name(consumer) || (tier && !is_name(tier)))
        return "\"consumer\" and \"tier\" are names without spaces, at most 128 bytes";
    if (!is_time(created) || (expires && !is_time(expires)))
        return "\"created_ms\" and \"expires_ms\" are Unix times in milliseconds";
    entry->consumer = text_of(consumer);
    entry->tier = text_of(tier);
    entry->created_ms = (uint64_t)json_integer_value(created);
    entry->expires_ms = expires ? (uint64_t)json_integer_value(expires) : UINT64_MAX;
    return NULL;
}

json_t *key_entry_write(const struct key_entry *entry)
{
    char hash[2 * API_KEY_HASH + 1];
    json_t *json;

    api_key_write_hash(entry->hash, hash);
    json = json_pack("{s:s,s:s%,s:I}", "hash", hash, "consumer", entry->consumer.p,
                     entry->consumer.len, "created_ms", (json_int_t)entry->created_ms);
    if (json && entry->tier.len)
        json_object_set_new(json, "tier", json_stringn(entry->tier.p, entry->tier.len));
    if (json && entry->expires_ms != UINT64_MAX)
        json_object_set_new(json, "expires_ms", json_integer((json_int_t)entry->expires_ms));
    return json;
}

static json_t *date_json(uint64_t ms)
{
    struct clock_date cache = {0};
    struct str text = clock_rfc3339(&cache, ms);

    return json_stringn(text.p, text.len);
}

void key_entry_id(const struct key_entry *entry, char id[API_KEY_ID + 1])
{
    char hash[2 * API_KEY_HASH + 1];

    api_key_write_hash(entry->hash, hash);
    memcpy(id, hash, API_KEY_ID);
    id[API_KEY_ID] = '\0';
}

json_t *key_entry_show(const struct key_entry *entry, const char *source)
{
    char id[API_KEY_ID + 1];
    json_t *json;

    key_entry_id(entry, id);
    json = json_pack("{s:s,s:s%,s:o}", "id", id, "consumer", entry->consumer.p, entry->consumer.len,
                     "created", date_json(entry->created_ms));
    if (json && entry->tier.len)
        json_object_set_new(json, "tier", json_stringn(entry->tier.p, entry->tier.len));
    if (json && entry->expires_ms != UINT64_MAX)
        json_object_set_new(json, "expires", date_json(entry->expires_ms));
    if (json)
        json_object_set_new(json, "source", json_string(source));
    return json;
}

json_t *key_entry_answer(const struct key_entry *entry, const char *key)
{
    char id[API_KEY_ID + 1];

    key_entry_id(entry, id);
    return json_pack("{s:s,s:s,s:s%}", "id", id, "key", key, "consumer", entry->consumer.p,
                     entry->consumer.len);
}

/* --- wishes */

static const char *read_member(struct key_wish *wish, const char *key, const json_t *value)
{
    struct str text = text_of(value);

    if (!strcmp(key, "consumer") || !strcmp(key, "tier")) {
        *(*key == 'c' ? &wish->consumer : &wish->tier) = text;
        return is_name(value) ? NULL
                              : "\"consumer\" and \"tier\" are names without spaces, at most 128 "
                                "bytes";
    }
    if (strcmp(key, "expires_in") != 0)
        return "the members are consumer, tier and expires_in";
    if (!text.p || units_duration(text, &wish->expires_in_ms) || !wish->expires_in_ms ||
        wish->expires_in_ms > EXPIRES_MAX_MS)
        return "\"expires_in\" is a duration, a century at most: \"720h\"";
    return NULL;
}

const char *key_wish_read(struct str body, json_t **json, struct key_wish *wish)
{
    const char *key, *wrong = NULL;
    json_t *value;

    *wish = (struct key_wish){.expires_in_ms = 0};
    *json = json_loadb(body.p ? body.p : "", body.len, JSON_REJECT_DUPLICATES, NULL);
    if (!*json)
        return "the body is not valid JSON";
    if (!json_is_object(*json))
        return "the body is a JSON object: {\"consumer\": \"ann\", \"tier\": \"gold\", "
               "\"expires_in\": \"720h\"}";
    json_object_foreach(*json, key, value) if (!wrong) wrong = read_member(wish, key, value);
    if (!wrong && !wish->consumer.p)
        return "\"consumer\" is needed: whose key it is";
    return wrong;
}

bool key_wish_grant(const struct key_wish *wish, uint64_t now_ms, char key[API_KEY_TEXT + 1],
                    struct key_entry *entry)
{
    *entry = (struct key_entry){.consumer = wish->consumer,
                                .tier = wish->tier,
                                .created_ms = now_ms,
                                .expires_ms = UINT64_MAX};
    if (wish->expires_in_ms)
        entry->expires_ms = now_ms + wish->expires_in_ms;
    if (!api_key_make(key))
        return false;
    api_key_hash((struct str){key, API_KEY_TEXT}, entry->hash);
    return true;
}
