/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/demo_play.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/demo_process.h"
#include "cli/show.h"

enum { POLL_MS = 100, PATIENCE_S = 120 };

static const char first_release[] = "v1";

/* Asks until control answers. Gives what client_try() does, at the end of patience. */
static int ask(const struct demo_play *play, const char *path, json_t *body,
               struct client_answer *answer)
{
    const struct client_key key = client_new_key();
    const struct client client = {.admin = play->admin, .key = key.text};
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    time_t begun = time(NULL);

    for (;;) {
        int code = client_try(&client, body ? "POST" : "GET", path, body, answer);

        // 502 to 504: an edge or control that starts.
        if (!code || (code == CLIENT_FAILED && answer->status / 100 != 5) ||
            time(NULL) - begun > PATIENCE_S)
            return code;
        client_free(answer);
        nanosleep(&pause, NULL);
    }
}

/* Waits until the deploy is over, or as good as. Empty: it is live; else why not. */
static void await(const struct demo_play *play, const char *id, char *why, size_t size)
{
    const struct timespec pause = {.tv_nsec = POLL_MS * 1000000L};
    struct client_answer answer;
    bool is_under_way = true;
    char path[128];

    snprintf(path, sizeof(path), "/api/v1/deploys/%.80s", id);
    while (is_under_way) {
        int code = ask(play, path, NULL, &answer);
        const char *outcome = show_text(answer.body, "outcome");

        is_under_way = !code && !strcmp(outcome, "runs");
        if (!is_under_way)
            snprintf(why, size, "%s",
                     code                      ? "control does not answer"
                     : strcmp(outcome, "live") ? show_text(answer.body, "why")
                                               : "");
        client_free(&answer);
        nanosleep(&pause, NULL);
    }
}

/* Nothing of it is shown: that is for those that follow. */
static bool deploy_first(const struct demo_play *play)
{
    struct client_answer answer;
    json_t *body = json_pack("{s:s,s:s}", "service", play->service, "release", first_release);
    char why[512];

    if (ask(play, "/api/v1/deploys", body, &answer))
        snprintf(why, sizeof(why), "%s", show_text(answer.body, "detail"));
    else
        await(play, show_text(answer.body, "id"), why, sizeof(why));
    client_free(&answer);
    json_decref(body);
    if (*why)
        printf("\nRelease %s of %s is not live: %s\n\n", first_release, play->service, why);
    else
        printf("\nRelease %s of %s is live, and `%s deploy %s` may follow.\n\n", first_release,
               play->service, play->program, play->service);
    fflush(stdout);
    return !*why;
}

/* As a person would type it. */
static void show(const struct demo_play *play, const char *release)
{
    char words[][10] = {"deploy", "--release"};
    char *argv[] = {words[0], (char *)(uintptr_t)play->service, words[1],
                    (char *)(uintptr_t)release, NULL};
    int code;

    printf("$ sluice deploy %s --release %s\n", play->service, release);
    fflush(stdout);
    code = cli_deploy(4, argv);
    printf("(exit %d)\n\n", code);
    fflush(stdout);
}

static int run(void *subject)
{
    const struct demo_play *play = subject;

    if (!deploy_first(play) || !play->is_shown)
        return 0;
    if (setenv("SLUICE_ADMIN", play->admin, 1))
        return 1;
    show(play, "v2");
    show(play, "bad");
    return 0;
}

enum status demo_play_start(struct demo_play *play)
{
    return demo_process_start(
        &(struct demo_process){.name = "sluice-play", .run = run, .subject = play});
}
