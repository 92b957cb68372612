/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a service, and the hooks for values of two forms: a target, `host`, `hash_by`.
 */
#include <string.h>

#include "config/conf_table.h"
#include "config/tree.h"

static const struct field target_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_target, at)},
    {.name = "id",
     .doc = "Its name in commands and metrics; not written: the address.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_target, id)},
    {.name = "address",
     .doc = "`host:port`, `[v6]:port` or `unix:/path`.",
     .type = FIELD_ADDRESS,
     .flags = FIELD_REQUIRED,
     .min = 1,
     FIELD_AT(struct conf_target, address)},
    {.name = "weight",
     .doc = "Its share of requests beside the others.",
     .standard = "1",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000,
     FIELD_AT(struct conf_target, weight)},
    {.name = "region",
     .doc = "Where it runs; targets of the edge's own region come first.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_target, region)},
    {.name = "priority",
     .doc = "Its tier: one with a higher number is used when those below cannot take all.",
     .standard = "0",
     .type = FIELD_INT,
     .max = 15,
     FIELD_AT(struct conf_target, priority)},
    FIELD_END,
};

static bool decode_target(struct decoder *decoder, const struct field *field,
                          const struct node *node, void *member)
{
    static const struct field short_form = {.name = "address",
                                            .type = FIELD_ADDRESS,
                                            .min = 1,
                                            .size = sizeof(struct conf_address)};
    struct conf_target *target = member;

    if (node->kind == NODE_MAP) {
        if (!field_decode(decoder, field->fields, node, target))
            return false;
    } else {
        target->at = tree_span(node);
        target->weight = 1;
        if (!field_value(decoder, &short_form, node, &target->address))
            return false;
    }
    if (!target->id.s.p)
        target->id = target->address.text;
    return true;
}

static bool decode_host(struct decoder *decoder, const struct field *field, const struct node *node,
                        void *member)
{
    struct conf_service *service = CONTAINER_OF(member, struct conf_service, host);

    (void)field;
    if (tree_is_word(node, "keep") || tree_is_word(node, "target")) {
        service->host = tree_is_word(node, "keep") ? CONF_HOST_KEEP : CONF_HOST_TARGET;
        return true;
    }
    service->host = CONF_HOST_NAME;
    if (!field_text(decoder, node, &service->host_name))
        return false;
    if (!service->host_name.s.len ||
        strspn(service->host_name.s.p,
               "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:[]") !=
            service->host_name.s.len)
        return field_wrong(decoder, node, "is not a host name: write keep, target or a name");
    return true;
}

static const struct {
    const char *word;
    enum conf_hash_by by;
    bool has_name;
} hashes[] = {
    {"client_ip", CONF_HASH_CLIENT_IP, false},
    {"path", CONF_HASH_PATH, false},
    {"header:", CONF_HASH_HEADER, true},
    {"cookie:", CONF_HASH_COOKIE, true},
};

static void fold(struct str s)
{
    char *p = (char *)s.p; /* the conf's own copy */

    for (size_t i = 0; i < s.len; i++)
        if (p[i] >= 'A' && p[i] <= 'Z')
            p[i] = (char)(p[i] | 0x20);
}

static bool decode_hash_by(struct decoder *decoder, const struct field *field,
                           const struct node *node, void *member)
{
    struct conf_service *service = CONTAINER_OF(member, struct conf_service, hash_by);
    struct conf_text text;

    (void)field;
    if (!field_text(decoder, node, &text))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(hashes); i++) {
        size_t len = strlen(hashes[i].word);
        if (text.s.len < len || memcmp(text.s.p, hashes[i].word, len) != 0 ||
            hashes[i].has_name != (text.s.len > len))
            continue;
        service->hash_by = hashes[i].by;
        service->hash_name = (struct str){text.s.p + len, text.s.len - len};
        if (service->hash_by == CONF_HASH_HEADER)
            fold(service->hash_name);
        return true;
    }
    return field_wrong(decoder, node, "is not client_ip, path, header:NAME or cookie:NAME");
}

static const struct field pool_fields[] = {
    {.name = "idle_connections",
     .doc = "Unused connections that each worker keeps for each target.",
     .standard = "1024",
     .type = FIELD_INT,
     .max = 65535,
     FIELD_AT(struct conf_service, pool.idle_connections)},
    {.name = "max_age",
     .doc = "A connection older than this is not used again.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_service, pool.max_age_ms)},
    FIELD_END,
};

static const struct field http2_fields[] = {
    {.name = "streams",
     .doc = "Requests at once on one connection; a target may allow fewer.",
     .standard = "100",
     .type = FIELD_INT,
     .min = 1,
     .max = 10000,
     FIELD_AT(struct conf_service, http2.streams)},
    {.name = "ping",
     .doc = "Silence after which a busy connection is asked for a sign of life.",
     .standard = "30s",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_service, http2.ping_ms)},
    {.name = "ping_timeout",
     .doc = "How long to wait for it until the connection counts as dead.",
     .standard = "10s",
     .type = FIELD_DURATION,
     .min = 100,
     .max = 500 * 3600 * 1000U,
     FIELD_AT(struct conf_service, http2.ping_timeout_ms)},
    FIELD_END,
};

static const char *const balances[] = {"least_request", "round_robin", "hash", "random", NULL};
static const char *const protocols[] = {"http1", "h2", "auto", NULL};
const struct field conf_target_element = {.name = "",
                                          .type = FIELD_CUSTOM,
                                          .decode = decode_target,
                                          .fields = target_fields};

static const struct field sign_fields[] = {
    {.name = "key",
     .doc = "Secret of at least 32 bytes that the gateway and the targets share.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_sign, key)},
    FIELD_END,
};

const struct field conf_service_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_service, at)},
    {.name = "targets",
     .doc = "Where it runs: addresses, or maps with id, address and weight.",
     .type = FIELD_LIST,
     .element = &conf_target_element,
     FIELD_ITEMS(struct conf_service, targets, target_count)},
    {.name = "protocol",
     .doc = "What the targets speak; `auto`: HTTP/2 or HTTP/1.1, as agreed on over TLS.",
     .standard = "http1",
     .type = FIELD_ENUM,
     .words = protocols,
     FIELD_AT(struct conf_service, protocol)},
    {.name = "tls",
     .doc = "Whether the targets are spoken to over TLS: `off`, or a map; `{}` takes its defaults.",
     .standard = "off",
     .type = FIELD_CUSTOM,
     .decode = conf_target_tls_decode,
     .fields = conf_target_tls_fields,
     .json = "{\"const\":\"off\"}",
     FIELD_AT(struct conf_service, tls)},
    {.name = "http2",
     .doc = "Connections to targets that speak HTTP/2.",
     .type = FIELD_OBJECT,
     .fields = http2_fields},
    {.name = "host",
     .doc = "The Host that targets see: `keep` the client's, the `target`'s address, or a name.",
     .standard = "keep",
     .type = FIELD_CUSTOM,
     .decode = decode_host,
     FIELD_AT(struct conf_service, host)},
    {.name = "balance",
     .doc = "How a target is chosen.",
     .standard = "least_request",
     .type = FIELD_ENUM,
     .words = balances,
     FIELD_AT(struct conf_service, balance)},
    {.name = "hash_by",
     .doc = "For `balance: hash`: `client_ip`, `path`, `header:NAME` or `cookie:NAME`.",
     .standard = "client_ip",
     .type = FIELD_CUSTOM,
     .decode = decode_hash_by,
     .json =
         "{\"type\":\"string\",\"pattern\":\"^(client_ip|path|header:.+|cookie:.+)$|\\\\$\\\\{\"}",
     FIELD_AT(struct conf_service, hash_by)},
    {.name = "limits",
     .doc = "How many requests the targets get at once.",
     .type = FIELD_OBJECT,
     .fields = conf_target_limit_fields,
     FIELD_AT(struct conf_service, limits)},
    {.name = "pool",
     .doc = "Connections to targets that are kept.",
     .type = FIELD_OBJECT,
     .fields = pool_fields},
    {.name = "health",
     .doc = "How targets are checked, and what follows; `off`: all are up.",
     .standard = "on",
     .type = FIELD_CUSTOM,
     .decode = conf_switch_decode,
     .fields = conf_health_fields,
     .json = CONF_SWITCH_JSON,
     FIELD_AT(struct conf_service, health)},
    {.name = "outlier",
     .doc = "What requests tell of targets: those that fail are ejected for a while.",
     .standard = "on",
     .type = FIELD_CUSTOM,
     .decode = conf_switch_decode,
     .fields = conf_outlier_fields,
     .json = CONF_SWITCH_JSON,
     FIELD_AT(struct conf_service, outlier)},
    {.name = "breaker",
     .doc = "A breaker for each target, on failures and slow answers.",
     .standard = "off",
     .type = FIELD_CUSTOM,
     .decode = conf_switch_decode,
     .fields = conf_breaker_fields,
     .json = CONF_SWITCH_JSON,
     FIELD_AT(struct conf_service, breaker)},
    {.name = "retry",
     .doc = "Which requests are tried again, on another target.",
     .standard = "on",
     .type = FIELD_CUSTOM,
     .decode = conf_switch_decode,
     .fields = conf_retry_fields,
     .json = CONF_SWITCH_JSON,
     FIELD_AT(struct conf_service, retry)},
    {.name = "sticky",
     .doc = "A cookie that keeps a client on one target.",
     .standard = "off",
     .type = FIELD_CUSTOM,
     .decode = conf_switch_decode,
     .fields = conf_sticky_fields,
     .json = CONF_SWITCH_JSON,
     FIELD_AT(struct conf_service, sticky)},
    {.name = "slow_start",
     .doc = "How long the share of a target that came up grows from a tenth to the whole.",
     .standard = "off",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1000,
     .max = 3600 * 1000U,
     FIELD_AT(struct conf_service, slow_start_ms)},
    {.name = "fallback",
     .doc =
         "What answers when no target can: a service, or `respond: {status, body, content_type}`.",
     .type = FIELD_CUSTOM,
     .decode = conf_fallback_decode,
     .fields = conf_fallback_fields,
     FIELD_AT(struct conf_service, fallback)},
    {.name = "hold",
     .doc = "Requests that wait while the service is paused, or while no target has been checked.",
     .type = FIELD_OBJECT,
     .fields = conf_hold_fields,
     FIELD_AT(struct conf_service, hold)},
    {.name = "maintenance",
     .doc = "What `sluice maintenance SERVICE on` answers with.",
     .type = FIELD_OBJECT,
     .fields = conf_answer_fields,
     FIELD_AT(struct conf_service, maintenance)},
    {.name = "discover",
     .doc = "Where targets are found, beside those of `targets`.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_service, discover.is_set),
     .fields = conf_discover_fields,
     FIELD_AT(struct conf_service, discover)},
    {.name = "releases",
     .doc = "Its releases by id, each with targets of its own, in place of `targets`.",
     .type = FIELD_MAP,
     .fields = conf_release_fields,
     .name_offset = offsetof(struct conf_release, name),
     FIELD_ITEMS(struct conf_service, releases, release_count)},
    {.name = "split",
     .doc = "Shares of releases beside each other, where they start: what is set at run time goes "
            "before it. Not written: all goes to `stable`, or to the first.",
     .type = FIELD_CUSTOM,
     .decode = conf_split_decode,
     .json = "{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\",\"minimum\":0,"
             "\"maximum\":1000000}}",
     FIELD_AT(struct conf_service, shares)},
    {.name = "assign",
     .doc = "Who gets which release.",
     .type = FIELD_OBJECT,
     .fields = conf_assign_fields,
     FIELD_AT(struct conf_service, assign)},
    {.name = "safety_net",
     .doc = "Whether a request that fails on a release which has a share and is not the stable one "
            "goes to the stable one, once, where it may be said again; the failure is counted.",
     .standard = "on",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_service, has_safety_net)},
    {.name = "provider",
     .doc = "Who runs its instances, which are targets then.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_service, provider.is_set),
     .fields = conf_provider_fields,
     FIELD_AT(struct conf_service, provider)},
    {.name = "sign",
     .doc = "Requests to targets are signed, so that they can refuse what came round the gateway: "
            "`X-Sluice-Signature: t=SECONDS,v1=HEX`, an HMAC-SHA-256 over SECONDS, the client's "
            "address as in X-Forwarded-For, the method, and path and query, a line feed between "
            "each. Health checks too, whose address is `-`.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_service, sign.is_set),
     .fields = sign_fields,
     FIELD_AT(struct conf_service, sign)},
    {.name = "deploy",
     .doc = "How releases take over from each other.",
     .type = FIELD_OBJECT,
     .fields = conf_deploy_fields,
     FIELD_AT(struct conf_service, deploy)},
    {.name = "scale",
     .doc = "How many units of it run: by load, by the time, for what they cost.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_service, scale.is_set),
     .fields = conf_scale_fields,
     FIELD_AT(struct conf_service, scale)},
    {.name = "slo",
     .doc = "Objectives for what clients get; how much of the error budget is left is shown.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .count_offset = offsetof(struct conf_service, slo.is_set),
     .fields = conf_slo_fields,
     FIELD_AT(struct conf_service, slo)},
    FIELD_END,
};
