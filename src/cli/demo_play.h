/* SPDX-License-Identifier: Apache-2.0
 *
 * What happens by itself in `sluice demo`: the first release of the store is deployed, and where it
 * is asked for, a good one and a bad one after it, for people to watch.
 */
#ifndef CLI_DEMO_PLAY_H
#define CLI_DEMO_PLAY_H

#include "sluice/types.h"

struct demo_play {
    const char *admin;   /* the admin API, as --admin has it; borrowed, as the next two */
    const char *program; /* what a shell understands as this program */
    const char *service;
    bool is_shown; /* a good and a bad one, too */
};

/* Begins in a process of its own, see demo_process.h. E_IO with errno. */
MUST_USE enum status demo_play_start(struct demo_play *play);

#endif
