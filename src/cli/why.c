/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice why ID`: why a request went where it went, in words.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static void print_head(const json_t *why)
{
    printf("%s %s://%s%s\n", show_text(why, "method"), show_text(why, "scheme"),
           show_text(why, "host"), show_text(why, "path"));
    printf("  from      %s", show_text(why, "client"));
    if (json_object_get(why, "peer"))
        printf(", as %s says", show_text(why, "peer"));
    printf("\n  answered  %lld", show_number(why, "status"));
    if (json_object_get(why, "reason"))
        printf(" %s: %s", show_text(why, "reason"), show_text(why, "words"));
    printf("\n  by        generation %lld of the configuration\n", show_number(why, "generation"));
}

static void print_routes(const json_t *why)
{
    json_t *route;
    size_t i;

    printf("\nroute %s\n", show_text(why, "route"));
    json_array_foreach(json_object_get(why, "routes"), i, route)
        printf("  %s %-16s %s\n", json_is_true(json_object_get(route, "fits")) ? "+" : "-",
               show_text(route, "name"), show_text(route, "why"));
}

/* What a filter says beside its name and verdict, as it is. */
static void print_numbers(json_t *filter)
{
    const char *name;
    json_t *value;

    json_object_foreach(filter, name, value)
    {
        char *text;

        if (!strcmp(name, "name") || !strcmp(name, "verdict"))
            continue;
        if (json_is_string(value)) {
            printf("  %s=%s", name, json_string_value(value));
            continue;
        }
        text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
        printf("  %s=%s", name, text ? text : "?");
        free(text);
    }
    putchar('\n');
}

static void print_filters(const json_t *why)
{
    json_t *filter;
    size_t i;

    if (json_array_size(json_object_get(why, "filters")))
        printf("\nfilters\n");
    json_array_foreach(json_object_get(why, "filters"), i, filter)
    {
        printf("  %-16s %s", show_text(filter, "name"), show_text(filter, "verdict"));
        print_numbers(filter);
    }
}

static void print_targets(const json_t *why)
{
    json_t *target, *try;
    size_t i;

    if (!json_object_get(why, "service"))
        return;
    printf("\nservice %s, target %s, attempts %lld\n", show_text(why, "service"),
           show_text(why, "target"), show_number(why, "attempts"));
    json_array_foreach(json_object_get(why, "tries"), i, try)
        printf("  try %zu: %s %s\n", i + 1, show_text(try, "target"), show_text(try, "outcome"));
    json_array_foreach(json_object_get(why, "targets"), i, target)
        printf("  %s %-28s %-8s tier %lld, load %lld\n",
               json_is_true(json_object_get(target, "chosen")) ? "*" : " ", show_text(target, "id"),
               show_text(target, "state"), show_number(target, "tier"),
               show_number(target, "load"));
}

static void print_wake(const json_t *why)
{
    json_t *wake = json_object_get(why, "wake");

    if (!wake)
        return;
    printf("\nthe service slept: it waited %.3f ms for a start",
           json_number_value(json_object_get(wake, "waited_ms")));
    if (json_object_get(wake, "refused"))
        printf(", %s", show_text(wake, "refused"));
    putchar('\n');
}

static void print_steps(const json_t *why)
{
    json_t *steps = json_object_get(why, "steps_ms"), *ms;
    const char *name;

    printf("\ntime, in ms\n");
    json_object_foreach(steps, name, ms) printf("  %-10s %10.3f\n", name, json_number_value(ms));
}

static void print(const json_t *why)
{
    print_head(why);
    print_routes(why);
    print_filters(why);
    print_wake(why);
    print_targets(why);
    print_steps(why);
}

int cli_why(int argc, char **argv)
{
    static const char usage[] = "ID [--json]";
    struct client_answer answer = {0};
    struct client client;
    char *id, *path = NULL;
    int code = CLIENT_FAILED;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count != 1) {
        fprintf(stderr, "usage: sluice why %s\n", usage);
        return CLIENT_USAGE;
    }
    id = client_encode(client.words[0]);
    if (id && asprintf(&path, "/api/v1/requests/%s", id) < 0)
        path = NULL;
    if (path)
        code = client_call(&client, "GET", path, NULL, &answer);
    if (!code && client.json)
        client_print(&answer);
    else if (!code)
        print(answer.body);
    client_free(&answer);
    free(path);
    free(id);
    return code;
}
