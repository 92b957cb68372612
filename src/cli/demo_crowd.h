/* SPDX-License-Identifier: Apache-2.0
 *
 * The visitors of `sluice demo`: some twenty a second ask for the store, fifty while a release of
 * it takes over from another, so that both have something to be compared by.
 */
#ifndef CLI_DEMO_CROWD_H
#define CLI_DEMO_CROWD_H

#include "sluice/types.h"

struct demo_crowd {
    uint16_t port;     /* of the gateway */
    const char *admin; /* its admin API, as --admin has it; borrowed, as the next */
    const char *service;
};

/* Has them come from a process of their own, see demo_process.h. E_IO with errno. */
MUST_USE enum status demo_crowd_start(struct demo_crowd *crowd);

#endif
