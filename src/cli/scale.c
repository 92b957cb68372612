/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice scale`, `wake` and `sleep`: how many units of a service run.
 */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

/* Takes `body`. */
static int call(const struct client *client, const char *verb, json_t *body)
{
    struct client_answer answer;
    char line[SHOW_SCALE];
    int code = client_tell(client, verb, body, &answer);

    if (!code && client->json)
        client_print(&answer);
    else if (!code)
        printf("%s %s\n", show_text(answer.body, "service"), show_scale(answer.body, line));
    client_free(&answer);
    return code;
}

static int complain(const char *command, const char *usage)
{
    fprintf(stderr, "usage: sluice %s %s\n", command, usage);
    return CLIENT_USAGE;
}

int cli_scale(int argc, char **argv)
{
    static const char usage[] = "SERVICE N [--json]";
    struct client client;
    char *end = NULL;
    long count;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count != 2)
        return complain(argv[0], usage);
    count = strtol(client.words[1], &end, 10);
    if (end == client.words[1] || *end || count < 0) {
        fprintf(stderr, "sluice scale: \"%s\" is no number of units\n", client.words[1]);
        return CLIENT_USAGE;
    }
    return call(&client, "scale", json_pack("{s:I}", "replicas", (json_int_t)count));
}

int cli_wake(int argc, char **argv)
{
    static const char usage[] = "SERVICE [--json]";
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    return client.word_count == 1 ? call(&client, argv[0], NULL) : complain(argv[0], usage);
}
