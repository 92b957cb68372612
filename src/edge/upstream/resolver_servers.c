/* SPDX-License-Identifier: Apache-2.0
 *
 * The resolver's list of servers: addresses with or without a port, parted by commas. c-ares has a
 * reader of such lists, which takes what is none.
 */
#include <ares.h>
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "edge/upstream/resolver_impl.h"

enum { SERVERS_MAX = 16, PORT = 53, TEXT_MAX = 64 };

/* "" is the usual port; 0: no port. */
static unsigned long parse_port(const char *text)
{
    char *end;
    unsigned long port;

    if (!*text)
        return PORT;
    if (*text != ':' || text[1] < '0' || text[1] > '9')
        return 0;
    port = strtoul(text + 1, &end, 10);
    return *end || port > UINT16_MAX ? 0 : port;
}

/* "1.2.3.4", "1.2.3.4:53", "::1", "[::1]", "[::1]:53"; `text` is cut up. */
static bool parse_server(char *text, struct ares_addr_port_node *node)
{
    char *rest = text + strlen(text);
    unsigned long port;
    int taken;

    node->family =
        strchr(text, ':') && strchr(text, ':') != strrchr(text, ':') ? AF_INET6 : AF_INET;
    if (*text == '[') {
        char *end = strchr(text++, ']');

        if (!end)
            return false;
        rest = end + 1;
        *end = '\0';
        node->family = AF_INET6;
    } else if (node->family == AF_INET) {
        rest = text + strcspn(text, ":");
    }
    port = parse_port(rest);
    *rest = '\0';
    taken = inet_pton(node->family, text, &node->addr);
    node->udp_port = node->tcp_port = (int)port;
    return taken == 1 && port;
}

static struct str next_item(const char **list)
{
    struct str item;

    while (**list == ' ')
        ++*list;
    item = (struct str){*list, strcspn(*list, ",")};
    *list += item.len;
    *list += **list == ',';
    while (item.len && item.p[item.len - 1] == ' ')
        item.len--;
    return item;
}

bool resolver_servers_set(struct ares_channeldata *channel, const char *list)
{
    struct ares_addr_port_node nodes[SERVERS_MAX] = {{.next = NULL}};
    unsigned count = 0;

    do {
        struct str item = next_item(&list);
        char text[TEXT_MAX];

        if (count == SERVERS_MAX || item.len >= sizeof(text))
            return false;
        memcpy(text, item.p, item.len);
        text[item.len] = '\0';
        if (!parse_server(text, &nodes[count]))
            return false;
        if (count)
            nodes[count - 1].next = &nodes[count];
        count++;
    } while (*list);
    return !ares_set_servers_ports(channel, nodes);
}

unsigned resolver_servers_count(struct ares_channeldata *channel)
{
    struct ares_addr_port_node *list = NULL;
    unsigned count = 0;

    if (ares_get_servers_ports(channel, &list))
        return 0;
    for (struct ares_addr_port_node *at = list; at; at = at->next)
        count++;
    ares_free_data(list);
    return count;
}
