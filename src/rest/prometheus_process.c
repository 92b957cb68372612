/* SPDX-License-Identifier: Apache-2.0
 *
 * The process itself, under the names that Prometheus' client libraries use.
 */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "rest/prometheus.h"

/* The whole of a small file, terminated; false when it cannot be read. */
static bool read_file(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    size_t len = 0;
    ssize_t n = 1;
    while (n > 0 && len < size - 1) {
        n = read(fd, out + len, size - 1 - len);
        len += n > 0 ? (size_t)n : 0;
    }
    close(fd);
    out[len] = '\0';
    return len > 0;
}

/* Descriptors of this process, but for the one that is open for counting. */
static bool count_fds(uint64_t *count)
{
    int fd = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        if (fd >= 0)
            close(fd);
        return false;
    }
    *count = 0;
    for (const struct dirent *entry; (entry = readdir(dir));)
        *count += entry->d_name[0] != '.';
    closedir(dir);
    *count -= *count > 0;
    return true;
}

static void put_fds(struct prometheus *text)
{
    uint64_t count;
    struct rlimit limit;
    if (count_fds(&count)) {
        prometheus_family(text, "process_open_fds", PROMETHEUS_GAUGE,
                          "Number of open file descriptors.");
        prometheus_u64(text, NULL, count);
    }
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        prometheus_family(text, "process_max_fds", PROMETHEUS_GAUGE,
                          "Maximum number of open file descriptors.");
        prometheus_u64(text, NULL, limit.rlim_cur);
    }
}

static void put_cpu(struct prometheus *text)
{
    struct timespec used;
    if (clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used) != 0)
        return;
    prometheus_family(text, "process_cpu_seconds_total", PROMETHEUS_COUNTER,
                      "Total user and system CPU time spent in seconds.");
    prometheus_double(text, NULL, (double)used.tv_sec + (double)used.tv_nsec / 1e9);
}

/* Unix time at which the machine started; 0: not known. Read rather than computed from two clocks,
 * so that it is the same in each scrape. */
static uint64_t boot_time(void)
{
    unsigned long long seconds = 0;
    char *line = NULL;
    size_t capacity = 0;
    FILE *file = fopen("/proc/stat", "re");
    while (file && getline(&line, &capacity, file) > 0) {
        if (sscanf(line, "btime %llu", &seconds) == 1)
            break;
    }
    free(line);
    if (file)
        fclose(file);
    return seconds;
}

struct proc {
    unsigned long long threads, start_ticks, virtual_bytes, resident_pages;
};

/* proc(5): the name in parentheses may hold anything, so fields are counted from the last ')'. */
static bool read_proc(struct proc *proc)
{
    char buffer[2048];
    if (!read_file("/proc/self/stat", buffer, sizeof(buffer)))
        return false;
    const char *after = strrchr(buffer, ')');
    return after && sscanf(after,
                           ") %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d"
                           " %llu %*d %llu %llu %llu",
                           &proc->threads, &proc->start_ticks, &proc->virtual_bytes,
                           &proc->resident_pages) == 4;
}

static void put_proc(struct prometheus *text)
{
    struct proc proc;
    if (!read_proc(&proc))
        return;
    prometheus_family(text, "process_virtual_memory_bytes", PROMETHEUS_GAUGE,
                      "Virtual memory size in bytes.");
    prometheus_u64(text, NULL, proc.virtual_bytes);
    prometheus_family(text, "process_resident_memory_bytes", PROMETHEUS_GAUGE,
                      "Resident memory size in bytes.");
    prometheus_u64(text, NULL, proc.resident_pages * (uint64_t)sysconf(_SC_PAGESIZE));
    prometheus_family(text, "process_threads", PROMETHEUS_GAUGE, "Number of OS threads.");
    prometheus_u64(text, NULL, proc.threads);
    prometheus_family(text, "process_start_time_seconds", PROMETHEUS_GAUGE,
                      "Start time of the process since unix epoch in seconds.");
    double ticks = (double)sysconf(_SC_CLK_TCK);
    prometheus_double(text, NULL, (double)boot_time() + (double)proc.start_ticks / ticks);
}

void prometheus_process(struct prometheus *text)
{
    put_cpu(text);
    put_proc(text);
    put_fds(text);
}
