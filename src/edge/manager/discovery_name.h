/* SPDX-License-Identifier: Apache-2.0
 *
 * DNS records as targets: ids that stay, weights and priorities within the configuration's ranges,
 * regions where they are known. Pure.
 */
#ifndef EDGE_MANAGER_DISCOVERY_NAME_H
#define EDGE_MANAGER_DISCOVERY_NAME_H

#include "edge/found.h"
#include "edge/upstream/dns_answer.h"
#include "edge/upstream/dns_fly.h"

enum { DISCOVERY_WEIGHT_MAX = 1000, DISCOVERY_PRIORITY_MAX = 15 };

/* Where the machine with this address runs. */
struct discovery_region {
    struct in6_addr address;
    char region[DNS_FLY_REGION_MAX + 1];
};

/* Settled records as targets, at most BALANCER_TARGETS_MAX. An address is "ADDR:PORT", and so is
 * the id; of SRV records the id is "host:port", with "@ADDR" behind where that host has several
 * addresses. Priorities are ranked from 0, weights scaled when they do not fit, 0 is 1. What has no
 * address or port is left out. NULL: memory. */
struct found_list *discovery_name(const struct dns_record *records, uint32_t count);
/* The same list with the regions of those addresses. NULL: memory. */
struct found_list *discovery_name_regions(const struct found_list *list,
                                          const struct discovery_region *regions, uint32_t count);

#endif
