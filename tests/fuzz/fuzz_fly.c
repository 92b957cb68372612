/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any JSON as what Fly's Machines API says: a list of machines, or an error. Nothing
 * may crash or leak, and texts stay within their bounds.
 */
#include <assert.h>
#include <string.h>

#include "control/provider/fly_impl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { TEXT_MAX = 600 };

static const struct conf_fly conf = {.group = {.s = {"app", 3}}};

static void copy(const json_t *machine, const struct fly_clone *clone)
{
    char why[FLY_CLONE_WHY_SIZE], text[TEXT_MAX];
    json_t *config;

    if (fly_clone_check(machine, clone, why)) {
        assert(memchr(why, '\0', sizeof(why)));
        return;
    }
    config = fly_clone_config(machine, clone);
    assert(config);
    assert(!json_object_get(config, "services") && !json_object_get(config, "schedule"));
    assert(fly_clone_differences(machine, config, text, sizeof(text)) < sizeof(text));
    if (fly_suspend_refuses(config, why))
        assert(memchr(why, '\0', sizeof(why)));
    json_decref(config);
}

static void look(json_t *machines, json_t *machine)
{
    char text[TEXT_MAX];
    struct fly_view view;

    fly_machine_view(machine, 8080, &view);
    assert(view.unit.since_ms >= view.unit.started_ms);
    assert(view.unit.state <= PROVIDER_FAILED && view.unit.signal >= 0);
    assert(fly_machine_log(machine, text, sizeof(text)) <= sizeof(text));
    (void)fly_machine_is_automatic(machine);
    if (fly_machine_is_ours(machine, "app"))
        assert(fly_machine_find(machines, "app", view.unit.id, true));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fly_clone clone = {.service = "app",
                                           .unit = "u1",
                                           .release = "r1",
                                           .grace_ms = 1000};
    json_t *body = json_loadb((const char *)data, size, JSON_DECODE_ANY, NULL), *machine;
    const json_t *model = fly_clone_pick(body, &conf, &clone);
    char name[FLY_CLONE_NAME_SIZE];
    size_t i;

    (void)fly_api_fault(422, body);
    fly_clone_name(body, &clone, name);
    assert(memchr(name, '\0', sizeof(name)));
    json_array_foreach(body, i, machine)
    {
        look(body, machine);
    }
    if (model)
        copy(model, &clone);
    json_decref(body);
    return 0;
}
