/* SPDX-License-Identifier: Apache-2.0
 *
 * The loop: signals, requests of edges, timers. What it decides: when an edge is started, when
 * older ones drain, and when all is over. Invariant: from the first edge's start to the end, either
 * an edge starts or serves, or `restart_ms` is set, or we are stopping.
 */
#include "process/supervisor.h"

#include "process/control_child.h"
#include "process/handover.h"
#include "process/limits.h"
#include "process/link_server.h"
#include "process/notify.h"
#include "process/report.h"
#include "process/unit_desk.h"
#include "process/upgrade.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
    STOP_MS = 600000,       /* the longest drain; then SIGKILL */
    TRIAL_READY_MS = 60000, /* a new binary's edge must be ready by then */
    TRIALS_MAX = 3,
    DRAINING_MAX = 2,
    REQUESTS_A_TURN = 16,
    EXIT_WRONG_CONFIG = 2,
};

static const int64_t NEVER = INT64_MAX;

struct supervisor {
    const struct supervisor_conf *conf;
    struct sockets sockets;
    struct children children;
    struct memory memory;
    struct control_child control;
    struct upgrade upgrade;
    struct unit_desk desk;
    int signal_fd;
    int64_t now_ms;
    int64_t restart_ms, kill_ms, trial_ms; /* when; NEVER */
    unsigned trials; /* edges of a new binary that died before they were ready */
    bool is_trial;   /* such an edge starts, or will, beside one that serves */
    bool is_stopping, is_over;
    int exit_code;
};

static int64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

unsigned supervisor_handover_version(void)
{
    return HANDOVER_VERSION;
}

bool supervisor_takes_handover(unsigned long version)
{
    return version >= HANDOVER_OLDEST && version <= HANDOVER_VERSION;
}

/* ---- edges start, serve, die ---- */

static void start_edge(struct supervisor *s, bool is_last_good)
{
    s->restart_ms = NEVER;
    if (children_start(&s->children, s->conf, is_last_good, s->now_ms) == OK) {
        s->trial_ms = s->is_trial ? s->now_ms + TRIAL_READY_MS : NEVER;
        return;
    }
    uint32_t delay_ms = backoff_crash(&s->children.backoff, s->now_ms, 0);
    s->restart_ms = s->now_ms + (delay_ms ? delay_ms : BACKOFF_FIRST_MS);
    report_line("edge cannot be started error=\"%s\"", strerror(errno));
}

static void restart_edge(struct supervisor *s)
{
    bool is_last_good = !s->is_trial && backoff_is_looping(&s->children.backoff, s->now_ms);
    if (is_last_good)
        report_line("%d crashes within a minute: the edge starts with the last configuration that "
                    "lasted, not with the file",
                    BACKOFF_CRASHES);
    start_edge(s, is_last_good);
}

/* Sockets that no edge asked for any more would only let clients hang. */
static void sweep(struct supervisor *s)
{
    uint32_t living[CHILDREN_MAX + 1];
    children_living(&s->children, living);
    unsigned closed = sockets_sweep(&s->sockets, living);
    if (closed)
        report_line("listeners closed count=%u", closed);
}

static void end_trial(struct supervisor *s)
{
    s->is_trial = false;
    s->trials = 0;
    s->trial_ms = NEVER;
}

static void on_ready(struct supervisor *s, struct child *child, uint64_t config_generation)
{
    if (child->state != CHILD_STARTING)
        return;
    child->state = CHILD_READY;
    child->ready_ms = s->now_ms;
    s->children.was_ready = true;
    notify_send("READY=1\nSTATUS=serves");
    report_line("edge ready pid=%d generation=%u config=%u after_ms=%u", (int)child->pid,
                child->generation, (unsigned)config_generation,
                (unsigned)(s->now_ms - child->started_ms));
    if (child != children_newest(&s->children))
        return;
    end_trial(s);
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        struct child *other = &s->children.items[i];
        if (other != child && (other->state == CHILD_READY || other->state == CHILD_STARTING))
            children_drain(other, true);
        else if (other->state == CHILD_DRAINING && other->has_reported)
            children_tell_peer(&s->children, other, false);
    }
    sweep(s);
}

static void on_trial_failed(struct supervisor *s)
{
    s->trial_ms = NEVER;
    if (++s->trials < TRIALS_MAX) {
        s->restart_ms = s->now_ms + (BACKOFF_FIRST_MS << (s->trials - 1));
        return;
    }
    report_line("the new edge does not get ready: the old one serves on tries=%u", s->trials);
    end_trial(s);
    sweep(s);
}

static void on_crash(struct supervisor *s, int64_t healthy_ms)
{
    if (children_newest(&s->children)) {
        // A newer one is on its way already: nothing to add, but it is no trial any more.
        if (!children_count(&s->children, CHILD_READY))
            end_trial(s);
        return;
    }
    end_trial(s);
    uint32_t delay_ms = backoff_crash(&s->children.backoff, s->now_ms, healthy_ms);
    s->restart_ms = s->now_ms + delay_ms;
    report_line("edge restarts in_ms=%u crashes=%u", delay_ms, s->children.backoff.streak);
}

static void say_end(const struct supervisor *s, const struct child *child, int wait_status)
{
    bool is_signal = WIFSIGNALED(wait_status);
    int code = is_signal ? WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
    report_line("edge %s pid=%d generation=%u %s=%d uptime_ms=%lld",
                child->state == CHILD_DRAINING && !wait_status ? "ended" : "died", (int)child->pid,
                child->generation, is_signal ? "signal" : "exit", code,
                (long long)(s->now_ms - child->started_ms));
}

/* The first edge ended by its own will and never served: a person or an init system has to look,
 * not we. */
static bool is_hopeless(const struct supervisor *s, const struct child *child, int wait_status)
{
    return !s->children.was_ready && child->generation == 1 && child->state == CHILD_STARTING &&
           WIFEXITED(wait_status) && WEXITSTATUS(wait_status) != 0;
}

/* Apps serve until the last edge has gone; then they are told to end. */
static void end_units(struct supervisor *s)
{
    if (children_count(&s->children, CHILD_NONE) == CHILDREN_MAX)
        s->is_over = unit_desk_end(&s->desk);
}

static void on_edge_end(struct supervisor *s, struct child *child, int wait_status)
{
    struct child gone = *child;
    bool is_trial =
        s->is_trial && child == children_newest(&s->children) && child->state == CHILD_STARTING;
    bool is_hopeless_start = is_hopeless(s, child, wait_status);
    say_end(s, child, wait_status);
    children_remove(child);
    if (gone.state == CHILD_DRAINING || gone.has_reported)
        children_tell_peer(&s->children, &gone, true);
    if (s->is_stopping) {
        end_units(s);
        return;
    }
    if (is_hopeless_start) {
        s->exit_code = WEXITSTATUS(wait_status) == EXIT_WRONG_CONFIG ? EXIT_WRONG_CONFIG : 1;
        s->is_over = true;
    } else if (gone.state == CHILD_DRAINING) {
        return;
    } else if (is_trial && children_count(&s->children, CHILD_READY)) {
        on_trial_failed(s);
    } else {
        on_crash(s, gone.state == CHILD_READY ? s->now_ms - gone.ready_ms : 0);
    }
}

/* ---- upgrade ---- */

static const char *find_conflict(const struct supervisor *s)
{
    if (s->is_stopping)
        return "the gateway is stopping";
    if (s->upgrade.state != UPGRADE_IDLE || s->is_trial)
        return "an upgrade is under way";
    if (children_count(&s->children, CHILD_DRAINING) >= DRAINING_MAX)
        return "two older generations drain already; try again when one has ended";
    return NULL;
}

static void begin_upgrade(struct supervisor *s, int reply_fd)
{
    const char *conflict = find_conflict(s);
    if (conflict) {
        report_line("upgrade refused: %s", conflict);
        link_server_answer(&reply_fd, E_CONFLICT, conflict);
        return;
    }
    upgrade_begin(&s->upgrade, s->conf, reply_fd, s->now_ms);
}

static void on_check_end(struct supervisor *s, int wait_status)
{
    if (!upgrade_advance(&s->upgrade, s->conf, wait_status, s->now_ms))
        return;
    report_line("upgrade: executing path=%s", s->upgrade.path);
    struct handover handover = {&s->sockets, &s->children, &s->memory, &s->control, &s->desk.units};
    enum status status = handover_exec(&handover, s->upgrade.path, s->conf->argv);
    upgrade_fail(&s->upgrade, status, strerror(errno));
}

/* ---- requests ---- */

static void on_listen(struct supervisor *s, const struct child *child, struct link_request *request)
{
    const struct link_message *message = &request->message;
    struct sockets_ask ask = {
        .bind = message->bind,
        .count = message->count,
        .generation = child->generation,
        .options = {message->is_admin != 0, message->uid, message->gid},
    };
    const struct sockets_bind *held;
    char error[LINK_ERROR_SIZE];
    enum status status = sockets_open(&s->sockets, &ask, &held, error);
    if (status) {
        report_line("cannot listen: %s", error);
        link_server_answer(&request->reply_fd, status, error);
        return;
    }
    link_server_answer_sockets(&request->reply_fd, held->fds, held->count);
}

static void on_unlisten(struct supervisor *s, const struct child *child,
                        struct link_request *request)
{
    uint32_t living[CHILDREN_MAX + 1];
    children_living(&s->children, living);
    enum status status =
        sockets_release(&s->sockets, request->message.bind, child->generation, living);
    link_server_answer(&request->reply_fd, status, status ? "not a listener that is held" : NULL);
}

static void on_memory(struct supervisor *s, struct link_request *request)
{
    char error[LINK_ERROR_SIZE];
    int fd;
    enum status status =
        memory_open(&s->memory, request->message.bind, request->message.value, &fd, error);
    if (status)
        link_server_answer(&request->reply_fd, status, error);
    else
        link_server_answer_sockets(&request->reply_fd, &fd, 1);
}

static void on_report(struct supervisor *s, struct child *child, uint64_t in_flight)
{
    child->in_flight = in_flight;
    child->has_reported = true;
    if (child->state == CHILD_DRAINING)
        children_tell_peer(&s->children, child, false);
}

static void on_request(struct supervisor *s, struct child *child, struct link_request *request)
{
    switch ((enum link_kind)request->message.kind) {
    case LINK_LISTEN:
        on_listen(s, child, request);
        break;
    case LINK_UNLISTEN:
        on_unlisten(s, child, request);
        break;
    case LINK_READY:
        on_ready(s, child, request->message.value);
        break;
    case LINK_REPORT:
        on_report(s, child, request->message.value);
        break;
    case LINK_UPGRADE:
        begin_upgrade(s, request->reply_fd);
        request->reply_fd = -1;
        break;
    case LINK_MEMORY:
        on_memory(s, request);
        break;
    case LINK_KINDS:
        break;
    }
    link_server_answer(&request->reply_fd, OK, NULL);
}

static void read_requests(struct supervisor *s, struct child *child)
{
    for (unsigned i = 0; i < REQUESTS_A_TURN; i++) {
        struct link_request request;
        enum status status = link_server_receive(&child->link, &request);
        if (status == E_AGAIN)
            return;
        if (status == E_PROTOCOL) {
            report_line("edge sent a message that is not understood pid=%d", (int)child->pid);
            continue;
        }
        if (status) {
            link_server_close(&child->link);
            return;
        }
        on_request(s, child, &request);
    }
}

/* ---- signals ---- */

static void notify_living(struct supervisor *s, enum notice_kind kind, bool is_for_draining)
{
    struct notice notice = {.kind = kind};
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        struct child *child = &s->children.items[i];
        if (child->state != CHILD_NONE && (is_for_draining || child->state != CHILD_DRAINING))
            children_notify(child, &notice);
    }
}

static void stop(struct supervisor *s)
{
    if (s->is_stopping) {
        report_line("stopping at once");
        children_kill(&s->children, SIGKILL);
        control_child_end(&s->control, SIGKILL);
        units_kill_all(&s->desk.units);
        return;
    }
    report_line("stopping");
    notify_send("STOPPING=1\nSTATUS=drains");
    s->is_stopping = true;
    control_child_end(&s->control, SIGTERM);
    s->restart_ms = NEVER;
    end_trial(s);
    s->kill_ms = s->now_ms + STOP_MS;
    if (s->upgrade.state != UPGRADE_IDLE)
        upgrade_fail(&s->upgrade, E_CONFLICT, "the gateway is stopping");
    for (unsigned i = 0; i < CHILDREN_MAX; i++)
        if (s->children.items[i].state != CHILD_NONE)
            children_drain(&s->children.items[i], false);
    end_units(s);
}

static void reap(struct supervisor *s)
{
    int wait_status;
    pid_t pid;
    while (!s->is_over && (pid = waitpid(-1, &wait_status, WNOHANG)) > 0) {
        struct child *child = children_find(&s->children, pid);
        if (child)
            on_edge_end(s, child, wait_status);
        else if (pid == s->upgrade.pid)
            on_check_end(s, wait_status);
        else if (unit_desk_reap(&s->desk, pid, wait_status))
            s->is_over = s->is_over || unit_desk_is_over(&s->desk);
        else
            control_child_reap(&s->control, pid, wait_status, s->now_ms);
    }
}

/* Who had nothing to do may have now. */
static void reload(struct supervisor *s)
{
    notify_living(s, NOTICE_RELOAD, false);
    control_child_wake(&s->control);
}

static void on_signal(struct supervisor *s, uint32_t number)
{
    if (number == SIGTERM || number == SIGINT)
        stop(s);
    else if (number == SIGHUP)
        reload(s);
    else if (number == SIGUSR1)
        notify_living(s, NOTICE_REOPEN, true);
    else if (number == SIGUSR2)
        begin_upgrade(s, -1);
}

/* Ends are looked at last: Ctrl-C reaches edges too, and theirs must not look like a crash. */
static void read_signals(struct supervisor *s)
{
    struct signalfd_siginfo info;
    while (read(s->signal_fd, &info, sizeof info) == (ssize_t)sizeof info)
        on_signal(s, info.ssi_signo);
    reap(s);
}

static bool open_signals(struct supervisor *s)
{
    static const int served[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGCHLD};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < ARRAY_LEN(served); i++) {
        sigaddset(&set, served[i]);
        // What nohup or a shell left ignored would never reach the descriptor.
        signal(served[i], SIG_DFL);
    }
    if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
        return false;
    // A reader of our words that goes away, or an edge that dies while it is answered, ends
    // nothing.
    signal(SIGPIPE, SIG_IGN);
    s->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return s->signal_fd >= 0;
}

/* ---- the loop ---- */

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* What it would ask has to serve first. */
static bool is_control_wanted(const struct supervisor *s)
{
    return s->children.was_ready && !s->is_stopping && !unit_desk_is_sweeping(&s->desk);
}

static int timeout_ms(const struct supervisor *s)
{
    int64_t at = earliest(earliest(s->restart_ms, s->kill_ms), s->trial_ms);
    if (is_control_wanted(s))
        at = earliest(at, control_child_due_ms(&s->control, s->conf));
    if (s->upgrade.state != UPGRADE_IDLE && !s->upgrade.is_late)
        at = earliest(at, s->upgrade.until_ms);
    at = earliest(at, units_due_ms(&s->desk.units, s->now_ms));
    if (at == NEVER)
        return -1;
    return at > s->now_ms ? (int)(at - s->now_ms) : 0;
}

static void run_timers(struct supervisor *s)
{
    upgrade_expire(&s->upgrade, s->now_ms);
    if (s->now_ms >= s->kill_ms) {
        s->kill_ms = NEVER;
        report_line("edges did not end in time: killed after_ms=%d", STOP_MS);
        children_kill(&s->children, SIGKILL);
    }
    if (s->now_ms >= s->trial_ms) {
        s->trial_ms = NEVER;
        struct child *newest = children_newest(&s->children);
        if (newest && newest->state == CHILD_STARTING)
            kill(newest->pid, SIGKILL);
    }
    if (s->now_ms >= s->restart_ms)
        restart_edge(s);
    if (is_control_wanted(s))
        control_child_run(&s->control, s->conf, s->now_ms);
    units_run(&s->desk.units, s->now_ms);
    s->is_over = s->is_over || unit_desk_is_over(&s->desk);
}

enum { POLL_MAX = 1 + CHILDREN_MAX + UNIT_DESK_POLL_MAX };

/* poll() of those that are open: it takes no more entries than there may be descriptors. */
static int poll_open(struct pollfd fds[POLL_MAX], int timeout)
{
    struct pollfd open[POLL_MAX];
    unsigned count = 0;
    for (unsigned i = 0; i < POLL_MAX; i++)
        if (fds[i].fd >= 0)
            open[count++] = fds[i];
    int ready = poll(open, count, timeout);
    for (unsigned i = 0, k = 0; i < POLL_MAX; i++)
        fds[i].revents = fds[i].fd >= 0 && ready > 0 ? open[k++].revents : 0;
    return ready;
}

static void turn(struct supervisor *s)
{
    struct pollfd fds[POLL_MAX];
    fds[0] = (struct pollfd){.fd = s->signal_fd, .events = POLLIN};
    for (unsigned i = 0; i < CHILDREN_MAX; i++) {
        const struct child *child = &s->children.items[i];
        fds[1 + i] = (struct pollfd){.fd = child->state == CHILD_NONE ? -1 : child->link.request_fd,
                                     .events = POLLIN};
    }
    unit_desk_watch(&s->desk, &s->control, fds + 1 + CHILDREN_MAX);
    s->now_ms = clock_ms();
    int count = poll_open(fds, timeout_ms(s));
    s->now_ms = clock_ms();
    for (unsigned i = 0; count > 0 && i < CHILDREN_MAX; i++)
        if (fds[1 + i].revents)
            read_requests(s, &s->children.items[i]);
    if (count > 0)
        unit_desk_serve(&s->desk, &s->control, s->conf, fds + 1 + CHILDREN_MAX);
    if (count > 0 && fds[0].revents)
        read_signals(s);
    if (!s->is_over)
        run_timers(s);
}

/* A socket must not get the number of a stream that our parent closed. */
static void open_streams(void)
{
    int fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO)
        fd = dup(fd);
    if (fd > STDERR_FILENO)
        close(fd);
}

static bool begin(struct supervisor *s)
{
    open_streams();
    // A socket for each worker of each listener: the usual 1,024 may be too few.
    limits_descriptors();
    if (!open_signals(s)) {
        report_line("no signals error=\"%s\"", strerror(errno));
        return false;
    }
    s->now_ms = clock_ms();
    struct handover handover = {&s->sockets, &s->children, &s->memory, &s->control, &s->desk.units};
    enum status status = handover_take(&handover);
    if (status && status != E_NOT_FOUND) {
        report_line("what the binary before this one left cannot be read");
        return false;
    }
    s->is_trial = children_count(&s->children, CHILD_READY) > 0;
    report_line("%s pid=%d handover=%d", status ? "started" : "upgraded", (int)getpid(),
                HANDOVER_VERSION);
    unit_desk_begin(&s->desk, s->conf, status != OK);
    start_edge(s, false);
    // Those that ended while one binary replaced the other.
    reap(s);
    return true;
}

int supervisor_run(const struct supervisor_conf *conf)
{
    struct supervisor s = {.conf = conf,
                           .upgrade = {.output_fd = -1, .reply_fd = -1},
                           .signal_fd = -1,
                           .restart_ms = NEVER,
                           .kill_ms = NEVER,
                           .trial_ms = NEVER};
    control_child_init(&s.control);
    unit_desk_init(&s.desk);
    if (!begin(&s))
        s.exit_code = 1;
    else
        while (!s.is_over)
            turn(&s);
    control_child_end(&s.control, SIGKILL);
    control_child_hang_up(&s.control);
    units_fini(&s.desk.units);
    sockets_fini(&s.sockets);
    memory_fini(&s.memory);
    if (s.signal_fd >= 0)
        close(s.signal_fd);
    report_line("stopped exit=%d", s.exit_code);
    return s.exit_code;
}
