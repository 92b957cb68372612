/* SPDX-License-Identifier: Apache-2.0
 *
 * In which regions the machines of a Fly.io app run: the TXT record of vms.APP.internal names
 * machines and regions, ID.vm.APP.internal has a machine's address. Asked beside the addresses
 * themselves, which never wait for it; what cannot be found out stays without a region. The loop's
 * thread.
 */
#ifndef EDGE_MANAGER_DISCOVERY_FLY_H
#define EDGE_MANAGER_DISCOVERY_FLY_H

#include "edge/manager/discovery_name.h"
#include "edge/upstream/resolver.h"

enum { DISCOVERY_FLY_MACHINES_MAX = 64 };

struct discovery_fly;

/* Whether the name is one of Fly's, and addresses in its private network are among the records. */
bool discovery_fly_is_meant(struct str name, const struct dns_record *records, uint32_t count);

/* `name` is APP.internal, or one that ends so; `on_regions` is called from the loop when more is
 * known. NULL: memory. */
struct discovery_fly *discovery_fly_open(struct resolver *resolver, struct str name,
                                         void (*on_regions)(void *owner), void *owner);
/* Before the resolver is closed. Clears the pointer; it may be NULL. */
void discovery_fly_close(struct discovery_fly **fly);
/* Asks which machines there are now, unless that is under way. */
void discovery_fly_ask(struct discovery_fly *fly);
/* What is known, at most DISCOVERY_FLY_MACHINES_MAX into `regions`; how many. */
uint32_t discovery_fly_regions(const struct discovery_fly *fly, struct discovery_region *regions);

#endif
