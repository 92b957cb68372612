/* SPDX-License-Identifier: Apache-2.0
 *
 * The provider of a service: who runs its instances, and how. Part of struct conf, see conf.h.
 */
#ifndef CONFIG_CONF_PROVIDER_H
#define CONFIG_CONF_PROVIDER_H

#include "config/conf_text.h"

/* Instances are processes on this machine, children of the supervisor. */
struct conf_process {
    bool is_set;
    struct span at;
    struct conf_texts command;  /* at least one; ${release} stands for the release's id */
    struct conf_text directory; /* as in command; empty: that of the supervisor */
    struct conf_text user;      /* empty: that of the gateway */
    struct conf_pairs env;      /* expanded only where conf_world says so; else as written */
    struct conf_text port_env;  /* empty: none */
    uint32_t grace_ms;          /* from SIGTERM to SIGKILL */
    struct {
        uint32_t files;  /* open ones; CONF_AUTO: as the supervisor has */
        uint64_t memory; /* bytes of data of each process; 0 off */
    } limits;
    uint32_t instances; /* where nothing else says how many */
};

/* Instances are machines of one app at Fly.io, reached over its private network (6PN). */
struct conf_fly {
    bool is_set;
    struct span at;
    struct conf_text app;
    struct conf_texts regions; /* none: that of the machine that is cloned */
    struct conf_text token;    /* expanded only where conf_world says so; else as written */
    struct conf_text api;      /* URL without a slash at its end */
    struct conf_text like;     /* "live" */
    struct conf_text group;    /* process group that is cloned */
    uint16_t port;             /* where a machine answers */
    uint32_t grace_ms;         /* from the signal to the kill */
    uint32_t instances;        /* where nothing else says how many */
};

struct conf_provider {
    bool is_set;
    struct span at;
    struct conf_process process;
    struct conf_fly fly;
};

/* How many instances run where nothing else says so; 0: it has none. */
uint32_t conf_provider_instances(const struct conf_provider *provider);

#endif
