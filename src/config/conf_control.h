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

/* A store that speaks S3. As in struct conf_notices, secrets are as they are written in a process
 * that does not use them. */
struct conf_backup {
    struct conf_text url, region, key, secret;
    struct conf_text ca; /* file of PEM; empty: the system's */
    uint32_t every_ms, keep;
};

struct conf_control {
    struct conf_edge *edges;
    uint32_t edge_count;
    struct conf_text edge_config; /* a file; empty: edges have their own */
    uint32_t effect_after_ms;     /* 0: off */
    bool has_backup;
    struct conf_backup backup;
};

#endif
