/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice target list [SERVICE] [--watch]`: what is known of targets, once or every second.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static bool is_wanted(const struct client *client, const json_t *service)
{
    return client->word_count < 2 || !strcmp(client->words[1], show_text(service, "name"));
}

/* --- in words */

/* Where it stands beside others, as far as that is not the usual. */
static void print_place(const json_t *target)
{
    if (show_number(target, "weight") != 1)
        printf(", weight %lld", show_number(target, "weight"));
    if (strcmp(show_text(target, "release"), "stable") != 0)
        printf(", release %s", show_text(target, "release"));
    if (json_object_get(target, "region"))
        printf(", region %s", show_text(target, "region"));
    if (json_object_get(target, "priority"))
        printf(", priority %lld", show_number(target, "priority"));
    if (strcmp(show_text(target, "source"), "file") != 0)
        printf(", from %s", show_text(target, "source"));
}

/* The last check, and why it is as it is where that is something else. */
static void print_words(const json_t *target)
{
    const json_t *check = json_object_get(target, "last_check");
    const char *reason = show_text(target, "reason"), *words = show_text(check, "words");

    printf("%s", check ? words : reason);
    if (check && strcmp(reason, words) != 0)
        printf("; %s", reason);
}

static void print_target(const json_t *service, const json_t *target)
{
    char age[16] = "-";

    if (json_object_get(target, "since_s"))
        show_age(show_number(target, "since_s"), age);
    printf("%-16s %-24s %-24s %-8s %5s %9lld  ", show_text(service, "name"),
           show_text(target, "id"), show_text(target, "address"), show_state(target), age,
           show_number(target, "in_flight"));
    print_words(target);
    print_place(target);
    putchar('\n');
}

static void print_services(const json_t *services)
{
    const json_t *service, *target;
    size_t i, k;

    printf("%-16s %-24s %-24s %-8s %5s %9s  %s\n", "SERVICE", "TARGET", "ADDRESS", "STATE", "SINCE",
           "IN FLIGHT", "LAST CHECK");
    json_array_foreach(services, i, service)
        json_array_foreach(json_object_get(service, "targets"), k, target)
            print_target(service, target);
}

/* --- once, and again */

static json_t *pick(const struct client *client, const json_t *services)
{
    json_t *out = json_array(), *service;
    size_t i;

    json_array_foreach(services, i, service) if (is_wanted(client, service))
        json_array_append(out, service);
    return out;
}

static int print(const struct client *client, const json_t *services)
{
    json_t *picked = pick(client, services);
    int code = CLIENT_OK;

    if (client->word_count == 2 && !json_array_size(picked)) {
        show_unknown_service(client->words[1], services);
        code = CLIENT_FAILED;
    } else if (client->json) {
        json_dumpf(picked, stdout, JSON_INDENT(2));
        putchar('\n');
    } else {
        print_services(picked);
    }
    json_decref(picked);
    return code;
}

static int draw(const struct client *client, const char *before)
{
    struct client_answer answer;
    int code = client_call(client, "GET", "/api/v1/status", NULL, &answer);

    if (!code) {
        printf("%s", before);
        code = print(client, json_object_get(answer.body, "services"));
        fflush(stdout);
    }
    client_free(&answer);
    return code;
}

/* All that was drawn is out, and nothing else is to be put back. */
static void leave(int number)
{
    (void)number;
    _exit(CLIENT_OK);
}

static int watch(const struct client *client)
{
    const char *clear = client->json ? "" : isatty(STDOUT_FILENO) ? "\033[H\033[2J" : "\n";
    int code;

    signal(SIGINT, leave);
    signal(SIGTERM, leave);
    for (code = draw(client, *clear == '\n' ? "" : clear); !code; code = draw(client, clear))
        sleep(1);
    return code;
}

int cli_target_list(const struct client *client)
{
    return client->watch ? watch(client) : draw(client, "");
}
