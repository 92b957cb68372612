/* SPDX-License-Identifier: Apache-2.0
 *
 * How a unit begins: its place in the table, its port, its pipes and its process.
 */
#include "process/child.h"
#include "process/report.h"
#include "process/unit_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

/* What the new process gets and we close: -1 is none. */
struct gifts {
    int status_fd, output_fd, port_fd;
};

static enum status refuse(char *error, enum status status, const char *format, ...) PRINTF(3, 4);

static enum status refuse(char *error, enum status status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, UNIT_REASON_SIZE, format, args);
    va_end(args);
    return status;
}

static bool is_port_taken(const void *owner, uint16_t port)
{
    const struct units *units = owner;
    for (unsigned i = 0; i < UNITS_MAX; i++)
        if (units->items[i].state != UNIT_NONE && units->items[i].port == port)
            return true;
    return false;
}

/* A free place, else that of the one that ended longest ago. */
static struct unit *find_place(struct units *units)
{
    struct unit *oldest = NULL;
    for (unsigned i = 0; i < UNITS_MAX; i++) {
        struct unit *unit = &units->items[i];
        if (unit->state == UNIT_NONE)
            return unit;
        if (!unit_is_alive(unit) && (!oldest || unit->changed_ms < oldest->changed_ms))
            oldest = unit;
    }
    if (oldest)
        unit_forget(oldest);
    return oldest;
}

/* The place of a unit that is to be started; NULL after an error. */
static struct unit *take_place(struct units *units, const struct unit_ask *ask, char *error,
                               enum status *status)
{
    struct unit *unit = units_find(units, ask->id);
    *status = OK;
    if (unit && unit->is_removed && !unit_is_alive(unit)) {
        unit_forget(unit); // nobody asked for the news of its end any more
        unit = NULL;
    }
    if (unit &&
        (strcmp(unit->service, ask->service) != 0 || strcmp(unit->release, ask->release) != 0)) {
        *status = refuse(error, E_INVALID, "unit %s is of service %s, release %s", unit->id,
                         unit->service, unit->release);
        return NULL;
    }
    if (unit && unit->state == UNIT_STOPPING) {
        *status = refuse(error, E_AGAIN, "unit %s is stopping", unit->id);
        return NULL;
    }
    if (unit)
        return unit;
    unit = find_place(units);
    if (!unit) {
        *status = refuse(error, E_FULL, "%d units run already", UNITS_MAX);
        return NULL;
    }
    memcpy(unit->id, ask->id, sizeof unit->id);
    memcpy(unit->release, ask->release, sizeof unit->release);
    memcpy(unit->service, ask->service, sizeof unit->service);
    return unit;
}

static void close_gifts(struct gifts *gifts)
{
    int *fds[] = {&gifts->status_fd, &gifts->output_fd, &gifts->port_fd};
    for (size_t i = 0; i < ARRAY_LEN(fds); i++) {
        if (*fds[i] >= 0)
            close(*fds[i]);
        *fds[i] = -1;
    }
}

/* Our end does not block, the other is as programs expect it. */
static bool open_pipe(int *ours, int *theirs)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    *ours = ends[0];
    *theirs = ends[1];
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0;
}

static enum status open_gifts(struct units *units, struct unit *unit, struct gifts *gifts,
                              char *error)
{
    if ((!unit->log.page && unit_log_open(&unit->log)) ||
        !open_pipe(&unit->status_fd, &gifts->status_fd) ||
        !open_pipe(&unit->output_fd, &gifts->output_fd))
        return refuse(error, E_IO, "no pipes for the unit: %s", strerror(errno));
    gifts->port_fd = unit_port_hold(&units->ports, is_port_taken, units, &unit->port);
    return gifts->port_fd >= 0 ? OK : refuse(error, E_FULL, "no port is free on 127.0.0.1");
}

static pid_t spawn(const struct unit *unit, const struct supervisor_conf *conf,
                   const struct unit_ask *ask, const struct gifts *gifts)
{
    _Static_assert(UNIT_ENV_MAX + 8 <= CHILD_ARGS_MAX, "the words fit");
    char port[8], *args[CHILD_ARGS_MAX] = {"sluice",
                                           "unit",
                                           (char *)(uintptr_t)conf->config,
                                           (char *)(uintptr_t)unit->service,
                                           (char *)(uintptr_t)unit->release,
                                           (char *)(uintptr_t)unit->id,
                                           port};
    unsigned count = 7;
    snprintf(port, sizeof port, "%u", unit->port);
    for (size_t at = 0; at < ask->env_len; at += strlen(ask->env + at) + 1)
        args[count++] = (char *)(uintptr_t)(ask->env + at);
    struct child_command command = {.path = conf->self,
                                    .run = conf->unit,
                                    .argv = conf->unit ? args + 1 : args,
                                    .fds = {gifts->status_fd, gifts->port_fd},
                                    .output_fd = gifts->output_fd,
                                    .death_signal = SIGKILL,
                                    .is_leader = true};
    return child_spawn(&command);
}

/* As before the attempt: a new one is forgotten, one that ended stays as it was. */
static void undo(struct unit *unit)
{
    if (unit->state == UNIT_NONE) {
        unit_forget(unit);
        return;
    }
    if (unit->status_fd >= 0)
        close(unit->status_fd);
    if (unit->output_fd >= 0)
        close(unit->output_fd);
    unit->status_fd = unit->output_fd = -1;
}

enum status units_start(struct units *units, const struct supervisor_conf *conf,
                        const struct unit_ask *ask, char *error)
{
    enum status status;
    struct gifts gifts = {-1, -1, -1};
    if (!conf->config)
        return refuse(error, E_INVALID, "there is no configuration that says what to start");
    struct unit *unit = take_place(units, ask, error, &status);
    if (!unit || unit_is_alive(unit))
        return status;
    status = open_gifts(units, unit, &gifts, error);
    pid_t pid = status ? -1 : spawn(unit, conf, ask, &gifts);
    if (!status && pid < 0)
        status = refuse(error, E_IO, "no process for the unit: %s", strerror(errno));
    close_gifts(&gifts);
    if (status) {
        undo(unit);
        return status;
    }
    unit->restarts += unit->state != UNIT_NONE;
    unit->pid = unit->group = pid;
    unit->exit_code = -1;
    unit->signal = 0;
    unit->fault = OK;
    unit->reason[0] = '\0';
    unit->is_asked = unit->is_killed = unit->is_removed = false;
    unit->born_ms = unit_clock_ms();
    unit->started_ms = unit_date_ms();
    unit->lived_ms = 0;
    unit_turn(unit, UNIT_STARTING);
    return OK;
}
