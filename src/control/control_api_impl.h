/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by the files of control's API: a call, and the endpoints of rest/control.def.
 */
#ifndef CONTROL_CONTROL_API_IMPL_H
#define CONTROL_CONTROL_API_IMPL_H

#include "control/control_api.h"
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
    } job;
    int fd;          /* of the copy that is sent */
    int64_t at;      /* how far */
    uv_fs_t reading; /* the next piece of it */
    char *piece;
    bool is_reading;
    bool is_dry; /* what is asked for is only planned */
};

struct control_api {
    struct control_api_options options;
    struct rest_server server;
    uint64_t started_ms; /* wall clock */
};

/* Answers that a job of the store failed. */
void control_api_fail(struct control_call *call, const struct store_job *job);

/* The endpoints: each gets a call whose body is whole, and answers it exactly once. */
#define CONTROL(method, path, right, run) void run(struct control_call *call);
#include "rest/control.def"
#undef CONTROL

#endif
