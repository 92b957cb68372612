/* SPDX-License-Identifier: Apache-2.0
 *
 * Notes: what was written last is read, whole, while another thread writes.
 */
#include "edge/metric/note.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WRITES = 20000 };

static void write_and_read(void **state)
{
    char out[NOTE_MAX + 1], large[NOTE_MAX * 2];
    struct note note = {0};

    (void)state;
    assert_int_equal(note_read(&note, out).len, 0);
    note_write(&note, STR("a text"));
    assert_string_equal(note_read(&note, out).p, "a text");
    memset(large, 'x', sizeof(large));
    note_write(&note, (struct str){large, sizeof(large)});
    assert_int_equal(note_read(&note, out).len, NOTE_MAX);
    note_write(&note, STR_NONE);
    assert_string_equal(note_read(&note, out).p, "");
}

static void *write_many(void *pointer)
{
    struct note *note = pointer;
    char text[NOTE_MAX];

    for (unsigned i = 0; i < WRITES; i++) {
        size_t len = 1 + i % NOTE_MAX;

        memset(text, 'a' + (int)(len % 26), len);
        note_write(note, (struct str){text, len});
    }
    note_write(note, STR("end"));
    return NULL;
}

/* All of a text is of one kind, and the kind goes by its length. */
static void while_it_changes(void **state)
{
    char out[NOTE_MAX + 1];
    struct note note = {0};
    struct str text = STR("");
    pthread_t thread;

    (void)state;
    assert_int_equal(pthread_create(&thread, NULL, write_many, &note), 0);
    while (!str_same(text, STR("end"))) {
        text = note_read(&note, out);
        for (size_t i = 0; i < text.len && !str_same(text, STR("end")); i++)
            assert_int_equal(text.p[i], 'a' + (int)(text.len % 26));
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(write_and_read),
        cmocka_unit_test(while_it_changes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
