/* SPDX-License-Identifier: Apache-2.0
 *
 * Diagnostics of a configuration as JSON, and as an error of the API.
 */
#include "rest/rest_diag.h"

static json_t *text_json(struct str text)
{
    return text.p ? json_stringn(text.p, text.len) : NULL;
}

static void set_text(json_t *json, const char *key, struct str text)
{
    json_t *value = text_json(text);

    if (value)
        json_object_set_new(json, key, value);
}

json_t *rest_diag_json(const struct diag *diag)
{
    json_t *list = json_array();

    for (unsigned i = 0; i < diag->count; i++) {
        const struct diag_entry *entry = &diag->entries[i];
        json_t *json = json_object();

        set_text(json, "at", diag_place(diag, entry->at));
        set_text(json, "severity",
                 entry->severity == SEVERITY_ERROR ? STR("error") : STR("warning"));
        set_text(json, "message", entry->text);
        set_text(json, "hint", entry->hint);
        set_text(json, "rendered", diag_render(diag, entry));
        json_array_append_new(list, json);
    }
    return list;
}

static const struct diag_entry *first_error(const struct diag *diag)
{
    for (unsigned i = 0; i < diag->count; i++)
        if (diag->entries[i].severity == SEVERITY_ERROR)
            return &diag->entries[i];
    return NULL;
}

void rest_diag_problem(struct rest_call *call, unsigned status, const char *reason,
                       const struct diag *diag)
{
    struct diag sorted = *diag;
    const struct diag_entry *first;
    struct str detail = STR("out of memory");
    json_t *json;

    diag_sort(&sorted);
    first = first_error(&sorted);
    if (first)
        detail = first->text;
    json = rest_problem_json(status, reason, detail);
    if (first)
        set_text(json, "at", diag_place(&sorted, first->at));
    json_object_set_new(json, "errors", rest_diag_json(&sorted));
    if (sorted.dropped)
        json_object_set_new(json, "more", json_integer(sorted.dropped));
    rest_reply_problem(call, status, json);
}
