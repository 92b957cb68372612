/* SPDX-License-Identifier: Apache-2.0
 *
 * Becoming an ordinary user for good: what edge and control do once they need root no longer. At
 * the start of a process, before it has threads.
 */
#ifndef BASE_USER_H
#define BASE_USER_H

#include <sys/types.h>

#include "sluice/types.h"

struct user {
    uid_t uid;
    gid_t gid;
    char name[64]; /* empty: stay who we are */
};

/* The user to become: root alone can, and one that is not `is_required` and does not exist changes
 * nothing. E_NOT_FOUND: there is none. */
MUST_USE enum status user_find(const char *name, bool is_required, struct user *user);

/* Becomes it, with the directory `state` and the open file `fd` (-1: none) as its own, and still
 * with SIGTERM when our parent dies. E_IO with errno. */
MUST_USE enum status user_become(const struct user *user, const char *state, int fd);

#endif
