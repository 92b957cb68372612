/* SPDX-License-Identifier: Apache-2.0
 *
 * What goes over the link between the supervisor and the control process, about apps: a unit is one
 * running instance of a release of a service. One SOCK_SEQPACKET pair; control asks, each ask is
 * answered once and at once, and the supervisor tells by itself when a unit changes. A start or a
 * stop is over when the unit's view says so.
 *
 * The supervisor may be root where control is not, so control says only which service, release and
 * unit, and words for the environment whose names begin with SLUICE_DEPLOY_. The command, the user,
 * the directory and the rest of the environment come from the configuration that the supervisor was
 * started with; ids have no characters with which a path could be led astray.
 *
 * Layouts have no padding and change only together with UNIT_MAGIC.
 */
#ifndef PROCESS_UNIT_WIRE_H
#define PROCESS_UNIT_WIRE_H

#include "sluice/types.h"

enum {
    UNIT_MAGIC = 0x534c5501, /* "SLU" and the version */
    UNIT_ID_SIZE = 64,       /* with the end, as all of these */
    UNIT_RELEASE_SIZE = 64,
    UNIT_SERVICE_SIZE = 132,
    UNIT_ENV_SIZE = 4096,
    UNIT_REASON_SIZE = 256,
    UNIT_TAIL_SIZE = 512,      /* of its output, in a view */
    UNIT_LOG_SIZE = 64 * 1024, /* of its output, that is kept */
    UNIT_VIEWS_MAX = 32,       /* in one message */
    UNIT_ENV_MAX = 32,         /* words in an ask */
    UNIT_GRACE_MAX_MS = 3600 * 1000,
};

enum unit_call { UNIT_START = 1, UNIT_STOP, UNIT_LIST, UNIT_LOG, UNIT_CALLS };

enum unit_state {
    UNIT_NONE,
    UNIT_STARTING, /* until its command is executed */
    UNIT_RUNNING,
    UNIT_STOPPING, /* it was told to end, or what it left behind was */
    UNIT_STOPPED,  /* ended as it was told, or by its own will with 0 */
    UNIT_FAILED,   /* ended otherwise, or could not be started: `fault` */
    UNIT_STATES,
};

struct unit_ask {
    uint32_t magic, call;
    uint64_t number;     /* comes back with the answer; not 0 */
    uint32_t grace_ms;   /* STOP: until SIGKILL */
    uint32_t is_removed; /* STOP: the unit is forgotten once it has ended */
    uint32_t from;       /* LIST: the place to begin at, 0 or `next` of an answer */
    uint32_t env_len;    /* START: bytes of env, the ends of its words included */
    char id[UNIT_ID_SIZE], release[UNIT_RELEASE_SIZE], service[UNIT_SERVICE_SIZE];
    char env[UNIT_ENV_SIZE]; /* START: "NAME=value", each ended by a NUL */
    uint32_t reserved;
};

struct unit_view {
    int64_t started_ms, changed_ms; /* Unix; the last start, the last change of state */
    uint64_t lived_ms;              /* of one that ended: from its last start to its end */
    char id[UNIT_ID_SIZE], release[UNIT_RELEASE_SIZE], service[UNIT_SERVICE_SIZE];
    uint32_t state;    /* enum unit_state */
    int32_t pid;       /* 0: it has ended */
    uint32_t port;     /* on 127.0.0.1 */
    uint32_t restarts; /* starts after the first */
    int32_t exit_code; /* -1: it did not exit */
    int32_t signal;    /* that ended it; 0: none */
    int32_t fault;     /* enum status: why its command could not be executed */
    uint32_t tail_len;
    char reason[UNIT_REASON_SIZE]; /* a sentence; empty: nothing to say */
    char tail[UNIT_TAIL_SIZE];     /* the last of its output, not terminated */
    uint32_t reserved;
};

/* Then come `count` views, or `len` bytes of a log. */
struct unit_head {
    uint32_t magic;
    int32_t status;  /* enum status; E_NOT_FOUND: of the STOP or LOG of an unknown unit */
    uint64_t number; /* of the ask; 0: nobody asked, the one view is news */
    uint32_t count;
    uint32_t len;
    uint32_t next; /* LIST: where the next ask begins; 0: this was all */
    uint32_t reserved;
    char error[UNIT_REASON_SIZE];
};

struct unit_message {
    struct unit_head head;
    union {
        struct unit_view views[UNIT_VIEWS_MAX];
        char log[UNIT_LOG_SIZE];
    };
};

_Static_assert(sizeof(struct unit_ask) == 36 + 260 + UNIT_ENV_SIZE, "no padding on the wire");
_Static_assert(sizeof(struct unit_view) == 60 + 260 + UNIT_REASON_SIZE + UNIT_TAIL_SIZE,
               "no padding on the wire");
_Static_assert(sizeof(struct unit_head) == 32 + UNIT_REASON_SIZE, "no padding on the wire");

/* Whether this is 1 to size - 1 of a-z, A-Z, 0-9, "-", "_" and ".", the first a letter, a digit or
 * "_", ended by a NUL within `size`. Of ids and releases. */
bool unit_is_id(const char *text, size_t size);
/* 1 to size - 1 bytes without control characters, ended within `size`. */
bool unit_is_name(const char *text, size_t size);
/* Whether all of an ask is as this header says. */
bool unit_is_ask(const struct unit_ask *ask);
/* The same of a message of `size` bytes. */
bool unit_is_message(const struct unit_message *message, size_t size);
/* How many bytes go on the wire. */
size_t unit_message_size(const struct unit_head *head);

#endif
