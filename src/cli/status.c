/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice status`: what runs, in a page.
 */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/show.h"

static bool is_true(json_t *object, const char *name)
{
    return json_is_true(json_object_get(object, name));
}

/* What is not as usual with a service. */
static void print_mode(json_t *service)
{
    const char *mode = show_text(service, "mode"), *balance = show_text(service, "balance_mode");
    long long waiting = show_number(service, "waiting");

    if (strcmp(mode, "running") != 0)
        printf("  %s, by the %s\n", mode, show_text(service, "mode_source"));
    if (waiting)
        printf("  %lld %s\n", waiting, waiting == 1 ? "request waits" : "requests wait");
    if (strcmp(balance, "normal") != 0)
        printf("  %s\n", show_text(service, "balance_words"));
}

/* Who gets what, where there is a choice. */
static void print_split(json_t *service)
{
    json_t *releases = json_object_get(service, "releases"), *release;
    size_t i;

    if (!is_true(service, "has_releases"))
        return;
    printf("  split by the %s:", show_text(service, "split_source"));
    json_array_foreach(releases, i, release)
        printf("%s %s %.4g%%", i ? "," : "", show_text(release, "id"),
               json_number_value(json_object_get(release, "percent")));
    putchar('\n');
}

/* How many units it has, and whether it sleeps, as control says; nothing where that is not known.
 */
static void print_scale(const json_t *control, const char *name)
{
    const json_t *service;
    char text[SHOW_SCALE];
    size_t i;

    json_array_foreach(json_object_get(control, "services"), i,
                       service) if (!strcmp(show_text(service, "service"), name))
        printf("  it %s\n", show_scale(service, text));
}

/* What is left of its error budgets. */
static void print_slo(const json_t *control, const char *name)
{
    const json_t *slo = json_object_get(json_object_get(control, "slo"), name), *goal;
    long long hours = show_number(slo, "window_s") / 3600;
    size_t i;

    json_array_foreach(json_object_get(slo, "objectives"), i, goal)
    {
        double left = json_number_value(json_object_get(goal, "budget_left")) * 100;

        printf("  %s %.6g%% over %lld %s: ", show_text(goal, "slo"),
               json_number_value(json_object_get(goal, "objective")) * 100,
               hours % 24 ? hours : hours / 24, hours % 24 ? "hours" : "days");
        printf(left < 0 ? "ERROR BUDGET OVERSPENT by %.1f%%" : "%.1f%% of the error budget is left",
               left < 0 ? -left : left);
        printf(" (%lld of %lld requests were bad)\n", show_number(goal, "bad"),
               show_number(goal, "requests"));
    }
}

static void print_services(json_t *services, const json_t *control)
{
    json_t *service, *target;
    size_t i, k;

    printf("\n%-16s %-28s %-8s %-7s %9s %6s %6s\n", "SERVICE", "TARGET", "STATE", "SOURCE",
           "IN FLIGHT", "OPEN", "IDLE");
    json_array_foreach(services, i, service)
    {
        json_array_foreach(json_object_get(service, "targets"), k, target)
        {
            json_t *connections = json_object_get(target, "connections");

            printf("%-16s %-28s %-8s %-7s %9lld %6lld %6lld\n", k ? "" : show_text(service, "name"),
                   show_text(target, "id"), show_state(target), show_text(target, "source"),
                   show_number(target, "in_flight"), show_number(connections, "open"),
                   show_number(connections, "idle"));
        }
        print_split(service);
        print_mode(service);
        print_scale(control, show_text(service, "name"));
        print_slo(control, show_text(service, "name"));
    }
}

static void print_workers(json_t *workers)
{
    json_t *worker;
    size_t i;

    printf("\n%-16s %9s %18s\n", "WORKER", "IN FLIGHT", "CONNECTIONS");
    json_array_foreach(workers, i, worker)
        printf("%-16lld %9lld %9lld of %5lld\n", show_number(worker, "index"),
               show_number(worker, "in_flight"), show_number(worker, "connections"),
               show_number(worker, "connections_max"));
}

static void print_draining(json_t *edges)
{
    json_t *edge;
    size_t i;

    json_array_foreach(edges, i, edge)
        printf("\nan older edge (process %lld) drains: %lld requests left\n",
               show_number(edge, "pid"), show_number(edge, "in_flight"));
}

/* "2027-01-31", with what is wrong in capitals, so that it stands out. */
static void print_expiry(json_t *certificate)
{
    const char *state = show_text(certificate, "state");

    printf("until %.10s%s%s", show_text(certificate, "not_after"),
           !strcmp(state, "expired")         ? ", EXPIRED"
           : !strcmp(state, "expires_soon")  ? ", EXPIRES SOON"
           : !strcmp(state, "not_yet_valid") ? ", NOT YET VALID"
                                             : "",
           json_object_get(certificate, "error") ? ", NEW FILES ARE BAD: " : "");
    if (json_object_get(certificate, "error"))
        printf("%s", show_text(certificate, "error"));
}

static bool is_on(json_t *certificate, const char *bind)
{
    json_t *listener;
    size_t i;

    json_array_foreach(json_object_get(certificate, "listeners"), i,
                       listener) if (!strcmp(json_string_value(listener), bind)) return true;
    return false;
}

/* A line for each certificate that the listener shows. */
static void print_certificates(json_t *certificates, const char *bind)
{
    json_t *certificate;
    size_t i;

    json_array_foreach(certificates, i, certificate)
    {
        json_t *domains = json_object_get(certificate, "domains");
        const char *first = json_string_value(json_array_get(domains, 0));
        size_t more = json_array_size(domains) > 1 ? json_array_size(domains) - 1 : 0;

        if (!is_on(certificate, bind))
            continue;
        printf("  %s", first ? first : "no name");
        if (more)
            printf(" and %zu more", more);
        printf(" (%s, %s), ", show_text(certificate, "source"), show_text(certificate, "key_type"));
        print_expiry(certificate);
        putchar('\n');
    }
}

/* "keys of URL: 2, read 12s ago", with what is wrong in capitals. */
static void print_source(const json_t *source)
{
    char age[16];

    printf("keys of %s: %lld", show_text(source, "name"), show_number(source, "keys"));
    if (json_object_get(source, "age_s"))
        printf(", read %s ago", show_age(show_number(source, "age_s"), age));
    if (json_object_get(source, "error"))
        printf(", FAILED: %s", show_text(source, "error"));
    printf("\n");
}

static void print_credentials(json_t *credentials)
{
    json_t *source, *filter;
    size_t i;

    json_array_foreach(json_object_get(credentials, "sources"), i, source) print_source(source);
    if (show_number(credentials, "api_keys"))
        printf("API keys made at run time: %lld\n", show_number(credentials, "api_keys"));
    json_array_foreach(json_object_get(credentials, "filters"), i, filter)
    {
        bool is_routes = json_object_get(filter, "route") != NULL;

        if (!show_number(filter, "keys"))
            continue;
        printf("%s of %s%s knows %lld\n", show_text(filter, "filter"),
               is_routes ? "route " : "every route", is_routes ? show_text(filter, "route") : "",
               show_number(filter, "keys"));
    }
}

static void print(json_t *status, const json_t *control)
{
    json_t *config = json_object_get(status, "config"), *listener, *warning;
    json_t *shield = json_object_get(status, "shield");
    size_t i;

    printf("sluice %s, up %lld s, generation %lld, %s%s\n", show_text(status, "version"),
           show_number(status, "uptime_s"), show_number(status, "generation"),
           is_true(status, "draining") ? "draining"
           : is_true(status, "ready")  ? "ready"
                                       : "starting",
           is_true(config, "last_good") ? ", on the last configuration that lasted" : "");
    printf("configuration %s, last reload %s\n", show_text(config, "path"),
           is_true(json_object_get(config, "last_reload"), "successful") ? "good" : "FAILED");
    json_array_foreach(json_object_get(status, "listeners"), i, listener)
    {
        printf("listening on %s (%s)\n", show_text(listener, "bind"), show_text(listener, "kind"));
        if (json_object_get(listener, "client_address"))
            printf("  the client's address is %s\n", show_text(listener, "client_address"));
        print_certificates(json_object_get(status, "certificates"), show_text(listener, "bind"));
    }
    print_credentials(json_object_get(status, "credentials"));
    if (is_true(shield, "on"))
        printf("the shield is up for another %lld s\n", show_number(shield, "left_s"));
    json_array_foreach(json_object_get(status, "warnings"), i, warning)
        printf("WARNING: %s\n", json_string_value(warning));
    print_services(json_object_get(status, "services"), control);
    print_workers(json_object_get(status, "workers"));
    print_draining(json_object_get(status, "draining_edges"));
}

int cli_status(int argc, char **argv)
{
    struct client client;
    struct client_answer answer, control = {0};
    int code;

    if (!client_parse(&client, argc, argv, "[--json]"))
        return CLIENT_USAGE;
    code = client_call(&client, "GET", "/api/v1/status", NULL, &answer);
    if (!code && client.json)
        client_print(&answer);
    else if (!code && !client_try(&client, "GET", "/api/v1/control", NULL, &control))
        print(answer.body, control.body);
    else if (!code)
        print(answer.body, NULL);
    client_free(&control);
    client_free(&answer);
    return code;
}
