/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file_mark.h"

#include <sys/stat.h>

struct file_mark file_mark_of(const char *path)
{
    struct stat file;

    if (stat(path, &file))
        return (struct file_mark){0};
    return (struct file_mark){
        .device = file.st_dev,
        .inode = file.st_ino,
        .size = file.st_size,
        .written = file.st_mtim,
        .changed = file.st_ctim,
    };
}

static bool is_at_once(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

bool file_mark_same(const struct file_mark *a, const struct file_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           is_at_once(&a->written, &b->written) && is_at_once(&a->changed, &b->changed);
}
