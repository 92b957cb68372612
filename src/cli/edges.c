/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice edge list|forget`: the edges that control knows, and giving up one that is gone.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] = "list [--json] | forget NAME [--json]";

static void print_answering(const json_t *edge)
{
    const char *config = json_string_value(json_object_get(edge, "config"));
    const char *error = json_string_value(json_object_get(edge, "error"));

    if (!error)
        error = json_string_value(json_object_get(edge, "config_error"));
    printf("answers (generation %lld%s%s)%s%s\n", show_number(edge, "generation"),
           config ? ", configuration " : "", config ? config : "", error ? ", but: " : "",
           error ? error : "");
}

static void print(const json_t *answer)
{
    const json_t *edge;
    size_t i;

    printf("%-24s %s\n", "EDGE", "STATE");
    json_array_foreach(json_object_get(answer, "edges"), i, edge)
    {
        long long silent_s = show_number(edge, "silent_s");

        printf("%-24s ", show_text(edge, "name"));
        if (json_is_true(json_object_get(edge, "forgotten")))
            printf("forgotten until it answers again\n");
        else if (json_is_true(json_object_get(edge, "reachable")))
            print_answering(edge);
        else
            printf("silent for %lld s: %s\n", silent_s, show_text(edge, "error"));
    }
}

static int ask(const struct client *client, const char *method, const char *path)
{
    struct client_answer answer;
    int code = client_call(client, method, path, NULL, &answer);

    if (!code && client->json)
        client_print(&answer);
    else if (!code)
        print(answer.body);
    client_free(&answer);
    return code;
}

static int forget(const struct client *client)
{
    char *name = client_encode(client->words[1]), *path = NULL;
    int code = CLIENT_FAILED;

    if (name && asprintf(&path, "/api/v1/edges/%s/forget", name) < 0)
        path = NULL;
    if (path)
        code = ask(client, "POST", path);
    free(path);
    free(name);
    return code;
}

int cli_edges(int argc, char **argv)
{
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count == 1 && !strcmp(client.words[0], "list"))
        return ask(&client, "GET", "/api/v1/edges");
    if (client.word_count == 2 && !strcmp(client.words[0], "forget"))
        return forget(&client);
    fprintf(stderr, "usage: sluice edge %s\n", usage);
    return CLIENT_USAGE;
}
