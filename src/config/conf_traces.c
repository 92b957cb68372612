/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `traces`, and what goes together in them.
 */
#include <string.h>

#include "base/text.h"
#include "config/conf_check.h"
#include "config/conf_url.h"

enum { HEADERS_MAX = 32, HEADER_MAX = 4096 };

const struct field conf_traces_fields[] = {
    {.name = "endpoint",
     .doc = "The collector, which takes OTLP over HTTP as JSON: `http://collector:4318`; "
            "`/v1/traces` is added.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_traces, endpoint)},
    {.name = "headers",
     .doc = "Sent along, such as a key of a hosted collector; best as `${env:NAME}`.",
     .type = FIELD_PAIRS,
     .flags = FIELD_SECRET,
     FIELD_AT(struct conf_traces, headers)},
    {.name = "ca",
     .doc = "A file of roots to trust there; not written: the system's.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_traces, ca)},
    {.name = "service",
     .doc = "The name of the gateway in its spans (`service.name`).",
     .standard = "sluice",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_traces, service)},
    {.name = "sample",
     .doc = "How many requests are traced, where no trusted proxy has decided; those that fail or "
            "are slow always.",
     .standard = "1%",
     .type = FIELD_SHARE,
     FIELD_AT(struct conf_traces, sample_ppm)},
    {.name = "slow",
     .doc = "A request that takes longer is always traced; or `off`.",
     .standard = "1s",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 1,
     .max = 3600 * 1000,
     FIELD_AT(struct conf_traces, slow_ms)},
    FIELD_END,
};

static void check_endpoint(struct diag *diag, const struct conf_text *url)
{
    if (!conf_check_text(diag, url) || !url->s.len)
        return;
    if (!conf_url_begins(url->s, "https://") && !conf_url_begins(url->s, "http://"))
        diag_error(diag, url->at, "the endpoint begins with https:// or http://");
    else if (memchr(url->s.p, '?', url->s.len) || memchr(url->s.p, '#', url->s.len))
        diag_error(diag, url->at, "the endpoint is the base of a URL, without ? or #");
}

static void check_header(struct diag *diag, const struct conf_pair *header)
{
    if (!text_is_token(header->name.s))
        diag_error(diag, header->name.at, "this is no name of a header");
    conf_check_text(diag, &header->value);
    if (header->name.s.len + header->value.s.len > HEADER_MAX)
        diag_error(diag, header->name.at, "more than %d bytes", HEADER_MAX);
}

void conf_check_traces(struct decoder *decoder)
{
    const struct conf_traces *traces = &decoder->conf->traces;
    struct diag *diag = decoder->diag;

    if (!decoder->conf->has_traces)
        return;
    check_endpoint(diag, &traces->endpoint);
    conf_check_text(diag, &traces->service);
    if (traces->headers.count > HEADERS_MAX)
        diag_error(diag, traces->headers.items[HEADERS_MAX].name.at, "more than %d headers",
                   HEADERS_MAX);
    // Where none is sent, what is written is not put in.
    for (uint32_t i = 0; decoder->world->expands_control && i < traces->headers.count; i++)
        check_header(diag, &traces->headers.items[i]);
}
