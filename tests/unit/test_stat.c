/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of stat.c, stats.c and slots.c: codes, histograms, slots, sweeps, and sums while workers
 * write.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "edge/metric/stat.h"

static struct str text(const char *s)
{
    return (struct str){s, strlen(s)};
}

static void test_codes(void **state)
{
    (void)state;
    bool is_seen[STAT_CODES] = {false};
    for (unsigned status = 0; status < 1200; status++) {
        unsigned index = stat_code_index(status);
        assert_true(index < STAT_CODES);
        is_seen[index] = true;
        const char *label = stat_code_label(index);
        bool is_class = status < 100 || status > 599 ? strcmp(label, "5xx") == 0
                                                     : label[0] == (char)('0' + status / 100);
        assert_true(is_class);
        if (strcmp(label + 1, "xx") != 0)
            assert_int_equal(atoi(label), status);
    }
    for (unsigned i = 0; i < STAT_CODES; i++)
        assert_true(is_seen[i]);
    assert_string_equal(stat_code_label(stat_code_index(200)), "200");
    assert_string_equal(stat_code_label(stat_code_index(499)), "499");
    assert_string_equal(stat_code_label(stat_code_index(299)), "2xx");
    assert_string_equal(stat_code_label(stat_code_index(0)), "5xx");
}

static void test_histogram(void **state)
{
    (void)state;
    struct stat_histogram histogram = {0};
    stat_observe(&histogram, 0);
    stat_observe(&histogram, 500);
    stat_observe(&histogram, 501);
    stat_observe(&histogram, 30000000);
    stat_observe(&histogram, 30000001);
    assert_int_equal(histogram.buckets[0], 2);
    assert_int_equal(histogram.buckets[1], 1);
    assert_int_equal(histogram.buckets[STAT_BUCKETS - 2], 1);
    assert_int_equal(histogram.buckets[STAT_BUCKETS - 1], 1);
    assert_int_equal(histogram.sum_us, 60001002);
    for (unsigned i = 1; i < STAT_BUCKETS - 1; i++)
        assert_true(stat_edges_us[i] > stat_edges_us[i - 1]);
}

/* What a walk found. */
struct found {
    unsigned routes, targets, others;
    char last_route[64], last_target[64];
    struct stat_route route;
    struct stat_target target;
    char last_release[64];
    struct stat_release release;
};

static void on_route(void *owner, struct str route, const struct stat_route *sum)
{
    struct found *found = owner;
    found->routes++;
    snprintf(found->last_route, sizeof(found->last_route), "%.*s", STR_FMT(route));
    found->route = *sum;
}

static void on_target(void *owner, struct str service, struct str release, struct str target,
                      const struct stat_target *sum)
{
    struct found *found = owner;
    found->targets++;
    found->others += target.len == 5 && memcmp(target.p, "other", 5) == 0;
    snprintf(found->last_target, sizeof(found->last_target), "%.*s/%.*s/%.*s", STR_FMT(service),
             STR_FMT(release), STR_FMT(target));
    found->target = *sum;
}

static void on_release(void *owner, uint32_t slot, const struct stats_name *name,
                       const struct stat_release *sum)
{
    struct found *found = owner;
    (void)slot;
    snprintf(found->last_release, sizeof(found->last_release), "%.*s/%.*s", STR_FMT(name->service),
             STR_FMT(name->release));
    found->release = *sum;
}

static struct found walk(const struct stats *stats)
{
    struct found found = {0};
    stats_walk(stats, &(struct stats_walk){&found, on_route, on_target, on_release});
    return found;
}

static void test_sums_over_workers(void **state)
{
    (void)state;
    struct stats *stats = stats_new(3);
    uint32_t slot = stats_route_slot(stats, text("api"));
    assert_int_equal(stats_route_slot(stats, text("api")), slot);
    assert_int_not_equal(stats_route_slot(stats, text("web")), slot);
    assert_int_equal(walk(stats).routes, 0);
    for (unsigned w = 0; w < 3; w++) {
        struct stat_route *block = stats_route(stats, w, slot);
        assert_ptr_equal(block, stats_route(stats, w, slot));
        assert_int_equal((uintptr_t)block % 64, 0);
        stat_add(&block->codes[stat_code_index(200)], w + 1);
        stat_gauge(&block->in_flight, w == 2 ? -1 : 1);
    }
    struct found found = walk(stats);
    assert_int_equal(found.routes, 1);
    assert_string_equal(found.last_route, "api");
    assert_int_equal(found.route.codes[stat_code_index(200)], 6);
    assert_int_equal(found.route.in_flight, 1);
    stats_free(&stats);
    assert_null(stats);
}

static void test_releases(void **state)
{
    (void)state;
    struct stats *stats = stats_new(2);
    uint32_t slot = stats_release_slot(stats, text("shop"), text("42"));
    for (unsigned w = 0; w < 2; w++) {
        stat_add(&stats_release(stats, w, slot)->requests, 3);
        stat_add(&stats_release(stats, w, slot)->latency[LATENCY_BUCKETS - 1], 1);
        stat_add(&stats_release(stats, w, slot)->clients[STAT_CLIENTS - 1].failures, 1);
    }
    struct found found = walk(stats);
    assert_string_equal(found.last_release, "shop/42");
    assert_int_equal(found.release.requests, 6);
    assert_int_equal(found.release.latency[LATENCY_BUCKETS - 1], 2);
    assert_int_equal(found.release.clients[STAT_CLIENTS - 1].failures, 2);
    /* a retired one goes, and what comes in its place begins at nothing */
    for (unsigned i = 0; i < 4; i++) {
        stats_sweep_begin(stats);
        stats_sweep_end(stats);
    }
    assert_string_equal(walk(stats).last_release, "");
    assert_int_equal(stats_release_slot(stats, text("shop"), text("43")), slot);
    assert_string_equal(walk(stats).last_release, "");
    stat_add(&stats_release(stats, 0, slot)->requests, 1);
    assert_int_equal(walk(stats).release.requests, 1);
    stats_free(&stats);
}

/* Clients of a service fall into all groups alike, and into others at another one. */
static void test_groups_of_clients(void **state)
{
    unsigned counts[STAT_CLIENTS] = {0}, same = 0;

    (void)state;
    for (uint64_t client = 1; client <= 16000; client++) {
        unsigned group = stat_client_group(text("shop"), client);

        assert_true(group < STAT_CLIENTS);
        assert_int_equal(group, stat_client_group(text("shop"), client));
        same += group == stat_client_group(text("other"), client);
        counts[group]++;
    }
    for (unsigned i = 0; i < STAT_CLIENTS; i++)
        assert_in_range(counts[i], 850, 1150); // five standard deviations
    assert_in_range(same, 850, 1150);
}

static void test_labels_do_not_run_together(void **state)
{
    (void)state;
    struct stats *stats = stats_new(1);
    uint32_t a = stats_target_slot(stats, text("ab"), text("c"), text("d"));
    uint32_t b = stats_target_slot(stats, text("a"), text("bc"), text("d"));
    uint32_t c = stats_target_slot(stats, text("ab"), STR_NONE, text("cd"));
    assert_true(a != b && b != c && a != c);
    stat_add(&stats_target(stats, 0, c)->retries, 1);
    assert_string_equal(walk(stats).last_target, "ab//cd");
    stats_free(&stats);
}

static void test_at_most_64_targets_of_a_service(void **state)
{
    (void)state;
    struct stats *stats = stats_new(1);
    uint32_t slots[80];
    for (unsigned i = 0; i < 80; i++) {
        char name[16];
        snprintf(name, sizeof(name), "t%u", i);
        slots[i] = stats_target_slot(stats, text("s"), text("r"), text(name));
        stat_add(&stats_target(stats, 0, slots[i])->codes[0], 1);
        for (unsigned j = 0; j < i && j < 64; j++)
            assert_int_not_equal(slots[i], slots[j]);
    }
    assert_int_equal(slots[64], slots[79]);
    assert_int_equal(stats_target_slot(stats, text("s"), text("r"), text("t0")), slots[0]);
    struct found found = walk(stats);
    assert_int_equal(found.targets, 65);
    assert_int_equal(found.others, 1);
    assert_int_equal(found.target.codes[0], 16);
    assert_int_not_equal(stats_target_slot(stats, text("s2"), text("r"), text("t70")), slots[79]);
    stats_free(&stats);
}

/* A service that exchanges all its targets has room for the new ones: only what the sweep asks for
 * counts. */
static void test_a_sweep_frees_the_room_of_targets(void **state)
{
    (void)state;
    struct stats *stats = stats_new(1);
    for (unsigned round = 0; round < 3; round++) {
        stats_sweep_begin(stats);
        for (unsigned i = 0; i < 64; i++) {
            char name[24];
            snprintf(name, sizeof(name), "%u-%u", round, i);
            uint32_t slot = stats_target_slot(stats, text("s"), STR_NONE, text(name));
            stat_add(&stats_target(stats, 0, slot)->codes[0], 1);
        }
        stats_sweep_end(stats);
        struct found found = walk(stats);
        assert_int_equal(found.targets, 64);
        assert_int_equal(found.others, 0);
    }
    stats_free(&stats);
}

static void sweep(struct stats *stats, const char *keep)
{
    stats_sweep_begin(stats);
    if (keep)
        stats_route_slot(stats, text(keep));
    stats_sweep_end(stats);
}

static void test_a_sweep_retires_series(void **state)
{
    (void)state;
    struct stats *stats = stats_new(2);
    uint32_t old = stats_route_slot(stats, text("old"));
    uint32_t kept = stats_route_slot(stats, text("kept"));
    stat_add(&stats_route(stats, 0, old)->bytes_in, 5);
    stat_add(&stats_route(stats, 0, kept)->bytes_in, 7);
    sweep(stats, "kept");
    struct found found = walk(stats);
    assert_int_equal(found.routes, 1);
    assert_string_equal(found.last_route, "kept");
    assert_int_equal(found.route.bytes_in, 7);
    assert_int_equal(stats_route_slot(stats, text("kept")), kept);
    stats_free(&stats);
}

/* A block that gets a new name starts at zero there, whatever a late request of the old name still
 * writes. */
static void test_a_reused_slot_starts_at_zero(void **state)
{
    (void)state;
    struct stats *stats = stats_new(2);
    uint32_t old = stats_route_slot(stats, text("old"));
    stat_add(&stats_route(stats, 0, old)->bytes_in, 5);
    stat_gauge(&stats_route(stats, 1, old)->in_flight, 1);
    sweep(stats, NULL);
    assert_int_not_equal(stats_route_slot(stats, text("fresh")), old);
    sweep(stats, "fresh");
    stat_add(&stats_route(stats, 0, old)->bytes_in, 10);
    sweep(stats, "fresh");
    assert_int_equal(stats_route_slot(stats, text("new")), old);
    assert_int_equal(walk(stats).routes, 1);
    stat_add(&stats_route(stats, 0, old)->bytes_in, 1);
    struct found found = walk(stats);
    assert_string_equal(found.last_route, "new");
    assert_int_equal(found.route.bytes_in, 1);
    assert_int_equal(found.route.in_flight, 1);
    stat_gauge(&stats_route(stats, 1, old)->in_flight, -1);
    assert_int_equal(walk(stats).route.in_flight, 0);
    stats_free(&stats);
}

static void test_many_routes_and_no_slot(void **state)
{
    (void)state;
    struct stats *stats = stats_new(1);
    for (unsigned i = 0; i < 100000; i++) {
        char name[16];
        snprintf(name, sizeof(name), "r%u", i);
        assert_int_equal(stats_route_slot(stats, text(name)), i);
    }
    assert_int_equal(stats_route_slot(stats, text("r77777")), 77777);
    assert_int_equal(walk(stats).routes, 0);
    stat_add(&stats_route(stats, 0, 99999)->bytes_out, 3);
    stat_add(&stats_route(stats, 0, UINT32_MAX)->bytes_out, 3);
    struct found found = walk(stats);
    assert_int_equal(found.routes, 1);
    assert_string_equal(found.last_route, "r99999");
    stats_free(&stats);
}

enum { WRITERS = 4, ROUNDS = 20000, ROUTES = 50 };

struct writer {
    struct stats *stats;
    unsigned worker;
};

static void *count(void *owner)
{
    struct writer *writer = owner;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct stat_route *block = stats_route(writer->stats, writer->worker, i % ROUTES);
        stat_add(&block->codes[0], 1);
        stat_observe(&block->duration, i);
    }
    return NULL;
}

static void add_codes(void *owner, struct str route, const struct stat_route *sum)
{
    (void)route;
    *(uint64_t *)owner += sum->codes[0];
}

static uint64_t sum_codes(const struct stats *stats)
{
    uint64_t sum = 0;
    stats_walk(stats, &(struct stats_walk){.owner = &sum, .on_route = add_codes});
    return sum;
}

static void test_scrapes_while_workers_write(void **state)
{
    (void)state;
    struct stats *stats = stats_new(WRITERS);
    pthread_t threads[WRITERS];
    struct writer writers[WRITERS];
    for (unsigned i = 0; i < ROUTES; i++) {
        char name[16];
        snprintf(name, sizeof(name), "r%u", i);
        stats_route_slot(stats, text(name));
    }
    for (unsigned i = 0; i < WRITERS; i++) {
        writers[i] = (struct writer){stats, i};
        assert_int_equal(pthread_create(&threads[i], NULL, count, &writers[i]), 0);
    }
    uint64_t last = 0;
    for (unsigned i = 0; i < 200; i++) {
        uint64_t sum = sum_codes(stats);
        assert_true(sum >= last);
        last = sum;
    }
    for (unsigned i = 0; i < WRITERS; i++)
        pthread_join(threads[i], NULL);
    assert_int_equal(sum_codes(stats), WRITERS * ROUNDS);
    stats_free(&stats);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_histogram),
        cmocka_unit_test(test_sums_over_workers),
        cmocka_unit_test(test_releases),
        cmocka_unit_test(test_groups_of_clients),
        cmocka_unit_test(test_labels_do_not_run_together),
        cmocka_unit_test(test_at_most_64_targets_of_a_service),
        cmocka_unit_test(test_a_sweep_frees_the_room_of_targets),
        cmocka_unit_test(test_a_sweep_retires_series),
        cmocka_unit_test(test_a_reused_slot_starts_at_zero),
        cmocka_unit_test(test_many_routes_and_no_slot),
        cmocka_unit_test(test_scrapes_while_workers_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
