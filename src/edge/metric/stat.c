/* SPDX-License-Identifier: Apache-2.0
 *
 * What one block of numbers is made of: the status codes it counts and the histogram's edges.
 * Called by workers on the way of a request; pure but for the caller's block. The series are in
 * stats.c.
 */
#include "edge/metric/stat.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "base/random.h"

/* clang-format off */
#define CODES(CODE) \
    CODE(100) CODE(101) CODE(103) CODE(200) CODE(201) CODE(202) CODE(203) CODE(204) \
    CODE(205) CODE(206) CODE(207) CODE(208) CODE(226) CODE(300) CODE(301) CODE(302) \
    CODE(303) CODE(304) CODE(307) CODE(308) CODE(400) CODE(401) CODE(402) CODE(403) \
    CODE(404) CODE(405) CODE(406) CODE(407) CODE(408) CODE(409) CODE(410) CODE(411) \
    CODE(412) CODE(413) CODE(414) CODE(415) CODE(416) CODE(417) CODE(421) CODE(422) \
    CODE(423) CODE(424) CODE(425) CODE(426) CODE(428) CODE(429) CODE(431) CODE(451) \
    CODE(499) CODE(500) CODE(501) CODE(502) CODE(503) CODE(504) CODE(505) CODE(506) \
    CODE(507) CODE(508) CODE(511)
/* clang-format on */

enum code_index {
#define CODE(n) INDEX_##n,
    CODES(CODE)
#undef CODE
        INDEX_CLASSES
};

_Static_assert(INDEX_CLASSES + 5 == STAT_CODES, "known codes and five classes fill codes[]");

/* Index + 1 by status code; 0: not known. */
static const uint8_t index_of[600] = {
#define CODE(n) [n] = INDEX_##n + 1,
    CODES(CODE)
#undef CODE
};

static const char labels[STAT_CODES][4] = {
#define CODE(n) #n,
    CODES(CODE)
#undef CODE
        "1xx",
    "2xx", "3xx", "4xx", "5xx"};

const uint32_t stat_edges_us[STAT_BUCKETS - 1] = {500,     1000,    2500,     5000,    10000,
                                                  25000,   50000,   100000,   150000,  200000,
                                                  300000,  500000,  750000,   1000000, 1500000,
                                                  2500000, 5000000, 10000000, 30000000};

unsigned stat_code_index(unsigned status)
{
    if (status < 100 || status >= 600)
        return STAT_CODES - 1;
    return index_of[status] ? index_of[status] - 1u : INDEX_CLASSES + status / 100 - 1;
}

const char *stat_code_label(unsigned index)
{
    return labels[index < STAT_CODES ? index : STAT_CODES - 1];
}

void stat_observe(struct stat_histogram *histogram, uint64_t us)
{
    unsigned bucket = 0;
    while (bucket < STAT_BUCKETS - 1 && us > stat_edges_us[bucket])
        bucket++;
    stat_add(&histogram->buckets[bucket], 1);
    stat_add(&histogram->sum_us, us);
}

unsigned stat_client_group(struct str service, uint64_t client)
{
    return (unsigned)(random_mix(client ^ XXH3_64bits(service.p, service.len)) % STAT_CLIENTS);
}
