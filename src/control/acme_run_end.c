/* SPDX-License-Identifier: Apache-2.0
 *
 * The calls of a run, and how it ends: what is said, and when the next try is. See acme_run_impl.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "control/acme_key.h"
#include "control/acme_run_impl.h"
#include "control/say.h"

/* The CA's words, cut where the room ends, but never within a character. */
void acme_run_copy_text(char *out, size_t size, const char *text)
{
    struct str rest = {text, strlen(text)};
    size_t used = 0;

    while (rest.len) {
        size_t len = text_utf8(rest);

        if (used + (len ? len : 1) >= size)
            break;
        if (len)
            memcpy(out + used, rest.p, len);
        else
            out[used] = '?';
        used += len ? len : 1;
        rest.p += len ? len : 1;
        rest.len -= len ? len : 1;
    }
    out[used] = '\0';
}

void acme_run_cancel(struct acme_run **run)
{
    struct acme_run *gone = *run;

    *run = NULL;
    if (!gone)
        return;
    outbound_cancel(&gone->check);
    acme_client_cancel(&gone->set->call);
    acme_run_drop_answers(gone);
    acme_key_free(&gone->key);
    arena_reset(&gone->arena);
    free(gone);
}

void acme_run_remove_journal(struct acme_set *set)
{
    acme_store_remove_journal(set->folder, set->name);
    set->has_order = false;
}

void acme_run_finish(struct acme_run *run)
{
    struct acme_set *set = run->set;

    acme_set_save(set);
    acme_run_cancel(&set->run);
}

void acme_run_fail(struct acme_run *run, const struct acme_run_failure *failure)
{
    struct acme_set *set = run->set;
    struct acme_progress *progress = &set->progress;
    int64_t now_ms = (int64_t)clock_wall_ms(), wait_ms;
    const char *text = failure->text ? failure->text : "out of memory";
    struct str line =
        arena_format(&run->arena, "%s%s%s%s%s%s", run->earlier, *run->earlier ? "; then " : "",
                     text, *run->note ? " (we ourselves: " : "", run->note, *run->note ? ")" : "");

    if (progress->failure != failure->kind)
        progress->failures = 0;
    progress->failure = failure->kind;
    progress->failures += progress->failures < UINT32_MAX;
    wait_ms = acme_schedule_retry_ms(failure->kind, progress->failures, failure->retry_ms,
                                     (uint64_t)now_ms);
    progress->next_ms = now_ms + wait_ms;
    progress->error_ms = now_ms;
    acme_run_copy_text(progress->error, sizeof(progress->error), line.p ? line.p : text);
    say_line("no certificate for %.*s: %s; next try in %lld s",
             STR_FMT(acme_set_title(set, &run->arena)), progress->error, (long long)wait_ms / 1000);
    // What the CA was not asked about goes on where it stands; what it refused is over.
    if (failure->kind == ACME_FAILURE_REFUSED)
        acme_run_remove_journal(set);
    acme_run_finish(run);
}

void acme_run_fail_disk(struct acme_run *run)
{
    struct str text = arena_format(&run->arena, "cannot write to %.*s: %s",
                                   STR_FMT(run->set->folder), strerror(errno));

    acme_run_fail(run, &(struct acme_run_failure){ACME_FAILURE_UNREACHABLE, 0, text.p});
}

void acme_run_fail_memory(struct acme_run *run)
{
    acme_run_fail(run, &(struct acme_run_failure){ACME_FAILURE_UNREACHABLE, 0, "out of memory"});
}

void acme_run_fail_answer(struct acme_run *run, const struct acme_answer *answer)
{
    enum acme_failure kind =
        answer->outcome == ACME_REFUSED ? ACME_FAILURE_REFUSED : ACME_FAILURE_UNREACHABLE;

    acme_run_fail(run, &(struct acme_run_failure){kind, answer->retry_ms, answer->error});
}

void acme_run_fail_confused(struct acme_run *run, const char *text)
{
    acme_run_fail(run, &(struct acme_run_failure){ACME_FAILURE_REFUSED, 0, text});
}

/* --- calls */

bool acme_run_call(struct acme_run *run, const struct acme_call *call)
{
    struct acme_set *set = run->set;

    set->call = *call;
    set->call.owner = run;
    if (acme_client_call(set->client, &set->call) == OK)
        return true;
    acme_run_fail_memory(run);
    return false;
}

void acme_run_post(struct acme_run *run, struct str url, struct str payload,
                   void (*done)(struct acme_call *call, const struct acme_answer *answer))
{
    acme_run_call(run, &(struct acme_call){
                           .kind = ACME_CALL_POST, .url = url, .payload = payload, .done = done});
}
