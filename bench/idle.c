/* SPDX-License-Identifier: Apache-2.0
 *
 * idle PORT COUNT: opens COUNT connections, sends one request on each and reads its answer, says
 * "ready", and holds them until its standard input ends. What the proxy grew by meanwhile is what
 * idle connections cost it.
 */
#include <string.h>

#include "client.h"

static const char request[] = "GET / HTTP/1.1\r\nHost: bench\r\nUser-Agent: idle\r\n\r\n";

/* One request and its whole answer of 1 KiB. */
static bool ask(int fd)
{
    char answer[8192];
    size_t used = 0;
    if (send(fd, request, sizeof request - 1, MSG_NOSIGNAL) != (ssize_t)sizeof request - 1)
        return false;
    while (used < sizeof answer) {
        ssize_t n = recv(fd, answer + used, sizeof answer - used, 0);
        if (n <= 0)
            return false;
        used += (size_t)n;
        const char *end = memmem(answer, used, "\r\n\r\n", 4);
        if (end && used >= (size_t)(end + 4 - answer) + 1024)
            return memcmp(answer, "HTTP/1.1 200", 12) == 0;
    }
    return false;
}

int main(int argc, char **argv)
{
    if (argc != 3)
        return 2;
    uint16_t port = (uint16_t)client_number(argv[1], UINT16_MAX);
    unsigned count = client_number(argv[2], 60000);
    client_raise_files();
    for (unsigned i = 0; i < count; i++) {
        int fd = client_connect(port, 0);
        if (fd < 0 || !ask(fd)) {
            (void)fprintf(stderr, "idle: connection %u got no answer\n", i + 1);
            return 1;
        }
    }
    puts("ready");
    (void)fflush(stdout);
    char byte;
    while (read(STDIN_FILENO, &byte, 1) > 0)
        continue;
    return 0;
}
