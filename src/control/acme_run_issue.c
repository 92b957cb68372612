/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of an order whose domains are proved: request, download, checks, and onto disk
 * before anybody serves it. See acme_run_impl.h.
 */
#include <string.h>

#include "base/clock.h"
#include "control/acme_jws.h"
#include "control/acme_run_impl.h"
#include "control/say.h"

/* --- the certificate */

static void on_finalized(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;

    if (answer->outcome != ACME_GOOD) {
        acme_run_fail_answer(run, answer);
        return;
    }
    run->order.is_finalized = true;
    run->order.polls = 0;
    acme_run_take_order(run, answer);
}

void acme_run_finalize(struct acme_run *run)
{
    struct str der = acme_cert_request(&run->arena, run->key, &run->set->identity.names);
    struct str text = der.p ? acme_jws_base64(&run->arena, der) : STR_NONE;
    struct str payload =
        text.p ? arena_format(&run->arena, "{\"csr\":\"%.*s\"}", STR_FMT(text)) : STR_NONE;

    if (payload.p)
        acme_run_post(run, run->order.finalize, payload, on_finalized);
    else
        acme_run_fail_memory(run);
}

/* Orders that follow each other far too soon say that a clock or the CA's window is wrong. */
static void note_issue(const struct acme_run *run, int64_t now_ms)
{
    struct acme_set *set = run->set;
    struct acme_progress *progress = &set->progress;
    int64_t life_ms = set->cert.not_after_ms - set->cert.not_before_ms;
    int64_t since_ms = now_ms - progress->issued_ms;
    bool is_soon = progress->issued_ms && since_ms >= 0 && since_ms < life_ms / 4;

    progress->streak = is_soon && !run->is_asked ? progress->streak + 1 : 0;
    progress->issued_ms = now_ms;
    progress->next_ms = now_ms + acme_schedule_hold_ms(progress->streak);
    progress->failures = 0;
    *progress->error = '\0';
    progress->error_ms = 0;
}

static void say_issued(struct acme_run *run)
{
    struct acme_set *set = run->set;
    struct clock_date date = {0};
    struct str until = clock_rfc3339(&date, (uint64_t)set->cert.not_after_ms);

    say_line("certificate for %.*s until %.*s from %.*s", STR_FMT(acme_set_title(set, &run->arena)),
             STR_FMT(until), STR_FMT(set->identity.directory));
    if (set->cert.not_before_ms > (int64_t)clock_wall_ms() + 3600 * 1000)
        say_line("by the clock of this machine it is not valid yet: set the clock");
}

void acme_run_on_chain(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;
    struct acme_set *set = run->set;
    struct acme_cert cert;
    struct str pair;

    if (answer->outcome != ACME_GOOD) {
        acme_run_fail_answer(run, answer);
        return;
    }
    if (acme_cert_read(&run->arena, answer->body, run->key, &set->identity.names, &cert)) {
        acme_run_fail_confused(run,
                               arena_format(&run->arena, "what the CA issued cannot be used: %.*s",
                                            STR_FMT(cert.error))
                                   .p);
        return;
    }
    pair = arena_format(&run->arena, "%.*s%.*s", STR_FMT(run->key_pem), STR_FMT(answer->body));
    if (!pair.p) {
        acme_run_fail_memory(run);
        return;
    }
    if (acme_store_write_pair(set->folder, set->name, pair)) {
        acme_run_fail_disk(run);
        return;
    }
    acme_run_remove_journal(set);
    if (acme_set_take(set, pair)) {
        acme_run_fail_memory(run);
        return;
    }
    note_issue(run, (int64_t)clock_wall_ms());
    say_issued(run);
    acme_run_finish(run);
}
