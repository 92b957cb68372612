/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of names with an index each, for finding duplicates and references in linear time. Lives in
 * an arena; names are borrowed. One thread.
 */
#ifndef CONFIG_NAMES_H
#define CONFIG_NAMES_H

#include "base/arena.h"

struct names_slot {
    struct str name;
    uint32_t hash, index;
};

struct names {
    struct names_slot *slots; /* NULL when memory ended: everything is then unknown */
    size_t mask;
};

enum { NAMES_NONE = UINT32_MAX };

/* Room for `count` names. */
void names_init(struct names *names, struct arena *arena, size_t count);
/* NAMES_NONE when the name is new, else the index it was first put with. */
uint32_t names_put(struct names *names, struct str name, uint32_t index);
uint32_t names_get(const struct names *names, struct str name);

#endif
