/* SPDX-License-Identifier: Apache-2.0
 *
 * Units across an exec of the supervisor: as lines of text, with descriptors that stay open.
 */
#include "process/unit_impl.h"

#include <fcntl.h>
#include <inttypes.h>
#include <string.h>

/* Of the numbers before the names. */
#define NUMBERS                                                                                    \
    "%u %d %d %u %u %u %d %d %d %d %d %d %d %" SCNd64 " %" SCNd64 " %" SCNd64 " %" SCNd64          \
    " %" SCNu64

static void keep_fd(int fd, bool is_kept)
{
    if (fd >= 0)
        fcntl(fd, F_SETFD, is_kept ? 0 : FD_CLOEXEC);
}

void units_keep_fds(const struct units *units, bool is_kept)
{
    for (unsigned i = 0; i < UNITS_MAX; i++) {
        const struct unit *unit = &units->items[i];
        keep_fd(unit->status_fd, is_kept);
        keep_fd(unit->output_fd, is_kept);
        if (unit->log.page)
            keep_fd(unit->log.fd, is_kept);
    }
}

/* The service stands last: it alone may have spaces. */
void units_write(const struct units *units, FILE *out)
{
    fprintf(out, "units %u %d\n", units->ports.next, (int)units->sweep_pid);
    for (unsigned i = 0; i < UNITS_MAX; i++) {
        const struct unit *unit = &units->items[i];
        if (unit->state == UNIT_NONE)
            continue;
        fprintf(out,
                "unit %u %d %d %u %u %u %d %d %d %d %d %d %d %" PRId64 " %" PRId64 " %" PRId64
                " %" PRId64 " %" PRIu64 " %s %s %s\n",
                unit->state, (int)unit->pid, (int)unit->group, unit->port, unit->restarts,
                unit->grace_ms, unit->exit_code, unit->signal, (int)unit->fault, unit->status_fd,
                unit->output_fd, unit->log.fd,
                unit->is_asked | unit->is_removed << 1 | unit->is_killed << 2, unit->born_ms,
                unit->kill_ms, unit->started_ms, unit->changed_ms, unit->lived_ms, unit->id,
                unit->release, unit->service);
        if (unit->reason[0])
            fprintf(out, "units reason %s\n", unit->reason);
    }
}

static bool copy(char *out, size_t size, const char *text)
{
    size_t len = strlen(text);
    if (len >= size)
        return false;
    memcpy(out, text, len + 1);
    return true;
}

static bool is_sound(const struct unit *unit)
{
    bool is_alive = unit_is_alive(unit);
    return unit->state > UNIT_NONE && unit->state < UNIT_STATES &&
           unit_is_id(unit->id, sizeof unit->id) &&
           unit_is_id(unit->release, sizeof unit->release) &&
           unit_is_name(unit->service, sizeof unit->service) && unit->fault <= 0 &&
           unit->pid >= 0 && unit->pid != 1 && (!is_alive || unit->group > 1);
}

static enum status read_unit(struct units *units, char *line)
{
    struct unit unit = {.is_news = true};
    unsigned state, port;
    int fault, log_fd, flags, end = 0;
    int got =
        sscanf(line, NUMBERS " %63s %63s%n", &state, &unit.pid, &unit.group, &port, &unit.restarts,
               &unit.grace_ms, &unit.exit_code, &unit.signal, &fault, &unit.status_fd,
               &unit.output_fd, &log_fd, &flags, &unit.born_ms, &unit.kill_ms, &unit.started_ms,
               &unit.changed_ms, &unit.lived_ms, unit.id, unit.release, &end);
    if (got != 20 || line[end] != ' ' || port > UINT16_MAX ||
        !copy(unit.service, sizeof unit.service, line + end + 1))
        return E_INVALID;
    unit.state = (enum unit_state)state;
    unit.port = (uint16_t)port;
    unit.fault = (enum status)fault;
    unit.is_asked = flags & 1;
    unit.is_removed = flags >> 1 & 1;
    unit.is_killed = flags >> 2 & 1;
    struct unit *place = NULL;
    for (unsigned i = 0; i < UNITS_MAX && !place; i++)
        if (units->items[i].state == UNIT_NONE)
            place = &units->items[i];
    if (!place || !is_sound(&unit) || units_find(units, unit.id) ||
        unit_log_adopt(&unit.log, log_fd))
        return E_INVALID;
    *place = unit;
    return OK;
}

/* Of the unit in the line before. */
static enum status read_reason(struct units *units, const char *text)
{
    struct unit *last = NULL;
    for (unsigned i = 0; i < UNITS_MAX; i++)
        if (units->items[i].state != UNIT_NONE)
            last = &units->items[i];
    return last && copy(last->reason, sizeof last->reason, text) ? OK : E_INVALID;
}

enum status units_read_line(struct units *units, char *line)
{
    unsigned next;
    int sweep_pid;
    char end;
    if (!strncmp(line, "unit ", 5))
        return read_unit(units, line + 5);
    if (!strncmp(line, "units reason ", 13))
        return read_reason(units, line + 13);
    if (sscanf(line, "units %u %d%c", &next, &sweep_pid, &end) != 2 || next > UINT16_MAX)
        return E_INVALID;
    units->sweep_pid = sweep_pid;
    unit_ports_resume(&units->ports, (uint16_t)next);
    return OK;
}
