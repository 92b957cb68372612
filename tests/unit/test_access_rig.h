/* SPDX-License-Identifier: Apache-2.0
 *
 * What the tests of access logs share: a record, and a file that it goes to.
 */
#ifndef TEST_ACCESS_RIG_H
#define TEST_ACCESS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "edge/metric/access_ring.h"

static inline struct access_record record_of(uint64_t number)
{
    return (struct access_record){.time_ms = 1795379388123,
                                  .total_us = 1234,
                                  .phase_us = {[ACCESS_ANSWER] = 1000},
                                  .bytes_out = number,
                                  .generation = 7,
                                  .status = 200,
                                  .attempts = 1,
                                  .minor = 1,
                                  .request_id = STR("id1"),
                                  .client = STR("192.0.2.1"),
                                  .method = STR("GET"),
                                  .host = STR("a.example"),
                                  .path = STR("/x"),
                                  .route = STR("api"),
                                  .service = STR("shop"),
                                  .target = STR("127.0.0.1:1")};
}

/* A path of a file that is there, as the test's state. */
static inline int make_path(void **state)
{
    char path[] = "/tmp/test_access.XXXXXX";
    int fd = mkstemp(path);

    if (fd < 0)
        return -1;
    close(fd);
    *state = strdup(path);
    return 0;
}

static inline char *temporary(void **state)
{
    return *state;
}

static inline int drop_path(void **state)
{
    unlink(*state);
    free(*state);
    return 0;
}

/* The whole file, terminated; to be freed. */
static inline char *slurp(const char *path)
{
    FILE *file = fopen(path, "r");
    char *text = NULL;
    size_t len = 0;

    assert_non_null(file);
    if (getdelim(&text, &len, '\0', file) < 0) {
        free(text);
        text = strdup("");
    }
    fclose(file);
    return text;
}

static inline unsigned count_lines(const char *text)
{
    unsigned lines = 0;

    for (; (text = strchr(text, '\n')); text++)
        lines++;
    return lines;
}

#endif
