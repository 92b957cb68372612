/* SPDX-License-Identifier: Apache-2.0
 *
 * The terminal that `sluice top` draws on: taken over and given back as it was, whatever ends this.
 * What is written never waits for a terminal that takes nothing.
 */
#ifndef CLI_TOP_SCREEN_H
#define CLI_TOP_SCREEN_H

#include <termios.h>

#include "cli/top_frame.h"

struct top_screen {
    int fd;      /* the terminal, opened anew, so that only we do not wait for it; -1: none */
    int signals; /* those that end this, resize it or stop it, to be read */
    struct termios before;
    struct top_frame shown, next;
    bool is_taken, is_utf8, has_colours;
    bool is_unknown; /* what is on it now */
    char *pending;   /* of a frame: what was not taken yet; owned */
    size_t pending_at, pending_len;
};

enum top_signal {
    TOP_SIGNAL_NONE,
    TOP_SIGNAL_END,    /* SIGINT, SIGTERM, SIGHUP, SIGQUIT */
    TOP_SIGNAL_RESIZE, /* the frame is of another size now */
};

/* Whether standard output is a terminal that can be drawn on, by TERM. */
bool top_screen_is_there(void);
/* Takes it over; blocks the signals. False: it cannot be had, with errno. top_screen_close() it in
 * every case. */
bool top_screen_open(struct top_screen *screen);
/* Gives it back as it was. */
void top_screen_close(struct top_screen *screen);

/* What was typed, `size` bytes at most; 0: nothing. -1: the terminal is gone. */
int top_screen_read(struct top_screen *screen, char *bytes, size_t size);
/* The next signal that came. SIGTSTP is obeyed here: it gives the terminal back until it goes on.
 */
enum top_signal top_screen_signal(struct top_screen *screen);
/* All is to be drawn anew. */
void top_screen_forget(struct top_screen *screen);
/* Whether a frame may be drawn to screen->next: the one before has been taken. Writes what is left
 * of it. False with `*is_gone` set: the terminal is gone. */
bool top_screen_ready(struct top_screen *screen, bool *is_gone);
/* Shows screen->next, in one write. False: the terminal is gone. */
bool top_screen_show(struct top_screen *screen);

#endif
