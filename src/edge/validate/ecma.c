/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/validate/ecma.h"

#include "base/match_memory.h"

#include <stdlib.h>

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

enum {
    MATCH_LIMIT = 50 * 1000, // backtracking steps: below a millisecond with JIT
    DEPTH_LIMIT = 1000,
    HEAP_LIMIT_KIB = 256,
    // What a step costs grows with the text, and the limit of steps is one for each place where a
    // match may begin: up to here it bounds the time, above a watch does.
    UNWATCHED_MAX = 128,
};

static pcre2_code *compile(struct str pattern, uint32_t more, int *error, size_t *offset)
{
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_ALLOW_EMPTY_CLASS |
                       PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C | more;
    pcre2_compile_context *context = pcre2_compile_context_create(NULL);
    pcre2_code *code = NULL;

    *error = PCRE2_ERROR_NOMEMORY;
    *offset = 0;
    if (!context)
        return NULL;
    pcre2_set_compile_extra_options(context, PCRE2_EXTRA_ALT_BSUX); // \u{1F600}
    code = pcre2_compile((PCRE2_SPTR)(pattern.p ? pattern.p : ""), pattern.len, options, error,
                         offset, context);
    pcre2_compile_context_free(context);
    // Refused where memory may not be made executable; the interpreter then does it.
    if (code)
        pcre2_jit_compile(code, PCRE2_JIT_COMPLETE);
    return code;
}

const struct ecma *ecma_compile(struct ecma **list, struct arena *arena, struct str pattern,
                                struct span at, struct diag *diag)
{
    struct ecma *ecma = arena_zero(arena, 1, sizeof(*ecma));
    char words[128];
    size_t offset;
    int error;

    if (!ecma) {
        diag_error(diag, at, "out of memory");
        return NULL;
    }
    ecma->code = compile(pattern, 0, &error, &offset);
    if (ecma->code)
        ecma->watched = compile(pattern, PCRE2_AUTO_CALLOUT, &error, &offset);
    if (!ecma->watched) {
        pcre2_code_free(ecma->code);
        pcre2_get_error_message(error, (PCRE2_UCHAR *)words, sizeof(words));
        diag_error(diag, at, "bad regular expression at character %zu: %s", offset + 1, words);
        return NULL;
    }
    ecma->next = *list;
    *list = ecma;
    return ecma;
}

void ecma_free(struct ecma **list)
{
    for (; *list; *list = (*list)->next) {
        pcre2_code_free((*list)->code);
        pcre2_code_free((*list)->watched);
    }
}

/* Before each item of the pattern: between two of them the text is gone through once at most. */
static int look(pcre2_callout_block *block, void *owner)
{
    const struct ecma_watch *watch = owner;

    (void)block;
    return watch->is_over(watch->owner) ? PCRE2_ERROR_CALLOUT : 0;
}

enum ecma_answer ecma_match(const struct ecma *ecma, struct str subject,
                            const struct ecma_watch *watch)
{
    const pcre2_code *code = subject.len > UNWATCHED_MAX ? ecma->watched : ecma->code;
    struct ecma_watch asked = *watch;
    struct match_memory memory = {.used = 0};
    pcre2_general_context *general =
        pcre2_general_context_create(match_memory_take, match_memory_give, &memory);
    pcre2_match_context *context = pcre2_match_context_create(general);
    pcre2_match_data *data = pcre2_match_data_create(1, general);
    int count = PCRE2_ERROR_NOMEMORY;

    if (context && data) {
        pcre2_set_match_limit(context, MATCH_LIMIT);
        pcre2_set_depth_limit(context, DEPTH_LIMIT);
        pcre2_set_heap_limit(context, HEAP_LIMIT_KIB);
        pcre2_set_callout(context, look, &asked);
        // Checked as UTF-8 by what read it.
        count = pcre2_match(code, (PCRE2_SPTR)(subject.p ? subject.p : ""), subject.len, 0,
                            PCRE2_NO_UTF_CHECK, data, context);
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    pcre2_general_context_free(general);
    if (count >= 0)
        return ECMA_FITS;
    return count == PCRE2_ERROR_NOMATCH ? ECMA_FAILS : ECMA_TOO_LONG;
}
