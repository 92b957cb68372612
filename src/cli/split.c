/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice split`: how the requests of a service are split among its releases.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static const char usage[] = "SERVICE [RELEASE=SHARE ...] [--stable RELEASE] [--reset] [--json]";

/* --- showing */

static const json_t *find_service(const json_t *services, const char *name)
{
    const json_t *service;
    size_t i;

    json_array_foreach(services, i,
                       service) if (!strcmp(show_text(service, "name"), name)) return service;
    return NULL;
}

static void print_releases(const json_t *service)
{
    const json_t *release;
    size_t i;

    printf("%-24s %8s %8s %8s  %s\n", "RELEASE", "SHARE", "PERCENT", "UP", "");
    json_array_foreach(json_object_get(service, "releases"), i, release)
        printf("%-24s %8lld %7.4g%% %3lld of %lld  %s\n", show_text(release, "id"),
               show_number(release, "share"),
               json_number_value(json_object_get(release, "percent")), show_number(release, "up"),
               show_number(release, "targets"),
               json_is_true(json_object_get(release, "stable")) ? "stable" : "");
    printf("the split is the %s's\n", show_text(service, "split_source"));
}

static void print_shares(const json_t *answer)
{
    const char *release;
    const json_t *share;

    printf("%s:", show_text(answer, "service"));
    json_object_foreach(json_object_get(answer, "split"), release, share)
        printf(" %s=%lld", release, (long long)json_integer_value(share));
    printf(", %s is stable", show_text(answer, "stable"));
}

static char *make_path(const struct client *client)
{
    char *service = client_encode(client->words[0]), *path = NULL;
    char *stable = client->stable ? client_encode(client->stable) : NULL;

    if (service && (!client->stable || stable) &&
        asprintf(&path, "/api/v1/services/%s/split%s%s", service, stable ? "?stable=" : "",
                 stable ? stable : "") < 0)
        path = NULL;
    free(service);
    free(stable);
    return path;
}

/* Where control is alone, which knows of no targets. */
static int show_shares(const struct client *client)
{
    char *path = make_path(client);
    struct client_answer answer = {0};
    int code = path ? client_call(client, "GET", path, NULL, &answer) : CLIENT_FAILED;

    if (!code && client->json) {
        client_print(&answer);
    } else if (!code) {
        print_shares(answer.body);
        putchar('\n');
    }
    client_free(&answer);
    free(path);
    return code;
}

static int show(const struct client *client)
{
    struct client_answer answer;
    int code = client_try(client, "GET", "/api/v1/status", NULL, &answer);
    const json_t *services = json_object_get(answer.body, "services");
    const json_t *service = code ? NULL : find_service(services, client->words[0]);

    if (code && answer.status == 404) {
        client_free(&answer);
        return show_shares(client);
    }
    if (code) {
        code = client_report(client, code, &answer);
    } else if (!service) {
        show_unknown_service(client->words[0], services);
        code = CLIENT_FAILED;
    } else if (client->json) {
        json_dumpf(json_object_get(service, "releases"), stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_releases(service);
    }
    client_free(&answer);
    return code;
}

/* --- changing */

/* {"stable": 90, "canary": 10} of the words behind the service; NULL: one is none. */
static json_t *shares_of(const struct client *client)
{
    json_t *shares = json_object();

    for (int i = 1; i < client->word_count; i++) {
        const char *word = client->words[i], *equals = strchr(word, '=');
        char *end = NULL;
        long share = equals ? strtol(equals + 1, &end, 10) : 0;

        if (!equals || equals == word || end == equals + 1 || *end) {
            fprintf(stderr, "sluice split: \"%s\" is not RELEASE=SHARE: stable=90\n", word);
            json_decref(shares);
            return NULL;
        }
        json_object_setn_new(shares, word, (size_t)(equals - word), json_integer(share));
    }
    return shares;
}

static int say(const json_t *answer)
{
    print_shares(answer);
    if (json_object_get(answer, "generation"))
        printf("; generation %lld is live in all workers\n", show_number(answer, "generation"));
    else if (!json_object_get(answer, "lacking"))
        printf("; it is live in all workers of all edges\n");
    else
        putchar('\n');
    return show_lacking(answer, "does not split so yet");
}

static int change(const struct client *client)
{
    json_t *shares = client->word_count > 1 ? shares_of(client) : NULL;
    char *path = make_path(client);
    struct client_answer answer = {0};
    int code = CLIENT_FAILED;

    if (client->word_count > 1 && !shares)
        code = CLIENT_USAGE;
    else if (path)
        code = client_call(client, client->reset ? "DELETE" : "PUT", path, shares, &answer);
    if (!code && client->json) {
        client_print(&answer);
        code = json_object_get(answer.body, "lacking") ? CLIENT_WAITS : CLIENT_OK;
    } else if (!code) {
        code = say(answer.body);
    }
    client_free(&answer);
    json_decref(shares);
    free(path);
    return code;
}

int cli_split(int argc, char **argv)
{
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (!client.word_count || (client.reset && (client.word_count > 1 || client.stable))) {
        fprintf(stderr, "usage: sluice split %s\n", usage);
        return CLIENT_USAGE;
    }
    return client.word_count > 1 || client.stable || client.reset ? change(&client) : show(&client);
}
