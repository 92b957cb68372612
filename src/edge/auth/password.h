/* SPDX-License-Identifier: Apache-2.0
 *
 * Passwords and the hashes that are kept of them, by libcrypt: bcrypt ($2a$, $2b$, $2y$), yescrypt
 * ($y$) and SHA-512 ($6$). A check takes tens of milliseconds, as it should: never on a worker's
 * thread. Pure; any thread.
 */
#ifndef EDGE_AUTH_PASSWORD_H
#define EDGE_AUTH_PASSWORD_H

#include "sluice/types.h"

enum { PASSWORD_MAX = 256, PASSWORD_HASH_MAX = 256 };

/* Why it is no hash that passwords can be checked with (static text), NULL when it is one. */
const char *password_hash_wrong(struct str hash);
/* Whether it is of this password: never of one that is longer than PASSWORD_MAX or has a NUL, and
 * nothing passes by a wrong hash. */
bool password_check(struct str password, struct str hash);

#endif
