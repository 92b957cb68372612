/* SPDX-License-Identifier: Apache-2.0 */
#include "control/provider/railway_api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REPLY_MAX = 8 << 20 };

/* All that a decision needs comes in one answer: requests are few. */
static const char look[] =
    "query look($p: String!, $e: String!, $a: String!, $b: String!, $pair: Boolean!,"
    " $full: Boolean!, $plan: Boolean!, $token: Boolean!) {"
    " aVariables: variables(projectId: $p, environmentId: $e, serviceId: $a)"
    " aDeployments: deployments(first: 10,"
    " input: {projectId: $p, environmentId: $e, serviceId: $a}) { ...deployed }"
    " aInstance: serviceInstance(environmentId: $e, serviceId: $a) { ...set }"
    " bVariables: variables(projectId: $p, environmentId: $e, serviceId: $b) @include(if: $pair)"
    " bDeployments: deployments(first: 10,"
    " input: {projectId: $p, environmentId: $e, serviceId: $b}) @include(if: $pair)"
    " { ...deployed }"
    " bInstance: serviceInstance(environmentId: $e, serviceId: $b) @include(if: $pair) { ...set }"
    " environment(id: $e, projectId: $p) @include(if: $full) { config"
    " volumeInstances(first: 100) { edges { node { serviceId mountPath } } } }"
    " regions(projectId: $p) @include(if: $plan) { name }"
    " projectToken @include(if: $token) { projectId environmentId } }"
    " fragment deployed on QueryDeploymentsConnection { edges { node {"
    " id status createdAt updatedAt statusUpdatedAt deploymentStopped meta } } }"
    " fragment set on ServiceInstance { serviceName source { image repo } healthcheckPath"
    " healthcheckTimeout overlapSeconds drainingSeconds sleepApplication startCommand"
    " preDeployCommand restartPolicyType restartPolicyMaxRetries cronSchedule }";

static const struct {
    const char *name, *text;
} queries[] = {
    [RAILWAY_ASK_LOOK] = {"look", look},
    [RAILWAY_ASK_MARK] = {"mark", "mutation mark($input: VariableCollectionUpsertInput!)"
                                  " { variableCollectionUpsert(input: $input) }"},
    [RAILWAY_ASK_CONFIGURE] = {"configure",
                               "mutation configure($s: String!, $e: String!,"
                               " $input: ServiceInstanceUpdateInput!) { serviceInstanceUpdate("
                               "serviceId: $s, environmentId: $e, input: $input) }"},
    [RAILWAY_ASK_DEPLOY] = {"deploy", "mutation deploy($s: String!, $e: String!)"
                                      " { serviceInstanceDeployV2(serviceId: $s,"
                                      " environmentId: $e) }"},
    [RAILWAY_ASK_CANCEL] = {"cancel", "mutation cancel($id: String!)"
                                      " { deploymentCancel(id: $id) }"},
    [RAILWAY_ASK_REMOVE] = {"remove", "mutation remove($id: String!)"
                                      " { deploymentRemove(id: $id) }"},
    [RAILWAY_ASK_LOG] = {"log", "query log($id: String!) { deploymentLogs(deploymentId: $id,"
                                " limit: 100) { message } }"},
    [RAILWAY_ASK_EVENTS] = {"events",
                            "query events($id: String!) { deploymentEvents(id: $id, last: 20)"
                            " { edges { node { step payload { error reason } } } } }"},
};

enum status railway_api_init(struct railway_api *api, struct outbound *outbound,
                             const struct conf_railway *conf)
{
    const char *name = conf->token_type == CONF_TOKEN_PROJECT ? "Project-Access-Token: "
                                                              : "Authorization: Bearer ";
    size_t size = strlen(name) + conf->token.s.len + 1;

    *api = (struct railway_api){.outbound = outbound,
                                .url = conf->api.s.p,
                                .timeout_ms = conf->timeout_ms};
    api->token = malloc(size);
    if (!api->token)
        return E_NOMEM;
    snprintf(api->token, size, "%s%s", name, conf->token.s.p);
    return OK;
}

void railway_api_fini(struct railway_api *api)
{
    if (api->token)
        explicit_bzero(api->token, strlen(api->token));
    free(api->token);
    api->token = NULL;
}

struct outbound_call *railway_api_send(const struct railway_api *api, const struct railway_ask *ask)
{
    const char *const fields[] = {"Content-Type: application/json", "Accept: application/json",
                                  api->token, NULL};
    json_t *message = json_pack("{s:s,s:s,s:o}", "query", queries[ask->query].text, "operationName",
                                queries[ask->query].name, "variables", ask->variables);
    char *text = message ? json_dumps(message, JSON_COMPACT) : NULL;
    bool is_mutation = !strncmp(queries[ask->query].text, "mutation", strlen("mutation"));
    struct outbound_call *call = NULL;

    if (text)
        call =
            outbound_send(api->outbound, &(struct outbound_request){.method = "POST",
                                                                    .url = api->url,
                                                                    .fields = fields,
                                                                    .body = {text, strlen(text)},
                                                                    .timeout_ms = api->timeout_ms,
                                                                    .size_max = REPLY_MAX,
                                                                    .is_once = is_mutation,
                                                                    .done = ask->done,
                                                                    .owner = ask->owner});
    free(text);
    json_decref(message);
    return call;
}

/* --- answers */

static void blame(struct railway_answer *answer, enum provider_fault fault, const char *what,
                  const char *message)
{
    answer->fault = fault;
    snprintf(answer->reason, sizeof(answer->reason), "%s%s%.240s", what, *message ? ": " : "",
             message);
    for (char *c = answer->reason; *c; c++)
        if ((unsigned char)*c < ' ')
            *c = ' ';
}

static const struct {
    const char *code, *message; /* one of them; the latter is within the text */
    enum provider_fault fault;
    bool is_unsure;
    const char *what;
} meanings[] = {
    {"UNAUTHENTICATED", NULL, PROVIDER_UNAUTHORIZED, false, "Railway refuses the token"},
    {"FORBIDDEN", NULL, PROVIDER_UNAUTHORIZED, false, "Railway refuses the token"},
    {NULL, "Not Authorized", PROVIDER_UNAUTHORIZED, false, "Railway refuses the token"},
    {"RATE_LIMITED", NULL, PROVIDER_TRANSIENT, false, "Railway was asked too often"},
    {"TOO_MANY_REQUESTS", NULL, PROVIDER_TRANSIENT, false, "Railway was asked too often"},
    {NULL, "too quickly", PROVIDER_TRANSIENT, false, "Railway was asked too often"},
    {"PLAN_LIMIT", NULL, PROVIDER_CAPACITY, false, "the account's plan has no room"},
    {"SUBSCRIPTION_REQUIRED", NULL, PROVIDER_CAPACITY, false, "the account's plan has no room"},
    {NULL, "already in progress", PROVIDER_TRANSIENT, true, "Railway is busy"},
    {"BAD_USER_INPUT", NULL, PROVIDER_PERMANENT, false, "Railway refuses it"},
    {"GRAPHQL_PARSE_FAILED", NULL, PROVIDER_PERMANENT, false, "Railway has another API"},
    {"GRAPHQL_VALIDATION_FAILED", NULL, PROVIDER_PERMANENT, false, "Railway has another API"},
    {NULL, "not found", PROVIDER_PERMANENT, false, "Railway does not know it"},
    {NULL, "NOT_FOUND", PROVIDER_PERMANENT, false, "Railway does not know it"},
};

/* An error may follow what was done all the same, so one that is not known is unsure. */
static void read_error(struct railway_answer *answer, const json_t *error)
{
    const char *message = json_string_value(json_object_get(error, "message"));
    const json_t *extensions = json_object_get(error, "extensions");
    const char *code = json_string_value(json_object_get(extensions, "code"));

    message = message ? message : "";
    for (size_t i = 0; i < ARRAY_LEN(meanings); i++) {
        bool is_code = meanings[i].code && code && !strcmp(meanings[i].code, code);
        bool is_text = meanings[i].message && (strcasestr(message, meanings[i].message) ||
                                               (code && strstr(code, meanings[i].message)));

        if (!is_code && !is_text)
            continue;
        answer->is_unsure = meanings[i].is_unsure;
        blame(answer, meanings[i].fault, meanings[i].what, message);
        return;
    }
    answer->is_unsure = true;
    blame(answer, PROVIDER_TRANSIENT, "Railway has failed", message);
}

/* Without errors of its own, so by its status alone. */
static void read_status(struct railway_answer *answer, const struct outbound_reply *reply)
{
    char status[64];

    snprintf(status, sizeof(status), "Railway answers with status %ld", reply->status);
    answer->is_unsure = !reply->status || reply->status >= 500 || reply->status / 100 == 2;
    if (!reply->status)
        blame(answer, PROVIDER_TRANSIENT, "Railway cannot be reached", reply->error);
    else if (reply->status == 429)
        blame(answer, PROVIDER_TRANSIENT, "Railway was asked too often", "");
    else if (reply->status == 401 || reply->status == 403)
        blame(answer, PROVIDER_UNAUTHORIZED, "Railway refuses the token", "");
    else if (reply->status / 100 == 4 && reply->status != 408)
        blame(answer, PROVIDER_PERMANENT, status, "");
    else if (reply->status / 100 == 2)
        blame(answer, PROVIDER_TRANSIENT, "Railway answers with what is no GraphQL", "");
    else
        blame(answer, PROVIDER_TRANSIENT, status, "");
}

void railway_api_read(const struct outbound_reply *reply, struct railway_answer *answer)
{
    json_t *message =
        reply->status ? json_loadb(reply->body.p, reply->body.len, JSON_ALLOW_NUL, NULL) : NULL;
    const json_t *error = json_array_get(json_object_get(message, "errors"), 0);
    json_t *data = json_object_get(message, "data");

    *answer = (struct railway_answer){.fault = PROVIDER_OK};
    if (reply->retry_ms > 0 && reply->retry_ms < INT32_MAX)
        answer->retry_ms = (uint32_t)reply->retry_ms;
    if (error && reply->status != 429)
        read_error(answer, error);
    else if (reply->status == 200 && json_is_object(data))
        answer->data = json_incref(data);
    else
        read_status(answer, reply);
    json_decref(message);
}
