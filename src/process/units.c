/* SPDX-License-Identifier: Apache-2.0 */
#include "process/units.h"

#include "process/report.h"
#include "process/unit_impl.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { READS_A_TURN = 4, GROUP_POLL_MS = 20, GROUP_WAIT_MS = 2000, START_MS = 30 * 1000 };

static int64_t read_clock(clockid_t id)
{
    struct timespec now;
    clock_gettime(id, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t unit_clock_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t unit_date_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

const char *unit_label(const struct unit *unit,
                       char buf[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE])
{
    snprintf(buf, UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE, "%s/%s/%s", unit->service,
             unit->release, unit->id);
    return buf;
}

void unit_turn(struct unit *unit, enum unit_state state)
{
    unit->state = state;
    unit->changed_ms = unit_date_ms();
    unit->is_news = true;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

void unit_forget(struct unit *unit)
{
    close_fd(&unit->status_fd);
    close_fd(&unit->output_fd);
    unit_log_close(&unit->log);
    *unit = (struct unit){.status_fd = -1, .output_fd = -1, .log.fd = -1};
}

void units_init(struct units *units)
{
    for (unsigned i = 0; i < UNITS_MAX; i++)
        units->items[i] = (struct unit){.status_fd = -1, .output_fd = -1, .log.fd = -1};
}

void units_fini(struct units *units)
{
    units_kill_all(units);
    for (unsigned i = 0; i < UNITS_MAX; i++)
        unit_forget(&units->items[i]);
}

struct unit *units_find(struct units *units, const char *id)
{
    for (unsigned i = 0; i < UNITS_MAX; i++)
        if (units->items[i].state != UNIT_NONE && !strcmp(units->items[i].id, id))
            return &units->items[i];
    return NULL;
}

unsigned units_count(const struct units *units)
{
    unsigned count = 0;
    for (unsigned i = 0; i < UNITS_MAX; i++)
        count += unit_is_alive(&units->items[i]);
    return count;
}

/* ---- what a unit says */

static void read_output(struct unit *unit)
{
    char buf[16 * 1024], label[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE];
    for (unsigned i = 0; i < READS_A_TURN && unit->output_fd >= 0; i++) {
        ssize_t len = read(unit->output_fd, buf, sizeof buf);
        if (len < 0)
            return;
        if (!len)
            close_fd(&unit->output_fd);
        unit_log_add(&unit->log, unit_label(unit, label), (struct str){buf, (size_t)len},
                     unit_clock_ms());
    }
}

/* "GRACE" in a line, and then "STATUS SENTENCE" if there will be no app. */
static void take_words(struct unit *unit, const char *text)
{
    char *end;
    unsigned long grace_ms = strtoul(text, &end, 10);
    if (*end == '\n' && grace_ms <= UNIT_GRACE_MAX_MS) {
        unit->grace_ms = (uint32_t)grace_ms;
        text = end + 1;
    }
    const char *words = strchr(text, ' ');
    if (!words)
        return;
    int status = atoi(text);
    unit->fault = status < 0 ? (enum status)status : E_INVALID;
    snprintf(unit->reason, sizeof unit->reason, "%.*s", UNIT_REASON_SIZE - 1, words + 1);
}

/* What `sluice unit` says of the app that it becomes; exec, or its end, ends it. */
static void read_status(struct unit *unit)
{
    char text[UNIT_REASON_SIZE + 32], label[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE];
    ssize_t len = 1;
    while (unit->status_fd >= 0 && len > 0) {
        len = read(unit->status_fd, text, sizeof text - 1);
        if (len < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        text[len > 0 ? len : 0] = '\0';
        take_words(unit, text);
    }
    bool is_over = unit->status_fd >= 0;
    close_fd(&unit->status_fd);
    if (!is_over || unit->fault || unit->state != UNIT_STARTING)
        return;
    unit_turn(unit, UNIT_RUNNING);
    report_line("unit runs name=%s pid=%d port=%u", unit_label(unit, label), (int)unit->pid,
                unit->port);
}

void units_watch(const struct units *units, struct pollfd *fds)
{
    for (unsigned i = 0; i < UNITS_MAX; i++) {
        fds[2 * i] = (struct pollfd){.fd = units->items[i].status_fd, .events = POLLIN};
        fds[2 * i + 1] = (struct pollfd){.fd = units->items[i].output_fd, .events = POLLIN};
    }
}

void units_read(struct units *units, const struct pollfd *fds)
{
    for (unsigned i = 0; i < UNITS_MAX; i++) {
        if (fds[2 * i].revents)
            read_status(&units->items[i]);
        if (fds[2 * i + 1].revents)
            read_output(&units->items[i]);
    }
}

/* ---- how a unit ends */

/* Before the new process has made its group, the signal goes to it alone. */
static void send_signal(const struct unit *unit, int signal)
{
    assert(unit->group > 1); // the others are everyone's
    if (kill(-unit->group, signal) < 0 && errno == ESRCH && unit->pid)
        kill(unit->pid, signal);
}

static void say_end(const struct unit *unit)
{
    char label[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE];
    unit_label(unit, label);
    if (unit->fault)
        report_line("unit cannot be started name=%s error=\"%s\"", label, unit->reason);
    else
        report_line("unit %s name=%s %s=%d uptime_ms=%llu",
                    unit->state == UNIT_STOPPED ? "ended" : "died", label,
                    unit->signal ? "signal" : "exit", unit->signal ? unit->signal : unit->exit_code,
                    (unsigned long long)unit->lived_ms);
}

static void finish(struct unit *unit)
{
    char label[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE];
    read_output(unit);
    unit_log_flush(&unit->log, unit_label(unit, label), unit_clock_ms());
    close_fd(&unit->output_fd);
    close_fd(&unit->status_fd);
    bool is_good = !unit->fault && (unit->is_asked || !unit->exit_code);
    unit_turn(unit, is_good ? UNIT_STOPPED : UNIT_FAILED);
    say_end(unit);
}

/* Whether what it started is still there. */
static bool has_group(const struct unit *unit)
{
    return kill(-unit->group, 0) == 0 || errno == EPERM;
}

/* SIGKILL; then it is waited for, but not for what the kernel cannot end. */
static void kill_group(struct unit *unit)
{
    send_signal(unit, SIGKILL);
    unit->is_killed = true;
    unit->kill_ms = unit->pid ? INT64_MAX : unit_clock_ms() + GROUP_WAIT_MS;
}

/* The first process has ended. What it left behind has the rest of the grace if it was told to end,
 * none if it died. */
static void end_group(struct unit *unit)
{
    if (!has_group(unit)) {
        finish(unit);
        return;
    }
    if (!unit->is_asked || unit->is_killed)
        kill_group(unit);
    if (unit->state != UNIT_STOPPING)
        unit_turn(unit, UNIT_STOPPING);
}

bool units_reap(struct units *units, pid_t pid, int wait_status)
{
    struct unit *unit = NULL;
    for (unsigned i = 0; i < UNITS_MAX && !unit; i++)
        if (units->items[i].pid == pid && unit_is_alive(&units->items[i]))
            unit = &units->items[i];
    if (!unit)
        return false;
    read_status(unit);
    unit->pid = 0;
    unit->exit_code = WIFEXITED(wait_status) ? WEXITSTATUS(wait_status) : -1;
    unit->signal = WIFSIGNALED(wait_status) ? WTERMSIG(wait_status) : 0;
    unit->lived_ms = (uint64_t)(unit_clock_ms() - unit->born_ms);
    end_group(unit);
    return true;
}

static void stop(struct unit *unit, uint32_t grace_ms)
{
    int64_t kill_ms = unit_clock_ms() + grace_ms;
    char label[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE];
    if (unit->state == UNIT_STOPPING) {
        if (!unit->is_killed && kill_ms < unit->kill_ms)
            unit->kill_ms = kill_ms;
        return;
    }
    report_line("unit stops name=%s pid=%d grace_ms=%u", unit_label(unit, label), (int)unit->pid,
                grace_ms);
    unit->is_asked = true;
    unit->kill_ms = kill_ms;
    unit_turn(unit, UNIT_STOPPING);
    send_signal(unit, SIGTERM);
    send_signal(unit, SIGCONT);
}

enum status units_stop(struct units *units, const char *id, uint32_t grace_ms, bool is_removed)
{
    struct unit *unit = units_find(units, id);
    if (!unit || (unit->is_removed && !unit_is_alive(unit)))
        return E_NOT_FOUND;
    unit->is_removed |= is_removed;
    if (unit_is_alive(unit))
        stop(unit, grace_ms);
    else if (is_removed)
        unit_forget(unit);
    return OK;
}

void units_stop_all(struct units *units)
{
    for (unsigned i = 0; i < UNITS_MAX; i++)
        if (unit_is_alive(&units->items[i]))
            stop(&units->items[i], units->items[i].grace_ms);
}

void units_kill_all(struct units *units)
{
    for (unsigned i = 0; i < UNITS_MAX; i++)
        if (unit_is_alive(&units->items[i])) {
            units->items[i].is_asked = true;
            kill_group(&units->items[i]);
        }
}

/* ---- what time brings */

/* Before the command is executed, what is read may hang: a directory or a secret of a server that
 * is gone. Whoever asked for the start would wait for ever. */
static void give_up(struct unit *unit)
{
    read_status(unit);
    if (unit->state != UNIT_STARTING)
        return;
    if (!unit->fault) {
        unit->fault = E_AGAIN;
        snprintf(unit->reason, sizeof unit->reason,
                 "its command was not executed within %d seconds: its user, its directory or a "
                 "secret could not be read",
                 START_MS / 1000);
    }
    unit_turn(unit, UNIT_STOPPING);
    kill_group(unit);
}

static void run(struct unit *unit, int64_t now_ms)
{
    char label[UNIT_SERVICE_SIZE + UNIT_RELEASE_SIZE + UNIT_ID_SIZE];
    if (unit->state == UNIT_STARTING && now_ms >= unit->born_ms + START_MS)
        give_up(unit);
    if (unit->state != UNIT_STOPPING)
        return;
    if (!unit->pid && (!has_group(unit) || (unit->is_killed && now_ms >= unit->kill_ms))) {
        finish(unit);
    } else if (now_ms >= unit->kill_ms) {
        report_line("unit did not end in time: killed name=%s", unit_label(unit, label));
        kill_group(unit);
    }
}

void units_run(struct units *units, int64_t now_ms)
{
    for (unsigned i = 0; i < UNITS_MAX; i++)
        run(&units->items[i], now_ms);
}

int64_t units_due_ms(const struct units *units, int64_t now_ms)
{
    int64_t due_ms = INT64_MAX;
    for (unsigned i = 0; i < UNITS_MAX; i++) {
        const struct unit *unit = &units->items[i];
        if (unit->state != UNIT_STARTING && unit->state != UNIT_STOPPING)
            continue;
        // That a group is gone, no event tells.
        int64_t at_ms = unit->state == UNIT_STARTING ? unit->born_ms + START_MS
                        : unit->pid                  ? unit->kill_ms
                                                     : now_ms + GROUP_POLL_MS;
        due_ms = at_ms < due_ms ? at_ms : due_ms;
    }
    return due_ms;
}

/* ---- what control sees */

void unit_show(const struct unit *unit, struct unit_view *view)
{
    *view = (struct unit_view){.started_ms = unit->started_ms,
                               .changed_ms = unit->changed_ms,
                               .lived_ms = unit->lived_ms,
                               .state = unit->state,
                               .pid = unit->pid,
                               .port = unit->port,
                               .restarts = unit->restarts,
                               .exit_code = unit->exit_code,
                               .signal = unit->signal,
                               .fault = unit->fault};
    memcpy(view->id, unit->id, sizeof view->id);
    memcpy(view->release, unit->release, sizeof view->release);
    memcpy(view->service, unit->service, sizeof view->service);
    memcpy(view->reason, unit->reason, sizeof view->reason);
    view->tail_len = (uint32_t)unit_log_tail(&unit->log, view->tail, sizeof view->tail);
}

void unit_settle(struct unit *unit)
{
    unit->is_news = false;
    if (unit->is_removed && !unit_is_alive(unit))
        unit_forget(unit);
}
