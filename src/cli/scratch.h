/* SPDX-License-Identifier: Apache-2.0
 *
 * What a gateway without a file of its own needs: a private directory for its configuration and its
 * state, and ports that nobody uses. Called by the commands `demo` and `proxy`; one thread.
 */
#ifndef CLI_SCRATCH_H
#define CLI_SCRATCH_H

#include "sluice/types.h"

/* Short enough for PATH/state/admin.sock to be the name of a unix socket. */
enum { SCRATCH_PATH_SIZE = 80 };

struct scratch {
    char path[SCRATCH_PATH_SIZE]; /* absolute; letters, digits and /._-+ alone: nothing to quote */
    char config[SCRATCH_PATH_SIZE + 16]; /* of the file that scratch_write() writes */
    bool is_inherited; /* this is an upgrade: the directory and all in it are there already */
};

/* Makes the directory, or finds that of the binary which this one replaces (SLUICE_SCRATCH). Blocks
 * the signals that the supervisor will serve, so that from here on nothing skips scratch_close().
 * False after saying why on stderr. */
MUST_USE bool scratch_open(struct scratch *scratch, const char *command);
/* Removes the directory and all in it. */
void scratch_close(const struct scratch *scratch);

/* Writes the configuration so that the edge can read it. False after saying why. */
MUST_USE bool scratch_write(const struct scratch *scratch, struct str text);

/* The first port from `first` on that is free on 127.0.0.1, kept from other demos and proxies as
 * long as this process lives; 0 when a hundred in a row are taken. */
uint16_t scratch_port(uint16_t first);

#endif
