/* SPDX-License-Identifier: Apache-2.0 */
#include "edge/trust.h"

#include <string.h>
#include <strings.h>

#include "base/arena.h"

#define BIT(id) (UINT64_C(1) << HDR_##id)

enum {
    HOPS_MAX = 32,
    ID_MAX = 128,
    HOST_MAX = 255,
    NAME_MAX_LEN = 19 /* of the fields that are removed */
};

/* --- networks */

#define V4(a, b, c, d, bits_)                                                                      \
    {                                                                                              \
        .ip = {[10] = 0xff, 0xff, a, b, c, d}, .bits = 96 + (bits_)                                \
    }
#define V6(a, b, c, d, bits_)                                                                      \
    {                                                                                              \
        .ip = {a, b, c, d}, .bits = (bits_)                                                        \
    }

struct nets {
    const struct cidr *items;
    size_t count;
};

/* https://www.cloudflare.com/ips/ */
static const struct cidr cloudflare[] = {
    V4(173, 245, 48, 0, 20),        V4(103, 21, 244, 0, 22),        V4(103, 22, 200, 0, 22),
    V4(103, 31, 4, 0, 22),          V4(141, 101, 64, 0, 18),        V4(108, 162, 192, 0, 18),
    V4(190, 93, 240, 0, 20),        V4(188, 114, 96, 0, 20),        V4(197, 234, 240, 0, 22),
    V4(198, 41, 128, 0, 17),        V4(162, 158, 0, 0, 15),         V4(104, 16, 0, 0, 13),
    V4(104, 24, 0, 0, 14),          V4(172, 64, 0, 0, 13),          V4(131, 0, 72, 0, 22),
    V6(0x24, 0x00, 0xcb, 0x00, 32), V6(0x26, 0x06, 0x47, 0x00, 32), V6(0x28, 0x03, 0xf8, 0x00, 32),
    V6(0x24, 0x05, 0xb5, 0x00, 32), V6(0x24, 0x05, 0x81, 0x00, 32), V6(0x2a, 0x06, 0x98, 0xc0, 29),
    V6(0x2c, 0x0f, 0xf2, 0x48, 32),
};

/* RFC 6890. What platforms' proxies connect from; the private IPv6 networks of Fly (6PN) and
 * Railway are not among it: there the neighbours are other apps. */
static const struct cidr local[] = {
    V4(127, 0, 0, 0, 8),
    V4(10, 0, 0, 0, 8),
    V4(172, 16, 0, 0, 12),
    V4(192, 168, 0, 0, 16),
    V4(169, 254, 0, 0, 16),
    V4(100, 64, 0, 0, 10),
    {.ip = {[15] = 1}, .bits = 128},
};

/* Unique local and link-local ones (RFC 4193, RFC 4291 2.5.6). */
static const struct cidr local_v6[] = {V6(0xfc, 0, 0, 0, 7), V6(0xfe, 0x80, 0, 0, 10)};

bool trust_is_private(const uint8_t ip[IP_LEN])
{
    return cidr_list_has(local, ARRAY_LEN(local), ip) ||
           cidr_list_has(local_v6, ARRAY_LEN(local_v6), ip);
}

/* --- platforms */

static const struct platform {
    struct nets nets;
    enum header_id client; /* says who the client is */
    const char *title, *header, *id_header;
    bool says_host; /* X-Forwarded-Host is its own, and not the client's passed on */
} platforms[] = {
    [CONF_PLATFORM_FLY] = {{local, ARRAY_LEN(local)},
                           HDR_FLY_CLIENT_IP,
                           "Fly's proxies",
                           "Fly-Client-IP",
                           "Fly-Request-Id",
                           false},
    [CONF_PLATFORM_RAILWAY] = {{local, ARRAY_LEN(local)},
                               HDR_X_REAL_IP,
                               "Railway's proxies",
                               "X-Real-IP",
                               "X-Railway-Request-Id",
                               true},
    [CONF_PLATFORM_CLOUDFLARE] = {{cloudflare, ARRAY_LEN(cloudflare)},
                                  HDR_CF_CONNECTING_IP,
                                  "Cloudflare's networks",
                                  "CF-Connecting-IP",
                                  "CF-Ray",
                                  false},
};

static bool is_in(const struct nets *nets, const uint8_t ip[IP_LEN])
{
    return cidr_list_has(nets->items, nets->count, ip);
}

/* The value of a field that stands once; twice it is nobody's word. */
static struct str only(const struct head *head, enum header_id id)
{
    struct str value = STR_NONE;
    unsigned count = 0;

    if (!(head->present >> id & 1))
        return value;
    for (unsigned i = 0; i < head->count; i++)
        if (head->headers[i].id == id) {
            value = (struct str){head->headers[i].value, head->headers[i].value_len};
            count++;
        }
    return count == 1 ? value : STR_NONE;
}

/* --- lists, from their end: fields of one name are one list (RFC 9110 5.3) */

struct list {
    const struct head *head;
    enum header_id id;
    unsigned field;  /* fields that are left, the current one included */
    struct str rest; /* of the current one; p NULL: none is begun */
};

static struct str trim(struct str s)
{
    while (s.len && (s.p[0] == ' ' || s.p[0] == '\t'))
        s = (struct str){s.p + 1, s.len - 1};
    while (s.len && (s.p[s.len - 1] == ' ' || s.p[s.len - 1] == '\t'))
        s.len--;
    return s;
}

static bool enter_field(struct list *list)
{
    while (list->field) {
        const struct header *header = &list->head->headers[--list->field];

        if (header->id == list->id) {
            list->rest = (struct str){header->value, header->value_len};
            return true;
        }
    }
    return false;
}

/* The next element towards the front; false: there is none. */
static bool back(struct list *list, struct str *element)
{
    const char *comma;

    if (!list->rest.p && !enter_field(list))
        return false;
    comma = list->rest.len ? memrchr(list->rest.p, ',', list->rest.len) : NULL;
    if (!comma) {
        *element = trim(list->rest);
        list->rest = STR_NONE;
        return true;
    }
    *element = trim((struct str){comma + 1, (size_t)(list->rest.p + list->rest.len - comma) - 1});
    list->rest.len = (size_t)(comma - list->rest.p);
    return true;
}

static struct list list_of(const struct head *head, enum header_id id)
{
    return (
        struct list){.head = head, .id = id, .field = head->present >> id & 1 ? head->count : 0};
}

/* What the farthest of `hops` hops said, each of which may have added an element. */
static struct str said(const struct head *head, enum header_id id, unsigned hops)
{
    struct list list = list_of(head, id);
    struct str element, found = STR_NONE;

    for (unsigned i = 0; i < hops && back(&list, &element); i++)
        found = element;
    return found;
}

/* Proxies also write a port, and brackets then: "192.0.2.1:4711", "[2001:db8::1]:4711". */
static bool read_address(struct str text, uint8_t ip[IP_LEN])
{
    const char *end;

    if (text.len && text.p[0] == '[') {
        end = memchr(text.p, ']', text.len);
        return end && ip_parse((struct str){text.p + 1, (size_t)(end - text.p) - 1}, ip);
    }
    end = text.len ? memchr(text.p, ':', text.len) : NULL;
    if (end && !memchr(end + 1, ':', (size_t)(text.p + text.len - end) - 1))
        text.len = (size_t)(end - text.p);
    return ip_parse(text, ip);
}

/* --- the walk */

struct walk {
    const struct conf_trust *trust;
    const struct head *head;
    struct list list;   /* X-Forwarded-For */
    uint32_t platforms; /* that are left */
    uint8_t ip[IP_LEN]; /* the hop that speaks */
    bool is_off_list;   /* a platform's header led here: the list is to catch up */
    const struct platform *nearest;
    struct trust_word *word;
};

static bool step_platform(struct walk *walk)
{
    const struct platform *platform;
    uint8_t ip[IP_LEN];

    if (!walk->platforms)
        return false;
    platform = &platforms[walk->trust->platforms.items[walk->platforms - 1]];
    if (!is_in(&platform->nets, walk->ip) || !read_address(only(walk->head, platform->client), ip))
        return false;
    memcpy(walk->ip, ip, IP_LEN);
    walk->platforms--;
    walk->is_off_list = true;
    walk->word->kept |= UINT64_C(1) << platform->client;
    if (!walk->word->hops)
        walk->nearest = platform;
    return true;
}

/* The list is behind when platforms' headers were followed: it goes on left of where we are. */
static bool catch_up(struct walk *walk)
{
    struct str element;
    uint8_t ip[IP_LEN];

    while (walk->is_off_list && back(&walk->list, &element))
        if (read_address(element, ip) && !memcmp(ip, walk->ip, IP_LEN))
            walk->is_off_list = false;
    return !walk->is_off_list;
}

static bool step_proxy(struct walk *walk)
{
    const struct conf_networks *proxies = &walk->trust->proxies;
    struct str element;
    uint8_t ip[IP_LEN];

    if (!cidr_list_has(proxies->items, proxies->count, walk->ip) || !catch_up(walk) ||
        !back(&walk->list, &element) || !read_address(element, ip))
        return false;
    memcpy(walk->ip, ip, IP_LEN);
    return true;
}

/* A proxy of one's own that adds no X-Forwarded-For still has its word on the rest. */
static bool is_ours(const struct walk *walk)
{
    const struct conf_networks *proxies = &walk->trust->proxies;

    return cidr_list_has(proxies->items, proxies->count, walk->ip);
}

static bool is_host(struct str host)
{
    static const char more[] = ".-_:[]%";

    for (size_t i = 0; i < host.len; i++) {
        char c = host.p[i];
        bool is_alnum = (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z');

        if (!is_alnum && (!c || !strchr(more, c)))
            return false;
    }
    return host.len && host.len <= HOST_MAX;
}

/* Something that logs, headers and pages can carry on. */
static bool is_id(struct str id)
{
    for (size_t i = 0; i < id.len; i++)
        if (id.p[i] <= ' ' || id.p[i] > '~' || strchr("\"\\<>&'", id.p[i]))
            return false;
    return id.len && id.len <= ID_MAX;
}

static void take_scheme(const struct walk *walk)
{
    struct str text = said(walk->head, HDR_X_FORWARDED_PROTO, walk->word->hops);

    if (text.len == 5 && !strncasecmp(text.p, "https", 5))
        walk->word->caller.scheme = STR("https");
    else if (text.len == 4 && !strncasecmp(text.p, "http", 4))
        walk->word->caller.scheme = STR("http");
}

static void take_rest(const struct walk *walk)
{
    const struct platform *nearest = walk->nearest;
    struct str host = said(walk->head, HDR_X_FORWARDED_HOST, walk->word->hops), id;

    walk->word->is_own = !nearest;
    take_scheme(walk);
    if ((!nearest || nearest->says_host) && is_host(host))
        walk->word->caller.host = host;
    id = nearest ? head_value_name(walk->head,
                                   (struct str){nearest->id_header, strlen(nearest->id_header)})
                 : only(walk->head, HDR_X_REQUEST_ID);
    if (is_id(id))
        walk->word->request_id = id;
}

static enum status take_address(const struct walk *walk, struct arena *arena)
{
    struct caller *caller = &walk->word->caller;
    char text[IP_TEXT_MAX];
    size_t len;

    if (!memcmp(caller->ip, walk->ip, IP_LEN))
        return OK;
    memcpy(caller->ip, walk->ip, IP_LEN);
    len = ip_print(walk->ip, text);
    caller->text = arena_copy(arena, (struct str){text, len});
    caller->hash = ip_hash(walk->ip);
    return caller->text.p ? OK : E_NOMEM;
}

enum status trust_decide(const struct conf_trust *trust, const struct caller *peer,
                         const struct head *request, struct arena *arena, struct trust_word *word)
{
    struct walk walk = {
        .trust = trust,
        .head = request,
        .list = list_of(request, HDR_X_FORWARDED_FOR),
        .platforms = trust->platforms.count,
        .word = word,
    };

    *word = (struct trust_word){.caller = *peer};
    memcpy(walk.ip, peer->ip, IP_LEN);
    while (word->hops < HOPS_MAX && (step_platform(&walk) || step_proxy(&walk)))
        word->hops++;
    if (!word->hops) {
        if (!is_ours(&walk))
            return OK;
        word->hops = 1;
    }
    word->caller.is_told = true;
    take_rest(&walk);
    return take_address(&walk, arena);
}

/* --- what nobody vouches for */

static const uint64_t addresses = BIT(X_REAL_IP) | BIT(FLY_CLIENT_IP) | BIT(CF_CONNECTING_IP) |
                                  BIT(TRUE_CLIENT_IP) | BIT(X_CLIENT_IP) |
                                  BIT(X_CLUSTER_CLIENT_IP) | BIT(FORWARDED);
static const uint64_t ways = BIT(X_FORWARDED_PORT) | BIT(X_FORWARDED_SSL) |
                             BIT(X_FORWARDED_SCHEME) | BIT(X_FORWARDED_PREFIX) |
                             BIT(X_FORWARDED_SERVER);

/* What CGI and its kin take for a field of these: X_Forwarded_For becomes HTTP_X_FORWARDED_FOR, too
 * (RFC 3875 4.1.18). */
static bool is_alike(const struct header *header, uint64_t ids)
{
    char name[NAME_MAX_LEN];

    if (header->id != HDR_OTHER || header->name_len > sizeof(name) ||
        !memchr(header->name, '_', header->name_len))
        return false;
    for (unsigned i = 0; i < header->name_len; i++)
        name[i] = (char)(header->name[i] == '_' ? '-' : header->name[i]);
    return ids >> head_id((struct str){name, header->name_len}) & 1;
}

static void strip(struct head *request, uint64_t ids)
{
    static const uint64_t ours =
        BIT(X_FORWARDED_FOR) | BIT(X_FORWARDED_PROTO) | BIT(X_FORWARDED_HOST) | BIT(X_REQUEST_ID);

    head_remove_all(request, ids);
    for (unsigned i = request->count; i-- > 0;) {
        const struct header *header = &request->headers[i];

        if (is_alike(header, ids | ours)) {
            head_remove_name(request, (struct str){header->name, header->name_len});
            i = i < request->count ? i : request->count;
        }
    }
}

void trust_strip(struct head *request)
{
    strip(request, addresses | ways);
}

void trust_strip_addresses(struct head *request, uint64_t kept)
{
    strip(request, addresses & ~kept);
}

/* --- PROXY protocol */

bool trust_takes_proxy(const struct conf *conf, const struct conf_listener *listener,
                       const uint8_t ip[IP_LEN])
{
    const struct conf_networks *proxies = &listener->trust.proxies;
    const struct conf_platforms *chain = &conf->trust.platforms;

    if (ip_is_none(ip)) // a unix socket: whoever may open it
        return true;
    if (proxies->count || proxies->is_set)
        return cidr_list_has(proxies->items, proxies->count, ip);
    if (chain->count)
        return is_in(&platforms[chain->items[chain->count - 1]].nets, ip);
    return trust_is_private(ip);
}

/* --- in words */

static struct str describe_proxy(const struct conf *conf, const struct conf_listener *listener,
                                 struct arena *arena)
{
    const struct conf_networks *proxies = &listener->trust.proxies;
    const struct conf_platforms *chain = &conf->trust.platforms;

    if (proxies->count || proxies->is_set)
        return arena_format(arena, "the PROXY header of %u trusted network%s", proxies->count,
                            proxies->count == 1 ? "" : "s");
    return arena_format(arena, "the PROXY header of %s",
                        chain->count ? platforms[chain->items[chain->count - 1]].title
                                     : "private addresses");
}

struct str trust_describe(const struct conf *conf, const struct conf_listener *listener,
                          struct arena *arena)
{
    const struct conf_trust *trust = &listener->trust;
    struct str text = listener->proxy_protocol ? describe_proxy(conf, listener, arena)
                                               : arena_copy(arena, STR("the connection's own"));

    for (uint32_t i = trust->platforms.count; text.p && i-- > 0;) {
        const struct platform *platform = &platforms[trust->platforms.items[i]];

        text = arena_format(arena, "%s of %s, else %.*s", platform->header, platform->title,
                            STR_FMT(text));
    }
    if (text.p && trust->proxies.count)
        text =
            arena_format(arena, "X-Forwarded-For of %u trusted network%s, else %.*s",
                         trust->proxies.count, trust->proxies.count == 1 ? "" : "s", STR_FMT(text));
    return text;
}

/* --- what traffic says of it */

static enum trust_doubt doubt_of(const struct caller *caller, const struct head *request,
                                 uint64_t kept)
{
    static const uint64_t claims = BIT(X_FORWARDED_FOR) | BIT(FLY_CLIENT_IP) | BIT(X_REAL_IP) |
                                   BIT(CF_CONNECTING_IP) | BIT(FORWARDED);

    if (!(request->present & claims))
        return TRUST_DOUBT_NONE;
    if ((request->present & ~kept & BIT(CF_CONNECTING_IP)) &&
        cidr_list_has(cloudflare, ARRAY_LEN(cloudflare), caller->ip))
        return TRUST_DOUBT_CLOUDFLARE;
    return trust_is_private(caller->ip) ? TRUST_DOUBT_ONE_ADDRESS : TRUST_DOUBT_NONE;
}

void trust_look(struct trust_watch *watch, const struct caller *caller, const struct head *request,
                uint64_t kept)
{
    enum trust_doubt doubt = doubt_of(caller, request, kept);
    bool is_same = doubt == watch->doubt &&
                   (doubt == TRUST_DOUBT_CLOUDFLARE || !memcmp(watch->ip, caller->ip, IP_LEN));

    if (!doubt && !watch->doubt)
        return;
    if (!is_same) {
        memcpy(watch->ip, caller->ip, IP_LEN);
        __atomic_store_n(&watch->run, 0, __ATOMIC_RELAXED);
        __atomic_store_n(&watch->doubt, (uint8_t)doubt, __ATOMIC_RELAXED);
    }
    if (watch->run < TRUST_DOUBTFUL)
        __atomic_store_n(&watch->run, watch->run + 1, __ATOMIC_RELAXED);
}

const char *trust_warning(enum trust_doubt doubt)
{
    static const char *const texts[] = {
        [TRUST_DOUBT_ONE_ADDRESS] =
            "all requests count as one client with a private address, yet name others: a proxy in "
            "front is not in `trusted_proxies`, or `platform` is not the right one",
        [TRUST_DOUBT_CLOUDFLARE] =
            "requests come from Cloudflare, which is not in `platform`: clients are counted by "
            "Cloudflare's addresses",
    };

    return texts[doubt];
}
