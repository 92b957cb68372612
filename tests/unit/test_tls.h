/* SPDX-License-Identifier: Apache-2.0
 *
 * For tests of TLS: certificates as a test wants them, written to files of a folder that goes with
 * the test.
 */
#ifndef TEST_TLS_H
#define TEST_TLS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "config/conf_tls.h"
#include "tls/certificate.h"
#include "test_tls_make.h"

struct tls_bench {
    struct arena arena;
    struct diag diag;
    char folder[64];
};

static inline int bench_open(void **state)
{
    struct tls_bench *bench = test_calloc(1, sizeof(*bench));

    arena_init(&bench->arena, NULL, 0);
    diag_init(&bench->diag, &bench->arena);
    strcpy(bench->folder, P_tmpdir "/sluice-tls-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    *state = bench;
    return 0;
}

static inline int bench_close(void **state)
{
    struct tls_bench *bench = *state;
    char command[128];

    snprintf(command, sizeof(command), "rm -r %s", bench->folder);
    assert_int_equal(system(command), 0);
    arena_reset(&bench->arena);
    test_free(bench);
    return 0;
}

#define BENCH(test) cmocka_unit_test_setup_teardown(test, bench_open, bench_close)

static inline struct str path_of(struct tls_bench *bench, const char *name)
{
    return arena_format(&bench->arena, "%s/%s", bench->folder, name);
}

static inline struct str write_text(struct tls_bench *bench, const char *name, const char *text)
{
    struct str path = path_of(bench, name);
    FILE *file = fopen(path.p, "wb");

    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    fclose(file);
    return path;
}

/* In PEM, in the bench's arena. */
static inline struct str text_of(struct tls_bench *bench, BIO *bio)
{
    char *p;
    long len = BIO_get_mem_data(bio, &p);
    struct str text = arena_copy(&bench->arena, (struct str){p, (size_t)len});

    BIO_free(bio);
    return text;
}

static inline struct str leaf_text(struct tls_bench *bench, const struct pair *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_X509(bio, pair->leaf), 1);
    return text_of(bench, bio);
}

static inline struct str key_text(struct tls_bench *bench, const struct pair *pair)
{
    BIO *bio = BIO_new(BIO_s_mem());

    assert_int_equal(PEM_write_bio_PrivateKey(bio, pair->key, NULL, NULL, 0, NULL, NULL), 1);
    return text_of(bench, bio);
}

/* A pair of files as a listener's `certificates` names it. */
static inline struct conf_certificate put_pair(struct tls_bench *bench, const char *stem,
                                               const struct wish *wish)
{
    struct pair pair = make(wish);
    struct conf_certificate conf = {0};
    char name[64];

    snprintf(name, sizeof(name), "%s.pem", stem);
    conf.cert.s = write_text(bench, name, leaf_text(bench, &pair).p);
    snprintf(name, sizeof(name), "%s.key", stem);
    conf.key.s = write_text(bench, name, key_text(bench, &pair).p);
    drop(&pair);
    return conf;
}

#endif
