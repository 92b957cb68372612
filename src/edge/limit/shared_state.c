/* SPDX-License-Identifier: Apache-2.0
 *
 * Who can be asked now, and what others are told of it.
 */
#include <stdio.h>
#include <string.h>

#include "edge/limit/shared_impl.h"

/* Of the first that is late. */
static struct str say_late(const struct shared *shared, char *text, size_t size)
{
    unsigned i = 0;
    struct str name;
    int more;

    while (i < REDIS_NODES_MAX && !shared->nodes[i].is_late)
        i++;
    if (i == REDIS_NODES_MAX)
        return STR_NONE;
    name = redis_node_name(shared->redis, i, text, size);
    more = snprintf(text + name.len, size - name.len, ": it answers later than requests wait");
    return (struct str){text, name.len + (size_t)more < size ? name.len + (size_t)more : size - 1};
}

static void tell_reason(struct shared *shared)
{
    char text[NOTE_MAX + 1];
    struct str reason = STR_NONE;

    if (shared->is_used)
        reason = redis_reason(shared->redis, text, sizeof(text));
    if (shared->is_used && !reason.len)
        reason = say_late(shared, text, sizeof(text));
    note_write(&shared->reason, reason);
}

void shared_tell_state(struct shared *shared)
{
    enum shared_state state = SHARED_NONE;

    if (shared->is_used && shared->redis)
        state = redis_is_up(shared->redis) && !shared->late_count ? SHARED_UP : SHARED_DEGRADED;
    __atomic_store_n(&shared->state, state, __ATOMIC_RELAXED);
}

struct str shared_reason(const struct shared *shared, char *text)
{
    return note_read(&shared->reason, text);
}

void shared_tell(struct shared *shared)
{
    shared_tell_state(shared);
    tell_reason(shared);
}

void shared_set_late(struct shared *shared, unsigned at, bool is_late)
{
    struct shared_node *node = &shared->nodes[at];

    if (node->is_late == is_late)
        return;
    node->is_late = is_late;
    shared->late_count = is_late ? shared->late_count + 1 : shared->late_count - 1;
    shared_tell(shared);
}

enum shared_state shared_state(const struct shared *shared)
{
    return (enum shared_state)__atomic_load_n(&shared->state, __ATOMIC_RELAXED);
}

/* --- who has a bucket */

struct shared_key shared_key_of(const struct shared_name *name)
{
    struct shared_key key = {{'s', 'l', ':'}};

    memcpy(key.text + SHARED_KEY_LEN - SHARED_NAME_LEN, name->text, SHARED_NAME_LEN);
    return key;
}

bool shared_reaches(const struct shared *shared, const struct shared_name *name)
{
    struct shared_key key = shared_key_of(name);
    int node = redis_find(shared->redis, (struct str){key.text, SHARED_KEY_LEN});

    return node >= 0 && !shared->nodes[node].is_late;
}

bool shared_is_cut_off(const struct shared *shared, const struct shared_name *names, unsigned count)
{
    if (shared_state(shared) != SHARED_DEGRADED)
        return false;
    for (unsigned i = 0; i < count; i++)
        if (!shared_reaches(shared, &names[i]))
            return true;
    return false;
}
