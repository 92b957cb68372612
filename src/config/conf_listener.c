/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a listener.
 */
#include "config/conf_table.h"

static const char *const proxy_words[] = {"off", "v1", "v2", "any", NULL};

const struct field conf_listener_fields[] = {
    {.name = ".", .type = FIELD_SPAN, FIELD_AT(struct conf_listener, at)},
    {.name = "bind",
     .doc = "`host:port`, `[v6]:port`, `:port` (both families) or `unix:/path`.",
     .standard = ":8080",
     .type = FIELD_ADDRESS,
     .flags = FIELD_AUTO,
     FIELD_AT(struct conf_listener, bind)},
    {.name = "health_path",
     .doc = "Answered before routes and limits, for the platform's own checker.",
     .standard = "/.sluice/health",
     .type = FIELD_TEXT,
     .flags = FIELD_OFF | FIELD_NONEMPTY,
     FIELD_AT(struct conf_listener, health_path)},
    {.name = "tls",
     .doc = "Speaks TLS here: certificates, and how.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = conf_tls_fields,
     .count_offset = offsetof(struct conf_listener, tls.is_set),
     FIELD_AT(struct conf_listener, tls)},
    {.name = "http2",
     .doc = "HTTP/2 beside HTTP/1.1: by ALPN, and without TLS by prior knowledge.",
     .standard = "true",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_listener, http2)},
    {.name = "redirect_https",
     .doc = "Without TLS: answers all but health checks and ACME with a redirect to HTTPS.",
     .standard = "false",
     .type = FIELD_BOOL,
     FIELD_AT(struct conf_listener, redirect_https)},
    {.name = "proxy_protocol",
     .doc = "Connections begin with a PROXY protocol header: `v1`, `v2` or `any`; only from "
            "trusted_proxies, else from the platform or private addresses.",
     .standard = "off",
     .type = FIELD_ENUM,
     .words = proxy_words,
     FIELD_AT(struct conf_listener, proxy_protocol)},
    {.name = "platform",
     .doc = "As at the top level, for this listener; one with proxy_protocol or tls believes no "
            "platform unless it says so here.",
     .type = FIELD_CUSTOM,
     .decode = conf_platforms_decode,
     .json = CONF_PLATFORM_JSON,
     FIELD_AT(struct conf_listener, trust.platforms)},
    {.name = "trusted_proxies",
     .doc = "In place of those of the top level.",
     .type = FIELD_LIST,
     .element = &conf_network_element,
     FIELD_ITEMS(struct conf_listener, trust.proxies.items, trust.proxies.count)},
    FIELD_END,
};
