/* SPDX-License-Identifier: Apache-2.0 */
#include "control/acme_client.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/acme_jws.h"
#include "control/acme_key.h"
#include "control/acme_schedule.h"
#include "control/acme_store.h"
#include "control/say.h"

enum { CALL_MS = 30000, REPLY_MAX = 256 * 1024, NONCE_TRIES = 8, STALE_MS = 24 * 3600 * 1000 };

struct acme_client {
    struct acme_client_options options; /* texts in `arena` */
    struct arena arena, directory_arena;
    struct acme_directory directory;
    int64_t directory_ms; /* when it was read; 0: never */
    struct evp_pkey_st *key;
    struct acme_account account; /* texts in `arena` */
    char nonces[ACME_NONCES][ACME_NONCE_MAX + 1];
    unsigned nonce_count;
    int64_t skew_ms;
    bool is_skew_said;
};

static void advance(struct acme_call *call);

/* --- time */

int64_t acme_client_now_ms(const struct acme_client *client)
{
    return (int64_t)clock_wall_ms() + client->skew_ms;
}

int64_t acme_client_skew_ms(const struct acme_client *client)
{
    return client->skew_ms;
}

static void take_date(struct acme_client *client, int64_t date_ms)
{
    int64_t ahead_ms = date_ms - (int64_t)clock_wall_ms();
    bool is_skewed = date_ms && acme_schedule_is_skewed(ahead_ms);

    if (!date_ms)
        return;
    client->skew_ms = is_skewed ? ahead_ms : 0;
    if (is_skewed && !client->is_skew_said)
        say_line("the clock of this machine is %lld minutes %s that of %.*s: renewals go by the "
                 "latter; set the clock",
                 (long long)(ahead_ms < 0 ? -ahead_ms : ahead_ms) / 60000,
                 ahead_ms > 0 ? "behind" : "ahead of", STR_FMT(client->options.directory));
    client->is_skew_said = is_skewed;
}

/* --- nonces (RFC 8555 section 6.5) */

static void keep_nonce(struct acme_client *client, struct str nonce)
{
    if (!nonce.p || !nonce.len || nonce.len > ACME_NONCE_MAX)
        return;
    if (client->nonce_count == ACME_NONCES) // the oldest is the likeliest to be refused
        memmove(client->nonces[0], client->nonces[1],
                sizeof(client->nonces[0]) * --client->nonce_count);
    memcpy(client->nonces[client->nonce_count], nonce.p, nonce.len);
    client->nonces[client->nonce_count++][nonce.len] = '\0';
}

/* --- the end of a call */

static void finish(struct acme_call *call, const struct acme_answer *answer)
{
    call->client = NULL;
    call->done(call, answer);
}

static void finish_failed(struct acme_call *call, const char *error)
{
    finish(call, &(struct acme_answer){.outcome = ACME_UNREACHABLE, .error = error});
}

/* What the CA said, or that it said nothing of use. */
static void finish_bad(struct acme_call *call, const struct outbound_reply *reply)
{
    struct acme_answer answer = {.outcome = ACME_UNREACHABLE,
                                 .status = reply->status,
                                 .body = reply->body,
                                 .retry_ms = reply->retry_ms};
    struct arena arena;
    struct str problem, line;

    arena_init(&arena, NULL, 0);
    problem = reply->status ? acme_json_problem(&arena, reply->body) : STR_NONE;
    if (problem.p && reply->status / 100 == 4)
        answer.outcome = ACME_REFUSED;
    if (problem.p)
        line = problem;
    else if (reply->status)
        line = arena_format(&arena, "the CA answers with status %ld", reply->status);
    else
        line = arena_format(&arena, "the CA cannot be reached: %s", reply->error);
    answer.error = line.p ? line.p : "out of memory";
    finish(call, &answer);
    arena_reset(&arena);
}

/* --- one HTTP call */

static enum status transmit(struct acme_call *call, struct outbound_request *request)
{
    const struct acme_client_options *options = &call->client->options;

    request->ca = options->ca.p;
    request->timeout_ms = CALL_MS;
    request->size_max = REPLY_MAX;
    request->owner = call;
    call->http = outbound_send(options->outbound, request);
    return call->http ? OK : E_NOMEM;
}

/* Every answer may carry a nonce and the time. */
static void arrive(struct acme_call *call, const struct outbound_reply *reply)
{
    call->http = NULL;
    keep_nonce(call->client, reply->nonce);
    take_date(call->client, reply->date_ms);
}

/* --- the directory (RFC 8555 section 7.1.1) */

static void on_directory(void *owner, const struct outbound_reply *reply)
{
    struct acme_call *call = owner;
    struct acme_client *client = call->client;

    arrive(call, reply);
    if (reply->status != 200) {
        finish_bad(call, reply);
        return;
    }
    client->directory_ms = 0;
    arena_reset(&client->directory_arena);
    if (acme_json_read_directory(&client->directory_arena, reply->body, &client->directory)) {
        finish_failed(call, "what is at the URL of the directory is no ACME directory");
        return;
    }
    client->directory_ms = (int64_t)clock_wall_ms();
    call->has_read_directory = true;
    advance(call);
}

static enum status read_directory(struct acme_call *call)
{
    return transmit(call, &(struct outbound_request){.method = "GET",
                                                     .url = call->client->options.directory.p,
                                                     .done = on_directory});
}

static bool needs_directory(const struct acme_call *call)
{
    int64_t age_ms = (int64_t)clock_wall_ms() - call->client->directory_ms;

    if (call->has_read_directory)
        return false;
    return call->kind == ACME_CALL_DIRECTORY || call->kind == ACME_CALL_WINDOW ||
           !call->client->directory_ms || age_ms < 0 || age_ms > STALE_MS;
}

static void on_nonce(void *owner, const struct outbound_reply *reply)
{
    struct acme_call *call = owner;

    arrive(call, reply);
    if (reply->status / 100 != 2)
        finish_bad(call, reply);
    else if (!call->client->nonce_count)
        finish_failed(call, "the CA gives no nonce");
    else
        advance(call);
}

static enum status read_nonce(struct acme_call *call)
{
    return transmit(call, &(struct outbound_request){.method = "HEAD",
                                                     .url = call->client->directory.new_nonce.p,
                                                     .done = on_nonce});
}

/* --- signed calls */

struct post {
    struct str url, payload;
    bool shows_key, is_chain;
    void (*done)(void *owner, const struct outbound_reply *reply);
};

static enum status post(struct acme_call *call, const struct post *post)
{
    struct acme_client *client = call->client;
    const char *fields[] = {"Content-Type: application/jose+json",
                            post->is_chain ? "Accept: application/pem-certificate-chain"
                                           : "Accept: application/json, application/problem+json",
                            NULL};
    struct acme_jws jws = {.url = post->url,
                           .kid = post->shows_key ? STR_NONE : client->account.url};
    enum status status = E_NOMEM;
    struct arena arena;
    struct str body;

    arena_init(&arena, NULL, 0);
    jws.nonce.p = client->nonces[--client->nonce_count];
    jws.nonce.len = strlen(jws.nonce.p);
    body = acme_jws_sign(&arena, client->key, &jws, post->payload);
    if (body.p)
        status = transmit(call, &(struct outbound_request){.method = "POST",
                                                           .url = post->url.p,
                                                           .fields = fields,
                                                           .body = body,
                                                           .done = post->done});
    arena_reset(&arena);
    return status;
}

/* RFC 8555 section 6.5: the refusal brought a new nonce. */
static bool tries_again(struct acme_call *call, const struct outbound_reply *reply)
{
    if (reply->status / 100 != 4 || call->nonce_tries == NONCE_TRIES ||
        !acme_json_is_problem(reply->body, "badNonce"))
        return false;
    call->nonce_tries++;
    // Those of before are likely to be as old.
    call->client->nonce_count = 0;
    keep_nonce(call->client, reply->nonce);
    advance(call);
    return true;
}

/* --- the account (RFC 8555 section 7.3) */

static void write_account(struct acme_client *client)
{
    if (acme_store_write_account(client->options.folder, &client->account))
        say_line("the ACME account cannot be kept in %.*s: %s", STR_FMT(client->options.folder),
                 strerror(errno));
}

/* With a key that it knows the CA answers 200, and where the account is: so it is found again. */
static void on_account(void *owner, const struct outbound_reply *reply)
{
    struct acme_call *call = owner;
    struct acme_client *client = call->client;

    arrive(call, reply);
    if (tries_again(call, reply))
        return;
    if (reply->status / 100 != 2) {
        finish_bad(call, reply);
        return;
    }
    if (!reply->location.p || reply->location.len > ACME_URL_MAX) {
        finish_failed(call, "the CA does not say where the account is");
        return;
    }
    client->account.url = arena_copy(&client->arena, reply->location);
    if (!client->account.url.p) {
        finish_failed(call, "out of memory");
        return;
    }
    // An account that was there keeps its address until it is told the new one.
    client->account.email = reply->status == 201 ? client->options.email : STR_NONE;
    write_account(client);
    advance(call);
}

static void on_contact(void *owner, const struct outbound_reply *reply)
{
    struct acme_call *call = owner;
    struct acme_client *client = call->client;

    arrive(call, reply);
    if (tries_again(call, reply))
        return;
    client->account.email = client->options.email; // asked once, whatever came of it
    if (reply->status / 100 == 2)
        write_account(client);
    advance(call);
}

static char *contact_json(const struct acme_client *client, bool is_new)
{
    char address[400];
    json_t *json;
    char *text;

    snprintf(address, sizeof(address), "mailto:%.*s", STR_FMT(client->options.email));
    json = json_pack("{s:[s]}", "contact", address);
    if (is_new)
        json_object_set_new(json, "termsOfServiceAgreed", json_true());
    text = json ? json_dumps(json, JSON_COMPACT) : NULL;
    json_decref(json);
    return text;
}

static enum status ask_account(struct acme_call *call, bool is_new)
{
    const struct acme_client *client = call->client;
    char *payload = contact_json(client, is_new);
    enum status status;

    if (!payload)
        return E_NOMEM;
    status = post(call, &(struct post){.url = is_new ? client->directory.new_account
                                                     : client->account.url,
                                       .payload = {payload, strlen(payload)},
                                       .shows_key = is_new,
                                       .done = is_new ? on_account : on_contact});
    free(payload);
    return status;
}

static bool has_other_email(const struct acme_client *client)
{
    struct str a = client->account.email, b = client->options.email;

    return a.len != b.len || (a.len && memcmp(a.p, b.p, a.len));
}

/* --- what was asked for */

static void on_reply(void *owner, const struct outbound_reply *reply)
{
    struct acme_call *call = owner;
    struct acme_client *client = call->client;

    arrive(call, reply);
    if (tries_again(call, reply))
        return;
    if (reply->status / 100 == 4 && !call->has_renewed_account &&
        acme_json_is_problem(reply->body, "accountDoesNotExist")) {
        call->has_renewed_account = true;
        client->account.url = STR_NONE;
        advance(call);
        return;
    }
    if (reply->status / 100 != 2) {
        finish_bad(call, reply);
        return;
    }
    finish(call, &(struct acme_answer){.outcome = ACME_GOOD,
                                       .status = reply->status,
                                       .body = reply->body,
                                       .location = reply->location,
                                       .retry_ms = reply->retry_ms});
}

static enum status ask_window(struct acme_call *call)
{
    enum status status = E_NOMEM;
    struct arena arena;
    struct str url;

    arena_init(&arena, NULL, 0);
    url = arena_format(&arena, "%.*s/%.*s", STR_FMT(call->client->directory.renewal_info),
                       STR_FMT(call->url));
    if (url.p)
        status =
            transmit(call,
                     &(struct outbound_request){.method = "GET", .url = url.p, .done = on_reply});
    arena_reset(&arena);
    return status;
}

/* The next HTTP call that `call` needs. */
static enum status start(struct acme_call *call)
{
    const struct acme_client *client = call->client;

    if (needs_directory(call))
        return read_directory(call);
    if (call->kind == ACME_CALL_WINDOW)
        return ask_window(call);
    if (!client->nonce_count)
        return read_nonce(call);
    if (!client->account.url.p)
        return ask_account(call, true);
    if (has_other_email(client))
        return ask_account(call, false);
    return post(call, &(struct post){.url = call->kind == ACME_CALL_NEW_ORDER
                                                ? client->directory.new_order
                                                : call->url,
                                     .payload = call->payload,
                                     .is_chain = call->is_chain,
                                     .done = on_reply});
}

static void advance(struct acme_call *call)
{
    if (call->kind == ACME_CALL_DIRECTORY && call->has_read_directory)
        finish(call, &(struct acme_answer){.outcome = ACME_GOOD, .status = 200});
    else if (call->kind == ACME_CALL_WINDOW && !call->client->directory.renewal_info.p)
        finish_failed(call, "the CA has no renewal information");
    else if (start(call))
        finish_failed(call, "out of memory");
}

enum status acme_client_call(struct acme_client *client, struct acme_call *call)
{
    call->client = client;
    call->http = NULL;
    call->nonce_tries = 0;
    call->has_read_directory = call->has_renewed_account = false;
    if (start(call)) {
        call->client = NULL;
        return E_NOMEM;
    }
    return OK;
}

void acme_client_cancel(struct acme_call *call)
{
    outbound_cancel(&call->http);
    call->client = NULL;
}

bool acme_client_has_windows(const struct acme_client *client)
{
    return client->directory_ms && client->directory.renewal_info.p;
}

struct str acme_client_authorization(const struct acme_client *client, struct arena *arena,
                                     struct str token)
{
    struct str print = acme_jws_thumbprint(arena, client->key);

    return print.p ? arena_format(arena, "%.*s.%.*s", STR_FMT(token), STR_FMT(print)) : STR_NONE;
}

/* --- life */

static bool make_account(struct acme_client *client)
{
    client->account = (struct acme_account){.key = STR_NONE};
    client->key = acme_key_new();
    if (client->key)
        client->account.key = acme_key_pem(client->key, &client->arena);
    if (!client->account.key.p)
        return false;
    // Before the CA hears of it: an account whose key is lost is of no use.
    if (acme_store_write_account(client->options.folder, &client->account) == OK)
        return true;
    say_line("the ACME account cannot be kept in %.*s: %s", STR_FMT(client->options.folder),
             strerror(errno));
    return false;
}

static bool open_account(struct acme_client *client)
{
    struct str folder = client->options.folder;
    enum status status = acme_store_read_account(&client->arena, folder, &client->account);

    if (status == E_NOT_FOUND)
        return make_account(client);
    if (!status)
        client->key = acme_key_read(client->account.key);
    if (client->key)
        return true;
    say_line("the ACME account in %.*s cannot be read: put it back, or remove account.json for a "
             "new one",
             STR_FMT(folder));
    return false;
}

static bool copy_options(struct acme_client *client, const struct acme_client_options *options)
{
    struct arena *arena = &client->arena;

    client->options = (struct acme_client_options){
        .outbound = options->outbound,
        .directory = arena_copy(arena, options->directory),
        .email = arena_copy(arena, options->email),
        .ca = options->ca.len ? arena_copy(arena, options->ca) : STR_NONE,
        .folder = arena_copy(arena, options->folder),
    };
    return !arena->is_full && client->options.folder.p;
}

struct acme_client *acme_client_new(const struct acme_client_options *options)
{
    struct acme_client *client = calloc(1, sizeof(*client));

    if (!client)
        return NULL;
    arena_init(&client->arena, NULL, 0);
    arena_init(&client->directory_arena, NULL, 0);
    if (!copy_options(client, options) || !open_account(client))
        acme_client_free(&client);
    return client;
}

void acme_client_free(struct acme_client **client)
{
    struct acme_client *gone = *client;

    *client = NULL;
    if (!gone)
        return;
    acme_key_free(&gone->key);
    arena_reset(&gone->arena);
    arena_reset(&gone->directory_arena);
    free(gone);
}
