/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of a listener.
 */
#include "config/conf_table.h"

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
    {.name = "proxy_protocol", .type = FIELD_LATER},
    {.name = "trusted_proxies", .type = FIELD_LATER},
    {.name = "platform", .type = FIELD_LATER},
    FIELD_END,
};
