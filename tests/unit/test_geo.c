/* SPDX-License-Identifier: Apache-2.0
 *
 * Databases of addresses: what is found in good ones, that damaged ones are refused and never
 * crash, and files that change under the eyes of several readers.
 */
#include "edge/access/geo_file.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/random.h"
#include "test_mmdb.h"

const char *__lsan_default_suppressions(void);

/* The library forgets what it has read of metadata that turn out to be wrong. */
const char *__lsan_default_suppressions(void)
{
    return "leak:libmaxminddb";
}

enum { READERS = 3, REPLACEMENTS = 30, FLIPS = 3000 };

struct world {
    struct mmdb mmdb;
    char folder[64], path[96], fresh[96];
    char error[GEO_ERROR_SIZE];
};

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    strcpy(world->folder, "/tmp/sluice-geo-XXXXXX");
    assert_non_null(mkdtemp(world->folder));
    snprintf(world->path, sizeof(world->path), "%s/a.mmdb", world->folder);
    snprintf(world->fresh, sizeof(world->fresh), "%s/b.mmdb", world->folder);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;

    unlink(world->path);
    unlink(world->fresh);
    rmdir(world->folder);
    free(world);
    return 0;
}

static const uint8_t *ip_of_text(const char *text)
{
    static __thread uint8_t ip[IP_LEN];

    assert_true(ip_parse((struct str){text, strlen(text)}, ip));
    return ip;
}

static void assert_country(const struct geo_db *db, const char *ip, const char *want)
{
    char country[GEO_COUNTRY_LEN + 1] = "";

    if (!geo_db_country(db, ip_of_text(ip), country))
        strcpy(country, "-");
    assert_string_equal(country, want);
}

static void write_countries(struct world *world, const char *path, const char *first)
{
    mmdb_begin(&world->mmdb, 6);
    mmdb_insert(&world->mmdb, "192.0.2.0/24", mmdb_country(&world->mmdb, first));
    mmdb_insert(&world->mmdb, "198.51.100.7", mmdb_country(&world->mmdb, "FR"));
    mmdb_insert(&world->mmdb, "2001:db8::/32", mmdb_country(&world->mmdb, "JP"));
    mmdb_insert(&world->mmdb, "203.0.113.0/24", mmdb_country(&world->mmdb, "not one"));
    mmdb_write(&world->mmdb, path);
}

static struct geo_db *open_db(struct world *world, enum geo_kind kind)
{
    struct geo_db *db = geo_db_open(world->path, kind, world->error);

    if (!db)
        fail_msg("%s", world->error);
    return db;
}

/* --- good ones */

static void test_countries(void **state)
{
    struct world *world = *state;
    struct geo_db *db;

    write_countries(world, world->path, "DE");
    db = open_db(world, GEO_COUNTRY);
    assert_country(db, "192.0.2.0", "DE");
    assert_country(db, "192.0.2.255", "DE");
    assert_country(db, "192.0.3.0", "-");
    assert_country(db, "198.51.100.7", "FR");
    assert_country(db, "198.51.100.6", "-");
    assert_country(db, "2001:db8:1::1", "JP");
    assert_country(db, "2001:db9::1", "-");
    assert_country(db, "203.0.113.1", "-");
    geo_db_close(&db);
    assert_null(db);
}

static void test_a_database_of_ipv4_knows_no_ipv6(void **state)
{
    struct world *world = *state;
    struct geo_db *db;

    mmdb_begin(&world->mmdb, 4);
    mmdb_insert(&world->mmdb, "192.0.2.0/24", mmdb_country(&world->mmdb, "DE"));
    mmdb_write(&world->mmdb, world->path);
    db = open_db(world, GEO_COUNTRY);
    assert_country(db, "192.0.2.1", "DE");
    assert_country(db, "2001:db8::1", "-");
    geo_db_close(&db);
}

static void test_numbers_of_networks(void **state)
{
    struct world *world = *state;
    struct mmdb *mmdb = &world->mmdb;
    struct geo_db *db;
    uint32_t at;

    mmdb_begin(mmdb, 6);
    mmdb_insert(mmdb, "192.0.2.0/24", mmdb_asn(mmdb, 64496));
    mmdb_insert(mmdb, "198.51.100.0/24", mmdb_asn(mmdb, 4200000000));
    at = (uint32_t)mmdb->data_len;
    mmdb_head(mmdb, 7, 1);
    mmdb_text(mmdb, "asn");
    mmdb_text(mmdb, "AS64511");
    mmdb_insert(mmdb, "203.0.113.0/24", at);
    mmdb_write(mmdb, world->path);
    db = open_db(world, GEO_ASN);
    assert_int_equal(geo_db_asn(db, ip_of_text("192.0.2.9")), 64496);
    assert_int_equal(geo_db_asn(db, ip_of_text("198.51.100.9")), 4200000000);
    assert_int_equal(geo_db_asn(db, ip_of_text("203.0.113.9")), 64511);
    assert_int_equal(geo_db_asn(db, ip_of_text("10.0.0.1")), 0);
    geo_db_close(&db);
}

/* As real ones are written: parts that many records share stand once. */
static void test_data_behind_pointers(void **state)
{
    struct world *world = *state;
    struct mmdb *mmdb = &world->mmdb;
    struct geo_db *db;
    size_t word, inner;
    uint32_t at;

    mmdb_begin(mmdb, 6);
    word = mmdb->data_len;
    mmdb_text(mmdb, "country");
    inner = mmdb->data_len;
    mmdb_head(mmdb, 7, 2);
    mmdb_text(mmdb, "is_in_european_union");
    mmdb_head(mmdb, 14, 1);
    mmdb_text(mmdb, "iso_code");
    mmdb_text(mmdb, "AT");
    at = (uint32_t)mmdb->data_len;
    mmdb_head(mmdb, 7, 1);
    mmdb_pointer(mmdb, word);
    mmdb_pointer(mmdb, inner);
    mmdb_insert(mmdb, "192.0.2.0/24", at);
    mmdb_write(mmdb, world->path);
    db = open_db(world, GEO_COUNTRY);
    assert_country(db, "192.0.2.9", "AT");
    geo_db_close(&db);
}

/* --- those that are refused */

static void assert_refused(struct world *world, enum geo_kind kind, const char *words)
{
    world->error[0] = '\0';
    assert_null(geo_db_open(world->path, kind, world->error));
    if (!strstr(world->error, words))
        fail_msg("\"%s\" does not say \"%s\"", world->error, words);
}

static void write_bytes(const struct world *world, const void *bytes, size_t len)
{
    FILE *file = fopen(world->path, "wb");

    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static void test_what_is_no_database(void **state)
{
    struct world *world = *state;

    assert_refused(world, GEO_COUNTRY, "No such file");
    write_bytes(world, "", 0);
    assert_refused(world, GEO_COUNTRY, "it is empty");
    write_bytes(world, "hello, world", 12);
    assert_refused(world, GEO_COUNTRY, "no MaxMind DB file");
    write_bytes(world, "\xab\xcd\xefMaxMind.com", 14);
    assert_refused(world, GEO_COUNTRY, "damaged");
    write_bytes(world, "\xab\xcd\xefMaxMind.com\xe0", 15);
    assert_refused(world, GEO_COUNTRY, "damaged");
    unlink(world->path);
    assert_int_equal(symlink(world->folder, world->path), 0);
    assert_refused(world, GEO_COUNTRY, "not a file");
}

static void test_one_that_is_for_something_else(void **state)
{
    struct world *world = *state;

    write_countries(world, world->path, "DE");
    assert_refused(world, GEO_ASN, "it knows no autonomous systems");
    mmdb_begin(&world->mmdb, 6);
    mmdb_insert(&world->mmdb, "192.0.2.0/24", mmdb_asn(&world->mmdb, 64496));
    mmdb_write(&world->mmdb, world->path);
    assert_refused(world, GEO_COUNTRY, "it knows no countries");
}

/* The library would follow it down until its stack ends. */
static void test_data_that_nests_without_end(void **state)
{
    struct world *world = *state;
    struct mmdb *mmdb = &world->mmdb;

    mmdb_begin(mmdb, 4);
    mmdb_head(mmdb, 7, 2);
    mmdb_text(mmdb, "a");
    for (unsigned i = 0; i < 120000; i++)
        mmdb_head(mmdb, 11, 1);
    mmdb_text(mmdb, "");
    mmdb_text(mmdb, "country");
    mmdb_text(mmdb, "DE");
    mmdb_insert(mmdb, "192.0.2.0/24", 0);
    mmdb_write(mmdb, world->path);
    assert_refused(world, GEO_COUNTRY, "damaged");
}

static void refuse_data(struct world *world, const uint8_t *bytes, size_t len)
{
    mmdb_begin(&world->mmdb, 4);
    memcpy(world->mmdb.data, bytes, len);
    world->mmdb.data_len = len;
    mmdb_insert(&world->mmdb, "192.0.2.0/24", 0);
    mmdb_write(&world->mmdb, world->path);
    assert_refused(world, GEO_COUNTRY, "damaged");
}

static void test_data_that_is_wrong(void **state)
{
    static const struct {
        uint8_t bytes[8];
        size_t len;
    } cases[] = {
        {{0xe1}, 1},                   // a map without its entry
        {{0xe1, 0x41, 'a'}, 3},        // a key without its value
        {{0x44, 'a', 'b'}, 3},         // text that is longer than the file
        {{0x20, 0x09}, 2},             // a pointer past the end
        {{0x20, 0x02, 0x20, 0x00}, 4}, // pointers to pointers
        {{0x5d}, 1},
        {{0x5e, 0x01}, 2},                   // sizes whose bytes are missing
        {{0x5f, 0xff, 0xff, 0xff}, 4},       // 16 MiB of text
        {{0xff, 0xff, 0xff, 0xff, 0xe0}, 5}, // a map of 16 million entries
        {{0xc5, 1, 2, 3, 4, 5}, 6},          // a number of five bytes
        {{0x68}, 1},
        {{0x00, 0x05}, 2}, // a double without its bytes; an end marker
        {{0x00, 0xff}, 2}, // a type nobody knows
    };

    for (size_t i = 0; i < ARRAY_LEN(cases); i++)
        refuse_data(*state, cases[i].bytes, cases[i].len);
}

static size_t read_all(const char *path, uint8_t *bytes, size_t size)
{
    FILE *file = fopen(path, "rb");
    size_t len;

    assert_non_null(file);
    len = fread(bytes, 1, size, file);
    fclose(file);
    assert_true(len && len < size);
    return len;
}

/* Whatever comes of it, nothing crashes. */
static void try_all(struct world *world)
{
    struct geo_db *db = geo_db_open(world->path, GEO_COUNTRY, world->error);
    char country[GEO_COUNTRY_LEN];
    uint64_t random = 5;
    uint8_t ip[IP_LEN];

    for (unsigned i = 0; db && i < 50; i++) {
        for (unsigned k = 0; k < IP_LEN; k++)
            ip[k] = (uint8_t)random_below(&random, 256);
        geo_db_country(db, ip, country);
        geo_db_country(db, ip_of_text("192.0.2.1"), country);
        geo_db_asn(db, ip_of_text("2001:db8::1"));
    }
    geo_db_close(&db);
}

static void test_files_that_were_cut(void **state)
{
    struct world *world = *state;
    static uint8_t bytes[1 << 16];
    size_t len;

    write_countries(world, world->path, "DE");
    len = read_all(world->path, bytes, sizeof(bytes));
    for (size_t cut = 0; cut < len; cut += 1 + cut / 64) {
        write_bytes(world, bytes, cut);
        try_all(world);
    }
}

static void test_files_with_bits_that_fell_over(void **state)
{
    struct world *world = *state;
    static uint8_t bytes[1 << 16], bad[1 << 16];
    uint64_t random = 6;
    size_t len;

    write_countries(world, world->path, "DE");
    len = read_all(world->path, bytes, sizeof(bytes));
    for (unsigned i = 0; i < FLIPS; i++) {
        memcpy(bad, bytes, len);
        for (unsigned k = random_below(&random, 4) + 1; k; k--) {
            size_t at = random_below(&random, 2) ? len - 1 - random_below(&random, 400)
                                                 : random_below(&random, (uint32_t)len);

            bad[at] = (uint8_t)(bad[at] ^ 1 << random_below(&random, 8));
        }
        write_bytes(world, bad, len);
        try_all(world);
    }
}

/* --- files that change */

static void put_in_place(struct world *world, const char *country)
{
    write_countries(world, world->fresh, country);
    assert_int_equal(rename(world->fresh, world->path), 0);
}

static void assert_file_says(struct geo_file *file, const char *want)
{
    char country[GEO_COUNTRY_LEN + 1] = "";

    assert_true(geo_file_country(file, 0, ip_of_text("192.0.2.1"), country));
    assert_string_equal(country, want);
}

static struct geo_file *open_file(struct world *world)
{
    struct str path = {world->path, strlen(world->path)};
    struct geo_file *file = geo_file_open(path, GEO_COUNTRY, world->error);

    assert_non_null(file);
    assert_true(geo_file_is(file, path, GEO_COUNTRY));
    assert_false(geo_file_is(file, path, GEO_ASN));
    assert_false(geo_file_is(file, STR("other"), GEO_COUNTRY));
    return file;
}

static void test_a_file_is_read_again_when_it_has_changed_and_settled(void **state)
{
    struct world *world = *state;
    struct geo_file *file, *again;

    write_countries(world, world->path, "DE");
    file = again = open_file(world);
    geo_file_look(file);
    assert_file_says(file, "DE");
    put_in_place(world, "IT");
    geo_file_look(file);
    assert_file_says(file, "DE");
    geo_file_look(file);
    assert_file_says(file, "IT");
    geo_file_ref(file);
    geo_file_unref(&file);
    assert_null(file);
    assert_file_says(again, "IT");
    geo_file_unref(&again);
}

static void test_what_is_damaged_or_gone_leaves_the_one_before(void **state)
{
    struct world *world = *state;
    struct geo_file *file, *other;

    write_countries(world, world->path, "DE");
    file = other = open_file(world);
    geo_file_ref(other);
    assert_int_equal(truncate(world->path, 100), 0);
    for (unsigned i = 0; i < 4; i++)
        geo_file_look(file);
    assert_file_says(file, "DE");
    unlink(world->path);
    for (unsigned i = 0; i < 4; i++)
        geo_file_look(file);
    assert_file_says(file, "DE");
    put_in_place(world, "ES");
    geo_file_look(file);
    geo_file_look(file);
    geo_file_unref(&file);
    assert_file_says(other, "ES");
    geo_file_unref(&other);
}

struct reader {
    struct geo_file *file;
    unsigned worker;
    const bool *stop; /* atomic */
    uint64_t found;
};

static void *read_on(void *owner)
{
    struct reader *reader = owner;
    char country[GEO_COUNTRY_LEN];

    while (!__atomic_load_n(reader->stop, __ATOMIC_ACQUIRE))
        reader->found +=
            geo_file_country(reader->file, reader->worker, ip_of_text("192.0.2.1"), country);
    return NULL;
}

static void test_readers_go_on_while_it_changes(void **state)
{
    struct world *world = *state;
    struct reader readers[READERS];
    pthread_t threads[READERS];
    struct geo_file *file;
    bool stop = false;

    write_countries(world, world->path, "DE");
    file = open_file(world);
    for (unsigned i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.file = file, .worker = i, .stop = &stop};
        assert_int_equal(pthread_create(&threads[i], NULL, read_on, &readers[i]), 0);
    }
    for (unsigned i = 0; i < REPLACEMENTS; i++) {
        put_in_place(world, i % 2 ? "DE" : "PL");
        geo_file_look(file);
        geo_file_look(file);
    }
    __atomic_store_n(&stop, true, __ATOMIC_RELEASE);
    for (unsigned i = 0; i < READERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    assert_file_says(file, "DE");
    geo_file_unref(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_countries, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_database_of_ipv4_knows_no_ipv6, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_numbers_of_networks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_data_behind_pointers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_no_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_that_is_for_something_else, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_data_that_nests_without_end, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_data_that_is_wrong, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_that_were_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files_with_bits_that_fell_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_file_is_read_again_when_it_has_changed_and_settled,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_is_damaged_or_gone_leaves_the_one_before, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_readers_go_on_while_it_changes, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
