/* SPDX-License-Identifier: Apache-2.0
 *
 * The steps of an order: does what acme_order_next() says, one call at a time, and writes down what
 * a restart must know before it is done. See acme_run_impl.h.
 */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "control/acme_key.h"
#include "control/acme_run_impl.h"
#include "control/say.h"

enum { TURNS_MAX = 3 };

static void begin_order(struct acme_run *run);

static bool write_journal(struct acme_run *run)
{
    struct acme_journal journal = {run->key_pem, run->order.url, (int64_t)clock_wall_ms()};

    if (acme_store_write_journal(run->set->folder, run->set->name, &journal) == OK) {
        run->set->has_order = run->order.url.p != NULL;
        return true;
    }
    acme_run_fail_disk(run);
    return false;
}

/* The CA lost the order, or it came to nothing while we were away. */
static void begin_anew(struct acme_run *run)
{
    acme_run_remove_journal(run->set);
    run->has_begun_anew = true;
    begin_order(run);
}

/* --- the order */

void acme_run_take_order(struct acme_run *run, const struct acme_answer *answer)
{
    struct acme_json_order json;
    enum status status = acme_json_read_order(&run->arena, answer->body, &json);

    if (!status)
        status = acme_order_take(&run->order, &run->arena, &json);
    if (status) {
        acme_run_fail_confused(run, "the CA's order cannot be understood");
        return;
    }
    acme_order_pace(&run->order, UINT32_MAX, acme_steady_ms(), answer->retry_ms);
    if (run->order.status == ACME_INVALID && run->order.is_resumed && run->order.polls == 1 &&
        !run->has_begun_anew)
        begin_anew(run);
    else
        acme_run_step(run);
}

static bool is_replaced(const struct acme_run *run, const struct acme_answer *answer)
{
    return !run->is_plain && answer->outcome == ACME_REFUSED &&
           (answer->status == 409 || acme_json_is_problem(answer->body, "alreadyReplaced"));
}

static void on_new(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;

    if (is_replaced(run, answer)) {
        run->is_plain = true;
        acme_run_step(run);
        return;
    }
    if (answer->outcome != ACME_GOOD) {
        acme_run_fail_answer(run, answer);
        return;
    }
    if (!answer->location.p || answer->location.len > ACME_URL_MAX) {
        acme_run_fail_confused(run, "the CA does not say where the order is");
        return;
    }
    run->order.url = arena_copy(&run->arena, answer->location);
    if (!run->order.url.p)
        acme_run_fail_memory(run);
    else if (write_journal(run))
        acme_run_take_order(run, answer);
}

static struct str new_order_json(struct acme_run *run)
{
    struct acme_set *set = run->set;
    json_t *list = json_array(), *json = json_object();
    bool replaces = set->has_cert && set->cert.renewal_id.p && !run->is_plain &&
                    acme_client_has_windows(set->client);
    struct str text = STR_NONE;
    char *dump;

    for (uint32_t i = 0; i < set->identity.names.count; i++)
        json_array_append_new(list, json_pack("{s:s,s:s}", "type", "dns", "value",
                                              set->identity.names.items[i].p));
    json_object_set_new(json, "identifiers", list);
    if (replaces)
        json_object_set_new(json, "replaces", json_string(set->cert.renewal_id.p));
    dump = json_dumps(json, JSON_COMPACT);
    if (dump)
        text = arena_copy(&run->arena, (struct str){dump, strlen(dump)});
    free(dump);
    json_decref(json);
    return text;
}

static void do_new(struct acme_run *run)
{
    struct str payload = new_order_json(run);

    if (!payload.p)
        acme_run_fail_memory(run);
    else if (write_journal(run))
        acme_run_call(run, &(struct acme_call){.kind = ACME_CALL_NEW_ORDER,
                                               .payload = payload,
                                               .done = on_new});
}

static void on_order(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;

    if (answer->outcome == ACME_GOOD)
        acme_run_take_order(run, answer);
    else if (answer->outcome == ACME_REFUSED && run->order.is_resumed && !run->has_begun_anew)
        begin_anew(run);
    else
        acme_run_fail_answer(run, answer);
}

/* --- steps */

/* One name failed by http-01 where either challenge may do: the other one, in an order of its own.
 * When that fails too, the next try begins with http-01 again. */
static bool turns_to_alpn(struct acme_run *run)
{
    struct acme_set *set = run->set;
    bool is_other = false;

    if (set->identity.challenge != CONF_ACME_AUTO || run->turns == TURNS_MAX)
        return false;
    run->turns++;
    for (uint32_t i = 0; i < run->order.count; i++) {
        const struct acme_authorization *a = &run->order.authorizations[i];

        for (uint32_t k = 0; k < set->identity.names.count; k++) {
            if (a->status != ACME_INVALID || !a->domain.p ||
                strcmp(set->identity.names.items[k].p, a->domain.p))
                continue;
            set->by_alpn[k] = a->challenge == ACME_HTTP_01;
            is_other = is_other || set->by_alpn[k];
        }
    }
    return is_other;
}

static void fail_order(struct acme_run *run)
{
    struct str error = acme_order_error(&run->order, &run->arena);
    const char *text = error.p ? error.p : "out of memory";

    if (turns_to_alpn(run)) {
        say_line("%s; now by tls-alpn-01", text);
        acme_run_copy_text(run->earlier, sizeof(run->earlier), text);
        acme_set_save(run->set);
        begin_anew(run);
        return;
    }
    acme_run_fail_confused(run, text);
}

void acme_run_step(struct acme_run *run)
{
    struct acme_action action = acme_order_next(&run->order, acme_steady_ms());

    run->index = action.index;
    run->wait_ms = 0;
    switch (action.step) {
    case ACME_STEP_NEW:
        do_new(run);
        break;
    case ACME_STEP_READ:
        acme_run_post(run, run->order.url, STR(""), on_order);
        break;
    case ACME_STEP_AUTHORIZE:
        acme_run_post(run, run->order.authorizations[action.index].url, STR(""),
                      acme_run_on_authorization);
        break;
    case ACME_STEP_PUBLISH:
        acme_run_publish(run);
        break;
    case ACME_STEP_TELL:
        acme_run_post(run, run->order.authorizations[action.index].challenge_url, STR("{}"),
                      acme_run_on_told);
        break;
    case ACME_STEP_WAIT:
        run->wait_ms = action.wait_until_ms;
        break;
    case ACME_STEP_FINALIZE:
        acme_run_finalize(run);
        break;
    case ACME_STEP_DOWNLOAD:
        acme_run_call(run, &(struct acme_call){.kind = ACME_CALL_POST,
                                               .url = run->order.certificate,
                                               .payload = STR(""),
                                               .is_chain = true,
                                               .done = acme_run_on_chain});
        break;
    case ACME_STEP_FAIL:
        fail_order(run);
        break;
    case ACME_STEP_DONE:
        acme_run_finish(run);
        break;
    }
}

void acme_run_tick(struct acme_run *run)
{
    if (run->set->call.client || run->check)
        return;
    if (run->spread_ms)
        acme_run_look(run);
    else if (acme_steady_ms() >= run->wait_ms)
        acme_run_step(run);
}

/* --- the beginning */

/* From the journal, unless there is none. False: no memory, or it cannot be written. */
static bool open_order(struct acme_run *run)
{
    struct acme_set *set = run->set;
    struct acme_journal journal;

    run->order = (struct acme_order){.created_ms = acme_steady_ms()};
    acme_key_free(&run->key);
    if (acme_store_read_journal(&run->arena, set->folder, set->name, &journal) == OK &&
        journal.url.p && (run->key = acme_key_read(journal.key))) {
        run->order.url = journal.url;
        run->order.is_resumed = true;
        run->key_pem = journal.key;
        say_line("the order for %.*s is taken up again", STR_FMT(acme_set_title(set, &run->arena)));
        return true;
    }
    run->key = acme_key_new();
    run->key_pem = run->key ? acme_key_pem(run->key, &run->arena) : STR_NONE;
    return run->key_pem.p != NULL;
}

static void begin_order(struct acme_run *run)
{
    acme_run_drop_answers(run);
    if (open_order(run))
        acme_run_step(run);
    else
        acme_run_fail_memory(run);
}

/* By now the CA's time is known: a clock of ours that ran ahead may have been all there was. */
static void on_directory(struct acme_call *of, const struct acme_answer *answer)
{
    struct acme_run *run = of->owner;
    struct acme_set *set = run->set;

    if (answer->outcome != ACME_GOOD) {
        acme_run_fail_answer(run, answer);
        return;
    }
    if (!run->is_asked && !set->has_order &&
        acme_set_renewal_ms(set) > acme_client_now_ms(set->client)) {
        acme_run_cancel(&set->run);
        return;
    }
    begin_order(run);
}

void acme_run_start(struct acme_set *set)
{
    struct acme_run *run = calloc(1, sizeof(*run));

    if (!run)
        return; // the next turn tries again
    run->set = set;
    run->is_asked = set->is_asked;
    set->is_asked = false; // a wish that comes from now on is another one
    arena_init(&run->arena, NULL, 0);
    set->run = run;
    acme_run_call(run, &(struct acme_call){.kind = ACME_CALL_DIRECTORY, .done = on_directory});
}
