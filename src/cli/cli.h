/* SPDX-License-Identifier: Apache-2.0
 *
 * The commands of the program, one file each; main.c holds the table of them. A command gets its
 * own name as argv[0] and returns the exit status: 0 done, 1 failed, 2 wrong use or wrong
 * configuration.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *usage; /* what follows the name: "FILE [--json]" */
    const char *doc;   /* one sentence */
};

/* check FILE... [--json]: says what is wrong with configuration files. */
int cli_check(int argc, char **argv);
/* doctor [FILE] [--service S] [--json] [--timeout 2s]: dials each target as the edge would, and
 * says what is wrong and what to do. */
int cli_doctor(int argc, char **argv);
/* schema [--reference]: prints the JSON Schema of the configuration, or its reference as Markdown.
 */
int cli_schema(int argc, char **argv);

/* run [FILE] [--watch]: the gateway, until it is told to stop. */
int cli_run(int argc, char **argv);
/* proxy --from ADDR --to ADDR [--to ADDR ...] [--admin ADDR]: a gateway without a file. */
int cli_proxy(int argc, char **argv);
/* demo [--deploys]: a gateway in front of apps of its own, with what to try printed. argv[-1] is
 * the program. */
int cli_demo(int argc, char **argv);
/* demo-app RELEASE: what `demo` has deployed; not for people. */
int cli_demo_app(int argc, char **argv);
/* edge FILE: what `run` starts; not for people. */
int cli_edge(int argc, char **argv);
/* control FILE: what `run` starts beside the edge; not for people. */
int cli_control(int argc, char **argv);
/* unit FILE [SERVICE RELEASE ID PORT [WORD ...]]: what `run` starts for an app; not for people. */
int cli_unit(int argc, char **argv);
/* reload, upgrade, status, routes, target, split, key, pause, resume, maintenance: clients of the
 * admin API; 3: it could not be reached. */
int cli_reload(int argc, char **argv);
int cli_upgrade(int argc, char **argv);
int cli_status(int argc, char **argv);
int cli_routes(int argc, char **argv);
/* top [--interval 2s] [--view V] [--plain | --json] [--once | --count N]: what runs, live. */
int cli_top(int argc, char **argv);
int cli_why(int argc, char **argv);
int cli_target(int argc, char **argv);
/* deploy SERVICE --release R --target A ...: waits until it is live, or undone. 4: it waits for a
 * person; 5: it failed and cannot be taken back. */
int cli_deploy(int argc, char **argv);
/* promote, approve, abort, retry ID: as argv[0] says. */
int cli_deploy_word(int argc, char **argv);
int cli_rollback(int argc, char **argv);
/* edge list|forget NAME: cli_edge() gives them on. */
int cli_edges(int argc, char **argv);
int cli_split(int argc, char **argv);
/* scale SERVICE N; wake SERVICE, sleep SERVICE: as argv[0] says. */
int cli_scale(int argc, char **argv);
int cli_wake(int argc, char **argv);
int cli_key(int argc, char **argv);
int cli_pause(int argc, char **argv);
int cli_resume(int argc, char **argv);
int cli_maintenance(int argc, char **argv);
int cli_shield(int argc, char **argv);
/* cert [--json], cert renew DOMAIN: the certificates, from the admin API and from what the control
 * process leaves in the state directory. */
int cli_cert(int argc, char **argv);
/* history [SERVICE] [--since ID] [--limit N] [--json], history --verify: control's ledger. */
int cli_history(int argc, char **argv);
/* backup FILE: control's database; restore FILE [--state DIR]: puts it back, without a gateway. */
int cli_backup(int argc, char **argv);
int cli_restore(int argc, char **argv);
/* version [--json]. */
int cli_version(int argc, char **argv);

/* target list [SERVICE] [--watch] [--json], once its arguments are read. */
struct client;
int cli_target_list(const struct client *client);

/* For commands that end in a running gateway: supervises an edge with `file`. `argv` is main's, for
 * upgrades. */
int cli_supervise(const char *file, bool watch, char **argv);

#endif
