/* SPDX-License-Identifier: Apache-2.0
 *
 * Tests of mailbox.c: many threads post to one loop, each in its own order.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "edge/mailbox.h"

enum { POSTERS = 4, LETTERS = 10000 };

struct mail {
    struct letter letter;
    unsigned poster, number;
};

struct office {
    uv_loop_t loop;
    struct mailbox mailbox;
    unsigned next[POSTERS]; /* number of the next letter of each */
    unsigned delivered, woken;
};

struct poster {
    pthread_t thread;
    struct mailbox *mailbox;
    struct mail *mail;
};

static void read_mail(void *owner, struct letter *letter)
{
    struct office *office = owner;
    struct mail *mail = CONTAINER_OF(letter, struct mail, letter);

    assert_int_equal(mail->letter.kind, 7);
    assert_int_equal(mail->number, office->next[mail->poster]++);
    if (++office->delivered == POSTERS * LETTERS)
        mailbox_close(&office->mailbox);
}

static void count_wake(void *owner)
{
    ((struct office *)owner)->woken++;
}

static void open_office(struct office *office, void (*read)(void *owner, struct letter *letter),
                        void (*woken)(void *owner))
{
    *office = (struct office){.mailbox = {.read = read, .woken = woken, .owner = office}};
    assert_int_equal(uv_loop_init(&office->loop), 0);
    assert_int_equal(mailbox_open(&office->mailbox, &office->loop), OK);
}

/* Runs until the mailbox is closed. */
static void run_office(struct office *office)
{
    uv_run(&office->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&office->loop), 0);
}

static void *post_all(void *argument)
{
    struct poster *poster = argument;

    for (unsigned i = 0; i < LETTERS; i++)
        mailbox_post(poster->mailbox, &poster->mail[i].letter);
    return NULL;
}

static void test_many_posters(void **state)
{
    (void)state;
    struct office office;
    struct poster posters[POSTERS];

    open_office(&office, read_mail, count_wake);
    for (unsigned i = 0; i < POSTERS; i++) {
        posters[i].mailbox = &office.mailbox;
        posters[i].mail = calloc(LETTERS, sizeof(struct mail));
        for (unsigned k = 0; k < LETTERS; k++)
            posters[i].mail[k] = (struct mail){{.kind = 7}, i, k};
        assert_int_equal(pthread_create(&posters[i].thread, NULL, post_all, &posters[i]), 0);
    }
    run_office(&office);
    for (unsigned i = 0; i < POSTERS; i++) {
        pthread_join(posters[i].thread, NULL);
        assert_int_equal(office.next[i], LETTERS);
        free(posters[i].mail);
    }
    assert_true(office.woken > 0 && office.woken <= POSTERS * LETTERS);
}

static void close_when_woken(void *owner)
{
    struct office *office = owner;

    office->woken++;
    mailbox_close(&office->mailbox);
}

static void test_wake_without_letters(void **state)
{
    (void)state;
    struct office office;

    open_office(&office, read_mail, close_when_woken);
    mailbox_wake(&office.mailbox);
    mailbox_wake(&office.mailbox);
    run_office(&office);
    assert_int_equal(office.delivered, 0);
    assert_int_equal(office.woken, 1);
}

static void test_woken_comes_after_the_letters(void **state)
{
    (void)state;
    struct office office;
    struct mail mail[3] = {{{.kind = 7}, 0, 0}, {{.kind = 7}, 0, 1}, {{.kind = 7}, 1, 0}};

    open_office(&office, read_mail, close_when_woken);
    for (unsigned i = 0; i < 3; i++)
        mailbox_post(&office.mailbox, &mail[i].letter);
    run_office(&office);
    assert_int_equal(office.delivered, 3);
    assert_int_equal(office.woken, 1);
}

/* A letter is its owner's again once it is delivered: it may be posted from there. */
static void repost(void *owner, struct letter *letter)
{
    struct office *office = owner;

    if (++office->delivered < 100)
        mailbox_post(&office->mailbox, letter);
    else
        mailbox_close(&office->mailbox);
}

static void test_posting_while_reading(void **state)
{
    (void)state;
    struct office office;
    struct mail mail = {.number = 0};

    open_office(&office, repost, NULL);
    mailbox_post(&office.mailbox, &mail.letter);
    run_office(&office);
    assert_int_equal(office.delivered, 100);
}

static void test_undelivered_letters(void **state)
{
    (void)state;
    struct office office;
    struct mail mail = {.number = 0};

    open_office(&office, read_mail, count_wake);
    mailbox_post(&office.mailbox, &mail.letter);
    mailbox_close(&office.mailbox);
    run_office(&office);
    assert_int_equal(office.delivered + office.woken, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_posters),
        cmocka_unit_test(test_wake_without_letters),
        cmocka_unit_test(test_woken_comes_after_the_letters),
        cmocka_unit_test(test_posting_while_reading),
        cmocka_unit_test(test_undelivered_letters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
