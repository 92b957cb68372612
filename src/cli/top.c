/* SPDX-License-Identifier: Apache-2.0
 *
 * `sluice top`: what runs and how it fares, live: on a terminal drawn anew at each interval and by
 * keys, elsewhere a table or a JSON object a sample. A gateway that goes away is waited for.
 */
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/cli.h"
#include "cli/show.h"
#include "cli/top_ask.h"
#include "cli/top_plain.h"
#include "cli/top_screen.h"
#include "config/units.h"

enum {
    TICK_MS = 1000,
    SECOND_MS = 500,
    ESCAPE_MS = 50,
    INTERVAL_MIN_MS = 100,
    INTERVAL_MAX_MS = 3600 * 1000
};

static const char usage[] =
    "[--interval 2s] [--view routes|services|targets|deploys|events|problems] [--sort COLUMN] "
    "[--filter TEXT] [--plain | --json] [--once | --count N]";

static const char help[] =
    "\n"
    "Rates, errors and latencies of routes, services, releases and targets, what is in flight and\n"
    "what is refused, deploys, events, and what is wrong, at each interval anew. In a terminal ?\n"
    "lists the keys. Elsewhere, or with --plain, it prints a table a sample; with --json an "
    "object\n"
    "in a line a sample. --once ends after one sample, which takes an interval, --count N after "
    "N.\n"
    "--sort takes a column's name in the JSON: rate, errors, error_percent, p50, p95, p99,\n"
    "in_flight, ...\n"
    "\n"
    "Colours are left out where NO_COLOR is set. The gateway is said as to other commands, by\n"
    "--admin, --token and --ca.\n"
    "\n"
    "Exit: 0 done; 1 refused, or the output is gone; 2 wrong use; 3 no gateway.\n";

struct top {
    struct client client;
    struct top_events *events;
    struct top_ask *ask;
    struct top_look look;
    struct top_state state;
    bool has_look;
    char away[300]; /* why it does not answer; empty: it does */
    uint64_t interval_us, begun_us, next_us;
    uint64_t seen_us; /* when the look came */
    long long count;  /* of samples; 0: no end */
    char keys[256];   /* that are not whole yet */
    size_t keys_len;
    uint64_t keys_us; /* when the last of them came */
};

/* --- looks */

static void note_away(struct top *top, const struct client_answer *why, int code)
{
    const char *detail = json_string_value(json_object_get(why->body, "detail"));

    if (code == CLIENT_UNREACHABLE)
        snprintf(top->away, sizeof(top->away), "%s", why->why);
    else
        snprintf(top->away, sizeof(top->away), "%s (%ld)", detail ? detail : "it refuses",
                 why->status);
}

/* Ends a round. Gives its code; `why` is the caller's to free. */
static int take(struct top *top, struct client_answer *why)
{
    uint64_t now_us = clock_us(), took_us = now_us - top->begun_us, pause_us = top->interval_us;
    struct top_look fresh;
    int code;

    top_look_init(&fresh);
    code = top_ask_take(top->ask, &fresh, why);
    if (code) {
        note_away(top, why, code);
        top_look_fini(&fresh);
        pause_us = pause_us > TICK_MS * 1000 ? TICK_MS * 1000 : pause_us;
    } else {
        top_look_build(&fresh, top->has_look ? &top->look : NULL);
        top_look_fini(&top->look);
        top->look = fresh;
        top->has_look = true;
        top->seen_us = now_us;
        *top->away = '\0';
    }
    // A gateway that takes long to answer is asked less often.
    top->next_us = top->begun_us + (4 * took_us > pause_us ? 4 * took_us : pause_us);
    return code;
}

static void begin(struct top *top)
{
    top->begun_us = clock_us();
    top->next_us = UINT64_MAX;
    top_ask_begin(top->ask);
}

static struct top_scene scene_of(const struct top *top)
{
    return (struct top_scene){.look = top->has_look ? &top->look : NULL,
                              .events = top->events,
                              .place = top->client.admin,
                              .away = *top->away ? top->away : NULL,
                              .age_ms = (clock_us() - top->seen_us) / 1000,
                              .interval_s = (double)top->interval_us / 1e6};
}

/* One whole round. */
static int ask_once(struct top *top, struct client_answer *why)
{
    static const int none[2] = {-1, -1};

    begin(top);
    while (!top_ask_wait(top->ask, none, TICK_MS))
        continue;
    return take(top, why);
}

/* --- without a screen */

static void wait_for_next(struct top *top)
{
    static const int none[2] = {-1, -1};

    for (uint64_t now_us = clock_us(); now_us < top->next_us; now_us = clock_us()) {
        uint64_t left_ms = (top->next_us - now_us + 999) / 1000;

        top_ask_wait(top->ask, none, left_ms < TICK_MS ? (int)left_ms : TICK_MS);
    }
}

static int run_plain(struct top *top)
{
    struct client_answer why;
    int code = CLIENT_OK;

    for (long long i = 0; !top->count || i < top->count; i++) {
        struct top_scene scene;

        wait_for_next(top);
        code = ask_once(top, &why);
        client_free(&why);
        scene = scene_of(top);
        if (top->client.json)
            top_plain_json(stdout, &top->state, &scene);
        else
            top_plain_print(stdout, &top->state, &scene, !i);
        if (fflush(stdout) || ferror(stdout)) {
            perror("sluice top: standard output");
            return CLIENT_FAILED;
        }
    }
    return code;
}

/* --- on a screen */

/* False: it ends. */
static bool press_all(struct top *top, struct top_screen *screen, bool is_all)
{
    bool goes_on = true;
    size_t used = 0, n;

    do {
        struct top_press press;

        n = top_keys_next((struct str){top->keys + used, top->keys_len - used}, is_all, &press);
        used += n;
        if (n && press.key == TOP_KEY_REDRAW)
            top_screen_forget(screen);
        else if (n)
            goes_on = top_view_press(&top->state, &press);
    } while (n && goes_on);
    top->keys_len -= used;
    memmove(top->keys, top->keys + used, top->keys_len);
    return goes_on;
}

/* False: it ends, `*code` says how. */
static bool read_keys(struct top *top, struct top_screen *screen, int *code)
{
    size_t room = sizeof(top->keys) - top->keys_len;
    int n = top_screen_read(screen, top->keys + top->keys_len, room);

    if (n < 0) {
        *code = CLIENT_FAILED;
        return false;
    }
    top->keys_len += (size_t)n;
    if (n)
        top->keys_us = clock_us();
    return press_all(top, screen, clock_us() - top->keys_us >= ESCAPE_MS * 1000);
}

static bool read_signals(struct top_screen *screen)
{
    enum top_signal signal;

    do
        signal = top_screen_signal(screen);
    while (signal == TOP_SIGNAL_RESIZE);
    return signal != TOP_SIGNAL_END;
}

/* False: the terminal is gone. */
static bool draw(struct top *top, struct top_screen *screen)
{
    struct top_scene scene = scene_of(top);
    bool is_gone;

    if (!top_screen_ready(screen, &is_gone))
        return !is_gone;
    top_view_draw(&screen->next, &top->state, &scene);
    return top_screen_show(screen);
}

static int patience_ms(const struct top *top)
{
    uint64_t now_us = clock_us(), ms = TICK_MS;

    if (!top->state.is_paused && top->next_us != UINT64_MAX)
        ms = top->next_us > now_us ? (top->next_us - now_us + 999) / 1000 : 0;
    if (top->keys_len)
        ms = ESCAPE_MS;
    return ms < TICK_MS ? (int)ms : TICK_MS;
}

/* What comes while it is paused is not shown. */
static void end_round(struct top *top, struct client_answer *why)
{
    if (top->state.is_paused)
        top->next_us = 0;
    else
        take(top, why);
}

static int run_screen(struct top *top)
{
    struct top_screen screen;
    int code = CLIENT_OK;

    if (!top_screen_open(&screen)) {
        perror("sluice top: the terminal");
        code = CLIENT_FAILED;
    }
    // The first look has no rates: whoever waits for them gets the second one soon.
    if (top->next_us > top->begun_us + SECOND_MS * 1000)
        top->next_us = top->begun_us + SECOND_MS * 1000;
    while (!code) {
        const int fds[2] = {screen.fd, screen.signals};
        struct client_answer why = {0};

        if (!draw(top, &screen)) {
            code = CLIENT_FAILED;
            break;
        }
        if (!top->state.is_paused && clock_us() >= top->next_us)
            begin(top);
        if (top_ask_wait(top->ask, fds, patience_ms(top)))
            end_round(top, &why);
        client_free(&why);
        if (!read_signals(&screen) || !read_keys(top, &screen, &code))
            break;
    }
    top_screen_close(&screen);
    return code;
}

/* --- options */

static bool read_interval(struct top *top, const char *text)
{
    char with_unit[32];
    uint64_t ms = 0;

    snprintf(with_unit, sizeof(with_unit), "%s%s", text,
             *text && strspn(text, "0123456789") == strlen(text) ? "s" : "");
    if (units_duration((struct str){with_unit, strlen(with_unit)}, &ms) || ms < INTERVAL_MIN_MS ||
        ms > INTERVAL_MAX_MS)
        return false;
    top->interval_us = ms * 1000;
    return true;
}

static bool read_count(struct top *top, const char *text)
{
    char *end;

    top->count = strtoll(text, &end, 10);
    return *text >= '0' && *text <= '9' && !*end && top->count > 0;
}

static bool read_view(struct top *top, const char *text)
{
    for (unsigned view = 0; view < TOP_VIEWS; view++)
        if (!strcmp(text, top_view_name((enum top_view)view))) {
            top->state.view = (enum top_view)view;
            return true;
        }
    return false;
}

static bool read_sort(struct top *top, const char *text)
{
    bool is_known = false;

    for (unsigned kind = 0; kind < TOP_KINDS; kind++) {
        enum top_field field = top_table_field((enum top_kind)kind, text);

        if (field == TOP_FIELDS)
            continue;
        top->state.order[kind] = (struct top_order){.field = field};
        is_known = true;
    }
    return is_known;
}

static bool read_filter(struct top *top, const char *text)
{
    int len = snprintf(top->state.filter, sizeof(top->state.filter), "%s", text);

    return len >= 0 && (size_t)len < sizeof(top->state.filter);
}

static bool read_options(struct top *top)
{
    const struct {
        const char *name, *value;
        bool (*read)(struct top *top, const char *text);
    } options[] = {{"--interval", top->client.interval, read_interval},
                   {"--count", top->client.once ? "1" : top->client.count, read_count},
                   {"--view", top->client.view, read_view},
                   {"--sort", top->client.sort, read_sort},
                   {"--filter", top->client.filter, read_filter}};

    for (size_t i = 0; i < ARRAY_LEN(options); i++) {
        if (!options[i].value || options[i].read(top, options[i].value))
            continue;
        fprintf(stderr, "sluice top: %s cannot be \"%s\"\nusage: sluice top %s\n", options[i].name,
                options[i].value, usage);
        return false;
    }
    if (top->client.word_count)
        fprintf(stderr, "sluice top: what is \"%s\"?\nusage: sluice top %s\n", top->client.words[0],
                usage);
    return !top->client.word_count;
}

/* --- all of it */

static int run(struct top *top)
{
    bool has_screen =
        !top->client.json && !top->client.plain && !top->count && top_screen_is_there();
    struct client_answer why;
    int code = ask_once(top, &why);

    client_report(&top->client, code, &why);
    client_free(&why);
    if (code)
        return code;
    return has_screen ? run_screen(top) : run_plain(top);
}

int cli_top(int argc, char **argv)
{
    struct top top = {.interval_us = 2 * 1000 * 1000};
    int code = CLIENT_FAILED;

    if (argc == 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        printf("usage: sluice top %s\n%s", usage, help);
        return CLIENT_OK;
    }
    top_view_init(&top.state);
    if (!client_parse(&top.client, argc, argv, usage) || !read_options(&top))
        return CLIENT_USAGE;
    setlocale(LC_CTYPE, "");
    top_look_init(&top.look);
    top.events = top_events_new();
    top.ask = top.events ? top_ask_new(&top.client, top.events) : NULL;
    if (top.ask)
        code = run(&top);
    else
        fprintf(stderr, "sluice top: out of memory\n");
    top_ask_free(&top.ask);
    free(top.events);
    top_look_fini(&top.look);
    return code;
}
