/* SPDX-License-Identifier: Apache-2.0
 *
 * The control process: which edges beside that of this machine it serves. Part of struct conf, see
 * conf.h.
 */
#ifndef CONFIG_CONF_CONTROL_H
#define CONFIG_CONF_CONTROL_H

#include "config/conf_text.h"

struct conf_edge {
    struct conf_text name;
    struct conf_text url;   /* of its admin port: https://, http:// on loopback, or unix:/path */
    struct conf_text token; /* secret; empty: none */
    struct conf_text ca;    /* bundle that its certificate must come from; empty: the system's */
};

struct conf_control {
    struct conf_edge *edges;
    uint32_t edge_count;
};

#endif
