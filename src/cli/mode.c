/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice pause`, `resume` and `maintenance`: what a service does with its requests.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

/* What was answered, in words. */
static void say(const json_t *answer)
{
    const char *mode = show_text(answer, "mode"), *what = "runs";

    if (!strcmp(mode, "paused"))
        what = "is paused: requests wait";
    else if (!strcmp(mode, "maintenance"))
        what = "is in maintenance";
    printf("%s %s; generation %lld is live in all workers\n", show_text(answer, "service"), what,
           show_number(answer, "generation"));
}

static int call(const struct client *client, const char *verb, bool is_on)
{
    struct client_answer answer;
    int code = client_tell(client, verb, json_pack("{s:b}", "on", is_on), &answer);

    if (!code && client->json)
        client_print(&answer);
    else if (!code)
        say(answer.body);
    client_free(&answer);
    return code;
}

static int complain(const char *command, const char *usage)
{
    fprintf(stderr, "usage: sluice %s %s\n", command, usage);
    return CLIENT_USAGE;
}

/* `sluice VERB SERVICE`, as argv[0] says. */
static int run(int argc, char **argv)
{
    static const char usage[] = "SERVICE [--json]";
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    return client.word_count == 1 ? call(&client, argv[0], true) : complain(argv[0], usage);
}

int cli_pause(int argc, char **argv)
{
    return run(argc, argv);
}

int cli_resume(int argc, char **argv)
{
    return run(argc, argv);
}

int cli_maintenance(int argc, char **argv)
{
    static const char usage[] = "SERVICE on|off [--json]";
    struct client client;
    bool is_on;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count != 2)
        return complain(argv[0], usage);
    is_on = !strcmp(client.words[1], "on");
    if (!is_on && strcmp(client.words[1], "off") != 0)
        return complain(argv[0], usage);
    return call(&client, argv[0], is_on);
}
