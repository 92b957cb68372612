/* SPDX-License-Identifier: Apache-2.0
 *
 * All series: blocks of 64-bit numbers, one a series and worker. A worker finds its block through a
 * two-level table of its own, makes it at first use and publishes it with a release store; only
 * that worker ever writes it. A block that gets a new name is therefore not cleared: what its
 * counters held is kept as a base and subtracted, while gauges, which come back to zero by
 * themselves, are not.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "edge/metric/slots.h"
#include "edge/metric/stat.h"

enum {
    PAGE_BLOCKS = 1024,
    PAGES = 1024,
    SERVICE_TARGETS_MAX = 64,
    CELLS_MAX = 256,
    LINE = 64, /* bytes of a cache line: blocks begin on one, so that no two workers share any */
};

struct page {
    void *blocks[PAGE_BLOCKS];
};

/* Blocks of one kind and worker. Written by the worker, read by the scraper. */
struct table {
    struct page *pages[PAGES];
};

enum kind { ROUTE, TARGET, RELEASE, KINDS };

/* How a block is laid out: all 64-bit cells, of which `gauges` from `first_gauge` on are not
 * counters. */
static const struct layout {
    unsigned cells, first_gauge, gauges;
} layouts[KINDS] = {
    [ROUTE] = {sizeof(struct stat_route) / 8, offsetof(struct stat_route, in_flight) / 8, 1},
    [TARGET] = {sizeof(struct stat_target) / 8, offsetof(struct stat_target, open) / 8, 3},
    [RELEASE] = {sizeof(struct stat_release) / 8, 0, 0},
};

_Static_assert(sizeof(struct stat_route) / 8 <= CELLS_MAX, "room for a sum");
_Static_assert(sizeof(struct stat_target) / 8 <= CELLS_MAX, "room for a sum");
_Static_assert(sizeof(struct stat_release) / 8 <= CELLS_MAX, "room for a sum");
_Static_assert(offsetof(struct stat_target, in_flight) == offsetof(struct stat_target, open) + 16,
               "the gauges of a target stand together");

struct worker {
    struct table tables[KINDS];
    _Alignas(
        LINE) uint64_t spill[KINDS][CELLS_MAX]; /* where counts go that have no block; never read */
};

/* One kind of series. */
struct series {
    struct slots slots;
    uint64_t **bases; /* by slot, base_count of them; NULL: nothing to subtract */
    uint32_t base_count;
};

struct stats {
    struct series series[KINDS];
    struct slots services; /* value: targets asked for in the sweep of the slot's mark */
    unsigned worker_count;
    struct worker *workers;
};

struct stats *stats_new(unsigned workers)
{
    assert(workers >= 1 && workers <= STAT_WORKERS_MAX);
    struct stats *stats = calloc(1, sizeof(*stats));
    struct worker *array = aligned_alloc(LINE, workers * sizeof(struct worker));
    if (!stats || !array) {
        free(stats);
        free(array);
        return NULL;
    }
    memset(array, 0, workers * sizeof(struct worker));
    stats->workers = array;
    stats->worker_count = workers;
    for (unsigned kind = 0; kind < KINDS; kind++)
        slots_init(&stats->series[kind].slots, PAGES * PAGE_BLOCKS);
    slots_init(&stats->services, PAGES * PAGE_BLOCKS);
    return stats;
}

static void free_table(struct table *table)
{
    for (unsigned p = 0; p < PAGES; p++) {
        for (unsigned b = 0; table->pages[p] && b < PAGE_BLOCKS; b++)
            free(table->pages[p]->blocks[b]);
        free(table->pages[p]);
    }
}

static void fini_series(struct series *series)
{
    for (uint32_t i = 0; i < series->base_count; i++)
        free(series->bases[i]);
    free(series->bases);
    slots_fini(&series->slots);
}

void stats_free(struct stats **stats)
{
    if (!*stats)
        return;
    for (unsigned w = 0; w < (*stats)->worker_count; w++) {
        for (unsigned kind = 0; kind < KINDS; kind++)
            free_table(&(*stats)->workers[w].tables[kind]);
    }
    for (unsigned kind = 0; kind < KINDS; kind++)
        fini_series(&(*stats)->series[kind]);
    slots_fini(&(*stats)->services);
    free((*stats)->workers);
    free(*stats);
    *stats = NULL;
}

/* --- worker */

static void *add_block(struct table *table, uint32_t slot, unsigned cells)
{
    struct page **at = &table->pages[slot / PAGE_BLOCKS];
    if (!*at) {
        struct page *page = calloc(1, sizeof(*page));
        if (!page)
            return NULL;
        __atomic_store_n(at, page, __ATOMIC_RELEASE);
    }
    size_t size = (cells * sizeof(uint64_t) + LINE - 1) / LINE * LINE;
    void *block = aligned_alloc(LINE, size);
    if (!block)
        return NULL;
    memset(block, 0, size);
    __atomic_store_n(&(*at)->blocks[slot % PAGE_BLOCKS], block, __ATOMIC_RELEASE);
    return block;
}

static inline void *get_block(struct stats *stats, unsigned w, uint32_t slot, enum kind kind)
{
    struct worker *worker = &stats->workers[w];
    struct table *table = &worker->tables[kind];
    if (slot >= PAGES * PAGE_BLOCKS)
        return worker->spill[kind];
    struct page *page = table->pages[slot / PAGE_BLOCKS];
    void *block = page ? page->blocks[slot % PAGE_BLOCKS] : NULL;
    if (__builtin_expect(!block, 0))
        block = add_block(table, slot, layouts[kind].cells);
    return block ? block : worker->spill[kind];
}

struct stat_route *stats_route(struct stats *stats, unsigned worker, uint32_t slot)
{
    return get_block(stats, worker, slot, ROUTE);
}

struct stat_target *stats_target(struct stats *stats, unsigned worker, uint32_t slot)
{
    return get_block(stats, worker, slot, TARGET);
}

struct stat_release *stats_release(struct stats *stats, unsigned worker, uint32_t slot)
{
    return get_block(stats, worker, slot, RELEASE);
}

/* --- manager: sums */

/* Another thread's block; NULL when that worker has not used the slot. */
static const uint64_t *read_block(const struct table *table, uint32_t slot)
{
    struct page *page = __atomic_load_n(&table->pages[slot / PAGE_BLOCKS], __ATOMIC_ACQUIRE);
    return page ? __atomic_load_n(&page->blocks[slot % PAGE_BLOCKS], __ATOMIC_ACQUIRE) : NULL;
}

/* Adds the blocks of all workers into zeroed cells; false when there are none. */
static bool sum_blocks(const struct stats *stats, enum kind kind, uint32_t slot, uint64_t *cells)
{
    bool is_used = false;
    memset(cells, 0, layouts[kind].cells * sizeof(*cells));
    for (unsigned w = 0; w < stats->worker_count; w++) {
        const uint64_t *block = read_block(&stats->workers[w].tables[kind], slot);
        if (!block)
            continue;
        is_used = true;
        for (unsigned i = 0; i < layouts[kind].cells; i++)
            cells[i] += __atomic_load_n(&block[i], __ATOMIC_RELAXED);
    }
    return is_used;
}

/* What a slot has counted under its present name; false when nothing. */
static bool sum_slot(const struct stats *stats, enum kind kind, uint32_t slot, uint64_t *cells)
{
    const struct series *series = &stats->series[kind];
    if (!sum_blocks(stats, kind, slot, cells))
        return false;
    const uint64_t *base = slot < series->base_count ? series->bases[slot] : NULL;
    if (!base)
        return true;
    uint64_t changed = 0;
    for (unsigned i = 0; i < layouts[kind].cells; i++) {
        cells[i] -= base[i];
        changed |= cells[i];
    }
    return changed != 0;
}

void stats_walk(const struct stats *stats, const struct stats_walk *walk)
{
    union {
        uint64_t cells[CELLS_MAX];
        struct stat_route route;
        struct stat_target target;
        struct stat_release release;
    } sum;
    const struct slots *routes = &stats->series[ROUTE].slots;
    const struct slots *targets = &stats->series[TARGET].slots;
    const struct slots *releases = &stats->series[RELEASE].slots;
    for (uint32_t i = 0; walk->on_route && i < routes->count; i++) {
        if (routes->items[i].text && sum_slot(stats, ROUTE, i, sum.cells))
            walk->on_route(walk->owner, slots_part(routes, i, 0), &sum.route);
    }
    for (uint32_t i = 0; walk->on_target && i < targets->count; i++) {
        if (targets->items[i].text && sum_slot(stats, TARGET, i, sum.cells))
            walk->on_target(walk->owner, slots_part(targets, i, 0), slots_part(targets, i, 1),
                            slots_part(targets, i, 2), &sum.target);
    }
    for (uint32_t i = 0; walk->on_release && i < releases->count; i++) {
        if (releases->items[i].text && sum_slot(stats, RELEASE, i, sum.cells))
            walk->on_release(walk->owner, i,
                             &(struct stats_name){slots_part(releases, i, 0),
                                                  slots_part(releases, i, 1)},
                             &sum.release);
    }
}

/* --- manager: slots */

static bool grow_bases(struct series *series, uint32_t count)
{
    if (count <= series->base_count)
        return true;
    uint64_t **bases = realloc(series->bases, count * sizeof(uint64_t *));
    if (!bases)
        return false;
    memset(bases + series->base_count, 0, (count - series->base_count) * sizeof(uint64_t *));
    series->bases = bases;
    series->base_count = count;
    return true;
}

/* Keeps what the slot's blocks hold now, but for the gauges. False: no memory. */
static bool rebase(struct stats *stats, enum kind kind, uint32_t slot)
{
    struct series *series = &stats->series[kind];
    const struct layout *layout = &layouts[kind];
    uint64_t cells[CELLS_MAX];
    if (!sum_blocks(stats, kind, slot, cells))
        return true;
    if (!grow_bases(series, series->slots.capacity))
        return false;
    if (!series->bases[slot])
        series->bases[slot] = malloc(layout->cells * sizeof(uint64_t));
    if (!series->bases[slot])
        return false;
    memset(&cells[layout->first_gauge], 0, layout->gauges * sizeof(uint64_t));
    memcpy(series->bases[slot], cells, layout->cells * sizeof(uint64_t));
    return true;
}

/* The slot of a name, with or without one before; marked. */
static uint32_t ask(struct stats *stats, enum kind kind, const struct slots_name *name)
{
    struct slots *slots = &stats->series[kind].slots;
    uint32_t slot = slots_find(slots, name);
    if (slot != SLOTS_NONE) {
        slots->items[slot].sweep = slots->sweep;
        return slot;
    }
    bool is_reused = false;
    slot = slots_add(slots, name, &is_reused);
    if (slot != SLOTS_NONE && is_reused && !rebase(stats, kind, slot)) {
        slots_drop(slots, slot);
        return SLOTS_NONE;
    }
    return slot;
}

uint32_t stats_route_slot(struct stats *stats, struct str route)
{
    return ask(stats, ROUTE, &(struct slots_name){.parts = {route}});
}

uint32_t stats_release_slot(struct stats *stats, struct str service, struct str release)
{
    return ask(stats, RELEASE, &(struct slots_name){.parts = {service, release}});
}

/* Counts one more target of a service in this sweep; false when it has all it may. */
static bool count_target(struct stats *stats, struct str service)
{
    struct slots *services = &stats->services;
    const struct slots_name name = {.parts = {service}};
    bool is_reused = false;
    uint32_t index = slots_find(services, &name);
    if (index == SLOTS_NONE)
        index = slots_add(services, &name, &is_reused);
    if (index == SLOTS_NONE)
        return false;
    struct slot *slot = &services->items[index];
    if (slot->sweep != services->sweep)
        slot->value = 0;
    slot->sweep = services->sweep;
    return slot->value++ < SERVICE_TARGETS_MAX;
}

uint32_t stats_target_slot(struct stats *stats, struct str service, struct str release,
                           struct str target)
{
    const struct slots *slots = &stats->series[TARGET].slots;
    const struct slots_name own = {.parts = {service, release, target}};
    const struct slots_name other = {.parts = {service, release, STR("other")}};
    uint32_t slot = slots_find(slots, &own);
    bool is_marked = slot != SLOTS_NONE && slots->items[slot].sweep == slots->sweep;
    if (is_marked || count_target(stats, service))
        return ask(stats, TARGET, &own);
    return ask(stats, TARGET, &other);
}

void stats_sweep_begin(struct stats *stats)
{
    for (unsigned kind = 0; kind < KINDS; kind++)
        slots_begin(&stats->series[kind].slots);
    slots_begin(&stats->services);
}

void stats_sweep_end(struct stats *stats)
{
    for (unsigned kind = 0; kind < KINDS; kind++)
        slots_end(&stats->series[kind].slots);
    slots_end(&stats->services);
}
