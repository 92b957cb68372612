/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice deploy`, and the words to one that is under way. It waits until users are on the new
 * release and safe, or back on the old one, and says why. A gateway or control that restarts
 * meanwhile is waited for. Ctrl-C asks, or leaves the deploy to itself; it never ends one half-way.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/deploy_ask.h"
#include "cli/deploy_view.h"
#include "cli/show.h"

enum { ASKS = 4, NEEDS_A_PERSON = 5, POLL_MS = 300, PATIENCE_S = 120, STARTING_S = 60 };

static const char usage[] =
    "SERVICE --release R [--image IMAGE | --target ADDRESS ...] [--strategy S] [--breaking] "
    "[--plan] [--detach] [--json]";

static const char help[] =
    "\n"
    "Puts a release in the place of the one that serves, by the strategy of the service or by\n"
    "--strategy (bluegreen, canary, rolling, recreate, platform). It waits until users are on the\n"
    "new release and safe, or back on the old one, and says why; with --plan it only says what it\n"
    "would do. In a terminal it draws the step, the shares, requests, failures and latencies of\n"
    "both releases, and the verdict; elsewhere it prints a line for each thing that happens, and\n"
    "with --json the end alone.\n"
    "\n"
    "Ctrl-C in a terminal asks: d leaves the deploy to itself, a aborts it, which takes it back\n"
    "to the old release, and any other key goes on watching. A second Ctrl-C is d; so is the\n"
    "first where there is no terminal. The deploy is control's: whatever becomes of this command,\n"
    "it ends on one release or the other. `sluice deploy --follow ID` shows it again.\n"
    "\n"
    "Exit: 0 live, or left to itself; 1 refused, or back on the old release; 2 wrong use; 3 no\n"
    "gateway; 4 a person or an edge is waited for; 5 it failed and cannot be taken back.\n";

static sigset_t ends(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* Waits. True: whoever asked is leaving. */
static bool pause_or_leave(void)
{
    struct timespec time = {.tv_nsec = POLL_MS * 1000000L};
    sigset_t set = ends();

    return sigtimedwait(&set, NULL, &time) > 0;
}

/* --- what is seen */

static int code_of(const json_t *deploy)
{
    const char *outcome = show_text(deploy, "outcome");

    if (!strcmp(outcome, "live"))
        return CLIENT_OK;
    if (!strcmp(outcome, "asks") || !strcmp(outcome, "waits_for_edge"))
        return ASKS;
    return strcmp(outcome, "needs_a_person") ? CLIENT_FAILED : NEEDS_A_PERSON;
}

static bool is_under_way(const json_t *deploy)
{
    return !strcmp(show_text(deploy, "outcome"), "runs");
}

/* --- waiting */

static void say_held_up(const json_t *deploy)
{
    const char *id = show_text(deploy, "id");
    const json_t *each;
    size_t i;

    json_array_foreach(json_object_get(deploy, "waiting_for"), i, each)
    {
        const char *edge = show_text(each, "edge");

        fprintf(stderr, "sluice: edge \"%s\" %s: %s\n", edge,
                json_is_true(json_object_get(each, "silent")) ? "does not answer" : "refuses",
                show_text(each, "error"));
        fprintf(stderr,
                "sluice: deploy %s goes on when it does as it is told, or when it is given up by: "
                "sluice edge forget \"%s\"; release %s stays warm\n",
                id, edge, show_text(deploy, "old"));
    }
}

/* What can be said to it now. */
static void say_words(const json_t *deploy)
{
    const json_t *word;
    size_t i;

    json_array_foreach(json_object_get(deploy, "words"), i, word)
        fprintf(stderr, "%s sluice %s %s", i ? ", or" : ":", json_string_value(word),
                show_text(deploy, "id"));
    fputs("\n", stderr);
}

static void say_end(const json_t *deploy, int code)
{
    const char *id = show_text(deploy, "id");

    if (code == ASKS && !strcmp(show_text(deploy, "outcome"), "waits_for_edge")) {
        say_held_up(deploy);
    } else if (code == ASKS) {
        fprintf(stderr, "sluice: deploy %s waits for a person", id);
        say_words(deploy);
    } else if (code == NEEDS_A_PERSON) {
        fprintf(stderr, "sluice: deploy %s failed and cannot be taken back by itself", id);
        say_words(deploy);
    } else if (code == CLIENT_FAILED) {
        fprintf(stderr, "sluice: deploy %s %s: %s; release %s serves\n", id,
                show_text(deploy, "outcome"), show_text(deploy, "why"), show_text(deploy, "old"));
    }
}

struct follow {
    const struct client *client;
    const char *id;
    char path[128];
    struct deploy_view view;
    struct deploy_ask ask;
    struct client_answer last; /* that was understood; empty: none yet */
    time_t heard;
};

/* Looks at it. False: there was no answer. */
static bool look(struct follow *follow)
{
    struct client_answer answer;
    bool is_heard = !client_try(follow->client, "GET", follow->path, NULL, &answer);

    if (is_heard) {
        client_free(&follow->last);
        follow->last = answer;
        follow->heard = time(NULL);
    } else {
        client_free(&answer);
    }
    if (follow->client->json || !follow->last.body)
        return is_heard;
    deploy_view_log(&follow->view, follow->last.body);
    deploy_view_draw(&follow->view, follow->last.body, deploy_ask_question(&follow->ask));
    return is_heard;
}

static void abort_it(struct follow *follow)
{
    struct client_answer answer;
    char path[144];

    snprintf(path, sizeof(path), "%s/abort", follow->path);
    deploy_view_clear(&follow->view);
    fflush(stdout);
    (void)client_call(follow->client, "POST", path, NULL, &answer); // says why not
    client_free(&answer);
}

/* Until it is over, or waits for somebody; CLIENT_OK, with the last answer. Else it was left: the
 * answer is empty. */
static int wait_for(struct follow *follow)
{
    for (;;) {
        bool is_heard = look(follow);
        enum deploy_wish wish;

        if (is_heard && !is_under_way(follow->last.body))
            return CLIENT_OK;
        wish = deploy_ask_wait(&follow->ask, POLL_MS);
        if (wish == DEPLOY_WISH_ABORT)
            abort_it(follow);
        if (wish == DEPLOY_WISH_LEAVE || time(NULL) - follow->heard > PATIENCE_S) {
            client_free(&follow->last);
            return wish == DEPLOY_WISH_LEAVE ? CLIENT_OK : CLIENT_UNREACHABLE;
        }
    }
}

/* `is_return`: to end on the old release is what was asked for. */
static int follow(const struct client *client, const char *id, bool is_return)
{
    struct follow follow = {.client = client, .id = id, .heard = time(NULL)};
    int code;

    snprintf(follow.path, sizeof(follow.path), "/api/v1/deploys/%.80s", id);
    deploy_view_init(&follow.view);
    deploy_ask_open(&follow.ask, follow.view.is_live && !client->json);
    code = wait_for(&follow);
    deploy_ask_close(&follow.ask);
    deploy_view_clear(&follow.view);
    fflush(stdout);
    if (code) { // asked again for what is to be said of it
        code = client_call(client, "GET", follow.path, NULL, &follow.last);
    } else if (!follow.last.body) {
        fprintf(stderr, "sluice: deploy %s goes on; sluice deploy --follow %s shows it again\n", id,
                id);
    } else {
        code = code_of(follow.last.body);
        if (is_return && !strcmp(show_text(follow.last.body, "outcome"), "rolled_back"))
            code = CLIENT_OK;
        if (client->json)
            client_print(&follow.last);
        say_end(follow.last.body, code);
    }
    client_free(&follow.last);
    return code;
}

/* --- beginning */

static json_t *body_of(const struct client *client)
{
    json_t *targets = client->target_count ? json_array() : NULL;

    for (int i = 0; i < client->target_count; i++)
        json_array_append_new(targets, json_string(client->targets[i]));
    return json_pack("{s:s,s:s,s:o*,s:s*,s:s*,s:b}", "service", client->words[0], "release",
                     client->release, "targets", targets, "image", client->image, "strategy",
                     client->strategy, "breaking", (int)client->breaking);
}

/* Nothing was done, and may be soon. */
static bool is_starting(const struct client_answer *answer)
{
    const char *reason = show_text(answer->body, "reason");

    return !strcmp(reason, "control_starting") || !strcmp(reason, "control_unavailable") ||
           !strcmp(reason, "deploy_ending");
}

static void print_plan(const struct client *client, const struct client_answer *answer)
{
    const json_t *line;
    size_t i;

    if (client->json) {
        client_print(answer);
        return;
    }
    json_array_foreach(json_object_get(answer->body, "text"), i, line)
        printf("%s\n", json_string_value(line));
}

/* Waits while control starts. */
static int post(const struct client *client, const char *path, json_t *body,
                struct client_answer *answer)
{
    time_t begun = time(NULL);
    int code = client_try(client, "POST", path, body, answer);

    while (code && is_starting(answer) && time(NULL) - begun < STARTING_S && !pause_or_leave()) {
        client_free(answer);
        code = client_try(client, "POST", path, body, answer);
    }
    return client_report(client, code, answer);
}

/* Begins one by a POST, and waits for it where that is wanted. An answer that got lost on its way
 * is asked for again, not the deploy. */
static int begin(const struct client *client, const char *path, json_t *body, bool is_return)
{
    const struct client_key key = client_new_key();
    struct client asks = *client;
    struct client_answer answer;
    char id[80] = "";
    int code;

    asks.key = key.text;
    code = post(&asks, path, body, &answer);
    if (!code)
        snprintf(id, sizeof(id), "%s", show_text(answer.body, "id"));
    if (!code && client->plan)
        print_plan(client, &answer);
    else if (!code && client->detach && client->json)
        client_print(&answer);
    else if (!code && client->detach)
        printf("%s\n", id);
    client_free(&answer);
    return code || client->detach || client->plan ? code : follow(client, id, is_return);
}

static int explain(void)
{
    printf("usage: sluice deploy %s\n       sluice deploy --follow ID\n%s", usage, help);
    return CLIENT_OK;
}

int cli_deploy(int argc, char **argv)
{
    struct client client;
    sigset_t set = ends();

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")))
        return explain();
    if (!client_parse(&client, argc, argv, usage))
        return CLIENT_USAGE;
    sigprocmask(SIG_BLOCK, &set, NULL); // they are looked at between two questions
    if (client.follow && !client.word_count)
        return follow(&client, client.follow, false);
    if (client.word_count == 1 && client.release) {
        json_t *body = body_of(&client);
        const char *path = client.plan ? "/api/v1/deploys?dry_run=true" : "/api/v1/deploys";
        int code = begin(&client, path, body, false);

        json_decref(body);
        return code;
    }
    fprintf(stderr, "usage: sluice deploy %s\n       sluice deploy --follow ID\n", usage);
    return CLIENT_USAGE;
}

/* --- words */

int cli_deploy_word(int argc, char **argv)
{
    struct client client;
    struct client_answer answer = {0};
    char *word, *path = NULL;
    int code = CLIENT_FAILED;

    if (!client_parse(&client, argc, argv, "ID [--json]"))
        return CLIENT_USAGE;
    if (client.word_count != 1) {
        fprintf(stderr, "usage: sluice %s ID [--json]\n", argv[0]);
        return CLIENT_USAGE;
    }
    word = client_encode(client.words[0]);
    if (word && asprintf(&path, "/api/v1/deploys/%s/%s", word, argv[0]) < 0)
        path = NULL;
    if (path)
        code = client_call(&client, "POST", path, NULL, &answer);
    if (!code && client.json)
        client_print(&answer);
    else if (!code)
        printf("deploy %s: %s\n", show_text(answer.body, "id"), show_text(answer.body, "phase"));
    client_free(&answer);
    free(path);
    free(word);
    return code;
}

static int go_back(const struct client *client)
{
    char *word = client_encode(client->words[0]), *path = NULL;
    json_t *body = json_pack("{s:s*}", "release", client->release);
    int code = CLIENT_FAILED;

    if (word && asprintf(&path, "/api/v1/services/%s/rollback", word) < 0)
        path = NULL;
    if (path && body)
        code = begin(client, path, body, true);
    json_decref(body);
    free(path);
    free(word);
    return code;
}

int cli_rollback(int argc, char **argv)
{
    static const char form[] = "SERVICE [--release R] [--detach] [--json]";
    struct client client;
    sigset_t set = ends();

    if (!client_parse(&client, argc, argv, form))
        return CLIENT_USAGE;
    sigprocmask(SIG_BLOCK, &set, NULL);
    if (client.word_count == 1 && !client.plan)
        return go_back(&client);
    fprintf(stderr, "usage: sluice rollback %s\n", form);
    return CLIENT_USAGE;
}
