/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_desk.h"

#include "process/child.h"
#include "process/fdpass.h"
#include "process/report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>

enum { ASKS_A_TURN = 16 };

void unit_desk_init(struct unit_desk *desk)
{
    *desk = (struct unit_desk){0};
    units_init(&desk->units);
}

/* ---- the sweep */

void unit_desk_begin(struct unit_desk *desk, const struct supervisor_conf *conf, bool is_fresh)
{
    // What an app leaves behind when it ends comes to us, and is waited for.
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (!is_fresh || !conf->config)
        return;
    char *argv[] = {"sluice", "unit", (char *)(uintptr_t)conf->config, NULL};
    struct child_command command = {.path = conf->self,
                                    .argv = argv,
                                    .fds = {-1, -1},
                                    .output_fd = -1,
                                    .death_signal = SIGKILL};
    pid_t pid = child_spawn(&command);
    if (pid < 0)
        report_line("what an earlier gateway left behind cannot be looked for error=\"%s\"",
                    strerror(errno));
    else
        desk->units.sweep_pid = pid;
}

bool unit_desk_is_sweeping(const struct unit_desk *desk)
{
    return desk->units.sweep_pid > 0;
}

bool unit_desk_reap(struct unit_desk *desk, pid_t pid, int wait_status)
{
    if (units_reap(&desk->units, pid, wait_status))
        return true;
    if (pid != desk->units.sweep_pid || pid <= 0)
        return false;
    desk->units.sweep_pid = 0;
    if (wait_status)
        report_line("what an earlier gateway left behind could not be looked for status=%d",
                    wait_status);
    return true;
}

/* ---- the end */

bool unit_desk_end(struct unit_desk *desk)
{
    if (!desk->is_ending)
        units_stop_all(&desk->units);
    desk->is_ending = true;
    return unit_desk_is_over(desk);
}

bool unit_desk_is_over(const struct unit_desk *desk)
{
    return desk->is_ending && !units_count(&desk->units);
}

/* ---- answers and news */

static enum status send(int fd, const struct unit_message *message)
{
    struct str bytes = {(const char *)message, unit_message_size(&message->head)};
    return fdpass_send(fd, bytes, NULL, 0);
}

/* desk->answer goes out, now or once there is room. */
static void send_answer(struct unit_desk *desk, int fd)
{
    desk->answer.head.magic = UNIT_MAGIC;
    if (send(fd, &desk->answer) == E_AGAIN)
        desk->answer_size = unit_message_size(&desk->answer.head);
    else
        desk->answer_size = 0;
}

static void tell_news(struct unit_desk *desk, int fd)
{
    struct unit_message *news = &desk->answer;
    for (unsigned i = 0; i < UNITS_MAX && !desk->answer_size; i++) {
        struct unit *unit = &desk->units.items[i];
        if (unit->state == UNIT_NONE || !unit->is_news)
            continue;
        news->head = (struct unit_head){.magic = UNIT_MAGIC, .count = 1};
        unit_show(unit, &news->views[0]);
        if (send(fd, news))
            return;
        unit_settle(unit);
    }
}

/* ---- asks */

static void list(struct unit_desk *desk, uint32_t from)
{
    struct unit_head *head = &desk->answer.head;
    for (uint32_t i = from; i < UNITS_MAX; i++) {
        const struct unit *unit = &desk->units.items[i];
        if (unit->state == UNIT_NONE || (unit->is_removed && !unit->pid))
            continue;
        if (head->count == UNIT_VIEWS_MAX) {
            head->next = i;
            return;
        }
        unit_show(unit, &desk->answer.views[head->count++]);
    }
}

static void show(struct unit_desk *desk, const char *id)
{
    const struct unit *unit = units_find(&desk->units, id);
    if (unit)
        unit_show(unit, &desk->answer.views[desk->answer.head.count++]);
}

static enum status copy_log(struct unit_desk *desk, const char *id)
{
    const struct unit *unit = units_find(&desk->units, id);
    if (!unit)
        return E_NOT_FOUND;
    desk->answer.head.len = (uint32_t)unit_log_tail(&unit->log, desk->answer.log, UNIT_LOG_SIZE);
    return OK;
}

static enum status obey(struct unit_desk *desk, const struct supervisor_conf *conf,
                        const struct unit_ask *ask)
{
    char *error = desk->answer.head.error;
    enum status status = OK;
    if (!unit_is_ask(ask)) {
        snprintf(error, UNIT_REASON_SIZE, "the supervisor does not know this");
        return E_PROTOCOL;
    }
    if (ask->call == UNIT_LIST) {
        list(desk, ask->from);
        return OK;
    }
    if (ask->call == UNIT_LOG)
        return copy_log(desk, ask->id);
    if (ask->call == UNIT_STOP)
        status = units_stop(&desk->units, ask->id, ask->grace_ms, ask->is_removed != 0);
    else if (desk->is_ending)
        status = E_CLOSED;
    else
        status = units_start(&desk->units, conf, ask, error);
    if (status == E_CLOSED)
        snprintf(error, UNIT_REASON_SIZE, "the gateway is stopping");
    if (!status)
        show(desk, ask->id);
    return status;
}

static void read_asks(struct unit_desk *desk, const struct supervisor_conf *conf, int fd)
{
    for (unsigned i = 0; i < ASKS_A_TURN && !desk->answer_size; i++) {
        struct unit_ask ask;
        unsigned none = 0;
        enum status status = fdpass_receive(fd, &ask, sizeof ask, NULL, &none);
        if (status == E_PROTOCOL) {
            report_line("control sent a message that is not understood");
            continue;
        }
        if (status)
            return;
        desk->answer.head = (struct unit_head){.number = ask.number};
        status = obey(desk, conf, &ask);
        desk->answer.head.status = status;
        // A number of 0 is that of news.
        if (ask.number)
            send_answer(desk, fd);
        else
            report_line("control sent a message that is not understood");
    }
}

/* Whether there is something that control was not told. */
static bool has_news(const struct unit_desk *desk)
{
    for (unsigned i = 0; i < UNITS_MAX; i++)
        if (desk->units.items[i].state != UNIT_NONE && desk->units.items[i].is_news)
            return true;
    return false;
}

void unit_desk_watch(const struct unit_desk *desk, const struct control_child *control,
                     struct pollfd *fds)
{
    bool is_waiting = desk->link == control->link && desk->answer_size;
    fds[0] = (struct pollfd){.fd = control->link_fd, .events = is_waiting ? 0 : POLLIN};
    if (is_waiting || has_news(desk))
        fds[0].events |= POLLOUT;
    units_watch(&desk->units, fds + 1);
}

void unit_desk_serve(struct unit_desk *desk, struct control_child *control,
                     const struct supervisor_conf *conf, const struct pollfd *fds)
{
    units_read(&desk->units, fds + 1);
    if (desk->link != control->link)
        desk->answer_size = 0;
    desk->link = control->link;
    if (control->link_fd < 0)
        return;
    if (desk->answer_size && fds[0].revents)
        send_answer(desk, control->link_fd);
    if (!desk->answer_size && fds[0].revents & (POLLIN | POLLHUP))
        read_asks(desk, conf, control->link_fd);
    tell_news(desk, control->link_fd);
    // A link whose other end is closed would be ready for ever; the process ends soon, or does
    // without.
    if (fds[0].revents & (POLLHUP | POLLERR))
        control_child_hang_up(control);
}
