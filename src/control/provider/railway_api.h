/* SPDX-License-Identifier: Apache-2.0
 *
 * The GraphQL API of Railway: what we ask of it, and what its answers mean. Owns nothing but the
 * header with the token. Control's one thread.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_API_H
#define CONTROL_PROVIDER_RAILWAY_API_H

#include <jansson.h>

#include "config/conf.h"
#include "control/outbound.h"
#include "sluice/provider.h"

enum railway_query {
    RAILWAY_ASK_LOOK,
    RAILWAY_ASK_MARK,
    RAILWAY_ASK_CONFIGURE,
    RAILWAY_ASK_DEPLOY,
    RAILWAY_ASK_CANCEL,
    RAILWAY_ASK_REMOVE,
    RAILWAY_ASK_LOG,
    RAILWAY_ASK_EVENTS,
};

struct railway_api {
    struct outbound *outbound;
    const char *url; /* borrowed */
    char *token;     /* a header's line */
    uint32_t timeout_ms;
};

/* E_NOMEM. */
MUST_USE enum status railway_api_init(struct railway_api *api, struct outbound *outbound,
                                      const struct conf_railway *conf);
void railway_api_fini(struct railway_api *api);

struct railway_ask {
    enum railway_query query;
    json_t *variables; /* taken */
    void (*done)(void *owner, const struct outbound_reply *reply);
    void *owner;
};
/* NULL: no memory. */
struct outbound_call *railway_api_send(const struct railway_api *api,
                                       const struct railway_ask *ask);

struct railway_answer {
    enum provider_fault fault;
    bool is_unsure;    /* what was asked for may have been done all the same */
    uint32_t retry_ms; /* not sooner; 0: it was not said */
    json_t *data;      /* owned; NULL: none */
    char reason[320];
};
void railway_api_read(const struct outbound_reply *reply, struct railway_answer *answer);

#endif
