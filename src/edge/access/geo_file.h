/* SPDX-License-Identifier: Apache-2.0
 *
 * A database file that is read again when it changes. Workers look things up in what was read last,
 * without waiting: each says in a slot of its own which one it looks at, and an old one is freed
 * when no slot has it. Counted; what counts references may be on any thread.
 */
#ifndef EDGE_ACCESS_GEO_FILE_H
#define EDGE_ACCESS_GEO_FILE_H

#include "edge/access/geo_db.h"

struct geo_file; /* private */

/* With one reference. NULL with words; as geo_db_open(). Blocking. */
struct geo_file *geo_file_open(struct str path, enum geo_kind kind, char error[GEO_ERROR_SIZE]);
void geo_file_ref(struct geo_file *file);
void geo_file_unref(struct geo_file **file);
bool geo_file_is(const struct geo_file *file, struct str path, enum geo_kind kind);

/* Reads it again when two calls have seen the same change, and says so on stderr; one that is
 * damaged or gone is reported once, and the one before serves on. Blocking; one thread at a time.
 */
void geo_file_look(struct geo_file *file);

/* Worker thread `worker`: as geo_db_country() and geo_db_asn(). */
bool geo_file_country(struct geo_file *file, unsigned worker, const uint8_t ip[IP_LEN],
                      char country[GEO_COUNTRY_LEN]);
uint32_t geo_file_asn(struct geo_file *file, unsigned worker, const uint8_t ip[IP_LEN]);

#endif
