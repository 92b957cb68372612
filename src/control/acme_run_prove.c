/* SPDX-License-Identifier: Apache-2.0
 *
 * Proving that a domain is ours (RFC 8555 section 7.5): which challenge, its answer on every edge,
 * a look of our own, and the word to the CA. See acme_run_impl.h.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "control/acme_run_impl.h"
#include "control/say.h"

enum { SPREAD_MS = 5000, CHECK_MS = 3000 };

/* --- authorizations */

static struct acme_choice choose(const struct acme_run *run, struct str domain)
{
    const struct acme_set *set = run->set;
    bool is_alpn = set->identity.challenge == CONF_ACME_TLS_ALPN_01;

    if (set->identity.challenge != CONF_ACME_AUTO)
        return (struct acme_choice){{is_alpn ? ACME_TLS_ALPN_01 : ACME_HTTP_01}, 1};
    for (uint32_t i = 0; i < set->identity.names.count; i++)
        if (!strcmp(set->identity.names.items[i].p, domain.p))
            is_alpn = set->by_alpn[i];
    return is_alpn ? (struct acme_choice){{ACME_TLS_ALPN_01, ACME_HTTP_01}, 2}
                   : (struct acme_choice){{ACME_HTTP_01, ACME_TLS_ALPN_01}, 2};
}

void acme_run_on_authorization(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;
    struct acme_json_authorization json;
    enum status status;

    if (answer->outcome != ACME_GOOD) {
        acme_run_fail_answer(run, answer);
        return;
    }
    status = acme_json_read_authorization(&run->arena, answer->body, &json);
    if (!status) {
        struct acme_choice choice = choose(run, json.domain);

        status = acme_order_take_authorization(&run->order, run->index, &json, &choice);
    }
    if (status == E_NOT_FOUND)
        acme_run_fail_confused(run, arena_format(&run->arena,
                                                 "the CA offers no challenge for %.*s that is "
                                                 "allowed here",
                                                 STR_FMT(json.domain))
                                        .p);
    else if (status)
        acme_run_fail_confused(run, "the CA's authorization cannot be understood");
    if (status)
        return;
    acme_order_pace(&run->order, run->index, acme_steady_ms(), answer->retry_ms);
    acme_run_step(run);
}

void acme_run_on_told(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;
    struct acme_authorization *a = &run->order.authorizations[run->index];

    // Before a restart it may have been told already, and says so now.
    if (answer->outcome != ACME_GOOD &&
        !(answer->outcome == ACME_REFUSED && run->order.is_resumed)) {
        acme_run_fail_answer(run, answer);
        return;
    }
    a->is_told = true;
    a->polls = 0;
    acme_order_pace(&run->order, run->index, acme_steady_ms(), answer->retry_ms);
    acme_run_step(run);
}

/* --- answers on the edges */

void acme_run_publish(struct acme_run *run)
{
    struct acme_authorization *a = &run->order.authorizations[run->index];
    struct str text = acme_client_authorization(run->set->client, &run->arena, a->token);
    struct edges_answer answer = {.token = a->token.p,
                                  .type = acme_json_challenge_name(a->challenge),
                                  .domain = a->domain.p,
                                  .text = text.p};

    if (!text.p || edges_put_answer(run->set->acme->options.edges, &answer)) {
        acme_run_fail_memory(run);
        return;
    }
    run->spread_ms = acme_steady_ms() + SPREAD_MS;
}

static void on_check(void *owner, const struct outbound_reply *reply)
{
    struct acme_run *run = owner;
    struct acme_authorization *a = &run->order.authorizations[run->index];
    struct str text = acme_client_authorization(run->set->client, &run->arena, a->token);
    char line[ACME_RUN_NOTE];

    run->check = NULL;
    if (!reply->status)
        snprintf(line, sizeof(line), "%s: %s", a->domain.p, reply->error);
    else if (reply->status != 200)
        snprintf(line, sizeof(line), "%s: status %ld", a->domain.p, reply->status);
    else if (!text.p || reply->body.len < text.len || memcmp(reply->body.p, text.p, text.len))
        snprintf(line, sizeof(line), "%s: something else answers there", a->domain.p);
    else
        *line = '\0';
    if (*line)
        acme_run_copy_text(run->note, sizeof(run->note), line);
    run->is_blind = *line != '\0';
    a->is_published = true;
    acme_run_step(run);
}

/* Best effort: a machine often cannot reach its own public address, so nothing but a hint beside
 * the CA's words comes of it. */
static bool check(struct acme_run *run)
{
    struct acme_authorization *a = &run->order.authorizations[run->index];
    struct str url = arena_format(&run->arena, "http://%.*s/.well-known/acme-challenge/%.*s",
                                  STR_FMT(a->domain), STR_FMT(a->token));
    struct outbound_request request = {.method = "GET",
                                       .url = url.p,
                                       .timeout_ms = CHECK_MS,
                                       .size_max = 4096,
                                       .is_near = true,
                                       .done = on_check,
                                       .owner = run};

    if (a->challenge != ACME_HTTP_01 || run->is_blind || !url.p)
        return false;
    run->check = outbound_send(run->set->acme->options.outbound, &request);
    return run->check != NULL;
}

/* Every edge has it, or has had its time: the CA may ask any of them, but one that is down must not
 * hold up the others' certificate. Where none has it, one may just be starting. */
void acme_run_look(struct acme_run *run)
{
    struct acme_authorization *a = &run->order.authorizations[run->index];
    struct edges_spread spread = edges_spread(run->set->acme->options.edges, a->token.p);

    if ((spread.pending || !spread.have) && acme_steady_ms() < run->spread_ms)
        return;
    run->spread_ms = 0;
    if (!spread.have) {
        acme_run_fail(run,
                      &(struct acme_run_failure){ACME_FAILURE_UNREACHABLE, 0,
                                                 "no edge takes the answer to the CA's challenge"});
        return;
    }
    if (spread.pending + spread.failing)
        say_line("%u of %u edges do not have the answer for %.*s", spread.pending + spread.failing,
                 spread.have + spread.pending + spread.failing, STR_FMT(a->domain));
    if (check(run))
        return;
    a->is_published = true;
    acme_run_step(run);
}

void acme_run_drop_answers(struct acme_run *run)
{
    for (uint32_t i = 0; i < run->order.count; i++)
        if (run->order.authorizations[i].token.p)
            edges_drop_answer(run->set->acme->options.edges, run->order.authorizations[i].token.p);
}
