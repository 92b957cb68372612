/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands that make a running gateway do something to itself: `sluice reload` and `sluice
 * upgrade`.
 */
#include <stdio.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/client.h"

enum { UPGRADE_POLLS = 600, POLL_MS = 100 };

int cli_reload(int argc, char **argv)
{
    struct client client;
    struct client_answer answer;
    int code;

    if (!client_parse(&client, argc, argv, "[--json]"))
        return CLIENT_USAGE;
    code = client_call(&client, "POST", "/api/v1/reload", NULL, &answer);
    if (!code && client.json)
        client_print(&answer);
    else if (!code && json_object_get(answer.body, "generation"))
        printf("generation %lld is live in all workers\n",
               (long long)json_integer_value(json_object_get(answer.body, "generation")));
    else if (!code)
        printf("control goes by the file as it is now\n");
    if (code == CLIENT_FAILED && answer.status == 422)
        code = CLIENT_USAGE; // a wrong configuration, and what served before serves still
    client_free(&answer);
    return code;
}

static json_int_t field(const struct client *client, const char *name, bool *is_ready)
{
    struct client_answer answer;
    json_int_t value = -1;

    if (!client_try(client, "GET", "/api/v1/status", NULL, &answer)) {
        value = json_integer_value(json_object_get(answer.body, name));
        *is_ready = json_is_true(json_object_get(answer.body, "ready"));
    }
    client_free(&answer);
    return value;
}

/* The new edge answers the admin socket once it is ready: another process than before. */
static int await_successor(const struct client *client, json_int_t old_pid)
{
    const struct timespec pause = {0, POLL_MS * 1000000L};

    for (int i = 0; i < UPGRADE_POLLS; i++) {
        bool is_ready = false;
        json_int_t pid = field(client, "pid", &is_ready);

        if (pid > 0 && pid != old_pid && is_ready) {
            printf("upgraded: edge process %lld took over from %lld\n", (long long)pid,
                   (long long)old_pid);
            return CLIENT_OK;
        }
        nanosleep(&pause, NULL);
    }
    fprintf(stderr, "sluice upgrade: the new edge did not become ready; the old one serves on\n");
    return CLIENT_FAILED;
}

int cli_upgrade(int argc, char **argv)
{
    struct client client;
    struct client_answer answer;
    bool is_ready;
    json_int_t pid;
    int code;

    if (!client_parse(&client, argc, argv, ""))
        return CLIENT_USAGE;
    pid = field(&client, "pid", &is_ready);
    code = client_call(&client, "POST", "/api/v1/upgrade", NULL, &answer);
    client_free(&answer);
    return code ? code : await_successor(&client, pid);
}
