/* SPDX-License-Identifier: Apache-2.0
 *
 * The supervisor's end of the link to control: what control asks about units, and what it is told.
 * An answer that control does not take at once waits, and nothing is read from it meanwhile. Also
 * the sweep: a fresh supervisor first ends what one that was killed left behind (`sluice unit FILE`
 * does it), and until then there is no control that could ask for a unit. The supervisor's one
 * thread.
 */
#ifndef PROCESS_UNIT_DESK_H
#define PROCESS_UNIT_DESK_H

#include "process/control_child.h"
#include "process/units.h"

enum { UNIT_DESK_POLL_MAX = 1 + UNITS_POLL_MAX };

struct unit_desk {
    struct units units;
    struct unit_message answer; /* that waits, of answer_size bytes; 0: none does */
    size_t answer_size;
    uint32_t link; /* the one that it is for, as control_child counts them */
    bool is_ending;
};

void unit_desk_init(struct unit_desk *desk);
/* `is_fresh`: nothing was handed over; the sweep begins. */
void unit_desk_begin(struct unit_desk *desk, const struct supervisor_conf *conf, bool is_fresh);
bool unit_desk_is_sweeping(const struct unit_desk *desk);

/* Fills fds[0 .. UNIT_DESK_POLL_MAX) for poll(), and does what came of it. */
void unit_desk_watch(const struct unit_desk *desk, const struct control_child *control,
                     struct pollfd *fds);
void unit_desk_serve(struct unit_desk *desk, struct control_child *control,
                     const struct supervisor_conf *conf, const struct pollfd *fds);

/* A process ended: true when it was a unit's, or the sweep. */
bool unit_desk_reap(struct unit_desk *desk, pid_t pid, int wait_status);
/* Tells all units to end; true when none is left, as unit_desk_is_over() says from then on. */
bool unit_desk_end(struct unit_desk *desk);
bool unit_desk_is_over(const struct unit_desk *desk);

#endif
