/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice routes`: the routes there are; with --match URL which one a request takes, and why not
 * the others.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"

static const char *text(json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "-";
}

/* "a, b" of a list of texts. */
static void print_list(json_t *list, const char *none)
{
    json_t *item;
    size_t i;

    if (!json_array_size(list))
        printf("%s", none);
    json_array_foreach(list, i, item) printf("%s%s", i ? ", " : "", json_string_value(item));
}

/* Where a request goes. */
static void print_action(json_t *route)
{
    json_t *redirect = json_object_get(route, "redirect");
    json_t *respond = json_object_get(route, "respond");

    if (redirect)
        printf("redirect to %s\n", text(redirect, "to"));
    else if (respond)
        printf("respond %lld\n", (long long)json_integer_value(json_object_get(respond, "status")));
    else
        printf("service %s\n", text(route, "service"));
}

static void print_routes(json_t *routes)
{
    json_t *route;
    size_t i;

    json_array_foreach(routes, i, route)
    {
        printf("%-20s ", text(route, "name"));
        print_list(json_object_get(route, "hosts"), "any host");
        printf("  ");
        print_list(json_object_get(route, "paths"), "any path");
        printf("  -> ");
        print_action(route);
    }
}

static void print_match(json_t *candidates)
{
    json_t *candidate;
    size_t i;
    bool is_taken = false;

    json_array_foreach(candidates, i, candidate)
    {
        bool fits = json_is_true(json_object_get(candidate, "fits"));

        printf("%s %-20s %s\n", fits && !is_taken ? "=>" : "  ", text(candidate, "name"),
               text(candidate, "why"));
        is_taken = is_taken || fits;
    }
    if (!is_taken)
        printf("no route matches: the gateway answers 404 route_not_found\n");
}

static char *match_path(const struct client *client)
{
    char *url = client_encode(client->match);
    char *method = client_encode(client->method ? client->method : "GET");
    char *path = NULL;

    if (!url || !method || asprintf(&path, "/api/v1/routes?match=%s&method=%s", url, method) < 0)
        path = NULL;
    free(url);
    free(method);
    return path;
}

int cli_routes(int argc, char **argv)
{
    struct client client;
    struct client_answer answer;
    char *path;
    int code;

    if (!client_parse(&client, argc, argv, "[--match URL [--method M]] [--json]"))
        return CLIENT_USAGE;
    path = client.match ? match_path(&client) : strdup("/api/v1/routes");
    if (!path)
        return CLIENT_FAILED;
    code = client_call(&client, "GET", path, NULL, &answer);
    free(path);
    if (!code && client.json)
        client_print(&answer);
    else if (!code && client.match)
        print_match(json_object_get(answer.body, "matches"));
    else if (!code)
        print_routes(json_object_get(answer.body, "routes"));
    client_free(&answer);
    return code;
}
