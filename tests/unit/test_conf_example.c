/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of conf/ load, the schema beside them is what the tables say, and the schema and the
 * reference name every key. With SLUICE_GOLDEN=write in the environment the schema is written anew.
 */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>

#include <jansson.h>

#include "config/schema.h"
#include "test_conf.h"

/* The filters of the program, as examples and schema speak of them. */
static const struct conf_world real_world = {.env = test_env, .filters = filter_registry};
static const char schema_path[] = "conf/sluice.schema.json";

static char *slurp(const char *path)
{
    FILE *file = fopen(path, "rb");
    char *text = calloc(1, 1 << 20);
    size_t len;

    assert_non_null(file);
    assert_non_null(text);
    len = fread(text, 1, (1 << 20) - 1, file);
    assert_true(len > 0);
    fclose(file);
    return text;
}

static void examples_load(void **state)
{
    struct bench *bench = *state;
    glob_t found;

    assert_int_equal(glob("conf/*.yaml", 0, NULL, &found), 0);
    assert_true(found.gl_pathc >= 4);
    for (size_t i = 0; i < found.gl_pathc; i++) {
        const struct conf *conf =
            conf_load(found.gl_pathv[i], &real_world, &bench->arena, &bench->diag);
        if (!conf || bench->diag.count)
            fail_msg("%s", diag_report(&bench->diag).p);
    }
    globfree(&found);
}

/* What full.yaml calls a default is one. */
static void full_says_the_truth(void **state)
{
    struct bench *bench = *state;
    const struct conf *full = conf_load("conf/full.yaml", &real_world, &bench->arena, &bench->diag);
    const struct conf *minimal =
        conf_load("conf/minimal.yaml", &real_world, &bench->arena, &bench->diag);

    assert_memory_equal(&full->timeouts, &minimal->timeouts, sizeof(full->timeouts));
    assert_memory_equal(&full->limits, &minimal->limits, sizeof(full->limits));
    assert_int_equal(full->services[0].limits.queue, minimal->services[0].limits.queue);
    assert_int_equal(full->services[0].pool.idle_connections,
                     minimal->services[0].pool.idle_connections);
    assert_str(full->admin.socket.s, minimal->admin.socket.s.p);
    assert_str(full->user.s, minimal->user.s.p);
}

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
}

static void schema_is_current(void **state)
{
    const char *mode = getenv("SLUICE_GOLDEN");
    char *now = schema_json(&real_world), *kept;

    (void)state;
    assert_non_null(now);
    if (mode && strcmp(mode, "write") == 0)
        write_text(schema_path, now);
    kept = slurp(schema_path);
    if (strcmp(now, kept) != 0)
        fail_msg("%s is not what `sluice schema` prints", schema_path);
    free(now);
    free(kept);
}

/* Each key below a schema must stand in the text. */
static void find_keys(json_t *schema, const char *text)
{
    const char *name;
    json_t *value;
    size_t i;

    if (json_is_array(schema)) {
        json_array_foreach(schema, i, value) find_keys(value, text);
        return;
    }
    json_object_foreach(json_object_get(schema, "properties"), name, value)
    {
        char key[64];
        snprintf(key, sizeof(key), "%s:", name);
        if (!strstr(text, key))
            fail_msg("conf/full.yaml has no %s", key);
    }
    json_object_foreach(schema, name, value) find_keys(value, text);
}

static void full_has_every_key(void **state)
{
    char *schema = schema_json(&real_world), *text = slurp("conf/full.yaml");
    json_t *root = json_loads(schema, 0, NULL);

    (void)state;
    assert_non_null(root);
    find_keys(root, text);
    json_decref(root);
    free(schema);
    free(text);
}

static json_t *get(json_t *json, const char *path)
{
    char copy[256], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        json = json_is_array(json) ? json_array_get(json, (size_t)atoi(word))
                                   : json_object_get(json, word);
        if (!json)
            fail_msg("no %s in %s", word, path);
    }
    return json;
}

static void schema_says_what_tables_say(void **state)
{
    char *text = schema_json(&test_world);
    json_t *root = json_loads(text, 0, NULL), *paint_schema;
    static const char properties[] = "properties filters items properties paint anyOf 1";

    (void)state;
    assert_non_null(root);
    assert_true(json_is_false(get(root, "additionalProperties")));
    assert_string_equal(json_string_value(get(root, "properties timeouts properties idle default")),
                        "75s");
    assert_int_equal(json_integer_value(get(root, "properties limits properties headers maximum")),
                     1000);
    assert_int_equal(json_integer_value(get(root, "properties limits properties headers default")),
                     100);
    assert_string_equal(json_string_value(get(root, "properties role anyOf 0 enum 1")), "edge");
    get(root, "properties services additionalProperties properties targets items anyOf 1 properties"
              " address");
    get(root, "properties routes items properties timeouts properties first_byte");
    paint_schema = get(root, properties);
    assert_int_equal(json_integer_value(get(paint_schema, "properties coats default")), 2);
    assert_string_equal(json_string_value(get(paint_schema, "required 0")), "color");
    json_decref(root);
    free(text);
}

static void reference_names_every_key(void **state)
{
    static const char *const lines[] = {
        "| `workers` | number, `auto` | `auto` |",
        "| `role` | `all`, `edge`, `control` | `all` |",
        "## `listeners[]`",
        "## `services.NAME.targets[]`",
        "| `address` | address | required |",
        "## `routes[].redirect`",
        "## `filters: paint`",
        "| `coats` | number | `2` | How many. |",
    };
    char *text = NULL;
    size_t len = 0;
    FILE *file = open_memstream(&text, &len);

    (void)state;
    reference_write(file, &test_world);
    fclose(file);
    for (size_t i = 0; i < ARRAY_LEN(lines); i++)
        if (!strstr(text, lines[i]))
            fail_msg("no %s in the reference", lines[i]);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(examples_load),     TEST(full_says_the_truth),         TEST(full_has_every_key),
        TEST(schema_is_current), TEST(schema_says_what_tables_say), TEST(reference_names_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
