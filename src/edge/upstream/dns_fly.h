/* SPDX-License-Identifier: Apache-2.0
 *
 * The text that Fly.io's DNS gives for vms.APP.internal: the app's machines and their regions,
 * "148e21 iad,3d8dd9 fra". Pure; any thread.
 */
#ifndef EDGE_UPSTREAM_DNS_FLY_H
#define EDGE_UPSTREAM_DNS_FLY_H

#include "sluice/types.h"

enum { DNS_FLY_ID_MAX = 64, DNS_FLY_REGION_MAX = 16 };

/* Both are letters, digits and '-', and point into the text. */
struct dns_fly_machine {
    struct str id, region;
};

/* The machines of `text` into `machines`, which has room for `max`: how many. What has another
 * shape or is too long is left out, as is what does not fit. */
uint32_t dns_fly_parse(struct str text, struct dns_fly_machine *machines, uint32_t max);

#endif
