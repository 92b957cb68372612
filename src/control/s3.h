/* SPDX-License-Identifier: Apache-2.0
 *
 * Backups in a store that speaks S3: where they are, how they are called, and calls of it, which
 * are signed. Called by backups.c, and by `sluice restore`. Control's one thread, or the command's.
 */
#ifndef CONTROL_S3_H
#define CONTROL_S3_H

#include <jansson.h>

#include "control/outbound.h"

enum { S3_URL = 1024, S3_NAME = 64, S3_TOKEN = 1024, S3_ERROR = 400 };

struct s3_place {
    char bucket[S3_URL];               /* "https://host/bucket", or "https://bucket.host" */
    char prefix[256];                  /* of the names: "", or ends in a slash */
    char object[S3_NAME];              /* the one that the URL names; empty: it names none */
    const char *region, *key, *secret; /* borrowed, as the next one */
    const char *ca;                    /* NULL: the system's */
};

/* Reads "s3://BUCKET[/PREFIX]" or "https://ENDPOINT/BUCKET[/PREFIX]"; what ends like a backup's
 * name is one. `region` and the rest are set already. NULL: good; else what is wrong, static. */
const char *s3_place_read(struct s3_place *place, struct str url);

/* "control-20261128T103129Z.db", of a time, Unix: the newest is the last by name. */
void s3_name(int64_t now_ms, char name[S3_NAME]);
bool s3_is_name(const char *name);
/* The time in a name; 0: it is none. */
int64_t s3_name_ms(const char *name);
/* The last by name; NULL: there is none. Of the list. */
const char *s3_newest(const json_t *names);

struct s3_call {
    const char *method;
    const char *name;   /* of an object, without prefix; NULL: the list */
    const char *token;  /* of the list's next page; NULL: the first one */
    struct str body;    /* absent: none */
    const char *sha256; /* of the body, in hex; NULL: it has none */
    uint32_t timeout_ms, size_max;
    void (*done)(void *owner, const struct outbound_reply *reply);
    void *owner;
};
/* As outbound_send(). */
struct outbound_call *s3_send(struct outbound *outbound, const struct s3_place *place,
                              const struct s3_call *call);

/* The names of the backups in a page of the list are added to an array of texts; `token` is that of
 * the next page, empty: there is none. False: it is no list. */
bool s3_read_list(struct str page, const struct s3_place *place, json_t *names,
                  char token[S3_TOKEN]);
/* Why a call failed, as a sentence without full stop. */
void s3_explain(const struct outbound_reply *reply, char error[S3_ERROR]);

#endif
