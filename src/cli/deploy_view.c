/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/deploy_view.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include "cli/show.h"
#include "sluice/types.h"

enum { BAR = 24, WIDTH_USUAL = 80, LINE_ROOM = 400, NAME_MOST = 20 };

void deploy_view_init(struct deploy_view *view)
{
    const char *terminal = getenv("TERM");

    *view = (struct deploy_view){.is_live = isatty(STDOUT_FILENO) &&
                                            (!terminal || strcmp(terminal, "dumb") != 0)};
}

/* --- lines that stay */

/* Whoever has the last word on a text, nothing in it steers a terminal. */
static void print_clean(const char *text)
{
    for (; *text; text++)
        putchar((unsigned char)*text < 0x20 || *text == 0x7f ? '?' : *text);
    putchar('\n');
}

static void print_line(const json_t *line)
{
    time_t seconds = (time_t)(show_number(line, "time_ms") / 1000);
    struct tm local;
    char text[16];

    strftime(text, sizeof(text), "%H:%M:%S", localtime_r(&seconds, &local));
    printf("%s  ", text);
    print_clean(show_text(line, "text"));
}

void deploy_view_log(struct deploy_view *view, const json_t *deploy)
{
    unsigned known = view->printed; // of the last time, that are met again
    long long known_ms = view->printed_ms;
    const json_t *line;
    size_t i;

    json_array_foreach(json_object_get(deploy, "log"), i, line)
    {
        long long time_ms = show_number(line, "time_ms");

        if (time_ms < known_ms || (time_ms == known_ms && known && known--))
            continue;
        deploy_view_clear(view);
        print_line(line);
        view->printed = time_ms == view->printed_ms ? view->printed + 1 : 1;
        view->printed_ms = time_ms;
    }
    fflush(stdout);
}

/* --- the drawing */

static size_t width(void)
{
    struct winsize size;

    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2)
        return WIDTH_USUAL;
    return size.ws_col;
}

/* One line, cut where the terminal ends: one that wraps could not be rubbed out. */
static void put(struct deploy_view *view, const char *format, ...) PRINTF(2, 3);

static void put(struct deploy_view *view, const char *format, ...)
{
    char text[LINE_ROOM];
    va_list args;
    size_t room = width() - 1;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (strlen(text) > room) {
        while (room && ((unsigned char)text[room] & 0xc0) == 0x80)
            room--; // not within a character
        text[room] = '\0';
    }
    print_clean(text);
    view->lines++;
}

static void put_step(struct deploy_view *view, const json_t *deploy)
{
    double percent = json_number_value(json_object_get(deploy, "percent"));
    long long since_ms = show_number(deploy, "since_ms");
    long long age = since_ms > 0 ? (long long)time(NULL) - since_ms / 1000 : 0;
    unsigned filled = percent > 0 && percent <= 100 ? (unsigned)(percent * BAR / 100 + 0.5) : 0;
    char bar[BAR + 1], age_text[16];

    memset(bar, '.', BAR);
    memset(bar, '#', filled);
    bar[BAR] = '\0';
    put(view, "  step %lld of %lld  [%s] %.4g%%  %s, %s", show_number(deploy, "step"),
        show_number(deploy, "steps"), bar, percent, show_text(deploy, "phase"),
        show_age(age > 0 ? age : 0, age_text));
}

/* Milliseconds of one quantile, as wide as its column. */
static const char *latency_text(const json_t *verdict, size_t i, const char *side, char text[16])
{
    const json_t *value =
        json_object_get(json_array_get(json_object_get(verdict, "latency"), i), side);

    if (json_is_number(value))
        snprintf(text, 16, "%.1f", 1000 * json_number_value(value));
    else
        snprintf(text, 16, "-");
    return text;
}

struct row {
    const char *name, *side; /* of the release; in the verdict */
    double percent;
};

static void put_release(struct deploy_view *view, const json_t *verdict, const struct row *row)
{
    const json_t *counts = json_object_get(verdict, row->side);
    long long requests = show_number(counts, "requests");
    long long failures = show_number(counts, "failures");
    char share[16] = "-", latency[3][16];

    if (requests)
        snprintf(share, sizeof(share), "%.2f%%", 100.0 * (double)failures / (double)requests);
    put(view, "  %-*.*s %6.4g%% %10lld %8lld %8s %9s %8s %8s", NAME_MOST, NAME_MOST, row->name,
        row->percent, requests, failures, share, latency_text(verdict, 0, row->side, latency[0]),
        latency_text(verdict, 1, row->side, latency[1]),
        latency_text(verdict, 2, row->side, latency[2]));
}

static void put_probes(struct deploy_view *view, const json_t *verdict)
{
    long long probes = show_number(json_object_get(verdict, "old"), "probes") +
                       show_number(json_object_get(verdict, "new"), "probes");

    if (probes)
        put(view, "  %lld of these requests are our own, since there were too few", probes);
}

static void put_verdict(struct deploy_view *view, const json_t *deploy, const json_t *verdict)
{
    const char *outcome = show_text(verdict, "outcome"), *new = show_text(deploy, "release");
    const json_t *wanting = json_object_get(verdict, "wanting");

    if (!strcmp(outcome, "good"))
        put(view, "  verdict: %s is as good as %s", new, show_text(deploy, "old"));
    else if (!strcmp(outcome, "bad"))
        put(view, "  verdict: %s is worse than %s", new, show_text(deploy, "old"));
    else if (json_is_number(wanting))
        put(view, "  verdict: not yet; as things go, some %.0f more requests of %s decide it",
            ceil(json_number_value(wanting)), new);
    else
        put(view, "  verdict: not yet");
}

void deploy_view_draw(struct deploy_view *view, const json_t *deploy, const char *question)
{
    const json_t *verdict = json_object_get(deploy, "verdict"), *each;
    double percent = json_number_value(json_object_get(deploy, "percent"));
    size_t i;

    if (!view->is_live)
        return;
    deploy_view_clear(view);
    put_step(view, deploy);
    if (verdict) {
        put(view, "  %-*s %7s %10s %8s %8s %9s %8s %8s", NAME_MOST, "in this step", "share",
            "requests", "failed", "", "p50 ms", "p90 ms", "p99 ms");
        put_release(view, verdict, &(struct row){show_text(deploy, "old"), "old", 100 - percent});
        put_release(view, verdict, &(struct row){show_text(deploy, "release"), "new", percent});
        put_probes(view, verdict);
        put_verdict(view, deploy, verdict);
    }
    json_array_foreach(json_object_get(deploy, "waiting_for"), i, each)
    {
        if (*show_text(each, "error"))
            put(view, "  waits for edge %s: %s", show_text(each, "edge"), show_text(each, "error"));
    }
    if (question)
        put(view, "%s", question);
    fflush(stdout);
}

void deploy_view_clear(struct deploy_view *view)
{
    if (view->lines)
        printf("\r\033[%uA\033[J", view->lines);
    view->lines = 0;
}
