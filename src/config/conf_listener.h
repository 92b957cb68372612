/* SPDX-License-Identifier: Apache-2.0
 *
 * Where the gateway listens. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_LISTENER_H
#define CONFIG_CONF_LISTENER_H

#include "config/conf_tls.h"
#include "config/conf_trust.h"

struct conf_listener {
    struct span at;
    struct conf_address bind;
    struct conf_text health_path; /* empty: off */
    struct conf_tls tls;
    bool http2; /* by ALPN, and on plain connections by prior knowledge (RFC 9113 3.3) */
    enum conf_proxy_protocol proxy_protocol; /* every connection begins with such a header */
    struct conf_trust trust;                 /* what holds here */
    bool redirect_https; /* plain: answers with a redirect, but for health and ACME */
};

#endif
