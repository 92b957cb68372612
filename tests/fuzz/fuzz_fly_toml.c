/* SPDX-License-Identifier: Apache-2.0
 *
 * Fuzz driver: any bytes as a fly.toml. What is TOML becomes a machine that can be cloned, or a
 * sentence; nothing may crash or leak, and texts stay within their bounds.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "control/provider/fly_clone.h"
#include "control/provider/fly_toml.h"
#include "control/provider/toml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void clone(const json_t *machine)
{
    static const struct fly_clone clone = {
        .service = "app", .unit = "u1", .release = "r1", .image = "shop:1", .grace_ms = 1000};
    char why[FLY_CLONE_WHY_SIZE], text[600];
    json_t *config;

    if (fly_clone_check(machine, &clone, why)) {
        assert(memchr(why, '\0', sizeof(why)));
        return;
    }
    config = fly_clone_config(machine, &clone);
    assert(config && !json_object_get(config, "services"));
    assert(fly_clone_differences(NULL, config, text, sizeof(text)) < sizeof(text));
    json_decref(config);
}

static void make(const json_t *toml, const char *group, const json_t *live)
{
    char why[FLY_TOML_WHY_SIZE] = "";
    enum provider_fault fault;
    json_t *machine =
        fly_toml_machine(&(struct fly_toml_ask){toml, "fly.toml", group, live}, &fault, why);

    assert(!machine == (fault != PROVIDER_OK));
    assert(!machine == (*why != '\0') && memchr(why, '\0', sizeof(why)));
    if (machine)
        clone(machine);
    json_decref(machine);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char why[FLY_TOML_WHY_SIZE] = "";
    char *json = toml_json((const char *)data, size, why, sizeof(why));
    json_t *toml = json ? json_loads(json, 0, NULL) : NULL;
    json_t *live = json_pack("{s:{s:s,s:{s:i}}}", "config", "image", "shop:0", "guest", "cpus", 1);

    assert(memchr(why, '\0', sizeof(why)));
    make(toml, "app", NULL);
    make(toml, "web", live);
    json_decref(live);
    json_decref(toml);
    free(json);
    return 0;
}
