/* SPDX-License-Identifier: Apache-2.0
 *
 * What Railway says of our services, as one look has it, and what units are in it. Pure.
 *
 * A service holds units: those that were put into it, the newest first. A deployment of the service
 * belongs to the unit before which it was not there yet, so one that the platform makes by itself
 * (it moves what runs between hosts) is the unit's too.
 */
#ifndef CONTROL_PROVIDER_RAILWAY_STATE_H
#define CONTROL_PROVIDER_RAILWAY_STATE_H

#include <jansson.h>

#include "config/conf.h"
#include "sluice/provider.h"

enum { RAILWAY_HOLDS = 4, RAILWAY_DEPLOYMENTS = 10, RAILWAY_TEXT = 256 };

/* Of a variable of the service, in which its units are written. */
extern const char railway_mark[];

enum railway_life {
    RAILWAY_NONE,    /* there is no deployment */
    RAILWAY_WAITING, /* it can be cancelled; an unknown state is taken for it */
    RAILWAY_COMING,  /* not yet serving */
    RAILWAY_SERVING,
    RAILWAY_ASLEEP, /* it serves when it is woken */
    RAILWAY_HALTED, /* its instances were stopped */
    RAILWAY_LEAVING,
    RAILWAY_GONE, /* removed, or never begun */
    RAILWAY_FAILED,
    RAILWAY_CRASHED,
};

struct railway_deployment {
    char id[64], status[24];
    char image[RAILWAY_TEXT]; /* empty: not told */
    enum railway_life life;
    int64_t created_ms, since_ms; /* Unix; in this state */
};

struct railway_hold {
    char unit[PROVIDER_ID_MAX + 1], release[PROVIDER_ID_MAX + 1];
    int64_t before_ms; /* Unix, the platform's clock: its deployments are newer */
    uint32_t starts;
};

struct railway_service {
    const char *id; /* borrowed from the configuration */
    char name[64], domain[RAILWAY_TEXT];
    struct railway_hold holds[RAILWAY_HOLDS]; /* newest first */
    uint32_t hold_count;
    struct railway_deployment deployments[RAILWAY_DEPLOYMENTS]; /* newest first */
    uint32_t deployment_count;
    const json_t *instance; /* its settings; the state's */
    const json_t *config;   /* more of them; NULL: not asked for, or none */
    char volume[64];        /* where one is mounted; empty: none */
};

struct railway_state {
    struct railway_service services[CONF_RAILWAY_SERVICES];
    uint32_t count;
    bool is_full;     /* config and volumes were asked for */
    json_t *data;     /* owned; without variables, which are secrets */
    char uneven[160]; /* names of variables that one of the pair has and the other has not */
};

/* From the data of a look; takes `data`. False: it is not understood, or no memory. */
bool railway_state_read(struct railway_state *state, const struct conf_railway *conf, json_t *data);
void railway_state_free(struct railway_state *state);
/* A date of the platform in Unix milliseconds; 0: it is none. */
int64_t railway_time(const char *text);

/* Where a unit is. */
struct railway_place {
    const struct railway_service *service; /* NULL: it is unknown */
    uint32_t at;                           /* in its holds */
};
struct railway_place railway_find(const struct railway_state *state, const char *unit);
/* The deployment that says how the unit is; NULL: there is none. */
const struct railway_deployment *railway_current(struct railway_place place);
/* One of the unit that still runs or is about to, the newest first; NULL: there is none. */
const struct railway_deployment *railway_running(struct railway_place place);
/* Whether another unit than this one runs in the service, or is about to. */
bool railway_is_taken(const struct railway_service *service, const char *unit);
/* A deployment that serves and that is no unit's; NULL: there is none. */
const struct railway_deployment *railway_stranger(const struct railway_service *service);
/* When the newest deployment was made; 0: there is none. */
int64_t railway_newest_ms(const struct railway_service *service);
/* The holds as they are written into the variable; NULL: no memory. The caller's, to be freed. */
char *railway_mark_text(const struct railway_hold *holds, uint32_t count);

/* A unit in the words of the contract; `shown` owns what it points to beside the state. */
struct railway_shown {
    struct provider_unit unit;
    char address[RAILWAY_TEXT + 8], reason[192];
};
void railway_show(struct railway_shown *shown, struct railway_place place,
                  const struct conf_service *service);

#endif
