/* SPDX-License-Identifier: Apache-2.0 */
#include "process/unit_port.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LOWEST = 20000, ROOM_MIN = 1000, HIGHEST = 65535 };

void unit_port_range(struct unit_ports *ports, const char *kernel_range)
{
    unsigned low = 32768, high = 60999;
    if (kernel_range)
        (void)!sscanf(kernel_range, "%5u %5u", &low, &high);
    if (low >= LOWEST + ROOM_MIN && low <= HIGHEST) {
        ports->low = LOWEST;
        ports->high = (uint16_t)(low - 1);
    } else if (high <= HIGHEST - ROOM_MIN && high >= LOWEST) {
        ports->low = (uint16_t)(high + 1);
        ports->high = HIGHEST;
    } else {
        ports->low = LOWEST;
        ports->high = HIGHEST;
    }
}

static void open_range(struct unit_ports *ports)
{
    char text[64] = "";
    int fd = open("/proc/sys/net/ipv4/ip_local_port_range", O_RDONLY | O_CLOEXEC);
    ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    unit_port_range(ports, len > 0 ? text : NULL);
}

static unsigned room(const struct unit_ports *ports)
{
    return (unsigned)(ports->high - ports->low) + 1;
}

/* Two supervisors on a machine begin at different places. */
static void begin(struct unit_ports *ports)
{
    uint32_t dice = 0;
    open_range(ports);
    (void)!getrandom(&dice, sizeof dice, 0);
    ports->next = (uint16_t)(ports->low + dice % room(ports));
}

void unit_ports_resume(struct unit_ports *ports, uint16_t next)
{
    if (!next)
        return;
    open_range(ports);
    ports->next = next >= ports->low && next <= ports->high ? next : ports->low;
}

/* Without SO_REUSEADDR: a port on which old connections linger is none for an app without it. */
static int hold(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

int unit_port_hold(struct unit_ports *ports, bool (*is_taken)(const void *owner, uint16_t port),
                   const void *owner, uint16_t *port)
{
    if (!ports->next)
        begin(ports);
    for (unsigned tries = room(ports); tries; tries--) {
        uint16_t candidate = ports->next;
        ports->next = candidate >= ports->high ? ports->low : (uint16_t)(candidate + 1);
        int fd = is_taken(owner, candidate) ? -1 : hold(candidate);
        if (fd < 0)
            continue;
        *port = candidate;
        return fd;
    }
    return -1;
}
