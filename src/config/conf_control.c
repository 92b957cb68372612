/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `control`, and what goes together in them.
 */
#include <string.h>

#include "config/conf_check.h"
#include "config/conf_url.h"
#include "config/names.h"

enum { EDGES_MAX = 63, SOCKET_MAX = 107 };

static const struct field edge_fields[] = {
    {.name = "name",
     .doc = "What it is called in messages.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_edge, name)},
    {.name = "url",
     .doc = "Its admin port: `https://host:port`, `http://` on loopback alone, or `unix:/path`.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_edge, url)},
    {.name = "token",
     .doc = "One of its tokens, with the right to `deploy`; best as `${env:NAME}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_edge, token)},
    {.name = "ca",
     .doc = "File with the roots that its certificate must come from, or with that certificate, if "
            "it is signed by itself; not written: the system's.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_edge, ca)},
    FIELD_END,
};

static const struct field backup_fields[] = {
    {.name = "url",
     .doc = "`s3://BUCKET[/PREFIX]` of Amazon, or `https://ENDPOINT/BUCKET[/PREFIX]` of another "
            "store that speaks S3.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY,
     FIELD_AT(struct conf_backup, url)},
    {.name = "region",
     .doc = "Where the bucket is, as its store calls it.",
     .standard = "us-east-1",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_backup, region)},
    {.name = "key",
     .doc = "The id of an access key that may put, list and delete there.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_backup, key)},
    {.name = "secret",
     .doc = "Its secret; best as `${env:NAME}`.",
     .type = FIELD_TEXT,
     .flags = FIELD_REQUIRED | FIELD_NONEMPTY | FIELD_SECRET,
     FIELD_AT(struct conf_backup, secret)},
    {.name = "ca",
     .doc = "A file of roots to trust there; not written: the system's.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_backup, ca)},
    {.name = "every",
     .doc = "How often, when something has changed.",
     .standard = "1h",
     .type = FIELD_DURATION,
     .min = 1000,
     .max = 7 * 24 * 3600 * 1000U,
     FIELD_AT(struct conf_backup, every_ms)},
    {.name = "keep",
     .doc = "How many are kept; the oldest beyond are deleted.",
     .standard = "24",
     .type = FIELD_INT,
     .min = 1,
     .max = 1000,
     FIELD_AT(struct conf_backup, keep)},
    FIELD_END,
};

const struct field conf_control_fields[] = {
    {.name = "edges",
     .doc = "Edges on other machines that get certificates from here.",
     .type = FIELD_LIST,
     .element = &(const struct field){.name = "", .type = FIELD_OBJECT, .fields = edge_fields},
     FIELD_ITEMS(struct conf_control, edges, edge_count)},
    {.name = "edge_config",
     .doc = "A file that all of `edges` are to run by: each gets it in place of its own, one after "
            "the other, and the first that refuses it stops that. Their tokens must be of those "
            "that may `operate`. Read again with this file; not written: each has a file of its "
            "own.",
     .type = FIELD_TEXT,
     .flags = FIELD_NONEMPTY,
     FIELD_AT(struct conf_control, edge_config)},
    {.name = "effect_after",
     .doc = "How long after a change of a service the ledger says what it led to: requests, "
            "failures and latency of so long before and after it.",
     .standard = "10m",
     .type = FIELD_DURATION,
     .flags = FIELD_OFF,
     .min = 5000,
     .max = 24 * 3600 * 1000,
     FIELD_AT(struct conf_control, effect_after_ms)},
    {.name = "backup",
     .doc = "Where copies of control's database go; not written: only to a file beside it.",
     .type = FIELD_OBJECT,
     .flags = FIELD_PRESENT,
     .fields = backup_fields,
     .count_offset = offsetof(struct conf_control, has_backup),
     FIELD_AT(struct conf_control, backup)},
    FIELD_END,
};

/* http:// alone would show the token, and private keys, to whoever listens on the way. */
static void check_url(struct diag *diag, const struct conf_text *url)
{
    bool is_unix = conf_url_begins(url->s, "unix:/");

    if (!url->s.len || !conf_check_text(diag, url))
        return;
    if (is_unix && url->s.len - strlen("unix:") > SOCKET_MAX) {
        diag_error(diag, url->at, "the path of the socket is too long: at most %d bytes",
                   SOCKET_MAX);
    } else if (!is_unix && !conf_url_begins(url->s, "https://") &&
               !conf_url_begins(url->s, "http://")) {
        diag_error(diag, url->at, "an edge's url begins with https://, http:// or unix:/");
    } else if (conf_url_begins(url->s, "http://") && !conf_url_is_near(url->s, "http://")) {
        diag_error(diag, url->at, "private keys go to an edge: without TLS only on loopback");
        diag_hint(diag, "write https://");
    }
}

/* Nobody passes requests on here, and nobody starts apps. */
static void check_alone(const struct conf *conf, struct diag *diag)
{
    if (!conf->control.edge_count)
        diag_error(diag, (struct span){0}, "role control has nothing to do without control.edges");
    for (uint32_t i = 0; i < conf->service_count; i++)
        if (conf->services[i].provider.process.is_set)
            diag_error(diag, conf->services[i].provider.at,
                       "processes run beside an edge, and role control has none");
}

static void check_backup(struct diag *diag, const struct conf_backup *backup)
{
    const struct conf_text *url = &backup->url;

    conf_check_text(diag, &backup->region);
    conf_check_text(diag, &backup->key);
    conf_check_text(diag, &backup->secret);
    if (!url->s.len || !conf_check_text(diag, url) || conf_url_begins(url->s, "s3://"))
        return;
    if (!conf_url_begins(url->s, "https://") && !conf_url_is_near(url->s, "http://")) {
        diag_error(diag, url->at, "a backup's url begins with s3:// or https://");
        diag_hint(diag, "http:// is for loopback alone: what control knows goes there");
    }
}

static void check_ca(struct diag *diag, const struct conf_edge *edge)
{
    if (!edge->ca.s.len || !conf_check_text(diag, &edge->ca) || !edge->url.s.len ||
        conf_url_begins(edge->url.s, "https://"))
        return;
    diag_error(diag, edge->ca.at, "ca means nothing with a url that is not over TLS");
    diag_hint(diag, "write https:// in the url");
}

void conf_check_control(struct decoder *decoder)
{
    const struct conf_control *control = &decoder->conf->control;
    struct diag *diag = decoder->diag;
    struct names names;

    if (decoder->conf->role == CONF_ROLE_CONTROL)
        check_alone(decoder->conf, diag);
    if (control->edge_config.s.len && conf_check_text(diag, &control->edge_config) &&
        !control->edge_count)
        diag_error(diag, control->edge_config.at, "edge_config means nothing without edges");
    if (control->has_backup && decoder->world->expands_control)
        check_backup(diag, &control->backup);
    if (control->edge_count > EDGES_MAX)
        diag_error(diag, control->edges[EDGES_MAX].name.at, "more than %d edges", EDGES_MAX);
    names_init(&names, decoder->arena, control->edge_count);
    for (uint32_t i = 0; i < control->edge_count; i++) {
        const struct conf_edge *edge = &control->edges[i];
        uint32_t first = names_put(&names, edge->name.s, i);

        conf_check_name(diag, &edge->name);
        conf_check_text(diag, &edge->token);
        check_url(diag, &edge->url);
        check_ca(diag, edge);
        if (first != NAMES_NONE)
            conf_check_twice(diag, "edge", &edge->name, &control->edges[first].name);
    }
}
