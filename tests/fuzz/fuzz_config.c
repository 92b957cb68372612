/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as a configuration. Nothing may crash, leak or pass what is out of bounds,
 * and what is wrong must have been said, in a report that can be rendered.
 */
#include <stdlib.h>
#include <string.h>

#include "config/conf.h"
#include "config/field.h"
#include "sluice/filter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct sample {
    uint32_t number;
    struct conf_text text;
    struct conf_texts list;
};

static const struct field sample_fields[] = {
    {.name = "number", .standard = "1", .type = FIELD_INT, FIELD_AT(struct sample, number)},
    {.name = "text", .type = FIELD_TEXT, FIELD_AT(struct sample, text)},
    {.name = "list",
     .type = FIELD_LIST,
     .element = &field_text_element,
     FIELD_ITEMS(struct sample, list.items, list.count)},
    FIELD_END,
};
static const struct filter sample = {.name = "sample",
                                     .doc = "",
                                     .fields = sample_fields,
                                     .conf_size = sizeof(struct sample)};
static const struct filter *const filters[] = {&sample, NULL};

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return strcmp(name, "PORT") == 0 ? "8080" : NULL;
}

/* What every consumer relies on. */
static void check(const struct conf *conf)
{
    if (!conf->listener_count || !conf->route_count || conf->workers > 256)
        abort();
    for (uint32_t i = 0; i < conf->service_count; i++)
        if (!conf->services[i].target_count || !conf->services[i].targets[0].weight)
            abort();
    for (uint32_t i = 0; i < conf->route_count; i++) {
        const struct conf_route *route = &conf->routes[i];
        if ((route->service.s.p != NULL) + route->redirect.is_set + route->respond.is_set != 1)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct conf_world world = {.env = get_env, .filters = filters, .expands_control = true};
    const struct conf *conf;
    struct arena arena;
    struct diag diag;

    arena_init(&arena, NULL, 64 * 1024 * 1024);
    diag_init(&diag, &arena);
    conf = conf_parse((struct str){(const char *)data, size}, "fuzz", &world, &arena, &diag);
    if (conf)
        check(conf);
    if (!conf != (diag.errors > 0) || !diag_report(&diag).p)
        abort();
    arena_reset(&arena);
    return 0;
}
