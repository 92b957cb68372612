/* SPDX-License-Identifier: Apache-2.0
 *
 * A configuration on the bench: its arena, its diagnostics, a world whose environment has a few
 * names, and two filters of its own. For the tests of the configuration.
 */
#ifndef TEST_CONF_H
#define TEST_CONF_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "config/conf.h"
#include "config/field.h"
#include "sluice/filter.h"

struct paint {
    uint32_t coats;
    struct conf_text color;
    struct conf_texts rooms;
    bool has_odd_coats;
};

static inline bool check_paint(void *conf, struct span at, struct diag *diag)
{
    struct paint *paint = conf;

    if (paint->coats == 13)
        diag_error(diag, at, "13 coats bring bad luck");
    paint->has_odd_coats = paint->coats % 2;
    return paint->coats != 13;
}

static const struct field paint_fields[] = {
    {.name = "coats",
     .doc = "How many.",
     .standard = "2",
     .type = FIELD_INT,
     .min = 1,
     .max = 20,
     FIELD_AT(struct paint, coats)},
    {.name = "color",
     .doc = "Which.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED,
     FIELD_AT(struct paint, color)},
    {.name = "rooms",
     .doc = "Where.",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct paint, rooms.items, rooms.count)},
    FIELD_END,
};

static const struct filter paint = {.name = "paint",
                                    .doc = "Paints.",
                                    .fields = paint_fields,
                                    .conf_size = sizeof(struct paint),
                                    .check = check_paint};

static const struct field cap_fields[] = {
    {.name = "", .doc = "Bytes.", .type = FIELD_SIZE, .size = sizeof(uint64_t)},
    FIELD_END,
};
static const struct filter cap = {.name = "cap",
                                  .doc = "Caps.",
                                  .fields = cap_fields,
                                  .conf_size = sizeof(uint64_t)};
static const struct filter plain = {.name = "plain", .doc = "Does nothing."};
static const struct filter *const test_filters[] = {&paint, &cap, &plain, NULL};

static inline const char *test_env(void *owner, const char *name)
{
    static const char *const values[][2] = {{"PORT", "8088"},
                                            {"SLUICE_CI_TOKEN", "s3cr3t-token"},
                                            {"EMPTY", ""},
                                            {"HOST", "app.example.com"},
                                            {"WORD", "hush-hush"}};

    (void)owner;
    for (size_t i = 0; i < ARRAY_LEN(values); i++)
        if (strcmp(name, values[i][0]) == 0)
            return values[i][1];
    return NULL;
}

static const struct conf_world test_world = {.env = test_env,
                                             .filters = test_filters,
                                             .expands_control = true};

struct bench {
    struct arena arena;
    struct diag diag;
};

static inline int set_up(void **state)
{
    struct bench *bench = test_calloc(1, sizeof(*bench));

    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    *state = bench;
    return 0;
}

static inline int tear_down(void **state)
{
    struct bench *bench = *state;

    arena_reset(&bench->arena);
    test_free(bench);
    return 0;
}

static inline const struct conf *parse(struct bench *bench, const char *text)
{
    struct str s = {text, strlen(text)};

    return conf_parse(s, "x.yaml", &test_world, &bench->arena, &bench->diag);
}

/* A text that must load. */
static inline const struct conf *parse_good(struct bench *bench, const char *text)
{
    const struct conf *conf = parse(bench, text);

    if (!conf)
        fail_msg("%s", diag_report(&bench->diag).p);
    return conf;
}

static inline void assert_str(struct str s, const char *text)
{
    struct str copy = s.p ? s : STR("(absent)");

    if (copy.len != strlen(text) || memcmp(copy.p, text, copy.len) != 0)
        fail_msg("\"%.*s\" is not \"%s\"", STR_FMT(copy), text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
