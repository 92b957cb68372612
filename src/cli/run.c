/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice run FILE`: the supervisor; and `sluice edge FILE`, the process that it starts, which
 * shares its name with the command for people.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/conf.h"
#include "edge/manager/manager.h"
#include "process/keeper.h"
#include "process/link.h"
#include "process/report.h"
#include "process/supervisor.h"
#include "sluice/filter.h"

static const char default_file[] = "conf/sluice.yaml";

struct options {
    const char *file;
    bool watch, last_good;
};

/* False after a word that is not known. */
static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){0};
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--watch")) {
            options->watch = true;
        } else if (!strcmp(argv[i], "--last-good")) {
            options->last_good = true;
        } else if (argv[i][0] != '-' && !options->file) {
            options->file = argv[i];
        } else {
            fprintf(stderr, "sluice %s: what is \"%s\"?\nusage: sluice run [FILE] [--watch]\n",
                    argv[0], argv[i]);
            return false;
        }
    }
    if (!options->file)
        options->file = default_file;
    return true;
}

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

/* Control without an edge; a file that is wrong is the supervisor's to say. */
static bool runs_alone(const char *file)
{
    const struct conf_world world = {.env = get_env, .filters = filter_registry};
    const struct conf *conf;
    struct arena arena;
    struct diag diag;
    bool is_alone;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    conf = file ? conf_load(file, &world, &arena, &diag) : NULL;
    is_alone = conf && conf->role == CONF_ROLE_CONTROL;
    arena_reset(&arena);
    return is_alone;
}

int cli_supervise(const char *file, bool watch, char **argv)
{
    struct supervisor_conf conf = {
        .argv = argv, .self = "/proc/self/exe", .unit = cli_unit, .config = file, .watch = watch};

    bool is_alone = runs_alone(file);

    // What the binary before left runs, and is nobody's but the supervisor's.
    if (is_alone && getenv("SLUICE_HANDOVER")) {
        report_line("role control holds from a restart on, not from an upgrade");
        is_alone = false;
    }
    return is_alone ? keeper_run(&conf) : supervisor_run(&conf);
}

int cli_run(int argc, char **argv)
{
    struct options options;

    if (!parse(argc, argv, &options))
        return 2;
    if (access(options.file, R_OK)) {
        fprintf(stderr,
                "sluice run: cannot read %s\nTry `sluice demo`, or `sluice proxy --from :8080 --to "
                "127.0.0.1:3000`.\n",
                options.file);
        return 2;
    }
    return cli_supervise(options.file, options.watch, argv - 1);
}

int cli_edge(int argc, char **argv)
{
    struct options options;
    struct link link;

    if (argc > 1 && (!strcmp(argv[1], "list") || !strcmp(argv[1], "forget")))
        return cli_edges(argc, argv);
    if (!parse(argc, argv, &options))
        return 2;
    if (!link_inherit(&link)) {
        fprintf(stderr, "sluice edge: started by `sluice run`, not by hand\n");
        return 2;
    }
    return manager_run(&(struct manager_options){.config = options.file,
                                                 .watch = options.watch,
                                                 .last_good = options.last_good,
                                                 .link = &link},
                       filter_registry);
}
