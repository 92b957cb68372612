/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/route/pattern.h"

#include "base/match_memory.h"
#include "edge/route/route.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_LIMIT = 50 * 1000, // backtracking steps: below a millisecond with JIT
    DEPTH_LIMIT = 1000,
    HEAP_LIMIT_KIB = 256,
};

bool route_pattern_init(struct route_pattern *pattern, struct conf_text text, struct diag *diag)
{
    // UTF cannot be switched on from inside a pattern either: a path is bytes.
    uint32_t options = PCRE2_NEVER_UTF | PCRE2_NEVER_UCP | PCRE2_DOLLAR_ENDONLY;
    char words[128];
    size_t offset;
    int error;

    pattern->code = pcre2_compile((PCRE2_SPTR)(text.s.p ? text.s.p : ""), text.s.len, options,
                                  &error, &offset, NULL);
    if (!pattern->code) {
        pcre2_get_error_message(error, (PCRE2_UCHAR *)words, sizeof(words));
        diag_error(diag, text.at, "bad regular expression at character %zu: %s", offset + 1, words);
        return false;
    }
    // Refused where memory may not be made executable; the interpreter then does it.
    pcre2_jit_compile(pattern->code, PCRE2_JIT_COMPLETE);
    return true;
}

void route_pattern_fini(struct route_pattern *pattern)
{
    pcre2_code_free(pattern->code);
    pattern->code = NULL;
}

bool route_check_pattern(struct conf_text pattern, struct diag *diag)
{
    struct route_pattern compiled;
    bool is_good = route_pattern_init(&compiled, pattern, diag);

    if (is_good)
        route_pattern_fini(&compiled);
    return is_good;
}

static void copy_groups(const pcre2_match_data *data, int count, struct route_groups *groups)
{
    const size_t *offsets = pcre2_get_ovector_pointer((pcre2_match_data *)data);
    int found = count ? count : PATTERN_GROUPS;

    *groups = (struct route_groups){.end = {0}};
    for (int i = 0; i < found && i < PATTERN_GROUPS; i++) {
        // \K may put the start behind the end.
        if (offsets[2 * i] == PCRE2_UNSET || offsets[2 * i] > offsets[2 * i + 1])
            continue;
        groups->start[i] = offsets[2 * i];
        groups->end[i] = offsets[2 * i + 1];
    }
}

static bool run(const struct route_pattern *pattern, struct str subject,
                struct route_groups *groups)
{
    struct match_memory memory = {.used = 0};
    pcre2_general_context *general =
        pcre2_general_context_create(match_memory_take, match_memory_give, &memory);
    pcre2_match_context *context = pcre2_match_context_create(general);
    pcre2_match_data *data = pcre2_match_data_create(groups ? PATTERN_GROUPS : 1, general);
    int count = PCRE2_ERROR_NOMEMORY;

    if (context && data) {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_depth_limit(context, DEPTH_LIMIT);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        count = pcre2_match(pattern->code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.len, 0,
                            0, data, context);
        if (count >= 0 && groups)
            copy_groups(data, count, groups);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_general_context_free(general);
    return count >= 0;
}

bool route_pattern_fits(const struct route_pattern *pattern, struct str subject)
{
    return run(pattern, subject, NULL);
}

bool route_pattern_find(const struct route_pattern *pattern, struct str subject,
                        struct route_groups *groups)
{
    return run(pattern, subject, groups);
}
