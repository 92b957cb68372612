/* SPDX-License-Identifier: Apache-2.0
 *
 * What was found last, kept in <state>/discovered.json: a restart begins with it, so that it serves
 * though nothing can be asked.
 */
#ifndef EDGE_MANAGER_DISCOVERY_STORE_H
#define EDGE_MANAGER_DISCOVERY_STORE_H

#include "edge/found.h"

/* Reads the file; what is damaged is left out, and said on stderr. A set with one reference, empty
 * when there is no file; NULL: memory. Blocking. */
struct found *discovery_store_load(const char *state_dir);
/* Writes the file (temporary, fsync, rename). E_IO with errno; E_NOMEM. Blocking; any thread. */
MUST_USE enum status discovery_store_save(const char *state_dir, const struct found *found);

#endif
