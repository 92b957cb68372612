/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_list.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>

#include "base/file.h"
#include "config/conf.h"
#include "rest/target.h"
#include "sluice/filter.h"

enum { HOST_SIZE = 256 };

void doctor_list_init(struct doctor_list *list, struct arena *arena, bool is_inside)
{
    *list = (struct doctor_list){.arena = arena, .is_inside = is_inside};
    list->last = &list->first;
}

static struct doctor_entry *add(struct doctor_list *list, const struct conf_service *service,
                                const struct conf_target *target, struct str name)
{
    struct doctor_entry *entry = arena_zero(list->arena, 1, sizeof(*entry));

    if (!entry)
        return NULL;
    entry->service = service;
    entry->target = target;
    entry->name = name;
    *list->last = entry;
    list->last = &entry->next;
    list->targets += target != NULL;
    return entry;
}

static bool add_targets(struct doctor_list *list, const struct conf_service *service,
                        const struct conf_target *targets, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        if (!add(list, service, &targets[i], targets[i].address.text.s))
            return false;
    return true;
}

/* --- by name */

static bool add_address(struct doctor_list *list, const struct conf_service *service,
                        const struct addrinfo *found)
{
    struct conf_target *target = arena_zero(list->arena, 1, sizeof(*target));
    bool is_v6 = found->ai_family == AF_INET6;
    char host[HOST_SIZE];
    struct str text;

    if (!target ||
        getnameinfo(found->ai_addr, found->ai_addrlen, host, sizeof(host), NULL, 0, NI_NUMERICHOST))
        return false;
    text = arena_format(list->arena, is_v6 ? "[%s]:%u" : "%s:%u", host, service->discover.port);
    if (!text.p)
        return false;
    target_split(text, &target->address);
    target->id.s = text;
    target->weight = 1;
    return add(list, service, target, text) != NULL;
}

static bool say_unresolved(struct doctor_list *list, const struct conf_service *service,
                           const char *why)
{
    struct doctor_facts facts = {.service = service, .dns_error = why};
    struct str dns = service->discover.dns.s;
    struct doctor_entry *entry = add(list, service, NULL, dns);
    struct str address = arena_format(list->arena, "%.*s:0", STR_FMT(dns));

    if (!entry || !address.p)
        return false;
    facts.address = address;
    facts.is_inside = list->is_inside;
    doctor_judge(&facts, &entry->findings);
    return true;
}

static bool add_found(struct doctor_list *list, const struct conf_service *service)
{
    static const int families[] = {AF_UNSPEC, AF_INET, AF_INET6};
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    char name[HOST_SIZE];
    bool is_good = true;
    int failed;

    hints.ai_family = families[service->discover.type];
    snprintf(name, sizeof(name), "%.*s", STR_FMT(service->discover.dns.s));
    failed = getaddrinfo(name, NULL, &hints, &found);
    if (failed)
        return say_unresolved(list, service, gai_strerror(failed));
    for (const struct addrinfo *at = found; at && is_good; at = at->ai_next)
        is_good = add_address(list, service, at);
    freeaddrinfo(found);
    return is_good;
}

static bool say_srv(struct doctor_list *list, const struct conf_service *service)
{
    struct doctor_entry *entry = add(list, service, NULL, service->discover.dns.s);
    struct doctor_finding *finding;

    if (!entry)
        return false;
    finding = doctor_judge_add(&entry->findings, "not_dialled",
                               "SRV records are not followed here: its targets were not dialled");
    doctor_judge_fix(finding, "`sluice status` of the running gateway shows them");
    finding->is_note = true;
    return true;
}

/* --- from a file */

/* The file's lines, each further in, as the list of a service of their own. */
static struct str wrap(struct arena *arena, struct str text)
{
    static const char head[] = "services:\n  found:\n", list[] = "    targets:\n";
    bool has_key = text.len > 8 && !memcmp(text.p, "targets:", 8);
    size_t lines = 1, used;
    char *out;

    for (size_t i = 0; i < text.len; i++)
        lines += text.p[i] == '\n';
    out = arena_text(arena, text.len + lines * 6 + sizeof(head) + sizeof(list));
    if (!out)
        return STR_NONE;
    used = (size_t)sprintf(out, "%s%s", head, has_key ? "" : list);
    for (size_t i = 0; i < text.len; i++) {
        if (!i || text.p[i - 1] == '\n')
            used += (size_t)sprintf(out + used, "%*s", has_key ? 4 : 6, "");
        out[used++] = text.p[i];
    }
    return (struct str){out, used};
}

static bool say_unread(struct doctor_list *list, const struct conf_service *service,
                       const char *why)
{
    struct str file = service->discover.file.s;
    struct doctor_entry *entry = add(list, service, NULL, file);
    struct doctor_finding *finding;

    if (!entry)
        return false;
    finding =
        doctor_judge_add(&entry->findings, "file", "the targets cannot be read from it: %s", why);
    doctor_judge_fix(finding, "write a list in YAML or JSON, as `targets` of a service has it");
    return true;
}

static bool add_file(struct doctor_list *list, const struct conf_service *service)
{
    const struct conf_world world = {.filters = filter_registry};
    const struct conf *conf = NULL;
    struct diag diag;
    struct str text;
    char why[320];

    if (file_read(service->discover.file.s.p, list->arena, &text))
        return say_unread(list, service, strerror(errno));
    diag_init(&diag, list->arena);
    text = wrap(list->arena, text);
    if (text.p)
        conf = conf_parse(text, service->discover.file.s.p, &world, list->arena, &diag);
    if (conf)
        return add_targets(list, service, conf->services[0].targets,
                           conf->services[0].target_count);
    snprintf(why, sizeof(why), "%.*s", diag.count ? (int)diag.entries[0].text.len : 0,
             diag.count ? diag.entries[0].text.p : "");
    return say_unread(list, service, why);
}

/* --- all */

bool doctor_list_add(struct doctor_list *list, const struct conf_service *service)
{
    const struct conf_discover *discover = &service->discover;

    if (!add_targets(list, service, service->targets, service->target_count))
        return false;
    if (!discover->is_set)
        return true;
    if (discover->file.s.len)
        return add_file(list, service);
    return discover->type == CONF_DISCOVER_SRV ? say_srv(list, service) : add_found(list, service);
}

bool doctor_list_is_fine(const struct doctor_findings *findings)
{
    for (unsigned i = 0; i < findings->count; i++)
        if (!findings->items[i].is_note)
            return false;
    return true;
}

bool doctor_list_is_good(const struct doctor_list *list)
{
    for (const struct doctor_entry *entry = list->first; entry; entry = entry->next)
        if (!doctor_list_is_fine(&entry->findings))
            return false;
    return doctor_list_is_fine(&list->listeners);
}
