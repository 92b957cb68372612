/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice proxy --from ADDR --to ADDR`: a gateway without a file. It writes one, in a directory of
 * its own that goes when the command ends; what is wrong with an address is said in its words, not
 * in those of that file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/scratch.h"
#include "config/conf.h"
#include "process/bind.h"
#include "sluice/filter.h"

enum { TARGETS_MAX = 64, ADMIN_PORT = 9900, ADDRESS_SIZE = 256 };

/* Lines of the file that are made of arguments. */
enum { LINE_FROM = 3, LINE_ADMIN = 4, LINE_TARGETS = 6 };

struct options {
    const char *from, *admin; /* admin NULL: a free port */
    const char *to[TARGETS_MAX];
    unsigned to_count;
};

static const char usage[] = "--from ADDR --to ADDR [--to ADDR ...] [--admin ADDR]";

static bool complain(const char *word)
{
    if (word)
        fprintf(stderr, "sluice proxy: what is \"%s\"?\n", word);
    fprintf(stderr,
            "usage: sluice proxy %s\nADDR is host:port, [v6]:port or unix:/path; --from may also "
            "be :port.\n",
            usage);
    return false;
}

static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){0};
    for (int i = 1; i < argc; i += 2) {
        const char **value = NULL;

        if (!strcmp(argv[i], "--from") && !options->from)
            value = &options->from;
        else if (!strcmp(argv[i], "--admin") && !options->admin)
            value = &options->admin;
        else if (!strcmp(argv[i], "--to") && options->to_count < TARGETS_MAX)
            value = &options->to[options->to_count++];
        if (!value || i + 1 == argc)
            return complain(argv[i]);
        *value = argv[i + 1];
    }
    return options->from && options->to_count ? true : complain(NULL);
}

/* --- the file */

/* The addresses stand in the file as they are, so none may have a character that YAML or ${} means
 * something by. */
static bool is_plain(const char *option, const char *address)
{
    static const char plain[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789:[]/._-+%@~,=";

    if (strspn(address, plain) == strlen(address) && strlen(address) < ADDRESS_SIZE)
        return true;
    fprintf(stderr, "sluice proxy: %s: \"%s\" is not host:port, [v6]:port or unix:/path\n", option,
            address);
    return false;
}

static bool are_plain(const struct options *options)
{
    for (unsigned i = 0; i < options->to_count; i++)
        if (!is_plain("--to", options->to[i]))
            return false;
    return is_plain("--from", options->from) &&
           (!options->admin || is_plain("--admin", options->admin));
}

static struct str make_config(const struct options *options, const char *state, struct arena *arena)
{
    struct str text = arena_format(arena,
                                   "# Written by `sluice proxy`.\nstate: %s/state\n"
                                   "listeners: [{bind: \"%s\"}]\nadmin: {bind: \"%s\"}\n"
                                   "services: {app: {targets: [\n",
                                   state, options->from, options->admin);

    for (unsigned i = 0; text.p && i < options->to_count; i++)
        text = arena_format(arena, "%s  \"%s\",\n", text.p, options->to[i]);
    return text.p ? arena_format(arena, "%s]}}\n", text.p) : text;
}

static const char *option_of(uint32_t line)
{
    if (line >= LINE_TARGETS)
        return "--to: ";
    return line == LINE_FROM ? "--from: " : line == LINE_ADMIN ? "--admin: " : "";
}

static void say_errors(const struct diag *diag)
{
    for (unsigned i = 0; i < diag->count; i++) {
        const struct diag_entry *entry = &diag->entries[i];

        if (entry->severity != SEVERITY_ERROR)
            continue;
        fprintf(stderr, "sluice proxy: %s%.*s", option_of(diag_line(entry->at)),
                STR_FMT(entry->text));
        if (entry->hint.len)
            fprintf(stderr, " (%.*s)", STR_FMT(entry->hint));
        fprintf(stderr, "\n");
    }
}

static bool check(struct str text, struct arena *arena)
{
    const struct conf_world world = {.filters = filter_registry};
    struct diag diag;

    diag_init(&diag, arena);
    if (conf_parse(text, "proxy", &world, arena, &diag))
        return true;
    say_errors(&diag);
    return false;
}

/* --- the ports */

/* 0, or the exit status after saying why the address cannot be listened on. */
static int probe(const char *option, const char *text, uint16_t *port)
{
    struct bind_address address;
    const char *why;

    if (bind_parse(text, &address, &why)) {
        fprintf(stderr, "sluice proxy: %s: %s: %s\n", option, text, why);
        return 2;
    }
    *port = bind_port(&address);
    if (!bind_probe(&address))
        return 0;
    fprintf(stderr, "sluice proxy: %s: %s is in use by another program\n", option, text);
    return 1;
}

/* Sets options->admin, in `text` when none was given. */
static int find_admin(struct options *options, uint16_t from_port, char *text, size_t size)
{
    uint16_t first = ADMIN_PORT, port;

    if (options->admin)
        return probe("--admin", options->admin, &port);
    if (from_port == first)
        first++;
    port = scratch_port(first);
    if (!port) {
        fprintf(stderr,
                "sluice proxy: no port for the admin API: %u and those after it are in "
                "use; choose one with --admin\n",
                first);
        return 1;
    }
    if (port != ADMIN_PORT)
        fprintf(stderr, "sluice proxy: port %u is in use: the admin port is %u\n", ADMIN_PORT,
                port);
    snprintf(text, size, "127.0.0.1:%u", port);
    options->admin = text;
    return 0;
}

/* --- the command */

/* On stderr, since stdout is the access log's. */
static void announce(const struct options *options, const struct scratch *scratch)
{
    fprintf(stderr, "sluice proxy: %s -> ", options->from);
    for (unsigned i = 0; i < options->to_count; i++)
        fprintf(stderr, "%s%s", i ? ", " : "", options->to[i]);
    fprintf(stderr,
            "; admin port http://%s; for commands: export SLUICE_ADMIN=unix:%s/state/admin.sock\n",
            options->admin, scratch->path);
}

/* Two looks at the file: before a port is taken, since a wrong address is the caller's fault, and
 * nothing else is worth saying then. */
static int prepare(const struct options *asked, const struct scratch *scratch, struct arena *arena)
{
    struct options options = *asked;
    char admin[ADDRESS_SIZE];
    uint16_t port = 0;
    struct str text;
    int code;

    if (!options.admin)
        options.admin = "127.0.0.1:9900";
    text = make_config(&options, scratch->path, arena);
    if (!text.p || !check(text, arena))
        return 2;
    options.admin = asked->admin;
    code = probe("--from", options.from, &port);
    if (!code)
        code = find_admin(&options, port, admin, sizeof(admin));
    if (code)
        return code;
    text = make_config(&options, scratch->path, arena);
    if (!text.p || !scratch_write(scratch, text))
        return 1;
    announce(&options, scratch);
    return 0;
}

int cli_proxy(int argc, char **argv)
{
    struct options options;
    struct scratch scratch;
    struct arena arena;
    int code = 0;

    if (!parse(argc, argv, &options) || !are_plain(&options))
        return 2;
    if (!scratch_open(&scratch, "proxy"))
        return 1;
    arena_init(&arena, NULL, 0);
    if (!scratch.is_inherited)
        code = prepare(&options, &scratch, &arena);
    arena_reset(&arena);
    if (!code)
        code = cli_supervise(scratch.config, false, argv - 1);
    scratch_close(&scratch);
    return code;
}
