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

enum conf_fly_rest { CONF_FLY_STOP, CONF_FLY_SUSPEND };

/* Instances are machines of one app at Fly.io, reached over its private network (6PN). */
struct conf_fly {
    bool is_set;
    struct span at;
    struct conf_text app;
    struct conf_texts regions; /* none: that of the machine that is cloned */
    struct conf_text token;    /* expanded only where conf_world says so; else as written */
    struct conf_text api;      /* URL without a slash at its end */
    struct conf_text like;     /* "live", or the path of a fly.toml */
    struct conf_text group;    /* process group that is cloned */
    uint16_t port;             /* where a machine answers */
    uint32_t grace_ms;         /* from the signal to the kill */
    uint32_t instances;        /* where nothing else says how many */
    enum conf_fly_rest rest;   /* what becomes of one that goes to sleep */
};

enum { CONF_RAILWAY_SERVICES = 2 };

struct conf_railway_region {
    struct conf_text name;
    uint32_t replicas;
};

/* A release is a deployment of one of the services, at Railway. */
struct conf_railway {
    bool is_set;
    struct span at;
    struct conf_text project, environment; /* ids */
    struct conf_texts services;            /* one, or a pair that releases take in turn */
    struct conf_text token; /* expanded only where conf_world says so; else as written */
    enum { CONF_TOKEN_PROJECT, CONF_TOKEN_ACCOUNT } token_type;
    enum { CONF_PLAN_FREE, CONF_PLAN_HOBBY, CONF_PLAN_PRO } plan;
    struct conf_text api;
    struct conf_text image; /* empty: each deploy names one; ${release} stands for the id */
    uint16_t port;
    struct conf_railway_region *regions; /* none: as it is set there */
    uint32_t region_count;
    struct conf_text health_path; /* empty: off */
    uint32_t health_ms, overlap_ms, drain_ms;
    enum { CONF_RESTART_ON_FAILURE, CONF_RESTART_ALWAYS, CONF_RESTART_NEVER } restart;
    uint32_t restarts;    /* with on_failure */
    uint32_t deadline_ms; /* of a deployment */
    uint32_t timeout_ms;  /* of a call */
};

struct conf_provider {
    bool is_set;
    struct span at;
    struct conf_process process;
    struct conf_fly fly;
    struct conf_railway railway;
};

/* How many instances run where nothing else says so; 0: it has none. */
uint32_t conf_provider_instances(const struct conf_provider *provider);

#endif
