/* SPDX-License-Identifier: Apache-2.0
 *
 * The reference text out of the field tables, see schema.h: a section for each map, a row for each
 * key.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/field_scalar.h"
#include "config/schema.h"
#include "sluice/filter.h"

enum { PATH_MAX_LEN = 128 };

static const char *const nouns[] = {
    [FIELD_BOOL] = "true or false", [FIELD_INT] = "number",         [FIELD_TEXT] = "text",
    [FIELD_DURATION] = "duration",  [FIELD_SIZE] = "size",          [FIELD_RATE] = "rate",
    [FIELD_SHARE] = "share",        [FIELD_RATIO] = "ratio",        [FIELD_ENUM] = "",
    [FIELD_ADDRESS] = "address",    [FIELD_LIST] = "list",          [FIELD_OBJECT] = "map",
    [FIELD_MAP] = "map by name",    [FIELD_PAIRS] = "map of texts",
};

static const char *noun_of(const struct field *field)
{
    if (field->flags & FIELD_FILTERS)
        return "list of filters";
    if (field->type == FIELD_CUSTOM)
        return field->fields ? (field->flags & FIELD_ALWAYS ? "map" : "text or map") : "text";
    return nouns[field->type];
}

static void write_type(FILE *out, const struct field *field)
{
    if (field->type == FIELD_ENUM)
        for (size_t i = 0; field->words[i]; i++)
            fprintf(out, "%s`%s`", i ? ", " : "", field->words[i]);
    else
        fputs(noun_of(field), out);
    if (field->flags & FIELD_OFF)
        fputs(", `off`", out);
    if (field->flags & FIELD_AUTO && field->type != FIELD_ADDRESS)
        fputs(", `auto`", out);
}

static void write_row(FILE *out, const struct field *field)
{
    fprintf(out, "| `%s` | ", field->name);
    write_type(out, field);
    fputs(" | ", out);
    if (field->standard && *field->standard)
        fprintf(out, "`%s`", field->standard);
    else if (field->flags & FIELD_REQUIRED)
        fputs("required", out);
    fprintf(out, " | %s |\n", field->doc ? field->doc : "");
}

static void write_table(FILE *out, const struct field *fields, const char *path);

/* The section of what stands below a key. Timeouts of a route are those of the file, shown once. */
static void write_below(FILE *out, const struct field *field, const char *path)
{
    const struct field *below = field->fields;
    const char *suffix = field->type == FIELD_MAP ? ".NAME" : "";
    char name[PATH_MAX_LEN];

    if (field->type == FIELD_LIST) {
        below = field->element->fields;
        suffix = "[]";
    }
    if (!below || (field->type == FIELD_CUSTOM && field->flags & FIELD_ALWAYS))
        return;
    snprintf(name, sizeof(name), "%s%s%s%s", path, *path ? "." : "", field->name, suffix);
    write_table(out, below, name);
}

/* Recursion ends with the tables, which hold no cycle. */
static void write_table(FILE *out, const struct field *fields, const char *path)
{
    if (*path)
        fprintf(out, "\n## `%s`\n", path);
    fputs("\n| key | value | default | meaning |\n|---|---|---|---|\n", out);
    for (const struct field *f = fields; f->name; f++)
        if (f->type != FIELD_SPAN)
            write_row(out, f);
    for (const struct field *f = fields; f->name; f++)
        if (f->type != FIELD_SPAN)
            write_below(out, f, path);
}

static void write_filter(FILE *out, const struct filter *filter)
{
    char name[PATH_MAX_LEN];

    snprintf(name, sizeof(name), "filters: %s", filter->name);
    if (!filter->fields || !filter->fields[0].name) {
        fprintf(out, "\n## `%s`\n\n%s It has no keys.\n", name, filter->doc);
        return;
    }
    if (!filter->fields[0].name[0]) {
        fprintf(out, "\n## `%s`\n\n%s Its value: ", name, filter->doc);
        write_type(out, &filter->fields[0]);
        fputs(".\n", out);
        return;
    }
    write_table(out, filter->fields, name);
}

void reference_write(FILE *out, const struct conf_world *world)
{
    fputs("# The configuration file\n\n"
          "YAML, or JSON. Durations are written `250ms`, `5s`, `2m`, `1h`, `30d`; sizes `16KiB`, "
          "`10MiB`;\n"
          "shares `20%`. `${env:NAME}` and `${file:/path}` stand anywhere in a value, `$${` is a\n"
          "plain `${`. Truth is `true`, `yes`, `on` or `false`, `no`, `off`.\n",
          out);
    write_table(out, conf_root_fields, "");
    for (size_t i = 0; world->filters && world->filters[i]; i++)
        write_filter(out, world->filters[i]);
}
