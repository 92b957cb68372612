/* SPDX-License-Identifier: Apache-2.0
 *
 * Which requests are traced, and where their spans go. Part of struct conf, see conf.h. In a
 * process that sends none, `headers` are as they are written: see conf_world.
 */
#ifndef CONFIG_CONF_TRACES_H
#define CONFIG_CONF_TRACES_H

#include "config/conf_text.h"

struct conf_traces {
    struct conf_text endpoint; /* base of the URL, to which /v1/traces is added */
    struct conf_pairs headers; /* secret: sent along */
    struct conf_text ca;       /* file of PEM; empty: the system's */
    struct conf_text service;  /* service.name of the spans */
    uint32_t sample_ppm;       /* of requests for which nobody decided before; parts per million */
    uint32_t slow_ms;          /* what takes longer is always told of; 0: off */
};

#endif
