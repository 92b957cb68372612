/* SPDX-License-Identifier: Apache-2.0
 *
 * One libuv loop, a fixed number of places for visitors. Each comes from an address of its own in
 * 127.0.0.0/8, asks once, and is gone when it was answered, or when its time is over. Control is
 * asked now and then, on the loop, whether there is something to look at.
 */
#include "cli/demo_crowd.h"

#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "cli/client.h"
#include "cli/demo_process.h"
#include "cli/show.h"

enum {
    PLACES = 100,
    ADDRESSES = 250, /* each asks less than the limit of a hundred a minute allows */
    TURN_MS = 20,    /* from one visitor to the next */
    CALM_TURNS = 2,  /* the same while there is nothing to look at */
    ASK_TURNS = 25,  /* from one look at control to the next */
    VISIT_MS = 5000,
};

struct crowd;

struct visitor {
    uv_tcp_t tcp;
    uv_connect_t connect;
    uv_write_t write;
    struct crowd *crowd;
    uint64_t came_ms;
    bool is_here;
};

struct crowd {
    uv_loop_t loop;
    uv_timer_t timer;
    const struct demo_crowd *demo;
    struct visitor visitors[PLACES];
    uint64_t turns, came;
    bool is_wanted;
    char request[128], answer[4096];
};

/* --- one visitor */

static void on_gone(uv_handle_t *handle)
{
    ((struct visitor *)handle->data)->is_here = false;
}

static void leave(struct visitor *visitor)
{
    if (!uv_is_closing((uv_handle_t *)&visitor->tcp))
        uv_close((uv_handle_t *)&visitor->tcp, on_gone);
}

/* What is answered is of no interest. */
static void on_alloc(uv_handle_t *handle, size_t hint, uv_buf_t *buf)
{
    struct crowd *crowd = ((struct visitor *)handle->data)->crowd;

    (void)hint;
    *buf = uv_buf_init(crowd->answer, sizeof(crowd->answer));
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    (void)buf;
    if (n < 0)
        leave(stream->data);
}

static void on_written(uv_write_t *req, int status)
{
    if (status)
        leave(req->handle->data);
}

static void on_connected(uv_connect_t *req, int status)
{
    struct visitor *visitor = req->handle->data;
    uv_buf_t request =
        uv_buf_init(visitor->crowd->request, (unsigned)strlen(visitor->crowd->request));

    if (status || uv_read_start(req->handle, on_alloc, on_read) ||
        uv_write(&visitor->write, req->handle, &request, 1, on_written))
        leave(visitor);
}

static void come(struct crowd *crowd, struct visitor *visitor)
{
    struct sockaddr_in from, to;
    char address[32];

    snprintf(address, sizeof(address), "127.0.77.%u", (unsigned)(crowd->came++ % ADDRESSES) + 1);
    uv_ip4_addr(address, 0, &from);
    uv_ip4_addr("127.0.0.1", crowd->demo->port, &to);
    visitor->crowd = crowd;
    visitor->came_ms = uv_now(&crowd->loop);
    if (uv_tcp_init(&crowd->loop, &visitor->tcp))
        return;
    visitor->tcp.data = visitor;
    visitor->is_here = true;
    if (uv_tcp_bind(&visitor->tcp, (const struct sockaddr *)&from, 0) ||
        uv_tcp_connect(&visitor->connect, &visitor->tcp, (const struct sockaddr *)&to,
                       on_connected))
        leave(visitor);
}

/* --- all of them */

/* A release takes over from another. */
static bool is_wanted(const struct demo_crowd *demo)
{
    const struct client client = {.admin = demo->admin};
    struct client_answer answer;
    const json_t *deploy;
    bool is_found = false;
    size_t i;

    if (!client_try(&client, "GET", "/api/v1/deploys", NULL, &answer))
        json_array_foreach(json_object_get(answer.body, "deploys"), i, deploy) is_found |=
            !strcmp(show_text(deploy, "service"), demo->service) && *show_text(deploy, "old") &&
            (!strcmp(show_text(deploy, "outcome"), "runs") ||
             !strcmp(show_text(deploy, "outcome"), "asks"));
    client_free(&answer);
    return is_found;
}

static void on_turn(uv_timer_t *timer)
{
    struct crowd *crowd = timer->data;
    struct visitor *place = NULL;

    if (crowd->turns++ % ASK_TURNS == 0)
        crowd->is_wanted = is_wanted(crowd->demo);
    for (size_t i = 0; i < PLACES; i++) {
        struct visitor *visitor = &crowd->visitors[i];

        if (!visitor->is_here)
            place = visitor;
        else if (uv_now(&crowd->loop) - visitor->came_ms > VISIT_MS)
            leave(visitor);
    }
    if ((crowd->is_wanted || crowd->turns % CALM_TURNS == 0) && place)
        come(crowd, place);
}

static int run(void *subject)
{
    struct crowd crowd = {.demo = subject};

    snprintf(crowd.request, sizeof(crowd.request),
             "GET /%s/ HTTP/1.1\r\nHost: localhost\r\nUser-Agent: demo-crowd\r\n"
             "Connection: close\r\n\r\n",
             crowd.demo->service);
    if (uv_loop_init(&crowd.loop) || uv_timer_init(&crowd.loop, &crowd.timer))
        return 1;
    crowd.timer.data = &crowd;
    if (uv_timer_start(&crowd.timer, on_turn, TURN_MS, TURN_MS))
        return 1;
    return uv_run(&crowd.loop, UV_RUN_DEFAULT);
}

enum status demo_crowd_start(struct demo_crowd *crowd)
{
    return demo_process_start(
        &(struct demo_process){.name = "sluice-crowd", .run = run, .subject = crowd});
}
