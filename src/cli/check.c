/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice check`: loads configuration files as `run` would, and says what is wrong. Diagnostics go
 * to stderr, or with
 * --json as a list to stdout.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/conf.h"
#include "edge/filter/chain.h"
#include "edge/route/route.h"
#include "edge/tls/tls_check.h"
#include "edge/trust.h"

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

static json_t *entry_json(const struct diag *diag, const struct diag_entry *entry)
{
    struct str at = diag_place(diag, entry->at);
    json_t *out = json_object();

    json_object_set_new(out, "severity",
                        json_string(entry->severity == SEVERITY_ERROR ? "error" : "warning"));
    if (at.p)
        json_object_set_new(out, "at", json_stringn(at.p, at.len));
    json_object_set_new(out, "message", json_stringn(entry->text.p, entry->text.len));
    if (entry->hint.p)
        json_object_set_new(out, "hint", json_stringn(entry->hint.p, entry->hint.len));
    return out;
}

static json_t *trust_json(const struct conf *conf, struct arena *arena)
{
    json_t *list = json_array();

    for (uint32_t i = 0; conf && i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];
        struct str bind = listener->bind.text.s, words = trust_describe(conf, listener, arena);

        json_array_append_new(list, json_pack("{s:s%,s:s%}", "bind", bind.p, bind.len,
                                              "client_address", words.p, words.len));
    }
    return list;
}

static json_t *file_json(const char *path, struct diag *diag, const struct conf *conf)
{
    json_t *list = json_array();

    diag_sort(diag);
    for (unsigned i = 0; i < diag->count; i++)
        json_array_append_new(list, entry_json(diag, &diag->entries[i]));
    return json_pack("{s:s,s:b,s:o,s:i,s:o}", "file", path, "ok", conf != NULL, "diagnostics", list,
                     "more", (int)diag->dropped, "listeners", trust_json(conf, diag->arena));
}

/* Whose word is taken on who clients are. */
static void print_trust(const struct conf *conf, struct arena *arena)
{
    for (uint32_t i = 0; i < conf->listener_count; i++) {
        const struct conf_listener *listener = &conf->listeners[i];

        printf("  %.*s: the client's address is %.*s\n", STR_FMT(listener->bind.text.s),
               STR_FMT(trust_describe(conf, listener, arena)));
    }
}

static void print_text(const char *path, struct diag *diag, const struct conf *conf)
{
    struct str report = diag_report(diag);

    fprintf(stderr, "%.*s", STR_FMT(report));
    if (!conf)
        return;
    printf("%s: ok (%u route%s, %u service%s)\n", path, conf->route_count,
           conf->route_count == 1 ? "" : "s", conf->service_count,
           conf->service_count == 1 ? "" : "s");
    print_trust(conf, diag->arena);
}

/* True when the file is good. With `list`, what there is to say is added to it. */
static bool check_file(const char *path, json_t *list)
{
    const struct conf_world world = {.env = get_env,
                                     .filters = filter_registry,
                                     .check_pattern = route_check_pattern,
                                     .check_tls = tls_check,
                                     .expands_process_env = true,
                                     .expands_provider_token = true};
    struct route_table *table = NULL;
    const struct conf *conf;
    struct arena arena;
    struct diag diag;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    conf = conf_load(path, &world, &arena, &diag);
    if (conf)
        table = route_table_new(conf, &arena, &diag);
    if (table && chain_prepare(conf, NULL, &arena, &diag))
        chain_dispose(conf);
    else
        conf = NULL;
    route_table_free(&table);
    if (list)
        json_array_append_new(list, file_json(path, &diag, conf));
    else
        print_text(path, &diag, conf);
    arena_reset(&arena);
    return conf != NULL;
}

static int usage(void)
{
    fprintf(stderr, "usage: sluice check FILE... [--json]\n");
    return 2;
}

int cli_check(int argc, char **argv)
{
    json_t *list = NULL;
    bool is_good = true;
    int files = 0;

    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--json") == 0)
            list = list ? list : json_array();
        else if (argv[i][0] == '-')
            return usage();
        else
            files++;
    }
    if (!files)
        return usage();
    for (int i = 1; i < argc; i++)
        if (argv[i][0] != '-')
            is_good &= check_file(argv[i], list);
    if (list) {
        json_dumpf(list, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(list);
    }
    return is_good ? 0 : 2;
}
