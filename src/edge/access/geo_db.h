/* SPDX-License-Identifier: Apache-2.0
 *
 * One database of addresses in memory (MaxMind DB format, by libmaxminddb): the country of an
 * address, or the network (autonomous system) it belongs to. The file is copied when it is opened,
 * so that nobody can cut it short under our feet, and looked through from end to end: what is
 * damaged is refused then. Immutable; lookups from any thread.
 */
#ifndef EDGE_ACCESS_GEO_DB_H
#define EDGE_ACCESS_GEO_DB_H

#include "base/ip.h"

struct geo_db; /* private */

enum geo_kind { GEO_COUNTRY, GEO_ASN };

enum { GEO_ERROR_SIZE = 160, GEO_COUNTRY_LEN = 2 };

/* NULL with what is wrong in words, a NUL at their end. Blocking, up to seconds for a large one. */
struct geo_db *geo_db_open(const char *path, enum geo_kind kind, char error[GEO_ERROR_SIZE]);
void geo_db_close(struct geo_db **db);

/* ISO 3166-1 alpha-2, in capitals. False: not known. */
bool geo_db_country(const struct geo_db *db, const uint8_t ip[IP_LEN],
                    char country[GEO_COUNTRY_LEN]);
/* 0: not known. */
uint32_t geo_db_asn(const struct geo_db *db, const uint8_t ip[IP_LEN]);

#endif
