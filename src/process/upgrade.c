/* SPDX-License-Identifier: Apache-2.0 */
#include "process/upgrade.h"

#include "process/child.h"
#include "process/environment.h"
#include "process/link_server.h"
#include "process/report.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHECK_MS = 5000, OUTPUT_MAX = 4096 };

static void forget(struct upgrade *upgrade)
{
    if (upgrade->state != UPGRADE_IDLE && upgrade->output_fd >= 0)
        close(upgrade->output_fd);
    *upgrade = (struct upgrade){.output_fd = -1, .reply_fd = -1};
}

void upgrade_fail(struct upgrade *upgrade, enum status status, const char *why)
{
    if (upgrade->pid > 0)
        kill(upgrade->pid, SIGKILL);
    report_line("upgrade refused: %s", why);
    link_server_answer(&upgrade->reply_fd, status, why);
    forget(upgrade);
}

static void start(struct upgrade *upgrade, char *const *argv, int64_t now_ms)
{
    struct child_command command = {.path = upgrade->path,
                                    .argv = argv,
                                    .fds = {-1, -1},
                                    .output_fd = upgrade->output_fd,
                                    .death_signal = SIGKILL};
    upgrade->until_ms = now_ms + CHECK_MS;
    upgrade->pid = child_spawn(&command);
    if (upgrade->pid < 0)
        upgrade_fail(upgrade, E_IO, strerror(errno));
}

static void start_version(struct upgrade *upgrade, const struct supervisor_conf *conf,
                          int64_t now_ms)
{
    char number[16];
    snprintf(number, sizeof number, "%u", supervisor_handover_version());
    char *argv[] = {conf->argv[0], "version", "--handover", number, NULL};
    upgrade->state = UPGRADE_VERSION;
    start(upgrade, argv, now_ms);
}

static void start_check(struct upgrade *upgrade, const struct supervisor_conf *conf, int64_t now_ms)
{
    char *argv[] = {conf->argv[0], "check", (char *)(uintptr_t)conf->config, NULL};
    upgrade->state = UPGRADE_CHECK;
    // Only what this step prints explains its failure.
    if (ftruncate(upgrade->output_fd, 0) < 0 || lseek(upgrade->output_fd, 0, SEEK_SET) < 0) {
        upgrade_fail(upgrade, E_IO, strerror(errno));
        return;
    }
    start(upgrade, argv, now_ms);
}

void upgrade_begin(struct upgrade *upgrade, const struct supervisor_conf *conf, int reply_fd,
                   int64_t now_ms)
{
    *upgrade = (struct upgrade){.reply_fd = reply_fd, .output_fd = -1};
    if (!environment_find(conf->argv[0], conf->self, upgrade->path, sizeof upgrade->path)) {
        upgrade_fail(upgrade, E_NOT_FOUND, "there is no program where this one was started from");
        return;
    }
    upgrade->output_fd = memfd_create("sluice-check", MFD_CLOEXEC);
    if (upgrade->output_fd < 0) {
        upgrade_fail(upgrade, E_IO, strerror(errno));
        return;
    }
    report_line("upgrade: checking path=%s", upgrade->path);
    start_version(upgrade, conf, now_ms);
}

/* What the check printed goes to stderr as it is; its first line also to `first`. */
static void show_output(const struct upgrade *upgrade, char *first, size_t size)
{
    char text[OUTPUT_MAX];
    ssize_t len = pread(upgrade->output_fd, text, sizeof text - 1, 0);
    text[len > 0 ? len : 0] = '\0';
    // Nowhere else to say that stderr is closed.
    (void)!write(STDERR_FILENO, text, strlen(text));
    text[strcspn(text, "\n")] = '\0';
    snprintf(first, size, "%s", text);
}

static void say_failure(struct upgrade *upgrade, int wait_status)
{
    char first[120], why[LINK_ERROR_SIZE];
    const char *step = upgrade->state == UPGRADE_VERSION ? "`version --handover`" : "`check`";
    show_output(upgrade, first, sizeof first);
    if (upgrade->is_late)
        snprintf(why, sizeof why, "the new binary took longer than %d s to %s", CHECK_MS / 1000,
                 step);
    else if (WIFSIGNALED(wait_status))
        snprintf(why, sizeof why, "the new binary died in %s of signal %d", step,
                 WTERMSIG(wait_status));
    else
        snprintf(why, sizeof why, "the new binary failed its %s with exit code %d%s%s", step,
                 WEXITSTATUS(wait_status), *first ? ": " : "", first);
    upgrade_fail(upgrade, E_INVALID, why);
}

bool upgrade_advance(struct upgrade *upgrade, const struct supervisor_conf *conf, int wait_status,
                     int64_t now_ms)
{
    upgrade->pid = 0;
    if (!WIFEXITED(wait_status) || WEXITSTATUS(wait_status) != 0) {
        say_failure(upgrade, wait_status);
        return false;
    }
    if (upgrade->state == UPGRADE_VERSION && conf->config) {
        start_check(upgrade, conf, now_ms);
        return false;
    }
    link_server_answer(&upgrade->reply_fd, OK, NULL);
    return true;
}

void upgrade_expire(struct upgrade *upgrade, int64_t now_ms)
{
    if (upgrade->pid <= 0 || upgrade->is_late || now_ms < upgrade->until_ms)
        return;
    upgrade->is_late = true;
    kill(upgrade->pid, SIGKILL);
}
