/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Schema out of the field tables, see schema.h. Every single value may also be a text with
 * ${env:NAME} in it, so each pattern lets that through.
 */
#include "config/schema.h"

#include <assert.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "config/conf_table.h"
#include "sluice/filter.h"

static json_t *table_schema(const struct field *fields, const struct conf_world *world);
static json_t *field_schema(const struct field *field, const struct conf_world *world);

/* How each number is written as a text, and the JSON type beside it. */
static const struct {
    const char *pattern;
    const char *type;
} scalars[] = {
    [FIELD_BOOL] = {"true|false|yes|no|on|off", "boolean"},
    [FIELD_INT] = {"[0-9]+", "integer"},
    [FIELD_DURATION] = {"[0-9]+(ms|s|m|h|d)", NULL},
    [FIELD_SIZE] = {"[0-9]+(KiB|MiB|GiB)?", "integer"},
    [FIELD_RATE] = {"[0-9]+(KiB|MiB|GiB)?/s", NULL},
    [FIELD_SHARE] = {"[0-9]+(\\.[0-9]+)?%", NULL},
    [FIELD_RATIO] = {"[0-9]+(\\.[0-9]+)?x", NULL},
};

static json_t *number_schema(const struct field *field)
{
    json_t *types = json_array(), *out = json_object();
    char pattern[160];

    snprintf(pattern, sizeof(pattern), "^(%s%s%s)$|\\$\\{", field->flags & FIELD_OFF ? "off|" : "",
             field->flags & FIELD_AUTO ? "auto|" : "", scalars[field->type].pattern);
    json_array_append_new(types, json_string("string"));
    if (scalars[field->type].type)
        json_array_append_new(types, json_string(scalars[field->type].type));
    json_object_set_new(out, "type", types);
    json_object_set_new(out, "pattern", json_string(pattern));
    if (field->type == FIELD_INT && field->min)
        json_object_set_new(out, "minimum", json_integer((json_int_t)field->min));
    if (field->type == FIELD_INT && field->max)
        json_object_set_new(out, "maximum", json_integer((json_int_t)field->max));
    return out;
}

static json_t *enum_schema(const struct field *field)
{
    json_t *words = json_array();

    for (size_t i = 0; field->words[i]; i++)
        json_array_append_new(words, json_string(field->words[i]));
    return json_pack("{s:[{s:o},{s:s,s:s}]}", "anyOf", "enum", words, "type", "string", "pattern",
                     "\\$\\{");
}

/* A text that looks like a number is one to JSON, and a text to us. */
static json_t *text_schema(const struct field *field)
{
    json_t *out = json_pack("{s:[s,s,s]}", "type", "string", "number", "boolean");

    if (field->flags & FIELD_NONEMPTY)
        json_object_set_new(out, "minLength", json_integer(1));
    return out;
}

static json_t *list_schema(const struct field *field, const struct conf_world *world)
{
    json_t *out = json_object();

    json_object_set_new(out, "type", json_string("array"));
    json_object_set_new(out, "items", field_schema(field->element, world));
    if (field->flags & FIELD_NONEMPTY)
        json_object_set_new(out, "minItems", json_integer(1));
    return out;
}

static json_t *filter_schema(const struct filter *filter, const struct conf_world *world)
{
    static const struct field none[] = {FIELD_END};
    const struct field *fields = filter->fields ? filter->fields : none;
    json_t *own = fields[0].name && !fields[0].name[0] ? field_schema(&fields[0], world)
                                                       : table_schema(fields, world);

    return json_pack("{s:s,s:[{s:s},o]}", "description", filter->doc, "anyOf", "const", "off", own);
}

static json_t *filters_schema(const struct conf_world *world)
{
    json_t *names = json_object();

    for (size_t i = 0; world->filters && world->filters[i]; i++)
        json_object_set_new(names, world->filters[i]->name,
                            filter_schema(world->filters[i], world));
    return json_pack("{s:s,s:{s:s,s:i,s:i,s:o,s:b}}", "type", "array", "items", "type", "object",
                     "minProperties", 1, "maxProperties", 1, "properties", names,
                     "additionalProperties", 0);
}

static json_t *custom_schema(const struct field *field, const struct conf_world *world)
{
    json_t *single;

    if (field->flags & FIELD_FILTERS)
        return filters_schema(world);
    if (field->fields && field->flags & FIELD_ALWAYS)
        return table_schema(field->fields, world);
    single = field->json ? json_loads(field->json, 0, NULL) : json_pack("{s:s}", "type", "string");
    assert(single);
    if (!field->fields)
        return single;
    return json_pack("{s:[o,o]}", "anyOf", single, table_schema(field->fields, world));
}

static json_t *pairs_schema(void)
{
    return json_pack("{s:s,s:{s:[s,s,s]}}", "type", "object", "additionalProperties", "type",
                     "string", "number", "boolean");
}

static json_t *field_schema(const struct field *field, const struct conf_world *world)
{
    switch (field->type) {
    case FIELD_TEXT:
        return text_schema(field);
    case FIELD_ADDRESS:
        return json_pack("{s:s}", "type", "string");
    case FIELD_ENUM:
        return enum_schema(field);
    case FIELD_LIST:
        return list_schema(field, world);
    case FIELD_OBJECT:
        return table_schema(field->fields, world);
    case FIELD_MAP:
        return json_pack("{s:s,s:o}", "type", "object", "additionalProperties",
                         table_schema(field->fields, world));
    case FIELD_PAIRS:
        return pairs_schema();
    case FIELD_CUSTOM:
        return custom_schema(field, world);
    default:
        return number_schema(field);
    }
}

static json_t *standard_value(const struct field *field)
{
    char *end;
    long long number = strtoll(field->standard, &end, 10);

    if (field->type == FIELD_INT && *field->standard && !*end)
        return json_integer(number);
    if (field->type == FIELD_BOOL)
        return json_boolean(strcmp(field->standard, "true") == 0);
    return json_string(field->standard);
}

static json_t *table_schema(const struct field *fields, const struct conf_world *world)
{
    json_t *properties = json_object(), *required = json_array();
    json_t *out = json_pack("{s:s,s:b}", "type", "object", "additionalProperties", 0);

    for (const struct field *f = fields; f->name; f++) {
        json_t *one;
        if (f->type == FIELD_SPAN)
            continue;
        one = field_schema(f, world);
        if (f->doc)
            json_object_set_new(one, "description", json_string(f->doc));
        if (f->standard)
            json_object_set_new(one, "default", standard_value(f));
        if (f->flags & FIELD_REQUIRED)
            json_array_append_new(required, json_string(f->name));
        json_object_set_new(properties, f->name, one);
    }
    json_object_set_new(out, "properties", properties);
    if (json_array_size(required))
        json_object_set_new(out, "required", required);
    else
        json_decref(required);
    return out;
}

char *schema_json(const struct conf_world *world)
{
    json_t *root = table_schema(conf_root_fields, world);
    char *text, *out = NULL;

    json_object_set_new(root, "$schema",
                        json_string("https://json-schema.org/draft/2020-12/schema"));
    json_object_set_new(root, "title", json_string("The configuration of Sluice"));
    text = json_dumps(root, JSON_INDENT(2) | JSON_SORT_KEYS);
    json_decref(root);
    if (text && asprintf(&out, "%s\n", text) < 0)
        out = NULL;
    free(text);
    return out;
}
