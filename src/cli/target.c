/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice target list|add|remove|drain|enable`: the targets of a service while it runs.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "config/diag.h"

static const char usage[] = "list [SERVICE] | add SERVICE ADDRESS [--id ID] [--weight N] | "
                            "remove|drain|enable SERVICE ID [--wait 30s]";

static const char *text(json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "-";
}

static bool is_wanted(const struct client *client, json_t *service)
{
    return client->word_count < 2 || !strcmp(client->words[1], text(service, "name"));
}

static void print_targets(json_t *service)
{
    json_t *target;
    size_t i;

    json_array_foreach(json_object_get(service, "targets"), i, target)
        printf("%-16s %-28s %-28s weight %-5lld %-8s from %s\n", text(service, "name"),
               text(target, "id"), text(target, "address"),
               (long long)json_integer_value(json_object_get(target, "weight")),
               json_is_true(json_object_get(target, "drained")) ? "drained" : "in",
               text(target, "source"));
}

/* Exit code for a service that is not there. */
static int say_unknown(const char *name, json_t *services)
{
    size_t count = json_array_size(services);
    const char **names = calloc(count + 1, sizeof(*names)), *nearest;

    for (size_t i = 0; names && i < count; i++)
        names[i] = text(json_array_get(services, i), "name");
    nearest = names ? diag_nearest((struct str){name, strlen(name)}, names, count) : NULL;
    fprintf(stderr, "sluice: there is no service \"%s\"", name);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputc('\n', stderr);
    free(names);
    return CLIENT_FAILED;
}

static int list(const struct client *client)
{
    struct client_answer answer;
    int code = client_call(client, "GET", "/api/v1/status", NULL, &answer);
    json_t *services = json_object_get(answer.body, "services"), *service, *out = json_array();
    bool is_known = client->word_count < 2;
    size_t i;

    json_array_foreach(services, i, service)
    {
        if (!is_wanted(client, service))
            continue;
        is_known = true;
        if (client->json)
            json_array_append(out, service);
        else
            print_targets(service);
    }
    if (!code && !is_known)
        code = say_unknown(client->words[1], services);
    if (!code && client->json) {
        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
    }
    json_decref(out);
    client_free(&answer);
    return code;
}

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
        printf("generation %lld is live in all workers\n",
               (long long)json_integer_value(json_object_get(answer.body, "generation")));
    if (path)
        client_free(&answer);
    free(path);
    json_decref(body);
    return code;
}

static int add(const struct client *client)
{
    json_t *body = json_pack("{s:s}", "address", client->words[2]);

    if (client->id)
        json_object_set_new(body, "id", json_string(client->id));
    if (client->weight)
        json_object_set_new(body, "weight", json_integer(strtol(client->weight, NULL, 10)));
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
        return list(&client);
    for (size_t i = 0; i < sizeof(verbs) / sizeof(*verbs); i++)
        if (client.word_count == 3 && !strcmp(client.words[0], verbs[i]))
            return change(&client);
    fprintf(stderr, "usage: sluice target %s\n", usage);
    return CLIENT_USAGE;
}
