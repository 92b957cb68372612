/* SPDX-License-Identifier: Apache-2.0 */
#include "process/limits.h"

#include "process/link.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

enum { MILLI = 1000, VALUE_SIZE = 128, FIELDS_MAX = 32, FILES_AT_LEAST = 256 };

/* cgroup v1 says "no limit" by a number near 2^63. */
static const uint64_t UNLIMITED = UINT64_C(1) << 60;

struct mount {
    const char *root, *point, *type, *options;
};

static bool read_value(const char *folder, const char *name, char value[VALUE_SIZE])
{
    char path[PATH_MAX];
    int len = snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *in = len > 0 && (size_t)len < sizeof path ? fopen(path, "re") : NULL;
    if (!in)
        return false;
    bool is_read = fgets(value, VALUE_SIZE, in) != NULL;
    fclose(in);
    return is_read;
}

static void lower_quota(struct limits *limits, uint64_t quota, uint64_t period)
{
    uint64_t milli;
    if (!quota || !period || __builtin_mul_overflow(quota, MILLI, &milli))
        return;
    milli /= period;
    if (milli > UINT32_MAX)
        return;
    uint32_t value = milli ? (uint32_t)milli : 1;
    if (!limits->quota_milli || value < limits->quota_milli)
        limits->quota_milli = value;
}

static void lower_memory(struct limits *limits, const char *text)
{
    char *end;
    errno = 0;
    uint64_t bytes = strtoull(text, &end, 10);
    bool is_number = *text >= '0' && *text <= '9' && end != text && !errno;
    if (is_number && bytes < UNLIMITED && (!limits->memory || bytes < limits->memory))
        limits->memory = bytes ? bytes : 1;
}

static void read_v1(const char *folder, struct limits *limits)
{
    char quota[VALUE_SIZE], period[VALUE_SIZE], memory[VALUE_SIZE];
    if (read_value(folder, "cpu.cfs_quota_us", quota) && *quota != '-' &&
        read_value(folder, "cpu.cfs_period_us", period))
        lower_quota(limits, strtoull(quota, NULL, 10), strtoull(period, NULL, 10));
    if (read_value(folder, "memory.limit_in_bytes", memory))
        lower_memory(limits, memory);
}

static void read_v2(const char *folder, struct limits *limits)
{
    char value[VALUE_SIZE];
    unsigned long long quota, period;
    if (read_value(folder, "cpu.max", value) &&
        sscanf(value, "%19llu %19llu", &quota, &period) == 2)
        lower_quota(limits, quota, period);
    if (read_value(folder, "memory.max", value))
        lower_memory(limits, value);
}

/* `word` stands in the comma-separated `list`. */
static bool has_word(const char *list, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = list; *at; at += strcspn(at, ","), at += *at == ',')
        if (strcspn(at, ",") == len && !strncmp(at, word, len))
            return true;
    return false;
}

/* "ID:CONTROLLERS:PATH" of proc/self/cgroup; `controller` "" for version 2. The path, into `path`.
 */
static bool find_group(const char *root, const char *controller, char path[PATH_MAX])
{
    char name[PATH_MAX];
    int len = snprintf(name, sizeof name, "%s/proc/self/cgroup", root);
    FILE *in = len > 0 && (size_t)len < sizeof name ? fopen(name, "re") : NULL;
    bool is_found = false;
    char *line = NULL;
    size_t size = 0;
    while (in && !is_found && getline(&line, &size, in) > 0) {
        line[strcspn(line, "\n")] = '\0';
        char *list = strchr(line, ':');
        char *at = list ? strchr(list + 1, ':') : NULL;
        if (!at || strlen(at + 1) >= PATH_MAX)
            continue;
        *at = '\0';
        is_found = *controller ? has_word(list + 1, controller) : !list[1];
        if (is_found)
            snprintf(path, PATH_MAX, "%s", at + 1);
    }
    free(line);
    if (in)
        fclose(in);
    return is_found;
}

/* Where the group lies below the mount point: its path without the mount's own root. A path outside
 * (a namespace's
 * "/..") leaves the mount point itself. */
static const char *below_root(const char *path, const char *mount_root)
{
    size_t len = strcmp(mount_root, "/") ? strlen(mount_root) : 0;
    if (strncmp(path, mount_root, len) != 0 || (path[len] && path[len] != '/'))
        return "";
    return strstr(path, "/..") ? "" : path + len;
}

static void walk_up(const char *root, const struct mount *mount, const char *controller,
                    struct limits *limits)
{
    char path[PATH_MAX], folder[PATH_MAX];
    if (!find_group(root, controller, path))
        return;
    int base = snprintf(folder, sizeof folder, "%s%s", root, mount->point);
    int len = snprintf(folder, sizeof folder, "%s%s%s", root, mount->point,
                       below_root(path, mount->root));
    if (base < 0 || len < base || (size_t)len >= sizeof folder)
        return;
    for (;;) {
        if (*controller)
            read_v1(folder, limits);
        else
            read_v2(folder, limits);
        char *slash = strrchr(folder, '/');
        if (!slash || slash < folder + base)
            return;
        *slash = '\0';
    }
}

/* A line of mountinfo: ID PARENT DEVICE ROOT POINT OPTIONS [TAGS ...] - TYPE SOURCE SUPER_OPTIONS
 */
static bool parse_mount(char *line, struct mount *mount)
{
    const char *fields[FIELDS_MAX];
    size_t count = 0, dash = 0;
    char *rest = NULL;
    for (char *word = strtok_r(line, " \n", &rest); word && count < FIELDS_MAX;
         word = strtok_r(NULL, " \n", &rest)) {
        if (!dash && count > 5 && !strcmp(word, "-"))
            dash = count;
        fields[count++] = word;
    }
    if (!dash || count < dash + 4)
        return false;
    *mount = (struct mount){fields[3], fields[4], fields[dash + 1], fields[dash + 3]};
    return true;
}

static void read_mount(const char *root, const struct mount *mount, struct limits *limits)
{
    static const char *const controllers[] = {"cpu", "memory"};
    if (!strcmp(mount->type, "cgroup2"))
        walk_up(root, mount, "", limits);
    for (size_t i = 0; i < ARRAY_LEN(controllers); i++)
        if (!strcmp(mount->type, "cgroup") && has_word(mount->options, controllers[i]))
            walk_up(root, mount, controllers[i], limits);
}

void limits_read(const char *root, struct limits *limits)
{
    *limits = (struct limits){0};
    char name[PATH_MAX];
    int len = snprintf(name, sizeof name, "%s/proc/self/mountinfo", root);
    FILE *in = len > 0 && (size_t)len < sizeof name ? fopen(name, "re") : NULL;
    if (!in)
        return;
    char *line = NULL;
    size_t size = 0;
    struct mount mount;
    while (getline(&line, &size, in) > 0)
        if (parse_mount(line, &mount))
            read_mount(root, &mount, limits);
    free(line);
    fclose(in);
}

uint32_t limits_share(uint32_t cpus, uint32_t quota_milli)
{
    uint32_t share = cpus ? cpus : 1;
    uint32_t whole = quota_milli / MILLI + (quota_milli % MILLI != 0);
    if (quota_milli && whole < share)
        share = whole;
    return share < LINK_SOCKETS_MAX ? share : LINK_SOCKETS_MAX;
}

static uint32_t count_cpus(void)
{
    cpu_set_t set;
    // More CPUs than the set has room for: the kernel refuses, the plain count serves.
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        return (uint32_t)CPU_COUNT(&set);
    long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online > 0 && online < INT_MAX ? (uint32_t)online : 1;
}

uint32_t limits_workers(void)
{
    struct limits limits;
    limits_read("", &limits);
    return limits_share(count_cpus(), limits.quota_milli);
}

bool limits_has_quota(void)
{
    struct limits limits;
    limits_read("", &limits);
    return limits.quota_milli != 0;
}

uint64_t limits_memory(void)
{
    struct limits limits;
    limits_read("", &limits);
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    uint64_t machine;
    if (pages <= 0 || page <= 0 ||
        __builtin_mul_overflow((uint64_t)pages, (uint64_t)page, &machine))
        machine = UNLIMITED;
    return limits.memory && limits.memory < machine ? limits.memory : machine;
}

uint32_t limits_descriptors(void)
{
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) < 0)
        return FILES_AT_LEAST;
    if (files.rlim_cur < files.rlim_max) {
        struct rlimit raised = {files.rlim_max, files.rlim_max};
        if (setrlimit(RLIMIT_NOFILE, &raised) == 0)
            files = raised;
    }
    return files.rlim_cur < INT_MAX ? (uint32_t)files.rlim_cur : INT_MAX;
}
