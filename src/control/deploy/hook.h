/* SPDX-License-Identifier: Apache-2.0
 *
 * A hook of a deploy: a command line that is run, or a URL that is called, with a time limit and
 * the last of what it said. Control's one thread.
 */
#ifndef CONTROL_DEPLOY_HOOK_H
#define CONTROL_DEPLOY_HOOK_H

#include "control/outbound.h"

enum { HOOK_OUTPUT_MAX = 16 * 1024, HOOK_WHY_MAX = 256 };

struct hook; /* private */

struct hook_options {
    uv_loop_t *loop;
    struct outbound *outbound;
    const char *run, *url;  /* one of them; the other NULL */
    const char *const *env; /* "NAME=value" beside our own, ended by NULL */
    const char *body;       /* JSON for the URL */
    uint32_t timeout_ms;
    /* Once, unless it is cancelled before. `why`: what went wrong, NULL when all is well; `output`:
     * the last of it, borrowed. */
    void (*done)(void *owner, const char *why, struct str output);
    void *owner;
};

/* NULL: no memory. What cannot be started is told by `done`, later. Texts are copied. */
struct hook *hook_begin(const struct hook_options *options);
/* Kills it, with all that it started, and clears the pointer; NULL is fine. The loop must turn for
 * the memory to go. */
void hook_cancel(struct hook **hook);

#endif
