/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/upstream/resolver.h"

#include <ares.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "edge/upstream/resolver_impl.h"

static const char resolv_conf[] = "/etc/resolv.conf";

/* --- the pump */

static void on_timer(uv_timer_t *timer)
{
    struct resolver *resolver = timer->data;

    resolver_channel_tick(resolver);
    resolver_pump(resolver);
}

void resolver_wake(struct resolver *resolver)
{
    uv_timer_start(&resolver->timer, on_timer, 0, 0);
}

static struct resolver_watch *first_done(const struct resolver *resolver)
{
    struct resolver_watch *watch = resolver->watches;

    while (watch && !resolver_watch_is_done(watch))
        watch = watch->next;
    return watch;
}

static uint64_t wait_ms(const struct resolver *resolver)
{
    uint64_t now_ms = uv_now(resolver->loop), wait = resolver_channel_wait(resolver);

    if (resolver->unsent || first_done(resolver) || resolver_text_is_done(resolver))
        return 0;
    for (struct resolver_watch *watch = resolver->watches; watch; watch = watch->next) {
        uint64_t left = watch->due_ms > now_ms ? watch->due_ms - now_ms : 0;

        if (watch->due_ms != RESOLVER_NEVER_MS && left < wait)
            wait = left;
    }
    return wait;
}

static void set_timer(struct resolver *resolver)
{
    uint64_t wait = wait_ms(resolver);

    if (wait == RESOLVER_NEVER_MS)
        uv_timer_stop(&resolver->timer);
    else
        uv_timer_start(&resolver->timer, on_timer, wait, 0);
}

/* One turn, however much comes of it: what owners start is due at the loop's next. */
void resolver_pump(struct resolver *resolver)
{
    struct resolver_watch *watch;

    for (watch = resolver->watches; watch; watch = watch->next)
        if (watch->due_ms <= uv_now(resolver->loop))
            resolver_watch_begin(watch);
    resolver_channel_send(resolver);
    while (!resolver->is_closing && (watch = first_done(resolver)))
        resolver_watch_settle(watch);
    if (!resolver->is_closing)
        resolver_text_settle(resolver);
    if (!resolver->is_closing)
        set_timer(resolver);
}

/* --- life */

static void destroy(struct resolver *resolver)
{
    free(resolver->servers);
    free(resolver);
}

void resolver_handle_closed(struct resolver *resolver)
{
    if (--resolver->handles == 0)
        destroy(resolver);
}

static bool set_servers(struct resolver *resolver, const char *servers)
{
    resolver->path = resolv_conf;
    if (!servers)
        return true;
    resolver->servers = strdup(servers);
    if (*servers == '/')
        resolver->path = resolver->servers;
    return resolver->servers && *servers;
}

struct resolver *resolver_open(uv_loop_t *loop, const char *servers)
{
    struct resolver *resolver = calloc(1, sizeof(*resolver));

    if (!resolver)
        return NULL;
    if (ares_library_init(ARES_LIB_INIT_ALL)) {
        free(resolver);
        return NULL;
    }
    resolver->loop = loop;
    resolver->unsent_end = &resolver->unsent;
    resolver->random = random_mix(uv_hrtime() ^ (uintptr_t)resolver);
    if (!set_servers(resolver, servers) || !resolver_channel_open(resolver)) {
        ares_library_cleanup();
        destroy(resolver);
        return NULL;
    }
    uv_timer_init(loop, &resolver->timer);
    resolver->timer.data = resolver;
    resolver->handles = 1;
    return resolver;
}

static void on_timer_closed(uv_handle_t *handle)
{
    resolver_handle_closed(handle->data);
}

void resolver_close(struct resolver **resolver)
{
    struct resolver *gone = *resolver;

    *resolver = NULL;
    if (!gone)
        return;
    gone->is_closing = true;
    while (gone->watches) {
        struct resolver_watch *watch = gone->watches;

        resolver_unwatch(&watch);
    }
    while (gone->texts) {
        struct resolver_text *text = gone->texts;

        resolver_forget(&text);
    }
    resolver_channel_close(gone);
    ares_library_cleanup();
    uv_close((uv_handle_t *)&gone->timer, on_timer_closed);
}
