/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of control's API: a call, and the endpoints of rest/control.def.
 */
#ifndef CONTROL_CONTROL_API_IMPL_H
#define CONTROL_CONTROL_API_IMPL_H

#include "control/control_api.h"
#include "config/conf.h"
#include "control/deploy/splits.h"
#include "rest/rest.h"

struct control_call {
    struct rest_call rest; /* first */
    struct control_api *api;
    struct str actor; /* who asks, as the edge says */
    uint32_t can;     /* rights: 1 << enum conf_right */
    void (*run)(struct control_call *call);
    union { /* the endpoint's own */
        struct store_read read;
        struct store_copy copy;
        struct store_put put;
        struct deploys_waiter deploy;
        struct key_set_change key;
        struct splits_change split;
    } job;
    int fd;          /* of the copy that is sent */
    int64_t at;      /* how far */
    uv_fs_t reading; /* the next piece of it */
    char *piece;
    bool is_reading;
    bool is_dry;                /* what is asked for is only planned */
    char key[API_KEY_TEXT + 1]; /* that is made, for whoever asked for it */
};

/* Tags of ports: the edge's way here, and those that control has of its own. */
enum { CONTROL_EDGE_DOOR, CONTROL_OWN_DOOR };

struct control_doors {
    struct arena arena;                      /* of conf */
    struct conf_admin conf;                  /* who may ask: tokens, and the host of `bind` */
    char bind[REST_BIND], socket[REST_BIND]; /* that are served; empty: none */
};

struct control_api {
    struct control_api_options options;
    struct rest_server server;
    struct control_doors doors;
    bool serves_edge;
    uint64_t started_ms; /* wall clock */
};

/* Answers that a job of the store failed. */
void control_api_fail(struct control_call *call, const struct store_job *job);

/* --- control_api_keys.c */
/* Answers what is for all edges while nothing is known yet, of keys or of edges. */
void control_api_refuse_early(struct control_call *call);
/* Answers that something has come to all edges, or to all but those `lacking` (NULL: none), with
 * 202. Takes both. */
void control_api_reply_spread(struct control_call *call, unsigned status, json_t *json,
                              json_t *lacking);

/* --- control_api_listen.c */
/* Serves at an address; what is wrong with it is said. */
bool control_api_serve(struct control_api *api, const char *bind, unsigned tag);
/* Ends control's own doors. */
void control_api_shut(struct control_api *api);
/* Who asks at one of them; fills call->can and call->actor, unless it is open to all. False: it was
 * refused. */
bool control_api_admit(struct control_call *call, bool is_open);
/* Whether that is enough, at any door. False: it was refused. */
bool control_api_permit(struct control_call *call, enum conf_right right);
/* /healthz and /readyz. */
void control_api_reload(struct control_call *call);
void control_api_alive(struct control_call *call);
void control_api_ready(struct control_call *call);
/* The dashboard's files. */
void control_api_page(struct control_call *call);
/* Who asks, by which cookie; one for a token, and its end. */
void control_api_session_get(struct control_call *call);
void control_api_session_begin(struct control_call *call);
void control_api_session_end(struct control_call *call);

/* The endpoints: each gets a call whose body is whole, and answers it exactly once. */
#define CONTROL(method, path, right, run) void run(struct control_call *call);
#define FLEET(method, path, right, run, edge) void run(struct control_call *call);
#include "rest/control.def"
#include "rest/fleet.def"
#undef CONTROL
#undef FLEET

#endif
