/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/access/nets.h"

#include <stdlib.h>
#include <string.h>

enum {
    STEP = 6,      /* bits a node decides */
    SKIP_MAX = 60, /* bits a node skips at most, a multiple of STEP */
    V4_BITS = 96,  /* that all IPv4 addresses share */
    IP_BITS = 128,
};

/* After `skip` bits that must be `skipped`, six bits choose a slot: of a child, or of a run of
 * slots that have the same value. */
struct node {
    uint64_t children; /* slots with a child */
    uint64_t runs;     /* slots where a run of one value begins; the first always */
    uint64_t skipped;
    uint32_t first_child, first_value;
    uint8_t skip;
    uint8_t miss; /* the value where `skipped` does not fit */
};

struct nets {
    const struct node *nodes; /* root of IPv6, root of IPv4, then the others */
    const uint8_t *values;
};

struct bits {
    uint64_t high, low;
};

static uint64_t load(const uint8_t *at)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word = word << 8 | at[i];
    return word;
}

static struct bits bits_of(const uint8_t ip[IP_LEN])
{
    return (struct bits){load(ip), load(ip + 8)};
}

/* `count` bits (1 to 64) from `at` (0 to 127) on; zeros past the end. */
static uint64_t cut(struct bits ip, unsigned at, unsigned count)
{
    uint64_t word;

    if (at >= 64)
        word = ip.low << (at - 64);
    else
        word = at ? ip.high << at | ip.low >> (64 - at) : ip.high;
    return word >> (64 - count);
}

static unsigned count_below(uint64_t set, unsigned slot)
{
    return (unsigned)__builtin_popcountll(set & ((UINT64_C(1) << slot) - 1));
}

uint8_t nets_find(const struct nets *nets, const uint8_t address[IP_LEN])
{
    struct bits ip = bits_of(address);
    bool is_v4 = ip_is_v4(address);
    const struct node *node = &nets->nodes[is_v4];
    unsigned depth = is_v4 ? V4_BITS : 0, slot;

    for (;;) {
        if (node->skip && cut(ip, depth, node->skip) != node->skipped)
            return node->miss;
        depth += node->skip;
        slot = (unsigned)cut(ip, depth, STEP);
        if (!(node->children >> slot & 1))
            break;
        node = &nets->nodes[node->first_child + count_below(node->children, slot)];
        depth += STEP;
    }
    return nets
        ->values[node->first_value + count_below(node->runs, slot) + (node->runs >> slot & 1) - 1];
}

/* --- building: once to count, with nowhere to write to, and once to write */

struct build {
    struct node *nodes;
    uint8_t *values;
    uint32_t node_count, value_count;
};

/* Entries that begin with the same `depth` bits and are longer, sorted; around them `value`. */
struct part {
    const struct nets_entry *entries;
    size_t count;
    unsigned depth;
    uint8_t value;
};

/* How far all go together, in whole steps. */
static unsigned shared_bits(const struct part *part)
{
    struct bits first, last;
    unsigned skip = 0, shortest = IP_BITS;

    if (!part->count)
        return 0;
    first = bits_of(part->entries[0].cidr.ip);
    last = bits_of(part->entries[part->count - 1].cidr.ip);
    for (size_t i = 0; i < part->count; i++)
        if (part->entries[i].cidr.bits < shortest)
            shortest = part->entries[i].cidr.bits;
    while (skip < SKIP_MAX && part->depth + skip + STEP < shortest &&
           cut(first, part->depth + skip, STEP) == cut(last, part->depth + skip, STEP))
        skip += STEP;
    return skip;
}

/* What a node's slots are: the value of each, and which of the entries go on below it. */
struct slots {
    uint8_t values[1 << STEP];
    struct part below[1 << STEP];
};

static void fill_slots(struct slots *slots, const struct part *part, unsigned depth)
{
    memset(slots->below, 0, sizeof(slots->below));
    memset(slots->values, part->value, sizeof(slots->values));
    for (size_t i = 0; i < part->count; i++) {
        const struct nets_entry *entry = &part->entries[i];
        unsigned slot = (unsigned)cut(bits_of(entry->cidr.ip), depth, STEP);

        if (entry->cidr.bits <= depth + STEP) { // those that hold it came before
            memset(slots->values + slot, entry->value,
                   (size_t)1 << (depth + STEP - entry->cidr.bits));
            continue;
        }
        if (!slots->below[slot].count++)
            slots->below[slot].entries = entry;
    }
}

static uint64_t add_runs(struct build *build, const struct slots *slots)
{
    uint64_t runs = 0;

    for (unsigned slot = 0; slot < 1 << STEP; slot++) {
        if (slot && slots->values[slot] == slots->values[slot - 1])
            continue;
        runs |= UINT64_C(1) << slot;
        if (build->values)
            build->values[build->value_count] = slots->values[slot];
        build->value_count++;
    }
    return runs;
}

/* As deep as an address has steps. */
static void add_node(struct build *build, uint32_t at, const struct part *part)
{
    struct node node = {.first_value = build->value_count, .miss = part->value};
    struct slots slots;
    uint32_t child;
    unsigned depth;

    node.skip = (uint8_t)shared_bits(part);
    if (node.skip)
        node.skipped = cut(bits_of(part->entries[0].cidr.ip), part->depth, node.skip);
    depth = part->depth + node.skip;
    fill_slots(&slots, part, depth);
    node.runs = add_runs(build, &slots);
    node.first_child = child = build->node_count;
    for (unsigned slot = 0; slot < 1 << STEP; slot++) {
        node.children |= (uint64_t)(slots.below[slot].count > 0) << slot;
        build->node_count += slots.below[slot].count > 0;
    }
    if (build->nodes)
        build->nodes[at] = node;
    for (unsigned slot = 0; slot < 1 << STEP; slot++) {
        if (!slots.below[slot].count)
            continue;
        slots.below[slot].depth = depth + STEP;
        slots.below[slot].value = slots.values[slot];
        add_node(build, child++, &slots.below[slot]);
    }
}

static bool is_v4(const struct nets_entry *entry)
{
    return entry->cidr.bits >= V4_BITS && ip_is_v4(entry->cidr.ip);
}

/* By address, those that hold others first; IPv6 before IPv4. */
static int compare(const void *a, const void *b)
{
    const struct nets_entry *x = a, *y = b;
    int order = is_v4(x) - is_v4(y);

    if (!order)
        order = memcmp(x->cidr.ip, y->cidr.ip, IP_LEN);
    if (!order)
        order = x->cidr.bits - y->cidr.bits;
    return order ? order : x->value - y->value;
}

static void add_roots(struct build *build, const struct nets_entry *entries, size_t count)
{
    struct part part = {.entries = entries};

    build->node_count = 2;
    build->value_count = 0;
    while (part.count < count && !is_v4(&entries[part.count]))
        part.count++;
    add_node(build, 0, &part);
    part = (struct part){.entries = entries + part.count,
                         .count = count - part.count,
                         .depth = V4_BITS};
    add_node(build, 1, &part);
}

const struct nets *nets_new(struct nets_entry *entries, size_t count, struct arena *arena)
{
    struct nets *nets = arena_zero(arena, 1, sizeof(*nets));
    struct build build = {.nodes = NULL};

    if (!nets)
        return NULL;
    if (count)
        qsort(entries, count, sizeof(*entries), compare);
    add_roots(&build, entries, count);
    build.nodes = arena_zero(arena, build.node_count, sizeof(*build.nodes));
    build.values = arena_zero(arena, build.value_count, 1);
    if (!build.nodes || !build.values)
        return NULL;
    add_roots(&build, entries, count);
    nets->nodes = build.nodes;
    nets->values = build.values;
    return nets;
}
