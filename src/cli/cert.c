/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice cert`: which certificates are served, until when, and how their renewal goes. The first
 * comes from the admin API; the second from acme/status.json beside the admin socket, which the
 * control process writes, and which may be missing or out of reach.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "config/diag.h"

enum { PATH_SIZE = 1024, NAMES_SHOWN = 256, WAIT_POLLS = 50, POLL_MS = 100, DAY_S = 86400 };

static const char usage[] = "[renew DOMAIN] [--json]";

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value ? value : "-";
}

/* A file below `acme` of the state directory. False: the gateway is not reached by its socket. */
static bool find_file(const struct client *client, const char *name, char path[PATH_SIZE])
{
    const char *socket = client->admin + 5, *slash;
    int len;

    if (strncmp(client->admin, "unix:", 5))
        return false;
    slash = strrchr(socket, '/');
    len = snprintf(path, PATH_SIZE, "%.*s/acme/%s", slash ? (int)(slash - socket) : 1,
                   slash ? socket : ".", name);
    return len > 0 && len < PATH_SIZE;
}

/* What control left; NULL: nothing, or it may not be read. */
static json_t *load_status(const struct client *client)
{
    char path[PATH_SIZE];

    return find_file(client, "status.json", path) ? json_load_file(path, 0, NULL) : NULL;
}

/* --- listing */

/* Whole days until a date as RFC 3339 has it; false when it is none. */
static bool days_left(const char *date, long *days)
{
    struct tm parts = {0};

    if (!strptime(date, "%Y-%m-%dT%H:%M:%S", &parts))
        return false;
    *days = (long)((timegm(&parts) - time(NULL)) / DAY_S);
    return true;
}

static const char *join(const json_t *domains, char *out, size_t size)
{
    const json_t *domain;
    size_t i, used = 0;

    snprintf(out, size, "-");
    json_array_foreach(domains, i, domain)
    {
        const char *name = json_string_value(domain);
        int more = used < size
                       ? snprintf(out + used, size - used, "%s%s", i ? "," : "", name ? name : "-")
                       : 0;

        used += more > 0 ? (size_t)more : 0;
    }
    return out;
}

static void print_certificate(const json_t *certificate)
{
    char domains[1024], left[32] = "-";
    long days;

    if (days_left(text(certificate, "not_after"), &days))
        snprintf(left, sizeof(left), "%ld", days);
    printf("%-40s %-24s %9s  %-10s %s\n",
           join(json_object_get(certificate, "domains"), domains, sizeof(domains)),
           text(certificate, "issuer"), left, text(certificate, "source"),
           text(certificate, "not_after"));
}

static void print_set(const json_t *set)
{
    char domains[1024];
    const char *state = text(set, "state");

    printf("%-40s %-10s next %s\n", join(json_object_get(set, "domains"), domains, sizeof(domains)),
           state, text(set, "next"));
    if (json_object_get(set, "error"))
        printf("    %s: %s\n", text(set, "error_at"), text(set, "error"));
}

static void print_edge(const json_t *edge)
{
    if (!json_is_true(json_object_get(edge, "reachable")))
        printf("edge %s is not reached: %s\n", text(edge, "name"), text(edge, "error"));
    else if (json_object_get(edge, "error"))
        printf("edge %s refuses what it is given: %s\n", text(edge, "name"), text(edge, "error"));
}

static void print_all(const json_t *certificates, const json_t *status)
{
    const json_t *each;
    size_t i;

    printf("%-40s %-24s %9s  %-10s %s\n", "DOMAINS", "ISSUER", "DAYS LEFT", "SOURCE", "NOT AFTER");
    json_array_foreach(certificates, i, each) print_certificate(each);
    if (json_array_size(json_object_get(status, "sets")))
        printf("\n%-40s %s\n", "ORDERED BY ACME", "STATE");
    json_array_foreach(json_object_get(status, "sets"), i, each) print_set(each);
    json_array_foreach(json_object_get(status, "edges"), i, each) print_edge(each);
}

static int list(const struct client *client)
{
    struct client_answer answer;
    int code = client_call(client, "GET", "/api/v1/certificates", NULL, &answer);
    json_t *status = code ? NULL : load_status(client);
    json_t *certificates = json_object_get(answer.body, "certificates"), *out;

    if (!code && client->json) {
        out = json_pack("{s:O?,s:O?}", "certificates", certificates, "acme", status);
        json_dumpf(out, stdout, JSON_INDENT(2));
        putchar('\n');
        json_decref(out);
    } else if (!code) {
        print_all(certificates, status);
    }
    json_decref(status);
    client_free(&answer);
    return code;
}

/* --- renewing */

static size_t collect(const json_t *status, const char *names[NAMES_SHOWN])
{
    const json_t *set, *domain;
    size_t count = 0, i, k;

    json_array_foreach(json_object_get(status, "sets"), i, set)
    {
        json_array_foreach(json_object_get(set, "domains"), k, domain)
        {
            if (count < NAMES_SHOWN)
                names[count++] = json_string_value(domain);
        }
    }
    return count;
}

static bool is_known(const json_t *status, const char *domain)
{
    const char *names[NAMES_SHOWN], *nearest;
    size_t count = collect(status, names);

    for (size_t i = 0; i < count; i++)
        if (!strcmp(names[i], domain))
            return true;
    fprintf(stderr, "sluice cert: \"%s\" is no domain that certificates are ordered for", domain);
    nearest = diag_nearest((struct str){domain, strlen(domain)}, names, count);
    if (nearest)
        fprintf(stderr, "; did you mean \"%s\"?", nearest);
    fputc('\n', stderr);
    return false;
}

/* Leaves the wish where control looks for it every second, and waits until it was taken. */
static int leave_wish(const char *path)
{
    const struct timespec pause = {0, POLL_MS * 1000000L};
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0) {
        fprintf(stderr, "sluice cert: cannot write %s: %s\n", path, strerror(errno));
        return CLIENT_FAILED;
    }
    close(fd);
    for (int i = 0; i < WAIT_POLLS; i++) {
        if (access(path, F_OK))
            return CLIENT_OK;
        nanosleep(&pause, NULL);
    }
    unlink(path);
    fprintf(stderr, "sluice cert: the control process does not run\n");
    return CLIENT_UNREACHABLE;
}

static int renew(const struct client *client, const char *domain)
{
    char path[PATH_SIZE], name[300];
    json_t *status = load_status(client);
    int code = CLIENT_FAILED;

    snprintf(name, sizeof(name), "renew/%s", domain);
    if (!status || !find_file(client, name, path))
        fprintf(stderr, "sluice cert: no certificates are ordered here, or the state directory "
                        "cannot be read; run it on the machine of the control process\n");
    else if (is_known(status, domain))
        code = leave_wish(path);
    if (!code)
        printf("asked; `sluice cert` shows what comes of it\n");
    json_decref(status);
    return code;
}

int cli_cert(int argc, char **argv)
{
    struct client client;

    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    if (!client.word_count)
        return list(&client);
    if (client.word_count == 2 && !strcmp(client.words[0], "renew"))
        return renew(&client, client.words[1]);
    fprintf(stderr, "usage: sluice cert %s\n", usage);
    return CLIENT_USAGE;
}
