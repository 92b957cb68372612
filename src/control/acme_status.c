/* SPDX-License-Identifier: Apache-2.0
 *
 * What people see and say beside the log: <state>/acme/status.json, which `sluice cert` reads, and
 * <state>/acme/renew, where it leaves the names of domains to renew now. See acme_impl.h.
 */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "control/acme_impl.h"
#include "control/say.h"

static json_t *date_json(int64_t at_ms)
{
    struct clock_date date = {0};
    struct str text;

    if (at_ms <= 0)
        return json_null();
    text = clock_rfc3339(&date, (uint64_t)at_ms);
    return json_stringn(text.p, text.len);
}

static const char *state_of(const struct acme_set *set)
{
    if (set->run)
        return "ordering";
    if (*set->progress.error)
        return "failed";
    return set->has_cert ? "good" : "waiting";
}

/* When something will happen by itself: a renewal, or the next try after a failure. */
static int64_t next_ms(const struct acme_set *set)
{
    int64_t due_ms = acme_set_renewal_ms(set) - acme_client_skew_ms(set->client);

    return due_ms > set->progress.next_ms ? due_ms : set->progress.next_ms;
}

static json_t *set_json(const struct acme_set *set)
{
    json_t *domains = json_array(), *json;
    const struct acme_progress *progress = &set->progress;

    for (uint32_t i = 0; i < set->identity.names.count; i++)
        json_array_append_new(domains, json_string(set->identity.names.items[i].p));
    json = json_pack("{s:s,s:o,s:s,s:s,s:o,s:o,s:i,s:I}", "name", set->name.p, "domains", domains,
                     "directory", set->identity.directory.p, "state", state_of(set), "not_after",
                     date_json(set->has_cert ? set->cert.not_after_ms : 0), "next",
                     date_json(next_ms(set)), "failures", (int)progress->failures, "skew_ms",
                     (json_int_t)acme_client_skew_ms(set->client));
    json_object_set_new(json, "issued", date_json(progress->issued_ms));
    if (set->window.end_ms)
        json_object_set_new(json, "window",
                            json_pack("{s:o,s:o}", "start", date_json(set->window.start_ms), "end",
                                      date_json(set->window.end_ms)));
    if (*progress->error) {
        json_object_set_new(json, "error", json_string(progress->error));
        json_object_set_new(json, "error_at", date_json(progress->error_ms));
    }
    return json;
}

void acme_status_write(struct acme *acme)
{
    json_t *sets = json_array(), *json;
    struct arena arena;
    struct str path;
    char *text;

    for (const struct acme_set *set = acme->sets; set; set = set->next)
        if (!set->is_retired)
            json_array_append_new(sets, set_json(set));
    json = json_pack("{s:o,s:o}", "sets", sets, "edges", edges_json(acme->options.edges));
    text = json ? json_dumps(json, JSON_INDENT(2)) : NULL;
    json_decref(json);
    if (!text || (acme->shown && !strcmp(text, acme->shown))) {
        free(text);
        return;
    }
    arena_init(&arena, NULL, 0);
    path = arena_format(&arena, "%.*s/acme/status.json", STR_FMT(acme->state));
    if (!path.p || file_write(path.p, (struct str){text, strlen(text)}, 0600))
        say_line("cannot write %.*s: %s", STR_FMT(path), strerror(errno));
    arena_reset(&arena);
    free(acme->shown);
    acme->shown = text;
}

static bool has_name(const struct acme_set *set, const char *name)
{
    for (uint32_t i = 0; i < set->identity.names.count; i++)
        if (!strcmp(set->identity.names.items[i].p, name))
            return true;
    return false;
}

void acme_status_open(struct acme *acme)
{
    char path[PATH_MAX];

    snprintf(path, sizeof(path), "%.*s/acme/renew", STR_FMT(acme->state));
    if (file_make_directory(path))
        say_line("cannot make %s: %s", path, strerror(errno));
}

void acme_status_take_wishes(struct acme *acme)
{
    char path[PATH_MAX];
    struct dirent *entry;
    DIR *folder;

    snprintf(path, sizeof(path), "%.*s/acme/renew", STR_FMT(acme->state));
    folder = opendir(path);
    while (folder && (entry = readdir(folder))) {
        if (*entry->d_name == '.')
            continue;
        unlinkat(dirfd(folder), entry->d_name, 0);
        for (struct acme_set *set = acme->sets; set; set = set->next)
            set->is_asked = set->is_asked || has_name(set, entry->d_name);
    }
    if (folder)
        closedir(folder);
}
