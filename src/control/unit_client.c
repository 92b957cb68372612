/* SPDX-License-Identifier: Apache-2.0 */
#include "control/unit_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "control/say.h"
#include "process/unit_link.h"

enum { READS_A_TURN = 32 };

struct unit_client_call {
    struct unit_client_call *next;
    struct unit_client *client;
    struct unit_ask ask;
    enum status refusal; /* OK: it is for the supervisor */
    char error[UNIT_REASON_SIZE];
    bool is_sent;
    unit_client_done *done;
    void *owner;
};

struct unit_client {
    uv_poll_t poll;
    uv_timer_t settle; /* answers what is refused here */
    int fd;
    bool is_lost; /* the supervisor is gone */
    int events;
    unsigned closing;
    uint64_t number;
    struct unit_client_call *calls; /* oldest first */
    struct unit_client_watch *watches;
    struct unit_message message;
};

static void on_poll(uv_poll_t *poll, int status, int events);
static void on_settle(uv_timer_t *timer);

/* ---- the row of calls */

static void take_out(struct unit_client_call *call)
{
    struct unit_client_call **link = &call->client->calls;

    while (*link != call)
        link = &(*link)->next;
    *link = call->next;
}

static void answer(struct unit_client_call *call, const struct unit_message *message)
{
    take_out(call);
    call->done(call->owner, message);
    free(call);
}

static void settle_soon(struct unit_client *client)
{
    uv_timer_start(&client->settle, on_settle, 0, 0);
}

/* The supervisor is gone, as before it ends us or replaces itself and us, or talks nonsense: what
 * waits is refused. */
static void lose(struct unit_client *client, enum status why)
{
    if (why != E_CLOSED)
        say_line("the supervisor cannot be asked for apps: the link is broken");
    uv_poll_stop(
        &client->poll); // the descriptor stays: the watch of another would go with this one
    client->is_lost = true;
    settle_soon(client);
}

static void watch_for(struct unit_client *client, int events)
{
    if (client->is_lost || client->events == events)
        return;
    client->events = events;
    uv_poll_start(&client->poll, events, on_poll);
}

static void send_waiting(struct unit_client *client)
{
    int events = UV_READABLE;

    for (struct unit_client_call *call = client->calls; call && !client->is_lost;
         call = call->next) {
        enum status status;

        if (call->is_sent || call->refusal)
            continue;
        status = unit_link_ask(client->fd, &call->ask);
        if (status == E_AGAIN) {
            events |= UV_WRITABLE;
            break;
        }
        call->is_sent = !status;
        if (status == E_INVALID) {
            call->refusal = status;
            snprintf(call->error, sizeof(call->error), "the supervisor would not understand it");
            settle_soon(client);
        } else if (status) {
            lose(client, status);
        }
    }
    watch_for(client, events);
}

/* Each may end others, so the row is begun anew. */
static void on_settle(uv_timer_t *timer)
{
    struct unit_client *client = timer->data;
    struct unit_client_call *call = client->calls;

    while (call) {
        if (!call->refusal && !client->is_lost) {
            call = call->next;
            continue;
        }
        client->message.head =
            (struct unit_head){.magic = UNIT_MAGIC,
                               .status = call->refusal ? call->refusal : E_CLOSED};
        snprintf(client->message.head.error, sizeof(client->message.head.error), "%s",
                 call->refusal ? call->error : "the supervisor is gone");
        answer(call, &client->message);
        call = client->calls;
    }
    for (struct unit_client_watch *watch = client->watches, *next; watch && client->is_lost;
         watch = next) {
        next = watch->next;
        watch->on_lost(watch->owner);
    }
}

/* ---- what comes in */

static void tell(struct unit_client *client, const struct unit_view *view)
{
    struct unit_client_watch *next;

    for (struct unit_client_watch *watch = client->watches; watch; watch = next) {
        next = watch->next;
        watch->on_view(watch->owner, view);
    }
}

static void on_message(struct unit_client *client)
{
    const struct unit_message *message = &client->message;

    if (!message->head.number) {
        tell(client, &message->views[0]);
        return;
    }
    for (struct unit_client_call *call = client->calls; call; call = call->next) {
        if (call->is_sent && call->ask.number == message->head.number) {
            answer(call, message);
            return;
        }
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct unit_client *client = poll->data;
    enum status got = OK;

    if (status < 0) {
        lose(client, E_IO);
        return;
    }
    for (unsigned i = 0; i < READS_A_TURN && events & UV_READABLE && !client->is_lost; i++) {
        got = unit_link_read(client->fd, &client->message);
        if (got)
            break;
        on_message(client);
    }
    if (got == E_CLOSED || got == E_PROTOCOL)
        lose(client, got);
    else
        send_waiting(client);
}

/* ---- for the provider */

static struct unit_client_call *add(struct unit_client *client, unit_client_done *done, void *owner)
{
    struct unit_client_call *call = calloc(1, sizeof(*call)), **last = &client->calls;

    if (!call)
        return NULL;
    call->client = client;
    call->done = done;
    call->owner = owner;
    while (*last)
        last = &(*last)->next;
    *last = call;
    return call;
}

struct unit_client_call *unit_client_send(struct unit_client *client, const struct unit_ask *ask,
                                          unit_client_done *done, void *owner)
{
    struct unit_client_call *call = add(client, done, owner);

    if (!call)
        return NULL;
    call->ask = *ask;
    call->ask.magic = UNIT_MAGIC;
    call->ask.number = ++client->number;
    if (client->is_lost)
        settle_soon(client);
    else
        send_waiting(client);
    return call;
}

struct unit_client_call *unit_client_refuse(struct unit_client *client, enum status status,
                                            const char *error, unit_client_done *done, void *owner)
{
    struct unit_client_call *call = add(client, done, owner);

    if (!call)
        return NULL;
    call->refusal = status;
    snprintf(call->error, sizeof(call->error), "%s", error);
    settle_soon(client);
    return call;
}

void unit_client_cancel(struct unit_client_call **call)
{
    if (*call) {
        take_out(*call);
        free(*call);
    }
    *call = NULL;
}

void unit_client_watch(struct unit_client *client, struct unit_client_watch *watch)
{
    watch->next = client->watches;
    client->watches = watch;
}

void unit_client_unwatch(struct unit_client *client, struct unit_client_watch *watch)
{
    struct unit_client_watch **link = &client->watches;

    while (*link && *link != watch)
        link = &(*link)->next;
    if (*link)
        *link = watch->next;
}

/* ---- life */

struct unit_client *unit_client_new(uv_loop_t *loop, int fd)
{
    struct unit_client *client = calloc(1, sizeof(*client));

    if (!client || uv_poll_init(loop, &client->poll, fd)) {
        free(client);
        if (fd >= 0)
            close(fd);
        return NULL;
    }
    uv_timer_init(loop, &client->settle);
    client->fd = fd;
    client->poll.data = client->settle.data = client;
    watch_for(client, UV_READABLE);
    return client;
}

static void on_close(uv_handle_t *handle)
{
    struct unit_client *client = handle->data;

    if (!--client->closing)
        free(client);
}

void unit_client_close(struct unit_client **client)
{
    struct unit_client *gone = *client;

    *client = NULL;
    if (!gone)
        return;
    gone->closing = 2;
    uv_close((uv_handle_t *)&gone->poll, on_close);
    uv_close((uv_handle_t *)&gone->settle, on_close);
    close(gone->fd);
}
