/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice shield`: the emergency mode for a time, ended, or shown.
 */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] = "[on [--for 30m]|off] [--json]";

static void say(const json_t *answer)
{
    time_t until = (time_t)(show_number(answer, "until_ms") / 1000);
    char text[32] = "?";
    struct tm tm;

    if (!json_is_true(json_object_get(answer, "on"))) {
        printf("the shield is down\n");
        return;
    }
    if (gmtime_r(&until, &tm))
        strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
    printf("the shield is up until %s UTC, for another %lld s\n", text,
           show_number(answer, "left_s"));
}

static int call(const struct client *client, json_t *body)
{
    struct client_answer answer = {0};
    int code = client_call(client, body ? "POST" : "GET", "/api/v1/shield", body, &answer);

    if (!code && client->json)
        client_print(&answer);
    else if (!code)
        say(answer.body);
    client_free(&answer);
    json_decref(body);
    return code;
}

int cli_shield(int argc, char **argv)
{
    struct client client;
    const char *word;
    bool is_on;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    word = client.word_count ? client.words[0] : "";
    is_on = !strcmp(word, "on");
    if (client.word_count > 1 || (!is_on && strcmp(word, "off") != 0 && *word) ||
        (client.span && !is_on)) {
        fprintf(stderr, "usage: sluice shield %s\n", usage);
        return CLIENT_USAGE;
    }
    if (!*word)
        return call(&client, NULL);
    return call(&client, json_pack("{s:b,s:s*}", "on", is_on, "for", client.span));
}
