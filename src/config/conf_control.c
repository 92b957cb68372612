/* SPDX-License-Identifier: Apache-2.0
 *
 * The keys of `control`, and what goes together in them.
 */
#include <string.h>

#include "config/conf_check.h"
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
    FIELD_END,
};

const struct field conf_control_fields[] = {
    {.name = "edges",
     .doc = "Edges on other machines that get certificates from here.",
     .type = FIELD_LIST,
     .element = &(const struct field){.name = "", .type = FIELD_OBJECT, .fields = edge_fields},
     FIELD_ITEMS(struct conf_control, edges, edge_count)},
    FIELD_END,
};

static bool begins(struct str s, const char *prefix)
{
    size_t len = strlen(prefix);

    return s.len > len && !memcmp(s.p, prefix, len);
}

/* http:// alone would show the token, and private keys, to whoever listens on the way. */
bool conf_url_is_loopback(struct str url)
{
    const char *host = url.p + strlen("http://");
    size_t rest = url.len - strlen("http://");
    size_t len = *host == '[' ? strcspn(host, "]/") + 1 : strcspn(host, ":/");

    if (len > rest)
        return false;
    if (!strncmp(host, "127.", 4))
        return strspn(host, "0123456789.") == len;
    return (len == 9 && !memcmp(host, "localhost", 9)) || (len == 5 && !memcmp(host, "[::1]", 5));
}

static void check_url(struct diag *diag, const struct conf_text *url)
{
    bool is_unix = begins(url->s, "unix:/");

    if (!url->s.len || !conf_check_text(diag, url))
        return;
    if (is_unix && url->s.len - strlen("unix:") > SOCKET_MAX) {
        diag_error(diag, url->at, "the path of the socket is too long: at most %d bytes",
                   SOCKET_MAX);
    } else if (!is_unix && !begins(url->s, "https://") && !begins(url->s, "http://")) {
        diag_error(diag, url->at, "an edge's url begins with https://, http:// or unix:/");
    } else if (begins(url->s, "http://") && !conf_url_is_loopback(url->s)) {
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

void conf_check_control(struct decoder *decoder)
{
    const struct conf_control *control = &decoder->conf->control;
    struct diag *diag = decoder->diag;
    struct names names;

    if (decoder->conf->role == CONF_ROLE_CONTROL)
        check_alone(decoder->conf, diag);
    if (control->edge_count > EDGES_MAX)
        diag_error(diag, control->edges[EDGES_MAX].name.at, "more than %d edges", EDGES_MAX);
    names_init(&names, decoder->arena, control->edge_count);
    for (uint32_t i = 0; i < control->edge_count; i++) {
        const struct conf_edge *edge = &control->edges[i];
        uint32_t first = names_put(&names, edge->name.s, i);

        conf_check_name(diag, &edge->name);
        conf_check_text(diag, &edge->token);
        check_url(diag, &edge->url);
        if (first != NAMES_NONE)
            conf_check_twice(diag, "edge", &edge->name, &control->edges[first].name);
    }
}
