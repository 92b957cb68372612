/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/loop.h"

#include <assert.h>
#include <stdlib.h>
#include <time.h>

#include "edge/conn.h"

enum {
    FREE_LIST_MAX = 16 * 1024 * 1024,
    FIRES_A_TICK = 32,
    LATE_MAX = 16 * 1024, /* bytes that wait for more: a record of TLS */
};

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void fire(void *owner, struct wheel_entry *entry)
{
    struct loop_timer *timer = CONTAINER_OF(entry, struct loop_timer, entry);
    struct loop *loop = owner;

    if (loop->fired++ < FIRES_A_TICK)
        timer->fire(timer);
    else
        wheel_set(&loop->wheel, entry, 0); // a storm of them is spread: requests come first
}

static void on_tick(uv_timer_t *handle)
{
    struct loop *loop = handle->data;

    loop_enter(loop);
    loop->wall_offset_ms = wall_ms() - loop->now_us / 1000;
    loop->fired = 0;
    wheel_advance(&loop->wheel, loop->now_us / 1000, fire, loop);
    if (!loop->wheel.count) {
        uv_timer_stop(&loop->tick);
        loop->is_ticking = false;
    }
    loop_leave(loop);
}

static void on_before_poll(uv_prepare_t *handle);
static void on_after_poll(uv_check_t *handle);

/* They do not keep the loop alive. */
static void watch_turns(struct loop *loop)
{
    uv_prepare_init(&loop->uv, &loop->before_poll);
    uv_check_init(&loop->uv, &loop->after_poll);
    loop->before_poll.data = loop->after_poll.data = loop;
    uv_prepare_start(&loop->before_poll, on_before_poll);
    uv_check_start(&loop->after_poll, on_after_poll);
    uv_unref((uv_handle_t *)&loop->before_poll);
    uv_unref((uv_handle_t *)&loop->after_poll);
}

enum status loop_init(struct loop *loop, unsigned index, size_t memory_limit)
{
    *loop = (struct loop){.worker = index};
    loop->dirty_last = &loop->dirty;
    loop->late_last = &loop->late;
    loop->shaking_last = &loop->shaking;
    loop->budget.limit = memory_limit;
    loop->budget.free_max = FREE_LIST_MAX;
    outq_slab_init(&loop->outqs, &loop->budget);
    slab_init(&loop->arenas, LOOP_ARENA_BLOCK, &loop->budget);
    slab_init(&loop->partials, LOOP_PARTIAL, &loop->budget);
    heap_init(&loop->heap, &loop->budget);
    loop->read_buffer = malloc(LOOP_READ_BUFFER);
    if (!loop->read_buffer || tls_engine_init(&loop->tls)) {
        free(loop->read_buffer);
        return E_NOMEM;
    }
    if (uv_loop_init(&loop->uv)) {
        tls_engine_fini(&loop->tls);
        free(loop->read_buffer);
        return E_IO;
    }
    loop->now_us = uv_hrtime() / 1000;
    loop->wall_offset_ms = wall_ms() - loop->now_us / 1000;
    wheel_init(&loop->wheel, loop->now_us / 1000);
    uv_timer_init(&loop->uv, &loop->tick);
    uv_idle_init(&loop->uv, &loop->shaker);
    watch_turns(loop);
    loop->tick.data = loop->shaker.data = loop;
    return OK;
}

void loop_fini(struct loop *loop)
{
    int busy;
    uv_handle_t *handles[] = {(uv_handle_t *)&loop->tick, (uv_handle_t *)&loop->shaker,
                              (uv_handle_t *)&loop->before_poll, (uv_handle_t *)&loop->after_poll};

    for (size_t i = 0; i < ARRAY_LEN(handles); i++)
        if (!uv_is_closing(handles[i]))
            uv_close(handles[i], NULL);
    uv_run(&loop->uv, UV_RUN_DEFAULT);
    busy = uv_loop_close(&loop->uv);
    assert(!busy);
    slab_fini(&loop->outqs);
    slab_fini(&loop->arenas);
    slab_fini(&loop->partials);
    heap_fini(&loop->heap);
    slab_fini(&loop->clients);
    slab_fini(&loop->targets);
    slab_fini(&loop->exchanges);
    tls_engine_fini(&loop->tls);
    free(loop->read_buffer);
}

void loop_enter(struct loop *loop)
{
    loop->now_us = uv_hrtime() / 1000;
    loop->reads_many = false;
}

static struct conn *take_dirty(struct loop *loop)
{
    struct conn *conn = loop->dirty;

    if (!conn)
        return NULL;
    loop->dirty = conn->dirty_next;
    if (!loop->dirty)
        loop->dirty_last = &loop->dirty;
    conn->is_dirty = false;
    return conn;
}

/* Many streams share it, and others of them may have something to say in this turn: a write less,
 * and a record less, for each that has. */
static bool may_wait(const struct conn *conn)
{
    const struct wire *wire = conn->wire;

    return wire->codec && wire->codec->is_shared && !conn->is_closing && !conn->is_broken &&
           !wire->wants_close && !wire->wants_abort && !wire->wants_shutdown &&
           conn_pending(conn) < LATE_MAX;
}

/* False: what it has borrowed could not be copied. */
static bool put_off(struct conn *conn)
{
    struct loop *loop = conn->loop;

    if (conn->wire->out && outq_own(conn->wire->out))
        return false;
    if (conn->is_late)
        return true;
    conn->is_late = true;
    conn->late_next = NULL;
    *loop->late_last = conn;
    loop->late_last = &conn->late_next;
    return true;
}

void loop_forget(struct conn *conn)
{
    struct loop *loop = conn->loop;
    struct conn **at;

    for (at = &loop->dirty; conn->is_dirty && *at != conn; at = &(*at)->dirty_next)
        ;
    if (conn->is_dirty && !(*at = conn->dirty_next))
        loop->dirty_last = at;
    for (at = &loop->late; conn->is_late && *at != conn; at = &(*at)->late_next)
        ;
    if (conn->is_late && !(*at = conn->late_next))
        loop->late_last = at;
    conn->is_dirty = conn->is_late = false;
}

void loop_leave(struct loop *loop)
{
    struct conn *conn;

    while ((conn = take_dirty(loop)))
        if (loop->reads_many || !may_wait(conn) || !put_off(conn))
            conn_flush(conn);
}

static struct conn *take_late(struct loop *loop)
{
    struct conn *conn = loop->late;

    if (!conn)
        return NULL;
    loop->late = conn->late_next;
    if (!loop->late)
        loop->late_last = &loop->late;
    conn->is_late = false;
    return conn;
}

void loop_pause_set(struct loop *loop, struct loop_pause *pause)
{
    if (pause->at)
        return;
    pause->next = loop->pauses;
    pause->at = &loop->pauses;
    if (pause->next)
        pause->next->at = &pause->next;
    loop->pauses = pause;
}

void loop_pause_unset(struct loop_pause *pause)
{
    if (!pause->at)
        return;
    *pause->at = pause->next;
    if (pause->next)
        pause->next->at = pause->at;
    pause->at = NULL;
}

static void fire_pauses(struct loop *loop)
{
    while (loop->pauses) {
        struct loop_pause *pause = loop->pauses;

        loop_pause_unset(pause);
        pause->fire(pause);
    }
}

static void flush_late(struct loop *loop)
{
    struct conn *conn;

    if (!loop->late && !loop->pauses)
        return;
    loop_enter(loop);
    fire_pauses(loop);
    while ((conn = take_late(loop)) || (conn = take_dirty(loop)))
        conn_flush(conn);
}

static void on_before_poll(uv_prepare_t *handle)
{
    flush_late(handle->data);
}

static void on_after_poll(uv_check_t *handle)
{
    flush_late(handle->data);
}

/* --- handshakes */

static struct conn *take_shaking(struct loop *loop)
{
    struct conn *conn = loop->shaking;

    if (conn)
        loop_leave_shake(conn);
    return conn;
}

static void on_shaker(uv_idle_t *idle)
{
    struct loop *loop = idle->data;
    struct conn *conn;

    loop_enter(loop);
    loop->tls.shakes = TLS_SHAKES_A_TURN;
    while (loop->tls.shakes && (conn = take_shaking(loop)))
        conn_shake(conn);
    if (!loop->shaking)
        uv_idle_stop(&loop->shaker);
    loop_leave(loop);
}

void loop_wait_shake(struct conn *conn)
{
    struct loop *loop = conn->loop;

    if (conn->is_waiting_shake)
        return;
    conn->is_waiting_shake = true;
    conn->shake_next = NULL;
    *loop->shaking_last = conn;
    loop->shaking_last = &conn->shake_next;
    uv_idle_start(&loop->shaker, on_shaker);
}

void loop_leave_shake(struct conn *conn)
{
    struct conn **at = &conn->loop->shaking;

    if (!conn->is_waiting_shake)
        return;
    while (*at != conn)
        at = &(*at)->shake_next;
    *at = conn->shake_next;
    if (!*at)
        conn->loop->shaking_last = at;
    conn->is_waiting_shake = false;
}

void loop_own(struct loop *loop)
{
    for (struct conn *conn = loop->dirty; conn; conn = conn->dirty_next)
        if (conn->wire->out && outq_own(conn->wire->out))
            conn->wire->wants_close = conn->is_broken = true;
}

uint64_t loop_wall_ms(const struct loop *loop)
{
    return loop->now_us / 1000 + loop->wall_offset_ms;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t delay_ms)
{
    uint64_t since_tick_ms;

    if (!loop->is_ticking) { // and has not been for a while, in which the clock may have been set
        loop->wall_offset_ms = wall_ms() - loop->now_us / 1000;
        wheel_advance(&loop->wheel, loop->now_us / 1000, fire, loop);
        uv_timer_start(&loop->tick, on_tick, WHEEL_TICK_MS, WHEEL_TICK_MS);
        loop->is_ticking = true;
    }
    since_tick_ms = loop->now_us / 1000 - loop->wheel.now * WHEEL_TICK_MS;
    wheel_set(&loop->wheel, &timer->entry, since_tick_ms + delay_ms);
}

void loop_timer_unset(struct loop_timer *timer)
{
    wheel_unset(&timer->entry);
}

void loop_timer_remove(struct loop *loop, struct loop_timer *timer)
{
    wheel_remove(&loop->wheel, &timer->entry);
}
