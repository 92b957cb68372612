/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a target keeps a connection that nobody uses: one request, and then the clock runs from
 * the last byte of the answer to the end of the connection. HTTP/2 says GOAWAY, after which the
 * edge sends again what was left out: nothing is measured there.
 */
#include "base/clock.h"
#include "cli/doctor_dial.h"
#include "cli/doctor_wire.h"

#include <string.h>

enum { MARGIN_MS = 500, AT_ONCE_MS = 250, READ_SIZE = 16 * 1024 };

bool doctor_idle_is_due(const struct doctor_dial *dial)
{
    const struct doctor_facts *facts = &dial->facts;

    return facts->result.passed && facts->result.status && !dial->service.health.has_grpc &&
           dial->service.protocol != CONF_H2 && strcmp(facts->alpn, "h2") &&
           !facts->idle.closes_always && facts->idle.ours_ms && !facts->speech;
}

static uint32_t watch_ms(const struct doctor_dial *dial)
{
    uint32_t ours_ms = dial->facts.idle.ours_ms;

    return (ours_ms < DOCTOR_IDLE_MAX_MS ? ours_ms : DOCTOR_IDLE_MAX_MS) + MARGIN_MS;
}

/* Reads until the connection is quiet for long enough, or ends, or never becomes quiet. */
static void watch(struct doctor_idle *idle, struct doctor_wire *wire, uint32_t first_ms,
                  uint32_t quiet_ms)
{
    uint64_t last_us = clock_us(), stop_us = last_us + (first_ms + 2ULL * quiet_ms) * 1000;
    char bytes[READ_SIZE];
    ssize_t n;

    n = doctor_wire_read(wire, bytes, sizeof(bytes), first_ms);
    if (n <= 0)
        return;
    while (n > 0 && last_us < stop_us) {
        last_us = clock_us();
        n = doctor_wire_read(wire, bytes, sizeof(bytes), quiet_ms);
    }
    if (n)
        return;
    idle->closed_ms = (uint32_t)((clock_us() - last_us) / 1000);
    idle->closes_always = idle->closed_ms < AT_ONCE_MS;
    idle->is_closed = true;
}

void doctor_idle_watch(struct doctor_dial *dial)
{
    struct doctor_wire wire;

    if (!doctor_dial_open(dial, &wire))
        return;
    if (doctor_dial_get(dial, &wire, ""))
        watch(&dial->facts.idle, &wire, dial->place->timeout_ms, watch_ms(dial));
    doctor_wire_close(&wire);
}
