/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/auth/jose_json.h"

#include <jansson.h>
#include <string.h>

/* Whether brackets outside of texts nest at most JOSE_JSON_DEPTH deep; the rest is the parser's. */
static bool is_shallow(struct str text)
{
    bool is_quoted = false;
    size_t depth = 0;

    for (size_t i = 0; i < text.len; i++) {
        char c = text.p[i];

        if (is_quoted && c == '\\')
            i++;
        else if (c == '"')
            is_quoted = !is_quoted;
        else if (!is_quoted && (c == '{' || c == '['))
            depth++;
        else if (!is_quoted && (c == '}' || c == ']') && depth)
            depth--;
        if (depth > JOSE_JSON_DEPTH)
            return false;
    }
    return true;
}

struct json_t *jose_json_read(struct str text)
{
    json_t *json;

    if (!text.len || !is_shallow(text))
        return NULL;
    json = json_loadb(text.p, text.len, JSON_REJECT_DUPLICATES, NULL);
    if (json_is_object(json))
        return json;
    json_decref(json);
    return NULL;
}

struct str jose_json_str(const struct json_t *value)
{
    return json_is_string(value) ? (struct str){json_string_value(value), json_string_length(value)}
                                 : STR_NONE;
}

struct str jose_json_text(const struct json_t *object, const char *name)
{
    return jose_json_str(json_object_get(object, name));
}

const struct json_t *jose_json_find(const struct json_t *object, const char *name)
{
    const json_t *found = json_object_get(object, name);
    const char *dot = found ? NULL : strchr(name, '.');

    while (dot) {
        char first[128];
        size_t len = (size_t)(dot - name);

        if (len >= sizeof(first))
            return NULL;
        memcpy(first, name, len);
        first[len] = '\0';
        object = json_object_get(object, first);
        name = dot + 1;
        found = json_object_get(object, name);
        dot = found ? NULL : strchr(name, '.');
    }
    return found;
}
