/* SPDX-License-Identifier: Apache-2.0
 *
 * Shared by load.c and include.c: one load of a configuration, from files or from memory. The trees
 * live in `scratch` and go when the conf is built. One thread.
 */
#ifndef CONFIG_LOAD_H
#define CONFIG_LOAD_H

#include <sys/types.h>

#include "config/conf.h"
#include "config/tree.h"

enum { LOAD_FILES_MAX = 100, LOAD_BYTES_MAX = 16 * 1024 * 1024 };

struct load_file {
    struct str path; /* absolute */
    dev_t device;
    ino_t inode;
};

struct load {
    const struct conf_world *world;
    struct arena *arena, scratch;
    struct diag *diag;
    struct load_file files[LOAD_FILES_MAX];
    uint32_t file_count;
};

/* The tree of a file with its includes merged in. `at`: where it is included, no place for the
 * first. NULL after an error in the file itself; errors within leave broken nodes. */
struct node *load_file(struct load *load, struct str path, struct span at);
/* Reads what `root`, the tree of the file `path`, includes, and merges it into root. */
void include_files(struct load *load, struct node *root, struct str path);

#endif
