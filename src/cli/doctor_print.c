/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/doctor_print.h"

#include <jansson.h>
#include <stdio.h>

/* --- words */

static void print_findings(const struct doctor_findings *findings)
{
    for (unsigned i = 0; i < findings->count; i++) {
        const struct doctor_finding *finding = &findings->items[i];

        printf("  %s%s: %s\n", finding->is_note ? "note: " : "", finding->slug, finding->words);
        if (finding->fix[0])
            printf("    fix: %s\n", finding->fix);
    }
}

static void print_entry(const struct doctor_entry *entry)
{
    const struct probe_result *result = &entry->result;
    struct str id = entry->target ? entry->target->id.s : entry->name;

    printf("%.*s %.*s", STR_FMT(entry->service->name.s), STR_FMT(id));
    if (!str_same(id, entry->name))
        printf(" %.*s", STR_FMT(entry->name));
    if (!doctor_list_is_fine(&entry->findings))
        printf(": wrong\n");
    else if (entry->target)
        printf(": ok (%s in %u ms)\n", result->words, result->took_ms);
    else
        printf(": not dialled\n");
    print_findings(&entry->findings);
}

static void print_words(const struct doctor_list *list)
{
    for (const struct doctor_entry *entry = list->first; entry; entry = entry->next)
        print_entry(entry);
    if (list->listeners.count)
        printf("listeners: ok\n");
    print_findings(&list->listeners);
}

/* --- JSON */

static json_t *findings_json(const struct doctor_findings *findings)
{
    json_t *all = json_array();

    for (unsigned i = 0; i < findings->count; i++) {
        const struct doctor_finding *finding = &findings->items[i];

        json_array_append_new(all, json_pack("{s:s,s:b,s:s,s:s}", "slug", finding->slug, "note",
                                             finding->is_note, "words", finding->words, "fix",
                                             finding->fix));
    }
    return all;
}

static json_t *entry_json(const struct doctor_entry *entry)
{
    const struct probe_result *result = &entry->result;
    struct str id = entry->target ? entry->target->id.s : entry->name;

    return json_pack("{s:s%,s:s%,s:s%,s:b,s:s,s:I,s:o}", "service", entry->service->name.s.p,
                     entry->service->name.s.len, "target", id.p, id.len, "address", entry->name.p,
                     entry->name.len, "ok", doctor_list_is_fine(&entry->findings), "words",
                     result->words, "took_ms", (json_int_t)result->took_ms, "findings",
                     findings_json(&entry->findings));
}

static void print_json(const struct doctor_list *list)
{
    json_t *targets = json_array(), *all;

    for (const struct doctor_entry *entry = list->first; entry; entry = entry->next)
        json_array_append_new(targets, entry_json(entry));
    all = json_pack("{s:b,s:o,s:o}", "ok", doctor_list_is_good(list), "targets", targets,
                    "listeners", findings_json(&list->listeners));
    json_dumpf(all, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(all);
}

void doctor_print(const struct doctor_list *list, bool is_json)
{
    if (is_json)
        print_json(list);
    else
        print_words(list);
}
