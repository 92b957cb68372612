/* SPDX-License-Identifier: Apache-2.0 */
#include "process/children.h"

#include "process/link_server.h"
#include "process/report.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <string.h>

static struct child *free_slot(struct children *children)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        if (children->items[i].state == CHILD_NONE)
            return &children->items[i];
    return NULL;
}

enum status children_start(struct children *children, const struct supervisor_conf *conf,
                           bool is_last_good, int64_t now_ms)
{
    struct child *child = free_slot(children);
    char *args[CHILD_ARGS_MAX];
    struct link_pair pair;
    if (!child || child_edge_args(conf, is_last_good, args))
        return E_FULL;
    if (link_server_open(&pair))
        return E_IO;
    struct child_command command = {.path = conf->self,
                                    .argv = args,
                                    .entry = CHILD_LINK_ENTRY,
                                    .fds = {pair.theirs.request_fd, pair.theirs.notice_fd},
                                    .output_fd = -1,
                                    .death_signal = SIGTERM};
    pid_t pid = child_spawn(&command);
    int error = errno;
    link_server_close(&pair.theirs);
    if (pid < 0) {
        link_server_close(&pair.ours);
        errno = error;
        return E_IO;
    }
    *child = (struct child){.state = CHILD_STARTING,
                            .pid = pid,
                            .generation = ++children->generation,
                            .link = pair.ours,
                            .started_ms = now_ms};
    report_line("edge started pid=%d generation=%u%s", (int)pid, child->generation,
                is_last_good ? " config=last-good" : "");
    return OK;
}

struct child *children_find(struct children *children, pid_t pid)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        if (children->items[i].state != CHILD_NONE && children->items[i].pid == pid)
            return &children->items[i];
    return NULL;
}

static bool is_living(const struct child *child)
{
    return child->state == CHILD_STARTING || child->state == CHILD_READY;
}

struct child *children_newest(struct children *children)
{
    struct child *newest = NULL;
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &children->items[i];
        if (is_living(child) && (!newest || child->generation > newest->generation))
            newest = child;
    }
    return newest;
}

unsigned children_count(const struct children *children, enum child_state state)
{
    unsigned count = 0;
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        count += children->items[i].state == state;
    return count;
}

void children_living(const struct children *children, uint32_t living[CHILDREN_MAX + 1])
{
    unsigned count = 0;
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        if (is_living(&children->items[i]))
            living[count++] = children->items[i].generation;
    living[count] = 0;
}

void children_notify(struct child *child, const struct notice *notice)
{
    if (link_server_notify(&child->link, notice) == OK)
        return;
    report_line("edge does not read its notices pid=%d generation=%u", (int)child->pid,
                child->generation);
    if (notice->kind == NOTICE_DRAIN)
        kill(child->pid, SIGTERM);
}

void children_drain(struct child *child, bool is_superseded)
{
    child->state = CHILD_DRAINING;
    report_line("edge drains pid=%d generation=%u", (int)child->pid, child->generation);
    struct notice notice = {.kind = NOTICE_DRAIN, .is_superseded = is_superseded};
    children_notify(child, &notice);
}

void children_tell_peer(struct children *children, const struct child *child, bool is_gone)
{
    struct child *newest = children_newest(children);
    if (!newest || newest == child)
        return;
    struct notice notice = {.kind = NOTICE_PEER,
                            .peer_pid = is_gone ? -(int32_t)child->pid : (int32_t)child->pid,
                            .peer_generation = child->generation,
                            .in_flight = is_gone ? 0 : child->in_flight};
    children_notify(newest, &notice);
}

void children_kill(struct children *children, int signal)
{
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        if (children->items[i].state != CHILD_NONE)
            kill(children->items[i].pid, signal);
}

void children_remove(struct child *child)
{
    link_server_close(&child->link);
    *child = (struct child){.link = {-1, -1}};
}

void children_write(const struct children *children, FILE *out)
{
    const struct backoff *backoff = &children->backoff;
    fprintf(out, "children %u %d %u", children->generation, children->was_ready, backoff->streak);
    for (unsigned i = 0; i < BACKOFF_CRASHES; i++)
        fprintf(out, " %" PRId64, backoff->crash_ms[i]);
    fputc('\n', out);
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &children->items[i];
        if (child->state == CHILD_NONE)
            continue;
        fprintf(out, "child %u %d %u %d %d %" PRId64 " %" PRId64 " %d %" PRIu64 "\n", child->state,
                (int)child->pid, child->generation, child->link.request_fd, child->link.notice_fd,
                child->started_ms, child->ready_ms, child->has_reported, child->in_flight);
    }
}

static enum status read_head(struct children *children, const char *line)
{
    _Static_assert(BACKOFF_CRASHES == 3, "the line has three times");
    struct backoff *backoff = &children->backoff;
    int64_t *crash = backoff->crash_ms;
    int was_ready, end = 0;
    int got = sscanf(line, "children %u %d %u %" SCNd64 " %" SCNd64 " %" SCNd64 "%n",
                     &children->generation, &was_ready, &backoff->streak, &crash[0], &crash[1],
                     &crash[2], &end);
    children->was_ready = got == 6 && was_ready;
    return got == 6 && !line[end] ? OK : E_INVALID;
}

enum status children_read(struct children *children, const char *line)
{
    if (!strncmp(line, "children ", 9))
        return read_head(children, line);
    struct child child = {0};
    struct child *slot = free_slot(children);
    unsigned state;
    int has_reported, end = 0;
    int got = sscanf(line, "child %u %d %u %d %d %" SCNd64 " %" SCNd64 " %d %" SCNu64 "%n", &state,
                     &child.pid, &child.generation, &child.link.request_fd, &child.link.notice_fd,
                     &child.started_ms, &child.ready_ms, &has_reported, &child.in_flight, &end);
    if (got != 9 || line[end] || !slot || child.pid <= 1 || state < CHILD_STARTING ||
        state > CHILD_DRAINING)
        return E_INVALID;
    child.state = (enum child_state)state;
    child.has_reported = has_reported != 0;
    *slot = child;
    return OK;
}
