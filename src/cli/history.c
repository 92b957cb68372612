/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice history`: who changed what, from control's ledger; and whether it is as it was written,
 * which is found out here and not by asking.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"
#include "control/ledger.h"
#include "control/ledger_words.h"

static const char usage[] = "[SERVICE] [--since ID] [--limit N] [--json] | --verify [--json]";

enum { PAGE = 500 };

/* --- in columns */

/* Names come from configurations and clients: nothing in them steers a terminal. */
static void print_clean(const char *text, int width)
{
    int printed = 0;

    for (; *text; text++, printed++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    while (printed++ < width)
        putchar(' ');
}

/* A value as a person would write it. */
static void print_value(const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);

    print_clean(text ? text : json_is_string(value) ? json_string_value(value) : "-", 0);
    free(text);
}

/* "drained false -> true": what is another than before. */
static void print_member(const char *name, const json_t *before, const json_t *after,
                         const char *separator)
{
    fputs(separator, stdout);
    print_clean(name, 0);
    putchar(' ');
    if (before)
        print_value(before);
    if (before && after)
        fputs(" -> ", stdout);
    if (after)
        print_value(after);
}

static void print_change(const json_t *entry)
{
    const json_t *before = json_object_get(entry, "before");
    json_t *after = json_object_get(entry, "after"), *all = json_object(), *value;
    const char *name, *separator = json_is_null(after) && !json_is_null(before) ? "was " : "";

    json_object_update(all, (json_t *)(uintptr_t)before);
    json_object_update(all, after);
    json_object_foreach(all, name, value)
    {
        const json_t *was = json_object_get(before, name), *is = json_object_get(after, name);

        if (was && is && json_equal((json_t *)(uintptr_t)was, (json_t *)(uintptr_t)is))
            continue;
        print_member(name, was, is, separator);
        separator = ", ";
    }
    json_decref(all);
}

static const char *time_of(const json_t *entry, struct clock_date *date)
{
    long long time_ms = show_number(entry, "time_ms");

    return clock_rfc3339(date, time_ms > 0 ? (uint64_t)time_ms : 0).p;
}

static void print_entries(const json_t *entries)
{
    struct clock_date date = {0};
    char words[LEDGER_WORDS];
    const json_t *entry;
    size_t i;

    printf("%6s  %-20s %-16s %-15s %-12s %-22s %s\n", "ID", "TIME", "WHO", "WHAT", "SERVICE",
           "SUBJECT", "CHANGE");
    json_array_foreach(entries, i, entry)
    {
        printf("%6lld  %.19sZ ", show_number(entry, "id"), time_of(entry, &date));
        print_clean(show_text(entry, "actor"), 17);
        print_clean(show_text(entry, "action"), 16);
        print_clean(show_text(entry, "service"), 13);
        print_clean(show_text(entry, "subject"), 23);
        if (ledger_words(entry, words))
            print_clean(words, 0);
        else
            print_change(entry);
        putchar('\n');
    }
}

static char *make_path(const struct client *client)
{
    char *service = client_encode(client->word_count ? client->words[0] : "");
    char *since = client_encode(client->since ? client->since : "");
    char *limit = client_encode(client->limit ? client->limit : "100"), *path = NULL;

    if (service && since && limit &&
        asprintf(&path, "/api/v1/ledger?limit=%s%s%s%s%s", limit, *service ? "&service=" : "",
                 service, *since ? "&since=" : "", since) < 0)
        path = NULL;
    free(service);
    free(since);
    free(limit);
    return path;
}

static int list(const struct client *client)
{
    char *path = make_path(client);
    struct client_answer answer;
    int code = CLIENT_FAILED;

    if (!path)
        return code;
    code = client_call(client, "GET", path, NULL, &answer);
    if (!code && client->json)
        client_print(&answer);
    else if (!code)
        print_entries(json_object_get(answer.body, "entries"));
    client_free(&answer);
    free(path);
    return code;
}

/* --- --verify */

struct verdict {
    struct ledger_walk walk;
    json_int_t broken; /* id of the first that is wrong */
    const char *why;   /* NULL: none is */
    bool has_more;
};

static void take_page(struct verdict *verdict, const json_t *body)
{
    const json_t *entries = json_object_get(body, "entries"), *entry;
    size_t i;

    json_array_foreach(entries, i, entry)
    {
        if (verdict->why)
            continue;
        verdict->why = ledger_walk(&verdict->walk, entry);
        verdict->broken = json_integer_value(json_object_get(entry, "id"));
    }
    verdict->has_more = json_is_true(json_object_get(body, "more")) && !verdict->why;
}

static int fetch_page(const struct client *client, struct verdict *verdict)
{
    struct client_answer answer;
    char path[96];
    int code;

    snprintf(path, sizeof(path), "/api/v1/ledger?limit=%d&since=%lld", PAGE,
             (long long)verdict->walk.last);
    code = client_call(client, "GET", path, NULL, &answer);
    verdict->has_more = false;
    if (!code)
        take_page(verdict, answer.body);
    client_free(&answer);
    return code;
}

static void print_verdict(const struct verdict *verdict, bool is_json)
{
    const char *head = verdict->walk.last ? verdict->walk.head : ledger_origin();
    json_t *json;

    if (is_json) {
        json = json_pack("{s:b,s:I,s:s}", "good", !verdict->why, "entries",
                         (json_int_t)verdict->walk.last, "head", head);
        if (verdict->why)
            json_object_set_new(json, "broken",
                                json_pack("{s:I,s:s}", "id", verdict->broken, "why", verdict->why));
        json_dumpf(json, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(json);
    } else if (verdict->why) {
        fprintf(stderr, "sluice: entry %lld of the ledger is not to be trusted: %s\n",
                (long long)verdict->broken, verdict->why);
    } else {
        printf("%lld entries, each as it was written; the last hash is %s\n",
               (long long)verdict->walk.last, head);
    }
}

static int verify(const struct client *client)
{
    struct verdict verdict = {.why = NULL};
    int code;

    do
        code = fetch_page(client, &verdict);
    while (!code && verdict.has_more);
    if (code)
        return code;
    print_verdict(&verdict, client->json);
    return verdict.why ? CLIENT_FAILED : CLIENT_OK;
}

int cli_history(int argc, char **argv)
{
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (client.word_count <= 1 && !client.verify)
        return list(&client);
    if (!client.word_count && !client.since && !client.limit)
        return verify(&client);
    fprintf(stderr, "usage: sluice history %s\n", usage);
    return CLIENT_USAGE;
}
