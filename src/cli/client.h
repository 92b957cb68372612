/* SPDX-License-Identifier: Apache-2.0
 *
 * The command line as a client of the admin API: common options, one call, one way to tell what
 * went wrong. Single-threaded, blocking.
 */
#ifndef CLI_CLIENT_H
#define CLI_CLIENT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

enum {
    CLIENT_OK = 0,
    CLIENT_FAILED = 1,
    CLIENT_USAGE = 2,
    CLIENT_UNREACHABLE = 3,
    CLIENT_WAITS = 4, /* for a person */
};

/* --admin URL (http[s]://host:port or unix:/path), --token T, --ca FILE, --json; from SLUICE_ADMIN,
 * SLUICE_TOKEN and SLUICE_ADMIN_CA where not written; else the socket in ./state, else the one in
 * /var/lib/sluice, and the system's authorities. */
struct client {
    const char *admin, *token, *ca;
    const char *key; /* calls with the same one are one, however often it is made; NULL: none */
    bool json;
    const char *words[10]; /* arguments that are no options, without the command's name */
    int word_count;
    const char *wait, *match, *method, *id; /* --wait, --match, --method, --id */
    const char *weight, *region, *priority; /* --weight, --region, --priority */
    const char *span;                       /* --for */
    const char *tier, *expires;             /* --tier, --expires */
    const char *release, *stable;           /* --release, --stable */
    const char *follow;                     /* --follow */
    const char *image, *strategy;           /* --image, --strategy */
    const char *targets[64];                /* --target, each */
    int target_count;
    const char *since, *limit, *state; /* --since, --limit, --state */
    const char *interval, *count;      /* --interval, --count */
    const char *view, *sort, *filter;  /* --view, --sort, --filter */
    bool watch, reset, verify, breaking, detach, plan, once, plain;
};

/* Reads the arguments; false (with a message and the usage) when one is not known. */
bool client_parse(struct client *client, int argc, char **argv, const char *usage);

struct client_answer {
    long status;   /* HTTP */
    json_t *body;  /* owned; NULL when it was no JSON */
    char *text;    /* owned; the body as it came */
    char why[256]; /* there is no answer: in libcurl's words */
};

/* Calls METHOD PATH with a JSON body (NULL: none; stays the caller's). CLIENT_OK for 2xx; else
 * prints what went wrong to stderr and returns the exit code. client_free the answer in every case.
 */
int client_call(const struct client *client, const char *method, const char *path, json_t *body,
                struct client_answer *answer);
/* Calls POST /services/S/VERB of the first word. As client_call(), but takes `body`. */
int client_tell(const struct client *client, const char *verb, json_t *body,
                struct client_answer *answer);
/* As client_call(), without saying anything. */
int client_try(const struct client *client, const char *method, const char *path, json_t *body,
               struct client_answer *answer);
/* Says what went wrong in a call that was tried; gives its code. */
int client_report(const struct client *client, int code, const struct client_answer *answer);
struct curl_slist;
/* A handle of libcurl (CURL *) for GET PATH, for whoever waits for several calls at once: it, and
 * then `fields`, are the caller's to free. NULL: no memory. */
void *client_handle(const struct client *client, const char *path, struct curl_slist **fields);
/* One that nobody else has, for `key`. */
struct client_key {
    char text[33];
};
struct client_key client_new_key(void);
void client_free(struct client_answer *answer);
/* Writes what GET PATH answers to a file, of any size; as client_call() when it is refused. */
int client_download(const struct client *client, const char *path, FILE *file);

/* Percent-encodes `text` for a path or query; owned by the caller, NULL when memory ends. */
char *client_encode(const char *text);
/* Prints the answer as indented JSON. */
void client_print(const struct client_answer *answer);

#endif
