/* SPDX-License-Identifier: Apache-2.0
 *
 * The contract of a provider: where the units of a service run. A unit is one running instance of a
 * release: a process on this machine, a machine at Fly, a deployment at Railway. A provider does
 * and tells; when, how many and what then is decided by whoever calls, so it restarts nothing by
 * itself.
 *
 * Calls are asynchronous: each ends in exactly one completion, from the loop, never from within it;
 * close() ends those under way as PROVIDER_TRANSIENT before it returns. What a platform needs
 * besides (leases, launch ids, cordons, waiting out its passing states, its rate limits) is the
 * provider's own business: a call ends when what it asks for is so, or cannot be. After a crash of
 * the caller the same call may come again: start and stop are idempotent on the unit's id, which
 * the caller chose and keeps. For lack of memory alone a call may end within.
 *
 * Control's one thread.
 */
#ifndef SLUICE_PROVIDER_H
#define SLUICE_PROVIDER_H

#include "sluice/types.h"

struct conf_service;
struct outbound;
struct unit_client;

/* Of an id and of a release: 1 to 63 of a-z, A-Z, 0-9, "_", "-" and "."; "." and "-" not first. */
enum { PROVIDER_ID_MAX = 63 };

enum provider_fault {
    PROVIDER_OK,
    PROVIDER_TRANSIENT,    /* the same call may succeed soon: lost, throttled, busy */
    PROVIDER_PERMANENT,    /* it will not, until somebody changes something */
    PROVIDER_CAPACITY,     /* no room: try less, elsewhere or later, and do not hammer */
    PROVIDER_UNAUTHORIZED, /* the token or the user may not */
    PROVIDER_UNSUPPORTED,  /* the platform cannot do this at all */
};

enum provider_state {
    PROVIDER_STARTING, /* not yet executed; whether it answers is for health checks to ask */
    PROVIDER_RUNNING,
    PROVIDER_STOPPING,
    PROVIDER_STOPPED, /* as it was told, or by its own will; may be started again */
    PROVIDER_FAILED,  /* crashed, or could not be started; may be started again */
};

/* What a platform can; a plan looks before it promises. */
enum provider_ability {
    PROVIDER_IMAGES = 1 << 0,       /* a release is an image, named in the spec */
    PROVIDER_REGIONS = 1 << 1,      /* a unit can be placed */
    PROVIDER_RESTS = 1 << 2,        /* one that rests starts much faster than a new one */
    PROVIDER_SIDE_BY_SIDE = 1 << 3, /* units of two releases can run at once */
    PROVIDER_REPLACES = 1 << 4, /* it can end the units before when a new one is there, by itself */
};

struct provider_word {
    const char *name, *value;
};

/* What is to run. Texts are borrowed for the call alone. */
struct provider_spec {
    const char *id, *release;
    const char *image, *region; /* NULL: as the configuration says */
    const struct provider_word *env;
    uint32_t env_count; /* beside what the configuration says */
};

struct provider_stop {
    const char *id;
    uint32_t grace_ms; /* 0: as the configuration says */
    bool is_removed;   /* it is not started again: no trace of it need stay. Else it rests */
    bool may_freeze;   /* it rests, and may go on where it was; not one that is to begin anew */
};

struct provider_unit {
    const char *id, *service, *release;
    const char *handle;  /* what the platform calls it: a machine's id, a pid; NULL: nothing now */
    const char *region;  /* NULL: none */
    const char *address; /* "host:port" where it answers; NULL: not known, or nowhere */
    enum provider_state state;
    enum provider_fault fault; /* FAILED: why it could not be started; OK: it ran */
    const char *reason;        /* of the fault, or what the platform says; NULL: nothing */
    int exit_code;             /* -1: it did not exit, or it is not known */
    int signal;                /* that ended it; 0: none */
    uint32_t restarts;         /* starts after the first */
    int64_t started_ms;        /* Unix; the last start. 0: not known */
    int64_t since_ms;          /* Unix; in this state */
    uint64_t lived_ms;         /* of one that ended, from its last start */
    struct str tail;           /* the last of what it printed; absent: not known */
};

/* What a deploy will ask for. Texts are borrowed for the call alone. */
struct provider_intent {
    const char *release, *image, *old; /* NULL: image as configured; nothing serves now */
    uint32_t units;                    /* of the new one */
    bool is_side_by_side, is_warm;     /* both run at once; the old one is kept afterwards */
    bool is_platform; /* starting the new one ends the old one, as the platform does it */
};

/* How a call ended. Valid during the completion. */
struct provider_result {
    enum provider_fault fault;
    const char *reason, *warning;      /* sentences; NULL: all went well; nothing is amiss */
    uint32_t retry_ms;                 /* not sooner; 0: the platform did not say */
    const struct provider_unit *units; /* start, stop: the one, or none; list: all of the service */
    uint32_t unit_count;
    struct str log; /* of log(); of plan(): lines to be shown, what differs and what to mind */
};

struct provider_call {
    void (*done)(void *owner, const struct provider_result *result);
    void *owner;
};

/* Borrowed, and outlives them. */
struct provider_env {
    struct unit_client *units; /* the link to the supervisor; NULL: there is none */
    struct outbound *outbound;
    /* A unit is another than before: a hint, where a platform tells. May be NULL. */
    void (*on_unit)(void *owner, const struct provider_unit *unit);
    void *owner;
};

struct provider {
    const char *name;   /* its key in `provider:` */
    uint32_t abilities; /* enum provider_ability */
    /* For one service, which outlives it. E_INVALID: it has another provider; E_NOMEM. */
    enum status (*open)(const struct provider_env *env, const struct conf_service *service,
                        void **self);
    /* The unit was executed; one that ended again at once is no fault: its state says so. One that
     * runs already is fine; one that ended is started again. Of another release under the same id:
     * PERMANENT. While it stops: TRANSIENT. */
    void (*start)(void *self, const struct provider_spec *spec, struct provider_call call);
    /* The unit has ended afterwards: it was told, had its grace, and was killed then. An unknown
     * one is fine: no unit comes with the result then. */
    void (*stop)(void *self, const struct provider_stop *stop, struct provider_call call);
    /* All units that the platform knows, those that ended too. */
    void (*list)(void *self, struct provider_call call);
    /* PERMANENT: it is unknown. */
    void (*log)(void *self, const char *id, struct provider_call call);
    /* Whether it can, as it is set now. UNSUPPORTED, PERMANENT: not, and why. NULL: always. */
    void (*plan)(void *self, const struct provider_intent *intent, struct provider_call call);
    /* What runs goes on running. Not from within a completion. */
    void (*close)(void **self);
};

extern const struct provider *const provider_registry[]; /* NULL-terminated */
/* That of a service; NULL: it has none. */
const struct provider *provider_of(const struct conf_service *service);

#endif
