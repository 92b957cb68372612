/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/top_screen.h"

#include <errno.h>
#include <fcntl.h>
#include <langinfo.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { WIDTH_USUAL = 80, HEIGHT_USUAL = 24, LAST_WORDS_MS = 300 };

/* The other screen, no cursor, no wrapping at the right edge; and back. */
static const char take_over[] = "\033[?1049h\033[?25l\033[?7l";
static const char give_back[] = "\033[0m\033[?7h\033[?25h\033[?1049l";

bool top_screen_is_there(void)
{
    const char *terminal = getenv("TERM");

    return isatty(STDOUT_FILENO) && terminal && *terminal && strcmp(terminal, "dumb") != 0;
}

/* --- writing */

/* As much as it takes, within `ms`. Gives how much; less with errno EAGAIN: it takes no more now.
 */
static size_t put(const struct top_screen *screen, const char *bytes, size_t len, int ms)
{
    struct pollfd wait = {.fd = screen->fd, .events = POLLOUT};
    size_t done = 0;

    while (done < len) {
        ssize_t n = write(screen->fd, bytes + done, len - done);

        if (n > 0)
            done += (size_t)n;
        else if (n < 0 && errno == EINTR)
            continue;
        else if (n < 0 && errno == EAGAIN && ms && poll(&wait, 1, ms) > 0)
            ms = 0;
        else
            break;
    }
    return done;
}

/* --- taking it and giving it back */

static bool set_size(struct top_screen *screen)
{
    struct winsize size = {0};
    struct top_frame fresh;

    if (ioctl(screen->fd, TIOCGWINSZ, &size) || !size.ws_col || !size.ws_row)
        size = (struct winsize){.ws_col = WIDTH_USUAL, .ws_row = HEIGHT_USUAL};
    screen->is_unknown = true;
    if (top_frame_init(&fresh, size.ws_col, size.ws_row, screen->is_utf8)) {
        top_frame_fini(&fresh);
        return false;
    }
    top_frame_fini(&screen->next);
    screen->next = fresh;
    return true;
}

static bool take(struct top_screen *screen)
{
    struct termios keys;

    if (tcgetattr(screen->fd, &screen->before))
        return false;
    keys = screen->before;
    keys.c_lflag &= ~(tcflag_t)(ICANON | ECHO | IEXTEN);
    keys.c_iflag &= ~(tcflag_t)(ICRNL | IXON);
    keys.c_cc[VMIN] = 1;
    keys.c_cc[VTIME] = 0;
    if (tcsetattr(screen->fd, TCSADRAIN, &keys))
        return false;
    screen->is_taken = true;
    put(screen, take_over, sizeof(take_over) - 1, LAST_WORDS_MS);
    return set_size(screen);
}

static void give(struct top_screen *screen)
{
    if (!screen->is_taken)
        return;
    screen->is_taken = false;
    free(screen->pending);
    screen->pending = NULL;
    put(screen, give_back, sizeof(give_back) - 1, LAST_WORDS_MS);
    tcflush(screen->fd, TCIFLUSH); // what was typed here is nothing for a shell
    tcsetattr(screen->fd, TCSANOW, &screen->before);
}

static sigset_t signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGWINCH, SIGTSTP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        sigaddset(&set, numbers[i]);
    return set;
}

bool top_screen_open(struct top_screen *screen)
{
    sigset_t set = signals();
    const char *no_colour = getenv("NO_COLOR"), *name = ttyname(STDOUT_FILENO);

    *screen = (struct top_screen){.signals = -1,
                                  .is_utf8 = !strcmp(nl_langinfo(CODESET), "UTF-8"),
                                  .has_colours = !no_colour || !*no_colour};
    screen->fd = open(name ? name : "/dev/tty", O_RDWR | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (screen->fd < 0)
        return false;
    sigprocmask(SIG_BLOCK, &set, NULL);
    screen->signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return screen->signals >= 0 && take(screen);
}

void top_screen_close(struct top_screen *screen)
{
    give(screen);
    top_frame_fini(&screen->shown);
    top_frame_fini(&screen->next);
    if (screen->signals >= 0)
        close(screen->signals);
    if (screen->fd >= 0)
        close(screen->fd);
    screen->fd = screen->signals = -1;
}

int top_screen_read(struct top_screen *screen, char *bytes, size_t size)
{
    ssize_t n = read(screen->fd, bytes, size);

    if (n > 0)
        return (int)n;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

/* --- signals */

static bool stop(struct top_screen *screen)
{
    give(screen);
    raise(SIGSTOP); // SIGTSTP itself is blocked, and so does nothing
    return take(screen);
}

enum top_signal top_screen_signal(struct top_screen *screen)
{
    struct signalfd_siginfo info;

    if (read(screen->signals, &info, sizeof(info)) != (ssize_t)sizeof(info))
        return TOP_SIGNAL_NONE;
    if (info.ssi_signo == SIGTSTP)
        return stop(screen) ? TOP_SIGNAL_RESIZE : TOP_SIGNAL_END;
    return info.ssi_signo == SIGWINCH && set_size(screen) ? TOP_SIGNAL_RESIZE : TOP_SIGNAL_END;
}

/* --- frames */

void top_screen_forget(struct top_screen *screen)
{
    screen->is_unknown = true;
}

/* True: nothing is left to be written. */
static bool drain(struct top_screen *screen, bool *is_gone)
{
    size_t left = screen->pending_len - screen->pending_at;

    if (!screen->pending)
        return true;
    errno = 0;
    screen->pending_at += put(screen, screen->pending + screen->pending_at, left, 0);
    if (screen->pending_at < screen->pending_len) {
        *is_gone = errno != EAGAIN;
        return false;
    }
    free(screen->pending);
    screen->pending = NULL;
    return true;
}

bool top_screen_ready(struct top_screen *screen, bool *is_gone)
{
    *is_gone = false;
    return drain(screen, is_gone);
}

bool top_screen_show(struct top_screen *screen)
{
    FILE *out = open_memstream(&screen->pending, &screen->pending_len);
    struct top_frame was = screen->shown;
    bool is_gone = false;

    screen->pending_at = 0;
    if (!out)
        return true; // the next frame may have the memory
    top_frame_paint(&screen->next, screen->is_unknown ? NULL : &was, screen->has_colours, out);
    fclose(out);
    screen->is_unknown = false;
    screen->shown = screen->next;
    screen->next = was;
    // The one that is drawn next has to have this one's size.
    if (was.width != screen->shown.width || was.height != screen->shown.height || !was.cells) {
        top_frame_fini(&screen->next);
        if (top_frame_init(&screen->next, screen->shown.width, screen->shown.height,
                           screen->is_utf8))
            return false;
    }
    drain(screen, &is_gone);
    return !is_gone;
}
