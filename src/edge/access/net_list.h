/* SPDX-License-Identifier: Apache-2.0
 *
 * Networks as people write them, in the configuration or one a line in a file, turned into a set.
 * `#` and `;` begin comments in files. Builder thread.
 */
#ifndef EDGE_ACCESS_NET_LIST_H
#define EDGE_ACCESS_NET_LIST_H

#include "config/conf_text.h"
#include "edge/access/nets.h"

/* Networks of one value. */
struct net_list {
    const struct conf_texts *texts;
    const struct conf_text *file; /* its path; empty: none */
    uint8_t value;
};

/* All lists as one set in `arena`. NULL with errors in `diag`. */
const struct nets *net_list_read(const struct net_list *lists, size_t count, struct arena *arena,
                                 struct diag *diag);

#endif
