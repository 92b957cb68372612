/* SPDX-License-Identifier: Apache-2.0
 *
 * The last steps of `sluice unit`, the process that becomes an app: its streams, limits, user and
 * environment, then exec. It was started as the leader of a session of its own, with descriptor 3
 * to say on why there will be no app, and 4 that holds the port until exec. One thread.
 */
#ifndef PROCESS_UNIT_EXEC_H
#define PROCESS_UNIT_EXEC_H

#include <sys/types.h>

#include "sluice/types.h"

struct unit_exec {
    char *const *argv;     /* the first is looked for in the PATH of env */
    char *const *env;      /* "NAME=value", all of it */
    const char *directory; /* NULL: stay here */
    const char *user;      /* whose groups it gets; NULL: stay who we are */
    uid_t uid;
    gid_t gid;
    uint64_t files, memory; /* 0: as we have them */
    uint32_t grace_ms;      /* told the supervisor, for its own end */
};

/* Takes descriptors 3 and 4 into care: exec closes them. False: they are not what is expected. */
bool unit_exec_begin(void);
/* Says why there will be no app, as of printf(), and ends the process. */
_Noreturn void unit_exec_fail(enum status status, const char *format, ...) PRINTF(2, 3);
/* Becomes the app, or fails as above. */
_Noreturn void unit_exec_run(const struct unit_exec *exec);

#endif
