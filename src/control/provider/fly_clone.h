/* SPDX-License-Identifier: Apache-2.0
 *
 * What a new machine is made of: the configuration of one that the app has, or of one that fly.toml
 * describes, with what a release and an edge of our own need changed, and nothing else. Pure; one
 * thread.
 */
#ifndef CONTROL_PROVIDER_FLY_CLONE_H
#define CONTROL_PROVIDER_FLY_CLONE_H

#include <jansson.h>

#include "config/conf_provider.h"
#include "sluice/provider.h"

enum { FLY_CLONE_NAME_SIZE = 64, FLY_CLONE_WHY_SIZE = 320, FLY_CLONE_SOURCE_SIZE = 96 };

struct fly_clone {
    const char *service, *unit, *release;
    const char *image; /* NULL: the one that is live */
    const json_t *env; /* beside what is live; NULL: none */
    uint32_t grace_ms; /* where the live one says nothing */
};

/* Whether it is of the process group that is deployed. */
bool fly_clone_is_of_group(const json_t *machine, const struct conf_fly *conf);
/* Whether it is of the service, and of the same release. */
bool fly_clone_is_same(const json_t *machine, const struct fly_clone *clone);
/* The machine to be cloned: one of the same release, else the newest that runs, else the newest, of
 * the process group. NULL: there is none. Borrowed. */
const json_t *fly_clone_pick(const json_t *machines, const struct conf_fly *conf,
                             const struct fly_clone *clone);
/* Its name in a sentence: "machine 1781", or the path of the file that it was made of. */
void fly_clone_source(const json_t *machine, char source[FLY_CLONE_SOURCE_SIZE]);
/* PROVIDER_OK, or why this one cannot be cloned, in words. */
enum provider_fault fly_clone_check(const json_t *machine, const struct fly_clone *clone,
                                    char why[FLY_CLONE_WHY_SIZE]);
/* `config` of the new one; NULL: no memory. To be decref'd. */
json_t *fly_clone_config(const json_t *machine, const struct fly_clone *clone);
/* The name of the new one: the same for the same unit, but for those that are there still. */
void fly_clone_name(const json_t *machines, const struct fly_clone *clone,
                    char name[FLY_CLONE_NAME_SIZE]);
/* What differs from `machine`, NULL: from none, as lines; values of variables are not shown.
 * Returns how many bytes. */
size_t fly_clone_differences(const json_t *machine, const json_t *config, char *text, size_t size);

#endif
