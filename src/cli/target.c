/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice target list|add|remove|drain|enable`: the targets of a service while it runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] =
    "list [SERVICE] [--watch] [--json] | "
    "add SERVICE ADDRESS [--release R] [--id ID] [--weight N] [--region R] [--priority N] | "
    "remove|drain|enable SERVICE ID [--wait 30s]";

/* /api/v1/services/S/targets[/ID[/VERB]] */
static char *make_path(const char *service, const char *id, const char *tail)
{
    char *s = client_encode(service), *i = id ? client_encode(id) : NULL, *path = NULL;

    if (!s ||
        asprintf(&path, "/api/v1/services/%s/targets%s%s%s", s, i ? "/" : "", i ? i : "", tail) < 0)
        path = NULL;
    free(s);
    free(i);
    return path;
}

static int call(const struct client *client, const char *method, char *path, json_t *body)
{
    struct client_answer answer;
    int code = path ? client_call(client, method, path, body, &answer) : CLIENT_FAILED;

    if (path && !code && client->json)
        client_print(&answer);
    else if (path && !code)
        printf("generation %lld is live in all workers\n", show_number(answer.body, "generation"));
    if (path)
        client_free(&answer);
    free(path);
    json_decref(body);
    return code;
}

/* A number as one, and what is none as it is: the gateway says what is wrong with it. */
static json_t *number_of(const char *text)
{
    char *end;
    long number = strtol(text, &end, 10);

    return *text && !*end ? json_integer(number) : json_string(text);
}

static int add(const struct client *client)
{
    json_t *body = json_pack("{s:s}", "address", client->words[2]);

    if (client->id)
        json_object_set_new(body, "id", json_string(client->id));
    if (client->release)
        json_object_set_new(body, "release", json_string(client->release));
    if (client->weight)
        json_object_set_new(body, "weight", number_of(client->weight));
    if (client->region)
        json_object_set_new(body, "region", json_string(client->region));
    if (client->priority)
        json_object_set_new(body, "priority", number_of(client->priority));
    return call(client, "POST", make_path(client->words[1], NULL, ""), body);
}

static int drain(const struct client *client)
{
    char tail[64];

    snprintf(tail, sizeof(tail), "/drain?wait=%.40s", client->wait ? client->wait : "30s");
    return call(client, "POST", make_path(client->words[1], client->words[2], tail), NULL);
}

static int change(const struct client *client)
{
    const char *verb = client->words[0], *service = client->words[1], *id = client->words[2];

    if (!strcmp(verb, "add"))
        return add(client);
    if (!strcmp(verb, "remove"))
        return call(client, "DELETE", make_path(service, id, ""), NULL);
    if (!strcmp(verb, "drain"))
        return drain(client);
    return call(client, "POST", make_path(service, id, "/enable"), NULL);
}

int cli_target(int argc, char **argv)
{
    static const char *const verbs[] = {"add", "remove", "drain", "enable"};
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count && !strcmp(client.words[0], "list") && client.word_count <= 2)
        return cli_target_list(&client);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (client.word_count == 3 && !strcmp(client.words[0], verbs[i]))
            return change(&client);
    fprintf(stderr, "usage: sluice target %s\n", usage);
    return CLIENT_USAGE;
}
