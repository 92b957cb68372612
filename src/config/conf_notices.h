/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is told of deploys, rollbacks, health and budgets. Part of struct conf, see conf.h. In a
 * process that does not tell anybody, secrets are as they are written: see conf_world.
 */
#ifndef CONFIG_CONF_NOTICES_H
#define CONFIG_CONF_NOTICES_H

#include "config/conf_text.h"

enum conf_notice {
    CONF_NOTICE_DEPLOY,
    CONF_NOTICE_ROLLBACK,
    CONF_NOTICE_HEALTH,
    CONF_NOTICE_BUDGET
};

struct conf_notice_slack {
    struct conf_text url; /* secret */
    uint32_t on;          /* bits: 1 << enum conf_notice; as in the next ones */
};

struct conf_notice_webhook {
    struct conf_text url, secret; /* secret: of the HMAC; empty: not signed */
    struct conf_text ca;          /* file of PEM; empty: the system's */
    uint32_t on;
};

struct conf_notice_smtp {
    struct conf_text url, from;
    struct conf_texts to;            /* at least one */
    struct conf_text user, password; /* both empty: no login */
    struct conf_text ca;             /* as above */
    uint32_t on;
};

struct conf_notices {
    uint32_t window_ms; /* what comes within it is one message */
    uint32_t per_hour;  /* messages to each */
    bool has_slack, has_webhook, has_smtp;
    struct conf_notice_slack slack;
    struct conf_notice_webhook webhook;
    struct conf_notice_smtp smtp;
};

#endif
