/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/mailbox.h"

static struct letter *take_all(struct mailbox *mailbox)
{
    struct letter *first;

    pthread_mutex_lock(&mailbox->lock);
    first = mailbox->first;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    pthread_mutex_unlock(&mailbox->lock);
    return first;
}

static void on_wake(uv_async_t *async)
{
    struct mailbox *mailbox = async->data;
    struct letter *letter = take_all(mailbox);

    while (letter) {
        struct letter *next = letter->next;

        mailbox->read(mailbox->owner, letter);
        letter = next;
    }
    if (mailbox->woken)
        mailbox->woken(mailbox->owner);
}

enum status mailbox_open(struct mailbox *mailbox, uv_loop_t *loop)
{
    if (uv_async_init(loop, &mailbox->async, on_wake))
        return E_IO;
    mailbox->async.data = mailbox;
    mailbox->first = NULL;
    mailbox->last = &mailbox->first;
    pthread_mutex_init(&mailbox->lock, NULL);
    return OK;
}

static void on_close(uv_handle_t *handle)
{
    struct mailbox *mailbox = handle->data;

    pthread_mutex_destroy(&mailbox->lock);
}

void mailbox_close(struct mailbox *mailbox)
{
    uv_close((uv_handle_t *)&mailbox->async, on_close);
}

void mailbox_post(struct mailbox *mailbox, struct letter *letter)
{
    letter->next = NULL;
    pthread_mutex_lock(&mailbox->lock);
    *mailbox->last = letter;
    mailbox->last = &letter->next;
    pthread_mutex_unlock(&mailbox->lock);
    uv_async_send(&mailbox->async);
}

void mailbox_wake(struct mailbox *mailbox)
{
    uv_async_send(&mailbox->async);
}
