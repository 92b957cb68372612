/* SPDX-License-Identifier: Apache-2.0
 *
 * The file that all edges run by (`control: {edge_config}`). One edge gets it after another, in the
 * order of the list, each for a minute on trial: only an edge that answers afterwards has its trial
 * confirmed, and takes the old one back by itself otherwise. The first that refuses it stops it, so
 * those after it stay as they are until the file changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "control/edges_impl.h"
#include "control/say.h"

enum { REFUSED_MS = 15000, CALL_MS = 30000, CONFIG_MAX = 4 * 1024 * 1024 };

static int64_t now(void)
{
    return (int64_t)(clock_us() / 1000);
}

/* --- the file */

static void take_text(struct edges *edges, struct str text)
{
    struct edges_config *config = &edges->config;
    char *copy = strndup(text.p, text.len);

    if (!copy)
        return;
    free(config->text);
    config->text = copy;
    config->is_refused = false;
    config->why[0] = '\0';
    for (uint32_t i = 0; i < edges->count; i++) {
        edges->items[i].config = EDGE_CONFIG_UNKNOWN;
        edges->items[i].was_tried = false;
        edges->items[i].is_outdated = edges->items[i].call != NULL;
    }
}

/* Said once, for as long as it lasts. */
static void fail_reading(struct edges_config *config, const char *path, const char *why)
{
    char text[sizeof(config->unread)];

    say_into(text, sizeof(text), "cannot give %s to the edges: %s", path, why);
    if (strcmp(text, config->unread) != 0)
        say_line("%s", text);
    memcpy(config->unread, text, sizeof(text));
}

void edges_config_read(struct edges *edges, const struct conf_text *file)
{
    struct edges_config *config = &edges->config;
    struct arena arena;
    struct str text;
    char path[PATH_MAX];

    if (!file->s.len) {
        edges_config_drop(edges);
        return;
    }
    snprintf(path, sizeof(path), "%.*s", STR_FMT(file->s));
    arena_init(&arena, NULL, 0);
    if (file_read(path, &arena, &text)) {
        fail_reading(config, path, strerror(errno));
    } else if (memchr(text.p, '\0', text.len) || text.len > CONFIG_MAX) {
        fail_reading(config, path, "it is no text of at most 4 MiB");
    } else {
        config->unread[0] = '\0';
        if (!config->text || strcmp(config->text, text.p) != 0)
            take_text(edges, text);
    }
    arena_reset(&arena);
}

void edges_config_drop(struct edges *edges)
{
    free(edges->config.text);
    edges->config = (struct edges_config){.text = NULL};
}

/* --- one edge */

static void set(struct edge *edge, enum edge_config config)
{
    edge->config = config;
    edge->edges->options.on_change(edge->edges->options.owner);
}

/* Neither there nor refused: it is asked again. */
static void put_off(struct edge *edge, const struct outbound_reply *reply)
{
    edge->config = EDGE_CONFIG_UNKNOWN;
    edge->config_ms = now() + REFUSED_MS;
    if (!reply->status) {
        edge_fail(edge, reply);
        return;
    }
    edge->withholds = true;
    edge_note_error(edge, reply);
}

/* In the words of the first that refuses it. */
static void refuse(const struct edge *edge, const char *at, const char *detail)
{
    struct edges_config *config = &edge->edges->config;

    config->is_refused = true;
    say_into(config->why, sizeof(config->why), "edge %s %s%s%s%s", edge->name,
             at ? "refuses it: " : "", at ? at : "", at ? ": " : "", detail);
    say_line("the configuration of the edges stays as it is: %s", config->why);
}

static void on_read(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;
    const char *text = edge->edges->config.text;
    bool is_same = text && reply->status == 200 && !strcmp(text, reply->body.p);

    edge->call = NULL;
    edge->is_outdated = false;
    if (reply->status != 200) {
        put_off(edge, reply);
        return;
    }
    edge_succeed(edge);
    if (!text)
        return;
    if (is_same) {
        set(edge, EDGE_CONFIG_FOUND);
        return;
    }
    if (edge->was_tried)
        refuse(edge, NULL, "could not be reached any more, and has taken the old one back");
    edge->was_tried = false;
    set(edge, EDGE_CONFIG_OTHER);
}

/* What was asked was of a file that is another by now. */
static bool begin_anew(struct edge *edge)
{
    if (!edge->is_outdated)
        return false;
    edge->is_outdated = false;
    edge->config = EDGE_CONFIG_UNKNOWN;
    return true;
}

static void on_tried(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;
    json_t *body;
    const char *detail;

    edge->call = NULL;
    if (begin_anew(edge))
        return;
    if (reply->status == 200) {
        edge_succeed(edge);
        edge->was_tried = true;
        set(edge, EDGE_CONFIG_TRIED);
        return;
    }
    if (reply->status != 422) {
        put_off(edge, reply);
        return;
    }
    edge_succeed(edge);
    body = json_loadb(reply->body.p, reply->body.len, 0, NULL);
    detail = json_string_value(json_object_get(body, "detail"));
    refuse(edge, json_string_value(json_object_get(body, "at")),
           detail ? detail : "it does not say why");
    json_decref(body);
    set(edge, EDGE_CONFIG_OTHER);
}

static void on_confirmed(void *owner, const struct outbound_reply *reply)
{
    struct edge *edge = owner;

    bool is_no_trial = reply->status == 404 || reply->status == 409;
    bool is_kept = edge->config == EDGE_CONFIG_FOUND && is_no_trial; // it was so for good already

    edge->call = NULL;
    if (begin_anew(edge))
        return;
    if (reply->status != 200 && !is_kept) {
        put_off(edge, reply); // it takes the old one back, or has done so
        return;
    }
    edge_succeed(edge);
    edge->was_tried = edge->withholds = false;
    set(edge, EDGE_CONFIG_SAME);
    if (!is_kept)
        say_line("edge %s runs by the configuration that was given to it", edge->name);
}

/* --- which is next */

/* One that is away has it later; but not one that went away with it. */
static bool is_passed_by(const struct edge *edge)
{
    if (edge->is_own || edge->config == EDGE_CONFIG_SAME)
        return true;
    return (edge->is_unreachable || !edge->pid) && !edge->was_tried;
}

static bool must_wait(const struct edge *edge)
{
    const struct edge *other = edge->edges->items;

    while (other < edge && is_passed_by(other))
        other++;
    return other < edge;
}

bool edges_config_next(struct edge *edge, int64_t now_ms)
{
    const struct edges_config *config = &edge->edges->config;
    struct edges_ask ask = {"PUT", "/api/v1/config?confirm=60s", config->text, CALL_MS, on_tried,
                            edge};

    if (edge->is_own || !config->text || edge->config == EDGE_CONFIG_SAME ||
        now_ms < edge->config_ms)
        return false;
    if (edge->config == EDGE_CONFIG_UNKNOWN)
        ask = (struct edges_ask){"GET", "/api/v1/config", NULL, CALL_MS, on_read, edge};
    else if (edge->config == EDGE_CONFIG_TRIED || edge->config == EDGE_CONFIG_FOUND)
        ask =
            (struct edges_ask){"POST", "/api/v1/config/confirm", NULL, CALL_MS, on_confirmed, edge};
    else if (config->is_refused || must_wait(edge))
        return false;
    edge->call = edge_call(edge, &ask);
    return true;
}

const char *edges_config_word(const struct edge *edge)
{
    if (edge->is_own || !edge->edges->config.text)
        return NULL;
    if (edge->config == EDGE_CONFIG_SAME)
        return "current";
    if (edge->config == EDGE_CONFIG_OTHER && edge->edges->config.is_refused)
        return "refused";
    if (edge->config == EDGE_CONFIG_UNKNOWN || edge->config == EDGE_CONFIG_FOUND)
        return "unknown";
    return "behind";
}

const char *edges_config_error(const struct edge *edge)
{
    const struct edges_config *config = &edge->edges->config;

    if (edge->is_own)
        return NULL;
    if (*config->unread)
        return config->unread;
    return config->is_refused && edge->config == EDGE_CONFIG_OTHER ? config->why : NULL;
}
