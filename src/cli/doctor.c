/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice doctor`: dials the targets of a configuration as the edge would, without one that runs,
 * and says in words what is wrong and what to do.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/doctor_dial.h"
#include "cli/doctor_print.h"
#include "config/conf.h"
#include "config/units.h"
#include "edge/route/route.h"
#include "edge/tls/tls_trust.h"
#include "sluice/filter.h"

enum { TIMEOUT_MS = 2000, TIMEOUT_MIN_MS = 10, TIMEOUT_MAX_MS = 600000, DIALS = 2 };

static const char default_file[] = "conf/sluice.yaml";

struct options {
    const char *file, *service; /* service NULL: all */
    bool is_json;
    uint32_t timeout_ms;
};

/* What one run holds. */
struct doctor {
    struct options options;
    struct arena arena;
    struct diag diag;
    const struct conf *conf;
    struct tls_client **clients; /* as conf->services; NULL: plain */
    X509_STORE *system;
    struct doctor_place place;
    struct doctor_list list;
    struct doctor_dial *dials; /* up to DIALS for each target, in the list's order */
    unsigned dial_count;
};

/* --- the command line */

static bool complain(const char *word)
{
    if (word)
        fprintf(stderr, "sluice doctor: what is \"%s\"?\n", word);
    fprintf(stderr, "usage: sluice doctor [FILE] [--service S] [--json] [--timeout 2s]\n");
    return false;
}

static bool parse_timeout(const char *text, uint32_t *timeout_ms)
{
    uint64_t ms;

    if (!text || units_duration((struct str){text, strlen(text)}, &ms) || ms < TIMEOUT_MIN_MS ||
        ms > TIMEOUT_MAX_MS)
        return complain(text ? text : "--timeout");
    *timeout_ms = (uint32_t)ms;
    return true;
}

static bool parse_word(struct options *options, const char *word)
{
    if (!strcmp(word, "--json"))
        options->is_json = true;
    else if (word[0] != '-' && !options->file)
        options->file = word;
    else
        return complain(word);
    return true;
}

static bool parse(int argc, char **argv, struct options *options)
{
    *options = (struct options){.timeout_ms = TIMEOUT_MS};
    for (int i = 1; i < argc; i++) {
        bool is_good;

        if (!strcmp(argv[i], "--timeout"))
            is_good = parse_timeout(i + 1 < argc ? argv[++i] : NULL, &options->timeout_ms);
        else if (!strcmp(argv[i], "--service"))
            is_good = (options->service = i + 1 < argc ? argv[++i] : NULL) || complain(argv[i]);
        else
            is_good = parse_word(options, argv[i]);
        if (!is_good)
            return false;
    }
    if (!options->file)
        options->file = default_file;
    return true;
}

/* --- the configuration */

static const char *get_env(void *owner, const char *name)
{
    (void)owner;
    return getenv(name);
}

/* Listeners' certificates are not looked at: they may be another user's to read. */
static bool load(struct doctor *doctor)
{
    const struct conf_world world = {.env = get_env,
                                     .filters = filter_registry,
                                     .check_pattern = route_check_pattern};

    if (access(doctor->options.file, R_OK)) {
        fprintf(stderr, "sluice doctor: cannot read %s\n", doctor->options.file);
        return false;
    }
    doctor->conf = conf_load(doctor->options.file, &world, &doctor->arena, &doctor->diag);
    return doctor->conf != NULL;
}

static bool is_asked(const struct doctor *doctor, const struct conf_service *service)
{
    const char *name = doctor->options.service;

    return !name || str_same(service->name.s, (struct str){name, strlen(name)});
}

static bool find_service(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;
    const char **names = arena_zero(&doctor->arena, conf->service_count, sizeof(*names));
    const char *name = doctor->options.service, *nearest;

    for (uint32_t i = 0; i < conf->service_count; i++)
        if (is_asked(doctor, &conf->services[i]))
            return true;
    for (uint32_t i = 0; names && i < conf->service_count; i++)
        names[i] = arena_copy(&doctor->arena, conf->services[i].name.s).p;
    if (!name) {
        fprintf(stderr, "sluice doctor: the configuration has no service\n");
        return false;
    }
    fprintf(stderr, "sluice doctor: there is no service \"%s\"", name);
    nearest =
        names ? diag_nearest((struct str){name, strlen(name)}, names, conf->service_count) : NULL;
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputc('\n', stderr);
    return false;
}

/* --- TLS */

static bool make_any(struct doctor *doctor)
{
    const struct conf_service any = {
        .tls = {.is_set = true, .name = {.s = STR_INIT("auto")}, .ca = {.s = STR_INIT("system")}},
        .protocol = CONF_PROTOCOL_AUTO,
    };

    doctor->place.any = tls_client_new(&any, NULL, &doctor->diag);
    return doctor->place.any != NULL;
}

static bool make_clients(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;

    doctor->clients = arena_zero(&doctor->arena, conf->service_count, sizeof(struct tls_client *));
    if (!doctor->clients || !make_any(doctor))
        return false;
    for (uint32_t i = 0; i < conf->service_count; i++) {
        const struct conf_service *service = &conf->services[i];

        if (!is_asked(doctor, service) || !service->tls.is_set)
            continue;
        if (!doctor->system && service->tls.verify && tls_trust_is_system(service->tls.ca.s))
            doctor->system = tls_trust_system();
        doctor->clients[i] = tls_client_new(service, doctor->system, &doctor->diag);
        if (!doctor->clients[i])
            return false;
    }
    return true;
}

/* --- dialling */

static void add_dial(struct doctor *doctor, const struct doctor_entry *entry,
                     enum doctor_manner manner)
{
    struct doctor_dial *dial = &doctor->dials[doctor->dial_count++];

    doctor_dial_init(dial, &doctor->place, entry->service, entry->target, manner);
    dial->tls = doctor->clients[entry->service - doctor->conf->services];
}

static bool make_dials(struct doctor *doctor)
{
    doctor->dials = arena_zero(&doctor->arena, (size_t)doctor->list.targets * DIALS + 1,
                               sizeof(*doctor->dials));
    if (!doctor->dials)
        return false;
    for (const struct doctor_entry *e = doctor->list.first; e; e = e->next) {
        bool has_port = e->service->health.is_on && e->service->health.port && e->target &&
                        !e->target->address.is_unix;

        if (e->target)
            add_dial(doctor, e, has_port ? DOCTOR_TARGET : DOCTOR_BOTH);
        if (has_port)
            add_dial(doctor, e, DOCTOR_HEALTH_PORT);
    }
    return true;
}

static void announce_watch(const struct doctor *doctor)
{
    uint32_t ms = doctor_dial_watch_ms(doctor->dials, doctor->dial_count);

    if (ms && isatty(STDERR_FILENO))
        fprintf(stderr, "watching idle connections for %u s\n", (ms + 999) / 1000);
}

static void judge_all(struct doctor *doctor)
{
    struct doctor_entry *entry = doctor->list.first;

    for (unsigned i = 0; i < doctor->dial_count; i++) {
        while (entry->target != doctor->dials[i].target)
            entry = entry->next;
        doctor_judge(&doctor->dials[i].facts, &entry->findings);
        entry->result = doctor->dials[i].facts.result;
    }
}

/* The exit status, or E_... when nothing could be dialled. */
static int examine(struct doctor *doctor)
{
    const struct conf *conf = doctor->conf;

    doctor_list_init(&doctor->list, &doctor->arena, doctor->place.is_inside);
    for (uint32_t i = 0; i < conf->service_count; i++)
        if (is_asked(doctor, &conf->services[i]) &&
            !doctor_list_add(&doctor->list, &conf->services[i]))
            return E_NOMEM;
    if (!make_dials(doctor) || doctor_dial_all(doctor->dials, doctor->dial_count))
        return E_NOMEM;
    announce_watch(doctor);
    doctor_dial_watch(doctor->dials, doctor->dial_count);
    judge_all(doctor);
    doctor_judge_listeners(conf, doctor->place.is_inside, &doctor->list.listeners);
    doctor_print(&doctor->list, doctor->options.is_json);
    return doctor_list_is_good(&doctor->list) ? 0 : 1;
}

/* --- the command */

static bool is_inside(void)
{
    static const char *const names[] = {"FLY_APP_NAME", "RAILWAY_ENVIRONMENT",
                                        "RAILWAY_ENVIRONMENT_ID", "RAILWAY_ENVIRONMENT_NAME"};

    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (getenv(names[i]))
            return true;
    return false;
}

static int run(struct doctor *doctor)
{
    bool is_good = load(doctor);
    int code;

    if (is_good && !find_service(doctor))
        return 2;
    is_good = is_good && make_clients(doctor);
    if (!is_good) {
        struct str report = diag_report(&doctor->diag);

        fprintf(stderr, "%.*s", STR_FMT(report));
        return 2;
    }
    doctor->place.conf = doctor->conf;
    doctor->place.timeout_ms = doctor->options.timeout_ms;
    doctor->place.is_inside = is_inside();
    code = examine(doctor);
    if (code >= 0)
        return code;
    fprintf(stderr, "sluice doctor: out of memory\n");
    return 1;
}

static void end(struct doctor *doctor)
{
    for (unsigned i = 0; i < doctor->dial_count; i++)
        doctor_dial_fini(&doctor->dials[i]);
    for (uint32_t i = 0; doctor->clients && i < doctor->conf->service_count; i++)
        tls_client_unref(&doctor->clients[i]);
    tls_client_unref(&doctor->place.any);
    X509_STORE_free(doctor->system);
    arena_reset(&doctor->arena);
}

int cli_doctor(int argc, char **argv)
{
    struct doctor doctor = {0};
    int code;

    if (!parse(argc, argv, &doctor.options))
        return 2;
    signal(SIGPIPE, SIG_IGN);
    arena_init(&doctor.arena, NULL, 0);
    diag_init(&doctor.diag, &doctor.arena);
    code = run(&doctor);
    end(&doctor);
    return code;
}
