/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses: host:port, [v6]:port, :port, unix:/path. Called by field.c for FIELD_ADDRESS.
 * field->min is the smallest port; a host is needed unless the field says FIELD_AUTO (a listener's
 * ":8080").
 */
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>

#include "config/field_scalar.h"
#include "config/tree.h"
#include "config/units.h"

enum { HOST_MAX = 253 };

static const char *set_unix(struct conf_address *address, struct str path)
{
    if (!path.len)
        return "has no path after unix:";
    if (path.len >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        return "is too long for a unix socket: at most 107 bytes";
    address->host = path;
    address->is_unix = true;
    return NULL;
}

static bool is_name(struct str host)
{
    if (host.len > HOST_MAX || host.p[0] == '-' || host.p[0] == '.')
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.p[i], lower = (char)(c | 0x20);
        bool is_letter = (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9');
        if (!is_letter && c != '-' && c != '_' && c != '.')
            return false;
        if (c == '.' && i && host.p[i - 1] == '.')
            return false;
    }
    return true;
}

static bool is_v6(struct str host)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr in6;
    const char *zone = memchr(host.p, '%', host.len);
    size_t len = zone ? (size_t)(zone - host.p) : host.len;

    if (len >= sizeof(text))
        return false;
    memcpy(text, host.p, len);
    text[len] = '\0';
    return inet_pton(AF_INET6, text, &in6) == 1;
}

static const char *set_port(struct conf_address *address, struct str port, uint64_t least)
{
    uint64_t value;

    if (units_int(port, &value))
        return "has no port: write host:8080";
    if (value < least)
        return "has no port that can be connected to";
    if (value > 65535)
        return "has a port out of range: at most 65535";
    address->port = (uint16_t)value;
    return NULL;
}

static const char *set_address(const struct field *field, struct conf_address *address)
{
    struct str s = address->text.s;
    const char *colon = memrchr(s.p, ':', s.len);
    size_t host_len;

    if (s.len >= 5 && memcmp(s.p, "unix:", 5) == 0)
        return set_unix(address, (struct str){s.p + 5, s.len - 5});
    if (s.len && s.p[0] == '[') {
        const char *bracket = memchr(s.p, ']', s.len);
        if (!bracket || bracket + 1 != colon)
            return "has no port after the bracket: write [::1]:8080";
        address->host = (struct str){s.p + 1, (size_t)(bracket - s.p - 1)};
        if (!is_v6(address->host))
            return "has no IPv6 address between the brackets";
        return set_port(address, (struct str){colon + 1, (size_t)(s.p + s.len - colon - 1)},
                        field->min);
    }
    if (!colon)
        return "has no port: write host:8080";
    host_len = (size_t)(colon - s.p);
    address->host = (struct str){s.p, host_len};
    if (memchr(s.p, ':', host_len))
        return "is ambiguous: write an IPv6 address as [::1]:8080";
    if (!host_len && !(field->flags & FIELD_AUTO))
        return "has no host";
    if (host_len && !is_name(address->host))
        return "has no valid host name";
    return set_port(address, (struct str){colon + 1, s.len - host_len - 1}, field->min);
}

bool field_address(struct decoder *decoder, const struct field *field, const struct node *node,
                   void *member)
{
    struct conf_address *address = member;
    const char *wrong;

    *address = (struct conf_address){.host = STR("")};
    if (field->flags & FIELD_OFF && tree_is_word(node, "off")) {
        address->text = (struct conf_text){STR(""), tree_span(node)};
        return true;
    }
    if (!field_text(decoder, node, &address->text))
        return false;
    wrong = set_address(field, address);
    return wrong ? field_wrong(decoder, node, wrong) : true;
}
