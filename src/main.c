/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of commands.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "config/diag.h"

static const struct command commands[] = {
    {"run", cli_run, "[FILE] [--watch]", "serves, by a configuration file"},
    {"proxy", cli_proxy, "--from ADDR --to ADDR [--admin ADDR]", "serves without a file"},
    {"demo", cli_demo, "[--deploys]", "serves small apps of its own, to try things on"},
    {"check", cli_check, "FILE... [--json]", "says what is wrong with a configuration"},
    {"doctor", cli_doctor, "[FILE] [--service S] [--json] [--timeout 2s]",
     "dials the targets and says what is wrong with them"},
    {"schema", cli_schema, "[--reference]", "prints the configuration's JSON Schema or reference"},
    {"reload", cli_reload, "[--json]", "reads the configuration again"},
    {"upgrade", cli_upgrade, "", "replaces the running binary by the one on disk"},
    {"status", cli_status, "[--json]", "shows what runs"},
    {"top", cli_top, "[--view V] [--plain | --json] [--once]", "shows how it fares, live"},
    {"routes", cli_routes, "[--match URL [--method M]] [--json]",
     "lists routes, or explains a match"},
    {"why", cli_why, "ID [--json]", "says why a request went where it went"},
    {"target", cli_target, "list|add|remove|drain|enable ...",
     "shows and changes the targets of a service"},
    {"deploy", cli_deploy, "SERVICE --release R [--image I | --target ADDRESS ...]",
     "puts a release in the place of the one that serves"},
    {"promote", cli_deploy_word, "ID [--json]", "takes a deploy to its next step now"},
    {"approve", cli_deploy_word, "ID [--json]", "lets a deploy that asks go on"},
    {"abort", cli_deploy_word, "ID [--json]", "takes a deploy back"},
    {"retry", cli_deploy_word, "ID [--json]", "has a deploy that got stuck try again"},
    {"rollback", cli_rollback, "SERVICE [--release R] [--json]",
     "goes back to the release before, or to any that served"},
    {"scale", cli_scale, "SERVICE N [--json]", "has so many units of a service run"},
    {"wake", cli_wake, "SERVICE [--json]", "starts units of a service that sleeps"},
    {"sleep", cli_wake, "SERVICE [--json]", "stops all units of a service until it is asked for"},
    {"split", cli_split, "SERVICE [RELEASE=SHARE ...] [--stable RELEASE]",
     "shows or changes who gets which release"},
    {"key", cli_key, "add|list|revoke ...", "makes, shows and ends API keys"},
    {"pause", cli_pause, "SERVICE [--json]", "lets the requests of a service wait"},
    {"resume", cli_resume, "SERVICE [--json]", "ends pausing and maintenance"},
    {"maintenance", cli_maintenance, "SERVICE on|off [--json]",
     "answers in place of a service's targets"},
    {"shield", cli_shield, "[on [--for 30m]|off] [--json]",
     "has browsers solve a task and limits all others, for a time"},
    {"edge", cli_edge, "list | forget NAME", "shows the edges, and gives up one that is gone"},
    {"cert", cli_cert, "[renew DOMAIN] [--json]", "lists certificates, or renews one now"},
    {"history", cli_history, "[SERVICE] [--json] | --verify", "says who changed what, and when"},
    {"backup", cli_backup, "FILE", "copies what control knows to a file"},
    {"restore", cli_restore, "FILE|URL [--state DIR]", "puts a backup back, while nothing runs"},
    {"version", cli_version, "[--json]", "says which version this is"},
    {"control", cli_control, NULL, NULL},
    {"unit", cli_unit, NULL, NULL},
    {"demo-app", cli_demo_app, NULL, NULL},
};

static int help(FILE *to)
{
    fprintf(to, "sluice: an edge proxy and API gateway\n\n");
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (commands[i].doc)
            fprintf(to, "  sluice %-12s%-44s%s\n", commands[i].name, commands[i].usage,
                    commands[i].doc);
    return to == stdout ? 0 : 2;
}

static int unknown(const char *word)
{
    const char *names[sizeof(commands) / sizeof(*commands)];
    size_t count = 0;
    const char *nearest;

    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (commands[i].doc)
            names[count++] = commands[i].name;
    nearest = diag_nearest((struct str){word, strlen(word)}, names, count);
    fprintf(stderr, "sluice: there is no command \"%s\"", word);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fprintf(stderr, "\nTry `sluice help`.\n");
    return 2;
}

int main(int argc, char **argv)
{
    if (argc < 2)
        return help(stderr);
    if (!strcmp(argv[1], "help") || !strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
        return help(stdout);
    for (size_t i = 0; i < sizeof(commands) / sizeof(*commands); i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 1, argv + 1);
    return unknown(argv[1]);
}
