/* SPDX-License-Identifier: Apache-2.0
 *
 * A list of targets outside the configuration, as a file of `discover` has it: YAML or JSON of the
 * same shape and held to the same rules as `targets` of a service.
 */
#ifndef CONFIG_CONF_TARGETS_H
#define CONFIG_CONF_TARGETS_H

#include "config/conf_service.h"

enum { CONF_TARGETS_BYTES_MAX = 16 * 1024 * 1024 };

struct conf_target_list {
    struct conf_target *items;
    uint32_t count;
};

/* Reads `text`, named `name` in diagnostics: a list, or a map with `targets`. Nothing in it is
 * expanded. NULL after errors, which are in `diag`; the list is in `arena`. Pure; any thread. */
const struct conf_target_list *conf_targets_parse(struct str text, const char *name,
                                                  struct arena *arena, struct diag *diag);

#endif
