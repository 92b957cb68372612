/* SPDX-License-Identifier: Apache-2.0
 *
 * A target as somebody gives it at run time: held to the rules of the configuration. Pure.
 */
#ifndef REST_TARGET_H
#define REST_TARGET_H

#include <jansson.h>

#include "config/conf.h"

struct target_text {
    struct str id, address;
    struct str region;  /* empty: none */
    struct str release; /* whose it is */
    int64_t weight, priority;
};

/* Whether a configuration could say this, the release aside; else the reasons are in `diag`. */
bool target_check(const struct target_text *target, struct diag *diag);
/* Reads an object of these members, of which only the address is needed; texts are copied into
 * `arena`. NULL: it is fine and was checked; else what is wrong, in the arena or static. */
const char *target_read(const json_t *json, struct arena *arena, struct target_text *target);
/* As the configuration and the overlay's file have it; NULL: memory, or it is no UTF-8. */
json_t *target_json(const struct target_text *target);
/* The parts of an address that was checked; they point into it. */
void target_split(struct str address, struct conf_address *parts);

#endif
