/* SPDX-License-Identifier: Apache-2.0
 *
 * fly.toml as a machine to be cloned, made as flyctl makes it (flyctl, internal/appconfig:
 * Flatten, updateMachineConfig), but for what Fly Proxy would do with it: services, statics, checks
 * and restarts are the gateway's.
 */
#ifndef CONTROL_PROVIDER_FLY_TOML_H
#define CONTROL_PROVIDER_FLY_TOML_H

#include <jansson.h>

#include "sluice/provider.h"

enum { FLY_TOML_WHY_SIZE = 320, FLY_TOML_SIZE_MAX = 256 << 10 /* of it, of each of its files */ };

/* Reads the file, and those that it names for `[[files]]`, which are put in as base64. Blocking;
 * any thread. NULL: `why` says what is wrong. To be decref'd. */
json_t *fly_toml_read(const char *path, char why[FLY_TOML_WHY_SIZE]);

struct fly_toml_ask {
    const json_t *toml; /* as it was read */
    const char *name;   /* of the file, for sentences */
    const char *group;  /* process group */
    const json_t *live; /* the machine that has what the file does not say; NULL: there is none */
};

/* What the file says of the process group, as a machine as the API shows one, with `file`, its
 * name, in place of an id, and with the file's `app` and `release_command`. Pure. NULL: `why` says
 * what is wrong, and `fault` of which kind. To be decref'd. */
json_t *fly_toml_machine(const struct fly_toml_ask *ask, enum provider_fault *fault,
                         char why[FLY_TOML_WHY_SIZE]);

#endif
