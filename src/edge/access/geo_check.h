/* SPDX-License-Identifier: Apache-2.0
 *
 * Looks through a MaxMind DB: its metadata before it is opened; then every node of its tree, and
 * all data that these lead to. The library checks bounds as it goes, but follows data that nests
 * without end until the stack has none left, and forgets what it has read of metadata that break
 * off.
 */
#ifndef EDGE_ACCESS_GEO_CHECK_H
#define EDGE_ACCESS_GEO_CHECK_H

#include <maxminddb.h>

#include "sluice/types.h"

/* The file as it is. E_NOT_FOUND: it has no metadata; E_INVALID: these are damaged; E_NOMEM. */
MUST_USE enum status geo_check_metadata(const uint8_t *file, size_t len);

/* Asked of each record once: whether it says what the database is there for. */
typedef bool geo_check_answers(MMDB_entry_s *entry);

/* OK; E_INVALID: something is wrong with it; E_NOT_FOUND: no record answers; E_NOMEM. Blocking. */
MUST_USE enum status geo_check(MMDB_s *mmdb, geo_check_answers *answers);

#endif
