/* SPDX-License-Identifier: Apache-2.0
 *
 * The request target in its four forms (RFC 9112 section 3.2) and the host that a request is for.
 * Pure; slices point into the input.
 */
#include <arpa/inet.h>
#include <string.h>

#include "http/h1_impl.h"

enum { HOST_MAX = 255, PORT_MAX = 65535 };

/* Each % begins %HH, and none is %00, which C strings behind us would end at. */
static bool has_valid_escapes(struct str s)
{
    const char *end = s.p + s.len;

    for (const char *p = s.p; (p = memchr(p, '%', (size_t)(end - p))); p += 3)
        if (end - p < 3 || !h1_is(p[1], H1_HEX) || !h1_is(p[2], H1_HEX) ||
            (p[1] == '0' && p[2] == '0'))
            return false;
    return true;
}

static bool is_port(struct str port)
{
    return !port.len || (port.len <= 5 && h1_decimal(port) >= 0 && h1_decimal(port) <= PORT_MAX);
}

static bool is_ipv6(struct str s)
{
    unsigned char address[16];
    char text[INET6_ADDRSTRLEN];

    if (s.len >= sizeof(text) || memchr(s.p, '\0', s.len))
        return false;
    memcpy(text, s.p, s.len);
    text[s.len] = '\0';
    return inet_pton(AF_INET6, text, address) == 1;
}

static bool is_bracketed(struct str host)
{
    const char *close = memchr(host.p, ']', host.len);
    const char *end = host.p + host.len;

    if (!close || !is_ipv6((struct str){host.p + 1, (size_t)(close - host.p - 1)}))
        return false;
    if (close + 1 == end)
        return true;
    return close[1] == ':' && is_port((struct str){close + 2, (size_t)(end - close - 2)});
}

bool h1_host_is_valid(struct str host)
{
    size_t n = 0;

    if (!host.len)
        return false;
    if (host.p[0] == '[')
        return is_bracketed(host);
    while (n < host.len && h1_is(host.p[n], H1_HOST))
        n++;
    if (!n || n > HOST_MAX)
        return false;
    return n == host.len || (host.p[n] == ':' && is_port((struct str){host.p + n + 1, //
                                                                      host.len - n - 1}));
}

static void split_path(struct head *head, struct str s)
{
    const char *mark = memchr(s.p, '?', s.len);

    head->path = s;
    if (!mark)
        return;
    head->path.len = (size_t)(mark - s.p);
    head->query = (struct str){mark + 1, s.len - head->path.len - 1};
}

/* Length of "http://" or "https://" in front, 0 when neither stands there. */
static size_t scheme_len(struct str s)
{
    if (s.len >= 7 && h1_equal_fold((struct str){s.p, 7}, STR("http://")))
        return 7;
    if (s.len >= 8 && h1_equal_fold((struct str){s.p, 8}, STR("https://")))
        return 8;
    return 0;
}

static enum reason parse_absolute(struct head *head, struct str s)
{
    size_t start = scheme_len(s);
    size_t end = start;

    if (!start)
        return REASON_TARGET_INVALID;
    while (end < s.len && s.p[end] != '/' && s.p[end] != '?')
        end++;
    head->form = TARGET_ABSOLUTE;
    head->scheme = (struct str){s.p, start - 3};
    head->authority = (struct str){s.p + start, end - start};
    if (!h1_host_is_valid(head->authority))
        return REASON_TARGET_INVALID;
    split_path(head, (struct str){s.p + end, s.len - end});
    if (head->path.len)
        return REASON_NONE;
    if (head->method == METHOD_OPTIONS && !head->query.p) { // RFC 9112 3.2.4
        head->form = TARGET_ASTERISK;
        head->path = STR("*");
        return REASON_NONE;
    }
    head->path = STR("/"); // RFC 9110 4.2.3
    return REASON_NONE;
}

/* RFC 9112 3.2.3: host and port, and nothing else. */
static enum reason parse_authority(struct head *head, struct str s)
{
    const char *colon = memrchr(s.p, ':', s.len);

    head->form = TARGET_AUTHORITY;
    head->authority = s;
    if (!colon || colon + 1 == s.p + s.len || !h1_host_is_valid(s))
        return REASON_TARGET_INVALID;
    return REASON_NONE;
}

enum reason h1_target_parse(struct head *head, struct str target)
{
    if (!target.len || !has_valid_escapes(target))
        return REASON_TARGET_INVALID;
    if (head->method == METHOD_CONNECT)
        return parse_authority(head, target);
    if (target.p[0] == '/') {
        head->form = TARGET_ORIGIN;
        split_path(head, target);
        return REASON_NONE;
    }
    if (target.p[0] != '*')
        return parse_absolute(head, target);
    if (target.len != 1 || head->method != METHOD_OPTIONS)
        return REASON_TARGET_INVALID;
    head->form = TARGET_ASTERISK;
    head->path = target;
    return REASON_NONE;
}
