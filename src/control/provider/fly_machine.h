/* SPDX-License-Identifier: Apache-2.0
 *
 * A machine as Fly's API shows it, in the words of the contract. Machines of ours carry in their
 * metadata whose they are, and are found by that alone. Pure; one thread.
 */
#ifndef CONTROL_PROVIDER_FLY_MACHINE_H
#define CONTROL_PROVIDER_FLY_MACHINE_H

#include <jansson.h>

#include "config/conf_provider.h"
#include "sluice/provider.h"

/* In the metadata of each machine of ours. */
#define FLY_MACHINE_UNIT "sluice_unit"
#define FLY_MACHINE_SERVICE "sluice_service"
#define FLY_MACHINE_RELEASE "sluice_release"

/* What can be done with it next. */
enum fly_phase {
    FLY_GOING_UP,   /* wait */
    FLY_UP,         /* it runs */
    FLY_GOING_DOWN, /* wait */
    FLY_DOWN,       /* may be started */
    FLY_BROKEN,     /* of no more use: failed, or its host is gone */
    FLY_ENDING,     /* being destroyed */
    FLY_GONE,
};

/* With the texts that `unit` points at; those of the machine are borrowed. */
struct fly_view {
    struct provider_unit unit;
    char address[80], reason[200];
};

/* A text of an object; empty, if it has none. */
const char *fly_machine_text(const json_t *object, const char *key);
const char *fly_machine_metadata(const json_t *machine, const char *key);
/* Its configuration; NULL: the API does not know it now. */
const json_t *fly_machine_config(const json_t *machine);
enum fly_phase fly_machine_phase(const json_t *machine);
/* It is down with what it holds in memory. */
bool fly_machine_is_suspended(const json_t *machine);
bool fly_machine_is_ours(const json_t *machine, const char *service);
/* That of a unit, of several the one that is of most use, or the newest; NULL: none. Those that are
 * being destroyed count only if `with_ending`. */
json_t *fly_machine_find(const json_t *machines, const char *service, const char *unit,
                         bool with_ending);
/* Another one of the unit, such as one that was replaced while its host was gone, and that can be
 * destroyed now; NULL: none. */
json_t *fly_machine_spare(const json_t *machines, const char *service, const char *unit);
/* For how many milliseconds nothing has happened to it. */
int64_t fly_machine_still_ms(const json_t *machine);
/* It is on its way to another state for longer than Fly's documents say that it takes. */
bool fly_machine_is_stuck(const json_t *machine);
/* It was made and not started yet, which it may stay. */
bool fly_machine_is_created(const json_t *machine);
/* Its host is gone: what is asked of it fails, or is not answered. */
bool fly_machine_is_cut(const json_t *machine);
/* Unix milliseconds of when it last ended; 0: it has not. */
int64_t fly_machine_ended_ms(const json_t *machine);
/* Whether Fly Proxy may stop or start it by itself. */
bool fly_machine_is_automatic(const json_t *machine);
/* `port`: where it answers. */
void fly_machine_view(const json_t *machine, uint16_t port, struct fly_view *view);
/* Its events as lines, oldest first; returns how many bytes. */
size_t fly_machine_log(const json_t *machine, char *text, size_t size);

#endif
