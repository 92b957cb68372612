/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of limits.c over made-up cgroup trees: CPUs, memory, descriptors.
 */
#include "process/limits.h"

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

/* One file of a made-up machine. */
struct file {
    const char *path, *text;
};

static void make_folders(char *path)
{
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(path, 0700);
        *slash = '/';
    }
}

/* Puts the files below a new folder, reads the limits there, and removes all. */
static struct limits limits_of(const struct file *files, size_t count)
{
    char root[] = "/tmp/test_limits.XXXXXX", command[64];
    assert_non_null(mkdtemp(root));
    for (size_t i = 0; i < count; i++) {
        char path[PATH_MAX];
        snprintf(path, sizeof path, "%s%s", root, files[i].path);
        make_folders(path);
        FILE *out = fopen(path, "w");
        assert_non_null(out);
        fputs(files[i].text, out);
        fclose(out);
    }
    struct limits limits;
    limits_read(root, &limits);
    snprintf(command, sizeof command, "rm -r %s", root);
    assert_int_equal(system(command), 0);
    return limits;
}

#define V2_MOUNT "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
#define V1_MOUNTS                                                                                  \
    "31 30 0:27 /docker/abc /sys/fs/cgroup/cpu,cpuacct ro - cgroup cgroup rw,cpu,cpuacct\n"        \
    "32 30 0:28 /docker/abc /sys/fs/cgroup/memory ro master:9 - cgroup cgroup rw,memory\n"

static void test_v2_takes_the_tightest_up_the_tree(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/proc/self/mountinfo", V2_MOUNT},
        {"/proc/self/cgroup", "0::/system.slice/sluice.service\n"},
        {"/sys/fs/cgroup/system.slice/sluice.service/cpu.max", "max 100000\n"},
        {"/sys/fs/cgroup/system.slice/sluice.service/memory.max", "1073741824\n"},
        {"/sys/fs/cgroup/system.slice/cpu.max", "150000 100000\n"},
        {"/sys/fs/cgroup/system.slice/memory.max", "536870912\n"},
    };
    struct limits limits = limits_of(files, ARRAY_LEN(files));
    assert_int_equal(limits.quota_milli, 1500);
    assert_int_equal(limits.memory, 536870912);
}

static void test_v2_in_a_container_lies_at_the_mount(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/proc/self/mountinfo", V2_MOUNT},
        {"/proc/self/cgroup", "0::/\n"},
        {"/sys/fs/cgroup/cpu.max", "50000 100000\n"},
        {"/sys/fs/cgroup/memory.max", "max\n"},
    };
    struct limits limits = limits_of(files, ARRAY_LEN(files));
    assert_int_equal(limits.quota_milli, 500);
    assert_int_equal(limits.memory, 0);
}

static void test_v1_in_a_container_without_namespace(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/proc/self/mountinfo", V1_MOUNTS},
        {"/proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n"},
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "200000\n"},
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "268435456\n"},
    };
    struct limits limits = limits_of(files, ARRAY_LEN(files));
    assert_int_equal(limits.quota_milli, 2000);
    assert_int_equal(limits.memory, 268435456);
}

static void test_v1_says_no_limit_in_its_own_way(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/proc/self/mountinfo", V1_MOUNTS},
        {"/proc/self/cgroup", "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n"},
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us", "-1\n"},
        {"/sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us", "100000\n"},
        {"/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n"},
    };
    struct limits limits = limits_of(files, ARRAY_LEN(files));
    assert_int_equal(limits.quota_milli, 0);
    assert_int_equal(limits.memory, 0);
}

static void test_group_outside_the_namespace_reads_the_mount(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/proc/self/mountinfo", V2_MOUNT},
        {"/proc/self/cgroup", "0::/../../other\n"},
        {"/sys/fs/cgroup/memory.max", "4096\n"},
        {"/other/memory.max", "1\n"},
    };
    assert_int_equal(limits_of(files, ARRAY_LEN(files)).memory, 4096);
}

static void test_nonsense_limits_nothing(void **state)
{
    (void)state;
    const struct file files[] = {
        {"/proc/self/mountinfo", "- - -\n\n1 2 3 4 5 6 -\n" V2_MOUNT},
        {"/proc/self/cgroup", "::\n0\n0::/a\n"},
        {"/sys/fs/cgroup/a/cpu.max", "100000 0\n"},
        {"/sys/fs/cgroup/a/memory.max", "99999999999999999999999999\n"},
        {"/sys/fs/cgroup/cpu.max", "18446744073709551615 1\n"},
        {"/sys/fs/cgroup/memory.max", "-5\n"},
    };
    struct limits limits = limits_of(files, ARRAY_LEN(files));
    assert_int_equal(limits.quota_milli, 0);
    assert_int_equal(limits.memory, 0);
    limits = limits_of(files, 0);
    assert_int_equal(limits.quota_milli, 0);
}

static void test_share_rounds_up_within_bounds(void **state)
{
    (void)state;
    assert_int_equal(limits_share(8, 0), 8);
    assert_int_equal(limits_share(8, 1500), 2);
    assert_int_equal(limits_share(8, 2000), 2);
    assert_int_equal(limits_share(8, 1), 1);
    assert_int_equal(limits_share(1, 4000), 1);
    assert_int_equal(limits_share(0, 0), 1);
    assert_int_equal(limits_share(1000, 0), 256);
}

static void test_this_machine_has_some_of_each(void **state)
{
    (void)state;
    assert_in_range(limits_workers(), 1, 256);
    assert_true(limits_memory() > 1024 * 1024);
    struct rlimit files;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    files.rlim_cur = 64;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
    uint32_t count = limits_descriptors();
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &files), 0);
    assert_int_equal(files.rlim_cur, files.rlim_max);
    assert_int_equal(count, files.rlim_max < INT_MAX ? files.rlim_max : INT_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_v2_takes_the_tightest_up_the_tree),
        cmocka_unit_test(test_v2_in_a_container_lies_at_the_mount),
        cmocka_unit_test(test_v1_in_a_container_without_namespace),
        cmocka_unit_test(test_v1_says_no_limit_in_its_own_way),
        cmocka_unit_test(test_group_outside_the_namespace_reads_the_mount),
        cmocka_unit_test(test_nonsense_limits_nothing),
        cmocka_unit_test(test_share_rounds_up_within_bounds),
        cmocka_unit_test(test_this_machine_has_some_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
