/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice key add|list|revoke`: API keys while it runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] =
    "add CONSUMER [--tier TIER] [--expires 720h] [--json] | list [--json] | revoke ID [--json]";

static int call(const struct client *client, const char *method, const char *path, json_t *body,
                int (*print)(const json_t *))
{
    struct client_answer answer;
    int code = client_call(client, method, path, body, &answer);

    if (!code && client->json) {
        client_print(&answer);
        code = json_object_get(answer.body, "lacking") ? CLIENT_WAITS : CLIENT_OK;
    } else if (!code) {
        code = print(answer.body);
    }
    client_free(&answer);
    json_decref(body);
    return code;
}

static int warn(const json_t *key, const char *before, const char *after)
{
    char follows[160];

    snprintf(follows, sizeof(follows), "%s key %s %s", before, show_text(key, "id"), after);
    return show_lacking(key, follows);
}

static int print_added(const json_t *key)
{
    printf("%s\n", show_text(key, "key"));
    fprintf(stderr, "key %s of %s; it is shown this once\n", show_text(key, "id"),
            show_text(key, "consumer"));
    return warn(key, "does not know", "yet");
}

static int print_revoked(const json_t *key)
{
    printf("key %s is revoked\n", show_text(key, "id"));
    return warn(key, "still lets", "in");
}

static int print_list(const json_t *answer)
{
    const json_t *key;
    size_t i;

    printf("%-12s  %-24s %-12s %-24s  %-24s  %s\n", "ID", "CONSUMER", "TIER", "CREATED", "EXPIRES",
           "SOURCE");
    json_array_foreach(json_object_get(answer, "keys"), i, key)
        printf("%-12s  %-24s %-12s %-24s  %-24s  %s\n", show_text(key, "id"),
               show_text(key, "consumer"), show_text(key, "tier"), show_text(key, "created"),
               show_text(key, "expires"), show_text(key, "source"));
    return CLIENT_OK;
}

static int add(const struct client *client)
{
    json_t *body = json_pack("{s:s}", "consumer", client->words[1]);

    if (client->tier)
        json_object_set_new(body, "tier", json_string(client->tier));
    if (client->expires)
        json_object_set_new(body, "expires_in", json_string(client->expires));
    return call(client, "POST", "/api/v1/keys", body, print_added);
}

static int revoke(const struct client *client)
{
    char *id = client_encode(client->words[1]), *path = NULL;
    int code = CLIENT_FAILED;

    if (id && asprintf(&path, "/api/v1/keys/%s", id) >= 0)
        code = call(client, "DELETE", path, NULL, print_revoked);
    free(path);
    free(id);
    return code;
}

int cli_key(int argc, char **argv)
{
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count == 2 && !strcmp(client.words[0], "add"))
        return add(&client);
    if (client.word_count == 2 && !strcmp(client.words[0], "revoke"))
        return revoke(&client);
    if (client.word_count == 1 && !strcmp(client.words[0], "list"))
        return call(&client, "GET", "/api/v1/keys", NULL, print_list);
    fprintf(stderr, "usage: sluice key %s\n", usage);
    return CLIENT_USAGE;
}
