/* SPDX-License-Identifier: Apache-2.0 */
#include "control/deploy/shares.h"

#include <string.h>

#include "config/conf_release.h"
#include "config/conf_service.h"

static const char *at(const json_t *known, size_t i)
{
    return json_string_value(json_array_get(known, i));
}

const char *shares_find(const json_t *known, const char *name)
{
    size_t count = json_array_size(known);

    for (size_t i = 0; i < count; i++)
        if (!strcmp(at(known, i), name))
            return at(known, i);
    if (!strcmp(name, CONF_STABLE))
        return at(known, 0);
    return !strcmp(name, "canary") && count == 2 ? at(known, 1) : NULL;
}

static json_t *nothing_for(const json_t *known)
{
    json_t *split = json_object(), *id;
    size_t i;

    json_array_foreach(known, i, id)
        json_object_set_new(split, json_string_value(id), json_integer(0));
    return json_object_size(split) == json_array_size(known) ? split : NULL;
}

static enum shares_fault read_all(const json_t *known, const json_t *said, json_t *split,
                                  const char **unknown)
{
    json_t *seen = json_object(), *value;
    enum shares_fault fault = SHARES_GOOD;
    json_int_t sum = 0;
    const char *name;

    json_object_foreach((json_t *)(uintptr_t)said, name, value)
    {
        const char *id = shares_find(known, name);
        json_int_t share = json_integer_value(value);

        if (!json_is_integer(value) || share < 0 || share > CONF_SHARE_MAX ||
            (id && json_object_get(seen, id))) {
            fault = SHARES_MALFORMED;
        } else if (!id) {
            *unknown = name;
            fault = SHARES_UNKNOWN;
        } else if (json_object_set(split, id, value) || json_object_set(seen, id, value)) {
            fault = SHARES_NO_MEMORY;
        }
        if (fault)
            break;
        sum += share;
    }
    json_decref(seen);
    return fault || sum ? fault : SHARES_MALFORMED;
}

enum shares_fault shares_read(const json_t *known, const json_t *said, json_t **split,
                              const char **unknown)
{
    enum shares_fault fault = SHARES_MALFORMED;

    *split = NULL;
    if (!json_is_object(said))
        return fault;
    *split = nothing_for(known);
    fault = *split ? read_all(known, said, *split, unknown) : SHARES_NO_MEMORY;
    if (fault) {
        json_decref(*split);
        *split = NULL;
    }
    return fault;
}

json_t *shares_among(const json_t *known, const json_t *split)
{
    json_t *kept = json_object(), *value;
    json_int_t sum = 0;
    const char *id;

    json_object_foreach((json_t *)(uintptr_t)split, id, value)
    {
        bool is_known = false;

        for (size_t i = 0; i < json_array_size(known); i++)
            is_known |= !strcmp(at(known, i), id);
        if (!is_known)
            continue;
        sum += json_integer_value(value);
        json_object_set(kept, id, value);
    }
    if (sum > 0)
        return kept;
    json_decref(kept);
    return NULL;
}

void shares_spread(json_t *to, const struct shares_spread *spread)
{
    const char *id, *most = NULL;
    json_int_t sum = 0, given = 0, greatest = 0;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)spread->split, id, value)
    {
        json_int_t share = strcmp(id, spread->but) ? json_integer_value(value) : 0;

        sum += share;
        if (share > greatest) {
            greatest = share;
            most = id;
        }
    }
    if (!most) {
        json_object_set_new(to, spread->otherwise, json_integer(spread->whole));
        return;
    }
    json_object_foreach((json_t *)(uintptr_t)spread->split, id, value)
    {
        json_int_t part = spread->whole * json_integer_value(value) / sum;

        if (!strcmp(id, spread->but) || id == most)
            continue;
        if (part)
            json_object_set_new(to, id, json_integer(part));
        given += part;
    }
    json_object_set_new(to, most, json_integer(spread->whole - given));
}

const char *shares_main(const json_t *split, const char *stable)
{
    const char *id, *most = stable;
    json_int_t greatest = json_integer_value(json_object_get(split, stable ? stable : ""));
    json_t *value;

    if (greatest)
        return stable;
    json_object_foreach((json_t *)(uintptr_t)split, id, value)
    {
        if (json_integer_value(value) > greatest) {
            greatest = json_integer_value(value);
            most = id;
        }
    }
    return most;
}
