/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of snapshot.c: what is built from a configuration and what the API changed; and the swap,
 * with a loop in each of several threads that adopt and pin snapshots while new ones are published.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"
#include "edge/snapshot.h"

enum { WORKERS = 3, SNAPSHOTS = 500, LIVE_MAX = 8, PINS = 8 };

static void wake(void *owner, unsigned worker)
{
    (void)owner;
    (void)worker;
}

static const char *no_env(void *owner, const char *name)
{
    (void)owner;
    (void)name;
    return NULL;
}

static struct rules *make_rules(const char *yaml)
{
    const struct conf_world world = {.env = no_env, .filters = filter_registry};
    struct arena arena;
    struct diag diag;
    const struct conf *conf;
    struct rules *rules;

    arena_init(&arena, NULL, 0);
    diag_init(&diag, &arena);
    conf = conf_parse((struct str){yaml, strlen(yaml)}, "test", &world, &arena, &diag);
    if (!conf)
        print_error("%.*s", STR_FMT(diag_report(&diag)));
    assert_non_null(conf);
    rules = rules_new(conf, NULL, &arena, &diag);
    assert_non_null(rules);
    return rules;
}

static const char yaml[] =
    "filters: [{rate_limit: off}, {shield: off}, {headers: {request: {set: {x-a: b}}}}]\n"
    "routes:\n"
    "  - {name: api, paths: [\"/api/*\"], service: b}\n"
    "  - {paths: [\"/old\"], redirect: {to: \"/new\"}}\n"
    "  - {paths: [\"/off\"], service: a, filters: [{headers: off}]}\n"
    "  - {paths: [\"/text\"], respond: {status: 200, body: hi}}\n"
    "  - {service: a}\n"
    "services:\n"
    "  a: {targets: [\"127.0.0.1:1\", \"127.0.0.1:2\"]}\n"
    "  b: {targets: [{id: x, address: \"127.0.0.1:3\", weight: 7}],"
    " limits: {concurrency: 5}}\n";

struct bench {
    struct arena arena;
    struct diag diag;
    struct snapshot_build build;
};

static int make_bench(void **state)
{
    struct bench *bench = calloc(1, sizeof(*bench));

    *state = bench;
    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    bench->build = (struct snapshot_build){.rules = make_rules(yaml),
                                           .registry = registry_new(WORKERS, wake, NULL),
                                           .generation = 1,
                                           .workers = WORKERS};
    return bench->build.registry ? 0 : -1;
}

static int remove_bench(void **state)
{
    struct bench *bench = *state;

    rules_unref(&bench->build.rules);
    registry_free(&bench->build.registry);
    arena_reset(&bench->arena);
    free(bench);
    return 0;
}

static struct snapshot *build(struct bench *bench)
{
    struct snapshot *snapshot = snapshot_build(&bench->build, &bench->diag);

    assert_non_null(snapshot);
    assert_int_equal(bench->diag.count, 0);
    return snapshot;
}

static void assert_str(struct str have, const char *want)
{
    assert_int_equal(have.len, strlen(want));
    assert_memory_equal(have.p, want, have.len);
}

static void test_rules(void **state)
{
    struct bench *bench = *state;
    const struct rules *rules = bench->build.rules;
    static const char *const labels[] = {"api", "redirect", "a", "respond", "a"};
    static const int services[] = {1, -1, 0, -1, 0};

    assert_int_equal(rules->conf->route_count, ARRAY_LEN(labels));
    for (unsigned i = 0; i < ARRAY_LEN(labels); i++) {
        assert_str(rules->list[i].label, labels[i]);
        assert_int_equal(rules->list[i].service, services[i]);
        assert_int_equal(rules->list[i].chain->count, i == 2 ? 0 : 1);
    }
}

static void test_services(void **state)
{
    struct bench *bench = *state;
    struct snapshot *snapshot = build(bench);
    const struct release *a = snapshot->services[0].releases, *b = snapshot->services[1].releases;

    assert_int_equal(snapshot->service_count, 2);
    assert_int_equal(a->count, 2);
    assert_ptr_equal(a->gate, registry_gate(bench->build.registry, STR("a"), STR("stable")));
    assert_true(!a->service->has_caps && b->service->has_caps);
    assert_str(a->targets[1].endpoint->id, "127.0.0.1:2");
    assert_int_equal(a->targets[1].endpoint->address_count, 1);
    assert_int_equal(b->count, 1);
    assert_str(b->targets[0].endpoint->id, "x");
    assert_int_equal(b->targets[0].weight, 7);
    assert_int_equal(b->targets[0].endpoint->cap, 0); // until it is known to be published
    snapshot_commit(snapshot, bench->build.registry);
    assert_int_equal(b->targets[0].endpoint->cap, 5);
    assert_ptr_equal(b->gate, registry_gate(bench->build.registry, STR("b"), STR("stable")));
    for (unsigned i = 0; i < WORKERS; i++) {
        assert_int_equal((uintptr_t)b->locals[i].targets % 64, 0);
        assert_int_equal(b->locals[i].targets[0].weight, 7);
        assert_int_equal(a->locals[i].targets[0].id_hash, a->locals[0].targets[0].id_hash);
        assert_ptr_not_equal(a->locals[i].targets, a->locals[(i + 1) % WORKERS].targets);
    }
    snapshot_free(&snapshot);
    assert_null(snapshot);
}

/* A build that comes to nothing leaves what runs as it is: its endpoints are found again. */
static void test_only_a_commit_forgets(void **state)
{
    struct bench *bench = *state;
    struct rules *all = bench->build.rules;
    struct snapshot *served = build(bench), *dropped, *again;
    struct endpoint *endpoint = served->services[0].releases->targets[1].endpoint;

    snapshot_commit(served, bench->build.registry);
    bench->build.rules = make_rules("services: {b: {targets: [\"127.0.0.1:9\"]}}\n");
    dropped = build(bench);
    snapshot_free(&dropped);
    rules_unref(&bench->build.rules);
    bench->build.rules = all;
    again = build(bench);
    assert_ptr_equal(again->services[0].releases->targets[1].endpoint, endpoint);
    snapshot_commit(again, bench->build.registry);
    snapshot_free(&served);
    snapshot_free(&again);
}

/* A worker that changes over keeps the loads that its endpoints have. */
static void test_loads_go_over(void **state)
{
    struct bench *bench = *state;
    struct snapshot *old = build(bench), *new = build(bench);
    struct endpoint *endpoint = old->services[0].releases->targets[1].endpoint;
    struct endpoint *other = endpoint_new(STR("a"), STR("other"), STR("other"), WORKERS);
    struct balancer_target *target = snapshot_find(new, endpoint, 1);

    assert_ptr_equal(target, &new->services[0].releases->locals[1].targets[1]);
    assert_null(snapshot_find(new, other, 1));
    endpoint->locals[1].in_flight = 3;
    snapshot_begin(new, 1, 1);
    assert_int_equal(target->load, 3);
    assert_int_equal(snapshot_find(new, endpoint, 0)->load, 0);
    assert_int_equal(new->services[0].releases->locals[1].targets[0].load, 0);
    endpoint_unref(&other);
    snapshot_free(&old);
    snapshot_free(&new);
}

/* --- what the API changed */

struct change {
    struct snapshot_wish wish;
};

static void added(void *owner, struct str service, void *to,
                  void (*add)(void *to, const struct snapshot_wish *wish))
{
    const struct change *change = owner;

    if (service.p[0] == 'b')
        add(to, &change->wish);
}

static bool is_removed(void *owner, struct str service, struct str id)
{
    (void)owner;
    return service.p[0] == 'a' && id.p[id.len - 1] == '1';
}

static bool is_drained(void *owner, struct str service, struct str id)
{
    (void)owner;
    return service.p[0] == 'b' && id.p[0] == 'x';
}

static void test_overlay(void **state)
{
    struct bench *bench = *state;
    struct change change = {.wish = {.source = TARGET_API,
                                     .target = {.id.s = STR("new"),
                                                .address = {.text.s = STR("127.0.0.1:9"),
                                                            .host = STR("127.0.0.1"),
                                                            .port = 9},
                                                .weight = 2}}};
    const struct snapshot_overlay overlay = {.owner = &change,
                                             .added = added,
                                             .is_removed = is_removed,
                                             .is_drained = is_drained};
    struct snapshot *plain = build(bench), *changed;
    const struct release *a, *b;

    bench->build.overlay = &overlay;
    changed = build(bench);
    a = changed->services[0].releases;
    b = changed->services[1].releases;
    assert_int_equal(a->count, 1);
    assert_ptr_equal(a->targets[0].endpoint, plain->services[0].releases->targets[1].endpoint);
    assert_int_equal(b->count, 2);
    assert_true(b->targets[0].is_drained && b->targets[0].source == TARGET_FILE);
    assert_true(b->targets[1].source == TARGET_API && !b->targets[1].is_drained);
    assert_true(b->locals[0].targets[0].is_out);
    assert_false(b->locals[0].targets[1].is_out);
    snapshot_commit(changed, bench->build.registry);
    assert_int_equal(plain->services[0].releases->targets[0].endpoint->refs,
                     1); /* forgotten, but held */
    snapshot_free(&plain);
    snapshot_free(&changed);
}

/* --- releases */

static const char released[] = "services:\n"
                               "  shop:\n"
                               "    releases:\n"
                               "      canary: {targets: [\"127.0.0.1:1\"]}\n"
                               "      stable: {targets: [\"127.0.0.1:2\", \"127.0.0.1:3\"]}\n"
                               "    split: {stable: 95, canary: 5}\n";

struct said_share {
    struct str release;
    uint32_t share;
};

struct said {
    struct str stable;
    const struct said_share *shares;
    unsigned count;
    struct snapshot_wish wish;
};

static void said_added(void *owner, struct str service, void *to,
                       void (*add)(void *to, const struct snapshot_wish *wish))
{
    const struct said *said = owner;

    (void)service;
    if (said->wish.target.id.s.len)
        add(to, &said->wish);
}

static bool said_nothing(void *owner, struct str service, struct str id)
{
    (void)owner;
    (void)service;
    (void)id;
    return false;
}

static bool said_split(void *owner, struct str service, void *to,
                       void (*add)(void *to, struct str release, uint32_t share))
{
    const struct said *said = owner;

    (void)service;
    for (unsigned i = 0; i < said->count; i++)
        add(to, said->shares[i].release, said->shares[i].share);
    return said->count > 0;
}

static struct str said_stable(void *owner, struct str service)
{
    (void)service;
    return ((const struct said *)owner)->stable;
}

static struct snapshot *build_released(struct bench *bench, struct said *said)
{
    struct snapshot_overlay overlay = {.owner = said,
                                       .added = said_added,
                                       .is_removed = said_nothing,
                                       .is_drained = said_nothing,
                                       .split = said_split,
                                       .stable = said_stable};
    struct snapshot *snapshot;

    rules_unref(&bench->build.rules);
    bench->build.rules = make_rules(released);
    bench->build.overlay = &overlay;
    snapshot = build(bench);
    bench->build.overlay = NULL;
    return snapshot;
}

/* "id=share*targets " of each, the stable one first. */
static void expect_releases(struct bench *bench, struct said *said, const char *expected)
{
    struct snapshot *snapshot = build_released(bench, said);
    const struct service *service = &snapshot->services[0];
    char text[256] = "";

    for (uint32_t i = 0; i < service->release_count; i++) {
        const struct release *release = &service->releases[i];
        size_t len = strlen(text);

        snprintf(text + len, sizeof(text) - len, "%.*s=%u*%u ", STR_FMT(release->id),
                 release->share, release->count);
    }
    assert_string_equal(text, expected);
    snapshot_free(&snapshot);
}

static void test_releases(void **state)
{
    static const struct said_share shares[] = {{STR_INIT("canary"), 50}, {STR_INIT("42"), 50}};
    static const struct said_share gone[] = {{STR_INIT("41"), 100}};
    struct bench *bench = *state;
    struct said said = {.stable = STR("")};

    expect_releases(bench, &said, "stable=95*2 canary=5*1 ");
    said.stable = STR("canary");
    expect_releases(bench, &said, "canary=5*1 stable=95*2 ");
    said.stable = STR("40"); /* is no longer there */
    expect_releases(bench, &said, "stable=95*2 canary=5*1 ");
    said.wish = (struct snapshot_wish){
        .source = TARGET_API,
        .target = {.id.s = STR("new"),
                   .release = STR("42"),
                   .address = {.text.s = STR("127.0.0.1:9"), .host = STR("127.0.0.1"), .port = 9},
                   .weight = 1}};
    expect_releases(bench, &said, "stable=95*2 canary=5*1 42=0*1 ");
    said.shares = shares;
    said.count = 2;
    expect_releases(bench, &said, "stable=0*2 canary=50*1 42=50*1 ");
    said.shares = gone; /* of nobody who is there: as the file says */
    said.count = 1;
    expect_releases(bench, &said, "stable=95*2 canary=5*1 42=0*1 ");
}

static void test_roles(void **state)
{
    struct bench *bench = *state;
    struct said said = {.stable = STR("canary")};
    struct snapshot *snapshot = build_released(bench, &said);
    const struct service *service = &snapshot->services[0];

    assert_ptr_equal(service_named(service, STR("canary")), &service->releases[0]);
    assert_ptr_equal(service_named(service, STR("stable")), &service->releases[1]);
    assert_null(service_named(service, STR("other")));
    assert_true(service->is_split && service->has_releases && !service->has_wishes);
    snapshot_free(&snapshot);
}

static void test_snapshot_holds_its_rules(void **state)
{
    struct bench *bench = *state;
    struct snapshot *snapshot;

    rules_unref(&bench->build.rules);
    bench->build.rules = make_rules("services: {a: {targets: [\"127.0.0.1:1\"]}}\n");
    snapshot = build(bench);
    assert_int_equal(snapshot->rules->conf->route_count, 1);
    assert_int_equal(snapshot->rules->list[0].service, 0);
    rules_unref(&bench->build.rules); /* the snapshot has a reference of its own */
    assert_str(snapshot->services[0].conf->name.s, "a");
    snapshot_free(&snapshot);
}

/* --- the swap */

enum order { ORDER_ADOPT, ORDER_STOP };

struct order_letter {
    struct letter letter;
    struct snapshot *snapshot;
};

struct worker {
    uv_loop_t loop;
    struct mailbox mailbox;
    pthread_t thread;
    unsigned index;
    struct snapshot *current, *pinned[PINS];
    uint64_t seed;
};

struct press {
    uv_loop_t loop;
    struct mailbox home;
    struct bench *bench;
    struct worker workers[WORKERS];
    struct order_letter orders[SNAPSHOTS + 1][WORKERS];
    unsigned published, adopted, gone, adopted_by_generation[SNAPSHOTS];
    unsigned gone_by_generation[SNAPSHOTS];
};

/* What an exchange does with the snapshot it began with. */
static void use(const struct snapshot *snapshot, unsigned worker)
{
    const struct release *release = snapshot->services[worker % snapshot->service_count].releases;

    release->locals[worker].targets[0].load++;
    release->targets[0].endpoint->locals[worker].in_flight++;
    if (!release->targets[0].endpoint->id.len || !snapshot->rules->list[0].chain)
        abort();
}

/* Exchanges begin and end at random. */
static void use_pins(struct worker *worker)
{
    for (unsigned i = 0; i < 2 * PINS; i++) {
        struct snapshot **pin = &worker->pinned[random_below(&worker->seed, PINS)];

        if (*pin) {
            use(*pin, worker->index);
            snapshot_unpin(*pin, worker->index);
            *pin = NULL;
        } else {
            *pin = worker->current;
            snapshot_pin(*pin, worker->index);
        }
    }
}

static void adopt(struct worker *worker, struct snapshot *snapshot)
{
    struct snapshot *old = worker->current;

    worker->current = snapshot;
    snapshot_pin(snapshot, worker->index);
    snapshot_begin(snapshot, worker->index, 1);
    if (old)
        snapshot_unpin(old, worker->index);
    if (__atomic_add_fetch(&snapshot->adopted, 1, __ATOMIC_ACQ_REL) == snapshot->workers)
        mailbox_post(snapshot->home, &snapshot->adopted_letter);
    use_pins(worker);
}

static void stop(struct worker *worker)
{
    for (unsigned i = 0; i < PINS; i++)
        if (worker->pinned[i])
            snapshot_unpin(worker->pinned[i], worker->index);
    snapshot_unpin(worker->current, worker->index);
    mailbox_close(&worker->mailbox);
}

static void read_order(void *owner, struct letter *letter)
{
    if (letter->kind == ORDER_STOP)
        stop(owner);
    else
        adopt(owner, CONTAINER_OF(letter, struct order_letter, letter)->snapshot);
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;

    uv_run(&worker->loop, UV_RUN_DEFAULT);
    return NULL;
}

static void give_order(struct press *press, enum order order, struct snapshot *snapshot)
{
    struct order_letter *orders = press->orders[press->published];

    for (unsigned i = 0; i < WORKERS; i++) {
        orders[i] = (struct order_letter){{.kind = (int)order}, snapshot};
        mailbox_post(&press->workers[i].mailbox, &orders[i].letter);
    }
}

static void publish(struct press *press)
{
    while (press->published < SNAPSHOTS && press->published - press->adopted < LIVE_MAX) {
        press->bench->build.generation = press->published;
        give_order(press, ORDER_ADOPT, build(press->bench));
        press->published++;
    }
}

static void read_news(void *owner, struct letter *letter)
{
    struct press *press = owner;
    struct snapshot *gone;

    if (letter->kind == SNAPSHOT_ADOPTED) {
        gone = CONTAINER_OF(letter, struct snapshot, adopted_letter);
        press->adopted_by_generation[gone->generation]++;
        if (++press->adopted == SNAPSHOTS)
            give_order(press, ORDER_STOP, NULL);
        publish(press);
        return;
    }
    assert_int_equal(letter->kind, SNAPSHOT_GONE);
    gone = CONTAINER_OF(letter, struct snapshot, gone_letter);
    press->gone_by_generation[gone->generation]++;
    snapshot_free(&gone);
    if (++press->gone == SNAPSHOTS)
        mailbox_close(&press->home);
}

static void open_mailbox(struct mailbox *mailbox, uv_loop_t *loop, void *owner,
                         void (*read)(void *owner, struct letter *letter))
{
    *mailbox = (struct mailbox){.read = read, .owner = owner};
    assert_int_equal(uv_loop_init(loop), 0);
    assert_int_equal(mailbox_open(mailbox, loop), OK);
}

static void start_workers(struct press *press)
{
    for (unsigned i = 0; i < WORKERS; i++) {
        struct worker *worker = &press->workers[i];

        worker->index = i;
        worker->seed = i;
        open_mailbox(&worker->mailbox, &worker->loop, worker, read_order);
        assert_int_equal(pthread_create(&worker->thread, NULL, run_worker, worker), 0);
    }
}

static void test_swap(void **state)
{
    struct bench *bench = *state;
    struct press *press = calloc(1, sizeof(*press));

    press->bench = bench;
    bench->build.home = &press->home;
    open_mailbox(&press->home, &press->loop, press, read_news);
    start_workers(press);
    publish(press);
    uv_run(&press->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&press->loop), 0);
    for (unsigned i = 0; i < WORKERS; i++) {
        pthread_join(press->workers[i].thread, NULL);
        assert_int_equal(uv_loop_close(&press->workers[i].loop), 0);
    }
    for (unsigned i = 0; i < SNAPSHOTS; i++) {
        assert_int_equal(press->adopted_by_generation[i], 1);
        assert_int_equal(press->gone_by_generation[i], 1);
    }
    assert_int_equal(bench->build.rules->refs, 1);
    free(press);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rules, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_services, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_only_a_commit_forgets, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_loads_go_over, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_overlay, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_releases, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_roles, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_snapshot_holds_its_rules, make_bench, remove_bench),
        cmocka_unit_test_setup_teardown(test_swap, make_bench, remove_bench),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
