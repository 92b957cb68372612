/* SPDX-License-Identifier: Apache-2.0
 *
 * The admin port: addresses, and tokens with their rights. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_ADMIN_H
#define CONFIG_CONF_ADMIN_H

#include "config/conf_tls.h"

enum conf_right { CONF_CAN_READ, CONF_CAN_OPERATE, CONF_CAN_DEPLOY, CONF_CAN_APPROVE };

struct conf_token {
    struct conf_text name, token;
    uint32_t can; /* bits: 1 << enum conf_right; read is implied by any */
};

struct conf_admin {
    struct span at;
    struct conf_address bind;
    struct conf_text socket; /* empty in the file: <state>/admin.sock */
    struct conf_token *tokens;
    uint32_t token_count;
    struct conf_address metrics; /* host and port empty: off */
    struct conf_certificate tls; /* of `bind`, unless that is a unix socket */
    bool is_tls;
};

#endif
