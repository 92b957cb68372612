/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates that came by the API: a file NAME.pem each, chain and key, in the folder
 * `certificates` of the state directory (0700, files 0600). Blocking; builder thread.
 */
#ifndef EDGE_MANAGER_PUSHED_H
#define EDGE_MANAGER_PUSHED_H

#include "config/diag.h"
#include "edge/tls/tls_server.h"

enum { PUSHED_NAME_MAX = 200 };

struct pushed {
    struct tls_pushed *list; /* by name; owned */
    uint32_t count;
    struct arena arena;
};

/* Letters, digits and "-_.", not a dot at first: what is good for a file. */
bool pushed_is_name(struct str name);

/* All of them; what cannot be read is a warning. False: memory. */
bool pushed_load(struct pushed *pushed, const char *state_dir, struct diag *diag);
/* Lets go of all. Zero bytes are empty, too. */
void pushed_fini(struct pushed *pushed);

/* The text of one, in `arena`, as it was written. E_NOT_FOUND, E_IO, E_NOMEM. */
MUST_USE enum status pushed_read(const char *state_dir, struct str name, struct arena *arena,
                                 struct str *text);
/* Writes one atomically; an absent text removes it (which may be gone already). E_IO with errno. */
MUST_USE enum status pushed_write(const char *state_dir, struct str name, struct str text);

#endif
